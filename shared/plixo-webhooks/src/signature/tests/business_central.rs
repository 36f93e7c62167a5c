//! What Business Central alone does.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::business_central::{Handshake, MAX_TOKEN, handshake};
use super::super::*;

const OWN: &str = "own-state-own-state-own-state-own-state";
const OLD: &str = "old-state-old-state-old-state-old-state";

fn verified(body: &[u8], secrets: &[&str]) -> Result<(Value, usize), SignatureError> {
    let message = Message { header: &|_| None, body, received_at: 0 };
    let secrets: Vec<_> = secrets.iter().map(|secret| secret.as_bytes()).collect();
    let authentic = scheme(Provider::BusinessCentral, None).unwrap().verify(&message, &secrets)?;
    let body = serde_json::from_slice(&authentic.body).expect("what is authentic is JSON");
    Ok((body, authentic.dropped))
}

fn notice(state: impl Into<Value>, n: usize) -> Value {
    json!({"subscriptionId": n.to_string(), "clientState": state.into(), "resource": "a\"/b", "changeType": "updated"})
}

#[test]
fn of_a_mixed_body_the_authentic_elements_pass_and_the_others_are_counted() {
    let body = json!({"value": [
        notice(OWN, 0), notice("forged", 1), notice(OLD, 2), notice("", 3), notice(json!(null), 4), notice(json!(7), 5),
        {"subscriptionId": "6"}, notice(format!("{OWN} "), 7), notice(OWN.to_uppercase(), 8), notice(json!([OWN]), 9),
    ]});
    let (authentic, dropped) = verified(body.to_string().as_bytes(), &[OWN, OLD]).unwrap();
    assert_eq!(dropped, 8);
    let expected = json!({"value": [
        {"subscriptionId": "0", "resource": "a\"/b", "changeType": "updated"},
        {"subscriptionId": "2", "resource": "a\"/b", "changeType": "updated"},
    ]});
    assert_eq!(authentic, expected, "and no secret goes on with them");
}

#[test]
fn nothing_authentic_is_refused() {
    for (body, error) in [
        (json!({"value": [notice("forged", 1)]}).to_string(), SignatureError::NoMatch),
        (json!({"value": []}).to_string(), SignatureError::NoMatch),
        (json!({}).to_string(), SignatureError::NoMatch),
        (json!({"clientState": OWN}).to_string(), SignatureError::NoMatch),
        (json!({"value": [OWN]}).to_string(), SignatureError::Body),
        (json!({"value": {"clientState": OWN}}).to_string(), SignatureError::Body),
        (json!([notice(OWN, 1)]).to_string(), SignatureError::Body),
        (String::new(), SignatureError::Body),
        ("nonsense".to_owned(), SignatureError::Body),
        (format!("{}{}", "[".repeat(200), "]".repeat(200)), SignatureError::Body),
        // Two readers, two states.
        (format!(r#"{{"value":[{{"clientState":"{OWN}","clientState":"x"}}]}}"#), SignatureError::NoMatch),
        (format!(r#"{{"value":[{{"clientState":"x","clientState":"{OWN}"}}]}}"#), SignatureError::NoMatch),
        (format!(r#"{{"value":[],"value":[{{"clientState":"{OWN}"}}]}}"#), SignatureError::Body),
    ] {
        assert_eq!(verified(body.as_bytes(), &[OWN]), Err(error), "{body}");
    }
    assert_eq!(verified(b"{\"value\":[\xff]}", &[OWN]), Err(SignatureError::Body));
}

#[test]
fn old_versions_begin_with_a_byte_order_mark_and_escapes_are_read() {
    let escaped = OWN.replace('o', "\\u006f");
    let body = format!("\u{feff}{{\"value\":[{{\"client\\u0053tate\":\"{escaped}\",\"x\":1}}]}}");
    assert_eq!(verified(body.as_bytes(), &[OWN]), Ok((json!({"value": [{"x": 1}]}), 0)));
}

#[test]
fn the_token_of_a_handshake_comes_back_if_it_is_one() {
    let echo = |token: &str| Handshake::Echo(token.to_owned());
    for (query, answer) in [
        ("", Handshake::NotAsked),
        ("a=b", Handshake::NotAsked),
        ("validationToken=opaque-Token_1.2%3D%3D", echo("opaque-Token_1.2==")),
        ("x=1&validationToken=abc", echo("abc")),
        ("validationtoken=abc", echo("abc")),
        ("validationToken=Validation%3A+Request+Id+1", echo("Validation: Request Id 1")),
        ("validationToken=", Handshake::Unusable),
        ("validationToken", Handshake::Unusable),
        ("validationToken=a&validationToken=b", Handshake::Unusable),
        ("validationToken=a&validationtoken=a", Handshake::Unusable),
        ("validationToken=%3Cscript%3Ealert(1)%3C/script%3E", Handshake::Unusable),
        ("validationToken=a%0d%0aset-cookie:%20x", Handshake::Unusable),
        ("validationToken=%00", Handshake::Unusable),
        ("validationToken=%FF", Handshake::Unusable),
        ("validationToken=%C3%A4", Handshake::Unusable),
    ] {
        assert_eq!(handshake(query), answer, "{query}");
    }
    let long = |length| handshake(&format!("validationToken={}", "x".repeat(length)));
    assert_eq!((long(MAX_TOKEN), long(MAX_TOKEN + 1)), (echo(&"x".repeat(MAX_TOKEN)), Handshake::Unusable));
}

proptest! {
    #[test]
    fn no_query_makes_it_echo_what_is_not_plain(query in "(validationToken=)?\\PC{0,60}|validationToken=(%[0-9a-fA-F]{2}){0,9}") {
        if let Handshake::Echo(token) = handshake(&query) {
            prop_assert!(token.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'<' && b != b'>'));
        }
    }
}
