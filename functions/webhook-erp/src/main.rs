//! Wiring of `webhook-erp`.

use plixo_aws::config::{self, Patience};
use plixo_aws::{secrets::Vault, sqs::Queue};
use plixo_lambda::env::Env;
use plixo_lambda::{Error, clock, http};
use webhook_erp::{FUNCTION, ROUTE, Receiver};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let queue_url = env.required("ERP_EVENTS_QUEUE_URL");
    let prefix = env.required("WEBHOOK_ENDPOINTS_PREFIX");
    let warm = env.optional("WARM_ENDPOINTS").unwrap_or_default();
    env.complete()?;

    let config = config::of_function(Patience::SENDER_WAITS).await;
    let queue = Queue::new(&config, queue_url);
    let receiver = Receiver::new(Vault::new(&config, prefix), queue.clone());
    let (checked, warmed) = tokio::join!(queue.check(), receiver.warm(&warm, clock::now()));
    checked.and(warmed)?;

    let receiver = &receiver;
    http::serve(FUNCTION, ROUTE, |request, line| async move { receiver.handle(&request, line).await }).await
}
