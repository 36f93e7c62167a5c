use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plixo_testing::Mint;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SESSION: &str = "5f1c6d3e-0a3b-4b7e-9d55-0b6f2a6c8e11";

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn user() -> UserId {
    "0b6f2a6c-8e11-4b7e-9d55-5f1c6d3e0a3b".parse().unwrap()
}

fn verifier() -> Verifier {
    Verifier::of_pool(Mint::POOL, Mint::CLIENT.to_owned())
}

fn keys(mints: &[&Mint]) -> Keys {
    Keys::parse(Mint::jwks(mints).as_bytes()).unwrap()
}

fn claims() -> Value {
    Mint::claims(user(), SESSION, now())
}

/// The claims with some of them changed; `null` takes one away.
fn claims_with(changes: Value) -> Value {
    let mut claims = claims();
    let map = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => map.remove(name),
            value => map.insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn verify(token: &str) -> Result<Session, TokenError> {
    verifier().verify(token, &keys(&[&Mint::default()]), now())
}

fn verify_claims(changes: Value) -> Result<Session, TokenError> {
    verify(&Mint::default().token(&claims_with(changes)))
}

fn verify_header(header: &str) -> Result<Session, TokenError> {
    verify(&Mint::default().sign(header, &claims().to_string()))
}

#[test]
fn a_token_of_the_pool_says_who_it_is() {
    let session = verify(&Mint::default().token(&claims())).unwrap();
    let expected = Session {
        user: user(),
        session: SESSION.to_owned(),
        signed_in_at: now(),
        expires_at: now() + SignedDuration::from_hours(1),
        operator: false,
    };
    assert_eq!(session, expected);
    let read = verifier().read_from_issuer(&Mint::new(1).token(&claims()), now());
    assert_eq!(read, Ok(expected), "one that came from the issuer itself");
}

#[test]
fn the_issuer_is_that_of_the_pools_region() {
    assert_eq!(issuer("eu-west-1_AbC"), "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC");
}

#[test]
fn a_signature_of_another_key_does_not_hold() {
    let (ours, theirs) = (Mint::default(), Mint::new(1));
    let forged = theirs.sign(&ours.header().to_string(), &claims().to_string());
    assert_eq!(verify(&forged), Err(TokenError::Signature));
    let token = ours.token(&claims());
    let (head, signature) = token.rsplit_once('.').unwrap();
    for signature in ["", "AAAA", &"A".repeat(342), signature.split_at(300).0, &format!("{signature}AA")] {
        let done = verify(&format!("{head}.{signature}"));
        assert!(matches!(done, Err(TokenError::Signature | TokenError::Malformed)), "{done:?}");
    }
}

#[test]
fn changed_claims_do_not_hold() {
    let token = Mint::default().token(&claims());
    let [header, _, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let changed = claims_with(json!({"cognito:groups": ["operators"]})).to_string();
    let changed = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(changed));
    assert_eq!(verify(&changed), Err(TokenError::Signature));
}

#[test]
fn only_rs256_is_an_algorithm() {
    let mint = Mint::default();
    for alg in ["HS256", "HS512", "RS384", "RS512", "PS256", "ES256", "EdDSA"] {
        let header = json!({"alg": alg, "kid": "key-0"}).to_string();
        assert_eq!(verify_header(&header), Err(TokenError::Algorithm), "{alg}");
    }
    // "none", and whatever else the library does not know, is no header.
    for alg in ["none", "None", "NONE", "", "rs256", "RS256 "] {
        let header = json!({"alg": alg, "kid": "key-0"}).to_string();
        assert_eq!(verify_header(&header), Err(TokenError::Malformed), "{alg}");
        let unsigned = URL_SAFE_NO_PAD.encode(header) + "." + &URL_SAFE_NO_PAD.encode(claims().to_string());
        assert_eq!(verify(&(unsigned.clone() + ".")), Err(TokenError::Malformed), "{alg}");
        assert_eq!(verify(&unsigned), Err(TokenError::Malformed), "{alg}");
    }
    // The public key as a shared secret: the oldest trick.
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": "key-0"}).to_string());
    let head = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims().to_string()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, mint.jwk().to_string().as_bytes());
    let mac = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, head.as_bytes()));
    assert_eq!(verify(&format!("{head}.{mac}")), Err(TokenError::Algorithm));
}

#[test]
fn the_key_is_one_of_the_pools() {
    for header in
        [json!({"alg": "RS256"}), json!({"alg": "RS256", "kid": "key-1"}), json!({"alg": "RS256", "kid": ""})]
    {
        assert_eq!(verify_header(&header.to_string()), Err(TokenError::UnknownKey), "{header}");
    }
    // A key that the token brings along, or points to, is not looked at.
    let theirs = Mint::new(1);
    let header =
        json!({"alg": "RS256", "kid": "key-0", "jwk": theirs.jwk(), "jku": "https://evil.example/jwks"});
    let done = verify(&theirs.sign(&header.to_string(), &claims().to_string()));
    assert!(done.is_err(), "{done:?}");
    let (first, second) = (Mint::default(), Mint::new(1));
    let both = keys(&[&first, &second]);
    for mint in [&first, &second] {
        assert!(verifier().verify(&mint.token(&claims()), &both, now()).is_ok());
    }
    assert_eq!(
        verifier().verify(&first.token(&claims()), &keys(&[&second]), now()),
        Err(TokenError::UnknownKey),
        "a key that was taken back"
    );
}

#[test]
fn an_extension_that_nobody_knows_is_refused() {
    let header = json!({"alg": "RS256", "kid": "key-0", "crit": ["b64"], "b64": false}).to_string();
    assert_eq!(verify_header(&header), Err(TokenError::Malformed));
}

#[test]
fn issuer_client_and_use_are_compared_as_a_whole() {
    for iss in [
        "",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Fake000000",
        "https://evil.example/eu-west-1_Fake00000",
    ] {
        assert_eq!(verify_claims(json!({"iss": iss})), Err(TokenError::Issuer), "{iss}");
    }
    for client in ["", "another", "fakeclient "] {
        assert_eq!(verify_claims(json!({"client_id": client})), Err(TokenError::Client), "{client}");
    }
    for usage in ["id", "refresh", "Access", ""] {
        assert_eq!(verify_claims(json!({"token_use": usage})), Err(TokenError::Use), "{usage}");
    }
}

#[test]
fn a_token_ends_on_its_second_and_does_not_begin_in_the_future() {
    let second = |seconds: i64| now().as_second() + seconds;
    assert_eq!(verify_claims(json!({"exp": second(0)})), Err(TokenError::Expired));
    assert_eq!(verify_claims(json!({"exp": second(-1)})), Err(TokenError::Expired));
    assert!(verify_claims(json!({"exp": second(1)})).is_ok());
    assert!(verify_claims(json!({"iat": second(60)})).is_ok());
    assert_eq!(verify_claims(json!({"iat": second(61)})), Err(TokenError::NotYetValid));
    assert_eq!(verify_claims(json!({"auth_time": second(61)})), Err(TokenError::NotYetValid));
    for odd in [i64::MAX, i64::MIN] {
        assert_eq!(verify_claims(json!({"exp": odd})), Err(TokenError::Claims));
        assert_eq!(verify_claims(json!({"iat": odd})), Err(TokenError::Claims));
    }
}

#[test]
fn claims_that_are_missing_or_odd_make_it_none() {
    for name in ["sub", "iss", "client_id", "token_use", "origin_jti", "auth_time", "iat", "exp"] {
        assert_eq!(verify_claims(json!({name: null})), Err(TokenError::Claims), "{name}");
        assert_eq!(verify_claims(json!({name: [1]})), Err(TokenError::Claims), "{name}");
        let twice = claims().to_string().replacen('{', &format!("{{\"{name}\":\"x\","), 1);
        let done = verify(&Mint::default().sign(&Mint::default().header().to_string(), &twice));
        assert_eq!(done, Err(TokenError::Claims), "{name} twice");
    }
    for (name, odd) in [
        ("sub", json!("somebody")),
        ("exp", json!("1")),
        ("exp", json!(1.5e9)),
        ("origin_jti", json!("")),
        ("origin_jti", json!("a b")),
        ("origin_jti", json!("x".repeat(129))),
        ("origin_jti", json!("ä")),
        ("cognito:groups", json!("operators")),
        ("cognito:groups", json!([1])),
        ("cognito:groups", json!({"operators": true})),
    ] {
        assert_eq!(verify_claims(json!({name: odd})), Err(TokenError::Claims), "{name} {odd}");
    }
}

#[test]
fn an_operator_is_in_the_group_of_that_very_name() {
    let operator = |groups: Value| verify_claims(json!({"cognito:groups": groups})).unwrap().operator;
    assert!(operator(json!(["operators"])));
    assert!(operator(json!(["others", "operators"])));
    assert!(!operator(json!([])));
    assert!(!operator(json!(["operator", "Operators", "operators2", " operators"])));
}

#[test]
fn what_is_no_token_is_none() {
    for text in ["", ".", "..", "...", "a.b.c", "a.b", "e30.e30.e30", "Bearer x", "\u{0}", "ä.ö.ü"] {
        assert_eq!(verify(text), Err(TokenError::Malformed), "{text}");
        assert!(verifier().read_from_issuer(text, now()).is_err(), "{text}");
    }
    assert_eq!(verify(&"a".repeat(LONGEST + 1)), Err(TokenError::TooLong));
    assert_eq!(verifier().read_from_issuer(&"a".repeat(LONGEST + 1), now()), Err(TokenError::TooLong));
    let token = Mint::default().token(&claims());
    for odd in [format!("{token}.x"), format!("x.{token}"), format!(" {token}"), token.replacen('.', "..", 1)]
    {
        assert!(verify(&odd).is_err(), "{odd}");
    }
}

#[test]
fn what_comes_from_the_issuer_is_held_to_its_claims() {
    let read =
        |changes: Value| verifier().read_from_issuer(&Mint::default().token(&claims_with(changes)), now());
    assert_eq!(read(json!({"iss": "x"})), Err(TokenError::Issuer));
    assert_eq!(read(json!({"client_id": "x"})), Err(TokenError::Client));
    assert_eq!(read(json!({"token_use": "id"})), Err(TokenError::Use));
    assert_eq!(read(json!({"exp": 1})), Err(TokenError::Expired));
}

#[test]
fn keys_for_other_purposes_are_left_out_and_none_is_an_error() {
    let good = Mint::default().jwk();
    let with = |name: &str, value: Value| {
        let mut key = good.clone();
        key.as_object_mut().unwrap().insert(name.to_owned(), value);
        key
    };
    for key in [with("kty", json!("EC")), with("alg", json!("RS512")), with("use", json!("enc"))] {
        assert_eq!(Keys::parse(json!({"keys": [key]}).to_string().as_bytes()).err(), Some(BadKeys), "{key}");
        let both = json!({"keys": [key, good]}).to_string();
        assert_eq!(Keys::parse(both.as_bytes()).unwrap().0.len(), 1, "{key}");
    }
    for text in ["", "{}", "[]", r#"{"keys": []}"#, r#"{"keys": [{}]}"#, r#"{"keys": 1}"#, "<html>"] {
        assert_eq!(Keys::parse(text.as_bytes()).err(), Some(BadKeys), "{text}");
    }
    assert_eq!(
        Keys::parse(json!({"keys": [with("n", json!("!"))]}).to_string().as_bytes()).err(),
        Some(BadKeys)
    );
}

#[test]
fn keys_show_their_names_only() {
    assert_eq!(format!("{:?}", keys(&[&Mint::default()])), r#"{"key-0"}"#);
}

proptest! {
    #[test]
    fn no_text_is_believed_and_none_is_fatal(text in ".{0,200}", at in 0_usize..600, to in any::<char>()) {
        prop_assert!(verify(&text).is_err());
        // One character of a good token changed.
        let token = Mint::default().token(&claims());
        let changed: String = token.chars().enumerate().map(|(n, c)| if n == at { to } else { c }).collect();
        if changed != token {
            prop_assert!(verify(&changed).is_err(), "{changed}");
        }
    }
}

#[test]
fn a_refresh_token_has_three_or_five_parts() {
    for right in ["a.b.c", "eyJjdHkiOiJKV1QiLCJlbmMiOiJBMjU2R0NNIiwiYWxnIjoiUlNBLU9BRVAifQ.k-_9.iv.text.tag"]
    {
        assert!(is_a_refresh_token(right), "{right}");
    }
    let long = format!("a.b.{}", "c".repeat(LONGEST));
    for wrong in
        ["", "a", "a.b", "a.b.c.d", "a.b.c.d.e.f", "a..c", ".b.c", "a.b.", "a.b.c=", "a.b.c ", "a.b.ü", &long]
    {
        assert!(!is_a_refresh_token(wrong), "{wrong}");
    }
}
