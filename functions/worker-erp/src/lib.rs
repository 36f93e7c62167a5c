#![doc = include_str!("../README.md")]

mod fact;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use plixo_envelope::KeyService;
use plixo_lambda::batch::{Batch, BatchResponse, Message};
use plixo_store::{Store, Tables};
use plixo_webhooks::delivery::{self, Event};
use plixo_worker::{Delivery, News, Task};

/// This function's name.
pub const FUNCTION: &str = "worker-erp";

/// The worker that tells the ledger what ERPs say.
#[derive(Debug)]
pub struct Worker<T, K>(plixo_worker::Worker<T, K>);

impl<T: Tables, K: KeyService> Worker<T, K> {
    /// A worker on that store.
    pub fn new(store: Store<T, K>) -> Self {
        Self(plixo_worker::Worker::new(FUNCTION, store))
    }

    /// Works a batch off.
    pub async fn run(&self, batch: Batch) -> BatchResponse {
        let messages: Vec<_> = batch.records.iter().map(tasks).collect();
        self.0.run(&batch, &messages).await
    }
}

/// The events of a message.
fn tasks(message: &Message) -> Result<Vec<Task>, &'static str> {
    let Delivery { envelope, text } = Delivery::read(message)?;
    let read = delivery::Delivery::read(envelope.provider, text.as_bytes(), envelope.event_id.as_deref());
    let events = read.map_err(|_| "the message is no delivery of its provider's")?.events;
    let task = |event: Event| {
        let Event { id, kind, fingerprint, news, alone, .. } = event;
        let text = alone.map_or_else(|| text.clone(), Arc::from);
        let news = match news {
            delivery::News::Told(event) => fact::of(envelope.provider, event, &id),
            delivery::News::Fetch(_) => News::Waits("there is nothing to fetch it with yet".to_owned()),
            delivery::News::Ignored => News::Unused,
            delivery::News::Unusable(error) => News::Unusable(error.to_string()),
        };
        Task { envelope: Arc::clone(&envelope), text: Some(text), event_id: id, kind, fingerprint, news }
    };
    Ok(events.into_iter().map(task).collect())
}
