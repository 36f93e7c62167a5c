//! Tokens: got anew in time, saved before they are used, lost to nobody.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

/// Token endpoint and API in one.
#[derive(Default)]
struct Tokens {
    /// The refresh tokens that are good: the last one, and with grace those before it.
    good: BTreeSet<String>,
    has_grace: bool,
    open: BTreeSet<String>,
    made: usize,
}

impl Tokens {
    fn start(has_grace: bool) -> Arc<Mutex<Self>> {
        let good = BTreeSet::from(["canary-refresh-0".to_owned()]);
        Arc::new(Mutex::new(Self { good, has_grace, ..Self::default() }))
    }

    fn answer(&mut self, asked: &Asked) -> String {
        if !asked.is_for_token() {
            let bearer = asked.headers["authorization"].strip_prefix("Bearer ").unwrap();
            let is_open = self.open.contains(bearer);
            return if is_open { ok(&list(SourceKind::Xero, &[])) } else { said(401, "", &json!({})) };
        }
        let form: BTreeMap<String, String> =
            form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect();
        if !self.good.contains(&form["refresh_token"]) {
            return said(400, "", &json!({"error": "invalid_grant", "error_description": "canary"}));
        }
        if !self.has_grace {
            self.good.clear();
        }
        self.made += 1;
        let (access, refresh) =
            (format!("canary-access-{}", self.made), format!("canary-refresh-{}", self.made));
        self.open.insert(access.clone());
        self.good.insert(refresh.clone());
        ok(&grant(&access, &refresh))
    }
}

fn server(tokens: &Arc<Mutex<Tokens>>) -> Server {
    let tokens = tokens.clone();
    Server::start(move |asked| tokens.lock().unwrap().answer(asked))
}

async fn read(erp: &Erp<FakeVault>, kind: SourceKind) -> Result<Answer, ErpError> {
    ask(erp, kind, Entity::Invoice, Which::These(&[ONE.to_owned()])).await
}

#[test]
fn a_token_is_got_anew_shortly_before_its_end() {
    for (lasts, refreshes) in [(61, 0), (60, 1), (0, 1), (-3_600, 1)] {
        let tokens = Tokens::start(true);
        tokens.lock().unwrap().open.insert("canary-access-0".to_owned());
        let server = server(&tokens);
        let mut entry = entry(SourceKind::Xero);
        entry.access.as_mut().unwrap().expires_at = now() + SignedDuration::from_secs(lasts);
        let vault = vault(&entry);
        block_on(read(&erp(&server.url, vault.clone()), SourceKind::Xero)).unwrap();
        assert_eq!(server.asked().len(), 1 + refreshes, "{lasts}");
        let access = kept(&vault).access.unwrap();
        let after = if refreshes == 0 {
            entry.access.unwrap().expires_at
        } else {
            now() + SignedDuration::from_mins(30)
        };
        assert_eq!(access.expires_at, after, "{lasts}");
    }
    let first = SourceEntry { access: None, ..entry(SourceKind::Xero) };
    let server = server(&Tokens::start(true));
    block_on(read(&erp(&server.url, vault(&first)), SourceKind::Xero)).unwrap();
}

#[test]
fn each_provider_is_asked_for_a_token_in_its_way() {
    for kind in SourceKind::ALL {
        let server = Server::start(move |asked| {
            ok(&if asked.is_for_token() {
                json!({"access_token": "canary-1", "expires_in": 3599})
            } else {
                list(kind, &[])
            })
        });
        let vault = vault(&SourceEntry { client_secret: secret("canary-client&"), ..stale(kind) });
        block_on(read(&erp(&server.url, vault.clone()), kind)).unwrap();
        let asked = server.asked().remove(0);
        assert_eq!(asked.method, "POST");
        assert_eq!(asked.headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(asked.headers["accept"], "application/json");
        let basic = format!("Basic {}", STANDARD.encode("client:canary-client&"));
        if kind == SourceKind::BusinessCentral {
            assert_eq!(asked.path, "/contoso.com/oauth2/v2.0/token");
            assert_eq!(
                asked.body,
                "grant_type=client_credentials&scope=https%3A%2F%2Fapi.businesscentral.dynamics.com%2F.default\
                 &client_id=client&client_secret=canary-client%26"
            );
            assert!(!asked.headers.contains_key("authorization"));
        } else {
            assert_eq!(asked.path, "/connect/token");
            assert_eq!(asked.body, "grant_type=refresh_token&refresh_token=canary-refresh-0");
            assert_eq!(asked.headers["authorization"], basic);
            // One that was not changed stays.
            assert_eq!(kept(&vault).refresh_token, Some(secret("canary-refresh-0")));
        }
    }
    let own = SourceEntry { refresh_token: None, ..stale(SourceKind::Xero) };
    let server = Server::start(|asked| {
        ok(&if asked.is_for_token() {
            json!({"access_token": "a", "expires_in": 1800})
        } else {
            list(SourceKind::Xero, &[])
        })
    });
    block_on(read(&erp(&server.url, vault(&own)), SourceKind::Xero)).unwrap();
    assert_eq!(server.asked()[0].body, "grant_type=client_credentials");
    let none = SourceEntry { refresh_token: None, ..stale(SourceKind::Quickbooks) };
    let error = block_on(read(&erp("http://127.0.0.1:1", vault(&none)), SourceKind::Quickbooks));
    assert!(matches!(error, Err(ErpError::Refused(_))), "{error:?}");
}

#[test]
fn a_new_token_is_in_the_vault_before_it_is_used() {
    let tokens = Tokens::start(false);
    let vault = vault(&stale(SourceKind::Xero));
    let seen = vault.clone();
    let server = {
        let tokens = tokens.clone();
        Server::start(move |asked| {
            if !asked.is_for_token() {
                let kept = kept(&seen);
                let bearer = format!("Bearer {}", kept.access.unwrap().token.reveal());
                assert_eq!(asked.headers["authorization"], bearer);
                assert!(tokens.lock().unwrap().good.contains(kept.refresh_token.unwrap().reveal()));
            }
            tokens.lock().unwrap().answer(asked)
        })
    };
    block_on(read(&erp(&server.url, vault), SourceKind::Xero)).unwrap();
}

#[test]
fn a_token_that_opens_nothing_is_changed_once() {
    let server = server(&Tokens::start(false));
    let vault = vault(&entry(SourceKind::Xero));
    block_on(read(&erp(&server.url, vault.clone()), SourceKind::Xero)).unwrap();
    let asked: Vec<_> = server.asked().iter().map(Asked::is_for_token).collect();
    assert_eq!(asked, [false, true, false]);
    assert_eq!(kept(&vault).access.unwrap().token, secret("canary-access-1"));

    let never = Server::start(|asked| {
        if asked.is_for_token() { ok(&grant("canary-a", "canary-r")) } else { said(401, "", &json!({})) }
    });
    let error = block_on(read(&erp(&never.url, self::vault(&entry(SourceKind::Xero))), SourceKind::Xero));
    assert_eq!(error, Err(ErpError::Refused("401".to_owned())));
    assert_eq!(never.asked().len(), 3);
}

#[test]
fn of_many_who_refresh_at_once_each_gets_on() {
    for has_grace in [true, false] {
        let tokens = Tokens::start(has_grace);
        let server = server(&tokens);
        let vault = vault(&stale(SourceKind::Xero));
        let erps: Vec<_> = (0..4)
            .map(|_| Erp { pause: Duration::from_millis(200), ..erp(&server.url, vault.clone()) })
            .collect();
        let all = futures::future::join_all(erps.iter().map(|erp| read(erp, SourceKind::Xero)));
        for done in block_on(all) {
            assert!(done.is_ok(), "{has_grace}: {done:?}");
        }
        let kept = kept(&vault);
        assert!(tokens.lock().unwrap().good.contains(kept.refresh_token.unwrap().reveal()));
        assert!(tokens.lock().unwrap().open.contains(kept.access.unwrap().token.reveal()));
    }
}

#[test]
fn wherever_a_process_dies_or_the_vault_fails_the_next_one_gets_on() {
    let mut outcomes = BTreeSet::new();
    for fault in Fault::ALL {
        for n in 0..5 {
            let tokens = Tokens::start(true);
            let server = server(&tokens);
            let (vault, faults) = (vault(&stale(SourceKind::Xero)), Faults::default());
            faults.plan(n, fault);
            let first = erp(&server.url, vault.with(faults));
            let done = block_on(async {
                // A process that dies never goes on.
                let limit = Duration::from_millis(500);
                tokio::time::timeout(limit, read(&first, SourceKind::Xero)).await
            });
            outcomes.insert(matches!(done, Ok(Ok(_))));
            assert!(
                !matches!(done, Ok(Err(ErpError::Refused(_) | ErpError::NoSource))),
                "{fault:?} {n}: {done:?}"
            );
            block_on(read(&erp(&server.url, vault.clone()), SourceKind::Xero)).unwrap();
            let good = kept(&vault).refresh_token.unwrap();
            assert!(tokens.lock().unwrap().good.contains(good.reveal()), "{fault:?} {n}");
        }
    }
    assert_eq!(outcomes.len(), 2, "some failed, some did not");
}

#[test]
fn a_vault_that_lost_its_answer_costs_no_token() {
    // One that takes each refresh token once. The second call is the save.
    for fault in [Fault::Refuses, Fault::LosesAnswer] {
        let tokens = Tokens::start(false);
        let server = server(&tokens);
        let (vault, faults) = (vault(&stale(SourceKind::Xero)), Faults::default());
        faults.plan(1, fault);
        block_on(read(&erp(&server.url, vault.with(faults)), SourceKind::Xero)).unwrap();
        let good = kept(&vault).refresh_token.unwrap();
        assert!(tokens.lock().unwrap().good.contains(good.reveal()), "{fault:?}");
    }
}

#[test]
fn what_the_token_endpoint_refuses_is_told_apart() {
    let error = |status, headers: &'static str, body: Value| {
        let server = Server::start(move |_| said(status, headers, &body));
        let error =
            block_on(read(&erp(&server.url, vault(&stale(SourceKind::Xero))), SourceKind::Xero)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        assert!(server.api().is_empty());
        error
    };
    let told = |word: &str| json!({"error": word, "error_description": "canary"});
    for word in ["invalid_grant", "invalid_client", "unauthorized_client", "consent_required"] {
        assert_eq!(error(400, "", told(word)), ErpError::Refused(word.to_owned()));
        assert_eq!(error(401, "", told(word)), ErpError::Refused(word.to_owned()));
    }
    let busy = ErpError::Busy { retry_after: Some(Duration::from_secs(7)) };
    assert_eq!(error(429, "retry-after: 7\r\n", json!({})), busy);
    for (status, body) in [
        (500, told("invalid_grant")),
        (400, told("temporarily_unavailable")),
        (400, told("canary")),
        (401, json!("canary")),
        (403, json!({"error": {"code": "canary 1"}})),
        (302, json!({})),
        (200, json!({})),
        (200, json!({"access_token": "canary"})),
        (200, json!({"access_token": "canary", "expires_in": "soon"})),
    ] {
        let error = error(status, "", body.clone());
        assert!(matches!(error, ErpError::Unavailable(_)), "{status} {body}: {error:?}");
    }
}

#[test]
fn no_secret_shows_itself() {
    let entry = entry(SourceKind::Xero);
    let request = crate::token::request(&entry, &urls("http://x")).unwrap();
    assert!(request.body.contains("canary"));
    let vault = vault(&entry);
    let shown = format!("{entry:?} {request:?} {:?}", erp("http://x", FakeVault::default()));
    assert!(!shown.contains("canary"), "{shown}");
    let wanted = Wanted { url: "http://x", client_state: &secret("canary") };
    assert!(!format!("{wanted:?}").contains("canary"));
    drop(vault);
}
