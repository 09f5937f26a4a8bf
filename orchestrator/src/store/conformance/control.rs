//! What people do: submit once, cancel, pause, retry, render anew, drain, watch.

use haywain_shared::cause::Cause;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::{AgentId, Incarnation, JobId, RequestId};
use haywain_shared::job::{AgentState, EventKind, JobState};
use haywain_shared::protocol::{AgentOrder, UploadOutcome};

use super::Bench;
use super::bench::{frame, new_job, range};
use crate::store::{AgentCommand, Idempotency, JobCommand, JobFilter, Lease, NewJob, Sight, StoreError};

pub(in crate::store) async fn a_repeated_submission_is_the_same_job(mut bench: Bench) {
    let first = bench.submit(1, 1, 1).await;
    let scene = bench.job(first).await.scene;
    let key = |key: &str, body: &[u8]| Some(Idempotency { key: key.to_owned(), body: Sha256Digest::of(body) });
    let job = |idempotency| NewJob { idempotency, ..new_job(JobId::generate(), scene, range(1, 9)) };
    let id = bench.store.submit(job(key("a", b"one"))).await.unwrap();
    bench.restart().await;
    assert_eq!(bench.store.submit(job(key("a", b"one"))).await.unwrap(), id);
    assert_ne!(bench.store.submit(job(key("b", b"one"))).await.unwrap(), id);
    let other_body = bench.store.submit(job(key("a", b"two"))).await;
    assert!(matches!(other_body, Err(StoreError::KeyReused)), "{other_body:?}");
    let all = JobFilter { sight: Sight::All, state: None, before: None, limit: 100 };
    assert_eq!(bench.store.jobs(all).await.unwrap().len(), 3);
}

pub(in crate::store) async fn urgent_jobs_are_served_first(bench: Bench) {
    let first = bench.submit(1, 2, 1).await;
    let second = bench.submit(1, 2, 1).await;
    let agent = bench.agent().await;
    bench.store.control_job(second, JobCommand::SetPriority(1)).await.unwrap();
    assert_eq!(bench.lease(agent).await.job, second);
    bench.store.control_job(second, JobCommand::SetPriority(-1)).await.unwrap();
    assert_eq!(bench.lease(agent).await.job, first);
    assert_eq!(bench.job(second).await.priority, -1);
}

pub(in crate::store) async fn a_cancelled_job_is_over_at_once(mut bench: Bench) {
    let job = bench.submit(1, 9, 2).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.deliver(&lease, 1).await.unwrap();
    bench.store.control_job(job, JobCommand::Cancel).await.unwrap();
    bench.restart().await;
    let report = bench.job(job).await;
    assert_eq!((report.state, report.counts.leased), (JobState::Cancelled, 0));
    assert!(report.ended_at.is_some());
    assert_eq!(bench.deliver(&lease, 2).await.unwrap(), UploadOutcome::JobGone);
    assert_eq!(bench.deliver(&lease, 1).await.unwrap(), UploadOutcome::AlreadyRecorded);
    assert_eq!(bench.ask(agent, RequestId::generate()).await.unwrap(), None);
}

pub(in crate::store) async fn a_paused_job_gives_nothing_out(bench: Bench) {
    let job = bench.submit(1, 4, 1).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.store.control_job(job, JobCommand::Pause).await.unwrap();
    assert_eq!(bench.job(job).await.state, JobState::Paused);
    assert_eq!(bench.ask(agent, RequestId::generate()).await.unwrap(), None);
    assert_eq!(bench.beat(agent, &lease, Some(1)).await, [range(1, 1)], "what is leased goes on");
    bench.deliver(&lease, 1).await.unwrap();

    let mut work = bench.store.work_made();
    work.borrow_and_update();
    bench.store.control_job(job, JobCommand::Resume).await.unwrap();
    assert!(work.has_changed().unwrap(), "those who wait hear of it");
    assert_eq!(bench.lease(agent).await.frames, range(2, 2));
}

pub(in crate::store) async fn moves_that_make_no_sense_are_refused(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let refuse = async |command: JobCommand| {
        let answer = bench.store.control_job(job, command).await;
        assert!(matches!(answer, Err(StoreError::IllegalMove(_))), "{answer:?}");
    };
    refuse(JobCommand::Resume).await;
    refuse(JobCommand::RetryFailed).await;
    refuse(JobCommand::Rerender(vec![range(1, 1)])).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.deliver(&lease, 1).await.unwrap();
    for command in [JobCommand::Cancel, JobCommand::Pause, JobCommand::SetPriority(1)] {
        refuse(command).await;
    }
    refuse(JobCommand::Rerender(vec![range(2, 9)])).await;
    assert_eq!(bench.frames(job).await, ["", "", "1", ""]);
    let unknown = bench.store.control_job(JobId::generate(), JobCommand::Cancel).await;
    assert!(matches!(unknown, Err(StoreError::UnknownJob(_))), "{unknown:?}");
}

pub(in crate::store) async fn retried_frames_start_afresh(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    for round in 0..2 {
        for attempt in 0..3 {
            let lease = bench.lease(agent).await;
            bench.fail(&lease, 1, Cause::Crashed).await;
            let failed = attempt == 2;
            assert_eq!(bench.job(job).await.counts.failed == 1, failed, "round {round}, attempt {attempt}");
        }
        assert_eq!(bench.job(job).await.state, JobState::Failed);
        bench.store.control_job(job, JobCommand::RetryFailed).await.unwrap();
        assert_eq!(bench.frames(job).await, ["1", "", "", ""]);
    }
    // The same after the scene was blamed.
    let lease = bench.lease(agent).await;
    bench.fail(&lease, 1, Cause::BadScene).await;
    bench.store.control_job(job, JobCommand::RetryFailed).await.unwrap();
    let report = bench.job(job).await;
    assert_eq!((report.state, report.scene_fault, report.ended_at), (JobState::Running, None, None));
}

async fn done(bench: &Bench, from: i64, to: i64) -> (JobId, AgentId, Lease) {
    let job = bench.submit(from, to, 100).await;
    let agent = bench.agent().await;
    let mut last = None;
    while let Some(lease) = bench.ask(agent, RequestId::generate()).await.unwrap() {
        for frame in lease.frames.iter() {
            bench.deliver(&lease, frame.into()).await.unwrap();
        }
        last = Some(lease);
    }
    (job, agent, last.unwrap())
}

pub(in crate::store) async fn a_rerender_raises_the_generation(bench: Bench) {
    let (job, agent, _) = done(&bench, 1, 9).await;
    bench.store.control_job(job, JobCommand::Rerender(vec![range(2, 3), range(3, 5), range(50, 60)])).await.unwrap();
    assert_eq!(bench.frames(job).await, ["2-5", "", "1 6-9", ""]);
    assert_eq!(bench.job(job).await.state, JobState::Running);
    let lease = bench.lease(agent).await;
    assert_eq!((lease.frames, lease.generation), (range(2, 3), 2));
    bench.deliver(&lease, 2).await.unwrap();
    bench.store.control_job(job, JobCommand::Rerender(vec![range(1, 2)])).await.unwrap();
    assert_eq!(bench.frames(job).await, ["1-2 4-5", "3", "6-9", ""]);
    // Frames of different generations are never in one batch.
    let batches = [bench.lease(agent).await, bench.lease(agent).await];
    assert_eq!(batches.map(|lease| (lease.frames, lease.generation)), [(range(1, 1), 2), (range(2, 2), 3)]);
}

pub(in crate::store) async fn a_delivery_of_an_earlier_generation_is_superseded(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let (slow, fast) = (bench.agent().await, bench.agent().await);
    let old = bench.lease(slow).await;
    bench.store.complete(old.id).await.unwrap();
    let first = bench.lease(fast).await;
    bench.deliver(&first, 1).await.unwrap();
    bench.store.control_job(job, JobCommand::Rerender(vec![range(1, 1)])).await.unwrap();
    // Wherever the frame is in its new generation: pending, leased, done.
    assert_eq!(bench.deliver(&old, 1).await.unwrap(), UploadOutcome::Superseded);
    assert_eq!(bench.deliver(&first, 1).await.unwrap(), UploadOutcome::AlreadyRecorded);
    let again = bench.lease(fast).await;
    assert_eq!(bench.deliver(&old, 1).await.unwrap(), UploadOutcome::Superseded);
    assert_eq!(bench.frames(job).await, ["", "1", "", ""]);
    assert_eq!(bench.deliver(&again, 1).await.unwrap(), UploadOutcome::Recorded);
    assert_eq!(bench.deliver(&old, 1).await.unwrap(), UploadOutcome::Superseded);
    let frames = bench.store.frames(job, 0, 10).await.unwrap();
    assert_eq!(frames.iter().map(|frame| frame.report.generation).collect::<Vec<_>>(), [2]);
}

pub(in crate::store) async fn a_drained_agent_gets_no_work_until_it_is_resumed(bench: Bench) {
    bench.submit(1, 9, 1).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.store.control_agent(agent, AgentCommand::Drain).await.unwrap();
    assert_eq!(bench.heartbeat(agent, &[(&lease, Some(1))]).await.agent, AgentOrder::Drain);
    assert_eq!(bench.ask(agent, RequestId::generate()).await.unwrap(), None);
    assert_eq!(bench.store.agents().await.unwrap()[0].state, AgentState::Draining);
    bench.deliver(&lease, 1).await.unwrap();
    bench.store.control_agent(agent, AgentCommand::Resume).await.unwrap();
    assert_eq!(bench.heartbeat(agent, &[]).await.agent, AgentOrder::Run);
    bench.lease(agent).await;
    let unknown = bench.store.control_agent(AgentId::generate(), AgentCommand::Drain).await;
    assert!(matches!(unknown, Err(StoreError::UnknownAgent(_))), "{unknown:?}");
}

pub(in crate::store) async fn an_agent_that_is_set_aside_gets_no_work_until_it_is_resumed(bench: Bench) {
    bench.submit(1, 9, 1).await;
    let agent = bench.agent().await;
    bench.store.control_agent(agent, AgentCommand::SetAside).await.unwrap();
    assert_eq!(bench.store.agents().await.unwrap()[0].state, AgentState::SetAside);
    bench.sleep(100_000);
    assert_eq!(bench.ask(agent, RequestId::generate()).await.unwrap(), None);
    bench.store.control_agent(agent, AgentCommand::Resume).await.unwrap();
    bench.lease(agent).await;
}

pub(in crate::store) async fn only_an_agent_that_is_gone_can_be_forgotten(bench: Bench) {
    let job = bench.submit(1, 9, 1).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    let forget = || bench.store.control_agent(agent, AgentCommand::Forget);
    assert!(matches!(forget().await, Err(StoreError::IllegalMove(_))));
    bench.sleep(21);
    assert_eq!(bench.store.agents().await.unwrap()[0].state, AgentState::Offline);
    forget().await.unwrap();
    assert_eq!(bench.store.agents().await.unwrap(), []);
    assert_eq!(bench.frames(job).await, ["1-9", "", "", ""]);
    let answer = bench.ask(agent, RequestId::generate()).await;
    assert!(matches!(answer, Err(StoreError::UnknownAgent(_))), "{answer:?}");
    // Its finished work still counts, and it can come back.
    assert_eq!(bench.deliver(&lease, 1).await.unwrap(), UploadOutcome::Recorded);
    bench.register(agent, 1).await.unwrap();
    bench.lease(agent).await;
}

pub(in crate::store) async fn lists_are_filtered_and_paged(bench: Bench) {
    let (finished, agent, _) = done(&bench, 1, 3).await;
    let older = bench.submit(1, 1, 1).await;
    let newer = bench.submit(1, 1, 1).await;
    let list = async |state, before, limit| {
        let jobs = bench.store.jobs(JobFilter { sight: Sight::All, state, before, limit }).await.unwrap();
        jobs.iter().map(|job| job.job_id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 10).await, [newer, older, finished]);
    assert_eq!(list(None, None, 2).await, [newer, older]);
    assert_eq!(list(None, Some(older), 2).await, [finished]);
    assert_eq!(list(Some(JobState::Pending), None, 10).await, [newer, older]);
    assert_eq!(list(Some(JobState::Completed), None, 10).await, [finished]);
    assert_eq!(list(Some(JobState::Failed), None, 10).await, []);

    let frames = bench.store.frames(finished, 1, 1).await.unwrap();
    assert_eq!(frames.len(), 1);
    let report = &frames[0].report;
    assert_eq!((report.frame, report.files[0].name.as_str()), (frame(2), "2.png"));
    assert_eq!(report.place, 2);
    assert_eq!(bench.store.agents().await.unwrap()[0].agent_id, agent);
}

pub(in crate::store) async fn events_tell_what_has_changed(mut bench: Bench) {
    use EventKind::*;
    let mut news = bench.store.events_made();
    let job = bench.submit(1, 2, 1).await;
    assert!(news.has_changed().unwrap());
    news.borrow_and_update();
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.fail(&lease, 1, Cause::Crashed).await;
    for _ in 0..2 {
        let lease = bench.lease(agent).await;
        bench.deliver(&lease, lease.frames.first().into()).await.unwrap();
    }
    bench.restart().await;
    let events = bench.store.events(0, 100, Sight::All).await.unwrap().events;
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    let expected = [
        JobSubmitted,
        AgentRegistered,
        BatchLeased,
        AttemptFailed,
        BatchLeased,
        FrameDone,
        BatchLeased,
        FrameDone,
        JobCompleted,
    ];
    assert_eq!(kinds, expected);
    assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!((events[3].job_id, events[3].agent_id, events[3].frame), (Some(job), Some(agent), Some(frame(1))));
    let after = bench.store.events(events[6].id, 1, Sight::All).await.unwrap().events;
    assert_eq!(after, events[7..8]);
    assert_eq!(bench.store.latest_event().await.unwrap(), events[8].id);
}

pub(in crate::store) async fn an_agent_that_leaves_gives_everything_back(bench: Bench) {
    let job = bench.submit(1, 4, 2).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.store.leave(agent, Incarnation(1)).await.unwrap();
    assert_eq!(bench.frames(job).await, ["1-4", "", "", ""]);
    assert_eq!(bench.store.agents().await.unwrap()[0].state, AgentState::Offline);
    assert_eq!(bench.deliver(&lease, 1).await.unwrap(), UploadOutcome::Recorded);
    let late = bench.store.leave(agent, Incarnation(0)).await;
    assert!(matches!(late, Err(StoreError::StaleIncarnation(_))), "{late:?}");
}
