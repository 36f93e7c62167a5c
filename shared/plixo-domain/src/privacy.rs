//! Privacy requests: what somebody may ask of what is kept about them (GDPR Art. 15 and 17), and until when it has to be done.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::id::{CustomerId, MemberId, OrgId, PrivacyId};
use crate::ledger::{Book, Private, Unread};
use crate::people::{By, UnknownWord};

/// How long before its last day an open request is told of.
pub const WARNING_DAYS: i32 = 7;
/// How long an organisation that is closed can be opened again.
pub const GRACE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyKind {
    /// Everything that is held about the customer.
    Access,
    /// That it goes.
    Erasure,
}

impl PrivacyKind {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Erasure => "erasure",
        }
    }
}

impl std::str::FromStr for PrivacyKind {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Access, Self::Erasure].into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownWord)
    }
}

/// Under whose authority something was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// Somebody asked for it: the request, and who entered it.
    Request(PrivacyId, MemberId),
    /// The organisation's retention policy.
    Retention,
    /// The organisation was closed.
    Closing,
}

/// A privacy request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivacyRequest {
    /// Its id.
    pub id: PrivacyId,
    /// What is asked for.
    pub kind: PrivacyKind,
    /// About whom.
    pub customer: CustomerId,
    /// Who entered it.
    pub requested_by: By,
    /// When.
    pub requested_at: Timestamp,
    /// The last day on which it is done in time.
    pub due_on: Date,
    /// That a legal hold stands in its way, since when.
    pub held: Option<Timestamp>,
    /// That it was begun.
    pub begun: Option<Timestamp>,
    /// That it is done.
    pub done: Option<Done>,
    /// That it will not be done.
    pub refused: Option<Refused>,
}

/// That a request is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// When.
    pub at: Timestamp,
    /// Of an erasure: the certificate, a signed note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Of an access: until when its files are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_until: Option<Timestamp>,
    /// Whether its files are gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// Whether files that are gone may still be in their bucket.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub going: bool,
}

impl Done {
    /// Whether there are files still.
    #[must_use]
    pub fn has_files(&self) -> bool {
        self.files_until.is_some() && !self.gone
    }
}

/// That a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Who refused it.
    pub by: By,
    /// When.
    pub at: Timestamp,
    /// Why: text, which may name people.
    pub reason: Private<String>,
}

/// How a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words")]
pub enum PrivacyStatus {
    Open,
    Held,
    Running,
    Done,
    Refused,
}

impl PrivacyStatus {
    /// The contract's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Held => "held",
            Self::Running => "running",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }

    /// Whether it is still to be done.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Held | Self::Running)
    }
}

impl PrivacyRequest {
    /// A request that was entered at that time. It is due one month later, on the last day of a month that has no such day
    /// ([Regulation 1182/71, Art. 3(2)(c)](https://eur-lex.europa.eu/eli/reg/1971/1182/oj)).
    #[must_use]
    pub fn new(id: PrivacyId, kind: PrivacyKind, customer: CustomerId, by: By, now: Timestamp) -> Self {
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let due_on = today.saturating_add(1.month());
        let (held, begun, done, refused) = (None, None, None, None);
        Self { id, kind, customer, requested_by: by, requested_at: now, due_on, held, begun, done, refused }
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> PrivacyStatus {
        if self.refused.is_some() {
            PrivacyStatus::Refused
        } else if self.done.is_some() {
            PrivacyStatus::Done
        } else if self.held.is_some() {
            PrivacyStatus::Held
        } else if self.begun.is_some() {
            PrivacyStatus::Running
        } else {
            PrivacyStatus::Open
        }
    }

    /// Whether it is to be done soon, or is late, on that day. One that a legal hold keeps is nobody's to do for now.
    #[must_use]
    pub fn is_pressing(&self, today: Date) -> bool {
        let is_to_do = matches!(self.status(), PrivacyStatus::Open | PrivacyStatus::Running);
        is_to_do && self.due_on.saturating_sub(WARNING_DAYS.days()) <= today
    }

    /// The key of one of an access request's files in the bucket of exports: `json` or `html`.
    #[must_use]
    pub fn object(&self, org: &OrgId, end: &str) -> String {
        format!("{org}/{}.{end}", self.id)
    }
}

/// Why a privacy request cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrivacyError {
    /// There is none.
    #[error("there is no such privacy request")]
    NotFound,
    /// It was begun, is done, or was refused before.
    #[error("the privacy request is {}: it cannot be refused any more", .0.as_str())]
    NotOpen(PrivacyStatus),
    /// A row is unread.
    #[error("rows are unread")]
    Unread(Unread),
}

impl From<Unread> for PrivacyError {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

/// Refuses a request that nobody began.
///
/// # Errors
/// [`PrivacyError`].
pub fn refuse(book: &mut Book, id: &PrivacyId, refused: Refused) -> Result<PrivacyRequest, PrivacyError> {
    let request = book.get::<PrivacyRequest>(id)?.ok_or(PrivacyError::NotFound)?;
    if !matches!(request.status(), PrivacyStatus::Open | PrivacyStatus::Held) || request.begun.is_some() {
        return Err(PrivacyError::NotOpen(request.status()));
    }
    let request = PrivacyRequest { refused: Some(refused), ..request.clone() };
    book.put(request.clone())?;
    Ok(request)
}

/// One entry of the erasure ledger: an object that is written before anything is destroyed, and that nobody can delete. It is done
/// again after a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// [`Erasure::VERSION`].
    pub v: u8,
    /// Whose.
    pub org: OrgId,
    /// Which customer; the whole organisation where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// Under whose authority.
    pub authority: Authority,
    /// When it was decided to do it.
    pub at: Timestamp,
}

impl Erasure {
    /// The version of the entries that this code writes, and reads.
    pub const VERSION: u8 = 1;

    /// The name of its object, under which there is one for good. What retention decided has a name of its own: it may be thought
    /// better of, and what somebody requests afterwards is not.
    #[must_use]
    pub fn object(&self) -> String {
        let of = self.customer.map_or_else(|| "organisation".to_owned(), |customer| customer.to_string());
        let end = if self.authority == Authority::Retention { "-retention" } else { "" };
        format!("{}{of}{end}", Self::prefix(&self.org))
    }

    /// What the names of an organisation's entries begin with.
    #[must_use]
    pub fn prefix(org: &OrgId) -> String {
        format!("{org}/erasures/")
    }
}

/// The message that has something done. It says what and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivacyTask {
    /// [`PrivacyTask::VERSION`].
    pub v: u8,
    /// Whose.
    pub org: OrgId,
    /// What is to be done.
    pub task: PrivacyTaskOf,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyTaskOf {
    /// A request.
    Request(PrivacyId),
    /// A customer whose time is over is to be erased.
    Forget(CustomerId),
}

impl PrivacyTask {
    /// The version of the messages that this code writes, and reads.
    pub const VERSION: u8 = 1;

    /// A message.
    #[must_use]
    pub fn new(org: OrgId, task: PrivacyTaskOf) -> Self {
        Self { v: Self::VERSION, org, task }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Ids;

    fn request(at: &str) -> PrivacyRequest {
        let now: Timestamp = at.parse().unwrap();
        let mut ids = Ids::new(now, [7; 10]);
        let by = By { member: ids.make(), user: "3f2504e0-4f89-41d3-9a0c-0305e82c3301".parse().unwrap() };
        PrivacyRequest::new(ids.make(), PrivacyKind::Erasure, ids.make(), by, now)
    }

    #[test]
    fn it_is_due_a_month_later() {
        for (at, due) in [
            ("2026-11-29T23:59:59Z", "2026-12-29"),
            ("2026-01-31T00:00:00Z", "2026-02-28"),
            ("2028-01-31T00:00:00Z", "2028-02-29"),
            ("2026-12-31T10:00:00Z", "2027-01-31"),
        ] {
            assert_eq!(request(at).due_on.to_string(), due, "{at}");
        }
    }

    #[test]
    fn it_presses_a_week_before_and_until_it_is_done() {
        let open = request("2026-11-01T00:00:00Z");
        let day = |day: &str| day.parse::<Date>().unwrap();
        assert!(!open.is_pressing(day("2026-11-23")) && open.is_pressing(day("2026-11-24")));
        assert!(open.is_pressing(day("2027-05-01")));
        let done = Done {
            at: Timestamp::UNIX_EPOCH,
            certificate: None,
            files_until: None,
            gone: false,
            going: false,
        };
        let done = PrivacyRequest { done: Some(done), ..open.clone() };
        assert!(!done.is_pressing(day("2026-12-01")));
        let held = PrivacyRequest { held: Some(Timestamp::UNIX_EPOCH), ..open };
        assert!(!held.is_pressing(day("2026-12-01")), "nobody may do it");
    }

    #[test]
    fn what_was_begun_is_not_refused() {
        let mut book = Book::default();
        let open = request("2026-11-01T00:00:00Z");
        let refused = Refused {
            by: open.requested_by,
            at: open.requested_at,
            reason: Private::Plain("not the person".to_owned()),
        };
        book.put_new(open.clone());
        let done = refuse(&mut book, &open.id, refused.clone()).unwrap();
        assert_eq!(done.status(), PrivacyStatus::Refused);
        let again = refuse(&mut book, &open.id, refused.clone());
        assert_eq!(again, Err(PrivacyError::NotOpen(PrivacyStatus::Refused)));
        book.put(PrivacyRequest { begun: Some(Timestamp::UNIX_EPOCH), ..open.clone() }).unwrap();
        let begun = refuse(&mut book, &open.id, refused);
        assert_eq!(begun, Err(PrivacyError::NotOpen(PrivacyStatus::Running)));
    }

    #[test]
    fn an_entry_has_one_name_for_good() {
        let PrivacyRequest { id, customer, requested_by, requested_at, .. } = request("2026-11-01T00:00:00Z");
        let org = Ids::new(requested_at, [3; 10]).make();
        let entry = |customer, authority| Erasure { v: 1, org, customer, authority, at: requested_at };
        let one = entry(Some(customer), Authority::Request(id, requested_by.member));
        assert_eq!(one.object(), format!("{org}/erasures/{customer}"));
        let due = entry(Some(customer), Authority::Retention);
        assert_eq!(due.object(), format!("{org}/erasures/{customer}-retention"));
        assert_eq!(entry(None, Authority::Closing).object(), format!("{org}/erasures/organisation"));
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Erasure>(&text).unwrap(), one);
    }
}
