#![doc = include_str!("../README.md")]

pub mod desk;
mod fields;
pub mod guard;
pub mod names;
#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use plixo_aws::cognito::Directory;
use plixo_domain::secret::Secret;
use plixo_identity::token::Session;
use plixo_identity::totp::Code;
use plixo_lambda::http::{FieldError, Request, Response};
use plixo_lambda::line::Line;
use plixo_store::people::People;
use serde::Serialize;

use desk::{Answer, Desk, In, OrganisationNames, Outcome, Refusal};
pub use fields::MAX_BODY;
use fields::{Bad, Texts, mistake, needed, optional};

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

/// The API of people who come in and go out.
#[derive(Debug)]
pub struct Auth<D, P, N> {
    desk: Desk<D, P, N>,
    floor: Duration,
}

/// What a request comes to, where it comes to something.
enum Done {
    /// Tokens, or a question.
    Outcome(Outcome),
    /// A body.
    Body(String),
    /// Nothing to say.
    Nothing,
}

/// Why it comes to nothing.
enum Failed {
    Refused(Refusal),
    Bad(Bad),
    /// Nobody, or nobody any more.
    Unauthenticated(&'static str),
    /// The authorizer could not tell.
    Unavailable,
    NotFound,
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Bad> for Failed {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

fn invalid(errors: Vec<FieldError>) -> Failed {
    Failed::Bad(Bad::Invalid(errors))
}

#[derive(Serialize)]
struct TokensBody<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    token_type: &'static str,
    expires_in: i32,
}

#[derive(Serialize)]
struct QuestionBody<'a> {
    challenge: &'static str,
    session: &'a str,
}

#[derive(Serialize)]
struct EnrolmentBody<'a> {
    secret: &'a str,
    otpauth_url: &'a str,
    qr_svg: &'a str,
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
        let response = match done {
            Ok(done) => self.done(done, &mut line),
            Err(failed) => answer(failed, request, &mut line),
        };
        (response, line)
    }

    async fn work(
        &self,
        route: Option<&'static str>,
        request: &Request,
        line: &mut Line,
    ) -> Result<Done, Failed> {
        let (desk, now) = (&self.desk, line.timestamp);
        match route {
            Some(SIGN_IN) => {
                let texts = fields::read(request, &[needed("email"), needed("password")])?;
                let (email, password) = (texts.take("email"), texts.take("password"));
                Ok(Done::Outcome(desk.sign_in(&email, &password, request.ip(), now).await?))
            }
            Some(CHALLENGE) => {
                let known = [needed("session"), optional("code"), optional("new_password")];
                let texts = fields::read(request, &known)?;
                let answer = answer_of(&texts)?;
                Ok(Done::Outcome(desk.answer(&texts.take("session"), &answer, now).await?))
            }
            Some(REFRESH) => {
                let texts = fields::read(request, &[needed("refresh_token")])?;
                let refreshed = desk.refresh(&texts.take("refresh_token"), now).await?;
                Ok(Done::Outcome(Outcome::In(Box::new(refreshed))))
            }
            Some(TOTP) => {
                let (access, session) = self.who(request, line).await?;
                fields::read(request, &[])?;
                let made = desk.start_totp(&access, &session, now).await?;
                let (secret, otpauth_url, qr_svg) =
                    (made.secret.reveal(), made.otpauth_url.reveal(), made.qr_svg.reveal());
                Ok(Done::Body(json(&EnrolmentBody { secret, otpauth_url, qr_svg })))
            }
            Some(TOTP_VERIFY) => {
                let (access, session) = self.who(request, line).await?;
                let texts = fields::read(request, &[needed("code")])?;
                desk.verify_totp(&access, &session, &code_of(&texts.take("code"))?, now).await?;
                Ok(Done::Nothing)
            }
            Some(PASSWORD) => {
                let (access, session) = self.who(request, line).await?;
                let texts = fields::read(request, &[needed("current_password"), needed("new_password")])?;
                let both = (&texts.take("current_password"), &texts.take("new_password"));
                match desk.change_password(&access, &session, both, now).await {
                    Err(Refusal::Wrong) => {
                        Err(invalid(vec![mistake("current_password", "It is not your password.")]))
                    }
                    done => done.map(|()| Done::Nothing).map_err(Failed::from),
                }
            }
            Some(SIGN_OUT) => {
                let (_, session) = self.who(request, line).await?;
                let texts = fields::read(request, &[optional("refresh_token")])?;
                desk.sign_out(&session, texts.get("refresh_token"), now).await?;
                Ok(Done::Nothing)
            }
            _ => Err(Failed::NotFound),
        }
    }

    /// Who asks: the bearer token, and what the authorizer read in it. The session must not have been ended.
    async fn who(&self, request: &Request, line: &mut Line) -> Result<(Secret, Session), Failed> {
        let (access, session) = bearer(request, line.timestamp)?;
        line.who = Some(format!("user:{}", session.user));
        self.desk.check(&session, line.timestamp).await?;
        Ok((access, session))
    }

    fn done(&self, done: Done, line: &mut Line) -> Response {
        match done {
            Done::Outcome(Outcome::In(made)) => {
                line.outcome = "signed_in";
                let In { tokens, session } = &*made;
                line.who = Some(format!("user:{}", session.user));
                Response::json(
                    200,
                    json(&TokensBody {
                        access_token: tokens.access.reveal(),
                        refresh_token: tokens.refresh.as_ref().map(Secret::reveal),
                        token_type: "Bearer",
                        expires_in: tokens.expires_in,
                    }),
                )
            }
            Done::Outcome(Outcome::Asked { question, session }) => {
                line.outcome = "challenged";
                let challenge = desk::word(question);
                Response::json(200, json(&QuestionBody { challenge, session: session.reveal() }))
            }
            Done::Body(body) => {
                line.outcome = "done";
                Response::json(200, body)
            }
            Done::Nothing => {
                line.outcome = "done";
                Response::empty(204)
            }
        }
    }
}

fn json(body: &impl Serialize) -> String {
    // An object of texts and numbers always has a JSON form.
    serde_json::to_string(body).unwrap_or_default()
}

fn answer_of(texts: &Texts) -> Result<Answer, Failed> {
    match (texts.get("code"), texts.get("new_password")) {
        (Some(code), None) => code_of(code).map(Answer::Code),
        (None, Some(password)) => Ok(Answer::NewPassword(password.clone())),
        (None, None) => Err(invalid(vec![mistake("code", "It is missing; so is new_password.")])),
        (Some(_), Some(_)) => Err(invalid(vec![mistake("new_password", "A challenge has one answer.")])),
    }
}

fn code_of(text: &Secret) -> Result<Code, Failed> {
    text.reveal().parse().map_err(|_| invalid(vec![mistake("code", "A code has six digits.")]))
}

/// The bearer token, and the session that the authorizer read in it.
fn bearer(request: &Request, now: Timestamp) -> Result<(Secret, Session), Failed> {
    match request.authorized("refused") {
        None => {}
        Some("expired") => return Err(Failed::Unauthenticated("token_expired")),
        Some("missing") => return Err(Failed::Unauthenticated("token_missing")),
        Some("unavailable") => return Err(Failed::Unavailable),
        Some(_) => return Err(Failed::Unauthenticated("token_refused")),
    }
    let header = request.header("authorization").and_then(|header| header.split_once(' '));
    let token = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, token) = token.ok_or(Failed::Unauthenticated("token_missing"))?;
    let session = session_of(request).ok_or(Failed::Unauthenticated("authorizer_missing"))?;
    if session.expires_at <= now {
        return Err(Failed::Unauthenticated("token_expired"));
    }
    Ok((Secret::new(token.trim().to_owned()), session))
}

/// What the authorizer read in the token.
fn session_of(request: &Request) -> Option<Session> {
    let text = |name| request.authorized(name);
    Some(Session {
        user: text("user")?.parse().ok()?,
        session: text("session")?.to_owned(),
        signed_in_at: text("signed_in_at")?.parse().ok()?,
        expires_at: text("expires_at")?.parse().ok()?,
        operator: text("operator") == Some("true"),
    })
}

fn answer(failed: Failed, request: &Request, line: &mut Line) -> Response {
    let id = request.id();
    let (status, outcome, code, title, detail) = match &failed {
        Failed::Bad(Bad::TooLarge) => {
            (413, "body_too_large", "body_too_large", "Content Too Large", "A body has at most 16 KB here.")
        }
        Failed::Bad(Bad::NotJsonType) => (
            415,
            "not_json",
            "unsupported_media_type",
            "Unsupported Media Type",
            "Send JSON, with content-type application/json.",
        ),
        Failed::Bad(Bad::Invalid(errors)) => {
            line.outcome = "invalid_request";
            let detail = "The request is not what this route takes; errors says where.";
            return Response::field_problem(400, "invalid_request", "Bad Request", detail, errors, id);
        }
        Failed::Refused(Refusal::OtherQuestion(question)) => {
            line.outcome = "other_question";
            let pointer = if desk::word(*question) == "totp" { "code" } else { "new_password" };
            let errors = [mistake(pointer, "This is what the challenge asks for.")];
            let detail = "The challenge asks for something else.";
            return Response::field_problem(400, "invalid_request", "Bad Request", detail, &errors, id);
        }
        Failed::Refused(Refusal::Weak(weakness)) => {
            line.outcome = "password_refused";
            let text = weakness.map_or_else(|| "This password is not taken.".to_owned(), |it| it.to_string());
            let errors = [mistake("new_password", &text)];
            return Response::field_problem(400, "password_refused", "Bad Request", &text, &errors, id);
        }
        Failed::Refused(Refusal::WrongCode) => {
            line.outcome = "code_refused";
            let text = "The code is not right, or was used before. Wait for the next one.";
            let errors = [mistake("code", text)];
            return Response::field_problem(400, "code_refused", "Bad Request", text, &errors, id);
        }
        Failed::Refused(Refusal::Slow(wait)) => {
            line.outcome = "slowed_down";
            let detail = "There were too many wrong tries. Wait, then try again.";
            let problem = Response::problem(429, "too_many_tries", "Too Many Requests", detail, id);
            return problem.with("retry-after", seconds_up(*wait).to_string());
        }
        Failed::Refused(Refusal::Wrong) => (
            401,
            "sign_in_failed",
            "sign_in_failed",
            "Unauthorized",
            "Email, password or code are not right, or the sign-in took too long.",
        ),
        Failed::Refused(Refusal::Ended) => {
            (401, "session_ended", "unauthenticated", "Unauthorized", "The session has ended. Sign in again.")
        }
        Failed::Refused(Refusal::Stale) => (
            403,
            "sign_in_stale",
            "sign_in_again",
            "Forbidden",
            "You signed in too long ago for this. Sign in again, then change your authenticator app.",
        ),
        Failed::Unauthenticated(reason) => (
            401,
            *reason,
            "unauthenticated",
            "Unauthorized",
            "Sign in, and send the access token as a bearer token.",
        ),
        Failed::Unavailable => {
            (503, "authorizer_unavailable", "unavailable", "Service Unavailable", "Try again in a moment.")
        }
        Failed::NotFound => (404, "route_unknown", "not_found", "Not Found", "There is nothing here."),
        Failed::Refused(Refusal::Aws(error)) => {
            line.error = Some(error.to_string());
            (503, "directory_unavailable", "unavailable", "Service Unavailable", "Try again in a moment.")
        }
        Failed::Refused(Refusal::Store(error)) => {
            line.error = Some(error.to_string());
            (503, "store_unavailable", "unavailable", "Service Unavailable", "Try again in a moment.")
        }
        Failed::Refused(Refusal::Internal(cause)) => {
            line.error = Some((*cause).to_owned());
            let detail =
                "Plixo failed to answer. Try again; if it fails again, tell the operator the request id.";
            (500, "internal", "internal", "Internal Server Error", detail)
        }
    };
    line.outcome = outcome;
    let problem = Response::problem(status, code, title, detail, id);
    if status == 401 { problem.with("www-authenticate", "Bearer".to_owned()) } else { problem }
}

/// Whole seconds, none too few.
fn seconds_up(wait: SignedDuration) -> i64 {
    let whole = wait.as_secs();
    if wait.subsec_nanos() > 0 { whole.saturating_add(1) } else { whole.max(1) }
}
