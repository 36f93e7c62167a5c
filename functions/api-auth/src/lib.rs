#![doc = include_str!("../README.md")]

pub mod desk;
mod fields;
pub mod guard;
pub mod names;
mod routes;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::SignedDuration;
use plixo_api::document::{Bearer, Problem, ProblemField};
use plixo_api::problem;
use plixo_aws::cognito::Directory;
use plixo_lambda::http::{FieldError, Request, Response};
use plixo_lambda::line::Line;
use plixo_store::people::People;
use utoipa::OpenApi;

use desk::{Desk, OrganisationNames, Refusal};
pub use fields::MAX_BODY;

/// This function's name.
pub const FUNCTION: &str = "api-auth";
/// As long does an answer to a sign-in take at least, so that its time tells nothing of what was looked at.
pub const FLOOR: Duration = Duration::from_millis(400);

const SIGN_IN: &str = "POST /v1/auth/sign-in";
const CHALLENGE: &str = "POST /v1/auth/sign-in/challenge";
const TOTP: &str = "POST /v1/auth/totp";
const TOTP_VERIFY: &str = "POST /v1/auth/totp/verify";
const PASSWORD: &str = "POST /v1/auth/password";
const SIGN_OUT: &str = "POST /v1/auth/sign-out";
const REFRESH: &str = "POST /v1/auth/refresh";
/// The routes that it answers.
pub const ROUTES: [&str; 7] = [SIGN_IN, CHALLENGE, TOTP, TOTP_VERIFY, PASSWORD, SIGN_OUT, REFRESH];

/// Its part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    paths(
        routes::sign_in,
        routes::challenge,
        routes::start_totp,
        routes::verify_totp,
        routes::change_password,
        routes::sign_out,
        routes::refresh,
    ),
    components(schemas(Problem, ProblemField)),
    modifiers(&Bearer)
)]
#[derive(Debug)]
pub struct Document;

/// The API of people who come in and go out.
#[derive(Debug)]
pub struct Auth<D, P, N> {
    desk: Desk<D, P, N>,
    floor: Duration,
}

/// Why a request comes to nothing.
enum Failed {
    /// As any request may.
    Api(plixo_api::Failed),
    /// As a sign-in may.
    Refused(Refusal),
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<plixo_api::Failed> for Failed {
    fn from(failed: plixo_api::Failed) -> Self {
        Self::Api(failed)
    }
}

impl<D: Directory, P: People, N: OrganisationNames> Auth<D, P, N> {
    /// The API of a desk. `floor` is how long an answer to a sign-in takes at least.
    pub fn new(desk: Desk<D, P, N>, floor: Duration) -> Self {
        Self { desk, floor }
    }

    /// Answers one request. Reasons that its sender must not learn go to the log line.
    pub async fn handle(&self, request: &Request, mut line: Line) -> (Response, Line) {
        let route = ROUTES.into_iter().find(|route| *route == request.route());
        line.route = route.or(Some("none"));
        let done = if matches!(route, Some(SIGN_IN | CHALLENGE)) {
            let floor = tokio::time::sleep(self.floor);
            let work = Box::pin(self.work(route, request, &mut line));
            futures::join!(work, floor).0
        } else {
            self.work(route, request, &mut line).await
        };
        let response = done.unwrap_or_else(|failed| answer(failed, request.id(), &mut line));
        (response, line)
    }

    async fn work(
        &self,
        route: Option<&'static str>,
        request: &Request,
        line: &mut Line,
    ) -> Result<Response, Failed> {
        match route {
            Some(SIGN_IN) => routes::sign_in(&self.desk, request, line).await,
            Some(CHALLENGE) => routes::challenge(&self.desk, request, line).await,
            Some(TOTP) => routes::start_totp(&self.desk, request, line).await,
            Some(TOTP_VERIFY) => routes::verify_totp(&self.desk, request, line).await,
            Some(PASSWORD) => routes::change_password(&self.desk, request, line).await,
            Some(SIGN_OUT) => routes::sign_out(&self.desk, request, line).await,
            Some(REFRESH) => routes::refresh(&self.desk, request, line).await,
            _ => Err(plixo_api::Failed::NoRoute.into()),
        }
    }
}

fn answer(failed: Failed, id: &str, line: &mut Line) -> Response {
    let refusal = match failed {
        Failed::Api(failed) => return problem(failed, id, line),
        Failed::Refused(refusal) => refusal,
    };
    let like_any = |refusal: plixo_staff::Refusal, line| problem(refusal.into(), id, line);
    match refusal {
        Refusal::Ended => like_any(plixo_staff::Refusal::SessionEnded, line),
        Refusal::Aws(error) => like_any(plixo_staff::Refusal::Unavailable(error.to_string()), line),
        Refusal::Store(error) => like_any(plixo_staff::Refusal::Unavailable(error.to_string()), line),
        Refusal::Internal(cause) => like_any(plixo_staff::Refusal::Internal(cause.to_owned()), line),
        Refusal::OtherQuestion(question) => {
            line.outcome = "other_question";
            let pointer = if desk::word(question) == "totp" { "/code" } else { "/new_password" };
            bad("invalid_request", pointer, "This is what the challenge asks for.", id)
        }
        Refusal::Weak(weakness) => {
            line.outcome = "password_refused";
            let text = weakness.map_or_else(|| "This password is not taken.".to_owned(), |it| it.to_string());
            bad("password_refused", "/new_password", &text, id)
        }
        Refusal::WrongCode => {
            line.outcome = "code_refused";
            let text = "The code is not right, or was used before. Wait for the next one.";
            bad("code_refused", "/code", text, id)
        }
        Refusal::Slow(wait) => {
            line.outcome = "slowed_down";
            let detail = "There were too many wrong tries. Wait, then try again.";
            let problem = Response::problem(429, "too_many_tries", "Too Many Requests", detail, id);
            problem.with("retry-after", seconds_up(wait).to_string())
        }
        Refusal::Wrong => {
            line.outcome = "sign_in_failed";
            let detail = "Email, password or code are not right, or the sign-in took too long.";
            let problem = Response::problem(401, "sign_in_failed", "Unauthorized", detail, id);
            problem.with("www-authenticate", "Bearer".to_owned())
        }
        Refusal::Stale => {
            line.outcome = "sign_in_stale";
            let detail = "You signed in too long ago for this, or without a code. Sign in again, then change your authenticator app.";
            Response::problem(403, "sign_in_again", "Forbidden", detail, id)
        }
    }
}

/// A problem with one field.
fn bad(code: &'static str, pointer: &str, detail: &str, id: &str) -> Response {
    let errors = [FieldError { pointer: pointer.to_owned(), detail: detail.to_owned() }];
    Response::field_problem(400, code, "Bad Request", detail, &errors, id)
}

/// Whole seconds, none too few.
fn seconds_up(wait: SignedDuration) -> i64 {
    let whole = wait.as_secs();
    if wait.subsec_nanos() > 0 { whole.saturating_add(1) } else { whole.max(1) }
}
