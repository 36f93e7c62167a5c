use super::*;
use crate::id::Ids;

fn at(hours: i64) -> Timestamp {
    let start: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
    start.saturating_add(SignedDuration::from_hours(hours)).unwrap()
}

fn export() -> Export {
    let mut ids = Ids::new(at(0), [3; 10]);
    let user = "0b6f2a6c-8e11-4b7e-9d55-5f1c6d3e0a3b".parse().unwrap();
    Export {
        id: ids.make(),
        scope: Scope::Invoices(InvoiceFilter::default()),
        format: Format::Csv,
        columns: vec!["id".to_owned(), "total".to_owned()],
        counted: Some(Counted { rows: 7, or_more: false }),
        requested_by: By { member: ids.make(), user },
        requested_at: at(0),
        approved: None,
        rejected: None,
        run: None,
        file: None,
        failed: None,
        gone: false,
        going: false,
    }
}

fn org() -> OrgId {
    Ids::new(at(0), [1; 10]).make()
}

#[test]
fn what_is_over_is_over_at_once() {
    use ExportStatus::{Approved, Expired, Failed, PendingApproval, Ready, Running};
    let asked = export();
    assert_eq!((asked.status(at(7 * 24 - 1)), asked.status(at(7 * 24))), (PendingApproval, Expired));
    let approval = Approval { by: asked.requested_by, at: at(1), digest: String::new() };
    let approved = Export { approved: Some(approval), ..asked };
    assert_eq!((approved.status(at(24)), approved.status(at(25))), (Approved, Failed));
    assert_eq!(approved.why(at(25)), Some(Why::Unavailable));
    let run = Some(Run { at: at(2), attempt: "m1".to_owned() });
    let running = Export { run, ..approved };
    assert_eq!((running.status(at(24)), running.status(at(25))), (Running, Failed));
    let ready = Export { file: Some(File { at: at(3), rows: 1, bytes: 2, days: 7 }), ..running };
    let (due, end) = (at(3 + 7 * 24), at(3 + 30 * 24));
    assert_eq!((ready.status(due), ready.expires_at(at(4))), (Ready, Some(due)));
    // By the policy it would be over, and something keeps it; not for ever.
    assert_eq!(
        (ready.expires_at(due), ready.status(at(3 + 30 * 24 - 1)), ready.status(end)),
        (Some(end), Ready, Expired)
    );
    let gone = Export { gone: true, ..ready };
    assert_eq!(
        (gone.status(at(4)), gone.expires_at(at(4)), gone.expires_at(end)),
        (Expired, Some(at(4)), Some(due))
    );
}

#[test]
fn whatever_differs_is_another_text() {
    let (one, org) = (export(), org());
    let status = Some(InvoiceStatus::Paid);
    let day = Some("2026-01-31".parse().unwrap());
    let filtered = |filter| Export { scope: Scope::Invoices(filter), ..one.clone() };
    let mut ids = Ids::new(at(0), [9; 10]);
    let others = [
        Export { id: ids.make(), ..one.clone() },
        Export { scope: Scope::Customers(NoFilter {}), ..one.clone() },
        Export { scope: Scope::Audit(AuditFilter::default()), ..one.clone() },
        filtered(InvoiceFilter { status, ..InvoiceFilter::default() }),
        filtered(InvoiceFilter { customer_id: Some(ids.make()), ..InvoiceFilter::default() }),
        filtered(InvoiceFilter { from: day, ..InvoiceFilter::default() }),
        filtered(InvoiceFilter { to: day, ..InvoiceFilter::default() }),
        Export { format: Format::Json, ..one.clone() },
        Export { columns: vec!["total".to_owned(), "id".to_owned()], ..one.clone() },
        Export { counted: Some(Counted { rows: 7, or_more: true }), ..one.clone() },
        Export { counted: None, ..one.clone() },
        Export { requested_by: By { member: ids.make(), ..one.requested_by }, ..one.clone() },
        Export { requested_at: at(1), ..one.clone() },
    ];
    let texts: std::collections::BTreeSet<_> = others.iter().map(|other| other.asked(&org)).collect();
    assert_eq!(texts.len(), others.len());
    assert!(!texts.contains(&one.asked(&org)));
    let elsewhere: OrgId = ids.make();
    assert_ne!(one.asked(&org), one.asked(&elsewhere));
    // What is done with it changes nothing of what was asked.
    let run = Some(Run { at: at(2), attempt: "m1".to_owned() });
    assert_eq!(Export { run, ..one.clone() }.asked(&org), one.asked(&org));
}

#[test]
fn an_export_is_kept_as_it_was_asked_for() {
    let filter = InvoiceFilter { status: Some(InvoiceStatus::PartiallyPaid), ..InvoiceFilter::default() };
    for scope in [
        Scope::Invoices(filter),
        Scope::Payments(PaymentFilter::default()),
        Scope::Customers(NoFilter {}),
        Scope::Audit(AuditFilter { from: Some(at(-1)), to: None }),
    ] {
        let one = Export { scope, ..export() };
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Export>(&text).unwrap(), one, "{text}");
    }
}

#[test]
fn days_count_from_the_first_to_the_last() {
    let day = |text: &str| Some(text.parse::<Date>().unwrap());
    let (first, last) = (day("2026-01-01"), day("2026-01-31"));
    for (from, to, one, is_in) in [
        (None, None, None, true),
        (first, None, None, false),
        (None, last, None, false),
        (first, last, first, true),
        (first, last, last, true),
        (first, last, day("2026-02-01"), false),
        (first, None, day("2025-12-31"), false),
    ] {
        assert_eq!(within(from, to, one), is_in, "{from:?} {to:?} {one:?}");
    }
}
