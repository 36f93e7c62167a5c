//! What ERPs say about invoices.
//!
//! An ERP tells of the whole document, each time with its time at the ERP: the latest counts, in whatever order they come. What
//! is told of an invoice before the invoice itself, a payment's share of it, waits for it under the id that it will have.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::forget::{forget_payer, is_of_another, need_payers};
use super::invoice::Service;
use super::references::References;
use super::settle::{need, tell};
use super::staff::{Fields, MAX_AMOUNT, NO_NUMBER, StaffError, Stopped, is_invoice_number};
use super::{
    Book, Customer, CustomerRef, Invoice, InvoiceBody, InvoiceNumber, InvoiceState, Kept, Link, MAX_CLAIMS,
    Payment, Personal, Private, Stamp, Told, Unread,
};
use crate::audit::Actor;
use crate::id::{CustomerId, Ids, InvoiceId};
use crate::money::Money;
use crate::webhook::ExternalRef;

/// Which invoice an ERP's invoice is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceRef {
    /// The ERP's name of it.
    pub reference: ExternalRef,
    /// Ours: there is one once the ERP has told of it.
    pub invoice: InvoiceId,
    /// When the ERP last told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Stamp>,
    /// Whether the ERP has withdrawn it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_void: bool,
    /// The payments that have a share of it and came before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<ExternalRef>,
}

impl InvoiceRef {
    pub(super) fn new(reference: ExternalRef, invoice: InvoiceId) -> Self {
        Self { reference, invoice, told: None, is_void: false, waiting: Vec::new() }
    }

    /// Whether there is no such invoice yet, and room for a payment that has a share of it. It could take no more.
    pub(super) fn waits(&self) -> bool {
        (self.told.is_none() || self.is_void) && self.waiting.len() < MAX_CLAIMS
    }
}

/// An ERP's news of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceNews {
    /// The ERP's name of it.
    pub reference: ExternalRef,
    /// When the ERP said it.
    pub stamp: Stamp,
    /// What it is now; `None`: withdrawn.
    pub document: Option<InvoiceDocument>,
    /// The invoice of our own that it is, as the ERP notes.
    pub names: Option<InvoiceId>,
}

/// An invoice as an ERP has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceDocument {
    /// The ERP's name of the customer.
    pub customer: ExternalRef,
    /// Its number.
    pub number: String,
    /// Draft, open or uncollectible; never void.
    pub state: InvoiceState,
    /// What is owed in all: more than the ERP's own payments of it leave open, for those are told of one by one.
    pub total: Money,
    /// Lines, which come to the total, and memo.
    pub body: InvoiceBody,
    /// When it was sent.
    pub issued_on: Option<Date>,
    /// When it is to be paid.
    pub due_on: Option<Date>,
}

/// Tells the ledger an ERP's news of an invoice. What the organisation's people have given up as uncollectible, or withdrawn,
/// stays so; an invoice of their own stays as they made it, whatever the ERP calls it and says of it.
///
/// # Errors
/// [`Stopped::Unread`]: these rows are needed as well. Read them and tell it again; nothing was changed.
/// [`StaffError::NumberTaken`] where another invoice that is not withdrawn has the number; [`StaffError::Invalid`] where it is no
/// invoice.
pub fn tell_invoice(book: &mut Book, news: &InvoiceNews, by: &Actor, ids: &mut Ids) -> Result<Told, Stopped> {
    let known = book.get::<InvoiceRef>(&news.reference)?.cloned();
    if known.as_ref().is_some_and(|known| known.told.as_ref() >= Some(&news.stamp)) {
        return Ok(Told::Known);
    }
    let was_told = known.as_ref().is_some_and(|known| known.told.is_some());
    let mut link = known.unwrap_or_else(|| InvoiceRef::new(news.reference.clone(), ids.make()));
    let moved = match news.names.filter(|names| !was_told && *names != link.invoice) {
        Some(names) => moved(book, &mut link, names)?,
        None => Vec::new(),
    };
    let before = book.get::<Invoice>(&link.invoice)?.cloned();
    let is_our_own = before.as_ref().is_some_and(|before| before.reference.as_ref() != Some(&link.reference));
    let was_void = link.is_void;
    (link.told, link.is_void) = (Some(news.stamp.clone()), news.document.is_none());
    let around = match &news.document {
        Some(document) if !is_our_own => Some(Around::read(book, document, &link, before.as_ref(), ids)?),
        _ => None,
    };
    let after = match (&news.document, &around, &before) {
        (_, _, Some(own)) if is_our_own => Some(own.clone()),
        (Some(document), Some(around), before) => {
            let state = state(document, before.as_ref().map(|before| before.state), was_void);
            let is_erased = |before: &Invoice| before.erased && before.customer_id == around.customer;
            let erased = around.erased || before.as_ref().is_some_and(is_erased);
            let told = document.invoice(&link, (around.customer, erased), state, before.as_ref())?;
            Some(Invoice { ended_at: ended_at(news, state, before.as_ref()), ..told })
        }
        (_, _, Some(before)) => {
            let ended_at = ended_at(news, InvoiceState::Void, Some(before));
            Some(Invoice { state: InvoiceState::Void, ended_at, ..before.clone() })
        }
        _ => None,
    };
    let (mut payments, mut waiting) = (Vec::new(), Vec::new());
    let after = match after {
        Some(after) => {
            waiting = std::mem::take(&mut link.waiting);
            let mut with_moved = book.clone();
            moved.iter().try_for_each(|payment| with_moved.put(payment.clone()))?;
            let (served, told) = serve(&with_moved, before.as_ref(), after, &waiting, by, ids)?;
            payments = told;
            Some(served)
        }
        None => None,
    };

    // Whoever paid it, and is not known yet to be of an erased customer, waited for it.
    let erased = after.as_ref().filter(|after| after.erased).map(|after| BTreeSet::from([after.customer_id]));
    let mut forgotten = BTreeSet::new();
    for payment in &payments {
        if let Some(erased) = &erased
            && !is_of_another(book, payment, erased)?
        {
            need_payers(book, payment)?;
            forgotten.insert(payment.id);
        }
    }

    // Everything was read above, so from here on nothing is unread.
    if let Some(erased) = &erased {
        let mut forgotten = payments.iter_mut().filter(|it| forgotten.contains(&it.id));
        forgotten.try_for_each(|payment| forget_payer(book, payment, erased))?;
    }
    let mut fields = after.as_ref().map_or(vec!["status"], |after| differences(before.as_ref(), after));
    fields.extend((!payments.is_empty()).then_some("allocations"));
    if let Some(around) = around {
        around.enter(book, &link)?;
    }
    moved.into_iter().chain(payments).try_for_each(|payment| book.put(payment))?;
    // Who changes such a payment at the same time does not see the claim that it has from now on.
    waiting.iter().try_for_each(|payment| book.hold::<Payment>(payment))?;
    match after {
        Some(new) if before.is_none() => book.put_new(new),
        Some(after) => book.put(after)?,
        None => {}
    }
    book.put(link)?;
    Ok(Told::Learned(fields))
}

/// Has a name that no invoice has yet stand for an invoice of our own, if there is one; and the payments that waited under it, with
/// their shares of that.
fn moved(book: &Book, link: &mut InvoiceRef, to: InvoiceId) -> Result<Vec<Payment>, Unread> {
    if book.get::<Invoice>(&to)?.is_none() {
        return Ok(Vec::new());
    }
    need(book, link.waiting.iter().map(Payment::key))?;
    let from = std::mem::replace(&mut link.invoice, to);
    let mut payments = Vec::new();
    for name in &link.waiting {
        let Some(mut payment) = book.get::<Payment>(name)?.cloned() else { continue };
        payment.shares.iter_mut().filter(|(of, _)| *of == from).for_each(|(of, _)| *of = to);
        payments.push(payment);
    }
    Ok(payments)
}

/// How the invoice is left. What people did stays, unless the ERP takes back what it did itself.
fn state(document: &InvoiceDocument, before: Option<InvoiceState>, was_void: bool) -> InvoiceState {
    match before {
        Some(InvoiceState::Void) if !was_void => InvoiceState::Void,
        _ if document.state == InvoiceState::Draft => InvoiceState::Draft,
        Some(InvoiceState::Uncollectible) => InvoiceState::Uncollectible,
        _ => document.state,
    }
}

/// When the invoice was last withdrawn or given up: by the ERP, as it says, or by people before. One that is owed again was not.
fn ended_at(news: &InvoiceNews, state: InvoiceState, before: Option<&Invoice>) -> Option<Timestamp> {
    let before = before.and_then(|before| before.ended_at);
    let is_told = news.document.as_ref().is_none_or(|document| document.state == state);
    match state {
        InvoiceState::Draft | InvoiceState::Open => None,
        _ if is_told => before.max(Timestamp::from_second(news.stamp.at).ok()),
        _ => before,
    }
}

/// Serves the claims on an invoice as it is now, with those that waited for it; and the payments whose shares that changes. Choices
/// for a withdrawn invoice end, as they do where people withdraw it.
fn serve(
    book: &Book,
    before: Option<&Invoice>,
    mut invoice: Invoice,
    waiting: &[ExternalRef],
    by: &Actor,
    ids: &mut Ids,
) -> Result<(Invoice, Vec<Payment>), Unread> {
    let unserved =
        before.cloned().unwrap_or_else(|| Invoice { claims: Default::default(), ..invoice.clone() });
    need(book, waiting.iter().map(Payment::key))?;
    invoice.serve();
    for payment in waiting {
        let asks = book.get::<Payment>(payment)?.and_then(|payment| payment.asks().remove(&invoice.id));
        invoice.hear(payment, asks.unwrap_or_default(), Service::Whole, ids);
    }
    let mut ended = BTreeSet::new();
    if invoice.state == InvoiceState::Void {
        let chosen = invoice.claims.extract_if(.., |_, claim| claim.chosen);
        ended.extend(chosen.map(|(_, claim)| claim.payment));
    }
    need(book, ended.iter().map(Payment::key))?;
    let mut payments = tell(book, &invoice.shares_since(&unserved), by)?;
    for of in ended {
        if !payments.iter().any(|payment| payment.reference == of) {
            payments.extend(book.get::<Payment>(&of)?.cloned());
        }
        for payment in payments.iter_mut().filter(|payment| payment.reference == of) {
            payment.end_choices(&invoice.id);
        }
    }
    Ok((invoice, payments))
}

fn differences(before: Option<&Invoice>, after: &Invoice) -> Vec<&'static str> {
    let Some(before) = before else {
        return vec!["number", "customer_id", "lines", "status", "issued_on", "due_on"];
    };
    let changed = [
        ("number", before.number != after.number),
        ("customer_id", before.customer_id != after.customer_id),
        // The lines before are sealed; what they come to is not.
        ("lines", before.total != after.total),
        ("status", before.status() != after.status()),
        ("issued_on", before.issued_on != after.issued_on),
        ("due_on", before.due_on != after.due_on),
    ];
    changed.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
}

/// The rows beside the invoice that a document is about.
struct Around {
    customer: CustomerId,
    /// Whether that customer was erased.
    erased: bool,
    /// The ERP's name of a customer that nobody has heard of yet.
    new_customer: Option<ExternalRef>,
    number: String,
    /// The number that it had, and has no more.
    given_up: Option<String>,
    references: References,
}

impl Around {
    fn read(
        book: &Book,
        document: &InvoiceDocument,
        link: &InvoiceRef,
        before: Option<&Invoice>,
        ids: &mut Ids,
    ) -> Result<Self, Stopped> {
        let given_up = before.map(|before| before.number.clone()).filter(|had| *had != document.number);
        let numbers = given_up.iter().chain([&document.number]).map(InvoiceNumber::key);
        need(book, numbers.chain([CustomerRef::key(&document.customer)]))?;
        let numbered = book.get::<InvoiceNumber>(&document.number)?;
        if let Some(other) = numbered.filter(|it| it.invoice != link.invoice)
            && book.get::<Invoice>(&other.invoice)?.is_some_and(|it| it.state != InvoiceState::Void)
        {
            return Err(StaffError::NumberTaken.into());
        }
        let references = References::read(book, &document.number, given_up.as_deref())?;
        let known = book.get::<CustomerRef>(&document.customer)?;
        let erased = known.is_some_and(|known| known.erased);
        let customer = known.map(|known| known.customer);
        let new_customer = customer.is_none().then(|| document.customer.clone());
        let customer = customer.unwrap_or_else(|| ids.make());
        Ok(Self { customer, erased, new_customer, number: document.number.clone(), given_up, references })
    }

    fn enter(self, book: &mut Book, link: &InvoiceRef) -> Result<(), Unread> {
        let Self { customer, new_customer, number, given_up, references, .. } = self;
        references.enter(book, link.invoice, customer)?;
        if let Some(reference) = new_customer {
            let mut new = Customer::new(customer, Personal::default());
            new.links.insert(reference.clone(), Link::Live);
            book.put_new(new);
            book.put(CustomerRef { reference, customer, noted: None, erased: false })?;
        }
        if let Some(had) = given_up
            && book.get::<InvoiceNumber>(&had)?.is_some_and(|it| it.invoice == link.invoice)
        {
            book.remove::<InvoiceNumber>(&had)?;
        }
        book.put(InvoiceNumber { number: number.clone(), invoice: link.invoice })?;
        // Another invoice that takes the number at the same time may find it free.
        book.hold::<InvoiceNumber>(&number)
    }
}

impl InvoiceDocument {
    fn invoice(
        &self,
        link: &InvoiceRef,
        (customer_id, erased): (CustomerId, bool),
        state: InvoiceState,
        before: Option<&Invoice>,
    ) -> Result<Invoice, Stopped> {
        let mut fields = Fields::default();
        fields.check(is_invoice_number(&self.number), "/number", NO_NUMBER);
        fields.no_card(&self.number, "/number");
        fields.check((0..=MAX_AMOUNT).contains(&self.total.amount), "/total", "is below 0, or too large");
        fields.check(self.body.total() == Ok(self.total), "/lines", "do not come to the total");
        fields.done()?;
        Ok(Invoice {
            id: link.invoice,
            number: self.number.clone(),
            customer_id,
            state,
            total: self.total,
            issued_on: self.issued_on,
            due_on: self.due_on,
            body: Private::Plain(if erased { self.body.clone().without_words() } else { self.body.clone() }),
            claims: before.map(|before| before.claims.clone()).unwrap_or_default(),
            checkout: before.and_then(|before| before.checkout.clone()),
            asked: before.and_then(|before| before.asked),
            ended_at: None,
            reference: Some(link.reference.clone()),
            erased,
        })
    }
}

#[cfg(test)]
mod tests;
