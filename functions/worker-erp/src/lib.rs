#![doc = include_str!("../README.md")]

mod fact;
mod fetch;
#[cfg(test)]
mod tests;
mod upkeep;

use std::sync::Arc;

use plixo_aws::secrets::ReadSecret;
use plixo_aws::sqs::SendMessage;
use plixo_domain::ledger::{CustomerRef, Kept};
use plixo_domain::webhook::{EventKey, ExternalId, ExternalRef, Fingerprint, Provider};
use plixo_envelope::KeyService;
use plixo_erp::ReadErp;
use plixo_lambda::batch::{self, Batch, BatchResponse, Message};
use plixo_lambda::clock;
use plixo_lambda::hash::sha256;
use plixo_store::{Store, Tables};
use plixo_webhooks::canonical::{self, external_id};
use plixo_webhooks::delivery::{self, Event};
use plixo_worker::{Delivery, News, Task};

use fetch::{Fetched, Wanted};
use upkeep::Keeper;
pub use upkeep::Receivers;

/// This function's name.
pub const FUNCTION: &str = "worker-erp";

/// The worker that tells the ledger what ERPs say.
#[derive(Debug)]
pub struct Worker<T, K, Q, E, V> {
    worker: plixo_worker::Worker<T, K, Q>,
    erp: E,
    receivers: Receivers<V>,
}

/// The events of a message.
type Read = Result<(Delivery, Vec<Event>), &'static str>;

impl<T: Tables, K: KeyService, Q: SendMessage, E: ReadErp, V: ReadSecret> Worker<T, K, Q, E, V> {
    /// A worker on that store, which asks `erp` for what was only notified, and has it notify `receivers`. What may be to be applied
    /// after an event is told to `cash`.
    pub fn new(store: Store<T, K>, cash: Q, erp: E, receivers: Receivers<V>) -> Self {
        Self { worker: plixo_worker::Worker::new(FUNCTION, store, cash), erp, receivers }
    }

    /// Works a batch off: deliveries, and sources that are to be kept up.
    pub async fn run(&self, batch: Batch) -> BatchResponse {
        let (upkeeps, deliveries): (Vec<_>, _) = batch.records.into_iter().partition(upkeep::is_upkeep);
        let (upkeeps, deliveries) = (&Batch { records: upkeeps }, Batch { records: deliveries });
        let keeper = &Keeper { worker: &self.worker, erp: &self.erp, receivers: &self.receivers };
        let kept = batch::run(FUNCTION, upkeeps, |n, line| async move {
            match upkeeps.records.get(n) {
                Some(message) => keeper.run(message, line).await,
                None => (Ok(()), line),
            }
        });
        let (told, kept) = tokio::join!(self.deliver(deliveries), kept);
        told.and(kept)
    }

    /// What was only notified is asked for first.
    async fn deliver(&self, batch: Batch) -> BatchResponse {
        let read: Vec<Read> = batch.records.iter().map(read).collect();
        let wanted: Vec<_> = read.iter().flatten().flat_map(wanted).collect();
        let count = wanted.len();
        let fetched = fetch::all(self.worker.store(), &self.erp, &wanted, clock::now()).await;
        let fetched = fetched.unwrap_or_else(|error| vec![Fetched::Waits(error.to_string()); count]);
        drop(wanted);
        let mut fetched = fetched.into_iter();
        let messages: Vec<_> =
            read.into_iter().map(|read| read.map(|read| tasks(read, &mut fetched))).collect();
        self.worker.run(&batch, &messages).await
    }
}

fn read(message: &Message) -> Read {
    let delivery = Delivery::read(message)?;
    let envelope = &delivery.envelope;
    let read =
        delivery::Delivery::read(envelope.provider, delivery.text.as_bytes(), envelope.event_id.as_deref());
    let events = read.map_err(|_| "the message is no delivery of its provider's")?.events;
    Ok((delivery, events))
}

fn wanted((delivery, events): &(Delivery, Vec<Event>)) -> impl Iterator<Item = Wanted<'_>> {
    let envelope = &delivery.envelope;
    events.iter().filter_map(|event| {
        let delivery::News::Fetch(fetch) = &event.news else { return None };
        let (endpoint, provider_event_id) = (envelope.endpoint, event.id.clone());
        let key = EventKey { endpoint, provider_event_id, conflict: None };
        let request_id = envelope.request_id.as_str();
        Some(Wanted { org: envelope.org, provider: envelope.provider, key, fetch, request_id })
    })
}

/// The tasks of a message: one for each of its events, and one for each further thing that a provider told of when it was asked.
fn tasks(
    (delivery, events): (Delivery, Vec<Event>),
    fetched: &mut impl Iterator<Item = Fetched>,
) -> Vec<Task> {
    let Delivery { envelope, text } = delivery;
    let provider = envelope.provider;
    let mut tasks = Vec::with_capacity(events.len());
    for Event { id, kind, fingerprint, news, alone, .. } in events {
        let text = alone.map_or_else(|| Arc::clone(&text), Arc::from);
        let mut others = Vec::new();
        let news = match news {
            delivery::News::Told(event) => fact::of(provider, *event, &id),
            delivery::News::Ignored => News::Unused,
            delivery::News::Unusable(error) => News::Unusable(error.to_string()),
            delivery::News::Fetch(_) => match fetched.next() {
                Some(Fetched::Read(events)) => {
                    let mut events = events.into_iter();
                    let first = events.next().map(|first| of_document(provider, first));
                    others = events.collect();
                    first.unwrap_or(News::Told(None))
                }
                // What it says is not looked at again.
                Some(Fetched::Before) => News::Told(None),
                Some(Fetched::Known) => News::Known,
                Some(Fetched::Unusable(why)) => News::Unusable(why),
                Some(Fetched::Waits(why)) => News::Waits(why),
                None => News::Waits("it was not asked for".to_owned()),
            },
        };
        for event in others {
            let kind = event.kind().to_owned();
            let Some((event_id, fingerprint)) = name(&event) else { continue };
            let news = of_document(provider, event);
            let (envelope, about) = (envelope.clone(), Vec::new());
            tasks.push(Task { envelope, text: None, event_id, kind, fingerprint, news, about });
        }
        // The event itself comes last: once it counts, all that it told of does.
        let envelope = Arc::clone(&envelope);
        let about = match news {
            News::Told(Some(_)) | News::Known | News::Waits(_) => None,
            _ => delivery::Delivery::customer(provider, &text).map(|id| ExternalRef { provider, id }),
        };
        let about = about.iter().map(CustomerRef::key).collect();
        tasks.push(Task { envelope, text: Some(text), event_id: id, kind, fingerprint, news, about });
    }
    tasks
}

/// The news in a document: the same version of it is the same news, whatever told of it.
fn of_document(provider: Provider, event: canonical::Event) -> News {
    let id = event.id().clone();
    fact::of(provider, event, &id)
}

/// The name under which a version of a document counts once.
fn name(event: &canonical::Event) -> Option<(ExternalId, Fingerprint)> {
    let version = event.version();
    let name = format!("{}:{}:{}.{}", event.kind(), event.id(), version.at, version.sequence);
    Some((external_id(&name)?, Fingerprint(sha256(name.as_bytes()))))
}
