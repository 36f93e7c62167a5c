//! Invoices.

use jiff::civil::Date;
use plixo_domain::ledger::staff::is_invoice_number;
use plixo_domain::ledger::{InvoiceStatus, Line, LinkState};
use plixo_domain::money::Money;
use plixo_lambda::http::Response;
use plixo_pages::{
    Applied, Errors, FreshLink, InvoiceFilter, InvoiceForm, InvoiceLine, InvoiceList, InvoicePage,
    InvoiceRow, LineRow, LinkEmail, LinkRow, Paging, ProblemKind, write_amount,
};
use plixo_web::ask::Problem;
use plixo_web::form::Form;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::audit::history;
use crate::customers::{lines as address_lines, title};
use crate::fields::{amount_of, called, currencies, customers};
use crate::shape::{Customer, Invoice, List, PaymentName, PortalLink};
use crate::visit::{Failed, Visit, allowed, among, tried};

/// The rows of a new invoice, and how many more come at a time.
const ROWS: usize = 3;
/// More rows than an invoice may have lines.
const MAX_ROWS: usize = 210;
/// What the number of a draft begins with that has none of its own yet.
const PASSING: &str = "DRAFT-";
const LINE: [&str; 4] = ["description", "quantity", "unit_price", "tax_percent"];

pub(crate) async fn list(visit: &Visit<'_>) -> Result<Response, Failed> {
    let number = visit.query.text("number").trim();
    // A number is of one invoice at most, whatever else it is.
    let of = |name| if number.is_empty() { visit.query.text(name) } else { "" };
    let (status, customer) = (of("status"), of("customer"));
    let filter = InvoiceFilter {
        status: serde_json::from_value(status.into()).ok(),
        customer: customer.parse().ok(),
        number: number.to_owned(),
    };
    let asked = [("number", number), ("status", status), ("customer_id", customer), ("expand", "customer")];
    let listed = async {
        match number.is_empty() || is_invoice_number(number) {
            true => visit.list::<Invoice>("invoices", &asked).await,
            false => Ok((Vec::new(), Paging { is_first: true, ..Paging::default() })),
        }
    };
    let (org, (customers, has_more_customers), (rows, paging)) =
        futures::try_join!(visit.membership(), customers(visit, customer), listed)?;
    let rows = rows.into_iter().map(|it| row(it, visit.today())).collect();
    let (frame, errors) = (visit.frame()?, Errors::default());
    let shown = InvoiceList { frame, org, filter, customers, has_more_customers, rows, paging, errors };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

fn row(it: Invoice, today: Date) -> InvoiceRow {
    InvoiceRow {
        is_overdue: is_overdue(&it, today),
        id: it.id,
        number: number(&it).to_owned(),
        customer: called(it.customer.as_ref()),
        status: it.status,
        issued_on: it.issued_on,
        due_on: it.due_on,
        total: it.total,
        balance: it.balance,
    }
}

pub(crate) fn is_overdue(it: &Invoice, today: Date) -> bool {
    let is_owed = matches!(it.status, InvoiceStatus::Open | InvoiceStatus::PartiallyPaid);
    is_owed && it.due_on.is_some_and(|due| due < today)
}

fn number(it: &Invoice) -> &str {
    if it.number.starts_with(PASSING) { "Draft" } else { &it.number }
}

pub(crate) async fn show(visit: &Visit<'_>) -> Result<Response, Failed> {
    page(visit, None, Errors::default()).await
}

/// What the buttons of an invoice do.
pub(crate) async fn act(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let (verb, code) = match form.text("do") {
        "finalize" => ("finalize", "finalized"),
        "void" => ("void", "voided"),
        "uncollectible" => ("uncollectible", "given-up"),
        "email_link" => return make_link(visit, form, true).await,
        "copy_link" => return make_link(visit, form, false).await,
        "revoke_link" => return revoke_link(visit, form).await,
        _ => return Err(Failed::Own(ProblemKind::BadRequest)),
    };
    let id = visit.path("id");
    let asked = visit.ask("POST", &format!("invoices/{{id}}/{verb}")).id("id", id).of_form(form);
    match tried(asked.tell().await, |_| None)? {
        Ok(()) => Ok(visit.done(&format!("/invoices/{id}"), code)),
        Err(errors) => page(visit, None, errors).await,
    }
}

/// A link is on this answer and never again, so that it is no redirect.
async fn make_link(visit: &Visit<'_>, form: &Form, is_emailed: bool) -> Result<Response, Failed> {
    let ask = visit.ask("POST", "invoices/{id}/portal-links").id("id", visit.path("id")).of_form(form);
    let made = ask.body(&json!({"send_email": is_emailed})).send::<PortalLink>().await;
    let PortalLink { url, expires_at, emailed_at, .. } = match tried(made, |_| None)? {
        Ok(made) => made.body,
        Err(errors) => return page(visit, None, errors).await,
    };
    let email = match (is_emailed, emailed_at) {
        (false, _) => LinkEmail::NotWanted,
        (true, None) => LinkEmail::NotSent,
        (true, Some(_)) => LinkEmail::Sent,
    };
    page(visit, url.map(|url| FreshLink { url, expires_at, email }), Errors::default()).await
}

async fn revoke_link(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let asked = visit.ask("DELETE", "portal-links/{id}").id("id", form.text("link")).of_form(form);
    match tried(asked.tell().await, |_| None)? {
        Ok(()) => Ok(visit.done(&format!("/invoices/{}", visit.path("id")), "link-revoked")),
        Err(errors) => page(visit, None, errors).await,
    }
}

/// The youngest links of an invoice, and whether there are more.
async fn links(visit: &Visit<'_>, it: &Invoice) -> Result<(Vec<LinkRow>, bool), Problem> {
    let ask = visit.ask("GET", "invoices/{id}/portal-links").id("id", it.id);
    let List { data, next_cursor } = ask.send::<List<PortalLink>>().await?.body;
    let row = |it: PortalLink| LinkRow {
        id: it.id,
        state: if it.settled { LinkState::Settled } else { it.state },
        made_at: it.created_at,
        expires_at: it.expires_at,
        emailed_at: it.emailed_at,
        opened_at: it.opened_at,
    };
    Ok((data.into_iter().map(row).collect(), next_cursor.is_some()))
}

async fn page(visit: &Visit<'_>, fresh: Option<FreshLink>, errors: Errors) -> Result<Response, Failed> {
    let ask = visit.ask("GET", "invoices/{id}").id("id", visit.path("id")).query(&[("expand", "payments")]);
    let (org, found) = futures::try_join!(visit.membership(), ask.send::<Invoice>())?;
    let (it, version) = (found.body, found.version);
    let customer = visit.ask("GET", "customers/{id}").id("id", it.customer_id).send::<Customer>();
    let history = history(visit, &org, it.id.to_string());
    let (customer, history, (links, has_more_links)) =
        futures::try_join!(customer, history, links(visit, &it))?;
    let customer = customer.body;
    let may = org.may.write_ledger;
    let is_draft = it.status == InvoiceStatus::Draft;
    let takes_payment = matches!(
        it.status,
        InvoiceStatus::Open | InvoiceStatus::PartiallyPaid | InvoiceStatus::Uncollectible
    );
    let is_unpaid = it.balance == it.total && it.status != InvoiceStatus::Void;
    let applied = it.allocations.iter().map(|applied| {
        let PaymentName { id, source, received_on, payer_name } = &applied.payment;
        Applied {
            payment_id: *id,
            received_on: *received_on,
            source: source.clone(),
            payer: payer_name.clone(),
            amount: applied.amount,
        }
    });
    let shown = InvoicePage {
        frame: visit.frame()?,
        id: it.id,
        version,
        number: number(&it).to_owned(),
        customer_id: it.customer_id,
        customer: title(&customer),
        address: address_lines(customer.address),
        tax_id: customer.tax_id,
        status: it.status,
        issued_on: it.issued_on,
        due_on: it.due_on,
        is_overdue: is_overdue(&it, visit.today()),
        lines: it.lines.iter().map(line).collect(),
        total: it.total,
        balance: it.balance,
        applied: applied.collect(),
        memo: it.memo.clone(),
        links,
        has_more_links,
        can_link: may && takes_payment,
        can_email: customer.email.is_some(),
        fresh,
        history,
        can_edit: may && is_draft,
        can_finalize: may && is_draft,
        can_void: may && is_unpaid,
        can_give_up: may && matches!(it.status, InvoiceStatus::Open | InvoiceStatus::PartiallyPaid),
        org,
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

fn line(it: &Line) -> InvoiceLine {
    let Line { description, quantity, unit_price, tax_percent } = it;
    // The API has summed it up before.
    let total = unit_price.line_total(*quantity, tax_percent.unwrap_or(Decimal::ZERO));
    InvoiceLine {
        description: description.clone(),
        quantity: *quantity,
        unit_price: *unit_price,
        tax_percent: *tax_percent,
        total: total.unwrap_or(Money::new(0, unit_price.currency)),
    }
}

/// An invoice as it is typed.
#[derive(Default)]
struct Typed {
    id: String,
    version: String,
    customer_id: String,
    number: String,
    currency: String,
    due_on: String,
    memo: String,
    rows: Vec<LineRow>,
    errors: Errors,
}

pub(crate) async fn write(visit: &Visit<'_>) -> Result<Response, Failed> {
    let customer_id = visit.query.text("customer").to_owned();
    let rows = vec![LineRow::default(); ROWS];
    form(visit, Typed { customer_id, currency: "EUR".to_owned(), rows, ..Typed::default() }).await
}

pub(crate) async fn edit(visit: &Visit<'_>) -> Result<Response, Failed> {
    let ask = visit.ask("GET", "invoices/{id}").id("id", visit.path("id"));
    let found = ask.send::<Invoice>().await?;
    let (it, version) = (found.body, found.version);
    if it.status != InvoiceStatus::Draft {
        return Err(Failed::Own(ProblemKind::Conflict));
    }
    let row = |line: &Line| LineRow {
        description: line.description.clone(),
        quantity: line.quantity.to_string(),
        unit_price: write_amount(line.unit_price),
        tax_percent: line.tax_percent.map(|percent| percent.to_string()).unwrap_or_default(),
    };
    let typed = Typed {
        id: it.id.to_string(),
        version,
        customer_id: it.customer_id.to_string(),
        currency: it.total.currency.to_string(),
        number: Some(it.number.clone()).filter(|own| !own.starts_with(PASSING)).unwrap_or_default(),
        due_on: it.due_on.map(|day| day.to_string()).unwrap_or_default(),
        memo: it.memo.unwrap_or_default(),
        rows: it.lines.iter().map(row).chain([LineRow::default()]).collect(),
        errors: Errors::default(),
    };
    form(visit, typed).await
}

pub(crate) async fn save(visit: &Visit<'_>, posted: &Form, is_edit: bool) -> Result<Response, Failed> {
    let mut typed = typed(visit, posted, is_edit);
    if posted.text("do") == "add_rows" {
        let wanted = typed.rows.len().saturating_add(ROWS).min(MAX_ROWS);
        typed.rows.resize(wanted, LineRow::default());
        return form(visit, typed).await;
    }
    let (body, rows) = body(&mut typed, is_edit);
    if typed.errors.any() {
        return form(visit, typed).await;
    }
    let ask = match is_edit {
        true => visit.ask("PATCH", "invoices/{id}").id("id", &typed.id),
        false => visit.ask("POST", "invoices"),
    };
    let saved = ask.of_form(posted).body(&body).send::<Invoice>().await;
    match tried(saved, |pointer| field(pointer, &rows))? {
        Ok(saved) => Ok(visit.done(&format!("/invoices/{}", saved.body.id), "invoice")),
        Err(errors) if errors.is_stale() => {
            let now = visit.ask("GET", "invoices/{id}").id("id", &typed.id).send::<Invoice>().await?;
            let mut errors = errors.stale_at(visit.page(&format!("/invoices/{}", typed.id)));
            if now.body.status != InvoiceStatus::Draft {
                errors = errors.whole("It is no draft any more, so it cannot be saved.");
            }
            form(visit, Typed { errors, version: now.version, ..typed }).await
        }
        Err(errors) => form(visit, Typed { errors, ..typed }).await,
    }
}

fn typed(visit: &Visit<'_>, posted: &Form, is_edit: bool) -> Typed {
    let text = |name: &str| posted.text(name).to_owned();
    let row = |n: usize| LINE.map(|part| posted.text(&format!("lines.{n}.{part}")).to_owned());
    let is_sent = |n: &usize| LINE.iter().any(|part| posted.has(&format!("lines.{n}.{part}")));
    let rows = (0..MAX_ROWS).take_while(is_sent).map(|n| {
        let [description, quantity, unit_price, tax_percent] = row(n);
        LineRow { description, quantity, unit_price, tax_percent }
    });
    Typed {
        id: if is_edit { visit.path("id").to_owned() } else { String::new() },
        version: text("version"),
        customer_id: text("customer_id"),
        number: text("number"),
        currency: text("currency"),
        due_on: text("due_on"),
        memo: posted.raw("memo").to_owned(),
        rows: rows.collect(),
        errors: Errors::default(),
    }
}

/// The body, and the row of each of its lines. What cannot be sent stands in `errors`.
fn body(typed: &mut Typed, is_edit: bool) -> (Value, Vec<usize>) {
    let mut errors = std::mem::take(&mut typed.errors);
    let (mut lines, mut rows) = (Vec::new(), Vec::new());
    for (n, row) in typed.rows.iter().enumerate() {
        let LineRow { description, quantity, unit_price, tax_percent } = row;
        if [description, quantity, unit_price, tax_percent].into_iter().all(String::is_empty) {
            continue;
        }
        let price = amount_of(&format!("lines.{n}.unit_price"), unit_price, &typed.currency, &mut errors);
        for (part, text) in [("quantity", quantity), ("tax_percent", tax_percent)] {
            if Decimal::from_str_exact(text).is_err() && !(part == "tax_percent" && text.is_empty()) {
                errors = errors.field(format!("lines.{n}.{part}"), "Enter a number, such as 1 or 7.5");
            }
        }
        let mut line = json!({"description": description, "quantity": quantity, "unit_price": price});
        if let (false, Some(line)) = (tax_percent.is_empty(), line.as_object_mut()) {
            line.insert("tax_percent".to_owned(), tax_percent.as_str().into());
        }
        lines.push(line);
        rows.push(n);
    }
    if lines.is_empty() {
        errors = errors.field("lines", "Enter at least one line");
    }
    if typed.customer_id.is_empty() {
        errors = errors.field("customer_id", "Choose a customer");
    }
    let optional = [("number", &typed.number), ("due_on", &typed.due_on), ("memo", &typed.memo)];
    let mut body = json!({"customer_id": typed.customer_id, "lines": lines});
    if let Some(body) = body.as_object_mut() {
        for (field, text) in optional {
            let value = if text.trim().is_empty() { Value::Null } else { text.as_str().into() };
            if is_edit || !value.is_null() {
                body.insert(field.to_owned(), value);
            }
        }
    }
    typed.errors = errors;
    (body, rows)
}

/// The field of a pointer: `/lines/1/unit_price/amount` is of the row that the second line came from.
fn field(pointer: &str, rows: &[usize]) -> Option<String> {
    let mut parts = pointer.split('/').skip(1);
    match (parts.next()?, parts.next(), parts.next()) {
        ("lines", Some(line), Some(part)) if LINE.contains(&part) => {
            let row = rows.get(line.parse::<usize>().ok()?)?;
            Some(format!("lines.{row}.{part}"))
        }
        ("lines", ..) => Some("lines".to_owned()),
        _ => among(&["customer_id", "number", "due_on", "memo"])(pointer),
    }
}

async fn form(visit: &Visit<'_>, typed: Typed) -> Result<Response, Failed> {
    let asked = futures::try_join!(visit.membership(), customers(visit, &typed.customer_id))?;
    let (org, (customers, has_more_customers)) = asked;
    allowed(org.may.write_ledger)?;
    let id = typed.id.parse().ok();
    let shown = InvoiceForm {
        frame: visit.frame()?,
        org,
        id,
        version: id.map(|_| typed.version),
        customers,
        has_more_customers,
        customer_id: typed.customer_id,
        number: typed.number,
        currencies: currencies(&typed.currency),
        currency: typed.currency,
        due_on: typed.due_on,
        memo: typed.memo,
        rows: typed.rows,
        errors: typed.errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}
