//! Wiring of `api-ledger`.

use std::sync::Arc;

use api_ledger::{Api, FUNCTION};
use plixo_authz::Authz;
use plixo_aws::config::{self, Patience};
use plixo_aws::kms::Kms;
use plixo_aws::sqs::Queue;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy, http};
use plixo_staff::Desk;
use plixo_store::Store;
use plixo_store::dynamo::DynamoTables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let ledger = env.required("LEDGER_TABLE");
    let audit = env.required("AUDIT_TABLE");
    let people = env.required("PEOPLE_TABLE");
    let key = env.required("ENVELOPE_KEY_ARN");
    let cash = env.required("CASH_QUEUE_URL");
    env.complete()?;

    let config = config::of_function(Patience::SENDER_WAITS).await;
    let tables = DynamoTables::new(&config, ledger, String::new(), audit).with_people(people);
    let kms = Kms::new(&config, key);
    let (connected, checked) = tokio::join!(tables.connect(), kms.connect());
    connected?;
    checked?;

    let store = Store::new(tables, kms, entropy::bytes_32);
    let api =
        &Api::new(Arc::new(Desk::new(store, Authz::new()?, entropy::bytes_32)), Queue::new(&config, cash));
    http::serve(FUNCTION, "none", |request, line| async move { api.handle(&request, line).await }).await
}
