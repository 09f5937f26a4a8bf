//! `cargo xtask test`: everything that has to hold before a change is submitted, in one order, to the first failure.

mod bpy;
mod deploy;
mod fuzz;
mod nat;
mod setup;
mod steps;
mod tools;

use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;

use crate::interrupt;
use crate::table;
use crate::workspace::Workspace;
use steps::{Outcome, STEPS, Step, StepName};

/// What the tests can be told.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Run this step alone; may be given more than once
    #[arg(long, value_name = "STEP")]
    only: Vec<StepName>,
}

/// Runs the steps.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    let chosen = STEPS.iter().filter(|step| flags.only.is_empty() || flags.only.contains(&step.name));
    let mut done = Vec::new();
    for step in chosen {
        println!("\n==> {}: {}", step.name, step.what);
        let start = Instant::now();
        let outcome = (step.run)(&workspace);
        let took = start.elapsed();
        // What fails because of an interrupt has not failed.
        interrupt::check()?;
        let (outcome, error) = match outcome {
            Ok(outcome) => (outcome, None),
            Err(error) => (Outcome::Failed, Some(error)),
        };
        println!("==> {}: {} ({:.1} s)", step.name, outcome.word(), took.as_secs_f64());
        done.push((step, outcome, took));
        if let Some(error) = error {
            print!("{}", summary(&done));
            return Err(error.context(format!("step {} failed", step.name)));
        }
    }
    print!("{}", summary(&done));
    Ok(())
}

/// Tests of other tasks than this one: what they need, and where it is.
pub(crate) fn prepare(workspace: &Workspace, command: &mut Command) -> anyhow::Result<()> {
    setup::ensure(workspace)?;
    steps::with_blenders(workspace, command)
}

/// The steps that have been done, their seconds, and aloud whatever was left out.
fn summary(steps: &[(&Step, Outcome, Duration)]) -> String {
    let row = |(step, outcome, took): &(&Step, Outcome, Duration)| {
        [step.name.to_string(), format!("{:.1}", took.as_secs_f64()), outcome.word().to_owned()]
    };
    let mut rows: Vec<_> = steps.iter().map(row).collect();
    let all: Duration = steps.iter().map(|(_, _, took)| took).sum();
    rows.push(["all".to_owned(), format!("{:.1}", all.as_secs_f64()), String::new()]);
    let skipped = steps.iter().filter_map(|(step, outcome, _)| match outcome {
        Outcome::Passed | Outcome::Failed => None,
        Outcome::Skipped(reason) => Some(format!("SKIPPED: {} ({reason})\n", step.name)),
    });
    format!("\n{}{}", table::layout(["step", "seconds", ""], &rows), skipped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_is_said_aloud() {
        let done = [
            (&STEPS[0], Outcome::Passed, Duration::from_millis(1500)),
            (&STEPS[1], Outcome::Skipped("no network".to_owned()), Duration::from_millis(50)),
        ];
        let expected = format!(
            "\nstep   seconds\nsetup      1.5   passed\nfmt        0.1  SKIPPED\nall        1.6\nSKIPPED: {} (no network)\n",
            STEPS[1].name
        );
        assert_eq!(summary(&done), expected);
    }
}
