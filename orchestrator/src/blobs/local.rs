//! What is only true of files in a local folder: opening it, taking in a file from beside it, and telling people where
//! their frames are.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use haywain_shared::digest::{Hasher, Sha256Digest};
use haywain_shared::ids::JobId;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStoreExt as _, WriteMultipart};
use tokio::io::AsyncReadExt as _;

use super::{BlobError, Blobs, content_key, frames_key};

/// How much of a file is read at once.
const PIECE_BYTES: usize = 1024 * 1024;

impl Blobs {
    /// Keeps files under `root`, which exists. What is written is synced before it counts: the crate's default is not to.
    pub fn open_local(root: &Path) -> Result<Self, BlobError> {
        let objects = LocalFileSystem::new_with_prefix(root)
            .map_err(BlobError::storage("opening the folder for files"))?
            .with_fsync(true);
        Ok(Self { objects: Arc::new(objects), root: Arc::from(root) })
    }

    /// Takes in a file, and says what it is called by content and how large it is.
    pub async fn take_in(&self, path: &Path) -> Result<(Sha256Digest, u64), BlobError> {
        let mut hasher = Hasher::default();
        let mut size_bytes = 0;
        read_pieces(path, async |piece| {
            hasher.update(piece);
            size_bytes += piece.len() as u64;
            Ok(())
        })
        .await?;
        let digest = hasher.finish();
        let key = content_key(digest);
        if self.objects.head(&key).await.is_ok() {
            return Ok((digest, size_bytes));
        }
        let doing = "writing a blob";
        let upload = self.objects.put_multipart(&key).await.map_err(BlobError::storage(doing))?;
        let mut writer = WriteMultipart::new(upload);
        let mut written = Hasher::default();
        read_pieces(path, async |piece| {
            written.update(piece);
            writer.wait_for_capacity(1).await.map_err(BlobError::storage(doing))?;
            writer.write(piece);
            Ok(())
        })
        .await?;
        if written.finish() != digest {
            writer.abort().await.map_err(BlobError::storage(doing))?;
            let source = std::io::Error::other("the file is being changed; start again when it has been saved");
            return Err(BlobError::File { doing: "reading", path: path.to_owned(), source });
        }
        writer.finish().await.map_err(BlobError::storage(doing))?;
        Ok((digest, size_bytes))
    }

    /// Removes what uploads left in a job's folder that were cut off by the end of the last run: every file that is not in
    /// `recorded`. Only right while no upload can be under way. It walks the folder itself: the object store does not list
    /// what it was still writing.
    pub fn discard_unrecorded(&self, job: JobId, recorded: &[String]) -> Result<(), BlobError> {
        let recorded: HashSet<PathBuf> = recorded.iter().map(|key| self.root.join(key)).collect();
        let mut folders = vec![self.folder_of(job)];
        while let Some(folder) = folders.pop() {
            let failed =
                |source| BlobError::File { doing: "looking for unused files in", path: folder.clone(), source };
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            for entry in entries {
                let path = entry.map_err(failed)?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !recorded.contains(&path) {
                    tracing::info!(%job, path = %path.display(), "removing a file that was never recorded");
                    std::fs::remove_file(&path).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    /// The folder that a job's frames are in.
    #[must_use]
    pub fn folder_of(&self, job: JobId) -> PathBuf {
        self.root.join(frames_key(job).as_ref())
    }
}

async fn read_pieces(path: &Path, mut each: impl AsyncFnMut(&[u8]) -> Result<(), BlobError>) -> Result<(), BlobError> {
    let failed = |source| BlobError::File { doing: "reading", path: path.to_owned(), source };
    let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = file.read(&mut piece).await.map_err(failed)?;
        if length == 0 {
            return Ok(());
        }
        each(&piece[..length]).await?;
    }
}
