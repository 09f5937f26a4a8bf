//! What is only true of files in a local folder: opening it, and taking in a file from beside it.

use std::path::Path;
use std::sync::Arc;

use haywain_shared::digest::{Hasher, Sha256Digest};
use object_store::local::LocalFileSystem;
use object_store::{ObjectStoreExt as _, WriteMultipart};
use tokio::io::AsyncReadExt as _;

use super::{BlobError, Blobs, Turns, content_key};

/// How much of a file is read at once.
const PIECE_BYTES: usize = 1024 * 1024;

impl Blobs {
    /// Keeps files under `root`, which exists. What is written is synced before it counts: the crate's default is not to.
    pub fn open_local(root: &Path) -> Result<Self, BlobError> {
        let objects = LocalFileSystem::new_with_prefix(root)
            .map_err(BlobError::storage("opening the folder for files"))?
            .with_fsync(true);
        Ok(Self { objects: Arc::new(objects), root: Arc::from(root), turns: Arc::new(Turns::default()) })
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
