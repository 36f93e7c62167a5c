//! What providers answer when they are asked for what they only told of.

use plixo_domain::money::Currency;
use plixo_domain::webhook::{ExternalId, Provider};

use crate::canonical::{self, Entity};
use crate::json::{Document, ReadError};
use crate::{business_central, quickbooks, xero};

/// What is known of an account beside the answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The account that was asked. QuickBooks counts its ids anew in each, so that a name there is `<realm>:<id>`.
    pub account: Option<&'a ExternalId>,
    /// The currency of the account's own books, for documents that name none.
    pub currency: Option<Currency>,
}

/// Reads the body of a provider's answer to a [`Fetch`](crate::delivery::Fetch): one thing, or a list of them. A thing may tell of
/// several: an invoice of Xero's also of the payments that it lists. What is no business of a seller's (bills, drafts of credit
/// notes) tells nothing.
///
/// # Errors
/// [`ReadError`]: it is no such answer, or has a field that cannot be used. The error names the field and never its value.
pub fn read(
    provider: Provider,
    entity: Entity,
    body: &[u8],
    context: &Context<'_>,
) -> Result<Vec<canonical::Event>, ReadError> {
    let text = std::str::from_utf8(body).map_err(|_| ReadError::NotUtf8)?;
    match provider {
        Provider::Xero => xero::documents(entity, &Document::object(text)?, context),
        Provider::Quickbooks => quickbooks::documents(entity, &Document::object(text)?, context),
        Provider::BusinessCentral => business_central::documents(entity, &Document::object(text)?, context),
        Provider::Stripe
        | Provider::StandardWebhooks
        | Provider::Erpnext
        | Provider::GenericHmac
        | Provider::Member => Err(ReadError::NotADocument),
    }
}
