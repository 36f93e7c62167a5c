//! What people do to payments.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::fields::{Fields, invalid};
use super::{Changed, MAX_AMOUNT, StaffError, Stopped};
use crate::audit::Actor;
use crate::id::{AllocationId, CustomerId, Ids, InvoiceId, PaymentId};
use crate::ledger::forget::{forget_payer, is_of_another, need_payers};
use crate::ledger::settle::{Cause, need, settle};
use crate::ledger::{
    Book, Choice, Customer, Invoice, InvoiceState, InvoiceStatus, Kept, MAX_CLAIMS, Payer, PayerHistory,
    Payment, PaymentPointer, Private, Stage, Stamp, Statement, Witness,
};
use crate::money::Money;
use crate::webhook::{ExternalId, ExternalRef, Provider};

/// So many allocations does one request make at most.
pub const MAX_ALLOCATIONS: usize = 20;
/// So many choices has a payment at most: with the invoice that its provider names, 40 invoices.
pub const MAX_CHOICES: usize = 39;

/// Where a day begins first, it begins 14 hours before UTC's: there, people record what came in on a day that is tomorrow's in
/// UTC.
const EARLIEST_ZONE: SignedDuration = SignedDuration::from_hours(14);

/// From where a person knows of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordedSource {
    /// A bank statement.
    Bank,
    /// Anything else: cash, a cheque.
    Manual,
}

/// A payment to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct NewPayment {
    pub source: RecordedSource,
    pub amount: Money,
    pub received_on: Date,
    pub customer_id: Option<CustomerId>,
    pub payer_name: Option<String>,
    pub remittance: Option<String>,
    pub external_id: Option<ExternalId>,
}

/// Records money that no provider tells of. Two with the same external id are the same money.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Invalid`], [`StaffError::AlreadyRecorded`].
pub fn record_payment(
    book: &mut Book,
    new: NewPayment,
    ids: &mut Ids,
    now: Timestamp,
) -> Result<Changed<PaymentId>, Stopped> {
    let mut fields = Fields::default();
    fields.check(new.amount.amount > 0, "/amount/amount", "has to be more than 0");
    fields.check(new.amount.amount <= MAX_AMOUNT, "/amount/amount", "is too large");
    let latest = now.saturating_add(EARLIEST_ZONE).unwrap_or(now).to_zoned(TimeZone::UTC).date();
    fields.check(new.received_on <= latest, "/received_on", "is in the future");
    if let Some(name) = &new.payer_name {
        fields.line(name, 200, "/payer_name");
    }
    if let Some(remittance) = &new.remittance {
        fields.lines(remittance, 2_000, "/remittance");
    }
    if let Some(name) = &new.external_id {
        fields.no_card(name.as_str(), "/external_id");
    }
    fields.done()?;
    let midnight =
        new.received_on.to_zoned(TimeZone::UTC).map_err(|_| invalid("/received_on", "is no day"))?;
    let received_at = midnight.timestamp().as_second();

    let id: PaymentId = ids.make();
    let own = || id.to_string().parse().map_err(|_| invalid("/external_id", "is no name"));
    let name = new.external_id.clone().map_or_else(own, Ok)?;
    let reference = ExternalRef { provider: Provider::Member, id: name };
    let customer = new.customer_id.as_ref().map(Customer::key);
    let named = new.external_id.is_some();
    need(book, customer.into_iter().chain(named.then(|| Payment::key(&reference))))?;
    if named && let Some(before) = book.get::<Payment>(&reference)? {
        return Err(StaffError::AlreadyRecorded(before.id).into());
    }
    if let Some(customer) = &new.customer_id {
        match book.get::<Customer>(customer)? {
            None => return Err(invalid("/customer_id", "is no customer")),
            Some(customer) if customer.erased.is_some() => return Err(StaffError::CustomerErased.into()),
            Some(_) => {}
        }
    }

    // Everything was read above, so from here on nothing is unread.
    if let Some(customer) = &new.customer_id {
        // Who erases the customer at the same time does not see the payment.
        book.check::<Customer>(customer)?;
    }
    let witness = match new.source {
        RecordedSource::Bank => Witness::Bank,
        RecordedSource::Manual => Witness::Manual,
    };
    let stamp = Stamp { at: now.as_second(), event: id.to_string() };
    let mut changed = vec!["source", "amount", "received_on"];
    changed.extend(new.customer_id.is_some().then_some("customer_id"));
    changed.extend(new.payer_name.is_some().then_some("payer_name"));
    changed.extend(new.remittance.is_some().then_some("remittance"));
    changed.extend(new.external_id.is_some().then_some("external_id"));
    let mut payment = Payment::new(id, reference.clone());
    let Money { amount, currency } = new.amount;
    payment
        .money
        .insert(witness, Statement { state: Stage::Received, stamp: stamp.clone(), amount, currency });
    payment.received_at = Some(received_at);
    payment.customer_id = new.customer_id;
    let payer = Payer { name: new.payer_name, email: None, remittance: new.remittance };
    payment.payer = (payer != Payer::default()).then_some((stamp, Private::Plain(payer)));
    book.put_new(PaymentPointer { id, reference });
    if named {
        book.put(payment)?;
    } else {
        book.put_new(payment);
    }
    Ok(Changed { id, fields: changed })
}

/// Applies parts of a payment to invoices: all of them or none. Answers the allocations, in the order of the request. Nobody
/// else's allocation changes. Of money for an invoice whose customer was erased, nobody is noted as who paid any more.
///
/// # Errors
/// [`Stopped::Unread`]; [`StaffError`], with the place in `/allocations` that it is about.
pub fn allocate(
    book: &mut Book,
    payment: &PaymentId,
    wanted: &[(InvoiceId, Money)],
    by: &Actor,
    ids: &mut Ids,
) -> Result<Changed<Vec<AllocationId>>, Stopped> {
    let before = find(book, payment)?.clone();
    let count = (1..=MAX_ALLOCATIONS).contains(&wanted.len());
    let mut fields = Fields::default();
    fields.check(count, "/allocations", "has to have 1 to 20 allocations");
    for (n, (_, amount)) in wanted.iter().enumerate() {
        let pointer = format!("/allocations/{n}/amount/amount");
        fields.check(amount.amount > 0, pointer, "has to be more than 0");
    }
    fields.done()?;
    let payer = before.payer_hash.clone();
    let history = payer.iter().map(PayerHistory::key);
    need(book, wanted.iter().map(|(invoice, _)| Invoice::key(invoice)).chain(history))?;
    let mut erased: BTreeSet<CustomerId> = BTreeSet::new();
    for (invoice, _) in wanted {
        erased.extend(book.get::<Invoice>(invoice)?.filter(|it| it.erased).map(|it| it.customer_id));
    }
    let is_forgotten = !erased.is_empty() && !is_of_another(book, &before, &erased)?;
    if is_forgotten {
        need_payers(book, &before)?;
    }
    let mut history = match payer.filter(|_| erased.is_empty()) {
        Some(payer) => {
            let known = book.get::<PayerHistory>(&payer)?.cloned();
            Some(known.unwrap_or_else(|| PayerHistory::new(payer)))
        }
        None => None,
    };
    if before.choices.len().saturating_add(before.shares.len()).saturating_add(wanted.len()) > MAX_CHOICES {
        return Err(StaffError::TooManyAllocations.into());
    }

    let unapplied = before.unapplied();
    let mut left = unapplied.map_or(0, |money| money.amount);
    let mut free = before.free();
    // What is open of each invoice, and how many payments it can have still.
    let mut room: BTreeMap<InvoiceId, (i64, usize)> = BTreeMap::new();
    let mut after = before.clone();
    let mut made = Vec::with_capacity(wanted.len());
    for (n, (id, Money { amount, currency })) in wanted.iter().enumerate() {
        let at = |field: &str| format!("/allocations/{n}/{field}");
        let Some(invoice) = book.get::<Invoice>(id)? else {
            return Err(invalid(at("invoice_id"), "is no invoice"));
        };
        let status = invoice.status();
        let owed = matches!(invoice.state, InvoiceState::Open | InvoiceState::Uncollectible);
        if !owed || status == InvoiceStatus::Paid {
            return Err(StaffError::NotOwed { pointer: at("invoice_id"), status }.into());
        }
        if invoice.total.currency != *currency || unapplied.is_some_and(|money| money.currency != *currency) {
            return Err(StaffError::OtherCurrency { pointer: at("amount/currency") }.into());
        }
        let claims = MAX_CLAIMS.saturating_sub(invoice.claims.len());
        let (open, claims) = room.entry(*id).or_insert((invoice.balance().amount, claims));
        let pointer = at("amount/amount");
        if *amount > left {
            return Err(StaffError::OverUnapplied { pointer }.into());
        }
        if *amount > *open {
            return Err(StaffError::OverBalance { pointer }.into());
        }
        if *amount > free {
            let short = before.covered().find(|(choice, covered)| {
                before.allocations.get(&choice.id).map_or(0, |it| it.amount) < *covered
            });
            let kept = short.map(|(choice, _)| choice.id);
            return Err(kept.map_or(StaffError::OverUnapplied { pointer }, StaffError::Kept).into());
        }
        let Some(fewer) = claims.checked_sub(1) else {
            return Err(StaffError::TooManyPayments { pointer: at("invoice_id") }.into());
        };
        *open = open.saturating_sub(*amount);
        *claims = fewer;
        (left, free) = (left.saturating_sub(*amount), free.saturating_sub(*amount));
        let customer = invoice.customer_id;
        let noted = history.as_mut().filter(|history| history.has_room(&customer)).map(|history| {
            let noted = (history.payer.clone(), customer);
            // Once for a payment, however many of the customer's invoices it pays.
            if !after.choices.iter().any(|choice| choice.noted.as_ref() == Some(&noted)) {
                history.note(customer);
            }
            noted
        });
        let choice = Choice { id: ids.make(), invoice: *id, amount: *amount, by: by.clone(), noted };
        made.push(choice.id);
        after.choices.push(choice);
    }
    let settled = settle(book, Some(&before), &mut after, Cause::Chosen, by, ids)?;

    // Everything was read above, so from here on nothing is unread.
    settled.enter(book)?;
    if let Some(history) = history {
        book.put(history)?;
    }
    let mut fields = vec!["allocations"];
    if is_forgotten {
        fields.extend(after.payer.is_some().then_some("payer_name"));
        forget_payer(book, &mut after, &erased)?;
    }
    book.put(after)?;
    Ok(Changed { id: made, fields })
}

/// Takes an allocation back: all is as it was before it, but that Plixo applies nothing of the payment by itself any more. One that
/// follows from what the provider says stays away, whatever the provider repeats.
///
/// # Errors
/// [`Stopped::Unread`]; [`StaffError::Missing`] for the payment or the allocation.
pub fn deallocate(
    book: &mut Book,
    payment: &PaymentId,
    allocation: &AllocationId,
    by: &Actor,
    ids: &mut Ids,
) -> Result<Changed<AllocationId>, Stopped> {
    let before = find(book, payment)?.clone();
    let mut after = before.clone();
    after.taken_back = true;
    let mut history = None;
    if let Some(choice) = before.choice(allocation) {
        after.choices.retain(|choice| choice.id != *allocation);
        history = without(book, choice, &after)?;
    } else {
        let named = before.allocations.get(allocation).ok_or(StaffError::Missing("allocation"))?;
        after.undone.insert(named.invoice);
    }
    let settled = settle(book, Some(&before), &mut after, Cause::TakenBack, by, ids)?;

    // Everything was read above, so from here on nothing is unread.
    after.allocations.remove(allocation);
    settled.enter(book)?;
    match history {
        Some(history) if history.customers.is_empty() => book.remove::<PayerHistory>(&history.payer)?,
        Some(history) => book.put(history)?,
        None => {}
    }
    book.put(after)?;
    Ok(Changed { id: *allocation, fields: vec!["allocations"] })
}

/// The history that a choice stands in, without it, unless another choice of the payment stands for the same.
fn without(book: &Book, choice: &Choice, after: &Payment) -> Result<Option<PayerHistory>, Stopped> {
    let Some((payer, customer)) = &choice.noted else { return Ok(None) };
    if after.choices.iter().any(|other| other.noted == choice.noted) {
        return Ok(None);
    }
    Ok(book.get::<PayerHistory>(payer)?.cloned().map(|mut history| {
        history.forget(customer);
        history
    }))
}

fn find<'a>(book: &'a Book, id: &PaymentId) -> Result<&'a Payment, Stopped> {
    let missing = StaffError::Missing("payment");
    let pointer = book.get::<PaymentPointer>(id)?.ok_or_else(|| missing.clone())?;
    Ok(book.get::<Payment>(&pointer.reference)?.ok_or(missing)?)
}
