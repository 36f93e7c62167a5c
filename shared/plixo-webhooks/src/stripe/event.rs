//! A Stripe event as its receiver sees it.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::digest;

pub use crate::json::MAX_DEPTH;

use crate::json::{FieldError, Object, too_deep};

/// Why a signed body is no event for Plixo. The reason is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Bytes that are no UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not JSON, or an empty body.
    #[error("the body is not JSON")]
    NotJson,
    /// Deeper than [`MAX_DEPTH`].
    #[error("the body is nested too deeply")]
    TooDeep,
    /// JSON, but no object, or one that calls itself something else in `object`.
    #[error("the body is not a Stripe event")]
    NotAnEvent,
    /// A thin event: it carries no object, and this endpoint needs snapshot events.
    #[error("the body is a thin event: set the Stripe event destination to snapshot payloads")]
    Thin,
    /// A field that every event has cannot be used.
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl EventError {
    /// A stable word for logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 => "event_not_utf8",
            Self::NotJson => "event_not_json",
            Self::TooDeep => "event_too_deep",
            Self::NotAnEvent => "event_not_an_event",
            Self::Thin => "event_thin",
            Self::Field(_) => "event_field",
        }
    }
}

/// What every event says of itself, and its text, read once.
#[derive(Clone)]
pub struct Event<'a> {
    /// `evt_…`.
    pub id: Cow<'a, str>,
    /// `payment_intent.succeeded` and the like: Stripe's `type`.
    pub kind: Cow<'a, str>,
    /// The connected account, `acct_…`, for whose sake it was sent.
    pub account: Option<Cow<'a, str>>,
    /// When it happened, Unix seconds. Stripe always says so; only facts need it.
    pub created: Option<i64>,
    /// Whether real money is meant; without the field, it is.
    pub livemode: bool,
    text: &'a str,
    pub(super) fields: Object<'a>,
}

/// Without the rest of the text, which may be personal.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<'a> Event<'a> {
    /// Reads what every event says of itself.
    ///
    /// # Errors
    /// [`EventError`], for the log.
    pub fn parse(body: &'a [u8]) -> Result<Self, EventError> {
        let text = std::str::from_utf8(body).map_err(|_| EventError::NotUtf8)?;
        if too_deep(text) {
            return Err(EventError::TooDeep);
        }
        let fields = Object::parse(text).map_err(|_| EventError::NotJson)?.ok_or(EventError::NotAnEvent)?;
        match fields.text("object")?.as_deref() {
            None | Some("event") => {}
            Some("v2.core.event") => return Err(EventError::Thin),
            Some(_) => return Err(EventError::NotAnEvent),
        }
        Ok(Self {
            id: fields.need("id", fields.text("id"))?,
            kind: fields.need("type", fields.text("type"))?,
            account: fields.text("account")?,
            created: fields.count("created")?,
            livemode: fields.flag("livemode")?.unwrap_or(true),
            text,
            fields,
        })
    }

    /// The whole text, as it came.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The customer of Stripe's that it is about, of whatever type it is; `None` where that cannot be told.
    #[must_use]
    pub fn customer(&self) -> Option<String> {
        let object = self.object()?;
        let is_customer = object.text("object").ok()?.as_deref() == Some("customer");
        object.id_of(if is_customer { "id" } else { "customer" }).ok()?
    }

    /// The money that it is about, of whatever type it is: Stripe's ids of the payment intent and of the charge, as far as they are told.
    #[must_use]
    pub fn money(&self) -> Vec<String> {
        let Some(object) = self.object() else { return Vec::new() };
        let kind = object.text("object").ok().flatten();
        let is_money = matches!(kind.as_deref(), Some("payment_intent" | "charge"));
        let names = is_money.then_some("id").into_iter().chain(["payment_intent", "charge"]);
        names.filter_map(|name| object.id_of(name).ok()?).collect()
    }

    /// The note that names an invoice, of whatever it is about: `metadata.plixo_invoice_id`.
    #[must_use]
    pub fn invoice(&self) -> Option<String> {
        let note = self.object()?.object("metadata").ok()??.text("plixo_invoice_id").ok()??;
        Some(note.into_owned())
    }

    fn object(&self) -> Option<Object<'a>> {
        self.fields.object("data").ok()??.object("object").ok()?
    }

    /// SHA-256 of what the event says. Stripe counts `pending_webhooks` down from delivery to delivery of the same event:
    /// the number is left out, everything else counts to the byte.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = digest::Context::new(&digest::SHA256);
        let (before, after) = self.around_pending_webhooks().unwrap_or((self.text, ""));
        hash.update(before.as_bytes());
        hash.update(after.as_bytes());
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(hash.finish().as_ref()).for_each(|(to, from)| *to = *from);
        bytes
    }

    fn around_pending_webhooks(&self) -> Option<(&str, &str)> {
        let number = self.fields.verbatim("pending_webhooks").ok()??;
        if !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let start = number.as_ptr().addr().checked_sub(self.text.as_ptr().addr())?;
        Some((self.text.get(..start)?, self.text.get(start.checked_add(number.len())?..)?))
    }
}

#[cfg(test)]
mod tests;
