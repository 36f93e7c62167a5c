#![doc = include_str!("../README.md")]

mod answer;
mod ask;
mod client;
mod error;
mod http;
mod session;
mod subscriptions;
#[cfg(test)]
mod tests;
mod token;
mod urls;

pub use ask::{Answer, Ask, Of, Thing, Which};
pub use client::{Erp, ReadErp};
pub use error::ErpError;
pub use subscriptions::{Subscribed, Wanted};
pub use urls::Urls;
