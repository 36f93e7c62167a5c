use plixo_lambda::http::{Request, Response};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::ask::{Problem, done};
use crate::form::{File, Form, is_ours};
use crate::page::{asset, frame, page, send_again};
use crate::session::{ACCESS, REFRESH, forget, keep, missing, place};

fn request(value: Value) -> Request {
    serde_json::from_value(value).unwrap()
}

fn told(response: &Response) -> Value {
    serde_json::to_value(response).unwrap()
}

#[test]
fn a_form_is_ours_if_the_browser_says_so() {
    let ours = |headers: Value| is_ours(&request(json!({ "headers": headers })));
    assert!(ours(json!({"Sec-Fetch-Site": "same-origin"})));
    assert!(ours(json!({"Origin": "https://plixo.example", "Host": "plixo.example"})));
    assert!(ours(json!({"Origin": "http://127.0.0.1:8787", "Host": "127.0.0.1:8787"})));
    for foreign in [
        json!({}),
        json!({"Host": "plixo.example"}),
        json!({"Sec-Fetch-Site": "none"}),
        json!({"Sec-Fetch-Site": "same-site"}),
        json!({"Sec-Fetch-Site": "cross-site", "Origin": "https://plixo.example", "Host": "plixo.example"}),
        json!({"Sec-Fetch-Site": "", "Origin": "https://plixo.example", "Host": "plixo.example"}),
        json!({"Origin": "null", "Host": "plixo.example"}),
        json!({"Origin": "https://plixo.example"}),
        json!({"Origin": "https://", "Host": ""}),
        json!({"Origin": "https://evil.example", "Host": "plixo.example"}),
        json!({"Origin": "https://plixo.example.evil.example", "Host": "plixo.example"}),
        json!({"Referer": "https://plixo.example/", "Host": "plixo.example"}),
    ] {
        assert!(!ours(foreign.clone()), "{foreign}");
    }
}

#[test]
fn nobody_is_sent_to_another_site() {
    for ours in ["/", "/orgs", "/orgs/org_1/invoices?status=open&cursor=a%2Fb", "/orgs//x"] {
        assert_eq!(place(ours), Some(ours));
    }
    for foreign in [
        "",
        "orgs",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/a\r\nset-cookie: x",
        "/ä",
        "/a b",
    ] {
        assert_eq!(place(foreign), None, "{foreign}");
    }
    assert_eq!(place(&format!("/{}", "a".repeat(2000))), None);
}

#[test]
fn who_has_no_session_comes_back_to_what_was_asked() {
    let asked = |refused: &str, cookie: &str, is_form| {
        let request = request(json!({
            "rawPath": "/orgs/o", "rawQueryString": "a=1", "headers": {"cookie": cookie},
            "requestContext": {"authorizer": {"lambda": {"refused": refused}}},
        }));
        let told = told(&missing(&request, is_form));
        (told["statusCode"].as_u64().unwrap(), told["headers"]["location"].as_str().unwrap().to_owned())
    };
    let kept = format!("{REFRESH}=r");
    let (sign_in, renew) = ("/sign-in?next=%2Forgs%2Fo%3Fa%3D1", "/sign-in/refresh?next=%2Forgs%2Fo%3Fa%3D1");
    assert_eq!(asked("missing", "", false), (303, sign_in.to_owned()));
    assert_eq!(asked("expired", &kept, false), (303, renew.to_owned()));
    assert_eq!(asked("missing", &kept, true), (307, renew.to_owned()));
    assert_eq!(asked("invalid", &kept, true), (303, sign_in.to_owned()));
}

#[test]
fn cookies_are_for_this_host_and_no_script() {
    let kept = told(&keep(Response::empty(303), ACCESS, "token"));
    let gone = told(&forget(Response::empty(303)));
    assert_eq!(kept["cookies"], json!(["__Host-plixo-access=token; Path=/; Secure; HttpOnly; SameSite=Lax"]));
    let gone = gone["cookies"].as_array().unwrap();
    assert_eq!(gone.len(), 2);
    assert!(gone.iter().all(|cookie| {
        cookie.as_str().unwrap().ends_with("=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
    }));
}

#[test]
fn a_form_is_read_as_it_was_typed() {
    let posted = |kind: &str, body: &str| {
        Form::posted(&request(json!({"headers": {"Content-Type": kind}, "body": body})))
    };
    let form = posted("application/x-www-form-urlencoded", "a=+b%C3%A4+&memo=x%0D%0Ay&a=2&empty=+").unwrap();
    assert_eq!(
        (form.raw("a"), form.text("a"), form.some("empty"), form.text("none")),
        (" bä ", "bä", None, "")
    );
    assert_eq!(form.raw("memo"), "x\ny");
    assert!(posted("application/json", "{}").is_none());
    assert!(posted("", "a=1").is_none());
    assert!(posted("application/x-www-form-urlencoded; charset=utf-8", &"a".repeat(256 << 10)).is_some());
    assert!(posted("application/x-www-form-urlencoded", &"a".repeat((256 << 10) + 1)).is_none());
}

/// A form with files as a browser sends it.
fn with_files(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map_or(String::new(), |file| {
            format!("; filename=\"{file}\"\r\nContent-Type: application/octet-stream")
        });
        let head = format!("--xYz\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(b"--xYz--\r\n");
    body
}

fn sent_with_files(body: &[u8]) -> Option<Form> {
    Form::posted_with_files(&Request::default().with_bytes("multipart/form-data; boundary=xYz", body))
}

#[test]
fn a_form_with_a_file_is_read_as_it_was_sent() {
    let image: Vec<u8> = (0..=255).chain(*b"\r\n--xY\r\n\r\n--xyz--\r\n-").collect();
    let sent = with_files(&[
        ("do", None, b"logo"),
        ("memo", None, "a\r\nbä".as_bytes()),
        ("logo", Some("ä/../x.png"), &image),
        ("none", Some(""), b""),
        ("do", None, b"other"),
    ]);
    let form = sent_with_files(&sent).unwrap();
    assert_eq!((form.text("do"), form.raw("memo")), ("logo", "a\nbä"));
    assert_eq!(form.file("logo"), Some(&File::Whole(image)));
    assert_eq!((form.file("none"), form.file("do")), (Some(&File::Whole(Vec::new())), None));
    assert_eq!((form.raw("logo"), form.has("logo")), ("", false), "a file is no text");

    let whole = |length| File::Whole(vec![7; length]);
    for (length, expected) in
        [(64 << 10, whole(64 << 10)), ((64 << 10) + 1, File::TooLarge), (4 << 20, File::TooLarge)]
    {
        let sent = with_files(&[("do", None, b"logo"), ("logo", Some("x.png"), &vec![7; length])]);
        let form = sent_with_files(&sent).unwrap();
        assert_eq!((form.text("do"), form.file("logo")), ("logo", Some(&expected)));
    }
}

#[test]
fn what_is_no_form_with_a_file_is_none() {
    let good = with_files(&[("do", None, b"logo"), ("logo", Some("x.png"), b"image")]);
    assert!(sent_with_files(&good).is_some());
    for end in 0..good.len() - 4 {
        assert!(sent_with_files(&good[..end]).is_none(), "cut at {end}");
    }
    assert!(sent_with_files(&with_files(&[("memo", None, &vec![b'a'; (64 << 10) + 1])])).is_none());
    assert!(sent_with_files(&with_files(&[("a", None, &b"1"[..]); 17])).is_none());
    let kinds =
        ["application/x-www-form-urlencoded", "multipart/form-data", "multipart/mixed; boundary=xYz", ""];
    for kind in kinds {
        assert!(Form::posted_with_files(&Request::default().with_bytes(kind, &good)).is_none(), "{kind}");
    }
    let sent = Request::default().with_bytes("multipart/form-data; boundary=xYz", &good);
    assert!(Form::posted(&sent).is_none());
}

#[test]
fn problems_are_told_with_their_fields() {
    let fields = [plixo_lambda::http::FieldError { pointer: "/a".to_owned(), detail: "wrong".to_owned() }];
    let response = Response::field_problem(400, "invalid_request", "t", "All of it.", &fields, "r1");
    let problem = done(&response).unwrap_err();
    assert_eq!((problem.status, problem.code.as_str(), problem.fields.len()), (400, "invalid_request", 1));
    assert!(problem.can_be_mended() && problem.errors(|_| None).any());
    let stale = Problem { status: 412, code: "stale".to_owned(), detail: String::new(), fields: vec![] };
    assert!(stale.can_be_mended() && stale.errors(|_| None).is_stale());
    assert_eq!(done(&Response::of(502, "text/plain", "x".to_owned())), Err(Problem::internal()));
    assert_eq!(done(&Response::empty(204)), Ok(()));
}

#[test]
fn a_form_without_its_answer_can_be_sent_again() {
    let form = Form::posted(&request(json!({
        "headers": {"content-type": "application/x-www-form-urlencoded"},
        "body": "memo=%3Cb%3E+x%0D%0Ay&idempotency_key=k.save",
    })));
    let asked = request(json!({"rawPath": "/orgs/o/members", "rawQueryString": "cursor=a"}));
    let shown = told(&send_again(&asked, &form.unwrap()));
    let html = shown["body"].as_str().unwrap();
    assert_eq!(shown["statusCode"], 503);
    assert!(html.contains("<form method=\"post\" action=\"/orgs/o/members?cursor=a\">"), "{html}");
    assert!(html.contains("name=\"memo\" value=\"&#60;b&#62; x\ny\""), "{html}");
    assert!(html.contains("name=\"idempotency_key\" value=\"k.save\""));
}

#[test]
fn pages_have_their_headers_and_assets_are_kept() {
    let shown = told(&page(200, "<p>".to_owned()));
    assert!(shown["headers"]["content-security-policy"].as_str().unwrap().contains("default-src 'none'"));
    for file in plixo_pages::assets() {
        let told = told(&asset(&file.path).unwrap());
        assert_eq!(told["headers"]["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(told["headers"]["content-type"], file.content_type);
    }
    assert!(asset("/assets/other.css").is_none());
    assert!(frame(|| None, None).is_none());
    assert_eq!(frame(|| Some([7; 32]), Some("Saved.")).unwrap().form_key, "07".repeat(16));
}

proptest! {
    #[test]
    fn any_bytes_are_a_form_with_files_or_none(body: Vec<u8>, at: prop::sample::Index, kind: String) {
        let _ = sent_with_files(&body);
        let mut sent = with_files(&[("do", None, b"logo"), ("logo", Some("x.png"), b"image")]);
        let at = at.index(sent.len());
        sent.splice(at..at, body);
        let _ = sent_with_files(&sent);
        let kind = format!("multipart/form-data; boundary={kind}");
        let _ = Form::posted_with_files(&Request::default().with_bytes(&kind, &sent));
    }

    #[test]
    fn any_bytes_are_a_form_or_none(body: Vec<u8>) {
        use base64::Engine;
        let body = base64::engine::general_purpose::STANDARD.encode(body);
        let headers = json!({"content-type": "application/x-www-form-urlencoded"});
        let _ = Form::posted(&request(json!({"headers": headers, "body": body, "isBase64Encoded": true})));
    }
}
