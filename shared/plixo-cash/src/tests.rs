use jiff::civil::date;
use plixo_domain::id::from_bytes;
use proptest::prelude::*;

use super::*;

mod keys;
mod properties;
mod suggestions;
mod texts;

fn euro(amount: i64) -> Money {
    Money::new(amount, "EUR".parse().unwrap())
}

fn invoice_id(n: u8) -> InvoiceId {
    from_bytes([n; 16])
}

fn customer_id(n: u8) -> CustomerId {
    from_bytes([n; 16])
}

/// Of customer 1, due in the order of `n`.
fn invoice(n: u8, number: &str, balance: i64) -> Candidate {
    Candidate {
        id: invoice_id(n),
        number: number.to_owned(),
        customer: customer_id(1),
        total: euro(balance),
        balance: euro(balance),
        issued_on: date(2026, 1, 1),
        due_on: date(2026, 2, 1).checked_add(jiff::Span::new().days(i64::from(n))).unwrap(),
        discount: None,
    }
}

fn of(customer: u8, invoice: Candidate) -> Candidate {
    Candidate { customer: customer_id(customer), ..invoice }
}

fn customer(n: u8, name: &str) -> KnownCustomer {
    KnownCustomer { id: customer_id(n), names: vec![name.to_owned()], seen: Vec::new() }
}

fn payment(amount: i64, text: &str) -> Payment<'_> {
    Payment {
        unapplied: euro(amount),
        received_on: date(2026, 11, 28),
        customer: None,
        payer_name: None,
        payer_account: None,
        text,
        structured: None,
        instruction: &[],
    }
}

fn from<'a>(name: &'a str, payment: Payment<'a>) -> Payment<'a> {
    Payment { payer_name: Some(name), ..payment }
}

fn all<'a>(invoices: &'a [Candidate], customers: &'a [KnownCustomer]) -> Candidates<'a> {
    Candidates { invoices, customers, more_of_amount: false, more_of_customer: false }
}

fn ask(payment: &Payment<'_>, invoices: &[Candidate], customers: &[KnownCustomer]) -> Suggested {
    suggest(payment, &all(invoices, customers), &Rules::default())
}

/// Invoices and amounts of the first suggestion.
fn first(suggested: &Suggested) -> Vec<(InvoiceId, i64)> {
    let first = suggested.suggestions.first();
    first.map_or(Vec::new(), |it| it.allocations.iter().map(|(id, part)| (*id, part.amount)).collect())
}

fn best(suggested: &Suggested) -> u16 {
    suggested.suggestions.first().map_or(0, |it| it.confidence.thousandths())
}
