//! The way to Stripe. Of one invoice, at most one session at a time can be paid in: see `plixo_domain::ledger::Checkout`.

use jiff::SignedDuration;
use plixo_aws::secrets::ReadSecret;
use plixo_aws::ses::SendEmail;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::ledger::{
    Book, Checkout as Begun, Invoice, StripeAccount, begin_checkout, end_checkout, note_session,
};
use plixo_domain::stripe;
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_links::Claims;
use plixo_portal::Trouble;
use plixo_portal::cashier::{Back, NotPaid, took_unheard_money};
use plixo_store::Tables;
use plixo_stripe::{Checkout, Session, SessionStatus};

use crate::invoice::{AGAIN, CANCELLED, FAILED, OTHER, PAID, UNSURE};
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
        let (claims, book) = self.entered("checkout.begin").await?;
        if self.is_of_another(&claims) {
            return Ok(Response::redirect(303, OTHER.to_owned()));
        }
        let mut known = Some(book);
        for _ in 0..STEPS {
            let book = match known.take() {
                Some(book) => book,
                None => self.entered("checkout.begin").await?.1,
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
        let account = book.get::<StripeAccount>(&())?.filter(|account| account.is_taken());
        let account = account.map(|account| account.fingerprint);
        let can_pay = invoice.takes_payment() && stripe::takes(invoice.balance());
        let Some(key) = account.filter(|_| can_pay) else {
            return Ok(Step::Done("/p/session".to_owned()));
        };
        let Some(live) = invoice.live_checkout().cloned() else {
            begin_checkout(&mut book, &invoice.id, key, self.now)?;
            return self.write(claims, book, "checkout.begin").await;
        };
        if live.session.is_none() && live.begun_at.duration_until(self.now) > UNHEARD {
            return self.over(claims, book, &live);
        }
        let session = match self.ask_stripe(claims, &invoice, &live).await {
            Ok(session) => session,
            Err(NotPaid::NoSession) => return self.over(claims, book, &live),
            Err(error) => {
                self.note_failure(claims, &mut book, &live, &error).await?;
                return Ok(Step::Done(self.not_paid(&live, &error).to_owned()));
            }
        };
        let session = if session.status == SessionStatus::Open && live.amount != invoice.balance() {
            match self.portal.cashier.expire(&claims.org, live.key, &session.id, self.now).await {
                Ok(session) => session,
                Err(error) => return Ok(Step::Done(self.not_paid(&live, &error).to_owned())),
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
                    if session.is_paid && live.expires_at() < self.now {
                        // An hour is long for a webhook: perhaps none is on its way.
                        self.failed(
                            "paid_and_unheard",
                            "Stripe has the money, and no webhook tells of it".to_owned(),
                        );
                    }
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
        let of = claims.link;
        let (paid, cancelled) =
            (format!("{base_url}{PAID}&of={of}"), format!("{base_url}{CANCELLED}&of={of}"));
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
            self.failed(
                "stripe_elsewhere",
                "Stripe's page is not where STRIPE_CHECKOUT_ORIGIN says".to_owned(),
            );
            return Ok(Step::Done(AGAIN.to_owned()));
        };
        if live.session.is_some() {
            // It is shown once more.
            let deed = ("checkout.open", Object::new("invoice", claims.invoice), Outcome::Allowed, &[][..]);
            self.commit(claims, &Book::default(), &[deed]).await?;
        } else {
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

    /// What the payer is told where Stripe did not do its part. That nothing was charged is said only where nothing can have been.
    fn not_paid(&mut self, live: &Begun, error: &NotPaid) -> &'static str {
        let (outcome, is_refused) = match error {
            NotPaid::NotConnected(_) => ("stripe_not_connected", false),
            NotPaid::KeyRefused(_) => ("stripe_key_refused", false),
            NotPaid::Refused(_) | NotPaid::NoSession => ("stripe_refused", true),
            NotPaid::Trouble(Trouble::Unavailable(_)) => ("stripe_unavailable", false),
            NotPaid::Trouble(Trouble::Internal(_)) => ("internal", false),
        };
        self.failed(outcome, error.to_string());
        match (live.session.is_some(), is_refused) {
            (true, _) => UNSURE,
            (false, true) => FAILED,
            (false, false) => AGAIN,
        }
    }

    /// Notes that a session was never made, so that the next try is another one to Stripe; and that Stripe refuses the key that is
    /// connected: staff see it, and payers are asked for nothing that they cannot do.
    async fn note_failure(
        &self,
        claims: &Claims,
        book: &mut Book,
        live: &Begun,
        error: &NotPaid,
    ) -> Result<(), Failed> {
        let mut deeds = Vec::new();
        if live.session.is_none() && end_checkout(book, &claims.invoice, live.attempt)? {
            let invoice = Object::new("invoice", claims.invoice);
            deeds.push(("checkout.end", invoice, Outcome::Allowed, &["checkout"][..]));
        }
        let account =
            book.get::<StripeAccount>(&())?.filter(|it| it.fingerprint == live.key && it.is_taken());
        if let (NotPaid::KeyRefused(_), Some(account)) = (error, account.cloned()) {
            book.put(StripeAccount { refused_at: Some(self.now), ..account })?;
            let org = Object::new("organisation", claims.org);
            deeds.push(("stripe_account.refuse", org, Outcome::Allowed, &["stripe_account"][..]));
        }
        if !deeds.is_empty() {
            self.commit(claims, book, &deeds).await?;
        }
        Ok(())
    }

    /// An alarm rings, whatever the payer is shown.
    fn failed(&mut self, outcome: &'static str, cause: String) {
        (self.line.outcome, self.line.error) = (outcome, Some(cause));
        self.line.level = plixo_lambda::line::Level::Error;
        self.line.metrics.errors = 1;
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
