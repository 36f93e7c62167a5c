use plixo_domain::audit::AuditEvent;
use plixo_domain::id::{CustomerId, MemberId};
use plixo_domain::ledger::staff::{NewPayment, RecordedSource, record_payment};
use plixo_domain::ledger::{Customer, Personal, Residency, Settings};
use plixo_domain::money::Money;
use plixo_domain::people::{Role, UserOrganisation, add_member, remove_member};
use plixo_store::people::{OthersEnded, others_item, session_item, standing_keys};
use plixo_store::{List, Page, Table, Tables};
use plixo_testing::{FakeKms, FakeTables, Fault, Faults};
use proptest::prelude::*;

use super::*;
use crate::change::Not;

type TestDesk = Desk<FakeTables, FakeKms>;

const READ: (Action, &str) = (Action::ReadLedger, "customer.read");
const WRITE: (Action, &str) = (Action::WriteLedger, "customer.create");
const MEMBERS: (Action, &str) = (Action::ManageOrganisation, "member.update");

fn deed_of((action, name): (Action, &'static str), object: &Object) -> Deed {
    Deed { action, name, object: object.clone() }
}

struct Office {
    desk: TestDesk,
    tables: FakeTables,
    kms: FakeKms,
    org: OrgId,
    members: Vec<Member>,
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn now() -> Timestamp {
    "2026-11-21T08:00:00Z".parse().unwrap()
}

fn user(n: u8) -> UserId {
    format!("00000000-0000-4000-8000-0000000000{n:02x}").parse().unwrap()
}

fn caller(member: &Member) -> Caller {
    Caller {
        user: member.user,
        session: "s1".to_owned(),
        signed_in_at: now(),
        ip: Some("203.0.113.7".parse().unwrap()),
        user_agent: Some("test".to_owned()),
        request_id: "r1".to_owned(),
        now: now(),
    }
}

/// An organisation with a member of each role; the second of its kind has other ids and the same people in other roles.
fn open(tables: &FakeTables, kms: &FakeKms, seed: u8, settings: Settings) -> Office {
    let store = Store::new(tables.clone(), kms.clone(), plixo_testing::entropy);
    let desk = Desk::new(store, Authz::new().unwrap(), plixo_testing::entropy);
    let mut ids = Ids::new(now(), [seed; 10]);
    let org = ids.make();
    let members: Vec<Member> = Role::ALL
        .iter()
        .zip(0_u8..)
        .map(|(role, n)| Member {
            id: ids.make(),
            user: user(n.wrapping_add(seed.wrapping_mul(16))),
            role: *role,
            state: MemberState::Active,
            email: plixo_domain::ledger::Private::Plain(format!("{n}@example.com")),
        })
        .collect();
    let mut book = Book::default();
    book.learn(RowKey::Organisation, None);
    for member in &members {
        book.learn(RowKey::Member(member.user), None);
        book.learn(RowKey::UserOrganisation(member.user), None);
    }
    let organisation = Organisation {
        id: org,
        name: "Nordlicht".to_owned(),
        residency: Residency::Eu,
        controllers: Default::default(),
        settings,
        logo: None,
        closed: None,
    };
    book.put(organisation).unwrap();
    members.iter().for_each(|member| add_member(&mut book, member.clone()).unwrap());
    block_on(async {
        desk.store.create_data_key(&org, kms).await.unwrap();
        desk.store.commit(&org, &book, None, &[], now()).await.unwrap();
    });
    Office { desk, tables: tables.clone(), kms: kms.clone(), org, members }
}

fn office(settings: Settings) -> Office {
    open(&FakeTables::default(), &FakeKms::default(), 1, settings)
}

impl Office {
    fn put(&self, key: plixo_store::Key, item: plixo_store::Item) {
        let write =
            plixo_store::Write { key, act: plixo_store::Act::Put(item), guard: plixo_store::Guard::Absent };
        block_on(self.tables.write_all(vec![write])).unwrap();
    }

    fn of(&self, role: Role) -> &Member {
        self.members.iter().find(|member| member.role == role).unwrap()
    }

    fn enter(&self, caller: &Caller, deed: (Action, &'static str)) -> Result<Visit, Refusal> {
        block_on(self.desk.enter(
            caller,
            &self.org,
            &deed_of(deed, &Object::new("organisation", self.org)),
            Vec::new(),
        ))
    }

    /// Creates a customer, and answers its id.
    fn create(&self, caller: &Caller, key: Option<Key<'_>>) -> Result<Answered, Refusal> {
        let object = Object::new("customer", "new");
        block_on(self.desk.change(caller, &self.org, &deed_of(WRITE, &object), &[], key, async |entered| {
            let id: CustomerId = entered.ids.make();
            entered.book.put_new(Customer::new(id, Personal::default()));
            let changed = vec![(Object::new("customer", id), vec!["name"])];
            Ok(Made { changed, answer: Answered { status: 201, body: id.to_string(), version: None } })
        }))
    }

    /// The audit log.
    fn events(&self) -> Vec<AuditEvent> {
        let of_org =
            |key: &plixo_store::Key| key.table == Table::Audit && key.pk.starts_with(&self.org.to_string());
        let dump = self.tables.dump();
        let events = dump
            .iter()
            .filter(|(key, _)| of_org(key))
            .map(|(_, item)| plixo_store::to_audit_event(item).unwrap());
        events.collect()
    }

    /// The audit log: action, outcome, object.
    fn audit(&self) -> Vec<(String, Outcome, String)> {
        let events = self.events().into_iter();
        events.map(|event| (event.action, event.outcome, event.object.kind)).collect()
    }

    fn customers(&self) -> usize {
        let page = Page { after: None, descending: false, limit: 100 };
        block_on(self.desk.store.list(&self.org, &List::Customers, page, now())).unwrap().rows.len()
    }
}

#[test]
fn a_stranger_and_a_missing_organisation_are_the_same() {
    let office = office(Settings::default());
    let stranger = Caller { user: user(99), ..caller(office.of(Role::Viewer)) };
    assert_eq!(office.enter(&stranger, READ).unwrap_err(), Refusal::NotFound);
    let missing: OrgId = Ids::new(now(), [9; 10]).make();
    let object = Object::new("organisation", missing);
    let entered = block_on(office.desk.enter(
        &caller(office.of(Role::Viewer)),
        &missing,
        &deed_of(READ, &object),
        Vec::new(),
    ));
    assert_eq!(entered.unwrap_err(), Refusal::NotFound);
    assert_eq!(office.audit(), []);
}

#[test]
fn a_denied_try_is_in_the_audit_log_and_changes_nothing() {
    let office = office(Settings::default());
    let viewer = caller(office.of(Role::Viewer));
    assert_eq!(office.create(&viewer, None), Err(Refusal::Forbidden));
    assert_eq!(office.customers(), 0);
    let denied = |action: &str| (action.to_owned(), Outcome::Denied, "customer".to_owned());
    assert_eq!(office.audit(), [denied("customer.create")]);
    assert!(office.enter(&viewer, READ).is_ok());
}

#[test]
fn the_organisation_says_from_where_and_with_how_many_factors() {
    let settings = Settings {
        ip_allow_list: vec!["203.0.113.0/24".parse().unwrap()],
        require_two_factor: true,
        ..Settings::default()
    };
    let office = office(settings);
    let one_factor = caller(office.of(Role::Controller));
    assert_eq!(office.enter(&one_factor, READ).unwrap_err(), Refusal::TwoFactorRequired);
    let two_factors = Caller { session: "s2".to_owned(), ..one_factor.clone() };
    let [_, key, _] = standing_keys(&two_factors.user, "s2");
    office.put(key, session_item(now() + jiff::SignedDuration::from_hours(13)));
    assert_eq!(office.enter(&one_factor, READ).unwrap_err(), Refusal::TwoFactorRequired);
    assert!(office.enter(&two_factors, READ).is_ok());
    for ip in [Some("198.51.100.1".parse().unwrap()), None] {
        let elsewhere = Caller { ip, ..two_factors.clone() };
        assert_eq!(office.enter(&elsewhere, READ).unwrap_err(), Refusal::IpNotAllowed);
    }
    assert_eq!(office.audit().len(), 4);
}

#[test]
fn an_ended_session_is_over_wherever_it_asks() {
    let office = office(Settings::default());
    let viewer = caller(office.of(Role::Viewer));
    let [key, _, _] = standing_keys(&viewer.user, "s1");
    office.put(key, session_item(now() + jiff::SignedDuration::from_hours(13)));
    assert_eq!(office.enter(&viewer, READ).unwrap_err(), Refusal::SessionEnded);
    assert!(office.enter(&Caller { session: "s2".to_owned(), ..viewer.clone() }, READ).is_ok());
    // All that began before a change of the password, but for the session of the change.
    let cfo = Caller { session: "s3".to_owned(), ..caller(office.of(Role::Cfo)) };
    assert!(office.enter(&cfo, READ).is_ok());
    let [_, _, key] = standing_keys(&cfo.user, "s3");
    let others = OthersEnded { at: now(), but: "s2".to_owned() };
    office.put(key, others_item(&others, now() + jiff::SignedDuration::from_hours(13)));
    assert_eq!(office.enter(&cfo, READ).unwrap_err(), Refusal::SessionEnded);
    assert!(office.enter(&Caller { session: "s2".to_owned(), ..cfo.clone() }, READ).is_ok());
    let later = Caller { signed_in_at: now() + jiff::SignedDuration::from_secs(1), ..cfo };
    assert!(office.enter(&later, READ).is_ok());
    let missing: OrgId = Ids::new(now(), [9; 10]).make();
    let deed = deed_of(READ, &Object::new("organisation", missing));
    let entered = block_on(office.desk.enter(&viewer, &missing, &deed, Vec::new()));
    assert_eq!(entered.unwrap_err(), Refusal::SessionEnded);
}

#[test]
fn a_removed_member_is_out_at_the_next_request() {
    let office = office(Settings::default());
    let (controller, viewer) = (caller(office.of(Role::Controller)), office.of(Role::Viewer).clone());
    assert!(office.enter(&caller(&viewer), READ).is_ok());
    let rows = [
        RowKey::Member(viewer.user),
        RowKey::MemberPointer(viewer.id),
        RowKey::UserOrganisation(viewer.user),
    ];
    let object = Object::new("member", viewer.id);
    let answer = Answered { status: 204, body: String::new(), version: None };
    let removed = block_on(office.desk.change(
        &controller,
        &office.org,
        &deed_of(MEMBERS, &object),
        &rows,
        None,
        async |entered| {
            remove_member(entered.book, viewer.user).unwrap();
            Ok(Made { changed: vec![(object.clone(), vec!["role"])], answer: answer.clone() })
        },
    ));
    assert_eq!(removed, Ok(answer.clone()));
    assert_eq!(office.enter(&caller(&viewer), READ).unwrap_err(), Refusal::NotFound);
    assert_eq!(block_on(office.desk.store.organisations_of(&viewer.user)).unwrap(), []);
    assert_eq!(block_on(office.desk.store.organisations_of(&controller.user)).unwrap(), [office.org]);
}

#[test]
fn the_same_key_is_answered_the_same_and_done_once() {
    let office = office(Settings::default());
    let admin = caller(office.of(Role::BillingAdmin));
    let key = |body: &'static [u8]| Some(Key { key: "a-key-of-theirs", body });
    let first = office.create(&admin, key(b"{}")).unwrap();
    assert_eq!(office.create(&admin, key(b"{}")).unwrap(), first);
    assert_eq!(office.create(&admin, key(b"{ }")), Err(Refusal::KeyReused));
    assert_eq!(office.customers(), 1);
    let another = caller(office.of(Role::Controller));
    assert_ne!(office.create(&another, key(b"{}")).unwrap(), first, "keys are each caller's own");
    let tomorrow = Caller { now: now() + jiff::SignedDuration::from_hours(24), ..admin.clone() };
    assert_ne!(office.create(&tomorrow, key(b"{}")).unwrap(), first, "a day later it is forgotten");
    assert_ne!(office.create(&admin, None).unwrap(), first);
    assert_eq!(office.customers(), 4);
    let dump = office.tables.dump();
    assert!(!format!("{dump:?}").contains("a-key-of-theirs"));
    let answers: Vec<_> = dump.iter().filter(|(key, _)| key.sk == "answer").collect();
    assert!(answers.len() == 2 && !format!("{answers:?}").contains(&first.body), "answers are sealed");
}

#[test]
fn an_answer_that_is_given_again_is_in_the_audit_log() {
    let office = office(Settings::default());
    let admin = caller(office.of(Role::BillingAdmin));
    let key = |body: &'static [u8]| Some(Key { key: "a-key-of-theirs", body });
    let mut expected = vec![Outcome::Allowed];
    office.create(&admin, key(b"{}")).unwrap();
    for (body, outcome) in [(&b"{}"[..], Outcome::Allowed), (b"{ }", Outcome::Failed)] {
        let answer = office.create(&admin, key(body));
        assert_eq!(answer.is_ok(), outcome == Outcome::Allowed);
        expected.push(outcome);
        let mut written: Vec<_> = office.audit().into_iter().map(|(_, outcome, _)| outcome).collect();
        written.sort_by_key(|outcome| *outcome == Outcome::Failed);
        assert_eq!(written, expected);
    }
    // What cannot be audited is not shown: one call reads, the next one writes the audit event.
    let faults = Faults::default();
    faults.plan(1, Fault::Refuses);
    let broken = Office { tables: office.tables.fork(faults), ..office };
    let store = Store::new(broken.tables.clone(), FakeKms::default(), plixo_testing::entropy);
    let broken = Office { desk: Desk::new(store, Authz::new().unwrap(), plixo_testing::entropy), ..broken };
    assert!(matches!(broken.create(&admin, key(b"{}")), Err(Refusal::Unavailable(_))));
}

#[test]
fn what_a_change_does_to_other_payments_and_invoices_is_in_the_audit_log() {
    let office = office(Settings::default());
    let admin = caller(office.of(Role::BillingAdmin));
    let deed = deed_of((Action::WriteLedger, "payment.record"), &Object::new("organisation", office.org));
    let made = block_on(office.desk.change(&admin, &office.org, &deed, &[], None, async |entered| {
        let new = || NewPayment {
            source: RecordedSource::Bank,
            amount: Money::new(100, "EUR".parse().unwrap()),
            received_on: "2026-11-20".parse().unwrap(),
            customer_id: None,
            payer_name: None,
            remittance: None,
            external_id: None,
        };
        let own = record_payment(entered.book, new(), entered.ids, now())?;
        let other = record_payment(entered.book, new(), entered.ids, now())?;
        let body = format!("{} {}", own.id, other.id);
        let changed = vec![(Object::new("payment", own.id), own.fields)];
        Ok(Made { changed, answer: Answered { status: 201, body, version: None } })
    }));
    let ids = made.unwrap().body;
    let (own, other) = ids.split_once(' ').unwrap();
    let written =
        office.events().into_iter().map(|event| (event.action, event.object.id, event.fields.join(",")));
    let expected = [(own, "source,amount,received_on"), (other, "allocations")];
    let expected =
        expected.map(|(id, fields)| ("payment.record".to_owned(), id.to_owned(), fields.to_owned()));
    assert_eq!(written.collect::<std::collections::BTreeSet<_>>(), expected.into());
}

#[test]
fn of_fifty_at_once_none_is_turned_away() {
    let office = office(Settings::default());
    let controller = caller(office.of(Role::Controller));
    let object = Object::new("organisation", office.org);
    let deed = deed_of(MEMBERS, &object);
    let rename = || {
        office.desk.change(&controller, &office.org, &deed, &[], None, async |entered| {
            let mut organisation = entered.visit.org.clone();
            organisation.name.push('x');
            entered.book.put(organisation)?;
            let changed = vec![(object.clone(), vec!["name"])];
            Ok(Made { changed, answer: Answered { status: 200, body: String::new(), version: None } })
        })
    };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let renamed = runtime.block_on(futures::future::join_all((0..50).map(|_| rename())));
    assert_eq!(renamed.iter().filter(|done| done.is_err()).count(), 0);
    let visit = office.enter(&controller, READ).unwrap();
    assert_eq!(visit.org.name.len(), "Nordlicht".len() + 50);
}

#[test]
fn a_refused_change_leaves_nothing_but_its_audit_event() {
    let office = office(Settings::default());
    let admin = caller(office.of(Role::BillingAdmin));
    let object = Object::new("customer", "new");
    let refused = Refusal::State { code: "no", detail: "no".to_owned(), pointer: None };
    let answer = block_on(office.desk.change(
        &admin,
        &office.org,
        &deed_of(WRITE, &object),
        &[],
        None,
        async |entered| {
            entered.book.put_new(Customer::new(entered.ids.make(), Personal::default()));
            Err(Not::Refused(refused.clone()))
        },
    ));
    assert_eq!(answer, Err(refused));
    assert_eq!(office.customers(), 0);
    assert_eq!(office.audit(), [("customer.create".to_owned(), Outcome::Failed, "customer".to_owned())]);
}

#[test]
fn two_at_once_lose_no_update() {
    let office = office(Settings::default());
    let controller = caller(office.of(Role::Controller));
    let object = Object::new("organisation", office.org);
    let rename = |letter: char| {
        let object = object.clone();
        let controller = controller.clone();
        let desk = &office.desk;
        let org = office.org;
        async move {
            let deed = deed_of(MEMBERS, &object);
            let renamed = desk.change(&controller, &org, &deed, &[], None, async |entered| {
                let mut organisation = entered.visit.org.clone();
                organisation.name.push(letter);
                entered.book.put(organisation)?;
                Ok(Made {
                    changed: vec![(object.clone(), vec!["name"])],
                    answer: Answered { status: 200, body: String::new(), version: None },
                })
            });
            renamed.await.unwrap();
        }
    };
    block_on(async { tokio::join!(rename('a'), rename('b'), rename('c')) });
    let visit = office.enter(&controller, READ).unwrap();
    let mut name: Vec<char> = visit.org.name.chars().skip("Nordlicht".len()).collect();
    name.sort_unstable();
    assert_eq!((name, visit.org_version), (vec!['a', 'b', 'c'], 4));
}

#[test]
fn a_down_store_shows_nothing() {
    let tables = FakeTables::default();
    let office = open(&tables, &FakeKms::default(), 1, Settings::default());
    let calls_of_enter = 1;
    for call in 0..=calls_of_enter {
        let faults = Faults::default();
        faults.plan(call, Fault::Refuses);
        let broken = tables.fork(faults);
        let store = Store::new(broken, FakeKms::default(), plixo_testing::entropy);
        let desk = Desk::new(store, Authz::new().unwrap(), plixo_testing::entropy);
        let viewer = caller(office.of(Role::Viewer));
        let object = Object::new("customer", "new");
        let denied = block_on(desk.enter(&viewer, &office.org, &deed_of(WRITE, &object), Vec::new()));
        assert!(matches!(denied, Err(Refusal::Unavailable(_))), "{denied:?}");
    }
}

#[test]
fn that_somebody_came_in_is_noted_when_it_can_be() {
    let office = office(Settings::default());
    let viewer = office.of(Role::Viewer).clone();
    let at = plixo_store::keys::row(&office.org, &RowKey::Member(viewer.user));
    let mut item = office.tables.dump()[&at].clone();
    let row = item["row"].as_s().unwrap().replace("active", "invited");
    item.insert("row".to_owned(), plixo_store::AttributeValue::S(row));
    office.tables.place(at.clone(), item);
    let state = |tables: &FakeTables| tables.dump()[&at]["row"].as_s().unwrap().contains("\"active\"");
    for fault in [Fault::Refuses, Fault::LosesAnswer] {
        let faults = Faults::default();
        let tables = office.tables.fork(faults.clone());
        let store = Store::new(tables.clone(), office.kms.clone(), plixo_testing::entropy);
        let desk = Desk::new(store, Authz::new().unwrap(), plixo_testing::entropy);
        // After the rows and the data key.
        faults.plan(2, fault);
        let deed = deed_of(READ, &Object::new("organisation", office.org));
        for _ in 0..2 {
            let visit = block_on(desk.enter(&caller(&viewer), &office.org, &deed, Vec::new())).unwrap();
            assert_eq!(visit.member.state, MemberState::Active, "they are in all the same");
        }
        assert!(state(&tables), "{fault:?}");
        assert_eq!(tables.dump().len(), office.tables.dump().len() + 1, "with one audit event");
    }
    let denied = block_on(office.desk.enter(
        &caller(&viewer),
        &office.org,
        &deed_of(MEMBERS, &Object::new("member", viewer.id)),
        Vec::new(),
    ));
    assert_eq!(denied.unwrap_err(), Refusal::Forbidden);
    assert!(!state(&office.tables));
}

#[test]
fn a_key_is_for_one_thing() {
    let office = office(Settings::default());
    let admin = caller(office.of(Role::BillingAdmin));
    let change = |object: &str| {
        let deed = deed_of(WRITE, &Object::new("invoice", object));
        let key = Some(Key { key: "a-key-of-theirs", body: b"" });
        let answer = Answered { status: 200, body: object.to_owned(), version: None };
        block_on(office.desk.change(&admin, &office.org, &deed, &[], key, async |_| {
            Ok(Made { changed: Vec::new(), answer: answer.clone() })
        }))
    };
    assert_eq!(change("inv_1").unwrap().body, "inv_1");
    assert_eq!(change("inv_1").unwrap().body, "inv_1");
    assert_eq!(change("inv_2"), Err(Refusal::KeyReused));
}

#[test]
fn a_cursor_is_good_for_its_own_list_only() {
    let (tables, kms) = (FakeTables::default(), FakeKms::default());
    let (office, other) =
        (open(&tables, &kms, 1, Settings::default()), open(&tables, &kms, 2, Settings::default()));
    block_on(async {
        let cursor =
            office.desk.cursor(&office.org, "invoices status=open", "2026-12-01#inv_1", now()).await.unwrap();
        let place = |org: OrgId, list: &'static str, cursor: String| {
            let desk = &office.desk;
            async move { desk.place(&org, list, &cursor, now()).await }
        };
        let right = place(office.org, "invoices status=open", cursor.clone()).await;
        assert_eq!(right.as_deref(), Ok("2026-12-01#inv_1"));
        assert!(place(office.org, "invoices status=paid", cursor.clone()).await.is_err());
        assert!(place(other.org, "invoices status=open", cursor.clone()).await.is_err());
        for n in 0..cursor.len() {
            let mut bytes = cursor.clone().into_bytes();
            bytes[n] = if bytes[n] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(place(office.org, "invoices status=open", changed).await.is_err(), "changed at {n}");
            assert!(
                place(office.org, "invoices status=open", cursor.chars().take(n).collect()).await.is_err(),
                "cut at {n}"
            );
        }
    });
}

#[test]
fn lists_page_through_all_once_and_show_no_other_organisation() {
    let (tables, kms) = (FakeTables::default(), FakeKms::default());
    let (office, other) =
        (open(&tables, &kms, 1, Settings::default()), open(&tables, &kms, 2, Settings::default()));
    let admin = caller(office.of(Role::BillingAdmin));
    let mut made: Vec<String> = (0..7)
        .map(|second| {
            let caller = Caller { now: now() + jiff::SignedDuration::from_secs(second), ..admin.clone() };
            office.create(&caller, None).unwrap().body
        })
        .collect();
    other.create(&caller(other.of(Role::BillingAdmin)), None).unwrap();
    for descending in [false, true] {
        for limit in 1..9 {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = Page { after: after.take(), descending, limit };
                let listed =
                    block_on(office.desk.store.list(&office.org, &List::Customers, page, now())).unwrap();
                assert!(listed.rows.len() <= limit);
                seen.extend(listed.rows.into_iter().map(|(row, _)| match row {
                    plixo_domain::ledger::Row::Customer(customer) => customer.id.to_string(),
                    other => panic!("{other:?}"),
                }));
                match listed.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen, made, "limit {limit}");
        }
        made.reverse();
    }
}

#[test]
fn an_invited_member_is_active_after_the_first_change() {
    let office = office(Settings::default());
    let controller = caller(office.of(Role::Controller));
    let id: MemberId = Ids::new(now(), [77; 10]).make();
    let invited = Member {
        id,
        user: user(200),
        role: Role::BillingAdmin,
        state: MemberState::Invited,
        email: plixo_domain::ledger::Private::Plain("new@example.com".to_owned()),
    };
    let rows = [RowKey::Member(invited.user), RowKey::UserOrganisation(invited.user)];
    let object = Object::new("member", id);
    let answer = Answered { status: 201, body: String::new(), version: None };
    let added = block_on(office.desk.change(
        &controller,
        &office.org,
        &deed_of(MEMBERS, &object),
        &rows,
        None,
        async |entered| {
            assert_eq!(entered.book.get::<UserOrganisation>(&invited.user), Ok(None));
            add_member(entered.book, invited.clone()).unwrap();
            Ok(Made { changed: vec![(object.clone(), vec!["email", "role"])], answer: answer.clone() })
        },
    ));
    assert_eq!(added, Ok(answer));
    let newcomer = caller(&invited);
    let counted = || office.enter(&controller, READ).unwrap().org.controllers.len();
    assert_eq!(counted(), 1);
    office.create(&newcomer, None).unwrap();
    let joined = |(action, outcome, _): &(String, Outcome, String)| {
        action == "member.join" && *outcome == Outcome::Allowed
    };
    assert_eq!(office.audit().iter().filter(|event| joined(event)).count(), 1);
    let visit = office.enter(&newcomer, READ).unwrap();
    let stored = visit.book.get::<Member>(&invited.user).unwrap().unwrap();
    assert_eq!(stored.state, MemberState::Active);
    assert_eq!(
        block_on(office.desk.store.open_email(&office.org, stored, now())).unwrap(),
        "new@example.com"
    );
    assert!(!format!("{:?}", office.tables.dump()).contains("new@example.com"));
}

proptest! {
    #[test]
    fn no_text_is_a_cursor(text in ".{0,200}") {
        let office = office(Settings::default());
        let placed = block_on(office.desk.place(&office.org, "customers", &text, now()));
        prop_assert!(matches!(placed, Err(Refusal::Invalid(_))));
    }
}
