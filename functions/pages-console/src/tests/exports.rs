//! Exports: from the form to the file.

use super::*;

const ORDER: [(&str, &str); 3] = [("idempotency_key", "k.request"), ("kind", "payments"), ("format", "csv")];

fn requested(world: &World, role: Role) -> String {
    let sent = world.at(role).post(&world.page("/exports"), &ORDER);
    assert_eq!(sent.status, 303, "{}", sent.html);
    sent.to.split('?').next().unwrap().to_owned()
}

/// The form of a page that decides, as a browser sends it.
fn decision(shown: &Shown, word: &str) -> [(&'static str, String); 4] {
    let key = ("idempotency_key", format!("k.{word}"));
    [key, ("do", word.to_owned()), ("version", shown.version()), ("digest", shown.value("digest").to_owned())]
}

fn sent(at: At<'_>, page: &str, fields: &[(&'static str, String)]) -> Shown {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    at.post(page, &fields)
}

#[test]
fn an_export_is_requested_and_somebody_else_approves_exactly_that() {
    let world = world();
    let page = requested(&world, Role::BillingAdmin);
    let own = world.at(Role::BillingAdmin).get(&page);
    assert!(
        own.html.contains("Waits for approval") && !own.html.contains("Approve exactly this"),
        "{}",
        own.html
    );
    let shown = world.at(Role::Controller).get(&page);
    assert!(
        shown.html.contains("Approve exactly this") && shown.html.contains("billing_admin0"),
        "{}",
        shown.html
    );
    let mut wrong = decision(&shown, "approve");
    wrong[3].1 = "0".repeat(64);
    assert_eq!(sent(world.at(Role::Controller), &page, &wrong).status, 412);
    let done = sent(world.at(Role::Controller), &page, &decision(&shown, "approve"));
    assert_eq!((done.status, done.to), (303, format!("{page}?done=export-approved")), "{}", done.html);
    let approved = world.at(Role::BillingAdmin).get(&page);
    assert!(approved.html.contains("Approved") && !approved.html.contains("Download"), "{}", approved.html);
    let early = world.at(Role::BillingAdmin).get(&format!("{page}/download"));
    assert_eq!(early.status, 400, "{}", early.html);
    assert!(early.html.contains("There is no file"), "{}", early.html);
    let list = world.at(Role::Cfo).get(&world.page("/exports"));
    assert!(list.html.contains(&page) && list.html.contains("billing_admin0"), "{}", list.html);
}

#[test]
fn nobody_approves_their_own_export_at_the_console() {
    let world = world();
    let page = requested(&world, Role::Controller);
    let shown = world.at(Role::Controller).get(&page);
    assert!(
        !shown.html.contains("Approve exactly this") && shown.html.contains("Take back"),
        "{}",
        shown.html
    );
    assert_eq!(sent(world.at(Role::Controller), &page, &decision(&shown, "approve")).status, 403);
    let back = sent(world.at(Role::Controller), &page, &decision(&shown, "reject"));
    assert_eq!((back.status, back.to), (303, format!("{page}?done=export-rejected")));
}

#[test]
fn what_was_typed_wrong_stands_beside_its_field() {
    let world = world();
    let mut fields = ORDER.to_vec();
    fields.extend([("status", "open"), ("from", "2026-02-01"), ("to", "2026-01-01")]);
    let wrong = world.at(Role::Cfo).post(&world.page("/exports"), &fields);
    assert_eq!((wrong.status, wrong.value("status")), (400, "open"), "{}", wrong.html);
    assert!(!wrong.error("status").is_empty());
    let audit = [("idempotency_key", "k.a"), ("kind", "audit"), ("format", "json"), ("from", "soon")];
    let wrong = world.at(Role::Cfo).post(&world.page("/exports"), &audit);
    assert_eq!(wrong.error("from"), "Enter a day, such as 2026-11-21");
    let viewer = world.at(Role::Viewer).get(&world.page("/exports"));
    assert_eq!(viewer.status, 403);
}
