//! Wiring of `job-audit-seal`.

use job_audit_seal::{BUDGET, FUNCTION, Job};
use plixo_aws::config::{self, Patience};
use plixo_aws::s3::Bucket;
use plixo_aws::sign::SigningKey;
use plixo_envelope::NoKeys;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy, job};
use plixo_store::Store;
use plixo_store::dynamo::DynamoTables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, audit) = (env.required("LEDGER_TABLE"), env.required("AUDIT_TABLE"));
    let (bucket, key) = (env.required("CHECKPOINTS_BUCKET"), env.required("SEAL_KEY_ARN"));
    let origin = env.required("SEAL_ORIGIN");
    env.complete()?;

    let config = config::of_function(Patience::QUEUED).await;
    let tables = DynamoTables::new(&config, ledger, String::new(), audit);
    let (bucket, key) = (Bucket::new(&config, bucket), SigningKey::new(&config, key));
    let job = &Job::new(Store::new(tables, NoKeys, entropy::bytes_32), bucket, key, origin);
    job::serve_within(FUNCTION, BUDGET, |wanted, line| async move { job.run(wanted, line).await }).await
}
