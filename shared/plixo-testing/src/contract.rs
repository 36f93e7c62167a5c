//! What every implementation of the tables' port must do.

use std::collections::HashMap;

use plixo_store::{AttributeValue, Guard, Item, Key, Put, PutError, Table, Tables};

fn key(table: Table, run: &str, pk: &str, sk: &str) -> Key {
    Key { table, pk: format!("{run}#{pk}"), sk: sk.to_owned() }
}

fn item(version: u64, text: &str) -> Item {
    let number = AttributeValue::N(version.to_string());
    Item::from([("version".to_owned(), number), ("text".to_owned(), AttributeValue::S(text.to_owned()))])
}

fn put(key: &Key, version: u64, text: &str, guard: Guard) -> Put {
    Put { key: key.clone(), item: item(version, text), guard }
}

async fn stored(tables: &impl Tables, key: &Key) -> Option<Item> {
    tables.get(vec![key.clone()]).await.unwrap().remove(key)
}

/// Runs the whole suite on tables that may hold other things. `run` is a word that no other run used.
pub async fn tables(tables: &impl Tables, run: &str) {
    items_come_back_as_they_were_put(tables, run).await;
    absent_items_are_left_out(tables, run).await;
    guards_hold(tables, run).await;
    all_or_nothing(tables, run).await;
    many_keys_at_once(tables, run).await;
    large_items(tables, run).await;
    one_of_many_wins(tables, run).await;
}

async fn items_come_back_as_they_were_put(tables: &impl Tables, run: &str) {
    for table in [Table::Ledger, Table::WebhookEvents] {
        let at = key(table, run, "whole", "row");
        let nested =
            HashMap::from([("list".to_owned(), AttributeValue::L(vec![AttributeValue::N("-7".to_owned())]))]);
        let mut whole = item(1, "ä€𐍈");
        whole.insert("bytes".to_owned(), plixo_store::bytes(vec![0, 255, 128]));
        whole.insert("map".to_owned(), AttributeValue::M(nested));
        whole.insert("flag".to_owned(), AttributeValue::Bool(true));
        tables
            .put_all(vec![Put { key: at.clone(), item: whole.clone(), guard: Guard::Absent }])
            .await
            .unwrap();
        assert_eq!(stored(tables, &at).await, Some(whole));
    }
}

async fn absent_items_are_left_out(tables: &impl Tables, run: &str) {
    let (there, not) = (key(Table::Ledger, run, "some", "a"), key(Table::Ledger, run, "some", "b"));
    tables.put_all(vec![put(&there, 1, "x", Guard::Absent)]).await.unwrap();
    let found = tables.get(vec![there.clone(), not, there.clone()]).await.unwrap();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [there]);
}

async fn guards_hold(tables: &impl Tables, run: &str) {
    let at = key(Table::Ledger, run, "guarded", "row");
    let conflicts =
        |result: Result<(), PutError>| assert!(matches!(result, Err(PutError::Conflict)), "{result:?}");
    conflicts(tables.put_all(vec![put(&at, 2, "no", Guard::Version(1))]).await);
    tables.put_all(vec![put(&at, 1, "one", Guard::Absent)]).await.unwrap();
    conflicts(tables.put_all(vec![put(&at, 1, "no", Guard::Absent)]).await);
    conflicts(tables.put_all(vec![put(&at, 3, "no", Guard::Version(2))]).await);
    tables.put_all(vec![put(&at, 2, "two", Guard::Version(1))]).await.unwrap();
    assert_eq!(stored(tables, &at).await, Some(item(2, "two")));
}

async fn all_or_nothing(tables: &impl Tables, run: &str) {
    let rows =
        [Table::Ledger, Table::WebhookEvents, Table::Audit].map(|table| key(table, run, "together", "row"));
    tables.put_all(rows.iter().map(|key| put(key, 1, "x", Guard::Absent)).collect()).await.unwrap();
    let [a, b, _] = &rows;
    let fresh = key(Table::Ledger, run, "together", "fresh");
    let mixed = vec![
        put(a, 2, "y", Guard::Version(1)),
        put(&fresh, 1, "y", Guard::Absent),
        put(b, 2, "y", Guard::Version(7)),
    ];
    assert!(matches!(tables.put_all(mixed).await, Err(PutError::Conflict)));
    assert_eq!((stored(tables, a).await, stored(tables, &fresh).await), (Some(item(1, "x")), None));
}

async fn many_keys_at_once(tables: &impl Tables, run: &str) {
    let rows: Vec<_> = (0..130).map(|n| key(Table::Ledger, run, &format!("many{n}"), "row")).collect();
    for rows in rows.chunks(100) {
        tables.put_all(rows.iter().map(|key| put(key, 1, &key.pk, Guard::Absent)).collect()).await.unwrap();
    }
    let found = tables.get(rows.clone()).await.unwrap();
    assert_eq!(found.len(), rows.len());
    assert!(rows.iter().all(|key| found.get(key) == Some(&item(1, &key.pk))));
    let too_many =
        (0..101).map(|n| put(&key(Table::Ledger, run, &format!("over{n}"), "row"), 1, "x", Guard::Absent));
    assert!(matches!(tables.put_all(too_many.collect()).await, Err(PutError::Store(_))));
}

async fn large_items(tables: &impl Tables, run: &str) {
    let rows: Vec<_> = (0..3).map(|n| key(Table::WebhookEvents, run, "large", &n.to_string())).collect();
    let large = "x".repeat(380_000);
    tables.put_all(rows.iter().map(|key| put(key, 1, &large, Guard::Absent)).collect()).await.unwrap();
    assert_eq!(tables.get(rows).await.unwrap().len(), 3);
}

async fn one_of_many_wins(tables: &impl Tables, run: &str) {
    let at = key(Table::Ledger, run, "contended", "row");
    let mut won = 0;
    for _ in 0..5 {
        match tables.put_all(vec![put(&at, 1, "x", Guard::Absent)]).await {
            Ok(()) => won += 1,
            Err(PutError::Conflict) => {}
            Err(PutError::Store(error)) => panic!("{error}"),
        }
    }
    assert_eq!(won, 1);
}
