//! What is kept of scenes, blobs and jobs that are on their way out.

use haywain_shared::blender_version::Release;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::JobId;
use haywain_shared::scene::{SceneId, SceneReport};

use super::Sight;

/// A scene that was registered.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptScene {
    /// The scene as it stands now.
    pub report: SceneReport,
    /// Whether it was known before.
    pub novelty: Novelty,
}

/// Whether something was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// It was not.
    New,
    /// It was.
    Known,
}

/// The .blend of a scene that is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SceneEntry {
    /// Its blob.
    pub blob: Option<Sha256Digest>,
    /// The Blender that saved it, if somebody has looked and it says so.
    pub saved_by: Option<Release>,
}

/// Which scenes are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SceneFilter {
    /// Only those that somebody may see.
    pub sight: Sight,
    /// Only those that come after this one in the list.
    pub before: Option<SceneId>,
    /// At most this many.
    pub limit: u32,
}

/// How a blob stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobStanding {
    /// It is not here, whether or not a scene wants it.
    Missing,
    /// It is here.
    Stored {
        /// Its size in bytes.
        size_bytes: u64,
    },
    /// It is being deleted.
    Going,
}

/// A job that was removed, and is not erased yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedJob {
    /// The job.
    pub id: JobId,
    /// What people called it.
    pub name: Option<String>,
}

/// What a step of erasing a job has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erased {
    /// There may be more of it.
    Some,
    /// Nothing refers to its files any more.
    All,
}

/// Some of many paths, for a person's eye.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SomePaths {
    /// The first few.
    pub shown: Vec<String>,
    /// How many there are.
    pub count: usize,
}

impl SomePaths {
    /// How many are shown.
    const SHOWN: usize = 5;

    /// The first few of some paths.
    #[must_use]
    pub fn of(paths: impl IntoIterator<Item = String>) -> Self {
        let mut paths = paths.into_iter();
        let shown: Vec<_> = paths.by_ref().take(Self::SHOWN).collect();
        let count = shown.len() + paths.count();
        Self { shown, count }
    }
}

impl std::fmt::Display for SomePaths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown.join(", "))?;
        match self.count - self.shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_paths_five_are_shown() {
        let paths = |count: usize| SomePaths::of((0..count).map(|number| number.to_string())).to_string();
        assert_eq!((paths(2).as_str(), paths(5).as_str()), ("0, 1", "0, 1, 2, 3, 4"));
        assert_eq!(paths(12), "0, 1, 2, 3, 4 and 7 more");
    }
}
