//! A farm of real processes on loopback, in a folder of its own. Every process that it starts ends with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use haywain_shared::job::JobReport;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);

/// An orchestrator, and the agents that a test starts for it.
pub(crate) struct Farm {
    folder: TempDir,
    address: String,
    /// What it is started with besides.
    flags: Vec<String>,
    /// `None` while it is away.
    orchestrator: Option<Process>,
}

impl Farm {
    pub(crate) fn start() -> Self {
        let mut farm = Self::not_started(Vec::new());
        farm.start_orchestrator();
        farm
    }

    /// A farm whose orchestrator is still to be started, with these flags.
    pub(crate) fn not_started(flags: Vec<String>) -> Self {
        let address = "127.0.0.1:0".to_owned();
        Self { folder: TempDir::new().unwrap(), address, flags, orchestrator: None }
    }

    /// Starts the orchestrator on its data, and where it was before if it has been there.
    pub(crate) fn start_orchestrator(&mut self) {
        let mut command = Command::new(program("haywain-orchestrator"));
        command.args(["--listen", &self.address, "--data-dir"]).arg(self.folder.path().join("orchestrator"));
        command.args(&self.flags);
        let orchestrator = Process::start(command, &self.folder.path().join("orchestrator.log"));
        let ready = orchestrator.wait_for_log("orchestrator ready");
        ready["listen"].as_str().unwrap().clone_into(&mut self.address);
        self.orchestrator = Some(orchestrator);
    }

    /// Ends the orchestrator without a word.
    pub(crate) fn kill_orchestrator(&mut self) {
        self.orchestrator = None;
    }

    /// `haywain-orchestrator token …`, and waits until tokens are asked for: what it says on standard output.
    pub(crate) fn token(&self, arguments: &[&str]) -> String {
        let said = self.token_before(arguments);
        wait("the doors are shut", || {
            let mut about = ureq::get(format!("{}/api/v1", self.url())).call().unwrap();
            (about.body_mut().read_json::<Value>().unwrap()["asksForTokens"] == true).then_some(())
        });
        said
    }

    /// The same, before the orchestrator is started.
    pub(crate) fn token_before(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(program("haywain-orchestrator"));
        command.arg("token").args(arguments).arg("--data-dir").arg(self.folder.path().join("orchestrator"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it is for those who are to meet its certificate.
    pub(crate) fn sealed_url(&self) -> String {
        format!("https://localhost:{}", self.address.rsplit_once(':').unwrap().1)
    }

    pub(crate) fn agent(&self, name: &str, blender: &Path) -> Process {
        self.agent_at(&self.url(), name, blender, &[], &[])
    }

    pub(crate) fn agent_at(
        &self,
        url: &str,
        name: &str,
        blender: &Path,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Process {
        let mut command = Command::new(program("haywain-agent"));
        command.envs(variables.iter().copied()).args(flags);
        command.args(["--orchestrator", url, "--name", name, "--slots", "1", "--data-dir"]);
        command.arg(self.folder.path().join(name)).arg("--blender").arg(blender);
        Process::start(command, &self.folder.path().join(format!("{name}.log")))
    }

    pub(crate) fn job(&self, id: &str) -> JobReport {
        let response = ureq::get(format!("{}/api/v1/jobs/{id}", self.url())).call();
        response.unwrap().body_mut().read_json().unwrap()
    }
}

/// Another package's program: cargo builds it for this package's tests only when it is told to.
fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // What cargo tells this test about its own package would make it build some of the dependencies anew.
        for (variable, _) in std::env::vars_os().filter(|(name, _)| is_of_a_package(&name.to_string_lossy())) {
            command.env_remove(variable);
        }
        command.args(["build", "--quiet", "--package", "haywain-orchestrator", "--package", "haywain-agent"]);
        assert!(command.status().unwrap().success(), "building the farm");
    });
    Path::new(env!("CARGO_BIN_EXE_haywain")).with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

fn is_of_a_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| variable.starts_with(start))
}

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

/// A process that ends with this value, and its log.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// What an earlier process has left in the log.
    log_start: usize,
}

impl Process {
    fn start(mut command: Command, log: &Path) -> Self {
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HAYWAIN_")) {
            command.env_remove(variable);
        }
        let file = File::options().create(true).append(true).open(log).unwrap();
        let log_start = usize::try_from(file.metadata().unwrap().len()).unwrap();
        command.args(["--log-format", "json"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        Self { child: command.spawn().unwrap(), log: log.to_owned(), log_start }
    }

    fn wait_for_log(&self, message: &str) -> Value {
        wait(&format!("{message:?} in {}", self.log.display()), || {
            let text = fs::read_to_string(&self.log).unwrap();
            let mut lines = text[self.log_start..].lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|line| line["message"] == message)
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            eprintln!("the end of {}:\n{}", self.log.display(), lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}
