#![doc = include_str!("../README.md")]

pub mod cashier;
pub mod letters;
pub mod links;

use plixo_aws::AwsError;
use plixo_store::StoreError;

/// Why something was not done that is nobody's fault outside. The cause is for the log.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    /// AWS or Stripe did not do its part: it may work later.
    #[error("{0}")]
    Unavailable(String),
    /// Our mistake.
    #[error("{0}")]
    Internal(String),
}

impl From<AwsError> for Trouble {
    fn from(error: AwsError) -> Self {
        match error {
            AwsError::Unavailable { .. } => Self::Unavailable(error.to_string()),
            AwsError::Refused { .. } => Self::Internal(error.to_string()),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        if error.is_passing() {
            Self::Unavailable(error.to_string())
        } else {
            Self::Internal(error.to_string())
        }
    }
}
