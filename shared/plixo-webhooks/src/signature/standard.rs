//! Standard Webhooks 1.0.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
//!
//! The signed text is `<id>.<timestamp>.<body>`. `v1` is HMAC-SHA256 under a `whsec_` secret, `v1a` is Ed25519 (RFC 8032) under a
//! `whpk_` public key. Which of the two a key can check is in its prefix, so a public key is never taken for an HMAC key.
//!
//! Svix's own names of the headers (`svix-id` and so on) are not read: who sends Plixo's canonical events chooses its headers,
//! and one spelling of a message leaves less to go wrong than two.

use aws_lc_rs::{constant_time, hmac, signature};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::encoding::base64;
use super::{Authentic, Message, Scheme, SignatureError, header, in_tolerance};

/// So many `v1a` signatures are checked at most: each costs an elliptic-curve operation for each public key.
const MAX_ASYMMETRIC: usize = 8;

/// The longest id; Svix's have 31 characters.
const MAX_ID: usize = 255;

/// Standard Webhooks.
#[derive(Debug)]
pub(super) struct StandardWebhooks;

enum Key {
    Secret(Box<hmac::Key>),
    Public([u8; 32]),
}

impl Key {
    /// The key that a text of the vault is, if it is one.
    fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        if let Some(public) = text.strip_prefix("whpk_") {
            return base64(public).map(Self::Public);
        }
        let secret = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
        let long_enough = (24..=64).contains(&secret.len());
        long_enough.then(|| Self::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &secret))))
    }
}

/// The y-coordinates of the points whose order divides 8, in both encodings where there are two, without the bit of x's sign. Under
/// such a key, as one of nothing but zeros, anybody can sign.
const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn is_of_small_order(mut key: [u8; 32]) -> bool {
    if let Some(last) = key.last_mut() {
        *last &= 0x7f;
    }
    SMALL_ORDER.contains(&hex::encode(key).as_str())
}

enum Given {
    Mac([u8; 32]),
    Asymmetric([u8; 64]),
}

/// The signatures of the versions that are known. An item that is no `version,signature`, or that is of a known version and not
/// well-formed, spoils the whole header: so looks what a proxy folded.
fn signatures(header: &str) -> Result<Vec<Given>, SignatureError> {
    let mut given = Vec::new();
    for item in header.split(' ') {
        let (version, text) = item.split_once(',').ok_or(SignatureError::NoSignature)?;
        let read = match version {
            "v1" => base64(text).map(Given::Mac),
            "v1a" => base64(text).map(Given::Asymmetric),
            _ if is_version(version) && !text.is_empty() && !text.contains(',') => continue,
            _ => None,
        };
        given.push(read.ok_or(SignatureError::NoSignature)?);
    }
    if given.is_empty() {
        return Err(SignatureError::NoSignature);
    }
    let asymmetric = given.iter().filter(|one| matches!(one, Given::Asymmetric(_))).count();
    if asymmetric > MAX_ASYMMETRIC { Err(SignatureError::TooLong) } else { Ok(given) }
}

fn is_version(text: &str) -> bool {
    let rest = text.strip_prefix('v').unwrap_or_default();
    (1..=8).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// What may stand in an id: visible ASCII but for the separator of the signed text and the comma that folds headers.
fn is_id(id: &str) -> bool {
    let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b'.' | b',');
    id.len() <= MAX_ID && id.bytes().all(fits)
}

impl Scheme for StandardWebhooks {
    fn verify<'a>(&self, message: &Message<'a>, secrets: &[&[u8]]) -> Result<Authentic<'a>, SignatureError> {
        let given = signatures(header(message, "webhook-signature")?)?;
        let id = header(message, "webhook-id").map_err(|_| SignatureError::Id)?;
        if !is_id(id) {
            return Err(SignatureError::Id);
        }
        let timestamp = header(message, "webhook-timestamp").map_err(|_| SignatureError::Timestamp)?;
        in_tolerance(timestamp, message.received_at)?;
        let keys: Vec<Key> = secrets.iter().filter_map(|secret| Key::read(secret)).collect();
        if keys.is_empty() {
            return Err(SignatureError::NoSecret);
        }
        let text = |to: &mut dyn FnMut(&[u8])| {
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", message.body] {
                to(part);
            }
        };
        let held = keys.iter().any(|key| match key {
            Key::Secret(key) => {
                let mut context = hmac::Context::with_key(key);
                text(&mut |part| context.update(part));
                let expected = context.sign();
                given.iter().any(|one| {
                    let Given::Mac(mac) = one else { return false };
                    constant_time::verify_slices_are_equal(expected.as_ref(), mac).is_ok()
                })
            }
            Key::Public(key) => {
                let key = signature::UnparsedPublicKey::new(&signature::ED25519, key);
                let mut signed = Vec::new();
                given.iter().any(|one| {
                    let Given::Asymmetric(signature) = one else { return false };
                    if signed.is_empty() {
                        text(&mut |part| signed.extend_from_slice(part));
                    }
                    key.verify(&signed, signature).is_ok()
                })
            }
        });
        held.then_some(()).ok_or(SignatureError::NoMatch)?;
        Ok(Authentic { id: Some(id), ..Authentic::whole(message.body) })
    }

    fn takes_secret(&self, secret: &str) -> bool {
        match Key::read(secret.as_bytes()) {
            Some(Key::Secret(_)) => true,
            Some(Key::Public(key)) => !is_of_small_order(key),
            None => false,
        }
    }
}

/// The `v1` signature of a message: for tests and demonstrations. `None` if the secret is no `whsec_…` of 24 to 64 bytes.
#[must_use]
pub fn sign(secret: &[u8], id: &str, t: i64, body: &[u8]) -> Option<String> {
    let Some(Key::Secret(key)) = Key::read(secret) else { return None };
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{t}.").as_bytes());
    context.update(body);
    Some(format!("v1,{}", STANDARD.encode(context.sign())))
}
