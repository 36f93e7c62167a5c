//! What a matched payment costs in an organisation with 100,000 open invoices, with the tables in memory: processor time and calls.
//! `cargo run --release -p worker-cash --example costs`

use std::error::Error;
use std::fs;

use jiff::Timestamp;
use plixo_domain::id::{CustomerId, Ids, InvoiceId, OrgId};
use plixo_domain::ledger::staff::{
    NewOrganisation, NewPayment, RecordedSource, Stopped, create_organisation, record_payment,
};
use plixo_domain::ledger::{
    Book, CashTask, CashTaskOf, Customer, Invoice, InvoiceBody, InvoiceReference, InvoiceState, Payment,
    PaymentPointer, Personal, Private, Residency,
};
use plixo_domain::money::Money;
use plixo_domain::reference::reference_key;
use plixo_lambda::batch::Batch;
use plixo_store::Store;
use plixo_testing::{FakeKms, FakeTables, Faults, entropy};
use serde_json::json;
use worker_cash::Worker;

const INVOICES: u32 = 100_000;
const CUSTOMERS: u32 = 1_000;
const PAYMENTS: u32 = 200;

fn amount(n: u32) -> i64 {
    // Every amount is that of about ten invoices.
    10_000 + i64::from(n) * 7_919 % 10_007
}

fn number(n: u32) -> String {
    format!("RE-2026-{n:06}")
}

/// Time on a processor, nanoseconds, as Linux counts it.
fn processor_time() -> u64 {
    let stat = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|time| time.parse().ok()).unwrap_or(0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let now: Timestamp = "2026-06-15T12:00:00Z".parse()?;
    let faults = Faults::default();
    let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::default());
    let store = Store::new(tables.clone(), kms.clone(), entropy);
    let (mut ids, currency) = (Ids::new(now, [1; 10]), "EUR".parse()?);
    let org: OrgId = ids.make();
    store.create_data_key(&org, &kms).await?;
    let mut book = Book::default();
    let new = NewOrganisation { name: "Nordlicht".to_owned(), residency: Residency::Eu };
    create_organisation(&mut book, org, new).map_err(stopped)?;
    store.commit(&org, &book, None, &[], now).await?;

    let customers: Vec<CustomerId> = (0..CUSTOMERS).map(|_| ids.make()).collect();
    for (at, part) in (0_u32..).zip(customers.chunks(100)) {
        let mut book = Book::default();
        for (n, id) in (0_u32..).zip(part) {
            let name = format!("Kunde {} GmbH", at * 100 + n);
            book.put_new(Customer::new(*id, Personal { name: Some(name), ..Personal::default() }));
        }
        store.commit(&org, &book, None, &[], now).await?;
    }
    // Two millions of ids share no counter of 16 bits.
    let id = |n: u32| {
        Ids::new(
            now,
            [
                2,
                0,
                0,
                0,
                0,
                0,
                u8::try_from(n >> 16).unwrap_or(0),
                0,
                u8::try_from(n >> 8 & 255).unwrap_or(0),
                u8::try_from(n & 255).unwrap_or(0),
            ],
        )
    };
    for start in (0..INVOICES).step_by(50) {
        let mut book = Book::default();
        for n in start..start.saturating_add(50).min(INVOICES) {
            let invoice: InvoiceId = id(n).make();
            let customer = customers.get(usize::try_from(n % CUSTOMERS)?).copied().ok_or("no customer")?;
            book.put_new(InvoiceReference {
                key: reference_key(&number(n)),
                invoices: [(invoice, customer)].into(),
            });
            book.put_new(Invoice {
                id: invoice,
                number: number(n),
                customer_id: customer,
                state: InvoiceState::Open,
                total: Money::new(amount(n), currency),
                issued_on: Some("2026-05-01".parse()?),
                due_on: Some("2026-06-01".parse()?),
                body: Private::Plain(InvoiceBody::default()),
                claims: Default::default(),
                checkout: None,
                asked: None,
                ended_at: None,
                reference: None,
                erased: false,
            });
        }
        store.commit(&org, &book, None, &[], now).await?;
    }

    let worker = Worker::new(Store::new(tables, kms, entropy), entropy);
    let (mut spent, mut calls, mut applied) = (0, 0, 0);
    for n in 0..=PAYMENTS {
        let of = n * 487;
        let new = NewPayment {
            source: RecordedSource::Bank,
            amount: Money::new(amount(of), currency),
            received_on: "2026-06-14".parse()?,
            customer_id: None,
            payer_name: Some(format!("KUNDE {} GMBH", of % CUSTOMERS)),
            remittance: Some(format!("EREF+NOTPROVIDED SVWZ+RECHNUNG {} VOM 01.05.2026 KD 4711", number(of))),
            external_id: None,
        };
        let mut book = Book::default();
        let made = record_payment(&mut book, new, &mut Ids::drawn(now, entropy().ok_or("no bytes")?), now);
        let payment = made.map_err(stopped)?.id;
        store.commit(&org, &book, None, &[], now).await?;
        let pointer = book.get::<PaymentPointer>(&payment).ok().flatten().ok_or("no payment")?;
        let reference = pointer.reference.clone();
        let body = serde_json::to_string(&CashTask::new(org, CashTaskOf::Payment(reference.clone())))?;
        let batch: Batch = serde_json::from_value(json!({"Records": [{"messageId": "m", "body": body}]}))?;
        let before = (processor_time(), faults.calls());
        worker.run(batch).await;
        // The first one warms up.
        if n > 0 {
            spent += processor_time() - before.0;
            calls += faults.calls() - before.1;
        }
        let row = store.read(&org, vec![plixo_domain::ledger::RowKey::Payment(reference)]).await?;
        let settled = |row: &plixo_domain::ledger::Row| matches!(row, plixo_domain::ledger::Row::Payment(Payment { allocations, .. }) if !allocations.is_empty());
        let done = row.iter().any(|(_, row)| row.as_ref().is_some_and(|(row, _)| settled(row)));
        applied += u32::from(done && n > 0);
    }
    println!("{INVOICES} open invoices, {PAYMENTS} payments, {applied} of them applied");
    let each = spent / u64::from(PAYMENTS) / 1_000;
    println!("processor time for each: {}.{:03} ms (goal: below 50 ms)", each / 1_000, each % 1_000);
    println!("calls for {PAYMENTS}: {calls} (goal: at most {})", PAYMENTS * 5);
    Ok(())
}

fn stopped(stopped: Stopped) -> String {
    format!("{stopped:?}")
}
