//! What is to be done after tables were restored.

use anyhow::{Context, ensure};
use clap::Subcommand;
use plixo_aws::config;
use plixo_aws::kms::Kms;
use plixo_aws::s3::{Bucket, Objects};
use plixo_aws::sign::SigningKey;
use plixo_aws::sqs::Queue;
use plixo_domain::id::OrgId;
use plixo_domain::privacy::Erasure;
use plixo_lambda::env::Env;
use plixo_lambda::line::Line;
use plixo_lambda::{clock, entropy};
use plixo_store::Store;
use plixo_store::dynamo::DynamoTables;
use plixo_store::jobs::{self, Organisations};
use serde_json::json;
use worker_privacy::{Replayed, Worker};

use crate::print;

/// How many organisations are read at once.
const PAGE: usize = 100;

/// What can be done with restored tables.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Do every erasure in the erasure ledger again, on the tables that the environment names. Safe to repeat.
    ReplayErasures,
}

type Replay = Worker<DynamoTables, Kms, Bucket, SigningKey, Queue>;

/// Runs a command, which prints what it did as it goes.
pub(crate) async fn run(Command::ReplayErasures: Command) -> anyhow::Result<()> {
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let (audit, key) = (env.required("AUDIT_TABLE"), env.required("ENVELOPE_KEY_ARN"));
    let (exports, checkpoints) = (env.required("EXPORTS_BUCKET"), env.required("CHECKPOINTS_BUCKET"));
    env.complete()?;
    let config = config::of_command().await;
    let tables = DynamoTables::new(&config, ledger, events, audit);
    let (exports, checkpoints) = (Bucket::new(&config, exports), Bucket::new(&config, checkpoints));
    let store = Store::new(tables.clone(), Kms::new(&config, key), entropy::bytes_32);
    // What waits in queues is of now, and not of what was restored.
    let worker: Replay =
        Worker::new(store, exports, checkpoints.clone(), None, Vec::new(), None, entropy::bytes_32);

    let (mut replayed, mut left) = (0_u64, 0_u64);
    let mut next = Some(Organisations::START);
    while let Some(from) = next {
        let (orgs, further) = jobs::organisations(&tables, from, PAGE).await?;
        for org in orgs {
            for entry in entries(&checkpoints, &org).await? {
                let (customer, is_whole) = (entry.customer, entry.customer.is_none());
                let line = Line {
                    timestamp: clock::now(),
                    request_id: "restore replay-erasures".to_owned(),
                    ..Line::default()
                };
                let done = worker.replay(&entry, &line).await;
                // Without its data key nothing of an organisation opens: there is nothing else to do.
                let is_gone = is_whole && matches!(done, Ok(Replayed::Nothing | Replayed::Erased(_)));
                let told = match done {
                    Ok(Replayed::Nothing) => json!({"result": "nothing_left"}),
                    Ok(Replayed::Erased(count)) => json!({"result": "erased", "count": count}),
                    Ok(Replayed::Unknown) => json!({"result": "unknown"}),
                    Ok(Replayed::Held) => json!({"result": "held"}),
                    Ok(Replayed::NotDue) => json!({"result": "not_due"}),
                    Err(error) => json!({"result": "failed", "error": error.to_string()}),
                };
                replayed = replayed.saturating_add(1);
                let is_left =
                    matches!(told.get("result").and_then(|it| it.as_str()), Some("held" | "failed"));
                left = left.saturating_add(u64::from(is_left));
                let mut shown = json!({"org": org, "customer": customer});
                if let (Some(shown), Some(told)) = (shown.as_object_mut(), told.as_object()) {
                    shown.extend(told.clone());
                }
                print::line(&shown.to_string())?;
                if is_gone {
                    break;
                }
            }
        }
        next = further;
    }
    print::line(&json!({"entries": replayed, "left": left}).to_string())?;
    ensure!(left == 0, "{left} erasures are not done again: repeat it, once nothing stands in their way");
    Ok(())
}

/// An organisation's entries of the erasure ledger, that of its data key first.
async fn entries(ledger: &Bucket, org: &OrgId) -> anyhow::Result<Vec<Erasure>> {
    let prefix = Erasure::prefix(org);
    let (mut entries, mut after) = (Vec::new(), None::<String>);
    loop {
        let (names, more) = ledger.list(&prefix, after.as_deref()).await?;
        for name in &names {
            let text = ledger.get(name).await?.with_context(|| format!("{name} is not there"))?;
            let entry: Erasure = serde_json::from_slice(&text).with_context(|| format!("reading {name}"))?;
            ensure!(
                entry.v == Erasure::VERSION && entry.org == *org,
                "{name} is none that this command reads"
            );
            entries.push(entry);
        }
        after = names.last().cloned();
        if !more {
            break;
        }
    }
    entries.sort_by_key(|entry| entry.customer);
    Ok(entries)
}
