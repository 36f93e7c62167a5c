//! What is shown and taken, in the contract's shapes.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use plixo_api::document::{
    CustomerIdText, DayText, HoldIdText, InvoiceIdText, MemberIdText, PrivacyIdText, PrivacyKindText,
    PrivacyStatusText, RetentionClassText,
};
use plixo_domain::hold::{HeldBy, LegalHold};
use plixo_domain::id::{CustomerId, HoldId, InvoiceId, MemberId, OrgId, PrivacyId};
use plixo_domain::privacy::{PrivacyKind, PrivacyRequest, PrivacyStatus};
use plixo_domain::retention::{Class, Retention};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The emails of members, as far as they are wanted and known.
pub(crate) type Emails = HashMap<MemberId, String>;

/// For how long an organisation keeps what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Retention)]
pub(crate) struct RetentionShape {
    /// Every class of data.
    data: Vec<ClassShape>,
}

/// For how long a class of data is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetentionOfClass)]
struct ClassShape {
    #[schema(value_type = RetentionClassText)]
    class: Class,
    /// For how many days it is kept.
    days: u16,
    /// For how many it is where nobody says otherwise.
    usual_days: u16,
    /// The fewest that can be set.
    least_days: u16,
    /// The most that can be set.
    most_days: u16,
}

impl RetentionShape {
    pub(crate) fn new(policy: &Retention) -> Self {
        let shape = |class: Class| {
            let (least_days, most_days) = class.bounds().into_inner();
            let (days, usual_days) = (policy.days(class), class.usual_days());
            ClassShape { class, days, usual_days, least_days, most_days }
        };
        Self { data: Class::ALL.map(shape).into() }
    }
}

/// What would be due at once under another policy.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetentionPreview)]
pub(crate) struct PreviewShape {
    /// Every class of data.
    pub(crate) data: Vec<DueShape>,
}

/// How much of a class of data would be due.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RetentionPreviewOfClass)]
pub(crate) struct DueShape {
    #[schema(value_type = RetentionClassText)]
    pub(crate) class: Class,
    /// For how many days it would be kept.
    pub(crate) days: u16,
    /// So much would go; of the audit log, so many days.
    pub(crate) due: usize,
    /// Whether there may be more: no more than the 1,000 that are kept the longest are looked at.
    pub(crate) or_more: bool,
    /// So much would go as well, but for legal holds.
    pub(crate) held: usize,
}

/// A legal hold: on a customer, on an invoice, or on the whole organisation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LegalHold)]
pub(crate) struct HoldShape {
    #[schema(value_type = HoldIdText)]
    id: HoldId,
    /// With its invoices and payments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CustomerIdText>)]
    customer_id: Option<CustomerId>,
    /// With its payments, its links and its customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<InvoiceIdText>)]
    invoice_id: Option<InvoiceId>,
    reason: String,
    #[schema(value_type = MemberIdText)]
    placed_by: MemberId,
    /// With `expand=members`: the member's email, if it is one still.
    #[serde(skip_serializing_if = "Option::is_none")]
    placed_by_email: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    placed_at: Timestamp,
    /// It holds nothing any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MemberIdText>)]
    released_by: Option<MemberId>,
    /// With `expand=members`.
    #[serde(skip_serializing_if = "Option::is_none")]
    released_by_email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    released_at: Option<Timestamp>,
}

impl HoldShape {
    pub(crate) fn new(hold: &LegalHold, reason: String, emails: &Emails) -> Self {
        let (customer_id, invoice_id) = match hold.on {
            HeldBy::Organisation => (None, None),
            HeldBy::Customer(id) => (Some(id), None),
            HeldBy::Invoice(id) => (None, Some(id)),
        };
        let released_by = hold.released.map(|it| it.by.member);
        Self {
            id: hold.id,
            customer_id,
            invoice_id,
            reason,
            placed_by: hold.placed_by.member,
            placed_by_email: emails.get(&hold.placed_by.member).cloned(),
            placed_at: hold.placed_at,
            released_by,
            released_by_email: released_by.and_then(|id| emails.get(&id).cloned()),
            released_at: hold.released.map(|it| it.at),
        }
    }
}

/// A legal hold to be placed: on a customer, on an invoice, or, where neither is named, on the whole organisation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LegalHoldOrder)]
pub(crate) struct HoldOrder {
    #[serde(default)]
    #[schema(value_type = Option<CustomerIdText>)]
    pub(crate) customer_id: Option<CustomerId>,
    #[serde(default)]
    #[schema(value_type = Option<InvoiceIdText>)]
    pub(crate) invoice_id: Option<InvoiceId>,
    #[schema(min_length = 1, max_length = 2000)]
    pub(crate) reason: String,
}

/// A privacy request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PrivacyRequest)]
pub(crate) struct RequestShape {
    #[schema(value_type = PrivacyIdText)]
    id: PrivacyId,
    #[schema(value_type = PrivacyKindText)]
    kind: PrivacyKind,
    #[schema(value_type = CustomerIdText)]
    customer_id: CustomerId,
    /// `held` where a legal hold stands in the way of an erasure, which is done once there is none.
    #[schema(value_type = PrivacyStatusText)]
    status: PrivacyStatus,
    /// The last day on which it is done in time.
    #[schema(value_type = DayText)]
    due_on: Date,
    /// Whether that day is over, and it is not done.
    is_late: bool,
    #[schema(value_type = MemberIdText)]
    requested_by: MemberId,
    /// With `expand=members`: the member's email, if it is one still.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_by_email: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    held_since: Option<Timestamp>,
    /// The legal holds that stand in its way, while it is `held`: up to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<Vec<HeldByShape>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    begun_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    done_at: Option<Timestamp>,
    /// Of an erasure that is done: where its signed certificate is, a path of this stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_url: Option<String>,
    /// Of an access that is done: until when its files can be downloaded, as long as they are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    files_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<RefusedShape>,
}

/// A legal hold that stands in the way of an erasure.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PrivacyRequestHold)]
pub(crate) struct HeldByShape {
    #[schema(value_type = HoldIdText)]
    pub(crate) id: HoldId,
    pub(crate) reason: String,
}

/// What is known besides of requests that are shown.
#[derive(Debug, Default)]
pub(crate) struct Besides {
    /// The emails of members, as far as they are wanted and known.
    pub(crate) emails: Emails,
    /// The holds that stand in the way of customers' erasures.
    pub(crate) holds: HashMap<CustomerId, Vec<HeldByShape>>,
}

/// That a privacy request will not be done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PrivacyRequestRefusal)]
struct RefusedShape {
    #[schema(value_type = MemberIdText)]
    by: MemberId,
    /// With `expand=members`.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_email: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    reason: String,
}

impl RequestShape {
    /// `reason` is why it was refused, if it was.
    pub(crate) fn new(
        request: &PrivacyRequest,
        reason: Option<String>,
        org: &OrgId,
        Besides { emails, holds }: &Besides,
        now: Timestamp,
    ) -> Self {
        let today = now.to_zoned(TimeZone::UTC).date();
        let (status, done) = (request.status(), request.done.as_ref());
        let is_held = status == PrivacyStatus::Held;
        let certificate = done.and_then(|done| done.certificate.as_ref());
        let refused = request.refused.as_ref().zip(reason).map(|(refused, reason)| RefusedShape {
            by: refused.by.member,
            by_email: emails.get(&refused.by.member).cloned(),
            at: refused.at,
            reason,
        });
        Self {
            id: request.id,
            kind: request.kind,
            customer_id: request.customer,
            status,
            due_on: request.due_on,
            is_late: status.is_open() && request.due_on < today,
            requested_by: request.requested_by.member,
            requested_by_email: emails.get(&request.requested_by.member).cloned(),
            requested_at: request.requested_at,
            held_since: request.held,
            held_by: is_held.then(|| holds.get(&request.customer).cloned().unwrap_or_default()),
            begun_at: request.begun,
            done_at: done.map(|done| done.at),
            certificate_url: certificate
                .map(|_| format!("/v1/orgs/{org}/privacy-requests/{}/certificate", request.id)),
            files_until: done.filter(|done| done.has_files()).and_then(|done| done.files_until),
            refused,
        }
    }
}

/// A privacy request to be entered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PrivacyRequestOrder)]
pub(crate) struct RequestOrder {
    #[schema(value_type = PrivacyKindText)]
    pub(crate) kind: PrivacyKind,
    #[schema(value_type = CustomerIdText)]
    pub(crate) customer_id: CustomerId,
}

/// Why a privacy request will not be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PrivacyRequestRefusalOrder)]
pub(crate) struct RefusalOrder {
    #[schema(min_length = 1, max_length = 2000)]
    pub(crate) reason: String,
}
