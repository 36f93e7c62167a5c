//! Who runs the platform.

use anyhow::{Context, bail};
use clap::Subcommand;
use plixo_aws::cognito::{Directory, DirectoryError, Register, UserPool};
use plixo_aws::config;
use plixo_domain::people::Email;
use plixo_lambda::env::Env;
use serde_json::{Value, json};

use crate::password;

/// What can be done with operators.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make somebody an operator, and print the temporary password with which they sign in the first time.
    Add {
        /// Their email.
        #[arg(long)]
        email: String,
    },
}

/// Runs a command and answers what to print.
pub(crate) async fn run(Command::Add { email }: Command) -> anyhow::Result<Value> {
    let env = Env::default();
    let (pool, client) = (env.required("USER_POOL_ID"), env.required("USER_POOL_CLIENT_ID"));
    env.complete()?;
    let email: Email = email.parse()?;
    let pool = UserPool::new(&config::of_command().await, pool, client);
    add(&pool, &email.name()).await
}

/// Again and again the same, but for the temporary password: who never signed in gets another one, and who has a password of
/// their own keeps it.
async fn add(pool: &UserPool, email: &str) -> anyhow::Result<Value> {
    let temporary = password::draw()?;
    let temporary = match pool.invite(email, &temporary).await {
        Ok(_) => Some(temporary),
        Err(DirectoryError::Exists) => {
            let person = pool.find(email).await?.context("a person who is and is not there")?;
            if !person.enabled {
                bail!("{email} is disabled in the directory");
            }
            if person.waits {
                pool.invite_again(email, &temporary).await?;
                Some(temporary)
            } else {
                None
            }
        }
        Err(error) => return Err(error.into()),
    };
    pool.make_operator(email).await?;
    let temporary = temporary.as_ref().map(|password| password.reveal());
    Ok(json!({"email": email, "temporary_password": temporary}))
}
