mod commitment;
mod fake;
mod format;
mod keyring;
mod organisation;
mod vectors;

use crate::{DataKey, KeyId, KeyRef, Keys, Place, Salt, Secret};

const ORGANISATION: &str = "org_a";
const PLACE: Place<'_> = Place { record: "cus_b", field: "email" };
const KEY: KeyRef = KeyRef { id: KeyId::new(counting_from(0xa0)), version: 7 };

/// Bytes that count up.
const fn counting_from<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [first; N];
    let mut at = 1;
    while at < N {
        bytes[at] = bytes[at - 1].wrapping_add(1);
        at += 1;
    }
    bytes
}

fn secret(first: u8) -> Secret {
    Secret::from_slice(&counting_from::<32>(first)).unwrap()
}

fn data_key(organisation: &str, key: KeyRef, secret: Secret) -> DataKey {
    DataKey { organisation: organisation.into(), key, secret }
}

fn keys() -> Keys {
    Keys::new(data_key(ORGANISATION, KEY, secret(0)), Vec::new())
}

fn salt() -> Salt {
    Salt::new(counting_from(0x40))
}
