//! Cursors: a place in a list, which the organisation's key ties to the organisation, the list and its filter.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use plixo_domain::id::OrgId;
use plixo_envelope::KeyService;
use plixo_store::Tables;

use crate::{Desk, FieldError, Refusal};

/// Half a SHA-256: nobody guesses 128 bits.
const TAG: usize = 16;
/// More than any place is.
const MAX_CURSOR: usize = 1_000;

impl<T: Tables, K: KeyService> Desk<T, K> {
    /// The cursor of a place in a list. `list` names the list with its filter.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when the organisation's key cannot be had.
    pub async fn cursor(
        &self,
        org: &OrgId,
        list: &str,
        place: &str,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        Ok(written(self.hash(org, list, place, now).await?, place))
    }

    /// The place that a cursor names in that list.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for a cursor that was changed, or is of another list, filter or organisation.
    pub async fn place(
        &self,
        org: &OrgId,
        list: &str,
        cursor: &str,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let read = Read::of(cursor)?;
        let right = self.hash(org, list, &read.place, now).await?;
        read.checked(right)
    }

    async fn hash(&self, org: &OrgId, list: &str, place: &str, now: Timestamp) -> Result<[u8; 32], Refusal> {
        // No list has a line feed in its name.
        Ok(self.store.keyed_hash(org, "cursor", &format!("{list}\n{place}"), now).await?)
    }
}

/// The cursor of a place, with a keyed hash of what it is bound to.
pub(crate) fn written(hash: [u8; 32], place: &str) -> String {
    let tag = hash.into_iter().take(TAG);
    URL_SAFE_NO_PAD.encode(tag.chain(place.bytes()).collect::<Vec<u8>>())
}

/// A cursor that was read, and not checked yet.
pub(crate) struct Read {
    tag: [u8; TAG],
    /// The place, as it may be.
    pub(crate) place: String,
}

impl Read {
    pub(crate) fn of(cursor: &str) -> Result<Self, Refusal> {
        if cursor.len() > MAX_CURSOR {
            return Err(wrong());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let (tag, place) = bytes.split_first_chunk::<TAG>().ok_or_else(wrong)?;
        let place = std::str::from_utf8(place).map_err(|_| wrong())?.to_owned();
        Ok(Self { tag: *tag, place })
    }

    /// The place, if the hash is the right one.
    pub(crate) fn checked(self, right: [u8; 32]) -> Result<String, Refusal> {
        let right: Vec<u8> = right.into_iter().take(TAG).collect();
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.tag, &right).map_err(|_| wrong())?;
        Ok(self.place)
    }
}

fn wrong() -> Refusal {
    let detail = "not a cursor of this list: begin again without one";
    Refusal::Invalid(vec![FieldError::new("/cursor", detail)])
}
