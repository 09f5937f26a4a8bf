//! What follows from a failed attempt: who gets the frame next, and who gets no more.

use haywain_shared::cause::Cause;
use haywain_shared::ids::RequestId;
use haywain_shared::job::{AgentState, JobState};
use haywain_shared::protocol::Stage;

use super::Bench;
use super::bench::{GIB, frame, new_job, range};
use crate::queue::submission::Limits;
use crate::store::{Failure, NewJob};

pub(in crate::store) async fn a_failed_frame_goes_to_another_agent_first(bench: Bench) {
    bench.submit(1, 1, 1).await;
    let (one, two) = (bench.agent().await, bench.agent().await);
    let lease = bench.lease(one).await;
    bench.fail(&lease, 1, Cause::Crashed).await;
    assert_eq!(bench.ask(one, RequestId::generate()).await.unwrap(), None);
    let lease = bench.lease(two).await;
    bench.fail(&lease, 1, Cause::Crashed).await;
    assert_eq!(bench.ask(two, RequestId::generate()).await.unwrap(), None);

    // When nobody has come for a minute, any agent will do, and hears of it.
    let mut work = bench.store.work_made();
    work.borrow_and_update();
    for _ in 0..12 {
        bench.pass(5).await;
        bench.heartbeat(one, &[]).await;
        bench.heartbeat(two, &[]).await;
    }
    assert!(work.has_changed().unwrap());
    bench.lease(two).await;
}

pub(in crate::store) async fn a_frame_that_ran_out_of_memory_goes_to_a_larger_machine(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let (small, large) = (bench.agent().await, bench.agent().await);
    let lease = bench.lease_with(small, GIB).await.unwrap();
    // The peak that was seen is one GiB.
    bench.fail(&lease, 1, Cause::OutOfMemory).await;
    assert_eq!(bench.lease_with(small, GIB).await, None);
    assert_eq!(bench.lease_with(large, GIB).await, None, "another agent, no larger");
    // Agents that tell of no more free memory than that are named, for as long as it is looked for.
    bench.heartbeat_with_memory(small, GIB / 2).await;
    bench.heartbeat_with_memory(large, GIB).await;
    let waits_for = bench.job(job).await.waits_for;
    assert_eq!(waits_for.len(), 1, "{waits_for:?}");
    let wanted = "no agent has more memory free than the 1024 MiB that its frames have run out of: not ";
    assert!(waits_for[0].starts_with(wanted), "{waits_for:?}");
    assert!(waits_for[0].contains("(512 MiB)") && waits_for[0].contains("(1024 MiB)"), "{waits_for:?}");
    bench.heartbeat_with_memory(large, 2 * GIB).await;
    assert!(bench.job(job).await.waits_for.is_empty());
    let lease = bench.lease_with(large, 2 * GIB).await.unwrap();
    bench.deliver(&lease, 1).await.unwrap();
    assert_eq!(bench.job(job).await.state, JobState::Completed);
}

pub(in crate::store) async fn a_job_says_how_often_its_frames_are_tried(bench: Bench) {
    let first = bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.deliver(&lease, 1).await.unwrap();
    let scene = bench.job(first).await.scene;
    let limits = Limits { max_attempts: 1, ..Limits::default() };
    let job = NewJob { limits, ..new_job(haywain_shared::ids::JobId::generate(), scene, range(1, 1)) };
    let id = bench.store.submit(job).await.unwrap();
    let lease = bench.lease(agent).await;
    assert_eq!(lease.stall_timeout, limits.stall_timeout);
    bench.fail(&lease, 1, Cause::Crashed).await;
    assert_eq!(bench.job(id).await.state, JobState::Failed);
}

pub(in crate::store) async fn a_scene_is_blamed_only_with_a_second_opinion(bench: Bench) {
    let job = bench.submit(1, 9, 1).await;
    let (one, two) = (bench.agent().await, bench.agent().await);
    let lease = bench.lease(one).await;
    bench.fail(&lease, 1, Cause::BadScene).await;
    assert_eq!(bench.job(job).await.scene_fault, None);
    // Until another has looked, the agent that doubts the scene gets none of its frames.
    assert_eq!(bench.ask(one, RequestId::generate()).await.unwrap(), None);
    let lease = bench.lease(two).await;
    bench.fail(&lease, 1, Cause::BadScene).await;
    assert_eq!(bench.frames(job).await, ["", "", "", "1-9"]);

    // Nobody else comes to look: after a minute the first agent's second word is enough.
    let job = bench.submit(1, 9, 1).await;
    let lease = bench.lease(one).await;
    bench.fail(&lease, 1, Cause::MissingFile).await;
    for _ in 0..12 {
        bench.pass(5).await;
        bench.heartbeat(one, &[]).await;
        bench.heartbeat(two, &[]).await;
    }
    let lease = bench.lease(one).await;
    bench.fail(&lease, lease.frames.first().into(), Cause::MissingFile).await;
    assert_eq!(bench.job(job).await.state, JobState::Failed);
}

pub(in crate::store) async fn an_agent_that_fails_on_several_jobs_is_set_aside_and_forgiven(bench: Bench) {
    for _ in 0..4 {
        bench.submit(1, 1, 1).await;
    }
    let (bad, good) = (bench.agent().await, bench.agent().await);
    for _ in 0..4 {
        let lease = bench.lease(bad).await;
        bench.fail(&lease, 1, Cause::Crashed).await;
    }
    let state =
        async || bench.store.agents().await.unwrap().into_iter().find(|agent| agent.agent_id == bad).unwrap().state;
    assert_eq!(state().await, AgentState::SetAside);
    for _ in 0..4 {
        let lease = bench.lease(good).await;
        bench.deliver(&lease, 1).await.unwrap();
    }
    bench.submit(1, 1, 1).await;
    assert_eq!(bench.ask(bad, RequestId::generate()).await.unwrap(), None);
    let mut work = bench.store.work_made();
    work.borrow_and_update();
    for _ in 0..120 {
        bench.pass(5).await;
        bench.heartbeat(bad, &[]).await;
    }
    assert!(work.has_changed().unwrap(), "a forgiven agent hears of work");
    assert_eq!(state().await, AgentState::Online);
    bench.lease(bad).await;
}

pub(in crate::store) async fn of_what_attempts_have_said_the_latest_is_told(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    for (message, log_tail) in [("first", "x".repeat(5_000_000)), ("second", "y".repeat(5_000_000))] {
        let lease = bench.lease(agent).await;
        let (message, cause) = (message.to_owned(), Cause::Crashed);
        let (lease, stage) = (lease.id, Stage::Rendering);
        let failure = Failure { lease, frame: frame(1), cause, stage, peak_memory_bytes: None, message, log_tail };
        bench.store.fail(failure).await.unwrap();
        bench.sleep(1);
    }
    let attempts = bench.store.attempts(job, None).await.unwrap();
    let told: Vec<_> = attempts.iter().map(|attempt| (attempt.message.as_str(), attempt.log_tail.len())).collect();
    assert_eq!(told, [("", 0), ("second", 5_000_000)]);
}

pub(in crate::store) async fn attempts_are_kept(mut bench: Bench) {
    let job = bench.submit(1, 2, 1).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.fail(&lease, 1, Cause::Stalled).await;
    for _ in 0..2 {
        bench.sleep(1);
        let lease = bench.lease(agent).await;
        bench.deliver(&lease, lease.frames.first().into()).await.unwrap();
    }
    bench.restart().await;
    let attempts = bench.store.attempts(job, None).await.unwrap();
    let told: Vec<_> = attempts.iter().map(|attempt| (attempt.frame, attempt.cause, attempt.render_ms)).collect();
    let expected = [(frame(1), Some(Cause::Stalled), None), (frame(1), None, Some(100)), (frame(2), None, Some(100))];
    assert_eq!(told, expected);
    assert_eq!((attempts[0].message.as_str(), attempts[0].log_tail.as_str()), ("stalled it is", "the log"));
    assert_eq!(attempts[0].peak_memory_bytes, Some(GIB));
    assert!(attempts.iter().all(|attempt| attempt.agent_id == agent && attempt.leased_at <= attempt.ended_at));
    assert_eq!(bench.store.attempts(job, Some(frame(2))).await.unwrap(), attempts[2..]);
}
