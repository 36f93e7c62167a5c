//! Redaction never panics, leaves nothing to find, keeps JSON valid, and changes digits only.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use plixo_webhooks::card_numbers::{contains, redact_json, redact_text};
use serde_json::Value;

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The text with all digits and stars made the same.
fn skeleton(text: &str) -> String {
    text.chars().map(|c| if c == '*' || c.is_numeric() { '*' } else { c }).collect()
}

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };

    let plain = redact_text(text);
    assert_eq!(matches!(plain.text, Cow::Borrowed(_)), plain.count == 0);
    assert_eq!(contains(text), plain.count > 0);
    assert!(!contains(&plain.text));
    assert_eq!(skeleton(&plain.text), skeleton(text));

    let json = redact_json(text);
    assert_eq!(redact_json(&json.text).count, 0);
    assert!(is_json(&json.text) || !is_json(text));
    if let Ok(Value::String(value)) = serde_json::from_str(text) {
        let redacted: String = serde_json::from_str(&json.text).unwrap();
        assert_eq!(skeleton(&redacted), skeleton(&value));
    }
});
