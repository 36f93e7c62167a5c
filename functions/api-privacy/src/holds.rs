//! `/v1/orgs/{org}/legal-holds`.

use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Expand, Failed, Limit, invalid};
use plixo_api::output::{self, List as Part, made, shown};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_aws::sqs::SendMessage;
use plixo_domain::audit::Object;
use plixo_domain::hold::{self, HeldBy, HoldError, LegalHold, Release};
use plixo_domain::id::HoldId;
use plixo_domain::ledger::staff::typed_reason;
use plixo_domain::ledger::{Book, Customer, Invoice, Kept, RowKey};
use plixo_domain::people::By;
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::{Answered, Entered, FieldError, Made, Not, Refusal};
use plixo_store::{List, Tables};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::requests;
use crate::shape::{Emails, HoldOrder, HoldShape};

const RELEASED: &str = "hold_released";

/// Which part of the legal holds.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// `members`: who placed and who released each, with their emails.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    expand: Expand<OfHold>,
    /// 1 to 100, 25 if absent.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the part before.
    cursor: Option<String>,
}

/// What to show besides.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Besides {
    /// `members`: who placed and who released it, with their emails.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    expand: Expand<OfHold>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OfHold {
    Members,
}

/// The legal holds, released ones among them, the youngest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/legal-holds", tag = "legal-holds", params(("org" = String, Path), Query),
    responses((status = 200, body = Part<HoldShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::ManagePrivacy, "legal_hold.list", Object::new("organisation", staff.org));
    let Query { expand, limit, cursor } = staff.taken(&deed, input::query(staff.request)).await?;
    let page = (limit, cursor.as_deref());
    let (rows, next_cursor) = staff.list(&deed, &List::LegalHolds, "legal-holds", page).await?;
    let holds: Vec<_> = rows.iter().filter_map(|(row, _)| LegalHold::of(row)).collect();
    let emails = emails(staff, &holds, &expand).await?;
    let mut data = Vec::with_capacity(holds.len());
    for hold in holds {
        data.push(shape(staff, hold, &emails).await?);
    }
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// Places a legal hold. From now on nothing of what it is on is deleted or erased, whatever is due and whoever asks for it.
#[utoipa::path(post, path = "/v1/orgs/{org}/legal-holds", tag = "legal-holds",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = HoldOrder,
    responses((status = 201, body = HoldShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn place<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::ManagePrivacy, "legal_hold.place", Object::new("organisation", staff.org));
    let order: HoldOrder = staff.taken(&deed, input::body(staff.request)).await?;
    let (on, row, field) = staff.taken(&deed, on(&order)).await?;
    let work = async |entered: Entered<'_>| {
        let Entered { visit, book, ids, .. } = entered;
        let reason = typed_reason(&order.reason)?;
        is_there(book, &on)?;
        let (id, placed_by) = (ids.make(), By::of(&visit.member));
        let hold = LegalHold { id, on, reason, placed_by, placed_at: staff.caller.now, released: None };
        let body = output::json(&HoldShape::new(&hold, order.reason.clone(), &Emails::new()));
        hold::place(book, hold).map_err(refused)?;
        let fields = field.into_iter().chain(["reason"]).collect();
        let version = Some(book.next_version::<LegalHold>(&id));
        let changed = vec![(Object::new("legal_hold", id), fields)];
        Ok(Made { changed, answer: Answered { status: 201, body, version } })
    };
    let rows: Vec<_> = row.into_iter().chain([RowKey::Holds]).collect();
    Ok(made(staff.change(&deed, &rows, work).await?))
}

/// One legal hold.
#[utoipa::path(get, path = "/v1/orgs/{org}/legal-holds/{id}", tag = "legal-holds",
    params(("org" = String, Path), ("id" = String, Path), Besides),
    responses((status = 200, body = HoldShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<HoldId>(Action::ManagePrivacy, "legal_hold.read", "legal_hold").await?;
    let Besides { expand } = staff.taken(&deed, input::query(staff.request)).await?;
    let (hold, version, _) = staff.read::<LegalHold>(&deed, &id).await?;
    let emails = emails(staff, &[&hold], &expand).await?;
    Ok(shown(&shape(staff, &hold, &emails).await?, version))
}

/// Releases a legal hold. What was due meanwhile goes now, and the erasures that wait are looked at again.
#[utoipa::path(post, path = "/v1/orgs/{org}/legal-holds/{id}/release", tag = "legal-holds",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = HoldShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn release<T: Tables, K: KeyService, Q: SendMessage>(
    staff: &Staff<'_, T, K>,
    queue: &Q,
) -> Result<Response, Failed> {
    let name = "legal_hold.release";
    let (id, deed) = staff.about::<HoldId>(Action::ManagePrivacy, name, "legal_hold").await?;
    staff.taken(&deed, input::no_body(staff.request)).await?;
    let versions = input::if_match(staff.request);
    let work = async |entered: Entered<'_>| {
        let Entered { visit, book, .. } = entered;
        input::fresh(versions.as_deref(), book.version::<LegalHold>(&id))?;
        let by = By::of(&visit.member);
        let hold = hold::release(book, &id, by, staff.caller.now).map_err(refused)?;
        let body = output::json(&shape(staff, &hold, &Emails::new()).await?);
        let version = Some(book.next_version::<LegalHold>(&id));
        let changed = vec![(Object::new("legal_hold", id), vec!["released_by", "released_at"])];
        Ok(Made { changed, answer: Answered { status: 200, body, version } })
    };
    let done = staff.change(&deed, &[LegalHold::key(&id), RowKey::Holds], work).await;
    // Of what was released before, the messages may have been lost. Two do no harm.
    if matches!(&done, Ok(_) | Err(Failed::Refused(Refusal::State { code: RELEASED, .. }))) {
        requests::send_held(staff, queue).await?;
    }
    Ok(made(done?))
}

/// What a hold is to be on, its row, and how the request names it.
type On = (HeldBy, Option<RowKey>, Option<&'static str>);

fn on(order: &HoldOrder) -> Result<On, Failed> {
    match (order.customer_id, order.invoice_id) {
        (None, None) => Ok((HeldBy::Organisation, None, None)),
        (Some(id), None) => Ok((HeldBy::Customer(id), Some(Customer::key(&id)), Some("customer_id"))),
        (None, Some(id)) => Ok((HeldBy::Invoice(id), Some(Invoice::key(&id)), Some("invoice_id"))),
        (Some(_), Some(_)) => Err(invalid("/invoice_id", "name a customer or an invoice, and not both")),
    }
}

/// Whether there is what a hold is to be on, and still is when the hold is.
fn is_there(book: &mut Book, on: &HeldBy) -> Result<(), Not> {
    match on {
        HeldBy::Organisation => Ok(()),
        HeldBy::Customer(id) => {
            requests::customer(book, id)?;
            Ok(book.check::<Customer>(id)?)
        }
        HeldBy::Invoice(id) if book.get::<Invoice>(id)?.is_some() => Ok(book.check::<Invoice>(id)?),
        HeldBy::Invoice(_) => {
            let no = FieldError::new("/invoice_id", "there is no such invoice");
            Err(Refusal::Invalid(vec![no]).into())
        }
    }
}

fn refused(error: HoldError) -> Not {
    let detail = error.to_string();
    let state = |code| Not::Refused(Refusal::State { code, detail, pointer: None });
    match error {
        HoldError::Unread(unread) => Not::Unread(unread),
        HoldError::NotFound => Not::Refused(Refusal::NotFound),
        HoldError::Released => state(RELEASED),
        HoldError::TooMany => state("too_many_holds"),
    }
}

async fn shape<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    hold: &LegalHold,
    emails: &Emails,
) -> Result<HoldShape, Refusal> {
    let reason = staff.store().open_hold_reason(&staff.org, hold, staff.caller.now).await?;
    Ok(HoldShape::new(hold, reason, emails))
}

/// The emails of those who placed and released, if they are wanted.
async fn emails<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    holds: &[&LegalHold],
    expand: &Expand<OfHold>,
) -> Result<Emails, Failed> {
    if !expand.has(&OfHold::Members) {
        return Ok(Emails::new());
    }
    let released = |hold: &&LegalHold| hold.released.map(|Release { by, .. }| by);
    let people = holds.iter().map(|hold| hold.placed_by).chain(holds.iter().filter_map(released));
    staff.emails(people).await
}
