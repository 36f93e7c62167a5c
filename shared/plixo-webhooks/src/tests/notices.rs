//! What is in a POST: ids by which events count once, accounts, and what is to be fetched.

use std::collections::BTreeSet;

use plixo_cards::redact_json;
use plixo_domain::webhook::Provider;
use serde_json::{Value, json};

use super::*;
use crate::canonical::external_id;
use crate::delivery::{self, Fetch, Which};

fn events(provider: Provider, body: &Value) -> Vec<delivery::Event> {
    delivered(provider, body).unwrap().events
}

fn with(body: &Value, pointer: &str, value: impl Into<Value>) -> Value {
    let mut changed = body.clone();
    *changed.pointer_mut(pointer).unwrap() = value.into();
    changed
}

fn ids(provider: Provider, body: &Value) -> Vec<String> {
    events(provider, body).into_iter().map(|event| event.id.to_string()).collect()
}

/// Changes each of these fields of an event, and expects another id each time, but none from the others.
fn counts(provider: Provider, body: &Value, parts: &[(&str, &str)], others: &[(&str, Value)]) {
    let own = ids(provider, body)[0].clone();
    let mut all = BTreeSet::from([own.clone()]);
    for (pointer, value) in parts {
        let changed = ids(provider, &with(body, pointer, *value))[0].clone();
        assert!(all.insert(changed), "{pointer} is no part of the id");
    }
    for (pointer, value) in others {
        assert_eq!(ids(provider, &with(body, pointer, value.clone()))[0], own, "{pointer}");
    }
}

#[test]
fn xeros_ids_are_of_what_the_event_says() {
    let body = sample("webhook-erp", "xero.delivery");
    let expected = "717f2bfc-c6d4-41fd-b238-3f2f0c0cf777:2026-03-04T10:15:30.902:CREATE:INVOICE:c2cc9b6e-9458-4c7d-93cc-f02b81b0594f";
    assert_eq!(ids(Provider::Xero, &body)[0], expected);
    let parts = [
        ("/events/0/resourceId", "0-1"),
        ("/events/0/eventDateUtc", "2026-03-04T10:15:30.903"),
        ("/events/0/eventType", "UPDATE"),
        ("/events/0/eventCategory", "CONTACT"),
        ("/events/0/tenantId", "another-tenant"),
    ];
    counts(Provider::Xero, &body, &parts, &[("/entropy", json!("other")), ("/lastEventSequence", json!(99))]);
    assert!(events(Provider::Xero, &sample("webhook-erp", "xero.intent_to_receive")).is_empty());
}

#[test]
fn quickbooks_ids_are_of_what_the_event_says_or_cloudevents_own() {
    let body = sample("webhook-erp", "quickbooks.legacy");
    let at = "/eventNotifications/0/dataChangeEvent/entities/0";
    assert_eq!(ids(Provider::Quickbooks, &body)[0], "1185883450:Customer:1:Create:2015-10-05T14:42:19-0700");
    let parts = [
        ("/eventNotifications/0/realmId".to_owned(), "1"),
        (format!("{at}/name"), "Invoice"),
        (format!("{at}/id"), "2"),
        (format!("{at}/operation"), "Update"),
        (format!("{at}/lastUpdated"), "2015-10-05T14:42:20-0700"),
    ];
    let parts: Vec<_> = parts.iter().map(|(pointer, value)| (pointer.as_str(), *value)).collect();
    counts(Provider::Quickbooks, &body, &parts, &[]);

    let body = sample("webhook-erp", "quickbooks.cloud_events");
    assert_eq!(ids(Provider::Quickbooks, &body)[0], "88cd52aa-33b6-4351-9aa4-47572edbd068");
    let before = events(Provider::Quickbooks, &body)[0].fingerprint;
    let after = events(Provider::Quickbooks, &with(&body, "/0/intuitentityid", "9"))[0].fingerprint;
    assert_ne!(before, after, "the same id with another content is a conflict");
    let one = body[0].clone();
    assert_eq!(events(Provider::Quickbooks, &one).len(), 1, "also alone, not in a list");
}

#[test]
fn business_centrals_ids_are_of_what_the_event_says_and_not_of_the_subscriptions_end() {
    let body = sample("webhook-erp", "business_central.delivery");
    let company = "api/v2.0/companies(b18aed47-c385-49d2-b954-dbdf8ad71780)";
    let parts = [
        ("/value/0/subscriptionId", "another"),
        ("/value/0/resource", &format!("{company}/customers(1)")),
        ("/value/0/changeType", "updated"),
        ("/value/0/lastModifiedDateTime", "2026-10-26T12:54:26.058Z"),
    ];
    let others = [
        ("/value/0/expirationDateTime", json!("2027-01-01T00:00:00Z")),
        ("/value/0/clientState", json!("x")),
    ];
    counts(Provider::BusinessCentral, &body, &parts, &others);
}

#[test]
fn erpnexts_id_is_the_hash_of_the_body() {
    let body = sample("webhook-erp", "erpnext.sales_invoice");
    let own = ids(Provider::Erpnext, &body);
    assert_eq!(own, ids(Provider::Erpnext, &body));
    assert!(own[0].starts_with("sha256:"));
    assert_ne!(own, ids(Provider::Erpnext, &with(&body, "/modified", "2026-03-04 10:15:30.123457")));
}

#[test]
fn canonical_ids_are_the_headers_else_the_bodys_else_its_hash() {
    let body = sample("webhook-erp", "canonical.invoice.upserted").to_string();
    let id = |header: Option<&str>, body: &str| {
        let delivery = Delivery::read(Provider::StandardWebhooks, body.as_bytes(), header).unwrap();
        delivery.events[0].id.to_string()
    };
    assert_eq!(id(Some("msg_1"), &body), "msg_1");
    assert_eq!(id(None, &body), "evt_77");
    assert!(id(Some("what/is+no=id"), &body).starts_with("sha256:"));
    let without = sample("webhook-erp", "canonical.invoice.voided").to_string();
    assert!(id(None, &without).starts_with("sha256:"));
}

#[test]
fn ids_that_were_masked_name_nothing_for_two_may_look_the_same() {
    const CARDS: [&str; 2] = ["4000000000180002", "4000000000260002"];
    let masked = |name: &str, pointer: &str, card: &str| {
        let body = with(&sample("webhook-erp", name), pointer, card).to_string();
        redact_json(&body).text.into_owned()
    };
    let read = |name: &str, text: &str| {
        Delivery::read(kind_of(name).0, text.as_bytes(), None).unwrap().events.remove(0)
    };
    for (name, pointer) in [
        ("canonical.customer.upserted", "/data/id"),
        ("canonical.invoice.upserted", "/data/id"),
        ("canonical.invoice.upserted", "/data/customer"),
        ("canonical.invoice.voided", "/data/id"),
        ("canonical.payment.recorded", "/data/id"),
        ("canonical.credit_note.recorded", "/data/customer"),
        ("erpnext.customer", "/name"),
        ("erpnext.sales_invoice", "/customer"),
    ] {
        for card in [CARDS[0].to_owned(), format!("Kunde {}", CARDS[0]), format!("INV-{}", CARDS[0])] {
            let event = read(name, &masked(name, pointer, &card));
            let News::Unusable(error) = &event.news else { panic!("{name}{pointer}: {event:?}") };
            let told = (error.pointer.as_str(), error.problem);
            assert_eq!(told, (pointer, Problem::Masked), "{name}");
        }
        let News::Told(_) = read(name, &masked(name, pointer, &format!("N{}", CARDS[0]))).news else {
            panic!("{name}")
        };
    }
    // Money is not lost with the name of whose it was.
    for (name, pointer, applied, has_customer) in [
        ("canonical.payment.recorded", "/data/customer", 1, false),
        ("canonical.payment.recorded", "/data/allocations/0/invoice", 0, true),
        ("erpnext.payment_entry", "/party", 1, false),
        ("erpnext.payment_entry", "/references/0/reference_name", 0, true),
    ] {
        let event = read(name, &masked(name, pointer, CARDS[0]));
        let News::Told(told) = event.news else { panic!("{name}{pointer}: {event:?}") };
        let Event::PaymentRecorded(payment) = *told else { panic!("{name}") };
        let record = payment.record.unwrap();
        assert_eq!((record.applied.len(), record.customer.is_some()), (applied, has_customer), "{pointer}");
    }
    // An event is known by its text.
    let id = |card: &str, at: &str| {
        let body = with(&sample("webhook-erp", "canonical.invoice.upserted"), "/id", card);
        let body = with(&body, "/timestamp", at).to_string();
        read("canonical.invoice", &redact_json(&body).text).id
    };
    assert_ne!(id(CARDS[0], "2026-03-04T10:15:30Z"), id(CARDS[1], "2026-03-04T10:15:31Z"));
    assert_eq!(id("evt_77", "2026-03-04T10:15:30Z"), id("evt_77", "2026-03-04T10:15:31Z"));
}

#[test]
fn an_id_of_a_header_is_the_same_when_the_event_is_replayed() {
    let body = sample("webhook-erp", "canonical.invoice.upserted").to_string();
    for header in ["msg_1", "msg/1=", "4242424242424242"] {
        let kept = external_id(header).unwrap();
        let delivery =
            Delivery::read(Provider::StandardWebhooks, body.as_bytes(), Some(kept.as_str())).unwrap();
        assert_eq!(delivery.events[0].id, kept);
    }
}

#[test]
fn accounts_are_of_the_event_and_another_one_is_seen() {
    let own: ExternalId = "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f".parse().unwrap();
    let body = sample("webhook-erp", "xero.delivery");
    let is_foreign = |body: &Value, own: Option<&ExternalId>| {
        delivered(Provider::Xero, body).unwrap().is_of_another_account(own)
    };
    assert!(!is_foreign(&body, Some(&own)));
    assert!(is_foreign(&body, Some(&realm())) && is_foreign(&body, None));
    assert!(is_foreign(&with(&body, "/events/2/tenantId", "other"), Some(&own)), "one of them is enough");
    assert!(!is_foreign(&sample("webhook-erp", "xero.intent_to_receive"), None));
    let unnamed = sample("webhook-erp", "canonical.invoice.voided");
    assert!(!delivered(Provider::GenericHmac, &unnamed).unwrap().is_of_another_account(Some(&own)));
}

#[test]
fn a_realm_that_could_be_a_card_number_is_queued_by_its_hash_and_read_back() {
    const REALM: &str = "4620816365294876505";
    let own = external_id(REALM).unwrap();
    assert_ne!(own.as_str(), REALM);
    let legacy = with(&sample("webhook-erp", "quickbooks.legacy"), "/eventNotifications/0/realmId", REALM);
    let cloud = with(&sample("webhook-erp", "quickbooks.cloud_events"), "/0/intuitaccountid", REALM);
    let other = with(&cloud[0], "/id", "another");
    for body in [legacy, cloud[0].clone(), json!([cloud[0]]), json!([cloud[0], other])] {
        let text = body.to_string();
        let queued = Delivery::queued(Provider::Quickbooks, &text, Some(&own));
        assert!(!queued.contains(REALM) && redact_json(&queued).count == 0, "{queued}");
        let read = |text: &str| Delivery::read(Provider::Quickbooks, text.as_bytes(), None).unwrap();
        let (before, after) = (read(&text), read(&queued));
        assert!(!before.is_of_another_account(Some(&own)) && !after.is_of_another_account(Some(&own)));
        assert_eq!(before.events.len(), after.events.len());
        for (before, after) in before.events.iter().zip(&after.events) {
            assert_eq!((&before.id, &before.news), (&after.id, &after.news));
            if let Some(alone) = &after.alone {
                let same = |one: &delivery::Event| (&one.id, &one.news) == (&after.id, &after.news);
                assert!(read(alone).events.iter().any(same), "{alone}");
            }
        }
        // Nothing else is touched.
        let other = external_id("4620816365000000005").unwrap();
        for own in [None, Some(&other), Some(&realm())] {
            assert_eq!(Delivery::queued(Provider::Quickbooks, &text, own), text);
        }
        assert_eq!(Delivery::queued(Provider::Xero, &text, Some(&own)), text);
    }
    let odd = with(&sample("webhook-erp", "quickbooks.legacy"), "/eventNotifications/0/realmId", "a.b");
    assert!(delivered(Provider::Quickbooks, &odd).is_err());
}

#[test]
fn what_business_central_says_is_deleted_is_asked_for_and_then_gone() {
    let events = events(Provider::BusinessCentral, &sample("webhook-erp", "business_central.delivery"));
    let News::Fetch(fetch) = &events[2].news else { panic!("it is asked for") };
    assert!(fetch.removed);
    let event = fetch.withdrawn().unwrap();
    assert_eq!(
        (event.kind(), event.id().as_str()),
        ("invoice.voided", "6e226dad-44e3-ea11-bb43-000d3a2feca1")
    );
    assert!(event.version() > Version { at: fetch.at, sequence: 7 }, "nothing follows a deletion");
    let News::Fetch(fetch) = &events[1].news else { panic!("it is asked for") };
    assert_eq!(fetch.withdrawn(), None);
    let News::Fetch(Fetch { which, .. }) = &events[3].news else { panic!("they are asked for") };
    assert_eq!(*which, Which::ChangedSince("2026-10-15T11:00:00Z".parse().unwrap()));
}

#[test]
fn nothing_that_could_leave_its_place_in_a_url_is_to_be_fetched() {
    for wrong in ["..", "../x", "a/b", "a b", "", "a?b", "a#b", "a%2e", "ä", &"x".repeat(65)] {
        let body = with(&sample("webhook-erp", "xero.delivery"), "/events/0/resourceId", wrong);
        let error = ReadError::Field(field("/events/0/resourceId", Problem::Unknown));
        assert_eq!(delivered(Provider::Xero, &body), Err(error), "{wrong}");
        let resource = format!("api/v2.0/companies(b18aed47)/customers({wrong})");
        let body = with(&sample("webhook-erp", "business_central.delivery"), "/value/0/resource", resource);
        let error = ReadError::Field(field("/value/0/resource", Problem::Unknown));
        assert_eq!(delivered(Provider::BusinessCentral, &body), Err(error), "{wrong}");
    }
}

#[test]
fn types_are_nothing_but_types() {
    let kind = |text: &str| {
        let body = with(&sample("webhook-erp", "canonical.unused"), "/type", text);
        events(Provider::StandardWebhooks, &body)[0].kind.clone()
    };
    assert_eq!(kind("Order Shipped/Now"), "order_shipped_now");
    assert_eq!(kind("4242424242424242"), "unknown");
    assert_eq!(kind(""), "unknown");
    assert_eq!(kind(&"x".repeat(500)).len(), 100);
}

#[test]
fn each_event_of_several_is_read_alone_as_it_is_among_them() {
    let mut several = 0;
    for (name, text) in samples("webhook-erp") {
        let (provider, _) = kind_of(&name);
        let all = Delivery::read(provider, text.as_bytes(), None).unwrap().events;
        several += usize::from(all.len() > 1);
        for event in &all {
            assert_eq!(event.alone.is_some(), all.len() > 1, "{name}");
            let Some(alone) = &event.alone else { continue };
            let read = Delivery::read(provider, alone.as_bytes(), None).unwrap().events;
            let same = |it: &&crate::delivery::Event| it.id == event.id && it.news == event.news;
            assert_eq!(read.iter().filter(same).count(), 1, "{name}: {alone}");
            assert!(read.len() == 1 || all.len() > read.len(), "{name}");
        }
    }
    assert!(several > 2);
}

#[test]
fn so_many_events_are_taken_at_once_and_no_more() {
    let one = sample("webhook-erp", "xero.delivery")["events"][0].clone();
    let of = |count: usize| json!({ "events": vec![one.clone(); count] }).to_string();
    let most = crate::delivery::MAX_EVENTS;
    assert_eq!(Delivery::read(Provider::Xero, of(most).as_bytes(), None).unwrap().events.len(), most);
    let error = Delivery::read(Provider::Xero, of(most + 1).as_bytes(), None).unwrap_err();
    assert_eq!((error.code(), error), ("event_too_many", ReadError::TooMany));
}
