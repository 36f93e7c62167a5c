use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plixo_aws::AwsError;
use plixo_aws::secrets::{KeepSecret, ReadSecret, RotateSecret};
use plixo_aws::sqs::{Held, LookThrough, SendMessage};
use plixo_domain::secret::Secret;
use plixo_envelope::{GeneratedKey, KeyFailure, KeyService, Secret as Key32};
use plixo_store::{
    Act, AttributeValue, Guard, Index, Item, Key, LEDGER_ATTRIBUTES, Range, StoreError, Table, Tables, Write,
    WriteError,
};

use crate::Faults;

pub(crate) fn unavailable(service: &'static str) -> AwsError {
    AwsError::Unavailable { service, cause: "a planned fault".to_owned() }
}

/// 32 bytes that never come twice in a process. Nothing that leaves the test is sealed with them.
#[must_use]
pub fn entropy() -> Option<[u8; 32]> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 32];
    let drawn = DRAWN.fetch_add(1, Ordering::SeqCst).to_be_bytes();
    bytes.iter_mut().zip(drawn).for_each(|(to, from)| *to = from);
    Some(bytes)
}

/// Of an index of a table: the index's partition attribute, the partition, the sort key, and whose place that is.
type Place = (Table, &'static str, String, String, Key);

/// Items, and where indices have them.
#[derive(Debug, Clone, Default)]
struct Items {
    items: BTreeMap<Key, Item>,
    places: BTreeSet<Place>,
}

const INDICES: [Index; 8] = [
    Index::ByKind,
    Index::ByState,
    Index::ByCustomer,
    Index::ByObject,
    Index::ByCustomerState,
    Index::ByAmount,
    Index::ByOwed,
    Index::BySince,
];

fn places(key: &Key, item: &Item) -> Vec<Place> {
    let place = |index: Index| {
        let (_, partition, sort) = index.names();
        Some((key.table, partition, text(item.get(partition)?)?, text(item.get(sort)?)?, key.clone()))
    };
    INDICES.into_iter().filter_map(place).collect()
}

impl Items {
    fn insert(&mut self, key: Key, item: Item) {
        self.remove(&key);
        self.places.extend(places(&key, &item));
        self.items.insert(key, item);
    }

    fn remove(&mut self, key: &Key) {
        if let Some(item) = self.items.remove(key) {
            for place in places(key, &item) {
                self.places.remove(&place);
            }
        }
    }

    /// The keys of a partition, each with its sort key there, in order.
    fn partition(&self, range: &Range) -> Vec<(String, Key)> {
        let (_, name, _) = range.index.names();
        let nothing = Key { table: Table::Ledger, pk: String::new(), sk: String::new() };
        let (table, of) = (range.table, &range.partition);
        if range.index == Index::Primary {
            let first = Key { table, pk: of.clone(), ..nothing };
            let own = self.items.range(first..).take_while(|(key, _)| key.table == table && key.pk == *of);
            return own.map(|(key, _)| (key.sk.clone(), key.clone())).collect();
        }
        let first = (table, name, of.clone(), String::new(), nothing);
        let own = self.places.range(first..);
        let own = own.take_while(|(in_table, index, partition, ..)| {
            (*in_table, *index, partition) == (table, name, of)
        });
        own.map(|(.., sort, key)| (sort.clone(), key.clone())).collect()
    }
}

/// DynamoDB as far as the store uses it.
#[derive(Debug, Clone, Default)]
pub struct FakeTables {
    items: Arc<Mutex<Items>>,
    faults: Faults,
}

impl FakeTables {
    /// Empty tables, whose calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { items: Arc::default(), faults }
    }

    /// Everything that is stored.
    #[must_use]
    pub fn dump(&self) -> BTreeMap<Key, Item> {
        self.items.lock().unwrap().items.clone()
    }

    /// Puts an item into its place, unasked.
    pub fn place(&self, key: Key, item: Item) {
        self.items.lock().unwrap().insert(key, item);
    }

    /// Takes an item away, unasked.
    pub fn take(&self, key: &Key) {
        self.items.lock().unwrap().remove(key);
    }

    /// Tables of their own with the same contents.
    #[must_use]
    pub fn fork(&self, faults: Faults) -> Self {
        Self { items: Arc::new(Mutex::new(self.items.lock().unwrap().clone())), faults }
    }
}

fn text(value: &AttributeValue) -> Option<String> {
    value.as_s().ok().cloned()
}

fn version(item: &Item) -> Option<u64> {
    match item.get("version") {
        Some(AttributeValue::N(number)) => number.parse().ok(),
        _ => None,
    }
}

impl Tables for FakeTables {
    async fn get(&self, keys: Vec<Key>) -> Result<HashMap<Key, Item>, StoreError> {
        let down = || unavailable("DynamoDB").into();
        self.faults
            .call(down, || {
                let items = self.items.lock().unwrap();
                let read = |key: Key| {
                    let mut item = items.items.get(&key).cloned()?;
                    if key.table == Table::Ledger {
                        item.retain(|name, _| LEDGER_ATTRIBUTES.contains(&name.as_str()));
                    }
                    Some((key, item))
                };
                Ok(keys.into_iter().filter_map(read).collect())
            })
            .await
    }

    async fn write_all(&self, writes: Vec<Write>) -> Result<(), WriteError> {
        let down = || WriteError::Store(unavailable("DynamoDB").into());
        self.faults
            .call(down, || {
                let mut items = self.items.lock().unwrap();
                let mut keys: Vec<_> = writes.iter().map(|write| &write.key).collect();
                keys.sort();
                keys.dedup();
                if keys.len() != writes.len() || writes.len() > 100 || writes.is_empty() {
                    let cause = "a transaction has 1 to 100 writes of different items".to_owned();
                    return Err(StoreError::from(AwsError::Refused { service: "DynamoDB", cause }).into());
                }
                let holds = |write: &Write| match (write.guard, items.items.get(&write.key)) {
                    (Guard::Anything, _) => true,
                    (Guard::Absent, found) => found.is_none(),
                    (Guard::Present, found) => found.is_some(),
                    (Guard::Version(wanted), Some(found)) => version(found) == Some(wanted),
                    (Guard::Version(_), None) => false,
                };
                if !writes.iter().all(holds) {
                    return Err(WriteError::Conflict);
                }
                for Write { key, act, .. } in writes {
                    match act {
                        Act::Put(item) => items.insert(key, item),
                        Act::Delete => items.remove(&key),
                        Act::Check => {}
                    }
                }
                Ok(())
            })
            .await
    }

    async fn range(&self, range: Range) -> Result<Vec<(String, Key)>, StoreError> {
        let found = self.within(range).await?;
        Ok(found.into_iter().map(|(sort, key, _)| (sort, key)).collect())
    }

    async fn items(&self, range: Range) -> Result<Vec<(String, Item)>, StoreError> {
        let found = self.within(range).await?;
        Ok(found.into_iter().map(|(sort, _, item)| (sort, item)).collect())
    }
}

impl FakeTables {
    async fn within(&self, range: Range) -> Result<Vec<(String, Key, Item)>, StoreError> {
        let listed = || {
            let items = self.items.lock().unwrap();
            let mut found = items.partition(&range);
            found.retain(|(sort, _)| {
                range.from.as_ref().is_none_or(|from| sort >= from)
                    && range.to.as_ref().is_none_or(|to| sort <= to)
            });
            if range.descending {
                found.reverse();
            }
            found.truncate(range.limit);
            let whole = |(sort, key): (String, Key)| {
                items.items.get(&key).map(|item| (sort, key.clone(), item.clone()))
            };
            Ok(found.into_iter().filter_map(whole).collect())
        };
        self.faults.call(|| unavailable("DynamoDB").into(), listed).await
    }
}

/// Wrapped keys, each with the organisation that it was made for.
type Wrapped = BTreeMap<Vec<u8>, (String, [u8; 32])>;

/// KMS: wraps by remembering.
#[derive(Debug, Clone, Default)]
pub struct FakeKms {
    wrapped: Arc<Mutex<Wrapped>>,
    calls: Arc<std::sync::atomic::AtomicUsize>,
    faults: Faults,
}

impl FakeKms {
    /// A key whose calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// The same key, whose calls go wrong as planned elsewhere.
    #[must_use]
    pub fn with(&self, faults: Faults) -> Self {
        Self { faults, ..self.clone() }
    }

    /// How often it was asked.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn down() -> KeyFailure {
        KeyFailure::retryable(unavailable("KMS"))
    }

    fn count(&self) {
        self.calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

impl KeyService for FakeKms {
    async fn generate_key(&self, organisation: &str) -> Result<GeneratedKey, KeyFailure> {
        self.count();
        let make = || {
            let plain = entropy().unwrap();
            let mut wrapped = b"wrapped".to_vec();
            wrapped.extend(plain.iter().map(|byte| !byte));
            self.wrapped.lock().unwrap().insert(wrapped.clone(), (organisation.to_owned(), plain));
            Ok(GeneratedKey { secret: Key32::from_slice(&plain).unwrap(), wrapped })
        };
        self.faults.call(Self::down, make).await
    }

    async fn unwrap_key(&self, organisation: &str, wrapped: &[u8]) -> Result<Key32, KeyFailure> {
        self.count();
        let open = || match self.wrapped.lock().unwrap().get(wrapped) {
            Some((of, plain)) if of == organisation => Ok(Key32::from_slice(plain).unwrap()),
            _ => Err(KeyFailure::refused("InvalidCiphertextException")),
        };
        self.faults.call(Self::down, open).await
    }
}

/// The vault.
#[derive(Debug, Clone, Default)]
pub struct FakeVault {
    /// Each with the version that it has.
    secrets: Arc<Mutex<BTreeMap<String, (String, String)>>>,
    /// By name and version.
    pending: Arc<Mutex<BTreeMap<(String, String), String>>>,
    faults: Faults,
}

impl FakeVault {
    /// An empty vault, whose calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// The same vault, whose calls go wrong as planned elsewhere.
    #[must_use]
    pub fn with(&self, faults: Faults) -> Self {
        Self { faults, ..self.clone() }
    }

    /// Puts a secret in.
    pub fn put(&self, name: &str, value: String) {
        let mut secrets = self.secrets.lock().unwrap();
        let version = secrets.get(name).map_or_else(|| "0".to_owned(), |(version, _)| format!("{version}+"));
        secrets.insert(name.to_owned(), (version, value));
    }

    /// Everything that it holds, by name.
    #[must_use]
    pub fn dump(&self) -> BTreeMap<String, String> {
        let secrets = self.secrets.lock().unwrap();
        secrets.iter().map(|(name, (_, value))| (name.clone(), value.clone())).collect()
    }

    async fn call<R>(&self, work: impl FnOnce() -> R) -> Result<R, AwsError> {
        self.faults.call(|| unavailable("Secrets Manager"), || Ok(work())).await
    }
}

impl ReadSecret for FakeVault {
    async fn read_secret(&self, name: &str) -> Result<Option<Secret>, AwsError> {
        Ok(self.read_version(name).await?.map(|(secret, _)| secret))
    }
}

impl KeepSecret for FakeVault {
    async fn create_secret(&self, name: &str, value: &Secret) -> Result<bool, AwsError> {
        self.call(|| {
            let is_new = !self.secrets.lock().unwrap().contains_key(name);
            if is_new {
                self.put(name, value.reveal().to_owned());
            }
            is_new
        })
        .await
    }

    async fn read_version(&self, name: &str) -> Result<Option<(Secret, String)>, AwsError> {
        let found = |(version, value): (String, String)| (Secret::new(value), version);
        self.call(|| self.secrets.lock().unwrap().get(name).cloned().map(found)).await
    }

    async fn replace_secret(&self, name: &str, value: &Secret, seen: &str) -> Result<bool, AwsError> {
        self.call(|| {
            let same = self.secrets.lock().unwrap().get(name).is_some_and(|(version, _)| version == seen);
            if same {
                self.put(name, value.reveal().to_owned());
            }
            same
        })
        .await
    }
}

impl RotateSecret for FakeVault {
    async fn read_pending(&self, name: &str, version: &str) -> Result<Option<Secret>, AwsError> {
        let named = (name.to_owned(), version.to_owned());
        self.call(|| self.pending.lock().unwrap().get(&named).cloned().map(Secret::new)).await
    }

    async fn put_pending(&self, name: &str, version: &str, value: &Secret) -> Result<(), AwsError> {
        let named = (name.to_owned(), version.to_owned());
        self.call(|| drop(self.pending.lock().unwrap().insert(named, value.reveal().to_owned()))).await
    }

    async fn make_current(&self, name: &str, version: &str, seen: &str) -> Result<(), AwsError> {
        let named = (name.to_owned(), version.to_owned());
        let moved = self.call(|| {
            let mut secrets = self.secrets.lock().unwrap();
            let value = self.pending.lock().unwrap().get(&named).cloned()?;
            let current = secrets.get_mut(name).filter(|(version, _)| version == seen)?;
            *current = (version.to_owned(), value);
            Some(())
        });
        let cause = || "InvalidParameterException: not the current version".to_owned();
        moved.await?.ok_or_else(|| AwsError::Refused { service: "Secrets Manager", cause: cause() })
    }
}

/// The queue.
#[derive(Debug, Clone, Default)]
pub struct FakeQueue {
    sent: Arc<Mutex<Vec<(String, String)>>>,
    faults: Faults,
}

impl FakeQueue {
    /// An empty queue, whose calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { sent: Arc::default(), faults }
    }

    /// The bodies and attributes that it took.
    #[must_use]
    pub fn sent(&self) -> Vec<(String, String)> {
        self.sent.lock().unwrap().clone()
    }
}

impl SendMessage for FakeQueue {
    async fn send_message(&self, body: String, attribute: (&str, String)) -> Result<String, AwsError> {
        let down = || unavailable("SQS");
        let take = || {
            let fits = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
            let size = body.len() + attribute.0.len() + "String".len() + attribute.1.len();
            if body.is_empty() || !body.chars().all(fits) || size > 1_048_576 {
                return Err(AwsError::Refused { service: "SQS", cause: "InvalidMessageContents".to_owned() });
            }
            let mut sent = self.sent.lock().unwrap();
            sent.push((body, attribute.1));
            Ok(format!("m{}", sent.len()))
        };
        self.faults.call(down, take).await
    }
}

/// A queue that is looked through: each message, with whether somebody holds it.
#[derive(Debug, Clone, Default)]
pub struct FakeLetters {
    messages: Arc<Mutex<BTreeMap<String, (Held, bool)>>>,
    given: Arc<Mutex<Vec<(String, Duration)>>>,
    faults: Faults,
}

impl FakeLetters {
    /// An empty queue, whose calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { messages: Arc::default(), given: Arc::default(), faults }
    }

    /// What was given back so far, and after which time it is there again.
    #[must_use]
    pub fn given(&self) -> Vec<(String, Duration)> {
        self.given.lock().unwrap().clone()
    }

    /// Puts a message in.
    pub fn put(&self, body: &str, attribute: &str) {
        let mut messages = self.messages.lock().unwrap();
        let receipt = format!("r{}", messages.len());
        let (body, attribute) = (body.to_owned(), Some(attribute.to_owned()));
        messages.insert(receipt.clone(), (Held { receipt, body, attribute }, false));
    }

    /// The bodies of its messages, and whether somebody holds each.
    #[must_use]
    pub fn dump(&self) -> Vec<(String, bool)> {
        let messages = self.messages.lock().unwrap();
        messages.values().map(|(message, is_held)| (message.body.clone(), *is_held)).collect()
    }

    /// The time of all that is held is over.
    pub fn let_go(&self) {
        self.messages.lock().unwrap().values_mut().for_each(|(_, is_held)| *is_held = false);
    }
}

impl LookThrough for FakeLetters {
    async fn hold(&self, _: &str, _: Duration) -> Result<Vec<Held>, AwsError> {
        let hold = || {
            let mut messages = self.messages.lock().unwrap();
            let free = messages.values_mut().filter(|(_, is_held)| !is_held).take(10);
            Ok(free
                .map(|(message, is_held)| {
                    *is_held = true;
                    message.clone()
                })
                .collect())
        };
        self.faults.call(|| unavailable("SQS"), hold).await
    }

    async fn delete(&self, receipt: &str) -> Result<(), AwsError> {
        let delete = || {
            self.messages.lock().unwrap().remove(receipt);
            Ok(())
        };
        self.faults.call(|| unavailable("SQS"), delete).await
    }

    async fn held_by_all(&self) -> Result<usize, AwsError> {
        let count = || Ok(self.messages.lock().unwrap().values().filter(|(_, is_held)| *is_held).count());
        self.faults.call(|| unavailable("SQS"), count).await
    }

    async fn give_back(&self, receipt: &str, after: Duration) -> Result<(), AwsError> {
        let give = || {
            self.given.lock().unwrap().push((receipt.to_owned(), after));
            if let Some((_, is_held)) = self.messages.lock().unwrap().get_mut(receipt) {
                *is_held = false;
            }
            Ok(())
        };
        self.faults.call(|| unavailable("SQS"), give).await
    }
}
