//! What all parts of the OpenAPI document share. Each function's document is made from its handlers; nothing is written by hand.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoResponses, Modify, ToSchema};

/// An [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is what is used")]
pub struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[schema(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    /// What to do.
    detail: String,
    /// The request's id.
    instance: String,
    /// A stable word.
    code: String,
    /// Fields that cannot be used.
    errors: Option<Vec<ProblemField>>,
}

/// What is wrong with one field of a request.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its schema is what is used")]
pub struct ProblemField {
    /// An [RFC 6901](https://www.rfc-editor.org/rfc/rfc6901) pointer.
    pointer: String,
    detail: String,
}

/// What any request may be answered.
#[derive(IntoResponses)]
pub enum Problems {
    /// A field cannot be used: `invalid_request`.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// Nobody has signed in: `unauthenticated`.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// `forbidden`, `ip_not_allowed` or `two_factor_required`.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// `not_found`: also where the organisation is not the caller's.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// AWS does not do its part: `unavailable`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// What a change may be answered beside [`Problems`].
#[derive(IntoResponses)]
pub enum ChangeProblems {
    /// What is there does not allow it.
    #[response(status = 409, content_type = "application/problem+json")]
    State(Problem),
    /// It was changed since it was read: `stale`.
    #[response(status = 412, content_type = "application/problem+json")]
    Stale(Problem),
    /// `body_too_large`.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// `unsupported_media_type`.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(Problem),
    /// `idempotency_key_reused`.
    #[response(status = 422, content_type = "application/problem+json")]
    KeyReused(Problem),
}

/// The bearer token.
#[derive(Debug)]
pub struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document
            .components
            .get_or_insert_with(Default::default)
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}
