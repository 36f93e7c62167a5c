#![doc = include_str!("../README.md")]

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use plixo_domain::id::OrgId;
use plixo_domain::ledger::{Book, Countable, Counted, Kept, RowKey, Totals, recount};
use plixo_envelope::KeyService;
use plixo_lambda::batch::{BatchResponse, TaskError};
use plixo_lambda::line::{Level, Line};
use plixo_lambda::stream::{self, Batch};
use plixo_store::{CommitError, List, Store, StoreError, Tables, keys, pause};

/// This function's name.
pub const FUNCTION: &str = "worker-totals";

/// So many rows are counted at once: with what they were counted as and the totals they are one read and one transaction.
const ROWS: usize = 49;
/// How often work is done anew because somebody else changed the totals meanwhile. After that Lambda hands it out again.
const TRIES: u32 = 8;
/// How far lists may be behind the rows when all rows are counted anew.
const LISTS_LAG: Duration = Duration::from_secs(5);

/// The worker that counts the rows that changed.
#[derive(Debug)]
pub struct Worker<T, K> {
    store: Store<T, K>,
}

/// What of a batch is one organisation's.
#[derive(Debug, Default)]
struct Work<'a> {
    rows: BTreeSet<Countable>,
    numbers: Vec<&'a str>,
}

impl Work<'_> {
    /// Bytes that tell batches apart.
    fn mark(&self) -> impl Iterator<Item = u8> {
        self.numbers.iter().flat_map(|number| number.bytes())
    }
}

/// How counting went.
#[derive(Debug, Default, Clone, Copy)]
struct Done {
    changed: bool,
    /// Rows that cannot be counted as they are.
    left_out: usize,
}

/// What was counted of an organisation so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Invoices.
    pub invoices: usize,
    /// Payments.
    pub payments: usize,
    /// Those of them that cannot be counted as they are, and were left out.
    pub left_out: usize,
}

impl<T: Tables, K: KeyService> Worker<T, K> {
    /// A worker on that store.
    pub fn new(store: Store<T, K>) -> Self {
        Self { store }
    }

    /// Works a batch off, all organisations side by side.
    pub async fn run(&self, batch: &Batch) -> BatchResponse {
        let mut works: BTreeMap<Option<OrgId>, Work<'_>> = BTreeMap::new();
        for record in &batch.records {
            let (pk, sk) = record.key();
            let (org, row) = keys::countable(pk, sk).unzip();
            let work = works.entry(org).or_default();
            work.rows.extend(row);
            work.numbers.push(record.number());
        }
        let numbers = works.values().map(|work| work.numbers.clone()).collect();
        let works: Vec<_> = works.into_iter().collect();
        stream::run(FUNCTION, numbers, |n, mut line| {
            let work = works.get(n);
            async move {
                let result = match work {
                    Some((Some(org), work)) => self.work(org, work, &mut line).await,
                    _ => {
                        leave_out(&mut line, "records that name no invoice and no payment");
                        Ok(())
                    }
                };
                (result, line)
            }
        })
        .await
    }

    async fn work(&self, org: &OrgId, work: &Work<'_>, line: &mut Line) -> Result<(), TaskError> {
        line.org = Some(org.to_string());
        line.outcome = "known";
        let rows: Vec<_> = work.rows.iter().collect();
        for rows in rows.chunks(ROWS) {
            let done = self.count(org, rows, work, line).await?;
            if done.left_out > 0 && line.outcome != "left_out" {
                leave_out(line, "rows that cannot be counted as they are");
            } else if done.changed && line.outcome == "known" {
                line.outcome = "counted";
            }
        }
        Ok(())
    }

    async fn count(
        &self,
        org: &OrgId,
        rows: &[&Countable],
        work: &Work<'_>,
        line: &mut Line,
    ) -> Result<Done, TaskError> {
        let today = line.timestamp.to_zoned(TimeZone::UTC).date();
        for tried in 0..TRIES {
            let (book, done) = match self.read(org, rows, today).await {
                // Trying again would only hold up the other organisations of the shard.
                Err(StoreError::Corrupt(_)) => {
                    leave_out(line, "the sums cannot be read: have the organisation counted anew");
                    return Ok(Done { changed: false, left_out: rows.len() });
                }
                read => read.map_err(|error| failed(&error, line))?,
            };
            if !done.changed {
                return Ok(done);
            }
            match self.store.commit(org, &book, None, &[], line.timestamp).await {
                Ok(()) => return Ok(done),
                Err(CommitError::Conflict) => tokio::time::sleep(pause(tried, work.mark())).await,
                Err(CommitError::Store(error)) => return Err(failed(&error, line)),
            }
        }
        Err(overtaken(line))
    }

    /// Counts all invoices and payments of an organisation anew, whatever they were counted as before, a part at a time; the sums
    /// that are shown change when all of them are. What the ledger's stream tells meanwhile may be counted at the same time.
    /// Where it ends early, doing it again goes on. `told` hears after each part how far it is.
    ///
    /// # Errors
    /// [`TaskError`].
    pub async fn recount(
        &self,
        org: &OrgId,
        now: Timestamp,
        told: impl Fn(Progress),
    ) -> Result<Progress, TaskError> {
        let mut line = Line { timestamp: now, ..Line::default() };
        let begin = |totals| Some(Totals::begin(totals, now.as_microsecond()));
        self.change_totals(org, begin, &mut line).await?;
        // What changes from now on counts in both counts, by the stream; what changed before is in the lists by then.
        tokio::time::sleep(LISTS_LAG).await;
        let mut progress = Progress::default();
        for list in [List::Invoices, List::Payments] {
            let mut after = None;
            loop {
                let part = self.store.countables(org, &list, after, ROWS).await;
                let (rows, last) = part.map_err(|error| failed(&error, &mut line))?;
                if last.is_none() {
                    break;
                }
                let rows: Vec<_> = rows.iter().collect();
                let done = self.count(org, &rows, &Work::default(), &mut line).await?;
                let kind =
                    if list == List::Invoices { &mut progress.invoices } else { &mut progress.payments };
                *kind = kind.saturating_add(rows.len());
                progress.left_out = progress.left_out.saturating_add(done.left_out);
                told(progress);
                after = last;
            }
        }
        self.change_totals(org, |totals| totals.map(Totals::finish), &mut line).await?;
        Ok(progress)
    }

    /// Changes the totals as they are by then, if `change` makes any of them. `None` stands for none that can be read.
    async fn change_totals(
        &self,
        org: &OrgId,
        change: impl Fn(Option<Totals>) -> Option<Totals>,
        line: &mut Line,
    ) -> Result<(), TaskError> {
        for tried in 0..TRIES {
            let read = self.read_totals(org).await.map_err(|error| failed(&error, line))?;
            let (mut book, totals) = read;
            let gone = || TaskError::Retryable("the sums went away meanwhile".to_owned());
            let totals = change(totals).ok_or_else(gone)?;
            book.put(totals).map_err(|_| TaskError::Permanent("the sums were not read".to_owned()))?;
            if book.changes().next().is_none() {
                return Ok(());
            }
            match self.store.commit(org, &book, None, &[], line.timestamp).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Conflict) => tokio::time::sleep(pause(tried, Work::default().mark())).await,
                Err(CommitError::Store(error)) => return Err(failed(&error, line)),
            }
        }
        Err(overtaken(line))
    }

    /// The totals, if there are any that can be read, in a book in which whatever is there gives way to others.
    async fn read_totals(&self, org: &OrgId) -> Result<(Book, Option<Totals>), StoreError> {
        let mut book = Book::default();
        match self.store.read(org, vec![RowKey::Totals]).await {
            Err(StoreError::Corrupt(_)) => {
                let version = self.store.version(org, &RowKey::Totals).await?;
                book.learn(RowKey::Totals, version.map(|version| (Totals::default().into_row(), version)));
                return Ok((book, None));
            }
            read => read?.into_iter().for_each(|(name, stored)| book.learn(name, stored)),
        }
        let totals = book.get::<Totals>(&()).ok().flatten().cloned();
        Ok((book, totals))
    }

    /// The rows as they are now, counted. One that cannot be read or counted is left out: mending it is a change, which comes
    /// by here.
    async fn read(&self, org: &OrgId, rows: &[&Countable], today: Date) -> Result<(Book, Done), StoreError> {
        let mut names = vec![Totals::key(&())];
        names.extend(rows.iter().flat_map(|of| [of.row(), Counted::key(of)]));
        let read = self.store.read_many(names.into_iter().map(|name| (*org, name)).collect()).await?;
        let mut book = Book::default();
        for ((_, name), stored) in read {
            match (stored, &name) {
                (Ok(stored), _) => book.learn(name, stored),
                (Err(error), RowKey::Totals) => return Err(error),
                (Err(_), _) => {}
            }
        }
        let counted = rows.iter().filter(|of| recount(&mut book, of, today).is_ok()).count();
        let left_out = rows.len().saturating_sub(counted);
        let changed = book.changes().next().is_some() || book.removals().next().is_some();
        Ok((book, Done { changed, left_out }))
    }
}

/// Says in the line what was not done and will not be done by trying again.
fn leave_out(line: &mut Line, what: &str) {
    line.level = Level::Error;
    line.outcome = "left_out";
    line.error = Some(what.to_owned());
    line.metrics.errors = 1;
}

fn overtaken(line: &mut Line) -> TaskError {
    line.outcome = "overtaken";
    TaskError::Retryable(format!("others changed the totals {TRIES} times"))
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
