//! The stack's KMS key, which wraps organisations' data keys.

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use plixo_envelope::{ENCRYPTION_CONTEXT_KEY, GeneratedKey, KeyFailure, KeyService, Secret};
use zeroize::Zeroizing;

use crate::{AwsError, from_sdk};

const SERVICE: &str = "KMS";

/// A KMS key.
#[derive(Debug, Clone)]
pub struct Kms {
    client: Client,
    key_arn: String,
}

impl Kms {
    /// The key of that ARN.
    #[must_use]
    pub fn new(config: &SdkConfig, key_arn: String) -> Self {
        let config = aws_sdk_kms::config::Builder::from(config).interceptor(crate::calls::Calls).build();
        Self { client: Client::from_conf(config), key_arn }
    }

    /// Asks what the key is, which opens the connection and shows that the key is there.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn connect(&self) -> Result<(), AwsError> {
        let asked = self.client.describe_key().key_id(&self.key_arn);
        asked.send().await.map(drop).map_err(|error| from_sdk(SERVICE, error))
    }
}

fn failure(error: AwsError) -> KeyFailure {
    match error {
        AwsError::Unavailable { .. } => KeyFailure::retryable(error),
        AwsError::Refused { .. } => KeyFailure::refused(error),
    }
}

fn secret(plaintext: Option<Blob>) -> Result<Secret, KeyFailure> {
    let plaintext = Zeroizing::new(plaintext.map(Blob::into_inner).unwrap_or_default());
    Secret::from_slice(&plaintext).ok_or_else(|| KeyFailure::refused("KMS answered with no key of 32 bytes"))
}

impl KeyService for Kms {
    async fn generate_key(&self, organisation: &str) -> Result<GeneratedKey, KeyFailure> {
        let asked = self.client.generate_data_key().key_id(&self.key_arn).key_spec(DataKeySpec::Aes256);
        let asked = asked.encryption_context(ENCRYPTION_CONTEXT_KEY, organisation);
        let made = asked.send().await.map_err(|error| failure(from_sdk(SERVICE, error)))?;
        let wrapped = made.ciphertext_blob.map(Blob::into_inner).unwrap_or_default();
        Ok(GeneratedKey { secret: secret(made.plaintext)?, wrapped })
    }

    async fn unwrap_key(&self, organisation: &str, wrapped: &[u8]) -> Result<Secret, KeyFailure> {
        let asked = self.client.decrypt().key_id(&self.key_arn).ciphertext_blob(Blob::new(wrapped));
        let asked = asked.encryption_context(ENCRYPTION_CONTEXT_KEY, organisation);
        let opened = asked.send().await.map_err(|error| failure(from_sdk(SERVICE, error)))?;
        secret(opened.plaintext)
    }
}
