//! Wiring of `job-link-key-rotation`.

use job_link_key_rotation::{FUNCTION, Rotation, Rotator};
use plixo_aws::config::{self, Patience};
use plixo_aws::secrets::Vault;
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy, job};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let secret = env.required("LINK_KEYS_SECRET");
    env.complete()?;

    let config = config::of_function(Patience::QUEUED).await;
    let rotator = &Rotator::new(Vault::new(&config, String::new()), secret, entropy::bytes_32);
    job::serve(FUNCTION, |asked: Rotation, line| async move { rotator.handle(&asked, line).await }).await
}
