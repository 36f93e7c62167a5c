//! What the API answers.

use plixo_lambda::http::Response;
use plixo_pages::{Errors, ProblemKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What the API answered, other than success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The status.
    pub status: u16,
    /// The stable word.
    pub code: String,
    /// What to do.
    pub detail: String,
    /// Fields that cannot be used.
    pub fields: Vec<Field>,
}

/// A field that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Field {
    /// Its JSON pointer.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

#[derive(Deserialize)]
struct Told {
    code: String,
    detail: String,
    #[serde(default)]
    errors: Vec<Field>,
}

/// An answer with what it says of the version.
#[derive(Debug, Clone)]
pub struct Shown<T> {
    /// The body.
    pub body: T,
    /// Its entity tag, for `If-Match`.
    pub version: String,
}

/// Reads an answer.
///
/// # Errors
/// The [`Problem`] that it is; an answer that cannot be read is our mistake.
pub fn read<T: DeserializeOwned>(response: &Response) -> Result<Shown<T>, Problem> {
    done(response)?;
    let body = serde_json::from_str(response.body()).map_err(|_| Problem::internal())?;
    Ok(Shown { body, version: response.header("etag").unwrap_or_default().to_owned() })
}

/// Reads an answer that need not say more than that it is done.
///
/// # Errors
/// The [`Problem`] that it is.
pub fn done(response: &Response) -> Result<(), Problem> {
    let status = response.status();
    if status < 400 {
        return Ok(());
    }
    let told = serde_json::from_str(response.body());
    let Told { code, detail, errors: fields } = told.map_err(|_| Problem::internal())?;
    Err(Problem { status, code, detail, fields })
}

impl Problem {
    /// Our mistake.
    #[must_use]
    pub fn internal() -> Self {
        Self { status: 500, code: "internal".to_owned(), detail: String::new(), fields: Vec::new() }
    }

    /// Whether the form may be sent again, mended: what is wrong is then shown with it.
    #[must_use]
    pub fn can_be_mended(&self) -> bool {
        matches!(self.status, 400 | 409 | 412 | 413 | 422 | 429)
    }

    /// What is wrong, beside the fields that `field` names by their pointers; `None` is of no single field.
    #[must_use]
    pub fn errors(&self, field: impl Fn(&str) -> Option<String>) -> Errors {
        if self.status == 412 {
            return Errors::default().stale();
        }
        let placed = |errors: Errors, it: &Field| match field(&it.pointer) {
            Some(name) => errors.field(name, sentence(&it.detail)),
            None => errors.whole(sentence(&it.detail)),
        };
        let errors = self.fields.iter().fold(Errors::default(), placed);
        if errors.any() { errors } else { errors.whole(sentence(&self.detail)) }
    }

    /// The page that says it.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        match (self.status, self.code.as_str()) {
            (403, "ip_not_allowed") => ProblemKind::IpNotAllowed,
            (403, _) => ProblemKind::Forbidden,
            (404, _) => ProblemKind::NotFound,
            (409, _) => ProblemKind::Conflict,
            (410, _) => ProblemKind::Gone,
            (412, _) => ProblemKind::Stale,
            (429, _) => ProblemKind::TooManyTries,
            (400..500, _) => ProblemKind::BadRequest,
            (503, _) => ProblemKind::Unavailable,
            _ => ProblemKind::Internal,
        }
    }
}

/// What the API says of a field, as pages say things.
fn sentence(detail: &str) -> String {
    let mut letters = detail.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
