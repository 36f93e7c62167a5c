#![doc = include_str!("../README.md")]

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use plixo_aws::secrets::ReadSecret;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Outcome};
use plixo_domain::id::{Ids, InvoiceId, LinkId, OrgId};
use plixo_domain::ledger::{
    Book, Countable, Invoice, Kept, PortalLink, Private, Row, end_checkout, settle_link,
};
use plixo_envelope::KeyService;
use plixo_lambda::batch::{BatchResponse, TaskError};
use plixo_lambda::line::{Level, Line};
use plixo_lambda::stream::{self, Batch};
use plixo_portal::Trouble;
use plixo_portal::cashier::{Cashier, NotPaid, took_unheard_money};
use plixo_store::{CommitError, Entropy, List, Page, Store, StoreError, Tables, keys, pause};
use plixo_stripe::{Checkout, SessionStatus};

/// This function's name.
pub const FUNCTION: &str = "worker-portal-links";

/// How often work is done anew because somebody else changed a row meanwhile. After that Lambda hands it out again.
const TRIES: u32 = 8;
/// So many links are closed in one transaction: each is a row and an audit event.
const LINKS: usize = 40;

/// The worker that closes what payers have open.
#[derive(Debug)]
pub struct Worker<T, K, V, C> {
    store: Store<T, K>,
    cashier: Cashier<V, C>,
    entropy: Entropy,
}

impl<T: Tables, K: KeyService, V: ReadSecret, C: Checkout> Worker<T, K, V, C> {
    /// A worker on that store.
    pub fn new(store: Store<T, K>, cashier: Cashier<V, C>, entropy: Entropy) -> Self {
        Self { store, cashier, entropy }
    }

    /// Works a batch off, all invoices side by side.
    pub async fn run(&self, batch: &Batch) -> BatchResponse {
        let mut works: BTreeMap<Option<(OrgId, InvoiceId)>, Vec<&str>> = BTreeMap::new();
        for record in &batch.records {
            let (pk, sk) = record.key();
            let invoice = match keys::countable(pk, sk) {
                Some((org, Countable::Invoice(invoice))) => Some((org, invoice)),
                _ => None,
            };
            works.entry(invoice).or_default().push(record.number());
        }
        let numbers = works.values().cloned().collect();
        let works: Vec<_> = works.into_keys().collect();
        stream::run(FUNCTION, numbers, |n, mut line| {
            let work = works.get(n).copied().flatten();
            async move {
                let result = match &work {
                    Some((org, invoice)) => self.work(org, invoice, &mut line).await,
                    None => {
                        leave_out(&mut line, "records that name no invoice".to_owned());
                        Ok(())
                    }
                };
                (result, line)
            }
        })
        .await
    }

    async fn work(&self, org: &OrgId, id: &InvoiceId, line: &mut Line) -> Result<(), TaskError> {
        line.org = Some(org.to_string());
        line.outcome = "nothing_open";
        let found = self.invoice(org, id).await.map_err(|error| failed(error.into(), line))?;
        let Some((invoice, _)) = found else { return Ok(()) };
        // Links first: Stripe may keep the rest waiting.
        if !invoice.takes_payment() {
            self.close_links(org, id, line).await?;
        }
        if invoice.has_stale_checkout() {
            self.close_checkout(org, invoice, line).await?;
        }
        Ok(())
    }

    async fn invoice(&self, org: &OrgId, id: &InvoiceId) -> Result<Option<(Invoice, u64)>, StoreError> {
        let rows = self.store.read(org, vec![Invoice::key(id)]).await?;
        Ok(rows.into_iter().find_map(|(_, stored)| match stored {
            Some((Row::Invoice(invoice), version)) => Some((invoice, version)),
            _ => None,
        }))
    }

    /// Ends the session at Stripe, then notes that it is over. One of which Stripe's answer was never written down needs no ending:
    /// nobody was sent there, and nobody will be, for the note comes first.
    async fn close_checkout(&self, org: &OrgId, invoice: Invoice, line: &mut Line) -> Result<(), TaskError> {
        let Some(live) = invoice.live_checkout().cloned() else { return Ok(()) };
        if let Some(session) = &live.session {
            match self.cashier.expire(org, live.key, session, line.timestamp).await {
                Ok(session) if session.status == SessionStatus::Open => {
                    return Err(TaskError::Retryable("Stripe's session is open still".to_owned()));
                }
                Ok(session) => {
                    let took = took_unheard_money(&self.store, org, &session).await;
                    if took.map_err(|error| failed(error.into(), line))? {
                        // What is heard of it changes the invoice, and comes by here.
                        line.outcome = "paid_and_unheard";
                        return Ok(());
                    }
                }
                Err(NotPaid::Trouble(trouble)) => return Err(failed(trouble, line)),
                // Then nobody can pay in it.
                Err(NotPaid::NoSession) => {}
                // No further try would help, and it would hold up all others. It ends by itself within the hour.
                Err(error) => {
                    leave_out(line, error.to_string());
                    return Ok(());
                }
            }
        }
        for tried in 0..TRIES {
            let found = self.invoice(org, &invoice.id).await.map_err(|error| failed(error.into(), line))?;
            let mut book = Book::default();
            book.learn(
                Invoice::key(&invoice.id),
                found.map(|(invoice, version)| (Row::Invoice(invoice), version)),
            );
            let is_news = end_checkout(&mut book, &invoice.id, live.attempt).unwrap_or_default();
            let deeds = [("checkout.end", Object::new("invoice", invoice.id), ["checkout"])];
            if !is_news || self.commit(org, &book, &deeds, tried, line).await? {
                line.outcome = "closed";
                return Ok(());
            }
        }
        Err(overtaken(line))
    }

    /// Notes with each link of the invoice that it is settled, so that no refund opens one again.
    async fn close_links(&self, org: &OrgId, invoice: &InvoiceId, line: &mut Line) -> Result<(), TaskError> {
        let (list, mut after) = (List::PortalLinksOf(*invoice), None);
        loop {
            let page = Page { after, descending: false, limit: LINKS };
            let listed = self.store.list(org, &list, page, line.timestamp).await;
            let listed = listed.map_err(|error| failed(error.into(), line))?;
            let links: Vec<_> = listed.rows.iter().filter_map(|(row, _)| PortalLink::of(row)).collect();
            // One that was made after the invoice was found settled is of a time when it was owed again.
            let is_open = |it: &&PortalLink| {
                it.settled_at.is_none() && it.revoked_at.is_none() && it.made_at <= line.timestamp
            };
            let open = links.into_iter().filter(is_open);
            let open: Vec<LinkId> = open.map(|link| link.id).collect();
            if !open.is_empty() {
                self.settle(org, &open, line).await?;
            }
            match listed.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn settle(&self, org: &OrgId, links: &[LinkId], line: &mut Line) -> Result<(), TaskError> {
        for tried in 0..TRIES {
            let names = links.iter().map(PortalLink::key).collect();
            let rows = self.store.read(org, names).await.map_err(|error| failed(error.into(), line))?;
            let mut book = Book::default();
            rows.into_iter().for_each(|(name, stored)| book.learn(name, stored));
            // It may be owed again by now: then these links are of before all the same.
            let settled = |id: &&LinkId| settle_link(&mut book, id, line.timestamp).unwrap_or_default();
            let settled: Vec<_> = links.iter().filter(settled).collect();
            let deed = |id: &LinkId| ("portal_link.settle", Object::new("portal_link", id), ["settled_at"]);
            let deeds: Vec<_> = settled.into_iter().map(deed).collect();
            if deeds.is_empty() || self.commit(org, &book, &deeds, tried, line).await? {
                line.outcome = "closed";
                return Ok(());
            }
        }
        Err(overtaken(line))
    }

    /// Commits a change with its audit events. False where others changed the same rows meanwhile, after a pause.
    async fn commit(
        &self,
        org: &OrgId,
        book: &Book,
        deeds: &[(&str, Object, [&str; 1])],
        tried: u32,
        line: &mut Line,
    ) -> Result<bool, TaskError> {
        let drawn = (self.entropy)();
        let drawn = drawn.ok_or_else(|| TaskError::Retryable("no randomness to be had".to_owned()))?;
        let (mut ids, at) = (Ids::drawn(line.timestamp, drawn), line.timestamp);
        let actor = Actor { kind: ActorKind::Function, id: FUNCTION.to_owned(), role: None };
        let request_id = line.message_id.clone().unwrap_or_default();
        let event = |(action, object, fields): &(&str, Object, [&str; 1])| AuditEvent {
            id: ids.make(),
            at,
            actor: actor.clone(),
            origin: Private::default(),
            customer: None,
            action: (*action).to_owned(),
            object: object.clone(),
            outcome: Outcome::Allowed,
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            request_id: request_id.clone(),
            count: None,
        };
        let events: Vec<_> = deeds.iter().map(event).collect();
        match self.store.commit(org, book, None, &events, at).await {
            Ok(()) => Ok(true),
            Err(CommitError::Conflict) => {
                tokio::time::sleep(pause(tried, drawn)).await;
                Ok(false)
            }
            Err(CommitError::Store(error)) => Err(failed(error.into(), line)),
        }
    }
}

/// Says in the line what was not done and will not be done by trying again.
fn leave_out(line: &mut Line, what: String) {
    line.level = Level::Error;
    line.outcome = "left_out";
    line.error = Some(what);
    line.metrics.errors = 1;
}

fn overtaken(line: &mut Line) -> TaskError {
    line.outcome = "overtaken";
    TaskError::Retryable(format!("others changed the same rows {TRIES} times"))
}

fn failed(trouble: Trouble, line: &mut Line) -> TaskError {
    match trouble {
        Trouble::Unavailable(cause) => {
            line.outcome = "unavailable";
            TaskError::Retryable(cause)
        }
        Trouble::Internal(cause) => {
            line.outcome = "refused";
            TaskError::Permanent(cause)
        }
    }
}
