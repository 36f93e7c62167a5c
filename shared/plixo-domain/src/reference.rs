//! The normalised form of an invoice number, by which what payers write is looked up.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What an invoice's index row is named by: numbers that people take for the same have the same key.
///
/// Capital letters and digits in groups. Separators between groups and leading zeros of a group of digits are dropped, and
/// two groups of digits that are next to each other stay apart by `-`: `inv 0042` and `INV-42` are `INV42`,
/// `2024-1-11` is `2024-1-11` and no `2024-11-1`. `INV-1` and `INV-10` never have the same key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReferenceKey(String);

impl ReferenceKey {
    /// The key, to name a row by.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReferenceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of an invoice's number.
#[must_use]
pub fn reference_key(number: &str) -> ReferenceKey {
    let mut key = Key::default();
    for group in groups(&fold(number)) {
        key.push(group);
    }
    ReferenceKey(key.done)
}

/// A key in the making.
#[derive(Debug, Clone, Default)]
pub struct Key {
    done: String,
    after_digits: bool,
}

impl Key {
    /// Adds a group of letters or digits.
    pub fn push(&mut self, group: &str) {
        let digits = is_digits(group);
        if digits && self.after_digits {
            self.done.push('-');
        }
        self.done.push_str(if digits { without_zeros(group) } else { group });
        self.after_digits = digits;
    }

    /// As far as it is made.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.done
    }
}

impl From<Key> for ReferenceKey {
    fn from(key: Key) -> Self {
        Self(key.done)
    }
}

/// Whether a group is one of digits.
#[must_use]
pub fn is_digits(group: &str) -> bool {
    group.starts_with(|c: char| c.is_ascii_digit())
}

/// Without leading zeros, but for the last digit.
#[must_use]
pub fn without_zeros(digits: &str) -> &str {
    let short = digits.trim_start_matches('0');
    if short.is_empty() && !digits.is_empty() { "0" } else { short }
}

/// Capital letters without accents, digits as ASCII, one kind of dash.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        match c {
            'a'..='z' => folded.push(c.to_ascii_uppercase()),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => folded.push('-'),
            '’' | '´' | '`' => folded.push('\''),
            'ß' | 'ẞ' => folded.push_str("SS"),
            'ø' | 'Ø' => folded.push('O'),
            'æ' | 'Æ' => folded.push_str("AE"),
            'œ' | 'Œ' => folded.push_str("OE"),
            'ł' | 'Ł' => folded.push('L'),
            'đ' | 'Đ' => folded.push('D'),
            'ı' => folded.push('I'),
            _ if c.is_ascii() => folded.push(c),
            _ => folded.extend(c.to_uppercase()),
        }
    }
    folded
}

/// Maximal runs of letters and of digits.
pub fn groups(folded: &str) -> impl Iterator<Item = &str> {
    let kind = |c: char| (c.is_ascii_digit(), c.is_alphabetic());
    folded.split(|c: char| !(c.is_ascii_digit() || c.is_alphabetic())).flat_map(move |word| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let first = rest.chars().next()?;
            let end = rest.find(|c| kind(c) != kind(first)).unwrap_or(rest.len());
            let (group, after) = rest.split_at_checked(end)?;
            rest = after;
            Some(group)
        })
    })
}
