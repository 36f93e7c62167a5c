//! The entries of endpoints in the vault.
//!
//! An entry is changed only if nobody else changed it since it was read, so that of two rotations at once neither loses its
//! secret.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{SignedDuration, Timestamp};
use plixo_aws::AwsError;
use plixo_aws::secrets::KeepSecret;
use plixo_domain::id::EndpointId;
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{EndpointSecret, Fingerprint, VaultEntry};
use plixo_staff::Refusal;

/// How long a secret goes on verifying after its rotation, and how long one is pending whose rotation was never written down.
/// Answers to idempotency keys are remembered as long.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// How many secrets an endpoint has at most: the receiver tries each of them.
const MOST: usize = 5;
/// How often a change is done anew because somebody else changed the entry meanwhile.
const TRIES: u32 = 8;

/// Makes an endpoint's entry.
pub(crate) async fn create<V: KeepSecret>(
    vault: &V,
    id: &EndpointId,
    entry: &VaultEntry,
) -> Result<(), Refusal> {
    vault.create_secret(&id.to_string(), &written(entry)?).await.map_err(failed)
}

/// An endpoint's entry, with the version that it has.
pub(crate) async fn read<V: KeepSecret>(vault: &V, id: &EndpointId) -> Result<(VaultEntry, String), Refusal> {
    let odd = |what: &str| Refusal::Internal(format!("{id}: {what}"));
    let found = vault.read_version(&id.to_string()).await.map_err(failed)?;
    let (text, version) = found.ok_or_else(|| odd("the vault has no entry"))?;
    // The error would quote the entry.
    let entry: VaultEntry =
        serde_json::from_str(text.reveal()).map_err(|_| odd("the vault's entry is none of an endpoint"))?;
    if entry.v == VaultEntry::VERSION { Ok((entry, version)) } else { Err(odd("an entry of another form")) }
}

/// Changes an endpoint's entry, and answers it as it then is. `work` may run several times, each time on the entry as it is by
/// then, and says whether there is anything to write.
pub(crate) async fn change<V: KeepSecret>(
    vault: &V,
    id: &EndpointId,
    work: impl AsyncFn(&mut VaultEntry) -> Result<bool, Refusal>,
) -> Result<VaultEntry, Refusal> {
    for _ in 0..TRIES {
        let (mut entry, seen) = read(vault, id).await?;
        let changes = work(&mut entry).await?;
        if !changes
            || vault.replace_secret(&id.to_string(), &written(&entry)?, &seen).await.map_err(failed)?
        {
            return Ok(entry);
        }
    }
    Err(Refusal::Overtaken)
}

fn written(entry: &VaultEntry) -> Result<Secret, Refusal> {
    let text = serde_json::to_string(entry);
    text.map(Secret::new).map_err(|_| Refusal::Internal("an entry has no JSON form".to_owned()))
}

/// What the vault's failure is to the caller.
pub(crate) fn failed(error: AwsError) -> Refusal {
    match error {
        AwsError::Unavailable { .. } => Refusal::Unavailable(error.to_string()),
        AwsError::Refused { .. } => Refusal::Internal(error.to_string()),
    }
}

/// Puts `secret` beside those that are there. It verifies nothing until it is [`settled`](settle), and ends by itself if it
/// never is.
pub(crate) fn add(entry: &mut VaultEntry, secret: &Secret, now: Timestamp) -> Result<bool, Refusal> {
    if entry.secrets.iter().any(|held| held.secret == *secret && held.expires_at.is_none()) {
        return Ok(false);
    }
    let stays = |held: &EndpointSecret| {
        held.expires_at.is_none_or(|until| now < until) && !(held.pending && held.secret == *secret)
    };
    entry.secrets.retain(stays);
    if entry.secrets.len() >= MOST {
        return Err(Refusal::State {
            code: "too_many_rotations",
            detail: format!("an endpoint has {MOST} secrets at most: wait until one of them is a day old"),
            pointer: None,
        });
    }
    entry.secrets.push(EndpointSecret { secret: secret.clone(), expires_at: Some(end(now)), pending: true });
    Ok(true)
}

/// Makes the pending secret of that hash the live one. Those before it go on verifying until their day is over. One that is
/// not pending any more was settled before, and changes nothing.
pub(crate) fn settle(entry: &mut VaultEntry, hash: Fingerprint, now: Timestamp) -> bool {
    let is_it = |held: &EndpointSecret| held.pending && fingerprint(&held.secret) == hash;
    let Some(secret) = entry.secrets.iter().find(|held| is_it(held)).map(|held| held.secret.clone()) else {
        return false;
    };
    entry.secrets.retain(|held| held.secret != secret);
    for held in &mut entry.secrets {
        held.expires_at.get_or_insert(end(now));
    }
    entry.secrets.insert(0, EndpointSecret { secret, expires_at: None, pending: false });
    true
}

fn end(now: Timestamp) -> Timestamp {
    now.saturating_add(OVERLAP).unwrap_or(now)
}

/// SHA-256 of a secret, by which it is found again.
pub(crate) fn fingerprint(secret: &Secret) -> Fingerprint {
    let mut hash = [0; 32];
    let digest = digest(&SHA256, secret.reveal().as_bytes());
    hash.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    Fingerprint(hash)
}
