//! The port to DynamoDB.

use std::collections::HashMap;
use std::future::Future;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::StoreError;

/// A stored item.
pub type Item = HashMap<String, AttributeValue>;

/// Which table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Organisations, customers, invoices, payments, webhook endpoints.
    Ledger,
    /// Webhook events and their payloads.
    WebhookEvents,
    /// Audit events: only ever added to.
    Audit,
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

/// What must hold of an item for a put to go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// There is none.
    Absent,
    /// Its `version` is that one.
    Version(u64),
}

/// One put of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// Where.
    pub key: Key,
    /// What, without its key.
    pub item: Item,
    /// If.
    pub guard: Guard,
}

/// Why nothing was put.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PutError {
    /// A guard did not hold, or another transaction was at one of the items: read again.
    #[error("a row was changed meanwhile")]
    Conflict,
    /// Anything else.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The tables. [`crate::dynamo::DynamoTables`] is the real one; whatever stands in for it passes the same contract suite.
pub trait Tables: Send + Sync {
    /// The items of those keys that exist, as of now (strongly consistent).
    fn get(&self, keys: Vec<Key>) -> impl Future<Output = Result<HashMap<Key, Item>, StoreError>> + Send;

    /// Puts all of up to 100 items, or none.
    fn put_all(&self, puts: Vec<Put>) -> impl Future<Output = Result<(), PutError>> + Send;
}

impl<T: Tables> Tables for std::sync::Arc<T> {
    fn get(&self, keys: Vec<Key>) -> impl Future<Output = Result<HashMap<Key, Item>, StoreError>> + Send {
        T::get(self, keys)
    }

    fn put_all(&self, puts: Vec<Put>) -> impl Future<Output = Result<(), PutError>> + Send {
        T::put_all(self, puts)
    }
}
