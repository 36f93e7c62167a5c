use super::*;

const SESSION: &str = "5f1c6d3e-0a3b-4b7e-9d55-0b6f2a6c8e11";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn user() -> UserId {
    "0b6f2a6c-8e11-4b7e-9d55-5f1c6d3e0a3b".parse().unwrap()
}

fn item(attributes: &[(&str, AttributeValue)]) -> Item {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn standing(session: Option<Item>, totp: Option<Item>) -> Result<Standing, StoreError> {
    let [ended, noted] = standing_keys(&user(), SESSION);
    let found: HashMap<Key, Item> =
        [session.map(|item| (ended, item)), totp.map(|item| (noted, item))].into_iter().flatten().collect();
    Standing::read(&found, &user(), SESSION, at("2026-11-21T12:00:00Z"))
}

#[test]
fn nothing_stored_is_a_session_that_stands_and_no_totp() {
    let standing = standing(None, None).unwrap();
    assert_eq!(standing, Standing { revoked: false, totp: None });
    assert!(!standing.two_factor(SESSION, at("2026-11-21T11:00:00Z")));
}

#[test]
fn an_ended_session_is_ended_until_it_is_forgotten() {
    let until = |seconds: &str| item(&[("expires_at", AttributeValue::N(seconds.to_owned()))]);
    let now = at("2026-11-21T12:00:00Z").as_second();
    let revoked = |seconds: i64| standing(Some(until(&seconds.to_string())), None).unwrap().revoked;
    assert_eq!([now - 1, now, now + 1].map(revoked), [false, false, true]);
}

#[test]
fn an_odd_item_of_an_ended_session_leaves_it_ended() {
    for odd in [
        item(&[]),
        item(&[("expires_at", AttributeValue::S("1".to_owned()))]),
        item(&[("expires_at", AttributeValue::N("soon".to_owned()))]),
        item(&[("expires_at", AttributeValue::Null(true))]),
    ] {
        assert!(standing(Some(odd), None).unwrap().revoked);
    }
}

#[test]
fn an_odd_note_on_totp_is_an_error_and_never_no_note() {
    let (when, session) = (text("2026-11-21T11:00:00Z"), text(SESSION));
    for odd in [
        item(&[]),
        item(&[("totp_at", when.clone())]),
        item(&[("session", session.clone())]),
        item(&[("totp_at", text("yesterday")), ("session", session.clone())]),
        item(&[("totp_at", AttributeValue::N("1".to_owned())), ("session", session.clone())]),
        item(&[("totp_at", when), ("session", AttributeValue::Bool(true))]),
    ] {
        assert!(matches!(standing(None, Some(odd)), Err(StoreError::Corrupt(_))));
    }
}

#[test]
fn two_factors_are_shown_by_the_session_that_set_totp_up_and_by_later_ones() {
    let note = item(&[("totp_at", text("2026-11-21T11:00:00Z")), ("session", text(SESSION))]);
    let standing = standing(None, Some(note)).unwrap();
    assert!(standing.two_factor(SESSION, at("2026-11-21T10:00:00Z")));
    assert!(standing.two_factor("another", at("2026-11-21T11:00:00Z")));
    assert!(standing.two_factor("another", at("2026-11-21T11:30:00Z")));
    assert!(!standing.two_factor("another", at("2026-11-21T10:59:59Z")));
}

#[test]
fn a_counter_is_stored_as_it_is_named_and_nothing_else_is_one() {
    let counter = Counter::new("account", "00ff");
    assert_eq!(counter.as_str(), "tries#account#00ff");
    assert_eq!(Counter::stored(counter.as_str().to_owned()), Some(counter));
    assert_eq!(Counter::stored("session#x".to_owned()), None);
}
