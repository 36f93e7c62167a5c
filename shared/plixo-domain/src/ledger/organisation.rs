//! Organisations.

use serde::{Deserialize, Serialize};

use crate::id::{InvoiceId, OrgId};

/// Where an organisation's data stays. Fixed when the organisation is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residency {
    /// In the European Union.
    Eu,
    /// In the United States.
    Us,
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
}

/// Which invoice has a number: what makes numbers unique in their organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceNumber {
    /// The number.
    pub number: String,
    /// Its invoice.
    pub invoice: InvoiceId,
}
