//! The farm of a run, and the hand that does to it what the schedule says.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::cast::{self, Player};
use super::disk::Disk;
use super::line::{Line, Spoil};
use super::moment::Moment;
use super::pictures::{Lengths, Pictures, Scene};
use super::queue::Queue;
use super::schedule::{AGENT_ON_THE_LINE, AGENTS, Fault, Kind};
use crate::farm::{self, Start};
use crate::interrupt;
use crate::workspace::FarmPrograms;

/// The agents' names, and how many slots each has.
const CAST: [(&str, u32); AGENTS] = [("one", 2), ("two", 1), ("three", 1)];
/// How often everybody is looked after.
const GLANCE: Duration = Duration::from_millis(50);
/// How often the client looks at its jobs.
const FEEDING: Duration = Duration::from_millis(700);
/// How often a disk that is to be full is filled up.
const TOPPING_UP: Duration = Duration::from_millis(500);
/// How long the Blender of a killed agent may live on.
const ORPHAN: Duration = Duration::from_secs(10);
/// How long a process may take to leave once it was asked to: a frame in work, and its farewell.
const LEAVING: Duration = Duration::from_secs(30);
/// How long everything may take to be rendered once all faults are over. A frame may wait a minute for another agent, and an
/// agent half a minute after its disk was full.
const HEALING: Duration = Duration::from_mins(5);
/// Megabytes of the orchestrator's disk, and of an agent's.
const DISK_MB: (u32, u32) = (768, 64);
/// Frames of a job that is to be cancelled: enough for every slot.
const SLOW_FRAMES: u64 = 4;
/// How long it may take until such a job is in work, and until it is not any more.
const CANCEL: (Duration, Duration) = (Duration::from_secs(14), Duration::from_secs(15));

/// A fault that came.
#[derive(Debug, Clone)]
pub(super) struct Injection {
    /// What.
    pub(super) kind: Kind,
    /// To which agent, if it is to one.
    pub(super) agent: usize,
    /// When it began.
    pub(super) begin: Moment,
    /// When it was over.
    pub(super) end: Moment,
    /// How often it has happened: 0 if there was nothing for it to happen to.
    pub(super) times: u64,
    /// What was measured, in seconds.
    pub(super) took: Option<f64>,
}

/// The farm.
pub(super) struct Stage {
    // Fields are dropped from the first to the last: disks must be free by then.
    /// The agents.
    pub(super) agents: Vec<Player>,
    /// The orchestrator.
    pub(super) orchestrator: Player,
    line: Line,
    disks: Option<Disks>,
    folder: PathBuf,
    address: SocketAddr,
    /// The client.
    pub(super) queue: Queue,
    /// What has come.
    pub(super) injections: Vec<Injection>,
    /// What has gone wrong meanwhile.
    pub(super) problems: Vec<String>,
    orchestrator_is_hit: bool,
    full: Vec<Option<usize>>,
    orphans: Vec<(u64, Instant)>,
    /// Faults of the line, and how often each is to happen.
    ordered: Vec<(usize, u64)>,
    fed: Instant,
    topped_up: Instant,
}

struct Disks {
    orchestrator: Disk,
    agents: Vec<Disk>,
}

impl Disks {
    /// The disk of an agent, or of the orchestrator.
    fn of(&self, agent: Option<usize>) -> &Disk {
        agent.map_or(&self.orchestrator, |agent| &self.agents[agent])
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // All agents end at the same time; each is then waited for as it is dropped.
        for agent in &mut self.agents {
            agent.signal("CONT");
            agent.signal("TERM");
        }
    }
}

/// Mounts a disk for everybody, or says why not.
fn mount_disks(folder: &Path) -> anyhow::Result<Result<Disks, String>> {
    let orchestrator = match Disk::mount(&folder.join("disk-orchestrator"), DISK_MB.0)? {
        Ok(disk) => disk,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut agents = Vec::new();
    for (name, _) in CAST {
        match Disk::mount(&folder.join(format!("disk-{name}")), DISK_MB.1)? {
            Ok(disk) => agents.push(disk),
            Err(reason) => return Ok(Err(reason)),
        }
    }
    Ok(Ok(Disks { orchestrator, agents }))
}

impl Stage {
    /// Sets everything up in `folder` and waits until the orchestrator serves. The agents are started last.
    pub(super) fn set(
        programs: &FarmPrograms,
        pictures: &Pictures,
        folder: PathBuf,
        seed: u64,
        lengths: &Lengths,
        blender: &Path,
        kinds: &mut Vec<Kind>,
    ) -> anyhow::Result<Self> {
        let address = farm::free_address()?;
        let disks = if kinds.iter().any(|kind| kind.needs_a_disk()) { Some(mount_disks(&folder)?) } else { None };
        let disks = disks.and_then(|disks| {
            disks.map_err(|reason| println!("SKIPPED: full disks (a tmpfs cannot be mounted here: {reason})")).ok()
        });
        kinds.retain(|kind| disks.is_some() || !kind.needs_a_disk());
        let line = Line::open(address)?;
        let now = Instant::now();
        let mut stage = Self {
            agents: Vec::new(),
            orchestrator: Player::new("orchestrator", &programs.orchestrator, &folder),
            line,
            disks,
            address,
            queue: Queue::new(&format!("http://{address}"), seed, lengths.clone()),
            folder,
            injections: Vec::new(),
            problems: Vec::new(),
            orchestrator_is_hit: false,
            full: Vec::new(),
            orphans: Vec::new(),
            ordered: Vec::new(),
            fed: now,
            topped_up: now,
        };
        stage.teach(pictures, kinds)?;
        for (name, slots) in CAST {
            stage.agents.push(stage.agent(&programs.agent, name, slots, blender));
        }
        stage.agents.iter_mut().try_for_each(|agent| agent.start().map(drop))?;
        Ok(stage)
    }

    /// Gives every scene to the orchestrator: each by a start of its own, as its default one.
    fn teach(&mut self, pictures: &Pictures, kinds: &mut Vec<Kind>) -> anyhow::Result<()> {
        let all = [Scene::Slow, Scene::HalfASecond, Scene::Basic];
        let scenes = if kinds.contains(&Kind::Cancel) { &all[..] } else { &all[1..] };
        for scene in scenes {
            let data_dir = self.folder.join("disk-orchestrator").join("data");
            let file = pictures.scene(*scene);
            self.orchestrator.set_arguments(farm::orchestrator_arguments(self.address, &data_dir, &file));
            self.start_orchestrator()?;
            if let Err(error) = self.queue.learn(*scene) {
                if *scene != Scene::Slow {
                    return Err(error);
                }
                println!("SKIPPED: cancelled jobs ({error})");
                kinds.retain(|kind| *kind != Kind::Cancel);
                self.orchestrator.kill()?;
                std::fs::remove_dir_all(&data_dir).with_context(|| format!("emptying {}", data_dir.display()))?;
                continue;
            }
            if *scene != Scene::Basic {
                self.orchestrator.kill()?;
            }
        }
        Ok(())
    }

    fn agent(&self, program: &Path, name: &str, slots: u32, blender: &Path) -> Player {
        let number = self.agents.len();
        let address = if number == AGENT_ON_THE_LINE { self.line.address() } else { self.address };
        let mut agent = Player::new(name, program, &self.folder);
        let arguments: [OsString; 10] = [
            "--orchestrator".into(),
            format!("http://{address}").into(),
            "--name".into(),
            name.into(),
            "--data-dir".into(),
            self.folder.join(format!("disk-{name}")).join("data").into(),
            "--slots".into(),
            slots.to_string().into(),
            "--blender".into(),
            blender.into(),
        ];
        agent.set_arguments(arguments);
        agent
    }

    fn start_orchestrator(&mut self) -> anyhow::Result<()> {
        let service = self.orchestrator.start()?;
        match farm::await_ready(service, self.address)? {
            Start::Ready => Ok(()),
            Start::PortTaken => bail!("another program has taken the port {}", self.address.port()),
        }
    }

    /// Does what the schedule says.
    pub(super) fn play(&mut self, faults: &[Fault]) -> anyhow::Result<()> {
        let start = Instant::now();
        let begins = faults.iter().map(|fault| (fault.at, fault, false));
        let ends = faults.iter().map(|fault| (fault.ends(), fault, true));
        let mut agenda: Vec<_> = begins.chain(ends).collect();
        // What ends goes before what begins; what lasts for no time begins before it ends.
        agenda.sort_by_key(|(at, fault, is_end)| (*at, if *is_end { fault.lasts.is_zero() } else { true }, *is_end));
        let mut open: Vec<(&Fault, usize)> = Vec::new();
        for (at, fault, is_end) in agenda {
            while start.elapsed() < at {
                self.look_after()?;
                interrupt::pause(GLANCE.min(at.saturating_sub(start.elapsed())))?;
            }
            if is_end {
                let Some(place) = open.iter().position(|(begun, _)| std::ptr::eq(*begun, fault)) else { continue };
                let (_, number) = open.swap_remove(place);
                self.end(fault)?;
                let spoilt = self.ordered.iter().any(|(ordered, _)| *ordered == number);
                if !spoilt {
                    self.injections[number].end = Moment::now();
                }
            } else {
                let now = Moment::now();
                let whom = if fault.kind.hits_the_orchestrator() { "" } else { CAST[fault.agent].0 };
                println!("    {now}  {} {whom}", fault.kind.name());
                self.injections.push(Injection {
                    kind: fault.kind,
                    agent: fault.agent,
                    begin: now,
                    end: now,
                    times: 1,
                    took: None,
                });
                let number = self.injections.len() - 1;
                open.push((fault, number));
                self.begin(fault, number)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, fault: &Fault, number: usize) -> anyhow::Result<()> {
        match fault.kind {
            Kind::KillBlender => {
                // Its agent may have been killed a moment ago: then it is another's.
                self.injections[number].times = 0;
                for agent in (0..AGENTS).map(|after| (fault.agent + after) % AGENTS) {
                    if let Some(blender) = self.agents[agent].blenders()?.last() {
                        cast::kill(*blender);
                        (self.injections[number].agent, self.injections[number].times) = (agent, 1);
                        break;
                    }
                }
            }
            Kind::KillAgent | Kind::LoseAgent => {
                let blenders = self.agents[fault.agent].blenders()?;
                self.agents[fault.agent].kill()?;
                self.orphans.extend(blenders.into_iter().map(|blender| (blender, Instant::now())));
            }
            Kind::DrainAgent => self.agents[fault.agent].signal("TERM"),
            Kind::FreezeAgent => self.agents[fault.agent].signal("STOP"),
            Kind::FillAgent => self.fill(Some(fault.agent))?,
            Kind::KillOrchestrator => {
                self.orchestrator_is_hit = true;
                self.orchestrator.kill()?;
            }
            Kind::FreezeOrchestrator => {
                self.orchestrator_is_hit = true;
                self.orchestrator.signal("STOP");
            }
            Kind::FillOrchestrator => {
                self.orchestrator_is_hit = true;
                self.fill(None)?;
            }
            Kind::CorruptUpload => self.spoil(number, Spoil::Corrupt, fault.size),
            Kind::CutUpload => self.spoil(number, Spoil::Cut(fault.size), 1),
            Kind::LoseAnswer => self.spoil(number, Spoil::LoseAnswer, 1),
            Kind::LoseGrant => self.spoil(number, Spoil::LoseGrant, 1),
            Kind::Refuse => self.line.refuse(),
            Kind::Hold => self.line.hold(),
            Kind::Cancel => self.cancel(number)?,
        }
        Ok(())
    }

    fn end(&mut self, fault: &Fault) -> anyhow::Result<()> {
        match fault.kind {
            Kind::KillAgent | Kind::LoseAgent => drop(self.agents[fault.agent].start()?),
            Kind::DrainAgent => {
                self.must_leave(fault.agent)?;
                self.agents[fault.agent].start()?;
            }
            Kind::FreezeAgent => self.agents[fault.agent].signal("CONT"),
            Kind::FillAgent => self.free(Some(fault.agent))?,
            Kind::KillOrchestrator => {
                self.start_orchestrator()?;
                self.orchestrator_is_hit = false;
            }
            Kind::FreezeOrchestrator => {
                self.orchestrator.signal("CONT");
                self.orchestrator_is_hit = false;
            }
            Kind::FillOrchestrator => {
                self.free(None)?;
                self.orchestrator_is_hit = false;
            }
            // They have no end of their own, or stay ordered until they happen.
            Kind::KillBlender
            | Kind::Cancel
            | Kind::CorruptUpload
            | Kind::CutUpload
            | Kind::LoseAnswer
            | Kind::LoseGrant => {}
            Kind::Refuse | Kind::Hold => self.line.heal(),
        }
        Ok(())
    }

    /// Spoils what passes next on the line, so many times.
    fn spoil(&mut self, number: usize, spoil: Spoil, times: u64) {
        (0..times).for_each(|_| self.line.spoil(spoil));
        self.injections[number].times = 0;
        self.ordered.push((number, times));
    }

    /// Sees what has been spoilt of what was ordered: what was ordered first has happened first.
    fn see_what_was_spoilt(&mut self) {
        let mut seen: BTreeMap<Kind, u64> = BTreeMap::new();
        for (number, ordered) in &self.ordered {
            let injection = &mut self.injections[*number];
            let before = seen.entry(injection.kind).or_default();
            let times = self.line.spoilt(injection.kind).saturating_sub(*before).min(*ordered);
            *before += ordered;
            if times != injection.times {
                (injection.times, injection.end) = (times, Moment::now());
            }
        }
    }

    fn fill(&mut self, whose: Option<usize>) -> anyhow::Result<()> {
        self.full.push(whose);
        self.disks.as_ref().map_or(Ok(()), |disks| disks.of(whose).fill()).context("filling a disk")
    }

    fn free(&mut self, whose: Option<usize>) -> anyhow::Result<()> {
        self.full.retain(|full| *full != whose);
        self.disks.as_ref().map_or(Ok(()), |disks| disks.of(whose).free()).context("freeing a disk")
    }

    fn must_leave(&mut self, agent: usize) -> anyhow::Result<()> {
        let player = &mut self.agents[agent];
        match player.await_end(LEAVING)? {
            Some(status) if status.success() => {}
            Some(status) => self.problems.push(format!("{} was asked to leave and ended with {status}", player.name)),
            None => {
                self.problems.push(format!(
                    "{} was asked to leave and did not for {} s",
                    player.name,
                    LEAVING.as_secs()
                ));
                player.kill()?;
            }
        }
        Ok(())
    }

    /// Cancels a job that keeps every slot busy, and measures until no Blender of theirs is left.
    fn cancel(&mut self, number: usize) -> anyhow::Result<()> {
        self.injections[number].times = 0;
        if !self.queue.knows(Scene::Slow) {
            return Ok(());
        }
        let job = self.queue.submit_slow(SLOW_FRAMES)?;
        let working = |report: &serde_json::Value| {
            let batches = report["batches"].as_array().into_iter().flatten();
            let named = batches.filter(|batch| !batch["frameInWork"].is_null());
            named.filter_map(|batch| batch["agent"].as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let deadline = Instant::now() + CANCEL.0;
        let mut at_work = Vec::new();
        while Instant::now() < deadline && at_work.len() < usize::try_from(SLOW_FRAMES)? {
            interrupt::pause(GLANCE)?;
            at_work = working(&self.queue.client.get_json(&job.path())?);
        }
        let mut blenders = Vec::new();
        for agent in self.agents.iter().filter(|agent| at_work.contains(&agent.name)) {
            // With fewer batches than slots, it is not known which Blender has one.
            let own = agent.blenders()?;
            if own.len() == at_work.iter().filter(|name| **name == agent.name).count() {
                blenders.extend(own);
            }
        }
        let start = Instant::now();
        match self.queue.cancel(&job)? {
            200..=299 => {}
            status => self.problems.push(format!("the cancellation of job {} is answered by {status}", job.id)),
        }
        let orchestrator = &self.orchestrator;
        while blenders.iter().any(|blender| orchestrator.is_ours(*blender)) {
            if start.elapsed() > CANCEL.1 {
                self.problems.push(format!("a Blender still works for the cancelled job {}", job.id));
                return Ok(());
            }
            interrupt::pause(Duration::from_millis(10))?;
        }
        let injection = &mut self.injections[number];
        injection.times = 1;
        injection.took = (!blenders.is_empty()).then(|| start.elapsed().as_secs_f64());
        Ok(())
    }

    /// What is done all the time: nobody ends by themselves, no Blender outlives its agent, there is work, and full disks
    /// stay full.
    fn look_after(&mut self) -> anyhow::Result<()> {
        self.must_live()?;
        self.see_what_was_spoilt();
        let orchestrator = &self.orchestrator;
        self.orphans.retain(|(blender, _)| orchestrator.is_ours(*blender));
        let (late, in_time) = self.orphans.drain(..).partition(|(_, since)| since.elapsed() > ORPHAN);
        self.orphans = in_time;
        let late: Vec<_> = late;
        for (blender, _) in late {
            self.problems.push(format!("Blender {blender} outlives its killed agent by {} s", ORPHAN.as_secs()));
        }
        if self.topped_up.elapsed() > TOPPING_UP {
            self.topped_up = Instant::now();
            if let Some(disks) = &self.disks {
                self.full.iter().try_for_each(|whose| disks.of(*whose).fill()).context("filling a disk")?;
            }
        }
        if !self.orchestrator_is_hit && self.fed.elapsed() > FEEDING {
            self.fed = Instant::now();
            self.queue.feed()?;
        }
        Ok(())
    }

    /// Starts again whoever has ended by themselves, and keeps in mind that they did.
    fn must_live(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.orchestrator.ended()? {
            self.problems.push(format!("{} the orchestrator ended by itself ({status})", Moment::now()));
            self.start_orchestrator()?;
        }
        let draining: Vec<_> = self.draining();
        for (number, agent) in self.agents.iter_mut().enumerate().filter(|(number, _)| !draining.contains(number)) {
            if let Some(status) = agent.ended()? {
                self.problems.push(format!("{} agent {} ended by itself ({status})", Moment::now(), CAST[number].0));
                agent.start()?;
            }
        }
        Ok(())
    }

    /// The agents that have been asked to leave. Whoever was killed is not there to end.
    fn draining(&self) -> Vec<usize> {
        let drained = self.injections.iter().filter(|it| it.kind == Kind::DrainAgent && it.end == it.begin);
        drained.map(|injection| injection.agent).collect()
    }

    /// Waits until every job is completed.
    pub(super) fn await_completion(&mut self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        loop {
            self.must_live()?;
            self.see_what_was_spoilt();
            let look = self.queue.look();
            if matches!(look, Ok((0, _))) {
                return Ok(start.elapsed());
            }
            if start.elapsed() > HEALING {
                let open: Vec<_> = self.queue.open_jobs().iter().map(ToString::to_string).collect();
                self.problems.push(format!(
                    "{} s after the last fault there are open jobs ({look:?}):\n{}",
                    HEALING.as_secs(),
                    open.join("\n")
                ));
                return Ok(start.elapsed());
            }
            interrupt::pause(FEEDING)?;
        }
    }

    /// Lets everybody leave: the agents first.
    pub(super) fn leave(&mut self) -> anyhow::Result<()> {
        self.agents.iter_mut().for_each(|agent| agent.signal("TERM"));
        for agent in 0..self.agents.len() {
            self.must_leave(agent)?;
        }
        self.orchestrator.signal("TERM");
        match self.orchestrator.await_end(LEAVING)? {
            Some(status) if status.success() => {}
            ended => self.problems.push(format!("the orchestrator was asked to stop: {ended:?}")),
        }
        Ok(())
    }
}
