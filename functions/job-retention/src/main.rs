//! Wiring of `job-retention`.

use job_retention::{BUDGET, FUNCTION, Job};
use plixo_aws::config::{self, Patience};
use plixo_aws::s3::Bucket;
use plixo_aws::sqs::Queue;
use plixo_envelope::NoKeys;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy, job};
use plixo_store::Store;
use plixo_store::dynamo::DynamoTables;
use serde::de::IgnoredAny;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let (audit, queue) = (env.required("AUDIT_TABLE"), env.required("PRIVACY_QUEUE_URL"));
    let (exports, checkpoints) = (env.required("EXPORTS_BUCKET"), env.required("CHECKPOINTS_BUCKET"));
    env.complete()?;

    let config = config::of_function(Patience::QUEUED).await;
    let tables = DynamoTables::new(&config, ledger, events, audit);
    let store = Store::new(tables, NoKeys, entropy::bytes_32);
    let (exports, checkpoints) = (Bucket::new(&config, exports), Bucket::new(&config, checkpoints));
    let job = &Job::new(store, exports, checkpoints, Queue::new(&config, queue), entropy::bytes_32);
    job::serve_within(FUNCTION, BUDGET, |_: IgnoredAny, line| async move { job.run(line).await }).await
}
