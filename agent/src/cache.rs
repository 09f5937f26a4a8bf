//! Scenes on this machine: each in a folder named by its id, which appears whole or not at all. Slots that want the same
//! scene at once fetch it once.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt as _;
use haywain_shared::client::{AgentClient, CallError};
use haywain_shared::digest::Hasher;
use haywain_shared::retry::{GaveUp, until_answered};
use haywain_shared::scene::{Manifest, SceneFile, SceneId};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio_util::sync::CancellationToken;

/// The scene's own files, in its folder.
const FILES: &str = "files";
/// What they are.
const MANIFEST: &str = "manifest.json";
/// The extension of a folder that is not whole yet.
const PART: &str = "part";

/// Why a scene is not here.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The agent is to stop.
    #[error("stopped while fetching the scene")]
    Stopped,
    /// The orchestrator does not give it.
    #[error("fetching the scene: {0}")]
    Refused(CallError),
    /// It can't be written here.
    #[error("keeping the scene in {}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The scenes on this machine.
#[derive(Clone)]
pub struct SceneCache {
    folder: PathBuf,
    client: AgentClient,
    fetching: Arc<Mutex<HashMap<SceneId, Arc<tokio::sync::Mutex<()>>>>>,
}

impl SceneCache {
    /// Opens the cache in the agent's data folder. What an earlier life has not finished fetching is removed.
    pub fn open(data_dir: &Path, client: AgentClient) -> io::Result<Self> {
        let folder = data_dir.join("scenes");
        fs::create_dir_all(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == PART) {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(Self { folder, client, fetching: Arc::default() })
    }

    /// The scene's .blend on this machine, fetched first if it has to be.
    pub async fn entry(&self, scene: SceneId, stop: &CancellationToken) -> Result<PathBuf, CacheError> {
        let lock = Arc::clone(self.fetching.lock().unwrap_or_else(PoisonError::into_inner).entry(scene).or_default());
        let _fetching = lock.lock().await;
        let whole = self.folder.join(scene.to_string());
        let disk = |path: &Path| {
            let path = path.to_owned();
            move |source| CacheError::Disk { path, source }
        };
        if whole.exists() {
            let text = fs::read(whole.join(MANIFEST)).map_err(disk(&whole))?;
            let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| disk(&whole)(error.into()))?;
            return Ok(whole.join(FILES).join(manifest.entry));
        }
        let call = || self.client.scene(scene);
        let manifest = until_answered(self.client.patience(), stop, call).await.map_err(gave_up)?;
        let part = whole.with_extension(PART);
        fs::create_dir_all(part.join(FILES)).map_err(disk(&part))?;
        for file in &manifest.files {
            self.fetch(file, part.join(FILES).join(&file.path), stop).await?;
        }
        let text = serde_json::to_vec(&manifest).map_err(|error| disk(&part)(error.into()))?;
        fs::write(part.join(MANIFEST), text).map_err(disk(&part))?;
        fs::rename(&part, &whole).map_err(disk(&whole))?;
        tracing::info!(%scene, files = manifest.files.len(), "scene fetched");
        Ok(whole.join(FILES).join(manifest.entry))
    }

    async fn fetch(&self, file: &SceneFile, path: PathBuf, stop: &CancellationToken) -> Result<(), CacheError> {
        let call = async || match self.fetch_once(file, &path).await {
            Ok(()) => Ok(Ok(())),
            Err(FetchError::Call(error)) => Err(error),
            Err(FetchError::Disk(source)) => Ok(Err(CacheError::Disk { path: path.clone(), source })),
        };
        until_answered(self.client.patience(), stop, call).await.map_err(gave_up)?
    }

    async fn fetch_once(&self, file: &SceneFile, path: &Path) -> Result<(), FetchError> {
        let mut pieces = self.client.blob(file.sha256).await?;
        let mut written = File::create(path).await?;
        let mut hasher = Hasher::default();
        while let Some(piece) = pieces.try_next().await? {
            hasher.update(&piece);
            written.write_all(&piece).await?;
        }
        written.sync_all().await?;
        let arrived = hasher.finish();
        if arrived == file.sha256 {
            return Ok(());
        }
        let reason = format!("{} arrived with SHA-256 {arrived}, not {}", file.path, file.sha256);
        Err(CallError::Unreadable { call: "fetch blob", reason }.into())
    }
}

enum FetchError {
    Call(CallError),
    Disk(io::Error),
}

impl From<CallError> for FetchError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

fn gave_up(gave_up: GaveUp) -> CacheError {
    match gave_up {
        GaveUp::Stopped => CacheError::Stopped,
        GaveUp::Refused(error) => CacheError::Refused(error),
    }
}
