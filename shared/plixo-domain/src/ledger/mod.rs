//! The ledger: what an organisation is owed, and what came in.

mod book;
mod cash;
mod checkout;
mod customer;
mod erp;
mod forget;
mod invoice;
mod logo;
mod organisation;
mod payers;
mod payment;
mod portal;
mod references;
mod settle;
pub mod staff;
mod stripe_account;
#[cfg(test)]
mod tests;
mod totals;

pub use book::{Book, Kept, Row, RowKey, Unread};
pub use cash::{CashTask, CashTaskOf, cash_tasks};
pub use checkout::{CHECKOUT, Checkout, begin_checkout, end_checkout, is_on_its_way, note_session};
pub use customer::{
    Address, Customer, CustomerNews, CustomerRef, Erased, Link, Personal, Search, SearchPlace, tell_customer,
};
pub use erp::{InvoiceDocument, InvoiceNews, InvoiceRef, tell_invoice};
pub use forget::{
    delete, erase_customer, erase_invoice, erase_payer, erase_payer_history, identifiers, owner, reword_payer,
};
pub use invoice::{
    Claim, ERASED, Invoice, InvoiceBody, InvoiceError, InvoiceState, InvoiceStatus, Line, MAX_CLAIMS, masked,
};
pub use logo::{Logo, LogoHash, NoLogoHash};
pub use organisation::{
    AllocationOrder, CashApplication, Closed, InvoiceNumber, Organisation, Residency, Settings,
    UnderpaymentTolerance,
};
pub use payers::{PayerHash, PayerHistory};
pub use payment::{
    Allocation, Choice, DisputeState, Payer, Payment, PaymentNews, PaymentPart, PaymentPointer,
    PaymentSource, PaymentStatus, RefundState, Stage, Statement, Witness, tell_payment,
};
pub use portal::{
    AGAIN, Asked, Asking, BrowserHash, LONGEST_LINK, LinkState, Opened, Opening, PortalLink, SESSION,
    SHORTEST_LINK, USUAL_LINK, ask_for_fresh_link, make_link, note_emailed, open_link, revoke_link,
    settle_link,
};
pub use references::InvoiceReference;
pub use settle::MAX_TOUCHED;
pub use stripe_account::{FormerKey, NotRestricted, RestrictedKey, StripeAccount, StripeKeyEntry};
pub use totals::{CountError, Countable, Counted, KEPT_MONTHS, MAX_DAYS, Overview, Share, Totals, recount};

use serde::{Deserialize, Serialize};

/// Something private: sealed as it is stored, or plain, which is sealed whenever it is written.
#[derive(Clone, PartialEq, Eq)]
pub enum Private<T> {
    /// As stored. Whoever need not read it hands it back as it is.
    Sealed(Vec<u8>),
    /// To be sealed.
    Plain(T),
}

impl<T> std::fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Private(…)")
    }
}

impl<T: Default> Default for Private<T> {
    fn default() -> Self {
        Self::Plain(T::default())
    }
}

/// When a provider said something. Greater is later; of two in the same second, the greater event id counts as later,
/// so that everybody who hears both agrees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// The event's own time at the provider, Unix seconds.
    pub at: i64,
    /// The provider's event id.
    pub event: String,
}

/// What telling the ledger something did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It learned; these fields changed.
    Learned(Vec<&'static str>),
    /// It knew that, or something newer, already.
    Known,
}
