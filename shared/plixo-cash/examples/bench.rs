//! What a payment costs, in time of one processor: `cargo run --release -p plixo-cash --example bench`.

use std::hint::black_box;
use std::time::Instant;

use jiff::civil::date;
use plixo_cash::{Candidate, Candidates, KnownCustomer, Payment, Rules, references, suggest};
use plixo_domain::id::{CustomerId, from_bytes};
use plixo_domain::money::Money;

const ROUNDS: u32 = 50;

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn timed<T>(what: &str, run: impl Fn() -> T) {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(run());
    }
    println!("{what:<64} {:>8} µs", start.elapsed().as_micros() / u128::from(ROUNDS));
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let currency = "EUR".parse()?;
    let customer: CustomerId = from_bytes([1; 16]);
    let number = |n: u32| format!("RE2026/{n:04}");
    let balance = |n: u32| 100_003 + i64::from(n) * i64::from(n) * 7;
    let book = |count: u32, number: &dyn Fn(u32) -> String, balance: &dyn Fn(u32) -> i64| {
        let invoice = |n: u32| {
            let mut id = [2; 16];
            if let Some(head) = id.first_chunk_mut() {
                *head = n.to_be_bytes();
            }
            Candidate {
                id: from_bytes(id),
                number: number(n),
                customer,
                total: Money::new(balance(n), currency),
                balance: Money::new(balance(n), currency),
                issued_on: date(2026, 1, 1),
                due_on: date(2026, 2, 1),
                discount: None,
            }
        };
        (0..count).map(invoice).collect::<Vec<_>>()
    };
    let known = [KnownCustomer { id: customer, names: vec!["Muster GmbH".to_owned()], seen: Vec::new() }];
    let run = |invoices: &[Candidate], amount: i64, text: &str| {
        let payment = Payment {
            unapplied: Money::new(amount, currency),
            received_on: date(2026, 11, 28),
            customer: None,
            payer_name: Some("MUSTER GMBH"),
            payer_account: None,
            text,
            structured: None,
            instruction: &[],
        };
        let found =
            Candidates { invoices, customers: &known, more_of_amount: false, more_of_customer: false };
        suggest(&payment, &found, &Rules::default())
    };

    let line = "EREF+NOTPROVIDED SVWZ+RECHNUNG RE2026/0042 VOM 28.11.2026 KD 4711";
    let numbers: Vec<_> = (0..400).map(number).collect();
    let (listed, digits) = (numbers.join(", "), "12-34 ".repeat(1_700));
    timed("references of a usual text", || references(line, None));
    timed("references of 400 numbers", || references(&listed, None));
    timed("references of 10 kB of digits", || references(&digits, None));
    let usual = book(500, &number, &balance);
    timed("500 invoices of the customer, one named", || run(&usual, balance(42), line));
    timed("500 invoices of the customer, none named, a sum looked for", || run(&usual, 31_234_567, ""));
    timed("500 invoices of the customer, 400 named", || run(&usual, 31_234_567, &listed));
    timed("500 invoices of the customer, 10 kB of digits", || run(&usual, 31_234_567, &digits));
    let alike = book(1_000, &|_| "INV-1".to_owned(), &|_| 4_900);
    let again = "INV-1 ".repeat(600);
    timed("1,000 invoices of one number and amount, named 600 times", || run(&alike, 4_900, &again));
    let equal = book(1_000, &number, &|_| 4_900);
    timed("1,000 invoices of one amount, a sum of 15 looked for", || run(&equal, 15 * 4_900, ""));
    Ok(())
}
