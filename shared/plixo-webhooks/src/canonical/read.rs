//! Plixo's own schema of canonical events, as senders of `standard_webhooks` and `generic_hmac` write it.
//!
//! ```json
//! {"type": "invoice.voided", "timestamp": "2026-11-21T08:00:00Z", "data": {"id": "INV-77"}}
//! ```
//!
//! Unknown fields are errors, so that typing mistakes never pass silently; unknown types are ignored. `timestamp` is when the thing
//! took this form at the sender: it orders versions. `id` names the event, for senders whose headers do not.

use std::borrow::Cow;

use plixo_domain::ledger::staff::is_invoice_number;
use plixo_domain::ledger::{Address, InvoiceState, Line, Payer, Personal, Private};
use plixo_domain::money::Money;
use plixo_domain::webhook::ExternalId;
use rust_decimal::Decimal;

use super::line::decimal;
use super::{
    Applied, CreditNote, CreditNoteRecord, Customer, Entity, Event, Invoice, Payment, PaymentRecord, Version,
    body, tidy,
};
use crate::json::{FieldError, Object, Problem};

/// Reads an event. `None`: it is of a type that Plixo does not use, and was not looked at.
pub(crate) fn read(event: &Object<'_>) -> Result<Option<Event>, FieldError> {
    let kind = event.need("type", event.text("type"))?;
    let read = match kind.as_ref() {
        "customer.upserted" => customer,
        "invoice.upserted" => invoice,
        "invoice.voided" => voided,
        "payment.recorded" => payment,
        "credit_note.recorded" => credit_note,
        _ => return Ok(None),
    };
    event.only(&["id", "type", "timestamp", "account", "data"])?;
    let version = Version::new(event.need("timestamp", event.instant("timestamp"))?);
    let data = event.need("data", event.object("data"))?;
    read(&data, version).map(Some)
}

fn customer(data: &Object<'_>, version: Version) -> Result<Event, FieldError> {
    data.only(&["id", "deleted", "name", "email", "phone", "address", "tax_id", "plixo_customer_id"])?;
    let id = data.name(Entity::Customer, "id")?;
    if data.flag("deleted")? == Some(true) {
        return Ok(Entity::Customer.withdrawn(id, version));
    }
    let address = data.object("address")?.as_ref().map(address).transpose()?;
    let personal = Personal {
        name: Some(data.need("name", data.said("name", 200))?),
        email: data.said("email", 320)?,
        phone: data.said("phone", 40)?,
        address,
        tax_id: data.said("tax_id", 50)?,
    };
    let plixo_id = data.parsed("plixo_customer_id")?;
    Ok(Event::CustomerUpserted(Customer { id, version, personal: Some(Private::Plain(personal)), plixo_id }))
}

fn address(address: &Object<'_>) -> Result<Address, FieldError> {
    address.only(&["line1", "line2", "city", "postal_code", "country"])?;
    let need = |name, most| address.need(name, address.said(name, most));
    let country = need("country", 2)?;
    if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(address.unknown("country"));
    }
    Ok(Address {
        line1: need("line1", 200)?,
        line2: address.said("line2", 200)?,
        city: need("city", 100)?,
        postal_code: need("postal_code", 20)?,
        country,
    })
}

fn invoice(data: &Object<'_>, version: Version) -> Result<Event, FieldError> {
    const STATES: [(&str, InvoiceState); 3] = [
        ("draft", InvoiceState::Draft),
        ("open", InvoiceState::Open),
        ("uncollectible", InvoiceState::Uncollectible),
    ];
    data.only(&[
        "id",
        "number",
        "customer",
        "state",
        "total",
        "issued_on",
        "due_on",
        "lines",
        "memo",
        "plixo_invoice_id",
    ])?;
    let state = data.need("state", data.word("state", &STATES))?;
    let number = data.invoice_number("number")?;
    if number.is_none() && state != InvoiceState::Draft {
        return Err(data.error("number", Problem::Missing));
    }
    let total = data.need("total", data.money("total"))?;
    let lines = data.objects("lines")?.iter().map(|it| line(it, total)).collect::<Result<Vec<_>, _>>()?;
    let memo = data.text("memo")?;
    Ok(Event::InvoiceUpserted(Invoice {
        id: data.name(Entity::Invoice, "id")?,
        version,
        number,
        customer: data.name(Entity::Customer, "customer")?,
        state,
        total,
        issued_on: data.date("issued_on")?,
        due_on: data.date("due_on")?,
        body: Private::Plain(body(lines, memo.as_deref(), total, data, "lines")?),
        plixo_id: data.parsed("plixo_invoice_id")?,
    }))
}

/// A line as the contract's shapes have it. Its price may be below zero, as a discount's is.
fn line(line: &Object<'_>, total: Money) -> Result<Line, FieldError> {
    line.only(&["description", "quantity", "unit_price", "tax_percent"])?;
    let number = |name: &str| match line.text(name)? {
        Some(text) => decimal(&text).map(Some).ok_or_else(|| line.error(name, Problem::IllTyped)),
        None => Ok(None),
    };
    let price = line.need("unit_price", line.object("unit_price"))?;
    price.only(&["amount", "currency"])?;
    let amount = price.need("amount", price.integer("amount"))?;
    if price.need("currency", price.currency("currency"))? != total.currency {
        return Err(price.unknown("currency"));
    }
    Ok(Line {
        description: line.need("description", line.said("description", 500))?,
        quantity: number("quantity")?.unwrap_or(Decimal::ONE),
        unit_price: Money::new(amount, total.currency),
        tax_percent: number("tax_percent")?,
    })
}

fn voided(data: &Object<'_>, version: Version) -> Result<Event, FieldError> {
    data.only(&["id"])?;
    Ok(Entity::Invoice.withdrawn(data.name(Entity::Invoice, "id")?, version))
}

/// How a payment or credit note stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    There,
    Pending,
    Withdrawn,
}

fn payment(data: &Object<'_>, version: Version) -> Result<Event, FieldError> {
    const STATES: [(&str, State); 3] =
        [("received", State::There), ("pending", State::Pending), ("withdrawn", State::Withdrawn)];
    data.only(&[
        "id",
        "state",
        "amount",
        "customer",
        "payer_name",
        "payer_email",
        "remittance",
        "received_on",
        "allocations",
    ])?;
    let id = data.name(Entity::Payment, "id")?;
    let state = data.word("state", &STATES)?.unwrap_or(State::There);
    if state == State::Withdrawn {
        return Ok(Entity::Payment.withdrawn(id, version));
    }
    let payer = Payer {
        name: data.said("payer_name", 200)?,
        email: data.said("payer_email", 320)?,
        remittance: data.said("remittance", 2_000)?,
    };
    let record = PaymentRecord {
        received: state == State::There,
        amount: data.need("amount", data.money("amount"))?,
        customer: data.name_of(Entity::Customer, "customer")?,
        payer: Private::Plain(payer),
        received_on: data.date("received_on")?,
        applied: allocations(data)?,
        credits: Vec::new(),
    };
    Ok(Event::PaymentRecorded(Payment { id, version, record: Some(record) }))
}

fn credit_note(data: &Object<'_>, version: Version) -> Result<Event, FieldError> {
    const STATES: [(&str, State); 2] = [("issued", State::There), ("withdrawn", State::Withdrawn)];
    data.only(&["id", "state", "number", "customer", "total", "issued_on", "allocations"])?;
    let id = data.name(Entity::CreditNote, "id")?;
    if data.word("state", &STATES)? == Some(State::Withdrawn) {
        return Ok(Entity::CreditNote.withdrawn(id, version));
    }
    let record = CreditNoteRecord {
        number: data.said("number", 64)?,
        customer: data.name(Entity::Customer, "customer")?,
        total: data.need("total", data.money("total"))?,
        issued_on: data.date("issued_on")?,
        applied: allocations(data)?,
    };
    Ok(Event::CreditNoteRecorded(CreditNote { id, version, record: Some(record) }))
}

fn allocations(data: &Object<'_>) -> Result<Vec<Applied>, FieldError> {
    let read = |one: &Object<'_>| {
        one.only(&["invoice", "amount"])?;
        let amount = one.need("amount", one.money("amount"))?;
        Ok(one.payee(Entity::Invoice, "invoice")?.map(|to| Applied { to, amount }))
    };
    data.objects("allocations")?.iter().map(read).filter_map(Result::transpose).collect()
}

impl<'a> Object<'a> {
    /// The name of another thing, if there is one, and it was not masked.
    pub(crate) fn name_of(&self, entity: Entity, name: &str) -> Result<Option<ExternalId>, FieldError> {
        Ok(self.text(name)?.and_then(|id| entity.name(&id)))
    }

    /// The name of a thing, which has to have one.
    pub(crate) fn name(&self, entity: Entity, name: &str) -> Result<ExternalId, FieldError> {
        self.need(name, self.name_of(entity, name))
    }

    /// The name of a thing that money goes to, which has to have one. `None`: it was masked. The money counts all the same.
    pub(crate) fn payee(&self, entity: Entity, name: &str) -> Result<Option<ExternalId>, FieldError> {
        match self.name(entity, name) {
            Err(FieldError { problem: Problem::Masked, .. }) => Ok(None),
            named => named.map(Some),
        }
    }

    /// Text that people read, tidied.
    pub(crate) fn said(&self, name: &str, most: usize) -> Result<Option<String>, FieldError> {
        Ok(self.text(name)?.and_then(|text| tidy(&text, most)))
    }

    /// A text that is not empty.
    pub(crate) fn some_text(&self, name: &str) -> Result<Option<Cow<'a, str>>, FieldError> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// The number of an invoice. What cannot be one of Plixo's is an error: payers would be told another.
    pub(crate) fn invoice_number(&self, name: &str) -> Result<Option<String>, FieldError> {
        let Some(number) = self.some_text(name)? else { return Ok(None) };
        let fits = is_invoice_number(&number) && !plixo_cards::contains(&number);
        fits.then(|| Some(number.into_owned())).ok_or_else(|| self.unknown(name))
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, FieldError> {
        let parse = |text: Cow<'_, str>| text.parse().map_err(|_| self.unknown(name));
        self.text(name)?.map(parse).transpose()
    }

    /// RFC 3339 with an offset, and nothing else.
    fn instant(&self, name: &str) -> Result<Option<jiff::Timestamp>, FieldError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b"-+:.TZ".contains(&b));
        if plain { self.parsed(name) } else { Err(self.unknown(name)) }
    }

    /// An ISO day, and nothing else.
    fn date(&self, name: &str) -> Result<Option<jiff::civil::Date>, FieldError> {
        match self.text(name)? {
            Some(text) if text.len() != 10 => Err(self.unknown(name)),
            _ => self.parsed(name),
        }
    }
}
