use super::*;
use crate::id::Ids;
use crate::ledger::{Residency, Row, RowKey, Settings};
use proptest::prelude::*;

fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

fn person(ids: &mut Ids, n: u128, role: Role) -> Member {
    let email = Private::Plain(format!("{n}@example.com"));
    Member { id: ids.make(), user: user(n), role, state: MemberState::Active, email }
}

fn ids() -> Ids {
    Ids::new("2026-11-21T08:00:00Z".parse().unwrap(), [7; 10])
}

/// An organisation without members, and so many people who could be.
fn book(ids: &mut Ids, people: u128) -> Book {
    let mut book = Book::default();
    let org = Organisation {
        id: ids.make(),
        name: "Nordlicht".to_owned(),
        residency: Residency::Eu,
        controllers: BTreeSet::new(),
        settings: Settings::default(),
    };
    book.learn(RowKey::Organisation, Some((Row::Organisation(org), 1)));
    for n in 0..people {
        book.learn(RowKey::Member(user(n)), None);
        book.learn(RowKey::UserOrganisation(user(n)), None);
    }
    book
}

#[test]
fn the_last_controller_stays() {
    let mut ids = ids();
    let mut book = book(&mut ids, 2);
    let (first, second) = (person(&mut ids, 0, Role::Controller), person(&mut ids, 1, Role::Viewer));
    add_member(&mut book, first.clone()).unwrap();
    add_member(&mut book, second.clone()).unwrap();
    assert_eq!(add_member(&mut book, second.clone()), Err(PeopleError::AlreadyMember));
    assert_eq!(remove_member(&mut book, first.user), Err(PeopleError::LastController));
    let demoted = Member { role: Role::Cfo, ..first.clone() };
    assert_eq!(change_member(&mut book, demoted.clone()), Err(PeopleError::LastController));
    change_member(&mut book, Member { role: Role::Controller, ..second }).unwrap();
    change_member(&mut book, demoted).unwrap();
    assert_eq!(remove_member(&mut book, first.user).unwrap().id, first.id);
    assert_eq!(remove_member(&mut book, first.user), Err(PeopleError::NotFound));
    assert_eq!(book.get::<UserOrganisation>(&first.user), Ok(None));
    assert_eq!(book.get::<MemberPointer>(&first.id), Ok(None));
}

#[test]
fn what_is_unread_is_asked_for_and_nothing_changes() {
    let mut ids = ids();
    let mut book = book(&mut ids, 0);
    let error = add_member(&mut book, person(&mut ids, 3, Role::Viewer)).unwrap_err();
    assert_eq!(error, PeopleError::Unread(Unread(vec![RowKey::Member(user(3))])));
    assert_eq!(book.changes().count(), 0);
}

#[test]
fn an_allow_list_holds_for_both_kinds_of_addresses() {
    let settings = |nets: &[&str]| Settings {
        ip_allow_list: nets.iter().map(|net| net.parse().unwrap()).collect(),
        ..Settings::default()
    };
    let allows = |settings: &Settings, ip: &str| settings.allows(Some(ip.parse().unwrap()));
    let open = settings(&[]);
    assert!(allows(&open, "203.0.113.9") && open.allows(None));
    let listed = settings(&["203.0.113.0/24", "2001:db8::/32"]);
    assert!(allows(&listed, "203.0.113.9") && allows(&listed, "2001:db8::1"));
    assert!(allows(&listed, "::ffff:203.0.113.9"), "the same address, written as v6");
    assert!(!allows(&listed, "203.0.114.1") && !allows(&listed, "2001:db9::1") && !listed.allows(None));
}

#[test]
fn words_are_the_contracts() {
    for role in Role::ALL {
        assert_eq!(role.as_str().parse(), Ok(*role));
        assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
    }
    assert_eq!("Controller".parse::<Role>(), Err(UnknownWord));
}

#[derive(Debug, Clone)]
enum Step {
    Add(u128, Role),
    Change(u128, Role),
    Remove(u128),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let role = || prop::sample::select(Role::ALL.to_vec());
    let step = prop_oneof![
        (0..4_u128, role()).prop_map(|(n, role)| Step::Add(n, role)),
        (0..4_u128, role()).prop_map(|(n, role)| Step::Change(n, role)),
        (0..4_u128).prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 0..30)
}

proptest! {
    #[test]
    fn whatever_is_done_the_organisation_keeps_a_controller(steps in steps()) {
        let mut ids = ids();
        let mut book = book(&mut ids, 5);
        add_member(&mut book, person(&mut ids, 4, Role::Controller)).unwrap();
        for step in steps {
            let _ = match step {
                Step::Add(n, role) => add_member(&mut book, person(&mut ids, n, role)),
                Step::Change(n, role) => match book.get::<Member>(&user(n)).unwrap().cloned() {
                    Some(member) => change_member(&mut book, Member { role, ..member }),
                    None => Ok(()),
                },
                Step::Remove(n) => remove_member(&mut book, user(n)).map(drop),
            };
            let members = (0..5).filter_map(|n| book.get::<Member>(&user(n)).unwrap());
            let controllers: BTreeSet<_> = members.filter(|member| member.role == Role::Controller).map(|member| member.id).collect();
            let org = book.get::<Organisation>(&()).unwrap().unwrap();
            prop_assert_eq!(&org.controllers, &controllers);
            prop_assert!(!controllers.is_empty());
        }
    }
}
