#![doc = include_str!("../README.md")]

mod demo;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "plixoctl", about = "The operators' and auditors' command of Plixo", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Demo organisations, for a stack that nobody relies on.
    #[command(subcommand)]
    Demo(demo::Command),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Cli { command: Command::Demo(command) } = Cli::parse();
    let answer = demo::run(command).await?;
    println!("{answer:#}");
    Ok(())
}
