#![doc = include_str!("../README.md")]

pub mod ask;
pub mod form;
pub mod page;
pub mod session;
#[cfg(test)]
mod tests;
