//! An export of the audit log is read to an end, whatever is in it: nothing panics, notes and checkpoints that are read are written the
//! same, and what verifies is as it was sealed.
//!
//! Input: the file, beside the one that the key of `seeds/audit_export.key` signed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plixo_seal::{Checkpoint, Note, PublicKey, verify_file};

const SEALED: &str = include_str!("../seeds/audit_export/sealed.jsonl");
const KEY: &str = include_str!("../seeds/audit_export.key");

fn events(text: &str) -> impl Iterator<Item = &str> {
    let others = ["{\"after\":", "{\"checkpoint\":", "{\"entries\":", "{\"unsealed\":"];
    text.lines().filter(move |line| !others.iter().any(|other| line.starts_with(other)))
}

fuzz_target!(|input: &[u8]| {
    if let Ok(note) = Note::parse(input) {
        assert_eq!(Note::parse(note.to_string().as_bytes()).ok().as_ref(), Some(&note));
    }
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(checkpoint) = text.parse::<Checkpoint>()
    {
        assert_eq!(checkpoint.to_string(), text);
    }
    let key: PublicKey = KEY.trim().parse().unwrap();
    if let Ok(verified) = verify_file(input, key, None, |_| ()) {
        let text = std::str::from_utf8(input).unwrap_or_default();
        let (before, sealed) = (usize::try_from(verified.before).unwrap(), usize::try_from(verified.events).unwrap());
        assert!(events(text).take(sealed).eq(events(SEALED).skip(before).take(sealed)));
        assert!(events(SEALED).count() >= before + sealed);
    }
});
