//! The API's shapes, as far as pages show them.

use jiff::Timestamp;
use jiff::civil::Date;
use plixo_domain::audit::{Actor, AuditEvent, Object, Origin, Outcome};
use plixo_domain::export::ExportStatus;
use plixo_domain::id::{
    AllocationId, AuditId, CustomerId, EndpointId, EventId, ExportId, HoldId, InvoiceId, LinkId, MemberId,
    OrgId, PaymentId, PrivacyId, SourceId,
};
use plixo_domain::ledger::{
    AllocationOrder, InvoiceStatus, Line, LinkState, PaymentStatus, Private, Residency,
};
use plixo_domain::money::{Currency, Money};
use plixo_domain::people::{MemberState, Role};
use plixo_domain::privacy::{PrivacyKind, PrivacyStatus};
use plixo_domain::retention::Class;
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{EndpointState, EventStatus, HmacScheme};
use plixo_pages::CashForm;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A part of a list.
#[derive(Deserialize)]
pub(crate) struct List<T> {
    pub(crate) data: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Organisation {
    pub(crate) id: OrgId,
    pub(crate) name: String,
    pub(crate) residency: Residency,
    pub(crate) settings: Settings,
    pub(crate) logo_url: Option<String>,
    pub(crate) closed: Option<Closed>,
    pub(crate) you: You,
}

/// That an organisation is closed.
#[derive(Deserialize)]
pub(crate) struct Closed {
    pub(crate) by: MemberId,
    pub(crate) at: Timestamp,
    pub(crate) until: Timestamp,
}

#[derive(Deserialize)]
pub(crate) struct Settings {
    #[serde(default)]
    pub(crate) ip_allow_list: Vec<String>,
    #[serde(default)]
    pub(crate) require_two_factor: bool,
    #[serde(default)]
    pub(crate) cash_application: CashApplication,
}

#[derive(Default, Deserialize)]
pub(crate) struct CashApplication {
    pub(crate) automatic: bool,
    pub(crate) threshold: String,
    pub(crate) underpayment_tolerance: Tolerance,
    pub(crate) order: AllocationOrder,
}

#[derive(Default, Deserialize)]
pub(crate) struct Tolerance {
    pub(crate) percent: Option<String>,
    pub(crate) amount: Option<String>,
}

impl From<CashApplication> for CashForm {
    fn from(it: CashApplication) -> Self {
        let Tolerance { percent, amount } = it.underpayment_tolerance;
        Self {
            automatic: it.automatic,
            threshold: it.threshold,
            percent: percent.unwrap_or_default(),
            amount: amount.unwrap_or_default(),
            order: it.order,
        }
    }
}

/// Who looks.
#[derive(Deserialize)]
pub(crate) struct You {
    pub(crate) member_id: MemberId,
    pub(crate) email: String,
    pub(crate) role: Role,
    pub(crate) may: Vec<String>,
}

/// One of a person's organisations.
#[derive(Deserialize)]
pub(crate) struct OwnOrganisation {
    pub(crate) id: OrgId,
    pub(crate) name: String,
    pub(crate) residency: Residency,
    pub(crate) role: Role,
}

#[derive(Deserialize)]
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) email: Option<String>,
    pub(crate) role: Role,
    pub(crate) state: MemberState,
    pub(crate) etag: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Customer {
    pub(crate) id: CustomerId,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) address: Option<Address>,
    pub(crate) tax_id: Option<String>,
    #[serde(default)]
    pub(crate) external_ids: BTreeMap<String, String>,
    pub(crate) erased_at: Option<Timestamp>,
    pub(crate) privacy_request_id: Option<PrivacyId>,
}

#[derive(Deserialize)]
pub(crate) struct Address {
    pub(crate) line1: String,
    pub(crate) line2: Option<String>,
    pub(crate) city: String,
    pub(crate) postal_code: String,
    pub(crate) country: String,
}

/// A customer's name.
#[derive(Deserialize)]
pub(crate) struct CustomerName {
    pub(crate) id: CustomerId,
    pub(crate) name: Option<String>,
    pub(crate) erased_at: Option<Timestamp>,
}

/// Which invoice it is.
#[derive(Deserialize)]
pub(crate) struct OneInvoice {
    pub(crate) id: InvoiceId,
}

/// An invoice's number.
#[derive(Deserialize)]
pub(crate) struct InvoiceName {
    pub(crate) number: String,
}

#[derive(Deserialize)]
pub(crate) struct Invoice {
    pub(crate) id: InvoiceId,
    pub(crate) number: String,
    pub(crate) customer_id: CustomerId,
    pub(crate) customer: Option<CustomerName>,
    pub(crate) status: InvoiceStatus,
    pub(crate) lines: Vec<Line>,
    pub(crate) total: Money,
    pub(crate) balance: Money,
    pub(crate) issued_on: Option<Date>,
    pub(crate) due_on: Option<Date>,
    pub(crate) memo: Option<String>,
    #[serde(default)]
    pub(crate) allocations: Vec<Applied>,
}

/// A part of a payment that an invoice got.
#[derive(Deserialize)]
pub(crate) struct Applied {
    pub(crate) amount: Money,
    pub(crate) payment: PaymentName,
}

#[derive(Deserialize)]
pub(crate) struct PaymentName {
    pub(crate) id: PaymentId,
    pub(crate) source: String,
    pub(crate) received_on: Option<Date>,
    pub(crate) payer_name: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) source: String,
    pub(crate) status: PaymentStatus,
    pub(crate) amount: Option<Money>,
    pub(crate) unapplied: Option<Money>,
    pub(crate) refunded: Option<Money>,
    pub(crate) customer_id: Option<CustomerId>,
    pub(crate) customer: Option<CustomerName>,
    pub(crate) payer_name: Option<String>,
    pub(crate) remittance: Option<String>,
    pub(crate) received_on: Option<Date>,
    pub(crate) external_id: Option<String>,
    pub(crate) allocations: Vec<Allocation>,
}

#[derive(Deserialize)]
pub(crate) struct Allocation {
    pub(crate) id: AllocationId,
    pub(crate) invoice_id: InvoiceId,
    pub(crate) invoice: Option<InvoiceName>,
    pub(crate) amount: Money,
    pub(crate) applied_by: Actor,
}

/// An allocation that was made.
#[derive(Deserialize)]
pub(crate) struct Made {
    pub(crate) id: AllocationId,
}

/// What a payment may be for, the likeliest first.
#[derive(Deserialize)]
pub(crate) struct Suggestions {
    pub(crate) data: Vec<Suggestion>,
    pub(crate) stopped_early: bool,
}

#[derive(Deserialize)]
pub(crate) struct Suggestion {
    pub(crate) allocations: Vec<SuggestedAllocation>,
    /// From 0 to 1.
    pub(crate) confidence: serde_json::Number,
    pub(crate) reasons: Vec<String>,
    pub(crate) unapplied: Money,
}

#[derive(Deserialize)]
pub(crate) struct SuggestedAllocation {
    pub(crate) invoice_id: InvoiceId,
    pub(crate) amount: Money,
    pub(crate) invoice: Option<InvoiceName>,
}

#[derive(Deserialize)]
pub(crate) struct PortalLink {
    pub(crate) id: LinkId,
    pub(crate) url: Option<Secret>,
    pub(crate) state: LinkState,
    pub(crate) settled: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) emailed_at: Option<Timestamp>,
    pub(crate) opened_at: Option<Timestamp>,
}

/// An organisation's Stripe account; empty where none is connected.
#[derive(Deserialize)]
pub(crate) struct StripeAccount {
    pub(crate) key_hint: Option<String>,
    pub(crate) connected_at: Option<Timestamp>,
    pub(crate) state: String,
}

#[derive(Deserialize)]
pub(crate) struct Source {
    pub(crate) id: SourceId,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) account: String,
    pub(crate) tenant: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) connected_at: Timestamp,
    pub(crate) refused_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) provider: String,
    pub(crate) url: String,
    pub(crate) account: Option<String>,
    pub(crate) hmac: Option<HmacScheme>,
    pub(crate) state: EndpointState,
    pub(crate) secret: Option<Secret>,
}

#[derive(Deserialize)]
pub(crate) struct Event {
    pub(crate) id: EventId,
    pub(crate) endpoint_id: EndpointId,
    pub(crate) provider: String,
    pub(crate) provider_event_id: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: EventStatus,
    pub(crate) received_at: Timestamp,
    pub(crate) applied_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) payload: Option<serde_json::Value>,
}

#[derive(Deserialize)]
pub(crate) struct Overview {
    pub(crate) currencies: Vec<CurrencyOverview>,
}

/// The money of one currency.
#[derive(Deserialize)]
pub(crate) struct CurrencyOverview {
    pub(crate) currency: Currency,
    pub(crate) open: Money,
    pub(crate) overdue: Money,
    pub(crate) months: Vec<Month>,
}

/// What was received in a month.
#[derive(Deserialize)]
pub(crate) struct Month {
    /// `2026-11`.
    pub(crate) month: String,
    pub(crate) received: Money,
}

/// A part of the audit log.
#[derive(Default, Deserialize)]
pub(crate) struct AuditEvents {
    pub(crate) data: Vec<Logged>,
    pub(crate) next_cursor: Option<String>,
    pub(crate) looked_back_to_on: Option<Date>,
    pub(crate) seal: Option<Seal>,
}

/// How far the log is sealed.
#[derive(Deserialize)]
pub(crate) struct Seal {
    pub(crate) sealed_to: Timestamp,
}

/// An audit event, with the actor's email where it is known.
#[derive(Deserialize)]
pub(crate) struct Logged {
    pub(crate) id: AuditId,
    pub(crate) at: Timestamp,
    pub(crate) actor: LoggedActor,
    pub(crate) ip: Option<String>,
    pub(crate) user_agent: Option<String>,
    pub(crate) action: String,
    pub(crate) object: Object,
    pub(crate) outcome: Outcome,
    #[serde(default)]
    pub(crate) fields: Vec<String>,
    pub(crate) request_id: String,
}

#[derive(Deserialize)]
pub(crate) struct LoggedActor {
    #[serde(flatten)]
    pub(crate) actor: Actor,
    pub(crate) email: Option<String>,
}

impl Logged {
    /// The event, and the actor's email.
    pub(crate) fn split(self) -> (AuditEvent, Option<String>) {
        let Self { id, at, actor, ip, user_agent, action, object, outcome, fields, request_id } = self;
        let LoggedActor { actor, email } = actor;
        let (origin, customer) = (Private::Plain(Origin { ip, user_agent }), None);
        let event = AuditEvent {
            id,
            at,
            actor,
            origin,
            customer,
            action,
            object,
            outcome,
            fields,
            request_id,
            count: None,
        };
        (event, email)
    }
}

#[derive(Deserialize)]
pub(crate) struct Export {
    pub(crate) id: ExportId,
    pub(crate) kind: String,
    pub(crate) filter: BTreeMap<String, String>,
    pub(crate) format: String,
    pub(crate) columns: Vec<String>,
    pub(crate) asked_rows: Option<AskedRows>,
    pub(crate) rows: Option<u64>,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) status: ExportStatus,
    pub(crate) failure: Option<String>,
    pub(crate) digest: String,
    pub(crate) requested_by_email: Option<String>,
    pub(crate) requested_at: Timestamp,
    pub(crate) approved_by_email: Option<String>,
    pub(crate) approved_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(crate) struct AskedRows {
    pub(crate) rows: u64,
    pub(crate) or_more: bool,
}

/// A list that has no parts.
#[derive(Deserialize)]
pub(crate) struct Whole<T> {
    pub(crate) data: Vec<T>,
}

/// For how long a class of data is kept.
#[derive(Deserialize)]
pub(crate) struct Kept {
    pub(crate) class: Class,
    pub(crate) days: u16,
    pub(crate) usual_days: u16,
    pub(crate) least_days: u16,
    pub(crate) most_days: u16,
}

/// What of a class would be due at once under other days.
#[derive(Deserialize)]
pub(crate) struct Due {
    pub(crate) class: Class,
    pub(crate) days: u16,
    pub(crate) due: u64,
    pub(crate) or_more: bool,
    pub(crate) held: u64,
}

#[derive(Deserialize)]
pub(crate) struct Hold {
    pub(crate) id: HoldId,
    pub(crate) customer_id: Option<CustomerId>,
    pub(crate) invoice_id: Option<InvoiceId>,
    pub(crate) reason: String,
    pub(crate) placed_by_email: Option<String>,
    pub(crate) placed_at: Timestamp,
    pub(crate) released_by_email: Option<String>,
    pub(crate) released_at: Option<Timestamp>,
}

#[derive(Deserialize)]
pub(crate) struct PrivacyRequest {
    pub(crate) id: PrivacyId,
    pub(crate) kind: PrivacyKind,
    pub(crate) customer_id: CustomerId,
    pub(crate) status: PrivacyStatus,
    pub(crate) due_on: Date,
    pub(crate) requested_by_email: Option<String>,
    pub(crate) requested_at: Timestamp,
    pub(crate) held_since: Option<Timestamp>,
    pub(crate) begun_at: Option<Timestamp>,
    pub(crate) done_at: Option<Timestamp>,
    pub(crate) certificate_url: Option<String>,
    pub(crate) files_until: Option<Timestamp>,
    pub(crate) refused: Option<Refused>,
}

/// That a privacy request was refused.
#[derive(Deserialize)]
pub(crate) struct Refused {
    pub(crate) by_email: Option<String>,
    pub(crate) at: Timestamp,
    pub(crate) reason: String,
}
