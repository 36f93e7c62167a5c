//! The SQS batch runner: a function that knows one message becomes one that knows batches.
//!
//! Each message has its own line, its own count of AWS calls and its own caught panic; only those that failed are handed
//! back to the queue
//! ([partial batch responses](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html)).

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use serde::{Deserialize, Serialize};

use crate::line::{Embedded, Level, Line};
use crate::{clock, line};

/// A batch as Lambda hands it over.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Batch {
    /// Its messages.
    pub records: Vec<Message>,
}

/// One message.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// SQS's id of it.
    pub message_id: String,
    /// Its text.
    #[serde(default)]
    pub body: String,
    /// By which it is given back.
    #[serde(default)]
    pub receipt_handle: String,
    #[serde(default)]
    attributes: SystemAttributes,
    #[serde(default)]
    message_attributes: BTreeMap<String, Attribute>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct SystemAttributes {
    approximate_receive_count: String,
    sent_timestamp: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    string_value: Option<String>,
}

impl Message {
    /// The text of a message attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.message_attributes.get(name)?.string_value.as_deref()
    }
}

/// Why a message was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TaskError {
    /// The next try may do it.
    #[error("{0}")]
    Retryable(String),
    /// No try will: it goes to the dead-letter queue when its tries are used up.
    #[error("{0}")]
    Permanent(String),
}

impl TaskError {
    /// How much its line wants to be read.
    #[must_use]
    pub fn level(&self) -> Level {
        if matches!(self, Self::Permanent(_)) { Level::Error } else { Level::Warn }
    }
}

/// The messages that the queue is to hand out again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

impl BatchResponse {
    /// Those of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.batch_item_failures.extend(other.batch_item_failures);
        self
    }

    /// The ids of the messages that failed.
    pub fn failed(&self) -> impl Iterator<Item = &str> {
        self.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str())
    }
}

/// How long a message may take. It is less than workers' `Timeout` by what a batch reads beforehand, so that a batch with
/// one slow message is not lost as a whole.
pub(crate) const BUDGET: Duration = Duration::from_secs(20);

/// Runs all messages of a batch, side by side. `handle` does one message and fills in its line.
pub async fn run<F, A>(function: &'static str, batch: &Batch, handle: F) -> BatchResponse
where
    F: Fn(usize, Line) -> A,
    A: Future<Output = (Result<(), TaskError>, Line)>,
{
    run_within(BUDGET, function, batch, handle).await
}

/// [`run`], where a message may take that long.
pub async fn run_within<F, A>(
    budget: Duration,
    function: &'static str,
    batch: &Batch,
    handle: F,
) -> BatchResponse
where
    F: Fn(usize, Line) -> A,
    A: Future<Output = (Result<(), TaskError>, Line)>,
{
    let at = clock::now();
    let works = batch.records.iter().map(|message| {
        let sent: Option<i64> = message.attributes.sent_timestamp.parse().ok();
        let mut blank = Line {
            function,
            span: "message",
            message_id: Some(message.message_id.clone()),
            receive_count: message.attributes.approximate_receive_count.parse().ok(),
            queued_ms: sent.map(|sent| at.as_millisecond().saturating_sub(sent)),
            size_bytes: Some(message.body.len()),
            ..Line::default()
        };
        blank.metrics.requests = 1;
        (blank, vec![message.message_id.as_str()])
    });
    side_by_side_within(budget, works, handle).await
}

/// Runs pieces of work side by side: of each its blank line, and the items of the batch that are handed out again if it fails.
pub(crate) async fn side_by_side<'a, F, A>(
    works: impl Iterator<Item = (Line, Vec<&'a str>)>,
    handle: F,
) -> BatchResponse
where
    F: Fn(usize, Line) -> A,
    A: Future<Output = (Result<(), TaskError>, Line)>,
{
    side_by_side_within(BUDGET, works, handle).await
}

async fn side_by_side_within<'a, F, A>(
    budget: Duration,
    works: impl Iterator<Item = (Line, Vec<&'a str>)>,
    handle: F,
) -> BatchResponse
where
    F: Fn(usize, Line) -> A,
    A: Future<Output = (Result<(), TaskError>, Line)>,
{
    let handle = &handle;
    let work = |(n, (blank, items)): (usize, (Line, Vec<&'a str>))| async move {
        let done = one(blank, budget, |line| handle(n, line)).await;
        if done.is_ok() { Vec::new() } else { items }
    };
    let failed = join_all(works.enumerate().map(work)).await.into_iter().flatten();
    let failures = failed.map(|item| ItemFailure { item_identifier: item.to_owned() });
    BatchResponse { batch_item_failures: failures.collect() }
}

/// Runs one piece of work, with its line written.
pub(crate) async fn one<A>(
    blank: Line,
    budget: Duration,
    handle: impl FnOnce(Line) -> A,
) -> Result<(), TaskError>
where
    A: Future<Output = (Result<(), TaskError>, Line)>,
{
    let (began, at) = (clock::instant(), clock::now());
    let embedded = Embedded { timestamp: at.as_millisecond() };
    let blank = Line { timestamp: at, embedded, ..blank };
    let spare = blank.clone();
    // Boxed, because what wraps it moves it on, and the future of an AWS call is some 10 KB.
    let work = AssertUnwindSafe(async { tokio::time::timeout(budget, Box::pin(handle(blank))).await });
    let work = work.catch_unwind();
    let (done, aws_calls) = plixo_aws::calls::counted(work).await;
    let (result, mut line) = match done {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => {
            let error = TaskError::Retryable(format!("it was not done within {} s", budget.as_secs()));
            (Err(error), Line { outcome: "out_of_time", ..spare })
        }
        Err(_) => {
            let error = TaskError::Permanent("it made its handler panic".to_owned());
            (Err(error), Line { outcome: "panic", ..spare })
        }
    };
    if let Err(error) = &result {
        line.level = error.level();
        line.error = Some(error.to_string());
        line.metrics.errors = 1;
    }
    line.aws_calls = aws_calls;
    line.metrics.duration_ms = line::millis(began.elapsed());
    line.emit();
    result
}

#[cfg(test)]
mod tests;
