//! Which invoices a reference may name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::settle::need;
use super::{Book, Kept, Unread};
use crate::id::{CustomerId, InvoiceId};
use crate::reference::{ReferenceKey, reference_key};

/// The invoices whose numbers have a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceReference {
    /// The key.
    pub key: ReferenceKey,
    /// The invoices that were sent, or told of, under such a number, each with its customer.
    pub invoices: BTreeMap<InvoiceId, CustomerId>,
}

impl InvoiceReference {
    /// So many invoices are kept of one key. Two are enough for a person to be asked.
    pub const MOST: usize = 8;
}

/// The rows of an invoice's number, and of the one that it gives up, read and ready to be changed.
pub(super) struct References {
    taken: InvoiceReference,
    given_up: Option<InvoiceReference>,
}

impl References {
    /// Reads what an invoice that takes a number, and perhaps gives one up, will change.
    pub(super) fn read(book: &Book, number: &str, given_up: Option<&str>) -> Result<Self, Unread> {
        let (key, had) = (reference_key(number), given_up.map(reference_key));
        let had = had.filter(|had| *had != key);
        need(book, had.iter().chain([&key]).map(InvoiceReference::key))?;
        let row = |key: ReferenceKey| {
            let known = book.get::<InvoiceReference>(&key)?.cloned();
            Ok(known.unwrap_or(InvoiceReference { key, invoices: BTreeMap::new() }))
        };
        Ok(Self { taken: row(key)?, given_up: had.map(row).transpose()? })
    }

    /// Enters it in the book, where all of it was read.
    pub(super) fn enter(
        self,
        book: &mut Book,
        invoice: InvoiceId,
        customer: CustomerId,
    ) -> Result<(), Unread> {
        let Self { mut taken, given_up } = self;
        if let Some(mut given_up) = given_up {
            given_up.invoices.remove(&invoice);
            if given_up.invoices.is_empty() {
                book.remove::<InvoiceReference>(&given_up.key)?;
            } else {
                book.put(given_up)?;
            }
        }
        if taken.invoices.contains_key(&invoice) || taken.invoices.len() < InvoiceReference::MOST {
            taken.invoices.insert(invoice, customer);
        }
        if taken.invoices.is_empty() { Ok(()) } else { book.put(taken) }
    }
}
