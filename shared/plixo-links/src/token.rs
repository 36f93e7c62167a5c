//! Tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use plixo_domain::id::{InvoiceId, LinkId, OrgId, bytes_of, from_bytes};
use plixo_domain::secret::Secret;

use crate::keys::{KeyId, Keyring, TAG};

const VERSION: u8 = 1;
/// What is signed.
const SIGNED: usize = 1 + 1 + 4 + 16 + 16 + 16 + 4;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// In an email: it opens a session, once.
    Link,
    /// In a cookie: a session of a payer.
    Session,
}

impl Purpose {
    const fn byte(self) -> u8 {
        match self {
            Self::Link => 1,
            Self::Session => 2,
        }
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// What it is for.
    pub purpose: Purpose,
    /// The organisation whose invoice it is.
    pub org: OrgId,
    /// The one invoice that it shows.
    pub invoice: InvoiceId,
    /// The link.
    pub link: LinkId,
    /// From then on it opens nothing. Seconds count.
    pub expires_at: Timestamp,
}

/// Why a token opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is none of ours.
    #[error("a token that was not made here")]
    Forged,
    /// It was good once.
    #[error("a token whose time is over")]
    Expired(Box<Claims>),
}

impl Keyring {
    /// The token of those claims; `None` where their time is none that a token can tell.
    #[must_use]
    pub fn sign(&self, claims: &Claims, now: Timestamp) -> Option<Secret> {
        let key = self.signing(now);
        let expires_at = u32::try_from(claims.expires_at.as_second()).ok()?;
        let mut bytes = Vec::with_capacity(SIGNED + TAG);
        bytes.extend([VERSION, claims.purpose.byte()]);
        bytes.extend(key.id());
        bytes.extend(bytes_of(&claims.org));
        bytes.extend(bytes_of(&claims.invoice));
        bytes.extend(bytes_of(&claims.link));
        bytes.extend(expires_at.to_be_bytes());
        let tag = key.tag(&bytes);
        bytes.extend(tag);
        Some(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What a token says, if it was made here for that purpose.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(&self, token: &str, purpose: Purpose, now: Timestamp) -> Result<Claims, Refused> {
        let claims = self.told(token, purpose).ok_or(Refused::Forged)?;
        if claims.expires_at.as_second() <= now.as_second() {
            return Err(Refused::Expired(Box::new(claims)));
        }
        Ok(claims)
    }

    fn told(&self, token: &str, purpose: Purpose) -> Option<Claims> {
        let bytes: [u8; SIGNED + TAG] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (signed, tag) = bytes.split_at(SIGNED);
        let (&[version, of], rest) = signed.split_first_chunk()?;
        let (key, rest): (&KeyId, _) = rest.split_first_chunk()?;
        if version != VERSION || of != purpose.byte() || !self.verifies(key, signed, tag) {
            return None;
        }
        let (org, rest) = rest.split_first_chunk()?;
        let (invoice, rest) = rest.split_first_chunk()?;
        let (link, rest) = rest.split_first_chunk()?;
        let expires_at = u32::from_be_bytes(rest.try_into().ok()?);
        Some(Claims {
            purpose,
            org: from_bytes(*org),
            invoice: from_bytes(*invoice),
            link: from_bytes(*link),
            expires_at: Timestamp::from_second(i64::from(expires_at)).ok()?,
        })
    }
}
