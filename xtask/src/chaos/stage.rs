//! The farm of a run, and the hand that does to it what the schedule says: `faults` are what it does, `care` is what it sees to
//! meanwhile.

mod care;
mod disks;
mod faults;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use self::disks::Disks;
use super::cast::Player;
use super::line::Line;
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
/// How long a process may take to leave once it was asked to: a frame in work, and its farewell.
const LEAVING: Duration = Duration::from_secs(30);
/// How long everything may take to be rendered once all faults are over. A frame may wait a minute for another agent, and an
/// agent half a minute after its disk was full.
const HEALING: Duration = Duration::from_mins(5);

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

impl Drop for Stage {
    fn drop(&mut self) {
        // All agents end at the same time; each is then waited for as it is dropped.
        for agent in &mut self.agents {
            agent.signal("CONT");
            agent.signal("TERM");
        }
    }
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
        let disks = if kinds.iter().any(|kind| kind.needs_a_disk()) { Some(Disks::mount(&folder)?) } else { None };
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
