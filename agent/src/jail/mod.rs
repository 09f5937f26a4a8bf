//! The jail that Blender runs in: a scene is a stranger's file. Blender reads its own installation, fonts, drivers and the
//! scenes of this machine, writes where it is told to, and has no network; it cannot signal or trace others, and leaves its
//! process group no more than its jail. With its agent it ends.
//!
//! The agent starts itself once more as `haywain-agent jail …`, which shuts the doors behind itself and becomes Blender: in a
//! process of one thread that is safe to do, between fork and exec of the agent it would not be.

pub mod leftovers;
#[cfg(target_os = "linux")]
mod linux;
mod walls;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

pub use self::walls::{BLENDER, Belongings, FRAMES, Strength, Walls};

/// The word that makes the agent's program a jail.
pub const WORD: &str = "jail";

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

/// What a jail is told on its command line.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Inmate {
    /// Who it ends with.
    #[arg(long)]
    parent: u32,
    /// Say how strong the walls are, and start nothing.
    #[arg(long)]
    try_walls: bool,
    /// Build no walls: only the rest.
    #[arg(long)]
    open: bool,
    /// Be nobody's equal for processors and disks, and the first to be killed when memory runs out.
    #[arg(long)]
    humble: bool,
    /// A file or folder that may be read, and run.
    #[arg(long)]
    read: Vec<PathBuf>,
    /// A folder that may be written.
    #[arg(long)]
    write: Vec<PathBuf>,
    /// A folder in which links may be made.
    #[arg(long)]
    link: Vec<PathBuf>,
    /// A folder in which files may be moved from one folder into another.
    #[arg(long = "move")]
    moves: Vec<PathBuf>,
    /// The program and its arguments.
    #[arg(last = true)]
    program: Vec<OsString>,
}

/// The inside of the jail: does not return unless it could not become the program.
#[must_use]
pub fn enter(arguments: impl Iterator<Item = OsString>) -> std::process::ExitCode {
    let inmate = match Inmate::try_parse_from(arguments) {
        Ok(inmate) => inmate,
        Err(error) => return failed(&error),
    };
    #[cfg(target_os = "linux")]
    let become_program = linux::become_program(&inmate);
    #[cfg(not(target_os = "linux"))]
    let become_program: std::io::Result<std::convert::Infallible> =
        Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "there are jails on Linux only"));
    match become_program {
        Ok(never) => match never {},
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::fmt::Display) -> std::process::ExitCode {
    eprintln!("the jail: {error}");
    std::process::ExitCode::FAILURE
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
        command.arg(WORD).arg("--parent").arg(std::process::id().to_string()).arg("--try-walls");
        let said = command.output()?;
        let word = String::from_utf8_lossy(&said.stdout);
        Strength::from_word(word.trim())
            .ok_or_else(|| std::io::Error::other(String::from_utf8_lossy(&said.stderr).into_owned()))
    }

    /// The program and the first arguments that start a program inside.
    #[must_use]
    pub fn command(&self, program: &Path, walls: &Walls) -> (PathBuf, Vec<OsString>) {
        let Some(jail) = &self.program else { return (program.to_owned(), Vec::new()) };
        let mut arguments: Vec<OsString> =
            [WORD, "--parent", &std::process::id().to_string(), "--humble"].map(OsString::from).into();
        if self.sandbox == Sandbox::Off {
            arguments.push("--open".into());
        }
        let Walls { reads, writes, links, moves } = walls;
        for (flag, paths) in [("--read", reads), ("--write", writes), ("--link", links), ("--move", moves)] {
            arguments.extend(paths.iter().flat_map(|path| [flag.into(), path.into()]));
        }
        arguments.extend(["--".into(), program.into()]);
        (jail.clone(), arguments)
    }
}
