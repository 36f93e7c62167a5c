//! A server on this machine that answers as told; Stripe's double is in `double`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use plixo_domain::money::Money;
use plixo_domain::secret::Secret;
use proptest::prelude::*;

use crate::{Checkout, Order, Session, SessionStatus, Stripe, StripeError};

mod double;

const INVOICE: &str = "inv_01kv2vf200eqk8kdny1yvq6gsw";
const ORG: &str = "org_01h2xcejqtf2nbrexx3vqjhp41";

fn money(amount: i64, currency: &str) -> Money {
    Money::new(amount, currency.parse().unwrap())
}

fn order(idempotency_key: &str, amount: Money, expires_at: Timestamp) -> Order {
    Order {
        idempotency_key: idempotency_key.to_owned(),
        amount,
        description: "Invoice 2026-0042 & Söhne".to_owned(),
        invoice: INVOICE.parse().unwrap(),
        org: ORG.parse().unwrap(),
        locale: "de",
        success_url: "https://pay.example/p/done?s={CHECKOUT_SESSION_ID}".to_owned(),
        cancel_url: "https://pay.example/p/back?a=1&b=2".to_owned(),
        expires_at,
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn an_order_is_sent_as_stripe_documents_it() {
    let order = order("k", money(12_500, "EUR"), "2026-11-28T12:30:00.9Z".parse().unwrap());
    let form = order.form().unwrap();
    assert_eq!(
        form,
        "mode=payment\
         &line_items%5B0%5D%5Bquantity%5D=1\
         &line_items%5B0%5D%5Bprice_data%5D%5Bcurrency%5D=eur\
         &line_items%5B0%5D%5Bprice_data%5D%5Bunit_amount%5D=12500\
         &line_items%5B0%5D%5Bprice_data%5D%5Bproduct_data%5D%5Bname%5D=Invoice+2026-0042+%26+S%C3%B6hne\
         &client_reference_id=inv_01kv2vf200eqk8kdny1yvq6gsw\
         &metadata%5Bplixo_invoice_id%5D=inv_01kv2vf200eqk8kdny1yvq6gsw\
         &metadata%5Bplixo_org_id%5D=org_01h2xcejqtf2nbrexx3vqjhp41\
         &payment_intent_data%5Bmetadata%5D%5Bplixo_invoice_id%5D=inv_01kv2vf200eqk8kdny1yvq6gsw\
         &payment_intent_data%5Bmetadata%5D%5Bplixo_org_id%5D=org_01h2xcejqtf2nbrexx3vqjhp41\
         &adaptive_pricing%5Benabled%5D=false\
         &success_url=https%3A%2F%2Fpay.example%2Fp%2Fdone%3Fs%3D%7BCHECKOUT_SESSION_ID%7D\
         &cancel_url=https%3A%2F%2Fpay.example%2Fp%2Fback%3Fa%3D1%26b%3D2\
         &expires_at=1795869000\
         &locale=de"
    );
}

proptest! {
    #[test]
    fn every_amount_is_sent_in_stripes_units_or_not_at_all(
        amount in prop_oneof![0..1_000_000_000i64, (0..10_000i64).prop_map(|n| n * 100), any::<i64>()],
        currency in prop::sample::select(&["ISK", "UGX", "MGA", "EUR", "USD", "JPY", "KWD", "HUF"][..]),
        name in ".{1,40}",
    ) {
        let mut order = order("k", money(amount, currency), Timestamp::UNIX_EPOCH);
        order.description = name.clone();
        let form = order.form();
        prop_assert_eq!(&form, &order.clone().form());
        let Ok(form) = form else {
            prop_assert!(matches!(currency, "ISK" | "UGX" | "MGA"));
            return Ok(());
        };
        let sent: Vec<_> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
        let value = |name: &str| sent.iter().find(|(it, _)| it.ends_with(name)).unwrap().1.clone();
        prop_assert_eq!(value("[currency]"), currency.to_lowercase());
        prop_assert_eq!(value("[product_data][name]"), name);
        let told: i64 = value("[unit_amount]").parse().unwrap();
        prop_assert_eq!(plixo_domain::stripe::money(told, currency.parse().unwrap()), Ok(money(amount, currency)));
    }
}

/// Answers each connection's first request with the next of the given bytes, the last again and again, and hangs up;
/// nothing: silence.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = {
                    let n = seen.lock().unwrap().len();
                    answers.get(n.min(answers.len().saturating_sub(1))).cloned()
                };
                serve(stream, answer.as_deref(), &seen);
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn stripe(&self) -> Stripe {
        Stripe::new(&self.url).without_pause()
    }
}

fn serve(mut stream: TcpStream, answer: Option<&str>, asked: &Mutex<Vec<String>>) {
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    while let Ok(1..) = stream.read(&mut part).inspect(|n| seen.extend_from_slice(&part[..*n])) {
        let text = String::from_utf8_lossy(&seen).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() < length.map_or(0, |n| n.parse().unwrap()) {
            continue;
        }
        asked.lock().unwrap().push(text);
        let Some(answer) = answer else {
            // Silent until the client goes.
            let _ = stream.read(&mut part);
            return;
        };
        let _ = stream.write_all(answer.as_bytes());
        return;
    }
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

const SESSION: &str = r#"{"id":"cs_test_a1","object":"checkout.session","payment_intent":null,"payment_status":"unpaid","status":"open","url":"https://checkout.stripe.com/c/pay/cs_test_a1#canary","livemode":false}"#;

fn retrieve(server: &Server) -> Result<Session, StripeError> {
    block_on(server.stripe().retrieve(&secret("rk_test_canary"), "cs_test_a1"))
}

#[test]
fn a_request_carries_key_version_and_idempotency_key() {
    let server = Server::start(&[&answer(200, "", SESSION)]);
    let stripe = Stripe::new(&format!("{}/", server.url));
    let order = order("k-1", money(12_500, "EUR"), Timestamp::UNIX_EPOCH);
    let made = block_on(stripe.create(&secret("rk_test_1"), &order)).unwrap();
    assert_eq!((made.id.as_str(), made.status, made.is_paid), ("cs_test_a1", SessionStatus::Open, false));
    let asked = server.asked();
    let [sent] = asked.as_slice() else { panic!("asked {} times", asked.len()) };
    let (head, body) = sent.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/checkout/sessions HTTP/1.1\r\n"), "{head}");
    for line in [
        "authorization: Bearer rk_test_1",
        "stripe-version: 2025-09-30.clover",
        "idempotency-key: k-1",
        "content-type: application/x-www-form-urlencoded",
    ] {
        assert!(head.lines().any(|it| it == line), "{line}: {head}");
    }
    assert_eq!(body, order.form().unwrap());
}

#[test]
fn how_a_session_stands_is_read_word_by_word() {
    let read = |from: &str, to: &str| serde_json::from_str::<Session>(&SESSION.replace(from, to));
    let paid = r#""payment_intent":"pi_1","payment_status":"paid""#;
    let paid = read(r#""payment_intent":null,"payment_status":"unpaid""#, paid).unwrap();
    assert!(paid.is_paid && paid.payment_intent.is_some_and(|id| id.as_str() == "pi_1"));
    assert!(read("unpaid", "no_payment_required").unwrap().is_paid);
    assert_eq!(read(r#""open""#, r#""complete""#).unwrap().status, SessionStatus::Complete);
    assert_eq!(read(r#""open""#, r#""expired""#).unwrap().status, SessionStatus::Expired);
    for (from, to) in [
        ("unpaid", "refunded"),
        (r#""open""#, "null"),
        (r#""open""#, r#""paused""#),
        ("cs_test_a1\"", "cs/1\""),
    ] {
        assert!(read(from, to).is_err(), "{to}");
    }
}

#[test]
fn an_answer_that_cannot_be_read_is_no_answer_and_shows_nothing_of_itself() {
    let large = format!(r#"{{"canary":"{}"}}"#, "x".repeat(256 << 10));
    let cut = answer(200, "", SESSION).replace("}", "");
    for (said, tries) in [
        (answer(200, "", "canary"), 1),
        (answer(200, "", ""), 1),
        (answer(200, "", r#"{"id":"canary"}"#), 1),
        (answer(200, "", &SESSION.replace("unpaid", "canary")), 1),
        (answer(200, "", &large), 1),
        (answer(302, "location: http://127.0.0.1:1/canary\r\n", "canary"), 1),
        (cut, 2),
        ("HTTP/1.1 200 OK\r\ncanary".to_owned(), 2),
        ("canary".to_owned(), 2),
        (String::new(), 2),
    ] {
        let server = Server::start(&[&said]);
        let error = retrieve(&server).unwrap_err();
        let shown = said.chars().take(80).collect::<String>();
        assert!(matches!(error, StripeError::Unavailable(_)), "{shown}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        assert_eq!(server.asked().len(), tries, "{shown}");
    }
}

#[test]
fn silence_ends_with_patience_and_nobody_there_at_once() {
    let server = Server::start(&[]);
    let stripe = server.stripe().with_patience(Duration::from_secs(2));
    let error = block_on(stripe.retrieve(&secret("rk_test_1"), "cs_test_a1")).unwrap_err();
    assert_eq!(error, StripeError::Unavailable("it took too long".to_owned()));
    assert_eq!(server.asked().len(), 1);
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Stripe::new(&format!("http://{}", listener.local_addr().unwrap()))
    };
    let error = block_on(nobody.retrieve(&secret("rk_test_1"), "cs_test_a1")).unwrap_err();
    assert_eq!(error, StripeError::Unavailable("it cannot be reached".to_owned()));
}

#[test]
fn a_tls_handshake_that_does_not_end_is_given_up() {
    let server = Server::start(&[]);
    let stripe = Stripe::new(&server.url.replace("http:", "https:"));
    let error = block_on(stripe.retrieve(&secret("rk_test_1"), "cs_test_a1")).unwrap_err();
    assert_eq!(error, StripeError::Unavailable("connecting took too long".to_owned()));
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn what_may_pass_is_tried_twice_and_stripes_word_on_that_goes_first() {
    let yes = "stripe-should-retry: true\r\n";
    let no = "stripe-should-retry: false\r\n";
    for (status, headers, tries) in [
        (409, "", 2),
        (429, "", 2),
        (500, "", 2),
        (503, "", 2),
        (500, no, 1),
        (429, no, 1),
        (400, "", 1),
        (402, yes, 2),
        (404, "", 1),
    ] {
        let server = Server::start(&[&answer(status, headers, "{}")]);
        assert!(retrieve(&server).is_err(), "{status}");
        assert_eq!(server.asked().len(), tries, "{status} {headers}");
        let server = Server::start(&[&answer(status, headers, "{}"), &answer(200, "", SESSION)]);
        assert_eq!(retrieve(&server).is_ok(), tries == 2, "{status} {headers}");
    }
}

#[test]
fn a_second_try_is_the_first_byte_for_byte() {
    let server = Server::start(&["", &answer(200, "", SESSION)]);
    let order = order("k-1", money(12_500, "EUR"), Timestamp::UNIX_EPOCH);
    block_on(server.stripe().create(&secret("rk_test_1"), &order)).unwrap();
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0], asked[1]);
}

#[test]
fn errors_are_sorted_by_what_the_caller_can_do() {
    let error = |status: u16, body: &str| {
        let server =
            Server::start(&[&answer(status, "request-id: req_1\r\nstripe-should-retry: false\r\n", body)]);
        retrieve(&server).unwrap_err()
    };
    let told =
        |kind: &str, code: &str| format!(r#"{{"error":{{"type":"{kind}","code":"{code}","param":"id"}}}}"#);
    let missing = told("invalid_request_error", "resource_missing");
    assert_eq!(error(404, &missing), StripeError::NotFound);
    let cause = "400 invalid_request_error resource_missing id req_1";
    assert_eq!(error(400, &missing), StripeError::Refused(cause.to_owned()));
    // A path that nobody has is no session that is not there.
    assert_eq!(error(404, "not here"), StripeError::Refused("404 req_1".to_owned()));
    for status in [401, 403] {
        assert_eq!(error(status, "{}"), StripeError::KeyRefused(format!("{status} req_1")));
    }
    for status in [409, 429, 500, 502, 503] {
        assert_eq!(error(status, "{}"), StripeError::Unavailable(format!("{status} req_1")));
    }
}

#[test]
fn no_secret_shows_itself() {
    let body = r#"{"error":{"type":"canary type","code":"no canary!","param":"https://canary.example","message":"Invalid API key: rk_test_canary; canary@example.com"}}"#;
    for status in [400, 401, 403, 404, 409, 429, 500] {
        let server = Server::start(&[&answer(
            status,
            "request-id: can-ary canary\r\nstripe-should-retry: false\r\n",
            body,
        )]);
        let error = retrieve(&server).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    let server = Server::start(&[&answer(200, "", SESSION)]);
    let stripe = server.stripe();
    let session = block_on(stripe.retrieve(&secret("rk_test_canary"), "cs_test_a1")).unwrap();
    assert!(session.url.as_ref().unwrap().reveal().contains("canary"));
    assert!(!format!("{session:?} {stripe:?}").contains("canary"));
}

#[test]
fn what_no_header_or_path_can_hold_is_not_sent() {
    let server = Server::start(&[&answer(200, "", SESSION)]);
    let stripe = server.stripe();
    let ask = |key: &str, id: &str| block_on(stripe.retrieve(&secret(key), id));
    for key in ["canary\r\nx: y", "canary\0"] {
        let error = ask(key, "cs_test_a1").unwrap_err();
        assert!(matches!(error, StripeError::KeyRefused(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    for id in [
        "",
        "pi_1",
        "cs_test/../../events",
        "cs_test_a1/expire",
        "cs_ä",
        "cs_a?b",
        "cs_a#b",
        &format!("cs_{}", "a".repeat(253)),
    ] {
        assert_eq!(ask("rk_test_1", id), Err(StripeError::NotFound), "{id}");
    }
    let mut order = order("k\n1", money(12_500, "EUR"), Timestamp::UNIX_EPOCH);
    let make = |order: &Order| block_on(stripe.create(&secret("rk_test_1"), order));
    assert_eq!(make(&order), Err(StripeError::Refused("the idempotency key cannot be sent".to_owned())));
    order.amount = money(150, "MGA");
    assert!(matches!(make(&order), Err(StripeError::Refused(_))));
    assert_eq!(server.asked().len(), 0);
    let nowhere = Stripe::new("no url\n");
    let error = block_on(nowhere.retrieve(&secret("rk_test_1"), "cs_test_a1")).unwrap_err();
    assert!(matches!(error, StripeError::Refused(_)), "{error:?}");
}
