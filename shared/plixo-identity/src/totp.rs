//! Codes of authenticator apps ([RFC 6238](https://www.rfc-editor.org/rfc/rfc6238)). Cognito checks them; here is what
//! they look like, how an app learns its secret, and what an app shows.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use qrcode::render::svg::Color;
use qrcode::{EcLevel, QrCode};

/// How long a used code is remembered. Cognito takes a code for its step of 30 s and some steps to either side.
pub const REMEMBERED_FOR: SignedDuration = SignedDuration::from_mins(3);

/// How long a code lasts, seconds: what apps and Cognito take for granted.
const STEP: u64 = 30;

/// A code of six digits. Its `Debug` prints none of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

/// A text that is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has six digits")]
pub struct NotACode;

impl Code {
    /// The six digits, for the one place that needs them.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for Code {
    type Err = NotACode;

    /// Takes spaces between the digits too, as apps show them.
    fn from_str(text: &str) -> Result<Self, NotACode> {
        if text.len() > 16 {
            return Err(NotACode);
        }
        let digits: String = text.chars().filter(|c| *c != ' ').collect();
        let fits = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit());
        if fits { Ok(Self(digits)) } else { Err(NotACode) }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

/// The code that an app shows at a time. `None` for a secret that is not base32, and before 1970.
#[must_use]
pub fn code_at(secret: &str, at: Timestamp) -> Option<Code> {
    let secret = BASE32_NOPAD.decode(secret.trim_end_matches('=').as_bytes()).ok()?;
    let step = u64::try_from(at.as_second()).ok()? / STEP;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let mac = hmac::sign(&key, &step.to_be_bytes());
    // RFC 4226, section 5.3.
    let offset = usize::from(mac.as_ref().last()? & 0x0f);
    let four = mac.as_ref().get(offset..offset + 4)?;
    let number = u32::from_be_bytes(four.try_into().ok()?) & 0x7fff_ffff;
    Some(Code(format!("{:06}", number % 1_000_000)))
}

/// All but RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The URL by which an app learns a base32 secret
/// ([format](https://github.com/google/google-authenticator/wiki/Key-Uri-Format)).
#[must_use]
pub fn otpauth_url(issuer: &str, account: &str, secret: &str) -> String {
    let escaped = |text| utf8_percent_encode(text, ESCAPED);
    let (issuer, account, secret) = (escaped(issuer), escaped(account), escaped(secret));
    format!("otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}")
}

/// A URL as a QR code: an SVG element without scripts or styles, to be put into a page as it is. `None` for a URL that is
/// longer than a QR code takes.
#[must_use]
pub fn qr_svg(url: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(url, EcLevel::M).ok()?;
    let drawn = code.render::<Color<'_>>().min_dimensions(240, 240).build();
    let element = drawn.find("<svg ").and_then(|start| drawn.get(start..))?;
    Some(element.replacen("<svg ", r#"<svg role="img" aria-label="QR code for your authenticator app" "#, 1))
}

#[cfg(test)]
mod tests;
