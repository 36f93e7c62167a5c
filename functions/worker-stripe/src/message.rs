//! A queue message as the worker reads it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plixo_domain::id::OrgId;
use plixo_domain::ledger::RowKey;
use plixo_domain::webhook::{Encoding, Envelope, EventKey, ExternalId, Fingerprint};
use plixo_lambda::batch::Message;
use plixo_lambda::line::Line;
use plixo_webhooks::stripe::event::Event;

use crate::news::{self, News};

/// One event to work on.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) envelope: Envelope,
    pub(crate) text: String,
    pub(crate) event_id: ExternalId,
    pub(crate) kind: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) news: News,
}

/// More than any webhook body is, so that no message makes the worker unpack for ever.
const MAX_TEXT: usize = 2 << 20;

impl Task {
    /// Reads a message.
    ///
    /// # Errors
    /// Why no try will ever read it.
    pub(crate) fn read(message: &Message) -> Result<Self, &'static str> {
        let attribute =
            message.attribute(Envelope::ATTRIBUTE).ok_or("the message has no `plixo` attribute")?;
        let envelope: Envelope =
            serde_json::from_str(attribute).map_err(|_| "the `plixo` attribute is no envelope")?;
        if envelope.v != Envelope::VERSION {
            return Err("the message has a version that this worker does not read");
        }
        let text = match envelope.encoding {
            Encoding::Identity => message.body.clone(),
            Encoding::Lz4 => unpack(&message.body).ok_or("the message does not unpack")?,
        };
        let event = Event::parse(text.as_bytes()).map_err(|_| "the message holds no Stripe event")?;
        let event_id: ExternalId =
            event.id.parse().map_err(|_| "the event's id is none that Stripe gives")?;
        let (fingerprint, news) = (Fingerprint(event.fingerprint()), news::of(&event, &event_id));
        let kind = event.kind.into_owned();
        Ok(Self { envelope, event_id, kind, fingerprint, news, text })
    }

    pub(crate) fn org(&self) -> OrgId {
        self.envelope.org
    }

    /// The rows that it will need first of all.
    pub(crate) fn rows(&self) -> Vec<RowKey> {
        let (endpoint, provider_event_id) = (self.envelope.endpoint, self.event_id.clone());
        let mut rows = vec![RowKey::WebhookEvent(EventKey { endpoint, provider_event_id, conflict: None })];
        match &self.news {
            News::Payment(news) => {
                rows.push(RowKey::Payment(news.reference.clone()));
                rows.extend(news.names().map(RowKey::Invoice));
            }
            News::Customer(news) => {
                rows.push(RowKey::CustomerRef(news.reference.clone()));
                rows.extend(news.names.map(RowKey::Customer));
            }
            News::Nothing | News::Unused | News::Unusable(_) => {}
        }
        rows
    }

    pub(crate) fn describe(&self, line: &mut Line) {
        line.request_id.clone_from(&self.envelope.request_id);
        line.org = Some(self.envelope.org.to_string());
        line.who = Some("provider:stripe".to_owned());
        line.ip.clone_from(&self.envelope.ip);
        line.endpoint = Some(self.envelope.endpoint.to_string());
        line.event_id = Some(self.event_id.to_string());
        line.event_type = Some(self.kind.chars().take(100).collect());
    }
}

fn unpack(body: &str) -> Option<String> {
    let packed = STANDARD.decode(body).ok()?;
    let (size, block) = lz4_flex::block::uncompressed_size(&packed).ok()?;
    if size > MAX_TEXT {
        return None;
    }
    String::from_utf8(lz4_flex::block::decompress(block, size).ok()?).ok()
}
