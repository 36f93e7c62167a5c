mod certificate;
mod chain;
mod file;
mod note;
mod tamper;
mod tree;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use jiff::Timestamp;
use plixo_domain::id::{AuditId, Ids};
use serde_json::json;

use super::*;

const ORIGIN: &str = "plixo.example/audit/org_01h2xcejqtf2nbrexx3vqjhp41";

static KEY: LazyLock<TestKey> = LazyLock::new(TestKey::generate);

/// A key as KMS would have it.
struct TestKey(EcdsaKeyPair);

impl TestKey {
    fn generate() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    fn public(&self, name: &str) -> PublicKey {
        PublicKey::new(name, self.0.public_key().as_der().unwrap().as_ref()).unwrap()
    }

    fn note(&self, name: &str, text: &str) -> Note {
        at_once(self.public(name).sign(text, self)).unwrap()
    }
}

impl Signer for TestKey {
    type Error = Infallible;

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Infallible> {
        Ok(self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
    }
}

/// What a future has at once.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

fn hour(number: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + number * 3_600).unwrap()
}

fn span(number: i64) -> Span {
    Span { from: hour(number), to: hour(number + 1) }
}

/// The text of an event of that hour as the store writes it.
fn event(number: i64, ids: &mut Ids, what: usize) -> String {
    let (id, at): (AuditId, _) = (ids.make(), hour(number));
    json!({
        "id": id, "at": at, "actor": {"kind": "provider", "id": "whe_1"}, "user_agent": "é", "action": "payment.record",
        "object": {"kind": "payment", "id": what.to_string()}, "outcome": "allowed", "fields": ["amount"],
        "request_id": format!("request-{what}"),
    })
    .to_string()
}

fn entries(events: &[impl AsRef<[u8]>]) -> Vec<Entry> {
    events.iter().map(|text| Entry::of(text.as_ref()).unwrap()).collect()
}
