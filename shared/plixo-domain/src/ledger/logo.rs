//! An organisation's logo, which its payers see.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Organisation;
use crate::id::OrgId;

/// Which image a logo is: the beginning of its bytes' SHA-256. It stands in the image's path, which may so be kept for good.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogoHash([u8; 8]);

/// Text that is no logo's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no 16 hexadecimal digits in lower case")]
pub struct NoLogoHash;

impl LogoHash {
    /// Of the SHA-256 of an image.
    #[must_use]
    pub fn of([a, b, c, d, e, f, g, h, ..]: [u8; 32]) -> Self {
        Self([a, b, c, d, e, f, g, h])
    }

    /// Where payers load that logo of the organisation.
    #[must_use]
    pub fn path(&self, org: &OrgId) -> String {
        format!("/logos/{org}/{self}.png")
    }
}

impl fmt::Display for LogoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LogoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for LogoHash {
    type Err = NoLogoHash;

    fn from_str(text: &str) -> Result<Self, NoLogoHash> {
        let mut bytes = [0; 8];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NoLogoHash)?;
        // An image has one path.
        Some(Self(bytes)).filter(|hash| hash.to_string() == text).ok_or(NoLogoHash)
    }
}

impl TryFrom<String> for LogoHash {
    type Error = NoLogoHash;

    fn try_from(text: String) -> Result<Self, NoLogoHash> {
        text.parse()
    }
}

impl From<LogoHash> for String {
    fn from(hash: LogoHash) -> Self {
        hash.to_string()
    }
}

/// A logo: a PNG of nothing but its pixels. [`Organisation::logo`] says which one it is, so that only who shows it reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    /// Which one it is.
    pub hash: LogoHash,
    /// The image.
    pub png: Vec<u8>,
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Logo({}, {} bytes)", self.hash, self.png.len())
    }
}

impl Organisation {
    /// Where payers load its logo, if it has one.
    #[must_use]
    pub fn logo_path(&self) -> Option<String> {
        self.logo.map(|logo| logo.path(&self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_has_one_path() {
        let mut sha = [0; 32];
        sha.iter_mut().zip(0xa0..).for_each(|(to, from)| *to = from);
        let hash = LogoHash::of(sha);
        let org = "org_01h2xcejqtf2nbrexx3vqjhp41".parse().unwrap();
        assert_eq!(hash.path(&org), "/logos/org_01h2xcejqtf2nbrexx3vqjhp41/a0a1a2a3a4a5a6a7.png");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(serde_json::from_str::<LogoHash>(&serde_json::to_string(&hash).unwrap()).unwrap(), hash);
        for wrong in
            ["", "a0", "A0A1A2A3A4A5A6A7", "a0a1a2a3a4a5a6a", "a0a1a2a3a4a5a6a7a8", "g0a1a2a3a4a5a6a7"]
        {
            assert_eq!(wrong.parse::<LogoHash>(), Err(NoLogoHash), "{wrong}");
        }
    }
}
