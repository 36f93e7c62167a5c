//! Runs the contract suites of the store's ports on the DynamoDB tables that the environment names: `contract UUID`, with a
//! UUID that no run on these tables used before.

use plixo_aws::config;
use plixo_lambda::env::Env;
use plixo_store::dynamo::DynamoTables;
use plixo_store::people::DynamoPeople;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let run = std::env::args().nth(1).ok_or("contract UUID")?;
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let (audit, people) = (env.required("AUDIT_TABLE"), env.required("PEOPLE_TABLE"));
    env.complete()?;
    let config = config::of_command().await;
    let tables = DynamoTables::new(&config, ledger, events, audit).with_people(people.clone());
    plixo_testing::contract::tables(&tables, &run).await;
    plixo_testing::contract::people(&DynamoPeople::new(&config, people), &run, &run.parse()?).await;
    println!("the tables hold the contract");
    Ok(())
}
