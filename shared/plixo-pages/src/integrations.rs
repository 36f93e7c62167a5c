//! Webhook endpoints and events.

use askama::Template;
use jiff::Timestamp;
use plixo_domain::id::{EndpointId, EventId};
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{EndpointState, EventStatus};

use crate::form::{Choice, Errors, Paging};
use crate::frame::{Frame, Membership};
use crate::page::pages;

/// `GET /orgs/{org}/integrations?cursor=`; posts `do`: `add` with `provider`, `secret`, `account`; `rotate` with `endpoint`, `version` and
/// `secret`; `disable` and `enable` with `endpoint` and `version`; `connect` with `restricted_key`; `disconnect`.
#[derive(Clone, Template)]
#[template(path = "integrations.html")]
pub struct Integrations {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The endpoints.
    pub endpoints: Vec<EndpointRow>,
    /// Where this page stands.
    pub paging: Paging,
    /// The cursor that it was asked by, or nothing: what its forms do shows on the same page.
    pub cursor: String,
    /// The endpoint that was just made or rotated. It is shown on that answer and never again.
    pub fresh: Option<FreshSecret>,
    /// The providers to choose from.
    pub providers: Vec<Choice>,
    /// The new endpoint, as typed.
    pub form: EndpointForm,
    /// The Stripe account on which payers pay by card.
    pub account: Option<ConnectedAccount>,
    /// What is wrong. A rotation's field is `secret-{id}`.
    pub errors: Errors,
}

/// A webhook endpoint in the list.
#[derive(Clone)]
pub struct EndpointRow {
    /// Its id.
    pub id: EndpointId,
    /// Its version, for `If-Match`.
    pub version: String,
    /// Who sends to it, as people know them.
    pub provider: String,
    /// Where they send to.
    pub url: String,
    /// The one account whose events it takes.
    pub account: Option<String>,
    /// Whether it takes events.
    pub state: EndpointState,
}

/// A Stripe account that is connected.
#[derive(Clone)]
pub struct ConnectedAccount {
    /// By what people know its key: how it begins, and its last four characters.
    pub key_hint: String,
    /// Since when.
    pub connected_at: Timestamp,
    /// Whether Stripe refuses the key.
    pub is_refused: bool,
}

/// An endpoint with a new secret.
#[derive(Clone)]
pub struct FreshSecret {
    /// Where the provider sends to.
    pub url: String,
    /// The secret, if Plixo made it.
    pub secret: Option<Secret>,
    /// Whether the endpoint was there before: then its old secret goes on for 24 h.
    pub is_rotated: bool,
}

/// A new endpoint, as typed. The secret is not among it: it is never sent back.
#[derive(Clone, Default)]
pub struct EndpointForm {
    /// Who sends.
    pub provider: String,
    /// The one account whose events it takes.
    pub account: String,
}

/// `GET /orgs/{org}/webhook-events?cursor=`.
#[derive(Clone, Template)]
#[template(path = "events.html")]
pub struct EventList {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The events.
    pub rows: Vec<EventRow>,
    /// Where this page stands.
    pub paging: Paging,
}

impl Integrations {
    fn list(&self) -> String {
        format!("/orgs/{}/integrations", self.org.id)
    }

    fn path(&self) -> String {
        crate::form::at(self.list(), &self.cursor)
    }

    fn key_hint(&self) -> &'static str {
        "Of your own Stripe account: rk_live_… or rk_test_…, with the permission to write Checkout Sessions and no other. \
         Secret keys, sk_…, may do far more, and are not taken. It is not shown again."
    }
}

impl EventList {
    fn path(&self) -> String {
        format!("/orgs/{}/webhook-events", self.org.id)
    }
}

/// A webhook event in a list.
#[derive(Clone)]
pub struct EventRow {
    /// Its id.
    pub id: EventId,
    /// Its type, as the provider names it.
    pub kind: String,
    /// Who sent it, as people know them.
    pub provider: String,
    /// What became of it.
    pub status: EventStatus,
    /// When it was received.
    pub received_at: Timestamp,
}

/// `GET /orgs/{org}/webhook-events/{id}`; posts `do=replay`.
#[derive(Clone, Template)]
#[template(path = "event.html")]
pub struct EventPage {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// Its id.
    pub id: EventId,
    /// Where it came in.
    pub endpoint_id: EndpointId,
    /// Who sent it, as people know them.
    pub provider: String,
    /// The provider's id of it.
    pub provider_event_id: Option<String>,
    /// Its type, as the provider names it.
    pub kind: String,
    /// What became of it.
    pub status: EventStatus,
    /// When it was received.
    pub received_at: Timestamp,
    /// When it changed the ledger.
    pub applied_at: Option<Timestamp>,
    /// What it said, as JSON; nothing where that is not kept any more.
    pub payload: Option<String>,
    /// Whether it may be replayed.
    pub can_replay: bool,
    /// Why the last action was refused.
    pub errors: Errors,
}

impl EventPage {
    fn list(&self) -> String {
        format!("/orgs/{}/webhook-events", self.org.id)
    }
}

pages!(Integrations in Integrations, EventList in Events, EventPage in Events);
