use std::collections::BTreeMap;

use futures::future::join_all;
use jiff::{Timestamp, ToSpan};
use plixo_domain::id::{AllocationId, CustomerId, Ids, InvoiceId};
use plixo_domain::ledger::{
    Claim, Invoice, InvoiceState, Overview, Payment, Private, Row, Stage, Stamp, Statement, Witness,
};
use plixo_domain::money::{Currency, Money};
use plixo_domain::webhook::{ExternalRef, Provider};
use plixo_lambda::clock;
use plixo_store::{AttributeValue, Table};
use plixo_testing::{FakeKms, FakeTables, Fault, Faults, entropy};
use proptest::prelude::*;
use serde_json::json;
use tokio::time::timeout;

use super::*;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

fn at() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn today() -> Date {
    clock::now().to_zoned(TimeZone::UTC).date()
}

/// Tables with two organisations, and every change that the stream told so far.
#[derive(Clone)]
struct Stack {
    tables: FakeTables,
    faults: Faults,
    orgs: [OrgId; 2],
}

/// An invoice or a payment to be written: which, of which organisation, and its money.
#[derive(Debug, Clone, Copy)]
struct Written {
    org: usize,
    which: u8,
    amount: i64,
    back: i64,
    /// Due or received so many days from now.
    days: i32,
    euro: bool,
}

impl Written {
    fn money(&self) -> Money {
        Money::new(self.amount, if self.euro { "EUR" } else { "USD" }.parse().unwrap())
    }

    fn row(&self) -> Row {
        let mut ids = Ids::new(at(), [self.which; 10]);
        let back = self.back.min(self.amount);
        let reference =
            |n: u8| ExternalRef { provider: Provider::Stripe, id: format!("pi_{n}").parse().unwrap() };
        let day = today().saturating_add(self.days.days());
        if self.which.is_multiple_of(2) {
            let (id, customer_id, allocation): (InvoiceId, CustomerId, AllocationId) =
                (ids.make(), ids.make(), ids.make());
            let wanted = Money { amount: back, ..self.money() };
            let payment = reference(200);
            let claim = Claim { payment, received_at: 0, wanted, applied: back, allocation, chosen: false };
            Row::Invoice(Invoice {
                id,
                number: self.which.to_string(),
                customer_id,
                state: if self.amount % 7 == 0 { InvoiceState::Void } else { InvoiceState::Open },
                total: self.money(),
                issued_on: None,
                due_on: Some(day),
                body: Private::Sealed(vec![1]),
                claims: BTreeMap::from([(allocation, claim)]),
                checkout: None,
                asked: None,
                ended_at: None,
                reference: None,
                erased: false,
            })
        } else {
            let stamp = Stamp { at: 1, event: "evt".to_owned() };
            let Money { amount, currency } = self.money();
            let said = Statement { state: Stage::Received, stamp, amount, currency };
            let received = day.min(today()).to_zoned(TimeZone::UTC).unwrap().timestamp();
            Row::Payment(Payment {
                id: ids.make(),
                reference: reference(self.which),
                money: BTreeMap::from([(Witness::Intent, said)]),
                received_at: Some(received.as_second()),
                named: BTreeMap::new(),
                shares: Vec::new(),
                customer: None,
                customer_id: None,
                refunded_total: (back > 0).then_some((2, back)),
                refunds: BTreeMap::new(),
                disputes: BTreeMap::new(),
                payer: None,
                payer_hash: None,
                choices: Vec::new(),
                undone: Default::default(),
                taken_back: false,
                owners: Default::default(),
                allocations: BTreeMap::new(),
                erased: false,
            })
        }
    }
}

impl Stack {
    fn new() -> Self {
        let faults = Faults::default();
        let orgs = [1, 2].map(|seed| Ids::new(at(), [seed; 10]).make());
        Self { tables: FakeTables::new(faults.clone()), faults, orgs }
    }

    /// The same as it would go on by itself.
    fn fork(&self) -> Self {
        let faults = Faults::default();
        Self { tables: self.tables.fork(faults.clone()), faults, orgs: self.orgs }
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), FakeKms::default(), entropy)
    }

    async fn write(&self, written: Written) -> (String, String) {
        let org = self.orgs[written.org];
        let row = written.row();
        let name = match &row {
            Row::Invoice(row) => RowKey::Invoice(row.id),
            Row::Payment(row) => RowKey::Payment(row.reference.clone()),
            _ => panic!("no invoice and no payment"),
        };
        let store = self.store();
        loop {
            let mut book = Book::default();
            for (name, stored) in store.read(&org, vec![name.clone()]).await.unwrap() {
                book.learn(name, stored);
            }
            match row.clone() {
                Row::Invoice(row) => book.put(row).unwrap(),
                Row::Payment(row) => book.put(row).unwrap(),
                _ => panic!("no invoice and no payment"),
            }
            if book.changes().next().is_none() || store.commit(&org, &book, None, &[], at()).await.is_ok() {
                let key = keys::row(&org, &name);
                return (key.pk, key.sk);
            }
        }
    }

    async fn run(&self, told: &[(String, String)]) -> Vec<String> {
        let record = |(n, (pk, sk)): (usize, &(String, String))| {
            json!({"eventName": "MODIFY", "dynamodb": {"Keys": {"pk": {"S": pk}, "sk": {"S": sk}},
                "SequenceNumber": format!("{n}"), "ApproximateCreationDateTime": 1_795_000_000.0,
                "StreamViewType": "KEYS_ONLY"}})
        };
        let records: Vec<_> = told.iter().enumerate().map(record).collect();
        let batch: Batch = serde_json::from_value(json!({"Records": records})).unwrap();
        let response = Worker::new(self.store()).run(&batch).await;
        response.failed().map(str::to_owned).collect()
    }

    async fn recount(&self, org: usize, told: impl Fn(Progress)) -> Result<Progress, TaskError> {
        Worker::new(self.store()).recount(&self.orgs[org], clock::now(), told).await
    }

    /// What an overview would show of the totals that are stored this moment.
    fn shown_now(&self, key: &plixo_store::Key) -> Vec<Overview> {
        let row = self.tables.dump()[key]["row"].as_s().unwrap().clone();
        serde_json::from_str::<Totals>(&row).unwrap().overview(today()).unwrap()
    }

    async fn overview(&self, org: usize) -> Vec<Overview> {
        let read = self.store().read(&self.orgs[org], vec![RowKey::Totals]).await.unwrap();
        let row = read.into_iter().find_map(|(_, row)| row);
        let totals = row.and_then(|(row, _)| Totals::of(&row).cloned()).unwrap_or_default();
        totals.overview(today()).unwrap()
    }

    /// Whether the sums are those of all rows there are.
    async fn assert_exact(&self) {
        for (n, org) in self.orgs.iter().enumerate() {
            let dump = self.tables.dump();
            let names = dump.keys().filter_map(|key| keys::countable(&key.pk, &key.sk));
            let names: Vec<_> = names.filter(|(of, _)| of == org).map(|(_, of)| of.row()).collect();
            let rows = self.store().read(org, names).await.unwrap();
            let rows: Vec<_> = rows.into_iter().filter_map(|(_, row)| row).map(|(row, _)| row).collect();
            let shown = self.overview(n).await;
            for currency in ["EUR", "USD"].map(|code| code.parse::<Currency>().unwrap()) {
                let (mut open, mut overdue, mut received) = (0, 0, BTreeMap::new());
                for row in &rows {
                    match row {
                        Row::Invoice(it)
                            if it.total.currency == currency && it.state == InvoiceState::Open =>
                        {
                            open += it.balance().amount;
                            overdue += if it.due_on < Some(today()) { it.balance().amount } else { 0 };
                        }
                        Row::Payment(it) if it.amount().unwrap().currency == currency => {
                            let month = it.received_on().unwrap().first_of_month();
                            *received.entry(month).or_insert(0) += it.net();
                        }
                        _ => {}
                    }
                }
                let of_currency = shown.iter().find(|it| it.currency == currency);
                let owed = of_currency.map(|it| (it.open.amount, it.overdue.amount)).unwrap_or_default();
                assert_eq!(owed, (open, overdue));
                for (month, money) in of_currency.iter().flat_map(|it| &it.months) {
                    assert_eq!(money.amount, received.get(month).copied().unwrap_or_default(), "{month}");
                }
                if of_currency.is_none() {
                    let first = today().first_of_month().saturating_sub(11.months());
                    assert!(received.iter().all(|(month, sum)| *month < first || *sum == 0));
                }
            }
        }
    }

    async fn furnish(&self, rows: u8) -> Vec<(String, String)> {
        let mut told = Vec::new();
        for which in 0..rows {
            let days = i32::from(which) * 3 - 60;
            let (org, amount) = (usize::from(which % 3 == 0), 1_000 + i64::from(which));
            told.push(self.write(Written { org, which, amount, back: 300, days, euro: which % 5 > 0 }).await);
        }
        told
    }
}

#[test]
fn the_sums_follow_the_ledger_and_the_same_records_again_change_nothing() {
    block_on(async {
        let stack = Stack::new();
        let told = stack.furnish(40).await;
        assert!(stack.run(&told).await.is_empty());
        stack.assert_exact().await;
        let before = stack.tables.dump();
        assert!(stack.run(&told).await.is_empty());
        assert_eq!(stack.tables.dump(), before);
        let other = Written { org: 1, which: 0, amount: 70, back: 7, days: 5, euro: false };
        let told = vec![stack.write(other).await];
        stack.run(&told).await;
        stack.assert_exact().await;
        assert_ne!(stack.tables.dump(), before);
    });
}

#[test]
fn a_batch_of_an_organisation_costs_a_read_and_a_transaction_for_49_rows() {
    block_on(async {
        let stack = Stack::new();
        let mut told = Vec::new();
        for which in 0..98 {
            told.push(stack.write(Written { org: 0, which, amount: 8, back: 0, days: 9, euro: true }).await);
        }
        told.extend(told.clone());
        let before = stack.faults.calls();
        assert!(stack.run(&told).await.is_empty());
        assert_eq!(stack.faults.calls() - before, 4);
        stack.assert_exact().await;
        let before = stack.faults.calls();
        stack.run(&told).await;
        assert_eq!(stack.faults.calls() - before, 2);
    });
}

#[test]
fn whatever_goes_wrong_at_any_call_it_comes_to_the_same() {
    block_on(async {
        let stack = Stack::new();
        let told = stack.furnish(20).await;
        for fault in Fault::ALL {
            for call in 0..4 {
                let stack = stack.fork();
                stack.faults.plan(call, fault);
                let failed = stack.run(&told).await;
                assert!(!failed.is_empty() && failed.len() < told.len(), "the other organisation is done");
                stack.faults.clear();
                assert!(stack.run(&told).await.is_empty());
                stack.assert_exact().await;
            }
        }
    });
}

#[test]
fn a_row_that_cannot_be_read_holds_up_no_other() {
    block_on(async {
        let stack = Stack::new();
        let mut told = stack.furnish(20).await;
        let (pk, sk) = told[4].clone();
        let key = plixo_store::Key { table: Table::Ledger, pk, sk };
        let sound = stack.tables.dump()[&key].clone();
        let mut item = sound.clone();
        item.insert("v".to_owned(), AttributeValue::N("99".to_owned()));
        stack.tables.place(key.clone(), item);
        told.push(("org_nobody#x".to_owned(), "invoice".to_owned()));
        assert!(stack.run(&told).await.is_empty());
        // Mending it is a change.
        stack.tables.place(key, sound);
        stack.run(&told[4..5]).await;
        stack.assert_exact().await;
    });
}

#[test]
fn sums_that_cannot_be_read_hold_up_no_other_organisation_and_are_counted_anew() {
    block_on(async {
        let stack = Stack::new();
        let told = stack.furnish(6).await;
        stack.run(&told).await;
        let key = keys::row(&stack.orgs[0], &RowKey::Totals);
        let mut odd = stack.tables.dump()[&key].clone();
        odd.insert("row".to_owned(), AttributeValue::S("{}".to_owned()));
        stack.tables.place(key, odd);
        let mut changed = Vec::new();
        for org in [0, 1] {
            changed
                .push(stack.write(Written { org, which: 0, amount: 70, back: 1, days: 9, euro: true }).await);
        }
        // Nothing is handed out again: in the stream other organisations' changes come after these.
        assert!(stack.run(&changed).await.is_empty());
        stack.recount(0, |_| ()).await.unwrap();
        stack.assert_exact().await;
    });
}

#[test]
fn all_rows_are_counted_anew_whatever_the_sums_were_and_shown_when_they_are() {
    block_on(async {
        let stack = Stack::new();
        let mut told = Vec::new();
        for which in 0..120 {
            let written =
                Written { org: 0, which, amount: 900, back: 5, days: 9 - i32::from(which), euro: true };
            told.push(stack.write(written).await);
        }
        stack.run(&told).await;
        // Sums that are not those of the rows.
        let key = keys::row(&stack.orgs[0], &RowKey::Totals);
        let mut broken = stack.tables.dump()[&key].clone();
        let row = broken["row"].as_s().unwrap().replace("\"past\":", "\"past\":7");
        assert_ne!(&row, broken["row"].as_s().unwrap());
        broken.insert("row".to_owned(), AttributeValue::S(row));
        stack.tables.place(key.clone(), broken);
        let (before, parts) = (stack.overview(0).await, std::cell::RefCell::new(Vec::new()));
        let done =
            stack.recount(0, |progress| parts.borrow_mut().push((progress, stack.shown_now(&key)))).await;
        assert_eq!(done.unwrap(), Progress { invoices: 60, payments: 60, left_out: 0 });
        let parts = parts.into_inner();
        let counted: Vec<_> =
            parts.iter().map(|(progress, _)| (progress.invoices, progress.payments)).collect();
        assert_eq!(counted, [(49, 0), (60, 0), (60, 49), (60, 60)]);
        assert!(parts.iter().all(|(_, shown)| *shown == before), "not before it is done");
        stack.assert_exact().await;
        // Some rows were never told.
        for which in 120..140 {
            stack.write(Written { org: 0, which, amount: 900, back: 5, days: 9, euro: false }).await;
        }
        stack.recount(0, |_| ()).await.unwrap();
        stack.assert_exact().await;
        stack.tables.place(key.clone(), Default::default());
        assert!(stack.recount(0, |_| ()).await.is_err(), "an item without a version is nobody's");
        stack.tables.take(&key);
        stack.recount(0, |_| ()).await.unwrap();
        stack.assert_exact().await;
        stack.run(&told).await;
        stack.assert_exact().await;
    });
}

#[test]
fn a_row_that_cannot_be_read_is_left_out_when_all_are_counted_anew() {
    block_on(async {
        let stack = Stack::new();
        let told = stack.furnish(20).await;
        let (pk, sk) = told[4].clone();
        let key = plixo_store::Key { table: Table::Ledger, pk, sk };
        let sound = stack.tables.dump()[&key].clone();
        let mut item = sound.clone();
        item.insert("v".to_owned(), AttributeValue::N("99".to_owned()));
        stack.tables.place(key.clone(), item);
        assert_eq!(stack.recount(0, |_| ()).await.unwrap().left_out, 1);
        stack.tables.place(key, sound);
        stack.run(&told).await;
        stack.assert_exact().await;
    });
}

#[test]
fn counting_anew_that_ends_early_changes_nothing_and_goes_on() {
    block_on(async {
        let stack = Stack::new();
        let told = stack.furnish(20).await;
        stack.run(&told).await;
        for fault in Fault::ALL {
            for call in 0.. {
                let stack = stack.fork();
                stack.faults.plan(call, fault);
                let first = timeout(Duration::from_secs(60), stack.recount(0, |_| ())).await;
                let done = stack.faults.calls() <= call;
                stack.faults.clear();
                assert_eq!(matches!(first, Ok(Ok(_))), done, "{fault:?}, call {call}");
                stack.assert_exact().await;
                let other = Written { org: 0, which: 1, amount: 70, back: 7, days: 5, euro: false };
                stack.run(&[stack.write(other).await]).await;
                stack.assert_exact().await;
                stack.recount(0, |_| ()).await.unwrap();
                stack.assert_exact().await;
                if done {
                    break;
                }
            }
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Writers, workers and counts of all rows at the same time, records in any order and any number: at last the sums are those of all rows.
    #[test]
    fn any_interleaving_and_any_repetition_come_to_the_sums_of_all_rows(
        rounds in prop::collection::vec(
            (
                prop::collection::vec(
                    (0..2_usize, 0..6_u8, 1..1_000_i64, 0..1_000_i64, -90..90_i32, any::<bool>()),
                    1..6,
                ),
                prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 1..6), 0..4),
                any::<bool>(),
            ),
            1..8,
        ),
        order in any::<u64>(),
    ) {
        block_on(async {
            let stack = Stack::new();
            let mut told: Vec<(String, String)> = Vec::new();
            for (written, workers, anew) in rounds {
                let write = written.into_iter().map(|(org, which, amount, back, days, euro)| {
                    stack.write(Written { org, which, amount, back, days, euro })
                });
                let batches: Vec<Vec<_>> = workers
                    .iter()
                    .filter(|_| !told.is_empty())
                    .map(|picks| picks.iter().map(|pick| pick.get(&told).clone()).collect())
                    .collect();
                let workers = join_all(batches.iter().map(|batch| stack.run(batch)));
                let recount = async {
                    if anew {
                        drop(stack.recount(0, |_| ()).await);
                    }
                };
                let (more, _, ()) = tokio::join!(join_all(write), workers, recount);
                told.extend(more);
            }
            // What the stream told comes at last, all of it, in some order.
            let turn = usize::try_from(order % 1_000).unwrap() % told.len();
            told.rotate_left(turn);
            let batches: Vec<_> = told.chunks(5).map(|batch| stack.run(batch)).collect();
            for failed in join_all(batches).await {
                assert!(failed.is_empty());
            }
            stack.assert_exact().await;
        });
    }
}
