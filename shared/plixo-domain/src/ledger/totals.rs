//! What an organisation is owed and has received, summed up: one row, however much the ledger holds
//! (`docs/adr/0011-totals-follow-the-ledger.md`).

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Book, Invoice, InvoiceState, InvoiceStatus, Payment, RowKey, Unread};
use crate::id::InvoiceId;
use crate::money::{Currency, Money, MoneyError};
use crate::webhook::ExternalRef;

/// So many days ahead have a sum of their own, of all currencies together. What is due on a further one is open, and never
/// overdue. It keeps the row well under what an item holds.
pub const MAX_DAYS: usize = 3_000;
/// So many months are kept, the running one included.
pub const KEPT_MONTHS: i32 = 36;
/// So many months are shown, the running one included.
const SHOWN_MONTHS: i32 = 12;

/// A row of the ledger that has a part in the totals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Countable {
    /// An invoice: what is open of it.
    Invoice(InvoiceId),
    /// A payment: what was received.
    Payment(ExternalRef),
}

impl Countable {
    /// The name of that row.
    #[must_use]
    pub fn row(&self) -> RowKey {
        match self {
            Self::Invoice(id) => RowKey::Invoice(*id),
            Self::Payment(reference) => RowKey::Payment(reference.clone()),
        }
    }
}

/// A row's part in the totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// What is open of an invoice.
    Open {
        /// How much.
        money: Money,
        /// Among what is due on that day; `None`: among what has no day of its own.
        due_on: Option<Date>,
    },
    /// What was received, less what went back.
    Received {
        /// How much.
        money: Money,
        /// The first day of the month.
        month: Date,
    },
}

/// What a row last added to the totals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Which row.
    pub of: Countable,
    /// The version that the row had: an older one is never counted after it.
    pub version: u64,
    /// What it added.
    pub share: Option<Share>,
    /// In which count of all rows: a [`Totals::round`].
    #[serde(default, skip_serializing_if = "is_first")]
    pub round: i64,
}

/// The sums of an organisation, by currency.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// What is due before this day is one sum. It only moves on.
    since: Date,
    currencies: BTreeMap<Currency, Sums>,
    /// Which count of all rows the sums are: the first is 0, another the time when it began. They hold what was counted in it.
    #[serde(default, skip_serializing_if = "is_first")]
    round: i64,
    /// The sums of the next count, while there is one. What is counted then is in both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

/// A count of all rows that is not done yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Next {
    round: i64,
    currencies: BTreeMap<Currency, Sums>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(round: &i64) -> bool {
    *round == 0
}

/// The sums of one currency, minor units.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Sums {
    /// Open and due before [`Totals::since`].
    past: i64,
    /// Open, by the day on which it is due.
    due: BTreeMap<Date, i64>,
    /// Open, and due on no day that has a sum.
    later: i64,
    /// Received, by the first day of the month.
    received: BTreeMap<Date, i64>,
}

/// The money of one currency on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The currency.
    pub currency: Currency,
    /// What is owed in all.
    pub open: Money,
    /// What of that is past its day.
    pub overdue: Money,
    /// What was received in each of the last 12 months, by the month's first day, the running month last.
    pub months: Vec<(Date, Money)>,
}

/// Why a row was not counted. The book is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CountError {
    /// Rows were not read.
    #[error("rows are not read yet")]
    Unread(Vec<RowKey>),
    /// The sums cannot be made.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl From<Unread> for CountError {
    fn from(Unread(keys): Unread) -> Self {
        Self::Unread(keys)
    }
}

/// Counts a row as it is now, in the place of what it added before. A row that was counted at this version or a later one
/// changes nothing, so any order and any repetition come to the same; while all rows are counted anew, it is counted once more.
/// `today` is the day in UTC.
///
/// # Errors
/// [`CountError`].
pub fn recount(book: &mut Book, of: &Countable, today: Date) -> Result<(), CountError> {
    let before = book.get::<Counted>(of)?.cloned();
    let mut totals = book.get::<Totals>(&())?.cloned().unwrap_or_default();
    totals.move_on(today)?;
    let (version, share) = match of {
        Countable::Invoice(id) => match book.get::<Invoice>(id)? {
            // Nothing is a draft again that was none.
            Some(invoice) if invoice.state == InvoiceState::Draft && before.is_none() => return Ok(()),
            found => (book.version::<Invoice>(id), found.and_then(open_of)),
        },
        Countable::Payment(name) => {
            (book.version::<Payment>(name), book.get::<Payment>(name)?.and_then(|it| totals.received_of(it)))
        }
    };
    let round = totals.next.as_ref().map_or(totals.round, |next| next.round);
    let is_counted = before.as_ref().is_some_and(|before| before.round == round);
    let is_gone = version.is_none();
    // A row that is gone stays gone: then what was counted of its last version is taken back.
    let version = match (version, &before) {
        (None, None) => return Ok(()),
        (None, Some(before)) => before.version,
        (Some(version), Some(before)) if version < before.version => return Ok(()),
        (Some(version), Some(before)) if version == before.version && is_counted => return Ok(()),
        (Some(version), _) => version,
    };
    let counted = before.as_ref().and_then(|before| before.share);
    let mut added = share;
    if share != counted || (share.is_some() && !is_counted) {
        added = totals.replace(before.as_ref(), share)?;
        if added != counted || !is_counted {
            book.put(totals)?;
        }
    }
    if is_gone {
        book.remove::<Counted>(of)?;
    } else {
        book.put(Counted { of: of.clone(), version, share: added, round })?;
    }
    Ok(())
}

fn open_of(invoice: &Invoice) -> Option<Share> {
    let (money, due_on) = (invoice.balance(), invoice.due_on);
    let is_open = matches!(invoice.status(), InvoiceStatus::Open | InvoiceStatus::PartiallyPaid);
    is_open.then_some(Share::Open { money, due_on })
}

impl Share {
    fn money(&self) -> Money {
        let (Self::Open { money, .. } | Self::Received { money, .. }) = self;
        *money
    }
}

impl Totals {
    /// Puts what is past into one sum, and forgets old months. The day before `today` counts as not yet past, so that nobody
    /// whose clock is a little behind sees what is due today as overdue.
    fn move_on(&mut self, today: Date) -> Result<(), MoneyError> {
        self.since = self.since.max(today.saturating_sub(1.day()));
        let (since, first) = (self.since, self.first_month());
        let next = self.next.iter_mut().flat_map(|next| next.currencies.values_mut());
        for sums in self.currencies.values_mut().chain(next) {
            let ahead = sums.due.split_off(&since);
            let past = std::mem::replace(&mut sums.due, ahead);
            let past = past.into_values().try_fold(sums.past, i64::checked_add);
            sums.past = past.ok_or(MoneyError::Overflow)?;
            sums.received = sums.received.split_off(&first);
        }
        Ok(())
    }

    fn first_month(&self) -> Date {
        self.since.first_of_month().saturating_sub(KEPT_MONTHS.saturating_sub(1).months())
    }

    /// What was received by a payment, if in a month that is kept. What is said to come from further ahead than the next month
    /// is not counted, so that the months are few.
    fn received_of(&self, payment: &Payment) -> Option<Share> {
        let month = payment.received_on()?.first_of_month();
        let money = Money::new(payment.net(), payment.amount()?.currency);
        let last = self.since.first_of_month().saturating_add(2.months());
        let kept = money.amount > 0 && month >= self.first_month() && month < last;
        kept.then_some(Share::Received { money, month })
    }

    /// Takes away what a row added before, of the counts that hold it, and adds another share to each. Answers what was added.
    fn replace(&mut self, before: Option<&Counted>, new: Option<Share>) -> Result<Option<Share>, MoneyError> {
        let new = new.map(|share| self.with_room(share));
        let (round, since, first) = (self.round, self.since, self.first_month());
        let old = |held: bool| before.and_then(|before| before.share).filter(|_| held);
        let is_of = |round: i64| before.is_some_and(|before| before.round == round);
        let in_next = self.next.as_ref().is_some_and(|next| is_of(next.round));
        exchange(&mut self.currencies, (old(in_next || is_of(round)), new), (since, first))?;
        if let Some(next) = &mut self.next {
            exchange(&mut next.currencies, (old(in_next), new), (since, first))?;
        }
        Ok(new)
    }

    /// The share, without its day if there are too many days.
    fn with_room(&self, share: Share) -> Share {
        let Share::Open { money, due_on: Some(day) } = share else { return share };
        let currencies = self.next.as_ref().map_or(&self.currencies, |next| &next.currencies);
        let known = currencies.get(&money.currency).is_some_and(|sums| sums.due.contains_key(&day));
        let days = currencies.values().fold(0_usize, |days, sums| days.saturating_add(sums.due.len()));
        let has_room = day < self.since || known || days < MAX_DAYS;
        Share::Open { money, due_on: has_room.then_some(day) }
    }

    /// Begins to count all rows anew. `round` is no earlier count's: the time, in microseconds. The sums stay what they are
    /// until [`Totals::finish`]; a count that was begun and not finished goes on. Where there are no totals, or none that can
    /// be read, the new count is what is shown.
    #[must_use]
    pub fn begin(totals: Option<Self>, round: i64) -> Self {
        match totals {
            None => Self { round, ..Self::default() },
            Some(Self { next: None, since, currencies, round: shown }) => {
                let next = Some(Next { round, currencies: BTreeMap::new() });
                Self { since, currencies, round: shown, next }
            }
            Some(begun) => begun,
        }
    }

    /// All rows were counted: the sums are those of the new count from now on.
    #[must_use]
    pub fn finish(self) -> Self {
        match self.next {
            Some(Next { round, currencies }) => Self { since: self.since, currencies, round, next: None },
            None => self,
        }
    }

    /// The money of each currency that there is any in, as it stands on that day in UTC.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn overview(&self, today: Date) -> Result<Vec<Overview>, MoneyError> {
        self.currencies.iter().map(|(currency, sums)| sums.overview(*currency, today)).collect()
    }
}

/// Takes one share away and adds another, where what is due before a day is past, and months before another are forgotten.
fn exchange(
    currencies: &mut BTreeMap<Currency, Sums>,
    (old, new): (Option<Share>, Option<Share>),
    (since, first): (Date, Date),
) -> Result<(), MoneyError> {
    if let Some(old) = old {
        let less = old.money().amount.checked_neg().ok_or(MoneyError::Overflow)?;
        currencies.entry(old.money().currency).or_default().add(&old, less, since, first)?;
    }
    if let Some(new) = new {
        let more = new.money().amount;
        currencies.entry(new.money().currency).or_default().add(&new, more, since, first)?;
    }
    for sums in currencies.values_mut() {
        sums.due.retain(|_, sum| *sum != 0);
        sums.received.retain(|_, sum| *sum != 0);
    }
    currencies.retain(|_, sums| *sums != Sums::default());
    Ok(())
}

impl Sums {
    fn add(&mut self, share: &Share, amount: i64, since: Date, first: Date) -> Result<(), MoneyError> {
        let sum = match share {
            Share::Open { due_on: None, .. } => &mut self.later,
            Share::Open { due_on: Some(day), .. } if *day < since => &mut self.past,
            Share::Open { due_on: Some(day), .. } => self.due.entry(*day).or_default(),
            // It is forgotten already.
            Share::Received { month, .. } if *month < first => return Ok(()),
            Share::Received { month, .. } => self.received.entry(*month).or_default(),
        };
        *sum = sum.checked_add(amount).ok_or(MoneyError::Overflow)?;
        Ok(())
    }

    fn overview(&self, currency: Currency, today: Date) -> Result<Overview, MoneyError> {
        let add = |sum: Money, more: &i64| sum.plus(Money::new(*more, currency));
        let past = Money::new(self.past, currency);
        let overdue = self.due.range(..today).map(|(_, sum)| sum).try_fold(past, add)?;
        let open = self.due.range(today..).map(|(_, sum)| sum).try_fold(overdue, add)?;
        let month = |back: i32| {
            let month = today.first_of_month().saturating_sub(back.months());
            let received = self.received.get(&month).copied().unwrap_or_default();
            (month, Money::new(received, currency))
        };
        let months = (0..SHOWN_MONTHS).rev().map(month).collect();
        Ok(Overview { currency, open: add(open, &self.later)?, overdue, months })
    }
}

#[cfg(test)]
mod tests;
