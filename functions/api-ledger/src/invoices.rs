//! `/v1/orgs/{org}/invoices`.

use jiff::tz::TimeZone;
use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Failed, Limit};
use plixo_api::output::{self, List as Part, made, shown};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::id::{CustomerId, InvoiceId};
use plixo_domain::ledger::staff::{
    Changed, NO_NUMBER, Stopped, create_invoice, finalize_invoice, is_invoice_number, mark_uncollectible,
    update_invoice, void_invoice,
};
use plixo_domain::ledger::{Invoice, InvoiceNumber, InvoiceStatus, Kept, Row, RowKey};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::{Answered, Deed, Entered, Made, Not, Refusal};
use plixo_store::{List, Tables};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::expand::{self, Expand, OfInvoice, OfList};
use crate::shape::{InvoiceChange, InvoiceOrder, InvoiceShape};

/// Which part of the invoices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only those of this status, earliest due first.
    #[param(value_type = Option<String>)]
    status: Option<InvoiceStatus>,
    /// Only this customer's, the youngest first; with `status` as well, earliest due first.
    #[param(value_type = Option<String>)]
    customer_id: Option<CustomerId>,
    /// Only the one of this number. Not together with `status`, `customer_id` or `cursor`.
    #[param(min_length = 1, max_length = 64)]
    number: Option<String>,
    /// `customer`: each with its customer's name.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    expand: Expand<OfList>,
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
    /// `payments`: with its allocations, each with its payment.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    expand: Expand<OfInvoice>,
}

/// The invoices, the youngest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/invoices", tag = "invoices", params(("org" = String, Path), Query),
    responses((status = 200, body = Part<InvoiceShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::ReadLedger, "invoice.list", Object::new("organisation", staff.org));
    let query = staff.taken(&deed, input::query(staff.request)).await?;
    let Query { status, customer_id, number, expand, limit, cursor } = query;
    if let Some(number) = number {
        if status.is_some() || customer_id.is_some() || cursor.is_some() {
            let wrong = Err(input::invalid("/number", "ask by number, or by something else"));
            return staff.taken(&deed, wrong).await;
        }
        if !is_invoice_number(&number) {
            return staff.taken(&deed, Err(input::invalid("/number", NO_NUMBER))).await;
        }
        return list_one(staff, &deed, number, &expand).await;
    }
    let (list, filter) = match (status, customer_id) {
        (None, None) => (List::Invoices, "invoices".to_owned()),
        (Some(status), None) => (List::InvoicesOf(status), format!("invoices status={}", status.as_str())),
        (None, Some(customer)) => {
            (List::InvoicesOfCustomer(customer), format!("invoices customer={customer}"))
        }
        (Some(status), Some(customer)) => (
            List::InvoicesOfCustomerThatAre(customer, status),
            format!("invoices status={} customer={customer}", status.as_str()),
        ),
    };
    let (rows, next_cursor) = staff.list(&deed, &list, &filter, (limit, cursor.as_deref())).await?;
    let data = shapes(staff, rows.into_iter().map(|(row, _)| row), &expand).await?;
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// The list of the one invoice that has a number.
async fn list_one<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    deed: &Deed,
    number: String,
    expand: &Expand<OfList>,
) -> Result<Response, Failed> {
    let rows = vec![InvoiceNumber::key(&number)];
    let visit = staff.desk.enter(&staff.caller, &staff.org, deed, rows).await?;
    let named = visit.book.get::<InvoiceNumber>(&number).ok().flatten().map(|it| Invoice::key(&it.invoice));
    let read = staff.store().read_shown(&staff.org, named.into_iter().collect(), staff.caller.now).await;
    let rows = read.map_err(Refusal::from)?.into_iter().filter_map(|(_, row)| row.map(|(row, _)| row));
    let data = shapes(staff, rows, expand).await?;
    staff.desk.record(&staff.caller, &visit, deed, Outcome::Allowed).await?;
    Ok(Response::json(200, output::json(&Part { data, next_cursor: None })))
}

/// Makes a draft.
#[utoipa::path(post, path = "/v1/orgs/{org}/invoices", tag = "invoices",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = InvoiceOrder,
    responses((status = 201, body = InvoiceShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn create<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::WriteLedger, "invoice.create", Object::new("organisation", staff.org));
    let order: InvoiceOrder = staff.taken(&deed, input::body(staff.request)).await?;
    let work = async |entered: Entered<'_>| {
        let created = create_invoice(entered.book, order.clone().into(), entered.ids);
        answered(staff, entered.book, created, 201).await
    };
    Ok(made(staff.change(&deed, &[], work).await?))
}

/// One invoice.
#[utoipa::path(get, path = "/v1/orgs/{org}/invoices/{id}", tag = "invoices",
    params(("org" = String, Path), ("id" = String, Path), Besides),
    responses((status = 200, body = InvoiceShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<InvoiceId>(Action::ReadLedger, "invoice.read", "invoice").await?;
    let Besides { expand } = staff.taken(&deed, input::query(staff.request)).await?;
    let (invoice, version, _) = staff.read::<Invoice>(&deed, &id).await?;
    let mut shape = shape(staff, &invoice).await?;
    if expand.has(&OfInvoice::Payments) {
        shape.allocations = Some(expand::applied(staff, &invoice).await?);
    }
    Ok(shown(&shape, version))
}

/// Changes a draft.
#[utoipa::path(patch, path = "/v1/orgs/{org}/invoices/{id}", tag = "invoices",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = InvoiceChange,
    responses((status = 200, body = InvoiceShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn update<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let change = input::body::<InvoiceChange>(staff.request);
    act(staff, "invoice.update", change, async |entered, id, change| {
        let Some(invoice) = entered.book.get::<Invoice>(id)?.cloned() else {
            return Err(Not::Refused(Refusal::NotFound));
        };
        let kept = staff.store().open_body(&staff.org, &invoice, staff.caller.now).await;
        Ok(update_invoice(entered.book, id, &kept.map_err(Refusal::from)?, change.clone().into()))
    })
    .await
}

/// Issues a draft: from then on it is owed.
#[utoipa::path(post, path = "/v1/orgs/{org}/invoices/{id}/finalize", tag = "invoices",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = InvoiceShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn finalize<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let today = staff.caller.now.to_zoned(TimeZone::UTC).date();
    act(staff, "invoice.finalize", input::no_body(staff.request), async |entered, id, ()| {
        Ok(finalize_invoice(entered.book, id, entered.by, today))
    })
    .await
}

/// Withdraws an invoice to which no money is applied.
#[utoipa::path(post, path = "/v1/orgs/{org}/invoices/{id}/void", tag = "invoices",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = InvoiceShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn void<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let nothing = input::no_body(staff.request);
    act(staff, "invoice.void", nothing, async |entered, id, ()| {
        Ok(void_invoice(entered.book, id, staff.caller.now))
    })
    .await
}

/// Gives an open invoice up. Money that comes all the same is taken.
#[utoipa::path(post, path = "/v1/orgs/{org}/invoices/{id}/uncollectible", tag = "invoices",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = InvoiceShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn uncollectible<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
) -> Result<Response, Failed> {
    act(staff, "invoice.uncollectible", input::no_body(staff.request), async |entered, id, ()| {
        Ok(mark_uncollectible(entered.book, id, staff.caller.now))
    })
    .await
}

/// Does something, with what came for it, to the invoice that the path names, if it is as `If-Match` says, and shows it.
async fn act<T: Tables, K: KeyService, C, F>(
    staff: &Staff<'_, T, K>,
    name: &'static str,
    came: Result<C, Failed>,
    work: F,
) -> Result<Response, Failed>
where
    F: AsyncFn(&mut Entered<'_>, &InvoiceId, &C) -> Result<Result<Changed<InvoiceId>, Stopped>, Not>,
{
    let (id, deed) = staff.about::<InvoiceId>(Action::WriteLedger, name, "invoice").await?;
    let came = staff.taken(&deed, came).await?;
    let versions = input::if_match(staff.request);
    let work = async |mut entered: Entered<'_>| {
        input::fresh(versions.as_deref(), entered.book.version::<Invoice>(&id))?;
        let changed = work(&mut entered, &id, &came).await?;
        answered(staff, entered.book, changed, 200).await
    };
    Ok(made(staff.change(&deed, &[RowKey::Invoice(id)], work).await?))
}

async fn answered<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    book: &plixo_domain::ledger::Book,
    changed: Result<Changed<InvoiceId>, Stopped>,
    status: u16,
) -> Result<Made, Not> {
    let Changed { id, fields } = changed?;
    let Some(invoice) = book.get::<Invoice>(&id)? else { return Err(Not::Refused(Refusal::NotFound)) };
    let body = staff.store().open_body(&staff.org, invoice, staff.caller.now).await.map_err(Refusal::from)?;
    let before = book.version::<Invoice>(&id).unwrap_or_default();
    let version = Some(before.saturating_add(u64::from(!fields.is_empty())));
    let answer = Answered { status, body: output::json(&InvoiceShape::new(invoice, body)), version };
    Ok(Made { changed: vec![(Object::new("invoice", id), fields)], answer })
}

async fn shapes<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    rows: impl Iterator<Item = Row>,
    expand: &Expand<OfList>,
) -> Result<Vec<InvoiceShape>, Failed> {
    let mut shapes = Vec::new();
    for row in rows {
        if let Row::Invoice(invoice) = row {
            shapes.push(shape(staff, &invoice).await?);
        }
    }
    if expand.has(&OfList::Customer) {
        let names = expand::names(staff, shapes.iter().map(|it| it.customer_id), []).await?;
        shapes.iter_mut().for_each(|it| it.customer = names.customer(&it.customer_id));
    }
    Ok(shapes)
}

async fn shape<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    invoice: &Invoice,
) -> Result<InvoiceShape, Failed> {
    let body = staff.store().open_body(&staff.org, invoice, staff.caller.now).await;
    Ok(InvoiceShape::new(invoice, body.map_err(Refusal::from)?))
}
