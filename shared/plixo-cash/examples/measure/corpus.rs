//! The corpus, and what the engine makes of it when it is handed what indexes would find.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::PathBuf;

use jiff::ToSpan;
use jiff::civil::Date;
use plixo_cash::{
    Candidate, Candidates, Discount, Instruction, KnownCustomer, Payment, Rules, SeenPayer, Suggested,
    Tolerance, Verdict, name_key, reference_key, references, suggest,
};
use plixo_domain::id::{CustomerId, InvoiceId, from_bytes};
use plixo_domain::money::{Currency, Money};
use serde::Deserialize;

/// So many invoices does one reference key give, one amount, one customer.
const MOST_OF_KEY: usize = 5;
const MOST_OF_AMOUNT: usize = 50;
const MOST_OF_CUSTOMER: usize = 200;
/// The customers that a payer may be.
const MOST_PAYERS: usize = 3;

#[derive(Deserialize)]
struct RawBook {
    book: String,
    currency: Currency,
    customers: Vec<RawCustomer>,
    invoices: Vec<RawInvoice>,
}

#[derive(Deserialize)]
struct RawCustomer {
    names: Vec<String>,
    seen: Vec<(String, u32)>,
}

/// Number, customer, total, balance, issued, due, discount (basis points, days).
#[derive(Deserialize)]
struct RawInvoice(String, usize, i64, i64, Date, Date, Option<(u16, i64)>);

/// A labelled payment.
#[derive(Deserialize)]
pub(crate) struct Case {
    book: String,
    /// How it was made.
    pub(crate) kind: String,
    amount: i64,
    /// The remittance text.
    pub(crate) text: String,
    on: Date,
    payer: Option<String>,
    structured: Option<String>,
    #[serde(default)]
    tolerance: bool,
    #[serde(default)]
    instruction: Vec<(String, i64)>,
    answer: Answer,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Allocations(Vec<(u32, i64)>),
    #[expect(dead_code, reason = "it says \"ask\"")]
    Ask(String),
}

/// An organisation's invoices, as its indexes have them.
pub(crate) struct Book {
    invoices: Vec<Candidate>,
    customers: Vec<KnownCustomer>,
    by_key: BTreeMap<String, Vec<usize>>,
    by_amount: BTreeMap<i64, Vec<usize>>,
    by_customer: BTreeMap<CustomerId, Vec<usize>>,
    by_payer: BTreeMap<String, Vec<CustomerId>>,
    currency: Currency,
}

/// What became of a payment.
pub(crate) struct Outcome {
    pub(crate) suggested: Suggested,
    /// The first suggestion is the right answer.
    pub(crate) first_is_right: bool,
    /// A person should decide.
    pub(crate) should_ask: bool,
}

impl Outcome {
    pub(crate) fn automatic(&self) -> bool {
        self.suggested.verdict == Verdict::Automatic
    }
}

fn id(kind: u8, n: u32) -> [u8; 16] {
    let mut bytes = [kind; 16];
    if let Some(head) = bytes.first_chunk_mut() {
        *head = n.to_be_bytes();
    }
    bytes
}

impl Book {
    fn new(raw: RawBook) -> Result<Self, Box<dyn Error>> {
        let customers: Vec<_> = (0_u32..)
            .zip(&raw.customers)
            .map(|(n, it)| KnownCustomer {
                id: from_bytes(id(1, n)),
                names: it.names.clone(),
                seen: it
                    .seen
                    .iter()
                    .map(|(payer, payments)| SeenPayer { payer: payer.clone(), payments: *payments })
                    .collect(),
            })
            .collect();
        let mut book = Self {
            invoices: Vec::new(),
            by_key: BTreeMap::new(),
            by_amount: BTreeMap::new(),
            by_customer: BTreeMap::new(),
            by_payer: BTreeMap::new(),
            currency: raw.currency,
            customers,
        };
        for customer in &book.customers {
            let names = customer.names.iter().chain(customer.seen.iter().map(|seen| &seen.payer));
            for name in names.map(|name| name_key(name)).collect::<BTreeSet<_>>() {
                book.by_payer.entry(name).or_default().push(customer.id);
            }
        }
        for (n, it) in (0_u32..).zip(raw.invoices) {
            let RawInvoice(number, customer, total, balance, issued_on, due_on, discount) = it;
            let place = book.invoices.len();
            let customer = book.customers.get(customer).ok_or("no such customer")?.id;
            book.by_key.entry(reference_key(&number).to_string()).or_default().push(place);
            if balance > 0 {
                book.by_amount.entry(balance).or_default().push(place);
                book.by_customer.entry(customer).or_default().push(place);
            }
            let until = |days: i64| issued_on.checked_add(days.days());
            let discount = discount
                .map(|(basis_points, days)| until(days).map(|until| Discount { basis_points, until }));
            book.invoices.push(Candidate {
                id: from_bytes(id(2, n)),
                number,
                customer,
                total: Money::new(total, book.currency),
                balance: Money::new(balance, book.currency),
                issued_on,
                due_on,
                discount: discount.transpose()?,
            });
        }
        Ok(book)
    }

    /// What the engine says of a payment.
    pub(crate) fn run(&self, case: &Case) -> Outcome {
        let instruction: Vec<_> = case
            .instruction
            .iter()
            .map(|(number, amount)| Instruction { number, amount: Some(*amount) })
            .collect();
        let payment = Payment {
            unapplied: Money::new(case.amount, self.currency),
            received_on: case.on,
            customer: None,
            payer_name: case.payer.as_deref(),
            payer_account: None,
            text: &case.text,
            structured: case.structured.as_deref(),
            instruction: &instruction,
        };
        let mut found: BTreeSet<usize> = BTreeSet::new();
        let keys = references(payment.text, payment.structured);
        let advised = payment.instruction.iter().map(|line| reference_key(line.number));
        for key in keys.into_iter().chain(advised) {
            let rows = self.by_key.get(key.as_str()).into_iter().flatten();
            found.extend(rows.take(MOST_OF_KEY));
        }
        let of_amount = self.by_amount.get(&case.amount).map_or(&[][..], Vec::as_slice);
        found.extend(of_amount.iter().take(MOST_OF_AMOUNT));
        let payers: Vec<_> = case
            .payer
            .iter()
            .flat_map(|name| self.by_payer.get(&name_key(name)).into_iter().flatten())
            .copied()
            .take(MOST_PAYERS)
            .collect();
        let mut more_of_customer = false;
        for customer in &payers {
            let own = self.by_customer.get(customer).map_or(&[][..], Vec::as_slice);
            more_of_customer |= own.len() > MOST_OF_CUSTOMER;
            found.extend(own.iter().take(MOST_OF_CUSTOMER));
        }
        let invoices: Vec<Candidate> = found.iter().filter_map(|n| self.invoices.get(*n)).cloned().collect();
        let known: BTreeSet<_> = invoices.iter().map(|it| it.customer).chain(payers).collect();
        let customers: Vec<_> = self.customers.iter().filter(|it| known.contains(&it.id)).cloned().collect();
        let candidates = Candidates {
            invoices: &invoices,
            customers: &customers,
            more_of_amount: of_amount.len() > MOST_OF_AMOUNT,
            more_of_customer,
        };
        let tolerance = if case.tolerance { Tolerance::MOST } else { Tolerance::default() };
        let suggested = suggest(&payment, &candidates, &Rules { tolerance, ..Rules::default() });
        let right: Option<BTreeMap<InvoiceId, i64>> = match &case.answer {
            Answer::Allocations(parts) => {
                Some(parts.iter().map(|(n, part)| (from_bytes(id(2, *n)), *part)).collect())
            }
            Answer::Ask(_) => None,
        };
        let first = suggested.suggestions.first().map(|first| {
            first.allocations.iter().map(|(id, part)| (*id, part.amount)).collect::<BTreeMap<_, _>>()
        });
        Outcome { first_is_right: right.is_some() && first == right, should_ask: right.is_none(), suggested }
    }
}

/// Books by their names.
pub(crate) type Books = BTreeMap<String, Book>;

/// A half of the corpus: its books and its payments.
pub(crate) fn half(name: &str) -> Result<(Books, Vec<Case>), Box<dyn Error>> {
    let folder: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "..", "tests", "corpus", "cash", name].iter().collect();
    let mut books = BTreeMap::new();
    for line in std::fs::read_to_string(folder.join("books.jsonl"))?.lines() {
        let raw: RawBook = serde_json::from_str(line)?;
        books.insert(raw.book.clone(), Book::new(raw)?);
    }
    let cases = std::fs::read_to_string(folder.join("cases.jsonl"))?;
    let cases = cases.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok((books, cases))
}

/// How a half came out.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) all: u32,
    /// Applied automatically, and how many of these rightly.
    pub(crate) automatic: u32,
    pub(crate) right: u32,
    /// Whether the right answer is the first suggestion.
    pub(crate) first: u32,
}

impl Tally {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.all = self.all.saturating_add(1);
        self.automatic = self.automatic.saturating_add(u32::from(outcome.automatic()));
        self.right = self.right.saturating_add(u32::from(outcome.automatic() && outcome.first_is_right));
        self.first = self.first.saturating_add(u32::from(outcome.first_is_right));
    }

    /// Of what was applied automatically, so much was right, in hundredths of a percent.
    pub(crate) fn precision(&self) -> u32 {
        share(self.right, self.automatic)
    }

    /// Of all, so much was applied automatically and rightly, in hundredths of a percent.
    pub(crate) fn recall(&self) -> u32 {
        share(self.right, self.all)
    }
}

fn share(part: u32, of: u32) -> u32 {
    part.saturating_mul(10_000).checked_div(of).unwrap_or(10_000)
}

impl Case {
    pub(crate) fn book<'a>(&self, books: &'a Books) -> Result<&'a Book, Box<dyn Error>> {
        Ok(books.get(&self.book).ok_or("a case of no book")?)
    }
}
