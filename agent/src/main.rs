//! The agent's program: reads its settings, starts, waits for a signal. Its exit codes are told by `--help`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use haywain_agent::agent::{self, Ended};
use haywain_agent::config::{Errand, Flags, Settings};
use haywain_agent::status::tell;
use haywain_agent::{clock, doctor, jail};
use haywain_shared::shutdown::Signals;
use haywain_shared::{config, errors, logging};

/// Another process runs as this agent.
const REPLACED: u8 = 3;
/// Stopped at once, by a second signal.
const STOPPED_AT_ONCE: u8 = 4;

fn main() -> ExitCode {
    let jailed = jail::enter(std::env::args_os().skip(1));
    jailed.unwrap_or_else(|| run().unwrap_or_else(|error| errors::last_words(error.as_ref())))
}

#[tokio::main]
async fn run() -> anyhow::Result<ExitCode> {
    let flags = Flags::parse();
    let settings: Settings = config::load("agent", &flags, flags.config.as_deref())?;
    // What the doctor has to say is on standard output, and no log.
    if !matches!(flags.errand, Some(Errand::Doctor)) {
        logging::start(settings.log_format);
    }
    let data_dir = match &settings.data_dir {
        Some(folder) => folder.clone(),
        None => config::default_data_dir("agent")?,
    };
    match flags.errand {
        Some(Errand::Status { json }) => return tell(&data_dir, json),
        Some(Errand::Doctor) => {
            let is_well = doctor::examine(&settings, &data_dir, |finding| println!("{finding}")).await;
            return Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        None => {}
    }
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

/// Tells the status of the agent of a data folder.
fn tell(data_dir: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let found =
        tell::of(data_dir, clock::wall()).with_context(|| format!("reading the status in {}", data_dir.display()))?;
    if json {
        show(&serde_json::to_string_pretty(&found)?)?;
    } else {
        show(found.text.trim_end())?;
    }
    Ok(if found.running { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A line on standard output. Whoever reads it may have heard enough, as `grep -q` has.
fn show(line: &str) -> std::io::Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
