//! Project Wycheproof's vectors, through the functions that the crate itself uses. The counts are asserted, so that a
//! filter or an update that leaves vectors out shows.

use aws_lc_rs::hkdf::{HKDF_SHA256, HKDF_SHA512};
use wycheproof::{TestResult, aead, hkdf, mac};

use crate::primitives::{gcm_open, gcm_seal, hkdf as derive, hmac_sha256};

#[test]
fn aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let groups = set
        .test_groups
        .into_iter()
        .filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
    let (mut valid, mut invalid) = (0, 0);
    for test in groups.flat_map(|group| group.tests) {
        let key = test.key.as_slice().try_into().unwrap();
        let nonce = test.nonce.as_slice().try_into().unwrap();
        let sealed = [test.ct.as_slice(), &test.tag].concat();
        let mut ours = test.pt.to_vec();
        gcm_seal(key, nonce, &test.aad, &mut ours).unwrap();
        let mut opened = sealed.clone();
        let outcome = gcm_open(key, nonce, &test.aad, &mut opened);
        if test.result == TestResult::Valid {
            assert_eq!(ours, sealed, "sealing {}: {}", test.tc_id, test.comment);
            assert!(outcome.is_ok(), "opening {}: {}", test.tc_id, test.comment);
            assert_eq!(opened, test.pt.as_slice(), "opening {}: {}", test.tc_id, test.comment);
            valid += 1;
        } else {
            assert_ne!(ours, sealed, "sealing {}: {}", test.tc_id, test.comment);
            assert!(outcome.is_err(), "opening {}: {}", test.tc_id, test.comment);
            invalid += 1;
        }
    }
    assert_eq!((valid, invalid), (39, 27));
}

#[test]
fn hmac_sha_256() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let holds = hmac_sha256(&test.key, &test.msg).starts_with(&test.tag);
        assert_eq!(holds, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
        *if holds { &mut valid } else { &mut invalid } += 1;
    }
    assert_eq!((valid, invalid), (66, 108));
}

fn hkdf(name: hkdf::TestName, hash: aws_lc_rs::hkdf::Algorithm) -> (u32, u32) {
    let (mut valid, mut invalid) = (0, 0);
    for test in hkdf::TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
        let mut out = vec![0; test.size];
        let outcome = derive(hash, &test.salt, &test.ikm, &test.info, &mut out);
        if test.result == TestResult::Valid {
            assert!(outcome.is_ok(), "{}: {}", test.tc_id, test.comment);
            assert_eq!(out, test.okm.as_slice(), "{}: {}", test.tc_id, test.comment);
            valid += 1;
        } else {
            assert!(outcome.is_err(), "{}: {}", test.tc_id, test.comment);
            invalid += 1;
        }
    }
    (valid, invalid)
}

#[test]
fn hkdf_sha_256() {
    assert_eq!(hkdf(hkdf::TestName::HkdfSha256, HKDF_SHA256), (83, 3));
}

#[test]
fn hkdf_sha_512() {
    assert_eq!(hkdf(hkdf::TestName::HkdfSha512, HKDF_SHA512), (80, 3));
}
