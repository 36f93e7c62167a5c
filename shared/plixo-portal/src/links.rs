//! The keys that sign links.

use std::sync::Arc;

use jiff::Timestamp;
use plixo_aws::secrets::ReadSecret;
use plixo_domain::id::OrgId;
use plixo_domain::ledger::PortalLink;
use plixo_domain::secret::Secret;
use plixo_lambda::recent::Recent;
use plixo_links::{Claims, Keyring, Purpose};

use crate::Trouble;

/// How long the keys are kept in memory, seconds. `plixo-links` counts on it.
const KEPT_SECONDS: i64 = 300;

/// The keys, read through to the vault.
#[derive(Debug)]
pub struct LinkKeys<V> {
    vault: V,
    secret: String,
    known: Recent<(), Arc<Keyring>>,
}

impl<V: ReadSecret> LinkKeys<V> {
    /// The keys in the secret of that name.
    #[must_use]
    pub fn new(vault: V, secret: String) -> Self {
        Self { vault, secret, known: Recent::new(KEPT_SECONDS, 1) }
    }

    /// The keys as they were at most 5 minutes ago.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn get(&self, now: Timestamp) -> Result<Arc<Keyring>, Trouble> {
        if let Some(keyring) = self.known.get(&(), now) {
            return Ok(keyring);
        }
        let secret = self.vault.read_secret(&self.secret).await?;
        let secret = secret.ok_or_else(|| Trouble::Internal("the vault has no link keys".to_owned()))?;
        let keyring = Keyring::read(&secret).map_err(|error| Trouble::Internal(error.to_string()))?;
        let keyring = Arc::new(keyring);
        self.known.keep((), now, Arc::clone(&keyring));
        Ok(keyring)
    }

    /// Where a link opens. Whoever has it can open it.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn url(
        &self,
        base_url: &str,
        org: &OrgId,
        link: &PortalLink,
        now: Timestamp,
    ) -> Result<Secret, Trouble> {
        let (invoice, expires_at) = (link.invoice, link.expires_at);
        let claims = Claims { purpose: Purpose::Link, org: *org, invoice, link: link.id, expires_at };
        let token = self.get(now).await?.sign(&claims, now);
        let token = token.ok_or_else(|| Trouble::Internal("a link beyond all times".to_owned()))?;
        Ok(Secret::new(format!("{base_url}/p/{}", token.reveal())))
    }
}
