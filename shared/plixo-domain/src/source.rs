//! Data sources: accounts at ERPs that only notify, and are asked for what changed.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{OrgId, SourceId};
use crate::money::Currency;
use crate::secret::Secret;
use crate::webhook::{ExternalId, ExternalRef, Provider};

/// What a data source is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Xero.
    Xero,
    /// QuickBooks Online.
    Quickbooks,
    /// Microsoft Dynamics 365 Business Central.
    BusinessCentral,
}

impl SourceKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Xero, Self::Quickbooks, Self::BusinessCentral];

    /// Whose notifications it answers.
    #[must_use]
    pub fn provider(self) -> Provider {
        match self {
            Self::Xero => Provider::Xero,
            Self::Quickbooks => Provider::Quickbooks,
            Self::BusinessCentral => Provider::BusinessCentral,
        }
    }

    /// What is asked about that provider's notifications; `None`: they say it themselves.
    #[must_use]
    pub fn of(provider: Provider) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.provider() == provider)
    }

    /// The contract's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.provider().as_str()
    }
}

/// Whether a data source can be read, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// It can.
    Connected,
    /// The provider refuses: somebody has to connect it again.
    Refused,
}

/// A data source, without its credentials: those live in the vault only, in a [`SourceEntry`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSource {
    /// Its id.
    pub id: SourceId,
    /// How people call it.
    pub name: String,
    /// What it is read from.
    pub kind: SourceKind,
    /// The provider's account: Xero's tenant, QuickBooks' realm, Business Central's company.
    pub account: ExternalId,
    /// Where at the provider that is; Business Central's have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// When somebody last connected it.
    pub connected_at: Timestamp,
    /// Under which id the vault was given its credentials; none: under its own, where they are in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<SourceId>,
    /// Since when the provider refuses, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_at: Option<Timestamp>,
}

impl DataSource {
    /// Whether it can be read.
    #[must_use]
    pub fn state(&self) -> SourceState {
        if self.refused_at.is_some() { SourceState::Refused } else { SourceState::Connected }
    }
}

/// How far what changed at a data source was read. It is no part of the source's row, whose version people name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceProgress {
    /// The source.
    pub source: SourceId,
    /// Of each kind of thing: up to when everything that changed was read.
    pub read_to: BTreeMap<String, Timestamp>,
}

/// The message that has a data source kept up: what its notifications missed is read. It says of which and nothing else: whoever
/// takes it reads everything anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upkeep {
    /// The form of the message: [`Upkeep::VERSION`].
    pub v: u8,
    /// Whose source it is.
    pub org: OrgId,
    /// The source.
    pub source: SourceId,
}

impl Upkeep {
    /// The form that this code writes and reads.
    pub const VERSION: u8 = 1;
    /// The message attribute by which it is told from a delivery, with its value.
    pub const ATTRIBUTE: (&'static str, &'static str) = ("task", "upkeep");
}

/// Which data source an organisation reads an account from: no account is read by two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceName {
    /// The provider and its account.
    pub account: ExternalRef,
    /// The source.
    pub source: SourceId,
}

/// Where a company of Business Central is: its Entra tenant, by GUID or domain, and its environment. Both can stand in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PlaceText")]
pub struct Place {
    tenant: String,
    environment: String,
}

#[derive(Deserialize)]
struct PlaceText {
    tenant: String,
    environment: String,
}

/// What is no [`Place`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// The tenant.
    #[error("a tenant is a GUID, or a domain such as contoso.com")]
    Tenant,
    /// The environment.
    #[error("an environment has 1 to 30 letters, digits or `-`")]
    Environment,
}

impl Place {
    /// That place, if there can be one.
    ///
    /// # Errors
    /// [`NoPlace`].
    pub fn new(tenant: &str, environment: &str) -> Result<Self, NoPlace> {
        let is_label = |label: &str| {
            let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            (1..=63).contains(&label.len()) && plain && !label.starts_with('-')
        };
        let lengths = tenant.split('-').map(str::len);
        let is_hex = tenant.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let is_guid = is_hex && lengths.eq([8, 4, 4, 4, 12]);
        let is_domain = tenant.len() <= 253 && tenant.contains('.') && tenant.split('.').all(is_label);
        if !is_guid && !is_domain {
            return Err(NoPlace::Tenant);
        }
        if environment.len() > 30 || !is_label(environment) {
            return Err(NoPlace::Environment);
        }
        Ok(Self { tenant: tenant.to_owned(), environment: environment.to_owned() })
    }

    /// The Entra tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The environment, `production`.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.environment
    }
}

impl TryFrom<PlaceText> for Place {
    type Error = NoPlace;

    fn try_from(text: PlaceText) -> Result<Self, NoPlace> {
        Self::new(&text.tenant, &text.environment)
    }
}

/// What the vault holds of a data source, under its id: all that is needed to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEntry {
    /// The form of this entry: [`SourceEntry::VERSION`].
    pub v: u8,
    /// Whose it is.
    pub org: OrgId,
    /// What is read.
    pub kind: SourceKind,
    /// The provider's account.
    pub account: ExternalId,
    /// Which [`DataSource::connection`] its credentials came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<SourceId>,
    /// Where that is; Business Central's have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// The currency of the account's own books, for documents that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// The OAuth 2 client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What a new access token is got for. Without one it is got for the client's own credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// The last access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
}

impl SourceEntry {
    /// The form that this code writes and reads.
    pub const VERSION: u8 = 1;

    /// Whether it has credentials.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !self.client_id.is_empty()
    }

    /// What stays once the source is disconnected: no credentials.
    #[must_use]
    pub fn disconnected(&self) -> Self {
        let (client_id, client_secret) = (String::new(), Secret::new(String::new()));
        Self { client_id, client_secret, refresh_token: None, access: None, ..self.clone() }
    }
}

/// An access token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The token.
    pub token: Secret,
    /// From then on it opens nothing.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access(until {})", self.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_written_as_their_providers() {
        for kind in SourceKind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.as_str()));
            assert_eq!(SourceKind::of(kind.provider()), Some(kind));
        }
        let others = Provider::ALL.into_iter().filter(|provider| SourceKind::of(*provider).is_none());
        assert_eq!(others.count(), Provider::ALL.len() - SourceKind::ALL.len());
    }

    #[test]
    fn a_place_can_stand_in_a_url() {
        let guid = "130bbd17-dbb9-4790-9b12-2b0e9c9d22c3";
        for (tenant, environment) in [(guid, "production"), ("contoso.onmicrosoft.com", "Sandbox-2")] {
            let place = Place::new(tenant, environment).unwrap();
            assert_eq!((place.tenant(), place.environment()), (tenant, environment));
            let text = serde_json::to_string(&place).unwrap();
            assert_eq!(serde_json::from_str::<Place>(&text).unwrap(), place);
        }
        // "common" and "organizations" are no tenant: a client's own credentials are of one.
        for tenant in
            ["", "common", "a..b", "../x.y", "a/b.c", "a.b?c", "a.b\n", ".", "-a.b", &format!("{guid}0")]
        {
            assert_eq!(Place::new(tenant, "production"), Err(NoPlace::Tenant), "{tenant}");
        }
        for environment in ["", "..", "a/b", "a b", "a?", "ä", &"x".repeat(31)] {
            assert_eq!(Place::new(guid, environment), Err(NoPlace::Environment), "{environment}");
        }
        assert!(serde_json::from_str::<Place>(r#"{"tenant":"common","environment":"a"}"#).is_err());
    }

    #[test]
    fn an_entry_shows_no_secret() {
        let json = r#"{"v":1,"org":"org_01h2xcejqtf2nbrexx3vqjhp41","kind":"xero","account":"t-1","client_id":"c","client_secret":"canary-1","refresh_token":"canary-2","access":{"token":"canary-3","expires_at":"2026-11-29T06:00:00Z"}}"#;
        let entry: SourceEntry = serde_json::from_str(json).unwrap();
        assert!(!format!("{entry:?}").contains("canary"));
        assert_eq!(serde_json::to_string(&entry).unwrap(), json);
        let rest = entry.disconnected();
        assert!(entry.is_connected() && !rest.is_connected());
        assert!(!serde_json::to_string(&rest).unwrap().contains("canary"));
    }
}
