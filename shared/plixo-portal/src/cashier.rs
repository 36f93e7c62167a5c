//! Stripe Checkout on an organisation's own account.

use jiff::Timestamp;
use plixo_aws::secrets::ReadSecret;
use plixo_domain::id::OrgId;
use plixo_domain::ledger::{Checkout as Begun, Invoice, Kept, Payment, StripeKeyEntry, is_on_its_way};
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{ExternalRef, Provider};
use plixo_envelope::KeyService;
use plixo_lambda::recent::Recent;
use plixo_store::{Store, StoreError, Tables};
use plixo_stripe::{Checkout, Order, Session, SessionStatus, StripeError};

use crate::Trouble;

/// How long an organisation's key is kept in memory, seconds.
const KEPT_SECONDS: i64 = 300;
/// Of how many organisations.
const ROOM: usize = 4096;

/// Who asks Stripe.
#[derive(Debug)]
pub struct Cashier<V, C> {
    vault: V,
    known: Recent<OrgId, Secret>,
    stripe: C,
}

/// Why Stripe did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotPaid {
    /// The organisation has no key that Stripe takes.
    #[error("the organisation's Stripe account: {0}")]
    NotConnected(String),
    /// Stripe will not do this.
    #[error("Stripe refused: {0}")]
    Refused(String),
    /// It may work later.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Where a payer comes back to.
#[derive(Debug, Clone, Copy)]
pub struct Back<'a> {
    /// Having paid.
    pub paid: &'a str,
    /// Having not.
    pub cancelled: &'a str,
}

impl<V: ReadSecret, C: Checkout> Cashier<V, C> {
    /// One whose keys are in that vault, each under its organisation's id.
    #[must_use]
    pub fn new(vault: V, stripe: C) -> Self {
        Self { vault, known: Recent::new(KEPT_SECONDS, ROOM), stripe }
    }

    /// The session of a checkout as it stands at Stripe. One that Stripe was not heard of yet is asked for, as it was before if it
    /// was.
    ///
    /// # Errors
    /// [`NotPaid`].
    pub async fn session(
        &self,
        org: &OrgId,
        invoice: &Invoice,
        begun: &Begun,
        back: Back<'_>,
        now: Timestamp,
    ) -> Result<Session, NotPaid> {
        if let Some(session) = &begun.session {
            return self.retrieve(org, session.as_str(), now).await;
        }
        let order = Order {
            idempotency_key: begun.idempotency_key(&invoice.id),
            amount: begun.amount,
            description: invoice.number.clone(),
            invoice: invoice.id,
            org: *org,
            locale: "auto",
            success_url: back.paid.to_owned(),
            cancel_url: back.cancelled.to_owned(),
            expires_at: begun.expires_at(),
        };
        self.with_key(org, now, async |key| self.stripe.create(key, &order).await).await
    }

    /// A session as it stands at Stripe.
    ///
    /// # Errors
    /// [`NotPaid`].
    pub async fn retrieve(&self, org: &OrgId, session: &str, now: Timestamp) -> Result<Session, NotPaid> {
        self.with_key(org, now, async |key| self.stripe.retrieve(key, session).await).await
    }

    /// Ends a session, so that nobody can pay in it, and answers how it stands then: somebody may have paid already.
    ///
    /// # Errors
    /// [`NotPaid`].
    pub async fn expire(&self, org: &OrgId, session: &str, now: Timestamp) -> Result<Session, NotPaid> {
        self.with_key(org, now, async |key| self.stripe.expire(key, session).await).await
    }

    /// With the organisation's key. One that was refused may have been replaced: then once more, with the key that the vault has
    /// by now.
    async fn with_key<R>(
        &self,
        org: &OrgId,
        now: Timestamp,
        ask: impl AsyncFn(&Secret) -> Result<R, StripeError>,
    ) -> Result<R, NotPaid> {
        if let Some(key) = self.known.get(org, now) {
            match ask(&key).await {
                Err(StripeError::KeyRefused(_)) => self.known.forget(org),
                done => return done.map_err(not_paid),
            }
        }
        let key = self.read_key(org).await?;
        let done = ask(&key).await;
        if !matches!(done, Err(StripeError::KeyRefused(_))) {
            self.known.keep(*org, now, key);
        }
        done.map_err(not_paid)
    }

    async fn read_key(&self, org: &OrgId) -> Result<Secret, NotPaid> {
        let missing = || NotPaid::NotConnected("there is no key".to_owned());
        let entry = self.vault.read_secret(&org.to_string()).await.map_err(Trouble::from)?;
        // The error would quote the entry.
        let odd = || Trouble::Internal(format!("{org}: the vault's entry is none of a Stripe account"));
        let entry: StripeKeyEntry =
            serde_json::from_str(entry.ok_or_else(missing)?.reveal()).map_err(|_| odd())?;
        if entry.v != StripeKeyEntry::VERSION {
            return Err(odd().into());
        }
        entry.key.ok_or_else(missing)
    }
}

fn not_paid(error: StripeError) -> NotPaid {
    let cause = error.to_string();
    match error {
        StripeError::Unavailable(_) => Trouble::Unavailable(cause).into(),
        StripeError::KeyRefused(_) => NotPaid::NotConnected(cause),
        StripeError::NotFound | StripeError::Refused(_) => NotPaid::Refused(cause),
    }
}

/// Whether a session took money that Plixo has not heard of yet: until then nobody is to pay again.
///
/// # Errors
/// [`StoreError`].
pub async fn took_unheard_money<T: Tables, K: KeyService>(
    store: &Store<T, K>,
    org: &OrgId,
    session: &Session,
) -> Result<bool, StoreError> {
    if session.status != SessionStatus::Complete {
        return Ok(false);
    }
    let Some(id) = session.payment_intent.clone() else { return Ok(false) };
    let name = ExternalRef { provider: Provider::Stripe, id };
    let rows = store.read(org, vec![Payment::key(&name)]).await?;
    let payment = rows.iter().find_map(|(_, stored)| stored.as_ref());
    Ok(is_on_its_way(payment.and_then(|(row, _)| Payment::of(row))))
}
