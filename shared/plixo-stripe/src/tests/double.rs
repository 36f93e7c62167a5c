//! The client meets Stripe's double, `infra/local/stripe`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{INVOICE, ORG, block_on, money, order, secret};
use crate::{Checkout, Order, Session, SessionStatus, Stripe, StripeError};

/// A double with an account of its own; it ends with its standard input.
struct Double {
    process: Child,
    folder: PathBuf,
    url: String,
    account: String,
    key: String,
}

impl Double {
    fn start(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("plixo-stripe-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let state = folder.join("state.json");
        let mut process = Command::new("python3")
            .args(["-m", "infra.local.stripe", "--port", "0", "--stop-on-stdin-eof", "--state"])
            .arg(&state)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It says its address once its state is written.
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with("Stripe double at"), "{said:?}");
        let state: Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
        let text = |at: &str| state.pointer(at).unwrap().as_str().unwrap().to_owned();
        Self {
            process,
            folder,
            url: text("/base_url"),
            account: text("/accounts/0/id"),
            key: text("/accounts/0/keys/0/key"),
        }
    }

    fn stripe(&self) -> Stripe {
        Stripe::new(&self.url)
    }

    fn create(&self, order: &Order) -> Result<Session, StripeError> {
        block_on(self.stripe().create(&secret(&self.key), order))
    }

    fn retrieve(&self, id: &str) -> Result<Session, StripeError> {
        block_on(self.stripe().retrieve(&secret(&self.key), id))
    }

    fn expire(&self, id: &str) -> Result<Session, StripeError> {
        block_on(self.stripe().expire(&secret(&self.key), id))
    }

    /// A request in one go: its status and text.
    fn send(&self, method: &str, path: &str, kind: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: double\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}",
            self.key
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The control door.
    fn door(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, told) =
            self.send(method, &format!("/_double/{path}"), "application/json", &body.to_string());
        assert_eq!(status, 200, "{told}");
        serde_json::from_str(&told).unwrap()
    }

    fn fault(&self, fault: Value) {
        let mut fault = fault;
        fault["path"] = "/v1/checkout/sessions".into();
        self.door("POST", "faults", &fault);
    }

    /// An object as the double has it.
    fn seen(&self, path: &str) -> Value {
        let (status, told) = self.send("GET", &format!("/v1/{path}"), "text/plain", "");
        assert_eq!(status, 200, "{told}");
        serde_json::from_str(&told).unwrap()
    }

    fn sessions(&self) -> usize {
        self.seen("checkout/sessions?limit=100")["data"].as_array().unwrap().len()
    }

    /// A key that may only so much.
    fn restricted(&self, permissions: &[&str]) -> String {
        let path = format!("accounts/{}/keys", self.account);
        let made = self.door("POST", &path, &json!({ "permissions": permissions }));
        made["key"].as_str().unwrap().to_owned()
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An order that Stripe takes now: it judges `expires_at` by its own clock.
fn invoice(idempotency_key: &str) -> Order {
    #[expect(clippy::disallowed_methods, reason = "the double's clock is the machine's")]
    let now = Timestamp::try_from(std::time::SystemTime::now()).unwrap();
    order(idempotency_key, money(12_500, "EUR"), now + SignedDuration::from_hours(1))
}

#[test]
fn a_session_is_made_once_per_key_read_back_and_expired() {
    let double = Double::start("made");
    let order = invoice("k-1");
    let made = double.create(&order).unwrap();
    assert_eq!((made.status, made.is_paid, &made.payment_intent), (SessionStatus::Open, false, &None));
    assert!(made.url.as_ref().unwrap().reveal().starts_with(&double.url));
    assert_eq!(double.create(&order).as_ref(), Ok(&made));
    assert_eq!(double.retrieve(made.id.as_str()).as_ref(), Ok(&made));
    assert_eq!(double.sessions(), 1);

    let seen = double.seen(&format!("checkout/sessions/{}?expand[]=line_items", made.id));
    assert_eq!(seen["mode"], "payment");
    assert_eq!((&seen["amount_total"], &seen["currency"]), (&json!(12_500), &json!("eur")));
    assert_eq!(seen["client_reference_id"], INVOICE);
    assert_eq!(seen["metadata"], json!({"plixo_invoice_id": INVOICE, "plixo_org_id": ORG}));
    assert_eq!(
        (&seen["success_url"], &seen["cancel_url"]),
        (&json!(order.success_url), &json!(order.cancel_url))
    );
    assert_eq!((&seen["expires_at"], &seen["locale"]), (&json!(order.expires_at.as_second()), &json!("de")));
    let lines = seen["line_items"]["data"].as_array().unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["description"], &lines[0]["quantity"]), (&json!(order.description), &json!(1)));

    let another = Order { amount: money(12_501, "EUR"), ..order.clone() };
    let error = double.create(&another).unwrap_err();
    assert!(
        matches!(&error, StripeError::Refused(cause) if cause.contains("idempotency_error")),
        "{error:?}"
    );
    assert_ne!(double.create(&invoice("k-2")).unwrap().id, made.id);

    let expired = Session { url: None, status: SessionStatus::Expired, ..made };
    for _ in 0..2 {
        assert_eq!(double.expire(expired.id.as_str()).as_ref(), Ok(&expired));
    }
    assert_eq!(double.retrieve(expired.id.as_str()).as_ref(), Ok(&expired));
}

#[test]
fn a_session_that_is_paid_stays_so_and_its_money_names_the_invoice() {
    let double = Double::start("paid");
    let made = double.create(&invoice("k-1")).unwrap();
    let page = made.url.unwrap().reveal().strip_prefix(&double.url).unwrap().to_owned();
    let form =
        "method=card&card_number=4242424242424242&expiry=12%2F34&cvc=123&name=P&email=p%40payer.example";
    let (status, told) = double.send("POST", &page, "application/x-www-form-urlencoded", form);
    assert_eq!(status, 303, "{told}");
    for session in [double.retrieve(made.id.as_str()).unwrap(), double.expire(made.id.as_str()).unwrap()] {
        assert_eq!((session.status, session.is_paid), (SessionStatus::Complete, true));
        let intent = session.payment_intent.unwrap();
        let named = json!({"plixo_invoice_id": INVOICE, "plixo_org_id": ORG});
        assert_eq!(double.seen(&format!("payment_intents/{intent}"))["metadata"], named);
        assert_eq!(double.seen(&format!("charges?payment_intent={intent}"))["data"][0]["metadata"], named);
    }
}

#[test]
fn what_stripe_will_not_do_is_told_apart() {
    let double = Double::start("refused");
    let unknown = "cs_test_a1canary";
    assert_eq!(double.retrieve(unknown), Err(StripeError::NotFound));
    assert_eq!(double.expire(unknown), Err(StripeError::NotFound));
    let made = double.create(&invoice("k-1")).unwrap();

    let stripe = double.stripe();
    let reader = double.restricted(&["checkout_session_read"]);
    let writer = double.restricted(&["checkout_session_write"]);
    let expired = double.restricted(&["checkout_session_write"]);
    double.door("DELETE", &format!("keys/{expired}"), &json!({}));
    let order = invoice("k-2");
    for (key, may_read, may_write) in [
        (reader.as_str(), true, false),
        (&writer, true, true),
        (&expired, false, false),
        ("sk_test_canary", false, false),
        ("", false, false),
    ] {
        let key = secret(key);
        let done = [
            (block_on(stripe.retrieve(&key, made.id.as_str())), may_read),
            (block_on(stripe.create(&key, &order)), may_write),
            (block_on(stripe.expire(&key, made.id.as_str())), may_write),
        ];
        for (done, may) in done {
            match &done {
                Ok(_) => assert!(may),
                Err(error) => {
                    assert!(!may && matches!(error, StripeError::KeyRefused(_)), "{error:?}");
                    let shown = format!("{error} {error:?}");
                    assert!(!shown.contains(key.reveal()) || key.reveal().is_empty(), "{shown}");
                    assert!(!shown.contains("canary"), "{shown}");
                }
            }
        }
    }

    let mut order = invoice("k-3");
    order.expires_at += SignedDuration::from_hours(48);
    let error = double.create(&order).unwrap_err();
    assert!(matches!(&error, StripeError::Refused(cause) if cause.contains("expires_at")), "{error:?}");
}

#[test]
fn what_breaks_is_tried_again_and_never_done_twice() {
    let double = Double::start("broken");
    let unavailable = |done: Result<Session, StripeError>| matches!(done, Err(StripeError::Unavailable(_)));
    for (n, (fault, passes)) in [
        (json!({"answer": 503}), true),
        (json!({"answer": 503, "times": 2}), false),
        (json!({"answer": 429}), true),
        (json!({"answer": 429, "times": 2}), false),
        (json!({"answer": 409}), true),
        (json!({"answer": "reset"}), true),
        (json!({"answer": "reset", "when": "after"}), true),
        (json!({"answer": "reset", "times": 2}), false),
    ]
    .into_iter()
    .enumerate()
    {
        let order = invoice(&format!("k-{n}"));
        let before = double.sessions();
        double.fault(fault.clone());
        let done = double.create(&order);
        assert_eq!(done.is_ok(), passes, "{fault}: {done:?}");
        assert!(passes || unavailable(done), "{fault}");
        double.create(&order).unwrap();
        assert_eq!(double.sessions(), before + 1, "{fault}");
    }
    // Expiring has no key, and needs none.
    let made = double.create(&invoice("k-expire")).unwrap();
    double.fault(json!({"answer": "reset", "when": "after"}));
    assert_eq!(double.expire(made.id.as_str()).unwrap().status, SessionStatus::Expired);

    // A 500 stays the answer of its key.
    double.fault(json!({"answer": 500}));
    let order = invoice("k-500");
    assert!(unavailable(double.create(&order)));
    assert!(unavailable(double.create(&order)));
    assert!(double.create(&invoice("k-501")).is_ok());
}

#[test]
fn who_is_silent_is_not_waited_for() {
    let double = Double::start("silent");
    let order = invoice("k-1");
    double.fault(json!({"answer": "timeout", "seconds": 30}));
    let impatient = double.stripe().with_patience(Duration::from_millis(500));
    let done = block_on(impatient.create(&secret(&double.key), &order));
    assert_eq!(done, Err(StripeError::Unavailable("it took too long".to_owned())));
    // The first request is still at work.
    let error = double.create(&order).unwrap_err();
    assert!(matches!(&error, StripeError::Unavailable(cause) if cause.starts_with("409 ")), "{error:?}");
}

#[test]
fn special_currencies_are_charged_what_the_invoice_says() {
    let double = Double::start("currencies");
    for (n, (amount, currency, told)) in [
        (500, "ISK", 50_000),
        (500, "UGX", 50_000),
        (10_000, "MGA", 100),
        (500, "JPY", 500),
        (1_230, "KWD", 1_230),
        (12_345, "USD", 12_345),
    ]
    .into_iter()
    .enumerate()
    {
        let order = Order { amount: money(amount, currency), ..invoice(&format!("k-{n}")) };
        let made = double.create(&order).unwrap();
        let seen = double.seen(&format!("checkout/sessions/{}", made.id));
        assert_eq!(seen["amount_total"], told, "{currency}");
        assert_eq!(seen["currency"], currency.to_lowercase());
    }
    for (amount, currency) in
        [(10_050, "MGA"), (1_234, "KWD"), (49, "EUR"), (i64::MAX, "ISK"), (0, "EUR"), (-1, "EUR")]
    {
        let order = Order { amount: money(amount, currency), ..invoice(&format!("k-{currency}-{amount}")) };
        let done = double.create(&order);
        assert!(matches!(done, Err(StripeError::Refused(_))), "{amount} {currency}: {done:?}");
    }
}
