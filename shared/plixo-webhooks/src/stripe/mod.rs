//! Stripe: the signature of a webhook, the event it carries, and what the event says.

pub mod event;
pub mod fact;
mod json;
mod signature;

pub use json::{FieldError, Problem};
pub use signature::{MAX_HEADER_BYTES, SignatureError, TOLERANCE_SECONDS, sign, verify};
