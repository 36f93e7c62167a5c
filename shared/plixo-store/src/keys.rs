//! The only place that builds a key. A change here is a migration: the snapshot in the tests shows it as one.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use plixo_domain::audit::AuditEvent;
use plixo_domain::id::{OrgId, bytes_of};
use plixo_domain::ledger::RowKey;
use plixo_domain::webhook::{EventKey, Fingerprint};

use crate::tables::{Key, Table};

/// How many partitions an organisation's audit events of one day are spread over. A partition takes 1,000 write units a
/// second, and an audit event in a transaction costs 2 or more
/// ([quotas](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html)).
pub const AUDIT_SHARDS: u8 = 16;

fn key(table: Table, pk: String, sk: &str) -> Key {
    Key { table, pk, sk: sk.to_owned() }
}

/// A row's key.
#[must_use]
pub fn row(org: &OrgId, name: &RowKey) -> Key {
    match name {
        RowKey::Organisation => key(Table::Ledger, org.to_string(), "organisation"),
        RowKey::Customer(id) => key(Table::Ledger, format!("{org}#{id}"), "customer"),
        RowKey::CustomerRef(of) => {
            key(Table::Ledger, format!("{org}#{}#{}", of.provider.as_str(), of.id), "customer-ref")
        }
        RowKey::Invoice(id) => key(Table::Ledger, format!("{org}#{id}"), "invoice"),
        RowKey::InvoiceNumber(number) => {
            key(Table::Ledger, format!("{org}#number#{number}"), "invoice-number")
        }
        RowKey::Payment(of) => {
            key(Table::Ledger, format!("{org}#{}#{}", of.provider.as_str(), of.id), "payment")
        }
        RowKey::PaymentPointer(id) => key(Table::Ledger, format!("{org}#{id}"), "payment-pointer"),
        RowKey::WebhookEndpoint(id) => key(Table::Ledger, format!("{org}#{id}"), "webhook-endpoint"),
        RowKey::WebhookEvent(event) => match event.conflict {
            None => key(Table::WebhookEvents, event_partition(org, event), "event"),
            Some(with) => key(Table::WebhookEvents, event_partition(org, event), &format!("conflict#{with}")),
        },
    }
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
    let shard = last % AUDIT_SHARDS;
    key(Table::Audit, format!("{org}#{}#{shard:02}", day(event.at)), &event.id.to_string())
}

fn day(at: Timestamp) -> jiff::civil::Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn event_partition(org: &OrgId, event: &EventKey) -> String {
    format!("{org}#{}#{}", event.endpoint, event.provider_event_id)
}

#[cfg(test)]
mod tests;
