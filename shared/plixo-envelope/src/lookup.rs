use crate::{Secret, primitives};

/// Hashes the values of one field, so that records are found by a value that is stored only sealed.
/// [`OrganisationKeys::lookup_key`](crate::OrganisationKeys::lookup_key) makes one.
#[derive(Debug)]
pub struct LookupKey(pub(crate) Secret);

impl LookupKey {
    /// HMAC-SHA-256 of a value. What shall be found as equal, the caller brings to equal bytes first.
    #[must_use]
    pub fn hash(&self, normalised: &str) -> [u8; 32] {
        primitives::hmac_sha256(self.0.expose(), normalised.as_bytes())
    }
}
