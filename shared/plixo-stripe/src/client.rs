use std::sync::OnceLock;
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use plixo_domain::secret::Secret;

use crate::error::sort;
use crate::{Order, Session, SessionStatus, StripeError};

/// The version whose objects are read; that of the samples in `events/stripe`, too.
const VERSION: &str = "2025-09-30.clover";
/// Connecting, TLS and all.
const CONNECT: Duration = Duration::from_millis(800);
/// A whole call, both tries and the pause between them.
const PATIENCE: Duration = Duration::from_secs(8);
/// Before a second try of what Stripe could not do; Stripe's own libraries wait as long.
const PAUSE: Duration = Duration::from_millis(500);
/// More than a session is, bytes.
const LARGEST: usize = 256 << 10;

/// The port to Stripe's Checkout.
pub trait Checkout: Send + Sync {
    /// Makes a session. The same idempotency key gives the same session.
    ///
    /// # Errors
    /// [`StripeError`]. A 500 stays its key's answer: who wants to try again after it needs another key.
    fn create(
        &self,
        key: &Secret,
        order: &Order,
    ) -> impl Future<Output = Result<Session, StripeError>> + Send;

    /// How a session stands.
    ///
    /// # Errors
    /// [`StripeError`].
    fn retrieve(&self, key: &Secret, id: &str) -> impl Future<Output = Result<Session, StripeError>> + Send;

    /// Expires an open session. Of one that is not open any more it answers how it stands.
    ///
    /// # Errors
    /// [`StripeError`].
    fn expire(&self, key: &Secret, id: &str) -> impl Future<Output = Result<Session, StripeError>> + Send;
}

/// Stripe, or what stands in for it.
#[derive(Debug)]
pub struct Stripe {
    api_url: String,
    patience: Duration,
    pause: Duration,
    /// Made at the first call: it reads the machine's certificates, which nobody should wait for who asks nothing of Stripe.
    connector: OnceLock<Connector>,
}

/// A request, which may be sent twice.
struct Call<'a> {
    method: &'static str,
    path: String,
    key: &'a Secret,
    idempotency_key: Option<&'a str>,
    form: Option<String>,
}

struct Answer {
    status: u16,
    request_id: Option<String>,
    /// What Stripe says of trying again, if it does.
    should_retry: Option<bool>,
    body: Vec<u8>,
}

/// Why there is no answer.
enum Lost {
    /// The connection could not be made, or broke.
    Connection(&'static str),
    /// There is one, of no use.
    TooLarge,
}

impl Stripe {
    /// Of the API at that URL; Stripe's is `https://api.stripe.com`.
    #[must_use]
    pub fn new(api_url: &str) -> Self {
        let api_url = api_url.trim_end_matches('/').to_owned();
        Self { api_url, patience: PATIENCE, pause: PAUSE, connector: OnceLock::new() }
    }

    #[cfg(test)]
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    #[cfg(test)]
    pub(crate) fn without_pause(self) -> Self {
        Self { pause: Duration::ZERO, ..self }
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, StripeError>>) -> Result<T, StripeError> {
        let done = tokio::time::timeout(self.patience, work).await;
        done.unwrap_or_else(|_| Err(StripeError::Unavailable("it took too long".to_owned())))
    }

    /// Tries a second time where that may help. All three calls may be repeated: creating has its key, and expiring what has
    /// expired changes nothing. A connection that broke is most often one that lay idle while Lambda froze the process.
    async fn session(&self, call: &Call<'_>) -> Result<Session, StripeError> {
        let mut answer = self.send(call).await?;
        match &answer {
            Err(Lost::Connection(_)) => answer = self.send(call).await?,
            Ok(said) if said.should_retry() => {
                tokio::time::sleep(self.pause).await;
                answer = self.send(call).await?;
            }
            Ok(_) | Err(Lost::TooLarge) => {}
        }
        let unavailable = |cause: &str| Err(StripeError::Unavailable(cause.to_owned()));
        match answer {
            Ok(said) if (200..300).contains(&said.status) => {
                let session = serde_json::from_slice(&said.body);
                session.or_else(|_| unavailable("its answer cannot be read"))
            }
            Ok(said) => Err(sort(said.status, said.request_id.as_deref(), &said.body)),
            Err(Lost::Connection(cause)) => unavailable(cause),
            Err(Lost::TooLarge) => unavailable("its answer is too large"),
        }
    }

    async fn send(&self, call: &Call<'_>) -> Result<Result<Answer, Lost>, StripeError> {
        let request = call.request(&self.api_url)?;
        Ok(self.exchange(request).await)
    }

    async fn exchange(&self, request: HttpRequest) -> Result<Answer, Lost> {
        let answer = self.connector.get_or_init(connector).call(request).await;
        let answer = answer.map_err(|error| {
            Lost::Connection(if error.is_timeout() {
                "connecting took too long"
            } else {
                "it cannot be reached"
            })
        })?;
        let header = |name| answer.headers().get(name);
        let should_retry = header("stripe-should-retry").and_then(|told| told.parse().ok());
        let request_id = header("request-id").map(str::to_owned);
        let status = answer.status().as_u16();
        let mut stream = ByteStream::new(answer.into_body());
        let mut body = Vec::new();
        while let Some(part) = stream.next().await {
            let part = part.map_err(|_| Lost::Connection("its answer ended too early"))?;
            if body.len() + part.len() > LARGEST {
                return Err(Lost::TooLarge);
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status, request_id, should_retry, body })
    }
}

impl Checkout for Stripe {
    async fn create(&self, key: &Secret, order: &Order) -> Result<Session, StripeError> {
        let call = Call {
            method: "POST",
            path: "/v1/checkout/sessions".to_owned(),
            key,
            idempotency_key: Some(&order.idempotency_key),
            form: Some(order.form()?),
        };
        self.within(self.session(&call)).await
    }

    async fn retrieve(&self, key: &Secret, id: &str) -> Result<Session, StripeError> {
        let call = Call::about("GET", id, "", key)?;
        self.within(self.session(&call)).await
    }

    async fn expire(&self, key: &Secret, id: &str) -> Result<Session, StripeError> {
        let expire = Call::about("POST", id, "/expire", key)?;
        let retrieve = Call::about("GET", id, "", key)?;
        self.within(async {
            match self.session(&expire).await {
                // Stripe gives no code to a session that is not open, so the session itself is asked.
                Err(StripeError::Refused(cause)) => match self.session(&retrieve).await? {
                    Session { status: SessionStatus::Open, .. } => Err(StripeError::Refused(cause)),
                    closed => Ok(closed),
                },
                done => done,
            }
        })
        .await
    }
}

impl<'a> Call<'a> {
    /// Of a session that is there.
    fn about(method: &'static str, id: &str, what: &str, key: &'a Secret) -> Result<Self, StripeError> {
        // It becomes a part of the path.
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if !id.starts_with("cs_") || id.len() > 255 || !id.bytes().all(fits) {
            return Err(StripeError::NotFound);
        }
        let path = format!("/v1/checkout/sessions/{id}{what}");
        Ok(Self { method, path, key, idempotency_key: None, form: None })
    }

    fn request(&self, api_url: &str) -> Result<HttpRequest, StripeError> {
        let impossible = |what: &str| StripeError::Refused(format!("{what} cannot be sent"));
        let mut request = HttpRequest::new(SdkBody::from(self.form.as_deref().unwrap_or_default()));
        request.set_method(self.method).map_err(|_| impossible("the method"))?;
        request.set_uri(format!("{api_url}{}", self.path)).map_err(|_| impossible("the URL"))?;
        let headers = request.headers_mut();
        let bearer = format!("Bearer {}", self.key.reveal());
        if headers.try_insert("authorization", bearer).is_err() {
            return Err(StripeError::KeyRefused("it cannot be sent".to_owned()));
        }
        headers.insert("stripe-version", VERSION);
        headers.insert("user-agent", "Plixo");
        if self.form.is_some() {
            headers.insert("content-type", "application/x-www-form-urlencoded");
        }
        if let Some(key) = self.idempotency_key {
            headers
                .try_insert("idempotency-key", key.to_owned())
                .map_err(|_| impossible("the idempotency key"))?;
        }
        Ok(request)
    }
}

impl Answer {
    /// What Stripe says goes first: it knows what would only be the same again.
    fn should_retry(&self) -> bool {
        let may_help = matches!(self.status, 409 | 429 | 500..);
        self.status >= 400 && self.should_retry.unwrap_or(may_help)
    }
}

fn connector() -> Connector {
    Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT).build())
        .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
        .build()
}
