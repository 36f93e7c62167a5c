//! The `Stripe-Signature` header.

use aws_lc_rs::{constant_time, hmac};

/// How far the time in a header may lie from the time of receipt, either way. Stripe's own libraries allow as much, but
/// only for the past.
pub const TOLERANCE_SECONDS: u64 = 300;

/// The longest header that is read: what an HTTP API takes of all headers together. It is the only bound on the number
/// of signatures, about 150: they are compared with one HMAC per secret, so that a long list costs microseconds.
pub const MAX_HEADER_BYTES: usize = 10_240;

/// Twelve digits last until the year 33658.
const MAX_TIMESTAMP_DIGITS: usize = 12;

/// Why a signature does not hold. For the log: a caller learns only that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No header, or an empty one.
    #[error("there is no Stripe-Signature header")]
    Missing,
    /// Longer than [`MAX_HEADER_BYTES`].
    #[error("the Stripe-Signature header is too long")]
    TooLong,
    /// No `t`, several of them (as where two headers were merged into one), or one that is no canonical decimal of at
    /// most twelve digits.
    #[error("the Stripe-Signature header has not exactly one well-formed t")]
    Timestamp,
    /// No `v1` of 64 lower-case hexadecimal digits.
    #[error("the Stripe-Signature header has no well-formed v1")]
    NoSignature,
    /// Older or newer than [`TOLERANCE_SECONDS`].
    #[error("the Stripe-Signature header's time is outside the tolerance")]
    OutsideTolerance,
    /// No `v1` is the HMAC of what came, under any of the secrets.
    #[error("no v1 of the Stripe-Signature header matches")]
    NoMatch,
}

impl SignatureError {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "signature_missing",
            Self::TooLong => "signature_too_long",
            Self::Timestamp => "signature_timestamp_malformed",
            Self::NoSignature => "signature_malformed",
            Self::OutsideTolerance => "signature_outside_tolerance",
            Self::NoMatch => "signature_mismatch",
        }
    }
}

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
    let sent_at = seconds(timestamp).ok_or(SignatureError::Timestamp)?;
    signatures(header).next().ok_or(SignatureError::NoSignature)?;
    if received_at.abs_diff(sent_at) > TOLERANCE_SECONDS {
        return Err(SignatureError::OutsideTolerance);
    }
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

fn seconds(timestamp: &str) -> Option<i64> {
    let canonical = (1..=MAX_TIMESTAMP_DIGITS).contains(&timestamp.len())
        && timestamp.bytes().all(|b| b.is_ascii_digit())
        && (timestamp == "0" || !timestamp.starts_with('0'));
    if canonical { timestamp.parse().ok() } else { None }
}

fn signatures(header: &str) -> impl Iterator<Item = [u8; 32]> {
    parts(header).filter(|(key, _)| *key == "v1").filter_map(|(_, digits)| {
        let mut signature = [0; 32];
        let lower = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (lower && hex::decode_to_slice(digits, &mut signature).is_ok()).then_some(signature)
    })
}

#[cfg(test)]
mod tests;
