use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use plixo_domain::id::InvoiceId;
use plixo_domain::money::Money;
use plixo_domain::secret::Secret;
use plixo_stripe::{Checkout, Order, Session, SessionStatus, StripeError};

use crate::Faults;

/// A session as Stripe has it.
#[derive(Debug, Clone)]
pub struct FakeSession {
    /// What its idempotency key was.
    pub key: String,
    /// Of which invoice it is.
    pub invoice: InvoiceId,
    /// What it asks for.
    pub amount: Money,
    /// How it stands.
    pub session: Session,
}

/// Stripe's Checkout.
#[derive(Debug, Clone, Default)]
pub struct FakeStripe {
    sessions: Arc<Mutex<BTreeMap<String, FakeSession>>>,
    refused: Arc<Mutex<Vec<String>>>,
    made: Arc<AtomicUsize>,
    faults: Faults,
}

impl FakeStripe {
    /// Without sessions; calls go wrong as planned.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self { faults, ..Self::default() }
    }

    /// Where its page is.
    pub const ORIGIN: &'static str = "https://checkout.stripe.example";

    /// Takes that key no more.
    pub fn refuse(&self, key: &str) {
        self.refused.lock().unwrap().push(key.to_owned());
    }

    /// All sessions, in the order in which they were made.
    #[must_use]
    pub fn sessions(&self) -> Vec<FakeSession> {
        self.sessions.lock().unwrap().values().cloned().collect()
    }

    /// The session of that page, while somebody can pay there.
    #[must_use]
    pub fn open(&self, url: &str) -> Option<FakeSession> {
        let sessions = self.sessions.lock().unwrap();
        sessions.values().find(|it| it.session.url.as_ref().is_some_and(|own| own.reveal() == url)).cloned()
    }

    /// Pays in the session of that page; the name of the money, unless nobody can pay there. With a bank debit the money is on its
    /// way for days.
    #[must_use]
    pub fn pay(&self, url: &str, is_debit: bool) -> Option<FakeSession> {
        let mut sessions = self.sessions.lock().unwrap();
        let found = sessions
            .values_mut()
            .find(|it| it.session.url.as_ref().is_some_and(|own| own.reveal() == url))?;
        found.session.status = SessionStatus::Complete;
        found.session.url = None;
        found.session.is_paid = !is_debit;
        found.session.payment_intent = Some(found.session.id.as_str().replace("cs_", "pi_").parse().unwrap());
        Some(found.clone())
    }

    /// It never was.
    pub fn lose(&self, id: &str) {
        self.sessions.lock().unwrap().remove(id);
    }

    /// Its time is over.
    pub fn end(&self, id: &str) {
        let mut sessions = self.sessions.lock().unwrap();
        let session = &mut sessions.get_mut(id).unwrap().session;
        (session.status, session.url) = (SessionStatus::Expired, None);
    }

    async fn call<R>(
        &self,
        key: &Secret,
        work: impl FnOnce() -> Result<R, StripeError>,
    ) -> Result<R, StripeError> {
        let down = || StripeError::Unavailable("a planned fault".to_owned());
        let known = || {
            if self.refused.lock().unwrap().iter().any(|refused| refused == key.reveal()) {
                return Err(StripeError::KeyRefused("401".to_owned()));
            }
            work()
        };
        self.faults.call(down, known).await
    }
}

impl Checkout for FakeStripe {
    async fn create(&self, key: &Secret, order: &Order) -> Result<Session, StripeError> {
        self.call(key, || {
            let mut sessions = self.sessions.lock().unwrap();
            if let Some(before) = sessions.values().find(|it| it.key == order.idempotency_key) {
                // As it was then.
                let id = before.session.id.clone();
                let url = Some(Secret::new(format!("{}/{id}", Self::ORIGIN)));
                let status = SessionStatus::Open;
                return Ok(Session { id, url, status, is_paid: false, payment_intent: None });
            }
            let id = format!("cs_{:04}", self.made.fetch_add(1, Ordering::SeqCst));
            let session = Session {
                id: id.parse().unwrap(),
                url: Some(Secret::new(format!("{}/{id}", Self::ORIGIN))),
                status: SessionStatus::Open,
                is_paid: false,
                payment_intent: None,
            };
            let (key, invoice) = (order.idempotency_key.clone(), order.invoice);
            sessions.insert(id, FakeSession { key, invoice, amount: order.amount, session: session.clone() });
            Ok(session)
        })
        .await
    }

    async fn retrieve(&self, key: &Secret, id: &str) -> Result<Session, StripeError> {
        self.call(key, || {
            let found = self.sessions.lock().unwrap().get(id).map(|it| it.session.clone());
            found.ok_or(StripeError::NotFound)
        })
        .await
    }

    async fn expire(&self, key: &Secret, id: &str) -> Result<Session, StripeError> {
        self.call(key, || {
            let mut sessions = self.sessions.lock().unwrap();
            let session = &mut sessions.get_mut(id).ok_or(StripeError::NotFound)?.session;
            if session.status == SessionStatus::Open {
                (session.status, session.url) = (SessionStatus::Expired, None);
            }
            Ok(session.clone())
        })
        .await
    }
}
