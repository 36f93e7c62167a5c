use super::*;

/// Events, the first one's entry and the root of all, made by Python's `hashlib` of the tables in the README.
const EVENTS: [&str; 3] = [
    r#"{"id":"aud_01h2xcejqtf2nbrexx3vqjhp41","at":"2027-01-15T08:01:00Z"}"#,
    r#"{"id":"aud_01h2xcejqtf2nbrexx3vqjhp42","at":"2027-01-15T08:02:00Z"}"#,
    r#"{"id":"aud_01h2xcejqtf2nbrexx3vqjhp43","at":"2027-01-15T08:03:00Z"}"#,
];
const ENTRY: &str =
    "0188bac74afa78aabc3bbd1eef28d881fb60217ef127c416acd833de89c1a5450badad1c1f1c1c2a9277fa4e6a21e5bd";
const ROOT: &str = "ko59VQRCUYULgEmsD2VzBW0nNOzjb/21yKIkDlXtw1k=";

fn head() -> Head {
    Head::new(ORIGIN).unwrap()
}

#[test]
fn an_entry_and_a_root_are_what_the_readme_says() {
    let entries = entries(&EVENTS);
    assert_eq!(hex::encode(entries[0].to_bytes()), ENTRY);
    assert_eq!(Entry::from_bytes(&entries[0].to_bytes()), entries[0]);
    assert_eq!(Entry::list(&entries).len(), 3 * Entry::LEN);
    let (checkpoint, _) = head().seal(span(0), &entries).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root.to_string().as_str()), (3, ROOT));
}

#[test]
fn what_has_no_audit_events_id_has_no_entry() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"id":1}"#,
        r#"{"id":"org_01h2xcejqtf2nbrexx3vqjhp41"}"#,
        r#"{"id":"aud_01h2xcejqtf2nbrexx3vqjhp41"} more"#,
        r#"{"id":"aud_01h2xcejqtf2nbrexx3vqjhp41","id":"aud_01h2xcejqtf2nbrexx3vqjhp41"}"#,
    ] {
        assert_eq!(Entry::of(text.as_bytes()), None, "{text}");
    }
    // One that has more than it has today is sealed with all of it.
    let (one, other) = (
        r#"{"id":"aud_01h2xcejqtf2nbrexx3vqjhp41","new":1}"#,
        r#"{"id":"aud_01h2xcejqtf2nbrexx3vqjhp41","new":2}"#,
    );
    assert_ne!(Entry::of(one.as_bytes()), Entry::of(other.as_bytes()));
}

#[test]
fn checkpoints_follow_one_another_through_hours_without_events() {
    let entries = entries(&EVENTS);
    let (first, at_first) = head().seal(span(0), &entries[..2]).unwrap();
    let (empty, at_empty) = at_first.seal(span(1), &[]).unwrap();
    let (last, at_last) = at_empty.seal(span(2), &entries[2..]).unwrap();
    assert_eq!((first.previous, empty.previous), (None, Some(first.hash())));
    assert_eq!((last.previous, last.size), (Some(empty.hash()), 3));
    assert_eq!((empty.size, empty.root), (first.size, first.root));
    assert_eq!(last.root.to_string(), ROOT);
    assert_eq!(at_last.sealed_to(), Some(hour(3)));
    // Whoever seals the same once more makes the same.
    assert_eq!(at_empty.seal(span(2), &entries[2..]).unwrap(), (last.clone(), at_last.clone()));
    // So does who begins from what was kept.
    let kept = Range::from_bytes(&at_empty.range().to_bytes()).unwrap();
    let again = Head::at(&empty.to_string().parse().unwrap(), kept).unwrap();
    assert_eq!(again.seal(span(2), &entries[2..]).unwrap(), (last.clone(), at_last));
    assert_eq!(Head::at(&last, at_empty.range().clone()), Err(SealError::Range));
    // And one event is shown to be in the log by its checkpoint alone.
    let leaves: Vec<Hash> = entries.iter().map(Entry::leaf).collect();
    let proof = inclusion_proof(&leaves, 1).unwrap();
    assert!(verify_inclusion(&leaves[1], 1, last.size, &last.root, &proof));
    let proof = consistency_proof(&leaves, 2).unwrap();
    assert!(verify_consistency((first.size, &first.root), (last.size, &last.root), &proof));
}

#[test]
fn what_does_not_follow_is_not_sealed() {
    let entries = entries(&EVENTS);
    let (_, at_first) = head().seal(span(0), &entries).unwrap();
    let half = jiff::SignedDuration::from_millis(500);
    for wrong in [
        span(0),
        span(2),
        Span { from: hour(1), to: hour(1) },
        Span { from: hour(1), to: hour(0) },
        Span { from: hour(0), to: hour(2) },
        Span { from: hour(1), to: hour(2) + half },
        Span { from: hour(1) + half, to: hour(2) },
    ] {
        assert_eq!(at_first.seal(wrong, &[]), Err(SealError::Span), "{wrong:?}");
    }
    let [a, b, c] = entries.as_slice() else { panic!() };
    for (disorder, second) in [([a, c, b], b), ([b, a, c], a), ([a, b, b], b)] {
        let disorder: Vec<Entry> = disorder.into_iter().copied().collect();
        assert_eq!(head().seal(span(0), &disorder), Err(SealError::Order(second.id)));
    }
    for origin in ["", "a b", "a\nb", "a+b"] {
        assert_eq!(Head::new(origin), Err(SealError::Origin));
    }
}
