//! Wiring of `job-data-sources`.

use job_data_sources::{FUNCTION, Job};
use plixo_aws::config::{self, Patience};
use plixo_aws::sqs::Queue;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, job};
use plixo_store::dynamo::DynamoTables;
use serde::de::IgnoredAny;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, queue) = (env.required("LEDGER_TABLE"), env.required("UPKEEP_QUEUE_URL"));
    env.complete()?;

    let config = config::of_function(Patience::QUEUED).await;
    let tables = DynamoTables::new(&config, ledger, String::new(), String::new());
    let job = &Job::new(tables, Queue::new(&config, queue));
    job::serve(FUNCTION, |_: IgnoredAny, line| async move { job.run(line).await }).await
}
