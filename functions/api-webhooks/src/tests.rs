mod providers;
mod sources;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use plixo_authz::Authz;
use plixo_domain::audit::{AuditEvent, Outcome};
use plixo_domain::id::{EventId, Ids, OrgId};
use plixo_domain::ledger::{Book, Organisation, Private, Residency, RowKey};
use plixo_domain::people::{Member, MemberState, Role, UserId, add_member};
use plixo_domain::webhook::{EventKey, EventStatus, ExternalId, Fingerprint, Provider, WebhookEvent};
use plixo_lambda::batch::Batch;
use plixo_store::{AttributeValue, Payload, Store};
use plixo_testing::{
    FakeErp, FakeKms, FakeQueue, FakeStripe, FakeTables, FakeVault, Fault, Faults, audit_log, entropy,
};
use plixo_webhooks::stripe::{self, event::Event};
use serde_json::{Value, json};
use webhook_stripe::Receiver;
use worker_stripe::Worker;

use super::*;

const GIVEN: &str = "whsec_givenGivenGiven+/=";

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn later(hours: i64) -> Timestamp {
    now().saturating_add(SignedDuration::from_hours(hours)).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

fn user(n: u8) -> UserId {
    format!("00000000-0000-4000-8000-0000000000{n:02x}").parse().unwrap()
}

/// Two organisations: of the first the users 0 to 4 are members, a role each, of the second the users 16 to 20.
struct World {
    tables: FakeTables,
    kms: FakeKms,
    vault: FakeVault,
    queue: FakeQueue,
    erp_queue: FakeQueue,
    stripe: FakeStripe,
    sources: FakeVault,
    erp: FakeErp,
    orgs: [OrgId; 2],
}

type Faked = Api<FakeTables, FakeKms, FakeVault, FakeQueue, FakeStripe, FakeErp>;

struct Answer {
    status: u16,
    headers: Value,
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
        let (tables, kms) = (FakeTables::default(), FakeKms::default());
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
        let (vault, queue, erp_queue, stripe, sources) = Default::default();
        let erp = FakeErp::over(FakeVault::clone(&sources), Faults::default());
        Self { tables, kms, vault, queue, erp_queue, stripe, sources, erp, orgs }
    }

    /// The same world, whose calls go wrong as planned, with contents of its own.
    fn fork(&self, faults: &Faults) -> Self {
        let vault = FakeVault::new(faults.clone());
        self.vault.dump().into_iter().for_each(|(name, value)| vault.put(&name, value));
        let sources = FakeVault::new(faults.clone());
        self.sources.dump().into_iter().for_each(|(name, value)| sources.put(&name, value));
        let erp = FakeErp::over(sources.clone(), faults.clone());
        Self {
            sources,
            erp,
            tables: self.tables.fork(faults.clone()),
            kms: self.kms.clone(),
            vault,
            queue: FakeQueue::new(faults.clone()),
            erp_queue: FakeQueue::new(faults.clone()),
            stripe: FakeStripe::new(faults.clone()),
            orgs: self.orgs,
        }
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    fn api(&self) -> Faked {
        let (vault, stripe) = (self.vault.clone(), self.stripe.clone());
        let (stripe_queue, erp_queue) = (self.queue.clone(), self.erp_queue.clone());
        let (stripe_keys, base_url) = (self.vault.clone(), Some("https://api.example".to_owned()));
        let (sources, erp) = (self.sources.clone(), self.erp.clone());
        let outside =
            Outside { vault, stripe_keys, sources, stripe_queue, erp_queue, stripe, erp, base_url, entropy };
        Api::new(Arc::new(Desk::new(self.store(), Authz::new().unwrap(), entropy)), outside)
    }

    fn ask(&self, method: &'static str, path: &str) -> Asked {
        let headers = vec![("content-type", "application/json".to_owned())];
        let (org, path) = (self.orgs[0], path.to_owned());
        Asked { who: of(Role::BillingAdmin), org, method, path, headers, body: None, at: now() }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).of(self)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path).saying(body).of(self)
    }

    fn patch(&self, id: &str, state: &str) -> Answer {
        self.ask("PATCH", &format!("webhook-endpoints/{id}")).saying(&json!({"state": state})).of(self)
    }

    fn endpoint(&self) -> Value {
        let answer = self.post("webhook-endpoints", &json!({"provider": "stripe"}));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body
    }

    fn audit(&self) -> Vec<AuditEvent> {
        block_on(audit_log(&self.tables, &self.kms, now()))
    }

    /// How often the audit log says that something was done.
    fn told(&self, action: &str) -> usize {
        // An answer given again is in the log too, with no fields.
        let is_change = |event: &AuditEvent| event.outcome == Outcome::Allowed && !event.fields.is_empty();
        self.audit().into_iter().filter(|event| event.action == action && is_change(event)).count()
    }

    /// The ids of the endpoints that are enabled in the vault.
    fn enabled(&self) -> Vec<String> {
        let entries = self.vault.dump().into_iter();
        let entries = entries.map(|(id, text)| (id, serde_json::from_str::<Value>(&text).unwrap()));
        entries.filter(|(_, entry)| entry["state"] == "enabled").map(|(id, _)| id).collect()
    }

    /// What a fresh receiver answers an event signed with that secret.
    fn deliver(&self, endpoint: &Value, secret: &str, at: Timestamp, event: &str) -> u16 {
        let receiver = Receiver::new(self.vault.clone(), self.queue.clone());
        let header = stripe::sign(secret.as_bytes(), at.as_second(), event.as_bytes());
        let request = json!({"headers": {"stripe-signature": header}, "pathParameters": {"endpoint": endpoint["id"]},
            "body": event, "isBase64Encoded": false, "requestContext": {"requestId": "r9", "http": {}}});
        let request = serde_json::from_value(request).unwrap();
        let line = Line { timestamp: at, ..Line::default() };
        block_on(receiver.handle(&request, line)).0.status()
    }

    /// The worker on everything that is in the queue; answers how many failed.
    fn work(&self) -> usize {
        let message = |(n, (body, attribute)): (usize, (String, String))| {
            json!({"messageId": format!("m{n}"), "body": body, "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {"plixo": {"dataType": "String", "stringValue": attribute}}})
        };
        let messages: Vec<_> = self.queue.sent().into_iter().enumerate().map(message).collect();
        let batch: Batch = serde_json::from_value(json!({ "Records": messages })).unwrap();
        block_on(Worker::new(self.store(), FakeQueue::default()).run(batch)).failed().count()
    }

    /// An event as the worker records it, with its payload; answers its id.
    fn event(&self, text: &str, status: EventStatus) -> String {
        self.event_of(Provider::Stripe, text, status)
    }

    fn event_of(&self, provider: Provider, text: &str, status: EventStatus) -> String {
        let parsed = Event::parse(text.as_bytes()).unwrap();
        let mut ids = Ids::new(now(), [u8::try_from(text.len() % 251).unwrap(); 10]);
        let id: EventId = ids.make();
        let key = EventKey {
            endpoint: ids.make(),
            provider_event_id: parsed.id.parse::<ExternalId>().unwrap(),
            conflict: None,
        };
        let fingerprint = Fingerprint(parsed.fingerprint());
        let kind = parsed.kind.to_string();
        let event = WebhookEvent {
            id,
            key: key.clone(),
            provider,
            kind,
            status,
            received_at: now(),
            applied_at: None,
            fingerprint,
        };
        let mut book = Book::default();
        book.put_new(event);
        let payload = Payload { id, event: &key, fingerprint, text, received_at: now() };
        block_on(self.store().commit(&self.orgs[0], &book, Some(payload), &[], now())).unwrap();
        id.to_string()
    }
}

/// Which user has a role in the first organisation.
fn of(role: Role) -> u8 {
    u8::try_from(Role::ALL.iter().position(|it| *it == role).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

const EVENT: &str = r#"{"id":"evt_1","object":"event","type":"payment_intent.succeeded","created":1750000000,"data":{"object":{"id":"pi_1","object":"payment_intent","amount":900,"amount_received":900,"currency":"eur","metadata":{}}}}"#;

impl Asked {
    fn saying(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
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

    fn through(&self, api: &Faked) -> Answer {
        let line = Line { timestamp: self.at, ..Line::default() };
        let (response, line) = block_on(api.handle(&self.request(), line));
        let logged = String::from_utf8(line.bytes()).unwrap();
        assert!(!logged.contains("whsec_") && !logged.to_lowercase().contains("canary"), "{logged}");
        let shown = serde_json::to_value(&response).unwrap();
        let body: Value = serde_json::from_str(shown["body"].as_str().unwrap()).unwrap_or(Value::Null);
        assert!(body["secret"].as_str().is_none_or(|secret| !logged.contains(secret)), "{logged}");
        Answer { status: response.status(), headers: shown["headers"].clone(), body }
    }
}

#[test]
fn an_endpoint_is_made_with_a_secret_that_is_shown_once_and_verifies() {
    let world = World::new();
    let made = world.endpoint();
    let (id, secret) = (text(&made["id"]), text(&made["secret"]));
    assert_eq!(made["url"], format!("https://api.example/webhooks/stripe/{id}"));
    assert_eq!((&made["provider"], &made["state"]), (&json!("stripe"), &json!("enabled")));
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "32 bytes in base64");
    assert_eq!(world.deliver(&made, &secret, now(), EVENT), 200);
    assert_eq!(world.deliver(&made, GIVEN, now(), EVENT), 400);

    let shown = world.get(&format!("webhook-endpoints/{id}"));
    assert_eq!((shown.status, &shown.headers["etag"]), (200, &json!("\"1\"")));
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("secret");
    assert_eq!(shown.body, expected);
    let listed = world.get("webhook-endpoints").body;
    assert_eq!(listed, json!({"data": [expected], "next_cursor": null}));
    let stored: String = world.tables.dump().values().map(|item| format!("{item:?}")).collect();
    assert!(!stored.contains("whsec_"), "no table holds it");
}

#[test]
fn a_secret_that_is_brought_along_is_not_shown() {
    let world = World::new();
    let made =
        world.post("webhook-endpoints", &json!({"provider": "stripe", "secret": GIVEN, "account": "acct_1"}));
    assert_eq!(
        (made.status, &made.body["secret"], &made.body["account"]),
        (201, &Value::Null, &json!("acct_1"))
    );
    assert_eq!(world.deliver(&made.body, GIVEN, now(), EVENT), 200);
    let path = format!("webhook-endpoints/{}/rotate", text(&made.body["id"]));
    let rotated = world.post(&path, &json!({"secret": "whsec_anotherAnother16"}));
    assert_eq!((rotated.status, &rotated.body["secret"]), (200, &Value::Null));
    let again = world.post(&path, &json!({"secret": "whsec_anotherAnother16"}));
    assert_eq!(again.status, 200, "the same once more");
    for secret in [GIVEN, "whsec_anotherAnother16"] {
        assert_eq!(world.deliver(&made.body, secret, now(), EVENT), 200, "{secret}");
    }
    assert_eq!(world.deliver(&made.body, GIVEN, later(24), EVENT), 400);
    assert_eq!(world.deliver(&made.body, "whsec_anotherAnother16", later(24), EVENT), 200);
}

#[test]
fn without_a_base_url_the_domain_that_was_asked_is_told() {
    let world = World::new();
    let vault = world.vault.clone();
    let (stripe_keys, sources, stripe, erp, stripe_queue, erp_queue) = Default::default();
    let base_url = None;
    let outside =
        Outside { vault, stripe_keys, sources, stripe_queue, erp_queue, stripe, erp, base_url, entropy };
    let api: Faked = Api::new(Arc::new(Desk::new(world.store(), Authz::new().unwrap(), entropy)), outside);
    let asked = world.ask("POST", "webhook-endpoints").saying(&json!({"provider": "stripe"}));
    let made = asked.through(&api).body;
    assert_eq!(made["url"], format!("https://gateway.example/webhooks/stripe/{}", text(&made["id"])));
}

#[test]
fn a_rotated_secret_goes_on_for_its_24_hours_and_no_rotation_shortens_them() {
    let world = World::new();
    let made = world.endpoint();
    let path = format!("webhook-endpoints/{}/rotate", text(&made["id"]));
    let mut secrets = vec![text(&made["secret"])];
    for hour in 1..5 {
        let answer = Asked { at: later(hour), ..world.ask("POST", &path) }.of(&world);
        assert_eq!(answer.status, 200, "{}", answer.body);
        secrets.push(text(&answer.body["secret"]));
    }
    let sixth = Asked { at: later(5), ..world.ask("POST", &path) }.of(&world);
    assert_eq!((sixth.status, &sixth.body["code"]), (409, &json!("too_many_rotations")));
    for (n, secret) in (0..4).zip(&secrets) {
        let last = later(25 + n).saturating_sub(SignedDuration::from_secs(1)).unwrap();
        assert_eq!(
            world.deliver(&made, secret, last, EVENT),
            200,
            "secret {n}, an hour old when it was rotated"
        );
        assert_eq!(world.deliver(&made, secret, later(25 + n), EVENT), 400, "secret {n}");
    }
    assert_eq!(world.deliver(&made, &secrets[4], later(1000), EVENT), 200);
    let next = Asked { at: later(25), ..world.ask("POST", &path) }.of(&world);
    assert_eq!(next.status, 200);
    assert_eq!(BTreeSet::from_iter(&secrets).len(), 5);
}

#[test]
fn rotations_at_once_lose_no_secret() {
    let world = World::new();
    let made = world.endpoint();
    let asked = world.ask("POST", &format!("webhook-endpoints/{}/rotate", text(&made["id"]))).request();
    let api = world.api();
    let secrets = block_on(async {
        let rotate = async || {
            let line = Line { timestamp: now(), ..Line::default() };
            let (response, _) = api.handle(&asked, line).await;
            assert_eq!(response.status(), 200, "{}", response.body());
            text(&serde_json::from_str::<Value>(response.body()).unwrap()["secret"])
        };
        let (a, b, c) = tokio::join!(rotate(), rotate(), rotate());
        [a, b, c, text(&made["secret"])]
    });
    for secret in secrets {
        assert_eq!(world.deliver(&made, &secret, now(), EVENT), 200);
    }
}

#[test]
fn a_disabled_endpoint_takes_nothing_until_it_is_enabled() {
    let world = World::new();
    let made = world.endpoint();
    let (id, secret) = (text(&made["id"]), text(&made["secret"]));
    let off = world.patch(&id, "disabled");
    assert_eq!(
        (off.status, &off.body["state"], &off.headers["etag"]),
        (200, &json!("disabled"), &json!("\"2\""))
    );
    assert_eq!(world.deliver(&made, &secret, now(), EVENT), 404);
    let rotated = world.ask("POST", &format!("webhook-endpoints/{id}/rotate")).of(&world).body;
    assert_eq!(rotated["state"], "disabled");
    let secret = text(&rotated["secret"]);
    assert_eq!(world.deliver(&made, &secret, now(), EVENT), 404, "still");

    let patch = |state: &str, tag: &str| {
        let asked = world.ask("PATCH", &format!("webhook-endpoints/{id}")).with("if-match", tag);
        asked.saying(&json!({"state": state})).of(&world)
    };
    assert_eq!(patch("enabled", "\"1\"").status, 412);
    assert_eq!(world.deliver(&made, &secret, now(), EVENT), 404);
    assert_eq!(patch("disabled", "\"1\"").status, 412, "though it is so already");
    assert_eq!(patch("enabled", "\"2\"").status, 200);
    assert_eq!(world.deliver(&made, &secret, now(), EVENT), 200);
}

/// Whatever call goes wrong, however: what has no audit event has no effect, and asking again brings the two together.
#[test]
fn the_vault_and_the_row_come_together_again() {
    for state in ["disabled", "enabled"] {
        let world = World::new();
        let made = world.endpoint();
        let (id, secret) = (text(&made["id"]), text(&made["secret"]));
        if state == "enabled" {
            world.patch(&id, "disabled");
        }
        let tag = text(&world.get(&format!("webhook-endpoints/{id}")).headers["etag"]);
        let asked = world.ask("PATCH", &format!("webhook-endpoints/{id}")).with("if-match", &tag);
        let asked = asked.saying(&json!({ "state": state }));
        let before = world.told("webhook_endpoint.update");
        for fault in [Fault::Refuses, Fault::LosesAnswer] {
            for call in 0.. {
                let faults = Faults::default();
                let world = world.fork(&faults);
                faults.plan(call, fault);
                let first = asked.of(&world);
                let done = faults.calls() <= call;
                faults.clear();
                assert_eq!(first.status, if done { 200 } else { 503 }, "{state}, call {call}");
                let took_effect =
                    (world.deliver(&made, &secret, now(), EVENT) == 200) == (state == "enabled");
                let is_told = world.told("webhook_endpoint.update") > before;
                assert!(is_told || !took_effect, "{state}, call {call}");
                // Who did not hear that it was done is told that it is not as they saw it any more.
                let again = asked.of(&world).status;
                assert_eq!(again, if is_told { 412 } else { 200 }, "{state}, call {call}");
                let takes = world.deliver(&made, &secret, now(), EVENT) == 200;
                assert_eq!(takes, state == "enabled", "{state}, call {call}");
                let shown = world.get(&format!("webhook-endpoints/{id}")).body;
                assert_eq!(shown["state"], state, "{state}, call {call}");
                if done {
                    break;
                }
            }
        }
    }
}

#[test]
fn requests_at_once_with_one_key_are_told_the_one_secret_that_verifies() {
    let world = World::new();
    let api = world.api();
    let at_once = |asked: &Asked| {
        let request = asked.request();
        block_on(async {
            let ask = async || {
                let line = Line { timestamp: now(), ..Line::default() };
                let (response, _) = api.handle(&request, line).await;
                (response.status(), serde_json::from_str::<Value>(response.body()).unwrap())
            };
            tokio::join!(ask(), ask())
        })
    };
    let create = world.ask("POST", "webhook-endpoints").with("idempotency-key", "k-1");
    let (a, b) = at_once(&create.saying(&json!({"provider": "stripe"})));
    assert_eq!(a, b);
    assert_eq!(a.0, 201);
    let made = a.1;
    assert_eq!(world.deliver(&made, &text(&made["secret"]), now(), EVENT), 200);
    assert_eq!(world.vault.dump().len(), 2, "both came to the vault");
    assert_eq!(world.enabled(), [text(&made["id"])], "what came of the other takes nothing");

    let rotate = world.ask("POST", &format!("webhook-endpoints/{}/rotate", text(&made["id"])));
    let (a, b) = at_once(&rotate.with("idempotency-key", "k-2"));
    assert_eq!(a, b);
    assert_eq!((a.0, world.told("webhook_endpoint.rotate")), (200, 1));
    assert_eq!(world.deliver(&made, &text(&made["secret"]), later(23), EVENT), 200);
    for hours in [0, 24, 1000] {
        assert_eq!(world.deliver(&made, &text(&a.1["secret"]), later(hours), EVENT), 200, "{hours}");
    }
    assert_eq!(world.deliver(&made, &text(&made["secret"]), later(24), EVENT), 400);
}

/// Whatever call goes wrong, however: what has no audit event has no effect, and asking again rotates once.
#[test]
fn a_rotation_takes_effect_with_its_audit_event_and_not_before() {
    let world = World::new();
    let made = world.endpoint();
    let (path, old) = (format!("webhook-endpoints/{}/rotate", text(&made["id"])), text(&made["secret"]));
    for given in [None, Some(GIVEN)] {
        let asked = world.ask("POST", &path).with("idempotency-key", "k-1");
        let asked = if let Some(given) = given { asked.saying(&json!({"secret": given})) } else { asked };
        for fault in [Fault::Refuses, Fault::LosesAnswer] {
            for call in 0.. {
                let faults = Faults::default();
                let world = world.fork(&faults);
                faults.plan(call, fault);
                let first = asked.of(&world);
                let done = faults.calls() <= call;
                faults.clear();
                assert_eq!(first.status, if done { 200 } else { 503 }, "call {call}");
                if world.told("webhook_endpoint.rotate") == 0 {
                    assert_eq!(world.deliver(&made, GIVEN, now(), EVENT), 400, "call {call}");
                    assert_eq!(world.deliver(&made, &old, later(1000), EVENT), 200, "call {call}");
                }
                let again = asked.of(&world);
                assert_eq!((again.status, world.told("webhook_endpoint.rotate")), (200, 1), "call {call}");
                let new = given.map_or_else(|| text(&again.body["secret"]), str::to_owned);
                assert_eq!(world.deliver(&made, &new, later(1000), EVENT), 200, "call {call}");
                assert_eq!(world.deliver(&made, &old, later(23), EVENT), 200, "call {call}");
                assert_eq!(world.deliver(&made, &old, later(24), EVENT), 400, "call {call}");
                if done {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_repeated_answer_brings_no_older_rotation_or_state_back() {
    let world = World::new();
    let create = world.ask("POST", "webhook-endpoints").with("idempotency-key", "k-1");
    let create = create.saying(&json!({"provider": "stripe"}));
    let made = create.of(&world).body;
    let id = text(&made["id"]);
    let rotate = |given: &str, key: &str| {
        let asked = world.ask("POST", &format!("webhook-endpoints/{id}/rotate")).with("idempotency-key", key);
        assert_eq!(asked.saying(&json!({"secret": given})).of(&world).status, 200);
    };
    rotate(GIVEN, "k-2");
    rotate("whsec_anotherAnother16", "k-3");
    rotate(GIVEN, "k-2");
    assert_eq!(world.deliver(&made, GIVEN, later(24), EVENT), 400);
    assert_eq!(world.deliver(&made, "whsec_anotherAnother16", later(24), EVENT), 200);
    // One that was given up before comes back where it is asked for.
    rotate(GIVEN, "k-4");
    assert_eq!(world.deliver(&made, GIVEN, later(24), EVENT), 200);
    assert_eq!(world.deliver(&made, "whsec_anotherAnother16", later(24), EVENT), 400);
    world.patch(&id, "disabled");
    assert_eq!(create.of(&world).body, made);
    assert_eq!(world.deliver(&made, GIVEN, now(), EVENT), 404);
}

/// Whatever call goes wrong, however: no endpoint takes anything that is not in the ledger, and asking again makes one.
#[test]
fn an_endpoint_that_was_not_made_takes_nothing() {
    let world = World::new();
    let asked = world.ask("POST", "webhook-endpoints").with("idempotency-key", "k-1");
    let asked = asked.saying(&json!({"provider": "stripe", "secret": GIVEN}));
    for fault in [Fault::Refuses, Fault::LosesAnswer] {
        for call in 0.. {
            let faults = Faults::default();
            let world = world.fork(&faults);
            faults.plan(call, fault);
            let first = asked.of(&world);
            let done = faults.calls() <= call;
            faults.clear();
            assert_eq!(first.status, if done { 201 } else { 503 }, "call {call}");
            let listed = world.get("webhook-endpoints").body;
            let listed: Vec<_> =
                listed["data"].as_array().unwrap().iter().map(|it| text(&it["id"])).collect();
            assert!(world.enabled().iter().all(|id| listed.contains(id)), "call {call}");
            let again = asked.of(&world);
            assert_eq!(again.status, 201, "call {call}");
            assert_eq!(world.deliver(&again.body, GIVEN, now(), EVENT), 200, "call {call}");
            assert_eq!(world.enabled(), [text(&again.body["id"])], "call {call}");
            if done {
                break;
            }
        }
    }
}

#[test]
fn the_same_request_with_the_same_key_gets_the_same_answer() {
    let world = World::new();
    let create = world.ask("POST", "webhook-endpoints").with("idempotency-key", "k-1");
    let create = create.saying(&json!({"provider": "stripe"}));
    let (first, again) = (create.of(&world), create.of(&world));
    assert_eq!((first.status, again.status, &first.body), (201, 201, &again.body));
    assert!(text(&again.body["secret"]).starts_with("whsec_"));
    let reused = create.saying(&json!({"provider": "stripe", "secret": GIVEN})).of(&world);
    assert_eq!((reused.status, &reused.body["code"]), (422, &json!("idempotency_key_reused")));
    assert_eq!(world.vault.dump().len(), 1);

    let rotate = |id: &Value| {
        let path = format!("webhook-endpoints/{}/rotate", text(id));
        world.ask("POST", &path).with("idempotency-key", "k-2").of(&world)
    };
    let (once, twice) = (rotate(&first.body["id"]), rotate(&first.body["id"]));
    assert_eq!((once.status, &once.body), (200, &twice.body));
    assert_ne!(once.body["secret"], first.body["secret"]);
    assert_eq!(rotate(&world.endpoint()["id"]).status, 422, "of another endpoint");
    // After a rotation the first answer is still what it was.
    assert_eq!(
        world
            .ask("POST", "webhook-endpoints")
            .with("idempotency-key", "k-1")
            .saying(&json!({"provider": "stripe"}))
            .of(&world)
            .body,
        first.body
    );
    let stored: String = world.tables.dump().values().map(|item| format!("{item:?}")).collect();
    assert!(!stored.contains("whsec_"));
}

#[test]
fn what_no_route_takes_is_refused_with_a_pointer() {
    let world = World::new();
    let id = text(&world.endpoint()["id"]);
    let rotate = format!("webhook-endpoints/{id}/rotate");
    for (path, body, pointer) in [
        ("webhook-endpoints", json!({}), "/provider"),
        ("webhook-endpoints", json!({"provider": "member"}), "/provider"),
        ("webhook-endpoints", json!({"provider": "stripe", "secrets": []}), "/secrets"),
        ("webhook-endpoints", json!({"provider": "stripe", "secret": ""}), "/secret"),
        ("webhook-endpoints", json!({"provider": "stripe", "secret": "whsec_short"}), "/secret"),
        (
            "webhook-endpoints",
            json!({"provider": "stripe", "secret": "sk_live_notASigningSecret"}),
            "/secret",
        ),
        ("webhook-endpoints", json!({"provider": "stripe", "secret": 7}), "/secret"),
        ("webhook-endpoints", json!({"provider": "stripe", "account": "a b"}), "/account"),
        ("webhook-endpoints", json!({"provider": "stripe", "account": "cus_1"}), "/account"),
        ("webhook-endpoints", json!({"provider": "stripe", "account": "acct_4242424242424242"}), "/account"),
        (&rotate, json!({"secret": "whsec_ä345678901234567890"}), "/secret"),
        (&rotate, json!({"state": "enabled"}), "/state"),
    ] {
        let answer = world.post(path, &body);
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("invalid_request")), "{body}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}");
    }
    let member = world.post("webhook-endpoints", &json!({"provider": "member"})).body;
    let told = text(&member["errors"][0]["detail"]);
    assert!(told.contains("`stripe`") && told.contains("`generic_hmac`"), "{told}");
    for (asked, status) in [
        (world.ask("PATCH", &format!("webhook-endpoints/{id}")).saying(&json!({"state": "off"})), 400),
        (world.ask("PATCH", &format!("webhook-endpoints/{id}")).saying(&json!({})), 400),
        (world.ask("POST", &format!("webhook-endpoints/{id}/rotate")).saying(&json!("")), 400),
        (world.ask("GET", "webhook-endpoints?status=enabled"), 400),
        (world.ask("GET", "webhook-events?cursor=x"), 400),
        (world.ask("GET", "webhook-events/evt_1"), 404),
        (world.ask("GET", "webhook-endpoints/whe_1"), 404),
        (world.ask("DELETE", "webhook-endpoints/whe_1"), 404),
    ] {
        let answer = asked.of(&world);
        assert_eq!(answer.status, status, "{} {} {}", asked.method, asked.path, answer.body);
    }
    assert_eq!(world.vault.dump().len(), 1, "nothing was made");
}

#[test]
fn an_event_shows_what_it_said_and_counts_once_it_is_replayed() {
    let world = World::new();
    let made = world.endpoint();
    assert_eq!(world.deliver(&made, &text(&made["secret"]), now(), EVENT), 200);
    assert_eq!(world.work(), 0);
    let listed = world.get("webhook-events").body;
    let event = &listed["data"][0];
    assert_eq!((&event["status"], &event["type"]), (&json!("applied"), &json!("payment_intent.succeeded")));
    assert_eq!((&event["endpoint_id"], &event["provider_event_id"]), (&made["id"], &json!("evt_1")));
    assert_eq!(event.get("payload"), None, "a list holds none");
    let path = format!("webhook-events/{}", text(&event["id"]));
    let shown = world.get(&path).body;
    assert_eq!(shown["payload"], serde_json::from_str::<Value>(EVENT).unwrap());

    let before = world.audit().len();
    let replayed = world.ask("POST", &format!("{path}/replay")).of(&world);
    assert_eq!((replayed.status, &replayed.body), (202, event));
    assert_eq!(world.queue.sent().len(), 2);
    assert_eq!(world.queue.sent()[0].0, world.queue.sent()[1].0, "as it came");
    assert_eq!(world.audit().len(), before + 1);
    assert_eq!(world.work(), 0);
    assert_eq!(world.audit().len(), before + 1, "it counted already");
}

#[test]
fn a_failed_event_counts_when_it_is_replayed() {
    let world = World::new();
    // As if the code of that time had not understood it.
    let id = world.event(EVENT, EventStatus::Failed);
    let replayed = world.ask("POST", &format!("webhook-events/{id}/replay")).of(&world);
    assert_eq!((replayed.status, &replayed.body["status"]), (202, &json!("failed")));
    let last = world.audit().pop().unwrap();
    assert_eq!((last.action.as_str(), last.object.id.as_str()), ("webhook_event.replay", id.as_str()));
    assert_eq!(world.work(), 0);
    let shown = world.get(&format!("webhook-events/{id}")).body;
    assert_eq!(
        (&shown["status"], &shown["received_at"]),
        (&json!("applied"), &json!("2026-06-15T12:00:00Z"))
    );
    assert!(shown["applied_at"].is_string());
    let is_payment =
        |item: &plixo_store::Item| item.get("kind") == Some(&AttributeValue::S("payment".to_owned()));
    assert_eq!(world.tables.dump().values().filter(|item| is_payment(item)).count(), 1);
    // One that still cannot be understood stays as it is.
    let odd = EVENT.replace("evt_1", "evt_22").replace("900", "-900");
    let id = world.event(&odd, EventStatus::Failed);
    assert_eq!(world.ask("POST", &format!("webhook-events/{id}/replay")).of(&world).status, 202);
    assert_eq!(world.work(), 1);
    assert_eq!(world.get(&format!("webhook-events/{id}")).body["status"], "failed");
}

#[test]
fn a_replay_goes_to_whoever_works_the_providers_events_off() {
    let world = World::new();
    let providers = Provider::ALL.into_iter().filter(|it| !matches!(it, Provider::Stripe | Provider::Member));
    for (n, provider) in providers.enumerate() {
        let text = EVENT.replace("evt_1", &"e".repeat(n + 1));
        let id = world.event_of(provider, &text, EventStatus::Failed);
        let replayed = world.ask("POST", &format!("webhook-events/{id}/replay")).of(&world);
        assert_eq!((replayed.status, &replayed.body["provider"]), (202, &json!(provider)));
        let (body, attribute) = world.erp_queue.sent().pop().unwrap();
        let envelope: Value = serde_json::from_str(&attribute).unwrap();
        assert_eq!((body, &envelope["provider"]), (text, &json!(provider)));
        let outside = provider == Provider::StandardWebhooks;
        assert_eq!(
            envelope.get("event_id"),
            outside.then(|| json!("e".repeat(n + 1))).as_ref(),
            "{provider:?}"
        );
        assert_eq!((world.erp_queue.sent().len(), world.queue.sent().len()), (n + 1, 0), "{provider:?}");
    }
}

#[test]
fn a_payload_that_is_gone_is_neither_shown_nor_replayed() {
    let world = World::new();
    let id = world.event(EVENT, EventStatus::Failed);
    let at = later(30 * 24);
    let shown = Asked { at, ..world.ask("GET", &format!("webhook-events/{id}")) }.of(&world);
    assert_eq!((shown.status, shown.body.get("payload")), (200, None));
    let replayed = Asked { at, ..world.ask("POST", &format!("webhook-events/{id}/replay")) }.of(&world);
    assert_eq!((replayed.status, &replayed.body["code"]), (409, &json!("payload_gone")));
    assert!(world.queue.sent().is_empty());
    let last = world.audit().into_iter().max_by_key(|event| event.id).unwrap();
    assert_eq!((last.action.as_str(), last.outcome), ("webhook_event.replay", Outcome::Failed));
}

#[test]
fn an_event_is_gone_after_its_35_days_whether_or_not_the_table_has_let_go_of_it() {
    let world = World::new();
    let id = world.event(EVENT, EventStatus::Failed);
    let path = format!("webhook-events/{id}");
    let ask = |method, path: &str, at| Asked { at, ..world.ask(method, path) }.of(&world);
    let last = later(35 * 24).saturating_sub(SignedDuration::from_secs(1)).unwrap();
    assert_eq!(ask("GET", "webhook-events", last).body["data"][0]["id"], id);
    assert_eq!(ask("GET", &path, last).status, 200);
    let gone = later(35 * 24);
    assert_eq!(ask("GET", "webhook-events", gone).body, json!({"data": [], "next_cursor": null}));
    assert_eq!(ask("GET", &path, gone).status, 404);
    assert_eq!(ask("POST", &format!("{path}/replay"), gone).status, 404);
}

#[test]
fn a_replay_that_the_queue_did_not_take_is_told_as_failed() {
    let world = World::new();
    let id = world.event(EVENT, EventStatus::Failed);
    let asked = world.ask("POST", &format!("webhook-events/{id}/replay"));
    let counted = Faults::default();
    assert_eq!(asked.of(&world.fork(&counted)).status, 202);
    let faults = Faults::default();
    let world = world.fork(&faults);
    // The queue's is the last call.
    faults.plan(counted.calls() - 1, Fault::Refuses);
    assert_eq!(asked.of(&world).status, 503);
    assert!(world.queue.sent().is_empty());
    let last = world.audit().into_iter().max_by_key(|event| event.id).unwrap();
    assert_eq!((last.action.as_str(), last.outcome), ("webhook_event.replay", Outcome::Failed));
}

/// Each route with a request that it takes.
fn one_of_each(world: &World) -> Vec<Asked> {
    let id = text(&world.endpoint()["id"]);
    let event = world.event(EVENT, EventStatus::Failed);
    let source = format!("data-sources/{}", text(&world.source()["id"]));
    vec![
        world.ask("GET", "webhook-endpoints"),
        world.ask("POST", "webhook-endpoints").saying(&json!({"provider": "stripe"})),
        world.ask("GET", &format!("webhook-endpoints/{id}")),
        world.ask("PATCH", &format!("webhook-endpoints/{id}")).saying(&json!({"state": "disabled"})),
        world.ask("POST", &format!("webhook-endpoints/{id}/rotate")),
        world.ask("GET", "webhook-events"),
        world.ask("GET", &format!("webhook-events/{event}")),
        world.ask("POST", &format!("webhook-events/{event}/replay")),
        world.ask("GET", "stripe-account"),
        world.ask("PUT", "stripe-account").saying(&json!({"restricted_key": KEY})),
        world.ask("DELETE", "stripe-account"),
        world.ask("GET", "data-sources"),
        world.ask("GET", &source),
        world.ask("PATCH", &source).saying(&json!({"name": "Books"})),
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
            let may = matches!(role, Role::Controller | Role::BillingAdmin);
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
    // An account is connected once and disconnected once: `sources` has their tests.
    for route in ["POST /v1/orgs/{org}/data-sources", "DELETE /v1/orgs/{org}/data-sources/{id}"] {
        assert!(routes.insert(route.to_owned()));
    }
    assert_eq!(routes, ROUTES.map(str::to_owned).into());
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
        if asked.path.contains('/') {
            let within = Asked { org: world.orgs[1], ..asked.by(stranger) }.of(&world);
            assert_eq!(within.status, 404, "an id of the first organisation in the second");
        }
    }
    for _ in 0..2 {
        world.endpoint();
    }
    let cursor = text(&world.get("webhook-endpoints?limit=1").body["next_cursor"]);
    let there = world.ask("GET", &format!("webhook-endpoints?cursor={cursor}")).by(stranger);
    assert_eq!(Asked { org: world.orgs[1], ..there }.of(&world).status, 400);
    assert_eq!(world.get(&format!("webhook-events?cursor={cursor}")).status, 400, "of another list");
    assert_eq!(world.get(&format!("webhook-endpoints?cursor={cursor}")).status, 200);
}

#[test]
fn nothing_is_shown_or_made_that_cannot_be_audited() {
    let world = World::new();
    for asked in one_of_each(&world) {
        let counted = Faults::default();
        asked.of(&world.fork(&counted));
        for call in 0..counted.calls() {
            let faults = Faults::default();
            faults.plan(call, Fault::Refuses);
            let answer = asked.of(&world.fork(&faults));
            assert_eq!(answer.status, 503, "{} {}, call {call}", asked.method, asked.path);
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

const KEY: &str = "rk_test_51CanaryCanaryCanaryA1b2";
const OTHER_KEY: &str = "rk_live_51OtherCanaryCanaryC3d4";

impl World {
    fn connect(&self, key: &str) -> Answer {
        self.ask("PUT", "stripe-account").saying(&json!({"restricted_key": key})).of(self)
    }

    /// The key that payers' functions find.
    fn key(&self) -> Option<String> {
        let entry = self.vault.dump().remove(&self.orgs[0].to_string())?;
        Some(serde_json::from_str::<Value>(&entry).unwrap()["key"].as_str()?.to_owned())
    }
}

#[test]
fn an_organisation_connects_its_stripe_account_and_takes_it_back() {
    let world = World::new();
    assert_eq!(world.get("stripe-account").body, json!({"state": "not_connected"}));
    let connected = world.connect(KEY);
    let shown = json!({"state": "connected", "key_hint": "rk_test_…A1b2", "connected_at": now()});
    assert_eq!((connected.status, &connected.body), (200, &shown));
    assert_eq!(world.get("stripe-account").body, shown);
    assert_eq!(world.key().as_deref(), Some(KEY));
    assert_eq!(world.connect(OTHER_KEY).body["key_hint"], "rk_live_…C3d4");
    assert_eq!(world.key().as_deref(), Some(OTHER_KEY));
    assert_eq!(world.ask("DELETE", "stripe-account").of(&world).status, 204);
    assert_eq!(world.key(), None);
    assert_eq!(world.get("stripe-account").body, json!({"state": "not_connected"}));
    assert_eq!(world.ask("DELETE", "stripe-account").of(&world).status, 204, "once more");
}

#[test]
fn only_restricted_keys_are_taken_and_none_is_shown_or_kept_in_a_table() {
    let world = World::new();
    for wrong in ["", "sk_live_51CanaryCanaryCanaryA1b2", "rk_live_", "rk_live_51Canary Canary"] {
        let refused = world.connect(wrong);
        assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (400, &json!("/restricted_key")));
        assert!(!refused.body.to_string().contains("Canary"), "{}", refused.body);
    }
    assert!(!world.connect(KEY).body.to_string().contains("Canary"));
    assert!(!format!("{:?}", world.tables.dump()).contains("Canary"));
}

#[test]
fn a_key_that_stripe_refuses_changes_nothing() {
    let world = World::new();
    world.stripe.refuse(KEY);
    let refused = world.connect(KEY);
    assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (400, &json!("/restricted_key")));
    assert!(text(&refused.body["errors"][0]["detail"]).starts_with("Stripe does not take it"));
    assert_eq!((world.get("stripe-account").body, world.key()), (json!({"state": "not_connected"}), None));
    assert_eq!(world.connect(OTHER_KEY).status, 200);
    assert_eq!(world.connect(KEY).status, 400);
    assert_eq!(world.key().as_deref(), Some(OTHER_KEY), "the one before stays");
    world.stripe.refuse(OTHER_KEY);
    assert_eq!(world.connect(OTHER_KEY).status, 200, "of one that is connected nobody is asked");
    let order = json!({"restricted_key": KEY});
    let viewer = world.ask("PUT", "stripe-account").saying(&order).by(of(Role::Viewer)).of(&world);
    assert_eq!(viewer.status, 403, "whoever may not connect learns nothing of a key");
}

/// Whatever goes wrong at whichever call: asking again, with the same key, ends with row and vault of one key.
#[test]
fn a_fault_while_connecting_is_mended_by_asking_again() {
    for fault in [Fault::Refuses, Fault::LosesAnswer] {
        for call in 0.. {
            let (faults, world) = (Faults::default(), World::new());
            world.connect(OTHER_KEY);
            let faulty = world.fork(&faults);
            faults.plan(call, fault);
            let first = faulty.connect(KEY);
            let met = faults.calls() > call;
            faults.clear();
            if first.status != 200 {
                assert_eq!(faulty.connect(KEY).status, 200, "{fault:?} at {call}");
            }
            assert_eq!(faulty.key().as_deref(), Some(KEY), "{fault:?} at {call}");
            assert_eq!(faulty.get("stripe-account").body["key_hint"], "rk_test_…A1b2");
            if !met {
                break;
            }
        }
    }
}

#[test]
fn of_two_keys_at_once_the_later_rows_is_the_vaults() {
    for ahead in 0..20 {
        let world = World::new();
        let (one, two) = (world.ask("PUT", "stripe-account"), world.ask("PUT", "stripe-account"));
        let one = one.saying(&json!({"restricted_key": KEY}));
        let two = two.saying(&json!({"restricted_key": OTHER_KEY}));
        let (api, line) = (world.api(), || Line { timestamp: now(), ..Line::default() });
        let (one, two) = (one.request(), two.request());
        block_on(async {
            let late = async {
                for _ in 0..ahead {
                    tokio::task::yield_now().await;
                }
                api.handle(&two, line()).await
            };
            tokio::join!(api.handle(&one, line()), late)
        });
        let hint = world.get("stripe-account").body["key_hint"].clone();
        let key = world.key().unwrap();
        assert!(hint.as_str().unwrap().ends_with(key.split_at(key.len() - 4).1), "{ahead}: {hint}");
    }
}
