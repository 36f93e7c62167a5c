//! ERPNext's documents, and Plixo's own.

use plixo_domain::ledger::{InvoiceState, Private};
use serde_json::{Value, json};

use super::*;

fn news(provider: Provider, body: &Value) -> News {
    delivered(provider, body).unwrap().events.remove(0).news
}

fn told_by(body: &Value) -> Event {
    match news(Provider::Erpnext, body) {
        News::Told(event) => *event,
        other => panic!("{other:?}"),
    }
}

fn set(name: &str, changes: &[(&str, Value)]) -> Value {
    let mut body = sample("webhook-erp", name);
    for (field, value) in changes {
        body[*field] = value.clone();
    }
    body
}

#[test]
fn what_python_writes_is_money_exactly() {
    for (total, amount) in
        [("238.02", 23_802), ("1e+16", 0), ("0.1", 10), ("1e2", 10_000), ("1234567.89", 123_456_789)]
    {
        let body =
            set("erpnext.sales_invoice", &[("rounded_total", json!(0.0)), ("items", json!([]))]).to_string();
        let body = body.replace("\"grand_total\":238.02", &format!("\"grand_total\":{total}"));
        let read = Delivery::read(Provider::Erpnext, body.as_bytes(), None).unwrap().events.remove(0).news;
        match read {
            News::Told(event) => {
                let Event::InvoiceUpserted(invoice) = event.as_ref() else { panic!("an invoice") };
                assert_eq!(invoice.total.amount, amount, "{total}");
            }
            other => {
                assert_eq!((other, amount), (News::Unusable(field("/grand_total", Problem::Inexact)), 0))
            }
        }
    }
    let broken =
        set("erpnext.sales_invoice", &[("rounded_total", json!(0.0)), ("grand_total", json!(0.1 + 0.2))]);
    assert_eq!(news(Provider::Erpnext, &broken), News::Unusable(field("/grand_total", Problem::Inexact)));
}

#[test]
fn what_is_owed_is_the_rounded_total_unless_rounding_is_off() {
    let total = |changes: &[(&str, Value)]| match told_by(&set("erpnext.sales_invoice", changes)) {
        Event::InvoiceUpserted(invoice) => invoice.total.amount,
        other => panic!("{other:?}"),
    };
    assert_eq!(total(&[]), 23_800);
    assert_eq!(total(&[("disable_rounded_total", json!(1))]), 23_802);
    assert_eq!(total(&[("rounded_total", json!(0.0))]), 23_802);
    assert_eq!(total(&[("rounded_total", json!(null))]), 23_802);
}

#[test]
fn docstatus_says_what_a_document_is() {
    let state =
        |docstatus: i64| match told_by(&set("erpnext.sales_invoice", &[("docstatus", json!(docstatus))])) {
            Event::InvoiceUpserted(invoice) => Some(invoice.state),
            Event::InvoiceVoided(_) => None,
            other => panic!("{other:?}"),
        };
    assert_eq!([state(0), state(1), state(2)], [Some(InvoiceState::Draft), Some(InvoiceState::Open), None]);
    let odd = set("erpnext.sales_invoice", &[("docstatus", json!(3))]);
    assert_eq!(news(Provider::Erpnext, &odd), News::Unusable(field("/docstatus", Problem::Unknown)));
    for draft in ["erpnext.payment_entry", "erpnext.sales_invoice.return"] {
        assert_eq!(
            news(Provider::Erpnext, &set(draft, &[("docstatus", json!(0))])),
            News::Ignored,
            "{draft}"
        );
    }
    let Event::CreditNoteRecorded(gone) =
        told_by(&set("erpnext.sales_invoice.return", &[("docstatus", json!(2))]))
    else {
        panic!("a credit note")
    };
    assert_eq!(gone.record, None);
}

#[test]
fn a_later_document_of_the_same_second_is_newer() {
    let version =
        |modified: &str| told_by(&set("erpnext.sales_invoice", &[("modified", json!(modified))])).version();
    assert!(version("2026-03-04 10:15:30.123456") < version("2026-03-04 10:15:30.123457"));
    assert!(version("2026-03-04 10:15:30.999999") < version("2026-03-04 10:15:31"));
}

#[test]
fn money_that_no_customer_paid_in_is_nothing() {
    for changes in [
        [("payment_type", json!("Pay"))],
        [("payment_type", json!("Internal Transfer"))],
        [("party_type", json!("Supplier"))],
    ] {
        assert_eq!(
            news(Provider::Erpnext, &set("erpnext.payment_entry", &changes)),
            News::Ignored,
            "{changes:?}"
        );
    }
}

#[test]
fn a_return_lowers_its_invoice_unless_it_stands_for_itself() {
    let applied = |own: i64| {
        let body = set("erpnext.sales_invoice.return", &[("update_outstanding_for_self", json!(own))]);
        let Event::CreditNoteRecorded(note) = told_by(&body) else { panic!("a credit note") };
        let record = note.record.unwrap();
        assert_eq!(record.total.amount, 2_380);
        record.applied.iter().map(|part| (part.to.to_string(), part.amount.amount)).collect::<Vec<_>>()
    };
    assert_eq!(applied(0), [("ACC-SINV-2026-00042".to_owned(), 2_380)]);
    assert_eq!(applied(1), []);
}

#[test]
fn a_document_without_its_type_is_none_and_of_another_type_is_ignored() {
    let body = set("erpnext.sales_invoice", &[("doctype", json!(null))]);
    assert_eq!(delivered(Provider::Erpnext, &body), Err(ReadError::NotADocument));
    let body = json!({"doctype": "Note", "name": 7, "docstatus": "x"});
    assert_eq!(news(Provider::Erpnext, &body), News::Ignored);
}

#[test]
fn in_plixos_own_schema_no_typing_mistake_passes() {
    let unusable = |pointer: &str, name: &str, value: Value, at: &str, problem: Problem| {
        let mut body = sample("webhook-erp", name);
        let (parent, own) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[own] = value;
        assert_eq!(news(Provider::StandardWebhooks, &body), News::Unusable(field(at, problem)), "{pointer}");
    };
    let invoice = "canonical.invoice.upserted";
    for (pointer, value, at, problem) in [
        ("/data/totl", json!(1), "/data", Problem::Unexpected),
        ("/dta", json!(1), "", Problem::Unexpected),
        ("/data/lines/0/price", json!(1), "/data/lines/0", Problem::Unexpected),
        ("/data/total/amount", json!(238.0), "/data/total/amount", Problem::IllTyped),
        ("/data/total/amount", json!("238.00"), "/data/total/amount", Problem::IllTyped),
        ("/data/total/amount", json!(-1), "/data/total/amount", Problem::IllTyped),
        ("/data/total/amount", json!(1_000_000_000_000_001_i64), "/data/total/amount", Problem::Inexact),
        ("/data/total/currency", json!("eur"), "/data/total/currency", Problem::Unknown),
        ("/data/total", json!(23_800), "/data/total", Problem::IllTyped),
        (
            "/data/lines/0/unit_price/currency",
            json!("USD"),
            "/data/lines/0/unit_price/currency",
            Problem::Unknown,
        ),
        ("/data/lines/0/quantity", json!("1e3"), "/data/lines/0/quantity", Problem::IllTyped),
        ("/data/state", json!("paid"), "/data/state", Problem::Unknown),
        ("/data/state", json!("void"), "/data/state", Problem::Unknown),
        ("/data/number", json!(null), "/data/number", Problem::Missing),
        ("/data/number", json!("#1"), "/data/number", Problem::Unknown),
        ("/data/issued_on", json!("2026-02-30"), "/data/issued_on", Problem::Unknown),
        ("/data/issued_on", json!("2026-11-20T00:00:00Z"), "/data/issued_on", Problem::Unknown),
        ("/data/id", json!(""), "/data/id", Problem::Missing),
        ("/data/plixo_invoice_id", json!("inv_1"), "/data/plixo_invoice_id", Problem::Unknown),
        ("/timestamp", json!("2026-11-21 08:00:00"), "/timestamp", Problem::Unknown),
        ("/timestamp", json!("2026-11-21T08:00:00"), "/timestamp", Problem::Unknown),
        ("/timestamp", json!(1_700_000_000), "/timestamp", Problem::IllTyped),
        ("/data", json!(null), "/data", Problem::Missing),
    ] {
        unusable(pointer, invoice, value, at, problem);
    }
    unusable("/data/country", "canonical.customer.upserted", json!("DE"), "/data", Problem::Unexpected);
    unusable(
        "/data/address/country",
        "canonical.customer.upserted",
        json!("Germany"),
        "/data/address/country",
        Problem::Unknown,
    );
    unusable("/data/name", "canonical.customer.upserted", json!(" "), "/data/name", Problem::Missing);
    unusable(
        "/data/allocations/0/invoice",
        "canonical.payment.recorded",
        json!(7),
        "/data/allocations/0/invoice",
        Problem::IllTyped,
    );
}

#[test]
fn lines_that_lack_or_exceed_the_total_get_one_that_makes_up_for_it() {
    let mut body = sample("webhook-erp", "canonical.invoice.upserted");
    body["data"]["total"]["amount"] = json!(23_000);
    let News::Told(event) = news(Provider::StandardWebhooks, &body) else { panic!("it is read") };
    let Event::InvoiceUpserted(invoice) = event.as_ref() else { panic!("an invoice") };
    let Private::Plain(shown) = &invoice.body else { panic!("nothing is sealed here") };
    assert_eq!(shown.lines.last().unwrap().unit_price.amount, -800);
    assert_eq!(shown.total(), Ok(invoice.total));
    body["data"]["lines"] =
        json!(vec![json!({"description": "x", "unit_price": {"amount": 1, "currency": "EUR"}}); 500]);
    let News::Told(event) = news(Provider::StandardWebhooks, &body) else { panic!("it is read") };
    let Event::InvoiceUpserted(invoice) = event.as_ref() else { panic!("an invoice") };
    let Private::Plain(shown) = &invoice.body else { panic!("nothing is sealed here") };
    assert_eq!((shown.lines.len(), shown.total()), (200, Ok(invoice.total)));
}
