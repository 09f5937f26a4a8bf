//! Puts the agent together from what the system has: its Blenders, its memory, its devices, and who it is. [`Parts`] works then until it is
//! told to leave, by a signal or by its own bounds.

mod parts;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use haywain_shared::client::{AgentClient, Keys};
use haywain_shared::folder::OwnFolder;
use haywain_shared::protocol::{Abilities, Backups};
use haywain_shared::shutdown::Signals;
use haywain_shared::size::Size;
use haywain_shared::token::Token;
use haywain_shared::transport::HttpTransport;
use tokio_util::task::TaskTracker;

use crate::blender::known::Known;
use crate::blender::probe::Laboratory;
use crate::blender::session::Patience;
use crate::blender::studio::BlenderStudio;
use crate::blender::{addons, find, probe};
use crate::cache::SceneCache;
use crate::clock::SystemBootClock;
use crate::config::Settings;
use crate::governor::{self, Courtesy, Governor};
use crate::identity::{self, Identity};
use crate::jail::{Jailer, Sandbox, Strength, leftovers};
use crate::leaving::{Bounds, Leaving};
use crate::link::Introduction;
use crate::load::SystemLoad;
use crate::machine::{self, Machine};
use crate::marks::Marks;
use crate::memory::learnt::Learnt;
use crate::memory::limits::Limits;
use crate::memory::look::SystemLook;
use crate::memory::{LEAST_SESSION_BYTES, Memory};
use crate::slot::equipment;
use crate::status::{Board, Keeper, Watched, Who};

pub use parts::Parts;

/// How long a start waits on a full disk before it looks again.
const UNTIL_ROOM: Duration = Duration::from_secs(5);
/// The folder for frames in work, in the agent's data folder.
const WORK: &str = "work";
/// A megabyte, as disks are sold.
const MEGABYTE: u64 = 1_000_000;

/// How an agent has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// In order: what was in work is finished, everything else given back.
    InOrder,
    /// At once: what was in work is given back.
    AtOnce,
    /// Another process runs as this agent. If this one had begun to work as it, it does so no more, nor after its next start.
    Replaced(String),
}

/// Runs the agent until it leaves: because of `signals`, because of its own bounds, or because another took its place.
pub async fn run(settings: &Settings, data_dir: &Path, mut signals: Signals) -> anyhow::Result<Ended> {
    let folder = OwnFolder::take(data_dir)?;
    let mut known = Known::read(folder.path());
    let Some(mut blenders) = signals.or(find::blenders(&settings.blender, &mut known)).await.transpose()? else {
        return Ok(Ended::InOrder);
    };
    clear_away(folder.path())?;
    let (jailer, strength) = jailer(settings.sandbox)?;
    let tasks = TaskTracker::new();
    let mut machine = Machine::new().context("looking at the machine")?;
    let mut facts = machine.facts();
    let limits = memory_limits(settings, facts.memory_bytes)?;
    let look = SystemLook::new().context("looking at the machine's memory")?;
    let memory = Memory::new(limits, look, Learnt::read(folder.path()));
    facts.memory_bytes = facts.memory_bytes.min(limits.max_bytes.unwrap_or(u64::MAX));
    let enrolment = identity::enrolment(folder.path(), settings.token_file.as_deref())?;
    let laboratory = Laboratory {
        jailer: &jailer,
        strength,
        data_dir: folder.path(),
        workplace: &folder.path().join(WORK),
        gpus: &facts.gpus,
        tasks: &tasks,
    };
    if signals.or(probe::find_out(&mut blenders, &mut known, laboratory)).await.is_none() {
        return Ok(Ended::InOrder);
    }
    let blender_facts: Vec<_> = blenders.iter().map(|blender| blender.facts.clone()).collect();
    let gpus = equipment::gpus(&blender_facts);
    let (processors, cores) = (machine.processors(), facts.logical_cores);
    let bounds = governor::Limits::new(settings.slots, gpus, processors, cores, settings.max_cpu, limits)?;
    let governor = Governor::new(bounds);
    let courtesy = Courtesy::new(settings.when_idle.map(|load| load.of(processors)));
    let Some((identity, own)) = identity_once_there_is_room(folder.path(), &mut signals).await? else {
        return Ok(Ended::InOrder);
    };
    let name = settings.name.clone().unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned());
    let found: Vec<_> = blenders.iter().map(ToString::to_string).collect();
    tracing::info!(
        agent = %identity.agent_id, name, orchestrator = %settings.orchestrator, blenders = ?found,
        setting = %governor.setting(), max_memory_bytes = limits.max_bytes,
        reserve_memory_bytes = limits.reserve_bytes, data_dir = %folder.path().display(), "agent ready"
    );
    let clock = Arc::new(SystemBootClock::start());
    let began = clock.began();
    let board = Board::new(clock.clone(), began);
    let who = Who {
        agent_id: identity.agent_id,
        name: name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        orchestrator: settings.orchestrator.to_string(),
        blenders: found,
        sandbox: strength.word().to_owned(),
        process: std::process::id(),
        started: machine::started(std::process::id()).unwrap_or(began),
    };
    let keeper = Keeper::start(board.clone(), who, folder.path(), settings.metrics).await?;
    let bounds = Bounds {
        idle: settings.exit_when_idle.map(|span| span.0),
        jobs: settings.max_jobs,
        drain: settings.drain_limit.map(|span| span.0),
    };
    let transport = HttpTransport::new(&settings.orchestrator, settings.ca.as_deref())?;
    let parts = Parts {
        client: AgentClient::new(Arc::new(Watched::new(transport, board.clone()))).with_keys(Keys { own, enrolment }),
        introduction: Introduction {
            identity,
            name,
            machine: facts,
            abilities: abilities(settings)?,
            blenders: blender_facts,
        },
        studio: Arc::new(BlenderStudio {
            blenders,
            addons: settings.addons.clone(),
            jailer,
            scenes: SceneCache::scenes_in(folder.path()),
            data_dir: folder.path().to_owned(),
            patience: Patience::default(),
            tasks: tasks.clone(),
        }),
        clock,
        governor,
        courtesy,
        load: Box::new(SystemLoad::new().context("looking at the machine's load")?),
        max_outbox_bytes: settings.max_outbox_mb * MEGABYTE,
        max_cache_bytes: settings.cache_size.map_or_else(|| machine::cache_bytes(folder.path()), |size| size.bytes),
        leaving: Leaving::new(bounds),
        board,
        memory,
        tasks,
    };
    let ended = work_until_told(parts, folder.path(), machine, signals).await;
    keeper.end().await;
    let ended = ended?;
    if matches!(ended, Ended::Replaced(_)) {
        identity::disown(folder.path(), identity).context("the agent's identity, in its data folder")?;
    }
    Ok(ended)
}

/// Works until the agent leaves by itself, or `signals` ask it to: politely at first.
async fn work_until_told(
    parts: Parts,
    folder: &Path,
    mut machine: Machine,
    mut signals: Signals,
) -> anyhow::Result<Ended> {
    let leaving = parts.leaving.clone();
    let working = parts.run(folder, move || machine.sample());
    tokio::pin!(working);
    loop {
        tokio::select! {
            ended = &mut working => return ended,
            () = signals.next() => {
                if leaving.draining().is_cancelled() {
                    tracing::info!("stopping at once");
                    leaving.stop();
                } else {
                    tracing::info!("leaving: frames in work are finished first; ask again to stop at once");
                    leaving.drain();
                }
            }
        }
    }
}

/// What Blenders are put into here, and how strong that is, which it says.
fn jailer(sandbox: Sandbox) -> anyhow::Result<(Jailer, Strength)> {
    let program = std::env::current_exe().context("this program's own file")?;
    let jailer = Jailer::new(program, sandbox);
    let strength = jailer.strength().context("trying the sandbox")?;
    match (sandbox, strength) {
        (Sandbox::Require, Strength::None | Strength::Partial) => anyhow::bail!(
            "this system can build only a {} sandbox (Linux 6.12 or newer has all of it), and --sandbox require wants a full \
             one: use --sandbox auto to take what there is",
            strength.word()
        ),
        (_, Strength::Full) => tracing::info!(sandbox = strength.word(), "Blender runs in a sandbox"),
        (_, Strength::None | Strength::Partial) => {
            tracing::warn!(sandbox = strength.word(), "Blender can do here what this agent's user can");
        }
    }
    Ok((jailer, strength))
}

/// Ends what an earlier life has left, and removes what it had in work: that is of no use, and the disk may be full.
fn clear_away(folder: &Path) -> anyhow::Result<()> {
    let left = leftovers::end_all_of(folder).context("looking for what an earlier life has left")?;
    if left > 0 {
        tracing::warn!(processes = left, "an earlier life of this agent has left processes: ended");
    }
    empty(&folder.join(WORK)).context("the folder for frames in work")
}

/// The memory that Blenders may have here.
fn memory_limits(settings: &Settings, machine_bytes: u64) -> anyhow::Result<Limits> {
    if settings.max_memory.is_none() {
        machine::warn_of_unseen_bounds();
    }
    let bytes = |size: Option<Size>| size.map(|size| size.bytes);
    let limits = Limits::on_machine(machine_bytes, bytes(settings.max_memory), bytes(settings.reserve_memory));
    let most_bytes = limits.most_bytes();
    anyhow::ensure!(
        most_bytes >= LEAST_SESSION_BYTES,
        "no Blender has room in {} MiB, of {} MiB that this machine has: {} MiB are the least (--max-memory, --reserve-memory)",
        most_bytes >> 20,
        machine_bytes >> 20,
        LEAST_SESSION_BYTES >> 20
    );
    Ok(limits)
}

/// What jobs may ask for here.
fn abilities(settings: &Settings) -> anyhow::Result<Abilities> {
    let addons = settings.addons.as_deref().map(addons::found_in).transpose().context("the folder of add-ons")?;
    let scripts = settings.allow_scripts.0.clone();
    let tags = settings.tag.iter().cloned().collect();
    // Who stands back for others has no use for work that may be for nothing.
    let declines = settings.no_backups || settings.when_idle.is_some();
    let backups = if declines { Backups::Declined } else { Backups::Taken };
    Ok(Abilities { scripts, addons: addons.unwrap_or_default(), tags, backups })
}

/// The identity for this start. A full disk is waited for: it may be the outbox that fills it, on other days. `None` when a
/// signal came meanwhile.
async fn identity_once_there_is_room(
    folder: &Path,
    signals: &mut Signals,
) -> anyhow::Result<Option<(Identity, Token)>> {
    let here = Marks::of_this_machine();
    loop {
        match identity::next_life(folder, &here).and_then(|identity| Ok((identity, identity::own_token(folder)?))) {
            Ok(identity) => return Ok(Some(identity)),
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                tracing::error!(
                    folder = %folder.display(), seconds = UNTIL_ROOM.as_secs(),
                    "the disk is full: free some space; trying again"
                );
            }
            Err(error) => return Err(error).context("the agent's identity, in its data folder"),
        }
        if signals.or(tokio::time::sleep(UNTIL_ROOM)).await.is_none() {
            return Ok(None);
        }
    }
}

/// Makes a folder that is empty.
fn empty(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(folder)
}
