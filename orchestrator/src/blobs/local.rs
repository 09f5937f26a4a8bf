//! What is only true of files in a local folder: opening it, and taking in a file from beside it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use haywain_shared::digest::{Hasher, Sha256Digest};
use haywain_shared::scene::BlobRef;
use object_store::local::LocalFileSystem;
use tokio::io::AsyncReadExt as _;

use super::staging::blocking;
use super::{BlobError, Blobs, Staging, Turns, Whole, content_key};

/// How much of a file is read at once.
const PIECE_BYTES: usize = 1024 * 1024;

impl Blobs {
    /// Keeps files under `root`, which exists. What is written is synced before it counts: the crate's default is not to.
    pub fn open_local(root: &Path) -> Result<Self, BlobError> {
        let objects = LocalFileSystem::new_with_prefix(root)
            .map_err(BlobError::storage("opening the folder for files"))?
            .with_fsync(true);
        let staging = Staging::open(&root.join("staged"))?;
        let (frame_turns, blob_turns) = (Arc::new(Turns::default()), Arc::new(Turns::default()));
        Ok(Self { objects: Arc::new(objects), root: Arc::from(root), staging, frame_turns, blob_turns })
    }

    /// Gives a file that has come in whole its name by content: from then on it is a blob. One that is here already is
    /// replaced by its like.
    pub async fn publish(&self, whole: Whole) -> Result<(), BlobError> {
        let digest = whole.digest();
        whole.publish(self.path_of(digest)).await?;
        self.staging.discard_rest(digest);
        Ok(())
    }

    /// Copies a file from beside the blobs to those on their way in.
    pub async fn stage_copy(&self, path: &Path) -> Result<Whole, BlobError> {
        let mut staged = self.staging.begin_unnamed().await?;
        read_pieces(path, async |piece| staged.write(Bytes::copy_from_slice(piece)).await).await?;
        staged.finish().await
    }

    /// The digest of a file.
    pub async fn digest_of(&self, path: &Path) -> Result<Sha256Digest, BlobError> {
        let mut hasher = Hasher::default();
        read_pieces(path, async |piece| {
            hasher.update(piece);
            Ok(())
        })
        .await?;
        Ok(hasher.finish())
    }

    /// Every blob that lies in the folder, whatever anybody says of it.
    pub async fn all(&self) -> Result<Vec<BlobRef>, BlobError> {
        let folder = self.root.join("blobs");
        blocking("listing", &folder.clone(), move || blobs_below(&folder)).await
    }

    fn path_of(&self, digest: Sha256Digest) -> PathBuf {
        self.root.join(content_key(digest).as_ref())
    }
}

fn blobs_below(folder: &Path) -> std::io::Result<Vec<BlobRef>> {
    let mut blobs = Vec::new();
    for path in files_below(folder)? {
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(sha256) = name.and_then(|name| name.parse().ok()) {
            blobs.push(BlobRef { sha256, size_bytes: path.metadata()?.len() });
        }
    }
    Ok(blobs)
}

/// Every file below a folder; none when there is no such folder.
pub(super) fn files_below(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    Ok(files)
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
