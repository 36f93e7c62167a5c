mod cash;
mod exports;
mod privacy;

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use plixo_authz::Authz;
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Object, Outcome};
use plixo_domain::id::{Ids, OrgId};
use plixo_domain::ledger::{Book, Organisation, Private, Residency, RowKey};
use plixo_domain::people::{Member, MemberState, Role, UserId, add_member};
use plixo_portal::links::LinkKeys;
use plixo_staff::Desk;
use plixo_store::{Store, Table};
use plixo_testing::{
    FakeBucket, FakeDirectory, FakeErp, FakeKms, FakeMail, FakeQueue, FakeStripe, FakeTables, FakeVault,
    Faults, entropy,
};
use serde_json::json;

use super::*;

const KEY: (&str, &str) = ("idempotency_key", "k.save");

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn ago(days: i64) -> Timestamp {
    now().saturating_sub(jiff::SignedDuration::from_hours(24 * days)).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

/// Two organisations, a member of each role in each; the console over the real APIs.
struct World {
    faults: Faults,
    desk: Arc<Desk<FakeTables, FakeKms>>,
    kms: FakeKms,
    console: Console,
    tables: FakeTables,
    mail: FakeMail,
    stripe_keys: FakeVault,
    stripe: FakeStripe,
    sources: FakeVault,
    erp: FakeErp,
    suggested: cash::Suggested,
    privacy_queue: FakeQueue,
    orgs: [OrgId; 2],
    users: Vec<[UserId; 2]>,
}

struct Shown {
    status: u16,
    to: String,
    html: String,
    line: Line,
}

impl Shown {
    /// What is wrong with a field.
    fn error(&self, field: &str) -> &str {
        let (_, rest) = self
            .html
            .split_once(&format!("id=\"{field}-error\">"))
            .unwrap_or_else(|| panic!("{}", self.html));
        rest.split("</p>").next().unwrap().rsplit('>').next().unwrap().trim()
    }

    fn value(&self, field: &str) -> &str {
        let (_, rest) =
            self.html.split_once(&format!("name=\"{field}\"")).unwrap_or_else(|| panic!("{}", self.html));
        rest.split("value=\"").nth(1).unwrap().split('"').next().unwrap()
    }

    /// The version that a form holds, as a browser sends it.
    fn version(&self) -> String {
        self.value("version").replace("&#34;", "\"")
    }

    /// Where the next page of a list is.
    fn next(&self) -> Option<String> {
        let (_, rest) = self.html.split_once("rel=\"next\" href=\"")?;
        Some(rest.split('"').next().unwrap().replace("&#38;", "&"))
    }
}

fn kept<T>(api: T) -> &'static T {
    Box::leak(Box::new(api))
}

fn world() -> World {
    world_that_requires_two_factors(false)
}

fn world_that_requires_two_factors(require_two_factor: bool) -> World {
    let faults = Faults::default();
    let (tables, kms) = (FakeTables::new(faults.clone()), FakeKms::new(faults.clone()));
    let (directory, mail) = (FakeDirectory::new(faults.clone()), FakeMail::new(faults.clone()));
    let store = Store::new(tables.clone(), kms.clone(), entropy);
    let mut users: Vec<[UserId; 2]> = Vec::new();
    let orgs = [0, 1].map(|n: u8| {
        // Of this spring: the audit log ends where an organisation began.
        let mut ids = Ids::new(ago(80), [n + 1; 10]);
        let id: OrgId = ids.make();
        let mut book = Book::default();
        let (name, residency) = (format!("Nordlicht {n}"), Residency::Eu);
        let settings = plixo_domain::ledger::Settings { require_two_factor, ..Default::default() };
        book.put_new(Organisation {
            id,
            name,
            residency,
            controllers: BTreeSet::new(),
            settings,
            logo: None,
            closed: None,
        });
        for (place, role) in Role::ALL.iter().copied().enumerate() {
            let email = format!("{}{n}@example.com", role.as_str());
            let user = directory.person(&email, "a password of their own");
            book.learn(RowKey::Member(user), None);
            book.learn(RowKey::UserOrganisation(user), None);
            let (email, state) = (Private::Plain(email), MemberState::Active);
            add_member(&mut book, Member { id: ids.make(), user, role, state, email }).unwrap();
            if n == 0 { users.push([user, user]) } else { users[place][1] = user }
        }
        block_on(store.found(&id, &kms, &book, &[])).unwrap();
        id
    });
    let desk = Arc::new(Desk::new(store, Authz::new().unwrap(), entropy));
    let place = api_organisations::Place { residency: Residency::Eu, base_url: None };
    let people = (directory, mail.clone());
    let (stripe_keys, link_keys) = (FakeVault::new(faults.clone()), FakeVault::new(faults.clone()));
    link_keys.put("link-keys", format!(r#"{{"v":1,"key":"{}"}}"#, "Canary1".repeat(7)));
    let payers = api_portal_links::Outside {
        keys: LinkKeys::new(link_keys, "link-keys".to_owned()),
        mail: mail.clone(),
        base_url: Some("https://pay.example".to_owned()),
        entropy,
    };
    let stripe = FakeStripe::new(faults.clone());
    let sources = FakeVault::new(faults.clone());
    let erp = FakeErp::over(sources.clone(), faults.clone());
    let outside = api_webhooks::Outside {
        vault: FakeVault::new(faults.clone()),
        stripe_keys: stripe_keys.clone(),
        sources: sources.clone(),
        stripe_queue: FakeQueue::new(faults.clone()),
        erp_queue: FakeQueue::new(faults.clone()),
        stripe: stripe.clone(),
        erp: erp.clone(),
        base_url: Some("https://plixo.example".to_owned()),
        entropy,
    };
    let ledger = kept(api_ledger::Api::new(Arc::clone(&desk), FakeQueue::default()));
    let organisations =
        kept(api_organisations::Api::new(Arc::clone(&desk), kms.clone(), people, place, &[7; 32]));
    let links = kept(api_portal_links::Api::new(Arc::clone(&desk), payers));
    let webhooks = kept(api_webhooks::Api::new(Arc::clone(&desk), outside));
    let audit = kept(api_audit::Api::new(Arc::clone(&desk)));
    let files = api_exports::Outside { queue: FakeQueue::default(), bucket: FakeBucket::default() };
    let exports = kept(api_exports::Api::new(Arc::clone(&desk), files));
    let privacy_queue = FakeQueue::default();
    let requests = api_privacy::Outside { queue: privacy_queue.clone(), bucket: FakeBucket::default() };
    let privacy = kept(api_privacy::Api::new(Arc::clone(&desk), requests));
    let suggested = cash::Suggested::default();
    let told = suggested.clone();
    let console = Console::new(entropy)
        .asking(&cash::SUGGESTIONS, move |it, line| {
            let answer = told.answer(&it);
            async move { (answer, line) }
        })
        .asking(&api_ledger::ROUTES, move |it, line| async move { ledger.handle(&it, line).await })
        .asking(
            &api_organisations::ROUTES,
            move |it, line| async move { organisations.handle(&it, line).await },
        )
        .asking(&api_portal_links::ROUTES, move |it, line| async move { links.handle(&it, line).await })
        .asking(&api_webhooks::ROUTES, move |it, line| async move { webhooks.handle(&it, line).await })
        .asking(&api_exports::ROUTES, move |it, line| async move { exports.handle(&it, line).await })
        .asking(&api_privacy::ROUTES, move |it, line| async move { privacy.handle(&it, line).await })
        .asking(&[api_audit::ROUTE], move |it, line| async move { audit.handle(&it, line).await });
    World {
        faults,
        desk,
        kms,
        console,
        tables,
        mail,
        stripe_keys,
        stripe,
        sources,
        erp,
        suggested,
        privacy_queue,
        orgs,
        users,
    }
}

/// Somebody at a browser.
#[derive(Clone, Copy)]
struct At<'w> {
    world: &'w World,
    who: Option<(Role, usize)>,
    site: &'static str,
}

impl World {
    /// Writes what somebody did in the first organisation.
    fn write(&self, action: &str, at: Timestamp, invoice: &str, fields: &[&str]) {
        let random = entropy().unwrap();
        let mut seed = [0; 10];
        seed.iter_mut().zip(random).for_each(|(to, from)| *to = from);
        let event = AuditEvent {
            id: Ids::new(at, seed).make(),
            at,
            actor: Actor { kind: ActorKind::Provider, id: "whe_1".to_owned(), role: None },
            origin: Private::default(),
            customer: None,
            action: action.to_owned(),
            object: Object::new("invoice", invoice),
            outcome: Outcome::Allowed,
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            request_id: "r0".to_owned(),
            count: None,
        };
        block_on(self.desk.store().commit(&self.orgs[0], &Book::default(), None, &[event], now())).unwrap();
    }

    /// How often the audit log says that somebody did that.
    fn audited(&self, action: &str) -> usize {
        let dump = self.tables.dump();
        let audit = dump.iter().filter(|(key, _)| key.table == Table::Audit);
        let actions = audit.map(|(_, item)| {
            let event = plixo_store::to_audit_event(item).unwrap();
            event.action
        });
        actions.filter(|own| own == action).count()
    }

    fn at(&self, role: Role) -> At<'_> {
        At { world: self, who: Some((role, 0)), site: "same-origin" }
    }

    fn page(&self, rest: &str) -> String {
        format!("/orgs/{}{rest}", self.orgs[0])
    }
}

impl At<'_> {
    fn get(self, target: &str) -> Shown {
        self.send("GET", target, &[])
    }

    fn post(self, target: &str, fields: &[(&str, &str)]) -> Shown {
        self.send("POST", target, fields)
    }

    fn send(self, method: &str, target: &str, fields: &[(&str, &str)]) -> Shown {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.sent(method, target, "application/x-www-form-urlencoded", form.as_bytes())
    }

    /// Sends the form of the settings page that has a file, as browsers do.
    fn upload(self, key: &str, file: &[u8]) -> Shown {
        let part = |name: &str, more: &str, content: &[u8]| {
            let head = format!("--xYz\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
            [head.as_bytes(), content, b"\r\n"].concat()
        };
        let kind = "; filename=\"Möbel.png\"\r\nContent-Type: image/png";
        let (key, word) = (part("idempotency_key", "", key.as_bytes()), part("do", "", b"logo"));
        let body = [key, word, part("logo", kind, file), b"--xYz--\r\n".to_vec()].concat();
        self.sent("POST", &self.world.page("/settings"), "multipart/form-data; boundary=xYz", &body)
    }

    fn sent(self, method: &str, target: &str, kind: &str, body: &[u8]) -> Shown {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut named = json!({});
        let mut route = String::new();
        for (n, part) in path.split('/').enumerate().skip(1) {
            let name = match (n, part.split_once('_').map_or("", |(kind, _)| kind)) {
                (2, _) if path.starts_with("/assets") => "file",
                (2, _) => "org",
                (_, "inv" | "cus" | "pay" | "evt" | "exp" | "hld" | "prv") => "id",
                _ => "",
            };
            if name.is_empty() {
                route = format!("{route}/{part}");
            } else {
                named[name] = part.into();
                route = format!("{route}/{{{name}}}");
            }
        }
        let said = match self.who {
            Some((role, org)) => {
                let place = Role::ALL.iter().position(|it| *it == role).unwrap();
                json!({"user": self.world.users[place][org].to_string(), "session": "s1", "by": "cookie",
                    "signed_in_at": "2026-06-15T11:00:00Z", "expires_at": "2026-06-15T13:00:00Z"})
            }
            None => json!({"refused": "missing"}),
        };
        let body = STANDARD.encode(body);
        let request: Request = serde_json::from_value(json!({
            "headers": {"content-type": kind, "sec-fetch-site": self.site},
            "rawPath": path, "rawQueryString": query, "pathParameters": named, "body": body, "isBase64Encoded": true,
            "requestContext": {"requestId": "r1", "routeKey": format!("{method} {route}"),
                "authorizer": {"lambda": said}, "http": {"sourceIp": "203.0.113.7", "userAgent": "test"}},
        }))
        .unwrap();
        let line = Line { timestamp: now(), ..Line::default() };
        let (response, line) = block_on(self.world.console.handle(&request, line));
        let logged = String::from_utf8(line.clone().bytes()).unwrap();
        assert!(!logged.contains("Canary") && !logged.contains("/p/"), "{logged}");
        let to = response.header("location").unwrap_or_default().to_owned();
        Shown { status: response.status(), to, html: response.body().to_owned(), line }
    }

    fn customer(self) -> String {
        self.customer_named("Möbel Weber")
    }

    fn customer_named(self, name: &str) -> String {
        let made = self.post(&self.world.page("/customers/new"), &[("name", name)]);
        assert_eq!(made.status, 303, "{}", made.html);
        made.to.split('/').nth(4).unwrap().split('?').next().unwrap().to_owned()
    }

    fn draft(self) -> String {
        let customer = self.customer();
        self.draft_of(&customer, "")
    }

    /// An invoice that is owed, of its page.
    fn owed(self, customer: &str, due_on: &str) -> String {
        let invoice = self.draft_of(customer, due_on);
        assert_eq!(self.post(&invoice, &[("do", "finalize")]).status, 303);
        invoice
    }

    fn draft_of(self, customer: &str, due_on: &str) -> String {
        let made = self.post(
            &self.world.page("/invoices/new"),
            &[
                ("do", "save"),
                ("customer_id", customer),
                ("due_on", due_on),
                ("currency", "EUR"),
                ("lines.0.description", "Stuhl"),
                ("lines.0.quantity", "2"),
                ("lines.0.unit_price", "1,250.50"),
                ("lines.0.tax_percent", "19"),
            ],
        );
        assert_eq!(made.status, 303, "{}", made.html);
        made.to.split('?').next().unwrap().to_owned()
    }
}

const CONTROLLER: Role = Role::Controller;

#[test]
fn every_page_is_there_for_a_controller_and_for_nobody_else_without_a_session() {
    let world = world();
    let (at, nobody) = (world.at(CONTROLLER), At { who: None, ..world.at(CONTROLLER) });
    let invoice = at.draft();
    for route in ROUTES.iter().filter_map(|route| route.strip_prefix("GET ")) {
        let target = match route {
            "/" | "/assets/{file}" => continue,
            "/orgs/{org}/invoices/{id}" => invoice.clone(),
            "/orgs/{org}/invoices/{id}/edit" => format!("{invoice}/edit"),
            route if route.contains("{id}") => continue,
            route => route.replace("{org}", &world.orgs[0].to_string()),
        };
        let shown = at.get(&target);
        assert_eq!(
            (shown.status, shown.line.outcome, shown.line.route.unwrap()),
            (200, "done", format!("GET {route}").as_str()),
            "{}",
            shown.html
        );
        assert!(shown.line.who.is_some());
        let away = nobody.get(&target);
        assert_eq!((away.status, away.line.outcome), (303, "token_missing"), "{route}");
        assert!(away.to.starts_with("/sign-in?next=%2Forgs"), "{}", away.to);
    }
    assert_eq!(at.get("/").to, "/orgs");
    assert_eq!(at.get("/assets/other.css").status, 404);
    assert!(at.get("/orgs").html.contains("Nordlicht 0"));
    assert!(at.get(&invoice).html.contains("controller0<wbr>@example.com</bdi></p>"), "who looks");
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    let world = world();
    let at = world.at(CONTROLLER);
    let invoice = at.draft();
    for site in ["cross-site", "same-site", "none", ""] {
        for route in ROUTES.iter().filter_map(|route| route.strip_prefix("POST ")) {
            let target = match route.contains("{id}") {
                true => format!("{invoice}{}", route.split("{id}").nth(1).unwrap()),
                false => route.replace("{org}", &world.orgs[0].to_string()),
            };
            let shown = At { site, ..at }.post(&target, &[("do", "finalize"), ("name", "Forged")]);
            assert_eq!((shown.status, shown.line.outcome), (400, "foreign_form"), "{route}");
        }
    }
    assert!(at.get(&invoice).html.contains("Draft"));
    assert!(!at.get(&world.page("/customers")).html.contains("Forged"));
}

#[test]
fn what_is_wrong_stands_beside_its_field_and_what_was_typed_stays() {
    let world = world();
    let at = world.at(Role::BillingAdmin);
    let new = world.page("/invoices/new");
    let customer = at.customer();
    let typed = [
        ("do", "save"),
        ("customer_id", ""),
        ("currency", "EUR"),
        ("number", " RE 7 "),
        ("lines.0.description", ""),
        ("lines.0.quantity", ""),
        ("lines.0.unit_price", ""),
        ("lines.0.tax_percent", ""),
        ("lines.1.description", "Stuhl"),
        ("lines.1.quantity", "x"),
        ("lines.1.unit_price", "12,50"),
        ("lines.1.tax_percent", ""),
    ];
    let shown = at.post(&new, &typed);
    assert_eq!(shown.status, 400);
    assert_eq!(shown.error("customer_id"), "Choose a customer");
    assert!(shown.error("lines.1.unit_price").starts_with("Enter an amount"));
    assert!(shown.error("lines.1.quantity").starts_with("Enter a number"));
    assert_eq!((shown.value("lines.1.unit_price"), shown.value("number")), ("12,50", "RE 7"));

    // What only the API knows is put beside the row that it came from, though an empty one before it was left out.
    let fields = [
        ("customer_id", customer.as_str()),
        ("lines.1.quantity", "1"),
        ("lines.1.unit_price", "5"),
        ("lines.1.description", "4242 4242 4242 4242"),
    ];
    let typed: Vec<_> = fields.into_iter().chain(typed).collect();
    let shown = at.post(&new, &typed);
    assert_eq!((shown.status, shown.line.outcome), (400, "invalid_request"));
    assert!(!shown.error("lines.1.description").is_empty());

    let shown = at.post(&world.page("/customers/new"), &[("name", "A"), ("city", "Ulm")]);
    assert!(shown.status == 400 && !shown.error("line1").is_empty(), "{}", shown.html);
    let shown = at.post(
        &world.page("/payments/new"),
        &[("source", "bank"), ("amount", "1"), ("currency", "EUR"), ("received_on", "soon")],
    );
    assert!(shown.status == 400 && !shown.error("received_on").is_empty(), "{}", shown.html);
}

#[test]
fn a_form_sent_twice_is_done_once_and_a_stale_one_never() {
    let world = world();
    let at = world.at(Role::BillingAdmin);
    let new = world.page("/customers/new");
    let first = at.post(&new, &[KEY, ("name", "Weber")]);
    assert_eq!((first.status, first.to.clone()), (303, at.post(&new, &[KEY, ("name", "Weber")]).to));
    let reused = at.post(&new, &[KEY, ("name", "Another")]);
    assert_eq!((reused.status, reused.line.outcome), (400, "idempotency_key_reused"));

    let customer = first.to.split('?').next().unwrap().to_owned();
    let edit = format!("{customer}/edit");
    let version = at.get(&edit).version();
    let changed = at.post(&edit, &[("version", &version), ("name", "Weber & Söhne"), ("phone", "1")]);
    assert_eq!(
        (changed.status, changed.to.as_str()),
        (303, format!("{customer}?done=customer").as_str()),
        "{}",
        changed.html
    );
    let shown = at.get(&changed.to);
    assert!(shown.html.contains("The customer is saved.") && shown.html.contains("Weber &#38; Söhne"));
    let stale = at.post(&edit, &[("version", &version), ("name", "Slower")]);
    assert_eq!((stale.status, stale.line.outcome), (412, "stale"));
    let text = at.get(&format!("{customer}?done=%3Cb%3EYou+won"));
    assert!(!text.html.contains("You won"), "free text from the address is not shown");
}

#[test]
fn an_invoice_is_finalized_paid_and_its_payment_taken_back() {
    let world = world();
    let at = world.at(CONTROLLER);
    let invoice = at.draft();
    let shown = at.get(&invoice);
    assert!(shown.html.contains("2,976.19") && shown.html.contains("wrote the draft"), "{}", shown.html);
    assert!(shown.html.contains("controller0<wbr>@example.com"), "who did it");
    let done = at.post(&invoice, &[("do", "finalize")]);
    assert_eq!(done.to, format!("{invoice}?done=finalized"));
    assert!(at.get(&done.to).html.contains("INV-000001"));
    let again = at.post(&invoice, &[("do", "finalize")]);
    assert_eq!((again.status, again.line.outcome), (400, "invoice_not_draft"));

    let fields = [
        ("source", "bank"),
        ("amount", "3000"),
        ("currency", "EUR"),
        ("received_on", "2026-06-14"),
        ("remittance", "INV-000001"),
    ];
    let payment = at.post(&world.page("/payments/new"), &fields).to.split('?').next().unwrap().to_owned();
    assert!(at.get(&payment).html.contains("INV-000001"), "offered to be applied");
    let wrong = at.post(&payment, &[("do", "apply"), ("other_number", "INV-7"), ("other_amount", "1")]);
    assert_eq!(wrong.error("other_number"), "There is no invoice of this number");
    let much =
        at.post(&payment, &[("do", "apply"), ("other_number", "INV-000001"), ("other_amount", "2,999")]);
    assert!(much.status == 400 && !much.error("other_amount").is_empty());
    let id = invoice.rsplit('/').next().unwrap();
    let fields = [("do", "apply"), (&format!("apply.{id}"), "2976.19")];
    assert_eq!(at.post(&payment, &fields).to, format!("{payment}?done=applied"));
    let shown = at.get(&invoice);
    assert!(shown.html.contains("Paid") && shown.html.contains("applied a payment"), "{}", shown.html);
    let shown = at.get(&payment);
    assert!(shown.html.contains("23.81") && shown.html.contains("controller0<wbr>@example.com"));
    let back = at.post(&payment, &[("do", "take_back"), ("allocation", shown.value("allocation"))]);
    assert_eq!(back.to, format!("{payment}?done=taken-back"));
    assert!(at.get(&invoice).html.contains("took an allocation back"));
    assert_eq!(at.post(&invoice, &[("do", "uncollectible")]).to, format!("{invoice}?done=given-up"));
    assert!(at.get(&invoice).html.contains("Uncollectible"));
    assert_eq!(at.post(&invoice, &[("do", "void")]).to, format!("{invoice}?done=voided"));
}

#[test]
fn an_invoice_is_found_by_its_number() {
    let world = world();
    let at = world.at(CONTROLLER);
    let invoice = at.owed(&at.customer(), "");
    let list = world.page("/invoices");
    for (number, found) in
        [("INV-000001", true), ("%20INV-000001+", true), ("INV-000002", false), ("*", false)]
    {
        let shown = at.get(&format!("{list}?number={number}&status=paid"));
        assert_eq!((shown.status, shown.html.contains(&invoice)), (200, found), "{number}");
        assert!(found || shown.html.contains("No invoice fits"));
    }
}

#[test]
fn who_saves_later_keeps_what_was_typed_and_decides() {
    let world = world();
    let at = world.at(CONTROLLER);
    let customer = world.page(&format!("/customers/{}", at.customer()));
    let invoice = at.draft();
    let line = |text| {
        vec![
            ("do", "save"),
            ("currency", "EUR"),
            ("lines.0.description", text),
            ("lines.0.quantity", "1"),
            ("lines.0.unit_price", "5"),
        ]
    };
    let whose = customer.rsplit('/').next().unwrap();
    for (page, now, field, more) in [
        (format!("{customer}/edit"), customer.clone(), "name", vec![]),
        (
            format!("{invoice}/edit"),
            invoice.clone(),
            "number",
            [line("Bett"), vec![("customer_id", whose)]].concat(),
        ),
        (world.page("/settings"), world.page("/settings"), "name", vec![("do", "save")]),
    ] {
        let save = |version: &str, text: &str| {
            at.post(&page, &[&[("version", version), (field, text)], more.as_slice()].concat())
        };
        let seen = at.get(&page).version();
        assert_eq!(save(&seen, "Faster").status, 303, "{page}");
        let late = save(&seen, "Slower");
        assert_eq!((late.status, late.line.outcome, late.value(field)), (412, "stale", "Slower"), "{page}");
        assert!(late.html.contains("Somebody changed this meanwhile"));
        assert!(late.html.contains(&format!("<a href=\"{now}\" target=\"_blank\">See what is there now")));
        assert_ne!(late.version(), seen);
        assert_eq!(at.get(&page).value(field), "Faster");
        assert_eq!(save(&late.version(), "Slower").status, 303, "{page}");
        assert_eq!(at.get(&page).value(field), "Slower");
    }
    let edit = format!("{invoice}/edit");
    let seen = at.get(&edit).version();
    at.post(&invoice, &[("do", "finalize")]);
    let late = at.post(&edit, &[line("Bett"), vec![("version", &seen), ("customer_id", whose)]].concat());
    assert!(late.status == 412 && late.html.contains("no draft any more"), "{}", late.html);
}

#[test]
fn nobody_issues_or_applies_what_they_did_not_see() {
    let world = world();
    let at = world.at(CONTROLLER);
    let customer = at.customer();
    let invoice = at.draft_of(&customer, "");
    let seen = at.get(&invoice).version();
    let edit = format!("{invoice}/edit");
    let fields = [
        ("do", "save"),
        ("customer_id", &customer),
        ("currency", "EUR"),
        ("lines.0.description", "Schloss"),
        ("lines.0.quantity", "1"),
        ("lines.0.unit_price", "1000000"),
    ];
    assert_eq!(at.post(&edit, &fields).status, 303);
    let late = at.post(&invoice, &[("do", "finalize"), ("version", &seen)]);
    assert_eq!((late.status, late.line.outcome), (412, "stale"), "{}", late.html);
    assert!(late.html.contains("1,000,000.00") && late.html.contains("look again before you decide"));
    assert!(late.html.contains("Draft"));
    let done = at.post(&invoice, &[("do", "finalize"), ("version", &late.version())]);
    assert_eq!(done.to, format!("{invoice}?done=finalized"));

    let fields = [("source", "bank"), ("amount", "300"), ("currency", "EUR"), ("received_on", "2026-06-14")];
    let payment = at.post(&world.page("/payments/new"), &fields).to.split('?').next().unwrap().to_owned();
    let seen = at.get(&payment).version();
    let field = format!("apply.{}", invoice.rsplit('/').next().unwrap());
    let apply = |version: &str| at.post(&payment, &[("do", "apply"), ("version", version), (&field, "100")]);
    assert_eq!(apply(&seen).status, 303);
    let late = apply(&seen);
    assert_eq!((late.status, late.value(&field)), (412, "100"), "{}", late.html);
    let allocation = late.value("allocation").to_owned();
    let back = |version: &str| {
        at.post(&payment, &[("do", "take_back"), ("version", version), ("allocation", &allocation)])
    };
    assert_eq!((back(&seen).status, back(&late.version()).status), (412, 303));
}

#[test]
fn of_two_who_change_a_member_the_later_one_looks_again() {
    let world = world();
    let (at, page) = (world.at(CONTROLLER), world.page("/members"));
    let shown = at.get(&page);
    let (_, form) = shown.html.split_once("Role of viewer0@example.com").unwrap();
    let member = form.split("id=\"role-").nth(1).unwrap().split('"').next().unwrap();
    let (before, _) = shown.html.split_once("Role of viewer0@example.com").unwrap();
    let version = before.rsplit("name=\"version\" value=\"").next().unwrap().split('"').next().unwrap();
    let version = version.replace("&#34;", "\"");
    let change = |verb, role| {
        at.post(&page, &[("do", verb), ("member", member), ("version", &version), ("role", role)])
    };
    assert_eq!(change("change_role", "cfo").status, 303);
    for late in [change("change_role", "compliance"), change("remove", "")] {
        assert_eq!((late.status, late.line.outcome), (412, "stale"), "{}", late.html);
    }
}

#[test]
fn what_was_typed_outlasts_a_failure_of_ours() {
    let world = world();
    let at = world.at(CONTROLLER);
    let new = world.page("/customers/new?from=here");
    let typed = [KEY, ("name", "Weber & Söhne"), ("line1", "")];
    // The first call is who asks.
    world.faults.plan(1, plixo_testing::Fault::Refuses);
    let failed = at.post(&new, &typed);
    assert_eq!((failed.status, failed.line.outcome), (503, "unavailable"), "{}", failed.html);
    let action = format!("<form method=\"post\" action=\"{new}\">");
    assert!(failed.html.contains(&action), "{}", failed.html);
    for (name, value) in [KEY, ("name", "Weber &#38; Söhne"), ("line1", "")] {
        assert_eq!(failed.value(name), value);
    }
    world.faults.clear();
    assert_eq!(at.post(&new, &typed).status, 303);

    let secret = "whsec_a_secret_that_is_long_enough";
    world.faults.plan(1, plixo_testing::Fault::Refuses);
    let failed =
        at.post(&world.page("/integrations"), &[("do", "add"), ("provider", "stripe"), ("secret", secret)]);
    assert_eq!(failed.status, 503);
    assert!(!failed.html.contains(secret) && failed.html.contains("Go back"), "{}", failed.html);
}

/// The rows of a list, page by page.
fn pages_of(at: At<'_>, list: &str, row: &str) -> Vec<usize> {
    let (mut found, mut next) = (Vec::new(), Some(list.to_owned()));
    while let Some(target) = next {
        let shown = at.get(&target);
        assert_eq!(shown.status, 200, "{target}: {}", shown.html);
        found.push(shown.html.matches(row).count());
        next = shown.next();
    }
    found
}

#[test]
fn a_customers_invoices_of_a_status_are_listed_page_by_page() {
    let world = world();
    let at = world.at(CONTROLLER);
    let (customer, other) = (at.customer(), at.customer_named("Schmidt"));
    for n in 0..30 {
        at.owed(&customer, "2026-12-01");
        at.draft_of(&customer, "");
        if n < 3 {
            at.owed(&other, "2026-11-01");
        }
    }
    let list = world.page(&format!("/invoices?status=open&customer={customer}"));
    assert_eq!(pages_of(at, &list, "INV-0"), [25, 5]);
    let draft = list.replace("status=open", "status=draft");
    assert_eq!(pages_of(at, &draft, "Stuhl"), [0, 0], "no lines in a list");
    assert_eq!(pages_of(at, &draft, "role=\"rowheader\""), [25, 5]);
    assert!(at.get(&list.replace("open", "void")).html.contains("No invoice fits"));
}

#[test]
fn lists_of_people_places_and_organisations_have_no_end_that_hides_any() {
    let world = world();
    let at = world.at(CONTROLLER);
    for n in 0..98 {
        let invite = [("do", "invite"), ("email", &format!("guest{n}@example.com")), ("role", "viewer")];
        assert_eq!(at.post(&world.page("/members"), &invite).status, 303);
    }
    for _ in 0..101 {
        at.post(&world.page("/integrations"), &[("do", "add"), ("provider", "stripe")]);
    }
    assert_eq!(pages_of(at, &world.page("/members"), "role=\"rowheader\""), [100, 3]);
    assert_eq!(pages_of(at, &world.page("/integrations"), "/webhooks/stripe/whe_"), [100, 1]);

    // What is done on a later page shows on it.
    let second = at.get(&world.page("/members")).next().unwrap();
    let shown = at.get(&second);
    assert!(
        shown.html.contains(&format!("action=\"{second}\"")) && !shown.html.contains("The last one stays")
    );
    let (member, version) = (shown.value("member").to_owned(), shown.version());
    let change = [("do", "change_role"), ("member", &member), ("version", &version), ("role", "cfo")];
    let done = at.post(&second, &change);
    assert_eq!(
        (done.status, done.to.as_str()),
        (303, format!("{second}&done=role").as_str()),
        "{}",
        done.html
    );
    let wrong = [("do", "change_role"), ("member", &member), ("role", "king")];
    assert!(!at.post(&second, &wrong).error(&format!("role-{member}")).is_empty());

    let user = world.users[0][0];
    for n in 0..54 {
        let mut ids = Ids::new(now(), [n + 10; 10]);
        let id: OrgId = ids.make();
        let mut book = Book::default();
        let (name, settings) = (format!("Filiale {n}"), Default::default());
        let (residency, controllers) = (Residency::Eu, BTreeSet::new());
        book.put_new(Organisation { id, name, residency, controllers, settings, logo: None, closed: None });
        book.learn(RowKey::Member(user), None);
        book.learn(RowKey::UserOrganisation(user), None);
        let email = Private::Plain("controller0@example.com".to_owned());
        let (role, state) = (CONTROLLER, MemberState::Active);
        add_member(&mut book, Member { id: ids.make(), user, role, state, email }).unwrap();
        block_on(world.desk.store().found(&id, &world.kms, &book, &[])).unwrap();
    }
    assert_eq!(pages_of(at, "/orgs", "class=\"orgs-name\""), [50, 5]);
}

#[test]
fn money_is_recorded_for_any_customer_and_applied_to_theirs_first() {
    let world = world();
    let at = world.at(CONTROLLER);
    let customer = at.customer_named("Älteste Kundin");
    let new = world.page(&format!("/payments/new?customer={customer}"));
    assert!(at.get(&world.page(&format!("/customers/{customer}"))).html.contains(&format!("href=\"{new}\"")));
    let others: Vec<_> = (0..101).map(|n| at.customer_named(&format!("Kunde {n}"))).collect();
    let form = at.get(&new);
    assert!(form.html.contains(&format!("<option value=\"{customer}\" selected>Älteste Kundin")));
    assert!(form.html.contains("Not all are listed") && form.html.contains("choose Record a payment there"));
    assert!(at.get(&world.page("/invoices")).html.contains("Not all customers are listed"));

    // Theirs is due after more of others than are looked at.
    let theirs = at.owed(&customer, "2027-03-01");
    let earlier: Vec<_> = others.iter().take(60).map(|other| at.owed(other, "2026-07-01")).collect();
    let fields = [
        ("source", "bank"),
        ("amount", "300"),
        ("currency", "EUR"),
        ("received_on", "2026-06-14"),
        ("customer_id", &customer),
    ];
    let payment = at.post(&world.page("/payments/new"), &fields).to.split('?').next().unwrap().to_owned();
    let id = |invoice: &str| invoice.rsplit('/').next().unwrap().to_owned();
    let shown = at.get(&payment);
    let fields: Vec<_> =
        shown.html.split("name=\"apply.").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!((fields.len(), fields[0]), (20, id(&theirs).as_str()));

    // What was typed stays beside its invoice, whatever became of that and wherever it would stand.
    let (void, far) = (id(&earlier[0]), id(&earlier[59]));
    at.post(&earlier[0], &[("do", "void")]);
    let (of_void, of_far) = (format!("apply.{void}"), format!("apply.{far}"));
    let wrong = at.post(&payment, &[("do", "apply"), (&of_void, "70"), (&of_far, "7x")]);
    assert_eq!((wrong.status, wrong.value(&of_void), wrong.value(&of_far)), (400, "70", "7x"));
    assert!(wrong.error(&of_far).starts_with("Enter an amount"));
    let wrong = at.post(&payment, &[("do", "apply"), (&of_void, "70"), (&of_far, "7")]);
    assert_eq!((wrong.value(&of_void), wrong.value(&of_far)), ("70", "7"));
    assert!(wrong.error(&of_void).contains("void"), "{}", wrong.html);
    let number = at.post(&payment, &[("do", "apply"), ("other_number", "*"), ("other_amount", "7")]);
    assert_eq!(number.error("other_number"), "There is no invoice of this number");
    assert_eq!(at.post(&payment, &[("do", "apply"), (&of_far, "7")]).status, 303);
}

#[test]
fn who_may_not_is_told_so_and_another_organisation_is_not_there() {
    let world = world();
    let invoice = world.at(CONTROLLER).draft();
    let viewer = world.at(Role::Viewer);
    for path in [
        "/invoices/new",
        "/customers/new",
        "/payments/new",
        "/members",
        "/settings",
        "/integrations",
        "/webhook-events",
        "/audit",
    ] {
        assert_eq!(viewer.get(&world.page(path)).status, 403, "{path}");
    }
    let shown = viewer.get(&invoice);
    assert!(shown.status == 200 && !shown.html.contains("History"));
    let denied = viewer.post(&invoice, &[("do", "void")]);
    assert_eq!((denied.status, denied.line.outcome), (403, "forbidden"));
    let stranger = At { who: Some((CONTROLLER, 1)), ..viewer };
    for target in [
        invoice.clone(),
        world.page("/invoices"),
        world.page("/audit"),
        world.page("/customers/new"),
        "/orgs/nonsense/invoices".to_owned(),
    ] {
        let shown = stranger.get(&target);
        assert_eq!((shown.status, shown.line.outcome), (404, "not_found"), "{target}");
    }
    assert_eq!(stranger.post(&invoice, &[("do", "void")]).status, 404);
}

#[test]
fn who_needs_a_second_factor_is_led_to_set_it_up() {
    let world = world_that_requires_two_factors(true);
    let shown = world.at(CONTROLLER).get(&format!("{}?status=open", world.page("/invoices")));
    let next = format!("%2Forgs%2F{}%2Finvoices%3Fstatus%3Dopen", world.orgs[0]);
    assert_eq!((shown.status, shown.line.outcome), (303, "two_factor_required"));
    assert_eq!(shown.to, format!("/totp?next={next}"));
}

#[test]
fn how_payments_are_applied_is_set() {
    let world = world();
    let (at, settings) = (world.at(CONTROLLER), world.page("/settings"));
    let shown = at.get(&settings);
    assert_eq!((shown.value("threshold"), shown.value("percent")), ("0.95", ""));
    let cash = |version: &str, threshold: &str, amount: &str| {
        let fields = [
            ("do", "cash"),
            ("version", version),
            ("threshold", threshold),
            ("percent", "0.5"),
            ("amount", amount),
            ("order", "smallest_first"),
        ];
        at.post(&settings, &fields)
    };
    let wrong = cash(&shown.version(), "0.9", "7");
    assert_eq!((wrong.status, wrong.value("threshold"), wrong.value("amount")), (400, "0.9", "7"));
    assert!(
        wrong.html.contains("from 0.95 to 1.00") && wrong.html.contains("from 0 to 5.00"),
        "{}",
        wrong.html
    );
    assert_eq!(cash(&shown.version(), "0.98", "").to, format!("{settings}?done=settings"));
    let now = at.get(&settings);
    assert_eq!((now.value("threshold"), now.value("percent")), ("0.98", "0.50"));
    assert!(now.html.contains("value=\"smallest_first\" selected"));
    assert!(!now.html.contains("name=\"automatic\" value=\"on\" checked"), "an unticked box is no");
    let late = cash(&shown.version(), "0.99", "");
    assert_eq!((late.status, late.value("threshold")), (412, "0.99"));
    assert_eq!(world.at(Role::BillingAdmin).post(&settings, &[("do", "cash")]).status, 403);
}

#[test]
fn members_come_change_and_go() {
    let world = world();
    let (at, page) = (world.at(CONTROLLER), world.page("/members"));
    let shown = at.get(&page);
    assert!(shown.html.contains("viewer0<wbr>@example.com") && shown.html.contains("The last one stays"));
    let wrong = at.post(&page, &[("do", "invite"), ("email", "no"), ("role", "viewer")]);
    assert!(wrong.status == 400 && !wrong.error("email").is_empty());
    let invite = [("do", "invite"), ("email", "new@example.com"), ("role", "cfo")];
    assert_eq!(at.post(&page, &invite).to, format!("{page}?done=invited"));
    assert_eq!(at.post(&page, &invite).to, format!("{page}?done=invited"), "the email is sent again");
    let otherwise = [("do", "invite"), ("email", "new@example.com"), ("role", "viewer")];
    assert_eq!(at.post(&page, &otherwise).line.outcome, "already_member");
    assert!(at.get(&page).html.contains("new<wbr>@example.com"));

    let settings = world.page("/settings");
    let locked =
        at.post(&settings, &[("do", "save"), ("name", "Nordlicht 0"), ("ip_allow_list", "198.51.100.0/24")]);
    assert_eq!((locked.status, locked.line.outcome), (400, "would_lock_you_out"));
    assert!(!locked.error("ip_allow_list").is_empty());
    let fields =
        [("do", "save"), ("name", "Nordlicht AG"), ("ip_allow_list", "203.0.113.0/24\r\n\r\n2001:db8::/32")];
    assert_eq!(at.post(&settings, &fields).to, format!("{settings}?done=settings"));
    let shown = at.get(&settings);
    assert!(shown.html.contains("Nordlicht AG") && shown.html.contains("2001:db8::/32"));
}

#[test]
fn a_logo_is_chosen_shown_and_removed() {
    let world = world();
    let (at, settings) = (world.at(CONTROLLER), world.page("/settings"));
    let image = include_bytes!("../../../plixoctl/src/demo/nordlicht.png");
    assert!(at.get(&settings).html.contains("first letters of the name"));
    assert_eq!(at.upload("k.logo", image).to, format!("{settings}?done=logo"));
    let shown = at.get(&format!("{settings}?done=logo"));
    let path = format!("src=\"/logos/{}/", world.orgs[0]);
    assert!(shown.html.contains(&path) && shown.html.contains("Payers see the logo from now on."));
    assert_eq!(at.upload("k.logo", image).to, format!("{settings}?done=logo"), "sent twice");
    assert_eq!(world.audited("organisation.logo"), 2);
    for (wrong, outcome, advice) in [
        (&b""[..], "done", "Choose an image"),
        (b"GIF89a", "invalid_request", "no PNG"),
        (&[0; 9_001], "body_too_large", "9,000 bytes"),
        (&[0; 100_000], "done", "9,000 bytes"),
    ] {
        let refused = at.upload("k.other", wrong);
        assert_eq!((refused.status, refused.line.outcome), (400, outcome), "{advice}");
        assert!(refused.error("logo").contains(advice), "{}", refused.error("logo"));
        assert!(refused.html.contains(&path) && refused.html.contains("name=\"ip_allow_list\""));
    }
    let save = [("do", "save"), ("name", "")];
    assert!(at.post(&settings, &save).html.contains(&path), "it stays where something else is wrong");
    assert_eq!(at.upload("k.logo", b"another").line.outcome, "invalid_request");

    let foreign = At { site: "cross-site", ..at }.upload("k.more", image);
    assert_eq!((foreign.status, foreign.line.outcome), (400, "foreign_form"));
    assert_eq!(world.at(Role::Viewer).upload("k.more", image).status, 403);
    // No other page takes a file.
    let elsewhere = at.sent("POST", &world.page("/members"), "multipart/form-data; boundary=x", b"--x--\r\n");
    assert_eq!((elsewhere.status, elsewhere.line.outcome), (400, "form_unreadable"));
    assert_eq!(at.post(&settings, &[("do", "other")]).status, 400);
    world.faults.plan(1, plixo_testing::Fault::Refuses);
    let failed = at.upload("k.more", image);
    assert!(failed.status == 503 && failed.html.contains("Go back"), "{}", failed.html);
    world.faults.clear();

    let remove = [("do", "remove_logo"), ("idempotency_key", "k.remove-logo")];
    assert_eq!(at.post(&settings, &remove).to, format!("{settings}?done=logo-removed"));
    assert!(!at.get(&settings).html.contains(&path));
    assert_eq!(at.post(&settings, &remove).to, format!("{settings}?done=logo-removed"), "sent twice");
}

#[test]
fn an_endpoints_secret_is_shown_once() {
    let world = world();
    let (at, page) = (world.at(Role::BillingAdmin), world.page("/integrations"));
    let made = at.post(&page, &[("do", "add"), ("provider", "stripe")]);
    assert!(
        made.status == 200
            && made.html.contains("whsec_")
            && made.html.contains("https://plixo.example/webhooks/stripe/")
    );
    let shown = at.get(&page);
    assert!(!shown.html.contains("whsec_"));
    let endpoint = shown.value("endpoint").to_owned();
    let disabled = at.post(&page, &[("do", "disable"), ("endpoint", &endpoint)]);
    assert_eq!(disabled.to, format!("{page}?done=disabled"), "{}", disabled.html);
    let wrong = at.post(&page, &[("do", "rotate"), ("endpoint", &endpoint), ("secret", "short")]);
    assert!(wrong.status == 400 && !wrong.error(&format!("secret-{endpoint}")).is_empty());
    assert!(
        at.post(&page, &[("do", "rotate"), ("endpoint", &endpoint)]).html.contains("The new secret holds")
    );
}

const TENANT: &str = "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f";
const BROUGHT: &str = "canary-secret-that-was-brought-along";

#[test]
fn a_provider_is_chosen_first_and_its_form_asks_what_its_endpoints_need() {
    let world = world();
    let (at, page) = (world.at(Role::BillingAdmin), world.page("/integrations"));
    let shown = at.get(&page);
    assert!(!shown.html.contains("Add endpoint</button>"), "nothing is asked before");
    let hmac: &[_] = &[
        ("header", "X-Signature"),
        ("prefix", "sha256="),
        ("encoding", "hex"),
        ("digest", "sha256"),
        ("timestamp_header", ""),
    ];
    let (account, secret) = ("account", ("secret", BROUGHT));
    let forms = [
        ("stripe", "dashboard", vec![], true),
        ("xero", "intent to receive", vec![(account, TENANT), secret], false),
        ("quickbooks", "Verifier token", vec![(account, "1185883450"), secret], false),
        ("business_central", "clientState", vec![(account, TENANT)], true),
        ("erpnext", "Sales Invoice", vec![(account, " Zoë & Söhne GmbH ")], true),
        ("standard_webhooks", "public key", vec![("public_key", ""), ("secret", "")], true),
        ("generic_hmac", "NetSuite", hmac.to_vec(), true),
        ("generic_hmac", "x-signature: sha256=&#60;", [hmac, &[secret]].concat(), false),
    ];
    for (provider, told, fields, makes) in forms {
        assert!(
            shown.html.contains(&format!("href=\"{page}?provider={provider}#new-endpoint\"")),
            "{provider}"
        );
        let form = at.get(&format!("{page}?provider={provider}"));
        assert!(form.html.contains("Add endpoint</button>"), "{provider}");
        for (name, _) in fields.iter().chain([&secret, &(account, "")]) {
            assert!(form.html.contains(&format!("name=\"{name}\"")), "{provider} {name}");
        }
        for name in ["public_key", "header", "timestamp_header"] {
            let is_asked = fields.iter().any(|(own, _)| *own == name);
            assert_eq!(form.html.contains(&format!("id=\"{name}\"")), is_asked, "{provider} {name}");
        }
        let all: Vec<_> = [("do", "add"), ("provider", provider)].into_iter().chain(fields).collect();
        let made = at.post(&page, &all);
        assert!(
            made.status == 200 && made.html.contains("The endpoint is ready"),
            "{provider} {}",
            made.html
        );
        assert!(made.html.contains(told) || form.html.contains(told), "{provider}");
        let receiver = if provider == "stripe" { "stripe" } else { "erp" };
        assert!(made.html.contains(&format!("https://plixo.example/webhooks/{receiver}/whe_")), "{provider}");
        assert_eq!(made.html.contains("Copy the secret now."), makes, "{provider}");
        assert!(!made.html.contains("canary"), "{provider}");
    }
    let shown = at.get(&page).html;
    assert!(!shown.contains("canary") && !shown.contains("Copy the secret now."));
    for name in
        ["Stripe", "Xero", "QuickBooks", "Business Central", "ERPNext", "Standard Webhooks", "Another sender"]
    {
        assert!(shown.contains(&format!("<bdi>{name}</bdi>")), "{name}");
    }
}

#[test]
fn what_is_wrong_with_an_endpoint_stands_beside_its_field() {
    let world = world();
    let (at, page) = (world.at(Role::BillingAdmin), world.page("/integrations"));
    let add = |provider: &str, fields: &[(&str, &str)]| {
        let all: Vec<_> = [("do", "add"), ("provider", provider)].iter().chain(fields).copied().collect();
        let refused = at.post(&page, &all);
        assert_eq!(refused.status, 400, "{provider} {fields:?}");
        assert!(!refused.html.contains("canary"), "{}", refused.html);
        refused
    };
    let refused = add("xero", &[("account", "Nordlicht"), ("secret", "canary short")]);
    assert!(refused.error("account").contains("Xero tenant") && !refused.error("secret").is_empty());
    assert_eq!(refused.value("account"), "Nordlicht");
    let refused = add("quickbooks", &[("account", "1185883450"), ("secret", "")]);
    assert!(refused.error("secret").contains("developer.intuit.com"), "{}", refused.html);
    let hmac = [
        ("header", "cookie"),
        ("prefix", "a b"),
        ("encoding", "hex"),
        ("digest", "sha512"),
        ("timestamp_header", ""),
    ];
    let refused = add("generic_hmac", &hmac);
    assert!(refused.error("header").contains("meaning of its own"), "{}", refused.html);
    assert_eq!((refused.value("header"), refused.value("prefix")), ("cookie", "a b"));
    let refused = add("generic_hmac", &[&[("header", "")], hmac.get(1..).unwrap()].concat());
    assert!(!refused.error("header").is_empty());
    let refused = add("standard_webhooks", &[("public_key", "whpk_no"), ("secret", BROUGHT)]);
    assert!(!refused.error("public_key").is_empty() && !refused.error("secret").is_empty());
    assert_eq!(refused.value("public_key"), "whpk_no");
    // What no form of ours sends is told without a field to stand beside.
    for provider in ["member", "", "xero"] {
        assert!(add(provider, &[]).html.contains("Please check this"), "{provider}");
    }

    let key = ("public_key", "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    assert_eq!(at.post(&page, &[("do", "add"), ("provider", "standard_webhooks"), key]).status, 200);
    let endpoint = at.get(&page).value("endpoint").to_owned();
    let rotate = |fields: &[(&str, &str)]| {
        let all: Vec<_> = [("do", "rotate"), ("endpoint", &endpoint)].iter().chain(fields).copied().collect();
        at.post(&page, &all)
    };
    let refused = rotate(&[("secret", ""), ("public_key", "")]);
    assert!(refused.error(&format!("public_key-{endpoint}")).contains("new public key"), "{}", refused.html);
    let refused = rotate(&[("secret", BROUGHT), ("public_key", "")]);
    assert!(!refused.error(&format!("secret-{endpoint}")).is_empty() && !refused.html.contains("canary"));
    let done = rotate(&[("secret", ""), key]);
    assert!(done.status == 200 && done.html.contains("The new secret holds"), "{}", done.html);
}

const PAYER: &str = "rechnung@weber.example";

impl At<'_> {
    /// An invoice that is owed by a customer with an address for email, of its page.
    fn owed_by_email(self) -> String {
        let made = self.post(&self.world.page("/customers/new"), &[("name", "Weber"), ("email", PAYER)]);
        let customer = made.to.split('/').nth(4).unwrap().split('?').next().unwrap().to_owned();
        self.owed(&customer, "")
    }
}

impl Shown {
    /// The link that the page shows, which no log line does.
    fn link(&self) -> Option<String> {
        let (_, rest) = self.html.split_once("<code>https://pay.example/p/")?;
        let token = rest.split('<').next().unwrap();
        assert!(token.len() > 100, "{token}");
        assert!(!String::from_utf8(self.line.clone().bytes()).unwrap().contains(token));
        Some(format!("https://pay.example/p/{token}"))
    }
}

#[test]
fn a_portal_link_is_shown_once_sent_once_and_taken_back() {
    let world = world();
    let at = world.at(Role::BillingAdmin);
    let invoice = at.owed_by_email();
    let shown = at.get(&invoice);
    assert!(shown.html.contains("There is no portal link of this invoice."), "{}", shown.html);
    let made = at.post(&invoice, &[KEY, ("do", "email_link")]);
    assert!(made.status == 200 && made.html.contains("The customer was sent a portal link"), "{}", made.html);
    let link = made.link().unwrap();
    let again = at.post(&invoice, &[KEY, ("do", "email_link")]);
    assert_eq!((again.status, again.link().as_ref()), (200, Some(&link)), "a form sent twice");
    let sent = world.mail.sent();
    assert_eq!((sent.len(), sent[0].to.as_str()), (1, PAYER));
    assert!(sent[0].text.contains(&link), "{}", sent[0].text);
    let otherwise = at.post(&invoice, &[KEY, ("do", "copy_link")]);
    assert_eq!((otherwise.status, otherwise.line.outcome), (400, "idempotency_key_reused"));

    let copied = at.post(&invoice, &[("do", "copy_link")]);
    assert!(copied.html.contains("The portal link is ready") && copied.html.contains("Copy the link now."));
    assert_ne!(copied.link().unwrap(), link);
    assert_eq!(world.mail.sent().len(), 1);
    let shown = at.get(&invoice);
    assert_eq!((shown.link(), shown.html.contains("/p/")), (None, false));
    assert_eq!(shown.html.matches(" Issued</span>").count(), 2, "{}", shown.html);
    for left in [1, 0] {
        let shown = at.get(&invoice);
        let revoked = at.post(&invoice, &[("do", "revoke_link"), ("link", shown.value("link"))]);
        assert_eq!(revoked.to, format!("{invoice}?done=link-revoked"), "{}", revoked.html);
        let shown = at.get(&revoked.to);
        assert!(shown.html.contains("The portal link is revoked."));
        assert_eq!(shown.html.matches(" Revoked</span>").count(), 2 - left);
        assert_eq!(shown.html.matches("value=\"revoke_link\"").count(), left);
    }
    assert_eq!(at.post(&invoice, &[("do", "revoke_link"), ("link", "lnk_1")]).status, 404);
    assert_eq!(at.post(&invoice, &[("do", "revoke_link")]).status, 404);
}

#[test]
fn links_are_of_invoices_that_take_payment() {
    let world = world();
    let at = world.at(CONTROLLER);
    let invoice = at.draft();
    let offers = |shown: &Shown| {
        ["email_link", "copy_link"].map(|verb| shown.html.contains(&format!("name=\"do\" value=\"{verb}\"")))
    };
    assert_eq!(offers(&at.get(&invoice)), [false, false], "a draft");
    let refused = at.post(&invoice, &[("do", "copy_link")]);
    assert_eq!((refused.status, refused.line.outcome, refused.link()), (400, "invoice_status", None));
    at.post(&invoice, &[("do", "finalize")]);
    let shown = at.get(&invoice);
    assert_eq!(offers(&shown), [false, true], "the customer has no address");
    assert!(shown.html.contains("The customer has no email address"));
    let made = at.post(&invoice, &[("do", "email_link")]);
    assert!(made.status == 200 && made.link().is_some(), "{}", made.html);
    assert!(made.html.contains("It was not sent") && world.mail.sent().is_empty());
    assert_eq!(at.post(&invoice, &[("do", "uncollectible")]).status, 303);
    assert_eq!(offers(&at.get(&invoice)), [false, true], "money that comes all the same is taken");
    at.post(&invoice, &[("do", "void")]);
    let shown = at.get(&invoice);
    assert_eq!(offers(&shown), [false, false]);
    assert!(shown.html.contains(" Settled</span>") && !shown.html.contains("revoke_link"));

    let many = at.owed_by_email();
    assert_eq!(offers(&at.get(&many)), [true, true]);
    for n in 0..26 {
        assert_eq!(at.post(&many, &[("do", "copy_link")]).status, 200);
        let shown = at.get(&many);
        assert_eq!(shown.html.matches(" Issued</span>").count(), (n + 1).min(25));
        assert_eq!(shown.html.contains("There are older ones"), n == 25);
    }
}

#[test]
fn who_may_not_make_links_sees_them_and_no_button() {
    let world = world();
    let invoice = world.at(CONTROLLER).owed_by_email();
    world.at(CONTROLLER).post(&invoice, &[("do", "copy_link")]);
    for role in [Role::Cfo, Role::Compliance, Role::Viewer] {
        let shown = world.at(role).get(&invoice);
        assert!(shown.status == 200 && shown.html.contains(" Issued</span>"), "{role:?}");
        assert!(!shown.html.contains("_link\""), "{role:?}");
        for verb in ["email_link", "copy_link", "revoke_link"] {
            let link = "lnk_00000000000000000000000000";
            let refused = world.at(role).post(&invoice, &[("do", verb), ("link", link)]);
            assert_eq!((refused.status, refused.line.outcome), (403, "forbidden"), "{role:?} {verb}");
        }
    }
    let at = At { site: "cross-site", ..world.at(CONTROLLER) };
    assert_eq!(at.post(&invoice, &[("do", "email_link")]).line.outcome, "foreign_form");
    let stranger = At { who: Some((CONTROLLER, 1)), ..world.at(CONTROLLER) };
    assert_eq!(stranger.post(&invoice, &[("do", "email_link")]).status, 404);
    assert_eq!((world.mail.sent().len(), world.audited("portal_link.email")), (0, 0));
}

#[test]
fn a_link_that_was_not_sent_is_sent_again_once() {
    let world = world();
    let at = world.at(CONTROLLER);
    let invoice = at.owed_by_email();
    // A call after the other fails, until none is left: the email's is among them.
    for call in 0.. {
        let fields = [("idempotency_key", format!("k{call}.email-link")), ("do", "email_link".to_owned())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        let before = world.mail.sent().len();
        world.faults.plan(call, plixo_testing::Fault::Refuses);
        let failed = at.post(&invoice, &fields);
        world.faults.clear();
        if failed.status == 200 {
            assert!(call > 10, "{call}");
            break;
        }
        assert_eq!((failed.status, failed.link()), (503, None), "{call}: {}", failed.html);
        assert!(failed.html.contains("Send it again"), "{call}");
        let again = at.post(&invoice, &fields.map(|(name, _)| (name, failed.value(name))));
        assert!(again.status == 200 && again.link().is_some(), "{call}: {}", again.html);
        let sent = world.mail.sent().len() - before;
        assert!((1..=2).contains(&sent), "{call}: {sent}");
    }
}

const RESTRICTED: &str = "rk_test_51CanaryCanaryCanaryA1b2";

#[test]
fn a_stripe_account_is_connected_by_a_key_that_is_never_sent_back() {
    let world = world();
    let (at, page) = (world.at(Role::BillingAdmin), world.page("/integrations"));
    let held = || format!("{:?}", world.stripe_keys.dump());
    let shown = at.get(&page);
    assert!(
        shown.html.contains("Not connected") && shown.html.contains("Secret keys, sk_…"),
        "{}",
        shown.html
    );
    let field = shown.html.split("name=\"restricted_key\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(field.contains("type=\"password\"") && field.contains("autocomplete=\"off\""), "{field}");
    assert!(!shown.html.contains("value=\"disconnect\""));

    for wrong in ["sk_live_51CanaryCanaryCanaryA1b2", "rk_live_", ""] {
        let refused = at.post(&page, &[("do", "connect"), ("restricted_key", wrong)]);
        assert_eq!(refused.status, 400, "{wrong}");
        assert!(
            refused.error("restricted_key").starts_with("Has to be a restricted key"),
            "{}",
            refused.html
        );
        assert!(!refused.html.contains("Canary"), "{}", refused.html);
    }
    let expired = "rk_live_51CanaryExpiredCanary";
    world.stripe.refuse(expired);
    let refused = at.post(&page, &[("do", "connect"), ("restricted_key", expired)]);
    assert!(refused.status == 400 && refused.error("restricted_key").starts_with("Stripe does not take it"));
    assert!(!refused.html.contains("Canary") && refused.html.contains("Not connected"), "{}", refused.html);
    let fields = [KEY, ("do", "connect"), ("restricted_key", RESTRICTED)];
    for call in 0..5 {
        world.faults.plan(call, plixo_testing::Fault::Refuses);
        let failed = at.post(&page, &fields);
        assert_eq!(failed.status, 503, "{call}");
        assert!(!failed.html.contains("Canary") && failed.html.contains("Go back"), "{}", failed.html);
    }
    world.faults.clear();
    for _ in 0..2 {
        assert_eq!(at.post(&page, &fields).to, format!("{page}?done=connected"));
    }
    assert!(held().contains(RESTRICTED), "{}", held());
    let shown = at.get(&format!("{page}?done=connected"));
    assert!(
        shown.html.contains("rk_test_…A1b2") && shown.html.contains("15 Jun 2026, 12:00"),
        "{}",
        shown.html
    );
    assert!(shown.html.contains("Disconnect the Stripe account?") && !shown.html.contains("Canary"));
    let other = [("do", "connect"), ("restricted_key", "rk_live_51OtherOtherOtherC3d4")];
    assert_eq!(at.post(&page, &other).status, 303);
    // The key before is kept for a day, for the sessions that it made.
    let entry = |held: String| serde_json::from_str::<serde_json::Value>(&held).unwrap()["key"].clone();
    let key = || world.stripe_keys.dump().into_values().map(entry).collect::<Vec<_>>();
    assert!(at.get(&page).html.contains("rk_live_…C3d4"));
    assert_eq!(key(), ["rk_live_51OtherOtherOtherC3d4"]);
    assert_eq!(at.post(&page, &[("do", "disconnect")]).to, format!("{page}?done=disconnected"));
    assert!(at.get(&page).html.contains("Not connected"));
    assert_eq!(key(), [serde_json::Value::Null]);
}

#[test]
fn who_may_not_connect_a_stripe_account_does_not() {
    let world = world();
    let page = world.page("/integrations");
    let fields = |verb| [("do", verb), ("restricted_key", RESTRICTED)];
    for role in [Role::Cfo, Role::Compliance, Role::Viewer] {
        for verb in ["connect", "disconnect"] {
            let refused = world.at(role).post(&page, &fields(verb));
            assert_eq!((refused.status, refused.line.outcome), (403, "forbidden"), "{role:?} {verb}");
        }
    }
    let foreign = At { site: "cross-site", ..world.at(CONTROLLER) }.post(&page, &fields("connect"));
    assert_eq!(foreign.line.outcome, "foreign_form");
    let stranger = At { who: Some((CONTROLLER, 1)), ..world.at(CONTROLLER) };
    assert_eq!(stranger.post(&page, &fields("connect")).status, 404);
    assert!(world.stripe_keys.dump().is_empty());
}

#[test]
fn the_audit_log_is_narrowed_by_what_was_typed() {
    let world = world();
    let at = world.at(Role::Compliance);
    world.at(CONTROLLER).draft();
    let audit = world.page("/audit");
    let shown = at.get(&audit);
    assert!(
        shown.html.contains("invoice.<wbr>create") && shown.html.contains("customer.<wbr>create"),
        "{}",
        shown.html
    );
    let shown = at.get(&format!("{audit}?from=2026-06-15&to=2026-06-15&action=customer."));
    assert!(!shown.html.contains("invoice.<wbr>create") && shown.html.contains("customer.<wbr>create"));
    assert!(!at.get(&format!("{audit}?from=2026-06-16")).html.contains("customer.<wbr>create"));
    let wrong = at.get(&format!("{audit}?from=yesterday"));
    assert_eq!((wrong.status, wrong.error("from")), (400, "Enter a day, such as 2026-11-21"));
    let wrong = at.get(&format!("{audit}?from=2026-06-16&to=2026-06-15"));
    assert!(wrong.status == 400 && !wrong.error("to").is_empty());
}

#[test]
fn an_empty_part_of_the_audit_log_is_not_its_end() {
    let world = world();
    let at = world.at(Role::Compliance);
    world.write("invoice.update", ago(15), "inv_old", &["memo"]);
    let audit = format!("{}?action=invoice.update", world.page("/audit"));
    let shown = at.get(&audit);
    assert!(!shown.html.contains("inv_old") && !shown.html.contains("No entry fits"), "{}", shown.html);
    assert!(shown.html.contains("Nothing in this part") && shown.html.contains("datetime=\"2026-06-02\""));
    let (_, next) = shown.html.split_once("rel=\"next\" href=\"").expect("a next page");
    let next = next.split('"').next().unwrap().replace("&#38;", "&");
    let shown = at.get(&next);
    assert!(shown.html.contains("inv_old"), "{}", shown.html);
    // To the organisation's first day, and no further.
    let (mut next, mut parts) = (audit.replace("update", "nothing"), 0);
    loop {
        let shown = at.get(&next);
        parts += 1;
        match shown.html.split_once("rel=\"next\" href=\"") {
            Some((_, rest)) => next = rest.split('"').next().unwrap().replace("&#38;", "&"),
            None => break assert!(shown.html.contains("No entry fits"), "{}", shown.html),
        }
    }
    assert_eq!(parts, 6, "81 days, 14 a part");
}

#[test]
fn the_history_of_an_invoice_is_one_look_and_ends_with_no_day() {
    let world = world();
    let invoice = world.at(CONTROLLER).draft();
    let id = invoice.rsplit('/').next().unwrap();
    world.write("invoice.uncollectible", ago(70), id, &["status"]);
    for _ in 0..120 {
        world.write("invoice.read", ago(20), id, &[]);
    }
    world.write("invoice.update", ago(1), id, &["allocations"]);
    world.write("invoice.update", ago(1), id, &["due_on", "memo"]);
    for role in [Role::Cfo, CONTROLLER, Role::Compliance] {
        let (lists, members) = (world.audited("audit.list"), world.audited("member.list"));
        let shown = world.at(role).get(&invoice);
        let html = &shown.html;
        assert!(
            html.contains("gave the invoice up") && html.contains("The provider</bdi> told of a payment")
        );
        assert!(html.contains("changed the draft: due on, memo") && !html.contains("draft: allocations"));
        assert!(html.contains("controller0<wbr>@example.com</bdi> wrote the draft"), "{html}");
        assert_eq!((world.audited("audit.list"), world.audited("member.list")), (lists + 1, members));
        let shown = world.at(role).get(&format!("{}?object={id}", world.page("/audit")));
        assert!(
            shown.html.contains("invoice.<wbr>read") && shown.html.contains("rel=\"next\""),
            "{}",
            shown.html
        );
        let shown = world.at(role).get(&format!("{}?action=invoice.create", world.page("/audit")));
        assert!(shown.html.contains("controller0<wbr>@example.com"), "{role:?}: {}", shown.html);
    }
}

#[test]
fn without_an_api_a_page_is_not_there() {
    let world = World { console: Console::new(entropy), ..world() };
    let shown = world.at(CONTROLLER).get(&world.page("/invoices"));
    assert_eq!((shown.status, shown.line.outcome), (404, "api_missing"));
}

/// What is typed of a source of Xero's.
const SOURCE: [(&str, &str); 7] = [
    ("do", "connect_source"),
    ("kind", "xero"),
    ("name", "Books of ours"),
    ("account", TENANT),
    ("client_id", "client"),
    ("client_secret", "canary-secret"),
    ("refresh_token", "canary-refresh"),
];

#[test]
fn a_kind_of_source_is_chosen_first_and_its_form_asks_what_it_needs() {
    let world = world();
    let (at, page) = (world.at(Role::BillingAdmin), world.page("/integrations"));
    assert!(!at.get(&page).html.contains("name=\"client_id\""), "nothing is asked before");
    for (kind, told, account, more) in [
        ("xero", "developer.xero.com", TENANT, vec![("refresh_token", "")]),
        ("quickbooks", "OAuth 2.0 Playground", "1185883450", vec![("refresh_token", "canary-refresh")]),
        (
            "business_central",
            "Microsoft Entra Applications",
            "b18aed47-c385-49d2-b954-dbdf8ad71780",
            vec![("tenant", "contoso.com"), ("environment", "production")],
        ),
    ] {
        let form = at.get(&format!("{page}?source={kind}"));
        assert!(form.html.contains(told) && form.html.contains("name=\"client_secret\""), "{kind}");
        for name in ["refresh_token", "tenant", "environment"] {
            let is_asked = more.iter().any(|(own, _)| *own == name);
            assert_eq!(form.html.contains(&format!("id=\"source-{name}\"")), is_asked, "{kind} {name}");
        }
        let mut fields = vec![
            ("do", "connect_source"),
            ("kind", kind),
            ("name", told),
            ("account", account),
            ("client_id", "client"),
            ("client_secret", "canary-secret"),
        ];
        fields.extend(more);
        let made = at.post(&page, &fields);
        assert_eq!(made.to, format!("{page}?done=source"), "{kind}: {}", made.html);
        let shown = at.get(&format!("{page}?done=source"));
        assert!(
            shown.html.contains("The data source is connected.") && shown.html.contains(account),
            "{kind}"
        );
        assert!(!shown.html.contains("canary"));
    }
    assert_eq!(world.sources.dump().len(), 3);
}

#[test]
fn what_is_wrong_with_a_source_stands_beside_its_field_and_no_secret_is_sent_back() {
    let world = world();
    let (at, page) = (world.at(Role::BillingAdmin), world.page("/integrations"));
    let typed = |name: &str, value: &'static str| {
        SOURCE.map(|(own, before)| (own, if own == name { value } else { before }))
    };
    for (name, value, told) in [
        ("name", "", "Has to be 1 to 100 characters"),
        ("account", "1185883450", "Has to be the id of a Xero tenant"),
        ("client_id", "a b", "Has to be 1 to 512"),
        ("client_secret", "", "Has to be 1 to 512"),
    ] {
        let wrong = at.post(&page, &typed(name, value));
        assert_eq!(wrong.status, 400, "{name}");
        assert!(wrong.error(&format!("source-{name}")).starts_with(told), "{name}: {}", wrong.html);
        assert!(!wrong.html.contains("canary"), "{}", wrong.html);
        if name != "name" {
            assert!(wrong.html.contains("value=\"Books of ours\""), "what was typed is there");
        }
    }
    let refused = plixo_erp::ErpError::Refused("invalid_grant".to_owned());
    world.erp.looks("canary-secret", Err(refused));
    let wrong = at.post(&page, &SOURCE);
    assert!(
        wrong.status == 400 && wrong.error("source-refresh_token").starts_with("Is refused"),
        "{}",
        wrong.html
    );
    assert!(!wrong.html.contains("canary"), "{}", wrong.html);
    world.erp.looks("canary-secret", Err(plixo_erp::ErpError::Unavailable("it is night there".to_owned())));
    let failed = at.post(&page, &SOURCE);
    assert!(failed.status == 503 && !failed.html.contains("canary"), "{}", failed.html);
    world.erp.looks("canary-secret", Ok(None));
    assert_eq!(at.post(&page, &SOURCE).status, 303);
    let twice = at.post(&page, &SOURCE);
    assert!(twice.html.contains("connected already") && !twice.html.contains("canary"), "{}", twice.html);
}

#[test]
fn a_source_is_connected_again_and_disconnected() {
    let world = world();
    let (at, page) = (world.at(Role::BillingAdmin), world.page("/integrations"));
    assert_eq!(at.post(&page, &SOURCE).status, 303);
    let shown = at.get(&page);
    assert!(shown.html.contains("Disconnect this data source?") && !shown.html.contains("canary"));
    let id = shown.value("source").to_owned();
    let again = |secret: &'static str| {
        at.post(
            &page,
            &[
                ("do", "reconnect_source"),
                ("source", &id),
                ("client_id", "client"),
                ("client_secret", secret),
                ("refresh_token", "canary-next"),
            ],
        )
    };
    world.erp.looks("canary-bad", Err(plixo_erp::ErpError::Refused("403".to_owned())));
    let wrong = again("canary-bad");
    assert!(wrong.error(&format!("client_secret-{id}")).starts_with("Is refused"), "{}", wrong.html);
    assert!(!wrong.html.contains("canary"));
    assert!(!again("").error(&format!("client_secret-{id}")).is_empty());
    assert_eq!(again("canary-good").to, format!("{page}?done=source-again"));
    assert!(world.sources.dump()[&id].contains("canary-good"));
    for role in [Role::Cfo, Role::Compliance, Role::Viewer] {
        let fields = [("do", "disconnect_source"), ("source", id.as_str())];
        assert_eq!(world.at(role).post(&page, &fields).status, 403, "{role:?}");
    }
    let gone = at.post(&page, &[("do", "disconnect_source"), ("source", &id)]);
    assert_eq!(gone.to, format!("{page}?done=source-gone"));
    assert!(!at.get(&page).html.contains("Books of ours"));
    assert!(!format!("{:?}", world.sources.dump()).contains("canary"));
}

#[test]
fn a_source_that_is_refused_has_to_be_connected_again() {
    let world = world();
    let (at, page) = (world.at(Role::BillingAdmin), world.page("/integrations"));
    assert_eq!(at.post(&page, &SOURCE).status, 303);
    assert!(!at.get(&page).html.contains("Has to be connected again"));
    let id: plixo_domain::id::SourceId = at.get(&page).value("source").parse().unwrap();
    let store = Store::new(world.tables.clone(), world.kms.clone(), entropy);
    let mut book = Book::default();
    let key = RowKey::DataSource(id);
    for (name, stored) in block_on(store.read(&world.orgs[0], vec![key])).unwrap() {
        book.learn(name, stored);
    }
    let row = book.get::<plixo_domain::source::DataSource>(&id).unwrap().unwrap().clone();
    book.put(plixo_domain::source::DataSource { refused_at: Some(ago(1)), ..row }).unwrap();
    block_on(store.commit(&world.orgs[0], &book, None, &[], ago(1))).unwrap();
    let shown = at.get(&page);
    assert!(shown.html.contains("Has to be connected again") && shown.html.contains("14 Jun 2026, 12:00"));
}
