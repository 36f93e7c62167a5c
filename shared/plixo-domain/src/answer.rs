//! What a request with an idempotency key was answered, so that the same request is answered the same and done once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{CustomerId, OrgId};
use crate::ledger::Private;

/// How long answers are remembered, hours.
pub const ANSWER_HOURS: i64 = 24;

/// SHA-256, in hexadecimal, of who asked, what for, and the key that came with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AnswerKey(pub String);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Of this key.
    pub key: AnswerKey,
    /// SHA-256 of the request's body: the same key with another body is a mistake.
    pub request: [u8; 32],
    /// The status.
    pub status: u16,
    /// The body, which may hold personal data.
    pub body: Private<String>,
    /// The version of what it shows, if it shows one thing.
    pub version: Option<u64>,
    /// When it was given.
    pub at: Timestamp,
    /// About which customer, if it is about one: it goes when that is erased.
    pub about: Option<CustomerId>,
}

/// Which organisation came of an operator's idempotency key. There was no organisation yet that could have kept an
/// [`Answer`], and nothing else of the answer is not in the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Founding {
    /// Of this key.
    pub key: AnswerKey,
    /// SHA-256 of the request's body.
    pub request: [u8; 32],
    /// The organisation.
    pub org: OrgId,
    /// When it was made.
    pub at: Timestamp,
}
