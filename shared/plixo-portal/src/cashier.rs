//! Stripe Checkout on an organisation's own account.

use std::sync::Arc;

use jiff::Timestamp;
use plixo_aws::secrets::ReadSecret;
use plixo_domain::id::OrgId;
use plixo_domain::ledger::{Checkout as Begun, Invoice, Kept, Payment, StripeKeyEntry, is_on_its_way};
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{ExternalId, ExternalRef, Fingerprint, Provider};
use plixo_envelope::KeyService;
use plixo_lambda::hash::sha256;
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
    known: Recent<OrgId, Arc<StripeKeyEntry>>,
    stripe: C,
}

/// Why Stripe did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotPaid {
    /// The vault has not the key.
    #[error("the organisation's Stripe account: {0}")]
    NotConnected(String),
    /// Stripe does not take the key, or not for this.
    #[error("Stripe refuses the organisation's key: {0}")]
    KeyRefused(String),
    /// The account of that key has no such session.
    #[error("Stripe has no such session")]
    NoSession,
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
    /// One whose keys are in that vault, those of an organisation under its id.
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
        if let Some(session) = self.retrieve(org, begun, now).await? {
            return Ok(session);
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
        self.with_key(org, begun.key, now, async |key| self.stripe.create(key, &order).await).await
    }

    /// The session of a checkout as it stands at Stripe; `None` where Stripe's answer was never written down.
    ///
    /// # Errors
    /// [`NotPaid`].
    pub async fn retrieve(
        &self,
        org: &OrgId,
        begun: &Begun,
        now: Timestamp,
    ) -> Result<Option<Session>, NotPaid> {
        let Some(session) = &begun.session else { return Ok(None) };
        let retrieve = async |key: &Secret| self.stripe.retrieve(key, session.as_str()).await;
        self.with_key(org, begun.key, now, retrieve).await.map(Some)
    }

    /// Ends a checkout's session, so that nobody can pay in it, and answers how it stands then: somebody may have paid already.
    ///
    /// # Errors
    /// [`NotPaid`].
    pub async fn expire(
        &self,
        org: &OrgId,
        key: Fingerprint,
        session: &ExternalId,
        now: Timestamp,
    ) -> Result<Session, NotPaid> {
        self.with_key(org, key, now, async |key| self.stripe.expire(key, session.as_str()).await).await
    }

    /// With that key of the organisation's and no other: another one may be of another account.
    async fn with_key<R>(
        &self,
        org: &OrgId,
        wanted: Fingerprint,
        now: Timestamp,
        ask: impl AsyncFn(&Secret) -> Result<R, StripeError>,
    ) -> Result<R, NotPaid> {
        let find = |entry: &StripeKeyEntry| entry.keys(now).find(|key| fingerprint(key) == wanted).cloned();
        let known = self.known.get(org, now).and_then(|entry| find(&entry));
        let key = match known {
            Some(key) => key,
            None => {
                let entry = Arc::new(self.read(org).await?);
                self.known.keep(*org, now, Arc::clone(&entry));
                find(&entry).ok_or_else(|| NotPaid::NotConnected("the key is gone".to_owned()))?
            }
        };
        ask(&key).await.map_err(not_paid)
    }

    async fn read(&self, org: &OrgId) -> Result<StripeKeyEntry, NotPaid> {
        let entry = self.vault.read_secret(&org.to_string()).await.map_err(Trouble::from)?;
        let entry = entry.ok_or_else(|| NotPaid::NotConnected("there is no key".to_owned()))?;
        // The error would quote the entry.
        let odd = || Trouble::Internal(format!("{org}: the vault's entry is none of a Stripe account"));
        let entry: StripeKeyEntry = serde_json::from_str(entry.reveal()).map_err(|_| odd())?;
        if entry.v == StripeKeyEntry::VERSION { Ok(entry) } else { Err(odd().into()) }
    }
}

/// SHA-256 of a key, by which it is found again.
#[must_use]
pub fn fingerprint(key: &Secret) -> Fingerprint {
    Fingerprint(sha256(key.reveal().as_bytes()))
}

fn not_paid(error: StripeError) -> NotPaid {
    let cause = error.to_string();
    match error {
        StripeError::Unavailable(_) => Trouble::Unavailable(cause).into(),
        StripeError::KeyRefused(_) => NotPaid::KeyRefused(cause),
        StripeError::NotFound => NotPaid::NoSession,
        StripeError::Refused(_) => NotPaid::Refused(cause),
    }
}

/// Whether a session took, or may take, money that Plixo has not heard of yet: until then nobody is to pay again.
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
    Ok(is_on_its_way(session.is_paid, payment.and_then(|(row, _)| Payment::of(row))))
}
