#![doc = include_str!("../README.md")]

mod endpoints;
mod events;
mod order;
mod sources;
mod stripe_account;
#[cfg(test)]
mod tests;
mod vault;

use std::sync::Arc;

use plixo_api::document::{Bearer, Problem, ProblemField};
use plixo_api::staff::Staff;
use plixo_api::{Failed, answer};
use plixo_aws::secrets::KeepSecret;
use plixo_aws::sqs::SendMessage;
use plixo_envelope::KeyService;
use plixo_erp::ReadErp;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_staff::Desk;
use plixo_store::{Entropy, Tables};
use plixo_stripe::Checkout;
use utoipa::OpenApi;

/// This function's name.
pub const FUNCTION: &str = "api-webhooks";

/// The routes that it answers, as the gateway names them.
pub const ROUTES: [&str; 16] = [
    "GET /v1/orgs/{org}/webhook-endpoints",
    "POST /v1/orgs/{org}/webhook-endpoints",
    "GET /v1/orgs/{org}/webhook-endpoints/{id}",
    "PATCH /v1/orgs/{org}/webhook-endpoints/{id}",
    "POST /v1/orgs/{org}/webhook-endpoints/{id}/rotate",
    "GET /v1/orgs/{org}/webhook-events",
    "GET /v1/orgs/{org}/webhook-events/{id}",
    "POST /v1/orgs/{org}/webhook-events/{id}/replay",
    "GET /v1/orgs/{org}/stripe-account",
    "PUT /v1/orgs/{org}/stripe-account",
    "DELETE /v1/orgs/{org}/stripe-account",
    "GET /v1/orgs/{org}/data-sources",
    "POST /v1/orgs/{org}/data-sources",
    "GET /v1/orgs/{org}/data-sources/{id}",
    "PATCH /v1/orgs/{org}/data-sources/{id}",
    "DELETE /v1/orgs/{org}/data-sources/{id}",
];

/// Its part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    paths(
        endpoints::list,
        endpoints::create,
        endpoints::show,
        endpoints::update,
        endpoints::rotate,
        events::list,
        events::show,
        events::replay,
        stripe_account::show,
        stripe_account::connect,
        stripe_account::disconnect,
        sources::list,
        sources::connect,
        sources::show,
        sources::update,
        sources::disconnect,
    ),
    components(schemas(Problem, ProblemField)),
    modifiers(&Bearer)
)]
#[derive(Debug)]
pub struct Document;

/// What stands outside the tables.
#[derive(Debug)]
pub struct Outside<V, Q, C, E> {
    /// Where endpoints' secrets are.
    pub vault: V,
    /// Where organisations' Stripe keys are, each under its organisation's id.
    pub stripe_keys: V,
    /// Where data sources' credentials are, each under its source's id.
    pub sources: V,
    /// Where Stripe's events are worked off.
    pub stripe_queue: Q,
    /// Where all others' deliveries are.
    pub erp_queue: Q,
    /// Who says whether those keys are any good.
    pub stripe: C,
    /// Who says whether those credentials are, over the same vault.
    pub erp: E,
    /// Where providers reach Plixo, without a slash at the end. Without it, at the domain name that was asked.
    pub base_url: Option<String>,
    /// Of which secrets are made.
    pub entropy: Entropy,
}

/// The API.
#[derive(Debug)]
pub struct Api<T, K, V, Q, C, E> {
    desk: Arc<Desk<T, K>>,
    outside: Outside<V, Q, C, E>,
}

impl<T: Tables, K: KeyService, V: KeepSecret, Q: SendMessage, C: Checkout, E: ReadErp> Api<T, K, V, Q, C, E> {
    /// The API of that desk.
    pub fn new(desk: Arc<Desk<T, K>>, outside: Outside<V, Q, C, E>) -> Self {
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
        let (staff, outside) = (Staff::of(&self.desk, request, line)?, &self.outside);
        let (method, path) = route.split_once(" /v1/orgs/{org}/").ok_or(Failed::NoRoute)?;
        match (method, path) {
            ("GET", "webhook-endpoints") => endpoints::list(&staff, outside).await,
            ("POST", "webhook-endpoints") => endpoints::create(&staff, outside).await,
            ("GET", "webhook-endpoints/{id}") => endpoints::show(&staff, outside).await,
            ("PATCH", "webhook-endpoints/{id}") => endpoints::update(&staff, outside).await,
            ("POST", "webhook-endpoints/{id}/rotate") => endpoints::rotate(&staff, outside).await,
            ("GET", "webhook-events") => events::list(&staff).await,
            ("GET", "webhook-events/{id}") => events::show(&staff).await,
            ("POST", "webhook-events/{id}/replay") => events::replay(&staff, outside).await,
            ("GET", "stripe-account") => stripe_account::show(&staff).await,
            ("PUT", "stripe-account") => stripe_account::connect(&staff, outside).await,
            ("DELETE", "stripe-account") => stripe_account::disconnect(&staff, outside).await,
            ("GET", "data-sources") => sources::list(&staff).await,
            ("POST", "data-sources") => sources::connect(&staff, outside).await,
            ("GET", "data-sources/{id}") => sources::show(&staff).await,
            ("PATCH", "data-sources/{id}") => sources::update(&staff, outside).await,
            ("DELETE", "data-sources/{id}") => sources::disconnect(&staff, outside).await,
            _ => Err(Failed::NoRoute),
        }
    }
}
