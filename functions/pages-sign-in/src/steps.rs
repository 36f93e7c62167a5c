//! One step of coming in or going out.

use api_auth::Auth;
use api_auth::desk::{CHALLENGE, OrganisationNames};
use plixo_aws::cognito::Directory;
use plixo_domain::secret::Secret;
use plixo_identity::totp::qr_svg;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_pages::{BeginTotp, Carried, Code, Errors, Frame, NewPassword, ProblemKind, Qr, SignIn, Totp};
use plixo_store::people::People;
use plixo_web::ask::{self, Problem};
use plixo_web::form::Form;
use plixo_web::page;
use plixo_web::session::{self, ACCESS, REFRESH};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Failed, Pages};

/// Where one goes after signing in.
const HOME: &str = "/orgs";
/// The hidden field with the second at which a code was asked for.
const ASKED_AT: &str = "asked_at";
/// What is said of a code that does not let in. Which of it is wrong, the API tells nobody.
const WRONG_CODE: &str =
    "This code is not right, or was used before. Wait for the next one, and if that fails too, start again.";

pub(crate) struct Step<'a, D, P, N> {
    pub(crate) pages: &'a Pages<D, P, N>,
    pub(crate) request: &'a Request,
    pub(crate) line: Line,
}

/// What the API says of a sign-in.
#[derive(Deserialize)]
#[serde(untagged)]
enum SignedIn {
    Tokens(Tokens),
    Asked { challenge: String, session: String },
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct Enrolment {
    otpauth_url: String,
}

impl<D: Directory, P: People, N: OrganisationNames> Step<'_, D, P, N> {
    pub(crate) fn show_sign_in(&self) -> Result<Response, Failed> {
        let query = Form::query(self.request);
        let note = match query.text("why") {
            "out" => Some("You are signed out."),
            "late" => Some("That took too long. Sign in again."),
            "fresh" => {
                Some("You signed in too long ago for this, or without a code. Sign in again to go on.")
            }
            _ => query.some("next").map(|_| "Sign in to go on."),
        };
        let note = note.map(str::to_owned);
        let shown = SignIn { note, ..self.sign_in_page(query.text("next"))? };
        Ok(page::page(200, shown.render()))
    }

    pub(crate) async fn sign_in(&mut self, form: &Form) -> Result<Response, Failed> {
        let (email, next) = (form.text("email"), form.text("next"));
        let body = json!({"email": email, "password": form.raw("password")});
        match self.ask("sign-in", body).await {
            Ok(told) => self.signed_in(told, email, next),
            Err(problem) => {
                let status = status(&problem);
                let errors = refused(problem, |pointer| match pointer {
                    "/email" | "/password" => Some(pointer.replace('/', "")),
                    _ => None,
                })?;
                let shown = SignIn { email: email.to_owned(), errors, ..self.sign_in_page(next)? };
                Ok(page::page(status, shown.render()))
            }
        }
    }

    pub(crate) async fn code(&mut self, form: &Form) -> Result<Response, Failed> {
        let (session, next) = (form.text("session"), form.text("next"));
        match self.ask("sign-in/challenge", json!({"session": session, "code": form.text("code")})).await {
            Ok(told) => self.signed_in(told, "", next),
            // The challenge is gone, so that no code will ever be right.
            Err(problem) if problem.status == 401 && self.is_late(form) => {
                Ok(Response::redirect(303, sign_in_again("late", next)))
            }
            Err(problem) => {
                let status = status(&problem);
                let errors = if problem.status == 401 {
                    Errors::default().field("code", WRONG_CODE)
                } else {
                    refused(problem, code_field)?
                };
                Ok(page::page(status, self.code_page(session, next, form.text(ASKED_AT), errors)?.render()))
            }
        }
    }

    /// Whether the form is of a challenge whose time is over. Only what is said depends on it.
    fn is_late(&self, form: &Form) -> bool {
        let asked_at: Option<i64> = form.text(ASKED_AT).parse().ok();
        asked_at.is_some_and(|at| self.line.timestamp.as_second().saturating_sub(at) >= CHALLENGE.as_secs())
    }

    /// A first password, after a temporary one.
    pub(crate) async fn first_password(&mut self, form: &Form) -> Result<Response, Failed> {
        let (session, next, email) = (form.text("session"), form.text("next"), form.text("email"));
        let errors = match repeated(form) {
            Some(errors) => errors,
            None => {
                let body = json!({"session": session, "new_password": form.raw("password")});
                match self.ask("sign-in/challenge", body).await {
                    Ok(told) => return self.signed_in(told, email, next),
                    Err(problem) if problem.status == 401 => {
                        return Ok(Response::redirect(303, sign_in_again("late", next)));
                    }
                    Err(problem) => refused(problem, password_field)?,
                }
            }
        };
        Ok(page::page(400, self.first_password_page(session, next, email, errors)?.render()))
    }

    pub(crate) fn show_password(&self) -> Result<Response, Failed> {
        if self.request.authorized("user").is_none() {
            return Err(Failed::Nobody);
        }
        Ok(page::page(200, self.password_page(Errors::default())?.render()))
    }

    pub(crate) async fn password(&mut self, form: &Form) -> Result<Response, Failed> {
        let (status, errors) = match repeated(form) {
            Some(errors) => (400, errors),
            None => {
                let body = json!({
                    "current_password": form.raw("current"), "new_password": form.raw("password"),
                });
                match self.tell("password", body).await {
                    Ok(()) => return Ok(Response::redirect(303, format!("{HOME}?done=password"))),
                    Err(problem) if problem.status == 401 => return Err(Failed::Nobody),
                    Err(problem) => (status(&problem), refused(problem, password_field)?),
                }
            }
        };
        Ok(page::page(status, self.password_page(errors)?.render()))
    }

    /// What is about to be done: the secret is made by a form, so that no other tab or link replaces one that is being scanned.
    pub(crate) fn show_totp(&self) -> Result<Response, Failed> {
        if self.request.authorized("user").is_none() {
            return Err(Failed::Nobody);
        }
        let carried = carried(&[("next", Form::query(self.request).text("next"))]);
        let shown = BeginTotp { frame: self.frame()?, later: HOME.to_owned(), carried };
        Ok(page::page(200, shown.render()))
    }

    pub(crate) async fn begin_totp(&mut self, form: &Form) -> Result<Response, Failed> {
        let next = form.text("next");
        match self.ask::<Enrolment>("totp", Value::Null).await {
            Ok(made) => {
                Ok(page::page(200, self.totp_page(&made.otpauth_url, next, Errors::default())?.render()))
            }
            // A page that wants a second factor opens once its code was shown.
            Err(problem) if problem.code == "sign_in_again" => Ok(fresh_session(next)),
            Err(problem) => Err(problem.into()),
        }
    }

    pub(crate) async fn totp(&mut self, form: &Form) -> Result<Response, Failed> {
        let next = form.text("next");
        match self.tell("totp/verify", json!({"code": form.text("code")})).await {
            Ok(()) => {
                let done = || format!("{HOME}?done=totp");
                Ok(Response::redirect(303, session::place(next).map_or_else(done, str::to_owned)))
            }
            Err(problem) if problem.status == 401 => Err(Failed::Nobody),
            Err(problem) if problem.code == "sign_in_again" => Ok(fresh_session(next)),
            Err(problem) => {
                let status = status(&problem);
                let errors = refused(problem, code_field)?;
                Ok(page::page(status, self.totp_page(form.text("otpauth_url"), next, errors)?.render()))
            }
        }
    }

    pub(crate) async fn sign_out(&mut self) -> Result<Response, Failed> {
        let body = match self.request.cookie(REFRESH) {
            Some(refresh) => json!({"refresh_token": refresh}),
            None => json!({}),
        };
        let out = Response::redirect(303, "/sign-in?why=out".to_owned());
        match self.tell("sign-out", body).await {
            Ok(()) => Ok(session::forget(out)),
            // What is left of the session may still be made longer, so it is ended all the same.
            Err(problem) if problem.status == 401 => {
                let again = session::missing(self.request, true);
                let is_over = again.status() == 303;
                Ok(if is_over { session::forget(out) } else { again })
            }
            Err(problem) => Err(problem.into()),
        }
    }

    /// Makes the session longer and goes on, by 303 with a new request or by 307 with the same form.
    pub(crate) async fn refresh(&mut self, status: u16) -> Result<Response, Failed> {
        let query = Form::query(self.request);
        let next = session::place(query.text("next")).unwrap_or(HOME);
        let refresh = self.request.cookie(REFRESH).unwrap_or_default();
        match self.ask::<Tokens>("refresh", json!({"refresh_token": refresh})).await {
            Ok(tokens) => Ok(kept(Response::redirect(status, next.to_owned()), &tokens)),
            Err(problem) if matches!(problem.status, 400 | 401) => {
                let sign_in = session::with_next("/sign-in", next);
                Ok(session::forget(Response::redirect(303, sign_in)))
            }
            Err(problem) => Err(problem.into()),
        }
    }

    fn signed_in(&self, told: SignedIn, email: &str, next: &str) -> Result<Response, Failed> {
        match told {
            SignedIn::Tokens(tokens) => {
                let next = session::place(next).unwrap_or(HOME);
                Ok(kept(Response::redirect(303, next.to_owned()), &tokens))
            }
            SignedIn::Asked { challenge, session } if challenge == "totp" => {
                let asked_at = self.line.timestamp.as_second().to_string();
                let shown = self.code_page(&session, next, &asked_at, Errors::default())?;
                Ok(page::page(200, shown.render()))
            }
            SignedIn::Asked { challenge, session } if challenge == "new_password" => {
                let shown = self.first_password_page(&session, next, email, Errors::default())?;
                Ok(page::page(200, shown.render()))
            }
            SignedIn::Asked { .. } => Err(Failed::Problem(ProblemKind::Internal)),
        }
    }

    fn sign_in_page(&self, next: &str) -> Result<SignIn, Failed> {
        let carried = carried(&[("next", next)]);
        let (email, errors) = (String::new(), Errors::default());
        Ok(SignIn { frame: self.frame()?, email, note: None, carried, errors })
    }

    fn code_page(&self, session: &str, next: &str, asked_at: &str, errors: Errors) -> Result<Code, Failed> {
        let carried = carried(&[("session", session), ("next", next), (ASKED_AT, asked_at)]);
        Ok(Code { frame: self.frame()?, again: sign_in_again("", next), carried, errors })
    }

    fn first_password_page(
        &self,
        session: &str,
        next: &str,
        email: &str,
        errors: Errors,
    ) -> Result<NewPassword, Failed> {
        let carried = carried(&[("session", session), ("next", next), ("email", email)]);
        let email = Some(email.to_owned()).filter(|email| !email.is_empty());
        Ok(NewPassword { frame: self.frame()?, email, is_first: true, carried, errors })
    }

    fn password_page(&self, errors: Errors) -> Result<NewPassword, Failed> {
        let (email, carried) = (None, Vec::new());
        Ok(NewPassword { frame: self.frame()?, email, is_first: false, carried, errors })
    }

    /// The same secret again after a wrong code: it is in the app by now.
    fn totp_page(&self, url: &str, next: &str, errors: Errors) -> Result<Totp, Failed> {
        let parts = url.strip_prefix("otpauth://totp/").and_then(|rest| rest.split_once('?'));
        let secret = parts.and_then(|(_, query)| query.split('&').find_map(|it| it.strip_prefix("secret=")));
        let secret = secret.ok_or(Failed::Problem(ProblemKind::BadRequest))?;
        Ok(Totp {
            frame: self.frame()?,
            qr: qr_svg(url).as_deref().and_then(Qr::new),
            secret: Secret::new(secret.to_owned()),
            otpauth_url: Secret::new(url.to_owned()),
            required_by: None,
            later: Some(HOME.to_owned()),
            carried: carried(&[("otpauth_url", url), ("next", next)]),
            errors,
        })
    }

    fn frame(&self) -> Result<Frame, Failed> {
        page::frame(self.pages.entropy, None).ok_or(Failed::Problem(ProblemKind::Internal))
    }

    async fn ask<T: DeserializeOwned>(&mut self, what: &str, body: Value) -> Result<T, Problem> {
        let response = self.answer(what, body).await;
        Ok(ask::read(&response)?.body)
    }

    async fn tell(&mut self, what: &str, body: Value) -> Result<(), Problem> {
        ask::done(&self.answer(what, body).await)
    }

    /// The API's answer. What it writes of it stands on this request's line.
    async fn answer(&mut self, what: &str, body: Value) -> Response {
        let mut inner = self.request.asking(["POST", &format!("/v1/auth/{what}")].join(" "));
        if let Some(access) = self.request.cookie(ACCESS) {
            inner = inner.with_header("authorization", format!("Bearer {access}"));
        }
        if !body.is_null() {
            inner = inner.with_json(body.to_string());
        }
        let auth: &Auth<D, P, N> = &self.pages.auth;
        let (response, line) = auth.handle(&inner, self.line.clone()).await;
        self.line = line;
        response
    }
}

/// Keeps tokens in the browser.
fn kept(response: Response, tokens: &Tokens) -> Response {
    let response = session::keep(response, ACCESS, &tokens.access_token);
    match &tokens.refresh_token {
        Some(refresh) => session::keep(response, REFRESH, refresh),
        None => response,
    }
}

/// What is wrong with what was typed, or the problem that it is none of that.
fn refused(problem: Problem, field: impl Fn(&str) -> Option<String>) -> Result<Errors, Failed> {
    match problem.can_be_mended() || problem.status == 401 {
        true => Ok(problem.errors(field)),
        false => Err(Failed::Problem(problem.kind())),
    }
}

/// Of the page that says what is wrong: whoever has to wait is told so by the status, too.
fn status(problem: &Problem) -> u16 {
    if problem.status == 429 { 429 } else { 400 }
}

/// To signing in anew, for what only a session that has just shown both factors may do.
fn fresh_session(next: &str) -> Response {
    let next = if next.is_empty() { "/totp" } else { next };
    Response::redirect(303, sign_in_again("fresh", next))
}

/// Where one signs in anew, and goes on from there: why, a word, where there is something to say.
fn sign_in_again(why: &str, next: &str) -> String {
    let some = [("why", why), ("next", next)].into_iter().filter(|(_, value)| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(some).finish();
    if query.is_empty() { "/sign-in".to_owned() } else { format!("/sign-in?{query}") }
}

fn code_field(pointer: &str) -> Option<String> {
    (pointer == "/code").then(|| "code".to_owned())
}

fn password_field(pointer: &str) -> Option<String> {
    let name = match pointer {
        "/new_password" => "password",
        "/current_password" => "current",
        _ => return None,
    };
    Some(name.to_owned())
}

/// What is wrong if the new password was not typed twice.
fn repeated(form: &Form) -> Option<Errors> {
    let is_same = form.raw("password") == form.raw("repeat");
    (!is_same).then(|| Errors::default().field("repeat", "Type the same password twice."))
}

fn carried(fields: &[(&'static str, &str)]) -> Vec<Carried> {
    let some = fields.iter().filter(|(_, value)| !value.is_empty());
    some.map(|(name, value)| Carried { name, value: (*value).to_owned() }).collect()
}
