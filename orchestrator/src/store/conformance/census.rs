//! The farm in numbers.

use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::ids::{JobId, RequestId};
use haywain_shared::job::{AgentState, JobState};
use haywain_shared::protocol::UploadOutcome;

use super::Bench;
use super::bench::range;
use crate::store::{AgentCommand, Erased, JobCommand};

/// Every state that has jobs: how many, and their frames pending, leased, done and failed.
async fn jobs(bench: &Bench) -> Vec<(JobState, u64, [u64; 4])> {
    let census = bench.store.census().await.unwrap();
    assert_eq!(census.jobs.len(), 6, "every state is there");
    let of_states = census.jobs.into_iter().filter(|of_state| of_state.jobs > 0);
    of_states
        .map(|of_state| {
            let frames = of_state.frames;
            (of_state.state, of_state.jobs, [frames.pending, frames.leased, frames.done, frames.failed])
        })
        .collect()
}

async fn control(bench: &Bench, job: JobId, command: JobCommand) {
    bench.store.control_job(job, command).await.unwrap();
}

pub(in crate::store) async fn a_census_counts_every_frame_under_its_job_s_state(mut bench: Bench) {
    use JobState::*;
    assert_eq!(jobs(&bench).await, []);
    let agent = bench.agent().await;
    let first = bench.submit(1, 3, 2).await;
    assert_eq!(jobs(&bench).await, [(Pending, 1, [3, 0, 0, 0])]);
    let lease = bench.lease(agent).await;
    let held = lease.frames.len();
    assert_eq!(jobs(&bench).await, [(Running, 1, [3 - held, held, 0, 0])]);
    for number in lease.frames.iter() {
        bench.deliver(&lease, number.get().into()).await.unwrap();
    }
    while let Some(lease) = bench.ask(agent, RequestId::generate()).await.unwrap() {
        for number in lease.frames.iter() {
            bench.deliver(&lease, number.get().into()).await.unwrap();
        }
    }
    assert_eq!(jobs(&bench).await, [(Completed, 1, [0, 0, 3, 0])]);
    control(&bench, first, JobCommand::Rerender(vec![range(2, 2)])).await;
    assert_eq!(jobs(&bench).await, [(Running, 1, [1, 0, 2, 0])]);
    control(&bench, first, JobCommand::Pause).await;
    assert_eq!(jobs(&bench).await, [(Paused, 1, [1, 0, 2, 0])]);
    control(&bench, first, JobCommand::Cancel).await;
    assert_eq!(jobs(&bench).await, [(Cancelled, 1, [1, 0, 2, 0])]);
    let second = bench.submit(7, 7, 1).await;
    while let Some(lease) = bench.ask(agent, RequestId::generate()).await.unwrap() {
        bench.fail(&lease, 7, Cause::Crashed).await;
    }
    let both = [(Failed, 1, [0, 0, 0, 1]), (Cancelled, 1, [1, 0, 2, 0])];
    assert_eq!(jobs(&bench).await, both);
    bench.restart().await;
    assert_eq!(jobs(&bench).await, both);
    bench.store.remove_job(first).await.unwrap();
    assert_eq!(jobs(&bench).await, [(Failed, 1, [0, 0, 0, 1])]);
    while bench.store.erase_job(first).await.unwrap() == Erased::Some {}
    bench.store.job_erased(first).await.unwrap();
    control(&bench, second, JobCommand::RetryFailed).await;
    assert_eq!(jobs(&bench).await, [(Running, 1, [1, 0, 0, 0])]);
}

pub(in crate::store) async fn a_census_tells_how_long_the_oldest_frame_waits(bench: Bench) {
    async fn waits(bench: &Bench) -> Option<u64> {
        let longest = bench.store.census().await.unwrap().longest_wait;
        longest.as_ref().map(Duration::as_secs)
    }
    assert_eq!(waits(&bench).await, None);
    let first = bench.submit(1, 1, 1).await;
    bench.sleep(10);
    let second = bench.submit(1, 1, 1).await;
    bench.sleep(10);
    assert_eq!(waits(&bench).await, Some(20));
    // What is in work does not wait, and waits anew when it comes back.
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    assert_eq!((lease.job, waits(&bench).await), (first, Some(10)));
    bench.store.complete(lease.id).await.unwrap();
    assert_eq!(waits(&bench).await, Some(10));
    bench.sleep(5);
    assert_eq!(waits(&bench).await, Some(15));
    control(&bench, second, JobCommand::Cancel).await;
    assert_eq!(waits(&bench).await, Some(5));
    // Nor does what somebody has put off.
    control(&bench, first, JobCommand::Pause).await;
    assert_eq!(waits(&bench).await, None);
    bench.sleep(5);
    control(&bench, first, JobCommand::Resume).await;
    bench.sleep(3);
    assert_eq!(waits(&bench).await, Some(3));
    let lease = bench.lease(agent).await;
    bench.deliver(&lease, 1).await.unwrap();
    assert_eq!(waits(&bench).await, None);
}

pub(in crate::store) async fn a_census_counts_agents_and_their_slots(bench: Bench) {
    async fn agents(bench: &Bench) -> Vec<(AgentState, u64, u64)> {
        let census = bench.store.census().await.unwrap();
        census.agents.iter().map(|of_state| (of_state.state, of_state.agents, of_state.slots)).collect()
    }
    use AgentState::*;
    let [one, two, gone] = [bench.agent().await, bench.agent().await, bench.agent().await];
    let all = |online, draining, aside, offline| {
        vec![(Online, online, online), (Draining, draining, draining), (SetAside, aside, aside), (Offline, offline, 0)]
    };
    assert_eq!(agents(&bench).await, all(3, 0, 0, 0));
    bench.store.control_agent(two, AgentCommand::Drain).await.unwrap();
    assert_eq!(agents(&bench).await, all(2, 1, 0, 0));
    bench.store.control_agent(one, AgentCommand::SetAside).await.unwrap();
    bench.pass(21).await;
    bench.heartbeat(one, &[]).await;
    bench.heartbeat(two, &[]).await;
    assert_eq!(agents(&bench).await, all(0, 1, 1, 1));
    bench.store.control_agent(gone, AgentCommand::Forget).await.unwrap();
    assert_eq!(agents(&bench).await, all(0, 1, 1, 0));
    bench.submit(1, 2, 1).await;
    bench.store.control_agent(one, AgentCommand::Resume).await.unwrap();
    bench.lease(one).await;
    assert_eq!(bench.store.census().await.unwrap().leases, 1);
}

pub(in crate::store) async fn the_first_frame_of_a_job_is_told_from_the_others(bench: Bench) {
    bench.submit(1, 2, 1).await;
    bench.sleep(7);
    let agent = bench.agent().await;
    for (number, first_after) in [(1, Some(7)), (2, None)] {
        let lease = bench.lease(agent).await;
        let file = Bench::stored_file(&lease, number, "a.png");
        let delivered = bench.record_whole(&lease, number, vec![file.clone()]).await.unwrap();
        assert_eq!(delivered.outcome, UploadOutcome::Recorded);
        assert_eq!(delivered.first_after.as_ref().map(Duration::as_secs), first_after, "frame {number}");
        let again = bench.record_whole(&lease, number, vec![file]).await.unwrap();
        assert_eq!((again.outcome, again.first_after), (UploadOutcome::AlreadyRecorded, None));
    }
}
