//! Serving the invoices that a payment asks something of.

use std::collections::{BTreeMap, BTreeSet};

use super::invoice::{Ask, Service, Share};
use super::{Book, Invoice, Kept, Payment, RowKey, Unread};
use crate::audit::Actor;
use crate::id::{Ids, InvoiceId};
use crate::webhook::ExternalRef;

/// So many payments and invoices does one piece of work change at most. Each may have its audit event, and a transaction
/// holds 100 rows. Where serving an invoice anew would change more, only the payment that it is about gets another share,
/// within what nobody else has; the rest waits until the invoice is served for another reason.
pub const MAX_TOUCHED: usize = 45;

/// Why a payment's invoices are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its provider said something.
    Told,
    /// A person chose. What others have stays as it is.
    Chosen,
    /// A person took something back.
    TakenBack,
}

/// What serving changed, beside the payment that it is about.
#[derive(Debug)]
pub(super) struct Settled {
    invoices: Vec<Invoice>,
    payments: Vec<Payment>,
}

impl Settled {
    /// Enters it in the book, where all of it was read.
    pub(super) fn enter(self, book: &mut Book) -> Result<(), Unread> {
        self.invoices.into_iter().try_for_each(|invoice| book.put(invoice))?;
        self.payments.into_iter().try_for_each(|payment| book.put(payment))
    }
}

/// Says which of these rows were not read.
pub(super) fn need(book: &Book, keys: impl IntoIterator<Item = RowKey>) -> Result<(), Unread> {
    let unread: BTreeSet<_> = keys.into_iter().filter(|key| !book.knows(key)).collect();
    if unread.is_empty() { Ok(()) } else { Err(Unread(unread.into_iter().collect())) }
}

/// Tells the invoices of `payment` what it asks of them now, and `payment` and others what they got. The book is not changed.
pub(super) fn settle(
    book: &Book,
    before: Option<&Payment>,
    payment: &mut Payment,
    cause: Cause,
    by: &Actor,
    ids: &mut Ids,
) -> Result<Settled, Unread> {
    let (asked, mut asks) = (before.map(Payment::asks).unwrap_or_default(), payment.asks());
    let differs = |id: &&InvoiceId| asked.get(*id) != asks.get(*id);
    let mut touched: BTreeSet<_> = asked.keys().chain(asks.keys()).filter(differs).copied().collect();
    if cause == Cause::Told {
        touched.extend(before.and_then(Payment::names).into_iter().chain(payment.names()));
    }
    let (invoices, owners) = (payment.invoices(), &payment.owners);
    let unknown: BTreeSet<_> = invoices.filter(|invoice| !owners.contains_key(invoice)).collect();
    need(book, touched.union(&unknown).map(Invoice::key))?;
    for id in unknown {
        let invoice = book.get::<Invoice>(&id)?;
        payment.owners.extend(invoice.map(|invoice| (id, invoice.customer_id)));
    }

    let (mut invoices, mut shares) = (Vec::new(), Vec::new());
    let mut others = BTreeSet::new();
    let most = MAX_TOUCHED.saturating_sub(touched.len()).saturating_sub(1);
    for id in touched {
        let Some(found) = book.get::<Invoice>(&id)? else { continue };
        let mut asks: Vec<Ask> = asks.remove(&id).unwrap_or_default();
        if cause != Cause::Told {
            // A person's act on one invoice makes no claim on another.
            let named = found.claims.values().any(|it| !it.chosen && it.payment == payment.reference);
            asks.retain(|ask| named || ask.chosen.is_some());
        }
        let served = |asks, service, ids: &mut Ids| {
            let mut invoice = found.clone();
            invoice.hear(&payment.reference, asks, service, ids);
            let shares = invoice.shares_since(found);
            (invoice, shares)
        };
        let whole = (cause != Cause::Chosen).then(|| served(asks.clone(), Service::Whole, ids));
        let fits = whole.filter(|(_, shares)| {
            let more = shares.iter().map(|share| &share.payment).filter(|of| **of != payment.reference);
            let all: BTreeSet<&ExternalRef> = others.iter().chain(more).collect();
            all.len() <= most
        });
        let (invoice, changed) = fits.unwrap_or_else(|| served(asks, Service::Own, ids));
        let strangers = changed.iter().map(|share| &share.payment).filter(|of| **of != payment.reference);
        others.extend(strangers.cloned());
        invoices.push(invoice);
        shares.extend(changed);
    }
    let (own, strange): (Vec<_>, Vec<_>) =
        shares.into_iter().partition(|share| share.payment == payment.reference);
    let payments = tell(book, &strange, by)?;
    own.iter().for_each(|share| payment.note(share, by));
    payment.disown();
    Ok(Settled { invoices, payments })
}

/// The payments of these shares, told of them. The book is not changed.
pub(super) fn tell(book: &Book, shares: &[Share], by: &Actor) -> Result<Vec<Payment>, Unread> {
    need(book, shares.iter().map(|share| Payment::key(&share.payment)))?;
    let mut told: BTreeMap<&ExternalRef, Payment> = BTreeMap::new();
    for share in shares {
        if !told.contains_key(&share.payment)
            && let Some(payment) = book.get::<Payment>(&share.payment)?
        {
            told.insert(&share.payment, payment.clone());
        }
        if let Some(payment) = told.get_mut(&share.payment) {
            payment.note(share, by);
        }
    }
    Ok(told.into_values().collect())
}
