use crate::KeyRef;

/// Why something was not sealed or opened. Nothing secret is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are no sealed value, or one of a format that this version does not know.
    #[error("not a sealed value of a known format")]
    Malformed,
    /// The value names a key that is not among those at hand. After a rotation elsewhere the keys at hand may be
    /// older than the value: [`Keyring::renew`](crate::Keyring::renew) them once, then give up.
    #[error("sealed under {0}, which is not at hand")]
    UnknownKey(KeyRef),
    /// The value was changed, was moved from its organisation, record or field, or was sealed under another key that
    /// bears the same id and version.
    #[error("the sealed value does not belong to this key and place")]
    NotAuthentic,
    /// What the key service unwrapped is not the key that was wrapped, or belongs to another organisation.
    #[error("the key service answered with another key than {0}")]
    WrongKey(KeyRef),
    /// A customer, record or field name, or an organisation's id, is longer than 65,535 bytes.
    #[error("a name of {0} bytes is too long")]
    NameTooLong(usize),
    /// The key has been rotated `u32::MAX` times.
    #[error("no version is left after {0}")]
    NoVersionLeft(KeyRef),
    /// AWS-LC refused an operation that it is documented to carry out.
    #[error("the cryptographic library refused")]
    Crypto,
}

impl From<aws_lc_rs::error::Unspecified> for Error {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto
    }
}
