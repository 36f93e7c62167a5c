//! The runner of batches of a DynamoDB stream: what [`batch`](crate::batch) is for queues.
//!
//! Lambda hands the batch out again from the first record on that failed
//! ([partial batch responses](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html)), with those
//! after it that were done: work on a stream has to bear repetition.

use std::future::Future;

use serde::Deserialize;

use crate::batch::{self, BatchResponse, TaskError};
use crate::line::Line;

/// A batch as Lambda hands it over.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Batch {
    /// Its records, in the order of the changes of each item.
    pub records: Vec<Record>,
}

/// One change of an item. Which one is all that a stream of keys says.
#[derive(Debug, Clone, Deserialize)]
pub struct Record {
    dynamodb: Change,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    keys: Keys,
    sequence_number: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Keys {
    pk: Text,
    sk: Text,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Text {
    s: String,
}

impl Record {
    /// The item's partition key and sort key.
    #[must_use]
    pub fn key(&self) -> (&str, &str) {
        (&self.dynamodb.keys.pk.s, &self.dynamodb.keys.sk.s)
    }

    /// The stream's number of it.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.dynamodb.sequence_number
    }
}

/// Runs pieces of work side by side, each of them given as the numbers of the records that it is about. `handle` does one and
/// fills in its line.
pub async fn run<F, A>(function: &'static str, works: Vec<Vec<&str>>, handle: F) -> BatchResponse
where
    F: Fn(usize, Line) -> A,
    A: Future<Output = (Result<(), TaskError>, Line)>,
{
    let works = works.into_iter().map(|numbers| {
        let first = numbers.first().copied().unwrap_or_default().to_owned();
        let mut blank = Line { function, span: "changes", message_id: Some(first), ..Line::default() };
        blank.metrics.requests = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        (blank, numbers)
    });
    batch::side_by_side(works, handle).await
}
