//! Exported logs as files.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const COUNTS: [usize; 6] = [3, 0, 1, 2_345, 0, 2];
const LATER: usize = 2;

/// The lines of a file with so many events in its hours, and events that are not sealed yet.
fn lines(counts: &[usize]) -> Vec<String> {
    let (mut head, mut file) = (Head::new(ORIGIN).unwrap(), Vec::new());
    for (number, count) in (0..).zip(counts) {
        let mut ids = Ids::new(hour(number), [7; 10]);
        let events: Vec<_> = (0..*count).map(|what| event(number, &mut ids, what)).collect();
        let entries = entries(&events);
        let (checkpoint, next) = head.seal(span(number), &entries).unwrap();
        write_span(&mut file, &KEY.note(ORIGIN, &checkpoint.to_string()).to_string(), &Entry::list(&entries))
            .unwrap();
        events.iter().for_each(|event| file.extend([event.as_bytes(), b"\n"].concat()));
        head = next;
    }
    write_unsealed(&mut file).unwrap();
    let mut ids = Ids::new(end(counts), [7; 10]);
    for what in 0..LATER {
        file.extend(event(i64::try_from(counts.len()).unwrap(), &mut ids, what).into_bytes());
        file.push(b'\n');
    }
    String::from_utf8(file).unwrap().lines().map(str::to_owned).collect()
}

fn end(counts: &[usize]) -> Timestamp {
    hour(i64::try_from(counts.len()).unwrap())
}

fn verify(lines: &[String], until: Option<Timestamp>) -> Result<Verified, NotVerified> {
    let file = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    verify_file(file.as_bytes(), KEY.public(ORIGIN), until, |_| {})
}

static LINES: LazyLock<Vec<String>> = LazyLock::new(|| lines(&COUNTS));

#[test]
fn a_file_is_as_it_was_sealed() {
    let (sealed_to, unsealed) = (end(&COUNTS), 2);
    let all = Verified { events: 2_351, before: 0, since: None, checkpoints: 6, sealed_to, unsealed };
    assert_eq!(verify(&LINES, Some(end(&COUNTS))).unwrap(), all);
    assert_eq!(verify(&LINES, None).unwrap(), all);
    let late = verify(&LINES, Some(end(&[0; 7]))).unwrap_err();
    assert!(matches!(late, NotVerified::Fault(Fault { finding: Finding::TailMissing { .. }, .. })), "{late}");
    // The last line of a file may lack its end.
    let file = LINES.join("\n");
    assert_eq!(verify_file(file.as_bytes(), KEY.public(ORIGIN), None, |_| {}).unwrap(), all);
}

/// The file, without what comes before the `n`th checkpoint, which it then begins after.
fn from(n: usize) -> Vec<String> {
    let (mut range, mut checkpoints, mut rest) = (Range::new(), 0, Vec::new());
    let mut last = String::new();
    for line in LINES.iter() {
        let is_checkpoint = line.starts_with("{\"checkpoint\":");
        checkpoints += usize::from(is_checkpoint);
        if checkpoints > n || !rest.is_empty() || line.starts_with("{\"unsealed\":") {
            rest.push(line.clone());
        } else if is_checkpoint {
            last = serde_json::from_str::<serde_json::Value>(line).unwrap()["checkpoint"]
                .as_str()
                .unwrap()
                .to_owned();
        } else if !line.starts_with("{\"entries\":") {
            range.push(Entry::of(line.as_bytes()).unwrap().leaf());
        }
    }
    let mut first = Vec::new();
    write_after(&mut first, &last, &range).unwrap();
    rest.insert(0, String::from_utf8(first).unwrap().trim_end().to_owned());
    rest
}

#[test]
fn a_file_may_begin_after_a_checkpoint_and_says_so() {
    for n in 1..COUNTS.len() {
        let before: usize = COUNTS[..n].iter().sum();
        let (before, since) = (u64::try_from(before).unwrap(), Some(end(&COUNTS[..n])));
        let checkpoints = u64::try_from(COUNTS.len() - n).unwrap();
        let sealed_to = end(&COUNTS);
        let part = Verified { events: 2_351 - before, before, since, checkpoints, sealed_to, unsealed: 2 };
        let lines = from(n);
        assert_eq!(verify(&lines, Some(end(&COUNTS))).unwrap(), part, "{n}");
        let with =
            |first: String| -> Vec<_> { std::iter::once(first).chain(lines[1..].iter().cloned()).collect() };
        let other_tree = lines[0].replace("\"tree\":\"A", "\"tree\":\"B");
        assert!(verify(&with(other_tree), None).is_err(), "{n}");
        assert!(verify(&with(from(n + 1)[0].clone()), None).is_err(), "after another checkpoint");
        assert!(verify(&lines[1..], None).is_err(), "without where it begins");
        let twice: Vec<_> = lines.iter().chain(lines.iter()).cloned().collect();
        assert!(verify(&twice, None).is_err());
    }
    let key = TestKey::generate().public(ORIGIN);
    assert!(verify_file(from(2).join("\n").as_bytes(), key, None, |_| {}).is_err(), "another key");
}

#[test]
fn a_file_without_a_checkpoint_of_its_own_proves_nothing() {
    for lines in [Vec::new(), lines(&[]), from(COUNTS.len())] {
        assert!(matches!(verify(&lines, None), Err(NotVerified::NothingSealed)), "{lines:?}");
        assert!(verify(&lines, Some(end(&COUNTS))).is_err(), "{lines:?}");
    }
}

#[test]
fn what_stands_as_not_sealed_yet_is_an_event() {
    let with = |line: &str| LINES.iter().cloned().chain([line.to_owned()]).collect::<Vec<_>>();
    let another = LINES.last().unwrap();
    assert_eq!(verify(&with(another), None).unwrap().unsealed, 3);
    for line in
        ["", "x", "{}", "[]", r#"{"id":"inv_01h2xcejqtf2nbrexx3vqjhp41"}"#, another.get(..20).unwrap()]
    {
        let done = verify(&with(line), None);
        assert!(matches!(done, Err(NotVerified::Form { what: "no event", .. })), "{line}: {done:?}");
    }
}

#[test]
fn what_is_no_export_is_refused() {
    for wrong in ["", "x", "{}", r#"{"checkpoint":1}"#, r#"{"checkpoint":"x"}"#, &"x".repeat(1 << 21)] {
        let done = verify(&[wrong.to_owned()], None);
        assert!(done.is_err(), "{wrong:.20} {done:?}");
    }
    let key = TestKey::generate().public(ORIGIN);
    assert!(verify_file(LINES.join("\n").as_bytes(), key, None, |_| {}).is_err(), "another key");
}

#[derive(Debug, Clone)]
enum Tampering {
    Drop,
    Repeat,
    Swap(Index),
    Byte(Index, u8),
    Cut,
}

fn tampering() -> impl Strategy<Value = Tampering> {
    prop_oneof![
        Just(Tampering::Drop),
        Just(Tampering::Repeat),
        any::<Index>().prop_map(Tampering::Swap),
        (any::<Index>(), b' '..b'~').prop_map(|(at, byte)| Tampering::Byte(at, byte)),
        Just(Tampering::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever is done to the lines of what is sealed is found.
    #[test]
    fn no_tampering_with_the_file_is_missed(at in any::<Index>(), what in tampering()) {
        let sealed = LINES.len() - LATER - 1;
        let mut lines = LINES.clone();
        let at = at.index(sealed);
        match what {
            Tampering::Drop => { lines.remove(at); }
            Tampering::Repeat => lines.insert(at, lines[at].clone()),
            Tampering::Swap(other) => lines.swap(at, other.index(sealed)),
            Tampering::Byte(byte, to) => {
                let mut bytes = lines[at].clone().into_bytes();
                let byte = byte.index(bytes.len());
                bytes[byte] = to;
                // Bytes of characters beyond ASCII stay: the file is text.
                match String::from_utf8(bytes) {
                    Ok(text) => lines[at] = text,
                    Err(_) => return Ok(()),
                }
            }
            Tampering::Cut => lines.truncate(at),
        }
        prop_assume!(lines != *LINES);
        prop_assert!(verify(&lines, Some(end(&COUNTS))).is_err());
    }
}
