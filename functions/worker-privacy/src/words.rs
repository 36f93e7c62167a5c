//! By what a text is known to be about a customer.

use std::collections::BTreeSet;

use plixo_domain::id::InvoiceId;
use plixo_domain::ledger::{Customer, Personal, identifiers};
use serde_json::Value;

/// An id that is shorter could be anything: a number, a part of a date. It counts only as a value of its own.
const SHORT: usize = 8;
/// A text that is shorter is in too many others.
const LEAST: usize = 3;

/// What names a customer in the words of others, in small letters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    /// Ids, ours and providers'.
    ids: BTreeSet<String>,
    /// What is personal.
    texts: Vec<String>,
}

impl Words {
    /// What names that customer: its ids, and what of its personal data is known.
    pub(crate) fn new(customer: &Customer, personal: &Personal) -> Self {
        let links = customer.links.keys().map(|name| name.id.to_string());
        let ids = links.chain([customer.id.to_string()]).map(|id| id.to_lowercase()).collect();
        let texts = identifiers(personal).into_iter().map(|text| text.trim().to_lowercase());
        Self { ids, texts: texts.filter(|text| text.chars().count() >= LEAST).collect() }
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

    /// Whether a text has one of them anywhere. Better one text too many is gone than one too few.
    pub(crate) fn are_in(&self, text: &str) -> bool {
        anywhere(text, &|value| {
            let value = value.to_lowercase();
            self.has_id(&value, true) || self.texts.iter().any(|text| value.contains(text))
        })
    }

    /// Whether a text is about the customer for certain: one of its ids is in it, or a value that is nothing else than something of
    /// its personal data. What is shown may not be about somebody else.
    pub(crate) fn are_told_in(&self, text: &str) -> bool {
        anywhere(text, &|value| {
            let value = value.trim().to_lowercase();
            self.has_id(&value, false) || self.texts.contains(&value)
        })
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

/// Whether any value in a text that is JSON is so, names and numbers among them; else the text as a whole.
fn anywhere(text: &str, is_so: &dyn Fn(&str) -> bool) -> bool {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => within(&value, is_so),
        Err(_) => is_so(text),
    }
}

fn within(value: &Value, is_so: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_so(text),
        Value::Number(number) => is_so(&number.to_string()),
        Value::Array(values) => values.iter().any(|value| within(value, is_so)),
        Value::Object(fields) => fields.iter().any(|(name, value)| is_so(name) || within(value, is_so)),
        Value::Null | Value::Bool(_) => false,
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
            tax_id: None,
        };
        let mut words = Words::new(&customer, &personal);
        words.add(&"inv_01h2xcejqtf2nbrexx3vqjhp41".parse().unwrap());
        words
    }

    #[test]
    fn a_text_that_names_a_customer_in_any_spelling_is_found() {
        let words = words();
        for found in [
            r#"{"a":[{"name":"J\u00d6RG \"jo\" weber"}]}"#,
            r#"{"email":"mailto:jo@weber.example?x"}"#,
            r#"{"customer":"cus_NffrFeUfNV2Hib"}"#,
            r#"{"cus_NffrFeUfNV2Hib":1}"#,
            r#"{"url":"https://x.example/inv_01h2xcejqtf2nbrexx3vqjhp41?y"}"#,
            r#"{"line":"Am Kanal 7, 2. Stock"}"#,
            r#"{"CustomerRef":{"value":"58"}}"#,
            r#"{"customer":58}"#,
            "no JSON, of jo@weber.example",
        ] {
            assert!(words.are_in(found), "{found}");
        }
        for other in
            [r#"{"customer":"cus_NffrFeUfNV2Hib1"}"#, r#"{"amount":5800}"#, r#"{"phone":"49"}"#, "", "{}"]
        {
            assert!(!words.are_in(other), "{other}");
        }
    }

    #[test]
    fn what_is_shown_is_about_nobody_else() {
        let words = words();
        for shown in [
            r#"{"name":" jörg \"jo\" weber"}"#,
            r#"{"customer":"cus_NffrFeUfNV2Hib"}"#,
            r#"{"email":"JO@weber.example"}"#,
        ] {
            assert!(words.are_told_in(shown), "{shown}");
        }
        for other in
            [r#"{"name":"Jörg \"Jo\" Weber-Schmidt"}"#, r#"{"customer":58}"#, r#"{"line":"Am Kanal 71"}"#]
        {
            assert!(!words.are_told_in(other), "{other}");
        }
    }
}
