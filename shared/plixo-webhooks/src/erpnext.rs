//! ERPNext: its webhooks carry the document.
//!
//! `docstatus` is 0 for a draft, 1 for what was submitted, 2 for what was cancelled. `modified` orders versions. It is in the site's
//! own time zone and does not say which, so it is taken for UTC: it is compared with the same site's alone.
//!
//! Sources: Frappe's `integrations/doctype/webhook/webhook.py`; the DocTypes Customer, Sales Invoice and Payment Entry of
//! frappe/erpnext; "Webhooks" on docs.frappe.io.

use plixo_domain::ledger::{InvoiceState, Payer, Personal, Private};
use plixo_domain::webhook::ExternalId;

use crate::canonical::{
    self, Applied, CreditNote, CreditNoteRecord, Customer, Entity, Invoice, LineText, Payment, PaymentRecord,
    Version, body, external_id, external_id_of_person, hashed, line,
};
use crate::delivery::{Event, News, fingerprint, kind};
use crate::json::{Document, FieldError, Object, Problem, ReadError};

/// The one event of a POST. Its id is the hash of the body: the sender gives none.
pub(crate) fn delivery(text: &str) -> Result<Event, ReadError> {
    let document = Document::object(text)?;
    let doctype = document.some_text("doctype")?.ok_or(ReadError::NotADocument)?;
    let news = match doctype.as_ref() {
        "Customer" => customer(&document),
        "Sales Invoice" => invoice(&document),
        "Payment Entry" => payment(&document),
        _ => Ok(None),
    };
    let news = match news {
        Ok(Some(event)) => News::Told(Box::new(event)),
        Ok(None) => News::Ignored,
        Err(error) => News::Unusable(error),
    };
    Ok(Event {
        id: hashed(text).ok_or(ReadError::NotADocument)?,
        kind: kind(&doctype),
        account: document.text("company")?.and_then(|company| external_id(&company)),
        fingerprint: fingerprint(text.as_bytes()),
        news,
        alone: None,
    })
}

/// What `docstatus` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Draft,
    Submitted,
    Cancelled,
}

fn status(document: &Object<'_>) -> Result<Status, FieldError> {
    match document.need("docstatus", document.count("docstatus"))? {
        0 => Ok(Status::Draft),
        1 => Ok(Status::Submitted),
        2 => Ok(Status::Cancelled),
        _ => Err(document.unknown("docstatus")),
    }
}

fn version(document: &Object<'_>) -> Result<Version, FieldError> {
    document.need("modified", document.time("modified")).map(Version::new)
}

/// Frappe writes yes and no as 1 and 0, and lately also as `true` and `false`.
fn is_set(document: &Object<'_>, name: &str) -> Result<bool, FieldError> {
    match document.verbatim(name)? {
        None | Some("0" | "false" | "\"\"") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(_) => Err(document.error(name, Problem::IllTyped)),
    }
}

/// Customers are usually named as they are called.
fn customer_name(document: &Object<'_>, name: &str) -> Result<Option<ExternalId>, FieldError> {
    Ok(document.text(name)?.and_then(|id| external_id_of_person(&id)))
}

/// The customer that a document of whatever kind is about, if it says so.
pub(crate) fn customer_of(document: &Object<'_>) -> Option<ExternalId> {
    let is = |name, word| document.text(name).ok().flatten().as_deref() == Some(word);
    let field = match () {
        () if is("doctype", "Customer") => "name",
        () if is("party_type", "Customer") => "party",
        () => "customer",
    };
    customer_name(document, field).ok()?
}

fn customer(document: &Object<'_>) -> Result<Option<canonical::Event>, FieldError> {
    let personal = Personal {
        name: document.said("customer_name", 200)?,
        email: document.said("email_id", 320)?,
        phone: document.said("mobile_no", 40)?,
        // The address is a document of its own; what stands here is HTML.
        address: None,
        tax_id: document.said("tax_id", 50)?,
    };
    Ok(Some(canonical::Event::CustomerUpserted(Customer {
        id: document.need("name", customer_name(document, "name"))?,
        version: version(document)?,
        personal: Some(Private::Plain(personal)),
        plixo_id: None,
    })))
}

/// A sales invoice, or with `is_return` a credit note. What is owed is the rounded total where there is one.
fn invoice(document: &Object<'_>) -> Result<Option<canonical::Event>, FieldError> {
    if is_set(document, "is_return")? {
        return credit_note(document);
    }
    let (id, version) = (document.name(Entity::Invoice, "name")?, version(document)?);
    let status = status(document)?;
    if status == Status::Cancelled {
        return Ok(Some(Entity::Invoice.withdrawn(id, version)));
    }
    let currency = document.need("currency", document.currency("currency"))?;
    let rounded = document.amount("rounded_total", currency)?.filter(|rounded| rounded.amount != 0);
    let total = match rounded {
        Some(rounded) if !is_set(document, "disable_rounded_total")? => rounded,
        _ => document.need("grand_total", document.amount("grand_total", currency))?,
    };
    let mut lines = Vec::new();
    for item in document.objects("items")? {
        let Some(amount) = item.signed("amount", currency)? else { continue };
        let name = item.some_text("item_name")?.or(item.some_text("item_code")?);
        lines.push(line(&LineText {
            description: name.as_deref(),
            quantity: item.number("qty")?.as_deref(),
            price: item.number("rate")?.as_deref(),
            amount,
        }));
    }
    Ok(Some(canonical::Event::InvoiceUpserted(Invoice {
        number: document.invoice_number("name")?,
        customer: document.need("customer", customer_name(document, "customer"))?,
        state: if status == Status::Draft { InvoiceState::Draft } else { InvoiceState::Open },
        total,
        issued_on: document.day("posting_date")?,
        due_on: document.day("due_date")?,
        body: Private::Plain(body(lines, None, total, document, "items")?),
        plixo_id: None,
        id,
        version,
    })))
}

/// All amounts of a return are below zero. It lowers the invoice that it returns, unless it is set to stand for itself.
fn credit_note(document: &Object<'_>) -> Result<Option<canonical::Event>, FieldError> {
    let (id, version) = (document.name(Entity::CreditNote, "name")?, version(document)?);
    match status(document)? {
        Status::Draft => return Ok(None),
        Status::Cancelled => return Ok(Some(Entity::CreditNote.withdrawn(id, version))),
        Status::Submitted => {}
    }
    let currency = document.need("currency", document.currency("currency"))?;
    let rounded = document.size("rounded_total", currency)?.filter(|rounded| rounded.amount != 0);
    let total = match rounded {
        Some(rounded) if !is_set(document, "disable_rounded_total")? => rounded,
        _ => document.need("grand_total", document.size("grand_total", currency))?,
    };
    let against = document.name_of(Entity::Invoice, "return_against")?;
    let stands_alone = is_set(document, "update_outstanding_for_self")?;
    let applied = against.filter(|_| !stands_alone).map(|to| Applied { to, amount: total });
    let record = CreditNoteRecord {
        number: document.said("name", 64)?,
        customer: document.need("customer", customer_name(document, "customer"))?,
        total,
        issued_on: document.day("posting_date")?,
        applied: applied.into_iter().collect(),
    };
    Ok(Some(canonical::Event::CreditNoteRecorded(CreditNote { id, version, record: Some(record) })))
}

/// Money received from a customer. What is paid to one, to others or from account to account is nothing, a draft neither.
fn payment(document: &Object<'_>) -> Result<Option<canonical::Event>, FieldError> {
    let is_receipt = document.need("payment_type", document.text("payment_type"))? == "Receive";
    if !is_receipt || document.text("party_type")?.as_deref() != Some("Customer") {
        return Ok(None);
    }
    let (id, version) = (document.name(Entity::Payment, "name")?, version(document)?);
    match status(document)? {
        Status::Draft => return Ok(None),
        Status::Cancelled => return Ok(Some(Entity::Payment.withdrawn(id, version))),
        Status::Submitted => {}
    }
    // The customer's account, in whose currency the allocations are too.
    const CURRENCY: &str = "paid_from_account_currency";
    let currency = document.need(CURRENCY, document.currency(CURRENCY))?;
    let mut applied = Vec::new();
    for it in document.objects("references")? {
        if it.text("reference_doctype")?.as_deref() != Some("Sales Invoice") {
            continue;
        }
        let to = it.payee(Entity::Invoice, "reference_name")?;
        let amount = it.need("allocated_amount", it.signed("allocated_amount", currency))?;
        // A return among the references is a credit that is paid out along with it.
        if let Some(to) = to.filter(|_| amount.amount > 0) {
            applied.push(Applied { to, amount });
        }
    }
    let remittance = [document.said("reference_no", 200)?, document.said("remarks", 1_700)?];
    let remittance: Vec<_> = remittance.into_iter().flatten().collect();
    let record = PaymentRecord {
        received: true,
        amount: document.need("paid_amount", document.amount("paid_amount", currency))?,
        customer: customer_name(document, "party")?,
        payer: Private::Plain(Payer {
            name: document.said("party_name", 200)?,
            email: None,
            remittance: canonical::tidy(&remittance.join(" "), 2_000),
        }),
        received_on: document.day("posting_date")?,
        applied,
        credits: Vec::new(),
    };
    Ok(Some(canonical::Event::PaymentRecorded(Payment { id, version, record: Some(record) })))
}
