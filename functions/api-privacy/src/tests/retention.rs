use plixo_domain::audit::AuditKept;

use super::*;

fn class<'a>(body: &'a Value, name: &str) -> &'a Value {
    let all = body["data"].as_array().unwrap();
    all.iter().find(|it| it["class"] == name).unwrap()
}

#[test]
fn the_policy_is_shown_with_its_bounds_and_changed_in_part() {
    let world = World::new();
    let first = world.ask("GET", "retention").of(&world);
    assert_eq!(first.body["data"].as_array().unwrap().len(), 8);
    let payloads =
        json!({"class": "webhook_payload", "days": 30, "usual_days": 30, "least_days": 1, "most_days": 365});
    assert_eq!(*class(&first.body, "webhook_payload"), payloads);
    let days = json!({"webhook_payload": 14, "invoice": 2192});
    let etag = text(&first.headers["etag"]);
    let change = world.ask("PUT", "retention").with("if-match", &etag).saying(days);
    let changed = change.of(&world);
    assert_eq!(
        (changed.status, &class(&changed.body, "webhook_payload")["days"]),
        (200, &json!(14)),
        "{changed:?}"
    );
    assert_eq!(change.of(&world).said(), (412, "stale"));
    let shown = world.ask("GET", "retention").of(&world);
    assert_eq!((&shown.body, &shown.headers["etag"]), (&changed.body, &changed.headers["etag"]));
    assert_eq!(class(&shown.body, "invoice")["days"], 2192);
    assert_eq!(class(&shown.body, "payment")["days"], 3650, "what is absent stays");
    assert_eq!(world.audited("retention.update").len(), 2);
    let dump = world.tables.dump();
    let events = dump.iter().filter(|(key, _)| key.table == Table::Audit);
    let events = events.map(|(_, item)| plixo_store::to_audit_event(item).unwrap());
    let fields: Vec<_> = events.filter(|it| it.is_change()).map(|it| it.fields).collect();
    assert_eq!(fields, [["retention"]]);
}

#[test]
fn beyond_the_bounds_nothing_is_taken_and_the_place_is_said() {
    let world = World::new();
    for (days, pointer) in [
        (json!({"audit_event": 364}), "/audit_event"),
        (json!({"webhook_payload": 0}), "/webhook_payload"),
        (json!({"webhook_payload": 366}), "/webhook_payload"),
        (json!({"invoice": 2189, "notice": 5}), "/invoice"),
        (json!({"notice": 70_000}), "/notice"),
        (json!({"notice": -1}), "/notice"),
        (json!({"notice": "5"}), "/notice"),
        (json!({"notice": null}), "/notice"),
        (json!({"payload": 5}), "/payload"),
    ] {
        let answer = world.ask("PUT", "retention").saying(days.clone()).of(&world);
        assert_eq!(answer.wrong(), (400, pointer), "{days}: {answer:?}");
    }
    for (query, pointer) in
        [("audit_event=364", "/audit_event"), ("payload=5", "/payload"), ("notice=x", "/notice")]
    {
        let answer = world.ask("GET", &format!("retention/preview?{query}")).of(&world);
        assert_eq!(answer.wrong(), (400, pointer), "{query}: {answer:?}");
    }
    assert_eq!(class(&world.got("retention"), "notice")["days"], 90);
    assert_eq!(world.audited("retention.update"), [Outcome::Failed; 9]);
}

#[test]
fn a_preview_counts_what_would_go_and_changes_nothing() {
    let world = World::new();
    let (old, young) = (world.customer(later(-800), 3), world.customer(later(-200), 4));
    // The older of the old customer's invoices does not matter, the younger one does.
    let other = world.customer(later(-800), 5);
    let invoice = world.invoice(other, later(-10), 6);
    world.links(invoice, later(-20), 0..3);
    world.links(invoice, later(-5), 3..5);
    let preview = |query: &str| world.got(&format!("retention/preview?{query}"));
    let links = |due: usize, held: usize, days: u16| json!({"class": "portal_link", "days": days, "due": due, "or_more": false, "held": held});
    assert_eq!(*class(&preview(""), "portal_link"), links(0, 0, 30), "as the policy is");
    assert_eq!(*class(&preview("portal_link=20"), "portal_link"), links(3, 0, 20));
    let shown = preview("portal_link=5&customer_personal_data=150");
    assert_eq!(*class(&shown, "portal_link"), links(5, 0, 5));
    assert_eq!((&class(&shown, "customer_personal_data")["due"]), &json!(2), "{old} and {young}");
    assert_eq!(class(&preview("customer_personal_data=300"), "customer_personal_data")["due"], 1);
    // The organisation is 730 days old.
    assert_eq!(class(&shown, "audit_event")["due"], 0);
    assert_eq!(class(&preview("audit_event=700"), "audit_event")["due"], 30);
    let mut book = Book::default();
    book.put_new(AuditKept { from: "2024-07-01".parse().unwrap(), is_gone: true });
    world.store_all(&book);
    assert_eq!(class(&preview("audit_event=700"), "audit_event")["due"], 14, "what is gone does not count");
    assert_eq!(class(&world.got("retention"), "portal_link")["days"], 30, "nothing was changed");

    world.made("legal-holds", json!({"invoice_id": invoice, "reason": "a dispute"}));
    assert_eq!(*class(&preview("portal_link=5"), "portal_link"), links(0, 5, 5));
    let held = preview("customer_personal_data=150&audit_event=700");
    assert_eq!(class(&held, "customer_personal_data")["due"], 2, "the hold is on neither");
    let log = class(&held, "audit_event");
    assert_eq!((&log["due"], &log["held"]), (&json!(0), &json!(14)), "whose it is cannot be told");
}

#[test]
fn a_preview_looks_at_a_thousand_of_a_class() {
    let world = World::new();
    let customer = world.customer(now(), 3);
    let invoice = world.invoice(customer, now(), 4);
    world.links(invoice, later(-20), 0..1_000);
    let links = || class(&world.got("retention/preview?portal_link=10"), "portal_link").clone();
    assert_eq!((&links()["due"], &links()["or_more"]), (&json!(1_000), &json!(false)));
    world.links(invoice, later(-20), 1_000..1_001);
    assert_eq!((&links()["due"], &links()["or_more"]), (&json!(1_000), &json!(true)));
}

#[test]
fn a_payload_in_pieces_counts_once() {
    let world = World::new();
    let id = Ids::new(later(-20), [7; 10]).make();
    let endpoint = Ids::new(later(-20), [8; 10]).make();
    let provider_event_id = "evt_1".parse().unwrap();
    let event = plixo_domain::webhook::EventKey { endpoint, provider_event_id, conflict: None };
    // Nothing of it repeats, so that it is no shorter once it is packed.
    let text: String =
        (0_u64..60_000).map(|n| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let fingerprint = plixo_domain::webhook::Fingerprint([3; 32]);
    let payload =
        plixo_store::Payload { id, event: &event, fingerprint, text: &text, received_at: later(-20) };
    block_on(world.store().commit(&world.orgs[0], &Book::default(), Some(payload), &[], now())).unwrap();
    let pieces = world.tables.dump().into_keys().filter(|key| key.table == Table::WebhookEvents).count();
    assert!(pieces > 1, "{pieces}");
    let count = |query: &str| {
        let shown = world.got(&format!("retention/preview?{query}"));
        let of = class(&shown, "webhook_payload").clone();
        (of["due"].as_u64().unwrap(), of["held"].as_u64().unwrap())
    };
    assert_eq!((count("webhook_payload=21"), count("webhook_payload=20")), ((0, 0), (1, 0)));
    world.made("legal-holds", json!({"customer_id": world.customer(now(), 3), "reason": "a dispute"}));
    assert_eq!(count("webhook_payload=20"), (0, 1), "whose it is cannot be told");
}
