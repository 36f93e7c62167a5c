#![doc = include_str!("../README.md")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod audit;
pub mod contract;
mod directory;
mod erp;
mod fakes;
mod faults;
mod mail;
mod mint;
mod objects;
mod people;
mod signer;
mod stripe;

pub use audit::audit_log;
pub use directory::FakeDirectory;
pub use erp::{AskedErp, FakeErp};
pub use fakes::{FakeKms, FakeLetters, FakeQueue, FakeTables, FakeVault, entropy};
pub use faults::{Fault, Faults};
pub use mail::FakeMail;
pub use mint::Mint;
pub use objects::FakeBucket;
pub use people::FakePeople;
pub use signer::FakeSigner;
pub use stripe::{FakeSession, FakeStripe};

#[cfg(test)]
mod tests;
