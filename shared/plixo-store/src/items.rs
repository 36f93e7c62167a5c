//! Rows as stored items.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use jiff::civil::Date;
use plixo_domain::answer::{Answer, AnswerKey};
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, AuditSeal, Object, Origin, Outcome, SealedSpan};
use plixo_domain::hold::{HeldBy, LegalHold, Release};
use plixo_domain::id::{
    AllocationId, AuditId, CustomerId, HoldId, InvoiceId, MemberId, PaymentId, PrivacyId, bytes_of,
};
use plixo_domain::ledger::{
    Allocation, Asked, Checkout, Choice, Claim, Customer, DisputeState, Erased, Invoice, InvoiceBody,
    InvoiceState, InvoiceStatus, Link, Logo, LogoHash, Payer, PayerHash, Payment, PaymentStatus, Personal,
    Private, RefundState, Row, RowKey, Search, Stage, Stamp, Statement, Witness,
};
use plixo_domain::money::Money;
use plixo_domain::people::{By, Member, MemberState, Role, UserId};
use plixo_domain::privacy::{Done, PrivacyKind, PrivacyRequest, Refused};
use plixo_domain::webhook::{ExternalId, ExternalRef};
use plixo_envelope::{
    DataKey, FIRST_VERSION, KeyId, KeyRef, Keys, OrganisationKeys, Place, Salt, Sealed, Secret,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_with::base64::Base64;
use serde_with::{serde_as, skip_serializing_none};

use crate::StoreError;
use crate::tables::Item;

/// The form of the items that this code writes. It reads that and every form before it.
const FORM: u8 = 1;
/// The attribute that holds a row.
const ROW: &str = "row";

#[serde_as]
#[skip_serializing_none]
#[derive(Serialize, Deserialize)]
struct CustomerItem {
    id: CustomerId,
    #[serde_as(as = "Option<Base64>")]
    personal: Option<Vec<u8>>,
    #[serde_as(as = "Option<Base64>")]
    key: Option<Vec<u8>>,
    #[serde_as(as = "Option<(_, Base64)>")]
    told: Option<(Stamp, Vec<u8>)>,
    #[serde_as(as = "Option<Base64>")]
    email_hash: Option<Vec<u8>>,
    #[serde_as(as = "Option<Base64>")]
    told_email_hash: Option<Vec<u8>>,
    #[serde_as(as = "Vec<(_, _)>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    links: BTreeMap<ExternalRef, Link>,
    active: Option<Timestamp>,
    erased: Option<Erased>,
    search: Option<Box<Search>>,
}

#[serde_as]
#[skip_serializing_none]
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
    #[serde_as(as = "Base64")]
    body: Vec<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claims: Vec<(ExternalRef, ClaimItem)>,
    checkout: Option<Checkout>,
    asked: Option<Asked>,
    ended_at: Option<Timestamp>,
    reference: Option<ExternalRef>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
}

#[derive(Serialize, Deserialize)]
struct ClaimItem {
    received_at: i64,
    wanted: Money,
    applied: i64,
    allocation: AllocationId,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    chosen: bool,
}

#[derive(Serialize, Deserialize)]
struct AllocationItem {
    id: AllocationId,
    amount: i64,
    applied_by: Actor,
}

#[serde_as]
#[skip_serializing_none]
#[derive(Serialize, Deserialize)]
struct PaymentItem {
    id: PaymentId,
    reference: ExternalRef,
    status: PaymentStatus,
    amount: Option<Money>,
    unapplied: Option<Money>,
    #[serde_as(as = "Vec<(_, _)>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    money: BTreeMap<Witness, Statement<Stage>>,
    received_at: Option<i64>,
    #[serde_as(as = "Vec<(_, _)>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    named: BTreeMap<Witness, (Stamp, InvoiceId)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shares: Vec<(InvoiceId, i64)>,
    customer: Option<ExternalRef>,
    refunded_total: Option<(i64, i64)>,
    #[serde_as(as = "Vec<(_, _)>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    refunds: BTreeMap<ExternalId, Statement<RefundState>>,
    #[serde_as(as = "Vec<(_, _)>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    disputes: BTreeMap<ExternalId, Statement<DisputeState>>,
    #[serde_as(as = "Option<(_, Base64)>")]
    payer: Option<(Stamp, Vec<u8>)>,
    payer_hash: Option<PayerHash>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allocations: Vec<(InvoiceId, AllocationItem)>,
    // What people did: absent from payments that nobody touched, and from those of the time before they could.
    customer_id: Option<CustomerId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    choices: Vec<Choice>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    undone: BTreeSet<InvoiceId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    taken_back: bool,
    #[serde_as(as = "Vec<(_, _)>")]
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    owners: BTreeMap<InvoiceId, CustomerId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
}

#[serde_as]
#[derive(Serialize, Deserialize)]
struct MemberItem {
    id: MemberId,
    user: UserId,
    role: Role,
    state: MemberState,
    #[serde_as(as = "Base64")]
    email: Vec<u8>,
}

#[serde_as]
#[derive(Serialize, Deserialize)]
struct LogoItem {
    hash: LogoHash,
    #[serde_as(as = "Base64")]
    png: Vec<u8>,
}

#[serde_as]
#[derive(Serialize, Deserialize)]
struct AnswerItem {
    key: String,
    #[serde_as(as = "Base64")]
    request: [u8; 32],
    status: u16,
    #[serde_as(as = "Base64")]
    body: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<CustomerId>,
}

#[serde_as]
#[skip_serializing_none]
#[derive(Serialize, Deserialize)]
struct LegalHoldItem {
    id: HoldId,
    on: HeldBy,
    #[serde_as(as = "Base64")]
    reason: Vec<u8>,
    placed_by: By,
    placed_at: Timestamp,
    released: Option<Release>,
}

#[serde_as]
#[skip_serializing_none]
#[derive(Serialize, Deserialize)]
struct PrivacyRequestItem {
    id: PrivacyId,
    kind: PrivacyKind,
    customer: CustomerId,
    requested_by: By,
    requested_at: Timestamp,
    due_on: Date,
    held: Option<Timestamp>,
    begun: Option<Timestamp>,
    done: Option<Done>,
    #[serde_as(as = "Option<(_, _, Base64)>")]
    refused: Option<(By, Timestamp, Vec<u8>)>,
}

/// An audit event. Its text is what is sealed of it: the order of the fields is the order of the text.
#[serde_as]
#[skip_serializing_none]
#[derive(Serialize, Deserialize)]
struct AuditItem {
    id: AuditId,
    at: Timestamp,
    actor: Actor,
    /// A provider's, which is no person's.
    ip: Option<String>,
    user_agent: Option<String>,
    customer: Option<CustomerId>,
    #[serde_as(as = "Option<Base64>")]
    origin: Option<Vec<u8>>,
    action: String,
    object: Object,
    outcome: Outcome,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
    request_id: String,
    count: Option<u32>,
}

#[serde_as]
#[derive(Serialize, Deserialize)]
struct AuditSealItem {
    to: Timestamp,
    size: u64,
    note: String,
    #[serde_as(as = "Base64")]
    range: Vec<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recent: Vec<SealedSpan>,
    sealed_at: Timestamp,
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
    pub(crate) fn seal(&self, place: &Place<'_>, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let sealed = self.keys.keys().seal(place, plain, self.salt()?)?;
        Ok(sealed.into_bytes())
    }

    /// Seals from where somebody acted: under the customer's own key if it was a payer.
    fn origin(
        &self,
        event: &AuditEvent,
        origin: &Origin,
        customers: &CustomerKeys,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let (id, plain) = (event.id.to_string(), json(origin)?);
        let place = Place { record: &id, field: "origin" };
        let Some(customer) = &event.customer else { return self.seal(&place, &plain).map(Some) };
        let Some(key) = customers.get(customer) else { return Ok(None) };
        let key = only(self.keys.open_customer_key(&customer.to_string(), &Sealed::try_from(key.clone())?)?);
        Ok(Some(key.seal(&place, &plain, self.salt()?)?.into_bytes()))
    }

    fn customer(&self, customer: &Customer) -> Result<CustomerItem, StoreError> {
        if customer.erased.is_some() {
            return Ok(tombstone(customer));
        }
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
        let (id, key) = (customer.id, Some(sealed_key.into_bytes()));
        Ok(CustomerItem {
            id,
            personal: Some(personal),
            key,
            told,
            email_hash,
            told_email_hash,
            links: customer.links.clone(),
            active: customer.active,
            erased: None,
            search: customer.search.clone(),
        })
    }

    /// The keyed hash of a payer's name, with its legal form; none of a name that has no word in it.
    fn payer_hash(&self, payer: &Payer) -> Result<Option<PayerHash>, StoreError> {
        let name = payer.name.as_deref().and_then(plixo_cash::payer_key);
        let hash = name.map(|name| Ok(hex::encode(self.keys.lookup_key("payer")?.hash(&name))));
        Ok(hash.transpose().map_err(|error: plixo_envelope::Error| StoreError::from(error))?.map(PayerHash))
    }

    /// A customer's field, sealed under the customer's own key, and the keyed hash of the email in it.
    fn personal(
        &self,
        key: &Keys,
        record: &str,
        field: &str,
        value: &Private<Personal>,
        hash: Option<Vec<u8>>,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), StoreError> {
        let personal = match value {
            Private::Sealed(sealed) => return Ok((sealed.clone(), hash)),
            Private::Plain(personal) => personal,
        };
        let sealed = key.seal(&Place { record, field }, &json(personal)?, self.salt()?)?;
        let hash = match &personal.email {
            Some(email) => Some(self.keys.lookup_key("email")?.hash(&email.trim().to_lowercase())),
            None => None,
        };
        Ok((sealed.into_bytes(), hash.map(|hash| hash.to_vec())))
    }
}

/// A customer of whom all that is personal is sealed already.
fn as_it_is(customer: &Customer) -> Option<CustomerItem> {
    let Private::Sealed(personal) = &customer.personal else { return None };
    let told = match &customer.told {
        None => None,
        Some((stamp, Private::Sealed(told))) => Some((stamp.clone(), told.clone())),
        Some((_, Private::Plain(_))) => return None,
    };
    let [email_hash, told_email_hash] = customer.email_hashes.clone();
    Some(CustomerItem {
        id: customer.id,
        personal: Some(personal.clone()),
        key: Some(customer.key.clone()?),
        told,
        email_hash,
        told_email_hash,
        links: customer.links.clone(),
        active: customer.active,
        erased: None,
        search: customer.search.clone(),
    })
}

/// What is left of an erased customer, whatever else the row says.
fn tombstone(customer: &Customer) -> CustomerItem {
    CustomerItem {
        id: customer.id,
        personal: None,
        key: None,
        told: None,
        email_hash: None,
        told_email_hash: None,
        links: customer.links.clone(),
        active: customer.active,
        erased: customer.erased.clone(),
        search: customer.search.clone(),
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
    if customer.erased.is_some() {
        return Ok(Personal::default());
    }
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

fn no_sealer() -> StoreError {
    StoreError::Corrupt("a plain field and no key to seal it".to_owned())
}

fn no_key() -> StoreError {
    StoreError::Corrupt("a customer without its key".to_owned())
}

/// Whether writing the row needs a key.
pub(crate) fn needs_key(row: &Row) -> bool {
    match row {
        Row::Customer(customer) => customer.erased.is_none() && as_it_is(customer).is_none(),
        Row::LegalHold(hold) => matches!(hold.reason, Private::Plain(_)),
        Row::PrivacyRequest(request) => {
            request.refused.as_ref().is_some_and(|refused| matches!(refused.reason, Private::Plain(_)))
        }
        Row::Invoice(invoice) => matches!(invoice.body, Private::Plain(_)),
        Row::Payment(payment) => matches!(payment.payer, Some((_, Private::Plain(_)))),
        Row::Member(member) => matches!(member.email, Private::Plain(_)),
        Row::Answer(answer) => matches!(answer.body, Private::Plain(_)),
        _ => false,
    }
}

/// The item of a row. Without a sealer, nothing in it may be plain.
pub(crate) fn of_row(row: &Row, version: u64, sealer: Option<&Sealer<'_>>) -> Result<Item, StoreError> {
    let sealer = || sealer.ok_or_else(no_sealer);
    let (kind, item) = match row {
        Row::Organisation(row) => ("organisation", item(row)?),
        // Everybody may see it, so it is not sealed.
        Row::Logo(row) => ("logo", item(&LogoItem { hash: row.hash, png: row.png.clone() })?),
        Row::CustomerRef(row) => ("customer_ref", item(row)?),
        Row::PortalLink(row) => ("portal_link", item(row)?),
        Row::StripeAccount(row) => ("stripe_account", item(row)?),
        Row::InvoiceNumber(row) => ("invoice_number", item(row)?),
        Row::InvoiceRef(row) => ("invoice_ref", item(row)?),
        Row::InvoiceReference(row) => ("invoice_reference", item(row)?),
        Row::PayerHistory(row) => ("payer_history", item(row)?),
        Row::PaymentPointer(row) => ("payment_pointer", item(row)?),
        Row::WebhookEndpoint(row) => ("webhook_endpoint", item(row)?),
        Row::DataSource(row) => ("data_source", item(row)?),
        Row::SourceName(row) => ("source_name", item(row)?),
        Row::SourceProgress(row) => ("source_progress", item(row)?),
        Row::Export(row) => ("export", item(row)?),
        Row::WebhookEvent(row) => ("webhook_event", item(row)?),
        Row::MemberPointer(row) => ("member_pointer", item(row)?),
        Row::UserOrganisation(row) => ("user_organisation", item(row)?),
        Row::Founding(row) => ("founding", item(row)?),
        Row::Totals(row) => ("totals", item(row)?),
        Row::AuditSeal(row) => {
            let AuditSeal { to, size, note, range, recent, sealed_at } = row.clone();
            ("audit_seal", item(&AuditSealItem { to, size, note, range, recent, sealed_at })?)
        }
        Row::AuditKept(row) => ("audit_kept", item(row)?),
        Row::Counted(row) => ("counted", item(row)?),
        Row::Member(row) => {
            let email = match &row.email {
                Private::Sealed(sealed) => sealed.clone(),
                Private::Plain(email) => sealer()?
                    .seal(&Place { record: &row.id.to_string(), field: "email" }, email.as_bytes())?,
            };
            let (id, user, role, state) = (row.id, row.user, row.role, row.state);
            ("member", item(&MemberItem { id, user, role, state, email })?)
        }
        Row::Answer(row) => {
            let body = match &row.body {
                Private::Sealed(sealed) => sealed.clone(),
                Private::Plain(body) => {
                    sealer()?.seal(&Place { record: &row.key.0, field: "answer" }, body.as_bytes())?
                }
            };
            let (key, request) = (row.key.0.clone(), row.request);
            (
                "answer",
                item(&AnswerItem {
                    key,
                    request,
                    status: row.status,
                    body,
                    version: row.version,
                    at: row.at,
                    about: row.about,
                })?,
            )
        }
        Row::Customer(row) if row.erased.is_some() => ("customer", item(&tombstone(row))?),
        Row::Customer(row) => match as_it_is(row) {
            Some(stored) => ("customer", item(&stored)?),
            None => ("customer", item(&sealer()?.customer(row)?)?),
        },
        Row::Holds(row) => ("holds", item(row)?),
        Row::LegalHold(row) => {
            let LegalHold { id, on, placed_by, placed_at, released, .. } = *row;
            let reason = sealed_text(&row.reason, &id.to_string(), "reason", sealer)?;
            ("legal_hold", item(&LegalHoldItem { id, on, reason, placed_by, placed_at, released })?)
        }
        Row::PrivacyRequest(row) => ("privacy_request", item(&privacy_item(row, sealer)?)?),
        Row::Invoice(row) => {
            let body = match &row.body {
                Private::Sealed(sealed) => sealed.clone(),
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
                claims: row.claims.values().map(claim_item).collect(),
                checkout: row.checkout.clone(),
                asked: row.asked,
                ended_at: row.ended_at,
                reference: row.reference.clone(),
                erased: row.erased,
            };
            ("invoice", item(&stored)?)
        }
        Row::Payment(row) => {
            let (payer, payer_hash) = match &row.payer {
                None => (None, None),
                Some((stamp, Private::Sealed(sealed))) => {
                    (Some((stamp.clone(), sealed.clone())), row.payer_hash.clone())
                }
                Some((stamp, Private::Plain(payer))) => {
                    let (sealer, place) = (sealer()?, Place { record: &row.id.to_string(), field: "payer" });
                    let sealed = sealer.seal(&place, &json(payer)?)?;
                    (Some((stamp.clone(), sealed)), sealer.payer_hash(payer)?)
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
                shares: row.shares.clone(),
                customer: row.customer.clone(),
                refunded_total: row.refunded_total,
                refunds: row.refunds.clone(),
                disputes: row.disputes.clone(),
                payer,
                payer_hash,
                allocations: row.allocations.values().map(allocation_item).collect(),
                customer_id: row.customer_id,
                choices: row.choices.clone(),
                undone: row.undone.clone(),
                taken_back: row.taken_back,
                owners: row.owners.clone(),
                erased: row.erased,
            };
            ("payment", item(&stored)?)
        }
    };
    Ok(framed(item, kind, version))
}

/// [`to_row`], of the item under that name. A row of another name there is no row that is absent.
pub(crate) fn to_named_row(name: &RowKey, stored: &Item) -> Result<(Row, u64), StoreError> {
    let (row, version) = to_row(stored)?;
    if name.is_of(&row) {
        Ok((row, version))
    } else {
        Err(StoreError::Corrupt("a row under another's key".to_owned()))
    }
}

/// Customers' own data keys, wrapped. Those of whom nothing private is left have none.
pub(crate) type CustomerKeys = BTreeMap<CustomerId, Vec<u8>>;

/// From where somebody acted, if that is to be sealed: not a provider's address, which is no person's.
pub(crate) fn private_origin(event: &AuditEvent) -> Option<&Origin> {
    match &event.origin {
        Private::Plain(origin) if *origin != Origin::default() && event.actor.kind != ActorKind::Provider => {
            Some(origin)
        }
        _ => None,
    }
}

/// The item of an audit event.
pub(crate) fn of_audit_event(
    event: &AuditEvent,
    customers: &CustomerKeys,
    sealer: Option<&Sealer<'_>>,
) -> Result<Item, StoreError> {
    let private = private_origin(event);
    let (plain, origin) = match &event.origin {
        Private::Sealed(sealed) => (Origin::default(), Some(sealed.clone())),
        Private::Plain(origin) => match private {
            Some(private) => {
                (Origin::default(), sealer.ok_or_else(no_sealer)?.origin(event, private, customers)?)
            }
            None => (origin.clone(), None),
        },
    };
    let AuditEvent { id, at, actor, customer, action, object, outcome, fields, request_id, count, .. } =
        event.clone();
    let Origin { ip, user_agent } = plain;
    let stored = AuditItem {
        id,
        at,
        actor,
        ip,
        user_agent,
        customer,
        origin,
        action,
        object,
        outcome,
        fields,
        request_id,
        count,
    };
    Ok(framed(item(&stored)?, "audit_event", 1))
}

/// The audit event of a stored item, with its origin as it is stored.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn to_audit_event(stored: &Item) -> Result<AuditEvent, StoreError> {
    is_readable(stored)?;
    let stored: AuditItem = from_item(stored)?;
    let AuditItem {
        id,
        at,
        actor,
        ip,
        user_agent,
        customer,
        origin,
        action,
        object,
        outcome,
        fields,
        request_id,
        count,
    } = stored;
    let origin = origin.map_or(Private::Plain(Origin { ip, user_agent }), Private::Sealed);
    Ok(AuditEvent { id, at, actor, origin, customer, action, object, outcome, fields, request_id, count })
}

/// Opens from where somebody acted; `None` where the customer's key is gone.
pub(crate) fn open_origin(
    keys: &OrganisationKeys,
    event: &AuditEvent,
    sealed: &[u8],
    customers: &CustomerKeys,
) -> Result<Option<Origin>, StoreError> {
    let id = event.id.to_string();
    let place = Place { record: &id, field: "origin" };
    let Some(customer) = &event.customer else {
        return open(keys, &place, sealed).and_then(|plain| from_json(&plain)).map(Some);
    };
    let Some(key) = customers.get(customer) else { return Ok(None) };
    let key = only(keys.open_customer_key(&customer.to_string(), &Sealed::try_from(key.clone())?)?);
    from_json(&key.open(&place, &Sealed::try_from(sealed.to_vec())?)?).map(Some)
}

/// An audit event with its text, as it is stored.
pub(crate) fn to_audit_text(stored: &Item) -> Result<(AuditEvent, String), StoreError> {
    let event = to_audit_event(stored)?;
    let text = stored.get(ROW).and_then(|row| row.as_s().ok()).cloned().unwrap_or_default();
    Ok((event, text))
}

fn is_readable(stored: &Item) -> Result<(), StoreError> {
    let form: u8 = number(stored, "v")?;
    if form > FORM {
        let why = format!("a row of form {form}, and this code reads up to {FORM}");
        return Err(StoreError::Corrupt(why));
    }
    Ok(())
}

/// The row of an item, as its `kind` says, with its version.
pub(crate) fn to_row(stored: &Item) -> Result<(Row, u64), StoreError> {
    is_readable(stored)?;
    let version: u64 = number(stored, "version")?;
    let kind = stored.get("kind").and_then(|kind| kind.as_s().ok());
    let row = match kind.map_or("", String::as_str) {
        "organisation" => Row::Organisation(from_item(stored)?),
        "logo" => {
            let LogoItem { hash, png } = from_item(stored)?;
            Row::Logo(Logo { hash, png })
        }
        "customer_ref" => Row::CustomerRef(from_item(stored)?),
        "invoice_number" => Row::InvoiceNumber(from_item(stored)?),
        "invoice_ref" => Row::InvoiceRef(from_item(stored)?),
        "invoice_reference" => Row::InvoiceReference(from_item(stored)?),
        "payer_history" => Row::PayerHistory(from_item(stored)?),
        "payment_pointer" => Row::PaymentPointer(from_item(stored)?),
        "portal_link" => Row::PortalLink(from_item(stored)?),
        "stripe_account" => Row::StripeAccount(from_item(stored)?),
        "webhook_endpoint" => Row::WebhookEndpoint(from_item(stored)?),
        "webhook_event" => Row::WebhookEvent(from_item(stored)?),
        "data_source" => Row::DataSource(from_item(stored)?),
        "source_name" => Row::SourceName(from_item(stored)?),
        "source_progress" => Row::SourceProgress(from_item(stored)?),
        "export" => Row::Export(from_item(stored)?),
        "holds" => Row::Holds(from_item(stored)?),
        "legal_hold" => {
            let LegalHoldItem { id, on, reason, placed_by, placed_at, released } = from_item(stored)?;
            let reason = Private::Sealed(reason);
            Row::LegalHold(LegalHold { id, on, reason, placed_by, placed_at, released })
        }
        "privacy_request" => {
            let stored: PrivacyRequestItem = from_item(stored)?;
            let refused = |(by, at, reason)| Refused { by, at, reason: Private::Sealed(reason) };
            Row::PrivacyRequest(PrivacyRequest {
                id: stored.id,
                kind: stored.kind,
                customer: stored.customer,
                requested_by: stored.requested_by,
                requested_at: stored.requested_at,
                due_on: stored.due_on,
                held: stored.held,
                begun: stored.begun,
                done: stored.done,
                refused: stored.refused.map(refused),
            })
        }
        "member_pointer" => Row::MemberPointer(from_item(stored)?),
        "user_organisation" => Row::UserOrganisation(from_item(stored)?),
        "founding" => Row::Founding(from_item(stored)?),
        "totals" => Row::Totals(from_item(stored)?),
        "audit_seal" => {
            let AuditSealItem { to, size, note, range, recent, sealed_at } = from_item(stored)?;
            Row::AuditSeal(AuditSeal { to, size, note, range, recent, sealed_at })
        }
        "audit_kept" => Row::AuditKept(from_item(stored)?),
        "counted" => Row::Counted(from_item(stored)?),
        "member" => {
            let MemberItem { id, user, role, state, email } = from_item(stored)?;
            Row::Member(Member { id, user, role, state, email: Private::Sealed(email) })
        }
        "answer" => {
            let AnswerItem { key, request, status, body, version, at, about } = from_item(stored)?;
            let (key, body) = (AnswerKey(key), Private::Sealed(body));
            Row::Answer(Answer { key, request, status, body, version, at, about })
        }
        "customer" => {
            let stored: CustomerItem = from_item(stored)?;
            Row::Customer(Customer {
                id: stored.id,
                personal: stored.personal.map_or(Private::Plain(Personal::default()), Private::Sealed),
                key: stored.key,
                told: stored.told.map(|(stamp, told)| (stamp, Private::Sealed(told))),
                email_hashes: [stored.email_hash, stored.told_email_hash],
                links: stored.links,
                active: stored.active,
                erased: stored.erased,
                search: stored.search,
            })
        }
        "invoice" => {
            let stored: InvoiceItem = from_item(stored)?;
            Row::Invoice(Invoice {
                id: stored.id,
                number: stored.number,
                customer_id: stored.customer_id,
                state: stored.state,
                total: stored.total,
                issued_on: stored.issued_on,
                due_on: stored.due_on,
                body: Private::Sealed(stored.body),
                claims: stored.claims.into_iter().map(claim).collect(),
                checkout: stored.checkout,
                asked: stored.asked,
                ended_at: stored.ended_at,
                reference: stored.reference,
                erased: stored.erased,
            })
        }
        "payment" => {
            let stored: PaymentItem = from_item(stored)?;
            Row::Payment(Payment {
                id: stored.id,
                reference: stored.reference,
                money: stored.money,
                received_at: stored.received_at,
                named: stored.named,
                shares: stored.shares,
                customer: stored.customer,
                refunded_total: stored.refunded_total,
                refunds: stored.refunds,
                disputes: stored.disputes,
                payer: stored.payer.map(|(stamp, sealed)| (stamp, Private::Sealed(sealed))),
                payer_hash: stored.payer_hash,
                customer_id: stored.customer_id,
                choices: stored.choices,
                undone: stored.undone,
                taken_back: stored.taken_back,
                owners: stored.owners,
                allocations: stored.allocations.into_iter().map(allocation).collect(),
                erased: stored.erased,
            })
        }
        _ => return Err(StoreError::Corrupt("an item of a kind that this code does not know".to_owned())),
    };
    Ok((row, version))
}

fn sealed_text<'a, 's: 'a>(
    text: &Private<String>,
    record: &str,
    field: &str,
    sealer: impl Fn() -> Result<&'a Sealer<'s>, StoreError>,
) -> Result<Vec<u8>, StoreError> {
    match text {
        Private::Sealed(sealed) => Ok(sealed.clone()),
        Private::Plain(text) => sealer()?.seal(&Place { record, field }, text.as_bytes()),
    }
}

fn privacy_item<'a, 's: 'a>(
    row: &PrivacyRequest,
    sealer: impl Fn() -> Result<&'a Sealer<'s>, StoreError>,
) -> Result<PrivacyRequestItem, StoreError> {
    let record = row.id.to_string();
    let refused = match &row.refused {
        None => None,
        Some(Refused { by, at, reason }) => Some((*by, *at, sealed_text(reason, &record, "reason", sealer)?)),
    };
    Ok(PrivacyRequestItem {
        id: row.id,
        kind: row.kind,
        customer: row.customer,
        requested_by: row.requested_by,
        requested_at: row.requested_at,
        due_on: row.due_on,
        held: row.held,
        begun: row.begun,
        done: row.done.clone(),
        refused,
    })
}

fn claim_item(claim: &Claim) -> (ExternalRef, ClaimItem) {
    let Claim { received_at, wanted, applied, allocation, chosen, .. } = *claim;
    (claim.payment.clone(), ClaimItem { received_at, wanted, applied, allocation, chosen })
}

fn claim((payment, stored): (ExternalRef, ClaimItem)) -> (AllocationId, Claim) {
    let ClaimItem { received_at, wanted, applied, allocation, chosen } = stored;
    (allocation, Claim { payment, received_at, wanted, applied, allocation, chosen })
}

fn allocation_item(allocation: &Allocation) -> (InvoiceId, AllocationItem) {
    let (id, amount, applied_by) = (allocation.id, allocation.amount, allocation.applied_by.clone());
    (allocation.invoice, AllocationItem { id, amount, applied_by })
}

fn allocation((invoice, stored): (InvoiceId, AllocationItem)) -> (AllocationId, Allocation) {
    let AllocationItem { id, amount, applied_by } = stored;
    (id, Allocation { id, invoice, amount, applied_by })
}

/// An item with its kind, form and version.
pub(crate) fn framed(mut item: Item, kind: &str, version: u64) -> Item {
    item.insert("kind".to_owned(), AttributeValue::S(kind.to_owned()));
    item.insert("v".to_owned(), AttributeValue::N(FORM.to_string()));
    item.insert("version".to_owned(), AttributeValue::N(version.to_string()));
    item
}

/// An item that holds a value as one JSON text. As attributes of its own each field would be hashed, copied and sent by its name,
/// and nothing asks DynamoDB about them.
pub(crate) fn item(value: &impl Serialize) -> Result<Item, StoreError> {
    let row = serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    // Room for the keys, the frame and the lists.
    let mut item = Item::with_capacity(14);
    item.insert(ROW.to_owned(), AttributeValue::S(row));
    Ok(item)
}

/// The text that an item holds.
pub(crate) fn text(item: &Item) -> Result<&str, StoreError> {
    let text = item.get(ROW).and_then(|row| row.as_s().ok());
    text.map(String::as_str).ok_or_else(|| StoreError::Corrupt("an item without its row".to_owned()))
}

/// The value that an item holds. The error names no value.
pub(crate) fn from_item<T: DeserializeOwned>(item: &Item) -> Result<T, StoreError> {
    let row = item.get(ROW).and_then(|row| row.as_s().ok());
    row.and_then(|row| serde_json::from_str(row).ok())
        .ok_or_else(|| StoreError::Corrupt(format!("an item is no {}", std::any::type_name::<T>())))
}

/// A number beside the row.
pub(crate) fn number<N: FromStr>(item: &Item, name: &str) -> Result<N, StoreError> {
    let number = item.get(name).and_then(|value| value.as_n().ok()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| StoreError::Corrupt(format!("an item without its {name}")))
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
