//! The agent's program: reads its settings, starts, waits for a signal. Its exit codes are told by `--help`.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use haywain_agent::agent::{self, Ended};
use haywain_agent::config::{Flags, Settings};
use haywain_agent::jail;
use haywain_shared::shutdown::Signals;
use haywain_shared::{config, logging};

/// Another process runs as this agent.
const REPLACED: u8 = 3;
/// Stopped at once, by a second signal.
const STOPPED_AT_ONCE: u8 = 4;

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|word| word == jail::WORD).is_some() {
        return Ok(jail::enter(arguments));
    }
    run()
}

#[tokio::main]
async fn run() -> anyhow::Result<ExitCode> {
    let flags = Flags::parse();
    let settings: Settings = config::load("agent", &flags, flags.config.as_deref())?;
    logging::start(settings.log_format);
    let data_dir = match &settings.data_dir {
        Some(folder) => folder.clone(),
        None => config::default_data_dir("agent")?,
    };
    let signals = Signals::listen().context("listening for signals")?;
    match agent::run(&settings, &data_dir, signals).await? {
        Ended::InOrder => Ok(ExitCode::SUCCESS),
        Ended::AtOnce => Ok(ExitCode::from(STOPPED_AT_ONCE)),
        Ended::Replaced(by) => {
            eprintln!("{by}");
            Ok(ExitCode::from(REPLACED))
        }
    }
}
