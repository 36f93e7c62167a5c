#![doc = include_str!("../README.md")]

mod message;
mod news;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Outcome};
use plixo_domain::id::{Ids, OrgId, bytes_of};
use plixo_domain::ledger::{Book, Kept, Payment, Row, RowKey, Told, Unread, tell_customer, tell_payment};
use plixo_domain::webhook::{EventKey, EventStatus, Provider, WebhookEvent};
use plixo_envelope::KeyService;
use plixo_lambda::batch::{self, Batch, BatchResponse, TaskError};
use plixo_lambda::line::Line;
use plixo_store::{CommitError, Payload, Store, StoreError, Tables, pause};
use tokio::sync::Mutex;

use message::Task;
use news::News;

/// This function's name.
pub const FUNCTION: &str = "worker-stripe";

/// How often a message's work is done anew because somebody else changed a row meanwhile. After that the queue hands it
/// out again.
const TRIES: u32 = 8;
/// How often more rows turn out to be needed: a payment, the invoices it names, the payments they displace.
const READS: u32 = 6;

/// The worker that tells the ledger what Stripe's events say.
#[derive(Debug)]
pub struct Worker<T, K> {
    store: Store<T, K>,
}

type Stored = Result<Option<(Row, u64)>, StoreError>;
type Rows = HashMap<(OrgId, RowKey), Stored>;
/// The rows of a batch, each held by one message at a time; true once a message held it, for then it may have changed it.
type Turns = HashMap<(OrgId, RowKey), Mutex<bool>>;

impl<T: Tables, K: KeyService> Worker<T, K> {
    /// A worker on that store.
    pub fn new(store: Store<T, K>) -> Self {
        Self { store }
    }

    /// Works a batch off. The rows that its messages will need are read in one request.
    pub async fn run(&self, batch: Batch) -> BatchResponse {
        let tasks: Vec<_> = batch.records.iter().map(Task::read).collect();
        let wanted =
            tasks.iter().flatten().flat_map(|task| task.rows().into_iter().map(|row| (task.org(), row)));
        let rows = self.store.read_many(wanted.collect()).await;
        let rows: Result<Rows, StoreError> = rows.map(|rows| rows.into_iter().collect());
        let turns: Turns = rows.iter().flatten().map(|(name, _)| (name.clone(), Mutex::new(false))).collect();
        let (tasks, rows, turns) = (&tasks, &rows, &turns);
        batch::run(FUNCTION, &batch, |n, mut line| async move {
            let result = match (tasks.get(n), rows) {
                (Some(Ok(task)), Ok(rows)) => self.work(task, rows, turns, &mut line).await,
                (Some(Ok(task)), Err(error)) => {
                    task.describe(&mut line);
                    Err(failed(error, &mut line))
                }
                (Some(Err(why)), _) => {
                    line.outcome = "poison";
                    Err(TaskError::Permanent((*why).to_owned()))
                }
                (None, _) => Err(TaskError::Permanent("a message that is not in its batch".to_owned())),
            };
            (result, line)
        })
        .await
    }

    async fn work(&self, task: &Task, rows: &Rows, turns: &Turns, line: &mut Line) -> Result<(), TaskError> {
        task.describe(line);
        let now = line.timestamp;
        // Messages of one batch that need the same row go one after the other, all in the same order of rows.
        let names: BTreeSet<_> = task.rows().into_iter().map(|name| (task.org(), name)).collect();
        let mut held = Vec::new();
        for name in &names {
            if let Some(turn) = turns.get(name) {
                held.push(turn.lock().await);
            }
        }
        let mut book = if held.iter().any(|changed| **changed) {
            self.read_anew(task).await.map_err(|error| failed(&error, line))?
        } else {
            let mut book = Book::default();
            for name in names {
                let stored =
                    rows.get(&name).cloned().unwrap_or(Ok(None)).map_err(|error| failed(&error, line))?;
                book.learn(name.1, stored);
            }
            book
        };
        held.iter_mut().for_each(|changed| **changed = true);
        for tried in 0..TRIES {
            let done = self.attempt(task, book, now).await.map_err(|error| failed(&error, line))?;
            match done {
                Done::As(outcome) => {
                    line.outcome = outcome;
                    line.metrics.conflicts = u32::from(outcome == "conflict");
                    return match (&task.news, outcome) {
                        (News::Unusable(why), "failed") => Err(TaskError::Permanent(why.clone())),
                        _ => Ok(()),
                    };
                }
                Done::Overtaken => {
                    tokio::time::sleep(pause(tried, task.fingerprint.0)).await;
                    book = self.read_anew(task).await.map_err(|error| failed(&error, line))?;
                }
            }
        }
        line.outcome = "overtaken";
        Err(TaskError::Retryable(format!("others changed the same rows {TRIES} times")))
    }

    async fn read_anew(&self, task: &Task) -> Result<Book, StoreError> {
        let mut book = Book::default();
        let fresh = self.store.read(&task.org(), task.rows()).await?;
        fresh.into_iter().for_each(|(name, stored)| book.learn(name, stored));
        Ok(book)
    }

    async fn attempt(&self, task: &Task, mut book: Book, now: Timestamp) -> Result<Done, StoreError> {
        for _ in 0..READS {
            match enter(task, &mut book, now) {
                Ok(Entry::Known(outcome)) => return Ok(Done::As(outcome)),
                Ok(Entry::New(outcome, audit)) => {
                    let payload = task.payload(&book);
                    return match self.store.commit(&task.org(), &book, payload, &audit, now).await {
                        Ok(()) => Ok(Done::As(outcome)),
                        Err(CommitError::Conflict) => Ok(Done::Overtaken),
                        Err(CommitError::Store(error)) => Err(error),
                    };
                }
                Err(Unread(names)) => {
                    let read = self.store.read(&task.org(), names).await?;
                    read.into_iter().for_each(|(name, stored)| book.learn(name, stored));
                }
            }
        }
        Err(StoreError::Corrupt("an event needs ever more rows".to_owned()))
    }
}

enum Done {
    As(&'static str),
    Overtaken,
}

enum Entry {
    /// Nothing to write.
    Known(&'static str),
    /// To be committed with these audit events.
    New(&'static str, Vec<AuditEvent>),
}

/// Enters an event in the book: remembers it, tells the ledger its news, and says what it did. Where rows are unread, the
/// book is as it was.
fn enter(task: &Task, book: &mut Book, now: Timestamp) -> Result<Entry, Unread> {
    let mut ids = ids(task, task.envelope.received_at);
    let mut event = WebhookEvent {
        id: ids.make(),
        key: EventKey {
            endpoint: task.envelope.endpoint,
            provider_event_id: task.event_id.clone(),
            conflict: None,
        },
        provider: Provider::Stripe,
        kind: task.kind.clone(),
        status: EventStatus::Failed,
        received_at: task.envelope.received_at,
        applied_at: None,
        fingerprint: task.fingerprint,
    };
    if let Some(before) = book.get::<WebhookEvent>(&event.key)? {
        if before.fingerprint != task.fingerprint {
            return conflicts(task, book, event, &mut ids, now);
        }
        if before.status != EventStatus::Failed {
            return Ok(Entry::Known("duplicate"));
        }
        if matches!(task.news, News::Unusable(_)) {
            return Ok(Entry::Known("failed"));
        }
        event.id = before.id;
        // What was recorded of the failed try keeps its name.
        ids = self::ids(task, now);
    }
    let by = actor(task);
    let told = match &task.news {
        News::Payment(news) => Some(tell_payment(book, news, &by, &mut ids)?),
        News::Customer(news) => Some(tell_customer(book, news, &mut ids)?),
        News::Nothing | News::Unused | News::Unusable(_) => None,
    };
    let (status, outcome) = match (&told, &task.news) {
        (Some(Told::Learned(_)), _) | (_, News::Nothing) => (EventStatus::Applied, "applied"),
        (Some(Told::Known), _) => (EventStatus::Superseded, "superseded"),
        (None, News::Unusable(_)) => (EventStatus::Failed, "failed"),
        (None, _) => (EventStatus::Ignored, "ignored"),
    };
    event.status = status;
    event.applied_at = (status == EventStatus::Applied).then_some(now);
    let mut audit = Audit { task, by, ids, now, events: Vec::new() };
    audit.changes(book, told);
    if audit.events.is_empty() {
        let done = if status == EventStatus::Failed { Outcome::Failed } else { Outcome::Allowed };
        audit.add("webhook_event.record", Object::new("webhook_event", event.id), done, vec!["status"]);
    }
    book.put(event)?;
    Ok(Entry::New(outcome, audit.events))
}

/// The id came before with other bytes: remember what came, and change nothing.
fn conflicts(
    task: &Task,
    book: &mut Book,
    mut event: WebhookEvent,
    ids: &mut Ids,
    now: Timestamp,
) -> Result<Entry, Unread> {
    event.key.conflict = Some(task.fingerprint);
    event.status = EventStatus::Conflict;
    if book.get::<WebhookEvent>(&event.key)?.is_some() {
        return Ok(Entry::Known("duplicate"));
    }
    let mut audit = Audit { task, by: actor(task), ids: ids.clone(), now, events: Vec::new() };
    audit.add(
        "webhook_event.record",
        Object::new("webhook_event", event.id),
        Outcome::Denied,
        vec!["status"],
    );
    book.put(event)?;
    Ok(Entry::New("conflict", audit.events))
}

fn actor(task: &Task) -> Actor {
    Actor { kind: ActorKind::Provider, id: task.envelope.endpoint.to_string(), role: None }
}

/// The same message names its records the same, however often it is worked on.
fn ids(task: &Task, at: Timestamp) -> Ids {
    let mut seed = [0; 10];
    let endpoint = bytes_of(&task.envelope.endpoint);
    let mixed = task.fingerprint.0.iter().zip(endpoint.iter().rev()).map(|(a, b)| a ^ b);
    seed.iter_mut().zip(mixed).for_each(|(to, from)| *to = from);
    Ids::new(at, seed)
}

struct Audit<'a> {
    task: &'a Task,
    by: Actor,
    ids: Ids,
    now: Timestamp,
    events: Vec<AuditEvent>,
}

impl Audit<'_> {
    /// One event for each payment, invoice and customer that the book changed.
    fn changes(&mut self, book: &Book, told: Option<Told>) {
        let learned = if let Some(Told::Learned(fields)) = told { fields } else { Vec::new() };
        let own = match &self.task.news {
            News::Payment(news) => Some(Payment::key(&news.reference)),
            _ => None,
        };
        for (name, object, is_new) in book.touched() {
            let verb = format!("{}.{}", object.kind, if is_new { "create" } else { "update" });
            let is_told_of = matches!(name, RowKey::Customer(_)) || Some(name) == own.as_ref();
            let fields = if is_told_of { learned.clone() } else { vec!["allocations"] };
            self.add(&verb, object, Outcome::Allowed, fields);
        }
    }

    fn add(&mut self, action: &str, object: Object, outcome: Outcome, fields: Vec<&str>) {
        self.events.push(AuditEvent {
            id: self.ids.make(),
            at: self.now,
            actor: self.by.clone(),
            ip: self.task.envelope.ip.clone(),
            user_agent: self.task.envelope.user_agent.clone(),
            action: action.to_owned(),
            object,
            outcome,
            fields: fields.into_iter().map(str::to_owned).collect(),
            request_id: self.task.envelope.request_id.clone(),
        });
    }
}

fn failed(error: &StoreError, line: &mut Line) -> TaskError {
    if error.is_passing() {
        line.outcome = "unavailable";
        TaskError::Retryable(error.to_string())
    } else {
        line.outcome = "store_refused";
        TaskError::Permanent(error.to_string())
    }
}

impl Task {
    /// What is to be kept of the text: nothing if this very text is kept already.
    fn payload<'a>(&'a self, book: &'a Book) -> Option<Payload<'a>> {
        let event = book.changes().find_map(|(_, row, version)| match row {
            Row::WebhookEvent(event) if version.is_none() => Some(event),
            _ => None,
        })?;
        Some(Payload {
            id: event.id,
            event: &event.key,
            fingerprint: self.fingerprint,
            text: &self.text,
            received_at: self.envelope.received_at,
        })
    }
}
