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
        logo: None,
        closed: None,
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
fn a_controller_who_has_not_come_in_does_not_count_as_one() {
    let mut ids = ids();
    let mut book = book(&mut ids, 2);
    let invited =
        |ids: &mut Ids, n| Member { state: MemberState::Invited, ..person(ids, n, Role::Controller) };
    let (first, second) = (invited(&mut ids, 0), invited(&mut ids, 1));
    add_member(&mut book, first.clone()).unwrap();
    let controllers = |book: &Book| book.get::<Organisation>(&()).unwrap().unwrap().controllers.len();
    assert_eq!(controllers(&book), 0);
    come_in(&mut book, first.user).unwrap();
    assert_eq!(controllers(&book), 1);
    add_member(&mut book, second.clone()).unwrap();
    let demoted = Member { role: Role::Viewer, state: MemberState::Active, ..first.clone() };
    assert_eq!(change_member(&mut book, demoted.clone()), Err(PeopleError::LastController));
    assert_eq!(remove_member(&mut book, first.user), Err(PeopleError::LastController));
    let once_more = Member { role: Role::Viewer, ..second.clone() };
    change_member(&mut book, once_more).unwrap();
    change_member(&mut book, second.clone()).unwrap();
    come_in(&mut book, second.user).unwrap();
    come_in(&mut book, second.user).unwrap();
    change_member(&mut book, demoted).unwrap();
    assert_eq!(remove_member(&mut book, second.user), Err(PeopleError::LastController));
    assert_eq!(come_in(&mut book, user(7)), Err(PeopleError::Unread(Unread(vec![RowKey::Member(user(7))]))));
}

#[test]
fn an_email_is_one_address() {
    let email = |text: &str| text.parse::<Email>();
    assert_eq!(email("Anna.Weber+x@Example.COM").unwrap().as_str(), "Anna.Weber+x@example.com");
    assert_eq!(email("Anna@Example.com").unwrap().name(), "anna@example.com");
    assert_eq!(format!("{:?}", email("canary@example.com")), "Ok(Email(…))");
    let long = format!("{}@{}", "a".repeat(64), [&*"b".repeat(50), "example.com"].join("."));
    assert!(email(&format!("{long}m")).is_ok(), "128 characters");
    assert_eq!(email(&format!("{long}mm")), Err(EmailError::Malformed), "129 characters");
    for wrong in [
        "",
        "a",
        "a@",
        "@b.c",
        "a@b",
        "a@@b.c",
        "a@b.c,d@e.f",
        "a@b.c d@e.f",
        " a@b.c",
        "a@b.c ",
        "a@b.c\n",
        "Anna <a@b.c>",
        "<a@b.c>",
        "\"a b\"@c.de",
        "a(b)@c.de",
        "a@[127.0.0.1]",
        "a..b@c.de",
        ".a@b.de",
        "ä@b.de",
        "a@bücher.de",
        "a@-b.de",
        "a@b..de",
        "a\u{0}@b.de",
        &format!("{}@b.de", "a".repeat(65)),
        &format!(
            "a@{}.de",
            ["b".repeat(60), "c".repeat(60), "d".repeat(60), "e".repeat(60), "f".repeat(60)].join(".")
        ),
    ] {
        assert_eq!(email(wrong), Err(EmailError::Malformed), "{wrong:?}");
    }
    assert_eq!(email("4242424242424242@example.com"), Err(EmailError::HoldsCard));
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
    Invite(u128, Role),
    ComeIn(u128),
    Change(u128, Role),
    Remove(u128),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let role = || prop::sample::select(Role::ALL.to_vec());
    let step = prop_oneof![
        (0..4_u128, role()).prop_map(|(n, role)| Step::Add(n, role)),
        (0..4_u128, role()).prop_map(|(n, role)| Step::Invite(n, role)),
        (0..4_u128).prop_map(Step::ComeIn),
        (0..5_u128, role()).prop_map(|(n, role)| Step::Change(n, role)),
        (0..5_u128).prop_map(Step::Remove),
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
                Step::Invite(n, role) => {
                    let invited = Member { state: MemberState::Invited, ..person(&mut ids, n, role) };
                    add_member(&mut book, invited)
                }
                Step::ComeIn(n) => come_in(&mut book, user(n)),
                Step::Change(n, role) => match book.get::<Member>(&user(n)).unwrap().cloned() {
                    Some(member) => change_member(&mut book, Member { role, ..member }),
                    None => Ok(()),
                },
                Step::Remove(n) => remove_member(&mut book, user(n)).map(drop),
            };
            let members = (0..5).filter_map(|n| book.get::<Member>(&user(n)).unwrap());
            let controllers: BTreeSet<_> = members.filter(|it| it.role == Role::Controller && it.state == MemberState::Active).map(|member| member.id).collect();
            let org = book.get::<Organisation>(&()).unwrap().unwrap();
            prop_assert_eq!(&org.controllers, &controllers);
            prop_assert!(!controllers.is_empty());
        }
    }
}
