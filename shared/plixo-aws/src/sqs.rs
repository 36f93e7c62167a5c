//! The queue between a receiver and its worker.

use std::time::Duration;

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

/// A message that somebody holds: until its time is over, nobody else gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// By which it is deleted or given back.
    pub receipt: String,
    /// Its text.
    pub body: String,
    /// The text of the attribute that was asked for.
    pub attribute: Option<String>,
}

/// The port to a queue of which somebody looks through what is in it.
pub trait LookThrough: Send + Sync {
    /// Up to ten messages, each with that attribute, which nobody else gets for so long, whole seconds. Those that somebody else
    /// holds are not among them.
    ///
    /// # Errors
    /// [`AwsError`].
    fn hold(
        &self,
        attribute: &str,
        hidden_for: Duration,
    ) -> impl Future<Output = Result<Vec<Held>, AwsError>> + Send;

    /// Takes a message that is held away for good.
    ///
    /// # Errors
    /// [`AwsError`]: nobody knows whether it is gone.
    fn delete(&self, receipt: &str) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// Lets others have a message again that is held, after so long, whole seconds.
    ///
    /// # Errors
    /// [`AwsError`]: they have it when its time is over.
    fn give_back(&self, receipt: &str, after: Duration) -> impl Future<Output = Result<(), AwsError>> + Send;

    /// How many messages are held, by whomever, as far as the queue knows by now.
    ///
    /// # Errors
    /// [`AwsError`].
    fn held_by_all(&self) -> impl Future<Output = Result<usize, AwsError>> + Send;
}

/// A queue that is sent to, or looked through.
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

impl LookThrough for Queue {
    async fn hold(&self, attribute: &str, hidden_for: Duration) -> Result<Vec<Held>, AwsError> {
        let seconds = i32::try_from(hidden_for.as_secs()).unwrap_or(i32::MAX);
        // Without a second to wait, SQS asks a part of its servers, and finds nothing though there is something.
        let asked = self.client.receive_message().queue_url(&self.url).wait_time_seconds(1);
        let asked = asked.max_number_of_messages(10).visibility_timeout(seconds);
        let received = asked.message_attribute_names(attribute).send().await;
        let received = received.map_err(|error| from_sdk(SERVICE, error))?;
        let held = received.messages.unwrap_or_default().into_iter().map(|message| {
            let of = message.message_attributes.unwrap_or_default().remove(attribute);
            Held {
                receipt: message.receipt_handle.unwrap_or_default(),
                body: message.body.unwrap_or_default(),
                attribute: of.and_then(|value| value.string_value),
            }
        });
        Ok(held.collect())
    }

    async fn delete(&self, receipt: &str) -> Result<(), AwsError> {
        let asked = self.client.delete_message().queue_url(&self.url).receipt_handle(receipt);
        asked.send().await.map(drop).map_err(|error| from_sdk(SERVICE, error))
    }

    async fn give_back(&self, receipt: &str, after: Duration) -> Result<(), AwsError> {
        let seconds = i32::try_from(after.as_secs()).unwrap_or(i32::MAX);
        let asked = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt);
        asked.visibility_timeout(seconds).send().await.map(drop).map_err(|error| from_sdk(SERVICE, error))
    }

    async fn held_by_all(&self) -> Result<usize, AwsError> {
        let name = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let asked = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone());
        let mut answer = asked.send().await.map_err(|error| from_sdk(SERVICE, error))?;
        let count = answer.attributes.as_mut().and_then(|them| them.remove(&name));
        let count = count.and_then(|count| count.parse().ok());
        count.ok_or_else(|| AwsError::Refused {
            service: SERVICE,
            cause: "a queue that does not say how many of its messages are held".to_owned(),
        })
    }
}
