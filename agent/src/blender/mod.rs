//! Blender: [`find`] it, keep one warm ([`session`]), and talk with the driver script that runs in it ([`protocol`]).

pub mod addons;
mod environment;
pub mod find;
pub mod log;
pub mod progress;
pub mod protocol;
pub mod session;
mod signs;
pub mod studio;

use std::fmt;
use std::path::PathBuf;

use haywain_shared::protocol::{BlenderFacts, BlenderKind};
use haywain_shared::scene::Place;

/// A Blender that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blender {
    /// The Blender program, or the Python with the `bpy` module.
    pub path: PathBuf,
    /// The folders that it is installed in.
    pub installation: Vec<PathBuf>,
    /// What it says of itself.
    pub facts: BlenderFacts,
}

/// A scene on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SceneFolder {
    /// The folder with all its files.
    pub root: PathBuf,
    /// The .blend to open, in that folder.
    pub entry: PathBuf,
    /// Where in the folder those files lie that the .blend calls by paths of another machine.
    pub places: Vec<Place>,
    /// The `OpenColorIO` configuration that it wants, if not Blender's own.
    pub color_config: Option<PathBuf>,
}

impl fmt::Display for Blender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.facts.kind {
            BlenderKind::Program => "Blender",
            BlenderKind::Module => "Blender as Python module",
        };
        write!(f, "{what} {} ({})", self.facts.version, self.path.display())
    }
}
