//! The session of a browser.

use plixo_lambda::http::{Request, Response};

/// The cookie of the access token. `authorizer` reads it.
pub const ACCESS: &str = "__Host-plixo-access";
/// The cookie of the refresh token.
pub const REFRESH: &str = "__Host-plixo-refresh";
/// Where a session is made longer.
const RENEW: &str = "/sign-in/refresh";
/// The longest path that a browser is sent back to, bytes.
const LONGEST: usize = 2000;

/// Keeps a token in the browser until it is closed.
#[must_use]
pub fn keep(response: Response, cookie: &str, token: &str) -> Response {
    response.with_cookie(format!("{cookie}={token}; Path=/; Secure; HttpOnly; SameSite=Lax"))
}

/// Takes both tokens away.
#[must_use]
pub fn forget(response: Response) -> Response {
    [ACCESS, REFRESH].into_iter().fold(response, |response, cookie| {
        response.with_cookie(format!("{cookie}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"))
    })
}

/// A place of ours to go to, of text that anybody may have written.
#[must_use]
pub fn place(text: &str) -> Option<&str> {
    let is_path = text.starts_with('/') && !text.starts_with("//");
    let is_plain = text.len() <= LONGEST && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    (is_path && is_plain).then_some(text)
}

/// Where somebody without a session goes: to the page where it is made longer, if that may help, else to sign in. Either
/// leads back to what was asked, and a form is sent again on the way if its session was made longer.
#[must_use]
pub fn missing(request: &Request, is_form: bool) -> Response {
    let target = request.target();
    let back = place(&target).unwrap_or("/orgs");
    let may_help = matches!(request.authorized("refused"), Some("missing" | "expired"));
    let (status, to) = if may_help && request.cookie(REFRESH).is_some() {
        (if is_form { 307 } else { 303 }, RENEW)
    } else {
        (303, "/sign-in")
    };
    Response::redirect(status, with_next(to, back))
}

/// A path that leads on to `next`.
#[must_use]
pub fn with_next(path: &str, next: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("{path}?{query}")
}
