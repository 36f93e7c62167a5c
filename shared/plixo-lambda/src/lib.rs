#![doc = include_str!("../README.md")]

pub mod batch;
pub mod clock;
pub mod entropy;
pub mod env;
pub mod http;
pub mod line;
mod runtime;
pub mod stream;

use std::future::Future;

use mimalloc::MiMalloc;
use runtime::RuntimeApi;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use runtime::Error;

/// Of every function: a fifth of the worker's CPU time less than with glibc's (docs/PERFORMANCE.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Handles events until the environment ends.
///
/// # Errors
/// When the Runtime API cannot be reached.
pub async fn run<E, R, F, A>(handle: F) -> Result<(), Error>
where
    E: DeserializeOwned,
    R: Serialize,
    F: Fn(E) -> A,
    A: Future<Output = R>,
{
    // A panic's message may quote what was worked on: only its place is told.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!(r#"{{"level":"ERROR","outcome":"panic","error":"panicked at {place}"}}"#);
    }));
    let mut api = RuntimeApi::of_environment()?;
    loop {
        let invocation = api.next()?;
        // Connections that were closed meanwhile find it out now, and not when they are used.
        tokio::task::yield_now().await;
        match serde_json::from_slice(&invocation.event) {
            Ok(event) => {
                let work = plixo_aws::calls::traced(invocation.trace.clone(), Box::pin(handle(event)));
                api.answer(&invocation, &work.await)?;
            }
            Err(error) => {
                let place = format!("line {} column {}", error.line(), error.column());
                api.refuse(
                    &invocation,
                    &format!("the event is not of the form that this function takes, {place}"),
                )?;
            }
        }
    }
}
