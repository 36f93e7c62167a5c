//! The bar chart of the overview. Across, it is laid out in percent, so that it fills any width without stretching its text;
//! down, in pixels. All of it are SVG attributes.

use plixo_domain::money::{Currency, Money};

use crate::amount;
use crate::overview::Month;

const TOP: i64 = 10;
const HEIGHT: i64 = 170;
/// What is there shows, however little.
const LEAST: i64 = 2;

pub(crate) struct Chart {
    pub(crate) axis_width: usize,
    pub(crate) ticks: Vec<Tick>,
    pub(crate) bars: Vec<Bar>,
    pub(crate) is_flat: bool,
}

pub(crate) struct Tick {
    pub(crate) y: i64,
    pub(crate) label: String,
    pub(crate) is_zero: bool,
}

pub(crate) struct Bar {
    pub(crate) x: String,
    pub(crate) middle: String,
    pub(crate) width: String,
    pub(crate) y: i64,
    pub(crate) height: i64,
    pub(crate) label: String,
    pub(crate) title: String,
    pub(crate) is_running: bool,
    pub(crate) is_spare_label: bool,
}

impl Chart {
    pub(crate) fn new(currency: Currency, months: &[Month]) -> Self {
        let top = months.iter().map(|month| month.received).max().unwrap_or(0).max(0);
        let bottom = months.iter().map(|month| month.received).min().unwrap_or(0).min(0);
        let step = step(i128::from(top) - i128::from(bottom));
        let highest = ceiling(i128::from(top), step);
        let lowest = -ceiling(-i128::from(bottom), step);
        let ticks = ((highest - lowest) / step).min(12);
        // Of a flat chart it is not used, but for not dividing by zero.
        let span = (highest - lowest).max(1);
        let y =
            |amount: i128| i64::try_from(i128::from(HEIGHT) * (highest - amount) / span).unwrap_or(0) + TOP;
        let labels = (0..=ticks).filter_map(|index| i64::try_from(lowest + index * step).ok());
        let tick_step = i64::try_from(step).unwrap_or(i64::MAX);
        let ticks: Vec<_> = labels
            .map(|at| Tick {
                y: y(at.into()),
                label: amount::tick(at, tick_step, currency),
                is_zero: at == 0,
            })
            .collect();
        let longest = ticks.iter().map(|tick| tick.label.chars().count()).max().unwrap_or(0);
        let count = i64::try_from(months.len()).unwrap_or(1).max(1);
        let last = months.len().saturating_sub(1);
        let bars = months.iter().enumerate().map(|(index, month)| {
            let slot = i64::try_from(index).unwrap_or(0);
            let (from, to) = (y(i128::from(month.received).max(0)), y(i128::from(month.received).min(0)));
            let name = month.first_day.strftime("%b %Y");
            let text = amount::shown(Money::new(month.received, currency));
            Bar {
                x: percent(slot * 1000 + 180, count),
                middle: percent(slot * 1000 + 500, count),
                width: percent(640, count),
                y: if month.received > 0 { from.min(to - LEAST) } else { from },
                height: if month.received == 0 { 0 } else { (to - from).max(LEAST) },
                label: month.first_day.strftime("%b").to_string(),
                title: format!("{name}: {text} {currency}"),
                is_running: index == last,
                is_spare_label: !(last - index).is_multiple_of(2),
            }
        });
        Self {
            axis_width: longest.saturating_mul(8).saturating_add(12),
            bars: bars.collect(),
            ticks,
            is_flat: top == 0 && bottom == 0,
        }
    }
}

/// What is owed as one bar: what is not due yet, and what is overdue.
pub(crate) struct Owed {
    pub(crate) later: Money,
    pub(crate) overdue: Money,
    /// Where the part that is overdue begins, and how wide it is.
    pub(crate) from: String,
    pub(crate) width: String,
    pub(crate) is_late: bool,
}

impl Owed {
    /// `None` when nothing is owed. What is overdue is a part of what is open.
    pub(crate) fn new(currency: Currency, open: i64, overdue: i64) -> Option<Self> {
        let overdue = overdue.clamp(0, open.max(0));
        let later = open.max(0) - overdue;
        let late = share(overdue, open)?;
        Some(Self {
            later: Money::new(later, currency),
            overdue: Money::new(overdue, currency),
            from: percent((10_000 - late) * 10, 100),
            width: percent(late * 10, 100),
            is_late: overdue > 0,
        })
    }
}

/// How an amount is divided, as one bar: each part wide enough to be seen.
pub(crate) struct Split {
    pub(crate) parts: Vec<Piece>,
    /// What is left over.
    pub(crate) rest: Option<Piece>,
}

/// A part of a bar: where it begins, and how wide it is.
pub(crate) struct Piece {
    pub(crate) x: String,
    pub(crate) width: String,
}

impl Split {
    pub(crate) fn new(shares: &[i64], rest: i64) -> Self {
        /// In hundredths of a percent, as all of them.
        const LEAST: i128 = 200;
        let amounts: Vec<i128> = shares.iter().chain([&rest]).map(|it| i128::from(*it).max(0)).collect();
        let shown = amounts.iter().fold(0, |count, it| if *it > 0 { count + 1 } else { count });
        let whole = amounts.iter().sum::<i128>().max(1);
        let spread = (10_000 - LEAST * shown).max(0);
        let mut before = (0, 0);
        let mut pieces = amounts.into_iter().map(|amount| {
            let edge = |(count, sum): (i128, i128)| LEAST * count + spread * sum / whole;
            let from = edge(before);
            before = (before.0 + i128::from(amount > 0), before.1 + amount);
            let hundredths = |it: i128| percent(i64::try_from(it).unwrap_or(0) * 10, 100);
            let piece = Piece { x: hundredths(from), width: hundredths(edge(before) - from) };
            (amount > 0).then_some(piece)
        });
        let parts = pieces.by_ref().take(shares.len()).flatten().collect();
        Self { parts, rest: pieces.next().flatten() }
    }
}

/// The steps of the scale that retention is drawn on, in days, each as wide as the one before: what is kept for a week and what is
/// kept for ten years are to be seen in one picture.
const STEPS: [(i64, &str); 8] = [
    (0, "0"),
    (7, "1 week"),
    (30, "1 month"),
    (90, "3 months"),
    (365, "1 year"),
    (730, "2 years"),
    (3650, "10 years"),
    (7300, "20 years"),
];

/// A step of that scale.
pub(crate) struct Step {
    pub(crate) x: String,
    pub(crate) label: &'static str,
    pub(crate) anchor: &'static str,
    pub(crate) is_spare_label: bool,
}

/// The steps, from the first to the last.
pub(crate) fn steps() -> Vec<Step> {
    let last = STEPS.len().saturating_sub(1);
    let steps = STEPS.iter().enumerate().map(|(index, (days, label))| Step {
        x: percent(place(*days) * 10, 100),
        label,
        anchor: match index {
            0 => "start",
            _ if index == last => "end",
            _ => "middle",
        },
        is_spare_label: index != 0 && (last - index) % 2 == 1,
    });
    steps.collect()
}

/// Where so many days are on that scale, in hundredths of a percent.
fn place(days: i64) -> i64 {
    let slots = i64::try_from(STEPS.len()).unwrap_or(2) - 1;
    let ends = STEPS.iter().zip(STEPS.iter().skip(1)).zip(0..);
    let within = ends.map(|((from, to), slot)| (from.0, to.0, slot)).find(|(_, to, _)| days <= *to);
    let Some((from, to, slot)) = within else { return 10_000 };
    let part = (days.max(from) - from) * 10_000 / (to - from);
    (slot * 10_000 + part) / slots
}

/// For how long something is kept, as bars on that scale.
pub(crate) struct Kept {
    /// How long it is kept, whichever policy holds.
    pub(crate) both: Piece,
    /// How much longer it is kept, or how much shorter, under another policy.
    pub(crate) change: Option<Piece>,
    pub(crate) is_shorter: bool,
    /// What may be chosen.
    pub(crate) range: Piece,
}

impl Kept {
    pub(crate) fn new(now: u16, then: Option<u16>, least: u16, most: u16) -> Self {
        let piece = |from: u16, to: u16| {
            let (from, to) = (place(from.into()), place(to.into()));
            Piece { x: percent(from * 10, 100), width: percent((to - from) * 10, 100) }
        };
        let then = then.unwrap_or(now);
        let (shorter, longer) = (now.min(then), now.max(then));
        Self {
            both: piece(0, shorter),
            change: (shorter < longer).then(|| piece(shorter, longer)),
            is_shorter: then < now,
            range: piece(least, most),
        }
    }
}

/// How wide a bar is whose whole would be 100 %: the paid part of a total. `None` where there is no whole.
pub(crate) fn part(part: i64, whole: i64) -> Option<String> {
    share(part, whole).map(|share| percent(share * 10, 100))
}

/// A part in hundredths of a percent. What is there shows, however little.
fn share(part: i64, whole: i64) -> Option<i64> {
    let whole = (whole > 0).then_some(whole)?;
    let part = part.clamp(0, whole);
    let hundredths = i64::try_from(i128::from(part) * 10_000 / i128::from(whole)).unwrap_or(0);
    let least = if part > 0 { 100 } else { 0 };
    let most = if part < whole { 9_900 } else { 10_000 };
    Some(hundredths.max(least).min(most))
}

/// `thousandths / 1000` of one `count`th of the width.
fn percent(thousandths: i64, count: i64) -> String {
    let hundredths = thousandths * 10 / count;
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// The least of 1, 2, 5, 10, 20, … that needs at most five ticks.
fn step(span: i128) -> i128 {
    let mut power: i128 = 1;
    loop {
        for factor in [1, 2, 5] {
            if factor * power * 4 >= span {
                return factor * power;
            }
        }
        power *= 10;
    }
}

/// The multiple of `step` at or above `amount`, which is not below zero.
fn ceiling(amount: i128, step: i128) -> i128 {
    (amount + step - 1) / step * step
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn chart(received: &[i64]) -> Chart {
        let months: Vec<_> = received
            .iter()
            .map(|received| Month { first_day: date(2026, 1, 1), received: *received })
            .collect();
        Chart::new("EUR".parse().unwrap(), &months)
    }

    #[test]
    fn ticks_are_round() {
        let labels =
            |received: &[i64]| chart(received).ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>();
        assert_eq!(labels(&[7_300_000, 100]), ["0", "20k", "40k", "60k", "80k"]);
        assert_eq!(labels(&[0, 0]), ["0.00"]);
        assert_eq!(labels(&[3]), ["0.00", "0.01", "0.02", "0.03"]);
        assert_eq!(labels(&[-2_000_000, 4_000_000]), ["−20k", "0", "20k", "40k"]);
    }

    #[test]
    fn what_is_overdue_is_a_part_of_what_is_open() {
        let owed = |open, overdue| {
            Owed::new("EUR".parse().unwrap(), open, overdue).map(|owed| (owed.from, owed.width))
        };
        let part = |from: &str, width: &str| Some((from.to_owned(), width.to_owned()));
        assert_eq!(owed(400, 100), part("75.00%", "25.00%"));
        assert_eq!(owed(400, 0), part("100.00%", "0.00%"));
        assert_eq!(owed(400, 400), part("0.00%", "100.00%"));
        assert_eq!(owed(i64::MAX, 1), part("99.00%", "1.00%"), "what is there shows");
        assert_eq!(owed(i64::MAX, i64::MAX - 1), part("1.00%", "99.00%"));
        assert_eq!(owed(400, 500), part("0.00%", "100.00%"));
        assert_eq!(owed(0, 0), None);
    }

    #[test]
    fn an_amount_is_divided_from_end_to_end() {
        let split = |shares: &[i64], rest| {
            let split = Split::new(shares, rest);
            let all = split.parts.iter().chain(&split.rest);
            all.map(|it| format!("{} {}", it.x, it.width)).collect::<Vec<_>>()
        };
        assert_eq!(split(&[500], 0), ["0.00% 100.00%"]);
        assert_eq!(split(&[300, 300], 0), ["0.00% 50.00%", "50.00% 50.00%"]);
        assert_eq!(split(&[75], 25), ["0.00% 74.00%", "74.00% 26.00%"]);
        assert_eq!(split(&[i64::MAX, 1], 0), ["0.00% 97.99%", "97.99% 2.01%"], "what is there shows");
        assert_eq!(split(&[], 0), Vec::<String>::new());
        assert_eq!(Split::new(&[1; 20], 1).parts.len(), 20);
    }

    #[test]
    fn what_is_kept_is_drawn_on_steps_of_one_width() {
        let all = steps();
        let labels: Vec<_> = all.iter().map(|step| step.label).collect();
        assert_eq!((labels.first(), labels.last()), (Some(&"0"), Some(&"20 years")));
        assert_eq!(all.iter().map(|step| step.x.as_str()).collect::<Vec<_>>()[..2], ["0.00%", "14.28%"]);
        assert_eq!(all.last().unwrap().x, "100.00%");
        let kept = |now, then| {
            let kept = Kept::new(now, then, 1, 365);
            let text = |piece: &Piece| format!("{} {}", piece.x, piece.width);
            (text(&kept.both), kept.change.as_ref().map(text), kept.is_shorter, text(&kept.range))
        };
        let (both, change, is_shorter, range) = kept(7300, None);
        assert_eq!((both.as_str(), change, is_shorter), ("0.00% 100.00%", None, false));
        assert_eq!(range, "2.04% 55.10%");
        assert_eq!(kept(7, Some(7)).1, None);
        let shorter = kept(30, Some(7));
        assert_eq!(
            (shorter.0.as_str(), shorter.1.as_deref(), shorter.2),
            ("0.00% 14.28%", Some("14.28% 14.29%"), true)
        );
        assert_eq!((kept(7, Some(30)).1, kept(7, Some(30)).2), (shorter.1, false));
    }

    proptest! {
        #[test]
        fn longer_is_farther(days in 1..7300i64) {
            prop_assert!(place(days) >= place(days - 1) && place(days) <= 10_000);
        }

        #[test]
        fn a_division_fills_its_bar(shares in prop::collection::vec(1..i64::MAX, 1..21), rest in 0..i64::MAX) {
            let split = Split::new(&shares, rest);
            let number = |text: &str| text.trim_end_matches('%').replace('.', "").parse::<i64>().unwrap();
            let mut end = 0;
            for piece in split.parts.iter().chain(&split.rest) {
                prop_assert_eq!(number(&piece.x), end);
                prop_assert!(number(&piece.width) >= 200);
                end += number(&piece.width);
            }
            prop_assert_eq!(end, 10_000);
        }

        #[test]
        fn bars_stay_in_the_plot(received in prop::collection::vec(any::<i64>(), 0..14)) {
            let chart = chart(&received);
            for bar in chart.bars {
                prop_assert!(bar.y >= TOP && bar.y + bar.height <= TOP + HEIGHT);
                prop_assert!(bar.height >= 0);
            }
            for tick in chart.ticks {
                prop_assert!((TOP..=TOP + HEIGHT).contains(&tick.y));
            }
        }
    }
}
