//! The vault: Secrets Manager.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use plixo_domain::secret::Secret;

use crate::{AwsError, from_sdk};

const SERVICE: &str = "Secrets Manager";

/// The port to a vault that is read.
pub trait ReadSecret: Send + Sync {
    /// The secret of that name, or `None` where there is none.
    ///
    /// # Errors
    /// [`AwsError`].
    fn read_secret(&self, name: &str) -> impl Future<Output = Result<Option<Secret>, AwsError>> + Send;
}

/// The secrets whose names begin with one prefix.
#[derive(Debug, Clone)]
pub struct Vault {
    client: Client,
    prefix: String,
}

impl Vault {
    /// The secrets below `prefix`, which ends with a slash.
    #[must_use]
    pub fn new(config: &SdkConfig, prefix: String) -> Self {
        let config =
            aws_sdk_secretsmanager::config::Builder::from(config).interceptor(crate::calls::Calls).build();
        Self { client: Client::from_conf(config), prefix }
    }

    /// Makes a secret, or gives the one of that name a new value, encrypted under the KMS key `key_arn`.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn put(&self, name: &str, value: &Secret, key_arn: Option<&str>) -> Result<(), AwsError> {
        let name = format!("{}{name}", self.prefix);
        let create = self.client.create_secret().name(&name).secret_string(value.reveal());
        match create.set_kms_key_id(key_arn.map(str::to_owned)).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_exists_exception()) => {
                let put = self.client.put_secret_value().secret_id(name).secret_string(value.reveal());
                put.send().await.map(drop).map_err(|error| from_sdk(SERVICE, error))
            }
            Err(error) => Err(from_sdk(SERVICE, error)),
        }
    }
}

/// Also one that is marked for deletion, which is an invalid request to Secrets Manager.
fn is_gone(error: &GetSecretValueError) -> bool {
    error.is_resource_not_found_exception() || error.is_invalid_request_exception()
}

impl ReadSecret for Vault {
    async fn read_secret(&self, name: &str) -> Result<Option<Secret>, AwsError> {
        let asked = self.client.get_secret_value().secret_id(format!("{}{name}", self.prefix));
        match asked.send().await {
            Ok(found) => Ok(found.secret_string.map(Secret::new)),
            Err(error) if error.as_service_error().is_some_and(is_gone) => Ok(None),
            Err(error) => Err(from_sdk(SERVICE, error)),
        }
    }
}
