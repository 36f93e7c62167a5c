//! Exports: requested, decided, downloaded.

use plixo_lambda::http::Response;
use plixo_pages::{Errors, ExportForm, ExportList, ExportPage, ExportRow, ProblemKind};
use plixo_web::form::Form;
use serde_json::{Map, json};

use crate::audit::begin;
use crate::shape::Export;
use crate::visit::{Failed, Visit, among, tried};

const FIELDS: [&str; 6] = ["kind", "format", "status", "customer_id", "from", "to"];

pub(crate) async fn list(visit: &Visit<'_>) -> Result<Response, Failed> {
    let form = ExportForm { kind: "invoices".into(), format: "csv".into(), ..ExportForm::default() };
    page(visit, form, Errors::default()).await
}

async fn page(visit: &Visit<'_>, form: ExportForm, errors: Errors) -> Result<Response, Failed> {
    let listed = visit.list::<Export>("exports", &[("expand", "members")]);
    let (org, (exports, paging)) = futures::try_join!(visit.membership(), listed)?;
    let rows = exports.iter().map(row).collect();
    let shown = ExportList { frame: visit.frame()?, org, rows, paging, form, errors };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

fn row(it: &Export) -> ExportRow {
    ExportRow {
        id: it.id,
        kind: it.kind.clone(),
        format: it.format.clone(),
        status: it.status,
        requested_by: it.requested_by_email.clone(),
        requested_at: it.requested_at,
    }
}

pub(crate) async fn request(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let typed = |name| form.text(name).to_owned();
    let [kind, format, status, customer_id, from, to] = FIELDS.map(typed);
    let mut errors = Errors::default();
    // The audit log goes by times, and people choose days.
    let (first, last) = match kind.as_str() {
        "audit" => (begin(&from, 0, "from", &mut errors), begin(&to, 1, "to", &mut errors)),
        _ => (from.clone(), to.clone()),
    };
    let parts = [("status", &status), ("customer_id", &customer_id), ("from", &first), ("to", &last)];
    let filled = parts.into_iter().filter(|(_, value)| !value.is_empty());
    let filter: Map<_, _> = filled.map(|(name, value)| (name.to_owned(), value.as_str().into())).collect();
    if !errors.any() {
        let body = json!({"kind": kind, "format": format, "filter": filter});
        let asked = visit.ask("POST", "exports").of_form(form).body(&body).send::<Export>().await;
        match tried(asked, among(&FIELDS))? {
            Ok(made) => return Ok(visit.done(&format!("/exports/{}", made.body.id), "export")),
            Err(wrong) => errors = wrong,
        }
    }
    page(visit, ExportForm { kind, format, status, customer_id, from, to }, errors).await
}

pub(crate) async fn show(visit: &Visit<'_>) -> Result<Response, Failed> {
    export_page(visit, Errors::default()).await
}

pub(crate) async fn decide(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let id = visit.path("id");
    let verb = form.text("do");
    let (below, done) = match verb {
        "approve" => ("exports/{id}/approve", "export-approved"),
        "reject" => ("exports/{id}/reject", "export-rejected"),
        _ => return Err(Failed::Own(ProblemKind::BadRequest)),
    };
    let seen = json!({"digest": form.text("digest")});
    let asked = visit.ask("POST", below).id("id", id).of_form(form).body(&seen).tell().await;
    match tried(asked, |_| None)? {
        Ok(()) => Ok(visit.done(&format!("/exports/{id}"), done)),
        Err(errors) => export_page(visit, errors).await,
    }
}

/// Sends the browser to the file.
pub(crate) async fn download(visit: &Visit<'_>) -> Result<Response, Failed> {
    let asked = visit.ask("GET", "exports/{id}/download").id("id", visit.path("id")).location().await;
    match tried(asked, |_| None)? {
        Ok(to) => Ok(Response::redirect(303, to).with("cache-control", "no-store".to_owned())),
        Err(errors) => export_page(visit, errors).await,
    }
}

async fn export_page(visit: &Visit<'_>, errors: Errors) -> Result<Response, Failed> {
    let ask = visit.ask("GET", "exports/{id}").id("id", visit.path("id")).query(&[("expand", "members")]);
    let (org, found) = futures::try_join!(visit.membership(), ask.send::<Export>())?;
    let (it, version) = (found.body, found.version);
    let is_own = org.email.is_some() && it.requested_by_email == org.email;
    let filter = it.filter.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let shown = ExportPage {
        frame: visit.frame()?,
        org,
        row: row(&it),
        version,
        digest: it.digest,
        filter,
        columns: it.columns,
        asked_rows: it.asked_rows.map(|asked| (asked.rows, asked.or_more)),
        file: it.rows.zip(it.size_bytes),
        failure: it.failure,
        approved_by: it.approved_by_email,
        approved_at: it.approved_at,
        expires_at: it.expires_at,
        is_own,
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}
