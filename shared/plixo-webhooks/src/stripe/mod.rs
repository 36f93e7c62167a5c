//! Stripe: the signature of a webhook, the event it carries, and what the event says.

pub mod event;
pub mod fact;
mod signature;

pub use crate::json::{FieldError, Problem};
pub(crate) use signature::StripeScheme;
pub use signature::{MAX_HEADER_BYTES, SignatureError, TOLERANCE_SECONDS, sign, verify};
