use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use crate::ErpError;

/// Connecting, TLS and all.
const CONNECT: Duration = Duration::from_secs(2);
/// A request with its answer, both tries.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than a page of documents is, bytes: QuickBooks answers with up to 1,000.
const LARGEST: usize = 16 << 20;

/// The client. What it sends comes from [`Request`], whose parts are checked where they are put together.
#[derive(Debug)]
pub(crate) struct Http {
    patience: Duration,
    /// Made at the first call, for it reads the machine's certificates.
    connector: OnceLock<Connector>,
}

/// A request. It may hold secrets, and so shows nothing but its method.
#[derive(Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// Whether it does no harm twice.
    pub(crate) repeats: bool,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({})", self.method)
    }
}

/// What was answered.
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
enum Lost {
    /// The connection could not be made, or broke.
    Connection(&'static str),
    /// There is one, of no use.
    TooLarge,
}

impl Request {
    pub(crate) fn get(url: String) -> Self {
        Self { method: "GET", url, repeats: true, ..Self::default() }.with("accept", "application/json")
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn build(&self) -> Result<HttpRequest, ErpError> {
        let impossible = |what: &str| ErpError::Unavailable(format!("{what} cannot be sent"));
        let mut request = HttpRequest::new(SdkBody::from(self.body.as_str()));
        request.set_method(self.method).map_err(|_| impossible("the method"))?;
        request.set_uri(self.url.as_str()).map_err(|_| impossible("the URL"))?;
        let headers = request.headers_mut();
        headers.insert("user-agent", "Plixo");
        for (name, value) in &self.headers {
            headers.try_insert(*name, value.clone()).map_err(|_| impossible(name))?;
        }
        Ok(request)
    }
}

impl Http {
    pub(crate) fn new() -> Self {
        Self { patience: PATIENCE, connector: OnceLock::new() }
    }

    #[cfg(test)]
    pub(crate) fn with_patience(patience: Duration) -> Self {
        Self { patience, ..Self::new() }
    }

    /// Sends, and a second time where the connection broke, most often one that lay idle while Lambda froze the process.
    pub(crate) async fn send(&self, request: &Request) -> Result<Said, ErpError> {
        let (first, second) = (request.build()?, request.build()?);
        let both = async {
            match self.exchange(first).await {
                Err(Lost::Connection(_)) if request.repeats => self.exchange(second).await,
                done => done,
            }
        };
        let done = tokio::time::timeout(self.patience, both).await;
        match done.map_err(|_| ErpError::unavailable("it took too long"))? {
            Ok(said) => Ok(said),
            Err(Lost::Connection(cause)) => Err(ErpError::unavailable(cause)),
            Err(Lost::TooLarge) => Err(ErpError::unavailable("its answer is too large")),
        }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<Said, Lost> {
        let answer = self.connector.get_or_init(connector).call(request).await;
        let answer = answer.map_err(|error| {
            Lost::Connection(if error.is_timeout() {
                "connecting took too long"
            } else {
                "it cannot be reached"
            })
        })?;
        let retry_after = answer.headers().get("retry-after").map(str::to_owned);
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
        Ok(Said { status, retry_after, body })
    }
}

fn connector() -> Connector {
    Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT).build())
        .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
        .build()
}
