//! Privacy requests.

use askama::Template;
use jiff::Timestamp;
use jiff::civil::Date;
use plixo_domain::id::{CustomerId, PrivacyId};
use plixo_domain::privacy::{PrivacyKind, PrivacyStatus, WARNING_DAYS};

use crate::form::{Choice, Errors, Paging};
use crate::frame::{Frame, Membership};
use crate::holds::HoldRow;
use crate::page::pages;
use crate::show::Tone;

/// `GET /orgs/{org}/privacy-requests?cursor=`.
#[derive(Clone, Template)]
#[template(path = "privacy-requests.html")]
pub struct PrivacyList {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The requests, the youngest first.
    pub rows: Vec<PrivacyRow>,
    /// Where this page stands.
    pub paging: Paging,
}

impl PrivacyList {
    fn path(&self) -> String {
        format!("/orgs/{}/privacy-requests", self.org.id)
    }
}

/// A privacy request.
#[derive(Clone)]
pub struct PrivacyRow {
    /// Its id.
    pub id: PrivacyId,
    /// What is asked for.
    pub kind: PrivacyKind,
    /// About whom.
    pub of: Subject,
    /// How it stands.
    pub status: PrivacyStatus,
    /// Its clock.
    pub clock: Clock,
}

/// About whom a request is.
#[derive(Clone)]
pub struct Subject {
    /// The customer.
    pub id: CustomerId,
    /// Its name; `None` once it is erased.
    pub name: Option<String>,
}

/// The month that a request has.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// The day on which it was entered.
    pub entered_on: Date,
    /// Its last day.
    pub due_on: Date,
    /// The day on which it was done or refused; today where it is open still.
    pub on: Date,
    /// Whether it is open still.
    pub is_open: bool,
}

impl Clock {
    /// How many days are left: fewer than none where it is late.
    fn left(&self) -> i32 {
        (self.due_on - self.on).get_days()
    }

    /// How it stands, in words.
    pub(crate) fn words(&self) -> String {
        let days = |count: i32| if count == 1 { "1 day".to_owned() } else { format!("{count} days") };
        match (self.is_open, self.left()) {
            (true, 0) => "Today is the last day".to_owned(),
            (true, left) if left < 0 => format!("{} late", days(-left)),
            (true, left) => format!("{} left", days(left)),
            (false, left) if left < 0 => format!("{} late", days(-left)),
            (false, _) => "In time".to_owned(),
        }
    }

    pub(crate) fn is_late(&self) -> bool {
        self.left() < 0
    }

    pub(crate) fn tone(&self) -> &'static str {
        let tone = match self.left() {
            left if left < 0 => Tone::Bad,
            _ if !self.is_open => Tone::Quiet,
            left if left <= WARNING_DAYS => Tone::Warn,
            _ => Tone::Info,
        };
        tone.class()
    }

    /// How much of the month has passed, as the width of a bar.
    pub(crate) fn passed(&self) -> String {
        let days = |to: Date| i64::from((to - self.entered_on).get_days());
        crate::chart::part(days(self.on), days(self.due_on).max(1)).unwrap_or_default()
    }
}

impl PrivacyRow {
    fn title(&self) -> &'static str {
        crate::show::privacy_kind(&self.kind)
    }

    /// What its status means, in a sentence.
    fn meaning(&self) -> &'static str {
        match (self.status, self.kind) {
            (PrivacyStatus::Open, _) => "It is entered and waits for its turn, mostly for seconds.",
            (PrivacyStatus::Held, _) => {
                "A legal hold keeps what is asked to be erased. Nothing was erased. It goes on by itself once nothing is held any more; the clock runs all the same."
            }
            (PrivacyStatus::Running, PrivacyKind::Access) => {
                "What is held about the customer is being gathered."
            }
            (PrivacyStatus::Running, PrivacyKind::Erasure) => {
                "The customer’s data is being erased. This cannot be stopped any more."
            }
            (PrivacyStatus::Done, PrivacyKind::Access) => {
                "All that is held about the customer was put into two files, one for people and one for programs."
            }
            (PrivacyStatus::Done, PrivacyKind::Erasure) => {
                "The customer’s data key and personal data are destroyed. The certificate below says what, when and why."
            }
            (PrivacyStatus::Refused, _) => "It was refused. Nothing was gathered or erased.",
        }
    }
}

/// `GET /orgs/{org}/privacy-requests/new?customer=`, whose form asks the same page with `customer` and `kind`.
#[derive(Clone, Template)]
#[template(path = "privacy-form.html")]
pub struct PrivacyForm {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The customers to choose from.
    pub customers: Vec<Choice>,
    /// Whether there are more of them.
    pub has_more_customers: bool,
    /// About which, by its id.
    pub customer: String,
    /// What is asked for.
    pub kind: PrivacyKind,
    /// What is wrong.
    pub errors: Errors,
}

impl PrivacyForm {
    fn list(&self) -> String {
        format!("/orgs/{}/privacy-requests", self.org.id)
    }

    fn kinds(&self) -> [(PrivacyKind, &'static str, &'static str); 2] {
        [
            (PrivacyKind::Access, "Access", "They want to know all that is held about them (GDPR Art. 15)"),
            (PrivacyKind::Erasure, "Erasure", "They want it to be gone (GDPR Art. 17)"),
        ]
    }
}

/// `GET /orgs/{org}/privacy-requests/new?customer=&kind=`; posts to `/orgs/{org}/privacy-requests/new` the `customer`, the `kind`,
/// and `sure` (`on` or absent).
#[derive(Clone, Template)]
#[template(path = "privacy-confirm.html")]
pub struct PrivacyConfirm {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// About whom.
    pub of: Subject,
    /// What is asked for.
    pub kind: PrivacyKind,
    /// The last day on which it is done in time, if it is entered today.
    pub due_on: Date,
    /// The holds that stand in its way.
    pub holds: Vec<HoldRow>,
    /// Whether whoever enters it says that they are sure.
    pub is_sure: bool,
    /// What is wrong.
    pub errors: Errors,
}

impl PrivacyConfirm {
    fn path(&self) -> String {
        format!("/orgs/{}/privacy-requests/new", self.org.id)
    }

    fn again(&self) -> String {
        format!("{}?customer={}", self.path(), self.of.id)
    }

    fn is_erasure(&self) -> bool {
        self.kind == PrivacyKind::Erasure
    }

    fn kind_word(&self) -> &'static str {
        self.kind.as_str()
    }
}

/// `GET /orgs/{org}/privacy-requests/{id}`; posts `do`: `refuse` with `reason`. Its files are at `…/{id}/download?as=json` and
/// `…/{id}/download?as=html`, its certificate is at `…/{id}/certificate`.
#[derive(Clone, Template)]
#[template(path = "privacy-request.html")]
pub struct PrivacyPage {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The request.
    pub row: PrivacyRow,
    /// Its version, for `If-Match`.
    pub version: String,
    /// Who entered it, as people know them.
    pub requested_by: Option<String>,
    /// When.
    pub requested_at: Timestamp,
    /// Since when a hold stands in its way.
    pub held_since: Option<Timestamp>,
    /// The holds that do.
    pub holds: Vec<HoldRow>,
    /// When it was begun.
    pub begun_at: Option<Timestamp>,
    /// When it was done.
    pub done_at: Option<Timestamp>,
    /// That it was refused.
    pub refused: Option<RefusedRequest>,
    /// Until when its files are there, where they are.
    pub files_until: Option<Timestamp>,
    /// The certificate of an erasure that is done.
    pub certificate: Option<String>,
    /// Why it is to be refused, as typed.
    pub reason: String,
    /// What is wrong.
    pub errors: Errors,
}

/// That a request was refused.
#[derive(Clone)]
pub struct RefusedRequest {
    /// Who did it, as people know them.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

impl PrivacyPage {
    fn list(&self) -> String {
        format!("/orgs/{}/privacy-requests", self.org.id)
    }

    fn path(&self) -> String {
        format!("{}/{}", self.list(), self.row.id)
    }

    /// Since when a hold stands in its way that still does.
    fn holding(&self) -> Option<Timestamp> {
        self.held_since.filter(|_| self.row.status == PrivacyStatus::Held)
    }

    fn may_refuse(&self) -> bool {
        matches!(self.row.status, PrivacyStatus::Open | PrivacyStatus::Held) && self.begun_at.is_none()
    }
}

pages!(PrivacyList in Privacy, PrivacyForm in Privacy, PrivacyConfirm in Privacy, PrivacyPage in Privacy);

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_clock_says_how_many_days_are_left() {
        let at = |on: Date, is_open| {
            let clock = Clock { entered_on: date(2026, 11, 1), due_on: date(2026, 12, 1), on, is_open };
            (clock.words(), clock.tone(), clock.passed())
        };
        let says = |words: &str, tone, passed: &str| (words.to_owned(), tone, passed.to_owned());
        assert_eq!(at(date(2026, 11, 1), true), says("30 days left", "info", "0.00%"));
        assert_eq!(at(date(2026, 11, 23), true), says("8 days left", "info", "73.33%"));
        assert_eq!(at(date(2026, 11, 24), true), says("7 days left", "warn", "76.66%"));
        assert_eq!(at(date(2026, 11, 30), true), says("1 day left", "warn", "96.66%"));
        assert_eq!(at(date(2026, 12, 1), true), says("Today is the last day", "warn", "100.00%"));
        assert_eq!(at(date(2026, 12, 2), true), says("1 day late", "bad", "100.00%"));
        assert_eq!(at(date(2027, 1, 1), true), says("31 days late", "bad", "100.00%"));
        assert_eq!(at(date(2026, 12, 1), false), says("In time", "quiet", "100.00%"));
        assert_eq!(at(date(2026, 12, 3), false), says("2 days late", "bad", "100.00%"));
    }
}
