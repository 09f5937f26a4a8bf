//! What the operating system says of memory: how much is to be had, and how much groups of processes have. Where a group cannot be
//! seen whole, it is what leads it.

use std::time::Duration;

use sysinfo::{MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};
use tokio::time::Instant;

use crate::machine;

/// How often all processes are looked through for new members of the groups; in between it is those that are known.
const EVERYBODY_EVERY: Duration = Duration::from_secs(5);

/// Where memory is looked at: the system, or a simulation.
pub trait Look: Send + 'static {
    /// Memory that programs could still get.
    fn available_bytes(&mut self) -> u64;

    /// What each of the process groups, by the process that leads it, has resident.
    fn resident_bytes(&mut self, leaders: &[u32]) -> Vec<u64>;
}

/// The system's.
pub struct SystemLook {
    system: System,
    /// Processes of the groups: which they are, and whose.
    members: Vec<(u32, u32)>,
    sought: Option<Instant>,
}

impl SystemLook {
    /// Looks for the first time.
    pub fn new() -> Result<Self, sysinfo::Error> {
        let memory = MemoryRefreshKind::nothing().with_ram();
        let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory))?;
        Ok(Self { system, members: Vec::new(), sought: None })
    }
}

impl Look for SystemLook {
    fn available_bytes(&mut self) -> u64 {
        machine::available_bytes(&mut self.system)
    }

    fn resident_bytes(&mut self, leaders: &[u32]) -> Vec<u64> {
        let are_new = leaders.iter().any(|leader| !self.members.iter().any(|(_, group)| group == leader));
        if are_new || self.sought.is_none_or(|sought| sought.elapsed() >= EVERYBODY_EVERY) {
            self.sought = Some(Instant::now());
            self.members = members_of(leaders);
        }
        let processes: Vec<Pid> = self.members.iter().map(|(process, _)| Pid::from_u32(*process)).collect();
        let what = ProcessRefreshKind::nothing().with_memory().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&processes), true, what);
        let has = |process: u32| self.system.process(Pid::from_u32(process)).map_or(0, sysinfo::Process::memory);
        let of_group = |leader: &u32| {
            let members = self.members.iter().filter(|(_, group)| group == leader);
            members.map(|(process, _)| has(*process)).sum()
        };
        leaders.iter().map(of_group).collect()
    }
}

#[cfg(not(target_os = "linux"))]
fn members_of(leaders: &[u32]) -> Vec<(u32, u32)> {
    leaders.iter().map(|leader| (*leader, *leader)).collect()
}

/// A process and its group, for each process of these groups.
#[cfg(target_os = "linux")]
fn members_of(leaders: &[u32]) -> Vec<(u32, u32)> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let grouped = numbers.filter_map(|process| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        Some((process, group_of(&stat)?))
    });
    grouped.filter(|(_, group)| leaders.contains(group)).collect()
}

/// The group in a process's `stat`: `7 (a name) S parent group …`. The name may have anything in it.
#[cfg(target_os = "linux")]
fn group_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(2)?.parse().ok()
}

/// How often the kernel has killed for want of memory, since it started.
#[cfg(target_os = "linux")]
#[must_use]
pub fn kernel_kills() -> u64 {
    let counters = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let counter = counters.lines().find_map(|line| line.strip_prefix("oom_kill "));
    counter.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// How often the kernel has killed for want of memory: it does not say.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub const fn kernel_kills() -> u64 {
    0
}

/// From now on the most memory that a process has had is what it has now. What it had for the scene before is none of the next one's.
#[cfg(target_os = "linux")]
pub fn forget_peak(process: u32) {
    // What proc(5) calls the peak resident set. If that fails, the peak is that of an earlier scene: too high, and harmless.
    let _ = std::fs::write(format!("/proc/{process}/clear_refs"), "5");
}

/// From now on the most memory that a process has had is what it has now: not on this system.
#[cfg(not(target_os = "linux"))]
pub const fn forget_peak(_process: u32) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_whatever_a_process_is_called() {
        let cases = [
            ("7 (blender) S 1 7 1 0 -1", Some(7)),
            ("8 (a) S 99 (b)) R 7 12 1 0", Some(12)),
            ("9 (cut off", None),
            ("", None),
        ];
        for (stat, group) in cases {
            assert_eq!(group_of(stat), group, "{stat}");
        }
    }

    #[tokio::test]
    async fn memory_is_seen_of_whole_groups() {
        use std::os::unix::process::CommandExt as _;
        let mut look = SystemLook::new().unwrap();
        assert!(look.available_bytes() > 0);
        // A shell that leads a group, and waits for a child that tells that it is there.
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "exec 3<&0; (echo; read line <&3) & wait"]).process_group(0);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut shell = command.spawn().unwrap();
        std::io::Read::read(shell.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let resident = look.resident_bytes(&[shell.id(), u32::MAX]);
        assert_eq!(look.members.len(), 2, "{:?}", look.members);
        assert!(resident[0] > 0 && resident[1] == 0, "{resident:?}");
        shell.kill().unwrap();
        shell.wait().unwrap();
    }
}
