//! What one event costs, in time of one processor: `cargo run --release --example cost [event.json]`.

use std::hint::black_box;

use plixo_webhooks::card_numbers::redact_json;
use plixo_webhooks::stripe::event::Event;
use plixo_webhooks::stripe::{fact, sign, verify};

const SECRET: &[u8] = b"whsec_example";
const ROUNDS: u32 = 20_000;

#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn measure<T>(what: &str, run: impl Fn() -> T) {
    let best = (0..5)
        .map(|_| {
            let start = std::time::Instant::now();
            for _ in 0..ROUNDS {
                black_box(run());
            }
            start.elapsed() / ROUNDS
        })
        .min()
        .unwrap_or_default();
    println!("{what:<34} {best:>10.2?}");
}

fn main() -> std::io::Result<()> {
    let sample =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/stripe/payment_intent.payment_failed.json");
    let path = std::env::args().nth(1).unwrap_or_else(|| sample.to_owned());
    let text = std::fs::read_to_string(path)?;
    let body = text.as_bytes();
    let card = text.replacen("Your card", "Your card 4242 4242 4242 4242", 1);
    let now = 1_760_000_000;
    let header = sign(SECRET, now, body);
    let forged = sign(b"whsec_guess", now, body);
    let late = sign(SECRET, now - 301, body);
    println!("{:<34} {:>10} bytes", "the event", body.len());
    measure("verify", || verify(&header, body, [SECRET], now));
    measure("verify: forged", || verify(&forged, body, [SECRET], now));
    measure("verify: too old", || verify(&late, body, [SECRET], now));
    measure("Event::parse", || Event::parse(body).is_ok());
    measure("redact_json: nothing to redact", || redact_json(&text).count);
    measure("redact_json: a card number", || redact_json(&card).count);
    if let Ok(event) = Event::parse(body) {
        measure("fingerprint", || event.fingerprint());
        measure("fact::read", || fact::read(&event).is_ok());
    }
    Ok(())
}
