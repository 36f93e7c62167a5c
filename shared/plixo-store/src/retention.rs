//! What is due to go: found by since when it is kept, hidden from then on, and taken away.
//!
//! Every row that is kept for a time stands in a partition of its organisation and class, in the order of since when it is kept. So what
//! is due by the policy of this moment is the beginning of a partition, and finding it costs what there is of it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use jiff::Timestamp;
use jiff::civil::Date;
use plixo_domain::audit::AuditEvent;
use plixo_domain::export::Export;
use plixo_domain::hold::Holds;
use plixo_domain::id::{CustomerId, InvoiceId, OrgId};
use plixo_domain::ledger::{Book, Customer, Organisation, Payment, Row, RowKey};
use plixo_domain::retention::Class;
use plixo_domain::webhook::WebhookEvent;
use plixo_envelope::KeyService;

use crate::error::{CommitError, StoreError};
use crate::items;
use crate::keys::{self, AUDIT_SHARDS, List};
use crate::store::{Page, Store, StoredRow};
use crate::tables::{Act, Guard, Index, Key, Range, Table, Tables, Write};

/// So many invoices of a customer are looked at for when it was last active: the youngest.
const INVOICES: usize = 100;

/// So many are looked at in one step of counting, and so many customers' last activity is asked for at once.
const STEP: usize = 100;
const AT_ONCE: usize = 16;

/// How much of a class is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DueCount {
    /// So much.
    pub due: usize,
    /// And so much that would be, but legal holds keep it.
    pub held: usize,
    /// And perhaps more, which was not looked at.
    pub or_more: bool,
}

/// Something that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// A row.
    Row(RowKey),
    /// A piece of a payload.
    Piece(Key),
}

/// A part of what is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePage {
    /// What is due, the longest kept first.
    pub due: Vec<Due>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<String>,
}

impl<T: Tables, K: KeyService> Store<T, K> {
    /// What of a class an organisation keeps since that time or before, as far as lists know by now: up to `limit`, after a place.
    /// Whether it is due is for the rows themselves to say. Of the audit log and of emails, nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn kept_before(
        &self,
        org: &OrgId,
        class: Class,
        since: Timestamp,
        after: Option<String>,
        limit: usize,
    ) -> Result<DuePage, StoreError> {
        let table = if class == Class::WebhookPayload { Table::WebhookEvents } else { Table::Ledger };
        let range = Range {
            table,
            index: Index::BySince,
            partition: keys::since_partition(org, class),
            from: after.clone(),
            to: Some(format!("{}~", keys::since_sort(since))),
            descending: false,
            // The range begins with the place itself, and one more tells whether there are more.
            limit: limit.saturating_add(2),
        };
        let mut places = self.tables.range(range).await?;
        places.retain(|(at, _)| Some(at) != after.as_ref());
        let more = places.len() > limit;
        places.truncate(limit);
        let next = places.last().filter(|_| more).map(|(at, _)| at.clone());
        let due = |(_, key): (String, Key)| match table {
            Table::WebhookEvents => Ok(Due::Piece(key)),
            _ => {
                let row = keys::kept_row(&key);
                row.map(Due::Row).ok_or_else(|| StoreError::Corrupt("a list of what is kept".to_owned()))
            }
        };
        Ok(DuePage { due: places.into_iter().map(due).collect::<Result<_, _>>()?, next })
    }

    /// [`Store::commit`], and in the same transaction takes these items away, whatever they are by now: pieces of payloads, and audit
    /// events that are due. At most 100 in all.
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn delete(
        &self,
        org: &OrgId,
        book: &Book,
        items: Vec<Key>,
        audit: &[AuditEvent],
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let gone = |key| Write { key, act: Act::Delete, guard: Guard::Anything };
        self.commit_with(org, book, None, items.into_iter().map(gone).collect(), audit, now).await
    }

    /// [`Store::delete`] of pieces of payloads, if all of them are there: so nobody counts them twice.
    ///
    /// # Errors
    /// [`CommitError::Conflict`]: one is not there any more; [`Store::pieces_there`] says which are.
    pub async fn delete_pieces(
        &self,
        org: &OrgId,
        book: &Book,
        pieces: Vec<Key>,
        audit: &[AuditEvent],
        now: Timestamp,
    ) -> Result<(), CommitError> {
        // A piece never changes.
        let gone = |key| Write { key, act: Act::Delete, guard: Guard::Version(1) };
        self.commit_with(org, book, None, pieces.into_iter().map(gone).collect(), audit, now).await
    }

    /// Those of these pieces that are still there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pieces_there(&self, pieces: &[Key]) -> Result<Vec<Key>, StoreError> {
        let mut there: Vec<Key> = self.tables.get(pieces.to_vec()).await?.into_keys().collect();
        there.sort_unstable();
        Ok(there)
    }

    /// Audit events of a day, to be taken away: up to `limit` of each partition, and whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_of_day(
        &self,
        org: &OrgId,
        day: Date,
        limit: usize,
    ) -> Result<(Vec<Key>, bool), StoreError> {
        let part = |shard| {
            self.tables.range(Range {
                table: Table::Audit,
                index: Index::Primary,
                partition: keys::audit_partition(org, day, shard),
                from: None,
                to: None,
                descending: false,
                limit,
            })
        };
        let parts = try_join_all((0..AUDIT_SHARDS).map(part)).await?;
        let more = parts.iter().any(|part| part.len() >= limit);
        Ok((parts.into_iter().flatten().map(|(_, key)| key).collect(), more))
    }

    /// The version of an organisation's data key, if it has one still.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn data_key(&self, org: &OrgId) -> Result<Option<u64>, StoreError> {
        let key = keys::data_key(org);
        let found = self.tables.get(vec![key.clone()]).await?;
        found.get(&key).map(|item| items::number(item, "version")).transpose()
    }

    /// Takes an organisation's data key away, of that version, with its audit events, if the rows of `book` are as they are to be.
    /// Nothing that is sealed under it opens any more; whoever has it in memory has it for 5 minutes.
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn destroy_data_key(
        &self,
        org: &OrgId,
        version: u64,
        book: &Book,
        audit: &[AuditEvent],
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let gone = Write { key: keys::data_key(org), act: Act::Delete, guard: Guard::Version(version) };
        self.commit_with(org, book, None, vec![gone], audit, now).await
    }

    /// Which of these rows a legal hold keeps, in their order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn held(&self, org: &OrgId, holds: &Holds, rows: &[&Row]) -> Result<Vec<bool>, StoreError> {
        if holds.is_empty() || holds.is_whole() {
            return Ok(vec![holds.is_whole(); rows.len()]);
        }
        let mut wanted: BTreeSet<InvoiceId> = rows.iter().flat_map(|row| invoices_of(row)).collect();
        if rows.iter().any(|row| matches!(row, Row::Customer(_))) {
            wanted.extend(holds.invoices());
        }
        let read = self.read(org, wanted.into_iter().map(RowKey::Invoice).collect()).await?;
        let owner = |(_, stored): StoredRow| match stored {
            Some((Row::Invoice(invoice), _)) => Some((invoice.id, invoice.customer_id)),
            _ => None,
        };
        let owners: BTreeMap<InvoiceId, CustomerId> = read.into_iter().filter_map(owner).collect();
        let is_held = |row: &&Row| {
            let of_invoices =
                invoices_of(row).any(|invoice| holds.has_invoice(&invoice, owners.get(&invoice)));
            match row {
                Row::Invoice(it) => holds.has_invoice(&it.id, Some(&it.customer_id)),
                Row::Customer(it) => {
                    let with_hold = |invoice| owners.get(&invoice) == Some(&it.id);
                    holds.has_customer(&it.id) || holds.invoices().any(with_hold)
                }
                Row::Payment(it) => of_invoices || it.customer_id.is_some_and(|of| holds.has_customer(&of)),
                Row::PortalLink(_) => of_invoices,
                // It cannot be told whose it is.
                _ => true,
            }
        };
        Ok(rows.iter().map(is_held).collect())
    }

    /// When something was last done with a customer; now, while anything is owed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_active(
        &self,
        org: &OrgId,
        customer: &Customer,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        if self.count(org, &List::OwedOfCustomer(customer.id), 0).await?.1 {
            return Ok(now);
        }
        let page = |limit| Page { after: None, descending: true, limit };
        let invoices = self.list(org, &List::InvoicesOfCustomer(customer.id), page(INVOICES), now).await?;
        let payments = self.list(org, &List::PaymentsOfCustomer(customer.id), page(1), now).await?;
        let at = |(row, _): &(Row, u64)| match row {
            Row::Invoice(invoice) => Some(invoice.active_at()),
            Row::Payment(payment) => Timestamp::from_second(payment.received_at?).ok(),
            _ => None,
        };
        let all = invoices.rows.iter().chain(&payments.rows).filter_map(at);
        Ok(all.fold(customer.active_at(), Timestamp::max))
    }

    /// What legal holds hold, with the row in a book, to be checked or changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn holds(&self, org: &OrgId) -> Result<(Holds, Book), StoreError> {
        let mut book = Book::default();
        for (name, stored) in self.read(org, vec![RowKey::Holds]).await? {
            book.learn(name, stored);
        }
        let holds = book.get::<Holds>(&()).ok().flatten().cloned().unwrap_or_default();
        Ok((holds, book))
    }

    /// Which of these rows are due and hide from everybody, in their order. It costs nothing where none is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due(
        &self,
        org: &Organisation,
        rows: &[&Row],
        now: Timestamp,
    ) -> Result<Vec<bool>, StoreError> {
        let mut due = self.over(org, rows, now).await?;
        if due.contains(&true) {
            let (holds, _) = self.holds(&org.id).await?;
            self.not_held(org, &holds, rows, &mut due).await?;
        }
        Ok(due)
    }

    /// Takes out of what seems to be due what a legal hold keeps.
    async fn not_held(
        &self,
        org: &Organisation,
        holds: &Holds,
        rows: &[&Row],
        due: &mut [bool],
    ) -> Result<(), StoreError> {
        let held = self.held(&org.id, holds, rows).await?;
        due.iter_mut().zip(held).for_each(|(due, held)| *due = *due && !held);
        Ok(())
    }

    /// Which of these rows are due as far as they and these legal holds tell, in their order. Of a customer, [`Store::last_active`]
    /// is to be asked besides.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn seem_due(
        &self,
        org: &Organisation,
        holds: &Holds,
        rows: &[&Row],
        now: Timestamp,
    ) -> Result<Vec<bool>, StoreError> {
        let mut due: Vec<bool> = rows.iter().map(|row| org.settings.retention.is_due(row, now)).collect();
        if due.contains(&true) {
            self.not_held(org, holds, rows, &mut due).await?;
        }
        Ok(due)
    }

    /// [`Store::read`] for whoever shows it to somebody: what is due is as if it was not there. See [`Store::due`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read_shown(
        &self,
        org: &OrgId,
        mut names: Vec<RowKey>,
        now: Timestamp,
    ) -> Result<Vec<StoredRow>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let is_asked = names.contains(&RowKey::Organisation);
        if !is_asked {
            names.push(RowKey::Organisation);
        }
        let mut rows = self.read(org, names).await?;
        let of = rows.iter().find_map(|(_, stored)| match stored {
            Some((Row::Organisation(of), _)) => Some(of.clone()),
            _ => None,
        });
        if !is_asked {
            rows.retain(|(name, _)| *name != RowKey::Organisation);
        }
        match of {
            Some(of) => self.hide_due(&of, rows, now).await,
            None => Ok(rows),
        }
    }

    /// What was read, where what is due is as if it was not there, and an export has no file any more. See [`Store::due`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hide_due(
        &self,
        org: &Organisation,
        rows: Vec<StoredRow>,
        now: Timestamp,
    ) -> Result<Vec<StoredRow>, StoreError> {
        let there: Vec<&Row> = rows.iter().filter_map(|(_, row)| row.as_ref()).map(|(row, _)| row).collect();
        let mut due = self.due(org, &there, now).await?.into_iter();
        let mut shown = |stored| shown(org, stored, due.next() != Some(false));
        Ok(rows.into_iter().map(|(name, row)| (name, row.and_then(&mut shown))).collect())
    }

    /// What an event said, as [`Store::payload`] has it, unless that is due.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn payload_shown(
        &self,
        org: &Organisation,
        event: &WebhookEvent,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let is_due = event.received_at <= org.settings.retention.due_since(Class::WebhookPayload, now);
        if is_due && self.holds(&org.id).await?.0.is_empty() {
            return Ok(None);
        }
        self.payload(&org.id, event.id, &event.key, event.fingerprint, now).await
    }

    /// How much of a class is due by an organisation's policy, as far as lists know by now, and how much of it legal holds keep: of the
    /// `most` that are kept the longest. Of the audit log and of emails, nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_due(
        &self,
        org: &Organisation,
        holds: &Holds,
        class: Class,
        most: usize,
        now: Timestamp,
    ) -> Result<DueCount, StoreError> {
        let since = org.settings.retention.due_since(class, now);
        let (mut count, mut seen, mut after) = (DueCount::default(), 0_usize, None);
        loop {
            let limit = STEP.min(most.saturating_sub(seen));
            let DuePage { due, next } = self.kept_before(&org.id, class, since, after, limit).await?;
            seen = seen.saturating_add(due.len());
            let (mut names, mut payloads) = (Vec::new(), 0_usize);
            for due in due {
                match due {
                    Due::Row(name) => names.push(name),
                    Due::Piece(key) => payloads = payloads.saturating_add(usize::from(keys::is_first(&key))),
                }
            }
            let rows = self.read(&org.id, names).await?;
            let rows: Vec<Row> = rows.into_iter().filter_map(|(_, stored)| Some(stored?.0)).collect();
            let all: Vec<&Row> = rows.iter().collect();
            let held = self.held(&org.id, holds, &all).await?;
            let over = self.over(org, &all, now).await?;
            let kept = held.iter().zip(&over).filter(|(held, over)| **held && **over).count();
            let due = over.iter().filter(|over| **over).count().saturating_sub(kept);
            let (kept_payloads, due_payloads) = if holds.is_empty() { (0, payloads) } else { (payloads, 0) };
            count.held = count.held.saturating_add(kept).saturating_add(kept_payloads);
            count.due = count.due.saturating_add(due).saturating_add(due_payloads);
            count.or_more = next.is_some();
            if next.is_none() || seen >= most {
                return Ok(count);
            }
            after = next;
        }
    }

    /// Whether the time of each of these rows is over, in their order, whatever holds keep.
    async fn over(&self, org: &Organisation, rows: &[&Row], now: Timestamp) -> Result<Vec<bool>, StoreError> {
        let policy = &org.settings.retention;
        let since = policy.due_since(Class::CustomerPersonalData, now);
        let over = async |row: &Row| match row {
            Row::Customer(customer) if policy.is_due(row, now) => {
                self.last_active(&org.id, customer, now).await.map(|active| active <= since)
            }
            row => Ok(policy.is_due(row, now)),
        };
        let mut all = Vec::with_capacity(rows.len());
        for some in rows.chunks(AT_ONCE) {
            all.extend(try_join_all(some.iter().map(|row| over(row))).await?);
        }
        Ok(all)
    }

    /// Those of these rows that are not due, and exports that are without their file: see [`Store::due`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn not_due(
        &self,
        org: &Organisation,
        rows: Vec<(Row, u64)>,
        now: Timestamp,
    ) -> Result<Vec<(Row, u64)>, StoreError> {
        let all: Vec<&Row> = rows.iter().map(|(row, _)| row).collect();
        let due = self.due(org, &all, now).await?;
        Ok(rows.into_iter().zip(due).filter_map(|(row, due)| shown(org, row, due)).collect())
    }
}

/// A row as it is shown. Of what is due nothing is left, but of an export that there was one; of one that is not, the file is kept for as
/// long as the policy says now.
fn shown(org: &Organisation, (row, version): (Row, u64), is_due: bool) -> Option<(Row, u64)> {
    let row = match row {
        Row::Export(export) if is_due => Row::Export(Export { gone: true, ..export }),
        Row::Export(mut export) if !export.gone => {
            if let Some(file) = &mut export.file {
                file.days = org.settings.retention.days(Class::ExportFile);
            }
            Row::Export(export)
        }
        _ if is_due => return None,
        row => row,
    };
    Some((row, version))
}

/// The invoices that a row is about beside itself.
fn invoices_of(row: &Row) -> impl Iterator<Item = InvoiceId> {
    let (link, payment) = match row {
        Row::PortalLink(link) => (Some(link.invoice), None),
        Row::Payment(payment) => (None, Some(payment)),
        _ => (None, None),
    };
    let of = |payment: &Payment| payment.allocations.values().map(|it| it.invoice).collect::<Vec<_>>();
    link.into_iter().chain(payment.map(of).unwrap_or_default())
}
