//! Whatever names a customer, found and taken away, page by page. What is gone is not found again, so a sweep goes on where an earlier
//! one stopped.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use plixo_aws::s3::Objects;
use plixo_aws::sign::Sign;
use plixo_aws::sqs::{Held, LookThrough};
use plixo_domain::answer::Answer;
use plixo_domain::export::{Export, Why};
use plixo_domain::hold::{HeldBy, LegalHold};
use plixo_domain::id::InvoiceId;
use plixo_domain::ledger::{
    Book, Customer, ERASED, Invoice, InvoiceBody, Kept, Payment, Personal, PortalLink, Private, Row, delete,
    erase_invoice, erase_payer, identifiers,
};
use plixo_domain::privacy::{Done, PrivacyKind, PrivacyRequest, Refused};
use plixo_domain::webhook::{Envelope, ExternalRef, WebhookEvent};
use plixo_envelope::KeyService;
use plixo_store::{List, Page, Store, StoreError, Tables};
use plixo_worker::Delivery;

use crate::Worker;
use crate::case::{Case, Gone, Stop, unread};
use crate::words::Words;

/// So many rows are read, and changed, at once.
pub(crate) const ROWS: usize = 20;
/// So many payments are changed at once: each with the histories of its payers.
const PAYMENTS: usize = 2;
/// So many rows without a change are read at once.
pub(crate) const PAGE: usize = 100;
/// So many payloads are opened at once.
pub(crate) const OPEN: usize = 16;
/// After so long without an end, whoever ran an export is gone: see `worker-export`.
const RUN: SignedDuration = SignedDuration::from_secs(360);
/// An object that was written in spite of all is deleted once more for so long.
const WRITTEN_LATE: SignedDuration = SignedDuration::from_hours(48);
/// Dead letters are held for so long while they are looked through.
const HOLD: Duration = Duration::from_secs(120);
/// So many batches of dead letters are looked through, each of up to 10.
const LETTERS: usize = 200;

/// A sweep for one customer.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) customer: Customer,
    /// What is personal, as far as it is known still.
    pub(crate) personal: Option<Personal>,
    pub(crate) words: Words,
    /// Whether somebody may still be writing a file that nobody wants any more.
    pub(crate) waits: bool,
}

impl Sweep {
    /// What is left of an invoice's words.
    fn bare(&self, body: InvoiceBody) -> InvoiceBody {
        match &self.personal {
            Some(personal) => body.without(&identifiers(personal)),
            None => body.without_words(),
        }
    }
}

impl<T: Tables, K: KeyService, O: Objects, S: Sign, Q: LookThrough> Worker<T, K, O, S, Q> {
    /// Takes away what is found, and says how many things that were.
    pub(crate) async fn sweep(&self, case: &mut Case, sweep: &mut Sweep) -> Result<u64, Stop> {
        let before = case.erased();
        sweep.waits = false;
        self.invoices(case, sweep).await?;
        let links = sweep.customer.links.keys().cloned().map(List::PaymentsOfReference);
        let lists = links.chain([List::PaymentsOfCustomer(sweep.customer.id)]);
        for list in lists.collect::<Vec<_>>() {
            self.payments_of(case, &list).await?;
        }
        self.answers(case, sweep).await?;
        self.payloads(case, sweep).await?;
        self.export_files(case, sweep).await?;
        self.access_files(case, sweep).await?;
        self.hold_reasons(case, sweep).await?;
        self.refusal_reasons(case, sweep).await?;
        for queue in &self.letters {
            self.dead_letters(case, sweep, queue).await?;
        }
        Ok(case.erased().saturating_sub(before))
    }

    /// The next rows of a list, the youngest first, and where it goes on. Rows whose time is over are among them, as long as they are
    /// stored.
    pub(crate) async fn page(
        &self,
        case: &Case,
        list: &List,
        after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Row>, Option<String>), StoreError> {
        let page = Page { after, descending: true, limit };
        let listed = self.store.list(&case.org, list, page, Timestamp::UNIX_EPOCH).await?;
        Ok((listed.rows.into_iter().map(|(row, _)| row).collect(), listed.next))
    }

    /// Invoices, what opens them, and who paid them.
    async fn invoices(&self, case: &mut Case, sweep: &mut Sweep) -> Result<(), Stop> {
        let (list, mut after) = (List::InvoicesOfCustomer(sweep.customer.id), None);
        loop {
            let (rows, next) = self.page(case, &list, after, ROWS).await?;
            let invoices = rows.into_iter().filter_map(|row| match row {
                Row::Invoice(invoice) => Some(invoice),
                _ => None,
            });
            let invoices: Vec<Invoice> = invoices.collect();
            let left: Vec<InvoiceId> =
                invoices.iter().filter(|invoice| !invoice.erased).map(|it| it.id).collect();
            if !left.is_empty() {
                let (org, now, sweep) = (case.org, case.now, &*sweep);
                let erase = async |book: &mut Book| {
                    learn(&self.store, &org, book, left.iter().map(Invoice::key)).await?;
                    let mut count = 0;
                    for id in &left {
                        let Some(invoice) = book.get::<Invoice>(id).map_err(unread)?.cloned() else {
                            continue;
                        };
                        let body = sweep.bare(self.store.open_body(&org, &invoice, now).await?);
                        count += usize::from(erase_invoice(book, id, body).map_err(unread)?);
                    }
                    Ok(Gone::of(count))
                };
                self.take_away(case, "invoices", erase).await?;
            }
            let payments = invoices.iter().flat_map(|invoice| invoice.claims.values());
            let payments: BTreeSet<ExternalRef> = payments.map(|claim| claim.payment.clone()).collect();
            self.payers(case, payments).await?;
            invoices.iter().for_each(|invoice| sweep.words.add(&invoice.id));
            self.links(case, &invoices).await?;
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn links(&self, case: &mut Case, invoices: &[Invoice]) -> Result<(), Stop> {
        let lists: Vec<List> = invoices.iter().map(|invoice| List::PortalLinksOf(invoice.id)).collect();
        loop {
            let read = lists.iter().map(|list| self.page(case, list, None, ROWS));
            let rows = try_join_all(read).await?.into_iter().flat_map(|(rows, _)| rows);
            let names = rows.filter_map(|row| match row {
                Row::PortalLink(link) => Some(PortalLink::key(&link.id)),
                _ => None,
            });
            let names: Vec<_> = names.collect();
            let mut gone = 0;
            for names in names.chunks(ROWS) {
                let org = case.org;
                let remove = async |book: &mut Book| {
                    learn(&self.store, &org, book, names.iter().cloned()).await?;
                    let removed = names.iter().map(|name| delete(book, name).map(usize::from));
                    Ok(Gone::of(removed.sum::<Result<usize, _>>().map_err(unread)?))
                };
                gone += self.take_away(case, "portal_links", remove).await?;
            }
            // The list follows: what it still has and is gone is not read.
            if gone == 0 {
                return Ok(());
            }
        }
    }

    async fn payments_of(&self, case: &mut Case, list: &List) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let (rows, next) = self.page(case, list, after, PAGE).await?;
            let left = rows.into_iter().filter_map(|row| match row {
                Row::Payment(payment) if !payment.erased => Some(payment.reference),
                _ => None,
            });
            self.payers(case, left.collect()).await?;
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Who paid these.
    async fn payers(&self, case: &mut Case, payments: BTreeSet<ExternalRef>) -> Result<(), Stop> {
        let customer = case.customer.ok_or_else(|| Stop::Never("nobody is to be erased".to_owned()))?;
        let names: Vec<_> = payments.iter().map(Payment::key).collect();
        let mut left = Vec::new();
        for names in names.chunks(PAGE) {
            for (_, stored) in self.store.read(&case.org, names.to_vec()).await? {
                if let Some((Row::Payment(payment), _)) = stored
                    && !payment.erased
                {
                    left.push(payment.reference);
                }
            }
        }
        for payments in left.chunks(PAYMENTS) {
            let org = case.org;
            let erase = async |book: &mut Book| {
                let mut count = 0;
                for payment in payments {
                    let erase = |book: &mut Book| erase_payer(book, payment, &customer);
                    count += usize::from(self.told(&org, book, erase).await?);
                }
                Ok(Gone::of(count))
            };
            self.take_away(case, "payments", erase).await?;
        }
        Ok(())
    }

    /// What idempotency keys were answered.
    async fn answers(&self, case: &mut Case, sweep: &Sweep) -> Result<(), Stop> {
        let (list, mut after) = (List::AnswersAbout(sweep.customer.id), None);
        loop {
            let (rows, next) = self.page(case, &list, after, ROWS).await?;
            let keys = rows.into_iter().filter_map(|row| match row {
                Row::Answer(answer) => Some(answer.key),
                _ => None,
            });
            let (keys, org) = (keys.collect::<Vec<_>>(), case.org);
            if !keys.is_empty() {
                let remove = async |book: &mut Book| {
                    learn(&self.store, &org, book, keys.iter().map(Answer::key)).await?;
                    let mut count = 0;
                    for key in &keys {
                        count += usize::from(book.get::<Answer>(key).map_err(unread)?.is_some());
                        book.remove::<Answer>(key).map_err(unread)?;
                    }
                    Ok(Gone::of(count))
                };
                self.take_away(case, "answers", remove).await?;
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// The texts of webhook events.
    async fn payloads(&self, case: &mut Case, sweep: &Sweep) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let (rows, next) = self.page(case, &List::WebhookEvents, after, PAGE).await?;
            let events = rows.into_iter().filter_map(|row| match row {
                Row::WebhookEvent(event) => Some(event),
                _ => None,
            });
            let events: Vec<WebhookEvent> = events.collect();
            let mut about = Vec::new();
            for events in events.chunks(OPEN) {
                let names = try_join_all(events.iter().map(|event| self.names(case, sweep, event))).await?;
                about.extend(
                    events.iter().zip(names).filter(|(_, names)| *names).map(|(event, _)| event.clone()),
                );
            }
            for events in about.chunks(Store::<T, K>::MOST_PAYLOADS) {
                let still = Case::new(case.org, case.now, String::new());
                let remove = async |_: &mut Book| {
                    // Another worker may have been faster.
                    let names =
                        try_join_all(events.iter().map(|event| self.names(&still, sweep, event))).await?;
                    let left = events.iter().zip(names).filter(|(_, names)| *names);
                    let payloads: Vec<_> = left.map(|(event, _)| event.clone()).collect();
                    Ok(Gone { payloads: payloads.clone(), ..Gone::of(payloads.len()) })
                };
                self.take_away(case, "webhook_payloads", remove).await?;
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// The text of an event, if it is kept still.
    pub(crate) async fn text(&self, case: &Case, event: &WebhookEvent) -> Result<Option<String>, StoreError> {
        self.store.payload(&case.org, event.id, &event.key, event.fingerprint, case.now).await
    }

    /// Whether the text of an event is there, and names the customer.
    async fn names(&self, case: &Case, sweep: &Sweep, event: &WebhookEvent) -> Result<bool, Stop> {
        match self.text(case, event).await {
            Ok(text) => Ok(text.is_some_and(|text| sweep.words.are_in(&text))),
            // What nobody can read may as well go.
            Err(StoreError::Sealed(_) | StoreError::Corrupt(_)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// The files of all exports: each may have the customer in it.
    async fn export_files(&self, case: &mut Case, sweep: &mut Sweep) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let (rows, next) = self.page(case, &List::Exports, after, PAGE).await?;
            for row in rows {
                if let Row::Export(export) = row {
                    self.export_file(case, sweep, &export).await?;
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn export_file(&self, case: &mut Case, sweep: &mut Sweep, export: &Export) -> Result<(), Stop> {
        let within = |after: SignedDuration| {
            let run = export.run.as_ref().and_then(|run| run.at.checked_add(after).ok());
            run.is_some_and(|end| end > case.now)
        };
        let (is_running, is_recent) = (export.file.is_none() && within(RUN), within(WRITTEN_LATE));
        if export.failed == Some(Why::Erased) {
            // Whoever was at it hears of it only when the file is there.
            if export.file.is_none() && is_recent {
                self.exports.delete(&export.object(&case.org)).await?;
            }
            sweep.waits |= is_running;
            return Ok(());
        }
        let is_there = |export: &Export| {
            let has_file = export.file.is_some() && (!export.gone || export.going);
            export.failed.is_none() && (has_file || (export.file.is_none() && export.run.is_some()))
        };
        if !is_there(export) {
            return Ok(());
        }
        self.unheld(case).await?;
        self.exports.delete(&export.object(&case.org)).await?;
        let org = case.org;
        let fail = async |book: &mut Book| {
            learn(&self.store, &org, book, [Export::key(&export.id)]).await?;
            let export = book.get::<Export>(&export.id).map_err(unread)?.filter(|it| is_there(it)).cloned();
            let Some(export) = export else { return Ok(Gone::default()) };
            book.put(Export { failed: Some(Why::Erased), ..export }).map_err(unread)?;
            Ok(Gone::of(1))
        };
        self.take_away(case, "export_files", fail).await?;
        sweep.waits |= is_running;
        Ok(())
    }

    /// The files of what was collected about the customer.
    async fn access_files(&self, case: &mut Case, sweep: &Sweep) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let (rows, next) = self.page(case, &List::PrivacyRequests, after, PAGE).await?;
            for row in rows {
                let Row::PrivacyRequest(request) = row else { continue };
                if request.kind == PrivacyKind::Access && request.customer == sweep.customer.id {
                    self.access_file(case, &request).await?;
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn access_file(&self, case: &mut Case, request: &PrivacyRequest) -> Result<(), Stop> {
        let (org, now, id) = (case.org, case.now, request.id);
        let is_kept = |done: &Done| done.files_until.is_some_and(|until| until > now);
        let is_over = request.done.as_ref().is_some_and(|done| !is_kept(done));
        if is_over || request.refused.is_some() {
            return Ok(());
        }
        self.unheld(case).await?;
        for end in ["json", "html"] {
            self.exports.delete(&request.object(&org, end)).await?;
        }
        let end = async |book: &mut Book| {
            learn(&self.store, &org, book, [PrivacyRequest::key(&id)]).await?;
            let request = book.get::<PrivacyRequest>(&id).map_err(unread)?.cloned();
            let Some((request, done)) =
                request.and_then(|it| it.done.clone().filter(is_kept).map(|done| (it, done)))
            else {
                return Ok(Gone::default());
            };
            let done = Some(Done { files_until: Some(now), ..done });
            book.put(PrivacyRequest { done, ..request }).map_err(unread)?;
            Ok(Gone::of(1))
        };
        self.take_away(case, "access_files", end).await.map(drop)
    }

    /// Why legal holds were on the customer, or on its invoices: they are released, and may name people.
    async fn hold_reasons(&self, case: &mut Case, sweep: &Sweep) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let (rows, next) = self.page(case, &List::LegalHolds, after, ROWS).await?;
            let mut about = Vec::new();
            for row in rows {
                let Row::LegalHold(hold) = row else { continue };
                let is_about = match hold.on {
                    HeldBy::Organisation => false,
                    HeldBy::Customer(customer) => customer == sweep.customer.id,
                    HeldBy::Invoice(invoice) => sweep.words.has(&invoice),
                };
                if is_about && self.store.open_hold_reason(&case.org, &hold, case.now).await? != ERASED {
                    about.push(hold.id);
                }
            }
            let org = case.org;
            let blank = async |book: &mut Book| {
                learn(&self.store, &org, book, about.iter().map(LegalHold::key)).await?;
                for id in &about {
                    if let Some(hold) = book.get::<LegalHold>(id).map_err(unread)?.cloned() {
                        let reason = Private::Plain(ERASED.to_owned());
                        book.put(LegalHold { reason, ..hold }).map_err(unread)?;
                    }
                }
                Ok(Gone::of(about.len()))
            };
            if !about.is_empty() {
                self.take_away(case, "hold_reasons", blank).await?;
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Why requests of the customer were refused: that may name people.
    async fn refusal_reasons(&self, case: &mut Case, sweep: &Sweep) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let (rows, next) = self.page(case, &List::PrivacyRequests, after, ROWS).await?;
            let mut about = Vec::new();
            for row in rows {
                let Row::PrivacyRequest(request) = row else { continue };
                let is_about = request.customer == sweep.customer.id;
                let reason = self.store.open_refusal(&case.org, &request, case.now);
                if is_about && reason.await?.is_some_and(|reason| reason != ERASED) {
                    about.push(request.id);
                }
            }
            let org = case.org;
            let blank = async |book: &mut Book| {
                learn(&self.store, &org, book, about.iter().map(PrivacyRequest::key)).await?;
                for id in &about {
                    let request = book.get::<PrivacyRequest>(id).map_err(unread)?.cloned();
                    let Some((request, refused)) =
                        request.and_then(|it| it.refused.clone().map(|no| (it, no)))
                    else {
                        continue;
                    };
                    let refused = Some(Refused { reason: Private::Plain(ERASED.to_owned()), ..refused });
                    book.put(PrivacyRequest { refused, ..request }).map_err(unread)?;
                }
                Ok(Gone::of(about.len()))
            };
            if !about.is_empty() {
                self.take_away(case, "refusal_reasons", blank).await?;
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Events that were given up: their whole text stands in the queue. What waits to be worked off needs nobody to look for it: it lands
    /// on the tombstone, and nothing of it is kept.
    async fn dead_letters(&self, case: &mut Case, sweep: &Sweep, queue: &Q) -> Result<(), Stop> {
        let mut others = Vec::new();
        let looked = self.look_through(case, sweep, queue, &mut others).await;
        for receipt in others {
            // One that is not given back is there again when its time is over.
            let _ = queue.give_back(&receipt).await;
        }
        looked
    }

    async fn look_through(
        &self,
        case: &mut Case,
        sweep: &Sweep,
        queue: &Q,
        others: &mut Vec<String>,
    ) -> Result<(), Stop> {
        for _ in 0..LETTERS {
            let held = queue.hold(Envelope::ATTRIBUTE, HOLD).await?;
            if held.is_empty() {
                return Ok(());
            }
            let is_about = |letter: &Held| {
                let read = letter.attribute.as_deref().map(|attribute| Delivery::of(attribute, &letter.body));
                let read = read.and_then(Result::ok).filter(|read| read.envelope.org == case.org);
                read.is_some_and(|read| sweep.words.are_in(&read.text))
            };
            let (about, rest): (Vec<Held>, Vec<Held>) = held.into_iter().partition(is_about);
            others.extend(rest.into_iter().map(|letter| letter.receipt));
            if about.is_empty() {
                continue;
            }
            let count = about.len();
            let told = self.take_away(case, "dead_letters", async |_: &mut Book| Ok(Gone::of(count))).await;
            for letter in about {
                match &told {
                    Ok(_) => queue.delete(&letter.receipt).await?,
                    Err(_) => others.push(letter.receipt),
                }
            }
            told?;
        }
        Err(Stop::Later("there are more dead letters than one attempt looks through".to_owned()))
    }
}

/// Reads rows into a book.
async fn learn<T: Tables, K: KeyService>(
    store: &Store<T, K>,
    org: &plixo_domain::id::OrgId,
    book: &mut Book,
    names: impl IntoIterator<Item = plixo_domain::ledger::RowKey>,
) -> Result<(), Stop> {
    let read = store.read(org, names.into_iter().collect()).await?;
    read.into_iter().for_each(|(name, stored)| book.learn(name, stored));
    Ok(())
}
