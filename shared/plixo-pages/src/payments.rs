//! Payments and their allocations.

use askama::Template;
use jiff::civil::Date;
use plixo_domain::id::{AllocationId, CustomerId, InvoiceId, PaymentId};
use plixo_domain::ledger::PaymentStatus;
use plixo_domain::money::Money;

use crate::access::Carried;
use crate::cash::{CashPlace, Suggestions};
use crate::form::{Choice, Errors, Paging};
use crate::frame::{Frame, Membership, NavGroup, Section};
use crate::page::pages;

/// `GET /orgs/{org}/payments?cursor=` and `GET /orgs/{org}/payments/unapplied?cursor=`.
#[derive(Clone, Template)]
#[template(path = "payments.html")]
pub struct PaymentList {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// Whether it lists only payments with money that is not applied.
    pub is_unapplied: bool,
    /// The payments.
    pub rows: Vec<PaymentRow>,
    /// Where this page stands.
    pub paging: Paging,
}

impl PaymentList {
    fn navigation(&self) -> Vec<NavGroup> {
        self.org.navigation(if self.is_unapplied { Section::Unapplied } else { Section::Payments })
    }

    fn path(&self) -> String {
        format!("/orgs/{}/payments{}", self.org.id, if self.is_unapplied { "/unapplied" } else { "" })
    }
}

/// A payment in a list.
#[derive(Clone)]
pub struct PaymentRow {
    /// Its id.
    pub id: PaymentId,
    /// When the money was received.
    pub received_on: Option<Date>,
    /// Who paid: the customer's or payer's name.
    pub payer: Option<String>,
    /// Where it came from: the contract's word.
    pub source: String,
    /// Its status.
    pub status: PaymentStatus,
    /// How much it is.
    pub amount: Option<Money>,
    /// What of it is not applied.
    pub unapplied: Option<Money>,
}

/// A customer to link to.
#[derive(Clone)]
pub struct CustomerLink {
    /// Its id.
    pub id: CustomerId,
    /// Its name.
    pub name: String,
}

/// `GET /orgs/{org}/payments/{id}`, with the fields of [`AllocateForm`] filled in that its query has; posts `version` and `do`:
/// `apply` with the fields of [`AllocateForm`] or those of a suggestion, or `take_back` with `allocation`.
#[derive(Clone, Template)]
#[template(path = "payment.html")]
pub struct PaymentPage {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// Its id.
    pub id: PaymentId,
    /// Its version, for `If-Match`.
    pub version: String,
    /// Where it came from: the contract's word.
    pub source: String,
    /// Its status.
    pub status: PaymentStatus,
    /// How much it is.
    pub amount: Option<Money>,
    /// What of it is not applied.
    pub unapplied: Option<Money>,
    /// What went back.
    pub refunded: Option<Money>,
    /// The customer.
    pub customer: Option<CustomerLink>,
    /// Who paid, in the payer's words.
    pub payer_name: Option<String>,
    /// What for, in the payer's words.
    pub remittance: Option<String>,
    /// When the money was received.
    pub received_on: Option<Date>,
    /// Its name at its source.
    pub external_id: Option<String>,
    /// Where it went.
    pub allocations: Vec<AllocationRow>,
    /// What it may be for; `None` where that is not asked for.
    pub suggestions: Option<Suggestions>,
    /// Where in the list of unapplied payments somebody came from.
    pub place: Option<CashPlace>,
    /// The form to apply what is left; `None` when nothing is, or the role may not.
    pub allocate: Option<AllocateForm>,
    /// What is wrong.
    pub errors: Errors,
}

impl PaymentPage {
    fn path(&self) -> String {
        format!("/orgs/{}/payments/{}", self.org.id, self.id)
    }

    fn list(&self) -> String {
        format!("/orgs/{}/payments", self.org.id)
    }

    fn carried(&self) -> Vec<Carried> {
        self.place.as_ref().map(CashPlace::carried).unwrap_or_default()
    }

    /// Whether this place of the form is to be typed in first, where somebody came to do so: the first amount that is there.
    fn has_focus(&self, form: &AllocateForm, place: &usize) -> bool {
        let typed = form.candidates.iter().position(|it| !it.amount.is_empty());
        let first = typed.or(self.place.is_some().then_some(0)).filter(|_| !self.errors.any());
        first == Some(*place)
    }

    fn can_remove_any(&self) -> bool {
        self.allocations.iter().any(|allocation| allocation.can_remove)
    }
}

/// A part of a payment applied to an invoice.
#[derive(Clone)]
pub struct AllocationRow {
    /// Its id.
    pub id: AllocationId,
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// The invoice's number.
    pub number: String,
    /// How much.
    pub amount: Money,
    /// Who applied it, as people know them.
    pub applied_by: String,
    /// Whether it may be taken back.
    pub can_remove: bool,
}

/// The form that applies a payment: a field `apply.inv_…`, by the invoice's id, for each candidate, and `other_number`,
/// `other_amount` for an invoice that is not among them.
#[derive(Clone)]
pub struct AllocateForm {
    /// Open invoices of the payment's currency, likeliest first, and each that something was typed for.
    pub candidates: Vec<Candidate>,
    /// The number of another invoice, as typed.
    pub other_number: String,
    /// What to apply to that, as typed.
    pub other_amount: String,
}

/// An open invoice that a payment may be applied to.
#[derive(Clone)]
pub struct Candidate {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// Its number.
    pub number: String,
    /// Its customer's name.
    pub customer: String,
    /// When it is to be paid.
    pub due_on: Option<Date>,
    /// Whether that day is past.
    pub is_overdue: bool,
    /// What of it is not paid.
    pub balance: Money,
    /// What to apply, as typed: major units, see [`crate::read_amount`].
    pub amount: String,
}

/// `GET /orgs/{org}/payments/new?customer=`; posts its fields, named as here and as typed.
#[derive(Clone, Template)]
#[template(path = "payment-form.html")]
pub struct PaymentForm {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// `bank` or `manual`.
    pub source: String,
    /// How much: major units, see [`crate::read_amount`].
    pub amount: String,
    /// The currencies to choose from: ISO 4217 codes.
    pub currencies: Vec<String>,
    /// The chosen currency.
    pub currency: String,
    /// When the money was received: `2026-11-21`.
    pub received_on: String,
    /// The customers to choose from, the chosen one among them.
    pub customers: Vec<Choice>,
    /// Whether there are more customers than are listed.
    pub has_more_customers: bool,
    /// The chosen customer's id, or nothing.
    pub customer_id: String,
    /// Who paid.
    pub payer_name: String,
    /// What for.
    pub remittance: String,
    /// The bank's name of it.
    pub external_id: String,
    /// What is wrong.
    pub errors: Errors,
}

impl PaymentForm {
    fn list(&self) -> String {
        format!("/orgs/{}/payments", self.org.id)
    }

    fn customer_hint(&self) -> &'static str {
        if self.has_more_customers {
            "Not all are listed: for another one, open the customer and choose Record a payment there"
        } else {
            ""
        }
    }
}

impl PaymentList {
    /// The page as HTML.
    #[must_use]
    pub fn render(&self) -> String {
        crate::page::html(self)
    }
}

pages!(PaymentPage in Payments, PaymentForm in Payments);
