//! How a Blender is started: with the driver, in a jail, in a group of its own, and with nothing of the agent's around it that it does
//! not need.

use std::path::Path;
use std::process::Stdio;

use haywain_shared::protocol::BlenderKind;
use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};

use super::protocol::DRIVER;
use super::{Blender, environment};
use crate::jail::{Jailer, Walls};

/// The variable that names the colour configuration (`OpenColorIO`'s documentation, "Environment variables").
const OCIO: &str = "OCIO";

/// What a Blender finds around it when it starts: that does not change while it runs.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// For what it puts aside.
    pub folder: &'a Path,
    /// The `OpenColorIO` configuration, if not its own.
    pub color_config: Option<&'a Path>,
    /// Where add-ons lie that jobs may name.
    pub addons: Option<&'a Path>,
    /// What it is put into.
    pub jailer: &'a Jailer,
    /// The walls of that.
    pub walls: &'a Walls,
    /// Where it keeps what it compiles for GPUs, if that outlives it.
    pub kernels: Option<&'a Path>,
    /// The agent's data folder, as its mark.
    pub mark: &'a Path,
}

/// Starts Blender with one of the driver's scripts.
pub(super) fn spawn(
    blender: &Blender,
    surroundings: Surroundings<'_>,
    script: &str,
) -> std::io::Result<Box<dyn ChildWrapper>> {
    let Surroundings { folder, color_config, addons: _, jailer, walls, kernels, mark } = surroundings;
    // What an earlier Blender has left there, it may have left on purpose.
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for (path, text) in DRIVER {
        let path = folder.join(path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, text)?;
    }
    let (program, arguments) = jailer.command(&blender.path, walls);
    let surroundings = environment::of(folder, kernels)?;
    let mut command = CommandWrap::with_new(program, |command| {
        command.args(arguments);
        environment::put(command, surroundings, mark);
        if blender.facts.build.kind == BlenderKind::Program {
            command.args(["--background", "--factory-startup", "--disable-autoexec"]);
            // Before --python, or Blender goes on after an exception.
            command.args(["--python-exit-code", "3", "--python"]);
        }
        command.arg(folder.join(script));
        match color_config {
            Some(config) => command.env(OCIO, config),
            // Not the agent's own, either.
            None => command.env_remove(OCIO),
        };
        command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    });
    #[cfg(unix)]
    command.wrap(process_wrap::tokio::ProcessGroup::leader());
    #[cfg(windows)]
    command.wrap(process_wrap::tokio::JobObject);
    command.wrap(KillOnDrop).spawn()
}
