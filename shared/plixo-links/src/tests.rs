use jiff::Timestamp;
use plixo_domain::id::from_bytes;
use plixo_domain::secret::Secret;
use proptest::prelude::*;

use super::*;

const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn keyring() -> Keyring {
    Keyring::read(&Secret::new(format!(r#"{{"v": 1, "key": "{KEY}"}}"#))).unwrap()
}

fn drawn(number: u32) -> Secret {
    Secret::new(format!("{number:0>50}"))
}

fn counting(from: u8) -> [u8; 16] {
    std::array::from_fn(|n| from + u8::try_from(n).unwrap())
}

fn claims(expires_at: i64) -> Claims {
    Claims {
        purpose: Purpose::Link,
        org: from_bytes(counting(0)),
        invoice: from_bytes(counting(16)),
        link: from_bytes(counting(32)),
        expires_at: at(expires_at),
    }
}

fn signed(keyring: &Keyring, claims: &Claims, now: i64) -> String {
    keyring.sign(claims, at(now)).unwrap().reveal().to_owned()
}

/// Made by Python's `hmac` and `base64` of the table in the README.
const TOKEN: &str = "AQE_C3K9AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4va0nSABq1l9u_iGkp4UO0xIYvhdAhSH77KFfb8orFN45Zp3fO";

#[test]
fn a_token_is_what_the_readme_says() {
    let claims = claims(1_800_000_000);
    assert_eq!(signed(&keyring(), &claims, 0), TOKEN);
    assert_eq!(keyring().verify(TOKEN, Purpose::Link, at(1_799_999_999)), Ok(claims));
}

#[test]
fn it_ends_with_its_second() {
    let last = "2027-01-15T07:59:59.999999999Z".parse().unwrap();
    assert!(keyring().verify(TOKEN, Purpose::Link, last).is_ok());
    let over = Refused::Expired(Box::new(claims(1_800_000_000)));
    assert_eq!(keyring().verify(TOKEN, Purpose::Link, at(1_800_000_000)), Err(over));
    assert!(keyring().sign(&claims(1 << 32), at(0)).is_none());
    assert!(keyring().sign(&claims(-1), at(0)).is_none());
}

#[test]
fn whatever_is_altered_is_forged() {
    let keyring = keyring();
    // Also one whose time is over: of a forged one nothing is told.
    for now in [0, 1_900_000_000] {
        let refused = |token: &str| {
            assert_eq!(keyring.verify(token, Purpose::Link, at(now)), Err(Refused::Forged), "{token}");
        };
        for place in 0..TOKEN.len() {
            for bit in 0..8 {
                let mut bytes = TOKEN.as_bytes().to_vec();
                bytes[place] ^= 1 << bit;
                refused(&String::from_utf8_lossy(&bytes));
            }
            let (before, after) = TOKEN.split_at(place);
            for more in ["A", "=", " ", "\n", "%41", "-"] {
                refused(&format!("{before}{more}{after}"));
            }
            refused(before);
            if place > 0 {
                refused(after);
            }
        }
        for more in ["A", "=", "==", "AAAA", " ", "\n", ".", "/", "?"] {
            refused(&format!("{TOKEN}{more}"));
            refused(&format!("{more}{TOKEN}"));
        }
        refused(&TOKEN.replace('-', "+").replace('_', "/"));
        refused(&TOKEN.to_lowercase());
        refused(&TOKEN.repeat(2));
        refused("");
    }
}

#[test]
fn a_token_of_one_purpose_is_none_of_the_other() {
    let session = Claims { purpose: Purpose::Session, ..claims(1_800_000_000) };
    let token = signed(&keyring(), &session, 0);
    assert_eq!(keyring().verify(&token, Purpose::Link, at(0)), Err(Refused::Forged));
    assert_eq!(keyring().verify(&token, Purpose::Session, at(0)), Ok(session));
    assert_eq!(keyring().verify(TOKEN, Purpose::Session, at(0)), Err(Refused::Forged));
}

#[test]
fn what_is_no_keyring_is_refused_and_not_quoted() {
    for (text, error) in [
        ("canary", KeyringError::Form),
        (r#"{"v": 1}"#, KeyringError::Form),
        (r#"{"v": 2, "key": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"}"#, KeyringError::Form),
        (
            r#"{"v": 1, "key": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG", "canary": 1}"#,
            KeyringError::Form,
        ),
        (r#"{"v": 1, "key": "canary"}"#, KeyringError::Short),
        (
            r#"{"v": 1, "key": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG", "older": [{"key": "canary", "replaced_at": "2026-01-01T00:00:00Z"}]}"#,
            KeyringError::Short,
        ),
    ] {
        let refused = Keyring::read(&Secret::new(text.to_owned())).unwrap_err();
        assert_eq!(refused, error, "{text}");
        assert!(!format!("{refused} {refused:?}").contains("canary"));
    }
    assert!(!format!("{:?}", keyring()).contains(KEY));
    assert!(matches!(keyring().rotated(Secret::new("canary".to_owned()), at(0)), Err(KeyringError::Short)));
}

#[test]
fn a_new_key_signs_once_all_have_heard_of_it() {
    let before = keyring();
    let after = before.rotated(drawn(1), at(1000)).unwrap();
    let claims = claims(10_000);
    assert_eq!(signed(&after, &claims, 1599), signed(&before, &claims, 1599));
    let token = signed(&after, &claims, 1600);
    assert_eq!(before.verify(&token, Purpose::Link, at(1600)), Err(Refused::Forged));
    assert_eq!(after.verify(&token, Purpose::Link, at(1600)), Ok(claims));
    let written = Keyring::read(&after.write().unwrap()).unwrap();
    assert_eq!(written.write().unwrap().reveal(), after.write().unwrap().reveal());
}

#[test]
fn a_keyring_does_not_grow_for_ever() {
    let mut keyring = keyring();
    for day in 0..400 {
        keyring = keyring.rotated(drawn(day), at(i64::from(day) * 86_400)).unwrap();
    }
    let kept = keyring.write().unwrap().reveal().matches("replaced_at").count();
    assert_eq!(kept, 31);
}

proptest! {
    #[test]
    fn any_claims_come_back(
        org: [u8; 16], invoice: [u8; 16], link: [u8; 16], expires_at in 1_u32.., is_session: bool,
    ) {
        let purpose = if is_session { Purpose::Session } else { Purpose::Link };
        let (org, invoice, link) = (from_bytes(org), from_bytes(invoice), from_bytes(link));
        let claims = Claims { purpose, org, invoice, link, expires_at: at(i64::from(expires_at)) };
        let token = signed(&keyring(), &claims, 0);
        prop_assert_eq!(token.len(), 120);
        prop_assert_eq!(keyring().verify(&token, purpose, at(0)), Ok(claims));
    }

    #[test]
    fn no_other_text_is_a_token(text in "\\PC{0,200}|[A-Za-z0-9_-]{120}") {
        prop_assert_eq!(keyring().verify(&text, Purpose::Link, at(0)), Err(Refused::Forged));
    }

    /// Whenever keys are rotated, a link that is signed by what was known up to 5 minutes ago is good until it expires, for
    /// everybody who knows what was known up to 5 minutes ago.
    #[test]
    fn every_link_is_good_until_it_expires(
        pauses in prop::collection::vec(1_i64..4_000_000, 1..12), signs_at in 0_i64..20_000_000, lives in 300_i64..=2_592_000,
        signer_lag in 0_i64..300, checks_after in 0_i64..2_592_000, checker_lag in 0_i64..300,
    ) {
        let mut states = vec![(i64::MIN, keyring())];
        let mut now = 0;
        for (number, pause) in (1..).zip(&pauses) {
            now += pause;
            let next = states.last().unwrap().1.rotated(drawn(number), at(now)).unwrap();
            states.push((now, next));
        }
        let known = |second: i64| &states.iter().rev().find(|(since, _)| *since <= second).unwrap().1;
        let claims = claims(signs_at + lives);
        let token = signed(known(signs_at - signer_lag), &claims, signs_at);
        let checks_at = signs_at + checks_after.min(lives - 1);
        let found = known(checks_at - checker_lag).verify(&token, Purpose::Link, at(checks_at));
        prop_assert_eq!(found, Ok(claims));
    }
}
