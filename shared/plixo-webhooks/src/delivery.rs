//! What is in a delivery once it is known to be authentic.
//!
//! One POST may hold several events. Each has an id by which it counts once: the sender's where it gives one, else one that is
//! derived from what the event says, so that the same event has the same id however often it comes. `Delivery::read` is for the
//! receiver, to look at accounts before it queues the text, and for the worker, to work the events off.

use std::borrow::Cow;

use jiff::Timestamp;
use plixo_domain::ledger::Stamp;
use plixo_domain::webhook::{ExternalId, Fingerprint, Provider};

use crate::canonical::{self, Entity, Version, external_id, hash_in_place, hashed, sha256};
use crate::json::{Document, FieldError, Object, ReadError};
use crate::{business_central, erpnext, quickbooks, xero};

/// More than any sender puts into one POST (Business Central: 1,000), and so few that a worker gets through them.
pub const MAX_EVENTS: usize = 2_000;

/// The events of one POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// In the order in which they stand there. None: the sender only asks whether anybody is there.
    pub events: Vec<Event>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id, by which it counts once.
    pub id: ExternalId,
    /// The provider's type of it: 1 to 100 of `a–z 0–9 _ .`.
    pub kind: String,
    /// The account or company at the provider whose event it is: tenant, realm, company.
    pub account: Option<ExternalId>,
    /// SHA-256 of what it says. The same id with another one is a conflict, which an id that is derived cannot have.
    pub fingerprint: Fingerprint,
    /// What it says.
    pub news: News,
    /// A delivery of this event alone, where it came with others.
    pub alone: Option<String>,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Something for the ledger.
    Told(Box<canonical::Event>),
    /// That something changed: what it is now has to be asked for.
    Fetch(Fetch),
    /// Nothing that Plixo uses.
    Ignored,
    /// Something of a type that is used, with a field that cannot be.
    Unusable(FieldError),
}

/// What to ask a provider for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// What kind of thing.
    pub entity: Entity,
    /// Which of them.
    pub which: Which,
    /// Of which account: the same as the event's.
    pub account: ExternalId,
    /// When it changed, as the notification says.
    pub at: Timestamp,
    /// Whether it is said to be deleted. It is asked for all the same, for the notification of a scheme that signs nothing
    /// proves little; if the provider knows no such thing, that is [`Fetch::withdrawn`].
    pub removed: bool,
}

/// Which things to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one of this id: 1 to 64 letters, digits and `-`, which can stand in a URL as it is.
    One(String),
    /// All that changed since then: there were too many to name.
    ChangedSince(Timestamp),
}

impl Fetch {
    /// The name under which the thing is kept. `None`: it is not asked for by its id.
    #[must_use]
    pub fn name(&self, provider: Provider) -> Option<ExternalId> {
        let Which::One(id) = &self.which else { return None };
        match provider {
            Provider::Quickbooks => self.entity.name(&format!("{}:{id}", self.account)),
            _ => self.entity.name(id),
        }
    }

    /// Whether who was told at `told` knows more than what is told of here.
    #[must_use]
    pub fn is_known_to(&self, told: &Stamp, name: &ExternalId) -> bool {
        *told > Version::last(self.at).stamp(name)
    }

    /// The news that what was said to be deleted is indeed not there. `None`: it was not said to be deleted.
    #[must_use]
    pub fn withdrawn(&self) -> Option<canonical::Event> {
        let Which::One(id) = &self.which else { return None };
        let name = self.entity.name(id)?;
        self.removed.then(|| self.entity.withdrawn(name, Version::last(self.at)))
    }
}

impl Delivery {
    /// Reads the authentic body of a message of `provider`; `id` is what [`Authentic`](crate::signature::Authentic) says.
    ///
    /// # Errors
    /// [`ReadError`]: it is nothing that this provider sends. Stripe's events are read by
    /// [`stripe::event`](crate::stripe::event).
    pub fn read(provider: Provider, body: &[u8], id: Option<&str>) -> Result<Self, ReadError> {
        let text = std::str::from_utf8(body).map_err(|_| ReadError::NotUtf8)?;
        let events = match provider {
            Provider::StandardWebhooks | Provider::GenericHmac => vec![plixos(text, id)?],
            Provider::Erpnext => vec![erpnext::delivery(text)?],
            Provider::Xero => xero::delivery(&Document::object(text)?)?,
            Provider::Quickbooks => quickbooks::delivery(&Document::parse(text)?)?,
            Provider::BusinessCentral => business_central::delivery(&Document::object(text)?)?,
            Provider::Stripe | Provider::Member => return Err(ReadError::NotADocument),
        };
        if events.len() > MAX_EVENTS { Err(ReadError::TooMany) } else { Ok(Self { events }) }
    }

    /// The customer that a delivery is about, of whatever type it is; `None` where that cannot be told, and of a provider that only
    /// notifies.
    #[must_use]
    pub fn customer(provider: Provider, body: &str) -> Option<ExternalId> {
        let body = Document::object(body).ok()?;
        match provider {
            Provider::StandardWebhooks | Provider::GenericHmac => {
                let data = body.object("data").ok()??;
                let is_customer = body.text("type").ok()?.is_some_and(|kind| kind.starts_with("customer."));
                data.name_of(Entity::Customer, if is_customer { "id" } else { "customer" }).ok()?
            }
            Provider::Erpnext => erpnext::customer_of(&body),
            _ => None,
        }
    }

    /// The text of a delivery of the account `own` as it is queued, before card numbers are masked in it: where its own id could be
    /// one, the account is named by its hash, as everything names it that is kept.
    #[must_use]
    pub fn queued<'a>(provider: Provider, text: &'a str, own: Option<&ExternalId>) -> Cow<'a, str> {
        let own = own.filter(|own| provider == Provider::Quickbooks && hash_in_place(own.as_str()).is_some());
        let Some(own) = own else { return text.into() };
        match quickbooks::account(text) {
            Some(written) if external_id(&written).as_ref() == Some(own) => {
                text.replace(&format!("\"{written}\""), &format!("\"{own}\"")).into()
            }
            _ => text.into(),
        }
    }

    /// Whether an event names another account than this, or names one and there is none.
    #[must_use]
    pub fn is_of_another_account(&self, own: Option<&ExternalId>) -> bool {
        self.events.iter().any(|event| event.account.is_some() && event.account.as_ref() != own)
    }
}

/// An event in Plixo's own schema. Its id is the header's, else the body's `id`, else the hash of the body.
fn plixos(text: &str, id: Option<&str>) -> Result<Event, ReadError> {
    let body = Document::object(text)?;
    let given = match id {
        // A replayed event's is already what was made of it.
        Some(id) => hash_in_place(id).or_else(|| external_id(id)),
        None => body.some_text("id")?.and_then(|id| external_id(&id)),
    };
    let type_of = body.need("type", body.text("type"))?;
    let news = match canonical::read(&body) {
        Ok(Some(event)) => News::Told(Box::new(event)),
        Ok(None) => News::Ignored,
        Err(error) => News::Unusable(error),
    };
    Ok(Event {
        id: given.or_else(|| hashed(text)).ok_or(ReadError::NotADocument)?,
        kind: kind(&type_of),
        account: body.text("account")?.and_then(|account| external_id(&account)),
        fingerprint: fingerprint(text.as_bytes()),
        news,
        alone: None,
    })
}

pub(crate) fn fingerprint(bytes: &[u8]) -> Fingerprint {
    Fingerprint(sha256(bytes))
}

/// A type as it is stored and logged: nothing but a type, whatever came.
pub(crate) fn kind(text: &str) -> String {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.';
    let lower = text.chars().map(|c| c.to_ascii_lowercase());
    let kind: String = lower.map(|c| if fits(c) { c } else { '_' }).take(100).collect();
    if kind.is_empty() || plixo_cards::contains(&kind) { "unknown".to_owned() } else { kind }
}

/// An event whose id is derived from these parts of it.
pub(crate) fn derived(
    parts: &[&str],
    kind: String,
    account: ExternalId,
    news: News,
) -> Result<Event, ReadError> {
    let name = parts.join(":");
    let id = external_id(&name).ok_or(ReadError::NotADocument)?;
    let fingerprint = fingerprint(name.as_bytes());
    Ok(Event { id, kind, account: Some(account), fingerprint, news, alone: None })
}

/// The events of a list, each read by `read`; `alone` writes a delivery of one of them.
pub(crate) fn each<'a>(
    list: &[Object<'a>],
    read: impl Fn(&Object<'a>) -> Result<Event, ReadError>,
    alone: impl Fn(&str) -> String,
) -> Result<Vec<Event>, ReadError> {
    let event = |one: &Object<'a>| {
        let alone = (list.len() > 1).then(|| alone(one.whole()));
        Ok(Event { alone, ..read(one)? })
    };
    list.iter().map(event).collect()
}

impl Object<'_> {
    /// An id that can stand in a URL and in a key as it is: 1 to 64 letters, digits and `-`.
    pub(crate) fn plain_id(&self, name: &str) -> Result<String, FieldError> {
        let id = self.need(name, self.text(name))?;
        if is_plain(&id) { Ok(id.into_owned()) } else { Err(self.unknown(name)) }
    }

    /// The account that a notification names: by its plain id, or as [`Delivery::queued`] does.
    pub(crate) fn account(&self, name: &str) -> Result<ExternalId, FieldError> {
        let id = self.need(name, self.text(name))?;
        let account = if is_plain(&id) { external_id(&id) } else { hash_in_place(&id) };
        account.ok_or_else(|| self.unknown(name))
    }
}

/// Whether an id can stand in a URL and in a key as it is: 1 to 64 letters, digits and `-`.
#[must_use]
pub fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
