#![doc = include_str!("../README.md")]

mod exports;
mod order;
mod shape;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use plixo_api::document::{Bearer, Problem, ProblemField};
use plixo_api::staff::Staff;
use plixo_api::{Failed, answer};
use plixo_aws::s3::Objects;
use plixo_aws::sqs::SendMessage;
use plixo_envelope::KeyService;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_staff::Desk;
use plixo_store::Tables;
use utoipa::OpenApi;

/// This function's name.
pub const FUNCTION: &str = "api-exports";

const LIST: &str = "GET /v1/orgs/{org}/exports";
const CREATE: &str = "POST /v1/orgs/{org}/exports";
const SHOW: &str = "GET /v1/orgs/{org}/exports/{id}";
const APPROVE: &str = "POST /v1/orgs/{org}/exports/{id}/approve";
const REJECT: &str = "POST /v1/orgs/{org}/exports/{id}/reject";
const DOWNLOAD: &str = "GET /v1/orgs/{org}/exports/{id}/download";

/// The routes that it answers, as the gateway names them.
pub const ROUTES: [&str; 6] = [LIST, CREATE, SHOW, APPROVE, REJECT, DOWNLOAD];

/// Its part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    paths(
        exports::list,
        exports::create,
        exports::show,
        exports::approve,
        exports::reject,
        exports::download
    ),
    components(schemas(Problem, ProblemField)),
    modifiers(&Bearer)
)]
#[derive(Debug)]
pub struct Document;

/// What stands outside the tables.
#[derive(Debug)]
pub struct Outside<Q, O> {
    /// Who writes approved exports.
    pub queue: Q,
    /// Where the files are.
    pub bucket: O,
}

/// The API.
#[derive(Debug)]
pub struct Api<T, K, Q, O> {
    desk: Arc<Desk<T, K>>,
    outside: Outside<Q, O>,
}

impl<T: Tables, K: KeyService, Q: SendMessage, O: Objects> Api<T, K, Q, O> {
    /// The API of that desk.
    pub fn new(desk: Arc<Desk<T, K>>, outside: Outside<Q, O>) -> Self {
        Self { desk, outside }
    }

    /// Answers one request.
    pub async fn handle(&self, request: &Request, mut line: Line) -> (Response, Line) {
        let route = ROUTES.into_iter().find(|route| *route == request.route());
        line.route = route.or(Some("none"));
        let done = self.work(route, request, &mut line).await;
        answer(done, request, line)
    }

    async fn work(
        &self,
        route: Option<&'static str>,
        request: &Request,
        line: &mut Line,
    ) -> Result<Response, Failed> {
        let route = route.ok_or(Failed::NoRoute)?;
        let staff = Staff::of(&self.desk, request, line)?;
        match route {
            LIST => exports::list(&staff).await,
            CREATE => exports::create(&staff).await,
            SHOW => exports::show(&staff).await,
            APPROVE => exports::approve(&staff, &self.outside.queue).await,
            REJECT => exports::reject(&staff).await,
            DOWNLOAD => exports::download(&staff, &self.outside.bucket).await,
            _ => Err(Failed::NoRoute),
        }
    }
}
