//! Sign-ins of demo people: real accounts, with real passwords and TOTP, whose secrets are kept in the vault.

use anyhow::{Context, bail};
use jiff::{Timestamp, ToSpan};
use plixo_aws::cognito::{Directory, DirectoryError, Register, SignIn, UserPool};
use plixo_aws::secrets::{ReadSecret, Vault};
use plixo_domain::people::UserId;
use plixo_domain::secret::Secret;
use plixo_identity::totp;
use plixo_lambda::clock;
use serde::{Deserialize, Serialize};

use crate::password;

/// The vault's entry of the demo's birthday.
const BORN: &str = "born";

/// Where people are let in.
pub(super) struct Desk {
    pub(super) pool: UserPool,
    pub(super) vault: Vault,
    pub(super) storage_key: Option<String>,
}

/// What somebody signs in with.
#[derive(Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) user: UserId,
    pub(super) email: String,
    pub(super) password: Secret,
    pub(super) totp_secret: Secret,
}

impl Desk {
    /// When the demo's organisations were made: the day before the first seeding.
    pub(super) async fn born(&self) -> anyhow::Result<Timestamp> {
        if let Some(kept) = self.vault.read_secret(BORN).await? {
            return kept.reveal().parse().context("the vault's entry of the demo's birthday");
        }
        let born = clock::now().checked_sub(24.hours())?;
        self.vault.put(BORN, &Secret::new(born.to_string()), self.storage_key.as_deref()).await?;
        Ok(born)
    }

    /// The account of that email: the one that the vault remembers, or a new one.
    pub(super) async fn account(&self, email: &str, operator: bool) -> anyhow::Result<Account> {
        // The vault takes no @ in a name.
        let name = email.replace('@', "/");
        if let Some(kept) = self.vault.read_secret(&name).await? {
            return serde_json::from_str(kept.reveal()).context("the vault's entry of a demo account");
        }
        let password = password::draw()?;
        let user = match self.pool.invite(email, &password).await {
            // An earlier seeding was interrupted before the vault had the account.
            Err(DirectoryError::Exists) => {
                self.pool.find(email).await?.context("an account that is and is not there")?.user
            }
            made => made?,
        };
        self.pool.set_password(email, &password).await?;
        if operator {
            self.pool.make_operator(email).await?;
        }
        let SignIn::Done(tokens) = self.pool.sign_in(email, &password).await? else {
            bail!("{email} has TOTP already, with a secret that nobody knows");
        };
        let totp_secret = self.pool.associate_totp(&tokens.access).await?;
        let now: Timestamp = clock::now();
        let code = totp::code_at(totp_secret.reveal(), now).context("a TOTP secret that is not base32")?;
        let account = Account { user, email: email.to_owned(), password, totp_secret };
        let entry = Secret::new(serde_json::to_string(&account)?);
        self.vault.put(&name, &entry, self.storage_key.as_deref()).await?;
        self.pool.verify_totp(&tokens.access, code.reveal()).await?;
        self.pool.revoke(tokens.refresh.as_ref().context("a sign-in without a refresh token")?).await?;
        Ok(account)
    }
}
