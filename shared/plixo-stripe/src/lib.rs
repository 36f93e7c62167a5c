#![doc = include_str!("../README.md")]

mod client;
mod error;
mod order;
mod session;
#[cfg(test)]
mod tests;

pub use client::{Checkout, Stripe};
pub use error::StripeError;
pub use order::Order;
pub use session::{Session, SessionStatus};
