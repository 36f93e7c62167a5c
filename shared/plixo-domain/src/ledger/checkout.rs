//! Paying an invoice at Stripe Checkout: of one invoice, at most one session at a time in which somebody can pay.
//!
//! That a session is to be made is written down before Stripe is asked, on the invoice itself: so whatever settles the invoice
//! meets it, and whoever finds it without Stripe's answer asks Stripe once more, with the same idempotency key.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Book, Invoice, Payment, Stage, Unread, Witness};
use crate::id::InvoiceId;
use crate::money::Money;
use crate::webhook::{ExternalId, Fingerprint};

/// How long a session can be paid in. Stripe takes 30 minutes to 24 hours, by its own clock.
pub const CHECKOUT: SignedDuration = SignedDuration::from_mins(60);

/// That a payer began to pay an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// Which time it is, from 1.
    pub attempt: u32,
    /// What is to be paid: what was open then.
    pub amount: Money,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// By which of the organisation's Stripe keys: that key alone can look for the session and end it.
    pub key: Fingerprint,
    /// Stripe's session, once its answer is written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<ExternalId>,
    /// Whether it is known that nobody can pay in it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
}

impl Checkout {
    /// Under which [idempotency key](https://docs.stripe.com/api/idempotent_requests) Stripe makes its session.
    #[must_use]
    pub fn idempotency_key(&self, invoice: &InvoiceId) -> String {
        format!("{invoice}-{}-{}", self.attempt, self.begun_at.as_second())
    }

    /// When Stripe ends its session by itself.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.begun_at.saturating_add(CHECKOUT).unwrap_or(Timestamp::MAX)
    }
}

impl Invoice {
    /// The session in which somebody may be paying.
    #[must_use]
    pub fn live_checkout(&self) -> Option<&Checkout> {
        self.checkout.as_ref().filter(|checkout| !checkout.over)
    }

    /// Whether that session asks for what is not, or no longer, to be paid.
    #[must_use]
    pub fn has_stale_checkout(&self) -> bool {
        self.live_checkout().is_some_and(|live| !self.takes_payment() || live.amount != self.balance())
    }
}

/// Whether the money of a session whose payer is through may come still, or has come and was not heard of: until then nobody pays
/// again. `is_paid` is what Stripe says of the session. That a try failed says nothing of the next one in the same session, which is
/// of the same money: so of an unpaid session, only what was said after its completion counts.
#[must_use]
pub fn is_on_its_way(is_paid: bool, payment: Option<&Payment>) -> bool {
    let Some(payment) = payment else { return true };
    if payment.money.values().any(|said| said.state == Stage::Received) {
        return false;
    }
    let Some(session) = payment.money.get(&Witness::Session).filter(|_| !is_paid) else { return true };
    let failed = |stage| matches!(stage, Stage::Failed | Stage::Canceled);
    let failed_later = payment.money.values().any(|said| failed(said.state) && said.stamp > session.stamp);
    !(failed(session.state) || failed_later)
}

/// Begins to pay what is open. `None` where nothing is, or where a session is live: that one is to be ended first.
///
/// # Errors
/// [`Unread`].
pub fn begin_checkout(
    book: &mut Book,
    invoice: &InvoiceId,
    key: Fingerprint,
    now: Timestamp,
) -> Result<Option<Checkout>, Unread> {
    let owed = book.get::<Invoice>(invoice)?.filter(|it| it.takes_payment() && it.live_checkout().is_none());
    let Some(owed) = owed.cloned() else { return Ok(None) };
    let before = owed.checkout.as_ref().map_or(0, |checkout| checkout.attempt);
    let (attempt, amount) = (before.saturating_add(1), owed.balance());
    let begun = Checkout { attempt, amount, begun_at: now, key, session: None, over: false };
    book.put(Invoice { checkout: Some(begun.clone()), ..owed })?;
    Ok(Some(begun))
}

/// Notes which session Stripe made. False where that try is over by now: then its session is to be expired.
///
/// # Errors
/// [`Unread`].
pub fn note_session(
    book: &mut Book,
    invoice: &InvoiceId,
    attempt: u32,
    session: &ExternalId,
) -> Result<bool, Unread> {
    change(book, invoice, attempt, |live| Checkout { session: Some(session.clone()), ..live })
}

/// Notes that nobody can pay in that try's session any more. False where that was known.
///
/// # Errors
/// [`Unread`].
pub fn end_checkout(book: &mut Book, invoice: &InvoiceId, attempt: u32) -> Result<bool, Unread> {
    change(book, invoice, attempt, |live| Checkout { over: true, ..live })
}

fn change(
    book: &mut Book,
    invoice: &InvoiceId,
    attempt: u32,
    to: impl Fn(Checkout) -> Checkout,
) -> Result<bool, Unread> {
    let Some(found) = book.get::<Invoice>(invoice)?.cloned() else { return Ok(false) };
    let live = found.live_checkout().filter(|live| live.attempt == attempt).cloned();
    let Some(live) = live else { return Ok(false) };
    book.put(Invoice { checkout: Some(to(live)), ..found })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::staff::void_invoice;
    use crate::ledger::tests::invoice;
    use crate::ledger::{Kept, Row};

    const KEY: Fingerprint = Fingerprint([1; 32]);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn book() -> (Book, InvoiceId) {
        let owed = invoice(1, 10_000);
        let (mut book, of) = (Book::default(), owed.id);
        book.learn(Invoice::key(&of), Some((Row::Invoice(owed), 1)));
        (book, of)
    }

    fn found<'a>(book: &'a Book, of: &InvoiceId) -> &'a Invoice {
        book.get::<Invoice>(of).unwrap().unwrap()
    }

    #[test]
    fn one_session_of_an_invoice_is_live_at_a_time() {
        let (mut book, of) = book();
        let first = begin_checkout(&mut book, &of, KEY, at(0)).unwrap().unwrap();
        assert_eq!((first.attempt, first.amount.amount), (1, 10_000));
        assert_eq!(first.expires_at(), at(3600));
        assert_eq!(begin_checkout(&mut book, &of, KEY, at(1)), Ok(None));
        assert_eq!(end_checkout(&mut book, &of, 1), Ok(true));
        assert_eq!(end_checkout(&mut book, &of, 1), Ok(false));
        let second = begin_checkout(&mut book, &of, KEY, at(1)).unwrap().unwrap();
        assert_eq!(second.attempt, 2);
        assert_ne!(first.idempotency_key(&of), second.idempotency_key(&of));
    }

    #[test]
    fn a_late_answer_is_not_taken_for_a_try_that_is_over() {
        let (mut book, of) = book();
        let session: ExternalId = "cs_test_1".parse().unwrap();
        begin_checkout(&mut book, &of, KEY, at(0)).unwrap();
        end_checkout(&mut book, &of, 1).unwrap();
        assert_eq!(note_session(&mut book, &of, 1, &session), Ok(false));
        begin_checkout(&mut book, &of, KEY, at(1)).unwrap();
        assert_eq!(note_session(&mut book, &of, 1, &session), Ok(false));
        assert_eq!(note_session(&mut book, &of, 2, &session), Ok(true));
        assert_eq!(found(&book, &of).live_checkout().unwrap().session, Some(session));
    }

    #[test]
    fn what_settles_or_changes_the_balance_leaves_a_stale_session() {
        let (mut book, of) = book();
        begin_checkout(&mut book, &of, KEY, at(0)).unwrap();
        assert!(!found(&book, &of).has_stale_checkout());
        let mut less = found(&book, &of).clone();
        less.total.amount = 9_000;
        book.put(less).unwrap();
        assert!(found(&book, &of).has_stale_checkout());
        void_invoice(&mut book, &of, at(1)).unwrap();
        assert!(found(&book, &of).has_stale_checkout());
        assert_eq!(end_checkout(&mut book, &of, 1), Ok(true));
        assert!(!found(&book, &of).has_stale_checkout());
        assert_eq!(begin_checkout(&mut book, &of, KEY, at(1)), Ok(None), "there is nothing to pay");
    }

    fn said(of: &[(Witness, Stage, i64)]) -> Payment {
        let mut payment = crate::ledger::tests::payment();
        for (witness, state, at) in of.iter().copied() {
            let stamp = crate::ledger::Stamp { at, event: format!("evt_{at}") };
            let said =
                crate::ledger::Statement { state, stamp, amount: 10_000, currency: "EUR".parse().unwrap() };
            payment.money.insert(witness, said);
        }
        payment
    }

    #[test]
    fn until_the_money_is_heard_of_it_is_on_its_way() {
        use Stage::{Failed, Pending, Received};
        use Witness::{Intent, Session};
        assert!(is_on_its_way(true, None) && is_on_its_way(false, None));
        let declined = said(&[(Intent, Failed, 1)]);
        assert!(is_on_its_way(true, Some(&declined)), "it was paid at the next try");
        assert!(is_on_its_way(false, Some(&declined)), "it may be, by a debit");
        let debit = said(&[(Intent, Failed, 1), (Session, Pending, 2)]);
        assert!(is_on_its_way(false, Some(&debit)));
        let heard = said(&[(Intent, Received, 3), (Session, Pending, 2)]);
        assert!(!is_on_its_way(true, Some(&heard)) && !is_on_its_way(false, Some(&heard)));
        for failed in [
            said(&[(Session, Failed, 4), (Intent, Failed, 1)]),
            said(&[(Intent, Failed, 4), (Session, Pending, 2)]),
        ] {
            assert!(!is_on_its_way(false, Some(&failed)));
            assert!(is_on_its_way(true, Some(&failed)), "Stripe knows better");
        }
    }
}
