//! A user pool's public keys, which Cognito publishes for everybody.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;

use crate::AwsError;

const SERVICE: &str = "Cognito's keys";
const PATIENCE: Duration = Duration::from_millis(2500);
/// More than the keys of a pool are, bytes.
const LARGEST: usize = 64 << 10;

/// The port to a pool's keys.
pub trait FetchKeys: Send + Sync {
    /// The pool's [JWKS](https://www.rfc-editor.org/rfc/rfc7517#section-5), as it is published.
    ///
    /// # Errors
    /// [`AwsError`].
    fn fetch_keys(&self) -> impl Future<Output = Result<Vec<u8>, AwsError>> + Send;
}

/// Where a pool's keys are published.
#[derive(Debug)]
pub struct PublishedKeys {
    connector: Connector,
    url: String,
}

impl PublishedKeys {
    /// Of the pool of that id, at Cognito, or at the endpoint that stands in for all of AWS.
    #[must_use]
    pub fn new(config: &SdkConfig, pool_id: &str) -> Self {
        // A pool's id begins with its region.
        let region = pool_id.split('_').next().unwrap_or_default();
        let host = match config.endpoint_url() {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://cognito-idp.{region}.amazonaws.com"),
        };
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(Duration::from_millis(800))
            .read_timeout(PATIENCE)
            .build();
        let connector = Connector::builder()
            .connector_settings(settings)
            .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
            .build();
        Self { connector, url: format!("{host}/{pool_id}/.well-known/jwks.json") }
    }

    async fn fetch(&self) -> Result<Vec<u8>, AwsError> {
        let request = HttpRequest::get(&self.url).map_err(|_| unavailable("the request cannot be made"))?;
        let answer = self.connector.call(request).await;
        let answer = answer.map_err(|_| unavailable("it cannot be reached"))?;
        if answer.status().as_u16() != 200 {
            return Err(unavailable(&format!("it answered {}", answer.status().as_u16())));
        }
        let mut body = ByteStream::new(answer.into_body());
        let mut keys = Vec::new();
        while let Some(part) = body.next().await {
            keys.extend_from_slice(&part.map_err(|_| unavailable("its answer ended too early"))?);
            if keys.len() > LARGEST {
                return Err(unavailable("its answer is too large"));
            }
        }
        Ok(keys)
    }
}

fn unavailable(cause: &str) -> AwsError {
    AwsError::Unavailable { service: SERVICE, cause: cause.to_owned() }
}

impl FetchKeys for PublishedKeys {
    async fn fetch_keys(&self) -> Result<Vec<u8>, AwsError> {
        let fetched = tokio::time::timeout(PATIENCE, self.fetch()).await;
        fetched.unwrap_or_else(|_| Err(unavailable("it took too long")))
    }
}
