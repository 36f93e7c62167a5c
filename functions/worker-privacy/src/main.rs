//! Wiring of `worker-privacy`.

use std::time::Duration;

use plixo_aws::config::{self, Patience};
use plixo_aws::sign::SigningKey;
use plixo_aws::sqs::Queue;
use plixo_aws::{kms::Kms, s3::Bucket};
use plixo_lambda::batch::Batch;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy};
use plixo_store::{Store, dynamo::DynamoTables};
use worker_privacy::{Signer, Worker};

/// A part of a file is 5 MiB and more.
const PATIENCE: Patience =
    Patience { tries: 3, per_try: Duration::from_secs(10), in_all: Duration::from_secs(25) };

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let (audit, key) = (env.required("AUDIT_TABLE"), env.required("ENVELOPE_KEY_ARN"));
    let (exports, checkpoints) = (env.required("EXPORTS_BUCKET"), env.required("CHECKPOINTS_BUCKET"));
    let (seal_key, origin) = (env.required("SEAL_KEY_ARN"), env.required("SEAL_ORIGIN"));
    let queue = env.required("PRIVACY_QUEUE_URL");
    let letters = [env.required("STRIPE_DEAD_LETTERS_URL"), env.required("ERP_DEAD_LETTERS_URL")];
    env.complete()?;

    let config = config::of_function(PATIENCE).await;
    let tables = DynamoTables::new(&config, ledger, events, audit);
    let kms = Kms::new(&config, key);
    let (tables_ready, kms_ready) = tokio::join!(tables.connect(), kms.connect());
    tables_ready?;
    kms_ready?;

    let store = Store::new(tables, kms, entropy::bytes_32);
    let (exports, checkpoints) = (Bucket::new(&config, exports), Bucket::new(&config, checkpoints));
    let signer = Signer { key: SigningKey::new(&config, seal_key), origin };
    let letters = letters.map(|url| Queue::new(&config, url)).into();
    let queue = Some(Queue::new(&config, queue));
    let worker = &Worker::new(store, exports, checkpoints, Some(signer), letters, queue, entropy::bytes_32);
    plixo_lambda::run(|batch: Batch| worker.run(batch)).await
}
