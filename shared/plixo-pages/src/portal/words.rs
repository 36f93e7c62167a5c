//! What payers read. All that differs between languages is one table for each: a further language is a further table.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use plixo_domain::money::Money;
use rust_decimal::Decimal;

use super::language::Language;
use crate::amount::Marks;

mod english;
mod german;

/// What stands before and after something that is filled in.
pub(crate) type Around = (&'static str, &'static str);
/// A heading and the text below it.
pub(crate) type Told = (&'static str, &'static str);

/// The full stop after a name, which has one of its own if it ends with "Inc.".
pub(crate) fn stop(name: &str) -> &'static str {
    if name.ends_with('.') { "" } else { "." }
}

impl Language {
    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &english::WORDS,
            Self::German => &german::WORDS,
        }
    }
}

pub(crate) struct Words {
    /// Its tag of BCP 47.
    pub(crate) tag: &'static str,
    pub(super) marks: Marks,
    /// Of a currency's code and an amount.
    pub(super) money: fn(&str, &str) -> String,
    pub(super) months: [&'static str; 12],
    /// Of a day, the name of its month, and a year.
    pub(super) day: fn(i8, &str, i16) -> String,
    /// Of a day and a time to the minute, in UTC.
    pub(super) moment: fn(&str, &str) -> String,
    /// Of days until then, which are below zero when it was, and that day.
    pub(super) due: fn(i64, &str) -> String,

    pub(crate) skip: &'static str,
    /// Around the seller's name.
    pub(crate) foot: Around,
    /// Before the seller's name, and where the seller is not known.
    pub(crate) ask_seller: &'static str,
    pub(crate) ask_sender: &'static str,

    pub(crate) door: Door,
    pub(crate) invoice: Invoice,
    pub(crate) gone: Gone,
    pub(crate) asked: Asked,
    pub(crate) problem: Problems,
    pub(crate) email: Email,
}

pub(crate) struct Door {
    pub(crate) name: &'static str,
    /// Around the seller's name.
    pub(crate) title: Around,
    pub(crate) lead: &'static str,
    pub(crate) open: &'static str,
    pub(crate) aside: &'static str,
}

pub(crate) struct Invoice {
    pub(crate) name: &'static str,
    pub(crate) to_pay: &'static str,
    /// Around the amount.
    pub(crate) pay: Around,
    pub(crate) pay_hint: &'static str,
    /// Around the seller's name.
    pub(crate) not_online: Around,
    pub(crate) confirming: Told,
    pub(crate) look_again: &'static str,
    pub(crate) processing: Told,
    pub(crate) paid: Told,
    pub(crate) withdrawn: Told,
    pub(crate) cancelled: &'static str,
    pub(crate) failed: &'static str,
    pub(crate) try_again: &'static str,
    pub(crate) unsure: &'static str,
    pub(crate) other: &'static str,
    pub(crate) part_paid: &'static str,
    pub(crate) part_open: &'static str,
    pub(crate) lines: &'static str,
    pub(crate) description: &'static str,
    pub(crate) quantity: &'static str,
    pub(crate) price: &'static str,
    pub(crate) price_before_tax: &'static str,
    pub(crate) tax: &'static str,
    pub(crate) total: &'static str,
    pub(crate) total_with_tax: &'static str,
    pub(crate) memo: &'static str,
    pub(crate) aside: &'static str,
}

pub(crate) struct Gone {
    pub(crate) used: Told,
    pub(crate) expired: Told,
    pub(crate) revoked: Told,
    pub(crate) settled: Told,
    pub(crate) no_session: Told,
    pub(crate) session_over: Told,
    pub(crate) offer: &'static str,
    pub(crate) send: &'static str,
    pub(crate) settled_offer: &'static str,
    pub(crate) settled_send: &'static str,
}

pub(crate) struct Asked {
    pub(crate) title: &'static str,
    pub(crate) lead: &'static str,
    pub(crate) aside: &'static str,
}

pub(crate) struct Problems {
    pub(crate) not_found: Told,
    pub(crate) bad_request: Told,
    pub(crate) too_many_tries: Told,
    pub(crate) internal: Told,
    pub(crate) unavailable: Told,
    pub(crate) request_id: &'static str,
}

/// Of plain text. Where there are parameters, they are the invoice's number and the seller.
pub(crate) struct Email {
    pub(super) subject: fn(&str, &str) -> String,
    pub(super) settled_subject: fn(&str, &str) -> String,
    pub(super) greeting: &'static str,
    pub(super) link: fn(&str, &str) -> String,
    pub(super) settled: fn(&str, &str) -> String,
    pub(super) to_pay: &'static str,
    pub(super) due_on: &'static str,
    /// Of the moment when it expires.
    pub(super) once: fn(&str) -> String,
    pub(super) unexpected: &'static str,
    /// Of the seller.
    pub(super) foot: fn(&str) -> String,
}

impl Words {
    /// `EUR 1,234.56`, `1.234,56 €`.
    pub(crate) fn money(&self, money: &Money) -> String {
        (self.money)(money.currency.code(), &self.marks.money(*money))
    }

    /// `7.5`, `7,5`.
    pub(crate) fn decimal(&self, value: &Decimal) -> String {
        self.marks.decimal(*value)
    }

    /// `3 December 2026`, `3. Dezember 2026`.
    pub(crate) fn day(&self, day: Date) -> String {
        let index = usize::try_from(day.month()).ok().and_then(|month| month.checked_sub(1));
        let month = index.and_then(|index| self.months.get(index)).copied().unwrap_or_default();
        (self.day)(day.day(), month, day.year())
    }

    /// `3 December 2026, 15:30 UTC`.
    pub(super) fn moment(&self, at: Timestamp) -> String {
        let at = at.to_zoned(TimeZone::UTC);
        (self.moment)(&self.day(at.date()), &at.strftime("%H:%M").to_string())
    }

    /// When it is to be paid: `Due in 5 days, on 3 December 2026`.
    pub(crate) fn due(&self, due_on: Date, today: Date) -> String {
        let days = due_on.duration_since(today).as_hours().wrapping_div(24);
        (self.due)(days, &self.day(due_on))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn both<T>(of: impl Fn(&Words) -> T) -> [T; 2] {
        [of(Language::English.words()), of(Language::German.words())]
    }

    #[test]
    fn a_sentence_that_ends_with_a_name_has_one_full_stop() {
        for words in [Language::English, Language::German].map(Language::words) {
            for text in [words.email.link, words.email.settled] {
                let (with, without) = (text("RE-1", "Acme Inc."), text("RE-1", "Acme"));
                assert!(with.contains("Acme Inc.") && !with.contains(".."), "{with}");
                assert!(without.contains("Acme."), "{without}");
            }
        }
    }

    #[test]
    fn money_is_written_as_people_of_the_language_do() {
        let written = |amount: i64, currency: &str| {
            both(|words| words.money(&Money::new(amount, currency.parse().unwrap())))
        };
        assert_eq!(written(123_456, "EUR"), ["EUR 1,234.56", "1.234,56 €"]);
        assert_eq!(written(5, "EUR"), ["EUR 0.05", "0,05 €"]);
        assert_eq!(written(-123_456, "EUR"), ["−EUR 1,234.56", "−1.234,56 €"]);
        assert_eq!(written(1_234_567, "JPY"), ["JPY 1,234,567", "1.234.567 JPY"]);
        assert_eq!(written(1_234_567, "KWD"), ["KWD 1,234.567", "1.234,567 KWD"]);
        assert_eq!(written(100, "USD"), ["USD 1.00", "1,00 USD"]);
        assert_eq!(written(99_999, "CHF"), ["CHF 999.99", "999,99 CHF"]);
    }

    #[test]
    fn days_and_times_have_the_month_in_words() {
        let months = |words: &Words| {
            let names: BTreeSet<_> =
                (1..=12).map(|month| words.day(jiff::civil::date(2026, month, 3))).collect();
            names.len()
        };
        assert_eq!(both(months), [12, 12]);
        let day = jiff::civil::date(2026, 3, 1);
        assert_eq!(both(|words| words.day(day)), ["1 March 2026", "1. März 2026"]);
        let at: Timestamp = "2026-12-03T05:07:59Z".parse().unwrap();
        assert_eq!(
            both(|words| words.moment(at)),
            ["3 December 2026, 05:07 UTC", "3. Dezember 2026, 05:07 Uhr (UTC)"]
        );
    }

    #[test]
    fn when_to_pay_is_said_from_today() {
        let today = jiff::civil::date(2026, 11, 28);
        let due = |month, day| both(|words| words.due(jiff::civil::date(2026, month, day), today));
        assert_eq!(
            due(12, 3),
            ["Due in 5 days, on 3 December 2026", "Fällig in 5 Tagen, am 3. Dezember 2026"]
        );
        assert_eq!(
            due(11, 30),
            ["Due in 2 days, on 30 November 2026", "Fällig in 2 Tagen, am 30. November 2026"]
        );
        assert_eq!(due(11, 29), ["Due tomorrow, 29 November 2026", "Morgen fällig, am 29. November 2026"]);
        assert_eq!(due(11, 28), ["Due today, 28 November 2026", "Heute fällig, am 28. November 2026"]);
        assert_eq!(
            due(11, 27),
            [
                "1 day overdue, it was due on 27 November 2026",
                "Seit einem Tag überfällig, sie war am 27. November 2026 fällig"
            ]
        );
        assert_eq!(
            due(11, 26),
            [
                "2 days overdue, it was due on 26 November 2026",
                "Seit 2 Tagen überfällig, sie war am 26. November 2026 fällig"
            ]
        );
        let far = both(|words| words.due(Date::MAX, Date::MIN) + &words.due(Date::MIN, Date::MAX));
        assert!(far.iter().all(|text| text.contains("7304483")), "{far:?}");
    }

    #[test]
    fn how_long_an_invoice_stays_open_is_what_the_ledger_holds_to() {
        let minutes = format!("{} ", plixo_domain::ledger::SESSION.as_mins());
        let says = |words: &Words| {
            let (title, text) = words.gone.session_over;
            [words.door.lead, words.invoice.aside, title, text]
                .into_iter()
                .all(|said| said.contains(&minutes))
        };
        assert_eq!(both(says), [true, true]);
    }
}
