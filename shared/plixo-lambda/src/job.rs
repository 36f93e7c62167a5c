//! The runner of jobs: one event, one line, and Lambda hears whether it was done.

use std::future::Future;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::Error;
use crate::batch::{self, TaskError};
use crate::line::Line;

/// Runs a job for each event until the environment ends. `handle` does it and fills in its line. What is not done within 20 s is
/// given up; doing a job once more has to be possible at any time.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn serve<E, F, A>(function: &'static str, handle: F) -> Result<(), Error>
where
    E: DeserializeOwned,
    F: Fn(E, Line) -> A,
    A: Future<Output = (Result<(), TaskError>, Line)>,
{
    serve_within(function, batch::BUDGET, handle).await
}

/// [`serve`], with another time in the place of 20 s.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn serve_within<E, F, A>(function: &'static str, budget: Duration, handle: F) -> Result<(), Error>
where
    E: DeserializeOwned,
    F: Fn(E, Line) -> A,
    A: Future<Output = (Result<(), TaskError>, Line)>,
{
    let handle = &handle;
    crate::run_fallible(move |event: E| async move {
        let mut blank = Line { function, span: "job", ..Line::default() };
        blank.metrics.requests = 1;
        batch::one(blank, budget, |line| handle(event, line)).await
    })
    .await
}
