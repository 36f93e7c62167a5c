//! What every implementation of the tables' port must do.

use std::collections::HashMap;

use plixo_store::{AttributeValue, Guard, Index, Item, Key, Range, Table, Tables, Write, WriteError};

fn key(table: Table, run: &str, pk: &str, sk: &str) -> Key {
    Key { table, pk: format!("{run}#{pk}"), sk: sk.to_owned() }
}

fn item(version: u64, text: &str) -> Item {
    let number = AttributeValue::N(version.to_string());
    Item::from([("version".to_owned(), number), ("text".to_owned(), AttributeValue::S(text.to_owned()))])
}

fn put(key: &Key, version: u64, text: &str, guard: Guard) -> Write {
    Write { key: key.clone(), item: Some(item(version, text)), guard }
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
    deletions_are_guarded(tables, run).await;
    ranges_come_in_order(tables, run).await;
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
            .write_all(vec![Write { key: at.clone(), item: Some(whole.clone()), guard: Guard::Absent }])
            .await
            .unwrap();
        assert_eq!(stored(tables, &at).await, Some(whole));
    }
}

async fn absent_items_are_left_out(tables: &impl Tables, run: &str) {
    let (there, not) = (key(Table::Ledger, run, "some", "a"), key(Table::Ledger, run, "some", "b"));
    tables.write_all(vec![put(&there, 1, "x", Guard::Absent)]).await.unwrap();
    let found = tables.get(vec![there.clone(), not, there.clone()]).await.unwrap();
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [there]);
}

async fn guards_hold(tables: &impl Tables, run: &str) {
    let at = key(Table::Ledger, run, "guarded", "row");
    let conflicts =
        |result: Result<(), WriteError>| assert!(matches!(result, Err(WriteError::Conflict)), "{result:?}");
    conflicts(tables.write_all(vec![put(&at, 2, "no", Guard::Version(1))]).await);
    tables.write_all(vec![put(&at, 1, "one", Guard::Absent)]).await.unwrap();
    conflicts(tables.write_all(vec![put(&at, 1, "no", Guard::Absent)]).await);
    conflicts(tables.write_all(vec![put(&at, 3, "no", Guard::Version(2))]).await);
    tables.write_all(vec![put(&at, 2, "two", Guard::Version(1))]).await.unwrap();
    assert_eq!(stored(tables, &at).await, Some(item(2, "two")));
}

async fn all_or_nothing(tables: &impl Tables, run: &str) {
    let rows =
        [Table::Ledger, Table::WebhookEvents, Table::Audit].map(|table| key(table, run, "together", "row"));
    tables.write_all(rows.iter().map(|key| put(key, 1, "x", Guard::Absent)).collect()).await.unwrap();
    let [a, b, _] = &rows;
    let fresh = key(Table::Ledger, run, "together", "fresh");
    let mixed = vec![
        put(a, 2, "y", Guard::Version(1)),
        put(&fresh, 1, "y", Guard::Absent),
        put(b, 2, "y", Guard::Version(7)),
    ];
    assert!(matches!(tables.write_all(mixed).await, Err(WriteError::Conflict)));
    assert_eq!((stored(tables, a).await, stored(tables, &fresh).await), (Some(item(1, "x")), None));
}

async fn many_keys_at_once(tables: &impl Tables, run: &str) {
    let rows: Vec<_> = (0..130).map(|n| key(Table::Ledger, run, &format!("many{n}"), "row")).collect();
    for rows in rows.chunks(100) {
        tables.write_all(rows.iter().map(|key| put(key, 1, &key.pk, Guard::Absent)).collect()).await.unwrap();
    }
    let found = tables.get(rows.clone()).await.unwrap();
    assert_eq!(found.len(), rows.len());
    assert!(rows.iter().all(|key| found.get(key) == Some(&item(1, &key.pk))));
    let too_many =
        (0..101).map(|n| put(&key(Table::Ledger, run, &format!("over{n}"), "row"), 1, "x", Guard::Absent));
    assert!(matches!(tables.write_all(too_many.collect()).await, Err(WriteError::Store(_))));
}

async fn large_items(tables: &impl Tables, run: &str) {
    let rows: Vec<_> = (0..3).map(|n| key(Table::WebhookEvents, run, "large", &n.to_string())).collect();
    let large = "x".repeat(380_000);
    tables.write_all(rows.iter().map(|key| put(key, 1, &large, Guard::Absent)).collect()).await.unwrap();
    assert_eq!(tables.get(rows).await.unwrap().len(), 3);
}

async fn one_of_many_wins(tables: &impl Tables, run: &str) {
    let at = key(Table::Ledger, run, "contended", "row");
    let mut won = 0;
    for _ in 0..5 {
        match tables.write_all(vec![put(&at, 1, "x", Guard::Absent)]).await {
            Ok(()) => won += 1,
            Err(WriteError::Conflict) => {}
            Err(WriteError::Store(error)) => panic!("{error}"),
        }
    }
    assert_eq!(won, 1);
}

async fn deletions_are_guarded(tables: &impl Tables, run: &str) {
    let (at, other) = (key(Table::Ledger, run, "gone", "row"), key(Table::Ledger, run, "gone", "other"));
    let delete = |version| Write { key: at.clone(), item: None, guard: Guard::Version(version) };
    tables.write_all(vec![put(&at, 1, "x", Guard::Absent)]).await.unwrap();
    let stale = tables.write_all(vec![delete(2), put(&other, 1, "x", Guard::Absent)]).await;
    assert!(matches!(stale, Err(WriteError::Conflict)));
    assert_eq!((stored(tables, &at).await, stored(tables, &other).await), (Some(item(1, "x")), None));
    tables.write_all(vec![delete(1), put(&other, 1, "x", Guard::Absent)]).await.unwrap();
    assert_eq!((stored(tables, &at).await, stored(tables, &other).await), (None, Some(item(1, "x"))));
    assert!(matches!(tables.write_all(vec![delete(1)]).await, Err(WriteError::Conflict)));
}

async fn ranges_come_in_order(tables: &impl Tables, run: &str) {
    let partition = format!("{run}#list");
    let listed = |index: Index, pk: &str, sk: &str, kind: &str| {
        let mut item = item(1, "x");
        let (_, partition_name, sort_name) = index.names();
        item.insert(partition_name.to_owned(), AttributeValue::S(format!("{run}#{kind}")));
        item.insert(sort_name.to_owned(), AttributeValue::S(sk.to_owned()));
        Write { key: key(Table::Ledger, run, pk, "row"), item: Some(item), guard: Guard::Absent }
    };
    let sorts = ["a", "b", "c", "d", "e"];
    for index in [Index::ByKind, Index::ByState, Index::ByCustomer] {
        let kind = format!("{index:?}");
        let write = |sort: &&str| listed(index, &format!("{kind}{sort}"), sort, &kind);
        tables.write_all(sorts.iter().map(write).collect()).await.unwrap();
        let range = Range {
            table: Table::Ledger,
            index,
            partition: format!("{run}#{kind}"),
            from: None,
            to: None,
            descending: false,
            limit: 100,
        };
        let found = tables.range(range.clone()).await.unwrap();
        let expected = |sorts: &[&str]| -> Vec<_> {
            let of =
                |sort: &&str| ((*sort).to_owned(), key(Table::Ledger, run, &format!("{kind}{sort}"), "row"));
            sorts.iter().map(of).collect()
        };
        assert_eq!(found, expected(&sorts));
        let middle = Range {
            from: Some("b".to_owned()),
            to: Some("d".to_owned()),
            descending: true,
            limit: 2,
            ..range.clone()
        };
        assert_eq!(tables.range(middle).await.unwrap(), expected(&["d", "c"]));
        let after = Range { from: Some("dd".to_owned()), ..range.clone() };
        assert_eq!(tables.range(after).await.unwrap(), expected(&["e"]));
        let before = Range { to: Some("a".to_owned()), ..range };
        assert_eq!(tables.range(before).await.unwrap(), expected(&["a"]));
    }
    let own = Range {
        table: Table::Audit,
        index: Index::Primary,
        partition: partition.clone(),
        from: None,
        to: Some("4".to_owned()),
        descending: true,
        limit: 3,
    };
    let rows = ["1", "2", "3", "4", "5"].map(|sk| key(Table::Audit, run, "list", sk));
    tables.write_all(rows.iter().map(|key| put(key, 1, "x", Guard::Absent)).collect()).await.unwrap();
    let [_, two, three, four, _] = rows;
    let expected = [four, three, two].map(|key| (key.sk.clone(), key));
    assert_eq!(tables.range(own).await.unwrap(), expected);
}
