//! Why staff did not get what they asked for. Nothing here knows of HTTP.

use plixo_domain::ledger::staff::StaffError;
use plixo_store::{CommitError, StoreError};

/// A field that cannot be used: where it is and what is wrong, never what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Its JSON pointer (RFC 6901).
    pub pointer: String,
    /// What to do.
    pub detail: String,
}

impl FieldError {
    /// The error of the field at `pointer`.
    #[must_use]
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such thing, or no such thing for this caller.
    #[error("there is no such thing")]
    NotFound,
    /// The session was ended.
    #[error("the session has ended: sign in again")]
    SessionEnded,
    /// The member's role does not allow it.
    #[error("the role does not allow it")]
    Forbidden,
    /// The organisation does not let its staff in from that address.
    #[error("the organisation does not let its staff in from this address")]
    IpNotAllowed,
    /// The organisation wants two factors.
    #[error("the organisation requires two-factor sign-in: set it up and sign in again")]
    TwoFactorRequired,
    /// Fields that cannot be used.
    #[error("the request has fields that cannot be used")]
    Invalid(Vec<FieldError>),
    /// What is there does not allow the change. A stable word, and what to do.
    #[error("{detail}")]
    State {
        /// A stable snake_case word.
        code: &'static str,
        /// What to do.
        detail: String,
        /// The field of the request that it is about, a JSON pointer.
        pointer: Option<String>,
    },
    /// It was changed since the caller read it.
    #[error("it was changed since it was read: read it again")]
    Stale,
    /// The idempotency key came before with another request.
    #[error("the idempotency key was used for another request: use a new one")]
    KeyReused,
    /// Others kept changing the same rows.
    #[error("others changed the same things at the same time: try again")]
    Overtaken,
    /// AWS did not do its part. The cause is for the log.
    #[error("{0}")]
    Unavailable(String),
    /// Our mistake. The cause is for the log.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        if error.is_passing() {
            Self::Unavailable(error.to_string())
        } else {
            Self::Internal(error.to_string())
        }
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::Overtaken,
            CommitError::Store(error) => error.into(),
        }
    }
}

impl From<StaffError> for Refusal {
    fn from(error: StaffError) -> Self {
        match error {
            StaffError::Invalid(fields) => Self::Invalid(
                fields.into_iter().map(|field| FieldError::new(field.pointer, field.why)).collect(),
            ),
            StaffError::Missing(_) => Self::NotFound,
            error => Self::State {
                code: error.code(),
                detail: error.to_string(),
                pointer: error.pointer().map(str::to_owned),
            },
        }
    }
}
