//! `/v1/orgs/{org}/logo`: what payers see beside an organisation's name.

use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Failed, invalid};
use plixo_api::output::{self, made};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_domain::audit::Object;
use plixo_domain::ledger::{Logo, LogoHash, Organisation, RowKey, staff as acts};
use plixo_envelope::KeyService;
use plixo_lambda::hash::sha256;
use plixo_lambda::http::Response;
use plixo_staff::{Answered, Deed, Entered, Made};
use plixo_store::Tables;

use crate::organisations::{found, shape};
use crate::pixels;
use crate::shape::OrganisationShape;

fn about<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Deed {
    let object = Object::new("organisation", staff.org);
    deed(Action::ManageOrganisation, "organisation.logo", object)
}

/// Shows payers that image beside the organisation's name: a PNG, 16 to 1024 pixels either way, of at most 9,000 bytes. Nothing but
/// its pixels is kept; of an animation, the first frame.
#[utoipa::path(put, path = "/v1/orgs/{org}/logo", tag = "organisations",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body(content_type = "image/png", description = "The image."),
    responses((status = 200, body = OrganisationShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn set_logo<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = about(staff);
    let file = match staff.request.body_len() {
        0 => Err(invalid("", "the body is the image")),
        _ => input::file(staff.request, "image/png", pixels::MAX_BYTES),
    };
    let png = file.and_then(|file| pixels::only(&file).map_err(|error| invalid("", error.to_string())));
    let png = staff.taken(&deed, png).await?;
    let logo = Logo { hash: LogoHash::of(sha256(&png)), png };
    let work = async |entered: Entered<'_>| {
        let Entered { visit, book, .. } = entered;
        let changed = acts::set_logo(book, Some(logo.clone()))?;
        let body = output::json(&shape(staff, visit, found(book)?).await?);
        let version = Some(book.next_version::<Organisation>(&()));
        let changed = vec![(deed.object.clone(), changed.fields)];
        Ok(Made { changed, answer: Answered { status: 200, body, version } })
    };
    Ok(made(staff.change(&deed, &[RowKey::Logo], work).await?))
}

/// Shows payers the first letters of the organisation's name again.
#[utoipa::path(delete, path = "/v1/orgs/{org}/logo", tag = "organisations",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn remove_logo<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
) -> Result<Response, Failed> {
    let deed = about(staff);
    staff.taken(&deed, input::no_body(staff.request)).await?;
    let work = async |entered: Entered<'_>| {
        let changed = acts::set_logo(entered.book, None)?;
        let changed = vec![(deed.object.clone(), changed.fields)];
        Ok(Made { changed, answer: Answered { status: 204, body: String::new(), version: None } })
    };
    Ok(made(staff.change(&deed, &[RowKey::Logo], work).await?))
}
