//! The only place that builds a key. A change here is a migration: the snapshot in the tests shows it as one.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use plixo_domain::answer::AnswerKey;
use plixo_domain::audit::AuditEvent;
use plixo_domain::export::{InvoiceFilter, Scope};
use plixo_domain::id::{CustomerId, InvoiceId, OrgId, SourceId, bytes_of};
use plixo_domain::ledger::{Countable, InvoiceStatus, PayerHash, Row, RowKey};
use plixo_domain::money::Money;
use plixo_domain::people::UserId;
use plixo_domain::retention::{Class, kept_since};
use plixo_domain::source::SourceState;
use plixo_domain::webhook::{EventKey, ExternalRef, Fingerprint, Provider};

use crate::people::Counter;
use crate::tables::{Index, Key, Table};

/// How many partitions an organisation's audit events of one day are spread over. A partition takes 1,000 write units a
/// second, and an audit event in a transaction costs 2 or more
/// ([quotas](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html)).
pub const AUDIT_SHARDS: u8 = 16;

/// Over how many partitions the data sources of all organisations are spread.
pub(crate) const UPKEEP_PARTS: u8 = 16;

/// Over how many partitions all organisations are spread.
pub(crate) const ORGANISATION_PARTS: u8 = 16;

fn key(table: Table, pk: String, sk: &str) -> Key {
    Key { table, pk, sk: sk.to_owned() }
}

/// A row's key.
#[must_use]
pub fn row(org: &OrgId, name: &RowKey) -> Key {
    match name {
        RowKey::Organisation => key(Table::Ledger, org.to_string(), "organisation"),
        RowKey::Logo => key(Table::Ledger, org.to_string(), "logo"),
        RowKey::Customer(id) => key(Table::Ledger, format!("{org}#{id}"), "customer"),
        RowKey::CustomerRef(of) => {
            key(Table::Ledger, format!("{org}#{}#{}", of.provider.as_str(), of.id), "customer-ref")
        }
        RowKey::Invoice(id) => key(Table::Ledger, format!("{org}#{id}"), "invoice"),
        RowKey::InvoiceNumber(number) => {
            key(Table::Ledger, format!("{org}#number#{number}"), "invoice-number")
        }
        RowKey::InvoiceRef(of) => {
            key(Table::Ledger, format!("{org}#{}#{}", of.provider.as_str(), of.id), "invoice-ref")
        }
        RowKey::InvoiceReference(reference) => {
            key(Table::Ledger, format!("{org}#reference#{reference}"), "invoice-reference")
        }
        RowKey::Payment(of) => {
            key(Table::Ledger, format!("{org}#{}#{}", of.provider.as_str(), of.id), "payment")
        }
        RowKey::PaymentPointer(id) => key(Table::Ledger, format!("{org}#{id}"), "payment-pointer"),
        RowKey::PayerHistory(PayerHash(hash)) => {
            key(Table::Ledger, format!("{org}#payer#{hash}"), "payer-history")
        }
        RowKey::PortalLink(id) => key(Table::Ledger, format!("{org}#{id}"), "portal-link"),
        RowKey::StripeAccount => key(Table::Ledger, org.to_string(), "stripe-account"),
        RowKey::WebhookEndpoint(id) => key(Table::Ledger, format!("{org}#{id}"), "webhook-endpoint"),
        RowKey::WebhookEvent(event) => match event.conflict {
            None => key(Table::WebhookEvents, event_partition(org, event), "event"),
            Some(with) => key(Table::WebhookEvents, event_partition(org, event), &format!("conflict#{with}")),
        },
        RowKey::DataSource(id) => key(Table::Ledger, format!("{org}#{id}"), "data-source"),
        RowKey::SourceName(of) => {
            key(Table::Ledger, format!("{org}#{}#{}", of.provider.as_str(), of.id), "source-name")
        }
        RowKey::SourceProgress(id) => key(Table::Ledger, format!("{org}#{id}"), "progress"),
        RowKey::Export(id) => key(Table::Ledger, format!("{org}#{id}"), "export"),
        RowKey::LegalHold(id) => key(Table::Ledger, format!("{org}#{id}"), "legal-hold"),
        RowKey::Holds => key(Table::Ledger, org.to_string(), "holds"),
        RowKey::PrivacyRequest(id) => key(Table::Ledger, format!("{org}#{id}"), "privacy-request"),
        RowKey::Member(user) => key(Table::Ledger, format!("{org}#{user}"), "member"),
        RowKey::MemberPointer(id) => key(Table::Ledger, format!("{org}#{id}"), "member-pointer"),
        // A person's organisations are found by the person.
        RowKey::UserOrganisation(user) => key(Table::People, user_partition(user), &format!("org#{org}")),
        // There is no organisation before it is made.
        RowKey::Founding(AnswerKey(hash)) => key(Table::People, format!("founding#{hash}"), "founding"),
        RowKey::Answer(AnswerKey(hash)) => key(Table::Ledger, format!("{org}#answer#{hash}"), "answer"),
        RowKey::Totals => key(Table::Ledger, org.to_string(), "totals"),
        RowKey::AuditSeal => key(Table::Ledger, org.to_string(), "audit-seal"),
        RowKey::AuditKept => key(Table::Ledger, org.to_string(), "audit-kept"),
        RowKey::Counted(of) => Key { sk: "counted".to_owned(), ..row(org, &of.row()) },
    }
}

/// Which row with a part in the totals has this key, as the ledger's stream tells it; `None` for any other row.
#[must_use]
pub fn countable(pk: &str, sk: &str) -> Option<(OrgId, Countable)> {
    let (org, name) = pk.split_once('#')?;
    let of = match sk {
        "invoice" => Countable::Invoice(name.parse().ok()?),
        "payment" => {
            let (provider, id) = name.split_once('#')?;
            let provider = Provider::ALL.into_iter().find(|it| it.as_str() == provider)?;
            Countable::Payment(ExternalRef { provider, id: id.parse().ok()? })
        }
        _ => return None,
    };
    Some((org.parse().ok()?, of))
}

/// The customer that a place in [`List::OwedOfAmount`] names.
pub(crate) fn customer_at(place: &str) -> Option<CustomerId> {
    place.rsplit_once('#')?.1.parse().ok()
}

/// The partition of what is kept of a person.
#[must_use]
pub fn user_partition(user: &UserId) -> String {
    format!("user#{user}")
}

/// The key of a counter's tries.
#[must_use]
pub fn tries(counter: &Counter) -> Key {
    key(Table::People, counter.as_str().to_owned(), "tries")
}

/// The key of a person's used code, by the code's hash.
#[must_use]
pub fn used_code(user: &UserId, hash: &str) -> Key {
    key(Table::People, format!("code#{user}#{hash}"), "code")
}

/// The key of a challenge, by the hash of its session.
#[must_use]
pub fn challenge(hash: &str) -> Key {
    key(Table::People, format!("challenge#{hash}"), "challenge")
}

/// The key of a session that was ended.
#[must_use]
pub fn ended_session(session: &str) -> Key {
    key(Table::People, format!("session#{session}"), "session")
}

/// The key of the mark that a session has shown both factors.
#[must_use]
pub fn two_factor(session: &str) -> Key {
    key(Table::People, format!("session#{session}"), "two-factor")
}

/// The key of the note which of a person's sessions are over.
#[must_use]
pub fn ended_sessions(user: &UserId) -> Key {
    key(Table::People, user_partition(user), "ended-sessions")
}

/// A list of an organisation's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum List {
    /// All customers.
    Customers,
    /// All invoices.
    Invoices,
    /// The invoices of a status, earliest due first.
    InvoicesOf(InvoiceStatus),
    /// A customer's invoices.
    InvoicesOfCustomer(CustomerId),
    /// A customer's invoices of a status, earliest due first.
    InvoicesOfCustomerThatAre(CustomerId, InvoiceStatus),
    /// The invoices that are owed, uncollectible ones among them, and of which exactly so much is left to pay, earliest due first.
    OwedOfAmount(Money),
    /// A customer's invoices that are owed, uncollectible ones among them, earliest due first.
    OwedOfCustomer(CustomerId),
    /// All payments.
    Payments,
    /// The payments with something left to apply.
    UnappliedPayments,
    /// An invoice's portal links.
    PortalLinksOf(InvoiceId),
    /// All members.
    Members,
    /// All webhook endpoints.
    WebhookEndpoints,
    /// All webhook events.
    WebhookEvents,
    /// All data sources.
    DataSources,
    /// All exports.
    Exports,
    /// All legal holds.
    LegalHolds,
    /// All privacy requests.
    PrivacyRequests,
    /// The privacy requests that are still to be done, those that are due first.
    OpenPrivacyRequests,
    /// The payments that people say are a customer's.
    PaymentsOfCustomer(CustomerId),
    /// The payments that are a customer's, as its provider calls it.
    PaymentsOfReference(ExternalRef),
    /// What idempotency keys were answered about a customer.
    AnswersAbout(CustomerId),
}

impl List {
    /// The list that has the rows of an export, and perhaps more; the audit log is no list.
    #[must_use]
    pub fn of_export(scope: &Scope) -> Option<Self> {
        Some(match scope {
            Scope::Invoices(InvoiceFilter { status, customer_id, .. }) => match (status, customer_id) {
                (None, None) => Self::Invoices,
                (Some(status), None) => Self::InvoicesOf(*status),
                (None, Some(customer)) => Self::InvoicesOfCustomer(*customer),
                (Some(status), Some(customer)) => Self::InvoicesOfCustomerThatAre(*customer, *status),
            },
            Scope::Payments(_) => Self::Payments,
            Scope::Customers(_) => Self::Customers,
            Scope::Audit(_) => return None,
        })
    }

    /// Of which customer it is, if it is one's.
    #[must_use]
    pub fn customer(&self) -> Option<CustomerId> {
        match self {
            Self::InvoicesOfCustomer(customer)
            | Self::InvoicesOfCustomerThatAre(customer, _)
            | Self::OwedOfCustomer(customer)
            | Self::PaymentsOfCustomer(customer)
            | Self::AnswersAbout(customer) => Some(*customer),
            _ => None,
        }
    }

    /// Whether it is shown from its end: the youngest first.
    #[must_use]
    pub fn is_youngest_first(&self) -> bool {
        !matches!(
            self,
            Self::InvoicesOf(_)
                | Self::InvoicesOfCustomerThatAre(..)
                | Self::OwedOfAmount(_)
                | Self::OwedOfCustomer(_)
                | Self::OpenPrivacyRequests
        )
    }

    /// Where it is: table, index, partition.
    #[must_use]
    pub fn place(&self, org: &OrgId) -> (Table, Index, String) {
        let (index, partition) = match self {
            Self::Customers => (Index::ByKind, format!("{org}#customers")),
            Self::Invoices => (Index::ByKind, format!("{org}#invoices")),
            Self::InvoicesOf(status) => (Index::ByState, format!("{org}#invoices#{}", status.as_str())),
            Self::InvoicesOfCustomer(customer) => (Index::ByCustomer, format!("{org}#{customer}#invoices")),
            Self::InvoicesOfCustomerThatAre(customer, status) => {
                (Index::ByCustomerState, format!("{org}#{customer}#invoices#{}", status.as_str()))
            }
            Self::OwedOfAmount(Money { amount, currency }) => {
                (Index::ByAmount, format!("{org}#owed#{currency}#{amount}"))
            }
            Self::OwedOfCustomer(customer) => (Index::ByOwed, format!("{org}#{customer}#owed")),
            Self::Payments => (Index::ByKind, format!("{org}#payments")),
            Self::UnappliedPayments => (Index::ByState, format!("{org}#payments#unapplied")),
            Self::PortalLinksOf(invoice) => (Index::ByKind, format!("{org}#{invoice}#portal-links")),
            Self::Members => (Index::ByKind, format!("{org}#members")),
            Self::WebhookEndpoints => (Index::ByKind, format!("{org}#webhook-endpoints")),
            Self::WebhookEvents => (Index::ByKind, format!("{org}#webhook-events")),
            Self::DataSources => (Index::ByKind, format!("{org}#data-sources")),
            Self::Exports => (Index::ByKind, format!("{org}#exports")),
            Self::LegalHolds => (Index::ByKind, format!("{org}#legal-holds")),
            Self::PrivacyRequests => (Index::ByKind, format!("{org}#privacy-requests")),
            Self::OpenPrivacyRequests => (Index::ByState, format!("{org}#privacy-requests#open")),
            Self::PaymentsOfCustomer(customer) => (Index::ByCustomer, format!("{org}#{customer}#payments")),
            Self::PaymentsOfReference(of) => {
                (Index::ByCustomer, format!("{org}#{}#{}#payments", of.provider.as_str(), of.id))
            }
            Self::AnswersAbout(customer) => (Index::ByCustomer, format!("{org}#{customer}#answers")),
        };
        let table = if matches!(self, Self::WebhookEvents) { Table::WebhookEvents } else { Table::Ledger };
        (table, index, partition)
    }
}

/// The lists that a row stands in, each with its place there. Ids begin with their time, so they sort by age.
pub(crate) fn lists(row: &Row) -> Vec<(List, String)> {
    match row {
        Row::Customer(row) => vec![(List::Customers, row.id.to_string())],
        Row::Invoice(row) => {
            let due_on = row.due_on.map_or_else(|| "9999-12-31".to_owned(), |day| day.to_string());
            let (by_age, by_due_day) = (row.id.to_string(), format!("{due_on}#{}", row.id));
            let (customer, status) = (row.customer_id, row.status());
            let mut lists = vec![
                (List::Invoices, by_age.clone()),
                (List::InvoicesOf(status), by_due_day.clone()),
                (List::InvoicesOfCustomer(customer), by_age),
                (List::InvoicesOfCustomerThatAre(customer, status), by_due_day.clone()),
            ];
            if row.takes_payment() {
                // Whose they are is needed beside them, and the row itself is not read for it.
                lists.push((List::OwedOfAmount(row.balance()), format!("{by_due_day}#{customer}")));
                lists.push((List::OwedOfCustomer(customer), by_due_day));
            }
            lists
        }
        Row::Payment(row) => {
            let id = row.id.to_string();
            let unapplied = row.unapplied().is_some_and(|left| left.amount > 0);
            let mut lists = vec![(List::Payments, id.clone())];
            lists.extend(unapplied.then_some((List::UnappliedPayments, id.clone())));
            let told = || row.customer.clone().map(List::PaymentsOfReference);
            let whose = row.customer_id.map(List::PaymentsOfCustomer).or_else(told);
            lists.extend(whose.map(|list| (list, id)));
            lists
        }
        // Their ids are random, and say nothing of their age.
        Row::PortalLink(row) => {
            vec![(List::PortalLinksOf(row.invoice), format!("{:.3}#{}", row.made_at, row.id))]
        }
        Row::Member(row) => vec![(List::Members, row.id.to_string())],
        Row::WebhookEndpoint(row) => vec![(List::WebhookEndpoints, row.id.to_string())],
        Row::WebhookEvent(row) => vec![(List::WebhookEvents, row.id.to_string())],
        Row::DataSource(row) => vec![(List::DataSources, row.id.to_string())],
        Row::Export(row) => vec![(List::Exports, row.id.to_string())],
        Row::LegalHold(row) => vec![(List::LegalHolds, row.id.to_string())],
        Row::PrivacyRequest(row) => {
            let mut lists = vec![(List::PrivacyRequests, row.id.to_string())];
            let open = row.status().is_open();
            lists.extend(open.then(|| (List::OpenPrivacyRequests, format!("{}#{}", row.due_on, row.id))));
            lists
        }
        Row::Answer(row) => {
            row.about.map(|customer| (List::AnswersAbout(customer), row.key.0.clone())).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The index attributes of a row's item.
pub(crate) fn places(org: &OrgId, row: &Row) -> impl Iterator<Item = (String, AttributeValue)> {
    let org = *org;
    let of_list = move |(list, at): (List, String)| {
        let (_, index, partition) = list.place(&org);
        (index, partition, at)
    };
    let attributes = |(index, partition, at): (Index, String, String)| {
        let (_, partition_name, sort_name) = index.names();
        [
            (partition_name.to_owned(), AttributeValue::S(partition)),
            (sort_name.to_owned(), AttributeValue::S(at)),
        ]
    };
    let places = lists(row).into_iter().map(of_list).chain(upkeep_place(row));
    let since = kept_since(row).map(|(class, since)| since_place(&org, class, since, &row_name(&org, row)));
    places.chain(organisation_place(row)).chain(since).flat_map(attributes)
}

/// What tells a row that is kept for a time from others.
fn row_name(org: &OrgId, row: &Row) -> String {
    match row {
        Row::PortalLink(it) => it.id.to_string(),
        Row::Customer(it) => it.id.to_string(),
        Row::Export(it) => it.id.to_string(),
        Row::PrivacyRequest(it) => it.id.to_string(),
        Row::Invoice(it) => it.id.to_string(),
        Row::Payment(it) => it.id.to_string(),
        _ => org.to_string(),
    }
}

/// Where something stands among what its organisation keeps for a time.
fn since_place(org: &OrgId, class: Class, since: Timestamp, name: &str) -> (Index, String, String) {
    (Index::BySince, since_partition(org, class), format!("{}#{name}", since_sort(since)))
}

/// The partition of what an organisation keeps of a class.
pub(crate) fn since_partition(org: &OrgId, class: Class) -> String {
    format!("{org}#since#{}", class.as_str())
}

/// How times are sorted there. What is kept since that time or before sorts before `{}~`.
pub(crate) fn since_sort(since: Timestamp) -> String {
    format!("{since:.3}")
}

/// The index attributes of a payload's piece.
pub(crate) fn payload_places(
    org: &OrgId,
    since: Timestamp,
    name: &str,
) -> impl Iterator<Item = (String, AttributeValue)> {
    let (index, partition, at) = since_place(org, Class::WebhookPayload, since, name);
    let (_, partition_name, sort_name) = index.names();
    let places = [(partition_name, partition), (sort_name, at)];
    places.into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
}

/// The key of the `n`th piece of the payload that begins with that one.
pub(crate) fn piece(first: &Key, n: usize) -> Key {
    let of = first.sk.rsplit_once('#').map_or(first.sk.as_str(), |(of, _)| of);
    Key { sk: format!("{of}#{n:02}"), ..first.clone() }
}

/// Whether a piece of a payload is its first.
pub(crate) fn is_first(key: &Key) -> bool {
    key.sk.ends_with("#00")
}

/// Which row of an organisation that is kept for a time has this key.
pub(crate) fn kept_row(key: &Key) -> Option<RowKey> {
    let (_, name) = key.pk.split_once('#')?;
    Some(match key.sk.as_str() {
        "portal-link" => RowKey::PortalLink(name.parse().ok()?),
        "customer" => RowKey::Customer(name.parse().ok()?),
        "export" => RowKey::Export(name.parse().ok()?),
        "privacy-request" => RowKey::PrivacyRequest(name.parse().ok()?),
        "invoice" | "payment" => countable(&key.pk, &key.sk)?.1.row(),
        _ => return None,
    })
}

/// Where an organisation stands among all of them.
fn organisation_place(row: &Row) -> Option<(Index, String, String)> {
    let Row::Organisation(organisation) = row else { return None };
    let [.., last] = bytes_of(&organisation.id);
    Some((Index::ByState, organisations_partition(last % ORGANISATION_PARTS), organisation.id.to_string()))
}

/// One of the partitions of all organisations.
pub(crate) fn organisations_partition(part: u8) -> String {
    format!("jobs#organisations#{part:02}")
}

/// Where a row stands among those of all organisations that are to be kept up.
fn upkeep_place(row: &Row) -> Option<(Index, String, String)> {
    let Row::DataSource(source) = row else { return None };
    // One that its provider refuses waits for people.
    let [.., last] = bytes_of(&source.id);
    let place = (Index::ByState, upkeep_partition(last % UPKEEP_PARTS), source.id.to_string());
    (source.state() == SourceState::Connected).then_some(place)
}

/// One of the partitions of the data sources of all organisations.
pub(crate) fn upkeep_partition(part: u8) -> String {
    format!("jobs#upkeep#{part:02}")
}

/// Whose data source has this key, and which it is.
pub(crate) fn source_at(key: &Key) -> Option<(OrgId, SourceId)> {
    let (org, source) = key.pk.split_once('#').filter(|_| key.sk == "data-source")?;
    Some((org.parse().ok()?, source.parse().ok()?))
}

/// The key of an organisation's wrapped data key.
#[must_use]
pub fn data_key(org: &OrgId) -> Key {
    key(Table::Ledger, org.to_string(), "data-key")
}

/// The key of the `n`th piece of a payload.
#[must_use]
pub fn payload(org: &OrgId, event: &EventKey, fingerprint: Fingerprint, n: usize) -> Key {
    key(Table::WebhookEvents, event_partition(org, event), &format!("payload#{fingerprint}#{n:02}"))
}

/// An audit event's key: by organisation, day and shard, then in order of time, for the id begins with it.
#[must_use]
pub fn audit(org: &OrgId, event: &AuditEvent) -> Key {
    let [.., last] = bytes_of(&event.id);
    key(Table::Audit, audit_partition(org, day(event.at), last % AUDIT_SHARDS), &event.id.to_string())
}

/// One of the partitions of an organisation's audit events of a day.
pub(crate) fn audit_partition(org: &OrgId, day: Date, shard: u8) -> String {
    format!("{org}#{day}#{shard:02}")
}

/// One of the two partitions of the audit events about a thing: of what changed it, and of all else, reads for the most part.
/// So what was done to a thing is read past any number of looks at it.
pub(crate) fn audit_object_partition(org: &OrgId, object: &str, changes: bool) -> String {
    if changes { format!("{org}#{object}") } else { format!("{org}#{object}#unchanged") }
}

/// The index attributes of an audit event's item, by what it is about. What is about the organisation has none: every list
/// that is read is, and they would make one hot partition.
pub(crate) fn audit_places(
    org: &OrgId,
    event: &AuditEvent,
) -> impl Iterator<Item = (String, AttributeValue)> {
    let object = Some(&event.object.id).filter(|id| **id != org.to_string());
    let partition = object.map(|id| audit_object_partition(org, id, event.is_change()));
    let (_, partition_name, sort_name) = Index::ByObject.names();
    let places = partition.map(|partition| [(partition_name, partition), (sort_name, event.id.to_string())]);
    places.into_iter().flatten().map(|(name, value)| (name.to_owned(), AttributeValue::S(value)))
}

/// The day, in UTC.
pub(crate) fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn event_partition(org: &OrgId, event: &EventKey) -> String {
    format!("{org}#{}#{}", event.endpoint, event.provider_event_id)
}

#[cfg(test)]
mod tests;
