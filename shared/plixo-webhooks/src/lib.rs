#![doc = include_str!("../README.md")]

pub mod stripe;

pub use plixo_cards as card_numbers;
