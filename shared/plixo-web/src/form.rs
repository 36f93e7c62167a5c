//! What a form says.

use std::collections::BTreeMap;
use std::convert::Infallible;

use futures::{FutureExt, future, stream};
use multer::bytes::Bytes;
use multer::{Constraints, Multipart, SizeLimit};
use plixo_lambda::http::Request;

/// The longest form, bytes: an invoice of 200 lines fits.
const MAX_FORM: usize = 256 << 10;
/// The longest part of a form with files, bytes.
const MAX_PART: u64 = 64 << 10;
/// The most parts of such a form.
const MAX_PARTS: usize = 16;

/// Whether a page of ours sent the form: `Sec-Fetch-Site` where the browser sends it
/// ([Fetch Metadata](https://www.w3.org/TR/fetch-metadata/)), else `Origin`.
#[must_use]
pub fn is_ours(request: &Request) -> bool {
    match (request.header("sec-fetch-site"), request.header("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            host.is_some_and(|host| !host.is_empty() && request.header("host") == Some(host))
        }
        (None, None) => false,
    }
}

/// The fields of a form or a query. Of a name that came twice, the first counts.
#[derive(Clone, Default)]
pub struct Form {
    fields: BTreeMap<String, String>,
    files: BTreeMap<String, File>,
}

/// A file that came with a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    /// Its bytes; of a field in which nothing was chosen, none.
    Whole(Vec<u8>),
    /// It has more than 64 KiB, and was not read. Nor was what came after it.
    TooLarge,
}

impl Form {
    /// A posted form. `None` for what is none, or longer than forms are.
    #[must_use]
    pub fn posted(request: &Request) -> Option<Self> {
        let kind = request.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
        let is_form = kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded");
        if !is_form || request.body_len() > MAX_FORM {
            return None;
        }
        request.body().ok().map(|body| Self::of(&body))
    }

    /// A posted form with files ([RFC 7578](https://www.rfc-editor.org/rfc/rfc7578)), whose other fields come before them. `None` for
    /// what is none.
    #[must_use]
    pub fn posted_with_files(request: &Request) -> Option<Self> {
        let kind = request.header("content-type").unwrap_or_default();
        let boundary = multer::parse_boundary(kind).ok()?;
        let body = Bytes::from(request.body().ok()?.into_owned());
        let body = stream::once(future::ready(Ok::<_, Infallible>(body)));
        let limit = SizeLimit::new().per_field(MAX_PART);
        let parts = Multipart::with_constraints(body, boundary, Constraints::new().size_limit(limit));
        // All of the body is here, so nothing is waited for.
        Self::of_parts(parts).now_or_never()?
    }

    async fn of_parts(mut parts: Multipart<'_>) -> Option<Self> {
        let mut form = Self::default();
        for _ in 0..=MAX_PARTS {
            let Some(part) = parts.next_field().await.ok()? else { return Some(form) };
            let name = part.name()?.to_owned();
            let is_file = part.file_name().is_some();
            match part.bytes().await {
                Ok(bytes) if is_file => {
                    form.files.entry(name).or_insert_with(|| File::Whole(bytes.to_vec()));
                }
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
                    form.fields.entry(name).or_insert(text);
                }
                Err(multer::Error::FieldSizeExceeded { .. }) if is_file => {
                    form.files.entry(name).or_insert(File::TooLarge);
                    return Some(form);
                }
                Err(_) => return None,
            }
        }
        None
    }

    /// A file that came with it.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.get(name)
    }

    /// The query.
    #[must_use]
    pub fn query(request: &Request) -> Self {
        Self::of(request.query().as_bytes())
    }

    fn of(text: &[u8]) -> Self {
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            fields.entry(name.into_owned()).or_insert_with(|| value.replace("\r\n", "\n"));
        }
        Self { fields, files: BTreeMap::new() }
    }

    /// All fields as they were typed, by their names.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is such a field, empty or not.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// A field as it was typed; nothing where there is none.
    #[must_use]
    pub fn raw(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// A field without the space around it.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field without the space around it, if anything is left of it.
    #[must_use]
    pub fn some(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }
}
