//! The organisations that a person is in.

use askama::Template;
use plixo_domain::id::OrgId;
use plixo_domain::ledger::Residency;
use plixo_domain::people::Role;

use crate::form::Paging;
use crate::frame::Frame;
use crate::page::pages;

/// `GET /orgs?cursor=`.
#[derive(Clone, Template)]
#[template(path = "organisations.html")]
pub struct Organisations {
    /// The frame.
    pub frame: Frame,
    /// The person's email, where that is known.
    pub email: Option<String>,
    /// The organisations.
    pub rows: Vec<OrganisationRow>,
    /// Where this page stands.
    pub paging: Paging,
}

/// One organisation of a person.
#[derive(Clone)]
pub struct OrganisationRow {
    /// Its id.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// The person's role in it.
    pub role: Role,
    /// Where its data stays.
    pub residency: Residency,
}

pages!(Organisations);
