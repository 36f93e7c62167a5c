#![doc = include_str!("../README.md")]

mod days;
mod organisation;
mod requests;
mod rows;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use plixo_aws::AwsError;
use plixo_aws::s3::Objects;
use plixo_aws::sqs::SendMessage;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Outcome};
use plixo_domain::hold::Holds;
use plixo_domain::id::{Ids, OrgId};
use plixo_domain::ledger::{Book, Organisation, Private, RowKey, Unread};
use plixo_domain::privacy::{PrivacyTask, PrivacyTaskOf};
use plixo_envelope::NoKeys;
use plixo_lambda::batch::TaskError;
use plixo_lambda::clock;
use plixo_lambda::line::{Level, Line, Metrics};
use plixo_store::jobs::{self, Organisations};
use plixo_store::{CommitError, Entropy, Store, StoreError, Tables};

/// This function's name.
pub const FUNCTION: &str = "job-retention";
/// What a run gets.
pub const BUDGET: Duration = Duration::from_secs(240);

/// Nothing is begun with after so much of a run: the next one goes on.
const LAST_CALL: Duration = Duration::from_secs(200);
/// Within which time what is due is to be gone.
const PROMISED: SignedDuration = SignedDuration::from_hours(24);
/// How many organisations are read at once.
const PAGE: usize = 100;
/// Of what is left of a run, each organisation gets this part at most when it is its turn: one with much to do is not all that is done.
const SLICE: u32 = 4;
/// How many organisations are worked on at once. Of one, all is done in turn: transactions that look at the same rows hinder each other.
const AT_ONCE: usize = 8;
/// How often work is done anew because somebody else changed a row meanwhile.
const TRIES: u32 = 8;

/// The job that deletes what is due.
#[derive(Debug)]
pub struct Job<T, O, Q> {
    store: Store<T, NoKeys>,
    exports: O,
    checkpoints: O,
    queue: Q,
    entropy: Entropy,
}

/// One run.
struct Run<'a> {
    now: Timestamp,
    /// What its audit events name.
    name: &'a str,
    is_over: &'a (dyn Fn() -> bool + Sync),
}

/// What a run did, of one organisation or of all.
#[derive(Debug, Default)]
struct Done {
    /// Deleted.
    deleted: usize,
    /// Sent to `worker-privacy`.
    sent: usize,
    /// Whether something was left for the next run.
    is_unfinished: bool,
    /// What is due for longer than was promised, as far as it was counted.
    late: usize,
    /// Privacy requests that are to be done within days, or are late.
    pressing: Vec<String>,
    /// Why something could not be done.
    failed: Vec<Failed>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error("a row that was not read")]
    Unread,
    #[error("others changed the same rows {TRIES} times")]
    Overtaken,
    #[error("no randomness to be had")]
    NoRandomness,
    #[error("a message has no JSON form")]
    Unwritten,
}

impl From<Unread> for Failed {
    fn from(_: Unread) -> Self {
        Self::Unread
    }
}

/// What decides of everything that an organisation has: its policy and its legal holds, in a book in which they are to stay as they
/// were read when something is deleted.
struct Rules {
    org: Organisation,
    holds: Holds,
    book: Book,
}

impl<T: Tables, O: Objects, Q: SendMessage> Job<T, O, Q> {
    /// One that deletes from `store`, and from `exports` the files. What it destroys for good it first writes down in `checkpoints`;
    /// what others are to do it sends to `queue`.
    pub fn new(store: Store<T, NoKeys>, exports: O, checkpoints: O, queue: Q, entropy: Entropy) -> Self {
        Self { store, exports, checkpoints, queue, entropy }
    }

    /// Deletes what is due of every organisation, at the line's time. It may be done again at any time, and at once.
    pub async fn run(&self, mut line: Line) -> (Result<(), TaskError>, Line) {
        let begun = clock::instant();
        line.request_id = format!("{FUNCTION}#{:.3}", line.timestamp);
        line.who = Some(format!("function:{FUNCTION}"));
        let (name, now) = (line.request_id.clone(), line.timestamp);
        let (done, read) = self.tend_all(now, &name, &|| begun.elapsed(), &line).await;
        line.items = Some(done.deleted);
        line.outcome = if done.is_unfinished { "unfinished" } else { "done" };
        let why = read.err().or_else(|| {
            let count = done.failed.len();
            let first = done.failed.into_iter().next()?;
            Some(TaskError::Retryable(format!("{count} things were not done; of one: {first}")))
        });
        match why {
            None => (Ok(()), line),
            Some(error) => {
                line.outcome = "behind";
                (Err(error), line)
            }
        }
    }

    /// Tends all organisations, from another place on in each hour, so that none is always the last.
    async fn tend_all(
        &self,
        now: Timestamp,
        name: &str,
        elapsed: &(dyn Fn() -> Duration + Sync),
        line: &Line,
    ) -> (Done, Result<(), TaskError>) {
        let tables = self.store.tables();
        let pages = stream::try_unfold(Some(begin_at(now)), |from| async move {
            let Some(from) = from else { return Ok::<_, StoreError>(None) };
            jobs::organisations(tables, from, PAGE).await.map(Some)
        });
        let orgs = pages.map_ok(|orgs| stream::iter(orgs.into_iter().map(Ok))).try_flatten();
        let tend = |org: Result<OrgId, StoreError>| async move {
            let org = org?;
            let until = slice_end(elapsed());
            let run = Run { now, name, is_over: &|| elapsed() > until };
            Ok::<_, StoreError>((org, self.tend(&org, &run).await))
        };
        let mut tended = std::pin::pin!(orgs.map(tend).buffer_unordered(AT_ONCE));
        let (mut all, mut read) = (Done::default(), Ok(()));
        while let Some(tended) = tended.next().await {
            match tended {
                Ok((org, done)) => {
                    tell(&org, &done, line);
                    all.deleted = all.deleted.saturating_add(done.deleted);
                    all.is_unfinished |= done.is_unfinished;
                    all.failed.extend(done.failed);
                }
                Err(error) => read = Err(TaskError::Retryable(error.to_string())),
            }
        }
        (all, read)
    }

    /// An organisation's policy and legal holds, and these rows besides, in one read; `None` where there is no such organisation.
    async fn rules(&self, org: &OrgId, besides: Vec<RowKey>) -> Result<Option<Rules>, Failed> {
        let mut names = vec![RowKey::Organisation, RowKey::Holds];
        names.extend(besides);
        let mut book = Book::default();
        for (name, stored) in self.store.read(org, names).await? {
            book.learn(name, stored);
        }
        let Some(org) = book.get::<Organisation>(&())?.cloned() else { return Ok(None) };
        let holds = book.get::<Holds>(&())?.cloned().unwrap_or_default();
        book.check::<Organisation>(&())?;
        book.check::<Holds>(&())?;
        Ok(Some(Rules { org, holds, book }))
    }

    /// Has `worker-privacy` do something.
    async fn send(&self, org: &OrgId, task: PrivacyTaskOf) -> Result<(), Failed> {
        let body = serde_json::to_string(&PrivacyTask::new(*org, task)).map_err(|_| Failed::Unwritten)?;
        self.queue.send_message(body, ("task", "privacy".to_owned())).await?;
        Ok(())
    }

    fn drawn(&self) -> Result<[u8; 32], Failed> {
        (self.entropy)().ok_or(Failed::NoRandomness)
    }
}

/// Where a run begins: somewhere else in each hour.
fn begin_at(now: Timestamp) -> Organisations {
    Organisations::beginning(now.as_second().div_euclid(3_600))
}

/// Until when an organisation is tended whose turn comes after so much of a run.
fn slice_end(elapsed: Duration) -> Duration {
    elapsed.saturating_add(LAST_CALL.saturating_sub(elapsed) / SLICE)
}

impl Run<'_> {
    fn over(&self) -> bool {
        (self.is_over)()
    }

    fn today(&self) -> Date {
        day(self.now)
    }

    /// The audit event of what was deleted: one thing, or so many of a class.
    fn event(
        &self,
        ids: &mut Ids,
        action: &str,
        object: Object,
        field: &str,
        count: Option<usize>,
    ) -> AuditEvent {
        AuditEvent {
            id: ids.make(),
            at: self.now,
            actor: Actor { kind: ActorKind::Function, id: FUNCTION.to_owned(), role: None },
            origin: Private::default(),
            customer: None,
            action: action.to_owned(),
            object,
            outcome: Outcome::Allowed,
            fields: vec![field.to_owned()],
            request_id: self.name.to_owned(),
            count: count.and_then(|count| u32::try_from(count).ok()),
        }
    }
}

/// The day, in UTC.
fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// Whether it was done, or others changed the same rows meanwhile.
fn committed(done: Result<(), CommitError>) -> Result<bool, Failed> {
    match done {
        Ok(()) => Ok(true),
        Err(CommitError::Conflict) => Ok(false),
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}

/// Writes a line for what people have to look after.
fn tell(org: &OrgId, done: &Done, line: &Line) {
    let say = |outcome, count: usize, error: String| {
        let metrics = Metrics { late: u32::try_from(count).unwrap_or(u32::MAX), ..Metrics::default() };
        let (org, items, error) = (Some(org.to_string()), Some(count), Some(error));
        Line { level: Level::Error, org, items, outcome, error, metrics, ..line.clone() }.emit();
    };
    if !done.pressing.is_empty() {
        let error = format!("to be done within a week, or late: {}", done.pressing.join(", "));
        say("pressing", done.pressing.len(), error);
    }
    if done.late > 0 {
        say("late", done.late, "it is due for more than a day".to_owned());
    }
}
