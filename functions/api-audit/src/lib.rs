#![doc = include_str!("../README.md")]

mod events;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use plixo_api::document::{Bearer, Problem, ProblemField};
use plixo_api::staff::Staff;
use plixo_api::{Failed, answer};
use plixo_envelope::KeyService;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_staff::Desk;
use plixo_store::Tables;
use utoipa::OpenApi;

/// This function's name.
pub const FUNCTION: &str = "api-audit";

/// The route that it answers, as the gateway names it.
pub const ROUTE: &str = "GET /v1/orgs/{org}/audit-events";

/// Its part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(paths(events::list), components(schemas(Problem, ProblemField)), modifiers(&Bearer))]
#[derive(Debug)]
pub struct Document;

/// The API.
#[derive(Debug)]
pub struct Api<T, K> {
    desk: Arc<Desk<T, K>>,
}

impl<T: Tables, K: KeyService> Api<T, K> {
    /// The API of that desk.
    pub fn new(desk: Arc<Desk<T, K>>) -> Self {
        Self { desk }
    }

    /// Answers one request.
    pub async fn handle(&self, request: &Request, mut line: Line) -> (Response, Line) {
        let ours = request.route() == ROUTE;
        line.route = Some(if ours { ROUTE } else { "none" });
        let done = if ours { self.work(request, &mut line).await } else { Err(Failed::NoRoute) };
        answer(done, request, line)
    }

    async fn work(&self, request: &Request, line: &mut Line) -> Result<Response, Failed> {
        events::list(&Staff::of(&self.desk, request, line)?).await
    }
}
