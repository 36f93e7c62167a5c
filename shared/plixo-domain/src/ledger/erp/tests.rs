use std::collections::BTreeMap;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::ledger::staff::{allocate, deallocate, void_invoice};
use crate::ledger::tests::{Rows, actor, eur, forgetful, ids};
use crate::ledger::{InvoiceReference, Line};
use crate::ledger::{
    InvoiceStatus, PayerHash, PayerHistory, PaymentNews, PaymentPart, PaymentPointer, PaymentSource, RowKey,
    Stage, Witness, tell_payment,
};
use crate::reference::reference_key;
use crate::webhook::Provider;

fn xero(id: &str) -> ExternalRef {
    ExternalRef { provider: Provider::Xero, id: id.parse().unwrap() }
}

fn stamp(at: i64) -> Stamp {
    Stamp { at, event: format!("{at}") }
}

fn document(number: &str, total: i64) -> InvoiceDocument {
    let line = Line {
        description: "Work".into(),
        quantity: Decimal::ONE,
        unit_price: eur(total),
        tax_percent: None,
    };
    InvoiceDocument {
        customer: xero("c1"),
        number: number.to_owned(),
        state: InvoiceState::Open,
        total: eur(total),
        body: InvoiceBody { lines: vec![line], memo: None },
        issued_on: None,
        due_on: None,
    }
}

fn says(id: &str, at: i64, document: Option<InvoiceDocument>) -> InvoiceNews {
    InvoiceNews { reference: xero(id), stamp: stamp(at), document, names: None }
}

fn pays(id: &str, at: i64, amount: i64, shares: &[(&str, i64)]) -> PaymentNews {
    let stage = if amount > 0 { Stage::Received } else { Stage::Canceled };
    let money = PaymentPart::Money { witness: Witness::Document, stage, amount, since: 1_000 };
    let shares = shares.iter().map(|(of, amount)| (xero(of), *amount)).collect();
    PaymentNews {
        reference: xero(id),
        stamp: stamp(at),
        currency: eur(0).currency,
        parts: vec![money, PaymentPart::Shares(shares)],
        customer: Some(xero("c1")),
    }
}

/// Does one piece of work as a worker does: reads what turns out to be needed, and commits what was changed.
fn act<T>(rows: &mut Rows, work: impl Fn(&mut Book) -> Result<T, Stopped>) -> Result<T, StaffError> {
    let mut book = Book::default();
    for _ in 0..10 {
        match work(&mut book) {
            Ok(done) => {
                for (key, row, version) in book.changes() {
                    assert_eq!(rows.0.get(key).map(|(_, v)| *v), version, "{key:?}");
                    rows.0.insert(key.clone(), (row.clone(), version.unwrap_or(0) + 1));
                }
                for (key, _) in book.removals() {
                    rows.0.remove(key);
                }
                return Ok(done);
            }
            Err(Stopped::Refused(error)) => return Err(error),
            Err(Stopped::Unread(keys)) => {
                for key in keys {
                    assert!(!book.knows(&key), "asked twice for {key:?}");
                    let stored = rows.0.get(&key).cloned();
                    book.learn(key, stored);
                }
            }
        }
    }
    panic!("never satisfied");
}

fn told(rows: &mut Rows, news: &InvoiceNews, seed: u8) -> Result<Told, StaffError> {
    act(rows, |book| tell_invoice(book, news, &actor(), &mut ids(seed)))
}

fn paid(rows: &mut Rows, news: &PaymentNews, seed: u8) -> Told {
    act(rows, |book| Ok(tell_payment(book, news, &actor(), &mut ids(seed))?)).unwrap()
}

fn invoice(rows: &Rows, id: &str) -> Option<Invoice> {
    let (link, _) = rows.0.get(&InvoiceRef::key(&xero(id)))?;
    let (row, _) = rows.0.get(&Invoice::key(&InvoiceRef::of(link).unwrap().invoice))?;
    Invoice::of(row).cloned()
}

fn payment(rows: &Rows, id: &str) -> Payment {
    Payment::of(&rows.0[&Payment::key(&xero(id))].0).unwrap().clone()
}

fn unapplied(rows: &Rows, id: &str) -> i64 {
    payment(rows, id).unapplied().unwrap().amount
}

#[test]
fn an_invoice_comes_with_a_customer_whom_nobody_has_told_of_yet() {
    let mut rows = Rows::default();
    told(&mut rows, &says("i1", 1, Some(document("RE-1", 500))), 1).unwrap();
    let made = invoice(&rows, "i1").unwrap();
    assert_eq!(
        (made.number.as_str(), made.status(), made.balance()),
        ("RE-1", InvoiceStatus::Open, eur(500))
    );
    assert_eq!(made.reference, Some(xero("i1")));
    let (link, _) = &rows.0[&CustomerRef::key(&xero("c1"))];
    assert_eq!(CustomerRef::of(link).unwrap().customer, made.customer_id);
    let (customer, _) = &rows.0[&Customer::key(&made.customer_id)];
    assert_eq!(Customer::of(customer).unwrap().links, BTreeMap::from([(xero("c1"), Link::Live)]));
    told(&mut rows, &says("i2", 1, Some(document("RE-2", 100))), 2).unwrap();
    assert_eq!(invoice(&rows, "i2").unwrap().customer_id, made.customer_id);
}

#[test]
fn the_latest_document_counts_and_older_news_changes_nothing() {
    let mut rows = Rows::default();
    told(&mut rows, &says("i1", 5, Some(document("RE-1", 500))), 1).unwrap();
    let before = rows.clone();
    for at in [4, 5] {
        let late = says("i1", at, Some(document("RE-9", 900)));
        assert_eq!(told(&mut rows, &late, 2), Ok(Told::Known));
        assert_eq!(told(&mut rows, &says("i1", at, None), 2), Ok(Told::Known));
    }
    assert_eq!(rows.0, before.0);
    let newer = InvoiceDocument { state: InvoiceState::Draft, ..document("RE-2", 700) };
    let fields = told(&mut rows, &says("i1", 6, Some(newer)), 3);
    assert_eq!(fields, Ok(Told::Learned(vec!["number", "lines", "status"])));
    let number = |of: &str| rows.0.contains_key(&InvoiceNumber::key(&of.to_owned()));
    assert!(!number("RE-1") && number("RE-2"), "a number that it gave up is free");
    assert_eq!(invoice(&rows, "i1").unwrap().status(), InvoiceStatus::Draft);
}

#[test]
fn a_payment_before_its_invoices_waits_for_them() {
    let mut rows = Rows::default();
    paid(&mut rows, &pays("p1", 1, 700, &[("i1", 500), ("i2", 200)]), 1);
    assert_eq!((payment(&rows, "p1").source(), unapplied(&rows, "p1")), (PaymentSource::Erp, 700));
    told(&mut rows, &says("i1", 1, Some(document("RE-1", 500))), 2).unwrap();
    assert_eq!((invoice(&rows, "i1").unwrap().status(), unapplied(&rows, "p1")), (InvoiceStatus::Paid, 200));
    told(&mut rows, &says("i2", 1, Some(document("RE-2", 300))), 3).unwrap();
    let open = invoice(&rows, "i2").unwrap();
    assert_eq!(
        (open.status(), open.balance(), unapplied(&rows, "p1")),
        (InvoiceStatus::PartiallyPaid, eur(100), 0)
    );
}

#[test]
fn a_payment_that_was_deleted_or_moved_gives_back_what_it_paid() {
    let mut rows = Rows::default();
    for (n, id) in [(1, "i1"), (2, "i2")] {
        told(&mut rows, &says(id, 1, Some(document(&format!("RE-{n}"), 500))), n).unwrap();
    }
    paid(&mut rows, &pays("p1", 1, 500, &[("i1", 500)]), 3);
    assert_eq!(invoice(&rows, "i1").unwrap().status(), InvoiceStatus::Paid);
    paid(&mut rows, &pays("p1", 2, 500, &[("i2", 400)]), 4);
    let states = |rows: &Rows| ["i1", "i2"].map(|id| invoice(rows, id).unwrap().balance().amount);
    assert_eq!((states(&rows), unapplied(&rows, "p1")), ([500, 100], 100));
    paid(&mut rows, &pays("p1", 3, 0, &[]), 5);
    assert_eq!((states(&rows), unapplied(&rows, "p1")), ([500, 500], 0));
    paid(&mut rows, &pays("p1", 2, 500, &[("i1", 500)]), 6);
    assert_eq!(states(&rows), [500, 500], "older news");
}

#[test]
fn a_payment_knows_whose_its_invoices_are_whatever_came_of_it() {
    let mut rows = Rows::default();
    told(&mut rows, &says("i1", 1, Some(document("RE-1", 100))), 1).unwrap();
    paid(&mut rows, &pays("p1", 1, 100, &[("i1", 100)]), 2);
    paid(&mut rows, &pays("p2", 1, 0, &[("i1", 50)]), 3);
    let owed = invoice(&rows, "i1").unwrap();
    for payment in ["p1", "p2"].map(|id| payment(&rows, id)) {
        assert_eq!(payment.owners, [(owed.id, owed.customer_id)].into());
    }
}

#[test]
fn an_invoice_that_was_an_erased_customers_is_not_erased_of_the_one_whose_it_is() {
    let mut rows = Rows::default();
    told(&mut rows, &says("i1", 1, Some(document("RE-1", 100))), 1).unwrap();
    paid(&mut rows, &pays("p1", 1, 100, &[("i1", 100)]), 2);
    let owed = invoice(&rows, "i1").unwrap();
    let erased = Invoice { erased: true, ..owed.clone() };
    rows.0.insert(Invoice::key(&owed.id), (erased.into_row(), 9));
    told(&mut rows, &says("i1", 2, Some(document("RE-1", 120))), 3).unwrap();
    assert!(invoice(&rows, "i1").unwrap().erased);
    let corrected = InvoiceDocument { customer: xero("c2"), ..document("RE-1", 90) };
    told(&mut rows, &says("i1", 3, Some(corrected)), 4).unwrap();
    let now = invoice(&rows, "i1").unwrap();
    assert!(now.customer_id != owed.customer_id && !now.erased && !payment(&rows, "p1").erased);
}

#[test]
fn a_withdrawn_invoice_gives_its_money_back_and_what_people_chose_ends() {
    let mut rows = Rows::default();
    told(&mut rows, &says("i1", 1, Some(document("RE-1", 500))), 1).unwrap();
    paid(&mut rows, &pays("p1", 1, 300, &[("i1", 100)]), 2);
    let (id, of) = (payment(&rows, "p1").id, invoice(&rows, "i1").unwrap().id);
    assert!(
        rows.0.contains_key(&RowKey::PaymentPointer(id))
            && PaymentPointer::key(&id) == RowKey::PaymentPointer(id)
    );
    let person = Actor { kind: crate::audit::ActorKind::Member, id: "mem".into(), role: None };
    act(&mut rows, |book| allocate(book, &id, &[(of, eur(150))], &person, &mut ids(3))).unwrap();
    assert_eq!((invoice(&rows, "i1").unwrap().balance(), unapplied(&rows, "p1")), (eur(250), 50));
    told(&mut rows, &says("i1", 2, None), 4).unwrap();
    assert_eq!((invoice(&rows, "i1").unwrap().status(), unapplied(&rows, "p1")), (InvoiceStatus::Void, 300));
    assert_eq!((payment(&rows, "p1").choices.len(), payment(&rows, "p1").free()), (0, 300));
    assert_eq!(told(&mut rows, &says("i1", 2, None), 5), Ok(Told::Known));
}

#[test]
fn a_void_before_the_invoice_keeps_what_is_older_away() {
    let mut rows = Rows::default();
    told(&mut rows, &says("i1", 9, None), 1).unwrap();
    assert_eq!(told(&mut rows, &says("i1", 3, Some(document("RE-1", 500))), 2), Ok(Told::Known));
    assert_eq!(invoice(&rows, "i1"), None);
    told(&mut rows, &says("i1", 10, Some(document("RE-1", 500))), 3).unwrap();
    assert_eq!(invoice(&rows, "i1").unwrap().status(), InvoiceStatus::Open, "the ERP took it back");
}

#[test]
fn what_people_withdrew_stays_withdrawn() {
    let mut rows = Rows::default();
    told(&mut rows, &says("i1", 1, Some(document("RE-1", 500))), 1).unwrap();
    let id = invoice(&rows, "i1").unwrap().id;
    act(&mut rows, |book| void_invoice(book, &id, Timestamp::UNIX_EPOCH)).unwrap();
    told(&mut rows, &says("i1", 2, Some(document("RE-1", 600))), 2).unwrap();
    assert_eq!(invoice(&rows, "i1").unwrap().status(), InvoiceStatus::Void);
}

#[test]
fn a_number_is_of_one_invoice_unless_the_other_is_withdrawn() {
    let mut rows = Rows::default();
    told(&mut rows, &says("i1", 1, Some(document("RE-1", 500))), 1).unwrap();
    let before = rows.clone();
    let other = says("i2", 1, Some(document("RE-1", 500)));
    assert_eq!(told(&mut rows, &other, 2), Err(StaffError::NumberTaken));
    assert_eq!(rows.0, before.0);
    told(&mut rows, &says("i1", 2, None), 3).unwrap();
    assert!(told(&mut rows, &other, 4).is_ok());
    let odd = InvoiceDocument { number: "RE#1".into(), ..document("RE-1", 500) };
    assert!(matches!(told(&mut rows, &says("i3", 1, Some(odd)), 5), Err(StaffError::Invalid(_))));
    let short = InvoiceDocument { total: eur(501), ..document("RE-5", 500) };
    assert!(matches!(told(&mut rows, &says("i5", 1, Some(short)), 7), Err(StaffError::Invalid(_))));
    let negative = InvoiceDocument { total: eur(-1), ..document("RE-4", 500) };
    assert!(matches!(told(&mut rows, &says("i4", 1, Some(negative)), 6), Err(StaffError::Invalid(_))));
}

#[test]
fn an_invoice_is_found_by_what_people_make_of_its_number() {
    let mut rows = Rows::default();
    let found = |rows: &Rows, number: &str| {
        let row = rows.0.get(&InvoiceReference::key(&reference_key(number)));
        row.map_or(0, |(row, _)| InvoiceReference::of(row).unwrap().invoices.len())
    };
    told(&mut rows, &says("i1", 1, Some(document("RE-0042", 500))), 1).unwrap();
    told(&mut rows, &says("i2", 1, Some(document("re 42", 500))), 2).unwrap();
    assert_eq!((found(&rows, "Re.42"), found(&rows, "RE-420")), (2, 0));
    told(&mut rows, &says("i2", 2, Some(document("RE-43", 500))), 3).unwrap();
    assert_eq!((found(&rows, "RE42"), found(&rows, "RE43")), (1, 1));
    told(&mut rows, &says("i1", 2, Some(document("RE-44", 500))), 4).unwrap();
    assert_eq!((found(&rows, "RE42"), found(&rows, "RE44")), (0, 1));
    told(&mut rows, &says("i1", 3, Some(document("RE 44", 500))), 5).unwrap();
    assert_eq!(found(&rows, "RE44"), 1, "the same key");
}

#[test]
fn what_a_payer_paid_before_is_remembered_and_taken_back_exactly() {
    let mut rows = Rows::default();
    for (n, id) in [(1, "i1"), (2, "i2")] {
        told(&mut rows, &says(id, 1, Some(document(&format!("RE-{n}"), 500))), n).unwrap();
    }
    paid(&mut rows, &pays("p1", 1, 300, &[]), 3);
    let hash = PayerHash("5a".to_owned());
    let (row, version) = rows.0.remove(&Payment::key(&xero("p1"))).unwrap();
    let known = Payment { payer_hash: Some(hash.clone()), ..Payment::of(&row).unwrap().clone() };
    rows.0.insert(Payment::key(&xero("p1")), (known.clone().into_row(), version));
    let of = ["i1", "i2"].map(|id| invoice(&rows, id).unwrap());
    let person = Actor { kind: crate::audit::ActorKind::Member, id: "mem".into(), role: None };
    let history = |rows: &Rows| {
        let (row, _) = rows.0.get(&PayerHistory::key(&hash))?;
        PayerHistory::of(row).map(|it| it.customers.values().copied().collect::<Vec<_>>())
    };
    let state =
        |rows: &Rows| rows.0.iter().map(|(key, (row, _))| (key.clone(), forgetful(row))).collect::<Vec<_>>();
    let start = state(&rows);
    let first =
        act(&mut rows, |book| allocate(book, &known.id, &[(of[0].id, eur(100))], &person, &mut ids(4)))
            .unwrap();
    let between = state(&rows);
    let both = [(of[0].id, eur(50)), (of[1].id, eur(50))];
    let second = act(&mut rows, |book| allocate(book, &known.id, &both, &person, &mut ids(5))).unwrap();
    assert_eq!(history(&rows), Some(vec![1]), "payments count, not their parts");
    for id in second.id.iter().rev() {
        act(&mut rows, |book| deallocate(book, &known.id, id, &person, &mut ids(6))).unwrap();
    }
    assert_eq!((state(&rows), history(&rows)), (between, Some(vec![1])));
    act(&mut rows, |book| deallocate(book, &known.id, &first.id[0], &person, &mut ids(7))).unwrap();
    assert_eq!((state(&rows), history(&rows)), (start, None));
}

/// An ERP's documents, each with a version: an invoice with its total (none: withdrawn), or a payment with its shares.
#[derive(Debug, Clone)]
enum Said {
    Invoice(u8, Option<i64>),
    Payment(u8, i64, Vec<(u8, i64)>),
}

fn said() -> impl Strategy<Value = Said> {
    let shares = proptest::collection::vec((0..3_u8, 1..100_i64), 0..3);
    prop_oneof![
        (0..3_u8, proptest::option::weighted(0.8, 1..200_i64)).prop_map(|(n, total)| Said::Invoice(n, total)),
        (0..3_u8, 0..200_i64, shares).prop_map(|(n, amount, shares)| Said::Payment(n, amount, shares)),
    ]
}

fn tell_all(history: &[Said], order: &[usize]) -> Rows {
    let mut rows = Rows::default();
    for (n, index) in order.iter().enumerate() {
        let (at, seed) = (i64::try_from(*index).unwrap(), u8::try_from(n).unwrap());
        match &history[*index] {
            Said::Invoice(id, total) => {
                let document = total.map(|total| document(&format!("RE-{id}"), total));
                told(&mut rows, &says(&format!("i{id}"), at, document), seed).unwrap();
            }
            Said::Payment(id, amount, shares) => {
                let names: Vec<_> = shares.iter().map(|(of, amount)| (format!("i{of}"), *amount)).collect();
                let shares: Vec<_> = names.iter().map(|(of, amount)| (of.as_str(), *amount)).collect();
                paid(&mut rows, &pays(&format!("p{id}"), at, *amount, &shares), seed);
            }
        }
        rows.assert_balanced();
    }
    rows
}

/// All that people see of it: what follows from who came first is left out.
fn shown(rows: &Rows) -> (Vec<String>, Vec<String>) {
    let ids = ["0", "1", "2"];
    let invoices = ids.map(|n| invoice(rows, &format!("i{n}")).map(|it| (it.status(), it.balance())));
    let payments = ids.map(|n| {
        let (row, _) = rows.0.get(&Payment::key(&xero(&format!("p{n}"))))?;
        let it = Payment::of(row)?;
        Some((it.status(), it.unapplied(), it.allocated()))
    });
    // A withdrawn invoice that was never heard of while it was owed is none.
    let gone = |it: &Option<(InvoiceStatus, Money)>| it.filter(|(status, _)| *status != InvoiceStatus::Void);
    (
        invoices.iter().map(|it| format!("{:?}", gone(it))).collect(),
        payments.iter().map(|it| format!("{it:?}")).collect(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any order and any duplication of the same documents end in the same ledger, and the books balance at every step.
    #[test]
    fn the_ledger_is_what_the_erp_says_not_how(
        (history, order) in (1..10_usize).prop_flat_map(|count| {
            let all = proptest::collection::vec(said(), count);
            let again = proptest::collection::vec(0..count, 0..=count);
            let order = again.prop_map(move |again| (0..count).chain(again).collect::<Vec<_>>()).prop_shuffle();
            (all, order)
        })
    ) {
        let straight: Vec<_> = (0..history.len()).collect();
        prop_assert_eq!(shown(&tell_all(&history, &straight)), shown(&tell_all(&history, &order)));
    }
}

#[test]
fn an_invoice_of_our_own_stays_as_it_is_and_is_paid_under_the_erps_name_too() {
    let after = |orders: [usize; 3]| {
        let ours = crate::ledger::tests::invoice(1, 500);
        let (own, number) = (ours.id, ours.number.clone());
        let mut rows = Rows::with(&[ours]);
        let named = InvoiceNews { names: Some(own), ..says("i9", 1, Some(document(&number, 700))) };
        for order in orders {
            match order {
                0 => drop(told(&mut rows, &named, 1).unwrap()),
                1 => drop(paid(&mut rows, &pays("p1", 1, 200, &[("i9", 200)]), 2)),
                _ => drop(told(&mut rows, &says("i9", 2, Some(document("RE-9", 900))), 3)),
            }
        }
        let it = Invoice::of(&rows.0[&Invoice::key(&own)].0).unwrap().clone();
        assert_eq!((it.number.as_str(), it.total, it.balance()), (number.as_str(), eur(500), eur(300)));
        assert_eq!(unapplied(&rows, "p1"), 0);
        assert_eq!(payment(&rows, "p1").shares, [(own, 200)]);
        told(&mut rows, &says("i9", 3, None), 4).unwrap();
        let it = Invoice::of(&rows.0[&Invoice::key(&own)].0).unwrap().clone();
        assert_eq!(it.state, InvoiceState::Open, "what is ours is not the ERP's to withdraw");
    };
    after([0, 1, 2]);
    after([1, 0, 2]);
    after([0, 2, 1]);
}

#[test]
fn a_payment_that_is_withdrawn_keeps_its_amount_and_gives_its_shares_back() {
    let mut rows = Rows::default();
    told(&mut rows, &says("i1", 1, Some(document("RE-1", 500))), 1).unwrap();
    paid(&mut rows, &pays("p1", 1, 200, &[("i1", 200)]), 2);
    let unknown = "XXX".parse().unwrap();
    let withdrawn =
        |at| PaymentNews { currency: unknown, parts: vec![PaymentPart::Withdrawn], ..pays("p1", at, 1, &[]) };
    paid(&mut rows, &withdrawn(2), 3);
    let it = payment(&rows, "p1");
    assert_eq!((it.amount(), it.received(), it.allocated()), (Some(eur(200)), 0, 0));
    assert_eq!(invoice(&rows, "i1").unwrap().balance(), eur(500));
    let mut rows = Rows::default();
    paid(&mut rows, &withdrawn(2), 1);
    assert_eq!(paid(&mut rows, &pays("p1", 1, 200, &[("i1", 200)]), 2), Told::Known, "older news");
    paid(&mut rows, &pays("p1", 3, 200, &[]), 3);
    assert_eq!((payment(&rows, "p1").amount(), unapplied(&rows, "p1")), (Some(eur(200)), 200));
}
