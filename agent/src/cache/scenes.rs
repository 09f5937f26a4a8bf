//! The folders of scenes on this machine: each has its manifest and, under the artist's own names, links to its files. A
//! folder appears whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use haywain_shared::scene::{Manifest, SceneId};
use serde::{Deserialize, Serialize};

use super::blobs::Blobs;

/// The scene's own files, in its folder.
const FILES: &str = "files";
/// What they are.
const MANIFEST: &str = "manifest.json";
/// What has become of it since.
const NOTE: &str = "note.json";
/// The extension of a folder that is not whole yet.
const PART: &str = "part";

/// Makes one file appear under a second path as well.
pub(super) type MakeLink = fn(&Path, &Path) -> io::Result<()>;

/// The folder of scenes' folders.
pub(super) struct Scenes {
    folder: PathBuf,
    make_link: MakeLink,
}

/// A scene whose folder is whole.
pub(super) struct Found {
    pub(super) id: SceneId,
    pub(super) manifest: Manifest,
    pub(super) note: Note,
}

/// What is noted of a scene from one life of the agent to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Note {
    /// The place of its last use in the order of uses.
    pub(super) last_use: u64,
    /// Bytes that it has for itself.
    pub(super) copied_bytes: u64,
}

impl Scenes {
    /// Opens the folder, and says what is in it. What is none of the scenes, or not whole, is removed.
    pub(super) fn open(folder: PathBuf, make_link: MakeLink) -> io::Result<(Self, Vec<Found>)> {
        fs::create_dir_all(&folder)?;
        let scenes = Self { folder, make_link };
        let mut all = Vec::new();
        for entry in fs::read_dir(&scenes.folder)? {
            let path = entry?.path();
            let id: Option<SceneId> = path.file_name().and_then(|name| name.to_string_lossy().parse().ok());
            let manifest = id.and_then(|id| scenes.manifest(id));
            let Some((id, manifest)) = id.zip(manifest) else {
                tracing::warn!(folder = %path.display(), "removing what is no scene from the cache");
                fs::remove_dir_all(path)?;
                continue;
            };
            let note = fs::read(path.join(NOTE)).ok().and_then(|text| serde_json::from_slice(&text).ok());
            all.push(Found { id, manifest, note: note.unwrap_or_default() });
        }
        Ok((scenes, all))
    }

    /// The manifest of a scene that is here, if it is what the scene's id says.
    fn manifest(&self, id: SceneId) -> Option<Manifest> {
        let text = fs::read(self.path(id).join(MANIFEST)).ok()?;
        serde_json::from_slice(&text).ok().filter(|manifest: &Manifest| manifest.id() == id)
    }

    fn path(&self, id: SceneId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// Where a scene's files lie.
    pub(super) fn root(&self, id: SceneId) -> PathBuf {
        self.path(id).join(FILES)
    }

    /// Whether a scene's folder is there.
    pub(super) fn has(&self, id: SceneId) -> bool {
        self.root(id).is_dir()
    }

    /// Notes when a scene was used. A note that is lost costs its place in the order, and nothing else.
    pub(super) fn note(&self, id: SceneId, note: Note) {
        let text = serde_json::to_vec(&note).unwrap_or_default();
        if let Err(error) = fs::write(self.path(id).join(NOTE), text) {
            tracing::debug!(scene = %id, %error, "noting the use of a scene");
        }
    }

    /// Puts a scene together from files that are all here, in place of what was there. Says how many bytes had to be
    /// copied.
    pub(super) fn assemble(&self, id: SceneId, manifest: &Manifest, blobs: &Blobs) -> io::Result<u64> {
        let (whole, part) = (self.path(id), self.path(id).with_extension(PART));
        for folder in [&part, &whole] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let mut copied_bytes = 0;
        for file in &manifest.files {
            let path = part.join(FILES).join(&file.path);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            copied_bytes += self.link(&blobs.path(file.sha256), &path)?;
        }
        fs::write(part.join(MANIFEST), serde_json::to_vec(manifest)?)?;
        fs::rename(&part, &whole)?;
        Ok(copied_bytes)
    }

    /// Removes a scene's folder.
    pub(super) fn remove(&self, id: SceneId) -> io::Result<()> {
        // Under another name first: half a scene is none.
        let part = self.path(id).with_extension(PART);
        fs::rename(self.path(id), &part)?;
        fs::remove_dir_all(part)
    }

    /// A link, or a copy where the file system knows no links or not as many. Says how many bytes were copied.
    fn link(&self, from: &Path, to: &Path) -> io::Result<u64> {
        let Err(error) = (self.make_link)(from, to) else { return Ok(0) };
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Err(error),
            _ => fs::copy(from, to),
        }
    }
}

/// The system's own links.
pub(super) fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)
}
