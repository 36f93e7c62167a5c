//! AES-GCM by itself lets whoever knows two keys make one ciphertext that opens under both. Here one is made, to show
//! that the format refuses what its cipher accepts.

use aws_lc_rs::cipher::{AES_256, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::hkdf::HKDF_SHA512;

use super::{KEY, ORGANISATION, PLACE, data_key, salt, secret};
use crate::primitives::{gcm_open, hkdf};
use crate::purpose::Purpose;
use crate::{Error, Keys, Sealed};

/// GCM's field (SP 800-38D, 6.3): the highest bit is the coefficient of x^0.
fn multiply(left: u128, mut right: u128) -> u128 {
    let mut product = 0;
    for bit in (0..128).rev() {
        if left >> bit & 1 == 1 {
            product ^= right;
        }
        right = right >> 1 ^ if right & 1 == 1 { 0xe1 << 120 } else { 0 };
    }
    product
}

fn invert(mut element: u128) -> u128 {
    let mut inverse = 1 << 127;
    for _ in 0..127 {
        element = multiply(element, element);
        inverse = multiply(inverse, element);
    }
    inverse
}

fn ghash(h: u128, blocks: &[u128]) -> u128 {
    blocks.iter().fold(0, |hash, block| multiply(hash ^ block, h))
}

fn encrypt_block(key: &[u8; 32], block: u128) -> u128 {
    let mut bytes = block.to_be_bytes();
    let key = EncryptingKey::ecb(UnboundCipherKey::new(&AES_256, key).unwrap()).unwrap();
    key.encrypt(&mut bytes).unwrap();
    u128::from_be_bytes(bytes)
}

/// A ciphertext of two blocks, and its tag, that AES-256-GCM opens under both keys (all-zero nonce).
fn open_under_both(keys: [&[u8; 32]; 2], aad: &[u8]) -> Vec<u8> {
    const CIPHERTEXT: [u128; 2] = [0x0123_4567_89ab_cdef, 0];
    let aad_bits = u128::try_from(aad.len()).unwrap() * 8;
    let mut blocks = Vec::new();
    for chunk in aad.chunks(16) {
        let mut block = [0; 16];
        block[..chunk.len()].copy_from_slice(chunk);
        blocks.push(u128::from_be_bytes(block));
    }
    blocks.extend(CIPHERTEXT);
    blocks.push(aad_bits << 64 | 256);

    let hash_keys = keys.map(|key| encrypt_block(key, 0));
    let masks = keys.map(|key| encrypt_block(key, 1));
    let tags = [0, 1].map(|k| ghash(hash_keys[k], &blocks) ^ masks[k]);
    // The last block of ciphertext is followed by the lengths' block: it counts times H squared.
    let squares = hash_keys.map(|h| multiply(h, h));
    let last = multiply(tags[0] ^ tags[1], invert(squares[0] ^ squares[1]));
    let tag = tags[0] ^ multiply(last, squares[0]);
    [CIPHERTEXT[0], last, tag].map(u128::to_be_bytes).concat()
}

#[test]
fn a_ciphertext_made_for_two_keys_opens_under_the_one_it_commits_to() {
    let both = [0, 1].map(|first| Keys::new(data_key(ORGANISATION, KEY, secret(first)), Vec::new()));
    let sealed = both.each_ref().map(|keys| keys.seal(&PLACE, b"", salt()).unwrap());
    let header = &sealed[0].as_bytes()[..53];
    let context = Purpose::Field.info(&[
        header,
        ORGANISATION.as_bytes(),
        PLACE.record.as_bytes(),
        PLACE.field.as_bytes(),
    ]);
    let context = context.unwrap();
    let encryption_keys = both.each_ref().map(|keys| {
        let mut key = [0; 32];
        let secret = keys.newest().secret.expose();
        hkdf(HKDF_SHA512, &super::counting_from::<32>(0x40), secret, &context, &mut key).unwrap();
        key
    });
    let ciphertext = open_under_both(encryption_keys.each_ref(), &context);

    for key in &encryption_keys {
        gcm_open(key, [0; 12], &context, &mut ciphertext.clone()).expect("GCM alone accepts it");
    }
    for (committed, other) in [(0, 1), (1, 0)] {
        let head = &sealed[committed].as_bytes()[..85];
        let crafted = Sealed::try_from([head, &ciphertext].concat()).unwrap();
        assert_eq!(both[committed].open(&PLACE, &crafted).unwrap().len(), 32);
        assert_eq!(both[other].open(&PLACE, &crafted), Err(Error::NotAuthentic));
    }
}
