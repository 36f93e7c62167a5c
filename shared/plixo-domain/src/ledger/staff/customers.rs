//! What people do to customers.

use jiff::Timestamp;

use super::fields::Fields;
use super::{Changed, Patch, StaffError, Stopped};
use crate::id::{CustomerId, Ids};
use crate::ledger::{Address, Book, Customer, Personal, Private};

/// How a customer's personal data is to change. Links to providers are not people's to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the contract's words")]
pub struct CustomerPatch {
    pub name: Patch<String>,
    pub email: Patch<String>,
    pub phone: Patch<String>,
    pub address: Patch<Address>,
    pub tax_id: Patch<String>,
}

/// Makes a customer, which has a name at least.
///
/// # Errors
/// [`StaffError::Invalid`].
pub fn create_customer(
    book: &mut Book,
    personal: Personal,
    ids: &mut Ids,
) -> Result<Changed<CustomerId>, Stopped> {
    check(&personal, true)?;
    let fields = differences(&Personal::default(), &personal);
    let customer = Customer::new(ids.make(), personal);
    let id = customer.id;
    book.put_new(customer);
    Ok(Changed { id, fields })
}

/// Changes what people keep of a customer. `kept` is what they keep now, without what a provider said: `customer.personal`,
/// opened. What they clear is as the provider says, if it says anything.
///
/// # Errors
/// [`Stopped::Unread`], [`StaffError::Missing`], [`StaffError::Invalid`].
pub fn update_customer(
    book: &mut Book,
    id: &CustomerId,
    kept: &Personal,
    patch: CustomerPatch,
    now: Timestamp,
) -> Result<Changed<CustomerId>, Stopped> {
    let customer = book.get::<Customer>(id)?.ok_or(StaffError::Missing("customer"))?;
    if customer.erased.is_some() {
        return Err(StaffError::CustomerErased.into());
    }
    // A customer that a provider told of need not have a name of ours.
    let named = !matches!(patch.name, Patch::Keep);
    let before = kept.clone();
    let personal = Personal {
        name: patch.name.over(before.name),
        email: patch.email.over(before.email),
        phone: patch.phone.over(before.phone),
        address: patch.address.over(before.address),
        tax_id: patch.tax_id.over(before.tax_id),
    };
    check(&personal, named)?;
    let fields = differences(kept, &personal);
    if !fields.is_empty() {
        let (personal, active) = (Private::Plain(personal), customer.active.max(Some(now)));
        let customer = Customer { personal, active, ..customer.clone() };
        book.put(customer)?;
    }
    Ok(Changed { id: *id, fields })
}

fn differences(before: &Personal, now: &Personal) -> Vec<&'static str> {
    let changed = [
        ("name", before.name != now.name),
        ("email", before.email != now.email),
        ("phone", before.phone != now.phone),
        ("address", before.address != now.address),
        ("tax_id", before.tax_id != now.tax_id),
    ];
    changed.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
}

fn check(personal: &Personal, named: bool) -> Result<(), Stopped> {
    let mut fields = Fields::default();
    match &personal.name {
        Some(name) => fields.line(name, 200, "/name"),
        None => fields.check(!named, "/name", "cannot be empty"),
    }
    if let Some(email) = &personal.email {
        let plain = !email.chars().any(|c| c.is_whitespace() || c.is_control());
        let parts = email.split_once('@');
        let whole = parts.is_some_and(|(whose, host)| {
            !whose.is_empty() && !host.contains('@') && host.split('.').all(|part| !part.is_empty())
        });
        // RFC 5321, 4.5.3.1.3, with the brackets off.
        if plain && whole && email.len() <= 254 {
            fields.no_card(email, "/email");
        } else {
            fields.wrong("/email", "is no email address");
        }
    }
    if let Some(phone) = &personal.phone {
        fields.line(phone, 40, "/phone");
    }
    if let Some(tax_id) = &personal.tax_id {
        fields.line(tax_id, 50, "/tax_id");
    }
    if let Some(address) = &personal.address {
        fields.line(&address.line1, 200, "/address/line1");
        if let Some(line2) = &address.line2 {
            fields.line(line2, 200, "/address/line2");
        }
        fields.line(&address.city, 100, "/address/city");
        fields.line(&address.postal_code, 20, "/address/postal_code");
        let letters = address.country.bytes().all(|b| b.is_ascii_uppercase());
        let country = letters && address.country.len() == 2;
        fields.check(country, "/address/country", "is no ISO 3166-1 code of two capital letters");
    }
    fields.done()
}
