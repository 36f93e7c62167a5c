use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use plixo_authz::Authz;
use plixo_domain::audit::Outcome;
use plixo_domain::export::Export;
use plixo_domain::hold::{HeldBy, LegalHold, place};
use plixo_domain::id::{Ids, OrgId};
use plixo_domain::ledger::{Book, Kept, Organisation, Private, Residency, Row, RowKey};
use plixo_domain::people::{By, Member, MemberState, Role, UserId, add_member, change_member, remove_member};
use plixo_domain::retention::Class;
use plixo_lambda::batch::Message;
use plixo_store::{Store, Table};
use plixo_testing::{FakeBucket, FakeKms, FakeQueue, FakeTables, Fault, Faults, entropy};
use serde_json::{Value, json};
use worker_export::Worker;

use super::*;

/// Beside the members of every role, the user 5 is another Controller.
const OTHER: u8 = 5;

fn now() -> Timestamp {
    "2026-06-15T12:00:00.25Z".parse().unwrap()
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

fn of(role: Role) -> u8 {
    u8::try_from(Role::ALL.iter().position(|it| *it == role).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Two organisations: of the first the users 0 to 4 are members, a role each, and 5 is a Controller; of the second 16 to 21.
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
}

impl Answer {
    /// The status, and the code of a problem.
    fn said(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
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

    fn of(&self, world: &World) -> Answer {
        let said = json!({"user": user(self.who).0, "session": "s1",
            "signed_in_at": "2026-06-15T11:00:00Z", "expires_at": "2026-07-15T13:00:00Z"});
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let parts: Vec<_> = path.split('/').collect();
        let (route, id) = match parts[..] {
            ["exports"] => ("exports".to_owned(), ""),
            ["exports", id] => ("exports/{id}".to_owned(), id),
            ["exports", id, verb] => (format!("exports/{{id}}/{verb}"), id),
            _ => panic!("{path}"),
        };
        let mut headers: serde_json::Map<String, Value> =
            self.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        let body = self.body.as_ref().map(ToString::to_string);
        if body.is_some() {
            headers.insert("content-type".to_owned(), "application/json".into());
        }
        let request = serde_json::from_value(json!({
            "headers": headers, "pathParameters": {"org": self.org, "id": id}, "rawQueryString": query,
            "body": body, "isBase64Encoded": false,
            "requestContext": {"requestId": "r1", "routeKey": format!("{} /v1/orgs/{{org}}/{route}", self.method),
                "authorizer": {"lambda": said}, "http": {"sourceIp": "203.0.113.7", "userAgent": "test"}},
        }))
        .unwrap();
        let line = Line { timestamp: self.at, ..Line::default() };
        let (response, _) = block_on(world.api().handle(&request, line));
        let whole = serde_json::to_value(&response).unwrap();
        let body = serde_json::from_str(response.body()).unwrap_or_default();
        Answer { status: response.status(), headers: whole["headers"].clone(), body }
    }
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
            for (role, n) in Role::ALL.iter().copied().chain([Role::Controller]).zip(0_u8..) {
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

    fn ask(&self, method: &'static str, path: &str) -> Asked {
        let path = path.to_owned();
        Asked { who: 0, org: self.orgs[0], method, path, headers: Vec::new(), body: None, at: now() }
    }

    /// Of the kind, requested by that member.
    fn requested(&self, who: u8, kind: &str) -> Value {
        let order = json!({"kind": kind, "format": "csv"});
        let answer = self.ask("POST", "exports").by(who).saying(order).of(self);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body
    }

    fn approve(&self, export: &Value) -> Asked {
        self.ask("POST", &format!("exports/{}/approve", text(&export["id"]))).by(OTHER)
    }

    fn show(&self, export: &Value, at: Timestamp) -> Value {
        let answer = self.ask("GET", &format!("exports/{}", text(&export["id"]))).at(at).of(self);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    fn download(&self, export: &Value) -> Asked {
        self.ask("GET", &format!("exports/{}/download", text(&export["id"])))
    }

    /// The worker takes what was sent last. Answers the word of its log.
    fn work(&self) -> &'static str {
        let (body, _) = self.queue.sent().pop().unwrap();
        let message: Message =
            serde_json::from_value(json!({"messageId": "m1", "body": body, "attributes": {}})).unwrap();
        let worker = Worker::new(
            self.store(),
            Authz::new().unwrap(),
            self.bucket.clone(),
            FakeBucket::default(),
            entropy,
        );
        let line = Line {
            timestamp: now(),
            message_id: Some("m1".to_owned()),
            receive_count: Some(1),
            ..Line::default()
        };
        let (done, line) = block_on(worker.take(&message, line));
        done.unwrap();
        line.outcome
    }

    fn row(&self, export: &Value) -> Export {
        let id = text(&export["id"]).parse().unwrap();
        let rows = block_on(self.store().read(&self.orgs[0], vec![Export::key(&id)])).unwrap();
        match rows.into_iter().find_map(|(_, stored)| stored) {
            Some((Row::Export(export), _)) => export,
            other => panic!("{other:?}"),
        }
    }

    /// Changes the rows of those names.
    fn change(&self, names: Vec<RowKey>, change: impl Fn(&mut Book)) {
        block_on(async {
            let mut book = Book::default();
            for (name, stored) in self.store().read(&self.orgs[0], names).await.unwrap() {
                book.learn(name, stored);
            }
            change(&mut book);
            self.store().commit(&self.orgs[0], &book, None, &[], now()).await.unwrap();
        });
    }

    fn become_(&self, who: u8, role: Role) {
        self.change(vec![RowKey::Organisation, RowKey::Member(user(who))], |book| {
            let member = book.get::<Member>(&user(who)).unwrap().unwrap().clone();
            change_member(book, Member { role, ..member }).unwrap();
        });
    }

    fn leave(&self, who: u8) {
        let id = block_on(self.store().read(&self.orgs[0], vec![RowKey::Member(user(who))])).unwrap();
        let Some((Row::Member(member), _)) = id.into_iter().find_map(|(_, it)| it) else { panic!() };
        let names = vec![
            RowKey::Organisation,
            RowKey::Member(user(who)),
            RowKey::MemberPointer(member.id),
            RowKey::UserOrganisation(user(who)),
        ];
        self.change(names, |book| drop(remove_member(book, user(who)).unwrap()));
    }

    /// The audit events of that action in the first organisation, in the order in which they were written: their outcomes.
    fn audited(&self, action: &str) -> Vec<Outcome> {
        let dump = self.tables.dump();
        let items = dump.iter().filter(|(key, _)| key.table == Table::Audit);
        let events = items.map(|(_, item)| plixo_store::to_audit_event(item).unwrap());
        let mut events: Vec<_> = events.filter(|event| event.action == action).collect();
        events.sort_by_key(|event| event.at);
        events.into_iter().map(|event| event.outcome).collect()
    }
}

#[test]
fn an_export_is_requested_approved_written_and_downloaded() {
    let world = World::new();
    let asked = world.requested(of(Role::BillingAdmin), "customers");
    assert_eq!(asked["status"], "pending_approval");
    assert_eq!(
        (&asked["kind"], &asked["filter"], &asked["format"]),
        (&json!("customers"), &json!({}), &json!("csv"))
    );
    assert_eq!(asked["columns"].as_array().unwrap().len(), 11);
    assert_eq!(asked["asked_rows"], json!({"rows": 0, "or_more": false}));
    assert!(asked.get("rows").is_none() && asked.get("approved_by").is_none());
    let digest = json!({"digest": asked["digest"]});
    let approved = world.approve(&asked).saying(digest).of(&world);
    assert_eq!((approved.status, &approved.body["status"]), (200, &json!("approved")), "{approved:?}");
    assert_ne!(approved.body["approved_by"], asked["requested_by"]);
    assert_eq!(world.download(&asked).of(&world).said(), (409, "export_not_ready"));
    assert_eq!(world.work(), "written");
    let ready = world.show(&asked, now());
    assert_eq!((&ready["status"], &ready["rows"]), (&json!("ready"), &json!(0)), "{ready}");
    let key = format!("{}/{}", world.orgs[0], text(&asked["id"]));
    assert_eq!(world.bucket.dump().into_keys().collect::<Vec<_>>(), std::slice::from_ref(&key));
    for who in [of(Role::BillingAdmin), 0, OTHER] {
        let sent = world.download(&asked).by(who).of(&world);
        let to = text(&sent.headers["location"]);
        assert_eq!(sent.status, 303, "{sent:?}");
        assert!(to.contains(&key) && to.contains("Expires=300") && to.contains("customers-"), "{to}");
    }
    assert_eq!(world.audited("export.request"), [Outcome::Allowed]);
    assert_eq!(world.audited("export.approve"), [Outcome::Allowed]);
    assert_eq!(world.audited("export.run"), [Outcome::Allowed]);
    assert_eq!(world.audited("export.finish"), [Outcome::Allowed]);
    assert_eq!(world.audited("export.download").len(), 4);
}

#[test]
fn nobody_approves_their_own_not_even_once_they_are_a_controller() {
    let world = World::new();
    let own = world.requested(0, "payments");
    assert_eq!(world.approve(&own).by(0).of(&world).said(), (403, "forbidden"));
    let admins = world.requested(of(Role::BillingAdmin), "payments");
    assert_eq!(world.approve(&admins).by(of(Role::BillingAdmin)).of(&world).said(), (403, "forbidden"));
    world.become_(of(Role::BillingAdmin), Role::Controller);
    assert_eq!(world.approve(&admins).by(of(Role::BillingAdmin)).of(&world).said(), (403, "forbidden"));
    assert_eq!(world.audited("export.approve"), [Outcome::Denied; 3]);
    assert!(world.queue.sent().is_empty());
}

#[test]
fn only_controllers_approve_and_viewers_see_none() {
    let world = World::new();
    let asked = world.requested(0, "payments");
    for role in [Role::BillingAdmin, Role::Cfo, Role::Compliance, Role::Viewer] {
        assert_eq!(world.approve(&asked).by(of(role)).of(&world).said(), (403, "forbidden"));
    }
    assert_eq!(world.audited("export.approve"), [Outcome::Denied; 4]);
    let viewer = of(Role::Viewer);
    assert_eq!(world.ask("GET", "exports").by(viewer).of(&world).said(), (403, "forbidden"));
    let order = json!({"kind": "payments", "format": "csv"});
    assert_eq!(world.ask("POST", "exports").by(viewer).saying(order).of(&world).said(), (403, "forbidden"));
}

#[test]
fn of_the_audit_log_only_those_have_an_export_who_may_read_it() {
    let world = World::new();
    let order = json!({"kind": "audit", "format": "json"});
    let admin = of(Role::BillingAdmin);
    assert_eq!(
        world.ask("POST", "exports").by(admin).saying(order.clone()).of(&world).said(),
        (403, "forbidden")
    );
    assert_eq!(world.audited("export.request"), [Outcome::Denied]);
    for role in [Role::Controller, Role::Cfo, Role::Compliance] {
        assert_eq!(world.ask("POST", "exports").by(of(role)).saying(order.clone()).of(&world).status, 201);
    }
}

#[test]
fn an_export_of_another_organisation_is_none() {
    let world = World::new();
    let asked = world.requested(0, "payments");
    for path in ["", "/approve", "/reject", "/download"] {
        let method = if matches!(path, "" | "/download") { "GET" } else { "POST" };
        let path = format!("exports/{}{path}", text(&asked["id"]));
        // Of an organisation of theirs in which it is not, and of one that is not theirs.
        let theirs = Asked { org: world.orgs[1], ..world.ask(method, &path).by(16) };
        assert_eq!(theirs.of(&world).said(), (404, "not_found"), "{path}");
        assert_eq!(world.ask(method, &path).by(16).of(&world).said(), (404, "not_found"), "{path}");
    }
    assert_eq!(world.show(&asked, now())["status"], "pending_approval");
}

#[test]
fn what_is_approved_is_what_was_seen() {
    let world = World::new();
    let asked = world.requested(0, "payments");
    let other = world.requested(0, "invoices");
    let wrong = json!({"digest": other["digest"]});
    assert_eq!(world.approve(&asked).saying(wrong).of(&world).said(), (412, "stale"));
    assert_eq!(world.approve(&asked).with("if-match", "\"7\"").of(&world).said(), (412, "stale"));
    let unknown = json!({"filter": {}});
    assert_eq!(world.approve(&asked).saying(unknown).of(&world).said(), (400, "invalid_request"));
    assert_eq!(world.audited("export.approve"), [Outcome::Failed; 3]);
    assert!(world.queue.sent().is_empty());
    let right = json!({"digest": asked["digest"]});
    assert_eq!(world.approve(&asked).with("if-match", "\"1\"").saying(right).of(&world).status, 200);
}

#[test]
fn what_is_not_what_was_approved_is_not_written() {
    let world = World::new();
    let asked = world.requested(0, "payments");
    assert_eq!(world.approve(&asked).of(&world).status, 200);
    // Somebody changes the row past everything.
    let id = text(&asked["id"]).parse().unwrap();
    world.change(vec![Export::key(&id)], |book| {
        let export = book.get::<Export>(&id).unwrap().unwrap().clone();
        let scope = plixo_domain::export::Scope::Customers(Default::default());
        book.put(Export { scope, ..export }).unwrap();
    });
    world.work();
    let failed = world.show(&asked, now());
    assert_eq!((&failed["status"], &failed["failure"]), (&json!("failed"), &json!("not_approved")));
    assert!(world.bucket.dump().is_empty());
    assert_eq!(world.audited("export.run"), [Outcome::Denied]);
}

#[test]
fn an_approval_is_used_once() {
    let world = World::new();
    let asked = world.requested(of(Role::Cfo), "payments");
    assert_eq!(world.approve(&asked).with("idempotency-key", "k1").of(&world).status, 200);
    let again = world.approve(&asked).with("idempotency-key", "k1").of(&world);
    assert_eq!((again.status, &again.body["status"]), (200, &json!("approved")), "the same answer");
    assert_eq!(world.approve(&asked).of(&world).said(), (409, "export_not_pending"));
    assert_eq!(
        world.ask("POST", &format!("exports/{}/reject", text(&asked["id"]))).of(&world).said(),
        (409, "export_not_pending")
    );
    let approvals = world.audited("export.approve");
    assert_eq!(approvals.iter().filter(|it| **it == Outcome::Failed).count(), 1, "{approvals:?}");
    assert_eq!(world.audited("export.reject"), [Outcome::Failed]);
    world.work();
    let key = format!("{}/{}", world.orgs[0], text(&asked["id"]));
    let first = world.bucket.dump().remove(&key);
    assert!(first.is_some());
    // The message comes once more.
    assert_eq!(world.work(), "nothing_to_do");
    assert_eq!(world.audited("export.run"), [Outcome::Allowed]);
    assert_eq!(world.approve(&asked).of(&world).said(), (409, "export_not_pending"));
    assert_eq!(world.queue.sent().len(), 3, "of a key and of what waits; what is ready is not sent again");
}

#[test]
fn a_message_that_was_lost_is_sent_again() {
    let mut world = World::new();
    let asked = world.requested(0, "payments");
    let faults = Faults::default();
    world.queue = FakeQueue::new(faults.clone());
    faults.plan(0, Fault::Refuses);
    assert_eq!(world.approve(&asked).of(&world).said(), (503, "unavailable"));
    assert_eq!(world.show(&asked, now())["status"], "approved");
    assert_eq!(world.approve(&asked).of(&world).said(), (409, "export_not_pending"));
    assert_eq!(world.queue.sent().len(), 1);
    world.work();
    assert_eq!(world.show(&asked, now())["status"], "ready");
}

#[test]
fn a_request_expires_and_so_does_a_file() {
    let world = World::new();
    let asked = world.requested(of(Role::Cfo), "payments");
    let late = later(7 * 24);
    assert_eq!(world.show(&asked, late)["status"], "expired");
    assert_eq!(world.approve(&asked).at(late).of(&world).said(), (409, "export_expired"));
    assert_eq!(world.audited("export.approve"), [Outcome::Failed]);
    assert_eq!(world.approve(&asked).of(&world).status, 200);
    world.work();
    let row = world.row(&asked);
    assert!(row.file.is_some());
    let late = row.file.unwrap().at.saturating_add(SignedDuration::from_hours(7 * 24)).unwrap();
    let almost = late.saturating_sub(SignedDuration::from_secs(60)).unwrap();
    let sent = world.download(&asked).at(almost).of(&world);
    assert!(text(&sent.headers["location"]).contains("Expires=60"), "an address outlives no file: {sent:?}");
    assert_eq!(world.download(&asked).at(late).of(&world).said(), (409, "export_expired"));
    assert_eq!(world.show(&asked, late)["status"], "expired");
}

#[test]
fn a_file_is_kept_for_as_long_as_the_policy_and_legal_holds_say_now() {
    let world = World::new();
    let asked = world.requested(of(Role::Cfo), "payments");
    assert_eq!(world.approve(&asked).of(&world).status, 200);
    world.work();
    let written = world.row(&asked).file.unwrap().at;
    let after = |days: i64| written.saturating_add(SignedDuration::from_hours(days * 24)).unwrap();
    let shown = |days: i64| {
        let shown = world.show(&asked, after(days));
        (text(&shown["status"]), shown["expires_at"].clone())
    };
    let said = |days: i64| world.download(&asked).at(after(days)).of(&world).status;
    let policy = |days: u16| {
        world.change(vec![RowKey::Organisation], |book| {
            let mut of = book.get::<Organisation>(&()).unwrap().unwrap().clone();
            of.settings.retention = of.settings.retention.with(Class::ExportFile, days).unwrap();
            book.put(of).unwrap();
        });
    };
    policy(14);
    assert_eq!(shown(8), ("ready".to_owned(), json!(after(14))));
    assert_eq!((said(13), said(14)), (303, 409));
    let listed = world.ask("GET", "exports").at(after(8)).of(&world).body["data"][0].clone();
    assert_eq!((&listed["status"], &listed["expires_at"]), (&json!("ready"), &json!(after(14))));
    policy(3);
    assert_eq!(shown(2), ("ready".to_owned(), json!(after(3))));
    assert_eq!((shown(8).0.as_str(), said(8)), ("expired", 409));
    // A hold keeps it, and not beyond the bucket's own rule.
    world.change(vec![RowKey::Holds], |book| {
        let mut ids = Ids::new(now(), [9; 10]);
        let placed_by = By { member: ids.make(), user: user(0) };
        let (on, reason) = (HeldBy::Organisation, Private::Plain("a dispute".to_owned()));
        let hold = LegalHold { id: ids.make(), on, reason, placed_by, placed_at: now(), released: None };
        place(book, hold).unwrap();
    });
    assert_eq!(shown(8), ("ready".to_owned(), json!(after(30))));
    let sent = world.download(&asked).at(after(8)).of(&world);
    assert!(text(&sent.headers["location"]).contains("Expires=300"), "{sent:?}");
    assert_eq!((said(29), said(30)), (303, 409));
}

#[test]
fn who_may_not_any_more_stops_what_was_under_way() {
    // The requester, before the approval.
    let world = World::new();
    let [gone, demoted] = [Role::BillingAdmin, Role::Cfo].map(|role| world.requested(of(role), "payments"));
    world.leave(of(Role::BillingAdmin));
    world.become_(of(Role::Cfo), Role::Viewer);
    for asked in [&gone, &demoted] {
        assert_eq!(world.approve(asked).of(&world).said(), (409, "requester_gone"));
    }
    assert_eq!(world.audited("export.approve"), [Outcome::Failed; 2]);
    // The approver, or the requester, between the approval and the work.
    let cases: [fn(&World); 4] = [
        |world| world.become_(OTHER, Role::BillingAdmin),
        |world| world.leave(OTHER),
        |world| world.become_(of(Role::Cfo), Role::Viewer),
        |world| world.leave(of(Role::Cfo)),
    ];
    for change in cases {
        let world = World::new();
        let asked = world.requested(of(Role::Cfo), "payments");
        assert_eq!(world.approve(&asked).of(&world).status, 200);
        change(&world);
        assert_eq!(world.work(), "denied");
        let failed = world.show(&asked, now());
        assert_eq!((&failed["status"], &failed["failure"]), (&json!("failed"), &json!("not_allowed")));
        assert!(world.bucket.dump().is_empty());
        assert_eq!(world.audited("export.run"), [Outcome::Denied]);
    }
}

#[test]
fn a_file_is_for_who_requested_it_and_for_controllers_as_they_are_now() {
    let world = World::new();
    let asked = world.requested(of(Role::Cfo), "audit");
    assert_eq!(world.approve(&asked).of(&world).status, 200);
    world.work();
    assert_eq!(world.download(&asked).by(of(Role::Compliance)).of(&world).said(), (403, "forbidden"));
    assert_eq!(world.download(&asked).by(of(Role::Cfo)).of(&world).status, 303);
    // A Billing Admin may request exports, and read no audit log.
    world.become_(of(Role::Cfo), Role::BillingAdmin);
    assert_eq!(world.download(&asked).by(of(Role::Cfo)).of(&world).said(), (403, "forbidden"));
    world.become_(OTHER, Role::Cfo);
    assert_eq!(world.download(&asked).by(OTHER).of(&world).said(), (403, "forbidden"));
    assert_eq!(world.download(&asked).of(&world).status, 303);
    let denied = world.audited("export.download").into_iter().filter(|it| *it == Outcome::Denied);
    assert_eq!(denied.count(), 3);
}

#[test]
fn a_request_is_rejected_by_a_controller_or_taken_back() {
    let world = World::new();
    let reject = |asked: &Value| world.ask("POST", &format!("exports/{}/reject", text(&asked["id"])));
    let asked = world.requested(of(Role::Cfo), "payments");
    assert_eq!(reject(&asked).by(of(Role::BillingAdmin)).of(&world).said(), (403, "forbidden"));
    let rejected = reject(&asked).of(&world);
    assert_eq!((rejected.status, &rejected.body["status"]), (200, &json!("rejected")));
    assert_eq!(world.approve(&asked).of(&world).said(), (409, "export_not_pending"));
    let own = world.requested(of(Role::Cfo), "payments");
    assert_eq!(reject(&own).by(of(Role::Cfo)).of(&world).status, 200);
    assert!(world.queue.sent().is_empty());
}

#[test]
fn what_a_kind_does_not_have_is_said_with_its_place() {
    let world = World::new();
    for (order, pointer) in [
        (json!({"kind": "orders", "format": "csv"}), "/kind"),
        (json!({"kind": "invoices", "format": "xlsx"}), "/format"),
        (json!({"kind": "invoices"}), "/format"),
        (json!({"kind": "invoices", "format": "csv", "colums": []}), "/colums"),
        (json!({"kind": "invoices", "format": "csv", "columns": []}), "/columns"),
        (json!({"kind": "invoices", "format": "csv", "columns": ["id", "email"]}), "/columns/1"),
        (json!({"kind": "invoices", "format": "csv", "columns": ["id", "id"]}), "/columns/1"),
        (json!({"kind": "audit", "format": "json", "columns": ["id"]}), "/columns"),
        (json!({"kind": "invoices", "format": "csv", "filter": {"status": "succeeded"}}), "/filter/status"),
        (json!({"kind": "invoices", "format": "csv", "filter": {"from": "15.6.2026"}}), "/filter/from"),
        (
            json!({"kind": "invoices", "format": "csv", "filter": {"customer_id": "cus_1"}}),
            "/filter/customer_id",
        ),
        (
            json!({"kind": "invoices", "format": "csv",
                "filter": {"customer_id": "cus_01h2xcejqtf2nbrexx3vqjhp41"}}),
            "/filter/customer_id",
        ),
        (json!({"kind": "payments", "format": "csv", "filter": {"customer_id": "x"}}), "/filter/customer_id"),
        (json!({"kind": "customers", "format": "csv", "filter": {"status": "paid"}}), "/filter/status"),
        (json!({"kind": "audit", "format": "csv", "filter": {"from": "2026-06-15"}}), "/filter/from"),
        (
            json!({"kind": "payments", "format": "csv", "filter": {"from": "2026-02-01", "to": "2026-01-01"}}),
            "/filter/to",
        ),
    ] {
        let answer = world.ask("POST", "exports").saying(order.clone()).of(&world);
        assert_eq!(answer.said(), (400, "invalid_request"), "{order}: {answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{order}: {answer:?}");
    }
    assert!(world.audited("export.request").iter().all(|outcome| *outcome == Outcome::Failed));
}

#[test]
fn the_list_has_the_youngest_first_with_emails_if_wanted() {
    let world = World::new();
    let asked: Vec<_> = (0..3).map(|_| world.requested(of(Role::Cfo), "customers")).collect();
    let first = world.ask("GET", "exports?limit=2&expand=members").of(&world);
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.body["data"].as_array().unwrap().len(), 2);
    assert_eq!(first.body["data"][0]["requested_by_email"], "cfo2@example.com");
    let next = format!("exports?limit=2&cursor={}", text(&first.body["next_cursor"]));
    let second = world.ask("GET", &next).of(&world);
    assert_eq!(second.body["data"].as_array().unwrap().len(), 1);
    assert!(second.body["data"][0].get("requested_by_email").is_none());
    let shown = |answer: &Answer| {
        let data = answer.body["data"].as_array().unwrap().clone();
        data.iter().map(|it| text(&it["id"])).collect::<Vec<_>>()
    };
    let all: BTreeSet<_> = shown(&first).into_iter().chain(shown(&second)).collect();
    assert_eq!(all, asked.iter().map(|it| text(&it["id"])).collect());
}

#[test]
fn the_same_key_requests_one_export() {
    let world = World::new();
    let order = json!({"kind": "customers", "format": "json"});
    let ask = || world.ask("POST", "exports").with("idempotency-key", "k1").saying(order.clone()).of(&world);
    assert_eq!(text(&ask().body["id"]), text(&ask().body["id"]));
    let other = json!({"kind": "customers", "format": "csv"});
    let reused = world.ask("POST", "exports").with("idempotency-key", "k1").saying(other).of(&world);
    assert_eq!(reused.said(), (422, "idempotency_key_reused"));
}
