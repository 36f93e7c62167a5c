//! The `Stripe-Signature` header.

use aws_lc_rs::{constant_time, hmac};

use crate::signature::{Authentic, Message, Scheme, in_tolerance, seconds};
pub use crate::signature::{MAX_HEADER_BYTES, SignatureError, TOLERANCE_SECONDS};

/// Checks that `header` signs `body` under one of `secrets` (whole, with their `whsec_`), not more than
/// [`TOLERANCE_SECONDS`] from `received_at`, in Unix seconds. A blank secret signs nothing.
///
/// Everything that needs no cryptography is checked first, so that most of what is refused costs no HMAC; comparing
/// takes the same time wherever two signatures differ.
///
/// # Errors
/// [`SignatureError`], which is for the log alone.
pub fn verify<'s>(
    header: &str,
    body: &[u8],
    secrets: impl IntoIterator<Item = &'s [u8]>,
    received_at: i64,
) -> Result<(), SignatureError> {
    if header.is_empty() {
        return Err(SignatureError::Missing);
    }
    if header.len() > MAX_HEADER_BYTES {
        return Err(SignatureError::TooLong);
    }
    let timestamp = only_timestamp(header).ok_or(SignatureError::Timestamp)?;
    seconds(timestamp).ok_or(SignatureError::Timestamp)?;
    signatures(header).next().ok_or(SignatureError::NoSignature)?;
    in_tolerance(timestamp, received_at)?;
    let held = secrets.into_iter().filter(|secret| !secret.trim_ascii().is_empty()).any(|secret| {
        let expected = mac(secret, timestamp, body);
        signatures(header)
            .any(|given| constant_time::verify_slices_are_equal(expected.as_ref(), &given).is_ok())
    });
    held.then_some(()).ok_or(SignatureError::NoMatch)
}

/// The header that Stripe would send with `body` at `t` (Unix seconds): for tests and demonstrations.
#[must_use]
pub fn sign(secret: &[u8], t: i64, body: &[u8]) -> String {
    let timestamp = t.to_string();
    format!("t={timestamp},v1={}", hex::encode(mac(secret, &timestamp, body)))
}

fn mac(secret: &[u8], timestamp: &str, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(timestamp.as_bytes());
    context.update(b".");
    context.update(body);
    context.sign()
}

fn parts(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(',').map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// A proxy may merge headers with `, `: so a `t` in blanks counts as one, although alone it is none.
fn only_timestamp(header: &str) -> Option<&str> {
    let mut found = parts(header).filter(|(key, _)| key.trim_ascii() == "t");
    let (key, value) = found.next()?;
    (key == "t" && found.next().is_none()).then_some(value)
}

fn signatures(header: &str) -> impl Iterator<Item = [u8; 32]> {
    parts(header).filter(|(key, _)| *key == "v1").filter_map(|(_, digits)| {
        let mut signature = [0; 32];
        let lower = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (lower && hex::decode_to_slice(digits, &mut signature).is_ok()).then_some(signature)
    })
}

/// Stripe's scheme: [`verify`] on the `Stripe-Signature` header.
#[derive(Debug)]
pub(crate) struct StripeScheme;

impl Scheme for StripeScheme {
    fn verify<'a>(&self, message: &Message<'a>, secrets: &[&[u8]]) -> Result<Authentic<'a>, SignatureError> {
        let header = (message.header)("stripe-signature").unwrap_or_default();
        verify(header, message.body, secrets.iter().copied(), message.received_at)?;
        Ok(Authentic::whole(message.body))
    }

    fn takes_secret(&self, secret: &str) -> bool {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b);
        (22..=256).contains(&secret.len()) && secret.starts_with("whsec_") && secret.bytes().all(fits)
    }
}

#[cfg(test)]
mod tests;
