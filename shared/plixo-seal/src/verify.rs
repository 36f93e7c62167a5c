//! Whether a log is as it was sealed, and if not, from where on.

use std::fmt;

use jiff::Timestamp;
use plixo_domain::id::AuditId;

use crate::chain::{Head, Last};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::entry::Entry;
use crate::note::{Note, NoteError, PublicKey};

/// Verifies a log from its first checkpoint on, or from a later one, span by span in the order of time, with nothing but the
/// public key. It holds no more than one span's list of entries.
#[derive(Debug)]
pub struct Verifier {
    head: Head,
    keys: Vec<PublicKey>,
}

/// The first thing that is not as it was sealed. All before it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// The beginning of the span of time that is not as it was sealed; `None` where it is the first of the log.
    pub since: Option<Timestamp>,
    /// What was found in it.
    pub finding: Finding,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.since {
            Some(since) => write!(f, "from {since} on: {}", self.finding),
            None => write!(f, "from the beginning on: {}", self.finding),
        }
    }
}

/// What is not as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The checkpoint is no note, or not signed by the key.
    #[error("the checkpoint is {0}")]
    Note(NoteError),
    /// What is signed is no checkpoint.
    #[error("the checkpoint is none: {0}")]
    Checkpoint(CheckpointError),
    /// The checkpoint is of another log.
    #[error("the checkpoint is of another log, {0}")]
    OtherLog(String),
    /// The log does not begin with its first checkpoint.
    #[error("the log does not begin with its first checkpoint")]
    BeginningMissing,
    /// Checkpoints are missing.
    #[error("no checkpoint until {until}")]
    HoursMissing {
        /// From when on there is one.
        until: Timestamp,
    },
    /// The checkpoint is of a time for which there was one.
    #[error("one more checkpoint of a time that has one")]
    Repeated,
    /// The checkpoint names another one before it.
    #[error("the checkpoint does not follow the one before it")]
    ChainBroken,
    /// The log ends too early.
    #[error("nothing is sealed until {until}, where the log should reach")]
    TailMissing {
        /// Until when it should be sealed.
        until: Timestamp,
    },
    /// The events are as they were sealed, but their list is not.
    #[error("the list of entries was altered, and the events were not; first differs {}", named(.first))]
    List {
        /// The first event that is listed otherwise.
        first: Option<AuditId>,
    },
    /// Neither the events nor their list are as they were sealed: which event is the first bad one nobody can tell.
    #[error("neither the events nor the list of entries are what was sealed; first they differ at {}", named(.first))]
    Unsealed {
        /// Where they differ first, if they do.
        first: Option<AuditId>,
    },
    /// An event has another text.
    #[error("event {0} was altered")]
    Altered(AuditId),
    /// An event is not among those of its span.
    #[error("event {0} is missing")]
    Missing(AuditId),
    /// There is an event that was not sealed there, or one is there twice. One that was written more than [`LATEST`](crate::LATEST) after
    /// it happened is none either: nobody can tell it from others.
    #[error("event {0} was added: it was not sealed there, as all is that is written within 20 minutes")]
    Added(AuditId),
    /// There is something that is no event.
    #[error("line {0} of the span is no event, and was added")]
    NoEvent(u64),
    /// An event is not at its place among those of its span.
    #[error("event {id} was moved; in its place is {instead}")]
    Moved {
        /// The event whose place it is.
        id: AuditId,
        /// The one that is there.
        instead: AuditId,
    },
}

fn named(id: &Option<AuditId>) -> String {
    id.map_or_else(|| "nothing".to_owned(), |id| format!("event {id}"))
}

impl Verifier {
    /// Verifies on from a head: [`Head::new`] for a whole log, [`Head::at`] after a checkpoint that is taken for right.
    #[must_use]
    pub fn new(head: Head, keys: Vec<PublicKey>) -> Self {
        Self { head, keys }
    }

    /// Verifies the next span: its checkpoint's signed note, the list of its entries, and its events as they are stored, in the
    /// order of their ids.
    ///
    /// # Errors
    /// The [`Fault`], after which nothing is worth verifying.
    pub fn span<E: AsRef<[u8]>>(
        &mut self,
        note: &[u8],
        list: &[u8],
        events: impl IntoIterator<Item = E>,
    ) -> Result<(), Fault> {
        self.head = self.next(note, list, events.into_iter()).map_err(|finding| self.fault(finding))?;
        Ok(())
    }

    /// Ends with the head of the log, which has to be sealed until then.
    ///
    /// # Errors
    /// The [`Fault`].
    pub fn finish(self, until: Timestamp) -> Result<Head, Fault> {
        if self.head.sealed_to().is_none_or(|to| to < until) {
            return Err(self.fault(Finding::TailMissing { until }));
        }
        Ok(self.head)
    }

    fn fault(&self, finding: Finding) -> Fault {
        Fault { since: self.head.sealed_to(), finding }
    }

    fn next<E: AsRef<[u8]>>(
        &self,
        note: &[u8],
        list: &[u8],
        events: impl Iterator<Item = E>,
    ) -> Result<Head, Finding> {
        let checkpoint = self.checkpoint(note)?;
        let last = Last { to: checkpoint.span.to, hash: checkpoint.hash() };
        let before = Head { last: Some(last), ..self.head.clone() };
        let events = events.map(|text| Entry::of(text.as_ref()));
        let (entries, rest) = list.as_chunks::<{ Entry::LEN }>();
        let mut head = before.clone();
        entries.iter().for_each(|entry| head.range.push(Entry::from_bytes(entry).leaf()));
        if rest.is_empty() && head.is_at(&checkpoint) {
            compare(entries.iter().map(Entry::from_bytes), events)?;
            Ok(head)
        } else {
            Err(without_list(before, &checkpoint, entries.iter().map(Entry::from_bytes), events))
        }
    }

    /// The checkpoint of a note, if it is the next one.
    fn checkpoint(&self, note: &[u8]) -> Result<Checkpoint, Finding> {
        let note = Note::parse(note).map_err(Finding::Note)?;
        note.verify(&self.keys).map_err(Finding::Note)?;
        let checkpoint: Checkpoint = note.text().parse().map_err(Finding::Checkpoint)?;
        if checkpoint.origin != self.head.origin {
            return Err(Finding::OtherLog(checkpoint.origin));
        }
        let Some(last) = self.head.last else {
            let is_first = checkpoint.previous.is_none();
            return if is_first { Ok(checkpoint) } else { Err(Finding::BeginningMissing) };
        };
        let from = checkpoint.span.from;
        if from > last.to {
            return Err(Finding::HoursMissing { until: from });
        }
        if from < last.to {
            return Err(Finding::Repeated);
        }
        if checkpoint.previous != Some(last.hash) {
            return Err(Finding::ChainBroken);
        }
        Ok(checkpoint)
    }
}

/// Holds a span's events, of which `None` are unreadable, to the entries that were sealed.
fn compare(
    mut sealed: impl Iterator<Item = Entry>,
    mut found: impl Iterator<Item = Option<Entry>>,
) -> Result<(), Finding> {
    let mut line = 0;
    loop {
        line += 1;
        let (entry, event) = match (sealed.next(), found.next()) {
            (None, None) => return Ok(()),
            (None, Some(None)) => return Err(Finding::NoEvent(line)),
            (None, Some(Some(event))) => return Err(Finding::Added(event.id)),
            (Some(entry), None) => return Err(Finding::Missing(entry.id)),
            (Some(entry), Some(event)) if event == Some(entry) => continue,
            (Some(entry), Some(event)) => (entry, event),
        };
        if event.is_some_and(|event| event.id == entry.id) {
            return Err(Finding::Altered(entry.id));
        }
        let is_later = found.any(|later| later.is_some_and(|later| later.id == entry.id));
        return Err(match event {
            None if is_later => Finding::NoEvent(line),
            None => Finding::Altered(entry.id),
            Some(_) if !is_later => Finding::Missing(entry.id),
            Some(event) if sealed.any(|later| later.id == event.id) => {
                Finding::Moved { id: entry.id, instead: event.id }
            }
            Some(event) => Finding::Added(event.id),
        });
    }
}

/// What can be said of a span whose list of entries is not what was sealed.
fn without_list(
    mut head: Head,
    checkpoint: &Checkpoint,
    mut listed: impl Iterator<Item = Entry>,
    found: impl Iterator<Item = Option<Entry>>,
) -> Finding {
    let (mut first, mut is_readable) = (None, true);
    for event in found {
        let entry = listed.next();
        if first.is_none() && entry != event {
            first = entry.or(event).map(|entry| entry.id);
        }
        match event {
            Some(event) => head.range.push(event.leaf()),
            None => is_readable = false,
        }
    }
    let first = first.or_else(|| listed.next().map(|entry| entry.id));
    if is_readable && head.is_at(checkpoint) { Finding::List { first } } else { Finding::Unsealed { first } }
}
