//! Certificates of erasure: a signed note that says what was erased, when and under whose authority, and what is kept and why. It
//! names ids, kinds and numbers, and nobody.

use std::fmt;

use jiff::Timestamp;
use plixo_domain::id::{CustomerId, MemberId, OrgId, PrivacyId};

use crate::note::{Note, NoteError, PublicKey};

/// The text's second line.
const TITLE: &str = "Certificate of erasure";

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What it begins with: [`Certificate::origin_of`].
    pub origin: String,
    /// The request that it answers.
    pub request: PrivacyId,
    /// Whose personal data it was.
    pub customer: CustomerId,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// Who entered the request.
    pub requested_by: MemberId,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// When it was finished.
    pub finished_at: Timestamp,
    /// What was erased.
    pub erased: Vec<String>,
    /// What is kept, and why.
    pub kept: Vec<String>,
}

/// Why something is no certificate, or not one to believe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is no note, or not signed by the key.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The key is none of an organisation's log.
    #[error("the key is that of no organisation's audit log")]
    Key,
    /// It was signed, and is something else, or of another organisation.
    #[error("the note is no certificate of erasure of the key's organisation")]
    Other,
}

impl Certificate {
    /// What the certificates of an organisation begin with, where its audit log has that name. No log has such a name, so that
    /// neither is taken for the other.
    #[must_use]
    pub fn origin_of(log: &str) -> Option<String> {
        let (origin, org) = log.rsplit_once('/')?;
        org.parse::<OrgId>().ok().map(|org| format!("{origin}/erasure/{org}"))
    }

    /// The name of its object.
    #[must_use]
    pub fn name(org: &OrgId, request: &PrivacyId) -> String {
        format!("{org}/certificates/{request}")
    }

    /// Verifies a certificate with the key of its organisation's audit log, and reads it.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn verify(note: &[u8], key: &PublicKey) -> Result<Self, CertificateError> {
        let origin = Self::origin_of(key.name()).ok_or(CertificateError::Key)?;
        let note = Note::parse(note)?;
        note.verify(std::slice::from_ref(key))?;
        let read = Self::read(note.text()).filter(|read| read.origin == origin);
        read.ok_or(CertificateError::Other)
    }

    fn read(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let origin = lines.next()?.to_owned();
        lines.next().filter(|line| *line == TITLE)?;
        let mut next = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
        let request = next("request")?.parse().ok()?;
        let customer = next("customer")?.parse().ok()?;
        let requested = next("requested")?;
        let (at, by) = requested.split_once(" by ")?;
        let (requested_at, requested_by) = (at.parse().ok()?, by.parse().ok()?);
        let (begun_at, finished_at) = (next("begun")?.parse().ok()?, next("finished")?.parse().ok()?);
        let (mut erased, mut kept) = (Vec::new(), Vec::new());
        for line in lines {
            match line.split_once(": ")? {
                ("erased", what) if kept.is_empty() => erased.push(what.to_owned()),
                ("kept", what) => kept.push(what.to_owned()),
                _ => return None,
            }
        }
        Some(Self {
            origin,
            request,
            customer,
            requested_at,
            requested_by,
            begun_at,
            finished_at,
            erased,
            kept,
        })
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{TITLE}", self.origin)?;
        writeln!(f, "request: {}\ncustomer: {}", self.request, self.customer)?;
        writeln!(f, "requested: {} by {}", self.requested_at, self.requested_by)?;
        writeln!(f, "begun: {}\nfinished: {}", self.begun_at, self.finished_at)?;
        self.erased.iter().try_for_each(|what| writeln!(f, "erased: {what}"))?;
        self.kept.iter().try_for_each(|what| writeln!(f, "kept: {what}"))
    }
}
