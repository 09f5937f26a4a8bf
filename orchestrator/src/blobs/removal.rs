//! Removing what nobody refers to any more. What is gone already is as good as removed, so that whoever was interrupted can
//! begin again.

use std::io::ErrorKind;

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::JobId;
use object_store::ObjectStoreExt as _;

use super::staging::blocking;
use super::{BlobError, Blobs, content_key, outputs_key, thumbnails_key};

impl Blobs {
    /// Removes a blob. Whoever does is alone with it.
    pub async fn remove(&self, digest: Sha256Digest) -> Result<(), BlobError> {
        match self.objects.delete(&content_key(digest)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(BlobError::storage("removing a blob")(error)),
        }
    }

    /// Removes every file of a job.
    pub async fn remove_job(&self, job: JobId, name: Option<&str>) -> Result<(), BlobError> {
        let stored = [outputs_key(job), thumbnails_key(job)].map(|key| self.root.join(key.as_ref()));
        // The folder that people read goes first: what is in it are names for what is stored.
        for folder in [self.folder_of(job, name)].into_iter().chain(stored) {
            let shown = folder.clone();
            blocking("removing", &shown, move || match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                outcome => outcome,
            })
            .await?;
        }
        Ok(())
    }
}
