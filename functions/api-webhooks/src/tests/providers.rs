//! Endpoints of every provider: what each is made of, and what its receiver then takes.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plixo_domain::webhook::HmacScheme;
use plixo_webhooks::canonical::external_id;
use plixo_webhooks::signature::{sign_hmac, sign_standard};

use super::*;

const TENANT: &str = "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f";
const COMPANY: &str = "b18aed47-c385-49d2-b954-dbdf8ad71780";
/// Digits that could be a card number, as realm ids of a certain beginning can.
const REALM: &str = "4620816365000000";
const BROUGHT: &str = "canary-secret-that-was-brought-along";
const NEXT: &str = "canary-secret-that-comes-after-that-one";
const VOIDED: &str = r#"{"type":"invoice.voided","timestamp":"2026-06-15T11:00:00Z","data":{"id":"INV-1"}}"#;

/// What is asked for, of every provider that an ERP's receiver takes: as little as it takes.
fn orders() -> Vec<Value> {
    let hmac = json!({"header": "X-Signature", "prefix": "sha256=", "encoding": "hex", "digest": "sha256"});
    let timed = json!({"header": "x-own", "encoding": "base64", "digest": "sha512", "timestamp_header": "X-Own-Time"});
    vec![
        json!({"provider": "standard_webhooks"}),
        json!({"provider": "xero", "account": TENANT, "secret": BROUGHT}),
        json!({"provider": "quickbooks", "account": REALM, "secret": BROUGHT}),
        json!({"provider": "erpnext", "account": "Zoë & Söhne GmbH"}),
        json!({"provider": "business_central", "account": COMPANY.to_uppercase()}),
        json!({"provider": "generic_hmac", "hmac": hmac}),
        json!({"provider": "generic_hmac", "hmac": timed}),
    ]
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn public(seed: u8) -> String {
    format!("whpk_{}", STANDARD.encode(pair(seed).public_key().as_ref()))
}

/// Headers and body as the provider of an endpoint sends them.
fn sent(endpoint: &Value, secret: &str, at: Timestamp) -> (Vec<(String, String)>, String) {
    let t = at.as_second();
    let of = |header: &str| json!({"header": header, "encoding": "base64", "digest": "sha256"});
    let (hmac, body) = match endpoint["provider"].as_str().unwrap() {
        "standard_webhooks" => {
            let header = |name: &str, value: String| (format!("webhook-{name}"), value);
            let signature = match secret.strip_prefix("seed-") {
                Some(seed) => {
                    let text = format!("msg_1.{t}.{VOIDED}");
                    let signature = pair(seed.parse().unwrap()).sign(text.as_bytes());
                    format!("v1a,{}", STANDARD.encode(signature.as_ref()))
                }
                None => sign_standard(secret.as_bytes(), "msg_1", t, VOIDED.as_bytes()).unwrap(),
            };
            let headers =
                [("id", "msg_1".to_owned()), ("timestamp", t.to_string()), ("signature", signature)];
            return (headers.map(|(name, value)| header(name, value)).into(), VOIDED.to_owned());
        }
        "business_central" => {
            let resource =
                format!("api/v2.0/companies({COMPANY})/customers(130bbd17-dbb9-4790-9b12-2b0e9c9d22c3)");
            let notice = json!({"subscriptionId": "s", "clientState": secret, "resource": resource,
                "changeType": "created", "lastModifiedDateTime": "2026-06-15T11:00:00Z"});
            return (Vec::new(), json!({ "value": [notice] }).to_string());
        }
        "xero" => {
            let event = json!({"resourceId": "717f2bfc-c6d4-41fd-b238-3f2f0c0cf777", "eventDateUtc": "2026-06-15T11:00:00",
                "eventType": "CREATE", "eventCategory": "INVOICE", "tenantId": TENANT});
            (of("x-xero-signature"), json!({ "events": [event] }))
        }
        "quickbooks" => {
            let entity = json!({"name": "Customer", "id": "1", "operation": "Create", "lastUpdated": "2026-06-15T11:00:00Z"});
            let company = json!({"realmId": REALM, "dataChangeEvent": {"entities": [entity]}});
            (of("intuit-signature"), json!({ "eventNotifications": [company] }))
        }
        "erpnext" => (
            of("x-frappe-webhook-signature"),
            json!({"doctype": "Sales Order", "company": "Zoë & Söhne GmbH"}),
        ),
        _ => (endpoint["hmac"].clone(), serde_json::from_str(VOIDED).unwrap()),
    };
    let (scheme, body): (HmacScheme, _) = (serde_json::from_value(hmac).unwrap(), body.to_string());
    let signature = (scheme.header().to_owned(), sign_hmac(&scheme, secret.as_bytes(), t, body.as_bytes()));
    let time = scheme.timestamp_header().map(|name| (name.to_owned(), t.to_string()));
    ([Some(signature), time].into_iter().flatten().collect(), body)
}

impl World {
    fn create(&self, order: &Value) -> Answer {
        self.post("webhook-endpoints", order)
    }

    fn made(&self, order: &Value) -> Value {
        let answer = self.create(order);
        assert_eq!(answer.status, 201, "{order} {}", answer.body);
        answer.body
    }

    fn rotate(&self, endpoint: &Value, order: &Value, at: Timestamp) -> Answer {
        let asked = self.ask("POST", &format!("webhook-endpoints/{}/rotate", text(&endpoint["id"])));
        Asked { at, ..asked }.saying(order).of(self)
    }

    /// What a fresh receiver of ERPs does with what is signed with that secret.
    fn takes(&self, endpoint: &Value, secret: &str, at: Timestamp) -> bool {
        let receiver = webhook_erp::Receiver::new(self.vault.clone(), self.queue.clone());
        let (headers, body) = sent(endpoint, secret, at);
        let headers: serde_json::Map<_, _> =
            headers.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
        let request = json!({"headers": headers, "pathParameters": {"endpoint": endpoint["id"]},
            "body": body, "isBase64Encoded": false, "requestContext": {"requestId": "r9", "http": {}}});
        let line = Line { timestamp: at, ..Line::default() };
        let (_, line) = block_on(receiver.handle(&serde_json::from_value(request).unwrap(), line));
        let is_queued = line.outcome == "queued";
        assert!(is_queued || line.outcome.starts_with("signature_"), "{endpoint} {}", line.outcome);
        is_queued
    }

    fn holds_in_no_table(&self, secret: &str) {
        let stored = format!("{:?}", self.tables.dump());
        assert!(!stored.contains(secret), "{secret}");
    }
}

#[test]
fn an_endpoint_of_every_provider_takes_what_its_sender_signs() {
    let world = World::new();
    for order in orders() {
        let made = world.made(&order);
        let id = text(&made["id"]);
        assert_eq!(made["url"], format!("https://api.example/webhooks/erp/{id}"), "{order}");
        assert_eq!((&made["provider"], &made["state"]), (&order["provider"], &json!("enabled")));
        let brought = order.get("secret").is_some();
        assert_eq!(made.get("secret").is_none(), brought, "{made}");
        let secret = made["secret"].as_str().unwrap_or(BROUGHT).to_owned();
        assert!(world.takes(&made, &secret, now()), "{order}");
        let other = if order["provider"] == "standard_webhooks" {
            format!("whsec_{}", STANDARD.encode([9; 32]))
        } else {
            "another-secret-of-the-same-length-as-the-made".to_owned()
        };
        assert!(!world.takes(&made, &other, now()), "{order}");
        let (shown, mut expected) = (world.get(&format!("webhook-endpoints/{id}")), made.clone());
        expected.as_object_mut().unwrap().remove("secret");
        assert_eq!((shown.status, &shown.body), (200, &expected));
        assert_eq!(world.get("webhook-endpoints").body["data"][0], expected);
        world.holds_in_no_table(&secret);

        let rotation = if brought { json!({"secret": NEXT}) } else { json!({}) };
        let rotated = world.rotate(&made, &rotation, now());
        assert_eq!(rotated.status, 200, "{order} {}", rotated.body);
        let new = rotated.body["secret"].as_str().unwrap_or(NEXT).to_owned();
        let mut expected = expected;
        if !brought {
            expected["secret"] = new.clone().into();
        }
        assert_eq!(rotated.body, expected);
        assert_ne!(new, secret);
        world.holds_in_no_table(&new);
        for (hours, old) in [(0, true), (23, true), (24, false)] {
            assert!(world.takes(&made, &new, later(hours)), "{order} {hours}");
            assert_eq!(world.takes(&made, &secret, later(hours)), old, "{order} {hours}");
        }
        world.patch(&id, "disabled");
        let receiver = webhook_erp::Receiver::new(world.vault.clone(), world.queue.clone());
        let request = json!({"pathParameters": {"endpoint": id}, "rawQueryString": "validationToken=x"});
        let line = Line { timestamp: now(), ..Line::default() };
        let (response, _) = block_on(receiver.handle(&serde_json::from_value(request).unwrap(), line));
        assert_eq!(response.status(), 404, "{order}");
    }
}

#[test]
fn plixos_secrets_are_new_random_and_of_the_providers_form() {
    let world = World::new();
    let mut seen = BTreeSet::new();
    for order in orders().into_iter().filter(|order| order.get("secret").is_none()) {
        for _ in 0..3 {
            let secret = text(&world.made(&order)["secret"]);
            if order["provider"] == "standard_webhooks" {
                assert_eq!(STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap().len(), 32);
            } else {
                // 32 bytes, in characters that no form, header or shell changes.
                assert_eq!(secret.len(), 43, "{order}");
                assert!(secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{secret}");
            }
            assert!(seen.insert(secret));
        }
    }
}

#[test]
fn accounts_are_kept_as_events_name_them() {
    let world = World::new();
    let hashed = |name: &str| json!(external_id(name).unwrap());
    for (order, account) in [
        (json!({"provider": "erpnext", "account": "Zoë & Söhne GmbH"}), hashed("Zoë & Söhne GmbH")),
        (json!({"provider": "erpnext", "account": "Plixo"}), json!("Plixo")),
        (json!({"provider": "erpnext"}), Value::Null),
        (json!({"provider": "standard_webhooks", "account": "our books"}), hashed("our books")),
        (json!({"provider": "xero", "account": TENANT.to_uppercase(), "secret": BROUGHT}), json!(TENANT)),
        (json!({"provider": "business_central", "account": COMPANY}), json!(COMPANY)),
        (json!({"provider": "quickbooks", "account": REALM, "secret": BROUGHT}), hashed(REALM)),
        (json!({"provider": "quickbooks", "account": "1185883450", "secret": BROUGHT}), json!("1185883450")),
    ] {
        let made = world.made(&order);
        assert_eq!(made["account"], account, "{order}");
        let entry: Value = serde_json::from_str(&world.vault.dump()[&text(&made["id"])]).unwrap();
        assert_eq!(entry["account"], account, "{order}");
    }
}

#[test]
fn a_signing_scheme_is_shown_as_it_is_kept() {
    let world = World::new();
    let made = world.made(&orders()[5]);
    let kept = json!({"header": "x-signature", "prefix": "sha256=", "encoding": "hex", "digest": "sha256"});
    assert_eq!(made["hmac"], kept);
    let made = world.made(&orders()[6]);
    let kept = json!({"header": "x-own", "encoding": "base64", "digest": "sha512", "timestamp_header": "x-own-time"});
    assert_eq!(made["hmac"], kept);
    let entry: Value = serde_json::from_str(&world.vault.dump()[&text(&made["id"])]).unwrap();
    assert_eq!(entry["hmac"], kept);
    assert_eq!(world.made(&json!({"provider": "stripe"})).get("hmac"), None);
}

#[test]
fn a_public_key_needs_no_secret_and_is_rotated_by_itself() {
    let world = World::new();
    let made = world.made(&json!({"provider": "standard_webhooks", "public_key": public(1)}));
    assert_eq!(made.get("secret"), None, "{made}");
    assert!(world.takes(&made, "seed-1", now()) && !world.takes(&made, "seed-2", now()));
    let entry: Value = serde_json::from_str(&world.vault.dump()[&text(&made["id"])]).unwrap();
    assert_eq!(entry["secrets"].as_array().unwrap().len(), 1, "no secret is made beside it");
    let refused = world.rotate(&made, &json!({}), now());
    assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (400, &json!("/public_key")));
    let rotated = world.rotate(&made, &json!({"public_key": public(2)}), now());
    assert_eq!((rotated.status, &rotated.body), (200, &made));
    for (hours, old) in [(0, true), (23, true), (24, false)] {
        assert_eq!(world.takes(&made, "seed-1", later(hours)), old, "{hours}");
        assert!(world.takes(&made, "seed-2", later(hours)), "{hours}");
    }
    let last = world.audit().into_iter().max_by_key(|event| event.id).unwrap();
    assert_eq!(
        (last.action.as_str(), last.fields),
        ("webhook_endpoint.rotate", vec!["public_key".to_owned()])
    );
}

#[test]
fn of_an_endpoint_with_both_a_rotation_of_one_leaves_the_other() {
    let world = World::new();
    let secret = format!("whsec_{}", STANDARD.encode([7; 24]));
    let made =
        world.made(&json!({"provider": "standard_webhooks", "public_key": public(1), "secret": secret}));
    assert_eq!(made.get("secret"), None);
    assert!(world.takes(&made, "seed-1", now()) && world.takes(&made, &secret, now()));
    let new = text(&world.rotate(&made, &json!({}), now()).body["secret"]);
    assert_eq!(world.rotate(&made, &json!({"public_key": public(2)}), later(1)).status, 200);
    for (secret, hours, holds) in [
        (secret.as_str(), 23, true),
        (secret.as_str(), 24, false),
        (new.as_str(), 1000, true),
        ("seed-1", 24, true),
        ("seed-1", 25, false),
        ("seed-2", 1000, true),
    ] {
        assert_eq!(world.takes(&made, secret, later(hours)), holds, "{secret} {hours}");
    }
    // Of each there is a bound, and that of one is not the other's.
    for seed in 3..6 {
        assert_eq!(world.rotate(&made, &json!({"public_key": public(seed)}), later(2)).status, 200);
    }
    let sixth = world.rotate(&made, &json!({"public_key": public(6)}), later(2));
    assert_eq!((sixth.status, &sixth.body["code"]), (409, &json!("too_many_rotations")));
    assert_eq!(world.rotate(&made, &json!({}), later(2)).status, 200);
}

#[test]
fn a_secret_that_looks_like_a_public_key_ends_like_any_other() {
    let world = World::new();
    let order =
        json!({"provider": "erpnext", "account": "Zoë & Söhne GmbH", "secret": "whpk_canary-canary-canary"});
    let made = world.made(&order);
    assert_eq!(world.rotate(&made, &json!({"secret": NEXT}), now()).status, 200);
    assert!(world.takes(&made, "whpk_canary-canary-canary", later(23)));
    assert!(!world.takes(&made, "whpk_canary-canary-canary", later(24)));
    assert!(world.takes(&made, NEXT, later(24)));
}

#[test]
fn what_a_provider_does_not_take_is_refused_with_a_pointer() {
    let world = World::new();
    let hmac = orders()[5]["hmac"].clone();
    let with = |order: &Value, more: Value| {
        let mut order = order.clone();
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        order
    };
    let [standard, xero, quickbooks, erpnext, central, generic, _] = orders().try_into().unwrap();
    let settings =
        |more: Value| with(&json!({"provider": "generic_hmac"}), json!({"hmac": with(&hmac, more)}));
    let key = |bytes: &[u8]| format!("whpk_{}", STANDARD.encode(bytes));
    let whsec = |length: usize| format!("whsec_{}", STANDARD.encode(vec![7; length]));
    let (long, longest) = ("x".repeat(257), "x".repeat(2_049));
    let cases = [
        (json!({"provider": "xero", "account": TENANT}), "/secret"),
        (json!({"provider": "quickbooks", "account": REALM}), "/secret"),
        (json!({"provider": "xero", "secret": BROUGHT}), "/account"),
        (json!({"provider": "quickbooks", "secret": BROUGHT}), "/account"),
        (json!({"provider": "business_central"}), "/account"),
        (with(&xero, json!({"account": "c2cc9b6e94584c7d93ccf02b81b0594f"})), "/account"),
        (with(&xero, json!({"account": TENANT.replace('c', "g")})), "/account"),
        (with(&xero, json!({"account": format!("{TENANT}-1")})), "/account"),
        (with(&xero, json!({"account": format!("{{{TENANT}}}")})), "/account"),
        (with(&xero, json!({"account": ""})), "/account"),
        (with(&central, json!({"account": "CRONUS"})), "/account"),
        (with(&quickbooks, json!({"account": "123a"})), "/account"),
        (with(&quickbooks, json!({"account": "١٢٣"})), "/account"),
        (with(&quickbooks, json!({"account": "1".repeat(21)})), "/account"),
        (with(&erpnext, json!({"account": ""})), "/account"),
        (with(&erpnext, json!({"account": " Plixo"})), "/account"),
        (with(&erpnext, json!({"account": "Plixo\u{a0}"})), "/account"),
        (with(&erpnext, json!({"account": "Pli\nxo"})), "/account"),
        (with(&erpnext, json!({"account": "x".repeat(256)})), "/account"),
        (with(&erpnext, json!({"account": 7})), "/account"),
        (with(&xero, json!({"secret": "short"})), "/secret"),
        (with(&xero, json!({"secret": long})), "/secret"),
        (with(&xero, json!({"secret": "a secret with blanks in it"})), "/secret"),
        (with(&quickbooks, json!({"secret": "geheimgeheimgehäm"})), "/secret"),
        (with(&erpnext, json!({"secret": "zero\u{0}zero zero zero"})), "/secret"),
        (with(&generic, json!({"secret": ""})), "/secret"),
        (with(&central, json!({"secret": "x".repeat(31)})), "/secret"),
        (with(&central, json!({"secret": longest})), "/secret"),
        (with(&standard, json!({"secret": BROUGHT})), "/secret"),
        (with(&standard, json!({"secret": whsec(23)})), "/secret"),
        (with(&standard, json!({"secret": whsec(65)})), "/secret"),
        (with(&standard, json!({"secret": whsec(32).trim_end_matches('=')})), "/secret"),
        (with(&standard, json!({"secret": public(1)})), "/secret"),
        (with(&standard, json!({"public_key": whsec(32)})), "/public_key"),
        (with(&standard, json!({"public_key": key(&[1; 31])})), "/public_key"),
        (with(&standard, json!({"public_key": key(&[1; 33])})), "/public_key"),
        (with(&standard, json!({"public_key": "whpk_"})), "/public_key"),
        (with(&standard, json!({"public_key": key(&[0; 32])})), "/public_key"),
        (with(&standard, json!({"public_key": {"key": 1}})), "/public_key"),
        (with(&erpnext, json!({"public_key": public(1)})), "/public_key"),
        (json!({"provider": "stripe", "public_key": public(1)}), "/public_key"),
        (json!({"provider": "generic_hmac"}), "/hmac"),
        (json!({"provider": "generic_hmac", "hmac": null}), "/hmac"),
        (json!({"provider": "generic_hmac", "hmac": ["x-s", "", "hex", "sha256", null]}), "/hmac"),
        (json!({"provider": "generic_hmac", "hmac": {}}), "/hmac/header"),
        (json!({"provider": "stripe", "hmac": hmac}), "/hmac"),
        (with(&xero, json!({"hmac": hmac})), "/hmac"),
        (settings(json!({"header": "cookie"})), "/hmac/header"),
        (settings(json!({"header": "x signature"})), "/hmac/header"),
        (settings(json!({"header": ""})), "/hmac/header"),
        (settings(json!({"header": null})), "/hmac/header"),
        (settings(json!({"timestamp_header": "Date"})), "/hmac/timestamp_header"),
        (settings(json!({"timestamp_header": "x-SIGNATURE"})), "/hmac/timestamp_header"),
        (settings(json!({"prefix": "a b"})), "/hmac/prefix"),
        (settings(json!({"prefix": "x".repeat(33)})), "/hmac/prefix"),
        (settings(json!({"encoding": "base64url"})), "/hmac/encoding"),
        (settings(json!({"digest": "md5"})), "/hmac/digest"),
        (settings(json!({"algorithm": "none"})), "/hmac/algorithm"),
    ];
    for (order, pointer) in cases {
        let answer = world.create(&order);
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("invalid_request")), "{order}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{order} {}", answer.body);
        for secret in ["secret", "public_key"] {
            let given = order.get(secret).and_then(Value::as_str).filter(|given| given.len() > 6);
            assert!(given.is_none_or(|given| !answer.body.to_string().contains(given)), "{}", answer.body);
        }
    }
    assert!(world.vault.dump().is_empty(), "nothing was made");
    let all = world.create(&json!({"provider": "xero", "public_key": "x", "hmac": hmac})).body;
    let pointers: Vec<_> = all["errors"].as_array().unwrap().iter().map(|it| text(&it["pointer"])).collect();
    assert_eq!(pointers, ["/account", "/hmac", "/public_key"], "all at once: {all}");
    let told = |order: Value| text(&world.create(&order).body["errors"][0]["detail"]);
    assert!(told(json!({"provider": "xero", "account": TENANT})).contains("developer.xero.com"));
    assert!(told(json!({"provider": "quickbooks", "account": REALM})).contains("developer.intuit.com"));
}

#[test]
fn a_rotation_is_held_to_the_endpoints_provider() {
    let world = World::new();
    let whsec = format!("whsec_{}", STANDARD.encode([7; 32]));
    for order in orders() {
        let made = world.made(&order);
        let entry = world.vault.dump()[&text(&made["id"])].clone();
        let mut wrong = vec![
            (json!({"secret": ""}), "/secret"),
            (json!({"secret": "short"}), "/secret"),
            (json!({"secret": "x".repeat(3_000)}), "/secret"),
            (json!({"secret": whsec, "public_key": public(1)}), "/public_key"),
            (json!({"public_key": "whpk_canary"}), "/public_key"),
        ];
        if order["provider"] == "standard_webhooks" {
            wrong.push((json!({"secret": NEXT}), "/secret"));
            wrong.push((json!({"secret": public(1)}), "/secret"));
        } else {
            wrong.push((json!({"public_key": public(1)}), "/public_key"));
        }
        if order.get("secret").is_some() {
            wrong.push((json!({}), "/secret"));
        }
        for (rotation, pointer) in wrong {
            let answer = world.rotate(&made, &rotation, now());
            assert_eq!(
                (answer.status, &answer.body["errors"][0]["pointer"]),
                (400, &json!(pointer)),
                "{rotation}"
            );
            let last = world.audit().into_iter().max_by_key(|event| event.id).unwrap();
            assert_eq!((last.action.as_str(), last.outcome), ("webhook_endpoint.rotate", Outcome::Failed));
        }
        assert_eq!(world.vault.dump()[&text(&made["id"])], entry, "{order}");
    }
}

#[test]
fn the_same_request_with_the_same_key_gets_the_same_answer_whatever_the_provider() {
    let world = World::new();
    for (n, order) in orders().into_iter().enumerate() {
        let create = world.ask("POST", "webhook-endpoints").with("idempotency-key", &format!("k-{n}"));
        let create = create.saying(&order);
        let (first, again) = (create.of(&world), create.of(&world));
        assert_eq!((first.status, &first.body), (201, &again.body), "{order}");
        let rotate = world.ask("POST", &format!("webhook-endpoints/{}/rotate", text(&first.body["id"])));
        let rotate = rotate.with("idempotency-key", &format!("r-{n}"));
        let rotate =
            if order.get("secret").is_some() { rotate.saying(&json!({"secret": NEXT})) } else { rotate };
        let (first, again) = (rotate.of(&world), rotate.of(&world));
        assert_eq!((first.status, &first.body), (200, &again.body), "{order}");
        if let Some(secret) = first.body["secret"].as_str() {
            world.holds_in_no_table(secret);
        }
    }
    assert_eq!(world.vault.dump().len(), orders().len());
    world.holds_in_no_table("canary");
}

/// Whatever stands in a field: it is taken and then verifies, or it is refused, and it is in no answer and no table.
#[test]
fn no_text_in_a_field_makes_an_endpoint_that_takes_what_it_should_not() {
    let odd = [
        "",
        " ",
        "\0",
        "null",
        "undefined",
        "[object Object]",
        "' OR 1=1 --",
        "../../x",
        "${jndi:x}",
        "%00",
        "\u{202e}abc",
        "\u{feff}whsec_",
        "whsec_whsec_whsec_whsec_whsec_",
        "whpk_AAAA",
        "4242 4242 4242 4242",
        "ａｃｃｔ_１",
        "a\r\nx: y",
        "0",
        "-1",
        "00000000-0000-0000-0000-000000000000",
        "acct_1",
        "🙂🙂🙂🙂🙂🙂🙂🙂",
    ];
    for field in ["secret", "account", "public_key"] {
        let (world, mut made) = (World::new(), 0);
        for order in orders().into_iter().chain([json!({"provider": "stripe"})]) {
            for text in odd.iter().copied().map(str::to_owned).chain(odd.iter().map(|it| it.repeat(40))) {
                let mut order = order.clone();
                order[field] = text.clone().into();
                let answer = world.create(&order);
                assert!(matches!(answer.status, 201 | 400), "{order} {}", answer.body);
                if answer.status == 400 {
                    let pointer = answer.body["errors"][0]["pointer"].clone();
                    assert_eq!(pointer, format!("/{field}"), "{order} {}", answer.body);
                    continue;
                }
                made += 1;
                if field == "secret" {
                    assert!(text.bytes().all(|b| b.is_ascii_graphic()) && text.len() >= 16, "{text}");
                    world.holds_in_no_table(&text);
                    assert_eq!(answer.body.get("secret"), None);
                }
            }
        }
        assert_eq!(world.enabled().len(), made);
        assert_eq!(made > 20, field != "public_key", "{field} {made}");
    }
}
