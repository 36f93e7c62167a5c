use std::collections::BTreeSet;

use plixo_domain::id::{AllocationId, CustomerId, PaymentId};
use plixo_domain::ledger::staff::{
    CashApplicationPatch, NewInvoice, NewOrganisation, NewPayment, OrganisationPatch, Patch, Position,
    RecordedSource, SettingsPatch, TolerancePatch, create_customer, create_invoice, create_organisation,
    deallocate, finalize_invoice, record_payment, update_organisation,
};
use plixo_domain::ledger::{Line as InvoiceLine, PayerHistory, Personal, Residency};
use plixo_domain::money::Money;
use plixo_store::{AttributeValue, Table};
use plixo_testing::{FakeKms, FakeTables, Fault, Faults, entropy};
use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-06-15T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn eur(amount: i64) -> Money {
    Money::new(amount, "EUR".parse().unwrap())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(work)
}

fn person() -> Actor {
    Actor { kind: ActorKind::Member, id: "mem_1".into(), role: Some("billing_admin".into()) }
}

/// A stack with an organisation.
#[derive(Clone)]
struct World {
    tables: FakeTables,
    kms: FakeKms,
    faults: Faults,
    org: OrgId,
}

fn ids() -> Ids {
    Ids::drawn(now(), hashed(entropy().unwrap()))
}

/// The counter's bytes where ids look for them.
fn hashed(drawn: [u8; 32]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[2..10].copy_from_slice(&drawn[..8]);
    bytes
}

impl World {
    async fn new() -> Self {
        let faults = Faults::default();
        let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::new(faults.clone()));
        let world = Self { tables, kms, faults, org: ids().make() };
        world.begin().await;
        world
    }

    /// Another organisation of the same stack.
    async fn other(&self) -> Self {
        let world = Self { org: ids().make(), ..self.clone() };
        world.begin().await;
        world
    }

    async fn begin(&self) {
        let store = self.store();
        store.create_data_key(&self.org, &self.kms).await.unwrap();
        let new = NewOrganisation { name: "Nordlicht".into(), residency: Residency::Eu };
        self.act(|book| create_organisation(book, self.org, new.clone())).await;
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    /// Acts on the ledger until all rows that it needs were read, and commits.
    async fn act<R>(&self, act: impl Fn(&mut Book) -> Result<R, Stopped>) -> R {
        let (store, mut book) = (self.store(), Book::default());
        loop {
            match act(&mut book) {
                Ok(done) => {
                    if book.changes().next().is_some() {
                        store.commit(&self.org, &book, None, &[], now()).await.unwrap();
                    }
                    return done;
                }
                Err(Stopped::Unread(names)) => {
                    let rows = store.read(&self.org, names).await.unwrap();
                    rows.into_iter().for_each(|(name, row)| book.learn(name, row));
                }
                Err(Stopped::Refused(error)) => panic!("{error}"),
            }
        }
    }

    async fn customer(&self, name: &str) -> CustomerId {
        let (personal, ids) = (Personal { name: Some(name.into()), ..Personal::default() }, ids());
        self.act(|book| create_customer(book, personal.clone(), &mut ids.clone())).await.id
    }

    async fn draft(&self, customer_id: CustomerId, number: &str, amount: i64) -> InvoiceId {
        let line = InvoiceLine {
            description: "Work".into(),
            quantity: "1".parse().unwrap(),
            unit_price: eur(amount),
            tax_percent: None,
        };
        let new = NewInvoice {
            customer_id,
            number: Some(number.into()),
            lines: vec![line],
            memo: None,
            due_on: None,
        };
        let ids = ids();
        self.act(|book| create_invoice(book, new.clone(), &mut ids.clone())).await.id
    }

    async fn send(&self, id: InvoiceId) {
        self.act(|book| finalize_invoice(book, &id, &person(), "2026-06-01".parse().unwrap())).await;
    }

    async fn open(&self, customer: CustomerId, number: &str, amount: i64) -> InvoiceId {
        let id = self.draft(customer, number, amount).await;
        self.send(id).await;
        id
    }

    /// Money by bank.
    async fn money(&self, amount: i64, from: &str, text: &str) -> PaymentId {
        let new = NewPayment {
            source: RecordedSource::Bank,
            amount: eur(amount),
            received_on: "2026-06-14".parse().unwrap(),
            customer_id: None,
            payer_name: (!from.is_empty()).then(|| from.into()),
            remittance: (!text.is_empty()).then(|| text.into()),
            external_id: None,
        };
        let ids = ids();
        self.act(|book| record_payment(book, new.clone(), &mut ids.clone(), now())).await.id
    }

    async fn deallocate(&self, payment: PaymentId, allocation: AllocationId) {
        let ids = ids();
        self.act(|book| deallocate(book, &payment, &allocation, &person(), &mut ids.clone())).await;
    }

    async fn row<R: Kept + Clone>(&self, name: &R::Name) -> Option<R> {
        let rows = self.store().read(&self.org, vec![R::key(name)]).await.unwrap();
        rows.into_iter().find_map(|(_, row)| row).and_then(|(row, _)| R::of(&row).cloned())
    }

    async fn invoice(&self, id: InvoiceId) -> Invoice {
        self.row(&id).await.unwrap()
    }

    async fn payment(&self, id: PaymentId) -> Payment {
        let pointer: PaymentPointer = self.row(&id).await.unwrap();
        self.row(&pointer.reference).await.unwrap()
    }

    async fn set(&self, cash_application: CashApplicationPatch) {
        let settings = SettingsPatch { cash_application, ..SettingsPatch::default() };
        let patch = OrganisationPatch { settings, ..OrganisationPatch::default() };
        let from = Position { ip: None, two_factor: true };
        self.act(|book| update_organisation(book, patch.clone(), &from)).await;
    }

    /// The same stack as it would go on by itself.
    fn fork(&self) -> Self {
        let faults = Faults::default();
        let (tables, kms) = (self.tables.fork(faults.clone()), self.kms.with(faults.clone()));
        Self { tables, kms, faults, org: self.org }
    }

    async fn message(&self, id: PaymentId) -> Value {
        let of = CashTaskOf::Payment(self.payment(id).await.reference);
        serde_json::to_value(CashTask::new(self.org, of)).unwrap()
    }

    async fn run(&self, bodies: &[Value]) -> Vec<String> {
        let worker = Worker::new(self.store(), entropy);
        worker.run(batch(bodies)).await.failed().map(str::to_owned).collect()
    }

    async fn look(&self, id: PaymentId) {
        let message = self.message(id).await;
        assert!(self.run(&[message]).await.is_empty());
    }

    /// What the log would say of a look at a payment.
    async fn line(&self, id: PaymentId) -> Line {
        let worker = Worker::new(self.store(), entropy);
        let task = serde_json::from_value(self.message(id).await).unwrap();
        let mut line = Line { timestamp: now(), message_id: Some("m0".into()), ..Line::default() };
        let rows =
            worker.store.read_many(vec![(self.org, about(&task)), (self.org, RowKey::Organisation)]).await;
        worker.work(&task, &rows.unwrap().into_iter().collect(), &mut line).await.unwrap();
        line
    }

    async fn applied(&self, id: PaymentId) -> Vec<(InvoiceId, i64)> {
        let payment = self.payment(id).await;
        let mut applied: Vec<_> = payment.allocations.values().map(|it| (it.invoice, it.amount)).collect();
        applied.sort_unstable();
        applied
    }

    fn audit(&self) -> Vec<AuditEvent> {
        let dump = self.tables.dump();
        let items = dump.iter().filter(|(key, _)| key.table == Table::Audit);
        items.map(|(_, item)| plixo_store::to_audit_event(item).unwrap()).collect()
    }
}

fn batch(bodies: &[Value]) -> Batch {
    let record = |(n, body): (usize, &Value)| json!({"messageId": format!("m{n}"), "body": body.to_string(), "attributes": {"ApproximateReceiveCount": "1"}});
    let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

fn threshold(text: &str) -> CashApplicationPatch {
    CashApplicationPatch { threshold: Patch::Set(text.into()), ..CashApplicationPatch::default() }
}

#[test]
fn what_is_named_and_paid_exactly_is_applied_once_with_its_audit_events() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let id = world.open(customer, "RE-2026-0042", 12_345).await;
        let payment = world.money(12_345, "WEBER GMBH", "Rechnung RE-2026-0042").await;
        let message = world.message(payment).await;
        assert!(world.run(&[message.clone(), message.clone()]).await.is_empty(), "twice in a batch");
        assert!(world.run(&[message]).await.is_empty(), "and once more");
        assert_eq!(world.applied(payment).await, [(id, 12_345)]);
        assert_eq!(world.invoice(id).await.balance(), eur(0));
        let after = world.payment(payment).await;
        let by: Vec<_> =
            after.allocations.values().map(|it| (it.applied_by.kind, it.applied_by.id.as_str())).collect();
        assert_eq!(by, [(ActorKind::Function, "worker-cash")]);
        let events = world.audit();
        let objects: BTreeSet<_> = events.iter().map(|event| event.object.id.clone()).collect();
        assert_eq!(objects, BTreeSet::from([payment.to_string(), id.to_string()]));
        assert_eq!(events.len(), 2);
        for event in events {
            assert_eq!(
                (event.action.as_str(), event.actor.id.as_str()),
                ("allocation.create", "worker-cash")
            );
            assert_eq!((event.fields, event.outcome), (vec!["allocations".to_owned()], Outcome::Allowed));
        }
        assert_eq!(world.line(payment).await.outcome, "nothing_to_apply");
    });
}

#[test]
fn a_payment_costs_five_calls() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let worker = Worker::new(world.store(), entropy);
        for n in 0..3 {
            let amount = 12_345 + n;
            world.open(customer, &format!("RE-2026-004{n}"), amount).await;
            let payment = world.money(amount, "WEBER GMBH", &format!("Rechnung RE-2026-004{n}")).await;
            let message = world.message(payment).await;
            let before = world.faults.calls();
            worker.run(batch(&[message])).await;
            let calls = world.faults.calls() - before;
            assert!(n == 0 || calls == 5, "the first one has the organisation's key unwrapped: {calls}");
            assert_eq!(world.applied(payment).await.len(), 1);
        }
    });
}

#[test]
fn several_that_are_named_get_all_of_it() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let (one, two) =
            (world.open(customer, "RE-1001", 500).await, world.open(customer, "RE-1002", 700).await);
        let payment = world.money(1_200, "Weber GmbH", "RE-1001, RE-1002").await;
        world.look(payment).await;
        let mut expected = vec![(one, 500), (two, 700)];
        expected.sort_unstable();
        assert_eq!(world.applied(payment).await, expected);
        assert_eq!(world.payment(payment).await.unapplied(), Some(eur(0)));
    });
}

#[test]
fn a_tie_and_a_longer_number_are_left_to_people() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        world.open(customer, "INV-42", 500).await;
        world.open(customer, "INV-042", 500).await;
        world.open(customer, "INV-10", 900).await;
        let cases = [
            world.money(500, "Weber GmbH", "INV-42").await,
            // INV-1 is nobody's number.
            world.money(900, "Somebody", "INV-1").await,
            world.money(900, "", "").await,
            world.money(901, "", "INV-10").await,
            world.money(450, "Weber GmbH", "INV-10").await,
        ];
        for payment in cases {
            assert_eq!(world.line(payment).await.outcome, "left_to_people");
            assert_eq!(world.applied(payment).await, []);
        }
        assert!(world.audit().is_empty());
    });
}

#[test]
fn a_raised_threshold_holds() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        world.open(customer, "RE-1001", 500).await;
        let stranger = world.money(500, "", "RE-1001").await;
        world.set(threshold("0.98")).await;
        assert_eq!(world.line(stranger).await.outcome, "left_to_people");
        world.set(threshold("0.97")).await;
        assert_eq!(world.line(stranger).await.outcome, "applied");
    });
}

#[test]
fn a_shortage_within_the_tolerance_is_applied_and_nothing_beyond() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let tolerance = |percent: &str, amount: &str| CashApplicationPatch {
            underpayment_tolerance: Patch::Set(TolerancePatch {
                percent: Some(percent.into()),
                amount: Some(amount.into()),
            }),
            ..CashApplicationPatch::default()
        };
        for (n, (total, paid, set, outcome)) in [
            (10_000, 9_999, None, "left_to_people"),
            (10_000, 9_900, Some(tolerance("1", "5")), "applied"),
            (10_000, 9_899, None, "left_to_people"),
            (100_000, 99_500, None, "applied"),
            (100_000, 99_499, None, "left_to_people"),
            (100_000, 99_800, Some(tolerance("1", "2")), "applied"),
            (100_000, 99_799, None, "left_to_people"),
        ]
        .into_iter()
        .enumerate()
        {
            if let Some(set) = set {
                world.set(set).await;
            }
            let number = format!("RE-{}", 2_001 + 11 * n);
            let id = world.open(customer, &number, total).await;
            let payment = world.money(paid, "Weber GmbH", &number).await;
            assert_eq!(world.line(payment).await.outcome, outcome, "{paid} of {total}");
            if outcome == "applied" {
                assert_eq!(world.invoice(id).await.balance(), eur(total - paid), "the rest stays open");
            }
        }
    });
}

#[test]
fn nothing_is_applied_where_the_organisation_does_not_want_it() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        world.open(customer, "RE-1001", 500).await;
        let payment = world.money(500, "Weber GmbH", "RE-1001").await;
        let off = CashApplicationPatch { automatic: Patch::Set(false), ..CashApplicationPatch::default() };
        world.set(off).await;
        assert_eq!(world.line(payment).await.outcome, "switched_off");
        assert_eq!(world.applied(payment).await, []);
    });
}

#[test]
fn what_a_person_took_back_is_never_applied_again() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let id = world.open(customer, "RE-1001", 500).await;
        let payment = world.money(500, "Weber GmbH", "RE-1001").await;
        let before = (world.invoice(id).await, world.payment(payment).await);
        let payer = before.1.payer_hash.clone().unwrap();
        world.look(payment).await;
        let made = *world.payment(payment).await.allocations.keys().next().unwrap();
        assert!(world.row::<PayerHistory>(&payer).await.is_some());
        world.deallocate(payment, made).await;
        let after = (world.invoice(id).await, world.payment(payment).await);
        let remembered = Payment { taken_back: true, ..before.1 };
        assert_eq!(after, (before.0, remembered), "all is as it was, but for that");
        assert_eq!(world.row::<PayerHistory>(&payer).await, None);
        assert_eq!(world.line(payment).await.outcome, "nothing_to_apply");
        let task = CashTask::new(world.org, CashTaskOf::Invoice(id));
        assert!(world.run(&[serde_json::to_value(task).unwrap()]).await.is_empty());
        assert_eq!(world.applied(payment).await, []);
    });
}

#[test]
fn two_payments_of_one_invoice_do_not_both_get_it() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let id = world.open(customer, "RE-1001", 500).await;
        let both = [
            world.money(500, "Weber GmbH", "RE-1001").await,
            world.money(500, "Weber GmbH", "RE-1001 nochmal").await,
        ];
        let messages = [world.message(both[0]).await, world.message(both[1]).await];
        assert!(world.run(&messages).await.is_empty());
        assert_eq!(world.invoice(id).await.balance(), eur(0));
        let applied = [world.applied(both[0]).await.len(), world.applied(both[1]).await.len()];
        assert_eq!(applied.iter().sum::<usize>(), 1, "{applied:?}");
    });
}

#[test]
fn many_of_one_payer_at_once_are_all_applied() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let mut messages = Vec::new();
        let mut payments = Vec::new();
        for n in 0..6 {
            let number = format!("RE-{}", 3_001 + 13 * n);
            world.open(customer, &number, 1_000 + n).await;
            payments.push(world.money(1_000 + n, "Weber GmbH", &number).await);
            messages.push(world.message(payments[payments.len() - 1]).await);
        }
        let failed = world.run(&messages).await;
        let again: Vec<_> = failed
            .iter()
            .map(|id| messages[id.trim_start_matches('m').parse::<usize>().unwrap()].clone())
            .collect();
        assert!(world.run(&again).await.is_empty(), "they share a row, the payer's history");
        for payment in payments {
            assert_eq!(world.applied(payment).await.len(), 1);
        }
    });
}

#[test]
fn an_invoice_finds_the_payments_that_waited_for_it() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let early = world.money(500, "Weber GmbH", "RE-1001").await;
        let other = world.money(999, "Weber GmbH", "RE-1009").await;
        world.look(early).await;
        assert_eq!(world.applied(early).await, []);
        let id = world.open(customer, "RE-1001", 500).await;
        let message = serde_json::to_value(CashTask::new(world.org, CashTaskOf::Invoice(id))).unwrap();
        assert!(world.run(std::slice::from_ref(&message)).await.is_empty());
        assert!(world.run(&[message]).await.is_empty());
        assert_eq!((world.applied(early).await, world.applied(other).await), (vec![(id, 500)], vec![]));
    });
}

#[test]
fn a_message_reaches_its_own_organisation_alone() {
    block_on(async {
        let world = World::new().await;
        let other = world.other().await;
        let customer = world.customer("Weber GmbH").await;
        let id = world.open(customer, "RE-1001", 500).await;
        let payment = world.money(500, "Weber GmbH", "RE-1001").await;
        let theirs = other.money(500, "Weber GmbH", "RE-1001").await;
        let before = world.tables.dump();
        other.look(theirs).await;
        let of = world.payment(payment).await.reference;
        for of in [CashTaskOf::Payment(of), CashTaskOf::Invoice(id)] {
            let task = CashTask::new(other.org, of);
            assert!(other.run(&[serde_json::to_value(task).unwrap()]).await.is_empty());
        }
        assert_eq!(world.tables.dump(), before);
    });
}

#[test]
fn what_cannot_be_read_fails_alone() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        world.open(customer, "RE-1001", 500).await;
        let payment = world.money(500, "Weber GmbH", "RE-1001").await;
        let good = world.message(payment).await;
        let mut newer = good.clone();
        newer["v"] = 2.into();
        let odd = json!({"v": 1, "org": world.org});
        assert_eq!(world.run(&[newer, good, odd, json!("x")]).await, ["m0", "m2", "m3"]);
        assert_eq!(world.applied(payment).await.len(), 1);
    });
}

#[test]
fn whatever_fails_the_next_try_ends_the_same() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let id = world.open(customer, "RE-1001", 500).await;
        let payment = world.money(500, "Weber GmbH", "RE-1001").await;
        let message = world.message(payment).await;
        let clean = world.fork();
        assert!(clean.run(std::slice::from_ref(&message)).await.is_empty());
        let calls = clean.faults.calls();
        assert!(calls >= 5);
        for n in 0..calls {
            for fault in [Fault::Refuses, Fault::LosesAnswer] {
                let world = world.fork();
                world.faults.plan(n, fault);
                let failed = world.run(std::slice::from_ref(&message)).await;
                assert_eq!(failed, ["m0"], "call {n}: {fault:?}");
                assert!(world.run(std::slice::from_ref(&message)).await.is_empty());
                assert_eq!(world.applied(payment).await, [(id, 500)]);
                assert_eq!(world.invoice(id).await.balance(), eur(0));
                assert_eq!(world.audit().len(), 2, "call {n}: {fault:?}");
            }
        }
    });
}

#[test]
fn nothing_private_is_in_a_line_or_in_the_clear_in_a_table() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Canary Holding").await;
        world.open(customer, "RE-1001", 98_765).await;
        let payment = world.money(98_765, "Canary Holding", "canary-text RE-1001").await;
        let line = world.line(payment).await;
        assert_eq!(line.outcome, "applied");
        let line = String::from_utf8(line.bytes()).unwrap();
        for secret in ["anary", "RE-1001", "98765", "98,765"] {
            assert!(!line.contains(secret), "{secret}: {line}");
        }
        let text = |item: &plixo_store::Item| {
            let texts = item.values().filter_map(|value| match value {
                AttributeValue::S(text) => Some(text.clone()),
                _ => None,
            });
            texts.collect::<Vec<_>>().join(" ")
        };
        for (key, item) in world.tables.dump() {
            assert!(!text(&item).contains("anary") && !key.pk.contains("anary"), "{key:?}");
        }
    });
}
