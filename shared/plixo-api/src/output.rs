//! What is answered.

use plixo_lambda::http::{FieldError, Request, Response};
use plixo_lambda::line::Line;
use plixo_staff::{Answered, Refusal};
use serde::Serialize;

use crate::input::Failed;

/// A part of a list.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct List<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where the next part begins; null at the end.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// A JSON body.
#[must_use]
pub fn json(body: &impl Serialize) -> String {
    // Objects of texts, numbers and lists always have a JSON form.
    serde_json::to_string(body).unwrap_or_default()
}

/// An answer with the version of what it shows, as a strong entity tag.
#[must_use]
pub fn shown(body: &impl Serialize, version: u64) -> Response {
    Response::json(200, json(body)).with("etag", tag(version))
}

/// A version as a strong entity tag.
#[must_use]
pub fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

/// What a change is answered.
#[must_use]
pub fn made(answered: Answered) -> Response {
    let Answered { status, body, version } = answered;
    let response = if body.is_empty() { Response::empty(status) } else { Response::json(status, body) };
    match version {
        Some(version) => response.with("etag", tag(version)),
        None => response,
    }
}

/// The answer to a request; what its sender must not learn goes to the line.
pub fn answer(done: Result<Response, Failed>, request: &Request, mut line: Line) -> (Response, Line) {
    match done {
        Ok(response) => {
            line.outcome = "done";
            (response, line)
        }
        Err(failed) => {
            let response = problem(failed, request.id(), &mut line);
            (response, line)
        }
    }
}

/// The problem that its sender is told of; the line learns the rest.
pub fn problem(failed: Failed, id: &str, line: &mut Line) -> Response {
    let refusal = match failed {
        Failed::Unauthenticated(why) => {
            line.outcome = why;
            return unauthenticated("Sign in, and send the access token as a bearer token.", id);
        }
        Failed::NoRoute => {
            line.outcome = "route_unknown";
            return Response::problem(404, "not_found", "Not Found", "There is nothing here.", id);
        }
        Failed::TooLarge(most) => {
            line.outcome = "body_too_large";
            let detail = format!("A body has at most {most} bytes here.");
            return Response::problem(413, "body_too_large", "Content Too Large", &detail, id);
        }
        Failed::MediaType(wanted) => {
            line.outcome = "unsupported_media_type";
            let detail = match wanted {
                "application/json" => "Send JSON, with content-type application/json.".to_owned(),
                wanted => format!("Send it with content-type {wanted}."),
            };
            return Response::problem(415, "unsupported_media_type", "Unsupported Media Type", &detail, id);
        }
        Failed::Refused(refusal) => refusal,
    };
    let detail = refusal.to_string();
    match refusal {
        Refusal::NotFound => {
            line.outcome = "not_found";
            Response::problem(404, "not_found", "Not Found", "There is nothing here, or nothing for you.", id)
        }
        Refusal::SessionEnded => {
            line.outcome = "session_ended";
            unauthenticated("The session has ended. Sign in again.", id)
        }
        Refusal::Forbidden => {
            line.outcome = "forbidden";
            Response::problem(403, "forbidden", "Forbidden", "Your role does not allow this.", id)
        }
        Refusal::IpNotAllowed => {
            line.outcome = "ip_not_allowed";
            Response::problem(403, "ip_not_allowed", "Forbidden", &detail, id)
        }
        Refusal::TwoFactorRequired => {
            line.outcome = "two_factor_required";
            Response::problem(403, "two_factor_required", "Forbidden", &detail, id)
        }
        Refusal::Invalid(fields) => {
            line.outcome = "invalid_request";
            let fields: Vec<FieldError> = fields
                .into_iter()
                .map(|field| FieldError { pointer: field.pointer, detail: field.detail })
                .collect();
            let detail = "The request is not what this route takes; errors says where.";
            Response::field_problem(400, "invalid_request", "Bad Request", detail, &fields, id)
        }
        Refusal::State { code, detail, pointer } => {
            line.outcome = code;
            let fields: Vec<FieldError> =
                pointer.map(|pointer| FieldError { pointer, detail: detail.clone() }).into_iter().collect();
            Response::field_problem(409, code, "Conflict", &detail, &fields, id)
        }
        Refusal::Stale => {
            line.outcome = "stale";
            Response::problem(412, "stale", "Precondition Failed", &detail, id)
        }
        Refusal::KeyReused => {
            line.outcome = "idempotency_key_reused";
            Response::problem(422, "idempotency_key_reused", "Unprocessable Content", &detail, id)
        }
        Refusal::Overtaken => {
            line.outcome = "overtaken";
            Response::problem(409, "overtaken", "Conflict", &detail, id)
        }
        Refusal::Unavailable(cause) => {
            line.outcome = "unavailable";
            line.error = Some(cause);
            Response::problem(503, "unavailable", "Service Unavailable", "Try again in a moment.", id)
                .with("retry-after", "1".to_owned())
        }
        Refusal::Internal(cause) => {
            line.outcome = "internal";
            line.error = Some(cause);
            let detail =
                "Plixo failed to answer. Try again; if it fails again, tell the operator the request id.";
            Response::problem(500, "internal", "Internal Server Error", detail, id)
        }
    }
}

fn unauthenticated(detail: &str, id: &str) -> Response {
    let problem = Response::problem(401, "unauthenticated", "Unauthorized", detail, id);
    problem.with("www-authenticate", "Bearer".to_owned())
}
