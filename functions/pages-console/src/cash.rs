//! Cash application: unapplied payments one after the other, each with what it may be for.

use plixo_domain::id::AllocationId;
use plixo_lambda::http::Response;
use plixo_pages::{
    CashPage, CashPayment, CashPlace, CashWork, CustomerLink, Errors, Left, ProblemKind, SuggestedAllocation,
    Suggestion, Suggestions, Undo, UndoAllocation,
};
use plixo_web::ask::{Problem, Shown};
use plixo_web::form::Form;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::fields::{called, payer};
use crate::payments::allocate;
use crate::shape::{self, List, Payment};
use crate::visit::{Failed, Visit};

/// The place in the list after its last payment. No cursor is as short.
const END: &str = "end";
/// A list may name what has just been applied and show nothing of it: so many such places are passed at a time.
const PASSED: usize = 5;

pub(crate) async fn show(visit: &Visit<'_>) -> Result<Response, Failed> {
    page(visit, &visit.query, Errors::default()).await
}

/// What the forms of cash application do.
pub(crate) async fn act(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    match form.text("do") {
        "apply" => apply(visit, form).await,
        "undo" => undo(visit, form).await,
        _ => Err(Failed::Own(ProblemKind::BadRequest)),
    }
}

async fn apply(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let payment = form.text("payment");
    match allocate(visit, payment, form).await? {
        Ok(made) => {
            let (cursor, next) = (visit.query.text("cursor").to_owned(), form.text("next").to_owned());
            Ok(go_on(visit, &CashPlace { cursor, next }, payment, &made))
        }
        Err(errors) => page(visit, form, errors.without_fields()).await,
    }
}

/// To the payment after the one that was applied, with what takes that back.
pub(crate) fn go_on(visit: &Visit<'_>, place: &CashPlace, payment: &str, made: &[AllocationId]) -> Response {
    let made: Vec<_> = made.iter().map(ToString::to_string).collect();
    let (of, from) = (made.join("."), place.cursor.as_str());
    let query = [("cursor", place.next.as_str()), ("undo", payment), ("of", &of), ("from", from)];
    Response::redirect(303, visit.page_with("/cash", &query))
}

/// No suggestion has more allocations.
const MAX_UNDONE: usize = 20;

/// Takes back what the form names, the last first, and shows the payment again.
async fn undo(visit: &Visit<'_>, form: &Form) -> Result<Response, Failed> {
    let (payment, mut kept) = (form.text("undo"), Vec::new());
    for allocation in form.text("of").rsplit('.').filter(|id| !id.is_empty()).take(MAX_UNDONE) {
        let ask = visit.ask("DELETE", "payments/{id}/allocations/{allocation}").id("id", payment);
        match ask.id("allocation", allocation).of_form_part(form, allocation).tell().await {
            // Or somebody took it back already.
            Ok(()) | Err(Problem { status: 404, .. }) => {}
            Err(problem) if problem.can_be_mended() => kept.push((allocation, problem.detail)),
            Err(problem) => return Err(problem.into()),
        }
    }
    if kept.is_empty() {
        let query = [("cursor", form.text("from")), ("payment", payment), ("done", "undone")];
        return Ok(Response::redirect(303, visit.page_with("/cash", &query)));
    }
    let shown = applied(visit, form).await?;
    let number = |id: &str| {
        let found = shown.iter().flat_map(|it| &it.allocations).find(|it| it.id.to_string() == id);
        found.map_or("An invoice", |it| &it.number).to_owned()
    };
    let errors = kept.into_iter().fold(Errors::default(), |errors, (id, why)| {
        errors.whole(format!("{} is still applied. {why}", number(id)))
    });
    page(visit, form, errors).await
}

/// The page: of the payment that `of` names as `payment`, else of the first after the place where the page stands; with what `of`
/// says was applied before.
async fn page(visit: &Visit<'_>, of: &Form, errors: Errors) -> Result<Response, Failed> {
    let cursor = visit.query.text("cursor");
    let asked = futures::try_join!(
        visit.membership(),
        first(visit, cursor),
        count(visit, cursor),
        applied(visit, of)
    );
    let (org, (first, after), left, undo) = asked?;
    let id = of.some("payment").map(str::to_owned).or_else(|| first.as_ref().map(|it| it.id.to_string()));
    let work = match id {
        Some(id) => {
            let (found, suggestions) =
                futures::join!(visit.payment(&id, "customer"), suggestions(visit, &id));
            let is_first = first.is_some_and(|first| first.id.to_string() == id);
            let next = if is_first { after } else { cursor.to_owned() };
            let left = Left { count: left.count.max(1), ..left };
            CashWork::Payment(Box::new(work(found?, left, next, suggestions)))
        }
        None => match count(visit, "").await? {
            Left { count: 0, has_more: false } => CashWork::Nothing,
            left => CashWork::Rest(left),
        },
    };
    let undo = undo.filter(|_| org.may.write_ledger);
    let shown = CashPage { frame: visit.frame()?, org, cursor: cursor.to_owned(), undo, work, errors };
    Ok(Visit::shown(&shown.errors, shown.render()))
}

fn work(found: Shown<Payment>, left: Left, next: String, suggestions: Option<Suggestions>) -> CashPayment {
    let Shown { body: it, version } = found;
    CashPayment {
        id: it.id,
        version,
        payer_name: it.payer_name,
        customer: it.customer.map(|own| CustomerLink { id: own.id, name: called(Some(&own)) }),
        remittance: it.remittance,
        received_on: it.received_on,
        source: it.source,
        amount: it.amount,
        unapplied: it.unapplied.filter(|left| left.amount > 0),
        left,
        next,
        suggestions,
    }
}

/// The first unapplied payment after a place of the list, and the place after it.
async fn first(visit: &Visit<'_>, cursor: &str) -> Result<(Option<Payment>, String), Problem> {
    let mut cursor = cursor.to_owned();
    for _ in 0..PASSED {
        if cursor == END {
            break;
        }
        let asked = [("unapplied", "true"), ("limit", "1"), ("cursor", &cursor)];
        let List { data, next_cursor } = visit.ask("GET", "payments").query(&asked).send().await?.body;
        cursor = next_cursor.unwrap_or_else(|| END.to_owned());
        if let Some(first) = data.into_iter().next() {
            return Ok((Some(first), cursor));
        }
    }
    Ok((None, cursor))
}

/// How many unapplied payments there are after a place of the list.
async fn count(visit: &Visit<'_>, cursor: &str) -> Result<Left, Problem> {
    if cursor == END {
        return Ok(Left { count: 0, has_more: false });
    }
    let ask = visit.ask("GET", "payments").query(&[("unapplied", "true"), ("cursor", cursor)]);
    let List { data, next_cursor } = ask.send::<List<Payment>>().await?.body;
    Ok(Left { count: data.len(), has_more: next_cursor.is_some() })
}

/// What was applied as the fields of [`Undo`] say, as far as it still is.
async fn applied(visit: &Visit<'_>, of: &Form) -> Result<Option<Undo>, Problem> {
    let Some(id) = of.some("undo") else { return Ok(None) };
    let it = match visit.payment(id, "customer,invoices").await {
        Ok(found) => found.body,
        // The address names nothing: that is no reason to show nothing.
        Err(problem) if matches!(problem.status, 400 | 404) => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let is_named = |id: AllocationId| of.text("of").split('.').any(|own| own == id.to_string());
    let allocations = it.allocations.into_iter().filter(|own| is_named(own.id));
    let allocations = allocations.map(|own| UndoAllocation {
        id: own.id,
        number: own.invoice.map(|invoice| invoice.number).unwrap_or_default(),
        amount: own.amount,
    });
    let undo = Undo {
        payment: it.id,
        payer: it.payer_name.or_else(|| payer(it.customer.as_ref(), None)),
        allocations: allocations.collect(),
        from: of.text("from").to_owned(),
    };
    Ok(Some(undo).filter(|undo| !undo.allocations.is_empty()))
}

/// What a payment may be for; `None` where that could not be found out. The payment can be applied all the same.
pub(crate) async fn suggestions(visit: &Visit<'_>, payment: &str) -> Option<Suggestions> {
    let ask = visit.ask("GET", "payments/{id}/suggestions").id("id", payment);
    let found = ask.query(&[("expand", "invoices")]).send::<shape::Suggestions>().await.ok()?.body;
    let allocation = |it: shape::SuggestedAllocation| SuggestedAllocation {
        invoice_id: it.invoice_id,
        number: it.invoice.map(|invoice| invoice.number).unwrap_or_default(),
        amount: it.amount,
    };
    let row = |it: shape::Suggestion| Suggestion {
        allocations: it.allocations.into_iter().map(allocation).collect(),
        unapplied: it.unapplied,
        percent: percent(&it.confidence),
        reasons: it.reasons,
    };
    let rows = found.data.into_iter().map(row).collect();
    Some(Suggestions { rows, stopped_early: found.stopped_early })
}

/// Rounded down: nothing looks surer than it is.
fn percent(confidence: &serde_json::Number) -> u8 {
    let confidence = confidence.to_string().parse::<Decimal>().unwrap_or_default();
    confidence.saturating_mul(Decimal::ONE_HUNDRED).trunc().to_u8().unwrap_or_default().min(100)
}
