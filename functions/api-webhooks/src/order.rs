//! What an endpoint is made of, and what is rotated: which fields each provider's takes, and in which form.

use plixo_api::input::Failed;
use plixo_cards as cards;
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{
    Digest, ExternalId, HeaderName, HmacError, HmacScheme, Provider, SignatureEncoding, WebhookEndpoint,
};
use plixo_staff::{FieldError, Refusal};
use plixo_webhooks::canonical::external_id;
use plixo_webhooks::signature::scheme;
use serde::Deserialize;
use utoipa::ToSchema;

/// What a public key of Standard Webhooks begins with; it is kept among the secrets, and known by that.
pub(crate) const PUBLIC: &str = "whpk_";

/// The longest name of an account, bytes.
const LONGEST_ACCOUNT: usize = 255;

/// The providers for which there is a receiver.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookProvider)]
pub(crate) enum NewProvider {
    /// Stripe.
    Stripe,
    /// A sender of Standard Webhooks with Plixo's canonical events.
    StandardWebhooks,
    /// Xero.
    Xero,
    /// QuickBooks Online.
    Quickbooks,
    /// ERPNext, on the Frappe framework.
    Erpnext,
    /// Microsoft Dynamics 365 Business Central.
    BusinessCentral,
    /// A sender of Plixo's canonical events that signs as `hmac` says.
    GenericHmac,
}

impl From<NewProvider> for Provider {
    fn from(provider: NewProvider) -> Self {
        match provider {
            NewProvider::Stripe => Self::Stripe,
            NewProvider::StandardWebhooks => Self::StandardWebhooks,
            NewProvider::Xero => Self::Xero,
            NewProvider::Quickbooks => Self::Quickbooks,
            NewProvider::Erpnext => Self::Erpnext,
            NewProvider::BusinessCentral => Self::BusinessCentral,
            NewProvider::GenericHmac => Self::GenericHmac,
        }
    }
}

/// How a `generic_hmac` endpoint's sender signs: `<header>: <prefix><HMAC>`, over the body, or with a timestamp header over
/// `<timestamp>.<body>`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schema(as = WebhookHmac)]
pub(crate) struct HmacShape {
    /// The header of the signature, as `x-signature`; none that HTTP or a proxy gives a meaning of its own.
    #[schema(value_type = String, min_length = 1, max_length = 64)]
    header: HeaderName,
    /// What stands before the signature in it, as `sha256=`: visible ASCII characters without `,` and `;`.
    #[serde(default)]
    #[schema(max_length = 32)]
    prefix: String,
    #[schema(value_type = EncodingShape)]
    encoding: SignatureEncoding,
    #[schema(value_type = DigestShape)]
    digest: Digest,
    /// The header of the time of sending, Unix seconds. With it, times within 300 seconds are taken; without it, a delivery could
    /// be sent again at any time.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64)]
    timestamp_header: Option<HeaderName>,
}

plixo_domain::objects!(read HmacShape);

/// How a signature is written: hexadecimal digits in lower case, or Base64 with padding.
#[derive(ToSchema)]
#[schema(as = WebhookSignatureEncoding, rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is what is used")]
enum EncodingShape {
    Hex,
    Base64,
}

/// The hash function of an HMAC.
#[derive(ToSchema)]
#[schema(as = WebhookDigest, rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is what is used")]
enum DigestShape {
    Sha256,
    Sha512,
}

/// What an endpoint is made of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhookEndpoint)]
pub(crate) struct NewEndpoint {
    provider: NewProvider,
    /// The signing secret. Xero and QuickBooks make theirs, and it has to be brought along. Of the others Plixo makes one if there is
    /// neither this nor a `public_key`. `stripe`: `whsec_…`. `standard_webhooks`: `whsec_` and the Base64 of 24 to 64 bytes.
    /// `business_central`: what subscriptions have as `clientState`, 32 to 2048 visible ASCII characters. Others: 16 to 256.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 16, max_length = 2048)]
    secret: Option<Secret>,
    /// The public key of a `standard_webhooks` sender that signs with Ed25519 (`v1a`): `whpk_` and the Base64 of its 32 bytes.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 49, max_length = 49)]
    public_key: Option<Secret>,
    /// The one account whose events it takes. Without it, events that name an account are refused. `stripe`: `acct_…`. Of `xero`
    /// the tenant's id, of `quickbooks` the realm id, of `business_central` the company's id: every event names one, so it is required.
    /// `erpnext`: the company's name.
    #[serde(default)]
    #[schema(max_length = 255)]
    account: Option<String>,
    /// How the sender signs: required of `generic_hmac`, and of no other.
    #[serde(default)]
    hmac: Option<HmacShape>,
}

/// A new secret or public key.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointRotation)]
pub(crate) struct Rotation {
    /// The new signing secret, in the form of the endpoint's provider. Without it Plixo makes one; of Xero and QuickBooks it has to be
    /// brought along.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 16, max_length = 2048)]
    secret: Option<Secret>,
    /// The new public key of a `standard_webhooks` sender, in place of the public key before it. A secret stays as it is.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 49, max_length = 49)]
    public_key: Option<Secret>,
}

/// An endpoint that can be made.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) provider: Provider,
    pub(crate) account: Option<ExternalId>,
    pub(crate) hmac: Option<HmacScheme>,
    pub(crate) public_key: Option<Secret>,
    /// The secret that was brought along.
    pub(crate) given: Option<Secret>,
}

pub(crate) type Field<T> = Result<T, FieldError>;

impl NewEndpoint {
    /// The order, or everything that is wrong with it.
    pub(crate) fn checked(self) -> Result<Order, Failed> {
        let Self { provider, secret, public_key, account, hmac } = self;
        let provider = Provider::from(provider);
        let mut errors = Vec::new();
        let account = kept(&mut errors, account_of(provider, account.as_deref()));
        let hmac = kept(&mut errors, hmac_of(provider, hmac));
        let has_public_key = public_key.is_some();
        let public_key = kept(&mut errors, public_key.map(|key| public_key_of(provider, key)).transpose());
        let given = match secret {
            Some(secret) => secret_of(provider, hmac.clone().flatten().as_ref(), secret).map(Some),
            None if has_public_key => Ok(None),
            None => may_make(provider).map(|()| None),
        };
        let given = kept(&mut errors, given);
        match (account, hmac, public_key, given) {
            (Some(account), Some(hmac), Some(public_key), Some(given)) => {
                Ok(Order { provider, account, hmac, public_key, given })
            }
            _ => Err(Failed::Refused(Refusal::Invalid(errors))),
        }
    }
}

pub(crate) fn kept<T>(errors: &mut Vec<FieldError>, field: Field<T>) -> Option<T> {
    field.map_err(|error| errors.push(error)).ok()
}

impl Order {
    /// Whether Plixo makes the secret.
    pub(crate) fn makes(&self) -> bool {
        self.given.is_none() && self.public_key.is_none()
    }
}

impl Rotation {
    /// What was brought along, as it came.
    pub(crate) fn given(&self) -> Option<&Secret> {
        self.secret.as_ref().or(self.public_key.as_ref())
    }

    /// Whether it is a public key that is rotated.
    pub(crate) fn is_of_public_key(&self) -> bool {
        self.public_key.is_some()
    }

    /// Whether it can be rotated to that at this endpoint.
    pub(crate) fn check(&self, endpoint: &WebhookEndpoint) -> Result<(), Refusal> {
        let provider = endpoint.provider;
        let checked = match (&self.secret, &self.public_key) {
            (Some(_), Some(_)) => Err(FieldError::new(
                "/public_key",
                "cannot be rotated together with a secret: rotate one after the other",
            )),
            (Some(secret), None) => secret_of(provider, endpoint.hmac.as_ref(), secret.clone()).map(drop),
            (None, Some(key)) => public_key_of(provider, key.clone()).map(drop),
            (None, None) => may_make(provider),
        };
        checked.map_err(|error| Refusal::Invalid(vec![error]))
    }
}

/// What is told where Plixo is to make the secret of an endpoint that has none.
pub(crate) fn without_secret() -> Refusal {
    let detail = "is required: the endpoint has a public key and no secret, so bring the sender's new public key along";
    Refusal::Invalid(vec![FieldError::new("/public_key", detail)])
}

/// Whether Plixo may make the secret: not where the provider makes it and says so to its customers alone.
fn may_make(provider: Provider) -> Field<()> {
    let place = match provider {
        Provider::Xero => {
            "is required, for Xero makes it: at developer.xero.com, the app's Webhooks, \"Webhooks key\""
        }
        Provider::Quickbooks => {
            "is required, for Intuit makes it: at developer.intuit.com, the app's Webhooks, \"Verifier token\""
        }
        _ => return Ok(()),
    };
    Err(FieldError::new("/secret", place))
}

/// A secret that somebody brings along, if it can be one: a short one could be guessed from one signature.
fn secret_of(provider: Provider, hmac: Option<&HmacScheme>, secret: Secret) -> Field<Secret> {
    let expected = match provider {
        Provider::Stripe => "is no signing secret of Stripe's: whsec_ and 16 to 250 letters, digits or +/=-_",
        Provider::StandardWebhooks if secret.reveal().starts_with(PUBLIC) => {
            "is a public key: send it as public_key"
        }
        Provider::StandardWebhooks => {
            "is no secret of Standard Webhooks: whsec_ and the Base64 of 24 to 64 bytes"
        }
        Provider::BusinessCentral => "has to be 32 to 2048 visible ASCII characters, which nobody can guess",
        _ => "has to be 16 to 256 visible ASCII characters, which nobody can guess",
    };
    let is_public = provider == Provider::StandardWebhooks && secret.reveal().starts_with(PUBLIC);
    // Of generic_hmac without its settings nothing is made anyway.
    let fits = scheme(provider, hmac).is_none_or(|scheme| scheme.takes_secret(secret.reveal()));
    if fits && !is_public { Ok(secret) } else { Err(FieldError::new("/secret", expected)) }
}

fn public_key_of(provider: Provider, key: Secret) -> Field<Secret> {
    let wrong = |detail: &str| Err(FieldError::new("/public_key", detail));
    if provider != Provider::StandardWebhooks {
        return wrong("is for standard_webhooks only");
    }
    let fits = scheme(provider, None).is_some_and(|scheme| scheme.takes_secret(key.reveal()));
    if fits && key.reveal().starts_with(PUBLIC) {
        Ok(key)
    } else {
        wrong("is no Ed25519 public key: whpk_ and the Base64 of its 32 bytes")
    }
}

fn hmac_of(provider: Provider, hmac: Option<HmacShape>) -> Field<Option<HmacScheme>> {
    match (provider, hmac) {
        (Provider::GenericHmac, Some(HmacShape { header, prefix, encoding, digest, timestamp_header })) => {
            let scheme = HmacScheme::new(header, prefix, encoding, digest, timestamp_header);
            scheme.map(Some).map_err(|error| {
                let field = match error {
                    HmacError::Prefix => "/hmac/prefix",
                    HmacError::SameHeader => "/hmac/timestamp_header",
                    HmacError::Name | HmacError::Reserved => "/hmac/header",
                };
                FieldError::new(field, error.to_string())
            })
        }
        (Provider::GenericHmac, None) => {
            Err(FieldError::new("/hmac", "is required of generic_hmac: how its sender signs"))
        }
        (_, None) => Ok(None),
        (_, Some(_)) => Err(FieldError::new("/hmac", "is for generic_hmac only")),
    }
}

/// The account as events' accounts are kept, so that the two can be compared.
fn account_of(provider: Provider, text: Option<&str>) -> Field<Option<ExternalId>> {
    let wrong = |detail: &str| Err(FieldError::new("/account", detail));
    let (fits, expected): (fn(&str) -> bool, _) = match provider {
        Provider::Stripe => (is_stripes, "is no account of Stripe's: acct_…"),
        Provider::Xero => (
            is_uuid,
            "has to be the id of the Xero tenant whose events it takes, a UUID: every event names one",
        ),
        Provider::Quickbooks => (
            is_realm,
            "has to be the realm id of the QuickBooks company whose events it takes, digits: every event names one",
        ),
        Provider::BusinessCentral => (
            is_uuid,
            "has to be the id of the Business Central company whose events it takes, a UUID: every event names one",
        ),
        _ => (
            is_name,
            "has to be 1 to 255 bytes of text without control characters, and without blanks at its ends",
        ),
    };
    let is_required = matches!(provider, Provider::Xero | Provider::Quickbooks | Provider::BusinessCentral);
    match text {
        None if is_required => wrong(expected),
        None => Ok(None),
        Some(text) if !fits(text) => wrong(expected),
        Some(text) if matches!(provider, Provider::Xero | Provider::BusinessCentral) => {
            Ok(external_id(&text.to_ascii_lowercase()))
        }
        Some(text) => Ok(external_id(text)),
    }
}

fn is_stripes(text: &str) -> bool {
    let rest = text.strip_prefix("acct_").unwrap_or_default();
    !rest.is_empty() && text.parse::<ExternalId>().is_ok() && !cards::contains(rest)
}

/// In the form that providers write: 8-4-4-4-12 hexadecimal digits.
pub(crate) fn is_uuid(text: &str) -> bool {
    let parts =
        text.split('-').map(|part| if part.bytes().all(|b| b.is_ascii_hexdigit()) { part.len() } else { 0 });
    parts.eq([8, 4, 4, 4, 12])
}

pub(crate) fn is_realm(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST_ACCOUNT).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control)
}
