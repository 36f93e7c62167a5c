//! What is owed and was received, counted anew.

use anyhow::{bail, ensure};
use clap::Subcommand;
use plixo_aws::config;
use plixo_domain::id::OrgId;
use plixo_domain::ledger::RowKey;
use plixo_envelope::NoKeys;
use plixo_lambda::env::Env;
use plixo_lambda::{clock, entropy};
use plixo_store::Store;
use plixo_store::dynamo::DynamoTables;
use serde_json::{Value, json};
use worker_totals::{Progress, Worker};

use crate::print;

/// What can be done with the sums of overviews.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Count all invoices and payments of an organisation anew; what is shown changes when all are counted. Safe to repeat.
    Recount {
        /// The organisation.
        #[arg(long)]
        org: OrgId,
    },
}

/// Runs a command and answers what to print.
pub(crate) async fn run(Command::Recount { org }: Command) -> anyhow::Result<Value> {
    let env = Env::default();
    let ledger = env.required("LEDGER_TABLE");
    env.complete()?;
    let config = config::of_command().await;
    let tables = DynamoTables::new(&config, ledger, String::new(), String::new());
    let store = Store::new(tables, NoKeys, entropy::bytes_32);
    let found = store.read(&org, vec![RowKey::Organisation]).await?;
    if !found.iter().any(|(_, row)| row.is_some()) {
        bail!("there is no organisation {org}");
    }
    let told = |Progress { invoices, payments, .. }| {
        print::progress(&format!("{invoices} invoices, {payments} payments\n"));
    };
    let done = Worker::new(store).recount(&org, clock::now(), told).await?;
    let Progress { invoices, payments, left_out } = done;
    ensure!(left_out == 0, "{left_out} rows cannot be counted as they are, and are missing from the sums");
    Ok(json!({"org": org, "invoices": invoices, "payments": payments}))
}
