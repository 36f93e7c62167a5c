//! Runs the contract suite of buckets on the bucket that the environment names: `objects WORD`, with a word that no run on
//! it used before. Prints an address of an object that holds `there`.

use std::time::Duration;

use plixo_aws::config;
use plixo_aws::s3::{Bucket, Objects};
use plixo_lambda::env::Env;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let run = std::env::args().nth(1).ok_or("objects WORD")?;
    let env = Env::default();
    let bucket = env.required("BUCKET");
    env.complete()?;
    let bucket = Bucket::new(&config::of_command().await, bucket);
    plixo_testing::contract::objects(&bucket, &run).await;
    let key = format!("{run}/there");
    bucket.put(&key, "text/csv", b"there".to_vec()).await?;
    println!("{}", bucket.presign(&key, "file.csv", Duration::from_secs(300)).await?);
    Ok(())
}
