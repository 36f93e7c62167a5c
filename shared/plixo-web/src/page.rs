//! Pages as answers.

use plixo_lambda::http::{Request, Response};
use plixo_pages::{Asset, Frame, ProblemKind, SendAgain, assets, security_headers};

use crate::form::Form;

/// Draws 32 random bytes; `None` if that fails.
pub type Entropy = fn() -> Option<[u8; 32]>;

/// A page.
#[must_use]
pub fn page(status: u16, html: String) -> Response {
    security_headers()
        .iter()
        .fold(Response::of(status, "text/html; charset=utf-8", html), |response, (name, value)| {
            response.with(name, (*value).to_owned())
        })
}

/// The page of a problem.
#[must_use]
pub fn problem(kind: ProblemKind, request_id: &str, back: Option<String>) -> Response {
    let status = kind.status();
    let shown =
        plixo_pages::Problem { frame: Frame::default(), kind, request_id: request_id.to_owned(), back };
    page(status, shown.render())
}

/// The page in whose place a form's answer did not come, for AWS did not do its part: from it, the form is sent again. It has all
/// that was typed on it, so this is for forms of ours without secrets only.
#[must_use]
pub fn send_again(request: &Request, form: &Form) -> Response {
    let fields = form.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (path, request_id) = (request.target(), request.id().to_owned());
    page(503, SendAgain { frame: Frame::default(), path, fields, request_id }.render())
}

/// The frame of a new page, with `done` said in it. `None` without randomness: two forms must never have one key.
#[must_use]
pub fn frame(entropy: Entropy, done: Option<&str>) -> Option<Frame> {
    let drawn = entropy()?;
    let key = drawn.first_chunk::<16>().map(hex::encode)?;
    Some(Frame { form_key: key, banners: Vec::new(), done: done.map(str::to_owned) })
}

/// The file that pages refer to by that path: it never changes, so it may be kept for good.
#[must_use]
pub fn asset(path: &str) -> Option<Response> {
    let Asset { content_type, bytes, .. } = assets().iter().find(|asset| asset.path == path)?;
    let response = Response::of(200, content_type, String::from_utf8(bytes.to_vec()).ok()?);
    Some(response.with("cache-control", "public, max-age=31536000, immutable".to_owned()))
}
