//! Amounts between minor units and the text that people read and type.

use plixo_domain::money::{Currency, Money};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// Digits after the point: 2 for EUR, 0 for JPY, 3 for KWD.
fn exponent(currency: Currency) -> usize {
    iso_currency::Currency::from_code(currency.code())
        .and_then(|known| known.exponent())
        .map_or(0, usize::from)
}

/// How the digits of numbers are punctuated.
#[derive(Clone, Copy)]
pub(crate) struct Marks {
    minus: &'static str,
    group: &'static str,
    point: &'static str,
}

/// As fields have them: `-12345.67`.
const TYPED: Marks = Marks { minus: "-", group: "", point: "." };
/// As people read them in English: `−12,345.67`.
pub(crate) const POINT: Marks = Marks { minus: "\u{2212}", group: ",", point: "." };
/// As people read them in German: `−12.345,67`.
pub(crate) const COMMA: Marks = Marks { minus: "\u{2212}", group: ".", point: "," };

impl Marks {
    fn write(self, is_negative: bool, whole: &str, decimals: &str) -> String {
        let mut text = String::with_capacity(whole.len().saturating_add(decimals.len()).saturating_mul(2));
        if is_negative {
            text.push_str(self.minus);
        }
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && whole.len().saturating_sub(index).is_multiple_of(3) {
                text.push_str(self.group);
            }
            text.push(digit);
        }
        if !decimals.is_empty() {
            text.push_str(self.point);
            text.push_str(decimals);
        }
        text
    }

    /// An amount without its currency.
    pub(crate) fn money(self, money: Money) -> String {
        let exponent = exponent(money.currency);
        let digits = format!("{:0>width$}", money.amount.unsigned_abs(), width = exponent.saturating_add(1));
        let (whole, decimals) =
            digits.split_at_checked(digits.len().saturating_sub(exponent)).unwrap_or((&digits, ""));
        self.write(money.amount < 0, whole, decimals)
    }

    /// A number, without zeros at its end.
    pub(crate) fn decimal(self, value: Decimal) -> String {
        let digits = value.normalize().abs().to_string();
        let (whole, decimals) = digits.split_once('.').unwrap_or((&digits, ""));
        self.write(value.is_sign_negative() && !value.is_zero(), whole, decimals)
    }
}

/// An amount for people, without its currency: `−12,345.67`.
pub(crate) fn shown(money: Money) -> String {
    POINT.money(money)
}

/// A number of things, for people: `1,000`.
pub(crate) fn grouped(count: u64) -> String {
    POINT.write(false, &count.to_string(), "")
}

/// An amount as it stands in a field that people type in, without its currency: `-12345.67`. [`read_amount`] takes it back.
#[must_use]
pub fn write_amount(money: Money) -> String {
    TYPED.money(money)
}

/// Why text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not digits with at most one point, and commas between thousands only.
    #[error("the amount is no decimal number")]
    NotANumber,
    /// More digits after the point than the currency has.
    #[error("the amount has more decimals than its currency")]
    TooPrecise,
    /// More than 64 bits of minor units.
    #[error("the amount is too large")]
    TooLarge,
}

impl AmountError {
    /// What to write beside the field.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::NotANumber => {
                "Enter an amount in digits, with a point before the decimals, such as 1250.00"
            }
            Self::TooPrecise => "Enter no more decimals than the currency has",
            Self::TooLarge => "Enter a smaller amount",
        }
    }
}

/// Reads an amount that a person typed: `1250`, `1,250.00`, `-3.5`. A comma between other than thousands is refused, for
/// it may be meant as a decimal point.
///
/// # Errors
/// [`AmountError`].
pub fn read_amount(text: &str, currency: Currency) -> Result<Money, AmountError> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let is_grouped = whole.contains(',');
    let fits = !first.is_empty()
        && all_digits(first)
        && (!is_grouped || first.len() <= 3)
        && groups.all(|group| group.len() == 3 && all_digits(group))
        && all_digits(decimals)
        && !digits.ends_with('.');
    if !fits {
        return Err(AmountError::NotANumber);
    }
    let decimals = decimals.trim_end_matches('0');
    let exponent = exponent(currency);
    if decimals.len() > exponent {
        return Err(AmountError::TooPrecise);
    }
    let sign = if negative { "-" } else { "" };
    let minor = format!("{sign}{}{decimals:0<exponent$}", whole.replace(',', ""));
    let minor = Decimal::from_str_exact(&minor).map_err(|_| AmountError::TooLarge)?;
    minor.to_i64().map(|amount| Money::new(amount, currency)).ok_or(AmountError::TooLarge)
}

/// An amount for a chart's axis, whose ticks are `step` apart: `20k`, `1,500k`, `3m`.
pub(crate) fn tick(amount: i64, step: i64, currency: Currency) -> String {
    let exponent = u32::try_from(exponent(currency)).unwrap_or(0);
    let unit = 10_i64.checked_pow(exponent).unwrap_or(1);
    let scales = [(1_000_000_000_000, "tn"), (1_000_000_000, "bn"), (1_000_000, "m"), (1_000, "k"), (1, "")];
    let scale = scales.into_iter().find_map(|(scale, suffix)| {
        let scaled = unit.checked_mul(scale)?;
        (step >= scaled).then_some((scaled, suffix))
    });
    let Some((scaled, suffix)) = scale else { return shown(Money::new(amount, currency)) };
    let whole = amount.checked_div(scaled).unwrap_or(0).to_string();
    let mut text = String::new();
    let digits = whole.trim_start_matches('-');
    if amount < 0 {
        text.push('\u{2212}');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digits.len().saturating_sub(index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if amount != 0 {
        text.push_str(suffix);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(amount: i64, currency: &str) -> Money {
        Money::new(amount, currency.parse().unwrap())
    }

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        assert_eq!(shown(money(1_234_567, "EUR")), "12,345.67");
        assert_eq!(shown(money(5, "EUR")), "0.05");
        assert_eq!(shown(money(-5, "EUR")), "−0.05");
        assert_eq!(shown(money(0, "EUR")), "0.00");
        assert_eq!(shown(money(1_234_567, "JPY")), "1,234,567");
        assert_eq!(shown(money(1_234_567, "KWD")), "1,234.567");
        assert_eq!(shown(money(i64::MIN, "EUR")), "−92,233,720,368,547,758.08");
        assert_eq!(shown(money(100_000, "EUR")), "1,000.00");
        assert_eq!(shown(money(99_999, "EUR")), "999.99");
    }

    #[test]
    fn numbers_are_written_without_zeros_at_the_end() {
        let written = |text: &str| {
            let value: Decimal = text.parse().unwrap();
            [POINT.decimal(value), COMMA.decimal(value)]
        };
        assert_eq!(written("7.50"), ["7.5", "7,5"]);
        assert_eq!(written("12000"), ["12,000", "12.000"]);
        assert_eq!(written("-1234.0625"), ["−1,234.0625", "−1.234,0625"]);
        assert_eq!(written("19.0"), ["19", "19"]);
        assert_eq!(written("-0.00"), ["0", "0"]);
    }

    #[test]
    fn typed_amounts_are_read_as_they_are_meant_or_refused() {
        let read = |text: &str| read_amount(text, "EUR".parse().unwrap()).map(|money| money.amount);
        assert_eq!(read(" 1,250.00 "), Ok(125_000));
        assert_eq!(read("1250"), Ok(125_000));
        assert_eq!(read("1250.5"), Ok(125_050));
        assert_eq!(read("1.500"), Ok(150));
        assert_eq!(read("−3.10"), Ok(-310));
        for wrong in [
            "", "12,50", "1,2345", "1 250", "1e3", "1_000", "1.2.3", "1.", ".5", "--1", "+1", "€5", ",100",
            "1234,567",
        ] {
            assert_eq!(read(wrong), Err(AmountError::NotANumber), "{wrong}");
        }
        assert_eq!(read("1.005"), Err(AmountError::TooPrecise));
        assert_eq!(read("92233720368547758.08"), Err(AmountError::TooLarge));
        assert_eq!(read(&"9".repeat(60)), Err(AmountError::TooLarge));
        assert_eq!(read_amount("1.5", "JPY".parse().unwrap()), Err(AmountError::TooPrecise));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(amount: i64, currency in prop::sample::select(vec!["EUR", "JPY", "KWD", "CLF"])) {
            let money = money(amount, currency);
            prop_assert_eq!(read_amount(&write_amount(money), money.currency), Ok(money));
            prop_assert_eq!(read_amount(&shown(money), money.currency), Ok(money));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = read_amount(&text, "EUR".parse().unwrap());
        }
    }
}
