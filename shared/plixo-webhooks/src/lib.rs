#![doc = include_str!("../README.md")]

pub mod card_numbers;
pub mod stripe;
