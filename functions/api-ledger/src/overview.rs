//! `/v1/orgs/{org}/overview`.

use jiff::tz::TimeZone;
use plixo_api::document::Problems;
use plixo_api::staff::{Staff, deed};
use plixo_api::{Failed, output};
use plixo_authz::Action;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::ledger::{Kept, Totals};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::Refusal;
use plixo_store::Tables;

use crate::shape::{CurrencyOverviewShape, OverviewShape};

/// The organisation's money, as of today in UTC, by currency: what is open, what of that is overdue, and what was received in
/// each of the last twelve months, less what went back, the running month last. It follows the ledger with a delay of a second
/// or so.
#[utoipa::path(get, path = "/v1/orgs/{org}/overview", tag = "overview", params(("org" = String, Path)),
    responses((status = 200, body = OverviewShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::ReadLedger, "overview.read", Object::new("organisation", staff.org));
    let visit = staff.desk.enter(&staff.caller, &staff.org, &deed, vec![Totals::key(&())]).await?;
    staff.desk.record(&staff.caller, &visit, &deed, Outcome::Allowed).await?;
    let today = staff.caller.now.to_zoned(TimeZone::UTC).date();
    let totals = visit.book.get::<Totals>(&()).ok().flatten().cloned().unwrap_or_default();
    let overview = totals.overview(today).map_err(|error| Refusal::Internal(error.to_string()))?;
    let currencies = overview.into_iter().map(CurrencyOverviewShape::from).collect();
    Ok(Response::json(200, output::json(&OverviewShape { currencies })))
}
