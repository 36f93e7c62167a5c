use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use plixo_domain::id::{CustomerId, from_bytes};
use plixo_domain::ledger::{
    Claim, InvoiceBody, InvoiceState, Organisation, Private, Residency, begin_checkout, make_link,
    note_session,
};
use plixo_domain::money::Money;
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{ExternalRef, Provider};
use plixo_portal::cashier::fingerprint;
use plixo_store::Table;
use plixo_stripe::Order;
use plixo_testing::{FakeKms, FakeStripe, FakeTables, FakeVault, Fault, Faults, entropy};
use serde_json::json;

use super::*;

const KEY: &str = "rk_test_51CanaryCanary";

fn start() -> Timestamp {
    "2026-01-05T08:00:00Z".parse().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn by() -> Actor {
    Actor { kind: ActorKind::Member, id: "mem_1".to_owned(), role: None }
}

/// An open invoice of 100.00 EUR with two links and a session at Stripe.
struct World {
    tables: FakeTables,
    kms: FakeKms,
    vault: FakeVault,
    stripe: FakeStripe,
    faults: Faults,
    org: OrgId,
    invoice: InvoiceId,
}

impl World {
    fn new() -> Self {
        let faults = Faults::default();
        let (tables, kms, vault) =
            (FakeTables::new(faults.clone()), FakeKms::default(), FakeVault::new(faults.clone()));
        let stripe = FakeStripe::new(faults.clone());
        let mut ids = Ids::new(start(), [1; 10]);
        let (org, customer_id, id): (OrgId, CustomerId, InvoiceId) = (ids.make(), ids.make(), ids.make());
        vault.put(&org.to_string(), json!({"v": 1, "key": KEY}).to_string());
        let (name, settings, controllers) = ("Nordlicht".to_owned(), Default::default(), BTreeSet::new());
        let mut book = Book::default();
        book.put_new(Organisation {
            id: org,
            name,
            residency: Residency::Eu,
            controllers,
            settings,
            logo: None,
            closed: None,
        });
        book.put_new(Invoice {
            id,
            number: "RE-1".to_owned(),
            customer_id,
            state: InvoiceState::Open,
            total: Money::new(10_000, "EUR".parse().unwrap()),
            issued_on: None,
            due_on: None,
            body: Private::Plain(InvoiceBody::default()),
            claims: Default::default(),
            checkout: None,
            asked: None,
            ended_at: None,
            reference: None,
            erased: false,
        });
        for n in [1, 2] {
            make_link(&mut book, (from_bytes([n; 16]), id), SignedDuration::from_hours(1), &by(), start())
                .unwrap();
        }
        let begun = begin_checkout(&mut book, &id, fingerprint(&Secret::new(KEY.to_owned())), start())
            .unwrap()
            .unwrap();
        let order = Order {
            idempotency_key: begun.idempotency_key(&id),
            amount: begun.amount,
            description: "RE-1".to_owned(),
            invoice: id,
            org,
            locale: "auto",
            success_url: String::new(),
            cancel_url: String::new(),
            expires_at: begun.expires_at(),
        };
        let session = block_on(stripe.create(&Secret::new(KEY.to_owned()), &order)).unwrap();
        note_session(&mut book, &id, begun.attempt, &session.id).unwrap();
        let store = Store::new(tables.clone(), kms.clone(), entropy);
        block_on(async {
            store.create_data_key(&org, &kms).await.unwrap();
            store.commit(&org, &book, None, &[], start()).await.unwrap();
        });
        Self { tables, kms, vault, stripe, faults, org, invoice: id }
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    fn change(&self, change: impl FnOnce(Invoice) -> Invoice) {
        let mut book = Book::default();
        for (name, stored) in
            block_on(self.store().read(&self.org, vec![Invoice::key(&self.invoice)])).unwrap()
        {
            book.learn(name, stored);
        }
        let found = book.get::<Invoice>(&self.invoice).unwrap().unwrap().clone();
        book.put(change(found)).unwrap();
        block_on(self.store().commit(&self.org, &book, None, &[], start())).unwrap();
    }

    /// So much of it is paid.
    fn pay(&self, amount: i64) {
        self.change(|mut invoice| {
            let payment = ExternalRef { provider: Provider::Member, id: "pay_1".parse().unwrap() };
            let allocation = from_bytes([9; 16]);
            let wanted = Money { amount, ..invoice.total };
            let claim = Claim { payment, received_at: 0, wanted, applied: amount, allocation, chosen: true };
            invoice.claims.insert(allocation, claim);
            invoice
        });
    }

    fn follow(&self) -> usize {
        let batch: Batch = serde_json::from_value(json!({"Records": [{"dynamodb": {
            "Keys": {"pk": {"S": format!("{}#{}", self.org, self.invoice)}, "sk": {"S": "invoice"}},
            "SequenceNumber": "1"}}]}))
        .unwrap();
        let cashier = Cashier::new(self.vault.clone(), self.stripe.clone());
        block_on(Worker::new(self.store(), cashier, entropy).run(&batch)).failed().count()
    }

    fn is_open_at_stripe(&self) -> bool {
        self.stripe.sessions()[0].session.status == SessionStatus::Open
    }

    fn is_live(&self) -> bool {
        let found = block_on(self.store().read(&self.org, vec![Invoice::key(&self.invoice)])).unwrap();
        let (row, _) = found.into_iter().find_map(|(_, stored)| stored).unwrap();
        Invoice::of(&row).unwrap().live_checkout().is_some()
    }

    fn settled(&self) -> usize {
        let names = [1, 2].map(|n| PortalLink::key(&from_bytes([n; 16]))).to_vec();
        let rows = block_on(self.store().read(&self.org, names)).unwrap();
        let links = rows.iter().filter_map(|(_, stored)| PortalLink::of(&stored.as_ref()?.0));
        links.filter(|link| link.settled_at.is_some()).count()
    }

    fn audit(&self) -> Vec<String> {
        let dump = self.tables.dump();
        let items = dump.iter().filter(|(key, _)| key.table == Table::Audit);
        let events = items.map(|(_, item)| plixo_store::to_audit_event(item).unwrap());
        let mut told: Vec<_> = events.map(|event| format!("{} {}", event.actor.id, event.action)).collect();
        told.sort();
        told
    }
}

#[test]
fn while_the_invoice_is_owed_as_it_was_nothing_is_closed() {
    let world = World::new();
    assert_eq!(world.follow(), 0);
    assert!(world.is_open_at_stripe() && world.is_live() && world.settled() == 0 && world.audit().is_empty());
}

#[test]
fn what_is_settled_is_closed_and_the_log_says_so() {
    let world = World::new();
    world.pay(10_000);
    assert_eq!(world.follow(), 0);
    assert!(!world.is_open_at_stripe() && !world.is_live());
    assert_eq!(world.settled(), 2);
    let by = "worker-portal-links";
    let settle = format!("{by} portal_link.settle");
    assert_eq!(world.audit(), [format!("{by} checkout.end"), settle.clone(), settle]);
    assert_eq!(world.follow(), 0, "once more, it changes nothing");
    assert_eq!(world.audit().len(), 3);
}

#[test]
fn a_session_of_another_amount_is_ended_and_links_stay() {
    let world = World::new();
    world.pay(1_000);
    assert_eq!(world.follow(), 0);
    assert!(!world.is_open_at_stripe() && !world.is_live() && world.settled() == 0);
}

#[test]
fn a_session_that_took_money_stays_until_that_is_heard_of() {
    let world = World::new();
    let url = world.stripe.sessions()[0].session.url.clone().unwrap();
    world.stripe.pay(url.reveal(), false).unwrap();
    world.pay(1_000);
    assert_eq!(world.follow(), 0);
    assert!(world.is_live(), "or a payer would be sent to another one");
}

#[test]
fn without_a_key_the_session_is_left_to_its_end_and_the_links_are_closed() {
    for entry in [None, Some("{\"v\":1}"), Some("canary")] {
        let world = World::new();
        world.stripe.refuse(KEY);
        if let Some(entry) = entry {
            world.vault.put(&world.org.to_string(), entry.to_owned());
        }
        world.pay(10_000);
        let failed = world.follow();
        assert!(world.is_open_at_stripe() && world.is_live());
        if entry == Some("canary") {
            assert_eq!(failed, 1, "that is ours to mend");
        } else {
            assert_eq!((failed, world.settled()), (0, 2));
        }
    }
}

/// Whatever goes wrong at whichever call: handed out again, it is done.
#[test]
fn a_fault_at_any_call_is_mended_by_the_next_try() {
    for fault in [Fault::Refuses, Fault::LosesAnswer] {
        for call in 0.. {
            let world = World::new();
            world.pay(10_000);
            let before = world.faults.calls();
            world.faults.plan(call, fault);
            let failed = world.follow();
            let met = world.faults.calls() - before > call;
            world.faults.clear();
            assert_eq!(failed, usize::from(met), "{fault:?} at {call}");
            assert_eq!(world.follow(), 0);
            assert!(!world.is_open_at_stripe() && !world.is_live());
            assert_eq!(world.settled(), 2);
            if !met {
                break;
            }
        }
    }
}

#[test]
fn a_link_that_was_made_when_it_was_owed_again_is_left() {
    let world = World::new();
    world.pay(10_000);
    let late = from_bytes([3; 16]);
    let mut book = Book::default();
    book.put_new(PortalLink {
        id: late,
        invoice: world.invoice,
        made_by: by(),
        made_at: "9000-01-01T00:00:00Z".parse().unwrap(),
        expires_at: "9000-01-02T00:00:00Z".parse().unwrap(),
        revoked_at: None,
        settled_at: None,
        opened: None,
        emailed_at: None,
    });
    block_on(world.store().commit(&world.org, &book, None, &[], start())).unwrap();
    assert_eq!(world.follow(), 0);
    let rows = block_on(world.store().read(&world.org, vec![PortalLink::key(&late)])).unwrap();
    assert_eq!(PortalLink::of(&rows[0].1.as_ref().unwrap().0).unwrap().settled_at, None);
}
