//! JSON objects read field by field, so that an error can name the field.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

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
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Repeated => "is there twice",
            Self::IllTyped => "has not the type or range it should have",
            Self::Unknown => "has a text that is not known",
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
pub(super) struct Object<'a> {
    pointer: String,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// The object that `text` is; `Ok(None)` if it is another JSON value.
    pub(super) fn parse(text: &'a str) -> Result<Option<Self>, serde_json::Error> {
        let Fields(fields) = match text.trim_ascii_start().as_bytes() {
            [b'{', ..] => serde_json::from_str(text)?,
            _ => return serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| None),
        };
        Ok(Some(Self { pointer: String::new(), fields }))
    }

    fn error(&self, name: &str, problem: Problem) -> FieldError {
        FieldError { pointer: format!("{}/{name}", self.pointer), problem }
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
    pub(super) fn verbatim(&self, name: &str) -> Result<Option<&'a str>, FieldError> {
        Ok(self.raw(name)?.map(RawValue::get))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, FieldError> {
        Ok(self.read::<Text<'a>>(name)?.map(|Text(text)| text))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, FieldError> {
        self.read(name)
    }

    /// An integer from 0 to the largest `i64`.
    pub(super) fn count(&self, name: &str) -> Result<Option<i64>, FieldError> {
        let count: Option<i64> = self.read(name)?;
        match count {
            Some(negative) if negative < 0 => Err(self.error(name, Problem::IllTyped)),
            other => Ok(other),
        }
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Object<'a>>, FieldError> {
        let Some(raw) = self.raw(name)? else { return Ok(None) };
        match Self::parse(raw.get()) {
            Ok(Some(object)) => Ok(Some(Self { pointer: format!("{}/{name}", self.pointer), ..object })),
            _ => Err(self.error(name, Problem::IllTyped)),
        }
    }

    /// The id of another thing: its text, or where Stripe was asked to expand it, the `id` of the object.
    pub(super) fn id_of(&self, name: &str) -> Result<Option<String>, FieldError> {
        match self.raw(name)? {
            Some(raw) if raw.get().starts_with('{') => match self.object(name)? {
                Some(expanded) => expanded.need("id", expanded.text("id")).map(|id| Some(id.into_owned())),
                None => Ok(None),
            },
            _ => Ok(self.text(name)?.map(Cow::into_owned)),
        }
    }

    /// One of the words of a fixed list.
    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, FieldError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let known = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        known.map(Some).ok_or_else(|| self.error(name, Problem::Unknown))
    }

    /// Makes an absent field an error.
    pub(super) fn need<T>(&self, name: &str, value: Result<Option<T>, FieldError>) -> Result<T, FieldError> {
        value?.ok_or_else(|| self.error(name, Problem::Missing))
    }

    /// The error of a field whose text is none that is known.
    pub(super) fn unknown(&self, name: &str) -> FieldError {
        self.error(name, Problem::Unknown)
    }
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
