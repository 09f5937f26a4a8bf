//! Files: the content-addressed ones of scenes, and the frames that come back. All go through `object_store`; what is only
//! true of a local folder is in [`local`].
//!
//! A frame's file is written under a key that no other upload can have, and means nothing until the store has recorded the
//! frame with that key: two uploads of one frame never touch the same file.

mod berths;
mod folder;
pub mod local;
mod reading;
mod removal;
mod staging;
mod turns;
mod upload;

use std::iter;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{JobId, RequestId};
use haywain_shared::path::RelativePath;
use haywain_shared::protocol::OutputFile;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};

pub use self::folder::JobFiles;
pub use self::reading::Pieces;
pub use self::staging::{OtherOffset, Staged, Staging, Whole};
use self::turns::Turns;
pub use self::upload::{FrameFileUpload, UploadError};

/// Why a file could not be kept or found.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No file has this digest.
    #[error("there is no blob {0}")]
    Unknown(Sha256Digest),
    /// The folder or the object store could not do it. Trying again later is right.
    #[error("{doing}: {source}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// What the storage said.
        source: object_store::Error,
    },
    /// The local file system could not do it.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl BlobError {
    fn storage(doing: &'static str) -> impl FnOnce(object_store::Error) -> Self {
        move |source| Self::Storage { doing, source }
    }
}

/// Where files are kept.
#[derive(Debug, Clone)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
    root: Arc<std::path::Path>,
    staging: Staging,
    /// Whose turn it is to record a frame.
    frame_turns: Arc<Turns>,
    /// Whose turn it is to publish or delete a blob.
    blob_turns: Arc<Turns>,
}

impl Blobs {
    /// Files on their way in.
    #[must_use]
    pub const fn staging(&self) -> &Staging {
        &self.staging
    }

    /// Waits until nobody else publishes or deletes this blob, and keeps everybody else from it.
    pub async fn alone_with(&self, digest: Sha256Digest) -> impl Drop {
        self.blob_turns.take(digest).await
    }

    /// A small file, whole.
    pub async fn read_small(&self, key: &str) -> Result<Bytes, BlobError> {
        let doing = "reading a thumbnail";
        let key = Key::parse(key).map_err(|error| BlobError::storage(doing)(error.into()))?;
        let found = self.objects.get(&key).await.map_err(BlobError::storage(doing))?;
        found.bytes().await.map_err(BlobError::storage(doing))
    }

    /// Begins to take in a file of a frame.
    pub async fn begin_frame_file(&self, job: JobId, expected: OutputFile) -> Result<FrameFileUpload, BlobError> {
        FrameFileUpload::begin(&*self.objects, outputs_key(job), expected).await
    }

    /// Waits until nobody else records this frame, or one with a file of these names: whoever has the turn shows and records it.
    pub async fn turn(&self, job: JobId, frame: FrameNumber, names: &[RelativePath]) -> impl Drop {
        let names = names.iter().map(|name| (job, None, Some(name)));
        self.frame_turns.take_all(iter::once((job, Some(frame), None)).chain(names)).await
    }

    /// Keeps a frame's thumbnail, and says under which key.
    pub async fn keep_thumbnail(&self, job: JobId, picture: Bytes) -> Result<String, BlobError> {
        let key = thumbnails_key(job).join(format!("{}.jpg", RequestId::generate()));
        self.objects.put(&key, picture.into()).await.map_err(BlobError::storage("keeping a thumbnail"))?;
        Ok(key.to_string())
    }

    /// Removes files that no recorded frame refers to. What can't be removed is logged and left: it harms nobody.
    pub async fn discard(&self, keys: impl IntoIterator<Item = String>) {
        for key in keys {
            // Parsed, not converted: it is a key already, and converting would escape it again.
            let deleted = match Key::parse(&key) {
                Ok(key) => self.objects.delete(&key).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = deleted {
                tracing::warn!(%error, key, "an unused file could not be removed");
            }
        }
    }
}

fn content_key(digest: Sha256Digest) -> Key {
    let text = digest.to_string();
    Key::from_iter(["blobs", &text[..2], &text])
}

fn outputs_key(job: JobId) -> Key {
    Key::from_iter(["outputs", &job.to_string()])
}

fn thumbnails_key(job: JobId) -> Key {
    Key::from_iter(["thumbnails", &job.to_string()])
}
