//! Certificates of erasure, verified.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use plixo_seal::Certificate;
use serde_json::{Value, json};

use crate::audit::read_key;

/// What can be done with certificates of erasure.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Verify a certificate with the public key alone, offline, and print what it says.
    Verify {
        /// The certificate.
        file: PathBuf,
        /// The public key of the organisation's audit log: what `audit key` prints, or a file that holds it. As PEM or base64,
        /// `--log` has to name the log.
        #[arg(long)]
        key: String,
        /// The log's name, for a key that does not tell it.
        #[arg(long)]
        log: Option<String>,
    },
}

/// Runs a command and answers what to print.
pub(crate) fn run(Command::Verify { file, key, log }: Command) -> anyhow::Result<Value> {
    let key = read_key(&key, log.as_deref())?;
    let note = std::fs::read(&file).with_context(|| format!("opening {}", file.display()))?;
    let certificate = Certificate::verify(&note, &key).context("this certificate is not to be believed")?;
    let Certificate {
        origin,
        request,
        customer,
        requested_at,
        requested_by,
        begun_at,
        finished_at,
        erased,
        kept,
    } = certificate;
    Ok(json!({
        "verified": true, "origin": origin, "request": request, "customer_id": customer, "requested_at": requested_at,
        "requested_by": requested_by, "begun_at": begun_at, "finished_at": finished_at, "erased": erased, "kept": kept,
    }))
}
