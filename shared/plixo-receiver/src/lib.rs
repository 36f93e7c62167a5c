#![doc = include_str!("../README.md")]

mod endpoints;

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use plixo_aws::AwsError;
use plixo_aws::secrets::ReadSecret;
use plixo_aws::sqs::{Queue, SendMessage};
use plixo_domain::id::EndpointId;
use plixo_domain::webhook::{Encoding, EndpointSecret, Envelope, Provider, VaultEntry};
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_webhooks::canonical::external_id;
use plixo_webhooks::card_numbers;
use plixo_webhooks::reply::{Content, Outcome, reply};
use plixo_webhooks::signature::{Authentic, Message, scheme};

use endpoints::{Absent, Endpoints};

/// The longest body that is taken, bytes.
pub const MAX_BODY: usize = 1_048_576;

/// Which senders a receiver takes, and how it looks into what they signed.
pub trait Senders {
    /// Whether it takes this one's.
    fn takes(provider: Provider) -> bool;

    /// Looks into an authentic body, and tells the line of it. True: there is something in it to queue.
    ///
    /// # Errors
    /// Why it cannot be taken, a word for the log.
    fn look(entry: &VaultEntry, authentic: &Authentic<'_>, line: &mut Line) -> Result<bool, &'static str>;

    /// What is queued of an authentic body, before card numbers are masked in it.
    fn queued<'a>(_entry: &VaultEntry, text: &'a str) -> Cow<'a, str> {
        text.into()
    }

    /// What the request asks before it holds anything to verify, if it asks something: the answer's text, or why there is none.
    fn asked(_provider: Provider, _request: &Request) -> Option<Result<String, &'static str>> {
        None
    }
}

/// A receiver of webhooks.
#[derive(Debug)]
pub struct Receiver<V, Q, S> {
    endpoints: Endpoints<V>,
    queue: Q,
    senders: std::marker::PhantomData<S>,
}

/// Why a request was not taken: what it is to the sender, and the reason for the log.
struct Refusal {
    outcome: Outcome,
    reason: &'static str,
    cause: Option<String>,
}

fn refused(outcome: Outcome, reason: &'static str) -> Refusal {
    Refusal { outcome, reason, cause: None }
}

fn unavailable(reason: &'static str, cause: &AwsError) -> Refusal {
    Refusal { outcome: Outcome::Unavailable, reason, cause: Some(cause.to_string()) }
}

impl<V: ReadSecret, Q: SendMessage, S: Senders> Receiver<V, Q, S> {
    /// A receiver that finds endpoints in `vault` and hands what it takes to `queue`.
    pub fn new(vault: V, queue: Q) -> Self {
        Self { endpoints: Endpoints::new(vault, S::takes), queue, senders: std::marker::PhantomData }
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
        let response = self.answer(request, &mut line).await;
        (response, line)
    }

    async fn answer(&self, request: &Request, line: &mut Line) -> Response {
        let absent = |status, line: &mut Line, reason: &'static str, cause: Option<String>| {
            (line.outcome, line.error) = (reason, cause);
            problem(status, request.id())
        };
        // Of whom it is, is not known yet; nobody's sender is told a thing that depends on it.
        let Some(id) = request.path("endpoint").and_then(|id| id.parse::<EndpointId>().ok()) else {
            return absent(404, line, "endpoint_malformed", None);
        };
        line.endpoint = Some(id.to_string());
        let entry = match self.endpoints.get(&id, line.timestamp).await {
            Ok(entry) => entry,
            Err(Absent::NotFound) => return absent(404, line, "endpoint_unknown", None),
            Err(Absent::Vault(error)) => {
                return absent(503, line, "vault_unavailable", Some(error.to_string()));
            }
            Err(Absent::Unreadable) => return absent(503, line, "vault_entry_unreadable", None),
        };
        line.org = Some(entry.org.to_string());
        line.who = Some(format!("provider:{}", entry.provider.as_str()));
        if let Some(asked) = S::asked(entry.provider, request) {
            return match asked {
                Ok(text) => {
                    line.outcome = "handshake";
                    // No browser takes it for anything else: `http::serve` says so with every answer.
                    Response::of(200, "text/plain; charset=utf-8", text)
                }
                Err(reason) => {
                    line.outcome = reason;
                    written(entry.provider, Outcome::BadHandshake, request.id())
                }
            };
        }
        let outcome = match self.take(&id, &entry, request, line).await {
            Ok(reason) => {
                line.outcome = reason;
                Outcome::Accepted
            }
            Err(Refusal { outcome, reason, cause }) => {
                (line.outcome, line.error) = (reason, cause);
                outcome
            }
        };
        written(entry.provider, outcome, request.id())
    }

    async fn take(
        &self,
        id: &EndpointId,
        entry: &VaultEntry,
        request: &Request,
        line: &mut Line,
    ) -> Result<&'static str, Refusal> {
        let received_at = line.timestamp;
        if request.body_len() > MAX_BODY {
            return Err(refused(Outcome::TooLarge, "body_too_large"));
        }
        let body = request.body().map_err(|_| refused(Outcome::Unusable, "body_not_base64"))?;
        line.size_bytes = Some(body.len());
        let scheme = scheme(entry.provider, entry.hmac.as_ref());
        let scheme = scheme.ok_or_else(|| refused(Outcome::Refused, "signature_no_scheme"))?;
        let header = |name: &str| request.header(name);
        let message = Message { header: &header, body: &body, received_at: received_at.as_second() };
        let live: Vec<_> = live_secrets(entry, received_at).collect();
        let authentic = scheme.verify(&message, &live).map_err(|error| {
            line.metrics.signature_failures = 1;
            refused(Outcome::Refused, error.code())
        })?;
        line.metrics.signature_failures = u32::from(authentic.dropped > 0);
        if !S::look(entry, &authentic, line).map_err(|reason| refused(Outcome::Unusable, reason))? {
            return Ok("nothing_to_queue");
        }
        let text =
            std::str::from_utf8(&authentic.body).map_err(|_| refused(Outcome::Unusable, "body_not_utf8"))?;
        let text = S::queued(entry, text);
        let redacted = card_numbers::redact_json(&text);
        line.cards_redacted = (redacted.count > 0).then_some(redacted.count);
        let envelope = Envelope {
            v: Envelope::VERSION,
            org: entry.org,
            endpoint: *id,
            provider: entry.provider,
            event_id: authentic.id.and_then(external_id).map(String::from),
            received_at,
            request_id: request.id().to_owned(),
            ip: request.ip().map(str::to_owned),
            user_agent: request.user_agent(),
            encoding: Encoding::Identity,
        };
        let (body, attribute) = message_of(redacted.text, envelope)
            .ok_or_else(|| refused(Outcome::TooLarge, "body_too_large_for_queue"))?;
        let sent = self.queue.send_message(body, (Envelope::ATTRIBUTE, attribute)).await;
        line.message_id = Some(sent.map_err(|error| unavailable("queue_unavailable", &error))?);
        Ok("queued")
    }
}

/// The secrets of an entry that verify at that time.
fn live_secrets(entry: &VaultEntry, now: Timestamp) -> impl Iterator<Item = &[u8]> {
    let live =
        move |secret: &&EndpointSecret| !secret.pending && secret.expires_at.is_none_or(|until| now < until);
    let live = entry.secrets.iter().filter(live);
    live.map(|secret| secret.secret.reveal().as_bytes())
}

/// The text as a queue message, body and attribute: as it is, or packed where SQS could not carry it so. `None`: not even packed.
#[must_use]
pub fn message_of(text: Cow<'_, str>, mut envelope: Envelope) -> Option<(String, String)> {
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

/// The answer that the sender expects.
fn written(provider: Provider, outcome: Outcome, request_id: &str) -> Response {
    let reply = reply(provider, outcome);
    match reply.content {
        Content::Received => Response::json(reply.status, r#"{"received":true}"#.to_owned()),
        Content::Problem => problem(reply.status, request_id),
        Content::Empty | Content::Text => Response::empty(reply.status),
    }
}

/// Tells the sender what it has to know to send again or not, and no more.
fn problem(status: u16, request_id: &str) -> Response {
    let refused = "The webhook was refused. Plixo's log says why, under this request id.";
    let (code, title, detail) = match status {
        400 => ("webhook_refused", "Bad Request", refused),
        401 => ("webhook_refused", "Unauthorized", refused),
        404 => ("not_found", "Not Found", "There is no such webhook endpoint."),
        413 => ("body_too_large", "Content Too Large", "A webhook body has at most 1 MiB."),
        _ => ("unavailable", "Service Unavailable", "Plixo could not take the webhook. Send it again."),
    };
    Response::problem(status, code, title, detail, request_id)
}
