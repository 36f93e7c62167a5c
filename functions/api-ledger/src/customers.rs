//! `/v1/orgs/{org}/customers`.

use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Failed, Limit};
use plixo_api::output::{self, List as Part, made, shown};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_domain::audit::Object;
use plixo_domain::id::CustomerId;
use plixo_domain::ledger::staff::{create_customer, update_customer};
use plixo_domain::ledger::{Customer, Personal, Row, RowKey};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::{Answered, Made, Not, Refusal};
use plixo_store::{List, Tables};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::shape::{CustomerChange, CustomerShape, PersonalShape};

/// Which part of the customers.
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

/// The customers, the youngest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/customers", tag = "customers", params(("org" = String, Path), Query),
    responses((status = 200, body = Part<CustomerShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::ReadLedger, "customer.list", Object::new("organisation", staff.org));
    let Query { limit, cursor } = staff.taken(&deed, input::query(staff.request)).await?;
    let page = (limit, cursor.as_deref());
    let (rows, next_cursor) = staff.list(&deed, &List::Customers, "customers", page).await?;
    let mut data = Vec::with_capacity(rows.len());
    for (row, _) in rows {
        if let Row::Customer(customer) = row {
            data.push(shape(staff, &customer).await?);
        }
    }
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// Makes a customer.
#[utoipa::path(post, path = "/v1/orgs/{org}/customers", tag = "customers",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = PersonalShape,
    responses((status = 201, body = CustomerShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn create<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::WriteLedger, "customer.create", Object::new("organisation", staff.org));
    let shape: PersonalShape = staff.taken(&deed, input::body(staff.request)).await?;
    let personal = Personal::from(shape);
    let work = async |entered: plixo_staff::Entered<'_>| {
        let created = create_customer(entered.book, personal.clone(), entered.ids)?;
        let customer = Customer::new(created.id, Personal::default());
        let body = output::json(&CustomerShape::new(&customer, personal.clone()));
        let changed = vec![(Object::new("customer", created.id), created.fields)];
        Ok(Made { changed, answer: Answered { status: 201, body, version: Some(1) } })
    };
    Ok(made(staff.change(&deed, &[], work).await?))
}

/// One customer.
#[utoipa::path(get, path = "/v1/orgs/{org}/customers/{id}", tag = "customers",
    params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = CustomerShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<CustomerId>(Action::ReadLedger, "customer.read", "customer").await?;
    let (customer, version, _) = staff.read::<Customer>(&deed, &id).await?;
    Ok(shown(&shape(staff, &customer).await?, version))
}

/// Changes what is kept of a customer.
#[utoipa::path(patch, path = "/v1/orgs/{org}/customers/{id}", tag = "customers",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = CustomerChange,
    responses((status = 200, body = CustomerShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn update<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<CustomerId>(Action::WriteLedger, "customer.update", "customer").await?;
    let change: CustomerChange = staff.taken(&deed, input::body(staff.request)).await?;
    let versions = input::if_match(staff.request);
    let work = async |entered: plixo_staff::Entered<'_>| {
        let Some(customer) = entered.book.get::<Customer>(&id)?.cloned() else {
            return Err(Not::Refused(Refusal::NotFound));
        };
        let version = entered.book.version::<Customer>(&id).unwrap_or_default();
        input::fresh(versions.as_deref(), Some(version))?;
        let (org, now) = (&staff.org, staff.caller.now);
        // What people keep, without what a provider said of the customer.
        let ours = Customer { told: None, ..customer };
        let kept = staff.store().open_personal(org, &ours, now).await.map_err(Refusal::from)?;
        let changed = update_customer(entered.book, &id, &kept, change.clone().into(), now)?;
        let Some(after) = entered.book.get::<Customer>(&id)? else {
            return Err(Not::Refused(Refusal::NotFound));
        };
        let shown = staff.store().open_personal(org, after, now).await.map_err(Refusal::from)?;
        let body = output::json(&CustomerShape::new(after, shown));
        let version = Some(version.saturating_add(u64::from(!changed.fields.is_empty())));
        let changed = vec![(Object::new("customer", id), changed.fields)];
        Ok(Made { changed, answer: Answered { status: 200, body, version } })
    };
    let rows = [RowKey::Customer(id)];
    Ok(made(staff.change(&deed, &rows, work).await?))
}

async fn shape<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    customer: &Customer,
) -> Result<CustomerShape, Failed> {
    let opened = staff.store().open_personal(&staff.org, customer, staff.caller.now).await;
    Ok(CustomerShape::new(customer, opened.map_err(Refusal::from)?))
}
