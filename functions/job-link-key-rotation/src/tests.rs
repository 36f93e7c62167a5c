use jiff::ToSpan;
use plixo_aws::secrets::ReadSecret;
use plixo_testing::{FakeVault, Fault, Faults, entropy};
use serde_json::json;

use super::*;

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:plixo/link-keys";
const KEY: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

fn start() -> Timestamp {
    "2026-11-28T09:00:00.123456789Z".parse().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn vault() -> FakeVault {
    let vault = FakeVault::default();
    vault.put(SECRET, format!(r#"{{"v":1,"key":"{KEY}"}}"#));
    vault
}

fn step(vault: &FakeVault, step: &str, version: &str, now: Timestamp) -> (Result<(), TaskError>, Line) {
    let event =
        json!({"Step": step, "SecretId": SECRET, "ClientRequestToken": version, "RotationToken": "x"});
    let rotator = Rotator::new(vault.clone(), SECRET.to_owned(), entropy);
    let line = Line { timestamp: now, ..Line::default() };
    block_on(rotator.handle(&serde_json::from_value(event).unwrap(), line))
}

fn keyring(vault: &FakeVault) -> Keyring {
    Keyring::read(&block_on(vault.read_secret(SECRET)).unwrap().unwrap()).unwrap()
}

fn claims(now: Timestamp) -> Claims {
    let [org, invoice, link] = [[0; 16], [1; 16], [2; 16]];
    let (org, invoice, link) = (from_bytes(org), from_bytes(invoice), from_bytes(link));
    let expires_at = Timestamp::from_second((now + 30.hours()).as_second()).unwrap();
    Claims { purpose: Purpose::Link, org, invoice, link, expires_at }
}

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

#[test]
fn a_rotation_gives_a_new_key_and_holds_old_links_good() {
    let vault = vault();
    let before = keyring(&vault).sign(&claims(start()), start()).unwrap();
    for name in STEPS {
        assert!(step(&vault, name, "v2", start()).0.is_ok(), "{name}");
    }
    let later = start() + 20.minutes();
    let after = keyring(&vault);
    assert_eq!(after.verify(before.reveal(), Purpose::Link, later), Ok(claims(start())));
    assert_ne!(after.sign(&claims(start()), later).unwrap().reveal(), before.reveal(), "a new key signs");
}

#[test]
fn each_step_may_be_done_again_and_ends_as_it_did() {
    let vault = vault();
    for name in STEPS {
        for _ in 0..2 {
            assert!(step(&vault, name, "v2", start()).0.is_ok(), "{name}");
        }
    }
    let done = vault.dump();
    for name in STEPS {
        assert!(step(&vault, name, "v2", start() + 1.hours()).0.is_ok(), "{name}");
    }
    assert_eq!(vault.dump(), done);
}

#[test]
fn a_fault_at_any_call_loses_nothing() {
    for fault in [Fault::Refuses, Fault::LosesAnswer] {
        for call in 0.. {
            let vault = vault();
            let before = keyring(&vault).sign(&claims(start()), start()).unwrap();
            let faults = Faults::default();
            let faulty = vault.with(faults.clone());
            faults.plan(call, fault);
            let mut failed = 0;
            for name in STEPS {
                if step(&faulty, name, "v2", start()).0.is_err() {
                    failed += 1;
                    let again = step(&faulty, name, "v2", start()).0;
                    assert!(again.is_ok(), "{name} after {fault:?} at {call}: {again:?}");
                }
            }
            let after = keyring(&vault);
            let later = start() + 1.hours();
            assert_eq!(after.verify(before.reveal(), Purpose::Link, later), Ok(claims(start())));
            assert_ne!(after.sign(&claims(start()), later).unwrap().reveal(), before.reveal());
            if call >= faults.calls() {
                assert_eq!(failed, 0);
                break;
            }
            assert_eq!(failed, 1, "{fault:?} at {call}");
        }
    }
}

#[test]
fn keys_that_would_refuse_good_links_are_never_made_current() {
    let vault = vault();
    let stranger = format!(r#"{{"v":1,"key":"{}"}}"#, KEY.chars().rev().collect::<String>());
    for wrong in [stranger.as_str(), "canary", r#"{"v":1,"key":"canary"}"#] {
        let put = block_on(vault.put_pending(SECRET, wrong, &Secret::new(wrong.to_owned())));
        put.unwrap();
        let (tested, line) = step(&vault, "testSecret", wrong, start());
        let error = tested.unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
        assert_eq!(line.outcome, "failed");
    }
    assert!(step(&vault, "testSecret", "none", start()).0.is_err());
}

#[test]
fn it_rotates_no_other_secret() {
    let vault = vault();
    let before = vault.dump();
    let event = json!({"Step": "createSecret", "SecretId": "another", "ClientRequestToken": "v2"});
    let rotator = Rotator::new(vault.clone(), SECRET.to_owned(), entropy);
    let (done, _) = block_on(rotator.handle(&serde_json::from_value(event).unwrap(), Line::default()));
    assert!(matches!(done, Err(TaskError::Permanent(_))));
    assert_eq!(vault.dump(), before);
}
