//! Money as integer minor units of one currency.

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};

/// An ISO 4217 currency, by its alphabetic code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The three capital letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits after the point: 2 for EUR, 0 for JPY, 3 for KWD; none where ISO 4217 has no minor unit, as for gold.
    #[must_use]
    pub fn digits(&self) -> u32 {
        iso_currency::Currency::from_code(self.code()).and_then(|known| known.exponent()).map_or(0, u32::from)
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, MoneyError> {
        let known = iso_currency::Currency::from_code(code).ok_or(MoneyError::UnknownCurrency)?;
        known.code().as_bytes().try_into().map(Self).map_err(|_| MoneyError::UnknownCurrency)
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    fn try_from(code: String) -> Result<Self, MoneyError> {
        code.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount in minor units (cents of EUR, whole JPY) of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Money {
    /// Minor units.
    pub amount: i64,
    /// Of this currency.
    pub currency: Currency,
}

crate::objects!(Money);

impl Money {
    /// `amount` minor units of `currency`.
    #[must_use]
    pub fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::MixedCurrencies`] and [`MoneyError::Overflow`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::MixedCurrencies);
        }
        let amount = self.amount.checked_add(other.amount).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// This unit price times a decimal `quantity`, plus `tax_percent`, rounded half-even to a whole minor unit.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn line_total(self, quantity: Decimal, tax_percent: Decimal) -> Result<Self, MoneyError> {
        let gross = tax_percent
            .checked_div(Decimal::ONE_HUNDRED)
            .and_then(|rate| rate.checked_add(Decimal::ONE))
            .and_then(|factor| factor.checked_mul(quantity))
            .and_then(|factor| factor.checked_mul(Decimal::from(self.amount)))
            .ok_or(MoneyError::Overflow)?;
        let whole = gross.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven);
        Ok(Self { amount: whole.to_i64().ok_or(MoneyError::Overflow)?, ..self })
    }
}

/// Why a sum cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an ISO 4217 alphabetic code in capital letters.
    #[error("the currency is no ISO 4217 code")]
    UnknownCurrency,
    /// Amounts of two currencies in one sum.
    #[error("amounts of different currencies cannot be added")]
    MixedCurrencies,
    /// More than 64 bits of minor units.
    #[error("the amount is too large")]
    Overflow,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eur(amount: i64) -> Money {
        Money::new(amount, "EUR".parse().unwrap())
    }

    #[test]
    fn currencies_have_their_own_minor_units() {
        let digits = |code: &str| code.parse::<Currency>().unwrap().digits();
        assert_eq!(
            [digits("EUR"), digits("JPY"), digits("KWD"), digits("CLF"), digits("XAU")],
            [2, 0, 3, 4, 0]
        );
    }

    #[test]
    fn sums_check_currency_and_range() {
        assert_eq!(eur(1).plus(eur(2)), Ok(eur(3)));
        assert_eq!(eur(1).plus(Money::new(1, "USD".parse().unwrap())), Err(MoneyError::MixedCurrencies));
        assert_eq!(eur(i64::MAX).plus(eur(1)), Err(MoneyError::Overflow));
    }

    #[test]
    fn lines_round_half_even() {
        let line = |price, quantity: &str, tax: &str| {
            eur(price).line_total(quantity.parse().unwrap(), tax.parse().unwrap()).map(|m| m.amount)
        };
        assert_eq!(line(1, "0.5", "0"), Ok(0));
        assert_eq!(line(3, "0.5", "0"), Ok(2));
        assert_eq!(line(5, "0.5", "0"), Ok(2));
        assert_eq!(line(10_000, "2", "19"), Ok(23_800));
        assert_eq!(line(333, "3", "7.7"), Ok(1_076));
        assert_eq!(line(i64::MAX, "2", "0"), Err(MoneyError::Overflow));
    }

    #[test]
    fn money_is_integer_minor_units_in_json() {
        assert_eq!(serde_json::to_string(&eur(12_500)).unwrap(), r#"{"amount":12500,"currency":"EUR"}"#);
        for wrong in [
            r#"{"amount":1.5,"currency":"EUR"}"#,
            r#"{"amount":1,"currency":"eur"}"#,
            r#"{"amount":1,"currency":"XQQ"}"#,
        ] {
            assert!(serde_json::from_str::<Money>(wrong).is_err(), "{wrong}");
        }
    }
}
