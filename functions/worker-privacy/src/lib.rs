#![doc = include_str!("../README.md")]

mod case;
mod certify;
mod collect;
mod erase;
mod sweep;
#[cfg(test)]
mod tests;
mod words;

use std::time::Duration;

use plixo_aws::s3::Objects;
use plixo_aws::sign::Sign;
use plixo_aws::sqs::LookThrough;
use plixo_domain::id::{CustomerId, OrgId, PrivacyId};
use plixo_domain::ledger::{Book, Organisation, Row, RowKey};
use plixo_domain::privacy::{Authority, Erasure, PrivacyKind, PrivacyRequest, PrivacyTask, PrivacyTaskOf};
use plixo_envelope::KeyService;
use plixo_lambda::batch::{self, Batch, BatchResponse, Message, TaskError};
use plixo_lambda::line::Line;
use plixo_store::{Entropy, Store, Tables};

use crate::case::{Case, Stop};

/// This function's name.
pub const FUNCTION: &str = "worker-privacy";

/// How long an attempt may work. The function's time-out leaves some for what comes before and after.
pub const BUDGET: Duration = Duration::from_secs(270);
/// How long a request waits that has to wait for something, after the first attempt; after the nth, n² times as long.
const AGAIN: Duration = Duration::from_secs(60);
/// How long a message may take.
const MESSAGE: Duration = Duration::from_secs(290);

/// The key that signs certificates, and what the names of what it signs begin with.
#[derive(Debug, Clone)]
pub struct Signer<S> {
    /// The key.
    pub key: S,
    /// What the names of all logs of this stack begin with.
    pub origin: String,
}

/// The worker that does privacy requests.
#[derive(Debug)]
pub struct Worker<T, K, O, S, Q> {
    store: Store<T, K>,
    exports: O,
    checkpoints: O,
    signer: Option<Signer<S>>,
    letters: Vec<Q>,
    queue: Option<Q>,
    entropy: Entropy,
}

/// What a replay of one entry of the erasure ledger came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// There was nothing left to erase.
    Nothing,
    /// So many things were erased again.
    Erased(u64),
    /// A legal hold is on the customer, or, of a whole organisation, on anything.
    Held,
    /// What was to be erased because its time was over is not due in these tables: a customer, or an organisation that is not closed.
    NotDue,
    /// There is no such customer in these tables.
    Unknown,
}

impl<T: Tables, K: KeyService, O: Objects, S: Sign, Q: LookThrough> Worker<T, K, O, S, Q> {
    /// A worker that deletes and writes files in `exports`, and keeps the erasure ledger and certificates in `checkpoints`. Who only
    /// does again what was done has no signer. `letters` are the queues of events that were given up, `queue` the one of this worker's messages.
    pub fn new(
        store: Store<T, K>,
        exports: O,
        checkpoints: O,
        signer: Option<Signer<S>>,
        letters: Vec<Q>,
        queue: Option<Q>,
        entropy: Entropy,
    ) -> Self {
        Self { store, exports, checkpoints, signer, letters, queue, entropy }
    }

    /// Works a batch off.
    pub async fn run(&self, batch: Batch) -> BatchResponse {
        let messages = &batch.records;
        batch::run_within(MESSAGE, FUNCTION, &batch, |n, line| async move {
            match messages.get(n) {
                Some(message) => self.take(message, line).await,
                None => (Err(TaskError::Permanent("a message that is not in its batch".to_owned())), line),
            }
        })
        .await
    }

    /// Does what one message says, at the line's time.
    pub async fn take(&self, message: &Message, mut line: Line) -> (Result<(), TaskError>, Line) {
        let task = match read(message) {
            Ok(task) => task,
            Err(why) => {
                line.outcome = "poison";
                return (Err(TaskError::Permanent(why.to_owned())), line);
            }
        };
        line.org = Some(task.org.to_string());
        line.who = Some(format!("function:{FUNCTION}"));
        line.request_id = line.message_id.clone().unwrap_or_default();
        let mut case = Case::new(task.org, line.timestamp, line.request_id.clone());
        let done = match tokio::time::timeout(BUDGET, Box::pin(self.work(&mut case, &task))).await {
            Ok(done) => done,
            Err(_) => Err(Stop::Later("more than one attempt has time for: the next one goes on".to_owned())),
        };
        line.items = usize::try_from(case.erased()).ok().filter(|count| *count > 0);
        let result = match done {
            Ok(outcome) => {
                line.outcome = outcome;
                Ok(())
            }
            Err(stop) => {
                line.outcome = stop.outcome();
                if let (Stop::Later(_), Some(queue)) = (&stop, &self.queue) {
                    let tries = line.receive_count.unwrap_or(1);
                    let after = AGAIN.saturating_mul(tries.saturating_mul(tries));
                    // A message that is not given back comes back by itself, when its time is over.
                    let _ = queue.give_back(&message.receipt_handle, after).await;
                }
                Err(stop.into())
            }
        };
        (result, line)
    }

    async fn work(&self, case: &mut Case, task: &PrivacyTask) -> Result<&'static str, Stop> {
        match task.task {
            PrivacyTaskOf::Request(id) => self.request(case, &id).await,
            PrivacyTaskOf::Forget(customer) => self.forget(case, customer).await,
        }
    }

    async fn request(&self, case: &mut Case, id: &PrivacyId) -> Result<&'static str, Stop> {
        let read = self.store.read(&case.org, vec![RowKey::PrivacyRequest(*id)]).await?;
        let Some((Row::PrivacyRequest(request), _)) = read.into_iter().find_map(|(_, row)| row) else {
            return Ok("unknown");
        };
        if !request.status().is_open() {
            return Ok("nothing_to_do");
        }
        match request.kind {
            PrivacyKind::Erasure => self.erase_as_requested(case, request).await,
            PrivacyKind::Access => {
                case.customer = Some(request.customer);
                self.collect(case, &request).await
            }
        }
    }

    async fn erase_as_requested(
        &self,
        case: &mut Case,
        request: PrivacyRequest,
    ) -> Result<&'static str, Stop> {
        let id = request.id;
        case.customer = Some(request.customer);
        let erased = async {
            let request = self.begin(case, &id, true).await?;
            let Some(request) = request else { return Ok("nothing_to_do") };
            let authority = Authority::Request(request.id, request.requested_by.member);
            self.erase(case, request.customer, authority).await?;
            self.certify(case, request).await
        };
        match erased.await {
            Err(Stop::Held) => {
                self.note_held(case, &id).await?;
                Ok("held")
            }
            done => done,
        }
    }

    /// Erases a customer whose time is over, if it still is. Of one whom a hold keeps, or who was active meanwhile, there is nothing
    /// to do: `job-retention` sends them again when it is their turn.
    async fn forget(&self, case: &mut Case, customer: CustomerId) -> Result<&'static str, Stop> {
        match self.forget_due(case, customer).await {
            Err(Stop::Held) => Ok("held"),
            Err(Stop::NotDue) => Ok("nothing_to_do"),
            done => done,
        }
    }

    async fn forget_due(&self, case: &mut Case, customer: CustomerId) -> Result<&'static str, Stop> {
        let names = vec![RowKey::Organisation, RowKey::Customer(customer)];
        let (mut organisation, mut row) = (None::<Organisation>, None);
        for (_, stored) in self.store.read(&case.org, names).await? {
            match stored {
                Some((Row::Organisation(it), _)) => organisation = Some(it),
                Some((it @ Row::Customer(_), _)) => row = Some(it),
                _ => {}
            }
        }
        let (Some(organisation), Some(row)) = (organisation, row) else { return Ok("unknown") };
        let goes_on = match &row {
            Row::Customer(it) => {
                it.erased.as_ref().map(|of| of.authority == Authority::Retention && !of.finished)
            }
            _ => None,
        };
        let is_due = match goes_on {
            // An earlier attempt did not come to its end.
            Some(goes_on) => goes_on,
            None => self.store.due(&organisation, &[&row], case.now).await?.contains(&true),
        };
        if !is_due {
            return Ok("nothing_to_do");
        }
        case.customer = Some(customer);
        self.erase(case, customer, Authority::Retention).await?;
        Ok("erased")
    }

    /// Does an entry of the erasure ledger again, on tables that were restored to what they were before.
    ///
    /// # Errors
    /// [`TaskError`]: it can be done again from the beginning.
    pub async fn replay(&self, entry: &Erasure, line: &Line) -> Result<Replayed, TaskError> {
        let mut case = Case::new(entry.org, line.timestamp, line.request_id.clone());
        let Some(customer) = entry.customer else { return Ok(self.destroy_key(&case).await?) };
        (case.customer, case.is_replay) = (Some(customer), true);
        let read = self.store.read(&case.org, vec![RowKey::Customer(customer)]).await.map_err(Stop::from)?;
        let row = read.into_iter().find_map(|(_, stored)| Some(stored?.0));
        let Some(Row::Customer(row)) = row else { return Ok(Replayed::Unknown) };
        // The entry is written before anything is erased, and somebody may have thought better of it.
        if entry.authority == Authority::Retention && row.erased.is_none() {
            match self.still_due(&case.org, case.now, &mut Book::default(), &customer).await {
                Err(Stop::NotDue) => return Ok(Replayed::NotDue),
                due => due?,
            }
        }
        match self.erase(&mut case, customer, entry.authority.clone()).await {
            Ok(()) if case.erased() == 0 => Ok(Replayed::Nothing),
            Ok(()) => Ok(Replayed::Erased(case.erased())),
            Err(Stop::Held) => Ok(Replayed::Held),
            Err(Stop::NotDue) => Ok(Replayed::NotDue),
            Err(stop) => Err(stop.into()),
        }
    }

    fn entry(case: &Case, customer: CustomerId, authority: Authority) -> Erasure {
        Erasure { v: Erasure::VERSION, org: case.org, customer: Some(customer), authority, at: case.now }
    }
}

/// Reads a message, or says why no try will ever read it.
fn read(message: &Message) -> Result<PrivacyTask, &'static str> {
    let version = |task: &PrivacyTask| task.v == PrivacyTask::VERSION;
    let task: PrivacyTask =
        serde_json::from_str(&message.body).map_err(|_| "the message is none for this worker")?;
    Some(task).filter(version).ok_or("the message has a version that this worker does not read")
}

/// What an audit log's name begins with, and whose it is.
fn log_of(origin: &str, org: &OrgId) -> String {
    format!("{origin}/{org}")
}
