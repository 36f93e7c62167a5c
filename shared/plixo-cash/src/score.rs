//! How sure an explanation is: the README's table.

use std::fmt;

use plixo_domain::money::Currency;

use crate::find::Grade;

/// How sure a suggestion is, in thousandths from 0 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Confidence(u16);

impl Confidence {
    /// Suggestions under this are not shown.
    pub const SHOWN: Self = Self(600);
    /// None under this is applied automatically.
    pub const AUTOMATIC: Self = Self(950);
    /// So much surer than the next is what is applied automatically.
    pub(crate) const LEAD: u16 = 150;

    /// So many thousandths; more than 1000 are 1000.
    #[must_use]
    pub fn new(thousandths: u16) -> Self {
        Self(thousandths.min(1_000))
    }

    /// In thousandths.
    #[must_use]
    pub fn thousandths(self) -> u16 {
        self.0
    }
}

/// As a decimal: `0.975`.
impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// Which invoices come first where money does not cover all, and the payer does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Those that are due first.
    #[default]
    OldestDue,
    /// Those that were issued first.
    OldestIssued,
    /// Those with the least open.
    Smallest,
    /// Those with the most open.
    Largest,
}

/// How much less than asked for counts as paid in full: at most so many hundredths of a percent and so many hundredths of the
/// currency's unit, whichever is less. None by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tolerance {
    basis_points: u16,
    hundredths: u16,
}

impl Tolerance {
    /// As much as the contract allows: 1 % and 5.00.
    pub const MOST: Self = Self { basis_points: 100, hundredths: 500 };

    /// At most so much, and at most [`Tolerance::MOST`].
    #[must_use]
    pub fn new(basis_points: u16, hundredths: u16) -> Self {
        let most = Self::MOST;
        Self {
            basis_points: basis_points.min(most.basis_points),
            hundredths: hundredths.min(most.hundredths),
        }
    }

    /// Of a total, minor units, rounded down.
    pub(crate) fn of(self, total: i64, currency: Currency) -> i64 {
        let known = iso_currency::Currency::from_code(currency.code());
        let exponent = known.and_then(|known| known.exponent()).map_or(0, u32::from);
        let unit = 10_i128.checked_pow(exponent).unwrap_or(1);
        let by_amount = i128::from(self.hundredths).saturating_mul(unit) / 100;
        let by_share = i128::from(total).saturating_mul(i128::from(self.basis_points)) / 10_000;
        i64::try_from(by_amount.min(by_share).max(0)).unwrap_or(0)
    }
}

/// What an organisation has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// What is at least this sure may be applied automatically; under [`Confidence::AUTOMATIC`] it has no effect.
    pub automatic_from: Confidence,
    /// How much less than asked for counts as paid.
    pub tolerance: Tolerance,
    /// Which invoices come first.
    pub order: Order,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            automatic_from: Confidence::AUTOMATIC,
            tolerance: Tolerance::default(),
            order: Order::default(),
        }
    }
}

/// How the payment's amount compares with what the invoices ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    Exact,
    Discount,
    Tolerance,
    LateDiscount,
    Short,
    Over,
}

/// How the payer compares with the invoices' customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Agrees,
    Similar,
    Unknown,
    /// The payer is another customer, who has an invoice of this amount or was named with the payment.
    Other,
}

/// What ties the payment to the invoices, beside the amount and the payer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tie {
    /// The payer's own list of invoices and amounts.
    Instructed,
    /// The text, of the least sure invoice.
    Named(Grade),
    /// Nothing.
    Unnamed,
}

pub(crate) fn score(tie: Tie, fit: Fit, standing: Standing) -> u16 {
    let [agrees, similar, unknown, other] = match (tie, fit) {
        (Tie::Instructed, Fit::Exact) => [990, 985, 980, 900],
        (Tie::Instructed, _) => [900, 880, 880, 750],
        (Tie::Named(Grade::Exact), Fit::Exact) => [990, 975, 970, 900],
        (Tie::Named(Grade::Exact), Fit::Discount) => [980, 965, 960, 880],
        (Tie::Named(Grade::Exact), Fit::Tolerance) => [970, 960, 955, 870],
        (Tie::Named(Grade::Exact), Fit::LateDiscount) => [900, 870, 860, 750],
        (Tie::Named(Grade::Exact), Fit::Short | Fit::Over) => [890, 850, 840, 700],
        (Tie::Named(Grade::Near), Fit::Exact) => [955, 860, 800, 620],
        (Tie::Named(Grade::Near), Fit::Discount) => [900, 800, 760, 600],
        (Tie::Named(Grade::Near), Fit::Tolerance) => [880, 760, 720, 0],
        (Tie::Named(Grade::Near), _) => [780, 660, 0, 0],
        (Tie::Named(Grade::Weak), Fit::Exact) => [830, 780, 700, 500],
        (Tie::Named(Grade::Weak), Fit::Discount | Fit::Tolerance) => [780, 700, 0, 0],
        (Tie::Named(Grade::Weak), _) => [0; 4],
        (Tie::Unnamed, Fit::Exact) => [800, 740, 650, 0],
        (Tie::Unnamed, Fit::Discount) => [720, 660, 0, 0],
        (Tie::Unnamed, Fit::Tolerance) => [700, 640, 0, 0],
        (Tie::Unnamed, _) => [0; 4],
    };
    match standing {
        Standing::Agrees => agrees,
        Standing::Similar => similar,
        Standing::Unknown => unknown,
        Standing::Other => other,
    }
}

/// What takes the place of the table's figure, or is the most that is left of it.
pub(crate) mod special {
    /// Nearly the number, and of all open invoices the only one of this amount; or nearly the numbers of several with this sum,
    /// which none has alone: two independent signs.
    pub(crate) const NEAR_AND_ONLY_AMOUNT: u16 = 955;
    /// The number itself, though nothing says whose it is, and a payer who may be the customer.
    pub(crate) const UNLABELLED_AND_SIMILAR: u16 = 955;
    /// The same words name another candidate as well.
    pub(crate) const SHARED: u16 = 850;
    /// Another open invoice is named and left out.
    pub(crate) const LEAVES_OUT: u16 = 780;
    /// The amount does not fit exactly, and fits another invoice of the customer exactly.
    pub(crate) const FITS_ANOTHER: u16 = 900;
    /// Other open invoices have the same amount.
    pub(crate) const SAME_AMOUNT: [u16; 3] = [700, 640, 550];
    /// The sum of several invoices that are not named: the only one, one of several, one that may have others beside it.
    pub(crate) const ONLY_SUM: [u16; 2] = [780, 690];
    pub(crate) const ONE_SUM: [u16; 2] = [680, 620];
    pub(crate) const A_SUM: [u16; 2] = [660, 610];
    /// The named ones and others of the same customer make up the sum.
    pub(crate) const NAMED_AND_OTHERS: u16 = 720;
    /// Money of a customer that names nothing and fits nothing, applied in order.
    pub(crate) const ON_ACCOUNT: u16 = 610;
    /// All that is open of a customer: people pay their statement.
    pub(crate) const ALL_OPEN: u16 = 790;
}
