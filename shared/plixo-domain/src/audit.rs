//! Audit events: who did what to what, and how it ended.

use std::fmt::Display;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::id::{AuditId, CustomerId};
use crate::ledger::Private;

/// One entry of an organisation's audit log. It holds ids and the names of fields, never their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its id, a UUIDv7 of `at`.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// From where. Kept sealed, unless it is a provider's.
    pub origin: Private<Origin>,
    /// Whose person acted, if it was a payer: with this customer's key goes `origin`.
    pub customer: Option<CustomerId>,
    /// What was done: a noun and a verb, `payment.record`.
    pub action: String,
    /// To what.
    pub object: Object,
    /// How it ended.
    pub outcome: Outcome,
    /// Of a change: the names of the changed fields.
    pub fields: Vec<String>,
    /// The request or message that asked for it.
    pub request_id: String,
    /// Of what was deleted together: how many.
    pub count: Option<u32>,
}

impl AuditEvent {
    /// Whether it tells of a change, and not of a read or of a try.
    #[must_use]
    pub fn is_change(&self) -> bool {
        !self.fields.is_empty()
    }

    /// From which address, if that is known and opened.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        if let Private::Plain(origin) = &self.origin { origin.ip.as_deref() } else { None }
    }

    /// With which user agent, if that is known and opened.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        if let Private::Plain(origin) = &self.origin { origin.user_agent.as_deref() } else { None }
    }
}

/// From where somebody acted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The address, as the gateway saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The user agent, as the caller gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

/// How far an organisation's log is sealed: what the next checkpoint is made from. It need not be protected: a checkpoint's
/// signature is over the root of what is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSeal {
    /// Until when, itself not included.
    pub to: Timestamp,
    /// How many events are sealed.
    pub size: u64,
    /// The last checkpoint, a signed note.
    pub note: String,
    /// The tree of all events, as far as it is needed to go on: a range of `plixo-seal`, in bytes.
    pub range: Vec<u8>,
    /// The youngest spans that were not empty. What was written too late for one of them is told from what is in its list.
    pub recent: Vec<SealedSpan>,
    /// When the last checkpoint was made.
    pub sealed_at: Timestamp,
}

/// Since which day an organisation's audit log is kept: what is older was due, and is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditKept {
    /// The first day, in UTC, of which every event is kept.
    pub from: Date,
    /// Whether all before is deleted. If not, the day before may be so in part.
    pub is_gone: bool,
}

/// A span of time that is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSpan {
    /// Until when, itself not included.
    pub to: Timestamp,
    /// The name of the object with its list.
    pub list: String,
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of actor.
    pub kind: ActorKind,
    /// Which one: a member's, function's or endpoint's id.
    pub id: String,
    /// A member's role at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// The kinds of actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person with a role in the organisation.
    Member,
    /// A person who runs the platform.
    Operator,
    /// Somebody who opened a portal link.
    Payer,
    /// A provider, through a webhook endpoint.
    Provider,
    /// One of our functions, on its own account.
    Function,
}

/// What was acted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// A word of the contract: `invoice`, `payment`, `webhook_event`.
    pub kind: String,
    /// Its id.
    pub id: String,
}

impl Object {
    /// The object of that kind and id.
    #[must_use]
    pub fn new(kind: &str, id: impl Display) -> Self {
        Self { kind: kind.to_owned(), id: id.to_string() }
    }
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Allowed,
    /// It was refused.
    Denied,
    /// It could not be done.
    Failed,
}
