//! What is fetched from Xero, QuickBooks and Business Central.

use plixo_domain::ledger::InvoiceState;
use plixo_domain::money::Currency;
use serde_json::{Value, json};

use super::*;

fn set(name: &str, pointer: &str, value: Value) -> Value {
    let mut body = sample("worker-erp", name);
    let (parent, own) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[own] = value;
    body
}

fn first(name: &str, body: &Value) -> Event {
    answer(name, body).unwrap().remove(0)
}

fn state(name: &str, body: &Value) -> Option<InvoiceState> {
    match first(name, body) {
        Event::InvoiceUpserted(invoice) => Some(invoice.state),
        Event::InvoiceVoided(_) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_statuses_of_all_become_plixos() {
    use InvoiceState::{Draft, Open};
    for (status, expected) in [
        ("DRAFT", Some(Draft)),
        ("SUBMITTED", Some(Draft)),
        ("AUTHORISED", Some(Open)),
        ("PAID", Some(Open)),
        ("VOIDED", None),
        ("DELETED", None),
    ] {
        let body = set("xero.invoices", "/Invoices/0/Status", json!(status));
        assert_eq!(state("xero.invoices", &body), expected, "{status}");
    }
    for (status, expected) in [
        (" ", Some(Draft)),
        ("_x0020_", Some(Draft)),
        ("Draft", Some(Draft)),
        ("In_x0020_Review", Some(Draft)),
        ("Open", Some(Open)),
        ("Paid", Some(Open)),
        ("Canceled", None),
        ("Corrective", None),
    ] {
        let body = set("business_central.sales_invoice", "/status", json!(status));
        assert_eq!(state("business_central.sales_invoice", &body), expected, "{status}");
    }
    let voided = sample("worker-erp", "quickbooks.invoice.voided");
    assert_eq!(state("quickbooks.invoice.voided", &voided), None);
    let free = set("quickbooks.invoice.voided", "/Invoice/PrivateNote", json!("for free"));
    assert_eq!(
        state("quickbooks.invoice.voided", &free),
        Some(Open),
        "an invoice of nothing is none that is voided"
    );
    for (name, pointer) in
        [("xero.invoices", "/Invoices/0/Status"), ("business_central.sales_invoice", "/status")]
    {
        let error = ReadError::Field(field(pointer, Problem::Unknown));
        assert_eq!(answer(name, &set(name, pointer, json!("Lost"))), Err(error));
    }
}

#[test]
fn what_is_no_business_of_a_sellers_tells_nothing() {
    for (name, pointer, value) in [
        ("xero.invoices", "/Invoices/0/Type", json!("ACCPAY")),
        ("xero.payments", "/Payments/0/PaymentType", json!("ACCPAYPAYMENT")),
        ("xero.payments", "/Payments/0/Invoice/Type", json!("ACCPAY")),
        ("xero.payments", "/Payments/0/Invoice", json!(null)),
        ("xero.credit_notes", "/CreditNotes/0/Type", json!("ACCPAYCREDIT")),
        ("xero.credit_notes", "/CreditNotes/0/Status", json!("DRAFT")),
        ("business_central.sales_credit_memo", "/status", json!("Draft")),
    ] {
        assert_eq!(answer(name, &set(name, pointer, value)), Ok(Vec::new()), "{name} {pointer}");
    }
}

#[test]
fn what_was_taken_back_is_withdrawn() {
    for (name, pointer, value) in [
        ("xero.payments", "/Payments/0/Status", json!("DELETED")),
        ("xero.credit_notes", "/CreditNotes/0/Status", json!("VOIDED")),
        ("xero.contacts", "/Contacts/0/ContactStatus", json!("GDPRREQUEST")),
        ("quickbooks.payment", "/Payment/status", json!("Deleted")),
        ("business_central.sales_credit_memo", "/status", json!("Canceled")),
        ("business_central.sales_credit_memo", "/status", json!("Paid")),
    ] {
        let event = first(name, &set(name, pointer, value));
        let entity = kind_of(name).1;
        assert_eq!(event, entity.withdrawn(event.id().clone(), event.version()), "{name}");
    }
}

#[test]
fn quickbooks_names_are_of_their_company_and_its_token_counts_versions() {
    let event = first("quickbooks.invoice", &sample("worker-erp", "quickbooks.invoice"));
    assert_eq!((event.id().as_str(), event.version().sequence), ("1185883450:130", 2));
    let credit = first("quickbooks.credit_memo", &sample("worker-erp", "quickbooks.credit_memo"));
    assert_eq!(credit.id().as_str(), "credit_note:1185883450:73");
    let later = first("quickbooks.invoice", &set("quickbooks.invoice", "/Invoice/SyncToken", json!("10")));
    assert!(later.version() > event.version(), "10 is more than 2");
    let other: ExternalId = "7".parse().unwrap();
    let context = Context { account: Some(&other), currency: None };
    let body = sample("worker-erp", "quickbooks.invoice").to_string();
    let elsewhere = document::read(Provider::Quickbooks, Entity::Invoice, body.as_bytes(), &context).unwrap();
    assert_eq!(elsewhere[0].id().as_str(), "7:130");
}

#[test]
fn a_query_of_quickbooks_is_a_list() {
    let one = sample("worker-erp", "quickbooks.invoice")["Invoice"].clone();
    let body = json!({"QueryResponse": {"Invoice": [one, one], "startPosition": 1, "maxResults": 2}});
    assert_eq!(answer("quickbooks.invoice", &body).unwrap().len(), 2);
    assert_eq!(answer("quickbooks.invoice", &json!({"QueryResponse": {}})), Ok(Vec::new()));
    assert_eq!(answer("quickbooks.invoice", &json!({"Customer": {}})), Err(ReadError::NotADocument));
}

#[test]
fn without_a_currency_of_its_own_a_document_has_its_companys_or_none() {
    let body = set("quickbooks.invoice", "/Invoice/CurrencyRef", json!(null)).to_string();
    let read = |currency: Option<Currency>| {
        let context = Context { account: None, currency };
        document::read(Provider::Quickbooks, Entity::Invoice, body.as_bytes(), &context)
    };
    let Event::InvoiceUpserted(invoice) = read(Some("CAD".parse().unwrap())).unwrap().remove(0) else {
        panic!("an invoice")
    };
    assert_eq!(invoice.total.currency.code(), "CAD");
    assert_eq!(read(None), Err(ReadError::Field(field("/Invoice/CurrencyRef", Problem::Missing))));
}

#[test]
fn what_is_paid_of_business_centrals_invoice_is_one_payment() {
    let paid = |remaining: Value| {
        let body = set("business_central.sales_invoice", "/remainingAmount", remaining);
        let mut events = answer("business_central.sales_invoice", &body).unwrap();
        let Event::PaymentRecorded(payment) = events.remove(1) else { panic!("a payment") };
        assert_eq!(payment.id.as_str(), "settled:5d115c9c-44e3-ea11-bb43-000d3a2feca1");
        payment.record.map(|record| record.amount.amount)
    };
    assert_eq!(paid(json!(1000.0)), Some(328_000));
    assert_eq!(paid(json!(0)), Some(428_000));
    assert_eq!(paid(json!(4280)), None, "nothing is paid, or not any more");
    let body = set("business_central.sales_invoice", "/remainingAmount", json!(null));
    assert_eq!(answer("business_central.sales_invoice", &body).unwrap().len(), 1);
    let body = set("business_central.sales_invoice", "/status", json!("Draft"));
    assert_eq!(answer("business_central.sales_invoice", &body).unwrap().len(), 1);
}

#[test]
fn amounts_with_more_digits_than_their_currency_are_refused_by_their_place() {
    for (name, pointer) in [
        ("xero.invoices", "/Invoices/0/Total"),
        ("xero.invoices", "/Invoices/0/LineItems/0/LineAmount"),
        ("xero.payments", "/Payments/0/Amount"),
        ("xero.credit_notes", "/CreditNotes/0/Allocations/0/Amount"),
        ("quickbooks.invoice", "/Invoice/TotalAmt"),
        ("quickbooks.payment", "/Payment/Line/1/Amount"),
        ("quickbooks.credit_memo", "/CreditMemo/TotalAmt"),
        ("business_central.sales_invoice", "/totalAmountIncludingTax"),
        ("business_central.sales_invoice", "/remainingAmount"),
        ("business_central.customer_payment", "/amount"),
    ] {
        for wrong in [json!(1.005), json!("1.005"), json!(1e300), json!("a lot")] {
            let error = ReadError::Field(field(pointer, Problem::Inexact));
            assert_eq!(answer(name, &set(name, pointer, wrong)), Err(error), "{name}");
        }
        assert!(
            answer(name, &set(name, pointer, json!("12.500"))).is_ok(),
            "{name}: zeros at the end say nothing"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_owed_is_told_to_the_minor_unit(amount in 0_i64..100_000_000_000_000) {
        let text = rust_decimal::Decimal::new(amount, 2).to_string();
        for (name, pointer) in [
            ("xero.invoices", "/Invoices/0/Total"),
            ("quickbooks.invoice", "/Invoice/TotalAmt"),
            ("business_central.sales_invoice", "/totalAmountIncludingTax"),
        ] {
            let body = set(name, pointer, json!("the total")).to_string();
            for written in [text.clone(), format!("\"{text}\""), format!("{text}00")] {
                let (provider, entity) = kind_of(name);
                let account = realm();
                let context = Context { account: Some(&account), currency: Some("USD".parse().unwrap()) };
                let body = body.replace("\"the total\"", &written);
                let events = document::read(provider, entity, body.as_bytes(), &context).unwrap();
                let Event::InvoiceUpserted(invoice) = &events[0] else { panic!("an invoice") };
                prop_assert_eq!(invoice.total.amount, amount);
                let Private::Plain(shown) = &invoice.body else { panic!("nothing is sealed here") };
                prop_assert_eq!(shown.total(), Ok(invoice.total));
            }
        }
    }
}
