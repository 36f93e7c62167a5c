//! References and account numbers with check digits of their own.

use crate::text::{Gap, Group};

/// Lengths of IBANs by country (SWIFT's IBAN registry), of where payers are.
const IBANS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AT", 20),
    ("BE", 16),
    ("BG", 22),
    ("CH", 21),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("EE", 20),
    ("ES", 24),
    ("FI", 18),
    ("FR", 27),
    ("GB", 22),
    ("GI", 23),
    ("GR", 27),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IS", 26),
    ("IT", 27),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MT", 31),
    ("NL", 18),
    ("NO", 15),
    ("PL", 28),
    ("PT", 25),
    ("RO", 24),
    ("RS", 22),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("TR", 26),
    ("UA", 29),
];

/// How many groups from here are an IBAN (ISO 13616).
pub(crate) fn iban(groups: &[Group]) -> usize {
    let country = groups.first().map_or("", |group| group.text.as_str());
    let Some((_, length)) = IBANS.iter().find(|(code, _)| *code == country) else { return 0 };
    let mut whole = String::new();
    for (n, group) in groups.iter().enumerate() {
        if n > 0 && group.gap > Gap::Space {
            return 0;
        }
        whole.push_str(&group.text);
        if whole.len() >= *length {
            let holds = whole.len() == *length && is_mod97(&whole);
            return if holds { n.saturating_add(1) } else { 0 };
        }
    }
    0
}

/// ISO 7064, MOD 97-10, with the first four characters last, as IBANs and creditor references have it.
fn is_mod97(text: &str) -> bool {
    let Some((head, tail)) = text.split_at_checked(4) else { return false };
    let rest = tail.chars().chain(head.chars()).try_fold(0_u32, |rest, c| {
        let value = c.to_digit(36)?;
        let shift = if value > 9 { 100 } else { 10 };
        rest.checked_mul(shift)?.checked_add(value)?.checked_rem(97)
    });
    rest == Some(1)
}

/// What an RF creditor reference (ISO 11649) holds.
pub(crate) fn creditor_reference(whole: &str) -> Option<&str> {
    let fits = (6..=25).contains(&whole.len()) && whole.starts_with("RF") && whole.is_ascii();
    if !fits || !is_mod97(whole) {
        return None;
    }
    whole.get(4..)
}

/// What a Swiss QR reference of 27 digits holds (recursive modulo 10).
pub(crate) fn qr_reference(whole: &str) -> Option<&str> {
    const TABLE: [u32; 10] = [0, 9, 4, 6, 8, 2, 7, 1, 3, 5];
    if whole.len() != 27 {
        return None;
    }
    let (payload, check) = whole.split_at_checked(26)?;
    let carry = payload.chars().try_fold(0_u32, |carry, c| {
        let at = carry.checked_add(c.to_digit(10)?)?.checked_rem(10)?;
        TABLE.get(usize::try_from(at).ok()?).copied()
    })?;
    let wanted = 10_u32.checked_sub(carry)?.checked_rem(10)?;
    (check.chars().next()?.to_digit(10)? == wanted).then_some(payload)
}

/// What a Swedish OCR number or a Norwegian KID may hold: without its check digit (Luhn, or modulo 11), and without the digit
/// for its length before that.
pub(crate) fn checked_number(digits: &str) -> Vec<&str> {
    if !(4..=25).contains(&digits.len()) || !(is_luhn(digits) || is_mod11(digits)) {
        return Vec::new();
    }
    let payload = digits.get(..digits.len().saturating_sub(1)).unwrap_or_default();
    let mut found = vec![payload];
    let length = digits.len() % 10;
    if is_luhn(digits)
        && let Some((shorter, said)) = payload.split_at_checked(payload.len().saturating_sub(1))
        && said.parse() == Ok(length)
        && shorter.len() >= 3
    {
        found.push(shorter);
    }
    found
}

fn is_luhn(digits: &str) -> bool {
    let sum = digits.chars().rev().enumerate().try_fold(0_u32, |sum, (n, c)| {
        let value = c.to_digit(10)?;
        let doubled = if n % 2 == 1 { value.checked_mul(2)? } else { value };
        sum.checked_add(if doubled > 9 { doubled.checked_sub(9)? } else { doubled })
    });
    sum.is_some_and(|sum| sum % 10 == 0)
}

fn is_mod11(digits: &str) -> bool {
    let weights = [1_u32, 2, 3, 4, 5, 6, 7].into_iter();
    let weights = weights.clone().chain(weights.skip(1).cycle());
    let sum = digits
        .chars()
        .rev()
        .zip(weights)
        .try_fold(0_u32, |sum, (c, weight)| sum.checked_add(c.to_digit(10)?.checked_mul(weight)?));
    sum.is_some_and(|sum| sum % 11 == 0)
}
