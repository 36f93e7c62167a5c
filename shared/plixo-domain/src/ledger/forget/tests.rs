use jiff::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;

use super::*;
use crate::ledger::staff::{
    InvoicePatch, NewPayment, Patch, RecordedSource, StaffError, Stopped, allocate, deallocate,
    record_payment, update_customer, update_invoice,
};
use crate::ledger::tests::{Rows, actor, eur, ids, invoice, stripe};
use crate::ledger::{
    Checkout, CustomerNews, ERASED, InvoiceDocument, InvoiceNews, InvoiceState, Line, Link, Payer,
    PaymentNews, PaymentPart, Stage, Stamp, Told, Witness, end_checkout, tell_customer, tell_invoice,
};
use crate::privacy::Authority;

fn erased() -> Erased {
    Erased { at: Timestamp::UNIX_EPOCH, authority: Authority::Retention, finished: false }
}

fn stamp(at: i64) -> Stamp {
    Stamp { at, event: format!("e{at}") }
}

fn personal() -> Personal {
    Personal { name: Some("Canary".into()), email: Some("canary@example.com".into()), ..Personal::default() }
}

fn told(at: i64) -> CustomerNews {
    CustomerNews { reference: stripe("cus_1"), stamp: stamp(at), personal: Some(personal()), names: None }
}

fn charge(at: i64, intent: &str, names: Option<InvoiceId>) -> PaymentNews {
    let money =
        PaymentPart::Money { witness: Witness::Charge, stage: Stage::Received, amount: 500, since: at };
    let payer = PaymentPart::Payer(Payer { name: Some("Canary".into()), ..Payer::default() });
    let names = names.map(|invoice| PaymentPart::Names { witness: Witness::Charge, invoice });
    PaymentNews {
        reference: stripe(intent),
        stamp: stamp(at),
        currency: eur(0).currency,
        parts: [money, payer].into_iter().chain(names).collect(),
        customer: Some(stripe("cus_1")),
    }
}

fn tell(rows: &mut Rows, news: &CustomerNews) -> Told {
    rows.work(news, |book, news| tell_customer(book, news, &mut ids(9)))
}

/// A customer whom Stripe told of, with an invoice and a payment for it.
fn world() -> (Rows, CustomerId, InvoiceId) {
    let mut rows = Rows::default();
    tell(&mut rows, &told(1));
    let id = customer(&rows).id;
    let owed = Invoice { customer_id: id, ..invoice(1, 500) };
    rows.0.insert(Invoice::key(&owed.id), (owed.clone().into_row(), 1));
    rows.pay(&charge(2, "pi_1", Some(owed.id)), 3);
    (rows, id, owed.id)
}

fn customer(rows: &Rows) -> Customer {
    rows.0.values().find_map(|(row, _)| Customer::of(row)).unwrap().clone()
}

fn erase(rows: &mut Rows, id: CustomerId, invoice: InvoiceId) {
    assert!(rows.work(&(), |book, ()| erase_customer(book, &id, erased())));
    assert!(rows.work(&(), |book, ()| erase_invoice(book, &invoice, InvoiceBody::default())));
    assert!(rows.work(&(), |book, ()| erase_payer(book, &stripe("pi_1"), &id)));
}

#[test]
fn what_is_left_is_a_tombstone() {
    let (mut rows, id, invoice) = world();
    assert!(matches!(rows.payment("pi_1").payer, Some((_, Private::Plain(_)))));
    erase(&mut rows, id, invoice);
    let left = customer(&rows);
    assert_eq!((left.key, left.told, left.email_hashes), (None, None, [None, None]));
    assert!(left.personal == Private::Plain(Personal::default()) && left.erased == Some(erased()));
    assert_eq!(left.links.get(&stripe("cus_1")), Some(&Link::Live));
    let payment = rows.payment("pi_1");
    assert!(payment.payer.is_none() && payment.payer_hash.is_none() && payment.erased);
    // What was owed and paid is as it was.
    assert_eq!((payment.allocated(), rows.invoice(&invoice).balance().amount), (500, 0));
    // Once is enough.
    let before = rows.clone().0;
    assert!(!rows.work(&(), |book, ()| erase_customer(book, &id, erased())));
    assert!(!rows.work(&(), |book, ()| erase_invoice(book, &invoice, InvoiceBody::default())));
    assert!(!rows.work(&(), |book, ()| erase_payer(book, &stripe("pi_1"), &id)));
    assert_eq!(rows.0, before);
}

#[test]
fn what_is_told_late_revives_nothing() {
    let (mut rows, id, invoice) = world();
    erase(&mut rows, id, invoice);
    assert_eq!(tell(&mut rows, &told(10)), Told::Known);
    assert!(matches!(tell(&mut rows, &CustomerNews { personal: None, ..told(11) }), Told::Learned(_)));
    assert!(customer(&rows).erased.is_some() && customer(&rows).told.is_none());

    // The same money, other money of the same customer, and other money for its invoice.
    rows.pay(&charge(12, "pi_1", Some(invoice)), 4);
    rows.pay(&charge(13, "pi_2", None), 5);
    rows.pay(&PaymentNews { customer: None, ..charge(14, "pi_3", Some(invoice)) }, 6);
    for payment in ["pi_1", "pi_2", "pi_3"].map(|it| rows.payment(it)) {
        assert!(payment.payer.is_none() && payment.erased, "{}", payment.reference.id);
        assert_eq!(payment.received(), 500);
    }
    // A stranger's is none of it.
    rows.pay(&PaymentNews { customer: Some(stripe("cus_2")), ..charge(15, "pi_4", None) }, 7);
    assert!(rows.payment("pi_4").payer.is_some());
}

#[test]
fn an_erp_that_goes_on_telling_of_it_tells_no_words() {
    let (mut rows, id, invoice) = world();
    erase(&mut rows, id, invoice);
    let line = Line {
        description: "Therapy of Canary".into(),
        quantity: Decimal::ONE,
        unit_price: eur(70),
        tax_percent: Some(Decimal::TEN),
    };
    let document = InvoiceDocument {
        customer: stripe("cus_1"),
        number: "INV-9".into(),
        state: InvoiceState::Open,
        total: eur(77),
        body: InvoiceBody { lines: vec![line], memo: Some("Dear Canary".into()) },
        issued_on: None,
        due_on: None,
    };
    let news =
        InvoiceNews { reference: stripe("in_9"), stamp: stamp(20), document: Some(document), names: None };
    rows.work(&news, |book, news| as_read(tell_invoice(book, news, &actor(), &mut ids(8))));
    let new = rows.invoices().find(|it| it.number == "INV-9").unwrap();
    let Private::Plain(body) = &new.body else { panic!("sealed") };
    assert!(new.erased && new.customer_id == id);
    assert_eq!((body.lines[0].description.as_str(), &body.memo, body.total()), (ERASED, &None, Ok(eur(77))));
}

#[test]
fn who_pays_for_an_erased_customer_is_not_noted_whoever_applies_it() {
    let (mut rows, id, invoice) = world();
    erase(&mut rows, id, invoice);
    // It is owed still: what was paid for it went back.
    rows.pay(
        &PaymentNews { parts: vec![PaymentPart::RefundedTotal { amount: 500 }], ..charge(10, "pi_1", None) },
        3,
    );
    assert_eq!(rows.invoice(&invoice).balance().amount, 500);
    // Somebody else's money, of a payer who paid for others before, and for this customer.
    rows.pay(&PaymentNews { customer: None, ..charge(11, "pi_2", None) }, 4);
    let (payer, other) = (PayerHash("5f".into()), ids(90).make::<crate::id::Customer>());
    let history =
        PayerHistory { payer: payer.clone(), customers: [(id, 1), (other, 2)].into_iter().collect() };
    rows.0.insert(PayerHistory::key(&payer), (history.into_row(), 1));
    let stored = Payment { payer_hash: Some(payer.clone()), ..rows.payment("pi_2").clone() };
    let pay = stored.id;
    rows.0.insert(Payment::key(&stripe("pi_2")), (stored.into_row(), 2));

    let made = rows
        .work(&(), |book, ()| as_read(allocate(book, &pay, &[(invoice, eur(500))], &actor(), &mut ids(5))));
    assert_eq!(made.fields, ["allocations", "payer_name"]);
    let payment = rows.payment("pi_2");
    assert!(payment.erased && payment.payer.is_none() && payment.payer_hash.is_none());
    assert!(payment.choices.iter().all(|choice| choice.noted.is_none()));
    assert_eq!((payment.allocated(), rows.invoice(&invoice).balance().amount), (500, 0));
    let history = PayerHistory::of(&rows.0[&PayerHistory::key(&payer)].0).unwrap();
    assert_eq!(history.customers.keys().collect::<Vec<_>>(), [&other], "for others it paid as before");
}

#[test]
fn that_somebody_else_paid_for_this_customer_goes_and_who_paid_stays() {
    let (mut rows, id, _) = world();
    let (payer, other) = (PayerHash("5f".into()), ids(90).make::<crate::id::Customer>());
    let history = PayerHistory { payer: payer.clone(), customers: [(id, 1), (other, 2)].into() };
    rows.0.insert(PayerHistory::key(&payer), (history.into_row(), 1));
    let stored = Payment { payer_hash: Some(payer.clone()), ..rows.payment("pi_1").clone() };
    rows.0.insert(Payment::key(&stripe("pi_1")), (stored.into_row(), 2));
    let erase = |rows: &mut Rows| rows.work(&(), |book, ()| erase_payer_history(book, &stripe("pi_1"), &id));
    assert!(erase(&mut rows));
    let payment = rows.payment("pi_1");
    assert!(payment.payer.is_some() && payment.payer_hash.is_some() && !payment.erased);
    let history = PayerHistory::of(&rows.0[&PayerHistory::key(&payer)].0).unwrap();
    assert_eq!(history.customers.keys().collect::<Vec<_>>(), [&other]);
    assert!(!erase(&mut rows), "once");
}

#[test]
fn what_is_left_of_who_paid_stands_in_the_place_of_what_was_seen_and_of_nothing_else() {
    let (mut rows, _, _) = world();
    let seen = rows.payment("pi_1").clone();
    let left = Payer { remittance: Some("left".into()), ..Payer::default() };
    let reword = |rows: &mut Rows| rows.work(&(), |book, ()| reword_payer(book, &seen, left.clone()));
    let mut changed = rows.clone();
    changed.pay(&charge(9, "pi_1", None), 4);
    assert!(!reword(&mut changed) && reword(&mut rows));
    assert_eq!(rows.payment("pi_1").payer.as_ref().unwrap().1, Private::Plain(left));
}

#[test]
fn a_payment_knows_whose_invoices_it_was_for() {
    let (mut rows, id, first) = world();
    assert_eq!(rows.payment("pi_1").owners, [(first, id)].into());
    // Also where it was never applied.
    let failed = PaymentPart::Money { witness: Witness::Intent, stage: Stage::Failed, amount: 500, since: 3 };
    let names = PaymentPart::Names { witness: Witness::Intent, invoice: first };
    rows.pay(&PaymentNews { parts: vec![failed, names], ..charge(3, "pi_2", None) }, 4);
    assert_eq!(rows.payment("pi_2").owners, [(first, id)].into());
    // Whichever witness names it, and whoever named another one before.
    let witness = Witness::Session;
    let other = Invoice { customer_id: ids(91).make(), ..invoice(3, 500) };
    rows.0.insert(Invoice::key(&other.id), (other.clone().into_row(), 1));
    rows.pay(&charge(5, "pi_4", Some(other.id)), 15);
    let parts = vec![PaymentPart::Names { witness, invoice: first }];
    rows.pay(&PaymentNews { parts, ..charge(6, "pi_4", None) }, 16);
    assert_eq!(rows.payment("pi_4").owners, [(first, id), (other.id, other.customer_id)].into());
    // What a person takes back was a mistake.
    rows.pay(&charge(4, "pi_3", None), 5);
    assert!(rows.payment("pi_3").owners.is_empty());
    let other = Invoice { customer_id: id, ..invoice(2, 500) };
    rows.0.insert(Invoice::key(&other.id), (other.clone().into_row(), 1));
    let payment = rows.payment("pi_3").id;
    let made = rows.work(&(), |book, ()| {
        as_read(allocate(book, &payment, &[(other.id, eur(100))], &actor(), &mut ids(6)))
    });
    assert_eq!(rows.payment("pi_3").owners, [(other.id, id)].into());
    rows.work(&(), |book, ()| as_read(deallocate(book, &payment, &made.id[0], &actor(), &mut ids(7))));
    assert!(rows.payment("pi_3").owners.is_empty());
}

fn as_read<T>(done: Result<T, Stopped>) -> Result<T, Unread> {
    match done {
        Ok(done) => Ok(done),
        Err(Stopped::Unread(names)) => Err(Unread(names)),
        Err(Stopped::Refused(error)) => panic!("{error}"),
    }
}

#[test]
fn what_an_erp_applies_to_an_erased_customers_invoice_says_not_who_paid() {
    let (mut rows, id, owed) = world();
    let name = |id: &str| ExternalRef { provider: crate::webhook::Provider::Xero, id: id.parse().unwrap() };
    let link = InvoiceRef { told: Some(stamp(1)), ..InvoiceRef::new(name("i1"), owed) };
    rows.0.insert(InvoiceRef::key(&link.reference), (link.into_row(), 1));
    let paid = |at: i64, shares: &[&str]| {
        let money =
            PaymentPart::Money { witness: Witness::Document, stage: Stage::Received, amount: 90, since: at };
        let payer = PaymentPart::Payer(Payer { name: Some("Canary".into()), ..Payer::default() });
        let shares = PaymentPart::Shares(shares.iter().map(|of| (name(of), 90)).collect());
        let parts = vec![money, payer, shares];
        PaymentNews {
            reference: name("p1"),
            stamp: stamp(at),
            currency: eur(0).currency,
            parts,
            customer: None,
        }
    };
    rows.pay(&paid(3, &[]), 4);
    let payment = |rows: &Rows| Payment::of(&rows.0[&Payment::key(&name("p1"))].0).unwrap().clone();
    assert!(payment(&rows).payer.is_some() && !payment(&rows).erased);
    erase(&mut rows, id, owed);
    rows.pay(&paid(4, &["i1"]), 5);
    assert!(payment(&rows).payer.is_none() && payment(&rows).erased);
    rows.pay(&paid(5, &["i1"]), 6);
    assert!(payment(&rows).payer.is_none());
}

#[test]
fn a_session_in_which_an_erased_invoice_may_be_paid_can_be_ended() {
    let (mut rows, id, owed) = world();
    let checkout = Checkout {
        attempt: 1,
        amount: eur(500),
        begun_at: Timestamp::UNIX_EPOCH,
        key: crate::webhook::Fingerprint([1; 32]),
        session: Some("cs_1".parse().unwrap()),
        over: false,
    };
    let paying = Invoice { checkout: Some(checkout), ..rows.invoice(&owed).clone() };
    rows.0.insert(Invoice::key(&owed), (paying.into_row(), 2));
    erase(&mut rows, id, owed);
    let erased = rows.invoice(&owed);
    assert!(erased.erased && erased.has_stale_checkout());
    assert!(rows.work(&(), |book, ()| end_checkout(book, &owed, 1)));
}

#[test]
fn a_draft_of_an_erased_customer_takes_no_new_words() {
    let (mut rows, id, _) = world();
    let draft = Invoice { customer_id: id, state: InvoiceState::Draft, ..invoice(7, 100) };
    rows.0.insert(Invoice::key(&draft.id), (draft.clone().into_row(), 1));
    let other = Customer::new(ids(91).make(), Personal::default());
    rows.0.insert(Customer::key(&other.id), (other.clone().into_row(), 1));
    let change = |rows: &mut Rows, patch: &InvoicePatch| {
        let body = InvoiceBody {
            lines: vec![Line {
                description: "Work".into(),
                quantity: Decimal::ONE,
                unit_price: eur(100),
                tax_percent: None,
            }],
            memo: None,
        };
        rows.work(patch, |book, patch| match update_invoice(book, &draft.id, &body, patch.clone()) {
            Err(Stopped::Unread(names)) => Err(Unread(names)),
            done => Ok(done.map(|changed| changed.fields)),
        })
    };
    let refused = Err(StaffError::CustomerErased.into());
    let moved = InvoicePatch { customer_id: Patch::Set(other.id), ..Default::default() };
    let worded = InvoicePatch { memo: Patch::Set("Dear Canary".into()), ..Default::default() };
    // The customer first, and its drafts after it.
    assert!(rows.work(&(), |book, ()| erase_customer(book, &id, erased())));
    assert_eq!(change(&mut rows, &moved), refused);
    assert!(rows.work(&(), |book, ()| erase_invoice(book, &draft.id, InvoiceBody::default())));
    assert_eq!(change(&mut rows, &moved), refused);
    assert_eq!(change(&mut rows, &worded), refused);
}

#[test]
fn people_are_told_that_it_is_gone() {
    let (mut rows, id, invoice) = world();
    erase(&mut rows, id, invoice);
    let mut book = Book::default();
    book.learn(Customer::key(&id), rows.0.get(&Customer::key(&id)).cloned());
    let changed =
        update_customer(&mut book, &id, &Personal::default(), Default::default(), Timestamp::UNIX_EPOCH);
    assert_eq!(changed, Err(StaffError::CustomerErased.into()));
    let new = NewPayment {
        source: RecordedSource::Manual,
        amount: eur(5),
        customer_id: Some(id),
        payer_name: None,
        remittance: None,
        received_on: "2026-11-20".parse().unwrap(),
        external_id: None,
    };
    let now = "2026-11-21T08:00:00Z".parse().unwrap();
    let recorded = record_payment(&mut book, new, &mut ids(4), now);
    assert!(matches!(recorded, Err(Stopped::Refused(StaffError::CustomerErased))), "{recorded:?}");
}

#[test]
fn an_invoice_goes_with_what_leads_to_it() {
    let (mut rows, _, id) = world();
    let link = InvoiceNumber { number: "INV-1".into(), invoice: id };
    rows.0.insert(InvoiceNumber::key(&link.number), (link.into_row(), 1));
    let (key, other) = (reference_key("INV-1"), ids(77).make());
    let invoices = [(id, ids(200).make()), (other, ids(200).make())].into_iter().collect();
    rows.0
        .insert(InvoiceReference::key(&key), (InvoiceReference { key: key.clone(), invoices }.into_row(), 4));
    assert!(rows.work(&RowKey::Invoice(id), delete));
    assert!(!rows.0.contains_key(&Invoice::key(&id)));
    assert!(!rows.0.contains_key(&InvoiceNumber::key(&"INV-1".to_owned())));
    let (left, _) = &rows.0[&InvoiceReference::key(&key)];
    assert_eq!(InvoiceReference::of(left).unwrap().invoices.keys().collect::<Vec<_>>(), [&other]);
    assert!(!rows.work(&RowKey::Invoice(id), delete), "it is gone");

    // Its payment stays until it is due itself, and what is told of it then is no error.
    assert!(matches!(rows.pay(&charge(30, "pi_1", Some(id)), 3), Told::Learned(_)));
    let pointer = PaymentPointer::key(&rows.payment("pi_1").id);
    assert!(rows.0.contains_key(&pointer));
    assert!(rows.work(&Payment::key(&stripe("pi_1")), delete));
    assert!(!rows.0.contains_key(&pointer) && !rows.0.contains_key(&Payment::key(&stripe("pi_1"))));
}

#[test]
fn words_lose_what_names_somebody() {
    let body = |text: &str| InvoiceBody {
        lines: vec![Line {
            description: text.to_owned(),
            quantity: Decimal::ONE,
            unit_price: eur(1),
            tax_percent: None,
        }],
        memo: Some("Dear Anna".to_owned()),
    };
    let texts = ["Anna Weiß".to_owned(), " anna@example.com ".to_owned(), "AB".to_owned()];
    for (text, left) in [
        ("Course for ANNA WEIß, twice", "Course for [erased], twice"),
        ("anna weißanna weiß", "[erased][erased]"),
        ("to Anna@Example.com", "to [erased]"),
        ("AB and ab are too short to mask", "AB and ab are too short to mask"),
        ("İnstanbul Anna Weiß", "İnstanbul [erased]"),
        ("", ""),
    ] {
        let masked = body(text).without(&texts);
        assert_eq!((masked.lines[0].description.as_str(), &masked.memo), (left, &None), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_is_left_that_is_to_go(parts in prop::collection::vec("[a-cA-C ßİé]{0,6}", 0..6), name in "[a-cßİé]{3,5}") {
        let text = parts.join(&name);
        let line = Line { description: text, quantity: Decimal::ONE, unit_price: eur(1), tax_percent: None };
        let body = InvoiceBody { lines: vec![line], memo: None };
        let left = body.without(std::slice::from_ref(&name)).lines.remove(0).description;
        let left = left.replace(ERASED, "\n").to_lowercase();
        prop_assert!(!left.contains(&name.to_lowercase()), "{left}");
    }
}
