#![doc = include_str!("../README.md")]

pub mod password;
pub mod token;
pub mod totp;
