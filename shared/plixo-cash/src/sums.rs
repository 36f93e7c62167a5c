//! Which of many amounts add up to one.

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// Places of the amounts; the smallest sets first, at most two.
    pub sets: Vec<Vec<usize>>,
    /// Not all sets were looked at: there may be others.
    pub gave_up: bool,
}

struct Search<'a> {
    /// Ascending, so that what is left can be looked up.
    amounts: &'a [(i64, usize)],
    /// Of the first n amounts.
    sums: Vec<i64>,
    steps: u32,
    chosen: Vec<usize>,
    found: Found,
}

/// Sets of at least two of these amounts, all above zero, whose sum is `target`. Looks for a second one, to know whether the
/// first is the only one. Takes at most `steps` steps.
pub(crate) fn adding_up_to(amounts: &[i64], target: i64, steps: u32) -> Found {
    let mut sorted: Vec<_> =
        amounts.iter().copied().zip(0..).filter(|(amount, _)| (1..target).contains(amount)).collect();
    sorted.sort();
    let mut sums = vec![0_i64];
    for (amount, _) in &sorted {
        sums.push(sums.last().copied().unwrap_or(0).saturating_add(*amount));
    }
    let mut search = Search { amounts: &sorted, sums, steps, chosen: Vec::new(), found: Found::default() };
    for size in 2..=sorted.len() {
        if search.done() || search.smallest(size) > target {
            break;
        }
        search.choose(sorted.len(), size, target);
    }
    search.found
}

impl Search<'_> {
    fn done(&self) -> bool {
        self.found.gave_up || self.found.sets.len() >= 2
    }

    fn smallest(&self, size: usize) -> i64 {
        self.sums.get(size).copied().unwrap_or(i64::MAX)
    }

    /// Chooses `size` of the first `from` amounts that make up `left`, largest first.
    fn choose(&mut self, from: usize, size: usize, left: i64) {
        if size == 1 {
            return self.choose_last(from, left);
        }
        let mut end = from;
        while let Some(place) = end.checked_sub(1).filter(|place| place.saturating_add(1) >= size) {
            if self.done() {
                return;
            }
            if self.steps == 0 {
                self.found.gave_up = true;
                return;
            }
            self.steps = self.steps.saturating_sub(1);
            let largest = self.sums.get(end).zip(self.sums.get(end.saturating_sub(size)));
            if largest.is_none_or(|(all, rest)| all.saturating_sub(*rest) < left) {
                return;
            }
            let Some((amount, n)) = self.amounts.get(place).copied() else { return };
            let rest = left.saturating_sub(amount);
            if rest >= self.smallest(size.saturating_sub(1)) {
                self.chosen.push(n);
                self.choose(place, size.saturating_sub(1), rest);
                self.chosen.pop();
            }
            end = place;
        }
    }

    fn choose_last(&mut self, from: usize, left: i64) {
        self.steps = self.steps.saturating_sub(1);
        let open = self.amounts.get(..from).unwrap_or_default();
        let first = open.partition_point(|(amount, _)| *amount < left);
        for (_, n) in open.iter().skip(first).take_while(|(amount, _)| *amount == left).take(2) {
            let mut set = self.chosen.clone();
            set.push(*n);
            set.sort_unstable();
            if self.found.sets.len() < 2 {
                self.found.sets.push(set);
            }
        }
    }
}
