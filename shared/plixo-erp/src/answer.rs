//! Answers, taken apart into documents, so that one that cannot be used spoils no other.

use std::collections::BTreeMap;

use jiff::Timestamp;
use plixo_domain::source::{SourceEntry, SourceKind};
use plixo_webhooks::canonical::{Entity, external_id, timestamp};
use plixo_webhooks::document::{self, Context};
use plixo_webhooks::{FieldError, Problem, ReadError, card_numbers};
use serde_json::value::RawValue;

use crate::ask::set;
use crate::{ErpError, Thing};

/// A page of documents.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) documents: Vec<Document<'a>>,
    /// Where Business Central has the next one.
    pub(crate) next: Option<String>,
}

/// A document, not looked at but for what it is found by.
#[derive(Debug, Clone)]
pub(crate) struct Document<'a> {
    pub(crate) id: String,
    /// When it last changed, if it says so.
    pub(crate) at: Option<Timestamp>,
    /// Whether it is but the note of QuickBooks that it was deleted.
    pub(crate) is_deletion: bool,
    text: &'a str,
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

impl<'a> Page<'a> {
    pub(crate) fn read(kind: SourceKind, entity: Entity, body: &'a [u8]) -> Result<Self, ErpError> {
        let text = std::str::from_utf8(body).map_err(|_| ErpError::unavailable("its answer is not UTF-8"))?;
        let whole: Fields<'_> =
            serde_json::from_str(text).map_err(|_| ErpError::unavailable("its answer cannot be read"))?;
        let set = set(kind, entity);
        let next = match kind {
            SourceKind::BusinessCentral => whole.get("@odata.nextLink").and_then(|link| text_of(link)),
            SourceKind::Xero | SourceKind::Quickbooks => None,
        };
        let list = match kind {
            SourceKind::Xero => whole.get(set).copied().map(Some),
            SourceKind::BusinessCentral => whole.get("value").copied().map(Some),
            // An empty list of QuickBooks' is not there.
            SourceKind::Quickbooks => found(&whole).map(|fields| fields.get(set).copied()),
        };
        let list = list.ok_or(ReadError::NotADocument)?;
        let list: Vec<&RawValue> = match list {
            Some(list) => serde_json::from_str(list.get()).map_err(|_| ReadError::NotADocument)?,
            None => Vec::new(),
        };
        let documents = list.into_iter().enumerate();
        let documents = documents.map(|(n, one)| Document::read(kind, entity, n, one.get()));
        Ok(Self { documents: documents.collect::<Result<_, _>>()?, next })
    }
}

/// What QuickBooks found for a query, or captured.
fn found<'a>(whole: &Fields<'a>) -> Option<Fields<'a>> {
    let first = |list: &'a RawValue| -> Option<&'a RawValue> {
        serde_json::from_str::<Vec<&RawValue>>(list.get()).ok()?.first().copied()
    };
    let found = match whole.get("CDCResponse") {
        Some(captured) => {
            let captured: Fields<'_> = serde_json::from_str(first(captured)?.get()).ok()?;
            first(captured.get("QueryResponse").copied()?)?
        }
        None => whole.get("QueryResponse").copied()?,
    };
    serde_json::from_str(found.get()).ok()
}

fn text_of(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

impl<'a> Document<'a> {
    fn read(kind: SourceKind, entity: Entity, n: usize, text: &'a str) -> Result<Self, ReadError> {
        let id_name = match (kind, entity) {
            (SourceKind::Xero, Entity::Customer) => "ContactID",
            (SourceKind::Xero, Entity::Invoice) => "InvoiceID",
            (SourceKind::Xero, Entity::Payment) => "PaymentID",
            (SourceKind::Xero, Entity::CreditNote) => "CreditNoteID",
            (SourceKind::Quickbooks, _) => "Id",
            (SourceKind::BusinessCentral, _) => "id",
        };
        let fields: Fields<'_> = serde_json::from_str(text).map_err(|_| ReadError::NotADocument)?;
        let error = || FieldError { pointer: format!("/{n}/{id_name}"), problem: Problem::Missing };
        let id = fields.get(id_name).and_then(|id| text_of(id)).ok_or_else(error)?;
        let at = match kind {
            SourceKind::Xero => fields.get("UpdatedDateUTC").copied(),
            SourceKind::BusinessCentral => fields.get("lastModifiedDateTime").copied(),
            SourceKind::Quickbooks => {
                let meta = fields
                    .get("MetaData")
                    .and_then(|meta| serde_json::from_str::<Fields<'_>>(meta.get()).ok());
                meta.and_then(|meta| meta.get("LastUpdatedTime").copied())
            }
        };
        let status = fields.get("status").filter(|_| kind == SourceKind::Quickbooks);
        let is_deletion = status.and_then(|status| text_of(status)).as_deref() == Some("Deleted");
        Ok(Self { id, at: at.and_then(text_of).and_then(|at| timestamp(&at)), is_deletion, text })
    }

    /// What it tells, and how many card numbers were masked in it before that was read.
    pub(crate) fn tell(&self, entry: &SourceEntry, entity: Entity) -> (Thing, usize) {
        let safe = card_numbers::redact_json(self.text);
        let (kind, set) = (entry.kind, set(entry.kind, entity));
        let body = match kind {
            SourceKind::Xero => format!("{{\"{set}\":[{}]}}", safe.text),
            SourceKind::Quickbooks => format!("{{\"{set}\":{}}}", safe.text),
            SourceKind::BusinessCentral => safe.text.clone().into_owned(),
        };
        // As events name it.
        let account = external_id(entry.account.as_str());
        let context = Context { account: account.as_ref(), currency: entry.currency };
        let told = document::read(kind.provider(), entity, body.as_bytes(), &context);
        (Thing { id: self.id.clone(), told }, safe.count)
    }
}
