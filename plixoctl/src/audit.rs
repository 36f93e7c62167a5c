//! The audit log, verified.

use std::fs::File;
use std::io::{BufReader, IsTerminal, stderr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use jiff::Timestamp;
use plixo_aws::config;
use plixo_aws::sign::{Sign, SigningKey};
use plixo_domain::id::OrgId;
use plixo_lambda::env::Env;
use plixo_seal::{PublicKey, Verified, verify_file};
use serde_json::{Value, json};

use crate::print;

/// What can be done with audit logs.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print the public key that an organisation's log is verified with.
    Key {
        /// The organisation.
        #[arg(long)]
        org: OrgId,
    },
    /// Verify an organisation's log from an export (kind `audit`, format `json`) and the public key alone, offline: says whether
    /// it is as it was sealed, and if not, which event is the first that was altered, dropped, inserted or moved.
    Verify {
        /// The export.
        file: PathBuf,
        /// The public key: what `audit key` prints, or a file that holds it. As PEM or base64, `--log` has to name the log.
        #[arg(long)]
        key: String,
        /// The log's name, which its checkpoints begin with, for a key that does not tell it.
        #[arg(long)]
        log: Option<String>,
        /// Until when the log has to be sealed: without it, nobody sees that its end was cut off.
        #[arg(long)]
        until: Option<Timestamp>,
        /// Since when the log has to be there: without it, nobody sees that its beginning was cut off, but for what is printed of it.
        /// What an organisation's policy no longer keeps is in no export.
        #[arg(long)]
        since: Option<Timestamp>,
    },
}

/// Runs a command and answers what to print.
pub(crate) async fn run(command: Command) -> anyhow::Result<Value> {
    match command {
        Command::Key { org } => {
            let env = Env::default();
            let (key, origin) = (env.required("SEAL_KEY_ARN"), env.required("SEAL_ORIGIN"));
            env.complete()?;
            let der = SigningKey::new(&config::of_command().await, key).public_key().await?;
            let log = format!("{origin}/{org}");
            Ok(json!({"log": log, "key": PublicKey::new(&log, &der)?.to_string()}))
        }
        Command::Verify { file, key, log, until, since } => {
            verify(&file, read_key(&key, log.as_deref())?, until, since)
        }
    }
}

/// What is said of an exported log that is as it was sealed, and reaches from `wanted` to `until`.
fn verify(
    file: &Path,
    key: PublicKey,
    until: Option<Timestamp>,
    wanted: Option<Timestamp>,
) -> anyhow::Result<Value> {
    let export = File::open(file).with_context(|| format!("opening {}", file.display()))?;
    let shows = stderr().is_terminal();
    let progress = |lines| {
        if shows {
            print::progress(&format!("\r{lines} lines"));
        }
    };
    let log = key.name().to_owned();
    let done = verify_file(BufReader::with_capacity(1 << 20, export), key, until, progress);
    if shows {
        print::progress("\n");
    }
    let Verified { events, before, since, checkpoints, sealed_to, unsealed } =
        done.context("this log is not verified")?;
    if let Some((begins, wanted)) = since.zip(wanted).filter(|(begins, wanted)| begins > wanted) {
        bail!("this log is there since {begins}, and not since {wanted}");
    }
    Ok(json!({
        "log": log, "verified": true, "events": events, "checkpoints": checkpoints, "sealed_to": sealed_to,
        "not_sealed_yet": unsealed, "since": since, "older_events": before,
    }))
}

/// The key of a text, or of the file of that name.
pub(crate) fn read_key(text: &str, log: Option<&str>) -> anyhow::Result<PublicKey> {
    let from_file = std::fs::read_to_string(text).ok();
    let key = from_file.as_deref().unwrap_or(text).trim();
    if let Ok(key) = key.parse::<PublicKey>() {
        return match log {
            Some(log) if log != key.name() => bail!("the key is that of {}", key.name()),
            _ => Ok(key),
        };
    }
    let body: String = key.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).context("the key is none, and no file of that name can be read")?;
    let log = log.context("--log has to name the log that this key is of")?;
    PublicKey::new(log, &der).context("the key is none")
}

#[cfg(test)]
mod tests {
    use plixo_seal::{Checkpoint, Entry, Note, Range, write_after};

    use std::io::Write;

    use super::*;

    const SEALED: &str = include_str!("../../fuzz/seeds/audit_export/sealed.jsonl");
    const KEY: &str = include_str!("../../fuzz/seeds/audit_export.key");

    /// What is said of a file with that text.
    fn verified(name: &str, text: &str, since: Option<Timestamp>) -> Result<Value, String> {
        let file = std::env::temp_dir().join(format!("plixoctl-{}-{name}.jsonl", std::process::id()));
        std::fs::write(&file, text).unwrap();
        let done = verify(&file, read_key(KEY, None).unwrap(), None, since);
        std::fs::remove_file(&file).unwrap();
        done.map_err(|error| format!("{error:#}"))
    }

    /// The log without its first hour.
    fn later_part() -> (String, Timestamp) {
        let mut lines = SEALED.lines();
        let first: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
        let (note, mut tree) = (first["checkpoint"].as_str().unwrap(), Range::new());
        let checkpoint: Checkpoint = Note::parse(note.as_bytes()).unwrap().text().parse().unwrap();
        let hour = lines.by_ref().skip(1).take(usize::try_from(checkpoint.size).unwrap());
        hour.for_each(|event| tree.push(Entry::of(event.as_bytes()).unwrap().leaf()));
        let mut text = Vec::new();
        write_after(&mut text, note, &tree).unwrap();
        lines.for_each(|line| writeln!(text, "{line}").unwrap());
        (String::from_utf8(text).unwrap(), checkpoint.span.to)
    }

    #[test]
    fn a_log_is_there_since_the_time_that_is_asked_for_or_it_is_told_since_when() {
        let long_ago = "2020-01-01T00:00:00Z".parse().ok();
        let whole = verified("whole", SEALED, long_ago).unwrap();
        assert_eq!(
            (&whole["verified"], &whole["since"]),
            (&json!(true), &Value::Null),
            "from its beginning on"
        );
        let (part, begins) = later_part();
        let told = verified("part", &part, Some(begins)).unwrap();
        assert_eq!(
            (&told["verified"], &told["since"], &told["older_events"]),
            (&json!(true), &json!(begins), &json!(3))
        );
        assert_eq!(verified("unasked", &part, None).unwrap()["since"], json!(begins));
        let why = verified("late", &part, long_ago).unwrap_err();
        assert!(why.contains(&format!("since {begins}, and not since 2020")), "{why}");
    }

    #[test]
    fn a_file_in_which_nothing_is_sealed_is_not_verified() {
        let (part, begins) = later_part();
        let after = part.lines().next().unwrap();
        let event = SEALED.lines().find(|line| line.starts_with("{\"action\":")).unwrap();
        for text in ["", "{\"unsealed\":true}\n", &format!("{{\"unsealed\":true}}\n{event}\n"), after] {
            for since in [None, Some(begins)] {
                let why = verified("nothing", text, since).unwrap_err();
                assert!(why.contains("nothing in it is sealed"), "{text}: {why}");
            }
        }
    }
}
