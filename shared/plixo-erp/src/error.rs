use std::time::Duration;

use plixo_aws::AwsError;
use plixo_webhooks::ReadError;
use serde_json::Value;

use crate::http::Said;

/// The longest pause that is believed: an account's daily limit of calls ends sooner.
const LONGEST: u64 = 24 * 3_600;
/// After how many seconds QuickBooks is to be asked again, which does not say so itself
/// (<https://developer.intuit.com/app/developer/qbo/docs/learn/limits-and-throttles>).
const USUAL: u64 = 60;

/// Why there is no answer, sorted by what the caller can do. The text is for the log. Of what a provider answered it holds the
/// status and the code of an error: never a message, a URL, a token, or anything of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErpError {
    /// There were too many requests: it will answer later.
    #[error("the provider is busy")]
    Busy {
        /// Not before then, if it says.
        retry_after: Option<Duration>,
    },
    /// Not reached, slow, broken, or of another mind than its documentation: it may work later.
    #[error("the provider is not available: {0}")]
    Unavailable(String),
    /// The provider takes the credentials no more, or gives them too little: somebody has to connect the source again.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// There is no such source, or it reads another account.
    #[error("there is no such data source")]
    NoSource,
    /// What came is nothing that this provider answers. It will not change by itself.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
}

impl From<AwsError> for ErpError {
    fn from(error: AwsError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl ErpError {
    pub(crate) fn unavailable(cause: &str) -> Self {
        Self::Unavailable(cause.to_owned())
    }
}

/// Sorts an answer of an API that is no success.
pub(crate) fn sort(said: &Said) -> ErpError {
    let cause = match code(&said.body) {
        Some(code) => format!("{} {code}", said.status),
        None => said.status.to_string(),
    };
    match said.status {
        429 => ErpError::Busy { retry_after: Some(retry_after(said).unwrap_or(Duration::from_secs(USUAL))) },
        503 if said.retry_after.is_some() => ErpError::Busy { retry_after: retry_after(said) },
        401 | 403 => ErpError::Refused(cause),
        _ => ErpError::Unavailable(cause),
    }
}

/// `Retry-After` in seconds. As a date nobody sends it here.
pub(crate) fn retry_after(said: &Said) -> Option<Duration> {
    let seconds: u64 = said.retry_after.as_deref()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST)))
}

/// The provider's code of an error, where there is one. Whoever stands before it may answer with anything.
fn code(body: &[u8]) -> Option<String> {
    const PLACES: [&str; 4] = ["/error/code", "/Fault/Error/0/code", "/fault/error/0/code", "/Type"];
    let body: Value = serde_json::from_slice(body).ok()?;
    let is_word = |text: &&str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        (1..=64).contains(&text.len()) && text.bytes().all(fits)
    };
    PLACES.into_iter().find_map(|place| body.pointer(place)?.as_str().filter(is_word).map(str::to_owned))
}
