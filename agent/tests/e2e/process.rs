//! The processes of a farm under test, each with its log. Every one of them ends with its [`Process`].

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::system;

/// How long anything may take before a test gives up on it.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);

/// Waits for something to become true, looking often.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Another package's program: cargo builds it for this package's tests only when it is told to.
pub(crate) fn program(package: &'static str, name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.insert(package) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // What cargo tells this test about its own package would make it build some of the dependencies anew.
        for (variable, _) in std::env::vars_os().filter(|(name, _)| is_of_a_package(&name.to_string_lossy())) {
            command.env_remove(variable);
        }
        command.args(["build", "--quiet", "--package", package]);
        assert!(command.status().unwrap().success(), "building {package}");
    }
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Path::new(env!("CARGO_BIN_EXE_haywain-agent")).with_file_name(name)
}

fn is_of_a_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| variable.starts_with(start))
}

/// Takes every `HAYWAIN_…` variable from what a command will see.
pub(crate) fn without_settings(command: &mut Command) {
    for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HAYWAIN_")) {
        command.env_remove(variable);
    }
}

/// A process that ends with this value, and its log.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// What the log had before this process wrote to it.
    log_start: usize,
}

impl Process {
    /// Starts a command that understands `--log-format`; what it logs is added to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let log_start = usize::try_from(file.metadata().unwrap().len()).unwrap();
        without_settings(&mut command);
        command.args(["--log-format", "json"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = command.spawn().unwrap();
        Self { child, log: log.to_owned(), log_start }
    }

    /// The lines of its log that say `message`.
    pub(crate) fn logged(&self, message: &str) -> Vec<Value> {
        let text = fs::read_to_string(&self.log).unwrap();
        let lines = text[self.log_start..].lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// Waits until its log says `message`.
    pub(crate) fn wait_for_log(&self, message: &str) -> Value {
        wait(&format!("{message:?} in {}", self.log.display()), || self.logged(message).pop())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u64 {
        self.child.id().into()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        system::signal(self.id(), name);
    }

    /// SIGTERM, and its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait_for_exit()
    }

    /// Its exit code, once it has ended by itself.
    pub(crate) fn wait_for_exit(&mut self) -> Option<i32> {
        wait("the end of a process", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            eprintln!("the end of {}:\n{}", self.log.display(), lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}
