//! From candidates to suggestions and a verdict.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use plixo_domain::id::{CustomerId, InvoiceId};
use plixo_domain::money::Money;

use crate::find::{Form, Grade, Mention, mentions};
use crate::payer::{Payer, recognise};
use crate::reason::{Nearly, Reason};
use crate::score::{Confidence, Fit, Order, Rules, Standing, Tie, score, special};
use crate::sums;
use crate::text::read;
use crate::{Candidate, Candidates, GaveUp, Payment, Suggested, Suggestion, Verdict, Why};
use plixo_domain::reference::reference_key;

/// So many candidates are looked at.
pub const MAX_CANDIDATES: usize = 1_000;
/// So many allocations has a suggestion at most: as many as one request makes.
pub const MAX_ALLOCATIONS: usize = plixo_domain::ledger::staff::MAX_ALLOCATIONS;
/// So many suggestions there are at most.
pub const MAX_SUGGESTIONS: usize = 10;

/// So many steps does a search for sums take at most.
const SUM_STEPS: u32 = 60_000;
/// So many customers that the payer may be are looked at, and so many invoices that have the amount and nothing else.
const MAX_PAYERS: usize = 4;
const MAX_SINGLES: usize = 20;

/// Says which invoices a payment may be for, and whether that is sure enough to need nobody's consent.
///
/// Candidates may come in any order; the answer is the same. Each suggestion's allocations and its unapplied rest make up the
/// payment's amount exactly, and no allocation is more than what is open.
#[must_use]
pub fn suggest(payment: &Payment<'_>, candidates: &Candidates<'_>, rules: &Rules) -> Suggested {
    let mut case = Case::new(payment, candidates, rules);
    if case.amount > 0 {
        let followed = case.instructed();
        case.read(followed);
        case.named();
        case.unnamed_singles();
        if !case.explained() {
            case.unnamed_sums(candidates.more_of_customer);
            case.on_account();
        }
    }
    case.answer()
}

struct Case<'a> {
    payment: &'a Payment<'a>,
    rules: &'a Rules,
    /// Minor units, as all amounts here.
    amount: i64,
    /// What can be paid, in the organisation's order.
    open: Vec<&'a Candidate>,
    /// What cannot.
    settled: Vec<&'a Candidate>,
    /// By place in `open`, then in `settled`.
    mentions: BTreeMap<usize, Mention>,
    payers: BTreeMap<CustomerId, Payer>,
    more_of_amount: bool,
    gave_up: BTreeSet<GaveUp>,
    made: BTreeMap<Vec<(InvoiceId, i64)>, Made>,
}

/// A suggestion in the making.
struct Made {
    confidence: u16,
    left_open: i64,
    reasons: Vec<Reason>,
}

/// Invoices that may explain the payment.
struct Proposal {
    /// Places in `open`.
    set: BTreeSet<usize>,
    tie: Tie,
    /// Instead of the table's figure.
    score: Option<u16>,
    reasons: Vec<Reason>,
}

impl<'a> Case<'a> {
    fn new(payment: &'a Payment<'a>, candidates: &Candidates<'a>, rules: &'a Rules) -> Self {
        let mut gave_up = BTreeSet::new();
        let mut all: Vec<&Candidate> = candidates.invoices.iter().collect();
        all.sort_by_key(|it| it.id);
        all.dedup_by(|a, b| a.id == b.id);
        if all.len() > MAX_CANDIDATES {
            gave_up.insert(GaveUp::Candidates);
            all.truncate(MAX_CANDIDATES);
        }
        let payable =
            |it: &&Candidate| it.balance.amount > 0 && it.balance.currency == payment.unapplied.currency;
        let (mut open, settled): (Vec<_>, Vec<_>) = all.into_iter().partition(payable);
        open.sort_by(|a, b| {
            let by_day = (a.due_on, a.issued_on).cmp(&(b.due_on, b.issued_on));
            match rules.order {
                Order::OldestDue => by_day,
                Order::OldestIssued => a.issued_on.cmp(&b.issued_on).then(by_day),
                Order::Smallest => a.balance.amount.cmp(&b.balance.amount).then(by_day),
                Order::Largest => b.balance.amount.cmp(&a.balance.amount).then(by_day),
            }
            .then_with(|| a.number.cmp(&b.number))
            .then(a.id.cmp(&b.id))
        });

        Self {
            payment,
            rules,
            amount: payment.unapplied.amount,
            open,
            settled,
            mentions: BTreeMap::new(),
            payers: recognise(payment, candidates.customers),
            more_of_amount: candidates.more_of_amount,
            gave_up,
            made: BTreeMap::new(),
        }
    }

    /// Looks for the candidates' numbers in the text, and in the payer's list if that cannot be followed to the letter.
    fn read(&mut self, followed: bool) {
        let text = read(self.payment.text);
        let mut fields: Vec<&str> = self.payment.structured.into_iter().collect();
        if !followed {
            fields.extend(self.payment.instruction.iter().map(|line| line.number));
        }
        let structured = read(&fields.join("\n"));
        let fitting = (0..).zip(&self.open).filter(|(_, it)| it.balance.amount == self.amount);
        let fitting = fitting.map(|(n, _)| n).collect();
        let numbers = self.open.iter().chain(&self.settled).map(|it| it.number.as_str());
        let (mentions, too_many) = mentions(numbers, &text, &structured, &fitting);
        self.mentions = mentions;
        if text.cut_off || structured.cut_off || too_many {
            self.gave_up.insert(GaveUp::Text);
        }
    }

    fn at(&self, n: usize) -> Option<&'a Candidate> {
        self.open.get(n).copied()
    }

    fn of<'s>(&'s self, set: &'s BTreeSet<usize>) -> impl Iterator<Item = &'a Candidate> + 's {
        set.iter().filter_map(|n| self.at(*n))
    }

    fn payer(&self, customer: CustomerId) -> Payer {
        self.payers.get(&customer).copied().unwrap_or(Payer::Unknown)
    }

    /// The open invoices that the text names, of this grade at least.
    fn named_as(&self, fits: impl Fn(&Mention) -> bool) -> BTreeSet<usize> {
        let open = self.mentions.iter().filter(|(n, _)| **n < self.open.len());
        open.filter(|(_, mention)| fits(mention)).map(|(n, _)| *n).collect()
    }

    fn rivals(&self, n: usize, m: usize) -> bool {
        let both = self.mentions.get(&n).zip(self.mentions.get(&m));
        both.is_some_and(|(one, other)| one.rivals(other))
    }

    /// What the text names for certain.
    fn sure(&self) -> BTreeSet<usize> {
        self.named_as(|it| it.grade == Grade::Exact && it.form != Form::Listed)
    }

    /// Customers that the payer is, or may be, the surest first.
    fn likely_payers(&self) -> Vec<CustomerId> {
        let told = self.payment.customer;
        let mut likely: Vec<_> = self
            .payers
            .iter()
            .filter(|(id, level)| **level >= Payer::Similar && told.is_none_or(|told| told == **id))
            .map(|(id, level)| (Reverse(*level), *id))
            .collect();
        likely.sort();
        likely.truncate(MAX_PAYERS);
        likely.into_iter().map(|(_, id)| id).collect()
    }

    fn open_of(&self, customer: CustomerId) -> Vec<usize> {
        (0..).zip(&self.open).filter(|(_, it)| it.customer == customer).map(|(n, _)| n).collect()
    }

    // ---- Hypotheses ----------------------------------------------------------------------------------------------------

    /// What the payer's own list says, and whether all of it can be followed.
    fn instructed(&mut self) -> bool {
        let mut parts: BTreeMap<usize, i64> = BTreeMap::new();
        let mut shared = Vec::new();
        for line in self.payment.instruction {
            let key = reference_key(line.number);
            let mut alike = (0..).zip(&self.open).filter(|(_, it)| reference_key(&it.number) == key);
            let Some((n, invoice)) = alike.next() else { return false };
            if alike.next().is_some() || self.settled.iter().any(|it| reference_key(&it.number) == key) {
                shared.push(Reason::NamedWithOther { number: invoice.number.clone() });
            }
            let part = parts.entry(n).or_insert(0);
            *part = part.saturating_add(line.amount.unwrap_or(invoice.balance.amount));
            if *part <= 0 || *part > invoice.balance.amount {
                return false;
            }
        }
        let sum = sum(parts.values().copied());
        if parts.is_empty() || parts.len() > MAX_ALLOCATIONS || sum.is_none_or(|sum| sum > self.amount) {
            return false;
        }
        let set: BTreeSet<_> = parts.keys().copied().collect();
        let rest = self.amount.saturating_sub(sum.unwrap_or(0));
        let fit = if rest == 0 { Fit::Exact } else { Fit::Over };
        let mut reasons = vec![Reason::Instructed];
        if rest > 0 {
            reasons.push(Reason::Over { amount: rest });
        }
        let (standing, payer) = self.standing(&set);
        reasons.extend(payer);
        let mut confidence = score(Tie::Instructed, fit, standing);
        if !shared.is_empty() {
            confidence = confidence.min(special::SHARED);
            reasons.append(&mut shared);
        }
        let left_open =
            sum_of(self.of(&set)).unwrap_or(i64::MAX).saturating_sub(self.amount.saturating_sub(rest));
        let parts = parts.into_iter().filter_map(|(n, part)| Some((self.at(n)?.id, part))).collect();
        self.keep(parts, Made { confidence, left_open, reasons });
        rest == 0
    }

    /// What the text names: all of it, parts of it, and it with others of the same customer.
    fn named(&mut self) {
        let sure = self.sure();
        let listed = self.named_as(|it| it.grade == Grade::Exact);
        let near = self.named_as(|it| it.grade == Grade::Near);
        let every: BTreeSet<_> = listed.union(&near).copied().collect();
        let mut sets = vec![sure.clone(), listed, every.clone()];
        // Of two that the same words name, one is meant.
        sets.extend(
            sure.iter().map(|n| sure.iter().copied().filter(|m| m == n || !self.rivals(*n, *m)).collect()),
        );
        sets.extend(self.mentions.keys().map(|n| BTreeSet::from([*n])));
        if every.len() > 2 {
            let places: Vec<_> = every.iter().copied().collect();
            let balances: Vec<_> = self.of(&every).map(|it| it.balance.amount).collect();
            let found = sums::adding_up_to(&balances, self.amount, SUM_STEPS);
            let as_set = |set: &Vec<usize>| set.iter().filter_map(|n| places.get(*n).copied()).collect();
            sets.extend(found.sets.iter().map(as_set));
        }
        sets.sort();
        sets.dedup();
        let (paid, rest): (Vec<_>, Vec<_>) = sets
            .into_iter()
            .partition(|set| matches!(self.fit(set), Some((Fit::Exact | Fit::Discount | Fit::Tolerance, _))));
        for set in paid {
            self.propose_named(set, None);
        }
        // What is named and paid in full is not also paid in part.
        if self.explained() {
            return;
        }
        for set in rest {
            self.propose_named(set, None);
        }

        let customers: BTreeSet<_> = self.of(&sure).map(|it| it.customer).collect();
        let rest = sum_of(self.of(&sure)).and_then(|sum| self.amount.checked_sub(sum));
        if let (1, Some(customer), Some(rest @ 1..)) = (customers.len(), customers.first().copied(), rest) {
            let others: Vec<_> = self.open_of(customer).into_iter().filter(|n| !sure.contains(n)).collect();
            let with = |more: &[usize]| sure.iter().chain(more).copied().collect::<BTreeSet<_>>();
            let balance = |n: &usize| self.at(*n).map_or(0, |it| it.balance.amount);
            let balances: Vec<_> = others.iter().map(balance).collect();
            let single = others.iter().filter(|n| balance(n) == rest).take(2).map(|n| with(&[*n]));
            let found = sums::adding_up_to(&balances, rest, SUM_STEPS);
            let several = found
                .sets
                .iter()
                .map(|set| with(&set.iter().filter_map(|n| others.get(*n).copied()).collect::<Vec<_>>()));
            let sets: Vec<_> = single.chain(several).take(2).collect();
            for set in sets {
                self.propose_named(set, Some(special::NAMED_AND_OTHERS));
            }
        }
    }

    /// Something is as sure as it takes. Then sums without names are no better, and need not be looked for.
    fn explained(&self) -> bool {
        self.made.values().any(|made| made.confidence >= Confidence::AUTOMATIC.thousandths())
    }

    fn propose_named(&mut self, set: BTreeSet<usize>, score: Option<u16>) {
        let grades = set.iter().filter_map(|n| self.mentions.get(n)).map(|mention| mention.grade);
        let Some(least) = grades.min() else { return };
        self.propose(Proposal { set, tie: Tie::Named(least), score, reasons: Vec::new() });
    }

    /// Single invoices that only the amount speaks for, or the payer.
    fn unnamed_singles(&mut self) {
        let likely = self.likely_payers();
        let told = self.payment.customer.is_some();
        let exact: Vec<usize> = (0..)
            .zip(&self.open)
            .filter(|(_, it)| it.balance.amount == self.amount)
            .map(|(n, _)| n)
            .collect();
        let mut most = MAX_SINGLES;
        for n in &exact {
            let Some(invoice) = self.at(*n) else { continue };
            let known = likely.contains(&invoice.customer);
            if !known && (told || most == 0) {
                continue;
            }
            most = most.saturating_sub(usize::from(!known));
            let rivals = exact.iter().filter(|m| *m != n);
            let same = |m: &&usize| self.at(**m).is_some_and(|other| other.customer == invoice.customer);
            let others = if known { rivals.filter(same).count() } else { rivals.count() };
            let (score, reason) = match (others, self.more_of_amount && !known) {
                (0, false) => (None, Reason::OnlyOneOfAmount),
                (0, true) => (Some(special::SAME_AMOUNT), Reason::OthersOfAmount { invoices: 1 }),
                (invoices, _) => (Some(special::SAME_AMOUNT), Reason::OthersOfAmount { invoices }),
            };
            let set = BTreeSet::from([*n]);
            let score = score.map(|scores| self.by_standing(&set, scores));
            let reasons = if known && others == 0 { Vec::new() } else { vec![reason] };
            self.propose(Proposal { set, tie: Tie::Unnamed, score, reasons });
        }
        for customer in likely {
            let singles: Vec<_> = self.open_of(customer).into_iter().map(|n| BTreeSet::from([n])).collect();
            for set in singles {
                if matches!(self.fit(&set), Some((Fit::Discount | Fit::Tolerance, _))) {
                    self.propose(Proposal { set, tie: Tie::Unnamed, score: None, reasons: Vec::new() });
                }
            }
        }
    }

    /// Several invoices of a customer that the payer may be.
    fn unnamed_sums(&mut self, more_of_customer: bool) {
        for customer in self.likely_payers() {
            let own = self.open_of(customer);
            let all: BTreeSet<_> = own.iter().copied().collect();
            if own.len() >= 2 && sum_of(self.of(&all)) == Some(self.amount) && !more_of_customer {
                let score = self.by_standing(&all, [special::ALL_OPEN, special::ONLY_SUM[1], 0]);
                self.propose(Proposal {
                    set: all,
                    tie: Tie::Unnamed,
                    score: Some(score),
                    reasons: vec![Reason::AllOpen],
                });
                continue;
            }
            let balances: Vec<_> = self.of(&all).map(|it| it.balance.amount).collect();
            let found = sums::adding_up_to(&balances, self.amount, SUM_STEPS);
            let unsure = found.gave_up || more_of_customer;
            if unsure {
                self.gave_up.insert(GaveUp::Sums);
            }
            let single = balances.contains(&self.amount);
            let ([agrees, similar], reason) = match found.sets.len() {
                1 if unsure => (special::A_SUM, Reason::SumsNotAllTried),
                1 if !single => (special::ONLY_SUM, Reason::OnlySum),
                _ => (special::ONE_SUM, Reason::SeveralSums),
            };
            for set in &found.sets {
                let set: BTreeSet<_> = set.iter().filter_map(|n| own.get(*n).copied()).collect();
                let score = self.by_standing(&set, [agrees, similar, 0]);
                self.propose(Proposal {
                    set,
                    tie: Tie::Unnamed,
                    score: Some(score),
                    reasons: vec![reason.clone()],
                });
            }
        }
    }

    /// Money of a known customer that names nothing and fits nothing: what comes first is paid first.
    fn on_account(&mut self) {
        let agrees =
            self.likely_payers().into_iter().filter(|id| self.payer(*id).agrees()).collect::<Vec<_>>();
        let [customer] = agrees.as_slice() else { return };
        if !self.sure().is_empty() || !self.payment.instruction.is_empty() {
            return;
        }
        let (mut set, mut left) = (BTreeSet::new(), self.amount);
        for n in self.open_of(*customer) {
            if left <= 0 || set.len() == MAX_ALLOCATIONS {
                break;
            }
            left = left.saturating_sub(self.at(n).map_or(0, |it| it.balance.amount));
            set.insert(n);
        }
        let score = self.by_standing(&set, [special::ON_ACCOUNT, 0, 0]);
        let reasons = vec![Reason::InOrder(self.rules.order)];
        self.propose(Proposal { set, tie: Tie::Unnamed, score: Some(score), reasons });
    }

    // ---- Weighing ------------------------------------------------------------------------------------------------------

    fn propose(&mut self, proposal: Proposal) {
        let Proposal { set, tie, score: fixed, mut reasons } = proposal;
        if set.is_empty() || set.len() > MAX_ALLOCATIONS || set.iter().any(|n| *n >= self.open.len()) {
            return;
        }
        let rivals = |n: &usize| set.iter().any(|m| m != n && self.rivals(*n, *m));
        if tie != Tie::Unnamed && set.iter().any(rivals) {
            return;
        }
        let Some((fit, parts)) = self.fit(&set) else { return };
        let (standing, payer) = self.standing(&set);
        let mut most = u16::MAX;
        let mut notes = Vec::new();
        for n in &set {
            let Some((mention, invoice)) = self.mentions.get(n).zip(self.at(*n)) else { continue };
            notes.push(note(mention, &invoice.number));
            if mention.shared && tie != Tie::Unnamed {
                most = most.min(special::SHARED);
                notes.push(Reason::NamedWithOther { number: invoice.number.clone() });
            }
        }
        let left_out: Vec<_> = self.sure().into_iter().filter(|n| !set.contains(n) && !rivals(n)).collect();
        if let Some(invoice) = left_out.first().and_then(|n| self.at(*n)) {
            most = most.min(special::LEAVES_OUT);
            notes.push(Reason::LeavesOut { number: invoice.number.clone() });
        }
        let named_settled = self.mentions.iter().filter_map(|(n, mention)| {
            let settled = self.settled.get(n.checked_sub(self.open.len())?)?;
            (mention.grade == Grade::Exact && mention.form != Form::Listed).then_some(settled)
        });
        notes.extend(named_settled.take(1).map(|it| Reason::NamesSettled { number: it.number.clone() }));
        if fit != Fit::Exact
            && let Some(other) = self.fits_exactly(&set)
        {
            most = most.min(special::FITS_ANOTHER);
            notes.push(Reason::FitsAnother { number: other.number.clone() });
        }
        let mut confidence = fixed.unwrap_or_else(|| score(tie, fit, standing));
        if tie == Tie::Named(Grade::Near)
            && fit == Fit::Exact
            && standing != Standing::Other
            && self.only_of_amount(&set)
        {
            confidence = confidence.max(special::NEAR_AND_ONLY_AMOUNT);
            notes.extend((set.len() == 1).then_some(Reason::OnlyOneOfAmount));
        }
        let itself = |n: &usize| {
            self.mentions.get(n).is_some_and(|it| it.grade == Grade::Exact || it.form == Form::Unlabelled)
        };
        let similar = tie == Tie::Named(Grade::Near) && fit == Fit::Exact && standing == Standing::Similar;
        if similar && set.iter().all(itself) {
            confidence = confidence.max(special::UNLABELLED_AND_SIMILAR);
        }
        let total = sum_of(self.of(&set)).unwrap_or(i64::MAX);
        let applied = sum(parts.iter().map(|(_, part)| *part)).unwrap_or(0);
        notes.push(match fit {
            Fit::Exact if set.len() == 1 => Reason::ExactAmount,
            Fit::Exact => Reason::SumOf { invoices: set.len() },
            Fit::Discount => Reason::Discount { amount: total.saturating_sub(applied) },
            Fit::LateDiscount => Reason::LateDiscount { amount: total.saturating_sub(applied) },
            Fit::Tolerance => Reason::WithinTolerance { amount: total.saturating_sub(applied) },
            Fit::Short => Reason::Short { amount: total.saturating_sub(self.amount) },
            Fit::Over => Reason::Over { amount: self.amount.saturating_sub(total) },
        });
        if fit == Fit::Short && set.len() > 1 && !reasons.contains(&Reason::InOrder(self.rules.order)) {
            notes.push(Reason::InOrder(self.rules.order));
        }
        notes.extend(payer);
        notes.append(&mut reasons);
        let made = Made {
            confidence: confidence.min(most),
            left_open: total.saturating_sub(applied),
            reasons: notes,
        };
        let parts = parts.into_iter().filter_map(|(n, part)| Some((self.at(n)?.id, part))).collect();
        self.keep(parts, made);
    }

    fn keep(&mut self, mut parts: Vec<(InvoiceId, i64)>, made: Made) {
        parts.retain(|(_, part)| *part > 0);
        if self.made.get(&parts).is_none_or(|old| old.confidence < made.confidence) {
            self.made.insert(parts, made);
        }
    }

    /// How the amount compares with what is open of these invoices, and how much each of them gets.
    fn fit(&self, set: &BTreeSet<usize>) -> Option<(Fit, Vec<(usize, i64)>)> {
        let balances: Vec<_> = set.iter().filter_map(|n| Some((*n, self.at(*n)?.balance.amount))).collect();
        let total = sum(balances.iter().map(|(_, balance)| *balance))?;
        if total <= self.amount {
            let fit = if total == self.amount { Fit::Exact } else { Fit::Over };
            return Some((fit, balances));
        }
        if let Some(parts) = self.discounted(set, true) {
            return Some((Fit::Discount, parts));
        }
        let missing = total.saturating_sub(self.amount);
        if missing <= self.rules.tolerance.of(total, self.payment.unapplied.currency) {
            // The largest can bear it.
            let largest = balances.iter().max_by_key(|(n, balance)| (*balance, Reverse(*n))).map(|(n, _)| *n);
            let part = |(n, balance): (usize, i64)| {
                (n, if Some(n) == largest { balance.saturating_sub(missing) } else { balance })
            };
            return Some((Fit::Tolerance, balances.into_iter().map(part).collect()));
        }
        if let Some(parts) = self.discounted(set, false) {
            return Some((Fit::LateDiscount, parts));
        }
        let mut left = self.amount;
        let fill = |(n, balance): (usize, i64)| {
            let part = balance.min(left);
            left = left.saturating_sub(part);
            (n, part)
        };
        Some((Fit::Short, balances.into_iter().map(fill).collect()))
    }

    /// What each gets if the discounts were taken, those in time or all, to a minor unit each for rounding.
    fn discounted(&self, set: &BTreeSet<usize>, in_time: bool) -> Option<Vec<(usize, i64)>> {
        let mut parts = Vec::with_capacity(set.len());
        let mut discounts = Vec::new();
        for n in set {
            let it = self.at(*n)?;
            let balance = it.balance.amount;
            let discount = it.discount.filter(|terms| !in_time || self.payment.received_on <= terms.until);
            let less = discount
                .filter(|_| it.balance == it.total)
                .map_or(0, |terms| share(balance, terms.basis_points));
            if less > 0 {
                discounts.push(parts.len());
            }
            parts.push((*n, balance.saturating_sub(less)));
        }
        let mut off = self.amount.checked_sub(sum(parts.iter().map(|(_, part)| *part))?)?;
        if discounts.is_empty() || off.unsigned_abs() > u64::try_from(discounts.len()).ok()? {
            return None;
        }
        for place in discounts {
            let step = off.signum();
            let (n, part) = parts.get_mut(place)?;
            let balance = self.open.get(*n)?.balance.amount;
            let moved = part.checked_add(step)?;
            if (1..=balance).contains(&moved) {
                *part = moved;
                off = off.saturating_sub(step);
            }
        }
        (off == 0 && parts.iter().all(|(_, part)| *part > 0)).then_some(parts)
    }

    /// How the payer compares with these invoices' customers, and in words.
    fn standing(&self, set: &BTreeSet<usize>) -> (Standing, Option<Reason>) {
        let levels: Vec<_> = self.of(set).map(|it| self.payer(it.customer)).collect();
        let least = levels.iter().copied().min().unwrap_or(Payer::Unknown);
        let told = self.payment.customer.is_some();
        if least < Payer::Named {
            let surer = if least == Payer::Unknown { Payer::Similar } else { Payer::Named };
            let own = |it: &Candidate| self.payer(it.customer) >= surer && it.balance.amount == self.amount;
            let partly = levels.iter().any(|level| *level >= surer);
            if told || !partly && self.open.iter().any(|it| own(it)) {
                return (Standing::Other, Some(Reason::PayerIsAnother));
            }
        }
        match least {
            Payer::Unknown => (Standing::Unknown, None),
            Payer::Similar => (Standing::Similar, Some(Reason::PayerSimilar)),
            Payer::Named => (Standing::Agrees, Some(Reason::PayerNamed)),
            Payer::Seen => (Standing::Agrees, Some(Reason::PayerSeen)),
            Payer::Told => (Standing::Agrees, Some(Reason::PayerTold)),
        }
    }

    fn by_standing(&self, set: &BTreeSet<usize>, [agrees, similar, unknown]: [u16; 3]) -> u16 {
        match self.standing(set).0 {
            Standing::Agrees => agrees,
            Standing::Similar => similar,
            Standing::Unknown => unknown,
            Standing::Other => 0,
        }
    }

    /// Another invoice of these customers, or of the payer's, that is open with exactly the payment's amount.
    fn fits_exactly(&self, set: &BTreeSet<usize>) -> Option<&'a Candidate> {
        let customers: BTreeSet<_> = self.of(set).map(|it| it.customer).collect();
        let others =
            (0..).zip(&self.open).filter(|(n, it)| it.balance.amount == self.amount && !set.contains(n));
        others
            .map(|(_, it)| *it)
            .find(|it| customers.contains(&it.customer) || self.payer(it.customer).agrees())
    }

    /// Whether no other open invoice has the payment's amount, and the payer is nobody else.
    fn only_of_amount(&self, set: &BTreeSet<usize>) -> bool {
        let same = self.open.iter().filter(|it| it.balance.amount == self.amount).count();
        let only = if set.len() == 1 { same == 1 && !self.more_of_amount } else { same == 0 };
        let known = self.payers.values().any(|level| level.agrees());
        only && (!known || self.standing(set).0 == Standing::Agrees)
    }

    // ---- The answer ----------------------------------------------------------------------------------------------------

    fn answer(self) -> Suggested {
        let currency = self.payment.unapplied.currency;
        let mut all: Vec<_> = self.made.into_iter().filter(|(parts, _)| !parts.is_empty()).collect();
        let place: BTreeMap<InvoiceId, usize> = self.open.iter().map(|it| it.id).zip(0..).collect();
        for (parts, _) in &mut all {
            parts.sort_by_key(|(id, _)| place.get(id).copied());
        }
        all.sort_by(|(a, one), (b, other)| {
            let places = |parts: &[(InvoiceId, i64)]| {
                parts.iter().filter_map(|(id, _)| place.get(id).copied()).collect::<Vec<_>>()
            };
            (Reverse(one.confidence), a.len())
                .cmp(&(Reverse(other.confidence), b.len()))
                .then_with(|| places(a).cmp(&places(b)))
        });
        let threshold = self.rules.automatic_from.max(Confidence::AUTOMATIC).thousandths();
        let best = all.first().map_or(0, |(_, made)| made.confidence);
        let second = all.get(1).map_or(0, |(_, made)| made.confidence);
        let verdict = if best < Confidence::SHOWN.thousandths() {
            Verdict::Ask(Why::NothingFits)
        } else if best == second {
            Verdict::Ask(Why::Tie)
        } else if best < threshold {
            Verdict::Ask(Why::Unsure)
        } else if best.saturating_sub(second) < Confidence::LEAD {
            Verdict::Ask(Why::NearlyAsGood)
        } else if !self.gave_up.is_empty() {
            Verdict::Ask(Why::StoppedEarly)
        } else {
            Verdict::Automatic
        };
        let shown = all.into_iter().filter(|(_, made)| made.confidence >= Confidence::SHOWN.thousandths());
        let suggestions = shown.take(MAX_SUGGESTIONS).map(|(parts, made)| {
            let applied = parts.iter().fold(0_i64, |sum, (_, part)| sum.saturating_add(*part));
            Suggestion {
                unapplied: Money::new(self.amount.saturating_sub(applied), currency),
                left_open: Money::new(made.left_open, currency),
                allocations: parts.into_iter().map(|(id, part)| (id, Money::new(part, currency))).collect(),
                confidence: Confidence::new(made.confidence),
                reasons: made.reasons,
            }
        });
        Suggested { suggestions: suggestions.collect(), verdict, gave_up: self.gave_up.first().copied() }
    }
}

fn note(mention: &Mention, number: &str) -> Reason {
    let number = number.to_owned();
    let nearly = |how| Reason::Nearly { number: number.clone(), how };
    match mention.form {
        Form::Written => Reason::Named { number },
        Form::Listed => Reason::Listed { number },
        Form::CheckDigits if mention.grade == Grade::Exact => Reason::CheckDigits { number },
        Form::CheckDigits => nearly(Nearly::Embedded),
        Form::Unlabelled => nearly(Nearly::Unlabelled),
        Form::Joined => nearly(Nearly::Joined),
        Form::Confused => nearly(Nearly::Confused),
        Form::Shortened => nearly(Nearly::Shortened),
        Form::OtherPrefix => nearly(Nearly::OtherPrefix),
        Form::Doubtful => nearly(Nearly::Doubtful),
        Form::Mistyped => nearly(Nearly::Mistyped),
    }
}

fn sum(mut amounts: impl Iterator<Item = i64>) -> Option<i64> {
    amounts.try_fold(0, i64::checked_add)
}

fn sum_of<'c>(invoices: impl Iterator<Item = &'c Candidate>) -> Option<i64> {
    sum(invoices.map(|it| it.balance.amount))
}

/// So many hundredths of a percent of an amount, rounded half up.
fn share(amount: i64, basis_points: u16) -> i64 {
    let exact = i128::from(amount).saturating_mul(i128::from(basis_points)).saturating_add(5_000) / 10_000;
    i64::try_from(exact).unwrap_or(i64::MAX)
}
