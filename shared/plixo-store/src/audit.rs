//! The audit log, read from the latest back.
//!
//! It is kept by organisation, day and shard; an index has what is about one thing. What somebody looks for besides is filtered
//! out of what was read. So each part reads a bounded number of events and days, and says where the next one begins, whether or
//! not it found any.

use futures::future::try_join_all;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use plixo_domain::audit::AuditEvent;
use plixo_domain::id::{AuditId, OrgId, bytes_of, from_bytes, made_at};
use plixo_envelope::KeyService;

use crate::error::StoreError;
use crate::items;
use crate::keys::{self, AUDIT_SHARDS};
use crate::store::Store;
use crate::tables::{Index, Item, Range, Table, Tables};

/// So many events are looked at for one part of the log.
const EVENTS: usize = 1_000;
/// So many days are looked at for one part of the log: each is a query a shard, also where nothing happened.
const DAYS: usize = 14;

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSpan {
    /// Itself included.
    pub from: Timestamp,
    /// Itself not included.
    pub to: Timestamp,
}

/// A part of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The events, the latest first.
    pub events: Vec<AuditEvent>,
    /// Where the next part begins; `None` at the end. There may be one although this part has less than was asked for,
    /// or nothing.
    pub next: Option<AuditNext>,
}

/// Where a part of the audit log ends and the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditNext {
    /// The place.
    pub place: String,
    /// The earliest day, UTC, that was looked at.
    pub looked_back_to: Date,
}

/// What of the events that were read was asked for.
struct Sieve<F> {
    span: AuditSpan,
    limit: usize,
    wanted: F,
    events: Vec<AuditEvent>,
    seen: usize,
}

impl<F: Fn(&AuditEvent) -> bool> Sieve<F> {
    fn new(span: AuditSpan, limit: usize, wanted: F) -> Self {
        Self { span, limit, wanted, events: Vec::new(), seen: 0 }
    }

    /// Looks at an event, and says whether the part is full.
    fn take(&mut self, event: AuditEvent) -> bool {
        self.seen = self.seen.saturating_add(1);
        if self.span.from <= event.at && event.at < self.span.to && (self.wanted)(&event) {
            self.events.push(event);
        }
        self.events.len() >= self.limit || self.seen >= EVENTS
    }

    fn page(self, next: Option<AuditNext>) -> AuditPage {
        AuditPage { events: self.events, next }
    }
}

/// Before a place: on that day, and before that event.
struct Place {
    day: Date,
    before: Option<String>,
}

impl Place {
    /// `2026-06-15` or `2026-06-15#aud_…`.
    fn parse(text: &str) -> Result<Self, StoreError> {
        let (day, before) = match text.split_once('#') {
            Some((day, before)) => (day, Some(before.to_owned())),
            None => (text, None),
        };
        let day = day.parse().map_err(|_| StoreError::Corrupt("no place in the audit log".to_owned()))?;
        Ok(Self { day, before })
    }

    fn text(&self) -> String {
        match self {
            Self { day, before: None } => day.to_string(),
            Self { day, before: Some(before) } => format!("{day}#{before}"),
        }
    }

    fn next(self) -> AuditNext {
        let looked = if self.before.is_some() { self.day } else { self.day.tomorrow().unwrap_or(self.day) };
        AuditNext { place: self.text(), looked_back_to: looked }
    }
}

impl<T: Tables, K: KeyService> Store<T, K> {
    /// A part of an organisation's audit log: at most `limit` events that are `wanted`, after the place `after`. The latest day
    /// comes first, and within a day the latest id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit(
        &self,
        org: &OrgId,
        span: AuditSpan,
        after: Option<&str>,
        limit: usize,
        wanted: impl Fn(&AuditEvent) -> bool,
    ) -> Result<AuditPage, StoreError> {
        // The shards fill evenly, so that a part mostly takes one round.
        let mut piece = limit / usize::from(AUDIT_SHARDS) + 4;
        let mut at = match after {
            Some(place) => Place::parse(place)?,
            None => Place { day: keys::day(span.to), before: None },
        };
        let mut sieve = Sieve::new(span, limit, wanted);
        for _ in 0..DAYS {
            if at.day < keys::day(span.from) {
                return Ok(sieve.page(None));
            }
            let partitions = (0..AUDIT_SHARDS).map(|shard| keys::audit_partition(org, at.day, shard));
            let partitions: Vec<_> = partitions.collect();
            loop {
                let (round, ends) =
                    self.round(Index::Primary, &partitions, at.before.as_deref(), piece).await?;
                for (id, event) in round {
                    at.before = Some(id);
                    if sieve.take(event) {
                        return Ok(sieve.page(Some(at.next())));
                    }
                }
                if ends {
                    break;
                }
                // Where a filter passes over many, few rounds look through as many as a part may.
                piece = piece.saturating_mul(2);
            }
            let Ok(day) = at.day.yesterday() else { return Ok(sieve.page(None)) };
            at = Place { day, before: None };
        }
        let next = (at.day >= keys::day(span.from)).then(|| at.next());
        Ok(sieve.page(next))
    }

    /// A part of the events about one thing, which is not the organisation itself: at most `limit` that are `wanted`, after the
    /// place `after`, the latest id first. With `changes` only those that changed it, past any number of others. The index that
    /// has them follows the log with some delay.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_of(
        &self,
        (org, object): (&OrgId, &str),
        changes: bool,
        span: AuditSpan,
        after: Option<&str>,
        limit: usize,
        wanted: impl Fn(&AuditEvent) -> bool,
    ) -> Result<AuditPage, StoreError> {
        let mut partitions = vec![keys::audit_object_partition(org, object, true)];
        if !changes {
            partitions.push(keys::audit_object_partition(org, object, false));
        }
        let mut before = after.map(str::to_owned);
        let mut sieve = Sieve::new(span, limit, wanted);
        let mut piece = limit;
        loop {
            let (round, ends) = self.round(Index::ByObject, &partitions, before.as_deref(), piece).await?;
            let mut round = round.into_iter().peekable();
            while let Some((place, event)) = round.next() {
                if latest_of(&event) < span.from {
                    return Ok(sieve.page(None));
                }
                let looked_back_to = keys::day(event.at);
                if sieve.take(event) {
                    let more = !ends || round.peek().is_some();
                    return Ok(sieve.page(more.then_some(AuditNext { place, looked_back_to })));
                }
                before = Some(place);
            }
            if ends {
                return Ok(sieve.page(None));
            }
            // As in [`Self::audit`].
            piece = piece.saturating_mul(2);
        }
    }

    /// The texts of audit events as they are stored, byte for byte, in the order of their ids: at most some `limit` of those that
    /// happened in the span and come after the id `after`, which is of it; and whether those are the last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_in_order(
        &self,
        org: &OrgId,
        span: AuditSpan,
        after: Option<&AuditId>,
        limit: usize,
    ) -> Result<(Vec<(AuditId, String)>, bool), StoreError> {
        let last = last_id_before(span.to);
        let mut from = after.copied().unwrap_or(id_at(span.from, 0)).max(id_at(span.from, 0));
        loop {
            let day = keys::day(made_at(&from));
            let (mut texts, ends) = self.texts_of_day(org, day, Some(&from), Some(&last), limit).await?;
            texts.retain(|(id, _)| Some(id) != after);
            let next_day = day.tomorrow().ok().and_then(|day| day.to_zoned(TimeZone::UTC).ok());
            let next_day = next_day.map(|day| day.timestamp()).filter(|day| *day < span.to);
            match next_day {
                _ if !ends => return Ok((texts, false)),
                None => return Ok((texts, true)),
                Some(_) if !texts.is_empty() => return Ok((texts, false)),
                // A day without events, or with none after that one.
                Some(day) => from = id_at(day, 0),
            }
        }
    }

    /// The texts of all audit events that stand with a day, as they are stored, byte for byte, in the order of their ids, whatever times
    /// those tell: at most some `limit` of those that come after the id `after`; and whether those are the last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_with_day(
        &self,
        org: &OrgId,
        day: Date,
        after: Option<&AuditId>,
        limit: usize,
    ) -> Result<(Vec<(AuditId, String)>, bool), StoreError> {
        let (mut texts, ends) = self.texts_of_day(org, day, after, None, limit).await?;
        texts.retain(|(id, _)| Some(id) != after);
        Ok((texts, ends))
    }

    /// The texts of a day's events from an id on up to another one, in the order of ids: some `limit` of them, and whether they end with
    /// those.
    async fn texts_of_day(
        &self,
        org: &OrgId,
        day: Date,
        from: Option<&AuditId>,
        to: Option<&AuditId>,
        limit: usize,
    ) -> Result<(Vec<(AuditId, String)>, bool), StoreError> {
        let piece = limit / usize::from(AUDIT_SHARDS) + 4;
        let part = |shard| {
            self.tables.items(Range {
                table: Table::Audit,
                index: Index::Primary,
                partition: keys::audit_partition(org, day, shard),
                from: from.map(AuditId::to_string),
                to: to.map(AuditId::to_string),
                descending: false,
                // One more, because the range may begin with the place itself.
                limit: piece.saturating_add(1),
            })
        };
        let parts = try_join_all((0..AUDIT_SHARDS).map(part)).await?;
        // Beyond the last one read of a partition of which there may be more, what was read of another may not be the next one.
        let unfinished = parts.iter().filter(|read| read.len() > piece);
        let ceiling = unfinished.filter_map(|read| read.last().map(|(id, _)| id.clone())).min();
        let mut texts = Vec::new();
        for (id, item) in parts.into_iter().flatten() {
            if ceiling.as_ref().is_none_or(|ceiling| id <= *ceiling) {
                let id: AuditId =
                    id.parse().map_err(|_| StoreError::Corrupt("an audit event without an id".to_owned()))?;
                texts.push((id, items::text(&item)?.to_owned()));
            }
        }
        texts.sort_unstable_by_key(|(id, _)| *id);
        Ok((texts, ceiling.is_none()))
    }

    /// A part of an organisation's audit log as [`Self::audit`] reads it, each event with its stored text, byte for byte, and the
    /// place of the next part; `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_texts(
        &self,
        org: &OrgId,
        span: AuditSpan,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<(AuditEvent, String)>, Option<String>), StoreError> {
        let piece = limit / usize::from(AUDIT_SHARDS) + 4;
        let mut at = match after {
            Some(place) => Place::parse(place)?,
            None => Place { day: keys::day(span.to), before: None },
        };
        let mut texts = Vec::new();
        while at.day >= keys::day(span.from) {
            let partitions = (0..AUDIT_SHARDS).map(|shard| keys::audit_partition(org, at.day, shard));
            let partitions: Vec<_> = partitions.collect();
            loop {
                let read = items::to_audit_text;
                let (round, ends) =
                    self.round_of(Index::Primary, &partitions, at.before.as_deref(), piece, read).await?;
                for (id, text) in round {
                    at.before = Some(id);
                    if span.from <= text.0.at && text.0.at < span.to {
                        texts.push(text);
                    }
                }
                // A round is taken as a whole: it is bounded, and the place is that of its last event.
                if texts.len() >= limit {
                    return Ok((texts, Some(at.text())));
                }
                if ends {
                    break;
                }
            }
            let Ok(day) = at.day.yesterday() else { break };
            at = Place { day, before: None };
        }
        Ok((texts, None))
    }

    /// The next events of several partitions, the latest first, and whether they end with them.
    async fn round(
        &self,
        index: Index,
        partitions: &[String],
        before: Option<&str>,
        piece: usize,
    ) -> Result<(Vec<(String, AuditEvent)>, bool), StoreError> {
        self.round_of(index, partitions, before, piece, items::to_audit_event).await
    }

    /// [`Self::round`], each event as `read` reads it.
    async fn round_of<E>(
        &self,
        index: Index,
        partitions: &[String],
        before: Option<&str>,
        piece: usize,
        read: fn(&Item) -> Result<E, StoreError>,
    ) -> Result<(Vec<(String, E)>, bool), StoreError> {
        let part = |partition: &String| {
            self.tables.items(Range {
                table: Table::Audit,
                index,
                partition: partition.clone(),
                from: None,
                to: before.map(str::to_owned),
                descending: true,
                // One more, because the range begins with the place itself.
                limit: piece.saturating_add(1),
            })
        };
        let parts = try_join_all(partitions.iter().map(part)).await?;
        // A partition of which there may be more was read down to its last event here. What lies below that in another one may
        // not be the next one.
        let unfinished = parts.iter().filter(|read| read.len() > piece);
        let floor = unfinished.filter_map(|read| read.last().map(|(id, _)| id.clone())).max();
        let mut round = Vec::new();
        for (id, item) in parts.into_iter().flatten() {
            if before != Some(id.as_str()) && floor.as_ref().is_none_or(|floor| id >= *floor) {
                round.push((id, read(&item)?));
            }
        }
        round.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        Ok((round, floor.is_none()))
    }
}

/// The lowest id of that millisecond, or with 255 the highest.
fn id_at(at: Timestamp, rest: u8) -> AuditId {
    let [_, _, millis @ ..] = at.as_millisecond().max(0).to_be_bytes();
    let mut bytes = [rest; 16];
    bytes.iter_mut().zip(millis).for_each(|(to, from)| *to = from);
    from_bytes(bytes)
}

/// The last id before that time: no id of that millisecond or later is below it, and all before are, or are it.
#[must_use]
pub fn last_id_before(to: Timestamp) -> AuditId {
    let before = to.saturating_sub(SignedDuration::from_millis(1)).unwrap_or(to);
    id_at(before, 255)
}

/// The longest from when an event's work came, which is its id's time, to when it was written: 4 days in the queue, and 14 among
/// the dead letters before somebody replays it.
const LATEST: SignedDuration = SignedDuration::from_hours(18 * 24);

/// The latest time at which this event, or one before it in the order of ids, can have been written.
fn latest_of(event: &AuditEvent) -> Timestamp {
    let [a, b, c, d, e, f, ..] = bytes_of(&event.id);
    let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let at = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    // Times have fractions of the millisecond.
    at.saturating_add(LATEST)
        .and_then(|at| at.saturating_add(SignedDuration::from_millis(1)))
        .unwrap_or(Timestamp::MAX)
}
