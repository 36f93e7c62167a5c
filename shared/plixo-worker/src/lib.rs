#![doc = include_str!("../README.md")]

mod message;

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use plixo_aws::sqs::SendMessage;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Origin, Outcome};
use plixo_domain::id::{Ids, OrgId, bytes_of};
use plixo_domain::ledger::staff::{StaffError, Stopped};
use plixo_domain::ledger::{
    Book, CashTask, CashTaskOf, InvoiceRef, Kept, Organisation, Payment, Private, Row, RowKey, Told, Unread,
    cash_tasks, tell_customer, tell_invoice, tell_payment,
};
use plixo_domain::webhook::{Envelope, EventStatus, WebhookEvent};
use plixo_envelope::KeyService;
use plixo_lambda::batch::{self, Batch, BatchResponse, TaskError};
use plixo_lambda::line::{Level, Line};
use plixo_store::{CommitError, Payload, Store, StoreError, Tables, pause};
use tokio::sync::Mutex;

pub use message::{Delivery, Fact, News, Task};

/// How often a message's work is done anew because somebody else changed a row meanwhile. After that the queue hands it
/// out again.
const TRIES: u32 = 8;
/// How often more rows turn out to be needed: a payment, the invoices it names, the payments they displace.
const READS: u32 = 6;

/// Of so many tasks of a message are the rows read with those of its batch; those of any others, each in its turn.
const READ_AHEAD: usize = 8;

/// A worker that tells the ledger what events say.
#[derive(Debug)]
pub struct Worker<T, K, Q> {
    function: &'static str,
    store: Store<T, K>,
    cash: Q,
}

type Stored = Result<Option<(Row, u64)>, StoreError>;
type Rows = HashMap<(OrgId, RowKey), Stored>;
/// The rows of a batch, each held by one message at a time; true once a message held it, for then it may have changed it.
type Turns = HashMap<(OrgId, RowKey), Mutex<bool>>;

impl<T: Tables, K: KeyService, Q: SendMessage> Worker<T, K, Q> {
    /// The worker of that function's name, on that store. What may be to be applied after an event is told to `cash`.
    pub fn new(function: &'static str, store: Store<T, K>, cash: Q) -> Self {
        Self { function, store, cash }
    }

    /// The store that it works on.
    pub fn store(&self) -> &Store<T, K> {
        &self.store
    }

    /// Works a batch off: of each of its messages the tasks that it holds, or why no try will ever read it. The rows that they
    /// will need are read in one request.
    pub async fn run(&self, batch: &Batch, messages: &[Result<Vec<Task>, &'static str>]) -> BatchResponse {
        let ahead = messages.iter().flatten().flat_map(|tasks| tasks.iter().take(READ_AHEAD));
        let wanted = ahead.flat_map(|task| task.rows().into_iter().map(|row| (task.org(), row)));
        let rows = self.store.read_many(wanted.collect()).await;
        let rows: Result<Rows, StoreError> = rows.map(|rows| rows.into_iter().collect());
        let turns: Turns = rows.iter().flatten().map(|(name, _)| (name.clone(), Mutex::new(false))).collect();
        let (rows, turns) = (&rows, &turns);
        batch::run(self.function, batch, |n, mut line| async move {
            let result = match (messages.get(n), rows) {
                (Some(Ok(tasks)), Ok(rows)) => self.work_all(tasks, rows, turns, &mut line).await,
                (Some(Ok(tasks)), Err(error)) => {
                    tasks.iter().take(1).for_each(|task| task.describe(&mut line));
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

    /// Works the tasks of a message off, whatever becomes of the others. A later try may do the whole message if it may do one of
    /// those that failed.
    async fn work_all(
        &self,
        tasks: &[Task],
        rows: &Rows,
        turns: &Turns,
        line: &mut Line,
    ) -> Result<(), TaskError> {
        if let [task] = tasks {
            return self.work(task, rows, turns, line).await;
        }
        tasks.iter().take(1).for_each(|task| task.describe(line));
        line.event_type = None;
        let (mut result, mut is_owed) = (Ok(()), false);
        line.outcome = "done";
        for task in tasks {
            if is_owed && task.text.is_some() {
                // What this event told of is not all done. So it does not count either, and all of it comes again.
                is_owed = false;
                continue;
            }
            let mut own = Line { span: "event", metrics: Default::default(), ..line.clone() };
            let done = self.work(task, rows, turns, &mut own).await;
            is_owed |= done.is_err() && task.text.is_none();
            if let Err(error) = &done {
                own.error = Some(error.to_string());
                own.level = error.level();
                line.outcome = own.outcome;
            }
            own.emit();
            result = match (result, done) {
                (Ok(()), done) => done,
                (Err(TaskError::Permanent(_)), Err(TaskError::Retryable(why))) => {
                    Err(TaskError::Retryable(why))
                }
                (failed, _) => failed,
            };
        }
        result
    }

    /// Works off tasks that no delivery holds together, one after the other: how many, until time is up. One that is recorded as failed
    /// has a line of its own, and keeps none of the others up. With it comes why it went no further, where nothing was recorded.
    pub async fn work_through(
        &self,
        tasks: &[Task],
        until: tokio::time::Instant,
        line: &Line,
    ) -> (usize, Result<(), TaskError>) {
        for (done, task) in tasks.iter().enumerate() {
            if tokio::time::Instant::now() >= until {
                return (done, Ok(()));
            }
            let mut own = Line { span: "event", metrics: Default::default(), ..line.clone() };
            let recorded = match self.record(task, &Rows::new(), &Turns::new(), &mut own).await {
                Ok(recorded) => recorded,
                Err(error) => return (done, Err(error)),
            };
            // What was known before is no news.
            if let Some(why) = &recorded {
                own.error = Some(why.clone());
                (own.level, own.metrics.errors) = (Level::Error, 1);
            }
            if recorded.is_some() || own.outcome == "applied" {
                own.emit();
            }
        }
        (tasks.len(), Ok(()))
    }

    async fn work(&self, task: &Task, rows: &Rows, turns: &Turns, line: &mut Line) -> Result<(), TaskError> {
        let recorded = self.record(task, rows, turns, line).await?;
        recorded.map_or(Ok(()), |why| Err(TaskError::Permanent(why)))
    }

    /// Records an event with all that it changes: why it is recorded as failed, if it is.
    async fn record(
        &self,
        task: &Task,
        rows: &Rows,
        turns: &Turns,
        line: &mut Line,
    ) -> Result<Option<String>, TaskError> {
        task.describe(line);
        if let News::Waits(why) = &task.news {
            line.outcome = "waits";
            return Err(TaskError::Retryable(why.clone()));
        }
        let now = line.timestamp;
        // Tasks of one batch that need the same row go one after the other, all in the same order of rows.
        let names: BTreeSet<_> = task.rows().into_iter().map(|name| (task.org(), name)).collect();
        let (mut held, mut unheld) = (Vec::new(), false);
        for name in names.iter().filter(|(_, name)| task.may_change(name)) {
            match turns.get(name) {
                Some(turn) => held.push(turn.lock().await),
                None => unheld = true,
            }
        }
        let mut book = if unheld || held.iter().any(|changed| **changed) {
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
            let done = match self.attempt(task, book, now).await {
                Ok(done) => done,
                Err(error) => {
                    if error.is_gone() && self.is_closed(&task.org(), now).await {
                        // Nobody will ever read what its provider still sends.
                        line.outcome = "closed";
                        return Ok(None);
                    }
                    return Err(failed(&error, line));
                }
            };
            match done {
                Done::As(outcome, why) => {
                    line.outcome = outcome;
                    line.metrics.conflicts = u32::from(outcome == "conflict");
                    return Ok(why);
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

    /// Whether an organisation was closed and its time of grace is over, as far as can be told now.
    async fn is_closed(&self, org: &OrgId, now: Timestamp) -> bool {
        let read = self.store.read(org, vec![RowKey::Organisation]).await.unwrap_or_default();
        let of = read.iter().filter_map(|(_, stored)| Organisation::of(&stored.as_ref()?.0));
        of.filter_map(|of| of.closed).any(|closed| closed.until() <= now)
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
                Ok(Entry { outcome, audit, why }) => {
                    if audit.is_empty() {
                        // It may have come again because the queue for cash did not take what followed from it.
                        if outcome == "duplicate" {
                            self.tell_cash(repeated(task, &book)).await?;
                        }
                        return Ok(Done::As(outcome, why));
                    }
                    let (payload, follows) = (task.payload(&book), cash_tasks(&task.org(), &book));
                    return match self.store.commit(&task.org(), &book, payload, &audit, now).await {
                        Ok(()) => {
                            self.tell_cash(follows).await?;
                            Ok(Done::As(outcome, why))
                        }
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

    async fn tell_cash(&self, tasks: Vec<CashTask>) -> Result<(), StoreError> {
        for task in tasks {
            let body = serde_json::to_string(&task);
            let body = body.map_err(|_| StoreError::Corrupt("a task has no JSON form".to_owned()))?;
            self.cash.send_message(body, ("task", "cash".to_owned())).await?;
        }
        Ok(())
    }
}

/// What followed from a task that came before, as far as its rows tell.
fn repeated(task: &Task, book: &Book) -> Vec<CashTask> {
    let News::Told(Some(fact)) = &task.news else { return Vec::new() };
    let of = match fact.as_ref() {
        Fact::Payment(news) => book.get::<Payment>(&news.reference).ok().flatten().and_then(|payment| {
            payment.may_apply_itself().then(|| CashTaskOf::Payment(payment.reference.clone()))
        }),
        Fact::Invoice(news) => {
            let link = book.get::<InvoiceRef>(&news.reference).ok().flatten();
            link.map(|link| CashTaskOf::Invoice(link.invoice))
        }
        Fact::Customer(_) => None,
    };
    of.into_iter().map(|of| CashTask::new(task.org(), of)).collect()
}

enum Done {
    /// What became of the event, and why it failed if it did.
    As(&'static str, Option<String>),
    Overtaken,
}

/// What became of an event.
struct Entry {
    outcome: &'static str,
    /// To be committed with what the book holds; none, where nothing changes.
    audit: Vec<AuditEvent>,
    /// Why it failed.
    why: Option<String>,
}

/// Enters an event in the book: remembers it, tells the ledger its news, and says what it did. Where rows are unread, the
/// book is as it was.
fn enter(task: &Task, book: &mut Book, now: Timestamp) -> Result<Entry, Unread> {
    let mut ids = ids(task, task.envelope.received_at);
    let mut event = WebhookEvent {
        id: ids.make(),
        key: task.key(),
        provider: task.envelope.provider,
        kind: task.kind.clone(),
        status: EventStatus::Failed,
        received_at: task.envelope.received_at,
        applied_at: None,
        fingerprint: task.fingerprint,
    };
    let mut failed_before = false;
    if let Some(before) = book.get::<WebhookEvent>(&event.key)? {
        if before.fingerprint != task.fingerprint {
            return conflicts(task, book, event, now);
        }
        if before.status != EventStatus::Failed {
            return Ok(Entry { outcome: "duplicate", audit: Vec::new(), why: None });
        }
        failed_before = true;
        event.id = before.id;
        // What was recorded of the failed try keeps its name.
        ids = self::ids(task, now);
    }
    let by = actor(task);
    let (told, why) = match &task.news {
        News::Told(None) => (Some(Told::Learned(Vec::new())), None),
        News::Told(Some(fact)) => match tell(book, fact, &by, &mut ids) {
            Ok(told) => (Some(told), None),
            Err(Stopped::Unread(names)) => return Err(Unread(names)),
            Err(Stopped::Refused(error)) => (None, Some(reason(error))),
        },
        News::Known => (Some(Told::Known), None),
        News::Unused => (None, None),
        News::Unusable(why) | News::Waits(why) => (None, Some(why.clone())),
    };
    let (status, outcome) = match (&told, &why) {
        (_, Some(_)) => (EventStatus::Failed, "failed"),
        (Some(Told::Learned(_)), _) => (EventStatus::Applied, "applied"),
        (Some(Told::Known), _) => (EventStatus::Superseded, "superseded"),
        (None, None) => (EventStatus::Ignored, "ignored"),
    };
    // Of a document that was only looked at, no delivery is kept, and that nothing is new about it is nothing to record.
    let is_no_news = task.text.is_none() && status == EventStatus::Superseded && !failed_before;
    if is_no_news || (failed_before && status == EventStatus::Failed) {
        return Ok(Entry { outcome, audit: Vec::new(), why });
    }
    event.status = status;
    event.applied_at = (status == EventStatus::Applied).then_some(now);
    let mut audit = Audit::new(task, by, now);
    audit.changes(book, told);
    if audit.events.is_empty() {
        let done = if status == EventStatus::Failed { Outcome::Failed } else { Outcome::Allowed };
        audit.add("webhook_event.record", Object::new("webhook_event", event.id), done, vec!["status"]);
    }
    book.put(event)?;
    Ok(Entry { outcome, audit: audit.events, why })
}

/// Tells the ledger a fact.
fn tell(book: &mut Book, fact: &Fact, by: &Actor, ids: &mut Ids) -> Result<Told, Stopped> {
    match fact {
        Fact::Payment(news) => Ok(tell_payment(book, news, by, ids)?),
        Fact::Customer(news) => Ok(tell_customer(book, news, ids)?),
        Fact::Invoice(news) => tell_invoice(book, news, by, ids),
    }
}

/// Why the ledger refused, in words that show nothing of what was said.
fn reason(error: StaffError) -> String {
    match error {
        StaffError::Invalid(fields) => {
            let words: Vec<_> =
                fields.iter().map(|field| format!("{} {}", field.pointer, field.why)).collect();
            words.join("; ")
        }
        other => other.to_string(),
    }
}

/// The id came before with other bytes: remember what came, and change nothing.
fn conflicts(task: &Task, book: &mut Book, mut event: WebhookEvent, now: Timestamp) -> Result<Entry, Unread> {
    event.key.conflict = Some(task.fingerprint);
    event.status = EventStatus::Conflict;
    if book.get::<WebhookEvent>(&event.key)?.is_some() {
        return Ok(Entry { outcome: "duplicate", audit: Vec::new(), why: None });
    }
    let mut audit = Audit::new(task, actor(task), now);
    audit.add(
        "webhook_event.record",
        Object::new("webhook_event", event.id),
        Outcome::Denied,
        vec!["status"],
    );
    book.put(event)?;
    Ok(Entry { outcome: "conflict", audit: audit.events, why: None })
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

impl<'a> Audit<'a> {
    fn new(task: &'a Task, by: Actor, now: Timestamp) -> Self {
        // Their ids tell when they happened, whenever the message came: the log is sealed by that.
        Self { task, by, ids: ids(task, now), now, events: Vec::new() }
    }

    /// One event for each payment, invoice and customer that the book changed.
    fn changes(&mut self, book: &Book, told: Option<Told>) {
        let learned = if let Some(Told::Learned(fields)) = told { fields } else { Vec::new() };
        let fact = if let News::Told(fact) = &self.task.news { fact.as_deref() } else { None };
        for (name, object, is_new) in book.touched() {
            let verb = format!("{}.{}", object.kind, if is_new { "create" } else { "update" });
            let is_told_of = match (fact, name) {
                (Some(Fact::Payment(news)), name) => *name == Payment::key(&news.reference),
                (Some(Fact::Invoice(_)), RowKey::Invoice(_)) => true,
                (Some(Fact::Customer(_)), RowKey::Customer(_)) => true,
                _ => false,
            };
            let fields = match name {
                _ if is_told_of => learned.clone(),
                // Known by name only, from an invoice.
                RowKey::Customer(_) => vec!["external_ids"],
                _ => vec!["allocations"],
            };
            self.add(&verb, object, Outcome::Allowed, fields);
        }
    }

    fn add(&mut self, action: &str, object: Object, outcome: Outcome, fields: Vec<&str>) {
        let Envelope { ip, user_agent, .. } = Envelope::clone(&self.task.envelope);
        self.events.push(AuditEvent {
            id: self.ids.make(),
            at: self.now,
            actor: self.by.clone(),
            origin: Private::Plain(Origin { ip, user_agent }),
            customer: None,
            action: action.to_owned(),
            object,
            outcome,
            fields: fields.into_iter().map(str::to_owned).collect(),
            request_id: self.task.envelope.request_id.clone(),
            count: None,
        });
    }
}

/// What an error of the store is to a message, and to its line.
pub fn failed(error: &StoreError, line: &mut Line) -> TaskError {
    if error.is_passing() {
        line.outcome = "unavailable";
        TaskError::Retryable(error.to_string())
    } else {
        line.outcome = "store_refused";
        TaskError::Permanent(error.to_string())
    }
}

impl Task {
    /// What is to be kept of the text: nothing if this very text is kept already, or is of a customer who was erased.
    fn payload<'a>(&'a self, book: &'a Book) -> Option<Payload<'a>> {
        let text = self.text.as_deref().filter(|_| !book.is_of_erased())?;
        let event = book.changes().find_map(|(_, row, version)| match row {
            Row::WebhookEvent(event) if version.is_none() => Some(event),
            _ => None,
        })?;
        Some(Payload {
            id: event.id,
            event: &event.key,
            fingerprint: self.fingerprint,
            text,
            received_at: self.envelope.received_at,
        })
    }
}
