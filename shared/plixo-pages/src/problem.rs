//! What went wrong.

use askama::Template;
use jiff::Timestamp;

use crate::frame::Frame;
use crate::page::pages;

/// The page of an error. A 401 is the sign-in page with its note.
#[derive(Clone, Template)]
#[template(path = "problem.html")]
pub struct Problem {
    /// The frame.
    pub frame: Frame,
    /// What went wrong.
    pub kind: ProblemKind,
    /// The request's id, for the operator.
    pub request_id: String,
    /// Where to go on, if not to the list of organisations.
    pub back: Option<String>,
}

/// What went wrong.
#[derive(Clone)]
pub enum ProblemKind {
    /// 400: the request could not be read.
    BadRequest,
    /// 403: the role does not allow it.
    Forbidden,
    /// 403: the organisation does not take people from this address.
    IpNotAllowed,
    /// 404: there is no such page, or none for this person.
    NotFound,
    /// 410: it was there and is no more, such as an invitation that has run out.
    Gone,
    /// 409: it does not fit what is there.
    Conflict,
    /// 412: somebody else changed it in the meantime.
    Stale,
    /// 429: too many tries.
    TooManyTries,
    /// 500: our mistake.
    Internal,
    /// 503: AWS did not do its part.
    Unavailable,
    /// 503: maintenance.
    Maintenance {
        /// What the operators say.
        message: Option<String>,
        /// When it is to end.
        until: Option<Timestamp>,
    },
}

impl ProblemKind {
    /// The status to answer with.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden | Self::IpNotAllowed => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Gone => 410,
            Self::Stale => 412,
            Self::TooManyTries => 429,
            Self::Internal => 500,
            Self::Unavailable | Self::Maintenance { .. } => 503,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::BadRequest => "We could not read that",
            Self::Forbidden => "Your role does not allow this",
            Self::IpNotAllowed => "Not from this network",
            Self::NotFound => "There is nothing here",
            Self::Gone => "This is no longer here",
            Self::Conflict => "That does not fit",
            Self::Stale => "Somebody was faster",
            Self::TooManyTries => "Too many tries",
            Self::Internal => "We made a mistake",
            Self::Unavailable => "Plixo is not available",
            Self::Maintenance { .. } => "Maintenance",
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::BadRequest => {
                "Something in the request was missing or malformed. Nothing was changed. Go back and try again."
            }
            Self::Forbidden => "Ask a Controller of your organisation to do it, or to change your role.",
            Self::IpNotAllowed => {
                "Your organisation lets its staff in from certain networks only. Use one of them, or ask a Controller to add this one."
            }
            Self::NotFound => {
                "The address may be mistyped, or it may belong to an organisation that you are not a member of."
            }
            Self::Gone => "It was used, has run out or was taken back. Start again from your organisations.",
            Self::Conflict => {
                "What is there now does not allow this. Nothing was changed. Go back and look at it again."
            }
            Self::Stale => {
                "While you were editing, somebody else saved a change. Yours was not saved, so that theirs is not lost. Open it again to see what changed."
            }
            Self::TooManyTries => "Wait a few minutes, then try again.",
            Self::Internal => {
                "This is our fault, not yours, and it has been reported. Try again; if it fails again, tell us the request id below."
            }
            Self::Unavailable => {
                "A part that Plixo needs did not answer. Nothing was lost. Try again in a minute."
            }
            Self::Maintenance { .. } => {
                "Plixo is being worked on and will be back soon. Payments that arrive meanwhile are not lost."
            }
        }
    }
}

/// What is shown in a page's place when AWS did not do its part for a form: what was typed is on it, to be sent again.
#[derive(Clone, Template)]
#[template(path = "again.html")]
pub struct SendAgain {
    /// The frame.
    pub frame: Frame,
    /// Where the form is sent to, with its query.
    pub path: String,
    /// The form's fields, as they came. Those that must not be sent back, such as secrets, are not among them.
    pub fields: Vec<(String, String)>,
    /// The request's id, for the operator.
    pub request_id: String,
}

pages!(Problem, SendAgain);
