use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::audit::{Actor, ActorKind};
use crate::id::{CustomerId, Ids, InvoiceId};
use crate::money::Money;
use crate::webhook::{ExternalRef, Provider};

pub(super) fn stripe(id: &str) -> ExternalRef {
    ExternalRef { provider: Provider::Stripe, id: id.parse().unwrap() }
}

pub(super) fn actor() -> Actor {
    Actor { kind: ActorKind::Provider, id: "whe".into(), role: None }
}

pub(super) fn ids(seed: u8) -> Ids {
    Ids::new("2026-11-21T08:00:00Z".parse().unwrap(), [seed; 10])
}

pub(super) fn eur(amount: i64) -> Money {
    Money::new(amount, "EUR".parse().unwrap())
}

pub(super) fn invoice(n: u8, total: i64) -> Invoice {
    Invoice {
        id: ids(n).make(),
        number: format!("INV-{n}"),
        customer_id: ids(200).make::<crate::id::Customer>(),
        state: InvoiceState::Open,
        total: eur(total),
        issued_on: None,
        due_on: None,
        body: Private::default(),
        claims: Default::default(),
        checkout: None,
        asked: None,
        ended_at: None,
        reference: None,
        erased: false,
    }
}

/// A payment of which nobody has said anything.
pub(super) fn payment() -> Payment {
    Payment {
        id: ids(1).make(),
        reference: ExternalRef { provider: Provider::Stripe, id: "pi_1".parse().unwrap() },
        money: Default::default(),
        received_at: None,
        named: Default::default(),
        shares: Vec::new(),
        customer: None,
        customer_id: None,
        refunded_total: None,
        refunds: Default::default(),
        disputes: Default::default(),
        payer: None,
        payer_hash: None,
        owners: Default::default(),
        choices: Vec::new(),
        undone: Default::default(),
        taken_back: false,
        allocations: Default::default(),
        erased: false,
    }
}

/// A row without what is remembered for good, even when all else is taken back, and what was learned of the invoices that it names meanwhile.
pub(super) fn forgetful(row: &Row) -> Row {
    match row {
        Row::Payment(payment) => {
            Row::Payment(Payment { taken_back: false, owners: Default::default(), ..payment.clone() })
        }
        row => row.clone(),
    }
}

/// A store that holds rows and nothing else.
#[derive(Default, Clone)]
pub(super) struct Rows(pub(super) std::collections::BTreeMap<RowKey, (Row, u64)>);

impl Rows {
    pub(super) fn with(invoices: &[Invoice]) -> Self {
        let row = |invoice: &Invoice| (Invoice::key(&invoice.id), (Row::Invoice(invoice.clone()), 1));
        Self(invoices.iter().map(row).collect())
    }

    pub(super) fn work<N, R>(&mut self, news: &N, tell: impl Fn(&mut Book, &N) -> Result<R, Unread>) -> R {
        let mut book = Book::default();
        for _ in 0..10 {
            match tell(&mut book, news) {
                Ok(told) => {
                    let mut touched = 0;
                    for (key, row, version) in book.changes() {
                        assert_eq!(self.0.get(key).map(|(_, v)| *v), version, "{key:?}");
                        self.0.insert(key.clone(), (row.clone(), version.unwrap_or(0) + 1));
                        touched += usize::from(matches!(key, RowKey::Payment(_) | RowKey::Invoice(_)));
                    }
                    for (key, version) in book.removals() {
                        assert_eq!(self.0.remove(key).map(|(_, v)| v), Some(version), "{key:?}");
                    }
                    assert!(touched <= MAX_TOUCHED, "{touched}");
                    return told;
                }
                Err(Unread(keys)) => {
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

    pub(super) fn pay(&mut self, news: &PaymentNews, seed: u8) -> Told {
        self.work(news, |book, news| tell_payment(book, news, &actor(), &mut ids(seed)))
    }

    pub(super) fn invoice(&self, id: &InvoiceId) -> &Invoice {
        Invoice::of(&self.0[&Invoice::key(id)].0).unwrap()
    }

    pub(super) fn payment(&self, id: &str) -> &Payment {
        Payment::of(&self.0[&Payment::key(&stripe(id))].0).unwrap()
    }

    pub(super) fn payments(&self) -> impl Iterator<Item = &Payment> {
        self.0.values().filter_map(|(row, _)| Payment::of(row))
    }

    pub(super) fn invoices(&self) -> impl Iterator<Item = &Invoice> {
        self.0.values().filter_map(|(row, _)| Invoice::of(row))
    }

    /// Everything but ids, which follow from who came first.
    pub(super) fn ledger(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for it in self.payments() {
            let mut allocations: Vec<_> = it.allocations.values().map(|a| (a.invoice, a.amount)).collect();
            allocations.sort_unstable();
            lines.push(format!(
                "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {allocations:?}",
                it.payer.as_ref().map(|(stamp, _)| stamp),
                it.reference,
                it.money,
                it.received_at,
                it.named,
                it.customer,
                it.refunded_total,
                it.refunds,
                it.disputes,
                it.status(),
                it.unapplied()
            ));
        }
        for it in self.invoices() {
            let claims = it.claims.values();
            let mut claims: Vec<_> = claims
                .map(|c| (&c.payment, c.chosen, c.received_at, c.wanted.amount, c.wanted.currency, c.applied))
                .collect();
            claims.sort_unstable();
            lines.push(format!("{} {:?} {:?} {claims:?}", it.number, it.status(), it.balance()));
        }
        lines
    }

    pub(super) fn assert_balanced(&self) {
        let mut by_claim = BTreeSet::new();
        for invoice in self.invoices() {
            let owed = matches!(invoice.state, InvoiceState::Open | InvoiceState::Uncollectible);
            let applied: i64 = invoice.claims.values().map(|claim| claim.applied).sum();
            assert!(applied <= if owed { invoice.total.amount } else { 0 }, "{invoice:?}");
            assert_eq!(invoice.balance().amount, invoice.total.amount - applied);
            assert!(invoice.claims.len() <= MAX_CLAIMS);
            for (id, claim) in &invoice.claims {
                assert_eq!(*id, claim.allocation);
                assert!((0..=claim.wanted.amount).contains(&claim.applied), "{claim:?}");
                if claim.applied > 0 {
                    assert_eq!(claim.wanted.currency, invoice.total.currency);
                    by_claim.insert((invoice.id, claim.payment.clone(), *id, claim.applied));
                }
            }
        }
        let mut by_payment = BTreeSet::new();
        for payment in self.payments() {
            let applied: i64 = payment.allocations.values().map(|allocation| allocation.amount).sum();
            let rest = payment.received() - payment.refunded() - payment.lost() - applied;
            assert!(rest >= 0, "{payment:?}");
            assert!(payment.unapplied().is_none_or(|money| money.amount == rest), "{payment:?}");
            assert!((0..=rest).contains(&payment.free()), "{payment:?}");
            for (id, allocation) in &payment.allocations {
                assert_eq!(*id, allocation.id);
                assert!(allocation.amount > 0);
                by_payment.insert((allocation.invoice, payment.reference.clone(), *id, allocation.amount));
                if let Some(choice) = payment.choice(id) {
                    assert!(allocation.amount <= choice.amount && choice.invoice == allocation.invoice);
                    assert_eq!(allocation.applied_by, choice.by);
                }
            }
        }
        assert_eq!(by_payment, by_claim, "both sides of every allocation agree");
    }
}

pub(super) fn news(reference: &str, at: i64, event: u32, parts: Vec<PaymentPart>) -> PaymentNews {
    let stamp = Stamp { at, event: format!("evt_{event}") };
    PaymentNews {
        reference: stripe(reference),
        stamp,
        currency: "EUR".parse().unwrap(),
        parts,
        customer: None,
    }
}

pub(super) fn received(
    witness: Witness,
    amount: i64,
    since: i64,
    invoice: Option<InvoiceId>,
) -> Vec<PaymentPart> {
    let mut parts = vec![PaymentPart::Money { witness, stage: Stage::Received, amount, since }];
    parts.extend(invoice.map(|invoice| PaymentPart::Names { witness, invoice }));
    parts
}

#[test]
fn money_told_by_three_witnesses_counts_once() {
    let open = invoice(1, 100);
    let mut rows = Rows::with(std::slice::from_ref(&open));
    for (n, witness) in [Witness::Charge, Witness::Intent, Witness::Session].into_iter().enumerate() {
        let n = u8::try_from(n).unwrap();
        rows.pay(&news("pi_1", 10 + i64::from(n), n.into(), received(witness, 100, 10, Some(open.id))), n);
        rows.assert_balanced();
        assert_eq!(rows.invoice(&open.id).status(), InvoiceStatus::Paid);
        assert_eq!(rows.payment("pi_1").unapplied(), Some(eur(0)));
    }
    assert_eq!(rows.payments().count(), 1);
}

#[test]
fn refunds_and_lost_disputes_reverse_allocations() {
    let open = invoice(1, 100);
    let mut rows = Rows::with(std::slice::from_ref(&open));
    rows.pay(&news("pi_1", 10, 1, received(Witness::Intent, 100, 10, Some(open.id))), 1);
    let refund = |state, amount| vec![PaymentPart::Refund { id: "re_1".parse().unwrap(), state, amount }];
    rows.pay(&news("pi_1", 20, 2, refund(RefundState::Pending, 30)), 2);
    rows.pay(&news("pi_1", 20, 3, vec![PaymentPart::RefundedTotal { amount: 30 }]), 3);
    assert_eq!(
        (rows.invoice(&open.id).balance(), rows.invoice(&open.id).status()),
        (eur(30), InvoiceStatus::PartiallyPaid)
    );
    assert_eq!(rows.payment("pi_1").status(), PaymentStatus::PartiallyRefunded);
    rows.pay(&news("pi_1", 30, 4, refund(RefundState::Failed, 30)), 4);
    assert_eq!(
        (rows.invoice(&open.id).balance(), rows.payment("pi_1").status()),
        (eur(0), PaymentStatus::Succeeded)
    );

    let dispute = |state| vec![PaymentPart::Dispute { id: "du_1".parse().unwrap(), state, amount: 100 }];
    rows.pay(&news("pi_1", 40, 5, dispute(DisputeState::Open)), 5);
    assert_eq!(
        (rows.invoice(&open.id).balance(), rows.payment("pi_1").status()),
        (eur(0), PaymentStatus::Disputed)
    );
    rows.pay(&news("pi_1", 50, 6, dispute(DisputeState::Lost)), 6);
    assert_eq!(
        (rows.invoice(&open.id).balance(), rows.invoice(&open.id).status()),
        (eur(100), InvoiceStatus::Open)
    );
    assert!(rows.payment("pi_1").allocations.is_empty());
    rows.assert_balanced();
}

#[test]
fn an_overpaid_invoice_leaves_the_rest_unapplied_and_earlier_money_goes_first() {
    let open = invoice(1, 100);
    let mut rows = Rows::with(std::slice::from_ref(&open));
    rows.pay(&news("pi_late", 50, 1, received(Witness::Intent, 80, 50, Some(open.id))), 1);
    rows.pay(&news("pi_early", 40, 2, received(Witness::Intent, 80, 40, Some(open.id))), 2);
    assert_eq!(rows.payment("pi_early").unapplied(), Some(eur(0)));
    assert_eq!(rows.payment("pi_late").unapplied(), Some(eur(60)));
    rows.assert_balanced();
}

#[test]
fn what_cannot_be_applied_stays_unapplied() {
    let mut void = invoice(1, 100);
    void.state = InvoiceState::Void;
    let mut draft = invoice(2, 100);
    draft.state = InvoiceState::Draft;
    let mut dollars = invoice(3, 100);
    dollars.total = Money::new(100, "USD".parse().unwrap());
    let missing = invoice(4, 100);
    let mut rows = Rows::with(&[void.clone(), draft.clone(), dollars.clone()]);
    for (n, invoice) in [void.id, draft.id, dollars.id, missing.id].into_iter().enumerate() {
        let n = u8::try_from(n).unwrap();
        rows.pay(
            &news(&format!("pi_{n}"), 10, n.into(), received(Witness::Intent, 100, 10, Some(invoice))),
            n,
        );
        assert_eq!(rows.payment(&format!("pi_{n}")).unapplied(), Some(eur(100)), "{n}");
    }
    rows.assert_balanced();
}

#[test]
fn a_failure_never_undoes_money_received() {
    let mut rows = Rows::with(&[]);
    let stage = |stage| vec![PaymentPart::Money { witness: Witness::Intent, stage, amount: 100, since: 10 }];
    assert_eq!(
        rows.pay(&news("pi_1", 10, 1, stage(Stage::Failed)), 1),
        Told::Learned(vec!["amount", "status"])
    );
    assert_eq!(rows.payment("pi_1").status(), PaymentStatus::Failed);
    assert_eq!(rows.payment("pi_1").unapplied(), Some(eur(0)));
    rows.pay(&news("pi_1", 30, 2, stage(Stage::Received)), 2);
    assert_eq!(rows.pay(&news("pi_1", 20, 3, stage(Stage::Failed)), 3), Told::Known);
    assert_eq!(rows.pay(&news("pi_1", 40, 4, stage(Stage::Canceled)), 4), Told::Known);
    assert_eq!(rows.payment("pi_1").status(), PaymentStatus::Succeeded);
}

#[test]
fn customers_follow_their_provider_in_any_order() {
    let said = |at, event: &str, name: Option<&str>| CustomerNews {
        reference: stripe("cus_1"),
        stamp: Stamp { at, event: event.into() },
        personal: name.map(|name| Personal { name: Some(name.into()), ..Personal::default() }),
        names: None,
    };
    let all = [said(1, "a", Some("old")), said(2, "b", Some("new")), said(3, "c", None)];
    let mut seen = BTreeSet::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut rows = Rows::default();
        for n in order {
            rows.work(&all[n], |book, news| tell_customer(book, news, &mut ids(9)));
        }
        let customer: Vec<_> = rows.0.values().filter_map(|(row, _)| Customer::of(row)).collect();
        assert_eq!(customer.len(), 1);
        assert_eq!(customer[0].told.as_ref().unwrap().1, Private::Plain(all[1].personal.clone().unwrap()));
        seen.insert(format!("{:?} {:?}", customer[0].links, customer[0].told));
    }
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_provider_customer_that_names_ours_is_ours() {
    let ours = Customer::new(ids(7).make::<crate::id::Customer>(), Personal::default());
    let mut rows = Rows::default();
    rows.0.insert(Customer::key(&ours.id), (Row::Customer(ours.clone()), 3));
    let news = CustomerNews {
        reference: stripe("cus_1"),
        stamp: Stamp { at: 1, event: "a".into() },
        personal: Some(Personal { email: Some("a@example.com".into()), ..Personal::default() }),
        names: Some(ours.id),
    };
    rows.work(&news, |book, news| tell_customer(book, news, &mut ids(9)));
    let customers: Vec<CustomerId> =
        rows.0.values().filter_map(|(row, _)| Customer::of(row)).map(|c| c.id).collect();
    assert_eq!(customers, [ours.id]);
}

pub(super) fn refund(id: &str, state: RefundState, amount: i64) -> Vec<PaymentPart> {
    vec![PaymentPart::Refund { id: id.parse().unwrap(), state, amount }]
}

pub(super) fn dispute(state: DisputeState, amount: i64) -> Vec<PaymentPart> {
    vec![PaymentPart::Dispute { id: "du_1".parse().unwrap(), state, amount }]
}

#[test]
fn a_failed_refund_told_again_leaves_later_refunds_alone() {
    let mut rows = Rows::with(&[]);
    rows.pay(&news("pi_1", 10, 1, received(Witness::Intent, 10_000, 10, None)), 1);
    rows.pay(&news("pi_1", 20, 2, vec![PaymentPart::RefundedTotal { amount: 3_000 }]), 2);
    rows.pay(&news("pi_1", 30, 3, refund("re_a", RefundState::Failed, 3_000)), 3);
    assert_eq!(rows.payment("pi_1").refunded(), 0);
    rows.pay(&news("pi_1", 40, 4, vec![PaymentPart::RefundedTotal { amount: 5_000 }]), 4);
    rows.pay(&news("pi_1", 50, 5, refund("re_a", RefundState::Failed, 3_000)), 5);
    assert_eq!(rows.payment("pi_1").refunded(), 5_000);
}

#[test]
fn an_appeal_turns_what_was_decided() {
    for (order, lost) in [([0, 1, 2], 0), ([2, 1, 0], 0), ([1, 0, 2], 0)] {
        let told = [
            news("pi_1", 10, 1, received(Witness::Intent, 2_000, 10, None)),
            news("pi_1", 50, 2, dispute(DisputeState::Lost, 2_000)),
            news("pi_1", 60, 3, dispute(DisputeState::Won, 2_000)),
        ];
        let mut rows = Rows::with(&[]);
        for n in order {
            rows.pay(&told[n], u8::try_from(n).unwrap());
        }
        assert_eq!(rows.payment("pi_1").lost(), lost);
    }
}

#[test]
fn what_goes_back_in_another_currency_takes_all_that_is_left() {
    let mut rows = Rows::with(&[]);
    rows.pay(&news("pi_1", 10, 1, received(Witness::Intent, 15_000, 10, None)), 1);
    let foreign = PaymentNews {
        currency: "USD".parse().unwrap(),
        ..news("pi_1", 20, 2, dispute(DisputeState::Lost, 100))
    };
    rows.pay(&foreign, 2);
    assert_eq!(rows.payment("pi_1").net(), 0);
}

#[test]
fn an_invoice_keeps_the_claims_of_the_earliest_money() {
    let open = invoice(1, 1_000);
    let count = u32::try_from(MAX_CLAIMS).unwrap() + 5;
    let told: Vec<_> = (0..count)
        .map(|n| {
            news(
                &format!("pi_{n}"),
                i64::from(n),
                n,
                received(Witness::Intent, 100, i64::from(n), Some(open.id)),
            )
        })
        .collect();
    let mut ledgers = BTreeSet::new();
    for backwards in [false, true] {
        let mut rows = Rows::with(std::slice::from_ref(&open));
        let order: Vec<_> = if backwards { told.iter().rev().collect() } else { told.iter().collect() };
        for (n, news) in (0..).zip(order) {
            rows.pay(news, n);
            rows.assert_balanced();
        }
        assert_eq!(rows.invoice(&open.id).claims.len(), MAX_CLAIMS);
        ledgers.insert(rows.ledger());
    }
    assert_eq!(ledgers.len(), 1);
}

#[test]
fn the_latest_note_says_whose_customer_it_is_in_any_order() {
    let ours = Customer::new(ids(7).make::<crate::id::Customer>(), Personal::default());
    let said = |at, names| CustomerNews {
        reference: stripe("cus_1"),
        stamp: Stamp { at, event: format!("e{at}") },
        personal: Some(Personal { name: Some(format!("at {at}")), ..Personal::default() }),
        names,
    };
    let told = [said(1, None), said(2, Some(ours.id)), said(3, None)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]] {
        let mut rows = Rows::default();
        rows.0.insert(Customer::key(&ours.id), (Row::Customer(ours.clone()), 1));
        for n in order {
            rows.work(&told[n], |book, news| tell_customer(book, news, &mut ids(9)));
        }
        let linked = CustomerRef::of(&rows.0[&CustomerRef::key(&stripe("cus_1"))].0).unwrap();
        assert_eq!(linked.customer, ours.id, "{order:?}");
        for (row, _) in rows.0.values() {
            if let Some(customer) = Customer::of(row) {
                assert_eq!(customer.links.is_empty(), customer.id != ours.id, "{order:?}");
                assert_eq!(customer.told.is_none(), customer.id != ours.id, "{order:?}");
            }
        }
    }
}

pub(super) fn part(invoices: Vec<InvoiceId>) -> impl Strategy<Value = Vec<PaymentPart>> {
    let witness = prop_oneof![Just(Witness::Intent), Just(Witness::Charge), Just(Witness::Session)];
    let stage =
        prop_oneof![Just(Stage::Pending), Just(Stage::Failed), Just(Stage::Canceled), Just(Stage::Received)];
    let refund =
        prop_oneof![Just(RefundState::Pending), Just(RefundState::Succeeded), Just(RefundState::Failed)];
    let dispute = prop_oneof![Just(DisputeState::Open), Just(DisputeState::Won), Just(DisputeState::Lost)];
    let id = |kind: &'static str| (0..2).prop_map(move |n| format!("{kind}_{n}").parse().unwrap());
    let named = proptest::option::of(proptest::sample::select(invoices));
    prop_oneof![
        6 => (witness, stage, 1..200_i64, 0..50_i64, named).prop_map(|(witness, stage, amount, since, named)| {
            let mut parts = vec![PaymentPart::Money { witness, stage, amount, since }];
            parts.extend(named.map(|invoice| PaymentPart::Names { witness, invoice }));
            parts
        }),
        1 => (0..200_i64).prop_map(|amount| vec![PaymentPart::RefundedTotal { amount }]),
        2 => (id("re"), refund, 0..100_i64).prop_map(|(id, state, amount)| vec![PaymentPart::Refund { id, state, amount }]),
        1 => (id("du"), dispute, 0..200_i64).prop_map(|(id, state, amount)| vec![PaymentPart::Dispute { id, state, amount }]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any order and any duplication of the same events end in the same ledger, and the books balance at every step.
    #[test]
    fn the_ledger_is_what_was_told_not_how(
        histories in (1..12_usize).prop_flat_map(|count| {
            let invoices = vec![invoice(1, 100).id, invoice(2, 150).id];
            let told = (0..4_u8, 0..20_i64, part(invoices));
            let told = proptest::collection::vec(told, count);
            (told, proptest::collection::vec(0..count, count..=3 * count), any::<u64>())
        })
    ) {
        let (told, repeats, shuffle) = histories;
        let told: Vec<_> = (0..).zip(told).map(|(n, (payment, at, parts))| news(&format!("pi_{payment}"), at, n, parts)).collect();
        let start = Rows::with(&[invoice(1, 100), invoice(2, 150)]);

        let mut straight = start.clone();
        for (n, news) in told.iter().enumerate() {
            straight.pay(news, u8::try_from(n).unwrap());
            straight.assert_balanced();
        }
        let mut order: Vec<usize> = (0..told.len()).chain(repeats).collect();
        let mut state = shuffle;
        for n in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order.swap(n, usize::try_from(state >> 33).unwrap() % (n + 1));
        }
        let mut shuffled = start;
        for (n, index) in order.into_iter().enumerate() {
            shuffled.pay(&told[index], u8::try_from(100 + n).unwrap());
            shuffled.assert_balanced();
        }
        prop_assert_eq!(straight.ledger(), shuffled.ledger());
    }
}
