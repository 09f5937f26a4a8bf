//! The program: parses, runs the command, waits for it or for Ctrl-C. Its exit codes are told by `--help`.

use std::process::ExitCode;

use clap::Parser as _;
use haywain_client::cli::Cli;
use haywain_client::commands;
use haywain_client::exit::{Exit, Failure};
use haywain_shared::shutdown::Signals;
use serde_json::json;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let is_json = cli.common.json;
    let exit = match run(cli).await {
        Ok(exit) => exit,
        Err(Failure { exit, message }) => {
            if is_json {
                eprintln!("{}", json!({ "error": message, "exitCode": exit.code() }));
            } else {
                eprintln!("haywain: {message}");
            }
            exit
        }
    };
    exit.into()
}

async fn run(cli: Cli) -> Result<Exit, Failure> {
    let mut signals = Signals::listen().map_err(|error| Failure::error(format!("listening for signals: {error}")))?;
    let stop = CancellationToken::new();
    let mut work = std::pin::pin!(commands::run(cli, stop.clone()));
    loop {
        tokio::select! {
            outcome = &mut work => return outcome,
            // The first asks, the second does not wait for the answer.
            () = signals.next() => if stop.is_cancelled() {
                return Err(Failure::interrupted("stopped at once"));
            } else {
                stop.cancel();
            },
        }
    }
}
