//! Webhook endpoints and events, and what passes between receiver and worker.

mod hmac;

pub use hmac::{Digest, HeaderName, HmacError, HmacScheme, SignatureEncoding};

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{EndpointId, EventId, OrgId};
use crate::secret::Secret;

/// An id that a provider gave: 1 to 255 of `A–Z a–z 0–9 _ - . :`. It can stand in a key, for it holds no separator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExternalId(String);

/// Text that is no [`ExternalId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id of a provider has 1 to 255 letters, digits, `_`, `-`, `.` or `:`")]
pub struct ExternalIdError;

impl ExternalId {
    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExternalId {
    type Err = ExternalIdError;

    fn from_str(text: &str) -> Result<Self, ExternalIdError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
        let valid = (1..=255).contains(&text.len()) && text.bytes().all(fits);
        valid.then(|| Self(text.to_owned())).ok_or(ExternalIdError)
    }
}

impl TryFrom<String> for ExternalId {
    type Error = ExternalIdError;

    fn try_from(text: String) -> Result<Self, ExternalIdError> {
        text.parse()
    }
}

impl From<ExternalId> for String {
    fn from(id: ExternalId) -> Self {
        id.0
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Stripe.
    Stripe,
    /// A sender of [Standard Webhooks](https://www.standardwebhooks.com) with Plixo's canonical events.
    StandardWebhooks,
    /// Xero.
    Xero,
    /// QuickBooks Online.
    Quickbooks,
    /// ERPNext, on the Frappe framework.
    Erpnext,
    /// Microsoft Dynamics 365 Business Central.
    BusinessCentral,
    /// A sender of Plixo's canonical events that signs as its endpoint's [`HmacScheme`] says.
    GenericHmac,
    /// Nobody: a member of the organisation recorded it. It names payments only; no endpoint has it.
    Member,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Stripe,
        Self::StandardWebhooks,
        Self::Xero,
        Self::Quickbooks,
        Self::Erpnext,
        Self::BusinessCentral,
        Self::GenericHmac,
        Self::Member,
    ];

    /// Of messages from before there were others.
    const fn stripe() -> Self {
        Self::Stripe
    }

    /// The contract's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::StandardWebhooks => "standard_webhooks",
            Self::Xero => "xero",
            Self::Quickbooks => "quickbooks",
            Self::Erpnext => "erpnext",
            Self::BusinessCentral => "business_central",
            Self::GenericHmac => "generic_hmac",
            Self::Member => "member",
        }
    }
}

/// A thing as a provider names it: `stripe` and `pi_…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExternalRef {
    /// Whose name it is.
    pub provider: Provider,
    /// The name.
    pub id: ExternalId,
}

/// Whether an endpoint takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// It does.
    Enabled,
    /// It answers as one that does not exist.
    Disabled,
}

/// A webhook endpoint, without its secret: that lives in the vault only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    /// Its id, a part of its URL.
    pub id: EndpointId,
    /// Who sends to it.
    pub provider: Provider,
    /// Whether it takes events.
    pub state: EndpointState,
    /// The one provider account whose events it takes, where events name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<ExternalId>,
    /// How a `generic_hmac` endpoint's sender signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<HmacScheme>,
}

/// What the vault holds of an endpoint: all that its receiver needs, so that the receiver needs no table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultEntry {
    /// The form of this entry: [`VaultEntry::VERSION`].
    pub v: u8,
    /// Whose endpoint it is.
    pub org: OrgId,
    /// Who sends to it.
    pub provider: Provider,
    /// Whether it takes events.
    pub state: EndpointState,
    /// The one provider account whose events it takes. Without it, events that name an account are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<ExternalId>,
    /// How a `generic_hmac` endpoint's sender signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<HmacScheme>,
    /// The live secret, for 24 h after a rotation the one before, and those that are pending.
    pub secrets: Vec<EndpointSecret>,
}

impl VaultEntry {
    /// The form that this code writes and reads.
    pub const VERSION: u8 = 1;
}

/// One signing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSecret {
    /// The secret as the provider shows it, `whsec_…`.
    pub secret: Secret,
    /// From then on it verifies nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was made or brought along; absent of an endpoint's first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Timestamp>,
    /// Whether its rotation is not written down yet: until then it verifies nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// The ledger learned from it.
    Applied,
    /// Plixo does not use its type.
    Ignored,
    /// The ledger knew something newer already.
    Superseded,
    /// Its id came before with other bytes: it changed nothing.
    Conflict,
    /// It could not be understood: its message is in the dead-letter queue.
    Failed,
}

/// How an event is found: providers' event ids are remembered per endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventKey {
    /// Where it came in.
    pub endpoint: EndpointId,
    /// The provider's id of it.
    pub provider_event_id: ExternalId,
    /// Of a conflict: the fingerprint of what came. The event itself has none here.
    pub conflict: Option<Fingerprint>,
}

/// SHA-256 of an event's bytes, without what a provider changes from delivery to delivery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(pub [u8; 32]);

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map(|()| Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A webhook event as it is remembered. Its payload is kept beside it, sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEvent {
    /// Our id of it.
    pub id: EventId,
    /// Its name.
    pub key: EventKey,
    /// Who sent it.
    pub provider: Provider,
    /// The provider's type, `payment_intent.succeeded`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What became of it.
    pub status: EventStatus,
    /// When the receiver had it.
    pub received_at: Timestamp,
    /// When it changed the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<Timestamp>,
    /// What it said.
    pub fingerprint: Fingerprint,
}

/// What goes with an event's text through the queue, as the message attribute [`Envelope::ATTRIBUTE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The form of the message: [`Envelope::VERSION`].
    pub v: u8,
    /// Whose event it is.
    pub org: OrgId,
    /// Where it came in.
    pub endpoint: EndpointId,
    /// Who sent it.
    #[serde(default = "Provider::stripe")]
    pub provider: Provider,
    /// The id that the sender gave it outside its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// When.
    pub received_at: Timestamp,
    /// The receiver's request.
    pub request_id: String,
    /// The sender's address, as the gateway saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The sender's user agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// How the text was made fit for the queue.
    pub encoding: Encoding,
}

impl Envelope {
    /// The form that this code writes and reads.
    pub const VERSION: u8 = 1;
    /// The message attribute that holds it.
    pub const ATTRIBUTE: &'static str = "plixo";
}

/// How an event's text stands in the message body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As it is.
    Identity,
    /// Base64 of an LZ4 block with its size before it: a text that SQS could not carry, by its length or its characters.
    Lz4,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_written_as_the_contract_names_them() {
        let names = [
            "stripe",
            "standard_webhooks",
            "xero",
            "quickbooks",
            "erpnext",
            "business_central",
            "generic_hmac",
            "member",
        ];
        assert_eq!(Provider::ALL.map(Provider::as_str), names);
        for provider in Provider::ALL {
            let text = serde_json::to_string(&provider).unwrap();
            assert_eq!(text, format!("\"{}\"", provider.as_str()));
            assert_eq!(serde_json::from_str::<Provider>(&text).unwrap(), provider);
        }
    }

    #[test]
    fn external_ids_hold_no_separator() {
        for right in ["evt_1Pl", "in_1.2:3-4", "a"] {
            assert!(right.parse::<ExternalId>().is_ok(), "{right}");
        }
        for wrong in ["", "a#b", "a b", "ä", "a\n", &"x".repeat(256)] {
            assert!(wrong.parse::<ExternalId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_vault_entry_shows_no_secret() {
        let json = r#"{"v":1,"org":"org_01h2xcejqtf2nbrexx3vqjhp41","provider":"stripe","state":"enabled","secrets":[{"secret":"whsec_canary"}]}"#;
        let entry: VaultEntry = serde_json::from_str(json).unwrap();
        assert!(!format!("{entry:?}").contains("canary"));
        assert_eq!(serde_json::to_string(&entry).unwrap(), json);
    }
}
