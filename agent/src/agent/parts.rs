//! What an agent is made of, and how that works together until it leaves: what it holds then is finished or put down in order, and
//! nothing that it has started lives on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use haywain_shared::client::AgentClient;
use haywain_shared::protocol::MachineSample;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Ended, WORK, empty};
use crate::blender::studio::Studio;
use crate::book::Book;
use crate::cache::SceneCache;
use crate::clock::BootClock;
use crate::crew::Crew;
use crate::delivery::{Courier, Report};
use crate::governor::{Courtesy, Governor};
use crate::heartbeat;
use crate::leaving::Leaving;
use crate::link::{Introduction, Link, LinkEnded};
use crate::load::Load;
use crate::memory::Memory;
use crate::outbox::{Outbox, Parcel};
use crate::slot::Workshop;
use crate::status::{Board, Rooms};

/// How long an agent that leaves goes on telling the orchestrator what it has and gives back.
const FAREWELL: Duration = Duration::from_secs(5);

/// What an agent is made of, wherever it comes from: the system, or a simulation.
pub struct Parts {
    /// The line to the orchestrator.
    pub client: AgentClient,
    /// What it tells of itself.
    pub introduction: Introduction,
    /// Where Blenders come from.
    pub studio: Arc<dyn Studio>,
    /// What leases are timed by.
    pub clock: Arc<dyn BootClock>,
    /// How it uses its machine.
    pub governor: Governor,
    /// When it leaves its machine to others.
    pub courtesy: Courtesy,
    /// What these do there.
    pub load: Box<dyn Load>,
    /// The outbox's bound.
    pub max_outbox_bytes: u64,
    /// The bound of the scenes on this machine.
    pub max_cache_bytes: u64,
    /// When it is to go.
    pub leaving: Leaving,
    /// Where its parts say how it goes.
    pub board: Board,
    /// What fits on its machine.
    pub memory: Memory,
    /// Where its tasks live.
    pub tasks: TaskTracker,
}

impl Parts {
    /// Works in `folder` until it leaves. `sample` looks at the machine.
    pub async fn run(self, folder: &Path, mut sample: impl FnMut() -> MachineSample) -> anyhow::Result<Ended> {
        let Self {
            client,
            introduction,
            studio,
            clock,
            governor,
            courtesy,
            load,
            max_outbox_bytes,
            max_cache_bytes,
            leaving,
            board,
            memory,
            tasks,
        } = self;
        let scripts = introduction.abilities.scripts.clone();
        let blenders: Arc<[_]> = introduction.blenders.as_slice().into();
        let blender =
            introduction.blenders.first().map(|facts| facts.build.clone()).context("an agent without a Blender")?;
        let agent_id = introduction.identity.agent_id;
        let link = Link::new(client.clone(), introduction, governor.setting().slots, leaving.stopping().clone());
        let work = folder.join(WORK);
        empty(&work).context("the folder for frames in work")?;
        let outbox = Outbox::open(folder, max_outbox_bytes).context("the outbox")?;
        let left_over = outbox.left_over().context("the outbox")?;
        let cache = SceneCache::open(folder, client.clone(), max_cache_bytes).context("the scenes on this machine")?;

        let intervals = tokio::select! {
            () = leaving.draining().cancelled() => return Ok(Ended::InOrder),
            // One that is not let in has nothing to do, either.
            () = leaving.keep_to_bounds() => return Ok(Ended::InOrder),
            intervals = link.register() => match intervals {
                Ok(intervals) => intervals,
                Err(ended) => return Ok(how(ended, &leaving)),
            },
        };
        leaving.may_work();
        tracing::info!(heartbeat_ms = intervals.heartbeat_ms, lease_ttl_ms = intervals.lease_ttl_ms, "registered");

        let book = Book::new(clock, Duration::from_millis(intervals.lease_ttl_ms));
        board.opened(Rooms {
            link: link.clone(),
            book: book.clone(),
            outbox: outbox.clone(),
            cache: cache.clone(),
            leaving: leaving.clone(),
        });
        let (reports, to_deliver) = mpsc::unbounded_channel();
        deliver_first(left_over, &reports);
        let farewell_over = CancellationToken::new();
        let courier =
            Courier { agent_id, client, outbox: outbox.clone(), book: book.clone(), stop: farewell_over.clone() };
        let mut courier = tasks.spawn(courier.run(to_deliver));
        let workshop = Workshop {
            link: link.clone(),
            book: book.clone(),
            cache: cache.clone(),
            outbox,
            reports,
            studio,
            blenders,
            blender,
            scripts,
            poll: Duration::from_millis(intervals.poll_ms),
            leaving: leaving.clone(),
            board,
            memory: memory.clone(),
        };
        tasks.spawn(memory.clone().watch(farewell_over.clone()));
        let crew = Crew::new(workshop, work, governor, courtesy, load, tasks.clone()).run();
        tokio::pin!(crew);
        let interval = Duration::from_millis(intervals.heartbeat_ms);
        let beating = heartbeat::beat(link.clone(), book, leaving.clone(), interval, || memory.told(sample()));
        tokio::pin!(beating);

        // The heartbeat goes on until the last frame in work is finished, and what there is to tell is told.
        let mut watching = std::pin::pin!(leaving.keep_to_bounds());
        let (mut watched, mut beats) = (false, true);
        let ended = loop {
            tokio::select! {
                ended = &mut crew => break ended?,
                over = &mut beating => {
                    beats = false;
                    leaving.stop();
                    crew.await?;
                    break over;
                }
                () = &mut watching, if !watched => watched = true,
            }
        };
        let told = async {
            tokio::select! {
                _ = &mut courier => {}
                _ = &mut beating, if beats => {}
            }
        };
        farewell(told, &link).await;
        cache.close();
        farewell_over.cancel();
        tasks.close();
        tasks.wait().await;
        tracing::info!("left");
        Ok(how(ended, &leaving))
    }
}

/// Leaves the orchestrator once everything is `told`, if that does not take too long.
async fn farewell(told: impl Future<Output = ()>, link: &Link) {
    if tokio::time::timeout(FAREWELL, told).await.is_ok() {
        link.leave().await;
    } else {
        tracing::warn!("the orchestrator does not answer; undelivered frames stay in the outbox for the next start");
    }
}

/// What an earlier life has rendered is told before anything else.
fn deliver_first(left_over: Vec<Parcel>, reports: &mpsc::UnboundedSender<Report>) {
    for parcel in left_over {
        tracing::info!(lease = %parcel.label.lease_id, frame = %parcel.label.frame, "frame left over from before");
        let _ = reports.send(Report::Frame(parcel));
    }
}

fn how(ended: LinkEnded, leaving: &Leaving) -> Ended {
    match ended {
        LinkEnded::Replaced(by) => Ended::Replaced(by),
        LinkEnded::Stopped if leaving.stopping().is_cancelled() => Ended::AtOnce,
        LinkEnded::Stopped => Ended::InOrder,
    }
}
