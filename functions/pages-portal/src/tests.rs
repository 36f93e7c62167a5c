mod race;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use plixo_domain::audit::{Actor, ActorKind, AuditEvent, Outcome};
use plixo_domain::id::{CustomerId, Ids, InvoiceId, LinkId, OrgId, from_bytes};
use plixo_domain::ledger::staff::{NewInvoice, create_invoice, finalize_invoice, set_logo, void_invoice};
use plixo_domain::ledger::{
    Address, Book, Customer, Invoice, Kept, Logo, LogoHash, Organisation, PaymentNews, PaymentPart, Personal,
    PortalLink, Private, Residency, RowKey, Stage, Stamp, StripeAccount, StripeKeyEntry, Unread, Witness,
    make_link, revoke_link, settle_link, tell_payment,
};
use plixo_domain::secret::Secret;
use plixo_domain::webhook::{ExternalRef, Provider};
use plixo_links::{Claims, Keyring, Purpose};
use plixo_portal::cashier::fingerprint;
use plixo_testing::{
    FakeKms, FakeMail, FakeStripe, FakeTables, FakeVault, Fault, Faults, audit_log, entropy,
};
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "plixo/link-keys";
const KEYS: &str = r#"{"v":1,"key":"0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"}"#;
const STRIPE_KEY: &str = "rk_test_51CanaryKeyCanaryKey";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn start() -> Timestamp {
    "2026-11-28T09:00:00Z".parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

type Faked = Portal<FakeTables, FakeKms, FakeVault, FakeStripe, FakeMail>;

/// An organisation with a Stripe account, and an open invoice of 119.00 EUR.
#[derive(Clone)]
struct World {
    tables: FakeTables,
    kms: FakeKms,
    vault: FakeVault,
    stripe: FakeStripe,
    mail: FakeMail,
    org: OrgId,
    customer: CustomerId,
    invoice: InvoiceId,
}

/// A browser: what it was told to keep.
#[derive(Debug, Clone, Default)]
struct Browser {
    cookies: Vec<(String, String)>,
}

struct Answer {
    status: u16,
    body: String,
    headers: Value,
    cookies: Vec<String>,
    line: Line,
}

impl Answer {
    fn to(&self) -> &str {
        self.headers["location"].as_str().unwrap_or_default()
    }
}

fn staff() -> Actor {
    Actor { kind: ActorKind::Member, id: "mem_1".to_owned(), role: Some("controller".to_owned()) }
}

impl World {
    fn new() -> Self {
        let (tables, kms, vault) = (FakeTables::default(), FakeKms::default(), FakeVault::default());
        vault.put(SECRET, KEYS.to_owned());
        let mut ids = Ids::new(start(), [1; 10]);
        let (org, customer): (OrgId, CustomerId) = (ids.make(), ids.make());
        vault.put(&org.to_string(), json!({"v": 1, "key": STRIPE_KEY}).to_string());
        let mut book = Book::default();
        let (name, settings) = ("Nordlicht & Söhne".to_owned(), Default::default());
        let controllers = BTreeSet::new();
        book.put_new(Organisation {
            id: org,
            name,
            residency: Residency::Eu,
            controllers,
            settings,
            logo: None,
            closed: None,
        });
        let address = Address {
            line1: "Canary Road 1".to_owned(),
            line2: None,
            city: "Hamburg".to_owned(),
            postal_code: "20095".to_owned(),
            country: "DE".to_owned(),
        };
        let personal = Personal {
            name: Some("Canary Customer".to_owned()),
            email: Some("canary@customer.example".to_owned()),
            address: Some(address),
            ..Personal::default()
        };
        book.put_new(Customer::new(customer, personal));
        book.put_new(account(STRIPE_KEY));
        let store = Store::new(tables.clone(), kms.clone(), entropy);
        block_on(async {
            store.create_data_key(&org, &kms).await.unwrap();
            store.commit(&org, &book, None, &[], start()).await.unwrap();
        });
        let stripe = FakeStripe::default();
        let (mail, invoice) = (FakeMail::default(), from_bytes([0; 16]));
        let mut world = Self { tables, kms, vault, stripe, mail, org, customer, invoice };
        world.invoice = world.bill(10_000);
        world
    }

    /// The same world, whose calls go wrong as planned, with contents of its own; nothing was made at Stripe before.
    fn fork(&self, faults: &Faults) -> Self {
        let vault = FakeVault::new(faults.clone());
        self.vault.dump().into_iter().for_each(|(name, value)| vault.put(&name, value));
        Self {
            tables: self.tables.fork(faults.clone()),
            kms: self.kms.with(faults.clone()),
            vault,
            stripe: FakeStripe::new(faults.clone()),
            mail: FakeMail::new(faults.clone()),
            ..self.clone()
        }
    }

    fn store(&self) -> Store<FakeTables, FakeKms> {
        Store::new(self.tables.clone(), self.kms.clone(), entropy)
    }

    fn portal(&self) -> Faked {
        Portal {
            store: self.store(),
            keys: LinkKeys::new(self.vault.clone(), SECRET.to_owned()),
            cashier: Cashier::new(self.vault.clone(), self.stripe.clone()),
            mail: self.mail.clone(),
            place: Place {
                base_url: Some("https://pay.example".to_owned()),
                checkout_origin: FakeStripe::ORIGIN.to_owned(),
            },
            entropy,
        }
    }

    /// Changes rows as functions of staff and of providers do.
    fn change<R>(&self, now: Timestamp, work: impl Fn(&mut Book) -> Result<R, Vec<RowKey>>) -> R {
        block_on(self.changing(now, work))
    }

    async fn changing<R>(&self, now: Timestamp, work: impl Fn(&mut Book) -> Result<R, Vec<RowKey>>) -> R {
        let store = self.store();
        for _ in 0..100 {
            let mut book = Book::default();
            let done = loop {
                match work(&mut book) {
                    Ok(done) => break done,
                    Err(names) => {
                        for (name, stored) in store.read(&self.org, names).await.unwrap() {
                            book.learn(name, stored);
                        }
                    }
                }
            };
            if book.changes().next().is_none() && book.removals().next().is_none() {
                return done;
            }
            match store.commit(&self.org, &book, None, &[], now).await {
                Ok(()) => return done,
                Err(plixo_store::CommitError::Conflict) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("others changed the rows again and again");
    }

    /// Another key, as staff connect it.
    fn reconnect(&self, key: &str) {
        let name = self.org.to_string();
        let held: StripeKeyEntry = serde_json::from_str(&self.vault.dump()[&name]).unwrap();
        let entry = held.replaced(Some(Secret::new(key.to_owned())), start());
        self.vault.put(&name, serde_json::to_string(&entry).unwrap());
        self.change(start(), |book| {
            book.get::<StripeAccount>(&()).map_err(|Unread(names)| names)?;
            book.put(account(key)).map_err(|Unread(names)| names)
        });
    }

    /// Another invoice, of so much before tax.
    fn bill(&self, net: i64) -> InvoiceId {
        let order: NewInvoice = NewInvoice {
            number: None,
            customer_id: self.customer,
            lines: vec![line(net)],
            memo: Some("Vielen Dank!".to_owned()),
            due_on: Some("2026-12-03".parse().unwrap()),
        };
        self.change(start(), |book| {
            let mut ids = Ids::new(start(), [u8::try_from(net % 251).unwrap(); 10]);
            let made = create_invoice(book, order.clone(), &mut ids).map_err(unread)?;
            finalize_invoice(book, &made.id, &staff(), "2026-11-28".parse().unwrap()).map_err(unread)?;
            Ok(made.id)
        })
    }

    fn link(&self, n: u8, lives: SignedDuration) -> LinkId {
        let id = from_bytes([n; 16]);
        self.change(start(), |book| {
            book.learn(PortalLink::key(&id), None);
            make_link(book, (id, self.invoice), lives, &staff(), start()).map_err(unread).map(|made| made.id)
        })
    }

    fn token(&self, link: &LinkId) -> String {
        let (org, invoice, link) = (self.org, self.invoice, *link);
        let expires_at = self.row::<PortalLink>(&link).unwrap().expires_at;
        let claims = Claims { purpose: Purpose::Link, org, invoice, link, expires_at };
        keyring().sign(&claims, start()).unwrap().reveal().to_owned()
    }

    fn row<R: Kept + Clone>(&self, name: &R::Name) -> Option<R> {
        let rows = block_on(self.store().read(&self.org, vec![R::key(name)])).unwrap();
        rows.into_iter().find_map(|(_, stored)| stored).and_then(|(row, _)| R::of(&row).cloned())
    }

    fn owed(&self) -> Invoice {
        self.row(&self.invoice).unwrap()
    }

    /// Has a provider tell of money that names the invoice.
    async fn hear(&self, name: &str, amount: i64, stage: Stage, at: i64) {
        self.hear_of(Witness::Intent, name, amount, stage, at).await;
    }

    async fn hear_of(&self, witness: Witness, name: &str, amount: i64, stage: Stage, at: i64) {
        let reference = ExternalRef { provider: Provider::Stripe, id: name.parse().unwrap() };
        let news = PaymentNews {
            reference,
            stamp: Stamp { at, event: format!("evt_{name}_{at}_{witness:?}") },
            currency: "EUR".parse().unwrap(),
            parts: vec![
                PaymentPart::Money { witness, stage, amount, since: at },
                PaymentPart::Names { witness, invoice: self.invoice },
            ],
            customer: None,
        };
        self.tell(&news).await;
    }

    async fn refund(&self, name: &str, amount: i64, at: i64) {
        let reference = ExternalRef { provider: Provider::Stripe, id: name.parse().unwrap() };
        let parts = vec![PaymentPart::RefundedTotal { amount }];
        let (currency, event) = ("EUR".parse().unwrap(), format!("evt_refund_{name}_{at}"));
        self.tell(&PaymentNews { reference, stamp: Stamp { at, event }, currency, parts, customer: None })
            .await;
    }

    async fn tell(&self, news: &PaymentNews) {
        let by = Actor { kind: ActorKind::Provider, id: "whe_1".to_owned(), role: None };
        self.changing(start(), |book| {
            let mut ids = Ids::new(start(), seed(&news.stamp.event));
            tell_payment(book, news, &by, &mut ids).map(drop).map_err(|Unread(names)| names)
        })
        .await;
    }

    fn audit(&self) -> Vec<AuditEvent> {
        block_on(audit_log(&self.tables, &self.kms, start()))
    }

    fn told(&self, action: &str) -> Vec<(Outcome, Vec<String>)> {
        let events = self.audit().into_iter().filter(|event| event.action == action);
        events.map(|event| (event.outcome, event.fields)).collect()
    }
}

fn account(key: &str) -> StripeAccount {
    let fingerprint = fingerprint(&Secret::new(key.to_owned()));
    StripeAccount { key_hint: "rk_test_…".to_owned(), connected_at: start(), refused_at: None, fingerprint }
}

fn seed(text: &str) -> [u8; 10] {
    let mut seed = [0; 10];
    for (n, byte) in text.bytes().enumerate() {
        seed[n % 10] ^= byte.rotate_left(u32::try_from(n / 10).unwrap());
    }
    seed
}

fn unread(stopped: plixo_domain::ledger::staff::Stopped) -> Vec<RowKey> {
    match stopped {
        plixo_domain::ledger::staff::Stopped::Unread(names) => names.into_iter().collect(),
        stopped => panic!("{stopped:?}"),
    }
}

fn line(net: i64) -> plixo_domain::ledger::Line {
    serde_json::from_value(json!({"description": "Beratung", "quantity": "1",
        "unit_price": {"amount": net, "currency": "EUR"}, "tax_percent": "19"}))
    .unwrap()
}

fn keyring() -> Keyring {
    Keyring::read(&Secret::new(KEYS.to_owned())).unwrap()
}

impl Browser {
    fn request(&self, route: &str, token: Option<&str>, query: &str, headers: &[(&str, &str)]) -> Request {
        let (_, path) = route.split_once(' ').unwrap();
        let path = path.replace("{token}", token.unwrap_or_default());
        let mut all = serde_json::Map::new();
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))));
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let named = token.map_or_else(|| json!({}), |token| json!({"token": token}));
        serde_json::from_value(json!({
            "headers": all, "cookies": cookies, "pathParameters": named, "rawPath": path,
            "rawQueryString": query, "isBase64Encoded": false,
            "requestContext": {"requestId": "r1", "routeKey": route, "domainName": "gateway.example",
                "http": {"sourceIp": "203.0.113.7", "userAgent": "test"}},
        }))
        .unwrap()
    }

    async fn go(
        &mut self,
        portal: &Faked,
        now: Timestamp,
        route: &str,
        token: Option<&str>,
        query: &str,
    ) -> Answer {
        self.go_with(portal, now, (route, token, query), &[]).await
    }

    async fn go_with(
        &mut self,
        portal: &Faked,
        now: Timestamp,
        (route, token, query): (&str, Option<&str>, &str),
        headers: &[(&str, &str)],
    ) -> Answer {
        let request = self.request(route, token, query, headers);
        let line = Line { timestamp: now, ..Line::default() };
        let (response, line) = portal.handle(&request, line).await;
        let shown = serde_json::to_value(&response).unwrap();
        let cookies: Vec<String> = serde_json::from_value(shown["cookies"].clone()).unwrap_or_default();
        for cookie in &cookies {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(own, _)| own != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        // Whatever happens, no log line holds a token, a cookie or a key.
        let logged = String::from_utf8(line.bytes()).unwrap();
        let secrets = self.cookies.iter().map(|(_, value)| value.as_str()).chain(token).chain([STRIPE_KEY]);
        for secret in secrets.filter(|secret| secret.len() > 20) {
            assert!(!logged.contains(secret), "{logged}");
        }
        let body = response.body().to_owned();
        Answer { status: response.status(), body, headers: shown["headers"].clone(), cookies, line }
    }

    fn get(&mut self, world: &World, now: Timestamp, token: &str) -> Answer {
        block_on(self.go(&world.portal(), now, DOOR, Some(token), ""))
    }

    fn open(&mut self, world: &World, now: Timestamp, token: &str) -> Answer {
        block_on(self.go(&world.portal(), now, OPEN, Some(token), ""))
    }

    fn look(&mut self, world: &World, now: Timestamp, query: &str) -> Answer {
        block_on(self.go(&world.portal(), now, SESSION, None, query))
    }

    fn pay(&mut self, world: &World, now: Timestamp) -> Answer {
        block_on(self.go(&world.portal(), now, CHECKOUT, None, ""))
    }
}

/// A browser that has opened a link.
fn inside(world: &World) -> (Browser, String) {
    let token = world.token(&world.link(7, HOUR));
    let mut browser = Browser::default();
    browser.get(world, start(), &token);
    let opened = browser.open(world, start(), &token);
    assert_eq!((opened.status, opened.to()), (303, "/p/session"), "{}", opened.body);
    (browser, token)
}

#[test]
fn a_payer_opens_the_link_sees_the_invoice_pays_and_sees_that_it_is_paid() {
    let world = World::new();
    let token = world.token(&world.link(7, HOUR));
    let mut browser = Browser::default();
    let door = browser.get(&world, start(), &token);
    assert_eq!(door.status, 200);
    assert!(
        door.body.contains(&format!(r#"action="/p/{token}""#)) && door.body.contains("Nordlicht &#38; Söhne")
    );
    assert!(!door.body.contains("119") && !door.body.contains("Canary"), "it shows nothing of the invoice");
    let opened = browser.open(&world, start(), &token);
    assert_eq!((opened.status, opened.to()), (303, "/p/session"));
    let cookie = &opened.cookies[0];
    assert!(cookie.starts_with("__Host-plixo-portal="), "{cookie}");
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"));
    let page = browser.look(&world, start(), "");
    assert_eq!(page.status, 200);
    for text in ["Beratung", "Vielen Dank!", "EUR 119.00", "Due in 5 days", "/p/session/checkout"] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(!page.body.contains("Canary"), "neither the customer's name nor address");
    let sent = browser.pay(&world, later(60));
    assert_eq!((sent.status, sent.to()), (303, "https://checkout.stripe.example/cs_0000"));
    let paid = world.stripe.pay(sent.to(), false).unwrap();
    assert_eq!(paid.amount.amount, 11_900);
    let waits = browser.look(&world, later(70), "paid");
    assert_eq!(waits.headers["refresh"], "5");
    assert!(!waits.body.contains("/p/session/checkout"), "no second button");
    block_on(world.hear("pi_0000", 11_900, Stage::Received, 1_800_000_000));
    let done = browser.look(&world, later(75), "paid");
    assert_eq!((done.status, done.headers.get("refresh")), (200, None));
    assert!(!done.body.contains("/p/session/checkout"));
    assert_eq!(browser.pay(&world, later(80)).to(), "/p/session");
    assert_eq!(world.stripe.sessions().len(), 1);
    let gone = Browser::default().get(&world, later(80), &token);
    assert_eq!(gone.status, 410);
}

#[test]
fn pages_speak_the_payers_language_and_tell_no_referrer() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    let token = world.token(&world.link(8, HOUR));
    for (route, token, words) in [(SESSION, None, "119,00 €"), (DOOR, Some(token.as_str()), "Link")] {
        let german = [("accept-language", "de-AT,de;q=0.9,en;q=0.5")];
        let answer = block_on(browser.go_with(&world.portal(), start(), (route, token, ""), &german));
        assert_eq!(answer.status, 200);
        assert!(
            answer.body.contains(r#"<html lang="de">"#) && answer.body.contains(words),
            "{}",
            answer.body
        );
        let policy = answer.headers["content-security-policy"].as_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("form-action 'self' https://checkout.stripe.example;"), "{policy}");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    }
}

/// Asks for a path as a browser does.
fn logo(portal: &Faked, org: &str, file: &str) -> Answer {
    let request: Request = serde_json::from_value(json!({
        "pathParameters": {"org": org, "file": file}, "rawPath": format!("/logos/{org}/{file}"),
        "requestContext": {"requestId": "r1", "routeKey": LOGO, "http": {"sourceIp": "203.0.113.7"}},
    }))
    .unwrap();
    let line = Line { timestamp: start(), ..Line::default() };
    let (response, line) = block_on(portal.handle(&request, line));
    let shown = serde_json::to_value(&response).unwrap();
    let body = response.body().to_owned();
    let is_image = shown["isBase64Encoded"] == true;
    assert_eq!(is_image, response.status() == 200, "{shown}");
    Answer { status: response.status(), body, headers: shown["headers"].clone(), cookies: Vec::new(), line }
}

#[test]
fn a_logo_is_on_every_page_and_is_served_to_be_kept() {
    let world = World::new();
    let hash = |n| LogoHash::of([n; 32]);
    let set = |logo: Option<Logo>| world.change(start(), |book| set_logo(book, logo.clone()).map_err(unread));
    let (used, shown) = (world.token(&world.link(1, HOUR)), world.token(&world.link(2, HOUR)));
    assert!(Browser::default().get(&world, start(), &used).body.contains("monogram"));
    set(Some(Logo { hash: hash(7), png: b"image".to_vec() }));
    let org = world.org.to_string();
    let image = format!("<img class=\"logo-image\" src=\"/logos/{org}/0707070707070707.png\"");
    let mut browser = Browser::default();
    assert!(browser.get(&world, start(), &used).body.contains(&image), "the door");
    assert_eq!(browser.open(&world, start(), &used).status, 303);
    assert!(browser.look(&world, start(), "").body.contains(&image), "the invoice");
    let gone = Browser::default().get(&world, start(), &used);
    assert!(gone.status == 410 && gone.body.contains(&image) && !gone.body.contains("monogram"));

    let faults = Faults::default();
    let fork = world.fork(&faults);
    let portal = fork.portal();
    let served = logo(&portal, &org, "0707070707070707.png");
    assert_eq!((served.status, served.body.as_str(), faults.calls()), (200, "aW1hZ2U=", 1));
    let headers = [
        ("content-type", "image/png"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    headers.iter().for_each(|(name, value)| assert_eq!(served.headers[name], *value));
    assert_eq!((served.line.org.as_ref(), served.line.outcome), (Some(&org), "done"));

    // Another image's, another organisation's, or none: there is nothing there.
    let other: OrgId = Ids::new(start(), [9; 10]).make();
    for (org, file) in [(&org, "0808080808080808.png"), (&other.to_string(), "0707070707070707.png")] {
        let answer = logo(&portal, org, file);
        assert_eq!((answer.status, answer.line.outcome), (404, "not_found"));
        assert!(answer.headers.get("cache-control").is_none(), "what is not there is not kept");
    }
    let calls = faults.calls();
    let long = "7".repeat(5_000);
    for file in [
        "",
        ".png",
        "0707070707070707",
        "0707070707070707.svg",
        "0707070707070707.png.png",
        "../x.png",
        "070707070707070.png",
        "07070707070707070.png",
        "0A07070707070707.png",
        "070707070707070%37.png",
        &long,
    ] {
        assert_eq!(logo(&portal, &org, file).status, 404, "{file}");
    }
    for org in ["", "org_", "inv_01h2xcejqtf2nbrexx3vqjhp41", &org.to_uppercase(), &format!("{org}0"), &long]
    {
        assert_eq!(logo(&portal, org, "0707070707070707.png").status, 404, "{org}");
    }
    assert_eq!(faults.calls(), calls, "what can be no logo's costs no call");
    faults.plan(0, Fault::Refuses);
    assert_eq!(logo(&portal, &org, "0707070707070707.png").status, 503);

    set(Some(Logo { hash: hash(8), png: b"other".to_vec() }));
    let portal = world.portal();
    assert_eq!(logo(&portal, &org, "0707070707070707.png").status, 404, "the old one");
    assert_eq!(logo(&portal, &org, "0808080808080808.png").body, "b3RoZXI=");
    set(None);
    assert_eq!(logo(&world.portal(), &org, "0808080808080808.png").status, 404);
    assert!(Browser::default().get(&world, start(), &shown).body.contains("monogram"));
}

#[test]
fn looking_changes_nothing_whoever_looks() {
    let world = World::new();
    let token = world.token(&world.link(7, HOUR));
    let before = world.tables.dump();
    let portal = world.portal();
    for (n, route) in [DOOR, DOOR_WITHOUT_BODY].into_iter().cycle().take(1000).enumerate() {
        let agents = ["BarracudaCentral", "SafeLinks", "Slackbot-LinkExpanding 1.0", "GoogleImageProxy"];
        let headers = [("user-agent", agents[n % 4]), ("purpose", "prefetch")];
        let looked =
            block_on(Browser::default().go_with(&portal, start(), (route, Some(&token), ""), &headers));
        assert_eq!(looked.status, 200);
    }
    assert_eq!(world.tables.dump(), before);
    assert_eq!(Browser::default().open(&world, start(), &token).status, 303);
}

#[test]
fn of_fifty_who_open_a_link_at_once_one_does() {
    let world = World::new();
    let token = world.token(&world.link(7, HOUR));
    let portal = world.portal();
    let (portal, token) = (&portal, &token);
    let opened = block_on(async {
        let tries =
            (0..50).map(async |_| Browser::default().go(portal, start(), OPEN, Some(token), "").await);
        let mut all = Vec::new();
        for answer in futures(tries).await {
            all.push(answer);
        }
        all
    });
    let sessions = opened.iter().filter(|answer| answer.status == 303).count();
    let others = opened.iter().filter(|answer| answer.status == 410 && answer.cookies.is_empty()).count();
    assert_eq!((sessions, others), (1, 49));
    let allowed =
        world.told("portal_link.open").into_iter().filter(|(outcome, _)| *outcome == Outcome::Allowed);
    assert_eq!(allowed.count(), 1);
}

async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (work, done) in waiting.iter_mut().filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(output) = work.as_mut().poll(context) {
                *done = Some(output);
            }
        }
        let all = waiting.iter().all(|(_, done)| done.is_some());
        if all { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

#[test]
fn whatever_is_altered_is_forged_and_costs_no_call() {
    let world = World::new();
    let token = world.token(&world.link(7, HOUR));
    let faults = Faults::default();
    let world = world.fork(&faults);
    let portal = world.portal();
    block_on(portal.keys.get(start())).unwrap();
    let warm = faults.calls();
    let mut tried = 0;
    let mut refused = |token: &str| {
        tried += 1;
        let routes = [DOOR, DOOR_WITHOUT_BODY, OPEN, FRESH];
        let route = routes[tried % routes.len()];
        let answer = block_on(Browser::default().go(&portal, start(), route, Some(token), ""));
        assert_eq!((answer.status, answer.line.outcome), (404, "not_found"), "{token}");
        assert!(answer.cookies.is_empty() && !answer.body.contains("Nordlicht"));
    };
    for place in 0..token.len() {
        for bit in 0..8 {
            let mut bytes = token.as_bytes().to_vec();
            bytes[place] ^= 1 << bit;
            refused(&String::from_utf8_lossy(&bytes));
        }
        refused(token.split_at(place).0);
        for more in ["A", "=", " ", "-"] {
            let (before, after) = token.split_at(place);
            refused(&format!("{before}{more}{after}"));
        }
    }
    for more in ["A", "=", "AAAA", "/", "?"] {
        refused(&format!("{token}{more}"));
    }
    refused("session");
    assert_eq!(faults.calls(), warm, "no call was made");
    let answer = block_on(Browser::default().go(&portal, start(), DOOR, Some(&token), ""));
    assert_eq!((answer.status, faults.calls()), (200, warm + 1), "and one for a good one");
}

#[test]
fn a_forged_session_is_none_and_a_links_token_is_no_session() {
    let world = World::new();
    let (browser, token) = inside(&world);
    let session = &browser.cookies.iter().find(|(name, _)| name == "__Host-plixo-portal").unwrap().1;
    for forged in [token.as_str(), "", &session.to_lowercase(), &format!("{session}A")] {
        let cookies = vec![("__Host-plixo-portal".to_owned(), forged.to_owned())];
        let answer = Browser { cookies }.look(&world, start(), "");
        assert_eq!((answer.status, answer.line.outcome), (410, "no_session"), "{forged}");
        assert!(!answer.body.contains("Nordlicht"));
    }
    let as_link = Browser::default().open(&world, start(), session);
    assert_eq!(as_link.status, 404);
}

#[test]
fn each_link_that_opens_nothing_has_its_page() {
    let outcome = |world: &World, now, token: &str| {
        let [looked, opened] =
            [Browser::default().get(world, now, token), Browser::default().open(world, now, token)];
        assert_eq!((looked.status, opened.status), (410, 410), "{}", looked.line.outcome);
        assert_eq!(looked.line.outcome, opened.line.outcome);
        assert!(looked.body.contains("/fresh-link") && opened.body.contains("/fresh-link"));
        assert!(!looked.body.contains("canary@customer.example"));
        looked.line.outcome
    };
    let world = World::new();
    let (_, token) = inside(&world);
    assert_eq!(outcome(&world, start(), &token), "link_used");
    let world = World::new();
    let token = world.token(&world.link(7, HOUR));
    assert_eq!(outcome(&world, later(3600), &token), "link_expired");
    let link = from_bytes([7; 16]);
    world.change(start(), |book| revoke_link(book, &link, start()).map_err(unread));
    assert_eq!(outcome(&world, start(), &token), "link_revoked");
    let world = World::new();
    let token = world.token(&world.link(7, HOUR));
    world.change(start(), |book| void_invoice(book, &world.invoice, start()).map_err(unread));
    assert_eq!(outcome(&world, start(), &token), "link_settled");
}

#[test]
fn an_answer_that_was_lost_does_not_lock_the_payer_out() {
    let world = World::new();
    let token = world.token(&world.link(7, HOUR));
    let mut browser = Browser::default();
    browser.get(&world, start(), &token);
    let lost = browser.clone();
    assert_eq!(browser.open(&world, start(), &token).status, 303);
    assert_eq!(lost.clone().get(&world, later(30), &token).status, 200, "the door is there still");
    let mut again = lost.clone();
    assert_eq!(again.open(&world, later(59), &token).status, 303);
    assert_eq!(again.look(&world, later(59), "").status, 200);
    assert_eq!(lost.clone().open(&world, later(60), &token).status, 410);
    assert_eq!(Browser::default().open(&world, later(30), &token).status, 410, "another browser");
    let fields: Vec<_> = world.told("portal_link.open").into_iter().map(|(_, fields)| fields.len()).collect();
    assert_eq!(fields.iter().sum::<usize>(), 1, "it was used once");
}

#[test]
fn who_is_inside_is_led_in_by_the_used_link() {
    let world = World::new();
    let (mut browser, token) = inside(&world);
    let again = browser.get(&world, later(120), &token);
    assert_eq!((again.status, again.to()), (303, "/p/session"));
}

#[test]
fn a_session_ends_after_half_an_hour_or_when_the_link_is_revoked() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    assert_eq!(browser.look(&world, later(1799), "").status, 200);
    let over = browser.look(&world, later(1800), "");
    assert_eq!((over.status, over.line.outcome), (410, "session_over"));
    assert!(over.body.contains("/p/session/fresh-link"));
    assert_eq!(browser.pay(&world, later(1800)).status, 410);
    let link: LinkId = from_bytes([7; 16]);
    world.change(start(), |book| revoke_link(book, &link, start()).map_err(unread));
    assert_eq!(browser.look(&world, later(10), "").line.outcome, "link_revoked");
    assert_eq!(browser.pay(&world, later(10)).status, 410);
    assert!(world.stripe.sessions().is_empty());
}

#[test]
fn a_fresh_link_goes_to_the_customers_own_address_now_and_then() {
    let world = World::new();
    let (_, token) = inside(&world);
    let ask = |now| block_on(Browser::default().go(&world.portal(), now, FRESH, Some(&token), ""));
    let asked = ask(later(60));
    assert_eq!(asked.status, 200);
    assert!(!asked.body.contains("canary@"));
    let sent = world.mail.sent();
    assert_eq!((sent.len(), sent[0].to.as_str()), (1, "canary@customer.example"));
    let url =
        sent[0].text.lines().find_map(|line| line.trim().strip_prefix("https://pay.example/p/")).unwrap();
    assert_eq!(Browser::default().get(&world, later(61), url).status, 200);
    assert_eq!(ask(later(61)).status, 429);
    assert_eq!(world.mail.sent().len(), 1);
    let unused = block_on(Browser::default().go(&world.portal(), later(61), FRESH, Some(url), ""));
    assert_eq!((unused.status, unused.to()), (303, format!("/p/{url}").as_str()), "it opens still");
    let changes: Vec<_> =
        ["portal_link.ask", "portal_link.create", "portal_link.email"].map(|it| world.told(it).len()).into();
    assert_eq!(changes, [2, 1, 1], "the second asking was denied");
    let by_payer = |event: &AuditEvent| event.actor.kind == ActorKind::Payer;
    assert!(world.audit().iter().all(by_payer));
}

#[test]
fn where_nothing_is_left_to_pay_the_email_says_so() {
    let world = World::new();
    let (_, token) = inside(&world);
    block_on(world.hear("pi_1", 11_900, Stage::Received, 1_800_000_000));
    let asked = block_on(Browser::default().go(&world.portal(), later(60), FRESH, Some(&token), ""));
    assert_eq!(asked.status, 200);
    let sent = world.mail.sent();
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].text.contains("/p/"), "{}", sent[0].text);
}

#[test]
fn without_an_address_the_answer_is_the_same() {
    let world = World::new();
    let (_, token) = inside(&world);
    let asked = block_on(Browser::default().go(&world.portal(), later(60), FRESH, Some(&token), ""));
    let without = World::new();
    let (_, token) = inside(&without);
    without.change(start(), |book| {
        let found = book.get::<Customer>(&without.customer).map_err(|Unread(names)| names)?.unwrap().clone();
        let personal = Private::Plain(Personal { name: Some("Nobody".to_owned()), ..Personal::default() });
        book.put(Customer { personal, ..found }).map_err(|Unread(names)| names)
    });
    let same = block_on(Browser::default().go(&without.portal(), later(60), FRESH, Some(&token), ""));
    assert_eq!((same.status, &same.body), (asked.status, &asked.body));
    assert!(without.mail.sent().is_empty());
}

#[test]
fn forms_of_other_sites_are_refused() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    let foreign: [&[(&str, &str)]; 4] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", "https://pay.example"), ("host", "pay.example")],
        &[("origin", "https://evil.example"), ("host", "pay.example")],
        &[("origin", "ftp://pay.example"), ("host", "pay.example")],
    ];
    for headers in foreign {
        let answer = block_on(browser.go_with(&world.portal(), start(), (CHECKOUT, None, ""), headers));
        assert_eq!((answer.status, answer.line.outcome), (400, "foreign_form"), "{headers:?}");
    }
    assert!(world.stripe.sessions().is_empty());
    let ours: [&[(&str, &str)]; 4] = [
        &[("sec-fetch-site", "same-origin"), ("origin", "null")],
        &[("origin", "null")],
        &[("origin", "https://pay.example"), ("host", "pay.example")],
        &[],
    ];
    for headers in ours {
        let answer = block_on(browser.go_with(&world.portal(), start(), (CHECKOUT, None, ""), headers));
        assert!(answer.to().starts_with(FakeStripe::ORIGIN), "{headers:?}");
    }
}

#[test]
fn who_presses_again_goes_to_the_same_session_until_it_has_expired() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    let first = browser.pay(&world, later(1)).to().to_owned();
    assert_eq!(browser.pay(&world, later(2)).to(), first);
    world.stripe.end("cs_0000");
    let second = browser.pay(&world, later(3));
    assert_eq!(second.to(), "https://checkout.stripe.example/cs_0001");
    assert_eq!(world.owed().checkout.unwrap().attempt, 2);
}

#[test]
fn a_session_of_another_amount_is_ended_first() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    let first = browser.pay(&world, later(1)).to().to_owned();
    block_on(world.hear("pi_bank", 1_900, Stage::Received, 1_800_000_000));
    let second = browser.pay(&world, later(2)).to().to_owned();
    assert_ne!(first, second);
    assert_eq!(world.stripe.pay(&first, false).map(|it| it.amount.amount), None, "nobody can pay there");
    assert_eq!(world.stripe.pay(&second, false).map(|it| it.amount.amount), Some(10_000));
}

#[test]
fn money_on_its_way_is_not_asked_for_twice() {
    for is_debit in [false, true] {
        let world = World::new();
        let (mut browser, _) = inside(&world);
        let url = browser.pay(&world, later(1)).to().to_owned();
        let hear = |witness, stage, at: i64| {
            block_on(world.hear_of(witness, "pi_0000", 11_900, stage, 1_800_000_000 + at))
        };
        // The first card was declined; the second one, or the debit, is of the same money.
        hear(Witness::Intent, Stage::Failed, 0);
        hear(Witness::Charge, Stage::Failed, 0);
        world.stripe.pay(&url, is_debit).unwrap();
        assert_eq!(browser.pay(&world, later(2)).to(), PAID_PAGE);
        for query in ["", "cancelled", "paid"] {
            let page = browser.look(&world, later(3), query).body;
            assert!(
                !page.contains("/p/session/checkout") && !page.contains("Nothing was charged"),
                "{is_debit} {query}"
            );
        }
        let page = browser.look(&world, later(3), "paid");
        assert_eq!(page.headers.get("refresh").is_some(), !is_debit, "a debit takes days");
        hear(Witness::Session, if is_debit { Stage::Pending } else { Stage::Received }, 1);
        if !is_debit {
            assert_eq!(browser.pay(&world, later(4)).to(), "/p/session", "it is paid");
            continue;
        }
        assert_eq!(browser.pay(&world, later(4)).to(), PAID_PAGE);
        hear(Witness::Session, Stage::Failed, 2);
        assert!(browser.look(&world, later(5), "paid").body.contains("/p/session/checkout"));
        let again = browser.pay(&world, later(5));
        assert_eq!(
            again.to(),
            "https://checkout.stripe.example/cs_0001",
            "it failed, and may be tried again"
        );
    }
}

#[test]
fn the_button_of_one_links_page_pays_no_other_links_invoice() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    let page = browser.look(&world, start(), "").body;
    let form = page.split("/p/session/checkout?").nth(1).unwrap().split('"').next().unwrap().to_owned();
    // The same browser opens another link in another tab.
    let token = world.token(&world.link(8, HOUR));
    assert_eq!(browser.open(&world, start(), &token).status, 303);
    let pressed = block_on(browser.go(&world.portal(), start(), CHECKOUT, None, &form));
    assert_eq!((pressed.status, pressed.to()), (303, "/p/session?other"));
    assert!(world.stripe.sessions().is_empty());
    let page = browser.look(&world, start(), "other").body;
    assert!(page.contains("You have opened another link in this browser since"), "{page}");
    let form = page.split("/p/session/checkout?").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let pressed = block_on(browser.go(&world.portal(), start(), CHECKOUT, None, &form));
    assert!(pressed.to().starts_with(FakeStripe::ORIGIN));
}

#[test]
fn a_session_belongs_to_the_key_that_made_it() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    let first = browser.pay(&world, later(1)).to().to_owned();
    world.reconnect("rk_live_51AnotherAccount");
    assert_eq!(browser.pay(&world, later(2)).to(), first, "it is open still, by the key before");
    world.stripe.end("cs_0000");
    assert!(browser.pay(&world, later(3)).to().starts_with(FakeStripe::ORIGIN));
    assert_eq!(world.owed().checkout.unwrap().key, account("rk_live_51AnotherAccount").fingerprint);
    // A vault that has not followed the row yet is not believed.
    let world = World::new();
    let (mut browser, _) = inside(&world);
    world.change(start(), |book| {
        book.get::<StripeAccount>(&()).map_err(|Unread(names)| names)?;
        book.put(account("rk_live_51AnotherAccount")).map_err(|Unread(names)| names)
    });
    assert_eq!(browser.pay(&world, later(1)).line.outcome, "stripe_not_connected");
    assert!(world.stripe.sessions().is_empty());
}

#[test]
fn a_session_that_stripe_has_not_is_over() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    browser.pay(&world, later(1));
    world.stripe.lose("cs_0000");
    assert!(browser.pay(&world, later(2)).to().starts_with(FakeStripe::ORIGIN));
    assert_eq!(world.owed().checkout.unwrap().attempt, 2);
}

#[test]
fn where_somebody_may_have_paid_nobody_says_that_nothing_was_charged() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    let url = browser.pay(&world, later(1)).to().to_owned();
    world.stripe.pay(&url, false).unwrap();
    world.stripe.refuse(STRIPE_KEY);
    let answer = browser.pay(&world, later(2));
    assert_eq!((answer.to(), answer.line.outcome), ("/p/session?unsure", "stripe_key_refused"));
    let page = browser.look(&world, later(3), "unsure").body;
    assert!(page.contains("please do not pay again") && !page.contains("Nothing was charged"), "{page}");
}

#[test]
fn money_of_which_no_webhook_tells_rings_an_alarm() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    let url = browser.pay(&world, later(1)).to().to_owned();
    world.stripe.pay(&url, false).unwrap();
    assert_eq!(browser.pay(&world, later(1700)).line.outcome, "done");
    let token = world.token(&world.link(8, HOUR * 2));
    let mut late = Browser::default();
    assert_eq!(late.open(&world, later(3600), &token).status, 303);
    let answer = late.pay(&world, later(3700));
    assert_eq!((answer.to(), answer.line.outcome), (PAID_PAGE, "paid_and_unheard"));
    assert_eq!(answer.line.metrics.errors, 1);
}

#[test]
fn tries_in_a_session_that_is_over_are_in_the_audit_log() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    browser.look(&world, later(1800), "");
    browser.pay(&world, later(1800));
    assert_eq!(world.told("invoice.read"), [(Outcome::Denied, vec![])]);
    assert_eq!(world.told("checkout.begin"), [(Outcome::Denied, vec![])]);
}

#[test]
fn a_fresh_link_that_could_not_be_sent_may_be_asked_for_again_at_once() {
    let world = World::new();
    let (_, token) = inside(&world);
    let faults = Faults::default();
    let counted = world.fork(&faults);
    let ask =
        |world: &World, now| block_on(Browser::default().go(&world.portal(), now, FRESH, Some(&token), ""));
    assert_eq!(ask(&counted, later(60)).status, 200);
    let calls = faults.calls();
    for call in 0..calls {
        let faults = Faults::default();
        let world = world.fork(&faults);
        faults.plan(call, Fault::Refuses);
        let first = ask(&world, later(60)).status;
        faults.clear();
        let sent = world.mail.sent().len();
        let second = ask(&world, later(61)).status;
        let expected = if sent == 1 { (200, 429) } else { (503, 200) };
        assert_eq!((first, second), expected, "call {call}");
        assert_eq!(world.mail.sent().len(), 1, "call {call}");
    }
}

#[test]
fn an_old_link_tells_nothing_of_an_invoice_that_is_owed_again() {
    let world = World::new();
    let token = world.token(&world.link(7, HOUR));
    let link: LinkId = from_bytes([7; 16]);
    world.change(start(), |book| settle_link(book, &link, start()).map_err(|Unread(names)| names));
    let answer = Browser::default().get(&world, start(), &token);
    assert_eq!((answer.status, answer.line.outcome), (410, "link_revoked"));
    assert!(!answer.body.contains("Nothing is left to pay"));
}

#[test]
fn an_amount_that_stripe_never_takes_has_no_button() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    block_on(world.hear("pi_bank", 11_880, Stage::Received, 1_800_000_000));
    let page = browser.look(&world, start(), "");
    assert!(page.body.contains("EUR 0.20") && !page.body.contains("/p/session/checkout"));
    assert_eq!(browser.pay(&world, start()).to(), "/p/session");
    assert!(world.stripe.sessions().is_empty());
}

#[test]
fn whoever_comes_to_a_forms_address_is_led_back() {
    let world = World::new();
    let go = |route, token| {
        block_on(Browser::default().go(&world.portal(), start(), route, token, "")).to().to_owned()
    };
    assert_eq!(go(AFTER_CHECKOUT, None), "/p/session");
    assert_eq!(go(AFTER_FRESH, Some("abc-_1")), "/p/abc-_1");
    assert_eq!(go(AFTER_FRESH, Some("//evil.example")), "/p/session");
}

#[test]
fn fresh_links_have_a_bound_for_each_invoice() {
    let world = World::new();
    let mut asked = 0;
    for n in 0..6 {
        let token = world.token(&world.link(n + 1, HOUR));
        assert_eq!(Browser::default().open(&world, start(), &token).status, 303);
        let answer = block_on(Browser::default().go(&world.portal(), later(60), FRESH, Some(&token), ""));
        asked += u8::from(answer.status == 200);
        assert!(matches!(answer.status, 200 | 429) && answer.body.contains("Look in your inbox"));
    }
    assert_eq!((asked, world.mail.sent().len()), (1, 1));
}

#[test]
fn who_is_inside_and_presses_again_is_led_in() {
    let world = World::new();
    let (mut browser, token) = inside(&world);
    let again = browser.open(&world, later(120), &token);
    assert_eq!((again.status, again.to()), (303, "/p/session"));
}

const PAID_PAGE: &str = "/p/session?paid";

#[test]
fn where_stripe_does_not_do_its_part_the_payer_is_told_and_may_try_again() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    world.stripe.refuse(STRIPE_KEY);
    let refused = browser.pay(&world, later(1));
    assert_eq!((refused.to(), refused.line.outcome), ("/p/session?again", "stripe_key_refused"));
    let page = browser.look(&world, later(1), "again");
    assert!(page.status == 200 && !page.body.contains("/p/session/checkout"), "it would lead nowhere");
    assert_eq!(world.row::<StripeAccount>(&()).unwrap().refused_at, Some(later(1)));
    assert_eq!(world.told("stripe_account.refuse"), [(Outcome::Allowed, vec!["stripe_account".to_owned()])]);
    world.reconnect("rk_test_51Another");
    assert!(browser.pay(&world, later(2)).to().starts_with(FakeStripe::ORIGIN));
}

#[test]
fn a_key_that_was_replaced_is_read_anew_at_once() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    let portal = world.portal();
    let pay =
        |browser: &mut Browser, now| block_on(browser.go(&portal, now, CHECKOUT, None, "")).to().to_owned();
    assert!(pay(&mut browser, later(1)).starts_with(FakeStripe::ORIGIN));
    world.stripe.end("cs_0000");
    world.reconnect("rk_test_51Another");
    assert!(pay(&mut browser, later(2)).starts_with(FakeStripe::ORIGIN));
    assert_eq!(world.owed().checkout.unwrap().key, account("rk_test_51Another").fingerprint);
}

#[test]
fn without_a_stripe_account_there_is_no_button() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    world.change(start(), |book| {
        book.get::<StripeAccount>(&()).map_err(|Unread(names)| names)?;
        book.remove::<StripeAccount>(&()).map_err(|Unread(names)| names)
    });
    let page = browser.look(&world, start(), "");
    assert!(page.status == 200 && !page.body.contains("/p/session/checkout"));
    assert_eq!(browser.pay(&world, start()).to(), "/p/session");
    assert!(world.stripe.sessions().is_empty());
}

#[test]
fn nobody_is_sent_anywhere_but_to_stripe() {
    let world = World::new();
    let (mut browser, _) = inside(&world);
    for origin in
        ["https://checkout.stripe.exampl", "https://checkout.stripe.example.evil", "https://other.example"]
    {
        let mut portal = world.portal();
        portal.place.checkout_origin = origin.to_owned();
        let answer = block_on(browser.go(&portal, start(), CHECKOUT, None, ""));
        assert_eq!(answer.to(), "/p/session?again", "{origin}");
    }
}

/// Whatever goes wrong at whichever call while somebody pays: they are told so or sent, pressing again sends them, and of the
/// sessions that Stripe then has, one at most can be paid in by somebody who was sent there.
#[test]
fn a_fault_at_any_call_of_paying_is_mended_by_pressing_again() {
    let world = World::new();
    let (browser, _) = inside(&world);
    for fault in [Fault::Refuses, Fault::LosesAnswer] {
        for call in 0.. {
            let faults = Faults::default();
            let world = world.fork(&faults);
            let portal = world.portal();
            let mut browser = browser.clone();
            faults.plan(call, fault);
            let first = block_on(browser.go(&portal, later(1), CHECKOUT, None, ""));
            let met = faults.calls() > call;
            faults.clear();
            let mut sent = Vec::new();
            if first.status == 303 && first.to().starts_with(FakeStripe::ORIGIN) {
                sent.push(first.to().to_owned());
            } else {
                assert!(matches!(first.status, 303 | 503), "{} {}", first.status, first.body);
            }
            let second = block_on(browser.go(&portal, later(40), CHECKOUT, None, ""));
            assert!(second.to().starts_with(FakeStripe::ORIGIN), "{fault:?} at {call}: {}", second.to());
            sent.push(second.to().to_owned());
            let payable = sent
                .iter()
                .collect::<BTreeSet<_>>()
                .into_iter()
                .filter(|url| world.stripe.pay(url, false).is_some());
            assert_eq!(payable.count(), 1, "{fault:?} at {call}");
            if !met {
                break;
            }
        }
    }
}

#[test]
fn nothing_is_shown_or_done_that_cannot_be_audited() {
    let world = World::new();
    let (browser, _) = inside(&world);
    let token = world.token(&world.link(8, HOUR));
    for (route, token) in [(SESSION, None), (OPEN, Some(token.as_str()))] {
        let faults = Faults::default();
        let counted = world.fork(&faults);
        block_on(browser.clone().go(&counted.portal(), start(), route, token, ""));
        for call in 0..faults.calls() {
            let faults = Faults::default();
            let world = world.fork(&faults);
            faults.plan(call, Fault::Refuses);
            let answer = block_on(browser.clone().go(&world.portal(), start(), route, token, ""));
            assert_eq!(answer.status, 503, "{route}, call {call}");
            assert!(!answer.body.contains("119") && answer.cookies.is_empty());
        }
    }
}

#[test]
fn a_warm_page_costs_three_calls_at_most() {
    let world = World::new();
    let (browser, _) = inside(&world);
    let token = world.token(&world.link(8, HOUR));
    let faults = Faults::default();
    let world = world.fork(&faults);
    let portal = world.portal();
    let mut visit = browser.clone();
    let calls = |visit: &mut Browser, route, token: Option<&str>| {
        let before = faults.calls();
        let answer = block_on(visit.go(&portal, start(), route, token, ""));
        assert!(answer.status < 400, "{route}: {}", answer.status);
        faults.calls() - before
    };
    for route in [SESSION, CHECKOUT] {
        calls(&mut visit, route, None);
    }
    assert_eq!(
        calls(&mut visit, SESSION, None),
        3,
        "rows, audit event; and Stripe is asked how the session stands"
    );
    assert_eq!(
        calls(&mut visit, CHECKOUT, None),
        3,
        "rows, audit event; and Stripe is asked whether the session is open"
    );
    assert_eq!(calls(&mut Browser::default(), DOOR, Some(&token)), 1, "rows");
    assert_eq!(
        calls(&mut Browser::default(), OPEN, Some(&token)),
        2,
        "rows, transaction; the customer's key is in memory"
    );
}
