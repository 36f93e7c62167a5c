//! `/v1/orgs/{org}/exports`.

use std::collections::HashMap;
use std::time::Duration;

use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Expand, Failed, Limit};
use plixo_api::output::{self, List as Part, made, shown};
use plixo_api::staff::{Staff, deed};
use plixo_authz::{Action, Resource};
use plixo_aws::AwsError;
use plixo_aws::s3::Objects;
use plixo_aws::sqs::SendMessage;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::export::{
    Approval, Counted, Export, ExportError, ExportStatus, ExportTask, InvoiceFilter, MOST_COUNTED, Rejection,
    Scope, pending, still,
};
use plixo_domain::id::{ExportId, MemberId};
use plixo_domain::ledger::{Book, Customer, Kept, Row};
use plixo_domain::people::{By, Member};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::{Answered, Entered, FieldError, Made, Not, Refusal};
use plixo_store::{List, Tables};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::order::{Order, Wanted};
use crate::shape::{ExportShape, digest};

/// How long an address of a file is good.
const GOOD_FOR: Duration = Duration::from_secs(300);

/// Which part of the exports.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// `members`: who requested and who approved each, with their emails.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    expand: Expand<OfExport>,
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
    /// `members`: who requested and who approved it, with their emails.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    expand: Expand<OfExport>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OfExport {
    Members,
}

/// What whoever decides has seen.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportDecision)]
pub(crate) struct Decision {
    /// The export's `digest` as it was seen. With another one nothing is decided: 412.
    #[serde(default)]
    digest: Option<String>,
}

/// The exports, the youngest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/exports", tag = "exports", params(("org" = String, Path), Query),
    responses((status = 200, body = Part<ExportShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::RequestExport, "export.list", Object::new("organisation", staff.org));
    let Query { expand, limit, cursor } = staff.taken(&deed, input::query(staff.request)).await?;
    let (rows, next_cursor) =
        staff.list(&deed, &List::Exports, "exports", (limit, cursor.as_deref())).await?;
    let exports: Vec<_> = rows.iter().filter_map(|(row, _)| Export::of(row)).collect();
    let emails = emails(staff, &exports, &expand).await?;
    let shape = |export: &&Export| ExportShape::new(export, &staff.org, &emails, staff.caller.now);
    let data: Vec<_> = exports.iter().map(shape).collect();
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// Requests an export, which waits for approval.
#[utoipa::path(post, path = "/v1/orgs/{org}/exports", tag = "exports",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = Order,
    responses((status = 201, body = ExportShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn create<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::RequestExport, "export.request", Object::new("organisation", staff.org));
    let order: Order = staff.taken(&deed, input::body(staff.request)).await?;
    let Wanted { scope, format, columns } = staff.taken(&deed, order.wanted()).await?;
    let (org, now) = (&staff.org, staff.caller.now);
    let work = async |entered: Entered<'_>| {
        let Entered { visit, book, ids, .. } = entered;
        if !staff.desk.lets_export(org, &visit.member, scope.is_audit()) {
            return Err(Refusal::Forbidden.into());
        }
        if let Scope::Invoices(InvoiceFilter { customer_id: Some(id), .. }) = &scope
            && book.get::<Customer>(id)?.is_none()
        {
            let no = FieldError::new("/filter/customer_id", "there is no such customer");
            return Err(Refusal::Invalid(vec![no]).into());
        }
        let export = Export {
            id: ids.make(),
            scope: scope.clone(),
            format,
            columns: columns.clone(),
            counted: counted(staff, &scope).await?,
            requested_by: By::of(&visit.member),
            requested_at: now,
            approved: None,
            rejected: None,
            run: None,
            file: None,
            failed: None,
            gone: false,
            going: false,
        };
        let id = export.id;
        let body = output::json(&ExportShape::new(&export, org, &HashMap::new(), now));
        book.put_new(export);
        let changed =
            vec![(Object::new("export", id), vec!["kind", "format", "filter", "columns", "status"])];
        let version = Some(book.next_version::<Export>(&id));
        Ok(Made { changed, answer: Answered { status: 201, body, version } })
    };
    Ok(made(staff.change(&deed, &[], work).await?))
}

/// One export.
#[utoipa::path(get, path = "/v1/orgs/{org}/exports/{id}", tag = "exports",
    params(("org" = String, Path), ("id" = String, Path), Besides),
    responses((status = 200, body = ExportShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<ExportId>(Action::RequestExport, "export.read", "export").await?;
    let Besides { expand } = staff.taken(&deed, input::query(staff.request)).await?;
    let (export, version, _) = staff.read::<Export>(&deed, &id).await?;
    let emails = emails(staff, &[&export], &expand).await?;
    Ok(shown(&ExportShape::new(&export, &staff.org, &emails, staff.caller.now), version))
}

/// Approves an export, as a Controller who did not request it: once. The worker begins at once.
#[utoipa::path(post, path = "/v1/orgs/{org}/exports/{id}/approve", tag = "exports",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)), request_body = Option<Decision>,
    responses((status = 200, body = ExportShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn approve<T: Tables, K: KeyService, Q: SendMessage>(
    staff: &Staff<'_, T, K>,
    queue: &Q,
) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<ExportId>(Action::RequestExport, "export.approve", "export").await?;
    let decision = staff.taken(&deed, decision(staff)).await?;
    let versions = input::if_match(staff.request);
    let (org, now) = (&staff.org, staff.caller.now);
    let work = async |entered: Entered<'_>| {
        let Entered { visit, book, .. } = entered;
        let export = decided(staff, book, &visit.member, &id, &decision, versions.as_deref())?;
        let requester = still(book, &export.requested_by)?;
        let may = |member: &Member| staff.desk.lets_export(org, member, export.scope.is_audit());
        if !requester.as_ref().is_some_and(may) {
            return Err(refused(ExportError::RequesterGone));
        }
        // Nobody takes the approver's role away at the same time.
        book.hold::<Member>(&visit.member.user)?;
        let (by, digest) = (By::of(&visit.member), digest(&export, org));
        let approved = Some(Approval { by, at: now, digest });
        put(book, Export { approved, ..export }, vec!["status", "approved_by", "approved_at"], staff)
    };
    let done = staff.change(&deed, &[Export::key(&id)], work).await;
    // What was approved, also before, and is not begun: the message may have been lost. Two do no harm.
    let is_approved = match &done {
        Ok(_) => true,
        Err(Failed::Refused(Refusal::State { code: NOT_PENDING, .. })) => is_waiting(staff, &id).await?,
        Err(_) => false,
    };
    if is_approved {
        let task = output::json(&ExportTask::new(*org, id));
        queue.send_message(task, ("task", "export".to_owned())).await.map_err(unavailable)?;
    }
    Ok(made(done?))
}

/// Rejects an export, as a Controller; also as the one who requested it, who takes it back by that.
#[utoipa::path(post, path = "/v1/orgs/{org}/exports/{id}/reject", tag = "exports",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)), request_body = Option<Decision>,
    responses((status = 200, body = ExportShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn reject<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<ExportId>(Action::RequestExport, "export.reject", "export").await?;
    let decision = staff.taken(&deed, decision(staff)).await?;
    let versions = input::if_match(staff.request);
    let now = staff.caller.now;
    let work = async |entered: Entered<'_>| {
        let Entered { visit, book, .. } = entered;
        let export = decided(staff, book, &visit.member, &id, &decision, versions.as_deref())?;
        let rejected = Some(Rejection { by: visit.member.id, at: now });
        put(book, Export { rejected, ..export }, vec!["status", "rejected_by", "rejected_at"], staff)
    };
    Ok(made(staff.change(&deed, &[Export::key(&id)], work).await?))
}

/// Sends to the file: to an address that is good for 5 minutes.
#[utoipa::path(get, path = "/v1/orgs/{org}/exports/{id}/download", tag = "exports",
    params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 303, description = "The file's address, in `location`."), Problems,
        (status = 409, body = plixo_api::document::Problem, content_type = "application/problem+json",
            description = "There is no file yet, or no more: `export_not_ready`, `export_expired`.")),
    security(("bearer" = [])))]
pub(crate) async fn download<T: Tables, K: KeyService, O: Objects>(
    staff: &Staff<'_, T, K>,
    bucket: &O,
) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<ExportId>(Action::RequestExport, "export.download", "export").await?;
    let visit = staff.desk.enter(&staff.caller, &staff.org, &deed, vec![Export::key(&id)]).await?;
    let now = staff.caller.now;
    let export = match visit.book.get::<Export>(&id) {
        Ok(Some(export)) => export,
        _ => {
            staff.desk.record(&staff.caller, &visit, &deed, Outcome::Failed).await?;
            return Err(Refusal::NotFound.into());
        }
    };
    if !may_have(staff, &visit.member, export) {
        staff.desk.record(&staff.caller, &visit, &deed, Outcome::Denied).await?;
        return Err(Refusal::Forbidden.into());
    }
    let refusal = match export.status(now) {
        ExportStatus::Ready => None,
        ExportStatus::Expired => Some(("export_expired", "the file is gone: request the export again")),
        _ => Some(("export_not_ready", "there is no file: look at the export's status")),
    };
    if let Some((code, detail)) = refusal {
        staff.desk.record(&staff.caller, &visit, &deed, Outcome::Failed).await?;
        return Err(Refusal::State { code, detail: detail.to_owned(), pointer: None }.into());
    }
    // An address outlives no file.
    let left = export.expires_at(now).map(|at| now.duration_until(at)).unwrap_or_default();
    let good_for = Duration::try_from(left).unwrap_or_default().min(GOOD_FOR).max(Duration::from_secs(1));
    let address = bucket.presign(&export.object(&staff.org), &export.file_name(), good_for).await;
    let address = address.map_err(unavailable)?;
    staff.desk.record(&staff.caller, &visit, &deed, Outcome::Allowed).await?;
    Ok(Response::redirect(303, address).with("cache-control", "no-store".to_owned()))
}

const NOT_PENDING: &str = "export_not_pending";

/// What whoever decides has seen; without a body, nothing is said of it.
fn decision<T, K>(staff: &Staff<'_, T, K>) -> Result<Decision, Failed> {
    if staff.request.body_len() == 0 { Ok(Decision::default()) } else { input::body(staff.request) }
}

/// The export, which waits for its approval, if that member may decide it and has seen what it is.
fn decided<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    book: &Book,
    member: &Member,
    id: &ExportId,
    decision: &Decision,
    versions: Option<&[u64]>,
) -> Result<Export, Not> {
    let found = book.get::<Export>(id)?.ok_or(Refusal::NotFound)?;
    let is_own_rejection = staff.request.route() == crate::REJECT && found.requested_by.member == member.id;
    if !is_own_rejection && !approves(staff, member, found) {
        return Err(Refusal::Forbidden.into());
    }
    input::fresh(versions, book.version::<Export>(id))?;
    if decision.digest.as_ref().is_some_and(|seen| *seen != digest(found, &staff.org)) {
        return Err(Refusal::Stale.into());
    }
    pending(book, id, staff.caller.now).map_err(refused)
}

/// Whether that member may approve the export.
fn approves<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>, member: &Member, export: &Export) -> bool {
    let resource = Resource::Export { org: staff.org, requested_by: export.requested_by.member };
    staff.desk.lets(&staff.org, member, Action::ApproveExport, &resource)
}

/// Whether that member may have the file: who requested it, and Controllers.
fn may_have<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>, member: &Member, export: &Export) -> bool {
    let is_one = export.requested_by.member == member.id || approves(staff, member, export);
    is_one && staff.desk.lets_export(&staff.org, member, export.scope.is_audit())
}

/// Notes what was decided.
fn put<T: Tables, K: KeyService>(
    book: &mut Book,
    export: Export,
    fields: Vec<&'static str>,
    staff: &Staff<'_, T, K>,
) -> Result<Made, Not> {
    let id = export.id;
    let body = output::json(&ExportShape::new(&export, &staff.org, &HashMap::new(), staff.caller.now));
    book.put(export)?;
    let version = Some(book.next_version::<Export>(&id));
    Ok(Made {
        changed: vec![(Object::new("export", id), fields)],
        answer: Answered { status: 200, body, version },
    })
}

fn refused(error: ExportError) -> Not {
    let detail = error.to_string();
    let state = |code| Not::Refused(Refusal::State { code, detail, pointer: None });
    match error {
        ExportError::Unread(unread) => Not::Unread(unread),
        ExportError::NotFound => Not::Refused(Refusal::NotFound),
        ExportError::NotPending(_) => state(NOT_PENDING),
        ExportError::Expired => state("export_expired"),
        ExportError::RequesterGone => state("requester_gone"),
    }
}

fn unavailable(error: AwsError) -> Failed {
    match error {
        AwsError::Unavailable { .. } => Refusal::Unavailable(error.to_string()),
        AwsError::Refused { .. } => Refusal::Internal(error.to_string()),
    }
    .into()
}

/// Whether an approved export was not begun yet.
async fn is_waiting<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    id: &ExportId,
) -> Result<bool, Failed> {
    let rows = staff.store().read(&staff.org, vec![Export::key(id)]).await.map_err(Refusal::from)?;
    let export = rows.into_iter().find_map(|(_, stored)| stored);
    Ok(
        matches!(export, Some((Row::Export(export), _)) if export.status(staff.caller.now) == ExportStatus::Approved),
    )
}

/// How many rows there are to look at, as far as that is cheap to say.
async fn counted<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    scope: &Scope,
) -> Result<Option<Counted>, Refusal> {
    let Some(list) = List::of_export(scope) else { return Ok(None) };
    let (rows, or_more) = staff.store().count(&staff.org, &list, MOST_COUNTED).await?;
    Ok(Some(Counted { rows, or_more }))
}

/// The emails of those who requested and approved, if they are wanted.
async fn emails<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    exports: &[&Export],
    expand: &Expand<OfExport>,
) -> Result<HashMap<MemberId, String>, Failed> {
    if !expand.has(&OfExport::Members) {
        return Ok(HashMap::new());
    }
    let people = exports.iter().flat_map(|it| [Some(it.requested_by), it.approved.as_ref().map(|it| it.by)]);
    staff.emails(people.flatten()).await
}
