//! Blender: [`find`] it, keep one warm ([`session`]), and talk with the driver script that runs in it ([`protocol`]).

pub mod addons;
mod death;
mod environment;
pub mod find;
pub mod known;
pub mod launch;
pub mod log;
mod patience;
pub mod probe;
pub mod progress;
pub mod protocol;
pub mod session;
mod signs;
pub mod specimen;
pub mod studio;

use std::fmt;
use std::path::PathBuf;

use haywain_shared::blender_version::BlenderVersion;
use haywain_shared::cause::Cause;
use haywain_shared::protocol::BlenderFacts;
use haywain_shared::scene::Place;

use self::session::Failure;

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

impl Blender {
    /// Whether it is still the one that it was when it was asked for its version: people replace Blenders.
    fn check_version(&self, says: &str) -> Result<(), Failure> {
        let version = |text: &str| text.parse::<BlenderVersion>().ok();
        match (version(&self.facts.build.version), version(says)) {
            (Some(was), Some(is)) if was != is => {
                let message = format!("{self} is {is} by now: restart the agent, so that it gets what suits that");
                Err(Failure::new(Cause::Crashed, message))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Blender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.facts.build, self.path.display())
    }
}
