//! Erasing a customer: first the entry in the erasure ledger, then everything that names it, and it itself in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plixo_aws::s3::Objects;
use plixo_aws::sign::Sign;
use plixo_aws::sqs::LookThrough;
use plixo_domain::audit::Outcome;
use plixo_domain::id::{CustomerId, PrivacyId};
use plixo_domain::ledger::{Book, Customer, Erased, Kept, Personal, Row, Search, erase_customer};
use plixo_domain::privacy::{Authority, PrivacyRequest};
use plixo_envelope::KeyService;
use plixo_store::{CommitError, StoreError, Tables, pause};

use crate::Worker;
use crate::case::{Case, Gone, Stop, TRIES, learn, unread};
use crate::sweep::Sweep;
use crate::words::Words;

/// What was under way when the customer became a tombstone is committed after so long, and lists have heard of it.
pub(crate) const SETTLES: Duration = Duration::from_secs(3);
/// So often is looked whether anything is left.
const ROUNDS: u32 = 20;

impl<T: Tables, K: KeyService, O: Objects, S: Sign, Q: LookThrough> Worker<T, K, O, S, Q> {
    /// Notes that a request is begun, if it is `unheld` only while no hold is on its customer: from then on nobody refuses it. `None`
    /// where it is over.
    pub(crate) async fn begin(
        &self,
        case: &Case,
        id: &PrivacyId,
        unheld: bool,
    ) -> Result<Option<PrivacyRequest>, Stop> {
        let now = case.now;
        let begun = |request: &PrivacyRequest| {
            let is_new = request.begun.is_none() || request.held.is_some();
            let begun = Some(request.begun.unwrap_or(now));
            (request.status().is_open() && is_new).then(|| PrivacyRequest {
                begun,
                held: None,
                ..request.clone()
            })
        };
        let told = ("privacy_request.begin", Outcome::Allowed, ["status"].as_slice());
        if let Some(begun) = self.note(case, id, told, unheld, begun).await? {
            return Ok(Some(begun));
        }
        // An earlier attempt began it, or somebody refused it.
        let read = self.store.read(&case.org, vec![PrivacyRequest::key(id)]).await?;
        let request = read.into_iter().find_map(|(_, row)| match row {
            Some((Row::PrivacyRequest(request), _)) => Some(request),
            _ => None,
        });
        Ok(request.filter(|request| request.status().is_open()))
    }

    /// Notes that a hold stands in a request's way.
    pub(crate) async fn note_held(&self, case: &Case, id: &PrivacyId) -> Result<(), Stop> {
        let held = |request: &PrivacyRequest| {
            let is_new = request.status().is_open() && request.held.is_none();
            is_new.then(|| PrivacyRequest { held: Some(case.now), ..request.clone() })
        };
        let told = ("privacy_request.hold", Outcome::Denied, ["status"].as_slice());
        self.note(case, id, told, false, held).await.map(drop)
    }

    /// Erases a customer. It may be done again at any time, from wherever an earlier attempt came to: what is gone is not found.
    pub(crate) async fn erase(
        &self,
        case: &mut Case,
        customer: CustomerId,
        authority: Authority,
    ) -> Result<(), Stop> {
        self.unheld(case).await?;
        let stored = self.customer(case, &customer).await?;
        let (row, version) = stored.map_or((None, 0), |(row, version)| (Some(row), version));
        let entry = Self::entry(case, customer, authority.clone());
        let text = serde_json::to_vec(&entry).map_err(|error| Stop::Never(error.to_string()))?;
        self.checkpoints.put_if_absent(&entry.object(), "application/json", text).await?;

        // What is personal is known only until the customer is a tombstone, and by it the words of others are searched: that comes
        // first. An attempt that finds the tombstone knows ids alone, and leaves no words at all.
        let is_to_go = row.as_ref().is_some_and(|row| row.erased.is_none());
        let personal = match &row {
            Some(row) if is_to_go => match self.store.open_personal(&case.org, row, case.now).await {
                Ok(personal) => Some(personal),
                // What opens for nobody goes as well, and the words of others with it.
                Err(StoreError::Sealed(_) | StoreError::Corrupt(_)) => None,
                Err(error) => return Err(error.into()),
            },
            _ => None,
        };
        let row = row.unwrap_or_else(|| Customer::new(customer, Personal::default()));
        let words = Words::new(&row, personal.as_ref().unwrap_or(&Personal::default()));
        let mut sweep = Sweep {
            customer: row,
            personal,
            words,
            waits: false,
            left: BTreeMap::new(),
            kept: BTreeSet::new(),
            search: Search::new(version),
        };
        // What was restored may be of different times.
        if !case.is_replay {
            sweep.go_on();
        }
        if !is_to_go && sweep.customer.erased.as_ref().is_some_and(|erased| !erased.finished) {
            // Whoever made it a tombstone may have done so a moment ago.
            tokio::time::sleep(SETTLES).await;
        }
        if is_to_go {
            case.while_due = authority == Authority::Retention;
            self.sweep(case, &mut sweep).await?;
            self.first_letters(case, &sweep).await?;
            // An attempt that finds the tombstone has no words, and cannot tell any more.
            for (kind, count) in std::mem::take(&mut sweep.left) {
                self.note_left(case, kind, count).await?;
            }
            let (org, now) = (case.org, case.now);
            let erased = Erased { at: now, authority, finished: false };
            let buried = self
                .take_away(case, "personal_data", async |book| {
                    let bury = |book: &mut _| erase_customer(book, &customer, erased.clone());
                    Ok(Gone::of(usize::from(self.told(&org, book, bury).await?)))
                })
                .await?;
            case.while_due = false;
            if buried > 0 {
                tokio::time::sleep(SETTLES).await;
            }
            // A name at a provider that came meanwhile is found by the tombstone.
            if let Some((row, version)) = self.customer(case, &customer).await? {
                sweep.words.learn(&row);
                (sweep.customer, sweep.search) = (row, Search::new(version));
            }
        }
        self.sweep_all(case, &mut sweep).await?;
        for (kind, count) in std::mem::take(&mut sweep.left) {
            self.note_left(case, kind, count).await?;
        }
        // These are everybody's, and there may be any number of them: the customer's own key is gone before all of them are seen.
        self.dead_letters(case, &sweep).await?;
        match sweep.waits {
            false => self.note_finished(case, &customer).await,
            true => Err(Stop::Later("a file was being written, and may still be".to_owned())),
        }
    }

    async fn sweep_all(&self, case: &mut Case, sweep: &mut Sweep) -> Result<(), Stop> {
        for _ in 0..ROUNDS {
            if self.sweep(case, sweep).await? == 0 {
                return Ok(());
            }
            tokio::time::sleep(SETTLES).await;
        }
        Err(Stop::Later(format!("there was something left {ROUNDS} times")))
    }

    /// Notes that nothing is left that names the customer, so that nobody looks for it again.
    async fn note_finished(&self, case: &Case, id: &CustomerId) -> Result<(), Stop> {
        for tried in 0..TRIES {
            let mut book = Book::default();
            learn(&self.store, &case.org, &mut book, [Customer::key(id)]).await?;
            let Some(customer) = book.get::<Customer>(id).map_err(unread)?.cloned() else { return Ok(()) };
            let Some(erased) = customer.erased.clone() else { return Ok(()) };
            if erased.finished && customer.search.is_none() {
                return Ok(());
            }
            let erased = Some(Erased { finished: true, ..erased });
            book.put(Customer { erased, search: None, ..customer }).map_err(unread)?;
            match self.store.commit(&case.org, &book, None, &[], case.now).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Conflict) => tokio::time::sleep(pause(tried, self.drawn()?)).await,
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Stop::Later(format!("others changed the same customer {TRIES} times")))
    }

    /// A customer, and the version of its row.
    pub(crate) async fn customer(
        &self,
        case: &Case,
        id: &CustomerId,
    ) -> Result<Option<(Customer, u64)>, Stop> {
        let read = self.store.read(&case.org, vec![Customer::key(id)]).await?;
        Ok(read.into_iter().find_map(|(_, row)| match row {
            Some((Row::Customer(customer), version)) => Some((customer, version)),
            _ => None,
        }))
    }
}
