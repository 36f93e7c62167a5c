use jiff::Timestamp;
use plixo_domain::id::{InvoiceId, OrgId};
use plixo_domain::money::Money;
use plixo_domain::stripe;

use crate::StripeError;

/// What a payer is to pay, and how they come back. It may hold what belongs to the payer, so it has no `Debug`.
#[derive(Clone)]
pub struct Order {
    /// At most 255 characters. Within 24 hours the same key with the same order, `expires_at` and all, is answered with the same
    /// session; with another order it is refused.
    pub idempotency_key: String,
    /// How much.
    pub amount: Money,
    /// What the one line is called: the payer reads it.
    pub description: String,
    /// The invoice that is paid. The session, its payment intent and its charges name it.
    pub invoice: InvoiceId,
    /// Whose invoice it is. Session and payment intent name it.
    pub org: OrgId,
    /// The language of Stripe's page: `en`, `de`, or `auto` for the browser's.
    pub locale: &'static str,
    /// Where the payer comes back to after paying; `{CHECKOUT_SESSION_ID}` in it becomes the session's id.
    pub success_url: String,
    /// Where the payer comes back to without.
    pub cancel_url: String,
    /// Until when the payer may pay, in whole seconds: 30 minutes to 24 hours after the session is made.
    pub expires_at: Timestamp,
}

impl Order {
    /// The parameters of [creating a session](https://docs.stripe.com/api/checkout/sessions/create), form-encoded: the same
    /// bytes for the same order, for Stripe compares them before it repeats an answer.
    pub(crate) fn form(&self) -> Result<String, StripeError> {
        let amount = stripe::amount(self.amount).map_err(|error| StripeError::Refused(error.to_string()))?;
        let (invoice, org) = (self.invoice.to_string(), self.org.to_string());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("mode", "payment")
            .append_pair("line_items[0][quantity]", "1")
            .append_pair(
                "line_items[0][price_data][currency]",
                &self.amount.currency.code().to_ascii_lowercase(),
            )
            .append_pair("line_items[0][price_data][unit_amount]", &amount.to_string())
            .append_pair("line_items[0][price_data][product_data][name]", &self.description)
            .append_pair("client_reference_id", &invoice)
            .append_pair("metadata[plixo_invoice_id]", &invoice)
            .append_pair("metadata[plixo_org_id]", &org)
            // Stripe copies a payment intent's metadata to its charges, a session's to nothing.
            .append_pair("payment_intent_data[metadata][plixo_invoice_id]", &invoice)
            .append_pair("payment_intent_data[metadata][plixo_org_id]", &org)
            // What is owed is owed in the invoice's currency, whatever the account's settings offer.
            .append_pair("adaptive_pricing[enabled]", "false")
            .append_pair("success_url", &self.success_url)
            .append_pair("cancel_url", &self.cancel_url)
            .append_pair("expires_at", &self.expires_at.as_second().to_string())
            .append_pair("locale", self.locale);
        Ok(form.finish())
    }
}
