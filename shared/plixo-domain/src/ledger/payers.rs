//! Whose invoices payers have paid before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::CustomerId;

/// Of so many customers is it remembered that a payer paid for them.
const MAX_CUSTOMERS: usize = 20;

/// A keyed hash, in hexadecimal, of a payer's name as names are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PayerHash(pub String);

/// For whom a payer has paid: how many times people, or Plixo, applied money of that payer to an invoice of each customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayerHistory {
    /// Who.
    pub payer: PayerHash,
    /// For whom, and how often.
    pub customers: BTreeMap<CustomerId, u32>,
}

impl PayerHistory {
    pub(super) fn new(payer: PayerHash) -> Self {
        Self { payer, customers: BTreeMap::new() }
    }

    pub(super) fn has_room(&self, customer: &CustomerId) -> bool {
        self.customers.len() < MAX_CUSTOMERS || self.customers.contains_key(customer)
    }

    /// Notes one more time.
    pub(super) fn note(&mut self, customer: CustomerId) {
        let times = self.customers.entry(customer).or_default();
        *times = times.saturating_add(1);
    }

    /// Takes one time back.
    pub(super) fn forget(&mut self, customer: &CustomerId) {
        if let Some(times) = self.customers.get_mut(customer) {
            *times = times.saturating_sub(1);
        }
        self.customers.retain(|_, times| *times > 0);
    }
}
