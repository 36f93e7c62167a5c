//! Cash application: unapplied payments one after the other, each with what it may be for.

use askama::Template;
use jiff::civil::Date;
use plixo_domain::id::{AllocationId, InvoiceId, OrgId, PaymentId};
use plixo_domain::money::Money;

use crate::access::Carried;
use crate::amount::write_amount;
use crate::chart::Split;
use crate::form::{Errors, at};
use crate::frame::{Frame, Membership};
use crate::page::{encoded, pages};
use crate::payments::CustomerLink;
use crate::show::{Mark, Tone};

/// `GET /orgs/{org}/cash?cursor=&payment=`; posts `do`: `apply` with `payment`, `next`, `version` and a field `apply.inv_…` for
/// each allocation of a [`Suggestion`], or `undo` with the fields of [`Undo`].
#[derive(Clone, Template)]
#[template(path = "cash.html")]
pub struct CashPage {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The place in the list where the page stands.
    pub cursor: String,
    /// What was applied before this page, to be taken back.
    pub undo: Option<Undo>,
    /// What is to be worked off.
    pub work: CashWork,
    /// What is wrong.
    pub errors: Errors,
}

/// What is to be worked off.
#[derive(Clone)]
pub enum CashWork {
    /// A payment.
    Payment(Box<CashPayment>),
    /// The list is at its end; so many are still unapplied, for they were skipped or came meanwhile.
    Rest(Left),
    /// There is no unapplied payment.
    Nothing,
}

/// A payment to be worked off.
#[derive(Clone)]
pub struct CashPayment {
    /// Its id.
    pub id: PaymentId,
    /// Its version, for `If-Match`.
    pub version: String,
    /// Who paid, in the payer's words.
    pub payer_name: Option<String>,
    /// The customer.
    pub customer: Option<CustomerLink>,
    /// What for, in the payer's words.
    pub remittance: Option<String>,
    /// When the money was received.
    pub received_on: Option<Date>,
    /// Where it came from: the contract's word.
    pub source: String,
    /// How much it is.
    pub amount: Option<Money>,
    /// What of it is not applied; `None` when nothing is left of it.
    pub unapplied: Option<Money>,
    /// How many are to be worked off from here on, this one among them.
    pub left: Left,
    /// The place in the list after this one.
    pub next: String,
    /// What it may be for; `None` where that could not be found out now.
    pub suggestions: Option<Suggestions>,
}

/// How many payments there are, as far as they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// So many were counted.
    pub count: usize,
    /// Whether there are more.
    pub has_more: bool,
}

/// What a payment may be for, the likeliest first.
#[derive(Clone)]
pub struct Suggestions {
    /// The suggestions.
    pub rows: Vec<Suggestion>,
    /// Whether not all combinations of invoices were looked at.
    pub stopped_early: bool,
}

/// What a payment may be for.
#[derive(Clone)]
pub struct Suggestion {
    /// What each invoice gets.
    pub allocations: Vec<SuggestedAllocation>,
    /// What stays unapplied then.
    pub unapplied: Money,
    /// How sure it is, of 100.
    pub percent: u8,
    /// Why it is suggested, and what speaks against it.
    pub reasons: Vec<String>,
}

/// What an invoice would get.
#[derive(Clone)]
pub struct SuggestedAllocation {
    /// The invoice.
    pub invoice_id: InvoiceId,
    /// Its number.
    pub number: String,
    /// How much.
    pub amount: Money,
}

/// What was applied, to be taken back: the form sends `undo`, the payment; `of`, the allocations with points between; `from`, the
/// place in the list where the payment stood.
#[derive(Clone)]
pub struct Undo {
    /// The payment.
    pub payment: PaymentId,
    /// Who paid.
    pub payer: Option<String>,
    /// The allocations.
    pub allocations: Vec<UndoAllocation>,
    /// The place in the list where the payment stood.
    pub from: String,
}

/// An allocation to be taken back.
#[derive(Clone)]
pub struct UndoAllocation {
    /// Its id.
    pub id: AllocationId,
    /// The invoice's number.
    pub number: String,
    /// How much.
    pub amount: Money,
}

/// Where in the list of unapplied payments somebody went from, to go on there.
#[derive(Clone)]
pub struct CashPlace {
    /// The place where the payment stands.
    pub cursor: String,
    /// The place after it.
    pub next: String,
}

fn list(org: &OrgId) -> String {
    format!("/orgs/{org}/cash")
}

impl CashPlace {
    /// Where the payment is to be worked off.
    pub(crate) fn path(&self, org: &OrgId, payment: &PaymentId) -> String {
        let list = at(list(org), &self.cursor);
        format!("{list}{}payment={payment}", if list.contains('?') { '&' } else { '?' })
    }

    pub(crate) fn carried(&self) -> Vec<Carried> {
        vec![
            Carried { name: "cursor", value: self.cursor.clone() },
            Carried { name: "next", value: self.next.clone() },
        ]
    }
}

impl CashPage {
    fn path(&self) -> String {
        at(list(&self.org.id), &self.cursor)
    }

    fn start(&self) -> String {
        list(&self.org.id)
    }

    fn payments(&self) -> String {
        format!("/orgs/{}/payments/unapplied", self.org.id)
    }

    /// Nothing has the focus that changes something where there is something to read first.
    fn is_calm(&self) -> bool {
        !self.errors.any()
    }
}

impl CashPayment {
    /// Whether there is no suggestion to have the focus.
    fn is_bare(&self) -> bool {
        self.suggestions.as_ref().is_none_or(|it| it.rows.is_empty())
    }

    /// Whether the first suggestion has the focus. What is less sure is applied by a key of its own only.
    fn is_sure(&self) -> bool {
        self.suggestions.as_ref().and_then(|it| it.rows.first()).is_some_and(Suggestion::is_sure)
    }

    fn skip(&self, org: &OrgId) -> String {
        at(list(org), &self.next)
    }

    fn carried(&self) -> Vec<Carried> {
        vec![
            Carried { name: "payment", value: self.id.to_string() },
            Carried { name: "next", value: self.next.clone() },
        ]
    }

    /// The form of the payment's own page, which leads back here.
    fn by_hand(&self, org: &OrgId, cursor: &str) -> String {
        let (cursor, next) = (encoded(cursor), encoded(&self.next));
        format!("/orgs/{org}/payments/{}?cursor={cursor}&next={next}", self.id)
    }
}

impl Left {
    fn words(&self) -> String {
        match (self.count, self.has_more) {
            (count, true) => format!("More than {count} payments"),
            (1, false) => "1 payment".to_owned(),
            (count, false) => format!("{count} payments"),
        }
    }

    fn sentence(&self) -> String {
        let verb = if self.count == 1 && !self.has_more { "is" } else { "are" };
        format!("{} {verb} still unapplied.", self.words())
    }
}

impl Suggestion {
    pub(crate) fn split(&self) -> Split {
        let shares: Vec<_> = self.allocations.iter().map(|it| it.amount.amount).collect();
        Split::new(&shares, self.unapplied.amount)
    }

    pub(crate) fn mark(&self) -> Mark {
        match self.percent {
            95.. => Mark { word: "Almost certain", shape: "check", tone: Tone::Good },
            80.. => Mark { word: "Likely", shape: "half", tone: Tone::Info },
            _ => Mark { word: "Possible", shape: "ring", tone: Tone::Quiet },
        }
    }

    /// Whether it may have the focus, so that one key applies it.
    pub(crate) fn is_sure(&self) -> bool {
        self.percent >= 95
    }

    /// What its button does, for who hears nothing else of it.
    pub(crate) fn label(&self) -> String {
        let numbers: Vec<_> = self.allocations.iter().map(|it| it.number.as_str()).collect();
        format!("Apply to {}, {} percent", numbers.join(", "), self.percent)
    }

    /// That page with the amounts of this suggestion in its form.
    pub(crate) fn change(&self, page: &str) -> String {
        let mut page = page.to_owned();
        for it in &self.allocations {
            page.push(if page.contains('?') { '&' } else { '?' });
            page.push_str(&format!("{}={}", it.field(), write_amount(it.amount)));
        }
        page
    }
}

impl SuggestedAllocation {
    pub(crate) fn field(&self) -> String {
        format!("apply.{}", self.invoice_id)
    }

    pub(crate) fn typed(&self) -> String {
        write_amount(self.amount)
    }
}

impl Undo {
    fn carried(&self) -> Vec<Carried> {
        let ids: Vec<_> = self.allocations.iter().map(|it| it.id.to_string()).collect();
        vec![
            Carried { name: "undo", value: self.payment.to_string() },
            Carried { name: "of", value: ids.join(".") },
            Carried { name: "from", value: self.from.clone() },
        ]
    }
}

pages!(CashPage in Unapplied);
