//! Commands that people watch: they write where this program does, and end when it is interrupted.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::interrupt::{self, Interrupted};
use crate::process::{self, Reach};

/// How long an interrupted command may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// How often a command is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// Runs a command; failing is an error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let mut child = spawn(command, Reach::Group)?;
    must_succeed(command, wait(&mut child, Reach::Group)?)
}

/// Runs a command and returns what it wrote on its standard output; failing is an error.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let mut child = spawn(command.stdout(Stdio::piped()), Reach::Group)?;
    let pipe = child.stdout.take();
    // It is read while the command runs: one whose pipe is full would not end.
    let reader = thread::spawn(move || pipe.map(io::read_to_string));
    must_succeed(command, wait(&mut child, Reach::Group)?)?;
    let written = reader.join().ok().flatten().context("no output was read")?;
    written.with_context(|| format!("reading what `{}` writes", shown(command)))
}

/// Whether a command can be started and succeeds. Nothing of what it writes is seen.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool, Interrupted> {
    interrupt::check()?;
    Ok(command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success()))
}

/// Runs a command that may take `limit`, no longer: `None` says that it was ended for that.
pub(crate) fn status_within(command: &mut Command, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let mut child = spawn(command, Reach::Group)?;
    wait_within(&mut child, Reach::Group, limit)
}

/// Runs a package manager. It stays in this program's process group, as it may set the terminal's modes, which only those in
/// the foreground may.
pub(crate) fn run_on_the_terminal(command: &mut Command) -> anyhow::Result<()> {
    let mut child = spawn(command, Reach::Process)?;
    must_succeed(command, wait(&mut child, Reach::Process)?)
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let mut text = String::new();
    // Cargo says by its whole path which toolchain's it is.
    let program = match Path::new(command.get_program()) {
        path if path.file_stem().is_some_and(|name| name == "cargo") => OsStr::new("cargo"),
        path => path.as_os_str(),
    };
    for word in std::iter::once(program).chain(command.get_args()) {
        let word = word.to_string_lossy();
        let space = if text.is_empty() { "" } else { " " };
        let plain = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_./:=+,@%".contains(c));
        let _ = if plain { write!(text, "{space}{word}") } else { write!(text, "{space}'{word}'") };
    }
    text
}

fn spawn(command: &mut Command, reach: Reach) -> anyhow::Result<Child> {
    interrupt::check()?;
    command.stdin(Stdio::null());
    if reach == Reach::Group {
        process::set_apart(command);
    }
    command.spawn().with_context(|| format!("starting `{}`", shown(command)))
}

fn must_succeed(command: &Command, status: ExitStatus) -> anyhow::Result<()> {
    if status.success() { Ok(()) } else { bail!("`{}` failed ({status})", shown(command)) }
}

fn wait(child: &mut Child, reach: Reach) -> anyhow::Result<ExitStatus> {
    wait_within(child, reach, Duration::MAX)?.context("for ever has passed")
}

/// Waits for a command; `None` says that it was stopped because `limit` had passed.
fn wait_within(child: &mut Child, reach: Reach, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            // On a terminal, Ctrl-C may have ended both.
            interrupt::check()?;
            return Ok(Some(status));
        }
        let interrupted = interrupt::check();
        if interrupted.is_err() || start.elapsed() > limit {
            process::ask_to_stop(child, reach);
            process::make_sure(child, reach, GRACE)?;
            interrupted?;
            return Ok(None);
        }
        thread::sleep(GLANCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/toolchain/bin/cargo");
        command.args(["test", "--package", "a b", ""]);
        assert_eq!(shown(&command), "cargo test --package 'a b' ''");
    }

    #[cfg(unix)]
    #[test]
    fn a_command_over_its_time_is_ended() {
        let start = Instant::now();
        let status = status_within(Command::new("sleep").arg("30"), Duration::from_millis(100)).unwrap();
        assert_eq!(status, None);
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[cfg(unix)]
    #[test]
    fn output_is_what_was_written() {
        assert_eq!(output(Command::new("sh").args(["-c", "echo yes"])).unwrap(), "yes\n");
        let error = output(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert_eq!(error, "`sh -c 'exit 3'` failed (exit status: 3)");
    }
}
