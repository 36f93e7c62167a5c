//! Customers, and what providers say about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Book, Private, Stamp, Told, Unread};
use crate::id::{CustomerId, Ids};
use crate::webhook::ExternalRef;

/// A postal address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct Address {
    pub line1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    pub city: String,
    pub postal_code: String,
    pub country: String,
}

/// A customer's personal data: sealed under the customer's own key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct Personal {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_id: Option<String>,
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// Its personal data.
    pub personal: Private<Personal>,
    /// The customer's own data key, wrapped by the organisation's; made when first needed.
    pub key: Option<Vec<u8>>,
    /// The keyed hash of its email, to find it by.
    pub email_hash: Option<Vec<u8>>,
    /// When a provider last said what its personal data is.
    pub said: Option<Stamp>,
    /// Its names at providers, and whether it was deleted there.
    pub links: BTreeMap<ExternalRef, Link>,
}

/// Whether a provider still has its customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// It has.
    Live,
    /// It deleted it, for good.
    Deleted,
}

impl Customer {
    /// A customer with this personal data.
    #[must_use]
    pub fn new(id: CustomerId, personal: Personal) -> Self {
        let personal = Private::Plain(personal);
        Self { id, personal, key: None, email_hash: None, said: None, links: BTreeMap::new() }
    }
}

/// Which customer a provider's customer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerRef {
    /// The provider's name of it.
    pub reference: ExternalRef,
    /// Ours.
    pub customer: CustomerId,
}

/// A provider's news of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerNews {
    /// The provider's name of it.
    pub reference: ExternalRef,
    /// When the provider said it.
    pub stamp: Stamp,
    /// What it is now; `None`: deleted at the provider.
    pub personal: Option<Personal>,
    /// The customer that it is, as the provider's own note says.
    pub names: Option<CustomerId>,
}

/// Tells the ledger a provider's news of a customer. A deletion at the provider ends the link and leaves our record as it
/// is: what is kept, and for how long, is for the organisation's retention policy to say.
///
/// # Errors
/// [`Unread`]: these rows are needed as well. Read them and tell it again; nothing was changed.
pub fn tell_customer(book: &mut Book, news: &CustomerNews, ids: &mut Ids) -> Result<Told, Unread> {
    let linked = book.get::<CustomerRef>(&news.reference)?.map(|found| found.customer);
    let known = match linked.or(news.names) {
        Some(id) => book.get::<Customer>(&id)?.cloned(),
        None => None,
    };
    let mut customer = known.clone().unwrap_or_else(|| Customer::new(ids.make(), Personal::default()));
    let mut changed = Vec::new();
    let link = if news.personal.is_some() { Link::Live } else { Link::Deleted };
    if customer.links.get(&news.reference) < Some(&link) {
        customer.links.insert(news.reference.clone(), link);
        changed.push("external_ids");
    }
    if let Some(personal) = &news.personal
        && customer.said.as_ref() < Some(&news.stamp)
    {
        customer.said = Some(news.stamp.clone());
        customer.personal = Private::Plain(personal.clone());
        changed.extend(["name", "email", "phone", "address"]);
    }
    if changed.is_empty() {
        return Ok(Told::Known);
    }
    if linked.is_none() {
        book.put(CustomerRef { reference: news.reference.clone(), customer: customer.id })?;
    }
    if known.is_some() {
        book.put(customer)?
    } else {
        book.put_new(customer)
    }
    Ok(Told::Learned(changed))
}
