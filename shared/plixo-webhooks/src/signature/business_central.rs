//! Business Central: nothing is signed. Each notification of a body carries the secret of its subscription as `clientState`, and
//! each new or renewed subscription begins with a question.
//!
//! Source: "Working with webhooks in Dynamics 365 Business Central".

use std::borrow::Cow;

use aws_lc_rs::constant_time;

use super::{Authentic, Message, Scheme, SignatureError, is_blank};
use crate::json::{Document, Object};

/// The longest validation token that is echoed.
pub const MAX_TOKEN: usize = 1_024;

/// Secrets that Plixo makes have 43 characters; fewer than these are too few for one that is compared, not hashed.
const SHORTEST: usize = 32;
/// Business Central's own bound.
const LONGEST: usize = 2_048;

/// What the query of a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handshake {
    /// There is no `validationToken`: this is a notification.
    NotAsked,
    /// The token that has to come back, as `text/plain`, with `x-content-type-options: nosniff`.
    Echo(String),
    /// A token that is not echoed: empty, repeated, longer than [`MAX_TOKEN`], or with characters that do not belong in plain
    /// ASCII text or could be markup.
    Unusable,
}

/// Reads a handshake from the query of a request, as it stands in the URL.
#[must_use]
pub fn handshake(query: &str) -> Handshake {
    let tokens = form_urlencoded::parse(query.as_bytes());
    let mut tokens = tokens.filter(|(name, _)| name.eq_ignore_ascii_case("validationtoken"));
    let fits = |b: u8| (b.is_ascii_graphic() || b == b' ') && !matches!(b, b'<' | b'>');
    match (tokens.next(), tokens.next()) {
        (None, _) => Handshake::NotAsked,
        (Some((_, token)), None) if (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(fits) => {
            Handshake::Echo(token.into_owned())
        }
        _ => Handshake::Unusable,
    }
}

/// Business Central.
#[derive(Debug)]
pub(super) struct BusinessCentral;

impl Scheme for BusinessCentral {
    /// This reads JSON before anything is proven, because that is where the proof is. What holds is each element with one of the
    /// secrets; the others are counted and dropped. The authentic body is `{"value": […]}` with the elements that held, as
    /// they came but without `clientState`.
    fn verify<'a>(&self, message: &Message<'a>, secrets: &[&[u8]]) -> Result<Authentic<'a>, SignatureError> {
        let secrets: Vec<&[u8]> = secrets.iter().copied().filter(|secret| !is_blank(secret)).collect();
        if secrets.is_empty() {
            return Err(SignatureError::NoSecret);
        }
        let text = std::str::from_utf8(message.body).map_err(|_| SignatureError::Body)?;
        // Versions before 19 send a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let body = Document::object(text).map_err(|_| SignatureError::Body)?;
        let elements = body.objects("value").map_err(|_| SignatureError::Body)?;
        let all = elements.len();
        let held: Vec<_> = elements.into_iter().filter(|element| holds(element, &secrets)).collect();
        if held.is_empty() {
            return Err(SignatureError::NoMatch);
        }
        let dropped = all.saturating_sub(held.len());
        Ok(Authentic { body: Cow::Owned(written(&held).into_bytes()), id: None, dropped })
    }

    fn takes_secret(&self, secret: &str) -> bool {
        (SHORTEST..=LONGEST).contains(&secret.len()) && secret.bytes().all(|b| b.is_ascii_graphic())
    }
}

fn holds(element: &Object<'_>, secrets: &[&[u8]]) -> bool {
    let Ok(Some(given)) = element.text("clientState") else { return false };
    // All are compared, so that the time does not tell which one it was.
    secrets.iter().fold(false, |held, secret| {
        constant_time::verify_slices_are_equal(secret, given.as_bytes()).is_ok() | held
    })
}

fn written(elements: &[Object<'_>]) -> String {
    let mut text = String::from(r#"{"value":["#);
    for (n, element) in elements.iter().enumerate() {
        text.push_str(if n == 0 { "{" } else { ",{" });
        let shown = element.fields().filter(|(name, _)| *name != "clientState");
        for (n, (name, value)) in shown.enumerate() {
            if n > 0 {
                text.push(',');
            }
            text.push_str(&serde_json::Value::from(name).to_string());
            text.push(':');
            text.push_str(value);
        }
        text.push('}');
    }
    text.push_str("]}");
    text
}
