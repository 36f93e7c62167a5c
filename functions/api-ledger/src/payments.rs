//! `/v1/orgs/{org}/payments`.

use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Failed, Limit};
use plixo_api::output::{self, List as Part, made, shown};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::id::{AllocationId, PaymentId};
use plixo_domain::ledger::staff::{allocate as apply, deallocate as take_back, record_payment};
use plixo_domain::ledger::{Invoice, Kept, Payment, PaymentPointer, Row, RowKey};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::{Answered, Deed, Entered, Made, Not, Refusal, Visit};
use plixo_store::{List, Tables};
use plixo_suggestions::{Depth, Found, suggestions};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::expand::{self, Expand, OfList, OfPayment, OfSuggestion};
use crate::shape::{
    AllocationOrder, AllocationShape, InvoiceName, PaymentOrder, PaymentShape, SuggestionsShape, allocations,
};

/// Which part of the payments.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Only those with something left to apply.
    #[serde(default)]
    unapplied: bool,
    /// `customer`: each with its customer's name, where it is known.
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
    /// `customer`: with its customer's name; `invoices`: each allocation with its invoice's number. Both with a comma between.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    expand: Expand<OfPayment>,
}

/// The payments, the youngest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/payments", tag = "payments", params(("org" = String, Path), Query),
    responses((status = 200, body = Part<PaymentShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::ReadLedger, "payment.list", Object::new("organisation", staff.org));
    let query = staff.taken(&deed, input::query(staff.request)).await?;
    let Query { unapplied, expand, limit, cursor } = query;
    let (list, filter) = match unapplied {
        true => (List::UnappliedPayments, "payments unapplied"),
        false => (List::Payments, "payments"),
    };
    let (rows, next_cursor) = staff.list(&deed, &list, filter, (limit, cursor.as_deref())).await?;
    let mut data = Vec::with_capacity(rows.len());
    for (row, _) in rows {
        if let Row::Payment(payment) = row {
            data.push(shape(staff, &payment).await?);
        }
    }
    if expand.has(&OfList::Customer) {
        let names = expand::names(staff, data.iter().filter_map(|it| it.customer_id), []).await?;
        data = data.into_iter().map(|it| names.put_into(it)).collect();
    }
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// Records money that no provider tells of.
#[utoipa::path(post, path = "/v1/orgs/{org}/payments", tag = "payments",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = PaymentOrder,
    responses((status = 201, body = PaymentShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn record<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::WriteLedger, "payment.record", Object::new("organisation", staff.org));
    let order: PaymentOrder = staff.taken(&deed, input::body(staff.request)).await?;
    let work = async |entered: Entered<'_>| {
        let recorded = record_payment(entered.book, order.clone().into(), entered.ids, staff.caller.now)?;
        let payment = found(entered.book, &recorded.id)?;
        let body = output::json(&opened(staff, payment).await?);
        let changed = vec![(Object::new("payment", recorded.id), recorded.fields)];
        Ok(Made { changed, answer: Answered { status: 201, body, version: Some(1) } })
    };
    Ok(made(staff.change(&deed, &[], work).await?))
}

/// One payment.
#[utoipa::path(get, path = "/v1/orgs/{org}/payments/{id}", tag = "payments",
    params(("org" = String, Path), ("id" = String, Path), Besides),
    responses((status = 200, body = PaymentShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<PaymentId>(Action::ReadLedger, "payment.read", "payment").await?;
    let Besides { expand } = staff.taken(&deed, input::query(staff.request)).await?;
    let (payment, version, _) = read(staff, &deed, &id).await?;
    let shape = shape(staff, &payment).await?;
    let customer = shape.customer_id.filter(|_| expand.has(&OfPayment::Customer));
    let invoices = shape.allocations.iter().map(|it| it.invoice_id);
    let invoices: Vec<_> = invoices.filter(|_| expand.has(&OfPayment::Invoices)).collect();
    let names = expand::names(staff, customer, invoices).await?;
    Ok(shown(&names.put_into(shape), version))
}

/// What to show with suggestions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BesidesSuggestions {
    /// `invoices`: each allocation with its invoice's number.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    expand: Expand<OfSuggestion>,
}

/// The invoices that what is unapplied of a payment may be for, the surest first, and why; none under a confidence of 0.6. To accept
/// one, post its allocations to the payment.
#[utoipa::path(get, path = "/v1/orgs/{org}/payments/{id}/suggestions", tag = "payments",
    params(("org" = String, Path), ("id" = String, Path), BesidesSuggestions),
    responses((status = 200, body = SuggestionsShape), Problems), security(("bearer" = [])))]
pub(crate) async fn suggest<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<PaymentId>(Action::ReadLedger, "payment.suggest", "payment").await?;
    let BesidesSuggestions { expand } = staff.taken(&deed, input::query(staff.request)).await?;
    let (payment, _, visit) = read(staff, &deed, &id).await?;
    let (store, now) = (staff.store(), staff.caller.now);
    let payer = store.open_payer(&staff.org, &payment, now).await.map_err(Refusal::from)?;
    let found = suggestions(store, &visit.org, (&payment, &payer), Depth::Everything, now).await;
    let Found { suggested, rows } = found.map_err(Refusal::from)?;
    let numbers = rows.iter().filter(|_| expand.has(&OfSuggestion::Invoices));
    let numbers = numbers.filter_map(|(_, row)| Invoice::of(&row.as_ref()?.0));
    let names = numbers.map(|it| (it.id, InvoiceName { id: it.id, number: it.number.clone() })).collect();
    let shape = SuggestionsShape::new(suggested, &names)
        .ok_or_else(|| Refusal::Internal("a confidence that is no number".to_owned()))?;
    Ok(Response::json(200, output::json(&shape)))
}

/// Lets the member in to read one payment, and writes that it was read.
async fn read<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    deed: &Deed,
    id: &PaymentId,
) -> Result<(Payment, u64, Visit), Failed> {
    let rows = vec![PaymentPointer::key(id)];
    let mut visit = staff.desk.enter(&staff.caller, &staff.org, deed, rows).await?;
    let reference = visit.book.get::<PaymentPointer>(id).ok().flatten().map(|it| it.reference.clone());
    let mut payment = None;
    if let Some(reference) = reference {
        let named = vec![Payment::key(&reference)];
        let read = staff.store().read_shown(&staff.org, named, staff.caller.now).await;
        for (name, stored) in read.map_err(Refusal::from)? {
            visit.book.learn(name, stored);
        }
        let version = visit.book.version::<Payment>(&reference).unwrap_or_default();
        payment = visit.book.get::<Payment>(&reference).ok().flatten().map(|it| (it.clone(), version));
    }
    let outcome = if payment.is_some() { Outcome::Allowed } else { Outcome::Failed };
    staff.desk.record(&staff.caller, &visit, deed, outcome).await?;
    let (payment, version) = payment.ok_or(Refusal::NotFound)?;
    Ok((payment, version, visit))
}

/// Applies parts of a payment to invoices: all of them or none. `If-Match` is about the payment.
#[utoipa::path(post, path = "/v1/orgs/{org}/payments/{id}/allocations", tag = "payments",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = AllocationOrder,
    responses((status = 201, body = Part<AllocationShape>), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn allocate<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<PaymentId>(Action::WriteLedger, "allocation.create", "payment").await?;
    let versions = input::if_match(staff.request);
    let order: AllocationOrder = staff.taken(&deed, input::body(staff.request)).await?;
    let wanted: Vec<_> = order.allocations.iter().map(|share| (share.invoice_id, share.amount)).collect();
    let work = async |entered: Entered<'_>| {
        fresh(entered.book, &id, versions.as_deref())?;
        let made = apply(entered.book, &id, &wanted, entered.by, entered.ids)?;
        let payment = found(entered.book, &id)?;
        let mut data = allocations(payment);
        data.retain(|allocation| allocation.is_of(&made.id));
        let body = output::json(&Part { data, next_cursor: None });
        let changed = vec![(Object::new("payment", id), made.fields)];
        Ok(Made { changed, answer: Answered { status: 201, body, version: None } })
    };
    Ok(made(staff.change(&deed, &[RowKey::PaymentPointer(id)], work).await?))
}

/// Takes an allocation back: all is as it was before it. `If-Match` is about the payment.
#[utoipa::path(delete, path = "/v1/orgs/{org}/payments/{id}/allocations/{allocation}", tag = "payments",
    params(("org" = String, Path), ("id" = String, Path), ("allocation" = String, Path),
        ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn deallocate<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
) -> Result<Response, Failed> {
    let (id, of_payment) =
        staff.about::<PaymentId>(Action::WriteLedger, "allocation.delete", "payment").await?;
    let allocation = input::id::<AllocationId>(staff.request, "allocation");
    let allocation = staff.taken(&of_payment, allocation).await?;
    let deed = Deed { object: Object::new("allocation", allocation), ..of_payment };
    let versions = input::if_match(staff.request);
    staff.taken(&deed, input::no_body(staff.request)).await?;
    let work = async |entered: Entered<'_>| {
        fresh(entered.book, &id, versions.as_deref())?;
        let undone = take_back(entered.book, &id, &allocation, entered.by, entered.ids)?;
        let changed = vec![(Object::new("allocation", undone.id), undone.fields)];
        Ok(Made { changed, answer: Answered { status: 204, body: String::new(), version: None } })
    };
    Ok(made(staff.change(&deed, &[RowKey::PaymentPointer(id)], work).await?))
}

/// Refuses what is to be done to a payment that was changed since it was seen.
fn fresh(book: &plixo_domain::ledger::Book, id: &PaymentId, seen: Option<&[u64]>) -> Result<(), Not> {
    let version = book.version::<Payment>(&found(book, id)?.reference);
    Ok(input::fresh(seen, version)?)
}

fn found<'b>(book: &'b plixo_domain::ledger::Book, id: &PaymentId) -> Result<&'b Payment, Not> {
    let missing = || Not::Refused(Refusal::NotFound);
    let reference = book.get::<PaymentPointer>(id)?.ok_or_else(missing)?.reference.clone();
    book.get::<Payment>(&reference)?.ok_or_else(missing)
}

async fn opened<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    payment: &Payment,
) -> Result<PaymentShape, Refusal> {
    let payer = staff.store().open_payer(&staff.org, payment, staff.caller.now).await?;
    Ok(PaymentShape::new(payment, payer))
}

async fn shape<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    payment: &Payment,
) -> Result<PaymentShape, Failed> {
    Ok(opened(staff, payment).await?)
}
