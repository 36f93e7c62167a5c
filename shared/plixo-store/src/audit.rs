//! The audit log, read from the latest day back.
//!
//! It is kept by organisation, day and shard, and by nothing else: what somebody looks for is filtered out of what was read.
//! So each part reads a bounded number of events and days, and says where the next one begins, whether or not it found any.

use futures::future::try_join_all;
use jiff::Timestamp;
use jiff::civil::Date;
use plixo_domain::audit::AuditEvent;
use plixo_domain::id::OrgId;
use plixo_envelope::KeyService;

use crate::error::StoreError;
use crate::items;
use crate::keys::{self, AUDIT_SHARDS};
use crate::store::Store;
use crate::tables::{Index, Range, Table, Tables};

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
    /// The events, those of the latest day first; within a day by their ids, the latest first.
    pub events: Vec<AuditEvent>,
    /// Where the next part begins; `None` at the end. There may be one although this part has less than was asked for,
    /// or nothing.
    pub next: Option<String>,
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

    fn text(self) -> String {
        match self {
            Self { day, before: None } => day.to_string(),
            Self { day, before: Some(before) } => format!("{day}#{before}"),
        }
    }
}

impl<T: Tables, K: KeyService> Store<T, K> {
    /// A part of an organisation's audit log: at most `limit` events that are `wanted`, after the place `after`.
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
        let piece = limit / usize::from(AUDIT_SHARDS) + 4;
        let mut at = match after {
            Some(place) => Place::parse(place)?,
            None => Place { day: keys::day(span.to), before: None },
        };
        let (mut events, mut seen) = (Vec::new(), 0_usize);
        for _ in 0..DAYS {
            if at.day < keys::day(span.from) {
                return Ok(AuditPage { events, next: None });
            }
            loop {
                let (round, ends) = self.round(org, &at, piece).await?;
                for (id, event) in round {
                    seen = seen.saturating_add(1);
                    at.before = Some(id);
                    if span.from <= event.at && event.at < span.to && wanted(&event) {
                        events.push(event);
                    }
                    if events.len() >= limit || seen >= EVENTS {
                        return Ok(AuditPage { events, next: Some(at.text()) });
                    }
                }
                if ends {
                    break;
                }
            }
            let Ok(day) = at.day.yesterday() else { return Ok(AuditPage { events, next: None }) };
            at = Place { day, before: None };
        }
        let next = (at.day >= keys::day(span.from)).then(|| at.text());
        Ok(AuditPage { events, next })
    }

    /// The next events of a day, the latest first, and whether the day ends with them.
    async fn round(
        &self,
        org: &OrgId,
        at: &Place,
        piece: usize,
    ) -> Result<(Vec<(String, AuditEvent)>, bool), StoreError> {
        let shard = |shard| {
            self.tables.items(Range {
                table: Table::Audit,
                index: Index::Primary,
                partition: keys::audit_partition(org, at.day, shard),
                from: None,
                to: at.before.clone(),
                descending: true,
                // One more, because the range begins with the place itself.
                limit: piece.saturating_add(1),
            })
        };
        let shards = try_join_all((0..AUDIT_SHARDS).map(shard)).await?;
        // A shard of which there may be more was read down to its last event here. What lies below that in another shard
        // may not be the next one.
        let unfinished = shards.iter().filter(|read| read.len() > piece);
        let floor = unfinished.filter_map(|read| read.last().map(|(id, _)| id.clone())).max();
        let mut round = Vec::new();
        for (id, item) in shards.into_iter().flatten() {
            if at.before.as_ref() != Some(&id) && floor.as_ref().is_none_or(|floor| id >= *floor) {
                round.push((id, items::to_audit_event(&item)?));
            }
        }
        round.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        Ok((round, floor.is_none()))
    }
}
