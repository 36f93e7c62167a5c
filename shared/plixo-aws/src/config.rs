//! The SDK's configuration, loaded once.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

/// How long and how often an AWS call is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Tries in all, the first included.
    pub tries: u32,
    /// For one try.
    pub per_try: Duration,
    /// For all tries together.
    pub in_all: Duration,
}

impl Patience {
    /// For a sender who waits: providers give up after seconds, and send again.
    pub const SENDER_WAITS: Self =
        Self { tries: 3, per_try: Duration::from_millis(1000), in_all: Duration::from_millis(2500) };
    /// For work that the queue would hand out again.
    pub const QUEUED: Self =
        Self { tries: 3, per_try: Duration::from_secs(3), in_all: Duration::from_secs(8) };
}

/// The configuration of a Lambda function: credentials, region and endpoint from its environment only, so that init
/// looks at no file and asks no metadata service.
pub async fn of_function(patience: Patience) -> SdkConfig {
    loader(patience).credentials_provider(EnvironmentVariableCredentialsProvider::new()).load().await
}

/// The configuration of a person's command: the usual chain of credentials.
pub async fn of_command() -> SdkConfig {
    loader(Patience::QUEUED).load().await
}

pub(crate) fn loader(patience: Patience) -> aws_config::ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(800))
        .operation_attempt_timeout(patience.per_try)
        .operation_timeout(patience.in_all)
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(patience.tries)
        .with_initial_backoff(Duration::from_millis(50))
        .with_max_backoff(Duration::from_millis(500));
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts)
        .retry_config(retries)
        // It watches long transfers. These are short, and end with their time-outs.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}
