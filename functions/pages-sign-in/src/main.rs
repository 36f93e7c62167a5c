//! Wiring of `pages-sign-in`.

use api_auth::desk::Desk;
use api_auth::names::NoKeys;
use api_auth::{Auth, FLOOR};
use pages_sign_in::{FUNCTION, Pages};
use plixo_aws::cognito::UserPool;
use plixo_aws::config::{self, Patience};
use plixo_aws::mac::MacKey;
use plixo_identity::token::Verifier;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy, http};
use plixo_store::Store;
use plixo_store::dynamo::DynamoTables;
use plixo_store::people::DynamoPeople;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (people, ledger) = (env.required("PEOPLE_TABLE"), env.required("LEDGER_TABLE"));
    let (pool, client) = (env.required("USER_POOL_ID"), env.required("USER_POOL_CLIENT_ID"));
    let hash_key = env.required("HASH_KEY_ARN");
    env.complete()?;

    let config = config::of_function(Patience::SENDER_WAITS).await;
    let tables = DynamoTables::new(&config, ledger, String::new(), String::new()).with_people(people.clone());
    let (people, names) = (DynamoPeople::new(&config, people), Store::new(tables, NoKeys, entropy::bytes_32));
    let hash_key = MacKey::new(&config, hash_key);
    let (connected, key) = tokio::join!(people.connect(), hash_key.derive("plixo sign-in v1"));
    connected?;

    let directory = UserPool::new(&config, pool.clone(), client.clone());
    let verifier = Verifier::of_pool(&pool, client);
    let desk = Desk::new(directory, people, names, verifier, &*key?, entropy::bytes_32);
    let pages = &Pages::new(Auth::new(desk, FLOOR), entropy::bytes_32);
    http::serve(FUNCTION, "none", |request, line| async move { pages.handle(&request, line).await }).await
}
