//! The files of scenes on this machine, each once, named by its content. A file appears whole or not at all, is never
//! written to again, and is fetched from where the last try was cut off.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use haywain_shared::client::{AgentClient, CallError};
use haywain_shared::digest::{Hasher, Sha256Digest};
use haywain_shared::retry::until_answered;
use haywain_shared::scene::BlobRef;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::{CacheError, gave_up};

/// The extension of a file that is not whole yet.
const PART: &str = "part";
/// How much is read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// The folder of files.
pub(super) struct Blobs {
    folder: PathBuf,
    client: AgentClient,
}

/// A file that has begun to arrive.
struct Arriving {
    file: File,
    hasher: Hasher,
    held_bytes: u64,
}

impl Blobs {
    pub(super) fn open(folder: PathBuf, client: AgentClient) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, client })
    }

    /// Every whole file, with its size. What has no such name is left alone.
    pub(super) fn all(&self) -> io::Result<Vec<BlobRef>> {
        let mut found = Vec::new();
        for shelf in fs::read_dir(&self.folder)? {
            for entry in fs::read_dir(shelf?.path())? {
                let entry = entry?;
                if let Ok(sha256) = entry.file_name().to_string_lossy().parse() {
                    found.push(BlobRef { sha256, size_bytes: entry.metadata()?.len() });
                }
            }
        }
        Ok(found)
    }

    /// Where a file lies.
    pub(super) fn path(&self, sha256: Sha256Digest) -> PathBuf {
        let name = sha256.to_string();
        self.folder.join(&name[..2]).join(name)
    }

    /// Whether a file is here, as far as its size tells.
    pub(super) fn has(&self, blob: BlobRef) -> bool {
        self.path(blob.sha256).metadata().is_ok_and(|file| file.len() == blob.size_bytes)
    }

    /// Whether a file is what its name says, to the last byte.
    pub(super) async fn is_good(&self, sha256: Sha256Digest) -> io::Result<bool> {
        let mut file = File::open(self.path(sha256)).await?;
        Ok(read_on(&mut file).await?.0.finish() == sha256)
    }

    /// Removes a file. Scenes that are made of it keep theirs.
    pub(super) fn remove(&self, sha256: Sha256Digest) -> io::Result<()> {
        remove_read_only(&self.path(sha256))
    }

    /// Removes what has begun to arrive and is not `wanted` any more.
    pub(super) fn remove_parts(&self, wanted: impl Fn(&Sha256Digest) -> bool) -> io::Result<()> {
        for shelf in fs::read_dir(&self.folder)? {
            for entry in fs::read_dir(shelf?.path())? {
                let path = entry?.path();
                let name = path.file_stem().and_then(|name| name.to_string_lossy().parse().ok());
                let is_part = path.extension().is_some_and(|extension| extension == PART);
                if let Some(sha256) = name.filter(|name| is_part && !wanted(name)) {
                    tracing::debug!(%sha256, "removing what has arrived of a file");
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }

    /// Fetches a file, however long that takes. Nobody else may be fetching it.
    pub(super) async fn fetch(&self, blob: BlobRef, stop: &CancellationToken) -> Result<(), CacheError> {
        let path = self.path(blob.sha256);
        let part = path.with_extension(PART);
        let disk = |source| CacheError::Disk { path: path.clone(), source };
        let arriving = tokio::sync::Mutex::new(begin(&part).await.map_err(disk)?);
        let call = async || match self.fetch_on(blob, &mut *arriving.lock().await).await {
            Ok(()) => Ok(Ok(())),
            Err(FetchError::Call(error)) => Err(error),
            Err(FetchError::Disk(source)) => Ok(Err(disk(source))),
        };
        until_answered(self.client.patience(), stop, call).await.map_err(gave_up)??;
        publish(&part, &path).map_err(disk)
    }

    /// One try at the rest of a file.
    async fn fetch_on(&self, blob: BlobRef, arriving: &mut Arriving) -> Result<(), FetchError> {
        if arriving.held_bytes > blob.size_bytes {
            arriving.start_again().await?;
        }
        if arriving.held_bytes < blob.size_bytes {
            let came = self.receive(blob, arriving).await;
            // What has come is kept for the next try, whatever ended this one.
            arriving.file.flush().await?;
            came?;
        }
        let held_bytes = arriving.held_bytes;
        if held_bytes < blob.size_bytes {
            let reason = format!("{held_bytes} of {} bytes came", blob.size_bytes);
            return Err(CallError::Unreachable { call: "fetch blob", reason }.into());
        }
        let arrived = arriving.hasher.clone().finish();
        if held_bytes == blob.size_bytes && arrived == blob.sha256 {
            return Ok(arriving.file.sync_all().await?);
        }
        arriving.start_again().await?;
        let reason = format!("{} arrived as {arrived} with {held_bytes} bytes", blob.sha256);
        Err(CallError::Unreadable { call: "fetch blob", reason }.into())
    }

    async fn receive(&self, blob: BlobRef, arriving: &mut Arriving) -> Result<(), FetchError> {
        let mut coming = self.client.blob(blob.sha256, arriving.held_bytes).await?;
        if coming.first_byte == 0 && arriving.held_bytes > 0 {
            arriving.start_again().await?;
        } else if coming.first_byte != arriving.held_bytes {
            let reason = format!("the bytes from {} on, not from {}", coming.first_byte, arriving.held_bytes);
            return Err(CallError::Unreadable { call: "fetch blob", reason }.into());
        }
        if arriving.held_bytes > 0 {
            tracing::info!(sha256 = %blob.sha256, held_bytes = arriving.held_bytes, "fetching the rest of a file");
        }
        while let Some(piece) = coming.pieces.try_next().await? {
            arriving.hasher.update(&piece);
            arriving.file.write_all(&piece).await?;
            arriving.held_bytes += piece.len() as u64;
            if arriving.held_bytes > blob.size_bytes {
                break;
            }
        }
        Ok(())
    }
}

impl Arriving {
    async fn start_again(&mut self) -> io::Result<()> {
        self.file.set_len(0).await?;
        self.file.rewind().await?;
        (self.hasher, self.held_bytes) = (Hasher::default(), 0);
        Ok(())
    }
}

/// Opens what has arrived of a file, at its end.
async fn begin(part: &Path) -> io::Result<Arriving> {
    if let Some(shelf) = part.parent() {
        fs::create_dir_all(shelf)?;
    }
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(part).await?;
    let (hasher, held_bytes) = read_on(&mut file).await?;
    Ok(Arriving { file, hasher, held_bytes })
}

/// Reads a file to its end.
async fn read_on(file: &mut File) -> io::Result<(Hasher, u64)> {
    let (mut hasher, mut bytes, mut piece) = (Hasher::default(), 0, vec![0; PIECE_BYTES]);
    loop {
        let length = file.read(&mut piece).await?;
        if length == 0 {
            return Ok((hasher, bytes));
        }
        hasher.update(&piece[..length]);
        bytes += length as u64;
    }
}

/// A whole file appears under its name. Nobody is to write to it: scenes share it.
fn publish(part: &Path, path: &Path) -> io::Result<()> {
    let mut permissions = fs::metadata(part)?.permissions();
    permissions.set_readonly(true);
    fs::set_permissions(part, permissions)?;
    if path.exists() {
        remove_read_only(path)?;
    }
    fs::rename(part, path)
}

/// Windows removes no file that is read-only.
fn remove_read_only(path: &Path) -> io::Result<()> {
    #[cfg(windows)]
    {
        let mut permissions = fs::metadata(path)?.permissions();
        #[expect(clippy::permissions_set_readonly_false, reason = "on Windows it makes nothing writable for others")]
        permissions.set_readonly(false);
        fs::set_permissions(path, permissions)?;
    }
    fs::remove_file(path)
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
