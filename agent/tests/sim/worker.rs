//! An agent: the real parts, put together as its program does, killed, frozen, sent home, and started again on what is left
//! in its folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::{Arc, Mutex};

use haywain_agent::agent::{Ended, Parts};
use haywain_agent::governor::{self, Courtesy, Governor, WantedSlots};
use haywain_agent::identity;
use haywain_agent::leaving::{Bounds, Leaving};
use haywain_agent::link::Introduction;
use haywain_agent::load::Load;
use haywain_agent::marks::Marks;
use haywain_agent::memory::Memory;
use haywain_agent::memory::learnt::Learnt;
use haywain_agent::memory::limits::Limits;
use haywain_agent::memory::look::Look;
use haywain_agent::status::Board;
use haywain_shared::client::AgentClient;
use haywain_shared::ids::AgentId;
use haywain_shared::protocol::{Abilities, BlenderBuild, BlenderKind, MachineFacts, MachineSample};
use haywain_shared::retry::Patience;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::blender::SimStudio;
use crate::entropy::Dice;
use crate::gate::Gate;
use crate::line::Line;
use crate::script::Script;
use crate::world::World;

/// An agent through all its lives.
pub(crate) struct Worker {
    world: Arc<World>,
    script: Arc<Script>,
    number: usize,
    slots: u32,
    folder: PathBuf,
    life: Option<Life>,
    /// Who it is, once it has been started.
    pub(crate) id: Option<AgentId>,
}

/// Somebody who uses the machine now and then, until all is calm.
struct Neighbour {
    world: Arc<World>,
    /// So that not all neighbours come at the same time.
    late_ms: u64,
    is_there: bool,
}

/// How often the neighbour comes, and for how long.
const VISITS_MS: u64 = 130_000;
const VISIT_MS: u64 = 30_000;

impl Load for Neighbour {
    fn foreign_cores(&mut self, _leaders: &[u32]) -> f32 {
        let now_ms = self.world.calendar.now_ms() + self.late_ms;
        let is_there = !self.world.is_calm() && now_ms % VISITS_MS < VISIT_MS;
        if is_there && !self.is_there {
            self.world.log.count("neighbours who came");
        }
        self.is_there = is_there;
        if is_there { 2.0 } else { 0.0 }
    }
}

/// A machine whose memory nobody counts.
struct Plenty;

impl Look for Plenty {
    fn available_bytes(&mut self) -> u64 {
        16 << 30
    }

    fn resident_bytes(&mut self, leaders: &[u32]) -> Vec<u64> {
        vec![0; leaders.len()]
    }
}

struct Life {
    running: JoinHandle<anyhow::Result<Ended>>,
    death: CancellationToken,
    gate: Gate,
    leaving: Leaving,
}

impl Worker {
    pub(crate) fn new(world: Arc<World>, script: Arc<Script>, number: usize, slots: u32, root: &Path) -> Self {
        let folder = root.join(format!("agent-{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        Self { world, script, number, slots, folder, life: None, id: None }
    }

    /// Starts it, in its next life.
    pub(crate) fn start(&mut self) {
        let identity = identity::next_life(&self.folder, &Marks::default()).unwrap();
        self.id = Some(identity.agent_id);
        let name = self.world.log.name('A', identity.agent_id);
        self.world.log.note(format_args!("{name} starts, life {}", identity.incarnation.0));
        let (gate, death) = (Gate::open(), CancellationToken::new());
        let salt = 1000 * (self.number as u64 + 1) + u64::from(identity.incarnation.0);
        let dice = Dice::of(&[self.world.seed, salt]);
        let line = Line {
            world: Arc::clone(&self.world),
            agent: self.number,
            gate: gate.clone(),
            death: death.clone(),
            dice: Mutex::new(dice),
            flipped: AtomicU32::new(0),
        };
        let studio = SimStudio {
            world: Arc::clone(&self.world),
            script: Arc::clone(&self.script),
            who: name.clone(),
            gate: gate.clone(),
            started: AtomicU64::new(0),
            salt: salt + 500,
        };
        let leaving = Leaving::new(Bounds::default());
        let machine = MachineFacts {
            os: "none".to_owned(),
            arch: "none".to_owned(),
            logical_cores: 8,
            memory_bytes: 16 << 30,
            gpus: Vec::new(),
        };
        let blenders = vec![BlenderBuild { version: "3.4.1".to_owned(), kind: BlenderKind::Program }.into()];
        // Every other agent finds out by itself how many slots it is to have, and has none while its neighbour is there.
        let is_steady = self.number.is_multiple_of(2);
        let slots = is_steady.then_some(WantedSlots { slots: self.slots, threads: None });
        let late_ms = 17_000 * self.number as u64;
        let neighbour = Neighbour { world: Arc::clone(&self.world), late_ms, is_there: false };
        let memory = Limits { max_bytes: None, reserve_bytes: 0, machine_bytes: u64::MAX };
        let parts = Parts {
            client: AgentClient::with_patience(Arc::new(line), Patience { spread: 0.0, ..Patience::ORCHESTRATOR }),
            introduction: Introduction { identity, name, machine, blenders, abilities: Abilities::default() },
            studio: Arc::new(studio),
            clock: Arc::clone(&self.world.calendar) as Arc<_>,
            governor: Governor::new(governor::Limits::new(slots, 0, 2, 2, None, memory).unwrap()),
            courtesy: Courtesy::new((!is_steady).then_some(0.5)),
            load: Box::new(neighbour),
            max_outbox_bytes: 1000,
            max_cache_bytes: 1000,
            leaving: leaving.clone(),
            board: Board::new(Arc::clone(&self.world.calendar) as Arc<_>, jiff::Timestamp::UNIX_EPOCH),
            memory: Memory::new(memory, Plenty, Learnt::default()),
            tasks: TaskTracker::new(),
        };
        let folder = self.folder.clone();
        let sample = || MachineSample { cores_busy: 1.0, memory_available_bytes: 16 << 30 };
        let running = self.world.tasks.spawn(async move { parts.run(&folder, sample).await });
        self.life = Some(Life { running, death, gate, leaving });
    }

    pub(crate) fn is_up(&self) -> bool {
        self.life.is_some()
    }

    /// Whether it has been told to leave.
    pub(crate) fn is_leaving(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.leaving.draining().is_cancelled())
    }

    /// Whether it has left.
    pub(crate) fn has_left(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.running.is_finished())
    }

    /// Kills it: everything in its memory is gone.
    pub(crate) async fn kill(&mut self) {
        if let Some(Life { running, death, .. }) = self.life.take() {
            self.world.log.note(format_args!("a{} is killed", self.number));
            death.cancel();
            running.abort();
            if let Ok(ended) = running.await {
                self.check_end(&ended);
            }
            self.count_parcels();
        }
    }

    /// Shuts or opens the gate that everything of it stands behind.
    pub(crate) fn freeze(&self, frozen: bool) {
        if let Some(life) = &self.life {
            self.world.log.note(format_args!("a{} {}", self.number, if frozen { "freezes" } else { "thaws" }));
            life.gate.set(!frozen);
        }
    }

    /// Sends it home: it is to finish what it has in work, or to stop at once.
    pub(crate) fn dismiss(&self, at_once: bool) {
        if let Some(life) = &self.life {
            self.world.log.note(format_args!("a{} is to {}", self.number, if at_once { "stop" } else { "drain" }));
            if at_once { life.leaving.stop() } else { life.leaving.drain() }
        }
    }

    /// Waits for it to have gone home.
    pub(crate) async fn gone(&mut self) {
        if let Some(Life { running, death, .. }) = self.life.take() {
            let ended = running.await.unwrap();
            death.cancel();
            self.world.log.note(format_args!("a{} has left", self.number));
            self.check_end(&ended);
            self.count_parcels();
        }
    }

    /// An agent that has ended by itself has done so for a reason that this run gave it none for.
    pub(crate) fn must_be_running(&self) {
        if self.life.as_ref().is_some_and(|life| life.running.is_finished() && !life.leaving.draining().is_cancelled())
        {
            self.world.log.broken(format_args!("a{} has ended by itself", self.number));
        }
    }

    fn check_end(&self, ended: &anyhow::Result<Ended>) {
        match ended {
            Ok(Ended::InOrder | Ended::AtOnce) => {}
            other => self.world.log.broken(format_args!("a{} has ended with {other:?}", self.number)),
        }
    }

    /// What lies in its outbox while nobody works there is to be delivered one day. Says how much that is.
    pub(crate) fn count_parcels(&self) -> usize {
        let Ok(folder) = std::fs::read_dir(self.folder.join("outbox")) else { return 0 };
        let mut parcels = 0;
        for entry in folder {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let (lease, frame) = name.split_once('_').unwrap();
            let frame: i64 = frame.parse().unwrap();
            self.world.witness.owed(lease.parse().unwrap(), frame.try_into().unwrap());
            parcels += 1;
        }
        parcels
    }
}
