//! Organisations.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{InvoiceId, MemberId, OrgId};
use crate::people::UnknownWord;
use crate::privacy::GRACE;
use crate::retention::Retention;

use super::LogoHash;

/// Where an organisation's data stays. Fixed when the organisation is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// In the European Union.
    Eu,
    /// In the United States.
    Us,
}

impl Residency {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eu => "eu",
            Self::Us => "us",
        }
    }
}

impl FromStr for Residency {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Eu, Self::Us].into_iter().find(|residency| residency.as_str() == text).ok_or(UnknownWord)
    }
}

/// An organisation: the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// Its id.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// Where its data stays.
    pub residency: Residency,
    /// Its Controllers who have come in.
    #[serde(default)]
    pub controllers: BTreeSet<MemberId>,
    /// What its Controllers may set.
    #[serde(default)]
    pub settings: Settings,
    /// Which logo its payers see, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<LogoHash>,
    /// That it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// That an organisation was closed: it can be opened again until its time of grace is over, and then its data key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// By whom.
    pub by: MemberId,
    /// When.
    pub at: Timestamp,
}

impl Closed {
    /// When its data key goes.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.at.saturating_add(GRACE).unwrap_or(Timestamp::MAX)
    }
}

/// What an organisation's Controllers may set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Settings {
    /// From where its staff may come (CIDR, v4 and v6); from anywhere if there is none.
    #[serde(default)]
    pub ip_allow_list: Vec<IpNet>,
    /// Whether its members must sign in with two factors.
    #[serde(default)]
    pub require_two_factor: bool,
    /// How its payments are applied to invoices.
    #[serde(default)]
    pub cash_application: CashApplication,
    /// For how long it keeps what.
    #[serde(default)]
    pub retention: Retention,
}

/// How payments are applied to invoices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CashApplication {
    /// Whether Plixo applies by itself what it is sure of.
    pub automatic: bool,
    /// How sure it has to be for that, hundredths: 95 to 100.
    pub threshold: u16,
    /// How much less than asked for counts as paid.
    pub underpayment_tolerance: UnderpaymentTolerance,
    /// Which invoices come first where money does not cover all, and the payer does not say.
    pub order: AllocationOrder,
}

impl CashApplication {
    /// No threshold is lower, hundredths.
    pub const LOWEST_THRESHOLD: u16 = 95;
}

impl Default for CashApplication {
    fn default() -> Self {
        Self {
            automatic: true,
            threshold: Self::LOWEST_THRESHOLD,
            underpayment_tolerance: UnderpaymentTolerance::default(),
            order: AllocationOrder::default(),
        }
    }
}

/// How much less than asked for counts as paid: the least of what is set, and at most 1 % and 5.00. Nothing less, if nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UnderpaymentTolerance {
    /// Hundredths of a percent of what is asked for.
    pub percent: Option<u16>,
    /// Hundredths of the currency's unit.
    pub amount: Option<u16>,
}

impl UnderpaymentTolerance {
    /// As much as can be set: 1 % and 5.00.
    pub const MOST: Self = Self { percent: Some(100), amount: Some(500) };
}

/// Which invoices come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllocationOrder {
    /// Those that are due first.
    #[default]
    OldestDueFirst,
    /// Those that were issued first.
    OldestIssuedFirst,
    /// Those with the least open.
    SmallestFirst,
    /// Those with the most open.
    LargestFirst,
}

impl AllocationOrder {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::OldestDueFirst, Self::OldestIssuedFirst, Self::SmallestFirst, Self::LargestFirst];

    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OldestDueFirst => "oldest_due_first",
            Self::OldestIssuedFirst => "oldest_issued_first",
            Self::SmallestFirst => "smallest_first",
            Self::LargestFirst => "largest_first",
        }
    }
}

impl Settings {
    /// Whether staff may come from there. From an address that is not known, only where there is no list.
    #[must_use]
    pub fn allows(&self, ip: Option<IpAddr>) -> bool {
        self.ip_allow_list.is_empty()
            || ip.is_some_and(|ip| self.ip_allow_list.iter().any(|net| net.contains(&ip.to_canonical())))
    }
}

/// Which invoice has a number: what makes numbers unique in their organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceNumber {
    /// The number.
    pub number: String,
    /// Its invoice.
    pub invoice: InvoiceId,
}
