//! The chain of an organisation's checkpoints.

use jiff::Timestamp;
use plixo_domain::id::AuditId;

use crate::checkpoint::{Checkpoint, Span};
use crate::entry::Entry;
use crate::note::is_name;
use crate::tree::{Hash, Range};

/// An organisation's log up to its last checkpoint, and what the next one is made from and held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub(crate) origin: String,
    pub(crate) range: Range,
    pub(crate) last: Option<Last>,
}

/// What is known of the last checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) to: Timestamp,
    pub(crate) hash: Hash,
}

/// Why something cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The origin is no name of a log.
    #[error("an origin that is empty or has spaces, control characters or a plus sign")]
    Origin,
    /// The span cannot be the next one.
    #[error("a span of time that is not of whole seconds, or does not begin where the last one ended")]
    Span,
    /// The entries are not in the order of ids, or one is there twice.
    #[error("the entry of {0} is out of order")]
    Order(AuditId),
    /// The range is not the checkpoint's.
    #[error("a range that does not have the checkpoint's size and root")]
    Range,
}

impl Head {
    /// The head of a log of that origin of which nothing is sealed yet.
    ///
    /// # Errors
    /// [`SealError::Origin`].
    pub fn new(origin: &str) -> Result<Self, SealError> {
        if !is_name(origin) {
            return Err(SealError::Origin);
        }
        Ok(Self { origin: origin.to_owned(), range: Range::new(), last: None })
    }

    /// The head of a log at a checkpoint, which has been verified, and the range that was kept with it.
    ///
    /// # Errors
    /// [`SealError::Range`].
    pub fn at(checkpoint: &Checkpoint, range: Range) -> Result<Self, SealError> {
        let last = Last { to: checkpoint.span.to, hash: checkpoint.hash() };
        let head = Self { origin: checkpoint.origin.clone(), range, last: Some(last) };
        if head.is_at(checkpoint) { Ok(head) } else { Err(SealError::Range) }
    }

    /// Until when the log is sealed; `None` where nothing is.
    #[must_use]
    pub fn sealed_to(&self) -> Option<Timestamp> {
        self.last.map(|last| last.to)
    }

    /// The tree of all events.
    #[must_use]
    pub fn range(&self) -> &Range {
        &self.range
    }

    /// The next checkpoint, with the events of the span in the order of ids, and the head that it makes. The same head, span and
    /// entries make the same checkpoint.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&self, span: Span, entries: &[Entry]) -> Result<(Checkpoint, Self), SealError> {
        if !span.is_valid() || self.sealed_to().is_some_and(|to| to != span.from) {
            return Err(SealError::Span);
        }
        let mut pairs = entries.iter().zip(entries.iter().skip(1));
        if let Some((_, second)) = pairs.find(|(first, second)| first.id >= second.id) {
            return Err(SealError::Order(second.id));
        }
        let mut range = self.range.clone();
        entries.iter().for_each(|entry| range.push(entry.leaf()));
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: range.size(),
            root: range.root(),
            span,
            previous: self.last.map(|last| last.hash),
        };
        let last = Last { to: span.to, hash: checkpoint.hash() };
        let head = Self { origin: self.origin.clone(), range, last: Some(last) };
        Ok((checkpoint, head))
    }

    pub(crate) fn is_at(&self, checkpoint: &Checkpoint) -> bool {
        self.range.size() == checkpoint.size && self.range.root() == checkpoint.root
    }
}
