//! Data sources.

use plixo_domain::ledger::{Kept, Row};
use plixo_domain::source::{DataSource, SourceEntry, SourceName};
use plixo_domain::webhook::ExternalRef;
use plixo_erp::ErpError;

use super::*;

const TENANT: &str = "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f";
const COMPANY: &str = "b18aed47-c385-49d2-b954-dbdf8ad71780";
const REALM: &str = "1185883450";

fn xero() -> Value {
    json!({"name": "Books", "kind": "xero", "account": TENANT, "client_id": "client",
        "client_secret": "canary-secret", "refresh_token": "canary-refresh"})
}

fn quickbooks() -> Value {
    json!({"name": "Shop", "kind": "quickbooks", "account": REALM, "client_id": "client",
        "client_secret": "canary-secret", "refresh_token": "canary-refresh"})
}

fn central() -> Value {
    json!({"name": "Werk", "kind": "business_central", "account": COMPANY, "tenant": "contoso.com",
        "environment": "production", "client_id": "client", "client_secret": "canary-secret"})
}

fn again() -> Value {
    json!({"client_id": "client-2", "client_secret": "canary-second", "refresh_token": "canary-next"})
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

impl World {
    pub(super) fn source(&self) -> Value {
        let made = self.post("data-sources", &xero());
        assert_eq!(made.status, 201, "{}", made.body);
        made.body
    }

    /// The entries of the vault that have credentials.
    fn live(&self) -> Vec<(String, SourceEntry)> {
        let entry = |(id, text): (String, String)| (id, serde_json::from_str::<SourceEntry>(&text).unwrap());
        self.sources.dump().into_iter().map(entry).filter(|(_, entry)| entry.is_connected()).collect()
    }

    /// What is read of Xero's tenant: the source, and by which secret.
    fn read(&self) -> Option<(String, String)> {
        let name = ExternalRef { provider: Provider::Xero, id: TENANT.parse().unwrap() };
        let rows = block_on(self.store().read(&self.orgs[0], vec![SourceName::key(&name)])).unwrap();
        let row = rows.into_iter().find_map(|(_, row)| row);
        let Some((Row::SourceName(name), _)) = row else { return None };
        let id = name.source.to_string();
        let entry = self.live().into_iter().find(|(own, _)| *own == id)?.1;
        Some((id, entry.client_secret.reveal().to_owned()))
    }

    fn stored(&self) -> String {
        format!("{:?}{:?}", self.tables.dump(), self.audit())
    }
}

#[test]
fn an_account_is_connected_once_its_provider_took_the_credentials_and_shows_none_of_them() {
    let world = World::new();
    world.erp.looks("canary-secret", Ok("GBP".parse().ok()));
    for (body, extra) in [
        (xero(), json!({})),
        (quickbooks(), json!({})),
        (central(), json!({"tenant": "contoso.com", "environment": "production"})),
    ] {
        let made = world.post("data-sources", &body);
        let id = made.body["id"].clone();
        let mut expected = json!({"id": id, "name": body["name"], "kind": body["kind"], "account": body["account"],
            "state": "connected", "connected_at": now()});
        expected.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!((made.status, &made.body), (201, &expected));
        let shown = world.get(&format!("data-sources/{}", text(&id)));
        assert_eq!((shown.status, &shown.headers["etag"], &shown.body), (200, &json!("\"1\""), &expected));
        assert_eq!(world.get("data-sources").body["data"][0], expected);
        let live = world.live();
        let (_, entry) = live.iter().find(|(own, _)| *own == id).unwrap();
        assert_eq!((entry.org, entry.currency), (world.orgs[0], "GBP".parse().ok()));
        assert_eq!(entry.client_secret.reveal(), "canary-secret");
        // What the provider gave for the refresh token that it took is kept.
        let token = entry.refresh_token.as_ref().map(|token| token.reveal());
        assert_eq!(token, body.get("refresh_token").map(|_| "canary-refresh+"));
    }
    assert_eq!(world.told("data_source.connect"), 3);
    assert!(!world.stored().to_lowercase().contains("canary"), "no table holds any of it");
}

#[test]
fn what_is_no_source_is_refused_with_a_pointer() {
    let world = World::new();
    for (body, pointers) in [
        (with(xero(), "name", json!(" ")), vec!["/name"]),
        (with(xero(), "name", json!("4242 4242 4242 4242")), vec!["/name"]),
        (with(xero(), "kind", json!("rest")), vec!["/kind"]),
        (with(xero(), "account", json!("1185883450")), vec!["/account"]),
        (with(xero(), "tenant", json!("contoso.com")), vec!["/tenant"]),
        (with(xero(), "client_id", json!("")), vec!["/client_id"]),
        (with(xero(), "client_secret", json!("a b")), vec!["/client_secret"]),
        (with(xero(), "refresh_token", json!("")), vec!["/refresh_token"]),
        (with(xero(), "query", json!("x")), vec!["/query"]),
        (with(quickbooks(), "account", json!(TENANT)), vec!["/account"]),
        (with(quickbooks(), "refresh_token", Value::Null), vec!["/refresh_token"]),
        (with(quickbooks(), "environment", json!("production")), vec!["/environment"]),
        (with(central(), "tenant", json!("common")), vec!["/tenant"]),
        (with(central(), "tenant", Value::Null), vec!["/tenant"]),
        (with(central(), "environment", json!("a/b")), vec!["/environment"]),
        (with(central(), "environment", Value::Null), vec!["/environment"]),
        (with(with(central(), "name", json!("")), "account", json!("x")), vec!["/name", "/account"]),
    ] {
        let answer = world.post("data-sources", &body);
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("invalid_request")), "{body}");
        let errors = answer.body["errors"].as_array().unwrap();
        let told: Vec<_> = errors.iter().map(|it| text(&it["pointer"])).collect();
        assert_eq!(told, pointers, "{body}");
        assert!(!answer.body.to_string().contains("canary"));
    }
    assert!(world.sources.dump().is_empty(), "nobody was asked");
    let id = text(&world.source()["id"]);
    for (body, pointer) in [
        (json!({"client_id": "c"}), "/client_secret"),
        (json!({"client_secret": "c"}), "/client_id"),
        (json!({"refresh_token": "c"}), "/client_id"),
        (json!({"account": TENANT}), "/account"),
        (json!({"name": ""}), "/name"),
    ] {
        let answer = world.ask("PATCH", &format!("data-sources/{id}")).saying(&body).of(&world);
        assert_eq!((answer.status, &answer.body["errors"][0]["pointer"]), (400, &json!(pointer)), "{body}");
    }
    let shop = text(&world.post("data-sources", &quickbooks()).body["id"]);
    let order = json!({"client_id": "c", "client_secret": "s"});
    let answer = world.ask("PATCH", &format!("data-sources/{shop}")).saying(&order).of(&world);
    assert_eq!(answer.body["errors"][0]["pointer"], "/refresh_token");
    assert_eq!(world.live().len(), 2);
}

#[test]
fn credentials_that_the_provider_refuses_or_does_not_look_at_change_nothing() {
    let world = World::new();
    let refused = |cause: &str| ErpError::Refused(cause.to_owned());
    let cases = [
        (refused("invalid_grant"), 400, "/refresh_token"),
        (refused("invalid_client"), 400, "/client_secret"),
        (refused("403"), 400, "/client_secret"),
        (ErpError::Busy { retry_after: None }, 503, ""),
        (ErpError::Unavailable("it is night there".to_owned()), 503, ""),
    ];
    let check = |answer: &Answer, status: u16, pointer: &str| {
        assert_eq!(answer.status, status, "{}", answer.body);
        if status == 400 {
            assert_eq!(answer.body["errors"][0]["pointer"], pointer);
        }
        assert!(!answer.body.to_string().contains("canary"));
    };
    for (error, status, pointer) in cases.clone() {
        world.erp.looks("canary-secret", Err(error));
        check(&world.post("data-sources", &xero()), status, pointer);
        assert!(world.live().is_empty(), "nothing stays of them");
        assert_eq!(world.get("data-sources").body["data"], json!([]));
    }
    world.erp.looks("canary-secret", Ok(None));
    let made = world.source();
    let path = format!("data-sources/{}", text(&made["id"]));
    for (error, status, pointer) in cases {
        world.erp.looks("canary-second", Err(error));
        check(&world.ask("PATCH", &path).saying(&again()).of(&world), status, pointer);
        assert_eq!(world.get(&path).body, made);
        assert_eq!(world.live().len(), 1);
        assert_eq!(world.read().unwrap().1, "canary-secret");
    }
    // Whoever may not connect learns nothing of credentials.
    let before = world.sources.dump();
    assert_eq!(
        world.ask("POST", "data-sources").saying(&quickbooks()).by(of(Role::Viewer)).of(&world).status,
        403
    );
    assert_eq!(world.sources.dump(), before);
}

#[test]
fn an_account_has_one_source() {
    let world = World::new();
    let made = world.source();
    let second = world.post("data-sources", &with(xero(), "account", json!(TENANT.to_uppercase())));
    assert_eq!((second.status, &second.body["code"]), (409, &json!("account_connected")));
    assert_eq!(world.live().len(), 1);
    let elsewhere = Asked { org: world.orgs[1], ..world.ask("POST", "data-sources").saying(&xero()) };
    assert_eq!(elsewhere.by(16 + of(Role::Controller)).of(&world).status, 201, "of another organisation");
    // Of two at once one is told so, and nothing stays of its credentials.
    let (api, asked) = (world.api(), world.ask("POST", "data-sources").saying(&central()).request());
    let line = || Line { timestamp: now(), ..Line::default() };
    let (one, two) = block_on(async { tokio::join!(api.handle(&asked, line()), api.handle(&asked, line())) });
    let mut told = [one.0.status(), two.0.status()];
    told.sort_unstable();
    assert_eq!((told, world.live().len()), ([201, 409], 3));
    // It is free again once its source is disconnected.
    let gone = world.ask("DELETE", &format!("data-sources/{}", text(&made["id"]))).of(&world);
    assert_eq!(gone.status, 204);
    assert_ne!(world.source()["id"], made["id"]);
}

#[test]
fn a_source_is_connected_again_in_its_place() {
    let world = World::new();
    let made = world.source();
    let (id, path) = (text(&made["id"]), format!("data-sources/{}", text(&made["id"])));
    let named = world.ask("PATCH", &path).saying(&json!({"name": "Bücher"})).of(&world);
    assert_eq!((named.status, &named.headers["etag"]), (200, &json!("\"2\"")));
    assert_eq!(named.body, with(made.clone(), "name", json!("Bücher")));
    // As the worker does it.
    let key = DataSource::key(&id.parse().unwrap());
    let rows = block_on(world.store().read(&world.orgs[0], vec![key.clone()])).unwrap();
    let (name, stored) = rows.into_iter().next().unwrap();
    let Some((Row::DataSource(source), version)) = stored else { panic!() };
    let mut book = Book::default();
    book.learn(name, Some((Row::DataSource(source.clone()), version)));
    book.put(DataSource { refused_at: Some(later(1)), ..source }).unwrap();
    block_on(world.store().commit(&world.orgs[0], &book, None, &[], later(1))).unwrap();
    let shown = world.get(&path).body;
    assert_eq!((&shown["state"], &shown["refused_at"]), (&json!("refused"), &json!(later(1))));

    let patch = |tag: &str| {
        let asked = world.ask("PATCH", &path).with("if-match", tag).saying(&again());
        Asked { at: later(2), ..asked }.of(&world)
    };
    assert_eq!(patch("\"1\"").status, 412);
    assert_eq!(world.live().len(), 1, "nothing was tried");
    let connected = patch("\"3\"");
    let expected = with(with(made, "name", json!("Bücher")), "connected_at", json!(later(2)));
    assert_eq!((connected.status, &connected.body), (200, &expected));
    assert_eq!(world.read(), Some((id.clone(), "canary-second".to_owned())));
    let live = world.live();
    assert_eq!(live.len(), 1, "it is nowhere else");
    assert_eq!(live[0].1.refresh_token.as_ref().unwrap().reveal(), "canary-next+");
    assert_eq!(world.told("data_source.update"), 2);
    assert!(!world.stored().to_lowercase().contains("canary"));

    let delete = |tag: &str| world.ask("DELETE", &path).with("if-match", tag).of(&world).status;
    assert_eq!((delete("\"3\""), world.live().len()), (412, 1));
    assert_eq!((delete("\"4\""), world.live().len(), world.read()), (204, 0, None));
    assert!(!format!("{:?}", world.sources.dump()).contains("canary"));
    assert_eq!((world.get(&path).status, delete("\"4\"")), (404, 404));
}

/// Whatever call goes wrong, however: nothing is read that is not in the audit log, and asking again connects it once.
#[test]
fn a_source_that_was_not_connected_is_not_read() {
    let world = World::new();
    let asked = world.ask("POST", "data-sources").with("idempotency-key", "k-1").saying(&xero());
    for fault in [Fault::Refuses, Fault::LosesAnswer] {
        for call in 0.. {
            let faults = Faults::default();
            let world = world.fork(&faults);
            faults.plan(call, fault);
            let first = asked.of(&world);
            let done = faults.calls() <= call;
            faults.clear();
            assert_eq!(first.status, if done { 201 } else { 503 }, "call {call}");
            assert_eq!(world.read().is_some(), world.told("data_source.connect") > 0, "call {call}");
            let again = asked.of(&world);
            assert_eq!((again.status, world.told("data_source.connect")), (201, 1), "call {call}");
            let read = world.read().unwrap();
            assert_eq!(read, (text(&again.body["id"]), "canary-secret".to_owned()), "call {call}");
            if done {
                break;
            }
        }
    }
}

/// Whatever call goes wrong, however: one of the two is read at any time, the new one not before its audit event, and asking again
/// ends with it. A token that changed since does not change back.
#[test]
fn a_source_that_is_connected_again_is_read_all_the_while() {
    let world = World::new();
    let id = text(&world.source()["id"]);
    let asked = world.ask("PATCH", &format!("data-sources/{id}")).with("idempotency-key", "k-1");
    let asked = asked.saying(&again());
    for fault in [Fault::Refuses, Fault::LosesAnswer] {
        for call in 0.. {
            let faults = Faults::default();
            let world = world.fork(&faults);
            faults.plan(call, fault);
            let first = asked.of(&world);
            let done = faults.calls() <= call;
            faults.clear();
            assert_eq!(first.status, if done { 200 } else { 503 }, "call {call}");
            let by = world.read().unwrap().1;
            assert!(by == "canary-secret" || world.told("data_source.update") > 0, "call {call}");
            let again = asked.of(&world);
            assert_eq!((again.status, world.told("data_source.update")), (200, 1), "call {call}");
            assert_eq!(world.read(), Some((id.clone(), "canary-second".to_owned())), "call {call}");
            let mut entry = world.live().into_iter().find(|(own, _)| *own == id).unwrap().1;
            entry.refresh_token = Some(plixo_domain::secret::Secret::new("canary-later".to_owned()));
            world.sources.put(&id, serde_json::to_string(&entry).unwrap());
            assert_eq!(asked.of(&world).body, again.body);
            let held = world.live().into_iter().find(|(own, _)| *own == id).unwrap().1;
            assert_eq!(held.refresh_token.unwrap().reveal(), "canary-later", "call {call}");
            if done {
                break;
            }
        }
    }
}

#[test]
fn a_repeated_answer_brings_no_older_credentials_back() {
    let world = World::new();
    let id = text(&world.source()["id"]);
    let asked = world.ask("PATCH", &format!("data-sources/{id}"));
    let older = asked.clone().with("idempotency-key", "k-1").saying(&again());
    let counted = Faults::default();
    assert_eq!(older.of(&world.fork(&counted)).status, 200);
    for call in 0..counted.calls() {
        let faults = Faults::default();
        let world = world.fork(&faults);
        faults.plan(call, Fault::Refuses);
        assert_eq!(older.of(&world).status, 503);
        faults.clear();
        let newer = with(again(), "client_secret", json!("canary-third"));
        assert_eq!(asked.clone().saying(&newer).of(&world).status, 200);
        if world.told("data_source.update") == 2 {
            assert_eq!(older.of(&world).status, 200);
            assert_eq!(world.read(), Some((id.clone(), "canary-third".to_owned())), "call {call}");
        }
    }
}

/// Whatever call goes wrong, however: asking again leaves no credentials.
#[test]
fn a_source_that_is_disconnected_leaves_no_credentials() {
    for key in [None, Some("k-1")] {
        let world = World::new();
        let id = text(&world.source()["id"]);
        let asked = world.ask("DELETE", &format!("data-sources/{id}"));
        let asked = if let Some(key) = key { asked.with("idempotency-key", key) } else { asked };
        for fault in [Fault::Refuses, Fault::LosesAnswer] {
            for call in 0.. {
                let faults = Faults::default();
                let world = world.fork(&faults);
                faults.plan(call, fault);
                let first = asked.of(&world);
                let done = faults.calls() <= call;
                faults.clear();
                assert_eq!(first.status, if done { 204 } else { 503 }, "call {call}");
                let is_told = world.told("data_source.disconnect") > 0;
                assert!(!world.live().is_empty() || is_told, "call {call}");
                let again = asked.of(&world);
                let expected = if is_told && key.is_none() { 404 } else { 204 };
                assert_eq!(again.status, expected, "call {call}");
                assert_eq!((world.live().len(), world.read()), (0, None), "call {call}");
                if done {
                    break;
                }
            }
        }
    }
}

#[test]
fn strangers_take_no_credentials_away() {
    let world = World::new();
    let id = text(&world.source()["id"]);
    let path = format!("data-sources/{id}");
    let stranger = 16 + of(Role::Controller);
    for asked in [
        world.ask("DELETE", &path).by(stranger),
        Asked { org: world.orgs[1], ..world.ask("DELETE", &path).by(stranger) },
        world.ask("PATCH", &path).saying(&again()).by(stranger),
        Asked { org: world.orgs[1], ..world.ask("PATCH", &path).saying(&again()).by(stranger) },
    ] {
        assert_eq!(asked.of(&world).status, 404);
    }
    for role in Role::ALL.iter().copied().filter(|it| !matches!(it, Role::Controller | Role::BillingAdmin)) {
        assert_eq!(world.ask("DELETE", &path).by(of(role)).of(&world).status, 403, "{role:?}");
    }
    assert_eq!(world.read(), Some((id, "canary-secret".to_owned())));
    assert_eq!(world.live().len(), 1);
}
