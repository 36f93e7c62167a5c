//! Whatever names a customer, found and taken away, page by page. What is gone is not found again, so a sweep goes on where an earlier
//! one stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use plixo_aws::s3::Objects;
use plixo_aws::sign::Sign;
use plixo_aws::sqs::{Held, LookThrough};
use plixo_domain::answer::Answer;
use plixo_domain::export::{Export, Format, Scope, Why};
use plixo_domain::hold::{HeldBy, LegalHold};
use plixo_domain::id::{CustomerId, InvoiceId};
use plixo_domain::ledger::{
    Book, Customer, CustomerRef, ERASED, Invoice, InvoiceBody, Kept, Payer, Payment, Personal, PortalLink,
    Private, Row, Search, SearchPlace, delete, erase_invoice, erase_payer, erase_payer_history, identifiers,
    owner, reword_payer,
};
use plixo_domain::privacy::{Done, PrivacyKind, PrivacyRequest, PrivacyStatus, Refused};
use plixo_domain::webhook::{Envelope, ExternalRef, WebhookEvent};
use plixo_envelope::KeyService;
use plixo_store::{CommitError, Key, List, Page, Store, StoreError, Tables};
use plixo_worker::Delivery;

use crate::Worker;
use crate::case::{Case, Gone, Stop, learn, others_held, unread};
use crate::erase::SETTLES;
use crate::words::{Named, Words};

/// So many rows are read, and changed, at once.
pub(crate) const ROWS: usize = 20;
/// So many payments are changed at once: each with the histories of its payers.
const PAYMENTS: usize = 2;
/// So many rows without a change are read at once.
pub(crate) const PAGE: usize = 100;
/// After so many pages of texts it is noted how far they were looked through.
const NOTED: u32 = 10;
/// So many payloads are opened at once.
pub(crate) const OPEN: usize = 16;
/// After so long without an end, whoever ran an export is gone: see `worker-export`.
const RUN: SignedDuration = SignedDuration::from_secs(360);
/// An object that was written in spite of all is deleted once more for so long.
const WRITTEN_LATE: SignedDuration = SignedDuration::from_hours(48);
/// Within so long after the time that stands in it, a tombstone is committed.
const BURIES: SignedDuration = SignedDuration::from_secs(300);
/// Whoever collects what is held about a customer from before it became a tombstone has ended so long after that time.
const COLLECTS: SignedDuration = SignedDuration::from_secs(600);
/// Dead letters are held for so long while they are looked through: for longer than an attempt works.
const HOLD: Duration = Duration::from_secs(300);
/// So often dead letters are looked through that others look through as well.
const LOOKS: u32 = 30;
/// So many batches of dead letters, each of up to 10, are looked through before the customer becomes a tombstone.
const FIRST: usize = 50;
/// How the audit log calls dead letters, and payloads.
const LETTERS: &str = "dead_letters";
const PAYLOADS: &str = "webhook_payloads";

/// What came of looking through a queue.
#[derive(Debug, Clone, Copy)]
struct Looked {
    /// Whether all of it was seen: there were no more, and nobody else had some.
    is_all: bool,
    /// How many stay because of holds on others, although words of the customer are in them.
    left: u64,
}

/// What goes of who paid.
#[derive(Debug, Clone)]
enum Goes {
    /// All of it.
    All,
    /// What names the customer: this is left.
    Words(Payer),
    /// That they paid for the customer as well.
    History,
}

impl Goes {
    /// How the audit log calls it.
    fn kind(&self) -> &'static str {
        match self {
            Self::All => "payments",
            Self::Words(_) => "payer_words",
            Self::History => "payer_histories",
        }
    }
}

/// A sweep for one customer.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) customer: Customer,
    /// What is personal, as far as it is known still.
    pub(crate) personal: Option<Personal>,
    pub(crate) words: Words,
    /// Whether somebody may still be writing a file that nobody wants any more.
    pub(crate) waits: bool,
    /// What stays because of holds on others although words of the customer are in it.
    pub(crate) left: BTreeMap<&'static str, u64>,
    /// The payments of which who paid stays.
    pub(crate) kept: BTreeSet<ExternalRef>,
    /// How far texts were looked through.
    pub(crate) search: Search,
}

impl Sweep {
    /// Goes on where an earlier attempt came to, if what is looked for is still the same.
    pub(crate) fn go_on(&mut self) {
        let search = self.customer.search.take().filter(|search| search.version == self.search.version);
        self.search = search.map_or_else(|| self.search.clone(), |search| *search);
    }

    /// Whether a text goes that names the customer so. One that stays, for it may be held for somebody else, is counted.
    fn takes(&mut self, how: Named, is_kept: bool) -> bool {
        let stays = is_kept && how == Named::ByWords;
        self.search.left = self.search.left.saturating_add(u64::from(stays));
        how > Named::No && !stays
    }

    /// What goes of who paid: all, where the money is nobody else's, or the customer paid with somebody else's money under a name or an
    /// email that only it has; or else what of that stands there.
    fn goes(&self, payer: &Payer, other: Option<&Words>, only_words: bool) -> Goes {
        let words = other.map_or_else(|| self.words.clone(), |other| self.words.without(other));
        match other {
            None if !only_words => Goes::All,
            Some(_) if words.pay(payer) > Named::No => Goes::All,
            _ => words.out_of_payer(payer).map_or(Goes::History, Goes::Words),
        }
    }

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
        (sweep.left, sweep.kept) = (BTreeMap::new(), BTreeSet::new());
        self.invoices(case, sweep).await?;
        let links = sweep.customer.links.keys().cloned().map(List::PaymentsOfReference);
        let lists = links.chain([List::PaymentsOfCustomer(sweep.customer.id)]);
        for list in lists.collect::<Vec<_>>() {
            self.payments_of(case, sweep, &list).await?;
        }
        self.payments_of_all(case, sweep).await?;
        if let Ok(count @ 1..) = u64::try_from(sweep.kept.len()) {
            sweep.left.insert("payments", count);
        }
        self.answers(case, sweep).await?;
        self.texts(case, sweep).await?;
        self.export_files(case, sweep).await?;
        self.access_files(case, sweep).await?;
        self.hold_reasons(case, sweep).await?;
        self.refusal_reasons(case, sweep).await?;
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
            let payments: BTreeSet<_> = payments.map(|claim| Payment::key(&claim.payment)).collect();
            let payments: Vec<_> = payments.into_iter().collect();
            for names in payments.chunks(PAGE) {
                let read = self.store.read(&case.org, names.to_vec()).await?;
                let rows = read.into_iter().filter_map(|(_, stored)| stored).map(|(row, _)| row);
                self.payers(case, sweep, unerased(rows), false).await?;
            }
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

    async fn payments_of(&self, case: &mut Case, sweep: &mut Sweep, list: &List) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let (rows, next) = self.page(case, list, after, PAGE).await?;
            self.payers(case, sweep, unerased(rows), false).await?;
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Among all payments, what was for one of the customer's invoices, whatever became of it, and what the customer paid as its email or
    /// name says, as long as these are known.
    async fn payments_of_all(&self, case: &mut Case, sweep: &mut Sweep) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let (rows, next) = self.page(case, &List::Payments, after, PAGE).await?;
            let payments = unerased(rows);
            let are_for = self.are_for(case, &payments, &sweep.customer.id, &sweep.words).await?;
            let is_kept = match &sweep.personal {
                Some(_) if !payments.is_empty() => others_held(&self.unheld(case).await?.1)?,
                _ => false,
            };
            let (mut own, mut written) = (Vec::new(), Vec::new());
            for (payment, is_for) in payments.into_iter().zip(are_for) {
                let payer = self.known_payer(case, sweep, &payment).await?;
                let is_written = |text: &String| sweep.words.are_written_in(text);
                match sweep.words.pay(&payer) {
                    how if is_for || how == Named::ForCertain => own.push(payment),
                    // Whoever paid all of it for somebody else's invoice may have the same name.
                    Named::ByWords if is_of_nobody(&payment) && is_for_nobody(&payment) => match is_kept {
                        true => drop(sweep.kept.insert(payment.reference)),
                        false => own.push(payment),
                    },
                    _ if payer.remittance.as_ref().is_some_and(is_written) => written.push(payment),
                    _ => {}
                }
            }
            self.payers(case, sweep, own, false).await?;
            self.payers(case, sweep, written, true).await?;
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Which of these payments ever had to do with an invoice of the customer: one that there is, or one that is gone and was its own.
    pub(crate) async fn are_for(
        &self,
        case: &Case,
        payments: &[Payment],
        customer: &CustomerId,
        words: &Words,
    ) -> Result<Vec<bool>, StoreError> {
        let known = |payment: &Payment| payment.invoices().any(|invoice| words.has(&invoice));
        let noted = |payment: &Payment| {
            let owners = payment.owners.clone().into_iter();
            owners.filter(|(_, owner)| owner == customer).map(|(invoice, _)| invoice)
        };
        let asked: BTreeSet<InvoiceId> = payments.iter().filter(|it| !known(it)).flat_map(noted).collect();
        let read =
            self.store.read(&case.org, asked.into_iter().map(|id| Invoice::key(&id)).collect()).await?;
        let others = read.into_iter().filter_map(|(_, stored)| match stored {
            Some((Row::Invoice(it), _)) if it.customer_id != *customer => Some(it.id),
            _ => None,
        });
        let others: BTreeSet<InvoiceId> = others.collect();
        let is_for = |it: &Payment| known(it) || noted(it).any(|invoice| !others.contains(&invoice));
        Ok(payments.iter().map(is_for).collect())
    }

    /// Who paid, where the customer's words are known by which that is told.
    async fn known_payer(&self, case: &Case, sweep: &Sweep, payment: &Payment) -> Result<Payer, StoreError> {
        match &sweep.personal {
            Some(_) => self.payer_of(case, payment).await,
            None => Ok(Payer::default()),
        }
    }

    /// Who paid, as far as it opens.
    pub(crate) async fn payer_of(&self, case: &Case, payment: &Payment) -> Result<Payer, StoreError> {
        match self.store.open_payer(&case.org, payment, case.now).await {
            Err(StoreError::Sealed(_) | StoreError::Corrupt(_)) => Ok(Payer::default()),
            opened => opened,
        }
    }

    /// What names those whose money these payments are, where that is somebody else than the customer.
    pub(crate) async fn others(
        &self,
        case: &Case,
        payments: &[Payment],
        customer: &CustomerId,
    ) -> Result<Vec<Option<Words>>, Stop> {
        let mut book = Book::default();
        let told = payments.iter().filter_map(|payment| payment.customer.as_ref());
        learn(&self.store, &case.org, &mut book, told.map(CustomerRef::key).collect::<BTreeSet<_>>()).await?;
        let mut owners = Vec::new();
        for payment in payments {
            owners.push(owner(&book, payment).map_err(unread)?.filter(|id| id != customer));
        }
        let ids: BTreeSet<CustomerId> = owners.iter().copied().flatten().collect();
        let mut words = BTreeMap::new();
        for (_, stored) in self.store.read(&case.org, ids.iter().map(Customer::key).collect()).await? {
            let Some((Row::Customer(other), _)) = stored else { continue };
            let personal = match self.store.open_personal(&case.org, &other, case.now).await {
                Err(StoreError::Sealed(_) | StoreError::Corrupt(_)) => Personal::default(),
                opened => opened?,
            };
            words.insert(other.id, Words::new(&other, &personal));
        }
        Ok(owners.into_iter().map(|id| Some(words.get(&id?).cloned().unwrap_or_default())).collect())
    }

    /// Who paid these, or what of that names the customer: `only_words`, or where the money is somebody else's. What a hold keeps stays, and
    /// is noted.
    async fn payers(
        &self,
        case: &mut Case,
        sweep: &mut Sweep,
        payments: Vec<Payment>,
        only_words: bool,
    ) -> Result<(), Stop> {
        let customer = sweep.customer.id;
        if payments.is_empty() {
            return Ok(());
        }
        let others = self.others(case, &payments, &customer).await?;
        let (holds, _) = self.unheld(case).await?;
        let rows: Vec<Row> = payments.iter().cloned().map(Row::Payment).collect();
        let held = self.store.held(&case.org, &holds, &rows.iter().collect::<Vec<_>>()).await?;
        let mut goes = BTreeMap::<_, Vec<_>>::new();
        for ((payment, other), is_held) in payments.iter().zip(others).zip(held) {
            let payer = self.known_payer(case, sweep, payment).await?;
            let goes_of = sweep.goes(&payer, other.as_ref(), only_words);
            match goes_of {
                // That somebody paid for the customer as well is all there would be.
                Goes::History if is_held => {}
                _ if is_held => drop(sweep.kept.insert(payment.reference.clone())),
                goes_of => goes.entry(goes_of.kind()).or_default().push((payment, goes_of)),
            }
        }
        for (kind, payments) in goes {
            for payments in payments.chunks(PAYMENTS) {
                let org = case.org;
                let gone = async |book: &mut Book| {
                    let mut count = 0;
                    for (payment, goes) in payments {
                        let take = |book: &mut Book| {
                            let is = book.get::<Payment>(&payment.reference)?;
                            // Somebody may have said since whose it is.
                            let whose = |it: &Payment| (it.customer.clone(), it.customer_id);
                            if is.map(whose) != Some(whose(payment)) {
                                return Ok(false);
                            }
                            match goes {
                                Goes::All => erase_payer(book, &payment.reference, &customer),
                                Goes::History => erase_payer_history(book, &payment.reference, &customer),
                                Goes::Words(left) => {
                                    erase_payer_history(book, &payment.reference, &customer)?;
                                    reword_payer(book, payment, left.clone())
                                }
                            }
                        };
                        count += usize::from(self.told(&org, book, take).await?);
                    }
                    Ok(Gone::of(count))
                };
                self.take_away(case, kind, gone).await?;
            }
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

    /// The texts of webhook events, from where an earlier attempt came to. What came since it began is looked through after that, until
    /// there is no more of it than a page.
    async fn texts(&self, case: &mut Case, sweep: &mut Sweep) -> Result<(), Stop> {
        if sweep.search.left > 0 && !others_held(&self.unheld(case).await?.1)? {
            // What was left has no reason to stay any more.
            sweep.search = Search::new(sweep.search.version);
        }
        // What an earlier attempt began is never a page alone, however little of it is left.
        let is_begun = sweep.search.place != SearchPlace::Events(None);
        let (mut pages, mut of_round) = (0_u32, if is_begun { 2_u32 } else { 0 });
        loop {
            let search = &sweep.search;
            if search.place == SearchPlace::End {
                let (top, place) = (search.top.clone(), SearchPlace::Events(None));
                sweep.search = Search { until: top.clone(), top, place, ..search.clone() };
                of_round = 0;
            }
            sweep.search.place = match sweep.search.place.clone() {
                SearchPlace::Events(after) => {
                    of_round = of_round.saturating_add(1);
                    match (self.payloads(case, sweep, after).await?, &sweep.search.until) {
                        (Some(next), until) if until.as_ref().is_none_or(|until| next > *until) => {
                            SearchPlace::Events(Some(next))
                        }
                        (_, Some(_)) => SearchPlace::End,
                        (_, None) => SearchPlace::Old(None),
                    }
                }
                SearchPlace::Old(after) => match self.old_payloads(case, sweep, after).await? {
                    Some(next) => {
                        of_round = of_round.saturating_add(1);
                        SearchPlace::Old(Some(next))
                    }
                    None => SearchPlace::End,
                },
                SearchPlace::End => SearchPlace::End,
            };
            if sweep.search.place == SearchPlace::End && of_round == 1 {
                break;
            }
            pages = pages.saturating_add(1);
            if pages.is_multiple_of(NOTED) {
                self.note_search(case, sweep).await?;
            }
        }
        if sweep.search.left > 0 {
            sweep.left.insert(PAYLOADS, sweep.search.left);
        }
        Ok(())
    }

    /// Notes how far the texts were looked through, unless somebody changed the customer: then what to look for may be something else.
    async fn note_search(&self, case: &Case, sweep: &mut Sweep) -> Result<(), Stop> {
        let read = self.store.read(&case.org, vec![Customer::key(&sweep.customer.id)]).await?;
        let Some((name, Some((Row::Customer(customer), version)))) = read.into_iter().next() else {
            return Ok(());
        };
        if version != sweep.search.version {
            return Ok(());
        }
        let search = Search { version: version.saturating_add(1), ..sweep.search.clone() };
        let mut book = Book::default();
        book.learn(name, Some((Row::Customer(customer.clone()), version)));
        book.put(Customer { search: Some(Box::new(search.clone())), ..customer }).map_err(unread)?;
        match self.store.commit(&case.org, &book, None, &[], case.now).await {
            Ok(()) => sweep.search = search,
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// The texts of a page of events, and where they go on.
    async fn payloads(
        &self,
        case: &mut Case,
        sweep: &mut Sweep,
        after: Option<String>,
    ) -> Result<Option<String>, Stop> {
        let is_kept = others_held(&self.unheld(case).await?.1)?;
        let is_first = after.is_none();
        let (rows, next) = self.page(case, &List::WebhookEvents, after, PAGE).await?;
        let until = sweep.search.until.as_deref();
        let events = rows.into_iter().filter_map(|row| match row {
            Row::WebhookEvent(event) if until.is_none_or(|until| event.id.to_string().as_str() > until) => {
                Some(event)
            }
            _ => None,
        });
        let events: Vec<WebhookEvent> = events.collect();
        if let (true, Some(youngest)) = (is_first, events.first()) {
            sweep.search.top = Some(youngest.id.to_string());
        }
        let mut about = Vec::new();
        for events in events.chunks(OPEN) {
            let named = try_join_all(events.iter().map(|event| self.named(case, sweep, event))).await?;
            let goes = events.iter().zip(named).filter(|(_, how)| sweep.takes(*how, is_kept));
            about.extend(goes.map(|(event, _)| event.clone()));
        }
        for events in about.chunks(Store::<T, K>::MOST_PAYLOADS) {
            let (still, sweep) = (Case::new(case.org, case.now, String::new()), &*sweep);
            let remove = async |book: &mut Book| {
                as_before(book, is_kept)?;
                // Another worker may have been faster.
                let named = try_join_all(events.iter().map(|event| self.named(&still, sweep, event))).await?;
                let left = events.iter().zip(named).filter(|(_, how)| *how > Named::No);
                let payloads: Vec<_> = left.map(|(event, _)| event.clone()).collect();
                Ok(Gone { payloads: payloads.clone(), ..Gone::of(payloads.len()) })
            };
            self.take_away(case, PAYLOADS, remove).await?;
        }
        Ok(next)
    }

    /// The text of an event, if it is kept still.
    pub(crate) async fn text(&self, case: &Case, event: &WebhookEvent) -> Result<Option<String>, StoreError> {
        self.store.payload(&case.org, event.id, &event.key, event.fingerprint, case.now).await
    }

    /// How the text of an event names the customer, if it is there.
    async fn named(&self, case: &Case, sweep: &Sweep, event: &WebhookEvent) -> Result<Named, Stop> {
        match self.text(case, event).await {
            Ok(text) => Ok(text.map_or(Named::No, |text| sweep.words.are_in(&text))),
            // What nobody can read may as well go.
            Err(StoreError::Sealed(_) | StoreError::Corrupt(_)) => Ok(Named::ByWords),
            Err(error) => Err(error.into()),
        }
    }

    /// A page of the texts of webhook events that are remembered no more, and are kept for longer, and where they go on.
    async fn old_payloads(
        &self,
        case: &mut Case,
        sweep: &mut Sweep,
        after: Option<String>,
    ) -> Result<Option<String>, Stop> {
        let span = (Timestamp::MIN, Store::<T, K>::remembered_since(case.now));
        let is_kept = others_held(&self.unheld(case).await?.1)?;
        let (firsts, next) = self.store.payloads_between(&case.org, span, after, PAGE).await?;
        let mut about = Vec::new();
        for firsts in firsts.chunks(OPEN) {
            let named = try_join_all(firsts.iter().map(|first| self.named_old(case, sweep, first))).await?;
            let goes = firsts.iter().zip(named).filter(|(_, (how, _))| sweep.takes(*how, is_kept));
            about.extend(goes.map(|(first, _)| first.clone()));
        }
        for firsts in about.chunks(Store::<T, K>::MOST_PAYLOADS) {
            let (still, sweep) = (Case::new(case.org, case.now, String::new()), &*sweep);
            let remove = async |book: &mut Book| {
                as_before(book, is_kept)?;
                let named = firsts.iter().map(|first| self.named_old(&still, sweep, first));
                let left = try_join_all(named).await?.into_iter().filter(|(how, _)| *how > Named::No);
                let payloads: Vec<_> = left.map(|(_, pieces)| pieces).collect();
                let (count, pieces) = (payloads.len(), payloads.concat());
                Ok(Gone { pieces, ..Gone::of(count) })
            };
            self.take_away(case, PAYLOADS, remove).await?;
        }
        Ok(next)
    }

    /// How a text that is found without its event names the customer, and where its pieces are. One that opens for nobody may as well go.
    async fn named_old(&self, case: &Case, sweep: &Sweep, first: &Key) -> Result<(Named, Vec<Key>), Stop> {
        let found = self.store.old_payload(&case.org, first, case.now).await?;
        Ok(found.map_or((Named::No, Vec::new()), |found| {
            let how = found.text.map_or(Named::ByWords, |text| sweep.words.are_in(&text));
            (how, found.pieces)
        }))
    }

    /// The files of exports that may have the customer in them.
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

    /// Nobody is given the file from then on. Where a hold is on somebody else, it stays as long as that is, for it may be evidence.
    async fn export_file(&self, case: &mut Case, sweep: &mut Sweep, export: &Export) -> Result<(), Stop> {
        if is_without(&sweep.customer, export) {
            return Ok(());
        }
        let object = export.object(&case.org);
        let within = |after: SignedDuration| {
            let run = export.run.as_ref().and_then(|run| run.at.checked_add(after).ok());
            run.is_some_and(|end| end > case.now)
        };
        let (is_running, is_recent) = (export.file.is_none() && within(RUN), within(WRITTEN_LATE));
        if export.failed == Some(Why::Erased) {
            // Whoever was at it hears of it only when the file is there; and who failed it may not have lived to delete it.
            let is_left = match export.file {
                Some(_) => !export.gone && !others_held(&self.unheld(case).await?.1)?,
                None => is_recent,
            };
            if is_left {
                self.exports.delete(&object).await?;
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
        let is_kept = export.file.is_some() && others_held(&self.unheld(case).await?.1)?;
        let org = case.org;
        let fail = async |book: &mut Book| {
            if export.file.is_some() {
                as_before(book, is_kept)?;
            }
            learn(&self.store, &org, book, [Export::key(&export.id)]).await?;
            let export = book.get::<Export>(&export.id).map_err(unread)?.filter(|it| is_there(it)).cloned();
            let Some(export) = export else { return Ok(Gone::default()) };
            book.put(Export { failed: Some(Why::Erased), ..export }).map_err(unread)?;
            Ok(Gone::of(1))
        };
        let kind = if is_kept { "export_files_held" } else { "export_files" };
        self.take_away(case, kind, fail).await?;
        if !is_kept {
            self.exports.delete(&object).await?;
        }
        sweep.waits |= is_running;
        Ok(())
    }

    /// The files of what was collected about the customer.
    async fn access_files(&self, case: &mut Case, sweep: &mut Sweep) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let (rows, next) = self.page(case, &List::PrivacyRequests, after, PAGE).await?;
            for row in rows {
                let Row::PrivacyRequest(request) = row else { continue };
                if request.kind == PrivacyKind::Access && request.customer == sweep.customer.id {
                    self.access_file(case, sweep, &request).await?;
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn access_file(
        &self,
        case: &mut Case,
        sweep: &mut Sweep,
        request: &PrivacyRequest,
    ) -> Result<(), Stop> {
        let (org, now, id) = (case.org, case.now, request.id);
        if request.done.is_none() && request.begun.is_none() {
            return Ok(());
        }
        let end = async |book: &mut Book| {
            learn(&self.store, &org, book, [PrivacyRequest::key(&id)]).await?;
            let request = book.get::<PrivacyRequest>(&id).map_err(unread)?.cloned();
            let with_files =
                request.and_then(|it| it.done.clone().filter(Done::has_files).map(|done| (it, done)));
            let Some((request, done)) = with_files else { return Ok(Gone::default()) };
            let files_until = done.files_until.map(|until| until.min(now));
            let done = Some(Done { files_until, gone: true, ..done });
            book.put(PrivacyRequest { done, ..request }).map_err(unread)?;
            Ok(Gone::of(1))
        };
        self.take_away(case, "access_files", end).await?;
        // Also those of which it was noted before that they are gone: whoever did may not have lived to delete them.
        self.unheld(case).await?;
        for end in ["json", "html"] {
            self.exports.delete(&request.object(&org, end)).await?;
        }
        // Whoever began before the customer became a tombstone may still write what it was.
        let is_over = |at: Timestamp| at.checked_add(COLLECTS).is_ok_and(|end| end <= now);
        let is_written = sweep.customer.erased.as_ref().is_some_and(|erased| !is_over(erased.at));
        sweep.waits |= request.status() == PrivacyStatus::Running && is_written;
        Ok(())
    }

    /// Why legal holds were on the customer, or on its invoices: they are released, and may name people. And the customer's name and
    /// email in why others are, as long as these are known.
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
                let reason = self.store.open_hold_reason(&case.org, &hold, case.now).await?;
                let blank = match is_about {
                    true => Some(ERASED.to_owned()).filter(|blank| *blank != reason),
                    false => sweep.words.out_of(&reason),
                };
                about.extend(blank.map(|blank| (hold.id, blank)));
            }
            let org = case.org;
            let blank = async |book: &mut Book| {
                learn(&self.store, &org, book, about.iter().map(|(id, _)| LegalHold::key(id))).await?;
                for (id, blank) in &about {
                    if let Some(hold) = book.get::<LegalHold>(id).map_err(unread)?.cloned() {
                        let reason = Private::Plain(blank.clone());
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
    pub(crate) async fn dead_letters(&self, case: &mut Case, sweep: &Sweep) -> Result<(), Stop> {
        let mut left = 0_u64;
        for queue in &self.letters {
            let (mut looked, mut tried) = (self.letters_of(case, sweep, queue, usize::MAX).await?, 1);
            // What somebody else holds meanwhile is seen when it was given back.
            while !looked.is_all {
                if tried == LOOKS {
                    return Err(Stop::Later("somebody else looks through the dead letters".to_owned()));
                }
                tokio::time::sleep(SETTLES).await;
                looked = self.letters_of(case, sweep, queue, usize::MAX).await?;
                tried += 1;
            }
            left = left.saturating_add(looked.left);
        }
        self.note_left(case, LETTERS, left).await
    }

    /// The first dead letters, as long as the customer's words are known for certain: who dies soon after has seen these.
    pub(crate) async fn first_letters(&self, case: &mut Case, sweep: &Sweep) -> Result<(), Stop> {
        let mut left = 0_u64;
        for queue in &self.letters {
            left = left.saturating_add(self.letters_of(case, sweep, queue, FIRST).await?.left);
        }
        self.note_left(case, LETTERS, left).await
    }

    /// Looks through so many batches of a queue, and gives back what stays.
    async fn letters_of(
        &self,
        case: &mut Case,
        sweep: &Sweep,
        queue: &Q,
        most: usize,
    ) -> Result<Looked, Stop> {
        let mut others = Vec::new();
        let looked = self.look_through(case, sweep, queue, most, &mut others).await;
        for receipt in others {
            // One that is not given back is there again when its time is over.
            let _ = queue.give_back(&receipt, Duration::ZERO).await;
        }
        looked
    }

    async fn look_through(
        &self,
        case: &mut Case,
        sweep: &Sweep,
        queue: &Q,
        most: usize,
        others: &mut Vec<String>,
    ) -> Result<Looked, Stop> {
        let mut left = 0_u64;
        for _ in 0..most {
            let held = queue.hold(Envelope::ATTRIBUTE, HOLD).await?;
            if held.is_empty() {
                return Ok(Looked { is_all: queue.held_by_all().await? <= others.len(), left });
            }
            let named = |letter: &Held| {
                let read = letter.attribute.as_deref().map(|attribute| Delivery::of(attribute, &letter.body));
                let read = read.and_then(Result::ok).filter(|read| read.envelope.org == case.org);
                read.map_or(Named::No, |read| sweep.words.are_in(&read.text))
            };
            let mut about = Vec::new();
            for letter in held {
                match named(&letter) {
                    Named::No => others.push(letter.receipt),
                    how => about.push((letter, how)),
                }
            }
            if about.is_empty() {
                continue;
            }
            let is_kept = others_held(&self.unheld(case).await?.1)?;
            let (stay, go): (Vec<_>, Vec<_>) =
                about.into_iter().partition(|(_, how)| is_kept && *how == Named::ByWords);
            left = left.saturating_add(Gone::of(stay.len()).count);
            others.extend(stay.into_iter().map(|(letter, _)| letter.receipt));
            let count = go.len();
            let take = async |book: &mut Book| as_before(book, is_kept).map(|()| Gone::of(count));
            let told = self.take_away(case, LETTERS, take).await;
            let mut deleted = Ok(());
            for (letter, _) in go {
                if told.is_ok() && deleted.is_ok() {
                    deleted = queue.delete(&letter.receipt).await;
                }
                if told.is_err() || deleted.is_err() {
                    others.push(letter.receipt);
                }
            }
            told?;
            deleted?;
        }
        Ok(Looked { is_all: false, left })
    }
}

/// Stops where a hold on others was placed since it was looked, or the last one released.
fn as_before(book: &Book, is_kept: bool) -> Result<(), Stop> {
    if others_held(book)? == is_kept {
        return Ok(());
    }
    Err(Stop::Later("a legal hold was placed or released meanwhile".to_owned()))
}

/// The payments among these rows of which who paid was not erased.
fn unerased(rows: impl IntoIterator<Item = Row>) -> Vec<Payment> {
    let payments = rows.into_iter().filter_map(|row| match row {
        Row::Payment(payment) if !payment.erased => Some(payment),
        _ => None,
    });
    payments.collect()
}

/// Whether nobody says whose a payment is.
fn is_of_nobody(payment: &Payment) -> bool {
    payment.customer_id.is_none() && payment.customer.is_none()
}

/// Whether a payment, or a part of it, is for no invoice.
fn is_for_nobody(payment: &Payment) -> bool {
    payment.invoices().next().is_none() || payment.unapplied().is_some_and(|left| left.amount > 0)
}

/// Whether the file of an export has nothing of a customer in it.
fn is_without(customer: &Customer, export: &Export) -> bool {
    let since = customer.erased.as_ref().and_then(|erased| erased.at.checked_add(BURIES).ok());
    let is_younger = since.zip(export.run.as_ref()).is_some_and(|(since, run)| run.at > since);
    is_younger
        || match &export.scope {
            Scope::Invoices(filter) => filter.customer_id.is_some_and(|id| id != customer.id),
            // From where people acted is sealed in the events themselves, and opened in a sheet.
            Scope::Audit(_) => {
                let opens = |name: &String| matches!(name.as_str(), "ip" | "user_agent");
                export.format == Format::Json || !export.columns.iter().any(opens)
            }
            Scope::Payments(_) | Scope::Customers(_) => false,
        }
}
