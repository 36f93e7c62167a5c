//! Reading an event never panics, and what is read is what a general JSON parser reads too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plixo_webhooks::stripe::event::Event;
use plixo_webhooks::stripe::fact;
use serde_json::Value;

fuzz_target!(|body: &[u8]| {
    let Ok(event) = Event::parse(body) else { return };
    let _ = (fact::read(&event), event.fingerprint());
    // A general parser minds what is only skipped here: numbers beyond its range, lone surrogates.
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    assert_eq!(value["id"], Value::from(&*event.id));
    assert_eq!(value["type"], Value::from(&*event.kind));
    assert_eq!(value["account"].as_str(), event.account.as_deref());
    assert_eq!(value["created"].as_i64(), event.created);
});
