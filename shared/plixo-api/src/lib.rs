#![doc = include_str!("../README.md")]

pub mod document;
pub mod input;
pub mod output;
pub mod staff;
#[cfg(test)]
mod tests;

pub use input::Failed;
pub use output::{List, answer, problem};
