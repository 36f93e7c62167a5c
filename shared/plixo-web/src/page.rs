//! Pages as answers.

use plixo_lambda::http::Response;
use plixo_pages::{Asset, Frame, ProblemKind, assets, security_headers};

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
