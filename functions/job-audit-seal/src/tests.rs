use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use futures::future::{Either, join, select};
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Outcome};
use plixo_domain::id::{AuditId, Ids};
use plixo_domain::ledger::{Book, Organisation, Private, Residency, Settings};
use plixo_seal::{Head, List, PublicKey, Verifier, beginning, checkpoint_name, list_name};
use plixo_testing::{FakeBucket, FakeSigner, FakeTables, Fault, Faults, entropy};
use proptest::prelude::*;

use super::*;

const ORIGIN: &str = "plixo.example/audit";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When the organisations were made.
fn made() -> Timestamp {
    at("2026-11-29T08:40:10.5Z")
}

fn later(from: Timestamp, seconds: i64) -> Timestamp {
    from.saturating_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

struct World {
    faults: Faults,
    tables: FakeTables,
    bucket: FakeBucket,
    signer: FakeSigner,
    orgs: Vec<OrgId>,
    seed: u64,
}

impl World {
    fn new(orgs: u8) -> Self {
        let faults = Faults::default();
        let tables = FakeTables::new(faults.clone());
        let (bucket, signer) = (FakeBucket::new(faults.clone()), FakeSigner::new(faults.clone()));
        let mut world = Self { faults, tables, bucket, signer, orgs: Vec::new(), seed: 0 };
        for n in 0..orgs {
            let id = Ids::new(made(), [n; 10]).make();
            let mut book = Book::default();
            book.learn(plixo_domain::ledger::RowKey::Organisation, None);
            let organisation = Organisation {
                id,
                name: "Nordlicht".to_owned(),
                residency: Residency::Eu,
                controllers: BTreeSet::default(),
                settings: Settings::default(),
                logo: None,
                closed: None,
            };
            book.put(organisation).unwrap();
            block_on(world.store().commit(&id, &book, None, &[], made())).unwrap();
            world.orgs.push(id);
        }
        world
    }

    fn store(&self) -> Store<FakeTables, NoKeys> {
        Store::new(self.tables.clone(), NoKeys, entropy)
    }

    fn job(&self) -> Job<FakeTables, FakeBucket, FakeSigner> {
        Job::new(self.store(), self.bucket.clone(), self.signer.clone(), ORIGIN.to_owned())
    }

    fn write(&mut self, org: usize, at: Timestamp) -> AuditId {
        self.seed += 1;
        let mut seed = [0; 10];
        seed.iter_mut()
            .zip(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
            .for_each(|(a, b)| *a = b);
        let event = AuditEvent {
            id: Ids::new(at, seed).make(),
            at,
            actor: Actor { kind: ActorKind::Function, id: "test".to_owned(), role: None },
            origin: Private::default(),
            customer: None,
            action: "invoice.update".to_owned(),
            object: Object::new("invoice", self.seed),
            outcome: Outcome::Allowed,
            fields: vec!["memo".to_owned()],
            request_id: "r".to_owned(),
            count: None,
        };
        let events = std::slice::from_ref(&event);
        block_on(self.store().commit(&self.orgs[org], &Book::default(), None, events, at)).unwrap();
        event.id
    }

    fn run(&self, now: Timestamp) -> (Result<(), TaskError>, usize) {
        self.run_until(now, None)
    }

    fn run_until(&self, now: Timestamp, seal_until: Option<Timestamp>) -> (Result<(), TaskError>, usize) {
        let line = Line { timestamp: now, ..Line::default() };
        let (done, line) = block_on(self.job().run(Wanted { seal_until }, line));
        assert_eq!(line.outcome, if done.is_ok() { "sealed" } else { "behind" });
        (done, line.items.unwrap())
    }

    /// What an organisation's log has, with nothing but the bucket, the events and the public key: until when it is sealed, and
    /// the ids of each span's events.
    fn verified(&self, org: usize) -> (Option<Timestamp>, Vec<Vec<AuditId>>) {
        let org = &self.orgs[org];
        let origin = format!("{ORIGIN}/{org}");
        let faultless = self.signer.with(Faults::default());
        let key = PublicKey::new(&origin, &block_on(faultless.public_key()).unwrap()).unwrap();
        let mut events = BTreeMap::new();
        for (key, item) in self.tables.dump() {
            if key.table == plixo_store::Table::Audit && key.pk.starts_with(&org.to_string()) {
                events.insert(key.sk.parse::<AuditId>().unwrap(), item["row"].as_s().unwrap().clone());
            }
        }
        let bucket = self.bucket.dump();
        let mut verifier = Verifier::new(Head::new(&origin).unwrap(), vec![key]);
        let (mut from, mut size, mut spans) = (beginning(org), 0, Vec::new());
        while let Some(note) = bucket.get(&checkpoint_name(org, from)) {
            let text = plixo_seal::Note::parse(note).unwrap().text().to_owned();
            let checkpoint: plixo_seal::Checkpoint = text.parse().unwrap();
            let (mut list, mut ids) = (Vec::new(), Vec::new());
            if checkpoint.size > size {
                let kept = List::from_bytes(bucket[&list_name(org, &checkpoint)].clone()).unwrap();
                ids = kept.iter().map(|entry| entry.id).collect();
                list = kept.entries;
            }
            let texts: Vec<_> = ids.iter().map(|id| events[id].as_str()).collect();
            verifier.span(note, &list, texts).unwrap();
            (from, size) = (checkpoint.span.to, checkpoint.size);
            spans.push(ids);
        }
        let head = verifier.finish(Timestamp::MIN).ok();
        (head.and_then(|head| head.sealed_to()), spans)
    }
}

#[test]
fn every_hour_of_every_log_is_sealed_once_empty_ones_too() {
    let mut world = World::new(3);
    let first = world.write(0, made());
    assert_eq!(world.run(at("2026-11-29T09:20:00Z")).1, 3);
    let second = world.write(0, at("2026-11-29T10:59:59.999999Z"));
    let third = world.write(0, at("2026-11-29T11:00:00Z"));
    world.write(1, at("2026-11-29T11:10:00Z"));
    // The hour that ended 16 minutes ago is the last one.
    assert_eq!(world.run(at("2026-11-29T12:15:59Z")).1, 3 * 2);
    assert_eq!(
        world.verified(0),
        (Some(at("2026-11-29T11:00:00Z")), vec![vec![first], vec![], vec![second]])
    );
    let (done, made) = world.run(at("2026-11-29T12:16:00Z"));
    assert!(done.is_ok());
    assert_eq!(made, 3);
    assert_eq!(world.verified(0).1[3], [third]);
    assert_eq!(world.verified(1).1.concat().len(), 1);
    assert_eq!(world.verified(2), (Some(at("2026-11-29T12:00:00Z")), vec![vec![]; 4]));
    let calls = world.faults.calls();
    assert_eq!(world.run(at("2026-11-29T12:40:00Z")).1, 0);
    assert_eq!(world.faults.calls() - calls, 1 + 16 + 3, "the key, the organisations, and a row of each");
}

#[test]
fn a_log_from_before_there_was_a_seal_is_sealed_as_one() {
    let mut world = World::new(1);
    let ids = [made(), at("2027-02-03T04:05:06Z"), at("2027-02-03T04:05:07Z"), at("2027-11-29T08:59:59Z")];
    let ids = ids.map(|at| world.write(0, at));
    assert_eq!(world.run(at("2027-11-29T09:16:00Z")).1, 1);
    assert_eq!(world.verified(0), (Some(at("2027-11-29T09:00:00Z")), vec![ids.to_vec()]));
}

#[test]
fn an_empty_hour_costs_queries_a_signature_an_object_and_a_row() {
    let world = World::new(1);
    world.run(at("2026-11-29T11:16:00Z")).0.unwrap();
    let calls = world.faults.calls();
    assert_eq!(world.run(at("2026-11-29T12:16:00Z")).1, 1);
    assert_eq!(world.faults.calls() - calls, 1 + 16 + 1 + 16 + 1 + 1 + 1);
}

#[test]
fn what_comes_late_is_sealed_with_the_next_span_and_once() {
    let mut world = World::new(1);
    let early = world.write(0, at("2026-11-29T08:59:00Z"));
    world.run(at("2026-11-29T09:16:00Z")).0.unwrap();
    let late = world.write(0, at("2026-11-29T08:58:00Z"));
    let own = world.write(0, at("2026-11-29T09:30:00Z"));
    world.run(at("2026-11-29T10:16:00Z")).0.unwrap();
    world.run(at("2026-11-29T12:16:00Z")).0.unwrap();
    assert_eq!(world.verified(0).1, [vec![early], vec![late, own], vec![], vec![]]);
}

#[test]
fn a_log_is_sealed_until_now_for_whoever_needs_it() {
    let mut world = World::new(1);
    let first = world.write(0, at("2026-11-29T09:10:00Z"));
    let now = at("2026-11-29T09:20:00.5Z");
    for wrong in [at("2026-11-29T09:20:01Z"), at("2026-11-29T09:20:00.5Z")] {
        assert!(matches!(world.run_until(now, Some(wrong)).0, Err(TaskError::Permanent(_))));
    }
    assert_eq!(world.run_until(now, Some(at("2026-11-29T09:20:00Z"))).1, 1);
    let late = world.write(0, at("2026-11-29T09:19:00Z"));
    let second = world.write(0, at("2026-11-29T09:40:00Z"));
    assert_eq!(world.run(at("2026-11-29T10:16:00Z")).1, 1, "up to the full hour");
    let (until, spans) = world.verified(0);
    assert_eq!(until, Some(at("2026-11-29T10:00:00Z")));
    assert_eq!(spans, [vec![first], vec![late, second]]);
}

/// The work, or nothing where it never ends because its process died.
async fn until_dead<T>(work: impl Future<Output = T>) -> Option<T> {
    let idle = async {
        for _ in 0..20_000 {
            tokio::task::yield_now().await;
        }
    };
    match select(pin!(work), pin!(idle)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}

#[test]
fn whatever_goes_wrong_the_next_run_makes_it_good() {
    let build = || {
        let mut world = World::new(2);
        let first = world.write(0, made());
        world.run(at("2026-11-29T09:16:00Z")).0.unwrap();
        let ids =
            [first, world.write(0, at("2026-11-29T09:59:50Z")), world.write(0, at("2026-11-29T10:00:10Z"))];
        (world, ids)
    };
    let now = at("2026-11-29T11:16:00Z");
    let (world, _) = build();
    let before = world.faults.calls();
    world.run(now).0.unwrap();
    for call in 0..world.faults.calls() - before {
        for fault in Fault::ALL {
            let (mut world, [one, two, three]) = build();
            world.faults.plan(call, fault);
            let line = Line { timestamp: now, ..Line::default() };
            let done = block_on(until_dead(world.job().run(Wanted::default(), line)));
            assert!(done.is_none_or(|(done, _)| done.is_err()), "call {call}, {fault:?}");
            world.faults.clear();
            // The next run finds more than the last one did.
            let late = world.write(0, at("2026-11-29T10:59:00Z"));
            world.run(now).0.unwrap();
            let (until, spans) = world.verified(0);
            assert_eq!(until, Some(at("2026-11-29T11:00:00Z")), "call {call}, {fault:?}");
            world.run(later(now, 3_600)).0.unwrap();
            let sealed = world.verified(0).1.concat();
            assert_eq!(sealed.len(), 4, "call {call}, {fault:?}");
            assert_eq!(BTreeSet::from_iter(sealed), BTreeSet::from([one, two, three, late]));
            assert_eq!(spans[..2], [vec![one], vec![two]]);
        }
    }
}

#[test]
fn a_list_or_checkpoint_that_was_tampered_with_is_not_built_upon() {
    let mut world = World::new(1);
    world.write(0, at("2026-11-29T08:59:50Z"));
    world.run(at("2026-11-29T09:16:00Z")).0.unwrap();
    let org = world.orgs[0];
    let key = plixo_store::keys::row(&org, &plixo_domain::ledger::RowKey::AuditSeal);
    let item = world.tables.dump()[&key].clone();
    for (from, to) in
        [("\\n1\\n", "\\n2\\n"), ("\"range\":\"AAAA", "\"range\":\"AAAB"), ("/lists/2", "/lists/3")]
    {
        let mut other = item.clone();
        let row = item["row"].as_s().unwrap();
        assert!(row.contains(from), "{row}");
        other.insert("row".to_owned(), plixo_store::AttributeValue::S(row.replace(from, to)));
        world.tables.place(key.clone(), other);
        assert!(world.run(at("2026-11-29T10:16:00Z")).0.is_err(), "{from}");
    }
    world.tables.place(key, item);
    assert_eq!(world.run(at("2026-11-29T10:16:00Z")).1, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Events come in any order and up to 15 minutes late, runs come at any time and two at once: every event is sealed once,
    /// and the log verifies.
    #[test]
    fn many_writers_and_many_runs_leave_no_gap(
        steps in prop::collection::vec((0_i64..1_500, 0_i64..900, prop::bool::weighted(0.3), any::<bool>()), 1..60)
    ) {
        let mut world = World::new(1);
        let (mut now, mut written) = (later(made(), 1_000), BTreeSet::new());
        for (passes, late, is_run, ask_now) in steps {
            now = later(now, passes);
            if is_run {
                let until = ask_now.then(|| Timestamp::from_second(now.as_second()).unwrap());
                let line = || Line { timestamp: now, ..Line::default() };
                let (one, two) = (world.job(), world.job());
                let runs = join(one.run(Wanted { seal_until: until }, line()), two.run(Wanted::default(), line()));
                let ((first, _), (second, _)) = block_on(runs);
                prop_assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
                world.verified(0);
            } else {
                written.insert(world.write(0, later(now, -late)));
            }
        }
        world.run(later(now, 7_200)).0.unwrap();
        let (until, spans) = world.verified(0);
        prop_assert!(until.unwrap() >= now);
        let sealed = spans.concat();
        prop_assert_eq!(sealed.len(), written.len());
        prop_assert_eq!(sealed.into_iter().collect::<BTreeSet<_>>(), written);
    }
}
