//! `/v1/orgs/{org}/retention`.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use plixo_api::document::{ChangeProblems, Problems, RetentionChange};
use plixo_api::input::{self, Failed};
use plixo_api::output::{self, made, shown};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_domain::audit::{AuditKept, Object, Outcome};
use plixo_domain::hold::Holds;
use plixo_domain::id::made_at;
use plixo_domain::ledger::staff::{Stopped, set_retention};
use plixo_domain::ledger::{Book, Organisation, RowKey};
use plixo_domain::retention::{Class, Retention};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::{Answered, Deed, Entered, Made, Not, Refusal, Visit};
use plixo_store::{DueCount, Tables};

use crate::shape::{DueShape, PreviewShape, RetentionShape};

/// So many of a class are looked at for a preview.
const MOST: usize = 1_000;

/// For how long the organisation keeps what.
#[utoipa::path(get, path = "/v1/orgs/{org}/retention", tag = "retention", params(("org" = String, Path)),
    responses((status = 200, body = RetentionShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = about(staff, "retention.read");
    let visit = staff.desk.enter(&staff.caller, &staff.org, &deed, Vec::new()).await?;
    staff.desk.record(&staff.caller, &visit, &deed, Outcome::Allowed).await?;
    Ok(shown(&RetentionShape::new(&visit.org.settings.retention), visit.org_version))
}

/// Changes for how long the organisation keeps what: what is absent stays. It counts at once, also for what there is: what is due by it
/// shows to nobody any more, and is deleted within a day.
#[utoipa::path(put, path = "/v1/orgs/{org}/retention", tag = "retention",
    params(("org" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)), request_body = RetentionChange,
    responses((status = 200, body = RetentionShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn update<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = about(staff, "retention.update");
    let days: BTreeMap<String, u16> = staff.taken(&deed, input::body(staff.request)).await?;
    let versions = input::if_match(staff.request);
    let work = async |entered: Entered<'_>| {
        let Entered { visit, book, .. } = entered;
        input::fresh(versions.as_deref(), Some(visit.org_version))?;
        let changed = set_retention(book, &days)?;
        let body = output::json(&RetentionShape::new(&found(book)?.settings.retention));
        let version = Some(book.next_version::<Organisation>(&()));
        let changed = vec![(deed.object.clone(), changed.fields)];
        Ok(Made { changed, answer: Answered { status: 200, body, version } })
    };
    Ok(made(staff.change(&deed, &[], work).await?))
}

/// What would be due at once if the policy were changed like that. Nothing is changed.
#[utoipa::path(get, path = "/v1/orgs/{org}/retention/preview", tag = "retention",
    params(("org" = String, Path), RetentionChange),
    responses((status = 200, body = PreviewShape), Problems), security(("bearer" = [])))]
pub(crate) async fn preview<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = about(staff, "retention.read");
    let days: BTreeMap<String, u16> = staff.taken(&deed, input::query(staff.request)).await?;
    let visit =
        staff.desk.enter(&staff.caller, &staff.org, &deed, vec![RowKey::AuditKept, RowKey::Holds]).await?;
    let other = other(visit.book.clone(), &days);
    let other = staff.taken(&deed, other).await?;
    let holds = visit.book.get::<Holds>(&()).ok().flatten().cloned().unwrap_or_default();
    let now = staff.caller.now;
    let count = async |class: Class| match class {
        Class::AuditEvent => {
            let days = log_days(&visit, &other.settings.retention, now);
            let (due, held) = if holds.is_empty() { (days, 0) } else { (0, days) };
            Ok(DueCount { due, held, or_more: false })
        }
        class => staff.store().count_due(&other, &holds, class, MOST, now).await,
    };
    let counts = try_join_all(Class::ALL.iter().map(|class| count(*class))).await.map_err(Refusal::from)?;
    let shape = |(class, count): (Class, DueCount)| {
        let DueCount { due, held, or_more } = count;
        DueShape { class, days: other.settings.retention.days(class), due, or_more, held }
    };
    let data = Class::ALL.into_iter().zip(counts).map(shape).collect();
    staff.desk.record(&staff.caller, &visit, &deed, Outcome::Allowed).await?;
    Ok(Response::json(200, output::json(&PreviewShape { data })))
}

fn about<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>, name: &'static str) -> Deed {
    deed(Action::ManagePrivacy, name, Object::new("organisation", staff.org))
}

fn found(book: &Book) -> Result<&Organisation, Not> {
    book.get::<Organisation>(&())?.ok_or(Not::Refused(Refusal::NotFound))
}

/// The organisation as it would be with another policy.
fn other(mut book: Book, days: &BTreeMap<String, u16>) -> Result<Organisation, Failed> {
    let done = set_retention(&mut book, days);
    let found = done.and_then(|_| book.get::<Organisation>(&()).map_err(Stopped::from));
    match found {
        Ok(Some(organisation)) => Ok(organisation.clone()),
        Ok(None) => Err(Refusal::NotFound.into()),
        Err(Stopped::Refused(error)) => Err(Refusal::from(error).into()),
        Err(Stopped::Unread(_)) => Err(Refusal::Internal("a row that was not read".to_owned()).into()),
    }
}

/// How many days of the audit log that are there still would not be kept by another policy.
fn log_days(visit: &Visit, policy: &Retention, now: Timestamp) -> usize {
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let kept = visit.book.get::<AuditKept>(&()).ok().flatten();
    let from = kept.map_or_else(|| day(made_at(&visit.org.id)), |kept| kept.from);
    let hours = from.duration_until(day(policy.due_since(Class::AuditEvent, now))).as_hours();
    usize::try_from(hours / 24).unwrap_or_default()
}
