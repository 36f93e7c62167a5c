//! Customers, and what providers say about them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Book, Private, Stamp, Told, Unread};
use crate::id::{CustomerId, Ids, made_at};
use crate::privacy::Authority;
use crate::webhook::ExternalRef;

/// A postal address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
#[expect(missing_docs, reason = "the contract's words")]
pub struct Address {
    pub line1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    pub city: String,
    pub postal_code: String,
    pub country: String,
}

crate::objects!(Address);

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
    /// Its personal data, as the organisation's own people keep it.
    pub personal: Private<Personal>,
    /// Its personal data as a provider said it last, and when. What people keep comes first: see [`Personal::or`].
    pub told: Option<(Stamp, Private<Personal>)>,
    /// The customer's own data key, wrapped by the organisation's; made when first needed.
    pub key: Option<Vec<u8>>,
    /// The keyed hashes of its emails, ours and the provider's, to find it by.
    pub email_hashes: [Option<Vec<u8>>; 2],
    /// Its names at providers, and whether it was deleted there.
    pub links: BTreeMap<ExternalRef, Link>,
    /// When something was last done with it, as far as was noted here: see [`Customer::active_at`].
    pub active: Option<Timestamp>,
    /// That its personal data was erased. Nothing personal is taken of it any more.
    pub erased: Option<Erased>,
    /// How far what was told of it was searched by an erasure that did not come to its end.
    pub search: Option<Box<Search>>,
}

/// How far an erasure looked through the texts of webhook events, so that the next attempt goes on there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// As long as the customer's row has this version, what is looked for is the same.
    pub version: u64,
    /// Where it goes on.
    pub place: SearchPlace,
    /// The youngest event that there was when it began.
    pub top: Option<String>,
    /// With which event it ends, for that one and those before were looked through earlier; `None`: with the last.
    pub until: Option<String>,
    /// How many texts were left, because of holds on others.
    pub left: u64,
}

/// A place in the texts of webhook events: after these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchPlace {
    /// Those of events that are remembered, the youngest first.
    Events(Option<String>),
    /// Those of events that are remembered no more.
    Old(Option<String>),
    /// All of them.
    End,
}

impl Search {
    /// The beginning.
    #[must_use]
    pub fn new(version: u64) -> Self {
        Self { version, place: SearchPlace::Events(None), top: None, until: None, left: 0 }
    }
}

/// That a customer's personal data was erased: what is left is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// When.
    pub at: Timestamp,
    /// Under whose authority.
    pub authority: Authority,
    /// Whether whatever named it is known to be gone as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finished: bool,
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

impl Personal {
    /// This, with what it lacks taken from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            name: self.name.or(other.name),
            email: self.email.or(other.email),
            phone: self.phone.or(other.phone),
            address: self.address.or(other.address),
            tax_id: self.tax_id.or(other.tax_id),
        }
    }
}

impl Customer {
    /// A customer with this personal data.
    #[must_use]
    pub fn new(id: CustomerId, personal: Personal) -> Self {
        let personal = Private::Plain(personal);
        let (told, key, email_hashes, links) = (None, None, [None, None], BTreeMap::new());
        Self { id, personal, told, key, email_hashes, links, active: None, erased: None, search: None }
    }

    /// When something was last done with it, as far as is known without its invoices and payments: it was made, people changed it, or it
    /// was found to be active when its time seemed to be over.
    #[must_use]
    pub fn active_at(&self) -> Timestamp {
        self.active.unwrap_or(Timestamp::MIN).max(made_at(&self.id))
    }
}

/// Which customer a provider's customer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerRef {
    /// The provider's name of it.
    pub reference: ExternalRef,
    /// Ours.
    pub customer: CustomerId,
    /// When the provider's own note last said so; it never did if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<Stamp>,
    /// Whether that customer was erased: then nothing personal is taken of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
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

/// Tells the ledger a provider's news of a customer. What our own people keep is never overwritten. A deletion at the
/// provider ends the link and leaves our record as it is: what is kept, and for how long, is for the organisation's
/// retention policy to say. An erased customer keeps its names at providers and takes nothing personal.
///
/// # Errors
/// [`Unread`]: these rows are needed as well. Read them and tell it again; nothing was changed.
pub fn tell_customer(book: &mut Book, news: &CustomerNews, ids: &mut Ids) -> Result<Told, Unread> {
    let before = book.get::<CustomerRef>(&news.reference)?.cloned();
    let noted_before = before.as_ref().and_then(|link| link.noted.clone());
    let named = match news.names {
        Some(id) if noted_before.as_ref() < Some(&news.stamp) => book.get::<Customer>(&id)?.cloned(),
        _ => None,
    };
    let noted = if named.is_some() { Some(news.stamp.clone()) } else { noted_before };
    let linked = match &before {
        Some(link) => book.get::<Customer>(&link.customer)?.cloned(),
        None => None,
    };
    let is_new = named.is_none() && linked.is_none();
    let moved = linked.clone().filter(|linked| named.as_ref().is_some_and(|named| named.id != linked.id));
    let mut customer = named.or(linked).unwrap_or_else(|| Customer::new(ids.make(), Personal::default()));
    let mut changed = Vec::new();
    let mut left = moved;
    if let Some(left) = &mut left {
        // What the provider said so far was said of the customer that it now names.
        left.links.remove(&news.reference);
        left.told = None;
        let [_, tolds] = &mut left.email_hashes;
        *tolds = None;
        changed.push("external_ids");
    }
    let link = if news.personal.is_some() { Link::Live } else { Link::Deleted };
    if customer.links.get(&news.reference) < Some(&link) {
        customer.links.insert(news.reference.clone(), link);
        changed.push("external_ids");
    }
    if let Some(personal) = &news.personal
        && customer.erased.is_none()
        && customer.told.as_ref().map(|(stamp, _)| stamp) < Some(&news.stamp)
    {
        customer.told = Some((news.stamp.clone(), Private::Plain(personal.clone())));
        changed.extend(["name", "email", "phone", "address"]);
    }
    let erased = customer.erased.is_some();
    let reference = CustomerRef { reference: news.reference.clone(), customer: customer.id, noted, erased };
    if changed.is_empty() && before.as_ref() == Some(&reference) {
        return Ok(Told::Known);
    }
    // Everything was read above, so from here on nothing is unread.
    book.put(reference)?;
    if let Some(left) = left {
        book.put(left)?;
    }
    if is_new {
        book.put_new(customer)
    } else {
        book.put(customer)?
    }
    changed.dedup();
    Ok(Told::Learned(changed))
}
