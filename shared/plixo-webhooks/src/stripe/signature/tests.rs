use proptest::prelude::*;

use super::*;

#[path = "reference.rs"]
mod reference;

const SECRET: &str = "whsec_test_secret";
const NOW: i64 = 1_760_000_000;
const BODY: &[u8] = br#"{"id":"evt_1","object":"event","type":"charge.succeeded"}"#;
const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn v1(secret: &str, t: impl std::fmt::Display, body: &[u8]) -> String {
    hex::encode(mac(secret.as_bytes(), &t.to_string(), body))
}

fn verified(header: &str, body: &[u8], secrets: &[&str], now: i64) -> Result<(), SignatureError> {
    verify(header, body, secrets.iter().map(|secret| secret.as_bytes()), now)
}

fn check(header: &str) -> Result<(), SignatureError> {
    verified(header, BODY, &[SECRET], NOW)
}

#[test]
fn public_vectors() {
    let a = br#"{"account":"acct_123","api_version":"2017-05-25","created":1533204620,"data":{"object":{"amount":1000,"currency":"usd","customer":"cus_123","date":1533204620,"description":"Test Invoice Item","discountable":false,"id":"ii_123","invoice":"in_123","livemode":false,"metadata":{},"object":"invoiceitem","period":{"end":1533204620,"start":1533204620},"proration":false,"quantity":3,"quantity_decimal":"0"}},"id":"evt_123","livemode":false,"object":"event","pending_webhooks":1,"request":{"id":"req_123","idempotency_key":"idempotency-key-123"},"type":"invoiceitem.created"}"#;
    let header = "t=1533204620,v1=d7373bc68f4bd320b253cd7461f87af6e1cdf1b4d7db1614d8d1d746972d2d0a";
    assert_eq!(verified(header, a, &["secret"], 1_533_204_620), Ok(()));
    assert_eq!(sign(b"secret", 1_533_204_620, a), header);

    let b = br#"{"id":"evt_test_001","object":"event","type":"invoice.paid"}"#;
    let header = "t=1700000000,v1=487d7e98aa69ae72ffc5af74cc3e3e97eaed285ef798fc91dcfb6a493045db41";
    assert_eq!(verified(header, b, &["whsec_test_secret"], 1_700_000_000), Ok(()));
    assert_eq!(sign(b"whsec_test_secret", 1_700_000_000, b), header);
}

/// The cases of the test suites of Stripe's own libraries for Node, Python and Go. Those about a language's types (an
/// object or an array as the payload, asynchronous crypto) have no counterpart here.
mod official {
    use super::*;

    #[test]
    fn valid_payload_and_header() {
        assert_eq!(check(&sign(SECRET.as_bytes(), NOW, BODY)), Ok(()));
    }

    #[test]
    fn signed_but_invalid_json_passes_here_and_fails_in_the_parser() {
        for body in [&b"this is not valid JSON"[..], br#"{"id":"evt_1","object":"event"}["#, b""] {
            assert_eq!(verified(&sign(SECRET.as_bytes(), NOW, body), body, &[SECRET], NOW), Ok(()));
            assert!(crate::stripe::event::Event::parse(body).is_err());
        }
    }

    #[test]
    fn free_text_is_no_header() {
        for header in ["bad_header", "I'm not even a real signature header", "t=", "t", "=", ",", "v1"] {
            assert_eq!(check(header), Err(SignatureError::Timestamp), "{header}");
        }
        assert_eq!(check("v1,t=1"), Err(SignatureError::NoSignature));
    }

    #[test]
    fn no_header() {
        assert_eq!(check(""), Err(SignatureError::Missing));
    }

    #[test]
    fn blank_secret_signs_nothing() {
        for secret in ["", " ", "\t\n"] {
            assert_eq!(
                verified(&sign(secret.as_bytes(), NOW, BODY), BODY, &[secret], NOW),
                Err(SignatureError::NoMatch)
            );
        }
        assert_eq!(verified(&sign(b"", NOW, BODY), BODY, &[], NOW), Err(SignatureError::NoMatch));
    }

    #[test]
    fn secret_with_a_line_break_is_another_secret() {
        let header = sign(SECRET.as_bytes(), NOW, BODY);
        assert_eq!(verified(&header, BODY, &["whsec_test_secret\n"], NOW), Err(SignatureError::NoMatch));
    }

    #[test]
    fn only_another_scheme_is_no_signature() {
        let header = format!("t={NOW},v0={}", v1(SECRET, NOW, BODY));
        assert_eq!(check(&header), Err(SignatureError::NoSignature));
    }

    #[test]
    fn wrong_signature() {
        assert_eq!(check(&format!("t={NOW},v1={OTHER}")), Err(SignatureError::NoMatch));
        for wrong in ["bad_signature", "deadbeef", "potato"] {
            assert_eq!(check(&format!("t={NOW},v1={wrong}")), Err(SignatureError::NoSignature), "{wrong}");
        }
        assert_eq!(check(&sign(b"whsec_another", NOW, BODY)), Err(SignatureError::NoMatch));
        assert_eq!(check(&sign(SECRET.as_bytes(), NOW, b"other bytes")), Err(SignatureError::NoMatch));
    }

    #[test]
    fn tolerance_to_the_second_and_both_ways() {
        for (age, expected) in [
            (0, Ok(())),
            (15, Ok(())),
            (299, Ok(())),
            (300, Ok(())),
            (301, Err(SignatureError::OutsideTolerance)),
            (400, Err(SignatureError::OutsideTolerance)),
            (-300, Ok(())),
            (-301, Err(SignatureError::OutsideTolerance)),
            (-3600, Err(SignatureError::OutsideTolerance)),
            (NOW, Err(SignatureError::OutsideTolerance)),
        ] {
            assert_eq!(check(&sign(SECRET.as_bytes(), NOW - age, BODY)), expected, "{age}");
        }
    }

    #[test]
    fn valid_v1_among_bad_ones() {
        let good = v1(SECRET, NOW, BODY);
        for header in [
            format!("t={NOW},v1={good},v1=potato"),
            format!("t={NOW},v1={good},v1=bad_signature"),
            format!("t={NOW},v1={OTHER},v1={good}"),
            format!("t={NOW},v1=,v1={good}"),
            format!("t={NOW},v0={OTHER},v1={good}"),
            format!("v1={good},t={NOW}"),
        ] {
            assert_eq!(check(&header), Ok(()), "{header}");
        }
    }

    #[test]
    fn rolled_secret() {
        let header = format!("t={NOW},v1={},v1={}", v1("whsec_old", NOW, BODY), v1("whsec_new", NOW, BODY));
        for live in [&["whsec_old"][..], &["whsec_new"], &["whsec_new", "whsec_old"]] {
            assert_eq!(verified(&header, BODY, live, NOW), Ok(()));
        }
        let old = sign(b"whsec_old", NOW, BODY);
        assert_eq!(verified(&old, BODY, &["whsec_new", "whsec_old"], NOW), Ok(()));
        assert_eq!(verified(&old, BODY, &["whsec_new"], NOW), Err(SignatureError::NoMatch));
    }
}

#[test]
fn a_time_that_is_not_canonical_is_refused_though_signed() {
    for t in [
        format!("0{NOW}"),
        format!("+{NOW}"),
        format!("-{NOW}"),
        format!(" {NOW}"),
        format!("{NOW} "),
        format!("{NOW}.0"),
        format!("{NOW}abc"),
        format!("{NOW}=1"),
        "1_760_000_000".to_owned(),
        "１７６００００００００".to_owned(),
        "9223372036854775807".to_owned(),
        "9223372036854775808".to_owned(),
        "-9223372036854775808".to_owned(),
        "1760000000000".to_owned(),
        "1e9".to_owned(),
        "00".to_owned(),
        String::new(),
    ] {
        let header = format!("t={t},v1={}", v1(SECRET, &t, BODY));
        assert_eq!(check(&header), Err(SignatureError::Timestamp), "{t}");
    }
}

#[test]
fn times_and_clocks_at_the_ends_of_their_range_do_not_overflow() {
    for t in ["0", "999999999999"] {
        for now in [i64::MIN, -301, i64::MAX] {
            let header = format!("t={t},v1={}", v1(SECRET, t, BODY));
            assert_eq!(verified(&header, BODY, &[SECRET], now), Err(SignatureError::OutsideTolerance));
        }
    }
    assert_eq!(verified(&sign(SECRET.as_bytes(), 0, BODY), BODY, &[SECRET], 300), Ok(()));
}

#[test]
fn merged_headers_are_refused() {
    let (one, two) = (sign(SECRET.as_bytes(), NOW, BODY), sign(SECRET.as_bytes(), NOW - 1, BODY));
    for header in [
        format!("{one},{two}"),
        format!("{one}, {two}"),
        format!("{one},{one}"),
        format!(" {one}"),
        format!("{one},t"),
    ] {
        assert_eq!(check(&header), Err(SignatureError::Timestamp), "{header}");
    }
}

#[test]
fn only_64_lower_case_hexadecimal_digits_are_a_signature() {
    let good = v1(SECRET, NOW, BODY);
    for wrong in [
        good.to_uppercase(),
        good.split_at(63).0.to_owned(),
        good.split_at(2).0.to_owned(),
        format!("{good}0"),
        format!("{good}00"),
        format!("{good}=="),
        format!(" {good}"),
        format!("{good} "),
        String::new(),
    ] {
        assert_eq!(check(&format!("t={NOW},v1={wrong}")), Err(SignatureError::NoSignature), "{wrong}");
    }
    assert_eq!(check(&format!("t={NOW}, v1={good}")), Err(SignatureError::NoSignature));
    assert_eq!(check(&format!("t={NOW},V1={good}")), Err(SignatureError::NoSignature));
}

#[test]
fn unknown_parts_are_ignored() {
    let good = v1(SECRET, NOW, BODY);
    for header in [
        format!("t={NOW},v1={good},"),
        format!(",,t={NOW},v1={good}"),
        format!("t={NOW},v1={good},v2=whatever"),
        format!("t={NOW},v1={good},free text ü"),
        format!("t={NOW},v1={good},T=1,v1"),
    ] {
        assert_eq!(check(&header), Ok(()), "{header}");
    }
}

#[test]
fn the_body_counts_to_the_byte() {
    let bom = b"\xef\xbb\xbf{}";
    assert_eq!(verified(&sign(SECRET.as_bytes(), NOW, bom), bom, &[SECRET], NOW), Ok(()));
    assert_eq!(
        verified(&sign(SECRET.as_bytes(), NOW, b"{}"), bom, &[SECRET], NOW),
        Err(SignatureError::NoMatch)
    );
    assert_eq!(
        verified(&sign(SECRET.as_bytes(), NOW, b"{}"), b"{}\n", &[SECRET], NOW),
        Err(SignatureError::NoMatch)
    );
    let latin1 = b"{\"name\":\"M\xfcller\"}";
    assert_eq!(verified(&sign(SECRET.as_bytes(), NOW, latin1), latin1, &[SECRET], NOW), Ok(()));
    let replaced = String::from_utf8_lossy(latin1);
    let lossy = sign(SECRET.as_bytes(), NOW, replaced.as_bytes());
    assert_eq!(verified(&lossy, latin1, &[SECRET], NOW), Err(SignatureError::NoMatch));
}

#[test]
fn header_length_is_bounded_and_full_of_signatures_it_still_verifies() {
    let good = sign(SECRET.as_bytes(), NOW, BODY);
    let mut header = format!("t={NOW}");
    while header.len() + 68 + good.len() <= MAX_HEADER_BYTES {
        header.push_str(&format!(",v1={OTHER}"));
    }
    header.push_str(&format!(",v1={}", v1(SECRET, NOW, BODY)));
    assert_eq!(check(&header), Ok(()));
    let padded = format!("{good},{}", "x".repeat(MAX_HEADER_BYTES - good.len()));
    assert_eq!(check(&padded), Err(SignatureError::TooLong));
    assert_eq!(check(padded.split_at(MAX_HEADER_BYTES).0), Ok(()));
}

fn headers() -> impl Strategy<Value = (String, Vec<u8>)> {
    let part = prop_oneof![
        4 => (-320_i64..320).prop_map(|age| format!("t={}", NOW - age)),
        1 => Just(format!("t={NOW}")),
        1 => "t=[-+0]?[0-9]{0,20}",
        3 => Just("GOOD".to_owned()),
        1 => Just("GOOD0".to_owned()),
        1 => Just(format!("v1={OTHER}")),
        1 => "v[01]=[0-9a-f]{0,66}",
        1 => "[ -~]{0,8}",
        1 => "\\PC{0,6}",
    ];
    (prop::collection::vec(part, 0..6), prop::collection::vec(any::<u8>(), 0..40), ",|, ").prop_map(
        |(parts, body, comma)| {
            let time = parts.iter().find_map(|part| part.strip_prefix("t=")).unwrap_or("0").to_owned();
            let good = format!("v1={}", v1(SECRET, time, &body));
            (parts.join(&comma).replace("GOOD", &good), body)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn accepts_what_the_reference_accepts((header, body) in headers(), now in NOW - 310..NOW + 310) {
        let expected = reference::accepts(&header, now, |time| v1(SECRET, time, &body));
        prop_assert_eq!(verified(&header, &body, &[SECRET], now).is_ok(), expected);
    }

    #[test]
    fn any_one_changed_bit_is_refused(body in prop::collection::vec(any::<u8>(), 1..60), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let header = sign(SECRET.as_bytes(), NOW, &body);
        let mut changed = body.clone();
        changed[at.index(body.len())] ^= 1 << bit;
        prop_assert_eq!(verified(&header, &body, &[SECRET], NOW), Ok(()));
        prop_assert_eq!(verified(&header, &changed, &[SECRET], NOW), Err(SignatureError::NoMatch));
    }
}
