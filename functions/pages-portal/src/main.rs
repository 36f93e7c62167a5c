//! Wiring of `pages-portal`.

use pages_portal::{FUNCTION, Place, Portal};
use plixo_aws::config::{self, Patience};
use plixo_aws::{kms::Kms, secrets::Vault, ses::Mailer};
use plixo_lambda::env::Env;
use plixo_lambda::{Error, clock, entropy, http};
use plixo_portal::{cashier::Cashier, links::LinkKeys};
use plixo_store::{Store, dynamo::DynamoTables};
use plixo_stripe::Stripe;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, audit) = (env.required("LEDGER_TABLE"), env.required("AUDIT_TABLE"));
    let (envelope_key, sender) = (env.required("ENVELOPE_KEY_ARN"), env.required("SENDER_EMAIL"));
    let (link_keys, stripe_keys) = (env.required("LINK_KEYS_SECRET"), env.required("STRIPE_KEYS_PREFIX"));
    let (stripe, origin) = (env.required("STRIPE_API_URL"), env.required("STRIPE_CHECKOUT_ORIGIN"));
    let base_url = env.optional("BASE_URL");
    env.complete()?;

    let config = config::of_function(Patience::SENDER_WAITS).await;
    let tables = DynamoTables::new(&config, ledger, String::new(), audit);
    let kms = Kms::new(&config, envelope_key);
    let keys = LinkKeys::new(Vault::new(&config, String::new()), link_keys);
    // A forged link costs no call: so the keys are read before there is one.
    let (connected, checked, read) = tokio::join!(tables.connect(), kms.connect(), keys.get(clock::now()));
    connected?;
    checked?;
    read?;

    let store = Store::new(tables, kms, entropy::bytes_32);
    let cashier = Cashier::new(Vault::new(&config, stripe_keys), Stripe::new(&stripe));
    let place = Place { base_url, checkout_origin: origin };
    let (mail, entropy) = (Mailer::new(&config, sender), entropy::bytes_32);
    let portal = &Portal { store, keys, cashier, mail, place, entropy };
    http::serve(FUNCTION, "none", |request, line| async move { portal.handle(&request, line).await }).await
}
