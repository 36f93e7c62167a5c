//! Passwords that nobody chose.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use plixo_domain::secret::Secret;
use plixo_lambda::entropy;

/// Characters of a password.
const LENGTH: usize = 24;

/// A password drawn at random: letters and digits.
pub(crate) fn draw() -> anyhow::Result<Secret> {
    let random = entropy::bytes_32().context("no randomness to be had")?;
    let letters = STANDARD_NO_PAD.encode(random);
    Ok(Secret::new(letters.chars().filter(char::is_ascii_alphanumeric).take(LENGTH).collect()))
}
