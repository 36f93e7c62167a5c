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

/// The port to a vault whose secrets are made and changed.
pub trait KeepSecret: ReadSecret {
    /// Makes a secret; false where there is one of that name already, which stays as it is.
    ///
    /// # Errors
    /// [`AwsError`].
    fn create_secret(
        &self,
        name: &str,
        value: &Secret,
    ) -> impl Future<Output = Result<bool, AwsError>> + Send;

    /// The secret of that name with its version, or `None` where there is none.
    ///
    /// # Errors
    /// [`AwsError`].
    fn read_version(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<(Secret, String)>, AwsError>> + Send;

    /// Gives a secret a new value if it still has the version `seen`. False where it has moved on: read it again.
    ///
    /// # Errors
    /// [`AwsError`]: nobody knows whether it has the new value.
    fn replace_secret(
        &self,
        name: &str,
        value: &Secret,
        seen: &str,
    ) -> impl Future<Output = Result<bool, AwsError>> + Send;
}

/// The port to a vault one of whose secrets is rotated, in the steps of
/// [Secrets Manager's](https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html).
pub trait RotateSecret: KeepSecret {
    /// The version of that id, if it is there.
    ///
    /// # Errors
    /// [`AwsError`].
    fn read_pending(
        &self,
        name: &str,
        version: &str,
    ) -> impl Future<Output = Result<Option<Secret>, AwsError>> + Send;

    /// Makes a version of that id, which nobody gets who does not ask for it.
    ///
    /// # Errors
    /// [`AwsError`].
    fn put_pending(
        &self,
        name: &str,
        version: &str,
        value: &Secret,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Makes a version current in the place of `seen`, which is kept as the previous one.
    ///
    /// # Errors
    /// [`AwsError`].
    fn make_current(
        &self,
        name: &str,
        version: &str,
        seen: &str,
    ) -> impl Future<Output = Result<(), AwsError>> + Send;
}

/// The label of the version that readers get.
const CURRENT: &str = "AWSCURRENT";
/// The label of a version that is to become current.
const PENDING: &str = "AWSPENDING";

/// The secrets whose names begin with one prefix.
#[derive(Debug, Clone)]
pub struct Vault {
    client: Client,
    prefix: String,
    key_arn: Option<String>,
}

impl Vault {
    /// The secrets below `prefix`, which ends with a slash.
    #[must_use]
    pub fn new(config: &SdkConfig, prefix: String) -> Self {
        let config =
            aws_sdk_secretsmanager::config::Builder::from(config).interceptor(crate::calls::Calls).build();
        Self { client: Client::from_conf(config), prefix, key_arn: None }
    }

    /// New secrets are encrypted under the KMS key `key_arn`.
    #[must_use]
    pub fn under(self, key_arn: String) -> Self {
        Self { key_arn: Some(key_arn), ..self }
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
        Ok(self.read_version(name).await?.map(|(secret, _)| secret))
    }
}

impl KeepSecret for Vault {
    async fn create_secret(&self, name: &str, value: &Secret) -> Result<bool, AwsError> {
        let create = self.client.create_secret().name(format!("{}{name}", self.prefix));
        let create = create.secret_string(value.reveal()).set_kms_key_id(self.key_arn.clone());
        match create.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_exists_exception()) => {
                Ok(false)
            }
            Err(error) => Err(from_sdk(SERVICE, error)),
        }
    }

    async fn read_version(&self, name: &str) -> Result<Option<(Secret, String)>, AwsError> {
        let asked = self.client.get_secret_value().secret_id(format!("{}{name}", self.prefix));
        match asked.send().await {
            Ok(found) => {
                let version = found.version_id.unwrap_or_default();
                Ok(found.secret_string.map(|text| (Secret::new(text), version)))
            }
            Err(error) if error.as_service_error().is_some_and(is_gone) => Ok(None),
            Err(error) => Err(from_sdk(SERVICE, error)),
        }
    }

    // A new version becomes current only where the one that was read still is: Secrets Manager moves the label off that
    // version or not at all
    // (https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html).
    async fn replace_secret(&self, name: &str, value: &Secret, seen: &str) -> Result<bool, AwsError> {
        let name = format!("{}{name}", self.prefix);
        let put = self.client.put_secret_value().secret_id(&name).secret_string(value.reveal());
        let put = put.version_stages(PENDING).send().await.map_err(|error| from_sdk(SERVICE, error))?;
        let version = put.version_id.unwrap_or_default();
        let moved = self.client.update_secret_version_stage().secret_id(name).version_stage(CURRENT);
        match moved.move_to_version_id(version).remove_from_version_id(seen).send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_invalid_parameter_exception()) => {
                Ok(false)
            }
            Err(error) => Err(from_sdk(SERVICE, error)),
        }
    }
}

impl RotateSecret for Vault {
    async fn read_pending(&self, name: &str, version: &str) -> Result<Option<Secret>, AwsError> {
        let asked = self.client.get_secret_value().secret_id(format!("{}{name}", self.prefix));
        match asked.version_id(version).send().await {
            Ok(found) => Ok(found.secret_string.map(Secret::new)),
            Err(error) if error.as_service_error().is_some_and(is_gone) => Ok(None),
            Err(error) => Err(from_sdk(SERVICE, error)),
        }
    }

    async fn put_pending(&self, name: &str, version: &str, value: &Secret) -> Result<(), AwsError> {
        let put = self.client.put_secret_value().secret_id(format!("{}{name}", self.prefix));
        let put = put.client_request_token(version).secret_string(value.reveal()).version_stages(PENDING);
        put.send().await.map(drop).map_err(|error| from_sdk(SERVICE, error))
    }

    async fn make_current(&self, name: &str, version: &str, seen: &str) -> Result<(), AwsError> {
        let moved = self.client.update_secret_version_stage().version_stage(CURRENT);
        let moved = moved.secret_id(format!("{}{name}", self.prefix)).move_to_version_id(version);
        let moved = moved.remove_from_version_id(seen).send().await;
        moved.map(drop).map_err(|error| from_sdk(SERVICE, error))
    }
}
