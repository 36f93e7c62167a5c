//! What is shown, in the contract's shape.

use std::collections::HashMap;

use jiff::Timestamp;
use plixo_api::document::MemberIdText;
use plixo_domain::export::{Export, ExportStatus, Format, Scope};
use plixo_domain::id::{ExportId, MemberId, OrgId};
use plixo_lambda::hash::sha256;
use serde::Serialize;
use utoipa::ToSchema;

/// An export.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Export)]
pub(crate) struct ExportShape {
    #[schema(value_type = String)]
    id: ExportId,
    #[serde(flatten)]
    #[schema(inline, value_type = ScopeWords)]
    scope: Scope,
    #[schema(value_type = FormatWord)]
    format: Format,
    /// Which columns, in which order; none of the audit log as JSON, which has each event whole.
    columns: Vec<String>,
    /// How many rows there were to look at when it was requested; absent of the audit log.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_rows: Option<AskedRows>,
    /// How many rows the file has.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    /// How many bytes it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    #[schema(value_type = StatusWord)]
    status: ExportStatus,
    /// Why it failed: `not_allowed`, `not_approved`, `too_large`, `unreadable` or `unavailable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'static str>,
    /// SHA-256 of all that was asked for, hex: what an approval is of.
    digest: String,
    #[schema(value_type = MemberIdText)]
    requested_by: MemberId,
    /// With `expand=members`: the member's email, if it is one still.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_by_email: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MemberIdText>)]
    approved_by: Option<MemberId>,
    /// With `expand=members`.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by_email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    approved_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<MemberIdText>)]
    rejected_by: Option<MemberId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    rejected_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ready_at: Option<Timestamp>,
    /// When the request is over, or the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Of what, and what narrows it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is what is used")]
struct ScopeWords {
    kind: KindWord,
    filter: FilterShape,
}

/// What narrows an export: what was asked for, and no more.
#[derive(ToSchema)]
#[schema(as = ExportFilter)]
#[expect(dead_code, reason = "its schema is what is used")]
struct FilterShape {
    status: Option<String>,
    customer_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// A number of rows that was not counted to its end.
#[derive(Debug, Serialize, ToSchema)]
struct AskedRows {
    rows: usize,
    /// Whether there were more, which nobody counted.
    or_more: bool,
}

/// Of what.
#[derive(ToSchema)]
#[schema(as = ExportKind, rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is what is used")]
pub(crate) enum KindWord {
    Invoices,
    Payments,
    Customers,
    Audit,
}

/// The form of the file.
#[derive(ToSchema)]
#[schema(as = ExportFormat, rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is what is used")]
pub(crate) enum FormatWord {
    Csv,
    Json,
}

/// How an export stands.
#[derive(ToSchema)]
#[schema(as = ExportStatus, rename_all = "snake_case")]
#[expect(dead_code, reason = "its schema is what is used")]
enum StatusWord {
    PendingApproval,
    Approved,
    Rejected,
    Running,
    Ready,
    Expired,
    Failed,
}

/// What an approval of the export is of.
pub(crate) fn digest(export: &Export, org: &OrgId) -> String {
    hex::encode(sha256(export.asked(org).as_bytes()))
}

impl ExportShape {
    pub(crate) fn new(
        export: &Export,
        org: &OrgId,
        emails: &HashMap<MemberId, String>,
        now: Timestamp,
    ) -> Self {
        let (approved, rejected) = (export.approved.as_ref(), export.rejected.as_ref());
        let approved_by = approved.map(|it| it.by.member);
        Self {
            id: export.id,
            scope: export.scope.clone(),
            format: export.format,
            columns: export.columns.clone(),
            asked_rows: export.counted.map(|it| AskedRows { rows: it.rows, or_more: it.or_more }),
            rows: export.file.map(|file| file.rows),
            size_bytes: export.file.map(|file| file.bytes),
            status: export.status(now),
            failure: export.why(now).map(|why| why.as_str()),
            digest: digest(export, org),
            requested_by: export.requested_by.member,
            requested_by_email: emails.get(&export.requested_by.member).cloned(),
            requested_at: export.requested_at,
            approved_by,
            approved_by_email: approved_by.and_then(|id| emails.get(&id).cloned()),
            approved_at: approved.map(|it| it.at),
            rejected_by: rejected.map(|it| it.by),
            rejected_at: rejected.map(|it| it.at),
            ready_at: export.file.map(|file| file.at),
            expires_at: export.expires_at(now),
        }
    }
}
