//! What is shown and taken, in the contract's shapes.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;
use plixo_api::document::{
    AllocationIdText, CurrencyText, CustomerIdText, DayText, DecimalText, InvoiceIdText, InvoiceStatusText,
    MonthText, PaymentIdText, PaymentSourceText, PaymentStatusText, PrivacyIdText, RecordedSourceText,
};
use plixo_cash::{Suggested, Suggestion, plainly};
use plixo_domain::audit::Actor;
use plixo_domain::id::{AllocationId, CustomerId, InvoiceId, PaymentId, PrivacyId};
use plixo_domain::ledger::staff::{
    CustomerPatch, InvoicePatch, NewInvoice, NewPayment, Patch, RecordedSource,
};
use plixo_domain::ledger::{
    Address, Customer, Invoice, InvoiceBody, InvoiceStatus, Line, Overview, Payer, Payment, PaymentSource,
    PaymentStatus, Personal,
};
use plixo_domain::money::{Currency, Money};
use plixo_domain::privacy::Authority;
use plixo_domain::webhook::ExternalId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Customer)]
pub(crate) struct CustomerShape {
    #[schema(value_type = CustomerIdText)]
    id: CustomerId,
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
    /// Its names at providers: `{"stripe": "cus_…"}`.
    external_ids: BTreeMap<&'static str, String>,
    /// When its personal data was erased: of it, its id and its names at providers are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    erased_at: Option<Timestamp>,
    /// Under which privacy request it was erased; absent where the retention policy was why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PrivacyIdText>)]
    privacy_request_id: Option<PrivacyId>,
}

/// A customer to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CustomerOrder)]
pub(crate) struct PersonalShape {
    #[serde(default)]
    #[schema(value_type = String, required)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<AddressShape>)]
    address: Option<Address>,
    #[serde(default)]
    tax_id: Option<String>,
}

/// A postal address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
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
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Money)]
#[expect(dead_code, reason = "its schema is what is used")]
pub(crate) struct MoneyShape {
    /// Minor units.
    amount: i64,
    #[schema(value_type = CurrencyText)]
    currency: String,
}

/// One line of an invoice.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Line)]
#[expect(dead_code, reason = "its schema is what is used")]
pub(crate) struct LineShape {
    description: String,
    #[schema(value_type = DecimalText)]
    quantity: String,
    unit_price: MoneyShape,
    #[schema(value_type = Option<DecimalText>)]
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
            name,
            email,
            phone,
            address,
            tax_id,
            external_ids: customer.links.keys().map(|of| (of.provider.as_str(), of.id.to_string())).collect(),
            erased_at: customer.erased.as_ref().map(|it| it.at),
            privacy_request_id: customer.erased.as_ref().and_then(|it| match it.authority {
                Authority::Request(id, _) => Some(id),
                Authority::Retention | Authority::Closing => None,
            }),
        }
    }
}

/// What is to change of a customer: what is absent stays, null clears.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomerChange {
    #[serde(default)]
    #[schema(value_type = String)]
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
    #[schema(value_type = InvoiceIdText)]
    id: InvoiceId,
    number: String,
    #[schema(value_type = CustomerIdText)]
    pub(crate) customer_id: CustomerId,
    #[schema(value_type = InvoiceStatusText)]
    status: InvoiceStatus,
    #[schema(value_type = Vec<LineShape>)]
    lines: Vec<Line>,
    #[schema(value_type = MoneyShape)]
    total: Money,
    #[schema(value_type = MoneyShape)]
    balance: Money,
    #[schema(value_type = Option<DayText>, required)]
    issued_on: Option<Date>,
    #[schema(value_type = Option<DayText>, required)]
    due_on: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
    /// With `expand=customer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<CustomerName>,
    /// With `expand=payments`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allocations: Option<Vec<AppliedShape>>,
}

/// Who a customer is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CustomerName {
    #[schema(value_type = CustomerIdText)]
    pub(crate) id: CustomerId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// When its personal data was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) erased_at: Option<Timestamp>,
}

/// Which invoice it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct InvoiceName {
    #[schema(value_type = InvoiceIdText)]
    pub(crate) id: InvoiceId,
    pub(crate) number: String,
}

/// An allocation with what its payment is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppliedShape {
    #[serde(flatten)]
    #[schema(inline)]
    allocation: AllocationShape,
    payment: PaymentName,
}

/// Which payment it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PaymentName {
    #[schema(value_type = PaymentIdText)]
    id: PaymentId,
    #[schema(value_type = PaymentSourceText)]
    source: PaymentSource,
    #[schema(value_type = Option<DayText>, required)]
    received_on: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer_name: Option<String>,
}

impl AppliedShape {
    /// What of a payment was applied to that invoice.
    pub(crate) fn of(payment: &Payment, payer: &Payer, invoice: &InvoiceId) -> Vec<Self> {
        let mut own = allocations(payment);
        own.retain(|allocation| allocation.invoice_id == *invoice);
        let name = || PaymentName {
            id: payment.id,
            source: payment.source(),
            received_on: payment.received_on(),
            payer_name: payer.name.clone(),
        };
        own.into_iter().map(|allocation| Self { allocation, payment: name() }).collect()
    }
}

impl InvoiceShape {
    pub(crate) fn new(invoice: &Invoice, body: InvoiceBody) -> Self {
        Self {
            customer: None,
            allocations: None,
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
    #[schema(value_type = CustomerIdText)]
    customer_id: CustomerId,
    /// Made when the invoice is finalised, if there is none.
    #[serde(default)]
    number: Option<String>,
    #[schema(value_type = Vec<LineShape>)]
    lines: Vec<Line>,
    #[serde(default)]
    memo: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<DayText>)]
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
    #[schema(value_type = CustomerIdText)]
    customer_id: Patch<CustomerId>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    number: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Vec<LineShape>)]
    lines: Patch<Vec<Line>>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    memo: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<DayText>)]
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
    #[schema(value_type = PaymentIdText)]
    id: PaymentId,
    #[schema(value_type = PaymentSourceText)]
    source: PaymentSource,
    #[schema(value_type = PaymentStatusText)]
    status: PaymentStatus,
    /// Null while only refunds or disputes of it were heard of.
    #[schema(value_type = Option<MoneyShape>, required)]
    amount: Option<Money>,
    #[schema(value_type = Option<MoneyShape>, required)]
    unapplied: Option<Money>,
    /// What went back: refunds, and disputes that were lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MoneyShape>)]
    refunded: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CustomerIdText>)]
    pub(crate) customer_id: Option<CustomerId>,
    /// With `expand=customer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<CustomerName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remittance: Option<String>,
    #[schema(value_type = Option<DayText>, required)]
    received_on: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    pub(crate) allocations: Vec<AllocationShape>,
}

/// A part of a payment applied to an invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Allocation)]
pub(crate) struct AllocationShape {
    #[schema(value_type = AllocationIdText)]
    id: AllocationId,
    #[schema(value_type = PaymentIdText)]
    payment_id: PaymentId,
    #[schema(value_type = InvoiceIdText)]
    pub(crate) invoice_id: InvoiceId,
    /// With `expand=invoices`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) invoice: Option<InvoiceName>,
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
            refunded: payment.amount().and_then(|amount| {
                let back = payment.refunded().saturating_add(payment.lost());
                (back > 0).then(|| Money::new(back, amount.currency))
            }),
            customer_id: payment.customer_id,
            customer: None,
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
        invoice: None,
        amount: Money::new(allocation.amount, amount.currency),
        applied_by: allocation.applied_by.clone(),
    };
    payment.allocations.values().map(shape).collect()
}

/// A payment that no provider tells of.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PaymentOrder {
    #[schema(value_type = RecordedSourceText)]
    source: RecordedSource,
    #[schema(value_type = MoneyShape)]
    amount: Money,
    #[schema(value_type = DayText)]
    received_on: Date,
    #[serde(default)]
    #[schema(value_type = Option<CustomerIdText>)]
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
#[serde(deny_unknown_fields, remote = "Self")]
pub(crate) struct Share {
    #[schema(value_type = InvoiceIdText)]
    pub(crate) invoice_id: InvoiceId,
    #[schema(value_type = MoneyShape)]
    pub(crate) amount: Money,
}

plixo_domain::objects!(read Share);

/// What a payment may be for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Suggestions)]
pub(crate) struct SuggestionsShape {
    /// The surest first.
    data: Vec<SuggestionShape>,
    /// Whether not everything was looked at, for it would have taken too long: there may be others.
    stopped_early: bool,
}

/// One way to apply what is unapplied of a payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Suggestion)]
struct SuggestionShape {
    allocations: Vec<SuggestedShape>,
    /// How sure it is, to two places, rounded down.
    #[schema(value_type = f64, minimum = 0.6, maximum = 1)]
    confidence: Box<RawValue>,
    /// Why, in words, and what speaks against it.
    reasons: Vec<String>,
    /// What stays unapplied.
    #[schema(value_type = MoneyShape)]
    unapplied: Money,
}

/// A part of the payment for an invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SuggestedAllocation)]
struct SuggestedShape {
    #[schema(value_type = InvoiceIdText)]
    invoice_id: InvoiceId,
    #[schema(value_type = MoneyShape)]
    amount: Money,
    /// With `expand=invoices`.
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice: Option<InvoiceName>,
}

impl SuggestionsShape {
    /// With the names of those invoices; `None` if a confidence cannot be written.
    pub(crate) fn new(suggested: Suggested, names: &HashMap<InvoiceId, InvoiceName>) -> Option<Self> {
        let stopped_early = suggested.gave_up.is_some();
        let data: Option<_> =
            suggested.suggestions.into_iter().map(|it| SuggestionShape::new(it, names)).collect();
        Some(Self { data: data?, stopped_early })
    }
}

impl SuggestionShape {
    fn new(suggestion: Suggestion, names: &HashMap<InvoiceId, InvoiceName>) -> Option<Self> {
        let Suggestion { allocations, unapplied, confidence, reasons, .. } = suggestion;
        let money = |amount| plainly(Money::new(amount, unapplied.currency));
        let shape = |(invoice_id, amount)| SuggestedShape {
            invoice_id,
            amount,
            invoice: names.get(&invoice_id).cloned(),
        };
        let hundredths = confidence.thousandths() / 10;
        let confidence = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        Some(Self {
            allocations: allocations.into_iter().map(shape).collect(),
            confidence: RawValue::from_string(confidence).ok()?,
            reasons: reasons.iter().map(|reason| reason.words(money)).collect(),
            unapplied,
        })
    }
}

/// An organisation's money.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Overview)]
pub(crate) struct OverviewShape {
    /// One for each currency that there is money in.
    pub(crate) currencies: Vec<CurrencyOverviewShape>,
}

/// The money of one currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CurrencyOverview)]
pub(crate) struct CurrencyOverviewShape {
    #[schema(value_type = CurrencyText)]
    currency: Currency,
    /// What is owed in all: the balances of open and partially paid invoices.
    #[schema(value_type = MoneyShape)]
    open: Money,
    /// What of that was due before today.
    #[schema(value_type = MoneyShape)]
    overdue: Money,
    /// The last twelve, the running one last.
    months: Vec<MonthShape>,
}

/// What was received in a month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MonthOverview)]
struct MonthShape {
    #[schema(value_type = MonthText)]
    month: String,
    /// Less what went back: refunds, and disputes that were lost.
    #[schema(value_type = MoneyShape)]
    received: Money,
}

impl From<Overview> for CurrencyOverviewShape {
    fn from(overview: Overview) -> Self {
        let Overview { currency, open, overdue, months } = overview;
        let month = |(first, received): (Date, Money)| MonthShape {
            month: first.strftime("%Y-%m").to_string(),
            received,
        };
        Self { currency, open, overdue, months: months.into_iter().map(month).collect() }
    }
}
