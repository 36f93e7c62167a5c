//! What an answer shows beside what was asked for, so that a page needs no request for each row.

use std::collections::{BTreeSet, HashMap};

pub(crate) use plixo_api::input::Expand;
use plixo_api::input::Failed;
use plixo_api::staff::Staff;
use plixo_domain::id::{CustomerId, InvoiceId};
use plixo_domain::ledger::{Customer, Invoice, Kept, Payment, Row};
use plixo_envelope::KeyService;
use plixo_staff::Refusal;
use plixo_store::Tables;
use serde::Deserialize;

use crate::shape::{AppliedShape, CustomerName, InvoiceName, PaymentShape};

/// What a list shows besides.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OfList {
    Customer,
}

/// What an invoice shows besides.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OfInvoice {
    Payments,
}

/// What a payment shows besides.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OfPayment {
    Customer,
    Invoices,
}

/// What suggestions show besides.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OfSuggestion {
    Invoices,
}

/// Names of other things.
#[derive(Debug, Default)]
pub(crate) struct Names {
    customers: HashMap<CustomerId, CustomerName>,
    invoices: HashMap<InvoiceId, InvoiceName>,
}

impl Names {
    pub(crate) fn customer(&self, id: &CustomerId) -> Option<CustomerName> {
        self.customers.get(id).cloned()
    }

    /// A payment with the names that are known.
    pub(crate) fn put_into(&self, mut payment: PaymentShape) -> PaymentShape {
        payment.customer = payment.customer_id.as_ref().and_then(|id| self.customer(id));
        for allocation in &mut payment.allocations {
            allocation.invoice = self.invoices.get(&allocation.invoice_id).cloned();
        }
        payment
    }
}

/// The names of customers and the numbers of invoices, in one read; none where nothing is asked for.
pub(crate) async fn names<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    customers: impl IntoIterator<Item = CustomerId>,
    invoices: impl IntoIterator<Item = InvoiceId>,
) -> Result<Names, Failed> {
    let customers = customers.into_iter().map(|id| Customer::key(&id));
    let keys: BTreeSet<_> = customers.chain(invoices.into_iter().map(|id| Invoice::key(&id))).collect();
    let rows = staff.store().read_shown(&staff.org, keys.into_iter().collect(), staff.caller.now).await;
    let rows = rows.map_err(Refusal::from)?;
    let mut names = Names::default();
    for (row, _) in rows.into_iter().filter_map(|(_, row)| row) {
        match row {
            Row::Customer(customer) => {
                let opened = staff.store().open_personal(&staff.org, &customer, staff.caller.now).await;
                let name = opened.map_err(Refusal::from)?.name;
                let (id, erased_at) = (customer.id, customer.erased.map(|it| it.at));
                names.customers.insert(id, CustomerName { id, name, erased_at });
            }
            Row::Invoice(Invoice { id, number, .. }) => {
                names.invoices.insert(id, InvoiceName { id, number });
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The payments that were applied to an invoice, in one read; none where nothing was.
pub(crate) async fn applied<T: Tables, K: KeyService>(
    staff: &Staff<'_, T, K>,
    invoice: &Invoice,
) -> Result<Vec<AppliedShape>, Failed> {
    let claims = invoice.claims.values().filter(|claim| claim.applied > 0);
    let keys: BTreeSet<_> = claims.map(|claim| Payment::key(&claim.payment)).collect();
    let rows = staff.store().read_shown(&staff.org, keys.into_iter().collect(), staff.caller.now).await;
    let rows = rows.map_err(Refusal::from)?;
    let mut shown = Vec::new();
    for (row, _) in rows.into_iter().filter_map(|(_, row)| row) {
        if let Row::Payment(payment) = row {
            let opened = staff.store().open_payer(&staff.org, &payment, staff.caller.now).await;
            let payer = opened.map_err(Refusal::from)?;
            shown.extend(AppliedShape::of(&payment, &payer, &invoice.id));
        }
    }
    Ok(shown)
}
