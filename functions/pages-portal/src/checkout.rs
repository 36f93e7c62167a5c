//! The way to Stripe. Of one invoice, at most one session at a time can be paid in: see `plixo_domain::ledger::Checkout`.

use jiff::SignedDuration;
use plixo_aws::secrets::ReadSecret;
use plixo_aws::ses::SendEmail;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::ledger::{
    Book, Checkout as Begun, Invoice, StripeAccount, begin_checkout, end_checkout, note_session,
};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_links::Claims;
use plixo_portal::Trouble;
use plixo_portal::cashier::{Back, NotPaid, took_unheard_money};
use plixo_store::Tables;
use plixo_stripe::{Checkout, Session, SessionStatus};

use crate::invoice::{AGAIN, CANCELLED, FAILED, PAID};
use crate::visit::{Failed, Visit};

/// How many steps the way to a session has at most: each reads the invoice anew, or knows it as it was just written.
const STEPS: usize = 12;
/// How long Stripe's answer may take to be written down, longer than this function runs. A session of which it never was can be
/// paid by nobody, for nobody was sent there.
const UNHEARD: SignedDuration = SignedDuration::from_secs(30);

impl<T: Tables, K: KeyService, V: ReadSecret, C: Checkout, M: SendEmail> Visit<'_, T, K, V, C, M> {
    /// Sends the payer to a session in which what is open now can be paid.
    pub(crate) async fn checkout(&mut self) -> Result<Response, Failed> {
        self.refuse_foreign()?;
        let (claims, book) = self.entered().await?;
        let mut known = Some(book);
        for _ in 0..STEPS {
            let book = match known.take() {
                Some(book) => book,
                None => self.entered().await?.1,
            };
            match self.step(&claims, book).await? {
                Step::Done(to) => return Ok(Response::redirect(303, to)),
                Step::Known(book) => known = Some(*book),
                Step::Overtaken => {}
            }
        }
        self.line.outcome = "overtaken";
        Ok(Response::redirect(303, AGAIN.to_owned()))
    }

    async fn step(&mut self, claims: &Claims, mut book: Book) -> Result<Step, Failed> {
        let Some(invoice) = book.get::<Invoice>(&claims.invoice)?.cloned() else {
            return Err(Failed::NotFound);
        };
        if !invoice.takes_payment() || book.get::<StripeAccount>(&())?.is_none() {
            return Ok(Step::Done("/p/session".to_owned()));
        }
        let Some(live) = invoice.live_checkout().cloned() else {
            begin_checkout(&mut book, &invoice.id, self.now)?;
            return self.write(claims, book, "checkout.begin").await;
        };
        if live.session.is_none() && live.begun_at.duration_until(self.now) > UNHEARD {
            return self.over(claims, book, &live);
        }
        let session = match self.ask_stripe(claims, &invoice, &live).await {
            Ok(session) => session,
            Err(error) => {
                if live.session.is_none() {
                    // So that the next try is another one to Stripe.
                    end_checkout(&mut book, &claims.invoice, live.attempt)?;
                    self.write(claims, book, "checkout.end").await?;
                }
                return Ok(Step::Done(self.not_paid(&error).to_owned()));
            }
        };
        let session = if session.status == SessionStatus::Open && live.amount != invoice.balance() {
            match self.portal.cashier.expire(&claims.org, session.id.as_str(), self.now).await {
                Ok(session) => session,
                Err(error) => return Ok(Step::Done(self.not_paid(&error).to_owned())),
            }
        } else {
            session
        };
        match session.status {
            SessionStatus::Expired => self.over(claims, book, &live),
            SessionStatus::Open if live.amount != invoice.balance() => Ok(Step::Done(AGAIN.to_owned())),
            SessionStatus::Open => self.send(claims, book, &live, &session).await,
            SessionStatus::Complete => {
                if took_unheard_money(&self.portal.store, &claims.org, &session).await? {
                    return Ok(Step::Done(PAID.to_owned()));
                }
                self.over(claims, book, &live)
            }
        }
    }

    /// That try is over; the next step begins another, and writes both.
    fn over(&self, claims: &Claims, mut book: Book, live: &Begun) -> Result<Step, Failed> {
        end_checkout(&mut book, &claims.invoice, live.attempt)?;
        Ok(Step::Known(Box::new(book)))
    }

    async fn ask_stripe(&self, claims: &Claims, invoice: &Invoice, live: &Begun) -> Result<Session, NotPaid> {
        let base_url = self.request.base_url(self.portal.place.base_url.as_deref());
        let (paid, cancelled) = (format!("{base_url}{PAID}"), format!("{base_url}{CANCELLED}"));
        let back = Back { paid: &paid, cancelled: &cancelled };
        self.portal.cashier.session(&claims.org, invoice, live, back, self.now).await
    }

    /// Sends the payer to an open session. Nobody is sent to one that is not written down: whatever settles the invoice meets it
    /// there, and ends it.
    async fn send(
        &mut self,
        claims: &Claims,
        mut book: Book,
        live: &Begun,
        session: &Session,
    ) -> Result<Step, Failed> {
        let origin = format!("{}/", self.portal.place.checkout_origin.trim_end_matches('/'));
        let url = session.url.as_ref().map(|url| url.reveal()).filter(|url| url.starts_with(&origin));
        let Some(url) = url else {
            self.line.error = Some("Stripe's page is not where STRIPE_CHECKOUT_ORIGIN says".to_owned());
            return Ok(Step::Done(AGAIN.to_owned()));
        };
        if live.session.is_none() {
            note_session(&mut book, &claims.invoice, live.attempt, &session.id)?;
            if !matches!(self.write(claims, book, "checkout.open").await?, Step::Known(_)) {
                return Ok(Step::Overtaken);
            }
        }
        self.line.outcome = "sent_to_stripe";
        Ok(Step::Done(url.to_owned()))
    }

    async fn write(&self, claims: &Claims, book: Book, action: &str) -> Result<Step, Failed> {
        let deed = (action, Object::new("invoice", claims.invoice), Outcome::Allowed, &["checkout"][..]);
        let done = self.commit(claims, &book, &[deed]).await?;
        Ok(if done { Step::Known(Box::new(book.committed())) } else { Step::Overtaken })
    }

    /// What the payer is told where Stripe made no session. Nothing was charged.
    fn not_paid(&mut self, error: &NotPaid) -> &'static str {
        self.line.error = Some(error.to_string());
        let (outcome, to) = match error {
            NotPaid::NotConnected(_) => ("stripe_key_refused", AGAIN),
            NotPaid::Refused(_) => ("stripe_refused", FAILED),
            NotPaid::Trouble(Trouble::Unavailable(_)) => ("stripe_unavailable", AGAIN),
            NotPaid::Trouble(Trouble::Internal(_)) => ("internal", AGAIN),
        };
        self.line.outcome = outcome;
        self.line.level = plixo_lambda::line::Level::Error;
        self.line.metrics.errors = 1;
        to
    }
}

enum Step {
    /// The payer goes there.
    Done(String),
    /// The rows as they are by now.
    Known(Box<Book>),
    /// Others changed the invoice: it is to be read anew.
    Overtaken,
}
