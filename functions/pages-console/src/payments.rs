//! Payments, and what of them is applied to which invoice.

use std::collections::{BTreeMap, BTreeSet};

use plixo_domain::id::{AllocationId, InvoiceId};
use plixo_domain::money::Money;
use plixo_lambda::http::Response;
use plixo_pages::{
    AllocateForm, AllocationRow, Candidate, CashPlace, CustomerLink, Errors, PaymentForm, PaymentList,
    PaymentPage, PaymentRow, ProblemKind,
};
use plixo_web::ask::{Problem, Shown};
use plixo_web::form::Form;
use serde_json::{Value, json};

use crate::audit::People;
use crate::cash;
use crate::fields::{amount_of, called, currencies, customers, payer};
use crate::invoices::is_overdue;
use crate::shape::{Invoice, List, Made, Payment};
use crate::visit::{Failed, Tried, Visit, allowed, among, tried};

/// So many invoices are offered to apply a payment to.
const CANDIDATES: usize = 20;
/// More than a request may have allocations.
const MAX_ROWS: usize = 40;
/// What the name of a field begins with that says how much an invoice gets: its id follows.
const APPLY: &str = "apply.";

pub(crate) async fn list(visit: &Visit<'_>, is_unapplied: bool) -> Result<Response, Failed> {
    let unapplied = if is_unapplied { "true" } else { "" };
    let asked = [("unapplied", unapplied), ("expand", "customer")];
    let (org, (rows, paging)) =
        futures::try_join!(visit.membership(), visit.list::<Payment>("payments", &asked))?;
    let rows = rows.into_iter().map(row).collect();
    let shown = PaymentList { frame: visit.frame()?, org, is_unapplied, rows, paging };
    Ok(Visit::shown(&Errors::default(), shown.render()))
}

fn row(it: Payment) -> PaymentRow {
    PaymentRow {
        id: it.id,
        received_on: it.received_on,
        payer: payer(it.customer.as_ref(), it.payer_name),
        source: it.source,
        status: it.status,
        amount: it.amount,
        unapplied: it.unapplied,
    }
}

pub(crate) async fn show(visit: &Visit<'_>) -> Result<Response, Failed> {
    page(visit, &visit.query, Errors::default()).await
}

/// What the forms of a payment do.
pub(crate) async fn act(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    match form.text("do") {
        "apply" => apply(visit, form).await,
        "take_back" => take_back(visit, form).await,
        _ => Err(Failed::Own(ProblemKind::BadRequest)),
    }
}

async fn take_back(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let id = visit.path("id");
    let ask = visit.ask("DELETE", "payments/{id}/allocations/{allocation}").id("id", id);
    let asked = ask.id("allocation", form.text("allocation")).of_form(form).tell().await;
    match tried(asked, |_| None)? {
        Ok(()) => Ok(visit.done(&format!("/payments/{id}"), "taken-back")),
        Err(errors) => page(visit, &Form::default(), errors).await,
    }
}

async fn apply(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let id = visit.path("id");
    match (allocate(visit, id, form).await?, place(form)) {
        (Ok(made), Some(place)) => Ok(cash::go_on(visit, &place, id, &made)),
        (Ok(_), None) => Ok(visit.done(&format!("/payments/{id}"), "applied")),
        (Err(errors), _) => page(visit, form, errors).await,
    }
}

/// Where somebody came from to apply a payment by hand.
fn place(form: &Form) -> Option<CashPlace> {
    let place = || CashPlace { cursor: form.text("cursor").to_owned(), next: form.text("next").to_owned() };
    form.has("next").then(place)
}

/// Applies a payment as the form says.
pub(crate) async fn allocate(
    visit: &Visit<'_>,
    id: &str,
    form: &Form,
) -> Result<Tried<Vec<AllocationId>>, Failed> {
    let mut errors = Errors::default();
    let currency = visit.payment(id, "").await?.body.amount.map(|it| it.currency.to_string());
    let currency = currency.unwrap_or_default();
    let (mut shares, mut fields) = (Vec::new(), Vec::new());
    for (id, text) in typed(form) {
        let field = format!("{APPLY}{id}");
        let amount = amount_of(&field, text, &currency, &mut errors);
        shares.push(json!({"invoice_id": id, "amount": amount}));
        fields.push(field);
    }
    let (other, text) = (form.text("other_number"), form.text("other_amount"));
    if !other.is_empty() || !text.is_empty() {
        match visit.invoice_of(other).await? {
            None => errors = errors.field("other_number", "There is no invoice of this number"),
            Some(invoice) => {
                let amount = amount_of("other_amount", text, &currency, &mut errors);
                shares.push(json!({"invoice_id": invoice.id, "amount": amount}));
                fields.push("other_amount".to_owned());
            }
        }
    }
    if shares.is_empty() && !errors.any() {
        errors = errors.whole("Enter how much of the payment an invoice gets");
    }
    if errors.any() {
        return Ok(Err(errors));
    }
    let ask = visit.ask("POST", "payments/{id}/allocations").id("id", id).of_form(form);
    let asked = ask.body(&json!({"allocations": shares})).send::<List<Made>>().await;
    let field = |pointer: &str| {
        let line = pointer.strip_prefix("/allocations/")?.split('/').next()?.parse::<usize>().ok()?;
        fields.get(line).cloned()
    };
    Ok(tried(asked, field)?.map(|made| made.body.data.into_iter().map(|it| it.id).collect()))
}

/// The invoices beside which something was typed, and what.
fn typed(form: &Form) -> impl Iterator<Item = (InvoiceId, &str)> {
    let amount = |(name, text): (&str, _)| Some((name.strip_prefix(APPLY)?.parse().ok()?, text));
    let fields = form.fields().map(|(name, text)| (name, text.trim()));
    fields.filter(|(_, text): &(_, &str)| !text.is_empty()).filter_map(amount).take(MAX_ROWS)
}

impl Visit<'_> {
    pub(crate) async fn payment(&self, id: &str, expand: &str) -> Result<Shown<Payment>, Problem> {
        self.ask("GET", "payments/{id}").id("id", id).query(&[("expand", expand)]).send().await
    }

    /// The invoice of that number, if there is one.
    pub(crate) async fn invoice_of(&self, number: &str) -> Result<Option<Invoice>, Problem> {
        if number.is_empty() {
            return Ok(None);
        }
        let ask = self.ask("GET", "invoices").query(&[("number", number)]);
        match ask.send::<List<Invoice>>().await {
            Ok(found) => Ok(found.body.data.into_iter().next()),
            // No invoice can have such a number.
            Err(problem) if problem.status == 400 => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// The invoices that take money, of a customer or of all: of each status those that are due first.
    async fn owed(&self, customer: &str) -> Result<Vec<Invoice>, Problem> {
        let of = async |status| {
            let of = [("status", status), ("customer_id", customer), ("expand", "customer"), ("limit", "50")];
            Ok(self.ask("GET", "invoices").query(&of).send::<List<Invoice>>().await?.body.data)
        };
        let (open, partially_paid) = futures::try_join!(of("open"), of("partially_paid"))?;
        Ok(open.into_iter().chain(partially_paid).collect())
    }

    /// An invoice with its customer's name, if it is there.
    async fn named_invoice(&self, id: InvoiceId) -> Result<Option<Invoice>, Problem> {
        let found = match self.ask("GET", "invoices/{id}").id("id", id).send::<Invoice>().await {
            Ok(found) => found.body,
            Err(problem) if problem.status == 404 => return Ok(None),
            Err(problem) => return Err(problem),
        };
        let ask = self.ask("GET", "customers/{id}").id("id", found.customer_id);
        Ok(Some(Invoice { customer: Some(ask.send().await?.body), ..found }))
    }
}

async fn page(visit: &Visit<'_>, form: &Form, errors: Errors) -> Result<Response, Failed> {
    let id = visit.path("id");
    let (org, found) = futures::try_join!(visit.membership(), visit.payment(id, "customer,invoices"))?;
    let (it, version) = (found.body, found.version);
    let people = if it.allocations.is_empty() { People::default() } else { People::of(visit, &org).await? };
    let (left, place) = (it.unapplied.filter(|left| left.amount > 0), place(form));
    let (other_number, other_amount) =
        (form.text("other_number").to_owned(), form.text("other_amount").to_owned());
    let is_touched = typed(form).next().is_some() || !other_number.is_empty() || !other_amount.is_empty();
    let suggestions = async {
        // Who is about to type what an invoice gets has seen them.
        match left.filter(|_| !is_touched && place.is_none()) {
            Some(_) => Ok(cash::suggestions(visit, id).await),
            None => Ok(None),
        }
    };
    let allocate = async {
        match left.filter(|_| org.may.write_ledger) {
            Some(left) => {
                let candidates = candidates(visit, form, &it, left).await?;
                Ok::<_, Problem>(Some(AllocateForm { candidates, other_number, other_amount }))
            }
            None => Ok(None),
        }
    };
    let (allocate, suggestions) = futures::try_join!(allocate, suggestions)?;
    let allocations = it.allocations.iter().map(|allocation| AllocationRow {
        id: allocation.id,
        invoice_id: allocation.invoice_id,
        number: allocation.invoice.as_ref().map(|it| it.number.clone()).unwrap_or_default(),
        amount: allocation.amount,
        applied_by: people.name(&allocation.applied_by),
        can_remove: org.may.write_ledger,
    });
    let shown = PaymentPage {
        frame: visit.frame()?,
        id: it.id,
        version,
        source: it.source,
        status: it.status,
        amount: it.amount,
        unapplied: it.unapplied,
        refunded: it.refunded,
        customer: it.customer.map(|own| CustomerLink { id: own.id, name: called(Some(&own)) }),
        payer_name: it.payer_name,
        remittance: it.remittance,
        received_on: it.received_on,
        external_id: it.external_id,
        allocations: allocations.collect(),
        suggestions,
        place,
        allocate,
        org,
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

/// Invoices that the payment may be for: first those of its customer, then those of its amount, then the earliest due. One beside
/// which something was typed is among them whatever became of it.
async fn candidates(
    visit: &Visit<'_>,
    form: &Form,
    payment: &Payment,
    left: Money,
) -> Result<Vec<Candidate>, Problem> {
    let theirs = async {
        match payment.customer_id {
            Some(customer) => visit.owed(&customer.to_string()).await,
            None => Ok(Vec::new()),
        }
    };
    let (theirs, all) = futures::try_join!(theirs, visit.owed(""))?;
    let mut invoices: Vec<_> = theirs.into_iter().chain(all).collect();
    let mut seen = BTreeSet::new();
    invoices.retain(|it| it.balance.currency == left.currency && seen.insert(it.id));
    invoices.sort_by_key(|it| {
        let is_theirs = payment.customer_id == Some(it.customer_id);
        (!is_theirs, it.balance != left, it.due_on, it.id)
    });
    let mut typed: BTreeMap<InvoiceId, &str> = typed(form).collect();
    let mut places = 0..CANDIDATES;
    invoices.retain(|it| places.next().is_some() || typed.contains_key(&it.id));
    let gone = typed.keys().filter(|id| invoices.iter().all(|it| it.id != **id));
    let gone = futures::future::try_join_all(gone.map(|id| visit.named_invoice(*id))).await?;
    invoices.extend(gone.into_iter().flatten());
    let today = visit.today();
    let candidate = |it: Invoice| Candidate {
        is_overdue: is_overdue(&it, today),
        amount: typed.remove(&it.id).unwrap_or_default().to_owned(),
        invoice_id: it.id,
        number: it.number,
        customer: called(it.customer.as_ref()),
        due_on: it.due_on,
        balance: it.balance,
    };
    Ok(invoices.into_iter().map(candidate).collect())
}

pub(crate) async fn write(visit: &Visit<'_>) -> Result<Response, Failed> {
    let (customer, received_on) = (visit.query.text("customer"), visit.today().to_string());
    form(visit, &Form::default(), (customer, &received_on), Errors::default()).await
}

pub(crate) async fn save(visit: &Visit<'_>, typed: &Form) -> Result<Response, Failed> {
    let mut errors = Errors::default();
    let amount = amount_of("amount", typed.text("amount"), typed.text("currency"), &mut errors);
    let (customer, received_on) = (typed.text("customer_id"), typed.text("received_on"));
    if errors.any() {
        return form(visit, typed, (customer, received_on), errors).await;
    }
    let optional = ["customer_id", "payer_name", "remittance", "external_id"];
    let optional = optional.iter().filter_map(|name| Some(((*name).to_owned(), typed.some(name)?.into())));
    let source = typed.text("source").into();
    let fields = [
        ("source".to_owned(), source),
        ("amount".to_owned(), json!(amount)),
        ("received_on".to_owned(), received_on.into()),
    ];
    let body: Value = fields.into_iter().chain(optional).collect();
    let saved = visit.ask("POST", "payments").of_form(typed).body(&body).send::<Payment>().await;
    let fields =
        ["source", "amount", "received_on", "customer_id", "payer_name", "remittance", "external_id"];
    match tried(saved, among(&fields))? {
        Ok(saved) => Ok(visit.done(&format!("/payments/{}", saved.body.id), "payment")),
        Err(errors) => form(visit, typed, (customer, received_on), errors).await,
    }
}

async fn form(
    visit: &Visit<'_>,
    typed: &Form,
    (customer, received_on): (&str, &str),
    errors: Errors,
) -> Result<Response, Failed> {
    let asked = futures::try_join!(visit.membership(), customers(visit, customer))?;
    let (org, (customers, has_more_customers)) = asked;
    allowed(org.may.write_ledger)?;
    let text = |name: &str| typed.raw(name).to_owned();
    let currency = typed.some("currency").unwrap_or("EUR").to_owned();
    let shown = PaymentForm {
        frame: visit.frame()?,
        org,
        source: typed.some("source").unwrap_or("bank").to_owned(),
        amount: text("amount"),
        currencies: currencies(&currency),
        currency,
        received_on: received_on.to_owned(),
        customers,
        has_more_customers,
        customer_id: customer.to_owned(),
        payer_name: text("payer_name"),
        remittance: text("remittance"),
        external_id: text("external_id"),
        errors,
    };
    Ok(Visit::shown(&shown.errors, shown.render()))
}
