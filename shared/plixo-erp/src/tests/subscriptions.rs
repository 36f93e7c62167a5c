//! What makes Business Central tell.

use super::*;
use crate::Subscribed;
use crate::subscriptions::{Step, Subscription, plan};

const URL: &str = "https://plixo.example/webhooks/erp/whe_1";

fn wanted(state: &Secret) -> Wanted<'_> {
    Wanted { url: URL, client_state: state }
}

fn there(id: &str, resource: &str, hours: i64) -> Value {
    let end = now() + SignedDuration::from_hours(hours);
    json!({"@odata.etag": format!("W/\"{id}\""), "subscriptionId": id, "notificationUrl": URL, "resource": resource,
           "clientState": "canary-state", "expirationDateTime": end.to_string(), "userId": GUID})
}

fn steps(there: &[Value]) -> Vec<Step> {
    let there: Vec<Subscription> =
        there.iter().map(|it| serde_json::from_value(it.clone()).unwrap()).collect();
    assert!(!format!("{there:?}").contains("canary"));
    plan(&there, GUID, &wanted(&secret("canary-state")), now())
}

fn path(set: &str) -> String {
    format!("/api/v2.0/companies({GUID})/{set}")
}

fn all(hours: i64) -> Vec<Value> {
    let of = |(n, set): (usize, &str)| there(&format!("s{n}"), &path(set), hours);
    ["customers", "salesInvoices", "salesCreditMemos"].into_iter().enumerate().map(of).collect()
}

fn renewal(n: usize, set: &str) -> Step {
    Step::Renew { id: format!("s{n}"), etag: format!("W/\"s{n}\""), resource: path(set) }
}

#[test]
fn what_is_missing_is_made_and_what_ends_is_renewed() {
    let make = |set| Step::Make { resource: path(set) };
    assert_eq!(steps(&[]), [make("customers"), make("salesInvoices"), make("salesCreditMemos")]);
    assert_eq!(steps(&all(37)), []);
    let renewed = [renewal(0, "customers"), renewal(1, "salesInvoices"), renewal(2, "salesCreditMemos")];
    assert_eq!(steps(&all(36)), renewed);
    assert_eq!(steps(&all(-1)), renewed);
    let mut endless = all(40);
    endless[1]["expirationDateTime"] = Value::Null;
    endless[0]["clientState"] = "".into();
    endless[2]["clientState"] = "another".into();
    assert_eq!(steps(&endless), [renewal(1, "salesInvoices"), renewal(2, "salesCreditMemos")]);
}

#[test]
fn others_subscriptions_are_left_alone_and_one_of_two_is_enough() {
    let mut others = all(1);
    others[0]["notificationUrl"] = "https://other.example/".into();
    others[1]["resource"] =
        path("salesInvoices").replace(GUID, "5d115c9c-44e3-ea11-bb43-000d3a2feca1").into();
    others[2]["resource"] = path("xsalesCreditMemos").into();
    assert!(steps(&others).iter().all(|step| matches!(step, Step::Make { .. })));
    let twice: Vec<_> = all(1).into_iter().chain(all(40)).collect();
    assert_eq!(steps(&twice), []);
    let mut spelt = all(40);
    spelt[0]["resource"] = format!("https://api.example/v2.0/t/e{}", path("CUSTOMERS")).into();
    spelt[1]["resource"] = path("salesInvoices").trim_start_matches('/').to_ascii_uppercase().into();
    assert_eq!(steps(&spelt), []);
}

fn keep(server: &Server) -> Result<Subscribed, ErpError> {
    let kind = SourceKind::BusinessCentral;
    let erp = erp(&server.url, vault(&entry(kind)));
    let (org, source): (OrgId, SourceId) = (ORG.parse().unwrap(), SOURCE.parse().unwrap());
    let account = account(kind);
    let of = Of { org: &org, source: &source, kind, account: &account };
    block_on(erp.keep_subscribed(of, &wanted(&secret("canary-state")), now()))
}

#[test]
fn they_are_listed_renewed_and_made_as_documented() {
    const ALL: &str = "/v2.0/contoso.com/production/api/v2.0/subscriptions";
    let server = Server::start(|asked| match asked.method.as_str() {
        "GET" if asked.path.contains("skiptoken") => ok(&json!({"value": &all(1)[..1]})),
        "GET" => {
            let next = format!("http://{}{}?$skiptoken=1", asked.headers["host"], asked.path);
            ok(&json!({"value": &all(40)[1..2], "@odata.nextLink": next}))
        }
        "POST" => said(201, "", &json!({})),
        _ => ok(&json!({})),
    });
    assert_eq!(keep(&server), Ok(Subscribed { made: 1, renewed: 1 }));
    let asked = server.asked();
    let lines: Vec<_> = asked.iter().map(|it| format!("{} {}", it.method, it.path)).collect();
    let expected = [
        format!("GET {ALL}"),
        format!("GET {ALL}?$skiptoken=1"),
        format!("PATCH {ALL}('s0')"),
        format!("POST {ALL}"),
    ];
    assert_eq!(lines, expected);
    assert_eq!(asked[2].headers["if-match"], "W/\"s0\"");
    for (sent, set) in [(&asked[2], "customers"), (&asked[3], "salesCreditMemos")] {
        assert_eq!(sent.headers["content-type"], "application/json");
        let body: Value = serde_json::from_str(&sent.body).unwrap();
        let state = "canary-state";
        assert_eq!(body, json!({"notificationUrl": URL, "resource": path(set), "clientState": state}));
    }
}

#[test]
fn a_failure_ends_it_and_making_is_not_repeated() {
    let server = Server::start(|asked| match asked.method.as_str() {
        "GET" => ok(&json!({"value": []})),
        _ => String::new(),
    });
    assert!(matches!(keep(&server), Err(ErpError::Unavailable(_))));
    assert_eq!(server.asked().len(), 2, "a second one might make a second one");

    let odd = Server::start(|_| ok(&json!({"value": [there("../x", &path("customers"), 1)]})));
    assert!(matches!(keep(&odd), Err(ErpError::Unavailable(_))));
    assert_eq!(odd.asked().len(), 1);

    let away = Server::start(|_| ok(&json!({"value": [], "@odata.nextLink": "https://evil.example/"})));
    assert_eq!(keep(&away), Err(ErpError::Unavailable("its next page is somewhere else".to_owned())));

    let refused = Server::start(|asked| match asked.method.as_str() {
        "GET" => ok(&json!({"value": []})),
        _ => said(400, "", &json!({"error": {"code": "Application_CallbackFailed", "message": "canary"}})),
    });
    assert_eq!(keep(&refused), Err(ErpError::Unavailable("400 Application_CallbackFailed".to_owned())));
}
