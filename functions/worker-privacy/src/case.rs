//! One customer's case: what is done in it, under which conditions, and what is counted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use plixo_aws::AwsError;
use plixo_aws::s3::Objects;
use plixo_aws::sign::Sign;
use plixo_aws::sqs::LookThrough;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Outcome};
use plixo_domain::hold::Holds;
use plixo_domain::id::{AuditId, CustomerId, Ids, OrgId, PrivacyId};
use plixo_domain::ledger::{Book, Customer, Kept, Organisation, Personal, Private, Row, RowKey, Unread};
use plixo_domain::privacy::PrivacyRequest;
use plixo_domain::webhook::WebhookEvent;
use plixo_envelope::KeyService;
use plixo_lambda::batch::TaskError;
use plixo_store::{CommitError, Key, Store, StoreError, Tables, pause};

use crate::{FUNCTION, Replayed, Worker};

/// How often a change is done anew because somebody else changed a row meanwhile.
pub(crate) const TRIES: u32 = 8;
/// How often more rows turn out to be needed.
const READS: u32 = 4;
/// The action of whatever is taken away of a customer: the field says of what kind, and the count how many.
pub(crate) const ERASE: &str = "customer.erase";
/// The action of an organisation's data key taken away.
const DESTROY_KEY: &str = "organisation.erase";

/// Why something did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error("a legal hold is on the customer")]
    Held,
    #[error("the customer's time is not over")]
    NotDue,
    #[error("{0}")]
    Later(String),
    #[error("{0}")]
    Never(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Aws(#[from] AwsError),
}

impl Stop {
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::NotDue => "not_due",
            Self::Later(_) => "goes_on",
            Self::Never(_) => "unreadable",
            Self::Store(error) if error.is_passing() => "unavailable",
            Self::Store(_) => "store_refused",
            Self::Aws(_) => "unavailable",
        }
    }
}

impl From<Stop> for TaskError {
    fn from(stop: Stop) -> Self {
        match &stop {
            Stop::Never(_) | Stop::NotDue => Self::Permanent(stop.to_string()),
            Stop::Store(error) if !error.is_passing() => Self::Permanent(stop.to_string()),
            _ => Self::Retryable(stop.to_string()),
        }
    }
}

impl From<CommitError> for Stop {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::Later("others changed the same rows".to_owned()),
            CommitError::Store(error) => Self::Store(error),
        }
    }
}

/// A piece of work about one customer.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) org: OrgId,
    pub(crate) customer: Option<CustomerId>,
    pub(crate) now: Timestamp,
    pub(crate) request_id: String,
    /// What was erased, each with the audit event that tells of it.
    pub(crate) told: BTreeMap<AuditId, (String, u64)>,
    /// What was left for holds on others, by its kind: so many at most.
    pub(crate) left: BTreeMap<String, u64>,
    /// Whether anything goes only while the customer's time is over.
    pub(crate) while_due: bool,
    /// Whether it is done again on tables that were restored.
    pub(crate) is_replay: bool,
}

impl Case {
    pub(crate) fn new(org: OrgId, now: Timestamp, request_id: String) -> Self {
        Self {
            org,
            customer: None,
            now,
            request_id,
            told: BTreeMap::new(),
            left: BTreeMap::new(),
            while_due: false,
            is_replay: false,
        }
    }

    /// How many things were erased.
    pub(crate) fn erased(&self) -> u64 {
        self.told.values().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn event(&self, drawn: [u8; 32], action: &str, object: Object, fields: &[&str]) -> AuditEvent {
        AuditEvent {
            id: Ids::drawn(self.now, drawn).make(),
            at: self.now,
            actor: Actor { kind: ActorKind::Function, id: FUNCTION.to_owned(), role: None },
            origin: Private::default(),
            customer: None,
            action: action.to_owned(),
            object,
            outcome: Outcome::Allowed,
            fields: fields.iter().map(|name| (*name).to_owned()).collect(),
            request_id: self.request_id.clone(),
            count: None,
        }
    }
}

/// What is taken away in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    /// How many things.
    pub(crate) count: u64,
    /// Payloads among them.
    pub(crate) payloads: Vec<WebhookEvent>,
    /// And pieces of payloads that have no event any more.
    pub(crate) pieces: Vec<Key>,
}

impl Gone {
    pub(crate) fn of(count: usize) -> Self {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        Self { count, payloads: Vec::new(), pieces: Vec::new() }
    }
}

impl<T: Tables, K: KeyService, O: Objects, S: Sign, Q: LookThrough> Worker<T, K, O, S, Q> {
    pub(crate) fn drawn(&self) -> Result<[u8; 32], Stop> {
        Ok((self.entropy)().ok_or(StoreError::NoRandomness)?)
    }

    /// What holds hold, in a book in which they are read; stops where they hold the customer.
    pub(crate) async fn unheld(&self, case: &Case) -> Result<(Holds, Book), Stop> {
        let (holds, book) = self.store.holds(&case.org).await?;
        if let Some(customer) = case.customer {
            let row = Row::Customer(Customer::new(customer, Personal::default()));
            if self.store.held(&case.org, &holds, &[&row]).await?.contains(&true) {
                return Err(Stop::Held);
            }
        }
        Ok((holds, book))
    }

    /// Does something that may need more rows than are read.
    pub(crate) async fn told<R>(
        &self,
        org: &OrgId,
        book: &mut Book,
        work: impl Fn(&mut Book) -> Result<R, Unread>,
    ) -> Result<R, Stop> {
        for _ in 0..READS {
            match work(book) {
                Ok(done) => return Ok(done),
                Err(Unread(names)) => {
                    let read = self.store.read(org, names).await?;
                    read.into_iter().for_each(|(name, stored)| book.learn(name, stored));
                }
            }
        }
        Err(Stop::Never("it needs ever more rows".to_owned()))
    }

    /// Takes something away of the customer, in one transaction with its audit event, and only while no hold keeps it: what is done to
    /// the book is done anew where somebody changed a row meanwhile. How many things went.
    pub(crate) async fn take_away(
        &self,
        case: &mut Case,
        kind: &'static str,
        work: impl AsyncFn(&mut Book) -> Result<Gone, Stop>,
    ) -> Result<u64, Stop> {
        let customer = case.customer.ok_or_else(|| Stop::Never("nobody is to be erased".to_owned()))?;
        for tried in 0..TRIES {
            let drawn = self.drawn()?;
            let (holds, mut book) = self.unheld(case).await?;
            if case.while_due {
                self.still_due(&case.org, case.now, &mut book, &customer).await?;
            }
            let Gone { count, payloads, pieces } = work(&mut book).await?;
            if count == 0 {
                return Ok(0);
            }
            // A payment may be of an invoice that is held, and is somebody else's.
            let rows: Vec<Row> = book.changes().map(|(_, row, _)| row.clone()).collect();
            let payments: Vec<&Row> = rows.iter().filter(|row| matches!(row, Row::Payment(_))).collect();
            if self.store.held(&case.org, &holds, &payments).await?.contains(&true) {
                return Err(Stop::Held);
            }
            book.check::<Holds>(&()).map_err(unread)?;
            let mut event = case.event(drawn, ERASE, Object::new("customer", customer), &[kind]);
            event.count = Some(u32::try_from(count).unwrap_or(u32::MAX));
            let (id, audit) = (event.id, [event]);
            let written = if !payloads.is_empty() {
                self.store.delete_payloads(&case.org, &book, &payloads, &audit, case.now).await
            } else if !pieces.is_empty() {
                self.store.delete_there(&case.org, &book, pieces, &audit, case.now).await
            } else {
                self.store.commit(&case.org, &book, None, &audit, case.now).await
            };
            match written {
                Ok(()) => {
                    case.told.insert(id, (kind.to_owned(), count));
                    return Ok(count);
                }
                Err(CommitError::Conflict) => tokio::time::sleep(pause(tried, drawn)).await,
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Stop::Later(format!("others changed the same rows {TRIES} times")))
    }

    /// Notes how many things of a kind were left although words of the customer stand in them, because of holds on others.
    pub(crate) async fn note_left(&self, case: &mut Case, kind: &str, count: u64) -> Result<(), Stop> {
        let known = case.left.get(kind).copied().unwrap_or_default();
        let (Some(customer), true) = (case.customer, count > known) else { return Ok(()) };
        let mut event = case.event(self.drawn()?, ERASE, Object::new("customer", customer), &[kind]);
        event.outcome = Outcome::Denied;
        event.count = Some(u32::try_from(count).unwrap_or(u32::MAX));
        self.store.commit(&case.org, &Book::default(), None, &[event], case.now).await?;
        case.left.insert(kind.to_owned(), count);
        Ok(())
    }

    /// Whether a customer's time is over, in a transaction for which the policy stays as it is.
    pub(crate) async fn still_due(
        &self,
        org: &OrgId,
        now: Timestamp,
        book: &mut Book,
        id: &CustomerId,
    ) -> Result<(), Stop> {
        learn(&self.store, org, book, [RowKey::Organisation, Customer::key(id)]).await?;
        let of = book.get::<Organisation>(&()).map_err(unread)?.cloned();
        let customer = book.get::<Customer>(id).map_err(unread)?.cloned();
        let (Some(of), Some(customer)) = (of, customer) else { return Err(Stop::NotDue) };
        let row = Row::Customer(customer);
        if !self.store.due(&of, &[&row], now).await?.contains(&true) {
            return Err(Stop::NotDue);
        }
        book.check::<Organisation>(&()).map_err(unread)
    }

    /// Takes the data key of an organisation away that is closed and whose time of grace is over, if it has one and nothing is held.
    pub(crate) async fn destroy_key(&self, case: &Case) -> Result<Replayed, Stop> {
        for tried in 0..TRIES {
            let Some(version) = self.store.data_key(&case.org).await? else { return Ok(Replayed::Nothing) };
            let (holds, mut book) = self.store.holds(&case.org).await?;
            learn(&self.store, &case.org, &mut book, [RowKey::Organisation]).await?;
            let closed = book.get::<Organisation>(&()).map_err(unread)?.and_then(|of| of.closed);
            if closed.is_none_or(|closed| closed.until() > case.now) {
                return Ok(Replayed::NotDue);
            }
            if !holds.is_empty() {
                return Ok(Replayed::Held);
            }
            book.check::<Organisation>(&()).map_err(unread)?;
            book.check::<Holds>(&()).map_err(unread)?;
            let (drawn, object) = (self.drawn()?, Object::new("organisation", case.org));
            let event = case.event(drawn, DESTROY_KEY, object, &["data_key"]);
            match self.store.destroy_data_key(&case.org, version, &book, &[event], case.now).await {
                Ok(()) => return Ok(Replayed::Erased(1)),
                Err(CommitError::Conflict) => tokio::time::sleep(pause(tried, drawn)).await,
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Stop::Later(format!("others changed the same rows {TRIES} times")))
    }

    /// Changes a request, with an audit event; `None` where there is nothing to change. A request that is `unheld` is changed only
    /// while no hold is on its customer.
    pub(crate) async fn note(
        &self,
        case: &Case,
        id: &PrivacyId,
        (action, outcome, fields): (&str, Outcome, &[&str]),
        unheld: bool,
        change: impl Fn(&PrivacyRequest) -> Option<PrivacyRequest>,
    ) -> Result<Option<PrivacyRequest>, Stop> {
        for tried in 0..TRIES {
            let drawn = self.drawn()?;
            let mut book = if unheld { self.unheld(case).await?.1 } else { Book::default() };
            for (name, stored) in self.store.read(&case.org, vec![PrivacyRequest::key(id)]).await? {
                book.learn(name, stored);
            }
            let request = book.get::<PrivacyRequest>(id).map_err(unread)?;
            let Some(request) = request.and_then(&change) else { return Ok(None) };
            book.put(request.clone()).map_err(unread)?;
            if unheld {
                book.check::<Holds>(&()).map_err(unread)?;
            }
            let mut event = case.event(drawn, action, Object::new("privacy_request", id), fields);
            event.outcome = outcome;
            match self.store.commit(&case.org, &book, None, &[event], case.now).await {
                Ok(()) => return Ok(Some(request)),
                Err(CommitError::Conflict) => tokio::time::sleep(pause(tried, drawn)).await,
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Stop::Later(format!("others changed the same request {TRIES} times")))
    }
}

/// Whether a hold is in force, which is on somebody else then, in a book in which they are read.
pub(crate) fn others_held(book: &Book) -> Result<bool, Stop> {
    Ok(book.get::<Holds>(&()).map_err(unread)?.is_some_and(|holds| !holds.is_empty()))
}

/// Reads rows into a book.
pub(crate) async fn learn<T: Tables, K: KeyService>(
    store: &Store<T, K>,
    org: &OrgId,
    book: &mut Book,
    names: impl IntoIterator<Item = RowKey>,
) -> Result<(), Stop> {
    let read = store.read(org, names.into_iter().collect()).await?;
    read.into_iter().for_each(|(name, stored)| book.learn(name, stored));
    Ok(())
}

/// What was not read though it was asked for.
pub(crate) fn unread(Unread(names): Unread) -> Stop {
    Stop::Never(format!("{} rows are unread", names.len()))
}
