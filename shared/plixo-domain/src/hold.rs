//! Legal holds: what has to be kept, whatever is due and whoever wants it erased.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::id::{CustomerId, HoldId, InvoiceId};
use crate::ledger::{Book, Private, Unread};
use crate::people::By;
use serde::{Deserialize, Serialize};

/// What a hold is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldBy {
    /// The whole organisation.
    Organisation,
    /// One customer, with its invoices and payments.
    Customer(CustomerId),
    /// One invoice, with its payments, links and customer.
    Invoice(InvoiceId),
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegalHold {
    /// Its id.
    pub id: HoldId,
    /// On what.
    pub on: HeldBy,
    /// Why: text, which may name people.
    pub reason: Private<String>,
    /// Who placed it.
    pub placed_by: By,
    /// When.
    pub placed_at: Timestamp,
    /// That it holds nothing any more.
    pub released: Option<Release>,
}

/// That a hold was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Who.
    pub by: By,
    /// When.
    pub at: Timestamp,
}

/// All that an organisation's holds hold, as one row: whoever deletes has this row be as they read it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Holds {
    /// The holds that are not released, each with what it is on.
    #[serde(default)]
    holds: BTreeMap<HoldId, HeldBy>,
}

/// Why a hold cannot be placed or released.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// There is none.
    #[error("there is no such legal hold")]
    NotFound,
    /// It was released before.
    #[error("the legal hold was released before")]
    Released,
    /// There are as many as there can be.
    #[error(
        "an organisation has at most {} legal holds at a time: place one on the whole organisation",
        Holds::MOST
    )]
    TooMany,
    /// A row is unread.
    #[error("rows are unread")]
    Unread(Unread),
}

impl From<Unread> for HoldError {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

impl Holds {
    /// So many holds are in force at a time.
    pub const MOST: usize = 1_000;

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// Whether all of the organisation is held.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.holds.values().any(|on| *on == HeldBy::Organisation)
    }

    /// Whether an invoice of that customer is held.
    #[must_use]
    pub fn has_invoice(&self, invoice: &InvoiceId, customer: Option<&CustomerId>) -> bool {
        self.any(|on| match on {
            HeldBy::Organisation => true,
            HeldBy::Customer(held) => Some(held) == customer,
            HeldBy::Invoice(held) => held == invoice,
        })
    }

    /// Whether a customer is held itself; one is held by its invoices as well.
    #[must_use]
    pub fn has_customer(&self, customer: &CustomerId) -> bool {
        self.any(|on| match on {
            HeldBy::Organisation => true,
            HeldBy::Customer(held) => held == customer,
            HeldBy::Invoice(_) => false,
        })
    }

    /// The invoices with a hold of their own.
    pub fn invoices(&self) -> impl Iterator<Item = InvoiceId> {
        self.holds.values().filter_map(|on| match on {
            HeldBy::Invoice(invoice) => Some(*invoice),
            _ => None,
        })
    }

    fn any(&self, holds: impl Fn(&HeldBy) -> bool) -> bool {
        self.holds.values().any(holds)
    }

    /// The holds that are in force, by what they are on.
    #[must_use]
    pub fn on(&self, on: &HeldBy) -> BTreeSet<HoldId> {
        self.holds.iter().filter(|(_, held)| *held == on).map(|(id, _)| *id).collect()
    }
}

/// Places a hold, which holds from the moment in which it is committed.
///
/// # Errors
/// [`HoldError`].
pub fn place(book: &mut Book, hold: LegalHold) -> Result<(), HoldError> {
    let mut holds = book.get::<Holds>(&())?.cloned().unwrap_or_default();
    if holds.holds.len() >= Holds::MOST {
        return Err(HoldError::TooMany);
    }
    holds.holds.insert(hold.id, hold.on);
    book.put(holds)?;
    book.put_new(hold);
    Ok(())
}

/// Releases a hold.
///
/// # Errors
/// [`HoldError`].
pub fn release(book: &mut Book, id: &HoldId, by: By, now: Timestamp) -> Result<LegalHold, HoldError> {
    let mut holds = book.get::<Holds>(&())?.cloned().unwrap_or_default();
    let hold = book.get::<LegalHold>(id)?.ok_or(HoldError::NotFound)?.clone();
    if hold.released.is_some() {
        return Err(HoldError::Released);
    }
    let hold = LegalHold { released: Some(Release { by, at: now }), ..hold };
    holds.holds.remove(id);
    book.put(holds)?;
    book.put(hold.clone())?;
    Ok(hold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Ids, MemberId};
    use crate::ledger::{Kept, RowKey};
    use crate::people::UserId;

    fn book() -> Book {
        let mut book = Book::default();
        book.learn(RowKey::Holds, None);
        book
    }

    fn hold(ids: &mut Ids, on: HeldBy) -> LegalHold {
        let by = By { member: ids.make::<<MemberId as HasKind>::Kind>(), user: user() };
        let reason = Private::Plain("a dispute".to_owned());
        LegalHold {
            id: ids.make(),
            on,
            reason,
            placed_by: by,
            placed_at: Timestamp::UNIX_EPOCH,
            released: None,
        }
    }

    trait HasKind {
        type Kind;
    }
    impl HasKind for MemberId {
        type Kind = crate::id::Member;
    }

    fn user() -> UserId {
        "3f2504e0-4f89-41d3-9a0c-0305e82c3301".parse().unwrap()
    }

    #[test]
    fn a_hold_holds_until_it_is_released() {
        let (mut book, mut ids) = (book(), Ids::new(Timestamp::UNIX_EPOCH, [1; 10]));
        let (customer, other): (CustomerId, CustomerId) = (ids.make(), ids.make());
        let (invoice, another): (InvoiceId, InvoiceId) = (ids.make(), ids.make());
        let on_customer = hold(&mut ids, HeldBy::Customer(customer));
        let on_invoice = hold(&mut ids, HeldBy::Invoice(invoice));
        place(&mut book, on_customer.clone()).unwrap();
        place(&mut book, on_invoice.clone()).unwrap();
        let holds = book.get::<Holds>(&()).unwrap().unwrap().clone();
        assert!(holds.has_customer(&customer) && !holds.has_customer(&other) && !holds.is_whole());
        assert!(holds.has_invoice(&invoice, None) && holds.has_invoice(&another, Some(&customer)));
        assert!(!holds.has_invoice(&another, Some(&other)));

        let by = on_customer.placed_by;
        assert!(release(&mut book, &on_customer.id, by, Timestamp::UNIX_EPOCH).is_ok());
        assert_eq!(release(&mut book, &on_customer.id, by, Timestamp::UNIX_EPOCH), Err(HoldError::Released));
        let holds = book.get::<Holds>(&()).unwrap().unwrap().clone();
        assert!(!holds.has_customer(&customer) && holds.has_invoice(&invoice, None));
        assert!(book.get::<LegalHold>(&on_customer.id).unwrap().unwrap().released.is_some());
    }

    #[test]
    fn the_whole_organisation_is_everything() {
        let (mut book, mut ids) = (book(), Ids::new(Timestamp::UNIX_EPOCH, [1; 10]));
        let it = hold(&mut ids, HeldBy::Organisation);
        place(&mut book, it).unwrap();
        let holds = book.get::<Holds>(&()).unwrap().unwrap();
        assert!(holds.is_whole() && holds.has_customer(&ids.make()) && holds.has_invoice(&ids.make(), None));
    }

    #[test]
    fn there_is_a_most() {
        let (mut book, mut ids) = (book(), Ids::new(Timestamp::UNIX_EPOCH, [1; 10]));
        for _ in 0..Holds::MOST {
            let it = hold(&mut ids, HeldBy::Organisation);
            place(&mut book, it).unwrap();
        }
        let it = hold(&mut ids, HeldBy::Organisation);
        let key = LegalHold::key(&it.id);
        assert_eq!(place(&mut book, it), Err(HoldError::TooMany));
        assert!(!book.knows(&key));
    }
}
