#![doc = include_str!("../README.md")]

#[cfg(test)]
mod tests;

use futures::stream::{self, StreamExt, TryStreamExt};
use plixo_aws::AwsError;
use plixo_aws::sqs::SendMessage;
use plixo_domain::id::{OrgId, SourceId};
use plixo_domain::source::Upkeep;
use plixo_lambda::batch::TaskError;
use plixo_lambda::line::Line;
use plixo_store::{Tables, jobs};

/// This function's name.
pub const FUNCTION: &str = "job-data-sources";

/// How many sources are read at once.
const PAGE: usize = 1_000;
/// How many messages are on their way to the queue at once.
const AT_ONCE: usize = 16;

/// The job that has every data source kept up.
#[derive(Debug)]
pub struct Job<T, Q> {
    tables: T,
    queue: Q,
}

impl<T: Tables, Q: SendMessage> Job<T, Q> {
    /// One that reads the sources from `tables`, and tells `queue` of each.
    pub fn new(tables: T, queue: Q) -> Self {
        Self { tables, queue }
    }

    /// Sends a message for each data source that its provider does not refuse. It may be done again at any time.
    pub async fn run(&self, mut line: Line) -> (Result<(), TaskError>, Line) {
        line.outcome = "sent";
        let (sent, result) = self.send_all().await;
        line.items = Some(sent);
        if result.is_err() {
            line.outcome = "unavailable";
        }
        (result, line)
    }

    async fn send_all(&self) -> (usize, Result<(), TaskError>) {
        let (mut sent, mut next) = (0, Some(jobs::Upkeep::START));
        while let Some(from) = next {
            let (sources, further) = match jobs::data_sources(&self.tables, from, PAGE).await {
                Ok(read) => read,
                Err(error) => return (sent, Err(TaskError::Retryable(error.to_string()))),
            };
            let count = sources.len();
            let messages = stream::iter(sources).map(|source| self.send(source));
            let done = messages.buffer_unordered(AT_ONCE).try_collect::<()>().await;
            if let Err(error) = done {
                return (sent, Err(TaskError::Retryable(error.to_string())));
            }
            (sent, next) = (sent + count, further);
        }
        (sent, Ok(()))
    }

    async fn send(&self, (org, source): (OrgId, SourceId)) -> Result<(), AwsError> {
        let upkeep = Upkeep { v: Upkeep::VERSION, org, source };
        let unwritten =
            |_| AwsError::Refused { service: "SQS", cause: "a message has no JSON form".to_owned() };
        let body = serde_json::to_string(&upkeep).map_err(unwritten)?;
        let (name, value) = Upkeep::ATTRIBUTE;
        self.queue.send_message(body, (name, value.to_owned())).await.map(drop)
    }
}
