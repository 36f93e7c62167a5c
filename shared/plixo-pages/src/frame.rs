//! What stands around the content of every page.

use jiff::Timestamp;
use plixo_domain::id::OrgId;
use plixo_domain::people::Role;

/// What every page has.
#[derive(Clone, Default)]
pub struct Frame {
    /// Random text, new for each answer. Each form that changes something sends `idempotency_key`: this, a point and the form's
    /// name.
    pub form_key: String,
    /// What everybody is to know: incidents, maintenance.
    pub banners: Vec<Banner>,
    /// What the request before this one did: "Invoice finalized."
    pub done: Option<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Notice,
    /// Something works less well.
    Warning,
    /// Something does not work.
    Critical,
}

impl Severity {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Notice => "info",
            Self::Warning => "warn",
            Self::Critical => "bad",
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Notice => "Notice",
            Self::Warning => "Warning",
            Self::Critical => "Critical",
        }
    }
}

/// A message at the top of every page.
#[derive(Clone)]
pub struct Banner {
    /// How bad it is.
    pub severity: Severity,
    /// What it says.
    pub text: String,
}

/// Who looks at a page of an organisation.
#[derive(Clone)]
pub struct Membership {
    /// The organisation.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// The person's email, where that is known.
    pub email: Option<String>,
    /// The person's role in it.
    pub role: Role,
    /// What the role allows: nothing else is offered.
    pub may: May,
    /// Whether the person is in other organisations too.
    pub has_others: bool,
    /// Of an organisation that is closed: until when it can be reopened.
    pub closed_until: Option<Timestamp>,
}

/// What a role allows, as the policies say. Pages offer nothing else; the server checks all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct May {
    /// Read invoices, payments, customers.
    pub read_ledger: bool,
    /// Write invoices, customers, payments, allocations.
    pub write_ledger: bool,
    /// Webhook endpoints and events.
    pub manage_integrations: bool,
    /// Members, roles, settings.
    pub manage_organisation: bool,
    /// The audit log.
    pub read_audit: bool,
    /// Ask for exports.
    pub request_exports: bool,
    /// Approve those of others.
    pub approve_exports: bool,
    /// The retention policy, legal holds, privacy requests.
    pub manage_privacy: bool,
}

/// The places of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Invoices,
    Customers,
    Payments,
    Unapplied,
    Members,
    Integrations,
    Events,
    Audit,
    Exports,
    Privacy,
    Settings,
}

pub(crate) struct NavItem {
    pub(crate) path: String,
    pub(crate) label: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) is_current: bool,
}

pub(crate) struct NavGroup {
    pub(crate) label: &'static str,
    pub(crate) items: Vec<NavItem>,
}

impl Membership {
    pub(crate) fn navigation(&self, current: Section) -> Vec<NavGroup> {
        let may = self.may;
        let item = |section: Section, allowed: bool, path: &str, label, icon| {
            let path = format!("/orgs/{}{path}", self.id);
            allowed.then_some(NavItem { path, label, icon, is_current: section == current })
        };
        let group = |label, items: Vec<Option<NavItem>>| NavGroup {
            label,
            items: items.into_iter().flatten().collect(),
        };
        let ledger = vec![
            item(Section::Overview, may.read_ledger, "", "Overview", "overview"),
            item(Section::Invoices, may.read_ledger, "/invoices", "Invoices", "invoices"),
            item(Section::Customers, may.read_ledger, "/customers", "Customers", "customers"),
            item(Section::Payments, may.read_ledger, "/payments", "Payments", "payments"),
            item(Section::Unapplied, may.read_ledger, "/payments/unapplied", "Unapplied", "unapplied"),
        ];
        let organisation = vec![
            item(Section::Members, may.manage_organisation, "/members", "Members", "members"),
            item(
                Section::Integrations,
                may.manage_integrations,
                "/integrations",
                "Integrations",
                "integrations",
            ),
            item(Section::Events, may.manage_integrations, "/webhook-events", "Webhook events", "events"),
            item(Section::Audit, may.read_audit, "/audit", "Audit log", "audit"),
            item(Section::Exports, may.request_exports, "/exports", "Exports", "exports"),
            item(Section::Privacy, may.manage_privacy, "/privacy-requests", "Privacy", "privacy"),
            item(Section::Settings, may.manage_organisation, "/settings", "Settings", "settings"),
        ];
        let groups = [group("Ledger", ledger), group("Organisation", organisation)];
        groups.into_iter().filter(|group| !group.items.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_navigation_offers_what_the_role_may_do() {
        let may = May { read_ledger: true, read_audit: true, ..May::default() };
        let id = "org_01h2xcejqtf2nbrexx3vqjhp41".parse().unwrap();
        let org = Membership {
            id,
            name: String::new(),
            email: None,
            role: Role::Cfo,
            may,
            has_others: false,
            closed_until: None,
        };
        let groups = org.navigation(Section::Audit);
        let items: Vec<_> = groups.iter().flat_map(|group| &group.items).collect();
        let labels: Vec<_> = items.iter().map(|item| item.label).collect();
        assert_eq!(labels, ["Overview", "Invoices", "Customers", "Payments", "Unapplied", "Audit log"]);
        let current: Vec<_> = items.iter().filter(|item| item.is_current).map(|item| item.label).collect();
        assert_eq!(current, ["Audit log"]);
    }
}
