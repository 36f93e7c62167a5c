//! Remittance text in groups of letters and digits, with what stands between them and what they are worth.

use crate::structured;
use crate::words;
use plixo_domain::reference::fold;

/// So much text is read, in characters after folding.
pub(crate) const MAX_CHARS: usize = 4_000;
/// So many groups are read.
pub(crate) const MAX_GROUPS: usize = 600;

/// Where a bank cut a line at its full width: perhaps between two words, perhaps within a number.
const CUT: char = '\u{1}';
/// At these widths banks cut: subfields of an MT940, lines of an MT103, lines of field 86.
const WIDTHS: [usize; 3] = [27, 35, 65];

/// What stands between a group and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gap {
    /// Nothing: letters meet digits.
    None,
    /// `-`, `/`, `.` or `_` alone.
    Tight,
    /// Blanks, perhaps with one of these.
    Space,
    /// A line's end, or a sign that is in no number.
    Hard,
}

/// A run of letters or of digits.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub text: String,
    pub digits: bool,
    pub gap: Gap,
    /// What the gap is, as written.
    pub between: String,
    /// In characters of the folded text.
    pub start: usize,
    pub end: usize,
    /// Looks like a date, an amount, or the number of something else.
    pub doubtful: bool,
    /// A word before it says that it is an invoice's number.
    pub labelled: bool,
    /// A bank may have cut it off from what is before it.
    pub cut: bool,
}

/// The ways to read a text: one, or two where a bank cut lines at their full width.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readings {
    pub all: Vec<Vec<Group>>,
    /// Some of the text was not read.
    pub cut_off: bool,
}

pub(crate) fn read(text: &str) -> Readings {
    let mut cut_off = false;
    // Folding makes at most 18 characters of one.
    let clipped: String = text.chars().take(MAX_CHARS).collect();
    cut_off |= clipped.len() < text.len();
    let mut folded: Vec<char> = fold(&unfold(&clipped)).chars().collect();
    cut_off |= folded.len() > MAX_CHARS;
    folded.truncate(MAX_CHARS);
    let ways: &[bool] = if folded.contains(&CUT) { &[true, false] } else { &[false] };
    let mut all = Vec::new();
    for join in ways {
        let (mut groups, more) = split(&folded, *join);
        cut_off |= more;
        mark(&mut groups);
        all.push(groups);
    }
    Readings { all, cut_off }
}

/// Puts lines together that banks cut, and leaves an MT940's subfields that hold no remittance out.
fn unfold(text: &str) -> String {
    let subfield = |line: &str| -> Option<(u8, String)> {
        let code = line.get(..2)?;
        Some((code.parse().ok()?, line.get(2..)?.to_owned()))
    };
    let mut lines: Vec<String> = Vec::new();
    if text.contains("?20") || text.contains("?21") {
        let flat: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
        for part in flat.split('?') {
            match subfield(part) {
                Some((20..=29 | 60..=63, line)) => lines.push(line),
                Some(_) => {}
                None if lines.is_empty() => {}
                // A question mark within the text.
                None => lines.last_mut().into_iter().for_each(|line| *line = format!("{line}?{part}")),
            }
        }
    } else {
        lines = text.lines().map(str::to_owned).collect();
    }
    let mut whole = String::with_capacity(text.len());
    for (n, line) in lines.iter().enumerate() {
        whole.push_str(line);
        let full = WIDTHS.contains(&line.chars().count());
        if n.saturating_add(1) < lines.len() {
            whole.push(if full { CUT } else { '\n' });
        }
    }
    whole
}

fn split(folded: &[char], join: bool) -> (Vec<Group>, bool) {
    let mut groups: Vec<Group> = Vec::new();
    let mut between = String::from("\n");
    let mut open = false;
    let mut cut = false;
    for (at, c) in folded.iter().copied().enumerate() {
        let c = match c {
            CUT if join => continue,
            CUT => {
                cut = true;
                ' '
            }
            c => c,
        };
        if c == '%'
            && let Some(last) = groups.last_mut()
        {
            last.doubtful = true;
        }
        let digits = c.is_ascii_digit();
        if !digits && !c.is_alphabetic() {
            open = false;
            between.push(c);
            continue;
        }
        match groups.last_mut() {
            Some(last) if open && last.digits == digits => {
                last.text.push(c);
                last.end = at.saturating_add(1);
            }
            _ => {
                if groups.len() == MAX_GROUPS {
                    return (groups, true);
                }
                let between = std::mem::take(&mut between);
                let cut = std::mem::take(&mut cut) && between.matches(char::is_whitespace).count() == 1;
                groups.push(Group {
                    text: c.to_string(),
                    digits,
                    gap: gap(&between),
                    between,
                    start: at,
                    end: at.saturating_add(1),
                    doubtful: false,
                    labelled: false,
                    cut,
                });
            }
        }
        open = true;
    }
    (groups, false)
}

fn gap(between: &str) -> Gap {
    let tight = |c: char| matches!(c, '-' | '/' | '.' | '_');
    if between.is_empty() {
        Gap::None
    } else if between.contains("//")
        || between.contains(|c: char| c == '\n' || !(tight(c) || c.is_whitespace()))
    {
        Gap::Hard
    } else if between.chars().count() == 1 && between.starts_with(tight) {
        Gap::Tight
    } else {
        Gap::Space
    }
}

/// Takes out what is certainly no reference and marks what hardly is one.
fn mark(groups: &mut Vec<Group>) {
    drop_fields(groups);
    part_words(groups);
    drop_runs(groups);
    mark_numbers(groups);
    mark_roles(groups);
}

/// Removes groups; what came after them stands apart from what came before.
fn remove(groups: &mut Vec<Group>, gone: &[bool]) {
    if !gone.contains(&true) {
        return;
    }
    let mut apart = false;
    let mut kept = Vec::with_capacity(groups.len());
    for (mut group, gone) in groups.drain(..).zip(gone) {
        if *gone {
            apart = true;
            continue;
        }
        if std::mem::take(&mut apart) {
            group.gap = Gap::Hard;
            group.between = "\n".to_owned();
        }
        kept.push(group);
    }
    *groups = kept;
}

/// Banks' own field words, `SVWZ+` and `/ROC/`, with the text of those that hold no reference.
fn drop_fields(groups: &mut Vec<Group>) {
    let mut closed = false;
    let mut gone = Vec::with_capacity(groups.len());
    let mut invoices = Vec::new();
    for (n, group) in groups.iter().enumerate() {
        let after = groups.get(n.saturating_add(1)).map_or("", |next| next.between.as_str());
        let slashes = group.between.ends_with('/') && after.starts_with('/');
        let marked = slashes || after.starts_with(['+', '*']) || group.between.ends_with('*');
        let word = group.text.as_str();
        let (opens, closes) = (marked && words::opens_field(word), marked && words::closes_field(word));
        if opens || closes {
            closed = closes;
        } else if closed && group.between.contains(['\n', ',', ';', '~', '\\']) {
            closed = false;
        }
        if opens && words::opens_invoice(word) {
            invoices.push(n.saturating_add(1));
        }
        gone.push(opens || closes || closed);
    }
    for n in invoices {
        groups.get_mut(n).into_iter().for_each(|group| group.labelled = true);
    }
    remove(groups, &gone);
}

/// `RECHNUNGRE` before digits is a word and a prefix.
fn part_words(groups: &mut Vec<Group>) {
    for n in (0..groups.len()).rev() {
        let next = groups.get(n.saturating_add(1)).is_some_and(|next| next.digits && next.gap < Gap::Space);
        let Some(group) = groups.get(n).filter(|group| !group.digits && next) else { continue };
        let Some((word, prefix)) = words::glued_prefix(&group.text) else { continue };
        let start = group.start.saturating_add(word.chars().count());
        let second = Group {
            text: prefix.to_owned(),
            gap: Gap::Tight,
            between: ".".to_owned(),
            start,
            cut: false,
            ..group.clone()
        };
        let first = Group { text: word.to_owned(), end: start, ..group.clone() };
        groups.splice(n..=n, [first, second]);
    }
}

/// IBANs, phone numbers, what is left of a masked card number.
fn drop_runs(groups: &mut Vec<Group>) {
    let mut gone = vec![false; groups.len()];
    for start in 0..groups.len() {
        let Some(first) = groups.get(start) else { break };
        let mut length = 0;
        if first.between.contains("**") {
            length = 1;
        } else if !first.digits && (first.text.len() == 2 || first.gap != Gap::None) {
            length = structured::iban(groups.get(start..).unwrap_or_default());
        } else if first.digits && is_phone(groups, start) {
            length = run_of_digits(groups, start).0;
        }
        gone.iter_mut().skip(start).take(length).for_each(|gone| *gone = true);
    }
    remove(groups, &gone);
}

/// How many groups of digits follow each other with blanks or single signs between them, and how many digits that is.
fn run_of_digits(groups: &[Group], start: usize) -> (usize, usize) {
    let run = groups.iter().skip(start).enumerate();
    let run = run.take_while(|(n, group)| group.digits && (*n == 0 || group.gap != Gap::Hard));
    run.fold((0, 0), |(count, digits), (_, group)| {
        (count.saturating_add(1), digits.saturating_add(group.text.len()))
    })
}

fn is_phone(groups: &[Group], start: usize) -> bool {
    let Some(first) = groups.get(start) else { return false };
    let before = start.checked_sub(1).and_then(|n| groups.get(n));
    if before.is_some_and(|word| words::announces_phone(&word.text)) {
        return true;
    }
    let plus = first.between.strip_suffix('+').or_else(|| first.between.strip_suffix("+("));
    let alone = plus.is_some_and(|rest| rest.is_empty() && start == 0 || rest.ends_with(char::is_whitespace));
    alone && first.text.len() <= 3 && !first.text.starts_with('0') && run_of_digits(groups, start).1 >= 9
}

fn mark_numbers(groups: &mut [Group]) {
    let mut doubtful = vec![false; groups.len()];
    let mut set = |from: usize, count: usize| {
        doubtful.iter_mut().skip(from).take(count).for_each(|it| *it = true);
    };
    for start in 0..groups.len() {
        let Some(first) = groups.get(start).filter(|group| group.digits) else { continue };
        let before = start.checked_sub(1).and_then(|n| groups.get(n));
        let rest = groups.get(start..).unwrap_or_default();
        let currency_before = before.is_some_and(|word| words::is_currency(&word.text));
        let money_sign = first.between.ends_with(['€', '$', '£']);
        let glued = before.is_some_and(|word| !word.digits && words::may_be_glued(&word.text));
        // Where a bank cut it off, it may be the rest of a number.
        let after_slash =
            first.between == "/" && rest.iter().skip(1).take(2).all(|group| group.between == ".");
        let inside = first.gap < Gap::Space && !currency_before && !glued && !after_slash;
        let of_list = first.between == "," && before.is_some_and(|before| before.digits);
        if inside || of_list || first.cut {
            continue;
        }
        let announced =
            before.is_some_and(|word| words::says_invoice(&word.text) || words::means_number(&word.text));
        let date = date(rest);
        if date > 0 && (!announced || first.text.len() < 4) {
            set(start, date);
            continue;
        }
        let (amount, decimals) = amount(rest);
        let follows = rest.get(amount);
        let currency_after = follows.is_some_and(|word| {
            let value =
                rest.get(amount.saturating_add(1)).is_some_and(|next| next.digits && next.gap <= Gap::Space);
            word.gap <= Gap::Space && words::is_currency(&word.text) && !value
        }) || follows
            .is_some_and(|word| word.between.trim_start().starts_with(['€', '$', '£']));
        let priced = currency_before || money_sign || currency_after;
        // `Rechnungen 41,42` are two numbers.
        let pair = announced && amount == 2;
        if priced || decimals && !pair {
            set(start, amount.max(1));
            // Thousands set apart by blanks.
            let lead = before.filter(|lead| lead.digits && lead.text.len() <= 3 && lead.gap >= Gap::Space);
            if decimals && first.text.len() == 3 && first.between == " " && lead.is_some() {
                set(start.saturating_sub(1), 1);
            }
        }
    }
    for (group, doubtful) in groups.iter_mut().zip(doubtful) {
        group.doubtful |= doubtful;
    }
}

/// How many groups from here are a calendar date.
fn date(groups: &[Group]) -> usize {
    let number = |n: usize| {
        groups.get(n).filter(|group| group.digits).and_then(|group| group.text.parse::<u32>().ok())
    };
    let (day, month) = (|n: u32| (1..=31).contains(&n), |n: u32| (1..=12).contains(&n));
    let year = |n: u32| (1990..=2099).contains(&n);
    let width = |n: usize| groups.get(n).map_or(0, |group| group.text.len());
    let ends = |n: usize| groups.get(n).is_none_or(|next| next.gap != Gap::Tight || !next.digits);
    if let (Some(a), Some(b), Some(c)) = (number(0), number(1), number(2)) {
        let gaps = groups.iter().skip(1).take(2);
        let same = gaps.clone().all(|group| matches!(group.between.as_str(), "." | "-" | "/" | ". "));
        let iso = width(0) == 4 && year(a) && month(b) && day(c) && width(1) <= 2 && width(2) <= 2;
        let common = (day(a) && month(b) || month(a) && day(b))
            && (year(c) || width(2) == 2)
            && width(0) <= 2
            && width(1) <= 2;
        if same && (iso || common) && ends(3) {
            return 3;
        }
    }
    if let (Some(whole), 8) = (number(0), width(0)) {
        let (iso, common) = (
            (whole / 10_000, whole / 100 % 100, whole % 100),
            (whole % 10_000, whole / 10_000 % 100, whole / 1_000_000),
        );
        if [iso, common].into_iter().any(|(y, m, d)| year(y) && month(m) && day(d)) && ends(1) {
            return 1;
        }
    }
    0
}

/// How many groups from here may be an amount, and whether it has decimals.
fn amount(groups: &[Group]) -> (usize, bool) {
    let mut count: usize = 1;
    for group in groups.iter().skip(1) {
        let thousands = group.text.len() == 3;
        let sign = matches!(group.between.as_str(), "." | "," | "'");
        if !group.digits || !sign || !(thousands || group.text.len() == 2) {
            break;
        }
        count = count.saturating_add(1);
        if !thousands {
            let next = groups.get(count);
            // `42,43,44` are numbers.
            let ends = next.is_none_or(|next| !next.digits || next.gap >= Gap::Space && next.between != ",");
            return if ends { (count, true) } else { (1, false) };
        }
    }
    (
        count,
        count > 1 && groups.iter().skip(1).take(count.saturating_sub(1)).all(|group| group.between != "."),
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Invoice,
    Other,
    Unsaid,
}

fn mark_roles(groups: &mut [Group]) {
    let mut role = Role::Unsaid;
    let mut within = false;
    for group in groups.iter_mut() {
        if group.digits {
            within &= group.gap < Gap::Space;
            match role {
                // After a date or an amount come other numbers.
                Role::Invoice if group.doubtful => role = Role::Unsaid,
                Role::Invoice => group.labelled = true,
                Role::Other => {
                    group.doubtful = true;
                    (role, within) = (Role::Unsaid, true);
                }
                Role::Unsaid => group.doubtful |= within,
            }
            continue;
        }
        within = false;
        let word = group.text.as_str();
        if words::announces_other(word) {
            role = Role::Other;
        } else if words::says_invoice(word) {
            role = Role::Invoice;
        } else if !(words::joins_list(word)
            || words::joins_range(word)
            || words::is_currency(word)
            || words::means_number(word))
        {
            role = Role::Unsaid;
        }
    }
}
