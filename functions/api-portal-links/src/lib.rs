#![doc = include_str!("../README.md")]

mod links;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use plixo_api::document::{Bearer, Problem, ProblemField};
use plixo_api::staff::Staff;
use plixo_api::{Failed, answer};
use plixo_aws::secrets::ReadSecret;
use plixo_aws::ses::SendEmail;
use plixo_envelope::KeyService;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_portal::links::LinkKeys;
use plixo_staff::Desk;
use plixo_store::{Entropy, Tables};
use utoipa::openapi::{self, Required};
use utoipa::{Modify, OpenApi};

/// This function's name.
pub const FUNCTION: &str = "api-portal-links";

const LIST: &str = "GET /v1/orgs/{org}/invoices/{id}/portal-links";
const CREATE: &str = "POST /v1/orgs/{org}/invoices/{id}/portal-links";
const REVOKE: &str = "DELETE /v1/orgs/{org}/portal-links/{id}";

/// The routes that it answers, as the gateway names them.
pub const ROUTES: [&str; 3] = [LIST, CREATE, REVOKE];

/// Its part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    paths(links::list, links::create, links::revoke),
    components(schemas(Problem, ProblemField)),
    modifiers(&Bearer, &NoBodyNeeded)
)]
#[derive(Debug)]
pub struct Document;

/// A link can be made without a body, which the derived document cannot say without allowing `null` as well.
struct NoBodyNeeded;

impl Modify for NoBodyNeeded {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let routes = document.paths.paths.values_mut().filter_map(|path| path.post.as_mut());
        let bodies = routes.filter_map(|route| route.request_body.as_mut());
        bodies.for_each(|body| body.required = Some(Required::False));
    }
}

/// What stands outside the tables.
#[derive(Debug)]
pub struct Outside<V, M> {
    /// The keys that sign links.
    pub keys: LinkKeys<V>,
    /// Who carries email.
    pub mail: M,
    /// Where payers reach Plixo, without a slash at the end. Without it, at the domain name that was asked.
    pub base_url: Option<String>,
    /// Of which the links' ids are made.
    pub entropy: Entropy,
}

/// The API.
#[derive(Debug)]
pub struct Api<T, K, V, M> {
    desk: Arc<Desk<T, K>>,
    outside: Outside<V, M>,
}

impl<T: Tables, K: KeyService, V: ReadSecret, M: SendEmail> Api<T, K, V, M> {
    /// The API of that desk.
    pub fn new(desk: Arc<Desk<T, K>>, outside: Outside<V, M>) -> Self {
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
            LIST => links::list(&staff).await,
            CREATE => links::create(&staff, &self.outside).await,
            REVOKE => links::revoke(&staff).await,
            _ => Err(Failed::NoRoute),
        }
    }
}
