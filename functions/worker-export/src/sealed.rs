//! The whole audit log with its checkpoints, for whoever verifies it offline.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::future::try_join_all;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use plixo_aws::AwsError;
use plixo_aws::s3::{Objects, Upload};
use plixo_domain::id::{AuditId, OrgId, made_at};
use plixo_envelope::KeyService;
use plixo_seal::{
    Checkpoint, Entry, LATEST, List, Note, Range, beginning, checkpoint_name, hour_of, list_name,
    write_after, write_span, write_unsealed,
};
use plixo_store::{Store, StoreError, Tables, last_id_before};

use crate::file::FileError;

/// So many audit events are read at once.
const EVENTS: usize = 1_000;
/// So many checkpoints are fetched at once.
const AHEAD: i64 = 32;

/// An hour, in which most spans begin and end.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Writes a log up to the last checkpoint that ends by `to`, then what is not sealed yet up to there. It begins with its first checkpoint;
/// where events before `since` are not kept any more, with the first one whose events all are.
///
/// Every stored event is written. One that no list names stands with the last span whose list could have named it: whoever verifies the
/// file hears of it.
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
    let mut listed = Listed::default();
    if let Some(since) = since {
        from = since.saturating_add(LATEST).unwrap_or(since);
        let chain = reaching(checkpoints, org, from).await?;
        if let Some((note, checkpoint)) = chain.last() {
            let tree = tree_at(checkpoints, org, checkpoint).await?;
            let mut text = Vec::new();
            write_after(&mut text, note, &tree).map_err(unwritten)?;
            upload.write(&text).await?;
            (from, size) = (checkpoint.span.to, checkpoint.size);
        }
        for (_, checkpoint) in chain.iter().filter(|(_, it)| it.span.to > late(from)) {
            listed.learn(&entries(checkpoints, org, checkpoint).await?, from);
        }
    }
    let mut stored = Stored::since(store, org, from);
    // Those that one of the next lists may name.
    let mut waiting = VecDeque::new();
    let mut ahead = VecDeque::new();
    loop {
        if fetch(checkpoints, org, &mut ahead, from, end).await? {
            // Events are read after the checkpoints: so all are there that a list names, however late they came.
            stored = Stored::since(store, org, from);
            waiting.clear();
            listed.before = from;
        }
        let Some(note) = ahead.pop_front().and_then(|(_, note)| note) else { break };
        let (note, checkpoint) = read(note)?;
        let to = checkpoint.span.to;
        if to > end {
            break;
        }
        let is_empty = checkpoint.size <= size;
        let list = if is_empty { Vec::new() } else { entries(checkpoints, org, &checkpoint).await? };
        let mut text = Vec::new();
        write_span(&mut text, &note, &list).map_err(unwritten)?;
        upload.write(&text).await?;
        let wanted: BTreeSet<AuditId> = each(&list).map(|entry| entry.id).collect();
        let mut still_waiting = VecDeque::new();
        while let Some(event) = stored.next(&mut waiting, to).await? {
            let is_wanted = wanted.contains(&event.id);
            if !is_wanted && listed.has(&event) {
                continue;
            }
            if is_wanted || event.at < late(to) {
                event.write(upload, rows).await?;
            } else {
                still_waiting.push_back(event);
            }
        }
        waiting = still_waiting;
        (from, size) = (to, checkpoint.size);
        listed.learn(&list, from);
    }
    let mut text = Vec::new();
    write_unsealed(&mut text).map_err(unwritten)?;
    upload.write(&text).await?;
    while let Some(event) = stored.next(&mut waiting, end).await? {
        if !listed.has(&event) {
            event.write(upload, rows).await?;
        }
    }
    Ok(())
}

/// An event as it is stored.
struct Event {
    /// When it happened: on the day that it stands with, whatever its id tells.
    at: Timestamp,
    id: AuditId,
    text: String,
}

impl Event {
    async fn write<O: Objects>(self, upload: &mut Upload<'_, O>, rows: &mut u64) -> Result<(), AwsError> {
        *rows = rows.saturating_add(1);
        let mut line = self.text.into_bytes();
        line.push(b'\n');
        upload.write(&line).await
    }
}

/// The events of a log, day by day, in the order of their ids.
struct Stored<'a, T, K> {
    store: &'a Store<T, K>,
    org: &'a OrgId,
    day: Date,
    after: Option<AuditId>,
    read: VecDeque<Event>,
}

impl<'a, T: Tables, K: KeyService> Stored<'a, T, K> {
    /// Those that a list of the span that begins then may name, and all later ones. Of the first day of a log, all.
    fn since(store: &'a Store<T, K>, org: &'a OrgId, from: Timestamp) -> Self {
        let from = late(from);
        let after = (from > beginning(org)).then(|| last_id_before(from));
        let day = from.to_zoned(TimeZone::UTC).date();
        Self { store, org, day, after, read: VecDeque::new() }
    }

    /// The next one before that time: of those that wait, and after them of the log.
    async fn next(
        &mut self,
        waiting: &mut VecDeque<Event>,
        to: Timestamp,
    ) -> Result<Option<Event>, StoreError> {
        if let Some(event) = waiting.pop_front() {
            return Ok(Some(event));
        }
        while self.read.is_empty() && midnight(self.day) < to {
            let Self { store, org, day, after, .. } = self;
            let (texts, is_last) = store.audit_with_day(org, *day, after.as_ref(), EVENTS).await?;
            let tomorrow = day.tomorrow().unwrap_or(*day);
            let last = midnight(tomorrow).saturating_sub(SignedDuration::from_millis(1));
            let (first, last) = (midnight(*day), last.unwrap_or(Timestamp::MAX));
            let event = |(id, text)| Event { at: made_at(&id).max(first).min(last), id, text };
            self.after = texts.last().map(|(id, _)| *id).filter(|_| !is_last);
            self.read.extend(texts.into_iter().map(event));
            if is_last {
                self.day = tomorrow;
            }
        }
        let is_next = self.read.front().is_some_and(|event| event.at < to);
        Ok(if is_next { self.read.pop_front() } else { None })
    }
}

/// What lists name of the last minutes before a span, into which it may reach back.
#[derive(Default)]
struct Listed {
    entries: BTreeMap<AuditId, Entry>,
    /// What happened before that time may come a second time.
    before: Timestamp,
}

impl Listed {
    /// Learns what a list names, and forgets what no span that begins at `from` or later reaches back to.
    fn learn(&mut self, list: &[u8], from: Timestamp) {
        let may_come = |id: &AuditId| made_at(id) >= late(from);
        self.entries.retain(|id, _| may_come(id));
        self.entries.extend(each(list).filter(|it| may_come(&it.id)).map(|entry| (entry.id, entry)));
    }

    /// Whether it is an event that a list named, and was written then. Another one under its id is none.
    fn has(&self, event: &Event) -> bool {
        let entry = self.entries.get(&event.id).filter(|_| event.at < self.before);
        entry.is_some_and(|entry| Entry::of(event.text.as_bytes()) == Some(*entry))
    }
}

/// The entries of a span's list, one after the other.
async fn entries<O: Objects>(
    checkpoints: &O,
    org: &OrgId,
    checkpoint: &Checkpoint,
) -> Result<Vec<u8>, FileError> {
    let list = checkpoints.get(&list_name(org, checkpoint)).await?;
    // One that is missing is for the verifier to find.
    Ok(list.and_then(List::from_bytes).map(|list| list.entries).unwrap_or_default())
}

fn each(list: &[u8]) -> impl Iterator<Item = Entry> {
    let (entries, _) = list.as_chunks::<{ Entry::LEN }>();
    entries.iter().map(Entry::from_bytes)
}

fn midnight(day: Date) -> Timestamp {
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |begin| begin.timestamp())
}

/// The checkpoints from some time before on up to the first one that reaches until then, if there is one: all of those whose spans a later
/// one may reach back into. Of most spans it is known when they begin, for it is with an hour.
async fn reaching<O: Objects>(
    checkpoints: &O,
    org: &OrgId,
    until: Timestamp,
) -> Result<Vec<(String, Checkpoint)>, FileError> {
    let mut hour = hour_of(late(until));
    let mut found = None;
    while found.is_none() && hour >= beginning(org) {
        found = checkpoint(checkpoints, org, hour).await?;
        hour = hour.saturating_sub(HOUR).unwrap_or(Timestamp::MIN);
    }
    let mut chain = Vec::new();
    while let Some((note, reached)) = found {
        let to = reached.span.to;
        chain.push((note, reached));
        if to >= until {
            return Ok(chain);
        }
        found = checkpoint(checkpoints, org, to).await?;
    }
    Ok(Vec::new())
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

/// Has what is ahead begin with the note of the checkpoint of the span that begins at `from`, if there is one, and says whether it was
/// fetched for that. Most spans are an hour, and most of a log is empty hours: those of the next ones are fetched at once.
async fn fetch<O: Objects>(
    checkpoints: &O,
    org: &OrgId,
    ahead: &mut VecDeque<(Timestamp, Option<Vec<u8>>)>,
    from: Timestamp,
    end: Timestamp,
) -> Result<bool, FileError> {
    while ahead.front().is_some_and(|(at, _)| *at < from) {
        ahead.pop_front();
    }
    if ahead.front().is_some_and(|(at, _)| *at == from) {
        return Ok(false);
    }
    let hours = (0..AHEAD).filter_map(|n| from.checked_add(SignedDuration::from_hours(n)).ok());
    let hours = hours.filter(|at| *at < end);
    let get = |at| async move { Ok((at, checkpoints.get(&checkpoint_name(org, at)).await?)) };
    *ahead = try_join_all(hours.map(get)).await.map_err(|error: AwsError| error)?.into();
    Ok(true)
}

/// Since when an event may have come late to the span that begins then.
fn late(from: Timestamp) -> Timestamp {
    from.saturating_sub(LATEST).unwrap_or(from)
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
