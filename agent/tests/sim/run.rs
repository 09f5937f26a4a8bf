//! One run: the plan is carried out, then all is calm and everything has to end well.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use haywain_orchestrator::queue::submission::Limits;
use haywain_orchestrator::store::{AgentCommand, JobCommand, NewJob, Sight, Store as _};
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frame_list::FrameList;
use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::JobId;
use haywain_shared::options::RenderOptions;
use haywain_shared::requirements::Requirements;
use haywain_shared::scene::Manifest;
use tokio_util::task::TaskTracker;

use crate::backstage::Backstage;
use crate::entropy::Dice;
use crate::house::House;
use crate::log::Log;
use crate::plan::{Event, Plan};
use crate::script::Script;
use crate::time::Calendar;
use crate::weather::Weather;
use crate::witness::Witness;
use crate::worker::Worker;
use crate::world::World;

/// The files of the scenes, and what they hold.
const SCENES: [(&str, &[u8]); 2] =
    [("scene.blend", b"BLENDER-v300 scripted"), ("another.blend", b"BLENDER-v300 scripted otherwise")];
/// How long Blender may do nothing.
const STALL: Duration = Duration::from_secs(90);

/// A run under way.
pub(crate) struct Run {
    pub(crate) world: Arc<World>,
    pub(crate) script: Arc<Script>,
    pub(crate) workers: Vec<Worker>,
    plan: Plan,
    scenes: [PathBuf; 2],
}

impl Run {
    pub(crate) fn new(seed: u64, root: &Path, backstage: Backstage) -> Self {
        let plan = Plan::of(seed);
        let calendar = Arc::new(Calendar::new());
        let log = Arc::new(Log::new(Arc::clone(&calendar)));
        let witness = Arc::new(Witness::new(Arc::clone(&calendar), Arc::clone(&log)));
        let tasks = TaskTracker::new();
        let house = House::new(&root.join("house"), Arc::clone(&witness), backstage, tasks.clone());
        let weather = Mutex::new(plan.weather.clone());
        let world = Arc::new(World { seed, calendar, log, witness, weather, house, tasks });
        let script = Arc::new(Script::default());
        let worker =
            |(number, slots): (usize, &u32)| Worker::new(Arc::clone(&world), Arc::clone(&script), number, *slots, root);
        let workers = plan.agents.iter().enumerate().map(worker).collect();
        let scenes = SCENES.map(|(name, content)| {
            let path = root.join(name);
            std::fs::write(&path, content).unwrap();
            path
        });
        Self { world, script, workers, plan, scenes }
    }

    /// Carries the plan out, until everything is calm.
    pub(crate) async fn carry_out(&mut self) {
        self.world.house.open(&self.scenes).await;
        for worker in &mut self.workers {
            worker.start();
        }
        while let Some(((at_ms, _), event)) = self.plan.events.pop_first() {
            if at_ms >= self.plan.calm_at_ms || self.world.log.is_broken() {
                break;
            }
            let now_ms = self.world.calendar.now_ms();
            self.world.calendar.pass(at_ms.saturating_sub(now_ms)).await;
            self.happen(event).await;
        }
        self.heal().await;
    }

    async fn heal(&mut self) {
        self.world.log.note("calm");
        *self.world.weather.lock().unwrap() = Weather::calm();
        self.happen(Event::ThawHouse).await;
        self.happen(Event::OpenHouse).await;
        for agent in 0..self.workers.len() {
            self.workers[agent].freeze(false);
            self.happen(Event::ResumeAgent { agent }).await;
        }
        let jobs = self.world.witness.notes().jobs.len();
        for job in 0..jobs {
            self.happen(Event::Resume { job }).await;
        }
        for agent in 0..self.workers.len() {
            if self.workers[agent].is_leaving() {
                self.workers[agent].gone().await;
            }
            self.happen(Event::StartAgent { agent }).await;
        }
    }

    fn later(&mut self, ms: u64, event: Event) {
        let at_ms = self.world.calendar.now_ms() + ms;
        self.plan.add(at_ms, event);
    }

    async fn happen(&mut self, event: Event) {
        let agents = self.workers.len();
        match event {
            Event::Submit { frames, batch_size, pace_ms, doomed } => {
                self.submit(frames, batch_size, pace_ms, doomed).await;
            }
            Event::KillAgent { agent, down_ms } => {
                let agent = agent % agents;
                if self.workers[agent].is_up() {
                    self.world.log.count("agents killed");
                    self.workers[agent].kill().await;
                    self.later(down_ms, Event::StartAgent { agent });
                }
            }
            Event::DismissAgent { agent, at_once, down_ms } => {
                let agent = agent % agents;
                self.world.log.count("agents told to leave");
                self.workers[agent].dismiss(at_once);
                self.later(down_ms, Event::StartAgent { agent });
            }
            Event::StartAgent { agent } => {
                let worker = &mut self.workers[agent];
                if worker.is_leaving() && !worker.has_left() {
                    return self.later(3000, Event::StartAgent { agent });
                }
                if worker.is_leaving() {
                    worker.gone().await;
                }
                if !worker.is_up() {
                    worker.start();
                }
            }
            Event::FreezeAgent { agent, ms } => {
                self.world.log.count("agents frozen");
                self.workers[agent % agents].freeze(true);
                self.later(ms, Event::ThawAgent { agent });
            }
            Event::ThawAgent { agent } => self.workers[agent % agents].freeze(false),
            Event::CutOff { agent, ms } => {
                self.world.log.count("agents cut off");
                self.world.log.note(format_args!("a{} is cut off", agent % agents));
                self.world.weather.lock().unwrap().cut_off.insert(agent % agents);
                self.later(ms, Event::Reconnect { agent });
            }
            Event::Reconnect { agent } => {
                self.world.log.note(format_args!("a{} is connected again", agent % agents));
                self.world.weather.lock().unwrap().cut_off.remove(&(agent % agents));
            }
            other => self.happen_to_the_house(other).await,
        }
    }

    async fn happen_to_the_house(&mut self, event: Event) {
        match event {
            Event::KillHouse { down_ms } => {
                if self.world.house.life().is_some() {
                    self.world.log.count("orchestrators killed");
                    self.world.log.note("the orchestrator is killed");
                    self.world.house.kill();
                    self.later(down_ms, Event::OpenHouse);
                }
            }
            Event::OpenHouse => {
                if self.world.house.life().is_none() {
                    self.world.log.note("the orchestrator starts");
                    self.world.house.open(&self.scenes).await;
                }
            }
            Event::FreezeHouse { ms } => {
                self.world.log.count("orchestrators frozen");
                self.world.log.note("the orchestrator freezes");
                self.world.house.gate.set(false);
                self.later(ms, Event::ThawHouse);
            }
            Event::ThawHouse => {
                self.world.log.note("the orchestrator thaws");
                self.world.house.gate.set(true);
            }
            Event::WallJumps { by_ms } => {
                self.world.log.count("jumps of the wall's clock");
                self.world.log.note(format_args!("the wall's clock jumps by {by_ms} ms"));
                self.world.house.wall_offset_ms.fetch_add(by_ms, Ordering::SeqCst);
            }
            other => self.order(other).await,
        }
    }

    /// What people want of jobs and agents. While the orchestrator is away they are told so, and give it up.
    async fn order(&mut self, event: Event) {
        let Some(life) = self.world.house.life() else { return };
        let jobs: Vec<_> = self.world.witness.notes().jobs.clone();
        let (job, command) = match event {
            Event::Cancel { job } => (job, JobCommand::Cancel),
            Event::Pause { job, ms } => {
                self.later(ms, Event::Resume { job });
                (job, JobCommand::Pause)
            }
            Event::Resume { job } => (job, JobCommand::Resume),
            Event::Rerender { job, from, frames } => {
                let number = |number: u64| FrameNumber::try_from(i64::try_from(number).unwrap()).unwrap();
                let range = FrameRange::new(number(from), number(from + frames)).unwrap();
                (job, JobCommand::Rerender(vec![range]))
            }
            Event::RetryFailed { job } => (job, JobCommand::RetryFailed),
            Event::SetPriority { job, priority } => (job, JobCommand::SetPriority(priority)),
            Event::Drain { agent, ms } => {
                self.later(ms, Event::ResumeAgent { agent });
                return self.order_agent(agent, AgentCommand::Drain).await;
            }
            Event::SetAside { agent, ms } => {
                self.later(ms, Event::ResumeAgent { agent });
                return self.order_agent(agent, AgentCommand::SetAside).await;
            }
            Event::ResumeAgent { agent } => return self.order_agent(agent, AgentCommand::Resume).await,
            other => unreachable!("{other:?}"),
        };
        if let Some((id, _)) = jobs.get(job % jobs.len().max(1)) {
            self.world.log.count("orders to jobs");
            let _ = life.store.control_job(*id, command).await;
        }
    }

    async fn order_agent(&self, agent: usize, command: AgentCommand) {
        let agent = agent % self.workers.len();
        let (Some(life), Some(id)) = (self.world.house.life(), self.workers[agent].id) else { return };
        let done = life.store.control_agent(id, command).await;
        self.world.log.note(format_args!("a{agent} {command:?}: {}", if done.is_ok() { "done" } else { "refused" }));
    }

    async fn submit(&mut self, frames: u64, batch_size: u32, pace_ms: u64, doomed: u64) {
        let Some(life) = self.world.house.life() else {
            return self.later(2000, Event::Submit { frames, batch_size, pace_ms, doomed });
        };
        let number = |number: u64| FrameNumber::try_from(i64::try_from(number).unwrap()).unwrap();
        let id = JobId::generate();
        self.script.pace(id, pace_ms);
        let mut dice = Dice::of(&[self.world.seed, frames, pace_ms]);
        for _ in 0..doomed {
            let frame = number(dice.between(1, frames));
            self.script.doom((id, frame));
        }
        let name = self.world.log.name('J', id);
        self.world.log.note(format_args!("{name}: {pace_ms} ms a frame, {doomed} doomed"));
        let (path, content) = *dice.one_of(&SCENES);
        let digest = Sha256Digest::of(content);
        let scene = Manifest::of_one_file(path.parse().unwrap(), content.len() as u64, digest).id();
        let job = NewJob {
            owner: None,
            sight: Sight::All,
            id,
            name: None,
            scene,
            frames: FrameList::of_range(FrameRange::new(number(1), number(frames)).unwrap()),
            options: RenderOptions::default(),
            requirements: Requirements::default(),
            batch_size,
            priority: 0,
            limits: Limits { stall_timeout: Some(STALL), ..Limits::default() },
            idempotency: None,
        };
        life.store.submit(job).await.unwrap();
    }
}
