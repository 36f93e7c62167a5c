use jiff::{Timestamp, ToSpan};
use plixo_domain::id::{EndpointId, Ids, OrgId};
use plixo_lambda::http::{Request, Response};
use plixo_lambda::line::Line;
use plixo_testing::{FakeQueue, FakeVault, Fault, Faults};
use plixo_webhooks::stripe::sign;
use serde_json::{Value, json};

use plixo_receiver::MAX_BODY;

use super::Receiver;

const SECRET: &str = "whsec_canary_secret";
const EVENT: &str =
    r#"{"id":"evt_1","object":"event","type":"payment_intent.succeeded","created":1,"data":{"object":{}}}"#;

struct Stack {
    vault: FakeVault,
    queue: FakeQueue,
    faults: Faults,
    receiver: Receiver<FakeVault, FakeQueue>,
    endpoint: EndpointId,
    now: Timestamp,
}

impl Stack {
    fn new() -> Self {
        Self::with(json!({}))
    }

    /// A stack whose endpoint has the fields of `over` in its vault entry.
    fn with(over: Value) -> Self {
        let now: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
        let mut ids = Ids::new(now, [3; 10]);
        let (org, endpoint): (OrgId, EndpointId) = (ids.make(), ids.make());
        let mut entry = json!({"v": 1, "org": org, "provider": "stripe", "state": "enabled", "secrets": [{"secret": SECRET}]});
        entry.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        let faults = Faults::default();
        let (vault, queue) = (FakeVault::new(faults.clone()), FakeQueue::new(faults.clone()));
        vault.put(&endpoint.to_string(), entry.to_string());
        let receiver = Receiver::new(vault.clone(), queue.clone());
        Self { vault, queue, faults, receiver, endpoint, now }
    }

    fn request(&self, body: Value, header: &str, base64: bool) -> Request {
        let request = json!({"headers": {"stripe-signature": header}, "pathParameters": {"endpoint": self.endpoint},
            "body": body, "isBase64Encoded": base64, "requestContext": {"requestId": "r1", "http": {"sourceIp": "203.0.113.9"}}});
        serde_json::from_value(request).unwrap()
    }

    fn handle(&self, request: &Request, now: Timestamp) -> (Response, Line) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let line = Line { timestamp: now, ..Line::default() };
        let (response, line) = runtime.block_on(self.receiver.handle(request, line));
        let shown = String::from_utf8(line.bytes()).unwrap() + response.body();
        assert!(!shown.contains("canary"), "{shown}");
        (response, line)
    }

    /// Status, reason and number of messages queued, for a body with a right signature.
    fn post(&self, body: &str) -> (u16, &'static str, usize) {
        let header = sign(SECRET.as_bytes(), self.now.as_second(), body.as_bytes());
        let (response, line) = self.handle(&self.request(body.into(), &header, false), self.now);
        (response.status(), line.outcome, self.queue.sent().len())
    }
}

#[test]
fn a_signed_event_is_queued_as_it_is() {
    let stack = Stack::new();
    assert_eq!(stack.post(EVENT), (200, "queued", 1));
    let (body, attribute) = &stack.queue.sent()[0];
    assert_eq!(body, EVENT);
    let envelope: Value = serde_json::from_str(attribute).unwrap();
    assert_eq!(envelope["v"], 1);
    assert_eq!(envelope["endpoint"], stack.endpoint.to_string());
    assert_eq!(
        (&envelope["request_id"], &envelope["ip"], &envelope["encoding"]),
        (&json!("r1"), &json!("203.0.113.9"), &json!("identity"))
    );
}

#[test]
fn base64_is_verified_over_the_bytes_that_it_stands_for() {
    use base64::Engine;
    let stack = Stack::new();
    let header = sign(SECRET.as_bytes(), stack.now.as_second(), EVENT.as_bytes());
    let encoded = base64::engine::general_purpose::STANDARD.encode(EVENT);
    let (response, _) = stack.handle(&stack.request(encoded.clone().into(), &header, true), stack.now);
    assert_eq!(response.status(), 200);
    let (response, line) = stack.handle(&stack.request(encoded.into(), &header, false), stack.now);
    assert_eq!((response.status(), line.outcome), (400, "signature_mismatch"));
    let (response, line) = stack.handle(&stack.request("%%%".into(), &header, true), stack.now);
    assert_eq!((response.status(), line.outcome), (400, "body_not_base64"));
}

#[test]
fn odd_bodies_get_a_clear_status() {
    let deep = format!(r#"{{"id":"evt_1","type":"t","x":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let full = format!(r#"{{"id":"evt_1","type":"t","x":"{}"}}"#, "a".repeat(MAX_BODY - 32));
    assert_eq!(full.len(), MAX_BODY);
    let doubled = EVENT.replace(r#""object":"event""#, r#""id":"evt_2""#);
    let odd = EVENT.replace(r#""data":"#, "\"x\":\"\u{ffff}\",\"data\":");
    for (body, expected) in [
        ("", (400, "event_not_json", 0)),
        ("{", (400, "event_not_json", 0)),
        ("[]", (400, "event_not_an_event", 0)),
        (r#"{"type":"t"}"#, (400, "event_field", 0)),
        (r#"{"id":"a#b","type":"t"}"#, (400, "event_id_malformed", 0)),
        (r#"{"id":"4242424242424242","type":"t"}"#, (400, "event_id_malformed", 0)),
        (r#"{"id":"evt_1","type":"Mail to canary@example.com"}"#, (400, "event_type_malformed", 0)),
        (r#"{"id":"evt_1","type":"4242424242424242"}"#, (400, "event_type_malformed", 0)),
        (&format!(r#"{{"id":"evt_1","type":"{}"}}"#, "t".repeat(101)), (400, "event_type_malformed", 0)),
        (&deep, (400, "event_too_deep", 0)),
        (&doubled, (400, "event_field", 0)),
        (&full, (200, "queued", 1)),
        (&format!("{full} "), (413, "body_too_large", 0)),
        (&odd, (200, "queued", 1)),
    ] {
        assert_eq!(Stack::new().post(body), expected, "{}", body.chars().take(60).collect::<String>());
    }
    use base64::Engine;
    let stack = Stack::new();
    let header = sign(SECRET.as_bytes(), stack.now.as_second(), full.as_bytes());
    let encoded = base64::engine::general_purpose::STANDARD.encode(&full);
    let (response, line) = stack.handle(&stack.request(encoded.into(), &header, true), stack.now);
    assert_eq!((response.status(), line.outcome), (200, "queued"), "1 MiB in base64");
    let stack = Stack::new();
    let bytes = [b"{\"id\":\"evt_1\",\"type\":\"", [0xff].as_slice(), b"\"}"].concat();
    let header = sign(SECRET.as_bytes(), stack.now.as_second(), &bytes);
    let encoded = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let (response, line) = stack.handle(&stack.request(encoded.into(), &header, true), stack.now);
    assert_eq!((response.status(), line.outcome), (400, "event_not_utf8"));
}

#[test]
fn what_sqs_could_not_carry_is_packed() {
    let stack = Stack::new();
    let text = format!(r#"{{"id":"evt_1","type":"t","x":"{}"}}"#, "a".repeat(MAX_BODY - 32));
    stack.post(&text);
    let (body, attribute) = &stack.queue.sent()[0];
    let envelope: Value = serde_json::from_str(attribute).unwrap();
    assert_eq!(envelope["encoding"], "lz4");
    use base64::Engine;
    let packed = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    assert_eq!(lz4_flex::block::decompress_size_prepended(&packed).unwrap(), text.as_bytes());
}

#[test]
fn endpoints_that_take_nothing_are_not_there() {
    assert_eq!(Stack::with(json!({"state": "disabled"})).post(EVENT), (404, "endpoint_unknown", 0));
    assert_eq!(Stack::with(json!({"secrets": []})).post(EVENT), (400, "signature_mismatch", 0));
    assert_eq!(Stack::with(json!({"v": 2})).post(EVENT), (503, "vault_entry_unreadable", 0));
    let stack = Stack::new();
    stack.vault.put(&stack.endpoint.to_string(), "{}".to_owned());
    assert_eq!(stack.post(EVENT), (503, "vault_entry_unreadable", 0));
}

#[test]
fn one_that_is_enabled_takes_events_a_minute_later() {
    let mut stack = Stack::with(json!({"state": "disabled"}));
    for _ in 0..3 {
        assert_eq!(stack.post(EVENT), (404, "endpoint_unknown", 0));
    }
    assert_eq!(stack.faults.calls(), 1);
    let name = stack.endpoint.to_string();
    stack.vault.put(&name, stack.vault.dump()[&name].replace("disabled", "enabled"));
    stack.now = stack.now.checked_add(60.seconds()).unwrap();
    assert_eq!(stack.post(EVENT), (200, "queued", 1));
}

#[test]
fn a_secret_that_is_pending_verifies_nothing() {
    let pending = json!([{"secret": SECRET, "expires_at": "2999-01-01T00:00:00Z", "pending": true}]);
    assert_eq!(Stack::with(json!({"secrets": pending})).post(EVENT), (400, "signature_mismatch", 0));
}

#[test]
fn guessing_an_endpoint_costs_one_call_and_a_malformed_one_none() {
    let mut stack = Stack::new();
    stack.endpoint = Ids::new(stack.now, [9; 10]).make();
    for _ in 0..5 {
        assert_eq!(stack.post(EVENT), (404, "endpoint_unknown", 0));
    }
    assert_eq!(stack.faults.calls(), 1);
    let malformed = json!({"pathParameters": {"endpoint": "whe_nothing"}, "body": EVENT});
    let (response, line) = stack.handle(&serde_json::from_value(malformed).unwrap(), stack.now);
    assert_eq!((response.status(), line.outcome, stack.faults.calls()), (404, "endpoint_malformed", 1));
    let entry = json!({"v": 1, "org": "org_01h2xcejqtf2nbrexx3vqjhp41", "provider": "stripe", "state": "enabled", "secrets": [{"secret": SECRET}]});
    stack.vault.put(&stack.endpoint.to_string(), entry.to_string());
    stack.now = stack.now.checked_add(61.seconds()).unwrap();
    assert_eq!(stack.post(EVENT), (200, "queued", 1));
}

#[test]
fn a_warm_delivery_makes_one_call_and_a_refused_one_none() {
    let stack = Stack::new();
    stack.post(EVENT);
    let before = stack.faults.calls();
    stack.post(EVENT);
    assert_eq!(stack.faults.calls() - before, 1);
    let (response, line) = stack.handle(&stack.request(EVENT.into(), "t=1,v1=00", false), stack.now);
    assert_eq!((response.status(), line.metrics.signature_failures), (400, 1));
    assert_eq!(stack.faults.calls() - before, 1);
}

#[test]
fn secrets_are_read_again_after_a_minute_and_a_rotated_one_holds_until_it_expires() {
    let mut stack = Stack::new();
    stack.post(EVENT);
    let until = stack.now.checked_add(24.hours()).unwrap();
    let rotated = json!({"v": 1, "org": "org_01h2xcejqtf2nbrexx3vqjhp41", "provider": "stripe", "state": "enabled",
        "secrets": [{"secret": "whsec_new"}, {"secret": SECRET, "expires_at": until}]});
    stack.vault.put(&stack.endpoint.to_string(), rotated.to_string());
    let start = stack.now;
    for (seconds, secret, status) in [
        (59, "whsec_new", 400),
        (60, "whsec_new", 200),
        (60, SECRET, 200),
        (86_399, SECRET, 200),
        (86_400, SECRET, 400),
        (86_400, "whsec_new", 200),
    ] {
        stack.now = start.checked_add(i64::from(seconds).seconds()).unwrap();
        let header = sign(secret.as_bytes(), stack.now.as_second(), EVENT.as_bytes());
        let (response, _) = stack.handle(&stack.request(EVENT.into(), &header, false), stack.now);
        assert_eq!(response.status(), status, "{seconds} {secret}");
    }
}

#[test]
fn an_event_of_another_account_is_refused() {
    let named = EVENT.replace(r#""created":1"#, r#""account":"acct_1","created":1"#);
    assert_eq!(Stack::with(json!({"account": "acct_1"})).post(&named), (200, "queued", 1));
    assert_eq!(Stack::with(json!({"account": "acct_2"})).post(&named), (400, "event_of_another_account", 0));
    assert_eq!(Stack::new().post(&named), (400, "event_of_another_account", 0));
    assert_eq!(Stack::with(json!({"account": "acct_1"})).post(EVENT), (200, "queued", 1));
}

#[test]
fn card_numbers_do_not_reach_the_queue() {
    let stack = Stack::new();
    let body =
        EVENT.replace(r#""object":{}"#, r#""object":{"note":"4242 4242 4242 4242","n":5555555555554444}"#);
    assert_eq!(stack.post(&body), (200, "queued", 1));
    let (queued, _) = &stack.queue.sent()[0];
    assert!(!queued.contains("4242 4242 4242") && !queued.contains("555555555555"), "{queued}");
    assert!(
        serde_json::from_str::<Value>(queued).unwrap()["data"]["object"]["note"]
            .as_str()
            .unwrap()
            .ends_with("4242")
    );
}

#[test]
fn when_a_service_fails_the_sender_is_told_to_send_again() {
    for (n, reason) in [(0, "vault_unavailable"), (1, "queue_unavailable")] {
        for fault in [Fault::Refuses, Fault::LosesAnswer] {
            let stack = Stack::new();
            stack.faults.plan(n, fault);
            let (status, outcome, _) = stack.post(EVENT);
            assert_eq!((status, outcome), (503, reason));
            assert_eq!(stack.post(EVENT).0, 200);
        }
    }
}
