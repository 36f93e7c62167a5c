use plixo_cash::{GaveUp, Reason, Suggestion};
use plixo_domain::audit::{Actor, ActorKind};
use plixo_domain::id::{AllocationId, Ids, PaymentId};
use plixo_domain::ledger::staff::{
    NewInvoice, NewOrganisation, NewPayment, RecordedSource, Stopped, allocate, create_customer,
    create_invoice, create_organisation, deallocate, finalize_invoice, mark_uncollectible, record_payment,
    void_invoice,
};
use plixo_domain::ledger::{Book, Line, PaymentPointer, Personal, Residency};
use plixo_store::Page;
use plixo_testing::{FakeKms, FakeTables, Faults, entropy};

use super::*;

const NOW: &str = "2026-06-15T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn eur(amount: i64) -> Money {
    Money::new(amount, "EUR".parse().unwrap())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(work)
}

fn person() -> Actor {
    Actor { kind: ActorKind::Member, id: "mem_1".into(), role: Some("billing_admin".into()) }
}

/// A stack with an organisation.
#[derive(Clone)]
struct World {
    tables: FakeTables,
    kms: FakeKms,
    faults: Faults,
    org: OrgId,
}

fn ids() -> Ids {
    Ids::drawn(now(), hashed(entropy().unwrap()))
}

/// The counter's bytes where ids look for them.
fn hashed(drawn: [u8; 32]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[2..10].copy_from_slice(&drawn[..8]);
    bytes
}

impl World {
    async fn new() -> Self {
        let faults = Faults::default();
        let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::new(faults.clone()));
        let world = Self { tables, kms, faults, org: ids().make() };
        world.begin().await;
        world
    }

    /// Another organisation of the same stack.
    async fn other(&self) -> Self {
        let world = Self { org: ids().make(), ..self.clone() };
        world.begin().await;
        world
    }

    async fn begin(&self) {
        let store = self.store();
        store.create_data_key(&self.org, &self.kms).await.unwrap();
        let new = NewOrganisation { name: "Nordlicht".into(), residency: Residency::Eu };
        self.act(|book| create_organisation(book, self.org, new.clone())).await;
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    /// Acts on the ledger until all rows that it needs were read, and commits.
    async fn act<R>(&self, act: impl Fn(&mut Book) -> Result<R, Stopped>) -> R {
        let (store, mut book) = (self.store(), Book::default());
        loop {
            match act(&mut book) {
                Ok(done) => {
                    if book.changes().next().is_some() {
                        store.commit(&self.org, &book, None, &[], now()).await.unwrap();
                    }
                    return done;
                }
                Err(Stopped::Unread(names)) => {
                    let rows = store.read(&self.org, names).await.unwrap();
                    rows.into_iter().for_each(|(name, row)| book.learn(name, row));
                }
                Err(Stopped::Refused(error)) => panic!("{error}"),
            }
        }
    }

    async fn customer(&self, name: &str) -> CustomerId {
        let (personal, ids) = (Personal { name: Some(name.into()), ..Personal::default() }, ids());
        self.act(|book| create_customer(book, personal.clone(), &mut ids.clone())).await.id
    }

    async fn draft(&self, customer_id: CustomerId, number: &str, amount: i64) -> InvoiceId {
        let line = Line {
            description: "Work".into(),
            quantity: "1".parse().unwrap(),
            unit_price: eur(amount),
            tax_percent: None,
        };
        let new = NewInvoice {
            customer_id,
            number: Some(number.into()),
            lines: vec![line],
            memo: None,
            due_on: None,
        };
        let ids = ids();
        self.act(|book| create_invoice(book, new.clone(), &mut ids.clone())).await.id
    }

    async fn send(&self, id: InvoiceId) {
        self.act(|book| finalize_invoice(book, &id, &person(), "2026-06-01".parse().unwrap())).await;
    }

    async fn open(&self, customer: CustomerId, number: &str, amount: i64) -> InvoiceId {
        let id = self.draft(customer, number, amount).await;
        self.send(id).await;
        id
    }

    /// Money by bank.
    async fn money(&self, amount: i64, from: &str, text: &str) -> PaymentId {
        let new = NewPayment {
            source: RecordedSource::Bank,
            amount: eur(amount),
            received_on: "2026-06-14".parse().unwrap(),
            customer_id: None,
            payer_name: (!from.is_empty()).then(|| from.into()),
            remittance: (!text.is_empty()).then(|| text.into()),
            external_id: None,
        };
        let ids = ids();
        self.act(|book| record_payment(book, new.clone(), &mut ids.clone(), now())).await.id
    }

    async fn allocate(&self, payment: PaymentId, to: &[(InvoiceId, i64)]) -> Vec<AllocationId> {
        let to: Vec<_> = to.iter().map(|(invoice, amount)| (*invoice, eur(*amount))).collect();
        let ids = ids();
        self.act(|book| allocate(book, &payment, &to, &person(), &mut ids.clone())).await.id
    }

    async fn deallocate(&self, payment: PaymentId, allocation: AllocationId) {
        let ids = ids();
        self.act(|book| deallocate(book, &payment, &allocation, &person(), &mut ids.clone())).await;
    }

    async fn row<R: Kept + Clone>(&self, name: &R::Name) -> Option<R> {
        let rows = self.store().read(&self.org, vec![R::key(name)]).await.unwrap();
        rows.into_iter().find_map(|(_, row)| row).and_then(|(row, _)| R::of(&row).cloned())
    }

    async fn payment(&self, id: PaymentId) -> Payment {
        let pointer: PaymentPointer = self.row(&id).await.unwrap();
        self.row(&pointer.reference).await.unwrap()
    }

    async fn organisation(&self) -> Organisation {
        self.row(&()).await.unwrap()
    }

    /// What is found, and how many calls that took with the organisation's key in memory.
    async fn found(&self, id: PaymentId, depth: Depth) -> (Found, usize) {
        let (store, organisation, payment) =
            (self.store(), self.organisation().await, self.payment(id).await);
        let payer = store.open_payer(&self.org, &payment, now()).await.unwrap();
        store.keyed_hash(&self.org, "warm", "", now()).await.unwrap();
        let before = self.faults.calls();
        let found = suggestions(&store, &organisation, (&payment, &payer), depth, now()).await.unwrap();
        (found, self.faults.calls() - before)
    }

    async fn all(&self, id: PaymentId) -> Vec<Suggestion> {
        let (found, calls) = self.found(id, Depth::Everything).await;
        assert!(calls <= 4, "{calls} calls");
        found.suggested.suggestions
    }

    async fn owed(&self, list: List) -> Vec<InvoiceId> {
        let (owed, more) = self.store().owed(&self.org, &list, 100).await.unwrap();
        assert!(!more);
        let page = Page { after: None, descending: false, limit: 100 };
        let listed = self.store().list(&self.org, &list, page, now()).await.unwrap();
        let rows: Vec<_> = listed.rows.iter().filter_map(|(row, _)| Invoice::of(row)).collect();
        let with_customers: Vec<_> = rows.iter().map(|row| (row.id, row.customer_id)).collect();
        assert_eq!(owed, with_customers, "the places say what the rows do");
        owed.into_iter().map(|(id, _)| id).collect()
    }
}

fn to(suggestion: &Suggestion) -> Vec<(InvoiceId, i64)> {
    suggestion.allocations.iter().map(|(id, money)| (*id, money.amount)).collect()
}

#[test]
fn an_invoice_is_listed_as_owed_exactly_while_it_is() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let id = world.draft(customer, "RE-1", 500).await;
        let payment = world.money(2_000, "", "").await;
        let check = async |open: Option<i64>, what: &str| {
            for amount in [500, 300, 200] {
                let expected: &[_] = if open == Some(amount) { &[id] } else { &[] };
                assert_eq!(world.owed(List::OwedOfAmount(eur(amount))).await, expected, "{what}: {amount}");
            }
            let dollars = Money::new(500, "USD".parse().unwrap());
            assert_eq!(world.owed(List::OwedOfAmount(dollars)).await, []);
            let expected: &[_] = if open.is_some() { &[id] } else { &[] };
            assert_eq!(world.owed(List::OwedOfCustomer(customer)).await, expected, "{what}");
        };
        check(None, "a draft").await;
        world.send(id).await;
        check(Some(500), "open").await;
        let first = world.allocate(payment, &[(id, 200)]).await;
        check(Some(300), "partially paid").await;
        let second = world.allocate(payment, &[(id, 300)]).await;
        check(None, "paid").await;
        world.deallocate(payment, second[0]).await;
        check(Some(300), "partially paid again").await;
        world.act(|book| mark_uncollectible(book, &id, now())).await;
        check(Some(300), "uncollectible: still owed, and paid if money comes").await;
        world.deallocate(payment, first[0]).await;
        check(Some(500), "uncollectible").await;
        world.act(|book| void_invoice(book, &id, now())).await;
        check(None, "void").await;
    });
}

#[test]
fn a_named_invoice_that_is_paid_exactly_takes_three_reads() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let id = world.open(customer, "RE-2026-0042", 12_345).await;
        world.open(customer, "RE-2026-0043", 500).await;
        let payment = world.money(12_345, "WEBER GMBH", "Rechnung RE-2026-0042").await;
        let (found, calls) = world.found(payment, Depth::UntilSure).await;
        assert_eq!((found.suggested.verdict, calls), (Verdict::Automatic, 3));
        let [first] = found.suggested.suggestions.as_slice() else { panic!() };
        assert_eq!((to(first), first.confidence.thousandths()), (vec![(id, 12_345)], 990));
        let (all, calls) = world.found(payment, Depth::Everything).await;
        assert_eq!((all.suggested.verdict, calls), (Verdict::Automatic, 4));
        assert_eq!(to(&all.suggested.suggestions[0]), [(id, 12_345)]);
    });
}

#[test]
fn nothing_is_read_for_nothing() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let id = world.open(customer, "RE-1", 500).await;
        let payment = world.money(500, "", "RE-1").await;
        world.allocate(payment, &[(id, 500)]).await;
        let (found, calls) = world.found(payment, Depth::Everything).await;
        assert_eq!((found.suggested.suggestions.len(), found.rows.len(), calls), (0, 0, 0));
    });
}

#[test]
fn what_is_paid_or_withdrawn_is_understood_and_gets_nothing() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let paid = world.open(customer, "RE-1001", 500).await;
        let earlier = world.money(500, "", "").await;
        world.allocate(earlier, &[(paid, 500)]).await;
        let void = world.open(customer, "RE-1002", 700).await;
        world.act(|book| void_invoice(book, &void, now())).await;
        let open = world.open(customer, "RE-1003", 500).await;
        let again = world.money(500, "Weber GmbH", "RE-1001").await;
        let shown = world.all(again).await;
        assert!(!shown.is_empty());
        for suggestion in &shown {
            assert_eq!(to(suggestion), [(open, 500)]);
            let settled =
                |reason: &Reason| matches!(reason, Reason::NamesSettled { number } if number == "RE-1001");
            assert!(suggestion.reasons.iter().any(settled), "{:?}", suggestion.reasons);
        }
        let of_void = world.money(700, "Weber GmbH", "RE-1002").await;
        assert!(world.all(of_void).await.iter().all(|it| !to(it).contains(&(void, 700))));
    });
}

#[test]
fn of_more_than_are_read_the_answer_knows() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Abo GmbH").await;
        for n in 0..=MAX_OF_AMOUNT {
            world.open(customer, &format!("AB-{:04}", 1_000 + n), 4_900).await;
        }
        let last = format!("AB-{:04}", 1_000 + MAX_OF_AMOUNT);
        let named = world.money(4_900, "", &last).await;
        assert_eq!(world.found(named, Depth::UntilSure).await.0.suggested.verdict, Verdict::Automatic);
        let unnamed = world.money(4_900, "Abo GmbH", "").await;
        let shown = world.all(unnamed).await;
        assert!(!shown.is_empty());
        for it in shown {
            assert!(
                it.reasons.iter().any(|it| matches!(it, Reason::OthersOfAmount { .. })),
                "{:?}",
                it.reasons
            );
        }
        for n in 0..MAX_OF_CUSTOMER {
            world.open(customer, &format!("AC-{:04}", 1_000 + n), 10 + i64::try_from(n).unwrap()).await;
        }
        let payment = world.money(21, "Unknown", "").await;
        let told = Payment { customer_id: Some(customer), ..world.payment(payment).await };
        let store = world.store();
        let payer = Payer::default();
        let found =
            suggestions(&store, &world.organisation().await, (&told, &payer), Depth::Everything, now()).await;
        assert_eq!(found.unwrap().suggested.gave_up, Some(GaveUp::Sums), "there are more of the customer's");
    });
}

#[test]
fn who_paid_before_is_known_by_the_hash_of_the_name() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Holding AG").await;
        for n in 0..2 {
            let id = world.open(customer, &format!("RE-100{n}"), 100 + n).await;
            let payment = world.money(100 + n, "Erika Mustermann", "").await;
            world.allocate(payment, &[(id, 100 + n)]).await;
        }
        let open =
            [world.open(customer, "RE-2001", 3_000).await, world.open(customer, "RE-2002", 4_000).await];
        let payment = world.money(7_000, "MUSTERMANN ERIKA", "").await;
        let none = world.all(payment).await;
        assert!(none.is_empty(), "another order of words is another hash: {none:?}");
        let payment = world.money(7_000, "Erika MUSTERMANN", "").await;
        let shown = world.all(payment).await;
        assert_eq!(to(&shown[0]), open.map(|id| if id == open[0] { (id, 3_000) } else { (id, 4_000) }));
        assert!(shown[0].reasons.contains(&Reason::PayerSeen));
        let total: i64 = shown[0].allocations.iter().map(|(_, money)| money.amount).sum();
        assert_eq!(total + shown[0].unapplied.amount, 7_000);
    });
}

#[test]
fn the_customer_of_what_is_named_explains_the_rest() {
    block_on(async {
        let world = World::new().await;
        let customer = world.customer("Weber GmbH").await;
        let (one, two) =
            (world.open(customer, "RE-1001", 500).await, world.open(customer, "RE-1002", 700).await);
        let payment = world.money(1_200, "", "RE-1001 und weitere").await;
        let shown = world.all(payment).await;
        assert!(shown.iter().any(|it| to(it) == [(one, 500), (two, 700)]), "{shown:?}");
    });
}

#[test]
fn nothing_of_another_organisation_is_found() {
    block_on(async {
        let world = World::new().await;
        let other = world.other().await;
        let customer = other.customer("Weber GmbH").await;
        other.open(customer, "RE-1001", 500).await;
        let payment = world.money(500, "Weber GmbH", "RE-1001").await;
        let (found, _) = world.found(payment, Depth::Everything).await;
        assert!(found.suggested.suggestions.is_empty());
        assert!(found.rows.iter().all(|(_, row)| row.is_none()));
    });
}

#[test]
fn rules_are_as_the_organisation_set_them() {
    let set = |percent, amount| {
        let underpayment_tolerance = UnderpaymentTolerance { percent, amount };
        rules(&CashApplication { underpayment_tolerance, ..CashApplication::default() }).tolerance
    };
    assert_eq!(rules(&CashApplication::default()), Rules::default());
    assert_eq!(set(None, None), Tolerance::default());
    assert_eq!(set(Some(50), None), Tolerance::new(50, 500));
    assert_eq!(set(None, Some(200)), Tolerance::new(100, 200));
    assert_eq!(set(Some(50), Some(200)), Tolerance::new(50, 200));
    assert_eq!(set(Some(0), Some(500)), Tolerance::new(0, 500));
    let raised =
        CashApplication { threshold: 98, order: AllocationOrder::LargestFirst, ..Default::default() };
    let rules = rules(&raised);
    assert_eq!((rules.automatic_from.thousandths(), rules.order), (980, Order::Largest));
}
