//! Files on their way in. They lie beside the blobs and count for nothing; each has one writer. A file that was cut off is
//! kept for a while, and whoever sends the same blob again goes on where it ends.
//!
//! What arrives is gathered to large pieces, and each is hashed and written off the async threads while the next one is
//! being gathered: at most two are in memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use haywain_shared::digest::{Hasher, Sha256Digest};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::BlobError;
use super::berths::{Berth, Berths};

/// How much is gathered before it is hashed and written.
const PIECE_BYTES: usize = 1024 * 1024;
/// In how many pieces of the network's at most: they may be tiny.
const MAX_PIECES: usize = 1024;
/// After how much the disk is asked to begin: it writes while more arrives, and has little left to do at the end.
const FLUSH_EVERY_BYTES: u64 = 64 * 1024 * 1024;

/// The folder of files on their way in.
#[derive(Debug, Clone)]
pub struct Staging {
    folder: Arc<Path>,
    berths: Berths,
}

/// An upload can't go on where its sender means to: so much of it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherOffset {
    /// How many bytes are held.
    pub held_bytes: u64,
}

impl Staging {
    /// Opens the folder, and finds what an earlier life has left in it.
    pub(super) fn open(folder: &Path) -> Result<Self, BlobError> {
        let failed = |source| BlobError::File { doing: "opening", path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let berths = Berths::find(folder).map_err(failed)?;
        Ok(Self { folder: Arc::from(folder), berths })
    }

    /// How many bytes of a blob are held that was cut off, and can be gone on with.
    pub async fn held(&self, digest: Sha256Digest) -> u64 {
        self.berths.settle(digest).await;
        self.berths.held(digest)
    }

    /// Begins to take in a blob.
    pub async fn begin(&self, digest: Sha256Digest, total_bytes: Option<u64>) -> Result<Staged, BlobError> {
        self.create(self.berths.add(&self.folder, digest, total_bytes)).await
    }

    /// Begins to take in a file whose digest nobody knows yet. If it is cut off, nothing is kept of it.
    pub async fn begin_unnamed(&self) -> Result<Staged, BlobError> {
        self.create(Berths::unnamed(&self.folder)).await
    }

    /// Goes on with a blob that was cut off after `offset` bytes.
    pub async fn resume(&self, digest: Sha256Digest, offset: u64) -> Result<Result<Staged, OtherOffset>, BlobError> {
        let mut found = self.berths.take(digest, offset);
        if found.is_none() {
            self.berths.settle(digest).await;
            found = self.berths.take(digest, offset);
        }
        let Some(berth) = found else {
            return Ok(Err(OtherOffset { held_bytes: self.berths.held(digest) }));
        };
        let path = berth.path().to_owned();
        let load = blocking("going on with", &path, move || Load::reopen(berth, offset)).await?;
        Ok(Ok(Staged::new(load, offset)))
    }

    /// Removes what was cut off and has not been gone on with since `before_ms` after the Unix epoch.
    pub async fn discard_untouched(&self, before_ms: i64) -> Result<usize, BlobError> {
        let (berths, folder) = (self.berths.clone(), Arc::clone(&self.folder));
        blocking("tidying", &folder, move || berths.discard_untouched(before_ms)).await
    }

    /// Removes what is left of uploads of a blob that is here now.
    pub(super) fn discard_rest(&self, digest: Sha256Digest) {
        self.berths.discard_idle(digest);
    }

    async fn create(&self, berth: Berth) -> Result<Staged, BlobError> {
        let path = berth.path().to_owned();
        let load = blocking("creating", &path, move || {
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(berth.path())?;
            Ok(Load { berth, file, hasher: Hasher::default(), unflushed_bytes: 0 })
        });
        Ok(Staged::new(load.await?, 0))
    }
}

/// What is written to, where it lies, and what has been written so far.
struct Load {
    file: File,
    hasher: Hasher,
    unflushed_bytes: u64,
    // Last: the file is closed before its place is free for others.
    berth: Berth,
}

impl Load {
    /// What is held is hashed again: the digest is of what is on disk, whatever was meant to be there.
    fn reopen(berth: Berth, offset: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).open(berth.path())?;
        file.set_len(offset)?;
        let mut hasher = Hasher::default();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let length = file.read(&mut piece)?;
            if length == 0 {
                break;
            }
            hasher.update(&piece[..length]);
        }
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { berth, file, hasher, unflushed_bytes: 0 })
    }

    fn write(mut self, pieces: &[Bytes]) -> io::Result<Self> {
        for piece in pieces {
            self.file.write_all(piece)?;
            self.hasher.update(piece);
            self.unflushed_bytes += piece.len() as u64;
        }
        if self.unflushed_bytes >= FLUSH_EVERY_BYTES {
            self.unflushed_bytes = 0;
            let file = self.file.try_clone()?;
            // Nobody waits for it, and its failure comes up again when the whole is synced.
            tokio::task::spawn_blocking(move || file.sync_data());
        }
        Ok(self)
    }
}

/// A file on its way in, and its only writer. Dropped, what has been written of a blob is kept.
pub struct Staged {
    /// None while a piece is being written.
    load: Option<Load>,
    writing: Option<JoinHandle<io::Result<Load>>>,
    gathered: Vec<Bytes>,
    gathered_bytes: usize,
    size_bytes: u64,
    path: PathBuf,
    cut: CancellationToken,
}

impl Staged {
    fn new(load: Load, size_bytes: u64) -> Self {
        let (path, cut) = (load.berth.path().to_owned(), load.berth.cut().clone());
        Self { load: Some(load), writing: None, gathered: Vec::new(), gathered_bytes: 0, size_bytes, path, cut }
    }

    /// How much has arrived, from the file's beginning.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Cancelled when somebody else wants to go on with this blob, and nothing has arrived here for a while.
    #[must_use]
    pub fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }

    /// Takes what comes next.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), BlobError> {
        self.size_bytes += piece.len() as u64;
        self.gathered_bytes += piece.len();
        self.gathered.push(piece);
        if self.gathered_bytes >= PIECE_BYTES || self.gathered.len() >= MAX_PIECES {
            let load = self.settled().await?;
            load.berth.arrived().store(self.size_bytes, Ordering::Relaxed);
            let pieces = std::mem::take(&mut self.gathered);
            self.gathered_bytes = 0;
            self.writing = Some(tokio::task::spawn_blocking(move || load.write(&pieces)));
        }
        Ok(())
    }

    /// Nothing more comes. It is neither checked nor durable yet.
    pub async fn finish(mut self) -> Result<Whole, BlobError> {
        let load = self.written().await?;
        Ok(Whole {
            digest: load.hasher.clone().finish(),
            size_bytes: self.size_bytes,
            file: load.file,
            berth: load.berth,
        })
    }

    /// It was cut off: what has come is kept for whoever goes on with it.
    pub async fn keep(mut self) {
        if let Err(error) = self.written().await {
            tracing::warn!(%error, "keeping what has come of a blob");
        }
    }

    /// It is not wanted.
    pub async fn discard(mut self) {
        if let Ok(load) = self.settled().await {
            load.berth.discard();
        }
    }

    /// The load, once the piece before has been written.
    async fn settled(&mut self) -> Result<Load, BlobError> {
        let outcome = match (self.load.take(), self.writing.take()) {
            (Some(load), _) => Ok(load),
            (None, Some(writing)) => writing.await.map_err(io::Error::other).and_then(|written| written),
            (None, None) => Err(io::Error::other("an earlier piece could not be written")),
        };
        outcome.map_err(|source| BlobError::File { doing: "writing", path: self.path.clone(), source })
    }

    /// The load, once everything that has come is written.
    async fn written(&mut self) -> Result<Load, BlobError> {
        let load = self.settled().await?;
        let pieces = std::mem::take(&mut self.gathered);
        blocking("writing", &self.path, move || load.write(&pieces)).await
    }
}

/// A file that has come in whole.
pub struct Whole {
    digest: Sha256Digest,
    size_bytes: u64,
    file: File,
    berth: Berth,
}

impl Whole {
    /// The digest of what has come.
    #[must_use]
    pub const fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// How much has come.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// It is not wanted.
    pub fn discard(self) {
        drop(self.file);
        self.berth.discard();
    }

    /// The file, to be read from its beginning. It goes with `self`.
    pub fn reader(&self) -> io::Result<File> {
        File::open(self.berth.path())
    }

    /// Makes it durable, and gives it its name in one step.
    pub(super) async fn publish(self, path: PathBuf) -> Result<(), BlobError> {
        let Self { file, berth, .. } = self;
        let shown = path.clone();
        blocking("publishing", &shown, move || {
            file.sync_all()?;
            drop(file);
            let folder = path.parent().unwrap_or(&path);
            if !folder.is_dir() {
                fs::create_dir_all(folder)?;
                sync_folder(folder.parent().unwrap_or(folder))?;
            }
            fs::rename(berth.path(), &path)?;
            berth.published();
            sync_folder(folder)
        })
        .await
    }
}

/// A name is durable once its folder is. Windows has no such call, and keeps names in a journal of its own.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

pub(super) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, BlobError> {
    let outcome = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).and_then(|outcome| outcome);
    outcome.map_err(|source| BlobError::File { doing, path: path.to_owned(), source })
}
