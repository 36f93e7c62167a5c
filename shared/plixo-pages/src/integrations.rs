//! Webhook endpoints and events, data sources, and the Stripe account.

use askama::Template;
use jiff::Timestamp;
use plixo_domain::id::{EndpointId, EventId, SourceId};
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{Digest, EndpointState, EventStatus, HmacScheme, SignatureEncoding};

use crate::form::{Choice, Errors, Paging};
use crate::frame::{Frame, Membership};
use crate::page::pages;

/// `GET /orgs/{org}/integrations?cursor=&provider=&source=`; posts `do`: `add` with `provider`, and what is asked of that provider among `secret`,
/// `public_key`, `account`, `header`, `prefix`, `encoding`, `digest`, `timestamp_header`; `rotate` with `endpoint`, `version`, `secret` and
/// `public_key`; `disable` and `enable` with `endpoint` and `version`; `connect` with `restricted_key`; `disconnect`; `connect_source` with `kind`, and what
/// is asked of that kind among `name`, `account`, `tenant`, `environment`, `client_id`, `client_secret`, `refresh_token`;
/// `reconnect_source` with `source` and the last three of these; `disconnect_source` with `source` and `version`.
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
    /// The new endpoint, as typed: of the provider that was chosen, if one was.
    pub form: EndpointForm,
    /// The Stripe account on which payers pay by card.
    pub account: Option<ConnectedAccount>,
    /// The data sources.
    pub sources: Vec<SourceRow>,
    /// The new data source, as typed: of the kind that was chosen, if one was.
    pub source_form: SourceForm,
    /// What is wrong. A rotation's fields are `secret-{id}` and `public_key-{id}`; a new data source's `source-account` and so on, one
    /// that is connected again `client_id-{id}` and so on.
    pub errors: Errors,
}

/// A webhook endpoint in the list.
#[derive(Clone)]
pub struct EndpointRow {
    /// Its id.
    pub id: EndpointId,
    /// Its version, for `If-Match`.
    pub version: String,
    /// Who sends to it: the contract's word.
    pub provider: String,
    /// Where they send to.
    pub url: String,
    /// The one account whose events it takes.
    pub account: Option<String>,
    /// How a sender of its own kind signs.
    pub hmac: Option<HmacScheme>,
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

/// A data source in the list.
#[derive(Clone)]
pub struct SourceRow {
    /// Its id.
    pub id: SourceId,
    /// How people call it.
    pub name: String,
    /// What it is read from: the contract's word.
    pub kind: String,
    /// The account there.
    pub account: String,
    /// Business Central's tenant and environment.
    pub place: Option<(String, String)>,
    /// When somebody last connected it.
    pub connected_at: Timestamp,
    /// Since when the provider refuses, if it does.
    pub refused_at: Option<Timestamp>,
}

/// A new data source, as typed. The secret and the refresh token are not among it: they are never sent back.
#[derive(Clone, Default)]
pub struct SourceForm {
    /// What it is read from: the contract's word.
    pub kind: String,
    /// How people call it.
    pub name: String,
    /// The account there.
    pub account: String,
    /// Business Central's tenant.
    pub tenant: String,
    /// Business Central's environment.
    pub environment: String,
    /// The OAuth 2 client.
    pub client_id: String,
}

/// An endpoint with a new secret.
#[derive(Clone)]
pub struct FreshSecret {
    /// Who sends to it: the contract's word.
    pub provider: String,
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
    /// Who sends: the contract's word.
    pub provider: String,
    /// The one account whose events it takes.
    pub account: String,
    /// The public key of a sender that signs with a private one.
    pub public_key: String,
    /// The header of the signature.
    pub header: String,
    /// What stands before the signature in it.
    pub prefix: String,
    /// `hex` or `base64`.
    pub encoding: String,
    /// `sha256` or `sha512`.
    pub digest: String,
    /// The header of the time.
    pub timestamp_header: String,
}

/// A field of which forms differ from provider to provider.
struct Asks {
    label: &'static str,
    hint: &'static str,
    required: bool,
}

const fn asks(label: &'static str, required: bool, hint: &'static str) -> Asks {
    Asks { label, hint, required }
}

impl Asks {
    fn hint(&self) -> &'static str {
        self.hint
    }
}

/// What is asked and told of a provider's endpoints.
struct Kind {
    word: &'static str,
    name: &'static str,
    /// Told before an endpoint is made.
    before: &'static str,
    /// Told when it is there: what to do with its address and secret.
    after: &'static str,
    account: Asks,
    secret: Asks,
    has_public_key: bool,
    has_hmac: bool,
}

const ANY_ACCOUNT: Asks = asks(
    "Account",
    false,
    "If its events say whose they are, in account. Events of other accounts are then refused; without one here, all that name one are.",
);

const ANY_SECRET: Asks = asks(
    "Secret",
    false,
    "If the sender makes it, paste it here: 16 characters or more. If it is empty, Plixo makes one and shows it once.",
);

const KINDS: [Kind; 7] = [
    Kind {
        word: "stripe",
        name: "Stripe",
        before: "Stripe makes the signing secret once it knows the address. So add the endpoint without one, enter its address at Stripe, \
                 and paste the secret that Stripe then shows under “Rotate the secret”.",
        after: "In Stripe’s dashboard, under Developers, Webhooks, add a destination with this address. Then paste the signing secret that \
                Stripe shows under “Rotate the secret” below.",
        account: asks(
            "Account at Stripe",
            false,
            "Such as acct_1Nv0FGQ9RKHgCVdK. Events of other accounts are then refused; without one here, all that name one are.",
        ),
        secret: asks(
            "Signing secret",
            false,
            "If Stripe has made it already, paste it here: whsec_…. If it is empty, Plixo makes one and shows it once.",
        ),
        has_public_key: false,
        has_hmac: false,
    },
    Kind {
        word: "xero",
        name: "Xero",
        before: "Xero makes the key. At developer.xero.com, in your app under Webhooks, enter any https address for now and save: Xero then \
                 shows the webhooks key.",
        after: "At developer.xero.com, in your app under Webhooks, enter this as the delivery URL and save. Xero then tests it: its intent to \
                receive has to become OK.",
        account: asks(
            "Tenant id",
            true,
            "Of the Xero organisation, such as c2cc9b6e-9458-4c7d-93cc-f02b81b0594f. Events of other tenants are refused.",
        ),
        secret: asks("Webhooks key", true, "As Xero shows it."),
        has_public_key: false,
        has_hmac: false,
    },
    Kind {
        word: "quickbooks",
        name: "QuickBooks",
        before: "Intuit makes the verifier token. At developer.intuit.com, in your app under Webhooks, enter any https address for now and \
                 save: the verifier token is then shown.",
        after: "At developer.intuit.com, in your app under Webhooks, enter this as the endpoint URL, choose customers, invoices, payments and \
                credit memos, and save.",
        account: asks(
            "Realm id",
            true,
            "The company’s id in QuickBooks: digits. Events of other companies are refused.",
        ),
        secret: asks("Verifier token", true, "As Intuit shows it."),
        has_public_key: false,
        has_hmac: false,
    },
    Kind {
        word: "business_central",
        name: "Business Central",
        before: "Business Central signs nothing. Each of its notifications carries a secret that its subscription was made with.",
        after: "Subscriptions to customers, salesInvoices and salesCreditMemos of the company have this address as notificationUrl, and the \
                secret as clientState. They end after 3 days unless they are renewed.",
        account: asks(
            "Company id",
            true,
            "Such as b18aed47-c385-49d2-b954-dbdf8ad71780: the id that Business Central’s API has of the company. Events of other companies \
             are refused.",
        ),
        secret: asks(
            "Secret",
            false,
            "If there are subscriptions already, the clientState that they have: 32 characters or more. If it is empty, Plixo makes one and \
             shows it once.",
        ),
        has_public_key: false,
        has_hmac: false,
    },
    Kind {
        word: "erpnext",
        name: "ERPNext",
        before: "ERPNext sends whole documents. One endpoint takes those of one company.",
        after: "In ERPNext, add a webhook for each of Customer, Sales Invoice and Payment Entry: this address as the request URL, JSON as the \
                request structure, security enabled, the secret as the webhook secret. Let it send all fields.",
        account: asks(
            "Company",
            false,
            "Its name in ERPNext, exactly so. Documents of other companies are refused; without one here, all that name one are, as invoices \
             and payments do.",
        ),
        secret: asks(
            "Webhook secret",
            false,
            "If ERPNext has one already, paste it here: 16 characters or more. If it is empty, Plixo makes one and shows it once.",
        ),
        has_public_key: false,
        has_hmac: false,
    },
    Kind {
        word: "standard_webhooks",
        name: "Standard Webhooks",
        before: "For a sender that signs as standardwebhooks.com says, and whose events have Plixo’s own form. It shares a secret with Plixo, \
                 or signs with a private key whose public key Plixo knows.",
        after: "Enter this address at the sender, and the secret if there is one.",
        account: ANY_ACCOUNT,
        secret: asks(
            "Secret",
            false,
            "If the sender makes it, paste it here: whsec_…. If it is empty, and there is no public key, Plixo makes one and shows it once.",
        ),
        has_public_key: true,
        has_hmac: false,
    },
    Kind {
        word: "generic_hmac",
        name: "Another sender",
        before: "For a sender that signs with an HMAC in a header of its own, such as a script in NetSuite, and whose events have Plixo’s own \
                 form.",
        after: "Enter this address and the secret at the sender.",
        account: ANY_ACCOUNT,
        secret: ANY_SECRET,
        has_public_key: false,
        has_hmac: true,
    },
];

/// What is asked and told of data sources of a kind.
struct Source {
    word: &'static str,
    name: &'static str,
    before: &'static str,
    account: Asks,
    has_place: bool,
    client_id: Asks,
    client_secret: Asks,
    /// Nothing, where the client's own credentials do.
    refresh_token: Option<Asks>,
}

const SOURCES: [Source; 3] = [
    Source {
        word: "xero",
        name: "Xero",
        before: "At developer.xero.com, under My Apps, make an app that may read contacts, invoices, payments and credit notes: a custom \
                 connection for one organisation, or a web app that people connect.",
        account: asks(
            "Tenant id",
            true,
            "Of the Xero organisation, such as c2cc9b6e-9458-4c7d-93cc-f02b81b0594f: the tenantId that api.xero.com/connections lists.",
        ),
        has_place: false,
        client_id: asks("Client id", true, "In the app, under Configuration."),
        client_secret: asks(
            "Client secret",
            true,
            "In the app, under Configuration, “Generate a secret”. Xero shows it once.",
        ),
        refresh_token: Some(asks(
            "Refresh token",
            false,
            "Leave it empty for a custom connection. Of a web app, what Xero gives who connects the organisation with offline_access. \
             Plixo uses it up, so nothing else may use it.",
        )),
    },
    Source {
        word: "quickbooks",
        name: "QuickBooks",
        before: "At developer.intuit.com, make an app with the scope com.intuit.quickbooks.accounting, and connect your company to it.",
        account: asks(
            "Realm id",
            true,
            "The company’s id: in QuickBooks under Account and settings, Billing. Only its digits.",
        ),
        has_place: false,
        client_id: asks("Client id", true, "In the app, under Keys and credentials, Production."),
        client_secret: asks("Client secret", true, "Beside the client id."),
        refresh_token: Some(asks(
            "Refresh token",
            true,
            "What Intuit gives who connects the company, for example in its OAuth 2.0 Playground. Plixo uses it up, so nothing else may use \
             it.",
        )),
    },
    Source {
        word: "business_central",
        name: "Business Central",
        before: "At entra.microsoft.com, register an app, give it the application permission API.ReadWrite.All of Dynamics 365 Business \
                 Central, and grant it. In Business Central, on the page Microsoft Entra Applications, add its client id with permission to \
                 read customers, sales invoices and sales credit memos, and enable it.",
        account: asks(
            "Company id",
            true,
            "Such as b18aed47-c385-49d2-b954-dbdf8ad71780: the id that Business Central’s API has of the company.",
        ),
        has_place: true,
        client_id: asks("Client id", true, "In Entra, on the app’s overview: Application (client) ID."),
        client_secret: asks(
            "Client secret",
            true,
            "In Entra, in the app under Certificates and secrets: the value, not the id. Entra shows it once.",
        ),
        refresh_token: None,
    },
];

fn source(word: &str) -> Option<&'static Source> {
    SOURCES.iter().find(|source| source.is(word))
}

impl Source {
    fn is(&self, word: &str) -> bool {
        self.word == word
    }
}

/// A provider as people know it; the contract's word for one that is not known.
#[must_use]
pub fn provider_name(word: &str) -> &str {
    kind(word).map_or(word, |kind| kind.name)
}

impl Kind {
    fn is(&self, word: &str) -> bool {
        self.word == word
    }
}

fn kind(word: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.is(word))
}

/// What a sender of its own kind sends, as people read it.
fn signature(hmac: &HmacScheme) -> String {
    let digest = match hmac.digest() {
        Digest::Sha256 => "HMAC-SHA-256",
        Digest::Sha512 => "HMAC-SHA-512",
    };
    let encoding = match hmac.encoding() {
        SignatureEncoding::Hex => "hexadecimal",
        SignatureEncoding::Base64 => "Base64",
    };
    let over = hmac.timestamp_header().map(|name| format!("{name}, a point and ")).unwrap_or_default();
    format!("{}: {}<{digest} of {over}the body, in {encoding}>", hmac.header(), hmac.prefix())
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

    fn chosen(&self) -> Option<&'static Kind> {
        kind(&self.form.provider)
    }

    fn chosen_source(&self) -> Option<&'static Source> {
        source(&self.source_form.kind)
    }

    fn encodings(&self) -> Vec<Choice> {
        vec![Choice::new("hex", "Hexadecimal digits"), Choice::new("base64", "Base64")]
    }

    fn digests(&self) -> Vec<Choice> {
        vec![Choice::new("sha256", "SHA-256"), Choice::new("sha512", "SHA-512")]
    }

    fn key_hint(&self) -> &'static str {
        "Of your own Stripe account: rk_live_… or rk_test_…, with the permission to write Checkout Sessions and no other. \
         Secret keys, sk_…, may do far more, and are not taken. It is not shown again."
    }
}

impl EndpointRow {
    fn kind(&self) -> Option<&'static Kind> {
        kind(&self.provider)
    }

    fn must_bring_secret(&self) -> bool {
        self.kind().is_some_and(|kind| kind.secret.required)
    }

    fn secret_label(&self) -> String {
        let label = self.kind().map_or("secret", |kind| kind.secret.label);
        let mut letters = label.chars();
        let first = letters.next().map(|letter| letter.to_ascii_lowercase());
        format!("New {}{}", first.into_iter().collect::<String>(), letters.as_str())
    }

    fn secret_hint(&self) -> &'static str {
        if self.must_bring_secret() {
            "As the provider shows it. The old one goes on verifying for 24 hours."
        } else {
            "If the provider makes it, as Stripe does, paste it here. If it is empty, Plixo makes one. The old one goes on verifying for 24 hours."
        }
    }

    fn has_public_key(&self) -> bool {
        self.kind().is_some_and(|kind| kind.has_public_key)
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

#[cfg(test)]
mod tests {
    use plixo_domain::webhook::Provider;

    use super::*;

    #[test]
    fn every_provider_that_can_have_an_endpoint_has_its_form_and_its_name() {
        let words: Vec<_> =
            Provider::ALL.into_iter().filter(|it| *it != Provider::Member).map(Provider::as_str).collect();
        assert!(words.iter().all(|word| kind(word).is_some()) && words.len() == KINDS.len());
        assert_eq!((provider_name("quickbooks"), provider_name("other")), ("QuickBooks", "other"));
    }

    #[test]
    fn a_signature_is_told_in_words() {
        let of = |prefix: &str, encoding, digest, time: Option<&str>| {
            let time = time.map(|name| name.parse().unwrap());
            signature(
                &HmacScheme::new("x-s".parse().unwrap(), prefix.to_owned(), encoding, digest, time).unwrap(),
            )
        };
        assert_eq!(
            of("sha256=", SignatureEncoding::Hex, Digest::Sha256, None),
            "x-s: sha256=<HMAC-SHA-256 of the body, in hexadecimal>"
        );
        assert_eq!(
            of("", SignatureEncoding::Base64, Digest::Sha512, Some("x-t")),
            "x-s: <HMAC-SHA-512 of x-t, a point and the body, in Base64>"
        );
    }
}
