#![doc = include_str!("../README.md")]

mod scan;
mod scheme;
mod surroundings;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use scan::{Finding, Source};

/// A text without card numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted<'a> {
    /// The text: borrowed where there was nothing to redact.
    pub text: Cow<'a, str>,
    /// How many card numbers there were.
    pub count: usize,
}

/// Masks the card numbers in plain text: each digit but the last four becomes `*`, everything else stays as it is.
#[must_use]
pub fn redact_text(text: &str) -> Redacted<'_> {
    redact(text, Form::Text { escapes: false })
}

/// Masks the card numbers in a JSON text, which stays valid JSON. In strings (keys too) digits become `*`, however they
/// are escaped; a bare number becomes a string. What is no JSON is redacted as plain text.
#[must_use]
pub fn redact_json(text: &str) -> Redacted<'_> {
    if scan::find(Source { text, escapes: true }).is_empty() {
        return Redacted { text: Cow::Borrowed(text), count: 0 };
    }
    let valid = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    redact(text, if valid { Form::Json } else { Form::Text { escapes: true } })
}

/// Whether a text that a person typed holds a card number.
#[must_use]
pub fn contains(text: &str) -> bool {
    !scan::find(Source { text, escapes: false }).is_empty()
}

/// Whether a card number was masked in a text: it has as many stars as the shortest leaves. As an id it is no good: several
/// numbers look like it.
#[must_use]
pub fn is_masked(text: &str) -> bool {
    text.matches('*').count() >= scan::SHORTEST - scan::KEPT
}

#[derive(Clone, Copy)]
enum Form {
    Text { escapes: bool },
    Json,
}

/// The digits that a mask leaves may, by chance, make another card number with their neighbours: so it is repeated until
/// nothing is found. Each round has fewer digits than the one before.
fn redact(text: &str, form: Form) -> Redacted<'_> {
    let mut redacted = Redacted { text: Cow::Borrowed(text), count: 0 };
    loop {
        let escapes = !matches!(form, Form::Text { escapes: false });
        let found = scan::find(Source { text: &redacted.text, escapes });
        let edits = match form {
            Form::Text { .. } => found.iter().flat_map(stars).collect(),
            Form::Json => json_edits(&redacted.text, &found),
        };
        if edits.is_empty() {
            return redacted;
        }
        redacted.count = redacted.count.saturating_add(found.iter().map(|finding| finding.count).sum());
        redacted.text = Cow::Owned(apply(&redacted.text, edits));
    }
}

type Edit = (Range<usize>, Cow<'static, str>);

fn stars(finding: &Finding) -> impl Iterator<Item = Edit> {
    finding.masked.iter().map(|digit| (digit.clone(), Cow::Borrowed("*")))
}

fn json_edits(text: &str, found: &[Finding]) -> Vec<Edit> {
    let mut strings = Strings { text, at: 0, inside: false };
    found
        .iter()
        .flat_map(|finding| match strings.hold(finding.start) {
            true => stars(finding).collect(),
            false => number(text, finding).map_or_else(Vec::new, |edit| vec![edit]),
        })
        .collect()
}

/// An integer outside of strings; a fraction or an exponent makes it a measurement.
fn number(text: &str, finding: &Finding) -> Option<Edit> {
    let part_of_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
    let before = text.get(..finding.start)?.trim_end_matches(part_of_number).len();
    let after =
        text.get(before..)?.find(|c| !part_of_number(c)).map_or(text.len(), |len| before.saturating_add(len));
    let token = text.get(before..after)?;
    let digits = token.trim_start_matches('-');
    let keep = digits.len().checked_sub(4)?;
    let whole = digits.bytes().all(|b| b.is_ascii_digit());
    whole.then(|| Some((before..after, format!("\"{}{}\"", "*".repeat(keep), digits.get(keep..)?).into())))?
}

/// Which places of a JSON text lie in strings. Asked from left to right.
struct Strings<'a> {
    text: &'a str,
    at: usize,
    inside: bool,
}

impl Strings<'_> {
    fn hold(&mut self, place: usize) -> bool {
        let mut escaped = false;
        for byte in self.text.bytes().take(place).skip(self.at) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => self.inside = !self.inside,
                _ => {}
            }
        }
        self.at = place;
        self.inside
    }
}

fn apply(text: &str, edits: Vec<Edit>) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    let mut done = 0;
    for (range, with) in edits {
        out.push_str(text.get(done..range.start).unwrap_or_default());
        out.push_str(&with);
        done = range.end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}
