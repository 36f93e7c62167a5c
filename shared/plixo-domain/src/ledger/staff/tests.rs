use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::fields::HOLDS_CARD;
use super::*;
use crate::audit::{Actor, ActorKind};
use crate::id::{AllocationId, CustomerId, Ids, InvoiceId, PaymentId};
use crate::ledger::tests::{
    Rows, actor, dispute, eur, forgetful, ids, invoice, news, part, received, refund, stripe,
};
use crate::ledger::{
    Address, Allocation, Book, CashTask, CashTaskOf, Customer, DisputeState, Invoice, InvoiceBody,
    InvoiceNumber, InvoiceState, Kept, Line, MAX_TOUCHED, Payer, Payment, PaymentNews, PaymentPart,
    PaymentSource, Personal, Private, RefundState, Row, RowKey, Stamp, Witness, cash_tasks, tell_payment,
};
use crate::money::Money;
use crate::webhook::Provider;

fn person() -> Actor {
    Actor { kind: ActorKind::Member, id: "mem_1".into(), role: Some("controller".into()) }
}

/// Ids of different times: the later call's are greater.
fn later(n: u32) -> Ids {
    let start: jiff::Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
    let at = start.as_second() + i64::from(n);
    Ids::new(jiff::Timestamp::from_second(at).unwrap(), [u8::try_from(n % 251).unwrap(); 10])
}

fn usd(amount: i64) -> Money {
    Money::new(amount, "USD".parse().unwrap())
}

impl Rows {
    /// Acts until all rows that are needed were read, and commits. On a refusal, nothing may have changed.
    fn act<R>(&mut self, act: impl Fn(&mut Book) -> Result<R, Stopped>) -> Result<R, StaffError> {
        let mut book = Book::default();
        for _ in 0..6 {
            let before: Vec<_> = book.rows().map(|(key, row)| (key.clone(), row.clone())).collect();
            let done = act(&mut book);
            if done.is_err() {
                let after: Vec<_> = book.rows().map(|(key, row)| (key.clone(), row.clone())).collect();
                assert_eq!(before, after, "an act that stopped changed the book");
            }
            match done {
                Ok(done) => {
                    let mut touched = 0;
                    for (key, row, version) in book.changes() {
                        assert_eq!(self.0.get(key).map(|(_, v)| *v), version, "{key:?}");
                        self.0.insert(key.clone(), (row.clone(), version.unwrap_or(0) + 1));
                        touched += usize::from(matches!(key, RowKey::Payment(_) | RowKey::Invoice(_)));
                    }
                    assert!(touched <= MAX_TOUCHED);
                    let gone: Vec<_> = book.removals().map(|(key, _)| key.clone()).collect();
                    gone.iter().for_each(|key| drop(self.0.remove(key)));
                    return Ok(done);
                }
                Err(Stopped::Refused(error)) => return Err(error),
                Err(Stopped::Unread(keys)) => {
                    for key in keys {
                        assert!(!book.knows(&key), "asked twice for {key:?}");
                        let stored = self.0.get(&key).cloned();
                        book.learn(key, stored);
                    }
                }
            }
        }
        panic!("never satisfied");
    }

    fn allocate(
        &mut self,
        n: u32,
        of: PaymentId,
        to: &[(InvoiceId, Money)],
    ) -> Result<Vec<AllocationId>, StaffError> {
        self.act(|book| allocate(book, &of, to, &person(), &mut later(n))).map(|changed| changed.id)
    }

    fn deallocate(&mut self, n: u32, of: PaymentId, id: AllocationId) -> Result<(), StaffError> {
        self.act(|book| deallocate(book, &of, &id, &person(), &mut later(n))).map(drop)
    }

    /// The rows without their versions, and without that a person took something back.
    fn contents(&self) -> Vec<(RowKey, Row)> {
        self.0.iter().map(|(key, (row, _))| (key.clone(), forgetful(row))).collect()
    }

    fn customer(&mut self) -> CustomerId {
        let personal = Personal { name: Some("Ada".into()), ..Personal::default() };
        let id = ids(77).make();
        if !self.0.contains_key(&Customer::key(&id)) {
            self.act(|book| create_customer(book, personal.clone(), &mut ids(77))).unwrap();
        }
        id
    }

    fn money(&mut self, id: &str, amount: i64, names: Option<InvoiceId>) -> PaymentId {
        self.pay(&news(id, 10, 1, received(Witness::Intent, amount, 10, names)), id.bytes().last().unwrap());
        self.payment(id).id
    }

    fn name(&mut self, n: u32, id: &str, amount: i64, invoice: InvoiceId) {
        let news = news(id, 10, 1, received(Witness::Intent, amount, 10, Some(invoice)));
        self.work(&news, |book, news| tell_payment(book, news, &actor(), &mut later(100 + n)));
    }

    fn shares(&self, id: &str) -> Vec<i64> {
        self.payment(id).allocations.values().map(|allocation| allocation.amount).collect()
    }
}

fn line(quantity: &str, price: i64) -> Line {
    Line {
        description: "Work".into(),
        quantity: quantity.parse().unwrap(),
        unit_price: eur(price),
        tax_percent: None,
    }
}

fn new_invoice(customer_id: CustomerId, number: Option<&str>) -> NewInvoice {
    NewInvoice {
        customer_id,
        number: number.map(Into::into),
        lines: vec![line("2", 50)],
        memo: None,
        due_on: None,
    }
}

fn pointers(error: &StaffError) -> Vec<&str> {
    match error {
        StaffError::Invalid(fields) => fields.iter().map(|field| field.pointer.as_str()).collect(),
        other => panic!("{other:?}"),
    }
}

fn today() -> jiff::civil::Date {
    "2026-11-21".parse().unwrap()
}

fn finalize(rows: &mut Rows, id: InvoiceId) -> Result<Vec<&'static str>, StaffError> {
    rows.act(|book| finalize_invoice(book, &id, &person(), today())).map(|changed| changed.fields)
}

// Customers

#[test]
fn a_customer_is_made_and_patched() {
    let mut rows = Rows::default();
    let ada =
        Personal { name: Some("Ada".into()), email: Some("ada@example.com".into()), ..Personal::default() };
    let made = rows.act(|book| create_customer(book, ada.clone(), &mut ids(1))).unwrap();
    assert_eq!(made.fields, ["name", "email"]);
    let patch =
        CustomerPatch { email: Patch::Clear, phone: Patch::Set("+49 30 1".into()), ..Default::default() };
    let changed = rows
        .act(|book| update_customer(book, &made.id, &ada, patch.clone(), jiff::Timestamp::UNIX_EPOCH))
        .unwrap();
    assert_eq!(changed.fields, ["email", "phone"]);
    let (row, version) = &rows.0[&Customer::key(&made.id)];
    let now = Personal { email: None, phone: Some("+49 30 1".into()), ..ada.clone() };
    assert_eq!((Customer::of(row).unwrap().personal.clone(), *version), (Private::Plain(now.clone()), 2));
    let nothing = rows
        .act(|book| update_customer(book, &made.id, &now, patch.clone(), jiff::Timestamp::UNIX_EPOCH))
        .unwrap();
    assert!(nothing.fields.is_empty());
    assert_eq!(rows.0[&Customer::key(&made.id)].1, 2, "nothing changed");
}

#[test]
fn a_customer_is_what_it_should_be() {
    let mut rows = Rows::default();
    let nameless = rows.act(|book| create_customer(book, Personal::default(), &mut ids(1))).unwrap_err();
    assert_eq!(pointers(&nameless), ["/name"]);
    let address = Address {
        line1: String::new(),
        line2: Some("\u{7}".into()),
        city: "x".repeat(101),
        postal_code: "1".into(),
        country: "de".into(),
    };
    for email in ["a", "a@", "@b", "a b@c", "a@b@c", "a@b..c", &format!("{}@b", "a".repeat(254))] {
        let wrong = Personal {
            name: Some(" ".into()),
            email: Some(email.into()),
            address: Some(address.clone()),
            ..Personal::default()
        };
        let error = rows.act(|book| create_customer(book, wrong.clone(), &mut ids(1))).unwrap_err();
        let wrong =
            ["/name", "/email", "/address/line1", "/address/line2", "/address/city", "/address/country"];
        assert_eq!(pointers(&error), wrong);
    }
    let id = rows.customer();
    let kept = Personal { name: Some("Ada".into()), ..Personal::default() };
    let clear = CustomerPatch { name: Patch::Clear, ..Default::default() };
    let error = rows
        .act(|book| update_customer(book, &id, &kept, clear.clone(), jiff::Timestamp::UNIX_EPOCH))
        .unwrap_err();
    assert_eq!(pointers(&error), ["/name"]);
    let nobody = ids(99).make();
    let missing = rows.act(|book| {
        update_customer(book, &nobody, &kept, CustomerPatch::default(), jiff::Timestamp::UNIX_EPOCH)
    });
    assert_eq!(missing.unwrap_err(), StaffError::Missing("customer"));
}

#[test]
fn a_patch_tells_absent_from_null() {
    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(default)]
        memo: Patch<String>,
    }
    let read = |json: &str| serde_json::from_str::<Body>(json).unwrap().memo;
    assert_eq!(read("{}"), Patch::Keep);
    assert_eq!(read(r#"{"memo":null}"#), Patch::Clear);
    assert_eq!(read(r#"{"memo":"x"}"#), Patch::Set("x".into()));
}

// Invoices

#[test]
fn a_draft_is_made_changed_and_sent() {
    let mut rows = Rows::default();
    let customer = rows.customer();
    let new = NewInvoice { memo: Some("Thanks".into()), ..new_invoice(customer, Some("RE-1")) };
    let made = rows.act(|book| create_invoice(book, new.clone(), &mut ids(1))).unwrap();
    assert_eq!(made.fields, ["number", "customer_id", "lines", "status", "memo"]);
    assert_eq!(
        (rows.invoice(&made.id).total, rows.invoice(&made.id).status()),
        (eur(100), InvoiceStatus::Draft)
    );
    let kept = InvoiceBody { lines: new.lines.clone(), memo: new.memo.clone() };
    let patch = InvoicePatch {
        number: Patch::Set("RE-2".into()),
        lines: Patch::Set(vec![line("1.5", 101)]),
        memo: Patch::Clear,
        ..Default::default()
    };
    let changed = rows.act(|book| update_invoice(book, &made.id, &kept, patch.clone())).unwrap();
    assert_eq!(changed.fields, ["number", "lines", "memo"]);
    assert_eq!(rows.invoice(&made.id).total, eur(152));
    assert!(!rows.0.contains_key(&InvoiceNumber::key(&"RE-1".into())), "a number that is given up is free");
    assert_eq!(finalize(&mut rows, made.id).unwrap(), ["status", "issued_on", "due_on"]);
    let sent = rows.invoice(&made.id);
    assert_eq!(
        (sent.status(), sent.issued_on, sent.number.as_str()),
        (InvoiceStatus::Open, Some(today()), "RE-2")
    );
    assert_eq!(sent.due_on, Some("2026-12-21".parse().unwrap()));
    let late = rows.act(|book| update_invoice(book, &made.id, &kept, InvoicePatch::default()));
    assert_eq!(late.unwrap_err(), StaffError::NotDraft(InvoiceStatus::Open));
    assert_eq!(finalize(&mut rows, made.id).unwrap_err(), StaffError::NotDraft(InvoiceStatus::Open));
}

#[test]
fn a_patch_without_news_changes_nothing_and_seals_nothing_anew() {
    let mut rows = Rows::default();
    let customer = rows.customer();
    let id = rows.act(|book| create_invoice(book, new_invoice(customer, None), &mut ids(1))).unwrap().id;
    let mut stored = rows.invoice(&id).clone();
    stored.body = Private::Sealed(vec![1]);
    rows.0.insert(Invoice::key(&id), (Row::Invoice(stored.clone()), 7));
    let kept = InvoiceBody { lines: vec![line("2", 50)], memo: None };
    let same = InvoicePatch {
        lines: Patch::Set(kept.lines.clone()),
        number: Patch::Set(stored.number.clone()),
        ..Default::default()
    };
    let changed = rows.act(|book| update_invoice(book, &id, &kept, same.clone())).unwrap();
    assert!(changed.fields.is_empty());
    assert_eq!(rows.0[&Invoice::key(&id)], (Row::Invoice(stored), 7));
    let due = InvoicePatch { due_on: Patch::Set(today()), ..Default::default() };
    let changed = rows.act(|book| update_invoice(book, &id, &kept, due.clone())).unwrap();
    assert_eq!((changed.fields, &rows.invoice(&id).body), (vec!["due_on"], &Private::Sealed(vec![1])));
    let clear = InvoicePatch { due_on: Patch::Clear, ..Default::default() };
    rows.act(|book| update_invoice(book, &id, &kept, clear.clone())).unwrap();
    assert_eq!(rows.invoice(&id).due_on, None);
}

#[test]
fn an_invoice_is_what_it_should_be() {
    let mut rows = Rows::default();
    let customer = rows.customer();
    let mut refused =
        |new: &NewInvoice| rows.act(|book| create_invoice(book, new.clone(), &mut ids(1))).unwrap_err();
    let good = new_invoice(customer, None);
    let with = |line: Line| NewInvoice { lines: vec![line], ..good.clone() };
    let cases = [
        (NewInvoice { lines: vec![], ..good.clone() }, "/lines"),
        (NewInvoice { lines: vec![line("1", 1); 201], ..good.clone() }, "/lines"),
        (with(Line { description: String::new(), ..line("1", 1) }), "/lines/0/description"),
        (with(Line { description: "é".repeat(501), ..line("1", 1) }), "/lines/0/description"),
        (with(line("0", 1)), "/lines/0/quantity"),
        (with(line("-1", 1)), "/lines/0/quantity"),
        (with(line("0.0000001", 1)), "/lines/0/quantity"),
        (with(Line { tax_percent: Some("100.01".parse().unwrap()), ..line("1", 1) }), "/lines/0/tax_percent"),
        (with(Line { tax_percent: Some("-1".parse().unwrap()), ..line("1", 1) }), "/lines/0/tax_percent"),
        (with(line("1", i64::MIN)), "/lines/0/unit_price/amount"),
        (with(line("2", MAX_AMOUNT)), "/lines"),
        (with(line("79228162514264337593543950335", MAX_AMOUNT)), "/lines"),
        (with(line("1", -1)), "/lines"),
        (
            NewInvoice {
                lines: vec![line("1", 1), Line { unit_price: usd(1), ..line("1", 1) }],
                ..good.clone()
            },
            "/lines",
        ),
        (NewInvoice { memo: Some("x".repeat(2_001)), ..good.clone() }, "/memo"),
        (NewInvoice { memo: Some("a\u{0}".into()), ..good.clone() }, "/memo"),
        (NewInvoice { number: Some("DRAFT-1".into()), ..good.clone() }, "/number"),
        (NewInvoice { number: Some("a#b".into()), ..good.clone() }, "/number"),
        (NewInvoice { number: Some(" a".into()), ..good.clone() }, "/number"),
        (NewInvoice { number: Some(String::new()), ..good.clone() }, "/number"),
        (NewInvoice { number: Some("*".into()), ..good.clone() }, "/number"),
        (NewInvoice { customer_id: ids(9).make(), ..good.clone() }, "/customer_id"),
    ];
    for (new, pointer) in cases {
        assert_eq!(pointers(&refused(&new)), [pointer], "{new:?}");
    }
    let most = NewInvoice {
        lines: vec![
            Line {
                description: "é".repeat(500),
                quantity: "0.1000000".parse().unwrap(),
                ..line("1", 10)
            };
            200
        ],
        memo: Some("two\nlines".into()),
        ..good
    };
    rows.act(|book| create_invoice(book, most.clone(), &mut ids(1))).unwrap();
}

#[test]
fn what_a_draft_needs_cannot_be_cleared() {
    let mut rows = Rows::default();
    let customer = rows.customer();
    let id = rows.act(|book| create_invoice(book, new_invoice(customer, Some("A")), &mut ids(1))).unwrap().id;
    let kept = InvoiceBody { lines: vec![line("2", 50)], memo: None };
    let patch = InvoicePatch { lines: Patch::Clear, customer_id: Patch::Clear, ..Default::default() };
    let error = rows.act(|book| update_invoice(book, &id, &kept, patch.clone())).unwrap_err();
    assert_eq!(pointers(&error), ["/lines", "/customer_id"]);
    let stranger = InvoicePatch { customer_id: Patch::Set(ids(9).make()), ..Default::default() };
    let error = rows.act(|book| update_invoice(book, &id, &kept, stranger.clone())).unwrap_err();
    assert_eq!(pointers(&error), ["/customer_id"]);
    let unnumbered = InvoicePatch { number: Patch::Clear, ..Default::default() };
    rows.act(|book| update_invoice(book, &id, &kept, unnumbered.clone())).unwrap();
    assert!(rows.invoice(&id).number.starts_with("DRAFT-"));
}

#[test]
fn numbers_are_unique() {
    let mut rows = Rows::default();
    let customer = rows.customer();
    let mut make =
        |seed, number| rows.act(|book| create_invoice(book, new_invoice(customer, number), &mut ids(seed)));
    make(1, Some("A-1")).unwrap();
    assert_eq!(make(2, Some("A-1")).unwrap_err(), StaffError::NumberTaken);
    let other = make(3, Some("A-2")).unwrap().id;
    let kept = InvoiceBody { lines: vec![line("2", 50)], memo: None };
    let patch = InvoicePatch { number: Patch::Set("A-1".into()), ..Default::default() };
    let taken = rows.act(|book| update_invoice(book, &other, &kept, patch.clone()));
    assert_eq!(taken.unwrap_err(), StaffError::NumberTaken);
}

#[test]
fn numbers_are_made_in_turn_and_pass_over_those_that_people_gave() {
    let mut rows = Rows::default();
    let customer = rows.customer();
    let mut seed = 0;
    let mut make = |rows: &mut Rows, number: Option<&str>| {
        seed += 1;
        rows.act(|book| create_invoice(book, new_invoice(customer, number), &mut ids(seed))).unwrap().id
    };
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let id = make(&mut rows, None);
        assert!(rows.invoice(&id).number.starts_with("DRAFT-"));
        assert!(finalize(&mut rows, id).unwrap().contains(&"number"));
        numbers.push(rows.invoice(&id).number.clone());
    }
    assert_eq!(numbers, ["INV-000001", "INV-000002", "INV-000003"]);
    make(&mut rows, Some("INV-000004"));
    let id = make(&mut rows, None);
    finalize(&mut rows, id).unwrap();
    assert_eq!(rows.invoice(&id).number, "INV-000005");
    for n in 6..=40 {
        make(&mut rows, Some(&format!("INV-{n:06}")));
    }
    let id = make(&mut rows, None);
    finalize(&mut rows, id).unwrap();
    assert_eq!(rows.invoice(&id).number, "INV-000069", "5 + 64: what people gave is passed over in leaps");
}

#[test]
fn an_invoice_of_nothing_is_not_sent() {
    let mut rows = Rows::default();
    let customer = rows.customer();
    let new = NewInvoice { lines: vec![line("1", 5), line("1", -5)], ..new_invoice(customer, None) };
    let id = rows.act(|book| create_invoice(book, new.clone(), &mut ids(1))).unwrap().id;
    assert_eq!(finalize(&mut rows, id).unwrap_err(), StaffError::NothingOwed);
    assert_eq!(finalize(&mut rows, ids(9).make()).unwrap_err(), StaffError::Missing("invoice"));
}

#[test]
fn a_draft_that_was_paid_already_is_served_when_it_is_sent() {
    let mut draft = invoice(1, 100);
    draft.state = InvoiceState::Draft;
    let mut rows = Rows::with(std::slice::from_ref(&draft));
    for n in 0..5 {
        rows.money(&format!("pi_{n}"), 30, Some(draft.id));
    }
    assert!(finalize(&mut rows, draft.id).unwrap().contains(&"allocations"));
    assert_eq!(rows.invoice(&draft.id).status(), InvoiceStatus::Paid);
    assert_eq!((rows.shares("pi_0"), rows.shares("pi_3"), rows.shares("pi_4")), (vec![30], vec![10], vec![]));
    rows.assert_balanced();
}

#[test]
fn who_paid_is_kept_of_money_that_is_somebody_elses_whatever_it_pays() {
    for (whose, is_kept) in
        [(Some(ids(5).make()), true), (Some(invoice(1, 100).customer_id), false), (None, false)]
    {
        let open = Invoice { erased: true, ..invoice(1, 100) };
        let mut rows = Rows::with(std::slice::from_ref(&open));
        let payment = rows.money("pi_1", 60, None);
        let payer = Payer { name: Some("Ada".into()), ..Payer::default() };
        let stamp = Stamp { at: 10, event: "evt_1".into() };
        let kept = Payment {
            customer_id: whose,
            payer: Some((stamp, Private::Plain(payer))),
            ..rows.payment("pi_1").clone()
        };
        rows.0.insert(Payment::key(&kept.reference), (Row::Payment(kept), 9));
        rows.allocate(1, payment, &[(open.id, eur(60))]).unwrap();
        let after = rows.payment("pi_1");
        assert_eq!((after.payer.is_some(), after.erased), (is_kept, !is_kept), "{whose:?}");
    }
}

#[test]
fn an_invoice_is_withdrawn_while_nothing_is_applied_to_it() {
    let open = invoice(1, 100);
    let mut rows = Rows::with(std::slice::from_ref(&open));
    let payment = rows.money("pi_1", 60, None);
    let made = rows.allocate(1, payment, &[(open.id, eur(60))]).unwrap();
    let void = |rows: &mut Rows| rows.act(|book| void_invoice(book, &open.id, jiff::Timestamp::UNIX_EPOCH));
    assert_eq!(void(&mut rows).unwrap_err(), StaffError::HasAllocations(made));
    rows.pay(&news("pi_1", 20, 2, vec![PaymentPart::RefundedTotal { amount: 60 }]), 2);
    assert_eq!(void(&mut rows).unwrap().fields, ["status"]);
    assert_eq!(rows.invoice(&open.id).status(), InvoiceStatus::Void);
    assert!(rows.payment("pi_1").choices.is_empty(), "a choice that waits ends with its invoice");
    assert_eq!(void(&mut rows).unwrap_err(), StaffError::WrongStatus(InvoiceStatus::Void));
    let mut draft = invoice(2, 100);
    draft.state = InvoiceState::Draft;
    rows.0.insert(Invoice::key(&draft.id), (Row::Invoice(draft.clone()), 1));
    rows.act(|book| void_invoice(book, &draft.id, jiff::Timestamp::UNIX_EPOCH)).unwrap();
}

#[test]
fn what_is_uncollectible_is_owed_still() {
    let open = invoice(1, 100);
    let mut rows = Rows::with(std::slice::from_ref(&open));
    let mark =
        |rows: &mut Rows| rows.act(|book| mark_uncollectible(book, &open.id, jiff::Timestamp::UNIX_EPOCH));
    mark(&mut rows).unwrap();
    assert_eq!(mark(&mut rows).unwrap_err(), StaffError::WrongStatus(InvoiceStatus::Uncollectible));
    let payment = rows.money("pi_1", 100, None);
    rows.allocate(1, payment, &[(open.id, eur(100))]).unwrap();
    assert_eq!(mark(&mut rows).unwrap_err(), StaffError::WrongStatus(InvoiceStatus::Paid));
    rows.assert_balanced();
}

#[test]
fn the_rest_of_an_invoice_that_is_paid_in_part_shows_as_uncollectible() {
    let open = invoice(1, 100);
    let mut rows = Rows::with(std::slice::from_ref(&open));
    rows.money("pi_1", 60, Some(open.id));
    let mark =
        |rows: &mut Rows| rows.act(|book| mark_uncollectible(book, &open.id, jiff::Timestamp::UNIX_EPOCH));
    assert_eq!(mark(&mut rows).unwrap().fields, ["status"]);
    let now = rows.invoice(&open.id);
    assert_eq!((now.status(), now.balance()), (InvoiceStatus::Uncollectible, eur(40)));
    assert_eq!(mark(&mut rows).unwrap_err(), StaffError::WrongStatus(InvoiceStatus::Uncollectible));
    rows.money("pi_2", 40, Some(open.id));
    assert_eq!(rows.invoice(&open.id).status(), InvoiceStatus::Paid);
    rows.assert_balanced();
}

// Payments

fn by_hand(external_id: Option<&str>) -> NewPayment {
    NewPayment {
        source: RecordedSource::Bank,
        amount: eur(100),
        received_on: today(),
        customer_id: None,
        payer_name: Some("Ada".into()),
        remittance: None,
        external_id: external_id.map(|id| id.parse().unwrap()),
    }
}

fn record(rows: &mut Rows, n: u32, new: &NewPayment) -> Result<Changed<PaymentId>, StaffError> {
    let now = "2026-11-21T23:59:59Z".parse().unwrap();
    rows.act(|book| record_payment(book, new.clone(), &mut later(n), now))
}

#[test]
fn a_payment_is_recorded_by_hand_and_applied() {
    let open = invoice(1, 100);
    let mut rows = Rows::with(std::slice::from_ref(&open));
    let customer = rows.customer();
    let new = NewPayment { customer_id: Some(customer), ..by_hand(Some("2026-11.42")) };
    let made = record(&mut rows, 1, &new).unwrap();
    assert_eq!(made.fields, ["source", "amount", "received_on", "customer_id", "payer_name", "external_id"]);
    let payment = rows.payments().next().unwrap();
    assert_eq!(payment.reference.provider, Provider::Member);
    assert_eq!(
        (payment.source(), payment.external_id().unwrap().as_str()),
        (PaymentSource::Bank, "2026-11.42")
    );
    assert_eq!((payment.amount(), payment.unapplied()), (Some(eur(100)), Some(eur(100))));
    assert_eq!((payment.received_on(), payment.customer_id), (Some(today()), Some(customer)));
    rows.allocate(2, made.id, &[(open.id, eur(100))]).unwrap();
    assert_eq!(rows.invoice(&open.id).status(), InvoiceStatus::Paid);
    rows.assert_balanced();
}

#[test]
fn two_of_one_external_id_are_one_payment() {
    let mut rows = Rows::default();
    let first = record(&mut rows, 1, &by_hand(Some("x"))).unwrap().id;
    let again = NewPayment { source: RecordedSource::Manual, amount: eur(7), ..by_hand(Some("x")) };
    assert_eq!(record(&mut rows, 2, &again).unwrap_err(), StaffError::AlreadyRecorded(first));
    record(&mut rows, 3, &NewPayment { source: RecordedSource::Manual, ..by_hand(None) }).unwrap();
    let last = record(&mut rows, 4, &by_hand(None)).unwrap().id;
    assert_eq!(rows.payments().count(), 3);
    let last = rows.payments().find(|payment| payment.id == last).unwrap();
    assert_eq!((last.external_id(), last.source()), (None, PaymentSource::Bank));
}

#[test]
fn a_payment_is_received_on_the_day_that_it_is_where_people_are() {
    let mut rows = Rows::default();
    let early = NewPayment { received_on: "2026-11-22".parse().unwrap(), ..by_hand(None) };
    record(&mut rows, 1, &early).unwrap();
    assert_eq!(rows.payments().next().unwrap().received_on(), Some(early.received_on));
    let at = |now: &str| {
        let now = now.parse().unwrap();
        Rows::default().act(|book| record_payment(book, early.clone(), &mut later(1), now)).map(drop)
    };
    at("2026-11-21T10:00:00Z").unwrap();
    assert_eq!(pointers(&at("2026-11-21T09:59:59Z").unwrap_err()), ["/received_on"], "nowhere yet");
}

#[test]
fn a_recorded_payment_is_what_it_should_be() {
    let mut rows = Rows::default();
    let cases = [
        (NewPayment { amount: eur(0), ..by_hand(None) }, "/amount/amount"),
        (NewPayment { amount: eur(MAX_AMOUNT + 1), ..by_hand(None) }, "/amount/amount"),
        (NewPayment { received_on: "2026-11-23".parse().unwrap(), ..by_hand(None) }, "/received_on"),
        (NewPayment { received_on: jiff::civil::Date::MIN, ..by_hand(None) }, "/received_on"),
        (NewPayment { payer_name: Some(String::new()), ..by_hand(None) }, "/payer_name"),
        (NewPayment { remittance: Some("x".repeat(2_001)), ..by_hand(None) }, "/remittance"),
        (NewPayment { customer_id: Some(ids(9).make()), ..by_hand(None) }, "/customer_id"),
    ];
    for (new, pointer) in cases {
        assert_eq!(pointers(&record(&mut rows, 1, &new).unwrap_err()), [pointer]);
    }
    assert_eq!(rows.payments().count(), 0);
}

// Allocations

#[test]
fn a_payment_is_applied_to_several_invoices_or_to_none() {
    let (one, two) = (invoice(1, 100), invoice(2, 50));
    let mut rows = Rows::with(&[one.clone(), two.clone()]);
    let payment = rows.money("pi_1", 120, None);
    let before = rows.contents();
    let error = rows.allocate(1, payment, &[(one.id, eur(100)), (two.id, eur(21))]).unwrap_err();
    assert_eq!(error, StaffError::OverUnapplied { pointer: "/allocations/1/amount/amount".into() });
    assert_eq!(rows.contents(), before);
    let made = rows.allocate(1, payment, &[(one.id, eur(30)), (two.id, eur(20)), (one.id, eur(70))]).unwrap();
    assert_eq!(made.len(), 3);
    assert_eq!(rows.invoice(&one.id).status(), InvoiceStatus::Paid);
    assert_eq!(rows.invoice(&two.id).balance(), eur(30));
    assert!(rows.payment("pi_1").allocations.values().all(|allocation| allocation.applied_by == person()));
    rows.assert_balanced();
    rows.deallocate(2, payment, made[2]).unwrap();
    assert_eq!(rows.invoice(&one.id).balance(), eur(70));
    assert_eq!(rows.deallocate(3, payment, made[2]).unwrap_err(), StaffError::Missing("allocation"));
    assert_eq!(rows.deallocate(3, ids(9).make(), made[1]).unwrap_err(), StaffError::Missing("payment"));
    rows.assert_balanced();
}

#[test]
fn what_cannot_be_applied_is_refused() {
    let (open, paid) = (invoice(1, 100), invoice(2, 50));
    let mut draft = invoice(3, 100);
    draft.state = InvoiceState::Draft;
    let mut void = invoice(4, 100);
    void.state = InvoiceState::Void;
    let mut dollars = invoice(5, 100);
    dollars.total = usd(100);
    let mut rows = Rows::with(&[open.clone(), paid.clone(), draft.clone(), void.clone(), dollars.clone()]);
    rows.money("pi_0", 50, Some(paid.id));
    let payment = rows.money("pi_1", 1_000, None);
    let mut refused = |id, money| rows.allocate(1, payment, &[(id, money)]).unwrap_err();
    let at = |field: &str| format!("/allocations/0/{field}");
    let not_owed = |status| StaffError::NotOwed { pointer: at("invoice_id"), status };
    assert_eq!(refused(paid.id, eur(1)), not_owed(InvoiceStatus::Paid));
    assert_eq!(refused(draft.id, eur(1)), not_owed(InvoiceStatus::Draft));
    assert_eq!(refused(void.id, eur(1)), not_owed(InvoiceStatus::Void));
    assert_eq!(refused(dollars.id, usd(1)), StaffError::OtherCurrency { pointer: at("amount/currency") });
    assert_eq!(refused(open.id, usd(1)), StaffError::OtherCurrency { pointer: at("amount/currency") });
    assert_eq!(refused(open.id, eur(101)), StaffError::OverBalance { pointer: at("amount/amount") });
    assert_eq!(refused(open.id, eur(1_001)), StaffError::OverUnapplied { pointer: at("amount/amount") });
    assert_eq!(pointers(&refused(open.id, eur(0))), [at("amount/amount")]);
    assert_eq!(pointers(&refused(open.id, eur(-1))), [at("amount/amount")]);
    assert_eq!(pointers(&refused(ids(9).make(), eur(1))), [at("invoice_id")]);
    let none = rows.allocate(1, payment, &[]).unwrap_err();
    assert_eq!(pointers(&none), ["/allocations"]);
    let many = rows.allocate(1, payment, &[(open.id, eur(1)); 21]).unwrap_err();
    assert_eq!(pointers(&many), ["/allocations"]);
    assert_eq!(
        rows.allocate(1, ids(9).make(), &[(open.id, eur(1))]).unwrap_err(),
        StaffError::Missing("payment")
    );
}

#[test]
fn people_come_before_providers() {
    let (named, chosen) = (invoice(1, 100), invoice(2, 40));
    let mut rows = Rows::with(&[named.clone(), chosen.clone()]);
    // 30 are left: another payment holds most of the named invoice.
    rows.money("pi_0", 70, Some(named.id));
    let payment = rows.money("pi_1", 70, Some(named.id));
    assert_eq!((rows.shares("pi_1"), rows.payment("pi_1").unapplied()), (vec![30], Some(eur(40))));
    rows.allocate(1, payment, &[(chosen.id, eur(40))]).unwrap();
    rows.assert_balanced();
    // A refund takes first what the provider named.
    rows.pay(&news("pi_1", 20, 2, vec![PaymentPart::RefundedTotal { amount: 20 }]), 3);
    assert_eq!((rows.invoice(&named.id).balance(), rows.invoice(&chosen.id).balance()), (eur(20), eur(0)));
    rows.pay(&news("pi_1", 30, 3, vec![PaymentPart::RefundedTotal { amount: 50 }]), 4);
    assert_eq!((rows.invoice(&named.id).balance(), rows.invoice(&chosen.id).balance()), (eur(30), eur(20)));
    rows.assert_balanced();
}

#[test]
fn the_latest_choice_gives_way_first_and_comes_back() {
    let all: Vec<_> = (1..=3).map(|n| invoice(n, 100)).collect();
    let mut rows = Rows::with(&all);
    let payment = rows.money("pi_1", 300, None);
    for (n, invoice) in (1..).zip([&all[1], &all[2], &all[0]]) {
        rows.allocate(n, payment, &[(invoice.id, eur(100))]).unwrap();
    }
    let open = |rows: &Rows| all.iter().map(|it| rows.invoice(&it.id).balance().amount).collect::<Vec<_>>();
    rows.pay(&news("pi_1", 20, 2, refund("re_1", RefundState::Pending, 150)), 2);
    assert_eq!(open(&rows), [100, 0, 50]);
    rows.pay(&news("pi_1", 30, 3, dispute(DisputeState::Lost, 300)), 3);
    assert_eq!(open(&rows), [100, 100, 100]);
    rows.assert_balanced();
    rows.pay(&news("pi_1", 40, 4, dispute(DisputeState::Won, 300)), 4);
    rows.pay(&news("pi_1", 50, 5, refund("re_1", RefundState::Failed, 150)), 5);
    assert_eq!(open(&rows), [0, 0, 0]);
    rows.assert_balanced();
}

#[test]
fn what_a_person_took_back_stays_away() {
    let (one, two) = (invoice(1, 100), invoice(2, 100));
    let mut rows = Rows::with(&[one.clone(), two.clone()]);
    let payment = rows.money("pi_1", 100, Some(one.id));
    let named = *rows.payment("pi_1").allocations.keys().next().unwrap();
    rows.deallocate(1, payment, named).unwrap();
    assert_eq!(rows.invoice(&one.id).balance(), eur(100));
    assert_eq!(rows.payment("pi_1").unapplied(), Some(eur(100)));
    rows.pay(&news("pi_1", 20, 2, received(Witness::Charge, 100, 10, Some(one.id))), 2);
    rows.pay(&news("pi_1", 30, 3, received(Witness::Intent, 100, 10, Some(one.id))), 3);
    assert_eq!(rows.invoice(&one.id).balance(), eur(100));
    rows.assert_balanced();
    let before = rows.contents();
    let made = rows.allocate(4, payment, &[(one.id, eur(60)), (two.id, eur(40))]).unwrap();
    assert_eq!(rows.payment("pi_1").unapplied(), Some(eur(0)));
    rows.deallocate(5, payment, made[0]).unwrap();
    rows.deallocate(6, payment, made[1]).unwrap();
    assert_eq!(rows.contents(), before);
    // Another invoice is another thing.
    rows.pay(&news("pi_1", 40, 5, received(Witness::Intent, 100, 10, Some(two.id))), 7);
    assert_eq!(rows.invoice(&two.id).balance(), eur(0));
    rows.assert_balanced();
}

#[test]
fn an_act_on_one_invoice_makes_no_claim_on_another() {
    // Named before it was known.
    let (named, chosen) = (invoice(1, 100), invoice(2, 100));
    let mut rows = Rows::with(std::slice::from_ref(&chosen));
    let payment = rows.money("pi_1", 100, Some(named.id));
    rows.0.insert(Invoice::key(&named.id), (Row::Invoice(named.clone()), 1));
    let before = rows.contents();
    let made = rows.allocate(1, payment, &[(chosen.id, eur(40))]).unwrap();
    assert_eq!(rows.payment("pi_1").unapplied(), Some(eur(60)));
    rows.deallocate(2, payment, made[0]).unwrap();
    assert_eq!(rows.contents(), before);
}

#[test]
fn money_that_waits_for_an_earlier_choice_is_not_chosen_twice() {
    let (one, two) = (invoice(1, 100), invoice(2, 100));
    let mut rows = Rows::with(&[one.clone(), two.clone()]);
    let first = rows.money("pi_1", 100, None);
    let second = rows.money("pi_2", 100, None);
    rows.allocate(1, first, &[(one.id, eur(100))]).unwrap();
    rows.pay(&news("pi_1", 20, 2, refund("re_1", RefundState::Pending, 100)), 3);
    let waits = rows.allocate(2, second, &[(one.id, eur(100))]).unwrap()[0];
    rows.pay(&news("pi_1", 30, 3, refund("re_1", RefundState::Failed, 100)), 4);
    assert_eq!(
        (rows.shares("pi_1"), rows.shares("pi_2")),
        (vec![100], vec![]),
        "the earlier choice comes first"
    );
    rows.assert_balanced();
    assert_eq!(rows.allocate(3, second, &[(two.id, eur(1))]).unwrap_err(), StaffError::Kept(waits));
    assert_eq!(
        rows.act(|book| void_invoice(book, &one.id, jiff::Timestamp::UNIX_EPOCH)).unwrap_err().code(),
        "invoice_has_allocations"
    );
    rows.deallocate(4, second, waits).unwrap();
    rows.allocate(5, second, &[(two.id, eur(100))]).unwrap();
    rows.assert_balanced();
}

#[test]
fn a_payment_and_an_invoice_touch_a_bounded_number_of_others() {
    let all: Vec<_> = (0..45).map(|n| invoice(n, 1_000)).collect();
    let mut rows = Rows::with(&all);
    let payment = rows.money("pi_x", 1_000, None);
    let ask =
        |range: std::ops::Range<usize>| all[range].iter().map(|it| (it.id, eur(10))).collect::<Vec<_>>();
    rows.allocate(1, payment, &ask(0..20)).unwrap();
    let error = rows.allocate(2, payment, &ask(20..40)).unwrap_err();
    assert_eq!(error, StaffError::TooManyAllocations);
    rows.allocate(2, payment, &ask(20..39)).unwrap();
    for n in 0..40 {
        rows.name(n, &format!("pi_{n}"), 1, all[44].id);
    }
    let other = rows.money("pi_y", 10, None);
    let error = rows.allocate(3, other, &[(all[44].id, eur(1))]).unwrap_err();
    assert_eq!(error, StaffError::TooManyPayments { pointer: "/allocations/0/invoice_id".into() });
    rows.assert_balanced();
}

/// Many payments wait on each of many invoices that one payment paid. When it goes back, and when it returns, the work is
/// bounded, and the books balance.
#[test]
fn a_refund_of_a_payment_with_many_rivals_stays_in_its_bounds() {
    let all: Vec<_> = (0..39).map(|n| invoice(n, 10)).collect();
    let mut rows = Rows::with(&all);
    let payment = rows.money("pi_x", 390, None);
    for (n, some) in (1..).zip(all.chunks(20)) {
        let ask: Vec<_> = some.iter().map(|it| (it.id, eur(10))).collect();
        rows.allocate(n, payment, &ask).unwrap();
    }
    for (n, invoice) in (0..).zip(&all) {
        for rival in 0..5 {
            rows.name(5 * n + rival, &format!("pi_{n}_{rival}"), 3, invoice.id);
        }
    }
    rows.assert_balanced();
    for (at, state) in [(20, RefundState::Pending), (30, RefundState::Failed)] {
        let told = news("pi_x", at, 2, refund("re_1", state, 390));
        let mut book = Book::default();
        let mut rounds = 0;
        while let Err(crate::ledger::Unread(keys)) = tell_payment(&mut book, &told, &actor(), &mut ids(3)) {
            rounds += 1;
            for key in keys {
                let stored = rows.0.get(&key).cloned();
                book.learn(key, stored);
            }
        }
        assert!(rounds <= 3, "{rounds} rounds of reading");
        assert!(book.changes().count() <= MAX_TOUCHED, "{}", book.changes().count());
        let changes: Vec<_> = book
            .changes()
            .map(|(key, row, version)| (key.clone(), (row.clone(), version.unwrap_or(0) + 1)))
            .collect();
        rows.0.extend(changes);
        rows.assert_balanced();
        assert_eq!(rows.payment("pi_x").net(), if at == 20 { 0 } else { 390 });
    }
}

// Card numbers

#[test]
fn card_numbers_are_refused_in_all_that_people_type() {
    const CARD: &str = "4242 4242 4242 4242";
    const BARE: &str = "4242424242424242";
    let card = || Some(CARD.to_owned());
    let mut rows = Rows::default();
    let customer = rows.customer();

    let address = Address {
        line1: CARD.into(),
        line2: card(),
        city: CARD.into(),
        postal_code: CARD.into(),
        country: "DE".into(),
    };
    let personal = Personal {
        name: Some(format!("Ada {CARD}")),
        email: Some(format!("{BARE}@example.com")),
        phone: card(),
        address: Some(address),
        tax_id: card(),
    };
    let pointers_of = [
        "/name",
        "/email",
        "/phone",
        "/tax_id",
        "/address/line1",
        "/address/line2",
        "/address/city",
        "/address/postal_code",
    ];
    let error = rows.act(|book| create_customer(book, personal.clone(), &mut ids(1))).unwrap_err();
    assert_eq!(pointers(&error), pointers_of);
    let StaffError::Invalid(fields) = &error else { panic!() };
    assert!(fields.iter().all(|field| field.why == HOLDS_CARD));
    assert!(!format!("{error:?}").contains("4242"));
    let kept = Personal { name: Some("Ada".into()), ..Personal::default() };
    let patch = CustomerPatch { phone: Patch::Set(CARD.into()), ..Default::default() };
    let error = rows
        .act(|book| update_customer(book, &customer, &kept, patch.clone(), jiff::Timestamp::UNIX_EPOCH))
        .unwrap_err();
    assert_eq!(pointers(&error), ["/phone"]);

    let typed = NewInvoice {
        number: Some(BARE.into()),
        lines: vec![line("1", 1), Line { description: format!("paid by {CARD}"), ..line("1", 1) }],
        memo: Some(format!("Thanks\n{CARD}")),
        ..new_invoice(customer, None)
    };
    let error = rows.act(|book| create_invoice(book, typed.clone(), &mut ids(2))).unwrap_err();
    assert_eq!(pointers(&error), ["/number", "/lines/1/description", "/memo"]);
    let id = rows.act(|book| create_invoice(book, new_invoice(customer, None), &mut ids(2))).unwrap().id;
    let kept = InvoiceBody { lines: vec![line("2", 50)], memo: None };
    let patch =
        InvoicePatch { memo: Patch::Set(CARD.into()), number: Patch::Set(BARE.into()), ..Default::default() };
    let error = rows.act(|book| update_invoice(book, &id, &kept, patch.clone())).unwrap_err();
    assert_eq!(pointers(&error), ["/number", "/memo"]);

    let typed = NewPayment { payer_name: card(), remittance: card(), ..by_hand(Some(BARE)) };
    let error = record(&mut rows, 1, &typed).unwrap_err();
    assert_eq!(pointers(&error), ["/payer_name", "/remittance", "/external_id"]);
    assert_eq!(rows.payments().count(), 0);
}

#[test]
fn amounts_as_large_as_they_come_do_not_overflow() {
    let most = invoice(1, MAX_AMOUNT);
    let mut rows = Rows::with(std::slice::from_ref(&most));
    for n in 0..3 {
        rows.money(&format!("pi_{n}"), i64::MAX, Some(most.id));
    }
    let payment = rows.money("pi_3", i64::MAX, None);
    rows.assert_balanced();
    assert_eq!(rows.payment("pi_1").unapplied(), Some(eur(i64::MAX)));
    let error = rows.allocate(1, payment, &[(most.id, eur(1))]).unwrap_err();
    assert_eq!(error.code(), "invoice_not_owed");
    for (n, id) in (10..).zip(["re_1", "re_2"]) {
        rows.pay(&news("pi_0", n.into(), n, refund(id, RefundState::Succeeded, i64::MAX)), 9);
    }
    assert_eq!((rows.payment("pi_0").net(), rows.payment("pi_0").unapplied()), (0, Some(eur(0))));
    assert_eq!(rows.invoice(&most.id).balance(), eur(0), "another payment waited for it");
    rows.pay(&news("pi_1", 20, 20, dispute(DisputeState::Lost, i64::MAX)), 9);
    rows.assert_balanced();
}

// Everything together

#[derive(Debug, Clone)]
enum Step {
    Told(u8, i64, bool, Vec<PaymentPart>),
    Allocate(u8, Vec<(usize, i64)>),
    AllocateWhatFits(u8, Vec<(usize, i64)>),
    TakeBack(u8, usize),
    Create(Option<u8>, i64),
    Update(usize, Patch<u8>, Patch<(i64, bool)>),
    Void(usize),
    Uncollectible(usize),
    Finalize(usize),
    Record(i64, bool, Option<u8>),
}

static FIXTURES: LazyLock<Vec<Invoice>> = LazyLock::new(|| {
    let totals = [(1, 100), (2, 150), (3, 60), (4, 90), (5, 80)];
    let mut all: Vec<_> = totals.map(|(n, total)| invoice(n, total)).into();
    all[3].state = InvoiceState::Draft;
    all[4].total = usd(80);
    all
});

/// The fixtures with their numbers, and a customer.
fn world() -> Rows {
    let mut rows = Rows::with(&FIXTURES);
    for Invoice { id, number, .. } in FIXTURES.clone() {
        let number = InvoiceNumber { number, invoice: id };
        rows.0.insert(InvoiceNumber::key(&number.number), (Row::InvoiceNumber(number), 1));
    }
    rows.customer();
    rows
}

fn money_of(amount: i64, dollars: bool) -> Money {
    if dollars { usd(amount) } else { eur(amount) }
}

fn told() -> impl Strategy<Value = Step> {
    let invoices: Vec<_> = FIXTURES.iter().map(|it| it.id).collect();
    let dollars = prop_oneof![7 => Just(false), 1 => Just(true)];
    (0..4_u8, 0..20_i64, dollars, part(invoices))
        .prop_map(|(payment, at, dollars, parts)| Step::Told(payment, at, dollars, parts))
}

fn amounts() -> impl Strategy<Value = Vec<(usize, i64)>> {
    proptest::collection::vec((0..8_usize, 1..80_i64), 1..4)
}

fn patch<T: Clone + std::fmt::Debug>(
    of: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Patch<T>> {
    prop_oneof![2 => Just(Patch::Keep), 1 => Just(Patch::Clear), 3 => of.prop_map(Patch::Set)]
}

fn step() -> impl Strategy<Value = Step> {
    let number = || proptest::option::of(0..4_u8);
    let lines = patch((1..100_i64, any::<bool>()));
    prop_oneof![
        12 => told(),
        2 => (0..6_u8, amounts()).prop_map(|(payment, to)| Step::Allocate(payment, to)),
        12 => (0..6_u8, amounts()).prop_map(|(payment, to)| Step::AllocateWhatFits(payment, to)),
        6 => (0..6_u8, any::<usize>()).prop_map(|(payment, which)| Step::TakeBack(payment, which)),
        2 => (number(), 0..100_i64).prop_map(|(number, price)| Step::Create(number, price)),
        4 => (0..8_usize, patch(0..4_u8), lines).prop_map(|(n, number, lines)| Step::Update(n, number, lines)),
        2 => (0..8_usize).prop_map(Step::Void),
        2 => (0..8_usize).prop_map(Step::Uncollectible),
        4 => (0..8_usize).prop_map(Step::Finalize),
        2 => (1..200_i64, any::<bool>(), number()).prop_map(|(amount, dollars, id)| Step::Record(amount, dollars, id)),
    ]
}

fn takes(invoice: &Invoice) -> bool {
    matches!(invoice.state, InvoiceState::Open | InvoiceState::Uncollectible)
}

type Applied = (PaymentId, Vec<AllocationId>, Vec<Money>);

fn apply(rows: &mut Rows, n: u32, id: PaymentId, to: &[(InvoiceId, Money)]) -> Option<Applied> {
    let made = rows.allocate(n, id, to).ok()?;
    Some((id, made, to.iter().map(|(_, amount)| *amount).collect()))
}

/// Does a step, and answers what was allocated by it, and how much.
fn go(rows: &mut Rows, n: u32, step: &Step, money: &mut Vec<PaymentId>) -> Option<Applied> {
    let mut all: Vec<_> = rows.invoices().map(|it| (it.id, it.total.currency)).collect();
    // Those of the fixtures first: they were made an hour before the others.
    all.sort_by_key(|(id, _)| *id);
    let pick = |n: usize| all[n % all.len()];
    match step {
        Step::Told(payment, at, dollars, parts) => {
            let name = format!("pi_{payment}");
            let currency = money_of(0, *dollars).currency;
            let news = PaymentNews { currency, ..news(&name, *at, n, parts.clone()) };
            rows.pay(&news, u8::try_from(n % 200).unwrap());
            let id = rows.payment(&name).id;
            if !money.contains(&id) {
                money.push(id);
            }
        }
        Step::Record(amount, dollars, name) => {
            let name = name.map(|name| format!("bank-{name}"));
            let new = NewPayment { amount: money_of(*amount, *dollars), ..by_hand(name.as_deref()) };
            money.extend(record(rows, n, &new).map(|made| made.id));
        }
        Step::Allocate(payment, to) => {
            let id = *money.get(usize::from(*payment) % money.len().max(1))?;
            let to: Vec<_> = to.iter().map(|(n, amount)| (pick(*n), *amount)).collect();
            let to: Vec<_> = to.iter().map(|((id, of), amount)| (*id, Money::new(*amount, *of))).collect();
            return apply(rows, n, id, &to);
        }
        Step::AllocateWhatFits(payment, to) => {
            let able: Vec<_> = rows.payments().filter(|it| it.free() > 0).collect();
            let of = able.get(usize::from(*payment) % able.len().max(1))?;
            let (id, mut free, currency) = (of.id, of.free(), of.currency()?);
            let owed = rows.invoices().filter(|it| it.total.currency == currency && takes(it));
            let mut owed: Vec<_> = owed.map(|it| (it.id, it.balance().amount)).collect();
            let mut fits = Vec::new();
            for (n, amount) in to {
                owed.retain(|(_, open)| *open > 0);
                let count = owed.len().max(1);
                let (Some((invoice, open)), true) = (owed.get_mut(n % count), free > 0) else { break };
                let amount = 1 + amount % (*open).min(free);
                (free, *open) = (free - amount, *open - amount);
                fits.push((*invoice, Money::new(amount, currency)));
            }
            return if fits.is_empty() { None } else { apply(rows, n, id, &fits) };
        }
        Step::TakeBack(payment, which) => {
            let id = *money.get(usize::from(*payment) % money.len().max(1))?;
            let payment = rows.payments().find(|payment| payment.id == id).unwrap();
            let choices = payment.choices.iter().map(|choice| choice.id);
            let there: Vec<_> = payment.allocations.keys().copied().chain(choices).collect();
            let allocation = *there.get(which % there.len().max(1))?;
            rows.deallocate(n, id, allocation).unwrap();
        }
        Step::Create(number, price) => {
            let customer = rows.customer();
            let number = number.map(|number| format!("RE-{number}"));
            let new =
                NewInvoice { lines: vec![line("1", *price)], ..new_invoice(customer, number.as_deref()) };
            drop(rows.act(|book| create_invoice(book, new.clone(), &mut later(n))));
        }
        Step::Update(which, number, lines) => {
            let (id, _) = pick(*which);
            let Private::Plain(kept) = rows.invoice(&id).body.clone() else { panic!() };
            let number = match number {
                Patch::Set(number) => Patch::Set(format!("RE-{number}")),
                Patch::Clear => Patch::Clear,
                Patch::Keep => Patch::Keep,
            };
            let lines = match lines {
                Patch::Set((price, dollars)) => {
                    Patch::Set(vec![Line { unit_price: money_of(*price, *dollars), ..line("1", 1) }])
                }
                Patch::Clear => Patch::Clear,
                Patch::Keep => Patch::Keep,
            };
            let patch = InvoicePatch { number, lines, ..Default::default() };
            drop(rows.act(|book| update_invoice(book, &id, &kept, patch.clone())));
        }
        Step::Void(n) => drop(rows.act(|book| void_invoice(book, &pick(*n).0, jiff::Timestamp::UNIX_EPOCH))),
        Step::Uncollectible(n) => {
            drop(rows.act(|book| mark_uncollectible(book, &pick(*n).0, jiff::Timestamp::UNIX_EPOCH)))
        }
        Step::Finalize(n) => drop(finalize(rows, pick(*n).0)),
    }
    None
}

/// Each number is one invoice's, and each invoice has its number, but for drafts without one.
fn assert_numbered(rows: &Rows) {
    let rows_of = |row: &Row| InvoiceNumber::of(row).map(|it| (it.number.clone(), it.invoice));
    let by_row = rows.0.values().filter_map(|(row, _)| rows_of(row)).filter(|(number, _)| number != "*");
    let by_row: BTreeSet<_> = by_row.collect();
    let numbered = rows.invoices().filter(|it| !it.number.starts_with("DRAFT-"));
    let by_invoice: BTreeSet<_> = numbered.map(|it| (it.number.clone(), it.id)).collect();
    assert_eq!(by_row, by_invoice);
    let numbers: BTreeSet<_> = rows.invoices().map(|it| &it.number).collect();
    assert_eq!(numbers.len(), rows.invoices().count(), "every number is one invoice's");
    for invoice in rows.invoices().filter(|it| it.number.starts_with("DRAFT-")) {
        assert!(matches!(invoice.state, InvoiceState::Draft | InvoiceState::Void), "{invoice:?}");
    }
}

/// All allocations but those of one payment.
fn of_others(rows: &Rows, payment: PaymentId) -> Vec<Allocation> {
    let others = rows.payments().filter(|it| it.id != payment);
    others.flat_map(|it| it.allocations.values().cloned()).collect()
}

/// What follows from the allocations alone: an invoice is served as its claims say.
fn assert_derived(rows: &Rows) {
    for invoice in rows.invoices() {
        let mut served = invoice.clone();
        served.serve();
        assert_eq!(served.claims, invoice.claims, "nothing waits that could be served");
    }
    for payment in rows.payments() {
        for (id, asks) in payment.asks() {
            let Some((row, _)) = rows.0.get(&Invoice::key(&id)) else { continue };
            for ask in asks.iter().filter_map(|ask| ask.chosen.map(|chosen| (chosen, ask.wanted))) {
                let claim = &Invoice::of(row).unwrap().claims[&ask.0];
                assert_eq!((claim.wanted, &claim.payment), (ask.1, &payment.reference));
            }
        }
    }
}

proptest! {
    // Of the random allocations about a third fit; the others are drawn anew, and there is to be room for bad luck.
    #![proptest_config(ProptestConfig { cases: 512, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    /// Whatever comes in whatever order, the books balance after each step, and taking an allocation back that was just made
    /// leaves no trace of it.
    #[test]
    fn the_books_balance_whatever_people_and_providers_do(steps in proptest::collection::vec(step(), 1..25)) {
        let mut rows = world();
        let mut money = Vec::new();
        for (n, step) in (1..).zip(&steps) {
            let (was, before) = (rows.clone(), rows.contents());
            let made = go(&mut rows, 3 * n, step, &mut money);
            rows.assert_balanced();
            assert_derived(&rows);
            assert_numbered(&rows);
            if let Some((payment, made, amounts)) = made {
                prop_assert_eq!(of_others(&rows, payment), of_others(&was, payment), "nobody else loses anything");
                let of = rows.payments().find(|it| it.id == payment).unwrap();
                let got: Vec<_> = made.iter().map(|id| of.allocations[id].amount).collect();
                prop_assert_eq!(got, amounts.iter().map(|money| money.amount).collect::<Vec<_>>());
                let mut undone = rows.clone();
                for id in made.iter().rev() {
                    undone.deallocate(3 * n + 1, payment, *id).unwrap();
                    undone.assert_balanced();
                }
                prop_assert_eq!(undone.contents(), before.clone());
            }
        }
    }

    /// An allocation that is taken back leaves no trace either when providers said more since: all is as if it had never been.
    #[test]
    fn what_is_taken_back_later_is_as_if_it_had_never_been(
        steps in proptest::collection::vec(step(), 1..15),
        (payment, to) in (0..6_u8, amounts()),
        events in proptest::collection::vec(told(), 1..8),
        backwards in any::<bool>(),
    ) {
        let mut never = world();
        let mut money = Vec::new();
        for (n, step) in (1..).zip(&steps) {
            go(&mut never, n, step, &mut money);
        }
        let mut once = never.clone();
        let made = go(&mut once, 50, &Step::AllocateWhatFits(payment, to), &mut money);
        prop_assume!(made.is_some());
        let (payment, mut made, _) = made.unwrap();
        for (n, step) in (100..).zip(&events) {
            go(&mut never, n, step, &mut money);
            go(&mut once, n, step, &mut money);
            once.assert_balanced();
        }
        if backwards {
            made.reverse();
        }
        for (n, id) in (150..).zip(made) {
            once.deallocate(n, payment, id).unwrap();
            once.assert_balanced();
        }
        prop_assert_eq!(once.ledger(), never.ledger());
    }

    /// Whatever people did before, the same events end in the same ledger, in any order and however often they are told.
    #[test]
    fn what_providers_say_counts_in_any_order_beside_what_people_did(
        steps in proptest::collection::vec(step(), 1..15),
        (events, order) in (1..8_usize).prop_flat_map(|count| {
            let order = proptest::collection::vec(0..count, 0..2 * count);
            let shuffled = Just((0..count).collect::<Vec<_>>()).prop_shuffle();
            (proptest::collection::vec(told(), count), (order, shuffled).prop_map(|(mut a, b)| { a.extend(b); a }))
        }),
    ) {
        let mut rows = world();
        let mut money = Vec::new();
        for (n, step) in (1..).zip(&steps) {
            go(&mut rows, n, step, &mut money);
        }
        let (mut straight, mut shuffled) = (rows.clone(), rows);
        for (n, step) in (100..).zip(&events) {
            go(&mut straight, n, step, &mut money);
        }
        for index in order {
            let n = 100 + u32::try_from(index).unwrap();
            go(&mut shuffled, n, &events[index], &mut money);
            shuffled.assert_balanced();
        }
        prop_assert_eq!(straight.ledger(), shuffled.ledger());
    }
}

#[test]
fn what_a_person_had_a_hand_in_plixo_applies_no_more_of_by_itself() {
    let (open, other) = (invoice(1, 100), invoice(2, 100));
    let mut rows = Rows::with(&[open.clone(), other.clone()]);
    let function = Actor { kind: ActorKind::Function, id: "worker-cash".into(), role: None };
    let may = |rows: &Rows, id: &str| rows.payment(id).may_apply_itself();
    rows.money("pi_1", 300, None);
    let of = rows.payment("pi_1").id;
    assert!(may(&rows, "pi_1"));
    let wanted = [(open.id, eur(100))];
    let made = rows.act(|book| allocate(book, &of, &wanted, &function, &mut later(1))).unwrap();
    assert!(may(&rows, "pi_1"), "its own choice is nobody else's");
    let mine = rows.allocate(2, of, &[(other.id, eur(50))]).unwrap();
    assert!(!may(&rows, "pi_1"), "a person is at it");
    rows.deallocate(3, of, mine[0]).unwrap();
    assert!(!may(&rows, "pi_1"), "a person took something back");
    rows.deallocate(4, of, made.id[0]).unwrap();
    assert_eq!(rows.payment("pi_1").unapplied(), Some(eur(300)));
    assert!(!may(&rows, "pi_1"));

    rows.money("pi_2", 100, Some(other.id));
    assert!(!may(&rows, "pi_2"), "nothing is unapplied");
    rows.money("pi_3", 100, Some(other.id));
    assert!(
        rows.payment("pi_3").unapplied() == Some(eur(100)) && !may(&rows, "pi_3"),
        "it is for an invoice"
    );
    let named = *rows.payment("pi_2").allocations.keys().next().unwrap();
    let second = rows.payment("pi_2").id;
    rows.deallocate(5, second, named).unwrap();
    assert!(!may(&rows, "pi_2"));
    rows.money("pi_4", 100, None);
    rows.pay(&news("pi_4", 20, 2, dispute(DisputeState::Open, 100)), 9);
    assert!(!may(&rows, "pi_4"), "disputed");
}

#[test]
fn a_stripe_payment_is_of_stripe() {
    let mut rows = Rows::default();
    rows.money("pi_1", 5, None);
    let payment: &Payment = rows.payment("pi_1");
    assert_eq!((payment.source(), payment.external_id()), (PaymentSource::Stripe, Some(&stripe("pi_1").id)));
}

#[test]
fn what_can_be_applied_now_is_looked_at_and_nothing_else() {
    let org = ids(88).make();
    let mut rows = Rows::with(&[invoice(1, 100)]);
    let of = invoice(1, 100).id;
    let tasks = |book: &Book| -> Vec<serde_json::Value> {
        cash_tasks(&org, book).iter().map(|task| serde_json::to_value(task).unwrap()).collect()
    };
    let told = |rows: &Rows, news: &PaymentNews| {
        let mut book = Book::default();
        while let Err(Unread(names)) = tell_payment(&mut book, news, &actor(), &mut ids(3)) {
            names.into_iter().for_each(|name| book.learn(name.clone(), rows.0.get(&name).cloned()));
        }
        book
    };
    let unnamed = news("pi_1", 10, 1, received(Witness::Intent, 100, 10, None));
    let expected = serde_json::json!({"v": 1, "org": org, "payment": {"provider": "stripe", "id": "pi_1"}});
    assert_eq!(tasks(&told(&rows, &unnamed)), std::slice::from_ref(&expected));
    let read: CashTask = serde_json::from_value(expected).unwrap();
    assert_eq!(read, CashTask::new(org, CashTaskOf::Payment(stripe("pi_1"))));
    let named = news("pi_2", 10, 1, received(Witness::Intent, 100, 10, Some(of)));
    assert_eq!(
        tasks(&told(&rows, &named)),
        [serde_json::Value::Null; 0],
        "a settled invoice, an applied payment"
    );
    rows.pay(&named, 4);
    let mut book = told(&rows, &news("pi_2", 20, 2, refund("re_1", RefundState::Succeeded, 100)));
    assert_eq!(tasks(&book), [serde_json::json!({"v": 1, "org": org, "invoice": of})], "owed again");
    book = book.committed();
    assert_eq!(tasks(&book), [serde_json::Value::Null; 0], "nothing changed since");
    let customer = rows.customer();
    let draft =
        rows.act(|book| create_invoice(book, new_invoice(customer, Some("RE-9")), &mut ids(5))).unwrap().id;
    let mut book = Book::default();
    while let Err(Stopped::Unread(names)) = finalize_invoice(&mut book, &draft, &person(), today()) {
        names.into_iter().for_each(|name| book.learn(name.clone(), rows.0.get(&name).cloned()));
    }
    assert_eq!(tasks(&book), [serde_json::json!({"v": 1, "org": org, "invoice": draft})]);
}
