//! HTTP as API Gateway hands it over
//! ([payload format 2.0](https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html)),
//! and answers with [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problems.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::line::{Embedded, Level, Line};
use crate::{Error, clock, line};

/// A request.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    headers: Headers,
    cookies: Vec<String>,
    path_parameters: Headers,
    raw_path: String,
    raw_query_string: String,
    body: Option<String>,
    is_base64_encoded: bool,
    request_context: Context,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Context {
    request_id: String,
    route_key: String,
    domain_name: Option<String>,
    authorizer: Authorizer,
    http: HttpContext,
}

/// What the Lambda authorizer said of who asks.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(default)]
struct Authorizer {
    lambda: Headers,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct HttpContext {
    source_ip: Option<String>,
    user_agent: Option<String>,
}

/// A body that says it is base64 and is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not the base64 that the gateway says it is")]
pub struct NotBase64;

impl Request {
    /// The header of that name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The cookie of that name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        // API Gateway puts cookies beside the headers; the local stack leaves them in theirs.
        let in_header = self.header("cookie").into_iter().flat_map(|cookies| cookies.split(';'));
        let mut cookies = self.cookies.iter().map(String::as_str).chain(in_header);
        cookies.find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('='))
    }

    /// The path and query, as they came.
    #[must_use]
    pub fn target(&self) -> String {
        match self.query() {
            "" => self.raw_path.clone(),
            query => format!("{}?{query}", self.raw_path),
        }
    }

    /// Another request of the same caller, from the same address and under the same id, for a function that asks another
    /// one in process. Where the token stood is left out: whoever makes such a request has looked at that.
    #[must_use]
    pub fn asking(&self, route: impl Into<String>) -> Self {
        let mut request_context = self.request_context.clone();
        request_context.route_key = route.into();
        request_context.authorizer.lambda.0.retain(|(name, _)| name != "by");
        Self { request_context, ..Self::default() }
    }

    /// With a part of the path.
    #[must_use]
    pub fn at(mut self, name: &str, value: impl Into<String>) -> Self {
        self.path_parameters.0.push((name.to_owned(), value.into()));
        self
    }

    /// With a query.
    #[must_use]
    pub fn with_query(mut self, query: impl Into<String>) -> Self {
        self.raw_query_string = query.into();
        self
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.0.push((name.to_owned(), value.into()));
        self
    }

    /// With a body of JSON.
    #[must_use]
    pub fn with_json(mut self, body: String) -> Self {
        self.body = Some(body);
        self.with_header("content-type", "application/json")
    }

    /// With a body that is no text, of that kind.
    #[must_use]
    pub fn with_bytes(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = Some(STANDARD.encode(body));
        self.is_base64_encoded = true;
        self.with_header("content-type", content_type)
    }

    /// The part of the path that the route calls `name`.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<&str> {
        self.path_parameters.get(name)
    }

    /// The query, as it came, without its question mark.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.raw_query_string
    }

    /// The route that took the request, as `METHOD /path/{part}`.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.request_context.route_key
    }

    /// The API's domain name that was asked, as the gateway knows it.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.request_context.domain_name.as_deref()
    }

    /// Where people reach the stack, without a slash at the end: `configured`, or else the domain name that was asked.
    #[must_use]
    pub fn base_url(&self, configured: Option<&str>) -> String {
        match configured {
            Some(configured) => configured.trim_end_matches('/').to_owned(),
            None => format!("https://{}", self.domain().unwrap_or_default()),
        }
    }

    /// What the authorizer said of who asks, by its name for it.
    #[must_use]
    pub fn authorized(&self, name: &str) -> Option<&str> {
        self.request_context.authorizer.lambda.get(name)
    }

    /// The body's length as it came, at least: no longer than that, whatever it decodes to.
    #[must_use]
    pub fn body_len(&self) -> usize {
        let body = self.body.as_deref().unwrap_or_default();
        let padding = body.len().saturating_sub(body.trim_end_matches('=').len());
        if self.is_base64_encoded { (body.len() / 4 * 3).saturating_sub(padding) } else { body.len() }
    }

    /// The exact bytes that were received.
    ///
    /// # Errors
    /// [`NotBase64`].
    pub fn body(&self) -> Result<Cow<'_, [u8]>, NotBase64> {
        let text = self.body.as_deref().unwrap_or_default();
        if self.is_base64_encoded {
            STANDARD.decode(text).map(Cow::Owned).map_err(|_| NotBase64)
        } else {
            Ok(Cow::Borrowed(text.as_bytes()))
        }
    }

    /// The gateway's id of the request.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.request_context.request_id
    }

    /// The address that the gateway saw, which no header of the sender's can change.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.request_context.http.source_ip.as_deref()
    }

    /// The user agent, as the sender gave it, but for card numbers: cut to 200 characters.
    #[must_use]
    pub fn user_agent(&self) -> Option<String> {
        let given = self.request_context.http.user_agent.as_deref()?;
        Some(plixo_cards::redact_text(given).text.chars().take(200).collect())
    }
}

/// Names and values in the order in which they came; names compare without case.
#[derive(Debug, Clone, Default)]
struct Headers(Vec<(String, String)>);

impl Headers {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_unit<E>(self) -> Result<Headers, E> {
                Ok(Headers::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(16));
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Headers(pairs))
            }
        }
        from.deserialize_any(Pairs)
    }
}

/// An answer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    status_code: u16,
    #[serde(serialize_with = "pairs::serialize")]
    headers: Vec<Header>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    body: String,
    is_base64_encoded: bool,
}

type Header = (&'static str, String);

impl Response {
    /// An answer with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: String) -> Self {
        Self::of(status, "application/json", body)
    }

    /// An RFC 9457 problem: `code` is a stable word, `detail` says what to do.
    #[must_use]
    pub fn problem(status: u16, code: &str, title: &str, detail: &str, request_id: &str) -> Self {
        Self::field_problem(status, code, title, detail, &[], request_id)
    }

    /// A problem with some fields of a request, each by its JSON pointer.
    #[must_use]
    pub fn field_problem(
        status: u16,
        code: &str,
        title: &str,
        detail: &str,
        errors: &[FieldError],
        request_id: &str,
    ) -> Self {
        let problem =
            Problem { kind: "about:blank", title, status, detail, instance: request_id, code, errors };
        Self::of(status, "application/problem+json", serde_json::to_string(&problem).unwrap_or_default())
    }

    /// An answer without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self {
            status_code: status,
            headers: Vec::new(),
            cookies: Vec::new(),
            body: String::new(),
            is_base64_encoded: false,
        }
    }

    /// An answer with a text body of some other kind.
    #[must_use]
    pub fn of(status: u16, content_type: &str, body: String) -> Self {
        Self { body, ..Self::empty(status) }.with("content-type", content_type.to_owned())
    }

    /// An answer with a body that is no text. In [`Response::body`] it is base64, as the gateway takes it.
    #[must_use]
    pub fn bytes(status: u16, content_type: &str, body: &[u8]) -> Self {
        Self { is_base64_encoded: true, ..Self::of(status, content_type, STANDARD.encode(body)) }
    }

    /// Sends a browser elsewhere: 303 to get what is there, 307 to send the same form there.
    #[must_use]
    pub fn redirect(status: u16, to: String) -> Self {
        Self::empty(status).with("location", to)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status_code
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The header of that name, lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
    }

    /// With one cookie more, as `set-cookie` takes it.
    #[must_use]
    pub fn with_cookie(mut self, cookie: String) -> Self {
        self.cookies.push(cookie);
        self
    }

    /// With one header more.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    fn with_common_headers(self, request_id: &str) -> Self {
        let response = self
            .with("x-request-id", request_id.to_owned())
            .with("strict-transport-security", "max-age=63072000; includeSubDomains".to_owned())
            .with("x-content-type-options", "nosniff".to_owned());
        if response.header("cache-control").is_some() {
            return response;
        }
        response.with("cache-control", "no-store".to_owned())
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where, as a [JSON pointer](https://www.rfc-editor.org/rfc/rfc6901).
    pub pointer: String,
    /// What.
    pub detail: String,
}

mod pairs {
    use super::Header;
    use serde::Serializer;

    pub(super) fn serialize<S: Serializer>(pairs: &[Header], to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(pairs.iter().map(|(name, value)| (name, value)))
    }
}

/// Serves requests until the runtime ends. `handle` answers each request and fills in its log line; a panic in it is a 500
/// and a line like any other.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve<F, A>(function: &'static str, route: &'static str, handle: F) -> Result<(), Error>
where
    F: Fn(Request, Line) -> A,
    A: Future<Output = (Response, Line)>,
{
    let (function, handle) = (function, &handle);
    crate::run(move |request: Request| answer(function, route, request, handle)).await
}

/// Answers one request, with its line written.
pub async fn answer<F, A>(
    function: &'static str,
    route: &'static str,
    request: Request,
    handle: F,
) -> Response
where
    F: Fn(Request, Line) -> A,
    A: Future<Output = (Response, Line)>,
{
    let (began, at) = (clock::instant(), clock::now());
    let request_id = request.id().to_owned();
    let mut blank = Line {
        function,
        route: Some(route),
        span: "request",
        timestamp: at,
        request_id: request_id.clone(),
        ip: request.ip().map(str::to_owned),
        embedded: Embedded { timestamp: at.as_millisecond() },
        ..Line::default()
    };
    blank.metrics.requests = 1;
    let spare = blank.clone();
    // Boxed, because what wraps it moves it on, and the future of an AWS call is some 10 KB.
    let work = AssertUnwindSafe(async { Box::pin(handle(request, blank)).await }).catch_unwind();
    let (done, aws_calls) = plixo_aws::calls::counted(work).await;
    let (response, mut line) = done.unwrap_or_else(|_| {
        let detail =
            "Plixo failed to answer. Try again; if it fails again, tell the operator the request id.";
        let response = Response::problem(500, "internal", "Internal Server Error", detail, &request_id);
        (response, Line { outcome: "panic", level: Level::Error, ..spare })
    });
    if response.status() >= 500 {
        line.level = Level::Error;
        line.metrics.errors = 1;
    } else if response.status() >= 400 {
        line.level = Level::Warn;
        line.metrics.refused = 1;
    }
    line.status = Some(response.status());
    line.aws_calls = aws_calls;
    line.metrics.duration_ms = line::millis(began.elapsed());
    line.emit();
    response.with_common_headers(&request_id)
}

#[cfg(test)]
mod tests;
