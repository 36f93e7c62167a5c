//! The names of the organisations that a person is in.

use plixo_domain::ledger::{Row, RowKey};
use plixo_domain::people::UserId;
use plixo_envelope::{GeneratedKey, KeyFailure, KeyService, Secret};
use plixo_store::{Store, StoreError, Tables};

use crate::desk::OrganisationNames;

/// No keys: nothing that is sealed is opened here.
#[derive(Debug, Clone, Copy)]
pub struct NoKeys;

impl KeyService for NoKeys {
    async fn generate_key(&self, _: &str) -> Result<GeneratedKey, KeyFailure> {
        Err(KeyFailure::refused("this function makes no keys"))
    }

    async fn unwrap_key(&self, _: &str, _: &[u8]) -> Result<Secret, KeyFailure> {
        Err(KeyFailure::refused("this function opens no keys"))
    }
}

impl<T: Tables> OrganisationNames for Store<T, NoKeys> {
    async fn names_of(&self, user: &UserId) -> Result<Vec<String>, StoreError> {
        let orgs = self.organisations_of(user).await?;
        let rows = orgs.into_iter().map(|org| (org, RowKey::Organisation)).collect();
        let mut names = Vec::new();
        for (_, row) in self.read_many(rows).await? {
            if let Some((Row::Organisation(org), _)) = row? {
                names.push(org.name);
            }
        }
        Ok(names)
    }
}
