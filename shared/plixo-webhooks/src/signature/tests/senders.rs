//! Every way of sending that there is a scheme for.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plixo_domain::webhook::{HmacScheme, Provider};
use serde_json::json;

use super::super::{Scheme, scheme, sign_hmac, sign_standard};

/// What goes over the wire.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

pub(super) struct Sender {
    pub(super) name: &'static str,
    provider: Provider,
    settings: Option<HmacScheme>,
    pub(super) secret: String,
    pub(super) other: String,
    /// The header of the signature, what stands in it before the signature's own text, and the header of the time.
    pub(super) signature: &'static str,
    pub(super) before: &'static str,
    pub(super) time: &'static str,
    pub(super) timed: bool,
    /// Whether the bytes of the body are what is proven.
    pub(super) signs_body: bool,
}

impl Sender {
    pub(super) fn scheme(&self) -> &dyn Scheme {
        scheme(self.provider, self.settings.as_ref()).unwrap()
    }

    /// What the vault holds to check what is signed with this secret.
    pub(super) fn verifies(&self, secret: &str) -> String {
        if self.name == "standard v1a" { public(secret) } else { secret.to_owned() }
    }

    pub(super) fn send(&self, secret: &str, t: i64, body: &[u8]) -> Sent {
        let mut sent = Sent { headers: Vec::new(), body: body.to_vec() };
        let mut header = |name: &str, value: String| sent.headers.push((name.to_owned(), value));
        match self.name {
            "stripe" => header(self.signature, crate::stripe::sign(secret.as_bytes(), t, body)),
            "standard v1" => {
                header("webhook-id", "msg_1".to_owned());
                header(self.time, t.to_string());
                header(self.signature, sign_standard(secret.as_bytes(), "msg_1", t, body).unwrap());
            }
            "standard v1a" => {
                let text = [format!("msg_1.{t}.").as_bytes(), body].concat();
                header("webhook-id", "msg_1".to_owned());
                header(self.time, t.to_string());
                header(self.signature, format!("v1a,{}", STANDARD.encode(pair(secret).sign(&text).as_ref())));
            }
            "business_central" => {
                let element = json!({"subscriptionId": "s", "clientState": secret, "resource": "r"});
                sent.body = json!({"value": [element]}).to_string().into_bytes();
            }
            "xero" | "quickbooks" | "erpnext" => {
                let same = generic(self.signature, "", "base64", "sha256", None);
                header(self.signature, sign_hmac(&same, secret.as_bytes(), t, body));
            }
            _ => {
                let settings = self.settings.as_ref().unwrap();
                header(self.signature, sign_hmac(settings, secret.as_bytes(), t, body));
                if let Some(name) = settings.timestamp_header() {
                    header(name, t.to_string());
                }
            }
        }
        sent
    }
}

fn pair(seed: &str) -> Ed25519KeyPair {
    let seed = hex::decode(seed).unwrap();
    Ed25519KeyPair::from_seed_unchecked(&seed).unwrap()
}

pub(super) fn public(seed: &str) -> String {
    format!("whpk_{}", STANDARD.encode(pair(seed).public_key().as_ref()))
}

pub(super) fn generic(
    header: &str,
    prefix: &str,
    encoding: &str,
    digest: &str,
    time: Option<&str>,
) -> HmacScheme {
    let settings = json!({
        "header": header, "prefix": prefix, "encoding": encoding, "digest": digest, "timestamp_header": time,
    });
    serde_json::from_value(settings).unwrap()
}

pub(super) fn senders() -> Vec<Sender> {
    const TEXTS: [&str; 2] = ["a-secret-of-some-length", "another-secret-of-length"];
    let plain = |name, provider, signature| Sender {
        name,
        provider,
        settings: None,
        secret: TEXTS[0].to_owned(),
        other: TEXTS[1].to_owned(),
        signature,
        before: "",
        time: "",
        timed: false,
        signs_body: true,
    };
    let standard = |name, secrets: [String; 2]| {
        let [secret, other] = secrets;
        let (before, time, timed) = (",", "webhook-timestamp", true);
        let base = plain(name, Provider::StandardWebhooks, "webhook-signature");
        Sender { secret, other, before, time, timed, ..base }
    };
    let own = |name, prefix, encoding, digest, timed: bool| Sender {
        settings: Some(generic("x-signature", prefix, encoding, digest, timed.then_some("x-time"))),
        before: prefix,
        time: "x-time",
        timed,
        ..plain(name, Provider::GenericHmac, "x-signature")
    };
    let states = [5, 6].map(|byte| STANDARD.encode([byte; 32]));
    let [state, other_state] = states;
    vec![
        Sender {
            secret: "whsec_a_secret_of_stripes_own".to_owned(),
            other: "whsec_another_one_of_stripes".to_owned(),
            before: "v1=",
            timed: true,
            ..plain("stripe", Provider::Stripe, "stripe-signature")
        },
        standard("standard v1", [1, 2].map(|byte| format!("whsec_{}", STANDARD.encode([byte; 32])))),
        standard("standard v1a", [3, 4].map(|byte| hex::encode([byte; 32]))),
        plain("xero", Provider::Xero, "x-xero-signature"),
        plain("quickbooks", Provider::Quickbooks, "intuit-signature"),
        plain("erpnext", Provider::Erpnext, "x-frappe-webhook-signature"),
        own("generic hex", "sha256=", "hex", "sha256", false),
        own("generic base64", "", "base64", "sha256", false),
        own("generic long", "", "base64", "sha512", true),
        own("generic timed", "v1:", "hex", "sha512", true),
        Sender {
            secret: state,
            other: other_state,
            signs_body: false,
            ..plain("business_central", Provider::BusinessCentral, "")
        },
    ]
}
