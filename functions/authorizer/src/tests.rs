use std::sync::{Arc, Mutex};

use plixo_domain::people::UserId;
use plixo_testing::Mint;
use serde_json::{Value, json};

use super::*;

const SESSION: &str = "5f1c6d3e-0a3b-4b7e-9d55-0b6f2a6c8e11";

fn now() -> Timestamp {
    "2026-06-15T12:00:00Z".parse().unwrap()
}

fn later(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

fn user() -> UserId {
    "0b6f2a6c-8e11-4b7e-9d55-5f1c6d3e0a3b".parse().unwrap()
}

/// Where keys are published: a text, or nothing at all.
#[derive(Debug, Clone, Default)]
struct Published {
    jwks: Arc<Mutex<Option<String>>>,
    asked: Arc<Mutex<u32>>,
}

impl Published {
    fn of(mints: &[&Mint]) -> Self {
        let published = Self::default();
        published.publish(mints);
        published
    }

    fn publish(&self, mints: &[&Mint]) {
        *self.jwks.lock().unwrap() = Some(Mint::jwks(mints));
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }
}

impl FetchKeys for Published {
    async fn fetch_keys(&self) -> Result<Vec<u8>, AwsError> {
        *self.asked.lock().unwrap() += 1;
        let jwks = self.jwks.lock().unwrap().clone();
        let down = AwsError::Unavailable { service: "Cognito's keys", cause: "it is down".to_owned() };
        jwks.map(String::into_bytes).ok_or(down)
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn authorizer(published: &Published) -> Authorizer<Published> {
    Authorizer::new(Verifier::of_pool(Mint::POOL, Mint::CLIENT.to_owned()), published.clone())
}

fn ready(published: &Published) -> Authorizer<Published> {
    let authorizer = authorizer(published);
    block_on(authorizer.fetch(now())).unwrap();
    authorizer
}

fn question(headers: Value, cookies: Value) -> Question {
    let question = json!({
        "version": "2.0", "type": "REQUEST", "identitySource": null, "routeKey": "GET /v1/orgs", "headers": headers,
        "cookies": cookies, "requestContext": {"requestId": "r1", "http": {"sourceIp": "203.0.113.9", "method": "GET"}},
    });
    serde_json::from_value(question).unwrap()
}

fn bearer(token: &str) -> Question {
    question(json!({"authorization": format!("Bearer {token}")}), json!([]))
}

/// What functions learn, and the line; no token shows in it.
fn judge(authorizer: &Authorizer<Published>, question: &Question, at: Timestamp) -> (Value, Line) {
    let line = Line { timestamp: at, ..Line::default() };
    let (verdict, line) = block_on(authorizer.judge(question, line));
    let verdict = serde_json::to_value(&verdict).unwrap();
    assert_eq!(verdict["isAuthorized"], true, "functions answer themselves");
    let shown = String::from_utf8(line.bytes()).unwrap();
    assert!(!shown.contains("eyJ"), "{shown}");
    (verdict["context"].clone(), line)
}

fn token(mint: &Mint) -> String {
    mint.token(&Mint::claims(user(), SESSION, now()))
}

fn known(by: &str) -> Value {
    json!({"user": user(), "session": SESSION, "signed_in_at": "2026-06-15T12:00:00Z",
        "expires_at": "2026-06-15T13:00:00Z", "by": by})
}

#[test]
fn a_token_in_a_header_or_a_cookie_says_who_asks() {
    let mint = Mint::default();
    let authorizer = ready(&Published::of(&[&mint]));
    let token = token(&mint);
    let cookie = format!("{COOKIE}={token}");
    for (question, by) in [
        (bearer(&token), "bearer"),
        (question(json!({"Authorization": format!("bearer  {token} ")}), json!([])), "bearer"),
        (question(json!({}), json!(["a=b", cookie])), "cookie"),
        (question(json!({"cookie": format!("a=b; {cookie}; c=d")}), json!([])), "cookie"),
        (
            question(json!({"authorization": format!("Bearer {token}")}), json!([format!("{COOKIE}=x")])),
            "bearer",
        ),
    ] {
        let (said, line) = judge(&authorizer, &question, now());
        assert_eq!(said, known(by));
        assert_eq!((line.outcome, line.who), ("known", Some(format!("user:{}", user()))));
    }
}

#[test]
fn an_operator_is_told_as_one() {
    let mint = Mint::default();
    let mut claims = Mint::claims(user(), SESSION, now());
    claims["cognito:groups"] = json!(["operators"]);
    let (said, _) = judge(&ready(&Published::of(&[&mint])), &bearer(&mint.token(&claims)), now());
    assert_eq!(said["operator"], "true");
}

#[test]
fn no_token_another_scheme_or_a_cookie_of_another_name_is_nobody() {
    let mint = Mint::default();
    let authorizer = ready(&Published::of(&[&mint]));
    let token = token(&mint);
    for (question, refused, outcome) in [
        (question(json!({}), json!([])), "missing", "token_missing"),
        (question(json!({"cookie": ""}), json!([""])), "missing", "token_missing"),
        (question(json!({}), json!([format!("plixo-access={token}")])), "missing", "token_missing"),
        (question(json!({}), json!([format!("x{COOKIE}={token}")])), "missing", "token_missing"),
        (
            question(json!({"authorization": format!("Basic {token}")}), json!([])),
            "invalid",
            "token_malformed",
        ),
        (question(json!({"authorization": "Bearer"}), json!([])), "invalid", "token_malformed"),
        (
            question(json!({"authorization": ""}), json!([format!("{COOKIE}={token}")])),
            "invalid",
            "token_malformed",
        ),
        (bearer("x"), "invalid", "token_malformed"),
        (bearer(&"x".repeat(20_000)), "invalid", "token_too_long"),
        (bearer(&format!("{token},{token}")), "invalid", "token_malformed"),
    ] {
        let (said, line) = judge(&authorizer, &question, now());
        assert_eq!((said, line.outcome), (json!({"refused": refused}), outcome));
    }
}

#[test]
fn an_old_token_is_told_apart_and_a_forged_one_is_not_believed() {
    let mint = Mint::default();
    let authorizer = ready(&Published::of(&[&mint]));
    let (said, line) = judge(&authorizer, &bearer(&token(&mint)), later(3600));
    assert_eq!((said, line.outcome), (json!({"refused": "expired"}), "token_expired"));
    let forged =
        Mint::new(1).sign(&mint.header().to_string(), &Mint::claims(user(), SESSION, now()).to_string());
    let (said, line) = judge(&authorizer, &bearer(&forged), now());
    assert_eq!((said, line.outcome), (json!({"refused": "invalid"}), "token_signature"));
    assert_eq!((line.level, line.metrics.refused), (Level::Warn, 1));
}

#[test]
fn new_keys_are_fetched_when_a_token_names_one_but_not_for_everybody_who_makes_names_up() {
    let (first, second) = (Mint::default(), Mint::new(1));
    let published = Published::of(&[&first]);
    let authorizer = ready(&published);
    for _ in 0..100 {
        let (said, line) = judge(&authorizer, &bearer(&token(&second)), later(59));
        assert_eq!((said, line.outcome), (json!({"refused": "invalid"}), "token_key_unknown"));
    }
    assert_eq!(published.asked(), 1, "at the start");
    published.publish(&[&first, &second]);
    let (said, _) = judge(&authorizer, &bearer(&token(&second)), later(60));
    assert_eq!(said, known("bearer"));
    assert_eq!(published.asked(), 2);
    // A key that is published no more is gone with the next fetch.
    published.publish(&[&second]);
    let mut header = first.header();
    header["kid"] = json!("made-up");
    let made_up = first.sign(&header.to_string(), &Mint::claims(user(), SESSION, now()).to_string());
    assert_eq!(judge(&authorizer, &bearer(&made_up), later(180)).0, json!({"refused": "invalid"}));
    assert_eq!(judge(&authorizer, &bearer(&token(&first)), later(181)).0, json!({"refused": "invalid"}));
    assert_eq!(judge(&authorizer, &bearer(&token(&second)), later(182)).0, known("bearer"));
    assert_eq!(published.asked(), 3);
}

#[test]
fn where_keys_cannot_be_had_nobody_is_told_that_their_token_is_wrong() {
    let (first, second) = (Mint::default(), Mint::new(1));
    let published = Published::of(&[&first]);
    let authorizer = ready(&published);
    for broken in [None, Some("<html>".to_owned()), Some(r#"{"keys":[]}"#.to_owned())] {
        *published.jwks.lock().unwrap() = broken;
        let at = later(60 * i64::from(published.asked()));
        let (said, line) = judge(&authorizer, &bearer(&token(&second)), at);
        assert_eq!((said, line.outcome), (json!({"refused": "unavailable"}), "keys_unavailable"));
        assert_eq!((line.level, line.metrics.errors), (Level::Error, 1));
        assert!(line.error.is_some());
        assert_eq!(
            judge(&authorizer, &bearer(&token(&first)), at).0,
            known("bearer"),
            "what was kept goes on"
        );
    }
}

#[test]
fn keys_are_believed_for_an_hour_and_then_asked_for_again() {
    let (first, second) = (Mint::default(), Mint::new(1));
    let published = Published::of(&[&first, &second]);
    let authorizer = ready(&published);
    let long = |mint: &Mint| {
        let mut claims = Mint::claims(user(), SESSION, now());
        claims["exp"] = json!(later(12 * 3600).as_second());
        bearer(&mint.token(&claims))
    };
    published.publish(&[&second]);
    assert_eq!(judge(&authorizer, &long(&first), later(3599)).1.outcome, "known");
    let (said, line) = judge(&authorizer, &long(&first), later(3600));
    assert_eq!((said, line.outcome), (json!({"refused": "invalid"}), "token_key_unknown"));
    assert_eq!((line.level, published.asked()), (Level::Warn, 2), "and asked once");
    for second_of_day in [3601, 7199] {
        assert_eq!(judge(&authorizer, &long(&second), later(second_of_day)).1.outcome, "known");
    }
    assert_eq!(published.asked(), 2);
    assert_eq!(judge(&authorizer, &long(&second), later(7200)).1.outcome, "known");
    assert_eq!(published.asked(), 3);
}

#[test]
fn old_keys_go_on_for_a_while_where_new_ones_cannot_be_had() {
    let mint = Mint::default();
    let published = Published::of(&[&mint]);
    let authorizer = ready(&published);
    let mut claims = Mint::claims(user(), SESSION, now());
    claims["exp"] = json!(later(12 * 3600).as_second());
    let good = bearer(&mint.token(&claims));
    let forged = bearer(&Mint::new(1).sign(&mint.header().to_string(), &claims.to_string()));
    *published.jwks.lock().unwrap() = None;
    // It asks once a minute, and each time that it gets no answer the line says so, for the alarm.
    for (second, asked, errors) in [(3600, 2, 1), (3659, 2, 0), (3660, 3, 1), (4 * 3600 - 1, 4, 1)] {
        let (_, line) = judge(&authorizer, &good, later(second));
        assert_eq!(
            (line.outcome, line.metrics.errors, published.asked()),
            ("known", errors, asked),
            "{second}"
        );
        assert_eq!((line.level == Level::Error, line.error.is_some()), (errors == 1, errors == 1));
    }
    let (said, line) = judge(&authorizer, &forged, later(4 * 3600 - 1));
    assert_eq!(
        (said, line.outcome),
        (json!({"refused": "invalid"}), "token_signature"),
        "and no forged one comes in"
    );
    for (question, second) in [(&good, 4 * 3600), (&forged, 4 * 3600 + 1), (&good, 4 * 3600 + 100)] {
        let (said, line) = judge(&authorizer, question, later(second));
        assert_eq!((said, line.outcome), (json!({"refused": "unavailable"}), "keys_unavailable"), "{second}");
        assert_eq!((line.level, line.metrics.errors), (Level::Error, 1));
        assert!(line.error.is_some());
    }
    published.publish(&[&mint]);
    assert_eq!(judge(&authorizer, &good, later(4 * 3600 + 300)).1.outcome, "known");
}

#[test]
fn it_does_not_start_without_keys() {
    assert!(block_on(authorizer(&Published::default()).fetch(now())).is_err());
}

#[test]
fn a_question_of_any_form_is_answered() {
    let published = Published::of(&[&Mint::default()]);
    let authorizer = ready(&published);
    for odd in [json!({}), json!({"headers": {}}), json!({"requestContext": {"http": {}}})] {
        let question: Question = serde_json::from_value(odd).unwrap();
        assert_eq!(judge(&authorizer, &question, now()).0, json!({"refused": "missing"}));
    }
}
