//! Counts the requests that a piece of work sends to AWS, and hands its trace on with them.

use std::cell::Cell;
use std::future::Future;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

tokio::task_local! {
    static SENT: Cell<u32>;
    static TRACE: String;
}

/// The header in which Lambda and X-Ray look for a trace
/// ([loops](https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html)).
const TRACE_HEADER: &str = "x-amzn-trace-id";

/// Runs `work`, whose requests to AWS carry that trace.
pub async fn traced<T>(trace: Option<String>, work: impl Future<Output = T>) -> T {
    match trace {
        Some(trace) => TRACE.scope(trace, work).await,
        None => work.await,
    }
}

/// Runs `work` and answers how many requests it sent to AWS, repeated tries included.
pub async fn counted<T>(work: impl Future<Output = T>) -> (T, u32) {
    SENT.scope(Cell::new(0), async {
        let done = work.await;
        (done, SENT.with(Cell::get))
    })
    .await
}

/// Counts each request at the moment at which it is sent, and gives it its trace. Every client gets it: see
/// [`crate::config`].
#[derive(Debug)]
pub struct Calls;

impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Ok(trace) = TRACE.try_with(String::clone) {
            context.request_mut().headers_mut().try_insert(TRACE_HEADER, trace)?;
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Outside of counted work (at init) there is nobody to count for.
        let _ = SENT.try_with(|sent| sent.set(sent.get().saturating_add(1)));
        Ok(())
    }
}
