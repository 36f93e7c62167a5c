//! Wiring of `worker-export`.

use std::time::Duration;

use plixo_authz::Authz;
use plixo_aws::config::{self, Patience};
use plixo_aws::{kms::Kms, s3::Bucket};
use plixo_lambda::batch::Batch;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy};
use plixo_store::{Store, dynamo::DynamoTables};
use worker_export::Worker;

/// A part of a file is 5 MiB and more.
const PATIENCE: Patience =
    Patience { tries: 3, per_try: Duration::from_secs(10), in_all: Duration::from_secs(25) };

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, audit) = (env.required("LEDGER_TABLE"), env.required("AUDIT_TABLE"));
    let (key, bucket) = (env.required("ENVELOPE_KEY_ARN"), env.required("EXPORTS_BUCKET"));
    let checkpoints = env.required("CHECKPOINTS_BUCKET");
    env.complete()?;

    let config = config::of_function(PATIENCE).await;
    let tables = DynamoTables::new(&config, ledger, String::new(), audit);
    let kms = Kms::new(&config, key);
    let (tables_ready, kms_ready) = tokio::join!(tables.connect(), kms.connect());
    tables_ready?;
    kms_ready?;

    let store = Store::new(tables, kms, entropy::bytes_32);
    let (bucket, checkpoints) = (Bucket::new(&config, bucket), Bucket::new(&config, checkpoints));
    let worker = &Worker::new(store, Authz::new()?, bucket, checkpoints, entropy::bytes_32);
    plixo_lambda::run(|batch: Batch| worker.run(batch)).await
}
