#![doc = include_str!("../README.md")]

mod invitation;
mod logo;
mod members;
mod organisations;
mod pixels;
mod shape;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws_lc_rs::hmac;
use plixo_api::document::{Bearer, Problem, ProblemField};
use plixo_api::staff::Staff;
use plixo_api::{Failed, answer};
use plixo_aws::cognito::{Directory, Register};
use plixo_aws::ses::SendEmail;
use plixo_domain::ledger::Residency;
use plixo_envelope::KeyService;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_staff::Desk;
use plixo_store::Tables;
use utoipa::OpenApi;

use invitation::Invitations;

/// This function's name.
pub const FUNCTION: &str = "api-organisations";

/// What the key is for of which temporary passwords and cursors of no organisation come.
pub const KEY: &str = "plixo organisations v1";

const CREATE: &str = "POST /v1/orgs";
const LIST: &str = "GET /v1/orgs";
const SHOW: &str = "GET /v1/orgs/{org}";
const UPDATE: &str = "PATCH /v1/orgs/{org}";
const CLOSE: &str = "POST /v1/orgs/{org}/close";
const REOPEN: &str = "POST /v1/orgs/{org}/reopen";
const SET_LOGO: &str = "PUT /v1/orgs/{org}/logo";
const REMOVE_LOGO: &str = "DELETE /v1/orgs/{org}/logo";
const LIST_MEMBERS: &str = "GET /v1/orgs/{org}/members";
const INVITE_MEMBER: &str = "POST /v1/orgs/{org}/members";
const UPDATE_MEMBER: &str = "PATCH /v1/orgs/{org}/members/{id}";
const REMOVE_MEMBER: &str = "DELETE /v1/orgs/{org}/members/{id}";
/// The routes that it answers, as the gateway names them.
pub const ROUTES: [&str; 12] = [
    CREATE,
    LIST,
    SHOW,
    UPDATE,
    CLOSE,
    REOPEN,
    SET_LOGO,
    REMOVE_LOGO,
    LIST_MEMBERS,
    INVITE_MEMBER,
    UPDATE_MEMBER,
    REMOVE_MEMBER,
];

/// Its part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    paths(
        organisations::create,
        organisations::list,
        organisations::show,
        organisations::update,
        organisations::close,
        organisations::reopen,
        logo::set_logo,
        logo::remove_logo,
        members::list,
        members::invite,
        members::update,
        members::remove,
    ),
    components(schemas(Problem, ProblemField)),
    modifiers(&Bearer)
)]
#[derive(Debug)]
pub struct Document;

/// Where the stack is.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where its organisations' data stays.
    pub residency: Residency,
    /// Where people reach it, without a slash at the end. Without it, at the domain name that was asked.
    pub base_url: Option<String>,
}

/// The API.
#[derive(Debug)]
pub struct Api<T, K, D, M> {
    desk: Arc<Desk<T, K>>,
    service: K,
    residency: Residency,
    invitations: Invitations<D, M>,
    key: hmac::Key,
}

impl<T: Tables, K: KeyService, D: Directory + Register, M: SendEmail> Api<T, K, D, M> {
    /// The API of that desk. `service` makes new organisations' keys; `outside` is the directory of people and who carries
    /// email; of `key` come temporary passwords and cursors of no organisation.
    pub fn new(desk: Arc<Desk<T, K>>, service: K, outside: (D, M), place: Place, key: &[u8; 32]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let Place { residency, base_url } = place;
        let invitations = Invitations::new(outside, base_url, key.clone());
        Self { desk, service, residency, invitations, key }
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
        match route {
            CREATE => return organisations::create(self, request, line).await,
            LIST => return organisations::list(self, request, line).await,
            _ => {}
        }
        let staff = Staff::of(&self.desk, request, line)?;
        match route {
            SHOW => organisations::show(&staff).await,
            UPDATE => organisations::update(&staff).await,
            CLOSE => organisations::close(&staff).await,
            REOPEN => organisations::reopen(&staff).await,
            SET_LOGO => logo::set_logo(&staff).await,
            REMOVE_LOGO => logo::remove_logo(&staff).await,
            LIST_MEMBERS => members::list(&staff).await,
            INVITE_MEMBER => members::invite(&staff, &self.invitations).await,
            UPDATE_MEMBER => members::update(&staff).await,
            REMOVE_MEMBER => members::remove(&staff).await,
            _ => Err(Failed::NoRoute),
        }
    }
}
