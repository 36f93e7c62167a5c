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
use plixo_domain::id::{InvoiceId, OrgId};
use plixo_domain::ledger::{Book, Customer, CustomerRef, Kept, Organisation, Payment, Row, RowKey};
use plixo_domain::privacy::{Done, PrivacyRequest};
use plixo_domain::retention::Class;
use plixo_domain::webhook::{ExternalRef, WebhookEvent};
use plixo_envelope::KeyService;

use crate::error::{CommitError, StoreError};
use crate::items;
use crate::keys::{self, AUDIT_SHARDS, List};
use crate::store::{Page, Store, StoredRow};
use crate::tables::{Act, Guard, Index, Key, Range, Table, Tables, Write};

/// So many of a customer's invoices and payments are read at once for when it was last active.
const AT_A_TIME: usize = 100;

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

impl Due {
    /// The row's name, of a row.
    #[must_use]
    pub fn row(self) -> Option<RowKey> {
        match self {
            Self::Row(name) => Some(name),
            Self::Piece(_) => None,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn key(&self, org: &OrgId) -> Key {
        match self {
            Self::Row(name) => keys::row(org, name),
            Self::Piece(key) => key.clone(),
        }
    }
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
        let to = format!("{}~", keys::since_sort(since));
        if after.as_ref().is_some_and(|after| *after > to) {
            return Ok(DuePage { due: Vec::new(), next: None });
        }
        let range = Range {
            table,
            index: Index::BySince,
            partition: keys::since_partition(org, class),
            from: after.clone(),
            to: Some(to),
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

    /// The payloads that came after the one time and not after the other, by their first pieces and as far as lists know by now: up
    /// to `limit` pieces are looked at, after a place. Also those whose events are remembered no more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn payloads_between(
        &self,
        org: &OrgId,
        (from, to): (Timestamp, Timestamp),
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Key>, Option<String>), StoreError> {
        let after = after.unwrap_or_else(|| format!("{}~", keys::since_sort(from)));
        let page = self.kept_before(org, Class::WebhookPayload, to, Some(after), limit).await?;
        let first = |due| match due {
            Due::Piece(key) if keys::is_first(&key) => Some(key),
            _ => None,
        };
        Ok((page.due.into_iter().filter_map(first).collect(), page.next))
    }

    /// [`Store::delete`], if all of these items are there: so nobody counts them twice.
    ///
    /// # Errors
    /// [`CommitError::Conflict`]: one is not there any more; [`Store::there`] says which are.
    pub async fn delete_there(
        &self,
        org: &OrgId,
        book: &Book,
        items: Vec<Key>,
        audit: &[AuditEvent],
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let gone = |key| Write { key, act: Act::Delete, guard: Guard::Present };
        self.commit_with(org, book, None, items.into_iter().map(gone).collect(), audit, now).await
    }

    /// Those of these items that are still there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn there(&self, items: &[Key]) -> Result<Vec<Key>, StoreError> {
        let mut there: Vec<Key> = self.tables.get(items.to_vec()).await?.into_keys().collect();
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
        let payer = |row: &&Row| match row {
            Row::Payment(payment) => payment.customer.clone(),
            _ => None,
        };
        let payers: BTreeSet<ExternalRef> = rows.iter().filter_map(payer).collect();
        let names = wanted.into_iter().map(RowKey::Invoice).chain(payers.iter().map(CustomerRef::key));
        let (mut owners, mut known) = (BTreeMap::new(), BTreeMap::new());
        for (_, stored) in self.read(org, names.collect()).await? {
            match stored {
                Some((Row::Invoice(invoice), _)) => drop(owners.insert(invoice.id, invoice.customer_id)),
                Some((Row::CustomerRef(of), _)) => drop(known.insert(of.reference, of.customer)),
                _ => {}
            }
        }
        let is_held = |row: &&Row| {
            let of_invoices =
                invoices_of(row).any(|invoice| holds.has_invoice(&invoice, owners.get(&invoice)));
            match row {
                Row::Invoice(it) => holds.has_invoice(&it.id, Some(&it.customer_id)),
                Row::Customer(it) => {
                    let with_hold = |invoice| owners.get(&invoice) == Some(&it.id);
                    holds.has_customer(&it.id) || holds.invoices().any(with_hold)
                }
                Row::Payment(it) => {
                    let told = it.customer.as_ref().and_then(|of| known.get(of));
                    // Whose an invoice was that is gone.
                    let gone = it.owners.iter().filter(|(invoice, _)| !owners.contains_key(invoice));
                    let whose = it.customer_id.iter().chain(told).chain(gone.map(|(_, owner)| owner));
                    of_invoices || whose.into_iter().any(|of| holds.has_customer(of))
                }
                Row::PortalLink(_) => of_invoices,
                // It cannot be told whose it is.
                _ => true,
            }
        };
        Ok(rows.iter().map(is_held).collect())
    }

    /// When something was last done with a customer; now, while anything is owed, or of its payments unapplied.
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
        let page = |after| Page { after, descending: true, limit: AT_A_TIME };
        let mut active = customer.active_at();
        // Its payments are listed under what people say, or else under what its providers call it. An old invoice may have been paid lately.
        let told = customer.links.keys().cloned().map(List::PaymentsOfReference);
        let own = [List::InvoicesOfCustomer(customer.id), List::PaymentsOfCustomer(customer.id)];
        for list in own.into_iter().chain(told) {
            let mut next = Some(page(None));
            while let Some(wanted) = next {
                let listed = self.list(org, &list, wanted, now).await?;
                for (row, _) in &listed.rows {
                    match row {
                        Row::Payment(it) if it.unapplied().is_some_and(|left| left.amount > 0) => {
                            return Ok(now);
                        }
                        Row::Payment(it) => active = active.max(it.active_at()),
                        Row::Invoice(it) => active = active.max(it.active_at()),
                        _ => {}
                    }
                }
                next = listed.next.map(|after| page(Some(after)));
            }
        }
        Ok(active)
    }

    /// Takes out of what seems to be due the payments of which something is applied to an invoice that is owed: who withdraws that
    /// gets the money back. Money goes when what it is for is over.
    async fn not_needed(&self, org: &OrgId, rows: &[&Row], due: &mut [bool]) -> Result<(), StoreError> {
        let applied = |row: &&Row| -> Vec<InvoiceId> {
            let payment = Payment::of(row).into_iter();
            payment.flat_map(|it| it.allocations.values()).map(|allocation| allocation.invoice).collect()
        };
        let wanted = rows.iter().zip(&*due).filter(|(_, due)| **due).flat_map(|(row, _)| applied(row));
        let wanted: BTreeSet<InvoiceId> = wanted.collect();
        let read = self.read(org, wanted.into_iter().map(RowKey::Invoice).collect()).await?;
        let owed = |(_, stored): StoredRow| match stored {
            Some((Row::Invoice(invoice), _)) if invoice.is_owed() => Some(invoice.id),
            _ => None,
        };
        let owed: BTreeSet<InvoiceId> = read.into_iter().filter_map(owed).collect();
        let is_needed = |row: &&Row| applied(row).iter().any(|invoice| owed.contains(invoice));
        due.iter_mut().zip(rows).for_each(|(due, row)| *due = *due && !is_needed(row));
        Ok(())
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
        self.not_needed(&org.id, rows, &mut due).await?;
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

    /// What was read, where what is due is as if it was not there, and an export or an access request has no files any more. See [`Store::due`].
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
        self.not_needed(&org.id, rows, &mut all).await?;
        Ok(all)
    }

    /// Those of these rows that are not due, and exports and access requests that are without their files: see [`Store::due`].
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
        Row::PrivacyRequest(request) if is_due => {
            let done = request.done.clone().map(|done| Done { gone: true, ..done });
            Row::PrivacyRequest(PrivacyRequest { done, ..request })
        }
        _ if is_due => return None,
        row => row,
    };
    Some((row, version))
}

/// The invoices that a row is about beside itself.
fn invoices_of(row: &Row) -> impl Iterator<Item = InvoiceId> + use<'_> {
    let (link, payment) = match row {
        Row::PortalLink(link) => (Some(link.invoice), None),
        Row::Payment(payment) => (None, Some(payment)),
        _ => (None, None),
    };
    link.into_iter().chain(payment.into_iter().flat_map(Payment::invoices))
}
