//! Retention, legal holds, privacy requests, and closing an organisation.

use plixo_domain::id::{CustomerId, PrivacyId};
use plixo_domain::ledger::{Customer, Erased, Kept, Personal};
use plixo_domain::privacy::{Authority, Done, PrivacyRequest};

use super::*;

const COMPLIANCE: Role = Role::Compliance;

impl World {
    /// Changes a row as a worker does.
    fn change<T: Kept + Clone>(&self, name: &T::Name, to: impl FnOnce(T) -> T) {
        let store = self.desk.store();
        let mut book = Book::default();
        for (key, stored) in block_on(store.read(&self.orgs[0], vec![T::key(name)])).unwrap() {
            book.learn(key, stored);
        }
        let row = book.get::<T>(name).unwrap().unwrap().clone();
        book.put(to(row)).unwrap();
        block_on(store.commit(&self.orgs[0], &book, None, &[], now())).unwrap();
    }

    /// A customer that was last active 60 days ago.
    fn old_customer(&self, name: &str) -> CustomerId {
        let id = Ids::new(ago(60), [9; 10]).make();
        let mut book = Book::default();
        let personal = Personal { name: Some(name.to_owned()), ..Personal::default() };
        book.put_new(Customer::new(id, personal));
        block_on(self.desk.store().commit(&self.orgs[0], &book, None, &[], now())).unwrap();
        id
    }

    /// Enters a request, and answers its page.
    fn entered(&self, kind: &str, customer: &str) -> String {
        let fields = [("idempotency_key", kind), ("kind", kind), ("customer", customer), ("sure", "on")];
        let sent = self.at(COMPLIANCE).post(&self.page("/privacy-requests/new"), &fields);
        assert_eq!(sent.status, 303, "{}", sent.html);
        assert!(sent.to.ends_with("?done=privacy-request"), "{}", sent.to);
        sent.to.split('?').next().unwrap().to_owned()
    }

    /// Places a hold on a customer, and answers its page.
    fn held(&self, customer: &str) -> String {
        let fields = [
            ("idempotency_key", customer),
            ("on", "customer"),
            ("customer_id", customer),
            ("reason", "A dispute"),
        ];
        let sent = self.at(COMPLIANCE).post(&self.page("/legal-holds/new"), &fields);
        assert_eq!((sent.status, sent.to), (303, self.page("/legal-holds?done=hold")), "{}", sent.html);
        let list = self.at(COMPLIANCE).get(&self.page("/legal-holds"));
        let (_, rest) = list.html.split_once(&self.page("/legal-holds/hld_")).unwrap();
        format!("{}{}", self.page("/legal-holds/hld_"), rest.split('"').next().unwrap())
    }
}

/// The id that a page's path ends with.
fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(page: &str) -> T {
    page.rsplit('/').next().unwrap().parse().unwrap()
}

/// How often a page has a text.
fn count(shown: &Shown, text: &str) -> usize {
    shown.html.matches(text).count()
}

#[test]
fn controllers_and_compliance_see_privacy_and_nobody_else_does() {
    let world = world();
    let customer = world.at(CONTROLLER).customer();
    let page = world.page(&format!("/customers/{customer}"));
    let new = format!("/privacy-requests/new?customer={customer}");
    let access = format!("{new}&kind=access");
    let places = [
        "/privacy-requests",
        &new,
        &access,
        "/legal-holds",
        "/legal-holds/new",
        "/retention",
        "/retention?notice=30",
    ];
    for role in Role::ALL.iter().copied() {
        let may = matches!(role, Role::Controller | Role::Compliance);
        for place in places {
            let shown = world.at(role).get(&world.page(place));
            assert_eq!(shown.status, if may { 200 } else { 403 }, "{role:?} {place}");
        }
        let shown = world.at(role).get(&page);
        let offers = [count(&shown, "/privacy-requests\""), count(&shown, "privacy-requests/new?customer=")];
        assert_eq!(offers, [usize::from(may); 2], "{role:?}");
        for place in ["/privacy-requests/new", "/legal-holds/new", "/retention"] {
            let fields =
                [("kind", "access"), ("customer", &customer), ("on", "organisation"), ("notice", "30")];
            let sent = world.at(role).post(&world.page(place), &fields);
            assert_eq!(sent.status == 403, !may, "{role:?} {place}");
        }
    }
    let stranger = At { who: Some((CONTROLLER, 1)), ..world.at(CONTROLLER) };
    for place in places {
        assert_eq!(stranger.get(&world.page(place)).status, 404, "{place}");
    }
}

#[test]
fn a_policy_is_previewed_before_it_is_saved() {
    let world = world();
    let (at, page) = (world.at(COMPLIANCE), world.page("/retention"));
    let old = world.old_customer("Alt & Co");
    let shown = at.get(&page);
    assert_eq!((shown.status, shown.value("customer_personal_data")), (200, "730"));
    assert!(!shown.html.contains("Deleted at once"), "{}", shown.html);

    let preview = at.get(&format!("{page}?customer_personal_data=30&notice=90"));
    assert!(preview.html.contains("This deletes at once"), "{}", preview.html);
    assert_eq!(count(&preview, "status tone-bad"), 1, "{}", preview.html);
    assert_eq!(at.get(&page).value("customer_personal_data"), "730", "nothing is saved");
    let same = at.get(&format!("{page}?customer_personal_data=730"));
    assert!(same.html.contains("Nothing changes") && !same.html.contains("Save"), "{}", same.html);
    let longer = at.get(&format!("{page}?customer_personal_data=1000"));
    assert!(longer.html.contains("This deletes nothing at once"), "{}", longer.html);

    let hold = world.held(&old.to_string());
    let held = at.get(&format!("{page}?customer_personal_data=30"));
    assert!(held.html.contains("This deletes nothing at once"), "{}", held.html);
    assert_eq!(count(&held, "1<span class=\"none\"> kept</span>"), 1, "{}", held.html);
    let version = at.get(&hold).version();
    let release = [("idempotency_key", "k.release"), ("do", "release"), ("version", &version)];
    assert_eq!(at.post(&hold, &release).status, 303);

    let save = |key, version: &str| {
        let fields = [("idempotency_key", key), ("version", version), ("customer_personal_data", "30")];
        at.post(&page, &fields)
    };
    let late = save("k.1", "\"77\"");
    assert_eq!(late.status, 412);
    assert!(late.html.contains("Somebody changed this meanwhile"), "{}", late.html);
    assert!(late.html.contains("Deleted at once"), "what it would do now is looked at anew");
    let saved = save("k.2", &late.version());
    assert_eq!((saved.status, saved.to), (303, format!("{page}?done=retention")), "{}", saved.html);
    assert_eq!(at.get(&page).value("customer_personal_data"), "30");
    let gone = world.at(CONTROLLER).get(&world.page(&format!("/customers/{old}")));
    assert_eq!(gone.status, 404, "what is due is shown to nobody");
}

#[test]
fn days_that_cannot_be_stand_beside_their_field() {
    let world = world();
    let (at, page) = (world.at(CONTROLLER), world.page("/retention"));
    for (typed, wrong) in [("soon", "Enter a whole number of days"), ("", "Enter a whole number of days")] {
        let shown = at.get(&format!("{page}?portal_link={typed}&notice=90"));
        assert_eq!((shown.status, shown.error("portal_link")), (400, wrong), "{typed}");
        assert_eq!(shown.value("portal_link"), typed);
        let sent = at.post(&page, &[KEY, ("portal_link", typed)]);
        assert_eq!((sent.status, sent.error("portal_link")), (400, wrong), "{typed}");
    }
    let shown = at.get(&format!("{page}?audit_event=364"));
    assert_eq!((shown.status, shown.value("audit_event")), (400, "364"));
    assert!(shown.error("audit_event").contains("365"), "{}", shown.error("audit_event"));
    assert!(!shown.html.contains("Deleted at once"));
    let sent = at.post(&page, &[KEY, ("audit_event", "364")]);
    assert!(sent.status == 400 && sent.error("audit_event").contains("365"), "{}", sent.html);
}

#[test]
fn a_hold_is_placed_and_released() {
    let world = world();
    let at = world.at(COMPLIANCE);
    let customer = world.at(CONTROLLER).customer_named("Möbel & Weber");
    world.at(CONTROLLER).owed(&customer, "");
    let number = "INV-000001";
    let new = world.page("/legal-holds/new");
    assert!(at.get(&format!("{new}?customer={customer}")).html.contains(&format!("\"{customer}\" selected")));

    let place = |on: &str, customer: &str, number: &str, reason: &str| {
        let key = format!("k.{on}.{}", reason.len());
        let fields =
            [("idempotency_key", key.as_str()), ("on", on), ("customer_id", customer), ("number", number)];
        at.post(&new, &[&fields[..], &[("reason", reason)]].concat())
    };
    let wrong = place("customer", "", "", "A dispute");
    assert_eq!((wrong.status, wrong.error("customer_id")), (400, "Choose a customer"));
    assert!(wrong.html.contains(">\nA dispute</textarea>"), "{}", wrong.html);
    for number in ["", "RE-0"] {
        let wrong = place("invoice", "", number, "A dispute");
        assert_eq!((wrong.status, wrong.error("number")), (400, "There is no invoice of this number"));
    }
    let wrong = place("organisation", "", "", "");
    assert!(wrong.status == 400 && !wrong.error("reason").is_empty(), "{}", wrong.html);
    assert_eq!(place("everything", "", "", "A dispute").status, 400);
    assert!(at.get(&world.page("/legal-holds")).html.contains("No legal holds"));

    for on in ["customer", "invoice", "organisation"] {
        let placed = place(on, &customer, number, "A dispute");
        assert_eq!((placed.status, placed.to), (303, world.page("/legal-holds?done=hold")), "{on}");
    }
    let list = at.get(&world.page("/legal-holds?done=hold"));
    assert!(list.html.contains("Möbel &#38; Weber") && list.html.contains(number), "{}", list.html);
    assert!(
        list.html.contains("The whole organisation") && list.html.contains("compliance0"),
        "{}",
        list.html
    );
    assert_eq!(count(&list, ">Release<"), 3);

    let hold = format!("{}{}", world.page("/legal-holds/hld_"), {
        let (_, rest) = list.html.split_once(&world.page("/legal-holds/hld_")).unwrap();
        rest.split('"').next().unwrap()
    });
    let shown = at.get(&hold);
    assert!(shown.html.contains("Release this hold?") && shown.html.contains("go on by themselves"));
    assert_eq!(at.post(&hold, &[KEY, ("do", "other")]).status, 400);
    let version = shown.version();
    let release = |key| at.post(&hold, &[("idempotency_key", key), ("do", "release"), ("version", &version)]);
    let released = release("k.1");
    assert_eq!((released.status, released.to), (303, world.page("/legal-holds?done=hold-released")));
    let again = release("k.2");
    assert_eq!(again.status, 412, "{}", again.html);
    assert!(
        again.html.contains("Released by") && !again.html.contains("Release this hold?"),
        "{}",
        again.html
    );
    let list = at.get(&world.page("/legal-holds"));
    let (force, over) = list.html.split_once("id=\"released\"").unwrap();
    assert_eq!((force.matches("Release<").count(), over.matches("Look<").count()), (2, 1), "{}", list.html);
}

#[test]
fn an_erasure_says_what_goes_and_is_entered_by_who_is_sure() {
    let world = world();
    let at = world.at(COMPLIANCE);
    let customer = world.at(CONTROLLER).customer_named("Möbel & Weber");
    world.at(CONTROLLER).owed(&customer, "");
    let new = world.page("/privacy-requests/new");
    let chosen = at.get(&format!("{new}?customer={customer}"));
    assert!(chosen.html.contains(&format!("\"{customer}\" selected")), "{}", chosen.html);
    let wrong = at.get(&format!("{new}?customer=&kind=erasure"));
    assert_eq!((wrong.status, wrong.error("customer")), (400, "Choose a customer"));

    let confirm = at.get(&format!("{new}?customer={customer}&kind=erasure"));
    for text in ["What is destroyed", "What stays", "Möbel &#38; Weber", "15 Jul 2026"] {
        assert!(confirm.html.contains(text), "{text}: {}", confirm.html);
    }
    let fields = [KEY, ("kind", "erasure"), ("customer", customer.as_str())];
    let unsure = at.post(&new, &fields);
    assert!(unsure.status == 400 && unsure.error("sure").starts_with("Say that you are sure"));
    assert!(world.privacy_queue.sent().is_empty());
    assert_eq!(at.post(&new, &[KEY, ("kind", "other"), ("customer", &customer)]).status, 400);

    let page = world.entered("erasure", &customer);
    assert_eq!(world.privacy_queue.sent().len(), 1);
    let again = at.post(
        &new,
        &[("idempotency_key", "k.2"), ("kind", "erasure"), ("customer", &customer), ("sure", "on")],
    );
    assert_eq!(again.status, 400, "{}", again.html);
    assert!(again.html.contains("asks for the same"), "{}", again.html);

    let open = at.get(&page);
    for text in ["Open", "30 days left", "Entered by", "compliance0", "Refuse the request"] {
        assert!(open.html.contains(text), "{text}: {}", open.html);
    }
    let list = at.get(&world.page("/privacy-requests"));
    assert!(list.html.contains(&page) && list.html.contains("30 days left"), "{}", list.html);

    let request: PrivacyId = id(&page);
    let erased = Erased {
        at: now(),
        authority: Authority::Request(request, Ids::new(now(), [5; 10]).make()),
        finished: false,
    };
    let id: CustomerId = customer.parse().unwrap();
    world.change::<Customer>(&id, |it| Customer {
        erased: Some(erased),
        personal: Private::Plain(Personal::default()),
        ..Customer::new(it.id, Personal::default())
    });
    let done = Done {
        at: now(),
        certificate: Some("signed & sealed\n".to_owned()),
        files_until: None,
        gone: false,
        going: false,
    };
    world.change::<PrivacyRequest>(&request, |it| PrivacyRequest {
        begun: Some(now()),
        done: Some(done),
        ..it
    });

    let shown = at.get(&page);
    for text in ["Certificate of erasure", "signed &#38; sealed", "plixoctl certificate verify", "In time"] {
        assert!(shown.html.contains(text), "{text}: {}", shown.html);
    }
    assert!(shown.html.contains("Erased customer") && !shown.html.contains("Weber"), "{}", shown.html);
    assert!(!shown.html.contains("Refuse the request") && !shown.html.contains("/download"));
    let file = at.get(&format!("{page}/certificate"));
    assert_eq!((file.status, file.html.as_str()), (200, "signed & sealed\n"));

    let at = world.at(CONTROLLER);
    let gone = at.get(&world.page(&format!("/customers/{customer}")));
    assert!(gone.html.contains("was erased") && gone.html.contains(&request.to_string()), "{}", gone.html);
    for absent in ["/edit", "/new?customer", "Email", "Weber"] {
        assert!(!gone.html.contains(absent), "{absent}: {}", gone.html);
    }
    assert_eq!(at.get(&world.page(&format!("/customers/{customer}/edit"))).status, 410);
    let list = at.get(&world.page("/customers"));
    assert!(list.html.contains("Erased on") && list.html.contains("Erased customer"), "{}", list.html);
    let invoices = at.get(&world.page("/invoices"));
    assert!(
        invoices.html.contains("INV-000001") && invoices.html.contains("Erased customer"),
        "{}",
        invoices.html
    );
    let offered = at.get(&world.page("/invoices/new"));
    assert!(!offered.html.contains(&customer), "nothing new is written to it");
    let again = at.get(&format!("{new}?customer={customer}&kind=erasure"));
    assert!(again.status == 400 && again.error("customer").contains("erased before"), "{}", again.html);
}

#[test]
fn an_erasure_under_a_hold_waits_and_says_for_which() {
    let world = world();
    let at = world.at(COMPLIANCE);
    let customer = world.at(CONTROLLER).customer_named("Weber");
    let other = world.at(CONTROLLER).customer_named("Schulz");
    let hold = world.held(&customer);
    let new = world.page("/privacy-requests/new");
    let confirm = at.get(&format!("{new}?customer={customer}&kind=erasure"));
    assert!(confirm.html.contains("A legal hold stands in its way"), "{}", confirm.html);
    assert!(confirm.html.contains(&hold) && confirm.html.contains("A dispute"), "{}", confirm.html);
    let free = at.get(&format!("{new}?customer={other}&kind=erasure"));
    assert!(!free.html.contains("stands in its way"), "{}", free.html);

    let page = world.entered("erasure", &customer);
    assert!(world.privacy_queue.sent().is_empty());
    let held = at.get(&page);
    assert!(held.html.contains("Held since") && held.html.contains(&hold), "{}", held.html);
    let fields = [("idempotency_key", "k.1"), ("do", "refuse"), ("version", &held.version())];
    let wrong = at.post(&page, &[&fields[..], &[("reason", " ")]].concat());
    assert!(wrong.status == 400 && !wrong.error("reason").is_empty(), "{}", wrong.html);
    let fields = [("idempotency_key", "k.2"), ("do", "refuse"), ("version", &held.version())];
    let refused = at.post(&page, &[&fields[..], &[("reason", "Nobody & nothing")]].concat());
    assert_eq!(
        (refused.status, refused.to),
        (303, format!("{page}?done=privacy-refused")),
        "{}",
        refused.html
    );
    let shown = at.get(&page);
    assert!(
        shown.html.contains("Refused by") && shown.html.contains("Nobody &#38; nothing"),
        "{}",
        shown.html
    );
    assert!(
        !shown.html.contains("Held since") && !shown.html.contains("Refuse the request"),
        "{}",
        shown.html
    );
}

#[test]
fn a_hold_on_an_invoice_holds_its_customer() {
    let world = world();
    let customer = world.at(CONTROLLER).customer_named("Weber");
    world.at(CONTROLLER).owed(&customer, "");
    let number = "INV-000001";
    let other = world.at(CONTROLLER).customer_named("Schulz");
    let fields = [KEY, ("on", "invoice"), ("number", number), ("reason", "A dispute")];
    let at = world.at(COMPLIANCE);
    assert_eq!(at.post(&world.page("/legal-holds/new"), &fields).status, 303);
    let confirm = |customer: &str| {
        at.get(&world.page(&format!("/privacy-requests/new?customer={customer}&kind=erasure")))
    };
    assert!(confirm(&customer).html.contains("stands in its way"));
    assert!(!confirm(&other).html.contains("stands in its way"));
    let held = at.get(&world.entered("erasure", &customer));
    assert!(held.html.contains(&format!("Hold on {number}")), "{}", held.html);
}

#[test]
fn a_draft_without_a_number_is_held_by_its_id() {
    let world = world();
    let draft = world.at(CONTROLLER).draft();
    let id = draft.rsplit('/').next().unwrap();
    let fields = [KEY, ("on", "invoice"), ("number", id), ("reason", "A dispute")];
    let placed = world.at(COMPLIANCE).post(&world.page("/legal-holds/new"), &fields);
    assert_eq!(placed.status, 303, "{}", placed.html);
    let list = world.at(COMPLIANCE).get(&world.page("/legal-holds"));
    assert!(list.html.contains(&format!("{draft}\"")), "{}", list.html);
}

#[test]
fn what_is_held_about_somebody_is_downloaded_while_it_is_there() {
    let world = world();
    let at = world.at(COMPLIANCE);
    let customer = world.at(CONTROLLER).customer();
    let page = world.entered("access", &customer);
    let early = at.get(&format!("{page}/download?as=json"));
    assert_eq!(early.status, 400, "{}", early.html);
    assert!(!early.html.contains("Download the page"), "{}", early.html);
    assert_eq!(at.get(&format!("{page}/certificate")).status, 404);
    let request: PrivacyId = id(&page);
    let done = |until| {
        Some(Done { at: now(), certificate: None, files_until: Some(until), gone: false, going: false })
    };
    world.change::<PrivacyRequest>(&request, |it| PrivacyRequest { done: done(ago(-7)), ..it });
    let shown = at.get(&page);
    assert!(shown.html.contains("Download the page") && shown.html.contains("Download the JSON"));
    let key = |end: &str| format!("{}/{request}.{end}", world.orgs[0]);
    for end in ["json", "html"] {
        let sent = at.get(&format!("{page}/download?as={end}"));
        assert_eq!(sent.status, 303, "{}", sent.html);
        assert!(sent.to.contains(&key(end)), "{}", sent.to);
    }
    world.change::<PrivacyRequest>(&request, |it| PrivacyRequest { done: done(ago(1)), ..it });
    assert!(!at.get(&page).html.contains("Download the page"), "the files are gone");
}

#[test]
fn what_is_late_says_so() {
    let world = world();
    let at = world.at(COMPLIANCE);
    let page = world.entered("access", &world.at(CONTROLLER).customer());
    let due_on = ago(3).to_zoned(jiff::tz::TimeZone::UTC).date();
    world.change::<PrivacyRequest>(&id(&page), |it| PrivacyRequest { due_on, ..it });
    for shown in [at.get(&page), at.get(&world.page("/privacy-requests"))] {
        assert!(shown.html.contains("3 days late") && shown.html.contains("tone-bad"), "{}", shown.html);
    }
}

#[test]
fn an_organisation_is_closed_by_its_name_and_reopened() {
    let world = world();
    let (at, page) = (world.at(CONTROLLER), world.page("/settings"));
    let shown = at.get(&page);
    let close = |key, name| {
        let fields =
            [("idempotency_key", key), ("do", "close"), ("version", &shown.version()), ("close_name", name)];
        at.post(&page, &fields)
    };
    let wrong = close("k.1", "Nordlicht");
    assert!(wrong.status == 400 && !wrong.error("close_name").is_empty(), "{}", wrong.html);
    assert_eq!(wrong.value("close_name"), "Nordlicht");
    assert!(!at.get(&world.page("/invoices")).html.contains("Closed:"));
    let closed = close("k.2", "Nordlicht 0");
    assert_eq!((closed.status, closed.to), (303, format!("{page}?done=closed")), "{}", closed.html);

    let banner = at.get(&world.page("/invoices"));
    assert!(banner.html.contains("Closed:") && banner.html.contains("15 Jul 2026"), "{}", banner.html);
    assert!(banner.html.contains("/settings#closing"), "{}", banner.html);
    let viewer = world.at(Role::Viewer).get(&world.page("/invoices"));
    assert!(viewer.html.contains("Closed:") && !viewer.html.contains("/settings"), "{}", viewer.html);
    let shown = at.get(&page);
    assert!(shown.html.contains("controller0") && !shown.html.contains("close_name"), "{}", shown.html);
    let fields = [("idempotency_key", "k.3"), ("do", "reopen"), ("version", &shown.version())];
    let reopened = at.post(&page, &fields);
    assert_eq!((reopened.status, reopened.to), (303, format!("{page}?done=reopened")), "{}", reopened.html);
    assert!(!at.get(&world.page("/invoices")).html.contains("Closed:"));
}
