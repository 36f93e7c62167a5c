use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::Secret;

/// The name in KMS's encryption context whose value is the organisation's id. The context holds nothing else.
pub const ENCRYPTION_CONTEXT_KEY: &str = "org";

/// The port to KMS: the stack's key wraps and unwraps organisations' keys.
///
/// Adapters answer in bounded time (they set the timeouts), ask KMS for 32 bytes, and pass
/// `{`[`ENCRYPTION_CONTEXT_KEY`]`: organisation}`. A future of theirs may be dropped at any point.
pub trait KeyService: Send + Sync {
    /// A new key and its wrapped form (KMS `GenerateDataKey`).
    fn generate_key(
        &self,
        organisation: &str,
    ) -> impl Future<Output = Result<GeneratedKey, KeyFailure>> + Send;

    /// The key inside a wrapped form (KMS `Decrypt`).
    fn unwrap_key(
        &self,
        organisation: &str,
        wrapped: &[u8],
    ) -> impl Future<Output = Result<Secret, KeyFailure>> + Send;
}

impl<S: KeyService> KeyService for Arc<S> {
    fn generate_key(
        &self,
        organisation: &str,
    ) -> impl Future<Output = Result<GeneratedKey, KeyFailure>> + Send {
        S::generate_key(self, organisation)
    }

    fn unwrap_key(
        &self,
        organisation: &str,
        wrapped: &[u8],
    ) -> impl Future<Output = Result<Secret, KeyFailure>> + Send {
        S::unwrap_key(self, organisation, wrapped)
    }
}

/// No keys: nothing that is sealed is opened.
#[derive(Debug, Clone, Copy)]
pub struct NoKeys;

impl KeyService for NoKeys {
    async fn generate_key(&self, _: &str) -> Result<GeneratedKey, KeyFailure> {
        Err(KeyFailure::refused("this function makes no keys"))
    }

    async fn unwrap_key(&self, _: &str, _: &[u8]) -> Result<Secret, KeyFailure> {
        Err(KeyFailure::refused("this function opens no keys"))
    }
}

/// A key just made.
#[derive(Debug)]
pub struct GeneratedKey {
    /// The key itself.
    pub secret: Secret,
    /// What unwraps to it.
    pub wrapped: Vec<u8>,
}

/// Why there is no key. It is cloned to all who waited for the same call. Its source is the cause given.
#[derive(Debug, Clone)]
pub enum KeyFailure {
    /// Throttled, unavailable, timed out: the same call may succeed later.
    Retryable(Arc<dyn StdError + Send + Sync>),
    /// Wrong organisation, invalid wrapped key, no access, no such row: the same call fails again until someone acts.
    Refused(Arc<dyn StdError + Send + Sync>),
}

impl fmt::Display for KeyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retryable(_) => "the key cannot be had now",
            Self::Refused(_) => "the key is refused",
        })
    }
}

// By hand, because a derived `source` would be the `Arc`, which hides the cause's type from `downcast_ref`.
impl StdError for KeyFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let (Self::Retryable(cause) | Self::Refused(cause)) = self;
        Some(&**cause)
    }
}

impl KeyFailure {
    /// A failure that may pass.
    pub fn retryable(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Retryable(cause.into().into())
    }

    /// A failure that stays.
    pub fn refused(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Refused(cause.into().into())
    }
}

impl From<crate::Error> for KeyFailure {
    fn from(error: crate::Error) -> Self {
        Self::refused(error)
    }
}
