//! Lines of invoices: what ERPs compute with more digits, discounts and taxes of the whole document becomes lines that sum up to
//! what they say is owed.

use plixo_domain::ledger::staff::MAX_LINES;
use plixo_domain::ledger::{Address, InvoiceBody, Line};
use plixo_domain::money::Money;
use rust_decimal::Decimal;

use crate::json::{FieldError, Object, Problem};

const MAX_DESCRIPTION: usize = 500;
const MAX_MEMO: usize = 2_000;

/// Text that people read: without control characters and blanks around it, cut to so many characters. `None`: nothing is left.
pub(crate) fn tidy(text: &str, most: usize) -> Option<String> {
    let visible: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    let trimmed = visible.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// An address, where all is there that one needs.
pub(crate) fn address(
    line1: Option<String>,
    line2: Option<String>,
    city: Option<String>,
    postal_code: Option<String>,
    country: Option<String>,
) -> Option<Address> {
    Some(Address { line1: line1?, line2, city: city?, postal_code: postal_code?, country: country? })
}

/// What a line of an ERP's invoice says.
pub(crate) struct LineText<'a> {
    pub(crate) description: Option<&'a str>,
    pub(crate) quantity: Option<&'a str>,
    pub(crate) price: Option<&'a str>,
    pub(crate) amount: Money,
}

/// A line. Its quantity and price stay where they come to its amount exactly; else it is one of the whole amount, and its
/// quantity is told in words.
pub(crate) fn line(text: &LineText<'_>) -> Line {
    let quantity = text.quantity.and_then(decimal).map(|quantity| quantity.normalize());
    let amount = text.amount;
    let description = text.description.and_then(|text| tidy(text, MAX_DESCRIPTION));
    let description = description.unwrap_or_else(|| "\u{2013}".to_owned());
    let price = text.price.and_then(|price| super::minor_units(price, amount.currency));
    if let Some((quantity, price)) = quantity.zip(price) {
        let unit_price = Money::new(price, amount.currency);
        if unit_price.line_total(quantity, Decimal::ZERO) == Ok(amount) {
            return Line { description, quantity, unit_price, tax_percent: None };
        }
    }
    let described = match quantity {
        Some(quantity) if quantity != Decimal::ONE => {
            tidy(&format!("{quantity} \u{d7} {description}"), MAX_DESCRIPTION)
        }
        _ => None,
    };
    let description = described.unwrap_or(description);
    Line { description, quantity: Decimal::ONE, unit_price: amount, tax_percent: None }
}

/// A plain decimal of at most 28 digits.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    if plain { Decimal::from_str_exact(text).ok() } else { None }
}

/// The body of an invoice of that total: the lines, and one more with what they lack or exceed. `of` is for the error.
///
/// # Errors
/// [`Problem::Inexact`] where the lines cannot be summed up.
pub(crate) fn body(
    mut lines: Vec<Line>,
    memo: Option<&str>,
    total: Money,
    of: &Object<'_>,
    list: &str,
) -> Result<InvoiceBody, FieldError> {
    let most = MAX_LINES.saturating_sub(1);
    let rest = match lines.len() {
        0 => "Total",
        some if some > most => "Further lines, taxes and adjustments",
        _ => "Taxes and adjustments",
    };
    lines.truncate(most);
    let error = || of.error(list, Problem::Inexact);
    let sum = lines.iter().try_fold(Money::new(0, total.currency), |sum, line| {
        let tax = line.tax_percent.unwrap_or_default();
        sum.plus(line.unit_price.line_total(line.quantity, tax)?)
    });
    let lacking = total.amount.checked_sub(sum.map_err(|_| error())?.amount).ok_or_else(error)?;
    if lacking != 0 || lines.is_empty() {
        lines.push(Line {
            description: rest.to_owned(),
            quantity: Decimal::ONE,
            unit_price: Money::new(lacking, total.currency),
            tax_percent: None,
        });
    }
    Ok(InvoiceBody { lines, memo: memo.and_then(|memo| tidy(memo, MAX_MEMO)) })
}
