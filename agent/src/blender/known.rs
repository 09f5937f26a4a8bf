//! What Blenders have said of themselves, kept in the agent's data folder: starting one only to ask takes seconds, and more where
//! `bpy` is. It counts as long as the files that it was learnt from are the same by path, size and time, and what was tried as long as
//! the circumstances are, too. What failed then is tried again at each start: what was missing may have been installed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use haywain_shared::protocol::BlenderFacts;
use serde::{Deserialize, Serialize};

use super::Blender;

/// Its file.
const FILE: &str = "blenders.json";
/// The program that starts all snaps: its own file tells nothing of the snap.
const SNAP: &str = "snap";

/// What is known of Blenders on this machine.
#[derive(Debug)]
pub struct Known {
    file: PathBuf,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// As it was named.
    path: PathBuf,
    /// The program, and the module if it is one.
    learnt_from: Vec<Stamp>,
    facts: BlenderFacts,
    installation: Vec<PathBuf>,
    /// How it was tried what it can do, if it was.
    tried: Option<Trial>,
}

/// A trial of what a Blender can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trial {
    /// The machine's GPUs and their drivers, and the walls around Blender.
    circumstances: String,
    /// The parts that Blender has and that failed.
    failed: BTreeSet<String>,
}

/// A file by what changes when it is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stamp {
    path: PathBuf,
    size_bytes: u64,
    modified_ms: u64,
}

impl Stamp {
    /// Of the file that a path leads to now.
    fn of(path: &Path) -> Option<Self> {
        let path = path.canonicalize().ok()?;
        let found = path.metadata().ok()?;
        let modified = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let modified_ms = u64::try_from(modified.as_millis()).ok()?;
        Some(Self { path, size_bytes: found.len(), modified_ms }).filter(|stamp| !stamp.path.ends_with(SNAP))
    }
}

impl Known {
    /// What is kept in an agent's data folder. What cannot be read is learnt anew.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        let file = folder.join(FILE);
        let entries = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { file, entries: entries.unwrap_or_default() }
    }

    /// What the Blender at `path` has said of itself, if it is still the same.
    pub(super) fn blender(&self, path: &Path) -> Option<Blender> {
        let entry = self.entries.iter().find(|entry| entry.path == path)?;
        let leads_there = Stamp::of(path).as_ref() == entry.learnt_from.first();
        let same = |stamp: &Stamp| Stamp::of(&stamp.path).as_ref() == Some(stamp);
        (leads_there && entry.learnt_from.iter().all(same)).then(|| Blender {
            path: path.to_owned(),
            installation: entry.installation.clone(),
            facts: entry.facts.clone(),
        })
    }

    /// Keeps what a Blender has said, learnt from it and, if it is one, from its module.
    pub(super) fn learn(&mut self, blender: &Blender, module: Option<&Path>) {
        let Blender { path, installation, facts } = blender;
        self.entries.retain(|entry| entry.path != *path);
        let files = [Some(path.as_path()), module];
        if let Some(learnt_from) = files.into_iter().flatten().map(Stamp::of).collect() {
            self.entries.push(Entry {
                path: path.clone(),
                learnt_from,
                facts: facts.clone(),
                installation: installation.clone(),
                tried: None,
            });
        }
        self.keep();
    }

    /// The parts that are to be tried again of the Blender at `path`; `None` if it is not known what it can do in these circumstances.
    pub(super) fn to_be_tried_again(&self, path: &Path, circumstances: &str) -> Option<&BTreeSet<String>> {
        let trial = self.entries.iter().find(|entry| entry.path == path)?.tried.as_ref()?;
        (trial.circumstances == circumstances).then_some(&trial.failed)
    }

    /// Keeps what was found out of a Blender that is known, and which of its parts failed.
    pub(super) fn tried(&mut self, blender: &Blender, circumstances: &str, failed: BTreeSet<String>) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.path == blender.path) {
            entry.facts = blender.facts.clone();
            entry.tried = Some(Trial { circumstances: circumstances.to_owned(), failed });
            self.keep();
        }
    }

    fn keep(&self) {
        let text = serde_json::to_vec_pretty(&self.entries).map_err(std::io::Error::other);
        if let Err(error) = text.and_then(|text| std::fs::write(&self.file, text)) {
            // The next start asks again.
            tracing::debug!(file = %self.file.display(), %error, "not kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use haywain_shared::protocol::{BlenderBuild, BlenderKind};

    use super::*;

    #[test]
    fn what_was_learnt_counts_until_a_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (program, module) = (at("python"), at("bpy.so"));
        std::fs::write(&program, "one").unwrap();
        std::fs::write(&module, "one").unwrap();
        let facts = BlenderBuild { version: "5.0.1".to_owned(), kind: BlenderKind::Module }.into();
        let blender = Blender { path: program.clone(), installation: vec![at("lib")], facts };
        let mut known = Known::read(folder.path());
        assert_eq!(known.blender(&program), None);
        known.learn(&blender, Some(&module));
        assert_eq!(Known::read(folder.path()).blender(&program), Some(blender.clone()));
        assert_eq!(Known::read(folder.path()).blender(&module), None);
        std::fs::write(&module, "another").unwrap();
        assert_eq!(known.blender(&program), None);
        known.learn(&blender, Some(&module));
        assert_eq!(known.to_be_tried_again(&program, "a GPU"), None);
        let failed = BTreeSet::from(["EEVEE".to_owned()]);
        known.tried(&blender, "a GPU", failed.clone());
        assert_eq!(Known::read(folder.path()).to_be_tried_again(&program, "a GPU"), Some(&failed));
        assert_eq!(known.to_be_tried_again(&program, "another"), None);
        assert_eq!(known.to_be_tried_again(&module, "a GPU"), None);
        std::fs::rename(&program, at("other")).unwrap();
        assert_eq!(known.blender(&program), None);
        std::fs::write(at(FILE), "nonsense").unwrap();
        assert_eq!(Known::read(folder.path()).blender(&at("other")), None);
    }
}
