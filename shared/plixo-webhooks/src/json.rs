//! JSON objects read field by field, so that an error can name the field.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The deepest nesting of arrays and objects that is read, as in `serde_json`. What providers send stays under 20.
pub const MAX_DEPTH: usize = 128;

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It is not there, or `null`.
    Missing,
    /// It is there twice.
    Repeated,
    /// It is of another JSON type, or an integer out of range.
    IllTyped,
    /// Its text is none of those that Plixo knows.
    Unknown,
    /// An amount with more digits than its currency has, or more than any payment is.
    Inexact,
    /// It is an id that could be a card number and was masked: another id may look the same.
    Masked,
    /// An object has a field that its schema does not have. The pointer is the object's: a name may be anything.
    Unexpected,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Repeated => "is there twice",
            Self::IllTyped => "has not the type or range it should have",
            Self::Unknown => "has a text that is not known",
            Self::Inexact => "has more digits than its currency, or is larger than any payment",
            Self::Masked => "was masked, for it could be a card number: an id needs a letter right before or after its digits",
            Self::Unexpected => "has a field that its schema does not have",
        })
    }
}

/// A field that cannot be used: where it is, never what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer} {problem}")]
pub struct FieldError {
    /// The field's JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// A JSON object whose values are still text. Only fields that are asked for are checked.
#[derive(Clone)]
pub(crate) struct Object<'a> {
    pointer: String,
    text: &'a str,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// The object that `text` is; `Ok(None)` if it is another JSON value.
    pub(crate) fn parse(text: &'a str) -> Result<Option<Self>, serde_json::Error> {
        Self::parse_at(text, String::new())
    }

    fn parse_at(text: &'a str, pointer: String) -> Result<Option<Self>, serde_json::Error> {
        let Fields(fields) = match text.trim_ascii_start().as_bytes() {
            [b'{', ..] => serde_json::from_str(text)?,
            _ => return serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| None),
        };
        Ok(Some(Self { pointer, text, fields }))
    }

    pub(crate) fn error(&self, name: &str, problem: Problem) -> FieldError {
        FieldError { pointer: format!("{}/{name}", self.pointer), problem }
    }

    /// The object as it stands there.
    pub(crate) fn whole(&self) -> &'a str {
        self.text
    }

    /// The fields as they stand there, names decoded.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.fields.iter().map(|(name, value)| (name.as_ref(), value.get()))
    }

    /// Refuses fields of other names than these.
    pub(crate) fn only(&self, names: &[&str]) -> Result<(), FieldError> {
        let known = self.fields.iter().all(|(name, _)| names.contains(&name.as_ref()));
        let error = || FieldError { pointer: self.pointer.clone(), problem: Problem::Unexpected };
        known.then_some(()).ok_or_else(error)
    }

    fn raw(&self, name: &str) -> Result<Option<&'a RawValue>, FieldError> {
        let mut found = self.fields.iter().filter(|(key, _)| key == name).map(|(_, value)| *value);
        let value = found.next();
        match found.next() {
            None => Ok(value.filter(|value| value.get() != "null")),
            Some(_) => Err(self.error(name, Problem::Repeated)),
        }
    }

    fn read<T: Deserialize<'a>>(&self, name: &str) -> Result<Option<T>, FieldError> {
        let read = |raw: &'a RawValue| {
            serde_json::from_str(raw.get()).map_err(|_| self.error(name, Problem::IllTyped))
        };
        self.raw(name)?.map(read).transpose()
    }

    /// The text of a field exactly as it stands there.
    pub(crate) fn verbatim(&self, name: &str) -> Result<Option<&'a str>, FieldError> {
        Ok(self.raw(name)?.map(RawValue::get))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, FieldError> {
        Ok(self.read::<Text<'a>>(name)?.map(|Text(text)| text))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, FieldError> {
        self.read(name)
    }

    /// An integer.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, FieldError> {
        self.read(name)
    }

    /// An integer from 0 to the largest `i64`.
    pub(crate) fn count(&self, name: &str) -> Result<Option<i64>, FieldError> {
        match self.integer(name)? {
            Some(negative) if negative < 0 => Err(self.error(name, Problem::IllTyped)),
            other => Ok(other),
        }
    }

    /// The text of a number, or of a string that may hold one: what is neither is an error, what it says is not looked at.
    pub(crate) fn number(&self, name: &str) -> Result<Option<Cow<'a, str>>, FieldError> {
        match self.raw(name)?.map(RawValue::get) {
            None => Ok(None),
            Some(number) if number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                Ok(Some(Cow::Borrowed(number)))
            }
            Some(_) => self.text(name),
        }
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<Object<'a>>, FieldError> {
        let Some(raw) = self.raw(name)? else { return Ok(None) };
        match Self::parse_at(raw.get(), format!("{}/{name}", self.pointer)) {
            Ok(Some(object)) => Ok(Some(object)),
            _ => Err(self.error(name, Problem::IllTyped)),
        }
    }

    /// A list of objects; an absent one is empty.
    pub(crate) fn objects(&self, name: &str) -> Result<Vec<Object<'a>>, FieldError> {
        let items: Vec<&'a RawValue> = self.read(name)?.unwrap_or_default();
        objects(items, &format!("{}/{name}", self.pointer))
    }

    /// The id of another thing: its text, or where Stripe was asked to expand it, the `id` of the object.
    pub(crate) fn id_of(&self, name: &str) -> Result<Option<String>, FieldError> {
        match self.raw(name)? {
            Some(raw) if raw.get().starts_with('{') => match self.object(name)? {
                Some(expanded) => expanded.need("id", expanded.text("id")).map(|id| Some(id.into_owned())),
                None => Ok(None),
            },
            _ => Ok(self.text(name)?.map(Cow::into_owned)),
        }
    }

    /// One of the words of a fixed list.
    pub(crate) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, FieldError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let known = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        known.map(Some).ok_or_else(|| self.error(name, Problem::Unknown))
    }

    /// Makes an absent field an error.
    pub(crate) fn need<T>(&self, name: &str, value: Result<Option<T>, FieldError>) -> Result<T, FieldError> {
        value?.ok_or_else(|| {
            let is_masked = self.text(name).ok().flatten().is_some_and(|text| plixo_cards::is_masked(&text));
            self.error(name, if is_masked { Problem::Masked } else { Problem::Missing })
        })
    }

    /// The error of a field whose text is none that is known.
    pub(crate) fn unknown(&self, name: &str) -> FieldError {
        self.error(name, Problem::Unknown)
    }
}

fn objects<'a>(items: Vec<&'a RawValue>, pointer: &str) -> Result<Vec<Object<'a>>, FieldError> {
    let read = |(n, item): (usize, &'a RawValue)| {
        let at = format!("{pointer}/{n}");
        let error = || FieldError { pointer: at.clone(), problem: Problem::IllTyped };
        Object::parse_at(item.get(), at.clone()).ok().flatten().ok_or_else(error)
    };
    items.into_iter().enumerate().map(read).collect()
}

/// A JSON text: an object, a list of objects, or neither.
pub(crate) enum Document<'a> {
    One(Object<'a>),
    Many(Vec<Object<'a>>),
}

/// Why a text is no JSON document that can be read. The reason is for the log: it never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Bytes that are no UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not JSON, or an empty body.
    #[error("the body is not JSON")]
    NotJson,
    /// Deeper than [`MAX_DEPTH`].
    #[error("the body is nested too deeply")]
    TooDeep,
    /// JSON, but nothing that this provider sends.
    #[error("the body is nothing that this provider sends")]
    NotADocument,
    /// More than [`MAX_EVENTS`](crate::delivery::MAX_EVENTS) events at once.
    #[error("the body holds too many events")]
    TooMany,
    /// A field that is needed cannot be used.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl ReadError {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "event_not_utf8",
            Self::NotJson => "event_not_json",
            Self::TooDeep => "event_too_deep",
            Self::NotADocument => "event_not_an_event",
            Self::TooMany => "event_too_many",
            Self::Field(_) => "event_field",
        }
    }
}

impl<'a> Document<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, ReadError> {
        if too_deep(text) {
            return Err(ReadError::TooDeep);
        }
        if text.trim_ascii_start().starts_with('[') {
            let items: Vec<&'a RawValue> = serde_json::from_str(text).map_err(|_| ReadError::NotJson)?;
            return Ok(Self::Many(objects(items, "")?));
        }
        let object = Object::parse(text).map_err(|_| ReadError::NotJson)?;
        object.map(Self::One).ok_or(ReadError::NotADocument)
    }

    pub(crate) fn object(text: &'a str) -> Result<Object<'a>, ReadError> {
        match Self::parse(text)? {
            Self::One(object) => Ok(object),
            Self::Many(_) => Err(ReadError::NotADocument),
        }
    }
}

/// The parser skips what it does not read without recursion, and so sets no bound of its own.
pub(crate) fn too_deep(text: &str) -> bool {
    let opening = text.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    opening > MAX_DEPTH && depth_exceeds_bound(text)
}

fn depth_exceeds_bound(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' if depth == MAX_DEPTH => return true,
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some((Text(key), value)) = map.next_entry()? {
                    fields.push((key, value));
                }
                Ok(Fields(fields))
            }
        }

        from.deserialize_map(Collect)
    }
}
