//! The endpoints that this process knows, from the vault.

use std::sync::Arc;

use jiff::Timestamp;
use plixo_aws::AwsError;
use plixo_aws::secrets::ReadSecret;
use plixo_domain::id::EndpointId;
use plixo_domain::webhook::{EndpointState, Provider, VaultEntry};
use plixo_lambda::recent::Recent;

/// How long an endpoint's secrets are kept in memory, seconds: so long a rotated secret is not known here.
const KNOWN_SECONDS: i64 = 60;
/// How long an endpoint is remembered as unknown, seconds: guessing the same id again costs no call, and an endpoint that
/// is made or enabled after somebody asked for it is not kept waiting for long.
const UNKNOWN_SECONDS: i64 = 60;
/// How many of each are remembered; the oldest give way. Known ones have room of their own, so guessing drives none out.
const ROOM: usize = 4096;

/// Endpoints by id, read through to the vault.
#[derive(Debug)]
pub(crate) struct Endpoints<V> {
    vault: V,
    takes: fn(Provider) -> bool,
    known: Recent<EndpointId, Arc<VaultEntry>>,
    unknown: Recent<EndpointId, ()>,
}

/// Why an endpoint is not to be had.
#[derive(Debug)]
pub(crate) enum Absent {
    /// There is none of that id, or it takes no events.
    NotFound,
    /// The vault did not say.
    Vault(AwsError),
    /// The vault holds something that is no entry of an endpoint.
    Unreadable,
}

impl<V: ReadSecret> Endpoints<V> {
    /// Endpoints of the providers that are taken.
    pub(crate) fn new(vault: V, takes: fn(Provider) -> bool) -> Self {
        let (known, unknown) = (Recent::new(KNOWN_SECONDS, ROOM), Recent::new(UNKNOWN_SECONDS, ROOM));
        Self { vault, takes, known, unknown }
    }

    /// The enabled endpoint of that id.
    pub(crate) async fn get(&self, id: &EndpointId, now: Timestamp) -> Result<Arc<VaultEntry>, Absent> {
        if let Some(entry) = self.known.get(id, now) {
            return Ok(entry);
        }
        if self.unknown.get(id, now).is_some() {
            return Err(Absent::NotFound);
        }
        let Some(text) = self.vault.read_secret(&id.to_string()).await.map_err(Absent::Vault)? else {
            self.unknown.keep(*id, now, ());
            return Err(Absent::NotFound);
        };
        let entry: VaultEntry = serde_json::from_str(text.reveal()).map_err(|_| Absent::Unreadable)?;
        if entry.v != VaultEntry::VERSION {
            return Err(Absent::Unreadable);
        }
        if !(self.takes)(entry.provider) || entry.state != EndpointState::Enabled {
            self.unknown.keep(*id, now, ());
            return Err(Absent::NotFound);
        }
        let entry = Arc::new(entry);
        self.known.keep(*id, now, Arc::clone(&entry));
        Ok(entry)
    }
}
