//! What every implementation of the store's ports, and of the port to a bucket, must do.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use plixo_aws::s3::{LEAST_PART, Objects, Upload};
use plixo_domain::people::UserId;
use plixo_store::people::{Counted, Counter, OthersEnded, Pending, People, Tries};
use plixo_store::{Act, AttributeValue, Guard, Index, Item, Key, Range, Table, Tables, Write, WriteError};

fn key(table: Table, run: &str, pk: &str, sk: &str) -> Key {
    Key { table, pk: format!("{run}#{pk}"), sk: sk.to_owned() }
}

fn item(version: u64, text: &str) -> Item {
    let number = AttributeValue::N(version.to_string());
    Item::from([("version".to_owned(), number), ("row".to_owned(), AttributeValue::S(text.to_owned()))])
}

fn put(key: &Key, version: u64, text: &str, guard: Guard) -> Write {
    Write { key: key.clone(), act: Act::Put(item(version, text)), guard }
}

async fn stored(tables: &impl Tables, key: &Key) -> Option<Item> {
    tables.get(vec![key.clone()]).await.unwrap().remove(key)
}

/// Runs the whole suite on tables that may hold other things. `run` is a word that no other run used.
pub async fn tables(tables: &impl Tables, run: &str) {
    items_come_back_as_they_were_put(tables, run).await;
    what_an_index_finds_the_ledgers_items_by_is_not_read(tables, run).await;
    absent_items_are_left_out(tables, run).await;
    guards_hold(tables, run).await;
    all_or_nothing(tables, run).await;
    many_keys_at_once(tables, run).await;
    large_items(tables, run).await;
    one_of_many_wins(tables, run).await;
    deletions_are_guarded(tables, run).await;
    ranges_come_in_order(tables, run).await;
    an_index_of_whole_items_has_those_that_name_it(tables, run).await;
}

async fn items_come_back_as_they_were_put(tables: &impl Tables, run: &str) {
    for table in [Table::Audit, Table::WebhookEvents] {
        let at = key(table, run, "whole", "row");
        let nested =
            HashMap::from([("list".to_owned(), AttributeValue::L(vec![AttributeValue::N("-7".to_owned())]))]);
        let mut whole = item(1, "ä€𐍈");
        whole.insert("bytes".to_owned(), plixo_store::bytes(vec![0, 255, 128]));
        whole.insert("map".to_owned(), AttributeValue::M(nested));
        whole.insert("flag".to_owned(), AttributeValue::Bool(true));
        tables
            .write_all(vec![Write { key: at.clone(), act: Act::Put(whole.clone()), guard: Guard::Absent }])
            .await
            .unwrap();
        assert_eq!(stored(tables, &at).await, Some(whole));
    }
}

async fn what_an_index_finds_the_ledgers_items_by_is_not_read(tables: &impl Tables, run: &str) {
    let at = key(Table::Ledger, run, "indexed", "row");
    let (_, partition_name, sort_name) = Index::ByKind.names();
    let mut whole = item(1, "x");
    whole.insert("kind".to_owned(), AttributeValue::S("invoice".to_owned()));
    whole.insert("v".to_owned(), AttributeValue::N("1".to_owned()));
    whole.insert("expires_at".to_owned(), AttributeValue::N("4102444800".to_owned()));
    let mut listed = whole.clone();
    listed.insert(partition_name.to_owned(), AttributeValue::S(format!("{run}#indexed")));
    listed.insert(sort_name.to_owned(), AttributeValue::S("1".to_owned()));
    let write = Write { key: at.clone(), act: Act::Put(listed), guard: Guard::Absent };
    tables.write_all(vec![write]).await.unwrap();
    assert_eq!(stored(tables, &at).await, Some(whole));
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
    let delete = |version| Write { key: at.clone(), act: Act::Delete, guard: Guard::Version(version) };
    tables.write_all(vec![put(&at, 1, "x", Guard::Absent)]).await.unwrap();
    let stale = tables.write_all(vec![delete(2), put(&other, 1, "x", Guard::Absent)]).await;
    assert!(matches!(stale, Err(WriteError::Conflict)));
    assert_eq!((stored(tables, &at).await, stored(tables, &other).await), (Some(item(1, "x")), None));
    tables.write_all(vec![delete(1), put(&other, 1, "x", Guard::Absent)]).await.unwrap();
    assert_eq!((stored(tables, &at).await, stored(tables, &other).await), (None, Some(item(1, "x"))));
    assert!(matches!(tables.write_all(vec![delete(1)]).await, Err(WriteError::Conflict)));
    let there = || Write { guard: Guard::Present, ..delete(0) };
    assert!(matches!(tables.write_all(vec![there()]).await, Err(WriteError::Conflict)));
    tables.write_all(vec![put(&at, 7, "x", Guard::Absent)]).await.unwrap();
    tables.write_all(vec![there()]).await.unwrap();
    assert_eq!(stored(tables, &at).await, None);
}

async fn ranges_come_in_order(tables: &impl Tables, run: &str) {
    let partition = format!("{run}#list");
    let listed = |index: Index, pk: &str, sk: &str, kind: &str| {
        let mut item = item(1, "x");
        let (_, partition_name, sort_name) = index.names();
        item.insert(partition_name.to_owned(), AttributeValue::S(format!("{run}#{kind}")));
        item.insert(sort_name.to_owned(), AttributeValue::S(sk.to_owned()));
        Write { key: key(Table::Ledger, run, pk, "row"), act: Act::Put(item), guard: Guard::Absent }
    };
    let sorts = ["a", "b", "c", "d", "e"];
    for index in [
        Index::ByKind,
        Index::ByState,
        Index::ByCustomer,
        Index::ByCustomerState,
        Index::ByAmount,
        Index::ByOwed,
    ] {
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
    assert_eq!(tables.range(own.clone()).await.unwrap(), expected);
    let whole = tables.items(own).await.unwrap();
    assert!(whole.iter().all(|(_, item)| item.get("row") == Some(&AttributeValue::S("x".to_owned()))));
    assert_eq!(whole.into_iter().map(|(sort, _)| sort).collect::<Vec<_>>(), ["4", "3", "2"]);
}

async fn an_index_of_whole_items_has_those_that_name_it(tables: &impl Tables, run: &str) {
    let (_, partition_name, sort_name) = Index::ByObject.names();
    let partition = format!("{run}#object");
    let write = |sk: &str, listed: bool| {
        let mut item = item(1, sk);
        if listed {
            item.insert(partition_name.to_owned(), AttributeValue::S(partition.clone()));
            item.insert(sort_name.to_owned(), AttributeValue::S(sk.to_owned()));
        }
        let key = key(Table::Audit, run, &format!("object{sk}"), sk);
        Write { key, act: Act::Put(item), guard: Guard::Absent }
    };
    let rows = [("1", true), ("2", false), ("3", true), ("4", true)];
    tables.write_all(rows.into_iter().map(|(sk, listed)| write(sk, listed)).collect()).await.unwrap();
    let range = Range {
        table: Table::Audit,
        index: Index::ByObject,
        partition: partition.clone(),
        from: None,
        to: Some("3".to_owned()),
        descending: true,
        limit: 3,
    };
    let found = tables.items(range).await.unwrap();
    let text = |item: &Item| item["row"].as_s().unwrap().clone();
    let found: Vec<_> = found.iter().map(|(sort, item)| (sort.as_str(), text(item))).collect();
    assert_eq!(found, [("3", "3".to_owned()), ("1", "1".to_owned())]);
}

fn at(seconds: i64) -> Timestamp {
    // With a fraction, as clocks have one: what is stored has to keep it.
    let start: Timestamp = "2026-06-15T12:00:00.123456789Z".parse().unwrap();
    start.saturating_add(SignedDuration::from_secs(seconds)).unwrap()
}

/// Runs the whole suite of the people's port on a table that may hold other things. Neither `run`, a word, nor `user`
/// was used by another run.
pub async fn people(people: &impl People, run: &str, user: &UserId) {
    tries_are_free_up_to_a_number(people, run).await;
    of_many_tries_at_once_so_many_are_free(people, run).await;
    one_late_try_goes_on(people, run).await;
    tries_are_forgotten(people, run).await;
    the_first_try_says_when_all_are_forgotten(people, run).await;
    tries_are_taken_back_but_not_below_none(people, run).await;
    a_late_try_that_is_taken_back_was_never_made(people, run).await;
    a_code_is_used_once(people, run, user).await;
    challenges_wait_until_they_are_answered_or_forgotten(people, run, user).await;
    sessions_end(people, run, user).await;
    all_sessions_end_but_one(people, run, user).await;
    a_session_has_shown_both_factors_once_it_is_noted(people, run, user).await;
}

/// Tries as they are told, which last until the second of `until`.
fn tries(count: u32, last: i64, until: i64) -> Tries {
    Tries { count, last: at(last), until: Timestamp::from_second(at(until).as_second()).unwrap() }
}

async fn tries_are_free_up_to_a_number(people: &impl People, run: &str) {
    let (counter, other) = (Counter::new("free", run), Counter::new("other", run));
    for second in 0..3 {
        let counted = people.count_try(&counter, 3, at(second), at(100)).await.unwrap();
        assert_eq!(counted, Counted::Free);
    }
    for _ in 0..2 {
        let held = people.count_try(&counter, 3, at(9), at(100)).await.unwrap();
        assert_eq!(held, Counted::Held(tries(3, 2, 100)), "what is held is not counted");
    }
    assert_eq!(people.count_try(&other, 3, at(9), at(100)).await.unwrap(), Counted::Free);
}

async fn of_many_tries_at_once_so_many_are_free(people: &impl People, run: &str) {
    let counter = Counter::new("at-once", run);
    let tries = (0..20).map(|_| people.count_try(&counter, 5, at(0), at(100)));
    let counted = futures::future::join_all(tries).await;
    let free = counted.into_iter().filter(|counted| matches!(counted, Ok(Counted::Free))).count();
    assert_eq!(free, 5);
}

async fn one_late_try_goes_on(people: &impl People, run: &str) {
    let counter = Counter::new("late", run);
    people.count_try(&counter, 1, at(0), at(100)).await.unwrap();
    let seen = tries(1, 0, 100);
    let late = (0..10).map(|n| people.count_late_try(&counter, seen, 2, at(20 + n), at(200)));
    let went_on = futures::future::join_all(late).await.into_iter().filter(|done| *done.as_ref().unwrap());
    assert_eq!(went_on.count(), 1);
    let Counted::Held(now) = people.count_try(&counter, 1, at(40), at(200)).await.unwrap() else {
        panic!("a late try counts")
    };
    assert_eq!(now.count, 2);
    let unknown = Counter::new("never", run);
    assert!(!people.count_late_try(&unknown, seen, 2, at(40), at(200)).await.unwrap());
}

async fn tries_are_forgotten(people: &impl People, run: &str) {
    let counter = Counter::new("forgotten", run);
    people.count_try(&counter, 1, at(0), at(10)).await.unwrap();
    let held = people.count_try(&counter, 1, at(9), at(19)).await.unwrap();
    assert_eq!(held, Counted::Held(tries(1, 0, 10)));
    let gone = people.count_try(&counter, 1, at(10), at(20)).await.unwrap();
    assert_eq!(gone, Counted::Held(tries(0, 0, 10)), "whether or not its item is gone");
    people.forget_tries(&counter).await.unwrap();
    assert_eq!(people.count_try(&counter, 1, at(10), at(20)).await.unwrap(), Counted::Free);
    people.forget_tries(&Counter::new("never", run)).await.unwrap();
}

async fn the_first_try_says_when_all_are_forgotten(people: &impl People, run: &str) {
    let counter = Counter::new("window", run);
    for second in 0..3 {
        people.count_try(&counter, 3, at(second), at(second + 10)).await.unwrap();
    }
    let held = people.count_try(&counter, 3, at(9), at(19)).await.unwrap();
    assert_eq!(held, Counted::Held(tries(3, 2, 10)));
    let gone = people.count_try(&counter, 3, at(10), at(20)).await.unwrap();
    assert_eq!(gone, Counted::Held(tries(0, 2, 10)));
    assert!(people.count_late_try(&counter, tries(0, 2, 10), 1, at(10), at(20)).await.unwrap());
    people.take_back_try(&counter).await.unwrap();
    for second in 11..14 {
        people.count_try(&counter, 3, at(second), at(second + 10)).await.unwrap();
    }
    let held = people.count_try(&counter, 3, at(19), at(29)).await.unwrap();
    assert_eq!(held, Counted::Held(tries(3, 13, 20)), "one that was taken back moves nothing");
}

async fn a_late_try_that_is_taken_back_was_never_made(people: &impl People, run: &str) {
    let counter = Counter::new("late-back", run);
    people.count_try(&counter, 1, at(0), at(100)).await.unwrap();
    let seen = tries(1, 0, 100);
    for second in [20, 30] {
        assert!(people.count_late_try(&counter, seen, 2, at(second), at(200)).await.unwrap());
        people.take_back_late_try(&counter, at(second), seen).await.unwrap();
        let held = people.count_try(&counter, 1, at(40), at(200)).await.unwrap();
        assert_eq!(held, Counted::Held(seen));
    }
    // Another came since: it counts, and so does this one.
    assert!(people.count_late_try(&counter, seen, 2, at(50), at(200)).await.unwrap());
    assert!(people.count_late_try(&counter, tries(2, 50, 200), 3, at(60), at(200)).await.unwrap());
    people.take_back_late_try(&counter, at(50), seen).await.unwrap();
    let held = people.count_try(&counter, 1, at(70), at(200)).await.unwrap();
    assert_eq!(held, Counted::Held(tries(3, 60, 200)));
    people.take_back_late_try(&Counter::new("never", run), at(0), seen).await.unwrap();
}

async fn tries_are_taken_back_but_not_below_none(people: &impl People, run: &str) {
    let counter = Counter::new("back", run);
    people.take_back_try(&counter).await.unwrap();
    for _ in 0..2 {
        people.count_try(&counter, 2, at(0), at(100)).await.unwrap();
    }
    for _ in 0..3 {
        people.take_back_try(&counter).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(people.count_try(&counter, 2, at(1), at(100)).await.unwrap(), Counted::Free);
    }
    assert!(matches!(people.count_try(&counter, 2, at(2), at(100)).await, Ok(Counted::Held(_))));
}

async fn a_code_is_used_once(people: &impl People, run: &str, user: &UserId) {
    let tries = (0..10).map(|_| people.use_code(user, run, at(0), at(10)));
    let used = futures::future::join_all(tries).await.into_iter().filter(|done| *done.as_ref().unwrap());
    assert_eq!(used.count(), 1);
    assert!(!people.use_code(user, run, at(9), at(19)).await.unwrap());
    assert!(people.use_code(user, &format!("{run}2"), at(0), at(10)).await.unwrap());
    assert!(people.use_code(user, run, at(10), at(20)).await.unwrap(), "codes come again");
    assert!(!people.use_code(user, run, at(11), at(21)).await.unwrap());
}

async fn challenges_wait_until_they_are_answered_or_forgotten(
    people: &impl People,
    run: &str,
    user: &UserId,
) {
    let (question, counter) = ("totp".to_owned(), Counter::new("code", run));
    let pending = Pending { user: *user, question, counter, asked_at: at(0) };
    assert_eq!(people.pending(run, at(0)).await.unwrap(), None);
    people.ask(run, &pending, at(10)).await.unwrap();
    assert_eq!(people.pending(run, at(9)).await.unwrap(), Some(pending));
    assert_eq!(people.pending(run, at(10)).await.unwrap(), None);
    people.answered(run).await.unwrap();
    assert_eq!(people.pending(run, at(9)).await.unwrap(), None);
    people.answered(run).await.unwrap();
}

async fn sessions_end(people: &impl People, run: &str, user: &UserId) {
    let over =
        async |session: &str, now| people.standing(user, session, now).await.unwrap().is_over(session, at(0));
    assert!(!over(run, at(0)).await);
    people.revoke_session(run, at(10)).await.unwrap();
    people.revoke_session(run, at(10)).await.unwrap();
    assert!(over(run, at(9)).await);
    assert!(!over(run, at(10)).await);
    assert!(!over(&format!("{run}2"), at(0)).await);
}

async fn all_sessions_end_but_one(people: &impl People, run: &str, user: &UserId) {
    let (this, other) = (format!("{run}-this"), format!("{run}-other"));
    let over = async |session: &str, began: i64, now: i64| {
        people.standing(user, session, at(now)).await.unwrap().is_over(session, at(began))
    };
    assert!(!over(&other, 0, 1).await);
    for (session, second) in [(&this, 5), (&other, 7)] {
        let others = OthersEnded { at: at(second), but: session.clone() };
        people.end_others(user, &others, at(20)).await.unwrap();
        assert_eq!(
            (over(&this, 0, 8).await, over(&other, 0, 8).await),
            (session == &other, session == &this)
        );
    }
    let earlier = OthersEnded { at: at(6), but: this.clone() };
    people.end_others(user, &earlier, at(20)).await.unwrap();
    assert!(over(&this, 0, 8).await && !over(&other, 0, 8).await, "the later change stands");
    assert!(over(&this, 7, 8).await, "within the second");
    assert!(!over(&this, 8, 8).await, "later ones go on");
    assert!(!over(&this, 0, 20).await, "by then their tokens are out of date");
    let somebody = UserId(Default::default());
    assert!(!people.standing(&somebody, &this, at(8)).await.unwrap().is_over(&this, at(0)));
}

async fn a_session_has_shown_both_factors_once_it_is_noted(people: &impl People, run: &str, user: &UserId) {
    let shown = async |session: &str, now| people.standing(user, session, at(now)).await.unwrap().two_factor;
    assert!(!shown(run, 0).await);
    people.note_two_factor(run, at(10)).await.unwrap();
    assert_eq!((shown(run, 9).await, shown(run, 10).await), (true, false));
    assert!(!shown(&format!("{run}2"), 0).await);
}

/// Runs the whole suite on a bucket that may hold other things. `run` is a word that no other run used.
pub async fn objects(objects: &impl Objects, run: &str) {
    an_object_comes_back_as_it_was_put(objects, run).await;
    only_the_first_is_put_where_there_is_none(objects, run).await;
    what_is_taken_away_is_gone(objects, run).await;
    an_upload_is_there_once_it_is_whole(objects, run).await;
    an_address_names_the_object_and_how_long_it_is_good(objects, run).await;
}

async fn an_object_comes_back_as_it_was_put(objects: &impl Objects, run: &str) {
    let key = format!("{run}/whole");
    assert_eq!(objects.get(&key).await.unwrap(), None);
    for bytes in [vec![0, 255, 13, 10], Vec::new(), b"second".to_vec()] {
        objects.put(&key, "application/octet-stream", bytes.clone()).await.unwrap();
        assert_eq!(objects.get(&key).await.unwrap(), Some(bytes));
    }
}

async fn only_the_first_is_put_where_there_is_none(objects: &impl Objects, run: &str) {
    let key = format!("{run}/once");
    assert!(objects.put_if_absent(&key, "text/plain", b"first".to_vec()).await.unwrap());
    assert!(!objects.put_if_absent(&key, "text/plain", b"second".to_vec()).await.unwrap());
    assert_eq!(objects.get(&key).await.unwrap(), Some(b"first".to_vec()));
}

async fn what_is_taken_away_is_gone(objects: &impl Objects, run: &str) {
    let key = format!("{run}/gone");
    objects.delete(&key).await.unwrap();
    objects.put(&key, "text/plain", b"x".to_vec()).await.unwrap();
    objects.delete(&key).await.unwrap();
    assert_eq!(objects.get(&key).await.unwrap(), None);
    assert!(objects.put_if_absent(&key, "text/plain", b"again".to_vec()).await.unwrap());
}

async fn an_upload_is_there_once_it_is_whole(objects: &impl Objects, run: &str) {
    let (key, empty, dropped) = (format!("{run}/parts"), format!("{run}/empty"), format!("{run}/dropped"));
    let mut upload = Upload::begin(objects, &key, "text/csv").await.unwrap();
    let mut whole = Vec::new();
    for byte in [b'a', b'b', b'c'] {
        let some = vec![byte; LEAST_PART - 1];
        upload.write(&some).await.unwrap();
        whole.extend(some);
        assert_eq!(objects.get(&key).await.unwrap(), None);
    }
    let length = u64::try_from(whole.len()).unwrap();
    assert_eq!(upload.finish().await.unwrap(), length);
    assert_eq!(objects.get(&key).await.unwrap(), Some(whole));
    assert_eq!(Upload::begin(objects, &empty, "text/csv").await.unwrap().finish().await.unwrap(), 0);
    assert_eq!(objects.get(&empty).await.unwrap(), Some(Vec::new()));
    let mut upload = Upload::begin(objects, &dropped, "text/csv").await.unwrap();
    upload.write(&vec![b'x'; LEAST_PART]).await.unwrap();
    upload.abort().await;
    assert_eq!(objects.get(&dropped).await.unwrap(), None);
}

async fn an_address_names_the_object_and_how_long_it_is_good(objects: &impl Objects, run: &str) {
    let address =
        objects.presign(&format!("{run}/there"), "file.csv", Duration::from_secs(300)).await.unwrap();
    let path = address.split('?').next().unwrap();
    assert!(path.ends_with(&format!("{run}/there")), "{address}");
    assert!(address.contains("X-Amz-Expires=300") && address.contains("file.csv"), "{address}");
}
