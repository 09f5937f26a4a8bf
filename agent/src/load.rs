//! What others do on this machine: the processors in use, without those that the agent and its Blenders use. A Blender that ends
//! between two looks counts for others with what it used since the last one.

use std::collections::BTreeMap;
use std::time::Duration;

use sysinfo::{CpuRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};
use tokio::time::Instant;

/// Where the load of others is seen: the system, or a simulation.
pub trait Load: Send + 'static {
    /// The processors that others have used since the last look, in the mean. The agent's own processes are its own, and those in
    /// the groups of `leaders`.
    fn foreign_cores(&mut self, leaders: &[u32]) -> f32;
}

/// The system's.
pub struct SystemLoad {
    system: System,
    /// What the agent's processes had used at the last look, in milliseconds.
    used_ms: BTreeMap<Pid, u64>,
    looked: Instant,
    /// When all processes were looked through for the agent's own.
    sought: Instant,
}

/// How often that is done while Blenders are there; in between it is those that are known, and those that lead a session.
const EVERYBODY_EVERY: Duration = Duration::from_secs(10);

impl SystemLoad {
    /// Looks for the first time.
    pub fn new() -> Result<Self, sysinfo::Error> {
        let what = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing().with_usage());
        let now = Instant::now();
        let system = System::new_with_specifics(what)?;
        let mut load = Self { system, used_ms: BTreeMap::new(), looked: now, sought: now };
        load.own_ms(&[]);
        Ok(load)
    }

    /// What the agent's processes have used since the last look.
    fn own_ms(&mut self, leaders: &[u32]) -> u64 {
        let what = ProcessRefreshKind::nothing().with_cpu().without_tasks();
        let leaders: Vec<_> = leaders.iter().copied().map(Pid::from_u32).collect();
        // Whose a new one is, only those between it and the agent tell, of whom its warden is one.
        let is_new = leaders.iter().any(|leader| !self.used_ms.contains_key(leader));
        if leaders.is_empty() || !is_new && self.sought.elapsed() < EVERYBODY_EVERY {
            let own = Pid::from_u32(std::process::id());
            let known: Vec<_> = self.used_ms.keys().copied().chain(leaders).chain([own]).collect();
            self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&known), true, what);
        } else {
            self.sought = Instant::now();
            self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        }
        let used_ms: BTreeMap<_, _> =
            self.own().map(|process| (process.pid(), process.accumulated_cpu_time())).collect();
        let before = std::mem::replace(&mut self.used_ms, used_ms);
        let since = |(pid, used_ms): (&Pid, &u64)| used_ms.saturating_sub(before.get(pid).copied().unwrap_or(0));
        self.used_ms.iter().map(since).sum()
    }

    /// This process, and what it has started, and what that has.
    fn own(&self) -> impl Iterator<Item = &sysinfo::Process> {
        let own = Pid::from_u32(std::process::id());
        let above = |process: &sysinfo::Process| process.parent().and_then(|parent| self.system.process(parent));
        let is_own = move |process: &sysinfo::Process| {
            std::iter::successors(Some(process), |process| above(process)).any(|process| process.pid() == own)
        };
        self.system.processes().values().filter(move |process| is_own(process))
    }
}

impl Load for SystemLoad {
    fn foreign_cores(&mut self, leaders: &[u32]) -> f32 {
        self.system.refresh_cpu_usage();
        let elapsed = std::mem::replace(&mut self.looked, Instant::now()).elapsed();
        let own_ms = self.own_ms(leaders);
        #[expect(clippy::cast_precision_loss, reason = "processors and a few seconds are few")]
        let (cores, own_ms) = (self.system.cpus().len() as f32, own_ms as f32);
        let all = self.system.global_cpu_usage() / 100.0 * cores;
        (all - own_ms / 1000.0 / elapsed.as_secs_f32().max(0.001)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_new_session_uses_is_its_own_at_once() {
        use std::io::BufRead as _;
        let mut load = SystemLoad::new().unwrap();
        // As a Blender below its warden is.
        let mut warden = std::process::Command::new("sh");
        let warden =
            warden.args(["-c", "sh -c 'while :; do :; done' & echo $!; wait"]).stdout(std::process::Stdio::piped());
        let mut warden = warden.spawn().unwrap();
        let mut said = String::new();
        std::io::BufReader::new(warden.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let leader = Pid::from_u32(said.trim().parse().unwrap());
        load.own_ms(&[leader.as_u32()]);
        let is_own = load.used_ms.contains_key(&leader);
        load.system.process(leader).unwrap().kill();
        warden.wait().unwrap();
        assert!(is_own, "{:?}", load.used_ms);
    }

    #[test]
    fn what_this_process_and_its_children_use_is_its_own() {
        let mut load = SystemLoad::new().unwrap();
        let mut child = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let used_ms = |load: &SystemLoad, pid: u32| load.used_ms.get(&Pid::from_u32(pid)).copied();
        let started = Instant::now();
        let mut own_ms = 0;
        while used_ms(&load, child.id()).unwrap_or(0) == 0 {
            assert!(started.elapsed() < Duration::from_mins(1), "a child that is busy uses no processor");
            own_ms += load.own_ms(&[child.id()]);
        }
        assert!(own_ms > 0);
        assert!(used_ms(&load, std::process::id()).is_some() && used_ms(&load, 1).is_none());
        assert!(load.foreign_cores(&[child.id()]) >= 0.0);
        load.own_ms(&[]);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
