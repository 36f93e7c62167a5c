//! Exports.

use askama::Template;
use jiff::Timestamp;
use plixo_domain::export::ExportStatus;
use plixo_domain::id::ExportId;

use crate::form::{Choice, Errors, Paging};
use crate::frame::{Frame, Membership};
use crate::page::pages;

/// `GET /orgs/{org}/exports?cursor=`; posts `kind`, `format`, `status`, `customer_id`, `from`, `to`.
#[derive(Clone, Template)]
#[template(path = "exports.html")]
pub struct ExportList {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The exports, the youngest first.
    pub rows: Vec<ExportRow>,
    /// Where this page stands.
    pub paging: Paging,
    /// The new export, as typed.
    pub form: ExportForm,
    /// What is wrong.
    pub errors: Errors,
}

/// An export in the list.
#[derive(Clone)]
pub struct ExportRow {
    /// Its id.
    pub id: ExportId,
    /// Of what: the contract's word.
    pub kind: String,
    /// `csv` or `json`.
    pub format: String,
    /// How it stands.
    pub status: ExportStatus,
    /// Who requested it, as people know them.
    pub requested_by: Option<String>,
    /// When.
    pub requested_at: Timestamp,
}

/// A new export, as typed.
#[derive(Clone, Default)]
pub struct ExportForm {
    /// Of what: the contract's word.
    pub kind: String,
    /// `csv` or `json`.
    pub format: String,
    /// Of which status.
    pub status: String,
    /// Of which customer, by its id.
    pub customer_id: String,
    /// From this day on.
    pub from: String,
    /// Until this day, which is included.
    pub to: String,
}

impl ExportList {
    fn path(&self) -> String {
        format!("/orgs/{}/exports", self.org.id)
    }

    /// Of what there are exports, for whoever looks.
    fn kinds(&self) -> Vec<Choice> {
        let words = ["invoices", "payments", "customers", "audit"].into_iter();
        let words = words.filter(|word| *word != "audit" || self.org.may.read_audit);
        words.map(|word| Choice::new(word, crate::show::export_kind(word))).collect()
    }

    fn formats(&self) -> [Choice; 2] {
        [Choice::new("csv", "CSV, for spreadsheets"), Choice::new("json", "JSON, for programs")]
    }
}

/// `GET /orgs/{org}/exports/{id}`; posts `do`: `approve` with `version` and `digest`; `reject` with the same. The file is at
/// `GET /orgs/{org}/exports/{id}/download`.
#[derive(Clone, Template)]
#[template(path = "export.html")]
pub struct ExportPage {
    /// The frame.
    pub frame: Frame,
    /// Who looks.
    pub org: Membership,
    /// The export.
    pub row: ExportRow,
    /// Its version, for `If-Match`.
    pub version: String,
    /// SHA-256 of all that was asked for.
    pub digest: String,
    /// What narrows it, each with its name.
    pub filter: Vec<(String, String)>,
    /// Its columns; none where each row is whole.
    pub columns: Vec<String>,
    /// How many rows there were to look at, and whether there were more.
    pub asked_rows: Option<(u64, bool)>,
    /// The file's rows and bytes, once it is there.
    pub file: Option<(u64, u64)>,
    /// Why it failed: a word of the API.
    pub failure: Option<String>,
    /// Who approved it, as people know them.
    pub approved_by: Option<String>,
    /// When.
    pub approved_at: Option<Timestamp>,
    /// When the request, or the file, is over.
    pub expires_at: Option<Timestamp>,
    /// Whether whoever looks requested it.
    pub is_own: bool,
    /// What is wrong.
    pub errors: Errors,
}

impl ExportPage {
    fn list(&self) -> String {
        format!("/orgs/{}/exports", self.org.id)
    }

    fn path(&self) -> String {
        format!("{}/{}", self.list(), self.row.id)
    }

    fn is_pending(&self) -> bool {
        self.row.status == ExportStatus::PendingApproval
    }

    fn may_approve(&self) -> bool {
        self.is_pending() && self.org.may.approve_exports && !self.is_own
    }

    fn may_reject(&self) -> bool {
        self.is_pending() && (self.org.may.approve_exports || self.is_own)
    }

    fn may_download(&self) -> bool {
        self.row.status == ExportStatus::Ready && (self.org.may.approve_exports || self.is_own)
    }

    /// Why there is no file, in a sentence.
    fn why(&self) -> Option<&'static str> {
        Some(match self.failure.as_deref()? {
            "not_allowed" => {
                "Who requested it, or who approved it, was not allowed to any more when it was to begin. Request it again."
            }
            "not_approved" => "It was not what had been approved. Nothing was written.",
            "too_large" => "It took too long. Request a shorter time, or fewer of them.",
            "unreadable" => "A row could not be read. Tell the operator the export’s id.",
            _ => "It did not succeed, although it was tried several times. Request it again.",
        })
    }
}

pages!(ExportList in Exports, ExportPage in Exports);
