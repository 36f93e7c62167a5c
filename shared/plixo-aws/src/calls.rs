//! Counts the requests that a piece of work sends to AWS.

use std::cell::Cell;
use std::future::Future;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

tokio::task_local! {
    static SENT: Cell<u32>;
}

/// Runs `work` and answers how many requests it sent to AWS, repeated tries included.
pub async fn counted<T>(work: impl Future<Output = T>) -> (T, u32) {
    SENT.scope(Cell::new(0), async {
        let done = work.await;
        (done, SENT.with(Cell::get))
    })
    .await
}

/// Counts each request at the moment at which it is sent. Every client gets it: see [`crate::config`].
#[derive(Debug)]
pub struct CountCalls;

impl Intercept for CountCalls {
    fn name(&self) -> &'static str {
        "CountCalls"
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
