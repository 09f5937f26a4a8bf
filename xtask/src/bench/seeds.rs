//! How many seeds of the simulation hold, and how fast they go: the tests run a few dozen, this as many as one likes.

use std::process::Command;
use std::time::Instant;

use anyhow::bail;
use clap::Args;

use crate::foreground;
use crate::workspace::{Workspace, cargo};

/// What the bench can be told.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    from: u64,
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
}

/// Simulates in release, each seed in a process of its own; a seed that fails is told with its trace.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let Some(end) = flags.from.checked_add(flags.count) else { bail!("--from and --count go beyond the last seed") };
    let workspace = Workspace::find()?;
    let test = |run: &[&str]| {
        let mut command: Command = cargo();
        command.current_dir(&workspace.root).args(["test", "--release", "--package", "haywain-agent", "--test", "sim"]);
        command.args(run);
        command
    };
    foreground::run(&mut test(&["--no-run"]))?;
    let started = Instant::now();
    let seeds = format!("{}..{end}", flags.from);
    let run = ["--", "--exact", "seeds::seeds", "--nocapture"];
    foreground::run(test(&run).env("HAYWAIN_SIM_SEEDS", &seeds))?;
    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "nobody runs 2^52 seeds")]
    let rate = flags.count as f64 / seconds;
    println!("seeds {seeds}: all held, {seconds:.0} s, {rate:.1} a second");
    Ok(())
}
