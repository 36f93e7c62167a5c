use std::collections::BTreeSet;

use jiff::Timestamp;
use plixo_domain::id::{EndpointId, Ids, OrgId};
use plixo_domain::ledger::{
    Book, Customer, CustomerRef, Invoice, InvoiceRef, InvoiceState, Kept, Payment, PaymentStatus, Row,
};
use plixo_domain::webhook::{EventKey, EventStatus, ExternalRef, Provider, WebhookEvent};
use plixo_lambda::batch::{Batch, BatchResponse};
use plixo_store::{Item, List, Page, Store, Table};
use plixo_testing::{FakeErp, FakeKms, FakeQueue, FakeTables, FakeVault, Fault, Faults, entropy};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Receivers, Worker};

mod fetching;
mod upkeep;

const NOW: &str = "2026-06-15T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

struct World {
    tables: FakeTables,
    kms: FakeKms,
    erp: FakeErp,
    cash: FakeQueue,
    vault: FakeVault,
    faults: Faults,
    org: OrgId,
    endpoint: EndpointId,
}

impl World {
    fn new() -> Self {
        let mut ids = Ids::new(now(), [7; 10]);
        let faults = Faults::default();
        let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::new(faults.clone()));
        let world = Self {
            tables,
            kms,
            erp: FakeErp::default(),
            cash: FakeQueue::new(faults.clone()),
            vault: FakeVault::new(faults.clone()),
            faults,
            org: ids.make(),
            endpoint: ids.make(),
        };
        block_on(world.store().create_data_key(&world.org, &world.kms)).unwrap();
        world
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    fn message(&self, n: usize, provider: &str, id: Option<&str>, text: &str) -> Value {
        let mut envelope = json!({"v": 1, "org": self.org, "endpoint": self.endpoint, "provider": provider,
            "received_at": NOW, "request_id": format!("r{n}"), "ip": "203.0.113.9", "encoding": "identity"});
        if let Some(id) = id {
            envelope["event_id"] = id.into();
        }
        json!({"messageId": format!("m{n}"), "body": text, "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {"plixo": {"dataType": "String", "stringValue": envelope.to_string()}}})
    }

    fn run(&self, messages: &[Value]) -> BatchResponse {
        let batch: Batch = serde_json::from_value(json!({ "Records": messages })).unwrap();
        let receivers = Receivers { vault: self.vault.clone(), base_url: "https://plixo.example".to_owned() };
        block_on(Worker::new(self.store(), self.cash.clone(), self.erp.clone(), receivers).run(batch))
    }

    /// Works canonical events off, each named by its place.
    fn tell(&self, events: &[Value]) {
        for (n, event) in events.iter().enumerate() {
            let message = self.message(n, "standard_webhooks", Some(&format!("msg_{n}")), &event.to_string());
            assert_eq!(self.run(&[message]), BatchResponse::default(), "{event}");
        }
    }

    fn row<T: Kept + Clone>(&self, name: &T::Name) -> Option<T> {
        let rows = block_on(self.store().read(&self.org, vec![T::key(name)])).unwrap();
        rows.into_iter().find_map(|(_, row)| row).and_then(|(row, _)| T::of(&row).cloned())
    }

    fn invoice(&self, id: &str) -> Invoice {
        let link: InvoiceRef = self.row(&named(id)).unwrap();
        self.row(&link.invoice).unwrap()
    }

    fn payment(&self, id: &str) -> Payment {
        self.row(&named(id)).unwrap()
    }

    fn event(&self, id: &str) -> WebhookEvent {
        let provider_event_id = id.parse().unwrap();
        self.row(&EventKey { endpoint: self.endpoint, provider_event_id, conflict: None }).unwrap()
    }

    fn events(&self) -> Vec<WebhookEvent> {
        let page = Page { limit: 100, after: None, descending: false };
        let listed = block_on(self.store().list(&self.org, &List::WebhookEvents, page, now())).unwrap();
        let event = |row| if let Row::WebhookEvent(event) = row { Some(event) } else { None };
        listed.rows.into_iter().filter_map(|(row, _)| event(row)).collect()
    }

    fn audits(&self) -> Vec<Value> {
        let dump = self.tables.dump();
        let of_audit = dump.iter().filter(|(key, _)| key.table == Table::Audit);
        let row = |(_, item): (&_, &Item)| serde_json::from_str(item["row"].as_s().unwrap()).unwrap();
        of_audit.map(row).collect()
    }
}

fn named(id: &str) -> ExternalRef {
    ExternalRef { provider: Provider::StandardWebhooks, id: id.parse().unwrap() }
}

fn sample(name: &str) -> String {
    let path = format!("{}/../../events/webhook-erp/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn at(second: u32) -> String {
    format!("2026-11-21T08:00:{second:02}Z")
}

fn invoice(id: &str, second: u32, number: &str, amount: i64) -> Value {
    let total = json!({"amount": amount, "currency": "EUR"});
    let line = json!({"description": "Work", "quantity": "1", "unit_price": total});
    json!({"type": "invoice.upserted", "timestamp": at(second), "data": {"id": id, "number": number,
        "customer": "C-1", "state": "open", "total": total, "due_on": "2026-12-20", "lines": [line]}})
}

fn payment(id: &str, second: u32, amount: i64, to: &[(&str, i64)]) -> Value {
    let money = |amount: i64| json!({"amount": amount, "currency": "EUR"});
    let share = |(invoice, amount): &(&str, i64)| json!({"invoice": invoice, "amount": money(*amount)});
    json!({"type": "payment.recorded", "timestamp": at(second), "data": {"id": id, "amount": money(amount),
        "customer": "C-1", "received_on": "2026-11-20", "allocations": to.iter().map(share).collect::<Vec<_>>()}})
}

#[test]
fn what_is_told_counts_with_an_event_and_an_audit_event_of_the_same_transaction() {
    let world = World::new();
    let read = |name: &str| serde_json::from_str(&sample(&format!("canonical.{name}"))).unwrap();
    world.tell(&[read("invoice.upserted"), read("customer.upserted"), read("payment.recorded")]);
    let invoice = world.invoice("INV-77");
    assert_eq!((invoice.number.as_str(), invoice.total.amount), ("INV-77", 23_800));
    assert_eq!((invoice.balance().amount, world.payment("PAY-9").allocated()), (0, 23_800));
    let customer: CustomerRef = world.row(&named("C-1001")).unwrap();
    assert_eq!(customer.customer, invoice.customer_id);
    assert!(world.row::<Customer>(&customer.customer).is_some());
    let event = world.event("msg_2");
    assert_eq!((event.status, event.kind.as_str()), (EventStatus::Applied, "payment.recorded"));
    assert_eq!((event.provider, event.applied_at.is_some()), (Provider::StandardWebhooks, true));
    let audits = world.audits();
    let actions: BTreeSet<_> = audits.iter().map(|it| it["action"].as_str().unwrap()).collect();
    let expected =
        ["customer.create", "customer.update", "invoice.create", "invoice.update", "payment.create"];
    assert_eq!(actions, BTreeSet::from(expected));
    assert!(audits.iter().all(|it| it["actor"]["kind"] == "provider" && it["ip"] == "203.0.113.9"));
    let shown = format!("{audits:?}");
    assert!(!shown.contains("Handels") && !shown.contains("zoe.example"), "{shown}");
}

#[test]
fn erpnexts_documents_count_once_by_their_bytes() {
    let world = World::new();
    let texts = ["sales_invoice", "payment_entry", "customer"].map(|it| sample(&format!("erpnext.{it}")));
    for _ in 0..2 {
        let messages: Vec<_> =
            texts.iter().enumerate().map(|(n, it)| world.message(n, "erpnext", None, it)).collect();
        assert_eq!(world.run(&messages), BatchResponse::default());
    }
    let events = world.events();
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event.status == EventStatus::Applied), "{events:?}");
    let of = |id: &str| ExternalRef { provider: Provider::Erpnext, id: id.parse().unwrap() };
    let link: InvoiceRef = world.row(&of("ACC-SINV-2026-00042")).unwrap();
    assert_eq!(world.row::<Invoice>(&link.invoice).unwrap().total.amount, 23_800);
}

#[test]
fn of_a_customer_who_was_erased_no_text_is_kept_whatever_it_says() {
    let world = World::new();
    let mut book = Book::default();
    for (provider, id) in [(Provider::StandardWebhooks, "C-1"), (Provider::Erpnext, "CUST-1")] {
        let reference = ExternalRef { provider, id: id.parse().unwrap() };
        let customer = Ids::new(now(), [3; 10]).make();
        book.put_new(CustomerRef { reference, customer, noted: None, erased: true });
    }
    block_on(world.store().commit(&world.org, &book, None, &[], now())).unwrap();
    let noted = |customer: &str| json!({"type": "note.added", "data": {"id": "n", "customer": customer, "text": "Canary"}});
    let draft = json!({"type": "invoice.upserted", "timestamp": at(1), "data": {"id": "d", "customer": "C-1", "state": "draft",
        "total": {"amount": 0, "currency": "EUR"}, "lines": [], "memo": "Canary"}});
    let mistyped =
        json!({"type": "customer.upserted", "timestamp": at(1), "data": {"id": "C-1", "surname": "Canary"}});
    let order = |customer: &str| json!({"doctype": "Sales Order", "name": "SO-1", "customer": customer, "remarks": "Canary"});
    let entry = json!({"doctype": "Journal Entry", "name": "J-1", "party_type": "Customer", "party": "CUST-1", "remarks": "Canary"});
    for (n, (provider, text, is_kept)) in [
        ("standard_webhooks", noted("C-1"), false),
        ("standard_webhooks", draft, false),
        ("standard_webhooks", mistyped, false),
        ("erpnext", order("CUST-1"), false),
        ("erpnext", entry, false),
        ("standard_webhooks", noted("C-2"), true),
        ("erpnext", order("CUST-2"), true),
    ]
    .into_iter()
    .enumerate()
    {
        let payloads = || world.tables.dump().keys().filter(|key| key.sk.starts_with("payload#")).count();
        let (events, before) = (world.events().len(), payloads());
        let id = (provider == "standard_webhooks").then(|| format!("msg_{n}"));
        drop(world.run(&[world.message(n, provider, id.as_deref(), &text.to_string())]));
        assert_eq!(world.events().len(), events + 1, "{text}");
        assert_eq!(payloads() - before, usize::from(is_kept), "{text}");
    }
}

#[test]
fn an_id_with_other_bytes_is_a_conflict_and_changes_nothing() {
    let world = World::new();
    let message = |n, amount| {
        world.message(n, "standard_webhooks", Some("msg_1"), &invoice("i1", 1, "RE-1", amount).to_string())
    };
    assert_eq!(world.run(&[message(1, 100)]), BatchResponse::default());
    assert_eq!(world.run(&[message(2, 900)]), BatchResponse::default());
    assert_eq!(world.run(&[message(3, 100)]), BatchResponse::default());
    assert_eq!(world.invoice("i1").total.amount, 100);
    let statuses: Vec<_> = world.events().into_iter().map(|event| event.status).collect();
    assert_eq!(statuses.len(), 2);
    assert!(statuses.contains(&EventStatus::Conflict) && statuses.contains(&EventStatus::Applied));
}

#[test]
fn a_taken_number_fails_and_counts_once_it_is_free() {
    let world = World::new();
    world.tell(&[invoice("i1", 1, "RE-1", 100)]);
    let second =
        world.message(9, "standard_webhooks", Some("msg_9"), &invoice("i2", 1, "RE-1", 200).to_string());
    for _ in 0..2 {
        assert_eq!(world.run(std::slice::from_ref(&second)).failed().collect::<Vec<_>>(), ["m9"]);
        assert_eq!(world.event("msg_9").status, EventStatus::Failed);
        assert!(world.row::<InvoiceRef>(&named("i2")).is_none());
    }
    let voided = json!({"type": "invoice.voided", "timestamp": at(2), "data": {"id": "i1"}});
    let voided = world.message(8, "standard_webhooks", Some("msg_8"), &voided.to_string());
    assert_eq!(world.run(&[voided]), BatchResponse::default());
    assert_eq!(world.run(&[second]), BatchResponse::default());
    assert_eq!(world.event("msg_9").status, EventStatus::Applied);
    assert_eq!(world.invoice("i1").state, InvoiceState::Void);
    assert_eq!(world.invoice("i2").total.amount, 200);
}

#[test]
fn a_field_that_cannot_be_is_recorded_as_failed_and_one_of_no_use_as_ignored() {
    let world = World::new();
    let mut wrong = invoice("i1", 1, "RE-1", 100);
    wrong["data"]["total"]["currency"] = "XXZ".into();
    let wrong = world.message(1, "standard_webhooks", Some("msg_1"), &wrong.to_string());
    assert_eq!(world.run(&[wrong]).failed().collect::<Vec<_>>(), ["m1"]);
    assert_eq!(world.event("msg_1").status, EventStatus::Failed);
    let unused = world.message(2, "standard_webhooks", Some("msg_2"), &sample("canonical.unused"));
    assert_eq!(world.run(&[unused]), BatchResponse::default());
    assert_eq!(world.event("msg_2").status, EventStatus::Ignored);
    let poison = world.message(3, "standard_webhooks", Some("msg_3"), "[]");
    assert_eq!(world.run(&[poison]).failed().collect::<Vec<_>>(), ["m3"]);
}

#[test]
fn a_withdrawn_payment_gives_back_what_it_paid_and_a_credit_note_pays() {
    let world = World::new();
    let withdrawn =
        json!({"type": "payment.recorded", "timestamp": at(5), "data": {"id": "p1", "state": "withdrawn"}});
    let money = json!({"amount": 40, "currency": "EUR"});
    let credit = json!({"type": "credit_note.recorded", "timestamp": at(6), "data": {"id": "n1", "customer": "C-1",
        "total": money, "allocations": [{"invoice": "i1", "amount": money}]}});
    world.tell(&[invoice("i1", 1, "RE-1", 100), payment("p1", 2, 100, &[("i1", 100)]), withdrawn, credit]);
    assert_eq!(world.payment("p1").status(), PaymentStatus::Failed);
    assert_eq!(world.payment("credit_note:n1").allocated(), 40);
    assert_eq!(world.invoice("i1").balance().amount, 60);
}

#[test]
fn each_event_of_a_delivery_counts_by_itself() {
    let world = World::new();
    // Deletions are told at once; the second of the three is of nothing that Plixo keeps.
    let entity = |name: &str, id: &str| {
        json!({"name": name, "id": id, "operation": "Delete",
        "lastUpdated": "2026-11-21T08:00:00.000Z"})
    };
    let delivery = json!({"eventNotifications": [{"realmId": "1185883450",
        "dataChangeEvent": {"entities": [entity("Invoice", "1"), entity("Vendor", "2"), entity("Payment", "3")]}}]});
    let message = world.message(1, "quickbooks", None, &delivery.to_string());
    assert_eq!(world.run(std::slice::from_ref(&message)), BatchResponse::default());
    let statuses: Vec<_> = world.events().into_iter().map(|it| (it.kind, it.status)).collect();
    assert_eq!(statuses.len(), 3);
    assert!(statuses.contains(&("vendor.delete".to_owned(), EventStatus::Ignored)), "{statuses:?}");
    for event in world.events() {
        let store = world.store();
        let text = store.payload(&world.org, event.id, &event.key, event.fingerprint, now());
        let text = block_on(text).unwrap().unwrap();
        let again = world.message(2, "quickbooks", None, &text);
        assert!(text.len() < delivery.to_string().len(), "it is kept without the others");
        assert_eq!(world.run(&[again]), BatchResponse::default());
    }
    assert_eq!(world.run(&[message]), BatchResponse::default());
    assert_eq!(world.events().len(), 3);
}

#[test]
fn one_event_that_fails_hinders_no_other_of_its_delivery() {
    let entity = |name: &str, id: &str| {
        json!({"name": name, "id": id, "operation": "Delete",
        "lastUpdated": "2026-11-21T08:00:00.000Z"})
    };
    let delivery = json!({"eventNotifications": [{"realmId": "1185883450",
        "dataChangeEvent": {"entities": [entity("Invoice", "1"), entity("Payment", "3")]}}]});
    let message = |world: &World| world.message(1, "quickbooks", None, &delivery.to_string());
    let mut alone = 0;
    for n in 0..12 {
        let world = World::new();
        world.faults.plan(n, Fault::Refuses);
        let failed = world.run(std::slice::from_ref(&message(&world)));
        world.faults.clear();
        let recorded = world.events().len();
        assert_eq!(failed.failed().count(), usize::from(recorded < 2), "call {n}");
        alone += usize::from(recorded == 1);
        assert_eq!(world.run(&[message(&world)]), BatchResponse::default());
        assert_eq!(world.events().len(), 2);
    }
    assert!(alone > 0);
}

fn comes_in_that_order(order: &[usize]) {
    let events = [
        invoice("i1", 1, "RE-1", 100),
        invoice("i1", 4, "RE-1", 150),
        invoice("i2", 2, "RE-2", 70),
        payment("p1", 1, 120, &[("i1", 120)]),
        payment("p1", 3, 120, &[("i1", 50), ("i2", 70)]),
        payment("p2", 2, 30, &[("i1", 30)]),
        json!({"type": "payment.recorded", "timestamp": at(9), "data": {"id": "p2", "state": "withdrawn"}}),
        json!({"type": "customer.upserted", "timestamp": at(1), "data": {"id": "C-1", "name": "A"}}),
        json!({"type": "customer.upserted", "timestamp": at(2), "data": {"id": "C-1", "name": "B"}}),
        payment("p3", 2, 25, &[]),
    ];
    let world = World::new();
    let message = |n: &usize| {
        let id = format!("msg_{n}");
        world.message(*n, "generic_hmac", Some(&id), &events[*n].to_string())
    };
    let messages: Vec<_> = order.iter().map(message).collect();
    for batch in messages.chunks(7) {
        // The same message twice in a batch is two messages to SQS.
        let mut batch = batch.to_vec();
        batch.iter_mut().enumerate().for_each(|(n, it)| it["messageId"] = format!("b{n}").into());
        assert_eq!(world.run(&batch), BatchResponse::default());
    }
    let of = |id: &str| ExternalRef { provider: Provider::GenericHmac, id: id.parse().unwrap() };
    let balance = |id: &str| {
        let link: InvoiceRef = world.row(&of(id)).unwrap();
        world.row::<Invoice>(&link.invoice).unwrap().balance().amount
    };
    let unapplied = |id: &str| world.row::<Payment>(&of(id)).unwrap().unapplied().unwrap().amount;
    assert_eq!((balance("i1"), balance("i2")), (100, 0));
    assert_eq!((unapplied("p1"), unapplied("p2"), unapplied("p3")), (0, 0, 25));
    assert_eq!(world.events().len(), 10);
}

#[test]
fn a_payment_that_is_withdrawn_while_its_invoice_comes_keeps_no_claim() {
    comes_in_that_order(&[7, 5, 2, 7, 8, 2, 3, 0, 5, 1, 6, 4, 4, 9, 1, 9, 0, 8, 6, 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn in_any_order_and_however_often_the_ledger_says_the_same(
        order in Just((0..10_usize).chain(0..10).collect::<Vec<_>>()).prop_shuffle()
    ) {
        comes_in_that_order(&order);
    }
}
