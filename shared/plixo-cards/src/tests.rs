use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The corpus's texts, with `\u{…}` made characters.
fn corpus(file: &str) -> Vec<String> {
    let text = |line: &str| {
        let mut parts = line.split("\\u{");
        let mut text = parts.next().unwrap().to_owned();
        for part in parts {
            let (code, rest) = part.split_once('}').unwrap();
            text.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
            text.push_str(rest);
        }
        text
    };
    file.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).map(text).collect()
}

/// Texts with card numbers: as they come in, as they go out, and how many numbers they hold.
fn hits() -> Vec<(String, String, usize)> {
    let hit = |text: String| {
        let (mut plain, mut masked, mut count) = (String::new(), String::new(), 0);
        for (at, part) in text.split(['«', '»']).enumerate() {
            plain.push_str(part);
            if at % 2 == 0 {
                masked.push_str(part);
            } else {
                count += 1;
                let mut left = part.chars().filter(|c| c.is_numeric()).count();
                for c in part.chars() {
                    left -= usize::from(c.is_numeric());
                    masked.push(if c.is_numeric() && left >= 4 { '*' } else { c });
                }
            }
        }
        (plain, masked, count)
    };
    corpus(include_str!("corpus/hits.txt")).into_iter().map(hit).collect()
}

fn lookalikes() -> Vec<String> {
    corpus(include_str!("corpus/lookalikes.txt"))
}

/// A JSON string with every character as `\uXXXX`.
fn escaped(text: &str) -> String {
    text.encode_utf16().fold("\"".to_owned(), |json, unit| format!("{json}\\u{unit:04x}")) + "\""
}

/// All that must hold of a text's redaction, whatever the text.
fn assert_sound(before: &str, after: &Redacted<'_>) {
    assert_eq!(matches!(after.text, Cow::Borrowed(_)), after.count == 0, "{before}");
    assert_eq!(redact_text(&after.text).count, 0, "{before}");
    assert!(!contains(&after.text), "{before}");
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}

#[test]
fn every_hit_of_the_corpus_is_masked() {
    assert!(hits().len() > 190);
    for (plain, masked, count) in hits() {
        let redacted = redact_text(&plain);
        assert_eq!(redacted.text, masked, "{plain}");
        assert_eq!(redacted.count, count, "{plain}");
        assert!(contains(&plain), "{plain}");
        assert_sound(&plain, &redacted);
    }
}

#[test]
fn every_lookalike_of_the_corpus_stays() {
    assert!(lookalikes().len() > 190);
    for text in lookalikes() {
        assert_eq!(redact_text(&text), Redacted { text: Cow::Borrowed(&text), count: 0 });
        assert!(!contains(&text), "{text}");
    }
}

#[test]
fn the_corpus_holds_in_json_strings_and_keys_however_they_are_escaped() {
    let all = hits().into_iter().chain(lookalikes().into_iter().map(|text| (text.clone(), text, 0)));
    for (plain, masked, count) in all {
        for string in [serde_json::to_string(&plain).unwrap(), escaped(&plain)] {
            let text = format!(r#"{{"a":[{string},1],{string}:"b\"\\","c":"é\n\ud83d\ude00"}}"#);
            let redacted = redact_json(&text);
            assert_eq!(redacted.count, 2 * count, "{text}");
            let value: Value = serde_json::from_str(&redacted.text).unwrap();
            assert_eq!(value, json!({"a": [masked, 1], &masked: "b\"\\", "c": "é\n😀"}), "{text}");
            assert_eq!(redact_json(&redacted.text).count, 0, "{text}");
        }
    }
}

#[test]
fn a_bare_number_becomes_a_string() {
    for (before, after) in [
        ("4242424242424242", r#""************4242""#),
        (r#"{"a":4242424242424242}"#, r#"{"a":"************4242"}"#),
        (
            r#"{"a": [ 4242424242424242 , 378282246310005]}"#,
            r#"{"a": [ "************4242" , "***********0005"]}"#,
        ),
        (r#"{"a":-4242424242424242}"#, r#"{"a":"************4242"}"#),
        (r#"["4242424242424242",4242424242424242]"#, r#"["************4242","************4242"]"#),
        (
            r#"["\\",4242424242424242,"\\4242424242424242"]"#,
            r#"["\\","************4242","\\************4242"]"#,
        ),
    ] {
        assert_eq!(redact_json(before).text, after);
    }
    for number in [
        "4242424242424242.0",
        "4242424242424242.5",
        "4242424242424242e0",
        "4242424242424242E+2",
        "1e4242424242424242",
        "1e-4242424242424242",
        "0.4242424242424242",
        "1700000000000",
        "12500",
    ] {
        let text = format!(r#"{{"a":{number},"b":[{number}]}}"#);
        assert_eq!(redact_json(&text), Redacted { text: Cow::Borrowed(&text), count: 0 }, "{text}");
    }
}

#[test]
fn what_is_no_json_is_redacted_as_text() {
    for (before, after) in [
        ("4242 4242 4242 4242", "**** **** **** 4242"),
        (r#"{"a":"4242424242424242"#, r#"{"a":"************4242"#),
        (r#"{"a":4242 4242 4242 4242}"#, r#"{"a":**** **** **** 4242}"#),
        (r"4242\u00a04242\u00a04242\u00a04242", r"****\u00a0****\u00a0****\u00a04242"),
        (r"\u0034242424242424242\", r"************4242\"),
        (r"\", r"\"),
        (r"\u12", r"\u12"),
        (r"\u00e", r"\u00e"),
        (r"\u+0344242424242424242", r"\u+0344242424242424242"),
        (r"\u+034 4242424242424242", r"\u+034 ************4242"),
    ] {
        assert_eq!(redact_json(before).text, after);
    }
}

#[test]
fn digits_of_escapes_are_no_digits_of_the_text() {
    for text in [
        r#""\u4242424242424242""#,
        r#""\u00e94242424242424""#,
        r#""4242\u4242\u4242\u4242""#,
        r#""x\\u0034242424242424242""#,
    ] {
        assert_eq!(redact_json(text).count, 0, "{text}");
    }
    assert_eq!(redact_json(r#""\u00e94242424242424242""#).text, r#""\u00e9************4242""#);
    assert_eq!(redact_json(r#""\n4242424242424242\n""#).text, r#""\n************4242\n""#);
    assert_eq!(redact_json(r#""\\n4242424242424242\\n""#).text, r#""\\n************4242\\n""#);
}

#[test]
fn what_a_mask_leaves_is_looked_at_again() {
    let text = "4242424242424242 4242 4242 4242";
    let redacted = redact_text(text);
    assert_eq!(redacted.text, "**************** **** **** 4242");
    assert_sound(text, &redacted);
}

#[test]
fn numbers_that_overlap_are_one_and_masked_together() {
    let redacted = redact_text("4242 4242 4242 4242 4242 4242 4242");
    assert_eq!((&*redacted.text, redacted.count), ("**** **** **** **** **** **** 4242", 1));
}

#[test]
fn long_runs_of_digits_are_masked_too() {
    for unit in
        ["4", "4 ", "42 ", "4242 ", "4242424242424242 ", "４", "4242-", "4242.", "4242 4242 4242 4242 123 "]
    {
        let text = unit.repeat((1 << 15) / unit.len());
        let redacted = redact_text(&text);
        assert_sound(&text, &redacted);
    }
}

#[test]
fn random_ids_are_hit_as_rarely_as_documented() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut id = |digits: usize| {
        let all = format!("{:010}{:010}", random() % 10_000_000_000, random() % 10_000_000_000);
        format!("order {}", all.split_at(digits).0)
    };
    let mut hits = |digits| (0..50_000).filter(|_| contains(&id(digits))).count();
    for (digits, documented) in [(13, 91), (14, 37), (15, 31), (16, 297), (17, 88), (18, 88), (19, 188)] {
        let per_ten_thousand = hits(digits) / 5;
        assert!(per_ten_thousand.abs_diff(documented) <= 15, "{digits} digits: {per_ten_thousand} of 10,000");
    }
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(hits().into_iter().map(|(plain, ..)| plain).collect::<Vec<_>>()),
        2 => prop::sample::select(lookalikes()),
        3 => "[0-9]{1,20}",
        2 => "[0-9]{4}",
        2 => "[ .\\-*+_a-f\u{a0}\u{ff10}-\u{ff19}]{1,3}",
        1 => "\\PC{0,5}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::String),
        (0_u32..20, any::<u64>()).prop_map(|(digits, n)| json!(n % 10_u64.pow(digits))),
        Just(json!(4_242_424_242_424_242_u64)),
        Just(json!(-378_282_246_310_005_i64)),
        any::<f64>().prop_map(|n| json!(n)),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((text(), inner), 0..3).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

/// The text with all digits and stars made the same: what redacting may not change.
fn skeleton(text: &str) -> String {
    let digit = |c: char| {
        c == '*'
            || c.is_ascii_digit()
            || ('\u{ff10}'..='\u{ff19}').contains(&c)
            || (!c.is_ascii() && c.is_numeric())
    };
    text.chars().map(|c| if digit(c) { '*' } else { c }).collect()
}

#[test]
fn stars_that_no_mask_left_are_none() {
    assert!(is_masked("*********0000") && is_masked("Kunde **** **** **** 0002"));
    assert!(!is_masked("*** VIP *** Zoë GmbH") && !is_masked("********"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn redacting_text_is_sound_and_changes_digits_only(text in text()) {
        let redacted = redact_text(&text);
        assert_sound(&text, &redacted);
        prop_assert!(redacted.count == 0 || is_masked(&redacted.text));
        prop_assert_eq!(skeleton(&redacted.text), skeleton(&text));
        prop_assert_eq!(redacted.text.chars().count(), text.chars().count());
    }

    #[test]
    fn redacting_json_gives_json_and_changes_digits_only(value in value()) {
        let text = value.to_string();
        let redacted = redact_json(&text);
        prop_assert!(is_json(&redacted.text), "{}", redacted.text);
        let again = redact_json(&redacted.text);
        prop_assert_eq!(&again.text, &redacted.text);
        prop_assert_eq!(again.count, 0);
        let no_quotes = |text: &str| skeleton(text).replace(['"', '-'], "");
        prop_assert_eq!(no_quotes(&redacted.text), no_quotes(&text));
    }

    #[test]
    fn no_text_is_a_panic(text in "(\\PC|[\\\\u0-9a-f\" ]){0,60}") {
        let redacted = redact_json(&text);
        prop_assert_eq!(redact_json(&redacted.text).count, 0);
        prop_assert!(!is_json(&text) || is_json(&redacted.text));
    }

    #[test]
    fn a_card_number_is_found_in_any_grouping_people_use(
        number in prop::sample::select(vec!["4242424242424242", "378282246310005", "36227206271667", "5555555555554444", "4000000000000000006"]),
        gap in prop::sample::select(vec!["", " ", "-", "\u{a0}", "  ", " - ", "\u{2011}", "\u{202f}"]),
        before in prop::sample::select(vec!["", "card ", "Karte:", "(", "\n", "=", "カード"]),
        after in prop::sample::select(vec!["", " 12/28", ")", ". Danke", "\n", "&cvc=123", "です"]),
    ) {
        let sizes: &[usize] = match number.len() { 15 => &[4, 6, 5], 14 => &[4, 6, 4], 19 => &[4, 4, 4, 4, 3], _ => &[4, 4, 4, 4] };
        let mut rest = number;
        let groups: Vec<&str> = sizes.iter().map(|size| { let (group, tail) = rest.split_at(*size); rest = tail; group }).collect();
        let text = format!("{before}{}{after}", groups.join(gap));
        prop_assert_eq!(redact_text(&text).count, 1, "{}", text);
    }
}
