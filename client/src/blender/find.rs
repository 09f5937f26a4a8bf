//! Which Blender can be asked. No Blender is started to find out: a name says enough, and who is none fails when it is asked.

use std::path::{Path, PathBuf};

use haywain_shared::blender_places;

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
    let programs = blender_places::programs().into_iter().map(Blender::Program);
    let pythons = blender_places::pythons().into_iter().filter(|python| has_module(python)).map(Blender::Module);
    programs.chain(pythons).collect()
}

/// Whether a Python has the module: it looks for it and does not load it, which takes a hundred times longer.
fn has_module(python: &Path) -> bool {
    const LOOK: &str = "import importlib.util, sys; sys.exit(importlib.util.find_spec('bpy') is None)";
    let mut command = std::process::Command::new(python);
    command.args(["-c", LOOK]).stdin(std::process::Stdio::null());
    command.output().is_ok_and(|output| output.status.success())
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
