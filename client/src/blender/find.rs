//! Where a Blender may be on this machine. Nothing is started to find out: a name says enough, and who is no Blender fails
//! when it is asked.

use std::path::{Path, PathBuf};

/// A program that can open a .blend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blender {
    /// The Blender program.
    Program(PathBuf),
    /// A Python that has the `bpy` module.
    Module(PathBuf),
}

impl Blender {
    /// What a path that the user has named is.
    #[must_use]
    pub fn named(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if name.contains("python") || name.contains("bpy") {
            Self::Module(path.to_owned())
        } else {
            Self::Program(path.to_owned())
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Program(path) | Self::Module(path) => path,
        }
    }
}

/// The Blenders on PATH and in the usual places, the one on PATH first and the Pythons last.
pub(super) fn usual() -> Vec<Blender> {
    let programs = on_path("blender").into_iter().chain(installed()).map(Blender::Program);
    let pythons = ["python3", "python"].into_iter().filter_map(on_path).filter(|python| has_module(python));
    let mut seen = std::collections::HashSet::new();
    let mut all: Vec<Blender> = programs.chain(pythons.map(Blender::Module)).collect();
    all.retain(|blender| {
        let path = blender.path();
        path.is_file() && seen.insert(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
    });
    all
}

fn on_path(name: &str) -> Option<PathBuf> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| file.is_file())
}

/// Whether a Python has the module: it looks for it and does not load it, which takes a hundred times longer.
fn has_module(python: &Path) -> bool {
    const LOOK: &str = "import importlib.util, sys; sys.exit(importlib.util.find_spec('bpy') is None)";
    let mut command = std::process::Command::new(python);
    command.args(["-c", LOOK]).stdin(std::process::Stdio::null());
    command.output().is_ok_and(|output| output.status.success())
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
    fn a_name_says_what_it_is() {
        for (path, module) in [
            ("/usr/bin/blender", false),
            ("/opt/blender-5.0/blender", false),
            ("/x/bpy-5.0/bin/python", true),
            ("/usr/bin/python3.11", true),
            ("/home/me/counted-blender", false),
        ] {
            assert_eq!(matches!(Blender::named(Path::new(path)), Blender::Module(_)), module, "{path}");
        }
    }
}
