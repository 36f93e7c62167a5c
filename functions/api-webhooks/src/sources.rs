//! `/v1/orgs/{org}/data-sources`: the accounts at ERPs that are asked for what their notifications only tell of.
//!
//! Credentials come to the vault before anything else, under an id that no row names, and are tried there: what a provider gives in
//! their place is kept with them. The row makes them count. Those of a source that is connected again then take the place of the
//! ones before, under the source's own id.

use std::cell::Cell;
use std::time::Duration;

use jiff::Timestamp;
use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Failed, Limit};
use plixo_api::output::{self, List as Part, made, shown};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_aws::secrets::KeepSecret;
use plixo_domain::audit::Object;
use plixo_domain::id::{OrgId, SourceId};
use plixo_domain::ledger::{Kept, Row};
use plixo_domain::secret::Secret;
use plixo_domain::source::{
    DataSource, NoPlace, Place, SourceEntry, SourceKind, SourceName, SourceProgress, SourceState,
};
use plixo_domain::webhook::{ExternalId, ExternalRef};
use plixo_envelope::KeyService;
use plixo_erp::{ErpError, Of, ReadErp};
use plixo_lambda::http::Response;
use plixo_staff::{Answered, Entered, FieldError, Made, Refusal};
use plixo_store::{List, Tables};
use plixo_webhooks::canonical::external_id;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use utoipa::{IntoParams, ToSchema};

use crate::order::{Field, is_realm, is_uuid, kept};
use crate::{Outside, vault};

/// How long a provider may take to say whether credentials are any good.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest name, characters.
const LONGEST_NAME: usize = 100;
/// The longest client id and secret, and the longest refresh token, bytes.
const LONGEST_CLIENT: usize = 512;
const LONGEST_TOKEN: usize = 8_192;

/// Which part of the data sources.
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

/// An account at an ERP that is asked for what its notifications only tell of. Its credentials are shown nowhere.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = DataSource)]
pub(crate) struct SourceShape {
    #[schema(value_type = String)]
    id: SourceId,
    name: String,
    #[schema(value_type = KindShape)]
    kind: SourceKind,
    /// The account at the provider, as events' accounts are kept: of a realm id that could be a card number, its hash.
    #[schema(value_type = String)]
    account: ExternalId,
    /// Business Central's Entra tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// Business Central's environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[schema(value_type = StateShape)]
    state: SourceState,
    /// When somebody last connected it.
    #[schema(value_type = String, format = DateTime)]
    connected_at: Timestamp,
    /// Since when the provider refuses, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    refused_at: Option<Timestamp>,
}

/// What a data source is read from.
#[derive(ToSchema)]
#[schema(as = DataSourceKind, rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is what is used")]
pub(crate) enum KindShape {
    /// Xero.
    Xero,
    /// QuickBooks Online.
    Quickbooks,
    /// Microsoft Dynamics 365 Business Central.
    BusinessCentral,
}

/// Whether a data source can be read, as far as is known.
#[derive(ToSchema)]
#[schema(as = DataSourceState, rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is what is used")]
pub(crate) enum StateShape {
    /// It can.
    Connected,
    /// The provider refuses: connect it again.
    Refused,
}

impl From<&DataSource> for SourceShape {
    fn from(source: &DataSource) -> Self {
        let DataSource { id, name, kind, account, place, connected_at, refused_at, .. } = source.clone();
        let (tenant, environment) =
            place.map(|it| (it.tenant().to_owned(), it.environment().to_owned())).unzip();
        let state = source.state();
        Self { id, name, kind, account, tenant, environment, state, connected_at, refused_at }
    }
}

/// A data source that is to be connected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDataSource)]
pub(crate) struct NewSource {
    /// How people call it.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[schema(value_type = KindShape)]
    kind: SourceKind,
    /// `xero`: the tenant's id, a UUID. `quickbooks`: the realm id, digits. `business_central`: the company's id, a UUID.
    account: String,
    /// The Entra tenant of `business_central`, by UUID or domain: required of it, and of no other.
    #[serde(default)]
    tenant: Option<String>,
    /// The environment of `business_central`, such as `production`: required of it, and of no other.
    #[serde(default)]
    environment: Option<String>,
    /// The OAuth 2 client.
    #[schema(min_length = 1, max_length = 512)]
    client_id: String,
    #[schema(value_type = String, min_length = 1, max_length = 512)]
    client_secret: Secret,
    /// What access tokens are got for: required of `quickbooks`. Without one they are got for the client's own credentials, as of
    /// Xero's custom connections. Plixo uses it up.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 8192)]
    refresh_token: Option<Secret>,
}

/// What is to change of a data source. With a client it is connected again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DataSourceChange)]
pub(crate) struct SourceChange {
    /// How people call it.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// The OAuth 2 client, together with its secret.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 512)]
    client_id: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 512)]
    client_secret: Option<Secret>,
    /// As of a new data source.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 8192)]
    refresh_token: Option<Secret>,
}

/// A data source that can be connected.
struct Order {
    name: String,
    kind: SourceKind,
    account: Account,
    place: Option<Place>,
    credentials: Credentials,
}

/// An account as it is asked for, and as events name it.
struct Account {
    own: ExternalId,
    named: ExternalId,
}

struct Credentials {
    client_id: String,
    client_secret: Secret,
    refresh_token: Option<Secret>,
}

impl NewSource {
    /// The order, or everything that is wrong with it.
    fn checked(self) -> Result<Order, Failed> {
        let Self { name, kind, account, tenant, environment, client_id, client_secret, refresh_token } = self;
        let mut errors = Vec::new();
        let name = kept(&mut errors, name_of(name));
        let account = kept(&mut errors, account_of(kind, &account));
        let place = kept(&mut errors, place_of(kind, tenant.as_deref(), environment.as_deref()));
        let credentials = Credentials { client_id, client_secret, refresh_token };
        let credentials = credentials.checked(&mut errors);
        if let Some(Err(error)) = credentials.as_ref().map(|it| it.fit(kind)) {
            errors.push(error);
        }
        match (name, account, place, credentials) {
            (Some(name), Some(account), Some(place), Some(credentials)) if errors.is_empty() => {
                Ok(Order { name, kind, account, place, credentials })
            }
            _ => Err(Failed::Refused(Refusal::Invalid(errors))),
        }
    }
}

impl SourceChange {
    fn checked(self) -> Result<(Option<String>, Option<Credentials>), Failed> {
        let Self { name, client_id, client_secret, refresh_token } = self;
        let mut errors = Vec::new();
        let name = name.and_then(|name| kept(&mut errors, name_of(name)));
        let together =
            "is required, for a data source is connected again by its client and that one's secret";
        let credentials = match (client_id, client_secret, refresh_token) {
            (None, None, None) => None,
            (Some(client_id), Some(client_secret), refresh_token) => {
                Credentials { client_id, client_secret, refresh_token }.checked(&mut errors)
            }
            (client_id, client_secret, _) => {
                let missing =
                    [("/client_id", client_id.is_none()), ("/client_secret", client_secret.is_none())];
                let missing = missing.into_iter().filter(|(_, is_missing)| *is_missing);
                errors.extend(missing.map(|(pointer, _)| FieldError::new(pointer, together)));
                None
            }
        };
        if errors.is_empty() {
            Ok((name, credentials))
        } else {
            Err(Failed::Refused(Refusal::Invalid(errors)))
        }
    }
}

impl Credentials {
    fn checked(self, errors: &mut Vec<FieldError>) -> Option<Self> {
        let mut is_fine = true;
        let mut check = |pointer, text: &str, most| {
            let visible = text.bytes().all(|b| b.is_ascii_graphic());
            if !(1..=most).contains(&text.len()) || !visible {
                is_fine = false;
                errors.push(FieldError::new(
                    pointer,
                    format!("has to be 1 to {most} visible ASCII characters"),
                ));
            }
        };
        check("/client_id", &self.client_id, LONGEST_CLIENT);
        check("/client_secret", self.client_secret.reveal(), LONGEST_CLIENT);
        if let Some(token) = &self.refresh_token {
            check("/refresh_token", token.reveal(), LONGEST_TOKEN);
        }
        is_fine.then_some(self)
    }

    /// Whether that provider gives access tokens for them.
    fn fit(&self, kind: SourceKind) -> Field<()> {
        let is_missing = kind == SourceKind::Quickbooks && self.refresh_token.is_none();
        let required = "is required, for QuickBooks gives no access for a client's own credentials";
        if is_missing { Err(FieldError::new("/refresh_token", required)) } else { Ok(()) }
    }

    /// In the vault, in the place of what `entry` has.
    fn of(&self, entry: SourceEntry) -> SourceEntry {
        let Self { client_id, client_secret, refresh_token } = self;
        let (client_id, client_secret) = (client_id.clone(), client_secret.clone());
        SourceEntry {
            client_id,
            client_secret,
            refresh_token: refresh_token.clone(),
            access: None,
            currency: None,
            ..entry
        }
    }
}

impl Order {
    fn entry(&self, org: OrgId) -> SourceEntry {
        self.credentials.of(SourceEntry {
            v: SourceEntry::VERSION,
            org,
            kind: self.kind,
            account: self.account.own.clone(),
            connection: None,
            place: self.place.clone(),
            currency: None,
            client_id: String::new(),
            client_secret: Secret::new(String::new()),
            refresh_token: None,
            access: None,
        })
    }
}

fn name_of(name: String) -> Field<String> {
    let name = name.trim().to_owned();
    let wrong = |detail: &str| Err(FieldError::new("/name", detail));
    if !(1..=LONGEST_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return wrong("has to be 1 to 100 characters on one line");
    }
    if plixo_cards::contains(&name) {
        return wrong("holds what could be a card number");
    }
    Ok(name)
}

fn account_of(kind: SourceKind, text: &str) -> Field<Account> {
    let (fits, expected): (fn(&str) -> bool, _) = match kind {
        SourceKind::Xero => (is_uuid, "has to be the id of a Xero tenant, a UUID"),
        SourceKind::Quickbooks => (is_realm, "has to be the realm id of a QuickBooks company, digits"),
        SourceKind::BusinessCentral => (is_uuid, "has to be the id of a Business Central company, a UUID"),
    };
    let text = text.to_ascii_lowercase();
    let account = fits(&text).then(|| Some(Account { own: text.parse().ok()?, named: external_id(&text)? }));
    account.flatten().ok_or_else(|| FieldError::new("/account", expected))
}

fn place_of(kind: SourceKind, tenant: Option<&str>, environment: Option<&str>) -> Field<Option<Place>> {
    let is_central = kind == SourceKind::BusinessCentral;
    match (tenant, environment) {
        (Some(tenant), Some(environment)) if is_central => {
            Place::new(tenant, environment).map(Some).map_err(|error| {
                let pointer = match error {
                    NoPlace::Tenant => "/tenant",
                    NoPlace::Environment => "/environment",
                };
                FieldError::new(pointer, error.to_string())
            })
        }
        (None, _) if is_central => Err(FieldError::new("/tenant", "is required of business_central")),
        (_, None) if is_central => Err(FieldError::new("/environment", "is required of business_central")),
        (None, None) => Ok(None),
        (Some(_), _) => Err(FieldError::new("/tenant", "is for business_central only")),
        (None, Some(_)) => Err(FieldError::new("/environment", "is for business_central only")),
    }
}

/// An answer as it is remembered for its idempotency key: with the id under which the vault was given what it connected.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    shown: SourceShape,
    connection: Option<SourceId>,
}

/// The data sources, the youngest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/data-sources", tag = "data-sources",
    params(("org" = String, Path), Query),
    responses((status = 200, body = Part<SourceShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::ManageIntegrations, "data_source.list", Object::new("organisation", staff.org));
    let Query { limit, cursor } = staff.taken(&deed, input::query(staff.request)).await?;
    let page = (limit, cursor.as_deref());
    let (rows, next_cursor) = staff.list(&deed, &List::DataSources, "data-sources", page).await?;
    let shape = |(row, _)| match row {
        Row::DataSource(source) => Some(SourceShape::from(&source)),
        _ => None,
    };
    let data: Vec<_> = rows.into_iter().filter_map(shape).collect();
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// Connects an account at an ERP, once its provider took the credentials. An account is connected once: 409 `account_connected`.
#[utoipa::path(post, path = "/v1/orgs/{org}/data-sources", tag = "data-sources",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = NewSource,
    responses((status = 201, body = SourceShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn connect<T: Tables, K: KeyService, V: KeepSecret, Q, C, E: ReadErp>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, Q, C, E>,
) -> Result<Response, Failed> {
    let deed =
        deed(Action::ManageIntegrations, "data_source.connect", Object::new("organisation", staff.org));
    let order: NewSource = staff.taken(&deed, input::body(staff.request)).await?;
    let order = staff.taken(&deed, order.checked()).await?;
    let account = ExternalRef { provider: order.kind.provider(), id: order.account.named.clone() };
    let (kept, now) = (OnceCell::new(), staff.caller.now);
    let work = async |entered: Entered<'_>| {
        if entered.book.get::<SourceName>(&account)?.is_some() {
            return Err(account_connected().into());
        }
        let id: SourceId = entered.ids.make();
        let tried = async || try_out(outside, id, order.entry(staff.org), now).await;
        let id = *kept.get_or_try_init(tried).await?;
        let source = DataSource {
            id,
            name: order.name.clone(),
            kind: order.kind,
            account: order.account.named.clone(),
            place: order.place.clone(),
            connected_at: now,
            connection: None,
            refused_at: None,
        };
        let body = output::json(&SourceShape::from(&source));
        entered.book.put_new(source);
        entered.book.put(SourceName { account: account.clone(), source: id })?;
        let mut fields = vec!["name", "kind", "account", "credentials"];
        fields.extend(order.place.is_some().then_some("place"));
        let changed = vec![(Object::new("data_source", id), fields)];
        Ok(Made { changed, answer: Answered { status: 201, body, version: Some(1) } })
    };
    let answered = staff.change(&deed, &[SourceName::key(&account)], work).await;
    clear_up(outside, &answered, kept.get()).await?;
    Ok(made(answered?))
}

/// One data source.
#[utoipa::path(get, path = "/v1/orgs/{org}/data-sources/{id}", tag = "data-sources",
    params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = SourceShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about(Action::ManageIntegrations, "data_source.read", "data_source").await?;
    let (source, version, _) = staff.read::<DataSource>(&deed, &id).await?;
    Ok(shown(&SourceShape::from(&source), version))
}

/// Names a data source anew, or connects it again, once its provider took the credentials.
#[utoipa::path(patch, path = "/v1/orgs/{org}/data-sources/{id}", tag = "data-sources",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = SourceChange,
    responses((status = 200, body = SourceShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn update<T: Tables, K: KeyService, V: KeepSecret, Q, C, E: ReadErp>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, Q, C, E>,
) -> Result<Response, Failed> {
    let (id, deed) = staff.about(Action::ManageIntegrations, "data_source.update", "data_source").await?;
    let change: SourceChange = staff.taken(&deed, input::body(staff.request)).await?;
    let (name, credentials) = staff.taken(&deed, change.checked()).await?;
    let (kept, now) = (OnceCell::new(), staff.caller.now);
    let versions = input::if_match(staff.request);
    let work = async |entered: Entered<'_>| {
        let before = entered.book.get::<DataSource>(&id)?.cloned().ok_or(Refusal::NotFound)?;
        input::fresh(versions.as_deref(), entered.book.version::<DataSource>(&id))?;
        let mut source = DataSource { name: name.clone().unwrap_or(before.name.clone()), ..before.clone() };
        let mut fields = Vec::new();
        fields.extend((source.name != before.name).then_some("name"));
        if let Some(credentials) = &credentials {
            credentials.fit(before.kind).map_err(|error| Refusal::Invalid(vec![error]))?;
            let connection: SourceId = entered.ids.make();
            let tried = async || {
                let (held, _) = vault::read::<_, SourceEntry>(&outside.sources, &id).await?;
                let entry = SourceEntry { connection: Some(connection), ..credentials.of(held) };
                try_out(outside, connection, entry, now).await
            };
            source.connection = Some(*kept.get_or_try_init(tried).await?);
            (source.connected_at, source.refused_at) = (now, None);
            fields.push("credentials");
        }
        let connection = credentials.is_some().then_some(source.connection).flatten();
        let body = output::json(&Remembered { shown: SourceShape::from(&source), connection });
        entered.book.put(source)?;
        let version = Some(entered.book.next_version::<DataSource>(&id));
        let changed = vec![(Object::new("data_source", id), fields)];
        Ok(Made { changed, answer: Answered { status: 200, body, version } })
    };
    let answered = staff.change(&deed, &[DataSource::key(&id)], work).await;
    clear_up(outside, &answered, kept.get()).await?;
    let answered = answered?;
    let odd = |_| Refusal::Internal("a remembered answer is none of this route".to_owned());
    let Remembered { shown, connection } = serde_json::from_str(&answered.body).map_err(odd)?;
    if let Some(connection) = connection {
        follow(staff, &outside.sources, &id, &connection).await?;
    }
    Ok(made(Answered { body: output::json(&shown), ..answered }))
}

/// Disconnects a data source: Plixo has its credentials no more. What was read of it stays.
#[utoipa::path(delete, path = "/v1/orgs/{org}/data-sources/{id}", tag = "data-sources",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn disconnect<T: Tables, K: KeyService, V: KeepSecret, Q, C, E>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, Q, C, E>,
) -> Result<Response, Failed> {
    let (id, deed) = staff.about(Action::ManageIntegrations, "data_source.disconnect", "data_source").await?;
    staff.taken(&deed, input::no_body(staff.request)).await?;
    let versions = input::if_match(staff.request);
    let (is_gone, last) = (Cell::new(false), Cell::new(None));
    let work = async |entered: Entered<'_>| {
        let Some(source) = entered.book.get::<DataSource>(&id)?.cloned() else {
            is_gone.set(true);
            return Err(Refusal::NotFound.into());
        };
        input::fresh(versions.as_deref(), entered.book.version::<DataSource>(&id))?;
        last.set(source.connection);
        let account = ExternalRef { provider: source.kind.provider(), id: source.account };
        entered.book.remove::<SourceName>(&account)?;
        entered.book.remove::<DataSource>(&id)?;
        entered.book.remove::<SourceProgress>(&id)?;
        let changed = vec![(Object::new("data_source", id), vec!["name", "account", "credentials"])];
        Ok(Made { changed, answer: Answered { status: 204, body: String::new(), version: None } })
    };
    let rows = [DataSource::key(&id), SourceProgress::key(&id)];
    let answered = staff.change(&deed, &rows, work).await;
    // Whoever was not told that it is gone asks again, and the vault may not have heard of it.
    if answered.is_ok() || is_gone.get() {
        // What was tried last is under its own id still, where the vault has not heard of that either.
        for id in last.get().iter().chain([&id]) {
            forget(&outside.sources, &staff.org, id).await?;
        }
    }
    Ok(made(answered?))
}

fn account_connected() -> Refusal {
    let detail = "this account is connected already: connect that data source again, or disconnect it first";
    Refusal::State {
        code: "account_connected",
        detail: detail.to_owned(),
        pointer: Some("/account".to_owned()),
    }
}

/// Puts credentials in the vault under an id that no row names, and has the provider look at them there. Of what it does not take
/// nothing stays.
async fn try_out<V: KeepSecret, Q, C, E: ReadErp>(
    outside: &Outside<V, Q, C, E>,
    id: SourceId,
    entry: SourceEntry,
    now: Timestamp,
) -> Result<SourceId, Refusal> {
    vault::create(&outside.sources, &id, &entry).await?;
    let of = Of { org: &entry.org, source: &id, kind: entry.kind, account: &entry.account };
    let looked = tokio::time::timeout(PATIENCE, outside.erp.look(of, now)).await;
    let looked = looked.unwrap_or_else(|_| Err(ErpError::Unavailable("it took too long".to_owned())));
    match looked {
        Ok(currency) => {
            let noted = async |held: &mut SourceEntry| {
                held.currency = currency;
                Ok(currency.is_some())
            };
            vault::change(&outside.sources, &id, noted).await?;
            Ok(id)
        }
        Err(error) => {
            forget(&outside.sources, &entry.org, &id).await?;
            Err(refused(&error, entry.refresh_token.is_some()))
        }
    }
}

/// What the provider's refusal is to the caller.
fn refused(error: &ErpError, has_token: bool) -> Refusal {
    let invalid = |pointer, detail: &str| Refusal::Invalid(vec![FieldError::new(pointer, detail)]);
    match error {
        ErpError::Refused(cause) if has_token && cause == "invalid_grant" => invalid(
            "/refresh_token",
            "is refused by the provider, for it was used, was withdrawn, or is of another client: connect the app at the provider \
             once more, and take the refresh token that it then gives",
        ),
        ErpError::Refused(_) => invalid(
            "/client_secret",
            "is refused by the provider, or may not read this account: copy it and the client id once more, and see that the app is \
             connected to this account and may read customers, invoices, payments and credit notes",
        ),
        ErpError::Busy { .. } | ErpError::Unavailable(_) | ErpError::NoSource | ErpError::Unreadable(_) => {
            Refusal::Unavailable(error.to_string())
        }
    }
}

/// Where a change was refused for good after its credentials were tried, they do not stay. Whether one came to pass that merely
/// failed, nobody knows.
async fn clear_up<V: KeepSecret, Q, C, E>(
    outside: &Outside<V, Q, C, E>,
    answered: &Result<Answered, Failed>,
    tried: Option<&SourceId>,
) -> Result<(), Refusal> {
    let is_refused = matches!(
        answered,
        Err(Failed::Refused(Refusal::State { .. } | Refusal::Stale | Refusal::NotFound | Refusal::Forbidden))
    );
    match tried.filter(|_| is_refused) {
        Some(id) => wipe(&outside.sources, id).await,
        None => Ok(()),
    }
}

/// Brings the entry of a source after its row: to what was tried under the id `connection`, where the row is of that one still, and
/// only once, for whoever reads the source goes on changing its tokens.
async fn follow<T: Tables, K: KeyService, V: KeepSecret>(
    staff: &Staff<'_, T, K>,
    vault: &V,
    id: &SourceId,
    connection: &SourceId,
) -> Result<(), Refusal> {
    let moved = async |entry: &mut SourceEntry| {
        let rows = staff.store().read(&staff.org, vec![DataSource::key(id)]).await?;
        let row = rows.iter().find_map(|(_, stored)| stored.as_ref());
        let row = row.and_then(|(row, _): &(Row, u64)| DataSource::of(row));
        let is_its = row.is_some_and(|row| row.connection == Some(*connection));
        if !is_its || entry.connection == Some(*connection) {
            return Ok(false);
        }
        let (tried, _) = vault::read::<_, SourceEntry>(vault, connection).await?;
        let is_there = tried.is_connected();
        if is_there {
            *entry = tried;
        }
        Ok(is_there)
    };
    vault::change(vault, id, moved).await?;
    wipe(vault, connection).await
}

/// Takes the credentials out of an entry.
async fn wipe<V: KeepSecret>(vault: &V, id: &SourceId) -> Result<(), Refusal> {
    let emptied = async |entry: &mut SourceEntry| {
        let was_connected = entry.is_connected();
        *entry = entry.disconnected();
        Ok(was_connected)
    };
    vault::change(vault, id, emptied).await.map(drop)
}

/// The same, if there is one, and it is this organisation's.
async fn forget<V: KeepSecret>(vault: &V, org: &OrgId, id: &SourceId) -> Result<(), Refusal> {
    if vault.read_version(&id.to_string()).await.map_err(vault::failed)?.is_none() {
        return Ok(());
    }
    let (held, _) = vault::read::<_, SourceEntry>(vault, id).await?;
    if held.org == *org { wipe(vault, id).await } else { Ok(()) }
}
