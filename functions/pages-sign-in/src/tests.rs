use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use api_auth::desk::Desk;
use api_auth::names::NoKeys;
use jiff::{Timestamp, ToSpan};
use plixo_identity::token::Verifier;
use plixo_store::Store;
use plixo_testing::{FakeDirectory, FakePeople, FakeTables, Fault, Faults, Mint, entropy};
use plixo_web::session::{ACCESS, REFRESH};
use serde_json::{Value, json};

use super::*;

const EMAIL: &str = "canary.person@example.com";
const PASSWORD: &str = "velvet canary turbine octopus";
const NEW: &str = "seven quiet lanterns drift north";

/// A browser, and the function behind the gateway and its authorizer.
struct World {
    pages: Pages<FakeDirectory, FakePeople, Store<FakeTables, NoKeys>>,
    directory: FakeDirectory,
    faults: Faults,
    now: Cell<Timestamp>,
    cookies: RefCell<BTreeMap<String, String>>,
    site: Cell<&'static str>,
}

#[derive(Debug)]
struct Shown {
    status: u16,
    to: String,
    html: String,
    outcome: &'static str,
}

impl Shown {
    /// A hidden field.
    fn carried(&self, name: &str) -> String {
        let (_, rest) = self
            .html
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap_or_else(|| panic!("no {name} in {self:?}"));
        let value = rest.split('"').next().unwrap();
        value.replace("&#38;", "&").replace("&amp;", "&")
    }
}

impl World {
    fn new() -> Self {
        let faults = Faults::default();
        let tables = FakeTables::default();
        let directory = FakeDirectory::new(faults.clone());
        let people = FakePeople::new(tables.clone(), faults.clone());
        let verifier = Verifier::of_pool(Mint::POOL, Mint::CLIENT.to_owned());
        let names = Store::new(tables, NoKeys, entropy);
        let desk = Desk::new(directory.clone(), people, names, verifier, &[7; 32], entropy);
        let _ = directory.person(EMAIL, PASSWORD);
        Self {
            pages: Pages::new(Auth::new(desk, Duration::ZERO), entropy),
            directory,
            faults,
            now: Cell::new("2026-06-15T12:00:00.5Z".parse().unwrap()),
            cookies: RefCell::default(),
            site: Cell::new("same-origin"),
        }
    }

    fn wait(&self, minutes: i64) {
        self.now.set(self.now.get() + minutes.minutes());
    }

    fn code(&self) -> String {
        self.directory.set_now(self.now.get());
        self.directory.code(EMAIL)
    }

    /// What the authorizer says.
    fn said(&self) -> Value {
        let Some(access) = self.cookies.borrow().get(ACCESS).cloned() else {
            return json!({"refused": "missing"});
        };
        let claims = Mint::read(&access).unwrap();
        let time = |name: &str| Timestamp::from_second(claims[name].as_i64().unwrap()).unwrap();
        if time("exp") <= self.now.get() {
            return json!({"refused": "expired"});
        }
        json!({"user": claims["sub"], "session": claims["origin_jti"], "by": "cookie",
            "signed_in_at": time("auth_time"), "expires_at": time("exp")})
    }

    fn send(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Shown {
        self.directory.set_now(self.now.get());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let cookies =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        let request: Request = serde_json::from_value(json!({
            "headers": {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": self.site.get()},
            "cookies": cookies, "rawPath": path, "rawQueryString": query,
            "body": form, "isBase64Encoded": false,
            "requestContext": {"requestId": "r1", "routeKey": format!("{method} {path}"),
                "authorizer": {"lambda": self.said()}, "http": {"sourceIp": "203.0.113.9", "userAgent": "test"}},
        }))
        .unwrap();
        let line = Line { timestamp: self.now.get(), ..Line::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (response, line) = runtime.block_on(self.pages.handle(&request, line));
        let shown = String::from_utf8(line.bytes()).unwrap();
        for secret in ["canary", "eyJ", "refresh-", "challenge-"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        let whole = serde_json::to_value(&response).unwrap();
        for cookie in whole["cookies"].as_array().into_iter().flatten() {
            let (pair, rules) = cookie.as_str().unwrap().split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(rules.starts_with("Path=/; Secure; HttpOnly; SameSite=Lax"), "{rules}");
            match rules.contains("Max-Age=0") {
                true => self.cookies.borrow_mut().remove(name),
                false => self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned()),
            };
        }
        if response.status() == 200 {
            assert!(response.header("content-security-policy").is_some());
        }
        let to = response.header("location").unwrap_or_default().to_owned();
        Shown { status: response.status(), to, html: response.body().to_owned(), outcome: line.outcome }
    }

    fn get(&self, target: &str) -> Shown {
        self.send("GET", target, &[])
    }

    fn sign_in(&self) -> Shown {
        self.send("POST", "/sign-in", &[("email", EMAIL), ("password", PASSWORD), ("next", "/orgs/org_1")])
    }

    fn tokens(&self) -> usize {
        self.cookies.borrow().len()
    }
}

#[test]
fn a_password_opens_a_session_in_two_cookies() {
    let world = World::new();
    let page = world.get("/sign-in?next=%2Forgs%2Forg_1");
    assert_eq!((page.status, page.carried("next").as_str()), (200, "/orgs/org_1"));
    let done = world.sign_in();
    assert_eq!((done.status, done.to.as_str(), done.outcome), (303, "/orgs/org_1", "signed_in"));
    assert!(world.cookies.borrow().keys().eq([ACCESS, REFRESH]));
    let elsewhere = [("email", EMAIL), ("password", PASSWORD), ("next", "//evil.example")];
    assert_eq!(world.send("POST", "/sign-in", &elsewhere).to, "/orgs");
}

#[test]
fn what_is_wrong_is_said_on_the_page_which_keeps_the_email_and_no_password() {
    let world = World::new();
    for (email, password) in [(EMAIL, "wrong canary"), ("nobody.canary@example.com", PASSWORD)] {
        let shown =
            world.send("POST", "/sign-in", &[("email", email), ("password", password), ("next", "/orgs/x")]);
        assert_eq!((shown.status, world.tokens(), shown.outcome), (400, 0, "sign_in_failed"));
        assert!(
            shown.html.contains("are not right")
                && shown.html.contains(email)
                && !shown.html.contains(password)
        );
        assert_eq!(shown.carried("next"), "/orgs/x");
    }
    let empty = world.send("POST", "/sign-in", &[("email", ""), ("password", "")]);
    assert!(empty.html.contains("id=\"email-error\"") && empty.html.contains("id=\"password-error\""));
    for _ in 0..5 {
        world.send("POST", "/sign-in", &[("email", EMAIL), ("password", "wrong canary")]);
    }
    let slow = world.sign_in();
    assert_eq!((slow.status, slow.outcome), (429, "slowed_down"));
    assert!(slow.html.contains("too many wrong tries"));
}

#[test]
fn a_code_is_asked_for_and_may_be_mended() {
    let world = World::new();
    world.directory.set_up_totp(EMAIL);
    let asked = world.sign_in();
    assert_eq!((asked.status, world.tokens()), (200, 0));
    let session = asked.carried("session");
    let wrong = format!("{:06}", (world.code().parse::<u32>().unwrap() + 1) % 1_000_000);
    let shown = world.send(
        "POST",
        "/sign-in/code",
        &[("session", &session), ("next", "/orgs/org_1"), ("code", &wrong)],
    );
    assert_eq!((shown.status, world.tokens(), shown.carried("session")), (400, 0, session.clone()));
    assert!(shown.html.contains("id=\"code-error\"") && shown.html.contains("not right, or was used before"));
    assert!(
        shown.html.contains("<a href=\"/sign-in?next=%2Forgs%2Forg_1\">Start again</a>"),
        "{}",
        shown.html
    );
    let odd = world.send("POST", "/sign-in/code", &[("session", &session), ("code", "12")]);
    assert!(odd.html.contains("id=\"code-error\""));
    let code = world.code();
    let (first, second) = code.split_at(3);
    let fields =
        [("session", session.as_str()), ("next", "/orgs/org_1"), ("code", &format!(" {first} {second} "))];
    let done = world.send("POST", "/sign-in/code", &fields);
    assert_eq!((done.status, done.to.as_str(), world.tokens()), (303, "/orgs/org_1", 2));
    assert_eq!(world.get("/sign-in/code").to, "/sign-in");
}

#[test]
fn who_takes_too_long_starts_again_and_goes_where_they_wanted_to() {
    let world = World::new();
    world.directory.set_up_totp(EMAIL);
    let asked = world.sign_in();
    assert!(
        asked.html.contains("<a href=\"/sign-in?next=%2Forgs%2Forg_1\">Start again</a>"),
        "{}",
        asked.html
    );
    let answer = |shown: &Shown, code: &str| {
        let fields = ["session", "next", "asked_at"].map(|name| (name, shown.carried(name)));
        let mut fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.push(("code", code));
        world.send("POST", "/sign-in/code", &fields)
    };
    world.wait(2);
    let wrong = answer(&asked, "000000");
    assert_eq!((wrong.status, wrong.carried("asked_at")), (400, asked.carried("asked_at")));
    world.wait(1);
    let late = answer(&wrong, &world.code());
    assert_eq!((late.status, late.to.as_str()), (303, "/sign-in?why=late&next=%2Forgs%2Forg_1"));
    let again = world.get(&late.to);
    assert!(again.html.contains("That took too long."));
    assert_eq!(again.carried("next"), "/orgs/org_1");
    assert_eq!(answer(&world.sign_in(), &world.code()).to, "/orgs/org_1");
}

#[test]
fn who_chooses_a_first_password_too_late_goes_where_they_wanted_to() {
    let world = World::new();
    let fields = [("session", "x.y"), ("next", "/orgs/org_1"), ("password", NEW), ("repeat", NEW)];
    let late = world.send("POST", "/password", &fields);
    assert_eq!((late.status, late.to.as_str()), (303, "/sign-in?why=late&next=%2Forgs%2Forg_1"));
}

#[test]
fn a_form_of_another_site_does_nothing() {
    let world = World::new();
    world.sign_in();
    let before = world.cookies.borrow().clone();
    for site in ["cross-site", "same-site", "none"] {
        world.site.set(site);
        for route in ROUTES.iter().filter_map(|route| route.strip_prefix("POST ")) {
            let fields = [("email", EMAIL), ("password", PASSWORD), ("repeat", PASSWORD), ("code", "123456")];
            let shown = world.send("POST", route, &fields);
            assert_eq!((shown.status, shown.outcome), (400, "foreign_form"), "{route}");
        }
    }
    assert_eq!(*world.cookies.borrow(), before);
    world.site.set("same-origin");
    assert_eq!(world.get("/password").status, 200);
}

#[test]
fn a_session_is_made_longer_and_what_was_asked_is_asked_again() {
    let world = World::new();
    assert_eq!(world.get("/password").to, "/sign-in?next=%2Fpassword");
    world.sign_in();
    let first = world.cookies.borrow()[ACCESS].clone();
    world.wait(61);
    let away = world.get("/password");
    assert_eq!((away.status, away.to.as_str()), (303, "/sign-in/refresh?next=%2Fpassword"));
    let back = world.get(&away.to);
    assert_eq!((back.status, back.to.as_str()), (303, "/password"));
    assert_ne!(world.cookies.borrow()[ACCESS], first);
    assert_eq!(world.get("/password").status, 200);

    // A form takes the same way, as a form.
    world.wait(61);
    let fields = [("current", PASSWORD), ("password", NEW), ("repeat", NEW)];
    let away = world.send("POST", "/password", &fields);
    assert_eq!((away.status, away.to.as_str()), (307, "/sign-in/refresh?next=%2Fpassword"));
    let back = world.send("POST", &away.to, &fields);
    assert_eq!((back.status, back.to.as_str()), (307, "/password"));
    let done = world.send("POST", "/password", &fields);
    assert_eq!((done.status, done.to.as_str()), (303, "/orgs?done=password"));

    world.cookies.borrow_mut().insert(REFRESH.to_owned(), "refresh-of-nobody".to_owned());
    let over = world.get("/sign-in/refresh?next=https://evil.example");
    assert_eq!((over.to.as_str(), world.tokens()), ("/sign-in?next=%2Forgs", 0));
}

#[test]
fn signing_out_ends_the_session_even_after_its_hour() {
    for minutes in [0, 61] {
        let world = World::new();
        world.sign_in();
        let kept = world.cookies.borrow().clone();
        world.wait(minutes);
        let mut out = world.send("POST", "/sign-out", &[]);
        if minutes > 0 {
            assert_eq!((out.status, out.to.as_str()), (307, "/sign-in/refresh?next=%2Fsign-out"));
            assert_eq!(world.send("POST", &out.to, &[]).to, "/sign-out");
            out = world.send("POST", "/sign-out", &[]);
        }
        assert_eq!((out.status, out.to.as_str(), world.tokens()), (303, "/sign-in?why=out", 0));
        // What somebody else may have copied is of no use.
        *world.cookies.borrow_mut() = kept;
        assert_eq!(world.get("/sign-in/refresh?next=/orgs").to, "/sign-in?next=%2Forgs");
        assert!(world.get("/sign-in?why=out").html.contains("You are signed out."));
        assert_eq!(world.send("POST", "/sign-out", &[]).to, "/sign-in?why=out", "twice is no mistake");
    }
}

#[test]
fn a_second_factor_is_set_up_with_the_secret_that_is_shown() {
    let world = World::new();
    world.sign_in();
    let page = world.send("POST", "/totp", &[]);
    let url = page.carried("otpauth_url");
    assert!(page.html.contains("<svg") && url.starts_with("otpauth://totp/"), "{}", page.html);
    let wrong = world.send("POST", "/totp", &[("otpauth_url", &url), ("code", "000000")]);
    assert_eq!((wrong.status, wrong.carried("otpauth_url")), (400, url.clone()));
    assert!(wrong.html.contains("id=\"code-error\"") && wrong.html.contains("<svg"));
    for odd in ["javascript:alert(1)", "otpauth://totp/x", ""] {
        assert_eq!(world.send("POST", "/totp", &[("otpauth_url", odd), ("code", "1")]).status, 400);
    }
    let done = world.send("POST", "/totp", &[("otpauth_url", &url), ("code", &world.code())]);
    assert_eq!((done.status, done.to.as_str()), (303, "/orgs?done=totp"));
    world.wait(11);
    assert_eq!(
        world.send("POST", "/totp", &[]).to,
        "/sign-in?why=fresh&next=%2Ftotp",
        "another one, only after signing in anew"
    );
}

#[test]
fn looking_at_the_page_makes_no_secret() {
    let world = World::new();
    assert_eq!(
        world.get("/totp?next=%2Forgs%2Forg_1").to,
        "/sign-in?next=%2Ftotp%3Fnext%3D%252Forgs%252Forg_1"
    );
    world.sign_in();
    let url = world.send("POST", "/totp", &[]).carried("otpauth_url");
    let before = world.faults.calls();
    let page = world.get("/totp");
    assert_eq!((page.status, world.faults.calls()), (200, before));
    assert!(page.html.contains("<a href=\"/orgs\">Not now</a>") && page.html.contains("Begin"));
    // What was scanned before goes on.
    assert_eq!(world.send("POST", "/totp", &[("otpauth_url", &url), ("code", &world.code())]).status, 303);
}

#[test]
fn who_was_sent_to_set_a_second_factor_up_goes_on_to_the_page_that_wanted_it() {
    let world = World::new();
    world.sign_in();
    let next = world.get("/totp?next=%2Forgs%2Forg_1").carried("next");
    let page = world.send("POST", "/totp", &[("next", &next)]);
    assert!(page.html.contains("<a href=\"/orgs\">Not now</a>"), "not where they would be sent here again");
    let wrong =
        [("otpauth_url", &*page.carried("otpauth_url")), ("next", &page.carried("next")), ("code", "000000")];
    let page = world.send("POST", "/totp", &wrong);
    let (url, next, code) = (page.carried("otpauth_url"), page.carried("next"), world.code());
    let done = world.send("POST", "/totp", &[("otpauth_url", &url), ("next", &next), ("code", &code)]);
    assert_eq!((done.status, done.to.as_str()), (303, "/orgs/org_1"));
    // Who has one already shows its code, which is what the page wants.
    world.wait(11);
    let again = world.send("POST", "/totp", &[("next", "/orgs/org_1")]);
    assert_eq!(again.to, "/sign-in?why=fresh&next=%2Forgs%2Forg_1");
    let elsewhere = [("otpauth_url", &*url), ("next", "//evil.example"), ("code", &world.code())];
    assert!(!world.send("POST", "/totp", &elsewhere).to.contains("evil"));
}

#[test]
fn a_changed_password_ends_the_sessions_of_other_browsers() {
    let world = World::new();
    world.sign_in();
    let other = world.cookies.take();
    world.sign_in();
    world.wait(1);
    let fields = [("current", PASSWORD), ("password", NEW), ("repeat", NEW)];
    assert_eq!(world.send("POST", "/password", &fields).to, "/orgs?done=password");
    for status in [400, 400, 400, 400, 400, 429] {
        let wrong = [("current", "wrong canary"), ("password", NEW), ("repeat", NEW)];
        assert_eq!(world.send("POST", "/password", &wrong).status, status);
    }
    assert_eq!(world.send("POST", "/totp", &[]).status, 200, "this one goes on");
    *world.cookies.borrow_mut() = other;
    assert_eq!(world.send("POST", "/totp", &[]).to, "/sign-in?next=%2Ftotp");
    assert_eq!(world.get("/sign-in/refresh?next=/orgs").to, "/sign-in?next=%2Forgs");
    assert_eq!(world.tokens(), 0);
}

#[test]
fn a_password_is_changed_by_who_knows_it() {
    let world = World::new();
    world.sign_in();
    let change = |current, new, repeat| {
        world.send("POST", "/password", &[("current", current), ("password", new), ("repeat", repeat)])
    };
    assert!(change(PASSWORD, NEW, "other").html.contains("id=\"repeat-error\""));
    assert!(change(PASSWORD, "short", "short").html.contains("id=\"password-error\""));
    let wrong = change("wrong canary", NEW, NEW);
    assert!(wrong.html.contains("id=\"current-error\"") && !wrong.html.contains(NEW), "{wrong:?}");
    assert_eq!(change(PASSWORD, NEW, NEW).to, "/orgs?done=password");
    assert_eq!(world.send("POST", "/sign-in", &[("email", EMAIL), ("password", NEW)]).status, 303);
}

#[test]
fn when_aws_fails_the_page_says_so() {
    let world = World::new();
    world.sign_in();
    world.faults.plan(0, Fault::Refuses);
    let shown = world.send("POST", "/totp", &[]);
    assert_eq!(shown.status, 503);
    assert!(shown.html.contains("r1"));
}
