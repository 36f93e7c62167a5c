//! Money received, open and overdue.

use askama::Template;
use jiff::civil::Date;
use plixo_domain::money::{Currency, Money};

use crate::chart::{Chart, Owed};
use crate::frame::{Frame, Membership};
use crate::page::pages;

/// `GET /orgs/{org}`.
#[derive(Clone, Template)]
#[template(path = "overview.html")]
pub struct Overview {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// One for each currency that the organisation has money in; none for a new organisation.
    pub currencies: Vec<MoneyOverview>,
}

/// The money of one currency, all of it minor units.
#[derive(Clone)]
pub struct MoneyOverview {
    /// The currency.
    pub currency: Currency,
    /// What was received in each of the last months, the oldest first, the running month last.
    pub months: Vec<Month>,
    /// What is owed in all.
    pub open: i64,
    /// What of that is past its day.
    pub overdue: i64,
}

/// What was received in a month.
#[derive(Clone)]
pub struct Month {
    /// Its first day.
    pub first_day: Date,
    /// Minor units, less what was refunded.
    pub received: i64,
}

impl MoneyOverview {
    fn money(&self, amount: &i64) -> Money {
        Money::new(*amount, self.currency)
    }

    fn running(&self) -> Option<&Month> {
        self.months.last()
    }

    fn in_all(&self) -> Money {
        let sum = self.months.iter().fold(0_i64, |sum, month| sum.saturating_add(month.received));
        self.money(&sum)
    }

    fn owed(&self) -> Option<Owed> {
        Owed::new(self.currency, self.open, self.overdue)
    }

    fn chart(&self) -> Chart {
        Chart::new(self.currency, &self.months)
    }
}

pages!(Overview in Overview);
