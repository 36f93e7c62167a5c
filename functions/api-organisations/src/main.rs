//! Wiring of `api-organisations`.

use std::sync::Arc;

use api_organisations::{Api, FUNCTION, KEY, Place};
use plixo_authz::Authz;
use plixo_aws::cognito::UserPool;
use plixo_aws::config::{self, Patience};
use plixo_aws::kms::Kms;
use plixo_aws::mac::MacKey;
use plixo_aws::ses::Mailer;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy, http};
use plixo_staff::Desk;
use plixo_store::{Store, dynamo::DynamoTables};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, audit) = (env.required("LEDGER_TABLE"), env.required("AUDIT_TABLE"));
    let (people, envelope_key) = (env.required("PEOPLE_TABLE"), env.required("ENVELOPE_KEY_ARN"));
    let (pool, client) = (env.required("USER_POOL_ID"), env.required("USER_POOL_CLIENT_ID"));
    let (hash_key, sender) = (env.required("HASH_KEY_ARN"), env.required("SENDER_EMAIL"));
    let (base_url, residency) = (env.optional("BASE_URL"), env.required("RESIDENCY"));
    env.complete()?;

    let config = config::of_function(Patience::SENDER_WAITS).await;
    let tables = DynamoTables::new(&config, ledger, String::new(), audit).with_people(people);
    let (kms, mac) = (Kms::new(&config, envelope_key), MacKey::new(&config, hash_key));
    let (connected, checked, key) = tokio::join!(tables.connect(), kms.connect(), mac.derive(KEY));
    connected?;
    checked?;

    let store = Store::new(tables, kms.clone(), entropy::bytes_32);
    let desk = Arc::new(Desk::new(store, Authz::new()?, entropy::bytes_32));
    let outside = (UserPool::new(&config, pool, client), Mailer::new(&config, sender));
    let api = &Api::new(desk, kms, outside, Place { residency: residency.parse()?, base_url }, &*key?);
    http::serve(FUNCTION, "none", |request, line| async move { api.handle(&request, line).await }).await
}
