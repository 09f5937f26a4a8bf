//! Puts the agent together: finds Blender, makes itself known, and keeps slots, heartbeat and delivery going until it is to
//! stop. What it holds then is put down in order, and nothing that it has started lives on.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use haywain_shared::client::AgentClient;
use haywain_shared::folder::OwnFolder;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::blender::find;
use crate::blender::session::Patience;
use crate::book::Book;
use crate::cache::SceneCache;
use crate::config::Settings;
use crate::delivery::{Courier, Report};
use crate::heartbeat;
use crate::identity;
use crate::link::{Introduction, Link, LinkEnded};
use crate::machine::{self, Machine};
use crate::outbox::Outbox;
use crate::slot::{Slot, Workshop};

/// How long an agent that stops goes on telling the orchestrator what it has and gives back.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs the agent until `signal`, or until another process has taken its place.
pub async fn run(settings: &Settings, data_dir: &Path, signal: impl Future<Output = ()>) -> anyhow::Result<()> {
    let folder = OwnFolder::take(data_dir)?;
    let blenders = find::blenders(&settings.blender).await?;
    let mut machine = Machine::new().context("looking at the machine")?;
    let facts = machine.facts();
    let plan = machine::plan(settings.slots, facts.logical_cores, machine.sample().memory_available_bytes);
    let identity = identity::next_life(folder.path()).context("the agent's identity, in its data folder")?;
    let name = settings.name.clone().unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned());
    tracing::info!(
        agent = %identity.agent_id, name, orchestrator = %settings.orchestrator, blender = %blenders[0],
        slots = plan.slots, threads = ?plan.threads, data_dir = %folder.path().display(), "agent ready"
    );
    let stop = CancellationToken::new();
    let client = AgentClient::new(&settings.orchestrator)?;
    let introduction = Introduction {
        identity,
        name,
        slots: plan.slots,
        machine: facts,
        blenders: blenders.iter().map(|blender| blender.facts.clone()).collect(),
    };
    let link = Link::new(client.clone(), introduction, stop.clone());
    let work = folder.path().join("work");
    empty(&work).context("the folder for frames in work")?;

    let mut signal = std::pin::pin!(signal);
    let intervals = tokio::select! {
        () = &mut signal => return Ok(()),
        intervals = link.register() => intervals?,
    };
    tracing::info!(heartbeat_ms = intervals.heartbeat_ms, lease_ttl_ms = intervals.lease_ttl_ms, "registered");

    let tasks = TaskTracker::new();
    let book = Book::default();
    let outbox = Outbox::open(folder.path()).context("the outbox")?;
    let (reports, to_deliver) = mpsc::unbounded_channel();
    for parcel in outbox.left_over().context("the outbox")? {
        tracing::info!(lease = %parcel.label.lease_id, frame = %parcel.label.frame, "frame left over from before");
        let _ = reports.send(Report::Frame(parcel));
    }
    let farewell_over = CancellationToken::new();
    let courier = Courier { client: client.clone(), book: book.clone(), stop: farewell_over.clone() };
    let courier = tasks.spawn(courier.run(to_deliver));
    let workshop = Workshop {
        link: link.clone(),
        book: book.clone(),
        cache: SceneCache::open(folder.path(), client).context("the scenes on this machine")?,
        outbox,
        reports,
        blender: blenders[0].clone(),
        threads: plan.threads,
        patience: Patience::default(),
        poll: Duration::from_millis(intervals.poll_ms),
        tasks: tasks.clone(),
        stop: stop.clone(),
    };
    let mut slots = JoinSet::new();
    for number in 0..plan.slots {
        slots.spawn(tasks.track_future(Slot::new(workshop.clone(), work.join(number.to_string())).run()));
    }
    drop(workshop);
    let beat = heartbeat::beat(link, book, Duration::from_millis(intervals.heartbeat_ms), machine);

    let ended = tokio::select! {
        () = &mut signal => LinkEnded::Stopped,
        ended = beat => ended,
        Some(ended) = slots.join_next() => ended.context("a slot")?,
    };
    tracing::info!("stopping");
    stop.cancel();
    while slots.join_next().await.is_some() {}
    // With the slots' end nobody reports any more, and the courier ends when all is delivered.
    if tokio::time::timeout(FAREWELL, courier).await.is_err() {
        tracing::warn!("the orchestrator does not answer; undelivered frames stay in the outbox for the next start");
    }
    farewell_over.cancel();
    tasks.close();
    tasks.wait().await;
    tracing::info!("stopped");
    match ended {
        LinkEnded::Stopped => Ok(()),
        LinkEnded::Replaced(_) => Err(ended.into()),
    }
}

/// Makes a folder that is empty: what an earlier life had in work is of no use.
fn empty(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(folder)
}
