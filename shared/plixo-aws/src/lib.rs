#![doc = include_str!("../README.md")]

pub mod calls;
#[cfg(feature = "cognito")]
pub mod cognito;
pub mod config;
mod error;
#[cfg(feature = "jwks")]
pub mod jwks;
#[cfg(feature = "kms")]
pub mod kms;
#[cfg(feature = "mac")]
pub mod mac;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "secrets")]
pub mod secrets;
#[cfg(feature = "ses")]
pub mod ses;
#[cfg(feature = "sqs")]
pub mod sqs;

pub use error::{AwsError, from_sdk, from_sdk_by_code};

#[cfg(test)]
#[cfg(all(feature = "kms", feature = "secrets", feature = "sqs"))]
mod tests;
