use proptest::collection::vec;
use proptest::prelude::*;
use zeroize::ZeroizeOnDrop;

use super::{KEY, ORGANISATION, PLACE, counting_from, data_key, keys, salt, secret};
use crate::lookup::LookupKey;
use crate::{Error, KeyId, KeyRef, Keys, Place, Salt, Sealed};

fn open(keys: &Keys, place: &Place<'_>, bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    keys.open(place, &Sealed::try_from(bytes)?).map(|plaintext| plaintext.to_vec())
}

/// Made with another implementation (Node's crypto), from the crate's page alone.
#[test]
fn the_format_is_the_documented_one() {
    let known = concat!(
        "01a0a1a2a3a4a5a6a7a8a9aaabacadaeaf00000007404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f",
        "e6c93dcb9727417eb7567dea6f9bd652a7d8c4e618bd6a79d37c4468ece245da",
        "00cff183db74d26c945fc14d93c78ec5ee93c6806f3fdfac6f937be5542ea69f",
    );
    let sealed = keys().seal(&PLACE, b"anna@example.com", salt()).unwrap();
    assert_eq!(hex::encode(sealed.as_bytes()), known);
    assert_eq!(sealed.key(), KEY);
    assert_eq!(open(&keys(), &PLACE, hex::decode(known).unwrap()).unwrap(), b"anna@example.com");
}

#[test]
fn every_bit_counts() {
    let sealed = keys().seal(&PLACE, b"anna@example.com", salt()).unwrap().into_bytes();
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1 << bit;
            let refused = open(&keys(), &PLACE, flipped).unwrap_err();
            let expected = match at {
                0 => Error::Malformed,
                1..21 => {
                    let Error::UnknownKey(key) = refused else { panic!("byte {at}: {refused}") };
                    assert_ne!(key, KEY);
                    refused
                }
                _ => Error::NotAuthentic,
            };
            assert_eq!(refused, expected, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn nothing_shorter_or_longer_opens() {
    let sealed = keys().seal(&PLACE, b"anna@example.com", salt()).unwrap().into_bytes();
    for length in 0..sealed.len() {
        let expected = if length < 101 { Error::Malformed } else { Error::NotAuthentic };
        assert_eq!(open(&keys(), &PLACE, sealed[..length].to_vec()), Err(expected), "{length} bytes");
    }
    for extra in 0..=u8::MAX {
        assert_eq!(open(&keys(), &PLACE, [&sealed[..], &[extra]].concat()), Err(Error::NotAuthentic));
    }
}

#[test]
fn a_key_of_the_same_secret_and_another_name_does_not_open() {
    let other_id = KeyRef { id: KeyId::new(counting_from(0xb0)), ..KEY };
    let other_version = KeyRef { version: 8, ..KEY };
    for (organisation, key) in [("org_b", KEY), (ORGANISATION, other_id), (ORGANISATION, other_version)] {
        let mut sealed = keys().seal(&PLACE, b"anna@example.com", salt()).unwrap().into_bytes();
        sealed[1..17].copy_from_slice(key.id.as_bytes());
        sealed[17..21].copy_from_slice(&key.version.to_be_bytes());
        let other = Keys::new(data_key(organisation, key, secret(0)), Vec::new());
        assert_eq!(open(&other, &PLACE, sealed), Err(Error::NotAuthentic));
    }
}

#[test]
fn another_key_of_the_same_name_does_not_open() {
    let sealed = keys().seal(&PLACE, b"anna@example.com", salt()).unwrap();
    let other = Keys::new(data_key(ORGANISATION, KEY, secret(1)), Vec::new());
    assert_eq!(other.open(&PLACE, &sealed), Err(Error::NotAuthentic));
}

#[test]
fn a_salt_used_twice_by_mistake_gives_two_places_two_keys() {
    let zeros = [0; 64];
    let streams = ["email", "name"].map(|field| {
        let sealed = keys().seal(&Place { field, ..PLACE }, &zeros, salt()).unwrap();
        sealed.as_bytes()[85..].to_vec()
    });
    assert_ne!(streams[0], streams[1]);
}

#[test]
fn the_newest_version_seals_and_all_versions_open() {
    let version =
        |version| data_key(ORGANISATION, KeyRef { version, ..KEY }, secret(u8::try_from(version).unwrap()));
    let before = Keys::new(version(1), Vec::new());
    let after = Keys::new(version(3), vec![version(2), version(1)]);

    let old = before.seal(&PLACE, b"anna@example.com", salt()).unwrap();
    assert_eq!(after.open(&PLACE, &old).unwrap().as_slice(), b"anna@example.com");
    let new = after.seal(&PLACE, b"anna@example.com", salt()).unwrap();
    assert_eq!(new.key().version, 3);
    assert_eq!(before.open(&PLACE, &new), Err(Error::UnknownKey(new.key())));
}

#[test]
fn rewrapping_keeps_plaintext_and_place() {
    let version =
        |version| data_key(ORGANISATION, KeyRef { version, ..KEY }, secret(u8::try_from(version).unwrap()));
    let old = Keys::new(version(1), Vec::new()).seal(&PLACE, b"anna@example.com", salt()).unwrap();
    let both = Keys::new(version(2), vec![version(1)]);
    let only_newest = Keys::new(version(2), Vec::new());

    let moved = both.rewrap(&PLACE, &old, salt()).unwrap().expect("it is under an older version");
    assert_eq!(moved.key().version, 2);
    assert_eq!(only_newest.open(&PLACE, &moved).unwrap().as_slice(), b"anna@example.com");
    let elsewhere = Place { field: "name", ..PLACE };
    assert_eq!(only_newest.open(&elsewhere, &moved), Err(Error::NotAuthentic));

    assert_eq!(both.rewrap(&PLACE, &moved, salt()), Ok(None));
    assert_eq!(both.rewrap(&elsewhere, &old, salt()), Err(Error::NotAuthentic));
    assert_eq!(only_newest.rewrap(&PLACE, &old, salt()), Err(Error::UnknownKey(old.key())));
}

#[test]
fn names_are_bounded() {
    let longest = "x".repeat(65_535);
    let place = Place { record: &longest, field: &longest };
    let sealed = keys().seal(&place, b"anna@example.com", salt()).unwrap();
    assert_eq!(keys().open(&place, &sealed).unwrap().as_slice(), b"anna@example.com");
    let too_long = "x".repeat(65_536);
    let place = Place { record: &too_long, field: "email" };
    assert_eq!(keys().seal(&place, b"anna@example.com", salt()), Err(Error::NameTooLong(65_536)));
    assert_eq!(keys().open(&place, &sealed), Err(Error::NameTooLong(65_536)));
}

#[test]
fn debug_output_holds_no_key() {
    let lookup = LookupKey(secret(0));
    assert_eq!(format!("{:?} {lookup:?}", secret(0)), "Secret LookupKey(Secret)");
    let shown = format!("{:?}", keys());
    assert!(shown.contains("secret: Secret }"), "{shown}");
    assert!(!shown.contains("5, 6, 7"), "{shown}");
    let sealed = keys().seal(&PLACE, b"", salt()).unwrap();
    assert_eq!(
        format!("{sealed:?}"),
        "Sealed { key: KeyRef { id: a0a1a2a3a4a5a6a7a8a9aaabacadaeaf, version: 7 }, bytes: 101 }",
    );
}

#[test]
fn secrets_are_overwritten_when_dropped() {
    fn overwritten<T: ZeroizeOnDrop>(_: &T) {}
    let crate::Secret(inside) = &secret(0);
    overwritten(inside.as_ref());
}

#[test]
fn a_secret_is_32_bytes() {
    for length in [0, 31, 33, 64] {
        assert!(crate::Secret::from_slice(&vec![7; length]).is_none());
    }
    assert_eq!(crate::Secret::from_slice(&[7; 32]).unwrap().expose(), &[7; 32]);
}

proptest! {
    #[test]
    fn what_is_sealed_opens(plaintext in vec(any::<u8>(), 0..2_000), record: String, field: String, random: [u8; 32]) {
        let place = Place { record: &record, field: &field };
        let sealed = keys().seal(&place, &plaintext, Salt::new(random)).unwrap().into_bytes();
        prop_assert_eq!(sealed.len(), plaintext.len() + 101);
        if plaintext.len() >= 8 {
            prop_assert!(!sealed.windows(plaintext.len()).any(|window| window == plaintext));
        }
        prop_assert_eq!(open(&keys(), &place, sealed).unwrap(), plaintext);
    }

    /// Also where the names run together to the same text.
    #[test]
    fn a_value_moved_to_another_place_does_not_open(names in "[a-c]{0,4}", at: prop::sample::Index, other in "[a-c]{0,4}", other_at: prop::sample::Index) {
        let (record, field) = names.split_at(at.index(names.len() + 1));
        let (other_record, other_field) = other.split_at(other_at.index(other.len() + 1));
        let (place, moved) = (Place { record, field }, Place { record: other_record, field: other_field });
        let sealed = keys().seal(&place, b"anna@example.com", salt()).unwrap().into_bytes();
        let opened = open(&keys(), &moved, sealed);
        prop_assert_eq!(opened.is_ok(), place == moved);
        if place != moved {
            prop_assert_eq!(opened, Err(Error::NotAuthentic));
        }
    }

    #[test]
    fn any_changed_bytes_are_refused(plaintext in vec(any::<u8>(), 0..100), at: prop::sample::Index, mask in 1_u8..) {
        let mut sealed = keys().seal(&PLACE, &plaintext, salt()).unwrap().into_bytes();
        let at = at.index(sealed.len());
        sealed[at] ^= mask;
        prop_assert!(open(&keys(), &PLACE, sealed).is_err());
    }

    #[test]
    fn no_bytes_panic_or_open(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&keys(), &PLACE, bytes.clone()).is_err());
        let header = [&[1], KEY.id.as_bytes().as_slice(), &KEY.version.to_be_bytes()].concat();
        prop_assert!(open(&keys(), &PLACE, [header, bytes].concat()).is_err());
    }
}
