//! How a Blender is started: with the driver, in a jail, in a group of its own, and with nothing of the agent's around it that it does
//! not need.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use haywain_shared::protocol::BlenderKind;
use process_wrap::tokio::{ChildWrapper, CommandWrap};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

use super::protocol::DRIVER;
use super::{Blender, environment};
use crate::jail::leftovers::mark_of;
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
    /// The agent's data folder, which keeps its mark.
    pub data_dir: &'a Path,
}

/// A Blender that was started. With this value it ends, and with it whatever it has started.
#[derive(Debug)]
pub(super) struct Started {
    /// On Linux its warden.
    child: Box<dyn ChildWrapper>,
}

impl Started {
    /// Whether nobody has waited for its end yet.
    pub(super) fn is_there(&self) -> bool {
        self.child.id().is_some()
    }

    pub(super) fn stdin(&mut self) -> &mut Option<ChildStdin> {
        self.child.stdin()
    }

    pub(super) fn stdout(&mut self) -> &mut Option<ChildStdout> {
        self.child.stdout()
    }

    pub(super) fn stderr(&mut self) -> &mut Option<ChildStderr> {
        self.child.stderr()
    }

    /// Waits until nothing of it is left. Nothing is lost when that is dropped.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Kills it, and does not wait: by its warden, which could end nobody if it were killed itself.
    #[cfg(target_os = "linux")]
    pub(super) fn start_kill(&mut self) -> io::Result<()> {
        if self.is_there() { self.child.signal(libc::SIGTERM) } else { Ok(()) }
    }

    /// Kills it, and does not wait.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn start_kill(&mut self) -> io::Result<()> {
        self.child.start_kill()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // An error says that there is nothing left to kill.
        let _ = self.start_kill();
    }
}

/// Starts Blender with one of the driver's scripts.
pub(super) fn spawn(blender: &Blender, surroundings: Surroundings<'_>, script: &str) -> io::Result<Started> {
    let Surroundings { folder, color_config, addons: _, jailer, walls, kernels, data_dir } = surroundings;
    // What an earlier Blender has left there, it may have left on purpose.
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for (path, text) in DRIVER {
        let path = folder.join(path);
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, text)?;
    }
    let mark = mark_of(data_dir)?;
    let (program, arguments) = jailer.command(&blender.path, walls, &mark);
    let surroundings = environment::of(folder, kernels)?;
    let mut command = CommandWrap::with_new(program, |command| {
        command.args(arguments);
        environment::put(command, surroundings);
        // On Linux the warden gives it the mark.
        #[cfg(not(target_os = "linux"))]
        command.env(crate::jail::leftovers::MARK, &mark);
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
    #[cfg(not(target_os = "linux"))]
    command.wrap(process_wrap::tokio::KillOnDrop);
    Ok(Started { child: command.spawn()? })
}
