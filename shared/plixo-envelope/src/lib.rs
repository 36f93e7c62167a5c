#![doc = include_str!("../README.md")]

mod error;
mod key;
mod keyring;
mod lookup;
mod organisation;
mod primitives;
mod purpose;
mod sealed;
mod service;

pub use error::Error;
pub use key::{DataKey, KeyId, KeyRef, Keys, Secret};
pub use keyring::{Keyring, Limits, MAX_AGE};
pub use lookup::LookupKey;
pub use organisation::{FIRST_VERSION, OrganisationKeys, WrappedKey, WrappedKeys};
pub use sealed::{Place, Salt, Sealed};
pub use service::{ENCRYPTION_CONTEXT_KEY, GeneratedKey, KeyFailure, KeyService, NoKeys};

#[cfg(test)]
mod tests;
