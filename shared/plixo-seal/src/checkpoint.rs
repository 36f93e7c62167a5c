//! Checkpoints: what an organisation's log was at a time.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::note::is_name;
use crate::tree::Hash;

/// A span of time, of whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Itself included.
    pub from: Timestamp,
    /// Itself not included.
    pub to: Timestamp,
}

impl Span {
    /// Whether it is of whole seconds, and not empty.
    pub(crate) fn is_valid(&self) -> bool {
        self.from < self.to && self.from.subsec_nanosecond() == 0 && self.to.subsec_nanosecond() == 0
    }
}

/// A checkpoint. Its text is that of [C2SP's tlog-checkpoint](https://c2sp.org/tlog-checkpoint) with two extension lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log it is of: a URL without its scheme.
    pub origin: String,
    /// How many events the log has.
    pub size: u64,
    /// The root of the tree of all of them.
    pub root: Hash,
    /// Since when until when the events happened that came to the log since the checkpoint before.
    pub span: Span,
    /// The hash of the text of the checkpoint before; `None` of the first.
    pub previous: Option<Hash>,
}

/// Why a text is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It has other lines.
    #[error("it has not the five lines of a checkpoint")]
    Lines,
    /// A line is not what it should be.
    #[error("its line of the {0} is malformed")]
    Line(&'static str),
}

impl Checkpoint {
    /// The hash by which the next checkpoint names this one: of the text without the signatures, so that one that is signed
    /// once more, by another key or a witness, stays the same.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(self.to_string().as_bytes())
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, size, root, span: Span { from, to }, previous } = self;
        write!(f, "{origin}\n{size}\n{root}\nspan {from} {to}\n")?;
        match previous {
            Some(hash) => writeln!(f, "previous {hash}"),
            None => writeln!(f, "previous none"),
        }
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    /// Of a checkpoint's many possible spellings, only the one that is written here is read.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> = text.split('\n').collect();
        let [origin, size, root, span, previous, ""] = lines.as_slice() else {
            return Err(CheckpointError::Lines);
        };
        let malformed = CheckpointError::Line;
        let read = Self {
            origin: Some(*origin).filter(|it| is_name(it)).ok_or(malformed("origin"))?.to_owned(),
            size: size.parse().map_err(|_| malformed("size"))?,
            root: Hash::parse(root).ok_or(malformed("root"))?,
            span: read_span(span).ok_or(malformed("span"))?,
            previous: match previous.strip_prefix("previous ").ok_or(malformed("previous hash"))? {
                "none" => None,
                hash => Some(Hash::parse(hash).ok_or(malformed("previous hash"))?),
            },
        };
        let written = read.to_string();
        let names = ["origin", "size", "root", "span", "previous hash"];
        let mut pairs = names.into_iter().zip(written.split('\n').zip(&lines));
        match pairs.find(|(_, (written, line))| written != *line) {
            Some((name, _)) => Err(malformed(name)),
            None => Ok(read),
        }
    }
}

fn read_span(line: &str) -> Option<Span> {
    let (from, to) = line.strip_prefix("span ")?.split_once(' ')?;
    let span = Span { from: from.parse().ok()?, to: to.parse().ok()? };
    span.is_valid().then_some(span)
}
