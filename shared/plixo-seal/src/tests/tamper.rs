//! Whatever is done to a sealed log is found, and the first bad thing named.

use std::collections::HashSet;

use plixo_domain::id::AuditId;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// A span as an export has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sealed {
    note: Vec<u8>,
    list: Vec<u8>,
    events: Vec<Vec<u8>>,
}

type Log = Vec<Sealed>;

/// How many events the hours of a log have.
const HOURS: [usize; 8] = [0, 4, 1, 0, 7, 0, 2, 5];
const LOGS: usize = HOURS.len();

/// Logs that begin and end with each of those hours.
static ORIGINALS: LazyLock<Vec<Log>> = LazyLock::new(|| (0..LOGS).map(|first| log(first, ORIGIN)).collect());
/// One of another organisation, sealed by the same key.
static OTHERS: LazyLock<Log> = LazyLock::new(|| log(0, "plixo.example/audit/org_01h2xcejqtf2nbrexx3vqjhp42"));

fn log(first: usize, origin: &str) -> Log {
    let mut head = Head::new(origin).unwrap();
    let mut log = Log::new();
    for (number, count) in (0..).zip(HOURS.iter().cycle().skip(first).take(HOURS.len())) {
        let mut ids = Ids::new(hour(number), [u8::try_from(first).unwrap(); 10]);
        let events: Vec<_> = (0..*count).map(|what| event(number, &mut ids, what).into_bytes()).collect();
        let entries = entries(&events);
        let (checkpoint, next) = head.seal(span(number), &entries).unwrap();
        let note = KEY.note(origin, &checkpoint.to_string()).to_string().into_bytes();
        log.push(Sealed { note, list: Entry::list(&entries), events });
        head = next;
    }
    log
}

fn end() -> Timestamp {
    hour(i64::try_from(HOURS.len()).unwrap())
}

fn verify(log: &Log) -> Result<Head, Fault> {
    let mut verifier = Verifier::new(Head::new(ORIGIN).unwrap(), vec![KEY.public(ORIGIN)]);
    log.iter().try_for_each(|Sealed { note, list, events }| verifier.span(note, list, events))?;
    verifier.finish(end())
}

fn id(text: &[u8]) -> Option<AuditId> {
    Entry::of(text).map(|entry| entry.id)
}

fn id_of(text: &[u8]) -> AuditId {
    id(text).unwrap()
}

/// An event that was never sealed, and whose id lies before, among or after the others'.
fn stranger(at: usize) -> Vec<u8> {
    let number = i64::try_from(at % (HOURS.len() + 1)).unwrap();
    event(number, &mut Ids::new(hour(number), [255; 10]), at).into_bytes()
}

/// An altered byte.
#[derive(Debug, Clone)]
struct Alteration {
    place: Index,
    xor: u8,
}

impl Alteration {
    fn alter(&self, bytes: &mut [u8]) {
        if !bytes.is_empty() {
            let place = self.place.index(bytes.len());
            bytes[place] ^= self.xor;
        }
    }
}

fn alteration() -> impl Strategy<Value = Alteration> {
    (any::<Index>(), 1_u8..).prop_map(|(place, xor)| Alteration { place, xor })
}

/// What somebody does to events.
#[derive(Debug, Clone)]
enum OfEvents {
    Alter(Index, Alteration),
    Drop(Index),
    Insert(Index, usize),
    Copy(Index, Index),
    Swap(Index, Index),
    Move(Index, Index),
    Truncate(Index),
}

/// What somebody does to checkpoints and lists of entries.
#[derive(Debug, Clone)]
enum OfSpans {
    AlterNote(Index, Alteration),
    AlterList(Index, Alteration),
    /// The checkpoint goes, and the events stay.
    DropNote(Index),
    /// An event and the list of its entries agree, and the checkpoint is another.
    Rewrite(Index, usize),
    /// All agrees, but another key has signed it.
    Forge(Index, usize),
    /// The log of another organisation.
    Foreign(Index),
    Drop(Index),
    Copy(Index, Index),
    Swap(Index, Index),
    Truncate(Index),
    SwapNotes(Index, Index),
    SwapLists(Index, Index),
}

#[derive(Debug, Clone)]
enum Tampering {
    Events(OfEvents),
    Spans(OfSpans),
}

fn of_events() -> impl Strategy<Value = OfEvents> {
    let index = any::<Index>;
    prop_oneof![
        (index(), alteration()).prop_map(|(at, how)| OfEvents::Alter(at, how)),
        index().prop_map(OfEvents::Drop),
        (index(), 0_usize..100).prop_map(|(at, what)| OfEvents::Insert(at, what)),
        (index(), index()).prop_map(|(from, to)| OfEvents::Copy(from, to)),
        (index(), index()).prop_map(|(one, other)| OfEvents::Swap(one, other)),
        (index(), index()).prop_map(|(from, to)| OfEvents::Move(from, to)),
        index().prop_map(OfEvents::Truncate),
    ]
}

fn of_spans() -> impl Strategy<Value = OfSpans> {
    let index = any::<Index>;
    prop_oneof![
        (index(), alteration()).prop_map(|(at, how)| OfSpans::AlterNote(at, how)),
        (index(), alteration()).prop_map(|(at, how)| OfSpans::AlterList(at, how)),
        index().prop_map(OfSpans::DropNote),
        (index(), 0_usize..100).prop_map(|(at, what)| OfSpans::Rewrite(at, what)),
        (index(), 0_usize..100).prop_map(|(at, what)| OfSpans::Forge(at, what)),
        index().prop_map(OfSpans::Foreign),
        index().prop_map(OfSpans::Drop),
        (index(), index()).prop_map(|(from, to)| OfSpans::Copy(from, to)),
        (index(), index()).prop_map(|(one, other)| OfSpans::Swap(one, other)),
        index().prop_map(OfSpans::Truncate),
        (index(), index()).prop_map(|(one, other)| OfSpans::SwapNotes(one, other)),
        (index(), index()).prop_map(|(one, other)| OfSpans::SwapLists(one, other)),
    ]
}

fn tampering() -> impl Strategy<Value = Tampering> {
    prop_oneof![of_events().prop_map(Tampering::Events), of_spans().prop_map(Tampering::Spans)]
}

/// Where the `number`th event of a log is.
fn place_of(log: &Log, mut number: usize) -> (usize, usize) {
    for (span, Sealed { events, .. }) in log.iter().enumerate() {
        if number < events.len() {
            return (span, number);
        }
        number -= events.len();
    }
    panic!("no such event")
}

fn count(log: &Log) -> usize {
    log.iter().map(|span| span.events.len()).sum()
}

impl OfEvents {
    fn tamper(&self, log: &mut Log) {
        let events = count(log);
        if events == 0 {
            return;
        }
        let find = |index: &Index| place_of(log, index.index(events));
        match self {
            Self::Alter(at, how) => {
                let (span, place) = find(at);
                how.alter(&mut log[span].events[place]);
            }
            Self::Drop(at) => {
                let (span, place) = find(at);
                log[span].events.remove(place);
            }
            Self::Insert(at, what) => {
                let (span, place) = find(at);
                log[span].events.insert(place, stranger(*what));
            }
            Self::Copy(from, to) => {
                let ((span, place), to) = (find(from), find(to));
                let copy = log[span].events[place].clone();
                log[to.0].events.insert(to.1, copy);
            }
            Self::Swap(one, other) => {
                let (one, other) = (find(one), find(other));
                let (a, b) = (log[one.0].events[one.1].clone(), log[other.0].events[other.1].clone());
                log[one.0].events[one.1] = b;
                log[other.0].events[other.1] = a;
            }
            Self::Move(from, to) => {
                let (from, to) = (find(from), find(to));
                let moved = log[from.0].events.remove(from.1);
                let place = to.1.min(log[to.0].events.len());
                log[to.0].events.insert(place, moved);
            }
            Self::Truncate(at) => {
                let (span, place) = find(at);
                log[span].events.truncate(place);
                log[span + 1..].iter_mut().for_each(|span| span.events.clear());
            }
        }
    }
}

impl OfSpans {
    fn tamper(&self, log: &mut Log) {
        let spans = log.len();
        if spans == 0 {
            return;
        }
        match self {
            Self::AlterNote(at, how) => how.alter(&mut log[at.index(spans)].note),
            Self::AlterList(at, how) => how.alter(&mut log[at.index(spans)].list),
            Self::DropNote(at) => log[at.index(spans)].note.clear(),
            Self::Rewrite(at, what) => {
                let (text, note) = rewritten(&mut log[at.index(spans)], *what);
                // The old signature under the new text.
                let line = note.rsplit("\n\n").next().unwrap();
                log[at.index(spans)].note = format!("{text}\n{line}").into_bytes();
            }
            Self::Forge(at, what) => {
                let (text, _) = rewritten(&mut log[at.index(spans)], *what);
                let forger = TestKey::generate();
                log[at.index(spans)].note = forger.note(ORIGIN, &text).to_string().into_bytes();
            }
            Self::Foreign(at) => log[at.index(spans)] = OTHERS[at.index(spans).min(OTHERS.len() - 1)].clone(),
            Self::Drop(at) => {
                log.remove(at.index(spans));
            }
            Self::Copy(from, to) => log.insert(to.index(spans + 1), log[from.index(spans)].clone()),
            Self::Swap(one, other) => log.swap(one.index(spans), other.index(spans)),
            Self::Truncate(at) => log.truncate(at.index(spans)),
            Self::SwapNotes(one, other) => {
                let (one, other) = (one.index(spans), other.index(spans));
                let (a, b) = (log[one].note.clone(), log[other].note.clone());
                (log[one].note, log[other].note) = (b, a);
            }
            Self::SwapLists(one, other) => {
                let (one, other) = (one.index(spans), other.index(spans));
                let (a, b) = (log[one].list.clone(), log[other].list.clone());
                (log[one].list, log[other].list) = (b, a);
            }
        }
    }
}

/// Adds an event to a span and to the list of its entries, and gives the checkpoint's text as somebody would write it who knows
/// the log, and its note as it was.
fn rewritten(span: &mut Sealed, what: usize) -> (String, String) {
    span.events.push(stranger(what));
    span.list.extend(Entry::of(&stranger(what)).unwrap().to_bytes());
    let note = String::from_utf8_lossy(&span.note).into_owned();
    let text = Note::parse(note.as_bytes()).ok().and_then(|note| note.text().parse::<Checkpoint>().ok());
    let text =
        text.map(|checkpoint| Checkpoint { size: checkpoint.size + 1, root: Hash::of(&[]), ..checkpoint });
    (text.map_or_else(|| "text\n".to_owned(), |text| text.to_string()), note)
}

impl Tampering {
    fn tamper(&self, log: &mut Log) {
        match self {
            Self::Events(of) => of.tamper(log),
            Self::Spans(of) => of.tamper(log),
        }
    }
}

/// The events that a finding names; `None` where it is about a checkpoint or a list.
fn named(finding: &Finding) -> Option<Vec<AuditId>> {
    match finding {
        Finding::Altered(id) | Finding::Missing(id) | Finding::Added(id) => Some(vec![*id]),
        Finding::Moved { id, instead } => Some(vec![*id, *instead]),
        Finding::NoEvent(_) => Some(Vec::new()),
        _ => None,
    }
}

/// That the first place at which two logs differ is the one that is found.
fn assert_first(original: &Log, tampered: &Log) -> Result<(), TestCaseError> {
    let verified = verify(tampered);
    let spans = original.len().max(tampered.len());
    let Some(first) = (0..spans).find(|span| original.get(*span) != tampered.get(*span)) else {
        prop_assert!(verified.is_ok(), "{:?}", verified);
        return Ok(());
    };
    let Err(Fault { since, finding }) = verified else {
        return Err(TestCaseError::fail(format!("not found: span {first}")));
    };
    prop_assert_eq!(since, (first > 0).then(|| hour(i64::try_from(first).unwrap())), "{}", finding);
    let Some(found) = tampered.get(first) else {
        prop_assert_eq!(finding, Finding::TailMissing { until: end() });
        return Ok(());
    };
    let Some(sealed) = original.get(first).filter(|sealed| sealed.note == found.note) else {
        // A checkpoint that is not the next one, so nothing is said of events.
        let of_list = matches!(finding, Finding::List { .. } | Finding::Unsealed { .. });
        prop_assert!(named(&finding).is_none() && !of_list, "{}", finding);
        return Ok(());
    };
    if sealed.list != found.list {
        let is_list = matches!(finding, Finding::List { .. });
        prop_assert!(is_list || matches!(finding, Finding::Unsealed { .. }), "{}", finding);
        prop_assert_eq!(is_list, sealed.events == found.events);
        return Ok(());
    }
    let events = sealed.events.len().max(found.events.len());
    let place = (0..events).find(|place| sealed.events.get(*place) != found.events.get(*place)).unwrap();
    let ids = |events: &[Vec<u8>]| events.get(place).and_then(|text| id(text));
    let at_place: HashSet<AuditId> =
        [ids(&sealed.events), ids(&found.events)].into_iter().flatten().collect();
    let Some(named) = named(&finding) else { return Err(TestCaseError::fail(finding.to_string())) };
    prop_assert!(named.iter().all(|id| at_place.contains(id)), "{} at {}", finding, place);
    if named.is_empty() {
        prop_assert_eq!(finding, Finding::NoEvent(u64::try_from(place + 1).unwrap()));
        prop_assert_eq!(id(&found.events[place]), None);
    }
    Ok(())
}

#[test]
fn a_log_is_as_it_was_sealed() {
    for log in ORIGINALS.iter() {
        let head = verify(log).unwrap();
        assert_eq!(head.range().size(), u64::try_from(count(log)).unwrap());
        // From any checkpoint on, with the range that was kept with it.
        for kept in 1..=log.len() {
            let head_there = {
                let mut verifier = Verifier::new(Head::new(ORIGIN).unwrap(), vec![KEY.public(ORIGIN)]);
                log[..kept].iter().for_each(|it| verifier.span(&it.note, &it.list, &it.events).unwrap());
                verifier.finish(hour(i64::try_from(kept).unwrap())).unwrap()
            };
            let checkpoint = Note::parse(&log[kept - 1].note).unwrap().text().parse().unwrap();
            let range = Range::from_bytes(&head_there.range().to_bytes()).unwrap();
            let mut verifier = Verifier::new(Head::at(&checkpoint, range).unwrap(), vec![KEY.public(ORIGIN)]);
            log[kept..].iter().for_each(|it| verifier.span(&it.note, &it.list, &it.events).unwrap());
            assert_eq!(verifier.finish(end()).unwrap(), head);
        }
    }
}

#[test]
fn what_is_wrong_with_a_checkpoint_is_said() {
    let finding = |tamper: &dyn Fn(&mut Log)| {
        let mut log = ORIGINALS[0].clone();
        tamper(&mut log);
        let Fault { since, finding } = verify(&log).unwrap_err();
        (since, finding)
    };
    let at = |number| Some(hour(number));
    let until = hour;
    assert_eq!(finding(&|log| drop(log.remove(0))), (None, Finding::BeginningMissing));
    assert_eq!(finding(&|log| drop(log.remove(3))), (at(3), Finding::HoursMissing { until: until(4) }));
    assert_eq!(finding(&|log| drop(log.drain(2..5))), (at(2), Finding::HoursMissing { until: until(5) }));
    assert_eq!(finding(&|log| drop(log.pop())), (at(7), Finding::TailMissing { until: end() }));
    assert_eq!(finding(&|log| log.clear()), (None, Finding::TailMissing { until: end() }));
    assert_eq!(finding(&|log| log.insert(5, log[4].clone())), (at(5), Finding::Repeated));
    assert_eq!(finding(&|log| log.push(log[7].clone())), (at(8), Finding::Repeated));
    assert_eq!(finding(&|log| log[2].note.clear()), (at(2), Finding::Note(NoteError::Unsigned)));
    let origin = "plixo.example/audit/org_01h2xcejqtf2nbrexx3vqjhp42";
    assert_eq!(finding(&|log| log[2] = OTHERS[2].clone()), (at(2), Finding::Note(NoteError::Unknown)));
    let resigned = |log: &mut Log, change: &dyn Fn(Checkpoint) -> Checkpoint| {
        let checkpoint = Note::parse(&log[2].note).unwrap().text().parse().unwrap();
        log[2].note = KEY.note(ORIGIN, &change(checkpoint).to_string()).to_string().into_bytes();
    };
    // What the right key signs and is wrong all the same.
    let other = |it| Checkpoint { origin: origin.to_owned(), ..it };
    let expected = (at(2), Finding::OtherLog(origin.to_owned()));
    assert_eq!(finding(&|log| resigned(log, &other)), expected);
    let other = |it| Checkpoint { previous: Some(Hash::of(b"")), ..it };
    assert_eq!(finding(&|log| resigned(log, &other)), (at(2), Finding::ChainBroken));
    let other = |it| Checkpoint { previous: None, ..it };
    assert_eq!(finding(&|log| resigned(log, &other)), (at(2), Finding::ChainBroken));
    let other = |it| Checkpoint { size: 4, ..it };
    assert_eq!(finding(&|log| resigned(log, &other)), (at(2), Finding::Unsealed { first: None }));
    let no_checkpoint = |log: &mut Log| log[2].note = KEY.note(ORIGIN, "text\n").to_string().into_bytes();
    assert_eq!(finding(&no_checkpoint), (at(2), Finding::Checkpoint(CheckpointError::Lines)));
    // One that is signed once more is the same.
    let mut log = ORIGINALS[0].clone();
    let text = Note::parse(&log[2].note).unwrap().text().to_owned();
    log[2].note = KEY.note(ORIGIN, &text).to_string().into_bytes();
    assert_ne!(log, ORIGINALS[0]);
    assert!(verify(&log).is_ok());
}

#[test]
fn with_an_altered_list_the_first_event_of_it_is_named() {
    let events = &ORIGINALS[0][1].events;
    let (one, two) = (id_of(&events[0]), id_of(&events[1]));
    let finding = |tamper: &dyn Fn(&mut Sealed)| {
        let mut log = ORIGINALS[0].clone();
        tamper(&mut log[1]);
        verify(&log).unwrap_err().finding
    };
    assert_eq!(
        finding(&|span| span.list[Entry::LEN] ^= 1).to_string().matches("the events were not").count(),
        1
    );
    assert_eq!(finding(&|span| span.list[2 * Entry::LEN - 1] ^= 1), Finding::List { first: Some(two) });
    assert_eq!(finding(&|span| span.list.clear()), Finding::List { first: Some(one) });
    assert_eq!(finding(&|span| span.list.push(0)), Finding::List { first: None });
    let both = |span: &mut Sealed| {
        span.list[2 * Entry::LEN - 1] ^= 1;
        span.events[0].push(b' ');
    };
    assert_eq!(finding(&both), Finding::Unsealed { first: Some(one) });
}

#[test]
fn what_is_no_event_is_named_by_its_line() {
    let events = &ORIGINALS[0][1].events;
    let (one, two, last) = (id_of(&events[0]), id_of(&events[1]), events.len());
    let finding = |tamper: &dyn Fn(&mut Sealed)| {
        let mut log = ORIGINALS[0].clone();
        tamper(&mut log[1]);
        verify(&log).unwrap_err().finding
    };
    let line = || b"{}".to_vec();
    let after_the_last = Finding::NoEvent(u64::try_from(last).unwrap() + 1);
    assert_eq!(finding(&|span| span.events.push(line())), after_the_last);
    assert_eq!(finding(&|span| span.events.insert(1, line())), Finding::NoEvent(2));
    // In an event's place it is that event, altered.
    assert_eq!(finding(&|span| span.events[1] = line()), Finding::Altered(two));
    let with_list = |span: &mut Sealed| {
        span.list[2 * Entry::LEN - 1] ^= 1;
        span.events.insert(0, line());
    };
    assert_eq!(finding(&with_list), Finding::Unsealed { first: Some(one) });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn one_tampering_with_events_is_named(log in 0..LOGS, tampering in of_events()) {
        let original = &ORIGINALS[log];
        let mut tampered = original.clone();
        tampering.tamper(&mut tampered);
        let events = count(original);
        let at = |index: &Index| place_of(original, index.index(events));
        let named = |(span, place): (usize, usize)| id_of(&original[span].events[place]);
        let Err(Fault { since, finding }) = verify(&tampered) else {
            prop_assert_eq!(&tampered, original);
            return Ok(());
        };
        prop_assert_ne!(&tampered, original);
        let span = match &tampering {
            OfEvents::Alter(index, _) => {
                let (span, place) = at(index);
                let kept_id = id(&tampered[span].events[place]).is_none_or(|id| id == named((span, place)));
                let id = named((span, place));
                prop_assert_eq!(finding, if kept_id { Finding::Altered(id) } else { Finding::Missing(id) });
                span
            }
            OfEvents::Drop(index) => {
                prop_assert_eq!(finding, Finding::Missing(named(at(index))));
                at(index).0
            }
            OfEvents::Insert(index, what) => {
                prop_assert_eq!(finding, Finding::Added(id_of(&stranger(*what))));
                at(index).0
            }
            OfEvents::Copy(from, to) => {
                // One that is sealed for later in the span stands before its time.
                let (from, to) = (at(from), at(to));
                let copy = named(from);
                let is_later = from.0 == to.0 && from.1 > to.1;
                let moved = Finding::Moved { id: named(to), instead: copy };
                prop_assert_eq!(finding, if is_later { moved } else { Finding::Added(copy) });
                to.0
            }
            OfEvents::Swap(one, other) => {
                let (first, second) = (at(one).min(at(other)), at(one).max(at(other)));
                let (id, instead) = (named(first), named(second));
                let is_within = first.0 == second.0;
                prop_assert_eq!(finding, if is_within { Finding::Moved { id, instead } } else { Finding::Missing(id) });
                first.0
            }
            OfEvents::Move(from, to) => {
                let (from, to) = (at(from), at(to));
                let moved = named(from);
                prop_assert_eq!(finding, match (from.0 == to.0, from < to) {
                    (true, true) => Finding::Moved { id: moved, instead: named((from.0, from.1 + 1)) },
                    (true, false) => Finding::Moved { id: named(to), instead: moved },
                    (false, true) => Finding::Missing(moved),
                    (false, false) => Finding::Added(moved),
                });
                from.0.min(to.0)
            }
            OfEvents::Truncate(index) => {
                prop_assert_eq!(finding, Finding::Missing(named(at(index))));
                at(index).0
            }
        };
        prop_assert_eq!(since, (span > 0).then(|| hour(i64::try_from(span).unwrap())));
    }

    #[test]
    fn one_tampering_with_checkpoints_is_found_where_it_is(log in 0..LOGS, tampering in of_spans()) {
        let mut tampered = ORIGINALS[log].clone();
        tampering.tamper(&mut tampered);
        assert_first(&ORIGINALS[log], &tampered)?;
    }

    #[test]
    fn of_two_tamperings_the_first_bad_place_is_found(log in 0..LOGS, one in tampering(), other in tampering()) {
        let mut tampered = ORIGINALS[log].clone();
        one.tamper(&mut tampered);
        other.tamper(&mut tampered);
        assert_first(&ORIGINALS[log], &tampered)?;
    }
}
