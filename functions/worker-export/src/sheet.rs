//! Rows as text: CSV ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)) or JSON.

use std::borrow::Cow;

use plixo_domain::money::Money;
use serde_json::{Map, Value};

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// There is none.
    Nothing,
    /// A text, which people may have typed.
    Text(String),
    /// A word, an id, a day or a time of ours.
    Word(String),
    /// An amount.
    Money(Money),
}

impl Cell {
    pub(crate) fn word(word: impl ToString) -> Self {
        Self::Word(word.to_string())
    }

    pub(crate) fn some_word(word: Option<impl ToString>) -> Self {
        word.map_or(Self::Nothing, |word| Self::Word(word.to_string()))
    }

    pub(crate) fn text(text: Option<String>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }

    pub(crate) fn money(money: Option<Money>) -> Self {
        money.map_or(Self::Nothing, Self::Money)
    }

    /// As a field of CSV: an amount as a decimal of its currency's digits.
    fn field(&self) -> Cow<'_, str> {
        match self {
            Self::Nothing => "".into(),
            Self::Text(text) => harmless(text),
            Self::Word(word) => word.into(),
            Self::Money(money) => decimal(money).into(),
        }
    }

    /// As a value of JSON: an amount in minor units with its currency.
    fn value(self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Text(text) | Self::Word(text) => text.into(),
            Self::Money(money) => {
                serde_json::json!({"amount": money.amount, "currency": money.currency.code()})
            }
        }
    }
}

/// `-12.50` for minus 1250 cents.
pub(crate) fn decimal(money: &Money) -> String {
    let digits = usize::try_from(money.currency.digits()).unwrap_or_default();
    let sign = if money.amount < 0 { "-" } else { "" };
    let minor = format!("{:0>width$}", money.amount.unsigned_abs(), width = digits.saturating_add(1));
    match minor.split_at_checked(minor.len().saturating_sub(digits)) {
        Some((whole, part)) if !part.is_empty() => format!("{sign}{whole}.{part}"),
        _ => format!("{sign}{minor}"),
    }
}

/// What a spreadsheet may take for the end of a cell, whatever quotes say: many take the semicolon for what others take the comma.
const ENDS: [char; 4] = [';', '\t', '\r', '\n'];

/// A text that no spreadsheet runs as a formula: one that begins like one gets an apostrophe before it, and so does each part of it in
/// which a spreadsheet may see another cell ([OWASP](https://owasp.org/www-community/attacks/CSV_Injection)).
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let mut harmless = String::with_capacity(text.len());
    for part in text.split_inclusive(ENDS) {
        let is_first = harmless.is_empty();
        if begins_formula(part)
            || (is_first && (text.starts_with(['\t', '\r', '\n']) || begins_formula(text)))
        {
            harmless.push('\'');
        }
        harmless.push_str(part);
    }
    if harmless.len() == text.len() { text.into() } else { harmless.into() }
}

/// Whether a text begins like a formula. Blanks, quotes and what shows nothing before the beginning are passed over, for spreadsheets
/// take them away.
fn begins_formula(text: &str) -> bool {
    let is_passed_over = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '"' | '\'' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{ad}')
    };
    let is_begun =
        |c: char| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '﹦' | '﹢' | '﹣' | '﹫');
    text.trim_start_matches(is_passed_over).starts_with(is_begun)
}

/// Of rows the text, bit by bit.
pub(crate) struct Sheet {
    columns: Vec<String>,
    form: Form,
}

enum Form {
    Csv,
    Json { is_first: bool },
}

impl Sheet {
    pub(crate) fn csv(columns: Vec<String>) -> Self {
        Self { columns, form: Form::Csv }
    }

    pub(crate) fn json(columns: Vec<String>) -> Self {
        Self { columns, form: Form::Json { is_first: true } }
    }

    /// What comes before the rows.
    pub(crate) fn head(&self) -> Vec<u8> {
        match self.form {
            Form::Csv => {
                // By it spreadsheets know that it is UTF-8.
                let mut head = "\u{feff}".as_bytes().to_vec();
                head.extend(record(self.columns.iter().map(String::as_str)));
                head
            }
            Form::Json { .. } => b"[".to_vec(),
        }
    }

    /// One row: the cells by their columns' names, of which some may not be wanted.
    pub(crate) fn row(&mut self, cells: Vec<(&'static str, Cell)>) -> Vec<u8> {
        let cell = |column: &String| {
            let found = cells.iter().find(|(name, _)| name == column);
            found.map_or(Cell::Nothing, |(_, cell)| cell.clone())
        };
        let row: Vec<Cell> = self.columns.iter().map(cell).collect();
        match &mut self.form {
            Form::Csv => record(row.iter().map(Cell::field)),
            Form::Json { is_first } => {
                let before = if std::mem::take(is_first) { "\n" } else { ",\n" };
                let row: Map<String, Value> =
                    self.columns.iter().cloned().zip(row.into_iter().map(Cell::value)).collect();
                let mut text = before.as_bytes().to_vec();
                text.extend(Value::Object(row).to_string().into_bytes());
                text
            }
        }
    }

    /// What comes after the rows.
    pub(crate) fn tail(&self) -> Vec<u8> {
        match self.form {
            Form::Csv => Vec::new(),
            Form::Json { .. } => b"\n]\n".to_vec(),
        }
    }
}

/// One record of CSV.
fn record(fields: impl Iterator<Item = impl AsRef<str>>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for field in fields {
        // Writing to memory cannot fail.
        let _ = writer.write_field(field.as_ref());
    }
    let _ = writer.write_record(None::<&[u8]>);
    writer.into_inner().unwrap_or_default()
}
