use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use plixo_authz::Authz;
use plixo_domain::audit::{Actor, ActorKind, Outcome};
use plixo_domain::id::{CustomerId, Ids, InvoiceId, OrgId, from_bytes};
use plixo_domain::ledger::staff::{NewInvoice, create_customer, create_invoice};
use plixo_domain::ledger::{
    Book, Customer, Erased, Kept, Organisation, Personal, PortalLink, Private, Residency, RowKey,
};
use plixo_domain::people::{Member, MemberState, Role, UserId, add_member};
use plixo_domain::privacy::{Authority, Done, PrivacyRequest, PrivacyTask, PrivacyTaskOf};
use plixo_store::{Store, Table};
use plixo_testing::{FakeBucket, FakeKms, FakeQueue, FakeTables, Fault, Faults, entropy};
use serde_json::{Value, json};

use super::*;

mod holds;
mod requests;
mod retention;

fn now() -> Timestamp {
    "2026-06-15T12:00:00.25Z".parse().unwrap()
}

fn later(days: i64) -> Timestamp {
    now().saturating_add(SignedDuration::from_hours(days * 24)).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

fn user(n: u8) -> UserId {
    format!("00000000-0000-4000-8000-0000000000{n:02x}").parse().unwrap()
}

fn of(role: Role) -> u8 {
    u8::try_from(Role::ALL.iter().position(|it| *it == role).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Two organisations: of the first the users 0 to 4 are members, a role each; of the second 16 to 20.
struct World {
    tables: FakeTables,
    kms: FakeKms,
    queue: FakeQueue,
    bucket: FakeBucket,
    orgs: [OrgId; 2],
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Value,
    body: Value,
    text: String,
}

impl Answer {
    /// The status, and the code of a problem.
    fn said(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// The status, and the place of the first field that cannot be used.
    fn wrong(&self) -> (u16, &str) {
        (self.status, self.body["errors"][0]["pointer"].as_str().unwrap_or_default())
    }
}

struct Asked {
    who: u8,
    org: OrgId,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
    at: Timestamp,
}

impl Asked {
    fn by(self, who: u8) -> Self {
        Self { who, ..self }
    }

    fn at(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn saying(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    fn request(&self) -> Request {
        let said = json!({"user": user(self.who).0, "session": "s1",
            "signed_in_at": "2026-06-15T11:00:00Z", "expires_at": "2026-07-15T13:00:00Z"});
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let parts: Vec<_> = path.split('/').collect();
        let (route, id) = match parts[..] {
            ["retention", ..] | [_] => (path.to_owned(), ""),
            [kind, id] => (format!("{kind}/{{id}}"), id),
            [kind, id, verb] => (format!("{kind}/{{id}}/{verb}"), id),
            _ => panic!("{path}"),
        };
        let mut headers: serde_json::Map<String, Value> =
            self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        let body = self.body.as_ref().map(ToString::to_string);
        if body.is_some() {
            headers.insert("content-type".to_owned(), "application/json".into());
        }
        serde_json::from_value(json!({
            "headers": headers, "pathParameters": {"org": self.org, "id": id}, "rawQueryString": query,
            "body": body, "isBase64Encoded": false,
            "requestContext": {"requestId": "r1", "routeKey": format!("{} /v1/orgs/{{org}}/{route}", self.method),
                "authorizer": {"lambda": said}, "http": {"sourceIp": "203.0.113.7", "userAgent": "test"}},
        }))
        .unwrap()
    }

    fn of(&self, world: &World) -> Answer {
        let request = self.request();
        let line = Line { timestamp: self.at, ..Line::default() };
        let (response, _) = block_on(world.api().handle(&request, line));
        let whole = serde_json::to_value(&response).unwrap();
        let body = serde_json::from_str(response.body()).unwrap_or_default();
        let text = response.body().to_owned();
        Answer { status: response.status(), headers: whole["headers"].clone(), body, text }
    }
}

impl World {
    fn new() -> Self {
        let (tables, kms) = (FakeTables::default(), FakeKms::default());
        let orgs = [1_u8, 2].map(|seed| {
            let made = "2024-06-15T12:00:00Z".parse().unwrap();
            let mut ids = Ids::new(made, [seed; 10]);
            let id: OrgId = ids.make();
            let mut book = Book::default();
            book.learn(RowKey::Organisation, None);
            let (name, settings, controllers) = ("Nordlicht".to_owned(), Default::default(), BTreeSet::new());
            let (residency, logo, closed) = (Residency::Eu, None, None);
            book.put(Organisation { id, name, residency, controllers, settings, logo, closed }).unwrap();
            for (role, n) in Role::ALL.iter().copied().zip(0_u8..) {
                let user = user(n + (seed - 1) * 16);
                book.learn(RowKey::Member(user), None);
                book.learn(RowKey::UserOrganisation(user), None);
                let email = Private::Plain(format!("{}{n}@example.com", role.as_str()));
                let state = MemberState::Active;
                add_member(&mut book, Member { id: ids.make(), user, role, state, email }).unwrap();
            }
            let store = Store::new(tables.clone(), kms.clone(), entropy);
            block_on(async {
                store.create_data_key(&id, &kms).await.unwrap();
                store.commit(&id, &book, None, &[], now()).await.unwrap();
            });
            id
        });
        Self { tables, kms, queue: FakeQueue::default(), bucket: FakeBucket::default(), orgs }
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    fn api(&self) -> Api<FakeTables, FakeKms, FakeQueue, FakeBucket> {
        let outside = Outside { queue: self.queue.clone(), bucket: self.bucket.clone() };
        Api::new(Arc::new(Desk::new(self.store(), Authz::new().unwrap(), entropy)), outside)
    }

    /// Compliance asks.
    fn ask(&self, method: &'static str, path: &str) -> Asked {
        let (who, path) = (of(Role::Compliance), path.to_owned());
        Asked { who, org: self.orgs[0], method, path, headers: Vec::new(), body: None, at: now() }
    }

    fn made(&self, path: &str, order: Value) -> Value {
        let answer = self.ask("POST", path).saying(order).of(self);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body
    }

    fn got(&self, path: &str) -> Value {
        let answer = self.ask("GET", path).of(self);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    fn store_all(&self, book: &Book) {
        block_on(self.store().commit(&self.orgs[0], book, None, &[], now())).unwrap();
    }

    /// A customer that was made then.
    fn customer(&self, at: Timestamp, seed: u8) -> CustomerId {
        let mut book = Book::default();
        let name = Some("Ursula Probe".to_owned());
        let personal = Personal { name, ..Personal::default() };
        let made = create_customer(&mut book, personal, &mut Ids::new(at, [seed; 10])).unwrap();
        self.store_all(&book);
        made.id
    }

    /// A draft of that customer's, made then.
    fn invoice(&self, customer: CustomerId, at: Timestamp, seed: u8) -> InvoiceId {
        let mut book = Book::default();
        for (name, stored) in
            block_on(self.store().read(&self.orgs[0], vec![Customer::key(&customer)])).unwrap()
        {
            book.learn(name, stored);
        }
        let line = json!({"description": "Chair", "quantity": "1", "unit_price": {"amount": 100, "currency": "EUR"}});
        let lines = vec![serde_json::from_value(line).unwrap()];
        let (number, memo, due_on) = (None, None, None);
        let new = NewInvoice { customer_id: customer, number, lines, memo, due_on };
        let made = create_invoice(&mut book, new, &mut Ids::new(at, [seed; 10])).unwrap();
        self.store_all(&book);
        made.id
    }

    /// So many links of an invoice, that expire then.
    fn links(&self, invoice: InvoiceId, expires_at: Timestamp, numbers: std::ops::Range<u16>) {
        let actor = Actor { kind: ActorKind::Member, id: "m".to_owned(), role: None };
        for some in numbers.collect::<Vec<_>>().chunks(100) {
            let mut book = Book::default();
            for n in some {
                let mut bytes = [1; 16];
                bytes[..2].copy_from_slice(&n.to_be_bytes());
                let (made_by, made_at, revoked_at, settled_at) = (actor.clone(), expires_at, None, None);
                let (id, opened, emailed_at) = (from_bytes(bytes), None, None);
                book.put_new(PortalLink {
                    id,
                    invoice,
                    made_by,
                    made_at,
                    expires_at,
                    revoked_at,
                    settled_at,
                    opened,
                    emailed_at,
                });
            }
            self.store_all(&book);
        }
    }

    /// Changes one row.
    fn change<R: Kept + Clone>(&self, name: &R::Name, change: impl Fn(R) -> R) {
        let mut book = Book::default();
        for (name, stored) in block_on(self.store().read(&self.orgs[0], vec![R::key(name)])).unwrap() {
            book.learn(name, stored);
        }
        let row = book.get::<R>(name).unwrap().unwrap().clone();
        book.put(change(row)).unwrap();
        self.store_all(&book);
    }

    /// The requests that the worker was told of, in order.
    fn sent(&self) -> Vec<String> {
        let id = |(body, _): (String, _)| match serde_json::from_str::<PrivacyTask>(&body).unwrap() {
            PrivacyTask { org, task: PrivacyTaskOf::Request(id), .. } if org == self.orgs[0] => {
                id.to_string()
            }
            other => panic!("{other:?}"),
        };
        self.queue.sent().into_iter().map(id).collect()
    }

    /// The audit events of that action in the first organisation: their outcomes.
    fn audited(&self, action: &str) -> Vec<Outcome> {
        let dump = self.tables.dump();
        let items = dump.iter().filter(|(key, _)| key.table == Table::Audit);
        let events = items.map(|(_, item)| plixo_store::to_audit_event(item).unwrap());
        let mut events: Vec<_> = events.filter(|event| event.action == action).collect();
        events.sort_by_key(|event| event.at);
        events.into_iter().map(|event| event.outcome).collect()
    }

    /// Whether a text stands anywhere in the tables as it is.
    fn holds_text(&self, text: &str) -> bool {
        format!("{:?}", self.tables.dump()).contains(text)
    }
}

/// Every route, with a request that it takes.
fn everything(
    world: &World,
    customer: CustomerId,
    hold: &Value,
    request: &Value,
) -> Vec<(Asked, &'static str)> {
    let (hold, request) = (text(&hold["id"]), text(&request["id"]));
    let reason = json!({"reason": "it is not the person"});
    vec![
        (world.ask("GET", "retention"), "retention.read"),
        (world.ask("PUT", "retention").saying(json!({"notice": 30})), "retention.update"),
        (world.ask("GET", "retention/preview?notice=30"), "retention.read"),
        (world.ask("GET", "legal-holds"), "legal_hold.list"),
        (
            world.ask("POST", "legal-holds").saying(json!({"customer_id": customer, "reason": "a dispute"})),
            "legal_hold.place",
        ),
        (world.ask("GET", &format!("legal-holds/{hold}")), "legal_hold.read"),
        (world.ask("POST", &format!("legal-holds/{hold}/release")), "legal_hold.release"),
        (world.ask("GET", "privacy-requests"), "privacy_request.list"),
        (
            world.ask("POST", "privacy-requests").saying(json!({"kind": "erasure", "customer_id": customer})),
            "privacy_request.create",
        ),
        (world.ask("GET", &format!("privacy-requests/{request}")), "privacy_request.read"),
        (
            world.ask("POST", &format!("privacy-requests/{request}/refuse")).saying(reason),
            "privacy_request.refuse",
        ),
        (world.ask("GET", &format!("privacy-requests/{request}/certificate")), "certificate.read"),
        (world.ask("GET", &format!("privacy-requests/{request}/download")), "privacy_request.download"),
    ]
}

fn furnished() -> (World, CustomerId, Value, Value) {
    let world = World::new();
    let customer = world.customer(now(), 9);
    let hold = world.made("legal-holds", json!({"customer_id": customer, "reason": "a dispute"}));
    let request = world.made("privacy-requests", json!({"kind": "access", "customer_id": customer}));
    (world, customer, hold, request)
}

#[test]
fn controllers_and_compliance_may_and_nobody_else() {
    for role in [Role::Controller, Role::BillingAdmin, Role::Cfo, Role::Compliance, Role::Viewer] {
        let (world, customer, hold, request) = furnished();
        let may = matches!(role, Role::Controller | Role::Compliance);
        for (asked, action) in everything(&world, customer, &hold, &request) {
            let before = world.audited(action).len();
            let route = format!("{} {}", asked.method, asked.path);
            let answer = asked.by(of(role)).of(&world);
            assert_eq!(answer.said() == (403, "forbidden"), !may, "{role:?} {route}: {answer:?}");
            assert!(answer.status < 500, "{route}: {answer:?}");
            let events = world.audited(action);
            assert_eq!(events.len(), before + 1, "{route}");
            let expected = match answer.status {
                403 => Outcome::Denied,
                status if status < 400 => Outcome::Allowed,
                _ => Outcome::Failed,
            };
            // All are of one moment, so which one is new cannot be told: where one was before, it was allowed.
            assert!(events.contains(&expected), "{route}: {events:?}");
        }
    }
}

#[test]
fn another_organisation_is_as_one_that_does_not_exist() {
    let (world, customer, hold, request) = furnished();
    let all = || everything(&world, customer, &hold, &request);
    for (asked, _) in all() {
        let route = format!("{} {}", asked.method, asked.path);
        assert_eq!(asked.by(16).of(&world).said(), (404, "not_found"), "{route}");
    }
    // Of an organisation of theirs, in which it is not.
    for (asked, _) in all() {
        let (route, named) =
            (format!("{} {}", asked.method, asked.path), asked.path.matches('/').count() > 0);
        let with_customer = asked.body.as_ref().is_some_and(|body| body.get("customer_id").is_some());
        let answer = Asked { org: world.orgs[1], ..asked }.by(16).of(&world);
        match (named && !route.contains("preview"), with_customer) {
            (true, _) => assert_eq!(answer.said(), (404, "not_found"), "{route}"),
            (false, true) => assert_eq!(answer.wrong(), (400, "/customer_id"), "{route}"),
            _ => assert_eq!(answer.status, 200, "{route}"),
        }
    }
}

#[test]
fn there_is_a_route_for_everything_that_the_gateway_names() {
    let (world, customer, hold, request) = furnished();
    let all = everything(&world, customer, &hold, &request);
    assert_eq!(all.len(), ROUTES.len());
    let line = Line { timestamp: now(), ..Line::default() };
    let request =
        serde_json::from_value(json!({"requestContext": {"requestId": "r1", "routeKey": "GET /v1/none"}}));
    let (response, _) = block_on(world.api().handle(&request.unwrap(), line));
    assert_eq!(response.status(), 404);
}
