//! The jail that Blender runs in: a scene is a stranger's file. Blender reads its own installation, fonts, drivers and the
//! scenes of this machine, writes where it is told to, and has no network; it cannot signal or trace others, and leaves its
//! process group no more than its jail. With its agent it ends, and with it whatever it has started.
//!
//! The agent starts itself once more as `haywain-agent warden …`, which stays, and that starts `haywain-agent jail …`, which shuts the
//! doors behind itself and becomes Blender: in a process of one thread that is safe to do, between fork and exec of the agent it
//! would not be.

pub mod leftovers;
#[cfg(target_os = "linux")]
mod linux;
mod walls;
#[cfg(target_os = "linux")]
mod warden;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
pub use self::linux::enter;
pub use self::walls::{BLENDER, Belongings, FRAMES, Strength, Walls};

/// The word that makes the agent's program a jail.
const JAIL: &str = "jail";
/// The word that makes it the warden of one.
const WARDEN: &str = "warden";

/// Whether Blender is put into a jail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// It must be, or the agent does not start.
    Require,
    /// As well as this system can.
    #[default]
    Auto,
    /// It is not.
    Off,
}

/// What the agent's program is when it is started as no agent: on this system nothing.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn enter(_arguments: impl Iterator<Item = OsString>) -> Option<std::process::ExitCode> {
    None
}

/// How Blenders are started on this machine.
#[derive(Debug, Clone)]
pub struct Jailer {
    /// This program, where it can be a jail.
    program: Option<PathBuf>,
    sandbox: Sandbox,
}

impl Jailer {
    /// One that starts jails by `program`, which is the agent's own. On systems that have no jails it starts what it is given
    /// as it is.
    #[must_use]
    pub fn new(program: PathBuf, sandbox: Sandbox) -> Self {
        Self { program: cfg!(target_os = "linux").then_some(program), sandbox }
    }

    /// Tries how strong the walls are here.
    pub fn strength(&self) -> std::io::Result<Strength> {
        let (Some(program), Sandbox::Auto | Sandbox::Require) = (&self.program, self.sandbox) else {
            return Ok(Strength::None);
        };
        let mut command = Command::new(program);
        command.arg(JAIL).arg("--parent").arg(std::process::id().to_string()).arg("--try-walls");
        let said = command.output()?;
        let word = String::from_utf8_lossy(&said.stdout);
        Strength::from_word(word.trim())
            .ok_or_else(|| std::io::Error::other(String::from_utf8_lossy(&said.stderr).into_owned()))
    }

    /// The program and the arguments that start a program inside, which ends with this process and carries its `mark`.
    #[must_use]
    pub fn command(&self, program: &Path, walls: &Walls, mark: &str) -> (PathBuf, Vec<OsString>) {
        let Some(own) = &self.program else { return (program.to_owned(), Vec::new()) };
        let mut arguments: Vec<OsString> =
            [WARDEN, "--parent", &std::process::id().to_string(), "--mark", mark, "--", "--humble"]
                .map(OsString::from)
                .into();
        if self.sandbox == Sandbox::Off {
            arguments.push("--open".into());
        }
        let Walls { reads, writes, links, moves } = walls;
        for (flag, paths) in [("--read", reads), ("--write", writes), ("--link", links), ("--move", moves)] {
            arguments.extend(paths.iter().flat_map(|path| [flag.into(), path.into()]));
        }
        arguments.extend(["--".into(), program.into()]);
        (own.clone(), arguments)
    }
}
