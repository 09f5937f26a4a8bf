//! Processes that an earlier life of the agent has left: found by a mark in their environment, which every child inherits,
//! and never by a name. A number alone could belong to somebody else by now.

use std::ffi::OsStr;
use std::path::Path;

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

/// The variable that says whose a process is: the agent's data folder, which only one agent at a time has.
pub const MARK: &str = "HAYWAIN_AGENT_FOLDER";

/// Ends every process that carries the mark of this folder; how many there were. Only while no session lives.
pub fn end_all_of(folder: &Path) -> Result<usize, sysinfo::Error> {
    let mut system = System::new()?;
    let what = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
    let mut mark = OsStr::new(MARK).to_owned();
    mark.push("=");
    mark.push(folder);
    let left = system.processes().values().filter(|process| process.environ().contains(&mark));
    Ok(left.filter(|process| process.kill()).count())
}
