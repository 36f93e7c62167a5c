#![doc = include_str!("../README.md")]

mod business_central;
pub mod canonical;
pub mod delivery;
pub mod document;
mod erpnext;
mod json;
mod quickbooks;
pub mod reply;
pub mod signature;
pub mod stripe;
#[cfg(test)]
mod tests;
mod xero;

pub use json::{FieldError, MAX_DEPTH, Problem, ReadError};
pub use plixo_cards as card_numbers;
