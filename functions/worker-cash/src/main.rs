//! Wiring of `worker-cash`.

use plixo_aws::config::{self, Patience};
use plixo_aws::kms::Kms;
use plixo_lambda::batch::Batch;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy};
use plixo_store::{Store, dynamo::DynamoTables};
use worker_cash::Worker;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, audit) = (env.required("LEDGER_TABLE"), env.required("AUDIT_TABLE"));
    let key = env.required("ENVELOPE_KEY_ARN");
    env.complete()?;

    let config = config::of_function(Patience::QUEUED).await;
    let tables = DynamoTables::new(&config, ledger, String::new(), audit);
    let kms = Kms::new(&config, key);
    let (tables_ready, kms_ready) = tokio::join!(tables.connect(), kms.connect());
    tables_ready?;
    kms_ready?;

    let worker = &Worker::new(Store::new(tables, kms, entropy::bytes_32), entropy::bytes_32);
    plixo_lambda::run(|batch: Batch| worker.run(batch)).await
}
