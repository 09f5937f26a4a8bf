//! The default scene: taken in when the orchestrator starts, and rendered by every job that names none.

use std::path::{Path, PathBuf};

use haywain_shared::path::{BadPath, RelativePath};
use haywain_shared::scene::{Manifest, SceneId};
use tokio::io::AsyncReadExt as _;

use crate::blobs::{BlobError, Blobs};
use crate::store::{Store, StoreError};

/// How the files begin that Blender reads as .blend: plain, compressed by Zstandard (RFC 8878), compressed by gzip
/// (RFC 1952).
const BLEND_SIGNATURES: [&[u8]; 3] = [b"BLENDER", &[0x28, 0xb5, 0x2f, 0xfd], &[0x1f, 0x8b]];

/// Why a scene can't be taken in.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// It can't be read.
    #[error("the scene {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no .blend.
    #[error("the scene {} is not a .blend file: it begins with {begins:?}", path.display())]
    NotABlend {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        begins: String,
    },
    /// Its name is none that every agent's system could have.
    #[error("the scene's name: {0}; rename it")]
    Name(#[from] BadPath),
    /// It could not be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes in the scene that is one .blend file.
pub async fn take_in(path: &Path, blobs: &Blobs, store: &dyn Store) -> Result<SceneId, SceneError> {
    check_signature(path).await?;
    let (digest, size_bytes) = blobs.take_in(path).await?;
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = RelativePath::new(name)?;
    Ok(store.keep_scene(Manifest::of_one_file(name, size_bytes, digest)).await?)
}

async fn check_signature(path: &Path) -> Result<(), SceneError> {
    let unreadable = |source| SceneError::Unreadable { path: path.to_owned(), source };
    let mut head = Vec::new();
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    file.take(24).read_to_end(&mut head).await.map_err(unreadable)?;
    if BLEND_SIGNATURES.iter().any(|signature| head.starts_with(signature)) {
        return Ok(());
    }
    Err(SceneError::NotABlend { path: path.to_owned(), begins: String::from_utf8_lossy(&head).into_owned() })
}
