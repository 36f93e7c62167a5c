//! The audit log, verified.

use std::fs::File;
use std::io::{BufReader, IsTerminal, Write, stderr};
use std::path::PathBuf;

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
        Command::Verify { file, key, log, until, since: wanted } => {
            let key = read_key(&key, log.as_deref())?;
            let export = File::open(&file).with_context(|| format!("opening {}", file.display()))?;
            let shows = stderr().is_terminal();
            let progress = |lines| {
                if shows {
                    // A line that goes on is nothing to fail for.
                    let _ = write!(stderr(), "\r{lines} lines");
                }
            };
            let log = key.name().to_owned();
            let done = verify_file(BufReader::with_capacity(1 << 20, export), key, until, progress);
            if shows {
                eprintln!();
            }
            let Verified { events, before, since, checkpoints, sealed_to, unsealed } =
                done.context("this log is not as it was sealed")?;
            if let Some((begins, wanted)) = since.zip(wanted).filter(|(begins, wanted)| begins > wanted) {
                bail!("this log is there since {begins}, and not since {wanted}");
            }
            Ok(json!({
                "log": log, "verified": true, "events": events, "checkpoints": checkpoints, "sealed_to": sealed_to,
                "not_sealed_yet": unsealed, "since": since, "older_events": before,
            }))
        }
    }
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
