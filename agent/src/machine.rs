//! The machine as sysinfo sees it, and how many slots it is good for.

use std::path::Path;

use haywain_shared::protocol::{MachineFacts, MachineSample};
use jiff::{SignedDuration, Timestamp};
use sysinfo::{
    CpuRefreshKind, DiskRefreshKind, Disks, MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessStatus,
    ProcessesToUpdate, RefreshKind, System,
};

use crate::gpus;

/// Logical processors that one Blender can be expected to make use of by itself.
const CORES_PER_SLOT: u32 = 8;
/// Memory that a slot is given as long as nobody knows what its scene needs.
const MEMORY_PER_SLOT_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// By how many seconds the system may tell the start of a process otherwise later: it counts from a boot that it computes anew.
const START_DRIFT_S: i64 = 2;

/// The room that scenes may take on a large disk.
const CACHE_BYTES: u64 = 20 * 1024 * 1024 * 1024;
/// The part of a smaller disk that they may take: one in this many.
const CACHE_SHARE: u64 = 10;

/// How much room scenes may take below `folder`, unless somebody says otherwise.
#[must_use]
pub fn cache_bytes(folder: &Path) -> u64 {
    let Ok(disks) = Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing().with_storage()) else {
        return CACHE_BYTES;
    };
    let holding = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
    let disk = holding.max_by_key(|disk| disk.mount_point().as_os_str().len()).filter(|disk| disk.total_space() > 0);
    disk.map_or(CACHE_BYTES, |disk| CACHE_BYTES.min(disk.total_space() / CACHE_SHARE))
}

/// How an agent uses its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Frames rendered at once.
    pub slots: u32,
    /// Threads of each Blender; `None` leaves it to Blender, which takes all processors.
    pub threads: Option<u32>,
}

/// A first simple rule: one slot for every eight processors, as far as the memory goes. Fewer slots with more threads each
/// are safe: they share nothing, and what a slot loads it loads once.
#[must_use]
pub fn plan(wanted_slots: Option<u32>, logical_cores: u32, memory_available_bytes: u64) -> Plan {
    let by_memory = u32::try_from(memory_available_bytes / MEMORY_PER_SLOT_BYTES).unwrap_or(u32::MAX);
    let slots = wanted_slots.unwrap_or_else(|| (logical_cores / CORES_PER_SLOT).min(by_memory)).max(1);
    let threads = (slots > 1).then(|| (logical_cores / slots).max(1));
    Plan { slots, threads }
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
    pub fn facts(&self) -> MachineFacts {
        let memory_bytes = self.system.total_memory();
        let limit_bytes = self.system.cgroup_limits().map_or(memory_bytes, |limits| limits.total_memory);
        MachineFacts {
            os: System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned()),
            arch: std::env::consts::ARCH.to_owned(),
            logical_cores: logical_cores(),
            memory_bytes: memory_bytes.min(limit_bytes),
            gpus: gpus::seen(),
        }
    }

    /// The machine now. Processor use is the mean since the last sample.
    pub fn sample(&mut self) -> MachineSample {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let available_bytes = self.system.available_memory();
        let limit_bytes = self.system.cgroup_limits().map_or(available_bytes, |limits| limits.free_memory);
        #[expect(clippy::cast_precision_loss, reason = "processors are few")]
        let cores = self.system.cpus().len() as f32;
        MachineSample {
            cores_busy: self.system.global_cpu_usage() / 100.0 * cores,
            memory_available_bytes: available_bytes.min(limit_bytes),
        }
    }
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

/// Whether a process still is the one that started then: its number may be another's by now.
#[must_use]
pub fn is_running(process: u32, then: Timestamp) -> bool {
    let drift = SignedDuration::from_secs(START_DRIFT_S);
    started(process).is_some_and(|found| found.duration_since(then).abs() <= drift)
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

/// The memory that a process has resident; 0 when it is gone.
#[must_use]
pub fn resident_bytes(process: u32) -> u64 {
    let pid = Pid::from_u32(process);
    let Ok(mut system) = System::new() else { return 0 };
    let what = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, what);
    system.process(pid).map_or(0, sysinfo::Process::memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * 1024 * 1024;

    #[test]
    fn slots_follow_processors_and_memory() {
        #[rustfmt::skip]
        let cases = [
            // wanted, cores, memory available -> slots, threads
            (None, 1, GIB, 1, None),
            (None, 2, 24 * GIB, 1, None),
            (None, 8, 64 * GIB, 1, None),
            (None, 16, 64 * GIB, 2, Some(8)),
            (None, 128, 512 * GIB, 16, Some(8)),
            (None, 128, 16 * GIB, 4, Some(32)),
            (None, 128, GIB, 1, None),
            // The owner knows better.
            (Some(1), 128, 512 * GIB, 1, None),
            (Some(2), 2, GIB, 2, Some(1)),
            (Some(4), 2, GIB, 4, Some(1)),
        ];
        for (wanted, cores, memory, slots, threads) in cases {
            assert_eq!(
                plan(wanted, cores, memory),
                Plan { slots, threads },
                "{wanted:?}, {cores} cores, {memory} bytes"
            );
        }
    }

    #[test]
    fn the_machine_is_seen() {
        let mut machine = Machine::new().unwrap();
        let facts = machine.facts();
        let sample = machine.sample();
        assert!(facts.logical_cores >= 1);
        assert!(facts.memory_bytes >= sample.memory_available_bytes && sample.memory_available_bytes > 0);
        assert!(activity(std::process::id()).is_some());
        assert!(resident_bytes(std::process::id()) > 0);
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
