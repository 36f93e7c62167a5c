use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use plixo_authz::Authz;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, AuditKept, AuditSeal, Object, Outcome};
use plixo_domain::id::{Ids, OrgId};
use plixo_domain::ledger::{Book, Organisation, Private, Residency, RowKey};
use plixo_domain::people::{Member, MemberState, Role, UserId, add_member};
use plixo_store::{Store, Table};
use plixo_testing::{FakeKms, FakeTables, Fault, Faults, entropy};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now().saturating_sub(SignedDuration::from_secs(seconds)).unwrap()
}

const DAY: i64 = 24 * 3600;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn user(n: u8) -> UserId {
    format!("00000000-0000-4000-8000-0000000000{n:02x}").parse().unwrap()
}

/// Two organisations, half a year old: of the first the users 0 to 4 are members, a role each, of the second 16 to 20.
struct World {
    tables: FakeTables,
    kms: FakeKms,
    faults: Faults,
    orgs: [OrgId; 2],
}

struct Answer {
    status: u16,
    body: Value,
}

impl World {
    fn new() -> Self {
        let faults = Faults::default();
        let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::default());
        let orgs = [1_u8, 2].map(|seed| {
            let mut ids = Ids::new(ago(180 * DAY), [seed; 10]);
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
        Self { tables, kms, faults, orgs }
    }

    fn fork(&self, faults: &Faults) -> Self {
        let tables = self.tables.fork(faults.clone());
        Self { tables, kms: self.kms.clone(), faults: faults.clone(), orgs: self.orgs }
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    /// Writes events of the first organisation, so many seconds old.
    fn write(&self, ages: &[i64]) -> Vec<AuditEvent> {
        let mut written = Vec::new();
        for age in ages {
            // Ids as they are made: of the same millisecond, and told apart by what is random.
            let random = entropy().unwrap();
            let mut seed = [0; 10];
            seed.iter_mut().zip(random).for_each(|(to, from)| *to = from);
            seed[9] = random[7].wrapping_mul(31);
            let event = event(&mut Ids::new(ago(*age), seed), ago(*age));
            block_on(self.store().commit(
                &self.orgs[0],
                &Book::default(),
                None,
                std::slice::from_ref(&event),
                now(),
            ))
            .unwrap();
            written.push(event);
        }
        written
    }

    fn ask(&self, who: u8, org: OrgId, query: &str) -> Answer {
        let said = json!({"user": user(who).0, "session": "s1",
            "signed_in_at": "2026-06-15T11:00:00Z", "expires_at": "2026-06-15T13:00:00Z"});
        let request = serde_json::from_value(json!({
            "headers": {}, "pathParameters": {"org": org}, "rawQueryString": query, "isBase64Encoded": false,
            "requestContext": {"requestId": "r1", "routeKey": ROUTE, "authorizer": {"lambda": said},
                "http": {"sourceIp": "203.0.113.7", "userAgent": "test"}},
        }))
        .unwrap();
        let api = Api::new(Arc::new(Desk::new(self.store(), Authz::new().unwrap(), entropy)));
        let line = Line { timestamp: now(), ..Line::default() };
        let (response, _) = block_on(api.handle(&request, line));
        Answer { status: response.status(), body: serde_json::from_str(response.body()).unwrap() }
    }

    fn get(&self, query: &str) -> Answer {
        self.ask(of(Role::Compliance), self.orgs[0], query)
    }

    /// The ids of all parts of the log, and how many parts there were.
    fn all(&self, query: &str) -> (Vec<String>, usize) {
        let (mut ids, mut parts, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let answer = self.get(&format!("{query}{cursor}"));
            assert_eq!(answer.status, 200, "{query}: {}", answer.body);
            parts += 1;
            ids.extend(answer.body["data"].as_array().unwrap().iter().map(|it| text(&it["id"])));
            match &answer.body["next_cursor"] {
                Value::String(next) => cursor = format!("&cursor={next}"),
                end => break assert!(end.is_null()),
            }
        }
        (ids, parts)
    }
}

fn event(ids: &mut Ids, at: Timestamp) -> AuditEvent {
    AuditEvent {
        id: ids.make(),
        at,
        actor: Actor { kind: ActorKind::Provider, id: "whe_1".to_owned(), role: None },
        origin: Private::default(),
        customer: None,
        action: "payment.create".to_owned(),
        object: Object::new("payment", "pay_1"),
        outcome: Outcome::Allowed,
        fields: Vec::new(),
        request_id: "r0".to_owned(),
        count: None,
    }
}

fn of(role: Role) -> u8 {
    u8::try_from(Role::ALL.iter().position(|it| *it == role).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The log's order: the latest day first, and within it the latest id.
fn in_order(mut events: Vec<AuditEvent>) -> Vec<String> {
    let day = |event: &AuditEvent| event.at.to_string().split_once('T').map(|(day, _)| day.to_owned());
    events.sort_by_key(|event| std::cmp::Reverse((day(event), event.id.to_string())));
    events.into_iter().map(|event| event.id.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_parts_are_the_whole_log_once_and_in_order(
        ages in proptest::collection::vec(prop_oneof![0..600_i64, 0..3 * DAY, 0..179 * DAY], 0..80),
        limit in 1..40_usize,
        odd in 0..80_usize,
    ) {
        let world = World::new();
        let mut events = world.write(&ages);
        // One that was worked on later than it came, so that its id is older than its day.
        let late = event(&mut Ids::new(ago(ages.get(odd).copied().unwrap_or(0) + 2 * DAY), [250; 10]), ago(i64::try_from(odd).unwrap()));
        block_on(world.store().commit(&world.orgs[0], &Book::default(), None, std::slice::from_ref(&late), now())).unwrap();
        events.push(late);
        let (found, _) = world.all(&format!("actor=provider&limit={limit}"));
        prop_assert_eq!(found, in_order(events.clone()));
        let (from, to) = (ago(2 * DAY), ago(300));
        let (found, _) = world.all(&format!("actor=whe_1&from={from}&to={to}&limit={limit}"));
        events.retain(|event| from <= event.at && event.at < to);
        prop_assert_eq!(found, in_order(events));
    }
}

#[test]
fn an_event_is_shown_in_the_contracts_shape_and_reading_is_an_event_itself() {
    let world = World::new();
    assert_eq!(world.get("").body["data"], json!([]));
    let body = world.get("action=audit.list").body;
    let own = &body["data"][0];
    assert_eq!(
        (&own["action"], &own["outcome"], &own["fields"]),
        (&json!("audit.list"), &json!("allowed"), &json!([]))
    );
    assert_eq!((&own["actor"]["kind"], &own["actor"]["role"]), (&json!("member"), &json!("compliance")));
    assert_eq!(own["object"], json!({"kind": "organisation", "id": world.orgs[0]}));
    assert_eq!((&own["ip"], &own["user_agent"]), (&json!("203.0.113.7"), &json!("test")));
    assert_eq!((&own["request_id"], &own["at"]), (&json!("r1"), &json!("2026-06-15T12:00:00Z")));
}

#[test]
fn filters_narrow_it() {
    let world = World::new();
    let mut ids = Ids::new(now(), [1; 10]);
    let mut made = Vec::new();
    for (kind, id, action, object) in [
        (ActorKind::Member, "mem_1", "invoice.create", "inv_1"),
        (ActorKind::Member, "mem_2", "invoice.update", "inv_1"),
        (ActorKind::Member, "mem_1", "invoices.export", "inv_2"),
        (ActorKind::Provider, "whe_1", "payment.create", "pay_1"),
        (ActorKind::Operator, "plixoctl", "invoice", "inv_1"),
    ] {
        let actor = Actor { kind, id: id.to_owned(), role: None };
        let (action, object) = (action.to_owned(), Object::new("thing", object));
        made.push(AuditEvent { actor, action, object, ..event(&mut ids, ago(60)) });
    }
    block_on(world.store().commit(&world.orgs[0], &Book::default(), None, &made, now())).unwrap();
    let to = ago(30);
    for (query, expected) in [
        ("", vec![4, 3, 2, 1, 0]),
        ("&actor=mem_1", vec![2, 0]),
        ("&actor=member", vec![2, 1, 0]),
        ("&actor=operator", vec![4]),
        ("&actor=nobody", vec![]),
        ("&action=invoice.", vec![1, 0]),
        ("&action=invoice.update", vec![1]),
        ("&action=invoice", vec![4]),
        ("&object=inv_1", vec![4, 1, 0]),
        ("&object=inv_1&actor=member&action=invoice.", vec![1, 0]),
        ("&from=2026-06-15T11:59:00Z", vec![4, 3, 2, 1, 0]),
        ("&from=2026-06-15T11:59:01Z", vec![]),
        ("&from=2026-06-15T13:59:00%2B02:00", vec![4, 3, 2, 1, 0]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|n: usize| made[n].id.to_string()).collect();
        assert_eq!(world.all(&format!("to={to}{query}")).0, expected, "{query}");
    }
    assert_eq!(world.all(&format!("to={}", ago(60))).0, Vec::<String>::new(), "that time is not included");
}

#[test]
fn one_request_does_bounded_work_and_the_next_goes_on() {
    let world = World::new();
    let ages: Vec<i64> = (0..1_300).map(|n| n % (5 * DAY)).collect();
    world.write(&ages);
    let first = ago(179 * DAY).to_string();
    for limit in [1, 25, 100] {
        let before = world.faults.calls();
        let answer = world.get(&format!("from={first}&action=nothing&limit={limit}"));
        assert_eq!(answer.body["data"], json!([]));
        assert!(answer.body["next_cursor"].is_string());
        let calls = world.faults.calls() - before;
        assert!(calls < 16 * 6 + 5, "limit {limit}: {calls}");
    }
    let (found, parts) = world.all(&format!("from={first}&action=nothing"));
    assert!(found.is_empty() && (13..=16).contains(&parts), "{parts} parts");
    let (found, _) = world.all("action=payment.&limit=100");
    assert_eq!(found.len(), 1_300);
}

/// Events about one invoice: changes, so many days old, and reads.
fn about(world: &World, invoice: &str, ages: &[i64], fields: &[&str]) -> Vec<AuditEvent> {
    let mut written = Vec::new();
    for age in ages {
        let random = entropy().unwrap();
        let mut seed = [0; 10];
        seed.iter_mut().zip(random).for_each(|(to, from)| *to = from);
        let event = AuditEvent {
            action: if fields.is_empty() { "invoice.read" } else { "invoice.update" }.to_owned(),
            object: Object::new("invoice", invoice),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            ..event(&mut Ids::new(ago(*age), seed), ago(*age))
        };
        let events = std::slice::from_ref(&event);
        block_on(world.store().commit(&world.orgs[0], &Book::default(), None, events, now())).unwrap();
        written.push(event);
    }
    written
}

#[test]
fn what_was_done_to_a_thing_is_found_however_long_ago_and_however_often_it_was_read() {
    let world = World::new();
    let changes = about(&world, "inv_1", &[179 * DAY, 90 * DAY, 60], &["memo"]);
    about(&world, "inv_1", &(0..1_100).map(|n| n * 7).collect::<Vec<_>>(), &[]);
    about(&world, "inv_2", &[5, 6, 7], &["memo"]);
    world.write(&[1, 2, 3]);
    let before = world.faults.calls();
    let body = world.get("object=inv_1&changes=true&limit=100").body;
    assert_eq!(world.faults.calls() - before, 4, "who asks, one query, the data key, the audit event");
    let ids: Vec<_> = body["data"].as_array().unwrap().iter().map(|it| text(&it["id"])).collect();
    assert_eq!(ids, in_order(changes.clone()));
    assert!(body["next_cursor"].is_null() && body["looked_back_to_on"].is_null(), "{body}");
    assert_eq!(world.all("object=inv_1&changes=true&limit=1").0, ids);
    assert_eq!(world.all(&format!("object=inv_1&changes=true&from={}", ago(DAY))).0, ids[..1]);
    assert_eq!(world.all(&format!("object=inv_1&changes=true&to={}", ago(DAY))).0, ids[1..]);
    assert_eq!(world.all("changes=true&action=invoice.&from=2026-06-14T00:00:00Z").0.len(), 4);
}

#[test]
fn what_was_written_long_after_its_message_came_is_found_where_it_was_written() {
    let world = World::new();
    about(&world, "inv_1", &[DAY + 60, 18 * DAY, 40 * DAY], &[]);
    // Its id is of when the message came.
    let late = AuditEvent {
        object: Object::new("invoice", "inv_1"),
        fields: vec!["allocations".to_owned()],
        ..event(&mut Ids::new(ago(17 * DAY), [7; 10]), ago(60))
    };
    let events = std::slice::from_ref(&late);
    block_on(world.store().commit(&world.orgs[0], &Book::default(), None, events, now())).unwrap();
    let from = ago(3600);
    assert_eq!(world.all(&format!("object=inv_1&from={from}")).0, [late.id.to_string()]);
    // And no further back than such a message can come from.
    about(&world, "inv_1", &(0..2_200).map(|n| 60 * DAY + n).collect::<Vec<_>>(), &[]);
    assert_eq!(world.all(&format!("object=inv_1&from={from}&limit=100")), (vec![late.id.to_string()], 1));
}

#[test]
fn the_events_about_a_thing_come_once_and_in_order() {
    let world = World::new();
    let mut events = about(&world, "inv_1", &[150 * DAY, 3, 40, 9 * DAY, 41], &["memo"]);
    events.extend(about(&world, "inv_1", &[149 * DAY, 2, 42, 42, 8 * DAY, 50, 51, 52, 53], &[]));
    about(&world, "inv_1#unchanged", &[4], &["memo"]);
    events.sort_by_key(|event| std::cmp::Reverse(event.id.to_string()));
    let expected: Vec<_> = events.iter().map(|event| event.id.to_string()).collect();
    for limit in 1..=15 {
        let (found, parts) = world.all(&format!("object=inv_1&limit={limit}"));
        assert_eq!((found, parts), (expected.clone(), expected.len().div_ceil(limit)), "limit {limit}");
    }
    let reads: Vec<_> =
        events.iter().filter(|event| !event.is_change()).map(|it| it.id.to_string()).collect();
    assert_eq!(world.all("object=inv_1&action=invoice.read&limit=2").0, reads);
    assert_eq!(world.all("object=inv_1&actor=nobody").0, Vec::<String>::new());
    // A filter that passes over much is bounded, and goes on.
    about(&world, "inv_1", &(0..1_500).collect::<Vec<_>>(), &[]);
    let before = world.faults.calls();
    let body = world.get("object=inv_1&action=invoice.update&to=2026-06-01T00:00:00Z&limit=5").body;
    assert!(world.faults.calls() - before < 24, "{}", world.faults.calls() - before);
    assert_eq!((&body["data"], &body["looked_back_to_on"]), (&json!([]), &json!("2026-06-15")));
    assert!(body["next_cursor"].is_string());
    assert_eq!(world.all("object=inv_1&action=invoice.update&to=2026-06-01T00:00:00Z&limit=5").0.len(), 1);
}

#[test]
fn what_is_about_the_organisation_is_in_no_index_and_found_all_the_same() {
    let world = World::new();
    let org = world.orgs[0].to_string();
    world.get("");
    about(&world, "inv_1", &[1], &["memo"]);
    let dump = world.tables.dump();
    let audit: Vec<_> = dump.iter().filter(|(key, _)| key.table == Table::Audit).collect();
    let indexed = audit.iter().filter(|(_, item)| item.contains_key("object_pk"));
    assert_eq!((audit.len(), indexed.count()), (2, 1));
    assert_eq!(world.all(&format!("object={org}&from={}", ago(DAY))).0.len(), 1);
    // Another organisation's thing of the same id is not shown.
    let stranger = 16 + of(Role::Controller);
    assert_eq!(world.ask(stranger, world.orgs[1], "object=inv_1").body["data"], json!([]));
}

#[test]
fn an_empty_part_says_how_far_back_it_looked() {
    let world = World::new();
    let [old] = world.write(&[15 * DAY]).try_into().unwrap();
    let first = world.get("action=payment.create").body;
    assert_eq!((&first["data"], &first["looked_back_to_on"]), (&json!([]), &json!("2026-06-02")));
    let next = text(&first["next_cursor"]);
    let second = world.get(&format!("action=payment.create&limit=1&cursor={next}")).body;
    assert_eq!(second["data"][0]["id"], json!(old.id));
    assert_eq!(second["looked_back_to_on"], "2026-05-31", "the day that it stopped in");
}

#[test]
fn with_expand_the_members_who_acted_have_their_emails() {
    let world = World::new();
    world.write(&[1]);
    let gone = AuditEvent {
        actor: Actor { kind: ActorKind::Member, id: "mem_01h2xcejqtf2nbrexx3vqjhp41".into(), role: None },
        ..event(&mut Ids::new(ago(2), [7; 10]), ago(2))
    };
    block_on(world.store().commit(&world.orgs[0], &Book::default(), None, &[gone], now())).unwrap();
    world.get("");
    for role in [Role::Compliance, Role::Cfo] {
        let from = ago(60);
        let shown =
            world.ask(of(role), world.orgs[0], &format!("expand=actors&from={from}&action=audit.")).body;
        assert_eq!(shown["data"][0]["actor"]["email"], "somebody@example.com", "{role:?}");
        let rest = world.ask(of(role), world.orgs[0], &format!("expand=actors&from={from}&action=payment."));
        let emails: Vec<_> =
            rest.body["data"].as_array().unwrap().iter().map(|it| &it["actor"]["email"]).collect();
        assert_eq!(emails, [&Value::Null, &Value::Null], "a provider, and somebody who is no member");
    }
    assert_eq!(world.get("").body["data"][0]["actor"].get("email"), None, "nobody asked for it");
    assert_eq!(world.get("expand=members").body["errors"][0]["pointer"], "/expand");
}

#[test]
fn a_request_that_cannot_be_used_is_in_the_log_and_tells_only_who_may_read_it() {
    let world = World::new();
    for query in ["cursor=x", "limit=0", "actor=", "who=me"] {
        assert_eq!(world.ask(16 + of(Role::Cfo), world.orgs[0], query).status, 404, "{query}");
        assert_eq!(world.ask(of(Role::Viewer), world.orgs[0], query).status, 403, "{query}");
        assert_eq!(world.ask(of(Role::Cfo), world.orgs[0], query).status, 400, "{query}");
    }
    let seen = world.get("limit=100").body;
    let outcomes: Vec<_> = seen["data"].as_array().unwrap().iter().map(|it| text(&it["outcome"])).collect();
    let count = |word: &str| outcomes.iter().filter(|outcome| *outcome == word).count();
    assert_eq!((outcomes.len(), count("denied"), count("failed")), (8, 4, 4));
}

#[test]
fn a_cursor_counts_with_its_own_filters_only() {
    let world = World::new();
    world.write(&[1, 2, 3, 4]);
    let cursor = text(&world.get("limit=2&actor=provider").body["next_cursor"]);
    let with = |query: &str| world.get(&format!("{query}cursor={cursor}")).status;
    assert_eq!(with("limit=1&actor=provider&"), 200, "a limit is no filter");
    let filters = [
        "",
        "actor=member&",
        "actor=provider&action=payment.&",
        "actor=provider&object=x&",
        "actor=provider&to=2026-06-15T12:00:00Z&",
    ];
    for query in filters {
        assert_eq!(with(query), 400, "{query}");
    }
    let stranger = 16 + of(Role::Controller);
    let there = world.ask(stranger, world.orgs[1], &format!("actor=provider&cursor={cursor}"));
    assert_eq!(there.status, 400);
}

#[test]
fn what_the_route_does_not_take_is_refused_with_a_pointer() {
    let world = World::new();
    let long = format!("actor={}", "x".repeat(101));
    for (query, pointer) in [
        ("from=yesterday", "/from"),
        ("from=2026-06-15", "/from"),
        ("to=2026-06-15T12:00:00", "/to"),
        ("from=2026-06-15T12:00:00Z&to=2026-06-15T12:00:00Z", "/to"),
        ("actor=", "/actor"),
        (&long, "/actor"),
        ("limit=0", "/limit"),
        ("who=me", "/who"),
        ("cursor=x", "/cursor"),
    ] {
        let answer = world.get(query);
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("invalid_request")), "{query}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{query}: {}", answer.body);
    }
    for extreme in [
        "from=-009998-01-02T00:00:00Z",
        "to=9999-12-30T00:00:00Z",
        "from=9999-12-30T00:00:00Z",
        "to=-009998-01-02T01:59:59Z",
    ] {
        assert_eq!(world.get(extreme).status, 200, "{extreme}");
    }
}

#[test]
fn it_is_read_by_whom_the_contract_lets() {
    let world = World::new();
    for role in Role::ALL.iter().copied() {
        let may = matches!(role, Role::Controller | Role::Cfo | Role::Compliance);
        let answer = world.ask(of(role), world.orgs[0], "");
        assert_eq!(answer.status, if may { 200 } else { 403 }, "{role:?}");
    }
    let seen = world.get("action=audit.list&limit=100").body;
    let outcomes: Vec<_> = seen["data"].as_array().unwrap().iter().map(|it| text(&it["outcome"])).collect();
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "denied").count(), 2);
    assert_eq!(outcomes.len(), 5);
    let foreign = world.ask(of(Role::Controller), world.orgs[1], "");
    let nowhere = world.ask(of(Role::Controller), Ids::new(now(), [9; 10]).make(), "");
    assert_eq!((foreign.status, &foreign.body), (404, &nowhere.body));
    let written = world.tables.dump().into_iter().filter(|(key, _)| key.table == Table::Audit).count();
    assert_eq!(written, 6, "and nothing of the stranger");
}

#[test]
fn nothing_is_shown_that_cannot_be_audited() {
    let world = World::new();
    world.write(&[1, 2, 3]);
    let counted = Faults::default();
    let query = format!("from={}", ago(DAY));
    assert_eq!(world.fork(&counted).get(&query).status, 200);
    for call in 0..counted.calls() {
        let faults = Faults::default();
        faults.plan(call, Fault::Refuses);
        let answer = world.fork(&faults).get(&query);
        assert_eq!((answer.status, &answer.body["code"]), (503, &json!("unavailable")), "call {call}");
    }
}

#[test]
fn of_a_day_of_which_some_is_gone_nothing_is_shown() {
    let world = World::new();
    let [left, kept] = [3 * DAY, DAY].map(|age| world.write(&[age]).remove(0).id.to_string());
    let queries = ["actor=provider", "object=pay_1"];
    for query in queries {
        assert_eq!(world.all(query).0, [kept.clone(), left.clone()], "{query}");
    }
    // Some of what came before is deleted, and the policy, as it is by now, would keep the rest.
    let from = ago(DAY).to_zoned(jiff::tz::TimeZone::UTC).date();
    let mut book = Book::default();
    book.put_new(AuditKept { from, is_gone: false });
    block_on(world.store().commit(&world.orgs[0], &book, None, &[], now())).unwrap();
    for query in queries {
        assert_eq!(world.all(query).0, std::slice::from_ref(&kept), "{query}");
    }
}

#[test]
fn how_far_the_log_is_sealed_is_said_once_it_is() {
    let world = World::new();
    world.write(&[1]);
    assert!(world.get("").body.get("seal").is_none());
    let [org, _] = world.orgs;
    let (to, note, nothing) = (ago(DAY), "a checkpoint".to_owned(), Vec::new());
    let seal = AuditSeal { to, size: 7, note, range: Vec::new(), recent: nothing, sealed_at: now() };
    let mut book = Book::default();
    book.put_new(seal);
    block_on(world.store().commit(&org, &book, None, &[], now())).unwrap();
    let expected = json!({"sealed_to": ago(DAY), "events": 7, "checkpoint": "a checkpoint"});
    assert_eq!(world.get("").body["seal"], expected);
}

#[test]
fn the_document_has_the_route_and_no_other() {
    let document = serde_json::to_value(Document::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/v1/orgs/{org}/audit-events"]);
    assert_eq!(paths["/v1/orgs/{org}/audit-events"].as_object().unwrap().keys().collect::<Vec<_>>(), ["get"]);
}
