//! What was found out lately, kept in memory for a while.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// What was found out, by its name.
#[derive(Debug)]
pub struct Recent<K, T> {
    seconds: i64,
    room: usize,
    kept: Mutex<BTreeMap<K, (Timestamp, T)>>,
}

impl<K: Ord + Clone, T: Clone> Recent<K, T> {
    /// Keeps each for so many seconds, and so many of them: the oldest give way.
    #[must_use]
    pub fn new(seconds: i64, room: usize) -> Self {
        Self { seconds, room, kept: Mutex::default() }
    }

    /// What was found out of that name.
    pub fn get(&self, name: &K, now: Timestamp) -> Option<T> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, found) = kept.get(name)?;
        (now.as_second().abs_diff(at.as_second()) < self.seconds.unsigned_abs()).then(|| found.clone())
    }

    /// Keeps what was found out.
    pub fn keep(&self, name: K, now: Timestamp, found: T) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.room
            && let Some(oldest) = kept.iter().min_by_key(|(_, (at, _))| *at).map(|(name, _)| name.clone())
        {
            kept.remove(&oldest);
        }
        kept.insert(name, (now, found));
    }

    /// Keeps nothing of that name any more.
    pub fn forget(&self, name: &K) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn what_was_found_out_is_kept_for_a_while() {
        let recent = Recent::new(60, 2);
        recent.keep("a", at(0), 1);
        assert_eq!(recent.get(&"a", at(59)), Some(1));
        assert_eq!(recent.get(&"a", at(60)), None);
        assert_eq!(recent.get(&"a", at(-60)), None, "nor before: the clock was put right");
        recent.forget(&"a");
        assert_eq!(recent.get(&"a", at(0)), None);
    }

    #[test]
    fn the_oldest_give_way() {
        let recent = Recent::new(60, 2);
        recent.keep("a", at(1), 1);
        recent.keep("b", at(0), 2);
        recent.keep("c", at(2), 3);
        assert_eq!(["a", "b", "c"].map(|name| recent.get(&name, at(2))), [Some(1), None, Some(3)]);
    }
}
