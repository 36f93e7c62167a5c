use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};

const STYLESHEET: &[u8] = include_bytes!("../assets/plixo.css");
const ICON: &[u8] = include_bytes!("../assets/plixo.svg");

/// A file that pages refer to. Its path changes with its content, so that it may be cached for good:
/// `cache-control: public, max-age=31536000, immutable`.
#[derive(Debug, Clone)]
pub struct Asset {
    /// The path that it is served at.
    pub path: String,
    /// Its `content-type`.
    pub content_type: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

static ASSETS: LazyLock<[Asset; 2]> = LazyLock::new(|| {
    [asset("css", "text/css; charset=utf-8", STYLESHEET), asset("svg", "image/svg+xml", ICON)]
});

fn asset(extension: &str, content_type: &'static str, bytes: &'static [u8]) -> Asset {
    let hash = hex::encode(digest(&SHA256, bytes).as_ref().first_chunk::<8>().copied().unwrap_or_default());
    Asset { path: format!("/assets/plixo-{hash}.{extension}"), content_type, bytes }
}

/// The files that pages refer to.
#[must_use]
pub fn assets() -> &'static [Asset] {
    ASSETS.as_slice()
}

pub(crate) fn stylesheet() -> &'static str {
    let [stylesheet, _] = &*ASSETS;
    &stylesheet.path
}

pub(crate) fn icon() -> &'static str {
    let [_, icon] = &*ASSETS;
    &icon.path
}

/// The headers that every page goes with, beside those that every answer has. Pages have no script, no inline style and
/// nothing from elsewhere, so the policy allows none. Forms need an `Origin` that is not `null`, so the referrer policy
/// stops at the origin and does not forbid it.
#[must_use]
pub fn security_headers() -> &'static [(&'static str, &'static str)] {
    &[
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
        ),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        ("x-frame-options", "DENY"),
    ]
}
