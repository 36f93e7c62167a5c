//! The whole audit log with its checkpoints, for whoever verifies it offline.

use std::collections::{BTreeSet, VecDeque};

use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use plixo_aws::AwsError;
use plixo_aws::s3::{Objects, Upload};
use plixo_domain::id::{AuditId, OrgId, made_at};
use plixo_envelope::KeyService;
use plixo_seal::{Checkpoint, Entry, LATEST, List, Note, beginning, checkpoint_name, list_name};
use plixo_seal::{write_span, write_unsealed};
use plixo_store::{AuditSpan, Store, Tables};

use crate::file::FileError;

/// So many audit events are read at once.
const EVENTS: usize = 1_000;
/// So many checkpoints are fetched at once.
const AHEAD: i64 = 32;

/// Writes a log from its first checkpoint on, up to the last one that ends by `to`, then what is not sealed yet up to there.
pub(crate) async fn write<T: Tables, K: KeyService, O: Objects>(
    store: &Store<T, K>,
    checkpoints: &O,
    upload: &mut Upload<'_, O>,
    org: &OrgId,
    to: Option<Timestamp>,
    now: Timestamp,
    rows: &mut u64,
) -> Result<(), FileError> {
    // Events of this very moment are of before its end.
    let end = now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(now);
    let end = to.unwrap_or(Timestamp::MAX).min(end);
    let (mut from, mut size) = (beginning(org), 0);
    // The events of lists that one of the next spans may look at as well.
    let mut known = BTreeSet::new();
    let mut ahead = VecDeque::new();
    while let Some(note) = next(checkpoints, org, &mut ahead, from, end).await? {
        let (note, checkpoint) = read(note)?;
        if checkpoint.span.to > end {
            break;
        }
        let list = if checkpoint.size > size {
            let name = list_name(org, &checkpoint);
            let list = checkpoints.get(&name).await?;
            // One that is missing is for the verifier to find.
            list.and_then(List::from_bytes).map(|list| list.entries).unwrap_or_default()
        } else {
            Vec::new()
        };
        let mut text = Vec::new();
        write_span(&mut text, &note, &list).map_err(unwritten)?;
        upload.write(&text).await?;
        let (entries, _) = list.as_chunks::<{ Entry::LEN }>();
        let wanted: BTreeSet<AuditId> = entries.iter().map(|entry| Entry::from_bytes(entry).id).collect();
        if !wanted.is_empty() {
            let span = AuditSpan { from: late(from), to: checkpoint.span.to };
            events(store, upload, org, span, |id| wanted.contains(id), rows).await?;
            known.extend(wanted);
        }
        (from, size) = (checkpoint.span.to, checkpoint.size);
        known.retain(|id| made_at(id) >= late(from));
    }
    let mut text = Vec::new();
    write_unsealed(&mut text).map_err(unwritten)?;
    upload.write(&text).await?;
    let span = AuditSpan { from: late(from), to: end };
    events(store, upload, org, span, |id| !known.contains(id), rows).await
}

/// The note of the checkpoint of the span that begins at `from`, if there is one. Most spans are an hour, and most of a log is empty
/// hours: those of the next ones are fetched at once.
async fn next<O: Objects>(
    checkpoints: &O,
    org: &OrgId,
    ahead: &mut VecDeque<(Timestamp, Option<Vec<u8>>)>,
    from: Timestamp,
    end: Timestamp,
) -> Result<Option<Vec<u8>>, FileError> {
    while ahead.front().is_some_and(|(at, _)| *at < from) {
        ahead.pop_front();
    }
    if ahead.front().is_none_or(|(at, _)| *at != from) {
        let hours = (0..AHEAD).filter_map(|n| from.checked_add(SignedDuration::from_hours(n)).ok());
        let hours = hours.filter(|at| *at < end);
        let get = |at| async move { Ok((at, checkpoints.get(&checkpoint_name(org, at)).await?)) };
        *ahead = try_join_all(hours.map(get)).await.map_err(|error: AwsError| error)?.into();
    }
    Ok(ahead.pop_front().and_then(|(_, note)| note))
}

/// Since when an event may have come late to the span that begins then.
fn late(from: Timestamp) -> Timestamp {
    from.saturating_sub(LATEST).unwrap_or(from)
}

/// Writes the events of a span that are wanted, in the order of their ids.
async fn events<T: Tables, K: KeyService, O: Objects>(
    store: &Store<T, K>,
    upload: &mut Upload<'_, O>,
    org: &OrgId,
    span: AuditSpan,
    wanted: impl Fn(&AuditId) -> bool,
    rows: &mut u64,
) -> Result<(), FileError> {
    let mut after: Option<AuditId> = None;
    loop {
        let (texts, is_last) = store.audit_in_order(org, span, after.as_ref(), EVENTS).await?;
        after = texts.last().map(|(id, _)| *id).or(after);
        let mut text = Vec::new();
        for (_, line) in texts.iter().filter(|(id, _)| wanted(id)) {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
            *rows = rows.saturating_add(1);
        }
        upload.write(&text).await?;
        if is_last {
            return Ok(());
        }
    }
}

/// A checkpoint with the text of its note. Nobody need believe it here: who has the file verifies it.
fn read(note: Vec<u8>) -> Result<(String, Checkpoint), FileError> {
    let unreadable = |_| FileError::Checkpoints("a checkpoint of the audit log is none".to_owned());
    let checkpoint = Note::parse(&note).ok().and_then(|note| note.text().parse().ok());
    let checkpoint = checkpoint.ok_or(()).map_err(unreadable)?;
    Ok((String::from_utf8(note).map_err(|_| ()).map_err(unreadable)?, checkpoint))
}

fn unwritten(error: std::io::Error) -> FileError {
    FileError::Checkpoints(error.to_string())
}
