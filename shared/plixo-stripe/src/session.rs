use plixo_domain::secret::Secret;
use plixo_domain::webhook::ExternalId;
use serde::Deserialize;

/// A [Checkout Session](https://docs.stripe.com/api/checkout/sessions/object): Stripe's page for one payment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Told")]
pub struct Session {
    /// `cs_…`.
    pub id: ExternalId,
    /// The page. Whoever has it can pay. A session that is not open has none.
    pub url: Option<Secret>,
    /// How it stands.
    pub status: SessionStatus,
    /// Whether the money is there, or none was asked for. One that is complete and not paid waits for its bank, for days.
    pub is_paid: bool,
    /// The money's name, `pi_…`, once somebody tried to pay.
    pub payment_intent: Option<ExternalId>,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    /// It waits for its payer.
    Open,
    /// Its payer is through.
    Complete,
    /// Nobody can pay any more.
    Expired,
}

/// What Plixo reads of Stripe's answer. A word that Stripe's reference does not have is an error, never guessed at.
#[derive(Deserialize)]
struct Told {
    id: ExternalId,
    url: Option<Secret>,
    status: SessionStatus,
    payment_status: PaymentStatus,
    payment_intent: Option<ExternalId>,
}

#[derive(PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PaymentStatus {
    Paid,
    Unpaid,
    NoPaymentRequired,
}

impl From<Told> for Session {
    fn from(told: Told) -> Self {
        Self {
            id: told.id,
            url: told.url,
            status: told.status,
            is_paid: told.payment_status != PaymentStatus::Unpaid,
            payment_intent: told.payment_intent,
        }
    }
}
