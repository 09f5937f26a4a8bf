//! What Blender has said of a scene, for as long as the scene's own file and every library behind it are unchanged: a start
//! of Blender takes longer than all else that a second submission does.

use std::path::{Path, PathBuf};

use haywain_shared::digest::Sha256Digest;
use serde::{Deserialize, Serialize};

use super::{Stamp, now_ns};

/// An answer, and what it depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The answer, as Blender gave it.
    pub answer: String,
    /// The files that it was read from; `None` for those that were not there.
    files: Vec<(PathBuf, Option<Stamp>)>,
}

/// What was said about `question`, if it would be said again.
#[must_use]
pub fn recall(question: &str) -> Option<Remembered> {
    read(&file_of(question)?)
}

fn read(file: &Path) -> Option<Remembered> {
    let remembered: Remembered = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    remembered.files.iter().all(|(path, stamp)| Stamp::of(path) == *stamp).then_some(remembered)
}

/// Keeps an answer that was read from `files`, whose stamps were taken before it was.
pub fn remember(question: &str, answer: &str, files: Vec<(PathBuf, Option<Stamp>)>) {
    let now = now_ns();
    let settled = files.iter().all(|(_, stamp)| stamp.as_ref().is_none_or(|stamp| stamp.is_settled(now)));
    let (Some(file), true) = (file_of(question), settled) else { return };
    let remembered = Remembered { answer: answer.to_owned(), files };
    if let Ok(json) = serde_json::to_vec(&remembered) {
        // Without it Blender is asked again, no more.
        let _ = super::write(&file, &json);
    }
}

fn file_of(question: &str) -> Option<PathBuf> {
    let name = Sha256Digest::of(question.as_bytes()).to_string();
    super::folder().map(|folder| folder.join("links").join(format!("{}.json", &name[..32])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_until_one_of_its_files_changes_or_appears() {
        let folder = tempfile::tempdir().unwrap();
        let (scene, library, file) =
            (folder.path().join("a.blend"), folder.path().join("b.blend"), folder.path().join("answer.json"));
        std::fs::write(&scene, "one").unwrap();
        let files = vec![(scene.clone(), Stamp::of(&scene)), (library.clone(), None)];
        let remembered = Remembered { answer: "{}".to_owned(), files };
        std::fs::write(&file, serde_json::to_vec(&remembered).unwrap()).unwrap();
        assert_eq!(read(&file), Some(remembered));
        std::fs::write(&library, "there now").unwrap();
        assert_eq!(read(&file), None);
        std::fs::remove_file(&library).unwrap();
        assert!(read(&file).is_some());
        std::fs::write(&scene, "longer").unwrap();
        assert_eq!(read(&file), None);
    }
}
