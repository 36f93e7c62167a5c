use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{Timestamp, ToSpan};
use plixo_domain::id::{EndpointId, Ids, OrgId};
use plixo_domain::webhook::HmacScheme;
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_receiver::MAX_BODY;
use plixo_testing::{FakeQueue, FakeVault, Fault, Faults};
use plixo_webhooks::signature::{sign_hmac, sign_standard};
use serde_json::{Value, json};

use super::Receiver;

const TENANT: &str = "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f";
const REALM: &str = "1185883450";
const COMPANY: &str = "b18aed47-c385-49d2-b954-dbdf8ad71780";
const OTHER: &str = "0ther000-0000-4000-8000-000000000000";
const VOIDED: &str = r#"{"type":"invoice.voided","timestamp":"2026-06-15T11:00:00Z","data":{"id":"INV-1"}}"#;

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

/// A way of sending, as an endpoint of it is kept and as its sender signs.
#[derive(Clone)]
struct Sender {
    name: &'static str,
    provider: &'static str,
    account: Option<&'static str>,
    hmac: Value,
    /// The secret, as text that no answer and no line may hold.
    secret: String,
    other: String,
    /// How the signature is made, but for Standard Webhooks and Business Central.
    scheme: Option<HmacScheme>,
    body: String,
}

type Headers = Vec<(String, String)>;

fn senders() -> Vec<Sender> {
    let settings = |header: &str, more: Value| {
        let mut settings = json!({"header": header, "encoding": "base64", "digest": "sha256"});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    };
    let base = |name, provider, header: &str, more: Value, body: &str| {
        let hmac = settings(header, more);
        Sender {
            name,
            provider,
            account: None,
            scheme: Some(serde_json::from_value(hmac.clone()).unwrap()),
            hmac: if provider == "generic_hmac" { hmac } else { Value::Null },
            secret: "canary-secret-of-some-length".to_owned(),
            other: "canary-other-secret-of-length".to_owned(),
            body: body.to_owned(),
        }
    };
    let none = json!({});
    let xero = |tenant: &str| {
        json!({"events": [{"resourceId": "717f2bfc-c6d4-41fd-b238-3f2f0c0cf777", "eventDateUtc": "2026-03-04T10:15:30.902",
            "eventType": "CREATE", "eventCategory": "INVOICE", "tenantId": tenant}], "firstEventSequence": 7,
            "lastEventSequence": 7, "entropy": "S0m3r4Nd0mt3xt"}).to_string()
    };
    let legacy = json!({"eventNotifications": [{"realmId": REALM, "dataChangeEvent": {"entities":
        [{"name": "Customer", "id": "1", "operation": "Create", "lastUpdated": "2015-10-05T14:42:19-0700"}]}}]});
    let cloud = json!([{"specversion": "1.0", "id": "88cd52aa", "source": "intuit.x", "type": "qbo.invoice.created.v1",
        "time": "2026-03-04T10:15:30.000Z", "intuitentityid": "145", "intuitaccountid": REALM, "data": {}}]);
    // As Frappe writes it, with blanks and escapes.
    let erpnext = r#"{"name": "SINV-1", "doctype": "Sales Invoice", "company": "PlixoDemo", "customer": "Zo\u00eb GmbH", "grand_total": 1234.5}"#;
    let timed = json!({"prefix": "v1:", "encoding": "hex", "digest": "sha512", "timestamp_header": "x-time"});
    let whsec = |byte: u8| format!("whsec_{}", STANDARD.encode([byte; 32]));
    let state = |byte: u8| format!("canary-{}", STANDARD.encode([byte; 32]));
    vec![
        Sender {
            secret: whsec(1),
            other: whsec(2),
            ..base("standard_webhooks", "standard_webhooks", "x", none.clone(), VOIDED)
        },
        Sender {
            account: Some(TENANT),
            ..base("xero", "xero", "x-xero-signature", none.clone(), &xero(TENANT))
        },
        Sender {
            account: Some(REALM),
            ..base("quickbooks", "quickbooks", "intuit-signature", none.clone(), &legacy.to_string())
        },
        Sender {
            account: Some(REALM),
            ..base(
                "quickbooks CloudEvents",
                "quickbooks",
                "intuit-signature",
                none.clone(),
                &cloud.to_string(),
            )
        },
        Sender {
            account: Some("PlixoDemo"),
            ..base("erpnext", "erpnext", "x-frappe-webhook-signature", none.clone(), erpnext)
        },
        base(
            "generic_hmac",
            "generic_hmac",
            "x-signature",
            json!({"prefix": "sha256=", "encoding": "hex"}),
            VOIDED,
        ),
        base("generic_hmac timed", "generic_hmac", "x-signature", timed, VOIDED),
        Sender {
            account: Some(COMPANY),
            secret: state(3),
            other: state(4),
            scheme: None,
            ..base("business_central", "business_central", "x", none, "")
        },
    ]
}

fn sender(name: &str) -> Sender {
    senders().into_iter().find(|sender| sender.name == name).unwrap()
}

/// A notification of Business Central.
fn notice(state: &str, company: &str) -> Value {
    json!({"subscriptionId": "s", "clientState": state, "expirationDateTime": "2026-10-29T07:52:31Z",
        "resource": format!("api/v2.0/companies({company})/customers(130bbd17-dbb9-4790-9b12-2b0e9c9d22c3)"),
        "changeType": "created", "lastModifiedDateTime": "2026-10-26T12:54:26.057Z"})
}

impl Sender {
    fn is_business_central(&self) -> bool {
        self.provider == "business_central"
    }

    fn is_timed(&self) -> bool {
        self.provider == "standard_webhooks" || self.hmac.get("timestamp_header").is_some()
    }

    fn body(&self, secret: &str) -> String {
        match self.is_business_central() {
            true => json!({"value": [notice(secret, COMPANY)]}).to_string(),
            false => self.body.clone(),
        }
    }

    fn sign(&self, secret: &str, t: i64, body: &[u8]) -> Headers {
        let named = |name: &str, value: String| (name.to_owned(), value);
        if self.is_business_central() {
            return Vec::new();
        }
        if self.provider == "standard_webhooks" {
            return vec![
                named("Webhook-Id", "msg_1".to_owned()),
                named("Webhook-Timestamp", t.to_string()),
                named("Webhook-Signature", sign_standard(secret.as_bytes(), "msg_1", t, body).unwrap()),
            ];
        }
        let scheme = self.scheme.as_ref().unwrap();
        let signature = named(scheme.header(), sign_hmac(scheme, secret.as_bytes(), t, body));
        let time = scheme.timestamp_header().map(|name| named(name, t.to_string()));
        [Some(signature), time].into_iter().flatten().collect()
    }

    /// Status and content type of what this sender gets for a wrong signature.
    fn refused(&self) -> (u16, &'static str) {
        match self.provider {
            "xero" => (401, ""),
            "business_central" => (202, ""),
            _ => (401, "application/problem+json"),
        }
    }

    /// The same for what is signed and cannot be taken.
    fn unusable(&self) -> (u16, &'static str) {
        match self.refused() {
            (401, kind) => (400, kind),
            other => other,
        }
    }
}

struct Stack {
    sender: Sender,
    queue: FakeQueue,
    faults: Faults,
    receiver: Receiver<FakeVault, FakeQueue>,
    endpoint: EndpointId,
    org: OrgId,
    now: Timestamp,
}

/// What a sender gets, and what is written of it.
struct Got {
    status: u16,
    kind: String,
    body: String,
    line: Line,
}

impl Stack {
    fn new(sender: &Sender) -> Self {
        let secrets = json!([{"secret": sender.secret}]);
        Self::with(sender, json!({ "secrets": secrets }))
    }

    /// A stack whose endpoint has the fields of `over` in its vault entry.
    fn with(sender: &Sender, over: Value) -> Self {
        let mut ids = Ids::new(now(), [3; 10]);
        let (org, endpoint): (OrgId, EndpointId) = (ids.make(), ids.make());
        let mut entry = json!({"v": 1, "org": org, "provider": sender.provider, "state": "enabled",
            "account": sender.account, "hmac": sender.hmac, "secrets": [{"secret": sender.secret}]});
        entry.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        let faults = Faults::default();
        let (vault, queue) = (FakeVault::new(faults.clone()), FakeQueue::new(faults.clone()));
        vault.put(&endpoint.to_string(), entry.to_string());
        let receiver = Receiver::new(vault, queue.clone());
        Self { sender: sender.clone(), queue, faults, receiver, endpoint, org, now: now() }
    }

    fn request(&self, headers: &Headers, body: &[u8], query: &str) -> Request {
        let headers: serde_json::Map<_, _> =
            headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        let (body, is_base64) = match std::str::from_utf8(body) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (STANDARD.encode(body), true),
        };
        serde_json::from_value(
            json!({"headers": headers, "pathParameters": {"endpoint": self.endpoint}, "body": body,
            "rawQueryString": query, "isBase64Encoded": is_base64,
            "requestContext": {"requestId": "r1", "http": {"sourceIp": "203.0.113.9", "userAgent": "test"}}}),
        )
        .unwrap()
    }

    fn handle(&self, request: &Request) -> Got {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let line = Line { timestamp: self.now, ..Line::default() };
        let (response, line): (Response, Line) = runtime.block_on(self.receiver.handle(request, line));
        let logged = String::from_utf8(line.clone().bytes()).unwrap();
        let shown = serde_json::to_value(&response).unwrap();
        assert_eq!(shown.get("cookies"), None, "{}", self.sender.name);
        let told = format!("{logged}{shown}");
        for secret in [&self.sender.secret, &self.sender.other] {
            assert!(!told.contains(secret.as_str()), "{}: {told}", self.sender.name);
        }
        assert!(!told.contains("canary"), "{}: {told}", self.sender.name);
        let kind = shown["headers"].get("content-type").map_or("", |kind| kind.as_str().unwrap()).to_owned();
        Got { status: response.status(), kind, body: response.body().to_owned(), line }
    }

    fn send(&self, headers: &Headers, body: &[u8]) -> Got {
        self.handle(&self.request(headers, body, ""))
    }

    /// What is sent right, of that body.
    fn post(&self, body: &str) -> Got {
        let headers = self.sender.sign(&self.sender.secret, self.now.as_second(), body.as_bytes());
        self.send(&headers, body.as_bytes())
    }

    fn right(&self) -> Got {
        self.post(&self.sender.body(&self.sender.secret))
    }

    fn queued(&self) -> usize {
        self.queue.sent().len()
    }
}

impl Got {
    /// Status, content type and whether there is a body; and that nothing in it says why.
    fn is(&self, expected: (u16, &str), what: &str) {
        assert_eq!(
            (self.status, self.kind.as_str()),
            expected,
            "{what}: {} {}",
            self.line.outcome,
            self.body
        );
        assert_eq!(self.body.is_empty(), expected.1.is_empty(), "{what}: {}", self.body);
        // The code of 413 is no secret, and has the same word.
        assert!(self.status == 413 || !self.body.contains(self.line.outcome), "{what}: {}", self.body);
    }
}

#[test]
fn a_signed_delivery_is_queued_with_whose_it_is() {
    for sender in senders() {
        let stack = Stack::new(&sender);
        let got = stack.right();
        got.is((200, ""), sender.name);
        assert_eq!((got.line.outcome, got.line.metrics.signature_failures), ("queued", 0), "{}", sender.name);
        assert!(got.line.event_id.is_some() && got.line.event_type.is_some(), "{}", sender.name);
        let (body, attribute) = stack.queue.sent().remove(0);
        let envelope: Value = serde_json::from_str(&attribute).unwrap();
        let id = if sender.provider == "standard_webhooks" { json!("msg_1") } else { Value::Null };
        assert_eq!((&envelope["provider"], &envelope["event_id"]), (&json!(sender.provider), &id));
        assert_eq!(
            (&envelope["org"], &envelope["endpoint"], &envelope["received_at"]),
            (&json!(stack.org), &json!(stack.endpoint), &json!(now()))
        );
        assert_eq!(
            (&envelope["request_id"], &envelope["ip"], &envelope["user_agent"]),
            (&json!("r1"), &json!("203.0.113.9"), &json!("test"))
        );
        assert!(!format!("{body}{attribute}").contains(&sender.secret), "{}", sender.name);
        if !sender.is_business_central() {
            assert_eq!(body, sender.body, "{}: byte for byte", sender.name);
        }
    }
}

#[test]
fn a_public_key_verifies_and_signs_nothing_itself() {
    // RFC 8032, test 1, over the text of a Standard Webhooks message.
    let key = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let signature =
        "v1a,pbpYBMlty2hExn4zt0UTGb6BaP2Vq5AfyzjB9GGV3x/wCJKd8UjOCf8Qhaji6TKY9C5eNMnlF0GG4udaO6B7Ag==";
    let body = r#"{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"1f81eb52-5198-4599-803e-771906343485"}}"#;
    let sender = sender("standard_webhooks");
    let mut stack = Stack::with(&sender, json!({"secrets": [{"secret": key}]}));
    stack.now = Timestamp::from_second(1_674_087_231).unwrap();
    let mut headers: Headers = [
        ("webhook-id", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"),
        ("webhook-timestamp", "1674087231"),
        ("webhook-signature", signature),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    stack.send(&headers, body.as_bytes()).is((200, ""), "v1a");
    assert_eq!(stack.queued(), 1);
    stack.send(&headers, body.replace("contact", "c0ntact").as_bytes()).is(sender.refused(), "another body");
    // Who knows the public key, as all may, cannot sign with it as if it were a secret.
    let text = key.strip_prefix("whpk_").unwrap();
    let mac =
        sign_standard(format!("whsec_{text}").as_bytes(), &headers[0].1, 1_674_087_231, body.as_bytes());
    headers[2].1 = mac.unwrap();
    stack.send(&headers, body.as_bytes()).is(sender.refused(), "the public key as a secret");
    assert_eq!(stack.queued(), 1);
}

/// Everything hostile that a stranger can make of a right delivery.
fn forgeries(sender: &Sender) -> Vec<(String, Headers, Vec<u8>)> {
    let t = now().as_second();
    let body = sender.body(&sender.secret).into_bytes();
    let right = sender.sign(&sender.secret, t, &body);
    let foreign = sender.body(&sender.other).into_bytes();
    let mut forged = vec![
        ("another secret".to_owned(), sender.sign(&sender.other, t, &foreign), foreign),
        ("no header and no secret".to_owned(), Vec::new(), sender.body("").into_bytes()),
        ("an empty body".to_owned(), right.clone(), Vec::new()),
    ];
    if sender.is_business_central() {
        let state = |state: Value| {
            let mut one = notice("", COMPANY);
            one["clientState"] = state;
            json!({"value": [one]}).to_string().into_bytes()
        };
        let secret = &sender.secret;
        let doubled = String::from_utf8(body.clone()).unwrap();
        let doubled = doubled.replace(r#""clientState""#, r#""clientState":"x","clientState""#);
        let shown = String::from_utf8(body).unwrap();
        for (what, body) in [
            ("a longer secret", state(json!(format!("{secret}x")))),
            ("a shorter secret", state(json!(secret.split_at(secret.len() - 1).0))),
            ("another case", state(json!(secret.to_uppercase()))),
            ("a list of secrets", state(json!([secret]))),
            ("no secret", state(Value::Null)),
            ("a field twice", doubled.into_bytes()),
            ("no list", shown.replace("[{", "{").replace("}]", "}").into_bytes()),
            ("a list alone", format!("[{}]", notice(secret, COMPANY)).into_bytes()),
            (
                "the secret outside the elements",
                json!({"clientState": secret, "value": []}).to_string().into_bytes(),
            ),
            ("too deep", format!(r#"{{"value":{}{}}}"#, "[".repeat(9_000), "]".repeat(9_000)).into_bytes()),
            ("no JSON", b"clientState=".to_vec()),
        ] {
            forged.push((what.to_owned(), Vec::new(), body));
        }
        return forged;
    }
    let changed: Vec<u8> = body.iter().map(|b| if *b == b'1' { b'2' } else { *b }).collect();
    assert_ne!(changed, body, "{}", sender.name);
    forged.push(("a changed byte".to_owned(), right.clone(), changed));
    forged.push(("a blank more".to_owned(), right.clone(), [body.as_slice(), b" "].concat()));
    forged.push(("not UTF-8, of another body".to_owned(), right.clone(), vec![0xff, 0xfe]));
    for (at, (name, value)) in right.iter().enumerate() {
        let mut missing = right.clone();
        missing.remove(at);
        forged.push((format!("no {name}"), missing, body.clone()));
        for odd in [
            String::new(),
            format!("{value},{value}"),
            format!("{value}, {value}"),
            format!(" {value}"),
            format!("{value}\n"),
            format!("{value}="),
            value.split_at(value.len() - 1).0.to_owned(),
            "x".repeat(20_000),
        ] {
            let mut headers = right.clone();
            headers[at].1 = odd.clone();
            forged.push((format!("{name}: {odd:.60}"), headers, body.clone()));
        }
    }
    // A right signature under a name that is not read.
    let renamed = right.iter().map(|(name, value)| (format!("x-{name}"), value.clone())).collect();
    forged.push(("other names".to_owned(), renamed, body.clone()));
    if sender.is_timed() {
        for seconds in [-301, 301, -86_400, 86_400] {
            let headers = sender.sign(&sender.secret, t + seconds, &body);
            forged.push((format!("{seconds} s away"), headers, body.clone()));
        }
        for odd in ["0", "-1", "+1", "1e9", "01781524800", "1781524800.0", "99999999999999999999"] {
            let mut headers = right.clone();
            let time = headers.iter_mut().find(|(name, _)| name.to_lowercase().contains("time")).unwrap();
            time.1 = odd.to_owned();
            forged.push((format!("time {odd}"), headers, body.clone()));
        }
    }
    forged
}

#[test]
fn what_is_forged_gets_what_its_sender_expects_and_goes_nowhere() {
    for sender in senders() {
        let stack = Stack::new(&sender);
        stack.right();
        let calls = stack.faults.calls();
        for (what, headers, body) in forgeries(&sender) {
            let got = stack.send(&headers, &body);
            got.is(sender.refused(), &format!("{}, {what}", sender.name));
            assert!(
                got.line.outcome.starts_with("signature_"),
                "{}, {what}: {}",
                sender.name,
                got.line.outcome
            );
            assert_eq!(got.line.metrics.signature_failures, 1, "{}, {what}", sender.name);
        }
        assert_eq!(
            (stack.queued(), stack.faults.calls()),
            (1, calls),
            "{}: no call and no message",
            sender.name
        );
        assert_eq!(stack.right().status, 200, "{}", sender.name);
    }
}

#[test]
fn times_hold_for_300_seconds_either_way() {
    for sender in senders().into_iter().filter(Sender::is_timed) {
        let stack = Stack::new(&sender);
        for seconds in [-300, 300] {
            let headers =
                sender.sign(&sender.secret, stack.now.as_second() + seconds, sender.body.as_bytes());
            stack.send(&headers, sender.body.as_bytes()).is((200, ""), sender.name);
        }
    }
}

#[test]
fn base64_is_verified_over_the_bytes_that_it_stands_for() {
    for sender in senders() {
        let stack = Stack::new(&sender);
        let body = sender.body(&sender.secret);
        let headers = sender.sign(&sender.secret, stack.now.as_second(), body.as_bytes());
        let ask = |body: &str, is_base64: bool| {
            let headers: serde_json::Map<_, _> =
                headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
            let request = json!({"headers": headers, "pathParameters": {"endpoint": stack.endpoint}, "body": body,
                "isBase64Encoded": is_base64, "requestContext": {"requestId": "r1"}});
            stack.handle(&serde_json::from_value(request).unwrap())
        };
        let encoded = STANDARD.encode(&body);
        ask(&encoded, true).is((200, ""), sender.name);
        ask(&encoded, false).is(sender.refused(), sender.name);
        let got = ask("%%%", true);
        got.is(sender.unusable(), sender.name);
        assert_eq!((got.line.outcome, stack.queued()), ("body_not_base64", 1), "{}", sender.name);
    }
}

#[test]
fn what_is_signed_and_no_delivery_is_refused_without_a_reason() {
    for sender in senders().into_iter().filter(|sender| !sender.is_business_central()) {
        let stack = Stack::new(&sender);
        let latin = [sender.body.as_bytes(), b"\xe4"].concat();
        let headers = sender.sign(&sender.secret, stack.now.as_second(), &latin);
        stack.send(&headers, &latin).is(sender.unusable(), sender.name);
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        for body in ["", "{", "null", "7", "{}", "\u{feff}{}", &deep, &format!("{}x", sender.body)] {
            stack.post(body).is(sender.unusable(), &format!("{} {body:.20}", sender.name));
        }
        assert_eq!(stack.queued(), 0, "{}", sender.name);
    }
    let sender = sender("business_central");
    let stack = Stack::new(&sender);
    let mut one = notice(&sender.secret, COMPANY);
    one["resource"] = "nothing".into();
    let got = stack.post(&json!({ "value": [one] }).to_string());
    got.is((202, ""), "a resource that is none");
    assert!(!got.line.outcome.starts_with("signature_") && stack.queued() == 0, "{}", got.line.outcome);
    let bytes = [sender.body(&sender.secret).as_bytes(), b"\xe4"].concat();
    stack.send(&Vec::new(), &bytes).is((202, ""), "not UTF-8");
}

#[test]
fn what_is_too_large_is_not_looked_at() {
    for sender in senders() {
        let stack = Stack::new(&sender);
        let body = sender.body(&sender.secret);
        let full = format!("{body}{}", " ".repeat(MAX_BODY - body.len()));
        stack.post(&full).is((200, ""), sender.name);
        let got = stack.post(&format!("{full} "));
        let (status, kind) = if sender.is_business_central() { (202, "") } else { (413, sender.refused().1) };
        got.is((status, kind), sender.name);
        assert_eq!((got.line.outcome, stack.queued()), ("body_too_large", 1), "{}", sender.name);
    }
}

#[test]
fn an_endpoint_that_takes_nothing_is_404_for_every_provider() {
    for sender in senders() {
        for over in
            [json!({"state": "disabled"}), json!({"provider": "stripe"}), json!({"provider": "member"})]
        {
            let stack = Stack::with(&sender, over);
            let got = stack.right();
            got.is((404, "application/problem+json"), sender.name);
            let asked = stack.request(&Vec::new(), b"", "validationToken=t0ken");
            stack.handle(&asked).is((404, "application/problem+json"), sender.name);
            assert_eq!((got.line.outcome, stack.queued()), ("endpoint_unknown", 0), "{}", sender.name);
            assert_eq!(stack.faults.calls(), 1, "{}: it is remembered", sender.name);
        }
        let mut stack = Stack::new(&sender);
        stack.endpoint = Ids::new(now(), [9; 10]).make();
        stack.right().is((404, "application/problem+json"), sender.name);
    }
}

#[test]
fn an_entry_without_what_verifies_takes_nothing() {
    for sender in senders() {
        let expired = json!([{"secret": sender.secret, "expires_at": "2026-06-15T12:00:00Z"}]);
        let pending =
            json!([{"secret": sender.secret, "expires_at": "2999-01-01T00:00:00Z", "pending": true}]);
        for secrets in [json!([]), json!([{"secret": ""}]), json!([{"secret": "  "}]), expired, pending] {
            let stack = Stack::with(&sender, json!({ "secrets": secrets }));
            stack.right().is(sender.refused(), &format!("{} {secrets}", sender.name));
            let empty = sender.body("");
            let headers = match sender.provider {
                "standard_webhooks" => Vec::new(),
                _ => sender.sign("", stack.now.as_second(), empty.as_bytes()),
            };
            stack.send(&headers, empty.as_bytes()).is(sender.refused(), "signed with nothing");
            assert_eq!(stack.queued(), 0, "{}", sender.name);
        }
    }
    let generic = sender("generic_hmac");
    let stack = Stack::with(&generic, json!({"hmac": null}));
    let got = stack.right();
    got.is(generic.refused(), "no scheme");
    assert_eq!(got.line.outcome, "signature_no_scheme");
    let odd = json!({"header": "cookie", "encoding": "hex", "digest": "sha256"});
    let got = Stack::with(&generic, json!({ "hmac": odd })).right();
    assert_eq!((got.status, got.line.outcome), (503, "vault_entry_unreadable"));
}

#[test]
fn old_and_new_secret_hold_until_the_old_one_ends() {
    for sender in senders() {
        let secrets = json!([{"secret": sender.other},
            {"secret": sender.secret, "expires_at": "2026-06-15T13:00:00Z"}]);
        let mut stack = Stack::with(&sender, json!({ "secrets": secrets }));
        let post = |stack: &Stack, secret: &str| {
            let body = sender.body(secret);
            let headers = sender.sign(secret, stack.now.as_second(), body.as_bytes());
            stack.send(&headers, body.as_bytes())
        };
        for (minutes, old) in [(0, (200, "")), (59, (200, "")), (60, sender.refused())] {
            stack.now = now().checked_add(minutes.minutes()).unwrap();
            post(&stack, &sender.other).is((200, ""), sender.name);
            post(&stack, &sender.secret).is(old, &format!("{} after {minutes} minutes", sender.name));
        }
    }
}

#[test]
fn a_delivery_of_another_account_is_refused() {
    for sender in senders() {
        let named = match sender.provider {
            "standard_webhooks" | "generic_hmac" => {
                VOIDED.replace(r#""type""#, r#""account":"PlixoDemo","type""#)
            }
            _ => sender.body(&sender.secret),
        };
        let own = sender.account.unwrap_or("PlixoDemo");
        let stack = Stack::with(&sender, json!({ "account": own }));
        stack.post(&named).is((200, ""), sender.name);
        for account in [json!(OTHER), json!(own.to_uppercase()), json!(format!("{own}0")), Value::Null] {
            if account == json!(own) {
                continue;
            }
            let stack = Stack::with(&sender, json!({ "account": account }));
            let got = stack.post(&named);
            got.is(sender.unusable(), &format!("{} {account}", sender.name));
            let told = (got.line.outcome, got.line.metrics.signature_failures, stack.queued());
            assert_eq!(told, ("event_of_another_account", 0, 0), "{} {account}", sender.name);
        }
    }
    // One that is another's spoils the delivery, also where the first is right.
    let xero = sender("xero");
    let mut both: Value = serde_json::from_str(&xero.body).unwrap();
    let mut foreign = both["events"][0].clone();
    foreign["tenantId"] = OTHER.into();
    both["events"].as_array_mut().unwrap().push(foreign);
    let stack = Stack::new(&xero);
    stack.post(&both.to_string()).is((400, ""), "two tenants");
    // A name that is no plain id is compared by its hash.
    let erpnext = sender("erpnext");
    let stack = Stack::with(
        &erpnext,
        json!({"account": plixo_webhooks::canonical::external_id("Zoë & Söhne GmbH").unwrap()}),
    );
    let named = |company: &str| json!({"doctype": "Sales Order", "company": company}).to_string();
    stack.post(&named("Zoë & Söhne GmbH")).is((200, ""), "its company");
    stack.post(&named("Zoe & Söhne GmbH")).is(erpnext.unusable(), "another");
    stack.post(r#"{"doctype": "Customer"}"#).is((200, ""), "one of no company");
}

#[test]
fn xeros_intent_to_receive_is_answered_and_queues_nothing() {
    let sender = sender("xero");
    let stack = Stack::new(&sender);
    let asked = r#"{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3r4Nd0mt3xt"}"#;
    let got = stack.post(asked);
    got.is((200, ""), "signed right");
    assert_eq!((got.line.outcome, stack.queued()), ("nothing_to_queue", 0));
    let headers = sender.sign(&sender.other, now().as_second(), asked.as_bytes());
    stack.send(&headers, asked.as_bytes()).is((401, ""), "signed wrong");
}

#[test]
fn business_centrals_handshake_is_echoed_as_plain_text_and_nothing_else_is() {
    let sender = sender("business_central");
    let stack = Stack::new(&sender);
    let ask = |query: &str| stack.handle(&stack.request(&Vec::new(), b"", query));
    let longest = "t".repeat(1_024);
    for (query, token) in [
        ("validationToken=abc-123", "abc-123"),
        ("x=1&validationtoken=a%2Fb%3D%3D", "a/b=="),
        ("validationToken=Validation%3A+Testing+client", "Validation: Testing client"),
        (&format!("validationToken={longest}"), &longest),
    ] {
        let got = ask(query);
        got.is((200, "text/plain; charset=utf-8"), query);
        assert_eq!((got.body.as_str(), got.line.outcome), (token, "handshake"));
    }
    for query in [
        "validationToken=",
        &format!("validationToken={longest}t"),
        "validationToken=%3Cscript%3E",
        "validationToken=a%0D%0Ab",
        "validationToken=%C3%A4",
        "validationToken=a&validationToken=b",
    ] {
        let got = ask(query);
        got.is((202, ""), query);
        assert_eq!(got.line.outcome, "handshake_unusable");
    }
    assert_eq!((stack.queued(), stack.faults.calls()), (0, 1), "the secrets were read once");
    // No other sender asks so.
    for other in senders().into_iter().filter(|other| !other.is_business_central()) {
        let stack = Stack::new(&other);
        let got = stack.handle(&stack.request(&Vec::new(), b"", "validationToken=abc-123"));
        got.is(other.refused(), other.name);
        assert!(!got.body.contains("abc-123"), "{}", other.name);
    }
}

#[test]
fn of_a_mixed_delivery_only_what_holds_goes_on_and_without_its_secret() {
    let sender = sender("business_central");
    let stack = Stack::new(&sender);
    let (own, foreign) = (notice(&sender.secret, COMPANY), notice(&sender.other, OTHER));
    let mut last = notice(&sender.secret, COMPANY);
    last["subscriptionId"] = "last".into();
    // Versions before 19 send a byte order mark.
    let got = stack.post(&format!("\u{feff}{}", json!({"value": [own, foreign, last]})));
    got.is((200, ""), "mixed");
    assert_eq!(got.line.metrics.signature_failures, 1, "the one that was dropped shows");
    let (body, attribute) = stack.queue.sent().remove(0);
    let queued: Value = serde_json::from_str(&body).unwrap();
    let subscriptions: Vec<_> =
        queued["value"].as_array().unwrap().iter().map(|one| one["subscriptionId"].clone()).collect();
    assert_eq!(subscriptions, ["s", "last"]);
    for secret in ["clientState", &sender.secret, &sender.other, OTHER] {
        assert!(!body.contains(secret) && !attribute.contains(secret), "{body}");
    }
    let escaped = sender.body(&sender.secret).replace("clientState", "client\\u0053tate");
    stack.post(&escaped).is((200, ""), "the name written another way");
    let (body, _) = stack.queue.sent().remove(1);
    assert!(!body.contains("canary") && !body.contains("tate"), "{body}");
    // One of another company under this secret spoils what is left.
    let moved = notice(&sender.secret, OTHER);
    let got = stack.post(&json!({"value": [own, moved]}).to_string());
    got.is((202, ""), "another company");
    assert_eq!((got.line.outcome, stack.queued()), ("event_of_another_account", 2));
}

#[test]
fn business_central_never_gets_a_code_that_deletes_its_subscription() {
    let sender = sender("business_central");
    let safe = |status: u16| matches!(status, 200..=299 | 408 | 429 | 500..=599);
    for (what, headers, body) in forgeries(&sender) {
        for fault in [None, Some(0), Some(1)] {
            let stack = Stack::new(&sender);
            if let Some(call) = fault {
                stack.faults.plan(call, Fault::Refuses);
            }
            let got = stack.send(&headers, &body);
            assert!(safe(got.status), "{what} {fault:?}: {}", got.status);
        }
    }
    for entry in [json!({"v": 2}), json!({"secrets": "none"}), json!({"account": null})] {
        assert!(safe(Stack::with(&sender, entry).right().status));
    }
}

#[test]
fn a_warm_delivery_makes_one_call_and_a_refused_one_none() {
    for sender in senders() {
        let stack = Stack::new(&sender);
        stack.right();
        let before = stack.faults.calls();
        assert_eq!(before, 2, "{}: its secrets, and the queue", sender.name);
        stack.right();
        assert_eq!(stack.faults.calls(), before + 1, "{}", sender.name);
        stack.send(&Vec::new(), b"{}").is(sender.refused(), sender.name);
        assert_eq!(stack.faults.calls(), before + 1, "{}", sender.name);
    }
}

#[test]
fn when_a_service_fails_the_sender_is_told_to_send_again() {
    for sender in senders() {
        for (call, reason) in [(0, "vault_unavailable"), (1, "queue_unavailable")] {
            for fault in [Fault::Refuses, Fault::LosesAnswer] {
                let stack = Stack::new(&sender);
                stack.faults.plan(call, fault);
                let got = stack.right();
                assert_eq!((got.status, got.line.outcome), (503, reason), "{}", sender.name);
                let is_told = call == 0 || !sender.refused().1.is_empty();
                assert_eq!(got.body.is_empty(), !is_told, "{}", sender.name);
                stack.right().is((200, ""), sender.name);
            }
        }
    }
}

#[test]
fn card_numbers_do_not_reach_the_queue() {
    for name in ["standard_webhooks", "erpnext", "generic_hmac"] {
        let sender = sender(name);
        let stack = Stack::new(&sender);
        let body = sender.body.replacen('{', r#"{"remarks": "4242 4242 4242 4242", "#, 1);
        let got = stack.post(&body);
        got.is((200, ""), name);
        let (queued, _) = stack.queue.sent().remove(0);
        assert!(!queued.contains("4242 4242") && queued.contains("4242"), "{queued}");
        assert_eq!(got.line.cards_redacted, Some(1));
    }
}

#[test]
fn nor_do_those_of_a_header() {
    const CARD: &str = "4242424242424242";
    let sender = sender("standard_webhooks");
    let stack = Stack::new(&sender);
    let (secret, at) = (sender.secret.as_bytes(), now().as_second());
    let signature = sign_standard(secret, CARD, at, VOIDED.as_bytes()).unwrap();
    let headers = [
        ("webhook-id", CARD.to_owned()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", signature),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
    stack.send(&headers, VOIDED.as_bytes()).is((200, ""), "its signature holds");
    let (queued, attribute) = stack.queue.sent().remove(0);
    assert!(!format!("{queued}{attribute:?}").contains(CARD), "{attribute:?}");
}

#[test]
fn a_realm_that_could_be_a_card_number_does_not_and_is_known_by_its_hash() {
    const CARD: &str = "4620816365294876505";
    let own = plixo_webhooks::canonical::external_id(CARD).unwrap();
    for name in ["quickbooks", "quickbooks CloudEvents"] {
        let sender = sender(name);
        let stack = Stack::with(&sender, json!({ "account": own }));
        let got = stack.post(&sender.body.replace(REALM, CARD));
        got.is((200, ""), name);
        let (queued, _) = stack.queue.sent().remove(0);
        assert!(!queued.contains(CARD) && queued.contains(own.as_str()), "{queued}");
        assert_eq!(got.line.cards_redacted, None);
    }
}
