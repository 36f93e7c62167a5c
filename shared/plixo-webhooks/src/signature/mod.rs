//! How webhooks prove where they come from.
//!
//! One [`Scheme`] for each provider. All of them look at the exact bytes that came, compare in constant time and fail closed:
//! what is missing, empty, folded, of the wrong length or encoding, too old or too new is refused with its reason, and without a
//! usable secret nothing holds. There is no scheme that accepts by default.

pub mod business_central;
mod encoding;
mod hmac;
mod standard;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use plixo_domain::webhook::{HmacScheme, Provider};

pub use hmac::sign as sign_hmac;
pub use standard::sign as sign_standard;

/// How far the time in a header may lie from the time of receipt, either way, in seconds.
pub const TOLERANCE_SECONDS: u64 = 300;

/// The longest header that is read: what an HTTP API takes of all headers together. It is the only bound on the number of
/// Stripe's signatures, about 150: they are compared with one HMAC per secret, so that a long list costs microseconds.
pub const MAX_HEADER_BYTES: usize = 10_240;

/// Twelve digits last until the year 33658.
const MAX_TIMESTAMP_DIGITS: usize = 12;

/// What came, as its receiver has it.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The value of a header, by its name in lower case. Where a gateway hands over a header that came several times, its
    /// values are joined with commas, as HTTP says: every scheme refuses that.
    pub header: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// When it arrived, Unix seconds.
    pub received_at: i64,
}

/// What is authentic of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Authentic<'a> {
    /// The authentic bytes: the whole body. Of Business Central only the elements that held, without their secrets; this, and
    /// not what came, is to be queued and kept.
    pub body: Cow<'a, [u8]>,
    /// The id that the sender gave the event outside the body, where the signature covers it.
    pub id: Option<&'a str>,
    /// How many elements did not hold and were dropped: 0 except of Business Central.
    pub dropped: usize,
}

/// Without the body, which may be personal.
impl std::fmt::Debug for Authentic<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authentic")
            .field("id", &self.id)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl<'a> Authentic<'a> {
    pub(crate) fn whole(body: &'a [u8]) -> Self {
        Self { body: Cow::Borrowed(body), id: None, dropped: 0 }
    }
}

/// A way of signing webhooks.
pub trait Scheme {
    /// Checks a message against the live secrets of its endpoint, each as it is kept in the vault. Any one of them may hold.
    ///
    /// # Errors
    /// [`SignatureError`], for the log: a caller learns only that the message was refused.
    fn verify<'a>(&self, message: &Message<'a>, secrets: &[&[u8]]) -> Result<Authentic<'a>, SignatureError>;

    /// Whether a secret can be registered: it is of this scheme's form and too long to be guessed. Verifying asks less, so that a
    /// stricter rule never shuts out what is in use.
    fn takes_secret(&self, secret: &str) -> bool;
}

/// The scheme of a provider. A `generic_hmac` endpoint's own settings are its scheme: without them, and for
/// [`Provider::Member`], there is none.
#[must_use]
pub fn scheme(provider: Provider, generic: Option<&HmacScheme>) -> Option<&dyn Scheme> {
    match provider {
        Provider::Stripe => Some(&crate::stripe::StripeScheme),
        Provider::StandardWebhooks => Some(&standard::StandardWebhooks),
        Provider::Xero => Some(&hmac::XERO),
        Provider::Quickbooks => Some(&hmac::QUICKBOOKS),
        Provider::Erpnext => Some(&hmac::ERPNEXT),
        Provider::BusinessCentral => Some(&business_central::BusinessCentral),
        Provider::GenericHmac => generic.map(|settings| -> &dyn Scheme { settings }),
        Provider::Member => None,
    }
}

/// Why a signature does not hold. For the log: a caller learns only that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No signature header, or an empty one.
    #[error("there is no signature header")]
    Missing,
    /// Longer than [`MAX_HEADER_BYTES`], or with more signatures than anybody sends.
    #[error("the signature header is too long")]
    TooLong,
    /// No time, several of them (as where two headers were merged into one), or one that is no canonical decimal of at most
    /// twelve digits.
    #[error("there is not exactly one well-formed timestamp")]
    Timestamp,
    /// No id, or none that the scheme allows.
    #[error("there is no well-formed id")]
    Id,
    /// Not well-formed: another length or encoding, blanks, several headers folded into one.
    #[error("there is no well-formed signature")]
    NoSignature,
    /// Older or newer than [`TOLERANCE_SECONDS`].
    #[error("the time is outside the tolerance")]
    OutsideTolerance,
    /// The endpoint has no live secret of this scheme.
    #[error("there is no usable secret")]
    NoSecret,
    /// None of the signatures is that of what came, under any of the secrets.
    #[error("no signature matches")]
    NoMatch,
    /// The body, which holds the secret, is none in which it can be found.
    #[error("the body is no notification")]
    Body,
}

impl SignatureError {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "signature_missing",
            Self::TooLong => "signature_too_long",
            Self::Timestamp => "signature_timestamp_malformed",
            Self::Id => "signature_id_malformed",
            Self::NoSignature => "signature_malformed",
            Self::OutsideTolerance => "signature_outside_tolerance",
            Self::NoSecret => "signature_no_secret",
            Self::NoMatch => "signature_mismatch",
            Self::Body => "signature_body_malformed",
        }
    }
}

/// A header that is there, and short enough to be read.
fn header<'a>(message: &Message<'a>, name: &str) -> Result<&'a str, SignatureError> {
    match (message.header)(name) {
        None | Some("") => Err(SignatureError::Missing),
        Some(value) if value.len() > MAX_HEADER_BYTES => Err(SignatureError::TooLong),
        Some(value) => Ok(value),
    }
}

/// The time of a canonical decimal: no sign, no blank, no leading zero.
pub(crate) fn seconds(timestamp: &str) -> Option<i64> {
    let canonical = (1..=MAX_TIMESTAMP_DIGITS).contains(&timestamp.len())
        && timestamp.bytes().all(|b| b.is_ascii_digit())
        && (timestamp == "0" || !timestamp.starts_with('0'));
    if canonical { timestamp.parse().ok() } else { None }
}

/// Whether the time is close enough to that of receipt.
pub(crate) fn in_tolerance(timestamp: &str, received_at: i64) -> Result<(), SignatureError> {
    let sent_at = seconds(timestamp).ok_or(SignatureError::Timestamp)?;
    let close = received_at.abs_diff(sent_at) <= TOLERANCE_SECONDS;
    close.then_some(()).ok_or(SignatureError::OutsideTolerance)
}

fn is_blank(secret: &[u8]) -> bool {
    secret.trim_ascii().is_empty()
}

/// A secret that a person or a program chose: enough of visible ASCII that nobody guesses it.
fn is_strong_text(secret: &str) -> bool {
    (16..=256).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_graphic())
}
