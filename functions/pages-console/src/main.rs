//! Wiring of `pages-console`.

use std::sync::Arc;

use api_organisations::Place;
use api_webhooks::Outside;
use pages_console::{Console, FUNCTION};
use plixo_authz::Authz;
use plixo_aws::config::{self, Patience};
use plixo_aws::{
    cognito::UserPool, kms::Kms, mac::MacKey, s3::Bucket, secrets::Vault, ses::Mailer, sqs::Queue,
};
use plixo_erp::{Erp, Urls};
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy, http};
use plixo_portal::links::LinkKeys;
use plixo_staff::Desk;
use plixo_store::Store;
use plixo_store::dynamo::DynamoTables;
use plixo_stripe::Stripe;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let (audit, people) = (env.required("AUDIT_TABLE"), env.required("PEOPLE_TABLE"));
    let (envelope_key, storage_key) = (env.required("ENVELOPE_KEY_ARN"), env.required("STORAGE_KEY_ARN"));
    let (pool, client) = (env.required("USER_POOL_ID"), env.required("USER_POOL_CLIENT_ID"));
    let (hash_key, sender) = (env.required("HASH_KEY_ARN"), env.required("SENDER_EMAIL"));
    let prefix = env.required("WEBHOOK_ENDPOINTS_PREFIX");
    let (stripe_queue, erp_queue) =
        (env.required("STRIPE_EVENTS_QUEUE_URL"), env.required("ERP_EVENTS_QUEUE_URL"));
    let (stripe_keys, link_keys) = (env.required("STRIPE_KEYS_PREFIX"), env.required("LINK_KEYS_SECRET"));
    let (stripe, cash) = (env.required("STRIPE_API_URL"), env.required("CASH_QUEUE_URL"));
    let (sources, urls) = (env.required("DATA_SOURCES_PREFIX"), Urls::read(|name| env.required(name)));
    let (base_url, residency) = (env.optional("BASE_URL"), env.required("RESIDENCY"));
    let (exports_queue, exports_bucket) = (env.required("EXPORT_QUEUE_URL"), env.required("EXPORTS_BUCKET"));
    let privacy_queue = env.required("PRIVACY_QUEUE_URL");
    env.complete()?;

    let config = config::of_function(Patience::SENDER_WAITS).await;
    let tables = DynamoTables::new(&config, ledger, events, audit).with_people(people);
    let (kms, hash_key) = (Kms::new(&config, envelope_key), MacKey::new(&config, hash_key));
    let derived = hash_key.derive(api_organisations::KEY);
    let (connected, checked, key) = tokio::join!(tables.connect(), kms.connect(), derived);
    connected?;
    checked?;

    let store = Store::new(tables, kms.clone(), entropy::bytes_32);
    let desk = Arc::new(Desk::new(store, Authz::new()?, entropy::bytes_32));
    let place = Place { residency: residency.parse()?, base_url: base_url.clone() };
    let people = (UserPool::new(&config, pool, client), Mailer::new(&config, sender.clone()));
    let payers = api_portal_links::Outside {
        keys: LinkKeys::new(Vault::new(&config, String::new()), link_keys),
        mail: Mailer::new(&config, sender),
        base_url: base_url.clone(),
        entropy: entropy::bytes_32,
    };
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
    let ledger = kept(api_ledger::Api::new(Arc::clone(&desk), Queue::new(&config, cash)));
    let organisations = kept(api_organisations::Api::new(Arc::clone(&desk), kms, people, place, &*key?));
    let links = kept(api_portal_links::Api::new(Arc::clone(&desk), payers));
    let webhooks = kept(api_webhooks::Api::new(Arc::clone(&desk), outside));
    let bucket = Bucket::new(&config, exports_bucket);
    let requests = api_privacy::Outside { queue: Queue::new(&config, privacy_queue), bucket: bucket.clone() };
    let privacy = kept(api_privacy::Api::new(Arc::clone(&desk), requests));
    let files = api_exports::Outside { queue: Queue::new(&config, exports_queue), bucket };
    let exports = kept(api_exports::Api::new(Arc::clone(&desk), files));
    let audit = kept(api_audit::Api::new(desk));
    let console = &Console::new(entropy::bytes_32)
        .asking(&api_ledger::ROUTES, move |it, line| async move { ledger.handle(&it, line).await })
        .asking(
            &api_organisations::ROUTES,
            move |it, line| async move { organisations.handle(&it, line).await },
        )
        .asking(&api_portal_links::ROUTES, move |it, line| async move { links.handle(&it, line).await })
        .asking(&api_webhooks::ROUTES, move |it, line| async move { webhooks.handle(&it, line).await })
        .asking(&api_exports::ROUTES, move |it, line| async move { exports.handle(&it, line).await })
        .asking(&api_privacy::ROUTES, move |it, line| async move { privacy.handle(&it, line).await })
        .asking(&[api_audit::ROUTE], move |it, line| async move { audit.handle(&it, line).await });
    http::serve(FUNCTION, "none", |request, line| async move { console.handle(&request, line).await }).await
}

/// There is one of each for as long as the process lives.
fn kept<T>(api: T) -> &'static T {
    Box::leak(Box::new(api))
}
