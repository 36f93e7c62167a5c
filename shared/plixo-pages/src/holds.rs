//! Legal holds.

use askama::Template;
use jiff::Timestamp;
use plixo_domain::id::{CustomerId, HoldId, InvoiceId};

use crate::form::{Choice, Errors, Paging};
use crate::frame::{Frame, Membership};
use crate::page::pages;

/// `GET /orgs/{org}/legal-holds?cursor=`.
#[derive(Clone, Template)]
#[template(path = "holds.html")]
pub struct HoldList {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The holds, the youngest first.
    pub rows: Vec<HoldRow>,
    /// Where this page stands.
    pub paging: Paging,
}

impl HoldList {
    fn path(&self) -> String {
        format!("/orgs/{}/legal-holds", self.org.id)
    }

    fn is_released(&self, part: &str) -> bool {
        part == "released"
    }

    /// Those in force, then those that were released, each with its heading.
    fn parts(&self) -> [(&'static str, &'static str, Vec<&HoldRow>); 2] {
        let (released, force): (Vec<_>, Vec<_>) = self.rows.iter().partition(|row| row.released.is_some());
        [("in-force", "In force", force), ("released", "Released", released)]
    }
}

/// A legal hold.
#[derive(Clone)]
pub struct HoldRow {
    /// Its id.
    pub id: HoldId,
    /// What it is on.
    pub on: HeldThing,
    /// Why.
    pub reason: String,
    /// Who placed it, as people know them.
    pub placed_by: Option<String>,
    /// When.
    pub placed_at: Timestamp,
    /// That it holds nothing any more.
    pub released: Option<Released>,
}

/// That a hold was released.
#[derive(Clone)]
pub struct Released {
    /// Who did it, as people know them.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What a hold is on.
#[derive(Clone)]
pub enum HeldThing {
    /// The whole organisation.
    Organisation,
    /// A customer, with its name.
    Customer(CustomerId, String),
    /// An invoice, with its number.
    Invoice(InvoiceId, String),
}

impl HeldThing {
    /// What kind of thing it is.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Organisation => "Everything of the organisation",
            Self::Customer(..) => "A customer, with its invoices and payments",
            Self::Invoice(..) => "An invoice, with its payments, portal links and customer",
        }
    }

    /// Its page below the organisation's, and its name.
    pub(crate) fn place(&self) -> Option<(String, &str)> {
        match self {
            Self::Organisation => None,
            Self::Customer(id, name) => Some((format!("customers/{id}"), name)),
            Self::Invoice(id, number) => Some((format!("invoices/{id}"), number)),
        }
    }

    /// What it is called within a sentence.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Organisation => "the whole organisation",
            Self::Customer(_, name) | Self::Invoice(_, name) => name,
        }
    }
}

/// On what a new hold is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HoldOn {
    /// A customer.
    #[default]
    Customer,
    /// An invoice.
    Invoice,
    /// The whole organisation.
    Organisation,
}

impl HoldOn {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Customer, Self::Invoice, Self::Organisation];

    /// What is sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Invoice => "invoice",
            Self::Organisation => "organisation",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Customer => "A customer",
            Self::Invoice => "One invoice",
            Self::Organisation => "The whole organisation",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Customer => "Its personal data, invoices and payments. Choose it below",
            Self::Invoice => "With its payments, portal links and customer. Enter its number below",
            Self::Organisation => "Nothing of it is deleted or erased",
        }
    }
}

/// `GET /orgs/{org}/legal-holds/new?customer=`; posts `on`, `customer_id`, `number`, `reason`.
#[derive(Clone, Template)]
#[template(path = "hold-form.html")]
pub struct HoldForm {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The customers to choose from.
    pub customers: Vec<Choice>,
    /// Whether there are more of them.
    pub has_more_customers: bool,
    /// On what.
    pub on: HoldOn,
    /// On which customer, by its id.
    pub customer_id: String,
    /// On which invoice, by its number.
    pub number: String,
    /// Why.
    pub reason: String,
    /// What is wrong.
    pub errors: Errors,
}

impl HoldForm {
    fn list(&self) -> String {
        format!("/orgs/{}/legal-holds", self.org.id)
    }
}

/// `GET /orgs/{org}/legal-holds/{id}`; posts `do`: `release`.
#[derive(Clone, Template)]
#[template(path = "hold.html")]
pub struct HoldPage {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The hold.
    pub row: HoldRow,
    /// Its version, for `If-Match`.
    pub version: String,
    /// What is wrong.
    pub errors: Errors,
}

impl HoldPage {
    fn list(&self) -> String {
        format!("/orgs/{}/legal-holds", self.org.id)
    }

    fn path(&self) -> String {
        format!("{}/{}", self.list(), self.row.id)
    }
}

pages!(HoldList in Privacy, HoldForm in Privacy, HoldPage in Privacy);
