#![doc = include_str!("../README.md")]

mod steps;
#[cfg(test)]
mod tests;

use api_auth::Auth;
use api_auth::desk::OrganisationNames;
use plixo_aws::cognito::Directory;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_pages::ProblemKind;
use plixo_store::people::People;
use plixo_web::ask::Problem;
use plixo_web::form::{Form, is_ours};
use plixo_web::page::{self, Entropy};
use plixo_web::session;

use steps::Step;

/// This function's name.
pub const FUNCTION: &str = "pages-sign-in";

/// The routes that it answers, as the gateway names them.
pub const ROUTES: [&str; 11] = [
    "GET /sign-in",
    "POST /sign-in",
    "GET /sign-in/code",
    "POST /sign-in/code",
    "GET /sign-in/refresh",
    "POST /sign-in/refresh",
    "GET /password",
    "POST /password",
    "GET /totp",
    "POST /totp",
    "POST /sign-out",
];

/// The pages of people who come in and go out.
#[derive(Debug)]
pub struct Pages<D, P, N> {
    auth: Auth<D, P, N>,
    entropy: Entropy,
}

/// Why there is nothing to show but a problem.
enum Failed {
    /// Nobody has signed in, or not any more.
    Nobody,
    /// A problem's page.
    Problem(ProblemKind),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        if problem.status == 401 { Self::Nobody } else { Self::Problem(problem.kind()) }
    }
}

impl<D: Directory, P: People, N: OrganisationNames> Pages<D, P, N> {
    /// Pages over that API.
    pub fn new(auth: Auth<D, P, N>, entropy: Entropy) -> Self {
        Self { auth, entropy }
    }

    /// Answers one request.
    pub async fn handle(&self, request: &Request, mut line: Line) -> (Response, Line) {
        let route = ROUTES.into_iter().find(|route| *route == request.route());
        line.outcome = "done";
        let mut step = Step { pages: self, request, line };
        let done = step.take(route).await;
        let mut line = step.line;
        line.route = route.or(Some("none"));
        let response = match done {
            Ok(response) => response,
            Err(Failed::Nobody) => session::missing(request, request.route().starts_with("POST")),
            Err(Failed::Problem(kind)) => page::problem(kind, request.id(), None),
        };
        (response, line)
    }
}

impl<D: Directory, P: People, N: OrganisationNames> Step<'_, D, P, N> {
    async fn take(&mut self, route: Option<&'static str>) -> Result<Response, Failed> {
        let (method, path) = route.and_then(|route| route.split_once(' ')).unwrap_or_default();
        if method == "GET" {
            return match path {
                "/sign-in" => self.show_sign_in(),
                // Its form is an answer to another; without what that carries, one starts again.
                "/sign-in/code" => Ok(Response::redirect(303, "/sign-in".to_owned())),
                "/sign-in/refresh" => self.refresh(303).await,
                "/password" => self.show_password(),
                "/totp" => self.show_totp(),
                _ => Err(Failed::Problem(ProblemKind::NotFound)),
            };
        }
        if !is_ours(self.request) {
            self.line.outcome = "foreign_form";
            return Err(Failed::Problem(ProblemKind::BadRequest));
        }
        if path == "/sign-in/refresh" {
            // The form itself is for the page that it comes from: this answer sends it there again.
            return self.refresh(307).await;
        }
        let Some(form) = Form::posted(self.request) else {
            self.line.outcome = "form_unreadable";
            return Err(Failed::Problem(ProblemKind::BadRequest));
        };
        match path {
            "/sign-in" => self.sign_in(&form).await,
            "/sign-in/code" => self.code(&form).await,
            "/password" if form.some("session").is_some() => self.first_password(&form).await,
            "/password" => self.password(&form).await,
            "/totp" if form.has("code") => self.totp(&form).await,
            "/totp" => self.begin_totp(&form).await,
            "/sign-out" => self.sign_out().await,
            _ => Err(Failed::Problem(ProblemKind::NotFound)),
        }
    }
}
