//! A scene: an immutable, content-addressed set of files with one entry .blend. Its id is the digest of its manifest, so
//! that equal scenes have equal ids wherever they were made.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::digest::{NotADigest, Sha256Digest};
use crate::inspection::Inspection;
use crate::path::RelativePath;

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// The path of the .blend that is rendered: one of `files`.
    pub entry: RelativePath,
    /// Every file of the scene.
    pub files: Vec<SceneFile>,
    /// Where the files lie that the .blend calls by absolute paths, of this system or another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// The `OpenColorIO` configuration that the scene was made with, if not Blender's own: one of `files`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color_config: Option<RelativePath>,
    /// Paths that the .blend wants, as it says them, and that nobody could supply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// One file of a scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SceneFile {
    /// Where it lies in the scene's folder.
    pub path: RelativePath,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The digest of its content.
    pub sha256: Sha256Digest,
}

/// A file or a folder that had another place where the scene was made: `D:\\tex` may be `outside/tex` now. Of several
/// places the longest that fits counts. Windows' own paths are compared without regard to case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// The absolute path that it had: `D:\\tex`, `/home/x/lib.blend`, `\\\\server\\share`.
    pub original: String,
    /// Where it lies in the scene's folder; `None` for that folder itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<RelativePath>,
}

/// A blob by its name and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlobRef {
    /// The digest of its content.
    pub sha256: Sha256Digest,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// A scene as the orchestrator keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SceneReport {
    /// The scene.
    pub scene_id: SceneId,
    /// What it is made of.
    pub manifest: Manifest,
    /// The sizes of all its files together.
    pub size_bytes: u64,
    /// Its blobs that are not here yet. A scene is complete once there are none, and only then can jobs be submitted.
    pub missing_blobs: Vec<BlobRef>,
    /// What the first agent that opened it has found in it, once one has.
    pub inspection: Option<Inspection>,
    /// When it was registered, submitted or rendered last: it is kept for a time from then on.
    #[schema(value_type = String, format = DateTime)]
    pub touched_at: jiff::Timestamp,
}

/// A scene in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SceneSummary {
    /// The scene.
    pub scene_id: SceneId,
    /// The path of the .blend that is rendered.
    pub entry: RelativePath,
    /// How many files it has.
    pub files: u64,
    /// The sizes of all its files together.
    pub size_bytes: u64,
    /// When it was registered, submitted or rendered last.
    #[schema(value_type = String, format = DateTime)]
    pub touched_at: jiff::Timestamp,
    /// Whether all its files are here.
    pub complete: bool,
}

/// A page of scenes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScenePage {
    /// The scenes, the latest touched first.
    pub scenes: Vec<SceneSummary>,
}

/// What is wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFault {
    /// Nothing is rendered without a file.
    #[error("the manifest has no files")]
    Empty,
    /// More than any scene has.
    #[error("the manifest has {0} files; {MAX_FILES} are the most that a scene can have")]
    TooMany(usize),
    /// The .blend is not among the files.
    #[error("the entry {0} is none of the manifest's files")]
    NoEntry(RelativePath),
    /// The colour configuration is not among the files.
    #[error("the colour configuration {0} is none of the manifest's files")]
    NoColorConfig(RelativePath),
    /// Two files would be one on some system.
    #[error(
        "{0} and {1} are the same file on systems that do not tell capitals from small letters, or one is a folder of the other"
    )]
    Collision(RelativePath, RelativePath),
    /// Sizes that no disk has.
    #[error("the files of the manifest are larger together than any disk")]
    TooLarge,
    /// One digest, two sizes.
    #[error("{0} has the digest of another file and another size")]
    TwoSizes(RelativePath),
    /// A place that is no absolute path.
    #[error("places: {0:?} is no absolute path")]
    NotAbsolute(String),
}

/// The most files that a scene can have.
pub const MAX_FILES: usize = 100_000;

impl Manifest {
    /// The digest of the .blend that is rendered.
    #[must_use]
    pub fn entry_blob(&self) -> Option<Sha256Digest> {
        self.files.iter().find(|file| file.path == self.entry).map(|file| file.sha256)
    }

    /// The manifest of a scene that is one .blend file.
    #[must_use]
    pub fn of_one_file(path: RelativePath, size_bytes: u64, sha256: Sha256Digest) -> Self {
        let file = SceneFile { path, size_bytes, sha256 };
        Self {
            entry: file.path.clone(),
            files: vec![file],
            places: Vec::new(),
            color_config: None,
            missing: Vec::new(),
        }
    }

    /// Looks for what no scene may have; what is good in itself (each path) has been seen when it was read.
    pub fn check(&self) -> Result<(), ManifestFault> {
        if self.files.is_empty() {
            return Err(ManifestFault::Empty);
        }
        if self.files.len() > MAX_FILES {
            return Err(ManifestFault::TooMany(self.files.len()));
        }
        if !self.files.iter().any(|file| file.path == self.entry) {
            return Err(ManifestFault::NoEntry(self.entry.clone()));
        }
        if let Some(config) = &self.color_config
            && !self.files.iter().any(|file| file.path == *config)
        {
            return Err(ManifestFault::NoColorConfig(config.clone()));
        }
        if let Some(place) = self.places.iter().find(|place| !is_absolute(&place.original)) {
            return Err(ManifestFault::NotAbsolute(place.original.clone()));
        }
        self.check_sizes()?;
        self.check_collisions()
    }

    fn check_sizes(&self) -> Result<(), ManifestFault> {
        let mut sizes = HashMap::new();
        let mut total = 0_u64;
        for file in &self.files {
            if *sizes.entry(file.sha256).or_insert(file.size_bytes) != file.size_bytes {
                return Err(ManifestFault::TwoSizes(file.path.clone()));
            }
            total = total
                .checked_add(file.size_bytes)
                .filter(|total| i64::try_from(*total).is_ok())
                .ok_or(ManifestFault::TooLarge)?;
        }
        Ok(())
    }

    fn check_collisions(&self) -> Result<(), ManifestFault> {
        let mut files: HashMap<String, &RelativePath> = HashMap::new();
        for file in &self.files {
            if let Some(other) = files.insert(file.path.as_str().to_lowercase(), &file.path) {
                return Err(ManifestFault::Collision(other.clone(), file.path.clone()));
            }
        }
        for file in &self.files {
            let lower = file.path.as_str().to_lowercase();
            let mut folders = lower.match_indices('/').map(|(end, _)| &lower[..end]);
            if let Some(other) = folders.find_map(|folder| files.get(folder)) {
                return Err(ManifestFault::Collision((*other).clone(), file.path.clone()));
            }
        }
        Ok(())
    }

    /// Its blobs, each once.
    #[must_use]
    pub fn blobs(&self) -> BTreeSet<BlobRef> {
        self.files.iter().map(|file| BlobRef { sha256: file.sha256, size_bytes: file.size_bytes }).collect()
    }

    /// The sizes of all its files together.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// The scene's id: the digest of a text with the entry's path and, sorted, a line for each file (`digest size path`),
    /// each place, each missing path and the colour configuration. A text of its own rather than the JSON, whose white space and order of members are
    /// nobody's promise.
    #[must_use]
    pub fn id(&self) -> SceneId {
        let files = self.files.iter().map(|file| format!("{} {} {}\n", file.sha256, file.size_bytes, file.path));
        let places = self.places.iter().map(|place| {
            let path = place.path.as_ref().map_or(".", RelativePath::as_str);
            format!("place {path} {:?}\n", place.original)
        });
        let missing = self.missing.iter().map(|path| format!("missing {path:?}\n"));
        let config = self.color_config.iter().map(|path| format!("colors {path}\n"));
        let mut lines: Vec<String> = files.chain(places).chain(missing).chain(config).collect();
        lines.sort_unstable();
        let text = format!("haywain-scene 1\n{}\n{}", self.entry, lines.concat());
        SceneId(Sha256Digest::of(text.as_bytes()))
    }
}

/// Whether a path is absolute on the system that it comes from.
#[must_use]
pub fn is_absolute(path: &str) -> bool {
    let drive = path
        .as_bytes()
        .get(..3)
        .is_some_and(|start| start[0].is_ascii_alphabetic() && start[1] == b':' && matches!(start[2], b'\\' | b'/'));
    // Two slashes are how a .blend says "beside me".
    drive || path.starts_with("\\\\") || (path.starts_with('/') && !path.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelativePath {
        text.parse().unwrap()
    }

    fn manifest(entry: &str, paths: &[&str]) -> Manifest {
        let files = paths
            .iter()
            .map(|text| SceneFile { path: path(text), size_bytes: 3, sha256: Sha256Digest::of(text.as_bytes()) })
            .collect();
        Manifest { entry: path(entry), files, places: Vec::new(), color_config: None, missing: Vec::new() }
    }

    #[test]
    fn the_id_is_the_content_not_the_order() {
        let id = manifest("a.blend", &["a.blend", "b.png"]).id();
        assert_eq!(manifest("a.blend", &["b.png", "a.blend"]).id(), id);
        assert_ne!(manifest("a.blend", &["a.blend", "c.png"]).id(), id);
        assert_ne!(manifest("b.png", &["a.blend", "b.png"]).id(), id);
        let mut placed = manifest("a.blend", &["a.blend", "b.png"]);
        placed.places.push(Place { original: "D:\\tex".to_owned(), path: None });
        assert_ne!(placed.id(), id);
        let colored = Manifest { color_config: Some(path("b.png")), ..manifest("a.blend", &["a.blend", "b.png"]) };
        assert_ne!(colored.id(), id);
    }

    #[test]
    fn what_no_scene_may_have_is_found() {
        let good = manifest("a.blend", &["a.blend", "tex/a.png", "tex/b.png"]);
        assert_eq!(good.check(), Ok(()));
        let cases = [
            (manifest("a.blend", &[]), "no files"),
            (manifest("c.blend", &["a.blend"]), "none of the manifest's files"),
            (manifest("a.blend", &["a.blend", "Tex/A.png", "tex/a.PNG"]), "same file"),
            (manifest("a.blend", &["a.blend", "tex", "tex/a.png"]), "folder of the other"),
            (Manifest { color_config: Some(path("c.ocio")), ..good.clone() }, "the colour configuration c.ocio"),
            (Manifest { places: vec![Place { original: "//tex".to_owned(), path: None }], ..good.clone() }, "absolute"),
        ];
        for (manifest, words) in cases {
            let fault = manifest.check().unwrap_err().to_string();
            assert!(fault.contains(words), "{fault}");
        }
        let mut sizes = good;
        sizes.files[1].size_bytes = u64::MAX;
        assert_eq!(sizes.check(), Err(ManifestFault::TooLarge));
    }

    #[test]
    fn absolute_is_what_its_own_system_takes_for_it() {
        for absolute in ["D:\\tex", "d:/tex", "/home/x", "\\\\server\\share"] {
            assert!(is_absolute(absolute), "{absolute}");
        }
        for relative in ["//tex/a.png", "tex", "D:", "", "1:\\tex"] {
            assert!(!is_absolute(relative), "{relative}");
        }
    }
}
