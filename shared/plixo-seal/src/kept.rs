//! How checkpoints and lists of entries are kept as objects.

use jiff::{SignedDuration, Timestamp};
use plixo_domain::id::{OrgId, made_at};

use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::tree::{Hash, Range};

/// A span's entries with the tree of the whole log at its end, from which whoever trusts the checkpoint can go on. It never
/// changes: it is named by where the span begins and by the tree's size and root, which together tell all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The tree, with the span's entries in it.
    pub range: Range,
    /// The span's entries, one after the other, each [`Entry::LEN`] bytes.
    pub entries: Vec<u8>,
}

impl List {
    /// The list of those entries.
    #[must_use]
    pub fn new(range: Range, entries: &[Entry]) -> Self {
        Self { range, entries: Entry::list(entries) }
    }

    /// Its stored form: the range, then the entries.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.range.to_bytes();
        bytes.extend_from_slice(&self.entries);
        bytes
    }

    /// The list of a stored form; `None` where it is none.
    #[must_use]
    pub fn from_bytes(mut bytes: Vec<u8>) -> Option<Self> {
        let size = u64::from_be_bytes(*bytes.first_chunk()?);
        let hashes = usize::try_from(size.count_ones()).ok()?;
        let split = 8 + hashes * 32;
        if bytes.len() < split || !(bytes.len() - split).is_multiple_of(Entry::LEN) {
            return None;
        }
        let entries = bytes.split_off(split);
        Some(Self { range: Range::from_bytes(&bytes)?, entries })
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = Entry> {
        let (entries, _) = self.entries.as_chunks::<{ Entry::LEN }>();
        entries.iter().map(Entry::from_bytes)
    }
}

/// How late an event may come: longer than any function works on what it writes of. Up to then it is sealed with the next span.
pub const LATEST: SignedDuration = SignedDuration::from_mins(20);

/// When the first span of an organisation's log begins: with the hour in which the organisation was made.
#[must_use]
pub fn beginning(org: &OrgId) -> Timestamp {
    hour_of(made_at(org))
}

/// The beginning of the hour.
#[must_use]
pub fn hour_of(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second - second.rem_euclid(3_600)).unwrap_or(at)
}

/// The name of the checkpoint of the span that begins there. A log has one of each: the next begins where it ends.
#[must_use]
pub fn checkpoint_name(org: &OrgId, from: Timestamp) -> String {
    format!("{org}/checkpoints/{from}")
}

/// The name of a checkpoint's list, if its span is not empty.
#[must_use]
pub fn list_name(org: &OrgId, checkpoint: &Checkpoint) -> String {
    let Checkpoint { size, root: Hash(root), span, .. } = checkpoint;
    let root: String = root.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{org}/lists/{}/{size}-{root}", span.from)
}
