//! What is only notified is asked for.

use std::time::Duration;

use plixo_domain::id::SourceId;
use plixo_domain::ledger::Book;
use plixo_domain::money::Currency;
use plixo_domain::source::{DataSource, SourceKind, SourceName};
use plixo_erp::ErpError;
use plixo_webhooks::canonical::{Entity, Event};
use plixo_webhooks::document::{self, Context};

use super::*;

pub(super) const TENANT: &str = "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f";
pub(super) const COMPANY: &str = "b18aed47-c385-49d2-b954-dbdf8ad71780";
pub(super) const INVOICE: &str = "717f2bfc-c6d4-41fd-b238-3f2f0c0cf777";
pub(super) const CONTACT: &str = "025867f1-d741-4d6b-b1af-9ac774b59ba7";

/// A world with a source of Xero's and one of Business Central's.
pub(super) fn connected() -> (World, SourceId, SourceId) {
    let world = World::new();
    let mut ids = Ids::new(now(), [9; 10]);
    let (xero, central) = (ids.make(), ids.make());
    let mut book = Book::default();
    for (provider, id, source) in
        [(Provider::Xero, TENANT, xero), (Provider::BusinessCentral, COMPANY, central)]
    {
        let account: ExternalRef = ExternalRef { provider, id: id.parse().unwrap() };
        let kind = SourceKind::of(provider).unwrap();
        book.put_new(SourceName { account: account.clone(), source });
        book.put_new(DataSource {
            id: source,
            name: "Books".to_owned(),
            kind,
            account: account.id,
            place: None,
            connected_at: now(),
            connection: None,
            refused_at: None,
        });
    }
    block_on(world.store().commit(&world.org, &book, None, &[], now())).unwrap();
    (world, xero, central)
}

/// What a sample of an answer tells.
pub(super) fn answer(
    provider: Provider,
    entity: Entity,
    name: &str,
) -> Vec<plixo_webhooks::canonical::Event> {
    told(provider, entity, &sample_of(name))
}

/// What a sales invoice of Business Central's tells.
pub(super) fn read_as(document: &Value) -> Vec<plixo_webhooks::canonical::Event> {
    told(Provider::BusinessCentral, Entity::Invoice, &document.to_string())
}

fn told(provider: Provider, entity: Entity, text: &str) -> Vec<plixo_webhooks::canonical::Event> {
    let eur: Currency = "EUR".parse().unwrap();
    let context = Context { account: None, currency: Some(eur) };
    document::read(provider, entity, text.as_bytes(), &context).unwrap()
}

pub(super) fn sample_of(name: &str) -> String {
    let path = format!("{}/../../events/worker-erp/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

pub(super) fn notice(category: &str, id: &str, at: &str) -> Value {
    json!({"resourceId": id, "eventDateUtc": at, "eventType": "UPDATE", "eventCategory": category, "tenantId": TENANT})
}

pub(super) fn delivery(world: &World, n: usize, notices: &[Value]) -> Value {
    world.message(n, "xero", None, &json!({ "events": notices }).to_string())
}

pub(super) fn of(provider: Provider, id: &str) -> ExternalRef {
    ExternalRef { provider, id: id.parse().unwrap() }
}

#[test]
fn a_thing_is_asked_for_once_however_many_events_tell_of_it() {
    let (world, xero, _) = connected();
    let told = answer(Provider::Xero, Entity::Invoice, "xero.invoices");
    assert!(told.len() > 1, "it lists its payments");
    world.erp.put(&xero, Entity::Invoice, INVOICE, now(), Ok(told.clone()));
    world.erp.put(&xero, Entity::Customer, CONTACT, now(), Ok(vec![]));
    let at = |n| format!("2026-03-04T10:15:3{n}.902");
    let messages: Vec<_> = (0..6)
        .map(|n| {
            let notices = [notice("INVOICE", INVOICE, &at(n)), notice("CONTACT", CONTACT, &at(n))];
            delivery(&world, n, &notices)
        })
        .collect();
    assert_eq!(world.run(&messages), BatchResponse::default());
    let asked = world.erp.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    let link: InvoiceRef = world.row(&of(Provider::Xero, INVOICE)).unwrap();
    let invoice: Invoice = world.row(&link.invoice).unwrap();
    assert_eq!((invoice.number.as_str(), invoice.balance().amount), ("INV-0042", 12_950));
    let notices: Vec<_> = world.events().into_iter().filter(|it| it.kind == "invoice.update").collect();
    let count = |status| notices.iter().filter(|it| it.status == status).count();
    assert_eq!((count(EventStatus::Applied), count(EventStatus::Superseded)), (1, 5));
    // Again: nothing is asked for.
    assert_eq!(world.run(&messages), BatchResponse::default());
    assert_eq!(world.erp.asked().len(), 2);
    // Of a change from before the version that is known, neither.
    let version = told[0].version().at.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap();
    let older = delivery(&world, 9, &[notice("INVOICE", INVOICE, &version.to_string())]);
    assert_eq!(world.run(&[older]), BatchResponse::default());
    assert_eq!(world.erp.asked().len(), 2);
}

#[test]
fn who_cannot_be_asked_now_is_asked_later_and_nothing_is_recorded_before() {
    let (world, xero, _) = connected();
    let message = delivery(&world, 1, &[notice("INVOICE", INVOICE, "2026-03-04T10:15:30")]);
    let busy = ErpError::Busy { retry_after: Some(Duration::from_secs(3)) };
    for error in [busy, ErpError::Unavailable("it is night there".to_owned())] {
        world.erp.fail(&xero, Some(error));
        assert_eq!(world.run(std::slice::from_ref(&message)).failed().collect::<Vec<_>>(), ["m1"]);
        assert!(world.events().is_empty());
    }
    world.erp.fail(&xero, Some(ErpError::Refused("401".to_owned())));
    assert_eq!(world.run(std::slice::from_ref(&message)).failed().collect::<Vec<_>>(), ["m1"]);
    assert_eq!(world.events()[0].status, EventStatus::Failed);
    world.erp.fail(&xero, None);
    world.erp.put(
        &xero,
        Entity::Invoice,
        INVOICE,
        now(),
        Ok(answer(Provider::Xero, Entity::Invoice, "xero.invoices")),
    );
    assert_eq!(world.run(&[message]), BatchResponse::default());
    let notice = world.events().into_iter().find(|it| it.kind == "invoice.update").unwrap();
    assert_eq!(notice.status, EventStatus::Applied);
}

#[test]
fn an_account_without_a_source_and_what_cannot_be_used_fail() {
    let (world, xero, _) = connected();
    let mut foreign = notice("INVOICE", INVOICE, "2026-03-04T10:15:30");
    foreign["tenantId"] = "00000000-0000-0000-0000-000000000000".into();
    assert_eq!(world.run(&[delivery(&world, 1, &[foreign])]).failed().count(), 1);
    assert!(world.erp.asked().is_empty());
    let wrong = plixo_webhooks::ReadError::NotADocument;
    world.erp.put(&xero, Entity::Invoice, INVOICE, now(), Err(wrong));
    let message = delivery(&world, 2, &[notice("INVOICE", INVOICE, "2026-03-04T10:15:30")]);
    assert_eq!(world.run(&[message]).failed().count(), 1);
    assert!(world.events().iter().all(|event| event.status == EventStatus::Failed));
    assert_eq!(world.events().len(), 2);
}

#[test]
fn what_is_gone_is_withdrawn_if_it_was_said_to_be() {
    let (world, _, central) = connected();
    let told = answer(Provider::BusinessCentral, Entity::Invoice, "business_central.sales_invoice");
    let id = told[0].id().to_string();
    world.erp.put(&central, Entity::Invoice, &id, now(), Ok(told));
    let notice = |change: &str, at: &str| {
        let resource = format!("api/v2.0/companies({COMPANY})/salesInvoices({id})");
        let notice = json!({"subscriptionId": "s", "resource": resource, "changeType": change,
            "lastModifiedDateTime": at});
        world.message(1, "business_central", None, &json!({"value": [notice]}).to_string())
    };
    assert_eq!(world.run(&[notice("updated", "2026-10-26T12:54:27Z")]), BatchResponse::default());
    let link: InvoiceRef = world.row(&of(Provider::BusinessCentral, &id)).unwrap();
    assert_eq!(world.row::<Invoice>(&link.invoice).unwrap().state, InvoiceState::Open);
    // A change of what is not there is no deletion.
    world.erp.take(&central, Entity::Invoice, &id);
    assert_eq!(world.run(&[notice("updated", "2027-10-26T12:54:28Z")]), BatchResponse::default());
    assert_eq!(world.row::<Invoice>(&link.invoice).unwrap().state, InvoiceState::Open);
    assert_eq!(world.run(&[notice("deleted", "2027-10-26T12:54:29Z")]), BatchResponse::default());
    assert_eq!(world.row::<Invoice>(&link.invoice).unwrap().state, InvoiceState::Void);
}

#[test]
fn each_of_many_that_changed_counts_by_its_version() {
    let (world, _, central) = connected();
    let told = answer(Provider::BusinessCentral, Entity::Invoice, "business_central.sales_invoices.changed");
    let count = told.len();
    for event in told {
        let id = event.id().to_string();
        world.erp.put(&central, Entity::Invoice, &id, event.version().at, Ok(vec![event]));
    }
    let collection = |at: &str| {
        let resource = format!(
            "/api/v2.0/companies({COMPANY})/salesInvoices?$filter=lastDateTimeModified%20gt%202020-10-15T11:00:00Z"
        );
        let notice = json!({"subscriptionId": "s", "resource": resource, "changeType": "collection",
            "lastModifiedDateTime": at});
        world.message(1, "business_central", None, &json!({"value": [notice]}).to_string())
    };
    assert_eq!(world.run(&[collection("2026-10-26T12:54:27Z")]), BatchResponse::default());
    let recorded = world.events().len();
    assert!(recorded >= count, "{recorded} of {count}");
    // Another notice tells of the same versions: one event more, and nothing counts again.
    assert_eq!(world.run(&[collection("2026-10-26T12:54:28Z")]), BatchResponse::default());
    assert_eq!(world.events().len(), recorded + 1);
}

#[test]
fn a_source_that_is_refused_is_noted_once_and_not_while_it_is_connected_again() {
    let (world, xero, central) = connected();
    let message =
        |n: usize| delivery(&world, n, &[notice("INVOICE", INVOICE, &format!("2026-03-04T10:15:3{n}"))]);
    let source = |id: &SourceId| world.row::<DataSource>(id).unwrap();
    let noted =
        || world.audits().into_iter().filter(|it| it["action"] == "data_source.refuse").collect::<Vec<_>>();
    world.erp.fail(&xero, Some(ErpError::Unavailable("it is night there".to_owned())));
    assert_eq!(world.run(&[message(0)]).failed().count(), 1);
    assert_eq!((source(&xero).refused_at, noted().len()), (None, 0));
    world.erp.fail(&xero, Some(ErpError::Refused("canary".to_owned())));
    assert_eq!(world.run(&[message(1), message(2)]).failed().count(), 2);
    let since = source(&xero).refused_at.unwrap();
    assert_eq!(world.run(&[message(3)]).failed().count(), 1);
    assert_eq!(source(&xero).refused_at, Some(since));
    let told = noted();
    assert_eq!((told.len(), &told[0]["object"]["id"]), (1, &json!(xero.to_string())));
    assert_eq!((&told[0]["actor"]["kind"], &told[0]["request_id"]), (&json!("function"), &json!("r2")));
    assert!(!format!("{told:?}").contains("canary"));
    assert_eq!(source(&central).refused_at, None, "of another one nothing is said");
    // A read that works again clears nothing: people do.
    world.erp.fail(&xero, None);
    world.run(&[message(4)]);
    assert_eq!(source(&xero).refused_at, Some(since));
    // Connected anew this minute: it was asked with the credentials before, for all that anybody knows.
    let connect = |at: Timestamp| {
        let mut book = Book::default();
        for (name, stored) in block_on(world.store().read(&world.org, vec![DataSource::key(&xero)])).unwrap()
        {
            book.learn(name, stored);
        }
        book.put(DataSource { refused_at: None, connected_at: at, ..source(&xero) }).unwrap();
        block_on(world.store().commit(&world.org, &book, None, &[], at)).unwrap();
    };
    world.erp.fail(&xero, Some(ErpError::Refused("401".to_owned())));
    let present = plixo_lambda::clock::now();
    connect(present);
    world.run(&[message(5)]);
    assert_eq!((source(&xero).refused_at, noted().len()), (None, 1));
    connect(present.checked_sub(jiff::SignedDuration::from_mins(2)).unwrap());
    world.run(&[message(6)]);
    assert!(source(&xero).refused_at.is_some() && noted().len() == 2);
}

#[test]
fn an_event_of_a_refused_source_fails_though_nobody_could_note_it() {
    let (world, xero, _) = connected();
    world.erp.fail(&xero, Some(ErpError::Refused("401".to_owned())));
    let message =
        |n: usize| delivery(&world, n, &[notice("INVOICE", INVOICE, &format!("2026-03-04T10:15:3{n}"))]);
    let mut unnoted = 0;
    for call in 0..8 {
        world.faults.plan(call, Fault::Refuses);
        assert_eq!(world.run(&[message(call % 10)]).failed().count(), 1, "call {call}");
        world.faults.clear();
        unnoted += usize::from(world.row::<DataSource>(&xero).unwrap().refused_at.is_none());
    }
    assert!(unnoted > 0);
    assert!(world.row::<DataSource>(&xero).unwrap().refused_at.is_some());
}

#[test]
fn an_event_does_not_count_before_all_that_it_told_of() {
    let told = answer(Provider::Xero, Entity::Invoice, "xero.invoices");
    for call in 0..12 {
        let (world, xero, _) = connected();
        world.erp.put(&xero, Entity::Invoice, INVOICE, now(), Ok(told.clone()));
        let message = delivery(&world, 1, &[notice("INVOICE", INVOICE, "2026-03-04T10:15:30.902")]);
        world.faults.plan(call, Fault::Refuses);
        let failed = world.run(std::slice::from_ref(&message)).failed().count();
        world.faults.clear();
        let recorded = world.events();
        assert!(failed == 1 || recorded.len() == told.len(), "call {call}: {recorded:?}");
        assert_eq!(world.run(&[message]), BatchResponse::default());
        assert_eq!(world.events().len(), told.len(), "call {call}");
        let link: InvoiceRef = world.row(&of(Provider::Xero, INVOICE)).unwrap();
        assert_eq!(world.row::<Invoice>(&link.invoice).unwrap().balance().amount, 12_950);
    }
}

#[test]
fn a_source_that_is_slow_holds_up_no_other_and_many_collections_are_one_question() {
    let (world, xero, central) = connected();
    world.erp.fail(&xero, Some(ErpError::Unavailable("it is night there".to_owned())));
    let told = answer(Provider::BusinessCentral, Entity::Invoice, "business_central.sales_invoices.changed");
    let count = told.len();
    for event in told {
        let id = event.id().to_string();
        world.erp.put(&central, Entity::Invoice, &id, event.version().at, Ok(vec![event]));
    }
    let wrong = plixo_webhooks::ReadError::NotADocument;
    world.erp.put(&central, Entity::Invoice, "odd", now(), Err(wrong));
    let collection = |n: usize| {
        let resource = format!(
            "/api/v2.0/companies({COMPANY})/salesInvoices?$filter=lastDateTimeModified%20gt%202020-10-15T11:0{n}:00Z"
        );
        let notice = json!({"subscriptionId": "s", "resource": resource, "changeType": "collection",
            "lastModifiedDateTime": format!("2026-10-26T12:54:2{n}Z")});
        world.message(n, "business_central", None, &json!({"value": [notice]}).to_string())
    };
    let mut messages: Vec<_> = (0..5).map(collection).collect();
    messages.push(delivery(&world, 9, &[notice("INVOICE", INVOICE, "2026-03-04T10:15:30")]));
    assert_eq!(world.run(&messages).failed().collect::<Vec<_>>(), ["m9"]);
    let of_central = world.erp.asked().into_iter().filter(|(source, ..)| *source == central).count();
    assert_eq!(of_central, 1);
    let applied = world.events().into_iter().filter(|it| it.status == EventStatus::Applied).count();
    assert!(applied >= count, "{applied}");
}

#[test]
fn one_thing_that_fails_keeps_none_of_the_others_up() {
    let (world, xero, _) = connected();
    let told = answer(Provider::Xero, Entity::Invoice, "xero.invoices");
    let [Event::InvoiceUpserted(invoice), Event::PaymentRecorded(payment)] = told.as_slice() else {
        panic!("{told:?}")
    };
    let odd = plixo_webhooks::canonical::Invoice {
        id: "odd".parse().unwrap(),
        number: Some("RE#1".to_owned()),
        ..invoice.clone()
    };
    let told = vec![told[0].clone(), Event::InvoiceUpserted(odd), told[1].clone()];
    let paid = of(Provider::Xero, payment.id.as_str());
    world.erp.put(&xero, Entity::Invoice, INVOICE, now(), Ok(told));
    let message = delivery(&world, 1, &[notice("INVOICE", INVOICE, "2026-03-04T10:15:30.902")]);
    assert_eq!(world.run(&[message]).failed().count(), 1);
    assert!(world.row::<Payment>(&paid).is_some(), "it comes after the one that fails");
    assert!(world.events().iter().all(|event| event.kind != "invoice.update"), "not all of it is done");
}
