//! What a form says.

use std::collections::BTreeMap;

use plixo_lambda::http::Request;

/// The longest form, bytes: an invoice of 200 lines fits.
const MAX_FORM: usize = 256 << 10;

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
pub struct Form(BTreeMap<String, String>);

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
        Self(fields)
    }

    /// All fields as they were typed, by their names.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is such a field, empty or not.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A field as it was typed; nothing where there is none.
    #[must_use]
    pub fn raw(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
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
