//! Wiring of `worker-totals`.

use plixo_aws::config::{self, Patience};
use plixo_envelope::NoKeys;
use plixo_lambda::env::Env;
use plixo_lambda::stream::Batch;
use plixo_lambda::{Error, entropy};
use plixo_store::{Store, dynamo::DynamoTables};
use worker_totals::Worker;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let ledger = env.required("LEDGER_TABLE");
    env.complete()?;

    let config = config::of_function(Patience::QUEUED).await;
    let tables = DynamoTables::new(&config, ledger, String::new(), String::new());
    tables.connect().await?;

    let worker = &Worker::new(Store::new(tables, NoKeys, entropy::bytes_32));
    plixo_lambda::run(|batch: Batch| async move { worker.run(&batch).await }).await
}
