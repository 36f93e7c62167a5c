//! The whole audit log with its checkpoints, for whoever verifies it offline.

use std::collections::{BTreeSet, VecDeque};

use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use plixo_aws::AwsError;
use plixo_aws::s3::{Objects, Upload};
use plixo_domain::id::{AuditId, OrgId, made_at};
use plixo_envelope::KeyService;
use plixo_seal::{
    Checkpoint, Entry, LATEST, List, Note, Range, beginning, checkpoint_name, hour_of, list_name,
    write_after, write_span, write_unsealed,
};
use plixo_store::{AuditSpan, Store, Tables};

use crate::file::FileError;

/// So many audit events are read at once.
const EVENTS: usize = 1_000;
/// So many checkpoints are fetched at once.
const AHEAD: i64 = 32;

/// An hour, in which most spans begin and end.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Writes a log up to the last checkpoint that ends by `to`, then what is not sealed yet up to there. It begins with its first checkpoint;
/// where events before `since` are not kept any more, with the first one whose events all are.
pub(crate) async fn write<T: Tables, K: KeyService, O: Objects>(
    store: &Store<T, K>,
    checkpoints: &O,
    upload: &mut Upload<'_, O>,
    org: &OrgId,
    (since, to): (Option<Timestamp>, Option<Timestamp>),
    now: Timestamp,
    rows: &mut u64,
) -> Result<(), FileError> {
    // Events of this very moment are of before its end.
    let end = now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(now);
    let end = to.unwrap_or(Timestamp::MAX).min(end);
    let (mut from, mut size) = (beginning(org), 0);
    if let Some(since) = since {
        let kept = since.saturating_add(LATEST).unwrap_or(since);
        from = kept;
        if let Some((note, checkpoint)) = reaching(checkpoints, org, kept).await? {
            let tree = tree_at(checkpoints, org, &checkpoint).await?;
            let mut text = Vec::new();
            write_after(&mut text, &note, &tree).map_err(unwritten)?;
            upload.write(&text).await?;
            (from, size) = (checkpoint.span.to, checkpoint.size);
        }
    }
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

/// The first checkpoint that reaches until then, if there is one. Of most spans it is known when they begin, for it is with an hour.
async fn reaching<O: Objects>(
    checkpoints: &O,
    org: &OrgId,
    until: Timestamp,
) -> Result<Option<(String, Checkpoint)>, FileError> {
    let mut hour = hour_of(until);
    let mut found = None;
    while found.is_none() && hour >= beginning(org) {
        found = checkpoint(checkpoints, org, hour).await?;
        hour = hour.saturating_sub(HOUR).unwrap_or(Timestamp::MIN);
    }
    while let Some((_, reached)) = found.as_ref().filter(|(_, it)| it.span.to < until) {
        found = checkpoint(checkpoints, org, reached.span.to).await?;
    }
    Ok(found)
}

/// The tree at a checkpoint. It is kept with the list of the last span before it that was not empty.
async fn tree_at<O: Objects>(checkpoints: &O, org: &OrgId, at: &Checkpoint) -> Result<Range, FileError> {
    if at.size == 0 {
        return Ok(Range::new());
    }
    if let Some(list) = checkpoints.get(&list_name(org, at)).await?.and_then(List::from_bytes) {
        return Ok(list.range);
    }
    let (mut hour, mut known) = (hour_of(at.span.from), at.span.from);
    while hour >= beginning(org) {
        let mut from = hour;
        while from < known
            && let Some((_, before)) = checkpoint(checkpoints, org, from).await?
        {
            if before.size == at.size
                && let Some(list) =
                    checkpoints.get(&list_name(org, &before)).await?.and_then(List::from_bytes)
            {
                return Ok(list.range);
            }
            from = before.span.to;
        }
        if from >= known {
            known = hour;
        }
        hour = hour.saturating_sub(HOUR).unwrap_or(Timestamp::MIN);
    }
    Err(FileError::Checkpoints("the tree of the audit log is missing".to_owned()))
}

/// The checkpoint of the span that begins then, with its note, if there is one.
async fn checkpoint<O: Objects>(
    checkpoints: &O,
    org: &OrgId,
    from: Timestamp,
) -> Result<Option<(String, Checkpoint)>, FileError> {
    checkpoints.get(&checkpoint_name(org, from)).await?.map(read).transpose()
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
