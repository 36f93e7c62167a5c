//! Wrong tries slow the next one down. A try counts before it is made, and is taken back where it was right: so that of a
//! hundred tries at once, five are made.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use plixo_store::StoreError;
use plixo_store::people::{Counted, Counter, People, Tries};

/// Wrong tries at one account before the next has to wait.
pub const FREE_OF_ACCOUNT: u32 = 5;
/// Wrong tries from one address before the next has to wait. Whole offices share one, and among as many passwords as Plixo takes
/// nobody finds one with so few tries.
pub const FREE_OF_ADDRESS: u32 = 1000;
/// How long wrong tries are remembered after the first of them, or after one that had to wait.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_mins(60);
/// The first wait; each further wrong try doubles it.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(15);
/// The longest wait.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);

/// What is counted, and how much of it is free.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    pub(crate) counter: Counter,
    pub(crate) free: u32,
    /// Whether many people share it. Then one who had to wait does not make the others wait for another hour.
    pub(crate) shared: bool,
}

/// A try that was counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tried {
    at: Timestamp,
    /// What was counted before, if the try had to wait.
    seen: Option<Tries>,
}

/// Why a try is not made.
#[derive(Debug)]
pub(crate) enum Held {
    /// It has to wait that long.
    For(SignedDuration),
    /// Nobody can tell.
    Store(StoreError),
}

impl From<StoreError> for Held {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Counts a try that is about to be made, or says how long it has to wait.
pub(crate) async fn count(people: &impl People, limit: &Limit, now: Timestamp) -> Result<Tried, Held> {
    let forget_at = now.saturating_add(REMEMBERED_FOR).unwrap_or(Timestamp::MAX);
    loop {
        let seen = match people.count_try(&limit.counter, limit.free, now, forget_at).await? {
            Counted::Free => return Ok(Tried { at: now, seen: None }),
            Counted::Held(seen) => seen,
        };
        let wait = wait_after(seen.count, limit.free);
        let left = wait.saturating_sub(now.duration_since(seen.last));
        if left > SignedDuration::ZERO {
            return Err(Held::For(left));
        }
        let next = seen.count.saturating_add(1);
        let forget_at = if limit.shared && seen.until > now { seen.until } else { forget_at };
        if people.count_late_try(&limit.counter, seen, next, now, forget_at).await? {
            return Ok(Tried { at: now, seen: Some(seen) });
        }
        // Another try was faster. Where the count began anew with it, there is room beside it.
        if next >= limit.free {
            // This one waits as if it had come after it.
            return Err(Held::For(wait_after(next, limit.free).max(SignedDuration::from_secs(1))));
        }
    }
}

/// Takes a try back that was right, or that was none: all is as if it had not been made.
pub(crate) async fn take_back(people: &impl People, limit: &Limit, tried: Tried) -> Result<(), StoreError> {
    match tried.seen {
        None => people.take_back_try(&limit.counter).await,
        Some(seen) => people.take_back_late_try(&limit.counter, tried.at, seen).await,
    }
}

/// How long the next try waits after so many wrong ones.
fn wait_after(wrong: u32, free: u32) -> SignedDuration {
    let Some(over) = wrong.checked_sub(free) else { return SignedDuration::ZERO };
    let factor = 1_i32.checked_shl(over.min(16)).unwrap_or(i32::MAX);
    FIRST_WAIT.checked_mul(factor).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
}

/// What of an address counts as one sender: a v4 address, and the /64 that a v6 host may choose from.
pub(crate) fn sender(ip: Option<&str>) -> String {
    match ip.and_then(|ip| ip.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(ip)) => ip.to_string(),
        Some(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        None => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<i64> = (0..12).map(|wrong| wait_after(wrong, 5).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 15, 30, 60, 120, 240, 480, 900]);
        assert_eq!(wait_after(u32::MAX, 5), LONGEST_WAIT);
    }

    #[test]
    fn a_sender_is_a_v4_address_or_a_v6_network() {
        assert_eq!(sender(Some("203.0.113.9")), "203.0.113.9");
        assert_eq!(sender(Some("::ffff:203.0.113.9")), "203.0.113.9");
        assert_eq!(sender(Some("2001:db8:1:2:3:4:5:6")), sender(Some("2001:db8:1:2::9")));
        assert_ne!(sender(Some("2001:db8:1:2::9")), sender(Some("2001:db8:1:3::9")));
        assert_eq!(sender(Some("somewhere")), sender(None));
    }
}
