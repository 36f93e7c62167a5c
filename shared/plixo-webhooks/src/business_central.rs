//! Business Central, API v2.0: notifications, and what is fetched for them.
//!
//! Posted payments have no notification and no resource of their own that names customer and currency: `customerPayments` are lines
//! of a journal that is not posted yet, and `generalLedgerEntries` say neither. What is paid of an invoice is in the invoice, so that
//! its `remainingAmount` becomes one payment, `settled:<invoice>`.
//!
//! Sources: "Working with webhooks", and the resource types customer, salesInvoice, salesInvoiceLine, salesCreditMemo and
//! customerPayment, in Microsoft's Business Central API reference.

use jiff::Timestamp;
use plixo_domain::ledger::{InvoiceState, Payer, Personal, Private};
use plixo_domain::money::{Currency, Money};
use plixo_domain::webhook::ExternalId;

use crate::canonical::{
    self, Applied, CreditNote, CreditNoteRecord, Customer, Entity, Invoice, LineText, Payment, PaymentRecord,
    Version, body, external_id, line,
};
use crate::delivery::{Event, Fetch, News, Which, derived, each, is_plain, kind};
use crate::document::Context;
use crate::json::{FieldError, Object, ReadError};

/// The events of an authentic body. Its id: subscription, resource, change and time.
pub(crate) fn delivery(body: &Object<'_>) -> Result<Vec<Event>, ReadError> {
    if body.verbatim("value")?.is_none() {
        return Err(ReadError::NotADocument);
    }
    each(&body.objects("value")?, notice, |event| format!(r#"{{"value":[{event}]}}"#))
}

fn notice(notice: &Object<'_>) -> Result<Event, ReadError> {
    let subscription = notice.need("subscriptionId", notice.text("subscriptionId"))?;
    let said = notice.need("resource", notice.text("resource"))?;
    let change = notice.need("changeType", notice.text("changeType"))?;
    let time = notice.need("lastModifiedDateTime", notice.text("lastModifiedDateTime"))?;
    let at = notice.need("lastModifiedDateTime", notice.time("lastModifiedDateTime"))?;
    let resource = Resource::read(&said).ok_or_else(|| notice.unknown("resource"))?;
    let account = external_id(resource.company).ok_or_else(|| notice.unknown("resource"))?;
    let entity = match resource.set {
        "customers" => Some(Entity::Customer),
        "salesInvoices" => Some(Entity::Invoice),
        "salesCreditMemos" => Some(Entity::CreditNote),
        _ => None,
    };
    let which = match (change.as_ref(), resource.id) {
        ("collection", _) => Some(Which::ChangedSince(resource.since.unwrap_or(Timestamp::UNIX_EPOCH))),
        ("created" | "updated" | "deleted", Some(id)) => Some(Which::One(id.to_owned())),
        _ => None,
    };
    let news = match entity.zip(which) {
        Some((entity, which)) => {
            News::Fetch(Fetch { entity, which, account: account.clone(), at, removed: change == "deleted" })
        }
        None => News::Ignored,
    };
    let parts = [subscription.as_ref(), &said, &change, &time];
    derived(&parts, kind(&format!("{}.{change}", resource.set)), account, news)
}

/// A resource as notifications name it: `api/v2.0/companies(…)/salesInvoices(…)`, or with `?$filter=… gt <time>` in place of the id.
struct Resource<'a> {
    company: &'a str,
    set: &'a str,
    id: Option<&'a str>,
    since: Option<Timestamp>,
}

impl<'a> Resource<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        let (_, rest) = path.rsplit_once("companies(")?;
        let (company, last) = rest.split_once(")/")?;
        let (set, id) = match last.split_once('(') {
            Some((set, id)) => (set, Some(id.strip_suffix(')')?)),
            None => (last, None),
        };
        let named = !set.is_empty() && set.bytes().all(|b| b.is_ascii_alphanumeric());
        let since = query.and_then(|query| {
            let filter = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "$filter")?.1;
            canonical::timestamp(filter.rsplit_once(" gt ")?.1)
        });
        (is_plain(company) && id.is_none_or(is_plain) && named).then_some(Self { company, set, id, since })
    }
}

/// The events of an answer: one resource, or `{"value": [{…}]}`.
pub(crate) fn documents(
    entity: Entity,
    answer: &Object<'_>,
    context: &Context<'_>,
) -> Result<Vec<canonical::Event>, ReadError> {
    let things = match answer.verbatim("value")? {
        Some(_) => answer.objects("value")?,
        None if answer.verbatim("id")?.is_none() => return Err(ReadError::NotADocument),
        None => vec![answer.clone()],
    };
    let mut events = Vec::new();
    for one in &things {
        let version = one.need("lastModifiedDateTime", one.time("lastModifiedDateTime")).map(Version::new)?;
        match entity {
            Entity::Customer => events.push(customer(one, version)?),
            Entity::Invoice => invoice(one, version, context, &mut events)?,
            Entity::Payment => events.push(payment(one, version, context)?),
            Entity::CreditNote => events.extend(credit_note(one, version, context)?),
        }
    }
    Ok(events)
}

/// `currencyCode` is empty for the company's own currency in some versions.
fn currency(one: &Object<'_>, context: &Context<'_>) -> Result<Currency, FieldError> {
    let own = one.currency("currencyCode")?.or(context.currency);
    one.need("currencyCode", Ok(own))
}

/// The customer who pays: whom the bill goes to, where that is another one.
fn customer_of(one: &Object<'_>) -> Result<ExternalId, FieldError> {
    const NONE: &str = "00000000-0000-0000-0000-000000000000";
    match one.some_text("billToCustomerId")?.filter(|id| id != NONE) {
        Some(_) => one.name(Entity::Customer, "billToCustomerId"),
        None => one.name(Entity::Customer, "customerId"),
    }
}

fn customer(one: &Object<'_>, version: Version) -> Result<canonical::Event, FieldError> {
    let personal = Personal {
        name: one.said("displayName", 200)?,
        email: one.said("email", 320)?,
        phone: one.said("phoneNumber", 40)?,
        address: canonical::address(
            one.said("addressLine1", 200)?,
            one.said("addressLine2", 200)?,
            one.said("city", 100)?,
            one.said("postalCode", 20)?,
            one.said("country", 100)?,
        ),
        tax_id: one.said("taxRegistrationNumber", 50)?,
    };
    let (id, personal) = (one.name(Entity::Customer, "id")?, Some(Private::Plain(personal)));
    Ok(canonical::Event::CustomerUpserted(Customer { id, version, personal, plixo_id: None }))
}

/// What a document's `status` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Draft,
    /// Posted, with something left to settle.
    Open,
    /// Posted, and settled.
    Paid,
    /// Cancelled, or the corrective document that cancels: the two together come to nothing.
    Cancelled,
}

/// OData writes the blank of an enumeration's word as `_x0020_`.
const STATUSES: [(&str, Status); 9] = [
    (" ", Status::Draft),
    ("_x0020_", Status::Draft),
    ("Draft", Status::Draft),
    ("In Review", Status::Draft),
    ("In_x0020_Review", Status::Draft),
    ("Open", Status::Open),
    ("Paid", Status::Paid),
    ("Canceled", Status::Cancelled),
    ("Corrective", Status::Cancelled),
];

fn invoice(
    one: &Object<'_>,
    version: Version,
    context: &Context<'_>,
    events: &mut Vec<canonical::Event>,
) -> Result<(), FieldError> {
    let id = one.name(Entity::Invoice, "id")?;
    let status = one.need("status", one.word("status", &STATUSES))?;
    let settled = external_id(&format!("settled:{id}")).ok_or_else(|| one.unknown("id"))?;
    if status == Status::Cancelled {
        events.push(Entity::Invoice.withdrawn(id, version));
        events.push(Entity::Payment.withdrawn(settled, version));
        return Ok(());
    }
    const TOTAL: &str = "totalAmountIncludingTax";
    let currency = currency(one, context)?;
    let total = one.need(TOTAL, one.amount(TOTAL, currency))?;
    let mut lines = Vec::new();
    for it in one.objects("salesInvoiceLines")? {
        let Some(amount) = it.signed("amountExcludingTax", currency)? else { continue };
        lines.push(line(&LineText {
            description: it.text("description")?.as_deref(),
            quantity: it.number("quantity")?.as_deref(),
            price: it.number("unitPrice")?.as_deref(),
            amount,
        }));
    }
    let owes = customer_of(one)?;
    let memo = one.text("customerPurchaseOrderReference")?;
    events.push(canonical::Event::InvoiceUpserted(Invoice {
        id: id.clone(),
        version,
        number: one.invoice_number("number")?,
        customer: owes.clone(),
        state: if status == Status::Draft { InvoiceState::Draft } else { InvoiceState::Open },
        total,
        issued_on: one.day("invoiceDate")?,
        due_on: one.day("dueDate")?,
        body: Private::Plain(body(lines, memo.as_deref(), total, one, "salesInvoiceLines")?),
        plixo_id: None,
    }));
    let Some(remaining) = one.amount("remainingAmount", currency)?.filter(|_| status != Status::Draft) else {
        return Ok(());
    };
    let paid = Money::new(total.amount.saturating_sub(remaining.amount).max(0), currency);
    let record = PaymentRecord {
        received: true,
        amount: paid,
        customer: Some(owes),
        payer: Private::Plain(Payer::default()),
        received_on: None,
        applied: vec![Applied { to: id, amount: paid }],
        credits: Vec::new(),
    };
    let record = (paid.amount > 0).then_some(record);
    // A part payment leaves the time of the last change as it was.
    let version = Version { sequence: u64::try_from(paid.amount).unwrap_or(0), ..version };
    events.push(canonical::Event::PaymentRecorded(Payment { id: settled, version, record }));
    Ok(())
}

/// A line of a payment journal that is not posted yet. Its sign says only on which side it will be booked, its currency is the
/// company's own.
fn payment(
    one: &Object<'_>,
    version: Version,
    context: &Context<'_>,
) -> Result<canonical::Event, FieldError> {
    let currency = currency(one, context)?;
    let amount = one.need("amount", one.size("amount", currency))?;
    let to = one.some_text("appliesToInvoiceId")?.filter(|id| !id.starts_with("00000000-0000-0000"));
    let to = to.and_then(|id| Entity::Invoice.name(&id));
    let record = PaymentRecord {
        received: false,
        amount,
        customer: one.name_of(Entity::Customer, "customerId")?,
        payer: Private::Plain(Payer { remittance: one.said("description", 2_000)?, ..Payer::default() }),
        received_on: one.day("postingDate")?,
        applied: to.map(|to| Applied { to, amount }).into_iter().collect(),
        credits: Vec::new(),
    };
    let id = one.name(Entity::Payment, "id")?;
    Ok(canonical::Event::PaymentRecorded(Payment { id, version, record: Some(record) }))
}

/// A credit memo that was posted. Which invoices it lowers is in these invoices' `remainingAmount`, and how much of it did so is
/// nowhere: it is the customer's money until it is settled, and then none.
fn credit_note(
    one: &Object<'_>,
    version: Version,
    context: &Context<'_>,
) -> Result<Option<canonical::Event>, FieldError> {
    let id = one.name(Entity::CreditNote, "id")?;
    match one.need("status", one.word("status", &STATUSES))? {
        Status::Draft => return Ok(None),
        Status::Paid | Status::Cancelled => return Ok(Some(Entity::CreditNote.withdrawn(id, version))),
        Status::Open => {}
    }
    const TOTAL: &str = "totalAmountIncludingTax";
    let currency = currency(one, context)?;
    let record = CreditNoteRecord {
        number: one.said("number", 64)?,
        customer: customer_of(one)?,
        total: one.need(TOTAL, one.amount(TOTAL, currency))?,
        issued_on: one.day("creditMemoDate")?,
        applied: Vec::new(),
    };
    Ok(Some(canonical::Event::CreditNoteRecorded(CreditNote { id, version, record: Some(record) })))
}
