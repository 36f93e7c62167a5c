use std::collections::BTreeSet;

use plixo_authz::Authz;
use plixo_domain::audit::Origin;
use plixo_domain::export::{
    Approval, AuditFilter, Counted, Format, InvoiceFilter, NoFilter, PaymentFilter, Scope,
};
use plixo_domain::id::CustomerId;
use plixo_domain::ledger::{
    Customer, Invoice, InvoiceBody, InvoiceState, InvoiceStatus, Organisation, Personal, Private, Residency,
    Row,
};
use plixo_domain::money::Money;
use plixo_domain::people::{By, MemberState, Role, UserId, add_member};
use plixo_store::Table;
use plixo_testing::{FakeBucket, FakeKms, FakeSigner, FakeTables, Fault, Faults, entropy};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sheet::{Cell, Sheet, decimal, harmless};

fn now() -> Timestamp {
    "2026-06-15T12:00:00.25Z".parse().unwrap()
}

fn later(minutes: i64) -> Timestamp {
    now().saturating_add(SignedDuration::from_mins(minutes)).unwrap()
}

fn user(n: u8) -> UserId {
    format!("00000000-0000-4000-8000-0000000000{n:02x}").parse().unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(work)
}

/// An organisation with two Controllers.
struct World {
    tables: FakeTables,
    kms: FakeKms,
    bucket: FakeBucket,
    checkpoints: FakeBucket,
    faults: Faults,
    org: OrgId,
    people: [By; 2],
    ids: Ids,
}

impl World {
    fn new() -> Self {
        let faults = Faults::default();
        let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::new(faults.clone()));
        let mut ids = Ids::new(now(), [1; 10]);
        let org: OrgId = ids.make();
        let mut book = Book::default();
        book.learn(RowKey::Organisation, None);
        let (name, settings, controllers) = ("Nordlicht".to_owned(), Default::default(), BTreeSet::new());
        let residency = Residency::Eu;
        book.put(Organisation { id: org, name, residency, controllers, settings, logo: None, closed: None })
            .unwrap();
        let people = [0, 1].map(|n| {
            let (user, id, role) = (user(n), ids.make(), Role::Controller);
            book.learn(RowKey::Member(user), None);
            book.learn(RowKey::UserOrganisation(user), None);
            let (email, state) = (Private::Plain("somebody@example.com".to_owned()), MemberState::Active);
            add_member(&mut book, Member { id, user, role, state, email }).unwrap();
            By { member: id, user }
        });
        let store = Store::new(tables.clone(), kms.clone(), entropy);
        block_on(async {
            store.create_data_key(&org, &kms).await.unwrap();
            store.commit(&org, &book, None, &[], now()).await.unwrap();
        });
        let bucket = FakeBucket::new(faults.clone());
        let checkpoints = FakeBucket::new(faults.clone());
        Self { tables, kms, bucket, checkpoints, faults, org, people, ids }
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    fn worker(&self) -> Worker<FakeTables, FakeKms, FakeBucket> {
        Worker::new(
            self.store(),
            Authz::new().unwrap(),
            self.bucket.clone(),
            self.checkpoints.clone(),
            entropy,
        )
    }

    fn put(&self, row: impl Kept) {
        let mut book = Book::default();
        book.put_new(row);
        block_on(self.store().commit(&self.org, &book, None, &[], now())).unwrap();
    }

    fn customer(&mut self, name: &str) -> CustomerId {
        let id = self.ids.make();
        let name = Some(name.to_owned());
        self.put(Customer::new(id, Personal { name, ..Personal::default() }));
        id
    }

    fn invoice(&mut self, customer_id: CustomerId, number: &str, memo: &str, state: InvoiceState) {
        let body = InvoiceBody { memo: Some(memo.to_owned()), ..InvoiceBody::default() };
        let invoice = Invoice {
            id: self.ids.make(),
            number: number.to_owned(),
            customer_id,
            state,
            total: Money::new(12_345, "EUR".parse().unwrap()),
            issued_on: Some("2026-06-01".parse().unwrap()),
            due_on: Some("2026-07-01".parse().unwrap()),
            body: Private::Plain(body),
            claims: Default::default(),
            checkout: None,
            asked: None,
            ended_at: None,
            reference: None,
            erased: false,
        };
        self.put(invoice);
    }

    /// An approved export.
    fn export(&mut self, scope: Scope, format: Format, columns: &[&str]) -> ExportId {
        self.export_at(scope, format, columns, now())
    }

    fn export_at(&mut self, scope: Scope, format: Format, columns: &[&str], at: Timestamp) -> ExportId {
        let id = self.ids.make();
        let [requested_by, by] = self.people;
        let export = Export {
            id,
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            scope,
            format,
            counted: Some(Counted { rows: 1, or_more: false }),
            requested_by,
            requested_at: at,
            approved: None,
            rejected: None,
            run: None,
            file: None,
            failed: None,
            gone: false,
            going: false,
        };
        let digest = hex::encode(sha256(export.asked(&self.org).as_bytes()));
        self.put(Export { approved: Some(Approval { by, at, digest }), ..export });
        id
    }

    fn take(
        &self,
        id: &ExportId,
        receive_count: u32,
        at: Timestamp,
    ) -> (Result<(), TaskError>, &'static str) {
        block_on(self.taking(id, receive_count, at))
    }

    async fn taking(
        &self,
        id: &ExportId,
        count: u32,
        at: Timestamp,
    ) -> (Result<(), TaskError>, &'static str) {
        let body = serde_json::to_string(&ExportTask::new(self.org, *id)).unwrap();
        let message: Message = serde_json::from_value(json!({"messageId": "m1", "body": body})).unwrap();
        let (message_id, receive_count) = (Some("m1".to_owned()), Some(count));
        let line = Line { timestamp: at, message_id, receive_count, ..Line::default() };
        let (done, line) = self.worker().take(&message, line).await;
        (done, line.outcome)
    }

    fn row(&self, id: &ExportId) -> Export {
        let rows = block_on(self.store().read(&self.org, vec![Export::key(id)])).unwrap();
        match rows.into_iter().find_map(|(_, stored)| stored) {
            Some((Row::Export(export), _)) => export,
            other => panic!("{other:?}"),
        }
    }

    /// The file's text.
    fn file(&self, id: &ExportId) -> String {
        let key = format!("{}/{id}", self.org);
        String::from_utf8(self.bucket.dump().remove(&key).unwrap()).unwrap()
    }

    fn written(&mut self, scope: Scope, format: Format, columns: &[&str]) -> String {
        self.written_at(scope, format, columns, now())
    }

    fn written_at(&mut self, scope: Scope, format: Format, columns: &[&str], at: Timestamp) -> String {
        let id = self.export_at(scope, format, columns, at);
        let (done, outcome) = self.take(&id, 1, at);
        assert_eq!(outcome, "written", "{done:?}");
        let file = self.row(&id).file.unwrap();
        let text = self.file(&id);
        assert_eq!(file.bytes, u64::try_from(text.len()).unwrap());
        text
    }

    fn audited(&self, action: &str) -> Vec<AuditEvent> {
        let dump = self.tables.dump();
        let items = dump.iter().filter(|(key, _)| key.table == Table::Audit);
        let events = items.map(|(_, item)| plixo_store::to_audit_event(item).unwrap());
        events.filter(|event| event.action == action).collect()
    }
}

#[test]
fn invoices_as_csv_are_what_spreadsheets_read_and_run_nothing() {
    let mut world = World::new();
    let customer = world.customer("Weber");
    world.invoice(customer, "=1+1", "say \"hi\", and\nbye", InvoiceState::Open);
    let columns = ["number", "total", "currency", "status", "memo", "issued_on"];
    let text = world.written(Scope::Invoices(InvoiceFilter::default()), Format::Csv, &columns);
    let expected = "\u{feff}number,total,currency,status,memo,issued_on\r\n\
        '=1+1,123.45,EUR,open,\"say \"\"hi\"\", and\nbye\",2026-06-01\r\n";
    assert_eq!(text, expected);
}

#[test]
fn a_filter_narrows_and_the_pages_are_the_whole_list() {
    let mut world = World::new();
    let (one, two) = (world.customer("One"), world.customer("Two"));
    for n in 0..250 {
        let customer = if n % 5 == 0 { two } else { one };
        let state = if n % 2 == 0 { InvoiceState::Open } else { InvoiceState::Void };
        world.invoice(customer, &format!("INV-{n}"), "", state);
    }
    let day = |text: &str| Some(text.parse().unwrap());
    let (status, customer_id) = (Some(InvoiceStatus::Open), Some(two));
    for (filter, rows) in [
        (InvoiceFilter::default(), 250),
        (InvoiceFilter { status, ..InvoiceFilter::default() }, 125),
        (InvoiceFilter { customer_id, ..InvoiceFilter::default() }, 50),
        (InvoiceFilter { customer_id, status, ..InvoiceFilter::default() }, 25),
        (InvoiceFilter { from: day("2026-06-01"), to: day("2026-06-01"), ..InvoiceFilter::default() }, 250),
        (InvoiceFilter { from: day("2026-06-02"), ..InvoiceFilter::default() }, 0),
    ] {
        let text = world.written(Scope::Invoices(filter.clone()), Format::Csv, &["number"]);
        let mut numbers: Vec<_> = text.lines().skip(1).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), rows, "{filter:?}");
    }
    let text = world.written(Scope::Payments(PaymentFilter::default()), Format::Csv, &["id", "amount"]);
    assert_eq!(text, "\u{feff}id,amount\r\n");
}

#[test]
fn customers_as_json_are_one_array() {
    let mut world = World::new();
    let scope = || Scope::Customers(NoFilter {});
    let text = world.written(scope(), Format::Json, &["id", "name"]);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!([]));
    let ids = ["=A", "B"].map(|name| world.customer(name));
    let text = world.written(scope(), Format::Json, &["id", "name", "email"]);
    let [a, b] = ids.map(|id| id.to_string());
    let expected = json!([{"id": b, "name": "B", "email": null}, {"id": a, "name": "=A", "email": null}]);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected, "as it is: JSON runs nothing");
}

#[test]
fn what_is_due_is_left_out_and_of_one_who_was_erased_there_is_the_id() {
    let mut world = World::new();
    let ids = [now().as_second() - 800 * 86_400, now().as_second() - 86_400].map(|at| {
        Ids::new(Timestamp::from_second(at).unwrap(), [9; 10]).make::<plixo_domain::id::Customer>()
    });
    let name = |name: &str| Personal { name: Some(name.to_owned()), ..Personal::default() };
    world.put(Customer::new(ids[0], name("Over")));
    let reference = plixo_domain::webhook::ExternalRef {
        provider: plixo_domain::webhook::Provider::Stripe,
        id: "cus_1".parse().unwrap(),
    };
    let links = [(reference, plixo_domain::ledger::Link::Live)].into_iter().collect();
    let authority = plixo_domain::privacy::Authority::Retention;
    let erased = Some(plixo_domain::ledger::Erased { at: now(), authority, finished: false });
    world.put(Customer { erased, links, ..Customer::new(ids[1], name("Erased")) });
    let young = world.customer("Young");
    let mut of = match block_on(world.store().read(&world.org, vec![RowKey::Organisation])).unwrap().pop() {
        Some((_, Some((Row::Organisation(of), _)))) => of,
        other => panic!("{other:?}"),
    };
    of.settings.retention =
        of.settings.retention.with(plixo_domain::retention::Class::ExportFile, 3).unwrap();
    let mut book = Book::default();
    for (name, stored) in block_on(world.store().read(&world.org, vec![RowKey::Organisation])).unwrap() {
        book.learn(name, stored);
    }
    book.put(of).unwrap();
    block_on(world.store().commit(&world.org, &book, None, &[], now())).unwrap();

    let id = world.export(Scope::Customers(NoFilter {}), Format::Csv, &["id", "name", "external_ids"]);
    assert_eq!(world.take(&id, 1, now()).1, "written");
    let mut lines: Vec<String> = world.file(&id).lines().skip(1).map(str::to_owned).collect();
    lines.sort();
    let mut expected = [format!("{young},Young,"), format!("{},,", ids[1])];
    expected.sort();
    assert_eq!(lines, expected);
    assert_eq!(world.row(&id).file.unwrap().days, 3, "as the policy says");
}

#[test]
fn the_audit_log_as_json_has_each_event_as_it_is_stored() {
    let mut world = World::new();
    for hour in 0..50 {
        let at = now().saturating_sub(SignedDuration::from_hours(hour)).unwrap();
        let event = AuditEvent {
            id: Ids::drawn(at, entropy().unwrap()).make(),
            at,
            actor: Actor { kind: ActorKind::Member, id: "mem_1".to_owned(), role: None },
            origin: Private::Plain(Origin {
                ip: Some("203.0.113.7".to_owned()),
                user_agent: Some("ä \"browser\"".to_owned()),
            }),
            customer: None,
            action: "invoice.read".to_owned(),
            object: Object::new("invoice", "inv_1"),
            outcome: Outcome::Allowed,
            fields: Vec::new(),
            request_id: "r1".to_owned(),
            count: None,
        };
        block_on(world.store().append(&[(world.org, event)], now())).unwrap();
    }
    let stored: BTreeSet<String> = {
        let dump = world.tables.dump();
        let items = dump.iter().filter(|(key, _)| key.table == Table::Audit);
        items.map(|(_, item)| item["row"].as_s().unwrap().clone()).collect()
    };
    // The organisation of this test is made this moment: of its first day the file has all, and what is older is of no organisation.
    let from = Some(now());
    let text = world.written(Scope::Audit(AuditFilter::default()), Format::Json, &[]);
    let lines: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    assert!(lines.iter().filter(|line| line.contains("invoice.read")).all(|line| stored.contains(line)));
    assert_eq!(lines.iter().filter(|line| line.contains("invoice.read")).count(), 13);
    let csv = world.written(
        Scope::Audit(AuditFilter { from, to: None }),
        Format::Csv,
        &["action", "outcome", "actor_kind", "user_agent"],
    );
    assert!(csv.contains("\r\ninvoice.read,allowed,member,\"ä \"\"browser\"\"\"\r\n"), "{csv}");
}

/// A log that is written and sealed, at minutes after the beginning.
struct Log {
    world: World,
    signer: FakeSigner,
}

impl Log {
    fn new() -> Self {
        Self { world: World::new(), signer: FakeSigner::new(Faults::default()) }
    }

    fn seal(&self, minutes: i64, seal_until: Option<Timestamp>) {
        let store = Store::new(self.world.tables.clone(), plixo_envelope::NoKeys, entropy);
        let (checkpoints, origin) = (self.world.checkpoints.clone(), "plixo.test/audit".to_owned());
        let job = job_audit_seal::Job::new(store, checkpoints, self.signer.clone(), origin);
        let line = Line { timestamp: later(minutes), ..Line::default() };
        block_on(job.run(job_audit_seal::Wanted { seal_until }, line)).0.unwrap();
    }

    fn event(&self, minutes: i64) -> AuditEvent {
        let at = later(minutes);
        AuditEvent {
            id: Ids::drawn(at, entropy().unwrap()).make(),
            at,
            actor: Actor { kind: ActorKind::Function, id: "test".to_owned(), role: None },
            origin: Private::default(),
            customer: None,
            action: "invoice.update".to_owned(),
            object: Object::new("invoice", minutes),
            outcome: Outcome::Allowed,
            fields: Vec::new(),
            request_id: "r1".to_owned(),
            count: None,
        }
    }

    /// An event of that minute, whenever it comes to the table.
    fn write(&self, minutes: i64) -> AuditEvent {
        let event = self.event(minutes);
        block_on(self.world.store().append(&[(self.world.org, event.clone())], event.at)).unwrap();
        event
    }

    /// Puts an event into the table as whoever has the right to may: with that day, and as another one.
    fn place(&self, event: &AuditEvent, pk: &str, sk: &str) {
        let keys = plixo_store::keys::audit(&self.world.org, event);
        let item = self.world.tables.dump()[&keys].clone();
        self.world.tables.take(&keys);
        let key = plixo_store::Key { pk: pk.to_owned(), sk: sk.to_owned(), ..keys };
        self.world.tables.place(key, item);
    }

    fn exported(&mut self, minutes: i64) -> String {
        self.world.written_at(Scope::Audit(AuditFilter::default()), Format::Json, &[], later(minutes))
    }

    fn verify(
        &self,
        text: &str,
        until: Option<Timestamp>,
    ) -> Result<plixo_seal::Verified, plixo_seal::NotVerified> {
        let der = block_on(plixo_aws::sign::Sign::public_key(&self.signer)).unwrap();
        let key = plixo_seal::PublicKey::new(&format!("plixo.test/audit/{}", self.world.org), &der).unwrap();
        plixo_seal::verify_file(text.as_bytes(), key, until, |_| {})
    }

    /// The event that a file names as added.
    fn added(&self, text: &str) -> plixo_domain::id::AuditId {
        match self.verify(text, None) {
            Err(plixo_seal::NotVerified::Fault(fault)) => match fault.finding {
                plixo_seal::Finding::Added(id) => id,
                other => panic!("{other}: {text}"),
            },
            other => panic!("{other:?}: {text}"),
        }
    }

    /// Since when a log is kept of which the first days are gone.
    fn forget_before(&self, day: jiff::civil::Date) {
        let begin = day.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
        for (key, item) in self.world.tables.dump() {
            if key.table == Table::Audit && plixo_store::to_audit_event(&item).unwrap().at < begin {
                self.world.tables.take(&key);
            }
        }
        self.world.put(plixo_domain::audit::AuditKept { from: day, is_gone: true });
    }
}

#[test]
fn a_whole_audit_log_is_verified_from_its_file_alone() {
    let mut log = Log::new();
    for minutes in [1, 30, 59] {
        log.write(minutes);
    }
    log.seal(76, None);
    // Too late for its hour, in the next one, and in none that is sealed.
    for minutes in [58, 100, 190] {
        log.write(minutes);
    }
    log.seal(196, None);
    let whole = log.exported(200);
    let until = Some(later(179));
    let done = log.verify(&whole, until).unwrap();
    // The export itself was begun at the time of the test's start, and is among what the first hour holds.
    assert_eq!((done.events, done.checkpoints, done.unsealed >= 1), (5, 3, true), "{whole}");
    for line in whole.lines().filter(|line| line.contains("invoice.update") && !line.contains("\"190\"")) {
        assert!(log.verify(&whole.replace(&format!("{line}\n"), ""), until).is_err(), "without {line}");
        let altered = whole.replace(line, &line.replace("update", "create"));
        assert!(log.verify(&altered, until).is_err(), "with {line} altered");
    }
    // Up to a time, it is verified up to the checkpoint before.
    let filter = AuditFilter { from: None, to: Some(later(125)) };
    let part = log.world.written_at(Scope::Audit(filter), Format::Json, &[], later(200));
    let done = log.verify(&part, Some(later(119))).unwrap();
    assert_eq!((done.events, done.checkpoints), (5, 2));
}

#[test]
fn an_event_that_no_list_names_is_in_the_file_and_the_verifier_names_it() {
    // In a sealed hour with others, at its beginning and its end, in hours and on days without any, and before the first event.
    for minutes in [-1, 5, 25, 59, 60, 3 * 60 + 30, 13 * 60, 30 * 60 + 5, 48 * 60 + 39, 49 * 60 - 1] {
        let mut log = Log::new();
        for minutes in [2, 24, 26, 61, 48 * 60 + 38, 49 * 60 + 20] {
            log.write(minutes);
        }
        log.seal(76, None);
        log.seal(51 * 60 + 16, None);
        let before = log.exported(51 * 60 + 20);
        let done = log.verify(&before, Some(later(51 * 60 - 1))).unwrap();
        assert_eq!((done.events, done.checkpoints), (6, 51), "{minutes}");
        let added = log.write(minutes).id;
        let after = log.exported(51 * 60 + 21);
        assert_eq!(log.added(&after), added, "{minutes}");
        assert_eq!(after.matches(&added.to_string()).count(), 1, "{minutes}");
    }
}

#[test]
fn an_event_that_stands_with_another_day_or_twice_is_in_the_file_as_well() {
    let day = |minutes: i64| later(minutes).to_zoned(jiff::tz::TimeZone::UTC).date();
    for with in [5, 13 * 60, 50 * 60] {
        let mut log = Log::new();
        let [first, ..] = [5, 13 * 60, 26 * 60].map(|minutes| log.write(minutes));
        log.seal(51 * 60 + 16, None);
        let stranger = log.write(14 * 60);
        let pk = format!("{}#{}#03", log.world.org, day(with));
        log.place(&stranger, &pk, &stranger.id.to_string());
        let text = log.exported(51 * 60 + 20);
        assert_eq!(log.added(&text), stranger.id, "with {with}");
        // Once more what is there already.
        let sk = stranger.id.to_string();
        log.world.tables.take(&plixo_store::Key { table: Table::Audit, pk, sk });
        let text = log.exported(51 * 60 + 21);
        log.verify(&text, None).unwrap();
        let item = log.world.tables.dump()[&plixo_store::keys::audit(&log.world.org, &first)].clone();
        let is_own = plixo_store::keys::audit(&log.world.org, &first).pk.ends_with("#03");
        let pk = format!("{}#{}#{}", log.world.org, day(with), if is_own { "04" } else { "03" });
        log.world.tables.place(plixo_store::Key { table: Table::Audit, pk, sk: first.id.to_string() }, item);
        let text = log.exported(51 * 60 + 22);
        assert_eq!(log.added(&text), first.id, "with {with}");
    }
}

#[test]
fn what_came_too_late_for_any_list_is_told_and_what_may_be_sealed_still_is_not_sealed_yet() {
    let mut log = Log::new();
    log.write(10);
    log.seal(76, None);
    // Within the last minutes of what is sealed: the next span has it.
    let late = log.write(50).id;
    let text = log.exported(80);
    let done = log.verify(&text, None).unwrap();
    let (sealed, unsealed) = text.split_once("{\"unsealed\":true}\n").unwrap();
    assert!(!sealed.contains(&late.to_string()) && unsealed.contains(&late.to_string()), "{text}");
    log.seal(136, None);
    let text = log.exported(140);
    assert_eq!(log.verify(&text, None).unwrap().events, done.events + 1 + 2, "and the export's own");
    // No span looks for that one any more.
    let too_late = log.write(39).id;
    let text = log.exported(141);
    assert_eq!(log.added(&text), too_late);
    let said = log.verify(&text, None).unwrap_err().to_string();
    assert!(
        said.contains(&format!("event {too_late} was added")) && said.contains("within 20 minutes"),
        "{said}"
    );
}

#[test]
fn an_added_event_is_named_wherever_spans_end() {
    // Off the hour, and so close together that one event may be of three lists.
    let ends = [10 * 60 + 10, 10 * 60 + 15, 10 * 60 + 20, 33 * 60 + 40];
    for minutes in [9 * 60 + 45, 9 * 60 + 59, 10 * 60 + 9, 10 * 60 + 14, 33 * 60 + 30] {
        let mut log = Log::new();
        for end in ends {
            log.write(end - 4);
            log.write(end - 1);
            log.seal(end, Some(Timestamp::from_second(later(end).as_second()).unwrap()));
            // A late one, which the next list names.
            log.write(end - 8);
        }
        log.seal(36 * 60 + 16, None);
        let text = log.exported(36 * 60 + 20);
        assert_eq!(log.verify(&text, None).unwrap().events, 12, "{text}");
        let added = log.write(minutes).id;
        let text = log.exported(36 * 60 + 21);
        assert_eq!(log.added(&text), added, "{minutes}");
    }
}

#[test]
fn a_log_of_which_days_are_gone_begins_where_all_is_kept_and_is_verified_from_there() {
    // Whether anything happens in the hours right before, so that the tree at the beginning is of an older span.
    for is_idle in [false, true] {
        let mut log = Log::new();
        for hour in 0..20 {
            let writes = !is_idle || !(3..=14).contains(&hour);
            if writes {
                log.write(hour * 60 + 7);
                log.write(hour * 60 + 45);
            }
            if hour == 10 {
                let until = Timestamp::from_second(later(hour * 60 + 20).as_second()).unwrap();
                log.seal(hour * 60 + 20, Some(until));
            }
            log.seal(hour * 60 + 76, None);
            if writes {
                // Too late for its hour, also where the file will begin.
                log.write(hour * 60 + 55);
            }
        }
        let whole = log.exported(20 * 60 + 20);
        let all = log.verify(&whole, None).unwrap();
        assert_eq!((all.since, all.before), (None, 0));

        // What happened before midnight goes.
        let first = later(13 * 60).to_zoned(jiff::tz::TimeZone::UTC).date();
        let begin = first.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
        log.forget_before(first);
        let part = log.exported(20 * 60 + 20);
        let done = log.verify(&part, None).unwrap_or_else(|error| panic!("{error}: {part}"));
        let since = done.since.unwrap();
        assert!(since >= begin && since <= later(13 * 60), "{done:?}");
        assert!(done.before > 0 && done.events > 0, "{done:?}");
        // Those that the last export wrote are there as well, not sealed yet.
        assert_eq!(done.before + done.events, all.events);
        assert_eq!(done.sealed_to, all.sealed_to);
        // From there on, what was added is named.
        let minutes = since.duration_since(now()).as_mins() + 1;
        let added = log.write(minutes).id;
        let part = log.exported(20 * 60 + 21);
        assert_eq!(log.added(&part), added);
    }
}

#[test]
fn a_log_of_many_hours_and_shorter_spans_is_whole_and_empty_hours_cost_a_round_of_queries_a_day() {
    let mut log = Log::new();
    log.seal(76, None);
    // Off the hour, twice within one, among 20 hours: an approved export waits for a day at most.
    for minutes in [10 * 60 + 10, 10 * 60 + 20] {
        log.seal(minutes, Some(Timestamp::from_second(later(minutes).as_second()).unwrap()));
    }
    log.seal(20 * 60 + 16, None);
    let before = log.world.faults.calls();
    let text = log.exported(20 * 60 + 20);
    let calls = log.world.faults.calls() - before;
    let done = log.verify(&text, Some(later(20 * 60 - 1))).unwrap();
    assert_eq!((done.events, done.checkpoints), (0, 22));
    // A round of 16 queries for each of two days, and for where checkpoints are fetched anew: after those off the hour. All else is
    // checkpoints, and the export's own rows.
    assert!(calls < 16 * (2 + 3) + 90, "{calls}");
}

#[test]
fn of_a_day_of_the_log_of_which_some_is_gone_nothing_is_written() {
    for format in [Format::Csv, Format::Json] {
        let mut log = Log::new();
        for minutes in [60, 20 * 60] {
            log.write(minutes);
        }
        let end = later(30 * 60);
        let filter = || Scope::Audit(AuditFilter { from: Some(now()), to: None });
        let columns: &[&str] = if format == Format::Csv { &["object_id"] } else { &[] };
        let has = |text: &str| {
            ["60", "1200"].map(|id| {
                let of_event = format!("\"id\":\"{id}\"");
                text.lines().any(|line| line == id || line.contains(&of_event))
            })
        };
        assert_eq!(has(&log.world.written_at(filter(), format, columns, end)), [true; 2]);
        // A run ended in the middle of the day, and by now a hold or the policy keeps what is left of it.
        let from = later(20 * 60).to_zoned(jiff::tz::TimeZone::UTC).date();
        log.world.put(plixo_domain::audit::AuditKept { from, is_gone: false });
        assert_eq!(has(&log.world.written_at(filter(), format, columns, end)), [false, true]);
    }
}

#[test]
fn whatever_fails_or_dies_leaves_no_file_twice_and_no_part() {
    let calls = {
        let mut world = World::new();
        world.customer("One");
        let id = world.export(Scope::Customers(NoFilter {}), Format::Csv, &["name"]);
        let before = world.faults.calls();
        assert_eq!(world.take(&id, 1, now()).1, "written");
        world.faults.calls() - before
    };
    assert!(calls >= 8, "{calls}");
    for n in 0..calls {
        for fault in Fault::ALL {
            let mut world = World::new();
            world.customer("One");
            let id = world.export(Scope::Customers(NoFilter {}), Format::Csv, &["name"]);
            world.faults.plan(n, fault);
            // The process dies, and Lambda ends it.
            let died = Duration::from_secs(300);
            let _ = block_on(async { tokio::time::timeout(died, world.taking(&id, 1, now())).await });
            world.faults.clear();
            // The queue hands the message out again, half an hour later.
            let (done, outcome) = world.take(&id, 2, later(30));
            let row = world.row(&id);
            let is_too_large = row.failed == Some(Why::TooLarge);
            assert!(matches!(outcome, "written" | "nothing_to_do"), "{n} {fault:?}: {done:?} {outcome}");
            assert!(is_too_large || world.file(&id) == "\u{feff}name\r\nOne\r\n", "{n} {fault:?}");
            assert!(is_too_large || row.file.is_some(), "{n} {fault:?}");
            assert!(world.bucket.dump().len() <= 1);
            let ends = world.audited("export.finish");
            assert_eq!(ends.len(), 1, "{n} {fault:?}: it ends once");
        }
    }
}

#[test]
fn two_workers_at_once_write_one_after_the_other_or_one_does() {
    let mut world = World::new();
    world.customer("One");
    let id = world.export(Scope::Customers(NoFilter {}), Format::Csv, &["name"]);
    let (first, second) =
        block_on(async { tokio::join!(world.taking(&id, 1, now()), world.taking(&id, 2, now())) });
    let mut outcomes = [first.1, second.1];
    outcomes.sort_unstable();
    assert!(matches!(outcomes, ["in_work" | "nothing_to_do", "written"]), "{outcomes:?}");
    assert_eq!(world.audited("export.finish").len(), 1);
}

#[test]
fn what_does_not_succeed_fails_in_the_end_and_says_so() {
    let mut world = World::new();
    world.customer("One");
    let id = world.export(Scope::Customers(NoFilter {}), Format::Csv, &["name"]);
    for attempt in 1..=5 {
        // To begin takes three reads and a transaction; then the upload is begun.
        world.faults.plan(4, Fault::Refuses);
        let (done, outcome) = world.take(&id, attempt, later(i64::from(attempt) * 30));
        assert!(done.is_err(), "{attempt}: {outcome}");
    }
    world.faults.clear();
    assert_eq!(world.row(&id).failed, Some(Why::Unavailable));
    assert_eq!(world.take(&id, 6, later(200)).1, "nothing_to_do");
    assert_eq!(world.bucket.unfinished(), 0);
}

#[test]
fn messages_of_others_are_poison() {
    let world = World::new();
    for body in [
        "{}",
        "no JSON",
        r#"{"v":2,"org":"org_01h2xcejqtf2nbrexx3vqjhp41","export":"exp_01h2xcejqtf2nbrexx3vqjhp41"}"#,
    ] {
        let message: Message = serde_json::from_value(json!({"messageId": "m1", "body": body})).unwrap();
        let (done, line) = block_on(world.worker().take(&message, Line::default()));
        assert!(matches!(done, Err(TaskError::Permanent(_))) && line.outcome == "poison", "{body}");
    }
}

#[test]
fn amounts_have_their_currencys_digits() {
    for (amount, currency, text) in [
        (12_345, "EUR", "123.45"),
        (-1_250, "EUR", "-12.50"),
        (5, "EUR", "0.05"),
        (-5, "EUR", "-0.05"),
        (0, "EUR", "0.00"),
        (12_345, "JPY", "12345"),
        (-1, "JPY", "-1"),
        (12_345, "KWD", "12.345"),
        (i64::MIN, "EUR", "-92233720368547758.08"),
    ] {
        assert_eq!(decimal(&Money::new(amount, currency.parse().unwrap())), text);
    }
}

/// What no spreadsheet may see at the beginning of a text, however it is dressed.
fn runs(text: &str) -> bool {
    let dressed = text.trim_start_matches(|c: char| {
        c.is_whitespace() || c.is_control() || "\"'\u{200b}\u{200c}\u{200d}\u{feff}\u{2060}\u{ad}".contains(c)
    });
    dressed.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) && !text.starts_with('\'')
        || text.starts_with(['\t', '\r', '\n'])
}

#[test]
fn texts_that_begin_like_a_formula_get_an_apostrophe_and_amounts_do_not() {
    for bad in [
        "=1+1",
        "+49 30 1",
        "-2",
        "@SUM(A1)",
        "\rx",
        "\nx",
        "  =1",
        "\"=1",
        "'=1",
        "\u{a0}=1",
        "\u{200b}=1",
        "\u{feff}=1",
        "＝1",
        " ＋1",
        "－1",
        "＠a",
        "\u{0}=1",
    ] {
        assert_eq!(harmless(bad), format!("'{bad}"), "{bad:?}");
    }
    // Where another cell may begin for a spreadsheet, there as well.
    for (bad, good) in [
        ("\t=1", "'\t'=1"),
        ("x;=cmd|' /C calc'!A0", "x;'=cmd|' /C calc'!A0"),
        ("x\n=1", "x\n'=1"),
        ("x\r\n@a\r\n-1", "x\r\n'@a\r\n'-1"),
        ("x\t+1; \"=1", "x\t'+1;' \"=1"),
        ("-1;-1", "'-1;'-1"),
        (";=", ";'="),
    ] {
        assert_eq!(harmless(bad), good, "{bad:?}");
    }
    for fine in
        ["", "a=b", "Weber", "12.50", "'quoted'", "INV-1", "1-2", " x", "\"x\"", "a\r\n\r\nb; c", "a;b=c"]
    {
        assert_eq!(harmless(fine), fine);
    }
    let mut sheet = Sheet::csv(vec!["total".to_owned(), "memo".to_owned()]);
    let total = Cell::Money(Money::new(-1_250, "EUR".parse().unwrap()));
    let row = sheet.row(vec![("memo", Cell::Text("-12.50".to_owned())), ("total", total)]);
    assert_eq!(String::from_utf8(row).unwrap(), "-12.50,'-12.50\r\n");
}

proptest! {
    #[test]
    fn no_text_runs_and_each_comes_back(
        texts in proptest::collection::vec(
            prop_oneof![any::<String>(), "[ \t\"'\u{200b}\u{feff}\r\n]{0,3}[=+@＝＋－＠-]?[a-z,;\"\r\n=]{0,6}"], 1..8),
    ) {
        let columns: Vec<String> = (0..texts.len()).map(|n| format!("c{n}")).collect();
        let names = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
        let mut sheet = Sheet::csv(columns.clone());
        let cells = names.into_iter().zip(texts.iter().cloned().map(Cell::Text)).collect();
        let mut bytes = sheet.head();
        bytes.extend(sheet.row(cells));
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap();
        let mut reader = csv::Reader::from_reader(bytes);
        prop_assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>(), columns);
        let records: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(records.len(), 1);
        for (cell, text) in records[0].iter().zip(&texts) {
            prop_assert!(!runs(cell), "{:?}", cell);
            prop_assert_eq!(cell, harmless(text));
            let bare = |text: &str| text.replace('\'', "");
            prop_assert_eq!(bare(cell), bare(text), "there are apostrophes more, and nothing else");
        }
    }

    #[test]
    fn no_text_runs_whatever_a_spreadsheet_takes_for_the_end_of_a_cell(
        texts in proptest::collection::vec("[ \t\"'\u{200b}\u{feff}\r\n]{0,3}[=+@＝-]?([a-z,;\"'\t\r\n=+@-]|; ?=){0,8}", 1..8),
    ) {
        let names = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
        let columns = names.iter().take(texts.len()).map(|name| (*name).to_owned()).collect();
        let row = Sheet::csv(columns).row(names.into_iter().zip(texts.into_iter().map(Cell::Text)).collect());
        for end in [b',', b';', b'\t'] {
            let mut reader = csv::ReaderBuilder::new();
            let mut reader = reader.has_headers(false).flexible(true).delimiter(end).from_reader(&row[..]);
            for record in reader.records().map(Result::unwrap) {
                for cell in &record {
                    // An apostrophe stays, and makes what follows a text.
                    let seen = cell.trim_start_matches(|c: char| {
                        c.is_whitespace() || c.is_control() || "\"\u{200b}\u{feff}".contains(c)
                    });
                    prop_assert!(!seen.starts_with(['=', '+', '-', '@', '＝']), "{cell:?} of {:?}", String::from_utf8_lossy(&row));
                }
            }
        }
    }
}
