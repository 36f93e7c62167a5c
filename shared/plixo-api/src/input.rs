//! What a request says.

use std::net::IpAddr;
use std::str::FromStr;

use plixo_domain::people::UserId;
use plixo_lambda::http::Request;
use plixo_lambda::line::Line;
use plixo_staff::{Caller, FieldError, Refusal};
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::{Path, Segment};

/// The longest body, bytes: an invoice of 200 lines fits many times.
pub const MAX_BODY: usize = 256 * 1024;
/// The longest idempotency key, characters.
const MAX_KEY: usize = 255;
/// How many rows a list shows if nobody says.
const LIMIT: u8 = 25;

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// Nobody asks. The word is for the log.
    Unauthenticated(&'static str),
    /// There is no such route.
    NoRoute,
    /// The body is longer than that, bytes.
    TooLarge(usize),
    /// The body is said to be of another kind than this, which the route takes.
    MediaType(&'static str),
    /// It was refused.
    Refused(Refusal),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A request with one wrong field.
#[must_use]
pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Failed {
    Failed::Refused(Refusal::Invalid(vec![FieldError::new(pointer, detail)]))
}

/// Who asks, as the authorizer and the gateway say. The line learns it too.
///
/// # Errors
/// [`Failed::Unauthenticated`].
pub fn caller(request: &Request, line: &mut Line) -> Result<Caller, Failed> {
    believed(request)?;
    // A browser sends cookies by itself, whoever makes it. Pages defend themselves against that; the API takes none.
    if request.authorized("by") == Some("cookie") {
        return Err(Failed::Unauthenticated("token_in_cookie"));
    }
    let caller = (|| {
        let user: UserId = request.authorized("user")?.parse().ok()?;
        Some(Caller {
            user,
            session: request.authorized("session")?.to_owned(),
            signed_in_at: request.authorized("signed_in_at")?.parse().ok()?,
            ip: request.ip().and_then(|ip| ip.parse::<IpAddr>().ok()),
            user_agent: request.user_agent(),
            request_id: request.id().to_owned(),
            now: line.timestamp,
        })
    })();
    // A route without the authorizer lets nobody in.
    let caller = caller.ok_or(Failed::Unauthenticated("authorizer_missing"))?;
    line.who = Some(format!("user:{}", caller.user));
    Ok(caller)
}

/// Whether the authorizer believed the token.
///
/// # Errors
/// [`Failed::Unauthenticated`], [`Refusal::Unavailable`] where it could not tell.
pub fn believed(request: &Request) -> Result<(), Failed> {
    match request.authorized("refused") {
        None => Ok(()),
        Some("expired") => Err(Failed::Unauthenticated("token_expired")),
        Some("missing") => Err(Failed::Unauthenticated("token_missing")),
        Some("unavailable") => Err(Refusal::Unavailable("the authorizer could not tell".to_owned()).into()),
        Some(_) => Err(Failed::Unauthenticated("token_refused")),
    }
}

/// The id in the path. One that is none is of nothing.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn id<T: FromStr>(request: &Request, name: &str) -> Result<T, Failed> {
    request.path(name).and_then(|text| text.parse().ok()).ok_or(Failed::Refused(Refusal::NotFound))
}

/// The body: a JSON object.
///
/// # Errors
/// [`Failed`], with a JSON pointer to what is wrong.
pub fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Failed> {
    let bytes = bytes(request)?;
    // The gateway puts U+FFFD in the place of what is no UTF-8, and damaged text must not be kept as if somebody had typed it.
    if !std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains('\u{fffd}')) {
        return Err(invalid("", "the body is UTF-8, without the replacement character U+FFFD"));
    }
    // serde would read a struct from a list of its fields' values too.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(invalid("", "the body is a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| wrong(&error))?;
    json.end().map_err(|_| invalid("", "something follows the JSON value"))?;
    Ok(read)
}

/// The bytes of the body: JSON by its content type.
///
/// # Errors
/// [`Failed::TooLarge`], [`Failed::MediaType`], [`Refusal::Invalid`] for what is no base64 though the gateway says so.
pub fn bytes(request: &Request) -> Result<Vec<u8>, Failed> {
    if request.body_len() > MAX_BODY {
        return Err(Failed::TooLarge(MAX_BODY));
    }
    bytes_of(request, "application/json")
}

/// The bytes of the body, which is of that kind by its content type.
fn bytes_of(request: &Request, wanted: &'static str) -> Result<Vec<u8>, Failed> {
    let kind = request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case(wanted) {
        return Err(Failed::MediaType(wanted));
    }
    Ok(request.body().map_err(|_| invalid("", "the body is not readable"))?.into_owned())
}

/// The bytes of a body that is no JSON, of the kind `wanted`, at most `most` of them.
///
/// # Errors
/// [`Failed::TooLarge`], [`Failed::MediaType`], [`Refusal::Invalid`] for what is no base64 though the gateway says so.
pub fn file(request: &Request, wanted: &'static str, most: usize) -> Result<Vec<u8>, Failed> {
    if request.body_len() > most {
        return Err(Failed::TooLarge(most));
    }
    bytes_of(request, wanted)
}

/// Refuses a body that says something, where the route takes none. Many clients send `{}`.
///
/// # Errors
/// [`Refusal::Invalid`].
pub fn no_body(request: &Request) -> Result<(), Failed> {
    let body = request.body().map_err(|_| invalid("", "the body is not readable"))?;
    if matches!(body.trim_ascii(), b"" | b"{}") {
        Ok(())
    } else {
        Err(invalid("", "this route takes no body"))
    }
}

/// The query.
///
/// # Errors
/// [`Refusal::Invalid`].
pub fn query<T: DeserializeOwned>(request: &Request) -> Result<T, Failed> {
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(request.query().as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|error| wrong(&error))
}

fn wrong<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> Failed {
    // serde_json names line and column, which says less than the pointer.
    let said = error.inner().to_string();
    let said = said.split(" at line ").next().unwrap_or_default().to_owned();
    let missing = said.strip_prefix("missing field `").and_then(|name| name.strip_suffix('`'));
    let at = pointer(error.path());
    invalid(missing.map_or_else(|| at.clone(), |name| format!("{at}/{name}")), said.clone())
}

/// A path as an [RFC 6901](https://www.rfc-editor.org/rfc/rfc6901) pointer.
fn pointer(path: &Path) -> String {
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(part).collect()
}

/// The idempotency key: up to 255 visible ASCII characters.
///
/// # Errors
/// [`Refusal::Invalid`].
pub fn idempotency_key(request: &Request) -> Result<Option<&str>, Failed> {
    match request.header("idempotency-key") {
        None => Ok(None),
        Some(key) if !key.is_empty() && key.len() <= MAX_KEY && key.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(Some(key))
        }
        Some(_) => Err(invalid("", "Idempotency-Key is 1 to 255 visible ASCII characters")),
    }
}

/// The versions that `If-Match` names
/// ([RFC 9110, 13.1.1](https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1)); `None` where any will do.
#[must_use]
pub fn if_match(request: &Request) -> Option<Vec<u64>> {
    let header = request.header("if-match")?.trim();
    if header == "*" {
        return None;
    }
    // What is no version of ours matches none, and so does a weak one.
    let version = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    Some(header.split(',').filter_map(version).collect())
}

/// The words of `expand`, separated by commas: what to show besides.
#[derive(Debug)]
pub struct Expand<W>(Vec<W>);

impl<W> Default for Expand<W> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<W: PartialEq> Expand<W> {
    /// Whether that word is among them.
    pub fn has(&self, word: &W) -> bool {
        self.0.contains(word)
    }
}

impl<'de, W: Deserialize<'de>> Deserialize<'de> for Expand<W> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let word = |word: &str| W::deserialize(word.to_owned().into_deserializer());
        let words = text.split(',').map(word).collect::<Result<_, value::Error>>();
        words.map(Self).map_err(serde::de::Error::custom)
    }
}

/// Refuses what is to be done to a thing that is of none of the versions that [`if_match`] named. What is not there is left to
/// whoever looks for it.
///
/// # Errors
/// [`Refusal::Stale`].
pub fn fresh(seen: Option<&[u64]>, version: Option<u64>) -> Result<(), Refusal> {
    match (seen, version) {
        (Some(seen), Some(version)) if !seen.contains(&version) => Err(Refusal::Stale),
        _ => Ok(()),
    }
}

/// How many rows a list shows: 1 to 100, 25 if nobody says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u8);

impl Default for Limit {
    fn default() -> Self {
        Self(LIMIT)
    }
}

impl Limit {
    /// As a number.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let limit = String::deserialize(from)?;
        let limit = limit.parse().ok().filter(|limit| (1..=100).contains(limit));
        limit.map(Self).ok_or_else(|| serde::de::Error::custom("limit is a number from 1 to 100"))
    }
}
