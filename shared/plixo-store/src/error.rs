use plixo_aws::AwsError;
use plixo_envelope::KeyFailure;

use crate::tables::WriteError;

/// Why rows could not be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// AWS did not do it.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The organisation's key cannot be had.
    #[error("{}: {}", .0, key_cause(.0))]
    Key(#[from] KeyFailure),
    /// Something sealed does not open.
    #[error(transparent)]
    Sealed(#[from] plixo_envelope::Error),
    /// Something stored is not what this code writes.
    #[error("stored data: {0}")]
    Corrupt(String),
    /// A transaction of more than 100 rows.
    #[error("{0} rows at once, and a transaction holds 100")]
    TooManyRows(usize),
    /// The random generator failed.
    #[error("no randomness to be had")]
    NoRandomness,
}

/// There is no data key: it was destroyed, or there is no such organisation.
#[derive(Debug, thiserror::Error)]
#[error("the organisation has no data key")]
pub(crate) struct NoDataKey;

fn key_cause(failure: &KeyFailure) -> &(dyn std::error::Error + 'static) {
    match failure {
        KeyFailure::Retryable(cause) | KeyFailure::Refused(cause) => &**cause,
    }
}

impl StoreError {
    /// Whether the same may work later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Aws(AwsError::Unavailable { .. })
                | Self::Key(KeyFailure::Retryable(_))
                | Self::NoRandomness
        )
    }

    /// Whether there is no data key, as there is none once the organisation was closed and its time of grace is over: nothing of it opens
    /// any more, and nothing can be sealed. A key that is there and refused is something else.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Key(KeyFailure::Refused(cause)) if cause.is::<NoDataKey>())
    }
}

/// Why a commit changed nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// A row was changed since it was read: read again and do the work anew.
    #[error("a row was changed meanwhile")]
    Conflict,
    /// Anything else.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<WriteError> for CommitError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Conflict => Self::Conflict,
            WriteError::Store(error) => Self::Store(error),
        }
    }
}
