//! The hash tree of [RFC 9162, 2.1.1](https://www.rfc-editor.org/rfc/rfc9162#section-2.1.1), with SHA-256.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What a leaf's hash begins with, and a node's: so that neither can pass for the other.
const LEAF: u8 = 0;
const NODE: u8 = 1;

/// A SHA-256 hash. Its text is base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of those bytes, outside any tree.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        hash([bytes])
    }

    /// The hash of that text, which is the only one it has.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

fn hash<const N: usize>(parts: [&[u8]; N]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Hash(hash)
}

/// The hash of a leaf with that content.
#[must_use]
pub fn leaf_hash(content: &[u8]) -> Hash {
    hash([&[LEAF], content])
}

/// The hash of a node over those two.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    hash([&[NODE], &left.0, &right.0])
}

/// A tree that grows leaf by leaf, of which only the perfect subtrees' roots are kept: at most 64 hashes. Called a compact
/// range in the [design of transparency logs](https://github.com/transparency-dev/merkle/blob/main/docs/compact_ranges.md).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    size: u64,
    /// One for every bit that is set in `size`, the largest subtree first.
    peaks: Vec<Hash>,
}

impl Range {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root's hash.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Hash::of(&[]) };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Its stored form: the size in 8 bytes, big-endian, and the hashes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend(self.peaks.iter().flat_map(|peak| peak.0));
        bytes
    }

    /// The range of a stored form; `None` where it is none. Whether it is the right one is known by its root.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (size, peaks) = bytes.split_first_chunk()?;
        let size = u64::from_be_bytes(*size);
        let (peaks, rest) = peaks.as_chunks::<32>();
        let fits = rest.is_empty() && u32::try_from(peaks.len()) == Ok(size.count_ones());
        fits.then(|| Self { size, peaks: peaks.iter().copied().map(Hash).collect() })
    }
}
