#![doc = include_str!("../README.md")]

pub mod answer;
pub mod audit;
pub mod export;
pub mod hold;
pub mod id;
pub mod ledger;
pub mod money;
mod object;
pub mod people;
pub mod privacy;
pub mod reference;
pub mod retention;
pub mod secret;
pub mod source;
pub mod stripe;
pub mod webhook;
