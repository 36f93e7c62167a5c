//! Xero: notifications, and what is fetched for them.
//!
//! Sources: "Webhooks overview" and "Accounting API" (Contacts, Invoices, Payments, Credit Notes) on developer.xero.com;
//! XeroAPI/Xero-OpenAPI, `xero-webhooks.yaml` and `xero_accounting.yaml`.

use plixo_domain::ledger::{Address, InvoiceState, Payer, Personal, Private};
use plixo_domain::money::Currency;

use crate::canonical::{
    self, Applied, CreditNote, CreditNoteRecord, Customer, Entity, Invoice, LineText, Payment, PaymentRecord,
    Version, body, line,
};
use crate::delivery::{Event, Fetch, News, Which, derived, each, kind};
use crate::document::Context;
use crate::json::{FieldError, Object, ReadError};

/// The events of a POST. Its id: resource, time, type, category and tenant.
pub(crate) fn delivery(body: &Object<'_>) -> Result<Vec<Event>, ReadError> {
    if body.verbatim("events")?.is_none() {
        return Err(ReadError::NotADocument);
    }
    each(&body.objects("events")?, notice, |event| format!(r#"{{"events":[{event}]}}"#))
}

fn notice(event: &Object<'_>) -> Result<Event, ReadError> {
    let account = event.account("tenantId")?;
    let resource = event.plain_id("resourceId")?;
    let category = event.need("eventCategory", event.text("eventCategory"))?;
    let change = event.need("eventType", event.text("eventType"))?;
    let said = event.need("eventDateUtc", event.text("eventDateUtc"))?;
    let at = event.need("eventDateUtc", event.time("eventDateUtc"))?;
    let entity = match category.as_ref() {
        "CONTACT" => Some(Entity::Customer),
        "INVOICE" => Some(Entity::Invoice),
        "PAYMENT" => Some(Entity::Payment),
        "CREDITNOTE" | "CREDIT_NOTE" => Some(Entity::CreditNote),
        _ => None,
    };
    let fetch = |entity| {
        let which = Which::One(resource.clone());
        News::Fetch(Fetch { entity, which, account: account.clone(), at, removed: false })
    };
    let news = entity.map_or(News::Ignored, fetch);
    let parts = [resource.as_str(), &said, &change, &category, account.as_str()];
    derived(&parts, kind(&format!("{category}.{change}")), account.clone(), news)
}

/// The events of an answer: `{"Invoices": [{…}]}` and the like.
pub(crate) fn documents(
    entity: Entity,
    answer: &Object<'_>,
    context: &Context<'_>,
) -> Result<Vec<canonical::Event>, ReadError> {
    let list = match entity {
        Entity::Customer => "Contacts",
        Entity::Invoice => "Invoices",
        Entity::Payment => "Payments",
        Entity::CreditNote => "CreditNotes",
    };
    if answer.verbatim(list)?.is_none() {
        return Err(ReadError::NotADocument);
    }
    let mut events = Vec::new();
    for one in answer.objects(list)? {
        match entity {
            Entity::Customer => events.push(contact(&one)?),
            Entity::Invoice => invoice(&one, context, &mut events)?,
            Entity::Payment => events.extend(payment(&one, context)?),
            Entity::CreditNote => events.extend(credit_note(&one, context)?),
        }
    }
    Ok(events)
}

fn version(object: &Object<'_>) -> Result<Version, FieldError> {
    object.need("UpdatedDateUTC", object.time("UpdatedDateUTC")).map(Version::new)
}

fn currency(object: &Object<'_>, context: &Context<'_>) -> Result<Currency, FieldError> {
    let own = object.currency("CurrencyCode")?.or(context.currency);
    object.need("CurrencyCode", Ok(own))
}

/// `DateString` is what `Date` says, without its oddities; not every answer has it.
fn day(object: &Object<'_>, name: &str) -> Result<Option<jiff::civil::Date>, FieldError> {
    match object.day(&format!("{name}String"))? {
        Some(day) => Ok(Some(day)),
        None => object.day(name),
    }
}

/// The customer in `Contact`.
fn customer(object: &Object<'_>) -> Result<plixo_domain::webhook::ExternalId, FieldError> {
    let contact = object.need("Contact", object.object("Contact"))?;
    contact.name(Entity::Customer, "ContactID")
}

/// A contact that asked to be forgotten (`GDPRREQUEST`) is gone; an archived one is not.
fn contact(contact: &Object<'_>) -> Result<canonical::Event, FieldError> {
    let (id, version) = (contact.name(Entity::Customer, "ContactID")?, version(contact)?);
    if contact.text("ContactStatus")?.as_deref() == Some("GDPRREQUEST") {
        return Ok(Entity::Customer.withdrawn(id, version));
    }
    let mut phone = None;
    for one in contact.objects("Phones")? {
        let parts = ["PhoneCountryCode", "PhoneAreaCode", "PhoneNumber"].map(|part| one.said(part, 40));
        let [country, area, number] = parts;
        let (country, area, number) = (country?, area?, number?);
        if one.text("PhoneType")?.as_deref() == Some("DEFAULT") && number.is_some() {
            let country = country.map(|code| format!("+{}", code.trim_start_matches('+')));
            let spoken: Vec<_> = [country, area, number].into_iter().flatten().collect();
            phone = canonical::tidy(&spoken.join(" "), 40);
        }
    }
    let mut addresses = Vec::new();
    for one in contact.objects("Addresses")? {
        let is_postal = one.text("AddressType")?.as_deref() == Some("POBOX");
        addresses.extend(address(&one)?.map(|address| (!is_postal, address)));
    }
    addresses.sort_by_key(|(second, _)| *second);
    let personal = Personal {
        name: contact.said("Name", 200)?,
        email: contact.said("EmailAddress", 320)?,
        phone,
        address: addresses.into_iter().next().map(|(_, address)| address),
        tax_id: contact.said("TaxNumber", 50)?,
    };
    let personal = Some(Private::Plain(personal));
    Ok(canonical::Event::CustomerUpserted(Customer { id, version, personal, plixo_id: None }))
}

fn address(address: &Object<'_>) -> Result<Option<Address>, FieldError> {
    Ok(canonical::address(
        address.said("AddressLine1", 200)?,
        address.said("AddressLine2", 200)?,
        address.said("City", 100)?,
        address.said("PostalCode", 20)?,
        address.said("Country", 100)?,
    ))
}

/// What a document's `Status` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Draft,
    Approved,
    Gone,
}

const STATUSES: [(&str, Status); 6] = [
    ("DRAFT", Status::Draft),
    ("SUBMITTED", Status::Draft),
    ("AUTHORISED", Status::Approved),
    ("PAID", Status::Approved),
    ("VOIDED", Status::Gone),
    ("DELETED", Status::Gone),
];

/// An invoice, and the payments that it lists: Xero tells of a payment by telling of its invoice. Bills (`ACCPAY`) are nothing.
fn invoice(
    invoice: &Object<'_>,
    context: &Context<'_>,
    events: &mut Vec<canonical::Event>,
) -> Result<(), FieldError> {
    if invoice.need("Type", invoice.text("Type"))? != "ACCREC" {
        return Ok(());
    }
    let (id, version) = (invoice.name(Entity::Invoice, "InvoiceID")?, version(invoice)?);
    let status = invoice.need("Status", invoice.word("Status", &STATUSES))?;
    if status == Status::Gone {
        events.push(Entity::Invoice.withdrawn(id, version));
        return Ok(());
    }
    let currency = currency(invoice, context)?;
    let total = invoice.need("Total", invoice.amount("Total", currency))?;
    let mut lines = Vec::new();
    for one in invoice.objects("LineItems")? {
        let Some(amount) = one.signed("LineAmount", currency)? else { continue };
        lines.push(line(&LineText {
            description: one.text("Description")?.as_deref(),
            quantity: one.number("Quantity")?.as_deref(),
            price: one.number("UnitAmount")?.as_deref(),
            amount,
        }));
    }
    let memo = invoice.text("Reference")?;
    let owes = customer(invoice)?;
    events.push(canonical::Event::InvoiceUpserted(Invoice {
        id: id.clone(),
        version,
        number: invoice.invoice_number("InvoiceNumber")?,
        customer: owes.clone(),
        state: if status == Status::Draft { InvoiceState::Draft } else { InvoiceState::Open },
        total,
        issued_on: day(invoice, "Date")?,
        due_on: day(invoice, "DueDate")?,
        body: Private::Plain(body(lines, memo.as_deref(), total, invoice, "LineItems")?),
        plixo_id: None,
    }));
    for paid in invoice.objects("Payments")? {
        let amount = paid.need("Amount", paid.amount("Amount", currency))?;
        let record = PaymentRecord {
            received: true,
            amount,
            customer: Some(owes.clone()),
            payer: Private::Plain(Payer { remittance: paid.said("Reference", 2_000)?, ..Payer::default() }),
            received_on: paid.day("Date")?,
            applied: vec![Applied { to: id.clone(), amount }],
            credits: Vec::new(),
        };
        let id = paid.name(Entity::Payment, "PaymentID")?;
        events.push(canonical::Event::PaymentRecorded(Payment { id, version, record: Some(record) }));
    }
    Ok(())
}

/// A payment of an invoice. Payments of bills, refunds, and what is paid out of credit notes and overpayments are nothing.
fn payment(payment: &Object<'_>, context: &Context<'_>) -> Result<Option<canonical::Event>, FieldError> {
    if payment.text("PaymentType")?.is_some_and(|kind| kind != "ACCRECPAYMENT") {
        return Ok(None);
    }
    let (id, version) = (payment.name(Entity::Payment, "PaymentID")?, version(payment)?);
    const GONE: [(&str, bool); 2] = [("AUTHORISED", false), ("DELETED", true)];
    if payment.need("Status", payment.word("Status", &GONE))? {
        return Ok(Some(Entity::Payment.withdrawn(id, version)));
    }
    let Some(invoice) = payment.object("Invoice")? else { return Ok(None) };
    if invoice.text("Type")?.is_some_and(|kind| kind != "ACCREC") {
        return Ok(None);
    }
    let currency = currency(&invoice, context)?;
    let amount = payment.need("Amount", payment.amount("Amount", currency))?;
    let contact = invoice.object("Contact")?;
    let of_contact = |name| contact.as_ref().map_or(Ok(None), |contact| contact.said(name, 200));
    let record = PaymentRecord {
        received: true,
        amount,
        customer: contact.as_ref().map(|contact| contact.name(Entity::Customer, "ContactID")).transpose()?,
        payer: Private::Plain(Payer {
            name: of_contact("Name")?,
            email: None,
            remittance: payment.said("Reference", 2_000)?,
        }),
        received_on: payment.day("Date")?,
        applied: vec![Applied { to: invoice.name(Entity::Invoice, "InvoiceID")?, amount }],
        credits: Vec::new(),
    };
    Ok(Some(canonical::Event::PaymentRecorded(Payment { id, version, record: Some(record) })))
}

/// A credit note to a customer; one that is not approved yet is nothing.
fn credit_note(note: &Object<'_>, context: &Context<'_>) -> Result<Option<canonical::Event>, FieldError> {
    if note.need("Type", note.text("Type"))? != "ACCRECCREDIT" {
        return Ok(None);
    }
    let (id, version) = (note.name(Entity::CreditNote, "CreditNoteID")?, version(note)?);
    match note.need("Status", note.word("Status", &STATUSES))? {
        Status::Draft => return Ok(None),
        Status::Gone => return Ok(Some(Entity::CreditNote.withdrawn(id, version))),
        Status::Approved => {}
    }
    let currency = currency(note, context)?;
    let applied = |one: &Object<'_>| {
        let invoice = one.need("Invoice", one.object("Invoice"))?;
        let to = invoice.name(Entity::Invoice, "InvoiceID")?;
        Ok(Applied { to, amount: one.need("Amount", one.amount("Amount", currency))? })
    };
    let record = CreditNoteRecord {
        number: note.said("CreditNoteNumber", 64)?,
        customer: customer(note)?,
        total: note.need("Total", note.amount("Total", currency))?,
        issued_on: day(note, "Date")?,
        applied: note.objects("Allocations")?.iter().map(applied).collect::<Result<_, FieldError>>()?,
    };
    Ok(Some(canonical::Event::CreditNoteRecorded(CreditNote { id, version, record: Some(record) })))
}
