//! What a Stripe event says, in Stripe's own words but typed: the types that Plixo uses, and of these only what the ledger
//! needs. Amounts are minor units, never below zero; currencies are three capital letters; times are Unix seconds.

use std::borrow::Cow;

use super::event::Event;
use crate::json::{FieldError, Object};

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Something about money.
    Payment {
        /// When the event happened.
        created: i64,
        /// What happened.
        fact: PaymentFact,
    },
    /// Something about a customer.
    Customer {
        /// When the event happened.
        created: i64,
        /// What happened.
        fact: CustomerFact,
    },
    /// The event is of a type that Plixo does not use. Its object was not looked at.
    Unused,
}

/// What happened to money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentFact {
    /// `payment_intent.succeeded`, `.payment_failed`, `.canceled`.
    Intent(Intent),
    /// `charge.succeeded`, `charge.refunded`.
    Charge(Charge),
    /// `refund.updated`.
    Refund(Refund),
    /// `charge.dispute.created`, `charge.dispute.closed`.
    Dispute(Dispute),
    /// `checkout.session.completed`, `.async_payment_succeeded`, `.async_payment_failed`, `.expired`.
    Session(Session),
}

/// A payment intent: one payer's wish to pay, over all tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// `pi_…`.
    pub intent_id: String,
    /// How it stands, as the event's type says.
    pub status: IntentStatus,
    /// What is to be paid.
    pub amount: i64,
    /// What was received: 0 unless it succeeded.
    pub amount_received: i64,
    /// The currency of both.
    pub currency: String,
    /// `metadata.plixo_invoice_id`.
    pub invoice_ref: Option<String>,
    /// `cus_…`.
    pub customer: Option<String>,
}

/// How a payment intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentStatus {
    /// The money is there.
    Succeeded,
    /// A try failed; another may follow.
    Failed,
    /// There will be no further try.
    Canceled,
}

/// A charge: one try to move money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// `ch_…` or `py_…`.
    pub charge_id: String,
    /// The payment intent whose try it is; old integrations have none.
    pub intent_id: Option<String>,
    /// How it stands.
    pub status: ChargeStatus,
    /// What was asked for.
    pub amount: i64,
    /// What was captured: 0 while the money is only reserved on the card.
    pub amount_captured: i64,
    /// What was refunded in all.
    pub amount_refunded: i64,
    /// The currency of all three.
    pub currency: String,
    /// `metadata.plixo_invoice_id`: Stripe copies a payment intent's metadata to its charges.
    pub invoice_ref: Option<String>,
    /// `cus_…`.
    pub customer: Option<String>,
    /// `billing_details.name`.
    pub payer_name: Option<String>,
    /// `billing_details.email`, else `receipt_email`.
    pub payer_email: Option<String>,
    /// `description`: what the payment is for, as a person or a program wrote it.
    pub description: Option<String>,
}

/// How a charge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeStatus {
    /// The money moved, or is reserved.
    Succeeded,
    /// It is on its way, as with bank debits.
    Pending,
    /// It will not come by this try.
    Failed,
}

/// One refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// `re_…` or `pyr_…`.
    pub refund_id: String,
    /// Of this charge.
    pub charge_id: Option<String>,
    /// Of this payment intent.
    pub intent_id: Option<String>,
    /// How much.
    pub amount: i64,
    /// Of this currency.
    pub currency: String,
    /// How it stands.
    pub status: RefundStatus,
}

/// How a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundStatus {
    /// On its way.
    Pending,
    /// The payer must do something first.
    RequiresAction,
    /// Arrived.
    Succeeded,
    /// Came back: the money is the seller's again.
    Failed,
    /// Called off before it left.
    Canceled,
}

/// One dispute about a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// `du_…` or `dp_…`.
    pub dispute_id: String,
    /// About this charge.
    pub charge_id: String,
    /// Of this payment intent.
    pub intent_id: Option<String>,
    /// How much is disputed: it may be less than the charge, and with another currency's rate more.
    pub amount: i64,
    /// Of this currency.
    pub currency: String,
    /// How it stands.
    pub status: DisputeStatus,
}

/// How a dispute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeStatus {
    /// Undecided, and Stripe holds the money back: `needs_response`, `under_review`, `appeal_needs_response`,
    /// `appeal_under_review`.
    Open,
    /// The bank asks first, no money is held back: `warning_needs_response`, `warning_under_review`.
    Warning,
    /// Such a question came to nothing: `warning_closed`.
    WarningClosed,
    /// Decided for the seller: `won`.
    Won,
    /// Decided for the payer: `lost`.
    Lost,
    /// Settled before it was one, by a refund that is told of on its own: `prevented`.
    Prevented,
}

/// A Checkout Session: the page on which somebody pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// `cs_…`.
    pub session_id: String,
    /// The payment intent that it made; a session that takes no payment, or makes a subscription, has none.
    pub intent_id: Option<String>,
    /// What became of it, as the event's type says.
    pub outcome: SessionOutcome,
    /// Whether the money is there.
    pub payment_status: SessionPayment,
    /// What is to be paid; none where there is nothing to pay.
    pub amount_total: Option<i64>,
    /// Of this currency.
    pub currency: Option<String>,
    /// `metadata.plixo_invoice_id`.
    pub invoice_ref: Option<String>,
    /// `cus_…`.
    pub customer: Option<String>,
    /// `customer_details.name`.
    pub payer_name: Option<String>,
    /// `customer_details.email`, else `customer_email`.
    pub payer_email: Option<String>,
}

/// What became of a Checkout Session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionOutcome {
    /// The payer went through it; the money may still be on its way.
    Completed,
    /// The money that was on its way came.
    AsyncSucceeded,
    /// It did not.
    AsyncFailed,
    /// Nobody paid in time.
    Expired,
}

/// Whether a Checkout Session's money is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionPayment {
    /// It is.
    Paid,
    /// It is not.
    Unpaid,
    /// There is nothing to pay, or not yet.
    NoPaymentRequired,
}

/// What happened to a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerFact {
    /// `cus_…`.
    pub stripe_id: String,
    /// What happened.
    pub change: CustomerChange,
    /// The name.
    pub name: Option<String>,
    /// The email.
    pub email: Option<String>,
    /// The phone.
    pub phone: Option<String>,
    /// The billing address.
    pub address: Option<Address>,
    /// `metadata.plixo_customer_id`.
    pub customer_ref: Option<String>,
}

/// What happened to a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerChange {
    /// `customer.created`.
    Created,
    /// `customer.updated`.
    Updated,
    /// `customer.deleted`: the other fields are what was last known.
    Deleted,
}

/// An address as Stripe has it: any part may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "Stripe's own words")]
pub struct Address {
    pub line1: Option<String>,
    pub line2: Option<String>,
    pub city: Option<String>,
    pub postal_code: Option<String>,
    pub state: Option<String>,
    pub country: Option<String>,
}

/// Reads what an event says.
///
/// # Errors
/// [`FieldError`]: the event is of a type that Plixo uses, with a field that cannot be used. The error names the field and
/// never holds its value.
pub fn read(event: &Event<'_>) -> Result<Fact, FieldError> {
    let Some(kind) = Kind::of(&event.kind) else { return Ok(Fact::Unused) };
    let created = event.fields.need("created", Ok(event.created))?;
    let data = event.fields.need("data", event.fields.object("data"))?;
    let object = data.need("object", data.object("object"))?;
    let fact = match kind {
        Kind::Intent(status) => PaymentFact::Intent(intent(&object, status)?),
        Kind::Charge { refunded } => PaymentFact::Charge(charge(&object, refunded)?),
        Kind::Refund => PaymentFact::Refund(refund(&object)?),
        Kind::Dispute => PaymentFact::Dispute(dispute(&object)?),
        Kind::Session(outcome) => PaymentFact::Session(session(&object, outcome)?),
        Kind::Customer(change) => {
            return Ok(Fact::Customer { created, fact: customer(&object, change)? });
        }
    };
    Ok(Fact::Payment { created, fact })
}

enum Kind {
    Intent(IntentStatus),
    Charge { refunded: bool },
    Refund,
    Dispute,
    Session(SessionOutcome),
    Customer(CustomerChange),
}

impl Kind {
    fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "payment_intent.succeeded" => Self::Intent(IntentStatus::Succeeded),
            "payment_intent.payment_failed" => Self::Intent(IntentStatus::Failed),
            "payment_intent.canceled" => Self::Intent(IntentStatus::Canceled),
            "charge.succeeded" => Self::Charge { refunded: false },
            "charge.refunded" => Self::Charge { refunded: true },
            "refund.updated" => Self::Refund,
            "charge.dispute.created" | "charge.dispute.closed" => Self::Dispute,
            "checkout.session.completed" => Self::Session(SessionOutcome::Completed),
            "checkout.session.async_payment_succeeded" => Self::Session(SessionOutcome::AsyncSucceeded),
            "checkout.session.async_payment_failed" => Self::Session(SessionOutcome::AsyncFailed),
            "checkout.session.expired" => Self::Session(SessionOutcome::Expired),
            "customer.created" => Self::Customer(CustomerChange::Created),
            "customer.updated" => Self::Customer(CustomerChange::Updated),
            "customer.deleted" => Self::Customer(CustomerChange::Deleted),
            _ => return None,
        })
    }
}

fn intent(object: &Object<'_>, status: IntentStatus) -> Result<Intent, FieldError> {
    let amount = object.need("amount", object.count("amount"))?;
    let received = object.count("amount_received")?;
    Ok(Intent {
        intent_id: id(object)?,
        status,
        amount,
        amount_received: received.unwrap_or(if status == IntentStatus::Succeeded { amount } else { 0 }),
        currency: object.need("currency", currency(object))?,
        invoice_ref: note(object, "plixo_invoice_id")?,
        customer: object.id_of("customer")?,
    })
}

fn charge(object: &Object<'_>, refunded: bool) -> Result<Charge, FieldError> {
    const STATUSES: [(&str, ChargeStatus); 3] = [
        ("succeeded", ChargeStatus::Succeeded),
        ("pending", ChargeStatus::Pending),
        ("failed", ChargeStatus::Failed),
    ];
    let amount = object.need("amount", object.count("amount"))?;
    let captured = object.flag("captured")?.unwrap_or(true);
    let told = object.count("amount_refunded");
    let billing = object.object("billing_details")?;
    let billed = |name| billing.as_ref().map_or(Ok(None), |billing| owned(billing, name));
    Ok(Charge {
        charge_id: id(object)?,
        intent_id: object.id_of("payment_intent")?,
        status: object.word("status", &STATUSES)?.unwrap_or(ChargeStatus::Succeeded),
        amount,
        amount_captured: object.count("amount_captured")?.unwrap_or(if captured { amount } else { 0 }),
        amount_refunded: if refunded { object.need("amount_refunded", told)? } else { told?.unwrap_or(0) },
        currency: object.need("currency", currency(object))?,
        invoice_ref: note(object, "plixo_invoice_id")?,
        customer: object.id_of("customer")?,
        payer_name: billed("name")?,
        payer_email: billed("email")?.or(owned(object, "receipt_email")?),
        description: owned(object, "description")?,
    })
}

fn refund(object: &Object<'_>) -> Result<Refund, FieldError> {
    const STATUSES: [(&str, RefundStatus); 5] = [
        ("pending", RefundStatus::Pending),
        ("requires_action", RefundStatus::RequiresAction),
        ("succeeded", RefundStatus::Succeeded),
        ("failed", RefundStatus::Failed),
        ("canceled", RefundStatus::Canceled),
    ];
    Ok(Refund {
        refund_id: id(object)?,
        charge_id: object.id_of("charge")?,
        intent_id: object.id_of("payment_intent")?,
        amount: object.need("amount", object.count("amount"))?,
        currency: object.need("currency", currency(object))?,
        status: object.need("status", object.word("status", &STATUSES))?,
    })
}

fn dispute(object: &Object<'_>) -> Result<Dispute, FieldError> {
    const STATUSES: [(&str, DisputeStatus); 10] = [
        ("needs_response", DisputeStatus::Open),
        ("under_review", DisputeStatus::Open),
        ("appeal_needs_response", DisputeStatus::Open),
        ("appeal_under_review", DisputeStatus::Open),
        ("warning_needs_response", DisputeStatus::Warning),
        ("warning_under_review", DisputeStatus::Warning),
        ("warning_closed", DisputeStatus::WarningClosed),
        ("won", DisputeStatus::Won),
        ("lost", DisputeStatus::Lost),
        ("prevented", DisputeStatus::Prevented),
    ];
    Ok(Dispute {
        dispute_id: id(object)?,
        charge_id: object.need("charge", object.id_of("charge"))?,
        intent_id: object.id_of("payment_intent")?,
        amount: object.need("amount", object.count("amount"))?,
        currency: object.need("currency", currency(object))?,
        status: object.need("status", object.word("status", &STATUSES))?,
    })
}

fn session(object: &Object<'_>, outcome: SessionOutcome) -> Result<Session, FieldError> {
    const STATUSES: [(&str, SessionPayment); 3] = [
        ("paid", SessionPayment::Paid),
        ("unpaid", SessionPayment::Unpaid),
        ("no_payment_required", SessionPayment::NoPaymentRequired),
    ];
    let details = object.object("customer_details")?;
    let detail = |name| details.as_ref().map_or(Ok(None), |details| owned(details, name));
    Ok(Session {
        session_id: id(object)?,
        intent_id: object.id_of("payment_intent")?,
        outcome,
        payment_status: object.need("payment_status", object.word("payment_status", &STATUSES))?,
        amount_total: object.count("amount_total")?,
        currency: currency(object)?,
        invoice_ref: note(object, "plixo_invoice_id")?,
        customer: object.id_of("customer")?,
        payer_name: detail("name")?,
        payer_email: detail("email")?.or(owned(object, "customer_email")?),
    })
}

fn customer(object: &Object<'_>, change: CustomerChange) -> Result<CustomerFact, FieldError> {
    let address = object.object("address")?;
    Ok(CustomerFact {
        stripe_id: id(object)?,
        change,
        name: owned(object, "name")?,
        email: owned(object, "email")?,
        phone: owned(object, "phone")?,
        address: address.as_ref().map(postal).transpose()?,
        customer_ref: note(object, "plixo_customer_id")?,
    })
}

fn postal(address: &Object<'_>) -> Result<Address, FieldError> {
    Ok(Address {
        line1: owned(address, "line1")?,
        line2: owned(address, "line2")?,
        city: owned(address, "city")?,
        postal_code: owned(address, "postal_code")?,
        state: owned(address, "state")?,
        country: owned(address, "country")?,
    })
}

fn id(object: &Object<'_>) -> Result<String, FieldError> {
    object.need("id", object.text("id")).map(Cow::into_owned)
}

/// Stripe clears a text by setting it to `""` in some places and to `null` in others: both mean none.
fn owned(object: &Object<'_>, name: &str) -> Result<Option<String>, FieldError> {
    Ok(object.text(name)?.filter(|text| !text.is_empty()).map(Cow::into_owned))
}

fn note(object: &Object<'_>, name: &str) -> Result<Option<String>, FieldError> {
    object.object("metadata")?.map_or(Ok(None), |metadata| owned(&metadata, name))
}

fn currency(object: &Object<'_>) -> Result<Option<String>, FieldError> {
    let Some(code) = object.text("currency")? else { return Ok(None) };
    let valid = code.len() == 3 && code.bytes().all(|b| b.is_ascii_alphabetic());
    if valid { Ok(Some(code.to_ascii_uppercase())) } else { Err(object.unknown("currency")) }
}

#[cfg(test)]
mod tests;
