use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use plixo_authz::Authz;
use plixo_aws::cognito::{Question, SignIn};
use plixo_domain::audit::{ActorKind, AuditEvent, Outcome};
use plixo_domain::id::{Ids, OrgId};
use plixo_domain::ledger::{Book, Kept, Logo, Organisation, Private, RowKey};
use plixo_domain::people::{Member, MemberState, Role, UserId, add_member};
use plixo_domain::secret::Secret;
use plixo_store::people::{session_item, standing_keys};
use plixo_store::{Store, Table};
use plixo_testing::{FakeDirectory, FakeKms, FakeMail, FakeTables, Fault, Faults, entropy};
use serde_json::{Value, json};

use super::*;

type TestApi = Api<FakeTables, FakeKms, FakeDirectory, FakeMail>;

const OPERATOR: &str = "operator@plixo.example";
const STRANGER: &str = "stranger@example.com";

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

/// Under paused time, a wait for a process that died is over at once.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(work)
}

/// Two organisations with a member of each role, an operator, and a person who is nowhere.
struct World {
    faults: Faults,
    tables: FakeTables,
    kms: FakeKms,
    directory: FakeDirectory,
    mail: FakeMail,
    people: BTreeMap<String, UserId>,
    orgs: [OrgId; 2],
    api: TestApi,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Value,
    body: Value,
}

impl Answer {
    fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array();
        errors.into_iter().flatten().map(|error| error["pointer"].as_str().unwrap()).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.body["data"].as_array().unwrap().iter().map(|it| text(&it["id"])).collect()
    }
}

fn email(role: Role, org: usize) -> String {
    format!("{}@org{org}.example", role.as_str())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn world() -> World {
    let faults = Faults::default();
    let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::new(faults.clone()));
    let (directory, mail) = (FakeDirectory::new(faults.clone()), FakeMail::new(faults.clone()));
    let mut people = BTreeMap::new();
    for name in [OPERATOR, STRANGER] {
        people.insert(name.to_owned(), directory.person(name, "a password of their own"));
    }
    let store = Store::new(tables.clone(), kms.clone(), entropy);
    let orgs = [0_usize, 1].map(|n| {
        let mut ids = Ids::new(now(), [u8::try_from(n + 1).unwrap(); 10]);
        let id: OrgId = ids.make();
        let mut book = Book::default();
        let (name, residency) = (format!("Nordlicht {n}"), Residency::Eu);
        book.put_new(Organisation {
            id,
            name,
            residency,
            controllers: BTreeSet::new(),
            settings: Default::default(),
            logo: None,
            closed: None,
        });
        for role in Role::ALL.iter().copied() {
            let email = email(role, n);
            let user = directory.person(&email, "a password of their own");
            book.learn(RowKey::Member(user), None);
            book.learn(RowKey::UserOrganisation(user), None);
            let plain = Private::Plain(email.clone());
            let member = Member { id: ids.make(), user, role, state: MemberState::Active, email: plain };
            add_member(&mut book, member).unwrap();
            people.insert(email, user);
        }
        block_on(store.found(&id, &kms, &book, &[])).unwrap();
        id
    });
    let api = api(&tables, &kms, &directory, &mail);
    World { faults, tables, kms, directory, mail, people, orgs, api }
}

fn api(tables: &FakeTables, kms: &FakeKms, directory: &FakeDirectory, mail: &FakeMail) -> TestApi {
    let store = Store::new(tables.clone(), kms.clone(), entropy);
    let desk = Desk::new(store, Authz::new().unwrap(), entropy);
    let place = Place { residency: Residency::Eu, base_url: None };
    Api::new(Arc::new(desk), kms.clone(), (directory.clone(), mail.clone()), place, &[7; 32])
}

/// A request as the gateway hands it over.
#[derive(Debug, Clone)]
struct Asked {
    route: &'static str,
    who: Option<UserId>,
    operator: bool,
    session: String,
    ip: &'static str,
    at: Timestamp,
    path: Vec<(&'static str, String)>,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
    is_file: bool,
}

impl Asked {
    fn about(mut self, name: &'static str, id: &str) -> Self {
        self.path.push((name, id.to_owned()));
        self
    }

    fn saying(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self
    }

    /// With a body that is no text, as the gateway hands it over.
    fn sending(mut self, kind: &str, file: &[u8]) -> Self {
        use base64::Engine;
        self.body = Some(base64::engine::general_purpose::STANDARD.encode(file));
        self.is_file = true;
        self.with("content-type", kind)
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn keyed(self, key: &str) -> Self {
        self.with("idempotency-key", key)
    }

    fn asking(mut self, query: &str) -> Self {
        self.query = query.to_owned();
        self
    }

    fn request(&self) -> Request {
        let mut said = match self.who {
            Some(who) => json!({"user": who.0, "session": self.session,
                "signed_in_at": "2026-06-15T11:00:00Z", "expires_at": "2026-06-15T13:00:00Z"}),
            None => json!({"refused": "missing"}),
        };
        if self.operator {
            said["operator"] = "true".into();
        }
        let pairs = |pairs: &[(&'static str, String)]| -> Value {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str())))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        serde_json::from_value(json!({
            "headers": pairs(&self.headers), "pathParameters": pairs(&self.path), "rawQueryString": self.query,
            "body": self.body, "isBase64Encoded": self.is_file,
            "requestContext": {"requestId": "r1", "routeKey": self.route, "authorizer": {"lambda": said},
                "http": {"sourceIp": self.ip, "userAgent": "test"}, "domainName": "plixo.example"},
        }))
        .unwrap()
    }

    async fn sent(&self, api: &TestApi) -> Answer {
        let line = Line { timestamp: self.at, ..Line::default() };
        let (response, line) = api.handle(&self.request(), line).await;
        let logged = String::from_utf8(line.bytes()).unwrap();
        assert!(!logged.contains("@") && !logged.contains("assword"), "{logged}");
        let shown = serde_json::to_value(&response).unwrap();
        let body = serde_json::from_str(shown["body"].as_str().unwrap()).unwrap_or(Value::Null);
        Answer { status: response.status(), headers: shown["headers"].clone(), body }
    }

    fn of(&self, world: &World) -> Answer {
        block_on(self.sent(&world.api))
    }
}

impl World {
    fn ask(&self, route: &'static str, who: &str) -> Asked {
        Asked {
            route,
            who: self.people.get(who).copied(),
            operator: who == OPERATOR,
            session: "s1".to_owned(),
            ip: "203.0.113.7",
            at: now(),
            path: Vec::new(),
            query: String::new(),
            headers: vec![("content-type", "application/json".to_owned())],
            body: None,
            is_file: false,
        }
    }

    /// A request of a member of the first organisation about it.
    fn by(&self, role: Role, route: &'static str) -> Asked {
        self.ask(route, &email(role, 0)).about("org", &self.orgs[0].to_string())
    }

    fn controller(&self, route: &'static str) -> Asked {
        self.by(Role::Controller, route)
    }

    fn invited(&self, email: &str, role: &str) -> Answer {
        self.controller(INVITE_MEMBER).saying(&json!({"email": email, "role": role})).of(self)
    }

    fn members(&self) -> Vec<Value> {
        let listed = self.controller(LIST_MEMBERS).asking("limit=100").of(self);
        assert_eq!(listed.status, 200, "{listed:?}");
        listed.body["data"].as_array().unwrap().clone()
    }

    fn member(&self, email: &str) -> Value {
        self.members().into_iter().find(|it| it["email"] == email).unwrap()
    }

    /// The audit events of an organisation, the earliest first.
    fn audit(&self, org: &OrgId) -> Vec<AuditEvent> {
        let dump = self.tables.dump();
        let of_org = |key: &plixo_store::Key| key.pk.starts_with(&org.to_string());
        let items = dump.iter().filter(|(key, _)| key.table == Table::Audit && of_org(key));
        let event = |item: &plixo_store::Item| plixo_store::to_audit_event(item).unwrap();
        let mut events: Vec<AuditEvent> = items.map(|(_, item)| event(item)).collect();
        events.sort_by_key(|event| event.id);
        events
    }

    fn actions(&self, org: &OrgId) -> Vec<String> {
        self.audit(org).into_iter().map(|event| event.action).collect()
    }

    fn items(&self, kind: &str) -> usize {
        self.tables
            .dump()
            .values()
            .filter(|item| item.get("kind").is_some_and(|it| it.as_s().unwrap() == kind))
            .count()
    }

    /// As if a person had shown a code in a session.
    fn two_factors(&self, email: &str, session: &str) {
        let [_, key, _] = standing_keys(&self.people[email], session);
        self.tables.place(key, session_item(now() + SignedDuration::from_hours(13)));
    }

    /// The temporary password of the email that was sent last, to that person.
    fn temporary(&self, to: &str) -> Option<String> {
        let letter = self.mail.sent().pop().unwrap();
        assert_eq!(letter.to, to);
        letter.text.lines().find_map(|line| line.strip_prefix("Temporary password: ")).map(str::to_owned)
    }

    /// Lets somebody in who was invited: the temporary password of their email, and one of their own.
    fn comes_in(&mut self, email: &str) {
        let temporary = self.temporary(email).unwrap();
        let user = block_on(async {
            let asked = self.directory.sign_in(&email.to_lowercase(), &Secret::new(temporary)).await.unwrap();
            let SignIn::Asked(challenge) = asked else { panic!("{asked:?}") };
            assert_eq!(challenge.question, Question::NewPassword);
            self.directory.answer(&challenge, &Secret::new("one of their own".to_owned())).await.unwrap();
            challenge.user
        });
        self.people.insert(email.to_owned(), user);
    }
}

const NEWCOMER: &str = "Anna.Neu@weber.example";

/// An email of so many characters.
fn long_email(characters: usize) -> String {
    let host = format!("@{}.{}.example", "b".repeat(50), "c".repeat(50));
    format!("{}{host}", "a".repeat(characters - host.len()))
}

fn order(name: &str) -> Value {
    json!({"name": name, "residency": "eu", "controller_email": NEWCOMER})
}

#[test]
fn an_operator_makes_an_organisation_and_sees_nothing_of_it() {
    let mut world = world();
    let create = world.ask(CREATE, OPERATOR).saying(&order("Möbel Weber GmbH"));
    let made = create.of(&world);
    assert_eq!(made.status, 201, "{made:?}");
    let id = text(&made.body["id"]);
    let shown = json!({"id": id, "name": "Möbel Weber GmbH", "residency": "eu",
        "settings": {"ip_allow_list": [], "require_two_factor": false, "cash_application": {"automatic": true,
            "threshold": "0.95", "underpayment_tolerance": {}, "order": "oldest_due_first"},
            "retention": {"webhook_payload": 30, "portal_link": 30, "notice": 90, "export_file": 7,
                "customer_personal_data": 730, "invoice": 3650, "payment": 3650, "audit_event": 2555}}});
    assert_eq!(made.body, shown);
    let org: OrgId = id.parse().unwrap();
    let events = world.audit(&org);
    assert!(events.iter().all(|it| it.actor.kind == ActorKind::Operator && it.outcome == Outcome::Allowed));
    assert!(
        events.iter().all(|it| it.actor.id == world.people[OPERATOR].to_string() && it.actor.role.is_none())
    );
    assert_eq!(world.actions(&org), ["organisation.create", "member.invite"]);
    assert_eq!((&*events[0].object.id, events[0].fields.len()), (&*id, 2));

    for route in [SHOW, UPDATE, LIST_MEMBERS, INVITE_MEMBER, UPDATE_MEMBER, REMOVE_MEMBER] {
        let body = match route {
            UPDATE => Some(json!({"name": "x"})),
            INVITE_MEMBER => Some(json!({"email": "a@b.de", "role": "viewer"})),
            UPDATE_MEMBER => Some(json!({"role": "viewer"})),
            _ => None,
        };
        for org in [&id, &world.orgs[0].to_string()] {
            let asked = world.ask(route, OPERATOR).about("org", org).about("id", &events[1].object.id);
            let asked = body.iter().fold(asked, Asked::saying);
            assert_eq!(asked.of(&world).code(), (404, "not_found"), "{route}");
        }
    }
    assert_eq!(world.ask(LIST, OPERATOR).of(&world).body["data"], json!([]));
    assert_eq!(world.audit(&org).len(), 2);

    world.comes_in(NEWCOMER);
    let seen = world.ask(SHOW, NEWCOMER).about("org", &id).of(&world);
    assert_eq!((seen.status, &seen.body["you"]["role"]), (200, &json!("controller")));
    assert!(seen.body["you"]["email"].as_str().unwrap().contains('@'), "{}", seen.body);
    assert_eq!(world.actions(&org)[2..], ["member.join", "organisation.read"]);
    let listed = world.ask(LIST_MEMBERS, NEWCOMER).about("org", &id).of(&world);
    assert_eq!(
        (&listed.body["data"][0]["email"], &listed.body["data"][0]["state"]),
        (&json!(NEWCOMER), &json!("active"))
    );
    let renamed = world
        .ask(UPDATE, NEWCOMER)
        .about("org", &id)
        .with("if-match", seen.headers["etag"].as_str().unwrap());
    assert_eq!(
        renamed.saying(&json!({"name": "Weber"})).of(&world).status,
        200,
        "what was shown first is as it stands"
    );
}

#[test]
fn nobody_but_an_operator_makes_one_and_only_of_this_residency() {
    let world = world();
    for who in [STRANGER, &email(Role::Controller, 0)] {
        assert_eq!(world.ask(CREATE, who).saying(&order("x")).of(&world).code(), (403, "forbidden"));
    }
    assert_eq!(world.ask(CREATE, "nobody").saying(&order("x")).of(&world).code(), (401, "unauthenticated"));
    let create = world.ask(CREATE, OPERATOR);
    let with = |field: &str, value: Value| {
        let mut body = order("x");
        body[field] = value;
        create.clone().saying(&body).of(&world)
    };
    let elsewhere = with("residency", json!("us"));
    assert_eq!((elsewhere.code(), elsewhere.pointers()), ((409, "residency_not_here"), vec!["/residency"]));
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("a\u{7}")),
        ("name", json!("x".repeat(201))),
        ("name", json!("Karte 4242 4242 4242 4242")),
        ("name", json!(null)),
        ("residency", json!("ch")),
        ("residency", json!("EU")),
        ("controller_email", json!("a@b")),
        ("controller_email", json!(long_email(129))),
        ("controller_email", json!("a@b.de,c@d.de")),
        ("controller_email", json!("4242424242424242@b.de")),
        ("settings", json!({})),
    ] {
        let refused = with(field, value.clone());
        assert_eq!(
            (refused.code(), refused.pointers()),
            ((400, "invalid_request"), vec![&*format!("/{field}")]),
            "{value}"
        );
    }
    let [key, _, _] = standing_keys(&world.people[OPERATOR], "s1");
    world.tables.place(key, session_item(now() + SignedDuration::from_hours(1)));
    assert_eq!(create.saying(&order("x")).of(&world).code(), (401, "unauthenticated"));
    assert_eq!((world.items("organisation"), world.items("data_key"), world.mail.sent().len()), (2, 2, 0));
}

#[test]
fn a_repeated_order_makes_one_organisation_and_sends_the_email_again() {
    let world = world();
    let create = world.ask(CREATE, OPERATOR).saying(&order("Weber")).keyed("k-1");
    let first = create.of(&world);
    let password = world.temporary(NEWCOMER).unwrap();
    let later = Asked { at: now() + SignedDuration::from_hours(23), ..create.clone() };
    let again = later.of(&world);
    assert_eq!((first.status, again.status, &first.body), (201, 201, &again.body));
    assert_eq!((world.temporary(NEWCOMER), world.mail.sent().len()), (Some(password), 2));
    let another = create.clone().saying(&order("Weber 2")).of(&world);
    assert_eq!(another.code(), (422, "idempotency_key_reused"));
    assert_eq!(world.items("organisation"), 3);
    let tomorrow = Asked { at: now() + SignedDuration::from_hours(24), ..create.clone() }.of(&world);
    assert!(tomorrow.status == 201 && tomorrow.body["id"] != first.body["id"], "a day later it is forgotten");
    let colleague = Asked { who: Some(world.people[STRANGER]), ..create.clone() }.of(&world);
    assert!(
        colleague.status == 201 && colleague.body["id"] != first.body["id"],
        "keys are each caller's own"
    );
    assert!(!format!("{:?}", world.tables.dump()).contains("k-1"));
    let create = create.keyed("k-2");
    let (one, other) = block_on(async { tokio::join!(create.sent(&world.api), create.sent(&world.api)) });
    assert_eq!((one.status, other.status, &one.body), (201, 201, &other.body));
    assert_eq!((world.items("organisation"), world.items("data_key"), world.items("founding")), (6, 6, 3));
}

/// Whatever goes wrong wherever, and then the same request again with the same key.
fn tried_again(asked: impl Fn(&World) -> Asked, check: impl Fn(&World, &Answer)) {
    let calls = {
        let world = world();
        let before = world.faults.calls();
        assert_eq!(asked(&world).of(&world).status, 201);
        world.faults.calls() - before
    };
    for fault in Fault::ALL {
        for n in 0..calls {
            let world = world();
            let asked = asked(&world).keyed("k-1");
            world.faults.plan(n, fault);
            let first = block_on(async {
                tokio::time::timeout(Duration::from_secs(60), asked.sent(&world.api)).await
            });
            match (&first, fault) {
                (Err(_), Fault::DiesBefore | Fault::DiesAfter) => {}
                (Ok(answer), Fault::Refuses | Fault::LosesAnswer) => {
                    assert_eq!(answer.status, 503, "{fault:?} {n}")
                }
                _ => panic!("{fault:?} at call {n}: {first:?}"),
            }
            world.faults.clear();
            assert_eq!(world.items("organisation"), world.items("data_key"), "{fault:?} {n}");
            // Another process.
            let again = api(&world.tables, &world.kms, &world.directory, &world.mail);
            let answer = block_on(asked.sent(&again));
            assert_eq!(answer.status, 201, "{fault:?} at call {n}: {answer:?}");
            check(&world, &answer);
            let temporary = Secret::new(world.temporary(NEWCOMER).unwrap());
            let signed_in = block_on(world.directory.sign_in(&NEWCOMER.to_lowercase(), &temporary));
            assert!(matches!(signed_in, Ok(SignIn::Asked(_))), "{fault:?} at call {n}");
        }
    }
}

#[test]
fn an_organisation_is_made_once_whatever_fails() {
    tried_again(
        |world| world.ask(CREATE, OPERATOR).saying(&order("Weber")),
        |world, answer| {
            assert_eq!(
                (world.items("organisation"), world.items("founding"), world.items("member")),
                (3, 1, 11)
            );
            let mut actions = world.actions(&text(&answer.body["id"]).parse().unwrap());
            // Told of an answer that was given again, too.
            actions.dedup();
            actions.sort_unstable();
            actions.dedup();
            assert_eq!(actions, ["member.invite", "organisation.create"]);
        },
    );
}

#[test]
fn an_invitation_is_made_once_whatever_fails() {
    tried_again(
        |world| world.controller(INVITE_MEMBER).saying(&json!({"email": NEWCOMER, "role": "viewer"})),
        |world, answer| {
            assert_eq!((world.items("organisation"), world.items("member")), (2, 11));
            assert_eq!(world.member(NEWCOMER)["id"], answer.body["id"]);
        },
    );
}

#[test]
fn roles_may_what_the_contract_says() {
    let world = world();
    let read = ["read_organisation", "read_ledger"];
    let may: [&[&str]; 5] = [
        &[
            "write_ledger",
            "manage_integrations",
            "query_data_source",
            "request_export",
            "approve_export",
            "manage_organisation",
            "manage_incident_contacts",
            "read_audit",
            "manage_privacy",
        ],
        &[
            "write_ledger",
            "manage_integrations",
            "query_data_source",
            "request_export",
            "manage_incident_contacts",
        ],
        &["query_data_source", "request_export", "read_audit"],
        &["request_export", "manage_incident_contacts", "read_audit", "manage_privacy"],
        &[],
    ];
    let viewer = text(&world.member(&email(Role::Viewer, 0))["id"]);
    for (role, may) in Role::ALL.iter().copied().zip(may) {
        let shown = world.by(role, SHOW).of(&world);
        let expected: Vec<&str> = read.iter().chain(may).copied().collect();
        assert_eq!((shown.status, &shown.body["you"]["may"]), (200, &json!(expected)), "{role:?}");
        let requests = [
            (world.by(role, UPDATE).saying(&json!({"name": "Nordlicht"})), 200),
            (world.by(role, LIST_MEMBERS), 200),
            (world.by(role, INVITE_MEMBER).saying(&json!({"email": "a@b.de", "role": "cfo"})), 201),
            (world.by(role, UPDATE_MEMBER).about("id", &viewer).saying(&json!({"role": "viewer"})), 200),
            (world.by(role, REMOVE_MEMBER).about("id", &viewer), 204),
        ];
        for (asked, done) in requests {
            // On tables of their own, so that no request hinders another.
            let tables = world.tables.fork(Faults::default());
            let api = api(&tables, &world.kms, &FakeDirectory::default(), &FakeMail::default());
            let answer = block_on(asked.sent(&api));
            let expected = if role == Role::Controller { (done, "") } else { (403, "forbidden") };
            assert_eq!(answer.code(), expected, "{role:?} {}", asked.route);
        }
        let listed = world.ask(LIST, &email(role, 0)).of(&world);
        assert_eq!(listed.body["data"][0]["role"], role.as_str());
    }
}

#[test]
fn another_organisation_is_as_one_that_does_not_exist() {
    let world = world();
    let missing: OrgId = Ids::new(now(), [9; 10]).make();
    let stranger = email(Role::Controller, 1);
    let member = text(&world.member(&email(Role::Viewer, 0))["id"]);
    let bodies = [
        (SHOW, None),
        (UPDATE, Some(json!({"name": "x"}))),
        (LIST_MEMBERS, None),
        (INVITE_MEMBER, Some(json!({"email": "a@b.de", "role": "cfo"}))),
        (UPDATE_MEMBER, Some(json!({"role": "cfo"}))),
        (REMOVE_MEMBER, None),
    ];
    let before = world.audit(&world.orgs[0]).len();
    for (route, body) in bodies {
        let of = |org: &OrgId| {
            let asked = world.ask(route, &stranger).about("org", &org.to_string()).about("id", &member);
            body.iter().fold(asked, Asked::saying).of(&world)
        };
        let (foreign, nowhere) = (of(&world.orgs[0]), of(&missing));
        assert_eq!((foreign.code(), &foreign.body), ((404, "not_found"), &nowhere.body), "{route}");
    }
    // Somebody else's member in one's own organisation.
    for (route, body) in [(UPDATE_MEMBER, Some(json!({"role": "cfo"}))), (REMOVE_MEMBER, None)] {
        for id in [&member, "mem_1", "mem_01h2xcejqtf2nbrexx3vqjhp41"] {
            let asked = world.ask(route, &stranger).about("org", &world.orgs[1].to_string()).about("id", id);
            assert_eq!(
                body.iter().fold(asked, Asked::saying).of(&world).code(),
                (404, "not_found"),
                "{route}"
            );
        }
    }
    assert_eq!(world.audit(&world.orgs[0]).len(), before, "no write tells that it is there");
    assert_eq!(world.mail.sent(), []);
    let cursor = text(&world.controller(LIST_MEMBERS).asking("limit=1").of(&world).body["next_cursor"]);
    let there = world.ask(LIST_MEMBERS, &stranger).about("org", &world.orgs[1].to_string());
    assert_eq!(there.asking(&format!("cursor={cursor}")).of(&world).code(), (400, "invalid_request"));
}

#[test]
fn what_no_route_takes_is_refused_with_a_pointer() {
    let world = world();
    let viewer = text(&world.member(&email(Role::Viewer, 0))["id"]);
    let update = world.controller(UPDATE);
    let invite = world.controller(INVITE_MEMBER);
    let change = world.controller(UPDATE_MEMBER).about("id", &viewer);
    let nets = |list: Value| json!({"settings": {"ip_allow_list": list}});
    for (asked, body, pointer) in [
        (&update, json!({"residency": "us"}), "/residency"),
        (&update, json!({"name": null}), "/name"),
        (&update, json!({"name": 1}), "/name"),
        (&update, json!({"name": " "}), "/name"),
        (&update, json!({"settings": null}), "/settings"),
        (&update, json!({"settings": [[], true]}), "/settings"),
        (&update, json!(["x"]), ""),
        (&invite, json!(["a@b.de", "cfo"]), ""),
        (&update, json!({"settings": {"retention": {"notice": 0}}}), "/settings/retention/notice"),
        (&update, json!({"settings": {"retention": {"notice": null}}}), "/settings/retention/notice"),
        (&update, json!({"settings": {"retention": {"emails": 5}}}), "/settings/retention/emails"),
        (&update, json!({"settings": {"retention": [5]}}), "/settings/retention"),
        (&update, json!({"settings": {"require_two_factor": "yes"}}), "/settings/require_two_factor"),
        (&update, nets(json!(null)), "/settings/ip_allow_list"),
        (&update, nets(json!("203.0.113.0/24")), "/settings/ip_allow_list"),
        (&update, nets(json!(["203.0.113.7/24"])), "/settings/ip_allow_list/0"),
        (&update, nets(json!(["203.0.113.0/24", "203.0.113.0/24"])), "/settings/ip_allow_list/1"),
        (&invite, json!({"email": "a@b.de"}), "/role"),
        (&invite, json!({"role": "viewer"}), "/email"),
        (&invite, json!({"email": "a@b.de", "role": "operator"}), "/role"),
        (&invite, json!({"email": "Anna <a@b.de>", "role": "cfo"}), "/email"),
        (&invite, json!({"email": long_email(129), "role": "cfo"}), "/email"),
        (&invite, json!({"email": "a@b.de", "role": "cfo", "state": "active"}), "/state"),
        (&change, json!({}), "/role"),
        (&change, json!({"role": null}), "/role"),
        (&change, json!({"role": "cfo", "email": "a@b.de"}), "/email"),
        (&change, json!([]), ""),
    ] {
        let answer = asked.clone().saying(&body).of(&world);
        assert_eq!(answer.code(), (400, "invalid_request"), "{body}: {answer:?}");
        assert!(answer.pointers().contains(&pointer), "{body}: {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    let saying = |asked: &Asked, body: &str| Asked { body: Some(body.to_owned()), ..asked.clone() };
    for (asked, status) in [
        (saying(&invite, "{\"email\": \"a@b.de\", \"role\": \"cfo\"} x"), 400),
        (saying(&invite, "{\"email\": \"a@b.de\", \"email\": \"a@b.de\", \"role\": \"cfo\"}"), 400),
        (saying(&update, &"[".repeat(100_000)), 400),
        (saying(&update, ""), 400),
        (saying(&update, &" ".repeat(300_000)), 413),
        (saying(&update, "{}").with("content-type", "text/plain"), 415),
        (saying(&invite, "{\"email\": \"a@b.de\", \"role\": \"cfo\"}").keyed("a b"), 400),
        (saying(&world.controller(REMOVE_MEMBER).about("id", &viewer), "{\"id\": 1}"), 400),
        (world.controller(LIST_MEMBERS).asking("limit=0"), 400),
        (world.controller(LIST_MEMBERS).asking("role=cfo"), 400),
        (world.controller(LIST_MEMBERS).asking("cursor=x"), 400),
        (world.ask(LIST, STRANGER).asking("limit=101"), 400),
        (world.ask(LIST, STRANGER).asking("org=x"), 400),
        (world.controller("PUT /v1/orgs/{org}"), 404),
    ] {
        let answer = asked.of(&world);
        assert_eq!(answer.status, status, "{} {answer:?}", asked.route);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    assert_eq!((world.members().len(), world.mail.sent().len()), (5, 0));
}

#[test]
fn controllers_set_how_payments_are_applied() {
    let world = world();
    let update = world.controller(UPDATE);
    let cash =
        |change: Value| update.clone().saying(&json!({"settings": {"cash_application": change}})).of(&world);
    let set = json!({"automatic": false, "threshold": "0.98", "order": "smallest_first",
        "underpayment_tolerance": {"percent": "0.5", "amount": "2"}});
    let answer = cash(set);
    let expected = json!({"automatic": false, "threshold": "0.98", "order": "smallest_first",
        "underpayment_tolerance": {"percent": "0.50", "amount": "2.00"}});
    assert_eq!((answer.status, &answer.body["settings"]["cash_application"]), (200, &expected), "{answer:?}");
    let answer = cash(json!({"underpayment_tolerance": null}));
    assert_eq!(answer.body["settings"]["cash_application"]["underpayment_tolerance"], json!({}));
    assert_eq!(answer.body["settings"]["cash_application"]["threshold"], "0.98", "what is absent stays");
    const AT: &str = "/settings/cash_application";
    for (wrong, at) in [
        (json!({"threshold": "0.9"}), "/threshold"),
        (json!({"threshold": 0.98}), "/threshold"),
        (json!({"threshold": null}), "/threshold"),
        (json!({"automatic": "yes"}), "/automatic"),
        (json!({"order": "random"}), "/order"),
        (json!({"underpayment_tolerance": {"percent": "1.5"}}), "/underpayment_tolerance/percent"),
        (json!({"underpayment_tolerance": {"amount": "5.01"}}), "/underpayment_tolerance/amount"),
        (json!({"underpayment_tolerance": {"amounts": "5"}}), "/underpayment_tolerance/amounts"),
        (json!({"treshold": "0.98"}), "/treshold"),
        (json!([true]), ""),
    ] {
        let answer = cash(wrong.clone());
        assert_eq!((answer.status, answer.pointers()), (400, vec![format!("{AT}{at}").as_str()]), "{wrong}");
    }
    let viewer = world.by(Role::BillingAdmin, UPDATE).saying(&json!({"settings": {"cash_application": {}}}));
    assert_eq!(viewer.of(&world).code(), (403, "forbidden"));
}

#[test]
fn controllers_set_for_how_long_what_is_kept() {
    let world = world();
    let change = json!({"settings": {"retention": {"notice": 30, "audit_event": 365}}});
    let answer = world.controller(UPDATE).saying(&change).of(&world);
    let retention = &answer.body["settings"]["retention"];
    assert_eq!(
        (answer.status, &retention["notice"], &retention["audit_event"]),
        (200, &json!(30), &json!(365))
    );
    assert_eq!(retention["invoice"], 3650, "what is absent stays");
    assert_eq!(world.controller(SHOW).of(&world).body["settings"]["retention"], *retention);
    assert_eq!(world.audit(&world.orgs[0])[0].fields, ["retention"]);
    let compliance = world.by(Role::Compliance, UPDATE).saying(&change);
    assert_eq!(compliance.of(&world).code(), (403, "forbidden"));
}

#[test]
fn an_organisation_is_closed_by_its_name_and_opened_again_within_30_days() {
    let world = world();
    let close = |name: &str| world.controller(CLOSE).saying(&json!({"name": name}));
    let reopen = |at: Timestamp| Asked { at, ..world.controller(REOPEN) };
    for role in [Role::BillingAdmin, Role::Cfo, Role::Compliance, Role::Viewer] {
        let asked = world.by(role, CLOSE).saying(&json!({"name": "Nordlicht 0"}));
        assert_eq!(asked.of(&world).code(), (403, "forbidden"));
        assert_eq!(world.by(role, REOPEN).of(&world).code(), (403, "forbidden"));
    }
    for name in ["Nordlicht 1", "nordlicht 0", "Nordlicht 0 ", ""] {
        let answer = close(name).of(&world);
        assert_eq!((answer.status, answer.pointers()), (400, vec!["/name"]), "{name}");
    }
    assert_eq!(reopen(now()).of(&world).code(), (409, "organisation_not_closed"));
    assert!(world.controller(SHOW).of(&world).body.get("closed").is_none());

    let etag = text(&world.controller(SHOW).of(&world).headers["etag"]);
    let closed = close("Nordlicht 0").with("if-match", &etag).of(&world);
    let you = text(&closed.body["you"]["member_id"]);
    let shown = json!({"by": you, "at": "2026-06-15T12:00:00Z", "until": "2026-07-15T12:00:00Z"});
    assert_eq!((closed.status, &closed.body["closed"]), (200, &shown), "{closed:?}");
    assert_eq!(close("Nordlicht 0").with("if-match", &etag).of(&world).code(), (412, "stale"));
    assert_eq!(close("Nordlicht 0").of(&world).code(), (409, "organisation_closed"));
    // It goes on as before.
    let renamed = world.controller(UPDATE).saying(&json!({"name": "Nordlicht 2"})).of(&world);
    assert_eq!((renamed.status, &renamed.body["closed"]), (200, &shown));

    let last = "2026-07-15T11:59:59Z".parse().unwrap();
    let opened = reopen(last).of(&world);
    assert_eq!((opened.status, opened.body.get("closed")), (200, None), "{opened:?}");
    assert_eq!(close("Nordlicht 2").of(&world).status, 200);
    let over = "2026-07-15T12:00:00Z".parse().unwrap();
    assert_eq!(reopen(over).of(&world).code(), (409, "organisation_gone"));
    let again = Asked { at: over, ..close("Nordlicht 2") };
    assert_eq!(again.of(&world).code(), (409, "organisation_gone"));
    // Once its data key is gone, nobody is a member of anything.
    world.tables.take(&plixo_store::keys::data_key(&world.orgs[0]));
    assert_eq!(Asked { at: over, ..world.controller(SHOW) }.of(&world).code(), (404, "not_found"));

    let of = |action: &str| {
        let events = world.audit(&world.orgs[0]).into_iter().filter(|event| event.action == action);
        let done = events.filter(|event| event.outcome == Outcome::Allowed);
        done.map(|event| event.fields).collect::<Vec<_>>()
    };
    assert_eq!(of("organisation.close"), [["closed"]; 2]);
    assert_eq!(of("organisation.reopen"), [["closed"]]);
}

#[test]
fn nobody_locks_themselves_out_and_others_are() {
    let world = world();
    let update = world.controller(UPDATE);
    let nets = |list: &[&str]| json!({"settings": {"ip_allow_list": list}});
    for (ip, list, status) in [
        ("203.0.113.7", ["198.51.100.0/24"], 409),
        ("203.0.113.7", ["2001:db8::/32"], 409),
        ("2001:db8::7", ["203.0.113.0/24"], 409),
        ("2001:db8::7", ["2001:DB8::/32"], 200),
        ("2001:db8::7", ["203.0.113.0/24"], 409),
    ] {
        let answer = Asked { ip, ..update.clone() }.saying(&nets(&list)).of(&world);
        assert_eq!(answer.status, status, "{ip} {list:?}");
        if status == 409 {
            assert_eq!(
                (answer.code(), answer.pointers()),
                ((409, "would_lock_you_out"), vec!["/settings/ip_allow_list"])
            );
        } else {
            assert_eq!(answer.body["settings"]["ip_allow_list"], json!(["2001:db8::/32"]));
        }
    }
    assert_eq!(world.controller(SHOW).of(&world).code(), (403, "ip_not_allowed"));
    let both =
        Asked { ip: "2001:db8::7", ..update.clone() }.saying(&nets(&["203.0.113.0/24", "2001:db8::/32"]));
    assert_eq!(both.of(&world).status, 200);
    assert_eq!(world.controller(SHOW).of(&world).status, 200);

    let required = |required: bool| json!({"settings": {"require_two_factor": required}});
    let refused = update.clone().saying(&required(true)).of(&world);
    assert_eq!(
        (refused.code(), refused.pointers()),
        ((409, "would_lock_you_out"), vec!["/settings/require_two_factor"])
    );
    world.two_factors(&email(Role::Controller, 0), "s2");
    let shown = Asked { session: "s2".to_owned(), ..update.clone() };
    assert_eq!(shown.clone().saying(&required(true)).of(&world).body["settings"]["require_two_factor"], true);
    assert_eq!(world.by(Role::Viewer, SHOW).of(&world).code(), (403, "two_factor_required"));
    assert_eq!(
        shown
            .saying(&json!({"settings": {"ip_allow_list": [], "require_two_factor": false}}))
            .of(&world)
            .status,
        200
    );
    assert_eq!(world.by(Role::Viewer, SHOW).of(&world).status, 200);

    let events = world.audit(&world.orgs[0]);
    let changed: Vec<_> = events.iter().filter(|it| it.action == "organisation.update").collect();
    assert_eq!(changed.iter().filter(|it| it.outcome == Outcome::Failed).count(), 5);
    assert!(changed.iter().any(|it| it.fields == ["ip_allow_list", "require_two_factor"]));
    let logged = format!("{events:?}");
    assert!(
        !logged.contains("2001:db8::/32") && !logged.contains("203.0.113.0/24"),
        "names of fields, never values"
    );
}

#[test]
fn the_last_controller_who_has_come_in_stays() {
    let mut world = world();
    let (own, viewer) = (email(Role::Controller, 0), email(Role::Viewer, 0));
    let (first, other) = (text(&world.member(&own)["id"]), text(&world.member(&viewer)["id"]));
    let demote = world.controller(UPDATE_MEMBER).about("id", &first).saying(&json!({"role": "cfo"}));
    let remove = world.controller(REMOVE_MEMBER).about("id", &first);
    for asked in [&demote, &remove] {
        assert_eq!(asked.of(&world).code(), (409, "last_controller"));
    }
    assert_eq!(world.invited(NEWCOMER, "controller").status, 201);
    for asked in [&demote, &remove] {
        assert_eq!(asked.of(&world).code(), (409, "last_controller"), "who is only invited does not count");
    }
    world.comes_in(NEWCOMER);
    assert_eq!(world.ask(SHOW, NEWCOMER).about("org", &world.orgs[0].to_string()).of(&world).status, 200);
    assert_eq!(demote.of(&world).body["role"], "cfo");
    assert_eq!(remove.of(&world).code(), (403, "forbidden"));
    let by_newcomer = |route| world.ask(route, NEWCOMER).about("org", &world.orgs[0].to_string());
    assert_eq!(by_newcomer(REMOVE_MEMBER).about("id", &first).of(&world).status, 204);
    let promoted = by_newcomer(UPDATE_MEMBER).about("id", &other).saying(&json!({"role": "controller"}));
    assert_eq!(promoted.of(&world).headers["etag"], "\"2\"");
}

#[test]
fn two_at_once_do_not_take_the_last_two_controllers_away() {
    for (n, route) in [UPDATE_MEMBER, REMOVE_MEMBER, UPDATE_MEMBER].into_iter().enumerate() {
        let world = world();
        let emails = [email(Role::Controller, 0), email(Role::Cfo, 0)];
        let ids = emails.each_ref().map(|email| text(&world.member(email)["id"]));
        let promote =
            world.controller(UPDATE_MEMBER).about("id", &ids[1]).saying(&json!({"role": "controller"}));
        assert_eq!(promote.of(&world).status, 200);
        // Each the other, or each themselves.
        let targets = if n < 2 { [1, 0] } else { [0, 1] };
        let asked = [0, 1].map(|who| {
            let asked = world.ask(route, &emails[who]).about("org", &world.orgs[0].to_string());
            let asked = asked.about("id", &ids[targets[who]]);
            if route == UPDATE_MEMBER { asked.saying(&json!({"role": "viewer"})) } else { asked }
        });
        let (one, other) =
            block_on(async { tokio::join!(asked[0].sent(&world.api), asked[1].sent(&world.api)) });
        let refused: Vec<_> =
            [&one, &other].into_iter().filter(|it| it.status >= 300).map(Answer::code).collect();
        let expected = if n == 2 {
            (409, "last_controller")
        } else if route == UPDATE_MEMBER {
            (403, "forbidden")
        } else {
            (404, "not_found")
        };
        assert_eq!(refused, [expected], "{one:?} {other:?}");
        let left = emails.iter().find(|it| {
            world.ask(LIST_MEMBERS, it).about("org", &world.orgs[0].to_string()).of(&world).status == 200
        });
        assert!(left.is_some(), "somebody still is a Controller");
    }
}

#[test]
fn an_invitation_is_repeated_and_never_doubled() {
    let mut world = world();
    let invite = world
        .controller(INVITE_MEMBER)
        .saying(&json!({"email": "Anna.Neu@WEBER.example", "role": "cfo"}))
        .keyed("k-1");
    let made = invite.of(&world);
    assert_eq!((made.status, &made.headers["etag"]), (201, &json!("\"1\"")), "{made:?}");
    let shown = json!({"id": made.body["id"], "email": NEWCOMER, "role": "cfo", "state": "invited"});
    assert_eq!(made.body, shown);
    let letter = world.mail.sent().pop().unwrap();
    assert_eq!(letter.subject, "You are invited to Nordlicht 0");
    assert!(letter.text.contains("Sign in: https://plixo.example/sign-in\nEmail: Anna.Neu@weber.example\n"));
    assert_eq!(invite.of(&world).body, made.body);
    assert_eq!(world.mail.sent(), [letter.clone(), letter], "the same email again");
    let other = invite.clone().saying(&json!({"email": NEWCOMER, "role": "viewer"})).of(&world);
    assert_eq!(other.code(), (422, "idempotency_key_reused"));
    for email in [NEWCOMER, "ANNA.NEU@weber.example", &email(Role::Cfo, 0)] {
        assert_eq!(world.invited(email, "viewer").code(), (409, "already_member"));
    }
    assert_eq!((world.members().len(), world.mail.sent().len()), (6, 2));
    world.comes_in(NEWCOMER);
    assert_eq!(invite.of(&world).status, 201);
    assert_eq!(world.temporary(NEWCOMER), None, "there is none any more");
    let remove = world.controller(REMOVE_MEMBER).about("id", &text(&made.body["id"]));
    assert_eq!((remove.of(&world).status, invite.of(&world).status), (204, 201));
    assert_eq!(world.mail.sent().len(), 3, "nobody is told who is no member any more");

    let dump = format!("{:?}", world.tables.dump());
    assert!(!dump.contains("eber.example"), "emails are sealed");
    let invited = world.audit(&world.orgs[0]).into_iter().find(|it| it.object.id == made.body["id"]).unwrap();
    assert_eq!((&*invited.action, &*invited.object.kind), ("member.invite", "member"));
    assert_eq!(invited.fields, ["email", "role"]);
}

#[test]
fn the_longest_email_that_the_directory_takes_is_invited() {
    let world = world();
    assert_eq!(world.invited(&long_email(128), "viewer").status, 201);
}

#[test]
fn who_waits_is_sent_the_email_again_without_a_key() {
    let mut world = world();
    world.mail.reject(NEWCOMER, true);
    let refused = world.invited(NEWCOMER, "cfo");
    assert_eq!((refused.code(), refused.pointers()), ((409, "email_refused"), vec!["/email"]));
    let waiting = world.member(NEWCOMER);
    assert_eq!((&waiting["state"], world.mail.sent().len()), (&json!("invited"), 0));
    world.mail.reject(NEWCOMER, false);
    let again = world.invited("anna.neu@weber.example", "cfo");
    assert_eq!(
        (again.status, &again.headers["etag"], &again.body["id"]),
        (200, &waiting["etag"], &waiting["id"])
    );
    assert!(world.temporary("anna.neu@weber.example").is_some());
    assert_eq!(
        world.invited(NEWCOMER, "viewer").code(),
        (409, "already_member"),
        "in another role they are not"
    );
    assert_eq!((world.mail.sent().len(), world.members().len()), (1, 6));
    assert_eq!(world.member(NEWCOMER)["id"], waiting["id"]);
    let keyed =
        world.controller(INVITE_MEMBER).saying(&json!({"email": NEWCOMER, "role": "cfo"})).keyed("k-1");
    assert_eq!((keyed.of(&world).status, keyed.of(&world).status, world.mail.sent().len()), (200, 200, 3));
    let invitations: Vec<_> =
        world.audit(&world.orgs[0]).into_iter().filter(|it| it.action == "member.invite").collect();
    let told: Vec<_> = invitations.iter().map(|it| (it.outcome, it.fields.len())).collect();
    let (allowed, failed) = (Outcome::Allowed, Outcome::Failed);
    assert_eq!(told, [(allowed, 2), (allowed, 0), (failed, 0), (allowed, 0), (allowed, 0)]);
    world.comes_in(NEWCOMER);
    assert_eq!(world.ask(SHOW, NEWCOMER).about("org", &world.orgs[0].to_string()).of(&world).status, 200);
    assert_eq!(world.invited(NEWCOMER, "cfo").code(), (409, "already_member"));

    let create = world.ask(CREATE, OPERATOR).saying(&order("Weber")).keyed("k-1");
    world.mail.reject(NEWCOMER, true);
    let refused = create.of(&world);
    assert_eq!((refused.code(), refused.pointers()), ((409, "email_refused"), vec!["/controller_email"]));
    world.mail.reject(NEWCOMER, false);
    assert_eq!((create.of(&world).status, world.items("organisation")), (201, 3));
}

#[test]
fn who_is_shut_out_is_not_invited() {
    let world = world();
    let shut_out = email(Role::Cfo, 1);
    world.directory.disable(&shut_out);
    let refused = world.invited(&shut_out, "cfo");
    assert_eq!((refused.code(), refused.pointers()), ((409, "email_refused"), vec!["/email"]));
    let mut founding = order("Weber");
    founding["controller_email"] = json!(shut_out);
    assert_eq!(world.ask(CREATE, OPERATOR).saying(&founding).of(&world).code(), (409, "email_refused"));
    assert_eq!((world.members().len(), world.items("organisation"), world.mail.sent().len()), (5, 2, 0));
    let event = world.audit(&world.orgs[0]).into_iter().find(|it| it.action == "member.invite").unwrap();
    assert_eq!(event.outcome, Outcome::Failed);
}

#[test]
fn a_key_of_another_request_brings_nobody_into_the_directory() {
    let world = world();
    let invite = |email: &str| {
        let body = json!({"email": email, "role": "cfo"});
        world.controller(INVITE_MEMBER).saying(&body).keyed("k-1").of(&world)
    };
    assert_eq!(invite(NEWCOMER).status, 201);
    assert_eq!(invite("otto@weber.example").code(), (422, "idempotency_key_reused"));
    assert!(block_on(world.directory.find("otto@weber.example")).unwrap().is_none());
}

#[test]
fn a_repeated_order_tells_no_controller_who_was_removed_since() {
    let mut world = world();
    let create = world.ask(CREATE, OPERATOR).saying(&order("Weber")).keyed("k-1");
    let made = create.of(&world);
    world.comes_in(NEWCOMER);
    let org = text(&made.body["id"]);
    let by_newcomer = |world: &World, route| world.ask(route, NEWCOMER).about("org", &org);
    let other = json!({"email": email(Role::Cfo, 0), "role": "controller"});
    assert_eq!(by_newcomer(&world, INVITE_MEMBER).saying(&other).of(&world).status, 201);
    let show = world.ask(SHOW, &email(Role::Cfo, 0)).about("org", &org);
    assert_eq!(show.of(&world).status, 200);
    let listed = by_newcomer(&world, LIST_MEMBERS).of(&world);
    let own = listed.body["data"].as_array().unwrap().iter().find(|it| it["email"] == NEWCOMER).unwrap();
    let remove =
        world.ask(REMOVE_MEMBER, &email(Role::Cfo, 0)).about("org", &org).about("id", &text(&own["id"]));
    assert_eq!(remove.of(&world).status, 204);
    let before = world.mail.sent().len();
    let again = create.of(&world);
    assert_eq!((again.status, &again.body), (201, &made.body));
    assert_eq!(world.mail.sent().len(), before);
}

#[test]
fn an_organisation_that_cannot_be_read_is_left_out_of_the_list_and_the_line_says_so() {
    let world = world();
    let shared = email(Role::Cfo, 0);
    let there =
        world.ask(INVITE_MEMBER, &email(Role::Controller, 1)).about("org", &world.orgs[1].to_string());
    assert_eq!(there.saying(&json!({"email": shared, "role": "cfo"})).of(&world).status, 201);
    let list = world.ask(LIST, &shared);
    assert_eq!(list.of(&world).ids().len(), 2);
    let member = RowKey::Member(world.people[&shared]);
    for (name, broken) in [(RowKey::Organisation, 1), (member, 0)] {
        let key = plixo_store::keys::row(&world.orgs[broken], &name);
        let mut item = world.tables.dump()[&key].clone();
        item.insert("row".to_owned(), plixo_store::AttributeValue::S("{".to_owned()));
        world.tables.place(key, item);
        let line = Line { timestamp: now(), ..Line::default() };
        let (response, line) = block_on(world.api.handle(&list.request(), line));
        let body: Value = serde_json::from_str(response.body()).unwrap();
        let left: Vec<_> = body["data"].as_array().unwrap().iter().map(|it| text(&it["id"])).collect();
        let expected = if broken == 1 { vec![world.orgs[0].to_string()] } else { vec![] };
        assert_eq!((response.status(), left), (200, expected));
        let error = line.error.unwrap();
        assert!(error.contains(&world.orgs[broken].to_string()), "{error}");
        assert_eq!((line.outcome, line.metrics.errors), ("done", 1));
    }
}

#[test]
fn whoever_is_known_elsewhere_is_invited_like_anybody() {
    let world = world();
    let there =
        world.ask(INVITE_MEMBER, &email(Role::Controller, 1)).about("org", &world.orgs[1].to_string());
    let known = email(Role::Cfo, 0);
    // The organisation's keys are in memory from then on.
    let listed =
        world.ask(LIST_MEMBERS, &email(Role::Controller, 1)).about("org", &world.orgs[1].to_string());
    assert_eq!(listed.of(&world).status, 200);
    let made = |email: &str| {
        let before = world.faults.calls();
        let answer = there.clone().saying(&json!({"email": email, "role": "viewer"})).of(&world);
        (answer, world.faults.calls() - before)
    };
    let ((old, calls), (new, as_many)) = (made(&known), made(NEWCOMER));
    assert_eq!((old.status, new.status, calls), (201, 201, as_many));
    let keys = |answer: &Answer| answer.body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((keys(&old), &old.body["state"]), (keys(&new), &new.body["state"]));
    let own = Secret::new("a password of their own".to_owned());
    assert!(
        matches!(block_on(world.directory.sign_in(&known, &own)), Ok(SignIn::Done(_))),
        "their password stays"
    );
    let [first, second] = <[_; 2]>::try_from(world.mail.sent()).unwrap();
    assert!(!first.text.contains("assword") && second.text.contains("Temporary password: "));

    // Whoever never came in has one temporary password, and each email tells it.
    let temporary = world.temporary(NEWCOMER);
    assert_eq!(world.invited(NEWCOMER, "cfo").status, 201);
    assert_eq!(world.temporary(NEWCOMER), temporary);
    let temporary = Secret::new(temporary.unwrap());
    assert!(
        temporary.reveal().len() == 32
            && matches!(
                block_on(world.directory.sign_in(&NEWCOMER.to_lowercase(), &temporary)),
                Ok(SignIn::Asked(_))
            )
    );
}

/// A red square of that side.
fn png(side: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[200, 30, 40].repeat(usize::try_from(side * side).unwrap())).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn a_controller_gives_the_organisation_a_logo_and_takes_it_away() {
    let world = world();
    let set = world.controller(SET_LOGO).sending("image/png", &png(40)).keyed("k-1");
    assert!(world.controller(SHOW).of(&world).body.get("logo_url").is_none());
    let first = set.of(&world);
    assert_eq!(first.status, 200, "{first:?}");
    let path = text(&first.body["logo_url"]);
    let hash =
        path.strip_prefix(&format!("/logos/{}/", world.orgs[0])).unwrap().strip_suffix(".png").unwrap();
    let sha = plixo_lambda::hash::sha256(&pixels::only(&png(40)).unwrap());
    assert_eq!(hash, hex::encode(sha.first_chunk::<8>().unwrap()));
    let shown = world.by(Role::Viewer, SHOW).of(&world);
    assert_eq!(
        (&shown.body["logo_url"], &shown.headers["etag"]),
        (&first.body["logo_url"], &first.headers["etag"])
    );

    let again = set.of(&world);
    assert_eq!(
        (again.status, &again.body, &again.headers["etag"]),
        (200, &first.body, &first.headers["etag"])
    );
    assert_eq!(set.clone().sending("image/png", &png(41)).of(&world).code(), (422, "idempotency_key_reused"));
    let other = world.controller(SET_LOGO).sending("IMAGE/PNG; x=y", &png(41)).of(&world);
    assert!(other.status == 200 && other.body["logo_url"] != first.body["logo_url"]);
    let same = world.controller(SET_LOGO).sending("image/png", &png(41)).of(&world);
    assert_eq!((same.status, &same.headers["etag"]), (200, &other.headers["etag"]), "the same once more");
    assert_eq!(world.items("logo"), 1);

    let remove = world.controller(REMOVE_LOGO).keyed("k-2");
    assert_eq!((remove.of(&world).status, remove.of(&world).status, world.items("logo")), (204, 204, 0));
    assert_eq!(world.controller(REMOVE_LOGO).of(&world).status, 204, "without one as well");
    assert!(world.controller(SHOW).of(&world).body.get("logo_url").is_none());
    let events = world.audit(&world.orgs[0]);
    let logos = events.iter().filter(|it| it.action == "organisation.logo" && it.outcome == Outcome::Allowed);
    let fields: Vec<_> = logos.map(|it| it.fields.join(" ")).collect();
    // What is answered again from memory is shown, and changes nothing.
    assert_eq!(fields, ["logo", "", "logo", "", "logo", "", ""]);
}

#[test]
fn what_is_no_logo_is_refused_with_what_is_wrong_and_changes_nothing() {
    let world = world();
    let set = world.controller(SET_LOGO);
    let of = |kind: &str, file: &[u8]| set.clone().sending(kind, file).of(&world);
    for wrong in [png(15), png(1025), b"GIF89a".to_vec(), Vec::new(), png(40)[..60].to_vec()] {
        let refused = of("image/png", &wrong);
        assert_eq!((refused.code(), refused.pointers()), ((400, "invalid_request"), vec![""]));
        assert!(!refused.body["errors"][0]["detail"].as_str().unwrap().is_empty());
    }
    assert_eq!(of("image/png", &[0; 9_000]).code(), (400, "invalid_request"));
    assert_eq!(of("image/png", &[0; 9_001]).code(), (413, "body_too_large"));
    for kind in ["image/jpeg", "image/svg+xml", "application/json", "application/octet-stream", ""] {
        let refused = of(kind, &png(40));
        assert_eq!(refused.code(), (415, "unsupported_media_type"), "{kind}");
        assert!(refused.body["detail"].as_str().unwrap().contains("image/png"));
    }
    let damaged = Asked { body: Some("no base64!".to_owned()), ..set.clone().sending("image/png", &[]) };
    assert_eq!(damaged.of(&world).code(), (400, "invalid_request"));
    assert_eq!(
        world.controller(REMOVE_LOGO).saying(&json!({"a": 1})).of(&world).code(),
        (400, "invalid_request")
    );
    assert_eq!(world.items("logo"), 0);
    let events = world.audit(&world.orgs[0]);
    assert!(events.iter().all(|it| it.action == "organisation.logo" && it.outcome == Outcome::Failed));
    assert_eq!(events.len(), 14);
}

#[test]
fn only_controllers_give_a_logo() {
    let world = world();
    for route in [SET_LOGO, REMOVE_LOGO] {
        let sent =
            |asked: Asked| if route == SET_LOGO { asked.sending("image/png", &png(40)) } else { asked };
        for role in Role::ALL.iter().copied().filter(|role| *role != Role::Controller) {
            assert_eq!(sent(world.by(role, route)).of(&world).code(), (403, "forbidden"));
            assert_eq!(
                world.by(role, route).sending("text/plain", b"x").of(&world).code(),
                (403, "forbidden")
            );
        }
        let elsewhere =
            world.ask(route, &email(Role::Controller, 1)).about("org", &world.orgs[0].to_string());
        assert_eq!(sent(elsewhere).of(&world).code(), (404, "not_found"));
        assert_eq!(
            sent(world.ask(route, "nobody").about("org", &world.orgs[0].to_string())).of(&world).status,
            401
        );
    }
    assert_eq!(world.items("logo"), 0);
}

#[test]
fn a_logo_and_its_path_are_kept_together_or_not_at_all() {
    let paths = |world: &World| {
        let shown = world.controller(SHOW).of(world).body["logo_url"].as_str().map(str::to_owned);
        let rows = block_on(world.api.desk.store().read(&world.orgs[0], vec![RowKey::Logo])).unwrap();
        let kept = rows.iter().find_map(|(_, stored)| Logo::of(&stored.as_ref()?.0).map(|logo| logo.hash));
        (shown, kept.map(|hash| hash.path(&world.orgs[0])))
    };
    for (route, file) in [(SET_LOGO, Some(png(41))), (REMOVE_LOGO, None)] {
        for fault in [Fault::Refuses, Fault::LosesAnswer] {
            let mut failed = 0;
            for call in 0.. {
                let world = world();
                let set = world.controller(SET_LOGO).sending("image/png", &png(40));
                assert_eq!(set.of(&world).status, 200);
                let asked = world.controller(route).keyed("k-1");
                let asked = file.iter().fold(asked, |asked, file| asked.sending("image/png", file));
                let before = world.faults.calls();
                world.faults.plan(call, fault);
                let done = asked.of(&world).status;
                let is_over = world.faults.calls() - before <= call;
                world.faults.clear();
                failed += usize::from(done == 503);
                let (shown, kept) = paths(&world);
                assert_eq!(shown, kept, "{route} {fault:?} at call {call}: {done}");
                assert!(
                    asked.of(&world).status < 300,
                    "the same once more: {route} {fault:?} at call {call}"
                );
                let (shown, kept) = paths(&world);
                assert!(shown == kept && shown.is_some() == (route == SET_LOGO));
                if is_over {
                    break;
                }
            }
            assert!(failed > 0);
        }
    }
}

#[test]
fn a_removed_member_finds_nothing() {
    let world = world();
    let viewer = email(Role::Viewer, 0);
    let member = text(&world.member(&viewer)["id"]);
    assert_eq!(world.by(Role::Viewer, SHOW).of(&world).status, 200);
    let remove = world.controller(REMOVE_MEMBER).about("id", &member);
    assert_eq!(remove.of(&world).status, 204);
    assert_eq!(world.by(Role::Viewer, SHOW).of(&world).code(), (404, "not_found"));
    assert_eq!(world.ask(LIST, &viewer).of(&world).body["data"], json!([]));
    assert_eq!(remove.of(&world).code(), (404, "not_found"));
    assert_eq!(world.members().len(), 4);
    let back = world.invited(&viewer, "viewer");
    assert_eq!((back.status, back.body["id"] == member), (201, false));
    // A key that came with another member's removal is no answer to this one.
    let keyed = world.controller(REMOVE_MEMBER).keyed("k-1");
    assert_eq!(keyed.clone().about("id", &text(&back.body["id"])).of(&world).status, 204);
    let other = text(&world.member(&email(Role::Cfo, 0))["id"]);
    assert_eq!(keyed.about("id", &other).of(&world).code(), (422, "idempotency_key_reused"));
}

#[test]
fn a_stale_change_is_refused() {
    let world = world();
    let tag = text(&world.controller(SHOW).of(&world).headers["etag"]);
    let rename = |name: &str| world.controller(UPDATE).saying(&json!({"name": name})).with("if-match", &tag);
    let (a, b) = (rename("A"), rename("B"));
    let (one, other) = block_on(async { tokio::join!(a.sent(&world.api), b.sent(&world.api)) });
    let mut codes = [one.code(), other.code()];
    codes.sort_unstable();
    assert_eq!(codes, [(200, ""), (412, "stale")]);
    let shown = world.controller(SHOW).of(&world);
    let changed = if one.status == 200 { &one } else { &other };
    assert_eq!((&shown.headers["etag"], &shown.body), (&changed.headers["etag"], &changed.body));
    assert_eq!(rename("C").with("if-match", "*").of(&world).status, 200);

    let member = text(&world.member(&email(Role::Viewer, 0))["id"]);
    let change = |role: &str, tag: &str| {
        world
            .controller(UPDATE_MEMBER)
            .about("id", &member)
            .saying(&json!({"role": role}))
            .with("if-match", tag)
            .of(&world)
    };
    let first = change("cfo", "\"1\"");
    assert_eq!(
        (first.status, &first.headers["etag"], &first.body["role"]),
        (200, &json!("\"2\""), &json!("cfo"))
    );
    assert_eq!(change("viewer", "\"1\"").code(), (412, "stale"));
    assert_eq!(change("cfo", "\"2\"").headers["etag"], "\"2\"", "what stays as it is has the same version");
    assert_eq!(world.member(&email(Role::Viewer, 0))["etag"], "\"2\"", "a list says the version");
    let remove = |tag: &str| {
        world.controller(REMOVE_MEMBER).about("id", &member).with("if-match", tag).of(&world).code().0
    };
    assert_eq!((remove("\"1\""), remove("\"2\"")), (412, 204));
}

#[test]
fn everybody_sees_the_organisations_that_they_are_in() {
    let world = world();
    let who = world.people[STRANGER];
    let store = Store::new(world.tables.clone(), world.kms.clone(), entropy);
    let mut made = BTreeSet::new();
    for n in 0..60_u8 {
        let mut ids = Ids::new(now() + SignedDuration::from_secs(n.into()), [n; 10]);
        let id: OrgId = ids.make();
        let mut book = Book::default();
        let settings = plixo_domain::ledger::Settings {
            ip_allow_list: vec!["192.0.2.0/24".parse().unwrap()],
            require_two_factor: true,
            ..Default::default()
        };
        let (name, residency) = (format!("Org {n}"), Residency::Eu);
        book.put_new(Organisation {
            id,
            name,
            residency,
            controllers: BTreeSet::new(),
            settings,
            logo: None,
            closed: None,
        });
        book.learn(RowKey::Member(who), None);
        book.learn(RowKey::UserOrganisation(who), None);
        let email = Private::Plain(STRANGER.to_owned());
        let member = Member { id: ids.make(), user: who, role: Role::Cfo, state: MemberState::Active, email };
        add_member(&mut book, member).unwrap();
        block_on(store.found(&id, &world.kms, &book, &[])).unwrap();
        made.insert(id.to_string());
    }
    let list = world.ask(LIST, STRANGER);
    // Each organisation's key is fetched once, with two calls.
    for (limit, pages, keys) in [("limit=7", 9, 2), ("", 3, 0), ("limit=100", 2, 0)] {
        let (mut seen, mut asked, mut parts) = (Vec::new(), list.clone().asking(limit), 0);
        loop {
            let before = world.faults.calls();
            let part = asked.of(&world);
            let calls = world.faults.calls() - before;
            assert_eq!(part.status, 200, "wherever they are, with one factor: {part:?}");
            assert_eq!(calls, 4 + keys * part.ids().len(), "three calls, and the audit write");
            seen.extend(part.ids());
            parts += 1;
            match &part.body["next_cursor"] {
                Value::String(next) => asked = list.clone().asking(&format!("{limit}&cursor={next}")),
                end => break assert!(end.is_null()),
            }
        }
        assert_eq!((parts, seen.len(), seen.into_iter().collect()), (pages, 60, made.clone()));
    }
    let some: OrgId = made.first().unwrap().parse().unwrap();
    let event = world.audit(&some).pop().unwrap();
    assert_eq!((&*event.action, event.actor.role.as_deref()), ("organisation.list", Some("cfo")));

    let cursor = text(&list.clone().asking("limit=1").of(&world).body["next_cursor"]);
    let with = |asked: &Asked, cursor: &str| asked.clone().asking(&format!("cursor={cursor}")).of(&world);
    assert_eq!(with(&list, &cursor).status, 200);
    assert_eq!(with(&world.ask(LIST, OPERATOR), &cursor).code(), (400, "invalid_request"), "somebody else's");
    for n in 0..cursor.len() {
        let mut bytes = cursor.clone().into_bytes();
        bytes[n] = if bytes[n] == b'A' { b'B' } else { b'A' };
        assert_eq!(with(&list, &String::from_utf8(bytes).unwrap()).status, 400, "changed at {n}");
    }
    let [key, _, _] = standing_keys(&who, "s1");
    world.tables.place(key, session_item(now() + SignedDuration::from_hours(1)));
    assert_eq!(list.of(&world).code(), (401, "unauthenticated"));
}

#[test]
fn nothing_is_shown_that_cannot_be_audited() {
    let world = world();
    for asked in
        [world.ask(LIST, &email(Role::Cfo, 0)), world.by(Role::Cfo, SHOW), world.controller(LIST_MEMBERS)]
    {
        // The organisation's keys are in memory from then on.
        assert_eq!(asked.of(&world).status, 200);
        let before = world.faults.calls();
        assert_eq!(asked.of(&world).status, 200);
        for call in 0..world.faults.calls() - before {
            world.faults.plan(call, Fault::Refuses);
            assert_eq!(asked.of(&world).code(), (503, "unavailable"), "{} call {call}", asked.route);
        }
        world.faults.clear();
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
