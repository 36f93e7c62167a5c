//! What is asked of the providers, in as few requests as they allow.

use jiff::{SignedDuration, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use plixo_domain::id::{OrgId, SourceId};
use plixo_domain::source::{Place, SourceEntry, SourceKind};
use plixo_domain::webhook::ExternalId;
use plixo_webhooks::ReadError;
use plixo_webhooks::canonical::{Entity, Event};
use plixo_webhooks::delivery::is_plain;

use crate::answer::Page;
use crate::http::Request;
use crate::token::unreadable;
use crate::{ErpError, Urls};

/// How many things a page of changes has.
pub(crate) const PAGE: usize = 100;
/// How many changes QuickBooks tells of at most, and says nothing of the others.
const MOST_TOLD: usize = 1_000;
/// How far back it tells of them, less an hour for clocks that differ.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(30 * 24 - 1);
/// The version of QuickBooks' objects. Since August 2025 none is lower.
const MINOR: &str = "75";
/// What the ids of a request may add up to, bytes: a URL of Xero's that is longer than some 2,000 is refused.
const IDS: usize = 1_700;
/// And how many of them Business Central's filter takes: each is four nodes of it, and 100 are OData's usual bound.
const FILTERED: usize = 20;
/// What stands in a query as it is.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Of which source something is asked. All of it has to fit what the vault holds.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    /// Whose source it is.
    pub org: &'a OrgId,
    /// The source.
    pub source: &'a SourceId,
    /// What is read.
    pub kind: SourceKind,
    /// The account there.
    pub account: &'a ExternalId,
}

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Of which source.
    pub of: Of<'a>,
    /// For what kind of thing.
    pub entity: Entity,
    /// For which of them.
    pub which: Which<'a>,
}

/// Which things.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Those of these ids, as [`Fetch`](plixo_webhooks::delivery::Fetch) has them.
    These(&'a [String]),
    /// What changed since then.
    ChangedSince(Timestamp),
}

/// What was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The things that are there.
    pub things: Vec<Thing>,
    /// The ids that were asked for, and that nothing has.
    pub missing: Vec<String>,
    /// Of changes: up to when they are all among the things, by the provider's clock.
    pub read_to: Option<Timestamp>,
    /// Whether there are later changes: ask on from `read_to`.
    pub has_more: bool,
    /// How many card numbers were masked.
    pub cards_redacted: usize,
}

/// A thing at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Its id there; of what was asked for by id, as it was asked for.
    pub id: String,
    /// What it tells: nothing, where it is no business of a seller's; or what of it cannot be used.
    pub told: Result<Vec<Event>, ReadError>,
}

/// The account that is asked: a part of URLs, and therefore checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account<'a> {
    kind: SourceKind,
    id: &'a str,
    base: &'a str,
    place: Option<&'a Place>,
}

/// Where reading of changes goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cursor {
    /// Xero's n-th page, from 1.
    Numbered(usize),
    /// QuickBooks' change data capture, which tells of deletions too.
    Captured,
    /// QuickBooks' query, from the n-th thing, from 1.
    Queried(usize),
    /// Business Central's first page.
    First,
    /// The page that it links to.
    Linked(String),
}

impl<'a> Account<'a> {
    pub(crate) fn new(entry: &'a SourceEntry, urls: &'a Urls) -> Result<Self, ErpError> {
        let (id, place) = (entry.account.as_str(), entry.place.as_ref());
        if !is_plain(id) || (entry.kind == SourceKind::BusinessCentral && place.is_none()) {
            return Err(unreadable());
        }
        let base = match entry.kind {
            SourceKind::Xero => &urls.xero_api,
            SourceKind::Quickbooks => &urls.quickbooks_api,
            SourceKind::BusinessCentral => &urls.business_central_api,
        };
        Ok(Self { kind: entry.kind, id, base, place })
    }

    /// Whether a link leads to where the account is, for the token goes along.
    pub(crate) fn is_at(&self, link: &str) -> bool {
        link.strip_prefix(origin(self.base)).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The URL of something of Business Central's in this environment.
    pub(crate) fn in_environment(&self, path: &str) -> String {
        let (tenant, environment) =
            self.place.map_or(("", ""), |place| (place.tenant(), place.environment()));
        format!("{}/v2.0/{tenant}/{environment}/api/v2.0/{path}", self.base)
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> String {
        let mut url = match self.kind {
            SourceKind::Xero => format!("{}/api.xro/2.0/{path}", self.base),
            SourceKind::Quickbooks => format!("{}/v3/company/{}/{path}", self.base, self.id),
            SourceKind::BusinessCentral => self.in_environment(&format!("companies({})/{path}", self.id)),
        };
        for (n, (name, value)) in query.iter().enumerate() {
            url.push(if n == 0 { '?' } else { '&' });
            url.extend([name, "="]);
            url.extend(utf8_percent_encode(value, QUERY));
        }
        url
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> Request {
        let request = Request::get(self.url(path, query));
        match self.kind {
            SourceKind::Xero => request.with("xero-tenant-id", self.id),
            SourceKind::Quickbooks => request,
            SourceKind::BusinessCentral => request.with("prefer", format!("odata.maxpagesize={PAGE}")),
        }
    }

    fn query(&self, text: &str) -> Request {
        self.get("query", &[("query", text), ("minorversion", MINOR)])
    }

    /// The ids in the groups that are asked for together.
    pub(crate) fn groups<'i>(&self, entity: Entity, ids: &[&'i str]) -> Vec<Vec<&'i str>> {
        let most = match (self.kind, entity) {
            // Xero's other lists cannot be asked for several by id.
            (SourceKind::Xero, Entity::Payment | Entity::CreditNote) => 1,
            (SourceKind::BusinessCentral, _) => FILTERED,
            (SourceKind::Xero | SourceKind::Quickbooks, _) => PAGE,
        };
        let mut groups: Vec<Vec<&str>> = Vec::new();
        let mut length = 0;
        for id in ids {
            // Quotes and commas, encoded.
            let more = id.len() + 9;
            match groups.last_mut() {
                Some(group) if group.len() < most && length + more <= IDS => group.push(id),
                _ => {
                    groups.push(vec![id]);
                    length = 0;
                }
            }
            length += more;
        }
        groups
    }

    /// The request for the things of these ids, all of them plain. That there are none may be answered with 404.
    pub(crate) fn these(&self, entity: Entity, ids: &[&str]) -> Request {
        let set = set(self.kind, entity);
        match (self.kind, entity) {
            (SourceKind::Xero, Entity::Payment | Entity::CreditNote) => {
                self.get(&format!("{set}/{}", ids.concat()), &[])
            }
            // Lines come with a page only, and what is archived is asked for by name.
            (SourceKind::Xero, _) => {
                let (ids, size) = (ids.join(","), PAGE.to_string());
                let query = [("IDs", ids.as_str()), ("page", "1"), ("pageSize", &size)];
                self.get(set, &[&query, archived(entity)].concat())
            }
            (SourceKind::Quickbooks, _) => {
                let ids = ids.join("','");
                self.query(&format!(
                    "select * from {set} where Id in ('{ids}'){} maxresults {PAGE}",
                    any(entity)
                ))
            }
            (SourceKind::BusinessCentral, _) => {
                let filter: Vec<_> = ids.iter().map(|id| format!("id eq {id}")).collect();
                self.filtered(entity, &filter.join(" or "), &[])
            }
        }
    }

    fn filtered(&self, entity: Entity, filter: &str, more: &[(&str, &str)]) -> Request {
        let lines = [("$expand", "salesInvoiceLines")];
        let lines = if entity == Entity::Invoice { lines.as_slice() } else { &[] };
        self.get(set(self.kind, entity), &[&[("$filter", filter)], more, lines].concat())
    }

    /// Where reading the changes since then begins.
    pub(crate) fn start(&self, since: Timestamp, now: Timestamp) -> Cursor {
        match self.kind {
            SourceKind::Xero => Cursor::Numbered(1),
            SourceKind::Quickbooks if now.duration_since(since) < TOLD_FOR => Cursor::Captured,
            SourceKind::Quickbooks => Cursor::Queried(1),
            SourceKind::BusinessCentral => Cursor::First,
        }
    }

    /// The request for a page of the changes since then.
    pub(crate) fn changed(&self, entity: Entity, since: Timestamp, cursor: &Cursor) -> Request {
        let set = set(self.kind, entity);
        let second = since.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        match cursor {
            Cursor::Numbered(n) => {
                let (n, size) = (n.to_string(), PAGE.to_string());
                let query = [("page", n.as_str()), ("pageSize", &size), ("order", "UpdatedDateUTC ASC")];
                self.get(set, &[&query, archived(entity)].concat()).with("if-modified-since", second)
            }
            Cursor::Captured => {
                let since = format!("{second}Z");
                self.get("cdc", &[("entities", set), ("changedSince", &since), ("minorversion", MINOR)])
            }
            Cursor::Queried(from) => self.query(&format!(
                "select * from {set} where MetaData.LastUpdatedTime >= '{second}Z'{} \
                 orderby MetaData.LastUpdatedTime startposition {from} maxresults {PAGE}",
                any(entity)
            )),
            Cursor::First => {
                let filter = format!("lastModifiedDateTime ge {}", since.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"));
                self.filtered(entity, &filter, &[("$orderby", "lastModifiedDateTime")])
            }
            Cursor::Linked(link) => {
                Request::get(link.clone()).with("prefer", format!("odata.maxpagesize={PAGE}"))
            }
        }
    }

    /// Where reading goes on after a page; `None`: that was all.
    pub(crate) fn next(&self, cursor: &Cursor, page: &Page<'_>) -> Result<Option<Cursor>, ErpError> {
        let is_full = page.documents.len() >= PAGE;
        Ok(match (cursor, &page.next) {
            (Cursor::Numbered(n), _) => is_full.then(|| Cursor::Numbered(n + 1)),
            (Cursor::Captured, _) => (page.documents.len() >= MOST_TOLD).then_some(Cursor::Queried(1)),
            (Cursor::Queried(from), _) => is_full.then(|| Cursor::Queried(from + PAGE)),
            (Cursor::First | Cursor::Linked(_), None) => None,
            (Cursor::First | Cursor::Linked(_), Some(link)) if self.is_at(link) => {
                Some(Cursor::Linked(link.clone()))
            }
            (Cursor::First | Cursor::Linked(_), Some(_)) => {
                return Err(ErpError::unavailable("its next page is somewhere else"));
            }
        })
    }

    /// The request that shows whether the source can be read, and where in its answer the currency of the books is, where it says.
    pub(crate) fn look(&self) -> (Request, &'static str) {
        match self.kind {
            SourceKind::Xero => (self.get("Contacts", &[("page", "1"), ("pageSize", "1")]), ""),
            SourceKind::Quickbooks => {
                let home = "/QueryResponse/Preferences/0/CurrencyPrefs/HomeCurrency/value";
                (self.query("select * from Preferences"), home)
            }
            SourceKind::BusinessCentral => (self.get("companyInformation", &[]), "/value/0/currencyCode"),
        }
    }
}

/// Whether a thing can have this id, so that it may stand in a request: Xero's and Business Central's are GUIDs, and another one
/// would spoil the request for all.
pub(crate) fn can_be(kind: SourceKind, id: &str) -> bool {
    let is_hex = id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let is_guid = is_hex && id.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    is_guid || (kind == SourceKind::Quickbooks && is_plain(id))
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.bytes().skip(start).position(|b| b == b'/').map_or(url.len(), |at| start + at);
    url.split_at_checked(end).map_or(url, |(origin, _)| origin)
}

/// Also those of Xero's contacts that are archived.
fn archived(entity: Entity) -> &'static [(&'static str, &'static str)] {
    if entity == Entity::Customer { &[("includeArchived", "true")] } else { &[] }
}

/// Also those of QuickBooks' customers that are not active: unasked, they are left out.
fn any(entity: Entity) -> &'static str {
    if entity == Entity::Customer { " and Active in (true, false)" } else { "" }
}

/// How a provider calls a kind of thing.
pub(crate) fn set(kind: SourceKind, entity: Entity) -> &'static str {
    match (kind, entity) {
        (SourceKind::Xero, Entity::Customer) => "Contacts",
        (SourceKind::Xero, Entity::Invoice) => "Invoices",
        (SourceKind::Xero, Entity::Payment) => "Payments",
        (SourceKind::Xero, Entity::CreditNote) => "CreditNotes",
        (SourceKind::Quickbooks, Entity::Customer) => "Customer",
        (SourceKind::Quickbooks, Entity::Invoice) => "Invoice",
        (SourceKind::Quickbooks, Entity::Payment) => "Payment",
        (SourceKind::Quickbooks, Entity::CreditNote) => "CreditMemo",
        (SourceKind::BusinessCentral, Entity::Customer) => "customers",
        (SourceKind::BusinessCentral, Entity::Invoice) => "salesInvoices",
        (SourceKind::BusinessCentral, Entity::Payment) => "customerPayments",
        (SourceKind::BusinessCentral, Entity::CreditNote) => "salesCreditMemos",
    }
}
