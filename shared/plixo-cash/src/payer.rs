//! Whose payment it is, as far as the payer's name and earlier payments say.

use std::collections::BTreeMap;

use plixo_domain::id::CustomerId;

use crate::words;
use crate::{KnownCustomer, Payment};
use plixo_domain::reference::fold;

/// How surely the payer is a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Payer {
    /// Nothing says so.
    Unknown,
    /// The name is like the customer's, or was seen once.
    Similar,
    /// The name is the customer's, and no other one's.
    Named,
    /// The payer has paid for the customer before.
    Seen,
    /// The payment says so.
    Told,
}

impl Payer {
    pub(crate) fn agrees(self) -> bool {
        self >= Self::Named
    }
}

/// A name as it is compared: words without accents, double vowels and punctuation, and the legal form apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    words: Vec<String>,
    form: Vec<String>,
    long: bool,
}

/// Banks cut names at these widths; no name that is shorter was cut.
const SHORTEST_CUT: usize = 18;
/// So many words of a name are compared.
const MAX_WORDS: usize = 12;

pub(crate) fn name(text: &str) -> Name {
    let clipped: String = text.chars().take(200).collect();
    let folded =
        fold(&clipped).replace(['.', '\''], "").replace("SP Z OO", "SPZOO").replace("SP Z O O", "SPZOO");
    let mut name =
        Name { words: Vec::new(), form: Vec::new(), long: clipped.chars().count() >= SHORTEST_CUT };
    for word in folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(MAX_WORDS) {
        if words::is_legal_form(word) {
            name.form.push(word.to_owned());
        } else if !matches!(word, "UND" | "AND" | "ET" | "Y") {
            // ä, ae and a are written for each other.
            name.words.push(word.replace("AE", "A").replace("OE", "O").replace("UE", "U").replace("AA", "A"));
        }
    }
    name
}

/// A name as an index has it: its words without accents, punctuation and legal form. ä, ae and a are the same in it.
#[must_use]
pub fn name_key(text: &str) -> String {
    name(text).words.join(" ")
}

/// A payer as its history has it: the same, with the legal form, for another one is another company. Nothing of a name without words.
#[must_use]
pub fn payer_key(text: &str) -> Option<String> {
    let Name { words, form, .. } = name(text);
    (!words.is_empty()).then(|| format!("{}/{}", words.join(" "), form.join(" ")))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    None,
    Similar,
    /// But for a legal form that one of them lacks, or for an end that the bank cut off.
    Same,
    Equal,
}

fn likeness(payer: &Name, customer: &Name) -> Likeness {
    if payer.words.is_empty() || customer.words.is_empty() {
        return Likeness::None;
    }
    let (ours, theirs) = (customer.words.join(" "), payer.words.join(" "));
    let conflict = !payer.form.is_empty() && !customer.form.is_empty() && payer.form != customer.form;
    let forms_begin = payer.form.iter().zip(&customer.form).all(|(a, b)| a == b);
    if ours == theirs || sorted(&payer.words) == sorted(&customer.words) {
        return match (payer.form == customer.form, conflict) {
            (true, _) => Likeness::Equal,
            // `GmbH` for `GmbH & Co. KG` is another company, unless the end was cut off.
            (_, true) if !(payer.long && forms_begin) => Likeness::Similar,
            _ => Likeness::Same,
        };
    }
    if payer.long && payer.form.is_empty() && theirs.len() >= 12 && ours.starts_with(&theirs) {
        return Likeness::Same;
    }
    let shared =
        customer.words.iter().filter(|word| payer.words.iter().any(|other| is_like(word, other))).count();
    let all = shared == customer.words.len().min(payer.words.len());
    let letters: usize = customer.words.iter().map(String::len).sum();
    if all && letters >= 4 || shared >= 2 { Likeness::Similar } else { Likeness::None }
}

fn sorted(words: &[String]) -> Vec<&String> {
    let mut words: Vec<_> = words.iter().collect();
    words.sort();
    words
}

/// The same word, or one sign of a long one differs.
fn is_like(one: &str, other: &str) -> bool {
    let long = one.len() >= 5 && one.len() == other.len();
    one == other || long && one.chars().zip(other.chars()).filter(|(a, b)| a != b).count() <= 1
}

/// How surely the payer is each of the customers. Of several whose name it is equally, it is none for sure.
pub(crate) fn recognise(payment: &Payment<'_>, customers: &[KnownCustomer]) -> BTreeMap<CustomerId, Payer> {
    let payer = payment.payer_name.map(name);
    let mut best = Likeness::None;
    let mut likest = Vec::new();
    let mut found = BTreeMap::new();
    for customer in customers {
        let like = payer.as_ref().map_or(Likeness::None, |payer| {
            customer.names.iter().map(|known| likeness(payer, &name(known))).max().unwrap_or(Likeness::None)
        });
        let times = customer.seen.iter().filter(|seen| {
            let account = payment.payer_account == Some(seen.payer.as_str());
            account
                || payer.as_ref().is_some_and(|payer| !payer.words.is_empty() && name(&seen.payer) == *payer)
        });
        let times = times.fold(0_u32, |sum, seen| sum.saturating_add(seen.payments));
        let level = match times {
            0 if like >= Likeness::Similar => Payer::Similar,
            0 => Payer::Unknown,
            1 => Payer::Similar,
            _ => Payer::Seen,
        };
        if like > best && like >= Likeness::Same {
            (best, likest) = (like, Vec::new());
        }
        if like == best && like >= Likeness::Same {
            likest.push(customer.id);
        }
        found.insert(customer.id, level);
    }
    likest.sort();
    likest.dedup();
    if let [only] = likest.as_slice() {
        found.entry(*only).and_modify(|level| *level = (*level).max(Payer::Named));
    }
    if let Some(told) = payment.customer {
        found.values_mut().for_each(|level| *level = (*level).min(Payer::Similar));
        found.insert(told, Payer::Told);
    }
    found
}
