//! The processes of a run. Each can be killed, frozen and started again; each life has a log of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::journal::{self, Entry};
use crate::interrupt;
use crate::service::Service;

/// How often a process is looked at that is to end.
const GLANCE: Duration = Duration::from_millis(20);

/// A process, over all its lives.
#[derive(Debug)]
pub(super) struct Player {
    /// What it is called.
    pub(super) name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    folder: PathBuf,
    logs: Vec<PathBuf>,
    service: Option<Service>,
}

impl Player {
    /// A process that is not started yet. Its logs go into `folder`.
    pub(super) fn new(name: &str, program: &Path, folder: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments: Vec::new(),
            folder: folder.to_owned(),
            logs: Vec::new(),
            service: None,
        }
    }

    /// What it is told at its next start, besides how to log.
    pub(super) fn set_arguments(&mut self, arguments: impl IntoIterator<Item = OsString>) {
        self.arguments = arguments.into_iter().chain(["--log-format".into(), "json".into()]).collect();
    }

    /// Begins its next life.
    pub(super) fn start(&mut self) -> anyhow::Result<&mut Service> {
        let log = self.folder.join(format!("{}.{}.log", self.name, self.logs.len() + 1));
        let service = Service::start(&self.name, &self.program, &self.arguments, log)?;
        self.logs.push(service.log_file().to_owned());
        Ok(self.service.insert(service))
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        match self.service.take() {
            Some(mut service) => service.kill().with_context(|| format!("killing {}", self.name)),
            None => Ok(()),
        }
    }

    /// Any other signal.
    pub(super) fn signal(&mut self, name: &str) {
        if let Some(service) = &mut self.service {
            service.signal(name);
        }
    }

    /// How it has ended, if it was started and has.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(service) = &mut self.service else { return Ok(None) };
        let status = service.ended().with_context(|| format!("looking at {}", self.name))?;
        if status.is_some() {
            self.service = None;
        }
        Ok(status)
    }

    /// Waits for its end, which it has been asked for; `None` when that does not come within `limit`.
    pub(super) fn await_end(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            match self.ended()? {
                Some(status) => return Ok(Some(status)),
                None if Instant::now() >= deadline => return Ok(None),
                None => interrupt::pause(GLANCE)?,
            }
        }
    }

    /// All that it has written, in all its lives.
    pub(super) fn journal(&self) -> anyhow::Result<Vec<Entry>> {
        let lives = self.logs.iter().map(|log| journal::read(log)).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(lives.concat())
    }

    /// The Blenders that it has started in this life and that are alive.
    pub(super) fn blenders(&self) -> anyhow::Result<Vec<u64>> {
        let Some(service) = &self.service else { return Ok(Vec::new()) };
        let started = journal::read(service.log_file())?;
        let started = started.iter().filter(|entry| entry.says("Blender started"));
        Ok(started.filter_map(|entry| entry.number("process")).filter(|process| self.is_ours(*process)).collect())
    }

    /// Whether a process lives and belongs to this run: its number may be another's by now.
    pub(super) fn is_ours(&self, process: u64) -> bool {
        is_of_run(&Path::new("/proc").join(process.to_string()), &self.folder)
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Who is frozen hears nothing else.
        self.signal("CONT");
    }
}

/// SIGKILL of any process.
pub(super) fn kill(process: u64) {
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -s KILL -- \"$1\"", "sh", &process.to_string()]);
    // An error says that it has ended by itself.
    let _ = kill.stdin(Stdio::null()).stderr(Stdio::null()).status();
}

/// All living processes whose command line names the run's folder, as people read them.
pub(super) fn of_run(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let paths = entries.map(|entry| entry.path()).filter(|path| is_of_run(path, folder));
    paths.map(|path| format!("{}: {}", path.file_name().unwrap_or_default().display(), command_line(&path))).collect()
}

/// A zombie that nobody has reaped yet has no command line.
fn is_of_run(process: &Path, folder: &Path) -> bool {
    command_line(process).contains(&*folder.to_string_lossy())
}

fn command_line(process: &Path) -> String {
    let words = std::fs::read(process.join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}
