//! Wiring of `worker-erp`.

use plixo_aws::config::{self, Patience};
use plixo_aws::kms::Kms;
use plixo_aws::secrets::Vault;
use plixo_aws::sqs::Queue;
use plixo_erp::{Erp, Urls};
use plixo_lambda::batch::Batch;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy};
use plixo_store::{Store, dynamo::DynamoTables};
use worker_erp::{Receivers, Worker};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let (audit, key) = (env.required("AUDIT_TABLE"), env.required("ENVELOPE_KEY_ARN"));
    let sources = env.required("DATA_SOURCES_PREFIX");
    let urls = Urls::read(|name| env.required(name));
    let cash = env.required("CASH_QUEUE_URL");
    let (endpoints, base_url) = (env.required("WEBHOOK_ENDPOINTS_PREFIX"), env.required("BASE_URL"));
    env.complete()?;

    let config = config::of_function(Patience::QUEUED).await;
    let tables = DynamoTables::new(&config, ledger, events, audit);
    let kms = Kms::new(&config, key);
    let (tables_ready, kms_ready) = tokio::join!(tables.connect(), kms.connect());
    tables_ready?;
    kms_ready?;

    let erp = Erp::new(Vault::new(&config, sources), urls);
    let receivers = Receivers { vault: Vault::new(&config, endpoints), base_url };
    let store = Store::new(tables, kms, entropy::bytes_32);
    let worker = &Worker::new(store, Queue::new(&config, cash), erp, receivers);
    plixo_lambda::run(|batch: Batch| worker.run(batch)).await
}
