use std::collections::BTreeSet;

use jiff::Timestamp;
use plixo_authz::Authz;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Outcome};
use plixo_domain::id::{Ids, OrgId};
use plixo_domain::ledger::{
    Book, Organisation, Payment, PaymentNews, PaymentPart, Private, Residency, RowKey, Stage, Stamp, Unread,
    Witness, tell_payment,
};
use plixo_domain::people::{Member, MemberState, Role, UserId, add_member};
use plixo_domain::webhook::{ExternalRef, Provider};
use plixo_store::{AttributeValue, Key, Store};
use plixo_testing::{FakeKms, FakeQueue, FakeTables, Fault, Faults, audit_log, entropy};
use serde_json::{Value, json};

use super::*;

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn user(n: u8) -> UserId {
    format!("00000000-0000-4000-8000-0000000000{n:02x}").parse().unwrap()
}

/// Two organisations: of the first the users 0 to 4 are members, a role each, of the second the users 16 to 20.
struct World {
    tables: FakeTables,
    kms: FakeKms,
    cash: FakeQueue,
    api: Api<FakeTables, FakeKms, FakeQueue>,
    orgs: [OrgId; 2],
}

struct Answer {
    status: u16,
    headers: Value,
    body: Value,
}

fn world() -> World {
    let (tables, kms) = (FakeTables::default(), FakeKms::default());
    let orgs = [1_u8, 2].map(|seed| {
        let mut ids = Ids::new(now(), [seed; 10]);
        let id: OrgId = ids.make();
        let mut book = Book::default();
        book.learn(RowKey::Organisation, None);
        let (name, settings) = ("Nordlicht".to_owned(), Default::default());
        book.put(Organisation {
            id,
            name,
            residency: Residency::Eu,
            controllers: BTreeSet::new(),
            settings,
            logo: None,
            closed: None,
        })
        .unwrap();
        for (role, n) in Role::ALL.iter().copied().zip(0_u8..) {
            let user = user(n + (seed - 1) * 16);
            book.learn(RowKey::Member(user), None);
            book.learn(RowKey::UserOrganisation(user), None);
            let email = Private::Plain("somebody@example.com".to_owned());
            add_member(&mut book, Member { id: ids.make(), user, role, state: MemberState::Active, email })
                .unwrap();
        }
        let store = Store::new(tables.clone(), kms.clone(), entropy);
        block_on(async {
            store.create_data_key(&id, &kms).await.unwrap();
            store.commit(&id, &book, None, &[], now()).await.unwrap();
        });
        id
    });
    let cash = FakeQueue::default();
    let api = api(&tables, &kms, &cash);
    World { tables, kms, cash, api, orgs }
}

fn api(tables: &FakeTables, kms: &FakeKms, queue: &FakeQueue) -> Api<FakeTables, FakeKms, FakeQueue> {
    let store = Store::new(tables.clone(), kms.clone(), entropy);
    Api::new(Arc::new(Desk::new(store, Authz::new().unwrap(), entropy)), queue.clone())
}

/// Which user has a role in the first organisation.
fn of(role: Role) -> u8 {
    u8::try_from(Role::ALL.iter().position(|it| *it == role).unwrap()).unwrap()
}

const ADMIN: Role = Role::BillingAdmin;

/// A request as the gateway hands it over, of a path without its `/v1/orgs/{org}/`.
#[derive(Clone)]
struct Asked {
    who: Option<u8>,
    org: String,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

impl World {
    fn ask(&self, method: &'static str, path: &str) -> Asked {
        Asked {
            who: Some(of(ADMIN)),
            org: self.orgs[0].to_string(),
            method,
            path: path.to_owned(),
            headers: vec![("content-type", "application/json".to_owned())],
            body: None,
        }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).of(&self.api)
    }

    fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path).saying(&body).of(&self.api)
    }

    fn made(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body
    }

    fn customer(&self) -> String {
        text(&self.made("customers", json!({"name": "Möbel Weber", "email": "rechnung@weber.example"}))["id"])
    }

    /// A draft of 119.00 EUR.
    fn draft(&self, customer: &str) -> String {
        text(&self.made("invoices", json!({"customer_id": customer, "lines": [line(10_000)]}))["id"])
    }

    fn open_invoice(&self) -> String {
        let id = self.draft(&self.customer());
        let answer = self.ask("POST", &format!("invoices/{id}/finalize")).of(&self.api);
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("open")), "{}", answer.body);
        id
    }

    fn payment(&self, amount: i64) -> String {
        let amount = json!({"amount": amount, "currency": "EUR"});
        let body =
            json!({"source": "bank", "amount": amount, "received_on": "2026-06-14", "remittance": "RE 1"});
        text(&self.made("payments", body)["id"])
    }

    /// Has the provider tell of a payment, as `worker-stripe` does, and answers its id.
    fn tell(&self, name: &str, at: i64, parts: Vec<PaymentPart>) -> String {
        let reference = ExternalRef { provider: Provider::Stripe, id: name.parse().unwrap() };
        let stamp = Stamp { at, event: format!("evt_{name}_{at}") };
        let news = PaymentNews {
            reference: reference.clone(),
            stamp,
            currency: "EUR".parse().unwrap(),
            parts,
            customer: None,
        };
        let by = Actor { kind: ActorKind::Provider, id: "whe_1".to_owned(), role: None };
        let (store, mut book) = (Store::new(self.tables.clone(), self.kms.clone(), entropy), Book::default());
        let mut seed = [0; 10];
        seed[..8].copy_from_slice(&entropy().unwrap()[..8]);
        let mut ids = Ids::new(now(), seed);
        block_on(async {
            while let Err(Unread(names)) = tell_payment(&mut book, &news, &by, &mut ids) {
                for (name, stored) in store.read(&self.orgs[0], names).await.unwrap() {
                    book.learn(name, stored);
                }
            }
            store.commit(&self.orgs[0], &book, None, &[], now()).await.unwrap();
        });
        book.get::<Payment>(&reference).unwrap().unwrap().id.to_string()
    }

    /// What the audit log says was done last, in the words of the events: to what, and which fields.
    fn done(&self, action: &str, work: impl FnOnce() -> Answer) -> BTreeSet<(String, String)> {
        let before: BTreeSet<_> = self.audit().into_iter().map(|event| event.id.to_string()).collect();
        let answer = work();
        assert!(answer.status < 300, "{}", answer.body);
        let new = self.audit().into_iter().filter(|event| !before.contains(&event.id.to_string()));
        new.map(|event| {
            assert_eq!((event.action.as_str(), event.outcome), (action, Outcome::Allowed));
            (event.object.id, event.fields.join(","))
        })
        .collect()
    }

    fn audit(&self) -> Vec<AuditEvent> {
        block_on(audit_log(&self.tables, &self.kms, now()))
    }
}

fn line(amount: i64) -> Value {
    let price = json!({"amount": amount, "currency": "EUR"});
    json!({"description": "Stühle", "quantity": "1", "unit_price": price, "tax_percent": "19"})
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Asked {
    fn saying(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn by(mut self, who: u8) -> Self {
        self.who = Some(who);
        self
    }

    fn request(&self) -> Request {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let parts: Vec<&str> = path.split('/').collect();
        let mut named = json!({"org": self.org});
        let mut route = format!("{} /v1/orgs/{{org}}", self.method);
        for (n, part) in parts.iter().enumerate() {
            let name = ["", "id", "", "allocation"][n];
            if name.is_empty() {
                route = format!("{route}/{part}");
            } else {
                named[name] = (*part).into();
                route = format!("{route}/{{{name}}}");
            }
        }
        let said = match self.who {
            Some(who) => json!({"user": user(who).0, "session": "s1",
                "signed_in_at": "2026-06-15T11:00:00Z", "expires_at": "2026-06-15T13:00:00Z"}),
            None => json!({"refused": "missing"}),
        };
        let headers: serde_json::Map<String, Value> =
            self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        serde_json::from_value(json!({
            "headers": headers, "pathParameters": named, "rawQueryString": query, "body": self.body,
            "isBase64Encoded": false,
            "requestContext": {"requestId": "r1", "routeKey": route, "authorizer": {"lambda": said},
                "http": {"sourceIp": "203.0.113.7", "userAgent": "test"}},
        }))
        .unwrap()
    }

    fn of(&self, api: &Api<FakeTables, FakeKms, FakeQueue>) -> Answer {
        let line = Line { timestamp: now(), ..Line::default() };
        let (response, _) = block_on(api.handle(&self.request(), line));
        let shown = serde_json::to_value(&response).unwrap();
        let body = serde_json::from_str(shown["body"].as_str().unwrap()).unwrap_or(Value::Null);
        Answer { status: response.status(), headers: shown["headers"].clone(), body }
    }
}

#[test]
fn an_invoice_from_draft_to_paid_and_back() {
    let world = world();
    let id = world.open_invoice();
    let paid = world.payment(20_000);
    let shares =
        json!({"allocations": [{"invoice_id": id, "amount": {"amount": 11_900, "currency": "EUR"}}]});
    let made = world.made(&format!("payments/{paid}/allocations"), shares);
    let allocation = text(&made["data"][0]["id"]);
    assert_eq!(made["data"][0]["applied_by"]["role"], "billing_admin");

    let shown = world.get(&format!("invoices/{id}"));
    assert_eq!((&shown.body["status"], &shown.body["balance"]["amount"]), (&json!("paid"), &json!(0)));
    assert_eq!(
        (&shown.body["number"], &shown.body["issued_on"]),
        (&json!("INV-000001"), &json!("2026-06-15"))
    );
    let shown = world.get(&format!("payments/{paid}")).body;
    assert_eq!((&shown["unapplied"]["amount"], &shown["remittance"]), (&json!(8_100), &json!("RE 1")));
    assert_eq!(world.get("payments?unapplied=true").body["data"][0]["id"], json!(paid));
    assert_eq!(world.get("invoices?status=paid").body["data"][0]["id"], json!(id));
    assert_eq!(world.get("invoices?status=open").body["data"], json!([]));

    let refused = world.ask("POST", &format!("invoices/{id}/void")).of(&world.api);
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("invoice_has_allocations")));
    let undone = world.ask("DELETE", &format!("payments/{paid}/allocations/{allocation}")).of(&world.api);
    assert_eq!(undone.status, 204);
    let shown = world.get(&format!("invoices/{id}")).body;
    assert_eq!((&shown["status"], &shown["balance"]["amount"]), (&json!("open"), &json!(11_900)));
    let given_up = world.ask("POST", &format!("invoices/{id}/uncollectible")).of(&world.api);
    assert_eq!(given_up.body["status"], "uncollectible");
}

#[test]
fn what_may_be_to_be_applied_is_told_also_when_it_is_asked_twice_and_nothing_fails_without() {
    let world = world();
    let id = world.open_invoice();
    let money = json!({"amount": 11_900, "currency": "EUR"});
    let order = json!({"source": "bank", "amount": money, "received_on": "2026-06-14", "external_id": "b-1"});
    let record = world.ask("POST", "payments").saying(&order).with("idempotency-key", "k");
    assert_eq!(record.of(&world.api).status, 201);
    assert_eq!(record.of(&world.api).status, 201);
    let org = &world.orgs[0];
    let told: Vec<Value> =
        world.cash.sent().iter().map(|(body, _)| serde_json::from_str(body).unwrap()).collect();
    let payment = json!({"v": 1, "org": org, "payment": {"provider": "member", "id": "b-1"}});
    assert_eq!(told, [json!({"v": 1, "org": org, "invoice": id}), payment.clone(), payment]);

    let faults = Faults::default();
    let deaf = FakeQueue::new(faults.clone());
    faults.plan(0, Fault::Refuses);
    let order = json!({"source": "bank", "amount": money, "received_on": "2026-06-14"});
    let record = world.ask("POST", "payments").saying(&order);
    assert_eq!(record.of(&api(&world.tables, &world.kms, &deaf)).status, 201);
    assert_eq!((faults.calls(), deaf.sent().len()), (1, 0));
}

#[test]
fn what_no_route_takes_is_refused_with_a_pointer() {
    let world = world();
    let customer = world.customer();
    let lines = json!([line(1)]);
    let mut odd = lines.clone();
    odd[0]["unit_price"]["amount"] = json!(1.5);
    for (path, body, pointer) in [
        ("customers", json!({"name": "A", "nickname": "B"}), "/nickname"),
        ("customers", json!({"name": 7}), "/name"),
        ("customers", json!({}), "/name"),
        ("customers", json!({"name": "4242 4242 4242 4242"}), "/name"),
        ("customers", json!([]), ""),
        ("invoices", json!({"customer_id": "cus_1", "lines": lines}), "/customer_id"),
        ("invoices", json!({"customer_id": customer, "lines": odd}), "/lines/0/unit_price/amount"),
        ("invoices", json!({"customer_id": customer, "lines": []}), "/lines"),
        (
            "payments",
            json!({"source": "stripe", "amount": {"amount": 1, "currency": "EUR"}, "received_on": "2026-06-14"}),
            "/source",
        ),
        (
            "payments",
            json!({"source": "bank", "amount": {"amount": 1, "currency": "EUR"}, "received_on": "14.6.2026"}),
            "/received_on",
        ),
    ] {
        let answer = world.post(path, body.clone());
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("invalid_request")), "{body}");
        let pointers: Vec<_> =
            answer.body["errors"].as_array().unwrap().iter().map(|it| &it["pointer"]).collect();
        assert!(pointers.contains(&&json!(pointer)), "{body}: {pointers:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    let post = world.ask("POST", "customers");
    for (asked, status) in [
        (Asked { body: Some("{\"name\": \"A\"} x".to_owned()), ..post.clone() }, 400),
        (Asked { body: Some("{\"name\": \"A\", \"name\": \"B\"}".to_owned()), ..post.clone() }, 400),
        (Asked { body: Some("[".repeat(100_000)), ..post.clone() }, 400),
        (Asked { body: None, ..post.clone() }, 400),
        (post.clone().saying(&json!({"name": "x".repeat(300_000)})), 413),
        (post.clone().saying(&json!({"name": "A"})).with("content-type", "text/plain"), 415),
        (post.clone().saying(&json!({"name": "A"})).with("idempotency-key", ""), 400),
        (post.saying(&json!({"name": "A"})).with("idempotency-key", "a b"), 400),
        (world.ask("GET", "customers?limit=0"), 400),
        (world.ask("GET", "customers?limit=101"), 400),
        (world.ask("GET", "customers?limit=ten"), 400),
        (world.ask("GET", "customers?order=up"), 400),
        (world.ask("GET", "customers?cursor=x"), 400),
        (world.ask("GET", "invoices?status=lost"), 400),
        (world.ask("GET", "invoices/inv_1"), 404),
        (world.ask("PUT", "invoices"), 404),
    ] {
        let answer = asked.of(&world.api);
        assert_eq!(answer.status, status, "{} {} {}", asked.method, asked.path, answer.body);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    assert_eq!(world.get("customers").body["data"].as_array().unwrap().len(), 1, "nothing else was made");
}

#[test]
fn another_organisation_is_as_one_that_does_not_exist() {
    let world = world();
    let (customer, invoice, payment) = (world.customer(), world.open_invoice(), world.payment(100));
    let stranger = 16 + of(Role::Controller);
    let missing: OrgId = Ids::new(now(), [9; 10]).make();
    let paths = ["customers", "invoices", "payments"].map(str::to_owned);
    let ids = [format!("customers/{customer}"), format!("invoices/{invoice}"), format!("payments/{payment}")];
    for path in paths.iter().chain(&ids) {
        let foreign = world.ask("GET", path).by(stranger).of(&world.api);
        let nowhere = Asked { org: missing.to_string(), ..world.ask("GET", path) }.of(&world.api);
        assert_eq!((foreign.status, &foreign.body), (404, &nowhere.body), "{path}");
    }
    // The ids of one organisation under another, in path and body.
    for path in &ids {
        let own =
            Asked { org: world.orgs[1].to_string(), ..world.ask("GET", path).by(stranger) }.of(&world.api);
        assert_eq!(own.status, 404, "{path}");
    }
    let body = json!({"customer_id": customer, "lines": [line(1)]});
    let there = Asked { org: world.orgs[1].to_string(), ..world.ask("POST", "invoices").by(stranger) };
    assert_eq!(there.saying(&body).of(&world.api).status, 400);
    for _ in 0..2 {
        world.customer();
    }
    let cursor = text(&world.get("customers?limit=1").body["next_cursor"]);
    let there = world.ask("GET", &format!("customers?cursor={cursor}")).by(stranger);
    assert_eq!(Asked { org: world.orgs[1].to_string(), ..there }.of(&world.api).status, 400);
    assert_eq!(world.get(&format!("invoices?cursor={cursor}")).status, 400, "of another list");
    assert_eq!(Asked { who: None, ..world.ask("GET", "customers") }.of(&world.api).status, 401);
}

#[test]
fn roles_may_what_the_contract_says() {
    let world = world();
    let customer = world.customer();
    for role in Role::ALL.iter().copied() {
        let may_write = matches!(role, Role::Controller | Role::BillingAdmin);
        let write = world.ask("POST", "customers").by(of(role)).saying(&json!({"name": "A"})).of(&world.api);
        let read = world.ask("GET", &format!("customers/{customer}")).by(of(role)).of(&world.api);
        assert_eq!((write.status, read.status), (if may_write { 201 } else { 403 }, 200), "{role:?}");
        if !may_write {
            assert_eq!(write.body["code"], "forbidden");
        }
    }
    let denied = world.audit().into_iter().filter(|event| event.outcome == Outcome::Denied).count();
    assert_eq!(denied, 3);
}

#[test]
fn a_stale_change_is_refused_and_a_repeated_one_is_done_once() {
    let world = world();
    let draft = world.draft(&world.customer());
    let path = format!("invoices/{draft}");
    let tag = text(&world.get(&path).headers["etag"]);
    let patch = |memo: &str, tag: &str| {
        world.ask("PATCH", &path).saying(&json!({"memo": memo})).with("if-match", tag).of(&world.api)
    };
    assert_eq!(patch("one", &tag).body["memo"], "one");
    let stale = patch("two", &tag);
    assert_eq!((stale.status, &stale.body["code"]), (412, &json!("stale")));
    assert_eq!(patch("three", "W/\"2\"").status, 412);
    let changed = patch("three and a half", "*");
    let tag = text(&world.get(&path).headers["etag"]);
    assert_eq!(changed.headers["etag"], json!(tag), "an answer names the version that it shows");
    assert_eq!(patch("four", &format!("\"1\", {tag}")).status, 200);
    assert_eq!(patch("five", "*").body["memo"], "five");
    let cleared = world.ask("PATCH", &path).saying(&json!({"memo": null})).of(&world.api);
    assert_eq!(cleared.body.get("memo"), None);

    let create = world.ask("POST", "customers").with("idempotency-key", "k-1");
    let first = create.clone().saying(&json!({"name": "A"})).of(&world.api);
    let again = create.clone().saying(&json!({"name": "A"})).of(&world.api);
    assert_eq!((first.status, again.status, &first.body), (201, 201, &again.body));
    assert_eq!((&first.headers["etag"], &again.headers["etag"]), (&json!("\"1\""), &json!("\"1\"")));
    let reused = create.saying(&json!({"name": "B"})).of(&world.api);
    assert_eq!((reused.status, &reused.body["code"]), (422, &json!("idempotency_key_reused")));
}

#[test]
fn lists_show_all_once() {
    let world = world();
    let made: BTreeSet<String> = (0..7).map(|_| world.customer()).collect();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("customers?limit=3{cursor}")).body;
        seen.extend(page["data"].as_array().unwrap().iter().map(|it| text(&it["id"])));
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            end => break assert!(end.is_null()),
        }
    }
    assert_eq!(seen.len(), 7);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), made);
}

/// Each route with a request that it takes, in an order in which they can be done.
fn one_of_each(world: &World) -> Vec<Asked> {
    let (customer, invoice, paid) = (world.customer(), world.open_invoice(), world.payment(100));
    let draft = world.draft(&customer);
    let amount = json!({"amount": 50, "currency": "EUR"});
    let shares = json!({"allocations": [{"invoice_id": invoice, "amount": amount}]});
    let made = world.made(&format!("payments/{paid}/allocations"), shares.clone());
    let allocation = text(&made["data"][0]["id"]);
    let payment = json!({"source": "manual", "amount": amount, "received_on": "2026-06-14"});
    vec![
        world.ask("GET", "customers"),
        world.ask("POST", "customers").saying(&json!({"name": "A"})),
        world.ask("GET", &format!("customers/{customer}")),
        world.ask("PATCH", &format!("customers/{customer}")).saying(&json!({"phone": "+49 4131 555"})),
        world.ask("GET", "invoices"),
        world.ask("POST", "invoices").saying(&json!({"customer_id": customer, "lines": [line(1)]})),
        world.ask("GET", &format!("invoices/{draft}")),
        world.ask("PATCH", &format!("invoices/{draft}")).saying(&json!({"memo": "B"})),
        world.ask("POST", &format!("invoices/{draft}/finalize")),
        world.ask("POST", &format!("invoices/{draft}/void")),
        world.ask("GET", "overview"),
        world.ask("GET", "payments"),
        world.ask("POST", "payments").saying(&payment),
        world.ask("GET", &format!("payments/{paid}")),
        world.ask("GET", &format!("payments/{paid}/suggestions")),
        world.ask("POST", &format!("payments/{paid}/allocations")).saying(&shares),
        world.ask("DELETE", &format!("payments/{paid}/allocations/{allocation}")),
        world.ask("POST", &format!("invoices/{invoice}/uncollectible")),
    ]
}

#[test]
fn every_route_writes_who_did_what() {
    let world = world();
    let mut routes = BTreeSet::new();
    for asked in one_of_each(&world) {
        let before = world.audit().len();
        let answer = asked.of(&world.api);
        assert!(answer.status < 300, "{} {}: {}", asked.method, asked.path, answer.body);
        let events = world.audit();
        assert!(events.len() > before, "{} {}", asked.method, asked.path);
        let last = &events[events.len() - 1];
        assert_eq!(last.actor.role.as_deref(), Some("billing_admin"));
        assert_eq!((last.ip(), last.user_agent()), (Some("203.0.113.7"), Some("test")));
        routes.insert(asked.request().route().to_owned());
    }
    assert_eq!(routes, ROUTES.map(str::to_owned).into());
}

#[test]
fn nothing_is_shown_that_cannot_be_audited() {
    let world = world();
    for asked in one_of_each(&world) {
        let faults = Faults::default();
        let tables = world.tables.fork(faults.clone());
        let calls = {
            asked.of(&api(&tables, &world.kms, &world.cash));
            faults.calls()
        };
        for call in 0..calls {
            let faults = Faults::default();
            faults.plan(call, Fault::Refuses);
            let tables = world.tables.fork(faults);
            let answer = asked.of(&api(&tables, &world.kms, &world.cash));
            assert_eq!(answer.status, 503, "{} {}, call {call} of {calls}", asked.method, asked.path);
            assert_eq!(answer.body["code"], "unavailable");
        }
    }
}

#[test]
fn every_payment_and_invoice_that_a_change_alters_has_its_event() {
    let world = world();
    let changed = |ids: &[&String]| -> BTreeSet<_> {
        ids.iter().map(|id| ((*id).clone(), "allocations".to_owned())).collect()
    };
    let received =
        |amount| PaymentPart::Money { witness: Witness::Intent, stage: Stage::Received, amount, since: 1 };
    let share = |invoice: &String, amount: i64| json!({"invoice_id": invoice, "amount": {"amount": amount, "currency": "EUR"}});
    let (one, other, paid) = (world.open_invoice(), world.open_invoice(), world.payment(20_000));
    let path = format!("payments/{paid}/allocations");
    let shares = json!({"allocations": [share(&one, 5_000), share(&other, 6_000)]});
    let applied = world.done("allocation.create", || world.post(&path, shares));
    assert_eq!(applied, changed(&[&paid, &one, &other]));
    let of_one = world.get(&format!("payments/{paid}")).body["allocations"].as_array().unwrap().clone();
    let of_one = of_one.iter().find(|it| it["invoice_id"] == json!(one)).map(|it| text(&it["id"])).unwrap();
    let taken =
        world.done("allocation.delete", || world.ask("DELETE", &format!("{path}/{of_one}")).of(&world.api));
    assert_eq!(taken, changed(&[&of_one, &paid, &one]));

    // A choice that its payment cannot cover any more ends with its invoice.
    let refunded = world.tell("pi_gone", 1, vec![received(100)]);
    let shares = json!({"allocations": [share(&one, 100)]});
    assert_eq!(world.post(&format!("payments/{refunded}/allocations"), shares).status, 201);
    world.tell("pi_gone", 2, vec![PaymentPart::RefundedTotal { amount: 100 }]);
    let void = || world.ask("POST", &format!("invoices/{one}/void")).of(&world.api);
    let voided = world.done("invoice.void", void);
    let own = BTreeSet::from([(one.clone(), "status".to_owned())]);
    assert_eq!(voided, &own | &changed(&[&refunded]));
}

/// As much as one transaction has to hold: an invoice, its number, every payment that it can have, an event of each, an answer.
#[test]
fn an_invoice_that_many_payments_wait_for_is_finalized_at_once() {
    let world = world();
    let draft = world.draft(&world.customer());
    let invoice = draft.parse().unwrap();
    let waiting = (0..i64::try_from(plixo_domain::ledger::MAX_CLAIMS).unwrap()).map(|n| {
        let money =
            PaymentPart::Money { witness: Witness::Intent, stage: Stage::Received, amount: 100, since: n };
        let names = PaymentPart::Names { witness: Witness::Intent, invoice };
        (world.tell(&format!("pi_{n}"), n, vec![money, names]), "allocations".to_owned())
    });
    let mut expected: BTreeSet<_> = waiting.collect();
    expected.insert((draft.clone(), "status,issued_on,due_on,allocations,number".to_owned()));
    let finalize = world.ask("POST", &format!("invoices/{draft}/finalize")).with("idempotency-key", "k");
    assert_eq!(world.done("invoice.finalize", || finalize.of(&world.api)), expected);
}

#[test]
fn who_may_not_learns_nothing_of_what_is_wrong() {
    let world = world();
    let (customer, invoice) = (world.customer(), world.open_invoice());
    let paid = world.payment(100);
    let (viewer, stranger) = (of(Role::Viewer), 16 + of(Role::Controller));
    let post = |path: &str| world.ask("POST", path);
    let allocation: String = Ids::new(now(), [3; 10]).make::<plixo_domain::id::Allocation>().to_string();
    let writes = [
        post("customers").saying(&json!({"nickname": "B"})),
        post("customers").saying(&json!({"name": "A"})).with("content-type", "text/plain"),
        post("customers").saying(&json!({"name": "x".repeat(300_000)})),
        post("customers").saying(&json!({"name": "A"})).with("idempotency-key", "a b"),
        world.ask("PATCH", &format!("customers/{customer}")).saying(&json!([])),
        post("invoices").saying(&json!({})),
        world.ask("PATCH", &format!("invoices/{invoice}")).saying(&json!({"status": "paid"})),
        post(&format!("invoices/{invoice}/finalize")).saying(&json!({"do": 1})),
        post(&format!("invoices/{invoice}/void")).saying(&json!({"do": 1})),
        post(&format!("invoices/{invoice}/uncollectible")).saying(&json!({"do": 1})),
        post("payments").saying(&json!({"source": "stripe"})),
        post("payments/pay_1/allocations").saying(&json!({})),
        post(&format!("payments/{paid}/allocations")).saying(&json!({})),
        post("invoices/inv_1/void"),
        world.ask("DELETE", &format!("payments/{paid}/allocations/{allocation}")).saying(&json!({"do": 1})),
    ];
    let reads = [
        "customers?limit=0",
        "customers?cursor=x",
        "invoices?status=lost",
        "invoices?number=1&status=open",
        "invoices?number=*",
        &format!("invoices/{invoice}?expand=all"),
        "payments?order=up",
        &format!("payments/{paid}?expand=all"),
        &format!("payments/{paid}/suggestions?expand=customer"),
    ];
    let reads = reads.map(|path| world.ask("GET", path));
    let outcomes = |asked: &Asked| {
        let before = world.audit().len();
        let answer = asked.of(&world.api);
        let mut events = world.audit();
        // They have the time of before, and random ids.
        events.retain(|event| event.outcome != Outcome::Allowed);
        (answer.status, world.audit().len() - before, events)
    };
    let count = |events: &[AuditEvent], outcome| events.iter().filter(|it| it.outcome == outcome).count();
    let (mut denied, mut failed) = (0, 0);
    for asked in writes.iter().chain(&reads) {
        let what = format!("{} {}", asked.method, asked.path);
        let (status, written, _) = outcomes(&asked.clone().by(stranger));
        assert_eq!((status, written), (404, 0), "{what}");
        let (status, written, events) = outcomes(asked);
        failed += 1;
        let is_malformed = what.contains("_1/");
        assert!(
            (400..416).contains(&status) && (status == 404) == is_malformed && status != 403,
            "{what}: {status}"
        );
        assert_eq!((written, count(&events, Outcome::Failed)), (1, failed), "{what}");
        if asked.method != "GET" {
            let (status, written, events) = outcomes(&asked.clone().by(viewer));
            denied += 1;
            assert_eq!((status, written, count(&events, Outcome::Denied)), (403, 1, denied), "{what}");
        }
    }
}

#[test]
fn the_document_has_the_routes_and_no_others() {
    let document = serde_json::to_value(Document::openapi()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    assert_eq!(routes, ROUTES.map(str::to_owned).into());
}

#[test]
fn with_expand_an_answer_shows_what_stands_in_other_rows() {
    let world = world();
    let id = world.open_invoice();
    let customer = text(&world.get(&format!("invoices/{id}")).body["customer_id"]);
    let order = json!({"source": "bank", "amount": {"amount": 5_000, "currency": "EUR"}, "received_on": "2026-06-14",
        "payer_name": "Weber", "customer_id": customer});
    let paid = text(&world.made("payments", order)["id"]);
    let shares = json!({"allocations": [{"invoice_id": id, "amount": {"amount": 3_000, "currency": "EUR"}}]});
    let made = world.made(&format!("payments/{paid}/allocations"), shares);
    let named = json!({"id": customer, "name": "Möbel Weber"});

    for list in ["invoices?expand=customer", "payments?unapplied=true&expand=customer"] {
        assert_eq!(world.get(list).body["data"][0]["customer"], named, "{list}");
    }
    let plain = world.get("invoices").body;
    assert_eq!(
        (&plain["data"][0]["customer"], &plain["data"][0]["allocations"]),
        (&Value::Null, &Value::Null)
    );

    let shown = world.get(&format!("invoices/{id}?expand=payments")).body;
    let [applied] = shown["allocations"].as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert_eq!((&applied["id"], &applied["payment_id"]), (&made["data"][0]["id"], &json!(paid)));
    assert_eq!(applied["amount"]["amount"], 3_000);
    let payment = json!({"id": paid, "source": "bank", "received_on": "2026-06-14", "payer_name": "Weber"});
    assert_eq!(applied["payment"], payment);

    let shown = world.get(&format!("payments/{paid}?expand=customer,invoices")).body;
    let number = world.get(&format!("invoices/{id}")).body["number"].clone();
    assert_eq!(shown["customer"], named);
    assert_eq!(shown["allocations"][0]["invoice"], json!({"id": id, "number": number}));

    for wrong in [
        "invoices?expand=payments",
        "invoices?expand=",
        "payments?expand=customer,x",
        "invoices/{id}?expand=customer",
    ] {
        let answer = world.get(&wrong.replace("{id}", &id));
        assert_eq!(
            (answer.status, &answer.body["errors"][0]["pointer"]),
            (400, &json!("/expand")),
            "{wrong}"
        );
    }
}

#[test]
fn an_invoice_is_found_by_its_number() {
    let world = world();
    let id = world.open_invoice();
    let found = world.get("invoices?number=INV-000001&expand=customer").body;
    assert_eq!((&found["data"][0]["id"], &found["next_cursor"]), (&json!(id), &Value::Null));
    assert_eq!(found["data"][0]["customer"]["name"], "Möbel Weber");
    assert_eq!(world.get("invoices?number=INV-1").body["data"], json!([]));
    let both = world.get("invoices?number=INV-000001&status=open");
    assert_eq!((both.status, &both.body["errors"][0]["pointer"]), (400, &json!("/number")));
}

#[test]
fn what_no_invoice_can_have_as_its_number_is_not_looked_for() {
    let world = world();
    world.open_invoice();
    // The longest is more than a key can be; `*` is the name of a row of ours.
    for wrong in ["%2A", "", "+INV-000001", "RE%0A7", "%C3%84-1", &"a".repeat(65), &"a".repeat(2_100)] {
        let answer = world.get(&format!("invoices?number={wrong}"));
        let pointer = &answer.body["errors"][0]["pointer"];
        assert_eq!((answer.status, pointer), (400, &json!("/number")), "{wrong}: {}", answer.body);
    }
    assert_eq!(world.get(&format!("invoices?number={}", "a".repeat(64))).body["data"], json!([]));
}

#[test]
fn a_customers_invoices_of_one_status_are_a_list_of_their_own() {
    let world = world();
    let (one, other) = (world.customer(), world.customer());
    let open = |customer: &str, due_on: &str| {
        let id = text(
            &world.made("invoices", json!({"customer_id": customer, "lines": [line(100)], "due_on": due_on}))
                ["id"],
        );
        assert_eq!(world.ask("POST", &format!("invoices/{id}/finalize")).of(&world.api).status, 200);
        id
    };
    let third = open(&one, "2026-09-01");
    world.draft(&one);
    let first = open(&one, "2026-07-01");
    open(&other, "2026-07-02");
    let second = open(&one, "2026-08-01");
    let filter = format!("invoices?status=open&customer_id={one}&limit=2");
    let page = world.get(&filter).body;
    let ids = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|it| text(&it["id"])).collect()
    };
    assert_eq!(ids(&page), [first.clone(), second], "earliest due first: {page}");
    let cursor = text(&page["next_cursor"]);
    let rest = world.get(&format!("{filter}&cursor={cursor}")).body;
    assert_eq!((ids(&rest), &rest["next_cursor"]), (vec![third], &Value::Null));
    for foreign in [
        format!("invoices?status=open&cursor={cursor}"),
        format!("invoices?customer_id={one}&cursor={cursor}"),
        format!("invoices?status=draft&customer_id={one}&cursor={cursor}"),
        format!("invoices?status=open&customer_id={other}&cursor={cursor}"),
    ] {
        assert_eq!(world.get(&foreign).status, 400, "{foreign}");
    }
    world.ask("POST", &format!("invoices/{first}/void")).of(&world.api);
    assert!(!ids(&world.get(&filter).body).contains(&first));
    assert_eq!(ids(&world.get(&format!("invoices?status=void&customer_id={one}")).body), [first]);
    let nobody = one.replace("cus_01", "cus_00");
    let nobody = world.get(&format!("invoices?status=open&customer_id={nobody}"));
    assert_eq!((nobody.status, &nobody.body["errors"][0]["pointer"]), (400, &json!("/customer_id")));
}

#[test]
fn nothing_is_done_to_what_was_changed_since_it_was_seen() {
    let world = world();
    let act = |method, path: &str, tag: &str| world.ask(method, path).with("if-match", tag);
    let stale = |asked: &Asked| {
        let answer = asked.of(&world.api);
        assert_eq!((answer.status, &answer.body["code"]), (412, &json!("stale")), "{}", asked.path);
    };
    let draft = world.draft(&world.customer());
    let path = format!("invoices/{draft}");
    let tag = || text(&world.get(&path).headers["etag"]);
    let seen = tag();
    world.ask("PATCH", &path).saying(&json!({"lines": [line(1_000_000)]})).of(&world.api);
    stale(&act("POST", &format!("{path}/finalize"), &seen));
    assert_eq!(world.get(&path).body["status"], "draft");
    assert_eq!(act("POST", &format!("{path}/finalize"), &tag()).of(&world.api).status, 200);
    for verb in ["void", "uncollectible"] {
        stale(&act("POST", &format!("{path}/{verb}"), &seen));
    }

    let paid = world.payment(10_000);
    let payment = format!("payments/{paid}");
    let tag = || text(&world.get(&payment).headers["etag"]);
    let seen = tag();
    let shares =
        json!({"allocations": [{"invoice_id": draft, "amount": {"amount": 1_000, "currency": "EUR"}}]});
    let apply = |tag: &str| act("POST", &format!("{payment}/allocations"), tag).saying(&shares);
    let made = apply(&seen).of(&world.api);
    assert_eq!(made.status, 201, "{}", made.body);
    stale(&apply(&seen));
    let one = format!("{payment}/allocations/{}", text(&made.body["data"][0]["id"]));
    stale(&act("DELETE", &one, &seen));
    let missing = act("POST", &format!("{}/allocations", payment.replace("pay_01", "pay_00")), &seen);
    assert_eq!(missing.saying(&shares).of(&world.api).status, 404);
    assert_eq!(act("DELETE", &one, &tag()).of(&world.api).status, 204);
    assert_eq!(act("POST", &format!("{path}/uncollectible"), "*").of(&world.api).status, 200);
    let tag = text(&world.get(&path).headers["etag"]);
    assert_eq!(act("POST", &format!("{path}/void"), &tag).of(&world.api).status, 200);
}

#[test]
fn a_key_counts_with_its_body_whatever_the_method() {
    let world = world();
    let customer = world.customer();
    let patch = |body: Value| {
        let path = format!("customers/{customer}");
        world.ask("PATCH", &path).saying(&body).with("idempotency-key", "k").of(&world.api)
    };
    assert_eq!(patch(json!({"phone": "+49 30 1"})).status, 200);
    assert_eq!(patch(json!({"phone": "+49 30 1"})).status, 200);
    let other = patch(json!({"phone": "+49 30 2"}));
    assert_eq!((other.status, &other.body["code"]), (422, &json!("idempotency_key_reused")));
    assert_eq!(world.get(&format!("customers/{customer}")).body["phone"], "+49 30 1");
}

#[test]
fn a_page_takes_as_many_calls_among_a_hundred_thousand_invoices() {
    let world = world();
    let customer = world.customer();
    let ids: Vec<String> = (0..30).map(|_| world.draft(&customer)).collect();
    let shown_by = |tables: &FakeTables, faults: &Faults| {
        let api = api(tables, &world.kms, &world.cash);
        world.ask("GET", "invoices").of(&api);
        let before = faults.calls();
        let shown = world.ask("GET", "invoices").of(&api).body;
        (shown, faults.calls() - before)
    };
    let faults = Faults::default();
    let few = shown_by(&world.tables.fork(faults.clone()), &faults);
    assert_eq!(few.1, 4, "the member, the list, its rows, the audit event");

    let faults = Faults::default();
    let tables = world.tables.fork(faults.clone());
    let (key, item) = tables.dump().into_iter().find(|(key, _)| key.pk.ends_with(&ids[0])).unwrap();
    for n in 0..100_000 {
        // Made years before those that the page shows.
        let older = format!("inv_01a0000000{n:016}");
        let mut item = item.clone();
        item.insert("kind_sk".to_owned(), AttributeValue::S(older.clone()));
        tables.place(Key { pk: key.pk.replace(&ids[0], &older), ..key.clone() }, item);
    }
    let many = shown_by(&tables, &faults);
    assert_eq!((many.1, &many.0["data"]), (few.1, &few.0["data"]));
}

#[test]
fn suggestions_are_shown_accepted_and_taken_back() {
    let world = world();
    let (invoice, other) = (world.open_invoice(), world.open_invoice());
    let number = world.get(&format!("invoices/{invoice}")).body["number"].clone();
    let money = json!({"amount": 11_900, "currency": "EUR"});
    let body = json!({"source": "bank", "amount": money, "received_on": "2026-06-14",
        "payer_name": "MOEBEL WEBER", "remittance": format!("Rechnung {}", text(&number))});
    let payment = text(&world.made("payments", body)["id"]);
    let path = format!("payments/{payment}/suggestions");
    let expected = json!([{"invoice_id": invoice, "amount": money}]);
    let mut shown = Value::Null;
    let audited = world.done("payment.suggest", || {
        let answer = world.get(&path);
        shown = answer.body.clone();
        answer
    });
    assert_eq!(audited, BTreeSet::from([(payment.clone(), String::new())]));
    let first = &shown["data"][0];
    assert_eq!((&first["allocations"], &shown["stopped_early"]), (&expected, &json!(false)));
    assert!(first["confidence"].as_f64().is_some_and(|it| (0.95..=1.0).contains(&it)), "{first}");
    assert!(first["confidence"].to_string().len() <= 4, "{first}");
    assert_eq!(first["unapplied"], json!({"amount": 0, "currency": "EUR"}));
    let named = json!(format!("invoice number {} is in the remittance text", text(&number)));
    assert!(first["reasons"].as_array().unwrap().contains(&named), "{first}");
    for suggestion in shown["data"].as_array().unwrap() {
        let sum: i64 = suggestion["allocations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["amount"]["amount"].as_i64().unwrap())
            .sum();
        assert_eq!(sum + suggestion["unapplied"]["amount"].as_i64().unwrap(), 11_900);
        assert!(suggestion["confidence"].as_f64().unwrap() >= 0.6);
    }
    let with_numbers = world.get(&format!("{path}?expand=invoices")).body;
    let named = json!({"id": invoice, "number": number});
    assert_eq!(with_numbers["data"][0]["allocations"][0]["invoice"], named);

    let accepted = world.made(&format!("payments/{payment}/allocations"), json!({"allocations": expected}));
    let nothing = json!({"data": [], "stopped_early": false});
    assert_eq!(world.get(&path).body, nothing, "nothing is unapplied");
    let undo = format!("payments/{payment}/allocations/{}", text(&accepted["data"][0]["id"]));
    assert_eq!(world.ask("DELETE", &undo).of(&world.api).status, 204);
    assert_eq!(world.get(&path).body, shown, "all is as it was");

    let unnamed = world.payment(1);
    assert_eq!(world.get(&format!("payments/{unnamed}/suggestions")).body, nothing, "of nothing under 0.6");
    let viewer = world.ask("GET", &path).by(of(Role::Viewer)).of(&world.api);
    assert_eq!(viewer.status, 200, "who may read payments may read this");
    let theirs = Asked { org: world.orgs[1].to_string(), ..world.ask("GET", &path) };
    assert_eq!(theirs.clone().by(16 + of(ADMIN)).of(&world.api).status, 404);
    assert_eq!(theirs.of(&world.api).status, 404);
    drop(other);
}
