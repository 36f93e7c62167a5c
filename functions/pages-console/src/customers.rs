//! Customers.

use plixo_lambda::http::Response;
use plixo_pages::{
    CustomerForm, CustomerList, CustomerPage, CustomerRow, ErasedCustomer, Errors, ProblemKind,
};
use plixo_web::form::Form;
use serde_json::Value;

use crate::fields::{ERASED, known};
use crate::shape::{Address, Customer};
use crate::visit::{Failed, Visit, allowed, among, tried};

const FIELDS: [&str; 9] =
    ["name", "email", "phone", "line1", "line2", "city", "postal_code", "country", "tax_id"];

pub(crate) async fn list(visit: &Visit<'_>) -> Result<Response, Failed> {
    let (org, list) = futures::try_join!(visit.membership(), visit.list::<Customer>("customers", &[]))?;
    let (rows, paging) = list;
    let row = |it: Customer| CustomerRow {
        id: it.id,
        name: title(&it),
        erased_at: it.erased_at,
        email: it.email,
        country: it.address.map(|address| address.country),
    };
    let rows = rows.into_iter().map(row).collect();
    let shown = CustomerList { frame: visit.frame()?, org, rows, paging };
    Ok(Visit::shown(&Errors::default(), shown.render()))
}

pub(crate) async fn show(visit: &Visit<'_>) -> Result<Response, Failed> {
    let ask = visit.ask("GET", "customers/{id}").id("id", visit.path("id"));
    let (org, found) = futures::try_join!(visit.membership(), ask.send::<Customer>())?;
    let name = title(&found.body);
    let request = found.body.privacy_request_id;
    let erased = found.body.erased_at.map(|at| ErasedCustomer { at, request });
    let Customer { id, email, phone, address, tax_id, external_ids, .. } = found.body;
    let shown = CustomerPage {
        frame: visit.frame()?,
        org,
        id,
        name,
        email,
        phone,
        address: lines(address),
        tax_id,
        external_ids: external_ids.into_iter().collect(),
        erased,
    };
    Ok(Visit::shown(&Errors::default(), shown.render()))
}

/// What a customer is called; one that was erased has no name.
pub(crate) fn title(customer: &Customer) -> String {
    known(customer).unwrap_or_else(|| ERASED.to_owned())
}

/// An address as it stands on a letter.
pub(crate) fn lines(address: Option<Address>) -> Vec<String> {
    let Some(Address { line1, line2, city, postal_code, country }) = address else { return Vec::new() };
    let parts = [line1, line2.unwrap_or_default(), format!("{postal_code} {city}"), country];
    parts.into_iter().filter(|line| !line.trim().is_empty()).collect()
}

pub(crate) async fn write(visit: &Visit<'_>) -> Result<Response, Failed> {
    form(visit, &Form::default(), false, String::new(), Errors::default()).await
}

pub(crate) async fn edit(visit: &Visit<'_>) -> Result<Response, Failed> {
    let ask = visit.ask("GET", "customers/{id}").id("id", visit.path("id"));
    let (org, found) = futures::try_join!(visit.membership(), ask.send::<Customer>())?;
    allowed(org.may.write_ledger)?;
    // Nothing is taken of it any more.
    if found.body.erased_at.is_some() {
        return Err(Failed::Own(ProblemKind::Gone));
    }
    let Customer { id, name, email, phone, address, tax_id, .. } = found.body;
    let (line1, line2, city, postal_code, country) = address
        .map(|it| (it.line1, it.line2.unwrap_or_default(), it.city, it.postal_code, it.country))
        .unwrap_or_default();
    let shown = CustomerForm {
        frame: visit.frame()?,
        org,
        id: Some(id),
        version: Some(found.version),
        name: name.unwrap_or_default(),
        email: email.unwrap_or_default(),
        phone: phone.unwrap_or_default(),
        line1,
        line2,
        city,
        postal_code,
        country,
        tax_id: tax_id.unwrap_or_default(),
        errors: Errors::default(),
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

pub(crate) async fn save(visit: &Visit<'_>, typed: &Form, is_edit: bool) -> Result<Response, Failed> {
    let ask = match is_edit {
        true => visit.ask("PATCH", "customers/{id}").id("id", visit.path("id")),
        false => visit.ask("POST", "customers"),
    };
    let saved = ask.of_form(typed).body(&body(typed, is_edit)).send::<Customer>().await;
    match tried(saved, among(&FIELDS))? {
        Ok(saved) => Ok(visit.done(&format!("/customers/{}", saved.body.id), "customer")),
        Err(errors) if errors.is_stale() => {
            let id = visit.path("id");
            let now = visit.ask("GET", "customers/{id}").id("id", id).send::<Customer>().await?;
            let errors = errors.stale_at(visit.page(&format!("/customers/{id}")));
            form(visit, typed, is_edit, now.version, errors).await
        }
        Err(errors) => form(visit, typed, is_edit, typed.text("version").to_owned(), errors).await,
    }
}

/// What is typed; what is not is left out of a new customer, and cleared in one that is edited.
fn body(typed: &Form, is_edit: bool) -> Value {
    let text = |name: &str| typed.some(name).map(Value::from);
    let parts = ["line1", "line2", "city", "postal_code", "country"];
    let address = parts.iter().any(|part| typed.some(part).is_some()).then(|| {
        let optional = |part: &&&str| **part != "line2" || typed.some(part).is_some();
        let parts = parts.iter().filter(optional);
        parts.map(|part| ((*part).to_owned(), Value::from(typed.text(part)))).collect::<Value>()
    });
    let fields = ["email", "phone", "tax_id"].map(|name| (name, text(name)));
    let fields = fields.into_iter().chain([("name", Some(typed.text("name").into())), ("address", address)]);
    let sent = fields.filter(|(_, value)| is_edit || value.is_some());
    sent.map(|(name, value)| (name.to_owned(), value.unwrap_or(Value::Null))).collect()
}

async fn form(
    visit: &Visit<'_>,
    typed: &Form,
    is_edit: bool,
    version: String,
    errors: Errors,
) -> Result<Response, Failed> {
    let text = |name: &str| typed.raw(name).to_owned();
    let id = if is_edit { visit.path("id").parse().ok() } else { None };
    let org = visit.membership().await?;
    allowed(org.may.write_ledger)?;
    let shown = CustomerForm {
        frame: visit.frame()?,
        org,
        id,
        version: id.map(|_| version),
        name: text("name"),
        email: text("email"),
        phone: text("phone"),
        line1: text("line1"),
        line2: text("line2"),
        city: text("city"),
        postal_code: text("postal_code"),
        country: text("country"),
        tax_id: text("tax_id"),
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}
