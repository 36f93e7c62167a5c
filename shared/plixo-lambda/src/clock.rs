//! The only clock. Everything else is told the time.

use std::time::Instant;

use jiff::Timestamp;

/// The time of day, UTC.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::MAX)
}

/// A point to measure durations from.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn instant() -> Instant {
    Instant::now()
}
