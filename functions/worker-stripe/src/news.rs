//! What a Stripe event tells the ledger.

use plixo_domain::ledger::{
    Address, CustomerNews, DisputeState, Payer, PaymentNews, PaymentPart, Personal, RefundState, Stage,
    Stamp, Witness,
};
use plixo_domain::money::Currency;
use plixo_domain::stripe::{self, AmountError};
use plixo_domain::webhook::{ExternalId, ExternalRef, Provider};
use plixo_webhooks::stripe::event::Event;
use plixo_webhooks::stripe::fact::{
    self, Charge, ChargeStatus, CustomerChange, CustomerFact, Dispute, DisputeStatus, Intent, IntentStatus,
    PaymentFact, Refund, RefundStatus, Session, SessionOutcome, SessionPayment,
};
use plixo_worker::{Fact, News};

/// More than any payment is, and small enough that the sums of one payment cannot overflow.
const MAX_AMOUNT: i64 = 1_000_000_000_000_000;

/// Reads an event's news.
pub(crate) fn of(event: &Event<'_>, event_id: &ExternalId) -> News {
    let fact = match fact::read(event) {
        Ok(fact) => fact,
        Err(error) => return News::Unusable(error.to_string()),
    };
    let stamp = |at| Stamp { at, event: event_id.to_string() };
    let news = match fact {
        fact::Fact::Unused => return News::Unused,
        fact::Fact::Customer { created, fact } => customer(fact, stamp(created)).map(Fact::Customer),
        fact::Fact::Payment { created, fact } => {
            let said = match fact {
                PaymentFact::Intent(fact) => intent(fact, created),
                PaymentFact::Charge(fact) => charge(fact, created),
                PaymentFact::Refund(fact) => refund(fact),
                PaymentFact::Dispute(fact) => dispute(fact),
                PaymentFact::Session(fact) => match session(fact, created) {
                    Some(said) => said,
                    None => return News::Told(None),
                },
            };
            said.and_then(|said| said.news(stamp(created))).map(Fact::Payment)
        }
    };
    news.map_or_else(News::Unusable, |fact| News::Told(Some(Box::new(fact))))
}

struct Said {
    reference: String,
    currency: String,
    parts: Vec<PaymentPart>,
    customer: Option<String>,
}

impl Said {
    fn news(mut self, stamp: Stamp) -> Result<PaymentNews, String> {
        let currency = self.currency.parse();
        let currency = currency.map_err(|_| "/data/object/currency is no ISO 4217 code".to_owned())?;
        for part in &mut self.parts {
            match part {
                PaymentPart::Money { amount, .. }
                | PaymentPart::RefundedTotal { amount }
                | PaymentPart::Refund { amount, .. }
                | PaymentPart::Dispute { amount, .. } => *amount = minor_units(*amount, currency)?,
                PaymentPart::Names { .. }
                | PaymentPart::Payer(_)
                | PaymentPart::Shares(_)
                | PaymentPart::Withdrawn => {}
            }
        }
        Ok(PaymentNews {
            reference: named(&self.reference)?,
            stamp,
            currency,
            parts: self.parts,
            customer: self.customer.as_deref().map(named).transpose()?,
        })
    }
}

/// An amount of Stripe's in ISO 4217's minor units.
fn minor_units(amount: i64, currency: Currency) -> Result<i64, String> {
    let money =
        if amount > MAX_AMOUNT { Err(AmountError::Overflow) } else { stripe::money(amount, currency) };
    money.map(|money| money.amount).map_err(|error| match error {
        AmountError::Fraction => "/data/object has a fraction of a currency that has none".to_owned(),
        AmountError::Overflow => "/data/object has an amount that no payment has".to_owned(),
    })
}

/// The name of a thing of Stripe's.
pub(crate) fn named(id: &str) -> Result<ExternalRef, String> {
    let id = id.parse().map_err(|_| "/data/object has an id that no Stripe object has".to_owned())?;
    Ok(ExternalRef { provider: Provider::Stripe, id })
}

/// A note that is no invoice id names no invoice.
fn names(invoice: Option<&str>, witness: Witness) -> Option<PaymentPart> {
    invoice.and_then(|id| id.parse().ok()).map(|invoice| PaymentPart::Names { witness, invoice })
}

fn payer(name: Option<String>, email: Option<String>, remittance: Option<String>) -> Option<PaymentPart> {
    let payer = Payer { name, email, remittance };
    (payer != Payer::default()).then_some(PaymentPart::Payer(payer))
}

fn intent(fact: Intent, created: i64) -> Result<Said, String> {
    let (stage, amount) = match fact.status {
        IntentStatus::Succeeded => (Stage::Received, fact.amount_received),
        IntentStatus::Failed => (Stage::Failed, fact.amount),
        IntentStatus::Canceled => (Stage::Canceled, fact.amount),
    };
    let witness = Witness::Intent;
    let mut parts = vec![PaymentPart::Money { witness, stage, amount, since: created }];
    parts.extend(names(fact.invoice_ref.as_deref(), witness));
    Ok(Said { reference: fact.intent_id, currency: fact.currency, parts, customer: fact.customer })
}

fn charge(fact: Charge, created: i64) -> Result<Said, String> {
    let (stage, amount) = match fact.status {
        ChargeStatus::Succeeded if fact.amount_captured > 0 => (Stage::Received, fact.amount_captured),
        ChargeStatus::Succeeded | ChargeStatus::Pending => (Stage::Pending, fact.amount),
        ChargeStatus::Failed => (Stage::Failed, fact.amount),
    };
    let witness = Witness::Charge;
    let mut parts = vec![PaymentPart::Money { witness, stage, amount, since: created }];
    // What was reserved and not captured went back by itself, and stands among the refunds.
    let uncaptured =
        if fact.amount_captured > 0 { fact.amount.saturating_sub(fact.amount_captured) } else { 0 };
    parts.push(PaymentPart::RefundedTotal { amount: fact.amount_refunded.saturating_sub(uncaptured).max(0) });
    parts.extend(names(fact.invoice_ref.as_deref(), witness));
    parts.extend(payer(fact.payer_name, fact.payer_email, fact.description));
    let reference = fact.intent_id.unwrap_or(fact.charge_id);
    Ok(Said { reference, currency: fact.currency, parts, customer: fact.customer })
}

fn refund(fact: Refund) -> Result<Said, String> {
    let state = match fact.status {
        RefundStatus::Pending | RefundStatus::RequiresAction => RefundState::Pending,
        RefundStatus::Succeeded => RefundState::Succeeded,
        RefundStatus::Failed | RefundStatus::Canceled => RefundState::Failed,
    };
    let id = named(&fact.refund_id)?.id;
    let parts = vec![PaymentPart::Refund { id, state, amount: fact.amount }];
    let reference = fact.intent_id.or(fact.charge_id);
    let reference = reference.ok_or("/data/object names neither a payment intent nor a charge")?;
    Ok(Said { reference, currency: fact.currency, parts, customer: None })
}

fn dispute(fact: Dispute) -> Result<Said, String> {
    let state = match fact.status {
        DisputeStatus::Open | DisputeStatus::Warning => DisputeState::Open,
        DisputeStatus::WarningClosed | DisputeStatus::Won | DisputeStatus::Prevented => DisputeState::Won,
        DisputeStatus::Lost => DisputeState::Lost,
    };
    let id = named(&fact.dispute_id)?.id;
    let parts = vec![PaymentPart::Dispute { id, state, amount: fact.amount }];
    let reference = fact.intent_id.unwrap_or(fact.charge_id);
    Ok(Said { reference, currency: fact.currency, parts, customer: None })
}

/// `None`: nobody paid and nobody will, there was nothing to pay, or the money has a payment intent that the session does not
/// know, as with subscriptions: the intent tells of it.
fn session(fact: Session, created: i64) -> Option<Result<Said, String>> {
    let reference = fact.intent_id?;
    let (amount, currency) = fact.amount_total.zip(fact.currency)?;
    let stage = match (fact.payment_status, fact.outcome) {
        (SessionPayment::NoPaymentRequired, _) => return None,
        (SessionPayment::Paid, _) | (_, SessionOutcome::AsyncSucceeded) => Stage::Received,
        (SessionPayment::Unpaid, SessionOutcome::Completed) => Stage::Pending,
        (SessionPayment::Unpaid, SessionOutcome::AsyncFailed) => Stage::Failed,
        (SessionPayment::Unpaid, SessionOutcome::Expired) => Stage::Canceled,
    };
    let witness = Witness::Session;
    let mut parts = vec![PaymentPart::Money { witness, stage, amount, since: created }];
    parts.extend(names(fact.invoice_ref.as_deref(), witness));
    parts.extend(payer(fact.payer_name, fact.payer_email, None));
    Some(Ok(Said { reference, currency, parts, customer: fact.customer }))
}

fn customer(fact: CustomerFact, stamp: Stamp) -> Result<CustomerNews, String> {
    let address = fact.address.and_then(|it| {
        let (line1, city, postal_code, country) = (it.line1?, it.city?, it.postal_code?, it.country?);
        Some(Address { line1, line2: it.line2, city, postal_code, country })
    });
    let personal = Personal { name: fact.name, email: fact.email, phone: fact.phone, address, tax_id: None };
    Ok(CustomerNews {
        reference: named(&fact.stripe_id)?,
        stamp,
        personal: (fact.change != CustomerChange::Deleted).then_some(personal),
        names: fact.customer_ref.and_then(|id| id.parse().ok()),
    })
}
