use crate::Error;

/// What a derived key is for. It stands first in everything that a key is derived from, so that no key serves two ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    Field,
    CustomerKey,
    OlderKey,
    Check,
    Lookup,
}

impl Purpose {
    /// HKDF's info: the purpose and `names`, each after its length, so that no two lists give the same bytes.
    pub(crate) fn info(self, names: &[&[u8]]) -> Result<Vec<u8>, Error> {
        let label: &[u8] = match self {
            Self::Field => b"plixo-envelope/1/field",
            Self::CustomerKey => b"plixo-envelope/1/customer-key",
            Self::OlderKey => b"plixo-envelope/1/older-key",
            Self::Check => b"plixo-envelope/1/check",
            Self::Lookup => b"plixo-envelope/1/lookup",
        };
        let mut info = Vec::new();
        for part in std::iter::once(&label).chain(names) {
            let length = u16::try_from(part.len()).map_err(|_| Error::NameTooLong(part.len()))?;
            info.extend_from_slice(&length.to_be_bytes());
            info.extend_from_slice(part);
        }
        Ok(info)
    }
}
