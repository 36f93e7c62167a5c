//! Keys that come of a KMS key which never leaves KMS.

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::MacAlgorithmSpec;
use zeroize::Zeroizing;

use crate::{AwsError, from_sdk};

const SERVICE: &str = "KMS";

/// A KMS key for HMAC-SHA-256.
#[derive(Debug, Clone)]
pub struct MacKey {
    client: Client,
    key_arn: String,
}

impl MacKey {
    /// The key of that ARN.
    #[must_use]
    pub fn new(config: &SdkConfig, key_arn: String) -> Self {
        let config = aws_sdk_kms::config::Builder::from(config).interceptor(crate::calls::Calls).build();
        Self { client: Client::from_conf(config), key_arn }
    }

    /// The key of 32 bytes that this one gives for a purpose: always the same, and of no use for another purpose.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, AwsError> {
        let asked = self.client.generate_mac().key_id(&self.key_arn);
        let asked = asked.mac_algorithm(MacAlgorithmSpec::HmacSha256).message(Blob::new(purpose));
        let made = asked.send().await.map_err(|error| from_sdk(SERVICE, error))?;
        let mac = Zeroizing::new(made.mac.map(Blob::into_inner).unwrap_or_default());
        let key = <[u8; 32]>::try_from(mac.as_slice()).map(Zeroizing::new);
        let cause = "KMS answered with no code of 32 bytes".to_owned();
        key.map_err(|_| AwsError::Refused { service: SERVICE, cause })
    }
}
