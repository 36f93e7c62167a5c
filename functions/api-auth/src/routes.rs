//! The routes, each with what the OpenAPI document says of it.

use jiff::Timestamp;
use plixo_api::document::Problem;
use plixo_api::input;
use plixo_api::output::json;
use plixo_aws::cognito::Directory;
use plixo_domain::secret::Secret;
use plixo_identity::token::Session;
use plixo_identity::totp::Code;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_store::people::{People, Standing};
use serde::{Deserialize, Serialize};
use utoipa::{IntoResponses, ToSchema};

use crate::Failed;
use crate::desk::{self, Answer, Desk, In, OrganisationNames, Outcome, Refusal};
use crate::fields::{self, Texts, invalid, mistake, needed, optional};

/// Somebody is in.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
struct TokensShape<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds.
    expires_in: i32,
}

/// Something more is asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = Challenge)]
struct ChallengeShape<'a> {
    /// `totp` or `new_password`.
    challenge: &'static str,
    /// To be sent with the answer.
    session: &'a str,
}

/// What an authenticator app takes.
#[derive(Serialize, ToSchema)]
#[schema(as = Enrolment)]
struct EnrolmentShape<'a> {
    secret: &'a str,
    otpauth_url: &'a str,
    /// A QR code of the URL.
    qr_svg: &'a str,
}

/// An answer to a password or a challenge.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SignedIn)]
#[expect(dead_code, reason = "its schema is what is used")]
enum SignInShape<'a> {
    In(TokensShape<'a>),
    Asked(ChallengeShape<'a>),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignIn)]
#[expect(dead_code, reason = "its schema is what is used")]
struct SignInOrder {
    email: String,
    password: String,
}

/// Either a code or a new password: what the challenge asks for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "its schema is what is used")]
struct ChallengeAnswer {
    session: String,
    /// Six digits.
    #[schema(pattern = "^[0-9]{6}$")]
    code: Option<String>,
    new_password: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TotpCode)]
#[expect(dead_code, reason = "its schema is what is used")]
struct CodeOrder {
    /// Six digits.
    #[schema(pattern = "^[0-9]{6}$")]
    code: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasswordChange)]
#[expect(dead_code, reason = "its schema is what is used")]
struct PasswordOrder {
    current_password: String,
    new_password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignOut)]
#[expect(dead_code, reason = "its schema is what is used")]
struct SignOutOrder {
    refresh_token: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Refresh)]
#[expect(dead_code, reason = "its schema is what is used")]
struct RefreshOrder {
    refresh_token: String,
}

/// What any of these may be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "its schema is what is used")]
enum AuthProblems {
    /// A field is not right: `invalid_request`, `password_refused`, `code_refused`.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// `sign_in_failed` or `unauthenticated`.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// `body_too_large`.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// `unsupported_media_type`.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(Problem),
    /// `too_many_tries`; `retry-after` says how long to wait.
    #[response(status = 429, content_type = "application/problem+json")]
    Slow(Problem),
    /// `unavailable`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// Signs in with email and password.
#[utoipa::path(post, path = "/v1/auth/sign-in", tag = "sign-in", request_body = SignInOrder,
    responses((status = 200, body = SignInShape), AuthProblems))]
pub(crate) async fn sign_in<D: Directory, P: People, N: OrganisationNames>(
    desk: &Desk<D, P, N>,
    request: &Request,
    line: &mut Line,
) -> Result<Response, Failed> {
    let texts = fields::read(request, &[needed("email"), needed("password")])?;
    let (email, password) = (texts.take("email"), texts.take("password"));
    Ok(came_to(desk.sign_in(&email, &password, request.ip(), line.timestamp).await?, line))
}

/// Answers the challenge of a sign-in.
#[utoipa::path(post, path = "/v1/auth/sign-in/challenge", tag = "sign-in", request_body = ChallengeAnswer,
    responses((status = 200, body = SignInShape), AuthProblems))]
pub(crate) async fn challenge<D: Directory, P: People, N: OrganisationNames>(
    desk: &Desk<D, P, N>,
    request: &Request,
    line: &mut Line,
) -> Result<Response, Failed> {
    let known = [needed("session"), optional("code"), optional("new_password")];
    let texts = fields::read(request, &known)?;
    let answer = answer_of(&texts)?;
    Ok(came_to(desk.answer(&texts.take("session"), &answer, line.timestamp).await?, line))
}

/// Makes new tokens with a refresh token, which stays.
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "sign-in", request_body = RefreshOrder,
    responses((status = 200, body = TokensShape), AuthProblems))]
pub(crate) async fn refresh<D: Directory, P: People, N: OrganisationNames>(
    desk: &Desk<D, P, N>,
    request: &Request,
    line: &mut Line,
) -> Result<Response, Failed> {
    let texts = fields::read(request, &[needed("refresh_token")])?;
    let refreshed = desk.refresh(&texts.take("refresh_token"), request.ip(), line.timestamp).await?;
    Ok(came_to(Outcome::In(Box::new(refreshed)), line))
}

/// Makes a secret for an authenticator app. It counts once a code of it was shown.
///
/// Who has an app already does this within 10 minutes of signing in with its code.
#[utoipa::path(post, path = "/v1/auth/totp", tag = "sign-in",
    responses((status = 200, body = EnrolmentShape), (status = 403, body = Problem,
        content_type = "application/problem+json", description = "`sign_in_again`"), AuthProblems),
    security(("bearer" = [])))]
pub(crate) async fn start_totp<D: Directory, P: People, N: OrganisationNames>(
    desk: &Desk<D, P, N>,
    request: &Request,
    line: &mut Line,
) -> Result<Response, Failed> {
    let (access, session, standing) = who(desk, request, line).await?;
    fields::read(request, &[])?;
    let made = desk.start_totp(&access, &session, &standing, line.timestamp).await?;
    line.outcome = "done";
    let (secret, otpauth_url, qr_svg) =
        (made.secret.reveal(), made.otpauth_url.reveal(), made.qr_svg.reveal());
    Ok(Response::json(200, json(&EnrolmentShape { secret, otpauth_url, qr_svg })))
}

/// Turns TOTP on with a code of the secret made last. All other sessions of the person end.
#[utoipa::path(post, path = "/v1/auth/totp/verify", tag = "sign-in", request_body = CodeOrder,
    responses((status = 204), AuthProblems), security(("bearer" = [])))]
pub(crate) async fn verify_totp<D: Directory, P: People, N: OrganisationNames>(
    desk: &Desk<D, P, N>,
    request: &Request,
    line: &mut Line,
) -> Result<Response, Failed> {
    let (access, session, standing) = who(desk, request, line).await?;
    let texts = fields::read(request, &[needed("code")])?;
    let code = code_of(&texts.take("code"))?;
    desk.verify_totp(&access, (&session, &standing), &code, line.timestamp).await?;
    Ok(nothing(line))
}

/// Changes the password. All other sessions of the person end.
#[utoipa::path(post, path = "/v1/auth/password", tag = "sign-in", request_body = PasswordOrder,
    responses((status = 204), AuthProblems), security(("bearer" = [])))]
pub(crate) async fn change_password<D: Directory, P: People, N: OrganisationNames>(
    desk: &Desk<D, P, N>,
    request: &Request,
    line: &mut Line,
) -> Result<Response, Failed> {
    let (access, session, _) = who(desk, request, line).await?;
    let texts = fields::read(request, &[needed("current_password"), needed("new_password")])?;
    let both = (&texts.take("current_password"), &texts.take("new_password"));
    match desk.change_password(&access, &session, both, line.timestamp).await {
        Err(Refusal::Wrong) => {
            Err(invalid(vec![mistake("current_password", "It is not your password.")]).into())
        }
        done => done.map(|()| nothing(line)).map_err(Failed::from),
    }
}

/// Ends the session: its tokens are refused from now on.
#[utoipa::path(post, path = "/v1/auth/sign-out", tag = "sign-in", request_body = Option<SignOutOrder>,
    responses((status = 204), AuthProblems), security(("bearer" = [])))]
pub(crate) async fn sign_out<D: Directory, P: People, N: OrganisationNames>(
    desk: &Desk<D, P, N>,
    request: &Request,
    line: &mut Line,
) -> Result<Response, Failed> {
    let (_, session, _) = who(desk, request, line).await?;
    let texts = fields::read(request, &[optional("refresh_token")])?;
    desk.sign_out(&session, texts.get("refresh_token"), line.timestamp).await?;
    Ok(nothing(line))
}

/// Who asks: the bearer token, what the authorizer read in it, and how the session stands, which must not be over.
async fn who<D: Directory, P: People, N: OrganisationNames>(
    desk: &Desk<D, P, N>,
    request: &Request,
    line: &mut Line,
) -> Result<(Secret, Session, Standing), Failed> {
    let (access, session) = bearer(request, line.timestamp)?;
    line.who = Some(format!("user:{}", session.user));
    let standing = desk.check(&session, line.timestamp).await?;
    Ok((access, session, standing))
}

fn came_to(outcome: Outcome, line: &mut Line) -> Response {
    match outcome {
        Outcome::In(made) => {
            line.outcome = "signed_in";
            let In { tokens, session } = &*made;
            line.who = Some(format!("user:{}", session.user));
            let shape = TokensShape {
                access_token: tokens.access.reveal(),
                refresh_token: tokens.refresh.as_ref().map(Secret::reveal),
                token_type: "Bearer",
                expires_in: tokens.expires_in,
            };
            Response::json(200, json(&shape))
        }
        Outcome::Asked { question, session } => {
            line.outcome = "challenged";
            let shape = ChallengeShape { challenge: desk::word(question), session: session.reveal() };
            Response::json(200, json(&shape))
        }
    }
}

fn nothing(line: &mut Line) -> Response {
    line.outcome = "done";
    Response::empty(204)
}

fn answer_of(texts: &Texts) -> Result<Answer, Failed> {
    match (texts.get("code"), texts.get("new_password")) {
        (Some(code), None) => code_of(code).map(Answer::Code),
        (None, Some(password)) => Ok(Answer::NewPassword(password.clone())),
        (None, None) => Err(invalid(vec![mistake("code", "It is missing; so is new_password.")]).into()),
        (Some(_), Some(_)) => {
            Err(invalid(vec![mistake("new_password", "A challenge has one answer.")]).into())
        }
    }
}

fn code_of(text: &Secret) -> Result<Code, Failed> {
    text.reveal().parse().map_err(|_| invalid(vec![mistake("code", "A code has six digits.")]).into())
}

/// The bearer token, and the session that the authorizer read in it.
fn bearer(request: &Request, now: Timestamp) -> Result<(Secret, Session), Failed> {
    input::believed(request)?;
    let nobody = |why| Failed::Api(plixo_api::Failed::Unauthenticated(why));
    let header = request.header("authorization").and_then(|header| header.split_once(' '));
    let token = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, token) = token.ok_or_else(|| nobody("token_missing"))?;
    let session = session_of(request).ok_or_else(|| nobody("authorizer_missing"))?;
    if session.expires_at <= now {
        return Err(nobody("token_expired"));
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
