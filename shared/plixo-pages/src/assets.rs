use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};

const STYLESHEET: &[u8] = include_bytes!("../assets/plixo.css");
const PORTAL_STYLESHEET: &[u8] = include_bytes!("../assets/portal.css");
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

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        asset("css", "text/css; charset=utf-8", STYLESHEET),
        asset("css", "text/css; charset=utf-8", PORTAL_STYLESHEET),
        asset("svg", "image/svg+xml", ICON),
    ]
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
    let [stylesheet, _, _] = &*ASSETS;
    &stylesheet.path
}

pub(crate) fn portal_stylesheet() -> &'static str {
    let [_, stylesheet, _] = &*ASSETS;
    &stylesheet.path
}

pub(crate) fn icon() -> &'static str {
    let [_, _, icon] = &*ASSETS;
    &icon.path
}

/// The headers that every page of the console goes with, beside those that every answer has. Pages have no script, no inline style and
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

/// The headers that every page of a payer goes with: those of the console, but that no link's token leaves with a referrer, and
/// that a form may end at `checkout_origin` (`https://checkout.stripe.com`), where paying goes on: browsers hold the redirects
/// after a form to `form-action` too. What is no origin of that kind is left out.
///
/// Without a referrer, browsers send `Origin: null` with forms. `Sec-Fetch-Site` tells whose form it was.
#[must_use]
pub fn portal_headers(checkout_origin: &str) -> Vec<(&'static str, String)> {
    let is_origin = checkout_origin.starts_with("https://") || checkout_origin.starts_with("http://");
    let is_plain =
        checkout_origin.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:/[]".contains(&byte));
    let goes_to = if is_origin && is_plain {
        format!("form-action 'self' {checkout_origin};")
    } else {
        FORM_ACTION.to_owned()
    };
    let ours = |(name, value): &(&'static str, &'static str)| match *name {
        "content-security-policy" => (*name, value.replace(FORM_ACTION, &goes_to)),
        "referrer-policy" => (*name, "no-referrer".to_owned()),
        _ => (*name, (*value).to_owned()),
    };
    security_headers().iter().map(ours).collect()
}

const FORM_ACTION: &str = "form-action 'self';";
