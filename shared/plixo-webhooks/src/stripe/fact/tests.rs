use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::json::{FieldError, Problem};

const TYPES: [&str; 15] = [
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.refunded",
    "charge.succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.created",
    "customer.deleted",
    "customer.updated",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
    "refund.updated",
];

/// The project's sample events, by type.
fn samples() -> BTreeMap<String, Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/stripe");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let event: Value =
                serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
            (event["type"].as_str().unwrap().to_owned(), event)
        })
        .collect()
}

fn sample(kind: &str) -> Value {
    samples().remove(kind).unwrap()
}

fn told(event: &Value) -> Result<Fact, FieldError> {
    read(&Event::parse(event.to_string().as_bytes()).unwrap())
}

fn with(kind: &str, pointer: &str, value: Value) -> Result<Fact, FieldError> {
    let mut event = sample(kind);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::String(gone) if gone == "(gone)" => drop(parent.remove(name)),
        value => drop(parent.insert(name.to_owned(), value)),
    }
    told(&event)
}

fn gone() -> Value {
    json!("(gone)")
}

#[test]
fn every_used_type_has_a_sample_with_a_fact_and_no_other_type_has_one() {
    let facts: BTreeMap<_, _> =
        samples().into_iter().map(|(kind, event)| (kind, told(&event).unwrap())).collect();
    let used: Vec<_> =
        facts.iter().filter(|(_, fact)| **fact != Fact::Unused).map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(used, TYPES);
    assert!(facts.len() > used.len());
    insta::assert_debug_snapshot!("facts", facts);
}

#[test]
fn the_object_of_an_unused_type_is_not_looked_at() {
    assert_eq!(
        told(&json!({"id": "evt_1", "object": "event", "type": "payment_intent.created"})),
        Ok(Fact::Unused)
    );
    assert_eq!(
        told(&json!({"id": "evt_1", "type": "payment_intent.succeeded.v2", "data": 1})),
        Ok(Fact::Unused)
    );
}

#[test]
fn ids_may_stand_expanded() {
    for (kind, fields) in [
        ("charge.succeeded", &["payment_intent", "customer"][..]),
        ("payment_intent.succeeded", &["customer"]),
        ("refund.updated", &["charge", "payment_intent"]),
        ("charge.dispute.created", &["charge", "payment_intent"]),
        ("checkout.session.completed", &["payment_intent", "customer"]),
    ] {
        for field in fields {
            let pointer = format!("/data/object/{field}");
            let plain = sample(kind);
            let id = plain.pointer(&pointer).unwrap();
            assert_eq!(
                with(kind, &pointer, json!({"id": id, "object": field})),
                told(&plain),
                "{kind} {field}"
            );
            for wrong in [json!({"object": field}), json!({"id": 1}), json!([id]), json!(7)] {
                assert!(with(kind, &pointer, wrong).is_err(), "{kind} {field}");
            }
        }
    }
}

#[test]
fn fields_that_cannot_be_used_are_named() {
    for (kind, field, value, problem) in [
        ("payment_intent.succeeded", "id", gone(), Problem::Missing),
        ("payment_intent.succeeded", "amount", gone(), Problem::Missing),
        ("payment_intent.succeeded", "amount", json!(125.0), Problem::IllTyped),
        ("payment_intent.succeeded", "amount", json!("12500"), Problem::IllTyped),
        ("payment_intent.succeeded", "amount_received", json!(-1), Problem::IllTyped),
        ("payment_intent.succeeded", "amount_received", json!(u64::MAX), Problem::IllTyped),
        ("payment_intent.succeeded", "currency", json!(null), Problem::Missing),
        ("payment_intent.succeeded", "currency", json!("euro"), Problem::Unknown),
        ("payment_intent.succeeded", "currency", json!("€"), Problem::Unknown),
        ("payment_intent.succeeded", "metadata", json!([]), Problem::IllTyped),
        ("payment_intent.succeeded", "metadata/plixo_invoice_id", json!(1), Problem::IllTyped),
        ("charge.succeeded", "billing_details/name", json!({}), Problem::IllTyped),
        ("charge.succeeded", "captured", json!("yes"), Problem::IllTyped),
        ("charge.succeeded", "status", json!("odd"), Problem::Unknown),
        ("charge.refunded", "amount_refunded", gone(), Problem::Missing),
        ("refund.updated", "status", json!(null), Problem::Missing),
        ("refund.updated", "status", json!("odd"), Problem::Unknown),
        ("charge.dispute.created", "charge", json!(null), Problem::Missing),
        ("charge.dispute.closed", "status", json!("odd"), Problem::Unknown),
        ("checkout.session.completed", "payment_status", gone(), Problem::Missing),
        ("customer.updated", "address", json!("Deichstraße"), Problem::IllTyped),
        ("customer.updated", "address/city", json!(20459), Problem::IllTyped),
    ] {
        let pointer = format!("/data/object/{field}");
        let expected = FieldError { pointer: pointer.clone(), problem };
        assert_eq!(with(kind, &pointer, value), Err(expected), "{kind} {field}");
    }
    for (pointer, value, problem) in [
        ("/created", gone(), Problem::Missing),
        ("/data", gone(), Problem::Missing),
        ("/data", json!([1]), Problem::IllTyped),
        ("/data/object", json!(null), Problem::Missing),
    ] {
        let expected = FieldError { pointer: pointer.to_owned(), problem };
        assert_eq!(with("charge.succeeded", pointer, value), Err(expected));
    }
}

#[test]
fn a_field_said_twice_is_refused() {
    let twice =
        sample("payment_intent.succeeded").to_string().replacen(r#""amount":"#, r#""amount":1,"amount":"#, 1);
    let expected = FieldError { pointer: "/data/object/amount".to_owned(), problem: Problem::Repeated };
    assert_eq!(read(&Event::parse(twice.as_bytes()).unwrap()), Err(expected));
}

fn charge_with(field: &str, value: Value) -> Charge {
    match with("charge.succeeded", &format!("/data/object/{field}"), value) {
        Ok(Fact::Payment { fact: PaymentFact::Charge(charge), .. }) => charge,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_charge_that_only_reserves_money_captured_none() {
    assert_eq!(charge_with("amount_captured", json!(0)).amount_captured, 0);
    assert_eq!(charge_with("amount_captured", gone()).amount_captured, 12_500);
    let mut event = sample("charge.succeeded");
    let object = event["data"]["object"].as_object_mut().unwrap();
    object.remove("amount_captured");
    object.insert("captured".to_owned(), json!(false));
    let Ok(Fact::Payment { fact: PaymentFact::Charge(charge), .. }) = told(&event) else { panic!() };
    assert_eq!(charge.amount_captured, 0);
}

#[test]
fn who_pays_is_found_where_stripe_may_have_it() {
    let charge = charge_with("billing_details/email", json!(null));
    assert_eq!(charge.payer_email, None);
    assert_eq!(charge_with("billing_details", json!(null)).payer_name, None);
    let mut event = sample("charge.succeeded");
    event["data"]["object"]["billing_details"]["email"] = json!(null);
    event["data"]["object"]["receipt_email"] = json!("beleg@nordlicht.example");
    let Ok(Fact::Payment { fact: PaymentFact::Charge(charge), .. }) = told(&event) else { panic!() };
    assert_eq!(charge.payer_email.as_deref(), Some("beleg@nordlicht.example"));

    let mut event = sample("checkout.session.expired");
    event["data"]["object"]["customer_details"] = json!(null);
    event["data"]["object"]["customer_email"] = json!("rechnung@nordlicht.example");
    let Ok(Fact::Payment { fact: PaymentFact::Session(session), .. }) = told(&event) else { panic!() };
    assert_eq!(session.payer_email.as_deref(), Some("rechnung@nordlicht.example"));
}

#[test]
fn an_empty_note_names_nothing() {
    assert_eq!(charge_with("metadata/plixo_invoice_id", json!("")).invoice_ref, None);
    assert_eq!(charge_with("metadata", json!(null)).invoice_ref, None);
}

#[test]
fn sessions_without_money_have_no_amount() {
    let mut event = sample("checkout.session.completed");
    let object = event["data"]["object"].as_object_mut().unwrap();
    for field in ["amount_total", "currency", "payment_intent"] {
        object.insert(field.to_owned(), json!(null));
    }
    object.insert("payment_status".to_owned(), json!("no_payment_required"));
    let Ok(Fact::Payment { fact: PaymentFact::Session(session), .. }) = told(&event) else { panic!() };
    assert_eq!((session.amount_total, session.currency, session.intent_id), (None, None, None));
    assert_eq!(session.payment_status, SessionPayment::NoPaymentRequired);
}

#[test]
fn every_word_of_stripe_for_a_dispute_is_known() {
    for (word, meaning) in [
        ("needs_response", DisputeStatus::Open),
        ("under_review", DisputeStatus::Open),
        ("appeal_needs_response", DisputeStatus::Open),
        ("appeal_under_review", DisputeStatus::Open),
        ("warning_needs_response", DisputeStatus::Warning),
        ("warning_under_review", DisputeStatus::Warning),
        ("warning_closed", DisputeStatus::WarningClosed),
        ("won", DisputeStatus::Won),
        ("lost", DisputeStatus::Lost),
        ("prevented", DisputeStatus::Prevented),
    ] {
        let fact = with("charge.dispute.closed", "/data/object/status", json!(word));
        let Ok(Fact::Payment { fact: PaymentFact::Dispute(dispute), .. }) = fact else { panic!("{fact:?}") };
        assert_eq!(dispute.status, meaning);
    }
}
