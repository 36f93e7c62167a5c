//! The [Runtime API](https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html): events in, answers out.
//!
//! Between two events the environment has nothing to do, so it waits in the system call that brings the next one, without
//! an event loop around it (`docs/adr/0008-runtime-api.md`).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde::Serialize;

use crate::env::Env;

/// Anything that ends a function.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// One event to work on.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) event: Vec<u8>,
    /// X-Ray's, which calls to AWS hand on, so that Lambda sees a loop of functions that wake each other.
    pub(crate) trace: Option<String>,
    id: String,
}

/// The Runtime API of this environment: HTTP/1.1 over one connection to this machine itself.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    host: String,
    connection: Option<BufReader<TcpStream>>,
}

#[derive(Debug)]
struct Answer {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// As the Runtime API takes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    error_type: &'a str,
    error_message: &'a str,
}

const INVOCATION: &str = "/2018-06-01/runtime/invocation";
/// More than the headers of an answer are.
const MAX_HEAD: u64 = 64 << 10;
/// More than an event is: 6 MB (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const MAX_BODY: usize = 16 << 20;

impl RuntimeApi {
    /// That of the environment variable `AWS_LAMBDA_RUNTIME_API`.
    pub(crate) fn of_environment() -> Result<Self, Error> {
        let env = Env::default();
        let host = env.required("AWS_LAMBDA_RUNTIME_API");
        env.complete()?;
        Ok(Self { host, connection: None })
    }

    /// Waits for the next event, and blocks the thread meanwhile.
    pub(crate) fn next(&mut self) -> Result<Invocation, Error> {
        let answer = self.exchange("GET", &format!("{INVOCATION}/next"), &[])?;
        let id = answer.header("lambda-runtime-aws-request-id").ok_or("an invocation without its id")?;
        let (id, trace) = (id.to_owned(), answer.header("lambda-runtime-trace-id").map(str::to_owned));
        Ok(Invocation { event: answer.body, trace, id })
    }

    /// Answers an event.
    pub(crate) fn answer(&mut self, to: &Invocation, answer: &impl Serialize) -> Result<(), Error> {
        self.exchange("POST", &format!("{INVOCATION}/{}/response", to.id), &serde_json::to_vec(answer)?)?;
        Ok(())
    }

    /// Says that an event could not be read, or what it asks for not be done. The message names no value of it.
    pub(crate) fn refuse(
        &mut self,
        to: &Invocation,
        error_type: &str,
        error_message: &str,
    ) -> Result<(), Error> {
        let failure = serde_json::to_vec(&Failure { error_type, error_message })?;
        self.exchange("POST", &format!("{INVOCATION}/{}/error", to.id), &failure)?;
        Ok(())
    }

    fn exchange(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer, Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(&self.host)?;
                stream.set_nodelay(true)?;
                BufReader::with_capacity(32 << 10, stream)
            }
        };
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host).into_bytes();
        if method == "POST" {
            write!(request, "content-type: application/json\r\ncontent-length: {}\r\n", body.len())?;
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        connection.get_mut().write_all(&request)?;
        let (answer, stays) = receive(&mut connection)?;
        self.connection = stays.then_some(connection);
        Ok(answer)
    }
}

/// Receives an answer of success, and whether the connection stays. Any other answer is an error: to go on would be to work
/// without Lambda's knowing.
fn receive(from: &mut impl BufRead) -> Result<(Answer, bool), Error> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let room = MAX_HEAD.saturating_sub(u64::try_from(head.len())?);
        if from.take(room).read_until(b'\n', &mut head)? == 0 {
            return Err("the Runtime API's answer has no end of its headers".into());
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut headers);
    parsed.parse(&head)?;
    let (status, version) = (parsed.code.unwrap_or_default(), parsed.version);
    let headers = parsed
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()));
    let mut answer = Answer { headers: headers.collect(), body: Vec::new() };
    if answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        while chunk(from, &mut answer.body)? {}
    } else if let Some(length) = answer.header("content-length") {
        let length = length.parse()?;
        read(from, length, &mut answer.body)?;
    }
    if !(200..300).contains(&status) {
        return Err(format!("the Runtime API answered {status}").into());
    }
    let closes = answer.header("connection").is_some_and(|said| said.eq_ignore_ascii_case("close"));
    Ok((answer, version == Some(1) && !closes))
}

/// Appends a chunk (RFC 9112, section 7.1); false after the last.
fn chunk(from: &mut impl BufRead, body: &mut Vec<u8>) -> Result<bool, Error> {
    let mut line = Vec::new();
    from.take(1024).read_until(b'\n', &mut line)?;
    let httparse::Status::Complete((_, size)) =
        httparse::parse_chunk_size(&line).map_err(|_| "no size of a chunk")?
    else {
        return Err("a chunk without its size".into());
    };
    read(from, usize::try_from(size)?, body)?;
    line.clear();
    from.take(1024).read_until(b'\n', &mut line)?;
    if line == b"\r\n" { Ok(size > 0) } else { Err("a chunk that does not end where it says".into()) }
}

fn read(from: &mut impl Read, length: usize, body: &mut Vec<u8>) -> Result<(), Error> {
    let before = body.len();
    if length > MAX_BODY.saturating_sub(before) {
        return Err("an event larger than Lambda's are".into());
    }
    let got = from.take(u64::try_from(length)?).read_to_end(body)?;
    if got == length { Ok(()) } else { Err("the Runtime API's answer ends too early".into()) }
}

#[cfg(test)]
mod tests;
