#![doc = include_str!("../README.md")]

mod reference;
#[cfg(test)]
mod tests;

use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_pages::{Frame, Problem, ProblemKind};

/// This function's name.
pub const FUNCTION: &str = "pages-docs";
/// The API's description, made of the handlers.
pub const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// The routes that it answers, as the gateway names them.
pub const ROUTES: [&str; 3] = ["GET /openapi.json", "GET /docs/api", NOWHERE];
const NOWHERE: &str = "$default";
/// Both change with a deployment only.
const FIVE_MINUTES: &str = "public, max-age=300";

/// What it answers.
#[derive(Debug)]
pub struct Docs {
    reference: String,
    paths: Vec<Path>,
}

/// A path of the API, and what may be done there.
#[derive(Debug)]
struct Path {
    template: String,
    allow: String,
}

impl Docs {
    /// With the page made.
    ///
    /// # Errors
    /// Where the description is no JSON; the tests read the same text, so this is a broken build.
    pub fn new() -> Result<Self, serde_json::Error> {
        let openapi = serde_json::from_str(OPENAPI)?;
        Ok(Self { reference: reference::of(&openapi).render(), paths: reference::paths(&openapi) })
    }

    /// Answers one request.
    #[must_use]
    pub fn handle(&self, request: &Request, mut line: Line) -> (Response, Line) {
        line.route = ROUTES.into_iter().find(|route| *route == request.route()).or(Some(NOWHERE));
        line.outcome = "done";
        let response = match line.route {
            Some("GET /openapi.json") => {
                Response::json(200, OPENAPI.to_owned()).with("cache-control", FIVE_MINUTES.to_owned())
            }
            Some("GET /docs/api") => {
                page(200, self.reference.clone()).with("cache-control", FIVE_MINUTES.to_owned())
            }
            _ => self.nowhere(request, &mut line),
        };
        (response, line)
    }

    fn nowhere(&self, request: &Request, line: &mut Line) -> Response {
        let target = request.target();
        let path = target.split('?').next().unwrap_or_default();
        if let Some(known) = self.paths.iter().find(|known| known.fits(path)) {
            line.outcome = "method_not_allowed";
            let detail = format!("Only {} is done here.", known.allow);
            let id = request.id();
            return Response::problem(405, "method_not_allowed", "Method Not Allowed", &detail, id)
                .with("allow", known.allow.clone());
        }
        line.outcome = "not_found";
        let is_page = request.header("accept").unwrap_or_default().contains("text/html");
        if !is_page || path.starts_with("/v1/") {
            return Response::problem(404, "not_found", "Not Found", "There is nothing here.", request.id());
        }
        let (frame, request_id) = (Frame::default(), request.id().to_owned());
        page(404, Problem { frame, kind: ProblemKind::NotFound, request_id, back: None }.render())
    }
}

impl Path {
    fn fits(&self, path: &str) -> bool {
        let (own, other) = (self.template.split('/'), path.split('/'));
        own.clone().count() == other.clone().count()
            && own.zip(other).all(|(own, other)| own == other || (own.starts_with('{') && !other.is_empty()))
    }
}

fn page(status: u16, html: String) -> Response {
    let response = Response::of(status, "text/html; charset=utf-8", html);
    plixo_pages::security_headers()
        .iter()
        .fold(response, |response, (name, value)| response.with(name, (*value).to_owned()))
}
