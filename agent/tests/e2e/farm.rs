//! A farm of real processes on loopback, in a folder of its own.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use haywain_shared::inspection::InspectionStanding;
use haywain_shared::job::{AgentReport, AttemptList, AttemptReport, JobReport, JobState};
use haywain_shared::scene::{Manifest, SceneId, SceneReport};
use serde_json::Value;
use tempfile::TempDir;

use crate::acquaintance;
use crate::apart::Apart;
pub(crate) use crate::process::{DEADLINE, Process, wait};
use crate::process::{program, without_settings};

/// An orchestrator, and the agents that a test starts for it.
pub(crate) struct Farm {
    folder: TempDir,
    scene: PathBuf,
    port: u16,
    orchestrator: Process,
    /// By which the test itself is known.
    token: Option<String>,
}

impl Farm {
    /// An orchestrator whose default scene is `scene`.
    pub(crate) fn start(scene: &Path) -> Self {
        Self::on(tempfile::tempdir().unwrap(), scene, None)
    }

    /// The same, which asks for tokens.
    pub(crate) fn start_locked(scene: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = token(&folder.path().join("orchestrator"), &["create", "--name", "test", "--role", "operate"]);
        Self::on(folder, scene, Some(token))
    }

    fn on(folder: TempDir, scene: &Path, token: Option<String>) -> Self {
        // Free now, and asked for again within milliseconds.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let orchestrator = start_orchestrator(folder.path(), scene, port);
        Self { folder, scene: scene.to_owned(), port, orchestrator, token }
    }

    /// Ends the orchestrator as a power cut would.
    pub(crate) fn kill_orchestrator(&mut self) {
        self.orchestrator.kill();
    }

    /// Starts it again on what it has on disk.
    pub(crate) fn restart_orchestrator(&mut self) {
        self.orchestrator.kill();
        self.orchestrator = start_orchestrator(self.folder.path(), &self.scene, self.port);
    }

    /// Starts an agent with `blender`; the same `name` is the same agent in its next life.
    pub(crate) fn agent(&self, name: &str, blender: &Path, slots: u32) -> Process {
        self.agent_with(name, blender, &["--slots", &slots.to_string()])
    }

    /// Starts an agent with further flags.
    pub(crate) fn agent_with(&self, name: &str, blender: &Path, flags: &[&str]) -> Process {
        self.agent_by(Command::new(env!("CARGO_BIN_EXE_haywain-agent")), name, blender, flags)
    }

    /// Starts an agent that sees nothing in these folders.
    pub(crate) fn agent_apart(&self, apart: &Apart, name: &str, blender: &Path, hidden: &[&Path]) -> Process {
        let command = apart.command(Path::new(env!("CARGO_BIN_EXE_haywain-agent")), hidden);
        self.agent_by(command, name, blender, &["--slots", "1"])
    }

    /// Starts an agent by a command of the test's own.
    pub(crate) fn agent_by(&self, mut command: Command, name: &str, blender: &Path, flags: &[&str]) -> Process {
        acquaintance::told_to(&self.folder.path().join(name));
        command
            .args(["--orchestrator", &format!("http://127.0.0.1:{}", self.port), "--name", name])
            .arg("--data-dir")
            .arg(self.folder.path().join(name))
            .arg("--blender")
            .arg(blender)
            .args(flags);
        Process::start(command, &self.folder.path().join(format!("{name}.log")))
    }

    /// Where the orchestrator answers.
    pub(crate) fn address(&self) -> String {
        self.url("")
    }

    /// The orchestrator's own folder.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("orchestrator")
    }

    /// Submits frames of a .blend as a user does: the path of the job's status.
    pub(crate) fn submit(&self, blend: &Path, frames: &str, blender: &Path) -> String {
        let mut command = Command::new(program("haywain-client", "haywain"));
        without_settings(&mut command);
        for home in ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
            command.env(home, self.folder.path().join("home"));
        }
        command.args(["--server", &self.url(""), "submit"]).arg(blend).args(["-f", frames, "--blender"]).arg(blender);
        let output = command.arg("--json").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["status"].as_str().unwrap().to_owned()
    }

    /// A folder for what a test leaves.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `POST /render`: the path of the job's status.
    pub(crate) fn render(&self, body: &Value) -> String {
        let response = self.http().post(self.url("/render")).send_json(body).unwrap();
        assert_eq!(response.status(), 202);
        response.headers()["location"].to_str().unwrap().to_owned()
    }

    /// The same, by somebody else's token.
    pub(crate) fn render_as(&self, token: &str, body: &Value) -> String {
        let response = http(Some(token.to_owned())).post(self.url("/render")).send_json(body).unwrap();
        assert_eq!(response.status(), 202);
        response.headers()["location"].to_str().unwrap().to_owned()
    }

    /// `POST /render` that is refused: the code and the body.
    pub(crate) fn refused(&self, body: &Value) -> (u16, String) {
        let mut response = self.http().post(self.url("/render")).send_json(body).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    /// A scene as the orchestrator keeps it.
    pub(crate) fn scene_report(&self, scene: SceneId) -> SceneReport {
        let mut response = self.http().get(self.url(&format!("/api/v1/scenes/{scene}"))).call().unwrap();
        response.body_mut().read_json().unwrap()
    }

    /// Hands the orchestrator a scene of several files, as a client does.
    pub(crate) fn give_scene(&self, manifest: &Manifest, root: &Path) -> SceneId {
        let mut response = self.http().post(self.url("/api/v1/scenes")).send_json(manifest).unwrap();
        assert_eq!(response.status(), 201);
        let report: SceneReport = response.body_mut().read_json().unwrap();
        assert_eq!(report.missing_blobs.len(), manifest.blobs().len());
        for file in &manifest.files {
            let url = self.url(&format!("/api/v1/blobs/{}", file.sha256));
            let response = self.http().put(url).send(fs::read(root.join(&file.path)).unwrap()).unwrap();
            assert!(response.status().is_success(), "{}", response.status());
        }
        report.scene_id
    }

    /// Hands the orchestrator a .blend.
    pub(crate) fn give_blend(&self, path: &Path) -> SceneId {
        let name = path.file_name().unwrap().to_str().unwrap();
        let url = self.url(&format!("/api/v1/scenes/files/{name}"));
        let mut response = self.http().put(url).send(fs::read(path).unwrap()).unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.body_mut().read_json::<SceneReport>().unwrap().scene_id
    }

    /// `GET /status/…` as a client of the tutorial reads it: the code and the body.
    pub(crate) fn status(&self, path: &str) -> (u16, String) {
        let mut response = self.http().get(self.url(path)).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    /// `POST /api/v1/jobs/{id}/{move}`: the code and the body.
    pub(crate) fn control(&self, path: &str, action: &str) -> (u16, String) {
        self.control_with(path, action, &Value::Null)
    }

    /// The same, with a body.
    pub(crate) fn control_with(&self, path: &str, action: &str, body: &Value) -> (u16, String) {
        let url = self.url(&format!("{}/{action}", path.replace("/status/", "/api/v1/jobs/")));
        let mut response = self.http().post(url).send_json(body).unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    /// The whole job.
    pub(crate) fn job(&self, path: &str) -> JobReport {
        let mut response = self.http().get(self.url(path)).header("accept", "application/json").call().unwrap();
        response.body_mut().read_json().unwrap()
    }

    /// Asks what is in a scene.
    pub(crate) fn ask_about(&self, scene: SceneId) -> InspectionStanding {
        let url = self.url(&format!("/api/v1/scenes/{scene}/inspection"));
        self.http().post(url).send_empty().unwrap().body_mut().read_json().unwrap()
    }

    /// The agents that are known.
    pub(crate) fn agents(&self) -> Vec<AgentReport> {
        let mut list: Value =
            self.http().get(self.url("/api/v1/agents")).call().unwrap().body_mut().read_json().unwrap();
        serde_json::from_value(list["agents"].take()).unwrap()
    }

    /// The ended attempts at its frames.
    pub(crate) fn attempts(&self, path: &str) -> Vec<AttemptReport> {
        let url = self.url(&format!("{}/attempts", path.replace("/status/", "/api/v1/jobs/")));
        self.http().get(url).call().unwrap().body_mut().read_json::<AttemptList>().unwrap().attempts
    }

    /// Waits until the job is as `enough` wants it.
    pub(crate) fn wait_for(&self, path: &str, what: &str, enough: impl Fn(&JobReport) -> bool) -> JobReport {
        wait(what, || Some(self.job(path)).filter(&enough))
    }

    /// Waits until the job has ended.
    pub(crate) fn wait_for_end(&self, path: &str) -> JobReport {
        self.wait_for(path, "the end of the job", |job| matches!(job.state, JobState::Completed | JobState::Failed))
    }

    /// `haywain-orchestrator token …` on its queue: what it says on standard output.
    pub(crate) fn token(&self, arguments: &[&str]) -> String {
        token(&self.data_dir(), arguments)
    }

    fn http(&self) -> ureq::Agent {
        http(self.token.clone())
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        acquaintance::heard_in(self.folder.path());
    }
}

fn http(token: Option<String>) -> ureq::Agent {
    let say_who = move |mut request: ureq::http::Request<ureq::SendBody<'_>>,
                        next: ureq::middleware::MiddlewareNext<'_>| {
        if let Some(token) = &token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        next.handle(request)
    };
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE));
    config.middleware(say_who).build().into()
}

/// The files of a job's frames, by name.
pub(crate) fn pictures(job: &JobReport) -> Vec<PathBuf> {
    let folder = job.output_folder.as_ref().unwrap();
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn token(data_dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program("haywain-orchestrator", "haywain-orchestrator"));
    without_settings(&mut command);
    let output = command.arg("token").args(arguments).arg("--data-dir").arg(data_dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn start_orchestrator(folder: &Path, scene: &Path, port: u16) -> Process {
    let mut command = Command::new(program("haywain-orchestrator", "haywain-orchestrator"));
    command.args(["--listen", &format!("127.0.0.1:{port}")]).arg("--scene").arg(scene);
    command.arg("--data-dir").arg(folder.join("orchestrator"));
    let process = Process::start(command, &folder.join("orchestrator.log"));
    process.wait_for_log("orchestrator ready");
    process
}
