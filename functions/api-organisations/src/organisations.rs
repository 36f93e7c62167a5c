//! `/v1/orgs` and `/v1/orgs/{org}`.

use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Failed, Limit};
use plixo_api::output::{self, List as Part, made, shown};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_aws::cognito::{Directory, Register};
use plixo_aws::ses::SendEmail;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::id::OrgId;
use plixo_domain::ledger::staff::{
    Changed, Position, Stopped, close_organisation, reopen_organisation, update_organisation,
};
use plixo_domain::ledger::{Book, Organisation, Settings};
use plixo_domain::people::Role;
use plixo_envelope::KeyService;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::{Level, Line};
use plixo_staff::{Answered, Deed, Entered, Key, Made, Not, Own, Refusal, Visit, Wanted};
use plixo_store::Tables;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::Api;
use crate::members::is_member;
use crate::shape::{
    OrganisationChange, OrganisationClosing, OrganisationOrder, OrganisationShape, OwnOrganisation, You,
};

/// Where an order names the first Controller.
const CONTROLLER: &str = "/controller_email";

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Query {
    /// 1 to 100, 25 if absent.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 100)]
    pub(crate) limit: Limit,
    /// `next_cursor` of the part before.
    pub(crate) cursor: Option<String>,
}

/// Makes an organisation and invites its first Controller. For operators, who see nothing of it afterwards.
#[utoipa::path(post, path = "/v1/orgs", tag = "organisations",
    params(("Idempotency-Key" = Option<String>, Header)), request_body = OrganisationOrder,
    responses((status = 201, body = OrganisationShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn create<T: Tables, K: KeyService, D: Directory + Register, M: SendEmail>(
    api: &Api<T, K, D, M>,
    request: &Request,
    line: &mut Line,
) -> Result<Response, Failed> {
    let caller = input::caller(request, line)?;
    if request.authorized("operator") != Some("true") {
        return Err(Refusal::Forbidden.into());
    }
    let body = input::bytes(request)?;
    let order: OrganisationOrder = input::body(request)?;
    if order.residency != api.residency {
        return Err(Failed::Refused(Refusal::State {
            code: "residency_not_here",
            detail: format!("the data of this stack stays in {}", api.residency.as_str()),
            pointer: Some("/residency".to_owned()),
        }));
    }
    let key = input::idempotency_key(request)?.map(|key| Key { key, body: &body });
    let (new, email) = (order.organisation(), &order.controller_email);
    let wanted = Wanted { new: new.clone(), controller: email, key };
    let invite = async || {
        let guest = api.invitations.guest(email, CONTROLLER).await?;
        Ok((guest.user, guest))
    };
    let (id, guest) = api.desk.found(&caller, &api.service, wanted, invite).await?;
    line.org = Some(id.to_string());
    // A repeated order may name a Controller who was removed since.
    if is_member(api.desk.store(), &id, guest.user).await? {
        api.invitations.tell((email, CONTROLLER, &guest), (&new.name, Role::Controller), request).await?;
    }
    let (name, residency) = (new.name, new.residency);
    let controllers = Default::default();
    let organisation = Organisation {
        id,
        name,
        residency,
        controllers,
        settings: Settings::default(),
        logo: None,
        closed: None,
    };
    Ok(Response::json(201, output::json(&OrganisationShape::new(&organisation, None))))
}

/// The organisations that the caller is a member of.
#[utoipa::path(get, path = "/v1/orgs", tag = "organisations", params(Query),
    responses((status = 200, body = Part<OwnOrganisation>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService, D: Directory + Register, M: SendEmail>(
    api: &Api<T, K, D, M>,
    request: &Request,
    line: &mut Line,
) -> Result<Response, Failed> {
    let caller = input::caller(request, line)?;
    let Query { limit, cursor } = input::query(request)?;
    let page = (limit.get(), cursor.as_deref());
    let Own { orgs, next_cursor, unreadable } = api.desk.organisations(&caller, page, &api.key).await?;
    if !unreadable.is_empty() {
        // The others are shown all the same.
        (line.level, line.metrics.errors) = (Level::Error, 1);
        let told = unreadable.iter().map(|(org, cause)| format!("{org} is left out: {cause}"));
        line.error = Some(told.collect::<Vec<_>>().join("; "));
    }
    let data = orgs.into_iter().map(OwnOrganisation::new).collect();
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// One organisation, and what the caller may do in it.
#[utoipa::path(get, path = "/v1/orgs/{org}", tag = "organisations", params(("org" = String, Path)),
    responses((status = 200, body = OrganisationShape), Problems), security(("bearer" = [])))]
pub(crate) async fn show<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::ReadOrganisation, "organisation.read", Object::new("organisation", staff.org));
    let visit = staff.desk.enter(&staff.caller, &staff.org, &deed, Vec::new()).await?;
    staff.desk.record(&staff.caller, &visit, &deed, Outcome::Allowed).await?;
    Ok(shown(&shape(staff, &visit, &visit.org).await?, visit.org_version))
}

/// Changes an organisation's name or settings.
#[utoipa::path(patch, path = "/v1/orgs/{org}", tag = "organisations",
    params(("org" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)), request_body = OrganisationChange,
    responses((status = 200, body = OrganisationShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn update<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let object = Object::new("organisation", staff.org);
    let deed = deed(Action::ManageOrganisation, "organisation.update", object);
    let change: OrganisationChange = staff.taken(&deed, input::body(staff.request)).await?;
    let act = |visit: &Visit, book: &mut Book| {
        let from = Position { ip: staff.caller.ip, two_factor: visit.two_factor };
        update_organisation(book, change.clone().into(), &from)
    };
    changed(staff, &deed, act).await
}

/// Closes an organisation. It goes on as before for 30 days, in which it can be opened again; then its data key goes, and with it all that
/// is sealed.
#[utoipa::path(post, path = "/v1/orgs/{org}/close", tag = "organisations",
    params(("org" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)), request_body = OrganisationClosing,
    responses((status = 200, body = OrganisationShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn close<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let object = Object::new("organisation", staff.org);
    let deed = deed(Action::ManageOrganisation, "organisation.close", object);
    let closing: OrganisationClosing = staff.taken(&deed, input::body(staff.request)).await?;
    let now = staff.caller.now;
    let act = |visit: &Visit, book: &mut Book| close_organisation(book, &closing.name, visit.member.id, now);
    changed(staff, &deed, act).await
}

/// Opens an organisation again that was closed, as long as that is possible.
#[utoipa::path(post, path = "/v1/orgs/{org}/reopen", tag = "organisations",
    params(("org" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = OrganisationShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn reopen<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let object = Object::new("organisation", staff.org);
    let deed = deed(Action::ManageOrganisation, "organisation.reopen", object);
    staff.taken(&deed, input::no_body(staff.request)).await?;
    let now = staff.caller.now;
    changed(staff, &deed, |_: &Visit, book: &mut Book| reopen_organisation(book, now)).await
}

/// Changes an organisation, and shows it.
async fn changed<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    deed: &Deed,
    act: impl Fn(&Visit, &mut Book) -> Result<Changed<OrgId>, Stopped>,
) -> Result<Response, Failed> {
    let versions = input::if_match(staff.request);
    let work = async |entered: Entered<'_>| {
        let Entered { visit, book, .. } = entered;
        input::fresh(versions.as_deref(), Some(visit.org_version))?;
        let changed = act(visit, book)?;
        let body = output::json(&shape(staff, visit, found(book)?).await?);
        let version = Some(book.next_version::<Organisation>(&()));
        let changed = vec![(deed.object.clone(), changed.fields)];
        Ok(Made { changed, answer: Answered { status: 200, body, version } })
    };
    Ok(made(staff.change(deed, &[], work).await?))
}

pub(crate) fn found(book: &Book) -> Result<&Organisation, Not> {
    book.get::<Organisation>(&())?.ok_or(Not::Refused(Refusal::NotFound))
}

pub(crate) async fn shape<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    visit: &Visit,
    organisation: &Organisation,
) -> Result<OrganisationShape, Refusal> {
    let email = staff.store().open_email(&staff.org, &visit.member, staff.caller.now).await?;
    let you = You::new(&visit.member, email, staff.desk.may(visit));
    Ok(OrganisationShape::new(organisation, Some(you)))
}
