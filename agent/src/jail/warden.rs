//! The warden of one Blender (Linux): its parent, and by the kernel's word the parent of whatever Blender has started and left
//! alone, be it in a session of its own and without an environment. When Blender ends, when the agent asks for it, and when the agent is
//! gone, it ends all of them, reaps them, and ends as Blender has.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use clap::Parser;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, set_child_subreaper, wait,
};
use rustix::stdio::{dup2_stdin, dup2_stdout};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};
use tokio::signal::unix::{SignalKind, signal};

use super::leftovers::MARK;
use super::{JAIL, linux};

/// This program, also when its file has been replaced meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// What a warden is told on its command line.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
pub(super) struct Duty {
    /// The agent.
    #[arg(long)]
    parent: u32,
    /// The agent's mark, for Blender and what it starts. The warden has none: it ends by itself.
    #[arg(long)]
    mark: OsString,
    /// What the jail is told besides who its parent is.
    #[arg(last = true)]
    jail: Vec<OsString>,
}

/// Starts Blender in its jail, and stays until nothing of it is left.
pub(super) fn keep(duty: &Duty) -> io::Result<ExitCode> {
    // It dies as Blender does, and Blender leaves none.
    linux::leave_no_core()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let status = runtime.block_on(watch(duty))?;
    Ok(end_as(status))
}

async fn watch(duty: &Duty) -> io::Result<WaitStatus> {
    // Before there is anything that a signal could leave behind.
    let mut told = signal(SignalKind::terminate())?;
    let mut ended = signal(SignalKind::child())?;
    linux::end_with(duty.parent, Signal::TERM)?;
    set_child_subreaper(Some(getpid()))?;
    let mut jail = Command::new(OWN_PROGRAM);
    jail.args([JAIL, "--parent", &std::process::id().to_string()]).args(&duty.jail);
    let blender = jail.env(MARK, &duty.mark).process_group(0).spawn()?;
    // Blender's line is its own: that it has closed it must be seen at the other end.
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    let mut wards = Wards { blender: Pid::from_child(&blender), status: None };
    while wards.reap()? && wards.status.is_none() {
        tokio::select! {
            _ = told.recv() => break,
            _ = ended.recv() => {}
        }
    }
    // All of the group at once: while one was looked for, it could make another. An error says that nobody is left in it.
    let _ = kill_process_group(wards.blender, Signal::KILL);
    while wards.reap()? {
        end_children()?;
        ended.recv().await;
    }
    wards.status.ok_or_else(|| io::Error::other("somebody else has reaped Blender"))
}

/// Blender and those that it has left to its warden.
struct Wards {
    blender: Pid,
    /// How Blender has ended.
    status: Option<WaitStatus>,
}

impl Wards {
    /// Takes note of all that have ended. Whether anybody is left.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((process, status))) if process == self.blender => self.status = Some(status),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(true),
                Err(Errno::CHILD) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Kills the children that there are. Theirs are this process's by then.
fn end_children() -> io::Result<()> {
    let mut system = System::new().map_err(io::Error::other)?;
    let what = ProcessRefreshKind::nothing().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let own = sysinfo::Pid::from_u32(std::process::id());
    // Nobody else reaps them, so that a number still is whose it was.
    system.processes().values().filter(|process| process.parent() == Some(own)).for_each(|child| {
        child.kill();
    });
    Ok(())
}

/// Ends by the same signal or with the same code, for the agent to see.
fn end_as(status: WaitStatus) -> ExitCode {
    if let Some(signal) = status.terminating_signal().and_then(Signal::from_named_raw) {
        // Twice, as Rust's own handler for faults of memory does no more at the first than to step aside.
        for _ in 0..2 {
            let _ = kill_process(getpid(), signal);
        }
    }
    let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
