//! An exported log as a file: JSON lines.

use std::io::{self, BufRead, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::chain::Head;
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::note::{Note, PublicKey};
use crate::tree::Range;
use crate::verify::{Fault, Finding, Verifier};

/// What the first line begins with of a file that does not begin with its log.
const AFTER: &[u8] = b"{\"after\":";
/// What a line of a checkpoint begins with; no event does.
const CHECKPOINT: &[u8] = b"{\"checkpoint\":";
/// What a line with a piece of its list begins with.
const ENTRIES: &[u8] = b"{\"entries\":";
/// The line after which events come that are not sealed yet.
const UNSEALED: &[u8] = b"{\"unsealed\":true}";
/// How many entries stand in one line.
const PIECE: usize = 1_000;
/// Longer lines are refused. An event has a few hundred bytes.
const LONGEST: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
struct AfterLine {
    after: String,
    tree: String,
}

#[derive(Serialize, Deserialize)]
struct CheckpointLine {
    checkpoint: String,
}

#[derive(Serialize, Deserialize)]
struct EntriesLine {
    entries: String,
}

/// Writes what a file begins with in which the log up to a checkpoint is not: that checkpoint, and the tree at it.
///
/// # Errors
/// Those of `to`.
pub fn write_after(to: &mut impl Write, note: &str, tree: &Range) -> io::Result<()> {
    write_line(to, &AfterLine { after: note.to_owned(), tree: STANDARD.encode(tree.to_bytes()) })
}

/// Writes what comes before a span's events: its checkpoint and its list. The events follow in the order of the list, each as
/// it is stored, with a line feed.
///
/// # Errors
/// Those of `to`.
pub fn write_span(to: &mut impl Write, note: &str, list: &[u8]) -> io::Result<()> {
    write_line(to, &CheckpointLine { checkpoint: note.to_owned() })?;
    for piece in list.chunks(PIECE * Entry::LEN) {
        write_line(to, &EntriesLine { entries: STANDARD.encode(piece) })?;
    }
    Ok(())
}

/// Writes what comes before the events that are not sealed yet.
///
/// # Errors
/// Those of `to`.
pub fn write_unsealed(to: &mut impl Write) -> io::Result<()> {
    to.write_all(UNSEALED)?;
    to.write_all(b"\n")
}

fn write_line(to: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

/// A log that is as it was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many events of the file are sealed.
    pub events: u64,
    /// How many older ones are not in it.
    pub before: u64,
    /// Since when the file has the log; `None`: from its beginning on.
    pub since: Option<Timestamp>,
    /// How many checkpoints there are, one at least.
    pub checkpoints: u64,
    /// Until when it is sealed.
    pub sealed_to: Timestamp,
    /// How many events are in no list yet, which nobody can vouch for.
    pub unsealed: u64,
}

/// Why an exported log is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum NotVerified {
    /// It is not as it was sealed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It has no checkpoint: it may be anything.
    #[error(
        "nothing in it is sealed, so it proves nothing: an export as JSON without `from` has checkpoints once an hour of the log is sealed"
    )]
    NothingSealed,
    /// It is no exported log.
    #[error("line {line}: {what}")]
    Form {
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// Verifies an exported log with nothing but the public key, whose name is the log's: from its first checkpoint on, or from one that the
/// file begins after, which is signed as well. Something of it has to be sealed, and all until `until`, if that is told. `progress` hears now and then
/// how many lines were read.
///
/// # Errors
/// [`NotVerified`].
pub fn verify_file(
    file: impl BufRead,
    key: PublicKey,
    until: Option<Timestamp>,
    progress: impl FnMut(u64),
) -> Result<Verified, NotVerified> {
    let mut lines = Lines { file, held: None, read: 0, error: None, progress };
    let head = match lines.next_if(|line| line.starts_with(AFTER))? {
        Some(line) => after(&line, &key)?,
        None => Head::new(key.name())
            .map_err(|_| NotVerified::Form { line: 1, what: "the key has no log's name" })?,
    };
    let (since, before) = (head.sealed_to(), head.range().size());
    let mut verifier = Verifier::new(head, vec![key]);
    let mut checkpoints = 0;
    while let Some(line) = lines.next_if(|line| line.starts_with(CHECKPOINT))? {
        let what = "no checkpoint";
        let CheckpointLine { checkpoint } =
            serde_json::from_slice(&line).map_err(|_| NotVerified::Form { line: lines.read, what })?;
        let mut list = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(ENTRIES))? {
            let what = "no list of entries";
            let entries = serde_json::from_slice(&line).ok().map(|EntriesLine { entries }| entries);
            let entries = entries.and_then(|entries| STANDARD.decode(entries).ok());
            list.extend(entries.ok_or(NotVerified::Form { line: lines.read, what })?);
        }
        let done = verifier.span(checkpoint.as_bytes(), &list, Events(&mut lines));
        // What cannot be read is not missing.
        if let Some(error) = lines.error.take() {
            return Err(error);
        }
        done?;
        // What is left of its events after a fault is not looked at.
        checkpoints += 1;
    }
    let mut unsealed = 0;
    if lines.next_if(|line| line == UNSEALED)?.is_some() {
        while let Some(line) = lines.next_if(is_event)? {
            Entry::of(&line).ok_or(NotVerified::Form { line: lines.read, what: "no event" })?;
            unsealed += 1;
        }
    }
    if lines.next_if(|_| true)?.is_some() {
        return Err(NotVerified::Form { line: lines.read, what: "neither a checkpoint nor an event" });
    }
    let head = match verifier.finish(until.unwrap_or(Timestamp::MIN)) {
        Err(fault) if until.is_some() => return Err(fault.into()),
        Ok(head) if checkpoints > 0 => head,
        _ => return Err(NotVerified::NothingSealed),
    };
    let sealed_to = head.sealed_to().ok_or(NotVerified::NothingSealed)?;
    let events = head.range().size().saturating_sub(before);
    Ok(Verified { events, before, since, checkpoints, sealed_to, unsealed })
}

/// The log up to the checkpoint that a file begins after: nobody has its events, and the key signed how many they were, and their tree.
fn after(line: &[u8], key: &PublicKey) -> Result<Head, NotVerified> {
    let wrong = |what| NotVerified::Form { line: 1, what };
    let AfterLine { after, tree } =
        serde_json::from_slice(line).map_err(|_| wrong("no beginning after a checkpoint"))?;
    let finding = |finding| Fault { since: None, finding };
    let note = Note::parse(after.as_bytes()).map_err(|error| finding(Finding::Note(error)))?;
    note.verify(std::slice::from_ref(key)).map_err(|error| finding(Finding::Note(error)))?;
    let checkpoint: Checkpoint = note.text().parse().map_err(|error| finding(Finding::Checkpoint(error)))?;
    if checkpoint.origin != key.name() {
        return Err(finding(Finding::OtherLog(checkpoint.origin)).into());
    }
    let tree = STANDARD.decode(tree).ok().and_then(|bytes| Range::from_bytes(&bytes));
    let head = tree.and_then(|tree| Head::at(&checkpoint, tree).ok());
    head.ok_or_else(|| wrong("not the tree of the checkpoint that the file begins after"))
}

fn is_event(line: &[u8]) -> bool {
    let others = [AFTER, CHECKPOINT, ENTRIES];
    !others.iter().any(|other| line.starts_with(other)) && line != UNSEALED
}

/// The lines of a file, with one that was read ahead.
struct Lines<R, P> {
    file: R,
    held: Option<Vec<u8>>,
    read: u64,
    error: Option<NotVerified>,
    progress: P,
}

impl<R: BufRead, P: FnMut(u64)> Lines<R, P> {
    /// The next line, if it is wanted.
    fn next_if(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<Vec<u8>>, NotVerified> {
        if self.held.is_none() {
            let mut line = Vec::new();
            let mut bounded = io::Read::take(&mut self.file, u64::try_from(LONGEST).unwrap_or(u64::MAX));
            if bounded.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            self.read += 1;
            if self.read.is_multiple_of(100_000) {
                (self.progress)(self.read);
            }
            match line.pop() {
                Some(b'\n') => {}
                // The last line of a file may end without one.
                Some(byte) if line.len() < LONGEST - 1 => line.push(byte),
                _ => return Err(NotVerified::Form { line: self.read, what: "a line of more than 1 MiB" }),
            }
            self.held = Some(line);
        }
        Ok(self.held.take_if(|line| wanted(line)))
    }
}

/// A span's events.
struct Events<'a, R, P>(&'a mut Lines<R, P>);

impl<R: BufRead, P: FnMut(u64)> Iterator for Events<'_, R, P> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        match self.0.next_if(is_event) {
            Ok(line) => line,
            Err(error) => {
                self.0.error.get_or_insert(error);
                None
            }
        }
    }
}
