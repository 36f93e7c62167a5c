//! Finds card numbers: from left to right, run of digits by run of digits.

use std::ops::Range;

use super::{scheme, surroundings};

/// A text as its reader sees it: a JSON text has escapes.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) escapes: bool,
}

impl Source<'_> {
    /// The character at a place, and where it ends.
    pub(super) fn at(&self, place: usize) -> Option<(char, usize)> {
        let rest = self.text.get(place..)?;
        let c = rest.chars().next()?;
        let escaped = if self.escapes && c == '\\' { unescape(rest) } else { None };
        let (c, len) = escaped.unwrap_or((c, c.len_utf8()));
        Some((c, place.checked_add(len)?))
    }

    /// The character before a place, and where it begins.
    pub(super) fn before(&self, place: usize) -> Option<(char, usize)> {
        let head = self.text.get(..place)?;
        if self.escapes {
            for len in [6, 2] {
                let Some(start) = place.checked_sub(len) else { continue };
                let Some((before, escape)) = head.split_at_checked(start) else { continue };
                let backslashes = before.len().saturating_sub(before.trim_end_matches('\\').len());
                if backslashes % 2 == 0
                    && let Some((c, length)) = unescape(escape)
                    && length == len
                {
                    return Some((c, start));
                }
            }
        }
        head.char_indices().next_back().map(|(start, c)| (c, start))
    }
}

/// The character that a JSON escape at the start of `text` stands for, and the escape's length.
fn unescape(text: &str) -> Option<(char, usize)> {
    let mut chars = text.strip_prefix('\\')?.chars();
    let plain = match chars.next()? {
        'u' => {
            let hex = chars.as_str().get(..4).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
            let unit = u32::from_str_radix(hex, 16).ok()?;
            return Some((char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6));
        }
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' | 'f' => ' ',
        c @ ('"' | '\\' | '/') => c,
        _ => return None,
    };
    Some((plain, 2))
}

/// How digits are parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// Not at all, or invisibly.
    None,
    /// By one dot.
    Dot,
    /// By one to three blanks and dashes.
    Wide,
}

/// A digit in a text.
#[derive(Debug, Clone)]
pub(super) struct Digit {
    pub(super) value: u32,
    pub(super) place: Range<usize>,
    /// What parts it from the digit before.
    pub(super) gap: Gap,
}

/// The card numbers in one run of digits.
pub(super) struct Finding {
    /// Where the run begins.
    pub(super) start: usize,
    /// How many they are; numbers that overlap count as one.
    pub(super) count: usize,
    /// The digits to mask, each on its own.
    pub(super) masked: Vec<Range<usize>>,
}

pub(super) const SHORTEST: usize = 13;
pub(super) const LONGEST: usize = 19;
pub(super) const KEPT: usize = 4;

/// All card numbers, from left to right.
pub(super) fn find(source: Source<'_>) -> Vec<Finding> {
    let (mut found, mut run, mut place) = (Vec::new(), Vec::new(), 0);
    while let Some(start) = next_digit(source, place) {
        place = read_run(source, start, &mut run);
        if run.len() >= SHORTEST {
            found.extend(in_run(source, &run));
        }
    }
    found
}

/// Most of a text is skipped here, byte by byte.
fn next_digit(source: Source<'_>, mut place: usize) -> Option<usize> {
    loop {
        let candidate = |b: &u8| b.is_ascii_digit() || !b.is_ascii() || *b == b'\\';
        let rest = source.text.as_bytes().get(place..)?;
        place = place.checked_add(rest.iter().position(candidate)?)?;
        let (c, end) = source.at(place)?;
        if digit(c).is_some() {
            return Some(place);
        }
        place = end;
    }
}

/// Reads the digits from `start` on into `run` for as long as nothing but gaps parts them. Gives where it ends.
fn read_run(source: Source<'_>, start: usize, run: &mut Vec<Digit>) -> usize {
    run.clear();
    let (mut end, mut place, mut gap, mut width) = (start, start, Gap::None, 0_usize);
    while let Some((c, next)) = source.at(place) {
        if let Some(value) = digit(c) {
            run.push(Digit { value, place: place..next, gap });
            (end, gap, width) = (next, Gap::None, 0);
        } else {
            gap = match (separator(c), gap) {
                (Some(Gap::None), gap) => gap,
                (Some(kind), Gap::None) => kind,
                (Some(Gap::Wide), Gap::Wide) => Gap::Wide,
                _ => break,
            };
            width = width.saturating_add(1);
            if width > 3 {
                break;
            }
        }
        place = next;
    }
    end
}

/// The value of a digit, also of a full-width, Arabic or Devanagari one.
fn digit(c: char) -> Option<u32> {
    ['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{ff10}']
        .into_iter()
        .find_map(|zero| u32::from(c).checked_sub(zero.into()).filter(|value| *value < 10))
}

/// What a character between two digits makes of them.
pub(super) fn separator(c: char) -> Option<Gap> {
    match c {
        '.' | '\u{b7}' | '\u{2024}' | '\u{ff0e}' => Some(Gap::Dot),
        ' ' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(Gap::Wide),
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => Some(Gap::Wide),
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => Some(Gap::None),
        _ => None,
    }
}

fn in_run(source: Source<'_>, run: &[Digit]) -> Option<Finding> {
    let group = |(at, digit): (usize, &Digit)| (at == 0 || digit.gap != Gap::None).then_some(at);
    let bounds: Vec<usize> = run.iter().enumerate().filter_map(group).chain([run.len()]).collect();
    let mut mask = vec![false; run.len()];
    let (mut count, mut covered, mut grouped) = (0_usize, 0_usize, Vec::new());
    for (first, from) in bounds.iter().enumerate() {
        for (last, to) in bounds.iter().enumerate().skip(first.saturating_add(1)) {
            let Some(number) = run.get(*from..*to).filter(|number| number.len() <= LONGEST) else { break };
            if number.len() < SHORTEST {
                continue;
            }
            let sizes = bounds.get(first..=last).map(sizes).unwrap_or_default();
            // What overlaps a number may be the number itself, after one that was none; but an expiry date or a security
            // code after a number, taken with it, has another grouping.
            if *from < covered && sizes != grouped {
                continue;
            }
            let window = Window { run, from: *from, to: *to, sizes };
            if window.looks_grouped() && is_issued(number) && !surroundings::forbid(source, &window) {
                count = count.saturating_add(usize::from(*from >= covered));
                (covered, grouped) = (*to, window.sizes);
                let masked = from.saturating_add(number.len().saturating_sub(KEPT));
                mask.get_mut(*from..masked).into_iter().for_each(|digits| digits.fill(true));
            }
        }
    }
    let masked =
        run.iter().zip(mask).filter(|(_, masked)| *masked).map(|(digit, _)| digit.place.clone()).collect();
    let start = run.first()?.place.start;
    (count > 0).then_some(Finding { start, count, masked })
}

fn sizes(bounds: &[usize]) -> Vec<usize> {
    bounds
        .windows(2)
        .map(|pair| pair.iter().rev().copied().reduce(usize::saturating_sub).unwrap_or(0))
        .collect()
}

fn is_issued(number: &[Digit]) -> bool {
    let values = || number.iter().map(|digit| digit.value);
    let first_six = values().take(6).fold(0_u32, |six, value| six.saturating_mul(10).saturating_add(value));
    scheme::issues(first_six, number.len()) && scheme::luhn(values())
}

/// Whole groups of a run that may be a card number.
pub(super) struct Window<'a> {
    pub(super) run: &'a [Digit],
    pub(super) from: usize,
    pub(super) to: usize,
    /// How many digits each group has.
    pub(super) sizes: Vec<usize>,
}

impl Window<'_> {
    /// Whether people group card numbers like this. Where nothing else is in the run, any grouping will do that is not one
    /// of thousands, from 15 digits on: phone numbers are shorter.
    fn looks_grouped(&self) -> bool {
        let inner = || self.run.get(self.from.saturating_add(1)..self.to).unwrap_or_default().iter();
        let dots = inner().filter(|digit| digit.gap == Gap::Dot).count();
        if dots > 0 && inner().any(|digit| digit.gap == Gap::Wide) {
            return false;
        }
        match self.sizes.as_slice() {
            [_]
            | [4, 4, 4, 4]
            | [4, 4, 4, 4, 1..=3]
            | [4, 4, 4, 1..=3]
            | [4, 6, 4..=5]
            | [4, 3, 3, 3]
            | [4, 4, 5]
            | [8, 8]
            | [6, 10]
            | [6, 13] => true,
            [head, rest @ ..] => {
                let thousands = *head <= 3 && rest.iter().all(|size| *size == 3);
                dots == 0 && self.is_whole_run() && self.to >= 15 && !thousands
            }
            [] => false,
        }
    }

    pub(super) fn is_whole_run(&self) -> bool {
        self.from == 0 && self.to == self.run.len()
    }
}
