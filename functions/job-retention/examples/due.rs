//! Deletes what is due from the DynamoDB tables that the environment names, in one run of the job, and prints how many things that
//! were and how long it took, seconds: `due`. Files, queue and erasure ledger are those of tests.

use std::error::Error;

use job_retention::Job;
use plixo_aws::config;
use plixo_envelope::NoKeys;
use plixo_lambda::clock;
use plixo_lambda::env::Env;
use plixo_lambda::line::Line;
use plixo_store::Store;
use plixo_store::dynamo::DynamoTables;
use plixo_testing::{FakeBucket, FakeQueue, Faults, entropy};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let audit = env.required("AUDIT_TABLE");
    env.complete()?;
    let tables = DynamoTables::new(&config::of_command().await, ledger, events, audit);
    let faults = Faults::default();
    let bucket = || FakeBucket::new(faults.clone());
    let store = Store::new(tables, NoKeys, entropy);
    let job = Job::new(store, bucket(), bucket(), FakeQueue::new(faults.clone()), entropy);
    let began = clock::now();
    let (done, line) = job.run(Line { timestamp: clock::now(), ..Line::default() }).await;
    done?;
    println!(
        "{} {} {:.2}",
        line.outcome,
        line.items.unwrap_or_default(),
        began.duration_until(clock::now()).as_secs_f64()
    );
    Ok(())
}
