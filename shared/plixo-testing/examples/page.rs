//! Reads a page of an organisation's invoices from the DynamoDB table that the environment names, as the API does, and prints
//! how many it has: `page ORG`.

use plixo_aws::config;
use plixo_lambda::clock;
use plixo_lambda::env::Env;
use plixo_store::dynamo::DynamoTables;
use plixo_store::{List, Page, Store};
use plixo_testing::{FakeKms, Faults, entropy};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let org = std::env::args().nth(1).ok_or("page ORG")?.parse()?;
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let audit = env.required("AUDIT_TABLE");
    env.complete()?;
    let tables = DynamoTables::new(&config::of_command().await, ledger, events, audit);
    let store = Store::new(tables, FakeKms::new(Faults::default()), entropy);
    let page = Page { after: None, descending: true, limit: 25 };
    let listed = store.list(&org, &List::Invoices, page, clock::now()).await?;
    println!("{}", listed.rows.len());
    Ok(())
}
