//! Runs the tables' contract suite on the DynamoDB tables that the environment names: `contract WORD`, with a word that no
//! run on these tables used before.

use plixo_aws::config;
use plixo_lambda::env::Env;
use plixo_store::dynamo::DynamoTables;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let run = std::env::args().nth(1).ok_or("contract WORD")?;
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let audit = env.required("AUDIT_TABLE");
    env.complete()?;
    let tables = DynamoTables::new(&config::of_command().await, ledger, events, audit);
    plixo_testing::contract::tables(&tables, &run).await;
    println!("the tables hold the contract");
    Ok(())
}
