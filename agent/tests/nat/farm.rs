//! A farm of real processes across the net: the orchestrator and those who ask it are in public, the agents behind the router.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use haywain_shared::ids::JobId;
use haywain_shared::job::{AttemptList, FrameCounts, FramePage, JobReport, JobState};
use haywain_shared::transport::HttpClients;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::authority::Authority;
use crate::blenders::{self, Kind};
use crate::net::{HOST, Net};
use crate::process::{Process, program, wait, without_settings};

/// Where the orchestrator listens. Nobody else does in this namespace.
pub(crate) const PORT: u16 = 4000;
/// How long a lease lasts, and the time from one heartbeat to the next: short, so that lines can be cut for longer.
const TIMES: [&str; 4] = ["--lease-ttl", "3s", "--heartbeat", "1s"];

/// The orchestrator, its two agents, and somebody who submits.
pub(crate) struct Farm {
    // Fields are dropped from the first to the last: processes end before their net does.
    agents: Vec<Process>,
    orchestrator: Process,
    authority: Authority,
    /// By which the test submits and looks at what it has submitted.
    token: String,
    clients: HttpClients,
    runtime: Runtime,
    folder: TempDir,
    /// The lines between them.
    pub(crate) net: Net,
}

impl Farm {
    /// Starts everything, and waits until both agents are let in.
    pub(crate) fn start() -> Self {
        let net = Net::lay();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::vouching_for(HOST, folder.path());
        let data_dir = folder.path().join("orchestrator");
        let token = create_token(&data_dir, &["--name", "artist", "--role", "submit"]);
        fs::write(folder.path().join("token"), &token).unwrap();
        let enrolment = create_token(&data_dir, &["--name", "rack", "--role", "enrol", "--uses", "2"]);
        fs::write(folder.path().join("enrolment"), enrolment).unwrap();
        let orchestrator = start_orchestrator(&folder, &authority);
        let clients = clients(&authority);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut farm = Self { agents: Vec::new(), orchestrator, authority, token, clients, runtime, folder, net };
        farm.agents = ["one", "two"].map(|name| farm.start_agent(name)).into();
        for agent in &farm.agents {
            agent.wait_for_log("registered");
        }
        farm
    }

    fn start_agent(&self, name: &str) -> Process {
        let mut command = self.net.in_private(Path::new(env!("CARGO_BIN_EXE_haywain-agent")));
        command
            .args(["--orchestrator", &url(""), "--name", name, "--slots", "1"])
            .arg("--ca")
            .arg(&self.authority.ca)
            .arg("--token-file")
            .arg(self.folder.path().join("enrolment"))
            .arg("--data-dir")
            .arg(self.folder.path().join(name))
            .arg("--blender")
            .arg(blenders::path(Kind::Program));
        Process::start(command, &self.folder.path().join(format!("{name}.log")))
    }

    /// The agents.
    pub(crate) fn agents(&self) -> &[Process] {
        &self.agents
    }

    /// The orchestrator.
    pub(crate) const fn orchestrator(&self) -> &Process {
        &self.orchestrator
    }

    /// Submits the first frames of a .blend, as an artist does. Agents get large batches, so that they have some left whatever happens.
    pub(crate) fn submit(&self, blend: &Path, frames: u64) -> JobId {
        let blender = blenders::path(Kind::Program);
        let mut command = self.haywain("submit");
        command.arg(blend).args(["--frames", &format!("1-{frames}"), "--batch-size", &frames.to_string()]);
        command.arg("--blender").arg(blender);
        serde_json::from_value(output(&mut command)["jobId"].clone()).unwrap()
    }

    /// Waits until a job is as `enough` wants it.
    pub(crate) fn wait_for(&self, job: JobId, what: &str, enough: impl Fn(&JobReport) -> bool) -> JobReport {
        wait(what, || Some(self.get::<JobReport>(&format!("/api/v1/jobs/{job}"))).filter(&enough))
    }

    /// Waits until a job of `frames` frames has ended, and fails unless each of them was done exactly once.
    pub(crate) fn expect_whole(&self, job: JobId, frames: u64) -> JobReport {
        let report = self.wait_for(job, "the end of the job", |job| job.ended_at.is_some());
        assert_eq!(report.state, JobState::Completed, "{report:?}");
        let counts = FrameCounts { total: frames, done: frames, ..FrameCounts::default() };
        assert_eq!(report.counts, counts);
        assert_eq!(report.agents.iter().map(|share| share.frames).sum::<u64>(), frames, "{:?}", report.agents);

        // The record: who tried which frame, and what came of it.
        let attempts = self.get::<AttemptList>(&format!("/api/v1/jobs/{job}/attempts")).attempts;
        let mut done = BTreeMap::<_, u32>::new();
        for attempt in attempts.iter().filter(|attempt| attempt.cause.is_none()) {
            *done.entry(attempt.frame).or_default() += 1;
        }
        assert!(done.len() as u64 == frames && done.values().all(|times| *times == 1), "{done:?}");
        let page = self.get::<FramePage>(&format!("/api/v1/jobs/{job}/frames"));
        let recorded: BTreeSet<_> = page.frames.iter().map(|frame| frame.frame).collect();
        assert!(recorded.len() as u64 == frames && page.frames.len() as u64 == frames, "{recorded:?}");

        // What the artist gets.
        let folder = tempfile::tempdir().unwrap();
        let fetched = output(self.haywain("download").arg(job.to_string()).arg("--out").arg(folder.path()));
        assert_eq!((&fetched["fetched"], &fetched["failed"]), (&frames.into(), &Value::Array(Vec::new())), "{fetched}");
        let pictures = pictures_below(folder.path());
        assert_eq!(pictures, frames);
        report
    }

    /// Lets both agents leave, which they do in order.
    pub(crate) fn leave(mut self) {
        for agent in &mut self.agents {
            assert_eq!(agent.terminate(), Some(0));
        }
    }

    /// The artist's own command line.
    fn haywain(&self, command: &str) -> Command {
        let mut haywain = Command::new(program("haywain-client", "haywain"));
        without_settings(&mut haywain);
        for home in ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
            haywain.env(home, self.folder.path().join("home"));
        }
        haywain.args([command, "--json", "--server", &url(""), "--ca"]).arg(&self.authority.ca);
        haywain.arg("--token-file").arg(self.folder.path().join("token"));
        haywain
    }

    /// The orchestrator's machine gets another address, and its name leads there.
    pub(crate) fn move_orchestrator(&mut self) {
        self.net.move_orchestrator();
        // What the test has open itself leads to where nobody is any more.
        self.clients = clients(&self.authority);
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let call = async {
            let answer = self.clients.calls.get(url(path)).bearer_auth(&self.token).send().await?;
            answer.error_for_status()?.json().await
        };
        self.runtime.block_on(call).unwrap()
    }
}

fn clients(authority: &Authority) -> HttpClients {
    HttpClients::new("nat-test", Some(&authority.ca)).unwrap()
}

fn url(path: &str) -> String {
    format!("https://{HOST}:{PORT}{path}")
}

fn start_orchestrator(folder: &TempDir, authority: &Authority) -> Process {
    let mut command = Command::new(program("haywain-orchestrator", "haywain-orchestrator"));
    command.args(["--listen", &format!("0.0.0.0:{PORT}")]).args(TIMES);
    command.arg("--tls-cert").arg(&authority.cert).arg("--tls-key").arg(&authority.key);
    command.arg("--data-dir").arg(folder.path().join("orchestrator"));
    let process = Process::start(command, &folder.path().join("orchestrator.log"));
    process.wait_for_log("orchestrator ready");
    process
}

fn create_token(data_dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program("haywain-orchestrator", "haywain-orchestrator"));
    without_settings(&mut command);
    let output = command.args(["token", "create"]).args(arguments).arg("--data-dir").arg(data_dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// What a command of ours says as JSON.
fn output(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How many files there are below a folder, each of which must be a picture that can be read.
fn pictures_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            if path.is_dir() {
                return pictures_below(&path);
            }
            if path.extension().is_some_and(|extension| extension == "png") {
                image::open(&path).unwrap();
                return 1;
            }
            0
        })
        .sum()
}
