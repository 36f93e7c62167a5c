//! Amounts as Stripe counts them. They are ISO 4217's minor units but for
//! [three currencies](https://docs.stripe.com/currencies#special-cases): Stripe counts ISK and UGX in hundredths, which ISO does
//! not have, and MGA in whole ariary, which ISO divides.

use crate::money::{Currency, Money};

/// Why an amount cannot be told in the other's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// A part of what is the least of the other's units.
    #[error("the amount has a fraction of a currency that has none")]
    Fraction,
    /// More than 64 bits of the other's units.
    #[error("the amount is too large")]
    Overflow,
}

/// An amount of Stripe's as money.
///
/// # Errors
/// [`AmountError`].
pub fn money(amount: i64, currency: Currency) -> Result<Money, AmountError> {
    let amount = match currency.code() {
        "ISK" | "UGX" => whole(amount)?,
        "MGA" => hundredfold(amount)?,
        _ => amount,
    };
    Ok(Money::new(amount, currency))
}

/// Money as an amount of Stripe's, the inverse of [`money`].
///
/// # Errors
/// [`AmountError`].
pub fn amount(money: Money) -> Result<i64, AmountError> {
    match money.currency.code() {
        "ISK" | "UGX" => hundredfold(money.amount),
        "MGA" => whole(money.amount),
        _ => Ok(money.amount),
    }
}

/// Whether Stripe may take such an amount: [at most eight digits](https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts),
/// and no thousandths. What is too little differs by currency and account; what no account takes is left out here.
#[must_use]
pub fn takes(money: Money) -> bool {
    let has_thousandths = matches!(money.currency.code(), "BHD" | "JOD" | "KWD" | "OMR" | "TND");
    let is_round = !has_thousandths || money.amount % 10 == 0;
    is_round && amount(money).is_ok_and(|amount| (LEAST..=MOST).contains(&amount))
}

/// In Stripe's units: less than 0.30 pounds is taken in no currency that has hundredths, and those without have larger numbers.
const LEAST: i64 = 30;
const MOST: i64 = 99_999_999;

fn whole(hundredths: i64) -> Result<i64, AmountError> {
    if hundredths % 100 == 0 { Ok(hundredths / 100) } else { Err(AmountError::Fraction) }
}

fn hundredfold(amount: i64) -> Result<i64, AmountError> {
    amount.checked_mul(100).ok_or(AmountError::Overflow)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(amount: i64, currency: &str) -> Money {
        Money::new(amount, currency.parse().unwrap())
    }

    #[test]
    fn what_stripe_never_takes_is_known() {
        for (amount, currency, taken) in [
            (29, "EUR", false),
            (30, "EUR", true),
            (99_999_999, "EUR", true),
            (100_000_000, "EUR", false),
            (146_913, "BHD", false),
            (146_910, "BHD", true),
            (5_001, "MGA", false),
            (5_000, "MGA", true),
            (1_000_000, "ISK", false),
        ] {
            assert_eq!(takes(of(amount, currency)), taken, "{amount} {currency}");
        }
    }

    #[test]
    fn three_currencies_are_counted_otherwise() {
        for (kept, currency, told) in [
            (500, "ISK", 50_000),
            (1, "UGX", 100),
            (700, "MGA", 7),
            (500, "JPY", 500),
            (1_230, "KWD", 1_230),
            (12_500, "EUR", 12_500),
        ] {
            assert_eq!(amount(of(kept, currency)), Ok(told), "{currency}");
            assert_eq!(money(told, currency.parse().unwrap()), Ok(of(kept, currency)), "{currency}");
        }
    }

    #[test]
    fn what_the_other_cannot_count_is_an_error() {
        assert_eq!(amount(of(150, "MGA")), Err(AmountError::Fraction));
        assert_eq!(amount(of(i64::MAX, "ISK")), Err(AmountError::Overflow));
        assert_eq!(money(50_050, "UGX".parse().unwrap()), Err(AmountError::Fraction));
        assert_eq!(money(i64::MAX, "MGA".parse().unwrap()), Err(AmountError::Overflow));
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same(
            units in prop_oneof![any::<i64>(), -100_000..100_000i64, (-1_000..1_000i64).prop_map(|n| n * 100)],
            currency in prop::sample::select(&["ISK", "UGX", "MGA", "EUR", "USD", "JPY", "KWD", "HUF", "TWD", "CLP"][..]),
        ) {
            let currency: Currency = currency.parse().unwrap();
            let ours = Money::new(units, currency);
            if let Ok(told) = amount(ours) {
                prop_assert_eq!(money(told, currency), Ok(ours));
            }
            if let Ok(kept) = money(units, currency) {
                prop_assert_eq!(amount(kept), Ok(units));
            }
        }
    }
}
