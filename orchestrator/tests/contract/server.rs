//! A running orchestrator for a test: in this process, on a thread and a runtime of its own, in a folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use haywain_orchestrator::config::Settings;
use haywain_orchestrator::server::Orchestrator;
use haywain_shared::digest::Sha256Digest;
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::tokens::new_token;
use crate::wire::{Answer, DEADLINE, Request};

/// A folder with a scene in it, and room for an orchestrator's data.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        std::fs::write(folder.scene(), Self::scene_bytes()).unwrap();
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(crate) fn scene(&self) -> PathBuf {
        self.path().join("barn.blend")
    }

    /// What the orchestrator takes for a .blend: it looks at the beginning only. Long enough to be sent in pieces.
    pub(crate) fn scene_bytes() -> Vec<u8> {
        b"BLENDER-v304".iter().copied().chain((0..300_000_u32).map(|at| at.to_le_bytes()[at as usize % 3])).collect()
    }

    /// Every file that belongs to a frame, recorded or not.
    pub(crate) fn frame_files(&self) -> Vec<PathBuf> {
        files_below(&self.data().join("outputs"))
    }
}

pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    // A file may go away while we look.
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// A running orchestrator. It stops, and everything of it with it, when this goes.
pub(crate) struct Farm {
    pub(crate) address: SocketAddr,
    pub(crate) folder: Folder,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Farm {
    /// One with a default scene.
    pub(crate) fn start() -> Self {
        Self::on(Folder::new())
    }

    pub(crate) fn on(folder: Folder) -> Self {
        let scene = folder.scene();
        Self::with(folder, json!({ "scene": scene }))
    }

    /// One that asks for tokens: `keys` are the roles and names of those who have one.
    pub(crate) fn with_keys<const N: usize>(keys: [(&str, &str); N], settings: Value) -> (Self, [String; N]) {
        let folder = Folder::new();
        let tokens = keys.map(|(role, name)| new_token(&folder, &["--role", role, "--name", name]));
        let mut settings = settings;
        settings["scene"] = folder.scene().display().to_string().into();
        (Self::with(folder, settings), tokens)
    }

    /// One with these settings; it listens on some free port.
    pub(crate) fn with(folder: Folder, settings: Value) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let data = folder.data();
        let running = std::thread::spawn(move || {
            runtime().block_on(async {
                let orchestrator = start(settings, &data).await?;
                ready.send(orchestrator.address()?)?;
                orchestrator.run_until(async { stopped.await.unwrap_or(()) }).await
            })
        });
        let Ok(address) = started.recv_timeout(DEADLINE) else { panic!("it does not start: {:?}", running.join()) };
        Self { address, folder, stop: Some(stop), running: Some(running) }
    }

    /// Stops it in order, and hands back its folder.
    pub(crate) fn stop(mut self) -> Folder {
        self.end().unwrap();
        std::mem::replace(&mut self.folder, Folder(TempDir::new().unwrap()))
    }

    fn end(&mut self) -> anyhow::Result<()> {
        drop(self.stop.take());
        self.running.take().map_or(Ok(()), |running| running.join().unwrap())
    }

    /// Submits a job that must be accepted, and says its id.
    pub(crate) fn submit(&self, body: &Value) -> String {
        let answer = Request::post("/render", body.to_string()).send(self.address);
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["jobId"].as_str().unwrap().to_owned()
    }

    /// How a job stands, in plain words.
    pub(crate) fn status(&self, job: &str) -> Answer {
        Request::get(&format!("/status/{job}")).send(self.address)
    }

    /// How a job stands, the whole of it.
    pub(crate) fn report(&self, job: &str) -> Value {
        Request::get(&format!("/status/{job}")).accept_json().send(self.address).json()
    }

    /// Changes what is in the queue's database, behind the orchestrator's back.
    pub(crate) fn change_the_queue(&self, sql: &'static str) {
        runtime().block_on(async {
            let options = SqliteConnectOptions::new().filename(self.folder.data().join("queue.sqlite"));
            sqlx::query(sql).execute(&mut options.connect().await.unwrap()).await.unwrap();
        });
    }

    /// Frames of a job that are pending, leased, done, failed. Every frame is in one of them.
    pub(crate) fn counts(&self, job: &str) -> [u64; 4] {
        let counts = self.report(job)["counts"].clone();
        let states = ["pending", "leased", "done", "failed"].map(|state| counts[state].as_u64().unwrap());
        assert_eq!(states.iter().sum::<u64>(), counts["total"], "{counts}");
        states
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        let ended = self.end();
        assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

async fn start(mut settings: Value, data: &Path) -> anyhow::Result<Orchestrator> {
    if settings["listen"].is_null() {
        settings["listen"] = "127.0.0.1:0".into();
    }
    let settings: Settings = serde_json::from_value(settings)?;
    Orchestrator::start(&settings, data).await
}

/// Why an orchestrator does not start.
pub(crate) fn refusal(settings: Value, data: &Path) -> String {
    match runtime().block_on(start(settings, data)) {
        Ok(_) => panic!("it started"),
        Err(error) => format!("{error:#}"),
    }
}

/// The digest of some bytes, as the wire has it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256Digest::of(bytes).to_string()
}
