//! Legal holds: placed, looked at, released.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use plixo_domain::id::{CustomerId, InvoiceId};
use plixo_lambda::http::Response;
use plixo_pages::{Errors, HeldThing, HoldForm, HoldList, HoldOn, HoldPage, HoldRow, ProblemKind, Released};
use plixo_web::ask::Problem;
use plixo_web::form::Form;
use serde_json::json;

use crate::fields::{ERASED, customers, known};
use crate::shape::{Customer, Hold, InvoiceName, List, OneInvoice};
use crate::visit::{Failed, Visit, allowed, tried};

/// With the emails of members.
pub(crate) const EXPAND: (&str, &str) = ("expand", "members");

pub(crate) async fn list(visit: &Visit<'_>) -> Result<Response, Failed> {
    let listed = visit.list::<Hold>("legal-holds", &[EXPAND]);
    let (org, (holds, paging)) = futures::try_join!(visit.membership(), listed)?;
    let rows = rows(visit, holds).await?;
    let shown = HoldList { frame: visit.frame()?, org, rows, paging };
    Ok(Visit::shown(&Errors::default(), shown.render()))
}

/// The holds as people know them: with the names of what they are on.
async fn rows(visit: &Visit<'_>, holds: Vec<Hold>) -> Result<Vec<HoldRow>, Problem> {
    let customers = customer_names(visit, holds.iter().filter_map(|hold| hold.customer_id).collect());
    let numbers = numbers(visit, holds.iter().filter_map(|hold| hold.invoice_id).collect());
    let (customers, numbers) = futures::try_join!(customers, numbers)?;
    let on = |hold: &Hold| match (hold.customer_id, hold.invoice_id) {
        (Some(id), _) => {
            let name = customers.get(&id).cloned().flatten();
            HeldThing::Customer(id, name.unwrap_or_else(|| ERASED.to_owned()))
        }
        (None, Some(id)) => {
            HeldThing::Invoice(id, numbers.get(&id).cloned().unwrap_or_else(|| id.to_string()))
        }
        (None, None) => HeldThing::Organisation,
    };
    let row = |it: Hold| HoldRow {
        id: it.id,
        on: on(&it),
        reason: it.reason,
        placed_by: it.placed_by_email,
        placed_at: it.placed_at,
        released: it.released_at.map(|at| Released { by: it.released_by_email, at }),
    };
    Ok(holds.into_iter().map(row).collect())
}

/// The names of customers; none of one that was erased, or is there no more.
pub(crate) async fn customer_names(
    visit: &Visit<'_>,
    ids: BTreeSet<CustomerId>,
) -> Result<BTreeMap<CustomerId, Option<String>>, Problem> {
    let named = ids.into_iter().map(async |id| {
        let asked = visit.ask("GET", "customers/{id}").id("id", id).send::<Customer>().await;
        Ok::<_, Problem>((id, found(asked.map(|it| it.body))?.and_then(|it| known(&it))))
    });
    join_all(named).await.into_iter().collect()
}

async fn numbers(
    visit: &Visit<'_>,
    ids: BTreeSet<InvoiceId>,
) -> Result<BTreeMap<InvoiceId, String>, Problem> {
    let named = ids.into_iter().map(async |id| {
        let asked = visit.ask("GET", "invoices/{id}").id("id", id).send::<InvoiceName>().await;
        Ok::<_, Problem>(found(asked.map(|it| it.body))?.map(|invoice| (id, invoice.number)))
    });
    join_all(named).await.into_iter().filter_map(Result::transpose).collect()
}

/// What is there no more is nothing.
fn found<T>(asked: Result<T, Problem>) -> Result<Option<T>, Problem> {
    match asked {
        Ok(it) => Ok(Some(it)),
        Err(Problem { status: 404, .. }) => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// The holds that keep a customer's data, of the hundred youngest.
pub(crate) async fn holding(visit: &Visit<'_>, customer: CustomerId) -> Result<Vec<HoldRow>, Problem> {
    let ask = visit.ask("GET", "legal-holds").query(&[EXPAND, ("limit", "100")]);
    let mut holds = ask.send::<List<Hold>>().await?.body.data;
    holds.retain(|hold| hold.released_at.is_none() && hold.customer_id.is_none_or(|id| id == customer));
    if holds.iter().any(|hold| hold.invoice_id.is_some()) {
        let id = customer.to_string();
        let ask = visit.ask("GET", "invoices").query(&[("customer_id", &id), ("limit", "100")]);
        let invoices = ask.send::<List<OneInvoice>>().await?.body.data;
        holds.retain(|hold| hold.invoice_id.is_none_or(|id| invoices.iter().any(|own| own.id == id)));
    }
    rows(visit, holds).await
}

pub(crate) async fn write(visit: &Visit<'_>) -> Result<Response, Failed> {
    let chosen = visit.query.text("customer").to_owned();
    form(visit, (HoldOn::default(), chosen), &Form::default(), Errors::default()).await
}

async fn form(
    visit: &Visit<'_>,
    (on, customer_id): (HoldOn, String),
    typed: &Form,
    errors: Errors,
) -> Result<Response, Failed> {
    let org = visit.membership().await?;
    allowed(org.may.manage_privacy)?;
    let (customers, has_more_customers) = customers(visit, &customer_id).await?;
    let shown = HoldForm {
        frame: visit.frame()?,
        org,
        customers,
        has_more_customers,
        on,
        customer_id,
        number: typed.raw("number").to_owned(),
        reason: typed.raw("reason").to_owned(),
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

pub(crate) async fn place(visit: &Visit<'_>, typed: &Form) -> Result<Response, Failed> {
    let on = HoldOn::ALL.into_iter().find(|on| on.as_str() == typed.text("on"));
    let on = on.ok_or(Failed::Own(ProblemKind::BadRequest))?;
    let customer_id = typed.text("customer_id").to_owned();
    let reason = typed.text("reason");
    let body = match on {
        HoldOn::Organisation => Ok(json!({"reason": reason})),
        HoldOn::Customer if customer_id.is_empty() => Err(("customer_id", "Choose a customer")),
        HoldOn::Customer => Ok(json!({"reason": reason, "customer_id": customer_id})),
        HoldOn::Invoice => match numbered(visit, typed.text("number")).await? {
            Some(id) => Ok(json!({"reason": reason, "invoice_id": id})),
            None => Err(("number", "There is no invoice of this number")),
        },
    };
    let errors = match body {
        Err((field, advice)) => Errors::default().field(field, advice),
        Ok(body) => {
            let asked = visit.ask("POST", "legal-holds").of_form(typed).body(&body).tell().await;
            let field = |pointer: &str| match pointer {
                "/invoice_id" => Some("number".to_owned()),
                "/customer_id" | "/reason" => Some(pointer.trim_start_matches('/').to_owned()),
                _ => None,
            };
            match tried(asked, field)? {
                Ok(()) => return Ok(visit.done("/legal-holds", "hold")),
                Err(errors) => errors,
            }
        }
    };
    form(visit, (on, customer_id), typed, errors).await
}

/// The invoice of that number, or, of a draft that has none yet, of that id.
async fn numbered(visit: &Visit<'_>, number: &str) -> Result<Option<InvoiceId>, Problem> {
    match number.parse() {
        Ok(id) => Ok(Some(id)),
        Err(_) => Ok(visit.invoice_of(number).await?.map(|invoice| invoice.id)),
    }
}

pub(crate) async fn show(visit: &Visit<'_>) -> Result<Response, Failed> {
    page(visit, Errors::default()).await
}

async fn page(visit: &Visit<'_>, errors: Errors) -> Result<Response, Failed> {
    let ask = visit.ask("GET", "legal-holds/{id}").id("id", visit.path("id")).query(&[EXPAND]);
    let (org, found) = futures::try_join!(visit.membership(), ask.send::<Hold>())?;
    let row = rows(visit, vec![found.body]).await?.pop().ok_or_else(Problem::internal)?;
    let shown = HoldPage { frame: visit.frame()?, org, row, version: found.version, errors };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

pub(crate) async fn release(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    if form.text("do") != "release" {
        return Err(Failed::Own(ProblemKind::BadRequest));
    }
    let ask = visit.ask("POST", "legal-holds/{id}/release").id("id", visit.path("id"));
    match tried(ask.of_form(form).tell().await, |_| None)? {
        Ok(()) => Ok(visit.done("/legal-holds", "hold-released")),
        Err(errors) => page(visit, errors).await,
    }
}
