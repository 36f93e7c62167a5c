//! One suite over every scheme: what each accepts, and everything hostile that all of them refuse.

mod business_central;
mod senders;
mod vectors;

use proptest::prelude::*;
use senders::{Sender, Sent, senders};

use super::*;

const NOW: i64 = 1_760_000_000;
const BODY: &[u8] = br#"{"type":"invoice.voided","data":{"id":"INV-1"}}"#;

/// Verifies what was sent, with these secrets.
fn check(sender: &Sender, sent: &Sent, secrets: &[&str], now: i64) -> Result<(), SignatureError> {
    let header = |name: &str| {
        let found = sent.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    };
    let message = Message { header: &header, body: &sent.body, received_at: now };
    let secrets: Vec<_> = secrets.iter().map(|secret| secret.as_bytes()).collect();
    let authentic = sender.scheme().verify(&message, &secrets)?;
    assert_eq!(authentic.dropped, 0);
    if sender.signs_body {
        assert_eq!(authentic.body, sent.body, "{}: nothing is added to what was signed", sender.name);
    }
    Ok(())
}

fn right(sender: &Sender) -> Sent {
    sender.send(&sender.secret, NOW, BODY)
}

fn refused(sender: &Sender, sent: &Sent, what: &str) {
    let result = check(sender, sent, &[&sender.verifies(&sender.secret)], NOW);
    assert!(result.is_err(), "{} accepts {what}", sender.name);
}

fn with(sent: &Sent, header: &str, value: impl Into<String>) -> Sent {
    let mut changed = sent.clone();
    let own = changed.headers.iter_mut().find(|(own, _)| own == header).unwrap();
    own.1 = value.into();
    changed
}

#[test]
fn what_is_right_is_accepted_also_under_the_second_of_two_secrets() {
    for sender in senders() {
        let sent = right(&sender);
        let (own, other) = (sender.verifies(&sender.secret), sender.verifies(&sender.other));
        assert_eq!(check(&sender, &sent, &[&own], NOW), Ok(()), "{}", sender.name);
        assert_eq!(check(&sender, &sent, &[&other, &own], NOW), Ok(()), "{}", sender.name);
        assert!(sender.scheme().takes_secret(&own), "{}", sender.name);
    }
}

#[test]
fn another_secret_a_blank_one_and_none_hold_nothing() {
    for sender in senders() {
        let sent = right(&sender);
        let other = sender.verifies(&sender.other);
        assert_eq!(check(&sender, &sent, &[&other], NOW), Err(SignatureError::NoMatch), "{}", sender.name);
        let none = if sender.name == "stripe" { SignatureError::NoMatch } else { SignatureError::NoSecret };
        for blank in [&[][..], &[""], &[" "], &["\t\n"], &["", ""]] {
            assert_eq!(check(&sender, &sent, blank, NOW), Err(none), "{}", sender.name);
            assert!(blank.iter().all(|secret| !sender.scheme().takes_secret(secret)));
        }
        for short in ["x", "whsec_", "whpk_", "whsec_AAAA", "secret"] {
            assert!(!sender.scheme().takes_secret(short), "{} takes {short}", sender.name);
        }
    }
}

#[test]
fn signing_with_an_empty_key_is_no_way_in() {
    for sender in senders().into_iter().filter(|sender| !sender.name.starts_with("standard")) {
        let sent = sender.send("", NOW, BODY);
        assert!(check(&sender, &sent, &[""], NOW).is_err(), "{}", sender.name);
        assert!(check(&sender, &sent, &[], NOW).is_err(), "{}", sender.name);
    }
}

#[test]
fn each_single_bit_of_the_body_counts() {
    for sender in senders().into_iter().filter(|sender| sender.signs_body) {
        let sent = right(&sender);
        for at in 0..sent.body.len() * 8 {
            let mut changed = sent.clone();
            changed.body[at / 8] ^= 1 << (at % 8);
            let result = check(&sender, &changed, &[&sender.verifies(&sender.secret)], NOW);
            assert_eq!(result, Err(SignatureError::NoMatch), "{} bit {at}", sender.name);
        }
    }
}

#[test]
fn each_single_bit_of_each_header_counts() {
    for sender in senders() {
        let sent = right(&sender);
        for (name, value) in &sent.headers {
            for at in 0..value.len() * 8 {
                let mut bytes = value.clone().into_bytes();
                bytes[at / 8] ^= 1 << (at % 8);
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                let changed = with(&sent, name, changed);
                let result = check(&sender, &changed, &[&sender.verifies(&sender.secret)], NOW);
                assert!(result.is_err(), "{} {name} bit {at}", sender.name);
            }
        }
    }
}

#[test]
fn bodies_cut_or_lengthened_are_refused() {
    for sender in senders().into_iter().filter(|sender| sender.signs_body) {
        let sent = right(&sender);
        let whole = &sent.body;
        let cut = (0..whole.len()).map(|end| whole[..end].to_vec());
        let more = [&b"\n"[..], b" ", b"\0", b"{}"].map(|more| [whole.as_slice(), more].concat());
        let before = [&b"\xef\xbb\xbf"[..], b" "].map(|before| [before, whole.as_slice()].concat());
        for body in cut.chain(more).chain(before) {
            let changed = Sent { body, ..sent.clone() };
            let result = check(&sender, &changed, &[&sender.verifies(&sender.secret)], NOW);
            assert_eq!(result, Err(SignatureError::NoMatch), "{}", sender.name);
        }
    }
}

#[test]
fn headers_that_are_missing_empty_folded_blank_or_cut_are_refused() {
    for sender in senders() {
        let sent = right(&sender);
        for (name, value) in &sent.headers {
            let mut missing = sent.clone();
            missing.headers.retain(|(own, _)| own != name);
            refused(&sender, &missing, "a missing header");
            let forms = [
                String::new(),
                format!("{value},{value}"),
                format!("{value}, {value}"),
                format!("{value} , {value}"),
                format!(" {value}"),
                format!("{value} "),
                format!("{value}\t"),
                format!("{value}\u{a0}"),
                format!("\u{feff}{value}"),
                format!("{value}\0"),
                format!("\"{value}\""),
                "undefined".to_owned(),
                "null".to_owned(),
            ];
            for form in forms {
                // Stripe reads its header by parts and passes over what it does not know.
                let passes_over = sender.name == "stripe" && form.starts_with(value.as_str());
                if !passes_over || form.contains(&format!("{value},")) || form.contains(&format!(", {value}"))
                {
                    refused(&sender, &with(&sent, name, form.clone()), &format!("{name}: {form:?}"));
                }
            }
            for end in 0..value.len() {
                refused(&sender, &with(&sent, name, value.split_at(end).0), &format!("{name} cut at {end}"));
            }
        }
    }
}

#[test]
fn signatures_have_one_spelling() {
    for sender in senders() {
        let sent = right(&sender);
        let Some((name, value)) = sent.headers.iter().find(|(name, _)| *name == sender.signature) else {
            continue;
        };
        let start = value.rfind(sender.before).map_or(0, |at| at + sender.before.len());
        let (before, text) = value.split_at(start);
        let mut spellings = vec![
            text.to_lowercase(),
            text.to_uppercase(),
            text.trim_end_matches('=').to_owned(),
            format!("{text}="),
            format!("{text}A"),
            format!("{text}{text}"),
            format!("0x{text}"),
            text.replace('+', "-").replace('/', "_"),
            text.chars().map(|c| format!("%{:02x}", u32::from(c))).collect(),
            hex::encode(text),
        ];
        if let Some((digits, padding)) = text.find('=').map(|at| text.split_at(at)) {
            // The last digit has bits that say nothing: set, they spell the same bytes another way.
            let mut digits = digits.as_bytes().to_vec();
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let last = digits.last_mut().unwrap();
            let value = alphabet.iter().position(|digit| digit == last).unwrap();
            *last = alphabet[value + 1];
            spellings.push(format!("{}{padding}", String::from_utf8(digits).unwrap()));
        }
        for spelling in spellings.into_iter().filter(|spelling| spelling != text) {
            let changed = with(&sent, name, format!("{before}{spelling}"));
            refused(&sender, &changed, &format!("{spelling:?} for {text:?}"));
        }
    }
}

#[test]
fn huge_headers_are_not_read() {
    for sender in senders() {
        let sent = right(&sender);
        for (name, value) in &sent.headers {
            let huge = format!("{value}{}", "x".repeat(MAX_HEADER_BYTES));
            refused(&sender, &with(&sent, name, huge), "a huge header");
        }
        if let Some((name, _)) = sent.headers.iter().find(|(name, _)| *name == sender.signature) {
            let huge = with(&sent, name, "A".repeat(MAX_HEADER_BYTES + 1));
            let result = check(&sender, &huge, &[&sender.verifies(&sender.secret)], NOW);
            assert_eq!(result, Err(SignatureError::TooLong), "{}", sender.name);
        }
    }
}

#[test]
fn times_count_within_the_tolerance_to_the_second_and_both_ways() {
    for sender in senders() {
        for age in [0, 1, 299, 300, -1, -299, -300, 301, -301, 3_600, -3_600, NOW] {
            let sent = sender.send(&sender.secret, NOW - age, BODY);
            let result = check(&sender, &sent, &[&sender.verifies(&sender.secret)], NOW);
            let late = sender.timed && age.abs() > 300;
            let expected = if late { Err(SignatureError::OutsideTolerance) } else { Ok(()) };
            assert_eq!(result, expected, "{} {age}", sender.name);
        }
    }
}

#[test]
fn clocks_and_times_at_the_ends_of_their_range_do_not_overflow() {
    for sender in senders().into_iter().filter(|sender| sender.timed) {
        for t in [0, 999_999_999_999] {
            for now in [i64::MIN, -301, i64::MAX] {
                let sent = sender.send(&sender.secret, t, BODY);
                let result = check(&sender, &sent, &[&sender.verifies(&sender.secret)], now);
                assert_eq!(result, Err(SignatureError::OutsideTolerance), "{}", sender.name);
            }
        }
    }
}

#[test]
fn times_have_one_spelling() {
    for sender in senders().into_iter().filter(|sender| sender.timed && sender.name != "stripe") {
        let sent = right(&sender);
        for time in [
            format!("0{NOW}"),
            format!("+{NOW}"),
            format!("{NOW}.0"),
            "1.76e9".to_owned(),
            format!("{NOW}000"),
            "-1".to_owned(),
        ] {
            let changed = with(&sent, sender.time, time.clone());
            let result = check(&sender, &changed, &[&sender.verifies(&sender.secret)], NOW);
            assert_eq!(result, Err(SignatureError::Timestamp), "{} {time}", sender.name);
        }
    }
}

#[test]
fn bodies_count_as_bytes_whatever_they_are() {
    let bodies: [&[u8]; 6] = [b"", b"\xff\xfe\x00", b"M\xfcller", b"\xef\xbb\xbf{}", b"\0", &[0x80; 5000]];
    for sender in senders().into_iter().filter(|sender| sender.signs_body) {
        for body in bodies {
            let sent = sender.send(&sender.secret, NOW, body);
            let result = check(&sender, &sent, &[&sender.verifies(&sender.secret)], NOW);
            assert_eq!(result, Ok(()), "{}", sender.name);
        }
    }
}

#[test]
fn without_settings_and_for_nobody_there_is_no_scheme() {
    assert!(scheme(Provider::GenericHmac, None).is_none());
    assert!(scheme(Provider::Member, None).is_none());
    let others =
        Provider::ALL.into_iter().filter(|it| !matches!(it, Provider::GenericHmac | Provider::Member));
    assert!(others.into_iter().all(|provider| scheme(provider, None).is_some()));
}

#[test]
fn nothing_shows_a_body_and_codes_differ() {
    let authentic = Authentic::whole(b"canary");
    assert!(!format!("{authentic:?}").contains("canary") && !format!("{authentic:?}").contains("99, 97"));
    let all = [
        SignatureError::Missing,
        SignatureError::TooLong,
        SignatureError::Timestamp,
        SignatureError::Id,
        SignatureError::NoSignature,
        SignatureError::OutsideTolerance,
        SignatureError::NoSecret,
        SignatureError::NoMatch,
        SignatureError::Body,
    ];
    let codes: std::collections::BTreeSet<_> = all.into_iter().map(SignatureError::code).collect();
    assert_eq!(codes.len(), all.len());
    assert!(codes.iter().all(|code| code.starts_with("signature_")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_signed_holds_and_nothing_else(
        body in prop::collection::vec(any::<u8>(), 0..300),
        other in prop::collection::vec(any::<u8>(), 0..300),
        now in NOW - 100..NOW + 100,
    ) {
        for sender in senders().into_iter().filter(|sender| sender.signs_body) {
            let sent = sender.send(&sender.secret, NOW, &body);
            let secret = sender.verifies(&sender.secret);
            prop_assert_eq!(check(&sender, &sent, &[&secret], now), Ok(()));
            let swapped = Sent { body: other.clone(), ..sent };
            prop_assert_eq!(check(&sender, &swapped, &[&secret], now).is_ok(), body == other);
        }
    }

    #[test]
    fn no_header_makes_it_panic_or_holds(header in "\\PC{0,120}|v1a?,[A-Za-z0-9+/]{0,90}={0,2}|[0-9a-f]{60,70}") {
        for sender in senders() {
            let sent = right(&sender);
            for (name, value) in &sent.headers {
                if *value != header {
                    let changed = with(&sent, name, header.clone());
                    prop_assert!(check(&sender, &changed, &[&sender.verifies(&sender.secret)], NOW).is_err());
                }
            }
        }
    }
}
