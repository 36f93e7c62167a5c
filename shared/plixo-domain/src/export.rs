//! Exports: a part of what an organisation has, as a file, once two people want it.
//!
//! What was asked for never changes. Where an export stands follows from what was done and from the time, so that whatever is
//! over is over at once, for everybody.

use std::fmt::Write as _;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::{CustomerId, ExportId, MemberId, OrgId};
use crate::ledger::{Book, Invoice, InvoiceStatus, Payment, PaymentStatus, Unread};
use crate::people::{By, Member};
use crate::retention::Class;

/// How long a request waits for its approval.
pub const WAITS: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Within which time an approved export has become a file, or never does.
pub const RUNS: SignedDuration = SignedDuration::from_hours(24);
/// So many rows are counted when an export is asked for.
pub const MOST_COUNTED: usize = 1_000;

/// Of what, and which of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "filter", rename_all = "snake_case")]
pub enum Scope {
    /// Invoices.
    Invoices(InvoiceFilter),
    /// Payments.
    Payments(PaymentFilter),
    /// All customers.
    Customers(NoFilter),
    /// The audit log.
    Audit(AuditFilter),
}

/// Which invoices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InvoiceFilter {
    /// Only those of this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<InvoiceStatus>,
    /// Only this customer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Issued on that day or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// Issued on that day or earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
}

impl InvoiceFilter {
    /// Whether an invoice is wanted.
    #[must_use]
    pub fn takes(&self, invoice: &Invoice) -> bool {
        self.status.is_none_or(|status| invoice.status() == status)
            && self.customer_id.is_none_or(|customer| invoice.customer_id == customer)
            && within(self.from, self.to, invoice.issued_on)
    }
}

/// Which payments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PaymentFilter {
    /// Only those of this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PaymentStatus>,
    /// Received on that day or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// Received on that day or earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
}

impl PaymentFilter {
    /// Whether a payment is wanted.
    #[must_use]
    pub fn takes(&self, payment: &Payment) -> bool {
        self.status.is_none_or(|status| payment.status() == status)
            && within(self.from, self.to, payment.received_on())
    }
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoFilter {}

/// Which part of the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditFilter {
    /// At that time and later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Before that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// Whether a day is one of those, both included. What has no day is of none.
fn within(from: Option<Date>, to: Option<Date>, day: Option<Date>) -> bool {
    let (from_day, to_day) = (from.unwrap_or(Date::MIN), to.unwrap_or(Date::MAX));
    day.map_or(from.is_none() && to.is_none(), |day| (from_day..=to_day).contains(&day))
}

impl Scope {
    /// The contract's word for its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Invoices(_) => "invoices",
            Self::Payments(_) => "payments",
            Self::Customers(_) => "customers",
            Self::Audit(_) => "audit",
        }
    }

    /// Whether it is of the audit log, which fewer people may read.
    #[must_use]
    pub fn is_audit(&self) -> bool {
        matches!(self, Self::Audit(_))
    }

    /// The columns that there are, in their usual order.
    #[must_use]
    pub fn columns(&self) -> &'static [&'static str] {
        match self {
            Self::Invoices(_) => &[
                "id",
                "number",
                "customer_id",
                "status",
                "currency",
                "total",
                "balance",
                "issued_on",
                "due_on",
                "memo",
            ],
            Self::Payments(_) => &[
                "id",
                "source",
                "status",
                "currency",
                "amount",
                "unapplied",
                "refunded",
                "customer_id",
                "payer_name",
                "remittance",
                "received_on",
                "external_id",
            ],
            Self::Customers(_) => &[
                "id",
                "name",
                "email",
                "phone",
                "line1",
                "line2",
                "city",
                "postal_code",
                "country",
                "tax_id",
                "external_ids",
            ],
            Self::Audit(_) => &[
                "id",
                "at",
                "actor_kind",
                "actor_id",
                "actor_role",
                "ip",
                "user_agent",
                "action",
                "object_kind",
                "object_id",
                "outcome",
                "fields",
                "request_id",
            ],
        }
    }

    /// What narrows it, each with its name.
    #[must_use]
    pub fn filter(&self) -> Vec<(&'static str, String)> {
        let day = |name, day: &Option<Date>| day.map(|day| (name, day.to_string()));
        let parts = match self {
            Self::Invoices(InvoiceFilter { status, customer_id, from, to }) => vec![
                status.map(|status| ("status", status.as_str().to_owned())),
                customer_id.map(|id| ("customer_id", id.to_string())),
                day("from", from),
                day("to", to),
            ],
            Self::Payments(PaymentFilter { status, from, to }) => vec![
                status.map(|status| ("status", status.as_str().to_owned())),
                day("from", from),
                day("to", to),
            ],
            Self::Customers(NoFilter {}) => Vec::new(),
            Self::Audit(AuditFilter { from, to }) => {
                vec![from.map(|at| ("from", at.to_string())), to.map(|at| ("to", at.to_string()))]
            }
        };
        parts.into_iter().flatten().collect()
    }
}

/// The form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Comma-separated values.
    Csv,
    /// JSON.
    Json,
}

impl Format {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

/// How many rows there were to look at when an export was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// So many.
    pub rows: usize,
    /// And more, which were not counted.
    pub or_more: bool,
}

/// That a Controller wants the export as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: By,
    /// When.
    pub at: Timestamp,
    /// Of exactly what: the digest of [`Export::asked`].
    pub digest: String,
}

/// That a Controller does not want it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Who.
    pub by: MemberId,
    /// When.
    pub at: Timestamp,
}

/// That the file is being written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Since when.
    pub at: Timestamp,
    /// By which attempt.
    pub attempt: String,
}

/// The file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// When it was there.
    pub at: Timestamp,
    /// Rows, without the names of the columns.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// For how many days it is kept: as the policy said when it was written, and where it is shown, as it says now.
    #[serde(default = "usual_days")]
    pub days: u16,
}

fn usual_days() -> u16 {
    Class::ExportFile.usual_days()
}

impl File {
    /// When it is over by the policy.
    fn expires_at(&self) -> Timestamp {
        later(self.at, SignedDuration::from_hours(i64::from(self.days) * 24))
    }

    /// When it is over whatever keeps it: a day before the bucket takes it away by a rule of its own.
    fn ends_at(&self) -> Timestamp {
        let (_, days) = Class::ExportFile.bounds().into_inner();
        later(self.at, SignedDuration::from_hours(i64::from(days) * 24))
    }
}

/// Why there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Who asked for it, or who approved it, may not any more.
    NotAllowed,
    /// It is not what was approved.
    NotApproved,
    /// It takes longer than a worker has.
    TooLarge,
    /// A row cannot be read.
    Unreadable,
    /// It did not succeed, however often it was tried.
    Unavailable,
    /// It may have held what was erased since.
    Erased,
}

impl Why {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::NotApproved => "not_approved",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
            Self::Unavailable => "unavailable",
            Self::Erased => "erased",
        }
    }
}

/// An export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// Of what.
    #[serde(flatten)]
    pub scope: Scope,
    /// In which form.
    pub format: Format,
    /// Which columns, in which order.
    pub columns: Vec<String>,
    /// Of how many rows, where that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
    /// Who asked for it.
    pub requested_by: By,
    /// When.
    pub requested_at: Timestamp,
    /// That it was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approval>,
    /// That it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejection>,
    /// That it was begun, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// That there is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// That there will be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Why>,
    /// Whether the file is gone: nobody gets it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// Whether a file that is gone is still to be taken out of the bucket.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub going: bool,
}

/// How an export stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words")]
pub enum ExportStatus {
    PendingApproval,
    Approved,
    Rejected,
    Running,
    Ready,
    Expired,
    Failed,
}

impl ExportStatus {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingApproval => "pending_approval",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}

impl Export {
    /// How it stands. Whether its file is gone the row tells only as the store shows it: policies and legal holds say so.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> ExportStatus {
        let is_over = |at: Timestamp, after| later(at, after) <= now;
        match (&self.file, &self.approved) {
            _ if self.rejected.is_some() => ExportStatus::Rejected,
            _ if self.failed.is_some() => ExportStatus::Failed,
            (Some(file), _) if self.gone || file.ends_at() <= now => ExportStatus::Expired,
            (Some(_), _) => ExportStatus::Ready,
            (None, Some(approval)) if is_over(approval.at, RUNS) => ExportStatus::Failed,
            (None, Some(_)) if self.run.is_some() => ExportStatus::Running,
            (None, Some(_)) => ExportStatus::Approved,
            (None, None) if is_over(self.requested_at, WAITS) => ExportStatus::Expired,
            (None, None) => ExportStatus::PendingApproval,
        }
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn why(&self, now: Timestamp) -> Option<Why> {
        let failed = self.status(now) == ExportStatus::Failed;
        failed.then(|| self.failed.unwrap_or(Why::Unavailable))
    }

    /// When its request, or its file, is over. A file that is there longer is kept by a legal hold.
    #[must_use]
    pub fn expires_at(&self, now: Timestamp) -> Option<Timestamp> {
        match (&self.file, &self.approved, &self.rejected) {
            (Some(file), ..) if self.gone => Some(file.expires_at().min(now)),
            (Some(file), ..) if file.expires_at() <= now => Some(file.ends_at()),
            (Some(file), ..) => Some(file.expires_at()),
            (None, None, None) => Some(later(self.requested_at, WAITS)),
            _ => None,
        }
    }

    /// All that was asked for, as one text: always the same, and another for whatever differs. Its SHA-256 is what is approved.
    #[must_use]
    pub fn asked(&self, org: &OrgId) -> String {
        let mut text = format!("plixo export 1\norg={org}\nid={}\nkind={}\n", self.id, self.scope.kind());
        for (name, value) in self.scope.filter() {
            // Writing to a text cannot fail. No value has a line feed in it.
            let _ = writeln!(text, "filter.{name}={value}");
        }
        let counted = self.counted.map(|it| format!("{}{}", it.rows, if it.or_more { "+" } else { "" }));
        let By { member, user } = self.requested_by;
        let _ = writeln!(
            text,
            "format={}\ncolumns={}\nrows={}\nrequested_by={member} {user}\nrequested_at={}",
            self.format.as_str(),
            self.columns.join(","),
            counted.unwrap_or_default(),
            self.requested_at,
        );
        text
    }

    /// The key of its file in the bucket.
    #[must_use]
    pub fn object(&self, org: &OrgId) -> String {
        format!("{org}/{}", self.id)
    }

    /// What its file is called.
    #[must_use]
    pub fn file_name(&self) -> String {
        let end = match (self.format, &self.scope) {
            (Format::Csv, _) => "csv",
            (Format::Json, Scope::Audit(_)) => "jsonl",
            (Format::Json, _) => "json",
        };
        format!("{}-{}.{end}", self.scope.kind(), self.id)
    }

    /// What its file is.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match (self.format, &self.scope) {
            (Format::Csv, _) => "text/csv; charset=utf-8",
            (Format::Json, Scope::Audit(_)) => "application/jsonl",
            (Format::Json, _) => "application/json",
        }
    }
}

/// Why an export is not approved, rejected or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// There is none.
    #[error("there is no such export")]
    NotFound,
    /// It waits for no approval any more.
    #[error("the export is {}: request another one", .0.as_str())]
    NotPending(ExportStatus),
    /// Its request is over.
    #[error("the request was not decided in 7 days, and is over: request the export again")]
    Expired,
    /// Who asked for it is no member any more, or may not ask for it any more.
    #[error("who requested the export may not request it any more: somebody who may requests it anew")]
    RequesterGone,
    /// A row is unread.
    #[error("rows are unread")]
    Unread(Unread),
}

impl From<Unread> for ExportError {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

/// An export that waits for its approval.
///
/// # Errors
/// [`ExportError`].
pub fn pending(book: &Book, id: &ExportId, now: Timestamp) -> Result<Export, ExportError> {
    let export = book.get::<Export>(id)?.ok_or(ExportError::NotFound)?;
    match export.status(now) {
        ExportStatus::PendingApproval => Ok(export.clone()),
        ExportStatus::Expired if export.approved.is_none() => Err(ExportError::Expired),
        status => Err(ExportError::NotPending(status)),
    }
}

/// The member who did something, as they are now; `None` if they are no member any more, or another one by now. What they are is
/// held: nobody changes it before what follows from it is committed.
///
/// # Errors
/// [`Unread`].
pub fn still(book: &mut Book, by: &By) -> Result<Option<Member>, Unread> {
    let found = book.get::<Member>(&by.user)?.filter(|member| member.id == by.member).cloned();
    if found.is_some() {
        book.hold::<Member>(&by.user)?;
    }
    Ok(found)
}

/// The message that has an approved export written. It says which and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportTask {
    /// [`ExportTask::VERSION`].
    pub v: u8,
    /// Whose.
    pub org: OrgId,
    /// Which.
    pub export: ExportId,
}

impl ExportTask {
    /// The version of the messages that this code writes, and reads.
    pub const VERSION: u8 = 1;

    /// A message.
    #[must_use]
    pub fn new(org: OrgId, export: ExportId) -> Self {
        Self { v: Self::VERSION, org, export }
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
