//! Vectors that others published, or that were computed with other programs.

use super::super::*;
use super::senders::generic;

fn verified(
    scheme: &dyn Scheme,
    headers: &[(&str, &str)],
    body: &str,
    secret: &str,
    now: i64,
) -> Result<Option<String>, SignatureError> {
    let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| *value);
    let message = Message { header: &header, body: body.as_bytes(), received_at: now };
    let authentic = scheme.verify(&message, &[secret.as_bytes()])?;
    Ok(authentic.id.map(str::to_owned))
}

fn of(provider: Provider) -> &'static dyn Scheme {
    scheme(provider, None).unwrap()
}

fn standard(
    id: &str,
    t: i64,
    signature: &str,
    body: &str,
    secret: &str,
) -> Result<Option<String>, SignatureError> {
    let t_text = t.to_string();
    let headers = [("webhook-id", id), ("webhook-timestamp", &t_text), ("webhook-signature", signature)];
    verified(of(Provider::StandardWebhooks), &headers, body, secret, t)
}

#[test]
fn standard_webhooks() {
    let own = |id: &str| Ok(Some(id.to_owned()));
    // The reference library's own test.
    let (id, t, secret) =
        ("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let (signature, body) = (
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        r#"{"email":"test@example.com","username":"test_user"}"#,
    );
    assert_eq!(standard(id, t, signature, body, secret), own(id));
    assert_eq!(sign_standard(secret.as_bytes(), id, t, body.as_bytes()).as_deref(), Some(signature));
    // Svix's.
    let (id, t, secret) =
        ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let (signature, body) = ("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", r#"{"test": 2432232314}"#);
    assert_eq!(standard(id, t, signature, body, secret), own(id));
    // Ed25519, with the first key of RFC 8032.
    let (id, t) = ("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", 1_674_087_231);
    let public = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let signature =
        "v1a,pbpYBMlty2hExn4zt0UTGb6BaP2Vq5AfyzjB9GGV3x/wCJKd8UjOCf8Qhaji6TKY9C5eNMnlF0GG4udaO6B7Ag==";
    let body = r#"{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"1f81eb52-5198-4599-803e-771906343485"}}"#;
    assert_eq!(standard(id, t, signature, body, public), own(id));
}

#[test]
fn standard_webhooks_try_every_signature_and_refuse_what_is_odd() {
    let (id, t, secret) =
        ("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let body = r#"{"email":"test@example.com","username":"test_user"}"#;
    let good = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    let other = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let asymmetric =
        "v1a,pbpYBMlty2hExn4zt0UTGb6BaP2Vq5AfyzjB9GGV3x/wCJKd8UjOCf8Qhaji6TKY9C5eNMnlF0GG4udaO6B7Ag==";
    for header in [
        format!("{other} {good}"),
        format!("{good} {other}"),
        format!("v2,whatever {good}"),
        format!("{asymmetric} {good}"),
    ] {
        assert!(standard(id, t, &header, body, secret).is_ok(), "{header}");
    }
    for (header, error) in [
        (other.to_owned(), SignatureError::NoMatch),
        (asymmetric.to_owned(), SignatureError::NoMatch),
        ("v2,whatever".to_owned(), SignatureError::NoSignature),
        ("v0,whatever".to_owned(), SignatureError::NoSignature),
        (format!("{good}  {other}"), SignatureError::NoSignature),
        (format!("{good}, {other}"), SignatureError::NoSignature),
        (format!("{good},{other}"), SignatureError::NoSignature),
        (format!("{good} v1,short"), SignatureError::NoSignature),
        (format!("{good} nonsense"), SignatureError::NoSignature),
        (good.replace("v1,", ""), SignatureError::NoSignature),
        (good.replace("v1,", "V1,"), SignatureError::NoSignature),
        (good.replace("v1,", "v1a,"), SignatureError::NoSignature),
        ([asymmetric; 9].join(" "), SignatureError::TooLong),
    ] {
        assert_eq!(standard(id, t, &header, body, secret), Err(error), "{header}");
    }
    for wrong in ["a.b", "a b", "a,b", "ä", "", &"x".repeat(256)] {
        assert_eq!(standard(wrong, t, good, body, secret), Err(SignatureError::Id), "{wrong}");
    }
}

#[test]
fn a_public_key_under_which_anybody_can_sign_is_not_taken() {
    let encode = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
    let takes =
        |bytes: &[u8]| of(Provider::StandardWebhooks).takes_secret(&format!("whpk_{}", encode(bytes)));
    let key = |first: u8, middle: u8, last: u8| [&[first][..], &[middle; 30], &[last]].concat();
    let eighth = hex::decode("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05").unwrap();
    let other = hex::decode("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a").unwrap();
    let weak = [
        key(0, 0, 0),
        key(1, 0, 0),
        eighth,
        other,
        key(0xec, 0xff, 0x7f),
        key(0xed, 0xff, 0x7f),
        key(0xee, 0xff, 0x7f),
    ];
    for mut bytes in weak {
        assert!(!takes(&bytes), "{bytes:02x?}");
        *bytes.last_mut().unwrap() |= 0x80;
        assert!(!takes(&bytes), "{bytes:02x?}, of the other sign");
    }
    // The neutral point and a factor of 0 sign whatever there is, without any private key.
    let neutral = key(1, 0, 0);
    let forged = format!("v1a,{}", encode(&[neutral.as_slice(), &[0; 32]].concat()));
    let public = format!("whpk_{}", encode(&neutral));
    for body in ["{}", "anything"] {
        assert!(standard("msg_1", 1_700_000_000, &forged, body, &public).is_ok(), "{body}");
    }
}

#[test]
fn standard_webhooks_keys_are_what_their_prefix_says() {
    let takes = |secret: &str| of(Provider::StandardWebhooks).takes_secret(secret);
    let encoded =
        |length: usize| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![7; length]);
    for length in [24, 32, 64] {
        assert!(takes(&format!("whsec_{}", encoded(length))), "{length}");
    }
    for wrong in [
        format!("whsec_{}", encoded(23)),
        format!("whsec_{}", encoded(65)),
        encoded(32),
        format!("whsk_{}", encoded(64)),
        format!("whpk_{}", encoded(31)),
        format!("whpk_{}", encoded(33)),
        format!("whsec_{}", encoded(32).replace('=', "")),
        format!("whsec_ {}", encoded(32)),
        "whsec_not base64 at all, but long enough".to_owned(),
    ] {
        assert!(!takes(&wrong), "{wrong}");
    }
    // A public key, which anybody may know, signs nothing as an HMAC key would.
    let public = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let forged = public.replace("whpk_", "whsec_");
    let signature = sign_standard(forged.as_bytes(), "msg_1", 1_700_000_000, b"{}").unwrap();
    assert_eq!(standard("msg_1", 1_700_000_000, &signature, "{}", public), Err(SignatureError::NoMatch));
}

#[test]
fn xero_quickbooks_and_erpnext() {
    let xero = r#"{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3r4Nd0mt3xt"}"#;
    let quickbooks = r#"{"eventNotifications":[{"realmId":"1185883450","dataChangeEvent":{"entities":[{"name":"Customer","id":"1","operation":"Create","lastUpdated":"2015-10-05T14:42:19-0700"}]}}]}"#;
    let erpnext = r#"{"name": "SINV-0001", "customer": "Zo\u00eb GmbH", "grand_total": 1234.5}"#;
    for (provider, header, secret, signature, body) in [
        (
            Provider::Xero,
            "x-xero-signature",
            "test-xero-webhook-key",
            "/eEyU4zCcH7YjR8loUaku3nIxnz0EVQdJgMymuH/JjI=",
            xero,
        ),
        (
            Provider::Quickbooks,
            "intuit-signature",
            "test-verifier-token",
            "l6ZO3g7mE6kQFjdwnQJ5OjuFt15A2/bDvuCwbJ5cr7A=",
            quickbooks,
        ),
        (
            Provider::Erpnext,
            "x-frappe-webhook-signature",
            "frappe-secret",
            "L2nZpXENURvlq4l0h+3JfyZbkwgezc0i2nVkuQbsr5I=",
            erpnext,
        ),
    ] {
        assert_eq!(verified(of(provider), &[(header, signature)], body, secret, 0), Ok(None), "{header}");
    }
}

/// What other senders are known to do: GitHub's example of its documentation, and HMAC's own test cases (RFC 4231, case 2).
#[test]
fn other_senders() {
    let github = generic("x-hub-signature-256", "sha256=", "hex", "sha256", None);
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let headers = [("x-hub-signature-256", signature)];
    assert_eq!(verified(&github, &headers, "Hello, World!", "It's a Secret to Everybody", 0), Ok(None));

    let long = generic("x-s", "", "hex", "sha512", None);
    let signature = "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737";
    let body = "what do ya want for nothing?";
    assert_eq!(verified(&long, &[("x-s", signature)], body, "Jefe", 0), Ok(None));

    // With a time the signed text is `<time>.<body>`.
    let timed = generic("x-s", "", "hex", "sha512", Some("x-t"));
    let plain = generic("x-s", "", "hex", "sha512", None);
    let same = sign_hmac(&plain, b"Jefe", 0, b"1700000000.{}");
    assert_eq!(sign_hmac(&timed, b"Jefe", 1_700_000_000, b"{}"), same);
}
