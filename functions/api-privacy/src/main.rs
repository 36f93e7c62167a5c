//! Wiring of `api-privacy`.

use std::sync::Arc;

use api_privacy::{Api, FUNCTION, Outside};
use plixo_authz::Authz;
use plixo_aws::config::{self, Patience};
use plixo_aws::{kms::Kms, s3::Bucket, sqs::Queue};
use plixo_lambda::env::Env;
use plixo_lambda::{Error, entropy, http};
use plixo_staff::Desk;
use plixo_store::{Store, dynamo::DynamoTables};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let env = Env::default();
    let (ledger, events) = (env.required("LEDGER_TABLE"), env.required("WEBHOOK_EVENTS_TABLE"));
    let (audit, people) = (env.required("AUDIT_TABLE"), env.required("PEOPLE_TABLE"));
    let envelope_key = env.required("ENVELOPE_KEY_ARN");
    let (queue, bucket) = (env.required("PRIVACY_QUEUE_URL"), env.required("EXPORTS_BUCKET"));
    env.complete()?;

    let config = config::of_function(Patience::SENDER_WAITS).await;
    let tables = DynamoTables::new(&config, ledger, events, audit).with_people(people);
    let kms = Kms::new(&config, envelope_key);
    let (connected, checked) = tokio::join!(tables.connect(), kms.connect());
    connected?;
    checked?;

    let desk = Desk::new(Store::new(tables, kms, entropy::bytes_32), Authz::new()?, entropy::bytes_32);
    let outside = Outside { queue: Queue::new(&config, queue), bucket: Bucket::new(&config, bucket) };
    let api = &Api::new(Arc::new(desk), outside);
    http::serve(FUNCTION, "none", |request, line| async move { api.handle(&request, line).await }).await
}
