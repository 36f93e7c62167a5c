use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::id::{AllocationId, CustomerId, Ids};
use crate::ledger::{Claim, Private, RowKey, Stage, Stamp, Statement, Witness};
use crate::webhook::Provider;

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn ids(seed: u8) -> Ids {
    Ids::new("2026-11-21T12:00:00Z".parse().unwrap(), [seed; 10])
}

fn money(amount: i64, currency: &str) -> Money {
    Money::new(amount, currency.parse().unwrap())
}

fn invoice(seed: u8, total: Money, due_on: Option<&str>) -> Invoice {
    let customer_id: CustomerId = ids(seed).make();
    Invoice {
        id: ids(seed).make(),
        number: seed.to_string(),
        customer_id,
        state: InvoiceState::Open,
        total,
        issued_on: None,
        due_on: due_on.map(day),
        body: Private::Sealed(Vec::new()),
        claims: BTreeMap::new(),
        checkout: None,
        asked: None,
        ended_at: None,
        reference: None,
        erased: false,
    }
}

fn paid(mut invoice: Invoice, applied: i64) -> Invoice {
    let (allocation, wanted): (AllocationId, _) =
        (ids(200).make(), Money { amount: applied, ..invoice.total });
    let payment = ExternalRef { provider: Provider::Stripe, id: "pi".parse().unwrap() };
    let claim = Claim { payment, received_at: 0, wanted, applied, allocation, chosen: false };
    invoice.claims = BTreeMap::from([(allocation, claim)]);
    invoice
}

fn payment(name: &str, amount: Money, received_on: &str, refunded: i64) -> Payment {
    let stamp = Stamp { at: 1, event: "evt".to_owned() };
    let said = Statement { state: Stage::Received, stamp, amount: amount.amount, currency: amount.currency };
    let reference = ExternalRef { provider: Provider::Stripe, id: name.parse().unwrap() };
    let mut payment = Payment::new(ids(1).make(), reference);
    payment.money.insert(Witness::Intent, said);
    let at: jiff::Timestamp = format!("{received_on}T12:00:00Z").parse().unwrap();
    payment.received_at = Some(at.as_second());
    payment.refunded_total = (refunded > 0).then_some((2, refunded));
    payment
}

/// What the store holds.
#[derive(Default)]
struct Kept {
    rows: BTreeMap<RowKey, (super::super::Row, u64)>,
}

impl Kept {
    fn put<R: super::super::Kept>(&mut self, row: R) {
        let key = R::key(&row.name());
        let version = self.rows.get(&key).map_or(1, |(_, version)| version + 1);
        self.rows.insert(key, (row.into_row(), version));
    }

    fn book(&self, of: &Countable) -> Book {
        let mut book = Book::default();
        for name in [RowKey::Totals, RowKey::Counted(of.clone()), of.row()] {
            let stored = self.rows.get(&name).cloned();
            book.learn(name, stored);
        }
        book
    }

    fn count(&mut self, of: &Countable, today: &str) {
        let mut book = self.book(of);
        recount(&mut book, of, day(today)).unwrap();
        self.commit(&book);
    }

    fn commit(&mut self, book: &Book) {
        for (key, row, version) in book.changes() {
            assert_eq!(self.rows.get(key).map(|(_, version)| *version), version);
            self.rows.insert(key.clone(), (row.clone(), version.unwrap_or(0) + 1));
        }
        for (key, version) in book.removals() {
            assert_eq!(self.rows.remove(key).map(|(_, version)| version), Some(version));
        }
    }

    fn invoice(&mut self, invoice: Invoice, today: &str) {
        let of = Countable::Invoice(invoice.id);
        self.put(invoice);
        self.count(&of, today);
    }

    fn payment(&mut self, payment: Payment, today: &str) {
        let of = Countable::Payment(payment.reference.clone());
        self.put(payment);
        self.count(&of, today);
    }

    fn totals(&self) -> Totals {
        let row = self.rows.get(&RowKey::Totals);
        row.and_then(|(row, _)| <Totals as super::super::Kept>::of(row)).cloned().unwrap_or_default()
    }

    /// Currency, open, overdue, and what was received in the running month and the one before.
    fn shown(&self, today: &str) -> Vec<(String, i64, i64, i64, i64)> {
        let shown = |it: Overview| {
            assert_eq!(it.months.len(), 12);
            let [.., before, running] = it.months.as_slice() else { panic!("no months") };
            (it.currency.to_string(), it.open.amount, it.overdue.amount, running.1.amount, before.1.amount)
        };
        self.totals().overview(day(today)).unwrap().into_iter().map(shown).collect()
    }
}

fn row(currency: &str, open: i64, overdue: i64, running: i64, before: i64) -> (String, i64, i64, i64, i64) {
    (currency.to_owned(), open, overdue, running, before)
}

#[test]
fn money_is_overdue_from_the_day_after_it_was_due() {
    let mut kept = Kept::default();
    kept.invoice(invoice(1, money(500, "EUR"), Some("2026-11-21")), "2026-11-21");
    kept.invoice(invoice(2, money(70, "EUR"), Some("2026-11-10")), "2026-11-21");
    kept.invoice(invoice(3, money(9, "USD"), Some("2026-12-31")), "2026-11-21");
    kept.invoice(invoice(4, money(1, "USD"), None), "2026-11-21");
    assert_eq!(kept.shown("2026-11-21"), [row("EUR", 570, 70, 0, 0), row("USD", 10, 0, 0, 0)]);
    assert_eq!(kept.shown("2026-11-22"), [row("EUR", 570, 570, 0, 0), row("USD", 10, 0, 0, 0)]);
    assert_eq!(kept.shown("2027-01-01"), [row("EUR", 570, 570, 0, 0), row("USD", 10, 9, 0, 0)]);
}

#[test]
fn what_is_paid_or_withdrawn_is_not_open_and_leaves_nothing_behind() {
    let mut kept = Kept::default();
    let first = invoice(1, money(500, "EUR"), Some("2026-12-01"));
    kept.invoice(first.clone(), "2026-11-21");
    kept.invoice(paid(first.clone(), 200), "2026-11-21");
    assert_eq!(kept.shown("2026-11-21"), [row("EUR", 300, 0, 0, 0)]);
    // Meanwhile its day has passed, and stands in the sum of the past.
    kept.invoice(invoice(2, money(70, "USD"), None), "2027-02-01");
    assert_eq!(kept.shown("2027-02-01"), [row("EUR", 300, 300, 0, 0), row("USD", 70, 0, 0, 0)]);
    kept.invoice(paid(first, 500), "2027-02-02");
    kept.invoice(Invoice { state: InvoiceState::Void, ..invoice(2, money(70, "USD"), None) }, "2027-02-02");
    assert_eq!(kept.totals(), Totals { since: day("2027-02-01"), ..Totals::default() });
}

#[test]
fn what_was_received_is_less_what_went_back_in_its_own_month() {
    let mut kept = Kept::default();
    kept.payment(payment("pi_1", money(500, "EUR"), "2026-11-01", 0), "2026-11-21");
    kept.payment(payment("pi_2", money(100, "EUR"), "2026-10-31", 0), "2026-11-21");
    kept.payment(payment("pi_1", money(500, "EUR"), "2026-11-01", 120), "2026-11-22");
    assert_eq!(kept.shown("2026-11-22"), [row("EUR", 0, 0, 380, 100)]);
    kept.payment(payment("pi_1", money(500, "EUR"), "2026-11-01", 500), "2026-11-22");
    assert_eq!(kept.shown("2026-11-22"), [row("EUR", 0, 0, 0, 100)]);
}

#[test]
fn months_are_forgotten_after_three_years_and_taken_back_from_nothing() {
    let mut kept = Kept::default();
    kept.payment(payment("pi_1", money(500, "EUR"), "2023-12-01", 0), "2026-11-21");
    kept.payment(payment("pi_2", money(7, "EUR"), "2023-11-30", 0), "2026-11-21");
    let months = |kept: &Kept| {
        kept.totals().currencies.values().flat_map(|sums| sums.received.clone()).collect::<Vec<_>>()
    };
    assert_eq!(months(&kept), [(day("2023-12-01"), 500)]);
    kept.payment(payment("pi_3", money(1, "EUR"), "2026-12-02", 0), "2026-12-02");
    kept.payment(payment("pi_1", money(500, "EUR"), "2023-12-01", 100), "2026-12-03");
    assert_eq!(months(&kept), [(day("2026-12-01"), 1)]);
    // Nor do dates that nobody can have received money on make it grow.
    kept.payment(payment("pi_4", money(1, "EUR"), "2099-01-01", 0), "2026-12-03");
    assert_eq!(months(&kept), [(day("2026-12-01"), 1)]);
}

#[test]
fn an_older_version_is_never_counted_after_a_newer_one() {
    let mut kept = Kept::default();
    let (first, of) = (invoice(1, money(500, "EUR"), None), Countable::Invoice(ids(1).make()));
    kept.put(first.clone());
    let mut stale = kept.book(&of);
    kept.invoice(paid(first, 499), "2026-11-21");
    // As if it had read what was counted only now.
    for name in [RowKey::Totals, RowKey::Counted(of.clone())] {
        stale.learn(name.clone(), kept.rows.get(&name).cloned());
    }
    recount(&mut stale, &of, day("2026-11-21")).unwrap();
    assert_eq!(stale.changes().count(), 0);
}

#[test]
fn a_row_that_is_gone_is_taken_out_and_a_draft_is_not_counted() {
    let mut kept = Kept::default();
    let of = Countable::Invoice(ids(1).make());
    kept.count(&of, "2026-11-21");
    kept.invoice(Invoice { state: InvoiceState::Draft, ..invoice(1, money(5, "EUR"), None) }, "2026-11-21");
    assert_eq!(kept.rows.len(), 1);
    kept.invoice(invoice(1, money(5, "EUR"), None), "2026-11-21");
    assert_eq!(kept.shown("2026-11-21"), [row("EUR", 5, 0, 0, 0)]);
    kept.rows.remove(&of.row());
    kept.count(&of, "2026-11-21");
    assert_eq!(kept.shown("2026-11-21"), []);
    assert!(!kept.rows.contains_key(&RowKey::Counted(of.clone())), "nothing is left of it");
    // What the stream tells of it later, it tells of a row that is not there.
    let mut late = kept.book(&of);
    recount(&mut late, &of, day("2026-11-22")).unwrap();
    assert_eq!((late.changes().count(), late.removals().count()), (0, 0));

    // One of which nothing was open is gone as well.
    kept.invoice(paid(invoice(1, money(5, "EUR"), None), 5), "2026-11-21");
    kept.rows.remove(&of.row());
    kept.count(&of, "2026-11-21");
    assert_eq!(kept.rows.keys().collect::<Vec<_>>(), [&RowKey::Totals]);
}

#[test]
fn sums_that_cannot_be_made_change_nothing() {
    let mut kept = Kept::default();
    kept.invoice(invoice(1, money(i64::MAX, "EUR"), None), "2026-11-21");
    kept.put(invoice(2, money(1, "EUR"), None));
    let of = Countable::Invoice(ids(2).make());
    let mut book = kept.book(&of);
    assert_eq!(recount(&mut book, &of, day("2026-11-21")), Err(CountError::Money(MoneyError::Overflow)));
    assert_eq!(book.changes().count(), 0);
}

#[test]
fn the_row_stays_small_whatever_is_due_when() {
    let mut totals = Totals::default();
    totals.move_on(day("2026-11-21")).unwrap();
    let currencies: Vec<Currency> = ["EUR", "USD", "JPY"].map(|code| code.parse().unwrap()).to_vec();
    let mut added = Vec::new();
    let mut due = day("2026-11-21");
    for n in 0..4_000_usize {
        due = due.tomorrow().unwrap();
        let share =
            Share::Open { money: Money::new(999_999_999_999_999, currencies[n % 3]), due_on: Some(due) };
        added.push(totals.replace(None, Some(share)).unwrap());
    }
    let days: usize = totals.currencies.values().map(|sums| sums.due.len()).sum();
    assert_eq!(days, MAX_DAYS);
    assert!(serde_json::to_string(&totals).unwrap().len() < 120_000);
    let open: i128 =
        totals.overview(day("2026-11-21")).unwrap().iter().map(|it| i128::from(it.open.amount)).sum();
    assert_eq!(open, 4_000 * 999_999_999_999_999);
    for share in added {
        let before = Counted { of: Countable::Invoice(ids(1).make()), version: 1, share, round: 0 };
        totals.replace(Some(&before), None).unwrap();
    }
    assert_eq!(totals.currencies.len(), 0);
}

#[test]
fn rows_that_are_counted_anew_are_shown_when_all_of_them_are() {
    let mut kept = Kept::default();
    for n in 1..4 {
        kept.invoice(invoice(n, money(100, "EUR"), None), "2026-11-21");
    }
    let of = |n: u8| Countable::Invoice(ids(n).make());
    // Sums that are not those of the rows.
    let mut broken = kept.totals();
    broken.currencies.values_mut().for_each(|sums| sums.later = 777);
    kept.put(Totals::begin(Some(broken), 5));
    kept.count(&of(1), "2026-11-21");
    assert_eq!(kept.shown("2026-11-21"), [row("EUR", 777, 0, 0, 0)]);
    // A change of a row that was counted anew, and of one that was not yet, are shown at once.
    kept.invoice(paid(invoice(1, money(100, "EUR"), None), 30), "2026-11-21");
    kept.invoice(paid(invoice(2, money(100, "EUR"), None), 40), "2026-11-21");
    assert_eq!(kept.shown("2026-11-21"), [row("EUR", 707, 0, 0, 0)]);
    // It was interrupted, and goes on.
    let begun = kept.totals();
    kept.put(Totals::begin(Some(begun.clone()), 6));
    assert_eq!(kept.totals(), begun);
    for n in 1..4 {
        kept.count(&of(n), "2026-11-21");
        kept.count(&of(n), "2026-11-21");
    }
    assert_eq!(kept.shown("2026-11-21"), [row("EUR", 707, 0, 0, 0)]);
    let done = kept.totals().finish();
    kept.put(done.clone());
    assert_eq!(kept.shown("2026-11-21"), [row("EUR", 230, 0, 0, 0)]);
    assert_eq!(done.clone().finish(), done);
    kept.invoice(paid(invoice(3, money(100, "EUR"), None), 100), "2026-11-21");
    assert_eq!(kept.shown("2026-11-21"), [row("EUR", 130, 0, 0, 0)]);
}

proptest! {
    /// Changes of a few rows, each counted or not, days passing in between: at last the sums are those of all rows.
    #[test]
    fn the_sums_are_those_of_all_rows(
        changes in prop::collection::vec((0..4_u8, 1..1_000_i64, 0..1_000_i64, -60..60_i32, any::<bool>(), any::<bool>()), 1..40),
        passing in 0..30_i32,
    ) {
        let (mut kept, start) = (Kept::default(), day("2026-11-21"));
        let (mut invoices, mut payments) = (BTreeMap::new(), BTreeMap::new());
        let mut today = start;
        for (n, (which, amount, back, offset, counted, euro)) in changes.iter().enumerate() {
            today = start.saturating_add((passing * i32::try_from(n).unwrap() / 40).days());
            let total = money(*amount, if *euro { "EUR" } else { "USD" });
            let when = start.saturating_add(offset.days()).to_string();
            let of = if *which % 2 == 0 {
                let changed = paid(invoice(*which, total, Some(&when)), *back.min(amount));
                invoices.insert(changed.id, changed.clone());
                kept.put(changed.clone());
                Countable::Invoice(changed.id)
            } else {
                let when = if *offset > 0 { start.to_string() } else { when };
                let changed = payment(&format!("pi_{which}"), total, &when, *back.min(amount));
                payments.insert(changed.reference.clone(), changed.clone());
                kept.put(changed.clone());
                Countable::Payment(changed.reference)
            };
            if *counted {
                kept.count(&of, &today.to_string());
            }
        }
        for _ in 0..2 {
            let all = invoices.keys().map(|id| Countable::Invoice(*id));
            let all: Vec<_> = all.chain(payments.keys().cloned().map(Countable::Payment)).collect();
            for of in all {
                kept.count(&of, &today.to_string());
            }
        }
        let shown = kept.totals().overview(today).unwrap();
        for currency in ["EUR", "USD"].map(|code| code.parse::<Currency>().unwrap()) {
            let own = |it: &&Invoice| it.total.currency == currency;
            let open: i64 = invoices.values().filter(own).map(|it| it.balance().amount).sum();
            let late = |it: &&Invoice| it.due_on.is_some_and(|due| due < today);
            let overdue: i64 = invoices.values().filter(own).filter(late).map(|it| it.balance().amount).sum();
            let overview = shown.iter().find(|it| it.currency == currency);
            let owed = overview.map(|it| (it.open.amount, it.overdue.amount)).unwrap_or_default();
            prop_assert_eq!(owed, (open, overdue));
            for back in 0..12_i32 {
                let month = today.first_of_month().saturating_sub(back.months());
                let of_month = |it: &&Payment| {
                    it.currency() == Some(currency) && it.received_on().map(Date::first_of_month) == Some(month)
                };
                let naive: i64 = payments.values().filter(of_month).map(Payment::net).sum();
                let received = overview.and_then(|it| it.months.iter().find(|(first, _)| *first == month));
                prop_assert_eq!(received.map_or(0, |(_, received)| received.amount), naive);
            }
        }
    }
}
