//! A scene: an immutable, content-addressed set of files with one entry .blend. Its id is the digest of its manifest, so
//! that equal scenes have equal ids wherever they were made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::digest::{NotADigest, Sha256Digest};

/// A scene's id: the SHA-256 digest of its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
pub struct SceneId(Sha256Digest);

impl SceneId {
    /// The id as a digest, as a store keeps it.
    #[must_use]
    pub const fn digest(&self) -> &Sha256Digest {
        &self.0
    }
}

impl From<Sha256Digest> for SceneId {
    fn from(digest: Sha256Digest) -> Self {
        Self(digest)
    }
}

impl fmt::Display for SceneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SceneId {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        text.parse().map(Self)
    }
}

/// What a scene is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The path of the .blend that is rendered: one of `files`.
    pub entry: String,
    /// Every file of the scene.
    pub files: Vec<SceneFile>,
}

/// One file of a scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SceneFile {
    /// Where it lies in the scene's folder: relative, with forward slashes.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The digest of its content.
    pub sha256: Sha256Digest,
}

impl Manifest {
    /// The manifest of a scene that is one .blend file.
    #[must_use]
    pub fn of_one_file(name: &str, size_bytes: u64, sha256: Sha256Digest) -> Self {
        let file = SceneFile { path: name.to_owned(), size_bytes, sha256 };
        Self { entry: file.path.clone(), files: vec![file] }
    }

    /// The scene's id: the digest of a text with the entry's path and, sorted, a line `digest size path` for each
    /// file. A text of its own rather than the JSON, whose white space and order of members are nobody's promise.
    #[must_use]
    pub fn id(&self) -> SceneId {
        let mut lines: Vec<String> =
            self.files.iter().map(|file| format!("{} {} {}\n", file.sha256, file.size_bytes, file.path)).collect();
        lines.sort_unstable();
        let text = format!("haywain-scene 1\n{}\n{}", self.entry, lines.concat());
        SceneId(Sha256Digest::of(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(entry: &str, paths: &[&str]) -> Manifest {
        let files = paths
            .iter()
            .map(|path| SceneFile {
                path: (*path).to_owned(),
                size_bytes: 3,
                sha256: Sha256Digest::of(path.as_bytes()),
            })
            .collect();
        Manifest { entry: entry.to_owned(), files }
    }

    #[test]
    fn the_id_is_the_content_not_the_order() {
        let id = manifest("a.blend", &["a.blend", "b.png"]).id();
        assert_eq!(manifest("a.blend", &["b.png", "a.blend"]).id(), id);
        assert_ne!(manifest("a.blend", &["a.blend", "c.png"]).id(), id);
        assert_ne!(manifest("b.png", &["a.blend", "b.png"]).id(), id);
    }
}
