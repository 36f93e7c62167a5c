//! What an organisation's Controllers may set.

use askama::Template;
use jiff::Timestamp;
use plixo_domain::ledger::{AllocationOrder, Residency};

use crate::form::Errors;
use crate::frame::{Frame, Membership};
use crate::page::pages;

/// `GET /orgs/{org}/settings`. Posts to it with `do`: `save` with `name`, `ip_allow_list` (a CIDR a line), `require_two_factor` (`on`
/// or absent); `cash` with the fields of
/// [`CashForm`]; `remove_logo`; `close` with `close_name`; `reopen`; and, as a form with a file, `logo` with the file `logo`.
#[derive(Clone, Template)]
#[template(path = "settings.html")]
pub struct SettingsPage {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The organisation's version, for `If-Match`.
    pub version: String,
    /// Its name, as typed.
    pub name: String,
    /// From where its staff may come, as typed: a CIDR a line.
    pub ip_allow_list: String,
    /// Whether its members must sign in with two factors.
    pub require_two_factor: bool,
    /// Where its data stays.
    pub residency: Residency,
    /// From where the person who looks comes.
    pub own_ip: Option<String>,
    /// How payments are applied.
    pub cash: CashForm,
    /// The path of the logo that payers see, if there is one.
    pub logo: Option<String>,
    /// That the organisation is closed.
    pub closed: Option<ClosedOrganisation>,
    /// The name that was typed to close it.
    pub close_name: String,
    /// What is wrong.
    pub errors: Errors,
}

/// That an organisation is closed.
#[derive(Clone)]
pub struct ClosedOrganisation {
    /// Who closed it, as people know them.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Until when it can be reopened.
    pub until: Timestamp,
}

/// How payments are applied, as typed: `automatic` (`on` or absent), `threshold`, `percent`, `amount`, `order`.
#[derive(Clone, Default)]
pub struct CashForm {
    /// Whether Plixo applies by itself what it is sure of.
    pub automatic: bool,
    /// How sure it has to be.
    pub threshold: String,
    /// Underpayment tolerance, percent.
    pub percent: String,
    /// Underpayment tolerance, units of the currency.
    pub amount: String,
    /// Which invoices come first.
    pub order: AllocationOrder,
}

impl SettingsPage {
    fn networks_hint(&self) -> String {
        let own = self.own_ip.as_ref().map_or(String::new(), |ip| format!(" You come from {ip}."));
        format!(
            "A network a line, such as 203.0.113.0/24 or 2001:db8::/48. From anywhere if it is empty.{own}"
        )
    }
}

pages!(SettingsPage in Settings);
