//! One source, as it is read: its credentials, and requests with a token that opens.

use jiff::Timestamp;
use plixo_aws::secrets::KeepSecret;
use plixo_domain::secret::Secret;
use plixo_domain::source::SourceEntry;
use plixo_webhooks::canonical::external_id;

use crate::ask::Account;
use crate::error::sort;
use crate::http::{Request, Said};
use crate::token::{self, Denied, Granted};
use crate::{Erp, ErpError, Of};

/// How often others may be faster.
const TRIES: usize = 4;

/// What is read, with a token.
pub(crate) struct Session<'a, V> {
    erp: &'a Erp<V>,
    of: Of<'a>,
    now: Timestamp,
    pub(crate) entry: SourceEntry,
    token: Secret,
}

impl<'a, V: KeepSecret> Session<'a, V> {
    pub(crate) async fn open(erp: &'a Erp<V>, of: Of<'a>, now: Timestamp) -> Result<Self, ErpError> {
        let (entry, token) = erp.access(of, None, now).await?;
        Ok(Self { erp, of, now, entry, token })
    }

    pub(crate) fn account(&self) -> Result<Account<'_>, ErpError> {
        Account::new(&self.entry, &self.erp.urls)
    }

    /// What is answered. A token that opens nothing is changed for a new one, once.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Said, ErpError> {
        let said = self.send(request).await?;
        if said.status != 401 {
            return Ok(said);
        }
        (self.entry, self.token) = self.erp.access(self.of, Some(&self.token), self.now).await?;
        self.send(request).await
    }

    /// What is answered well.
    pub(crate) async fn need(&mut self, request: &Request) -> Result<Vec<u8>, ErpError> {
        let said = self.ask(request).await?;
        if (200..300).contains(&said.status) { Ok(said.body) } else { Err(sort(&said)) }
    }

    async fn send(&self, request: &Request) -> Result<Said, ErpError> {
        let bearer = format!("Bearer {}", self.token.reveal());
        self.erp.http.send(&request.clone().with("authorization", bearer)).await
    }
}

impl<V: KeepSecret> Erp<V> {
    /// What the vault holds of a source, and an access token of it: the one that is there, or a new one in place of one that ends or
    /// was `refused`. What is new is in the vault before anybody uses it.
    async fn access(
        &self,
        of: Of<'_>,
        refused: Option<&Secret>,
        now: Timestamp,
    ) -> Result<(SourceEntry, Secret), ErpError> {
        let mut was_paused = false;
        for _ in 0..TRIES {
            let (entry, version) = self.entry(of).await?;
            if let Some(token) = token::fresh(&entry, refused, now) {
                let token = token.clone();
                return Ok((entry, token));
            }
            let said = self.http.send(&token::request(&entry, &self.urls)?).await?;
            match token::granted(&said) {
                Ok(granted) => {
                    if let Some(saved) = self.save(of, &entry, &version, granted, now).await? {
                        return Ok(saved);
                    }
                }
                Err(Denied::Other(error)) => return Err(error),
                // Of two who refresh at once, the first may have spent the token, and not saved what it got for it yet.
                Err(Denied::Grant) => {
                    if !was_paused {
                        tokio::time::sleep(self.pause).await;
                    }
                    if was_paused || self.entry(of).await?.1 == version {
                        return Err(ErpError::Refused("invalid_grant".to_owned()));
                    }
                    was_paused = true;
                }
            }
        }
        Err(ErpError::unavailable("others change its credentials all the time"))
    }

    /// Saves what was granted; `None` where the entry has changed since it was read: then that counts.
    async fn save(
        &self,
        of: Of<'_>,
        entry: &SourceEntry,
        version: &str,
        granted: Granted,
        now: Timestamp,
    ) -> Result<Option<(SourceEntry, Secret)>, ErpError> {
        let renewed = token::renewed(entry, granted, now)?;
        let token =
            renewed.access.as_ref().map(|access| access.token.clone()).ok_or_else(token::unreadable)?;
        let text = serde_json::to_string(&renewed).map_err(|_| token::unreadable())?;
        let (name, text) = (of.source.to_string(), Secret::new(text));
        let saved = match self.vault.replace_secret(&name, &text, version).await {
            Ok(saved) => saved,
            // Nobody knows whether it was saved, and the refresh token in it may be the only one that is good.
            Err(_) => {
                let (there, current) = self.entry(of).await?;
                there == renewed
                    || (current == version && self.vault.replace_secret(&name, &text, version).await?)
            }
        };
        Ok(saved.then_some((renewed, token)))
    }

    /// What the vault holds, with its version.
    async fn entry(&self, of: Of<'_>) -> Result<(SourceEntry, String), ErpError> {
        let found = self.vault.read_version(&of.source.to_string()).await?;
        let (secret, version) = found.ok_or(ErpError::NoSource)?;
        let entry: SourceEntry = serde_json::from_str(secret.reveal()).map_err(|_| token::unreadable())?;
        if entry.v > SourceEntry::VERSION {
            return Err(token::unreadable());
        }
        // Events name a realm that could be a card number by its hash.
        let is_account = entry.account == *of.account
            || external_id(entry.account.as_str()).is_some_and(|name| name == *of.account);
        let is_it = entry.org == *of.org && entry.kind == of.kind && is_account && entry.is_connected();
        if is_it { Ok((entry, version)) } else { Err(ErpError::NoSource) }
    }
}
