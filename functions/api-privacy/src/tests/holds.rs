use std::task::Poll;

use plixo_domain::hold::Holds;
use plixo_store::CommitError;

use super::*;

#[test]
fn a_hold_is_placed_shown_and_released() {
    let world = World::new();
    let customer = world.customer(now(), 3);
    let invoice = world.invoice(customer, now(), 4);
    let reason = "Frau Probe klagt, Az. 12 O 34/26";
    let on_customer = world.made("legal-holds", json!({"customer_id": customer, "reason": reason}));
    assert_eq!(on_customer["customer_id"], customer.to_string());
    assert_eq!((&on_customer["reason"], &on_customer["placed_at"]), (&json!(reason), &json!(now())));
    assert!(["invoice_id", "released_by", "released_at"].iter().all(|name| on_customer.get(name).is_none()));
    let on_invoice = world.made("legal-holds", json!({"invoice_id": invoice, "reason": reason}));
    assert_eq!(on_invoice["invoice_id"], invoice.to_string());
    let on_all = world.made("legal-holds", json!({"reason": reason}));
    assert!(["invoice_id", "customer_id"].iter().all(|name| on_all.get(name).is_none()));
    assert!(!world.holds_text("klagt"), "reasons are sealed");

    let path = format!("legal-holds/{}", text(&on_customer["id"]));
    assert_eq!(world.got(&path), on_customer);
    let first = world.got("legal-holds?limit=2&expand=members");
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    assert_eq!(first["data"][0]["placed_by_email"], "compliance3@example.com");
    let second = world.got(&format!("legal-holds?limit=2&cursor={}", text(&first["next_cursor"])));
    assert_eq!(second["data"].as_array().unwrap().len(), 1);
    assert!(second["data"][0].get("placed_by_email").is_none());

    let release = world.ask("POST", &format!("{path}/release")).by(of(Role::Controller));
    assert_eq!(
        world.ask("POST", &format!("{path}/release")).with("if-match", "\"7\"").of(&world).said(),
        (412, "stale")
    );
    let released = release.of(&world);
    assert_eq!((released.status, &released.body["released_at"]), (200, &json!(now())), "{released:?}");
    assert_ne!(released.body["released_by"], on_customer["placed_by"]);
    assert_eq!(released.body["reason"], reason);
    assert_eq!(world.got(&path), released.body);
    assert_eq!(release.of(&world).said(), (409, "hold_released"));
    let unknown = "legal-holds/hld_01h2xcejqtf2nbrexx3vqjhp41";
    assert_eq!(world.ask("GET", unknown).of(&world).said(), (404, "not_found"));
    assert_eq!(world.ask("POST", &format!("{unknown}/release")).of(&world).said(), (404, "not_found"));
    assert_eq!(world.audited("legal_hold.place"), [Outcome::Allowed; 3]);
    let outcomes = world.audited("legal_hold.release");
    assert_eq!(outcomes.iter().filter(|it| **it == Outcome::Allowed).count(), 1);
    assert_eq!(outcomes.len(), 4);
}

#[test]
fn a_hold_is_on_something_and_has_a_reason() {
    let world = World::new();
    let customer = world.customer(now(), 3);
    let invoice = world.invoice(customer, now(), 4);
    // Over two years without anything.
    let gone = world.customer(later(-731), 5);
    let long = "x".repeat(2_001);
    for (order, pointer) in [
        (json!({"customer_id": customer}), "/reason"),
        (json!({"customer_id": customer, "reason": " \n"}), "/reason"),
        (json!({"customer_id": customer, "reason": long}), "/reason"),
        (json!({"customer_id": customer, "reason": "paid with 4242 4242 4242 4242"}), "/reason"),
        (json!({"customer_id": customer, "reason": "a\u{0}b"}), "/reason"),
        (json!({"customer_id": customer, "invoice_id": invoice, "reason": "both"}), "/invoice_id"),
        (json!({"customer_id": "cus_1", "reason": "none"}), "/customer_id"),
        (json!({"customer_id": "cus_01h2xcejqtf2nbrexx3vqjhp41", "reason": "none"}), "/customer_id"),
        (json!({"customer_id": gone, "reason": "it is due"}), "/customer_id"),
        (json!({"invoice_id": "inv_01h2xcejqtf2nbrexx3vqjhp41", "reason": "none"}), "/invoice_id"),
        (json!({"customer": customer, "reason": "misspelled"}), "/customer"),
    ] {
        let answer = world.ask("POST", "legal-holds").saying(order.clone()).of(&world);
        assert_eq!(answer.wrong(), (400, pointer), "{order}: {answer:?}");
    }
    world.change::<Customer>(&customer, |it| Customer {
        erased: Some(Erased { at: now(), authority: Authority::Retention, finished: false }),
        ..it
    });
    let order = json!({"customer_id": customer, "reason": "too late"});
    assert_eq!(world.ask("POST", "legal-holds").saying(order).of(&world).said(), (409, "customer_erased"));
    assert_eq!(world.got("legal-holds")["data"], json!([]));
    assert!(world.audited("legal_hold.place").iter().all(|outcome| *outcome == Outcome::Failed));
}

#[test]
fn the_same_key_places_one_hold() {
    let world = World::new();
    let ask = |reason: &str| {
        world
            .ask("POST", "legal-holds")
            .with("idempotency-key", "k1")
            .saying(json!({"reason": reason}))
            .of(&world)
    };
    let first = ask("a dispute");
    assert_eq!((first.status, &first.body), (201, &ask("a dispute").body));
    assert_eq!(ask("another").said(), (422, "idempotency_key_reused"));
    assert_eq!(world.got("legal-holds")["data"].as_array().unwrap().len(), 1);
}

/// Erases a customer as whoever does it: in a transaction for which there is no hold.
async fn erase(world: &World, customer: CustomerId) -> Result<(), CommitError> {
    let mut book = Book::default();
    let names = vec![RowKey::Holds, Customer::key(&customer)];
    for (name, stored) in world.store().read(&world.orgs[0], names).await.unwrap() {
        book.learn(name, stored);
    }
    let holds = book.get::<Holds>(&()).unwrap().cloned().unwrap_or_default();
    if holds.has_customer(&customer) {
        return Err(CommitError::Conflict);
    }
    let row = book.get::<Customer>(&customer).unwrap().unwrap().clone();
    book.put(Customer {
        erased: Some(Erased { at: now(), authority: Authority::Retention, finished: false }),
        ..row
    })
    .unwrap();
    book.check::<Holds>(&()).unwrap();
    world.store().commit(&world.orgs[0], &book, None, &[], now()).await
}

#[test]
fn a_hold_comes_before_an_erasure_or_not_at_all() {
    let mut seen = BTreeSet::new();
    for polls in 0..12 {
        let world = World::new();
        let customer = world.customer(now(), 3);
        let order = json!({"customer_id": customer, "reason": "a dispute"});
        let (request, api) = (world.ask("POST", "legal-holds").saying(order).request(), world.api());
        let line = Line { timestamp: now(), ..Line::default() };
        // The hold is on its way so far, then the customer is erased, and then the hold goes on.
        let (status, erased) = block_on(async {
            let mut placing = std::pin::pin!(api.handle(&request, line));
            let mut placed = None;
            for _ in 0..polls {
                if placed.is_none() {
                    placed = std::future::poll_fn(|context| {
                        Poll::Ready(match placing.as_mut().poll(context) {
                            Poll::Ready((response, _)) => Some(response),
                            Poll::Pending => None,
                        })
                    })
                    .await;
                }
            }
            let erased = erase(&world, customer).await;
            let response = match placed {
                Some(response) => response,
                None => placing.await.0,
            };
            (response.status(), erased.is_ok())
        });
        assert!(matches!((status, erased), (201, false) | (409, true)), "after {polls}: {status} {erased}");
        seen.insert(erased);
    }
    assert_eq!(seen.len(), 2, "both ways were tried");
}
