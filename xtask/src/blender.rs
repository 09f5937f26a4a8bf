//! Blender: where it is on this machine, and how it gets there.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::packages::{self, Package};
use crate::programs;

/// Blender as each package manager calls it.
const BLENDER: Package = Package {
    apt: Some("blender"),
    dnf: Some("blender"),
    pacman: Some("blender"),
    zypper: Some("blender"),
    brew: Some("--cask blender"),
    winget: Some("BlenderFoundation.Blender"),
};

/// The Blender of this machine; it is installed if there is none.
pub(crate) fn ensure() -> anyhow::Result<PathBuf> {
    if let Some(blender) = find() {
        return Ok(blender);
    }
    println!("==> There is no Blender on this machine.");
    packages::install(&[BLENDER]).context(
        "Blender could not be installed. Do it by hand (https://www.blender.org/download/), with its folder on PATH",
    )?;
    match find() {
        Some(blender) => Ok(blender),
        None => bail!("Blender was installed, and still no program `blender` is found: is its folder on PATH?"),
    }
}

/// Where Blender is, if it is on PATH or in one of the places in which an agent looks too.
pub(crate) fn find() -> Option<PathBuf> {
    programs::on_path("blender").or_else(|| usual_places().into_iter().find(|place| place.is_file()))
}

fn usual_places() -> Vec<PathBuf> {
    if cfg!(windows) {
        let programs = std::env::var_os("ProgramFiles").map(PathBuf::from).unwrap_or_default();
        return in_folders_of(&programs.join("Blender Foundation"), "blender.exe");
    }
    if cfg!(target_os = "macos") {
        return in_folders_of(Path::new("/Applications"), "Contents/MacOS/Blender");
    }
    let mut places = vec!["/usr/bin/blender".into(), "/usr/local/bin/blender".into(), "/snap/bin/blender".into()];
    places.extend(in_folders_of(Path::new("/opt"), "blender"));
    places.extend(std::env::home_dir().into_iter().flat_map(|home| in_folders_of(&home, "blender")));
    places
}

/// `program` in those folders of `parent` whose names begin with "blender", in whatever case.
fn in_folders_of(parent: &Path, program: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    let folders = entries.filter(|entry| entry.file_name().to_string_lossy().to_lowercase().starts_with("blender"));
    folders.map(|folder| folder.path().join(program)).collect()
}
