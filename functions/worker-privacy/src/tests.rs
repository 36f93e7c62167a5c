use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use plixo_aws::sign::Sign as _;
use plixo_domain::answer::{Answer, AnswerKey};
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Origin, Outcome};
use plixo_domain::export::{
    AuditFilter, Export, File, Format, InvoiceFilter, NoFilter, PaymentFilter, Run, Scope, Why,
};
use plixo_domain::hold::{HeldBy, LegalHold, place, release};
use plixo_domain::id::{EndpointId, HoldId, Ids, InvoiceId};
use plixo_domain::ledger::{
    Address, Book, Closed, Customer, CustomerRef, Erased, Invoice, InvoiceBody, InvoiceState, Kept,
    Line as InvoiceLine, Link, Payer, PayerHash, PayerHistory, Payment, PaymentNews, PaymentPart, Personal,
    PortalLink, Private, Residency, Search, SearchPlace, Stage, Stamp, Unread, Witness, delete, tell_payment,
};
use plixo_domain::money::Money;
use plixo_domain::people::By;
use plixo_domain::privacy::{Done, PrivacyStatus, Refused};
use plixo_domain::retention::Class;
use plixo_domain::webhook::{
    Encoding, Envelope, EventKey, EventStatus, ExternalRef, Fingerprint, Provider, WebhookEvent,
};
use plixo_seal::{Certificate, PublicKey};
use plixo_store::{List, Page, Payload, Table};
use plixo_testing::{FakeBucket, FakeKms, FakeLetters, FakeSigner, FakeTables, Fault, Faults, entropy};
use serde_json::json;

use super::*;
use crate::erase::SETTLES;

const ORIGIN: &str = "plixo.test/audit";
/// What is in everything that is about the customer who is to be erased.
const CANARY: &str = "canary";

type Tried = Worker<FakeTables, FakeKms, FakeBucket, FakeSigner, FakeLetters>;

fn now() -> Timestamp {
    "2026-06-15T12:00:00.25Z".parse().unwrap()
}

fn later(minutes: i64) -> Timestamp {
    now().saturating_add(SignedDuration::from_mins(minutes)).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(work)
}

fn stripe(id: &str) -> ExternalRef {
    ExternalRef { provider: Provider::Stripe, id: id.parse().unwrap() }
}

/// An organisation with two customers, of whom one wants to be erased.
struct World {
    tables: FakeTables,
    kms: FakeKms,
    exports: FakeBucket,
    checkpoints: FakeBucket,
    letters: FakeLetters,
    queue: FakeLetters,
    signer: FakeSigner,
    faults: Faults,
    org: OrgId,
    ids: Ids,
    by: By,
    customer: CustomerId,
    other: CustomerId,
    request: PrivacyId,
}

impl World {
    fn new() -> Self {
        let faults = Faults::default();
        let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::new(faults.clone()));
        let mut ids = Ids::new(later(-60), [1; 10]);
        let (org, member, customer, other, request) =
            (ids.make(), ids.make(), ids.make(), ids.make(), ids.make());
        let user = "00000000-0000-4000-8000-000000000001".parse().unwrap();
        let mut world = Self {
            exports: FakeBucket::new(faults.clone()),
            checkpoints: FakeBucket::new(faults.clone()),
            letters: FakeLetters::new(faults.clone()),
            queue: FakeLetters::new(faults.clone()),
            signer: FakeSigner::new(faults.clone()),
            by: By { member, user },
            tables,
            kms,
            faults,
            org,
            ids,
            customer,
            other,
            request,
        };
        block_on(world.store().create_data_key(&org, &world.kms)).unwrap();
        let (name, settings) = ("Nordlicht".to_owned(), Default::default());
        let (controllers, residency) = (BTreeSet::new(), Residency::Eu);
        world.put(Organisation { id: org, name, residency, controllers, settings, logo: None, closed: None });
        world.live(customer, CANARY);
        world.live(other, "somebody");
        let asked = PrivacyRequest::new(request, PrivacyKind::Erasure, customer, world.by, now());
        world.put(asked);
        world
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    fn worker(&self) -> Tried {
        let signer = Signer { key: self.signer.clone(), origin: ORIGIN.to_owned() };
        let letters = vec![self.letters.clone()];
        let (exports, checkpoints) = (self.exports.clone(), self.checkpoints.clone());
        let queue = Some(self.queue.clone());
        Worker::new(self.store(), exports, checkpoints, Some(signer), letters, queue, entropy)
    }

    fn put(&self, row: impl Kept) {
        let mut book = Book::default();
        book.put_new(row);
        block_on(self.store().commit(&self.org, &book, None, &[], now())).unwrap();
    }

    /// All that can be about a customer, with that word in it.
    fn live(&mut self, id: CustomerId, word: &str) {
        let link = stripe(&format!("cus_{word}0001"));
        let personal = Personal {
            name: Some(format!("Ada {word}")),
            email: Some(format!("ada.{word}@example.com")),
            phone: Some(format!("+49 30 {word}")),
            address: Some(Address { line1: format!("{word} Street 7"), ..Address::default() }),
            tax_id: Some(format!("DE {word}")),
        };
        let mut customer = Customer::new(id, personal);
        customer.links.insert(link.clone(), Link::Live);
        self.put(customer);
        self.put(CustomerRef { reference: link.clone(), customer: id, noted: None, erased: false });
        let invoice = self.invoice(id, word);
        self.pay(&format!("pi_{word}0001"), Some(invoice), &link, word);
        self.pay(&format!("pi_{word}0002"), None, &link, word);
        let until = later(60 * 24);
        let link_id = self.ids.make();
        self.put(PortalLink {
            id: link_id,
            invoice,
            made_by: Actor { kind: ActorKind::Member, id: "mem_1".to_owned(), role: None },
            made_at: now(),
            expires_at: until,
            revoked_at: None,
            settled_at: None,
            opened: None,
            emailed_at: None,
        });
        self.answer(id, word);
        self.event(
            word,
            &json!({"customer": {"email": format!("ADA.{}@example.com", word.to_uppercase())}}).to_string(),
        );
        self.letters.put(&json!({"name": format!("ada {word}")}).to_string(), &self.envelope(self.org));
        self.seen(id, invoice);
    }

    fn answer(&self, id: CustomerId, word: &str) {
        self.put(Answer {
            key: AnswerKey(format!("hash of {}", id)),
            request: [0; 32],
            status: 201,
            body: Private::Plain(format!("{{\"name\":\"Ada {word}\"}}")),
            version: None,
            at: now(),
            about: Some(id),
        });
    }

    fn envelope(&self, org: OrgId) -> String {
        let envelope = Envelope {
            v: 1,
            org,
            endpoint: endpoint(),
            provider: Provider::Stripe,
            event_id: None,
            received_at: now(),
            request_id: "r1".to_owned(),
            ip: None,
            user_agent: None,
            encoding: Encoding::Identity,
        };
        serde_json::to_string(&envelope).unwrap()
    }

    fn invoice(&mut self, customer_id: CustomerId, word: &str) -> InvoiceId {
        let id = self.ids.make();
        let line = |description: String| InvoiceLine {
            description,
            quantity: 2.into(),
            unit_price: Money::new(6_000, "EUR".parse().unwrap()),
            tax_percent: None,
        };
        let lines = vec![line("Chair".to_owned()), line(format!("For ADA {}: a table", word.to_uppercase()))];
        self.put(Invoice {
            id,
            number: format!("INV-{id}"),
            customer_id,
            state: InvoiceState::Open,
            total: Money::new(24_000, "EUR".parse().unwrap()),
            issued_on: Some("2026-06-01".parse().unwrap()),
            due_on: Some("2026-07-01".parse().unwrap()),
            body: Private::Plain(InvoiceBody { lines, memo: Some(format!("Dear {word}")) }),
            claims: Default::default(),
            checkout: None,
            asked: None,
            ended_at: None,
            reference: None,
            erased: false,
        });
        id
    }

    fn pay(&mut self, name: &str, invoice: Option<InvoiceId>, link: &ExternalRef, word: &str) {
        let payer = Payer {
            name: Some(format!("Ada {word}")),
            email: Some(format!("ada.{word}@example.com")),
            remittance: Some(format!("thanks, {word}")),
        };
        self.pay_as(name, invoice, link, payer);
    }

    fn pay_as(&mut self, name: &str, invoice: Option<InvoiceId>, link: &ExternalRef, payer: Payer) {
        let (witness, stage) = (Witness::Intent, Stage::Received);
        let since = now().as_second();
        let mut parts =
            vec![PaymentPart::Money { witness, stage, amount: 100, since }, PaymentPart::Payer(payer)];
        parts.extend(invoice.map(|invoice| PaymentPart::Names { witness, invoice }));
        let news = PaymentNews {
            reference: stripe(name),
            stamp: Stamp { at: since, event: "evt_1".to_owned() },
            currency: "EUR".parse().unwrap(),
            parts,
            customer: Some(link.clone()),
        };
        self.tell(&news);
    }

    fn tell(&mut self, news: &PaymentNews) {
        let by = Actor { kind: ActorKind::Provider, id: "whe_1".to_owned(), role: None };
        let mut book = Book::default();
        loop {
            match tell_payment(&mut book, news, &by, &mut self.ids) {
                Ok(_) => break,
                Err(Unread(names)) => {
                    let read = block_on(self.store().read(&self.org, names)).unwrap();
                    read.into_iter().for_each(|(name, stored)| book.learn(name, stored));
                }
            }
        }
        block_on(self.store().commit(&self.org, &book, None, &[], now())).unwrap();
    }

    fn event(&mut self, name: &str, text: &str) -> WebhookEvent {
        self.event_at(name, text, now())
    }

    fn event_at(&mut self, name: &str, text: &str, received_at: Timestamp) -> WebhookEvent {
        let provider_event_id = format!("evt_{name}").parse().unwrap();
        let event = WebhookEvent {
            id: self.ids.make(),
            key: EventKey { endpoint: endpoint(), provider_event_id, conflict: None },
            provider: Provider::Stripe,
            kind: "charge.succeeded".to_owned(),
            status: EventStatus::Applied,
            received_at,
            applied_at: None,
            fingerprint: Fingerprint([7; 32]),
        };
        let mut book = Book::default();
        book.put_new(event.clone());
        let (id, fingerprint) = (event.id, event.fingerprint);
        let payload = Payload { id, event: &event.key, fingerprint, text, received_at };
        block_on(self.store().commit(&self.org, &book, Some(payload), &[], now())).unwrap();
        event
    }

    /// Somebody of the customer looked at an invoice.
    fn seen(&mut self, customer: CustomerId, invoice: InvoiceId) {
        let origin = Origin { ip: Some("203.0.113.7".to_owned()), user_agent: None };
        let event = AuditEvent {
            id: self.ids.make(),
            at: now(),
            actor: Actor { kind: ActorKind::Payer, id: "lnk_1".to_owned(), role: None },
            origin: Private::Plain(origin),
            customer: Some(customer),
            action: "invoice.view".to_owned(),
            object: Object::new("invoice", invoice),
            outcome: Outcome::Allowed,
            fields: Vec::new(),
            request_id: "r1".to_owned(),
            count: None,
        };
        block_on(self.store().commit(&self.org, &Book::default(), None, &[event], now())).unwrap();
    }

    fn export(&mut self, file: Option<File>, run: Option<Run>) -> Export {
        let export = Export {
            id: self.ids.make(),
            scope: Scope::Customers(NoFilter {}),
            format: Format::Csv,
            columns: vec!["name".to_owned()],
            counted: None,
            requested_by: self.by,
            requested_at: now(),
            approved: None,
            rejected: None,
            run,
            file,
            failed: None,
            gone: false,
            going: false,
        };
        self.put(export.clone());
        self.file(&export.object(&self.org));
        export
    }

    fn file(&self, name: &str) {
        block_on(self.exports.put(name, "", b"canary".to_vec())).unwrap();
    }

    fn hold(&mut self, on: HeldBy) -> HoldId {
        let id = self.ids.make();
        let reason = Private::Plain("a dispute".to_owned());
        let hold = LegalHold { id, on, reason, placed_by: self.by, placed_at: now(), released: None };
        self.holds(|book| place(book, hold.clone()).unwrap());
        id
    }

    fn holds(&self, change: impl Fn(&mut Book)) {
        let (_, mut book) = block_on(self.store().holds(&self.org)).unwrap();
        let read = block_on(self.store().list(&self.org, &List::LegalHolds, page(), now())).unwrap();
        for (row, version) in read.rows {
            if let Row::LegalHold(hold) = &row {
                book.learn(LegalHold::key(&hold.id), Some((row, version)));
            }
        }
        change(&mut book);
        block_on(self.store().commit(&self.org, &book, None, &[], now())).unwrap();
    }

    fn free(&self, id: &HoldId) {
        self.holds(|book| drop(release(book, id, self.by, now()).unwrap()));
    }

    fn take(&self, task: PrivacyTaskOf, at: Timestamp) -> (Result<(), TaskError>, &'static str) {
        block_on(self.taking(task, at))
    }

    async fn taking(&self, task: PrivacyTaskOf, at: Timestamp) -> (Result<(), TaskError>, &'static str) {
        let body = serde_json::to_string(&PrivacyTask::new(self.org, task)).unwrap();
        let message: Message = serde_json::from_value(json!({"messageId": "m1", "body": body})).unwrap();
        let line = Line { timestamp: at, message_id: Some("m1".to_owned()), ..Line::default() };
        let (done, line) = self.worker().take(&message, line).await;
        (done, line.outcome)
    }

    fn erase(&self, at: Timestamp) -> (Result<(), TaskError>, &'static str) {
        self.take(PrivacyTaskOf::Request(self.request), at)
    }

    fn row<R: Kept + Clone>(&self, name: &R::Name) -> Option<R> {
        let mut book = Book::default();
        for (name, stored) in block_on(self.store().read(&self.org, vec![R::key(name)])).unwrap() {
            book.learn(name, stored);
        }
        book.get::<R>(name).unwrap().cloned()
    }

    /// Changes one row.
    fn change<R: Kept + Clone>(&self, name: &R::Name, change: impl Fn(R) -> R) {
        let mut book = Book::default();
        for (name, stored) in block_on(self.store().read(&self.org, vec![R::key(name)])).unwrap() {
            book.learn(name, stored);
        }
        let row = book.get::<R>(name).unwrap().unwrap().clone();
        book.put(change(row)).unwrap();
        block_on(self.store().commit(&self.org, &book, None, &[], now())).unwrap();
    }

    fn asked(&self) -> PrivacyRequest {
        self.row::<PrivacyRequest>(&self.request).unwrap()
    }

    /// Everything that whoever has all rights can still read, a line each.
    fn readable(&self) -> String {
        let (store, org) = (self.store(), self.org);
        let mut lines = Vec::new();
        let lists = [
            List::Customers,
            List::Invoices,
            List::Payments,
            List::WebhookEvents,
            List::AnswersAbout(self.customer),
            List::AnswersAbout(self.other),
        ];
        for list in lists {
            for (row, _) in block_on(store.list(&org, &list, page(), now())).unwrap().rows {
                let text = match &row {
                    Row::Customer(it) => {
                        serde_json::to_string(&block_on(store.open_personal(&org, it, now())).unwrap())
                    }
                    Row::Invoice(it) => {
                        serde_json::to_string(&block_on(store.open_body(&org, it, now())).unwrap())
                    }
                    Row::Payment(it) => {
                        serde_json::to_string(&block_on(store.open_payer(&org, it, now())).unwrap())
                    }
                    Row::WebhookEvent(it) => {
                        Ok(block_on(store.payload(&org, it.id, &it.key, it.fingerprint, now()))
                            .unwrap()
                            .unwrap_or_default())
                    }
                    Row::Answer(it) => Ok(block_on(store.open_answer(&org, it, now())).unwrap()),
                    _ => Ok(String::new()),
                };
                lines.push(text.unwrap());
            }
        }
        lines.extend(self.exports.dump().into_values().map(|bytes| String::from_utf8(bytes).unwrap()));
        lines.extend(self.checkpoints.dump().into_values().map(|bytes| String::from_utf8(bytes).unwrap()));
        lines.extend(self.letters.dump().into_iter().map(|(body, _)| body));
        lines.join("\n").to_lowercase()
    }

    /// Of what is readable, how many lines have the word in them.
    fn lines_with(&self, word: &str) -> usize {
        self.readable().lines().filter(|line| line.contains(word)).count()
    }

    fn links(&self, customer: &CustomerId) -> usize {
        let invoices =
            block_on(self.store().list(&self.org, &List::InvoicesOfCustomer(*customer), page(), now()));
        let ids = invoices.unwrap().rows.into_iter().filter_map(|(row, _)| match row {
            Row::Invoice(invoice) => Some(invoice.id),
            _ => None,
        });
        let count = |id| block_on(self.store().count(&self.org, &List::PortalLinksOf(id), 10)).unwrap().0;
        ids.map(count).sum()
    }

    fn audited(&self, action: &str) -> Vec<AuditEvent> {
        let dump = self.tables.dump();
        let items = dump.iter().filter(|(key, _)| key.table == Table::Audit);
        let events = items.map(|(_, item)| plixo_store::to_audit_event(item).unwrap());
        events.filter(|event| event.action == action).collect()
    }

    /// How many of each kind were erased, as the audit log says.
    fn counts(&self) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for event in self.audited("customer.erase") {
            *counts.entry(event.fields[0].clone()).or_default() += event.count.unwrap();
        }
        counts
    }

    fn certificate(&self) -> Certificate {
        let key = block_on(self.signer.public_key()).unwrap();
        let key = PublicKey::new(&format!("{ORIGIN}/{}", self.org), &key).unwrap();
        let note = self.asked().done.unwrap().certificate.unwrap();
        let kept = self.checkpoints.dump().remove(&format!("{}/certificates/{}", self.org, self.request));
        assert_eq!(kept.unwrap(), note.as_bytes());
        Certificate::verify(note.as_bytes(), &key).unwrap()
    }

    fn everything_is_gone(&self, what: &str) {
        assert_eq!(self.lines_with(CANARY), 0, "{what}: {}", self.readable());
        assert_eq!(self.links(&self.customer), 0, "{what}");
        let customer = self.row::<Customer>(&self.customer).unwrap();
        assert!(customer.key.is_none() && customer.erased.is_some(), "{what}");
        assert!(
            self.checkpoints.dump().contains_key(&format!("{}/erasures/{}", self.org, self.customer)),
            "{what}"
        );
        // Nothing of the other customer went along.
        assert_eq!(self.lines_with("somebody"), 7, "{what}: {}", self.readable());
        assert_eq!(self.links(&self.other), 1, "{what}");
    }
}

fn endpoint() -> EndpointId {
    "whe_01h2xcejqtf2nbrexx3vqjhp41".parse().unwrap()
}

fn page() -> Page {
    Page { after: None, descending: false, limit: 100 }
}

#[test]
fn nothing_of_an_erased_customer_can_be_read_and_nobody_else_loses_anything() {
    let mut world = World::new();
    let file = File { at: now(), rows: 1, bytes: 6, days: 7 };
    let export = world.export(Some(file), None);
    let mut access =
        PrivacyRequest::new(world.ids.make(), PrivacyKind::Access, world.customer, world.by, now());
    access.done = Some(Done {
        at: now(),
        certificate: None,
        files_until: Some(later(60 * 24)),
        gone: false,
        going: false,
    });
    world.put(access.clone());
    for end in ["json", "html"] {
        world.file(&access.object(&world.org, end));
    }
    world
        .letters
        .put(&json!({"name": "ada canary"}).to_string(), &world.envelope(Ids::new(now(), [9; 10]).make()));
    assert_eq!((world.lines_with(CANARY), world.lines_with("somebody")), (11, 7), "{}", world.readable());

    let (done, outcome) = world.erase(now());
    assert_eq!(outcome, "erased", "{done:?}");
    // A letter of another organisation is not this one's.
    assert_eq!(world.lines_with(CANARY), 1, "{}", world.readable());
    let letters = world.letters.dump();
    assert!(letters.len() == 2 && letters.iter().all(|(_, is_held)| !is_held), "{letters:?}");

    assert_eq!(world.row::<Export>(&export.id).unwrap().failed, Some(Why::Erased));
    let done = world.row::<PrivacyRequest>(&access.id).unwrap().done.unwrap();
    assert_eq!((done.files_until, done.gone), (Some(now()), true));
    let customer = world.row::<Customer>(&world.customer).unwrap();
    assert!(customer.key.is_none() && customer.email_hashes == [None, None] && customer.links.len() == 1);
    assert_eq!(customer.erased.unwrap().authority, Authority::Request(world.request, world.by.member));
    assert!(world.row::<CustomerRef>(&stripe("cus_canary0001")).unwrap().erased);
    // What the law requires is there.
    let invoices =
        block_on(world.store().list(&world.org, &List::InvoicesOfCustomer(world.customer), page(), now()));
    let [(Row::Invoice(invoice), _)] = &invoices.unwrap().rows[..] else { panic!() };
    assert_eq!((invoice.total.amount, invoice.allocated(), invoice.erased), (24_000, 100, true));
    let body = block_on(world.store().open_body(&world.org, invoice, now())).unwrap();
    let words: Vec<_> = body.lines.iter().map(|line| line.description.as_str()).collect();
    assert_eq!((words, body.memo), (vec!["Chair", "For [erased]: a table"], None));

    let certificate = world.certificate();
    assert_eq!((certificate.customer, certificate.requested_by), (world.customer, world.by.member));
    let expected: BTreeMap<_, _> = [
        ("access_files", 1),
        ("answers", 1),
        ("dead_letters", 1),
        ("export_files", 1),
        ("invoices", 1),
        ("payments", 2),
        ("personal_data", 1),
        ("portal_links", 1),
        ("webhook_payloads", 1),
    ]
    .map(|(kind, count)| (kind.to_owned(), count))
    .into();
    assert_eq!(world.counts(), expected);
    for said in ["1 invoice without", "2 payments without", "1 text of a webhook event", "1 portal link"] {
        assert!(certificate.erased.iter().any(|what| what.starts_with(said)), "{said}: {certificate}");
    }
    assert_eq!(world.asked().status(), PrivacyStatus::Done);
    // Again, nothing happens.
    let before = world.tables.dump();
    assert_eq!(world.erase(later(1)).1, "nothing_to_do");
    assert_eq!(world.tables.dump(), before);
}

#[test]
fn why_it_was_held_or_refused_goes_as_well() {
    let mut world = World::new();
    let hold = world.hold(HeldBy::Customer(world.customer));
    world.free(&hold);
    let other = world.hold(HeldBy::Customer(world.other));
    let asked = PrivacyRequest::new(world.ids.make(), PrivacyKind::Access, world.customer, world.by, now());
    let reason = Private::Plain("Ada canary did not ask".to_owned());
    let refused = Some(Refused { by: world.by, at: now(), reason });
    world.put(PrivacyRequest { refused, ..asked.clone() });
    assert_eq!(world.erase(now()).1, "erased");
    let why = |id: &HoldId| {
        let hold = world.row::<LegalHold>(id).unwrap();
        block_on(world.store().open_hold_reason(&world.org, &hold, now())).unwrap()
    };
    assert_eq!((why(&hold).as_str(), why(&other).as_str()), ("[erased]", "a dispute"));
    let refused = world.row::<PrivacyRequest>(&asked.id).unwrap();
    let refusal = block_on(world.store().open_refusal(&world.org, &refused, now())).unwrap();
    assert_eq!(refusal.as_deref(), Some("[erased]"));
    let certificate = world.certificate();
    for said in ["1 reason of a legal hold", "1 reason of a refused request"] {
        assert!(certificate.erased.iter().any(|what| what.starts_with(said)), "{said}: {certificate}");
    }
}

#[test]
fn what_opens_for_nobody_is_erased_as_well() {
    let world = World::new();
    let mut book = Book::default();
    let names = [world.customer, world.other].map(|id| Customer::key(&id));
    for (name, stored) in block_on(world.store().read(&world.org, names.to_vec())).unwrap() {
        book.learn(name, stored);
    }
    let personal = book.get::<Customer>(&world.other).unwrap().unwrap().personal.clone();
    let customer = book.get::<Customer>(&world.customer).unwrap().unwrap().clone();
    book.put(Customer { personal, ..customer }).unwrap();
    block_on(world.store().commit(&world.org, &book, None, &[], now())).unwrap();
    assert_eq!(world.erase(now()).1, "erased");
    let customer = world.row::<Customer>(&world.customer).unwrap();
    assert!(customer.key.is_none() && customer.erased.is_some());
    let invoices = List::InvoicesOfCustomer(world.customer);
    let invoices = block_on(world.store().list(&world.org, &invoices, page(), now())).unwrap();
    let [(Row::Invoice(invoice), _)] = &invoices.rows[..] else { panic!() };
    let body = block_on(world.store().open_body(&world.org, invoice, now())).unwrap();
    assert!(body.memo.is_none() && body.lines.iter().all(|line| line.description == "[erased]"));
}

#[test]
fn wherever_it_dies_the_next_attempt_makes_it_good() {
    let calls = {
        let world = World::new();
        let before = world.faults.calls();
        assert_eq!(world.erase(now()).1, "erased");
        world.faults.calls() - before
    };
    assert!(calls > 60, "{calls}");
    let world = World::new();
    for n in 0..calls {
        for fault in [Fault::LosesAnswer, Fault::DiesBefore, Fault::DiesAfter] {
            let world = world.fork();
            world.faults.plan(n, fault);
            // The process dies, and Lambda ends it.
            let died = Duration::from_secs(300);
            let task = PrivacyTaskOf::Request(world.request);
            let _ = block_on(async { tokio::time::timeout(died, world.taking(task, now())).await });
            world.faults.clear();
            world.letters.let_go();
            let (done, outcome) = world.erase(later(30));
            assert!(matches!(outcome, "erased" | "nothing_to_do"), "{n} {fault:?}: {done:?} {outcome}");
            world.everything_is_gone(&format!("{n} {fault:?}"));
            assert_eq!(world.asked().status(), PrivacyStatus::Done, "{n} {fault:?}");
            let counts = world.counts();
            // What is taken out of a queue may be counted before it is out of it.
            let exact = counts.iter().filter(|(kind, _)| *kind != "dead_letters");
            assert_eq!(exact.map(|(_, count)| count).sum::<u32>(), 7, "{n} {fault:?}: {counts:?}");
            assert!(
                world.certificate().erased.iter().any(|it| it.starts_with("2 payments")),
                "{n} {fault:?}"
            );
            assert_eq!(world.audited("privacy_request.finish").len(), 1, "{n} {fault:?}");
        }
    }
}

#[test]
fn a_file_that_is_gone_and_is_still_in_the_bucket_goes_with_the_customer() {
    let mut world = World::new();
    let export = world.export(Some(File { at: now(), rows: 1, bytes: 6, days: 7 }), None);
    let mut book = Book::default();
    for (name, stored) in block_on(world.store().read(&world.org, vec![Export::key(&export.id)])).unwrap() {
        book.learn(name, stored);
    }
    book.put(Export { gone: true, going: true, ..export.clone() }).unwrap();
    block_on(world.store().commit(&world.org, &book, None, &[], now())).unwrap();
    let (done, outcome) = world.erase(now());
    assert_eq!(outcome, "erased", "{done:?}");
    assert!(!world.exports.dump().contains_key(&export.object(&world.org)));
}

#[test]
fn two_at_once_do_it_once() {
    let world = World::new();
    let task = PrivacyTaskOf::Request(world.request);
    let (first, second) =
        block_on(async { tokio::join!(world.taking(task, now()), world.taking(task, now())) });
    for (done, outcome) in [first, second] {
        assert!(matches!(outcome, "erased" | "overtaken" | "nothing_to_do"), "{done:?} {outcome}");
    }
    world.everything_is_gone("two at once");
    assert_eq!(world.counts().values().sum::<u32>(), 8);
    assert_eq!(world.audited("privacy_request.finish").len(), 1);
}

#[test]
fn a_hold_keeps_everything_until_it_is_released() {
    let mut world = World::new();
    let invoices =
        block_on(world.store().list(&world.org, &List::InvoicesOfCustomer(world.customer), page(), now()));
    let [(Row::Invoice(invoice), _)] = &invoices.unwrap().rows[..] else { panic!() };
    for on in [HeldBy::Organisation, HeldBy::Customer(world.customer), HeldBy::Invoice(invoice.id)] {
        let hold = world.hold(on);
        let before = world.lines_with(CANARY);
        assert_eq!(world.erase(now()).1, "held", "{on:?}");
        assert_eq!((world.lines_with(CANARY), world.asked().status()), (before, PrivacyStatus::Held));
        assert!(world.checkpoints.dump().is_empty(), "nothing is to be done again that was not done");
        assert!(world.asked().begun.is_none() && world.audited("customer.erase").is_empty());
        // The same once more, and the log says it once.
        assert_eq!(world.erase(later(60)).1, "held");
        world.free(&hold);
    }
    let denied = world.audited("privacy_request.hold");
    assert!(denied.len() == 1 && denied[0].outcome == Outcome::Denied);
    // One on somebody else does not hinder it. What names the customer by words alone stays: the letter.
    world.hold(HeldBy::Customer(world.other));
    assert_eq!(world.erase(later(120)).1, "erased");
    assert_eq!(world.lines_with(CANARY), 1, "{}", world.readable());
    assert!(world.row::<Customer>(&world.customer).unwrap().erased.is_some());
    assert!(world.asked().held.is_none());
}

#[test]
fn a_hold_that_is_placed_while_it_works_wins_from_then_on() {
    let calls = {
        let world = World::new();
        let before = world.faults.calls();
        assert_eq!(world.erase(now()).1, "erased");
        world.faults.calls() - before
    };
    let origin = World::new();
    for n in (0..calls).step_by(3) {
        let mut world = origin.fork();
        let worker = world.worker();
        let body = serde_json::to_string(&PrivacyTask::new(world.org, PrivacyTaskOf::Request(world.request)))
            .unwrap();
        let message: Message = serde_json::from_value(json!({"messageId": "m1", "body": body})).unwrap();
        let line = Line { timestamp: now(), ..Line::default() };
        let begun = world.faults.calls();
        // It stops at that call; the hold is placed meanwhile, and it goes on.
        let work = worker.take(&message, line);
        let mut work = std::pin::pin!(work);
        let runtime = runtime();
        let reached = runtime.block_on(async {
            let faults = world.faults.clone();
            std::future::poll_fn(|cx| {
                if faults.calls() - begun >= n {
                    return std::task::Poll::Ready(false);
                }
                match work.as_mut().poll(cx) {
                    std::task::Poll::Ready(_) => std::task::Poll::Ready(true),
                    std::task::Poll::Pending => std::task::Poll::Pending,
                }
            })
            .await
        });
        if reached {
            break;
        }
        world.hold(HeldBy::Customer(world.customer));
        let held = world.audited("customer.erase").len();
        let (_, line) = runtime.block_on(work);
        let after = world.audited("customer.erase").len();
        assert_eq!(after, held, "{n}: what was to be committed is not, once the hold is there");
        assert!(matches!(line.outcome, "held" | "erased"), "{n}: {}", line.outcome);
        if line.outcome == "held" {
            assert_eq!(world.asked().status(), PrivacyStatus::Held, "{n}");
        }
    }
}

#[test]
fn an_export_that_is_being_written_fails_and_what_it_writes_late_goes() {
    let mut world = World::new();
    let export = world.export(None, Some(Run { at: later(-1), attempt: "m1#1".to_owned() }));
    let (done, outcome) = world.erase(now());
    assert!(done.is_err() && outcome == "goes_on");
    assert_eq!(world.row::<Export>(&export.id).unwrap().failed, Some(Why::Erased));
    // It ends, and its file is there.
    world.file(&export.object(&world.org));
    assert_eq!(world.erase(later(30)).1, "erased");
    world.everything_is_gone("written late");
}

#[test]
fn what_has_to_wait_comes_back_before_its_message_would() {
    let mut world = World::new();
    world.export(None, Some(Run { at: later(-1), attempt: "m1#1".to_owned() }));
    let task = PrivacyTask::new(world.org, PrivacyTaskOf::Request(world.request));
    let body = serde_json::to_string(&task).unwrap();
    let message = json!({"messageId": "m1", "receiptHandle": "of m1", "body": body});
    let message: Message = serde_json::from_value(message).unwrap();
    for tries in [1, 2] {
        let line = Line { timestamp: now(), receive_count: Some(tries), ..Line::default() };
        let (done, line) = block_on(world.worker().take(&message, line));
        assert!(done.is_err() && line.outcome == "goes_on");
    }
    let after = [60, 240].map(|seconds| ("of m1".to_owned(), Duration::from_secs(seconds)));
    assert_eq!(world.queue.given(), after);
    assert_eq!(world.erase(later(30)).1, "erased");
    assert_eq!(world.queue.given().len(), 2, "nothing to wait for");
}

#[test]
fn who_is_not_due_is_not_forgotten() {
    let mut world = World::new();
    let task = PrivacyTaskOf::Forget(world.customer);
    assert_eq!(world.take(task, later(60 * 24 * 731)).1, "nothing_to_do", "it owes something");
    let alone: CustomerId = world.ids.make();
    let name = Some("Ada Alone".to_owned());
    world.put(Customer::new(alone, Personal { name, ..Personal::default() }));
    let task = PrivacyTaskOf::Forget(alone);
    assert_eq!(world.take(task, later(60 * 24 * 729)).1, "nothing_to_do");
    assert_eq!(world.take(task, later(60 * 24 * 731)).1, "erased");
    let erased = world.row::<Customer>(&alone).unwrap().erased.unwrap();
    assert_eq!((erased.authority, erased.finished), (Authority::Retention, true));
    assert!(!world.readable().contains("alone"));
    let names = world.checkpoints.dump().into_keys().collect::<Vec<_>>();
    assert_eq!(names, [format!("{}/erasures/{alone}-retention", world.org)]);
    // It is sent every hour until somebody is at it: of what is done, nobody does anything more than look.
    let (calls, before) = (world.faults.calls(), world.tables.dump());
    assert_eq!(world.take(task, later(60 * 24 * 731)).1, "nothing_to_do");
    assert_eq!((world.faults.calls() - calls, world.tables.dump()), (1, before));
    // An attempt that did not come to its end is gone on with.
    world.change::<Customer>(&alone, |it| {
        let erased = it.erased.clone().map(|erased| Erased { finished: false, ..erased });
        Customer { erased, ..it }
    });
    assert_eq!(world.take(task, later(60 * 24 * 731)).1, "erased");
}

/// Does something after so many calls of an attempt to forget somebody whose time is over. Whether they were there then and in the
/// end, and how the attempt ended; `None` where it had ended before.
fn interrupted(calls: usize, by: impl FnOnce(&mut World, CustomerId)) -> Option<(bool, bool, &'static str)> {
    let mut world = World::new();
    let alone: CustomerId = world.ids.make();
    world.put(Customer::new(alone, Personal::default()));
    world.answer(alone, "of one who is alone");
    let (worker, task) = (world.worker(), PrivacyTask::new(world.org, PrivacyTaskOf::Forget(alone)));
    let message = json!({"messageId": "m1", "body": serde_json::to_string(&task).unwrap()});
    let message: Message = serde_json::from_value(message).unwrap();
    let work = worker.take(&message, Line { timestamp: later(60 * 24 * 731), ..Line::default() });
    let mut work = std::pin::pin!(work);
    let (runtime, begun, faults) = (runtime(), world.faults.calls(), world.faults.clone());
    let is_over = runtime.block_on(std::future::poll_fn(|cx| {
        if faults.calls() - begun >= calls {
            return std::task::Poll::Ready(false);
        }
        work.as_mut().poll(cx).map(|_| true)
    }));
    if is_over {
        return None;
    }
    let is_there = |world: &World| world.row::<Customer>(&alone).unwrap().erased.is_none();
    let was_there = is_there(&world);
    by(&mut world, alone);
    let went = world.audited("customer.erase").len();
    let (done, line) = runtime.block_on(work);
    done.unwrap();
    let is_there = is_there(&world);
    assert!(
        !is_there || world.audited("customer.erase").len() == went,
        "{calls}: of one who stays, more went"
    );
    Some((was_there, is_there, line.outcome))
}

#[test]
fn a_policy_that_counts_when_the_customer_is_to_become_a_tombstone_keeps_it() {
    let mut seen = [false; 2];
    for calls in 0.. {
        let longer = |world: &mut World, _| {
            world.change::<Organisation>(&(), |mut of| {
                of.settings.retention = of.settings.retention.with(Class::CustomerPersonalData, 800).unwrap();
                of
            });
        };
        let Some((was_there, is_there, outcome)) = interrupted(calls, longer) else { break };
        assert_eq!(is_there, was_there, "{calls}: {outcome}");
        assert_eq!(outcome, if is_there { "nothing_to_do" } else { "erased" }, "{calls}");
        seen[usize::from(is_there)] = true;
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn a_hold_on_who_was_due_is_no_failure() {
    let mut outcomes = BTreeSet::new();
    for calls in 0.. {
        let hold = |world: &mut World, alone| {
            world.hold(HeldBy::Customer(alone));
        };
        let Some((_, _, outcome)) = interrupted(calls, hold) else { break };
        outcomes.insert(outcome);
    }
    assert_eq!(outcomes, ["erased", "held", "nothing_to_do"].into());
}

#[test]
fn what_retention_decided_is_done_again_only_of_who_is_due_in_what_was_restored() {
    let mut world = World::new();
    let alone: CustomerId = world.ids.make();
    world.put(Customer::new(alone, Personal::default()));
    let (v, org, authority) = (Erasure::VERSION, world.org, Authority::Retention);
    let entry = Erasure { v, org, customer: Some(alone), authority, at: now() };
    let replay = |days: i64| {
        let line = Line { timestamp: later(60 * 24 * days), ..Line::default() };
        block_on(world.worker().replay(&entry, &line)).unwrap()
    };
    assert_eq!(replay(700), Replayed::NotDue);
    assert!(world.row::<Customer>(&alone).unwrap().erased.is_none() && world.checkpoints.dump().is_empty());
    assert_eq!(replay(731), Replayed::Erased(1));
    assert_eq!(replay(700), Replayed::Nothing, "it is a tombstone");
}

#[test]
fn after_a_restore_it_is_done_again() {
    let mut world = World::new();
    let backup = world.fork();
    assert_eq!(world.erase(now()).1, "erased");
    let entry =
        world.checkpoints.dump().remove(&format!("{}/erasures/{}", world.org, world.customer)).unwrap();
    let entry: Erasure = serde_json::from_slice(&entry).unwrap();
    let restored = World { checkpoints: world.checkpoints.clone(), ..backup };
    assert!(restored.lines_with(CANARY) > 5);
    let line = Line { timestamp: later(60), ..Line::default() };
    let done = block_on(restored.worker().replay(&entry, &line)).unwrap();
    assert_eq!(done, Replayed::Erased(8));
    restored.everything_is_gone("restored");
    assert_eq!(block_on(restored.worker().replay(&entry, &line)).unwrap(), Replayed::Nothing);
    let nobody = Erasure { customer: Some(world.ids.make()), ..entry.clone() };
    assert_eq!(block_on(restored.worker().replay(&nobody, &line)).unwrap(), Replayed::Unknown);
    // The organisation's own key: if it is closed there, its time of grace is over, and nothing is held.
    let whole = Erasure { customer: None, authority: Authority::Closing, ..entry };
    let replay = |restored: &World| block_on(restored.worker().replay(&whole, &line)).unwrap();
    assert_eq!(replay(&restored), Replayed::NotDue);
    let by = world.by.member;
    for (days, result) in [(-29, Replayed::NotDue), (-31, Replayed::Held)] {
        let at = later(60 * 24 * days);
        restored.change::<Organisation>(&(), |of| Organisation { closed: Some(Closed { by, at }), ..of });
        let mut held = World { ids: world.ids.clone(), ..restored.fork() };
        held.hold(HeldBy::Customer(held.other));
        assert_eq!(replay(&held), result, "{days}");
    }
    assert_eq!(replay(&restored), Replayed::Erased(1));
    assert_eq!(replay(&restored), Replayed::Nothing);
    let customer = restored.row::<Customer>(&restored.other).unwrap();
    assert!(block_on(restored.store().open_personal(&restored.org, &customer, now())).is_err());
}

#[test]
fn a_history_of_payers_forgets_the_customer() {
    let world = World::new();
    let payment = world.row::<Payment>(&stripe("pi_canary0001")).unwrap();
    let payer: PayerHash = payment.payer_hash.clone().unwrap();
    let customers = [(world.customer, 1), (world.other, 2)].into();
    world.put(PayerHistory { payer: payer.clone(), customers });
    assert_eq!(world.erase(now()).1, "erased");
    let left = world.row::<PayerHistory>(&payer).unwrap();
    assert_eq!(left.customers, [(world.other, 2)].into());
}

impl World {
    fn access(&mut self) -> PrivacyRequest {
        let id = self.ids.make();
        let access = PrivacyRequest::new(id, PrivacyKind::Access, self.customer, self.by, now());
        self.put(access.clone());
        access
    }

    fn collected(&self, access: &PrivacyRequest) -> (serde_json::Value, String) {
        let mut files = self.exports.dump();
        let [json, html] = ["json", "html"].map(|end| files.remove(&access.object(&self.org, end)).unwrap());
        (serde_json::from_slice(&json).unwrap(), String::from_utf8(html).unwrap())
    }
}

#[test]
fn everything_that_is_held_is_collected_for_programs_and_for_people() {
    let mut world = World::new();
    let access = world.access();
    // A hold keeps nobody from knowing what is held.
    world.hold(HeldBy::Customer(world.customer));
    let (done, outcome) = world.take(PrivacyTaskOf::Request(access.id), now());
    assert_eq!(outcome, "collected", "{done:?}");
    let (json, html) = world.collected(&access);
    assert_eq!(json["about"]["organisation"]["name"], "Nordlicht");
    assert_eq!(json["customer"][0]["address"]["line1"], "canary Street 7");
    assert_eq!(json["customer"][0]["external_ids"][0]["id"], "cus_canary0001");
    assert_eq!(json["invoices"][0]["memo"], "Dear canary");
    assert_eq!(json["invoices"][0]["lines"][1]["description"], "For ADA CANARY: a table");
    let count = |name: &str| json[name].as_array().unwrap().len();
    let lists =
        ["customer", "invoices", "payments", "portal_links", "webhook_events", "retention", "legal_holds"];
    assert_eq!(lists.map(count), [1, 1, 2, 1, 1, 8, 1]);
    assert_eq!(count("privacy_requests"), 2);
    assert!(
        json["payments"].as_array().unwrap().iter().all(|it| it["payer"]["remittance"] == "thanks, canary")
    );
    assert!(json["webhook_events"][0]["text"].as_str().unwrap().contains("ADA.CANARY"));
    let events = json["audit_events"].as_array().unwrap();
    assert!(
        events.iter().any(|it| it["action"] == "invoice.view" && it["ip"] == "203.0.113.7"),
        "{events:?}"
    );
    for text in [
        "Ada canary",
        "Dear canary",
        "For ADA CANARY: a table",
        "thanks, canary",
        "240.00 EUR",
        "203.0.113.7",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert!(!json.to_string().contains("somebody") && !html.contains("somebody"), "nobody else is told of");
    let done = world.row::<PrivacyRequest>(&access.id).unwrap().done.unwrap();
    assert_eq!((done.files_until, done.certificate), (Some(later(7 * 24 * 60)), None));
    assert_eq!(world.audited("privacy_request.collect").len(), 1);
    assert_eq!(world.take(PrivacyTaskOf::Request(access.id), later(1)).1, "nothing_to_do");
}

#[test]
fn whatever_fails_or_dies_what_is_held_is_collected_once() {
    let mut origin = World::new();
    let access = origin.access();
    let task = PrivacyTaskOf::Request(access.id);
    let calls = {
        let world = origin.fork();
        let before = world.faults.calls();
        assert_eq!(world.take(task, now()).1, "collected");
        world.faults.calls() - before
    };
    for n in 0..calls {
        for fault in Fault::ALL {
            let world = origin.fork();
            world.faults.plan(n, fault);
            let died = Duration::from_secs(300);
            let _ = block_on(async { tokio::time::timeout(died, world.taking(task, now())).await });
            world.faults.clear();
            let (done, outcome) = world.take(task, later(30));
            assert!(matches!(outcome, "collected" | "nothing_to_do"), "{n} {fault:?}: {done:?} {outcome}");
            assert_eq!(world.collected(&access).0["payments"].as_array().unwrap().len(), 2, "{n} {fault:?}");
            assert_eq!(world.audited("privacy_request.collect").len(), 1, "{n} {fault:?}");
        }
    }
}

impl World {
    /// An access request with its files.
    fn collected_at(&mut self, at: Timestamp, until: Timestamp) -> PrivacyRequest {
        let mut access = self.access();
        let done = Done { at, certificate: None, files_until: Some(until), gone: false, going: false };
        self.change::<PrivacyRequest>(&access.id, |it| PrivacyRequest {
            begun: Some(at),
            done: Some(done.clone()),
            ..it
        });
        access.done = Some(done);
        for end in ["json", "html"] {
            self.file(&access.object(&self.org, end));
        }
        access
    }

    /// The text of a payload that the customer is named in by words alone, or for certain.
    fn told(&mut self, name: &str, value: &serde_json::Value) -> WebhookEvent {
        self.event(name, &json!({"of": value}).to_string())
    }

    fn text(&self, event: &WebhookEvent) -> Option<String> {
        let payload = self.store();
        block_on(payload.payload(&self.org, event.id, &event.key, event.fingerprint, now())).unwrap()
    }

    /// DynamoDB takes an event away, and leaves its payload.
    fn forget_event(&self, event: &WebhookEvent) {
        let key = plixo_store::keys::row(&self.org, &WebhookEvent::key(&event.key));
        assert!(self.tables.dump().contains_key(&key));
        self.tables.take(&key);
    }

    /// A payment that belongs to nobody.
    fn guest(&mut self, name: &str, payer: Payer) {
        let (witness, stage, since) = (Witness::Intent, Stage::Received, now().as_second());
        let parts =
            vec![PaymentPart::Money { witness, stage, amount: 100, since }, PaymentPart::Payer(payer)];
        self.told_by_guest(name, parts);
    }

    fn told_by_guest(&mut self, name: &str, parts: Vec<PaymentPart>) {
        let stamp = Stamp { at: now().as_second(), event: "evt_1".to_owned() };
        let (reference, currency) = (stripe(name), "EUR".parse().unwrap());
        self.tell(&PaymentNews { reference, stamp, currency, parts, customer: None });
    }

    fn first_invoice(&self, customer: CustomerId) -> InvoiceId {
        let (store, list) = (self.store(), List::InvoicesOfCustomer(customer));
        let listed = block_on(store.list(&self.org, &list, page(), now())).unwrap();
        let Some((Row::Invoice(invoice), _)) = listed.rows.into_iter().next() else { panic!() };
        invoice.id
    }

    /// Retention takes an invoice.
    fn without_invoice(&self, id: &InvoiceId) {
        let mut book = Book::default();
        let gone = loop {
            match delete(&mut book, &Invoice::key(id)) {
                Ok(gone) => break gone,
                Err(Unread(names)) => {
                    let read = block_on(self.store().read(&self.org, names)).unwrap();
                    read.into_iter().for_each(|(name, stored)| book.learn(name, stored));
                }
            }
        };
        assert!(gone);
        block_on(self.store().commit(&self.org, &book, None, &[], now())).unwrap();
    }

    fn payer(&self, name: &str) -> Payer {
        let payment = self.row::<Payment>(&stripe(name)).unwrap();
        block_on(self.store().open_payer(&self.org, &payment, now())).unwrap()
    }
}

#[test]
fn the_files_of_each_access_request_go_however_old_they_are() {
    let mut world = World::new();
    let over = world.collected_at(later(-60 * 24 * 10), later(-60 * 24 * 3));
    let kept = world.collected_at(later(-60), later(60 * 24));
    let other = world.ids.make();
    let other = PrivacyRequest::new(other, PrivacyKind::Access, world.other, world.by, now());
    let done =
        Some(Done { at: now(), certificate: None, files_until: Some(later(60)), gone: false, going: false });
    world.put(PrivacyRequest { done, ..other.clone() });
    block_on(world.exports.put(&other.object(&world.org, "json"), "", b"somebody".to_vec())).unwrap();
    assert_eq!(world.erase(now()).1, "erased");
    let files: Vec<_> = world.exports.dump().into_keys().collect();
    assert_eq!(files, [other.object(&world.org, "json")]);
    for access in [over, kept] {
        assert!(world.row::<PrivacyRequest>(&access.id).unwrap().done.unwrap().gone);
    }
    assert_eq!(world.counts()["access_files"], 2);
    let calls = world.faults.calls();
    assert_eq!(world.erase(later(1)).1, "nothing_to_do");
    assert_eq!(world.faults.calls() - calls, 1);
}

#[test]
fn an_access_that_is_being_collected_is_waited_for() {
    let mut world = World::new();
    let access = world.access();
    world.change::<PrivacyRequest>(&access.id, |it| PrivacyRequest { begun: Some(now()), ..it });
    let (done, outcome) = world.erase(now());
    assert!(done.is_err() && outcome == "goes_on", "{outcome}");
    // Who collected ends, and dies before it sees that the customer is gone.
    for end in ["json", "html"] {
        world.file(&access.object(&world.org, end));
    }
    assert_eq!(world.erase(later(30)).1, "erased");
    world.everything_is_gone("collected late");
}

#[test]
fn somebody_of_the_same_name_is_told_nothing_of_anybody_else() {
    let mut world = World::new();
    let name =
        json!({"name": "Ada canary", "line1": "canary Street 7", "phone": "+49 30 canary", "plan": "theirs"});
    world.told("namesake", &name);
    world.told("own", &json!({"email": "ada.CANARY@example.com", "plan": "own"}));
    let access = world.access();
    assert_eq!(world.take(PrivacyTaskOf::Request(access.id), now()).1, "collected");
    let (json, html) = world.collected(&access);
    assert_eq!(json["webhook_events"].as_array().unwrap().len(), 2);
    assert!(!json.to_string().contains("theirs") && !html.contains("theirs"));
    assert!(json.to_string().contains(r#"\"plan\":\"own\""#), "{json}");
}

#[test]
fn what_is_due_is_told_to_nobody() {
    let mut world = World::new();
    let id = world.customer.to_string();
    let young = world.event_at("young", &json!({"of": id, "age": 29}).to_string(), later(-60 * 24 * 29));
    world.event_at("due", &json!({"of": id, "age": 30}).to_string(), later(-60 * 24 * 30));
    world.event_at("old", &json!({"of": id, "age": 40}).to_string(), later(-60 * 24 * 40));
    let told = |world: &mut World| {
        let access = world.access();
        assert_eq!(world.take(PrivacyTaskOf::Request(access.id), now()).1, "collected");
        let (json, _) = world.collected(&access);
        let texts = json["webhook_events"].as_array().unwrap().iter();
        let ages = texts.filter_map(|it| {
            serde_json::from_str::<serde_json::Value>(it["text"].as_str()?).ok()?["age"].as_u64()
        });
        ages.collect::<BTreeSet<_>>()
    };
    assert!(world.text(&young).is_some());
    assert_eq!(told(&mut world), [29].into());
    // What is kept for longer is found without its event, and told of once.
    world.change::<Organisation>(&(), |mut of| {
        of.settings.retention = of.settings.retention.with(Class::WebhookPayload, 60).unwrap();
        of
    });
    assert_eq!(told(&mut world), [29, 30, 40].into());
}

#[test]
fn a_text_whose_event_is_remembered_no_more_goes_as_well() {
    let mut world = World::new();
    let long_ago = later(-60 * 24 * 100);
    let named = json!({"of": "ada.canary@example.com"}).to_string();
    let old = world.event_at("old", &named, long_ago);
    let others = world.event_at("others", r#"{"of":"somebody else"}"#, long_ago);
    let unreadable = world.event_at("unreadable", &named, long_ago);
    // One that was stored before ids were noted with it.
    let key = plixo_store::keys::payload(&world.org, &unreadable.key, unreadable.fingerprint, 0);
    let mut item = world.tables.dump().remove(&key).unwrap();
    item.insert("row".to_owned(), plixo_store::AttributeValue::S(r#"{"pieces":1}"#.to_owned()));
    world.tables.place(key, item);
    assert!(world.text(&unreadable).is_some());
    for event in [&old, &others, &unreadable] {
        world.forget_event(event);
    }
    let hold = world.hold(HeldBy::Customer(world.other));
    let with_hold = world.fork();
    assert_eq!(with_hold.erase(now()).1, "erased");
    let texts = [&old, &others, &unreadable].map(|event| with_hold.text(event).is_some());
    assert_eq!(texts, [false, true, true], "of what opens for nobody, nobody can tell whose it is");
    world.free(&hold);
    assert_eq!(world.erase(now()).1, "erased");
    let texts = [&old, &others, &unreadable].map(|event| world.text(event).is_some());
    assert_eq!(texts, [false, true, false]);
    assert_eq!(world.counts()["webhook_payloads"], 3);
}

#[test]
fn who_paid_goes_though_the_payment_is_nobodys() {
    let mut world = World::new();
    let payer = |name: &str, email: Option<&str>| Payer {
        name: Some(name.to_owned()),
        email: email.map(str::to_owned),
        remittance: Some(format!("thanks, {name}")),
    };
    world.guest("pi_email", payer("A. C.", Some("Ada.Canary@example.com")));
    world.guest("pi_name", payer(" ada CANARY", None));
    world.guest("pi_like", payer("Ada canary-bird", Some("bird@example.com")));
    let hold = world.hold(HeldBy::Customer(world.other));
    let with_hold = world.fork();
    assert_eq!(with_hold.erase(now()).1, "erased");
    let who = |world: &World| ["pi_email", "pi_name", "pi_like"].map(|name| world.payer(name).name.is_some());
    assert_eq!(who(&with_hold), [false, true, true], "somebody who is held may have that name");
    assert!(with_hold.certificate().kept.iter().any(|it| it.starts_with("1 payment with who paid")));
    world.free(&hold);
    assert_eq!(world.erase(now()).1, "erased");
    assert_eq!(who(&world), [false, false, true]);
    assert_eq!((world.payer("pi_name"), world.counts()["payments"]), (Payer::default(), 4));
}

#[test]
fn who_paid_goes_whatever_became_of_the_payment() {
    let mut world = World::new();
    let [own, others] = [world.customer, world.other].map(|customer| world.first_invoice(customer));
    let failed = |invoice: InvoiceId, word: &str| {
        let payer = Payer { remittance: Some(format!("by {word}")), ..Payer::default() };
        let (witness, stage, since) = (Witness::Intent, Stage::Failed, now().as_second());
        vec![
            PaymentPart::Money { witness, stage, amount: 100, since },
            PaymentPart::Payer(payer),
            PaymentPart::Names { witness, invoice },
        ]
    };
    world.told_by_guest("pi_own", failed(own, "whoever it was"));
    world.told_by_guest("pi_others", failed(others, "somebody else"));
    let email = Payer { email: Some("ada.canary@example.com".to_owned()), ..Payer::default() };
    let mut refunded = failed(others, "");
    refunded.splice(1..2, [PaymentPart::Payer(email)]);
    world.told_by_guest("pi_refunded", refunded);
    let access = world.access();
    assert_eq!(world.take(PrivacyTaskOf::Request(access.id), now()).1, "collected");
    let (json, html) = world.collected(&access);
    assert!(json.to_string().contains("by whoever it was") && html.contains("by whoever it was"), "{json}");
    assert!(!json.to_string().contains("by somebody else"));
    assert_eq!(world.erase(now()).1, "erased");
    let left = ["pi_own", "pi_others", "pi_refunded"].map(|name| world.payer(name) != Payer::default());
    assert_eq!(left, [false, true, false]);
}

#[test]
fn who_paid_stays_where_it_is_somebody_elses_who_is_held_as_well() {
    let mut world = World::new();
    let [own, others] = [world.customer, world.other].map(|customer| world.first_invoice(customer));
    let (stage, since) = (Stage::Received, now().as_second());
    let names = [(Witness::Intent, own), (Witness::Charge, others)];
    let mut parts = vec![
        PaymentPart::Money { witness: Witness::Intent, stage, amount: 100, since },
        PaymentPart::Payer(Payer { name: Some("Ada of somebody".to_owned()), ..Payer::default() }),
    ];
    parts.extend(names.map(|(witness, invoice)| PaymentPart::Names { witness, invoice }));
    world.told_by_guest("pi_both", parts);
    let hold = world.hold(HeldBy::Customer(world.other));
    assert_eq!(world.erase(now()).1, "erased");
    assert!(world.row::<Customer>(&world.customer).unwrap().erased.is_some());
    assert_eq!(world.payer("pi_both").name.as_deref(), Some("Ada of somebody"));
    let certificate = world.certificate();
    assert!(certificate.kept.iter().any(|it| it.starts_with("1 payment with who paid")), "{certificate}");
    world.free(&hold);
}

#[test]
fn who_paid_is_found_though_what_it_paid_is_gone() {
    let mut world = World::new();
    let names = |invoice| PaymentPart::Names { witness: Witness::Intent, invoice };
    for (name, customer) in [("pi_own", world.customer), ("pi_others", world.other)] {
        let (witness, stage, since) = (Witness::Intent, Stage::Received, now().as_second());
        let payer = Payer { name: Some(format!("who paid {name}")), ..Payer::default() };
        let invoice = world.first_invoice(customer);
        let money = PaymentPart::Money { witness, stage, amount: 100, since };
        world.told_by_guest(name, vec![money, PaymentPart::Payer(payer), names(invoice)]);
        world.without_invoice(&invoice);
    }
    let access = world.access();
    assert_eq!(world.take(PrivacyTaskOf::Request(access.id), now()).1, "collected");
    let (json, _) = world.collected(&access);
    assert!(json.to_string().contains("who paid pi_own") && !json.to_string().contains("who paid pi_others"));
    let hold = world.hold(HeldBy::Customer(world.customer));
    let row = world.row::<Payment>(&stripe("pi_own")).unwrap().into_row();
    let (holds, _) = block_on(world.store().holds(&world.org)).unwrap();
    assert_eq!(block_on(world.store().held(&world.org, &holds, &[&row])).unwrap(), [true]);
    world.free(&hold);
    assert_eq!(world.erase(now()).1, "erased");
    let left = ["pi_own", "pi_others"].map(|name| world.payer(name) != Payer::default());
    assert_eq!(left, [false, true]);
}

#[test]
fn who_paid_stays_where_the_money_is_somebody_elses() {
    let mut world = World::new();
    let [own, others] = [world.customer, world.other].map(|customer| world.first_invoice(customer));
    let theirs = stripe("cus_somebody0001");
    world.pay("pi_both", Some(own), &theirs, "of somebody");
    // Somebody else's money that the customer paid with its own email, or under its name for its own invoice; and one that names it.
    world.pay("pi_email", Some(others), &theirs, CANARY);
    let payer = |name: &str, email: Option<&str>, remittance: &str| Payer {
        name: Some(name.to_owned()),
        email: email.map(str::to_owned),
        remittance: Some(remittance.to_owned()),
    };
    world.pay_as("pi_name", Some(own), &theirs, payer("ADA CANARY", None, ""));
    world.pay_as(
        "pi_words",
        Some(own),
        &theirs,
        payer("Ada somebody / Ada Canary", None, "7, for ada canary"),
    );
    let note = world.row::<Payment>(&stripe("pi_both")).unwrap().payer_hash.unwrap();
    world
        .put(PayerHistory { payer: note.clone(), customers: [(world.customer, 1), (world.other, 1)].into() });
    let access = world.access();
    assert_eq!(world.take(PrivacyTaskOf::Request(access.id), now()).1, "collected");
    let (json, html) = world.collected(&access);
    let payments = json["payments"].as_array().unwrap();
    let of = |name: &str| payments.iter().find(|it| it["external_id"] == name).unwrap();
    assert!(of("pi_both")["payer"].is_null() && !html.contains("of somebody"), "it paid an invoice");
    assert_eq!(of("pi_email")["payer"]["remittance"], "thanks, canary");
    assert_eq!(world.erase(now()).1, "erased");
    assert_eq!(world.payer("pi_both").name.as_deref(), Some("Ada of somebody"));
    assert_eq!(["pi_email", "pi_name"].map(|name| world.payer(name)), [Payer::default(), Payer::default()]);
    assert_eq!(world.payer("pi_words"), payer("Ada somebody / [erased]", None, "7, for [erased]"));
    assert_eq!(world.row::<PayerHistory>(&note).unwrap().customers, [(world.other, 1)].into());
    let counts = ["payments", "payer_words", "payer_histories"].map(|kind| world.counts()[kind]);
    assert_eq!(counts, [4, 1, 1]);
    let certificate = world.certificate();
    assert!(!certificate.kept.iter().any(|it| it.contains("who paid")), "{certificate}");
}

#[test]
fn an_email_that_two_customers_have_is_no_reason_to_take_the_others_payments() {
    let mut world = World::new();
    world.change::<Customer>(&world.other, |other| Customer {
        personal: Private::Plain(Personal {
            email: Some("Ada.Canary@example.com".to_owned()),
            ..Personal::default()
        }),
        ..other
    });
    let theirs = stripe("cus_somebody0001");
    let payer = |name: &str| Payer {
        name: Some(name.to_owned()),
        email: Some("ada.canary@example.com".to_owned()),
        remittance: None,
    };
    world.pay_as("pi_shared", None, &theirs, payer("Ada somebody"));
    let access = world.access();
    assert_eq!(world.take(PrivacyTaskOf::Request(access.id), now()).1, "collected");
    let (json, _) = world.collected(&access);
    assert!(!json["payments"].as_array().unwrap().iter().any(|it| it["external_id"] == "pi_shared"));
    let with_name = world.fork();
    assert_eq!(world.erase(now()).1, "erased");
    assert_eq!(world.payer("pi_shared"), payer("Ada somebody"));
    // Who has the same name only has no part in the email.
    with_name.change::<Customer>(&with_name.other, |other| Customer {
        personal: Private::Plain(Personal { name: Some("Ada Canary".to_owned()), ..Personal::default() }),
        ..other
    });
    assert_eq!(with_name.erase(now()).1, "erased");
    assert_eq!(with_name.payer("pi_shared"), Payer::default());
}

#[test]
fn what_somebody_wrote_with_a_payment_goes_and_nothing_else_of_it() {
    let mut world = World::new();
    let others = world.first_invoice(world.other);
    let (witness, stage, since) = (Witness::Intent, Stage::Received, now().as_second());
    let payer = |remittance: &str| Payer {
        name: Some("Bob".to_owned()),
        email: Some("bob@example.com".to_owned()),
        remittance: Some(remittance.to_owned()),
    };
    for (name, remittance) in [
        ("pi_email", "for Ada Canary (ADA.canary@example.com)"),
        ("pi_tax", "DE canary"),
        ("pi_id", "cus_canary0001"),
        ("pi_name", "for Ada Canary"),
    ] {
        let money = PaymentPart::Money { witness, stage, amount: 100, since };
        let names = PaymentPart::Names { witness, invoice: others };
        world.told_by_guest(name, vec![money, PaymentPart::Payer(payer(remittance)), names]);
    }
    assert_eq!(world.erase(now()).1, "erased");
    assert_eq!(world.payer("pi_email"), payer("for [erased] ([erased])"));
    assert_eq!(world.payer("pi_tax"), payer("[erased]"));
    assert_eq!(world.payer("pi_id"), payer("cus_canary0001"));
    assert_eq!(world.payer("pi_name"), payer("for Ada Canary"), "it may be another one");
    assert_eq!((world.counts()["payer_words"], world.counts()["payments"]), (2, 2));
}

#[test]
fn whose_an_invoice_once_was_says_nothing_while_it_is_there() {
    let mut world = World::new();
    let others = world.first_invoice(world.other);
    let (witness, stage, since) = (Witness::Intent, Stage::Received, now().as_second());
    let payer = Payer { name: Some("who paid".to_owned()), ..Payer::default() };
    let money = PaymentPart::Money { witness, stage, amount: 100, since };
    let names = PaymentPart::Names { witness, invoice: others };
    world.told_by_guest("pi_moved", vec![money, PaymentPart::Payer(payer), names]);
    let customer = world.customer;
    world.change::<Payment>(&stripe("pi_moved"), |it| Payment { owners: [(others, customer)].into(), ..it });
    let hold = world.hold(HeldBy::Customer(customer));
    let row = world.row::<Payment>(&stripe("pi_moved")).unwrap().into_row();
    let (holds, _) = block_on(world.store().holds(&world.org)).unwrap();
    assert_eq!(block_on(world.store().held(&world.org, &holds, &[&row])).unwrap(), [false]);
    world.free(&hold);
    let access = world.access();
    assert_eq!(world.take(PrivacyTaskOf::Request(access.id), now()).1, "collected");
    assert!(!world.collected(&access).0.to_string().contains("who paid"));
    assert_eq!(world.erase(now()).1, "erased");
    assert!(world.payer("pi_moved").name.is_some());
}

#[test]
fn holds_on_invoices_are_told() {
    let mut world = World::new();
    let [own, others] = [world.customer, world.other].map(|customer| world.first_invoice(customer));
    let ids = [own, own, others].map(|invoice| world.hold(HeldBy::Invoice(invoice)));
    let access = world.access();
    assert_eq!(world.take(PrivacyTaskOf::Request(access.id), now()).1, "collected");
    let (json, _) = world.collected(&access);
    let told = json["legal_holds"].as_array().unwrap().iter().map(|it| (&it["id"], &it["on"]));
    let [first, second] = [ids[0], ids[1]].map(|id| json!(id));
    assert_eq!(told.collect::<Vec<_>>(), [(&first, &json!("invoice")), (&second, &json!("invoice"))]);
}

#[test]
fn texts_that_an_attempt_looked_through_are_not_looked_through_again() {
    // Of so many, a tenth of the pages is left, or half of them.
    goes_on(1_050, 1_080);
    goes_on(2_100, 1_500);
}

/// With so many events, attempts die after so many calls.
fn goes_on(events: usize, calls: usize) {
    let mut world = World::new();
    for n in 0..events {
        world.event(&format!("many{n}"), r#"{"of":"nobody"}"#);
    }
    let task = PrivacyTaskOf::Request(world.request);
    let dies = |world: &World, after: Duration| {
        let died = block_on(async { tokio::time::timeout(after, world.taking(task, now())).await });
        assert!(died.is_err());
        world.faults.clear();
        world.letters.let_go();
        world.row::<Customer>(&world.customer).unwrap()
    };
    let begun = |customer: &Customer| {
        let place = &customer.search.as_ref().unwrap().place;
        matches!(place, SearchPlace::Events(Some(_)))
    };
    // One attempt dies before the customer is a tombstone, after more than 1,000 texts.
    world.faults.plan(calls, Fault::DiesBefore);
    let left = dies(&world, BUDGET / 2);
    assert!(left.erased.is_none() && begun(&left));
    // What comes then names the customer by words that nobody knows any more later. The next one dies as soon as it is a tombstone.
    let between = world.event("between", r#"{"of":"ada canary"}"#);
    let left = dies(&world, SETTLES / 2);
    assert!(left.erased.is_some() && left.search.is_none() && world.text(&between).is_none());
    // Another one after more than 1,000 texts.
    world.faults.plan(calls, Fault::DiesBefore);
    let left = dies(&world, BUDGET / 2);
    assert!(begun(&left));
    let calls = world.faults.calls();
    assert_eq!(world.erase(later(30)).1, "erased");
    let rest = world.faults.calls() - calls;
    assert!(rest < 1_500, "{rest}");
    assert!(world.row::<Customer>(&world.customer).unwrap().search.is_none());
    assert!(world.certificate().erased.iter().any(|it| it.starts_with("2 texts")), "{}", world.certificate());
}

#[test]
fn what_came_since_a_search_began_is_looked_through_wherever_it_goes_on() {
    for place in [SearchPlace::Events(Some("evt_0".to_owned())), SearchPlace::Old(None), SearchPlace::End] {
        let mut world = World::new();
        let top = Some(world.event("before", r#"{"of":"nobody"}"#).id.to_string());
        let since = world.event("since", r#"{"of":"ada canary"}"#);
        let read = block_on(world.store().read(&world.org, vec![Customer::key(&world.customer)])).unwrap();
        let (_, Some((_, version))) = &read[0] else { panic!() };
        let search = Search { place: place.clone(), top, ..Search::new(version + 1) };
        world.change::<Customer>(&world.customer, |it| Customer {
            search: Some(Box::new(search.clone())),
            ..it
        });
        // It dies as soon as the customer is a tombstone: later, nobody knows the words any more.
        let task = PrivacyTaskOf::Request(world.request);
        let died = block_on(async { tokio::time::timeout(SETTLES / 2, world.taking(task, now())).await });
        assert!(died.is_err() && world.row::<Customer>(&world.customer).unwrap().erased.is_some());
        assert_eq!(world.text(&since), None, "{place:?}");
    }
}

#[test]
fn a_search_begins_anew_where_what_is_looked_for_changed_or_the_tables_were_restored() {
    let mut world = World::new();
    assert_eq!(world.erase(now()).1, "erased");
    let entry =
        world.checkpoints.dump().remove(&format!("{}/erasures/{}", world.org, world.customer)).unwrap();
    let entry: Erasure = serde_json::from_slice(&entry).unwrap();
    let event = world.event("late", r#"{"of":"cus_canary0001"}"#);
    world.request = world.ids.make();
    world.put(PrivacyRequest::new(world.request, PrivacyKind::Erasure, world.customer, world.by, now()));
    for (version, left, replayed, stays) in
        [(0, 0, false, true), (1, 0, false, false), (0, 1, false, false), (0, 0, true, false)]
    {
        let world = world.fork();
        let before = block_on(world.store().read(&world.org, vec![Customer::key(&world.customer)])).unwrap();
        let (_, Some((_, now_is))) = &before[0] else { panic!() };
        let (version, place) = (now_is + 1 + version, SearchPlace::End);
        let top = Some(event.id.to_string());
        let search = Search { place, left, top, ..Search::new(version) };
        world.change::<Customer>(&world.customer, |it| Customer {
            search: Some(Box::new(search.clone())),
            ..it
        });
        if replayed {
            let line = Line { timestamp: now(), ..Line::default() };
            block_on(world.worker().replay(&entry, &line)).unwrap();
        } else {
            assert_eq!(world.erase(now()).1, "erased");
        }
        assert_eq!(world.text(&event).is_some(), stays, "{version} {left} {replayed}");
    }
}

#[test]
fn what_may_be_evidence_of_somebody_else_stays_while_a_hold_is_on_them() {
    let mut world = World::new();
    let file = Some(File { at: now(), rows: 1, bytes: 6, days: 7 });
    let export = world.export(file, None);
    let words = world.told("words", &json!("for Ada Canary, of all people"));
    let email = world.told("email", &json!("ada.canary@example.com"));
    let other = world.told("other", &json!("Canaryland"));
    let hold = world.hold(HeldBy::Customer(world.other));
    world.change::<LegalHold>(&hold, |it| LegalHold {
        reason: Private::Plain("Somebody v. ADA CANARY and others".to_owned()),
        ..it
    });
    assert_eq!(world.erase(now()).1, "erased");
    let is_there = [&words, &email, &other].map(|event| world.text(event).is_some());
    assert_eq!(is_there, [true, false, true]);
    // Nobody is given the file any more, and it is there.
    assert_eq!(world.row::<Export>(&export.id).unwrap().failed, Some(Why::Erased));
    assert!(world.exports.dump().contains_key(&export.object(&world.org)));
    let letters = world.letters.dump();
    assert!(letters.iter().any(|(body, _)| body.contains("ada canary")), "{letters:?}");
    let reason = world.row::<LegalHold>(&hold).unwrap();
    let reason = block_on(world.store().open_hold_reason(&world.org, &reason, now())).unwrap();
    assert_eq!(reason, "Somebody v. [erased] and others");
    let certificate = world.certificate();
    for said in [
        "1 text of a webhook event, because",
        "1 file of an export, of which nobody",
        "1 event that was given up",
    ] {
        assert!(certificate.kept.iter().any(|what| what.starts_with(said)), "{said}: {certificate}");
    }
    for said in ["1 reason of a legal hold", "2 texts of webhook events", "0 files of exports"] {
        assert!(certificate.erased.iter().any(|what| what.starts_with(said)), "{said}: {certificate}");
    }
    let denied = world.audited("customer.erase");
    let denied =
        denied.iter().filter(|event| event.outcome == Outcome::Denied).map(|it| it.fields[0].as_str());
    assert_eq!(denied.collect::<BTreeSet<_>>(), ["dead_letters", "webhook_payloads"].into());
}

#[test]
fn exports_without_the_customer_stay() {
    let mut world = World::new();
    let file = Some(File { at: now(), rows: 1, bytes: 6, days: 7 });
    let of = |id| Scope::Invoices(InvoiceFilter { customer_id: id, ..InvoiceFilter::default() });
    let audit = || Scope::Audit(AuditFilter::default());
    let (customer, other) = (world.customer, world.other);
    let exports = [
        (of(None), Format::Csv, "memo", false),
        (of(Some(customer)), Format::Csv, "memo", false),
        (of(Some(other)), Format::Csv, "memo", true),
        (Scope::Payments(PaymentFilter::default()), Format::Json, "payer_name", false),
        (audit(), Format::Json, "ip", true),
        (audit(), Format::Csv, "action", true),
        // In a sheet stands from where the customer's people came.
        (audit(), Format::Csv, "ip", false),
    ];
    let exports = exports.map(|(scope, format, column, stays)| {
        let export = world.export(file, Some(Run { at: later(-5), attempt: "m1#1".to_owned() }));
        let columns = vec![column.to_owned()];
        world.change::<Export>(&export.id, |it| Export {
            scope: scope.clone(),
            format,
            columns: columns.clone(),
            ..it
        });
        (export, stays)
    });
    let (_, outcome) = world.erase(now());
    assert_eq!(outcome, "erased");
    let is_there = |world: &World, export: &Export| {
        let is_failed = world.row::<Export>(&export.id).unwrap().failed == Some(Why::Erased);
        assert_ne!(
            is_failed,
            world.exports.dump().contains_key(&export.object(&world.org)),
            "{:?}",
            export.scope
        );
        !is_failed
    };
    for (export, stays) in &exports {
        assert_eq!(is_there(&world, export), *stays, "{:?}", world.row::<Export>(&export.id));
    }
    // One of before is found by a later attempt as well, and one that was written since is left alone.
    world.change::<PrivacyRequest>(&world.request, |it| PrivacyRequest { done: None, ..it });
    let [before, since] = [4, 6]
        .map(|minutes| world.export(file, Some(Run { at: later(minutes), attempt: "m2#1".to_owned() })));
    assert_eq!(world.erase(later(30)).1, "erased");
    assert_eq!([&before, &since].map(|export| is_there(&world, export)), [false, true]);
}

#[test]
fn the_key_goes_before_anybody_looks_through_what_is_everybodys() {
    let world = World::new();
    let theirs = world.envelope(Ids::new(now(), [9; 10]).make());
    for n in 0..2_500 {
        world.letters.put(&json!({"n": n}).to_string(), &theirs);
    }
    let (done, outcome) = world.erase(now());
    assert_eq!(outcome, "erased", "{done:?}");
    world.everything_is_gone("many letters");

    // Somebody else holds a letter, and does not give it back.
    let world = World::new();
    assert_eq!(block_on(world.letters.hold("plixo", Duration::from_secs(1))).unwrap().len(), 2);
    let (done, outcome) = world.erase(now());
    assert!(done.is_err() && outcome == "goes_on", "{outcome}");
    let customer = world.row::<Customer>(&world.customer).unwrap();
    assert!(customer.erased.is_some() && customer.key.is_none() && world.asked().done.is_none());
    world.letters.let_go();
    assert_eq!(world.erase(later(30)).1, "erased");
}

#[test]
fn messages_of_others_are_poison() {
    let world = World::new();
    for body in [
        "{}",
        "no JSON",
        r#"{"v":2,"org":"org_01h2xcejqtf2nbrexx3vqjhp41","task":{"forget":"cus_01h2xcejqtf2nbrexx3vqjhp41"}}"#,
    ] {
        let message: Message = serde_json::from_value(json!({"messageId": "m1", "body": body})).unwrap();
        let (done, line) = block_on(world.worker().take(&message, Line::default()));
        assert!(matches!(done, Err(TaskError::Permanent(_))) && line.outcome == "poison", "{body}");
    }
}

impl World {
    /// The same world, to go another way in.
    fn fork(&self) -> Self {
        let faults = Faults::default();
        let fork = |bucket: &FakeBucket| {
            let copy = FakeBucket::new(faults.clone());
            bucket.dump().into_iter().for_each(|(key, bytes)| block_on(copy.put(&key, "", bytes)).unwrap());
            copy
        };
        let letters = FakeLetters::new(faults.clone());
        for (body, _) in self.letters.dump() {
            letters.put(&body, &self.envelope(self.org));
        }
        Self {
            tables: self.tables.fork(faults.clone()),
            kms: self.kms.with(faults.clone()),
            exports: fork(&self.exports),
            checkpoints: fork(&self.checkpoints),
            letters,
            queue: FakeLetters::new(faults.clone()),
            signer: self.signer.with(faults.clone()),
            faults,
            ids: self.ids.clone(),
            ..*self
        }
    }
}
