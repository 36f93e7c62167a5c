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
        let mut bytes = self.tag(org, list, place, now).await?.to_vec();
        bytes.extend_from_slice(place.as_bytes());
        Ok(URL_SAFE_NO_PAD.encode(bytes))
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
        let wrong = || {
            let detail = "not a cursor of this list: begin again without one";
            Refusal::Invalid(vec![FieldError::new("/cursor", detail)])
        };
        if cursor.len() > MAX_CURSOR {
            return Err(wrong());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let (tag, place) = bytes.split_first_chunk::<TAG>().ok_or_else(wrong)?;
        let place = std::str::from_utf8(place).map_err(|_| wrong())?;
        let right = self.tag(org, list, place, now).await?;
        aws_lc_rs::constant_time::verify_slices_are_equal(tag, &right).map_err(|_| wrong())?;
        Ok(place.to_owned())
    }

    async fn tag(&self, org: &OrgId, list: &str, place: &str, now: Timestamp) -> Result<[u8; TAG], Refusal> {
        // No list has a line feed in its name.
        let hash = self.store.keyed_hash(org, "cursor", &format!("{list}\n{place}"), now).await?;
        let mut tag = [0; TAG];
        tag.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Ok(tag)
    }
}
