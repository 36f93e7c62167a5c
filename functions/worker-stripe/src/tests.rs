use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use plixo_domain::id::{CustomerId, EndpointId, Ids, InvoiceId, OrgId};
use plixo_domain::ledger::{
    Book, Closed, Customer, CustomerRef, Invoice, InvoiceBody, InvoiceState, InvoiceStatus, Kept,
    Organisation, Payment, PaymentStatus, Personal, Private, Residency, Row, RowKey, Settings,
};
use plixo_domain::money::Money;
use plixo_domain::webhook::{EventKey, EventStatus, ExternalRef, Fingerprint, Provider, WebhookEvent};
use plixo_lambda::batch::{Batch, BatchResponse};
use plixo_lambda::clock;
use plixo_store::{AttributeValue, Store, Table, keys};
use plixo_testing::{FakeKms, FakeQueue, FakeTables, Fault, Faults, entropy};
use serde_json::{Value, json};

use super::Worker;

const NOW: &str = "2026-06-15T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A stack with one organisation and three open invoices of 125.00 EUR.
#[derive(Clone)]
struct Stack {
    tables: FakeTables,
    kms: FakeKms,
    faults: Faults,
    org: OrgId,
    endpoint: EndpointId,
    invoices: Vec<InvoiceId>,
}

impl Stack {
    async fn new() -> Self {
        let mut ids = Ids::new(now(), [7; 10]);
        let faults = Faults::default();
        let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::new(faults.clone()));
        let (org, endpoint, customer): (OrgId, EndpointId, CustomerId) = (ids.make(), ids.make(), ids.make());
        let stack =
            Self { tables, kms, faults, org, endpoint, invoices: (0..3).map(|_| ids.make()).collect() };
        let store = stack.store();
        store.create_data_key(&org, &stack.kms).await.unwrap();
        let mut book = Book::default();
        for (n, id) in stack.invoices.iter().enumerate() {
            book.put_new(Invoice {
                id: *id,
                number: format!("RE-{n}"),
                customer_id: customer,
                state: InvoiceState::Open,
                total: Money::new(12_500, "EUR".parse().unwrap()),
                issued_on: None,
                due_on: None,
                body: Private::Plain(InvoiceBody::default()),
                claims: BTreeMap::new(),
                checkout: None,
                asked: None,
                ended_at: None,
                reference: None,
                erased: false,
            });
        }
        store.commit(&org, &book, None, &[], now()).await.unwrap();
        stack
    }

    /// The same stack as a new process sees it, or as it would go on by itself.
    fn fork(&self) -> Self {
        let faults = Faults::default();
        Self {
            tables: self.tables.fork(faults.clone()),
            kms: self.kms.with(faults.clone()),
            faults,
            ..self.clone()
        }
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    async fn run(&self, messages: &[Value]) -> BatchResponse {
        Worker::new(self.store(), FakeQueue::new(self.faults.clone())).run(batch(messages)).await
    }

    async fn run_all(&self, messages: &[Value]) {
        for messages in messages.chunks(10) {
            let failed: Vec<_> = self.run(messages).await.failed().map(str::to_owned).collect();
            assert!(failed.is_empty(), "{failed:?}");
        }
    }

    fn message(&self, n: usize, event: &Value) -> Value {
        self.raw_message(n, &event.to_string())
    }

    fn raw_message(&self, n: usize, text: &str) -> Value {
        let envelope = json!({"v": 1, "org": self.org, "endpoint": self.endpoint, "received_at": NOW,
            "request_id": format!("r{n}"), "ip": "203.0.113.9", "encoding": "identity"});
        json!({"messageId": format!("m{n}"), "body": text, "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {"plixo": {"dataType": "String", "stringValue": envelope.to_string()}}})
    }

    async fn row<T: Kept + Clone>(&self, name: &T::Name) -> Option<T> {
        let rows = self.store().read(&self.org, vec![T::key(name)]).await.unwrap();
        rows.into_iter().find_map(|(_, row)| row).and_then(|(row, _)| T::of(&row).cloned())
    }

    async fn invoice(&self, n: usize) -> Invoice {
        self.row(&self.invoices[n]).await.unwrap()
    }

    async fn payment(&self, id: &str) -> Payment {
        self.row(&ExternalRef { provider: Provider::Stripe, id: id.parse().unwrap() }).await.unwrap()
    }

    async fn event(&self, id: &str) -> WebhookEvent {
        self.row(&self.event_key(id, None)).await.unwrap()
    }

    fn event_key(&self, id: &str, conflict: Option<Fingerprint>) -> EventKey {
        EventKey { endpoint: self.endpoint, provider_event_id: id.parse().unwrap(), conflict }
    }

    /// What the ledger says, without what follows from who came first: ids, versions, times of work.
    async fn ledger(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (key, item) in self.tables.dump() {
            let text = |name: &str| match item.get(name) {
                Some(AttributeValue::S(text)) => text.clone(),
                other => format!("{other:?}"),
            };
            match text("kind").as_str() {
                "payment" => {
                    let (_, id) = key.pk.rsplit_once('#').unwrap();
                    let it = self.payment(id).await;
                    let shares: Vec<_> =
                        it.allocations.values().map(|share| (share.invoice, share.amount)).collect();
                    lines.push(format!(
                        "{id} {:?} {:?} {:?} {shares:?}",
                        it.status(),
                        it.amount(),
                        it.unapplied()
                    ));
                }
                "invoice" => {
                    let row: Value = serde_json::from_str(&text("row")).unwrap();
                    lines.push(format!("{} {} {}", row["number"], row["status"], row["balance"]));
                }
                "webhook_event" => lines.push(format!("{} {}", key.pk, key.sk)),
                "payload" => lines.push(format!("{} {}", key.pk, key.sk)),
                "customer_ref" => lines.push(key.pk.clone()),
                _ => {}
            }
        }
        lines.push(format!("customers {}", self.count("customer")));
        lines
    }

    fn count(&self, kind: &str) -> usize {
        let is = |value: &AttributeValue| value.as_s().is_ok_and(|it| it == kind);
        self.tables.dump().values().filter(|item| item.get("kind").is_some_and(is)).count()
    }

    /// Every event that was recorded has audit events of exactly one transaction.
    fn assert_audited_once(&self) {
        let dump = self.tables.dump();
        let audits = dump.iter().filter(|(key, _)| key.table == Table::Audit);
        let object = |(_, item): (&_, &plixo_store::Item)| {
            let event = plixo_store::to_audit_event(item).unwrap();
            (event.request_id, event.object)
        };
        let objects: Vec<_> = audits.map(object).collect();
        let requests: BTreeSet<_> = objects.iter().map(|(request, _)| request).collect();
        for (n, one) in objects.iter().enumerate() {
            assert!(!objects[n + 1..].contains(one), "audited twice: {one:?}");
        }
        assert_eq!(requests.len(), self.count("webhook_event"));
    }
}

fn batch(messages: &[Value]) -> Batch {
    serde_json::from_value(json!({ "Records": messages })).unwrap()
}

fn fixture(kind: &str) -> Value {
    let path = format!("{}/../../events/stripe/{kind}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A fixture as an event of its own, about one invoice and one payment intent.
fn event(kind: &str, id: &str, intent: &str, invoice: Option<InvoiceId>) -> Value {
    let mut event = fixture(kind);
    event["id"] = id.into();
    let object = &mut event["data"]["object"];
    let intent_field = if kind.starts_with("payment_intent") { "id" } else { "payment_intent" };
    object[intent_field] = intent.into();
    object["metadata"] = invoice.map_or(json!({}), |invoice| json!({ "plixo_invoice_id": invoice }));
    event
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

#[test]
fn each_type_has_its_effect() {
    block_on(async {
        let stack = Stack::new().await;
        let (first, second) = (Some(stack.invoices[0]), Some(stack.invoices[1]));
        let tell = async |kind: &str, id: &str, intent: &str, invoice| {
            let n = id.trim_start_matches('e').parse().unwrap();
            stack.run_all(&[stack.message(n, &event(kind, id, intent, invoice))]).await;
            stack.event(id).await.status
        };
        for (kind, id) in [
            ("charge.succeeded", "e1"),
            ("payment_intent.succeeded", "e2"),
            ("checkout.session.completed", "e3"),
        ] {
            assert_eq!(tell(kind, id, "pi_1", first).await, EventStatus::Applied, "{kind}");
            assert_eq!(stack.invoice(0).await.status(), InvoiceStatus::Paid, "{kind}");
        }
        assert_eq!(tell("payment_intent.payment_failed", "e4", "pi_1", first).await, EventStatus::Superseded);
        assert_eq!(tell("charge.refunded", "e5", "pi_1", first).await, EventStatus::Applied);
        let refunded = fixture("charge.refunded")["data"]["object"]["amount_refunded"].as_i64().unwrap();
        assert_eq!(stack.invoice(0).await.balance().amount, refunded);
        assert_eq!(tell("charge.dispute.created", "e6", "pi_1", first).await, EventStatus::Applied);
        assert_eq!(stack.payment("pi_1").await.status(), PaymentStatus::Disputed);

        assert_eq!(tell("payment_intent.payment_failed", "e7", "pi_2", second).await, EventStatus::Applied);
        assert_eq!(stack.payment("pi_2").await.status(), PaymentStatus::Failed);
        assert_eq!(
            tell("checkout.session.async_payment_succeeded", "e8", "pi_2", second).await,
            EventStatus::Applied
        );
        assert_eq!(stack.invoice(1).await.status(), InvoiceStatus::Paid);

        assert_eq!(tell("payment_intent.canceled", "e9", "pi_3", None).await, EventStatus::Applied);
        assert_eq!(
            tell("checkout.session.async_payment_failed", "e10", "pi_4", None).await,
            EventStatus::Applied
        );
        assert_eq!(tell("payment_intent.succeeded", "e11", "pi_5", None).await, EventStatus::Applied);
        assert_eq!(stack.payment("pi_5").await.unapplied().unwrap().amount, 12_500);
        assert_eq!(tell("refund.updated", "e12", "pi_5", None).await, EventStatus::Applied);

        stack
            .run_all(&[
                stack.message(21, &fixture("payout.paid")),
                stack.message(22, &fixture("checkout.session.expired")),
            ])
            .await;
        let unused = fixture("payout.paid");
        assert_eq!(stack.event(unused["id"].as_str().unwrap()).await.status, EventStatus::Ignored);
        for (n, kind) in (23..).zip(["customer.created", "customer.updated", "customer.deleted"]) {
            stack.run_all(&[stack.message(n, &fixture(kind))]).await;
            let id = fixture(kind)["id"].as_str().unwrap().to_owned();
            assert_eq!(stack.event(&id).await.status, EventStatus::Applied, "{kind}");
        }
        assert_eq!(stack.count("customer"), 1);
        stack.assert_audited_once();
    });
}

#[test]
fn a_lost_dispute_reverses_the_allocation() {
    block_on(async {
        let stack = Stack::new().await;
        let invoice = Some(stack.invoices[0]);
        let mut lost = event("charge.dispute.closed", "e2", "pi_1", invoice);
        lost["data"]["object"]["status"] = "lost".into();
        lost["data"]["object"]["amount"] = 12_500.into();
        stack
            .run_all(&[
                stack.message(1, &event("payment_intent.succeeded", "e1", "pi_1", invoice)),
                stack.message(2, &lost),
            ])
            .await;
        assert_eq!(stack.invoice(0).await.status(), InvoiceStatus::Open);
        assert_eq!(stack.payment("pi_1").await.unapplied().unwrap().amount, 0);
    });
}

/// Events of one batch that meet on the same rows.
fn meeting(stack: &Stack) -> Vec<Value> {
    let invoice = Some(stack.invoices[0]);
    [
        event("payment_intent.succeeded", "e1", "pi_1", invoice),
        event("charge.succeeded", "e2", "pi_1", invoice),
        event("charge.refunded", "e3", "pi_1", invoice),
        event("payment_intent.succeeded", "e4", "pi_2", invoice),
        event("payment_intent.succeeded", "e1", "pi_1", invoice),
        event("charge.succeeded", "e5", "pi_3", None),
        fixture("customer.created"),
        fixture("payout.paid"),
    ]
    .iter()
    .enumerate()
    .map(|(n, event)| stack.message(if n == 4 { 0 } else { n }, event))
    .collect()
}

/// The process dies, or a service fails, at each point of a batch at which it can. The queue hands out again what was not
/// acknowledged, and the ledger ends as if nothing had happened.
#[test]
fn any_death_and_any_failure_ends_in_the_same_ledger() {
    block_on(async {
        let start = Stack::new().await;
        let messages = meeting(&start);
        let clean = start.fork();
        let before = clean.faults.calls();
        clean.run_all(&messages).await;
        let calls = clean.faults.calls() - before;
        clean.assert_audited_once();
        let expected = clean.ledger().await;
        assert!(calls > 10, "{calls}");

        let mut died = 0;
        for fault in Fault::ALL {
            // A fault makes work be done anew, so there can be more calls than in the clean run.
            for n in 0..calls + 5 {
                let stack = start.fork();
                stack.faults.plan(n, fault);
                let mut left = messages.clone();
                // Under paused time, a run that waits for a dead process is over at once.
                match tokio::time::timeout(Duration::from_secs(10), stack.run(&left)).await {
                    Ok(response) => {
                        let failed: BTreeSet<_> = response.failed().map(str::to_owned).collect();
                        left.retain(|message| failed.contains(message["messageId"].as_str().unwrap()));
                    }
                    Err(_) => died += 1,
                }
                stack.faults.clear();
                stack.run_all(&left).await;
                assert_eq!(stack.ledger().await, expected, "{fault:?} at call {n}");
                stack.assert_audited_once();
            }
        }
        assert!(died >= 2 * calls, "{died} of {calls}");
    });
}

#[test]
fn many_deliveries_of_few_events_count_once() {
    block_on(async {
        let stack = Stack::new().await;
        let mut events = Vec::new();
        for n in 0..50 {
            let kind = ["payment_intent.succeeded", "charge.succeeded", "checkout.session.completed"][n % 3];
            let mut told = event(
                kind,
                &format!("e{n}"),
                &format!("pi_{}", n / 3),
                (n < 24).then(|| stack.invoices[n / 9]),
            );
            for field in ["amount", "amount_received", "amount_captured", "amount_total"] {
                if told["data"]["object"][field].is_i64() {
                    told["data"]["object"][field] = (1_000 + n / 3).into();
                }
            }
            events.push(stack.message(n, &told));
        }
        let clean = stack.fork();
        clean.run_all(&events).await;
        // 500 deliveries in a scattered order, 40 at once.
        let scattered: Vec<_> = (0..500).map(|n| events[(n * 37 + n / 50 * 11) % 50].clone()).collect();
        for wave in scattered.chunks(40) {
            let processes: Vec<_> = wave.chunks(10).map(|messages| stack.run(messages)).collect();
            let mut left = Vec::new();
            for (response, messages) in futures::future::join_all(processes).await.iter().zip(wave.chunks(10))
            {
                let failed: Vec<_> = response.failed().collect();
                left.extend(
                    messages.iter().filter(|m| failed.contains(&m["messageId"].as_str().unwrap())).cloned(),
                );
            }
            stack.run_all(&left).await;
        }
        assert_eq!(stack.ledger().await, clean.ledger().await);
        assert_eq!(stack.count("payment"), 17);
        stack.assert_audited_once();
    });
}

#[test]
fn an_id_that_comes_again_with_other_bytes_is_a_conflict() {
    block_on(async {
        let stack = Stack::new().await;
        let original = event("payment_intent.succeeded", "e1", "pi_1", Some(stack.invoices[0]));
        let mut recounted = original.clone();
        recounted["pending_webhooks"] = 7.into();
        let mut forged = original.clone();
        forged["data"]["object"]["amount_received"] = 1.into();
        for (n, event) in [&original, &recounted, &forged, &forged].into_iter().enumerate() {
            stack.run_all(&[stack.message(n, event)]).await;
        }
        assert_eq!(stack.invoice(0).await.status(), InvoiceStatus::Paid);
        let keys: Vec<_> =
            stack.tables.dump().into_keys().filter(|key| key.table == Table::WebhookEvents).collect();
        let conflicts: Vec<_> = keys.iter().filter_map(|key| key.sk.strip_prefix("conflict#")).collect();
        assert_eq!(conflicts.len(), 1);
        let print = Fingerprint::try_from(conflicts[0].to_owned()).unwrap();
        let conflict: WebhookEvent = stack.row(&stack.event_key("e1", Some(print))).await.unwrap();
        assert_eq!(
            (conflict.status, stack.event("e1").await.status),
            (EventStatus::Conflict, EventStatus::Applied)
        );
        let kept = stack
            .store()
            .payload(&stack.org, conflict.id, &stack.event_key("e1", None), print, now())
            .await
            .unwrap();
        assert_eq!(kept, Some(forged.to_string()));
    });
}

#[test]
fn poison_goes_back_to_the_queue_and_an_unusable_event_shows_as_failed_until_it_works() {
    block_on(async {
        let stack = Stack::new().await;
        let good = event("payment_intent.succeeded", "e1", "pi_1", Some(stack.invoices[0]));
        let mut unusable = event("payment_intent.succeeded", "e2", "pi_2", None);
        unusable["data"]["object"]["currency"] = "zzz".into();
        let mut newer = stack.message(5, &good);
        let envelope = newer["messageAttributes"]["plixo"]["stringValue"]
            .as_str()
            .unwrap()
            .replace("\"v\":1", "\"v\":2");
        newer["messageAttributes"]["plixo"]["stringValue"] = envelope.into();
        let mut bare = stack.message(6, &good);
        bare["messageAttributes"] = json!({});
        let messages = [
            stack.raw_message(1, "{"),
            stack.message(2, &unusable),
            stack.raw_message(3, ""),
            stack.message(4, &good),
            newer,
            bare,
        ];
        for _ in 0..2 {
            assert_eq!(
                stack.run(&messages).await.failed().collect::<Vec<_>>(),
                ["m1", "m2", "m3", "m5", "m6"]
            );
        }
        assert_eq!(stack.event("e2").await.status, EventStatus::Failed);
        assert_eq!(stack.invoice(0).await.status(), InvoiceStatus::Paid);
        stack.assert_audited_once();
    });
}

#[test]
fn messages_that_need_the_same_invoice_go_one_after_the_other() {
    block_on(async {
        let stack = Stack::new().await;
        let told = |n: usize| {
            event("payment_intent.succeeded", &format!("e{n}"), &format!("pi_{n}"), Some(stack.invoices[0]))
        };
        let messages: Vec<_> = (0..10).map(|n| stack.message(n, &told(n))).collect();
        let before = stack.faults.calls();
        stack.run_all(&messages).await;
        // One read for the batch, one for the key, one of KMS; then a transaction each, and for all but the first a read
        // of its rows and one of the payment that the invoice served before.
        let calls = stack.faults.calls() - before;
        assert!(calls <= 3 + 10 + 2 * 9, "{calls}");
        assert_eq!(stack.invoice(0).await.claims.len(), 10);
    });
}

#[test]
fn ten_messages_of_an_organisation_ask_kms_once() {
    block_on(async {
        let stack = Stack::new().await;
        let before = stack.kms.calls();
        let worker = Worker::new(stack.store(), FakeQueue::new(stack.faults.clone()));
        let all: Vec<_> = (0..10)
            .map(|n| stack.message(n, &event("charge.succeeded", &format!("e{n}"), &format!("pi_{n}"), None)))
            .collect();
        assert_eq!(worker.run(batch(&all)).await, BatchResponse::default());
        let more: Vec<_> = (10..20)
            .map(|n| stack.message(n, &event("charge.succeeded", &format!("e{n}"), &format!("pi_{n}"), None)))
            .collect();
        assert_eq!(worker.run(batch(&more)).await, BatchResponse::default());
        assert_eq!(stack.kms.calls() - before, 1);
    });
}

#[test]
fn nothing_private_is_stored_in_the_clear() {
    block_on(async {
        let stack = Stack::new().await;
        let mut charge = event("charge.succeeded", "e1", "pi_1", None);
        charge["data"]["object"]["billing_details"] =
            json!({"name": "Canary Name", "email": "canary@example.com"});
        charge["data"]["object"]["description"] = "canary remittance".into();
        let mut customer = fixture("customer.created");
        customer["data"]["object"]["name"] = "Canary Name".into();
        customer["data"]["object"]["email"] = "canary@example.com".into();
        customer["data"]["object"]["phone"] = "+49 151 canary".into();
        stack.run_all(&[stack.message(1, &charge), stack.message(2, &customer)]).await;

        for (key, item) in stack.tables.dump() {
            let shown = format!("{key:?} {item:?}").to_lowercase();
            assert!(!shown.contains("canary"), "{shown}");
            let decoded = item.values().flat_map(|value| match value {
                AttributeValue::B(bytes) => vec![bytes.as_ref().to_vec()],
                AttributeValue::S(text) => {
                    text.split('"').filter_map(|it| STANDARD.decode(it).ok()).collect()
                }
                _ => Vec::new(),
            });
            for bytes in decoded.map(|bytes| bytes.to_ascii_lowercase()) {
                assert!(!bytes.windows(6).any(|window| window == b"canary"));
            }
        }
        let payment = stack.payment("pi_1").await;
        let payer = stack.store().open_payer(&stack.org, &payment, now()).await.unwrap();
        assert_eq!(payer.name.as_deref(), Some("Canary Name"));
        let found = stack.event("e1").await;
        let kept =
            stack.store().payload(&stack.org, found.id, &found.key, found.fingerprint, now()).await.unwrap();
        assert_eq!(kept, Some(charge.to_string()));
        let id = stack.tables.dump().into_iter().find(|(key, _)| key.sk == "customer").unwrap().0;
        let (_, id) = id.pk.rsplit_once('#').unwrap();
        let customer: Customer = stack.row(&id.parse().unwrap()).await.unwrap();
        let personal: Personal = stack.store().open_personal(&stack.org, &customer, now()).await.unwrap();
        assert_eq!(personal.email.as_deref(), Some("canary@example.com"));
        assert!(customer.email_hashes[1].is_some());
    });
}

#[test]
fn a_packed_message_is_unpacked() {
    block_on(async {
        let stack = Stack::new().await;
        let mut large = event("payment_intent.succeeded", "e1", "pi_1", Some(stack.invoices[0]));
        large["data"]["object"]["description"] = "x\u{ffff}".repeat(300_000).into();
        let mut message = stack.message(1, &large);
        use base64::Engine;
        let packed = lz4_flex::block::compress_prepend_size(large.to_string().as_bytes());
        message["body"] = base64::engine::general_purpose::STANDARD.encode(packed).into();
        let envelope =
            message["messageAttributes"]["plixo"]["stringValue"].as_str().unwrap().replace("identity", "lz4");
        message["messageAttributes"]["plixo"]["stringValue"] = envelope.into();
        stack.run_all(&[message]).await;
        assert_eq!(stack.invoice(0).await.status(), InvoiceStatus::Paid);
        let found = stack.event("e1").await;
        let kept =
            stack.store().payload(&stack.org, found.id, &found.key, found.fingerprint, now()).await.unwrap();
        assert_eq!(kept, Some(large.to_string()));
    });
}

#[test]
fn an_organisation_without_a_key_stores_nothing() {
    block_on(async {
        let stack = Stack::new().await;
        let stranger = Stack { org: Ids::new(now(), [9; 10]).make(), ..stack.fork() };
        let before = stranger.tables.dump();
        let response =
            stranger.run(&[stranger.message(1, &event("charge.succeeded", "e1", "pi_1", None))]).await;
        assert_eq!(response.failed().collect::<Vec<_>>(), ["m1"]);
        assert_eq!(stranger.tables.dump(), before);
        let row = RowKey::Payment(ExternalRef { provider: Provider::Stripe, id: "pi_1".parse().unwrap() });
        assert_eq!(
            stack.store().read(&stack.org, vec![row.clone()]).await.unwrap(),
            [(row, None::<(Row, u64)>)]
        );
    });
}

#[test]
fn what_comes_for_an_organisation_that_is_gone_is_dropped_and_is_no_dead_letter() {
    block_on(async {
        let stack = Stack::new().await;
        let close = async |days: i64| {
            let at = clock::now().saturating_sub(SignedDuration::from_hours(24 * days)).unwrap();
            let row = RowKey::Organisation;
            let mut book = Book::default();
            for (name, stored) in stack.store().read(&stack.org, vec![row]).await.unwrap() {
                book.learn(name, stored);
            }
            book.put(Organisation {
                id: stack.org,
                name: "Nordlicht".to_owned(),
                residency: Residency::Eu,
                controllers: BTreeSet::new(),
                settings: Settings::default(),
                logo: None,
                closed: Some(Closed { by: Ids::new(at, [1; 10]).make(), at }),
            })
            .unwrap();
            stack.store().commit(&stack.org, &book, None, &[], now()).await.unwrap();
        };
        let message = stack.message(1, &event("charge.succeeded", "e1", "pi_1", None));
        stack.tables.take(&keys::data_key(&stack.org));
        close(29).await;
        let response = stack.run(std::slice::from_ref(&message)).await;
        assert_eq!(response.failed().collect::<Vec<_>>(), ["m1"], "its key should be there");
        close(31).await;
        let before = stack.tables.dump();
        stack.run_all(&[message]).await;
        assert_eq!(stack.tables.dump(), before);
    });
}

#[test]
fn of_a_customer_who_was_erased_no_text_is_kept_whatever_it_says() {
    block_on(async {
        let stack = Stack::new().await;
        let reference = |id: &str| ExternalRef { provider: Provider::Stripe, id: id.parse().unwrap() };
        let mut book = Book::default();
        for (id, erased) in [("cus_gone", true), ("cus_here", false)] {
            let customer = Ids::new(now(), [3; 10]).make();
            let row = CustomerRef { reference: reference(id), customer, noted: None, erased };
            book.put_new(row);
        }
        stack.store().commit(&stack.org, &book, None, &[], now()).await.unwrap();
        stack.run_all(&[stack.message(90, &event("payment_intent.succeeded", "e0", "pi_gone", None))]).await;
        let (payment, invoice) = (stack.payment("pi_gone").await, stack.invoice(0).await);
        let mut book = Book::default();
        let names = vec![Payment::key(&payment.reference), Invoice::key(&invoice.id)];
        for (name, stored) in stack.store().read(&stack.org, names).await.unwrap() {
            book.learn(name, stored);
        }
        let gone = invoice.id.to_string();
        book.put(Payment { erased: true, ..payment }).unwrap();
        book.put(Invoice { erased: true, ..invoice }).unwrap();
        stack.store().commit(&stack.org, &book, None, &[], now()).await.unwrap();
        let attached = |customer: Value, id: &str| {
            json!({"id": id, "object": "event", "type": "payment_method.attached", "created": 1_780_000_000,
                "livemode": true, "data": {"object": {"id": "pm_1", "object": "payment_method",
                "billing_details": {"name": "Canary"}, "customer": customer}}})
        };
        let dispute = |intent: &str, invoice: &str, id: &str| {
            json!({"id": id, "object": "event", "type": "charge.dispute.updated", "created": 1_780_000_000,
                "livemode": true, "data": {"object": {"id": "dp_1", "object": "dispute", "payment_intent": intent,
                "metadata": {"plixo_invoice_id": invoice}, "evidence": {"customer_name": "Canary"}}}})
        };
        let tax_id = |customer: &str, id: &str| {
            json!({"id": id, "object": "event", "type": "customer.tax_id.created", "created": 1_780_000_000,
                "livemode": true, "data": {"object": {"id": "txi_1", "object": "tax_id", "customer": customer}}})
        };
        let mut unusable = event("charge.succeeded", "e5", "pi_5", None);
        unusable["data"]["object"]["amount"] = "Canary".into();
        unusable["data"]["object"]["customer"] = "cus_gone".into();
        let person = |customer: &str, id: &str| {
            json!({"id": id, "object": "event", "type": "customer.source.created", "created": 1_780_000_000,
                "livemode": true, "data": {"object": {"id": customer, "object": "customer"}}})
        };
        let all = [
            (attached("cus_gone".into(), "e1"), false),
            (attached(json!({"id": "cus_gone", "object": "customer"}), "e2"), false),
            (tax_id("cus_gone", "e3"), false),
            (person("cus_gone", "e4"), false),
            (unusable, false),
            (dispute("pi_gone", "", "e9"), false),
            (dispute("pi_new", &gone, "e10"), false),
            (dispute("pi_new", "", "e11"), true),
            (attached("cus_here".into(), "e6"), true),
            (attached("cus_new".into(), "e7"), true),
            (attached(Value::Null, "e8"), true),
        ];
        for (n, (event, is_kept)) in all.iter().enumerate() {
            drop(stack.run(&[stack.message(n, event)]).await);
            let found = stack.event(event["id"].as_str().unwrap()).await;
            let text =
                stack.store().payload(&stack.org, found.id, &found.key, found.fingerprint, now()).await;
            assert_eq!(text.unwrap().is_some(), *is_kept, "{event}");
            assert!(matches!(found.status, EventStatus::Ignored | EventStatus::Failed));
        }
    });
}

/// One refund sets free what many others wait for: all of it is one event, whatever it takes to read and write.
#[test]
fn one_event_may_change_the_share_of_every_payment_of_an_invoice() {
    block_on(async {
        let stack = Stack::new().await;
        let invoice = Some(stack.invoices[0]);
        let others = plixo_domain::ledger::MAX_CLAIMS - 1;
        let mut told = vec![stack.message(0, &event("payment_intent.succeeded", "e0", "pi_first", invoice))];
        for n in 1..=others {
            let mut waiting =
                event("payment_intent.succeeded", &format!("e{n}"), &format!("pi_{n}"), invoice);
            waiting["created"] = (1_900_000_000 + n).into();
            waiting["data"]["object"]["amount_received"] = 100.into();
            told.push(stack.message(n, &waiting));
        }
        stack.run_all(&told).await;
        let mut refund = event("charge.refunded", "e99", "pi_first", invoice);
        refund["data"]["object"]["amount_refunded"] = 12_500.into();
        // As large a payload as there is, for it takes rows of its own.
        refund["data"]["object"]["description"] = noise(1_000_000).into();
        stack.run_all(&[stack.message(99, &refund)]).await;
        assert_eq!(stack.invoice(0).await.allocated(), i64::try_from(others).unwrap() * 100);
        stack.assert_audited_once();
    });
}

/// Text that does not compress.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let letter = std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'0' + u8::try_from(state >> 58).unwrap())
    });
    letter.filter(|c| *c != '\\').take(length).collect()
}

#[test]
fn an_event_that_failed_works_when_it_is_replayed_mended() {
    block_on(async {
        let stack = Stack::new().await;
        let invoice = Some(stack.invoices[0]);
        let message = stack.message(2, &event("charge.succeeded", "e2", "pi_1", invoice));
        stack
            .run_all(&[
                stack.message(1, &event("payment_intent.succeeded", "e1", "pi_1", invoice)),
                message.clone(),
            ])
            .await;
        // As if the code of that time had not understood it.
        let key = plixo_store::keys::row(&stack.org, &RowKey::WebhookEvent(stack.event_key("e2", None)));
        let mut item = stack.tables.dump()[&key].clone();
        let mut row: Value = serde_json::from_str(item["row"].as_s().unwrap()).unwrap();
        row["status"] = "failed".into();
        item.insert("row".to_owned(), AttributeValue::S(row.to_string()));
        item.insert("version".to_owned(), AttributeValue::N("2".to_owned()));
        let guard = plixo_store::Guard::Version(1);
        use plixo_store::Tables;
        stack
            .tables
            .write_all(vec![plixo_store::Write { key, act: plixo_store::Act::Put(item), guard }])
            .await
            .unwrap();
        stack.run_all(&[message]).await;
        assert_eq!(stack.event("e2").await.status, EventStatus::Superseded);
    });
}

#[test]
fn a_row_that_cannot_be_read_hinders_only_who_needs_it() {
    block_on(async {
        let stack = Stack::new().await;
        let key = plixo_store::keys::row(&stack.org, &Invoice::key(&stack.invoices[0]));
        let mut item = stack.tables.dump()[&key].clone();
        item.insert("v".to_owned(), AttributeValue::N("2".to_owned()));
        item.insert("version".to_owned(), AttributeValue::N("2".to_owned()));
        let guard = plixo_store::Guard::Version(1);
        use plixo_store::Tables;
        stack
            .tables
            .write_all(vec![plixo_store::Write { key, act: plixo_store::Act::Put(item), guard }])
            .await
            .unwrap();
        let messages: Vec<_> = (0..3)
            .map(|n| {
                let invoice = Some(stack.invoices[n]);
                stack.message(
                    n,
                    &event("payment_intent.succeeded", &format!("e{n}"), &format!("pi_{n}"), invoice),
                )
            })
            .collect();
        assert_eq!(stack.run(&messages).await.failed().collect::<Vec<_>>(), ["m0"]);
        assert_eq!(stack.invoice(1).await.status(), InvoiceStatus::Paid);
    });
}

#[test]
fn stripes_amounts_become_minor_units_of_iso_4217() {
    block_on(async {
        let stack = Stack::new().await;
        for (n, (currency, told, kept)) in
            [("isk", 50_000, 500), ("ugx", 100, 1), ("mga", 7, 700), ("jpy", 500, 500), ("kwd", 1_230, 1_230)]
                .into_iter()
                .enumerate()
        {
            let mut paid = event("payment_intent.succeeded", &format!("e{n}"), &format!("pi_{n}"), None);
            paid["data"]["object"]["currency"] = currency.into();
            paid["data"]["object"]["amount_received"] = told.into();
            stack.run_all(&[stack.message(n, &paid)]).await;
            let amount = stack.payment(&format!("pi_{n}")).await.amount().unwrap();
            assert_eq!((amount.amount, amount.currency.code()), (kept, currency.to_uppercase().as_str()));
        }
        let mut odd = event("payment_intent.succeeded", "e9", "pi_9", None);
        odd["data"]["object"]["currency"] = "isk".into();
        odd["data"]["object"]["amount_received"] = 50_050.into();
        assert_eq!(stack.run(&[stack.message(9, &odd)]).await.failed().count(), 1);
    });
}

#[test]
fn a_partial_capture_is_no_refund() {
    block_on(async {
        let stack = Stack::new().await;
        for (n, (kind, captured, refunded, left)) in
            [("charge.succeeded", 700, 300, 700), ("charge.refunded", 700, 400, 600)].into_iter().enumerate()
        {
            let mut charge = event(kind, &format!("e{n}"), "pi_1", Some(stack.invoices[0]));
            let object = &mut charge["data"]["object"];
            (object["amount"], object["amount_captured"], object["amount_refunded"]) =
                (1_000.into(), captured.into(), refunded.into());
            stack.run_all(&[stack.message(n, &charge)]).await;
            assert_eq!(stack.invoice(0).await.allocated(), left);
        }
    });
}

#[test]
fn a_session_without_an_intent_tells_of_no_money() {
    block_on(async {
        let stack = Stack::new().await;
        let invoice = Some(stack.invoices[0]);
        let mut session = event("checkout.session.completed", "e1", "pi_1", invoice);
        (session["data"]["object"]["mode"], session["data"]["object"]["payment_intent"]) =
            ("subscription".into(), Value::Null);
        let paid = event("payment_intent.succeeded", "e2", "pi_sub", invoice);
        stack.run_all(&[stack.message(1, &session), stack.message(2, &paid)]).await;
        assert_eq!((stack.count("payment"), stack.event("e1").await.status), (1, EventStatus::Applied));
    });
}

#[test]
fn what_a_provider_says_never_wipes_what_people_keep() {
    block_on(async {
        let stack = Stack::new().await;
        let ours: CustomerId = fixture("customer.created")["data"]["object"]["metadata"]["plixo_customer_id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let kept = Personal {
            email: Some("ours@example.com".into()),
            tax_id: Some("DE1".into()),
            ..Personal::default()
        };
        let mut book = Book::default();
        book.put_new(Customer::new(ours, kept));
        stack.store().commit(&stack.org, &book, None, &[], now()).await.unwrap();
        let mut created = fixture("customer.created");
        (created["data"]["object"]["name"], created["data"]["object"]["email"]) =
            ("Told".into(), Value::Null);
        stack.run_all(&[stack.message(1, &created)]).await;
        let customer: Customer = stack.row(&ours).await.unwrap();
        let personal = stack.store().open_personal(&stack.org, &customer, now()).await.unwrap();
        assert_eq!(
            (personal.name.as_deref(), personal.email.as_deref(), personal.tax_id.as_deref()),
            (Some("Told"), Some("ours@example.com"), Some("DE1"))
        );
        assert!(customer.email_hashes[0].is_some());
    });
}

/// A message that takes longer than there is time goes back to the queue, and the others do not.
#[test]
fn a_message_out_of_time_goes_back_alone() {
    block_on(async {
        let stack = Stack::new().await;
        let messages: Vec<_> = (0..2)
            .map(|n| stack.message(n, &event("charge.succeeded", &format!("e{n}"), &format!("pi_{n}"), None)))
            .collect();
        // Of the calls of the batch, the last is one message's transaction.
        stack.faults.plan(4, Fault::DiesBefore);
        let failed: Vec<_> = stack.run(&messages).await.failed().map(str::to_owned).collect();
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert_eq!(stack.count("payment"), 1);
    });
}
