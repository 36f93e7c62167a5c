//! What ERPs tell, in one form: customers, invoices, payments and credit notes.
//!
//! Money is integer minor units; a person's data is [`Private`], which shows nothing. Every thing has the name that its provider
//! gave it, unique among things of its kind at that provider, and a [`Version`] by which older news is told from newer.
//! Credit notes are named `credit_note:…`, so that their names can stand beside those of payments.

mod amount;
mod line;
mod name;
mod read;
mod time;

use jiff::Timestamp;
use jiff::civil::Date;
use plixo_domain::id::{CustomerId, InvoiceId};
use plixo_domain::ledger::{InvoiceBody, InvoiceState, Payer, Personal, Private, Stamp};
use plixo_domain::money::Money;
use plixo_domain::webhook::ExternalId;

pub use amount::minor_units;
pub use name::{external_id, external_id_of_person};
pub use time::timestamp;

pub(crate) use line::{LineText, address, body, line, tidy};
pub(crate) use name::{hash_in_place, hashed, sha256};
pub(crate) use read::read;

/// How new something is: first the time at the provider, then, of versions of the same time, a number that it counts up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// When the thing last changed there.
    pub at: Timestamp,
    /// The provider's own count of versions; 0 where it has none.
    pub sequence: u64,
}

impl Version {
    pub(crate) fn new(at: Timestamp) -> Self {
        Self { at, sequence: 0 }
    }

    /// The last of its time: nothing follows a deletion.
    pub(crate) fn last(at: Timestamp) -> Self {
        Self { at, sequence: u64::MAX }
    }

    /// The ledger's stamp of it. Stamps order as versions do, also within a second, and last by the event that told.
    #[must_use]
    pub fn stamp(&self, event: &ExternalId) -> Stamp {
        // Before 1970 parts of a second are negative, and none of this was.
        let nanos = self.at.subsec_nanosecond().max(0);
        let event = format!("{nanos:09}.{:020}.{event}", self.sequence);
        Stamp { at: self.at.as_second(), event }
    }
}

/// What an ERP tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `customer.upserted`.
    CustomerUpserted(Customer),
    /// `invoice.upserted`.
    InvoiceUpserted(Invoice),
    /// `invoice.voided`.
    InvoiceVoided(Voided),
    /// `payment.recorded`.
    PaymentRecorded(Payment),
    /// `credit_note.recorded`.
    CreditNoteRecorded(CreditNote),
}

/// A customer as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Its name at the provider.
    pub id: ExternalId,
    /// How new this is.
    pub version: Version,
    /// What it is; `None`: deleted there.
    pub personal: Option<Private<Personal>>,
    /// The customer of Plixo's that it is, if the sender says so.
    pub plixo_id: Option<CustomerId>,
}

/// An invoice as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Its name at the provider.
    pub id: ExternalId,
    /// How new this is.
    pub version: Version,
    /// Its number; a draft may have none.
    pub number: Option<String>,
    /// The provider's name of the customer who owes it.
    pub customer: ExternalId,
    /// Draft, open or uncollectible, never void. That it is paid follows from payments, here as everywhere.
    pub state: InvoiceState,
    /// What is owed in all, taxes included.
    pub total: Money,
    /// When it was issued.
    pub issued_on: Option<Date>,
    /// When it is to be paid.
    pub due_on: Option<Date>,
    /// Its lines, which always sum up to the total, and the memo.
    pub body: Private<InvoiceBody>,
    /// The invoice of Plixo's that it is, if the sender says so.
    pub plixo_id: Option<InvoiceId>,
}

/// An invoice that was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voided {
    /// Its name at the provider.
    pub id: ExternalId,
    /// How new this is.
    pub version: Version,
}

/// A payment as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its name at the provider.
    pub id: ExternalId,
    /// How new this is.
    pub version: Version,
    /// What it is; `None`: it was deleted, voided or cancelled there, and never was.
    pub record: Option<PaymentRecord>,
}

/// What a payment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRecord {
    /// Whether the money is there; else it is only expected, as in a journal that is not posted yet.
    pub received: bool,
    /// How much, not below zero. Nothing, where a payment only sets credit notes against invoices.
    pub amount: Money,
    /// The provider's name of the customer who paid.
    pub customer: Option<ExternalId>,
    /// Who paid, and what for.
    pub payer: Private<Payer>,
    /// The day of the money.
    pub received_on: Option<Date>,
    /// Which invoices it pays.
    pub applied: Vec<Applied>,
    /// Which credit notes are used up along with it.
    pub credits: Vec<Applied>,
}

/// A part of a payment or credit note, and what it went to or came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The provider's name of the invoice or credit note.
    pub to: ExternalId,
    /// How much, not below zero.
    pub amount: Money,
}

/// A credit note as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditNote {
    /// Its name: `credit_note:` and the provider's.
    pub id: ExternalId,
    /// How new this is.
    pub version: Version,
    /// What it is; `None`: it was deleted, voided or cancelled there, and never was.
    pub record: Option<CreditNoteRecord>,
}

/// What a credit note is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditNoteRecord {
    /// Its number.
    pub number: Option<String>,
    /// The provider's name of the customer who has the credit.
    pub customer: ExternalId,
    /// How much, not below zero.
    pub total: Money,
    /// When it was issued.
    pub issued_on: Option<Date>,
    /// Which invoices it lowers.
    pub applied: Vec<Applied>,
}

impl Event {
    /// The contract's word for it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CustomerUpserted(_) => "customer.upserted",
            Self::InvoiceUpserted(_) => "invoice.upserted",
            Self::InvoiceVoided(_) => "invoice.voided",
            Self::PaymentRecorded(_) => "payment.recorded",
            Self::CreditNoteRecorded(_) => "credit_note.recorded",
        }
    }

    /// What it is about.
    #[must_use]
    pub fn id(&self) -> &ExternalId {
        match self {
            Self::CustomerUpserted(it) => &it.id,
            Self::InvoiceUpserted(it) => &it.id,
            Self::InvoiceVoided(it) => &it.id,
            Self::PaymentRecorded(it) => &it.id,
            Self::CreditNoteRecorded(it) => &it.id,
        }
    }

    /// How new it is.
    #[must_use]
    pub fn version(&self) -> Version {
        match self {
            Self::CustomerUpserted(it) => it.version,
            Self::InvoiceUpserted(it) => it.version,
            Self::InvoiceVoided(it) => it.version,
            Self::PaymentRecorded(it) => it.version,
            Self::CreditNoteRecorded(it) => it.version,
        }
    }
}

/// A kind of thing that ERPs tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// A customer.
    Customer,
    /// A sales invoice.
    Invoice,
    /// A payment by a customer.
    Payment,
    /// A credit note to a customer.
    CreditNote,
}

impl Entity {
    /// The news that the thing of that name is gone.
    #[must_use]
    pub fn withdrawn(self, id: ExternalId, version: Version) -> Event {
        match self {
            Self::Customer => {
                Event::CustomerUpserted(Customer { id, version, personal: None, plixo_id: None })
            }
            Self::Invoice => Event::InvoiceVoided(Voided { id, version }),
            Self::Payment => Event::PaymentRecorded(Payment { id, version, record: None }),
            Self::CreditNote => Event::CreditNoteRecorded(CreditNote { id, version, record: None }),
        }
    }

    /// The name under which the thing is kept that has this id at its provider.
    pub(crate) fn name(self, id: &str) -> Option<ExternalId> {
        match self {
            Self::CreditNote if id.is_empty() => None,
            Self::CreditNote => external_id(&format!("credit_note:{id}")),
            Self::Customer | Self::Invoice | Self::Payment => external_id(id),
        }
    }
}
