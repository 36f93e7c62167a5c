//! The endpoints that this process knows, from the vault.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use plixo_aws::AwsError;
use plixo_aws::secrets::ReadSecret;
use plixo_domain::id::EndpointId;
use plixo_domain::webhook::{EndpointState, Provider, VaultEntry};

/// How long an endpoint's secrets are kept in memory, seconds: so long a rotated secret is not known here.
const KNOWN_SECONDS: i64 = 60;
/// How long an endpoint is remembered as unknown, seconds: guessing the same id again costs no call, and an endpoint that
/// is made or enabled after somebody asked for it is not kept waiting for long.
const UNKNOWN_SECONDS: i64 = 60;
/// How many of each are remembered; the oldest give way. Known ones have room of their own, so guessing drives none out.
const ROOM: usize = 4096;

type Remembered<T> = BTreeMap<EndpointId, (Timestamp, T)>;

/// Endpoints by id, read through to the vault.
#[derive(Debug)]
pub(crate) struct Endpoints<V> {
    vault: V,
    known: Mutex<Remembered<Arc<VaultEntry>>>,
    unknown: Mutex<Remembered<()>>,
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
    pub(crate) fn new(vault: V) -> Self {
        Self { vault, known: Mutex::default(), unknown: Mutex::default() }
    }

    /// The enabled Stripe endpoint of that id.
    pub(crate) async fn get(&self, id: &EndpointId, now: Timestamp) -> Result<Arc<VaultEntry>, Absent> {
        if let Some(entry) = recall(&self.known, id, now, KNOWN_SECONDS) {
            return Ok(entry);
        }
        if recall(&self.unknown, id, now, UNKNOWN_SECONDS).is_some() {
            return Err(Absent::NotFound);
        }
        let Some(text) = self.vault.read_secret(&id.to_string()).await.map_err(Absent::Vault)? else {
            remember(&self.unknown, *id, now, ());
            return Err(Absent::NotFound);
        };
        let entry: VaultEntry = serde_json::from_str(text.reveal()).map_err(|_| Absent::Unreadable)?;
        if entry.v != VaultEntry::VERSION {
            return Err(Absent::Unreadable);
        }
        if entry.provider != Provider::Stripe || entry.state != EndpointState::Enabled {
            remember(&self.unknown, *id, now, ());
            return Err(Absent::NotFound);
        }
        let entry = Arc::new(entry);
        remember(&self.known, *id, now, Arc::clone(&entry));
        Ok(entry)
    }
}

fn recall<T: Clone>(
    among: &Mutex<Remembered<T>>,
    id: &EndpointId,
    now: Timestamp,
    seconds: i64,
) -> Option<T> {
    let among = among.lock().unwrap_or_else(PoisonError::into_inner);
    let (at, found) = among.get(id)?;
    (now.as_second().abs_diff(at.as_second()) < seconds.unsigned_abs()).then(|| found.clone())
}

fn remember<T>(among: &Mutex<Remembered<T>>, id: EndpointId, now: Timestamp, what: T) {
    let mut among = among.lock().unwrap_or_else(PoisonError::into_inner);
    if among.len() >= ROOM
        && let Some(oldest) = among.iter().min_by_key(|(_, (at, _))| *at).map(|(id, _)| *id)
    {
        among.remove(&oldest);
    }
    among.insert(id, (now, what));
}
