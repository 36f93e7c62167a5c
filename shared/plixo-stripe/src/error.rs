use serde::Deserialize;

/// Why Stripe did not do it. The text is for the log. Of what Stripe answered it holds the status, the error's type, code and
/// parameter, and the request's id: never a message, a URL or a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StripeError {
    /// Not reached, slow, throttled or broken: it may work later, and nobody knows whether it was done.
    #[error("Stripe is not available: {0}")]
    Unavailable(String),
    /// The organisation's key is wrong, has expired, or lacks a permission.
    #[error("Stripe refused the key: {0}")]
    KeyRefused(String),
    /// The key's account has no such session.
    #[error("Stripe has no such session")]
    NotFound,
    /// It will not work like this.
    #[error("Stripe refused: {0}")]
    Refused(String),
}

/// What is read of [an error](https://docs.stripe.com/api/errors).
#[derive(Default, Deserialize)]
struct Told {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    param: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    error: Told,
}

/// Sorts an answer that is no success by what the caller can do.
pub(crate) fn sort(status: u16, request_id: Option<&str>, body: &[u8]) -> StripeError {
    // Whoever stands before Stripe may answer with anything.
    let told = serde_json::from_slice(body).map_or_else(|_| Told::default(), |body: Body| body.error);
    let words = [told.kind.as_deref(), told.code.as_deref(), told.param.as_deref(), request_id];
    let cause = words.into_iter().flatten().filter(|word| is_word(word));
    let cause = cause.fold(status.to_string(), |cause, word| cause + " " + word);
    match status {
        401 | 403 => StripeError::KeyRefused(cause),
        404 if told.code.as_deref() == Some("resource_missing") => StripeError::NotFound,
        409 | 429 => StripeError::Unavailable(cause),
        400..=499 => StripeError::Refused(cause),
        _ => StripeError::Unavailable(cause),
    }
}

/// Whether text is one of Stripe's own words, or the id of a request, and so nothing that somebody typed.
fn is_word(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'[' | b']');
    (1..=100).contains(&text.len()) && text.bytes().all(fits)
}
