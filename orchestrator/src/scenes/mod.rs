//! Scenes as they come in: one .blend, or a project in a zip file. Whatever is no such thing is refused by name, with what it
//! is instead; nothing is kept of it.

pub mod kind;
mod project;
pub mod saved_by;

use std::path::{Path, PathBuf};

use haywain_shared::file_kind::{FileKind, HEAD_BYTES};
use haywain_shared::path::{BadPath, RelativePath};
use haywain_shared::scene::{Manifest, SceneId};
use tokio::io::AsyncReadExt as _;

use self::kind::said;
pub use self::project::ProjectFault;
use crate::blobs::{BlobError, Blobs, Whole};
use crate::intake::{self, IntakeError};
use crate::store::{BlobStanding, KeptScene, Sight, Store, StoreError};

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
    #[error("the scene {name} is not a .blend file: {}", said(.kind))]
    NotABlend {
        /// The file.
        name: String,
        /// What it is.
        kind: FileKind,
    },
    /// It is neither a .blend nor a zip file.
    #[error("{name} is neither a .blend file nor a zip file of a project: {}", said(.kind))]
    NeitherBlendNorZip {
        /// The file.
        name: String,
        /// What it is.
        kind: FileKind,
    },
    /// An entry was named, and the file has none.
    #[error("{name} is one .blend file: entry is for zip files with several")]
    EntryOfABlend {
        /// The file.
        name: String,
    },
    /// Its name is none that every agent's system could have.
    #[error("the scene's name: {0}; rename it")]
    Name(#[from] BadPath),
    /// The zip file is none that can be taken.
    #[error("{name}: {fault}")]
    Project {
        /// The file.
        name: String,
        /// What is wrong with it.
        fault: ProjectFault,
    },
    /// It could not be kept.
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

impl From<BlobError> for SceneError {
    fn from(error: BlobError) -> Self {
        Self::Intake(error.into())
    }
}

impl From<StoreError> for SceneError {
    fn from(error: StoreError) -> Self {
        Self::Intake(error.into())
    }
}

/// Takes in the scene that is one .blend file on this machine.
pub async fn take_in(path: &Path, blobs: &Blobs, store: &dyn Store) -> Result<SceneId, SceneError> {
    let shown = path.display().to_string();
    let unreadable = |source| SceneError::Unreadable { path: path.to_owned(), source };
    let mut head = Vec::new();
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    file.take(HEAD_BYTES as u64).read_to_end(&mut head).await.map_err(unreadable)?;
    expect_blend(&head, &shown)?;
    let name = RelativePath::new(path.file_name().unwrap_or(path.as_os_str()).to_string_lossy())?;
    // A large scene that is here already is read once, and not copied.
    let digest = blobs.digest_of(path).await?;
    let blob = match store.blob(digest).await? {
        BlobStanding::Stored { size_bytes } => (digest, size_bytes),
        BlobStanding::Missing | BlobStanding::Going => {
            // What counts is what was copied: the file may have been saved anew meanwhile.
            let whole = blobs.stage_copy(path).await?;
            let blob = (whole.digest(), whole.size_bytes());
            intake::keep(store, blobs, whole, Sight::All).await?;
            blob
        }
    };
    Ok(store.keep_scene(Manifest::of_one_file(name, blob.1, blob.0), Sight::All).await?.report.scene_id)
}

/// Takes in a file that has come from a client: a .blend, or a project in a zip file, in which `entry` is what is
/// rendered. `sight` is of whoever has sent it.
pub async fn take_in_upload(
    name: RelativePath,
    entry: Option<RelativePath>,
    whole: Whole,
    blobs: &Blobs,
    store: &dyn Store,
    sight: Sight,
) -> Result<KeptScene, SceneError> {
    let head = head_of(&whole, &name)?;
    let manifest = match FileKind::of(&head) {
        FileKind::Blend if entry.is_some() => {
            whole.discard();
            return Err(SceneError::EntryOfABlend { name: name.to_string() });
        }
        FileKind::Blend => {
            let manifest = Manifest::of_one_file(name, whole.size_bytes(), whole.digest());
            intake::keep(store, blobs, whole, sight).await?;
            manifest
        }
        FileKind::Zip => {
            let manifest = project::take_in(&name, entry, &whole, blobs, store, sight).await;
            whole.discard();
            manifest?
        }
        kind => {
            whole.discard();
            return Err(SceneError::NeitherBlendNorZip { name: name.to_string(), kind });
        }
    };
    Ok(store.keep_scene(manifest, sight).await?)
}

fn head_of(whole: &Whole, name: &RelativePath) -> Result<Vec<u8>, SceneError> {
    use std::io::Read as _;
    let unreadable = |source| SceneError::Unreadable { path: name.as_str().into(), source };
    let mut head = Vec::new();
    let file = whole.reader().map_err(unreadable)?;
    file.take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
    Ok(head)
}

fn expect_blend(head: &[u8], name: &str) -> Result<(), SceneError> {
    match FileKind::of(head) {
        FileKind::Blend => Ok(()),
        kind => Err(SceneError::NotABlend { name: name.to_owned(), kind }),
    }
}
