//! What people do to the ledger. Each act is a function on a [`Book`](super::Book): it reads all that it needs before it
//! changes anything, so on an error the book is as it was.
//!
//! # Choices
//!
//! A person's allocation is a [`Choice`](super::Choice), kept with its payment in the order of choosing. It is a statement like
//! a provider's: everything else is derived from it, so refunds, lost disputes and further payments may come before or after,
//! in any order.
//!
//! - A payment covers its choices, the earliest first; what is left is for the invoice that its provider names. So when it
//!   shrinks, the provider's naming gives way first, then the latest choice, and when it grows again they come back.
//! - An invoice serves what people chose for it, the earliest choice first, then the payments that name it, earliest money
//!   first.
//! - Taking a choice back removes it: what is derived is as it was before. Taking back what a provider named is remembered
//!   ([`Payment::undone`](super::Payment::undone)), so the provider may repeat itself in vain.
//! - A choice whose payment shrank to nothing is no allocation, but waits. Withdrawing the invoice ends it.
//!
//! # Payments that people record
//!
//! They are payments like any other: one witness ([`Bank`](super::Witness::Bank) or [`Manual`](super::Witness::Manual)) says
//! that the money was received. Their name is their external id, or else their own id, under
//! [`Provider::Member`](crate::webhook::Provider::Member), so that two with the same external id are one row.
//!
//! # Numbers
//!
//! A draft without a number has a passing one, `DRAFT-…` of its id, which costs no row. Finalising gives it the next of
//! `INV-000001`, …: the row named `*` among the numbers says which invoice got the last one. So only finalising invoices
//! without a number waits for others who do the same.

mod customers;
mod fields;
mod invoices;
mod organisations;
mod payments;
#[cfg(test)]
mod tests;

pub use customers::{CustomerPatch, create_customer, update_customer};
pub(super) use fields::Fields;
pub use fields::{FieldError, MAX_REASON, Patch, typed_reason};
pub(super) use invoices::is_passing as is_passing_number;
pub use invoices::{
    InvoicePatch, MAX_LINES, NO_NUMBER, NewInvoice, create_invoice, finalize_invoice, is_invoice_number,
    mark_uncollectible, update_invoice, void_invoice,
};
pub use organisations::{
    CashApplicationPatch, MAX_NETS, NewOrganisation, OrganisationPatch, Position, SettingsPatch,
    TolerancePatch, close_organisation, create_organisation, reopen_organisation, set_logo, set_retention,
    update_organisation,
};
pub use payments::{
    MAX_ALLOCATIONS, MAX_CHOICES, NewPayment, RecordedSource, allocate, deallocate, record_payment,
};

use super::{InvoiceStatus, MAX_CLAIMS, Unread};
use crate::id::{AllocationId, PaymentId};

/// More than any invoice or payment is, minor units, and small enough that sums of them cannot overflow.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000_000;

/// What a person's act changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed<Id> {
    /// What was made or changed.
    pub id: Id,
    /// The names of the changed fields; none if nothing changed.
    pub fields: Vec<&'static str>,
}

/// Why an act was not done. The book is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// These rows are needed as well. Read them and act again.
    Unread(Vec<super::RowKey>),
    /// It cannot be done.
    Refused(StaffError),
}

impl From<Unread> for Stopped {
    fn from(Unread(keys): Unread) -> Self {
        Self::Unread(keys)
    }
}

impl From<StaffError> for Stopped {
    fn from(error: StaffError) -> Self {
        Self::Refused(error)
    }
}

/// Why what a person wants cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StaffError {
    /// What they sent is not what it should be.
    #[error("a field is not what it should be")]
    Invalid(Vec<FieldError>),
    /// There is no such thing: of this kind, a word of the contract.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// Another invoice has the number.
    #[error("another invoice has this number")]
    NumberTaken,
    /// Only a draft can be changed or finalised.
    #[error("the invoice is no draft any more; void it and make another one")]
    NotDraft(InvoiceStatus),
    /// Nobody can owe nothing.
    #[error("the invoice sums up to nothing; change its lines")]
    NothingOwed,
    /// Money is applied to the invoice, or a covered choice waits for it: take these allocations back first.
    #[error(
        "payments are applied to the invoice; take their allocations back, or refund them, and void it then"
    )]
    HasAllocations(Vec<AllocationId>),
    /// The customer's personal data was erased: it is nobody's any more.
    #[error("the customer was erased; make a new one for new business")]
    CustomerErased,
    /// The organisation was closed before.
    #[error("the organisation was closed before")]
    Closed,
    /// The organisation is not closed.
    #[error("the organisation is not closed")]
    NotClosed,
    /// The organisation was closed, and its time of grace is over.
    #[error("the organisation was closed, and the time in which it could be opened again is over")]
    Gone,
    /// The invoice's status does not allow it.
    #[error("the invoice is {}, which does not allow this", .0.as_str())]
    WrongStatus(InvoiceStatus),
    /// The payment was recorded before.
    #[error("a payment with this external id was recorded before")]
    AlreadyRecorded(PaymentId),
    /// The invoice at this place of the request is not owed.
    #[error("the invoice is {}, and takes no payment", .status.as_str())]
    NotOwed {
        /// Where in the request.
        pointer: String,
        /// What the invoice is.
        status: InvoiceStatus,
    },
    /// Whoever wants the change could not come in after it.
    #[error("with this you could not come in yourself any more; {advice}")]
    WouldLockOut {
        /// Where in the request.
        pointer: &'static str,
        /// What to do instead.
        advice: &'static str,
    },
    /// Payment, allocation and invoice are to be of one currency.
    #[error("payment, allocation and invoice are not of one currency")]
    OtherCurrency {
        /// Where in the request.
        pointer: String,
    },
    /// More than is unapplied of the payment.
    #[error("more than is unapplied of the payment")]
    OverUnapplied {
        /// Where in the request.
        pointer: String,
    },
    /// The rest of the payment is kept for an allocation that its invoice cannot take at present.
    #[error(
        "what is unapplied is kept for an earlier allocation, whose invoice has no room; take that one back first"
    )]
    Kept(AllocationId),
    /// More than is open of the invoice.
    #[error("more than is open of the invoice")]
    OverBalance {
        /// Where in the request.
        pointer: String,
    },
    /// The payment has as many allocations as a payment can have.
    #[error(
        "a payment has at most {MAX_CHOICES} allocations by people; record the money as several payments"
    )]
    TooManyAllocations,
    /// The invoice has as many payments as an invoice can have.
    #[error("an invoice has at most {MAX_CLAIMS} payments; make a further invoice for the rest")]
    TooManyPayments {
        /// Where in the request.
        pointer: String,
    },
}

impl StaffError {
    /// The stable word for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_request",
            Self::Missing(_) => "not_found",
            Self::NumberTaken => "number_taken",
            Self::NotDraft(_) => "invoice_not_draft",
            Self::NothingOwed => "nothing_owed",
            Self::HasAllocations(_) => "invoice_has_allocations",
            Self::CustomerErased => "customer_erased",
            Self::Closed => "organisation_closed",
            Self::NotClosed => "organisation_not_closed",
            Self::Gone => "organisation_gone",
            Self::WrongStatus(_) => "invoice_status",
            Self::AlreadyRecorded(_) => "already_recorded",
            Self::NotOwed { .. } => "invoice_not_owed",
            Self::WouldLockOut { .. } => "would_lock_you_out",
            Self::OtherCurrency { .. } => "currency_mismatch",
            Self::OverUnapplied { .. } => "exceeds_unapplied",
            Self::Kept(_) => "kept_for_allocation",
            Self::OverBalance { .. } => "exceeds_balance",
            Self::TooManyAllocations => "too_many_allocations",
            Self::TooManyPayments { .. } => "too_many_payments",
        }
    }

    /// The field that it is about, as a JSON pointer into the request.
    #[must_use]
    pub fn pointer(&self) -> Option<&str> {
        match self {
            Self::NumberTaken => Some("/number"),
            Self::AlreadyRecorded(_) => Some("/external_id"),
            Self::WouldLockOut { pointer, .. } => Some(pointer),
            Self::NotOwed { pointer, .. }
            | Self::OtherCurrency { pointer }
            | Self::OverUnapplied { pointer }
            | Self::OverBalance { pointer }
            | Self::TooManyPayments { pointer } => Some(pointer),
            _ => None,
        }
    }
}
