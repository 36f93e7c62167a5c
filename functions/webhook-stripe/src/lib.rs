#![doc = include_str!("../README.md")]

#[cfg(test)]
mod tests;

use plixo_domain::webhook::{ExternalId, Provider, VaultEntry};
use plixo_lambda::line::Line;
use plixo_receiver::Senders;
use plixo_webhooks::card_numbers;
use plixo_webhooks::signature::Authentic;
use plixo_webhooks::stripe::event::Event;

/// This function's name.
pub const FUNCTION: &str = "webhook-stripe";
/// The route that it answers.
pub const ROUTE: &str = "POST /webhooks/stripe/{endpoint}";

/// The receiver of Stripe's webhooks.
pub type Receiver<V, Q> = plixo_receiver::Receiver<V, Q, Stripe>;

/// Stripe.
#[derive(Debug)]
pub struct Stripe;

impl Senders for Stripe {
    fn takes(provider: Provider) -> bool {
        provider == Provider::Stripe
    }

    fn look(entry: &VaultEntry, authentic: &Authentic<'_>, line: &mut Line) -> Result<bool, &'static str> {
        let event = Event::parse(&authentic.body).map_err(|error| error.code())?;
        let event_id: ExternalId = event.id.parse().map_err(|_| "event_id_malformed")?;
        if card_numbers::contains(&event.id) {
            return Err("event_id_malformed");
        }
        if !is_a_type(&event.kind) {
            return Err("event_type_malformed");
        }
        line.event_id = Some(event_id.to_string());
        line.event_type = Some(event.kind.to_string());
        let is_foreign = |named: &str| entry.account.as_ref().is_none_or(|own| own.as_str() != named);
        if event.account.as_deref().is_some_and(is_foreign) {
            return Err("event_of_another_account");
        }
        Ok(true)
    }
}

/// Types are stored and logged as they are, so they must be nothing but types.
fn is_a_type(kind: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.');
    (1..=100).contains(&kind.len()) && kind.bytes().all(fits) && !card_numbers::contains(kind)
}
