#![doc = include_str!("../README.md")]

mod news;
#[cfg(test)]
mod tests;

use plixo_aws::sqs::SendMessage;
use plixo_domain::ledger::{CustomerRef, Kept, Payment, RowKey};
use plixo_domain::webhook::{ExternalId, Fingerprint};
use plixo_envelope::KeyService;
use plixo_lambda::batch::{Batch, BatchResponse, Message};
use plixo_store::{Store, Tables};
use plixo_webhooks::stripe::event::Event;
use plixo_worker::{Delivery, News, Task};

/// This function's name.
pub const FUNCTION: &str = "worker-stripe";

/// The worker that tells the ledger what Stripe's events say.
#[derive(Debug)]
pub struct Worker<T, K, Q>(plixo_worker::Worker<T, K, Q>);

impl<T: Tables, K: KeyService, Q: SendMessage> Worker<T, K, Q> {
    /// A worker on that store. What may be to be applied after an event is told to `cash`.
    pub fn new(store: Store<T, K>, cash: Q) -> Self {
        Self(plixo_worker::Worker::new(FUNCTION, store, cash))
    }

    /// Works a batch off.
    pub async fn run(&self, batch: Batch) -> BatchResponse {
        let messages: Vec<_> = batch.records.iter().map(tasks).collect();
        self.0.run(&batch, &messages).await
    }
}

/// The event of a message.
fn tasks(message: &Message) -> Result<Vec<Task>, &'static str> {
    let Delivery { envelope, text } = Delivery::read(message)?;
    let event = Event::parse(text.as_bytes()).map_err(|_| "the message holds no Stripe event")?;
    let event_id: ExternalId = event.id.parse().map_err(|_| "the event's id is none that Stripe gives")?;
    let (fingerprint, news) = (Fingerprint(event.fingerprint()), news::of(&event, &event_id));
    let named = |id: String| news::named(&id).ok();
    let mut about: Vec<RowKey> = event.customer().and_then(named).iter().map(CustomerRef::key).collect();
    if !matches!(news, News::Told(Some(_))) {
        about.extend(event.money().into_iter().filter_map(named).map(|of| Payment::key(&of)));
        about.extend(event.invoice().and_then(|id| id.parse().ok()).map(RowKey::Invoice));
    }
    let kind = event.kind.into_owned();
    Ok(vec![Task { envelope, text: Some(text.clone()), event_id, kind, fingerprint, news, about }])
}
