//! The orchestrator's program: reads its settings, starts, waits for a signal.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use haywain_orchestrator::config::{Command, Flags, Settings};
use haywain_orchestrator::server::Orchestrator;
use haywain_orchestrator::{enrol, tokens};
use haywain_shared::shutdown::Signals;
use haywain_shared::{config, errors, logging};

#[tokio::main]
async fn main() -> ExitCode {
    run().await.map_or_else(|error| errors::last_words(error.as_ref()), |()| ExitCode::SUCCESS)
}

async fn run() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let settings: Settings = config::load("orchestrator", &flags, flags.config.as_deref())?;
    logging::start(settings.log_format);
    let data_dir = match &settings.data_dir {
        Some(folder) => folder.clone(),
        None => config::default_data_dir("orchestrator")?,
    };
    match flags.command {
        Some(Command::Token(command)) => return tokens::run(command, &data_dir).await,
        Some(Command::Enrol(machine)) => return enrol::run(machine, &settings, &data_dir).await,
        None => {}
    }
    let mut signals = Signals::listen().context("listening for signals")?;
    let orchestrator = Orchestrator::start(&settings, &data_dir).await?;
    orchestrator.run_until(signals.next()).await
}
