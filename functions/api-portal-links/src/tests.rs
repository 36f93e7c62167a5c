use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use plixo_authz::Authz;
use plixo_domain::audit::{AuditEvent, Outcome};
use plixo_domain::id::{Ids, InvoiceId, LinkId, OrgId};
use plixo_domain::ledger::{
    Book, Invoice, Kept, Opened, Organisation, PortalLink, Private, Residency, Row, RowKey, open_link,
};
use plixo_domain::people::{Member, MemberState, Role, UserId, add_member};
use plixo_domain::secret::Secret;
use plixo_links::{Claims, Keyring, Purpose};
use plixo_store::Store;
use plixo_testing::{FakeKms, FakeMail, FakeQueue, FakeTables, FakeVault, Fault, Faults, audit_log, entropy};
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "link-keys";
const KEYS: &str = r#"{"v":1,"key":"CanaryCanaryCanaryCanaryCanaryCanaryCanary123"}"#;
const EMAIL: &str = "rechnung@weber.example";

fn now() -> Timestamp {
    "2026-06-15T12:00:00.25Z".parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    now().saturating_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn user(n: u8) -> UserId {
    format!("00000000-0000-4000-8000-0000000000{n:02x}").parse().unwrap()
}

fn keyring() -> Keyring {
    Keyring::read(&Secret::new(KEYS.to_owned())).unwrap()
}

fn token(url: &Value) -> String {
    url.as_str().unwrap().strip_prefix("https://pay.example/p/").unwrap().to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Two organisations: of the first the users 0 to 4 are members, a role each, of the second the users 16 to 20.
struct World {
    tables: FakeTables,
    kms: FakeKms,
    vault: FakeVault,
    mail: FakeMail,
    orgs: [OrgId; 2],
}

struct Answer {
    status: u16,
    body: Value,
}

/// A request as the gateway hands it over, of a path without its `/v1/orgs/{org}/`.
#[derive(Clone)]
struct Asked {
    who: u8,
    org: OrgId,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
    at: Timestamp,
}

impl World {
    fn new() -> Self {
        let (tables, kms, vault) = (FakeTables::default(), FakeKms::default(), FakeVault::default());
        vault.put(SECRET, KEYS.to_owned());
        let orgs = [1_u8, 2].map(|seed| {
            let mut ids = Ids::new(now(), [seed; 10]);
            let id: OrgId = ids.make();
            let mut book = Book::default();
            book.learn(RowKey::Organisation, None);
            let (name, settings) = ("Nordlicht".to_owned(), Default::default());
            let controllers = BTreeSet::new();
            book.put(Organisation {
                id,
                name,
                residency: Residency::Eu,
                controllers,
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
        Self { tables, kms, vault, mail: FakeMail::default(), orgs }
    }

    /// The same world, whose calls go wrong as planned, with contents of its own.
    fn fork(&self, faults: &Faults) -> Self {
        let vault = FakeVault::new(faults.clone());
        self.vault.dump().into_iter().for_each(|(name, value)| vault.put(&name, value));
        let (tables, mail) = (self.tables.fork(faults.clone()), FakeMail::new(faults.clone()));
        Self { tables, kms: self.kms.clone(), vault, mail, orgs: self.orgs }
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    fn desk(&self) -> Arc<Desk<FakeTables, FakeKms>> {
        Arc::new(Desk::new(self.store(), Authz::new().unwrap(), entropy))
    }

    fn api(&self) -> Api<FakeTables, FakeKms, FakeVault, FakeMail> {
        let keys = LinkKeys::new(self.vault.clone(), SECRET.to_owned());
        let base_url = Some("https://pay.example".to_owned());
        Api::new(self.desk(), Outside { keys, mail: self.mail.clone(), base_url, entropy })
    }

    fn ask(&self, method: &'static str, path: &str) -> Asked {
        let headers = vec![("content-type", "application/json".to_owned())];
        let (org, path) = (self.orgs[0], path.to_owned());
        Asked { who: of(Role::BillingAdmin), org, method, path, headers, body: None, at: now() }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).of(self)
    }

    /// Has the ledger do that.
    fn ledger(&self, path: &str, body: &Value) -> Value {
        let asked = self.ask("POST", path).saying(body);
        let line = Line { timestamp: now(), ..Line::default() };
        let (response, _) =
            block_on(api_ledger::Api::new(self.desk(), FakeQueue::default()).handle(&asked.request(), line));
        assert!(response.status() < 300, "{path}: {}", response.body());
        serde_json::from_str(response.body()).unwrap()
    }

    fn customer(&self, email: Option<&str>, country: Option<&str>) -> String {
        let mut body = json!({"name": "Möbel Weber"});
        if let Some(email) = email {
            body["email"] = email.into();
        }
        if let Some(country) = country {
            body["address"] =
                json!({"line1": "Weg 1", "city": "Ort", "postal_code": "1010", "country": country});
        }
        text(&self.ledger("customers", &body)["id"])
    }

    fn draft(&self, customer: &str) -> String {
        let price = json!({"amount": 11_900, "currency": "EUR"});
        let lines = json!([{"description": "Stühle", "quantity": "1", "unit_price": price}]);
        text(&self.ledger("invoices", &json!({"customer_id": customer, "lines": lines}))["id"])
    }

    fn owed_by(&self, customer: &str) -> String {
        let id = self.draft(customer);
        self.ledger(&format!("invoices/{id}/finalize"), &json!({}));
        id
    }

    /// An invoice of a customer with an address for email.
    fn owed(&self) -> String {
        self.owed_by(&self.customer(Some(EMAIL), None))
    }

    fn pay(&self, invoice: &str) {
        let amount = json!({"amount": 11_900, "currency": "EUR"});
        let payment = json!({"source": "bank", "amount": amount, "received_on": "2026-06-14"});
        let payment = text(&self.ledger("payments", &payment)["id"]);
        let shares = json!({"allocations": [{"invoice_id": invoice, "amount": amount}]});
        self.ledger(&format!("payments/{payment}/allocations"), &shares);
    }

    fn asking(&self, invoice: &str) -> Asked {
        self.ask("POST", &format!("invoices/{invoice}/portal-links"))
    }

    /// A link of that invoice.
    fn link(&self, invoice: &str) -> Value {
        self.link_at(invoice, now(), &json!({}))
    }

    fn link_at(&self, invoice: &str, at: Timestamp, order: &Value) -> Value {
        let made = Asked { at, ..self.asking(invoice).saying(order) }.of(self);
        assert_eq!(made.status, 201, "{}", made.body);
        made.body
    }

    fn row(&self, id: &str) -> PortalLink {
        let id: LinkId = id.parse().unwrap();
        let rows = block_on(self.store().read(&self.orgs[0], vec![PortalLink::key(&id)])).unwrap();
        match rows.into_iter().find_map(|(_, stored)| stored) {
            Some((Row::PortalLink(link), _)) => link,
            other => panic!("{other:?}"),
        }
    }

    /// A payer opens a link.
    fn open(&self, link: &Value, at: Timestamp) {
        let (id, invoice): (LinkId, InvoiceId) =
            (text(&link["id"]).parse().unwrap(), text(&link["invoice_id"]).parse().unwrap());
        let names = vec![PortalLink::key(&id), Invoice::key(&invoice)];
        let mut book = Book::default();
        block_on(async {
            for (name, stored) in self.store().read(&self.orgs[0], names).await.unwrap() {
                book.learn(name, stored);
            }
            let opened = open_link(&mut book, (&id, &invoice), [7; 32], at).unwrap();
            assert!(matches!(opened, Some(Opened::Until(_))), "{opened:?}");
            self.store().commit(&self.orgs[0], &book, None, &[], at).await.unwrap();
        });
    }

    fn audit(&self) -> Vec<AuditEvent> {
        block_on(audit_log(&self.tables, &self.kms, now()))
    }

    /// What the audit log says of links, in the order in which it was done.
    fn told(&self) -> Vec<(String, Outcome, String)> {
        let mut events = self.audit();
        events.retain(|event| event.action.starts_with("portal_link."));
        events.sort_by_key(|event| event.id);
        events.into_iter().map(|event| (event.action, event.outcome, event.fields.join(","))).collect()
    }

    /// How many links there are.
    fn count(&self) -> usize {
        self.tables.dump().keys().filter(|key| format!("{key:?}").contains("lnk_")).count()
    }
}

/// Which user has a role in the first organisation.
fn of(role: Role) -> u8 {
    u8::try_from(Role::ALL.iter().position(|it| *it == role).unwrap()).unwrap()
}

impl Asked {
    fn saying(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn keyed(self, key: &str) -> Self {
        self.with("idempotency-key", key)
    }

    fn by(self, who: u8) -> Self {
        Self { who, ..self }
    }

    fn request(&self) -> Request {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let mut named = json!({"org": self.org});
        let mut route = format!("{} /v1/orgs/{{org}}", self.method);
        for (n, part) in path.split('/').enumerate() {
            let part = if n == 1 {
                named["id"] = part.into();
                "{id}"
            } else {
                part
            };
            route = format!("{route}/{part}");
        }
        let said = json!({"user": user(self.who).0, "session": "s1",
            "signed_in_at": "2026-06-15T11:00:00Z", "expires_at": "2026-06-15T13:00:00Z"});
        let headers: serde_json::Map<String, Value> =
            self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        serde_json::from_value(json!({
            "headers": headers, "pathParameters": named, "rawQueryString": query, "body": self.body,
            "isBase64Encoded": false,
            "requestContext": {"requestId": "r1", "routeKey": route, "authorizer": {"lambda": said},
                "domainName": "gateway.example", "http": {"sourceIp": "203.0.113.7", "userAgent": "test"}},
        }))
        .unwrap()
    }

    fn of(&self, world: &World) -> Answer {
        self.through(&world.api())
    }

    fn through(&self, api: &Api<FakeTables, FakeKms, FakeVault, FakeMail>) -> Answer {
        let line = Line { timestamp: self.at, ..Line::default() };
        let (response, line) = block_on(api.handle(&self.request(), line));
        let logged = String::from_utf8(line.bytes()).unwrap();
        let body: Value = serde_json::from_str(response.body()).unwrap_or(Value::Null);
        for secret in ["/p/", "Canary", EMAIL] {
            assert!(!logged.contains(secret), "{logged}");
        }
        if let Some(url) = body["url"].as_str() {
            assert!(!logged.contains(url.rsplit('/').next().unwrap()), "{logged}");
        }
        Answer { status: response.status(), body }
    }
}

#[test]
fn a_link_is_made_whose_token_names_its_organisation_invoice_and_link() {
    let world = World::new();
    let invoice = world.owed();
    let made = world.link(&invoice);
    let expires_at: Timestamp = "2026-06-22T12:00:00Z".parse().unwrap();
    let claims = Claims {
        purpose: Purpose::Link,
        org: world.orgs[0],
        invoice: invoice.parse().unwrap(),
        link: text(&made["id"]).parse().unwrap(),
        expires_at,
    };
    assert_eq!(keyring().verify(&token(&made["url"]), Purpose::Link, now()).unwrap(), claims);
    assert!(keyring().verify(&token(&made["url"]), Purpose::Session, now()).is_err());
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("url");
    let expected = json!({"id": made["id"], "invoice_id": invoice, "state": "issued", "settled": false, "created_at": now(),
        "expires_at": expires_at, "emailed_at": now()});
    assert_eq!(shown, expected);
    let listed = world.get(&format!("invoices/{invoice}/portal-links")).body;
    assert_eq!(listed, json!({"data": [shown], "next_cursor": null}), "without its address");
}

#[test]
fn without_a_base_url_the_domain_that_was_asked_is_told() {
    let world = World::new();
    let invoice = world.owed();
    let keys = LinkKeys::new(world.vault.clone(), SECRET.to_owned());
    let outside = Outside { keys, mail: world.mail.clone(), base_url: None, entropy };
    let made = world.asking(&invoice).through(&Api::new(world.desk(), outside)).body;
    assert!(text(&made["url"]).starts_with("https://gateway.example/p/"), "{made}");
}

#[test]
fn a_link_is_good_for_5_minutes_to_30_days_and_for_7_days_where_nobody_says() {
    let world = World::new();
    let invoice = world.owed_by(&world.customer(None, None));
    for (order, seconds) in [
        (json!({}), 7 * 24 * 3600),
        (json!({"expires_in": 300}), 300),
        (json!({"expires_in": 301, "send_email": true}), 301),
        (json!({"expires_in": 2_592_000, "send_email": false}), 2_592_000),
    ] {
        let made = world.link_at(&invoice, now(), &order);
        let whole = Timestamp::from_second(later(seconds).as_second()).unwrap();
        assert_eq!(made["expires_at"], json!(whole), "{order}");
        let claims = keyring().verify(&token(&made["url"]), Purpose::Link, now()).unwrap();
        assert_eq!(claims.expires_at, whole, "the row and the token say the same");
    }
    for asked in [
        world.asking(&invoice),
        Asked { headers: vec![], ..world.asking(&invoice) },
        Asked { body: Some(String::new()), ..world.asking(&invoice) },
    ] {
        assert_eq!(asked.of(&world).status, 201, "no body at all");
    }
}

#[test]
fn what_no_route_takes_is_refused_with_a_pointer_and_told() {
    let world = World::new();
    let invoice = world.owed();
    for (body, pointer) in [
        (json!({"expires_in": 0}), "/expires_in"),
        (json!({"expires_in": -1}), "/expires_in"),
        (json!({"expires_in": 299}), "/expires_in"),
        (json!({"expires_in": 2_592_001}), "/expires_in"),
        (json!({"expires_in": i64::MAX}), "/expires_in"),
        (json!({"expires_in": u64::MAX}), "/expires_in"),
        (json!({"expires_in": 1e300}), "/expires_in"),
        (json!({"expires_in": 1.5}), "/expires_in"),
        (json!({"expires_in": 300.0}), "/expires_in"),
        (json!({"expires_in": "300"}), "/expires_in"),
        (json!({"expires_in": null}), "/expires_in"),
        (json!({"send_email": null}), "/send_email"),
        (json!({"send_email": "yes"}), "/send_email"),
        (json!({"expires_at": "2026-07-01T00:00:00Z"}), "/expires_at"),
        (json!([]), ""),
        (json!(null), ""),
    ] {
        let answer = world.asking(&invoice).saying(&body).of(&world);
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("invalid_request")), "{body}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}");
        let last = world.told().pop().unwrap();
        assert_eq!((last.0.as_str(), last.1), ("portal_link.create", Outcome::Failed), "{body}");
    }
    let list = format!("invoices/{invoice}/portal-links");
    let unknown: InvoiceId = Ids::new(now(), [9; 10]).make();
    for (asked, status) in [
        (Asked { headers: vec![], ..world.asking(&invoice).saying(&json!({})) }, 415),
        (world.asking(&invoice).keyed("two words"), 400),
        (world.asking("inv_1"), 404),
        (world.asking(&unknown.to_string()), 404),
        (world.ask("GET", "invoices/inv_1/portal-links"), 404),
        (world.ask("GET", &format!("invoices/{unknown}/portal-links")), 404),
        (world.ask("GET", &format!("{list}?limit=0")), 400),
        (world.ask("GET", &format!("{list}?state=issued")), 400),
        (world.ask("GET", &format!("{list}?cursor=x")), 400),
        (world.ask("DELETE", "portal-links/lnk_1"), 404),
        (world.ask("DELETE", &format!("portal-links/{}", invoice.replace("inv", "lnk"))), 404),
        (world.ask("DELETE", &format!("portal-links/{invoice}")), 404),
    ] {
        let before = world.told().len();
        let answer = asked.of(&world);
        assert_eq!(answer.status, status, "{} {} {}", asked.method, asked.path, answer.body);
        assert_eq!(world.told().len(), before + 1, "{} {}", asked.method, asked.path);
        assert_eq!(world.told().pop().unwrap().1, Outcome::Failed, "{} {}", asked.method, asked.path);
    }
    assert_eq!((world.count(), world.mail.sent().len()), (0, 0), "nothing was made");
}

#[test]
fn only_what_takes_payment_gets_a_link() {
    let world = World::new();
    let customer = world.customer(Some(EMAIL), None);
    let (draft, void, paid) = (world.draft(&customer), world.owed_by(&customer), world.owed_by(&customer));
    world.ledger(&format!("invoices/{void}/void"), &json!({}));
    world.pay(&paid);
    for invoice in [draft, void, paid] {
        let refused = world.asking(&invoice).of(&world);
        assert_eq!((refused.status, &refused.body["code"]), (409, &json!("invoice_status")));
        assert_eq!(world.told().pop().unwrap().1, Outcome::Failed);
    }
    assert_eq!((world.count(), world.mail.sent().len()), (0, 0));
    let given_up = world.owed_by(&customer);
    world.ledger(&format!("invoices/{given_up}/uncollectible"), &json!({}));
    assert_eq!(world.link(&given_up)["state"], "issued");
}

#[test]
fn the_same_key_and_body_is_the_same_link_and_one_email() {
    let world = World::new();
    let invoice = world.owed();
    let asked = world.asking(&invoice).saying(&json!({"expires_in": 600})).keyed("k1");
    let first = asked.of(&world);
    let again = Asked { at: later(60), ..asked.clone() }.of(&world);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(again.body, first.body);
    assert_eq!((world.count(), world.mail.sent().len()), (1, 1));
    assert!(keyring().verify(&token(&again.body["url"]), Purpose::Link, later(60)).is_ok());
    let late = Asked { at: later(3600), ..asked.clone() }.of(&world);
    assert_eq!((late.status, &late.body["url"]), (201, &first.body["url"]), "though it opens nothing now");
    let otherwise = asked.clone().saying(&json!({"expires_in": 601})).of(&world);
    assert_eq!((otherwise.status, &otherwise.body["code"]), (422, &json!("idempotency_key_reused")));
    let other = world.asking(&invoice).saying(&json!({"expires_in": 600})).keyed("k2").of(&world);
    assert_ne!(other.body["id"], first.body["id"]);
    assert_eq!((world.count(), world.mail.sent().len()), (2, 2));
    // What is asked again of a link that was taken back sends nothing.
    let quiet = world.asking(&invoice).keyed("k3");
    world.mail.reject(EMAIL, true);
    let made = quiet.of(&world).body;
    world.mail.reject(EMAIL, false);
    world.ask("DELETE", &format!("portal-links/{}", text(&made["id"]))).of(&world);
    assert_eq!(quiet.of(&world).status, 201);
    assert_eq!(world.mail.sent().len(), 2);
}

#[test]
fn no_table_and_no_audit_event_has_a_token() {
    let world = World::new();
    let invoice = world.owed();
    let made = world.asking(&invoice).keyed("k1").of(&world).body;
    world.asking(&invoice).keyed("k1").of(&world);
    world.get(&format!("invoices/{invoice}/portal-links"));
    world.ask("DELETE", &format!("portal-links/{}", text(&made["id"]))).of(&world);
    let token = token(&made["url"]);
    let (_, signature) = token.split_at(token.len() - 43);
    let dump = format!("{:?}", world.tables.dump());
    assert!(dump.contains(&text(&made["id"])), "the search finds what is there");
    for canary in [token.as_str(), signature, "pay.example", "Canary"] {
        assert!(!dump.contains(canary), "{canary}");
    }
}

#[test]
fn the_customer_is_sent_it_once_in_the_language_of_their_country() {
    for (country, is_german) in [
        (Some("DE"), true),
        (Some("AT"), true),
        (Some("CH"), true),
        (Some("LI"), true),
        (Some("FR"), false),
        (None, false),
    ] {
        let world = World::new();
        let invoice = world.owed_by(&world.customer(Some(EMAIL), country));
        let made = world.link(&invoice);
        let sent = world.mail.sent();
        assert_eq!((sent.len(), sent[0].to.as_str()), (1, EMAIL));
        assert_eq!(sent[0].subject.contains("Rechnung"), is_german, "{country:?}: {}", sent[0].subject);
        let lines: Vec<_> = sent[0].text.lines().collect();
        assert!(lines.contains(&made["url"].as_str().unwrap()), "{}", sent[0].text);
        assert_eq!(made["emailed_at"], json!(now()));
        let told = [
            ("portal_link.create".to_owned(), Outcome::Allowed, "invoice_id,expires_at".to_owned()),
            ("portal_link.email".to_owned(), Outcome::Allowed, "emailed_at".to_owned()),
        ];
        assert_eq!(world.told(), told);
    }
}

#[test]
fn nobody_is_sent_what_they_have_no_address_for_or_should_not_get() {
    let world = World::new();
    let without = world.owed_by(&world.customer(None, Some("DE")));
    let with = world.owed();
    for (invoice, order) in [(&without, json!({})), (&with, json!({"send_email": false}))] {
        let made = world.link_at(invoice, now(), &order);
        assert_eq!((&made["emailed_at"], &made["state"]), (&Value::Null, &json!("issued")));
        assert!(made["url"].is_string());
        assert_eq!(world.row(&text(&made["id"])).emailed_at, None);
    }
    assert!(world.mail.sent().is_empty());
    assert!(world.told().iter().all(|(action, ..)| action == "portal_link.create"));
}

#[test]
fn an_address_that_is_refused_makes_a_link_all_the_same() {
    let world = World::new();
    let invoice = world.owed();
    world.mail.reject(EMAIL, true);
    let asked = world.asking(&invoice).keyed("k1");
    let made = asked.of(&world);
    assert_eq!((made.status, &made.body["emailed_at"]), (201, &Value::Null));
    assert!(made.body["url"].is_string());
    assert_eq!(world.row(&text(&made.body["id"])).emailed_at, None);
    world.mail.reject(EMAIL, false);
    let again = Asked { at: later(60), ..asked }.of(&world);
    assert_eq!(
        (&again.body["id"], &again.body["emailed_at"]),
        (&made.body["id"], &json!(later(60))),
        "once it is taken, it is sent"
    );
    assert_eq!((world.count(), world.mail.sent().len()), (1, 1));
}

#[test]
fn what_was_not_sent_is_sent_once_when_it_is_asked_again() {
    let (faults, world) = (Faults::default(), World::new());
    let invoice = world.owed();
    let world = World { mail: FakeMail::new(faults.clone()), ..world };
    faults.plan(0, Fault::Refuses);
    let asked = world.asking(&invoice).keyed("k1");
    let failed = asked.of(&world);
    assert_eq!((failed.status, &failed.body["code"]), (503, &json!("unavailable")));
    assert!(!failed.body.to_string().contains("/p/"));
    faults.clear();
    for _ in 0..2 {
        let again = asked.of(&world);
        assert_eq!((again.status, &again.body["emailed_at"]), (201, &json!(now())));
        assert_eq!((world.count(), world.mail.sent().len()), (1, 1));
    }
}

/// Whatever call goes wrong, however: asking again with the same key ends with one link, which the customer has.
#[test]
fn a_fault_is_mended_by_asking_again() {
    let world = World::new();
    let invoice = world.owed();
    let asked = world.asking(&invoice).keyed("k1");
    for fault in [Fault::Refuses, Fault::LosesAnswer] {
        for call in 0.. {
            let faults = Faults::default();
            let faulty = world.fork(&faults);
            faults.plan(call, fault);
            let first = asked.of(&faulty);
            let met = faults.calls() > call;
            faults.clear();
            let made = if first.status == 201 { first } else { asked.of(&faulty) };
            assert_eq!(made.status, 201, "{fault:?} at {call}");
            assert!(keyring().verify(&token(&made.body["url"]), Purpose::Link, now()).is_ok());
            assert_eq!(made.body["emailed_at"], json!(now()), "{fault:?} at {call}");
            assert_eq!(faulty.count(), 1, "{fault:?} at {call}");
            // Twice only where it is not known whether it was sent.
            assert!((1..=2).contains(&faulty.mail.sent().len()), "{fault:?} at {call}");
            if !met {
                break;
            }
        }
    }
}

#[test]
fn links_are_listed_youngest_first_each_as_it_stands() {
    let world = World::new();
    let (invoice, other) = (world.owed(), world.owed());
    let list = |at: i64| {
        let asked = world.ask("GET", &format!("invoices/{invoice}/portal-links"));
        let shown = Asked { at: later(at), ..asked }.of(&world);
        assert_eq!(shown.status, 200);
        let links = shown.body["data"].as_array().unwrap().clone();
        links.into_iter().map(|link| (text(&link["id"]), text(&link["state"]))).collect::<Vec<_>>()
    };
    let settled = || {
        let shown = world.get(&format!("invoices/{invoice}/portal-links")).body;
        shown["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|link| link["settled"].as_bool().unwrap())
            .collect::<Vec<_>>()
    };
    let make = |at, order: Value| world.link_at(&invoice, later(at), &order);
    let revoked = make(0, json!({}));
    let expired = make(1, json!({"expires_in": 300}));
    let consumed = make(2, json!({}));
    let issued = make(3, json!({}));
    world.link(&other);
    world.open(&consumed, later(10));
    assert_eq!(world.ask("DELETE", &format!("portal-links/{}", text(&revoked["id"]))).of(&world).status, 204);
    let all = [&issued, &consumed, &expired, &revoked].map(|link| text(&link["id"]));
    let states = |words: [&str; 4]| {
        all.iter().cloned().zip(words.map(str::to_owned)).collect::<Vec<(String, String)>>()
    };
    assert_eq!(list(299), states(["issued", "consumed", "issued", "revoked"]));
    assert_eq!(list(301), states(["issued", "consumed", "expired", "revoked"]));
    let shown = world.get(&format!("invoices/{invoice}/portal-links")).body;
    assert_eq!(shown["data"][1]["opened_at"], json!(later(10)));
    assert_eq!((&shown["data"][0]["opened_at"], &shown["data"][0]["url"]), (&Value::Null, &Value::Null));
    assert_eq!(settled(), [false; 4]);
    world.pay(&invoice);
    assert_eq!(settled(), [true, true, true, false], "one was taken back before");
    assert_eq!(list(302), states(["revoked"; 4]), "nothing is left to pay");
}

#[test]
fn a_cursor_is_of_one_invoices_links() {
    let world = World::new();
    let (invoice, other) = (world.owed(), world.owed());
    let made: Vec<_> =
        (0..5).rev().map(|n| text(&world.link_at(&invoice, later(9 - n), &json!({}))["id"])).collect();
    let list = format!("invoices/{invoice}/portal-links?limit=2");
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let shown = world.get(&format!("{list}{cursor}"));
        assert_eq!(shown.status, 200, "{}", shown.body);
        found.extend(shown.body["data"].as_array().unwrap().iter().map(|link| text(&link["id"])));
        match shown.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, made.into_iter().rev().collect::<Vec<_>>());
    let elsewhere = format!("invoices/{other}/portal-links?limit=2{cursor}");
    assert_eq!(world.get(&elsewhere).status, 400);
}

#[test]
fn a_link_is_taken_back_once_and_its_session_with_it() {
    let world = World::new();
    let invoice = world.owed();
    let made = world.link(&invoice);
    world.open(&made, now());
    let id = text(&made["id"]);
    assert!(world.row(&id).session_until().is_some());
    let asked = world.ask("DELETE", &format!("portal-links/{id}"));
    let (first, again) = (asked.of(&world), Asked { at: later(60), ..asked.clone() }.of(&world));
    assert_eq!((first.status, &first.body, again.status), (204, &Value::Null, 204));
    let row = world.row(&id);
    assert_eq!((row.session_until(), row.revoked_at), (None, Some(now())));
    let told: Vec<_> =
        world.told().into_iter().filter(|(action, ..)| action == "portal_link.revoke").collect();
    let fields: Vec<_> = told.iter().map(|(.., fields)| fields.as_str()).collect();
    assert_eq!(fields, ["revoked_at", ""]);
    let said = asked.clone().saying(&json!({"why": "because"})).of(&world);
    assert_eq!(said.status, 400);
}

/// Each route with a request that it takes.
fn one_of_each(world: &World) -> Vec<Asked> {
    let invoice = world.owed();
    let id = text(&world.link(&invoice)["id"]);
    vec![
        world.ask("GET", &format!("invoices/{invoice}/portal-links")),
        world.asking(&invoice).saying(&json!({"send_email": false})),
        world.ask("DELETE", &format!("portal-links/{id}")),
    ]
}

#[test]
fn every_route_writes_who_did_what_and_lets_in_whom_the_contract_says() {
    let world = World::new();
    let mut routes = BTreeSet::new();
    for asked in one_of_each(&world) {
        routes.insert(asked.request().route().to_owned());
        for role in Role::ALL.iter().copied() {
            let before: BTreeSet<_> = world.audit().into_iter().map(|event| event.id).collect();
            let answer = asked.clone().by(of(role)).of(&world);
            let may = asked.method == "GET" || matches!(role, Role::Controller | Role::BillingAdmin);
            assert_eq!(answer.status == 403, !may, "{} {} {role:?}", asked.method, asked.path);
            assert!(!may || answer.status < 300, "{} {}: {}", asked.method, asked.path, answer.body);
            let written: Vec<_> =
                world.audit().into_iter().filter(|event| !before.contains(&event.id)).collect();
            assert_eq!(written.len(), 1, "{} {}", asked.method, asked.path);
            let event = &written[0];
            assert_eq!(event.actor.role.as_deref(), Some(role.as_str()));
            assert_eq!(event.outcome, if may { Outcome::Allowed } else { Outcome::Denied });
            assert_eq!((event.ip(), event.user_agent()), (Some("203.0.113.7"), Some("test")));
        }
    }
    assert_eq!(routes, ROUTES.map(str::to_owned).into());
}

#[test]
fn a_role_that_may_not_is_told_nothing_of_what_is_wrong() {
    let world = World::new();
    let viewer = of(Role::Viewer);
    for asked in [
        world.asking("inv_1").saying(&json!({"expires_in": 1})),
        world.asking(&world.owed()).saying(&json!({"expires_in": 1})),
        world.ask("DELETE", "portal-links/lnk_1"),
    ] {
        let refused = asked.by(viewer).of(&world);
        assert_eq!((refused.status, &refused.body["code"]), (403, &json!("forbidden")));
    }
}

#[test]
fn another_organisation_is_as_one_that_does_not_exist() {
    let world = World::new();
    let stranger = 16 + of(Role::Controller);
    let missing: OrgId = Ids::new(now(), [9; 10]).make();
    for asked in one_of_each(&world) {
        let foreign = asked.clone().by(stranger).of(&world);
        let nowhere = Asked { org: missing, ..asked.clone() }.of(&world);
        assert_eq!((foreign.status, &foreign.body), (404, &nowhere.body), "{} {}", asked.method, asked.path);
        let within = Asked { org: world.orgs[1], ..asked.by(stranger) }.of(&world);
        assert_eq!(within.status, 404, "an id of the first organisation in the second");
    }
}

#[test]
fn nothing_is_shown_or_made_that_cannot_be_audited() {
    let world = World::new();
    let with_email = world.asking(&world.owed());
    for asked in one_of_each(&world).into_iter().chain([with_email]) {
        let counted = Faults::default();
        assert!(asked.of(&world.fork(&counted)).status < 300);
        for call in 0..counted.calls() {
            let faults = Faults::default();
            faults.plan(call, Fault::Refuses);
            let answer = asked.of(&world.fork(&faults));
            assert_eq!(answer.status, 503, "{} {}, call {call}", asked.method, asked.path);
            assert!(!answer.body.to_string().contains("/p/"), "{}", answer.body);
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
