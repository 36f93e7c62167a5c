use super::*;

fn order(kind: &str, customer: CustomerId) -> Value {
    json!({"kind": kind, "customer_id": customer})
}

fn id(request: &Value) -> plixo_domain::id::PrivacyId {
    text(&request["id"]).parse().unwrap()
}

fn path(request: &Value, verb: &str) -> String {
    format!("privacy-requests/{}{verb}", text(&request["id"]))
}

fn done(
    certificate: Option<&str>,
    files_until: Option<Timestamp>,
) -> impl Fn(PrivacyRequest) -> PrivacyRequest {
    let certificate = certificate.map(str::to_owned);
    move |it| {
        let done =
            Done { at: now(), certificate: certificate.clone(), files_until, gone: false, going: false };
        PrivacyRequest { begun: Some(now()), done: Some(done), ..it }
    }
}

#[test]
fn a_request_is_made_and_the_worker_told_of_it_once_it_is_there() {
    let world = World::new();
    let customer = world.customer(now(), 3);
    let access = world.made("privacy-requests", order("access", customer));
    assert_eq!((&access["kind"], &access["status"]), (&json!("access"), &json!("open")));
    assert_eq!(access["customer_id"], customer.to_string());
    assert_eq!((&access["due_on"], &access["is_late"]), (&json!("2026-07-15"), &json!(false)));
    let absent =
        ["held_since", "held_by", "begun_at", "done_at", "certificate_url", "files_until", "refused"];
    assert!(absent.iter().all(|name| access.get(name).is_none()), "{access}");
    let erasure = world.made("privacy-requests", order("erasure", customer));
    assert_eq!(world.sent(), [text(&access["id"]), text(&erasure["id"])]);
    assert_eq!(world.got(&path(&access, "")), access);
    let listed = world.got("privacy-requests?expand=members");
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    assert_eq!(listed["data"][0]["requested_by_email"], "compliance3@example.com");
    let late = world.ask("GET", &path(&access, "")).at("2026-07-15T23:59:59Z".parse().unwrap()).of(&world);
    assert_eq!(late.body["is_late"], false, "{late:?}");
    let late = world.ask("GET", &path(&access, "")).at("2026-07-16T00:00:00Z".parse().unwrap()).of(&world);
    assert_eq!(late.body["is_late"], true, "{late:?}");
    assert_eq!(world.audited("privacy_request.create"), [Outcome::Allowed; 2]);
}

#[test]
fn one_of_a_kind_is_open_for_a_customer() {
    let world = World::new();
    let (customer, other) = (world.customer(now(), 3), world.customer(now(), 4));
    let first = world.made("privacy-requests", order("access", customer));
    let again = world.ask("POST", "privacy-requests").saying(order("access", customer)).of(&world);
    assert_eq!(again.said(), (409, "already_requested"));
    assert!(text(&again.body["detail"]).contains(&text(&first["id"])), "{again:?}");
    world.made("privacy-requests", order("access", other));
    let refused = world.ask("POST", &path(&first, "/refuse")).saying(json!({"reason": "twice"})).of(&world);
    assert_eq!(refused.status, 200, "{refused:?}");
    world.made("privacy-requests", order("access", customer));
    assert_eq!(world.sent().len(), 3);
}

#[test]
fn a_request_is_of_a_customer_that_is_there() {
    let world = World::new();
    // Over two years without anything.
    let (customer, gone) = (world.customer(now(), 3), world.customer(later(-731), 4));
    for (order, pointer) in [
        (json!({"kind": "access"}), "/customer_id"),
        (json!({"kind": "portability", "customer_id": customer}), "/kind"),
        (json!({"kind": "access", "customer_id": "cus_01h2xcejqtf2nbrexx3vqjhp41"}), "/customer_id"),
        (order("erasure", gone), "/customer_id"),
        (json!({"kind": "access", "customer_id": customer, "reason": "x"}), "/reason"),
    ] {
        let answer = world.ask("POST", "privacy-requests").saying(order.clone()).of(&world);
        assert_eq!(answer.wrong(), (400, pointer), "{order}: {answer:?}");
    }
    world.change::<Customer>(&customer, |it| Customer {
        erased: Some(Erased { at: now(), authority: Authority::Retention, finished: false }),
        ..it
    });
    let answer = world.ask("POST", "privacy-requests").saying(order("access", customer)).of(&world);
    assert_eq!(answer.said(), (409, "customer_erased"));
    assert!(world.sent().is_empty());
    assert!(world.audited("privacy_request.create").iter().all(|outcome| *outcome == Outcome::Failed));
}

#[test]
fn an_erasure_waits_for_a_hold_and_an_access_does_not() {
    let mut world = World::new();
    let customer = world.customer(now(), 3);
    let invoice = world.invoice(customer, now(), 4);
    let hold = world.made("legal-holds", json!({"invoice_id": invoice, "reason": "a dispute"}));
    let held = world.made("privacy-requests", order("erasure", customer));
    assert_eq!((&held["status"], &held["held_since"]), (&json!("held"), &json!(now())));
    // It is refused for now, with the reasons; and that it was tried is in the log.
    let [on_all, on_them] =
        [json!({"reason": "an inquiry"}), json!({"reason": "a claim", "customer_id": customer})]
            .map(|order| world.made("legal-holds", order));
    let others = world.customer(now(), 6);
    world.made("legal-holds", json!({"reason": "somebody else's", "customer_id": others}));
    let by = |hold: &Value| json!({"id": hold["id"], "reason": hold["reason"]});
    assert_eq!(held["held_by"], json!([by(&hold)]));
    assert_eq!(world.audited("privacy_request.hold"), [Outcome::Denied]);
    let mut all = [by(&hold), by(&on_all), by(&on_them)];
    all.sort_by_key(|hold| text(&hold["id"]));
    assert_eq!(world.got(&path(&held, ""))["held_by"], json!(all));
    assert_eq!(world.got("privacy-requests")["data"][0]["held_by"], json!(all));
    for hold in [&on_all, &on_them] {
        world.ask("POST", &format!("legal-holds/{}/release", text(&hold["id"]))).of(&world);
    }
    world.queue = FakeQueue::default();
    let access = world.made("privacy-requests", order("access", customer));
    assert!(access["status"] == "open" && access.get("held_by").is_none());
    let other = world.made("privacy-requests", order("erasure", world.customer(now(), 5)));
    assert_eq!(other["status"], "open", "the hold is not on them");
    assert_eq!(world.sent(), [text(&access["id"]), text(&other["id"])]);
    let release = world.ask("POST", &format!("legal-holds/{}/release", text(&hold["id"])));
    assert_eq!(release.of(&world).status, 200);
    assert_eq!(world.sent()[2..], [text(&held["id"])]);
    // The message may have been lost.
    assert_eq!(release.of(&world).said(), (409, "hold_released"));
    assert_eq!(world.sent()[3..], [text(&held["id"])]);
}

#[test]
fn a_message_that_was_lost_is_sent_again_with_the_same_key() {
    let mut world = World::new();
    let customer = world.customer(now(), 3);
    let faults = Faults::default();
    world.queue = FakeQueue::new(faults.clone());
    faults.plan(0, Fault::Refuses);
    let ask = || {
        world.ask("POST", "privacy-requests").with("idempotency-key", "k1").saying(order("erasure", customer))
    };
    assert_eq!(ask().of(&world).said(), (503, "unavailable"));
    assert!(world.sent().is_empty());
    let again = ask().of(&world);
    assert_eq!((again.status, world.sent()), (201, vec![text(&again.body["id"])]));
    let body = ask().saying(order("access", customer)).of(&world);
    assert_eq!(body.said(), (422, "idempotency_key_reused"));
    // Once it is begun, no more.
    world.change::<PrivacyRequest>(&id(&again.body), |it| PrivacyRequest { begun: Some(now()), ..it });
    assert_eq!(ask().of(&world).body, again.body);
    assert_eq!(world.sent().len(), 1);
    assert_eq!(world.got("privacy-requests")["data"].as_array().unwrap().len(), 1);
}

#[test]
fn a_request_is_refused_with_its_reason_before_it_is_begun() {
    let world = World::new();
    let customer = world.customer(now(), 3);
    let asked = world.made("privacy-requests", order("access", customer));
    let refuse = |reason: &str| world.ask("POST", &path(&asked, "/refuse")).saying(json!({"reason": reason}));
    for reason in ["", "4242 4242 4242 4242", &"x".repeat(2_001)] {
        assert_eq!(refuse(reason).of(&world).wrong(), (400, "/reason"), "{reason}");
    }
    assert_eq!(refuse("no").with("if-match", "\"7\"").of(&world).said(), (412, "stale"));
    let reason = "Herr Anders ist nicht die Person";
    let refused = refuse(reason).with("if-match", "\"1\"").by(of(Role::Controller)).of(&world);
    assert_eq!((refused.status, &refused.body["status"]), (200, &json!("refused")), "{refused:?}");
    assert_eq!(refused.body["refused"]["reason"], reason);
    assert_ne!(refused.body["refused"]["by"], asked["requested_by"]);
    assert_eq!(world.got(&path(&asked, "")), refused.body);
    assert_eq!(world.got("privacy-requests")["data"][0]["refused"]["reason"], reason);
    assert!(!world.holds_text("Anders"), "reasons are sealed");
    assert_eq!(refuse("again").of(&world).said(), (409, "privacy_request_not_open"));
    let begun = world.made("privacy-requests", order("access", customer));
    world.change::<PrivacyRequest>(&id(&begun), |it| PrivacyRequest { begun: Some(now()), ..it });
    let late = world.ask("POST", &path(&begun, "/refuse")).saying(json!({"reason": "no"})).of(&world);
    assert_eq!(late.said(), (409, "privacy_request_not_open"));
}

#[test]
fn a_certificate_is_had_once_the_erasure_is_done() {
    let world = World::new();
    let customer = world.customer(now(), 3);
    let erasure = world.made("privacy-requests", order("erasure", customer));
    let certificate = world.ask("GET", &path(&erasure, "/certificate"));
    assert_eq!(certificate.of(&world).said(), (409, "privacy_request_not_done"));
    let note = "plixo/erasure\nwhat was erased\n\n\u{2014} plixo abc=\n";
    world.change::<PrivacyRequest>(&id(&erasure), done(Some(note), None));
    let shown = world.got(&path(&erasure, ""));
    let url = format!("/v1/orgs/{}/{}", world.orgs[0], path(&erasure, "/certificate"));
    assert_eq!((&shown["status"], &shown["certificate_url"]), (&json!("done"), &json!(url)));
    let had = certificate.of(&world);
    assert_eq!((had.status, had.text.as_str()), (200, note));
    assert_eq!(had.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(world.ask("GET", &path(&erasure, "/download")).of(&world).said(), (404, "not_found"));
    let access = world.made("privacy-requests", order("access", customer));
    assert_eq!(world.ask("GET", &path(&access, "/certificate")).of(&world).said(), (404, "not_found"));
    let mut outcomes = world.audited("certificate.read");
    outcomes.sort_by_key(|it| format!("{it:?}"));
    assert_eq!(outcomes, [Outcome::Allowed, Outcome::Failed, Outcome::Failed]);
}

#[test]
fn files_are_had_until_they_are_gone_at_addresses_that_outlive_none() {
    let world = World::new();
    let customer = world.customer(now(), 3);
    let access = world.made("privacy-requests", order("access", customer));
    let download = |form: &str| world.ask("GET", &path(&access, &format!("/download{form}")));
    assert_eq!(download("").of(&world).said(), (409, "privacy_request_not_done"));
    world.change::<PrivacyRequest>(&id(&access), done(None, Some(later(7))));
    assert_eq!(world.got(&path(&access, ""))["files_until"], json!(later(7)));
    for (form, end) in [("", "json"), ("?as=json", "json"), ("?as=html", "html")] {
        let sent = download(form).of(&world);
        let to = text(&sent.headers["location"]);
        let object = format!("/{}/{}.{end}?", world.orgs[0], text(&access["id"]));
        assert_eq!(
            (sent.status, to.contains(&object), to.contains("Expires=300")),
            (303, true, true),
            "{sent:?}"
        );
    }
    let almost = later(7).saturating_sub(SignedDuration::from_secs(60)).unwrap();
    let sent = download("").at(almost).of(&world);
    assert!(text(&sent.headers["location"]).contains("Expires=60"), "{sent:?}");
    assert_eq!(download("").at(later(7)).of(&world).said(), (409, "files_expired"));
    assert_eq!(download("?as=pdf").of(&world).wrong(), (400, "/as"));
}
