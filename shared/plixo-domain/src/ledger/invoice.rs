//! Invoices, and how they serve the claims that payments have on them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Asked, Checkout, Private};
use crate::id::{AllocationId, CustomerId, Ids, InvoiceId, made_at};
use crate::money::{Money, MoneyError};
use crate::webhook::ExternalRef;

/// How an invoice was left by the people who make it. What its payments make of that is its [`InvoiceStatus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceState {
    /// Being written.
    Draft,
    /// Sent: owed.
    Open,
    /// Withdrawn.
    Void,
    /// Owed, but nobody expects it.
    Uncollectible,
}

/// An invoice's status as the contract names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words")]
pub enum InvoiceStatus {
    Draft,
    Open,
    PartiallyPaid,
    Paid,
    Void,
    Uncollectible,
}

impl InvoiceStatus {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::PartiallyPaid => "partially_paid",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Line {
    /// What was sold.
    pub description: String,
    /// How many: a decimal.
    #[serde(deserialize_with = "decimal::read")]
    pub quantity: Decimal,
    /// The price of one, before tax.
    pub unit_price: Money,
    /// The tax rate in percent.
    #[serde(default, deserialize_with = "decimal::read_some", skip_serializing_if = "Option::is_none")]
    pub tax_percent: Option<Decimal>,
}

crate::objects!(Line);

/// Decimals as people and programs write them: digits, and a point. The library would take `1_000` and `+1` as well.
mod decimal {
    use rust_decimal::Decimal;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer};

    pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
        parse(&String::deserialize(from)?)
    }

    pub(super) fn read_some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Decimal>, D::Error> {
        Option::<String>::deserialize(from)?.map(|text| parse(&text)).transpose()
    }

    fn parse<E: Error>(text: &str) -> Result<Decimal, E> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let plain = match unsigned.split_once('.') {
            Some((whole, rest)) => digits(whole) && digits(rest),
            None => digits(unsigned),
        };
        let number = plain.then(|| text.parse().ok()).flatten();
        number.ok_or_else(|| E::custom("has to be a decimal such as 1.5"))
    }
}

/// What an invoice says in words: sealed under the organisation's key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InvoiceBody {
    /// Its lines.
    pub lines: Vec<Line>,
    /// A note to the payer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memo: Option<String>,
}

impl InvoiceBody {
    /// The same without the memo and without what was sold: what was owed, and the rates of tax, stay.
    #[must_use]
    pub fn without_words(self) -> Self {
        let bare = |line: Line| Line { description: ERASED.to_owned(), ..line };
        Self { lines: self.lines.into_iter().map(bare).collect(), memo: None }
    }

    /// The same without the memo, and with [`ERASED`] in the place of each of those texts, of whatever case.
    #[must_use]
    pub fn without(self, texts: &[String]) -> Self {
        let bare = |line: Line| Line { description: masked(&line.description, texts), ..line };
        Self { lines: self.lines.into_iter().map(bare).collect(), memo: None }
    }

    /// The sum of the lines, each rounded half-even with its tax.
    ///
    /// # Errors
    /// [`InvoiceError`] for no lines, a sum below zero, and sums that cannot be made.
    pub fn total(&self) -> Result<Money, InvoiceError> {
        let mut totals = self
            .lines
            .iter()
            .map(|line| line.unit_price.line_total(line.quantity, line.tax_percent.unwrap_or_default()));
        let first = totals.next().ok_or(InvoiceError::NoLines)??;
        let total = totals.try_fold(first, |sum, line| sum.plus(line?))?;
        if total.amount < 0 { Err(InvoiceError::Negative) } else { Ok(total) }
    }
}

/// What stands where something personal stood.
pub const ERASED: &str = "[erased]";

/// A text with [`ERASED`] in the place of each of those, of whatever case.
#[must_use]
pub fn masked(text: &str, texts: &[String]) -> String {
    let mut masked = text.to_owned();
    for wanted in texts.iter().map(|it| it.trim().to_lowercase()).filter(|it| it.chars().count() >= 3) {
        let mut from = 0;
        while let Some((start, end)) = find(&masked, &wanted, from) {
            masked.replace_range(start..end, ERASED);
            from = start.saturating_add(ERASED.len());
        }
    }
    masked
}

/// Where a text begins and ends in another, without regard to case, after some place.
fn find(text: &str, lower: &str, from: usize) -> Option<(usize, usize)> {
    let starts = text.char_indices().map(|(at, _)| at).filter(|at| *at >= from);
    starts.into_iter().find_map(|start| {
        let mut wanted = lower.chars();
        let mut next = wanted.next();
        for (at, c) in text.get(start..)?.char_indices() {
            for c in c.to_lowercase() {
                if next != Some(c) {
                    return None;
                }
                next = wanted.next();
            }
            if next.is_none() {
                return Some((start, start.saturating_add(at).saturating_add(c.len_utf8())));
            }
        }
        None
    })
}

/// Why an invoice cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvoiceError {
    /// An invoice has at least one line.
    #[error("an invoice needs at least one line")]
    NoLines,
    /// Its lines sum up to less than nothing.
    #[error("the lines of an invoice cannot sum up to less than nothing")]
    Negative,
    /// Its lines cannot be summed up.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// What a payment asks of an invoice, and what it got: the invoice's side of an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose.
    pub payment: ExternalRef,
    /// When the money was received, Unix seconds: of the payments that name the invoice, earlier money is served first.
    pub received_at: i64,
    /// What the payment can give.
    pub wanted: Money,
    /// What of it the invoice took, minor units: nothing unless it is owed, in that currency.
    pub applied: i64,
    /// The allocation that this is.
    pub allocation: AllocationId,
    /// Whether a person chose it. Else the payment's provider names the invoice.
    pub chosen: bool,
}

/// What a payment asks of one invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    /// The allocation that a person chose; `None`: the provider names the invoice.
    pub(super) chosen: Option<AllocationId>,
    pub(super) received_at: i64,
    pub(super) wanted: Money,
}

/// An allocation whose amount changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) payment: ExternalRef,
    pub(super) invoice: InvoiceId,
    pub(super) customer: CustomerId,
    pub(super) allocation: AllocationId,
    /// What it is now, minor units. None: the allocation is gone.
    pub(super) amount: i64,
}

/// Who gets what of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// All claims are served anew, in their order.
    Whole,
    /// Only the asking payment's shares change, within what nobody else has.
    Own,
}

/// An invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Its id.
    pub id: InvoiceId,
    /// Its number, unique in its organisation.
    pub number: String,
    /// Who owes it.
    pub customer_id: CustomerId,
    /// How it was left.
    pub state: InvoiceState,
    /// What is owed in all.
    pub total: Money,
    /// When it was sent.
    pub issued_on: Option<Date>,
    /// When it is to be paid.
    pub due_on: Option<Date>,
    /// Lines and memo.
    pub body: Private<InvoiceBody>,
    /// What payments ask of it: those that people chose for it, and those that name it.
    pub claims: BTreeMap<AllocationId, Claim>,
    /// The last time that a payer began to pay it.
    pub checkout: Option<Checkout>,
    /// That payers asked for a fresh link to it.
    pub asked: Option<Asked>,
    /// When it was last withdrawn or given up, as far as that was noted.
    pub ended_at: Option<Timestamp>,
    /// Its name at the ERP that told of it.
    pub reference: Option<ExternalRef>,
    /// Whether its customer was erased: then its words are without what is personal, and no new ones are taken.
    pub erased: bool,
}

/// So many claims has an invoice at most. Those that people chose stay; of the payments that name it, only the earliest money
/// has one, and further payments stay unapplied. One event may change what all of them got, and all of that is one
/// transaction: see [`MAX_TOUCHED`](super::MAX_TOUCHED).
pub const MAX_CLAIMS: usize = 40;

impl Invoice {
    /// What of it is paid, minor units.
    #[must_use]
    pub fn allocated(&self) -> i64 {
        self.claims.values().fold(0, |sum, claim| sum.saturating_add(claim.applied))
    }

    /// What of it is not paid: its total less its allocations, never below zero.
    #[must_use]
    pub fn balance(&self) -> Money {
        Money { amount: self.total.amount.saturating_sub(self.allocated()), ..self.total }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> InvoiceStatus {
        match self.state {
            InvoiceState::Draft => InvoiceStatus::Draft,
            InvoiceState::Void => InvoiceStatus::Void,
            _ if self.balance().amount == 0 => InvoiceStatus::Paid,
            InvoiceState::Uncollectible => InvoiceStatus::Uncollectible,
            InvoiceState::Open if self.allocated() > 0 => InvoiceStatus::PartiallyPaid,
            InvoiceState::Open => InvoiceStatus::Open,
        }
    }

    /// Whether something of it is left to pay, and asked for.
    #[must_use]
    pub fn takes_payment(&self) -> bool {
        matches!(
            self.status(),
            InvoiceStatus::Open | InvoiceStatus::PartiallyPaid | InvoiceStatus::Uncollectible
        )
    }

    /// Whether it is owed, and somebody expects it.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.state == InvoiceState::Open && self.balance().amount > 0
    }

    /// Its last day as far as it tells: when it was made, sent, due, withdrawn or given up, or money for it was received or applied.
    #[must_use]
    pub fn active_at(&self) -> Timestamp {
        let day = |day: Option<Date>| Some(day?.to_zoned(TimeZone::UTC).ok()?.timestamp());
        let days = [day(self.issued_on), day(self.due_on), self.ended_at].into_iter().flatten();
        let paid = self.claims.values().filter(|claim| claim.applied > 0);
        let paid = paid.flat_map(|claim| {
            let received = Timestamp::from_second(claim.received_at).ok();
            [received, Some(made_at(&claim.allocation))].into_iter().flatten()
        });
        days.chain(paid).fold(made_at(&self.id), Timestamp::max)
    }

    /// The same withdrawn or given up at that time.
    pub(super) fn ended(self, state: InvoiceState, now: Timestamp) -> Self {
        Self { state, ended_at: Some(now), ..self }
    }

    /// Sets what `payment` asks, in the place of what it asked before, and serves.
    pub(super) fn hear(&mut self, payment: &ExternalRef, asks: Vec<Ask>, service: Service, ids: &mut Ids) {
        let before = std::mem::take(&mut self.claims);
        let named = before.values().find(|claim| !claim.chosen && claim.payment == *payment);
        let named = named.map(|claim| claim.allocation);
        for Ask { chosen, received_at, wanted } in asks {
            let allocation = chosen.or(named).unwrap_or_else(|| ids.make());
            let applied = before.get(&allocation).map_or(0, |claim| claim.applied);
            let (payment, chosen) = (payment.clone(), chosen.is_some());
            let claim = Claim { payment, received_at, wanted, applied, allocation, chosen };
            self.claims.insert(allocation, claim);
        }
        self.claims.extend(before.into_iter().filter(|(_, claim)| claim.payment != *payment));
        while self.claims.len() > MAX_CLAIMS {
            let named = self.claims.values().filter(|claim| !claim.chosen);
            let out = named.filter(|claim| service == Service::Whole || claim.payment == *payment);
            let Some(latest) = out.max_by_key(|claim| (claim.received_at, &claim.payment)) else { break };
            let latest = latest.allocation;
            self.claims.remove(&latest);
        }
        match service {
            Service::Whole => self.serve(),
            Service::Own => self.serve_only(payment),
        }
    }

    /// Serves all claims anew: what people chose in the order of their choosing, then the payments that name the invoice,
    /// earliest money first.
    pub(super) fn serve(&mut self) {
        let (mut left, currency) = (self.owed(), self.total.currency);
        for claim in self.in_order() {
            claim.applied = if claim.wanted.currency == currency { claim.wanted.amount.min(left) } else { 0 };
            left = left.saturating_sub(claim.applied);
        }
    }

    /// Lets `payment` have what it asks as far as that takes nothing from another one.
    fn serve_only(&mut self, payment: &ExternalRef) {
        let (owed, currency) = (self.owed(), self.total.currency);
        let can = |claim: &Claim| {
            if claim.wanted.currency == currency { claim.wanted.amount } else { 0 }
        };
        for claim in self.claims.values_mut().filter(|claim| claim.payment == *payment) {
            claim.applied = claim.applied.min(can(claim));
        }
        let mut left = owed.saturating_sub(self.allocated()).max(0);
        for claim in self.in_order().into_iter().filter(|claim| claim.payment == *payment) {
            let more = can(claim).saturating_sub(claim.applied).min(left);
            claim.applied = claim.applied.saturating_add(more);
            left = left.saturating_sub(more);
        }
    }

    fn owed(&self) -> i64 {
        let owed = matches!(self.state, InvoiceState::Open | InvoiceState::Uncollectible);
        if owed { self.total.amount } else { 0 }
    }

    /// The claims as they are served. Allocation ids begin with the time of their making.
    fn in_order(&mut self) -> Vec<&mut Claim> {
        let mut claims: Vec<_> = self.claims.values_mut().collect();
        claims.sort_by(|a, b| match (a.chosen, b.chosen) {
            (true, true) => a.allocation.cmp(&b.allocation),
            (false, false) => (a.received_at, &a.payment).cmp(&(b.received_at, &b.payment)),
            _ => b.chosen.cmp(&a.chosen),
        });
        claims
    }

    /// The allocations whose amount is another than in `before`.
    pub(super) fn shares_since(&self, before: &Self) -> Vec<Share> {
        let took = |of: &Self, id: &AllocationId| of.claims.get(id).map_or(0, |claim| claim.applied);
        let all: BTreeMap<_, _> = before.claims.iter().chain(&self.claims).collect();
        let changed = all.into_iter().filter(|(id, _)| took(before, id) != took(self, id));
        let share = |(id, claim): (&AllocationId, &Claim)| Share {
            payment: claim.payment.clone(),
            invoice: self.id,
            customer: self.customer_id,
            allocation: *id,
            amount: took(self, id),
        };
        changed.map(share).collect()
    }
}
