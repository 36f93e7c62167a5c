//! Amounts as ERPs write them, in minor units: exact, without a binary fraction anywhere.

use plixo_domain::ledger::staff::MAX_AMOUNT;
use plixo_domain::money::{Currency, Money};

use crate::json::{FieldError, Object, Problem};

/// More digits than any number that an ERP writes; beyond them it is none.
const MAX_DIGITS: usize = 60;

/// The minor units of a decimal such as `1234.5`, `-0.10` or, as JSON may have it, `1.2345e3`. Zeros at the end do not count.
/// `None`: no decimal, a part of a minor unit, or more than [`MAX_AMOUNT`].
#[must_use]
pub fn minor_units(text: &str, currency: Currency) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, integer(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, rest) = match mantissa.split_once('.') {
        Some((whole, rest)) if !rest.is_empty() => (whole, rest),
        Some(_) => return None,
        None => (mantissa, ""),
    };
    let digits = [whole, rest].concat();
    if whole.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The value is `significant` times ten to the power of `shift`, counted in minor units.
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let zeros = i32::try_from(digits.len().checked_sub(significant.len())?).ok()?;
    let places = i32::try_from(rest.len()).ok()?;
    let minor = i32::try_from(currency.digits()).ok()?;
    let shift = exponent.checked_sub(places)?.checked_add(zeros)?.checked_add(minor)?;
    let scale = 10_i64.checked_pow(u32::try_from(shift).ok()?)?;
    let amount = significant.parse::<i64>().ok()?.checked_mul(scale)?;
    let amount = if negative { amount.checked_neg()? } else { amount };
    (amount.checked_abs()? <= MAX_AMOUNT).then_some(amount)
}

fn integer(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

impl Object<'_> {
    /// An amount of any sign, from a number or a string.
    pub(crate) fn signed(&self, name: &str, currency: Currency) -> Result<Option<Money>, FieldError> {
        let Some(text) = self.number(name)? else { return Ok(None) };
        let amount = minor_units(&text, currency).ok_or_else(|| self.error(name, Problem::Inexact))?;
        Ok(Some(Money::new(amount, currency)))
    }

    /// An amount that is not below zero, from a number or a string.
    pub(crate) fn amount(&self, name: &str, currency: Currency) -> Result<Option<Money>, FieldError> {
        match self.signed(name, currency)? {
            Some(money) if money.amount < 0 => Err(self.error(name, Problem::IllTyped)),
            money => Ok(money),
        }
    }

    /// An amount whose sign says only on which side of the books it stands.
    pub(crate) fn size(&self, name: &str, currency: Currency) -> Result<Option<Money>, FieldError> {
        let money = self.signed(name, currency)?;
        Ok(money.map(|money| Money::new(money.amount.saturating_abs(), currency)))
    }

    /// An ISO 4217 code.
    pub(crate) fn currency(&self, name: &str) -> Result<Option<Currency>, FieldError> {
        let code = self.text(name)?.filter(|code| !code.is_empty());
        code.map(|code| code.parse().map_err(|_| self.unknown(name))).transpose()
    }

    /// `{"amount": <minor units>, "currency": <ISO 4217>}` and nothing else, not below zero: money as Plixo writes it.
    pub(crate) fn money(&self, name: &str) -> Result<Option<Money>, FieldError> {
        let Some(object) = self.object(name)? else { return Ok(None) };
        object.only(&["amount", "currency"])?;
        let amount = object.need("amount", object.count("amount"))?;
        if amount > MAX_AMOUNT {
            return Err(object.error("amount", Problem::Inexact));
        }
        Ok(Some(Money::new(amount, object.need("currency", object.currency("currency"))?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn of(text: &str, currency: &str) -> Option<i64> {
        minor_units(text, currency.parse().unwrap())
    }

    #[test]
    fn decimals_are_minor_units_exactly() {
        for (text, currency, amount) in [
            ("0", "EUR", 0),
            ("0.0", "EUR", 0),
            ("-0.0", "EUR", 0),
            ("0e400", "EUR", 0),
            ("1", "EUR", 100),
            ("1234.5", "EUR", 123_450),
            ("0.1", "EUR", 10),
            ("0.29", "EUR", 29),
            ("1.10", "EUR", 110),
            ("115.0000", "EUR", 11_500),
            ("-12.30", "EUR", -1_230),
            ("1e3", "EUR", 100_000),
            ("1.2345E+3", "EUR", 123_450),
            ("1e-2", "EUR", 1),
            ("1500", "JPY", 1_500),
            ("1500.00", "JPY", 1_500),
            ("1.234", "KWD", 1_234),
            ("10000000000000.00", "EUR", 1_000_000_000_000_000),
            ("000010", "EUR", 1_000),
        ] {
            assert_eq!(of(text, currency), Some(amount), "{text} {currency}");
        }
    }

    #[test]
    fn parts_of_a_minor_unit_and_what_is_no_amount_are_refused() {
        for (text, currency) in [
            ("0.001", "EUR"),
            ("0.30000000000000004", "EUR"),
            ("1e-3", "EUR"),
            ("0.5", "JPY"),
            ("1.2345", "KWD"),
            ("10000000000000.01", "EUR"),
            ("1e300", "EUR"),
            ("1e99999", "EUR"),
            ("9223372036854775807", "JPY"),
            ("", "EUR"),
            ("-", "EUR"),
            (".5", "EUR"),
            ("5.", "EUR"),
            ("1,5", "EUR"),
            ("1_000", "EUR"),
            ("+1", "EUR"),
            (" 1", "EUR"),
            ("1 ", "EUR"),
            ("--1", "EUR"),
            ("1e", "EUR"),
            ("1e+-1", "EUR"),
            ("1.2.3", "EUR"),
            ("NaN", "EUR"),
            ("Infinity", "EUR"),
            ("0x10", "EUR"),
            ("１", "EUR"),
        ] {
            assert_eq!(of(text, currency), None, "{text} {currency}");
        }
        assert_eq!(of(&"1".repeat(200), "EUR"), None);
        assert_eq!(of(&format!("0.{}", "0".repeat(200)), "EUR"), None);
    }

    proptest! {
        #[test]
        fn every_amount_is_read_as_it_is_written(
            amount in -MAX_AMOUNT..=MAX_AMOUNT,
            currency in prop::sample::select(vec!["EUR", "JPY", "KWD"]),
            zeros in 0_usize..4,
        ) {
            let currency: Currency = currency.parse().unwrap();
            let plain = Decimal::new(amount, currency.digits()).to_string();
            let padded = if plain.contains('.') { format!("{plain}{}", "0".repeat(zeros)) } else { plain.clone() };
            prop_assert_eq!(minor_units(&plain, currency), Some(amount));
            prop_assert_eq!(minor_units(&padded, currency), Some(amount));
            prop_assert_eq!(minor_units(&format!("{plain}e0"), currency), Some(amount));
        }

        #[test]
        fn what_is_read_is_worth_what_was_written(text in "-?[0-9]{1,16}(\\.[0-9]{1,6})?(e-?[0-9])?") {
            if let Some(amount) = minor_units(&text, "EUR".parse().unwrap()) {
                let worth = if text.contains('e') { Decimal::from_scientific(&text) } else { text.parse() };
                prop_assert_eq!(worth.unwrap() * Decimal::ONE_HUNDRED, Decimal::from(amount));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,70}|[-+0-9.eE]{0,70}") {
            let _ = minor_units(&text, "EUR".parse().unwrap());
        }
    }
}
