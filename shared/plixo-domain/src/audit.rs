//! Audit events: who did what to what, and how it ended.

use std::fmt::Display;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::AuditId;

/// One entry of an organisation's audit log. It holds ids and the names of fields, never their values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Its id, a UUIDv7 of `at`.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// From which address, as the gateway saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// With which user agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// What was done: a noun and a verb, `payment.record`.
    pub action: String,
    /// To what.
    pub object: Object,
    /// How it ended.
    pub outcome: Outcome,
    /// Of a change: the names of the changed fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// The request or message that asked for it.
    pub request_id: String,
}

impl AuditEvent {
    /// Whether it tells of a change, and not of a read or of a try.
    #[must_use]
    pub fn is_change(&self) -> bool {
        !self.fields.is_empty()
    }
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
