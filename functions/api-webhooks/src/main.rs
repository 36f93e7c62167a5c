//! Wiring of `api-webhooks`.

use std::sync::Arc;

use api_webhooks::{Api, FUNCTION, Outside};
use plixo_authz::Authz;
use plixo_aws::config::{self, Patience};
use plixo_aws::{kms::Kms, secrets::Vault, sqs::Queue};
use plixo_erp::{Erp, Urls};
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy, http};
use plixo_staff::Desk;
use plixo_store::Store;
use plixo_store::dynamo::DynamoTables;
use plixo_stripe::Stripe;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let (audit, people) = (env.required("AUDIT_TABLE"), env.required("PEOPLE_TABLE"));
    let (key, storage_key) = (env.required("ENVELOPE_KEY_ARN"), env.required("STORAGE_KEY_ARN"));
    let prefix = env.required("WEBHOOK_ENDPOINTS_PREFIX");
    let (stripe_keys, stripe) = (env.required("STRIPE_KEYS_PREFIX"), env.required("STRIPE_API_URL"));
    let (stripe_queue, erp_queue) =
        (env.required("STRIPE_EVENTS_QUEUE_URL"), env.required("ERP_EVENTS_QUEUE_URL"));
    let (sources, urls) = (env.required("DATA_SOURCES_PREFIX"), Urls::read(|name| env.required(name)));
    let base_url = env.optional("BASE_URL");
    env.complete()?;

    let config = config::of_function(Patience::SENDER_WAITS).await;
    let tables = DynamoTables::new(&config, ledger, events, audit).with_people(people);
    let kms = Kms::new(&config, key);
    let (connected, checked) = tokio::join!(tables.connect(), kms.connect());
    connected.and(checked.map_err(Into::into))?;

    let stripe_keys = Vault::new(&config, stripe_keys).under(storage_key.clone());
    let sources = Vault::new(&config, sources).under(storage_key.clone());
    let vault = Vault::new(&config, prefix).under(storage_key);
    let (stripe_queue, erp_queue) = (Queue::new(&config, stripe_queue), Queue::new(&config, erp_queue));
    let (stripe, erp) = (Stripe::new(&stripe), Erp::new(sources.clone(), urls));
    let outside = Outside {
        vault,
        stripe_keys,
        sources,
        stripe_queue,
        erp_queue,
        stripe,
        erp,
        base_url,
        entropy: entropy::bytes_32,
    };
    let store = Store::new(tables, kms, entropy::bytes_32);
    let api = &Api::new(Arc::new(Desk::new(store, Authz::new()?, entropy::bytes_32)), outside);
    http::serve(FUNCTION, "none", |request, line| async move { api.handle(&request, line).await }).await
}
