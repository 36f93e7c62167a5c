//! The keys that sign tokens, and their rotation.

use aws_lc_rs::hmac;
use jiff::{SignedDuration, Timestamp};
use plixo_domain::secret::Secret;
use serde::{Deserialize, Serialize};

/// Bytes of a signature.
pub(crate) const TAG: usize = 32;
const VERSION: u8 = 1;
/// The fewest characters of a key: 43 random letters and digits are 256 bits.
const SHORTEST: usize = 43;
/// How long a new key signs nothing: by then all who check tokens have heard of it.
const UNHEARD: SignedDuration = SignedDuration::from_mins(10);
/// How long a replaced key is kept: a day longer than the longest link.
const KEPT: SignedDuration = SignedDuration::from_hours(31 * 24);

pub(crate) type KeyId = [u8; 4];

/// The keys, from the vault.
#[derive(Debug)]
pub struct Keyring {
    newest: Key,
    older: Vec<Key>,
    written: Written,
}

/// Why something is no keyring. It quotes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// It is no JSON of this form.
    #[error("the link keys are not in the form of version 1")]
    Form,
    /// A key could be guessed.
    #[error("a link key is shorter than 43 characters")]
    Short,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    v: u8,
    key: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    older: Vec<Older>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Older {
    key: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_at: Option<Timestamp>,
    replaced_at: Timestamp,
}

/// A key that signs.
pub(crate) struct Key {
    id: KeyId,
    key: hmac::Key,
    made_at: Option<Timestamp>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    fn new(text: &Secret, made_at: Option<Timestamp>) -> Result<Self, KeyringError> {
        let text = text.reveal();
        if text.len() < SHORTEST {
            return Err(KeyringError::Short);
        }
        let mut key =
            Self { id: KeyId::default(), key: hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()), made_at };
        let [a, b, c, d, ..] = key.tag(b"plixo link key id");
        key.id = [a, b, c, d];
        Ok(key)
    }

    pub(crate) fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) fn tag(&self, message: &[u8]) -> [u8; TAG] {
        let mut tag = [0; TAG];
        tag.copy_from_slice(hmac::sign(&self.key, message).as_ref());
        tag
    }

    /// In constant time.
    fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.key, message, tag).is_ok()
    }
}

impl Keyring {
    /// The keys that a secret holds.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub fn read(secret: &Secret) -> Result<Self, KeyringError> {
        let written: Written = serde_json::from_str(secret.reveal()).map_err(|_| KeyringError::Form)?;
        if written.v != VERSION {
            return Err(KeyringError::Form);
        }
        Self::of(written)
    }

    fn of(written: Written) -> Result<Self, KeyringError> {
        let newest = Key::new(&written.key, written.made_at)?;
        let older = written.older.iter().map(|it| Key::new(&it.key, it.made_at)).collect::<Result<_, _>>()?;
        Ok(Self { newest, older, written })
    }

    /// The secret that holds them.
    ///
    /// # Errors
    /// [`KeyringError::Form`].
    pub fn write(&self) -> Result<Secret, KeyringError> {
        serde_json::to_string(&self.written).map(Secret::new).map_err(|_| KeyringError::Form)
    }

    /// The keys with a new one, `drawn` of at least 256 random bits, before them, and without those that were replaced so long
    /// ago that nothing of theirs is good any more.
    ///
    /// # Errors
    /// [`KeyringError::Short`].
    pub fn rotated(&self, drawn: Secret, now: Timestamp) -> Result<Self, KeyringError> {
        let Written { key, made_at, older, .. } = self.written.clone();
        let mut kept = vec![Older { key, made_at, replaced_at: now }];
        kept.extend(older.into_iter().filter(|it| now.duration_since(it.replaced_at) < KEPT));
        Self::of(Written { v: VERSION, key: drawn, made_at: Some(now), older: kept })
    }

    /// The newest key that everybody has heard of; the oldest where there is none.
    pub(crate) fn signing(&self, now: Timestamp) -> &Key {
        let heard = |key: &&Key| key.made_at.is_none_or(|at| now.duration_since(at) >= UNHEARD);
        self.all().find(heard).unwrap_or_else(|| self.older.last().unwrap_or(&self.newest))
    }

    /// Whether a key of that id signed the message.
    pub(crate) fn verifies(&self, id: &KeyId, message: &[u8], tag: &[u8]) -> bool {
        self.all().any(|key| key.id == *id && key.verifies(message, tag))
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}
