//! The entries of endpoints and data sources in the vault.
//!
//! An entry is changed only if nobody else changed it since it was read, so that of two rotations at once neither loses its
//! secret.

use std::fmt::Display;

use jiff::{SignedDuration, Timestamp};
use plixo_aws::AwsError;
use plixo_aws::secrets::KeepSecret;
use plixo_domain::secret::Secret;
use plixo_domain::source::SourceEntry;
use plixo_domain::webhook::{EndpointSecret, Fingerprint, Provider, VaultEntry};
use plixo_lambda::hash::sha256;
use plixo_staff::Refusal;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::order::PUBLIC;

/// How long a secret goes on verifying after its rotation, and how long one is pending whose rotation was never written down.
/// Answers to idempotency keys are remembered as long.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);
/// How many secrets an endpoint has at most, and how many public keys: the receiver tries each of them.
const MOST: usize = 5;
/// How often a change is done anew because somebody else changed the entry meanwhile.
pub(crate) const TRIES: u32 = 8;

/// What the vault holds of a thing, under its id.
pub(crate) trait Entry: Serialize + DeserializeOwned {
    /// Whether it has the form that this code reads.
    fn is_read(&self) -> bool;
}

impl Entry for VaultEntry {
    fn is_read(&self) -> bool {
        self.v == Self::VERSION
    }
}

impl Entry for SourceEntry {
    fn is_read(&self) -> bool {
        self.v == Self::VERSION
    }
}

/// Makes an entry.
pub(crate) async fn create<V: KeepSecret>(
    vault: &V,
    id: &impl Display,
    entry: &impl Entry,
) -> Result<(), Refusal> {
    let is_new = vault.create_secret(&id.to_string(), &written(entry)?).await.map_err(failed)?;
    if is_new { Ok(()) } else { Err(Refusal::Internal(format!("{id}: the vault has an entry already"))) }
}

/// An entry, with the version that it has.
pub(crate) async fn read<V: KeepSecret, E: Entry>(
    vault: &V,
    id: &impl Display,
) -> Result<(E, String), Refusal> {
    let odd = |what: &str| Refusal::Internal(format!("{id}: {what}"));
    let found = vault.read_version(&id.to_string()).await.map_err(failed)?;
    let (text, version) = found.ok_or_else(|| odd("the vault has no entry"))?;
    // The error would quote the entry.
    let entry: E =
        serde_json::from_str(text.reveal()).map_err(|_| odd("the vault's entry is none of such a thing"))?;
    if entry.is_read() { Ok((entry, version)) } else { Err(odd("an entry of another form")) }
}

/// Changes an entry, and answers it as it then is. `work` may run several times, each time on the entry as it is by
/// then, and says whether there is anything to write.
pub(crate) async fn change<V: KeepSecret, E: Entry>(
    vault: &V,
    id: &impl Display,
    work: impl AsyncFn(&mut E) -> Result<bool, Refusal>,
) -> Result<E, Refusal> {
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

fn written(entry: &impl Entry) -> Result<Secret, Refusal> {
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

/// Whether that secret is a sender's public key. Secrets and public keys are rotated apart, so that of an endpoint with both neither
/// ends the other.
pub(crate) fn is_public(provider: Provider, secret: &Secret) -> bool {
    provider == Provider::StandardWebhooks && secret.reveal().starts_with(PUBLIC)
}

/// Puts `secret` beside those that are there. It verifies nothing until it is [`settled`](settle), and ends by itself if it
/// never is. Of too many that wait for that, the oldest gives way: who asked for it asks again.
pub(crate) fn add(entry: &mut VaultEntry, secret: &Secret, now: Timestamp) -> Result<bool, Refusal> {
    if entry.secrets.iter().any(|held| held.secret == *secret && held.expires_at.is_none()) {
        return Ok(false);
    }
    let stays = |held: &EndpointSecret| {
        held.expires_at.is_none_or(|until| now < until) && !(held.pending && held.secret == *secret)
    };
    entry.secrets.retain(stays);
    let (provider, public) = (entry.provider, is_public(entry.provider, secret));
    let of_kind = |pending: bool| {
        let is =
            |held: &EndpointSecret| held.pending == pending && is_public(provider, &held.secret) == public;
        let places = entry.secrets.iter().enumerate().filter(move |(_, held)| is(held));
        places.map(|(place, _)| place).collect::<Vec<_>>()
    };
    if of_kind(false).len() >= MOST {
        let kind = if public { "public keys" } else { "secrets" };
        return Err(Refusal::State {
            code: "too_many_rotations",
            detail: format!("an endpoint has {MOST} {kind} at most: wait until one of them is a day old"),
            pointer: None,
        });
    }
    let waiting = of_kind(true);
    if let Some(oldest) = waiting.first().filter(|_| waiting.len() >= MOST).copied() {
        entry.secrets.remove(oldest);
    }
    let secret = secret.clone();
    let (added_at, expires_at) = (Some(now), Some(end(now)));
    entry.secrets.push(EndpointSecret { secret, expires_at, added_at, pending: true });
    Ok(true)
}

/// Makes the pending secret of that hash the live one. Those before it go on verifying until their day is over. One that is not
/// pending any more was settled before, and changes nothing.
///
/// # Errors
/// [`Refusal::State`] where a later rotation took its place, so that nobody is told a secret that is not the live one.
pub(crate) fn settle(entry: &mut VaultEntry, hash: Fingerprint, now: Timestamp) -> Result<bool, Refusal> {
    let is_it = |held: &EndpointSecret| fingerprint(&held.secret) == hash;
    let Some(at) = entry.secrets.iter().position(|held| held.pending && is_it(held)) else {
        return entry.secrets.iter().any(is_it).then_some(false).ok_or_else(overtaken);
    };
    let provider = entry.provider;
    let public = entry.secrets.get(at).is_some_and(|held| is_public(provider, &held.secret));
    let same = |held: &EndpointSecret| is_public(provider, &held.secret) == public;
    let live = entry.secrets.iter().find(|held| same(held) && held.expires_at.is_none());
    let live = live.and_then(|live| live.added_at);
    if entry.secrets.get(at).is_some_and(|held| held.added_at < live) {
        return Err(overtaken());
    }
    let settled = EndpointSecret { pending: false, ..entry.secrets.remove(at) };
    entry.secrets.retain(|held| held.secret != settled.secret);
    for held in &mut entry.secrets {
        if same(held) {
            held.expires_at.get_or_insert(end(now));
        }
    }
    entry.secrets.insert(0, EndpointSecret { expires_at: None, ..settled });
    Ok(true)
}

fn overtaken() -> Refusal {
    Refusal::State {
        code: "rotation_overtaken",
        detail: "other rotations took its place: use the secret of the last one, or rotate once more with another key"
            .to_owned(),
        pointer: None,
    }
}

fn end(now: Timestamp) -> Timestamp {
    now.saturating_add(OVERLAP).unwrap_or(now)
}

/// SHA-256 of a secret, by which it is found again.
pub(crate) fn fingerprint(secret: &Secret) -> Fingerprint {
    Fingerprint(sha256(secret.reveal().as_bytes()))
}

#[cfg(test)]
mod tests {
    use plixo_domain::id::OrgId;
    use plixo_domain::webhook::{EndpointState, Provider};

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    fn named(name: &str) -> Secret {
        Secret::new(format!("whsec_{name}"))
    }

    fn entry() -> VaultEntry {
        let first =
            EndpointSecret { secret: named("first"), expires_at: None, added_at: None, pending: false };
        VaultEntry {
            v: VaultEntry::VERSION,
            org: "org_00000000000000000000000000".parse::<OrgId>().unwrap(),
            provider: Provider::Stripe,
            state: EndpointState::Enabled,
            account: None,
            hmac: None,
            secrets: vec![first],
        }
    }

    fn live(entry: &VaultEntry) -> Vec<&str> {
        let live = entry.secrets.iter().filter(|held| held.expires_at.is_none() && !held.pending);
        live.map(|held| held.secret.reveal()).collect()
    }

    #[test]
    fn an_older_rotation_that_is_settled_late_leaves_the_newer_one_live() {
        let mut entry = entry();
        let (older, newer) = (named("older"), named("newer"));
        assert!(add(&mut entry, &older, at(0)).unwrap());
        assert!(add(&mut entry, &newer, at(1)).unwrap());
        assert!(settle(&mut entry, fingerprint(&newer), at(1)).unwrap());
        let late = settle(&mut entry, fingerprint(&older), at(2));
        assert!(
            matches!(late, Err(Refusal::State { code: "rotation_overtaken", .. })),
            "nobody is told of it"
        );
        assert_eq!(live(&entry), ["whsec_newer"]);
        let held = entry.secrets.iter().find(|held| held.secret == older).unwrap();
        assert!(held.pending, "it verifies nothing");
    }

    #[test]
    fn what_was_never_settled_stands_in_no_rotations_way() {
        let mut entry = entry();
        for number in 0..20 {
            assert!(add(&mut entry, &named(&number.to_string()), at(number)).unwrap());
        }
        assert_eq!(entry.secrets.len(), 1 + MOST);
        let gone = settle(&mut entry, fingerprint(&named("0")), at(20));
        assert!(
            matches!(gone, Err(Refusal::State { code: "rotation_overtaken", .. })),
            "who asked for it asks again"
        );
        assert!(settle(&mut entry, fingerprint(&named("19")), at(20)).unwrap());
        assert_eq!(live(&entry), ["whsec_19"]);
    }

    #[test]
    fn rotations_have_a_bound() {
        let mut entry = entry();
        for number in 1..MOST {
            let secret = named(&number.to_string());
            assert!(
                add(&mut entry, &secret, at(0)).unwrap()
                    && settle(&mut entry, fingerprint(&secret), at(0)).unwrap()
            );
        }
        assert!(matches!(
            add(&mut entry, &named("more"), at(0)),
            Err(Refusal::State { code: "too_many_rotations", .. })
        ));
        assert!(add(&mut entry, &named("more"), at(24 * 60)).unwrap());
    }
}
