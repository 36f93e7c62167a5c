//! The password policy.

use zxcvbn::{Score, zxcvbn};

/// The fewest characters of a password.
pub const SHORTEST: usize = 15;
/// The most characters of a password.
pub const LONGEST: usize = 128;
/// How many characters zxcvbn looks at.
const LOOKED_AT: usize = 64;
/// A shorter name stands in too many words to be held against a password.
const SHORTEST_NAME: usize = 3;
/// Words of a name count alone from this length on: "Muster & Co. KG" is `muster`.
const SHORTEST_WORD: usize = 4;

/// Why a password is refused. The texts are for the person who chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Fewer than [`SHORTEST`] characters.
    #[error("A password has at least 15 characters.")]
    TooShort,
    /// More than [`LONGEST`] characters.
    #[error("A password has at most 128 characters.")]
    TooLong,
    /// It begins or ends with a space, or holds a control character. Cognito takes no such password.
    #[error("A password does not begin or end with a space, and holds no control characters.")]
    Unprintable,
    /// It holds a name of the person or of an organisation.
    #[error("A password does not hold your name, your email address or your organisation's name.")]
    HoldsName,
    /// It would be guessed.
    #[error("This password is easy to guess. Choose several words that have nothing to do with each other.")]
    Guessable,
}

impl Weakness {
    /// A stable word.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::TooShort => "password_too_short",
            Self::TooLong => "password_too_long",
            Self::Unprintable => "password_unprintable",
            Self::HoldsName => "password_holds_name",
            Self::Guessable => "password_guessable",
        }
    }
}

/// Whether a password may be one. `names` are those of the person (the email's local part too) and of the organisations.
///
/// # Errors
/// [`Weakness`], the first that is found.
pub fn judge<N: AsRef<str>>(password: &str, names: &[N]) -> Result<(), Weakness> {
    // Counted by bytes first, so that a megabyte is not walked through.
    if password.len() > LONGEST * 4 || password.chars().count() > LONGEST {
        return Err(Weakness::TooLong);
    }
    if password.chars().count() < SHORTEST {
        return Err(Weakness::TooShort);
    }
    if password.trim() != password || password.chars().any(char::is_control) {
        return Err(Weakness::Unprintable);
    }
    let (plain, words) = (plain(password), names.iter().flat_map(|name| words(name.as_ref())));
    let words: Vec<String> = words.collect();
    if words.iter().any(|word| plain.contains(word.as_str())) {
        return Err(Weakness::HoldsName);
    }
    let looked_at: String = password.chars().take(LOOKED_AT).collect();
    let inputs: Vec<&str> = words.iter().map(String::as_str).chain(["plixo"]).collect();
    if zxcvbn(&looked_at, &inputs).score() < Score::Three {
        return Err(Weakness::Guessable);
    }
    Ok(())
}

/// Only letters and digits, in lower case: `C.a.spian` is `caspian`.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What of a name a password must not hold: the whole name, and each longer word of it.
fn words(name: &str) -> impl Iterator<Item = String> + '_ {
    let whole = Some(plain(name)).filter(|whole| whole.chars().count() >= SHORTEST_NAME);
    let each = name.split(|c: char| !c.is_alphanumeric()).map(plain);
    whole.into_iter().chain(each.filter(|word| word.chars().count() >= SHORTEST_WORD))
}

#[cfg(test)]
mod tests;
