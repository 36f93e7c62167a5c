//! Changes: read, change, audit and remember the answer, in one transaction.

use aws_lc_rs::digest::{SHA256, digest};
use plixo_domain::answer::{Answer, AnswerKey};
use plixo_domain::audit::{Actor, Object, Outcome};
use plixo_domain::hold::{HeldBy, LegalHold};
use plixo_domain::id::{CustomerId, Ids, OrgId};
use plixo_domain::ledger::staff::Stopped;
use plixo_domain::ledger::{Book, Private, Row, RowKey, Unread};
use plixo_domain::people::PeopleError;
use plixo_envelope::KeyService;
use plixo_store::{CommitError, StoredRow, Tables, pause};

use crate::{Caller, Deed, Desk, Refusal, Visit, audit};

/// How often a change is done anew because somebody else changed a row meanwhile.
pub(crate) const TRIES: u32 = 8;
/// How often more rows turn out to be needed.
const READS: u32 = 6;

/// An idempotency key with the request that it came with.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// The key, as the caller gave it.
    pub key: &'a str,
    /// The request's body.
    pub body: &'a [u8],
}

/// What a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// JSON, or nothing.
    pub body: String,
    /// The version of what it shows, if it shows one thing; of a repeated answer as it was then.
    pub version: Option<u64>,
}

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// What was changed, each with the names of the changed fields: what the request is about. Payments and invoices whose
    /// allocations change with it need no mention. With none, nothing changed.
    pub changed: Vec<(Object, Vec<&'static str>)>,
    /// What the caller is told.
    pub answer: Answered,
}

/// What a change works with.
#[derive(Debug)]
pub struct Entered<'a> {
    /// The member and its organisation.
    pub visit: &'a Visit,
    /// The rows.
    pub book: &'a mut Book,
    /// Who does it.
    pub by: &'a Actor,
    /// New ids.
    pub ids: &'a mut Ids,
}

/// Why a change was not made: refused, or rows are needed that were not read.
#[derive(Debug)]
pub enum Not {
    /// Refused.
    Refused(Refusal),
    /// Read these, and it is done anew.
    Unread(Unread),
}

impl From<Refusal> for Not {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unread> for Not {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

impl From<Stopped> for Not {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Unread(rows) => Self::Unread(Unread(rows)),
            Stopped::Refused(error) => Self::Refused(error.into()),
        }
    }
}

impl From<PeopleError> for Not {
    fn from(error: PeopleError) -> Self {
        let detail = error.to_string();
        let state = |code| Self::Refused(Refusal::State { code, detail, pointer: None });
        match error {
            PeopleError::Unread(unread) => Self::Unread(unread),
            PeopleError::NotFound => Self::Refused(Refusal::NotFound),
            PeopleError::AlreadyMember => state("already_member"),
            PeopleError::LastController => state("last_controller"),
        }
    }
}

enum Done {
    As(Answered),
    Overtaken,
}

impl<T: Tables, K: KeyService> Desk<T, K> {
    /// Lets a member in and makes a change: all of it, with its audit events and the answer to its key, or nothing.
    /// `work` may run several times, each time on fresh rows.
    ///
    /// # Errors
    /// [`Refusal`]. A refused change of a member is in the audit log.
    pub async fn change<F>(
        &self,
        caller: &Caller,
        org: &OrgId,
        deed: &Deed,
        rows: &[RowKey],
        key: Option<Key<'_>>,
        work: F,
    ) -> Result<Answered, Refusal>
    where
        F: AsyncFn(Entered<'_>) -> Result<Made, Not>,
    {
        let key = key.map(|key| named(caller, deed, org, key));
        let mut rows = rows.to_vec();
        rows.extend(key.as_ref().map(|(key, _)| RowKey::Answer(key.clone())));
        for tried in 0..TRIES {
            if let Some(before) = tried.checked_sub(1) {
                tokio::time::sleep(pause(before, (self.entropy)().unwrap_or_default())).await;
            }
            let mut visit = self.enter(caller, org, deed, rows.clone()).await?;
            if let Some(answer) = self.remembered(caller, deed, &visit, key.as_ref()).await? {
                let body = self.store.open_answer(org, answer, caller.now).await?;
                // It is shown once more.
                self.record(caller, &visit, deed, Outcome::Allowed).await?;
                return Ok(Answered { status: answer.status, body, version: answer.version });
            }
            match self.attempt(caller, deed, &mut visit, key.as_ref(), &work).await? {
                Done::As(answer) => return Ok(answer),
                Done::Overtaken => {}
            }
        }
        Err(Refusal::Overtaken)
    }

    /// Lets a member in who is about to make a change of which a part lies outside the tables: not if [`Desk::change`] would
    /// refuse their key.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn enter_with_key(
        &self,
        caller: &Caller,
        org: &OrgId,
        deed: &Deed,
        key: Option<Key<'_>>,
    ) -> Result<Visit, Refusal> {
        let key = key.map(|key| named(caller, deed, org, key));
        let rows = key.iter().map(|(key, _)| RowKey::Answer(key.clone())).collect();
        let visit = self.enter(caller, org, deed, rows).await?;
        self.remembered(caller, deed, &visit, key.as_ref()).await?;
        Ok(visit)
    }

    /// The answer that was given to the key. A key that came with another request is refused.
    async fn remembered<'v>(
        &self,
        caller: &Caller,
        deed: &Deed,
        visit: &'v Visit,
        key: Option<&(AnswerKey, [u8; 32])>,
    ) -> Result<Option<&'v Answer>, Refusal> {
        let Some((key, request)) = key else { return Ok(None) };
        let answer = visit.book.get::<Answer>(key).ok().flatten();
        match answer.filter(|answer| is_remembered(answer.at, caller.now)) {
            Some(answer) if answer.request != *request => {
                self.record(caller, visit, deed, Outcome::Failed).await?;
                Err(Refusal::KeyReused)
            }
            answer => Ok(answer),
        }
    }

    async fn attempt<F>(
        &self,
        caller: &Caller,
        deed: &Deed,
        visit: &mut Visit,
        key: Option<&(AnswerKey, [u8; 32])>,
        work: &F,
    ) -> Result<Done, Refusal>
    where
        F: AsyncFn(Entered<'_>) -> Result<Made, Not>,
    {
        let org = visit.org.id;
        let (by, mut ids) = (visit.actor(), self.ids(caller)?);
        let mut book = std::mem::take(&mut visit.book);
        let mut made = None;
        for _ in 0..READS {
            match work(Entered { visit, book: &mut book, by: &by, ids: &mut ids }).await {
                Ok(done) => {
                    made = Some(done);
                    break;
                }
                Err(Not::Refused(refusal)) => {
                    let denied = refusal == Refusal::Forbidden;
                    let outcome = if denied { Outcome::Denied } else { Outcome::Failed };
                    self.record(caller, visit, deed, outcome).await?;
                    return Err(refusal);
                }
                Err(Not::Unread(Unread(names))) => {
                    let read = self.store.read(&org, names).await?;
                    // What is due is nobody's to change. What hangs on something else is as it is, for the ledger has to add up.
                    let is_own = |(_, stored): &StoredRow| is_about(stored.as_ref(), &deed.object);
                    let (own, others): (Vec<_>, Vec<_>) = read.into_iter().partition(is_own);
                    let own = self.store.hide_due(&visit.org, own, caller.now).await?;
                    for (name, stored) in own.into_iter().chain(others) {
                        book.learn(name, stored);
                    }
                }
            }
        }
        let made = made.ok_or_else(|| Refusal::Internal("a change needs ever more rows".to_owned()))?;
        let mut changed = made.changed;
        for (_, object, _) in book.touched() {
            if changed.iter().all(|(own, _)| *own != object) {
                changed.push((object, vec!["allocations"]));
            }
        }
        if changed.is_empty() {
            changed.push((deed.object.clone(), Vec::new()));
        }
        let about = changed.iter().find_map(|(object, _)| customer_of(&book, object));
        let event = |(object, fields): (Object, Vec<&'static str>)| {
            audit(caller, by.clone(), &mut ids, deed.name, object, Outcome::Allowed, &fields)
        };
        let events: Vec<_> = changed.into_iter().map(event).collect();
        let unread = |_| Refusal::Internal("a row that was not read".to_owned());
        if let Some((key, request)) = key {
            let Answered { status, body, version } = made.answer.clone();
            let (key, body) = (key.clone(), Private::Plain(body));
            book.put(Answer { key, request: *request, status, body, version, at: caller.now, about })
                .map_err(unread)?;
        }
        match self.store.commit(&org, &book, None, &events, caller.now).await {
            Ok(()) => Ok(Done::As(made.answer)),
            Err(CommitError::Conflict) => Ok(Done::Overtaken),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }
}

/// Whether it is the payment that a request is about: of payments, the request has an id, and the row another name.
fn is_about(stored: Option<&(Row, u64)>, object: &Object) -> bool {
    matches!(stored, Some((Row::Payment(row), _)) if row.id.to_string() == object.id)
}

/// Whose data an answer about that shows, if it is a customer's.
fn customer_of(book: &Book, object: &Object) -> Option<CustomerId> {
    let is_it = |row: &Row| match row {
        Row::Customer(row) if row.id.to_string() == object.id => Some(row.id),
        Row::Invoice(row) if row.id.to_string() == object.id => Some(row.customer_id),
        Row::Payment(row) if row.id.to_string() == object.id => row.customer_id,
        Row::PrivacyRequest(row) if row.id.to_string() == object.id => Some(row.customer),
        Row::LegalHold(LegalHold { id, on: HeldBy::Customer(customer), .. })
            if id.to_string() == object.id =>
        {
            Some(*customer)
        }
        _ => None,
    };
    book.rows().find_map(|(_, row)| is_it(row))
}

/// Under which name an answer to a key is remembered, and the hash of the request that it answers.
fn named(caller: &Caller, deed: &Deed, org: &OrgId, key: Key<'_>) -> (AnswerKey, [u8; 32]) {
    (answer_key(caller, deed, org, key.key), sha256(&[deed.object.id.as_bytes(), key.body]))
}

/// The key of what an operator makes.
pub(crate) fn founding_key(caller: &Caller, key: &str) -> AnswerKey {
    AnswerKey(hex::encode(sha256(&[
        caller.user.to_string().as_bytes(),
        b"organisation.create",
        key.as_bytes(),
    ])))
}

/// Whether what was kept of a key at that time still counts.
pub(crate) fn is_remembered(at: jiff::Timestamp, now: jiff::Timestamp) -> bool {
    at.duration_until(now) < jiff::SignedDuration::from_hours(plixo_domain::answer::ANSWER_HOURS)
}

/// Keys of different callers, organisations and deeds never meet.
fn answer_key(caller: &Caller, deed: &Deed, org: &OrgId, key: &str) -> AnswerKey {
    let parts = [caller.user.to_string(), org.to_string(), deed.name.to_owned(), key.to_owned()];
    AnswerKey(hex::encode(sha256(&parts.each_ref().map(String::as_bytes))))
}

/// SHA-256 of parts, each with its length before it.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    let mut hash = [0; 32];
    hash.iter_mut().zip(digest(&SHA256, &bytes).as_ref()).for_each(|(to, from)| *to = *from);
    hash
}
