use proptest::prelude::*;

use super::*;
use crate::id::Ids;
use crate::ledger::staff::FieldError;
use crate::ledger::{LogoHash, RowKey};

fn here(ip: &str, two_factor: bool) -> Position {
    Position { ip: Some(ip.parse().unwrap()), two_factor }
}

fn anywhere() -> Position {
    here("203.0.113.7", true)
}

fn named(name: &str) -> NewOrganisation {
    NewOrganisation { name: name.to_owned(), residency: Residency::Eu }
}

fn book() -> Book {
    let mut book = Book::default();
    let id = Ids::new("2026-11-21T08:00:00Z".parse().unwrap(), [7; 10]).make();
    create_organisation(&mut book, id, named("Nordlicht")).unwrap();
    book
}

fn name(name: &str) -> OrganisationPatch {
    OrganisationPatch { name: Patch::Set(name.to_owned()), ..OrganisationPatch::default() }
}

fn list(nets: &[&str]) -> OrganisationPatch {
    let ip_allow_list = Patch::Set(nets.iter().map(|net| (*net).to_owned()).collect());
    let settings = SettingsPatch { ip_allow_list, ..SettingsPatch::default() };
    OrganisationPatch { settings, ..OrganisationPatch::default() }
}

fn two_factor(required: bool) -> OrganisationPatch {
    let settings = SettingsPatch { require_two_factor: Patch::Set(required), ..SettingsPatch::default() };
    OrganisationPatch { settings, ..OrganisationPatch::default() }
}

fn organisation(book: &Book) -> Organisation {
    book.get::<Organisation>(&()).unwrap().unwrap().clone()
}

/// Where the request is wrong.
fn pointers(done: Result<Changed<OrgId>, Stopped>) -> Vec<String> {
    match done {
        Err(Stopped::Refused(StaffError::Invalid(fields))) => {
            fields.into_iter().map(|FieldError { pointer, .. }| pointer).collect()
        }
        Err(Stopped::Refused(StaffError::WouldLockOut { pointer, .. })) => vec![format!("out {pointer}")],
        done => panic!("{done:?}"),
    }
}

#[test]
fn a_name_is_a_line_of_text() {
    let mut book = book();
    for (wrong, at) in [("", NAME), ("  ", NAME), ("a\nb", NAME), ("4242 4242 4242 4242 GmbH", NAME)] {
        assert_eq!(pointers(update_organisation(&mut book, name(wrong), &anywhere())), [at], "{wrong:?}");
    }
    assert_eq!(pointers(update_organisation(&mut book, name(&"x".repeat(201)), &anywhere())), [NAME]);
    let cleared = OrganisationPatch { name: Patch::Clear, ..OrganisationPatch::default() };
    assert_eq!(pointers(update_organisation(&mut book, cleared, &anywhere())), [NAME]);
    assert_eq!(organisation(&book).name, "Nordlicht");
    let long = "ü".repeat(200);
    assert_eq!(update_organisation(&mut book, name(&long), &anywhere()).unwrap().fields, ["name"]);
    assert_eq!(update_organisation(&mut book, name(&long), &anywhere()).unwrap().fields, [""; 0]);
    let mut other = Book::default();
    let id = organisation(&book).id;
    assert!(create_organisation(&mut other, id, named("")).is_err() && !other.knows(&RowKey::Organisation));
}

#[test]
fn a_logo_and_which_one_it_is_change_together() {
    let mut book = book();
    let logo = |n| Logo { hash: LogoHash::of([n; 32]), png: vec![n] };
    assert_eq!(set_logo(&mut book, Some(logo(1))), Err(Stopped::Unread(vec![RowKey::Logo])));
    assert_eq!(organisation(&book).logo, None, "all or nothing");
    book.learn(RowKey::Logo, None);
    assert_eq!(set_logo(&mut book, None).unwrap().fields, [""; 0]);
    for n in [1, 2] {
        assert_eq!(set_logo(&mut book, Some(logo(n))).unwrap().fields, ["logo"]);
        assert_eq!(set_logo(&mut book, Some(logo(n))).unwrap().fields, [""; 0], "the same once more");
        let kept = book.get::<Logo>(&()).unwrap().cloned();
        assert_eq!((organisation(&book).logo, kept), (Some(logo(n).hash), Some(logo(n))));
    }
    update_organisation(&mut book, name("Nordlicht AG"), &anywhere()).unwrap();
    assert_eq!(organisation(&book).logo, Some(logo(2).hash), "it outlasts other changes");
    assert_eq!(set_logo(&mut book, None).unwrap().fields, ["logo"]);
    assert_eq!((organisation(&book).logo, book.get::<Logo>(&())), (None, Ok(None)));
}

#[test]
fn a_network_is_written_in_one_way() {
    let mut book = book();
    for wrong in [
        "",
        "x",
        "203.0.113.7",
        "203.0.113.7/24",
        "203.0.113.0/33",
        "203.0.113.0/024",
        "010.0.0.0/8",
        "203.0.113/24",
        "203.0.113.0/24 ",
        "2001:db8::1/32",
        "2001:db8::/129",
        "::ffff:203.0.113.0/120",
        "fe80::%eth0/64",
        "203.0.113.0/255.255.255.0",
    ] {
        let done = update_organisation(&mut book, list(&["203.0.113.0/24", wrong]), &anywhere());
        assert_eq!(pointers(done), ["/settings/ip_allow_list/1"], "{wrong:?}");
    }
    let twice = update_organisation(
        &mut book,
        list(&["2001:db8::/32", "203.0.113.0/24", "2001:0DB8::/32"]),
        &anywhere(),
    );
    assert_eq!(pointers(twice), ["/settings/ip_allow_list/2"]);
    let many: Vec<String> = (0..=MAX_NETS).map(|n| format!("10.0.{n}.0/24")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(pointers(update_organisation(&mut book, list(&many), &here("10.0.0.1", true))), [LIST]);
    let most = many.split_last().unwrap().1;
    assert_eq!(
        update_organisation(&mut book, list(most), &here("10.0.0.1", true)).unwrap().fields,
        ["ip_allow_list"]
    );
    let settings = SettingsPatch { ip_allow_list: Patch::Clear, require_two_factor: Patch::Clear };
    let cleared = OrganisationPatch { settings, ..OrganisationPatch::default() };
    assert_eq!(pointers(update_organisation(&mut book, cleared, &anywhere())), [TWO_FACTOR, LIST]);
}

#[test]
fn nobody_locks_themselves_out() {
    let mut book = book();
    let nets = list(&["203.0.113.0/24", "2001:db8::/32"]);
    for out in [here("203.0.114.7", true), here("2001:db9::1", true), Position { ip: None, two_factor: true }]
    {
        let done = update_organisation(&mut book, nets.clone(), &out);
        assert_eq!(pointers(done), ["out /settings/ip_allow_list"]);
    }
    for inside in ["203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7"] {
        let mut book = book.clone();
        let done = update_organisation(&mut book, nets.clone(), &here(inside, true));
        assert_eq!(done.unwrap().fields, ["ip_allow_list"], "{inside}");
        // What stays as it is locks nobody out, and an empty list nobody at all.
        assert_eq!(
            update_organisation(&mut book, nets.clone(), &here("192.0.2.1", true)).unwrap().fields,
            [""; 0]
        );
        assert_eq!(
            update_organisation(&mut book, list(&[]), &here("192.0.2.1", true)).unwrap().fields,
            ["ip_allow_list"]
        );
    }
    let one_factor = here("203.0.113.7", false);
    let done = update_organisation(&mut book, two_factor(true), &one_factor);
    assert_eq!(pointers(done), ["out /settings/require_two_factor"]);
    assert_eq!(
        update_organisation(&mut book, two_factor(true), &anywhere()).unwrap().fields,
        ["require_two_factor"]
    );
    assert_eq!(update_organisation(&mut book, name("B"), &one_factor).unwrap().fields, ["name"]);
    assert_eq!(
        update_organisation(&mut book, two_factor(false), &one_factor).unwrap().fields,
        ["require_two_factor"]
    );
}

proptest! {
    #[test]
    fn whatever_the_list_whoever_set_it_can_still_come_in(
        nets in prop::collection::vec("(10|192)\\.0\\.[0-3]\\.0/(8|16|22|24)|2001:db[89]::/(16|32|48)|.{0,12}", 0..6),
        ip in "(10|192)\\.0\\.[0-3]\\.[1-9]|2001:db[89]::[1-9]",
    ) {
        let mut book = book();
        let nets: Vec<&str> = nets.iter().map(String::as_str).collect();
        let from = here(&ip, true);
        let before = organisation(&book);
        match update_organisation(&mut book, list(&nets), &from) {
            Ok(_) => prop_assert!(organisation(&book).settings.allows(from.ip)),
            Err(_) => prop_assert_eq!(organisation(&book), before),
        }
    }
}
