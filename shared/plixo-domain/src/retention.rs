//! For how long things are kept, and what is due to go.
//!
//! A thing is kept from a time on that it says itself, for as many days as its organisation's policy says at that moment. So a
//! policy that changes counts at once, for what there is and for what comes.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::audit::AuditKept;
use crate::hold::Holds;
use crate::id::made_at;
use crate::ledger::{Organisation, Row};
use crate::people::UnknownWord;

/// A class of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The texts of webhook events, from when they came.
    WebhookPayload,
    /// Portal links, from when they expire.
    PortalLink,
    /// Emails, from when they were sent.
    Notice,
    /// The files of exports and of access requests, from when they were there.
    ExportFile,
    /// Customers' personal data, from the last activity.
    CustomerPersonalData,
    /// Invoices that nothing is owed of, from their last day.
    Invoice,
    /// Payments of which nothing is unapplied, and nothing is applied to what is still owed, from when they were received or what became
    /// of them last changed.
    Payment,
    /// The audit log.
    AuditEvent,
}

impl Class {
    /// All of them, in the contract's order.
    pub const ALL: [Self; 8] = [
        Self::WebhookPayload,
        Self::PortalLink,
        Self::Notice,
        Self::ExportFile,
        Self::CustomerPersonalData,
        Self::Invoice,
        Self::Payment,
        Self::AuditEvent,
    ];

    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WebhookPayload => "webhook_payload",
            Self::PortalLink => "portal_link",
            Self::Notice => "notice",
            Self::ExportFile => "export_file",
            Self::CustomerPersonalData => "customer_personal_data",
            Self::Invoice => "invoice",
            Self::Payment => "payment",
            Self::AuditEvent => "audit_event",
        }
    }

    /// For how many days it is kept where nobody says otherwise.
    #[must_use]
    pub fn usual_days(self) -> u16 {
        match self {
            Self::WebhookPayload | Self::PortalLink => 30,
            Self::Notice => 90,
            Self::ExportFile => 7,
            Self::CustomerPersonalData => 730,
            Self::Invoice | Self::Payment => 3650,
            Self::AuditEvent => 2555,
        }
    }

    /// For how few and how many days it may be kept. Books are kept for six years at least, of which two may be leap
    /// years ([HMRC](https://www.gov.uk/running-a-limited-company/company-and-accounting-records)), an audit log for one
    /// ([PCI DSS 4.0, 10.5.1](https://www.pcisecuritystandards.org/document_library/)); nothing personal for longer than its purpose
    /// (GDPR Art. 5(1)(e)).
    #[must_use]
    pub fn bounds(self) -> RangeInclusive<u16> {
        match self {
            Self::WebhookPayload | Self::PortalLink => 1..=365,
            Self::Notice => 1..=730,
            Self::ExportFile => 1..=30,
            Self::CustomerPersonalData => 30..=3650,
            Self::Invoice | Self::Payment => 2192..=7300,
            Self::AuditEvent => 365..=7300,
        }
    }

    /// Whether it can be told whose such a thing is. What cannot stays as long as its organisation has any legal hold.
    #[must_use]
    pub fn is_somebodys(self) -> bool {
        matches!(self, Self::PortalLink | Self::CustomerPersonalData | Self::Invoice | Self::Payment)
    }
}

impl FromStr for Class {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or(UnknownWord)
    }
}

/// An organisation's policy: for how many days it keeps each class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Retention(BTreeMap<Class, u16>);

impl Retention {
    /// For how many days a class is kept.
    #[must_use]
    pub fn days(&self, class: Class) -> u16 {
        self.0.get(&class).copied().unwrap_or_else(|| class.usual_days())
    }

    /// The policy with another number of days for a class; `None` beyond the [`Class::bounds`].
    #[must_use]
    pub fn with(mut self, class: Class, days: u16) -> Option<Self> {
        if !class.bounds().contains(&days) {
            return None;
        }
        if days == class.usual_days() {
            self.0.remove(&class);
        } else {
            self.0.insert(class, days);
        }
        Some(self)
    }

    /// What is kept since before that time, or since then, is due.
    #[must_use]
    pub fn due_since(&self, class: Class, now: Timestamp) -> Timestamp {
        let days = SignedDuration::from_hours(i64::from(self.days(class)) * 24);
        now.saturating_sub(days).unwrap_or(Timestamp::MIN)
    }

    /// When something of that class that is kept since then is due.
    #[must_use]
    pub fn due_at(&self, class: Class, since: Timestamp) -> Timestamp {
        let days = SignedDuration::from_hours(i64::from(self.days(class)) * 24);
        since.saturating_add(days).unwrap_or(Timestamp::MAX)
    }

    /// Whether a row is due, as far as the row itself tells: a customer may have been active since, an invoice that a payment is for may
    /// be owed, and a hold may keep it.
    #[must_use]
    pub fn is_due(&self, row: &Row, now: Timestamp) -> bool {
        kept_since(row).is_some_and(|(class, since)| since <= self.due_since(class, now))
    }
}

/// Since when an organisation's audit log is shown: what is older is due, unless a legal hold keeps it, or was and is deleted. A hold or a
/// longer policy brings back no day of which some is gone.
#[must_use]
pub fn log_since(org: &Organisation, holds: &Holds, kept: Option<&AuditKept>, now: Timestamp) -> Timestamp {
    let kept = kept.and_then(|kept| kept.from.to_zoned(TimeZone::UTC).ok()).map(|day| day.timestamp());
    let since = made_at(&org.id).max(kept.unwrap_or(Timestamp::MIN));
    if !holds.is_empty() {
        return since;
    }
    let due = org.settings.retention.due_since(Class::AuditEvent, now);
    due.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(due).max(since)
}

/// Since when a row is kept, as what; `None` of what no policy is about, and of what is not over yet: an invoice that is owed, money
/// that is not applied.
#[must_use]
pub fn kept_since(row: &Row) -> Option<(Class, Timestamp)> {
    match row {
        Row::PortalLink(link) => Some((Class::PortalLink, link.expires_at)),
        Row::Customer(customer) => {
            let is_kept = customer.erased.is_none();
            is_kept.then(|| (Class::CustomerPersonalData, customer.active_at()))
        }
        Row::Export(export) if export.gone && !export.going => None,
        Row::Export(export) => export.file.as_ref().map(|file| (Class::ExportFile, file.at)),
        Row::Invoice(invoice) => (!invoice.is_owed()).then(|| (Class::Invoice, invoice.active_at())),
        Row::PrivacyRequest(request) => {
            let done = request.done.as_ref().filter(|done| done.has_files() || done.going);
            done.map(|done| (Class::ExportFile, done.at))
        }
        Row::Payment(payment) => {
            let is_over = payment.unapplied().is_none_or(|left| left.amount == 0);
            is_over.then(|| (Class::Payment, payment.active_at()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::hold::{HeldBy, LegalHold, place};
    use crate::id::Ids;
    use crate::ledger::{Book, Private, Residency, RowKey, Settings};
    use crate::people::By;

    #[test]
    fn the_usual_is_within_the_bounds_and_nothing_else_is_taken() {
        for class in Class::ALL {
            assert_eq!(class.as_str().parse::<Class>().ok(), Some(class));
            assert!(class.bounds().contains(&class.usual_days()), "{class:?}");
            let (least, most) = class.bounds().into_inner();
            for (days, fits) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
                let policy = Retention::default().with(class, days);
                assert_eq!(policy.map(|policy| policy.days(class)), fits.then_some(days), "{class:?} {days}");
            }
        }
        assert_eq!(Class::AuditEvent.bounds().into_inner().0, 365);
    }

    #[test]
    fn what_is_as_usual_is_not_kept() {
        let policy = Retention::default().with(Class::Notice, 5).unwrap();
        assert_eq!(serde_json::to_string(&policy).unwrap(), r#"{"notice":5}"#);
        let back = policy.with(Class::Notice, 90).unwrap();
        assert_eq!((back.clone(), back.days(Class::Notice)), (Retention::default(), 90));
    }

    #[test]
    fn the_log_is_shown_since_the_organisation_was_made_or_as_the_policy_says_unless_it_is_held() {
        let made: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut ids = Ids::new(made, [1; 10]);
        let org = Organisation {
            id: ids.make(),
            name: String::new(),
            residency: Residency::Eu,
            controllers: BTreeSet::new(),
            settings: Settings::default(),
            logo: None,
            closed: None,
        };
        let mut book = Book::default();
        book.learn(RowKey::Holds, None);
        let nothing = Holds::default();
        let later = |days: i64| made.saturating_add(SignedDuration::from_hours(days * 24)).unwrap();
        assert_eq!(
            log_since(&org, &nothing, None, later(2_555)),
            later(0).saturating_add(SignedDuration::from_nanos(1)).unwrap()
        );
        assert_eq!(log_since(&org, &nothing, None, later(2_554)), made);
        assert!(log_since(&org, &nothing, None, later(3_000)) > later(445));
        let by = By { member: ids.make(), user: "3f2504e0-4f89-41d3-9a0c-0305e82c3301".parse().unwrap() };
        let (on, reason) = (HeldBy::Customer(ids.make()), Private::Plain(String::new()));
        let hold = LegalHold { id: ids.make(), on, reason, placed_by: by, placed_at: made, released: None };
        place(&mut book, hold).unwrap();
        let held = book.get::<Holds>(&()).unwrap().unwrap();
        assert_eq!(log_since(&org, held, None, later(3_000)), made);
        // A day that goes, or is gone, comes back with nothing.
        for is_gone in [false, true] {
            let kept = AuditKept { from: "2026-02-01".parse().unwrap(), is_gone };
            for holds in [held, &nothing] {
                assert_eq!(log_since(&org, holds, Some(&kept), later(100)), later(31));
            }
            assert!(log_since(&org, &nothing, Some(&kept), later(3_000)) > later(445));
        }
    }

    #[test]
    fn a_thing_is_due_from_that_moment_on() {
        let since: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let policy = Retention::default();
        let due = policy.due_at(Class::ExportFile, since);
        assert_eq!(due, "2026-01-08T00:00:00Z".parse().unwrap());
        assert!(since <= policy.due_since(Class::ExportFile, due));
        let before = due.saturating_sub(SignedDuration::from_nanos(1)).unwrap();
        assert!(since > policy.due_since(Class::ExportFile, before));
    }
}
