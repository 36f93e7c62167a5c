//! The only source of randomness.

/// 32 bytes from the cryptographic random generator; `None` if it fails.
#[must_use]
pub fn bytes_32() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok().map(|()| bytes)
}
