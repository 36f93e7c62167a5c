#![doc = include_str!("../README.md")]

pub mod audit;
pub mod dynamo;
mod error;
mod items;
pub mod jobs;
pub mod keys;
mod pause;
pub mod people;
mod retention;
pub mod store;
pub mod tables;

pub use audit::{AuditNext, AuditPage, AuditSpan, last_id_before};
pub use error::{CommitError, StoreError};
pub use items::{Entropy, to_audit_event};
pub use keys::List;
pub use pause::pause;
pub use retention::{Due, DueCount, DuePage};
pub use store::{Listed, OldPayload, Page, Payload, Store, StoredRow};
pub use tables::{Act, Guard, Index, Item, Key, LEDGER_ATTRIBUTES, Range, Table, Tables, Write, WriteError};

/// What an attribute of an [`Item`] holds.
pub use aws_sdk_dynamodb::types::AttributeValue;

/// A binary attribute.
#[must_use]
pub fn bytes(bytes: Vec<u8>) -> AttributeValue {
    AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(bytes))
}
