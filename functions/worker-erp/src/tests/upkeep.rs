//! What notifications missed is read.

use plixo_domain::id::SourceId;
use plixo_domain::ledger::Book;
use plixo_domain::source::{DataSource, SourceProgress, Upkeep};
use plixo_domain::webhook::{EndpointState, WebhookEndpoint};
use plixo_erp::ErpError;
use plixo_store::{AttributeValue, Guard, Tables, Write, keys};
use plixo_webhooks::ReadError;
use plixo_webhooks::canonical::Entity;

use super::fetching::{
    COMPANY, CONTACT, INVOICE, TENANT, answer, connected, delivery, notice, of, read_as, sample_of,
};
use super::*;

/// A world in which both sources have an endpoint, and Xero has an invoice with its payments.
fn missed() -> (World, SourceId, SourceId) {
    let (world, xero, central) = connected();
    let mut book = Book::default();
    let other: EndpointId = Ids::new(now(), [8; 10]).make();
    let ends = [(Provider::Xero, TENANT, world.endpoint), (Provider::BusinessCentral, COMPANY, other)];
    for (provider, account, id) in ends {
        let account = Some(account.parse().unwrap());
        book.put_new(WebhookEndpoint { id, provider, state: EndpointState::Enabled, account, hmac: None });
    }
    block_on(world.store().commit(&world.org, &book, None, &[], now())).unwrap();
    let secret = |secret: &str, expires_at: Value| json!({"secret": secret, "expires_at": expires_at});
    let secrets = [secret("old", json!("2100-01-01T00:00:00Z")), secret("new", Value::Null)];
    let entry = json!({"v": 1, "org": world.org, "provider": "business_central", "state": "enabled",
        "account": COMPANY, "secrets": secrets});
    world.vault.put(&other.to_string(), entry.to_string());
    world.erp.put(&xero, Entity::Invoice, INVOICE, present(), Ok(invoices()));
    (world, xero, central)
}

fn invoices() -> Vec<plixo_webhooks::canonical::Event> {
    answer(Provider::Xero, Entity::Invoice, "xero.invoices")
}

fn present() -> Timestamp {
    plixo_lambda::clock::now()
}

fn upkeep(world: &World, source: &SourceId) -> Value {
    let upkeep = Upkeep { v: Upkeep::VERSION, org: world.org, source: *source };
    let (name, value) = Upkeep::ATTRIBUTE;
    json!({"messageId": "u", "body": serde_json::to_string(&upkeep).unwrap(),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {name: {"dataType": "String", "stringValue": value}}})
}

fn read_to(world: &World, source: &SourceId) -> Option<Timestamp> {
    world.row::<SourceProgress>(source)?.read_to.get("invoice").copied()
}

fn balance(world: &World) -> Option<i64> {
    let link: InvoiceRef = world.row(&of(Provider::Xero, INVOICE))?;
    Some(world.row::<Invoice>(&link.invoice).unwrap().balance().amount)
}

#[test]
fn what_was_missed_counts_once_however_often_it_is_read() {
    let (world, xero, _) = missed();
    let before = present();
    assert_eq!(world.run(&[upkeep(&world, &xero)]), BatchResponse::default());
    assert_eq!(balance(&world), Some(12_950));
    let events = world.events();
    assert_eq!(events.len(), invoices().len());
    assert!(events.iter().all(|event| event.key.endpoint == world.endpoint), "{events:?}");
    assert!(world.audits().iter().all(|audit| audit["request_id"] == "u"), "its message");
    let noted = read_to(&world, &xero).unwrap();
    assert!(noted < before && noted > before - jiff::SignedDuration::from_mins(11), "{noted}");
    let dump = world.tables.dump();
    assert_eq!(world.run(&[upkeep(&world, &xero), upkeep(&world, &xero)]), BatchResponse::default());
    let changed: Vec<_> =
        world.tables.dump().into_iter().filter(|(key, item)| dump.get(key) != Some(item)).collect();
    assert!(changed.iter().all(|(key, _)| key.sk == "progress"), "{changed:?}");
}

#[test]
fn what_a_notification_told_of_is_not_recorded_again() {
    let (world, xero, _) = missed();
    let told = delivery(&world, 1, &[notice("INVOICE", INVOICE, "2026-03-04T10:15:30.902")]);
    assert_eq!(world.run(&[told]), BatchResponse::default());
    let (events, audits) = (world.events(), world.audits().len());
    assert_eq!(world.run(&[upkeep(&world, &xero)]), BatchResponse::default());
    assert_eq!((world.events(), world.audits().len()), (events, audits));
    // Nor the other way round, but for the notification itself.
    let later = delivery(&world, 2, &[notice("INVOICE", INVOICE, "2026-03-04T10:15:31.902")]);
    assert_eq!(world.run(&[later]), BatchResponse::default());
    assert_eq!(balance(&world), Some(12_950));
}

#[test]
fn whatever_goes_wrong_the_next_time_does_it() {
    for call in 0..30 {
        let (world, xero, _) = missed();
        world.faults.plan(call, Fault::Refuses);
        let failed = world.run(&[upkeep(&world, &xero)]).failed().count();
        world.faults.clear();
        let is_whole = world.events().len() == invoices().len();
        assert!(is_whole || (failed == 1 && read_to(&world, &xero).is_none()), "call {call}");
        assert_eq!(world.run(&[upkeep(&world, &xero)]), BatchResponse::default(), "call {call}");
        assert_eq!((balance(&world), world.events().len()), (Some(12_950), invoices().len()), "call {call}");
        assert!(read_to(&world, &xero).is_some());
    }
}

#[test]
fn a_document_that_cannot_be_used_holds_up_none_and_is_recorded_once() {
    let (world, xero, _) = missed();
    world.erp.put(&xero, Entity::Customer, CONTACT, present(), Err(ReadError::NotADocument));
    for _ in 0..2 {
        assert_eq!(world.run(&[upkeep(&world, &xero)]), BatchResponse::default());
    }
    let events = world.events();
    let failed: Vec<_> = events.iter().filter(|event| event.status == EventStatus::Failed).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0].kind, "customer.changed");
    assert_eq!(balance(&world), Some(12_950));
    assert!(read_to(&world, &xero).is_some());
}

#[test]
fn who_does_not_answer_is_asked_again_and_who_refuses_waits_for_people() {
    let (world, xero, _) = missed();
    world.erp.fail(&xero, Some(ErpError::Busy { retry_after: None }));
    assert_eq!(
        world.run(&[upkeep(&world, &xero)]),
        BatchResponse::default(),
        "an hour later it is asked again"
    );
    assert_eq!((read_to(&world, &xero), world.row::<DataSource>(&xero).unwrap().refused_at), (None, None));
    world.erp.fail(&xero, Some(ErpError::Refused("401".to_owned())));
    assert_eq!(world.run(&[upkeep(&world, &xero)]), BatchResponse::default());
    assert!(world.row::<DataSource>(&xero).unwrap().refused_at.is_some());
    assert_eq!(read_to(&world, &xero), None);
    let asked = world.erp.asked().len();
    world.erp.fail(&xero, None);
    assert_eq!(world.run(&[upkeep(&world, &xero)]), BatchResponse::default());
    assert_eq!(world.erp.asked().len(), asked, "nobody connected it again");
}

#[test]
fn without_an_endpoint_and_without_a_source_nothing_is_asked() {
    let (world, xero, _) = connected();
    let nobody: SourceId = Ids::new(now(), [3; 10]).make();
    let messages = [upkeep(&world, &xero), upkeep(&world, &nobody)];
    assert_eq!(world.run(&messages), BatchResponse::default());
    let (mut foreign, mut newer) = (upkeep(&world, &xero), upkeep(&world, &xero));
    let org: OrgId = Ids::new(now(), [4; 10]).make();
    foreign["body"] = json!({"v": 1, "org": org, "source": xero}).to_string().into();
    assert_eq!(world.run(&[foreign]), BatchResponse::default());
    newer["body"] = json!({"v": 2, "org": world.org, "source": xero}).to_string().into();
    assert_eq!(world.run(&[newer]).failed().count(), 1);
    assert!(world.erp.asked().is_empty() && world.events().is_empty());
}

#[test]
fn business_central_is_reminded_with_the_endpoints_last_secret() {
    let (world, xero, central) = missed();
    assert_eq!(world.run(&[upkeep(&world, &central), upkeep(&world, &xero)]), BatchResponse::default());
    let other: EndpointId = Ids::new(now(), [8; 10]).make();
    let expected = (format!("https://plixo.example/webhooks/erp/{other}"), "new".to_owned());
    assert_eq!(world.erp.subscribed(&central), Some(expected));
    assert_eq!(world.erp.subscribed(&xero), None);
    assert!(read_to(&world, &central).is_some());
}

#[test]
fn a_kind_of_thing_that_cannot_be_read_holds_up_no_other() {
    let (world, xero, _) = missed();
    world.erp.hide(&[Entity::Customer, Entity::Payment]);
    assert_eq!(world.run(&[upkeep(&world, &xero)]), BatchResponse::default());
    assert_eq!(balance(&world), Some(12_950));
    let progress = world.row::<SourceProgress>(&xero).unwrap().read_to;
    assert_eq!(progress.keys().collect::<Vec<_>>(), ["credit_note", "invoice"]);
    world.erp.hide(&[]);
    assert_eq!(world.run(&[upkeep(&world, &xero)]), BatchResponse::default());
    assert_eq!(world.row::<SourceProgress>(&xero).unwrap().read_to.len(), 4);
}

#[test]
fn what_is_more_than_a_page_is_read_page_by_page() {
    for page in 1..=3 {
        let (mut world, _, central) = missed();
        world.erp = world.erp.paged(page);
        let told = answer(Provider::BusinessCentral, Entity::Invoice, "business_central.sales_invoice");
        let mut ids = BTreeSet::new();
        for n in 0..7_i64 {
            let at = present() - jiff::SignedDuration::from_secs(100 - n);
            let id = told[0].id().as_str().replace("5d115c9c", &format!("5d115c9{n}"));
            let mut shown: Value =
                serde_json::from_str(&sample_of("business_central.sales_invoice")).unwrap();
            shown["id"] = id.clone().into();
            shown["number"] = format!("PS-{n}").into();
            shown["lastModifiedDateTime"] = at.to_string().into();
            world.erp.put(&central, Entity::Invoice, &id, at, Ok(read_as(&shown)));
            ids.insert(id);
        }
        assert_eq!(world.run(&[upkeep(&world, &central)]), BatchResponse::default());
        for id in ids {
            assert!(
                world.row::<InvoiceRef>(&of(Provider::BusinessCentral, &id)).is_some(),
                "{id} of pages of {page}"
            );
        }
        let noted = read_to(&world, &central).unwrap();
        assert!(
            noted < present() - jiff::SignedDuration::from_mins(9),
            "what is shown late is read again: {noted}"
        );
    }
}

#[test]
fn what_the_store_cannot_hold_is_not_passed_over() {
    let (world, xero, _) = missed();
    let key = keys::row(&world.org, &InvoiceRef::key(&of(Provider::Xero, INVOICE)));
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let (one, row) = (AttributeValue::N("1".to_owned()), ("row".to_owned(), text("no row")));
    let frame = [("kind", text("invoice_ref")), ("v", one.clone()), ("version", one)];
    let item = frame.into_iter().map(|(name, value)| (name.to_owned(), value)).chain([row]).collect();
    let odd = Write { key: key.clone(), act: plixo_store::Act::Put(item), guard: Guard::Absent };
    block_on(world.tables.write_all(vec![odd])).unwrap();
    for _ in 0..2 {
        assert_eq!(world.run(&[upkeep(&world, &xero)]).failed().count(), 1);
        assert_eq!(read_to(&world, &xero), None);
        // Other kinds of things are none the worse for it.
        assert_eq!(world.row::<SourceProgress>(&xero).unwrap().read_to.len(), 3);
    }
    let mended = Write { key, act: plixo_store::Act::Delete, guard: Guard::Version(1) };
    block_on(world.tables.write_all(vec![mended])).unwrap();
    assert_eq!(world.run(&[upkeep(&world, &xero)]), BatchResponse::default());
    assert_eq!(balance(&world), Some(12_950));
}
