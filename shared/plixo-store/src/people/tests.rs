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

const NOW: &str = "2026-11-21T12:00:00Z";

/// How the session stands with these items under its keys, in their order.
fn standing(items: [Option<Item>; 3]) -> Result<Standing, StoreError> {
    let keys = standing_keys(&user(), SESSION).into_iter();
    let found: HashMap<Key, Item> = keys.zip(items).filter_map(|(key, item)| Some((key, item?))).collect();
    Standing::read(&found, &user(), SESSION, at(NOW))
}

fn until(seconds: i64) -> Item {
    session_item(Timestamp::from_second(at(NOW).as_second() + seconds).unwrap())
}

fn begun(text: &str) -> (&'static str, Timestamp) {
    (SESSION, at(text))
}

#[test]
fn nothing_stored_is_a_session_that_stands_and_has_shown_one_factor() {
    let standing = standing([None, None, None]).unwrap();
    assert_eq!(standing, Standing { ended: false, others: None, two_factor: false });
    assert!(!standing.is_over(SESSION, at("2026-11-21T11:00:00Z")));
}

#[test]
fn an_ended_session_is_ended_until_it_is_forgotten() {
    let over = |seconds| standing([Some(until(seconds)), None, None]).unwrap().is_over(SESSION, at(NOW));
    assert_eq!([-1, 0, 1].map(over), [false, false, true]);
}

#[test]
fn two_factors_are_shown_by_a_session_that_is_noted_and_only_until_it_is_forgotten() {
    let shown = |seconds| standing([None, Some(until(seconds)), None]).unwrap().two_factor;
    assert_eq!([-1, 0, 1].map(shown), [false, false, true]);
}

/// Items whose time cannot be read.
fn odd() -> [Item; 4] {
    [
        item(&[]),
        item(&[("expires_at", AttributeValue::S("1".to_owned()))]),
        item(&[("expires_at", AttributeValue::N("soon".to_owned()))]),
        item(&[("expires_at", AttributeValue::Null(true))]),
    ]
}

#[test]
fn an_odd_item_leaves_a_session_ended_and_with_one_factor() {
    for odd in odd() {
        let standing = standing([Some(odd.clone()), Some(odd), None]).unwrap();
        assert!(standing.is_over(SESSION, at(NOW)) && !standing.two_factor);
    }
}

#[test]
fn a_session_ends_the_others_that_began_before() {
    let ended = |but: &str| {
        let others = OthersEnded { at: at("2026-11-21T11:00:00.5Z"), but: but.to_owned() };
        standing([None, None, Some(others_item(&others, at("2026-11-22T00:00:00Z")))]).unwrap()
    };
    let over = |standing: &Standing, (session, began)| standing.is_over(session, began);
    let by_another = ended("another");
    assert!(over(&by_another, begun("2026-11-21T10:59:59Z")));
    assert!(over(&by_another, begun("2026-11-21T11:00:00Z")), "nobody knows which came first");
    assert!(!over(&by_another, begun("2026-11-21T11:00:01Z")));
    assert!(!over(&ended(SESSION), begun("2026-11-21T10:59:59Z")));
}

#[test]
fn what_says_which_sessions_are_over_is_read_or_an_error() {
    let (when, but) = (text("2026-11-21T11:00:00Z"), text(SESSION));
    for odd in [
        item(&[]),
        item(&[("ended_at", when.clone())]),
        item(&[("but", but.clone())]),
        item(&[("ended_at", text("yesterday")), ("but", but.clone())]),
        item(&[("ended_at", AttributeValue::N("1".to_owned())), ("but", but.clone())]),
        item(&[("ended_at", when), ("but", AttributeValue::Bool(true))]),
    ] {
        assert!(matches!(standing([None, None, Some(odd)]), Err(StoreError::Corrupt(_))));
    }
}

#[test]
fn a_counter_is_stored_as_it_is_named_and_nothing_else_is_one() {
    let counter = Counter::new("account", "00ff");
    assert_eq!(counter.as_str(), "tries#account#00ff");
    assert_eq!(Counter::stored(counter.as_str().to_owned()), Some(counter));
    assert_eq!(Counter::stored("session#x".to_owned()), None);
}
