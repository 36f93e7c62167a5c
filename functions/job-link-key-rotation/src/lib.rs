#![doc = include_str!("../README.md")]

#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use plixo_aws::AwsError;
use plixo_aws::secrets::RotateSecret;
use plixo_domain::id::from_bytes;
use plixo_domain::secret::Secret;
use plixo_lambda::batch::TaskError;
use plixo_lambda::line::Line;
use plixo_links::{Claims, Keyring, Purpose};
use serde::Deserialize;

/// This function's name.
pub const FUNCTION: &str = "job-link-key-rotation";

/// Draws 32 random bytes; `None` if that fails.
type Entropy = fn() -> Option<[u8; 32]>;

/// What Secrets Manager asks for
/// ([rotation functions](https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html)).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Rotation {
    secret_id: String,
    client_request_token: String,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Step {
    #[serde(rename = "createSecret")]
    Create,
    #[serde(rename = "setSecret")]
    Set,
    #[serde(rename = "testSecret")]
    Test,
    #[serde(rename = "finishSecret")]
    Finish,
}

/// Who gives the links a new key.
#[derive(Debug)]
pub struct Rotator<V> {
    vault: V,
    secret: String,
    entropy: Entropy,
}

impl<V: RotateSecret> Rotator<V> {
    /// One that rotates the secret of that name, and no other.
    #[must_use]
    pub fn new(vault: V, secret: String, entropy: Entropy) -> Self {
        Self { vault, secret, entropy }
    }

    /// Does one step. Each may be done again at any time.
    pub async fn handle(&self, asked: &Rotation, mut line: Line) -> (Result<(), TaskError>, Line) {
        let now = line.timestamp;
        line.outcome = match asked.step {
            Step::Create => "created",
            // The keys are used nowhere but by those who read the secret.
            Step::Set => "set",
            Step::Test => "tested",
            Step::Finish => "finished",
        };
        let version = &asked.client_request_token;
        let done = if asked.secret_id == self.secret {
            match asked.step {
                Step::Create => self.create(version, now).await,
                Step::Set => Ok(()),
                Step::Test => self.test(version, now).await,
                Step::Finish => self.finish(version).await,
            }
        } else {
            Err(TaskError::Permanent("this is not the secret of the link keys".to_owned()))
        };
        if done.is_err() {
            line.outcome = "failed";
        }
        (done, line)
    }

    async fn create(&self, version: &str, now: Timestamp) -> Result<(), TaskError> {
        if self.vault.read_pending(&self.secret, version).await.map_err(failed)?.is_some() {
            return Ok(());
        }
        let (current, current_version) = self.current().await?;
        if current_version == version {
            return Ok(());
        }
        let drawn =
            (self.entropy)().ok_or_else(|| TaskError::Retryable("no randomness to be had".to_owned()))?;
        let rotated = current.rotated(Secret::new(hex::encode(drawn)), now).map_err(odd)?;
        let written = rotated.write().map_err(odd)?;
        self.vault.put_pending(&self.secret, version, &written).await.map_err(failed)
    }

    /// Whether the new keys can be read, hold good what the old ones have signed, and will sign.
    async fn test(&self, version: &str, now: Timestamp) -> Result<(), TaskError> {
        let pending = self.vault.read_pending(&self.secret, version).await.map_err(failed)?;
        let Some(pending) = pending else {
            return Err(TaskError::Permanent("there is no pending version to test".to_owned()));
        };
        let (new, (old, _)) = (Keyring::read(&pending).map_err(odd)?, self.current().await?);
        let tomorrow = now.saturating_add(SignedDuration::from_hours(24)).unwrap_or(now);
        for (keyring, at) in [(&old, now), (&new, now), (&new, tomorrow)] {
            // Tokens tell whole seconds.
            let expires_at = Timestamp::from_second(at.as_second().saturating_add(3600)).unwrap_or(at);
            let [org, invoice, link] = [[0; 16], [1; 16], [2; 16]];
            let (org, invoice, link) = (from_bytes(org), from_bytes(invoice), from_bytes(link));
            let claims = Claims { purpose: Purpose::Link, org, invoice, link, expires_at };
            let token = keyring.sign(&claims, at);
            if token.is_none_or(|token| new.verify(token.reveal(), Purpose::Link, at) != Ok(claims)) {
                return Err(TaskError::Permanent(
                    "the pending keys would refuse links that are good".to_owned(),
                ));
            }
        }
        Ok(())
    }

    async fn finish(&self, version: &str) -> Result<(), TaskError> {
        let (_, current) = self.current().await?;
        if current == version {
            return Ok(());
        }
        self.vault.make_current(&self.secret, version, &current).await.map_err(failed)
    }

    async fn current(&self) -> Result<(Keyring, String), TaskError> {
        let found = self.vault.read_version(&self.secret).await.map_err(failed)?;
        let (secret, version) =
            found.ok_or_else(|| TaskError::Permanent("the vault has no link keys".to_owned()))?;
        Ok((Keyring::read(&secret).map_err(odd)?, version))
    }
}

fn failed(error: AwsError) -> TaskError {
    match error {
        AwsError::Unavailable { .. } => TaskError::Retryable(error.to_string()),
        AwsError::Refused { .. } => TaskError::Permanent(error.to_string()),
    }
}

fn odd(error: plixo_links::KeyringError) -> TaskError {
    TaskError::Permanent(error.to_string())
}
