//! The queue between a receiver and its worker.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};

use crate::{AwsError, from_sdk};

const SERVICE: &str = "SQS";

/// The port to a queue that is sent to.
pub trait SendMessage: Send + Sync {
    /// Sends one message with one text attribute, and answers the message's id once the queue has it.
    ///
    /// # Errors
    /// [`AwsError`]: nobody knows whether the queue has it.
    fn send_message(
        &self,
        body: String,
        attribute: (&str, String),
    ) -> impl Future<Output = Result<String, AwsError>> + Send;
}

/// A queue that is sent to.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The most that SQS takes as one message, attributes included, bytes
    /// ([quotas](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html)).
    pub const MAX_MESSAGE: usize = 1_048_576;

    /// The queue at `url`.
    #[must_use]
    pub fn new(config: &SdkConfig, url: String) -> Self {
        let config = aws_sdk_sqs::config::Builder::from(config).interceptor(crate::calls::Calls).build();
        Self { client: Client::from_conf(config), url }
    }

    /// Asks for the queue's own name, which opens the connection and shows that the queue is there.
    ///
    /// # Errors
    /// [`AwsError`].
    pub async fn check(&self) -> Result<(), AwsError> {
        let asked = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(QueueAttributeName::QueueArn);
        asked.send().await.map(drop).map_err(|error| from_sdk(SERVICE, error))
    }
}

impl SendMessage for Queue {
    async fn send_message(&self, body: String, (name, value): (&str, String)) -> Result<String, AwsError> {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        let value =
            value.map_err(|error| AwsError::Refused { service: SERVICE, cause: error.to_string() })?;
        let message = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .message_attributes(name, value);
        let sent = message.send().await.map_err(|error| from_sdk(SERVICE, error))?;
        Ok(sent.message_id.unwrap_or_default())
    }
}
