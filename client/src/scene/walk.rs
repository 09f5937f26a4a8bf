//! Everything below a folder, apart from what no scene is made of.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

/// The most files below a folder: more than a manifest can have, so that who names too large a folder hears of it soon.
const MOST_FILES: usize = 200_000;

/// Names of files and folders that are never a scene's.
const IGNORED: [&str; 9] =
    [".git", ".hg", ".svn", ".lfs", "__pycache__", ".DS_Store", "Thumbs.db", "desktop.ini", ".Trash"];

/// All files below a folder, in order. Links are followed, and no folder is gone into twice.
pub(super) fn below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        if !seen.insert(folder.canonicalize()?) {
            continue;
        }
        for entry in std::fs::read_dir(&folder).map_err(|error| named(&folder, &error))? {
            let entry = entry?;
            if is_ignored(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let path = entry.path();
            // A link that leads nowhere is no file.
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => waiting.push(path),
                Ok(metadata) if metadata.is_file() => files.push(path),
                _ => {}
            }
        }
        if files.len() > MOST_FILES {
            let message = format!("there are more than {MOST_FILES} files below it: name a smaller folder");
            return Err(named(&folder, &io::Error::other(message)));
        }
    }
    files.sort();
    Ok(files)
}

fn named(folder: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", folder.display()))
}

/// What editors, version controls and systems leave in folders.
pub(super) fn is_ignored(name: &str) -> bool {
    let is_backup = name
        .rsplit_once(".blend")
        .is_some_and(|(_, rest)| !rest.is_empty() && (rest == "@" || rest.bytes().all(|byte| byte.is_ascii_digit())));
    is_backup || name.ends_with('~') || name.starts_with(".haywain-") || IGNORED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leavings_are_no_part_of_a_scene() {
        for (name, ignored) in [
            ("shot.blend", false),
            ("shot.blend1", true),
            ("shot.blend12", true),
            ("shot.blend@", true),
            ("shot.blender", false),
            (".git", true),
            ("a.png~", true),
            ("__pycache__", true),
            (".hidden.png", false),
        ] {
            assert_eq!(is_ignored(name), ignored, "{name}");
        }
    }
}
