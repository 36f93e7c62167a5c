//! What is to be looked at for cash application, after the ledger changed.

use serde::{Deserialize, Serialize};

use super::{Book, Row};
use crate::id::{InvoiceId, OrgId};
use crate::webhook::ExternalRef;

/// So many messages does one change of the ledger make at most, so that one request to the queue takes them.
const MAX_TASKS: usize = 10;

/// The message that has a payment, or what is unapplied, looked at. It says where to look and nothing else: whoever takes it reads
/// everything anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CashTask {
    /// [`CashTask::VERSION`].
    pub v: u8,
    /// Whose.
    pub org: OrgId,
    /// At what.
    #[serde(flatten)]
    pub of: CashTaskOf,
}

/// At what to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CashTaskOf {
    /// At a payment: `{"v": 1, "org": …, "payment": {"provider": …, "id": …}}`.
    Payment(ExternalRef),
    /// At the payments that may have waited for an invoice: `{"v": 1, "org": …, "invoice": …}`.
    Invoice(InvoiceId),
}

impl CashTask {
    /// The version of the messages that this code writes, and reads.
    pub const VERSION: u8 = 1;

    /// A message.
    #[must_use]
    pub fn new(org: OrgId, of: CashTaskOf) -> Self {
        Self { v: Self::VERSION, org, of }
    }
}

/// What is to be looked at after a book was committed, at most 10 things: the payments that it changed of which something can be
/// applied, and the invoices that it changed to which nothing is applied and that are owed. Call it before [`Book::committed`], send
/// what it says after the commit.
///
/// A message that is lost costs nothing but that a person has to apply the payment.
#[must_use]
pub fn cash_tasks(org: &OrgId, book: &Book) -> Vec<CashTask> {
    let task = |row: &Row| match row {
        Row::Payment(payment) => {
            payment.may_apply_itself().then(|| CashTaskOf::Payment(payment.reference.clone()))
        }
        Row::Invoice(invoice) => {
            (invoice.takes_payment() && invoice.allocated() == 0).then_some(CashTaskOf::Invoice(invoice.id))
        }
        _ => None,
    };
    let tasks = book.changes().filter_map(|(_, row, _)| task(row));
    tasks.map(|of| CashTask::new(*org, of)).take(MAX_TASKS).collect()
}
