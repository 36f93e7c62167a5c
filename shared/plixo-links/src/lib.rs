#![doc = include_str!("../README.md")]

mod keys;
#[cfg(test)]
mod tests;
mod token;

pub use keys::{Keyring, KeyringError};
pub use token::{Claims, Purpose, Refused};
