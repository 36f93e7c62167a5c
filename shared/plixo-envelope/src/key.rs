use std::fmt;

use aws_lc_rs::hkdf::HKDF_SHA512;
use zeroize::Zeroizing;

use crate::purpose::Purpose;
use crate::{Error, Place, Salt, Sealed, primitives, sealed};

/// The 32 bytes of a key. They are overwritten when dropped, and `Debug` does not show them.
// Boxed, because each move of an array inline would leave a copy behind on the stack or in an outgrown vector.
pub struct Secret(pub(crate) Box<Zeroizing<[u8; 32]>>);

impl Secret {
    /// Copies a secret out of `bytes`, which the caller then overwrites; `None` if they are not 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != 32 {
            return None;
        }
        let mut secret = Self(Box::default());
        secret.0.copy_from_slice(bytes);
        Some(secret)
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A secret for one purpose and list of names, unrelated to those for any other.
    pub(crate) fn derive(&self, purpose: Purpose, names: &[&[u8]]) -> Result<Self, Error> {
        let mut derived = Self(Box::default());
        let info = purpose.info(names)?;
        primitives::hkdf(HKDF_SHA512, &[], self.expose(), &info, derived.0.as_mut_slice())?;
        Ok(derived)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The id that all versions of one key share: a UUID's 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// An id made by the caller; no two keys of an organisation may share one.
    #[must_use]
    pub const fn new(uuid: [u8; 16]) -> Self {
        Self(uuid)
    }

    /// The UUID's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Names one version of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRef {
    /// The key.
    pub id: KeyId,
    /// Its version, from [`FIRST_VERSION`](crate::FIRST_VERSION) on; the newest is the highest.
    pub version: u32,
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {:?} version {}", self.id, self.version)
    }
}

/// One version of an organisation's or a customer's key, unwrapped. It knows the organisation that it belongs to, so
/// that nothing can be sealed for one organisation under the key of another.
#[derive(Debug)]
pub struct DataKey {
    pub(crate) organisation: Box<str>,
    pub(crate) key: KeyRef,
    pub(crate) secret: Secret,
}

impl DataKey {
    /// Which version of which key this is.
    #[must_use]
    pub fn key(&self) -> KeyRef {
        self.key
    }
}

/// The versions of one key: the newest seals, all of them open.
#[derive(Debug)]
pub struct Keys {
    newest: DataKey,
    older: Vec<DataKey>,
}

impl Keys {
    /// A key with the versions before it, if it was ever rotated.
    #[must_use]
    pub fn new(newest: DataKey, older: Vec<DataKey>) -> Self {
        Self { newest, older }
    }

    /// The version that seals.
    #[must_use]
    pub fn newest(&self) -> &DataKey {
        &self.newest
    }

    pub(crate) fn version(&self, key: KeyRef) -> Result<&DataKey, Error> {
        std::iter::once(&self.newest)
            .chain(&self.older)
            .find(|data_key| data_key.key == key)
            .ok_or(Error::UnknownKey(key))
    }

    /// Seals `plaintext` for `place` in the key's organisation, under the newest version.
    ///
    /// # Errors
    /// [`Error::NameTooLong`].
    pub fn seal(&self, place: &Place<'_>, plaintext: &[u8], salt: Salt) -> Result<Sealed, Error> {
        sealed::seal(&self.newest, Purpose::Field, place, plaintext, salt)
    }

    /// Opens what was sealed for `place`, under whichever version it was.
    ///
    /// # Errors
    /// [`Error::UnknownKey`], [`Error::NotAuthentic`], [`Error::NameTooLong`].
    pub fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Error> {
        sealed::open(self.version(sealed.key())?, Purpose::Field, place, sealed)
    }

    /// Seals under the newest version what is still under an older one, place and plaintext unchanged. `None`: it names
    /// the newest already, and was not opened.
    ///
    /// # Errors
    /// Those of [`Keys::open`].
    pub fn rewrap(&self, place: &Place<'_>, sealed: &Sealed, salt: Salt) -> Result<Option<Sealed>, Error> {
        self.rewrap_as(Purpose::Field, place, sealed, salt)
    }

    pub(crate) fn rewrap_as(
        &self,
        purpose: Purpose,
        place: &Place<'_>,
        sealed: &Sealed,
        salt: Salt,
    ) -> Result<Option<Sealed>, Error> {
        if sealed.key() == self.newest.key {
            return Ok(None);
        }
        let plaintext = sealed::open(self.version(sealed.key())?, purpose, place, sealed)?;
        sealed::seal(&self.newest, purpose, place, &plaintext, salt).map(Some)
    }
}
