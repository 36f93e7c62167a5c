#![doc = include_str!("../README.md")]

mod endpoints;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use plixo_aws::AwsError;
use plixo_aws::secrets::ReadSecret;
use plixo_aws::sqs::{Queue, SendMessage};
use plixo_domain::id::EndpointId;
use plixo_domain::webhook::{Encoding, EndpointSecret, Envelope, ExternalId, VaultEntry};
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_webhooks::stripe::event::Event;
use plixo_webhooks::{card_numbers, stripe};

use endpoints::{Absent, Endpoints};

/// This function's name.
pub const FUNCTION: &str = "webhook-stripe";
/// The route that it answers.
pub const ROUTE: &str = "POST /webhooks/stripe/{endpoint}";
/// The longest body that is taken, bytes.
pub const MAX_BODY: usize = 1_048_576;

/// The receiver of Stripe's webhooks.
#[derive(Debug)]
pub struct Receiver<V, Q> {
    endpoints: Endpoints<V>,
    queue: Q,
}

/// Why a request was not taken: the status for the sender, the reason for the log.
struct Refusal {
    status: u16,
    reason: &'static str,
    cause: Option<String>,
}

fn refused(status: u16, reason: &'static str) -> Refusal {
    Refusal { status, reason, cause: None }
}

fn unavailable(reason: &'static str, cause: &AwsError) -> Refusal {
    Refusal { status: 503, reason, cause: Some(cause.to_string()) }
}

impl<V: ReadSecret, Q: SendMessage> Receiver<V, Q> {
    /// A receiver that finds endpoints in `vault` and hands events to `queue`.
    pub fn new(vault: V, queue: Q) -> Self {
        Self { endpoints: Endpoints::new(vault), queue }
    }

    /// Opens the connection to the vault, and loads the endpoints of a comma-separated list of ids.
    ///
    /// # Errors
    /// [`AwsError`] when the vault cannot be read.
    pub async fn warm(&self, ids: &str, now: Timestamp) -> Result<(), AwsError> {
        let nobody = EndpointId::from_uuid(Default::default());
        let listed = ids.split(',').filter_map(|id| id.trim().parse().ok());
        for id in listed.chain([nobody]) {
            match self.endpoints.get(&id, now).await {
                Err(Absent::Vault(error)) => return Err(error),
                Ok(_) | Err(Absent::NotFound | Absent::Unreadable) => {}
            }
        }
        Ok(())
    }

    /// Answers one delivery. The sender learns the status; the reason goes to the log line.
    pub async fn handle(&self, request: &Request, mut line: Line) -> (Response, Line) {
        let response = match self.take(request, &mut line).await {
            Ok(()) => {
                line.outcome = "queued";
                Response::json(200, r#"{"received":true}"#.to_owned())
            }
            Err(refusal) => {
                line.outcome = refusal.reason;
                line.error = refusal.cause;
                answer(refusal.status, request.id())
            }
        };
        (response, line)
    }

    async fn take(&self, request: &Request, line: &mut Line) -> Result<(), Refusal> {
        let received_at = line.timestamp;
        if request.body_len() > MAX_BODY {
            return Err(refused(413, "body_too_large"));
        }
        let id = request.path("endpoint").and_then(|id| id.parse::<EndpointId>().ok());
        let id = id.ok_or_else(|| refused(404, "endpoint_malformed"))?;
        line.endpoint = Some(id.to_string());
        let entry = self.endpoints.get(&id, received_at).await.map_err(|absent| match absent {
            Absent::NotFound => refused(404, "endpoint_unknown"),
            Absent::Vault(error) => unavailable("vault_unavailable", &error),
            Absent::Unreadable => refused(500, "vault_entry_unreadable"),
        })?;
        line.org = Some(entry.org.to_string());
        line.who = Some(format!("provider:{}", entry.provider.as_str()));

        let body = request.body().map_err(|_| refused(400, "body_not_base64"))?;
        line.size_bytes = Some(body.len());
        let header = request.header("stripe-signature").unwrap_or_default();
        let live = live_secrets(&entry, received_at);
        stripe::verify(header, &body, live, received_at.as_second()).map_err(|error| {
            line.metrics.signature_failures = 1;
            refused(400, error.code())
        })?;

        let event = Event::parse(&body).map_err(|error| refused(400, error.code()))?;
        let event_id: ExternalId = event.id.parse().map_err(|_| refused(400, "event_id_malformed"))?;
        if card_numbers::contains(&event.id) {
            return Err(refused(400, "event_id_malformed"));
        }
        if !is_a_type(&event.kind) {
            return Err(refused(400, "event_type_malformed"));
        }
        line.event_id = Some(event_id.to_string());
        line.event_type = Some(event.kind.to_string());
        if event
            .account
            .as_deref()
            .is_some_and(|named| entry.account.as_ref().is_none_or(|own| own.as_str() != named))
        {
            return Err(refused(400, "event_of_another_account"));
        }

        let redacted = card_numbers::redact_json(event.text());
        line.cards_redacted = (redacted.count > 0).then_some(redacted.count);
        let envelope = Envelope {
            v: Envelope::VERSION,
            org: entry.org,
            endpoint: id,
            received_at,
            request_id: request.id().to_owned(),
            ip: request.ip().map(str::to_owned),
            user_agent: request.user_agent(),
            encoding: Encoding::Identity,
        };
        let (body, attribute) =
            message(redacted.text, envelope).ok_or_else(|| refused(413, "body_too_large_for_queue"))?;
        let sent = self.queue.send_message(body, (Envelope::ATTRIBUTE, attribute)).await;
        line.message_id = Some(sent.map_err(|error| unavailable("queue_unavailable", &error))?);
        Ok(())
    }
}

/// Types are stored and logged as they are, so they must be nothing but types.
fn is_a_type(kind: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.');
    (1..=100).contains(&kind.len()) && kind.bytes().all(fits) && !card_numbers::contains(kind)
}

fn live_secrets(entry: &VaultEntry, now: Timestamp) -> impl Iterator<Item = &[u8]> {
    let live =
        move |secret: &&EndpointSecret| !secret.pending && secret.expires_at.is_none_or(|until| now < until);
    let live = entry.secrets.iter().filter(live);
    live.map(|secret| secret.secret.reveal().as_bytes())
}

/// The event as a queue message, body and attribute: as it is, or packed where SQS could not carry it so. `None`: not even
/// packed.
#[must_use]
pub fn message(text: Cow<'_, str>, mut envelope: Envelope) -> Option<(String, String)> {
    let attribute = serde_json::to_string(&envelope).ok()?;
    let room =
        Queue::MAX_MESSAGE.checked_sub(Envelope::ATTRIBUTE.len() + "String".len() + attribute.len())?;
    // The two characters of JSON text that SQS refuses as no XML 1.0 characters.
    if text.len() <= room && !text.contains(['\u{fffe}', '\u{ffff}']) {
        return Some((text.into_owned(), attribute));
    }
    envelope.encoding = Encoding::Lz4;
    let packed = STANDARD.encode(lz4_flex::block::compress_prepend_size(text.as_bytes()));
    (packed.len() <= room).then_some((packed, serde_json::to_string(&envelope).ok()?))
}

/// Tells the sender what it has to know to send again or not, and no more.
fn answer(status: u16, request_id: &str) -> Response {
    let (code, title, detail) = match status {
        400 => (
            "webhook_refused",
            "Bad Request",
            "The webhook was refused. Plixo's log says why, under this request id.",
        ),
        404 => ("not_found", "Not Found", "There is no such webhook endpoint."),
        413 => ("body_too_large", "Content Too Large", "A webhook body has at most 1 MiB."),
        503 => ("unavailable", "Service Unavailable", "Plixo could not take the webhook. Send it again."),
        _ => ("internal", "Internal Server Error", "Plixo failed to take the webhook. Send it again."),
    };
    Response::problem(status, code, title, detail, request_id)
}
