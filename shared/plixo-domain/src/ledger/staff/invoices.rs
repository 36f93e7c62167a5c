//! What people do to invoices.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use rust_decimal::Decimal;

use super::fields::{Fields, invalid};
use super::{Changed, MAX_AMOUNT, Patch, StaffError, Stopped};
use crate::audit::Actor;
use crate::id::{CustomerId, Ids, InvoiceId};
use crate::ledger::references::References;
use crate::ledger::settle::{need, tell};
use crate::ledger::{
    Book, Customer, Invoice, InvoiceBody, InvoiceError, InvoiceNumber, InvoiceReference, InvoiceState,
    InvoiceStatus, Kept, Line, Payment, Private,
};
use crate::money::{Money, MoneyError};
use crate::reference::reference_key;

/// So many lines has an invoice at most.
pub const MAX_LINES: usize = 200;
/// What is wrong with a text that is no [`is_invoice_number`].
pub const NO_NUMBER: &str = "is no number of 1 to 64 letters, digits, `-`, `_`, `.`, `/` and spaces within";
/// The days in which an invoice is to be paid that names none.
const DUE_DAYS: i64 = 30;
/// The number of the row that says which invoice got the last made number. It is no number that people can give.
const LAST_MADE: &str = "*";
const MADE: &str = "INV-";
const PASSING: &str = "DRAFT-";

/// An invoice to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct NewInvoice {
    pub customer_id: CustomerId,
    /// Made when the invoice is finalised, if there is none.
    pub number: Option<String>,
    pub lines: Vec<Line>,
    pub memo: Option<String>,
    pub due_on: Option<Date>,
}

/// How a draft is to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct InvoicePatch {
    pub customer_id: Patch<CustomerId>,
    pub number: Patch<String>,
    pub lines: Patch<Vec<Line>>,
    pub memo: Patch<String>,
    pub due_on: Patch<Date>,
}

/// Makes a draft.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Invalid`], [`StaffError::NumberTaken`].
pub fn create_invoice(
    book: &mut Book,
    new: NewInvoice,
    ids: &mut Ids,
) -> Result<Changed<InvoiceId>, Stopped> {
    let NewInvoice { customer_id, number, lines, memo, due_on } = new;
    let body = InvoiceBody { lines, memo };
    let total = check(&body, number.as_deref())?;
    let number_key = number.iter().map(InvoiceNumber::key);
    need(book, number_key.chain([Customer::key(&customer_id)]))?;
    customer(book, &customer_id)?;
    let id = ids.make();
    if let Some(number) = &number
        && book.get::<InvoiceNumber>(number)?.is_some()
    {
        return Err(StaffError::NumberTaken.into());
    }

    // Everything was read above, so from here on nothing is unread. Who erases the customer at the same time does not see it.
    book.check::<Customer>(&customer_id)?;
    if let Some(number) = &number {
        book.put(InvoiceNumber { number: number.clone(), invoice: id })?;
    }
    let mut fields = vec!["number", "customer_id", "lines", "status"];
    fields.extend(body.memo.is_some().then_some("memo"));
    fields.extend(due_on.is_some().then_some("due_on"));
    book.put_new(Invoice {
        id,
        number: number.unwrap_or_else(|| passing(&id)),
        customer_id,
        state: InvoiceState::Draft,
        total,
        issued_on: None,
        due_on,
        body: Private::Plain(body),
        claims: Default::default(),
        checkout: None,
        asked: None,
        ended_at: None,
        reference: None,
        erased: false,
    });
    Ok(Changed { id, fields })
}

/// Changes a draft. `kept` is its body as it is now, opened. A number that it gives up is free for others.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Missing`], [`StaffError::NotDraft`], [`StaffError::Invalid`],
/// [`StaffError::NumberTaken`]; [`StaffError::CustomerErased`] of the customer that it is of, or is to be of.
pub fn update_invoice(
    book: &mut Book,
    id: &InvoiceId,
    kept: &InvoiceBody,
    patch: InvoicePatch,
) -> Result<Changed<InvoiceId>, Stopped> {
    let mut invoice = draft(book, id)?;
    if invoice.erased {
        return Err(StaffError::CustomerErased.into());
    }
    let before = invoice.clone();
    let mut fields = Fields::default();
    let body = InvoiceBody {
        lines: patch.lines.over_needed(kept.lines.clone(), "/lines", &mut fields),
        memo: patch.memo.over(kept.memo.clone()),
    };
    invoice.customer_id = patch.customer_id.over_needed(before.customer_id, "/customer_id", &mut fields);
    fields.done()?;
    invoice.due_on = patch.due_on.over(before.due_on);
    let given = match &patch.number {
        Patch::Set(number) if *number != before.number => Some(number.as_str()),
        _ => None,
    };
    invoice.total = check(&body, given)?;
    let (had, number) = (before.number.clone(), patch.number.over(Some(before.number.clone())));
    invoice.number = number.unwrap_or_else(|| passing(id));

    let renamed = invoice.number != had;
    let numbers = [&had, &invoice.number].into_iter().filter(|number| renamed && !is_passing(number));
    let mut keys: Vec<_> = numbers.map(InvoiceNumber::key).collect();
    let moved = invoice.customer_id != before.customer_id;
    // Of the one that it leaves as well: what is erased with that one is found there.
    let customers = [before.customer_id, invoice.customer_id].into_iter().filter(|_| moved);
    keys.extend(customers.clone().map(|of| Customer::key(&of)));
    need(book, keys)?;
    if moved {
        let left = book.get::<Customer>(&before.customer_id)?;
        if left.is_some_and(|left| left.erased.is_some()) {
            return Err(StaffError::CustomerErased.into());
        }
        customer(book, &invoice.customer_id)?;
    }
    let takes = renamed && !is_passing(&invoice.number);
    if takes && book.get::<InvoiceNumber>(&invoice.number)?.is_some() {
        return Err(StaffError::NumberTaken.into());
    }

    // Everything was read above, so from here on nothing is unread.
    if moved {
        book.check::<Customer>(&before.customer_id)?;
        book.check::<Customer>(&invoice.customer_id)?;
    }
    if renamed && !is_passing(&had) {
        book.remove::<InvoiceNumber>(&had)?;
    }
    if takes {
        book.put(InvoiceNumber { number: invoice.number.clone(), invoice: *id })?;
    }
    let changed = [
        ("number", renamed),
        ("customer_id", moved),
        ("lines", body.lines != kept.lines),
        ("memo", body.memo != kept.memo),
        ("due_on", invoice.due_on != before.due_on),
    ];
    let fields = changed.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect();
    if body != *kept {
        invoice.body = Private::Plain(body);
    }
    book.put(invoice)?;
    Ok(Changed { id: *id, fields })
}

/// Sends a draft: it is owed from `today` on, due in 30 days unless it says when, and takes what the payments that named it
/// meanwhile have for it. One without a number gets the next.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Missing`], [`StaffError::NotDraft`], [`StaffError::NothingOwed`]; and
/// [`StaffError::NumberTaken`] where people gave away too many of the numbers that would be next.
pub fn finalize_invoice(
    book: &mut Book,
    id: &InvoiceId,
    by: &Actor,
    today: Date,
) -> Result<Changed<InvoiceId>, Stopped> {
    let before = draft(book, id)?;
    if before.total.amount <= 0 {
        return Err(StaffError::NothingOwed.into());
    }
    let mut invoice = before.clone();
    invoice.state = InvoiceState::Open;
    invoice.issued_on = Some(today);
    invoice.due_on = before.due_on.or_else(|| Some(today.saturating_add(DUE_DAYS.days())));
    invoice.serve();
    let shares = invoice.shares_since(&before);
    let numbered = !is_passing(&before.number);
    let last = (!numbered).then(|| InvoiceNumber::key(&LAST_MADE.to_owned()));
    need(book, shares.iter().map(|share| Payment::key(&share.payment)).chain(last))?;
    let payments = tell(book, &shares, by)?;
    let made = if numbered { None } else { Some(next_number(book)?) };
    let references = References::read(book, made.as_deref().unwrap_or(&before.number), None)?;

    // Everything was read above, so from here on nothing is unread.
    let mut fields = vec!["status", "issued_on"];
    fields.extend(before.due_on.is_none().then_some("due_on"));
    fields.extend((!shares.is_empty()).then_some("allocations"));
    if let Some(number) = made {
        fields.push("number");
        book.put(InvoiceNumber { number: LAST_MADE.to_owned(), invoice: *id })?;
        book.put(InvoiceNumber { number: number.clone(), invoice: *id })?;
        invoice.number = number;
    }
    references.enter(book, *id, before.customer_id)?;
    payments.into_iter().try_for_each(|payment| book.put(payment))?;
    book.put(invoice)?;
    Ok(Changed { id: *id, fields })
}

/// Withdraws an invoice to which nothing is applied. Choices for it that their payments cannot cover any more end.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Missing`], [`StaffError::HasAllocations`]; [`StaffError::WrongStatus`] if it is void.
pub fn void_invoice(book: &mut Book, id: &InvoiceId, now: Timestamp) -> Result<Changed<InvoiceId>, Stopped> {
    let mut invoice = find(book, id)?.clone();
    if invoice.state == InvoiceState::Void {
        return Err(StaffError::WrongStatus(InvoiceStatus::Void).into());
    }
    let holds = invoice.claims.values().filter(|it| it.applied > 0 || (it.chosen && it.wanted.amount > 0));
    let holds: Vec<_> = holds.map(|claim| claim.allocation).collect();
    if !holds.is_empty() {
        return Err(StaffError::HasAllocations(holds).into());
    }
    let ended = invoice.claims.extract_if(.., |_, claim| claim.chosen).map(|(_, claim)| claim.payment);
    let ended: BTreeSet<_> = ended.collect();
    need(book, ended.iter().map(Payment::key))?;
    invoice = invoice.ended(InvoiceState::Void, now);
    for of in &ended {
        if let Some(payment) = book.get::<Payment>(of)? {
            let mut payment = payment.clone();
            payment.end_choices(id);
            book.put(payment)?;
        }
    }
    book.put(invoice)?;
    Ok(Changed { id: *id, fields: vec!["status"] })
}

/// Says that nobody expects the rest of an invoice any more. It is owed still, and takes payments.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Missing`]; [`StaffError::WrongStatus`] unless it is open or partially paid.
pub fn mark_uncollectible(
    book: &mut Book,
    id: &InvoiceId,
    now: Timestamp,
) -> Result<Changed<InvoiceId>, Stopped> {
    let invoice = find(book, id)?.clone();
    let status = invoice.status();
    if invoice.state != InvoiceState::Open || status == InvoiceStatus::Paid {
        return Err(StaffError::WrongStatus(status).into());
    }
    book.put(invoice.ended(InvoiceState::Uncollectible, now))?;
    Ok(Changed { id: *id, fields: vec!["status"] })
}

fn find<'a>(book: &'a Book, id: &InvoiceId) -> Result<&'a Invoice, Stopped> {
    Ok(book.get::<Invoice>(id)?.ok_or(StaffError::Missing("invoice"))?)
}

fn draft(book: &Book, id: &InvoiceId) -> Result<Invoice, Stopped> {
    let invoice = find(book, id)?;
    if invoice.state == InvoiceState::Draft {
        Ok(invoice.clone())
    } else {
        Err(StaffError::NotDraft(invoice.status()).into())
    }
}

fn customer(book: &Book, id: &CustomerId) -> Result<(), Stopped> {
    match book.get::<Customer>(id)? {
        Some(customer) if customer.erased.is_some() => Err(StaffError::CustomerErased.into()),
        Some(_) => Ok(()),
        None => Err(invalid("/customer_id", "is no customer")),
    }
}

/// The number of a draft without one.
fn passing(id: &InvoiceId) -> String {
    let text = id.to_string();
    let tail = text.get(text.len().saturating_sub(10)..).unwrap_or_default();
    format!("{PASSING}{}", tail.to_ascii_uppercase())
}

/// Whether a number is that of a draft without one.
pub(in crate::ledger) fn is_passing(number: &str) -> bool {
    number.get(..PASSING.len()).is_some_and(|start| start.eq_ignore_ascii_case(PASSING))
}

/// The next number. People may have given some of those that would be next: then one a little, or much, further on.
fn next_number(book: &Book) -> Result<String, Stopped> {
    let last = match book.get::<InvoiceNumber>(&LAST_MADE.to_owned())? {
        Some(last) => book.get::<Invoice>(&last.invoice)?,
        None => None,
    };
    let last = last.and_then(|invoice| invoice.number.strip_prefix(MADE)?.parse::<u64>().ok()).unwrap_or(0);
    let after = |more: u64| format!("{MADE}{:06}", last.saturating_add(more));
    let near: Vec<_> = (1..=4).map(after).collect();
    let far: Vec<_> = (5..=15).chain((4..=30).map(|power| 1 << power)).map(after).collect();
    for numbers in [near, far] {
        // Their references as well, for whichever it is will need its own.
        let references = numbers.iter().map(|number| InvoiceReference::key(&reference_key(number)));
        need(book, numbers.iter().map(InvoiceNumber::key).chain(references))?;
        for number in numbers {
            if book.get::<InvoiceNumber>(&number)?.is_none() {
                return Ok(number);
            }
        }
    }
    Err(StaffError::NumberTaken.into())
}

/// Whether an invoice can have that number: it stands in a key, on paper, and in what payers write.
#[must_use]
pub fn is_invoice_number(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b' ');
    (1..=64).contains(&text.len()) && text.bytes().all(fits) && text.trim() == text
}

/// Checks what people wrote, and answers what it sums up to.
fn check(body: &InvoiceBody, number: Option<&str>) -> Result<Money, Stopped> {
    let mut fields = Fields::default();
    if let Some(number) = number {
        fields.check(is_invoice_number(number), "/number", NO_NUMBER);
        fields.no_card(number, "/number");
        fields.check(!is_passing(number), "/number", "cannot begin as the numbers of drafts do");
    }
    let count = body.lines.len();
    fields.check((1..=MAX_LINES).contains(&count), "/lines", "has to have 1 to 200 lines");
    for (n, line) in body.lines.iter().enumerate().take(MAX_LINES) {
        let at = |field: &str| format!("/lines/{n}/{field}");
        fields.line(&line.description, 500, at("description"));
        let quantity = line.quantity > Decimal::ZERO && line.quantity.normalize().scale() <= 6;
        fields.check(quantity, at("quantity"), "has to be more than 0, with at most 6 decimals");
        let price = line.unit_price.amount.unsigned_abs() <= MAX_AMOUNT.unsigned_abs();
        fields.check(price, at("unit_price/amount"), "is too large");
        let tax = line.tax_percent.unwrap_or_default();
        let tax = tax >= Decimal::ZERO && tax <= Decimal::ONE_HUNDRED && tax.normalize().scale() <= 6;
        fields.check(tax, at("tax_percent"), "has to be 0 to 100, with at most 6 decimals");
    }
    if let Some(memo) = &body.memo {
        fields.lines(memo, 2_000, "/memo");
    }
    fields.done()?;
    let total = body.total().map_err(|error| match error {
        InvoiceError::NoLines => invalid("/lines", "has to have 1 to 200 lines"),
        InvoiceError::Negative => invalid("/lines", "cannot sum up to less than nothing"),
        InvoiceError::Money(MoneyError::MixedCurrencies) => invalid("/lines", "has to be of one currency"),
        InvoiceError::Money(_) => invalid("/lines", "sums up to too much"),
    })?;
    if total.amount > MAX_AMOUNT { Err(invalid("/lines", "sums up to too much")) } else { Ok(total) }
}
