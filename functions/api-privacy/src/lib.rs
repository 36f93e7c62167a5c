#![doc = include_str!("../README.md")]

mod holds;
mod requests;
mod retention;
mod shape;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use plixo_api::document::{Bearer, Problem, ProblemField};
use plixo_api::staff::Staff;
use plixo_api::{Failed, answer};
use plixo_aws::AwsError;
use plixo_aws::s3::Objects;
use plixo_aws::sqs::SendMessage;
use plixo_envelope::KeyService;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_staff::{Desk, Refusal};
use plixo_store::Tables;
use utoipa::OpenApi;

/// This function's name.
pub const FUNCTION: &str = "api-privacy";

const SHOW_RETENTION: &str = "GET /v1/orgs/{org}/retention";
const UPDATE_RETENTION: &str = "PUT /v1/orgs/{org}/retention";
const PREVIEW_RETENTION: &str = "GET /v1/orgs/{org}/retention/preview";
const LIST_HOLDS: &str = "GET /v1/orgs/{org}/legal-holds";
const PLACE_HOLD: &str = "POST /v1/orgs/{org}/legal-holds";
const SHOW_HOLD: &str = "GET /v1/orgs/{org}/legal-holds/{id}";
const RELEASE_HOLD: &str = "POST /v1/orgs/{org}/legal-holds/{id}/release";
const LIST_REQUESTS: &str = "GET /v1/orgs/{org}/privacy-requests";
const CREATE_REQUEST: &str = "POST /v1/orgs/{org}/privacy-requests";
const SHOW_REQUEST: &str = "GET /v1/orgs/{org}/privacy-requests/{id}";
const REFUSE_REQUEST: &str = "POST /v1/orgs/{org}/privacy-requests/{id}/refuse";
const CERTIFICATE: &str = "GET /v1/orgs/{org}/privacy-requests/{id}/certificate";
const DOWNLOAD: &str = "GET /v1/orgs/{org}/privacy-requests/{id}/download";

/// The routes that it answers, as the gateway names them.
pub const ROUTES: [&str; 13] = [
    SHOW_RETENTION,
    UPDATE_RETENTION,
    PREVIEW_RETENTION,
    LIST_HOLDS,
    PLACE_HOLD,
    SHOW_HOLD,
    RELEASE_HOLD,
    LIST_REQUESTS,
    CREATE_REQUEST,
    SHOW_REQUEST,
    REFUSE_REQUEST,
    CERTIFICATE,
    DOWNLOAD,
];

/// Its part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    paths(
        retention::show,
        retention::update,
        retention::preview,
        holds::list,
        holds::place,
        holds::show,
        holds::release,
        requests::list,
        requests::create,
        requests::show,
        requests::refuse,
        requests::certificate,
        requests::download,
    ),
    components(schemas(Problem, ProblemField)),
    modifiers(&Bearer)
)]
#[derive(Debug)]
pub struct Document;

/// What stands outside the tables.
#[derive(Debug)]
pub struct Outside<Q, O> {
    /// Who does privacy requests.
    pub queue: Q,
    /// Where the files of access requests are.
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
        let Outside { queue, bucket } = &self.outside;
        match route {
            SHOW_RETENTION => retention::show(&staff).await,
            UPDATE_RETENTION => retention::update(&staff).await,
            PREVIEW_RETENTION => retention::preview(&staff).await,
            LIST_HOLDS => holds::list(&staff).await,
            PLACE_HOLD => holds::place(&staff).await,
            SHOW_HOLD => holds::show(&staff).await,
            RELEASE_HOLD => holds::release(&staff, queue).await,
            LIST_REQUESTS => requests::list(&staff).await,
            CREATE_REQUEST => requests::create(&staff, queue).await,
            SHOW_REQUEST => requests::show(&staff).await,
            REFUSE_REQUEST => requests::refuse(&staff).await,
            CERTIFICATE => requests::certificate(&staff).await,
            DOWNLOAD => requests::download(&staff, bucket).await,
            _ => Err(Failed::NoRoute),
        }
    }
}

/// What AWS did not do.
fn unavailable(error: AwsError) -> Refusal {
    match error {
        AwsError::Unavailable { .. } => Refusal::Unavailable(error.to_string()),
        AwsError::Refused { .. } => Refusal::Internal(error.to_string()),
    }
}
