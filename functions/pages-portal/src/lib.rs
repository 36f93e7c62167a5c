#![doc = include_str!("../README.md")]

mod checkout;
mod door;
mod fresh;
mod invoice;
mod logo;
#[cfg(test)]
mod tests;
mod visit;

use plixo_aws::secrets::ReadSecret;
use plixo_aws::ses::SendEmail;
use plixo_envelope::KeyService;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_portal::cashier::Cashier;
use plixo_portal::links::LinkKeys;
use plixo_store::{Entropy, Store, Tables};
use plixo_stripe::Checkout;

use visit::Visit;

/// This function's name.
pub const FUNCTION: &str = "pages-portal";

const SESSION: &str = "GET /p/session";
const CHECKOUT: &str = "POST /p/session/checkout";
const FRESH_OF_SESSION: &str = "POST /p/session/fresh-link";
const DOOR: &str = "GET /p/{token}";
const DOOR_WITHOUT_BODY: &str = "HEAD /p/{token}";
const OPEN: &str = "POST /p/{token}";
const FRESH: &str = "POST /p/{token}/fresh-link";
const LOGO: &str = "GET /logos/{org}/{file}";
const AFTER_CHECKOUT: &str = "GET /p/session/checkout";
const AFTER_FRESH_OF_SESSION: &str = "GET /p/session/fresh-link";
const AFTER_FRESH: &str = "GET /p/{token}/fresh-link";

/// The routes that it answers, as the gateway names them.
pub const ROUTES: [&str; 11] = [
    SESSION,
    CHECKOUT,
    FRESH_OF_SESSION,
    DOOR,
    DOOR_WITHOUT_BODY,
    OPEN,
    FRESH,
    LOGO,
    AFTER_CHECKOUT,
    AFTER_FRESH_OF_SESSION,
    AFTER_FRESH,
];

/// Where the stack is, and Stripe.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where payers reach the stack, without a slash at the end. Without it, at the domain name that was asked.
    pub base_url: Option<String>,
    /// Where Stripe's page is, to which payers are sent, and nowhere else: an origin, without a slash at the end.
    pub checkout_origin: String,
}

/// What payers see.
#[derive(Debug)]
pub struct Portal<T, K, V, C, M> {
    /// The tables.
    pub store: Store<T, K>,
    /// The keys that sign links and sessions.
    pub keys: LinkKeys<V>,
    /// Who asks Stripe.
    pub cashier: Cashier<V, C>,
    /// Who carries email.
    pub mail: M,
    /// Where it is.
    pub place: Place,
    /// Of which ids are made, and what only one browser is told.
    pub entropy: Entropy,
}

impl<T: Tables, K: KeyService, V: ReadSecret, C: Checkout, M: SendEmail> Portal<T, K, V, C, M> {
    /// Answers one request.
    pub async fn handle(&self, request: &Request, mut line: Line) -> (Response, Line) {
        let route = ROUTES.into_iter().find(|route| *route == request.route());
        line.route = route.or(Some("none"));
        line.outcome = "done";
        let mut visit = Visit::new(self, request, line);
        let done = match route {
            Some(SESSION) => visit.invoice().await,
            Some(CHECKOUT) => visit.checkout().await,
            Some(FRESH_OF_SESSION | FRESH) => visit.fresh_link().await,
            Some(DOOR | DOOR_WITHOUT_BODY) => visit.door().await,
            Some(OPEN) => visit.open().await,
            // Whoever comes to a form's address by other ways than the form, such as a tab that is restored.
            Some(AFTER_CHECKOUT | AFTER_FRESH_OF_SESSION | AFTER_FRESH) => Ok(visit.back()),
            Some(LOGO) => visit.logo().await,
            _ => Err(visit::Failed::NotFound),
        };
        visit.answer(done)
    }
}
