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
    let settings = SettingsPatch {
        ip_allow_list: Patch::Clear,
        require_two_factor: Patch::Clear,
        ..SettingsPatch::default()
    };
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

fn cash(cash_application: CashApplicationPatch) -> OrganisationPatch {
    let settings = SettingsPatch { cash_application, ..SettingsPatch::default() };
    OrganisationPatch { settings, ..OrganisationPatch::default() }
}

#[test]
fn a_threshold_is_raised_and_never_below_what_everybody_has() {
    let mut book = book();
    let threshold = |text: &str| {
        cash(CashApplicationPatch {
            threshold: Patch::Set(text.to_owned()),
            ..CashApplicationPatch::default()
        })
    };
    for wrong in
        ["0.94", "0.949", "0.9", "1.01", "1.001", "95", "", ".95", "0,95", "+0.95", "-1", "0.95 ", "1."]
    {
        let done = update_organisation(&mut book, threshold(wrong), &anywhere());
        assert_eq!(pointers(done), [THRESHOLD], "{wrong:?}");
    }
    assert_eq!(organisation(&book).settings.cash_application.threshold, 95);
    for (right, is) in [("0.98", 98), ("1", 100), ("1.00", 100), ("1.0", 100), ("0.95", 95)] {
        let done = update_organisation(&mut book, threshold(right), &anywhere()).unwrap();
        assert_eq!(done.fields, ["cash_application"], "{right}");
        assert_eq!(organisation(&book).settings.cash_application.threshold, is, "{right}");
        if is == 100 {
            update_organisation(&mut book, threshold("0.96"), &anywhere()).unwrap();
        }
    }
}

#[test]
fn a_tolerance_is_at_most_one_percent_and_five() {
    let mut book = book();
    let tolerance = |percent: Option<&str>, amount: Option<&str>| {
        let [percent, amount] = [percent, amount].map(|text| text.map(str::to_owned));
        let underpayment_tolerance = Patch::Set(TolerancePatch { percent, amount });
        cash(CashApplicationPatch { underpayment_tolerance, ..CashApplicationPatch::default() })
    };
    let of = |book: &Book| organisation(book).settings.cash_application.underpayment_tolerance;
    assert_eq!(of(&book), UnderpaymentTolerance { percent: None, amount: None });
    for (percent, amount, at) in [
        (Some("1.01"), None, vec!["percent"]),
        (None, Some("5.01"), vec!["amount"]),
        (Some("x"), Some("-1"), vec!["percent", "amount"]),
        (Some("0.001"), Some("655.36"), vec!["percent", "amount"]),
    ] {
        let at: Vec<_> = at.into_iter().map(|at| format!("{TOLERANCE}/{at}")).collect();
        assert_eq!(pointers(update_organisation(&mut book, tolerance(percent, amount), &anywhere())), at);
    }
    for (percent, amount, is) in [
        (Some("1"), Some("5"), (Some(100), Some(500))),
        (Some("0.5"), None, (Some(50), None)),
        (None, Some("0.05"), (None, Some(5))),
        (Some("0"), Some("0.00"), (Some(0), Some(0))),
    ] {
        update_organisation(&mut book, tolerance(percent, amount), &anywhere()).unwrap();
        assert_eq!((of(&book).percent, of(&book).amount), is);
    }
    let underpayment_tolerance = Patch::Clear;
    let none = cash(CashApplicationPatch { underpayment_tolerance, ..CashApplicationPatch::default() });
    update_organisation(&mut book, none, &anywhere()).unwrap();
    assert_eq!(of(&book), UnderpaymentTolerance::default());
}

#[test]
fn cash_application_is_automatic_unless_switched_off() {
    let mut book = book();
    assert!(organisation(&book).settings.cash_application.automatic);
    let off = CashApplicationPatch {
        automatic: Patch::Set(false),
        order: Patch::Set(AllocationOrder::SmallestFirst),
        ..CashApplicationPatch::default()
    };
    assert_eq!(
        update_organisation(&mut book, cash(off.clone()), &anywhere()).unwrap().fields,
        ["cash_application"]
    );
    assert_eq!(update_organisation(&mut book, cash(off), &anywhere()).unwrap().fields, [""; 0]);
    let is = organisation(&book).settings.cash_application;
    assert_eq!((is.automatic, is.order), (false, AllocationOrder::SmallestFirst));
    let cleared = CashApplicationPatch {
        automatic: Patch::Clear,
        threshold: Patch::Clear,
        order: Patch::Clear,
        ..CashApplicationPatch::default()
    };
    let done = update_organisation(&mut book, cash(cleared), &anywhere());
    assert_eq!(pointers(done), [AUTOMATIC, ORDER, THRESHOLD]);
    let stored = r#"{"ip_allow_list":[],"require_two_factor":true}"#;
    let settings: Settings = serde_json::from_str(stored).unwrap();
    assert_eq!(settings.cash_application, CashApplication::default(), "organisations from before");
}
