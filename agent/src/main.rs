//! The agent's program: reads its settings, starts, waits for a signal.

use anyhow::Context as _;
use clap::Parser as _;
use haywain_agent::agent;
use haywain_agent::config::{Flags, Settings};
use haywain_shared::{config, logging, shutdown};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let settings: Settings = config::load("agent", &flags, flags.config.as_deref())?;
    logging::start(settings.log_format);
    let data_dir = match &settings.data_dir {
        Some(folder) => folder.clone(),
        None => config::default_data_dir("agent")?,
    };
    let signal = shutdown::signals().context("listening for signals")?;
    agent::run(&settings, &data_dir, signal).await
}
