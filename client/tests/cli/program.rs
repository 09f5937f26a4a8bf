//! The program under test, with nothing of the tester's own settings in sight.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::farm::DEADLINE;

/// A user's home: settings, caches, and room for scenes.
pub(crate) struct Home(TempDir);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    /// A file with this content.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The program, to be run here.
    pub(crate) fn command(&self, server: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haywain"));
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HAYWAIN_")) {
            command.env_remove(variable);
        }
        for home in ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA", "USERPROFILE"] {
            command.env(home, self.0.path());
        }
        command.env("HAYWAIN_SERVER", server).args(arguments).current_dir(self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it.
    pub(crate) fn start(&self, server: &str, arguments: &[&str]) -> Running {
        let mut child = self.command(server, arguments).spawn().unwrap();
        let (out, err) = (BufReader::new(child.stdout.take().unwrap()), read(child.stderr.take()));
        let (sender, lines) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Running { child, lines, err }
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, server: &str, arguments: &[&str]) -> Ran {
        let mut child = self.command(server, arguments).spawn().unwrap();
        let (out, err) = (read(child.stdout.take()), read(child.stderr.take()));
        let started = Instant::now();
        let code = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            if started.elapsed() > DEADLINE {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Ran { code, out: out.join().unwrap(), err: err.join().unwrap() }
    }
}

/// The program while it runs, with the lines that it says on standard output.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    err: JoinHandle<String>,
}

impl Running {
    /// The next line of standard output, as JSON, that has this `event`.
    #[track_caller]
    pub(crate) fn until(&self, event: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(DEADLINE);
            let line = line.unwrap_or_else(|error| panic!("waited for {event:?} in vain: {error}"));
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["event"] == event {
                return line;
            }
        }
    }

    /// Waits for its end; what it has said is what has not been waited for.
    pub(crate) fn end(mut self) -> Ran {
        let mut out = String::new();
        while let Ok(line) = self.lines.recv_timeout(DEADLINE) {
            out = format!("{out}{line}\n");
        }
        let code = self.child.wait().unwrap().code();
        Ran { code, out, err: self.err.join().unwrap() }
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Standard output as a JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Standard output as lines of JSON.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// All that comes, on a thread of its own: a full pipe would stop who writes to it.
fn read(pipe: Option<impl std::io::Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        pipe.unwrap().read_to_string(&mut text).unwrap();
        text
    })
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
