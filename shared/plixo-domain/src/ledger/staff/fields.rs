//! Fields that people fill in.

use serde::{Deserialize, Deserializer};

use super::{StaffError, Stopped};
use crate::ledger::Private;

/// What is wrong with a field. It never holds the field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// A JSON pointer into the request.
    pub pointer: String,
    /// What is wrong, in words.
    pub why: &'static str,
}

/// What is to become of a field: an absent one stays, null clears it. (`#[serde(default)]` makes the absent one.)
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It goes.
    Clear,
    /// It is this from now on.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Option::deserialize(from).map(|value| value.map_or(Self::Clear, Self::Set))
    }
}

impl<T> Patch<T> {
    /// What the field is then.
    pub(super) fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// What a field is then that cannot be empty.
    pub(super) fn over_needed(self, before: T, pointer: &str, fields: &mut Fields) -> T {
        match self {
            Self::Keep => before,
            Self::Set(value) => value,
            Self::Clear => {
                fields.wrong(pointer, "cannot be empty");
                before
            }
        }
    }
}

/// Why a field with a card number in it is refused.
pub(super) const HOLDS_CARD: &str = "holds a card number, which is kept nowhere; leave it out";

/// What is wrong with a request's fields, gathered.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Fields(Vec<FieldError>);

impl Fields {
    pub(super) fn wrong(&mut self, pointer: impl Into<String>, why: &'static str) {
        self.0.push(FieldError { pointer: pointer.into(), why });
    }

    pub(in crate::ledger) fn check(&mut self, right: bool, pointer: impl Into<String>, why: &'static str) {
        if !right {
            self.wrong(pointer, why);
        }
    }

    /// A line of text that is not blank, of at most so many characters.
    pub(super) fn line(&mut self, text: &str, most: usize, pointer: impl Into<String>) {
        let pointer = pointer.into();
        if text.trim().is_empty() {
            self.wrong(pointer, "cannot be empty");
        } else if text.chars().any(char::is_control) {
            self.wrong(pointer, "cannot hold control characters");
        } else if text.chars().count() > most {
            self.wrong(pointer, "is too long");
        } else {
            self.no_card(text, pointer);
        }
    }

    /// Text that holds no card number: for what is checked otherwise already.
    pub(in crate::ledger) fn no_card(&mut self, text: &str, pointer: impl Into<String>) {
        self.check(!plixo_cards::contains(text), pointer, HOLDS_CARD);
    }

    /// Text of several lines that is not blank, of at most so many characters.
    pub(super) fn lines(&mut self, text: &str, most: usize, pointer: &str) {
        if text.trim().is_empty() {
            self.wrong(pointer, "cannot be empty");
        } else if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.wrong(pointer, "cannot hold control characters");
        } else if text.chars().count() > most {
            self.wrong(pointer, "is too long");
        } else {
            self.no_card(text, pointer);
        }
    }

    /// Goes on if nothing is wrong.
    pub(in crate::ledger) fn done(self) -> Result<(), Stopped> {
        if self.0.is_empty() { Ok(()) } else { Err(StaffError::Invalid(self.0).into()) }
    }
}

/// The longest reason, characters.
pub const MAX_REASON: usize = 2_000;

/// Why somebody does something, as they typed it: text of one line or several, which may name people.
///
/// # Errors
/// [`StaffError::Invalid`].
pub fn typed_reason(text: &str) -> Result<Private<String>, Stopped> {
    let mut fields = Fields::default();
    fields.lines(text, MAX_REASON, "/reason");
    fields.done()?;
    Ok(Private::Plain(text.to_owned()))
}

/// A request with one wrong field.
pub(super) fn invalid(pointer: impl Into<String>, why: &'static str) -> Stopped {
    StaffError::Invalid(vec![FieldError { pointer: pointer.into(), why }]).into()
}
