//! The names of the organisations that a person is in.

use plixo_domain::ledger::{Row, RowKey};
use plixo_domain::people::UserId;
use plixo_store::{Store, StoreError, Tables};

use crate::desk::OrganisationNames;

/// Nothing that is sealed is opened here.
pub use plixo_envelope::NoKeys;

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
