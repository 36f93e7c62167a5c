#![doc = include_str!("../README.md")]

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use plixo_domain::webhook::{Provider, VaultEntry};
use plixo_lambda::http::Request;
use plixo_lambda::line::Line;
use plixo_receiver::Senders;
use plixo_webhooks::delivery::Delivery;
use plixo_webhooks::signature::Authentic;
use plixo_webhooks::signature::business_central::{Handshake, handshake};

/// This function's name.
pub const FUNCTION: &str = "webhook-erp";
/// The route that it answers.
pub const ROUTE: &str = "POST /webhooks/erp/{endpoint}";

/// The receiver of ERPs' webhooks.
pub type Receiver<V, Q> = plixo_receiver::Receiver<V, Q, Erps>;

/// ERPs, and whatever signs as they do.
#[derive(Debug)]
pub struct Erps;

impl Senders for Erps {
    fn takes(provider: Provider) -> bool {
        match provider {
            Provider::StandardWebhooks
            | Provider::Xero
            | Provider::Quickbooks
            | Provider::Erpnext
            | Provider::BusinessCentral
            | Provider::GenericHmac => true,
            Provider::Stripe | Provider::Member => false,
        }
    }

    fn look(entry: &VaultEntry, authentic: &Authentic<'_>, line: &mut Line) -> Result<bool, &'static str> {
        let delivery = Delivery::read(entry.provider, &authentic.body, authentic.id);
        let delivery = delivery.map_err(|error| error.code())?;
        if let Some(first) = delivery.events.first() {
            line.event_id = Some(first.id.to_string());
            line.event_type = Some(first.kind.clone());
        }
        if delivery.is_of_another_account(entry.account.as_ref()) {
            return Err("event_of_another_account");
        }
        Ok(!delivery.events.is_empty())
    }

    fn queued<'a>(entry: &VaultEntry, text: &'a str) -> Cow<'a, str> {
        Delivery::queued(entry.provider, text, entry.account.as_ref())
    }

    fn asked(provider: Provider, request: &Request) -> Option<Result<String, &'static str>> {
        if provider != Provider::BusinessCentral {
            return None;
        }
        match handshake(request.query()) {
            Handshake::NotAsked => None,
            Handshake::Echo(token) => Some(Ok(token)),
            Handshake::Unusable => Some(Err("handshake_unusable")),
        }
    }
}
