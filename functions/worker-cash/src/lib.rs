#![doc = include_str!("../README.md")]

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use jiff::Timestamp;
use plixo_cash::{Verdict, reference_key, references};
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Outcome};
use plixo_domain::id::{Ids, InvoiceId, OrgId};
use plixo_domain::ledger::staff::{Stopped, allocate};
use plixo_domain::ledger::{
    Book, CashTask, CashTaskOf, Invoice, Kept, Organisation, Payment, PaymentPointer, Private, Row, RowKey,
};
use plixo_domain::webhook::ExternalRef;
use plixo_envelope::KeyService;
use plixo_lambda::batch::{self, Batch, BatchResponse, Message, TaskError};
use plixo_lambda::line::Line;
use plixo_store::{CommitError, Entropy, List, Page, Store, StoreError, Tables, pause};
use plixo_suggestions::{Depth, Found, suggestions};

/// This function's name.
pub const FUNCTION: &str = "worker-cash";

/// How often a payment is looked at anew because somebody else changed a row meanwhile. After that the queue hands it out again.
const TRIES: u32 = 8;
/// How often more rows turn out to be needed.
const READS: u32 = 3;
/// So many of the youngest unapplied payments are looked through for an invoice.
const MAX_WAITING: usize = 100;
/// So many of them are looked at.
const MAX_LIKELY: usize = 5;

/// The worker that applies payments.
#[derive(Debug)]
pub struct Worker<T, K> {
    store: Store<T, K>,
    entropy: Entropy,
}

type Rows = HashMap<(OrgId, RowKey), Result<Option<(Row, u64)>, StoreError>>;

/// What became of a payment, in the log's words, or that somebody was there first.
enum Done {
    As(&'static str),
    Overtaken,
}

impl<T: Tables, K: KeyService> Worker<T, K> {
    /// A worker on that store.
    pub fn new(store: Store<T, K>, entropy: Entropy) -> Self {
        Self { store, entropy }
    }

    /// Works a batch off. The rows that its messages are about are read in one request.
    pub async fn run(&self, batch: Batch) -> BatchResponse {
        let tasks: Vec<_> = batch.records.iter().map(read).collect();
        let wanted = tasks
            .iter()
            .flatten()
            .flat_map(|task| [about(task), RowKey::Organisation].map(|row| (task.org, row)));
        let rows = self.store.read_many(wanted.collect()).await;
        let rows: Result<Rows, StoreError> = rows.map(|rows| rows.into_iter().collect());
        let (tasks, rows) = (&tasks, &rows);
        batch::run(FUNCTION, &batch, |n, mut line| async move {
            let result = match (tasks.get(n), rows) {
                (Some(Ok(task)), Ok(rows)) => self.work(task, rows, &mut line).await,
                (Some(Ok(task)), Err(error)) => {
                    line.org = Some(task.org.to_string());
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

    async fn work(&self, task: &CashTask, rows: &Rows, line: &mut Line) -> Result<(), TaskError> {
        line.org = Some(task.org.to_string());
        line.who = Some(format!("function:{FUNCTION}"));
        line.request_id = line.message_id.clone().unwrap_or_default();
        let mut book = Book::default();
        for name in [about(task), RowKey::Organisation] {
            let stored = rows.get(&(task.org, name.clone())).cloned().unwrap_or(Ok(None));
            book.learn(name, stored.map_err(|error| failed(&error, line))?);
        }
        line.outcome = match &task.of {
            CashTaskOf::Payment(payment) => self.payment(&task.org, payment, book, line).await?,
            CashTaskOf::Invoice(invoice) => self.waiting(&task.org, invoice, &book, line).await?,
        };
        Ok(())
    }

    /// Looks at the payments that may have waited for an invoice: of the youngest that are unapplied, those that name it, or have its
    /// amount.
    async fn waiting(
        &self,
        org: &OrgId,
        invoice: &InvoiceId,
        book: &Book,
        line: &mut Line,
    ) -> Result<&'static str, TaskError> {
        let Some(invoice) = book.get::<Invoice>(invoice).ok().flatten().filter(|it| it.takes_payment())
        else {
            return Ok("nothing_to_apply");
        };
        let now = line.timestamp;
        let page = Page { after: None, descending: true, limit: MAX_WAITING };
        let listed = self.store.list(org, &List::UnappliedPayments, page, now).await;
        let key = reference_key(&invoice.number);
        let mut likely = Vec::new();
        for (row, version) in listed.map_err(|error| failed(&error, line))?.rows {
            let Row::Payment(payment) = row else { continue };
            if !payment.may_apply_itself() {
                continue;
            }
            let payer =
                self.store.open_payer(org, &payment, now).await.map_err(|error| failed(&error, line))?;
            let text = payer.remittance.unwrap_or_default();
            let names_it = references(&text, None).contains(&key);
            if names_it || payment.unapplied() == Some(invoice.balance()) {
                likely.push((!names_it, payment, version));
            }
        }
        // Those that name it come first, each kind the youngest first.
        likely.sort_by_key(|(is_other, ..)| *is_other);
        let mut outcome = "nothing_to_apply";
        for (_, payment, version) in likely.into_iter().take(MAX_LIKELY) {
            let (mut book, reference) = (book.clone(), payment.reference.clone());
            book.learn(Payment::key(&reference), Some((payment.into_row(), version)));
            let done = self.payment(org, &reference, book, line).await?;
            if outcome != "applied" {
                outcome = done;
            }
        }
        Ok(outcome)
    }

    /// Applies a payment, or leaves it to people. Says which.
    async fn payment(
        &self,
        org: &OrgId,
        payment: &ExternalRef,
        mut book: Book,
        line: &mut Line,
    ) -> Result<&'static str, TaskError> {
        for tried in 0..TRIES {
            let done = self.attempt(org, payment, book, line).await;
            match done.map_err(|error| failed(&error, line))? {
                Done::As(outcome) => return Ok(outcome),
                Done::Overtaken => {}
            }
            tokio::time::sleep(pause(tried, (self.entropy)().unwrap_or_default())).await;
            book = Book::default();
            let names = vec![RowKey::Organisation, Payment::key(payment)];
            let read = self.store.read(org, names).await.map_err(|error| failed(&error, line))?;
            read.into_iter().for_each(|(name, stored)| book.learn(name, stored));
        }
        line.outcome = "overtaken";
        Err(TaskError::Retryable(format!("others changed the same rows {TRIES} times")))
    }

    async fn attempt(
        &self,
        org: &OrgId,
        payment: &ExternalRef,
        mut book: Book,
        line: &Line,
    ) -> Result<Done, StoreError> {
        let now = line.timestamp;
        let organisation = book.get::<Organisation>(&()).ok().flatten().cloned();
        let payment = book.get::<Payment>(payment).ok().flatten().cloned();
        let Some((organisation, payment)) = organisation.zip(payment) else { return Ok(Done::As("unknown")) };
        if !payment.may_apply_itself() {
            return Ok(Done::As("nothing_to_apply"));
        }
        if !organisation.settings.cash_application.automatic {
            return Ok(Done::As("switched_off"));
        }
        let payer = self.store.open_payer(org, &payment, now).await?;
        let found =
            suggestions(&self.store, &organisation, (&payment, &payer), Depth::UntilSure, now).await?;
        let Found { suggested, rows } = found;
        let first = suggested.suggestions.into_iter().next();
        let Some(first) = first.filter(|_| suggested.verdict == Verdict::Automatic) else {
            return Ok(Done::As("left_to_people"));
        };
        rows.into_iter().for_each(|(name, stored)| book.learn(name, stored));
        // It says what the payment itself says, and never changes.
        let pointer = PaymentPointer { id: payment.id, reference: payment.reference.clone() };
        book.learn(PaymentPointer::key(&payment.id), Some((pointer.into_row(), 0)));

        let by = Actor { kind: ActorKind::Function, id: FUNCTION.to_owned(), role: None };
        let mut ids = Ids::drawn(now, (self.entropy)().ok_or(StoreError::NoRandomness)?);
        for _ in 0..READS {
            match allocate(&mut book, &payment.id, &first.allocations, &by, &mut ids) {
                Ok(_) => {
                    let events = audit(&book, &by, &mut ids, line);
                    return match self.store.commit(org, &book, None, &events, now).await {
                        Ok(()) => Ok(Done::As("applied")),
                        Err(CommitError::Conflict) => Ok(Done::Overtaken),
                        Err(CommitError::Store(error)) => Err(error),
                    };
                }
                // As where an invoice has as many payments as it can have.
                Err(Stopped::Refused(_)) => return Ok(Done::As("left_to_people")),
                Err(Stopped::Unread(names)) => {
                    let read = self.store.read(org, names).await?;
                    read.into_iter().for_each(|(name, stored)| book.learn(name, stored));
                }
            }
        }
        Err(StoreError::Corrupt("an allocation needs ever more rows".to_owned()))
    }
}

/// Reads a message, or says why no try will ever read it.
fn read(message: &Message) -> Result<CashTask, &'static str> {
    let version = |task: &CashTask| task.v == CashTask::VERSION;
    let task: CashTask =
        serde_json::from_str(&message.body).map_err(|_| "the message is none for this worker")?;
    Some(task).filter(version).ok_or("the message has a version that this worker does not read")
}

fn about(task: &CashTask) -> RowKey {
    match &task.of {
        CashTaskOf::Payment(payment) => Payment::key(payment),
        CashTaskOf::Invoice(invoice) => Invoice::key(invoice),
    }
}

/// One event for the payment and each invoice that the book changed, as when a person applies a payment.
fn audit(book: &Book, by: &Actor, ids: &mut Ids, line: &Line) -> Vec<AuditEvent> {
    let at: Timestamp = line.timestamp;
    let event = |(_, object, _)| AuditEvent {
        id: ids.make(),
        at,
        actor: by.clone(),
        origin: Private::default(),
        customer: None,
        action: "allocation.create".to_owned(),
        object,
        outcome: Outcome::Allowed,
        fields: vec!["allocations".to_owned()],
        request_id: line.request_id.clone(),
        count: None,
    };
    book.touched().map(event).collect()
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
