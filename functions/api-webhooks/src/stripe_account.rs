//! `/v1/orgs/{org}/stripe-account`: on which account an organisation's payers pay.
//!
//! The row comes first, with its audit event, and then the vault, which always follows the row: of two changes at once, the later
//! row's key is the vault's in the end.

use jiff::Timestamp;
use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Failed, invalid};
use plixo_api::output::{self, made};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_aws::secrets::KeepSecret;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::ledger::{Kept, RestrictedKey, Row, RowKey, StripeAccount, StripeKeyEntry};
use plixo_domain::secret::Secret;
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::{Answered, Deed, Entered, FieldError, Made, Refusal};
use plixo_store::Tables;
use plixo_stripe::{Checkout, StripeError};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use utoipa::ToSchema;

use crate::Outside;
use crate::vault::{TRIES, failed, fingerprint};

/// A session that nobody made. A key that may write sessions is told that there is none; any other is refused.
const NO_SESSION: &str = "cs_none";

/// An organisation's own Stripe account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StripeAccount)]
pub(crate) struct AccountShape {
    state: AccountState,
    /// How the key begins, and its last four characters. The key itself is shown nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    connected_at: Option<Timestamp>,
}

/// Whether payers can pay at Stripe.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StripeAccountState)]
pub(crate) enum AccountState {
    /// They can.
    Connected,
    /// Their page shows no button.
    NotConnected,
    /// Stripe refuses the key, or lacks it a permission: their page shows no button until another key is connected.
    Refused,
}

/// With which key Plixo makes Checkout Sessions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StripeAccountOrder)]
pub(crate) struct AccountOrder {
    /// A restricted key, `rk_live_…` or `rk_test_…`, with the permission to write Checkout Sessions and no other.
    #[schema(value_type = String)]
    restricted_key: Secret,
}

fn shape(account: Option<&StripeAccount>) -> AccountShape {
    let state = match account {
        None => AccountState::NotConnected,
        Some(account) if account.is_taken() => AccountState::Connected,
        Some(_) => AccountState::Refused,
    };
    let key_hint = account.map(|account| account.key_hint.clone());
    AccountShape { state, key_hint, connected_at: account.map(|account| account.connected_at) }
}

fn about<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>, name: &'static str) -> Deed {
    deed(Action::ManageIntegrations, name, Object::new("organisation", staff.org))
}

/// Whether payers can pay at Stripe, and by which key.
#[utoipa::path(get, path = "/v1/orgs/{org}/stripe-account", tag = "stripe-account", params(("org" = String, Path)),
    responses((status = 200, body = AccountShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = about(staff, "stripe_account.read");
    let visit = staff.desk.enter(&staff.caller, &staff.org, &deed, vec![RowKey::StripeAccount]).await?;
    let body = output::json(&shape(visit.book.get::<StripeAccount>(&()).ok().flatten()));
    staff.desk.record(&staff.caller, &visit, &deed, Outcome::Allowed).await?;
    Ok(Response::json(200, body))
}

/// Has payers pay on the account that a restricted key is of, once Stripe took the key; of one that is connected already it is not
/// asked again. Those who pay know another key 5 minutes later at the latest.
#[utoipa::path(put, path = "/v1/orgs/{org}/stripe-account", tag = "stripe-account",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = AccountOrder,
    responses((status = 200, body = AccountShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn connect<T: Tables, K: KeyService, V: KeepSecret, Q, C: Checkout, E>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, Q, C, E>,
) -> Result<Response, Failed> {
    let deed = about(staff, "stripe_account.connect");
    let AccountOrder { restricted_key } = staff.taken(&deed, input::body(staff.request)).await?;
    let key =
        RestrictedKey::new(restricted_key).map_err(|error| invalid("/restricted_key", error.to_string()));
    let key = staff.taken(&deed, key).await?;
    let (hash, now) = (fingerprint(key.secret()), staff.caller.now);
    let tried = OnceCell::new();
    let work = async |entered: Entered<'_>| {
        let before = entered.book.get::<StripeAccount>(&())?;
        let same = before.filter(|before| before.fingerprint == hash && before.is_taken()).cloned();
        if same.is_none() {
            tried.get_or_try_init(async || try_key(&outside.stripe, key.secret()).await).await?;
        }
        let fields = if same.is_some() { vec![] } else { vec!["stripe_account"] };
        let connected =
            StripeAccount { key_hint: key.hint(), connected_at: now, refused_at: None, fingerprint: hash };
        let account = same.unwrap_or(connected);
        let body = output::json(&shape(Some(&account)));
        entered.book.put(account)?;
        let changed = vec![(deed.object.clone(), fields)];
        Ok(Made { changed, answer: Answered { status: 200, body, version: None } })
    };
    let answered = staff.change(&deed, &[RowKey::StripeAccount], work).await?;
    follow(staff, &outside.stripe_keys, Some(key.secret())).await?;
    Ok(made(answered))
}

/// Has payers pay at Stripe no more.
#[utoipa::path(delete, path = "/v1/orgs/{org}/stripe-account", tag = "stripe-account",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn disconnect<T: Tables, K: KeyService, V: KeepSecret, Q, C: Checkout, E>(
    staff: &Staff<'_, T, K>,
    outside: &Outside<V, Q, C, E>,
) -> Result<Response, Failed> {
    let deed = about(staff, "stripe_account.disconnect");
    staff.taken(&deed, input::no_body(staff.request)).await?;
    let work = async |entered: Entered<'_>| {
        let was = entered.book.get::<StripeAccount>(&())?.is_some();
        entered.book.remove::<StripeAccount>(&())?;
        let fields = if was { vec!["stripe_account"] } else { vec![] };
        let changed = vec![(deed.object.clone(), fields)];
        Ok(Made { changed, answer: Answered { status: 204, body: String::new(), version: None } })
    };
    let answered = staff.change(&deed, &[RowKey::StripeAccount], work).await?;
    follow(staff, &outside.stripe_keys, None).await?;
    Ok(made(answered))
}

/// Whether Stripe takes the key, and for writing Checkout Sessions: found out without an effect.
async fn try_key<C: Checkout>(stripe: &C, key: &Secret) -> Result<(), Refusal> {
    let refused = "Stripe does not take it, or not to write Checkout Sessions: copy it once more, and see in the Stripe dashboard \
                   that it has not expired and has that permission";
    match stripe.expire(key, NO_SESSION).await {
        Ok(_) | Err(StripeError::NotFound) => Ok(()),
        Err(StripeError::KeyRefused(_)) => {
            Err(Refusal::Invalid(vec![FieldError::new("/restricted_key", refused)]))
        }
        Err(error @ StripeError::Unavailable(_)) => Err(Refusal::Unavailable(error.to_string())),
        Err(error @ StripeError::Refused(_)) => Err(Refusal::Internal(error.to_string())),
    }
}

/// Brings the vault after the row: to `key`, where the row is of that key; to none, where there is no row. A row of another key is
/// another request's to follow.
async fn follow<T: Tables, K: KeyService, V: KeepSecret>(
    staff: &Staff<'_, T, K>,
    vault: &V,
    key: Option<&Secret>,
) -> Result<(), Refusal> {
    let name = staff.org.to_string();
    for _ in 0..TRIES {
        // The vault before the row, so that whoever changes the row after it was read finds the vault as it was, or moved on.
        let held = vault.read_version(&name).await.map_err(failed)?;
        let rows = staff.store().read(&staff.org, vec![RowKey::StripeAccount]).await?;
        let row = rows.iter().find_map(|(_, stored)| stored.as_ref());
        let wanted = match row.and_then(|(row, _): &(Row, u64)| StripeAccount::of(row)) {
            None => None,
            Some(row) => match key.filter(|key| fingerprint(key) == row.fingerprint) {
                Some(key) => Some(key.clone()),
                None => return Ok(()),
            },
        };
        let empty = || StripeKeyEntry { v: StripeKeyEntry::VERSION, key: None, before: Vec::new() };
        let entry =
            held.as_ref().and_then(|(held, _)| serde_json::from_str::<StripeKeyEntry>(held.reveal()).ok());
        let entry = entry.unwrap_or_else(empty).replaced(wanted, staff.caller.now);
        let written = serde_json::to_string(&entry);
        let written = written.map_err(|_| Refusal::Internal("an entry has no JSON form".to_owned()))?;
        let written = Secret::new(written);
        let done = match held {
            Some((held, _)) if held == written => true,
            Some((_, seen)) => vault.replace_secret(&name, &written, &seen).await.map_err(failed)?,
            None => vault.create_secret(&name, &written).await.map_err(failed)?,
        };
        if done {
            return Ok(());
        }
    }
    Err(Refusal::Overtaken)
}
