//! Where a Blender may be on this machine: on PATH, and where each system's packages and archives put it. Nothing is started
//! to find out.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Programs that may be Blender: the one on PATH first, each once.
#[must_use]
pub fn programs() -> Vec<PathBuf> {
    each_once(on_path("blender").into_iter().chain(installed()))
}

/// Pythons that may have the `bpy` module: those on PATH, each once.
#[must_use]
pub fn pythons() -> Vec<PathBuf> {
    each_once(["python3", "python"].into_iter().filter_map(on_path))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| file.is_file())
}

/// Files that are there, each by the first of its names.
fn each_once(places: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let is_new = |place: &PathBuf| seen.insert(place.canonicalize().unwrap_or_else(|_| place.clone()));
    places.filter(|place| place.is_file()).filter(is_new).collect()
}

/// Blenders outside PATH.
fn installed() -> Vec<PathBuf> {
    if cfg!(windows) {
        let programs = std::env::var_os("ProgramFiles").map(PathBuf::from).unwrap_or_default();
        return in_folders_of(&programs.join("Blender Foundation"), "blender.exe");
    }
    if cfg!(target_os = "macos") {
        return in_folders_of(Path::new("/Applications"), "Contents/MacOS/Blender");
    }
    let mut places: Vec<PathBuf> =
        ["/usr/bin/blender", "/usr/local/bin/blender", "/snap/bin/blender"].map(PathBuf::from).into();
    places.extend(in_folders_of(Path::new("/opt"), "blender"));
    if let Some(home) = std::env::home_dir() {
        places.extend(in_folders_of(&home, "blender"));
    }
    places
}

/// `program` in those folders of `parent` whose names begin with "blender", in whatever case, later versions first.
fn in_folders_of(parent: &Path, program: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    folders.retain(|folder| {
        folder.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase().starts_with("blender"))
    });
    folders.sort();
    folders.into_iter().rev().map(|folder| folder.join(program)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_named_after_blender_are_looked_into_and_a_file_counts_once() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["blender-4.2", "Blender-5.0", "other"] {
            std::fs::create_dir(parent.path().join(name)).unwrap();
        }
        let found = in_folders_of(parent.path(), "blender");
        let expected = ["blender-4.2", "Blender-5.0"].map(|name| parent.path().join(name).join("blender"));
        assert_eq!(found, expected);
        std::fs::write(&expected[0], b"").unwrap();
        let twice = [expected[0].clone(), expected[0].clone(), expected[1].clone()];
        assert_eq!(each_once(twice.into_iter()), [expected[0].clone()], "what is not there is no place");
    }
}
