#![doc = include_str!("../README.md")]

mod audit;
mod cash;
mod customers;
mod done;
mod exports;
mod fields;
mod holds;
mod integrations;
mod invoices;
mod organisations;
mod payments;
mod privacy;
mod retention;
mod shape;
#[cfg(test)]
mod tests;
mod visit;

use std::fmt;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_pages::ProblemKind;
use plixo_web::ask::Problem;
use plixo_web::form::{Form, is_ours};
use plixo_web::page::{self, Entropy};
use plixo_web::session;

use visit::{Failed, Visit};

/// This function's name.
pub const FUNCTION: &str = "pages-console";

/// The routes that it answers, as the gateway names them.
pub const ROUTES: [&str; 54] = [
    "GET /",
    "GET /assets/{file}",
    "GET /orgs",
    "GET /orgs/{org}",
    "GET /orgs/{org}/invoices",
    "GET /orgs/{org}/invoices/new",
    "POST /orgs/{org}/invoices/new",
    "GET /orgs/{org}/invoices/{id}",
    "POST /orgs/{org}/invoices/{id}",
    "GET /orgs/{org}/invoices/{id}/edit",
    "POST /orgs/{org}/invoices/{id}/edit",
    "GET /orgs/{org}/customers",
    "GET /orgs/{org}/customers/new",
    "POST /orgs/{org}/customers/new",
    "GET /orgs/{org}/customers/{id}",
    "GET /orgs/{org}/customers/{id}/edit",
    "POST /orgs/{org}/customers/{id}/edit",
    "GET /orgs/{org}/payments",
    "GET /orgs/{org}/payments/unapplied",
    "GET /orgs/{org}/payments/new",
    "POST /orgs/{org}/payments/new",
    "GET /orgs/{org}/payments/{id}",
    "POST /orgs/{org}/payments/{id}",
    "GET /orgs/{org}/cash",
    "POST /orgs/{org}/cash",
    "GET /orgs/{org}/members",
    "POST /orgs/{org}/members",
    "GET /orgs/{org}/settings",
    "POST /orgs/{org}/settings",
    "GET /orgs/{org}/integrations",
    "POST /orgs/{org}/integrations",
    "GET /orgs/{org}/webhook-events",
    "GET /orgs/{org}/webhook-events/{id}",
    "POST /orgs/{org}/webhook-events/{id}",
    "GET /orgs/{org}/audit",
    "GET /orgs/{org}/exports",
    "POST /orgs/{org}/exports",
    "GET /orgs/{org}/exports/{id}",
    "POST /orgs/{org}/exports/{id}",
    "GET /orgs/{org}/exports/{id}/download",
    "GET /orgs/{org}/privacy-requests",
    "GET /orgs/{org}/privacy-requests/new",
    "POST /orgs/{org}/privacy-requests/new",
    "GET /orgs/{org}/privacy-requests/{id}",
    "POST /orgs/{org}/privacy-requests/{id}",
    "GET /orgs/{org}/privacy-requests/{id}/download",
    "GET /orgs/{org}/privacy-requests/{id}/certificate",
    "GET /orgs/{org}/legal-holds",
    "GET /orgs/{org}/legal-holds/new",
    "POST /orgs/{org}/legal-holds/new",
    "GET /orgs/{org}/legal-holds/{id}",
    "POST /orgs/{org}/legal-holds/{id}",
    "GET /orgs/{org}/retention",
    "POST /orgs/{org}/retention",
];

type Api = Box<dyn Fn(Request, Line) -> LocalBoxFuture<'static, (Response, Line)>>;

/// The pages of the console.
pub struct Console {
    apis: Vec<(&'static [&'static str], Api)>,
    entropy: Entropy,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

impl Console {
    /// Pages that ask nobody yet.
    #[must_use]
    pub fn new(entropy: Entropy) -> Self {
        Self { apis: Vec::new(), entropy }
    }

    /// Pages that ask for these routes there.
    #[must_use]
    pub fn asking<F, A>(mut self, routes: &'static [&'static str], api: F) -> Self
    where
        F: Fn(Request, Line) -> A + 'static,
        A: Future<Output = (Response, Line)> + 'static,
    {
        self.apis.push((routes, Box::new(move |request, line| api(request, line).boxed_local())));
        self
    }

    /// Answers one request.
    pub async fn handle(&self, request: &Request, line: Line) -> (Response, Line) {
        let route = ROUTES.into_iter().find(|route| *route == request.route());
        let visit = Visit::new(self, request, line);
        let response = match visit.shown_of(route).await {
            Ok(response) => response,
            Err(failed) => visit.failed(failed),
        };
        let line = visit.into_line();
        (response, Line { route: route.or(Some("none")), ..line })
    }

    async fn answer(&self, request: Request, line: Line) -> (Response, Line) {
        match self.apis.iter().find(|(routes, _)| routes.contains(&request.route())) {
            Some((_, api)) => api(request, line).await,
            None => {
                let detail = "There is nothing here.";
                let response = Response::problem(404, "not_found", "Not Found", detail, request.id());
                (response, Line { outcome: "api_missing", ..line })
            }
        }
    }
}

impl Visit<'_> {
    async fn shown_of(&self, route: Option<&'static str>) -> Result<Response, Failed> {
        let (method, path) = route.and_then(|route| route.split_once(' ')).unwrap_or_default();
        let page = path.strip_prefix("/orgs/{org}");
        match page {
            None => self.outside(path).await,
            Some(page) if method == "GET" => self.get(page).await,
            Some(page) => {
                if !is_ours(self.request) {
                    return Err(self.fail("foreign_form", ProblemKind::BadRequest));
                }
                let form = Form::posted(self.request);
                // Its page is the only one with a file to send.
                let form =
                    form.or_else(|| Form::posted_with_files(self.request).filter(|_| page == "/settings"));
                let form = form.ok_or_else(|| self.fail("form_unreadable", ProblemKind::BadRequest))?;
                self.post(page, &form).await
            }
        }
    }

    /// Pages of no organisation.
    async fn outside(&self, path: &str) -> Result<Response, Failed> {
        match path {
            "/" => Ok(Response::redirect(303, "/orgs".to_owned())),
            "/assets/{file}" => page::asset(&self.request.target()).ok_or(Failed::NOT_FOUND),
            "/orgs" => organisations::list(self).await,
            _ => Err(Failed::NOT_FOUND),
        }
    }

    async fn get(&self, page: &str) -> Result<Response, Failed> {
        match page {
            "" => organisations::overview(self).await,
            "/invoices" => invoices::list(self).await,
            "/invoices/new" => invoices::write(self).await,
            "/invoices/{id}" => invoices::show(self).await,
            "/invoices/{id}/edit" => invoices::edit(self).await,
            "/customers" => customers::list(self).await,
            "/customers/new" => customers::write(self).await,
            "/customers/{id}" => customers::show(self).await,
            "/customers/{id}/edit" => customers::edit(self).await,
            "/payments" => payments::list(self, false).await,
            "/payments/unapplied" => payments::list(self, true).await,
            "/payments/new" => payments::write(self).await,
            "/payments/{id}" => payments::show(self).await,
            "/cash" => cash::show(self).await,
            "/members" => organisations::members(self).await,
            "/settings" => organisations::settings(self).await,
            "/integrations" => integrations::list(self).await,
            "/webhook-events" => integrations::events(self).await,
            "/webhook-events/{id}" => integrations::event(self).await,
            "/audit" => audit::list(self).await,
            "/exports" => exports::list(self).await,
            "/exports/{id}" => exports::show(self).await,
            "/exports/{id}/download" => exports::download(self).await,
            "/privacy-requests" => privacy::list(self).await,
            "/privacy-requests/new" => privacy::write(self).await,
            "/privacy-requests/{id}" => privacy::show(self).await,
            "/privacy-requests/{id}/download" => privacy::download(self).await,
            "/privacy-requests/{id}/certificate" => privacy::certificate(self).await,
            "/legal-holds" => holds::list(self).await,
            "/legal-holds/new" => holds::write(self).await,
            "/legal-holds/{id}" => holds::show(self).await,
            "/retention" => retention::show(self).await,
            _ => Err(Failed::NOT_FOUND),
        }
    }

    async fn post(&self, page: &str, form: &Form) -> Result<Response, Failed> {
        match page {
            "/invoices/new" => invoices::save(self, form, false).await,
            "/invoices/{id}" => invoices::act(self, form).await,
            "/invoices/{id}/edit" => invoices::save(self, form, true).await,
            "/customers/new" => customers::save(self, form, false).await,
            "/customers/{id}/edit" => customers::save(self, form, true).await,
            "/payments/new" => payments::save(self, form).await,
            "/payments/{id}" => payments::act(self, form).await,
            "/cash" => cash::act(self, form).await,
            "/members" => organisations::change_members(self, form).await,
            "/settings" => organisations::change_settings(self, form).await,
            "/integrations" => integrations::act(self, form).await,
            "/webhook-events/{id}" => integrations::replay(self, form).await,
            "/exports" => exports::request(self, form).await,
            "/exports/{id}" => exports::decide(self, form).await,
            "/privacy-requests/new" => privacy::enter(self, form).await,
            "/privacy-requests/{id}" => privacy::refuse(self, form).await,
            "/legal-holds/new" => holds::place(self, form).await,
            "/legal-holds/{id}" => holds::release(self, form).await,
            "/retention" => retention::save(self, form).await,
            _ => Err(Failed::NOT_FOUND),
        }
    }

    /// What came with a form of ours, if it may be shown to whoever sent it: secrets never are.
    fn kept(&self) -> Option<Form> {
        let form = Form::posted(self.request).filter(|_| is_ours(self.request))?;
        let is_secret = ["secret", "restricted_key", "client_secret", "refresh_token"]
            .iter()
            .any(|name| form.some(name).is_some());
        (!is_secret).then_some(form)
    }

    /// What is shown instead of a page.
    fn failed(&self, failed: Failed) -> Response {
        let is_form = self.request.route().starts_with("POST ");
        let back = is_form.then(|| self.request.target());
        match failed {
            Failed::Asked(Problem { status: 401, .. }) => session::missing(self.request, is_form),
            // Who sets it up goes on with this very session, here; who has one signs in again, and goes on here.
            Failed::Asked(problem) if problem.code == "two_factor_required" => {
                let target = self.request.target();
                let next = session::place(&target).unwrap_or("/orgs");
                Response::redirect(303, session::with_next("/totp", next))
            }
            Failed::Asked(problem) => match self.kept().filter(|_| is_form && problem.status == 503) {
                Some(form) => page::send_again(self.request, &form),
                None => page::problem(problem.kind(), self.request.id(), back),
            },
            Failed::Own(kind) => page::problem(kind, self.request.id(), back),
        }
    }
}
