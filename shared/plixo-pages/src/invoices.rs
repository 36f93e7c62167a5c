//! Invoices.

use askama::Template;
use jiff::Timestamp;
use jiff::civil::Date;
use plixo_domain::id::{CustomerId, InvoiceId, LinkId, PaymentId};
use plixo_domain::ledger::{InvoiceStatus, LinkState};
use plixo_domain::money::Money;
use plixo_domain::secret::Secret;
use rust_decimal::Decimal;

use crate::form::{Choice, Errors, Paging};
use crate::frame::{Frame, Membership};
use crate::page::pages;

/// `GET /orgs/{org}/invoices?number=&status=&customer=&cursor=`.
#[derive(Clone, Template)]
#[template(path = "invoices.html")]
pub struct InvoiceList {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// What the list is narrowed to.
    pub filter: InvoiceFilter,
    /// The customers to narrow it to, the chosen one among them.
    pub customers: Vec<Choice>,
    /// Whether there are more customers than are listed.
    pub has_more_customers: bool,
    /// The invoices.
    pub rows: Vec<InvoiceRow>,
    /// Where this page stands.
    pub paging: Paging,
    /// What is wrong with the filter.
    pub errors: Errors,
}

/// What a list of invoices is narrowed to.
#[derive(Clone, Default)]
pub struct InvoiceFilter {
    /// A status.
    pub status: Option<InvoiceStatus>,
    /// A customer.
    pub customer: Option<CustomerId>,
    /// A number, and then nothing else.
    pub number: String,
}

impl InvoiceFilter {
    fn any(&self) -> bool {
        self.status.is_some() || self.customer.is_some() || !self.number.is_empty()
    }

    fn has_status(&self, status: &InvoiceStatus) -> bool {
        self.status == Some(*status)
    }

    fn has_customer(&self, id: &str) -> bool {
        self.customer.is_some_and(|customer| customer.to_string() == id)
    }

    /// The filter as the beginning of a query.
    fn query(&self) -> String {
        let mut query = String::new();
        let words = crate::show::invoice_statuses();
        if let Some((word, _)) = words.iter().find(|(_, status)| self.has_status(status)) {
            query.push_str(&format!("status={word}&"));
        }
        if let Some(customer) = self.customer {
            query.push_str(&format!("customer={customer}&"));
        }
        query
    }
}

impl InvoiceList {
    fn path(&self) -> String {
        format!("/orgs/{}/invoices", self.org.id)
    }

    fn first_page(&self) -> String {
        format!("{}?{}", self.path(), self.filter.query())
    }
}

/// An invoice in a list.
#[derive(Clone)]
pub struct InvoiceRow {
    /// Its id.
    pub id: InvoiceId,
    /// Its number.
    pub number: String,
    /// The customer's name.
    pub customer: String,
    /// Its status.
    pub status: InvoiceStatus,
    /// When it was sent.
    pub issued_on: Option<Date>,
    /// When it is to be paid.
    pub due_on: Option<Date>,
    /// Whether that day is past and it is not paid.
    pub is_overdue: bool,
    /// What is owed in all.
    pub total: Money,
    /// What is not paid.
    pub balance: Money,
}

/// `GET /orgs/{org}/invoices/{id}`; posts `do`: `finalize`, `void` and `uncollectible` with `version`; `email_link` and `copy_link`;
/// `revoke_link` with `link`.
#[derive(Clone, Template)]
#[template(path = "invoice.html")]
pub struct InvoicePage {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// Its id.
    pub id: InvoiceId,
    /// Its version, for `If-Match`.
    pub version: String,
    /// Its number.
    pub number: String,
    /// Who owes it.
    pub customer_id: CustomerId,
    /// That customer's name.
    pub customer: String,
    /// That customer's address, a line each.
    pub address: Vec<String>,
    /// That customer's tax id.
    pub tax_id: Option<String>,
    /// Its status.
    pub status: InvoiceStatus,
    /// When it was sent.
    pub issued_on: Option<Date>,
    /// When it is to be paid.
    pub due_on: Option<Date>,
    /// Whether that day is past and it is not paid.
    pub is_overdue: bool,
    /// Its lines.
    pub lines: Vec<InvoiceLine>,
    /// What is owed in all.
    pub total: Money,
    /// What is not paid.
    pub balance: Money,
    /// A note to the payer.
    pub memo: Option<String>,
    /// What was paid.
    pub applied: Vec<Applied>,
    /// Its youngest portal links, the youngest first.
    pub links: Vec<LinkRow>,
    /// Whether it has more of them.
    pub has_more_links: bool,
    /// Whether a portal link can be made.
    pub can_link: bool,
    /// Whether the customer has an address to send it to.
    pub can_email: bool,
    /// The portal link that was just made. It is shown on that answer and never again.
    pub fresh: Option<FreshLink>,
    /// What was done to it, newest first; `None` where the role may not read that.
    pub history: Option<Vec<HistoryRow>>,
    /// Whether it may be edited: a draft, and the role allows it.
    pub can_edit: bool,
    /// Whether it may be finalized.
    pub can_finalize: bool,
    /// Whether it may be voided.
    pub can_void: bool,
    /// Whether it may be given up.
    pub can_give_up: bool,
    /// Why the last action was refused.
    pub errors: Errors,
}

impl InvoicePage {
    fn list(&self) -> String {
        format!("/orgs/{}/invoices", self.org.id)
    }

    fn path(&self) -> String {
        format!("/orgs/{}/invoices/{}", self.org.id, self.id)
    }

    fn paid(&self) -> Money {
        Money::new(self.total.amount.saturating_sub(self.balance.amount), self.total.currency)
    }
}

/// A line of an invoice.
#[derive(Clone)]
pub struct InvoiceLine {
    /// What was sold.
    pub description: String,
    /// How many.
    pub quantity: Decimal,
    /// The price of one, before tax.
    pub unit_price: Money,
    /// The tax rate in percent.
    pub tax_percent: Option<Decimal>,
    /// The line's total with tax.
    pub total: Money,
}

/// A part of a payment that was applied to an invoice.
#[derive(Clone)]
pub struct Applied {
    /// The payment.
    pub payment_id: PaymentId,
    /// When its money was received.
    pub received_on: Option<Date>,
    /// Where the money came from: the contract's word.
    pub source: String,
    /// Who paid.
    pub payer: Option<String>,
    /// How much of it was applied.
    pub amount: Money,
}

/// A portal link of an invoice.
#[derive(Clone)]
pub struct LinkRow {
    /// Its id.
    pub id: LinkId,
    /// How it stands.
    pub state: LinkState,
    /// When it was made.
    pub made_at: Timestamp,
    /// From then on it opens nothing.
    pub expires_at: Timestamp,
    /// When the customer was sent it.
    pub emailed_at: Option<Timestamp>,
    /// When it was used.
    pub opened_at: Option<Timestamp>,
}

impl LinkRow {
    /// Whether there is something to take back: what it opens, or the session that it opened.
    fn can_be_revoked(&self) -> bool {
        matches!(self.state, LinkState::Issued | LinkState::Consumed)
    }
}

/// A new portal link.
#[derive(Clone)]
pub struct FreshLink {
    /// Where it opens. Whoever has it can open it.
    pub url: Secret,
    /// Until when.
    pub expires_at: Timestamp,
    /// Whether the customer was sent it.
    pub email: LinkEmail,
}

/// Whether the customer was sent a portal link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEmail {
    /// They were.
    Sent,
    /// They were to be, and there is no address that takes email.
    NotSent,
    /// They were not to be.
    NotWanted,
}

/// Something that was done.
#[derive(Clone)]
pub struct HistoryRow {
    /// When.
    pub at: Timestamp,
    /// Who did it, as people know them.
    pub who: String,
    /// What: "finalized the invoice".
    pub what: String,
}

/// `GET /orgs/{org}/invoices/new` and `…/invoices/{id}/edit`; posts its fields, named as here, and `do`: `save`, or `add_rows` for
/// the same form with more rows.
#[derive(Clone, Template)]
#[template(path = "invoice-form.html")]
pub struct InvoiceForm {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The draft that is edited; `None` for a new one.
    pub id: Option<InvoiceId>,
    /// That draft's version, for `If-Match`.
    pub version: Option<String>,
    /// The customers to choose from, the chosen one among them. Where there is none, the page says to add one first.
    pub customers: Vec<Choice>,
    /// Whether there are more customers than are listed.
    pub has_more_customers: bool,
    /// The chosen customer's id, or nothing.
    pub customer_id: String,
    /// The number, as typed.
    pub number: String,
    /// The currencies to choose from: ISO 4217 codes.
    pub currencies: Vec<String>,
    /// The chosen currency.
    pub currency: String,
    /// When it is to be paid, as typed: `2026-11-21`.
    pub due_on: String,
    /// The note to the payer, as typed.
    pub memo: String,
    /// The lines, as typed; rows without text are left out when it is saved.
    pub rows: Vec<LineRow>,
    /// What is wrong.
    pub errors: Errors,
}

impl InvoiceForm {
    fn action(&self) -> String {
        let own = if self.id.is_some() { "edit" } else { "new" };
        format!("{}/{own}", self.leave())
    }

    fn leave(&self) -> String {
        match self.id {
            Some(id) => format!("/orgs/{}/invoices/{id}", self.org.id),
            None => format!("/orgs/{}/invoices", self.org.id),
        }
    }

    fn leave_label(&self) -> &'static str {
        if self.id.is_some() { "Invoice" } else { "Invoices" }
    }

    fn customer_hint(&self) -> &'static str {
        if self.has_more_customers {
            "Not all are listed: for another one, open the customer and choose New invoice there"
        } else {
            ""
        }
    }
}

/// A line, as typed: fields `lines.0.description`, `lines.0.quantity`, `lines.0.unit_price`, `lines.0.tax_percent`.
#[derive(Clone, Default)]
pub struct LineRow {
    /// What was sold.
    pub description: String,
    /// How many.
    pub quantity: String,
    /// The price of one: major units, see [`crate::read_amount`].
    pub unit_price: String,
    /// The tax rate in percent.
    pub tax_percent: String,
}

pages!(InvoiceList in Invoices, InvoicePage in Invoices, InvoiceForm in Invoices);
