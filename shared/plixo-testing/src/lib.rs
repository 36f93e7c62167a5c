#![doc = include_str!("../README.md")]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on stops")]

pub mod contract;
mod fakes;
mod faults;

pub use fakes::{FakeKms, FakeQueue, FakeTables, FakeVault, entropy};
pub use faults::{Fault, Faults};

#[cfg(test)]
mod tests;
