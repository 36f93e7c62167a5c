//! The only place that calls AWS-LC. The Wycheproof vectors run through these functions.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{constant_time, hkdf, hmac};

pub(crate) const TAG_BYTES: usize = 16;

/// Encrypts `in_out` and appends the tag. `nonce` must never meet `key` twice.
pub(crate) fn gcm_seal(
    key: &[u8; 32],
    nonce: [u8; 12],
    aad: &[u8],
    in_out: &mut Vec<u8>,
) -> Result<(), Unspecified> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?);
    // Growing for the tag would leave the old buffer, with the plaintext, behind.
    in_out.reserve_exact(TAG_BYTES);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), in_out)
}

/// Decrypts `in_out` (ciphertext and tag) and cuts it to the plaintext.
pub(crate) fn gcm_open(
    key: &[u8; 32],
    nonce: [u8; 12],
    aad: &[u8],
    in_out: &mut Vec<u8>,
) -> Result<(), Unspecified> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?);
    let plaintext =
        key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), in_out.as_mut_slice())?.len();
    in_out.truncate(plaintext);
    Ok(())
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF (RFC 5869), extract and expand. Fills `out`; refuses more than 255 times the hash's length.
pub(crate) fn hkdf(
    hash: hkdf::Algorithm,
    salt: &[u8],
    secret: &[u8],
    info: &[u8],
    out: &mut [u8],
) -> Result<(), Unspecified> {
    hkdf::Salt::new(hash, salt).extract(secret).expand(&[info], Length(out.len()))?.fill(out)
}

/// HMAC-SHA-256 (RFC 2104).
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

/// Compares without telling by its time where the first difference is.
pub(crate) fn equal(left: &[u8; 32], right: &[u8; 32]) -> bool {
    constant_time::verify_slices_are_equal(left, right).is_ok()
}
