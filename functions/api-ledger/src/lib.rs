#![doc = include_str!("../README.md")]

mod customers;
mod expand;
mod invoices;
mod overview;
mod payments;
mod shape;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use plixo_api::document::{Bearer, Problem, ProblemField};
use plixo_api::output;
use plixo_api::staff::Staff;
use plixo_api::{Failed, answer};
use plixo_aws::sqs::SendMessage;
use plixo_domain::ledger::{CashTask, CashTaskOf};
use plixo_domain::webhook::{ExternalId, ExternalRef, Provider};
use plixo_envelope::KeyService;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_staff::Desk;
use plixo_store::Tables;
use serde::Deserialize;
use utoipa::OpenApi;

/// This function's name.
pub const FUNCTION: &str = "api-ledger";

/// The routes that it answers, as the gateway names them.
pub const ROUTES: [&str; 18] = [
    "GET /v1/orgs/{org}/customers",
    "POST /v1/orgs/{org}/customers",
    "GET /v1/orgs/{org}/customers/{id}",
    "PATCH /v1/orgs/{org}/customers/{id}",
    "GET /v1/orgs/{org}/invoices",
    "POST /v1/orgs/{org}/invoices",
    "GET /v1/orgs/{org}/invoices/{id}",
    "PATCH /v1/orgs/{org}/invoices/{id}",
    "POST /v1/orgs/{org}/invoices/{id}/finalize",
    "POST /v1/orgs/{org}/invoices/{id}/void",
    "POST /v1/orgs/{org}/invoices/{id}/uncollectible",
    "GET /v1/orgs/{org}/payments",
    "POST /v1/orgs/{org}/payments",
    "GET /v1/orgs/{org}/payments/{id}",
    "GET /v1/orgs/{org}/payments/{id}/suggestions",
    "POST /v1/orgs/{org}/payments/{id}/allocations",
    "DELETE /v1/orgs/{org}/payments/{id}/allocations/{allocation}",
    "GET /v1/orgs/{org}/overview",
];

/// Its part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    paths(
        customers::list,
        customers::create,
        customers::show,
        customers::update,
        invoices::list,
        invoices::create,
        invoices::show,
        invoices::update,
        invoices::finalize,
        invoices::void,
        invoices::uncollectible,
        payments::list,
        payments::record,
        payments::show,
        payments::suggest,
        payments::allocate,
        payments::deallocate,
        overview::show,
    ),
    components(schemas(Problem, ProblemField)),
    modifiers(&Bearer)
)]
#[derive(Debug)]
pub struct Document;

/// The API.
#[derive(Debug)]
pub struct Api<T, K, Q> {
    desk: Arc<Desk<T, K>>,
    cash: Q,
}

impl<T: Tables, K: KeyService, Q: SendMessage> Api<T, K, Q> {
    /// The API of that desk. What may be to be applied after a change is told to `cash`.
    pub fn new(desk: Arc<Desk<T, K>>, cash: Q) -> Self {
        Self { desk, cash }
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
        let (method, path) = route.split_once(" /v1/orgs/{org}/").ok_or(Failed::NoRoute)?;
        let response = match (method, path) {
            ("GET", "customers") => customers::list(&staff).await,
            ("POST", "customers") => customers::create(&staff).await,
            ("GET", "customers/{id}") => customers::show(&staff).await,
            ("PATCH", "customers/{id}") => customers::update(&staff).await,
            ("GET", "invoices") => invoices::list(&staff).await,
            ("POST", "invoices") => invoices::create(&staff).await,
            ("GET", "invoices/{id}") => invoices::show(&staff).await,
            ("PATCH", "invoices/{id}") => invoices::update(&staff).await,
            ("POST", "invoices/{id}/finalize") => invoices::finalize(&staff).await,
            ("POST", "invoices/{id}/void") => invoices::void(&staff).await,
            ("POST", "invoices/{id}/uncollectible") => invoices::uncollectible(&staff).await,
            ("GET", "payments") => payments::list(&staff).await,
            ("POST", "payments") => payments::record(&staff).await,
            ("GET", "payments/{id}") => payments::show(&staff).await,
            ("GET", "payments/{id}/suggestions") => payments::suggest(&staff).await,
            ("POST", "payments/{id}/allocations") => payments::allocate(&staff).await,
            ("DELETE", "payments/{id}/allocations/{allocation}") => payments::deallocate(&staff).await,
            ("GET", "overview") => overview::show(&staff).await,
            _ => Err(Failed::NoRoute),
        }?;
        if let Some(of) = follows(route, request, &response) {
            let task = output::json(&CashTask::new(staff.org, of));
            // What was asked is done. Without the message a person applies the payment.
            if let Err(error) = self.cash.send_message(task, ("task", "cash".to_owned())).await {
                line.error = Some(error.to_string());
            }
        }
        Ok(response)
    }
}

/// What may be to be applied once a request is done; also of one that came before.
fn follows(route: &str, request: &Request, response: &Response) -> Option<CashTaskOf> {
    /// What of a payment names its row.
    #[derive(Deserialize)]
    struct Recorded {
        id: String,
        external_id: Option<ExternalId>,
    }
    match route {
        "POST /v1/orgs/{org}/payments" => {
            let Recorded { id, external_id } = serde_json::from_str(response.body()).ok()?;
            let id = external_id.or_else(|| id.parse().ok())?;
            Some(CashTaskOf::Payment(ExternalRef { provider: Provider::Member, id }))
        }
        "POST /v1/orgs/{org}/invoices/{id}/finalize" => {
            request.path("id")?.parse().ok().map(CashTaskOf::Invoice)
        }
        _ => None,
    }
}
