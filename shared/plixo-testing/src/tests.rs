use jiff::Timestamp;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Origin, Outcome};
use plixo_domain::id::{CustomerId, Ids, InvoiceId, LinkId, OrgId, from_bytes};
use plixo_domain::ledger::{
    Book, Customer, Invoice, InvoiceBody, InvoiceState, Kept, LinkState, Opened, Personal, PortalLink,
    Private, Row, SESSION, make_link, open_link,
};
use plixo_domain::money::Money;
use plixo_store::{
    AttributeValue, CommitError, Guard, Item, Key, List, Page, Store, StoreError, Table, Tables, Write, keys,
};
use serde_json::Value;

use plixo_aws::s3::{LEAST_PART, Objects, Upload};

use crate::{FakeBucket, FakeKms, FakePeople, FakeTables, Fault, Faults, audit_log, contract, entropy};

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

#[test]
fn the_fake_passes_the_contract() {
    block_on(contract::tables(&FakeTables::default(), "fake"));
}

#[test]
fn the_fake_of_people_passes_the_contract() {
    let user = "0b6f2a6c-8e11-4b7e-9d55-5f1c6d3e0a3b".parse().unwrap();
    block_on(contract::people(&FakePeople::default(), "fake", &user));
}

#[test]
fn the_fake_of_a_bucket_passes_the_contract() {
    let bucket = FakeBucket::default();
    block_on(contract::objects(&bucket, "fake"));
    assert_eq!(bucket.unfinished(), 0);
}

/// As S3 does. The local stack makes an object of parts of any size, so this is not among what it has to hold.
#[test]
fn parts_that_are_too_small_make_no_object() {
    let bucket = FakeBucket::default();
    block_on(async {
        let id = bucket.begin_upload("key", "text/csv").await.unwrap();
        let first = bucket.upload_part("key", &id, 1, b"small".to_vec()).await.unwrap();
        let last = bucket.upload_part("key", &id, 2, b"last".to_vec()).await.unwrap();
        bucket.complete_upload("key", &id, vec![first, last]).await.unwrap_err();
        assert_eq!(bucket.get("key").await.unwrap(), None);
    });
}

#[test]
fn an_upload_that_fails_anywhere_leaves_no_part_and_no_object() {
    let faults = Faults::default();
    let bucket = FakeBucket::new(faults.clone());
    let upload = async || {
        let mut upload = Upload::begin(&bucket, "key", "text/csv").await?;
        for _ in 0..3 {
            if let Err(error) = upload.write(&vec![b'x'; LEAST_PART]).await {
                upload.abort().await;
                return Err(error);
            }
        }
        upload.finish().await
    };
    for n in 0..5 {
        faults.plan(n, Fault::Refuses);
        block_on(upload()).unwrap_err();
        assert_eq!((bucket.dump().len(), bucket.unfinished()), (0, 0), "{n}");
    }
    faults.clear();
    assert_eq!(block_on(upload()).unwrap(), 3 * 5 * 1024 * 1024);
}

struct Stack {
    tables: FakeTables,
    kms: FakeKms,
    faults: Faults,
    store: Store<FakeTables, FakeKms>,
    org: OrgId,
    other: OrgId,
    customers: [CustomerId; 2],
    invoice: InvoiceId,
}

/// Two organisations; the first with two customers and an invoice.
async fn stack() -> Stack {
    let faults = Faults::default();
    let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::new(faults.clone()));
    let store = Store::new(tables.clone(), kms.clone(), entropy);
    let mut ids = Ids::new(now(), [1; 10]);
    let (org, other): (OrgId, OrgId) = (ids.make(), ids.make());
    let (customers, invoice) = ([ids.make(), ids.make()], ids.make());
    for org in [&org, &other] {
        store.create_data_key(org, &kms).await.unwrap();
        store.create_data_key(org, &kms).await.unwrap();
    }
    let mut book = Book::default();
    for (n, id) in customers.iter().enumerate() {
        book.put_new(Customer::new(*id, Personal { name: Some(format!("Name {n}")), ..Personal::default() }));
    }
    book.put_new(Invoice {
        id: invoice,
        number: "1".into(),
        customer_id: customers[0],
        state: InvoiceState::Open,
        total: Money::new(100, "EUR".parse().unwrap()),
        issued_on: None,
        due_on: Some("2026-07-01".parse().unwrap()),
        body: Private::Plain(InvoiceBody { memo: Some("memo".into()), ..InvoiceBody::default() }),
        claims: Default::default(),
        checkout: None,
        asked: None,
        ended_at: None,
        reference: None,
        erased: false,
    });
    store.commit(&org, &book, None, &[], now()).await.unwrap();
    Stack { tables, kms, faults, store, org, other, customers, invoice }
}

impl Stack {
    async fn row<T: Kept + Clone>(&self, org: &OrgId, name: &T::Name) -> Option<(T, u64)> {
        let found = self.store.read(org, vec![T::key(name)]).await.unwrap().remove(0).1?;
        Some((T::of(&found.0)?.clone(), found.1))
    }

    /// Puts an item somewhere else, as somebody with access to the table could.
    async fn overwrite(&self, key: Key, mut item: Item) {
        let stored = self.tables.get(vec![key.clone()]).await.unwrap().remove(&key);
        let version = |item: &Item| item["version"].as_n().unwrap().parse::<u64>().unwrap();
        let guard = match &stored {
            Some(stored) => plixo_store::Guard::Version(version(stored)),
            None => plixo_store::Guard::Absent,
        };
        item.insert("version".into(), AttributeValue::N("9".into()));
        self.tables
            .write_all(vec![plixo_store::Write { key, act: plixo_store::Act::Put(item), guard }])
            .await
            .unwrap();
    }
}

#[test]
fn rows_come_back_as_they_were_written() {
    block_on(async {
        let stack = stack().await;
        let (invoice, version) = stack.row::<Invoice>(&stack.org, &stack.invoice).await.unwrap();
        assert_eq!((version, invoice.number.as_str(), invoice.total.amount), (1, "1", 100));
        assert_eq!(invoice.due_on.unwrap().to_string(), "2026-07-01");
        assert_eq!(
            stack.store.open_body(&stack.org, &invoice, now()).await.unwrap().memo.as_deref(),
            Some("memo")
        );
        let (customer, _) = stack.row::<Customer>(&stack.org, &stack.customers[1]).await.unwrap();
        let personal = stack.store.open_personal(&stack.org, &customer, now()).await.unwrap();
        assert_eq!(personal.name.as_deref(), Some("Name 1"));
        assert!(stack.row::<Invoice>(&stack.other, &stack.invoice).await.is_none(), "another organisation's");
    });
}

#[test]
fn a_stale_book_changes_nothing() {
    block_on(async {
        let stack = stack().await;
        let (invoice, version) = stack.row::<Invoice>(&stack.org, &stack.invoice).await.unwrap();
        let mut books = [Book::default(), Book::default()];
        for (n, book) in books.iter_mut().enumerate() {
            book.learn(Invoice::key(&invoice.id), Some((Row::Invoice(invoice.clone()), version)));
            book.put(Invoice { number: format!("new {n}"), ..invoice.clone() }).unwrap();
        }
        stack.store.commit(&stack.org, &books[0], None, &[], now()).await.unwrap();
        let late = stack.store.commit(&stack.org, &books[1], None, &[], now()).await;
        assert!(matches!(late, Err(CommitError::Conflict)), "{late:?}");
        assert_eq!(stack.row::<Invoice>(&stack.org, &stack.invoice).await.unwrap().0.number, "new 0");
    });
}

#[test]
fn of_two_who_open_a_link_at_once_one_does() {
    block_on(async {
        let stack = stack().await;
        let (link, invoice) = (from_bytes([7; 16]), stack.invoice);
        let by = Actor { kind: ActorKind::Member, id: "mem_1".into(), role: None };
        let read = async || {
            let mut book = Book::default();
            let names = vec![PortalLink::key(&link), Invoice::key(&invoice)];
            for (name, stored) in stack.store.read(&stack.org, names).await.unwrap() {
                book.learn(name, stored);
            }
            book
        };
        let commit = async |book: &Book| stack.store.commit(&stack.org, book, None, &[], now()).await;
        let mut book = read().await;
        make_link(&mut book, (link, invoice), SESSION, &by, now()).unwrap();
        commit(&book).await.unwrap();
        let open =
            |book: &mut Book, browser| open_link(book, (&link, &invoice), [browser; 32], now()).unwrap();
        let (mut one, mut other) = (read().await, read().await);
        assert!(matches!(open(&mut one, 1), Some(Opened::Until(_))));
        assert!(matches!(open(&mut other, 2), Some(Opened::Until(_))));
        commit(&one).await.unwrap();
        assert!(matches!(commit(&other).await, Err(CommitError::Conflict)));
        assert_eq!(open(&mut read().await, 2), Some(Opened::Not(LinkState::Consumed)));
        assert!(matches!(open(&mut read().await, 1), Some(Opened::Until(_))));
    });
}

#[test]
fn an_invoices_links_are_listed_by_age() {
    block_on(async {
        let stack = stack().await;
        let by = Actor { kind: ActorKind::Member, id: "mem_1".into(), role: None };
        let ids: Vec<LinkId> = [9, 1, 5].map(|byte| from_bytes([byte; 16])).to_vec();
        for (age, id) in (0_i64..).zip(&ids) {
            let made_at = now().checked_add(jiff::SignedDuration::from_millis(age)).unwrap();
            let mut book = Book::default();
            let (invoice, version) = stack.row::<Invoice>(&stack.org, &stack.invoice).await.unwrap();
            book.learn(Invoice::key(&invoice.id), Some((Row::Invoice(invoice), version)));
            make_link(&mut book, (*id, stack.invoice), SESSION, &by, made_at).unwrap();
            stack.store.commit(&stack.org, &book, None, &[], made_at).await.unwrap();
        }
        let list = List::PortalLinksOf(stack.invoice);
        let page = Page { after: None, descending: list.is_youngest_first(), limit: 10 };
        let listed = stack.store.list(&stack.org, &list, page, now()).await.unwrap();
        let found: Vec<_> =
            listed.rows.iter().filter_map(|(row, _)| PortalLink::of(row)).map(|it| it.id).collect();
        assert_eq!(found, [ids[2], ids[1], ids[0]]);
        let page = Page { after: None, descending: true, limit: 10 };
        let foreign = stack.store.list(&stack.other, &list, page, now()).await.unwrap();
        assert!(foreign.rows.is_empty());
    });
}

#[test]
fn a_sealed_field_that_was_moved_does_not_open() {
    block_on(async {
        let stack = stack().await;
        let dump = stack.tables.dump();
        let [a, b] = stack.customers.map(|id| keys::row(&stack.org, &Customer::key(&id)));
        let row = |item: &Item| -> Value { serde_json::from_str(item["row"].as_s().unwrap()).unwrap() };
        let swapped = |field: &str| {
            let (mut item, mut moved) = (dump[&b].clone(), row(&dump[&b]));
            moved[field] = row(&dump[&a])[field].clone();
            assert_ne!(moved, row(&dump[&b]));
            item.insert("row".to_owned(), AttributeValue::S(moved.to_string()));
            item
        };
        for item in [swapped("personal"), swapped("key")] {
            stack.overwrite(b.clone(), item).await;
            let (customer, _) = stack.row::<Customer>(&stack.org, &stack.customers[1]).await.unwrap();
            let opened = stack.store.open_personal(&stack.org, &customer, now()).await;
            assert!(matches!(opened, Err(StoreError::Sealed(_))), "{opened:?}");
        }
        let invoice = keys::row(&stack.org, &Invoice::key(&stack.invoice));
        stack.overwrite(keys::row(&stack.other, &Invoice::key(&stack.invoice)), dump[&invoice].clone()).await;
        let (moved, _) = stack.row::<Invoice>(&stack.other, &stack.invoice).await.unwrap();
        assert!(
            stack.store.open_body(&stack.other, &moved, now()).await.is_err(),
            "under another organisation"
        );
        stack.overwrite(keys::data_key(&stack.other), dump[&keys::data_key(&stack.org)].clone()).await;
        let fresh = Store::new(stack.tables.clone(), stack.kms.clone(), entropy);
        let opened = fresh.open_body(&stack.other, &moved, now()).await;
        assert!(matches!(opened, Err(StoreError::Key(_))), "with another organisation's key: {opened:?}");
    });
}

#[test]
fn a_row_under_anothers_key_is_an_error_and_not_absent() {
    block_on(async {
        let stack = stack().await;
        let dump = stack.tables.dump();
        let [a, b] = stack.customers.map(|id| Customer::key(&id));
        let invoice = dump[&keys::row(&stack.org, &Invoice::key(&stack.invoice))].clone();
        for other in [invoice, dump[&keys::row(&stack.org, &b)].clone()] {
            stack.overwrite(keys::row(&stack.org, &a), other).await;
            let read = stack.store.read(&stack.org, vec![a.clone()]).await;
            assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
        }
    });
}

#[test]
fn without_the_key_service_nothing_is_written() {
    block_on(async {
        let stack = stack().await;
        let fresh = Store::new(stack.tables.clone(), stack.kms.clone(), entropy);
        let before = stack.tables.dump();
        let mut book = Book::default();
        book.put_new(Customer::new(Ids::new(now(), [2; 10]).make(), Personal::default()));
        stack.faults.plan(1, Fault::Refuses);
        let refused = fresh.commit(&stack.org, &book, None, &[], now()).await;
        assert!(matches!(&refused, Err(CommitError::Store(error)) if error.is_passing()), "{refused:?}");
        assert_eq!(stack.tables.dump(), before);
        stack.faults.clear();
        fresh.commit(&stack.org, &book, None, &[], now()).await.unwrap();
    });
}

#[test]
fn an_item_of_a_newer_form_is_not_guessed_at() {
    block_on(async {
        let stack = stack().await;
        let key = keys::row(&stack.org, &Invoice::key(&stack.invoice));
        let mut item = stack.tables.dump()[&key].clone();
        item.insert("v".into(), AttributeValue::N("2".into()));
        stack.overwrite(key, item).await;
        let read = stack.store.read(&stack.org, vec![Invoice::key(&stack.invoice)]).await;
        assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
        assert!(stack.tables.dump().keys().all(|key| key.table == Table::Ledger));
    });
}

fn acted(ids: &mut Ids, kind: ActorKind, customer: Option<CustomerId>) -> AuditEvent {
    let origin = Origin { ip: Some("203.0.113.7".to_owned()), user_agent: Some("canary agent".to_owned()) };
    AuditEvent {
        id: ids.make(),
        at: now(),
        actor: Actor { kind, id: "who".to_owned(), role: None },
        origin: Private::Plain(origin),
        customer,
        action: "invoice.read".to_owned(),
        object: Object::new("invoice", "inv_1"),
        outcome: Outcome::Allowed,
        fields: Vec::new(),
        request_id: "r".to_owned(),
        count: None,
    }
}

#[test]
fn from_where_people_acted_is_sealed_and_a_payers_goes_with_its_customer() {
    block_on(async {
        let Stack { tables, kms, store, org, other, customers, .. } = stack().await;
        let mut ids = Ids::new(now(), [9; 10]);
        let [one, two] = customers;
        let kinds = [
            (ActorKind::Member, None),
            (ActorKind::Operator, None),
            (ActorKind::Payer, Some(one)),
            (ActorKind::Payer, Some(two)),
        ];
        let events: Vec<_> = kinds.into_iter().map(|(kind, of)| acted(&mut ids, kind, of)).collect();
        store.commit(&org, &Book::default(), None, &events, now()).await.unwrap();
        let elsewhere = acted(&mut ids, ActorKind::Member, None);
        store.append(&[(other, elsewhere.clone())], now()).await.unwrap();
        let stored = |org: OrgId| {
            let of = format!("{org}#");
            let own = tables.dump().into_iter();
            own.filter(move |(key, _)| key.table == Table::Audit && key.pk.starts_with(&of))
                .map(|(_, item)| item)
        };
        for item in stored(org).chain(stored(other)) {
            let text = format!("{item:?}");
            assert!(!text.contains("203.0.113.7") && !text.contains("canary"), "{text}");
        }
        let opened = |log: &[AuditEvent]| log.iter().filter(|it| it.ip().is_some()).count();
        let log = audit_log(&tables, &kms, now()).await;
        assert_eq!((log.len(), opened(&log)), (5, 5));
        assert!(log.iter().all(|it| it.user_agent() == Some("canary agent")));

        // The first customer's key goes, and with it what its payer left.
        let key = keys::row(&org, &Customer::key(&one));
        let gone = Write { key, act: plixo_store::Act::Delete, guard: Guard::Version(1) };
        tables.write_all(vec![gone]).await.unwrap();
        let log = audit_log(&tables, &kms, now()).await;
        assert_eq!((log.len(), opened(&log)), (5, 4));
        // Nothing is written in the clear of one who has no key.
        let late = acted(&mut ids, ActorKind::Payer, Some(one));
        store.commit(&org, &Book::default(), None, &[late], now()).await.unwrap();
        let log = audit_log(&tables, &kms, now()).await;
        assert_eq!((log.len(), opened(&log)), (6, 4));
        assert!(!stored(org).any(|item| format!("{item:?}").contains("canary")));

        // What was moved to another event does not open.
        let mut moved = plixo_store::to_audit_event(&stored(org).next().unwrap()).unwrap();
        moved.id = ids.make();
        assert!(store.open_origins(&org, vec![moved], now()).await.is_err());
    });
}

#[test]
fn from_where_a_provider_delivered_needs_no_key() {
    block_on(async {
        let tables = FakeTables::default();
        let store = Store::new(tables.clone(), plixo_envelope::NoKeys, entropy);
        let mut ids = Ids::new(now(), [9; 10]);
        let (org, event) = (ids.make(), acted(&mut ids, ActorKind::Provider, None));
        store.commit(&org, &Book::default(), None, std::slice::from_ref(&event), now()).await.unwrap();
        let (_, item) = tables.dump().pop_first().unwrap();
        assert_eq!(plixo_store::to_audit_event(&item).unwrap(), event);
        let person = acted(&mut ids, ActorKind::Member, None);
        assert!(
            store.commit(&org, &Book::default(), None, &[person], now()).await.is_err(),
            "and nothing plain"
        );
    });
}
