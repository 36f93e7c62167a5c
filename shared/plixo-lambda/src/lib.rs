#![doc = include_str!("../README.md")]

pub mod batch;
pub mod clock;
pub mod entropy;
pub mod env;
pub mod http;
pub mod line;
