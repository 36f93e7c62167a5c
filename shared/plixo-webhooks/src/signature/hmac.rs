//! One HMAC in one header, over the body: Xero, QuickBooks, ERPNext, and what an organisation sets for a sender of its own.
//!
//! Keys are the secrets' bytes as they are: those of Xero and QuickBooks look like Base64 and are not decoded.

use aws_lc_rs::{constant_time, hmac};
use plixo_domain::webhook::{Digest, HmacScheme, SignatureEncoding};

use super::encoding::{decode, encode};
use super::{Authentic, Message, Scheme, SignatureError, header, in_tolerance, is_blank, is_strong_text};

/// Base64 of HMAC-SHA256 over the body, in this header.
#[derive(Debug)]
pub(super) struct BodyHmac(&'static str);

/// developer.xero.com/documentation/guides/webhooks/configuring-your-server
pub(super) const XERO: BodyHmac = BodyHmac("x-xero-signature");
/// developer.intuit.com/app/developer/qbo/docs/develop/webhooks/managing-webhooks-notifications
pub(super) const QUICKBOOKS: BodyHmac = BodyHmac("intuit-signature");
/// frappe/integrations/doctype/webhook/webhook.py, where security is enabled
pub(super) const ERPNEXT: BodyHmac = BodyHmac("x-frappe-webhook-signature");

impl Scheme for BodyHmac {
    fn verify<'a>(&self, message: &Message<'a>, secrets: &[&[u8]]) -> Result<Authentic<'a>, SignatureError> {
        let given = decode::<32>(header(message, self.0)?, SignatureEncoding::Base64);
        let given = given.ok_or(SignatureError::NoSignature)?;
        holds(hmac::HMAC_SHA256, secrets, None, message.body, &given)?;
        Ok(Authentic::whole(message.body))
    }

    fn takes_secret(&self, secret: &str) -> bool {
        is_strong_text(secret)
    }
}

impl Scheme for HmacScheme {
    fn verify<'a>(&self, message: &Message<'a>, secrets: &[&[u8]]) -> Result<Authentic<'a>, SignatureError> {
        let given = header(message, self.header())?;
        let given = given.strip_prefix(self.prefix()).ok_or(SignatureError::NoSignature)?;
        let timestamp = match self.timestamp_header() {
            None => None,
            Some(name) => {
                let timestamp = header(message, name).map_err(|_| SignatureError::Timestamp)?;
                in_tolerance(timestamp, message.received_at)?;
                Some(timestamp)
            }
        };
        match self.digest() {
            Digest::Sha256 => {
                let given = decode::<32>(given, self.encoding()).ok_or(SignatureError::NoSignature)?;
                holds(hmac::HMAC_SHA256, secrets, timestamp, message.body, &given)?;
            }
            Digest::Sha512 => {
                let given = decode::<64>(given, self.encoding()).ok_or(SignatureError::NoSignature)?;
                holds(hmac::HMAC_SHA512, secrets, timestamp, message.body, &given)?;
            }
        }
        Ok(Authentic::whole(message.body))
    }

    fn takes_secret(&self, secret: &str) -> bool {
        is_strong_text(secret)
    }
}

fn holds(
    algorithm: hmac::Algorithm,
    secrets: &[&[u8]],
    timestamp: Option<&str>,
    body: &[u8],
    given: &[u8],
) -> Result<(), SignatureError> {
    let mut live = secrets.iter().filter(|secret| !is_blank(secret)).peekable();
    live.peek().ok_or(SignatureError::NoSecret)?;
    let held = live.any(|secret| {
        let expected = mac(algorithm, secret, timestamp, body);
        constant_time::verify_slices_are_equal(expected.as_ref(), given).is_ok()
    });
    held.then_some(()).ok_or(SignatureError::NoMatch)
}

fn mac(algorithm: hmac::Algorithm, secret: &[u8], timestamp: Option<&str>, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, secret));
    if let Some(timestamp) = timestamp {
        context.update(timestamp.as_bytes());
        context.update(b".");
    }
    context.update(body);
    context.sign()
}

/// The header that a sender of this scheme sends, with `t` (Unix seconds) where it sends a time: for tests and demonstrations.
#[must_use]
pub fn sign(scheme: &HmacScheme, secret: &[u8], t: i64, body: &[u8]) -> String {
    let algorithm = match scheme.digest() {
        Digest::Sha256 => hmac::HMAC_SHA256,
        Digest::Sha512 => hmac::HMAC_SHA512,
    };
    let timestamp = scheme.timestamp_header().map(|_| t.to_string());
    let tag = mac(algorithm, secret, timestamp.as_deref(), body);
    format!("{}{}", scheme.prefix(), encode(tag.as_ref(), scheme.encoding()))
}
