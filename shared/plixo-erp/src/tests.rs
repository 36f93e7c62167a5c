//! A server on this machine that answers as told, with tokens that rotate; the local stack's double is in `double`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use plixo_domain::id::{OrgId, SourceId};
use plixo_domain::secret::Secret;
use plixo_domain::source::{Access, Place, SourceEntry, SourceKind};
use plixo_domain::webhook::ExternalId;
use plixo_testing::{FakeVault, Fault, Faults};
use plixo_webhooks::canonical::{Entity, Event};
use plixo_webhooks::{Problem, ReadError};
use serde_json::{Value, json};

use crate::{Answer, Ask, Erp, ErpError, Of, ReadErp, Thing, Urls, Wanted, Which};

mod double;
mod forms;
mod subscriptions;
mod tokens;

const ORG: &str = "org_01h2xcejqtf2nbrexx3vqjhp41";
const SOURCE: &str = "src_01kv2vf200eqk8kdny1yvq6gsw";
const ONE: &str = "00000000-0000-4000-8000-000000000001";
const TWO: &str = "00000000-0000-4000-8000-000000000002";
const GUID: &str = "130bbd17-dbb9-4790-9b12-2b0e9c9d22c3";
/// Of 19 digits, as some realms are: a card number to whoever does not know what it is.
const REALM: &str = "4620816365000000005";

fn now() -> Timestamp {
    "2026-11-29T06:00:00Z".parse().unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A request as it came.
#[derive(Debug, Clone)]
struct Asked {
    method: String,
    /// With its query.
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Asked {
    fn is_for_token(&self) -> bool {
        self.path.contains("token")
    }

    /// What its query asks for, decoded.
    fn query(&self, name: &str) -> String {
        let (_, query) = self.path.split_once('?').unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

/// What a server does with a request.
type Answering = Arc<dyn Fn(&Asked) -> String + Send + Sync>;

struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    fn start(answering: impl Fn(&Asked) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answering, seen): (Answering, _) = (Arc::new(answering), asked.clone());
        // Both threads end with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answering, seen) = (answering.clone(), seen.clone());
                std::thread::spawn(move || serve(stream, &answering, &seen));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The requests that were not for a token.
    fn api(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| !asked.is_for_token()).collect()
    }
}

fn serve(mut stream: TcpStream, answering: &Answering, seen: &Mutex<Vec<Asked>>) {
    let mut text = Vec::new();
    let mut part = [0; 4096];
    while let Ok(1..) = stream.read(&mut part).inspect(|n| text.extend_from_slice(&part[..*n])) {
        let Some(asked) = read(&String::from_utf8_lossy(&text)) else { continue };
        seen.lock().unwrap().push(asked.clone());
        let answer = answering(&asked);
        if answer == SILENCE {
            let _ = stream.read(&mut part);
            return;
        }
        let _ = stream.write_all(answer.as_bytes());
        return;
    }
}

fn read(text: &str) -> Option<Asked> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let headers: BTreeMap<_, _> =
        lines.filter_map(|line| line.split_once(": ")).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let length = headers.get("content-length").map_or(0, |n| n.parse().unwrap());
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    (body.len() >= length).then(|| Asked { method, path, headers, body: body.to_owned() })
}

/// No answer, but the connection stays.
const SILENCE: &str = "silence";

fn said(status: u16, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn ok(body: &Value) -> String {
    said(200, "", body)
}

fn grant(access: &str, refresh: &str) -> Value {
    json!({"access_token": access, "refresh_token": refresh, "expires_in": 1800, "token_type": "Bearer"})
}

fn urls(url: &str) -> Urls {
    Urls::read(|name| match name {
        "XERO_LOGIN_URL" | "QUICKBOOKS_LOGIN_URL" => format!("{url}/connect/token"),
        _ => url.to_owned(),
    })
}

fn account(kind: SourceKind) -> ExternalId {
    match kind {
        SourceKind::Quickbooks => REALM.parse().unwrap(),
        SourceKind::Xero | SourceKind::BusinessCentral => GUID.parse().unwrap(),
    }
}

/// What the vault holds, with a token that opens something for ten minutes still.
fn entry(kind: SourceKind) -> SourceEntry {
    let is_central = kind == SourceKind::BusinessCentral;
    SourceEntry {
        v: 1,
        org: ORG.parse().unwrap(),
        kind,
        account: account(kind),
        connection: None,
        place: is_central.then(|| Place::new("contoso.com", "production").unwrap()),
        currency: "EUR".parse().ok(),
        client_id: "client".to_owned(),
        client_secret: secret("canary-client"),
        refresh_token: (!is_central).then(|| secret("canary-refresh-0")),
        access: Some(Access {
            token: secret("canary-access-0"),
            expires_at: now() + SignedDuration::from_mins(10),
        }),
    }
}

/// One whose token has come to its end.
fn stale(kind: SourceKind) -> SourceEntry {
    let mut entry = entry(kind);
    entry.access.as_mut().unwrap().expires_at = now() + SignedDuration::from_secs(60);
    entry
}

fn vault(entry: &SourceEntry) -> FakeVault {
    let vault = FakeVault::default();
    vault.put(SOURCE, serde_json::to_string(entry).unwrap());
    vault
}

fn kept(vault: &FakeVault) -> SourceEntry {
    serde_json::from_str(&vault.dump()[SOURCE]).unwrap()
}

fn erp(url: &str, vault: FakeVault) -> Erp<FakeVault> {
    Erp::new(vault, urls(url)).without_pause()
}

/// Asks of the source that the vault holds.
async fn ask(
    erp: &Erp<FakeVault>,
    kind: SourceKind,
    entity: Entity,
    which: Which<'_>,
) -> Result<Answer, ErpError> {
    let (org, source): (OrgId, SourceId) = (ORG.parse().unwrap(), SOURCE.parse().unwrap());
    let account = account(kind);
    let of = Of { org: &org, source: &source, kind, account: &account };
    erp.read(&Ask { of, entity, which }, now()).await
}

fn these(server: &Server, kind: SourceKind, entity: Entity, ids: &[&str]) -> Result<Answer, ErpError> {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let erp = erp(&server.url, vault(&entry(kind)));
    block_on(ask(&erp, kind, entity, Which::These(&ids)))
}

fn changed(server: &Server, kind: SourceKind, entity: Entity, since: &str) -> Result<Answer, ErpError> {
    let erp = erp(&server.url, vault(&entry(kind)));
    block_on(ask(&erp, kind, entity, Which::ChangedSince(since.parse().unwrap())))
}

fn sample(name: &str) -> Value {
    let path = format!("{}/../../events/worker-erp/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// An invoice of that id, as a provider has it.
fn invoice(kind: SourceKind, id: &str, at: &str) -> Value {
    match kind {
        SourceKind::Xero => {
            let mut it = sample("xero.invoices")["Invoices"][0].clone();
            let millis = at.parse::<Timestamp>().unwrap().as_millisecond();
            (it["InvoiceID"], it["UpdatedDateUTC"]) = (id.into(), format!("/Date({millis}+0000)/").into());
            it
        }
        SourceKind::Quickbooks => {
            let mut it = sample("quickbooks.invoice")["Invoice"].clone();
            (it["Id"], it["MetaData"]["LastUpdatedTime"]) = (id.into(), at.into());
            it
        }
        SourceKind::BusinessCentral => {
            let mut it = sample("business_central.sales_invoice");
            (it["id"], it["lastModifiedDateTime"]) = (id.into(), at.into());
            it
        }
    }
}

/// Documents as a provider lists them.
fn list(kind: SourceKind, documents: &[Value]) -> Value {
    match kind {
        SourceKind::Xero => json!({"Status": "OK", "Invoices": documents}),
        SourceKind::Quickbooks => json!({"QueryResponse": {"Invoice": documents, "startPosition": 1}}),
        SourceKind::BusinessCentral => json!({"value": documents}),
    }
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer.things.iter().map(|thing| thing.id.as_str()).collect()
}

fn events(thing: &Thing) -> &[Event] {
    thing.told.as_ref().unwrap()
}

#[test]
fn what_is_asked_for_is_told_with_the_id_that_it_was_asked_by() {
    for (kind, id) in [
        (SourceKind::Xero, GUID),
        (SourceKind::Quickbooks, "130"),
        (SourceKind::BusinessCentral, "5d115c9c-44e3-ea11-bb43-000d3a2feca1"),
    ] {
        let document = invoice(kind, id, "2026-11-01T00:00:00Z");
        let server = Server::start(move |_| ok(&list(kind, std::slice::from_ref(&document))));
        let asked = id.to_ascii_uppercase();
        let answer = these(&server, kind, Entity::Invoice, &[&asked, &asked, "404"]).unwrap();
        assert_eq!(ids(&answer), [asked.as_str()], "{kind:?}");
        assert_eq!(answer.missing, ["404"], "{kind:?}");
        assert!((events(&answer.things[0])[0].id().as_str()).ends_with(id), "{kind:?}");
        assert_eq!(server.asked().len(), 1, "one request, and no token: {kind:?}");
    }
}

#[test]
fn one_document_that_cannot_be_used_spoils_no_other() {
    for kind in SourceKind::ALL {
        let mut broken = invoice(kind, TWO, "2026-11-01T00:00:00Z");
        let total = match kind {
            SourceKind::Xero => "Total",
            SourceKind::Quickbooks => "TotalAmt",
            SourceKind::BusinessCentral => "totalAmountIncludingTax",
        };
        broken[total] = "canary".into();
        let documents = [invoice(kind, ONE, "2026-11-01T00:00:00Z"), broken];
        let server = Server::start(move |_| ok(&list(kind, &documents)));
        let answer = these(&server, kind, Entity::Invoice, &[ONE, TWO]).unwrap();
        assert!(!events(&answer.things[0]).is_empty());
        let error = answer.things[1].told.as_ref().unwrap_err();
        assert!(matches!(error, ReadError::Field(field) if field.pointer.ends_with(total)), "{error:?}");
        assert!(!format!("{answer:?}").contains("canary"));
    }
}

#[test]
fn what_was_not_asked_for_is_not_told() {
    let kind = SourceKind::BusinessCentral;
    let server = Server::start(move |_| {
        ok(&list(kind, &[ONE, TWO].map(|id| invoice(kind, id, "2026-11-01T00:00:00Z"))))
    });
    assert_eq!(ids(&these(&server, kind, Entity::Invoice, &[TWO]).unwrap()), [TWO]);
}

#[test]
fn nothing_is_asked_for_nothing_and_no_odd_id_is_sent() {
    let server = Server::start(|_| panic!("asked"));
    for kind in SourceKind::ALL {
        for odd in [&["../1"][..], &["1' or '1"], &["1)"], &["a,b"], &["ä"], &[""], &["1\r\n"], &[]] {
            let answer = these(&server, kind, Entity::Invoice, odd).unwrap();
            assert_eq!(
                (answer.things.len(), answer.missing.as_slice()),
                (0, odd.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>().as_slice())
            );
        }
    }
    for kind in [SourceKind::Xero, SourceKind::BusinessCentral] {
        for odd in ["5", "a-b", GUID.trim_start_matches("1"), &format!("{GUID}-0"), &GUID.replace('b', "g")] {
            assert_eq!(these(&server, kind, Entity::Customer, &[odd]).unwrap().missing, [odd]);
        }
    }
    assert!(server.asked().is_empty());
}

#[test]
fn an_account_that_cannot_stand_in_a_url_is_not_asked() {
    let server = Server::start(|_| panic!("asked"));
    for odd in ["a:b", "..", "a.b", "a_b"] {
        let account: ExternalId = odd.parse().unwrap();
        let mut entry = entry(SourceKind::Quickbooks);
        entry.account = account.clone();
        let erp = erp(&server.url, vault(&entry));
        let (org, source): (OrgId, SourceId) = (ORG.parse().unwrap(), SOURCE.parse().unwrap());
        let of = Of { org: &org, source: &source, kind: SourceKind::Quickbooks, account: &account };
        let which = Which::ChangedSince(now());
        let error = block_on(erp.read(&Ask { of, entity: Entity::Invoice, which }, now())).unwrap_err();
        assert!(matches!(error, ErpError::Unavailable(_)), "{error:?}");
    }
    assert!(server.asked().is_empty());
}

#[test]
fn a_source_is_its_organisations_and_of_one_account() {
    let server = Server::start(|_| panic!("asked"));
    let erp = erp(&server.url, vault(&entry(SourceKind::Xero)));
    let (org, source): (OrgId, SourceId) = (ORG.parse().unwrap(), SOURCE.parse().unwrap());
    let (org_2, source_2) = (plixo_domain::id::from_bytes([7; 16]), plixo_domain::id::from_bytes([7; 16]));
    let (own, other) = (account(SourceKind::Xero), account(SourceKind::Quickbooks));
    let right = Of { org: &org, source: &source, kind: SourceKind::Xero, account: &own };
    for of in [
        Of { org: &org_2, ..right },
        Of { source: &source_2, ..right },
        Of { account: &other, ..right },
        Of { kind: SourceKind::Quickbooks, ..right },
    ] {
        let ids = [ONE.to_owned()];
        let ask = Ask { of, entity: Entity::Invoice, which: Which::These(&ids) };
        assert_eq!(block_on(erp.read(&ask, now())), Err(ErpError::NoSource));
    }
    let vault = FakeVault::default();
    for odd in
        ["canary", "{}", &serde_json::to_string(&SourceEntry { v: 2, ..entry(SourceKind::Xero) }).unwrap()]
    {
        vault.put(SOURCE, odd.to_owned());
        let erp = Erp::new(vault.clone(), urls(&server.url));
        let error = block_on(ask(&erp, SourceKind::Xero, Entity::Invoice, Which::ChangedSince(now())));
        assert!(
            matches!(&error, Err(ErpError::Unavailable(cause)) if !cause.contains("canary")),
            "{error:?}"
        );
    }
}

#[test]
fn card_numbers_are_masked_before_anything_is_read_and_realms_stay() {
    let mut document = invoice(SourceKind::Quickbooks, "130", "2026-11-01T00:00:00Z");
    document["CustomerMemo"] = json!({"value": "charged 4242 4242 4242 4242"});
    document["Line"][0]["Description"] = "card 4242424242424242".into();
    let server = Server::start(move |_| ok(&list(SourceKind::Quickbooks, std::slice::from_ref(&document))));
    let answer = these(&server, SourceKind::Quickbooks, Entity::Invoice, &["130"]).unwrap();
    assert_eq!(answer.cards_redacted, 2);
    let [Event::InvoiceUpserted(told)] = events(&answer.things[0]) else { panic!("{answer:?}") };
    let plixo_domain::ledger::Private::Plain(body) = &told.body else { panic!("sealed") };
    let body = serde_json::to_string(body).unwrap();
    assert!(body.contains("************4242") && !body.contains("424242424242"), "{body}");
    assert_eq!(told.id.as_str(), format!("{REALM}:130"));
    assert!(server.asked()[0].path.starts_with(&format!("/v3/company/{REALM}/query?")));
}

#[test]
fn what_fails_is_sorted_by_what_the_caller_can_do() {
    let error = |kind, status, headers: &'static str, body: Value| {
        let server = Server::start(move |asked| {
            if asked.is_for_token() {
                ok(&grant("canary-1", "canary-2"))
            } else {
                said(status, headers, &body)
            }
        });
        these(&server, kind, Entity::Invoice, &[ONE, TWO]).unwrap_err()
    };
    use SourceKind::{BusinessCentral, Quickbooks, Xero};
    let busy = |seconds| ErpError::Busy { retry_after: Some(Duration::from_secs(seconds)) };
    let day = "retry-after: 40321\r\nx-rate-limit-problem: day\r\n";
    assert_eq!(error(Xero, 429, day, json!({})), busy(40_321));
    assert_eq!(error(Xero, 429, "retry-after: 999999\r\n", json!({})), busy(86_400));
    assert_eq!(error(Quickbooks, 429, "", json!({})), busy(60));
    assert_eq!(error(BusinessCentral, 503, "retry-after: 5\r\n", json!({})), busy(5));
    let unavailable = |cause: &str| ErpError::Unavailable(cause.to_owned());
    assert_eq!(error(BusinessCentral, 503, "", json!({})), unavailable("503"));
    let fault = json!({"Fault": {"Error": [{"Message": "canary", "Detail": "canary", "code": "4000"}], "type": "canary"}});
    assert_eq!(error(Quickbooks, 400, "", fault), unavailable("400 4000"));
    let missing = json!({"error": {"code": "Internal_CompanyNotFound", "message": "canary"}});
    assert_eq!(error(BusinessCentral, 404, "", missing), unavailable("404 Internal_CompanyNotFound"));
    assert_eq!(error(Xero, 302, "location: http://127.0.0.1:1/\r\n", json!("canary")), unavailable("302"));
    let no_word = json!({"error": {"code": "not a word: canary"}});
    for status in [401, 403] {
        assert_eq!(
            error(BusinessCentral, status, "", no_word.clone()),
            ErpError::Refused(status.to_string())
        );
    }
}

#[test]
fn an_answer_that_is_none_is_told_apart() {
    let answer = |kind, text: &str| {
        let text = text.to_owned();
        let server = Server::start(move |_| {
            format!("HTTP/1.1 200 x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}", text.len())
        });
        these(&server, kind, Entity::Invoice, &[ONE])
    };
    for kind in SourceKind::ALL {
        for broken in ["", "<html>canary", "[]", "{\"canary\":"] {
            let error = answer(kind, broken).unwrap_err();
            assert!(matches!(&error, ErpError::Unavailable(cause) if !cause.contains("canary")), "{error:?}");
        }
        for odd in [r#"{"Contacts":[]}"#, r#"{"Invoices":{},"value":{},"QueryResponse":[]}"#] {
            let error = answer(kind, odd).unwrap_err();
            assert_eq!(error, ErpError::Unreadable(ReadError::NotADocument), "{kind:?} {odd}");
        }
    }
    let error = answer(SourceKind::Xero, r#"{"Invoices":[{"InvoiceID":null}]}"#).unwrap_err();
    let ErpError::Unreadable(ReadError::Field(field)) = error else { panic!("{error:?}") };
    assert_eq!((field.pointer.as_str(), field.problem), ("/0/InvoiceID", Problem::Missing));
    // QuickBooks lists nothing by not listing.
    let nothing = answer(SourceKind::Quickbooks, r#"{"QueryResponse":{},"time":"2026"}"#).unwrap();
    assert_eq!(nothing.missing, [ONE]);
}

#[test]
fn silence_ends_with_patience_a_broken_connection_is_tried_again_and_too_much_is_not_read() {
    let kind = SourceKind::Xero;
    let read = |server: &Server| {
        let erp = erp(&server.url, vault(&entry(kind))).with_patience(Duration::from_millis(300));
        block_on(ask(&erp, kind, Entity::Invoice, Which::These(&[ONE.to_owned()]))).unwrap_err()
    };
    let silent = Server::start(|_| SILENCE.to_owned());
    assert_eq!(read(&silent), ErpError::Unavailable("it took too long".to_owned()));
    let broken = Server::start(|_| String::new());
    assert_eq!(read(&broken), ErpError::Unavailable("it cannot be reached".to_owned()));
    assert_eq!(broken.asked().len(), 2);
    let large = Server::start(|_| ok(&json!({ "canary": "x".repeat(17 << 20) })));
    let erp = erp(&large.url, vault(&entry(kind)));
    let error = block_on(ask(&erp, kind, Entity::Invoice, Which::These(&[ONE.to_owned()]))).unwrap_err();
    assert_eq!(error, ErpError::Unavailable("its answer is too large".to_owned()));
}

#[test]
fn what_a_source_shows_is_whether_it_can_be_read_and_its_currency() {
    let look = |kind, body: Value| {
        let server = Server::start(move |_| ok(&body));
        let erp = erp(&server.url, vault(&entry(kind)));
        let (org, source): (OrgId, SourceId) = (ORG.parse().unwrap(), SOURCE.parse().unwrap());
        let account = account(kind);
        let found = block_on(erp.look(Of { org: &org, source: &source, kind, account: &account }, now()));
        (found.unwrap().map(|currency| currency.to_string()), server.asked()[0].path.clone())
    };
    let home =
        json!({"QueryResponse": {"Preferences": [{"CurrencyPrefs": {"HomeCurrency": {"value": "CAD"}}}]}});
    let (currency, path) = look(SourceKind::Quickbooks, home);
    assert_eq!(currency.as_deref(), Some("CAD"));
    assert!(path.contains("select%20%2A%20from%20Preferences"), "{path}");
    let (currency, path) = look(SourceKind::BusinessCentral, json!({"value": [{"currencyCode": "GBP"}]}));
    assert_eq!(currency.as_deref(), Some("GBP"));
    assert!(path.ends_with(&format!("/companies({GUID})/companyInformation")), "{path}");
    let (currency, path) = look(SourceKind::Xero, json!({"Contacts": []}));
    assert_eq!((currency, path.as_str()), (None, "/api.xro/2.0/Contacts?page=1&pageSize=1"));
}
