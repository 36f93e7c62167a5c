//! Wiring of `worker-portal-links`.

use plixo_aws::config::{self, Patience};
use plixo_aws::secrets::Vault;
use plixo_envelope::NoKeys;
use plixo_lambda::env::Env;
use plixo_lambda::stream::Batch;
use plixo_lambda::{Error, entropy};
use plixo_portal::cashier::Cashier;
use plixo_store::{Store, dynamo::DynamoTables};
use plixo_stripe::Stripe;
use worker_portal_links::Worker;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, audit) = (env.required("LEDGER_TABLE"), env.required("AUDIT_TABLE"));
    let (stripe_keys, stripe) = (env.required("STRIPE_KEYS_PREFIX"), env.required("STRIPE_API_URL"));
    env.complete()?;

    let config = config::of_function(Patience::QUEUED).await;
    let tables = DynamoTables::new(&config, ledger, String::new(), audit);
    tables.connect().await?;

    let store = Store::new(tables, NoKeys, entropy::bytes_32);
    let cashier = Cashier::new(Vault::new(&config, stripe_keys), Stripe::new(&stripe));
    let worker = &Worker::new(store, cashier, entropy::bytes_32);
    plixo_lambda::run(|batch: Batch| async move { worker.run(&batch).await }).await
}
