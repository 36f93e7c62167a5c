#![doc = include_str!("../README.md")]

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::{Date, date};
use plixo_cash::{
    Candidate, Candidates, Confidence, GaveUp, KnownCustomer, MAX_REFERENCES, Order, ReferenceKey, Rules,
    SeenPayer, Suggested, Tolerance, Verdict, Why, references, suggest,
};
use plixo_domain::id::{CustomerId, InvoiceId, OrgId};
use plixo_domain::ledger::{
    AllocationOrder, CashApplication, Customer, CustomerRef, Invoice, InvoiceReference, Kept, Organisation,
    Payer, PayerHash, PayerHistory, Payment, Row, RowKey, UnderpaymentTolerance,
};
use plixo_domain::money::Money;
use plixo_domain::webhook::ExternalRef;
use plixo_envelope::KeyService;
use plixo_store::{List, Store, StoreError, StoredRow, Tables};

/// So many invoices of the payment's amount are read: as many as `plixo-cash` looks at.
pub const MAX_OF_AMOUNT: usize = 20;
/// So many invoices of the customer are read: with the others, one request's worth.
pub const MAX_OF_CUSTOMER: usize = 50;
/// What is so sure is named to the letter and paid exactly, thousandths: see the table of `plixo-cash`.
const PLAIN: u16 = 970;
/// The day of an invoice that has none: as lists have it, last.
const NO_DAY: Date = date(9999, 12, 31);

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything, for a person to choose from.
    Everything,
    /// No more than it takes to be sure of one answer.
    UntilSure,
}

/// What a payment may be for.
#[derive(Debug)]
pub struct Found {
    /// The answer.
    pub suggested: Suggested,
    /// The rows that were read for it, for whoever goes on with them.
    pub rows: Vec<StoredRow>,
}

/// An organisation's rules, as `plixo-cash` has them.
#[must_use]
pub fn rules(settings: &CashApplication) -> Rules {
    let UnderpaymentTolerance { percent, amount } = settings.underpayment_tolerance;
    let most = UnderpaymentTolerance::MOST;
    let set =
        (percent.is_some() || amount.is_some()).then(|| percent.or(most.percent).zip(amount.or(most.amount)));
    Rules {
        automatic_from: Confidence::new(settings.threshold.saturating_mul(10)),
        tolerance: set
            .flatten()
            .map_or(Tolerance::default(), |(percent, amount)| Tolerance::new(percent, amount)),
        order: match settings.order {
            AllocationOrder::OldestDueFirst => Order::OldestDue,
            AllocationOrder::OldestIssuedFirst => Order::OldestIssued,
            AllocationOrder::SmallestFirst => Order::Smallest,
            AllocationOrder::LargestFirst => Order::Largest,
        },
    }
}

/// What is unapplied of a payment, and what it may be for. `payer` is the payment's, opened. Nothing is suggested for nothing, and
/// nothing read.
///
/// # Errors
/// [`StoreError`].
pub async fn suggestions<T: Tables, K: KeyService>(
    store: &Store<T, K>,
    organisation: &Organisation,
    (payment, payer): (&Payment, &Payer),
    depth: Depth,
    now: Timestamp,
) -> Result<Found, StoreError> {
    let Some((unapplied, received_on)) =
        payment.unapplied().filter(|money| money.amount > 0).zip(payment.received_on())
    else {
        let verdict = Verdict::Ask(Why::NothingFits);
        let suggested = Suggested { suggestions: Vec::new(), verdict, gave_up: None };
        return Ok(Found { suggested, rows: Vec::new() });
    };
    let text = payer.remittance.as_deref().unwrap_or_default();
    let keys = references(text, None);
    let mut search = Search::new(store, organisation.id, now);
    let provider = payment.customer.as_ref().filter(|_| payment.customer_id.is_none());
    let named = search.read_names(&keys, payment.payer_hash.as_ref(), provider).await?;
    let told = payment.customer_id.or(search.told);
    let (of_amount, more_of_amount) =
        store.owed(&search.org, &List::OwedOfAmount(unapplied), MAX_OF_AMOUNT).await?;

    let question = plixo_cash::Payment {
        unapplied,
        received_on,
        customer: told,
        payer_name: payer.name.as_deref(),
        payer_account: payment.payer_hash.as_ref().map(|PayerHash(hash)| hash.as_str()),
        text,
        structured: None,
        instruction: &[],
    };
    let rules = rules(&organisation.settings.cash_application);
    let mut wanted: BTreeMap<InvoiceId, CustomerId> = named.iter().map(|(id, of)| (*id, *of)).collect();
    wanted.extend(of_amount);
    let all_keys = keys.len() < MAX_REFERENCES && !search.crowded;
    // Whom the payer paid for so far may owe an invoice of this amount that was not read.
    let usual_is_read =
        !more_of_amount || search.usual().is_none_or(|usual| named.values().any(|of| *of == usual));
    if depth == Depth::UntilSure && all_keys && usual_is_read && !named.is_empty() {
        search.read(&wanted, told).await?;
        let suggested = search.suggest(&question, (more_of_amount, true), &rules);
        if is_plain(&suggested) {
            return Ok(Found { suggested, rows: search.rows });
        }
    }

    let mut more_of_customer = false;
    let of_named: BTreeSet<_> = named.values().copied().collect();
    if let Some(customer) = told.or_else(|| search.usual()).or_else(|| only(&of_named)) {
        let (owed, more) = store.owed(&search.org, &List::OwedOfCustomer(customer), MAX_OF_CUSTOMER).await?;
        wanted.extend(owed);
        let others = search.history.keys().chain(&of_named).any(|other| *other != customer);
        more_of_customer = more || others;
    }
    search.read(&wanted, told.or_else(|| search.usual())).await?;
    let mut suggested = search.suggest(&question, (more_of_amount, more_of_customer), &rules);
    if !all_keys {
        suggested.gave_up = suggested.gave_up.or(Some(GaveUp::Text));
        if suggested.verdict == Verdict::Automatic {
            suggested.verdict = Verdict::Ask(Why::StoppedEarly);
        }
    }
    Ok(Found { suggested, rows: search.rows })
}

/// Whether nothing that was not read could make it less sure: the text names invoices that the payment pays exactly.
fn is_plain(suggested: &Suggested) -> bool {
    let first = suggested.suggestions.first();
    suggested.verdict == Verdict::Automatic
        && first.is_some_and(|first| {
            first.confidence.thousandths() >= PLAIN
                && first.left_open.amount == 0
                && first.unapplied.amount == 0
        })
}

fn only(customers: &BTreeSet<CustomerId>) -> Option<CustomerId> {
    customers.first().copied().filter(|_| customers.len() == 1)
}

struct Search<'a, T, K> {
    store: &'a Store<T, K>,
    org: OrgId,
    now: Timestamp,
    /// Which customer the provider's is.
    told: Option<CustomerId>,
    /// For whom the payer has paid, and how often.
    history: BTreeMap<CustomerId, u32>,
    payer: Option<PayerHash>,
    /// A reference names as many invoices as are kept of one, so there may be others.
    crowded: bool,
    invoices: BTreeMap<InvoiceId, Candidate>,
    customers: BTreeMap<CustomerId, KnownCustomer>,
    rows: Vec<StoredRow>,
}

impl<'a, T: Tables, K: KeyService> Search<'a, T, K> {
    fn new(store: &'a Store<T, K>, org: OrgId, now: Timestamp) -> Self {
        Self {
            store,
            org,
            now,
            told: None,
            history: BTreeMap::new(),
            payer: None,
            crowded: false,
            invoices: BTreeMap::new(),
            customers: BTreeMap::new(),
            rows: Vec::new(),
        }
    }

    /// Reads what is found by name, and answers the invoices that the references name.
    async fn read_names(
        &mut self,
        references: &[ReferenceKey],
        payer: Option<&PayerHash>,
        provider: Option<&ExternalRef>,
    ) -> Result<BTreeMap<InvoiceId, CustomerId>, StoreError> {
        let mut names: Vec<_> = references.iter().map(InvoiceReference::key).collect();
        names.extend(payer.map(PayerHistory::key));
        names.extend(provider.map(CustomerRef::key));
        let rows = self.store.read(&self.org, names).await?;
        let mut named = BTreeMap::new();
        for row in rows.iter().filter_map(|(_, row)| row.as_ref().map(|(row, _)| row)) {
            match row {
                Row::InvoiceReference(row) => {
                    self.crowded |= row.invoices.len() >= InvoiceReference::MOST;
                    named.extend(&row.invoices);
                }
                Row::PayerHistory(row) => self.history.clone_from(&row.customers),
                Row::CustomerRef(row) => self.told = Some(row.customer),
                _ => {}
            }
        }
        self.payer = payer.cloned();
        self.rows.extend(rows);
        Ok(named)
    }

    /// The customer that the payer has paid for most often.
    fn usual(&self) -> Option<CustomerId> {
        self.history.iter().max_by_key(|(id, times)| (**times, Reverse(**id))).map(|(id, _)| *id)
    }

    /// Reads these invoices and their customers, and another customer, as far as they were not read.
    async fn read(
        &mut self,
        wanted: &BTreeMap<InvoiceId, CustomerId>,
        customer: Option<CustomerId>,
    ) -> Result<(), StoreError> {
        let invoices = wanted.keys().filter(|id| !self.invoices.contains_key(*id)).map(Invoice::key);
        let customers: BTreeSet<_> = wanted.values().copied().chain(customer).collect();
        let customers = customers.iter().filter(|id| !self.customers.contains_key(*id)).map(Customer::key);
        let names: Vec<RowKey> = invoices.chain(customers).collect();
        let rows = self.store.read(&self.org, names).await?;
        for row in rows.iter().filter_map(|(_, row)| row.as_ref().map(|(row, _)| row)) {
            match row {
                Row::Invoice(row) => drop(self.invoices.insert(row.id, candidate(row))),
                Row::Customer(row) => {
                    let name = self.store.open_personal(&self.org, row, self.now).await?.name;
                    let seen = self.payer.as_ref().zip(self.history.get(&row.id));
                    let seen = seen.map(|(PayerHash(payer), times)| SeenPayer {
                        payer: payer.clone(),
                        payments: *times,
                    });
                    let (names, seen) = (name.into_iter().collect(), seen.into_iter().collect());
                    self.customers.insert(row.id, KnownCustomer { id: row.id, names, seen });
                }
                _ => {}
            }
        }
        self.rows.extend(rows);
        Ok(())
    }

    fn suggest(
        &self,
        question: &plixo_cash::Payment<'_>,
        (more_of_amount, more_of_customer): (bool, bool),
        rules: &Rules,
    ) -> Suggested {
        let invoices: Vec<_> = self.invoices.values().cloned().collect();
        let customers: Vec<_> = self.customers.values().cloned().collect();
        let (invoices, customers) = (invoices.as_slice(), customers.as_slice());
        suggest(question, &Candidates { invoices, customers, more_of_amount, more_of_customer }, rules)
    }
}

/// An invoice, of which nothing is open unless it takes payments.
fn candidate(invoice: &Invoice) -> Candidate {
    let balance = if invoice.takes_payment() { invoice.balance().amount } else { 0 };
    Candidate {
        id: invoice.id,
        number: invoice.number.clone(),
        customer: invoice.customer_id,
        total: invoice.total,
        balance: Money { amount: balance, ..invoice.total },
        issued_on: invoice.issued_on.or(invoice.due_on).unwrap_or(NO_DAY),
        due_on: invoice.due_on.unwrap_or(NO_DAY),
        discount: None,
    }
}
