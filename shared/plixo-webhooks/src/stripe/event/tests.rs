use proptest::prelude::*;

use super::*;
use crate::json::Problem;

const EVENT: &str = r#"{"id":"evt_1","object":"event","account":"acct_1","created":1760000000,"data":{"object":{"id":"ch_1"}},"livemode":false,"pending_webhooks":2,"type":"charge.succeeded"}"#;

fn refused(body: impl AsRef<[u8]>) -> EventError {
    Event::parse(body.as_ref()).expect_err("this body is no event")
}

fn field(pointer: &str, problem: Problem) -> EventError {
    EventError::Field(FieldError { pointer: pointer.to_owned(), problem })
}

#[test]
fn reads_what_an_event_says_of_itself() {
    let event = Event::parse(EVENT.as_bytes()).unwrap();
    assert_eq!((&*event.id, &*event.kind, event.text()), ("evt_1", "charge.succeeded", EVENT));
    assert_eq!(
        (event.account.as_deref(), event.created, event.livemode),
        (Some("acct_1"), Some(1_760_000_000), false)
    );
    assert!(!format!("{event:?}").contains("ch_1"), "what it says may be personal");
    assert!(matches!(event.id, Cow::Borrowed(_)));
}

#[test]
fn reads_escapes_and_does_without_what_is_not_needed() {
    let event = Event::parse(br#" {"\u0069d":"evt\u005f1","type":"a.b","account":null} "#).unwrap();
    assert_eq!((&*event.id, &*event.kind), ("evt_1", "a.b"));
    assert_eq!((event.account, event.created, event.livemode), (None, None, true));
}

#[test]
fn refuses_what_is_no_event() {
    assert_eq!(refused(b"\xff\xfe"), EventError::NotUtf8);
    assert_eq!(refused(b"{\"id\":\"M\xfcller\"}"), EventError::NotUtf8);
    for text in [
        "",
        " ",
        "{",
        "nonsense",
        "{'id':1}",
        "{}[",
        "{} {}",
        "\u{feff}{}",
        "{\"a\":01}",
        "[1,]",
        "{\"a\":tru}",
    ] {
        assert_eq!(refused(text), EventError::NotJson, "{text}");
    }
    for text in ["[]", "1", "\"event\"", "null", "true", r#"["evt_1","event"]"#, r#"{"object":"charge"}"#] {
        assert_eq!(refused(text), EventError::NotAnEvent, "{text}");
    }
    assert_eq!(
        refused(r#"{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter"}"#),
        EventError::Thin
    );
}

#[test]
fn names_the_field_that_cannot_be_used() {
    for (from, to, pointer, problem) in [
        (r#""id":"evt_1","#, "", "/id", Problem::Missing),
        (r#""id":"evt_1""#, r#""id":null"#, "/id", Problem::Missing),
        (r#""id":"evt_1""#, r#""id":1"#, "/id", Problem::IllTyped),
        (r#""id":"evt_1""#, r#""id":"evt_1","id":"evt_1""#, "/id", Problem::Repeated),
        (r#""id":"evt_1""#, r#""id":"evt_1","\u0069d":"evt_2""#, "/id", Problem::Repeated),
        (r#""id":"evt_1""#, r#""id":"\ud800""#, "/id", Problem::IllTyped),
        (r#""type":"charge.succeeded""#, r#""type":["charge.succeeded"]"#, "/type", Problem::IllTyped),
        (r#""object":"event""#, r#""object":"event","object":"event""#, "/object", Problem::Repeated),
        (r#""account":"acct_1""#, r#""account":{"id":"acct_1"}"#, "/account", Problem::IllTyped),
        ("1760000000", "1760000000.5", "/created", Problem::IllTyped),
        ("1760000000", "-1", "/created", Problem::IllTyped),
        ("1760000000", "9223372036854775808", "/created", Problem::IllTyped),
        ("1760000000", "\"1760000000\"", "/created", Problem::IllTyped),
        (r#""livemode":false"#, r#""livemode":"false""#, "/livemode", Problem::IllTyped),
    ] {
        let body = EVENT.replace(from, to);
        assert_ne!(body, EVENT);
        assert_eq!(refused(&body), field(pointer, problem), "{body}");
    }
}

#[test]
fn an_error_never_shows_the_value() {
    let error = refused(EVENT.replace("1760000000", "\"canary\""));
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert_eq!(error.to_string(), "/created has not the type or range it should have");
}

#[test]
fn depth_is_bounded_and_brackets_in_strings_do_not_count() {
    let nested = |depth: usize| {
        let data = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"id":"evt_1","type":"a.b","data":{data}}}"#)
    };
    assert!(Event::parse(nested(MAX_DEPTH - 1).as_bytes()).is_ok());
    assert_eq!(refused(nested(MAX_DEPTH)), EventError::TooDeep);
    assert_eq!(refused("[".repeat(1 << 20)), EventError::TooDeep);
    let text = format!(r#"{{"id":"evt_1","type":"a.b","data":"\"\\{}"}}"#, "[".repeat(1_000));
    assert!(Event::parse(text.as_bytes()).is_ok());
}

#[test]
fn fingerprint_leaves_out_the_number_of_pending_webhooks_and_nothing_else() {
    let of = |text: &str| Event::parse(text.as_bytes()).unwrap().fingerprint();
    let first = of(EVENT);
    assert_eq!(of(&EVENT.replace(r#""pending_webhooks":2"#, r#""pending_webhooks":1"#)), first);
    assert_eq!(of(&EVENT.replace(r#""pending_webhooks":2"#, r#""pending_webhooks":1234"#)), first);
    for (from, to) in [
        (r#""pending_webhooks":2"#, r#""pending_webhooks": 2"#),
        (r#""pending_webhooks":2"#, r#""pending_webhooks":"2""#),
        (r#""pending_webhooks":2"#, r#""pending_webhooks":-2"#),
        (r#""pending_webhooks":2"#, r#""pending_webhooks":2,"pending_webhooks":2"#),
        (r#""pending_webhooks":2"#, r#""pending_webhook":2"#),
        (r#","pending_webhooks":2"#, ""),
        ("ch_1", "ch_2"),
        (r#""id":"ch_1""#, r#""id":"ch_1","pending_webhooks":3"#),
        ("1760000000", "1760000001"),
    ] {
        assert_ne!(of(&EVENT.replace(from, to)), first, "{to}");
    }
    let inner = EVENT.replace(r#""id":"ch_1""#, r#""id":"ch_1","pending_webhooks":3"#);
    assert_ne!(of(&inner), of(&inner.replace(r#""pending_webhooks":3"#, r#""pending_webhooks":4"#)));
}

#[test]
fn fingerprint_of_an_event_without_that_number_is_its_sha_256() {
    let event = Event::parse(br#"{"id":"evt_1","type":"a.b"}"#).unwrap();
    assert_eq!(
        hex::encode(event.fingerprint()),
        "ce902c27dfe130e7d80c7c6feb0fbb043266857359db23948b824b72db95ffda"
    );
}

/// All that can be read of these bytes.
fn read_all(bytes: &[u8]) {
    if let Ok(event) = Event::parse(bytes) {
        let _ = (crate::stripe::fact::read(&event), event.fingerprint());
    }
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn no_damage_to_an_event_is_a_panic(at in any::<prop::sample::Index>(), len in 0_usize..8, patch in "[ -~]{0,6}") {
        let start = at.index(EVENT.len());
        let end = (start + len).min(EVENT.len());
        let damaged = [EVENT.split_at(start).0, &patch, EVENT.split_at(end).1].concat();
        read_all(damaged.as_bytes());
    }
}
