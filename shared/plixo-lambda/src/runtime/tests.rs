use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::*;

/// A Runtime API that gives each request the next answer, and closes the connection after an answer that says so. Ends with what was asked: the first line
/// of each request, and its body.
fn serve(answers: Vec<&'static str>) -> (RuntimeApi, JoinHandle<Vec<(String, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut connection = None;
        let mut give = |answer: &str| {
            let open = || BufReader::new(listener.accept().unwrap().0);
            let asked = exchange(connection.get_or_insert_with(open), answer);
            if answer.contains("Connection: close") {
                connection = None;
            }
            asked
        };
        answers.into_iter().map(&mut give).collect()
    });
    (RuntimeApi { host, connection: None }, server)
}

fn exchange(connection: &mut BufReader<TcpStream>, answer: &str) -> (String, String) {
    let (mut first, mut length) = (String::new(), 0);
    connection.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        if let Some(number) = line.to_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    connection.get_mut().write_all(answer.as_bytes()).unwrap();
    (first.trim().to_owned(), String::from_utf8(body).unwrap())
}

const NEXT: &str = "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 8476a536\r\nLambda-Runtime-Trace-Id: Root=1-5bef4de7\r\nContent-Length: 7\r\n\r\n{\"n\":1}";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"n\r\n4\r\n\":1}\r\n0\r\n\r\n";
const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";

#[test]
fn events_and_answers_go_over_one_connection() {
    let (mut api, server) = serve(vec![NEXT, ACCEPTED, CHUNKED, ACCEPTED]);
    let invocation = api.next().unwrap();
    assert_eq!(
        (&*invocation.event, invocation.trace.as_deref()),
        (&b"{\"n\":1}"[..], Some("Root=1-5bef4de7"))
    );
    api.answer(&invocation, &[1, 2]).unwrap();
    let invocation = api.next().unwrap();
    assert_eq!((&*invocation.event, invocation.trace.as_deref()), (&b"{\"n\":1}"[..], None));
    api.refuse(&invocation, "NotDone", "no").unwrap();
    let asked = |line: &str, body: &str| (line.to_owned(), body.to_owned());
    assert_eq!(
        server.join().unwrap(),
        [
            asked("GET /2018-06-01/runtime/invocation/next HTTP/1.1", ""),
            asked("POST /2018-06-01/runtime/invocation/8476a536/response HTTP/1.1", "[1,2]"),
            asked("GET /2018-06-01/runtime/invocation/next HTTP/1.1", ""),
            asked(
                "POST /2018-06-01/runtime/invocation/1/error HTTP/1.1",
                r#"{"errorType":"NotDone","errorMessage":"no"}"#
            ),
        ]
    );
}

#[test]
fn an_answer_that_is_not_taken_ends_the_function() {
    let (mut api, server) =
        serve(vec![NEXT, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"]);
    let invocation = api.next().unwrap();
    assert!(api.answer(&invocation, &()).is_err());
    server.join().unwrap();
    assert!(api.next().is_err(), "nobody is there");
}

#[test]
fn an_invocation_without_its_id_is_an_error() {
    let (mut api, server) = serve(vec!["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"]);
    assert!(api.next().is_err());
    server.join().unwrap();
}

#[test]
fn a_closed_connection_is_opened_anew() {
    let last = "HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (mut api, server) = serve(vec![NEXT, last, NEXT]);
    let invocation = api.next().unwrap();
    api.answer(&invocation, &()).unwrap();
    assert_eq!(api.next().unwrap().event, invocation.event);
    assert_eq!(server.join().unwrap().len(), 3);
}

#[test]
fn an_answer_in_any_pieces_is_the_same_and_a_damaged_one_is_an_error() {
    for whole in [NEXT, CHUNKED] {
        let bytes = whole.as_bytes();
        let (answer, stays) = receive(&mut &*bytes).unwrap();
        assert_eq!((&*answer.body, stays), (&b"{\"n\":1}"[..], true));
        for cut in 0..bytes.len() {
            assert!(receive(&mut &bytes[..cut]).is_err(), "cut at {cut}");
            let mut in_pieces = BufReader::new(bytes[..cut].chain(&bytes[cut..]));
            assert_eq!(receive(&mut in_pieces).unwrap().0.body, answer.body);
        }
    }
    for damaged in [
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
    ] {
        assert!(receive(&mut damaged.as_bytes()).is_err(), "{damaged}");
    }
    assert!(receive(&mut &*vec![b'a'; 1 << 20]).is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_are_a_panic(bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..300)) {
        let _ = receive(&mut &*bytes);
    }
}
