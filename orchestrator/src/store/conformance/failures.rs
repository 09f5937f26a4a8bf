//! What a failed attempt does to its frame and its job.

use haywain_shared::cause::Cause;
use haywain_shared::ids::RequestId;
use haywain_shared::job::JobState;

use super::bench::{Bench, frame, range};
use crate::store::AgentCommand;

pub(in crate::store) async fn failures_send_a_frame_round_until_it_is_given_up(bench: Bench) {
    let job = bench.submit(1, 2, 1).await;
    let agent = bench.agent().await;
    for (attempt, cause) in
        [Cause::Crashed, Cause::DiskFull, Cause::NoOutput, Cause::OutOfMemory].into_iter().enumerate()
    {
        let lease = bench.lease(agent).await;
        assert_eq!(lease.frames, range(1, 1), "attempt {attempt}");
        bench.fail(&lease, 1, cause).await;
    }
    assert_eq!(bench.frames(job).await, ["2", "", "", "1"]);
    assert_eq!(bench.job(job).await.state, JobState::Running);
    let lease = bench.lease(agent).await;
    bench.deliver(&lease, 2).await.unwrap();
    let report = bench.job(job).await;
    assert_eq!(report.state, JobState::Failed);
    let failure = &report.failures[0];
    assert_eq!((failure.frame, failure.cause, failure.attempts), (frame(1), Cause::OutOfMemory, 4));
    assert_eq!((failure.message.as_str(), failure.log_tail.as_str()), ("out_of_memory it is", "the log"));
}

pub(in crate::store) async fn a_repeated_failure_counts_once(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    for _ in 0..2 {
        let lease = bench.lease(agent).await;
        for _ in 0..3 {
            bench.fail(&lease, 1, Cause::Crashed).await;
        }
    }
    assert_eq!(bench.frames(job).await, ["1", "", "", ""]);
}

pub(in crate::store) async fn a_late_failure_changes_nothing(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let (slow, fast) = (bench.agent().await, bench.agent().await);
    let old = bench.lease(slow).await;
    bench.store.complete(old.id).await.unwrap();
    let new = bench.lease(fast).await;
    bench.fail(&old, 1, Cause::BadScene).await;
    assert_eq!(bench.frames(job).await, ["", "1", "", ""]);
    bench.deliver(&new, 1).await.unwrap();
    bench.fail(&new, 1, Cause::BadScene).await;
    assert_eq!(bench.job(job).await.state, JobState::Completed);
}

pub(in crate::store) async fn the_scene_s_fault_fails_the_job(bench: Bench) {
    let job = bench.submit(1, 100, 2).await;
    let (one, two) = (bench.agent().await, bench.agent().await);
    let mine = bench.lease(one).await;
    let theirs = bench.lease(two).await;
    // Nobody else is there to ask any more.
    bench.store.control_agent(two, AgentCommand::Drain).await.unwrap();
    bench.fail(&mine, 1, Cause::MissingFile).await;
    let report = bench.job(job).await;
    assert_eq!(report.scene_fault.unwrap().message, "missing_file it is");
    assert_eq!(bench.frames(job).await, ["", "2-4", "", "1 5-100"]);
    assert_eq!(report.state, JobState::Running, "others still have frames of it");
    // What they bring counts, what they don't is not tried again.
    bench.deliver(&theirs, 3).await.unwrap();
    bench.store.complete(theirs.id).await.unwrap();
    bench.store.release(mine.id, vec![frame(2)]).await.unwrap();
    assert_eq!(bench.frames(job).await, ["", "", "3", "1-2 4-100"]);
    assert_eq!(bench.job(job).await.state, JobState::Failed);
    assert_eq!(bench.ask(one, RequestId::generate()).await.unwrap(), None);
}
