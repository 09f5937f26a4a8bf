//! A lease request that waits for work: it hears of everything that makes some, and never misses what was made between
//! its look at the queue and its sleep.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::store::{Lease, LeaseAsk, Store, StoreError};

/// Asks for a lease until there is one, the poll is over, or the orchestrator stops.
pub async fn next_lease(
    store: &dyn Store,
    ask: LeaseAsk,
    poll: Duration,
    stop: &CancellationToken,
) -> Result<Option<Lease>, StoreError> {
    let mut work = store.work_made();
    let poll_over = tokio::time::sleep(poll);
    tokio::pin!(poll_over);
    loop {
        // What is made from here on is news, so the look at the queue that follows can't miss it.
        work.borrow_and_update();
        if let Some(lease) = store.lease(ask.clone()).await? {
            return Ok(Some(lease));
        }
        tokio::select! {
            changed = work.changed() => if changed.is_err() { return Ok(None) },
            () = &mut poll_over => return Ok(None),
            () = stop.cancelled() => return Ok(None),
        }
    }
}
