//! An organisation's own Stripe account, on which its payers pay.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::secret::Secret;
use crate::webhook::Fingerprint;

/// What begins a [restricted key](https://docs.stripe.com/keys#limit-access), of live and of test mode.
const RESTRICTED: [&str; 2] = ["rk_live_", "rk_test_"];

/// That an organisation's payers can pay at Stripe. The key itself is in the vault only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripeAccount {
    /// By what people tell keys apart: how the key begins, and its last four characters.
    pub key_hint: String,
    /// Since when it is this key.
    pub connected_at: Timestamp,
    /// SHA-256 of the key, by which the vault's is known to be this one.
    pub fingerprint: Fingerprint,
}

/// A restricted key of Stripe's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestrictedKey(Secret);

/// Text that is no restricted key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "has to be a restricted key of Stripe, rk_live_… or rk_test_…, with the permission to write Checkout Sessions; \
     a secret key (sk_…) may do far more than Plixo needs, and is not taken"
)]
pub struct NotRestricted;

impl RestrictedKey {
    /// That key, if it can be one.
    ///
    /// # Errors
    /// [`NotRestricted`].
    pub fn new(text: Secret) -> Result<Self, NotRestricted> {
        let rest = RESTRICTED.into_iter().find_map(|begin| text.reveal().strip_prefix(begin));
        let fits =
            |rest: &&str| (8..=240).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        if rest.filter(fits).is_some() { Ok(Self(text)) } else { Err(NotRestricted) }
    }

    /// By what people tell it from others: `rk_live_…a1B2`.
    #[must_use]
    pub fn hint(&self) -> String {
        let (begin, rest) = self.0.reveal().split_at_checked(8).unwrap_or_default();
        let last = rest.split_at_checked(rest.len().saturating_sub(4)).map_or("", |(_, last)| last);
        format!("{begin}…{last}")
    }

    /// The key itself.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

/// What the vault holds of an organisation's Stripe account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripeKeyEntry {
    /// The form of this entry: [`StripeKeyEntry::VERSION`].
    pub v: u8,
    /// The restricted key; absent where the organisation took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    /// The keys before it, the latest first: sessions that they made are looked for and ended by them, and by no other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<FormerKey>,
}

/// A restricted key in whose place another one came, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerKey {
    /// The key.
    pub key: Secret,
    /// From then on it is used no more.
    pub until: Timestamp,
}

impl StripeKeyEntry {
    /// The form that this code writes and reads.
    pub const VERSION: u8 = 1;

    /// The entry with another key, or none, in the place of this one's.
    #[must_use]
    pub fn replaced(&self, key: Option<Secret>, now: Timestamp) -> Self {
        if self.key == key {
            return self.clone();
        }
        let until = now.saturating_add(STILL_USED).unwrap_or(now);
        let former = self.key.clone().map(|key| FormerKey { key, until });
        let older = self.before.iter().filter(|it| now < it.until && Some(&it.key) != key.as_ref()).cloned();
        let before = former.into_iter().chain(older).take(MOST_FORMER).collect();
        Self { v: Self::VERSION, key, before }
    }

    /// All keys that are used at that time.
    pub fn keys(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let former = self.before.iter().filter(move |it| now < it.until).map(|it| &it.key);
        self.key.iter().chain(former)
    }
}

/// How long a key that was replaced is used for the sessions that it made, which live an hour: as long as a rotated webhook secret.
const STILL_USED: SignedDuration = SignedDuration::from_hours(24);
/// How many of them are kept.
const MOST_FORMER: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restricted_keys_are_taken_and_shown_by_their_ends() {
        let key = RestrictedKey::new(Secret::new("rk_test_51CanaryCanaryA1b2".to_owned())).unwrap();
        assert_eq!(key.hint(), "rk_test_…A1b2");
        assert!(!format!("{key:?}").contains("Canary"));
    }

    #[test]
    fn a_replaced_key_is_used_for_what_it_made() {
        let (now, key) = ("2026-11-28T09:00:00Z".parse().unwrap(), |name: &str| Secret::new(name.to_owned()));
        let entry = StripeKeyEntry { v: 1, key: Some(key("a")), before: Vec::new() };
        assert_eq!(entry.replaced(Some(key("a")), now), entry);
        let gone = entry.replaced(None, now);
        assert_eq!(gone.keys(now).collect::<Vec<_>>(), [&key("a")]);
        assert_eq!(gone.keys(now + SignedDuration::from_hours(24)).count(), 0);
        assert_eq!(gone.replaced(Some(key("a")), now), entry, "it is back, and stands there once");
        let mut many = entry;
        for n in 0..9 {
            many = many.replaced(Some(key(&n.to_string())), now);
        }
        assert_eq!(many.keys(now).count(), 6);
    }

    #[test]
    fn other_keys_are_not() {
        for wrong in [
            "",
            "rk_live_",
            "rk_live_short",
            "sk_live_51CanaryCanaryCanary",
            "pk_live_51CanaryCanary",
            "rk_live_51Canary Canary",
            "rk_live_51Canary\nCanary",
            "rk_live_ÄÄÄÄÄÄÄÄ",
        ] {
            assert_eq!(RestrictedKey::new(Secret::new(wrong.to_owned())), Err(NotRestricted), "{wrong}");
        }
        assert!(RestrictedKey::new(Secret::new(format!("rk_live_{}", "a".repeat(241)))).is_err());
    }
}
