//! `/v1/orgs/{org}/members`.

use plixo_api::document::{ChangeProblems, Problems};
use plixo_api::input::{self, Failed};
use plixo_api::output::{self, List as Part, made};
use plixo_api::staff::{Staff, deed};
use plixo_authz::Action;
use plixo_aws::cognito::{Directory, Register};
use plixo_aws::ses::SendEmail;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::id::{MemberId, OrgId};
use plixo_domain::ledger::{Book, Private, Row, RowKey};
use plixo_domain::people::{
    Member, MemberPointer, MemberState, UserId, add_member, change_member, remove_member,
};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_staff::{Answered, Entered, Made, Not, Refusal};
use plixo_store::{List, Store, Tables};

use crate::invitation::Invitations;
use crate::organisations::Query;
use crate::shape::{MemberChange, MemberOrder, MemberShape};

/// The members, the youngest first.
#[utoipa::path(get, path = "/v1/orgs/{org}/members", tag = "members", params(("org" = String, Path), Query),
    responses((status = 200, body = Part<MemberShape>), Problems), security(("bearer" = [])))]
pub(crate) async fn list<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let deed = deed(Action::ManageOrganisation, "member.list", Object::new("organisation", staff.org));
    let Query { limit, cursor } = staff.taken(&deed, input::query(staff.request)).await?;
    let page = (limit, cursor.as_deref());
    let (rows, next_cursor) = staff.list(&deed, &List::Members, "members", page).await?;
    let mut data = Vec::with_capacity(rows.len());
    for (row, version) in rows {
        if let Row::Member(member) = row {
            data.push(shape(staff, &member).await?.listed(version));
        }
    }
    Ok(Response::json(200, output::json(&Part { data, next_cursor })))
}

/// Invites somebody by email. The email is sent again if they are invited once more, in the same role, before they come in.
#[utoipa::path(post, path = "/v1/orgs/{org}/members", tag = "members",
    params(("org" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = MemberOrder,
    responses((status = 201, body = MemberShape),
        (status = 200, body = MemberShape, description = "invited before, and the email is sent again"),
        Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn invite<T: Tables, K: KeyService, D: Directory + Register, M: SendEmail>(
    staff: &Staff<'_, T, K>,
    invitations: &Invitations<D, M>,
) -> Result<Response, Failed> {
    let deed = deed(Action::ManageOrganisation, "member.invite", Object::new("organisation", staff.org));
    let MemberOrder { email, role } = staff.taken(&deed, input::body(staff.request)).await?;
    let visit = staff.enter_to_change(&deed).await?;
    let guest = match invitations.guest(&email, "/email").await {
        Err(refusal @ Refusal::State { .. }) => {
            staff.desk.record(&staff.caller, &visit, &deed, Outcome::Failed).await?;
            return Err(refusal.into());
        }
        guest => guest?,
    };
    let work = async |entered: Entered<'_>| {
        let Entered { book, ids, .. } = entered;
        let waits = |member: &&Member| member.state == MemberState::Invited && member.role == role;
        if let Some(member) = book.get::<Member>(&guest.user)?.filter(waits) {
            // Their email may have failed, and nothing but that is to be done again.
            let body = output::json(&shape(staff, member).await?);
            let changed = vec![(Object::new("member", member.id), Vec::new())];
            let version = book.version::<Member>(&guest.user);
            return Ok(Made { changed, answer: Answered { status: 200, body, version } });
        }
        let (user, state) = (guest.user, MemberState::Invited);
        let private = Private::Plain(email.as_str().to_owned());
        let member = Member { id: ids.make(), user, role, state, email: private };
        add_member(book, member.clone())?;
        let body = output::json(&MemberShape::new(&member, email.as_str().to_owned()));
        let changed = vec![(Object::new("member", member.id), vec!["email", "role"])];
        Ok(Made { changed, answer: Answered { status: 201, body, version: Some(1) } })
    };
    let rows = [RowKey::Member(guest.user), RowKey::UserOrganisation(guest.user)];
    let answered = staff.change(&deed, &rows, work).await?;
    // A repeated answer may be of somebody who was removed since.
    if is_member(staff.store(), &staff.org, guest.user).await? {
        invitations.tell((&email, "/email", &guest), (&visit.org.name, role), staff.request).await?;
    }
    Ok(made(answered))
}

/// Gives a member another role.
#[utoipa::path(patch, path = "/v1/orgs/{org}/members/{id}", tag = "members",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body = MemberChange,
    responses((status = 200, body = MemberShape), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn update<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<MemberId>(Action::ManageOrganisation, "member.update", "member").await?;
    let MemberChange { role } = staff.taken(&deed, input::body(staff.request)).await?;
    let versions = input::if_match(staff.request);
    let work = async |entered: Entered<'_>| {
        let Entered { book, .. } = entered;
        let before = found(book, &id)?.clone();
        input::fresh(versions.as_deref(), book.version::<Member>(&before.user))?;
        let after = Member { role, ..before.clone() };
        change_member(book, after.clone())?;
        let body = output::json(&shape(staff, &after).await?);
        let fields = if before.role == role { vec![] } else { vec!["role"] };
        let version = Some(book.next_version::<Member>(&after.user));
        let changed = vec![(Object::new("member", id), fields)];
        Ok(Made { changed, answer: Answered { status: 200, body, version } })
    };
    Ok(made(staff.change(&deed, &[RowKey::MemberPointer(id)], work).await?))
}

/// Takes a member out of the organisation. Their next request finds nothing.
#[utoipa::path(delete, path = "/v1/orgs/{org}/members/{id}", tag = "members",
    params(("org" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 204), Problems, ChangeProblems), security(("bearer" = [])))]
pub(crate) async fn remove<T: Tables, K: KeyService>(staff: &Staff<'_, T, K>) -> Result<Response, Failed> {
    let (id, deed) = staff.about::<MemberId>(Action::ManageOrganisation, "member.remove", "member").await?;
    let versions = input::if_match(staff.request);
    staff.taken(&deed, input::no_body(staff.request)).await?;
    let work = async |entered: Entered<'_>| {
        let user = found(entered.book, &id)?.user;
        input::fresh(versions.as_deref(), entered.book.version::<Member>(&user))?;
        remove_member(entered.book, user)?;
        let changed = vec![(Object::new("member", id), vec!["email", "role"])];
        Ok(Made { changed, answer: Answered { status: 204, body: String::new(), version: None } })
    };
    Ok(made(staff.change(&deed, &[RowKey::MemberPointer(id)], work).await?))
}

/// Whether somebody is a member as things stand.
pub(crate) async fn is_member<T: Tables, K: KeyService>(
    store: &Store<T, K>,
    org: &OrgId,
    user: UserId,
) -> Result<bool, Refusal> {
    let rows = store.read(org, vec![RowKey::Member(user)]).await?;
    Ok(rows.iter().any(|(_, stored)| stored.is_some()))
}

fn found<'b>(book: &'b Book, id: &MemberId) -> Result<&'b Member, Not> {
    let missing = || Not::Refused(Refusal::NotFound);
    let user = book.get::<MemberPointer>(id)?.ok_or_else(missing)?.user;
    book.get::<Member>(&user)?.ok_or_else(missing)
}

async fn shape<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    member: &Member,
) -> Result<MemberShape, Refusal> {
    let email = staff.store().open_email(&staff.org, member, staff.caller.now).await?;
    Ok(MemberShape::new(member, email))
}
