//! Invoices, and how they serve the claims that payments have on them.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Private;
use crate::id::{AllocationId, CustomerId, Ids, InvoiceId};
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

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What was sold.
    pub description: String,
    /// How many: a decimal.
    pub quantity: Decimal,
    /// The price of one, before tax.
    pub unit_price: Money,
    /// The tax rate in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_percent: Option<Decimal>,
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

/// What one payment asks of an invoice, and what it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// When the money was received, Unix seconds: earlier money is served first.
    pub received_at: i64,
    /// What is left of the payment.
    pub wanted: Money,
    /// What of it the invoice took, minor units: nothing unless it is owed, in that currency.
    pub applied: i64,
    /// The allocation that this is.
    pub allocation: AllocationId,
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
    /// The payments that name it.
    pub claims: BTreeMap<ExternalRef, Claim>,
}

/// Only the earliest money of that many payments has a claim; further payments stay unapplied. One event may change what all
/// of them got, and all of that is one transaction, of 100 rows at most.
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
            _ if self.allocated() > 0 => InvoiceStatus::PartiallyPaid,
            InvoiceState::Open => InvoiceStatus::Open,
            InvoiceState::Uncollectible => InvoiceStatus::Uncollectible,
        }
    }

    /// Sets what `payment` asks (money received at a time, Unix seconds; `None`: nothing) and serves all claims anew,
    /// earliest money first. Answers the allocation of each payment whose share changed; a share of nothing is an
    /// allocation that is gone.
    pub(super) fn claim(
        &mut self,
        payment: &ExternalRef,
        asked: Option<(i64, Money)>,
        ids: &mut Ids,
    ) -> Vec<(ExternalRef, AllocationId, i64)> {
        let before = self.claims.clone();
        match asked {
            Some((received_at, wanted)) if wanted.amount > 0 => {
                let allocation = before.get(payment).map_or_else(|| ids.make(), |claim| claim.allocation);
                self.claims.insert(payment.clone(), Claim { received_at, wanted, applied: 0, allocation });
            }
            _ => {
                self.claims.remove(payment);
            }
        }
        while self.claims.len() > MAX_CLAIMS {
            let latest = self.claims.iter().max_by_key(|(payment, claim)| (claim.received_at, *payment));
            let Some(latest) = latest.map(|(payment, _)| payment.clone()) else { break };
            self.claims.remove(&latest);
        }
        self.serve();
        let share = |claims: &BTreeMap<ExternalRef, Claim>, of| {
            claims.get(of).map_or(0, |claim: &Claim| claim.applied)
        };
        let all: BTreeMap<_, _> = before.iter().chain(&self.claims).collect();
        let changed = all.into_iter().filter(|(of, _)| share(&before, of) != share(&self.claims, of));
        changed.map(|(of, claim)| (of.clone(), claim.allocation, share(&self.claims, of))).collect()
    }

    fn serve(&mut self) {
        let owed = matches!(self.state, InvoiceState::Open | InvoiceState::Uncollectible);
        let mut left = if owed { self.total.amount } else { 0 };
        let mut claims: Vec<_> = self.claims.iter_mut().collect();
        claims.sort_by(|(a, x), (b, y)| (x.received_at, a).cmp(&(y.received_at, b)));
        for (_, claim) in claims {
            let same_currency = claim.wanted.currency == self.total.currency;
            claim.applied = if same_currency { claim.wanted.amount.min(left) } else { 0 };
            left = left.saturating_sub(claim.applied);
        }
    }
}
