//! What goes: because it is due, or because somebody wants to be forgotten.

use std::collections::BTreeSet;

use super::settle::need;
use super::staff::is_passing_number;
use super::{
    Book, Customer, CustomerRef, Erased, Invoice, InvoiceBody, InvoiceNumber, InvoiceRef, InvoiceReference,
    Kept, Payer, PayerHash, PayerHistory, Payment, PaymentPointer, Personal, PortalLink, Private, RowKey,
    Unread,
};
use crate::export::Export;
use crate::id::{CustomerId, InvoiceId};
use crate::privacy::{Done, PrivacyRequest};
use crate::reference::reference_key;
use crate::webhook::ExternalRef;

/// Leaves of a customer its id and its names at providers, under which what is told of it later finds that it was erased. Its key is
/// gone with the rest. False where there is none, or it was erased before.
///
/// # Errors
/// [`Unread`].
pub fn erase_customer(book: &mut Book, id: &CustomerId, erased: Erased) -> Result<bool, Unread> {
    let Some(customer) = book.get::<Customer>(id)?.filter(|it| it.erased.is_none()).cloned() else {
        return Ok(false);
    };
    need(book, customer.links.keys().map(CustomerRef::key))?;
    for name in customer.links.keys() {
        if let Some(reference) = book.get::<CustomerRef>(name)?.filter(|it| it.customer == *id).cloned() {
            book.put(CustomerRef { erased: true, ..reference })?;
        }
    }
    let (personal, key, told) = (Private::Plain(Personal::default()), None, None);
    let email_hashes = [None, None];
    let (erased, search) = (Some(erased), None);
    book.put(Customer { personal, key, told, email_hashes, erased, search, ..customer })?;
    Ok(true)
}

/// Leaves of an invoice what the law requires: what was owed, when, and what for, without what is personal in it. `body` is its own,
/// opened and freed of that. The session in which somebody may be paying it stays noted, so that it can be ended. False where that was
/// done before.
///
/// # Errors
/// [`Unread`].
pub fn erase_invoice(book: &mut Book, id: &InvoiceId, body: InvoiceBody) -> Result<bool, Unread> {
    let Some(invoice) = book.get::<Invoice>(id)?.filter(|it| !it.erased).cloned() else { return Ok(false) };
    let body = Private::Plain(body);
    book.put(Invoice { body, asked: None, erased: true, ..invoice })?;
    Ok(true)
}

/// Takes away who paid, and that this payer paid for this customer. False where that was done before.
///
/// # Errors
/// [`Unread`].
pub fn erase_payer(book: &mut Book, payment: &ExternalRef, customer: &CustomerId) -> Result<bool, Unread> {
    let Some(mut after) = book.get::<Payment>(payment)?.filter(|it| !it.erased).cloned() else {
        return Ok(false);
    };
    need_payers(book, &after)?;
    forget_payer(book, &mut after, &BTreeSet::from([*customer]))?;
    book.put(after)?;
    Ok(true)
}

/// Takes away that the payer of somebody else's money paid for this customer as well. False where that is not known.
///
/// # Errors
/// [`Unread`].
pub fn erase_payer_history(
    book: &mut Book,
    payment: &ExternalRef,
    customer: &CustomerId,
) -> Result<bool, Unread> {
    let Some(mut after) = book.get::<Payment>(payment)?.filter(|it| !it.erased).cloned() else {
        return Ok(false);
    };
    need_payers(book, &after)?;
    let is_known = forget_history(book, &mut after, &BTreeSet::from([*customer]))?;
    if is_known {
        book.put(after)?;
    }
    Ok(is_known)
}

/// Puts what is left of who paid, without what named somebody in it, in the place of what was `seen`. False where that is not there any
/// more.
///
/// # Errors
/// [`Unread`].
pub fn reword_payer(book: &mut Book, seen: &Payment, payer: Payer) -> Result<bool, Unread> {
    let after = book.get::<Payment>(&seen.reference)?.filter(|it| it.payer == seen.payer).cloned();
    let Some(after) = after else { return Ok(false) };
    let Some((stamp, _)) = after.payer.clone() else { return Ok(false) };
    book.put(Payment { payer: Some((stamp, Private::Plain(payer))), ..after })?;
    Ok(true)
}

/// Whose a payment is, as people say or else its provider; `None` where nobody does.
///
/// # Errors
/// [`Unread`].
pub fn owner(book: &Book, payment: &Payment) -> Result<Option<CustomerId>, Unread> {
    let told = || payment.customer.as_ref().map_or(Ok(None), |of| book.get::<CustomerRef>(of));
    match payment.customer_id {
        Some(id) => Ok(Some(id)),
        None => Ok(told()?.map(|of| of.customer)),
    }
}

/// Whether a payment is somebody's who is none of these: what it says of who paid is not theirs then, whatever it pays.
///
/// # Errors
/// [`Unread`].
pub(super) fn is_of_another(
    book: &Book,
    payment: &Payment,
    customers: &BTreeSet<CustomerId>,
) -> Result<bool, Unread> {
    Ok(owner(book, payment)?.is_some_and(|id| !customers.contains(&id)))
}

/// Says which rows [`forget_payer`] needs and were not read.
pub(super) fn need_payers(book: &Book, payment: &Payment) -> Result<(), Unread> {
    need(book, payers(payment).iter().map(PayerHistory::key))
}

fn payers(payment: &Payment) -> BTreeSet<PayerHash> {
    let noted = payment.choices.iter().filter_map(|choice| choice.noted.clone()).map(|(payer, _)| payer);
    payment.payer_hash.clone().into_iter().chain(noted).collect()
}

/// Takes out of a payment who paid, and out of the book that this payer paid for these customers.
pub(super) fn forget_payer(
    book: &mut Book,
    payment: &mut Payment,
    customers: &BTreeSet<CustomerId>,
) -> Result<(), Unread> {
    forget_history(book, payment, customers)?;
    (payment.payer, payment.payer_hash, payment.erased) = (None, None, true);
    payment.choices.iter_mut().for_each(|choice| choice.noted = None);
    Ok(())
}

/// Takes out of the book, and of a payment, that its payer paid for these customers. False where that is not known.
fn forget_history(
    book: &mut Book,
    payment: &mut Payment,
    customers: &BTreeSet<CustomerId>,
) -> Result<bool, Unread> {
    let mut is_known = false;
    for payer in payers(payment) {
        let known = book.get::<PayerHistory>(&payer)?;
        let known = known.filter(|it| it.customers.keys().any(|customer| customers.contains(customer)));
        let Some(mut history) = known.cloned() else { continue };
        is_known = true;
        history.customers.retain(|customer, _| !customers.contains(customer));
        if history.customers.is_empty() {
            book.remove::<PayerHistory>(&payer)?;
        } else {
            book.put(history)?;
        }
    }
    for choice in &mut payment.choices {
        let noted = choice.noted.take();
        choice.noted = noted.clone().filter(|(_, customer)| !customers.contains(customer));
        is_known |= choice.noted != noted;
    }
    Ok(is_known)
}

/// Takes a row away that is due, with what only leads to it. Of an export and of an access request the row stays, and says that its files are
/// gone, and are to be taken away. False where there is nothing to take away.
///
/// # Errors
/// [`Unread`].
pub fn delete(book: &mut Book, name: &RowKey) -> Result<bool, Unread> {
    match name {
        RowKey::PortalLink(id) => take::<PortalLink>(book, id),
        RowKey::Invoice(id) => delete_invoice(book, id),
        RowKey::Payment(name) => {
            let Some(id) = book.get::<Payment>(name)?.map(|payment| payment.id) else { return Ok(false) };
            need(book, [PaymentPointer::key(&id)])?;
            book.remove::<PaymentPointer>(&id)?;
            take::<Payment>(book, name)
        }
        RowKey::Export(id) => {
            let Some(export) = book.get::<Export>(id)?.filter(|it| it.file.is_some() && !it.gone).cloned()
            else {
                return Ok(false);
            };
            book.put(Export { gone: true, going: true, ..export })?;
            Ok(true)
        }
        RowKey::PrivacyRequest(id) => {
            let request = book.get::<PrivacyRequest>(id)?.cloned();
            let with_files =
                request.and_then(|it| it.done.clone().filter(Done::has_files).map(|done| (it, done)));
            let Some((request, done)) = with_files else { return Ok(false) };
            book.put(PrivacyRequest { done: Some(Done { gone: true, going: true, ..done }), ..request })?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn delete_invoice(book: &mut Book, id: &InvoiceId) -> Result<bool, Unread> {
    let Some(invoice) = book.get::<Invoice>(id)?.cloned() else { return Ok(false) };
    let key = reference_key(&invoice.number);
    let number = Some(&invoice.number).filter(|number| !is_passing_number(number));
    let names =
        number.map(InvoiceNumber::key).into_iter().chain(invoice.reference.as_ref().map(InvoiceRef::key));
    need(book, names.chain([InvoiceReference::key(&key)]))?;
    if let Some(number) = number
        && book.get::<InvoiceNumber>(number)?.is_some_and(|it| it.invoice == *id)
    {
        book.remove::<InvoiceNumber>(number)?;
    }
    if let Some(name) = &invoice.reference
        && book.get::<InvoiceRef>(name)?.is_some_and(|it| it.invoice == *id)
    {
        book.remove::<InvoiceRef>(name)?;
    }
    if let Some(mut reference) = book.get::<InvoiceReference>(&key)?.cloned() {
        reference.invoices.remove(id);
        if reference.invoices.is_empty() {
            book.remove::<InvoiceReference>(&key)?;
        } else {
            book.put(reference)?;
        }
    }
    take::<Invoice>(book, id)
}

fn take<T: Kept>(book: &mut Book, name: &T::Name) -> Result<bool, Unread> {
    let is_there = book.get::<T>(name)?.is_some();
    book.remove::<T>(name)?;
    Ok(is_there)
}

/// What may be personal of a customer in the words of others: to be looked for and masked.
#[must_use]
pub fn identifiers(personal: &Personal) -> Vec<String> {
    let Personal { name, email, phone, address, tax_id } = personal.clone();
    let address = address.into_iter().flat_map(|it| [Some(it.line1), it.line2].into_iter().flatten());
    [name, email, phone, tax_id].into_iter().flatten().chain(address).collect()
}

#[cfg(test)]
mod tests;
