//! What is shown and taken, in the contract's shapes.

use std::collections::BTreeMap;

use jiff::civil::Date;
use plixo_domain::audit::Actor;
use plixo_domain::id::{AllocationId, CustomerId, InvoiceId, PaymentId};
use plixo_domain::ledger::staff::{
    CustomerPatch, InvoicePatch, NewInvoice, NewPayment, Patch, RecordedSource,
};
use plixo_domain::ledger::{
    Address, Customer, Invoice, InvoiceBody, InvoiceStatus, Line, Payer, Payment, PaymentSource,
    PaymentStatus, Personal,
};
use plixo_domain::money::Money;
use plixo_domain::webhook::ExternalId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub(crate) struct CustomerShape {
    #[schema(value_type = String)]
    id: CustomerId,
    #[serde(flatten)]
    #[schema(inline)]
    personal: PersonalShape,
    /// Its names at providers: `{"stripe": "cus_…"}`.
    external_ids: BTreeMap<&'static str, String>,
}

/// What is known of a customer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonalShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AddressShape>)]
    address: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tax_id: Option<String>,
}

/// A postal address.
#[derive(ToSchema)]
#[schema(as = Address)]
#[expect(dead_code, reason = "its schema is what is used")]
pub(crate) struct AddressShape {
    line1: String,
    line2: Option<String>,
    city: String,
    postal_code: String,
    /// ISO 3166-1 alpha-2.
    country: String,
}

/// An amount of money.
#[derive(ToSchema)]
#[schema(as = Money)]
#[expect(dead_code, reason = "its schema is what is used")]
pub(crate) struct MoneyShape {
    /// Minor units.
    amount: i64,
    /// ISO 4217.
    currency: String,
}

/// One line of an invoice.
#[derive(ToSchema)]
#[schema(as = Line)]
#[expect(dead_code, reason = "its schema is what is used")]
pub(crate) struct LineShape {
    description: String,
    /// A decimal.
    quantity: String,
    unit_price: MoneyShape,
    /// A decimal.
    tax_percent: Option<String>,
}

impl From<PersonalShape> for Personal {
    fn from(shape: PersonalShape) -> Self {
        let PersonalShape { name, email, phone, address, tax_id } = shape;
        Self { name, email, phone, address, tax_id }
    }
}

impl CustomerShape {
    pub(crate) fn new(customer: &Customer, personal: Personal) -> Self {
        let Personal { name, email, phone, address, tax_id } = personal;
        Self {
            id: customer.id,
            personal: PersonalShape { name, email, phone, address, tax_id },
            external_ids: customer.links.keys().map(|of| (of.provider.as_str(), of.id.to_string())).collect(),
        }
    }
}

/// What is to change of a customer: what is absent stays, null clears.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomerChange {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    email: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    phone: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<AddressShape>)]
    address: Patch<Address>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    tax_id: Patch<String>,
}

impl From<CustomerChange> for CustomerPatch {
    fn from(change: CustomerChange) -> Self {
        let CustomerChange { name, email, phone, address, tax_id } = change;
        Self { name, email, phone, address, tax_id }
    }
}

/// An invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invoice)]
pub(crate) struct InvoiceShape {
    #[schema(value_type = String)]
    id: InvoiceId,
    number: String,
    #[schema(value_type = String)]
    customer_id: CustomerId,
    #[schema(value_type = String)]
    status: InvoiceStatus,
    #[schema(value_type = Vec<LineShape>)]
    lines: Vec<Line>,
    #[schema(value_type = MoneyShape)]
    total: Money,
    #[schema(value_type = MoneyShape)]
    balance: Money,
    #[schema(value_type = Option<String>)]
    issued_on: Option<Date>,
    #[schema(value_type = Option<String>)]
    due_on: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
}

impl InvoiceShape {
    pub(crate) fn new(invoice: &Invoice, body: InvoiceBody) -> Self {
        Self {
            id: invoice.id,
            number: invoice.number.clone(),
            customer_id: invoice.customer_id,
            status: invoice.status(),
            lines: body.lines,
            total: invoice.total,
            balance: invoice.balance(),
            issued_on: invoice.issued_on,
            due_on: invoice.due_on,
            memo: body.memo,
        }
    }
}

/// An invoice to be made: a draft.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvoiceOrder {
    #[schema(value_type = String)]
    customer_id: CustomerId,
    /// Made when the invoice is finalised, if there is none.
    #[serde(default)]
    number: Option<String>,
    #[schema(value_type = Vec<LineShape>)]
    lines: Vec<Line>,
    #[serde(default)]
    memo: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    due_on: Option<Date>,
}

impl From<InvoiceOrder> for NewInvoice {
    fn from(order: InvoiceOrder) -> Self {
        let InvoiceOrder { customer_id, number, lines, memo, due_on } = order;
        Self { customer_id, number, lines, memo, due_on }
    }
}

/// What is to change of a draft: what is absent stays, null clears.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvoiceChange {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    customer_id: Patch<CustomerId>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    number: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<LineShape>>)]
    lines: Patch<Vec<Line>>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    memo: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    due_on: Patch<Date>,
}

impl From<InvoiceChange> for InvoicePatch {
    fn from(change: InvoiceChange) -> Self {
        let InvoiceChange { customer_id, number, lines, memo, due_on } = change;
        Self { customer_id, number, lines, memo, due_on }
    }
}

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub(crate) struct PaymentShape {
    #[schema(value_type = String)]
    id: PaymentId,
    #[schema(value_type = String)]
    source: PaymentSource,
    #[schema(value_type = String)]
    status: PaymentStatus,
    /// Null while only refunds or disputes of it were heard of.
    #[schema(value_type = Option<MoneyShape>)]
    amount: Option<Money>,
    #[schema(value_type = Option<MoneyShape>)]
    unapplied: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    customer_id: Option<CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remittance: Option<String>,
    #[schema(value_type = Option<String>)]
    received_on: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    allocations: Vec<AllocationShape>,
}

/// A part of a payment applied to an invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Allocation)]
pub(crate) struct AllocationShape {
    #[schema(value_type = String)]
    id: AllocationId,
    #[schema(value_type = String)]
    payment_id: PaymentId,
    #[schema(value_type = String)]
    invoice_id: InvoiceId,
    #[schema(value_type = MoneyShape)]
    amount: Money,
    #[schema(value_type = ActorShape)]
    applied_by: Actor,
}

/// Who did something.
#[derive(ToSchema)]
#[schema(as = Actor)]
#[expect(dead_code, reason = "its schema is what is used")]
pub(crate) struct ActorShape {
    /// `member`, `operator`, `payer`, `provider` or `function`.
    kind: String,
    id: String,
    role: Option<String>,
}

impl AllocationShape {
    /// Whether it is one of these.
    pub(crate) fn is_of(&self, ids: &[AllocationId]) -> bool {
        ids.contains(&self.id)
    }
}

impl PaymentShape {
    pub(crate) fn new(payment: &Payment, payer: Payer) -> Self {
        Self {
            id: payment.id,
            source: payment.source(),
            status: payment.status(),
            amount: payment.amount(),
            unapplied: payment.unapplied(),
            customer_id: payment.customer_id,
            payer_name: payer.name,
            remittance: payer.remittance,
            received_on: payment.received_on(),
            external_id: payment.external_id().map(ToString::to_string),
            allocations: allocations(payment),
        }
    }
}

/// A payment's allocations.
pub(crate) fn allocations(payment: &Payment) -> Vec<AllocationShape> {
    let Some(amount) = payment.amount() else { return Vec::new() };
    let shape = |allocation: &plixo_domain::ledger::Allocation| AllocationShape {
        id: allocation.id,
        payment_id: payment.id,
        invoice_id: allocation.invoice,
        amount: Money::new(allocation.amount, amount.currency),
        applied_by: allocation.applied_by.clone(),
    };
    payment.allocations.values().map(shape).collect()
}

/// A payment that no provider tells of.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentOrder {
    #[schema(value_type = String)]
    source: RecordedSource,
    #[schema(value_type = MoneyShape)]
    amount: Money,
    #[schema(value_type = String)]
    received_on: Date,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    customer_id: Option<CustomerId>,
    #[serde(default)]
    payer_name: Option<String>,
    #[serde(default)]
    remittance: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    external_id: Option<ExternalId>,
}

impl From<PaymentOrder> for NewPayment {
    fn from(order: PaymentOrder) -> Self {
        let PaymentOrder { source, amount, received_on, customer_id, payer_name, remittance, external_id } =
            order;
        Self { source, amount, received_on, customer_id, payer_name, remittance, external_id }
    }
}

/// Parts of a payment to be applied.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllocationOrder {
    pub(crate) allocations: Vec<Share>,
}

/// A part of a payment.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    #[schema(value_type = String)]
    pub(crate) invoice_id: InvoiceId,
    #[schema(value_type = MoneyShape)]
    pub(crate) amount: Money,
}
