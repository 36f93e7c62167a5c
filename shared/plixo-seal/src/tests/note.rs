use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

/// The example of <https://c2sp.org/signed-note>: its text has a blank line, and its signature is of another type.
const EXAMPLE: &str = "\
Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
";

/// Keys and checkpoints of public logs that sign with ECDSA, as
/// <https://github.com/transparency-dev/formats/blob/main/note/note_verifier_test.go> has them.
const PUBLIC: [(&str, &str); 2] = [
    (
        "rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK5AW5i0hrZLOC96l+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=",
        "Rekor\n798034\nf+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=\n\n— rekor.sigstore.dev wNI9ajBEAiARInWIWyCdyG27CO6LPnPekyw20qO0YJfoaPaowGp/XgIgc+qEHS3+GKVClgqq20uDLet7MCoTURUCRdxwWBHHufk=\n",
    ),
    (
        "pixel6_transparency_log+91c16e30+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN+4x0Jk1yTwvLFI9A4NDdGZcX0aiWVdWM5XJVy0M4VWD3AvyW5Q6Hs9A0mcDkpUoYgn+KKPNzFC0H3nN3q6JQ8=",
        "DEFAULT\n10\nbsWRucJU5xJPHb5eBdOm6+DM+VelCZBuvtI3sHERJ9Y=\n\n— pixel6_transparency_log kcFuMDBFAiEAhqMAP8P6qf6QxtUJhzMhbN+MbZ9dwfUHzGQJmffJHtoCIGD0cNe47dHWBoPwYdgBCepB06/+g5O1FmYjXl06owL4\n",
    ),
];

fn parse(text: &str) -> Result<Note, NoteError> {
    Note::parse(text.as_bytes())
}

#[test]
fn checkpoints_of_public_logs_verify() {
    for (key, note) in PUBLIC {
        let public: PublicKey = key.parse().unwrap();
        assert_eq!(public.to_string(), key);
        let read = parse(note).unwrap();
        assert_eq!(read.to_string(), note);
        assert_eq!(read.verify(std::slice::from_ref(&public)), Ok(()));
        let altered = parse(&note.replacen('0', "1", 1)).unwrap();
        assert_eq!(altered.verify(&[public]), Err(NoteError::Forged));
    }
}

#[test]
fn what_an_unknown_key_signed_counts_for_nothing() {
    let keys: Vec<PublicKey> = PUBLIC.iter().map(|(key, _)| key.parse().unwrap()).collect();
    let example = parse(EXAMPLE).unwrap();
    assert_eq!(example.to_string(), EXAMPLE);
    assert!(example.text().ends_with(":\n\ned è subito sera.\n"));
    assert_eq!(example.verify(&keys), Err(NoteError::Unknown));
    // The same id under another name, and a key beside one that is unknown.
    let renamed = PUBLIC[0].1.replace("— rekor.sigstore.dev", "— rekor.example");
    assert_eq!(parse(&renamed).unwrap().verify(&keys), Err(NoteError::Unknown));
    let (_, other) = EXAMPLE.trim_end().rsplit_once('\n').unwrap();
    let both = format!("{}{other}\n", PUBLIC[0].1);
    assert_eq!(parse(&both).unwrap().verify(&keys), Ok(()));
}

#[test]
fn sixteen_signatures_are_read_and_one_forged_one_of_a_known_key_spoils_all() {
    let (text, key) = ("a\nb\n", KEY.public(ORIGIN));
    let note = KEY.note(ORIGIN, text).to_string();
    let (_, line) = note.trim_end().rsplit_once('\n').unwrap();
    let others = (0..15).map(|number| line.replace(ORIGIN, &format!("witness{number}.example")) + "\n");
    let many = note.clone() + &others.collect::<String>();
    let keys = std::slice::from_ref(&key);
    assert_eq!(parse(&many).unwrap().verify(keys), Ok(()));
    let foreign = KEY.note(ORIGIN, "another text\n").to_string();
    let (_, foreign) = foreign.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(parse(&format!("{many}{foreign}\n")).unwrap().verify(keys), Err(NoteError::Forged));
}

#[test]
fn what_is_no_note_is_refused() {
    let line = "— a AAAAAAA=";
    assert!(parse(&format!("text\n\n{line}\n")).is_ok());
    for (text, error) in [
        (String::new(), NoteError::Unsigned),
        ("text\n".to_owned(), NoteError::Unsigned),
        (format!("text\n{line}\n"), NoteError::Unsigned),
        ("text\n\n".to_owned(), NoteError::Line),
        (format!("text\n\n{line}"), NoteError::Line),
        (format!("text\n\n{line}\r\n"), NoteError::Text),
        (format!("te\txt\n\n{line}\n"), NoteError::Text),
        (format!("text\n\n{line} \n"), NoteError::Line),
        (format!("text\n\n{line}\nmore\n"), NoteError::Line),
        ("text\n\n- a AAAAAAA=\n".to_owned(), NoteError::Line),
        ("text\n\n— AAAAAAA=\n".to_owned(), NoteError::Line),
        ("text\n\n—  AAAAAAA=\n".to_owned(), NoteError::Line),
        ("text\n\n— a+b AAAAAAA=\n".to_owned(), NoteError::Line),
        ("text\n\n— a\u{a0}b AAAAAAA=\n".to_owned(), NoteError::Line),
        // Four bytes are an id alone; the others are not the one base64 of their bytes.
        ("text\n\n— a AAAAAA==\n".to_owned(), NoteError::Line),
        ("text\n\n— a AAAAAAA\n".to_owned(), NoteError::Line),
        ("text\n\n— a AAAAAAB=\n".to_owned(), NoteError::Line),
        ("x".repeat(128 * 1024 + 1), NoteError::Long),
    ] {
        assert_eq!(parse(&text), Err(error), "{text:?}");
    }
    assert_eq!(Note::parse(b"\xff\n\n\xe2\x80\x94 a AAAAAAA=\n"), Err(NoteError::Text));
}

#[test]
fn what_is_no_key_is_refused() {
    let (key, _) = PUBLIC[0];
    let parts: Vec<&str> = key.splitn(3, '+').collect();
    let with = |name: &str, id: &str, key: &str| format!("{name}+{id}+{key}").parse::<PublicKey>().err();
    assert_eq!(with(parts[0], parts[1], parts[2]), None);
    assert_eq!("rekor.sigstore.dev".parse::<PublicKey>().err(), Some(KeyError::Form));
    assert_eq!("rekor.sigstore.dev+c0d23d6a".parse::<PublicKey>().err(), Some(KeyError::Form));
    assert_eq!(with("", parts[1], parts[2]), Some(KeyError::Name));
    assert_eq!(with("a b", parts[1], parts[2]), Some(KeyError::Name));
    assert_eq!(with(parts[0], "00000000", parts[2]), Some(KeyError::Id));
    assert_eq!(with(parts[0], "C0D23D6A", parts[2]), Some(KeyError::Id));
    assert_eq!(with(parts[0], parts[1], "not base64!"), Some(KeyError::Form));
    // Ed25519, the point alone, one byte more, a point that is not on the curve.
    let ed25519 = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(ed25519.parse::<PublicKey>().err(), Some(KeyError::Key));
    let bytes = STANDARD.decode(parts[2]).unwrap();
    let der = &bytes[1..];
    assert_eq!(PublicKey::new("a", &der[26..]).err(), Some(KeyError::Key));
    assert_eq!(PublicKey::new("a", &[der, &[0]].concat()).err(), Some(KeyError::Key));
    let mut off = der.to_vec();
    off[90] ^= 1;
    assert_eq!(PublicKey::new("a", &off).err(), Some(KeyError::Key));
}

#[test]
fn what_nobody_could_verify_is_not_given_out() {
    let other = TestKey::generate();
    let refused = at_once(KEY.public(ORIGIN).sign("a\n", &other));
    assert!(matches!(refused, Err(SignError::OtherKey)));
    for text in ["", "no end", "a\tb\n"] {
        let refused = at_once(KEY.public(ORIGIN).sign(text, &*KEY));
        assert!(matches!(refused, Err(SignError::Text)), "{text:?}");
    }
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: ORIGIN.to_owned(),
        size: 20_852_163,
        root: Hash::of(b"root"),
        span: span(0),
        previous: Some(Hash::of(b"previous")),
    }
}

#[test]
fn a_checkpoint_is_what_the_readme_says() {
    let text = "plixo.example/audit/org_01h2xcejqtf2nbrexx3vqjhp41
20852163
SBNJTRN+FjG7owHVrKtue7eqdM4RhdRWVl71HXN2d7I=
span 2027-01-15T08:00:00Z 2027-01-15T09:00:00Z
previous baBjNSjeqgFE57BYMV8LdT7AuUUWOnK/lqDRgYD53g0=
";
    let checkpoint = checkpoint();
    assert_eq!(checkpoint.to_string(), text);
    assert_eq!(text.parse().as_ref(), Ok(&checkpoint));
    assert_eq!(checkpoint.hash(), Hash::of(text.as_bytes()));
    let first = Checkpoint { previous: None, size: 0, ..checkpoint };
    assert!(first.to_string().ends_with("\nprevious none\n"));
    assert_eq!(first.to_string().parse().as_ref(), Ok(&first));
}

#[test]
fn a_checkpoint_has_one_spelling() {
    let text = checkpoint().to_string();
    assert!(text.parse::<Checkpoint>().is_ok());
    for (what, instead, error) in [
        ("20852163", "020852163", CheckpointError::Line("size")),
        ("20852163", "+20852163", CheckpointError::Line("size")),
        ("20852163", "-1", CheckpointError::Line("size")),
        ("20852163", "18446744073709551616", CheckpointError::Line("size")),
        ("20852163", "", CheckpointError::Line("size")),
        ("plixo.example", "plixo example", CheckpointError::Line("origin")),
        ("=\nspan", "\nspan", CheckpointError::Line("root")),
        ("T08:00:00Z ", "T08:00:00+00:00 ", CheckpointError::Line("span")),
        ("T08:00:00Z ", "T08:00Z ", CheckpointError::Line("span")),
        ("T08:00:00Z ", "T08:00:00Z  ", CheckpointError::Line("span")),
        ("T08:00:00Z ", "T08:00:00.5Z ", CheckpointError::Line("span")),
        ("T08:00:00Z ", "T09:00:00Z ", CheckpointError::Line("span")),
        ("span ", "Span ", CheckpointError::Line("span")),
        ("previous ", "previous  ", CheckpointError::Line("previous hash")),
        ("previous ", "previous A", CheckpointError::Line("previous hash")),
        ("previous ", "more\nprevious ", CheckpointError::Lines),
        ("\nspan", "\n\nspan", CheckpointError::Lines),
    ] {
        let altered = text.replacen(what, instead, 1);
        assert_ne!(altered, text);
        assert_eq!(altered.parse::<Checkpoint>(), Err(error), "{altered}");
    }
    assert_eq!(text.trim_end().parse::<Checkpoint>(), Err(CheckpointError::Lines));
    assert_eq!(format!("{text}more\n").parse::<Checkpoint>(), Err(CheckpointError::Lines));
    assert_eq!("".parse::<Checkpoint>(), Err(CheckpointError::Lines));
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_the_same(text in "[a-c— +=\n]{0,40}(\n\n)?(— a AAAAAAA=\n){0,3}") {
        if let Ok(note) = parse(&text) {
            prop_assert_eq!(note.to_string(), text);
        }
    }

    #[test]
    fn any_checkpoint_comes_back(size: u64, root: [u8; 32], previous: Option<[u8; 32]>, from in 0_i64..4_000_000_000, long in 1_i64..100_000) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let checkpoint = Checkpoint {
            origin: ORIGIN.to_owned(), size, root: Hash(root), previous: previous.map(Hash),
            span: Span { from: at(from), to: at(from + long) },
        };
        prop_assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint));
    }

    #[test]
    fn one_altered_byte_of_a_signed_checkpoint_is_found(place: prop::sample::Index, byte: u8) {
        let key = KEY.public(ORIGIN);
        let note = KEY.note(ORIGIN, &checkpoint().to_string()).to_string();
        let mut bytes = note.clone().into_bytes();
        let place = place.index(bytes.len());
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        let verified = Note::parse(&bytes).and_then(|note| note.verify(std::slice::from_ref(&key)));
        prop_assert!(verified.is_err());
    }
}
