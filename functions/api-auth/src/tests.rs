use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use jiff::{Timestamp, ToSpan};
use plixo_domain::id::{Ids, OrgId};
use plixo_domain::ledger::{Book, Organisation, Residency};
use plixo_domain::people::{UserId, UserOrganisation};
use plixo_domain::secret::Secret;
use plixo_identity::token::Verifier;
use plixo_store::Store;
use plixo_store::people::{People, Standing};
use plixo_testing::{FakeDirectory, FakeKms, FakePeople, FakeTables, Fault, Faults, Mint, entropy};
use serde_json::{Value, json};

use super::*;
use crate::guard::FREE_OF_ADDRESS;
use crate::names::NoKeys;

const EMAIL: &str = "canary.person@example.com";
const PASSWORD: &str = "velvet canary turbine octopus";
const NEW: &str = "seven canary lanterns drift north";
const IP: &str = "203.0.113.9";
const PASSWORD_ROUTE: &str = super::PASSWORD;
/// How long a session is remembered to have ended, seconds.
const LONGEST: i64 = 13 * 3600;
/// The routes that a bearer token opens, each with a body that it takes.
const OPENED: [(&str, &str); 4] = [
    (TOTP, ""),
    (TOTP_VERIFY, r#"{"code": "123456"}"#),
    (PASSWORD_ROUTE, r#"{"current_password": "x", "new_password": "y"}"#),
    (SIGN_OUT, "{}"),
];

struct World {
    auth: Auth<FakeDirectory, FakePeople, Store<FakeTables, NoKeys>>,
    people: FakePeople,
    directory: FakeDirectory,
    tables: FakeTables,
    faults: Faults,
    now: Cell<Timestamp>,
    ip: Cell<&'static str>,
    /// What no line may hold.
    secrets: RefCell<Vec<String>>,
}

/// An answer: status, headers, body.
#[derive(Debug, Clone, PartialEq)]
struct Reply {
    status: u16,
    headers: Value,
    body: Value,
    outcome: &'static str,
}

impl Reply {
    /// What the sender sees, without the request's id.
    fn seen(&self) -> (u16, Value, Value) {
        (self.status, self.headers.clone(), self.body.clone())
    }

    fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }

    fn refused(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    fn pointers(&self) -> Vec<&str> {
        self.body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect()
    }
}

impl World {
    fn new() -> Self {
        let faults = Faults::default();
        let tables = FakeTables::default();
        let directory = FakeDirectory::new(faults.clone());
        let people = FakePeople::new(tables.clone(), faults.clone());
        let verifier = Verifier::of_pool(Mint::POOL, Mint::CLIENT.to_owned());
        let names = Store::new(tables.clone(), NoKeys, entropy);
        let desk = Desk::new(directory.clone(), people.clone(), names, verifier, &[7; 32], entropy);
        let secrets =
            vec!["canary".to_owned(), "eyJ".to_owned(), "refresh-".to_owned(), "challenge-".to_owned()];
        Self {
            auth: Auth::new(desk, Duration::ZERO),
            people,
            directory,
            tables,
            faults,
            now: Cell::new("2026-06-15T12:00:00.5Z".parse().unwrap()),
            ip: Cell::new(IP),
            secrets: RefCell::new(secrets),
        }
    }

    /// With one person who has a password.
    fn with_person() -> Self {
        let world = Self::new();
        let _ = world.directory.person(EMAIL, PASSWORD);
        world
    }

    /// With one person who has a password and TOTP.
    fn with_totp() -> Self {
        let world = Self::with_person();
        world.directory.set_up_totp(EMAIL);
        world
    }

    fn wait(&self, seconds: i64) {
        self.now.set(self.now.get() + seconds.seconds());
    }

    fn request(&self, route: &str, headers: Value, authorizer: Value, body: &str) -> Request {
        let request = json!({
            "headers": headers, "body": body, "isBase64Encoded": false,
            "requestContext": {"requestId": "r1", "routeKey": route, "authorizer": {"lambda": authorizer},
                "http": {"sourceIp": self.ip.get(), "userAgent": "test"}},
        });
        serde_json::from_value(request).unwrap()
    }

    async fn handle(&self, request: &Request) -> Reply {
        self.directory.set_now(self.now.get());
        let line = Line { timestamp: self.now.get(), ..Line::default() };
        let (response, line) = self.auth.handle(request, line).await;
        let shown = String::from_utf8(line.bytes()).unwrap();
        for secret in self.secrets.borrow().iter() {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(!line.outcome.is_empty(), "{shown}");
        let whole = serde_json::to_value(&response).unwrap();
        let body = match response.body() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap(),
        };
        Reply { status: response.status(), headers: whole["headers"].clone(), body, outcome: line.outcome }
    }

    fn send(&self, request: &Request) -> Reply {
        block_on(self.handle(request))
    }

    /// To a route that anybody may ask.
    fn post(&self, route: &str, body: Value) -> Reply {
        self.send(&self.request(
            route,
            json!({"content-type": "application/json"}),
            Value::Null,
            &body.to_string(),
        ))
    }

    /// As the authorizer would hand it on.
    fn post_as(&self, access: &str, route: &str, body: &str) -> Reply {
        self.send(&self.request_as(access, route, body))
    }

    fn request_as(&self, access: &str, route: &str, body: &str) -> Request {
        let claims = Mint::read(access).unwrap();
        let time = |name: &str| Timestamp::from_second(claims[name].as_i64().unwrap()).unwrap();
        let said = json!({"user": claims["sub"], "session": claims["origin_jti"], "by": "bearer",
            "signed_in_at": time("auth_time"), "expires_at": time("exp")});
        let headers =
            json!({"content-type": "application/json", "authorization": format!("Bearer {access}")});
        self.request(route, headers, said, body)
    }

    fn try_password(&self, email: &str, password: &str) -> Reply {
        self.post(SIGN_IN, json!({"email": email, "password": password}))
    }

    /// The session of a challenge, after the right password.
    fn challenged(&self) -> String {
        let asked = self.try_password(EMAIL, PASSWORD);
        assert_eq!((asked.status, asked.body["challenge"].as_str()), (200, Some("totp")), "{asked:?}");
        asked.text("session")
    }

    fn code(&self) -> String {
        self.directory.set_now(self.now.get());
        self.directory.code(EMAIL)
    }

    /// A code that is not right now.
    fn wrong_code(&self, n: u32) -> String {
        let right: u32 = self.code().parse().unwrap();
        format!("{:06}", (right + 1 + n) % 1_000_000)
    }

    fn try_code(&self, session: &str, code: &str) -> Reply {
        self.post(CHALLENGE, json!({"session": session, "code": code}))
    }

    /// Access and refresh token of a person without TOTP.
    fn signed_in(&self) -> (String, String) {
        let done = self.try_password(EMAIL, PASSWORD);
        assert_eq!(done.status, 200, "{done:?}");
        (done.text("access_token"), done.text("refresh_token"))
    }

    /// How the session of an access token stands, and whether it is over.
    fn standing(&self, access: &str) -> (Standing, bool) {
        let claims = Mint::read(access).unwrap();
        let text = |name: &str| claims[name].as_str().unwrap().to_owned();
        let (user, session) = (text("sub").parse().unwrap(), text("origin_jti"));
        let began = Timestamp::from_second(claims["auth_time"].as_i64().unwrap()).unwrap();
        let standing = block_on(self.people.standing(&user, &session, self.now.get())).unwrap();
        let over = standing.is_over(&session, began);
        (standing, over)
    }

    /// Whether the session of an access token has shown two factors.
    fn two_factor(&self, access: &str) -> bool {
        self.standing(access).0.two_factor
    }

    /// Whether the session of these tokens is over, as all doors say.
    fn is_over(&self, access: &str, refresh: &str) -> bool {
        let (_, over) = self.standing(access);
        let refreshed = self.post(REFRESH, json!({"refresh_token": refresh})).status;
        let asked = self.post_as(access, TOTP_VERIFY, r#"{"code": "x"}"#).status;
        assert_eq!((refreshed, asked), if over { (401, 401) } else { (200, 400) });
        over
    }

    /// Makes the person a member of an organisation of that name.
    fn organisation(&self, user: UserId, name: &str) {
        let mut book = Book::default();
        let id: OrgId = Ids::new(self.now.get(), [9; 10]).make();
        book.put_new(Organisation {
            id,
            name: name.to_owned(),
            residency: Residency::Eu,
            controllers: Default::default(),
            settings: Default::default(),
            logo: None,
            closed: None,
        });
        book.put_new(UserOrganisation { user, org: id });
        let store = Store::new(self.tables.clone(), FakeKms::new(Faults::default()), entropy);
        block_on(store.commit(&id, &book, None, &[], self.now.get())).unwrap();
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

const WRONG: (u16, &str) = (401, "sign_in_failed");
const SLOW: (u16, &str) = (429, "too_many_tries");

#[test]
fn a_password_lets_in_who_has_no_totp() {
    let world = World::with_person();
    for email in [EMAIL, "CANARY.Person@Example.COM", "  canary.person@example.com "] {
        let done = world.try_password(email, PASSWORD);
        assert_eq!((done.status, done.outcome), (200, "signed_in"));
        let keys: BTreeSet<&String> = done.body.as_object().unwrap().keys().collect();
        assert!(
            keys.into_iter().eq(["access_token", "expires_in", "refresh_token", "token_type"]),
            "{:?}",
            done.body
        );
        assert_eq!((&done.body["token_type"], &done.body["expires_in"]), (&json!("Bearer"), &json!(3600)));
    }
}

#[test]
fn a_password_and_a_code_let_in_who_has_totp() {
    let world = World::with_totp();
    let asked = world.try_password(EMAIL, PASSWORD);
    assert_eq!(asked.body.as_object().unwrap().len(), 2, "no token yet: {asked:?}");
    let done = world.try_code(&asked.text("session"), &world.code());
    assert_eq!(done.status, 200, "{done:?}");
    assert!(done.body["access_token"].is_string() && done.body["refresh_token"].is_string());
    // Apps show codes in two groups.
    world.wait(30);
    let code = world.code();
    let (first, second) = code.split_at(3);
    assert_eq!(world.try_code(&world.challenged(), &format!("{first} {second}")).status, 200);
}

#[test]
fn whatever_is_wrong_gets_one_and_the_same_answer() {
    let world = World::with_totp();
    let _ = world.directory.person("disabled@example.com", PASSWORD);
    world.directory.disable("disabled@example.com");
    let first = world.try_password(EMAIL, "wrong canary password");
    assert_eq!(first.refused(), WRONG);
    let long = format!("{}@example.com", "x".repeat(300));
    for (email, password) in [
        ("nobody.canary@example.com", PASSWORD),
        ("disabled@example.com", PASSWORD),
        ("disabled@example.com", "wrong canary password"),
        (long.as_str(), PASSWORD),
        ("canary", PASSWORD),
        ("@", PASSWORD),
        ("canary@", PASSWORD),
        ("a@b@c", PASSWORD),
        ("canary\u{200b}@example.com", PASSWORD),
        ("canary person@example.com", PASSWORD),
        ("ca\u{0}nary@example.com", PASSWORD),
        ("canary2@example.com", " "),
        ("canary3@example.com", &"x".repeat(1000)),
        (EMAIL, " velvet canary turbine octopus"),
        (EMAIL, "Velvet canary turbine octopus"),
    ] {
        let answer = world.try_password(email, password);
        assert_eq!(answer.seen(), first.seen(), "{email:?} {password:?}");
    }
    assert_eq!(first.headers["www-authenticate"], "Bearer");
}

#[test]
fn the_sixth_try_has_to_wait_whether_or_not_there_is_such_an_account() {
    for email in [EMAIL, "nobody.canary@example.com", "not even an email"] {
        let world = World::with_person();
        let answers: Vec<_> = (0..8).map(|n| world.try_password(email, &format!("wrong {n}"))).collect();
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429], "{email}");
        let slow = answers.last().unwrap();
        assert_eq!((slow.refused(), &slow.headers["retry-after"]), (SLOW, &json!("15")));
        // The right password has to wait as well.
        assert_eq!(world.try_password(email, PASSWORD).refused(), SLOW);
        world.wait(14);
        let slow = world.try_password(email, PASSWORD);
        assert_eq!((slow.refused(), &slow.headers["retry-after"]), (SLOW, &json!("1")));
        world.wait(1);
        assert_eq!(world.try_password(email, "wrong").refused(), WRONG, "one more, and longer waits");
        world.wait(29);
        assert_eq!(world.try_password(email, PASSWORD).refused(), SLOW);
        // An hour later all is forgotten.
        world.wait(3600);
        for _ in 0..5 {
            assert_eq!(world.try_password(email, "wrong").refused(), WRONG);
        }
        assert_eq!(world.try_password(email, "wrong").refused(), SLOW);
    }
}

#[test]
fn a_right_password_starts_the_count_anew() {
    let world = World::with_person();
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(world.try_password(EMAIL, "wrong").refused(), WRONG);
        }
        world.signed_in();
    }
    // After the wait, too.
    for _ in 0..5 {
        world.try_password(EMAIL, "wrong");
    }
    world.wait(15);
    world.signed_in();
    world.signed_in();
}

#[test]
fn of_a_hundred_tries_at_once_five_are_made() {
    let world = World::with_person();
    let body = json!({"email": EMAIL, "password": "wrong"}).to_string();
    let request = world.request(SIGN_IN, json!({"content-type": "application/json"}), Value::Null, &body);
    let tries = (0..100).map(|_| world.handle(&request));
    let answers = block_on(futures::future::join_all(tries));
    let wrong = answers.iter().filter(|answer| answer.refused() == WRONG).count();
    let slow = answers.iter().filter(|answer| answer.refused() == SLOW).count();
    assert_eq!((wrong, slow), (5, 95));
    // When the wait is over, one of a hundred.
    world.wait(15);
    let answers = block_on(futures::future::join_all((0..100).map(|_| world.handle(&request))));
    assert_eq!(answers.iter().filter(|answer| answer.refused() == WRONG).count(), 1);
}

#[test]
fn an_address_that_tries_many_accounts_is_slowed_down_and_no_other() {
    let world = World::with_person();
    for n in 0..FREE_OF_ADDRESS {
        assert_eq!(world.try_password(&format!("{n}@example.com"), "wrong").refused(), WRONG);
    }
    assert_eq!(world.try_password(EMAIL, PASSWORD).refused(), SLOW);
    world.ip.set("203.0.113.10");
    world.signed_in();
}

#[test]
fn the_typing_mistakes_of_an_office_add_up_to_an_hour_and_not_to_a_day() {
    let world = World::with_person();
    for n in 0..3 * FREE_OF_ADDRESS {
        // Ten of them in an hour are far fewer than an address may make, whoever comes in meanwhile.
        assert_eq!(world.try_password(&format!("{n}@example.com"), "wrong").refused(), WRONG, "mistake {n}");
        world.wait(360);
        world.signed_in();
    }
}

#[test]
fn one_who_guesses_holds_up_their_office_for_an_hour_at_most() {
    let world = World::with_person();
    for n in 0..FREE_OF_ADDRESS {
        assert_eq!(world.try_password(&format!("{n}@example.com"), "wrong").refused(), WRONG);
    }
    // Whoever is right waits as long as after the last wrong one, and makes nobody wait longer.
    world.wait(15);
    for _ in 0..3 {
        world.signed_in();
    }
    for (n, wait) in [0, 30, 60, 120, 240, 480, 900, 900].into_iter().enumerate() {
        world.wait(wait);
        assert_eq!(world.try_password(&format!("x{n}@example.com"), "wrong").refused(), WRONG, "{n}");
        assert_eq!(world.try_password(EMAIL, PASSWORD).refused(), SLOW);
    }
    world.wait(3600 - 15 - 2730);
    world.signed_in();
    assert_eq!(world.try_password("y@example.com", "wrong").refused(), WRONG);
    world.signed_in();
}

#[test]
fn one_who_is_held_does_not_hold_their_office_up() {
    let world = World::with_person();
    for _ in 0..3 * FREE_OF_ADDRESS {
        world.try_password("colleague@example.com", "wrong");
    }
    world.signed_in();
}

#[test]
fn a_code_works_once() {
    let world = World::with_totp();
    let code = world.code();
    assert_eq!(world.try_code(&world.challenged(), &code).status, 200);
    let again = world.try_code(&world.challenged(), &code);
    assert_eq!(again.refused(), WRONG);
    world.wait(30);
    assert_eq!(world.try_code(&world.challenged(), &world.code()).status, 200);
    // Of many at once with one code, one comes in.
    world.wait(30);
    let code = world.code();
    let requests: Vec<_> = (0..5)
        .map(|_| {
            let body = json!({"session": world.challenged(), "code": code}).to_string();
            world.request(CHALLENGE, json!({"content-type": "application/json"}), Value::Null, &body)
        })
        .collect();
    let answers = block_on(futures::future::join_all(requests.iter().map(|request| world.handle(request))));
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}

#[test]
fn the_code_that_set_totp_up_does_not_sign_in() {
    let world = World::with_person();
    let (access, _) = world.signed_in();
    assert_eq!(world.post_as(&access, TOTP, "").status, 200);
    let code = world.code();
    assert_eq!(world.post_as(&access, TOTP_VERIFY, &json!({"code": code}).to_string()).status, 204);
    assert_eq!(world.try_code(&world.challenged(), &code).refused(), WRONG);
}

#[test]
fn a_challenge_is_answered_once_and_in_time() {
    let world = World::with_totp();
    let session = world.challenged();
    assert_eq!(world.try_code(&session, &world.code()).status, 200);
    world.wait(30);
    assert_eq!(world.try_code(&session, &world.code()).refused(), WRONG, "again");
    let session = world.challenged();
    world.wait(180);
    assert_eq!(world.try_code(&session, &world.code()).refused(), WRONG, "late");
    let session = world.challenged();
    for odd in
        ["x", ".", "x.y", session.split_once('.').unwrap().1, &format!("{session}x"), &"x".repeat(4000)]
    {
        assert_eq!(world.try_code(odd, &world.code()).refused(), WRONG, "{odd}");
    }
    assert_eq!(world.try_code(&session, &world.code()).status, 200);
}

#[test]
fn a_wrong_code_may_be_corrected_and_the_sixth_has_to_wait() {
    let world = World::with_totp();
    let session = world.challenged();
    for n in 0..4 {
        let wrong = world.try_code(&session, &world.wrong_code(n));
        assert_eq!(wrong.seen(), world.try_code("x.y", "123456").seen(), "like a session that nobody has");
    }
    assert_eq!(world.try_code(&session, &world.code()).status, 200);
    world.wait(30);
    for n in 0..5 {
        // A right password does not buy more codes.
        assert_eq!(world.try_code(&world.challenged(), &world.wrong_code(n)).refused(), WRONG);
    }
    let slow = world.try_code(&world.challenged(), &world.code());
    assert_eq!((slow.refused(), &slow.headers["retry-after"]), (SLOW, &json!("15")));
    world.wait(15);
    assert_eq!(world.try_code(&world.challenged(), &world.code()).status, 200);
}

#[test]
fn strangers_who_try_passwords_use_nobodys_codes_up() {
    let world = World::with_totp();
    for wait in [0, 0, 0, 0, 0, 15, 30, 60, 120, 240, 480] {
        world.wait(wait);
        assert_eq!(world.try_password(EMAIL, "wrong").refused(), WRONG);
    }
    world.wait(900);
    let session = world.challenged();
    assert_eq!(world.try_code(&session, &world.code()).status, 200);
}

#[test]
fn who_was_invited_chooses_a_password() {
    let world = World::new();
    let temporary = Secret::new("temporary canary password".to_owned());
    let user = block_on(plixo_aws::cognito::Register::invite(&world.directory, EMAIL, &temporary)).unwrap();
    world.organisation(user, "Nordlicht Maschinenbau GmbH");
    let asked = world.try_password(EMAIL, temporary.reveal());
    assert_eq!(asked.body["challenge"], "new_password");
    let session = asked.text("session");
    let choose =
        |password: &str| world.post(CHALLENGE, json!({"session": session, "new_password": password}));
    for weak in [
        "short",
        "passwordpassword",
        &"x".repeat(129),
        "turbine nordlicht octopus ladder",
        "lantern velvet person octopus",
    ] {
        let refused = choose(weak);
        assert_eq!(
            (refused.refused(), refused.pointers()),
            ((400, "password_refused"), vec!["/new_password"]),
            "{weak}"
        );
    }
    let other = world.try_code(&session, "123456");
    assert_eq!((other.refused(), other.pointers()), ((400, "invalid_request"), vec!["/new_password"]));
    let done = choose("seven lanterns drift north");
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(world.try_password(EMAIL, temporary.reveal()).refused(), WRONG);
    assert_eq!(world.try_password(EMAIL, "seven lanterns drift north").status, 200);
}

#[test]
fn an_answer_to_another_question_says_so() {
    let world = World::with_totp();
    let session = world.challenged();
    let other = world.post(CHALLENGE, json!({"session": session, "new_password": NEW}));
    assert_eq!((other.refused(), other.pointers()), ((400, "invalid_request"), vec!["/code"]));
    assert_eq!(world.try_code(&session, &world.code()).status, 200, "and nothing is lost");
}

#[test]
fn totp_is_set_up_with_a_secret_and_a_picture_and_counts_from_its_first_code_on() {
    let world = World::with_person();
    let (access, _) = world.signed_in();
    let made = world.post_as(&access, TOTP, "{}");
    let keys: BTreeSet<&String> = made.body.as_object().unwrap().keys().collect();
    assert!(keys.into_iter().eq(["otpauth_url", "qr_svg", "secret"]), "{:?}", made.body);
    assert_eq!(
        made.text("otpauth_url"),
        format!(
            "otpauth://totp/Plixo:canary.person%40example.com?secret={}&issuer=Plixo",
            made.text("secret")
        )
    );
    assert!(made.text("qr_svg").starts_with("<svg "));
    world.signed_in();
    let verify = |code: &str| world.post_as(&access, TOTP_VERIFY, &json!({"code": code}).to_string());
    let wrong = verify(&world.wrong_code(0));
    assert_eq!((wrong.refused(), wrong.pointers()), ((400, "code_refused"), vec!["/code"]));
    world.signed_in();
    let done = verify(&world.code());
    assert_eq!((done.status, done.body), (204, Value::Null));
    world.wait(30);
    assert_eq!(world.try_code(&world.challenged(), &world.code()).status, 200);
}

#[test]
fn the_sixth_wrong_code_of_an_enrolment_has_to_wait() {
    let world = World::with_person();
    let (access, _) = world.signed_in();
    world.post_as(&access, TOTP, "");
    let verify = |code: &str| world.post_as(&access, TOTP_VERIFY, &json!({"code": code}).to_string());
    for n in 0..5 {
        assert_eq!(verify(&world.wrong_code(n)).refused(), (400, "code_refused"));
    }
    assert_eq!(verify(&world.code()).refused(), SLOW);
    world.wait(15);
    assert_eq!(verify(&world.code()).status, 204);
}

#[test]
fn who_has_totp_sets_up_another_app_only_soon_after_signing_in() {
    let world = World::with_person();
    let (access, _) = world.signed_in();
    world.wait(1200);
    assert_eq!(world.post_as(&access, TOTP, "").status, 200, "the first app may come at any time");
    assert_eq!(world.post_as(&access, TOTP_VERIFY, &json!({"code": world.code()}).to_string()).status, 204);
    let stale = world.post_as(&access, TOTP, "");
    assert_eq!(stale.refused(), (403, "sign_in_again"));
    world.wait(30);
    let fresh = world.try_code(&world.challenged(), &world.code()).text("access_token");
    world.wait(599);
    assert_eq!(world.post_as(&fresh, TOTP, "").status, 200);
    world.wait(2);
    assert_eq!(world.post_as(&fresh, TOTP, "").refused(), (403, "sign_in_again"));
}

#[test]
fn only_a_session_that_has_shown_a_code_has_two_factors() {
    let world = World::with_person();
    let (access, _) = world.signed_in();
    assert!(!world.two_factor(&access));
    world.post_as(&access, TOTP, "");
    assert!(!world.two_factor(&access), "a secret that nobody used yet");
    assert_eq!(world.post_as(&access, TOTP_VERIFY, &json!({"code": world.code()}).to_string()).status, 204);
    assert!(world.two_factor(&access), "the session that set it up");
    let tokens = world.tokens();
    let (shown, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    assert!(world.two_factor(&shown));
    let refreshed = world.post(REFRESH, json!({"refresh_token": refresh})).text("access_token");
    assert!(world.two_factor(&refreshed));
    // Who turns TOTP off elsewhere comes in with a password, and with no more than that.
    world.directory.turn_totp_off(EMAIL);
    let (password_only, _) = world.signed_in();
    assert!(!world.two_factor(&password_only));
    assert!(world.two_factor(&shown), "it has shown them");
    world.wait(LONGEST);
    assert!(!world.two_factor(&shown), "when no token of it is about any more");
}

#[test]
fn an_invited_person_who_has_an_app_shows_a_code_after_the_password() {
    let world = World::with_totp();
    let temporary = Secret::new("temporary canary password".to_owned());
    block_on(plixo_aws::cognito::Register::invite_again(&world.directory, EMAIL, &temporary)).unwrap();
    let asked = world.try_password(EMAIL, temporary.reveal());
    let answer = json!({"session": asked.text("session"), "new_password": "seven lanterns drift north"});
    let asked = world.post(CHALLENGE, answer);
    assert_eq!(asked.body["challenge"], "totp");
    let done = world.try_code(&asked.text("session"), &world.code());
    assert!(world.two_factor(&done.text("access_token")));
}

#[test]
fn who_has_not_shown_the_code_of_their_app_sets_up_no_other() {
    let world = World::with_person();
    let (access, _) = world.signed_in();
    // As at Cognito's public API, which ends nobody's session here.
    world.directory.set_up_totp(EMAIL);
    assert_eq!(world.post_as(&access, TOTP, "").refused(), (403, "sign_in_again"));
    assert_eq!(world.post_as(&world.access_token(), TOTP, "").status, 200);
    // Where the directory asks for no code, there is no app.
    world.directory.turn_totp_off(EMAIL);
    assert_eq!(world.post_as(&access, TOTP, "").status, 200);
}

#[test]
fn a_secret_that_the_directory_made_unasked_is_no_way_round_the_app() {
    let world = World::with_person();
    let (access, _) = world.signed_in();
    world.directory.set_up_totp(EMAIL);
    // As at Cognito's public API.
    block_on(world.directory.associate_totp(&Secret::new(access.clone()))).unwrap();
    let code = json!({"code": world.code()}).to_string();
    assert_eq!(world.post_as(&access, TOTP_VERIFY, &code).refused(), (403, "sign_in_again"));
    assert!(!world.two_factor(&access));
}

#[test]
fn a_challenge_from_before_another_password_is_over() {
    let world = World::with_totp();
    let asked_before = world.challenged();
    let access = world.access_token();
    world.wait(30);
    let change = json!({"current_password": PASSWORD, "new_password": "seven lanterns drift north"});
    assert_eq!(world.post_as(&access, PASSWORD_ROUTE, &change.to_string()).status, 204);
    world.wait(30);
    assert_eq!(world.try_code(&asked_before, &world.code()).refused(), WRONG);
}

#[test]
fn another_password_or_app_ends_all_other_sessions() {
    for change in ["password", "app"] {
        let world = World::with_person();
        let (other, other_refresh) = world.signed_in();
        let (access, refresh) = world.signed_in();
        world.wait(2);
        let now = world.now.get();
        if change == "password" {
            let wrong = json!({"current_password": "wrong", "new_password": "seven lanterns drift north"});
            assert_eq!(world.post_as(&access, PASSWORD_ROUTE, &wrong.to_string()).status, 400);
            assert!(!world.is_over(&other, &other_refresh), "a wrong one changes nothing");
            let right = json!({"current_password": PASSWORD, "new_password": "seven lanterns drift north"});
            assert_eq!(world.post_as(&access, PASSWORD_ROUTE, &right.to_string()).status, 204);
        } else {
            world.post_as(&access, TOTP, "");
            let wrong = json!({"code": world.wrong_code(0)}).to_string();
            assert_eq!(world.post_as(&access, TOTP_VERIFY, &wrong).status, 400);
            assert!(!world.is_over(&other, &other_refresh), "a wrong one changes nothing");
            let right = json!({"code": world.code()}).to_string();
            assert_eq!(world.post_as(&access, TOTP_VERIFY, &right).status, 204);
        }
        assert!(world.is_over(&other, &other_refresh), "{change}");
        assert!(!world.is_over(&access, &refresh), "{change}: the session of the change goes on");
        // Until the last token that may come of it is out of date.
        world.now.set(now + (LONGEST - 2).seconds());
        let late = world.post(REFRESH, json!({"refresh_token": other_refresh}));
        assert_eq!(late.refused(), (401, "unauthenticated"), "{change}");
        world.now.set(now + 1.second());
        if change == "password" {
            let done = world.try_password(EMAIL, "seven lanterns drift north");
            assert!(!world.is_over(&done.text("access_token"), &done.text("refresh_token")));
        } else {
            world.wait(30);
            let done = world.try_code(&world.challenged(), &world.code());
            assert!(!world.is_over(&done.text("access_token"), &done.text("refresh_token")));
        }
    }
}

#[test]
fn a_password_is_changed_by_who_knows_it() {
    let world = World::new();
    let user = world.directory.person(EMAIL, PASSWORD);
    world.organisation(user, "Nordlicht Maschinenbau GmbH");
    let (access, _) = world.signed_in();
    let change = |current: &str, new: &str| {
        world.post_as(
            &access,
            PASSWORD_ROUTE,
            &json!({"current_password": current, "new_password": new}).to_string(),
        )
    };
    for weak in ["short", "passwordpassword", "person lanterns drift north", "seven lanterns nordlicht drift"]
    {
        let refused = change(PASSWORD, weak);
        assert_eq!(
            (refused.refused(), refused.pointers()),
            ((400, "password_refused"), vec!["/new_password"]),
            "{weak}"
        );
    }
    for wrong in ["wrong", " ", &"x".repeat(500)] {
        let refused = change(wrong, "seven lanterns drift north");
        assert_eq!(
            (refused.refused(), refused.pointers()),
            ((400, "invalid_request"), vec!["/current_password"])
        );
    }
    assert_eq!(change(PASSWORD, "seven lanterns drift north").status, 204);
    assert_eq!(world.try_password(EMAIL, PASSWORD).refused(), WRONG);
    assert_eq!(world.try_password(EMAIL, "seven lanterns drift north").status, 200);
    for _ in 0..5 {
        assert_eq!(change(PASSWORD, "eight lanterns drift north").status, 400);
    }
    assert_eq!(change("seven lanterns drift north", "eight lanterns drift north").refused(), SLOW);
}

#[test]
fn a_refresh_gives_a_new_access_token_for_the_same_session() {
    let world = World::with_person();
    let (access, refresh) = world.signed_in();
    world.wait(1800);
    let done = world.post(REFRESH, json!({"refresh_token": refresh}));
    assert_eq!((done.status, done.text("refresh_token")), (200, refresh.clone()));
    let (old, new) = (Mint::read(&access).unwrap(), Mint::read(&done.text("access_token")).unwrap());
    assert_eq!((&old["origin_jti"], &old["auth_time"]), (&new["origin_jti"], &new["auth_time"]));
    assert_ne!(old["exp"], new["exp"]);
    let unknown = world.post(REFRESH, json!({"refresh_token": "nobody.s.canary.refresh.token"}));
    assert_eq!(unknown.refused(), (401, "unauthenticated"));
    world.directory.disable(EMAIL);
    assert_eq!(world.post(REFRESH, json!({"refresh_token": refresh})).seen(), unknown.seen());
}

#[test]
fn what_is_no_refresh_token_costs_nothing_and_wrong_ones_slow_their_address_down() {
    let world = World::with_person();
    let (access, refresh) = world.signed_in();
    let before = world.faults.calls();
    let refused = world.post(REFRESH, json!({"refresh_token": "nobody"}));
    assert_eq!(refused.refused(), (401, "unauthenticated"));
    for odd in [
        "a.b",
        "a.b.c.d",
        "a.b.c.d.e.f",
        "a..b.c.d",
        "a.b.c.d.",
        "a.b.c.d.e f",
        "ä.b.c.d.e",
        &"x.".repeat(5000),
    ] {
        assert_eq!(world.post(REFRESH, json!({"refresh_token": odd})).seen(), refused.seen(), "{odd}");
    }
    assert_eq!(world.faults.calls(), before);
    let guess = |n: u32| world.post(REFRESH, json!({"refresh_token": format!("a.b.c.d.{n}")}));
    for n in 1..FREE_OF_ADDRESS {
        assert_eq!(guess(n).seen(), refused.seen());
        assert_eq!(
            world.post(REFRESH, json!({"refresh_token": refresh})).status,
            200,
            "a right one is no try"
        );
    }
    assert_eq!(guess(0).seen(), refused.seen());
    let slow = guess(FREE_OF_ADDRESS);
    assert_eq!((slow.refused(), &slow.headers["retry-after"]), (SLOW, &json!("15")));
    assert_eq!(world.post(REFRESH, json!({"refresh_token": refresh})).refused(), SLOW);
    world.signed_in();
    world.ip.set("203.0.113.10");
    assert_eq!(world.post(REFRESH, json!({"refresh_token": refresh})).status, 200);
    world.ip.set(IP);
    world.wait(15);
    assert_eq!(world.post(REFRESH, json!({"refresh_token": refresh})).status, 200);
    assert_eq!(world.post_as(&access, TOTP, "").status, 200);
}

#[test]
fn who_has_signed_out_is_out() {
    for with_refresh in [true, false] {
        let world = World::with_person();
        let (other, _) = world.signed_in();
        let (access, refresh) = world.signed_in();
        let body = if with_refresh { json!({"refresh_token": refresh}).to_string() } else { String::new() };
        let out = world.post_as(&access, SIGN_OUT, &body);
        assert_eq!((out.status, out.body), (204, Value::Null));
        for (route, body) in OPENED {
            assert_eq!(world.post_as(&access, route, body).refused(), (401, "unauthenticated"), "{route}");
        }
        assert_eq!(
            world.post(REFRESH, json!({"refresh_token": refresh})).refused(),
            (401, "unauthenticated")
        );
        // Until the last token that may come of it is out of date.
        world.wait(LONGEST - 2);
        assert_eq!(
            world.post(REFRESH, json!({"refresh_token": refresh})).refused(),
            (401, "unauthenticated")
        );
        world.wait(2 - LONGEST);
        assert_eq!(world.post_as(&other, TOTP, "").status, 200, "another session goes on");
    }
}

#[test]
fn a_refresh_token_that_is_none_does_not_keep_anybody_in() {
    let world = World::with_person();
    let (access, _) = world.signed_in();
    let out = world.post_as(&access, SIGN_OUT, r#"{"refresh_token": "<nobody's>"}"#);
    assert_eq!(out.status, 204);
    assert_eq!(world.post_as(&access, TOTP, "").refused(), (401, "unauthenticated"));
}

#[test]
fn without_a_token_that_is_believed_nothing_opens() {
    let world = World::with_person();
    let (access, _) = world.signed_in();
    let good = world.request_as(&access, TOTP, "");
    assert_eq!(world.send(&good).status, 200);
    let headers = json!({"content-type": "application/json", "authorization": format!("Bearer {access}")});
    let whole = json!({"user": "0b6f2a6c-8e11-4b7e-9d55-5f1c6d3e0a3b", "session": "s",
        "signed_in_at": "2026-06-15T12:00:00Z", "expires_at": "2026-06-15T13:00:00Z"});
    let without = |name: &str| {
        let mut part = whole.clone();
        part.as_object_mut().unwrap().remove(name);
        part
    };
    let with = |name: &str, value: &str| {
        let mut part = whole.clone();
        part[name] = json!(value);
        part
    };
    for (route, body) in OPENED {
        for said in [
            Value::Null,
            json!({}),
            json!({"refused": "missing"}),
            json!({"refused": "expired"}),
            json!({"refused": "invalid"}),
            json!({"refused": "whatever"}),
            without("user"),
            without("session"),
            without("signed_in_at"),
            without("expires_at"),
            with("user", "somebody"),
            with("expires_at", "2026-06-15T12:00:00Z"),
            with("refused", "invalid"),
        ] {
            let answer = world.send(&world.request(route, headers.clone(), said.clone(), body));
            assert_eq!(answer.refused(), (401, "unauthenticated"), "{route} {said}");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
        // A token in a cookie is for pages: nobody makes a browser change anything here.
        for other in
            [json!({}), json!({"authorization": "Basic x"}), json!({"cookie": "__Host-plixo-access=x"})]
        {
            let answer = world.send(&world.request(route, other, whole.clone(), body));
            assert_eq!(answer.refused(), (401, "unauthenticated"), "{route}");
        }
        let answer =
            world.send(&world.request(route, headers.clone(), json!({"refused": "unavailable"}), body));
        assert_eq!(answer.refused(), (503, "unavailable"), "{route}");
    }
}

#[test]
fn bodies_that_are_not_what_a_route_takes_are_refused_with_pointers() {
    let world = World::with_person();
    let (access, _) = world.signed_in();
    let long = "x".repeat(100);
    let unknown = format!(r#"{{"{long}": 1}}"#);
    for (body, pointers) in [
        ("", vec![""]),
        ("null", vec![""]),
        ("[]", vec![""]),
        ("\"x\"", vec![""]),
        ("{", vec![""]),
        ("{}x", vec![""]),
        ("hello", vec![""]),
        ("{}", vec!["/email", "/password"]),
        (r#"{"email": "a@b"}"#, vec!["/password"]),
        (r#"{"email": null, "password": 5}"#, vec!["/email", "/password"]),
        (r#"{"email": ["a@b"], "password": {"x": 1}}"#, vec!["/email", "/password"]),
        (r#"{"email": "", "password": ""}"#, vec!["/email", "/password"]),
        (r#"{"email": "a@b", "password": "x", "admin": true}"#, vec!["/admin"]),
        (r#"{"email": "a@b", "password": "x", "a/b~c": true}"#, vec!["/a~1b~0c"]),
        (r#"{"email": "a@b", "email": "c@d", "password": "x"}"#, vec!["/email"]),
        (r#"{"Email": "a@b", "password": "x"}"#, vec!["/Email", "/email"]),
    ] {
        let request = world.request(SIGN_IN, json!({"content-type": "application/json"}), Value::Null, body);
        let answer = world.send(&request);
        assert_eq!((answer.refused(), answer.pointers()), ((400, "invalid_request"), pointers), "{body}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    let many: String = (0..50).map(|n| format!(r#""f{n}": 1,"#)).collect();
    for body in [unknown, "[".repeat(10_000), format!("{{{many}\"email\": \"x\"}}")] {
        for (route, as_whom) in [
            (SIGN_IN, None),
            (CHALLENGE, None),
            (REFRESH, None),
            (TOTP, Some(())),
            (PASSWORD_ROUTE, Some(())),
        ] {
            let answer = match as_whom {
                None => world.send(&world.request(
                    route,
                    json!({"content-type": "application/json; charset=utf-8"}),
                    Value::Null,
                    &body,
                )),
                Some(()) => world.post_as(&access, route, &body),
            };
            assert_eq!(answer.refused(), (400, "invalid_request"), "{route}");
            assert!(answer.pointers().len() <= 20 && answer.body.to_string().len() < 4000, "{route}");
        }
    }
}

#[test]
fn a_body_is_json_of_at_most_16_kb() {
    let world = World::with_person();
    let (access, _) = world.signed_in();
    let body = json!({"email": EMAIL, "password": PASSWORD}).to_string();
    for content_type in [
        json!({}),
        json!({"content-type": "text/plain"}),
        json!({"content-type": "application/x-www-form-urlencoded"}),
    ] {
        let answer = world.send(&world.request(SIGN_IN, content_type, Value::Null, &body));
        assert_eq!(answer.refused(), (415, "unsupported_media_type"));
    }
    for (fits, size) in [(true, MAX_BODY), (false, MAX_BODY + 1)] {
        let padded = format!("{}{body}", " ".repeat(size - body.len()));
        let answer = world.send(&world.request(
            SIGN_IN,
            json!({"content-type": "application/json"}),
            Value::Null,
            &padded,
        ));
        assert_eq!(answer.status, if fits { 200 } else { 413 });
    }
    let huge = "x".repeat(1 << 20);
    for (route, _) in OPENED {
        assert_eq!(world.post_as(&access, route, &huge).refused(), (413, "body_too_large"), "{route}");
    }
    for (encoded, status) in [("eyJlbWFpbCI6ICL/In0=", 400), ("!!!", 400)] {
        let request = json!({"headers": {"content-type": "application/json"}, "body": encoded, "isBase64Encoded": true,
            "requestContext": {"requestId": "r1", "routeKey": SIGN_IN, "http": {}}});
        let answer = world.send(&serde_json::from_value(request).unwrap());
        assert_eq!(answer.refused(), (status, "invalid_request"), "{encoded}");
    }
}

#[test]
fn a_challenge_takes_one_answer() {
    let world = World::with_totp();
    let session = world.challenged();
    for (body, pointers) in [
        (json!({"session": session}), ["/code"]),
        (json!({"session": session, "code": "123456", "new_password": NEW}), ["/new_password"]),
        (json!({"session": session, "code": "12345"}), ["/code"]),
        (json!({"session": session, "code": "abcdef"}), ["/code"]),
        (json!({"session": session, "code": 123456}), ["/code"]),
        (json!({"code": "123456"}), ["/session"]),
    ] {
        let answer = world.post(CHALLENGE, body.clone());
        assert_eq!(
            (answer.refused(), answer.pointers()),
            ((400, "invalid_request"), pointers.to_vec()),
            "{body}"
        );
    }
    assert_eq!(world.try_code(&session, &world.code()).status, 200, "and no try was counted");
}

#[test]
fn other_routes_are_not_found() {
    let world = World::with_person();
    for route in ["", "$default", "GET /v1/auth/sign-in", "POST /v1/auth/sign-in/", "POST /v1/orgs"] {
        assert_eq!(world.post(route, json!({})).refused(), (404, "not_found"), "{route}");
    }
}

#[test]
fn an_outage_at_any_call_is_a_503_and_locks_nobody_out() {
    let public = |world: &World, route: &str, body: Value| {
        world.request(route, json!({"content-type": "application/json"}), Value::Null, &body.to_string())
    };
    type Prepare<'a> = &'a dyn Fn(&World) -> Request;
    let acts: [(&str, Prepare<'_>); 7] = [
        ("sign in", &|world| public(world, SIGN_IN, json!({"email": EMAIL, "password": PASSWORD}))),
        ("answer", &|world| {
            let (session, code) = (world.challenged(), world.code());
            public(world, CHALLENGE, json!({"session": session, "code": code}))
        }),
        ("refresh", &|world| public(world, REFRESH, json!({"refresh_token": world.refresh_token()}))),
        ("totp", &|world| world.request_as(&world.access_token(), TOTP, "")),
        ("verify", &|world| {
            let access = world.access_token();
            world.post_as(&access, TOTP, "");
            world.request_as(&access, TOTP_VERIFY, &json!({"code": world.code()}).to_string())
        }),
        ("password", &|world| {
            let body = json!({"current_password": PASSWORD, "new_password": "seven lanterns drift north"});
            world.request_as(&world.access_token(), PASSWORD_ROUTE, &body.to_string())
        }),
        ("sign out", &|world| {
            let tokens = world.tokens();
            let body = json!({"refresh_token": tokens.text("refresh_token")});
            world.request_as(&tokens.text("access_token"), SIGN_OUT, &body.to_string())
        }),
    ];
    for (name, prepare) in acts {
        let world = World::with_totp();
        let request = prepare(&world);
        let before = world.faults.calls();
        let done = world.send(&request);
        assert!(done.status < 300, "{name}: {done:?}");
        for n in 0..world.faults.calls() - before {
            for fault in [Fault::Refuses, Fault::LosesAnswer] {
                let world = World::with_totp();
                let request = prepare(&world);
                world.faults.plan(n, fault);
                assert_eq!(
                    world.send(&request).refused(),
                    (503, "unavailable"),
                    "{name}, call {n}, {fault:?}"
                );
            }
        }
    }
    let world = World::with_person();
    for _ in 0..50 {
        // The directory is down: counted, counted, asked.
        world.faults.plan(2, Fault::Refuses);
        assert_eq!(world.try_password(EMAIL, PASSWORD).refused(), (503, "unavailable"));
    }
    world.faults.clear();
    world.signed_in();
}

impl World {
    fn tokens(&self) -> Reply {
        self.wait(30);
        let session = self.challenged();
        let code = self.code();
        let done = self.try_code(&session, &code);
        assert_eq!(done.status, 200, "{done:?}");
        done
    }

    fn access_token(&self) -> String {
        self.tokens().text("access_token")
    }

    fn refresh_token(&self) -> String {
        self.tokens().text("refresh_token")
    }
}

#[test]
fn a_sign_in_takes_as_long_for_nobody_as_for_somebody() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let mut world = World::with_totp();
    world.auth.floor = FLOOR;
    for body in [
        json!({"email": EMAIL, "password": PASSWORD}),
        json!({"email": EMAIL, "password": "wrong"}),
        json!({"email": "nobody@example.com", "password": "wrong"}),
        json!({"email": "no email", "password": "wrong"}),
        json!({}),
    ] {
        let request = world.request(
            SIGN_IN,
            json!({"content-type": "application/json"}),
            Value::Null,
            &body.to_string(),
        );
        let took = runtime.block_on(async {
            let began = tokio::time::Instant::now();
            world.handle(&request).await;
            began.elapsed()
        });
        assert!(took >= FLOOR && took < FLOOR + Duration::from_millis(5), "{took:?}");
    }
}
