//! What several forms have.

use plixo_domain::money::{Currency, Money};
use plixo_pages::{Choice, Errors, read_amount};

use crate::shape::{Customer, CustomerName};
use crate::visit::Visit;
use plixo_web::ask::Problem;

/// The currencies that forms offer, besides the one that is chosen already.
const CURRENCIES: [&str; 14] =
    ["EUR", "USD", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "RON", "CAD", "AUD", "JPY"];

/// The currencies to choose from.
pub(crate) fn currencies(chosen: &str) -> Vec<String> {
    let others = CURRENCIES.into_iter().filter(|code| *code != chosen);
    Some(chosen).filter(|code| !code.is_empty()).into_iter().chain(others).map(str::to_owned).collect()
}

/// An amount that was typed, or what is wrong with it.
pub(crate) fn amount(text: &str, currency: &str) -> Result<Money, &'static str> {
    let currency: Currency = currency.parse().map_err(|_| "Choose a currency")?;
    read_amount(text, currency).map_err(plixo_pages::AmountError::advice)
}

/// [`amount`] of a field, with what is wrong put beside it.
pub(crate) fn amount_of(field: &str, text: &str, currency: &str, errors: &mut Errors) -> Option<Money> {
    match amount(text, currency) {
        Ok(money) => Some(money),
        Err(advice) => {
            *errors = std::mem::take(errors).field(field, advice);
            None
        }
    }
}

/// The customers to choose from, the chosen one among them, and whether there are more.
pub(crate) async fn customers(visit: &Visit<'_>, chosen: &str) -> Result<(Vec<Choice>, bool), Problem> {
    let ask = visit.ask("GET", "customers").query(&[("limit", "100")]);
    let listed: crate::shape::List<Customer> = ask.send().await?.body;
    let there = listed.data.iter().filter(|it| it.erased_at.is_none());
    let mut choices: Vec<_> = there.map(choice).collect();
    if !chosen.is_empty() && choices.iter().all(|choice| choice.value != chosen) {
        // One that there is not is refused when the form is sent.
        let found = visit.ask("GET", "customers/{id}").id("id", chosen).send::<Customer>().await;
        choices.extend(found.iter().filter(|it| it.body.erased_at.is_none()).map(|it| choice(&it.body)));
    }
    choices.sort_by_key(|choice| choice.label.to_lowercase());
    Ok((choices, listed.next_cursor.is_some()))
}

fn choice(customer: &Customer) -> Choice {
    Choice::new(customer.id.to_string(), name(customer.name.as_deref()))
}

/// What a customer is called that was erased.
pub(crate) const ERASED: &str = "Erased customer";

/// What a customer is called, unless it was erased.
pub(crate) fn known(customer: &Customer) -> Option<String> {
    customer.erased_at.is_none().then(|| name(customer.name.as_deref()))
}

/// What the customer is called that something is of.
pub(crate) fn called(customer: Option<&CustomerName>) -> String {
    match customer {
        Some(erased) if erased.erased_at.is_some() => ERASED.to_owned(),
        other => name(other.and_then(|it| it.name.as_deref())),
    }
}

/// Who paid: the customer, as far as it has a name or had one, or else whom the payment names.
pub(crate) fn payer(customer: Option<&CustomerName>, payer_name: Option<String>) -> Option<String> {
    let known = customer.filter(|it| it.name.is_some() || it.erased_at.is_some());
    known.map(|it| called(Some(it))).or(payer_name)
}

/// A customer's name, as people read it.
fn name(name: Option<&str>) -> String {
    name.unwrap_or("Without a name").to_owned()
}
