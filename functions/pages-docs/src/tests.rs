use serde_json::{Value, json};

use super::*;

#[path = "document.rs"]
mod document;

fn ask(route: &str, path: &str, accept: &str) -> (Response, Line) {
    let request = serde_json::from_value(json!({
        "headers": {"accept": accept}, "rawPath": path.split('?').next(), "rawQueryString": path.split('?').nth(1).unwrap_or_default(),
        "requestContext": {"requestId": "r1", "routeKey": route},
    }));
    Docs::new().unwrap().handle(&request.unwrap(), Line::default())
}

#[test]
fn the_description_is_what_the_handlers_say() {
    assert!(OPENAPI == document::whole(), "docs/openapi.json is not what the handlers say: run make openapi");
}

#[test]
fn the_page_names_every_operation_and_every_shape() {
    let openapi: Value = serde_json::from_str(OPENAPI).unwrap();
    assert_eq!(openapi["openapi"], "3.1.0");
    let (page, line) = ask("GET /docs/api", "/docs/api", "text/html");
    assert_eq!((page.status(), line.route), (200, Some("GET /docs/api")));
    for (path, item) in openapi["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("<span class=\"method\">{}</span> {path}</code>", method.to_uppercase());
            assert!(page.body().contains(&name), "{name}");
            let id = operation["operationId"].as_str().unwrap();
            assert_eq!(page.body().matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
            assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{id}");
        }
    }
    for name in openapi["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.body().contains(&format!("id=\"shape-{name}\"")), "{name}");
    }
}

#[test]
fn what_is_nowhere_is_a_problem_for_programs_and_a_page_for_people() {
    let html = "text/html,application/xhtml+xml";
    for (path, accept, kind) in [
        ("/v1/nothing", html, "application/problem+json"),
        ("/nothing", "*/*", "application/problem+json"),
        ("/nothing", html, "text/html; charset=utf-8"),
    ] {
        let (answer, line) = ask("$default", path, accept);
        assert_eq!((answer.status(), answer.header("content-type")), (404, Some(kind)), "{path}");
        assert_eq!(line.outcome, "not_found");
        assert!(answer.body().contains("r1"));
    }
}

#[test]
fn a_known_path_says_what_may_be_done_there() {
    let org = "/v1/orgs/org_01h2xcejqtf2nbrexx3vqjhp41";
    for (path, allow) in [
        (format!("{org}/invoices"), Some("GET, POST")),
        (format!("{org}/invoices/x?a=b"), Some("GET, PATCH")),
        (format!("{org}/invoices/x/y"), None),
        (format!("{org}/invoices/"), None),
        (format!("{org}/nothing"), None),
    ] {
        let (answer, _) = ask("$default", &path, "*/*");
        assert_eq!(answer.header("allow"), allow, "{path}");
        assert_eq!(answer.status(), if allow.is_some() { 405 } else { 404 });
    }
}
