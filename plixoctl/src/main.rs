#![doc = include_str!("../README.md")]

mod audit;
mod certificate;
mod demo;
mod operator;
mod password;
mod print;
mod restore;
mod totals;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "plixoctl", about = "The operators' and auditors' command of Plixo", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The audit log.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Certificates of erasure.
    #[command(subcommand)]
    Certificate(certificate::Command),
    /// Demo organisations, for a stack that nobody relies on.
    #[command(subcommand)]
    Demo(demo::Command),
    /// Who runs the platform.
    #[command(subcommand)]
    Operator(operator::Command),
    /// After a restore.
    #[command(subcommand)]
    Restore(restore::Command),
    /// The sums that overviews show.
    #[command(subcommand)]
    Totals(totals::Command),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let answer = match Cli::parse().command {
        Command::Audit(command) => audit::run(command).await?,
        Command::Certificate(command) => certificate::run(command)?,
        Command::Demo(command) => demo::run(command).await?,
        Command::Operator(command) => operator::run(command).await?,
        Command::Restore(command) => return restore::run(command).await,
        Command::Totals(command) => totals::run(command).await?,
    };
    print::line(&format!("{answer:#}"))
}
