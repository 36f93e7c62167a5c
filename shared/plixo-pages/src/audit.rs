//! The audit log.

use askama::Template;
use jiff::Timestamp;
use jiff::civil::Date;
use plixo_domain::audit::AuditEvent;

use crate::form::{Errors, Paging};
use crate::frame::{Frame, Membership};
use crate::page::pages;

/// `GET /orgs/{org}/audit?from=&to=&actor=&action=&object=&cursor=`.
#[derive(Clone, Template)]
#[template(path = "audit.html")]
pub struct AuditLog {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// What the log is narrowed to.
    pub filter: AuditFilter,
    /// The events, newest first.
    pub rows: Vec<AuditRow>,
    /// Where this page stands.
    pub paging: Paging,
    /// Where there is a next page: the earliest day that was looked at for this one.
    pub looked_back_to: Option<Date>,
    /// Until when the log is sealed; `None` before it is for the first time.
    pub sealed_to: Option<Timestamp>,
    /// What is wrong with the filter.
    pub errors: Errors,
}

/// What the audit log is narrowed to, as typed.
#[derive(Clone, Default)]
pub struct AuditFilter {
    /// From this day on: `2026-11-21`.
    pub from: String,
    /// Until this day, which is included.
    pub to: String,
    /// An actor's id.
    pub actor: String,
    /// An action, `invoice.finalize`.
    pub action: String,
    /// An object's id.
    pub object: String,
}

impl AuditFilter {
    fn any(&self) -> bool {
        !(self.from.is_empty()
            && self.to.is_empty()
            && self.actor.is_empty()
            && self.action.is_empty()
            && self.object.is_empty())
    }
}

impl AuditFilter {
    /// The filter as the beginning of a query.
    fn query(&self) -> String {
        let fields = [
            ("from", &self.from),
            ("to", &self.to),
            ("actor", &self.actor),
            ("action", &self.action),
            ("object", &self.object),
        ];
        let set = fields.into_iter().filter(|(_, value)| !value.is_empty());
        set.fold(String::new(), |query, (name, value)| {
            format!("{query}{name}={}&", crate::page::encoded(value))
        })
    }
}

impl AuditLog {
    fn path(&self) -> String {
        format!("/orgs/{}/audit", self.org.id)
    }
}

/// An audit event in the log.
#[derive(Clone)]
pub struct AuditRow {
    /// The event.
    pub event: AuditEvent,
    /// Who acted, as people know them, where they are still known.
    pub who: Option<String>,
}

impl AuditRow {
    /// The actor's role where there is one, or what kind of actor it is.
    fn role(&self) -> &str {
        let role = self.event.actor.role.as_deref();
        role.map_or(crate::show::actor(&self.event.actor.kind), |word| {
            word.parse().map_or(word, |role| crate::show::role(&role))
        })
    }

    fn object_kind(&self) -> String {
        self.event.object.kind.replace('_', " ")
    }
}

pages!(AuditLog in Audit);
