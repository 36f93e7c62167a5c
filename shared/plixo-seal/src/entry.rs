//! What is sealed of an audit event.

use plixo_domain::id::{AuditId, bytes_of, from_bytes};
use serde::Deserialize;

use crate::tree::{Hash, leaf_hash};

/// What is sealed of an audit event: its id, and the hash of its text, byte for byte as it is stored. So nothing that is in
/// the text has to be kept for the log to be verified, and no field can be added to events that would not be sealed.
///
/// Within a span of time, events are in the order of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The event's id.
    pub id: AuditId,
    /// The hash of its text.
    pub text: Hash,
}

/// The one field that is read.
#[derive(Deserialize)]
struct Named {
    id: AuditId,
}

impl Entry {
    /// Bytes of an entry.
    pub const LEN: usize = 48;

    /// The entry of a stored event, whose JSON text that is; `None` where it has no audit event's id.
    #[must_use]
    pub fn of(text: &[u8]) -> Option<Self> {
        let Named { id } = serde_json::from_slice(text).ok()?;
        Some(Self { id, text: Hash::of(text) })
    }

    /// A leaf's content: 16 bytes of the id, 32 of the hash.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let (id, text) = bytes.split_at_mut(16);
        id.copy_from_slice(&bytes_of(&self.id));
        text.copy_from_slice(&self.text.0);
        bytes
    }

    /// The entry of a leaf's content.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let (mut id, mut text) = ([0; 16], [0; 32]);
        let (front, back) = bytes.split_at(16);
        id.copy_from_slice(front);
        text.copy_from_slice(back);
        Self { id: from_bytes(id), text: Hash(text) }
    }

    /// The leaf's hash.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        leaf_hash(&self.to_bytes())
    }

    /// The list of a span's entries, which is kept beside its checkpoint: one after the other.
    #[must_use]
    pub fn list(entries: &[Self]) -> Vec<u8> {
        entries.iter().flat_map(Self::to_bytes).collect()
    }
}
