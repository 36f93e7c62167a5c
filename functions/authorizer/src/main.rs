//! Wiring of `authorizer`.

use authorizer::Authorizer;
use plixo_aws::config::{self, Patience};
use plixo_aws::jwks::PublishedKeys;
use plixo_identity::token::Verifier;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, clock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (pool, client) = (env.required("USER_POOL_ID"), env.required("USER_POOL_CLIENT_ID"));
    env.complete()?;

    let config = config::of_function(Patience::SENDER_WAITS).await;
    let authorizer = Authorizer::new(Verifier::of_pool(&pool, client), PublishedKeys::new(&config, &pool));
    authorizer.fetch(clock::now()).await?;

    let authorizer = &authorizer;
    plixo_lambda::run(|question| async move { authorizer.answer(question).await }).await
}
