//! The port to DynamoDB.

use std::collections::HashMap;
use std::future::Future;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::StoreError;

/// A stored item.
pub type Item = HashMap<String, AttributeValue>;

/// What is read of the ledger's items: all but what indices find them by.
pub const LEDGER_ATTRIBUTES: [&str; 5] = ["kind", "v", "version", "row", "expires_at"];

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Organisations, customers, invoices, payments, webhook endpoints.
    Ledger,
    /// Webhook events and their payloads.
    WebhookEvents,
    /// Audit events: only ever added to.
    Audit,
    /// What belongs to a person and to no organisation.
    People,
}

/// An item's key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// In this table.
    pub table: Table,
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

/// What must hold of an item for a write to go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// There is none.
    Absent,
    /// There is one.
    Present,
    /// Its `version` is that one.
    Version(u64),
    /// Nothing must.
    Anything,
}

/// What a write does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Puts this there, without its key.
    Put(Item),
    /// Takes away what is there.
    Delete,
    /// Leaves all as it is: the others are done only if the guard holds.
    Check,
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// Where.
    pub key: Key,
    /// What.
    pub act: Act,
    /// If.
    pub guard: Guard,
}

/// In which order a table's items are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Index {
    /// The table's own keys.
    Primary,
    /// All of a kind.
    ByKind,
    /// Those of a kind in one state.
    ByState,
    /// Those of a kind that are one customer's.
    ByCustomer,
    /// Audit events, by what they are about. It holds whole items, for they never change.
    ByObject,
    /// Those of a kind that are one customer's, in one state.
    ByCustomerState,
    /// Invoices that are owed, by what is left to pay.
    ByAmount,
    /// Invoices that are owed, by customer.
    ByOwed,
    /// What is kept for a time, by class and since when.
    BySince,
}

impl Index {
    /// Its name in the table, and the attributes that are its keys.
    #[must_use]
    pub fn names(self) -> (Option<&'static str>, &'static str, &'static str) {
        match self {
            Self::Primary => (None, "pk", "sk"),
            Self::ByKind => (Some("by-kind"), "kind_pk", "kind_sk"),
            Self::ByState => (Some("by-state"), "state_pk", "state_sk"),
            Self::ByCustomer => (Some("by-customer"), "customer_pk", "customer_sk"),
            Self::ByObject => (Some("by-object"), "object_pk", "object_sk"),
            Self::ByCustomerState => (Some("by-customer-state"), "customer_state_pk", "customer_state_sk"),
            Self::ByAmount => (Some("by-amount"), "amount_pk", "amount_sk"),
            Self::ByOwed => (Some("by-owed"), "owed_pk", "owed_sk"),
            Self::BySince => (Some("by-since"), "since_pk", "since_sk"),
        }
    }
}

/// A part of one partition, in the order of its sort keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// In this table.
    pub table: Table,
    /// By these keys.
    pub index: Index,
    /// Of this partition.
    pub partition: String,
    /// From this sort key on, itself included.
    pub from: Option<String>,
    /// Up to this sort key, itself included.
    pub to: Option<String>,
    /// The greatest first.
    pub descending: bool,
    /// At most so many.
    pub limit: usize,
}

/// Why nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// A guard did not hold, or another transaction was at one of the items: read again.
    #[error("a row was changed meanwhile")]
    Conflict,
    /// Anything else.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The tables. [`crate::dynamo::DynamoTables`] is the real one; whatever stands in for it passes the same contract suite.
pub trait Tables: Send + Sync {
    /// The items of those keys that exist, as of now (strongly consistent), without their keys; of the ledger's, the
    /// [`LEDGER_ATTRIBUTES`].
    fn get(&self, keys: Vec<Key>) -> impl Future<Output = Result<HashMap<Key, Item>, StoreError>> + Send;

    /// Does all of up to 100 writes, or none.
    fn write_all(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// The keys in a range, each with its sort key there. An index follows its table with some delay.
    fn range(&self, range: Range) -> impl Future<Output = Result<Vec<(String, Key)>, StoreError>> + Send;

    /// The items in a range, each with its sort key there: of a table's own keys as of now, or of an index that holds whole
    /// items, which follows its table with some delay.
    fn items(&self, range: Range) -> impl Future<Output = Result<Vec<(String, Item)>, StoreError>> + Send;
}

impl<T: Tables> Tables for std::sync::Arc<T> {
    fn get(&self, keys: Vec<Key>) -> impl Future<Output = Result<HashMap<Key, Item>, StoreError>> + Send {
        T::get(self, keys)
    }

    fn write_all(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), WriteError>> + Send {
        T::write_all(self, writes)
    }

    fn range(&self, range: Range) -> impl Future<Output = Result<Vec<(String, Key)>, StoreError>> + Send {
        T::range(self, range)
    }

    fn items(&self, range: Range) -> impl Future<Output = Result<Vec<(String, Item)>, StoreError>> + Send {
        T::items(self, range)
    }
}
