//! The port on DynamoDB.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, TransactWriteItem,
};
use plixo_aws::{AwsError, from_sdk};

use crate::StoreError;
use crate::tables::{Act, Guard, Item, Key, LEDGER_ATTRIBUTES, Range, Table, Tables, Write, WriteError};

const SERVICE: &str = "DynamoDB";

/// The tables of a stack.
#[derive(Debug, Clone)]
pub struct DynamoTables {
    client: Client,
    ledger: String,
    webhook_events: String,
    audit: String,
    people: String,
}

impl DynamoTables {
    /// The tables of those names.
    #[must_use]
    pub fn new(config: &SdkConfig, ledger: String, webhook_events: String, audit: String) -> Self {
        let config =
            aws_sdk_dynamodb::config::Builder::from(config).interceptor(plixo_aws::calls::Calls).build();
        Self { client: Client::from_conf(config), ledger, webhook_events, audit, people: String::new() }
    }

    /// The table of people alone, over a connection that there is.
    pub(crate) fn of_people(client: Client, people: String) -> Self {
        let nothing = String::new;
        Self { client, ledger: nothing(), webhook_events: nothing(), audit: nothing(), people }
    }

    /// With the table of people, which few functions may use.
    #[must_use]
    pub fn with_people(self, people: String) -> Self {
        Self { people, ..self }
    }

    /// Asks for an item that nobody has, which opens the connection and shows that the tables that were named are there.
    /// Not the audit log: few may read it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn connect(&self) -> Result<(), StoreError> {
        let nobody = |table| Key { table, pk: "-".to_owned(), sk: "-".to_owned() };
        let named = [Table::Ledger, Table::WebhookEvents, Table::People]
            .into_iter()
            .filter(|table| !self.name(*table).is_empty());
        self.get(named.map(nobody).collect()).await.map(drop)
    }

    fn name(&self, table: Table) -> &str {
        match table {
            Table::Ledger => &self.ledger,
            Table::WebhookEvents => &self.webhook_events,
            Table::Audit => &self.audit,
            Table::People => &self.people,
        }
    }

    fn table(&self, name: &str) -> Option<Table> {
        [Table::Ledger, Table::WebhookEvents, Table::Audit, Table::People]
            .into_iter()
            .find(|table| self.name(*table) == name)
    }

    /// The items in a range, whole or as far as `projection` names their attributes.
    async fn query(&self, range: &Range, projection: Option<&str>) -> Result<Vec<Item>, StoreError> {
        let (index, partition, sort) = range.index.names();
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let mut values = HashMap::from([(":partition".to_owned(), text(&range.partition))]);
        let bounds = [(":from", &range.from), (":to", &range.to)];
        values
            .extend(bounds.iter().filter_map(|(name, at)| Some(((*name).to_owned(), text(at.as_deref()?)))));
        let bounds = match (&range.from, &range.to) {
            (None, None) => "",
            (Some(_), None) => " AND #sort >= :from",
            (None, Some(_)) => " AND #sort <= :to",
            (Some(_), Some(_)) => " AND #sort BETWEEN :from AND :to",
        };
        let mut names = HashMap::from([("#partition".to_owned(), partition.to_owned())]);
        if !bounds.is_empty() || projection.is_some_and(|wanted| wanted.contains("#sort")) {
            names.insert("#sort".to_owned(), sort.to_owned());
        }
        let (mut found, mut start) = (Vec::new(), None);
        while found.len() < range.limit {
            let limit = i32::try_from(range.limit.saturating_sub(found.len())).unwrap_or(i32::MAX);
            let request = self
                .client
                .query()
                .table_name(self.name(range.table))
                .set_index_name(index.map(str::to_owned));
            let answer = request
                .key_condition_expression(format!("#partition = :partition{bounds}"))
                .set_expression_attribute_names(Some(names.clone()))
                .set_expression_attribute_values(Some(values.clone()))
                .set_projection_expression(projection.map(str::to_owned))
                .consistent_read(index.is_none())
                .scan_index_forward(!range.descending)
                .limit(limit)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| from_sdk(SERVICE, error))?;
            found.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn get_100(&self, keys: &[Key], found: &mut HashMap<Key, Item>) -> Result<(), StoreError> {
        let mut wanted: HashMap<String, Vec<Item>> = HashMap::new();
        for key in keys {
            wanted.entry(self.name(key.table).to_owned()).or_default().push(key_item(key));
        }
        // What DynamoDB leaves over for its size or its load is asked for again, a bounded number of times, ever later.
        for tried in 0..8_u32 {
            let mut request = self.client.batch_get_item();
            for (table, keys) in wanted {
                let mut wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
                if table == self.ledger {
                    wanted = only_ledger_attributes(wanted);
                }
                request = request
                    .request_items(table, wanted.build().map_err(|error| corrupt(&error.to_string()))?);
            }
            let answer = request.send().await.map_err(|error| from_sdk(SERVICE, error))?;
            for (name, items) in answer.responses.unwrap_or_default() {
                let table =
                    self.table(&name).ok_or_else(|| corrupt("an answer from a table that was not asked"))?;
                for mut item in items {
                    let (pk, sk) = (text(item.remove("pk"))?, text(item.remove("sk"))?);
                    found.insert(Key { table, pk, sk }, item);
                }
            }
            let left = answer.unprocessed_keys.unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(u64::from(tried * tried) * 5)).await;
            wanted = left.into_iter().map(|(table, left)| (table, left.keys)).collect();
        }
        let cause = "BatchGetItem left keys unprocessed eight times".to_owned();
        Err(AwsError::Unavailable { service: SERVICE, cause }.into())
    }
}

impl Tables for DynamoTables {
    async fn get(&self, mut keys: Vec<Key>) -> Result<HashMap<Key, Item>, StoreError> {
        keys.sort_unstable();
        keys.dedup();
        let mut found = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(100) {
            self.get_100(keys, &mut found).await?;
        }
        Ok(found)
    }

    async fn write_all(&self, writes: Vec<Write>) -> Result<(), WriteError> {
        let mut items = Vec::with_capacity(writes.len());
        for Write { key, act, guard } in writes {
            let table = self.name(key.table);
            let (condition, values) = match guard {
                Guard::Anything => (None, None),
                Guard::Absent => (Some("attribute_not_exists(pk)".to_owned()), None),
                Guard::Present => (Some("attribute_exists(pk)".to_owned()), None),
                Guard::Version(version) => {
                    let version = AttributeValue::N(version.to_string());
                    let values = HashMap::from([(":version".to_owned(), version)]);
                    (Some("version = :version".to_owned()), Some(values))
                }
            };
            let write = match act {
                Act::Put(mut item) => {
                    item.insert("pk".to_owned(), AttributeValue::S(key.pk));
                    item.insert("sk".to_owned(), AttributeValue::S(key.sk));
                    let put = Put::builder().table_name(table).set_item(Some(item));
                    let put = put.set_condition_expression(condition).set_expression_attribute_values(values);
                    TransactWriteItem::builder()
                        .put(put.build().map_err(|error| corrupt(&error.to_string()))?)
                }
                Act::Delete => {
                    let delete = Delete::builder().table_name(table).set_key(Some(key_item(&key)));
                    let delete =
                        delete.set_condition_expression(condition).set_expression_attribute_values(values);
                    TransactWriteItem::builder()
                        .delete(delete.build().map_err(|error| corrupt(&error.to_string()))?)
                }
                Act::Check => {
                    let check = ConditionCheck::builder().table_name(table).set_key(Some(key_item(&key)));
                    let check =
                        check.set_condition_expression(condition).set_expression_attribute_values(values);
                    TransactWriteItem::builder()
                        .condition_check(check.build().map_err(|error| corrupt(&error.to_string()))?)
                }
            };
            items.push(write.build());
        }
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.as_service_error().map(why_cancelled) {
                Some(Cancelled::Conflict) => WriteError::Conflict,
                Some(Cancelled::Passing) => StoreError::from(AwsError::Unavailable {
                    service: SERVICE,
                    cause: "transaction throttled".into(),
                })
                .into(),
                Some(Cancelled::Refused(codes)) => {
                    StoreError::from(AwsError::Refused { service: SERVICE, cause: codes }).into()
                }
                Some(Cancelled::No) | None => StoreError::from(from_sdk(SERVICE, error)).into(),
            }),
        }
    }

    async fn range(&self, range: Range) -> Result<Vec<(String, Key)>, StoreError> {
        let (index, _, sort) = range.index.names();
        let projection = if index.is_some() { "pk, sk, #sort" } else { "pk, sk" };
        let key = |mut item: Item| {
            let at = item.get(sort).cloned();
            let (pk, sk) = (text(item.remove("pk"))?, text(item.remove("sk"))?);
            Ok((text(at)?, Key { table: range.table, pk, sk }))
        };
        self.query(&range, Some(projection)).await?.into_iter().map(key).collect()
    }

    async fn items(&self, range: Range) -> Result<Vec<(String, Item)>, StoreError> {
        let (_, _, sort) = range.index.names();
        let named = |item: Item| Ok((text(item.get(sort).cloned())?, item));
        self.query(&range, None).await?.into_iter().map(named).collect()
    }
}

/// By numbered names, for `row` is a reserved word.
fn only_ledger_attributes(mut wanted: KeysAndAttributesBuilder) -> KeysAndAttributesBuilder {
    let mut projection = "pk, sk".to_owned();
    for (number, attribute) in LEDGER_ATTRIBUTES.into_iter().enumerate() {
        projection.push_str(&format!(", #{number}"));
        wanted = wanted.expression_attribute_names(format!("#{number}"), attribute);
    }
    wanted.projection_expression(projection)
}

enum Cancelled {
    Conflict,
    Passing,
    Refused(String),
    No,
}

/// Looks into the reasons of a cancelled transaction
/// ([codes](https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html)): one guard that
/// did not hold outweighs the rest, for then the work has to be done anew.
fn why_cancelled(error: &TransactWriteItemsError) -> Cancelled {
    let reasons = match error {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => cancelled.cancellation_reasons(),
        TransactWriteItemsError::TransactionInProgressException(_) => return Cancelled::Passing,
        _ => return Cancelled::No,
    };
    let codes: Vec<&str> =
        reasons.iter().filter_map(|reason| reason.code()).filter(|code| *code != "None").collect();
    let any = |wanted: &[&str]| codes.iter().any(|code| wanted.contains(code));
    if any(&["ConditionalCheckFailed", "TransactionConflict", "DuplicateItem"]) {
        Cancelled::Conflict
    } else if any(&["ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"]) {
        Cancelled::Passing
    } else {
        Cancelled::Refused(codes.join(", "))
    }
}

fn key_item(key: &Key) -> Item {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    Item::from([("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))])
}

fn text(value: Option<AttributeValue>) -> Result<String, StoreError> {
    match value {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(corrupt("an item without its key")),
    }
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}
