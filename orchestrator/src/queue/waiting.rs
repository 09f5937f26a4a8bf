//! A lease request that waits for work: it hears of everything that makes some, and never misses what was made between
//! its look and its sleep. What somebody wants to know of a scene comes before batches: a person waits for it.

use std::time::Duration;

use haywain_shared::job::AgentState;
use haywain_shared::scene::SceneId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::desk::{Desk, Seat};
use crate::store::{Lease, LeaseAsk, Store, StoreError};

/// What a free slot gets.
#[derive(Debug)]
pub enum NextWork {
    /// A batch.
    Batch {
        /// Its lease.
        lease: Box<Lease>,
        /// How long after it could have been granted it was: after the agent has asked, and there was news.
        after: Duration,
    },
    /// A scene to look at.
    Inspection(SceneId),
}

/// What a slot gets that asks ahead: at once, and no scene to look at, which waits for nobody who is at work.
pub async fn work_ahead(store: &dyn Store, ask: LeaseAsk) -> Result<Option<NextWork>, StoreError> {
    let since = Instant::now();
    let lease = store.lease(ask).await?;
    Ok(lease.map(|lease| NextWork::Batch { lease: Box::new(lease), after: since.elapsed() }))
}

/// Asks for work until there is some, the poll is over, or the orchestrator stops.
pub async fn next_work(
    store: &dyn Store,
    desk: &Desk,
    ask: LeaseAsk,
    poll: Duration,
    stop: &CancellationToken,
) -> Result<Option<NextWork>, StoreError> {
    let (mut work, mut wishes) = (store.work_made(), desk.news());
    let seat = desk.sit(&ask);
    let poll_over = tokio::time::sleep(poll);
    tokio::pin!(poll_over);
    let mut since = Instant::now();
    loop {
        // What is made from here on is news, so the look at the queue that follows can't miss it.
        work.borrow_and_update();
        wishes.borrow_and_update();
        if let Some(scene) = errand(store, &seat, &ask).await? {
            store.give_scene(ask.agent, scene).await?;
            return Ok(Some(NextWork::Inspection(scene)));
        }
        if let Some(lease) = store.lease(ask.clone()).await? {
            return Ok(Some(NextWork::Batch { lease: Box::new(lease), after: since.elapsed() }));
        }
        tokio::select! {
            changed = work.changed() => if changed.is_err() { return Ok(None) },
            // The desk outlives its seats.
            _ = wishes.changed() => {}
            () = &mut poll_over => return Ok(None),
            () = stop.cancelled() => return Ok(None),
        }
        since = Instant::now();
    }
}

/// A scene that the agent is to look at, if there is one and it may have work.
async fn errand(store: &dyn Store, seat: &Seat<'_>, ask: &LeaseAsk) -> Result<Option<SceneId>, StoreError> {
    if !seat.has_errand() {
        return Ok(None);
    }
    let agents = store.agents().await?;
    if agents.iter().any(|agent| agent.agent_id == ask.agent && agent.state == AgentState::Online) {
        return Ok(seat.take_errand());
    }
    seat.decline();
    Ok(None)
}
