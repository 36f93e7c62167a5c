//! The header parser and the verifier accept exactly what a slow and plain telling of the rules accepts, and never panic.
//!
//! Input: the header, a line break, the body. `{good}` in the header stands for the signature of the body at its first `t`,
//! which no fuzzer would guess.

#![no_main]

use aws_lc_rs::hmac;
use libfuzzer_sys::fuzz_target;
use plixo_webhooks::stripe::verify;

#[path = "../../shared/plixo-webhooks/src/stripe/signature/reference.rs"]
mod reference;

const SECRET: &str = "whsec_fuzz";
const NOW: i64 = 1_760_000_000;

fn signature(time: &str, body: &[u8]) -> String {
    let signed = [time.as_bytes(), b".", body].concat();
    hex::encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), &signed))
}

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|b| *b == b'\n').unwrap_or(input.len());
    let (header, body) = input.split_at(end);
    let Ok(header) = std::str::from_utf8(header) else { return };
    let time = header.split(',').find_map(|part| part.strip_prefix("t=")).unwrap_or_default();
    let header = header.replace("{good}", &signature(time, body));
    let accepted = verify(&header, body, [SECRET.as_bytes()], NOW).is_ok();
    assert_eq!(accepted, reference::accepts(&header, NOW, |time| signature(time, body)), "{header}");
});
