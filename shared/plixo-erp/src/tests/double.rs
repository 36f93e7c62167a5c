//! The double of the local stack, which is held to the providers' documentation by tests of its own.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;
use crate::Subscribed;

const CENTRAL: SourceKind = SourceKind::BusinessCentral;
const ID: &str = "5d115c9c-44e3-ea11-bb43-000d3a2feca1";

/// A double that knows a connection of each kind; it ends with its standard input.
struct Double {
    process: Child,
    url: String,
}

impl Double {
    fn start() -> Self {
        let mut process = Command::new("python3")
            .args(["-m", "infra.local.erp", "--port", "0", "--stop-on-stdin-eof"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut told).unwrap();
        let url = told.trim().strip_prefix("ERP double at ").unwrap().to_owned();
        let double = Self { process, url };
        for kind in SourceKind::ALL {
            let entry = entry(kind);
            double.door(
                "POST",
                "connections",
                &json!({
                    "kind": kind, "account": entry.account, "client_id": entry.client_id,
                    "client_secret": entry.client_secret, "refresh_token": entry.refresh_token,
                    "tenant": "contoso.com", "environment": "production",
                }),
            );
        }
        double
    }

    /// The control door.
    fn door(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let body = body.to_string();
        let length = body.len();
        write!(
            stream,
            "{method} /_double/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    fn put(&self, kind: SourceKind, document: &Value) {
        let set = crate::ask::set(kind, Entity::Invoice);
        let document = json!({"kind": kind, "account": account(kind), "set": set, "document": document});
        self.door("POST", "documents", &document);
    }

    /// With a vault whose token opens nothing there yet.
    fn erp(&self, kind: SourceKind) -> (Erp<FakeVault>, FakeVault) {
        let told = self.door("GET", "", &json!({}));
        let urls = Urls::read(|name| told["urls"][name].as_str().unwrap().to_owned());
        let vault = vault(&stale(kind));
        (Erp::new(vault.clone(), urls).without_pause(), vault)
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn id(kind: SourceKind) -> &'static str {
    if kind == SourceKind::Quickbooks { "130" } else { ID }
}

#[test]
fn all_three_are_read_through_expired_and_rotated_tokens() {
    let double = Double::start();
    for kind in SourceKind::ALL {
        // The machine's clock is not the one that the documents are of.
        double.put(kind, &invoice(kind, id(kind), "2026-11-01T00:00:00Z"));
        double.door("DELETE", "requests", &json!({}));
        let (erp, vault) = double.erp(kind);
        let asked = [id(kind).to_owned(), "404".to_owned()];
        let read = || block_on(ask(&erp, kind, Entity::Invoice, Which::These(&asked))).unwrap();
        for access in ["keep", "keep", "expire"] {
            double.door("POST", "tokens", &json!({"access": access, "grace": false}));
            let answer = read();
            assert_eq!((ids(&answer), answer.missing.as_slice()), (vec![id(kind)], &asked[1..]), "{kind:?}");
            let Some(Event::InvoiceUpserted(told)) = events(&answer.things[0]).first() else {
                panic!("{kind:?}")
            };
            let plixo_domain::ledger::Private::Plain(body) = &told.body else { panic!("sealed") };
            assert!(!body.lines.is_empty(), "{kind:?}");
        }
        let tokens = double.door("GET", "requests", &json!({}));
        let paths = tokens["data"].as_array().unwrap().iter().map(|it| it["path"].as_str().unwrap());
        assert_eq!(
            paths.filter(|path| path.contains("token")).count(),
            2,
            "{kind:?}: the first, and one for the expired"
        );
        let kept = kept(&vault);
        assert_eq!(kept.refresh_token.is_some(), kind != CENTRAL);

        double.door("POST", "tokens", &json!({"kind": kind, "access": "expire", "refresh": "revoke"}));
        let error = block_on(ask(&erp, kind, Entity::Invoice, Which::These(&asked)));
        if kind != CENTRAL {
            assert_eq!(error, Err(ErpError::Refused("invalid_grant".to_owned())));
        }
    }
}

#[test]
fn changes_of_all_three_are_read_to_their_end() {
    let double = Double::start();
    for kind in SourceKind::ALL {
        let (erp, _) = double.erp(kind);
        let at = |n: i64| (now() + SignedDuration::from_secs(n)).to_string();
        for n in 0..150 {
            double.put(kind, &invoice(kind, &format!("i-{n}"), &at(n)));
        }
        let (mut since, mut found, mut reads) = (now() + SignedDuration::from_secs(20), BTreeSet::new(), 0);
        loop {
            let answer = block_on(ask(&erp, kind, Entity::Invoice, Which::ChangedSince(since))).unwrap();
            found.extend(ids(&answer).into_iter().map(str::to_owned));
            (since, reads) = (answer.read_to.unwrap(), reads + 1);
            if !answer.has_more {
                break;
            }
        }
        let most = if kind == SourceKind::Quickbooks { 1 } else { 2 };
        assert_eq!((found.len(), reads), (130, most), "{kind:?}");
        assert_eq!(since, now() + SignedDuration::from_secs(149));
    }
}

#[test]
fn who_is_busy_says_for_how_long() {
    let double = Double::start();
    let (erp, _) = double.erp(SourceKind::Xero);
    let headers = json!({"Retry-After": "42", "X-Rate-Limit-Problem": "minute"});
    double.door("POST", "faults", &json!({"path": "/xero/api.xro", "answer": 429, "headers": headers}));
    let asked = [TWO.to_owned()];
    let read = || block_on(ask(&erp, SourceKind::Xero, Entity::Payment, Which::These(&asked)));
    assert_eq!(read(), Err(ErpError::Busy { retry_after: Some(Duration::from_secs(42)) }));
    assert_eq!(read().unwrap().missing, asked);
    double.door("POST", "faults", &json!({"path": "/xero/api.xro", "answer": "reset"}));
    assert!(read().is_ok(), "a connection that broke is tried again");
}

#[test]
fn subscriptions_are_made_once_and_renewed_in_time() {
    let double = Double::start();
    let (erp, _) = double.erp(CENTRAL);
    let endpoint = Server::start(|asked| {
        let token = asked.query("validationToken");
        format!("HTTP/1.1 200 x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{token}", token.len())
    });
    let (org, source): (OrgId, SourceId) = (ORG.parse().unwrap(), SOURCE.parse().unwrap());
    let account = account(CENTRAL);
    let of = Of { org: &org, source: &source, kind: CENTRAL, account: &account };
    let url = format!("{}/hook", endpoint.url);
    let keep = |state: &str| {
        // The double ends subscriptions by the machine's clock.
        #[expect(clippy::disallowed_methods, reason = "the double's clock is the machine's")]
        let now = Timestamp::try_from(std::time::SystemTime::now()).unwrap();
        block_on(erp.keep_subscribed(of, &Wanted { url: &url, client_state: &secret(state) }, now))
    };
    assert_eq!(keep("one"), Ok(Subscribed { made: 3, renewed: 0 }));
    assert_eq!(keep("one"), Ok(Subscribed { made: 0, renewed: 0 }));
    assert_eq!(keep("two"), Ok(Subscribed { made: 0, renewed: 3 }));
    double.door("POST", "subscriptions", &json!({"hours": 35}));
    assert_eq!(keep("two"), Ok(Subscribed { made: 0, renewed: 3 }));
    assert_eq!(double.door("GET", "subscriptions", &json!({}))["data"].as_array().unwrap().len(), 3);
    assert_eq!(endpoint.asked().len(), 9);
}
