//! AWS that is slow, throttles or breaks: a server on this machine that answers as told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::Region;
use aws_sdk_sqs::config::Credentials;
use plixo_envelope::{KeyFailure, KeyService};

use crate::AwsError;
use crate::config::{Patience, loader};
use crate::kms::Kms;
use crate::secrets::{ReadSecret, Vault};
use crate::sqs::{Queue, SendMessage};

/// What the server answers to each request; `None`: nothing, ever.
type Answer = Option<(u16, &'static str)>;

struct Server {
    url: String,
    patience: Patience,
    asked: Arc<AtomicUsize>,
    traces: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let traces = Arc::default();
        let (counter, seen) = (Arc::clone(&asked), Arc::clone(&traces));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counter, seen) = (Arc::clone(&counter), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, answer, &counter, &seen));
            }
        });
        // Long enough for an answer that comes, however busy the machine is.
        let (per_try, in_all) = if answer.is_some() { (5_000, 20_000) } else { (300, 800) };
        let (per_try, in_all) = (Duration::from_millis(per_try), Duration::from_millis(in_all));
        Self { url, patience: Patience { tries: 3, per_try, in_all }, asked, traces }
    }

    async fn config(&self) -> aws_config::SdkConfig {
        let credentials = Credentials::new("test", "test", None, None, "test");
        let region = Region::new("eu-west-1");
        loader(self.patience)
            .region(region)
            .credentials_provider(credentials)
            .endpoint_url(&self.url)
            .load()
            .await
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, answer: Answer, asked: &AtomicUsize, traces: &Mutex<Vec<String>>) {
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    while let Ok(1..) = stream.read(&mut part).inspect(|n| seen.extend_from_slice(&part[..*n])) {
        let text = String::from_utf8_lossy(&seen).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |n| n.parse().unwrap());
        if body.len() < length {
            continue;
        }
        asked.fetch_add(1, Ordering::SeqCst);
        let trace = head.lines().find_map(|line| line.strip_prefix("x-amzn-trace-id: "));
        traces.lock().unwrap().extend(trace.map(str::to_owned));
        seen.clear();
        let Some((status, body)) = answer else { continue };
        let answer = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn send(server: &Server) -> Result<String, AwsError> {
    let queue = Queue::new(&server.config().await, format!("{}/1/queue", server.url));
    queue.send_message("body".to_owned(), ("plixo", "{}".to_owned())).await
}

#[test]
fn what_is_slow_throttles_or_breaks_is_tried_three_times_and_then_unavailable() {
    const THROTTLED: &str = r#"{"__type":"ThrottlingException","message":"slow down"}"#;
    const BROKEN: &str = r#"{"__type":"InternalFailure"}"#;
    for answer in [None, Some((400, THROTTLED)), Some((500, BROKEN)), Some((503, "")), Some((200, "no JSON"))]
    {
        let server = Server::start(answer);
        let done = block_on(send(&server));
        assert!(matches!(done, Err(AwsError::Unavailable { .. })), "{answer:?}: {done:?}");
        assert!((1..=3).contains(&server.asked()), "{answer:?}: {}", server.asked());
        if matches!(answer, Some((400 | 500 | 503, _))) {
            assert_eq!(server.asked(), 3, "{answer:?}");
        }
    }
}

#[test]
fn what_aws_decided_is_refused_and_asked_once() {
    const DENIED: &str = r#"{"__type":"AccessDeniedException","message":"no"}"#;
    let server = Server::start(Some((400, DENIED)));
    let done = block_on(send(&server));
    assert!(matches!(done, Err(AwsError::Refused { .. })), "{done:?}");
    assert_eq!(server.asked(), 1);
}

#[test]
fn an_unknown_secret_is_none_and_any_other_error_is_not() {
    let ask = async |answer| {
        let server = Server::start(answer);
        Vault::new(&server.config().await, "p/".to_owned()).read_secret("x").await
    };
    let unknown = Some((400, r#"{"__type":"ResourceNotFoundException","Message":"no"}"#));
    assert!(matches!(block_on(ask(unknown)), Ok(None)));
    let denied = Some((400, r#"{"__type":"AccessDeniedException"}"#));
    assert!(matches!(block_on(ask(denied)), Err(AwsError::Refused { .. })));
    assert!(matches!(block_on(ask(None)), Err(AwsError::Unavailable { .. })));
}

#[test]
fn an_answer_that_cannot_be_read_shows_nothing_of_itself() {
    const ODD: &str = r#"{"SecretString":"whsec_canary","CreatedDate":"soon"}"#;
    let server = Server::start(Some((200, ODD)));
    let config = block_on(server.config());
    let error = block_on(Vault::new(&config, "p/".to_owned()).read_secret("x")).unwrap_err();
    assert!(
        matches!(error, AwsError::Unavailable { .. }) && !format!("{error} {error:?}").contains("canary"),
        "{error:?}"
    );
    const KEY: &str = r#"{"Plaintext":7,"KeyId":"canary"}"#;
    let server = Server::start(Some((200, KEY)));
    let config = block_on(server.config());
    let error = block_on(Kms::new(&config, "key".to_owned()).unwrap_key("org", b"wrapped")).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}

#[test]
fn a_secret_marked_for_deletion_is_gone() {
    let server =
        Server::start(Some((400, r#"{"__type":"InvalidRequestException","Message":"marked for deletion"}"#)));
    let config = block_on(server.config());
    assert!(matches!(block_on(Vault::new(&config, "p/".to_owned()).read_secret("x")), Ok(None)));
}

#[test]
fn a_key_that_cannot_be_had_is_an_error_of_its_kind() {
    let ask = async |answer| {
        let server = Server::start(answer);
        Kms::new(&server.config().await, "key".to_owned()).unwrap_key("org", b"wrapped").await.map(drop)
    };
    let invalid = Some((400, r#"{"__type":"InvalidCiphertextException"}"#));
    assert!(matches!(block_on(ask(invalid)), Err(KeyFailure::Refused(_))));
    let short = Some((200, r#"{"Plaintext":"AAAA","KeyId":"key"}"#));
    assert!(matches!(block_on(ask(short)), Err(KeyFailure::Refused(_))));
    assert!(matches!(block_on(ask(None)), Err(KeyFailure::Retryable(_))));
    assert!(matches!(block_on(ask(Some((500, "")))), Err(KeyFailure::Retryable(_))));
}

#[test]
fn calls_are_counted_with_their_repeated_tries() {
    let server = Server::start(Some((500, "")));
    let (done, calls) = block_on(crate::calls::counted(send(&server)));
    assert!(done.is_err());
    assert_eq!((calls, server.asked()), (3, 3));
}

#[test]
fn a_trace_is_handed_on_with_every_call() {
    let server = Server::start(Some((
        200,
        r#"{"MessageId":"1","MD5OfMessageBody":"841a2d689ad86bd1611447453c22c6fc"}"#,
    )));
    let _ = block_on(crate::calls::traced(Some("root=1-5bef4de7".to_owned()), send(&server)));
    let _ = block_on(crate::calls::traced(None, send(&server)));
    assert_eq!(server.asked(), 2);
    assert_eq!(*server.traces.lock().unwrap(), ["root=1-5bef4de7"]);
}

#[cfg(all(feature = "cognito", feature = "jwks", feature = "mac", feature = "ses"))]
mod people;
