//! `/v1/orgs/{org}/privacy-requests`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use plixo_api::document::{ChangeProblems, Problem, Problems};
use plixo_api::input::{self, Expand, Failed, Limit};
use plixo_api::output::{self, List as Part, made, shown};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_aws::s3::Objects;
use plixo_aws::sqs::SendMessage;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::hold::{HeldBy, Holds, LegalHold};
use plixo_domain::id::{CustomerId, HoldId, PrivacyId};
use plixo_domain::ledger::staff::{StaffError, typed_reason};
use plixo_domain::ledger::{Book, Customer, Invoice, Kept, Row, RowKey};
use plixo_domain::people::By;
use plixo_domain::privacy::{
    self, PrivacyError, PrivacyKind, PrivacyRequest, PrivacyStatus, PrivacyTask, PrivacyTaskOf, Refused,
};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::{Answered, Deed, Entered, FieldError, Made, Not, Refusal};
use plixo_store::{List, Listed, Page, Tables};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::shape::{Besides, Emails, HeldByShape, RefusalOrder, RequestOrder, RequestShape};
use crate::unavailable;

/// How long an address of a file is good.
const GOOD_FOR: Duration = Duration::from_secs(300);
/// So many holds are shown of a request at most.
const MOST_HOLDS: usize = 100;
/// So many open requests are read at a time, and so often, when one is looked for.
const STEP: usize = 100;
const STEPS: usize = 10;

/// Which part of the privacy requests.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Query {
    /// `members`: who requested and who refused each, with their emails.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    expand: Expand<OfRequest>,
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
struct Also {
    /// `members`: who requested and who refused it, with their emails.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    expand: Expand<OfRequest>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OfRequest {
    Members,
}

/// Which of the files.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `json`, for machines, if absent; `html`, for people.
    #[serde(default, rename = "as")]
    #[param(inline)]
    form: Form,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Form {
    #[default]
    Json,
    Html,
}

impl Form {
    fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
        }
    }
}

/// The privacy requests, the youngest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/privacy-requests", tag = "privacy-requests",
    params(("org" = String, Path), Query),
    responses((status = 200, body = Part<RequestShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::ManagePrivacy, "privacy_request.list", Object::new("organisation", staff.org));
    let Query { expand, limit, cursor } = staff.taken(&deed, input::query(staff.request)).await?;
    let page = (limit, cursor.as_deref());
    let (rows, next_cursor) = staff.list(&deed, &List::PrivacyRequests, "privacy-requests", page).await?;
    let requests: Vec<_> = rows.iter().filter_map(|(row, _)| PrivacyRequest::of(row)).collect();
    let emails = emails(staff, &requests, &expand).await?;
    let besides = Besides { emails, holds: holding(staff, &requests).await? };
    let mut data = Vec::with_capacity(requests.len());
    for request in requests {
        data.push(shape(staff, request, &besides).await?);
    }
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// Enters what somebody asks for of what is held about them: all of it (GDPR Art. 15), or that it goes (Art. 17). It is begun at once,
/// unless a legal hold stands in the way of an erasure: then it is `held`, and waits.
#[utoipa::path(post, path = "/v1/orgs/{org}/privacy-requests", tag = "privacy-requests",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = RequestOrder,
    responses((status = 201, body = RequestShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn create<T: Tables, K: KeyService, Q: SendMessage>(
    staff: &Staff<'_, T, K>,
    queue: &Q,
) -> Result<Response, Failed> {
    let deed = deed(Action::ManagePrivacy, "privacy_request.create", Object::new("organisation", staff.org));
    let RequestOrder { kind, customer_id } = staff.taken(&deed, input::body(staff.request)).await?;
    let now = staff.caller.now;
    let work = async |entered: Entered<'_>| {
        let Entered { visit, book, ids, .. } = entered;
        let row = Row::Customer(customer(book, &customer_id)?);
        if let Some(before) = open_one(staff, kind, &customer_id).await? {
            let detail =
                format!("{before} asks for the same, and is not done yet: wait for it, or refuse it");
            return Err(Refusal::State { code: "already_requested", detail, pointer: None }.into());
        }
        let holds = book.get::<Holds>(&())?.cloned().unwrap_or_default();
        let is_held = kind == PrivacyKind::Erasure
            && staff.store().held(&staff.org, &holds, &[&row]).await.map_err(Refusal::from)?.contains(&true);
        let request = PrivacyRequest::new(ids.make(), kind, customer_id, By::of(&visit.member), now);
        let request = PrivacyRequest { held: is_held.then_some(now), ..request };
        let id = request.id;
        let besides = Besides { holds: holding(staff, &[&request]).await?, ..Besides::default() };
        let body = output::json(&RequestShape::new(&request, None, &staff.org, &besides, now));
        book.put_new(request);
        let version = Some(book.next_version::<PrivacyRequest>(&id));
        let changed = vec![(Object::new("privacy_request", id), vec!["kind", "customer_id", "status"])];
        Ok(Made { changed, answer: Answered { status: 201, body, version } })
    };
    let rows = [Customer::key(&customer_id), RowKey::Holds];
    let answered = staff.change(&deed, &rows, work).await?;
    // Also where it is the answer of before: the message may have been lost. Two do no harm.
    let id = made_before(&answered)?;
    match status_of(staff, &id).await? {
        Some(PrivacyStatus::Open) => send(staff, queue, id).await?,
        Some(PrivacyStatus::Held) => record_denied(staff, id).await?,
        _ => {}
    }
    Ok(made(answered))
}

/// One privacy request.
#[utoipa::path(get, path = "/v1/orgs/{org}/privacy-requests/{id}", tag = "privacy-requests",
    params(("org" = String, Path), ("id" = String, Path), Also),
    responses((status = 200, body = RequestShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = about(staff, "privacy_request.read").await?;
    let Also { expand } = staff.taken(&deed, input::query(staff.request)).await?;
    let (request, version, _) = staff.read::<PrivacyRequest>(&deed, &id).await?;
    let emails = emails(staff, &[&request], &expand).await?;
    let besides = Besides { emails, holds: holding(staff, &[&request]).await? };
    Ok(shown(&shape(staff, &request, &besides).await?, version))
}

/// Refuses a privacy request that nobody has begun, with the reason.
#[utoipa::path(post, path = "/v1/orgs/{org}/privacy-requests/{id}/refuse", tag = "privacy-requests",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)), request_body = RefusalOrder,
    responses((status = 200, body = RequestShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn refuse<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = about(staff, "privacy_request.refuse").await?;
    let order: RefusalOrder = staff.taken(&deed, input::body(staff.request)).await?;
    let versions = input::if_match(staff.request);
    let now = staff.caller.now;
    let work = async |entered: Entered<'_>| {
        let Entered { visit, book, .. } = entered;
        input::fresh(versions.as_deref(), book.version::<PrivacyRequest>(&id))?;
        let refusal = Refused { by: By::of(&visit.member), at: now, reason: typed_reason(&order.reason)? };
        let request = privacy::refuse(book, &id, refusal).map_err(refused)?;
        let body = output::json(&shape(staff, &request, &Besides::default()).await?);
        let version = Some(book.next_version::<PrivacyRequest>(&id));
        let changed = vec![(Object::new("privacy_request", id), vec!["status", "refused"])];
        Ok(Made { changed, answer: Answered { status: 200, body, version } })
    };
    Ok(made(staff.change(&deed, &[PrivacyRequest::key(&id)], work).await?))
}

/// The certificate of an erasure that is done: what was erased, when and under whose authority, as a signed note.
#[utoipa::path(get, path = "/v1/orgs/{org}/privacy-requests/{id}/certificate", tag = "privacy-requests",
    params(("org" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain", description = "The signed note."), Problems,
        (status = 409, body = Problem, content_type = "application/problem+json",
            description = "It is not done: `privacy_request_not_done`.")),
    security(("bearer" = [])))]
pub(crate) async fn certificate<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
) -> Result<Response, Failed> {
    let (id, deed) = about(staff, "certificate.read").await?;
    let of = async |request: &PrivacyRequest| match (request.kind, &request.done) {
        (PrivacyKind::Access, _) => Err(Refusal::NotFound),
        (PrivacyKind::Erasure, None) => Err(not_done()),
        (PrivacyKind::Erasure, Some(done)) => done.certificate.clone().ok_or_else(not_done),
    };
    let note = had(staff, &deed, &id, of).await?;
    Ok(Response::of(200, "text/plain; charset=utf-8", note))
}

/// Sends to a file of an access request that is done: to an address that is good for 5 minutes.
#[utoipa::path(get, path = "/v1/orgs/{org}/privacy-requests/{id}/download", tag = "privacy-requests",
    params(("org" = String, Path), ("id" = String, Path), Which),
    responses((status = 303, description = "The file's address, in `location`."), Problems,
        (status = 409, body = Problem, content_type = "application/problem+json",
            description = "There is no file yet, or no more: `privacy_request_not_done`, `files_expired`.")),
    security(("bearer" = [])))]
pub(crate) async fn download<T: Tables, K: KeyService, O: Objects>(
    staff: &Staff<'_, T, K>,
    bucket: &O,
) -> Result<Response, Failed> {
    let (id, deed) = about(staff, "privacy_request.download").await?;
    let Which { form } = staff.taken(&deed, input::query(staff.request)).await?;
    let now = staff.caller.now;
    let of = async |request: &PrivacyRequest| {
        if request.kind == PrivacyKind::Erasure {
            return Err(Refusal::NotFound);
        }
        let done = request.done.as_ref().ok_or_else(not_done)?;
        let until = done.files_until.ok_or_else(not_done)?;
        if done.gone || until <= now {
            let detail = "the files are gone: request access again".to_owned();
            return Err(Refusal::State { code: "files_expired", detail, pointer: None });
        }
        // An address outlives no file.
        let left = Duration::try_from(now.duration_until(until)).unwrap_or_default();
        let good_for = left.min(GOOD_FOR).max(Duration::from_secs(1));
        let form = form.as_str();
        let (object, name) = (request.object(&staff.org, form), format!("{}.{form}", request.id));
        bucket.presign(&object, &name, good_for).await.map_err(unavailable)
    };
    let address = had(staff, &deed, &id, of).await?;
    Ok(Response::redirect(303, address).with("cache-control", "no-store".to_owned()))
}

async fn about<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    name: &'static str,
) -> Result<(PrivacyId, Deed), Failed> {
    staff.about(Action::ManagePrivacy, name, "privacy_request").await
}

/// The customer, if there is one of that id, and it was not erased.
pub(crate) fn customer(book: &Book, id: &CustomerId) -> Result<Customer, Not> {
    match book.get::<Customer>(id)? {
        Some(customer) if customer.erased.is_some() => Err(Refusal::from(StaffError::CustomerErased).into()),
        Some(customer) => Ok(customer.clone()),
        None => {
            let no = FieldError::new("/customer_id", "there is no such customer");
            Err(Refusal::Invalid(vec![no]).into())
        }
    }
}

/// The request that asks for the same and is not done yet, if there is one among those that are due first.
async fn open_one<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    kind: PrivacyKind,
    customer: &CustomerId,
) -> Result<Option<PrivacyId>, Refusal> {
    let mut after = None;
    for _ in 0..STEPS {
        let page = Page { after, descending: false, limit: STEP };
        let list = List::OpenPrivacyRequests;
        let Listed { rows, next } = staff.store().list(&staff.org, &list, page, staff.caller.now).await?;
        let mut requests = rows.iter().filter_map(|(row, _)| PrivacyRequest::of(row));
        let same = requests.find(|it| it.kind == kind && it.customer == *customer);
        if same.is_some() || next.is_none() {
            return Ok(same.map(|request| request.id));
        }
        after = next;
    }
    Ok(None)
}

/// Which request an answer shows.
fn made_before(answered: &Answered) -> Result<PrivacyId, Failed> {
    #[derive(Deserialize)]
    struct Named {
        id: PrivacyId,
    }
    let named: Option<Named> = serde_json::from_str(&answered.body).ok();
    let unreadable = || Refusal::Internal("an answer that names no privacy request".to_owned());
    Ok(named.ok_or_else(unreadable)?.id)
}

/// How a request stands by now.
async fn status_of<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    id: &PrivacyId,
) -> Result<Option<PrivacyStatus>, Failed> {
    let rows = staff.store().read(&staff.org, vec![PrivacyRequest::key(id)]).await.map_err(Refusal::from)?;
    let request = rows.iter().find_map(|(_, stored)| PrivacyRequest::of(&stored.as_ref()?.0));
    Ok(request.map(PrivacyRequest::status))
}

/// Writes that a hold stands in a request's way, as `worker-privacy` does where it finds one.
async fn record_denied<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    id: PrivacyId,
) -> Result<(), Failed> {
    let deed = deed(Action::ManagePrivacy, "privacy_request.hold", Object::new("privacy_request", id));
    let visit = staff.desk.enter(&staff.caller, &staff.org, &deed, Vec::new()).await?;
    Ok(staff.desk.record(&staff.caller, &visit, &deed, Outcome::Denied).await?)
}

/// The holds that stand in the way of these requests, by their customers.
async fn holding<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    requests: &[&PrivacyRequest],
) -> Result<HashMap<CustomerId, Vec<HeldByShape>>, Refusal> {
    let held = requests.iter().filter(|request| request.status() == PrivacyStatus::Held);
    let customers: BTreeSet<CustomerId> = held.map(|request| request.customer).collect();
    if customers.is_empty() {
        return Ok(HashMap::new());
    }
    let (store, org, now) = (staff.store(), &staff.org, staff.caller.now);
    let (holds, _) = store.holds(org).await?;
    let of_all = holds.on(&HeldBy::Organisation);
    let mut of_each: BTreeMap<CustomerId, BTreeSet<HoldId>> = BTreeMap::new();
    for customer in customers {
        let ids = of_all.union(&holds.on(&HeldBy::Customer(customer))).copied().collect();
        of_each.insert(customer, ids);
    }
    for (_, stored) in store.read(org, holds.invoices().map(|id| Invoice::key(&id)).collect()).await? {
        let Some((Row::Invoice(invoice), _)) = stored else { continue };
        if let Some(ids) = of_each.get_mut(&invoice.customer_id) {
            ids.extend(holds.on(&HeldBy::Invoice(invoice.id)));
        }
    }
    let some = |ids: BTreeSet<HoldId>| ids.into_iter().take(MOST_HOLDS).collect::<Vec<_>>();
    let of_each: Vec<_> = of_each.into_iter().map(|(customer, ids)| (customer, some(ids))).collect();
    let wanted: BTreeSet<HoldId> = of_each.iter().flat_map(|(_, ids)| ids.iter().copied()).collect();
    let mut known = HashMap::new();
    for (_, stored) in store.read(org, wanted.iter().map(LegalHold::key).collect()).await? {
        let Some((Row::LegalHold(hold), _)) = stored else { continue };
        let reason = store.open_hold_reason(org, &hold, now).await?;
        known.insert(hold.id, HeldByShape { id: hold.id, reason });
    }
    let shown = |ids: Vec<HoldId>| ids.iter().filter_map(|id| known.get(id).cloned()).collect();
    Ok(of_each.into_iter().map(|(customer, ids)| (customer, shown(ids))).collect())
}

async fn send<T: Tables, K: KeyService, Q: SendMessage>(
    staff: &Staff<'_, T, K>,
    queue: &Q,
    id: PrivacyId,
) -> Result<(), Failed> {
    let task = output::json(&PrivacyTask::new(staff.org, PrivacyTaskOf::Request(id)));
    queue.send_message(task, ("task", "privacy".to_owned())).await.map_err(unavailable)?;
    Ok(())
}

/// Has erasures that legal holds kept looked at again, those that are due first. Whoever does them sees whether they are held still.
pub(crate) async fn send_held<T: Tables, K: KeyService, Q: SendMessage>(
    staff: &Staff<'_, T, K>,
    queue: &Q,
) -> Result<(), Failed> {
    let page = Page { after: None, descending: false, limit: STEP };
    let list = List::OpenPrivacyRequests;
    let listed =
        staff.store().list(&staff.org, &list, page, staff.caller.now).await.map_err(Refusal::from)?;
    for request in listed.rows.iter().filter_map(|(row, _)| PrivacyRequest::of(row)) {
        if request.status() == PrivacyStatus::Held {
            send(staff, queue, request.id).await?;
        }
    }
    Ok(())
}

/// Lets the member in to have what a request has, and writes whether they had it.
async fn had<T: Tables, K: KeyService, R>(
    staff: &Staff<'_, T, K>,
    deed: &Deed,
    id: &PrivacyId,
    of: impl AsyncFnOnce(&PrivacyRequest) -> Result<R, Refusal>,
) -> Result<R, Failed> {
    let visit = staff.desk.enter(&staff.caller, &staff.org, deed, vec![PrivacyRequest::key(id)]).await?;
    let had = match visit.book.get::<PrivacyRequest>(id) {
        Ok(Some(request)) => of(request).await,
        _ => Err(Refusal::NotFound),
    };
    let outcome = if had.is_ok() { Outcome::Allowed } else { Outcome::Failed };
    staff.desk.record(&staff.caller, &visit, deed, outcome).await?;
    Ok(had?)
}

fn not_done() -> Refusal {
    let detail = "the privacy request is not done: look at its status".to_owned();
    Refusal::State { code: "privacy_request_not_done", detail, pointer: None }
}

fn refused(error: PrivacyError) -> Not {
    let detail = error.to_string();
    match error {
        PrivacyError::Unread(unread) => Not::Unread(unread),
        PrivacyError::NotFound => Not::Refused(Refusal::NotFound),
        PrivacyError::NotOpen(_) => {
            Not::Refused(Refusal::State { code: "privacy_request_not_open", detail, pointer: None })
        }
    }
}

async fn shape<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    request: &PrivacyRequest,
    besides: &Besides,
) -> Result<RequestShape, Refusal> {
    let reason = staff.store().open_refusal(&staff.org, request, staff.caller.now).await?;
    Ok(RequestShape::new(request, reason, &staff.org, besides, staff.caller.now))
}

/// The emails of those who requested and refused, if they are wanted.
async fn emails<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    requests: &[&PrivacyRequest],
    expand: &Expand<OfRequest>,
) -> Result<Emails, Failed> {
    if !expand.has(&OfRequest::Members) {
        return Ok(Emails::new());
    }
    let refused = |request: &&PrivacyRequest| request.refused.as_ref().map(|it| it.by);
    let people = requests.iter().map(|it| it.requested_by).chain(requests.iter().filter_map(refused));
    staff.emails(people).await
}
