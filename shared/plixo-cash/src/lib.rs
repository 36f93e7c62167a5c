#![doc = include_str!("../README.md")]

mod find;
mod payer;
mod reason;
mod score;
mod structured;
mod suggest;
mod sums;
#[cfg(test)]
mod tests;
mod text;
mod words;

pub use find::{MAX_REFERENCES, references};
pub use payer::{name_key, payer_key};
pub use plixo_domain::reference::{ReferenceKey, reference_key};
pub use reason::{Nearly, Reason, plainly};
pub use score::{Confidence, Order, Rules, Tolerance};
pub use suggest::{MAX_ALLOCATIONS, MAX_CANDIDATES, MAX_SUGGESTIONS, suggest};

use jiff::civil::Date;
use plixo_domain::id::{CustomerId, InvoiceId};
use plixo_domain::money::Money;

/// A payment with an unapplied amount.
#[derive(Debug, Clone, Copy)]
pub struct Payment<'a> {
    /// What is to be applied.
    pub unapplied: Money,
    /// When the money came.
    pub received_on: Date,
    /// The customer, where somebody has said so.
    pub customer: Option<CustomerId>,
    /// The payer's name, as the bank has it.
    pub payer_name: Option<&'a str>,
    /// The payer's account, in whatever form [`SeenPayer`] has it: a keyed hash, say.
    pub payer_account: Option<&'a str>,
    /// The remittance text, as the bank hands it over.
    pub text: &'a str,
    /// A reference that came in a field of its own.
    pub structured: Option<&'a str>,
    /// What the payer says is paid, from a remittance advice.
    pub instruction: &'a [Instruction<'a>],
}

/// A line of a remittance advice.
#[derive(Debug, Clone, Copy)]
pub struct Instruction<'a> {
    /// The invoice's number.
    pub number: &'a str,
    /// How much of it is paid, minor units of the payment's currency; all that is open if it does not say.
    pub amount: Option<i64>,
}

/// An invoice that the payment may be for.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its id.
    pub id: InvoiceId,
    /// Its number.
    pub number: String,
    /// Whose it is.
    pub customer: CustomerId,
    /// What it asked for.
    pub total: Money,
    /// What is open of it. One with nothing open, or in another currency, gets nothing; it is still told apart from others.
    pub balance: Money,
    /// When it was made.
    pub issued_on: Date,
    /// When it is due.
    pub due_on: Date,
    /// A discount for early payment.
    pub discount: Option<Discount>,
}

/// A discount for early payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discount {
    /// Hundredths of a percent of the total.
    pub basis_points: u16,
    /// The last day on which it may be taken.
    pub until: Date,
}

/// What is known of a customer.
#[derive(Debug, Clone)]
pub struct KnownCustomer {
    /// Its id.
    pub id: CustomerId,
    /// Its names, as they are written.
    pub names: Vec<String>,
    /// Who paid for it before.
    pub seen: Vec<SeenPayer>,
}

/// Who paid for a customer before.
#[derive(Debug, Clone)]
pub struct SeenPayer {
    /// The payer's name or account.
    pub payer: String,
    /// How many payments of this payer were applied to the customer's invoices.
    pub payments: u32,
}

/// What the indexes gave for a payment.
#[derive(Debug, Clone, Copy)]
pub struct Candidates<'a> {
    /// Invoices found by reference key, by exact balance and by customer, in any order.
    pub invoices: &'a [Candidate],
    /// The invoices' customers, and those that the payer may be.
    pub customers: &'a [KnownCustomer],
    /// There are more open invoices with the payment's amount than are here.
    pub more_of_amount: bool,
    /// There are more open invoices of a customer that the payer may be than are here.
    pub more_of_customer: bool,
}

/// What to do with a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggested {
    /// Best first; none under [`Confidence::SHOWN`].
    pub suggestions: Vec<Suggestion>,
    /// Whether the first may be applied without asking.
    pub verdict: Verdict,
    /// What was not looked at.
    pub gave_up: Option<GaveUp>,
}

/// One way to apply a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// How much of it goes to which invoice.
    pub allocations: Vec<(InvoiceId, Money)>,
    /// What stays unapplied. With the allocations it is the payment's amount, exactly.
    pub unapplied: Money,
    /// What stays open of these invoices.
    pub left_open: Money,
    /// How sure it is.
    pub confidence: Confidence,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// Whether a person has to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No: apply the first suggestion.
    Automatic,
    /// Yes.
    Ask(Why),
}

/// Why a person has to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Nothing explains the payment.
    NothingFits,
    /// The best explanation is not sure enough.
    Unsure,
    /// Another explanation is nearly as good.
    NearlyAsGood,
    /// Another explanation is as good.
    Tie,
    /// Not everything was looked at.
    StoppedEarly,
}

/// What was not looked at, for it would have taken too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GaveUp {
    /// The end of the text.
    Text,
    /// Candidates past [`MAX_CANDIDATES`].
    Candidates,
    /// Other sums of the customer's invoices.
    Sums,
}
