//! `/v1/orgs/{org}/webhook-endpoints`.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Failed, Limit};
use plixo_api::output::{self, List as Part, made, shown};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_aws::secrets::KeepSecret;
use plixo_domain::audit::Object;
use plixo_domain::id::EndpointId;
use plixo_domain::ledger::{Row, RowKey};
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{
    EndpointSecret, EndpointState, ExternalId, Fingerprint, HmacScheme, Provider, VaultEntry, WebhookEndpoint,
};
use plixo_envelope::KeyService;
use plixo_lambda::http::{Request, Response};
use plixo_staff::{Answered, Entered, Made, Refusal};
use plixo_store::{List, Tables};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use utoipa::{IntoParams, ToSchema};

use crate::order::{HmacShape, NewEndpoint, NewProvider, Rotation, without_secret};
use crate::vault::fingerprint;
use crate::{Outside, vault};

/// What every signing secret of Stripe's and of Standard Webhooks begins with.
const PREFIX: &str = "whsec_";

/// Which part of the endpoints.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// 1 to 100, 25 if absent.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// A webhook endpoint.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub(crate) struct EndpointShape {
    #[schema(value_type = String)]
    id: EndpointId,
    #[schema(value_type = NewProvider)]
    provider: Provider,
    /// Where the provider sends to.
    url: String,
    #[schema(value_type = StateShape)]
    state: EndpointState,
    /// The one provider account whose events it takes. Of a name that is no plain id, as of a company `Zoë GmbH`, its hash:
    /// `sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    account: Option<ExternalId>,
    /// How the sender of a `generic_hmac` endpoint signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HmacShape>)]
    hmac: Option<HmacScheme>,
    /// The signing secret: in the answer to the request for which Plixo made it, and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    secret: Option<Secret>,
}

/// Whether an endpoint takes events.
#[derive(ToSchema)]
#[schema(as = WebhookEndpointState, rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is what is used")]
pub(crate) enum StateShape {
    Enabled,
    Disabled,
}

/// What is to change of an endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointChange)]
pub(crate) struct EndpointChange {
    #[schema(value_type = StateShape)]
    state: EndpointState,
}

/// An answer as it is remembered for its idempotency key. Of a secret that Plixo made it holds the hash: the secret itself is
/// in the vault and in no table.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    shown: EndpointShape,
    made: Option<Fingerprint>,
}

impl EndpointShape {
    fn new<V, Q, C, E>(endpoint: &WebhookEndpoint, outside: &Outside<V, Q, C, E>, request: &Request) -> Self {
        let WebhookEndpoint { id, provider, state, account, hmac } = endpoint.clone();
        let base = request.base_url(outside.base_url.as_deref());
        let receiver = if provider == Provider::Stripe { "stripe" } else { "erp" };
        let url = format!("{base}/webhooks/{receiver}/{id}");
        Self { id, provider, url, state, account, hmac, secret: None }
    }
}

/// The webhook endpoints, the youngest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/webhook-endpoints", tag = "webhook-endpoints",
    params(("org" = String, Path), Query),
    responses((status = 200, body = Part<EndpointShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService, V, Q, C, E>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, Q, C, E>,
) -> Result<Response, Failed> {
    let deed =
        deed(Action::ManageIntegrations, "webhook_endpoint.list", Object::new("organisation", staff.org));
    let Query { limit, cursor } = staff.taken(&deed, input::query(staff.request)).await?;
    let page = (limit, cursor.as_deref());
    let (rows, next_cursor) = staff.list(&deed, &List::WebhookEndpoints, "webhook-endpoints", page).await?;
    let shape = |(row, _)| match row {
        Row::WebhookEndpoint(endpoint) => Some(EndpointShape::new(&endpoint, outside, staff.request)),
        _ => None,
    };
    let data: Vec<_> = rows.into_iter().filter_map(shape).collect();
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// Makes a webhook endpoint.
#[utoipa::path(post, path = "/v1/orgs/{org}/webhook-endpoints", tag = "webhook-endpoints",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = NewEndpoint,
    responses((status = 201, body = EndpointShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn create<T: Tables, K: KeyService, V: KeepSecret, Q, C, E>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, Q, C, E>,
) -> Result<Response, Failed> {
    let deed =
        deed(Action::ManageIntegrations, "webhook_endpoint.create", Object::new("organisation", staff.org));
    let order: NewEndpoint = staff.taken(&deed, input::body(staff.request)).await?;
    let order = staff.taken(&deed, order.checked()).await?;
    // The vault comes first, with an entry that takes nothing: one whose row was never written stays so. It is made once,
    // however often the row is tried.
    let kept = OnceCell::new();
    let work = async |entered: Entered<'_>| {
        let id: EndpointId = entered.ids.make();
        let (id, made) = kept
            .get_or_try_init(async || {
                let made = if order.makes() { Some(draw(outside, order.provider)?) } else { None };
                let secrets = [&order.given, &order.public_key, &made].into_iter().flatten();
                let first = |secret: &Secret| EndpointSecret {
                    secret: secret.clone(),
                    expires_at: None,
                    added_at: None,
                    pending: false,
                };
                let entry = VaultEntry {
                    v: VaultEntry::VERSION,
                    org: staff.org,
                    provider: order.provider,
                    state: EndpointState::Disabled,
                    account: order.account.clone(),
                    hmac: order.hmac.clone(),
                    secrets: secrets.map(first).collect(),
                };
                vault::create(&outside.vault, &id, &entry).await.map(|()| (id, made))
            })
            .await?;
        let endpoint = WebhookEndpoint {
            id: *id,
            provider: order.provider,
            state: EndpointState::Enabled,
            account: order.account.clone(),
            hmac: order.hmac.clone(),
        };
        let shown = EndpointShape::new(&endpoint, outside, staff.request);
        entered.book.put_new(endpoint);
        let mut fields = vec!["provider", "state", "account"];
        fields.extend(order.hmac.is_some().then_some("hmac"));
        fields.extend((order.makes() || order.given.is_some()).then_some("secret"));
        fields.extend(order.public_key.is_some().then_some("public_key"));
        let made = made.as_ref().map(fingerprint);
        let body = output::json(&Remembered { shown, made });
        let changed = vec![(Object::new("webhook_endpoint", id), fields)];
        Ok(Made { changed, answer: Answered { status: 201, body, version: Some(1) } })
    };
    let answered = staff.change(&deed, &[], work).await?;
    let remembered = remembered(&answered)?;
    let entry = follow(staff, &outside.vault, &remembered.shown.id, false).await?;
    told(answered, remembered, &entry)
}

/// One webhook endpoint.
#[utoipa::path(get, path = "/v1/orgs/{org}/webhook-endpoints/{id}", tag = "webhook-endpoints",
    params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = EndpointShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService, V, Q, C, E>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, Q, C, E>,
) -> Result<Response, Failed> {
    let (id, deed) =
        staff.about(Action::ManageIntegrations, "webhook_endpoint.read", "webhook_endpoint").await?;
    let (endpoint, version, _) = staff.read::<WebhookEndpoint>(&deed, &id).await?;
    Ok(shown(&EndpointShape::new(&endpoint, outside, staff.request), version))
}

/// Enables or disables a webhook endpoint. Receivers know it a minute later at the latest.
#[utoipa::path(patch, path = "/v1/orgs/{org}/webhook-endpoints/{id}", tag = "webhook-endpoints",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = EndpointChange,
    responses((status = 200, body = EndpointShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn update<T: Tables, K: KeyService, V: KeepSecret, Q, C, E>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, Q, C, E>,
) -> Result<Response, Failed> {
    let (id, deed) =
        staff.about(Action::ManageIntegrations, "webhook_endpoint.update", "webhook_endpoint").await?;
    let EndpointChange { state } = staff.taken(&deed, input::body(staff.request)).await?;
    let versions = input::if_match(staff.request);
    let work = async |entered: Entered<'_>| {
        let endpoint = entered.book.get::<WebhookEndpoint>(&id)?.cloned();
        let endpoint = endpoint.ok_or(Refusal::NotFound)?;
        let version = entered.book.version::<WebhookEndpoint>(&id).unwrap_or_default();
        input::fresh(versions.as_deref(), Some(version))?;
        let changes = endpoint.state != state;
        let endpoint = WebhookEndpoint { state, ..endpoint };
        let body = output::json(&EndpointShape::new(&endpoint, outside, staff.request));
        entered.book.put(endpoint)?;
        let fields = if changes { vec!["state"] } else { Vec::new() };
        let version = Some(version.saturating_add(u64::from(changes)));
        let changed = vec![(Object::new("webhook_endpoint", id), fields)];
        Ok(Made { changed, answer: Answered { status: 200, body, version } })
    };
    let rows = [RowKey::WebhookEndpoint(id)];
    let answered = match staff.change(&deed, &rows, work).await {
        // It may be this very caller's change that they did not see, and that the vault has not heard of.
        Err(Failed::Refused(Refusal::Stale)) => Err(Failed::Refused(Refusal::Stale)),
        answered => Ok(answered?),
    };
    // Whoever changes the row ends with this, so the last one does after the last change. It writes even what is there
    // already, so that somebody who read an older row finds the entry moved on.
    follow(staff, &outside.vault, &id, true).await?;
    answered.map(made)
}

/// Brings an endpoint's entry after its row; `always` writes it even where it is so already.
async fn follow<T: Tables, K: KeyService, V: KeepSecret>(
    staff: &Staff<'_, T, K>,
    vault: &V,
    id: &EndpointId,
    always: bool,
) -> Result<VaultEntry, Refusal> {
    let follow = async |entry: &mut VaultEntry| {
        let rows = staff.store().read(&staff.org, vec![RowKey::WebhookEndpoint(*id)]).await?;
        let row = rows.into_iter().find_map(|(_, stored)| stored);
        let Some((Row::WebhookEndpoint(endpoint), _)) = row else { return Ok(false) };
        let before = std::mem::replace(&mut entry.state, endpoint.state);
        Ok(always || before != endpoint.state)
    };
    vault::change(vault, id, follow).await
}

/// Makes a new secret, or takes a new public key. The one before goes on verifying for 24 hours; receivers know the new one a
/// minute later at the latest.
#[utoipa::path(post, path = "/v1/orgs/{org}/webhook-endpoints/{id}/rotate", tag = "webhook-endpoints",
    params(("org" = String, Path), ("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = Option<Rotation>,
    responses((status = 200, body = EndpointShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn rotate<T: Tables, K: KeyService, V: KeepSecret, Q, C, E>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, Q, C, E>,
) -> Result<Response, Failed> {
    let (id, deed) =
        staff.about(Action::ManageIntegrations, "webhook_endpoint.rotate", "webhook_endpoint").await?;
    let rotation = match staff.request.body_len() {
        0 => Rotation::default(),
        _ => staff.taken(&deed, input::body(staff.request)).await?,
    };
    let given = rotation.given();
    // The vault comes first, with a secret that verifies nothing yet: once, however often the audit event is tried.
    let (kept, now) = (OnceCell::new(), staff.caller.now);
    let work = async |entered: Entered<'_>| {
        let endpoint = entered.book.get::<WebhookEndpoint>(&id)?.cloned();
        let endpoint = endpoint.ok_or(Refusal::NotFound)?;
        rotation.check(&endpoint)?;
        let secret = kept
            .get_or_try_init(async || {
                let secret = given.cloned().map_or_else(|| draw(outside, endpoint.provider), Ok)?;
                let added = async |entry: &mut VaultEntry| {
                    // Who sends with a private key has no use for a secret that Plixo made.
                    let has_secret =
                        entry.secrets.iter().any(|held| !vault::is_public(entry.provider, &held.secret));
                    if given.is_none() && !has_secret {
                        return Err(without_secret());
                    }
                    vault::add(entry, &secret, now)
                };
                vault::change(&outside.vault, &id, added).await?;
                Ok::<_, Refusal>(secret)
            })
            .await?;
        let shown = EndpointShape::new(&endpoint, outside, staff.request);
        let made = given.is_none().then(|| fingerprint(secret));
        let body = output::json(&Remembered { shown, made });
        let field = if rotation.is_of_public_key() { "public_key" } else { "secret" };
        let changed = vec![(Object::new("webhook_endpoint", id), vec![field])];
        let version = entered.book.version::<WebhookEndpoint>(&id);
        Ok(Made { changed, answer: Answered { status: 200, body, version } })
    };
    let rows = [RowKey::WebhookEndpoint(id)];
    let answered = staff.change(&deed, &rows, work).await?;
    // Whatever was answered before: who asks again, because this did not come to pass, brings it to pass.
    let remembered = remembered(&answered)?;
    let hash = remembered.made.or_else(|| given.map(fingerprint));
    let settled =
        async |entry: &mut VaultEntry| hash.map_or(Ok(false), |hash| vault::settle(entry, hash, now));
    let entry = vault::change(&outside.vault, &id, settled).await?;
    told(answered, remembered, &entry)
}

fn remembered(answered: &Answered) -> Result<Remembered, Refusal> {
    let odd = |_| Refusal::Internal("a remembered answer is none of this route".to_owned());
    serde_json::from_str(&answered.body).map_err(odd)
}

/// The answer with the secret that Plixo made. It is the vault's, for this request may have made another one than the request
/// with the same key whose answer was remembered.
fn told(answered: Answered, remembered: Remembered, entry: &VaultEntry) -> Result<Response, Failed> {
    let Remembered { mut shown, made: hash } = remembered;
    if let Some(hash) = hash {
        let held = entry.secrets.iter().find(|held| fingerprint(&held.secret) == hash);
        let held =
            held.ok_or_else(|| Refusal::Internal(format!("{}: the vault has lost its secret", shown.id)))?;
        shown.secret = Some(held.secret.clone());
    }
    Ok(made(Answered { body: output::json(&shown), ..answered }))
}

/// A secret of 32 random bytes, written as Stripe and Standard Webhooks write theirs, or as plain text of 43 characters.
fn draw<V, Q, C, E>(outside: &Outside<V, Q, C, E>, provider: Provider) -> Result<Secret, Refusal> {
    let bytes = (outside.entropy)().ok_or(Refusal::Unavailable("no randomness to be had".to_owned()))?;
    Ok(Secret::new(match provider {
        Provider::Stripe | Provider::StandardWebhooks => format!("{PREFIX}{}", STANDARD.encode(bytes)),
        _ => URL_SAFE_NO_PAD.encode(bytes),
    }))
}
