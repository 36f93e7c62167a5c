//! Privacy requests: entered, looked at, refused, and what they give.

use jiff::ToSpan;
use jiff::tz::TimeZone;
use plixo_domain::privacy::{PrivacyKind, PrivacyStatus};
use plixo_lambda::http::Response;
use plixo_pages::{
    Clock, Errors, PrivacyConfirm, PrivacyForm, PrivacyList, PrivacyPage, PrivacyRow, ProblemKind,
    RefusedRequest, Subject,
};
use plixo_web::form::Form;
use serde_json::json;

use crate::fields::{customers, known};
use crate::holds::{EXPAND, customer_names, holding};
use crate::shape::{Customer, PrivacyRequest, Refused};
use crate::visit::{Failed, Visit, allowed, among, tried};

pub(crate) async fn list(visit: &Visit<'_>) -> Result<Response, Failed> {
    let listed = visit.list::<PrivacyRequest>("privacy-requests", &[]);
    let (org, (requests, paging)) = futures::try_join!(visit.membership(), listed)?;
    let names = customer_names(visit, requests.iter().map(|it| it.customer_id).collect()).await?;
    let row = |it: &PrivacyRequest| row(visit, it, names.get(&it.customer_id).cloned().flatten());
    let rows = requests.iter().map(row).collect();
    let shown = PrivacyList { frame: visit.frame()?, org, rows, paging };
    Ok(Visit::shown(&Errors::default(), shown.render()))
}

fn row(visit: &Visit<'_>, it: &PrivacyRequest, name: Option<String>) -> PrivacyRow {
    let day = |at: jiff::Timestamp| at.to_zoned(TimeZone::UTC).date();
    let over = it.done_at.or(it.refused.as_ref().map(|refused| refused.at));
    let clock = Clock {
        entered_on: day(it.requested_at),
        due_on: it.due_on,
        on: over.map_or_else(|| visit.today(), day),
        is_open: it.status.is_open(),
    };
    let of = Subject { id: it.customer_id, name };
    PrivacyRow { id: it.id, kind: it.kind, of, status: it.status, clock }
}

/// The form, or, once it was filled in, what the request would do.
pub(crate) async fn write(visit: &Visit<'_>) -> Result<Response, Failed> {
    let customer = visit.query.text("customer");
    match visit.query.text("kind").parse::<PrivacyKind>() {
        Ok(kind) if customer.is_empty() => {
            form(visit, customer, kind, Errors::default().field("customer", "Choose a customer")).await
        }
        Ok(kind) => confirm(visit, (customer, kind), false, Errors::default()).await,
        Err(_) => form(visit, customer, PrivacyKind::Access, Errors::default()).await,
    }
}

async fn form(
    visit: &Visit<'_>,
    customer: &str,
    kind: PrivacyKind,
    errors: Errors,
) -> Result<Response, Failed> {
    let org = visit.membership().await?;
    allowed(org.may.manage_privacy)?;
    let (customers, has_more_customers) = customers(visit, customer).await?;
    let (frame, customer) = (visit.frame()?, customer.to_owned());
    let shown = PrivacyForm { frame, org, customers, has_more_customers, customer, kind, errors };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

async fn confirm(
    visit: &Visit<'_>,
    (customer, kind): (&str, PrivacyKind),
    is_sure: bool,
    errors: Errors,
) -> Result<Response, Failed> {
    let org = visit.membership().await?;
    allowed(org.may.manage_privacy)?;
    let found = visit.ask("GET", "customers/{id}").id("id", customer).send::<Customer>().await?.body;
    if found.erased_at.is_some() {
        let errors = errors.field("customer", "This customer was erased before: choose another one");
        return form(visit, "", kind, errors).await;
    }
    let holds = match kind {
        PrivacyKind::Erasure => holding(visit, found.id).await?,
        PrivacyKind::Access => Vec::new(),
    };
    let of = Subject { id: found.id, name: known(&found) };
    let due_on = visit.today().saturating_add(1.month());
    let shown = PrivacyConfirm { frame: visit.frame()?, org, of, kind, due_on, holds, is_sure, errors };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

pub(crate) async fn enter(visit: &Visit<'_>, typed: &Form) -> Result<Response, Failed> {
    let kind = typed.text("kind").parse::<PrivacyKind>();
    let kind = kind.map_err(|_| Failed::Own(ProblemKind::BadRequest))?;
    let (customer, is_sure) = (typed.text("customer"), typed.text("sure") == "on");
    let errors = if kind == PrivacyKind::Erasure && !is_sure {
        Errors::default().field("sure", "Say that you are sure: what is erased cannot be brought back")
    } else {
        let body = json!({"kind": kind, "customer_id": customer});
        let asked = visit.ask("POST", "privacy-requests").of_form(typed).body(&body);
        match tried(asked.send::<PrivacyRequest>().await, |_| None)? {
            Ok(made) => {
                return Ok(visit.done(&format!("/privacy-requests/{}", made.body.id), "privacy-request"));
            }
            Err(errors) => errors,
        }
    };
    confirm(visit, (customer, kind), is_sure, errors).await
}

pub(crate) async fn show(visit: &Visit<'_>) -> Result<Response, Failed> {
    page(visit, String::new(), Errors::default()).await
}

async fn page(visit: &Visit<'_>, reason: String, errors: Errors) -> Result<Response, Failed> {
    let ask = visit.ask("GET", "privacy-requests/{id}").id("id", visit.path("id")).query(&[EXPAND]);
    let (org, found) = futures::try_join!(visit.membership(), ask.send::<PrivacyRequest>())?;
    let (it, version) = (found.body, found.version);
    let names = customer_names(visit, [it.customer_id].into());
    let holds = async {
        match it.status {
            PrivacyStatus::Held => holding(visit, it.customer_id).await,
            _ => Ok(Vec::new()),
        }
    };
    let certificate = async {
        match it.certificate_url {
            Some(_) => certificate_of(visit).await.map(Some),
            None => Ok(None),
        }
    };
    let (mut names, holds, certificate) = futures::try_join!(names, holds, certificate)?;
    let row = row(visit, &it, names.remove(&it.customer_id).flatten());
    let refused = |it: Refused| RefusedRequest { by: it.by_email, at: it.at, reason: it.reason };
    let shown = PrivacyPage {
        frame: visit.frame()?,
        org,
        row,
        version,
        requested_by: it.requested_by_email,
        requested_at: it.requested_at,
        held_since: it.held_since,
        holds,
        begun_at: it.begun_at,
        done_at: it.done_at,
        refused: it.refused.map(refused),
        files_until: it.files_until.filter(|until| *until > visit.now()),
        certificate,
        reason,
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

async fn certificate_of(visit: &Visit<'_>) -> Result<String, plixo_web::ask::Problem> {
    visit.ask("GET", "privacy-requests/{id}/certificate").id("id", visit.path("id")).text().await
}

pub(crate) async fn refuse(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    if form.text("do") != "refuse" {
        return Err(Failed::Own(ProblemKind::BadRequest));
    }
    let id = visit.path("id");
    let body = json!({"reason": form.text("reason")});
    let asked = visit.ask("POST", "privacy-requests/{id}/refuse").id("id", id).of_form(form).body(&body);
    match tried(asked.tell().await, among(&["reason"]))? {
        Ok(()) => Ok(visit.done(&format!("/privacy-requests/{id}"), "privacy-refused")),
        Err(errors) => page(visit, form.raw("reason").to_owned(), errors).await,
    }
}

/// Sends the browser to one of the files.
pub(crate) async fn download(visit: &Visit<'_>) -> Result<Response, Failed> {
    let ask = visit.ask("GET", "privacy-requests/{id}/download").id("id", visit.path("id"));
    let asked = ask.query(&[("as", visit.query.text("as"))]).location().await;
    match tried(asked, |_| None)? {
        Ok(to) => Ok(Response::redirect(303, to).with("cache-control", "no-store".to_owned())),
        Err(errors) => page(visit, String::new(), errors).await,
    }
}

/// The certificate as a file.
pub(crate) async fn certificate(visit: &Visit<'_>) -> Result<Response, Failed> {
    match tried(certificate_of(visit).await, |_| None)? {
        Ok(text) => {
            let file = format!("attachment; filename=\"certificate-{}.txt\"", visit.path("id"));
            let file = Response::of(200, "text/plain; charset=utf-8", text).with("content-disposition", file);
            Ok(file.with("cache-control", "no-store".to_owned()))
        }
        Err(errors) => page(visit, String::new(), errors).await,
    }
}
