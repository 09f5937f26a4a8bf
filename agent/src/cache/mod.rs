//! Scenes on this machine: `blobs` keeps their files, each once, `scenes` makes folders of them, and `limits` says
//! what goes when there are too many. What a session has open, or somebody is fetching, never goes; what one slot fetches
//! no other does.
//!
//! After a life that has not ended in order, every file is looked at, to the last byte, before it is used again.

mod blobs;
mod index;
pub mod limits;
mod scenes;
#[cfg(test)]
mod tests;
mod turns;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use haywain_shared::client::{AgentClient, CallError};
use haywain_shared::digest::Sha256Digest;
use haywain_shared::protocol::MAX_CACHED;
use haywain_shared::retry::{GaveUp, until_answered};
use haywain_shared::scene::{BlobRef, Manifest, SceneId};
use tokio_util::sync::CancellationToken;

use self::blobs::Blobs;
use self::index::Index;
use self::limits::Victim;
use self::scenes::{MakeLink, Scenes};
use self::turns::Turns;
use crate::blender::SceneFolder;
use crate::status::Holding;

/// In the cache's folder while an agent works with it. Whoever finds it there knows that the last one did not end in order,
/// or left files behind that nobody has looked at since such an end.
const UNCLEAN: &str = "unclean";
/// The cache's folder, in the agent's.
const FOLDER: &str = "cache";
/// What is said when what is in use exceeds the limit.
const TOO_MUCH: &str = "the scenes in use are larger than --cache-size: the cache exceeds it until they are done with";
/// How many files of one scene are fetched at once.
const FETCHES_AT_ONCE: usize = 4;

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

/// The scenes on this machine. Clones share it.
#[derive(Clone)]
pub struct SceneCache(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    max_bytes: u64,
    client: AgentClient,
    blobs: Blobs,
    scenes: Scenes,
    index: Index,
    fetching: Turns<SceneId>,
    fetching_blobs: Turns<Sha256Digest>,
}

/// A scene that is in use: it stays in the cache for as long as this value lives.
pub struct SceneInUse {
    cache: Arc<Shared>,
    id: SceneId,
    folder: SceneFolder,
}

impl SceneCache {
    /// Opens the cache in the agent's data folder. It is to hold `max_bytes` at most. What is in use may be more than that: it is
    /// had all the same, with a warning, and what is too much goes when the next scene wants room.
    pub fn open(data_dir: &Path, client: AgentClient, max_bytes: u64) -> io::Result<Self> {
        Self::open_with(data_dir, client, max_bytes, scenes::hard_link)
    }

    /// Where the scenes lie, in the agent's data folder.
    #[must_use]
    pub fn scenes_in(data_dir: &Path) -> PathBuf {
        data_dir.join(FOLDER).join("scenes")
    }

    fn open_with(data_dir: &Path, client: AgentClient, max_bytes: u64, make_link: MakeLink) -> io::Result<Self> {
        let folder = data_dir.join(FOLDER);
        let blobs = Blobs::open(folder.join("blobs"), client.clone())?;
        let (scenes, found) = Scenes::open(Self::scenes_in(data_dir), make_link)?;
        let unclean = folder.join(UNCLEAN).exists();
        if unclean {
            tracing::info!("the agent has not ended in order: files of scenes are verified before they are used");
        }
        let trust = if unclean { index::Trust::Unseen } else { index::Trust::Good };
        let index = Index::of(&blobs.all()?, found, trust);
        std::fs::write(folder.join(UNCLEAN), b"")?;
        let (fetching, fetching_blobs) = (Turns::default(), Turns::default());
        let shared = Shared { folder, max_bytes, client, blobs, scenes, index, fetching, fetching_blobs };
        shared.make_room();
        Ok(Self(Arc::new(shared)))
    }

    /// Notes that the agent ends in order.
    pub fn close(&self) {
        if self.0.index.is_all_good()
            && let Err(error) = std::fs::remove_file(self.0.folder.join(UNCLEAN))
        {
            tracing::warn!(%error, "the cache's mark of an unclean end");
        }
    }

    /// The scenes that lie whole on this machine, the latest used first, as many as a lease request tells of.
    #[must_use]
    pub fn cached(&self) -> Vec<SceneId> {
        self.0.index.latest(MAX_CACHED)
    }

    /// What is in it, and its bound.
    #[must_use]
    pub fn holding(&self) -> Holding {
        let index = &self.0.index;
        Holding { count: index.scenes() as u64, bytes: index.held_bytes(), max_bytes: self.0.max_bytes }
    }

    /// A scene on this machine, fetched first if it has to be.
    pub async fn scene(&self, id: SceneId, stop: &CancellationToken) -> Result<SceneInUse, CacheError> {
        let cache = &self.0;
        let _turn = cache.fetching.wait(id).await;
        if let Some(manifest) = cache.scenes.has(id).then(|| cache.index.take_whole(id)).flatten() {
            return Ok(self.in_use(id, &manifest));
        }
        let manifest = match cache.index.manifest(id) {
            Some(manifest) => manifest,
            None => Arc::new(cache.fetch_manifest(id, stop).await?),
        };
        let wanted = manifest.blobs();
        let _waited_for = cache.index.wait_for(&wanted);
        cache.make_room();
        cache.tell_if_it_is_too_much(id, &manifest);
        let fetches = stream::iter(wanted).map(|blob| cache.blob(blob, stop)).buffer_unordered(FETCHES_AT_ONCE);
        fetches.try_collect::<()>().await?;
        let assembled = {
            let (cache, manifest) = (Arc::clone(cache), Arc::clone(&manifest));
            tokio::task::spawn_blocking(move || cache.scenes.assemble(id, &manifest, &cache.blobs)).await
        };
        let copied_bytes = assembled
            .map_err(io::Error::other)
            .flatten()
            .map_err(|source| CacheError::Disk { path: cache.scenes.root(id), source })?;
        cache.index.add_scene(id, &manifest, copied_bytes);
        if copied_bytes > 0 {
            // Nobody knew before that it would take so much.
            cache.make_room();
            cache.tell_if_it_is_too_much(id, &manifest);
        }
        tracing::info!(scene = %id, files = manifest.files.len(), size_bytes = manifest.size_bytes(), "scene fetched");
        Ok(self.in_use(id, &manifest))
    }

    /// What is in use from now on has been counted by the index already.
    fn in_use(&self, id: SceneId, manifest: &Manifest) -> SceneInUse {
        let root = self.0.scenes.root(id);
        let color_config = manifest.color_config.as_ref().map(|path| root.join(path));
        let folder =
            SceneFolder { entry: root.join(&manifest.entry), root, places: manifest.places.clone(), color_config };
        self.0.scenes.note(id, self.0.index.note(id));
        SceneInUse { cache: Arc::clone(&self.0), id, folder }
    }
}

impl Shared {
    async fn fetch_manifest(&self, id: SceneId, stop: &CancellationToken) -> Result<Manifest, CacheError> {
        let call = async || {
            let manifest = self.client.scene(id).await?;
            let fault = match manifest.check() {
                Err(fault) => fault.to_string(),
                Ok(()) if manifest.id() != id => format!("it is scene {}", manifest.id()),
                Ok(()) => return Ok(manifest),
            };
            Err(CallError::Unreadable { call: "fetch scene", reason: format!("scene {id}: {fault}") })
        };
        until_answered(self.client.patience(), stop, call).await.map_err(gave_up)
    }

    /// Has a file here that is known to be good.
    async fn blob(&self, blob: BlobRef, stop: &CancellationToken) -> Result<(), CacheError> {
        let disk = |source| CacheError::Disk { path: self.blobs.path(blob.sha256), source };
        let _turn = self.fetching_blobs.wait(blob.sha256).await;
        if self.blobs.has(blob) {
            if self.index.trust(blob.sha256) == index::Trust::Good {
                return Ok(());
            }
            if self.blobs.is_good(blob.sha256).await.map_err(disk)? {
                self.index.set_good(blob.sha256);
                return Ok(());
            }
            tracing::warn!(sha256 = %blob.sha256, "a file of the cache is damaged: fetching it anew");
            self.blobs.remove(blob.sha256).map_err(disk)?;
        }
        self.blobs.fetch(blob, stop).await?;
        self.index.set_good(blob.sha256);
        Ok(())
    }

    /// A scene is rendered also where it does not fit: a frame that is never made helps nobody, and only a person can say
    /// whether the limit is to give way. So a person has to hear of it.
    fn tell_if_it_is_too_much(&self, id: SceneId, manifest: &Manifest) {
        let in_use_bytes = self.index.held_bytes();
        if in_use_bytes > self.max_bytes {
            let scene_bytes: u64 = manifest.blobs().iter().map(|blob| blob.size_bytes).sum();
            let (entry, cache_size_bytes) = (manifest.entry.as_str(), self.max_bytes);
            tracing::warn!(scene = %id, entry, scene_bytes, in_use_bytes, cache_size_bytes, "{TOO_MUCH}");
        }
    }

    /// Lets go what has been unused for longest, until the rest fits.
    fn make_room(&self) {
        let log = |removed: io::Result<()>| {
            if let Err(error) = removed {
                tracing::warn!(%error, folder = %self.folder.display(), "making room in the cache");
            }
        };
        let remove = |victim| match victim {
            Victim::Scene(id) => {
                tracing::info!(scene = %id, "scene let go: the cache is full");
                log(self.scenes.remove(id));
            }
            Victim::Blob(sha256) => log(self.blobs.remove(sha256)),
        };
        self.index.let_go(self.max_bytes, remove, |wanted| log(self.blobs.remove_parts(wanted)));
    }
}

impl SceneInUse {
    /// Where it lies, as a Blender opens it.
    #[must_use]
    pub const fn folder(&self) -> &SceneFolder {
        &self.folder
    }
}

impl Drop for SceneInUse {
    fn drop(&mut self) {
        self.cache.index.give_back(self.id);
    }
}

fn gave_up(gave_up: GaveUp) -> CacheError {
    match gave_up {
        GaveUp::Stopped => CacheError::Stopped,
        GaveUp::Refused(error) => CacheError::Refused(error),
    }
}
