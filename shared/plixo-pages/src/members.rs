//! Members and their roles.

use askama::Template;
use plixo_domain::id::MemberId;
use plixo_domain::people::{MemberState, Role};

use crate::form::{Errors, Paging};
use crate::frame::{Frame, Membership};
use crate::page::pages;

/// `GET /orgs/{org}/members?cursor=`; posts `do`: `invite` with `email` and `role`; `change_role` with `member`, `version` and `role`;
/// `remove` with `member` and `version`.
#[derive(Clone, Template)]
#[template(path = "members.html")]
pub struct Members {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The members.
    pub rows: Vec<MemberRow>,
    /// Where this page stands.
    pub paging: Paging,
    /// The cursor that it was asked by, or nothing: what its forms do shows on the same page.
    pub cursor: String,
    /// The invitation, as typed.
    pub invite: InviteForm,
    /// What is wrong. The field of a member's role is `role-{id}`.
    pub errors: Errors,
}

impl Members {
    fn list(&self) -> String {
        format!("/orgs/{}/members", self.org.id)
    }

    fn path(&self) -> String {
        crate::form::at(self.list(), &self.cursor)
    }
}

/// A member in the list.
#[derive(Clone)]
pub struct MemberRow {
    /// Its id.
    pub id: MemberId,
    /// Its version, for `If-Match`.
    pub version: String,
    /// The person's email.
    pub email: String,
    /// The role.
    pub role: Role,
    /// Whether the person has come in yet.
    pub state: MemberState,
    /// Whether it is the person who looks.
    pub is_self: bool,
    /// Whether it is the last Controller, who can be neither demoted nor removed.
    pub is_last_controller: bool,
}

/// An invitation, as typed.
#[derive(Clone)]
pub struct InviteForm {
    /// Whom to invite.
    pub email: String,
    /// To which role.
    pub role: Role,
}

pages!(Members in Members);
