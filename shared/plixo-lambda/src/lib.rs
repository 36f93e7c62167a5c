#![doc = include_str!("../README.md")]

pub mod batch;
pub mod clock;
pub mod entropy;
pub mod env;
pub mod hash;
pub mod http;
pub mod job;
pub mod line;
pub mod recent;
mod runtime;
pub mod stream;

use std::convert::Infallible;
use std::fmt::Display;
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
    let handle = &handle;
    run_fallible(move |event| async move { Ok::<_, Infallible>(handle(event).await) }).await
}

/// [`run`], of what may fail in a way that Lambda is to hear of. The error's text must be fit for its log.
async fn run_fallible<E, R, X, F, A>(handle: F) -> Result<(), Error>
where
    E: DeserializeOwned,
    R: Serialize,
    X: Display,
    F: Fn(E) -> A,
    A: Future<Output = Result<R, X>>,
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
                match work.await {
                    Ok(answer) => api.answer(&invocation, &answer)?,
                    Err(error) => api.refuse(&invocation, "NotDone", &error.to_string())?,
                }
            }
            Err(error) => {
                let place = format!("line {} column {}", error.line(), error.column());
                let why = format!("the event is not of the form that this function takes, {place}");
                api.refuse(&invocation, "UnreadableEvent", &why)?;
            }
        }
    }
}
