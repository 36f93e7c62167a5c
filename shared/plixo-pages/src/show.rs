//! How values are written for people: words, days, times, and the marks of statuses.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use plixo_domain::audit::{ActorKind, Outcome};
use plixo_domain::export::ExportStatus;
use plixo_domain::ledger::{AllocationOrder, InvoiceStatus, LinkState, PaymentStatus, Residency};
use plixo_domain::money::Money;
use plixo_domain::people::{MemberState, Role};
use plixo_domain::privacy::{PrivacyKind, PrivacyStatus};
use plixo_domain::retention::Class;
use plixo_domain::webhook::{EndpointState, EventStatus};

/// An amount without its currency.
pub(crate) fn amount(money: &Money) -> String {
    crate::amount::shown(*money)
}

/// A day: `21 Nov 2026`.
pub(crate) fn day(date: &Date) -> String {
    date.strftime("%-d %b %Y").to_string()
}

/// A time to the minute: `21 Nov 2026, 15:30`.
pub(crate) fn minute(at: &Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%-d %b %Y, %H:%M").to_string()
}

/// A time to the second: `21 Nov 2026, 15:30:54`.
pub(crate) fn second(at: &Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%-d %b %Y, %H:%M:%S").to_string()
}

/// A time for machines, with at most the milliseconds that HTML allows.
pub(crate) fn machine(at: &Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// How good the news is: a colour.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Good,
    Info,
    Warn,
    Bad,
    Quiet,
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Quiet => "quiet",
        }
    }
}

/// A status as a word, a shape and a colour: no two of a list share a shape.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) word: &'static str,
    pub(crate) shape: &'static str,
    pub(crate) tone: Tone,
}

const fn mark(word: &'static str, shape: &'static str, tone: Tone) -> Mark {
    Mark { word, shape, tone }
}

pub(crate) fn invoice(status: &InvoiceStatus) -> Mark {
    match status {
        InvoiceStatus::Draft => mark("Draft", "dashed", Tone::Quiet),
        InvoiceStatus::Open => mark("Open", "ring", Tone::Info),
        InvoiceStatus::PartiallyPaid => mark("Partially paid", "half", Tone::Info),
        InvoiceStatus::Paid => mark("Paid", "check", Tone::Good),
        InvoiceStatus::Void => mark("Void", "slash", Tone::Quiet),
        InvoiceStatus::Uncollectible => mark("Uncollectible", "cross", Tone::Bad),
    }
}

pub(crate) fn payment(status: &PaymentStatus) -> Mark {
    match status {
        PaymentStatus::Pending => mark("Pending", "dashed", Tone::Quiet),
        PaymentStatus::Succeeded => mark("Succeeded", "check", Tone::Good),
        PaymentStatus::Failed => mark("Failed", "cross", Tone::Bad),
        PaymentStatus::Refunded => mark("Refunded", "back", Tone::Quiet),
        PaymentStatus::PartiallyRefunded => mark("Partially refunded", "half", Tone::Warn),
        PaymentStatus::Disputed => mark("Disputed", "alert", Tone::Bad),
    }
}

pub(crate) fn event(status: &EventStatus) -> Mark {
    match status {
        EventStatus::Applied => mark("Applied", "check", Tone::Good),
        EventStatus::Ignored => mark("Ignored", "slash", Tone::Quiet),
        EventStatus::Superseded => mark("Superseded", "back", Tone::Quiet),
        EventStatus::Conflict => mark("Conflict", "alert", Tone::Bad),
        EventStatus::Failed => mark("Failed", "cross", Tone::Bad),
    }
}

/// What became of an event, in a sentence.
pub(crate) fn event_meaning(status: &EventStatus) -> &'static str {
    match status {
        EventStatus::Applied => "The ledger learned from it.",
        EventStatus::Ignored => "Plixo does not use events of this type.",
        EventStatus::Superseded => "The ledger knew this, or something newer, already.",
        EventStatus::Conflict => {
            "Its id came before with other content. It changed nothing. Ask the provider about it."
        }
        EventStatus::Failed => {
            "A field that is needed cannot be used. It changed nothing. Replay it once the cause is gone."
        }
    }
}

pub(crate) fn endpoint(state: &EndpointState) -> Mark {
    match state {
        EndpointState::Enabled => mark("Enabled", "check", Tone::Good),
        EndpointState::Disabled => mark("Disabled", "slash", Tone::Quiet),
    }
}

/// A Stripe key that Stripe does not take.
pub(crate) fn refused_key() -> Mark {
    mark("Refused by Stripe", "cross", Tone::Bad)
}

/// A data source that its provider does not take.
pub(crate) fn refused_source() -> Mark {
    mark("Has to be connected again", "cross", Tone::Bad)
}

pub(crate) fn connected(is: bool) -> Mark {
    if is { mark("Connected", "check", Tone::Good) } else { mark("Not connected", "dashed", Tone::Quiet) }
}

pub(crate) fn link(state: &LinkState) -> Mark {
    match state {
        LinkState::Issued => mark("Issued", "ring", Tone::Info),
        LinkState::Consumed => mark("Consumed", "check", Tone::Good),
        LinkState::Expired => mark("Expired", "dashed", Tone::Quiet),
        LinkState::Revoked => mark("Revoked", "slash", Tone::Quiet),
        LinkState::Settled => mark("Settled", "slash", Tone::Quiet),
    }
}

pub(crate) fn member(state: &MemberState) -> Mark {
    match state {
        MemberState::Invited => mark("Invited", "dashed", Tone::Info),
        MemberState::Active => mark("Active", "check", Tone::Good),
    }
}

pub(crate) fn outcome(outcome: &Outcome) -> Mark {
    match outcome {
        Outcome::Allowed => mark("Allowed", "check", Tone::Good),
        Outcome::Denied => mark("Denied", "slash", Tone::Warn),
        Outcome::Failed => mark("Failed", "cross", Tone::Bad),
    }
}

pub(crate) fn export(status: &ExportStatus) -> Mark {
    match status {
        ExportStatus::PendingApproval => mark("Waits for approval", "ring", Tone::Warn),
        ExportStatus::Approved => mark("Approved", "half", Tone::Info),
        ExportStatus::Running => mark("Being written", "half", Tone::Info),
        ExportStatus::Ready => mark("Ready", "check", Tone::Good),
        ExportStatus::Rejected => mark("Rejected", "slash", Tone::Quiet),
        ExportStatus::Expired => mark("Expired", "dashed", Tone::Quiet),
        ExportStatus::Failed => mark("Failed", "cross", Tone::Bad),
    }
}

pub(crate) fn privacy(status: &PrivacyStatus) -> Mark {
    match status {
        PrivacyStatus::Open => mark("Open", "ring", Tone::Info),
        PrivacyStatus::Held => mark("Held", "alert", Tone::Warn),
        PrivacyStatus::Running => mark("Running", "half", Tone::Info),
        PrivacyStatus::Done => mark("Done", "check", Tone::Good),
        PrivacyStatus::Refused => mark("Refused", "slash", Tone::Quiet),
    }
}

/// What a privacy request asks for.
pub(crate) fn privacy_kind(kind: &PrivacyKind) -> &'static str {
    match kind {
        PrivacyKind::Access => "Access",
        PrivacyKind::Erasure => "Erasure",
    }
}

/// Whether a legal hold holds.
pub(crate) fn hold(is_released: bool) -> Mark {
    if is_released { mark("Released", "back", Tone::Quiet) } else { mark("In force", "check", Tone::Warn) }
}

/// A class of data, in plain words.
pub(crate) fn class(class: &Class) -> &'static str {
    match class {
        Class::WebhookPayload => "Webhook payloads",
        Class::PortalLink => "Portal links",
        Class::Notice => "Notices",
        Class::ExportFile => "Export files",
        Class::CustomerPersonalData => "Customers’ personal data",
        Class::Invoice => "Invoices",
        Class::Payment => "Payments",
        Class::AuditEvent => "Audit log",
    }
}

/// What a class of data is, and from when its days count.
pub(crate) fn class_meaning(class: &Class) -> &'static str {
    match class {
        Class::WebhookPayload => "What Stripe and ERPs sent, word for word. From when it came.",
        Class::PortalLink => "Which links payers had, and what became of them. From when they expire.",
        Class::Notice => "Emails that Plixo sent. From when they were sent.",
        Class::ExportFile => "Files of exports. From when the file was there.",
        Class::CustomerPersonalData => {
            "Names, emails, phone numbers, addresses, tax ids. From the last activity: then the customer is erased."
        }
        Class::Invoice => "Invoices of which nothing is owed any more. From their last day.",
        Class::Payment => {
            "Payments of which nothing is unapplied, unless an invoice that they are for is owed still. From when they were received, \
             or last applied or refunded."
        }
        Class::AuditEvent => "Who did or read what. From the day of the entry.",
    }
}

/// Days, as years where they are whole ones.
pub(crate) fn days(days: u16) -> String {
    match (days % 365, days / 365) {
        _ if days == 1 => "1 day".to_owned(),
        (0, 1) => "1 year".to_owned(),
        (0, years) if years > 1 => format!("{years} years"),
        _ => format!("{} days", crate::amount::grouped(days.into())),
    }
}

/// Of what there are exports: the contract's words.
pub(crate) fn export_kind(word: &str) -> &str {
    match word {
        "invoices" => "Invoices",
        "payments" => "Payments",
        "customers" => "Customers",
        "audit" => "Audit log",
        other => other,
    }
}

/// The forms of files: the contract's words.
pub(crate) fn export_format(word: &str) -> &str {
    match word {
        "csv" => "CSV",
        "json" => "JSON",
        other => other,
    }
}

/// What narrows exports: the contract's words.
pub(crate) fn export_filter(word: &str) -> &str {
    match word {
        "status" => "Status",
        "customer_id" => "Customer",
        "from" => "From",
        "to" => "To",
        other => other,
    }
}

pub(crate) fn role(role: &Role) -> &'static str {
    match role {
        Role::Controller => "Controller",
        Role::BillingAdmin => "Billing Admin",
        Role::Cfo => "CFO",
        Role::Compliance => "Compliance",
        Role::Viewer => "Viewer",
    }
}

/// What a role may do, in a sentence.
pub(crate) fn role_meaning(role: &Role) -> &'static str {
    match role {
        Role::Controller => "Everything, and the approvals: exports, member roles",
        Role::BillingAdmin => "Invoices, customers, portal links, integrations",
        Role::Cfo => "Reads everything of the organisation",
        Role::Compliance => "Audit log, retention, privacy requests, legal holds",
        Role::Viewer => "Reads invoices and payments",
    }
}

pub(crate) fn allocation_order(order: &AllocationOrder) -> &'static str {
    match order {
        AllocationOrder::OldestDueFirst => "What is due first",
        AllocationOrder::OldestIssuedFirst => "What was issued first",
        AllocationOrder::SmallestFirst => "The smallest",
        AllocationOrder::LargestFirst => "The largest",
    }
}

pub(crate) fn residency(residency: &Residency) -> &'static str {
    match residency {
        Residency::Eu => "European Union",
        Residency::Us => "United States",
    }
}

pub(crate) fn actor(kind: &ActorKind) -> &'static str {
    match kind {
        ActorKind::Member => "Member",
        ActorKind::Operator => "Operator",
        ActorKind::Payer => "Payer",
        ActorKind::Provider => "Provider",
        ActorKind::Function => "Plixo",
    }
}

/// Where a payment came from: the contract's words.
pub(crate) fn source(word: &str) -> &str {
    match word {
        "stripe" => "Stripe",
        "erp" => "ERP",
        "bank" => "Bank",
        "manual" => "By hand",
        other => other,
    }
}

/// The statuses that a list of invoices can be narrowed to: the contract's words.
pub(crate) fn invoice_statuses() -> [(&'static str, InvoiceStatus); 6] {
    [
        ("draft", InvoiceStatus::Draft),
        ("open", InvoiceStatus::Open),
        ("partially_paid", InvoiceStatus::PartiallyPaid),
        ("paid", InvoiceStatus::Paid),
        ("void", InvoiceStatus::Void),
        ("uncollectible", InvoiceStatus::Uncollectible),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_written_for_people_and_for_machines() {
        let at: Timestamp = "2026-11-01T05:03:09.123456Z".parse().unwrap();
        assert_eq!(minute(&at), "1 Nov 2026, 05:03");
        assert_eq!(second(&at), "1 Nov 2026, 05:03:09");
        assert_eq!(machine(&at), "2026-11-01T05:03:09Z");
        assert_eq!(day(&"2026-11-01".parse().unwrap()), "1 Nov 2026");
    }
}
