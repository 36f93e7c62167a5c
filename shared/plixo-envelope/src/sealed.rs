use std::fmt;

use aws_lc_rs::hkdf::HKDF_SHA512;
use zeroize::Zeroizing;

use crate::primitives::{self, TAG_BYTES};
use crate::purpose::Purpose;
use crate::{DataKey, Error, KeyId, KeyRef};

const FORMAT: u8 = 1;
/// Format version, key id, key version, salt.
const HEADER_BYTES: usize = 1 + 16 + 4 + 32;
/// One for all, because each record has a key of its own that encrypts once.
const NONCE: [u8; 12] = [0; 12];

/// 32 bytes from a cryptographic random generator. A salt must never serve twice, which is why it cannot be cloned.
#[derive(Debug)]
pub struct Salt([u8; 32]);

impl Salt {
    /// A salt of bytes that were just drawn, and are used for nothing else.
    #[must_use]
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }
}

/// Where in its organisation a value stands. The same names are needed to open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// What names the record in its organisation for good, such as its id.
    pub record: &'a str,
    /// The field's name in the record.
    pub field: &'a str,
}

/// A sealed value, in the format that the crate's page describes. Whoever asks for one cannot be given plaintext.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    key: KeyRef,
    bytes: Vec<u8>,
}

impl Sealed {
    /// Which key it says that it is sealed under; opening proves it.
    #[must_use]
    pub fn key(&self) -> KeyRef {
        self.key
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes to store.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl TryFrom<Vec<u8>> for Sealed {
    type Error = Error;

    /// # Errors
    /// [`Error::Malformed`].
    fn try_from(bytes: Vec<u8>) -> Result<Self, Error> {
        let key = Parts::of(&bytes).ok_or(Error::Malformed)?.key;
        Ok(Self { key, bytes })
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("key", &self.key).field("bytes", &self.bytes.len()).finish()
    }
}

struct Parts<'a> {
    header: &'a [u8],
    key: KeyRef,
    salt: &'a [u8; 32],
    commitment: &'a [u8; 32],
    ciphertext: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        let (&[FORMAT], rest) = bytes.split_first_chunk()? else { return None };
        let (id, rest) = rest.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (salt, rest) = rest.split_first_chunk()?;
        let (commitment, ciphertext) = rest.split_first_chunk()?;
        let key = KeyRef { id: KeyId::new(*id), version: u32::from_be_bytes(*version) };
        (ciphertext.len() >= TAG_BYTES).then_some(Self { header, key, salt, commitment, ciphertext })
    }
}

/// Everything that a value is bound to.
fn context(key: &DataKey, purpose: Purpose, place: &Place<'_>, header: &[u8]) -> Result<Vec<u8>, Error> {
    let Place { record, field } = place;
    purpose.info(&[header, key.organisation.as_bytes(), record.as_bytes(), field.as_bytes()])
}

/// The record's encryption key and its commitment: the halves of one SHA-512 block of HKDF output.
fn derive(key: &DataKey, salt: &[u8; 32], context: &[u8]) -> Result<Zeroizing<[[u8; 32]; 2]>, Error> {
    let mut derived = Zeroizing::new([[0; 32]; 2]);
    primitives::hkdf(HKDF_SHA512, salt, key.secret.expose(), context, derived.as_flattened_mut())?;
    Ok(derived)
}

pub(crate) fn seal(
    key: &DataKey,
    purpose: Purpose,
    place: &Place<'_>,
    plaintext: &[u8],
    Salt(salt): Salt,
) -> Result<Sealed, Error> {
    let KeyRef { id, version } = key.key;
    let header = [&[FORMAT], id.as_bytes().as_slice(), &version.to_be_bytes(), &salt].concat();
    let context = context(key, purpose, place, &header)?;
    let derived = derive(key, &salt, &context)?;
    let [encryption_key, commitment] = &*derived;
    let mut ciphertext = Vec::with_capacity(plaintext.len() + TAG_BYTES);
    ciphertext.extend_from_slice(plaintext);
    primitives::gcm_seal(encryption_key, NONCE, &context, &mut ciphertext)?;
    Ok(Sealed { key: key.key, bytes: [header.as_slice(), commitment, &ciphertext].concat() })
}

pub(crate) fn open(
    key: &DataKey,
    purpose: Purpose,
    place: &Place<'_>,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let parts = Parts::of(&sealed.bytes).ok_or(Error::Malformed)?;
    let context = context(key, purpose, place, parts.header)?;
    let derived = derive(key, parts.salt, &context)?;
    let [encryption_key, commitment] = &*derived;
    if !primitives::equal(commitment, parts.commitment) {
        return Err(Error::NotAuthentic);
    }
    let mut plaintext = Zeroizing::new(parts.ciphertext.to_vec());
    primitives::gcm_open(encryption_key, NONCE, &context, &mut plaintext).map_err(|_| Error::NotAuthentic)?;
    Ok(plaintext)
}
