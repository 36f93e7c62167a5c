//! Invoice numbers in remittance text: which keys to look up, and which candidates are named.

use std::collections::{BTreeMap, BTreeSet};

use crate::structured;
use crate::text::{Gap, Group, Readings, read};
use crate::words;
use plixo_domain::reference::{Key, ReferenceKey, fold, groups, is_digits, reference_key, without_zeros};

/// So many keys are looked up for one payment at most.
pub const MAX_REFERENCES: usize = 20;

/// So many groups has a number at most.
const MAX_WINDOW: usize = 8;
/// So many numbers does a range have at most.
const MAX_RANGE: u64 = 12;

/// So many candidates of one number are told apart; two are enough to ask.
const MAX_ALIKE: usize = 8;
/// So many digits has a number at least in which a slip is looked for.
const MIN_MISTYPED: usize = 6;

/// So many digits has a number at least whose parts may stand apart.
const MIN_JOINED: usize = 6;

/// Groups that may be one number.
struct Window<'a> {
    groups: &'a [Group],
    key: Key,
    /// As written, without what stands between.
    squeezed: String,
    /// Its ends are the ends of a number.
    bounded: bool,
    doubtful: bool,
    labelled: bool,
    /// Digits with something between them.
    broken: bool,
    /// Digits with a blank between them.
    spaced: bool,
    /// It ends before `/` and digits: the next of a list, if there is such a number, or its own next part.
    slashed: bool,
    /// It may go on where a bank cut the text: with letters, or with digits, which would be another number.
    torn: Option<Grade>,
}

impl Window<'_> {
    fn digits_only(&self) -> bool {
        self.groups.iter().all(|group| group.digits)
    }

    fn one_token(&self) -> bool {
        self.groups.iter().skip(1).all(|group| group.gap < Gap::Space)
    }

    /// Words and a number, not a number with letters in it.
    fn is_phrase(&self) -> bool {
        let later = self.groups.iter().skip(1).any(|group| !group.digits && group.gap == Gap::Space);
        let apart = self.groups.get(1).is_some_and(|second| second.gap == Gap::Space);
        let word = |first: &Group| words::joins_list(&first.text) || words::means_number(&first.text);
        later || apart && self.groups.first().is_some_and(word)
    }

    /// A prefix of its own says that it is no date.
    fn is_prefixed(&self) -> bool {
        self.groups.first().is_some_and(|first| !first.digits && !words::may_be_glued(&first.text))
    }

    fn is_year(&self) -> bool {
        self.groups.len() == 1 && self.squeezed.len() == 4 && is_year(&self.squeezed)
    }

    fn span(&self) -> (usize, usize) {
        let start = self.groups.first().map_or(0, |group| group.start);
        (start, self.groups.last().map_or(start, |group| group.end))
    }
}

fn is_year(digits: &str) -> bool {
    digits.len() >= 4 && digits.starts_with("20") && is_digits(digits)
}

/// All windows of a reading, with their first and last group.
fn windows(reading: &[Group]) -> impl Iterator<Item = (usize, usize, Window<'_>)> {
    (0..reading.len()).flat_map(move |start| {
        let (mut key, mut squeezed) = (Key::default(), String::new());
        let (mut broken, mut spaced, mut doubtful, mut any_digits) = (false, false, false, false);
        let rest = reading.iter().enumerate().skip(start).take(MAX_WINDOW);
        let run = rest.take_while(move |(n, group)| *n == start || group.gap != Gap::Hard);
        run.filter_map(move |(end, group)| {
            let before = end.checked_sub(1).filter(|_| end > start).and_then(|n| reading.get(n));
            let beside = group.digits && before.is_some_and(|before| before.digits);
            broken |= beside;
            spaced |= beside && group.gap == Gap::Space;
            doubtful |= group.digits && group.doubtful;
            any_digits |= group.digits;
            key.push(&group.text);
            squeezed.push_str(&group.text);
            if !any_digits || squeezed.len() > 64 {
                return None;
            }
            let window = Window {
                groups: reading.get(start..=end)?,
                key: key.clone(),
                squeezed: squeezed.clone(),
                bounded: begins(reading, start) && ends(reading, start, end),
                slashed: begins(reading, start) && is_slashed(reading, start, end),
                doubtful,
                labelled: reading.get(start).is_some_and(|first| first.labelled && first.digits),
                broken,
                spaced,
                torn: torn(reading, start).into_iter().chain(torn(reading, end.saturating_add(1))).min(),
            };
            Some((start, end, window))
        })
    })
}

/// What is left of a mention that begins or ends before this group.
fn torn(reading: &[Group], at: usize) -> Option<Grade> {
    let next = reading.get(at).filter(|next| next.cut)?;
    let before = reading.get(at.checked_sub(1)?).filter(|before| before.digits == next.digits)?;
    Some(if before.digits { Grade::Weak } else { Grade::Near })
}

fn begins(reading: &[Group], start: usize) -> bool {
    let Some(first) = reading.get(start) else { return false };
    let before = start.checked_sub(1).and_then(|n| reading.get(n));
    let Some(before) = before.filter(|_| first.gap < Gap::Space) else { return true };
    match (before.digits, first.digits) {
        (false, _) => words::may_announce(&before.text),
        (true, false) => first.gap == Gap::Tight || first.text.len() >= 2,
        // `4711/4712`: numbers of one length in a list. `2026/0042` is one number.
        (true, true) => first.between == "/" && alike(before, first),
    }
}

fn ends(reading: &[Group], start: usize, end: usize) -> bool {
    let next = reading.get(end.saturating_add(1)).filter(|next| next.gap < Gap::Space);
    let (Some(first), Some(last), Some(next)) = (reading.get(start), reading.get(end), next) else {
        return true;
    };
    let same_prefix = !first.digits && next.text == first.text;
    match (last.digits, next.digits) {
        (true, false) if next.gap == Gap::None => {
            same_prefix || words::may_be_glued(&next.text) || next.text.len() >= 4
        }
        // A letter or two would be a suffix: `INV-42-A`.
        (true, false) => same_prefix || words::may_be_glued(&next.text) || next.text.len() >= 3,
        (true, true) => next.doubtful || next.between == "/" && alike(last, next),
        (false, false) => words::may_be_glued(&next.text),
        (false, true) => false,
    }
}

fn is_slashed(reading: &[Group], start: usize, end: usize) -> bool {
    let (last, next) = (reading.get(end), reading.get(end.saturating_add(1)));
    let Some((last, next)) = last.zip(next).filter(|(last, next)| last.digits && next.digits) else {
        return false;
    };
    let own = reading.iter().take(end.saturating_add(1)).skip(start.saturating_add(1));
    let year = |group: &Group| group.text.len() == 4 && is_year(&group.text);
    next.between == "/" && !year(last) && !year(next) && own.clone().all(|group| group.between != "/")
}

fn alike(one: &Group, other: &Group) -> bool {
    let long = one.text.len() >= 3 && one.text.len() == other.text.len();
    long && !(one.text.len() == 4 && (is_year(&one.text) || is_year(&other.text)))
}

/// A number that a list or a range goes on with.
struct Listed {
    /// Its last digits, in full.
    last: String,
    /// The group that says so; none for those within a range.
    at: Option<usize>,
}

/// The numbers that a list or a range goes on with after those from `start` to `end`.
fn listed(reading: &[Group], start: usize, end: usize) -> Vec<Listed> {
    let mut found = Vec::new();
    let Some(last) = reading.get(end).filter(|last| last.digits) else { return found };
    let head = reading.get(start..end).unwrap_or_default();
    let alone = last.text.len() >= 3 || head.iter().all(|group| !group.digits);
    let (mut base, mut at) = (last.text.clone(), end);
    while found.len() < 20 {
        let mut next = at.saturating_add(1);
        let word = reading.get(next).filter(|word| !word.digits).map(|word| word.text.as_str());
        let joined = word.is_some_and(words::joins_list);
        let ranged = word.is_some_and(words::joins_range);
        next = next.saturating_add(usize::from(joined || ranged));
        let signs = reading.get(next).map_or("", |group| group.between.trim());
        // `INV-71 - INV-80` as well as `INV-71 - 80`.
        let again = reading.iter().skip(next).zip(head).all(|(group, first)| group.text == first.text);
        let repeats = !head.is_empty() && again;
        next = next.saturating_add(if repeats { head.len() } else { 0 });
        let usable = |group: &&Group| group.digits && !group.doubtful && group.text.len() <= 12;
        let Some(group) = reading.get(next).filter(usable) else { break };
        let dash = signs == "-";
        let sign =
            !signs.is_empty() && signs.chars().all(|c| matches!(c, ',' | '+' | '&' | '/' | ';' | '-' | ' '));
        let like = signs.is_empty() && group.text.len() == base.len() && alone;
        let goes_on = reading
            .get(next.saturating_add(1))
            .is_some_and(|more| more.gap < Gap::Space && !more.digits && !words::may_be_glued(&more.text));
        if !(joined || ranged || sign || like) || goes_on {
            break;
        }
        let full = completed(&base, &group.text);
        if (ranged || dash)
            && let (Ok(from), Ok(to)) = (base.parse::<u64>(), full.parse::<u64>())
            && to > from
            && to.saturating_sub(from) <= MAX_RANGE
        {
            let width = base.len();
            let within =
                (from.saturating_add(1)..to).map(|n| Listed { last: format!("{n:0width$}"), at: None });
            found.extend(within);
        }
        found.push(Listed { last: full.clone(), at: Some(next) });
        if group.text != full {
            found.push(Listed { last: group.text.clone(), at: Some(next) });
        }
        (base, at) = (full, next);
    }
    found
}

/// `42` after `1041` is `1042`.
fn completed(base: &str, digits: &str) -> String {
    let head = base.len().checked_sub(digits.len()).and_then(|cut| base.get(..cut)).unwrap_or_default();
    format!("{head}{digits}")
}

/// The key of these groups with other last digits.
fn with_last(groups: &[Group], last: &str) -> Key {
    let mut key = Key::default();
    let head = groups.len().saturating_sub(1);
    groups.iter().take(head).for_each(|group| key.push(&group.text));
    key.push(last);
    key
}

/// Letters that are taken for digits, as digits.
fn as_digits(text: &str) -> String {
    let alike = |c| match c {
        'O' => '0',
        'I' | 'L' => '1',
        'S' => '5',
        'B' => '8',
        'Z' => '2',
        c => c,
    };
    text.chars().map(alike).collect()
}

/// Confusable letters are digits here, in all of the text.
fn confused(groups: &[Group]) -> String {
    let mut text = String::new();
    for (n, group) in groups.iter().enumerate() {
        if n > 0 && group.gap != Gap::None {
            text.push('-');
        }
        text.push_str(&as_digits(&group.text));
    }
    text
}

/// Confusable letters that stand right beside digits are digits here.
fn repaired(groups: &[Group]) -> Option<String> {
    let mut text = String::new();
    let mut changed = false;
    for (n, group) in groups.iter().enumerate() {
        if n > 0 && group.gap != Gap::None {
            text.push('-');
        }
        let beside = group.gap == Gap::None
            || groups.get(n.saturating_add(1)).is_some_and(|next| next.gap == Gap::None);
        let digits = as_digits(&group.text);
        let alike = digits.bytes().all(|b| b.is_ascii_digit());
        let mends = n > 0 && !group.digits && alike && (beside || group.text.len() >= 2);
        changed |= mends;
        text.push_str(if mends { &digits } else { &group.text });
    }
    changed.then_some(text)
}

/// The keys to look open invoices up by, most promising first, at most [`MAX_REFERENCES`].
///
/// `text` is the remittance text as the bank hands it over, `structured` a reference that came in a field of its own.
#[must_use]
pub fn references(text: &str, structured: Option<&str>) -> Vec<ReferenceKey> {
    let mut ranked: BTreeMap<ReferenceKey, (u8, usize)> = BTreeMap::new();
    let mut note = |key: ReferenceKey, rank: u8, at: usize| {
        if (1..=64).contains(&key.as_str().len()) {
            ranked.entry(key).and_modify(|old| *old = (*old).min((rank, at))).or_insert((rank, at));
        }
    };
    if let Some(reference) = structured {
        for reading in read(reference).all {
            keys(&reading, true, &mut note);
        }
    }
    for reading in read(text).all {
        keys(&reading, false, &mut note);
    }
    let mut ranked: Vec<_> = ranked.into_iter().map(|(key, rank)| (rank, key)).collect();
    ranked.sort();
    ranked.truncate(MAX_REFERENCES);
    ranked.into_iter().map(|(_, key)| key).collect()
}

fn keys(reading: &[Group], own_field: bool, note: &mut impl FnMut(ReferenceKey, u8, usize)) {
    for (start, end, window) in windows(reading) {
        let at = window.span().0;
        if let Some(held) = structured::creditor_reference(&window.squeezed) {
            note(reference_key(held), 0, at);
            note(reference_key(&split_year(held)), 1, at);
        }
        if !window.bounded && !window.slashed {
            continue;
        }
        let digits_only = window.digits_only();
        if digits_only && let Some(held) = structured::qr_reference(&window.squeezed) {
            note(reference_key(held), 0, at);
        }
        if window.is_phrase() {
            continue;
        }
        let prefix = window.groups.first().filter(|first| !first.digits);
        let prefixed = prefix.is_some_and(|first| first.text.len() <= 6)
            && window.groups.get(1).is_some_and(|second| second.digits || second.text.len() <= 4);
        let announces =
            |first: &Group| words::announces_invoice(&first.text) || words::means_number(&first.text);
        let word_first = prefix.is_some_and(|first| first.text.len() > 3 && announces(first));
        let rank = match (digits_only, window.one_token(), window.groups.len()) {
            _ if window.doubtful || window.is_year() => 7,
            // `INV-42` has been noted as such.
            (true, _, 1)
                if window.labelled && window.groups.first().is_some_and(|it| it.gap < Gap::Space) =>
            {
                4
            }
            (true, _, 1) if window.labelled || own_field => 1,
            (true, _, 1) => {
                if window.squeezed.len() >= 4 {
                    3
                } else {
                    6
                }
            }
            (true, true, _) => 1,
            (true, false, 2) => 4,
            (true, false, _) => 6,
            (false, _, _) if word_first => 6,
            (false, true, _) => 1,
            (false, false, _) if prefixed => 2,
            (false, false, _) => 6,
        };
        note(window.key.clone().into(), rank, at);
        let other = split_year(&window.squeezed);
        if other != window.squeezed && window.groups.len() <= 3 && rank <= 3 {
            note(reference_key(&other), rank.saturating_add(1), at);
        }
        if rank <= 4
            && window.groups.len() > 1
            && is_year(window.groups.iter().find(|group| group.digits).map_or("", |group| &group.text))
        {
            note(reference_key(&window.squeezed), 5, at);
        }
        if rank <= 2 || rank <= 4 && window.spaced {
            if window.spaced && window.squeezed.len() >= 6 {
                note(reference_key(&unspaced(window.groups)), 5, at);
            }
            for listed in listed(reading, start, end).into_iter().filter(|_| rank <= 2) {
                note(with_last(window.groups, &listed.last).into(), 3, at);
            }
        }
        if rank <= 6
            && !digits_only
            && let Some(text) = repaired(window.groups)
        {
            note(reference_key(&text), 4, at);
        }
        // `INV:42` may be INV-42.
        let before = start.checked_sub(1).and_then(|n| reading.get(n));
        if digits_only
            && window.labelled
            && let Some(word) = before.filter(|word| !word.digits && word.text.len() <= 4)
        {
            note(reference_key(&format!("{}{}", word.text, window.key.as_str())), 3, at);
        }
        if digits_only && start == end {
            let sure = window.labelled || own_field;
            for held in structured::checked_number(&window.squeezed) {
                note(reference_key(held), if sure { 2 } else { 5 }, at);
                note(reference_key(&split_year(held)), if sure { 3 } else { 6 }, at);
            }
        }
    }
}

/// `RE20260042` is `RE2026-0042`.
fn split_year(squeezed: &str) -> String {
    let digits = squeezed.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let (prefix, rest) = squeezed.split_at_checked(digits).unwrap_or((squeezed, ""));
    let long =
        rest.len() > 4 && rest.len() <= 12 && rest.bytes().all(|b| b.is_ascii_digit()) && is_year(rest);
    match rest.split_at_checked(4) {
        Some((year, number)) if long => format!("{prefix}{year}-{number}"),
        _ => squeezed.to_owned(),
    }
}

/// As written, but that digits with a blank between them are one number.
fn unspaced(groups: &[Group]) -> String {
    let mut text = String::new();
    for (n, group) in groups.iter().enumerate() {
        if n > 0 && group.gap == Gap::Tight {
            text.push('-');
        }
        text.push_str(&group.text);
    }
    text
}

/// How surely a text names an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// As something that may be another thing altogether, or with other digits.
    Weak,
    /// With its own digits, but without something that belongs to it.
    Near,
    /// By its number.
    Exact,
}

/// In which form the number was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    Written,
    Listed,
    CheckDigits,
    Unlabelled,
    Joined,
    Confused,
    Shortened,
    OtherPrefix,
    Doubtful,
    Mistyped,
}

/// That the text names a candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    pub grade: Grade,
    pub form: Form,
    /// Another candidate is named as well by the same words.
    pub shared: bool,
    span: Span,
}

impl Mention {
    /// The same words name both.
    pub(crate) fn rivals(&self, other: &Self) -> bool {
        self.shared && other.shared && self.span == other.span
    }

    fn rank(&self) -> (Grade, bool, std::cmp::Reverse<Form>) {
        (self.grade, !self.shared, std::cmp::Reverse(self.form))
    }
}

/// From a character to before another.
type Span = (usize, usize);

/// So many mentions are weighed against each other.
const MAX_MENTIONS: usize = 1_000;

/// What a text names, by candidate, and whether there was too much of it.
pub(crate) type Mentions = (BTreeMap<usize, Mention>, bool);

/// The candidates' numbers, in the forms that people write.
struct Numbers {
    by_key: BTreeMap<String, Vec<usize>>,
    by_squeezed: BTreeMap<String, Vec<usize>>,
    by_confused: BTreeMap<String, Vec<usize>>,
    /// By what is left without the prefix, and without the year.
    by_tail: BTreeMap<String, Vec<usize>>,
    parts: Vec<Parts>,
}

struct Parts {
    squeezed: String,
    prefix: String,
    bare: bool,
}

impl Numbers {
    fn new<'a>(numbers: impl Iterator<Item = &'a str>) -> Self {
        let mut all = Self {
            by_key: BTreeMap::new(),
            by_squeezed: BTreeMap::new(),
            by_confused: BTreeMap::new(),
            by_tail: BTreeMap::new(),
            parts: Vec::new(),
        };
        let note = |map: &mut BTreeMap<String, Vec<usize>>, key: String, n: usize| {
            let all = map.entry(key).or_default();
            if all.last() != Some(&n) && all.len() < MAX_ALIKE {
                all.push(n);
            }
        };
        for (n, number) in numbers.enumerate() {
            let folded = fold(number);
            let parts: Vec<&str> = groups(&folded).collect();
            let squeezed = parts.concat();
            note(&mut all.by_key, reference_key(number).as_str().to_owned(), n);
            if squeezed.len() >= 5 {
                note(&mut all.by_squeezed, squeezed.clone(), n);
            }
            let confused = reference_key(&as_digits(&folded)).as_str().to_owned();
            note(&mut all.by_confused, confused, n);
            let letters = parts.iter().take_while(|part| !is_digits(part)).count();
            let tail = parts.get(letters..).unwrap_or_default();
            if tail.iter().all(|part| is_digits(part)) {
                for from in 0..tail.len() {
                    if letters == 0 && from == 0 {
                        continue;
                    }
                    // Only a year, or what stands before one, is left out.
                    let skipped = tail.get(..from).unwrap_or_default();
                    if !skipped.iter().all(|part| is_year(part) && part.len() == 4) {
                        break;
                    }
                    let rest = tail.get(from..).unwrap_or_default();
                    let mut key = Key::default();
                    rest.iter().for_each(|part| key.push(part));
                    note(&mut all.by_tail, key.as_str().to_owned(), n);
                    let whole = rest.concat();
                    if whole.len() >= MIN_JOINED {
                        note(&mut all.by_tail, without_zeros(&whole).to_owned(), n);
                    }
                }
            }
            let prefix = parts.get(..letters).unwrap_or_default().concat();
            all.parts.push(Parts { squeezed, prefix, bare: letters == 0 && parts.len() == 1 });
        }
        all
    }
}

/// Which of these numbers the text and the structured reference name. `fitting` says of which a mistyped number would be
/// believed.
pub(crate) fn mentions<'a>(
    numbers: impl Iterator<Item = &'a str>,
    text: &Readings,
    structured: &Readings,
    fitting: &BTreeSet<usize>,
) -> Mentions {
    let numbers = Numbers::new(numbers);
    let mut found = Vec::new();
    // A field of its own has its own places.
    for (readings, own_field, shift) in [(structured, true, 1_000_000), (text, false, 0)] {
        let ways = readings.all.iter().map(|reading| {
            let mut here = Vec::new();
            find_in(reading, own_field, &numbers, fitting, &mut here);
            best_at(here)
        });
        // What a word of one reading says of a number holds, though the other reading does not have the word.
        let both = ways.reduce(|mut all, other| {
            for (at, mention) in other {
                let old = all.entry(at).or_insert_with(|| mention.clone());
                let worse = mention.form == Form::Doubtful;
                if worse || old.form != Form::Doubtful && mention.rank() > old.rank() {
                    *old = mention;
                }
            }
            all
        });
        found.extend(both.into_iter().flatten().map(|((n, (start, end)), mention)| {
            (n, Mention { span: (start.saturating_add(shift), end.saturating_add(shift)), ..mention })
        }));
    }
    let too_many = found.len() > MAX_MENTIONS;
    found.truncate(MAX_MENTIONS);
    (settle(found), too_many)
}

/// The surest mention of a candidate at each place.
fn best_at(found: Vec<(usize, Mention)>) -> BTreeMap<(usize, Span), Mention> {
    let mut best: BTreeMap<_, Mention> = BTreeMap::new();
    for (n, mention) in found {
        let better = best.get(&(n, mention.span)).is_none_or(|old| mention.rank() > old.rank());
        if better {
            best.insert((n, mention.span), mention);
        }
    }
    best
}

fn find_in(
    reading: &[Group],
    own_field: bool,
    numbers: &Numbers,
    fitting: &BTreeSet<usize>,
    found: &mut Vec<(usize, Mention)>,
) {
    for (start, end, window) in windows(reading) {
        if found.len() > MAX_MENTIONS {
            return;
        }
        let span = window.span();
        let mut note = |n: &usize, grade: Grade, form: Form| {
            let doubtful = window.doubtful && !window.is_prefixed() || window.is_year() && !window.labelled;
            let grade =
                if doubtful { Grade::Weak } else { window.torn.map_or(grade, |most| grade.min(most)) };
            let form = if doubtful { Form::Doubtful } else { form };
            found.push((*n, Mention { grade, form, shared: false, span }));
        };
        if let Some(held) = structured::creditor_reference(&window.squeezed) {
            let key = reference_key(held);
            let whole =
                numbers.by_key.get(key.as_str()).into_iter().chain(numbers.by_squeezed.get(held)).flatten();
            whole.for_each(|n| note(n, Grade::Exact, Form::CheckDigits));
            let tail = numbers.by_tail.get(without_zeros(held)).into_iter().flatten();
            tail.for_each(|n| note(n, Grade::Near, Form::CheckDigits));
        }
        let listed = if window.bounded || window.slashed { listed(reading, start, end) } else { Vec::new() };
        let next = listed.iter().filter(|it| it.at == Some(end.saturating_add(1)));
        let goes_on = |it: &Listed| numbers.by_key.contains_key(with_last(window.groups, &it.last).as_str());
        if !window.bounded && !next.into_iter().any(goes_on) {
            continue;
        }
        let labelled = window.labelled || own_field;
        let digits_only = window.digits_only();
        let written = numbers.by_key.get(window.key.as_str()).into_iter().flatten();
        let run_together = numbers.by_squeezed.get(&window.squeezed).into_iter().flatten();
        let run_together = run_together.filter(|_| written.clone().next().is_none());
        let digits = window.squeezed.bytes().filter(u8::is_ascii_digit).count();
        let mut named = BTreeSet::new();
        for n in written.clone().chain(run_together) {
            let apart = !written.clone().any(|it| it == n);
            // `INV-1 0` is no INV-10.
            if apart && digits < MIN_JOINED {
                continue;
            }
            let bare = numbers.parts.get(*n).is_some_and(|parts| parts.bare);
            let (grade, form) = match () {
                () if apart && window.broken => (Grade::Near, Form::Joined),
                () if bare && !labelled && window.squeezed.len() >= 4 => (Grade::Near, Form::Unlabelled),
                () if bare && !labelled => (Grade::Weak, Form::Unlabelled),
                () => (Grade::Exact, Form::Written),
            };
            if named.insert(*n) {
                note(n, grade, form);
            }
        }
        let heads: Vec<_> = named
            .iter()
            .filter(|n| numbers.parts.get(**n).is_some_and(|parts| !parts.bare || labelled))
            .copied()
            .collect();
        if digits_only && let Some(held) = structured::qr_reference(&window.squeezed) {
            let held = without_zeros(held);
            for (n, parts) in numbers.parts.iter().enumerate() {
                let digits: String = parts.squeezed.chars().filter(char::is_ascii_digit).collect();
                if without_zeros(&digits) == held {
                    note(&n, Grade::Exact, Form::CheckDigits);
                } else if digits.len() >= 5 && held.ends_with(&digits) {
                    note(&n, Grade::Near, Form::CheckDigits);
                }
            }
        }
        if digits_only && start == end && named.is_empty() {
            let grade = if labelled { Grade::Exact } else { Grade::Near };
            for held in structured::checked_number(&window.squeezed) {
                let key = reference_key(held);
                let whole = numbers
                    .by_key
                    .get(key.as_str())
                    .into_iter()
                    .chain(numbers.by_squeezed.get(held))
                    .flatten();
                whole.for_each(|n| note(n, grade, Form::CheckDigits));
                if labelled {
                    let tail = numbers.by_tail.get(key.as_str()).into_iter().flatten();
                    tail.for_each(|n| note(n, Grade::Near, Form::CheckDigits));
                }
            }
        }
        if named.is_empty() {
            let confused = reference_key(&confused(window.groups));
            let alike = numbers.by_confused.get(confused.as_str()).into_iter().flatten();
            alike.for_each(|n| note(n, Grade::Near, Form::Confused));
            if digits_only {
                let short = window.squeezed.len() < 4 && !labelled;
                let grade = if short { Grade::Weak } else { Grade::Near };
                let tail = numbers.by_tail.get(window.key.as_str()).into_iter().flatten();
                tail.for_each(|n| note(n, grade, Form::Shortened));
            } else {
                prefix_mistyped(&window, numbers).for_each(|n| note(n, Grade::Near, Form::OtherPrefix));
            }
            // Among shorter numbers every slip is another invoice.
            if digits >= MIN_MISTYPED {
                let near = fitting.iter().filter(|n| {
                    numbers.parts.get(**n).is_some_and(|parts| is_one_slip(&parts.squeezed, &window.squeezed))
                });
                near.for_each(|n| note(n, Grade::Weak, Form::Mistyped));
            }
        }
        // A list goes on from a number that is named, or from one of the same kind that is no candidate.
        let from_number = !heads.is_empty() || !digits_only && window.one_token() || labelled;
        if from_number && !window.doubtful {
            for listed in listed {
                let key = with_last(window.groups, &listed.last);
                let group = listed.at.and_then(|at| reading.get(at));
                let span = group.map_or((usize::MAX, usize::MAX), |group| (group.start, group.end));
                let listed = numbers.by_key.get(key.as_str()).into_iter().flatten();
                let mention = Mention { grade: Grade::Exact, form: Form::Listed, shared: false, span };
                found.extend(listed.map(|n| (*n, mention.clone())));
            }
        }
    }
}

/// The numbers with these digits whose prefix is one slip away.
fn prefix_mistyped<'a>(window: &Window<'_>, numbers: &'a Numbers) -> impl Iterator<Item = &'a usize> {
    let letters = window.groups.iter().take_while(|group| !group.digits).count();
    let prefix: String = window.groups.iter().take(letters).map(|group| group.text.as_str()).collect();
    let mut key = Key::default();
    window.groups.iter().skip(letters).for_each(|group| key.push(&group.text));
    let of_digits = numbers.by_tail.get(key.as_str()).filter(|_| prefix.len() >= 2);
    of_digits.into_iter().flatten().filter(move |n| {
        numbers
            .parts
            .get(**n)
            .is_some_and(|parts| parts.prefix.len() >= 2 && is_one_edit(&parts.prefix, &prefix))
    })
}

/// Of one length, and one sign is another or two neighbours have changed places.
fn is_one_slip(one: &str, other: &str) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let differ: Vec<(usize, (char, char))> =
        one.chars().zip(other.chars()).enumerate().filter(|(_, (a, b))| a != b).take(3).collect();
    match differ.as_slice() {
        [(_, (a, b))] => a.is_ascii_digit() && b.is_ascii_digit(),
        [(n, (a, b)), (m, (c, d))] => n.saturating_add(1) == *m && a == d && b == c,
        _ => false,
    }
}

/// One slip, or one letter more or less.
fn is_one_edit(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    if short.len() == long.len() {
        let differ = || one.chars().zip(other.chars()).filter(|(a, b)| a != b);
        return differ().count() == 1 || is_one_slip(one, other);
    }
    let same = short.chars().zip(long.chars()).take_while(|(a, b)| a == b).count();
    short.chars().skip(same).eq(long.chars().skip(same.saturating_add(1)))
}

/// The best mention of each candidate that no better one of another candidate contradicts.
fn settle(found: Vec<(usize, Mention)>) -> BTreeMap<usize, Mention> {
    let places: BTreeSet<(Span, Grade, usize)> = found
        .iter()
        .filter(|(_, mention)| mention.form != Form::Listed)
        .map(|(n, mention)| (mention.span, mention.grade, *n))
        .collect();
    let overruled = |n: usize, mention: &Mention| {
        let own = if mention.form == Form::Listed { Grade::Near } else { mention.grade };
        places.iter().filter(|(_, _, other)| *other != n).any(|(span, grade, _)| {
            let within = span.0 <= mention.span.0 && mention.span.1 <= span.1 && *span != mention.span;
            let overlaps = mention.span.0 < span.1 && span.0 < mention.span.1;
            *grade >= own && within || *grade == Grade::Exact && own < Grade::Exact && overlaps
        })
    };
    let kept: Vec<_> = found.iter().filter(|(n, mention)| !overruled(*n, mention)).collect();
    let mut named_at: BTreeMap<(Span, Grade), BTreeSet<usize>> = BTreeMap::new();
    for (n, mention) in kept.iter().filter(|(_, mention)| mention.form != Form::Listed) {
        named_at.entry((mention.span, mention.grade)).or_default().insert(*n);
    }
    let mut best: BTreeMap<usize, Mention> = BTreeMap::new();
    for (n, mention) in kept {
        let at = named_at.get(&(mention.span, mention.grade));
        let shared = mention.form != Form::Listed && at.is_some_and(|all| all.len() > 1);
        let mention = Mention { shared, ..mention.clone() };
        if best.get(n).is_none_or(|old| mention.rank() > old.rank()) {
            best.insert(*n, mention);
        }
    }
    best
}
