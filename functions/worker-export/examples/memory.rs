//! How much memory an export of 100,000 payments takes, and how much processor time: with tables that make their rows up and a
//! bucket that keeps none, so that what is measured is the worker's. `cargo run --release -p worker-export --example memory`

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use plixo_authz::Authz;
use plixo_aws::AwsError;
use plixo_aws::s3::{Objects, Part};
use plixo_domain::export::{Approval, Export, ExportTask, Format, PaymentFilter, Scope};
use plixo_domain::id::{ExportId, Ids, OrgId, PaymentId};
use plixo_domain::ledger::staff::{
    NewOrganisation, NewPayment, RecordedSource, create_organisation, record_payment,
};
use plixo_domain::ledger::{Book, Kept, Payment, PaymentPointer, Private, Residency, RowKey};
use plixo_domain::money::Money;
use plixo_domain::people::{By, Member, MemberState, Role, UserId, add_member};
use plixo_lambda::batch::Message;
use plixo_lambda::hash::sha256;
use plixo_lambda::line::Line;
use plixo_store::{AttributeValue, Item, Key, Range, Store, StoreError, Tables, Write, WriteError, keys};
use plixo_testing::{FakeKms, FakeTables, entropy};
use serde_json::json;
use worker_export::Worker;

const ROWS: usize = 100_000;
/// The letters of ids, in their order.
const LETTERS: &str = "0123456789abcdefghjkmnpqrstvwxyz";

/// Tables in which there is one payment, as often as somebody asks.
struct Endless {
    real: FakeTables,
    model: Item,
    id: String,
    org: OrgId,
}

/// The model's id, but for its last four letters.
fn named(id: &str, n: usize) -> String {
    let stem: String = id.chars().take(id.len().saturating_sub(4)).collect();
    let letter = |shift: usize| LETTERS.chars().nth(n >> shift & 31).unwrap_or('0');
    format!("{stem}{}{}{}{}", letter(15), letter(10), letter(5), letter(0))
}

fn number(id: &str) -> usize {
    let last: Vec<char> = id.chars().rev().take(4).collect();
    let value = |letter: &char| LETTERS.chars().position(|own| own == *letter).unwrap_or_default();
    last.iter().rev().fold(0, |number, letter| number * 32 + value(letter))
}

impl Endless {
    fn is_ours(&self, key: &Key) -> bool {
        key.sk == "endless"
    }

    fn made(&self, id: &str) -> Item {
        let text = |value: &AttributeValue| match value {
            AttributeValue::S(text) => AttributeValue::S(text.replace(&self.id, id)),
            other => other.clone(),
        };
        self.model.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }
}

impl Tables for Endless {
    async fn get(&self, keys: Vec<Key>) -> Result<HashMap<Key, Item>, StoreError> {
        let (ours, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| self.is_ours(key));
        let mut found = self.real.get(others).await?;
        found.extend(ours.into_iter().map(|key| {
            let item = self.made(&key.pk);
            (key, item)
        }));
        Ok(found)
    }

    async fn write_all(&self, writes: Vec<Write>) -> Result<(), WriteError> {
        self.real.write_all(writes).await
    }

    async fn range(&self, range: Range) -> Result<Vec<(String, Key)>, StoreError> {
        if range.partition != format!("{}#payments", self.org) {
            return self.real.range(range).await;
        }
        let last = range.to.as_deref().map_or(ROWS - 1, number);
        let numbers = (0..=last).rev().take(range.limit);
        let place = |n| {
            let id = named(&self.id, n);
            (id.clone(), Key { table: range.table, pk: id, sk: "endless".to_owned() })
        };
        Ok(numbers.map(place).collect())
    }

    async fn items(&self, range: Range) -> Result<Vec<(String, Item)>, StoreError> {
        self.real.items(range).await
    }
}

/// A bucket that keeps nothing.
struct Sink;

impl Objects for Sink {
    async fn put_if_absent(&self, _: &str, _: &str, _: Vec<u8>) -> Result<bool, AwsError> {
        Ok(true)
    }
    async fn put(&self, _: &str, _: &str, _: Vec<u8>) -> Result<(), AwsError> {
        Ok(())
    }
    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, AwsError> {
        Ok(None)
    }
    async fn delete(&self, _: &str) -> Result<(), AwsError> {
        Ok(())
    }
    async fn list(&self, _: &str, _: Option<&str>) -> Result<(Vec<String>, bool), AwsError> {
        Ok((Vec::new(), false))
    }

    async fn presign(&self, _: &str, _: &str, _: Duration) -> Result<String, AwsError> {
        Ok(String::new())
    }
    async fn begin_upload(&self, _: &str, _: &str) -> Result<String, AwsError> {
        Ok(String::new())
    }
    async fn upload_part(&self, _: &str, _: &str, number: i32, _: Vec<u8>) -> Result<Part, AwsError> {
        Ok(Part { number, etag: String::new(), crc32: None })
    }
    async fn complete_upload(&self, _: &str, _: &str, _: Vec<Part>) -> Result<(), AwsError> {
        Ok(())
    }
    async fn abort_upload(&self, _: &str, _: &str) -> Result<(), AwsError> {
        Ok(())
    }
}

/// The most memory that the process ever had, KB, as Linux counts it.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Time on a processor, nanoseconds, as Linux counts it.
fn processor_time() -> u64 {
    let stat = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|time| time.parse().ok()).unwrap_or(0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let now: Timestamp = "2026-06-15T12:00:00Z".parse()?;
    let (tables, kms) = (FakeTables::default(), FakeKms::default());
    let store = Store::new(tables.clone(), kms.clone(), entropy);
    let mut ids = Ids::new(now, [1; 10]);
    let (org, export): (OrgId, ExportId) = (ids.make(), ids.make());
    store.create_data_key(&org, &kms).await?;
    let mut book = Book::default();
    let new = NewOrganisation { name: "Nordlicht".to_owned(), residency: Residency::Eu };
    create_organisation(&mut book, org, new).map_err(|stopped| format!("{stopped:?}"))?;
    let mut people = Vec::new();
    for n in 0..2 {
        let user: UserId = format!("00000000-0000-4000-8000-00000000000{n}").parse()?;
        book.learn(RowKey::Member(user), None);
        book.learn(RowKey::UserOrganisation(user), None);
        let email = Private::Plain("somebody@example.com".to_owned());
        let (id, role, state) = (ids.make(), Role::Controller, MemberState::Active);
        add_member(&mut book, Member { id, user, role, state, email })?;
        people.push(By { member: id, user });
    }
    let [requested_by, by] = people.as_slice() else { return Err("two people".into()) };
    let new = NewPayment {
        source: RecordedSource::Bank,
        amount: Money::new(12_345, "EUR".parse()?),
        received_on: "2026-06-14".parse()?,
        customer_id: None,
        payer_name: None,
        remittance: None,
        external_id: None,
    };
    let made = record_payment(&mut book, new, &mut ids, now).map_err(|stopped| format!("{stopped:?}"))?;
    let payment: PaymentId = made.id;
    let pointer = book.get::<PaymentPointer>(&payment).ok().flatten().ok_or("no payment")?;
    let reference = pointer.reference.clone();
    let scope = Scope::Payments(PaymentFilter::default());
    let asked = Export {
        id: export,
        columns: scope.columns().iter().map(|name| (*name).to_owned()).collect(),
        scope,
        format: Format::Csv,
        counted: None,
        requested_by: *requested_by,
        requested_at: now,
        approved: None,
        rejected: None,
        run: None,
        file: None,
        failed: None,
        gone: false,
        going: false,
    };
    let digest = hex::encode(sha256(asked.asked(&org).as_bytes()));
    book.put_new(Export { approved: Some(Approval { by: *by, at: now, digest }), ..asked });
    store.commit(&org, &book, None, &[], now).await?;

    let key = keys::row(&org, &Payment::key(&reference));
    let model = tables.dump().remove(&key).ok_or("no payment")?;
    let endless = Endless { real: tables, model, id: payment.to_string(), org };
    let worker = Worker::new(Store::new(endless, kms, entropy), Authz::new()?, Sink, Sink, entropy);
    let body = serde_json::to_string(&ExportTask::new(org, export))?;
    let message: Message = serde_json::from_value(json!({"messageId": "m", "body": body}))?;
    let before = (peak(), processor_time());
    let (done, line) = worker.take(&message, Line { timestamp: now, ..Line::default() }).await;
    done?;
    let (grown, spent) = (peak() - before.0, (processor_time() - before.1) / 1_000_000);
    println!("{} rows: {}", line.items.unwrap_or_default(), line.outcome);
    println!(
        "peak memory: {} MB (goal: at most 64), of which the export's own {} MB",
        peak() / 1024,
        grown / 1024
    );
    println!("processor time: {spent} ms");
    if peak() > 64 * 1024 {
        return Err("more memory than the goal".into());
    }
    Ok(())
}
