//! Signatures as bytes: one text for each, so that none can be written in two ways.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plixo_domain::webhook::SignatureEncoding;

/// `N` bytes of canonical Base64: the standard alphabet, padding, no unused bits set.
pub(super) fn base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let exact = text.len() == N.div_ceil(3).checked_mul(4)?;
    let decoded = if exact { STANDARD.decode(text).ok()? } else { return None };
    (decoded.len() == N).then(|| bytes.copy_from_slice(&decoded))?;
    Some(bytes)
}

/// `N` bytes of lower-case hexadecimal digits.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

pub(super) fn decode<const N: usize>(text: &str, encoding: SignatureEncoding) -> Option<[u8; N]> {
    match encoding {
        SignatureEncoding::Hex => hex(text),
        SignatureEncoding::Base64 => base64(text),
    }
}

pub(super) fn encode(bytes: &[u8], encoding: SignatureEncoding) -> String {
    match encoding {
        SignatureEncoding::Hex => hex::encode(bytes),
        SignatureEncoding::Base64 => STANDARD.encode(bytes),
    }
}
