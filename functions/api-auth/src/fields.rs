//! A request's JSON object of texts. What is not expected is refused, with a pointer to it.

use std::fmt;

use plixo_api::Failed;
use plixo_domain::secret::Secret;
use plixo_lambda::http::Request;
use plixo_staff::{FieldError, Refusal};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The longest body that is taken, bytes.
pub const MAX_BODY: usize = 16 << 10;
/// As many mistakes are told at once.
const TOLD: usize = 20;
/// Of a name that nobody expects, this many characters are told.
const NAME: usize = 64;

/// A field of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) needed: bool,
}

/// A field that must be there.
pub(crate) const fn needed(name: &'static str) -> Field {
    Field { name, needed: true }
}

/// A field that may be there.
pub(crate) const fn optional(name: &'static str) -> Field {
    Field { name, needed: false }
}

/// The texts of a request, by name. All of them are secrets here.
#[derive(Debug, Default)]
pub(crate) struct Texts(Vec<(&'static str, Secret)>);

impl Texts {
    pub(crate) fn get(&self, name: &str) -> Option<&Secret> {
        self.0.iter().find(|(own, _)| *own == name).map(|(_, text)| text)
    }

    /// The text of a field that is needed, and so is there.
    pub(crate) fn take(&self, name: &str) -> Secret {
        self.get(name).cloned().unwrap_or_else(|| Secret::new(String::new()))
    }
}

/// Names and values in the order in which they came, doubled ones too.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct AnObject;
        impl<'de> Visitor<'de> for AnObject {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(AnObject)
    }
}

pub(crate) fn mistake(name: &str, detail: &str) -> FieldError {
    let name: String = name.chars().take(NAME).collect();
    let pointer = match name.as_str() {
        "" => String::new(),
        name => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
    };
    FieldError { pointer, detail: detail.to_owned() }
}

/// A request with these mistakes.
pub(crate) fn invalid(mistakes: Vec<FieldError>) -> Failed {
    Failed::Refused(Refusal::Invalid(mistakes))
}

/// Reads a request's body. Without a field that is needed, an empty body will do.
pub(crate) fn read(request: &Request, fields: &[Field]) -> Result<Texts, Failed> {
    if request.body_len() > MAX_BODY {
        return Err(Failed::TooLarge(MAX_BODY));
    }
    let not_an_object = || invalid(vec![mistake("", "The body is a JSON object.")]);
    let body = request.body().map_err(|_| not_an_object())?;
    if body.trim_ascii().is_empty() && !fields.iter().any(|field| field.needed) {
        return Ok(Texts::default());
    }
    if !is_json(request.header("content-type")) {
        return Err(Failed::MediaType("application/json"));
    }
    let Pairs(pairs) = serde_json::from_slice(&body).map_err(|_| not_an_object())?;
    let (mut texts, mut mistakes) = (Texts::default(), Vec::new());
    for (name, value) in pairs {
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            mistakes.push(mistake(&name, "There is no such field."));
            continue;
        };
        match value {
            _ if texts.get(field.name).is_some() => mistakes.push(mistake(&name, "It stands twice.")),
            Value::String(text) if !text.is_empty() => texts.0.push((field.name, Secret::new(text))),
            Value::String(_) => mistakes.push(mistake(&name, "It is empty.")),
            _ => mistakes.push(mistake(&name, "It is a text.")),
        }
    }
    for field in fields.iter().filter(|field| field.needed && texts.get(field.name).is_none()) {
        let pointer = mistake(field.name, "It is missing.");
        if mistakes.iter().all(|told| told.pointer != pointer.pointer) {
            mistakes.push(pointer);
        }
    }
    if mistakes.is_empty() {
        return Ok(texts);
    }
    mistakes.truncate(TOLD);
    Err(invalid(mistakes))
}

fn is_json(content_type: Option<&str>) -> bool {
    let kind = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}
