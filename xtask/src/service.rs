//! A program of the farm that runs beside this one: what it writes goes to a log file, and it ends no later than its
//! [`Service`] does, however that comes about.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::process::{self, Reach};

/// How long a service may take to end once it was asked to.
const GRACE: Duration = Duration::from_secs(10);
/// How much of a log is shown when its service has ended by itself.
const TAIL_LINES: usize = 15;

/// A running program.
#[derive(Debug)]
pub(crate) struct Service {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Service {
    /// Starts `program`, which is told nothing by the environment: settings that a developer keeps there are not the demo's.
    pub(crate) fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: &[A],
        log: PathBuf,
    ) -> anyhow::Result<Self> {
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("sharing a log file")?)
            .stderr(file);
        without_settings(&mut command);
        process::set_apart(&mut command);
        let child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { name: name.to_owned(), log, child })
    }

    /// Fails, with the end of its log, when the service has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let (log, name) = (self.log(), &self.name);
            bail!("{name} has ended ({status}). The end of {}:\n{}", self.log.display(), tail(&log, TAIL_LINES));
        }
        Ok(())
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that the service has written.
    pub(crate) fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The file with all that the service has written.
    pub(crate) fn log_file(&self) -> &Path {
        &self.log
    }

    /// How the service has ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends the service a signal, by its name.
    pub(crate) fn signal(&mut self, name: &str) {
        process::signal(name, &mut self.child, Reach::Process);
    }

    /// Ends the service as a power cut would.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Asks the service to end. It is waited for when it is dropped.
    pub(crate) fn ask_to_stop(&mut self) {
        process::ask_to_stop(&mut self.child, Reach::Process);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.ask_to_stop();
        if let Err(error) = process::make_sure(&mut self.child, Reach::Process, GRACE) {
            eprintln!("{} could not be stopped: {error}", self.name);
        }
    }
}

/// Takes every `HAYWAIN_…` variable from what a command will see.
pub(crate) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HAYWAIN_") {
            command.env_remove(name);
        }
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a\n", 2), "a");
        assert_eq!(tail("", 2), "");
    }
}
