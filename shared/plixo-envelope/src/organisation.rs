use crate::purpose::Purpose;
use crate::{
    DataKey, Error, KeyFailure, KeyId, KeyRef, KeyService, Keys, LookupKey, Place, Salt, Sealed, Secret,
    primitives, sealed,
};

/// The version that a key begins with.
pub const FIRST_VERSION: u32 = 1;

/// An organisation's key as it is stored: one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKeys {
    /// The version that seals, wrapped by the key service.
    pub newest: WrappedKey,
    /// The versions before it, newest first, each sealed under the one after it: one call to the key service opens
    /// them all, however often the key was rotated.
    pub older: Vec<Sealed>,
}

/// One version of an organisation's key, wrapped by the key service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Which version of which key.
    pub key: KeyRef,
    /// What the key service unwraps.
    pub wrapped: Vec<u8>,
    /// A commitment to the key, its name and its organisation. Whatever else comes out of the key service is refused
    /// before anything is sealed under it and lost.
    pub check: [u8; 32],
}

impl WrappedKey {
    async fn generate(
        service: &impl KeyService,
        organisation: &str,
        key: KeyRef,
    ) -> Result<(Self, DataKey), KeyFailure> {
        let generated = service.generate_key(organisation).await?;
        let check = check(&generated.secret, organisation, key)?;
        let wrapped = Self { key, wrapped: generated.wrapped, check };
        // Proves that the key can be had again, before anything depends on it.
        let data_key = wrapped.unlock(service, organisation).await?;
        Ok((wrapped, data_key))
    }

    async fn unlock(&self, service: &impl KeyService, organisation: &str) -> Result<DataKey, KeyFailure> {
        let secret = service.unwrap_key(organisation, &self.wrapped).await?;
        if !primitives::equal(&self.check, &check(&secret, organisation, self.key)?) {
            return Err(Error::WrongKey(self.key).into());
        }
        Ok(DataKey { organisation: organisation.into(), key: self.key, secret })
    }
}

fn check(secret: &Secret, organisation: &str, KeyRef { id, version }: KeyRef) -> Result<[u8; 32], Error> {
    let names = [organisation.as_bytes(), id.as_bytes(), &version.to_be_bytes()];
    Ok(*secret.derive(Purpose::Check, &names)?.expose())
}

impl WrappedKeys {
    /// Makes a new organisation's key. It gives no key to seal with: that is had from the stored row alone, so that
    /// nothing is ever sealed under a key that was not stored. Store it only if there is no row yet.
    ///
    /// # Errors
    /// The key service's; [`KeyFailure::Refused`] if it does not give the same key twice.
    pub async fn create(
        service: &impl KeyService,
        organisation: &str,
        id: KeyId,
    ) -> Result<Self, KeyFailure> {
        let key = KeyRef { id, version: FIRST_VERSION };
        let (newest, _) = WrappedKey::generate(service, organisation, key).await?;
        Ok(Self { newest, older: Vec::new() })
    }

    /// The row with a new version in front. Store it only if the row still holds `self`'s newest version.
    ///
    /// # Errors
    /// The key service's; [`KeyFailure::Refused`] if the present key cannot be unwrapped.
    pub async fn rotate(
        &self,
        service: &impl KeyService,
        organisation: &str,
        salt: Salt,
    ) -> Result<Self, KeyFailure> {
        let present = self.newest.unlock(service, organisation).await?;
        let KeyRef { id, version } = present.key;
        let version = version.checked_add(1).ok_or(Error::NoVersionLeft(present.key))?;
        let (newest, sealing) = WrappedKey::generate(service, organisation, KeyRef { id, version }).await?;
        let older = seal_key(&sealing, Purpose::OlderKey, "", &present, salt)?;
        Ok(Self { newest, older: [vec![older], self.older.clone()].concat() })
    }

    /// Unwraps all versions with one call to the key service. [`Keyring`](crate::Keyring) does it at most once in five
    /// minutes.
    ///
    /// # Errors
    /// The key service's; [`KeyFailure::Refused`] if it answers with another key, or an older version does not open.
    pub async fn unlock(
        &self,
        service: &impl KeyService,
        organisation: &str,
    ) -> Result<OrganisationKeys, KeyFailure> {
        let newest = self.newest.unlock(service, organisation).await?;
        let mut older = Vec::new();
        for sealed in &self.older {
            older.push(open_key(older.last().unwrap_or(&newest), Purpose::OlderKey, "", sealed)?);
        }
        Ok(OrganisationKeys(Keys::new(newest, older)))
    }
}

/// An organisation's key, all versions unwrapped.
#[derive(Debug)]
pub struct OrganisationKeys(pub(crate) Keys);

impl OrganisationKeys {
    /// To seal and open the organisation's own values: those that belong to no customer.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.0
    }

    /// Names a customer's new key, or a new version of it, and seals it under the organisation's. `secret` is 32 bytes
    /// from a cryptographic random generator. Store the sealed form together with the first value under the key.
    ///
    /// # Errors
    /// [`Error::NameTooLong`].
    pub fn create_customer_key(
        &self,
        customer: &str,
        key: KeyRef,
        secret: Secret,
        salt: Salt,
    ) -> Result<(DataKey, Sealed), Error> {
        let data_key = DataKey { organisation: self.0.newest().organisation.clone(), key, secret };
        let sealed = seal_key(self.0.newest(), Purpose::CustomerKey, customer, &data_key, salt)?;
        Ok((data_key, sealed))
    }

    /// Opens a customer's key.
    ///
    /// # Errors
    /// [`Error::UnknownKey`], [`Error::NotAuthentic`], [`Error::NameTooLong`].
    pub fn open_customer_key(&self, customer: &str, sealed: &Sealed) -> Result<DataKey, Error> {
        open_key(self.0.version(sealed.key())?, Purpose::CustomerKey, customer, sealed)
    }

    /// Seals a customer's key under the organisation's newest version; the key itself, and what it sealed, stay.
    /// `None`: nothing to do.
    ///
    /// # Errors
    /// Those of [`OrganisationKeys::open_customer_key`].
    pub fn rewrap_customer_key(
        &self,
        customer: &str,
        sealed: &Sealed,
        salt: Salt,
    ) -> Result<Option<Sealed>, Error> {
        self.0.rewrap_as(Purpose::CustomerKey, &Place { record: customer, field: "" }, sealed, salt)
    }

    /// The key that hashes values of `field` for lookup. It comes from the key's first version, so that rotation leaves
    /// stored hashes valid, and the first version stays for as long as there are any.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] if the first version is gone; [`Error::NameTooLong`].
    pub fn lookup_key(&self, field: &str) -> Result<LookupKey, Error> {
        let first = self.0.version(KeyRef { id: self.0.newest().key.id, version: FIRST_VERSION })?;
        let names = [first.organisation.as_bytes(), field.as_bytes()];
        Ok(LookupKey(first.secret.derive(Purpose::Lookup, &names)?))
    }
}

/// Seals a key's id, version and secret: whoever opens them need not trust the row about what they are.
fn seal_key(
    under: &DataKey,
    purpose: Purpose,
    record: &str,
    key: &DataKey,
    salt: Salt,
) -> Result<Sealed, Error> {
    let KeyRef { id, version } = key.key;
    let plaintext = zeroize::Zeroizing::new(
        [id.as_bytes().as_slice(), &version.to_be_bytes(), key.secret.expose()].concat(),
    );
    sealed::seal(under, purpose, &Place { record, field: "" }, &plaintext, salt)
}

fn open_key(under: &DataKey, purpose: Purpose, record: &str, sealed: &Sealed) -> Result<DataKey, Error> {
    if sealed.key() != under.key {
        return Err(Error::UnknownKey(sealed.key()));
    }
    let plaintext = sealed::open(under, purpose, &Place { record, field: "" }, sealed)?;
    let parts = || {
        let (id, rest) = plaintext.split_first_chunk()?;
        let (version, secret) = rest.split_first_chunk()?;
        let key = KeyRef { id: KeyId::new(*id), version: u32::from_be_bytes(*version) };
        Some((key, Secret::from_slice(secret)?))
    };
    let (key, secret) = parts().ok_or(Error::Malformed)?;
    Ok(DataKey { organisation: under.organisation.clone(), key, secret })
}
