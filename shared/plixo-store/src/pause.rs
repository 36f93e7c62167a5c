//! How long to wait before work is done anew.

use std::time::Duration;

/// How long to wait when somebody else changed the same rows, before the work is done anew: up to 10 ms after the first try,
/// twice as long after each further one up to 640 ms, and at least a third of that. `mark` is bytes of what is worked on or
/// random ones: works of different marks wait differently long, so that they do not meet again.
#[must_use]
pub fn pause(tried: u32, mark: impl IntoIterator<Item = u8>) -> Duration {
    let spread = mark.into_iter().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let most = 10_000_u64.saturating_mul(1 << tried.min(6));
    Duration::from_micros(most.saturating_mul(128 + u64::from(spread)) / 384)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_differ() {
        let longest = |tried| (0..=255).map(|mark| pause(tried, [mark])).max().unwrap();
        let shortest = |tried| (0..=255).map(|mark| pause(tried, [mark])).min().unwrap();
        for tried in 0..6 {
            assert!(longest(tried + 1) > longest(tried) && longest(tried + 1) > shortest(tried) * 2);
            assert!(
                shortest(tried) * 3 >= longest(tried) && longest(tried) < Duration::from_millis(10 << tried)
            );
        }
        assert_eq!(longest(u32::MAX), longest(6));
        let different: std::collections::BTreeSet<_> = (0..=255).map(|mark| pause(0, [mark])).collect();
        assert_eq!(different.len(), 256);
        assert_ne!(pause(0, [1, 2]), pause(0, [2, 1]));
    }
}
