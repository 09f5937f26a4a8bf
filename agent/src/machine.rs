//! The machine as sysinfo sees it.

use std::path::Path;

use haywain_shared::protocol::{MachineFacts, MachineSample};
use jiff::{SignedDuration, Timestamp};
use sysinfo::{
    CpuRefreshKind, Disk, DiskRefreshKind, Disks, MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessStatus,
    ProcessesToUpdate, RefreshKind, System,
};

use crate::gpus;

/// By how many seconds the system may tell the start of a process otherwise later: it counts from a boot that it computes anew.
const START_DRIFT_S: i64 = 2;

/// The room that scenes may take on a large disk.
const CACHE_BYTES: u64 = 20 * 1024 * 1024 * 1024;
/// The part of a smaller disk that they may take: one in this many.
const CACHE_SHARE: u64 = 10;

/// How much room scenes may take below `folder`, unless somebody says otherwise.
#[must_use]
pub fn cache_bytes(folder: &Path) -> u64 {
    of_disk(folder, Disk::total_space).map_or(CACHE_BYTES, |total| CACHE_BYTES.min(total / CACHE_SHARE))
}

/// What is free of the disk that `folder` is on, where that is known.
#[must_use]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    of_disk(folder, Disk::available_space)
}

fn of_disk(folder: &Path, what: impl Fn(&Disk) -> u64) -> Option<u64> {
    let disks = Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing().with_storage()).ok()?;
    let holding = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
    let disk = holding.max_by_key(|disk| disk.mount_point().as_os_str().len()).filter(|disk| disk.total_space() > 0);
    disk.map(what)
}

/// A view on the machine that is refreshed when it is asked.
pub struct Machine {
    system: System,
}

impl Machine {
    /// Looks at the machine for the first time.
    pub fn new() -> Result<Self, sysinfo::Error> {
        let what = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_usage())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        Ok(Self { system: System::new_with_specifics(what)? })
    }

    /// What does not change while the agent runs. Limits of a container count.
    #[must_use]
    pub fn facts(&mut self) -> MachineFacts {
        MachineFacts {
            os: System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned()),
            arch: std::env::consts::ARCH.to_owned(),
            logical_cores: logical_cores(),
            memory_bytes: total_bytes(&mut self.system),
            gpus: gpus::seen(),
        }
    }

    /// All logical processors, those included that this process may not use.
    #[must_use]
    pub fn processors(&self) -> u32 {
        u32::try_from(self.system.cpus().len()).unwrap_or(u32::MAX)
    }

    /// The machine now. Processor use is the mean since the last sample.
    pub fn sample(&mut self) -> MachineSample {
        self.system.refresh_cpu_usage();
        #[expect(clippy::cast_precision_loss, reason = "processors are few")]
        let cores = self.system.cpus().len() as f32;
        MachineSample {
            cores_busy: self.system.global_cpu_usage() / 100.0 * cores,
            memory_available_bytes: available_bytes(&mut self.system),
        }
    }
}

/// All memory that this process and its children may use: less than the machine's where a container or a service is bound.
pub(crate) fn total_bytes(system: &mut System) -> u64 {
    let of_group = group_limits(system).map_or(u64::MAX, |group| group.total_memory);
    system.total_memory().min(of_group)
}

/// Memory that they could still get.
pub(crate) fn available_bytes(system: &mut System) -> u64 {
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    // What files have in memory is used there, too, and yet to be had: only what programs have is not.
    let of_group = group_limits(system).map_or(u64::MAX, |group| group.total_memory.saturating_sub(group.rss));
    system.available_memory().min(of_group)
}

/// Where the kernel's control groups are.
#[cfg(target_os = "linux")]
const GROUPS: &str = "/sys/fs/cgroup";

/// Says so when the kernel has control groups and does not show them here: what bounds this process may be less than the machine has.
#[cfg(target_os = "linux")]
pub fn warn_of_unseen_bounds() {
    if !shows_bounds(Path::new(GROUPS)) {
        tracing::warn!(
            folder = GROUPS,
            "bounds of memory cannot be read here: the whole machine's is taken to be there. If this container or service has less, say \
             how much by --max-memory"
        );
    }
}

/// Says so when the kernel does not show what bounds this process: there are no control groups on this system.
#[cfg(not(target_os = "linux"))]
pub const fn warn_of_unseen_bounds() {}

/// Whether bounds of control groups could be read below that folder, by either of the kernel's two ways to show them.
#[cfg(target_os = "linux")]
fn shows_bounds(groups: &Path) -> bool {
    ["cgroup.controllers", "memory/memory.limit_in_bytes"].iter().any(|file| std::fs::read(groups.join(file)).is_ok())
}

/// The bounds of the control group that this process belongs to, if it has any.
fn group_limits(system: &mut System) -> Option<sysinfo::CGroupLimits> {
    let own = Pid::from_u32(std::process::id());
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[own]),
        true,
        ProcessRefreshKind::nothing().without_tasks(),
    );
    system.process(own)?.cgroup_limits()
}

/// Logical processors that this process may use: fewer than the machine's where a container or a mask says so.
fn logical_cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

/// When a process started, to the second; `None` when there is none of that number.
#[must_use]
pub fn started(process: u32) -> Option<Timestamp> {
    let pid = Pid::from_u32(process);
    let mut system = System::new().ok()?;
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
    let second = i64::try_from(system.process(pid)?.start_time()).ok()?;
    Timestamp::from_second(second).ok()
}

/// Whether a process still is the agent that started then: its number may be another's by now. When it started moves with the wall's
/// clock; so what is called as an agent is taken for it, too.
#[must_use]
pub fn is_running(process: u32, then: Timestamp) -> bool {
    let drift = SignedDuration::from_secs(START_DRIFT_S);
    started(process).is_some_and(|found| found.duration_since(then).abs() <= drift || is_called_agent(process))
}

fn is_called_agent(process: u32) -> bool {
    let pid = Pid::from_u32(process);
    let Ok(mut system) = System::new() else { return false };
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
    system.process(pid).is_some_and(|process| process.name() == env!("CARGO_PKG_NAME"))
}

/// The process that leads the group of this one; `None` when it is gone.
#[cfg(target_os = "linux")]
#[must_use]
pub fn group_of(process: u32) -> Option<u32> {
    let process = rustix::process::Pid::from_raw(i32::try_from(process).ok()?)?;
    let leader = rustix::process::getpgid(Some(process)).ok()?;
    Some(leader.as_raw_nonzero().get().unsigned_abs())
}

/// The process that leads the group of this one: on this system itself, as nobody asks for the others.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub const fn group_of(process: u32) -> Option<u32> {
    Some(process)
}

/// What a process is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// The processor time, in milliseconds, that it has used so far.
    pub cpu_time_ms: u64,
    /// What it waits for.
    pub waits_for: WaitsFor,
}

/// What a process waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// A processor or a disk: it would go on if it had it.
    Machine,
    /// Something else, which may never come.
    Anything,
}

/// What a process is at; `None` when it is gone.
#[must_use]
pub fn activity(process: u32) -> Option<Activity> {
    let pid = Pid::from_u32(process);
    let mut system = System::new().ok()?;
    let what = ProcessRefreshKind::nothing().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what);
    let process = system.process(pid)?;
    let waits_for = match process.status() {
        ProcessStatus::Run | ProcessStatus::UninterruptibleDiskSleep => WaitsFor::Machine,
        _ => WaitsFor::Anything,
    };
    Some(Activity { cpu_time_ms: process.accumulated_cpu_time(), waits_for })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_seen() {
        let mut machine = Machine::new().unwrap();
        let facts = machine.facts();
        let sample = machine.sample();
        assert!(facts.logical_cores >= 1);
        assert!(facts.memory_bytes >= sample.memory_available_bytes && sample.memory_available_bytes > 0);
        assert!(activity(std::process::id()).is_some());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn it_is_seen_whether_bounds_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let groups = folder.path();
        assert!(!shows_bounds(groups) && !shows_bounds(&groups.join("nowhere")));
        std::fs::create_dir(groups.join("memory")).unwrap();
        std::fs::write(groups.join("memory/memory.limit_in_bytes"), "1").unwrap();
        assert!(shows_bounds(groups));
        std::fs::remove_dir_all(groups.join("memory")).unwrap();
        std::fs::write(groups.join("cgroup.controllers"), "memory").unwrap();
        assert!(shows_bounds(groups));
    }

    #[test]
    #[cfg(unix)]
    fn a_process_is_known_by_its_number_and_its_start() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let then = started(child.id()).unwrap();
        assert!(is_running(child.id(), then) && !is_running(child.id(), then - SignedDuration::from_mins(1)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_running(child.id(), then));
    }
}
