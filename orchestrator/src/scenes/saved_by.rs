//! Which Blender has saved a scene's file: its header says so, before any Blender is started.

use haywain_shared::blend::{self, TO_HEADER_BYTES};
use haywain_shared::scene::SceneId;

use crate::blobs::{BlobError, Blobs};
use crate::intake::IntakeError;
use crate::store::{BlobStanding, SceneEntry, Store, StoreError};

/// Reads it, unless it is known or the file is not here, and keeps it with the scene.
pub async fn learn(scene: SceneId, blobs: &Blobs, store: &dyn Store) -> Result<(), IntakeError> {
    let digest = match store.scene_entry(scene).await {
        Ok(SceneEntry { blob: Some(digest), saved_by: None }) => digest,
        // Who wants the scene rendered is told that there is none.
        Ok(_) | Err(StoreError::UnknownScene(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !matches!(store.blob(digest).await?, BlobStanding::Stored { .. }) {
        return Ok(());
    }
    let beginning = match blobs.head_of(digest, TO_HEADER_BYTES as u64).await {
        Ok(beginning) => beginning,
        // It went this moment.
        Err(BlobError::Unknown(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    match blend::saved_by(beginning) {
        Ok(saved_by) => store.keep_saved_by(scene, saved_by).await?,
        Err(error) => tracing::warn!(%scene, %error, "the scene's file does not say which Blender saved it"),
    }
    Ok(())
}
