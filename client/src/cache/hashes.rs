//! The digests of files that have been read before, by path and stamp: JSON lines in the user's cache folder. A digest is
//! believed only while the file's stamp is the very same, and was old enough when the file was read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use haywain_shared::digest::Sha256Digest;
use serde::{Deserialize, Serialize};

use super::Stamp;

/// The most digests that are kept.
const MOST: usize = 200_000;

#[derive(Serialize, Deserialize)]
struct Line {
    path: PathBuf,
    #[serde(flatten)]
    stamp: Stamp,
    sha256: Sha256Digest,
}

/// Digests by path.
#[derive(Debug, Default)]
pub struct Hashes {
    file: Option<PathBuf>,
    known: HashMap<PathBuf, (Stamp, Sha256Digest)>,
    /// Learnt since they were read.
    new: Vec<PathBuf>,
}

impl Hashes {
    /// Those in the user's cache folder.
    #[must_use]
    pub fn open() -> Self {
        super::folder().map(|folder| Self::read(folder.join("hashes.jsonl"))).unwrap_or_default()
    }

    fn read(file: PathBuf) -> Self {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let known = lines.map(|line| (line.path, (line.stamp, line.sha256))).collect();
        Self { file: Some(file), known, new: Vec::new() }
    }

    /// The digest of a file that has not changed since it was read.
    #[must_use]
    pub fn get(&self, path: &Path, stamp: &Stamp) -> Option<Sha256Digest> {
        self.known.get(path).filter(|(known, _)| known == stamp).map(|(_, digest)| *digest)
    }

    /// Keeps the digest of a file that had this stamp before and after it was read, if it can be told from a later one.
    pub fn learn(&mut self, path: &Path, stamp: Stamp, digest: Sha256Digest, now_ns: u64) {
        if stamp.is_settled(now_ns) {
            self.known.insert(path.to_owned(), (stamp, digest));
            self.new.push(path.to_owned());
        }
    }

    /// Writes what is new, together with what others have written meanwhile.
    pub fn save(&mut self) {
        let Some(file) = self.file.clone().filter(|_| !self.new.is_empty()) else { return };
        let mut all = Self::read(file.clone()).known;
        if all.len() + self.new.len() > MOST {
            // Old ones go first of all where their files have gone.
            all.retain(|path, (stamp, _)| Stamp::of(path).as_ref() == Some(stamp));
        }
        if all.len() + self.new.len() > MOST {
            all.clear();
        }
        all.extend(self.new.drain(..).filter_map(|path| self.known.get(&path).map(|known| (path.clone(), *known))));
        let mut text = Vec::new();
        for (path, (stamp, sha256)) in all {
            // A path that is no Unicode is hashed each time.
            if serde_json::to_writer(&mut text, &Line { path, stamp, sha256 }).is_ok() {
                text.push(b'\n');
            } else {
                text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
            }
        }
        // Without it the next call takes longer, no more.
        let _ = super::write(&file, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: u64 = u64::MAX / 2;

    #[test]
    fn digests_survive_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, file) = (folder.path().join("deep/hashes.jsonl"), folder.path().join("a"));
        std::fs::write(&file, "one").unwrap();
        let (stamp, digest) = (Stamp::of(&file).unwrap(), Sha256Digest::of(b"one"));
        let mut hashes = Hashes::read(cache.clone());
        hashes.learn(&file, stamp, digest, LATER);
        hashes.save();
        let again = Hashes::read(cache.clone());
        assert_eq!(again.get(&file, &stamp), Some(digest));
        assert_eq!(again.get(&folder.path().join("b"), &stamp), None);

        std::fs::write(&file, "other").unwrap();
        assert_eq!(again.get(&file, &Stamp::of(&file).unwrap()), None);

        std::fs::write(&cache, "{\"path\": nonsense\n\u{0}\n").unwrap();
        assert!(Hashes::read(cache).known.is_empty());
    }

    #[test]
    fn a_file_that_has_just_changed_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "one").unwrap();
        let stamp = Stamp::of(&file).unwrap();
        let mut hashes = Hashes::read(folder.path().join("hashes.jsonl"));
        hashes.learn(&file, stamp, Sha256Digest::of(b"one"), super::super::now_ns());
        assert_eq!(hashes.get(&file, &stamp), None);
    }
}
