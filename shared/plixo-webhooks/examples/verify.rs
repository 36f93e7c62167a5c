//! Answers each line of standard input with what the verifier says to it: see `tests/differential/README.md`.

use std::io::{BufRead, Write};

use base64::prelude::{BASE64_STANDARD, Engine};
use plixo_webhooks::stripe::{sign, verify};

#[derive(serde::Deserialize)]
struct Case {
    header: Option<String>,
    body: String,
    secret: String,
    now: i64,
}

fn answer(line: &str) -> Result<String, Box<dyn std::error::Error>> {
    let case: Case = serde_json::from_str(line)?;
    let (body, secret) = (BASE64_STANDARD.decode(case.body)?, case.secret.as_bytes());
    let Some(header) = case.header else { return Ok(sign(secret, case.now, &body)) };
    let header = String::from_utf8(BASE64_STANDARD.decode(header)?)?;
    Ok(match verify(&header, &body, [secret], case.now) {
        Ok(()) => "accept".to_owned(),
        Err(error) => format!("reject {}", error.code()),
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut answers = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        writeln!(answers, "{}", answer(&line?)?)?;
        answers.flush()?;
    }
    Ok(())
}
