//! What a request with an idempotency key was answered, so that the same request is answered the same and done once.

use jiff::Timestamp;

use crate::ledger::Private;

/// How long answers are remembered, hours.
pub const ANSWER_HOURS: i64 = 24;

/// SHA-256, in hexadecimal, of who asked, what for, and the key that came with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// When it was given.
    pub at: Timestamp,
}
