//! Organisations.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::id::{InvoiceId, MemberId, OrgId};
use crate::people::UnknownWord;

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
