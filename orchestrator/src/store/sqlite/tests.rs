//! What every store promises, held by this one; and that its lease query stays fast.

use super::*;
use crate::clock::HeldClock;
use crate::store::conformance::{Bench, HEARTBEAT, TTL};

async fn bench() -> Bench {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let clock = Arc::new(HeldClock::default());
    let same_clock = Arc::clone(&clock);
    let open = move || {
        let (folder, clock) = (Arc::clone(&folder), Arc::clone(&same_clock));
        Box::pin(async move {
            let times = LeaseTimes { ttl: TTL, heartbeat: HEARTBEAT, absence: HEARTBEAT };
            let file = folder.path().join("queue.sqlite");
            let gone = CancellationToken::new();
            let store = SqliteStore::open(&file, times, clock, &TaskTracker::new(), gone).await.unwrap();
            Arc::new(store) as Arc<dyn Store>
        }) as _
    };
    Bench::new(clock, Box::new(open)).await
}

conformance_tests!(bench);

/// The queue must not get slower with what is finished or pending: the lease query reads an index.
#[tokio::test]
async fn the_lease_query_reads_only_jobs_with_work() {
    let folder = tempfile::tempdir().unwrap();
    let times = LeaseTimes { ttl: TTL, heartbeat: HEARTBEAT, absence: HEARTBEAT };
    let file = folder.path().join("queue.sqlite");
    let clock = Arc::new(HeldClock::default());
    let store = SqliteStore::open(&file, times, clock, &TaskTracker::new(), CancellationToken::new()).await.unwrap();
    let plans = grants::explain_next(&store.readers).await;
    assert!(plans[0].contains("jobs USING INDEX jobs_with_work"), "{plans:?}");
    assert!(plans.iter().all(|plan| !plan.contains("TEMP B-TREE")), "{plans:?}");
}

/// Whoever watches the farm asks often: what has ended is not counted, and what agents told of themselves is not read.
#[tokio::test]
async fn a_census_reads_only_what_is_not_over() {
    let folder = tempfile::tempdir().unwrap();
    let times = LeaseTimes { ttl: TTL, heartbeat: HEARTBEAT, absence: HEARTBEAT };
    let file = folder.path().join("queue.sqlite");
    let clock = Arc::new(HeldClock::default());
    let store = SqliteStore::open(&file, times, clock, &TaskTracker::new(), CancellationToken::new()).await.unwrap();
    let plans = census::explain(&store.readers).await;
    assert!(plans[0].contains("jobs USING INDEX jobs_live") && plans[0].contains("SCAN ended_jobs"), "{plans:?}");
    assert!(plans[1].contains("agents USING COVERING INDEX agents_standing"), "{plans:?}");
}
