//! What is deleted row by row.

use futures::future::join;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use plixo_aws::s3::Objects;
use plixo_aws::sqs::SendMessage;
use plixo_domain::audit::{AuditEvent, Object};
use plixo_domain::export::Export;
use plixo_domain::id::{Ids, OrgId};
use plixo_domain::ledger::{Book, Customer, Kept, Row, RowKey, Unread, delete};
use plixo_domain::privacy::{Done as Collected, PrivacyRequest, PrivacyTaskOf};
use plixo_domain::retention::Class;
use plixo_store::{Due, DuePage, Key, Tables, pause};

use crate::{Done, Failed, Job, PROMISED, Rules, Run, TRIES, committed};

/// How often more rows turn out to be needed.
const READS: usize = 4;
/// So many pages are looked at for what is late, where legal holds keep all that is in them.
const LATE_PAGES: usize = 32;
/// How many files are deleted at once.
const FILES: usize = 8;

/// How many of a class are deleted in one transaction, which has up to 100 writes. Two of them are conditions, and one is the audit
/// event; an invoice or a payment has one of its own, and names that lead to it. Customers are not deleted here.
fn at_once(class: Class) -> usize {
    match class {
        // With its number, its ERP's name, its reference and its event.
        Class::Invoice => 19,
        // With its id and its event.
        Class::Payment => 32,
        // So many are read in one request, with the two rows that decide.
        _ => 96,
    }
}

/// What a part of a class is found by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Terms {
    /// What is kept since then or before is due.
    since: Timestamp,
    /// Whether only the rows themselves tell whether they are due. Pieces of payloads never change, and a link's end does not: without
    /// legal holds, that they are listed says it.
    are_read: bool,
}

/// A part of what may be due of a class, with what decides of it, which was read after the list.
struct Found {
    terms: Terms,
    rules: Rules,
    /// The rows that are to tell.
    rows: Vec<RowKey>,
    /// The items that are due if they are there.
    items: Vec<Key>,
    /// Where the next part begins.
    next: Option<String>,
}

/// What became of a part.
#[derive(Default)]
struct Part {
    deleted: usize,
    sent: usize,
    late: usize,
}

/// A part of a class that is as it was meanwhile, or has to be read again.
type Tried = Result<Option<Part>, Failed>;

impl<T: Tables, O: Objects, Q: SendMessage> Job<T, O, Q> {
    /// Deletes what is due of a class, the longest kept first, and counts what is late of what it leaves.
    pub(crate) async fn delete_class(
        &self,
        org: &OrgId,
        class: Class,
        run: &Run<'_>,
        done: &mut Done,
    ) -> Result<(), Failed> {
        let Some(rules) = self.rules(org, Vec::new()).await? else { return Ok(()) };
        let Some(terms) = terms(&rules, class, run) else { return Ok(()) };
        let mut after = None;
        let mut found = self.find(org, class, terms, None, run).await?;
        while let Some(part) = found {
            if run.over() {
                done.is_unfinished = true;
                done.late = done.late.saturating_add(self.count_late(org, class, after, run).await?);
                return Ok(());
            }
            let (terms, next) = (part.terms, part.next.clone());
            // The next part is read meanwhile.
            let following = async {
                match next.clone() {
                    Some(next) => self.find(org, class, terms, Some(next), run).await,
                    None => Ok(None),
                }
            };
            let (part, following) = join(self.delete_part(org, class, part, run), following).await;
            let Some(part) = part? else {
                found = self.find(org, class, terms, after.clone(), run).await?;
                continue;
            };
            done.deleted = done.deleted.saturating_add(part.deleted);
            done.sent = done.sent.saturating_add(part.sent);
            done.late = done.late.saturating_add(part.late);
            (after, found) = (next, following?);
        }
        Ok(())
    }

    /// A part of what may be due of a class on these terms, or on those that hold by now. `None` where nothing more is, or legal holds
    /// keep all.
    async fn find(
        &self,
        org: &OrgId,
        class: Class,
        mut by: Terms,
        after: Option<String>,
        run: &Run<'_>,
    ) -> Result<Option<Found>, Failed> {
        for _ in 0..TRIES {
            let limit = at_once(class);
            let DuePage { due, next } =
                self.store.kept_before(org, class, by.since, after.clone(), limit).await?;
            if due.is_empty() {
                return Ok(None);
            }
            let (rows, items) = if by.are_read {
                (due.into_iter().filter_map(Due::row).collect(), Vec::new())
            } else {
                (Vec::new(), due.iter().map(|due| due.key(org)).collect())
            };
            let Some(rules) = self.rules(org, Vec::clone(&rows)).await? else { return Ok(None) };
            let Some(terms) = terms(&rules, class, run) else { return Ok(None) };
            if terms == by {
                return Ok(Some(Found { terms, rules, rows, items, next }));
            }
            by = terms;
        }
        Err(Failed::Overtaken)
    }

    /// How much of a class is late, after a place: what came before it was looked at. Of the rest, the first that is late, and not
    /// held, says enough.
    async fn count_late(
        &self,
        org: &OrgId,
        class: Class,
        mut after: Option<String>,
        run: &Run<'_>,
    ) -> Result<usize, Failed> {
        let Some(rules) = self.rules(org, Vec::new()).await? else { return Ok(0) };
        let Some(terms) = terms(&rules, class, run) else { return Ok(0) };
        let late = promised(terms.since);
        for _ in 0..LATE_PAGES {
            let left = self.store.kept_before(org, class, late, after, at_once(class)).await?;
            let count = self.count_due(org, &rules, left.due, run).await?;
            after = left.next;
            if count > 0 || after.is_none() {
                return Ok(count);
            }
        }
        Ok(0)
    }

    /// Deletes those of a part that are due, anew where others changed the same rows meanwhile. `None` where it has to be found anew: on
    /// other terms other things are due.
    async fn delete_part(&self, org: &OrgId, class: Class, found: Found, run: &Run<'_>) -> Tried {
        let Found { terms: by, rules, rows, mut items, .. } = found;
        let mut read = Some(rules);
        for tried in 0..TRIES {
            let rules = match read.take() {
                Some(rules) => rules,
                None => {
                    let rules = self.rules(org, rows.clone()).await?;
                    let Some(rules) = rules.filter(|rules| terms(rules, class, run) == Some(by)) else {
                        return Ok(None);
                    };
                    // Of what a list tells late, the items themselves tell now.
                    items = self.store.there(&items).await?;
                    rules
                }
            };
            let drawn = self.drawn()?;
            let ids = Ids::drawn(run.now, drawn);
            let part = if !by.are_read {
                self.delete_items(org, class, rules, &items, ids, run).await?
            } else if class == Class::CustomerPersonalData {
                self.forget(org, rules, run).await?
            } else {
                self.delete_rows(org, class, rules, ids, run).await?
            };
            match part {
                Some(part) => return Ok(Some(part)),
                None => tokio::time::sleep(pause(tried, drawn)).await,
            }
        }
        Err(Failed::Overtaken)
    }

    async fn delete_items(
        &self,
        org: &OrgId,
        class: Class,
        rules: Rules,
        items: &[Key],
        mut ids: Ids,
        run: &Run<'_>,
    ) -> Tried {
        if items.is_empty() {
            return Ok(Some(Part::default()));
        }
        let event = of_many(run, &mut ids, org, class, items.len());
        let gone = self.store.delete_there(org, &rules.book, items.to_vec(), &[event], run.now).await;
        let part = Part { deleted: items.len(), ..Part::default() };
        Ok(committed(gone)?.then_some(part))
    }

    async fn delete_rows(
        &self,
        org: &OrgId,
        class: Class,
        rules: Rules,
        mut ids: Ids,
        run: &Run<'_>,
    ) -> Tried {
        let due = self.due_rows(&rules, run).await?;
        if due.is_empty() {
            return Ok(Some(Part::default()));
        }
        let mut book = rules.book;
        let gone = self.take(org, &mut book, &due).await?;
        if gone.is_empty() {
            self.delete_files(org, book, run).await?;
            return Ok(Some(Part::default()));
        }
        let events: Vec<AuditEvent> = match class {
            Class::Invoice | Class::Payment => gone
                .iter()
                .filter_map(|row| object(row))
                .map(|object| run.event(&mut ids, "retention.delete", object, "deleted", None))
                .collect(),
            _ => vec![of_many(run, &mut ids, org, class, gone.len())],
        };
        let part = Part { deleted: gone.len(), ..Part::default() };
        if !committed(self.store.commit(org, &book, None, &events, run.now).await)? {
            return Ok(None);
        }
        self.delete_files(org, book.committed(), run).await?;
        Ok(Some(part))
    }

    /// Takes the files away that a book's rows tell to be gone, and notes that they are away. A row tells it first: nobody who has the
    /// file kept in between is left with a row alone. What is not noted, because a run died or others changed the same rows, the
    /// next run finds again.
    async fn delete_files(&self, org: &OrgId, mut book: Book, run: &Run<'_>) -> Result<(), Failed> {
        let going: Vec<Row> =
            book.rows().filter(|(_, row)| is_going(row)).map(|(_, row)| row.clone()).collect();
        if going.is_empty() {
            return Ok(());
        }
        let files: Vec<String> = going.iter().flat_map(|row| files_of(org, row)).collect();
        let delete_file = |file: String| async move { self.exports.delete(&file).await };
        stream::iter(files.into_iter().map(delete_file)).buffer_unordered(FILES).try_collect::<()>().await?;
        for row in going {
            match row {
                Row::Export(export) => book.put(Export { going: false, ..export })?,
                Row::PrivacyRequest(request) => {
                    let done = request.done.map(|done| Collected { going: false, ..done });
                    book.put(PrivacyRequest { done, ..request })?;
                }
                _ => {}
            }
        }
        committed(self.store.commit(org, &book, None, &[], run.now).await)?;
        Ok(())
    }

    /// Takes rows out of a book, with what leads to them, which it reads. Answers which were there.
    async fn take<'r>(
        &self,
        org: &OrgId,
        book: &mut Book,
        due: &'r [(RowKey, Row)],
    ) -> Result<Vec<&'r Row>, Failed> {
        let mut left: Vec<&(RowKey, Row)> = due.iter().collect();
        let mut gone = Vec::new();
        for _ in 0..READS {
            let (mut unread, mut again) = (Vec::new(), Vec::new());
            for named in left {
                match delete(book, &named.0) {
                    Ok(true) => gone.push(&named.1),
                    Ok(false) => {}
                    Err(Unread(names)) => {
                        unread.extend(names);
                        again.push(named);
                    }
                }
            }
            if again.is_empty() {
                return Ok(gone);
            }
            left = again;
            unread.sort_unstable();
            unread.dedup();
            for (name, stored) in self.store.read(org, unread).await? {
                book.learn(name, stored);
            }
        }
        Err(Failed::Unread)
    }

    /// Has customers erased whose time is over. Those with whom something was done since move on in the list: nothing of theirs is
    /// changed but where they stand there, so there is nothing for the audit log.
    async fn forget(&self, org: &OrgId, rules: Rules, run: &Run<'_>) -> Tried {
        let since = rules.org.settings.retention.due_since(Class::CustomerPersonalData, run.now);
        let promised = promised(since);
        let due = self.due_rows(&rules, run).await?;
        let (mut book, mut over) = (rules.book, Vec::new());
        for (_, row) in &due {
            let Some(customer) = Customer::of(row) else { continue };
            let active = self.store.last_active(org, customer, run.now).await?;
            if active > since {
                book.put(Customer { active: Some(active), ..customer.clone() })?;
            } else {
                over.push((customer.id, active));
            }
        }
        let moves = book.changes().next().is_some();
        if moves && !committed(self.store.commit(org, &book, None, &[], run.now).await)? {
            return Ok(None);
        }
        for (customer, _) in &over {
            self.send(org, PrivacyTaskOf::Forget(*customer)).await?;
        }
        let late = over.iter().filter(|(_, active)| *active <= promised).count();
        Ok(Some(Part { deleted: 0, sent: over.len(), late }))
    }

    /// The rows of a book that seem to be due, each with its name.
    async fn due_rows(&self, rules: &Rules, run: &Run<'_>) -> Result<Vec<(RowKey, Row)>, Failed> {
        let rows: Vec<(&RowKey, &Row)> = rules.book.rows().collect();
        let all: Vec<&Row> = rows.iter().map(|(_, row)| *row).collect();
        let due = self.store.seem_due(&rules.org, &rules.holds, &all, run.now).await?;
        let due = rows.into_iter().zip(due).filter(|(_, due)| *due);
        Ok(due.map(|((name, row), _)| (name.clone(), row.clone())).collect())
    }

    /// How many of these are due.
    async fn count_due(
        &self,
        org: &OrgId,
        rules: &Rules,
        left: Vec<Due>,
        run: &Run<'_>,
    ) -> Result<usize, Failed> {
        let all = left.len();
        let names: Vec<RowKey> = left.into_iter().filter_map(Due::row).collect();
        let pieces = all.saturating_sub(names.len());
        let mut late = pieces;
        for (_, stored) in self.store.read(org, names).await? {
            let Some((row, _)) = stored else { continue };
            let due = self.store.seem_due(&rules.org, &rules.holds, &[&row], run.now).await?;
            late = late.saturating_add(usize::from(due.contains(&true)));
        }
        Ok(late)
    }
}

/// Of what is due since then, what is late.
fn promised(since: Timestamp) -> Timestamp {
    since.saturating_sub(PROMISED).unwrap_or(since)
}

/// What a class is found by; `None` while legal holds keep all of it.
fn terms(rules: &Rules, class: Class, run: &Run<'_>) -> Option<Terms> {
    let (holds, is_free) = (&rules.holds, rules.holds.is_empty());
    let keep_all = holds.is_whole() || (!class.is_somebodys() && !is_free);
    let are_read = match class {
        Class::WebhookPayload => false,
        Class::PortalLink => !is_free,
        _ => true,
    };
    let since = rules.org.settings.retention.due_since(class, run.now);
    (!keep_all).then_some(Terms { since, are_read })
}

/// Whether a row tells that its files are gone, and they may still be there.
fn is_going(row: &Row) -> bool {
    match row {
        Row::Export(export) => export.going,
        Row::PrivacyRequest(request) => request.done.as_ref().is_some_and(|done| done.going),
        _ => false,
    }
}

/// The files of a row.
fn files_of(org: &OrgId, row: &Row) -> Vec<String> {
    match row {
        Row::Export(export) => vec![export.object(org)],
        Row::PrivacyRequest(request) => ["json", "html"].map(|end| request.object(org, end)).into(),
        _ => Vec::new(),
    }
}

/// As the audit log names it.
fn object(row: &Row) -> Option<Object> {
    match row {
        Row::Invoice(invoice) => Some(Object::new("invoice", invoice.id)),
        Row::Payment(payment) => Some(Object::new("payment", payment.id)),
        _ => None,
    }
}

/// The audit event of so many things of a class.
fn of_many(run: &Run<'_>, ids: &mut Ids, org: &OrgId, class: Class, count: usize) -> AuditEvent {
    let object = Object::new(class.as_str(), org);
    run.event(ids, "retention.delete", object, "deleted", Some(count))
}
