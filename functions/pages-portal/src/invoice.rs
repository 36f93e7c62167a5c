//! The invoice, to whom has a session of it.

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use plixo_aws::secrets::ReadSecret;
use plixo_aws::ses::SendEmail;
use plixo_domain::audit::{Object, Outcome};
use plixo_domain::id::OrgId;
use plixo_domain::ledger::{Book, Checkout as Begun, Invoice, InvoiceStatus, Line, StripeAccount};
use plixo_domain::money::{Money, MoneyError};
use plixo_envelope::KeyService;
use plixo_lambda::http::Response;
use plixo_pages::{PortalInvoice, PortalLine, PortalNote, PortalStanding};
use plixo_portal::Trouble;
use plixo_portal::cashier::{NotPaid, took_unheard_money};
use plixo_store::Tables;
use plixo_stripe::Checkout;

use crate::visit::{Failed, Visit, seller};

/// Where a payer comes to, and what the page says then.
pub(crate) const PAID: &str = "/p/session?paid";
pub(crate) const CANCELLED: &str = "/p/session?cancelled";
pub(crate) const FAILED: &str = "/p/session?failed";
pub(crate) const AGAIN: &str = "/p/session?again";
pub(crate) const UNSURE: &str = "/p/session?unsure";
pub(crate) const OTHER: &str = "/p/session?other";
/// How often the page of a payment that is not confirmed yet looks again by itself, seconds.
const LOOK_AGAIN: &str = "5";
/// Until when it does, after paying was begun.
const LOOKS_AGAIN: SignedDuration = SignedDuration::from_mins(15);

impl<T: Tables, K: KeyService, V: ReadSecret, C: Checkout, M: SendEmail> Visit<'_, T, K, V, C, M> {
    /// Shows the invoice.
    pub(crate) async fn invoice(&mut self) -> Result<Response, Failed> {
        let (claims, book) = self.entered("invoice.read").await?;
        let Some(invoice) = book.get::<Invoice>(&claims.invoice)? else { return Err(Failed::NotFound) };
        let seller = seller(&book)?.ok_or(Failed::NotFound)?;
        let standing = self.standing(&claims.org, &book, invoice).await?;
        let body = self.portal.store.open_body(&claims.org, invoice, self.now).await?;
        let lines = body.lines.into_iter().map(line).collect::<Result<_, _>>();
        let open = if invoice.takes_payment() { invoice.balance().amount } else { 0 };
        let money = |amount| Money { amount, ..invoice.total };
        let notes = [
            ("cancelled", PortalNote::Cancelled),
            ("failed", PortalNote::Failed),
            ("again", PortalNote::TryAgain),
            ("unsure", PortalNote::Unsure),
            ("other", PortalNote::Other),
        ];
        let note = if self.is_of_another(&claims) {
            Some(PortalNote::Other)
        } else {
            notes.into_iter().find(|(word, _)| self.says(word)).map(|(_, note)| note)
        };
        let page = PortalInvoice {
            language: self.language,
            seller,
            number: invoice.number.clone(),
            lines: lines.map_err(|error: MoneyError| Trouble::Internal(error.to_string()))?,
            memo: body.memo,
            total: invoice.total,
            paid: money(invoice.allocated()),
            open: money(open),
            due_on: invoice.due_on,
            today: self.now.to_zoned(TimeZone::UTC).date(),
            standing,
            note: note.filter(|note| *note == PortalNote::Other || standing == PortalStanding::Payable),
            link: claims.link,
        };
        let object = Object::new("invoice", claims.invoice);
        self.commit(&claims, &Book::default(), &[("invoice.read", object, Outcome::Allowed, &[])]).await?;
        let response = self.page(200, page.render());
        let begun = invoice.live_checkout().map(|live| live.begun_at.duration_until(self.now));
        if standing == PortalStanding::Confirming && begun.is_some_and(|since| since < LOOKS_AGAIN) {
            return Ok(response.with("refresh", LOOK_AGAIN.to_owned()));
        }
        Ok(response)
    }

    async fn standing(&self, org: &OrgId, book: &Book, invoice: &Invoice) -> Result<PortalStanding, Failed> {
        if !invoice.takes_payment() {
            let is_paid = invoice.status() == InvoiceStatus::Paid;
            return Ok(if is_paid { PortalStanding::Paid } else { PortalStanding::Withdrawn });
        }
        if self.says("paid")
            && let Some(live) = invoice.live_checkout()
            && let Some(standing) = self.of_payment(org, live).await?
        {
            return Ok(standing);
        }
        let is_connected = book.get::<StripeAccount>(&())?.is_some();
        Ok(if is_connected { PortalStanding::Payable } else { PortalStanding::NotOnline })
    }

    /// How a payment stands that Plixo has not heard of yet, if there is one. Where Stripe cannot be asked, whoever says that they
    /// paid is believed.
    async fn of_payment(&self, org: &OrgId, live: &Begun) -> Result<Option<PortalStanding>, Failed> {
        let session = match self.portal.cashier.retrieve(org, live, self.now).await {
            Ok(Some(session)) => session,
            Err(NotPaid::Trouble(_) | NotPaid::NotConnected(_)) => {
                return Ok(Some(PortalStanding::Confirming));
            }
            Ok(None) | Err(NotPaid::NoSession | NotPaid::Refused(_)) => return Ok(None),
        };
        if !took_unheard_money(&self.portal.store, org, &session).await? {
            return Ok(None);
        }
        Ok(Some(if session.is_paid { PortalStanding::Confirming } else { PortalStanding::Processing }))
    }
}

fn line(line: Line) -> Result<PortalLine, MoneyError> {
    let Line { description, quantity, unit_price, tax_percent } = line;
    let total = unit_price.line_total(quantity, tax_percent.unwrap_or_default())?;
    Ok(PortalLine { description, quantity, unit_price, tax_percent, total })
}
