//! Programs that are run for the time that they take.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::foreground::shown;
use crate::interrupt;

/// What a program has written on its standard output, and how long it ran.
#[derive(Debug)]
pub(super) struct Timed {
    pub(super) written: String,
    pub(super) took: Duration,
}

/// Runs a program to its end, which is noticed at once: looking at intervals would count towards the time. It stays in this
/// program's process group, so that Ctrl-C ends both.
pub(super) fn output(command: &mut Command) -> anyhow::Result<Timed> {
    interrupt::check()?;
    command.stdin(Stdio::null());
    let start = Instant::now();
    let output = command.output().with_context(|| format!("starting `{}`", shown(command)))?;
    let took = start.elapsed();
    interrupt::check()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({}):\n{errors}", shown(command), output.status);
    }
    let written =
        String::from_utf8(output.stdout).with_context(|| format!("reading what `{}` writes", shown(command)))?;
    Ok(Timed { written, took })
}
