use super::*;

fn request(json: &str) -> Request {
    serde_json::from_str(json).unwrap()
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
