//! What stands around a number that passes for a card number and makes it something else.

use super::scan::{Digit, Gap, LONGEST, Source, Window, separator};

/// Words that may be glued to a card number, before and after it. Any other letter or `_` there makes it part of an id.
const BEFORE: [&str; 25] = [
    "amex",
    "card",
    "cardno",
    "cardnr",
    "cardnumber",
    "cc",
    "ccn",
    "creditcard",
    "diners",
    "discover",
    "jcb",
    "karte",
    "kartennr",
    "kartennummer",
    "kreditkarte",
    "maestro",
    "mastercard",
    "mc",
    "no",
    "nr",
    "num",
    "number",
    "pan",
    "unionpay",
    "visa",
];
const AFTER: [&str; 9] = ["cid", "cvc", "cvn", "cvv", "exp", "expires", "expiry", "thru", "valid"];

/// Whether what surrounds the window says that it is no card number.
pub(super) fn forbid(source: Source<'_>, window: &Window<'_>) -> bool {
    glued_before(source, window)
        || glued_after(source, window)
        || is_decimal(window)
        || is_phone(source, window)
        || is_article(window)
        || is_parcel(window)
        || is_account(source, window)
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Letters and digits together, as in `3f2b`, or a `_`: a part of an id, not a word.
fn is_id(word: &str) -> bool {
    word.contains('_')
        || (word.contains(|c: char| c.is_ascii_digit()) && word.contains(|c: char| c.is_ascii_alphabetic()))
}

fn glued_before(source: Source<'_>, window: &Window<'_>) -> bool {
    let Some(digit) = window.run.get(window.from) else { return false };
    let Some((next, at)) = source.before(digit.place.start) else { return false };
    if next == '-' {
        return is_id(&word_before(source, at).0);
    }
    let (word, at) = word_before(source, digit.place.start);
    let letters =
        word.get(word.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len()..).unwrap_or_default();
    let outside = source.before(at).map(|(c, _)| c);
    // `%B` begins the first track of a magnetic stripe; `\n` is an escape within an escaped text.
    let known = BEFORE.contains(&letters.to_ascii_lowercase().as_str())
        || (word == "B" && outside == Some('%'))
        || (matches!(word.as_str(), "n" | "r" | "t") && outside == Some('\\'));
    in_word(next) && !known
}

fn glued_after(source: Source<'_>, window: &Window<'_>) -> bool {
    let Some(digit) = window.to.checked_sub(1).and_then(|last| window.run.get(last)) else { return false };
    let Some((next, at)) = source.at(digit.place.end) else { return false };
    let word = word_after(source, if next == '-' { at } else { digit.place.end });
    let letters = word.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let known = AFTER.contains(&letters.to_ascii_lowercase().as_str());
    !known && if next == '-' { is_id(&word) } else { in_word(next) }
}

/// Ids are short: what is longer is cut, so that a long text without blanks costs no more.
const LONGEST_WORD: usize = 64;

fn word_before(source: Source<'_>, mut place: usize) -> (String, usize) {
    let mut word = Vec::new();
    while let Some((c, start)) =
        source.before(place).filter(|(c, _)| in_word(*c) && word.len() < LONGEST_WORD)
    {
        word.push(c);
        place = start;
    }
    (word.into_iter().rev().collect(), place)
}

fn word_after(source: Source<'_>, mut place: usize) -> String {
    let mut word = String::new();
    while let Some((c, end)) = source.at(place).filter(|(c, _)| in_word(*c) && word.len() < LONGEST_WORD) {
        word.push(c);
        place = end;
    }
    word
}

/// One dot parts a number from its decimals; several part groups.
fn is_decimal(window: &Window<'_>) -> bool {
    let dot = |digit: Option<&Digit>| digit.is_some_and(|digit| digit.gap == Gap::Dot);
    let starts_group = |digit: &&Digit| digit.gap != Gap::None;
    let before = || window.run.iter().take(window.from).rev().take(LONGEST).find(starts_group);
    let after = || window.run.iter().skip(window.to).skip(1).take(LONGEST).find(starts_group);
    match (dot(window.run.get(window.from)), dot(window.run.get(window.to))) {
        _ if window.sizes.len() > 1 => false,
        (true, false) => !dot(before()),
        (false, true) => !dot(after()),
        _ => false,
    }
}

/// `+` and at most 15 digits (ITU-T E.164), or `00` and the same.
fn is_phone(source: Source<'_>, window: &Window<'_>) -> bool {
    let plus =
        window.run.first().and_then(|digit| source.before(digit.place.start)).is_some_and(|(c, _)| c == '+');
    let zeros = window.run.iter().take_while(|digit| digit.value == 0).count();
    (plus && window.run.len() <= 15) || (zeros == 2 && window.run.len() <= 17)
}

/// A GS1 article number of 13 digits with its own check digit. Cards of 13 digits are no longer issued.
fn is_article(window: &Window<'_>) -> bool {
    let digits = window.run.get(window.from..window.to).unwrap_or_default();
    let weigh = |(at, digit): (usize, &Digit)| digit.value.saturating_mul(if at % 2 == 0 { 1 } else { 3 });
    window.sizes == [13] && digits.iter().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

/// A parcel number of the United States Postal Service as it is printed: 9… and 22 digits in groups of four.
fn is_parcel(window: &Window<'_>) -> bool {
    let grouped = |(at, digit): (usize, &Digit)| (at % 4 == 0) == (at == 0 || digit.gap != Gap::None);
    window.run.len() == 22
        && window.run.first().is_some_and(|digit| digit.value == 9)
        && window.run.iter().enumerate().all(grouped)
}

/// How long an IBAN is in each country (SWIFT IBAN registry).
const IBAN_LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24\
    FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27\
    MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28\
    TL23TN24TR26UA29VA22VG24XK20YE30";
/// The longest, of 34 characters, in groups of four.
const REACH: usize = 43;

/// A part of an IBAN (ISO 13616) or of a creditor reference (ISO 11649) whose own check digits hold.
fn is_account(source: Source<'_>, window: &Window<'_>) -> bool {
    let Some(digits) = window.run.get(window.from..window.to) else { return false };
    let (Some(first), Some(last)) = (digits.first(), digits.last()) else { return false };
    let mut before = Vec::new();
    let mut place = first.place.start;
    while let Some((c, start)) =
        source.before(place).filter(|(c, _)| part_of_account(*c) && before.len() <= REACH)
    {
        before.push(c);
        place = start;
    }
    if !before.iter().any(char::is_ascii_alphabetic) {
        return false;
    }
    let mut after = Vec::new();
    let mut place = last.place.end;
    while let Some((c, end)) = source.at(place).filter(|(c, _)| part_of_account(*c) && after.len() <= REACH) {
        after.push(c);
        place = end;
    }
    let head: String = before.into_iter().rev().collect();
    let number: String = digits.iter().filter_map(|digit| char::from_digit(digit.value, 10)).collect();
    let tail: String = after.into_iter().collect();
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_uppercase)
            .collect()
    };
    let (head, tail) = (words(&head), words(&tail));
    (0..head.len()).any(|skip| {
        let words = head.get(skip..).unwrap_or_default();
        if !words.first().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_alphabetic())) {
            return false;
        }
        let start = words.concat() + &number;
        (0..=tail.len())
            .any(|take| is_valid_account(&(start.clone() + &tail.get(..take).unwrap_or_default().concat())))
    })
}

fn part_of_account(c: char) -> bool {
    c.is_ascii_alphanumeric() || separator(c).is_some_and(|gap| gap != Gap::Dot)
}

fn is_valid_account(text: &str) -> bool {
    let (Some((country, rest)), Some((head, body))) = (text.split_at_checked(2), text.split_at_checked(4))
    else {
        return false;
    };
    let fits = match IBAN_LENGTHS.as_bytes().chunks(4).find(|entry| entry.starts_with(country.as_bytes())) {
        Some([_, _, length @ ..]) => length == text.len().to_string().as_bytes(),
        _ => country == "RF" && text.len() <= 25,
    };
    let checked = || body.chars().chain(head.chars()).filter_map(|c| c.to_digit(36));
    let modulo = |sum: u32, value: u32| {
        let shift: u32 = if value < 10 { 10 } else { 100 };
        sum.saturating_mul(shift).saturating_add(value) % 97
    };
    fits && rest.starts_with(|c: char| c.is_ascii_digit()) && checked().fold(0, modulo) == 1
}
