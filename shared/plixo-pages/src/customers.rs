//! Customers.

use askama::Template;
use jiff::Timestamp;
use plixo_domain::id::{CustomerId, PrivacyId};

use crate::form::{Errors, Paging};
use crate::frame::{Frame, Membership};
use crate::page::pages;

/// `GET /orgs/{org}/customers?cursor=`.
#[derive(Clone, Template)]
#[template(path = "customers.html")]
pub struct CustomerList {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The customers.
    pub rows: Vec<CustomerRow>,
    /// Where this page stands.
    pub paging: Paging,
}

impl CustomerList {
    fn path(&self) -> String {
        format!("/orgs/{}/customers", self.org.id)
    }
}

/// A customer in a list.
#[derive(Clone)]
pub struct CustomerRow {
    /// Its id.
    pub id: CustomerId,
    /// Its name.
    pub name: String,
    /// Its email.
    pub email: Option<String>,
    /// Its country.
    pub country: Option<String>,
    /// When its personal data was erased.
    pub erased_at: Option<Timestamp>,
}

/// `GET /orgs/{org}/customers/{id}`.
#[derive(Clone, Template)]
#[template(path = "customer.html")]
pub struct CustomerPage {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// Its id.
    pub id: CustomerId,
    /// Its name.
    pub name: String,
    /// Its email.
    pub email: Option<String>,
    /// Its phone number.
    pub phone: Option<String>,
    /// Its address, a line each.
    pub address: Vec<String>,
    /// Its tax id.
    pub tax_id: Option<String>,
    /// Its names at providers: provider and id.
    pub external_ids: Vec<(String, String)>,
    /// That its personal data was erased: of the rest, its id and its names at providers are left.
    pub erased: Option<ErasedCustomer>,
}

/// That a customer's personal data was erased.
#[derive(Clone, Copy)]
pub struct ErasedCustomer {
    /// When.
    pub at: Timestamp,
    /// Under which privacy request; under the retention policy where there is none.
    pub request: Option<PrivacyId>,
}

impl CustomerPage {
    fn list(&self) -> String {
        format!("/orgs/{}/customers", self.org.id)
    }
}

/// `GET /orgs/{org}/customers/new` and `…/customers/{id}/edit`; posts its fields, named as here and as typed.
#[derive(Clone, Template)]
#[template(path = "customer-form.html")]
pub struct CustomerForm {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The customer that is edited; `None` for a new one.
    pub id: Option<CustomerId>,
    /// That customer's version, for `If-Match`.
    pub version: Option<String>,
    /// Its name.
    pub name: String,
    /// Its email.
    pub email: String,
    /// Its phone number.
    pub phone: String,
    /// The first line of its address.
    pub line1: String,
    /// The second line of its address.
    pub line2: String,
    /// Its city.
    pub city: String,
    /// Its postal code.
    pub postal_code: String,
    /// Its country.
    pub country: String,
    /// Its tax id.
    pub tax_id: String,
    /// What is wrong.
    pub errors: Errors,
}

impl CustomerForm {
    fn action(&self) -> String {
        let own = if self.id.is_some() { "edit" } else { "new" };
        format!("{}/{own}", self.leave())
    }

    fn leave(&self) -> String {
        match self.id {
            Some(id) => format!("/orgs/{}/customers/{id}", self.org.id),
            None => format!("/orgs/{}/customers", self.org.id),
        }
    }

    fn leave_label(&self) -> &'static str {
        if self.id.is_some() { "Customer" } else { "Customers" }
    }
}

pages!(CustomerList in Customers, CustomerPage in Customers, CustomerForm in Customers);
