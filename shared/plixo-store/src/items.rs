//! Rows as stored items.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::civil::Date;
use plixo_domain::id::{CustomerId, InvoiceId, PaymentId, bytes_of};
use plixo_domain::ledger::{
    Allocation, Claim, Customer, DisputeState, Invoice, InvoiceBody, InvoiceState, InvoiceStatus, Link,
    Payer, Payment, PaymentStatus, Personal, Private, RefundState, Row, RowKey, Stage, Stamp, Statement,
    Witness,
};
use plixo_domain::money::Money;
use plixo_domain::webhook::{ExternalId, ExternalRef};
use plixo_envelope::{
    DataKey, FIRST_VERSION, KeyId, KeyRef, Keys, OrganisationKeys, Place, Salt, Sealed, Secret,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::StoreError;
use crate::tables::Item;

/// The form of the items that this code writes. It reads that and every form before it.
const FORM: u8 = 1;

/// Maps whose keys are no texts, as lists of pairs.
mod pairs {
    use super::{BTreeMap, Deserialize, Serialize};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Vec::<(K, V)>::deserialize(from).map(|pairs| pairs.into_iter().collect())
    }
}

#[derive(Serialize, Deserialize)]
struct CustomerItem {
    id: CustomerId,
    personal: ByteBuf,
    key: ByteBuf,
    told: Option<(Stamp, ByteBuf)>,
    email_hash: Option<ByteBuf>,
    told_email_hash: Option<ByteBuf>,
    #[serde(with = "pairs")]
    links: BTreeMap<ExternalRef, Link>,
}

#[derive(Serialize, Deserialize)]
struct InvoiceItem {
    id: InvoiceId,
    number: String,
    customer_id: CustomerId,
    state: InvoiceState,
    status: InvoiceStatus,
    total: Money,
    balance: i64,
    issued_on: Option<Date>,
    due_on: Option<Date>,
    body: ByteBuf,
    #[serde(with = "pairs")]
    claims: BTreeMap<ExternalRef, Claim>,
}

#[derive(Serialize, Deserialize)]
struct PaymentItem {
    id: PaymentId,
    reference: ExternalRef,
    status: PaymentStatus,
    amount: Option<Money>,
    unapplied: Option<Money>,
    #[serde(with = "pairs")]
    money: BTreeMap<Witness, Statement<Stage>>,
    received_at: Option<i64>,
    #[serde(with = "pairs")]
    named: BTreeMap<Witness, (Stamp, InvoiceId)>,
    customer: Option<ExternalRef>,
    refunded_total: Option<(i64, i64)>,
    #[serde(with = "pairs")]
    refunds: BTreeMap<ExternalId, Statement<RefundState>>,
    #[serde(with = "pairs")]
    disputes: BTreeMap<ExternalId, Statement<DisputeState>>,
    payer: Option<(Stamp, ByteBuf)>,
    #[serde(with = "pairs")]
    allocations: BTreeMap<InvoiceId, Allocation>,
}

/// Draws 32 bytes from a cryptographic random generator; `None` if it fails.
pub type Entropy = fn() -> Option<[u8; 32]>;

/// Seals private fields under an organisation's keys.
pub(crate) struct Sealer<'a> {
    pub(crate) keys: &'a OrganisationKeys,
    pub(crate) entropy: Entropy,
}

impl Sealer<'_> {
    fn salt(&self) -> Result<Salt, StoreError> {
        (self.entropy)().map(Salt::new).ok_or(StoreError::NoRandomness)
    }

    /// Seals bytes under the organisation's own key.
    pub(crate) fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<ByteBuf, StoreError> {
        let sealed = self.keys.keys().seal(place, plain, self.salt()?)?;
        Ok(ByteBuf::from(sealed.into_bytes()))
    }

    fn customer(&self, customer: &Customer) -> Result<CustomerItem, StoreError> {
        let id = customer.id.to_string();
        let (key, sealed_key) = match &customer.key {
            Some(sealed) => {
                let sealed = Sealed::try_from(sealed.clone())?;
                (self.keys.open_customer_key(&id, &sealed)?, sealed)
            }
            None => {
                let secret = (self.entropy)().and_then(|bytes| Secret::from_slice(&bytes));
                let named = KeyRef { id: KeyId::new(bytes_of(&customer.id)), version: FIRST_VERSION };
                let secret = secret.ok_or(StoreError::NoRandomness)?;
                self.keys.create_customer_key(&id, named, secret, self.salt()?)?
            }
        };
        let key = only(key);
        let [ours, tolds] = customer.email_hashes.clone();
        let (personal, email_hash) = self.personal(&key, &id, "personal", &customer.personal, ours)?;
        let (told, told_email_hash) = match &customer.told {
            None => (None, None),
            Some((stamp, told)) => {
                let (sealed, hash) = self.personal(&key, &id, "told", told, tolds)?;
                (Some((stamp.clone(), sealed)), hash)
            }
        };
        let (id, key) = (customer.id, ByteBuf::from(sealed_key.into_bytes()));
        Ok(CustomerItem {
            id,
            personal,
            key,
            told,
            email_hash,
            told_email_hash,
            links: customer.links.clone(),
        })
    }

    /// A customer's field, sealed under the customer's own key, and the keyed hash of the email in it.
    fn personal(
        &self,
        key: &Keys,
        record: &str,
        field: &str,
        value: &Private<Personal>,
        hash: Option<Vec<u8>>,
    ) -> Result<(ByteBuf, Option<ByteBuf>), StoreError> {
        let personal = match value {
            Private::Sealed(sealed) => return Ok((ByteBuf::from(sealed.clone()), hash.map(ByteBuf::from))),
            Private::Plain(personal) => personal,
        };
        let sealed = key.seal(&Place { record, field }, &json(personal)?, self.salt()?)?;
        let hash = match &personal.email {
            Some(email) => Some(self.keys.lookup_key("email")?.hash(&email.trim().to_lowercase())),
            None => None,
        };
        Ok((ByteBuf::from(sealed.into_bytes()), hash.map(|hash| ByteBuf::from(hash.to_vec()))))
    }
}

fn only(key: DataKey) -> Keys {
    Keys::new(key, Vec::new())
}

/// Opens an invoice's lines and memo.
pub(crate) fn open_body(
    keys: &OrganisationKeys,
    id: &InvoiceId,
    sealed: &[u8],
) -> Result<InvoiceBody, StoreError> {
    from_json(&open(keys, &Place { record: &id.to_string(), field: "body" }, sealed)?)
}

/// Opens what was sealed under the organisation's own key.
pub(crate) fn open(keys: &OrganisationKeys, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let sealed = Sealed::try_from(sealed.to_vec())?;
    Ok(keys.keys().open(place, &sealed)?.to_vec())
}

/// Opens a payment's payer.
pub(crate) fn open_payer(
    keys: &OrganisationKeys,
    id: &PaymentId,
    sealed: &[u8],
) -> Result<Payer, StoreError> {
    from_json(&open(keys, &Place { record: &id.to_string(), field: "payer" }, sealed)?)
}

/// Opens a customer's personal data under the customer's own key: what people keep, filled up with what a provider said.
pub(crate) fn open_personal(keys: &OrganisationKeys, customer: &Customer) -> Result<Personal, StoreError> {
    let id = customer.id.to_string();
    let open = |field: &str, value: &Private<Personal>| match value {
        Private::Plain(personal) => Ok(personal.clone()),
        Private::Sealed(sealed) => {
            let key = customer.key.clone().ok_or_else(no_key)?;
            let key = only(keys.open_customer_key(&id, &Sealed::try_from(key)?)?);
            let place = Place { record: &id, field };
            from_json(&key.open(&place, &Sealed::try_from(sealed.clone())?)?)
        }
    };
    let told = customer.told.as_ref().map_or(Ok(Personal::default()), |(_, told)| open("told", told))?;
    Ok(open("personal", &customer.personal)?.or(told))
}

fn no_key() -> StoreError {
    StoreError::Corrupt("a customer without its key".to_owned())
}

/// Whether writing the row needs a key.
pub(crate) fn needs_key(row: &Row) -> bool {
    match row {
        Row::Customer(_) => true,
        Row::Invoice(invoice) => matches!(invoice.body, Private::Plain(_)),
        Row::Payment(payment) => matches!(payment.payer, Some((_, Private::Plain(_)))),
        _ => false,
    }
}

/// The item of a row. Without a sealer, nothing in it may be plain.
pub(crate) fn of_row(row: &Row, version: u64, sealer: Option<&Sealer<'_>>) -> Result<Item, StoreError> {
    let sealer =
        || sealer.ok_or_else(|| StoreError::Corrupt("a plain field and no key to seal it".to_owned()));
    let (kind, item) = match row {
        Row::Organisation(row) => ("organisation", item(row)?),
        Row::CustomerRef(row) => ("customer_ref", item(row)?),
        Row::InvoiceNumber(row) => ("invoice_number", item(row)?),
        Row::PaymentPointer(row) => ("payment_pointer", item(row)?),
        Row::WebhookEndpoint(row) => ("webhook_endpoint", item(row)?),
        Row::WebhookEvent(row) => ("webhook_event", item(row)?),
        Row::Customer(row) => ("customer", item(&sealer()?.customer(row)?)?),
        Row::Invoice(row) => {
            let body = match &row.body {
                Private::Sealed(sealed) => ByteBuf::from(sealed.clone()),
                Private::Plain(body) => {
                    sealer()?.seal(&Place { record: &row.id.to_string(), field: "body" }, &json(body)?)?
                }
            };
            let stored = InvoiceItem {
                id: row.id,
                number: row.number.clone(),
                customer_id: row.customer_id,
                state: row.state,
                status: row.status(),
                total: row.total,
                balance: row.balance().amount,
                issued_on: row.issued_on,
                due_on: row.due_on,
                body,
                claims: row.claims.clone(),
            };
            ("invoice", item(&stored)?)
        }
        Row::Payment(row) => {
            let payer = match &row.payer {
                None => None,
                Some((stamp, Private::Sealed(sealed))) => {
                    Some((stamp.clone(), ByteBuf::from(sealed.clone())))
                }
                Some((stamp, Private::Plain(payer))) => {
                    let place = Place { record: &row.id.to_string(), field: "payer" };
                    Some((stamp.clone(), sealer()?.seal(&place, &json(payer)?)?))
                }
            };
            let stored = PaymentItem {
                id: row.id,
                reference: row.reference.clone(),
                status: row.status(),
                amount: row.amount(),
                unapplied: row.unapplied(),
                money: row.money.clone(),
                received_at: row.received_at,
                named: row.named.clone(),
                customer: row.customer.clone(),
                refunded_total: row.refunded_total,
                refunds: row.refunds.clone(),
                disputes: row.disputes.clone(),
                payer,
                allocations: row.allocations.clone(),
            };
            ("payment", item(&stored)?)
        }
    };
    Ok(framed(item, kind, version))
}

/// The row of an item, with its version.
pub(crate) fn to_row(name: &RowKey, stored: Item) -> Result<(Row, u64), StoreError> {
    let number = |field: &str| {
        let number =
            stored.get(field).and_then(|value| value.as_n().ok()).and_then(|number| number.parse().ok());
        number.ok_or_else(|| StoreError::Corrupt(format!("an item without its {field}")))
    };
    let (form, version): (u64, u64) = (number("v")?, number("version")?);
    if form > u64::from(FORM) {
        let why = format!("a row of form {form}, and this code reads up to {FORM}");
        return Err(StoreError::Corrupt(why));
    }
    let row = match name {
        RowKey::Organisation => Row::Organisation(from_item(stored)?),
        RowKey::CustomerRef(_) => Row::CustomerRef(from_item(stored)?),
        RowKey::InvoiceNumber(_) => Row::InvoiceNumber(from_item(stored)?),
        RowKey::PaymentPointer(_) => Row::PaymentPointer(from_item(stored)?),
        RowKey::WebhookEndpoint(_) => Row::WebhookEndpoint(from_item(stored)?),
        RowKey::WebhookEvent(_) => Row::WebhookEvent(from_item(stored)?),
        RowKey::Customer(_) => {
            let stored: CustomerItem = from_item(stored)?;
            Row::Customer(Customer {
                id: stored.id,
                personal: Private::Sealed(stored.personal.into_vec()),
                key: Some(stored.key.into_vec()),
                told: stored.told.map(|(stamp, told)| (stamp, Private::Sealed(told.into_vec()))),
                email_hashes: [stored.email_hash, stored.told_email_hash]
                    .map(|hash| hash.map(ByteBuf::into_vec)),
                links: stored.links,
            })
        }
        RowKey::Invoice(_) => {
            let stored: InvoiceItem = from_item(stored)?;
            Row::Invoice(Invoice {
                id: stored.id,
                number: stored.number,
                customer_id: stored.customer_id,
                state: stored.state,
                total: stored.total,
                issued_on: stored.issued_on,
                due_on: stored.due_on,
                body: Private::Sealed(stored.body.into_vec()),
                claims: stored.claims,
            })
        }
        RowKey::Payment(_) => {
            let stored: PaymentItem = from_item(stored)?;
            Row::Payment(Payment {
                id: stored.id,
                reference: stored.reference,
                money: stored.money,
                received_at: stored.received_at,
                named: stored.named,
                customer: stored.customer,
                refunded_total: stored.refunded_total,
                refunds: stored.refunds,
                disputes: stored.disputes,
                payer: stored.payer.map(|(stamp, sealed)| (stamp, Private::Sealed(sealed.into_vec()))),
                allocations: stored.allocations,
            })
        }
    };
    Ok((row, version))
}

/// An item with its kind, form and version. What is absent is left out.
pub(crate) fn framed(mut item: Item, kind: &str, version: u64) -> Item {
    item.retain(|_, value| !matches!(value, AttributeValue::Null(_)));
    item.insert("kind".to_owned(), AttributeValue::S(kind.to_owned()));
    item.insert("v".to_owned(), AttributeValue::N(FORM.to_string()));
    item.insert("version".to_owned(), AttributeValue::N(version.to_string()));
    item
}

/// The fields of a value.
pub(crate) fn item(value: &impl Serialize) -> Result<Item, StoreError> {
    serde_dynamo::to_item(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// A value of an item's fields. The error names no value.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item)
        .map_err(|_| StoreError::Corrupt(format!("an item is no {}", std::any::type_name::<T>())))
}

/// A value as the JSON text that is sealed.
pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|_| StoreError::Corrupt("a private field has no JSON form".to_owned()))
}

/// The value of opened JSON text. The error names no value.
pub(crate) fn from_json<T: DeserializeOwned>(plain: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(plain)
        .map_err(|_| StoreError::Corrupt("an opened field is not what it should be".to_owned()))
}
