use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::task::Poll;

use futures::future::{Either, join, select};
use jiff::ToSpan;
use plixo_domain::audit::AuditKept;
use plixo_domain::export::{Export, File, Format, NoFilter, Scope};
use plixo_domain::hold::{HeldBy, LegalHold, place, release};
use plixo_domain::id::{CustomerId, HoldId, InvoiceId, LinkId, PrivacyId};
use plixo_domain::ledger::{
    Allocation, Choice, Claim, Closed, Customer, CustomerRef, DisputeState, Erased, Invoice, InvoiceNumber,
    InvoiceState, Kept, Link, Payment, PaymentPointer, Personal, PortalLink, RefundState, Residency,
    Settings, Stage, Stamp, Statement, Witness,
};
use plixo_domain::money::Money;
use plixo_domain::people::By;
use plixo_domain::privacy::{
    Authority, Done as Collected, Erasure, PrivacyKind, PrivacyRequest, PrivacyStatus,
};
use plixo_domain::retention::{Class, Retention};
use plixo_domain::webhook::{EventKey, ExternalRef, Fingerprint, Provider};
use plixo_store::{Item, Key, Payload, Table, keys, to_audit_event};
use plixo_testing::{FakeBucket, FakeKms, FakeQueue, FakeTables, Fault, Faults, entropy};
use proptest::prelude::*;

use super::*;

fn now() -> Timestamp {
    "2040-06-15T12:00:00Z".parse().unwrap()
}

/// So many days before now, and a minute more.
fn ago(days: i64) -> Timestamp {
    now().saturating_sub(SignedDuration::from_secs(days * 86_400 + 60)).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(work)
}

/// The work, or nothing where it never ends because its process died.
async fn until_dead<T>(work: impl Future<Output = T>) -> Option<T> {
    let idle = async {
        for _ in 0..20_000 {
            tokio::task::yield_now().await;
        }
    };
    match select(pin!(work), pin!(idle)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

struct World {
    faults: Faults,
    tables: FakeTables,
    kms: FakeKms,
    exports: FakeBucket,
    checkpoints: FakeBucket,
    queue: FakeQueue,
    org: OrgId,
    seed: u64,
}

impl World {
    fn new() -> Self {
        let faults = Faults::default();
        let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::new(faults.clone()));
        let (exports, checkpoints) = (FakeBucket::new(faults.clone()), FakeBucket::new(faults.clone()));
        let queue = FakeQueue::new(faults.clone());
        let org = Ids::new(ago(8_000), [1; 10]).make();
        let world = Self { faults, tables, kms, exports, checkpoints, queue, org, seed: 0 };
        block_on(world.store().create_data_key(&org, &world.kms)).unwrap();
        world.put(Organisation {
            id: org,
            name: "Nordlicht".to_owned(),
            residency: Residency::Eu,
            controllers: BTreeSet::default(),
            settings: Settings::default(),
            logo: None,
            closed: None,
        });
        // Of its first days nothing is left.
        world.put(AuditKept { from: day(ago(1_000)), is_gone: true });
        world
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    fn job(&self) -> Job<FakeTables, FakeBucket, FakeQueue> {
        let store = Store::new(self.tables.clone(), NoKeys, entropy);
        Job::new(store, self.exports.clone(), self.checkpoints.clone(), self.queue.clone(), entropy)
    }

    fn line(&self) -> Line {
        Line { timestamp: now(), ..Line::default() }
    }

    fn run(&self) -> usize {
        let (done, line) = block_on(self.job().run(self.line()));
        done.unwrap();
        assert_eq!(line.outcome, "done");
        line.items.unwrap()
    }

    fn ids(&mut self, at: Timestamp) -> Ids {
        self.seed += 1;
        let mut seed = [0; 10];
        let drawn = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        seed.iter_mut().zip(drawn).for_each(|(to, from)| *to = from);
        Ids::new(at, seed)
    }

    fn put<R: Kept>(&self, row: R) {
        let name = R::key(&row.name());
        let mut book = Book::default();
        for (name, stored) in block_on(self.store().read(&self.org, vec![name])).unwrap() {
            book.learn(name, stored);
        }
        book.put(row).unwrap();
        block_on(self.store().commit(&self.org, &book, None, &[], now())).unwrap();
    }

    fn get<R: Kept + Clone>(&self, name: &R::Name) -> Option<R> {
        block_on(self.get_now(name))
    }

    async fn get_now<R: Kept + Clone>(&self, name: &R::Name) -> Option<R> {
        let read = self.store().read(&self.org, vec![R::key(name)]).await.unwrap();
        read.into_iter().find_map(|(_, stored)| R::of(&stored?.0).cloned())
    }

    fn policy(&self, days: &[(Class, u16)]) {
        let mut of: Organisation = self.get(&()).unwrap();
        for (class, days) in days {
            of.settings.retention = of.settings.retention.with(*class, *days).unwrap();
        }
        self.put(of);
    }

    fn hold(&mut self, on: HeldBy) -> HoldId {
        let id = self.ids(now()).make();
        let by = By { member: self.ids(now()).make(), user: user() };
        let reason = Private::Plain("a dispute".to_owned());
        let hold = LegalHold { id, on, reason, placed_by: by, placed_at: now(), released: None };
        self.change(vec![RowKey::Holds], |book| place(book, hold.clone()).unwrap());
        id
    }

    fn release(&mut self, id: HoldId) {
        let by = By { member: self.ids(now()).make(), user: user() };
        self.change(vec![RowKey::Holds, LegalHold::key(&id)], |book| {
            release(book, &id, by, now()).unwrap();
        });
    }

    fn change(&self, names: Vec<RowKey>, change: impl Fn(&mut Book)) {
        let mut book = Book::default();
        for (name, stored) in block_on(self.store().read(&self.org, names)).unwrap() {
            book.learn(name, stored);
        }
        change(&mut book);
        block_on(self.store().commit(&self.org, &book, None, &[], now())).unwrap();
    }

    fn customer(&mut self, days: i64) -> CustomerId {
        let id = self.ids(ago(days)).make();
        self.put(Customer::new(id, Personal { name: Some("Ada".to_owned()), ..Personal::default() }));
        id
    }

    fn invoice(&mut self, days: i64, customer: CustomerId, state: InvoiceState) -> InvoiceId {
        let mut ids = self.ids(ago(days));
        let (id, number): (InvoiceId, _) = (ids.make(), format!("N-{}", self.seed));
        self.put(InvoiceNumber { number: number.clone(), invoice: id });
        self.put(Invoice {
            id,
            number,
            customer_id: customer,
            state,
            total: Money::new(100, "EUR".parse().unwrap()),
            issued_on: None,
            due_on: None,
            body: Private::Sealed(Vec::new()),
            claims: BTreeMap::new(),
            checkout: None,
            asked: None,
            ended_at: None,
            reference: None,
            erased: false,
        });
        id
    }

    fn payment(&mut self, days: i64, customer: Option<CustomerId>) -> ExternalRef {
        let mut ids = self.ids(ago(days));
        let id = format!("pi_{}", self.seed).parse().unwrap();
        let reference = ExternalRef { provider: Provider::Stripe, id };
        let payment = Payment {
            id: ids.make(),
            reference: reference.clone(),
            money: BTreeMap::new(),
            received_at: Some(ago(days).as_second()),
            named: BTreeMap::new(),
            shares: Vec::new(),
            customer: None,
            customer_id: customer,
            refunded_total: None,
            refunds: BTreeMap::new(),
            disputes: BTreeMap::new(),
            payer: None,
            payer_hash: None,
            choices: Vec::new(),
            undone: BTreeSet::new(),
            taken_back: false,
            owners: BTreeMap::new(),
            allocations: BTreeMap::new(),
            erased: false,
        };
        self.put(PaymentPointer { id: payment.id, reference: reference.clone() });
        self.put(payment);
        reference
    }

    /// A payment of 100 that many days ago, of which so much was applied to an invoice so many days ago.
    fn applied(&mut self, days: i64, amount: i64, to: InvoiceId, since: i64) -> ExternalRef {
        let name = self.payment(days, None);
        let payment: Payment = self.get(&name).unwrap();
        let currency = "EUR".parse().unwrap();
        let stamp = Stamp { at: ago(days).as_second(), event: "e".to_owned() };
        let said = Statement { state: Stage::Received, stamp, amount: 100, currency };
        let applied_by = Actor { kind: ActorKind::Member, id: "mem".to_owned(), role: None };
        let allocation = Allocation { id: self.ids(ago(since)).make(), invoice: to, amount, applied_by };
        let (money, allocations) = ([(Witness::Bank, said)].into(), [(allocation.id, allocation)].into());
        self.put(Payment { money, allocations, ..payment });
        name
    }

    fn link(&mut self, days: i64, invoice: InvoiceId) -> LinkId {
        let id = self.ids(ago(days)).make();
        let made_by = Actor { kind: ActorKind::Member, id: "mem".to_owned(), role: None };
        self.put(PortalLink {
            id,
            invoice,
            made_by,
            made_at: ago(days + 14),
            expires_at: ago(days),
            revoked_at: None,
            settled_at: None,
            opened: None,
            emailed_at: None,
        });
        id
    }

    fn export(&mut self, days: i64) -> Export {
        let by = By { member: self.ids(now()).make(), user: user() };
        let export = Export {
            id: self.ids(ago(days)).make(),
            scope: Scope::Customers(NoFilter {}),
            format: Format::Csv,
            columns: vec!["id".to_owned()],
            counted: None,
            requested_by: by,
            requested_at: ago(days),
            approved: None,
            rejected: None,
            run: None,
            file: Some(File { at: ago(days), rows: 1, bytes: 2, days: 7 }),
            failed: None,
            gone: false,
            going: false,
        };
        block_on(self.exports.put(&export.object(&self.org), "text/csv", b"id".to_vec())).unwrap();
        self.put(export.clone());
        export
    }

    fn payload(&mut self, days: i64) -> Key {
        let mut ids = self.ids(ago(days));
        let provider_event_id = format!("evt_{}", self.seed).parse().unwrap();
        let event = EventKey { endpoint: ids.make(), provider_event_id, conflict: None };
        let (fingerprint, text) = (Fingerprint([7; 32]), "{}");
        let payload = Payload { id: ids.make(), event: &event, fingerprint, text, received_at: ago(days) };
        block_on(self.store().commit(&self.org, &Book::default(), Some(payload), &[], now())).unwrap();
        keys::payload(&self.org, &event, fingerprint, 0)
    }

    fn request(&mut self, kind: PrivacyKind, customer: CustomerId, at: Timestamp) -> PrivacyRequest {
        let mut ids = self.ids(at);
        let by = By { member: ids.make(), user: user() };
        PrivacyRequest::new(ids.make(), kind, customer, by, at)
    }

    fn log(&mut self, at: Timestamp) -> Key {
        let mut ids = self.ids(at);
        let event = AuditEvent {
            id: ids.make(),
            at,
            actor: Actor { kind: ActorKind::Member, id: "mem".to_owned(), role: None },
            origin: Private::default(),
            customer: None,
            action: "invoice.update".to_owned(),
            object: Object::new("invoice", self.seed),
            outcome: Outcome::Allowed,
            fields: vec!["memo".to_owned()],
            request_id: "r".to_owned(),
            count: None,
        };
        let events = std::slice::from_ref(&event);
        block_on(self.store().commit(&self.org, &Book::default(), None, events, at)).unwrap();
        keys::audit(&self.org, &event)
    }

    /// What was deleted as the audit log tells it, by the class's word or the thing's kind.
    fn told(&self) -> BTreeMap<String, u32> {
        let mut told = BTreeMap::new();
        for (key, item) in self.tables.dump() {
            let event = (key.table == Table::Audit).then(|| to_audit_event(&item).unwrap());
            if let Some(event) = event.filter(|event| event.action == "retention.delete") {
                assert_eq!((event.at, event.fields), (now(), vec!["deleted".to_owned()]));
                *told.entry(event.object.kind).or_default() += event.count.unwrap_or(1);
            }
        }
        told
    }

    /// The messages that were sent, each once.
    fn sent(&self) -> BTreeSet<String> {
        self.queue.sent().into_iter().map(|(body, _)| body).collect()
    }

    fn task(&self, task: PrivacyTaskOf) -> String {
        serde_json::to_string(&PrivacyTask::new(self.org, task)).unwrap()
    }
}

fn user() -> plixo_domain::people::UserId {
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301".parse().unwrap()
}

fn told(of: &[(&str, u32)]) -> BTreeMap<String, u32> {
    of.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}

#[test]
fn what_is_due_is_shown_to_nobody_before_it_goes_unless_it_is_held() {
    let mut world = World::new();
    let customer = world.customer(1);
    let [due, kept] = [4_000, 10].map(|days| world.invoice(days, customer, InvoiceState::Void));
    let over = world.customer(800);
    // It bought something since.
    let active = world.customer(800);
    world.invoice(10, active, InvoiceState::Void);
    let export = world.export(8);
    let names = vec![
        Invoice::key(&due),
        Invoice::key(&kept),
        Customer::key(&over),
        Customer::key(&active),
        Export::key(&export.id),
    ];
    let shown = |world: &World| -> Vec<bool> {
        let read = block_on(world.store().read_shown(&world.org, names.clone(), now())).unwrap();
        assert_eq!(read.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names);
        let there = |(_, stored): &plixo_store::StoredRow| match stored {
            Some((plixo_domain::ledger::Row::Export(export), _)) => !export.gone,
            stored => stored.is_some(),
        };
        read.iter().map(there).collect()
    };
    assert_eq!(shown(&world), [false, true, false, true, false]);
    let of: Organisation = world.get(&()).unwrap();
    let rows = block_on(world.store().read(&world.org, names.clone())).unwrap();
    let rows: Vec<_> = rows.into_iter().filter_map(|(_, stored)| stored).collect();
    // That there was an export is shown, and that its file is not there any more.
    assert_eq!(block_on(world.store().not_due(&of, rows, now())).unwrap().len(), 3);

    let hold = world.hold(HeldBy::Customer(customer));
    assert_eq!(shown(&world), [true, true, false, true, true]);
    world.release(hold);
    world.run();
    assert_eq!(shown(&world), [false, true, false, true, false]);
}

#[test]
fn of_each_class_what_is_due_goes_and_nothing_else() {
    let mut world = World::new();
    let customer = world.customer(1);
    let [old, young] = [3_650, 3_649].map(|days| world.invoice(days, customer, InvoiceState::Void));
    let owed = world.invoice(5_000, customer, InvoiceState::Open);
    let payments = [3_650, 3_649].map(|days| world.payment(days, None));
    let links = [30, 29, 31].map(|days| world.link(days, young));
    let pieces = [30, 29].map(|days| world.payload(days));
    let exports = [7, 6].map(|days| world.export(days));
    assert_eq!(world.run(), 1 + 1 + 2 + 1 + 1);

    let number = |id| world.get::<Invoice>(&id).map(|it| it.number);
    assert!(number(old).is_none() && number(young).is_some() && number(owed).is_some());
    let items = world.tables.dump();
    let numbers = items.keys().filter(|key| key.sk == "invoice-number").count();
    assert_eq!(numbers, 2, "what leads to an invoice goes with it");
    assert_eq!(payments.map(|name| world.get::<Payment>(&name).is_some()), [false, true]);
    assert_eq!(items.keys().filter(|key| key.sk == "payment-pointer").count(), 1);
    assert_eq!(links.map(|id| world.get::<PortalLink>(&id).is_some()), [false, true, false]);
    assert_eq!(pieces.map(|key| items.contains_key(&key)), [false, true]);
    assert_eq!(exports.each_ref().map(|it| world.get::<Export>(&it.id).unwrap().gone), [true, false]);
    let files: Vec<_> = world.exports.dump().into_keys().collect();
    assert_eq!(files, [exports[1].object(&world.org)]);
    let deleted =
        [("export_file", 1), ("invoice", 1), ("payment", 1), ("portal_link", 2), ("webhook_payload", 1)];
    assert_eq!(world.told(), told(&deleted));
    assert_eq!(world.run(), 0, "once");
    assert_eq!(world.told(), told(&deleted));
}

#[test]
fn money_goes_when_what_it_is_for_is_over_and_counts_from_what_became_of_it() {
    let mut world = World::new();
    let customer = world.customer(1);
    let owed = world.invoice(5_000, customer, InvoiceState::Open);
    let over = world.invoice(10, customer, InvoiceState::Void);
    let for_owed = world.applied(4_000, 100, owed, 4_000);
    let for_over = world.applied(4_000, 100, over, 4_000);
    let lately_applied = world.applied(4_000, 100, over, 10);
    let unapplied = world.applied(4_000, 60, over, 4_000);
    let [refunded, disputed, lately_refunded, lately_disputed] = [4_000, 4_000, 10, 10]
        .map(|days| (world.applied(4_000, 0, over, 4_000), days))
        .map(|(name, days)| {
            let payment: Payment = world.get(&name).unwrap();
            let stamp = Stamp { at: ago(days).as_second(), event: "e".to_owned() };
            (payment, stamp)
        });
    let currency = "EUR".parse().unwrap();
    let id = || "re_1".parse().unwrap();
    for (payment, stamp) in [&refunded, &lately_refunded] {
        let said = Statement { state: RefundState::Succeeded, stamp: stamp.clone(), amount: 100, currency };
        let (allocations, refunds) = (BTreeMap::new(), [(id(), said)].into());
        world.put(Payment { allocations, refunds, ..payment.clone() });
    }
    for (payment, stamp) in [&disputed, &lately_disputed] {
        let said = Statement { state: DisputeState::Lost, stamp: stamp.clone(), amount: 100, currency };
        let (allocations, disputes) = (BTreeMap::new(), [(id(), said)].into());
        world.put(Payment { allocations, disputes, ..payment.clone() });
    }
    let [refunded, disputed, lately_refunded, lately_disputed] =
        [refunded, disputed, lately_refunded, lately_disputed].map(|(payment, _)| payment.reference);
    let all = [
        (&for_owed, true),
        (&for_over, false),
        (&lately_applied, true),
        (&unapplied, true),
        (&refunded, false),
        (&disputed, false),
        (&lately_refunded, true),
        (&lately_disputed, true),
    ];
    let kept: Vec<bool> = all.iter().map(|(_, kept)| *kept).collect();
    let names: Vec<RowKey> = all.iter().map(|(name, _)| Payment::key(name)).collect();
    let shown = block_on(world.store().read_shown(&world.org, names, now())).unwrap();
    assert_eq!(shown.iter().map(|(_, stored)| stored.is_some()).collect::<Vec<_>>(), kept);
    assert_eq!(world.run(), 3);
    let there: Vec<bool> = all.iter().map(|(name, _)| world.get::<Payment>(name).is_some()).collect();
    assert_eq!(there, kept);

    // Nothing is owed any more.
    let paid: Invoice = world.get(&owed).unwrap();
    world.put(Invoice { state: InvoiceState::Uncollectible, ended_at: Some(now()), ..paid });
    assert_eq!(world.run(), 1);
    assert!(world.get::<Payment>(&for_owed).is_none() && world.get::<Invoice>(&owed).is_some());
}

#[test]
fn an_invoice_that_was_given_up_or_paid_today_is_kept_from_today_on() {
    let mut world = World::new();
    let customer = world.customer(1);
    let states = [InvoiceState::Void, InvoiceState::Uncollectible, InvoiceState::Void];
    let ended = states.map(|state| world.invoice(4_000, customer, state));
    for (id, days) in ended.iter().zip([1, 1, 3_660]) {
        let invoice: Invoice = world.get(id).unwrap();
        world.put(Invoice { ended_at: Some(ago(days)), ..invoice });
    }
    let paid = [1, 3_660].map(|since| {
        let id = world.invoice(4_000, customer, InvoiceState::Open);
        let invoice: Invoice = world.get(&id).unwrap();
        let claim = Claim {
            payment: ExternalRef { provider: Provider::Member, id: "p".parse().unwrap() },
            received_at: ago(4_000).as_second(),
            wanted: invoice.total,
            applied: 100,
            allocation: world.ids(ago(since)).make(),
            chosen: true,
        };
        world.put(Invoice { claims: [(claim.allocation, claim)].into(), ..invoice });
        id
    });
    assert_eq!(world.run(), 2);
    assert_eq!(ended.map(|id| world.get::<Invoice>(&id).is_some()), [true, true, false]);
    assert_eq!(paid.map(|id| world.get::<Invoice>(&id).is_some()), [true, false]);
}

#[test]
fn what_a_provider_tells_of_a_customers_money_is_of_the_customer() {
    let mut world = World::new();
    let other = world.customer(1);
    let over = world.invoice(10, other, InvoiceState::Void);
    let mut of = |name: &str, days: i64, amount: i64, is_linked: bool| {
        let id = world.customer(800);
        let reference = ExternalRef { provider: Provider::Stripe, id: name.parse().unwrap() };
        let customer: Customer = world.get(&id).unwrap();
        if is_linked {
            world.put(Customer { links: [(reference.clone(), Link::Live)].into(), ..customer });
            world.put(CustomerRef { reference: reference.clone(), customer: id, noted: None, erased: false });
        }
        let paid = world.applied(days, amount, over, days);
        let payment: Payment = world.get(&paid).unwrap();
        world.put(Payment { customer: Some(reference), ..payment });
        (id, paid)
    };
    let (active, _) = of("cus_active", 100, 100, true);
    let (unapplied, _) = of("cus_unapplied", 790, 60, true);
    let (gone, _) = of("cus_gone", 790, 100, true);
    let (stranger, _) = of("cus_stranger", 100, 100, false);
    world.run();
    let forgotten = [gone, stranger].map(|id| world.task(PrivacyTaskOf::Forget(id)));
    assert_eq!(world.sent(), BTreeSet::from(forgotten));
    let since = |id| world.get::<Customer>(&id).unwrap().active.map(day);
    assert_eq!([active, unapplied].map(since), [Some(day(ago(100))), Some(day(now()))]);
}

#[test]
fn a_hold_keeps_money_of_which_nothing_is_applied_any_more() {
    let reference = ExternalRef { provider: Provider::Stripe, id: "cus_1".parse().unwrap() };
    let stamp = Stamp { at: 1, event: "e".to_owned() };
    let by = Actor { kind: ActorKind::Member, id: "mem".to_owned(), role: None };
    for way in 0..5 {
        for is_customer in [true, false] {
            let mut world = World::new();
            let customer = world.customer(1);
            let invoice = world.invoice(1, customer, InvoiceState::Void);
            world.put(CustomerRef { reference: reference.clone(), customer, noted: None, erased: false });
            let [its, other] = [4_000, 4_000].map(|days| world.payment(days, None));
            let payment: Payment = world.get(&its).unwrap();
            let id = world.ids(ago(4_000)).make();
            world.put(match way {
                0 => Payment { named: [(Witness::Intent, (stamp.clone(), invoice))].into(), ..payment },
                1 => Payment { shares: vec![(invoice, 5)], ..payment },
                2 => Payment { undone: [invoice].into(), ..payment },
                3 if is_customer => Payment { customer: Some(reference.clone()), ..payment },
                _ => {
                    let choice = Choice { id, invoice, amount: 5, by: by.clone(), noted: None };
                    Payment { choices: vec![choice], ..payment }
                }
            });
            let on = if is_customer { HeldBy::Customer(customer) } else { HeldBy::Invoice(invoice) };
            let hold = world.hold(on);
            assert_eq!(world.run(), 1, "{way} {on:?}");
            assert!(world.get::<Payment>(&its).is_some() && world.get::<Payment>(&other).is_none());
            world.release(hold);
            assert_eq!(world.run(), 1, "{way} {on:?}");
        }
    }
}

#[test]
fn wherever_a_run_begins_it_comes_to_all_organisations() {
    let world = World::new();
    let of: Organisation = world.get(&()).unwrap();
    let mut all = BTreeSet::from([world.org]);
    for n in 0..40 {
        let org = Ids::new(now(), [n; 10]).make();
        let other = World { org, ..World::new() };
        let other = World { tables: world.tables.clone(), kms: world.kms.clone(), ..other };
        other.put(Organisation { id: org, ..of.clone() });
        all.insert(org);
    }
    let mut first = BTreeSet::new();
    for hour in 0..16 {
        let at = now().saturating_add(SignedDuration::from_hours(hour)).unwrap();
        let mut next = Some(begin_at(at));
        let mut found = Vec::new();
        while let Some(from) = next {
            let read = block_on(jobs::organisations(&world.tables, from, 2)).unwrap();
            found.extend(read.0);
            next = read.1;
        }
        assert_eq!(found.len(), all.len());
        assert_eq!(BTreeSet::from_iter(found.iter().copied()), all);
        first.insert(found[0]);
    }
    assert!(first.len() > 8, "somewhere else in each hour");
}

#[test]
fn one_organisation_does_not_take_the_time_of_all() {
    let second = Duration::from_secs;
    assert_eq!(slice_end(second(0)), second(50));
    assert_eq!(slice_end(second(160)), second(170));
    assert_eq!(slice_end(second(220)), second(220));

    // A call takes 2 s. It is over long before the run is, and the next run goes on.
    let mut world = World::new();
    let customer = world.customer(1);
    let invoice = world.invoice(10, customer, InvoiceState::Void);
    for _ in 0..1_000 {
        world.link(40, invoice);
    }
    let before = world.faults.calls();
    let elapsed = || second(2 * u64::try_from(world.faults.calls() - before).unwrap());
    let (done, read) = block_on(world.job().tend_all(now(), "r", &elapsed, &world.line()));
    assert!(read.is_ok() && done.failed.is_empty() && done.is_unfinished);
    assert!((1..1_000).contains(&done.deleted), "{}", done.deleted);
    assert_eq!(done.deleted + world.run(), 1_000);
}

#[test]
fn what_is_late_is_told_of_behind_what_is_held() {
    let mut world = World::new();
    let [held, other] = [1, 1].map(|days| world.customer(days));
    for _ in 0..70 {
        world.payment(4_001, Some(held));
    }
    world.payment(4_000, Some(other));
    world.hold(HeldBy::Customer(held));
    let run = Run { now: now(), name: "r", is_over: &|| true };
    let done = block_on(world.job().tend(&world.org, &run));
    assert_eq!((done.late, done.deleted, done.is_unfinished), (1, 0, true));
}

#[test]
fn the_files_of_access_requests_go_when_they_are_due() {
    let mut world = World::new();
    let customer = world.customer(1);
    let [over, young, gone] = [7, 6, 20].map(|days| {
        let request = world.request(PrivacyKind::Access, customer, ago(days));
        let done = Collected {
            at: ago(days),
            certificate: None,
            files_until: Some(now()),
            gone: days == 20,
            going: false,
        };
        for end in ["json", "html"] {
            block_on(world.exports.put(&request.object(&world.org, end), "", b"{}".to_vec())).unwrap();
        }
        world.put(PrivacyRequest { begun: Some(ago(days)), done: Some(done), ..request.clone() });
        request
    });
    let of: Organisation = world.get(&()).unwrap();
    let shown = |world: &World, of: &Organisation, id: &PrivacyId| {
        let rows = block_on(world.store().read(&world.org, vec![PrivacyRequest::key(id)])).unwrap();
        let rows = rows.into_iter().filter_map(|(_, stored)| stored).collect();
        let rows = block_on(world.store().not_due(of, rows, now())).unwrap();
        PrivacyRequest::of(&rows[0].0).unwrap().done.clone().unwrap().has_files()
    };
    assert_eq!(
        [&over, &young].map(|it| shown(&world, &of, &it.id)),
        [false, true],
        "before the job comes by"
    );
    let other = world.customer(1);
    let hold = world.hold(HeldBy::Customer(other));
    assert_eq!((world.run(), world.exports.dump().len()), (0, 6), "files are kept for any hold");
    world.release(hold);
    assert_eq!(world.run(), 1);
    let files: BTreeSet<_> = world.exports.dump().into_keys().collect();
    let left =
        [&young, &gone].into_iter().flat_map(|it| ["json", "html"].map(|end| it.object(&world.org, end)));
    assert_eq!(files, left.collect());
    assert!(world.get::<PrivacyRequest>(&over.id).unwrap().done.unwrap().gone);
    assert_eq!(world.told(), told(&[("export_file", 1)]));
    assert_eq!(world.run(), 0, "once");
}

#[test]
fn where_nothing_is_due_a_run_reads_lists_and_writes_nothing() {
    let mut world = World::new();
    for _ in 0..3 {
        let customer = world.customer(1);
        let invoice = world.invoice(10, customer, InvoiceState::Void);
        world.link(1, invoice);
    }
    let (calls, items) = (world.faults.calls(), world.tables.dump());
    assert_eq!(world.run(), 0);
    // The organisations; the policy when it is read whether it was closed; the open requests; of each class the policy and a list;
    // how far the log is kept.
    assert_eq!(world.faults.calls() - calls, 16 + 1 + 2 + 6 * 2 + 1);
    assert_eq!(world.tables.dump(), items);
}

#[test]
fn many_go_in_full_transactions() {
    let mut world = World::new();
    let customer = world.customer(1);
    let invoices: Vec<_> = (0..60).map(|_| world.invoice(4_000, customer, InvoiceState::Void)).collect();
    for invoice in invoices {
        for _ in 0..4 {
            world.link(40, invoice);
        }
    }
    for _ in 0..70 {
        world.payment(4_000, Some(customer));
        world.payload(40);
    }
    assert_eq!(world.run(), 60 + 240 + 70 + 70);
    let deleted = [("invoice", 60), ("payment", 70), ("portal_link", 240), ("webhook_payload", 70)];
    assert_eq!(world.told(), told(&deleted));
    let left = world.tables.dump().into_keys().filter(|key| key.table == Table::Ledger).count();
    assert_eq!(left, 1 + 1 + 1 + 1, "the organisation, its key, how far its log is kept, its customer");
}

#[test]
fn who_paid_an_old_invoice_lately_was_active_however_many_came_after_it() {
    let mut world = World::new();
    let active = world.customer(1_000);
    let oldest = world.invoice(900, active, InvoiceState::Void);
    for _ in 0..120 {
        world.invoice(800, active, InvoiceState::Void);
    }
    let row: Invoice = world.get(&oldest).unwrap();
    world.put(Invoice { ended_at: Some(ago(3)), ..row });
    world.run();
    assert_eq!(world.sent(), BTreeSet::new());
    assert_eq!(world.get::<Customer>(&active).unwrap().active.map(day), Some(day(ago(3))));
}

#[test]
fn a_customer_whose_time_is_over_is_sent_on_and_one_who_was_active_since_moves_on() {
    let mut world = World::new();
    let [gone, active, owes] = [800, 900, 1_000].map(|days| world.customer(days));
    world.invoice(100, active, InvoiceState::Void);
    world.invoice(850, owes, InvoiceState::Open);
    world.customer(729);
    let erased = world.customer(800);
    let erased_row: Customer = world.get(&erased).unwrap();
    let tombstone = Erased { at: now(), authority: Authority::Retention, finished: false };
    world.put(Customer { erased: Some(tombstone), ..erased_row });
    assert_eq!(world.run(), 0);
    assert_eq!(world.sent(), BTreeSet::from([world.task(PrivacyTaskOf::Forget(gone))]));
    let since = |id| world.get::<Customer>(&id).unwrap().active.map(day);
    assert_eq!([gone, active, owes].map(since), [None, Some(day(ago(100))), Some(day(now()))]);
    // What moved on is not looked at again, and opens as before.
    let row: Customer = world.get(&active).unwrap();
    let personal = block_on(world.store().open_personal(&world.org, &row, now())).unwrap();
    assert_eq!(personal.name.as_deref(), Some("Ada"));
    let before = world.tables.dump();
    world.run();
    assert_eq!(world.tables.dump(), before);
}

#[test]
fn a_hold_keeps_what_it_is_on_and_all_of_which_nobody_can_tell_whose_it_is() {
    let mut world = World::new();
    let [one, other] = [800, 800].map(|days| world.customer(days));
    let [first, second] = [one, other].map(|of| world.invoice(4_000, of, InvoiceState::Void));
    let links = [first, second].map(|of| world.link(40, of));
    let payments = [one, other].map(|of| world.payment(4_000, Some(of)));
    let (piece, export) = (world.payload(40), world.export(20));
    let hold = world.hold(HeldBy::Customer(one));
    assert_eq!(world.run(), 3);
    assert_eq!([first, second].map(|id| world.get::<Invoice>(&id).is_some()), [true, false]);
    assert_eq!(links.map(|id| world.get::<PortalLink>(&id).is_some()), [true, false]);
    assert_eq!(payments.each_ref().map(|name| world.get::<Payment>(name).is_some()), [true, false]);
    assert!(world.tables.dump().contains_key(&piece) && !world.get::<Export>(&export.id).unwrap().gone);
    assert_eq!(world.sent(), BTreeSet::from([world.task(PrivacyTaskOf::Forget(other))]));
    world.release(hold);
    assert_eq!(world.run(), 3 + 2);

    let mut world = World::new();
    let customer = world.customer(800);
    let invoice = world.invoice(4_000, customer, InvoiceState::Void);
    world.link(40, invoice);
    world.put(AuditKept { from: day(ago(3_100)), is_gone: true });
    world.log(ago(3_000));
    world.hold(HeldBy::Organisation);
    let before = world.tables.dump();
    assert_eq!((world.run(), world.sent().len()), (0, 0));
    assert_eq!(world.tables.dump(), before);
}

#[test]
fn a_hold_or_a_policy_of_that_moment_wins() {
    // Whatever others do between two calls of a run: what is there then, and is kept by it, stays.
    let (mut seen, mut seen_files, mut seen_pieces) = ([false; 2], [false; 2], [false; 2]);
    for (is_hold, calls) in [true, false].into_iter().flat_map(|it| (1..60).map(move |calls| (it, calls))) {
        let mut world = World::new();
        let customer = world.customer(1);
        let invoice = world.invoice(10, customer, InvoiceState::Void);
        let [link, old_link] = [40, 70].map(|days| world.link(days, invoice));
        let [piece, old_piece] = [40, 70].map(|days| world.payload(days));
        let export = world.export(20);
        let job = world.job();
        let mut run = pin!(job.run(world.line()));
        let other = World { tables: world.tables.clone(), ..World::new() };
        let other = World { org: world.org, kms: world.kms.clone(), seed: 1_000, ..other };
        let was_there = block_on(async {
            let before = world.faults.calls();
            while world.faults.calls() < before + calls {
                if let Poll::Ready((done, _)) = futures::poll!(run.as_mut()) {
                    done.unwrap();
                    return None;
                }
                tokio::task::yield_now().await;
            }
            let store = other.store();
            let names = vec![RowKey::Organisation, RowKey::Holds];
            let mut book = Book::default();
            for (name, stored) in store.read(&world.org, names).await.unwrap() {
                book.learn(name, stored);
            }
            if is_hold {
                let mut ids = Ids::new(now(), [9; 10]);
                let by = By { member: ids.make(), user: user() };
                let (on, reason) = (HeldBy::Organisation, Private::Plain("a dispute".to_owned()));
                let hold =
                    LegalHold { id: ids.make(), on, reason, placed_by: by, placed_at: now(), released: None };
                place(&mut book, hold).unwrap();
            } else {
                let mut of = book.get::<Organisation>(&()).unwrap().unwrap().clone();
                let policy = of.settings.retention.with(Class::PortalLink, 60).unwrap();
                let policy = policy.with(Class::ExportFile, 30).unwrap();
                of.settings.retention = policy.with(Class::WebhookPayload, 60).unwrap();
                book.put(of).unwrap();
            }
            store.commit(&world.org, &book, None, &[], now()).await.unwrap();
            let found = store.read(&world.org, vec![PortalLink::key(&link)]).await.unwrap();
            let was_there = found.iter().any(|(_, row)| row.is_some());
            let had_file = !other.get_now::<Export>(&export.id).await.unwrap().gone;
            let had_piece = world.tables.dump().contains_key(&piece);
            run.await.0.unwrap();
            Some((was_there, had_file, had_piece))
        });
        let Some((was_there, had_file, had_piece)) = was_there else { continue };
        let row = world.get::<Export>(&export.id).unwrap();
        assert_eq!(!row.gone, had_file, "{is_hold}, after {calls} calls");
        assert_eq!(world.exports.dump().len(), usize::from(had_file), "{is_hold}, after {calls} calls");
        assert_eq!(world.told().contains_key("export_file"), !had_file);
        seen_files[usize::from(had_file)] = true;
        let is_piece = world.tables.dump().contains_key(&piece);
        assert_eq!(is_piece, had_piece, "{is_hold}, after {calls} calls");
        seen_pieces[usize::from(had_piece)] = true;
        assert_eq!(world.get::<PortalLink>(&link).is_some(), was_there, "{is_hold}, after {calls} calls");
        let links = [link, old_link].map(|id| world.get::<PortalLink>(&id).is_none());
        let pieces = [&piece, &old_piece].map(|key| !world.tables.dump().contains_key(key));
        for (class, gone) in [("portal_link", links), ("webhook_payload", pieces)] {
            assert!(is_hold || gone[1], "{class} is due by either policy, after {calls} calls");
            let count = gone.iter().filter(|gone| **gone).count();
            let told = world.told().get(class).copied().unwrap_or_default();
            assert_eq!(usize::try_from(told).unwrap(), count, "{class}, {is_hold}, after {calls} calls");
        }
        seen[usize::from(was_there)] = true;
    }
    let all = [seen, seen_files, seen_pieces];
    assert_eq!(all, [[true; 2]; 3], "some came in time, and some too late");
}

#[test]
fn two_runs_at_once_count_what_goes_once() {
    let mut world = World::new();
    let customer = world.customer(1);
    let invoice = world.invoice(10, customer, InvoiceState::Void);
    let links: Vec<LinkId> = (0..250).map(|_| world.link(40, invoice)).collect();
    let pieces: Vec<Key> = (0..250).map(|_| world.payload(40)).collect();
    let (one, other) = (world.job(), world.job());
    let (one, other) = block_on(async { futures::join!(one.run(world.line()), other.run(world.line())) });
    one.0.unwrap();
    other.0.unwrap();
    assert_eq!(one.1.items.unwrap() + other.1.items.unwrap(), 500);
    assert_eq!(world.told(), told(&[("portal_link", 250), ("webhook_payload", 250)]));
    assert!(links.iter().all(|id| world.get::<PortalLink>(id).is_none()));
    assert!(pieces.iter().all(|key| !world.tables.dump().contains_key(key)));
}

#[test]
fn whoever_dies_with_a_file_leaves_it_to_the_next_run() {
    let build = || {
        let mut world = World::new();
        let exports = [7, 20].map(|days| world.export(days));
        (world, exports)
    };
    let (world, _) = build();
    let before = world.faults.calls();
    assert_eq!(world.run(), 2);
    let mut was_left = false;
    for call in 0..world.faults.calls() - before {
        for fault in Fault::ALL {
            let (world, exports) = build();
            world.faults.plan(call, fault);
            block_on(async { until_dead(world.job().run(world.line())).await });
            world.faults.clear();
            let files = world.exports.dump();
            for export in &exports {
                let row = world.get::<Export>(&export.id).unwrap();
                let is_file = files.contains_key(&export.object(&world.org));
                assert!(if row.gone { row.going || !is_file } else { is_file }, "call {call}, {fault:?}");
                was_left |= row.gone && is_file;
            }
            world.run();
            assert!(world.exports.dump().is_empty(), "call {call}, {fault:?}");
            let rows = exports.map(|export| world.get::<Export>(&export.id).unwrap());
            assert!(rows.iter().all(|row| row.gone && !row.going), "call {call}, {fault:?}");
            assert_eq!(world.told(), told(&[("export_file", 2)]), "call {call}, {fault:?}");
            let items = world.tables.dump();
            assert_eq!(world.run(), 0);
            assert_eq!(world.tables.dump(), items, "nothing is left to do");
        }
    }
    assert!(was_left, "some died between the row and the file");
}

#[test]
fn the_log_goes_by_whole_days_and_is_counted() {
    let mut world = World::new();
    world.policy(&[(Class::AuditEvent, 365)]);
    world.put(AuditKept { from: day(ago(400)), is_gone: true });
    let old: Vec<_> = (0..250).map(|n| world.log(ago(400 - n % 2))).collect();
    // Of the day on which something is due, something else is not.
    let edge = world.log(ago(365));
    let young = world.log(ago(300));
    assert_eq!(world.run(), 250);
    let items = world.tables.dump();
    assert!(old.iter().all(|key| !items.contains_key(key)));
    assert!(items.contains_key(&edge) && items.contains_key(&young));
    assert_eq!(world.told(), told(&[("audit_event", 250)]));
    let kept: AuditKept = world.get(&()).unwrap();
    assert_eq!(kept, AuditKept { from: day(ago(365)), is_gone: true });
    assert_eq!(world.run(), 0);
    world.log(ago(366));
    assert_eq!(world.run(), 0, "nothing is written of days that are over");
}

#[test]
fn whoever_dies_within_a_day_of_the_log_has_said_that_it_goes() {
    let build = || {
        let mut world = World::new();
        world.policy(&[(Class::AuditEvent, 365)]);
        world.put(AuditKept { from: day(ago(368)), is_gone: true });
        let keys: Vec<_> = (0..20).map(|n| world.log(ago(368 - n % 2))).collect();
        (world, keys)
    };
    let (world, _) = build();
    let before = world.faults.calls();
    assert_eq!(world.run(), 20);
    for call in 0..world.faults.calls() - before {
        for fault in Fault::ALL {
            let (world, keys) = build();
            world.faults.plan(call, fault);
            block_on(async { until_dead(world.job().run(world.line())).await });
            world.faults.clear();
            let kept: AuditKept = world.get(&()).unwrap();
            let items = world.tables.dump();
            for key in keys.iter().filter(|key| !items.contains_key(key)) {
                let of: Date = key.pk.split('#').nth(1).unwrap().parse().unwrap();
                assert!(of < kept.from, "call {call}, {fault:?}");
            }
            world.run();
            assert_eq!(world.told(), told(&[("audit_event", 20)]), "call {call}, {fault:?}");
            let kept: AuditKept = world.get(&()).unwrap();
            assert_eq!(kept, AuditKept { from: day(ago(365)), is_gone: true });
        }
    }
}

#[test]
fn requests_that_nobody_is_at_are_sent_again_and_pressing_ones_are_told_of() {
    let mut world = World::new();
    let [one, held] = [10, 10].map(|days| world.customer(days));
    let hold = world.hold(HeldBy::Customer(held));
    let mut ids = Vec::new();
    for (kind, customer, at) in [
        (PrivacyKind::Access, one, ago(1)),
        (PrivacyKind::Erasure, one, ago(28)),
        (PrivacyKind::Erasure, held, ago(40)),
        (PrivacyKind::Access, one, ago(1)),
        (PrivacyKind::Access, one, ago(1)),
    ] {
        let mut request = world.request(kind, customer, at);
        match ids.len() {
            2 => request.held = Some(at),
            3 => request.begun = Some(now().saturating_sub(1.hour()).unwrap()),
            4 => request.begun = Some(now().saturating_sub(3.hours()).unwrap()),
            _ => {}
        }
        ids.push(request.id);
        world.put(request);
    }
    let tasks = |wanted: &[usize], world: &World| -> BTreeSet<String> {
        wanted.iter().map(|n| world.task(PrivacyTaskOf::Request(ids[*n]))).collect()
    };
    world.run();
    assert_eq!(world.sent(), tasks(&[0, 1, 4], &world));
    let tended = |world: &World| {
        let run = Run { now: now(), name: "r", is_over: &|| false };
        block_on(world.job().tend(&world.org, &run))
    };
    let pressing: BTreeSet<PrivacyId> =
        tended(&world).pressing.iter().map(|id| id.parse().unwrap()).collect();
    assert_eq!(pressing, BTreeSet::from([ids[1]]), "nobody may do one that is held");
    world.release(hold);
    world.run();
    assert_eq!(world.sent(), tasks(&[0, 1, 2, 4], &world));
}

#[test]
fn what_was_due_for_more_than_a_day_and_is_left_is_told_of() {
    let mut world = World::new();
    let customer = world.customer(1);
    let invoice = world.invoice(10, customer, InvoiceState::Void);
    let waits = world.customer(732);
    world.customer(730);
    for days in [31, 31, 30] {
        world.link(days, invoice);
    }
    let late = |is_over: &(dyn Fn() -> bool + Sync)| {
        let run = Run { now: now(), name: "r", is_over };
        let done = block_on(world.job().tend(&world.org, &run));
        (done.late, done.is_unfinished, done.deleted)
    };
    // Time is over at once: two links and a customer are late.
    assert_eq!(late(&|| true), (2 + 1, true, 0));
    // What the run itself deletes is not.
    assert_eq!(late(&|| false), (1, false, 3));
    assert!(world.sent().contains(&world.task(PrivacyTaskOf::Forget(waits))));
}

#[test]
fn a_closed_organisations_key_goes_when_its_grace_is_over_and_not_before() {
    let mut world = World::new();
    let by = world.ids(now()).make();
    let close = |world: &World, days| {
        let of: Organisation = world.get(&()).unwrap();
        world.put(Organisation { closed: Some(Closed { by, at: ago(days) }), ..of });
    };
    let key = keys::data_key(&world.org);
    let has_key = |world: &World| world.tables.dump().contains_key(&key);
    let customer = world.customer(800);
    close(&world, 29);
    world.run();
    assert!(has_key(&world) && world.checkpoints.dump().is_empty());

    close(&world, 31);
    let hold = world.hold(HeldBy::Customer(customer));
    world.run();
    assert!(has_key(&world) && world.checkpoints.dump().is_empty(), "a legal hold keeps it");
    world.release(hold);
    let requests = [PrivacyKind::Access, PrivacyKind::Erasure].map(|kind| {
        let request = world.request(kind, customer, ago(10));
        world.put(PrivacyRequest { held: Some(ago(9)), ..request.clone() });
        request.id
    });
    let sent = world.queue.sent().len();
    world.run();
    assert!(!has_key(&world));
    for id in requests {
        let request: PrivacyRequest = world.get(&id).unwrap();
        assert_eq!((request.status(), request.done.unwrap().certificate), (PrivacyStatus::Done, None));
    }
    assert_eq!(world.queue.sent().len(), sent, "nobody is to be erased any more");
    let entries = world.checkpoints.dump();
    let text = &entries[&format!("{}/erasures/organisation", world.org)];
    let entry: Erasure = serde_json::from_slice(text).unwrap();
    assert_eq!((entry.customer, entry.authority, entry.at), (None, Authority::Closing, now()));
    let told = |world: &World| -> usize {
        let events = world.tables.dump();
        let events = events.iter().filter(|(key, _)| key.table == Table::Audit);
        let events = events.map(|(_, item): (_, &Item)| to_audit_event(item).unwrap());
        events.filter(|event| event.action == "organisation.erase").count()
    };
    assert_eq!(told(&world), 1);
    world.run();
    assert_eq!((told(&world), world.checkpoints.dump()), (1, entries));
}

#[test]
fn wherever_it_dies_a_key_goes_after_its_entry() {
    for call in 0..30 {
        for fault in Fault::ALL {
            let mut world = World::new();
            let by = world.ids(now()).make();
            let of: Organisation = world.get(&()).unwrap();
            world.put(Organisation { closed: Some(Closed { by, at: ago(31) }), ..of });
            world.faults.plan(call, fault);
            block_on(async { until_dead(world.job().run(world.line())).await });
            world.faults.clear();
            let is_gone = !world.tables.dump().contains_key(&keys::data_key(&world.org));
            assert!(!is_gone || world.checkpoints.dump().len() == 1, "call {call}, {fault:?}");
            world.run();
            assert!(!world.tables.dump().contains_key(&keys::data_key(&world.org)));
            assert_eq!(world.checkpoints.dump().len(), 1);
        }
    }
}

/// Something that is kept for a time: its class, for how many days by now, and of which customer.
type Thing = (Class, i64, usize);

fn things() -> impl Strategy<Value = Vec<Thing>> {
    let of = |class: Class, days: std::ops::Range<i64>| (Just(class), days, 0..3_usize);
    let one = prop_oneof![
        of(Class::PortalLink, 0..90),
        of(Class::WebhookPayload, 0..90),
        of(Class::ExportFile, 0..40),
        of(Class::CustomerPersonalData, 0..1_200),
        of(Class::Invoice, 2_000..4_500),
        of(Class::Payment, 2_000..4_500),
    ];
    prop::collection::vec(one, 0..40)
}

fn policies() -> impl Strategy<Value = Retention> {
    let days = (1..80_u16, 1..80_u16, 1..30_u16, 100..1_000_u16, 2_192..4_400_u16, 2_192..4_400_u16);
    days.prop_map(|(links, payloads, files, customers, invoices, payments)| {
        let all = [
            (Class::PortalLink, links),
            (Class::WebhookPayload, payloads),
            (Class::ExportFile, files),
            (Class::CustomerPersonalData, customers),
            (Class::Invoice, invoices),
            (Class::Payment, payments),
        ];
        all.into_iter().fold(Retention::default(), |policy, (class, days)| policy.with(class, days).unwrap())
    })
}

/// Where something stands, and whether it is there.
enum Placed {
    Row(RowKey),
    Piece(Key),
    File(Box<Export>),
    Person(CustomerId),
}

impl Placed {
    fn is_there(&self, world: &World) -> bool {
        match self {
            Self::Row(name) => {
                let read = block_on(world.store().read(&world.org, vec![name.clone()])).unwrap();
                read.iter().any(|(_, stored)| stored.is_some())
            }
            Self::Piece(key) => world.tables.dump().contains_key(key),
            Self::File(export) => {
                let is_file = world.exports.dump().contains_key(&export.object(&world.org));
                let row = world.get::<Export>(&export.id).unwrap();
                // The row tells it first. What died in between is made good by the next run.
                assert!(row.gone || is_file, "a row without its file");
                assert!(!row.gone || row.going || !is_file, "a file that no run finds again");
                is_file
            }
            Self::Person(id) => !world.sent().contains(&world.task(PrivacyTaskOf::Forget(*id))),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever there is, whatever the policy and the holds, whenever a run dies, and with another one at once: under a hold
    /// nothing goes, what is due goes, nothing else, and each is told of once.
    #[test]
    fn what_is_due_goes_and_nothing_else(
        things in things(), policy in policies(), held in 0..8_usize,
        crash in prop::option::of((0..120_usize, 0..4_usize)), is_twice: bool,
    ) {
        let mut world = World::new();
        let of: Organisation = world.get(&()).unwrap();
        world.put(Organisation { settings: Settings { retention: policy.clone(), ..of.settings }, ..of });
        // They are young themselves.
        let owners = [1, 2, 3].map(|days| world.customer(days));
        let invoices = owners.map(|owner| world.invoice(1, owner, InvoiceState::Void));
        let mut placed = Vec::new();
        for (class, days, owner) in things {
            let place = match class {
                Class::PortalLink => Placed::Row(PortalLink::key(&world.link(days, invoices[owner]))),
                Class::WebhookPayload => Placed::Piece(world.payload(days)),
                Class::ExportFile => Placed::File(Box::new(world.export(days))),
                Class::CustomerPersonalData => Placed::Person(world.customer(days)),
                Class::Invoice => {
                    Placed::Row(Invoice::key(&world.invoice(days, owners[owner], InvoiceState::Void)))
                }
                _ => Placed::Row(Payment::key(&world.payment(days, Some(owners[owner])))),
            };
            placed.push((class, days, owner, place));
        }
        // On everything, on the first customer, on the second one's invoice, or on nothing.
        let hold = match held {
            0 => Some(world.hold(HeldBy::Organisation)),
            1 => Some(world.hold(HeldBy::Customer(owners[0]))),
            2 => Some(world.hold(HeldBy::Invoice(invoices[1]))),
            _ => None,
        };
        if let Some((call, fault)) = crash {
            world.faults.plan(call, Fault::ALL[fault]);
        }
        let (one, two) = (world.job(), world.job());
        block_on(async {
            if is_twice {
                until_dead(join(one.run(world.line()), two.run(world.line()))).await;
            } else {
                until_dead(one.run(world.line())).await;
            }
        });
        world.faults.clear();
        let check = |is_last: bool, hold: usize| -> Result<(), TestCaseError> {
            let mut deleted = 0_u32;
            for (class, days, owner, place) in &placed {
                let is_held = match (hold, class) {
                    (0, _) => true,
                    (1 | 2, Class::WebhookPayload | Class::ExportFile) => true,
                    (1, Class::PortalLink | Class::Invoice | Class::Payment) => *owner == 0,
                    (2, Class::PortalLink) => *owner == 1,
                    _ => false,
                };
                let is_due = *days >= i64::from(policy.days(*class)) && !is_held;
                let is_there = place.is_there(&world);
                prop_assert!(is_due || is_there, "{class:?} of {days} days went, {hold}");
                prop_assert!(!is_due || !is_there || !is_last, "{class:?} of {days} days stayed, {hold}");
                deleted += u32::from(!is_there && *class != Class::CustomerPersonalData);
            }
            if is_last {
                prop_assert_eq!(world.told().into_values().sum::<u32>(), deleted);
            }
            Ok(())
        };
        check(false, held)?;
        world.run();
        check(true, held)?;
        if let Some(hold) = hold {
            let mut world = World { tables: world.tables.clone(), exports: world.exports.clone(), queue: world.queue.clone(),
                kms: world.kms.clone(), org: world.org, ..World::new() };
            world.seed = 100_000;
            world.release(hold);
            world.run();
            check(true, 9)?;
        }
    }
}
