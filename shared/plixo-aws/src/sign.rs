//! A KMS key that signs and never leaves KMS.

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};

use crate::{AwsError, from_sdk};

const SERVICE: &str = "KMS";

/// A KMS key for ECDSA over P-256 with SHA-256.
#[derive(Debug, Clone)]
pub struct SigningKey {
    client: Client,
    key_arn: String,
}

impl SigningKey {
    /// The key of that ARN.
    #[must_use]
    pub fn new(config: &SdkConfig, key_arn: String) -> Self {
        let config = aws_sdk_kms::config::Builder::from(config).interceptor(crate::calls::Calls).build();
        Self { client: Client::from_conf(config), key_arn }
    }
}

/// The port to a key that signs.
pub trait Sign: Send + Sync {
    /// The key's public half: `SubjectPublicKeyInfo`, DER.
    ///
    /// # Errors
    /// [`AwsError`].
    fn public_key(&self) -> impl Future<Output = Result<Vec<u8>, AwsError>> + Send;

    /// The signature of a message of at most 4,096 bytes, DER.
    ///
    /// # Errors
    /// [`AwsError`].
    fn sign(&self, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, AwsError>> + Send;
}

impl Sign for SigningKey {
    async fn public_key(&self) -> Result<Vec<u8>, AwsError> {
        let asked = self.client.get_public_key().key_id(&self.key_arn);
        let told = asked.send().await.map_err(|error| from_sdk(SERVICE, error))?;
        Ok(told.public_key.map(Blob::into_inner).unwrap_or_default())
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AwsError> {
        let asked = self.client.sign().key_id(&self.key_arn).message(Blob::new(message));
        let asked = asked.message_type(MessageType::Raw).signing_algorithm(SigningAlgorithmSpec::EcdsaSha256);
        let signed = asked.send().await.map_err(|error| from_sdk(SERVICE, error))?;
        Ok(signed.signature.map(Blob::into_inner).unwrap_or_default())
    }
}
