use super::*;

fn request(json: &str) -> Request {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_body_that_is_no_text_goes_as_base64() {
    let asked = Request::default().with_bytes("image/png", &[0xff, 0]);
    assert_eq!(
        (asked.body().unwrap().as_ref(), asked.header("content-type")),
        (&[0xff, 0][..], Some("image/png"))
    );
    let told = serde_json::to_value(Response::bytes(200, "image/png", &[0xff, 0])).unwrap();
    assert_eq!((&told["body"], &told["isBase64Encoded"]), (&"/wA=".into(), &true.into()));
    assert_eq!(told["headers"]["content-type"], "image/png");
    let told = serde_json::to_value(Response::of(200, "text/css", "a".to_owned())).unwrap();
    assert_eq!((&told["body"], &told["isBase64Encoded"]), (&"a".into(), &false.into()));
}

#[test]
fn bodies_come_as_the_bytes_that_were_received() {
    assert_eq!(request(r#"{"body":"ä"}"#).body().unwrap().as_ref(), "ä".as_bytes());
    assert_eq!(request(r#"{"body":"/wA=","isBase64Encoded":true}"#).body().unwrap().as_ref(), [0xff, 0]);
    assert_eq!(request(r#"{"body":"/w","isBase64Encoded":true}"#).body(), Err(NotBase64));
    assert_eq!(request("{}").body().unwrap().as_ref(), b"");
    assert_eq!(
        request(r#"{"body":null,"headers":null,"pathParameters":null}"#).body().unwrap().as_ref(),
        b""
    );
}

#[test]
fn headers_are_found_in_any_case() {
    let request = request(r#"{"headers":{"Stripe-Signature":"t=1"},"pathParameters":{"endpoint":"whe_1"}}"#);
    assert_eq!(request.header("stripe-signature"), Some("t=1"));
    assert_eq!(request.header("stripe"), None);
    assert_eq!(request.path("endpoint"), Some("whe_1"));
}

#[test]
fn a_panic_is_a_500_that_tells_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answered = runtime.block_on(answer(
        "f",
        "POST /x",
        request(r#"{"requestContext":{"requestId":"r1"}}"#),
        |_, _| async {
            if true {
                panic!("canary")
            }
            (Response::json(200, String::new()), Line::default())
        },
    ));
    assert_eq!(answered.status(), 500);
    let json = serde_json::to_value(&answered).unwrap();
    assert!(!json.to_string().contains("canary"));
    assert_eq!(json["headers"]["x-request-id"], "r1");
    assert_eq!(json["headers"]["content-type"], "application/problem+json");
    assert_eq!(serde_json::from_str::<serde_json::Value>(answered.body()).unwrap()["code"], "internal");
}

#[test]
fn cookies_are_found_beside_the_headers_and_in_them() {
    let beside = request(r#"{"cookies":["a=1","__Host-x=y=z"]}"#);
    let within = request(r#"{"headers":{"Cookie":"a=1; __Host-x=y=z"}}"#);
    for request in [beside, within] {
        assert_eq!((request.cookie("__Host-x"), request.cookie("a")), (Some("y=z"), Some("1")));
        assert_eq!((request.cookie("x"), request.cookie("__Host")), (None, None));
    }
}

#[test]
fn another_request_of_the_same_caller_has_their_context_and_nothing_else() {
    let came = request(
        r#"{"headers":{"cookie":"c","if-match":"1"},"cookies":["c"],"rawPath":"/a","rawQueryString":"b=1","body":"d",
            "pathParameters":{"org":"o"},"requestContext":{"requestId":"r1","routeKey":"POST /a","http":
            {"sourceIp":"203.0.113.9","userAgent":"u"},"authorizer":{"lambda":{"user":"x","by":"cookie"}}}}"#,
    );
    assert_eq!(came.target(), "/a?b=1");
    let asked = came.asking("GET /v1/{id}").at("id", "7").with_query("q").with_json("{}".to_owned());
    assert_eq!((asked.route(), asked.path("id"), asked.query()), ("GET /v1/{id}", Some("7"), "q"));
    assert_eq!(
        (asked.id(), asked.ip(), asked.user_agent().as_deref()),
        ("r1", Some("203.0.113.9"), Some("u"))
    );
    assert_eq!((asked.authorized("user"), asked.authorized("by")), (Some("x"), None));
    assert_eq!((asked.path("org"), asked.header("cookie"), asked.header("if-match")), (None, None, None));
    assert_eq!((asked.cookie("c"), asked.body().unwrap().as_ref()), (None, b"{}".as_slice()));
    assert_eq!(asked.header("content-type"), Some("application/json"));
}

#[test]
fn an_answer_that_may_be_kept_says_so_itself() {
    let kept = Response::of(200, "text/css", String::new()).with("cache-control", "immutable".to_owned());
    for (response, cache) in [(kept, "immutable"), (Response::redirect(303, "/x".to_owned()), "no-store")] {
        let json =
            serde_json::to_value(response.with_cookie("a=1".to_owned()).with_common_headers("r1")).unwrap();
        assert_eq!((&json["headers"]["cache-control"], &json["cookies"][0]), (&cache.into(), &"a=1".into()));
    }
}

#[test]
fn a_user_agent_is_cut_and_holds_no_card_number() {
    for (given, shown) in [
        ("me/1.0", "me/1.0".to_owned()),
        ("me 4242 4242 4242 4242", "me **** **** **** 4242".to_owned()),
        (&"ä".repeat(300), "ä".repeat(200)),
    ] {
        let event = serde_json::json!({"headers": {}, "requestContext": {"requestId": "r", "routeKey": "GET /",
            "http": {"sourceIp": "203.0.113.9", "userAgent": given}}});
        let request: Request = serde_json::from_value(event).unwrap();
        assert_eq!(request.user_agent(), Some(shown));
    }
}
