//! What ERPs send is read to an end under every scheme, whoever it is from: nothing panics, nobody is believed without a secret,
//! and what is authentic of Business Central's is JSON without its secrets.
//!
//! Input: the body; all schemes and readers look at it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plixo_domain::webhook::Provider;
use plixo_webhooks::canonical::{Entity, Event};
use plixo_webhooks::delivery::{Delivery, News};
use plixo_webhooks::document::{self, Context};
use plixo_webhooks::signature::{Message, scheme};

/// The secret of the sample in `events/webhook-erp`.
const STATE: &[u8] = b"someClientState-someClientState-someClientState";

fn check(events: &[Event]) {
    for event in events {
        if let Event::InvoiceUpserted(invoice) = event
            && let plixo_domain::ledger::Private::Plain(body) = &invoice.body
        {
            assert_eq!(body.total(), Ok(invoice.total));
        }
    }
}

fuzz_target!(|body: &[u8]| {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let header = |_: &str| Some(text);
    for provider in Provider::ALL {
        let Some(scheme) = scheme(provider, None) else { continue };
        let message = Message { header: &header, body, received_at: 1_760_000_000 };
        let verified = scheme.verify(&message, &[STATE]);
        if provider != Provider::BusinessCentral {
            assert!(verified.is_err(), "{provider:?} believes a stranger");
        } else if let Ok(authentic) = verified {
            let read: serde_json::Value = serde_json::from_slice(&authentic.body).unwrap_or_default();
            let elements = read["value"].as_array().cloned().unwrap_or_default();
            assert!(elements.iter().all(|element| element.get("clientState").is_none()));
        }
        if let Ok(delivery) = Delivery::read(provider, body, None) {
            for event in delivery.events {
                assert!(!event.kind.is_empty() && event.kind.len() <= 100);
                if let News::Told(event) = &event.news {
                    check(std::slice::from_ref(event.as_ref()));
                }
            }
        }
        for entity in [Entity::Customer, Entity::Invoice, Entity::Payment, Entity::CreditNote] {
            if let Ok(events) = document::read(provider, entity, body, &Context::default()) {
                check(&events);
            }
        }
    }
});
