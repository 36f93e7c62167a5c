//! QuickBooks Online: notifications of both forms, and what is fetched for them.
//!
//! Names are `<realm>:<id>`, for ids are counted anew in each company.
//!
//! Sources: "Webhooks", "Managing webhooks notifications" and the entity pages (Customer, Invoice, Payment, CreditMemo) on
//! developer.intuit.com; "Upcoming change to webhooks payload structure" on blogs.intuit.com; intuit/QuickBooks-V3-DotNET-SDK.

use std::borrow::Cow;

use plixo_domain::ledger::{InvoiceState, Payer, Personal, Private};
use plixo_domain::money::Currency;
use plixo_domain::webhook::ExternalId;

use crate::canonical::{
    self, Applied, CreditNote, CreditNoteRecord, Customer, Entity, Invoice, LineText, Payment, PaymentRecord,
    Version, body, external_id, line,
};
use crate::delivery::{Event, Fetch, News, Which, derived, each, fingerprint, kind};
use crate::document::Context;
use crate::json::{Document, FieldError, Object, ReadError};

/// The events of a POST: `{"eventNotifications": […]}`, or a list of CloudEvents.
pub(crate) fn delivery(body: &Document<'_>) -> Result<Vec<Event>, ReadError> {
    match body {
        Document::Many(events) => each(events, cloud_event, |event| format!("[{event}]")),
        Document::One(body) if body.verbatim("specversion")?.is_some() => Ok(vec![cloud_event(body)?]),
        Document::One(body) if body.verbatim("eventNotifications")?.is_none() => Err(ReadError::NotADocument),
        Document::One(body) => {
            let mut events = Vec::new();
            for company in body.objects("eventNotifications")? {
                let account = company.account("realmId")?;
                let Some(change) = company.object("dataChangeEvent")? else { continue };
                for entity in change.objects("entities")? {
                    legacy(&entity, &account, &mut events)?;
                }
            }
            if events.len() == 1 {
                events.iter_mut().for_each(|event| event.alone = None);
            }
            Ok(events)
        }
    }
}

/// The realm that a POST names first, as it is written there.
pub(crate) fn account(text: &str) -> Option<Cow<'_, str>> {
    let first = match Document::parse(text).ok()? {
        Document::Many(events) => events.into_iter().next()?,
        Document::One(body) => body,
    };
    match first.objects("eventNotifications").ok()?.first() {
        Some(company) => company.text("realmId").ok()?,
        None => first.text("intuitaccountid").ok()?,
    }
}

/// Its id: realm, entity, id, operation and time. A merge also tells that the customer is gone who was merged.
fn legacy(entity: &Object<'_>, account: &ExternalId, events: &mut Vec<Event>) -> Result<(), ReadError> {
    let name = entity.need("name", entity.text("name"))?;
    let id = entity.plain_id("id")?;
    let operation = entity.need("operation", entity.text("operation"))?;
    let said = entity.need("lastUpdated", entity.text("lastUpdated"))?;
    let at = entity.need("lastUpdated", entity.time("lastUpdated"))?;
    let alone = format!(
        r#"{{"eventNotifications":[{{"realmId":"{account}","dataChangeEvent":{{"entities":[{}]}}}}]}}"#,
        entity.whole()
    );
    let told = |id: &str, operation: &str| {
        let parts = [account.as_str(), &name, id, operation, &said];
        let news = news(&name, operation, id, account, at);
        let event = derived(&parts, kind(&format!("{name}.{operation}")), account.clone(), news)?;
        Ok::<_, ReadError>(Event { alone: Some(alone.clone()), ..event })
    };
    events.push(told(&id, &operation)?);
    if entity.text("deletedId")?.is_some_and(|gone| !gone.is_empty()) {
        events.push(told(&entity.plain_id("deletedId")?, "Delete")?);
    }
    Ok(())
}

/// An event of [CloudEvents 1.0](https://github.com/cloudevents/spec): it has an id of its own.
fn cloud_event(event: &Object<'_>) -> Result<Event, ReadError> {
    let given = event.need("id", event.some_text("id"))?;
    let type_of = event.need("type", event.text("type"))?;
    let account = event.account("intuitaccountid")?;
    let id = event.plain_id("intuitentityid")?;
    let at = event.need("time", event.time("time"))?;
    let mut words = type_of.split('.');
    let news = match (words.next(), words.next(), words.next()) {
        (Some("qbo"), Some(name), Some(operation)) => news(name, operation, &id, &account, at),
        _ => News::Ignored,
    };
    let text: Vec<_> = event.fields().map(|(name, value)| format!("{name}\n{value}\n")).collect();
    Ok(Event {
        id: external_id(&given).ok_or(ReadError::NotADocument)?,
        kind: kind(&type_of),
        account: Some(account),
        fingerprint: fingerprint(text.concat().as_bytes()),
        news,
        alone: None,
    })
}

/// Deletions and voidings are final, and there may be nothing left to ask for: they are told at once.
fn news(name: &str, operation: &str, id: &str, account: &ExternalId, at: jiff::Timestamp) -> News {
    let entity = match name.to_ascii_lowercase().as_str() {
        "customer" => Entity::Customer,
        "invoice" => Entity::Invoice,
        "payment" => Entity::Payment,
        "creditmemo" => Entity::CreditNote,
        _ => return News::Ignored,
    };
    let fetch = |id: &str| {
        let (which, account) = (Which::One(id.to_owned()), account.clone());
        News::Fetch(Fetch { entity, which, account, at, removed: false })
    };
    match operation.to_ascii_lowercase().as_str() {
        "create" | "created" | "update" | "updated" | "merge" | "merged" => fetch(id),
        "delete" | "deleted" | "void" | "voided" => scoped(entity, Some(account), id)
            .map_or(News::Ignored, |id| News::Told(Box::new(entity.withdrawn(id, Version::last(at))))),
        _ => News::Ignored,
    }
}

fn scoped(entity: Entity, account: Option<&ExternalId>, id: &str) -> Option<ExternalId> {
    match account {
        Some(_) if id.is_empty() => None,
        Some(account) => entity.name(&format!("{account}:{id}")),
        None => entity.name(id),
    }
}

/// The events of an answer: `{"Invoice": {…}}`, or of a query `{"QueryResponse": {"Invoice": [{…}]}}`.
pub(crate) fn documents(
    entity: Entity,
    answer: &Object<'_>,
    context: &Context<'_>,
) -> Result<Vec<canonical::Event>, ReadError> {
    let name = match entity {
        Entity::Customer => "Customer",
        Entity::Invoice => "Invoice",
        Entity::Payment => "Payment",
        Entity::CreditNote => "CreditMemo",
    };
    let things = match answer.object("QueryResponse")? {
        Some(found) => found.objects(name)?,
        None => vec![answer.object(name)?.ok_or(ReadError::NotADocument)?],
    };
    let read = |one: &Object<'_>| {
        let entry = Entry::read(entity, one, context)?;
        Ok(match entity {
            _ if entry.is_gone => entity.withdrawn(entry.id, entry.version),
            Entity::Customer => customer(one, entry)?,
            Entity::Invoice => invoice(one, entry)?,
            Entity::Payment => payment(one, entry)?,
            Entity::CreditNote => credit_note(one, entry)?,
        })
    };
    things.iter().map(read).collect()
}

/// What every entity has.
struct Entry<'c> {
    id: ExternalId,
    version: Version,
    /// Deleted, or voided: then all its amounts are zero, and its note begins with a word that says so.
    is_gone: bool,
    context: &'c Context<'c>,
}

impl<'c> Entry<'c> {
    fn read(entity: Entity, one: &Object<'_>, context: &'c Context<'c>) -> Result<Self, FieldError> {
        let id = one.need("Id", one.text("Id"))?;
        let id = scoped(entity, context.account, &id).ok_or_else(|| one.unknown("Id"))?;
        let meta = one.need("MetaData", one.object("MetaData"))?;
        let at = meta.need("LastUpdatedTime", meta.time("LastUpdatedTime"))?;
        let sequence = match one.number("SyncToken")? {
            Some(token) => token.parse().map_err(|_| one.unknown("SyncToken"))?,
            None => 0,
        };
        let is_deleted = one.text("status")?.as_deref() == Some("Deleted");
        let is_zero =
            one.number("TotalAmt")?.is_some_and(|total| total.bytes().all(|b| matches!(b, b'0' | b'.')));
        let is_voided = is_zero && one.text("PrivateNote")?.is_some_and(|note| note.starts_with("Voided"));
        Ok(Self { id, version: Version { at, sequence }, is_gone: is_deleted || is_voided, context })
    }

    /// The customer that `CustomerRef` names.
    fn customer(&self, one: &Object<'_>) -> Result<Option<ExternalId>, FieldError> {
        self.reference(one, "CustomerRef", Entity::Customer)
    }

    fn reference(&self, one: &Object<'_>, name: &str, to: Entity) -> Result<Option<ExternalId>, FieldError> {
        let Some(reference) = one.object(name)? else { return Ok(None) };
        let id = reference.need("value", reference.text("value"))?;
        Ok(scoped(to, self.context.account, &id))
    }

    /// `CurrencyRef` where the company has several currencies, else its own.
    fn currency(&self, one: &Object<'_>) -> Result<Currency, FieldError> {
        match one.object("CurrencyRef")? {
            Some(reference) => reference.need("value", reference.currency("value")),
            None => one.need("CurrencyRef", Ok(self.context.currency)),
        }
    }
}

fn of<'a>(one: &Object<'a>, object: &str, name: &str) -> Result<Option<Cow<'a, str>>, FieldError> {
    one.object(object)?.map_or(Ok(None), |object| object.text(name))
}

fn customer(one: &Object<'_>, entry: Entry<'_>) -> Result<canonical::Event, FieldError> {
    let tidy = |text: Option<Cow<'_, str>>, most| text.and_then(|text| canonical::tidy(&text, most));
    let address = match one.object("BillAddr")? {
        Some(it) => canonical::address(
            it.said("Line1", 200)?,
            it.said("Line2", 200)?,
            it.said("City", 100)?,
            it.said("PostalCode", 20)?,
            it.said("Country", 100)?,
        ),
        None => None,
    };
    let personal = Personal {
        name: one.said("DisplayName", 200)?,
        email: tidy(of(one, "PrimaryEmailAddr", "Address")?, 320),
        phone: tidy(of(one, "PrimaryPhone", "FreeFormNumber")?, 40),
        address,
        tax_id: None,
    };
    let (id, version, personal) = (entry.id, entry.version, Some(Private::Plain(personal)));
    Ok(canonical::Event::CustomerUpserted(Customer { id, version, personal, plixo_id: None }))
}

/// Invoices have no drafts here: what is saved is owed.
fn invoice(one: &Object<'_>, entry: Entry<'_>) -> Result<canonical::Event, FieldError> {
    let currency = entry.currency(one)?;
    let total = one.need("TotalAmt", one.amount("TotalAmt", currency))?;
    let mut lines = Vec::new();
    for it in one.objects("Line")? {
        let detail = it.text("DetailType")?;
        let sign = match detail.as_deref() {
            Some("DiscountLineDetail") => -1,
            Some("SalesItemLineDetail" | "GroupLineDetail") => 1,
            _ => continue,
        };
        let Some(mut amount) = it.signed("Amount", currency)? else { continue };
        amount.amount = amount.amount.saturating_mul(sign);
        let sold = it.object("SalesItemLineDetail")?;
        let number = |name| sold.as_ref().map_or(Ok(None), |sold| sold.number(name));
        let description = it.text("Description")?;
        let fallback = if sign < 0 { "Discount" } else { "\u{2013}" };
        lines.push(line(&LineText {
            description: description.as_deref().or(Some(fallback)),
            quantity: number("Qty")?.as_deref(),
            price: number("UnitPrice")?.as_deref(),
            amount,
        }));
    }
    let memo = of(one, "CustomerMemo", "value")?;
    let owes = entry.customer(one);
    Ok(canonical::Event::InvoiceUpserted(Invoice {
        number: one.invoice_number("DocNumber")?,
        customer: one.need("CustomerRef", owes)?,
        state: InvoiceState::Open,
        total,
        issued_on: one.day("TxnDate")?,
        due_on: one.day("DueDate")?,
        body: Private::Plain(body(lines, memo.as_deref(), total, one, "Line")?),
        plixo_id: None,
        id: entry.id,
        version: entry.version,
    }))
}

/// A payment. Its lines each link one document: an invoice that it pays, or a credit memo that it uses up.
fn payment(one: &Object<'_>, entry: Entry<'_>) -> Result<canonical::Event, FieldError> {
    let currency = entry.currency(one)?;
    let (mut applied, mut credits) = (Vec::new(), Vec::new());
    for it in one.objects("Line")? {
        let linked = it.objects("LinkedTxn")?;
        let [linked] = linked.as_slice() else { continue };
        let (entity, list) = match linked.text("TxnType")?.as_deref() {
            Some("Invoice") => (Entity::Invoice, &mut applied),
            Some("CreditMemo") => (Entity::CreditNote, &mut credits),
            _ => continue,
        };
        let id = linked.need("TxnId", linked.text("TxnId"))?;
        let to = scoped(entity, entry.context.account, &id).ok_or_else(|| linked.unknown("TxnId"))?;
        list.push(Applied { to, amount: it.need("Amount", it.amount("Amount", currency))? });
    }
    let remittance = [one.said("PaymentRefNum", 100)?, one.said("PrivateNote", 1_800)?];
    let remittance: Vec<_> = remittance.into_iter().flatten().collect();
    let name = of(one, "CustomerRef", "name")?;
    let payer = Payer {
        name: name.and_then(|name| canonical::tidy(&name, 200)),
        email: None,
        remittance: canonical::tidy(&remittance.join(" "), 2_000),
    };
    let record = PaymentRecord {
        received: true,
        amount: one.need("TotalAmt", one.amount("TotalAmt", currency))?,
        customer: entry.customer(one)?,
        payer: Private::Plain(payer),
        received_on: one.day("TxnDate")?,
        applied,
        credits,
    };
    let (id, version) = (entry.id, entry.version);
    Ok(canonical::Event::PaymentRecorded(Payment { id, version, record: Some(record) }))
}

/// A credit memo. Which invoices it lowers is told by the payment that uses it up.
fn credit_note(one: &Object<'_>, entry: Entry<'_>) -> Result<canonical::Event, FieldError> {
    let currency = entry.currency(one)?;
    let owned = entry.customer(one);
    let record = CreditNoteRecord {
        number: one.said("DocNumber", 64)?,
        customer: one.need("CustomerRef", owned)?,
        total: one.need("TotalAmt", one.amount("TotalAmt", currency))?,
        issued_on: one.day("TxnDate")?,
        applied: Vec::new(),
    };
    let (id, version) = (entry.id, entry.version);
    Ok(canonical::Event::CreditNoteRecorded(CreditNote { id, version, record: Some(record) }))
}
