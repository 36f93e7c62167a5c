//! By what a text is known to be about a customer.

use std::collections::BTreeSet;

use plixo_domain::id::InvoiceId;
use plixo_domain::ledger::{Customer, ERASED, Payer, Personal, identifiers, masked};
use serde_json::Value;

/// An id that is shorter could be anything: a number, a part of a date. It counts only as a value of its own.
const SHORT: usize = 8;
/// A text that is shorter is in too many others.
const LEAST: usize = 3;

/// How a text names a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Named {
    /// Not at all.
    No,
    /// By words that may be somebody else's as well: a name, a telephone number, an address.
    ByWords,
    /// By what is the customer's alone: an id, its email, its tax id.
    ForCertain,
}

/// What names a customer in the words of others, in small letters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    /// Ids, ours and providers'.
    ids: BTreeSet<String>,
    /// What is personal and nobody else's.
    own: Vec<String>,
    /// What is personal, and others may have it as well.
    shared: Vec<String>,
    name: Option<String>,
    email: Option<String>,
}

impl Words {
    /// What names that customer: its ids, and what of its personal data is known.
    pub(crate) fn new(customer: &Customer, personal: &Personal) -> Self {
        let links = customer.links.keys().map(|name| name.id.to_string());
        let ids = links.chain([customer.id.to_string()]).map(|id| id.to_lowercase()).collect();
        let small = |text: &String| Some(text.trim().to_lowercase()).filter(|it| it.chars().count() >= LEAST);
        let [name, email, tax_id] =
            [&personal.name, &personal.email, &personal.tax_id].map(|text| text.as_ref().and_then(small));
        let own: Vec<String> = email.iter().chain(&tax_id).cloned().collect();
        let all = identifiers(personal);
        let shared = all.iter().filter_map(small).filter(|text| !own.contains(text)).collect();
        Self { ids, own, shared, name, email }
    }

    /// And what providers call it by now.
    pub(crate) fn learn(&mut self, customer: &Customer) {
        self.ids.extend(customer.links.keys().map(|name| name.id.as_str().to_lowercase()));
    }

    /// And that invoice, which is its own.
    pub(crate) fn add(&mut self, invoice: &InvoiceId) {
        self.ids.insert(invoice.to_string());
    }

    /// Whether that invoice is one of its own.
    pub(crate) fn has(&self, invoice: &InvoiceId) -> bool {
        self.ids.contains(&invoice.to_string())
    }

    /// How a text names the customer, anywhere in it. Better one text too many is gone than one too few.
    pub(crate) fn are_in(&self, text: &str) -> Named {
        let mut named = Named::No;
        each(text, &mut |value, is_field| {
            let value = value.to_lowercase();
            let is_certain = self.has_id(&value, true) || self.own.iter().any(|text| stands_in(&value, text));
            // What a field is called is no name of anybody.
            let is_word = || !is_field && self.shared.iter().any(|text| stands_in(&value, text));
            named = named.max(match is_certain {
                true => Named::ForCertain,
                false if is_word() => Named::ByWords,
                false => Named::No,
            });
        });
        named
    }

    /// Whether a text may be shown as one about the customer: one of its ids is in it, or a value that is nothing else than its email
    /// or its tax id. Others have the same name, and the same address.
    pub(crate) fn are_told_in(&self, text: &str) -> bool {
        let mut is_told = false;
        each(text, &mut |value, _| {
            let value = value.trim().to_lowercase();
            is_told |= self.has_id(&value, false) || self.own.contains(&value);
        });
        is_told
    }

    /// Whether who paid is the customer.
    pub(crate) fn pay(&self, payer: &Payer) -> Named {
        let is = |told: &Option<String>, own: &Option<String>| {
            own.is_some() && told.as_ref().map(|told| told.trim().to_lowercase()) == *own
        };
        match (is(&payer.email, &self.email), is(&payer.name, &self.name)) {
            (true, _) => Named::ForCertain,
            (false, true) => Named::ByWords,
            (false, false) => Named::No,
        }
    }

    /// These without what somebody else has as well.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let own = |one: &Option<String>, others: &Option<String>| one.clone().filter(|_| one != others);
        Self {
            name: own(&self.name, &other.name),
            email: own(&self.email, &other.email),
            own: self.own.iter().filter(|word| !other.own.contains(word)).cloned().collect(),
            ..self.clone()
        }
    }

    /// Whether the customer's email or tax id stands in a text.
    pub(crate) fn are_written_in(&self, text: &str) -> bool {
        let small = text.to_lowercase();
        self.own.iter().any(|word| stands_in(&small, word))
    }

    /// Who paid without the customer's name, email and tax id; `None` where there is nothing of that.
    pub(crate) fn out_of_payer(&self, payer: &Payer) -> Option<Payer> {
        let out = |text: &Option<String>| text.as_deref().and_then(|text| self.out_of(text));
        let (name, email, remittance) = (out(&payer.name), out(&payer.email), out(&payer.remittance));
        let is_there = name.is_some() || email.is_some() || remittance.is_some();
        is_there.then(|| Payer {
            name: name.or_else(|| payer.name.clone()),
            email: email.or_else(|| payer.email.clone()),
            remittance: remittance.or_else(|| payer.remittance.clone()),
        })
    }

    /// A text of people without the customer's name, email and tax id; `None` where it has none of them.
    pub(crate) fn out_of(&self, text: &str) -> Option<String> {
        let who: Vec<String> = self.name.iter().chain(&self.own).cloned().collect();
        let has = |text: &str| {
            let small = text.to_lowercase();
            text != ERASED && who.iter().any(|word| stands_in(&small, word))
        };
        let without = has(text).then(|| masked(text, &who))?;
        Some(if has(&without) { ERASED.to_owned() } else { without })
    }

    fn has_id(&self, value: &str, also_short: bool) -> bool {
        let is_id = |part: &str| part.len() >= SHORT && self.ids.contains(part);
        let of_ours = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let of_providers = |c: char| of_ours(c) && !matches!(c, '-' | '.' | ':');
        (also_short && self.ids.contains(value))
            || value.split(of_ours).any(is_id)
            || value.split(of_providers).any(is_id)
    }
}

/// Whether words stand in a text, and not inside other words.
fn stands_in(text: &str, words: &str) -> bool {
    let is_apart = |left: Option<char>, right: Option<char>| {
        !left.zip(right).is_some_and(|(left, right)| is_of_word(left) && is_of_word(right))
    };
    text.char_indices().any(|(at, _)| {
        let (before, from) = text.split_at(at);
        from.strip_prefix(words).is_some_and(|after| {
            is_apart(before.chars().next_back(), words.chars().next())
                && is_apart(words.chars().next_back(), after.chars().next())
        })
    })
}

/// Whether a character makes one word with its neighbours: not in scripts that put nothing between words, or endings right after names.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() && (c < '\u{e00}' || ('\u{1e00}'..'\u{2000}').contains(&c))
}

/// Tells each value in a text that is JSON, numbers and the names of fields among them, and whether it is such a name; else the text as
/// a whole.
fn each(text: &str, tell: &mut dyn FnMut(&str, bool)) {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => within(&value, tell),
        Err(_) => tell(text, false),
    }
}

fn within(value: &Value, tell: &mut dyn FnMut(&str, bool)) {
    match value {
        Value::String(text) => tell(text, false),
        Value::Number(number) => tell(&number.to_string(), false),
        Value::Array(values) => values.iter().for_each(|value| within(value, tell)),
        Value::Object(fields) => {
            for (name, value) in fields {
                tell(name, true);
                within(value, tell);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use plixo_domain::id::Ids;
    use plixo_domain::ledger::{Address, Link};
    use plixo_domain::webhook::{ExternalRef, Provider};

    fn words() -> Words {
        let mut ids = Ids::new(Timestamp::UNIX_EPOCH, [1; 10]);
        let mut customer = Customer::new(ids.make(), Personal::default());
        for (provider, id) in [(Provider::Stripe, "cus_NffrFeUfNV2Hib"), (Provider::Quickbooks, "58")] {
            customer.links.insert(ExternalRef { provider, id: id.parse().unwrap() }, Link::Live);
        }
        let address = Address { line1: "Am Kanal 7".to_owned(), ..Address::default() };
        let personal = Personal {
            name: Some("Jörg \"Jo\" Weber".to_owned()),
            email: Some("Jo@Weber.example".to_owned()),
            phone: Some("49".to_owned()),
            address: Some(address),
            tax_id: Some("DE 136695976".to_owned()),
        };
        let mut words = Words::new(&customer, &personal);
        words.add(&"inv_01h2xcejqtf2nbrexx3vqjhp41".parse().unwrap());
        words
    }

    fn called(name: &str) -> Words {
        let id = Ids::new(Timestamp::UNIX_EPOCH, [1; 10]).make();
        let personal = Personal { name: Some(name.to_owned()), ..Personal::default() };
        Words::new(&Customer::new(id, Personal::default()), &personal)
    }

    #[test]
    fn a_text_that_names_a_customer_in_any_spelling_is_found() {
        let words = words();
        for (found, how) in [
            (r#"{"a":[{"name":"J\u00d6RG \"jo\" weber"}]}"#, Named::ByWords),
            (r#"{"email":"mailto:jo@weber.example?x"}"#, Named::ForCertain),
            (r#"{"customer":"cus_NffrFeUfNV2Hib"}"#, Named::ForCertain),
            (r#"{"cus_NffrFeUfNV2Hib":1}"#, Named::ForCertain),
            (r#"{"url":"https://x.example/inv_01h2xcejqtf2nbrexx3vqjhp41?y"}"#, Named::ForCertain),
            (r#"{"line":"Am Kanal 7, 2. Stock"}"#, Named::ByWords),
            (r#"{"line":"Am Kanal 7","tax_ids":["de 136695976"]}"#, Named::ForCertain),
            (r#"{"CustomerRef":{"value":"58"}}"#, Named::ForCertain),
            (r#"{"customer":58}"#, Named::ForCertain),
            ("no JSON, of jo@weber.example", Named::ForCertain),
        ] {
            assert_eq!(words.are_in(found), how, "{found}");
        }
        for other in [
            r#"{"customer":"cus_NffrFeUfNV2Hib1"}"#,
            r#"{"amount":5800}"#,
            r#"{"phone":"49"}"#,
            r#"{"line":"Am Kanal 71"}"#,
            r#"{"email":"ajo@weber.example"}"#,
            "",
            "{}",
        ] {
            assert_eq!(words.are_in(other), Named::No, "{other}");
        }
    }

    #[test]
    fn a_short_name_is_found_as_a_word_and_neither_inside_of_words_nor_as_the_name_of_a_field() {
        for (name, found, others) in [
            (
                "Max",
                r#"{"for":"Hello MAX, thanks"}"#,
                [r#"{"of":"maximum"}"#, r#"{"max":5}"#, r#"{"of":"Climax"}"#],
            ),
            ("Art", r#"["art"]"#, [r#"["start"]"#, r#"{"art":["x"]}"#, r#"["Artikel"]"#]),
            ("Đỗ Thị", r#"["cô đỗ thị."]"#, [r#"["đỗ thịnh"]"#, r#"["xđỗ thị"]"#, r#"{"đỗ thị":1}"#]),
            ("王小明", r#"["致王小明先生"]"#, [r#"["王小"]"#, r#"{"王小明":1}"#, r#"["小明"]"#]),
        ] {
            let words = called(name);
            assert_eq!(words.are_in(found), Named::ByWords, "{name}");
            assert!(others.iter().all(|other| words.are_in(other) == Named::No), "{name}");
        }
    }

    #[test]
    fn what_is_shown_is_about_nobody_else() {
        let words = words();
        for shown in [
            r#"{"customer":"cus_NffrFeUfNV2Hib"}"#,
            r#"{"email":"JO@weber.example "}"#,
            r#"{"tax":"de 136695976"}"#,
        ] {
            assert!(words.are_told_in(shown), "{shown}");
        }
        // Somebody else of that name, or in that house.
        for other in [
            r#"{"name":" jörg \"jo\" weber"}"#,
            r#"{"line1":"Am Kanal 7"}"#,
            r#"{"customer":58}"#,
            r#"{"for":"jo@weber.example or others"}"#,
        ] {
            assert!(!words.are_told_in(other), "{other}");
        }
    }

    #[test]
    fn a_reason_goes_without_who_is_named_in_it() {
        let words = words();
        let out = words.out_of("Klage jörg \"Jo\" WEBER, jo@weber.example, Am Kanal 7");
        assert_eq!(out.as_deref(), Some("Klage [erased], [erased], Am Kanal 7"));
        assert_eq!(words.out_of("Klage wegen Am Kanal 7"), None);
        assert_eq!(called("Art").out_of("Start"), None);
        let erased = called("Erased");
        assert_eq!(erased.out_of("Erased & Co").as_deref(), Some("[erased]"));
        assert_eq!(erased.out_of("[erased]"), None, "once");
    }
}
