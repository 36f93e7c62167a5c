use std::collections::BTreeSet;

use jiff::Timestamp;
use plixo_domain::id::Ids;
use plixo_domain::ledger::Book;
use plixo_domain::source::{DataSource, SourceKind};
use plixo_envelope::NoKeys;
use plixo_store::Store;
use plixo_testing::{FakeQueue, FakeTables, Fault, Faults, entropy};

use super::*;

fn now() -> Timestamp {
    "2026-11-28T09:00:00Z".parse().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// So many organisations with three sources each, of which one is refused: those that are to be kept up.
fn tables(orgs: u8, faults: &Faults) -> (FakeTables, BTreeSet<(OrgId, SourceId)>) {
    let tables = FakeTables::new(faults.clone());
    let mut wanted = BTreeSet::new();
    for n in 0..orgs {
        let mut ids = Ids::new(now(), [n; 10]);
        let (org, mut book): (OrgId, _) = (ids.make(), Book::default());
        for refused_at in [None, Some(now()), None] {
            let id: SourceId = ids.make();
            wanted.extend(refused_at.is_none().then_some((org, id)));
            book.put_new(DataSource {
                id,
                name: "Books".to_owned(),
                kind: SourceKind::Xero,
                account: "a".parse().unwrap(),
                place: None,
                connected_at: now(),
                connection: None,
                refused_at,
            });
        }
        let store = Store::new(tables.clone(), NoKeys, entropy);
        block_on(store.commit(&org, &book, None, &[], now())).unwrap();
    }
    (tables, wanted)
}

fn told(queue: &FakeQueue) -> Vec<(OrgId, SourceId)> {
    let upkeep = |(body, attribute): (String, String)| {
        let upkeep: Upkeep = serde_json::from_str(&body).unwrap();
        assert_eq!((upkeep.v, attribute.as_str()), (1, "upkeep"));
        (upkeep.org, upkeep.source)
    };
    queue.sent().into_iter().map(upkeep).collect()
}

fn run(tables: &FakeTables, queue: &FakeQueue) -> (Result<(), TaskError>, Line) {
    block_on(Job::new(tables.clone(), queue.clone()).run(Line::default()))
}

#[test]
fn every_source_of_every_organisation_is_told_of_once_but_those_that_are_refused() {
    let (tables, wanted) = tables(60, &Faults::default());
    let queue = FakeQueue::new(Faults::default());
    let (done, line) = run(&tables, &queue);
    done.unwrap();
    let told = told(&queue);
    assert_eq!((told.len(), line.items), (wanted.len(), Some(wanted.len())));
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), wanted);
}

#[test]
fn pages_join_without_a_gap() {
    let (tables, wanted) = tables(60, &Faults::default());
    for limit in [1, 2, 7] {
        let (mut next, mut found) = (Some(jobs::Upkeep::START), Vec::new());
        while let Some(from) = next {
            let (sources, further) = block_on(jobs::data_sources(&tables, from, limit)).unwrap();
            assert!(sources.len() <= limit);
            found.extend(sources);
            next = further;
        }
        assert_eq!(found.len(), wanted.len(), "{limit}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted, "{limit}");
    }
}

#[test]
fn what_was_not_told_fails_the_run_and_the_next_one_tells_it() {
    let faults = Faults::default();
    let (tables, wanted) = tables(3, &faults);
    for call in 0..20 {
        let queue = FakeQueue::new(faults.clone());
        faults.plan(call, Fault::Refuses);
        let (done, line) = run(&tables, &queue);
        faults.clear();
        assert!(matches!(done, Err(TaskError::Retryable(_))), "call {call}");
        assert_eq!(line.outcome, "unavailable");
        run(&tables, &queue).0.unwrap();
        assert_eq!(told(&queue).into_iter().collect::<BTreeSet<_>>(), wanted, "call {call}");
    }
}
