//! What every store promises, as cases that each implementation must pass. A case gets a store of its own, on a clock that
//! stands still until it moves it, and can open that store anew as a restart would.

mod bench;
mod control;
mod renewals;
mod retries;

pub(super) use self::control::*;
pub(super) use self::renewals::*;
pub(super) use self::retries::*;

use haywain_shared::cause::Cause;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::{AgentId, Incarnation, JobId, LeaseId, RequestId};
use haywain_shared::job::JobState;
use haywain_shared::protocol::UploadOutcome;
use haywain_shared::scene::Manifest;

pub(super) use self::bench::{Bench, HEARTBEAT, TTL};
use self::bench::{SAMPLE, frame, new_job, range};
use super::{AgentCommand, Beat, Lease, StoreError};

/// Declares the cases, and a macro that makes each a test of some store.
macro_rules! cases {
    ($($name:ident)*) => {
        macro_rules! conformance_tests {
            ($bench:path) => {
                $(#[tokio::test]
                async fn $name() {
                    $crate::store::conformance::$name($bench().await).await;
                })*
            };
        }
    };
}

cases! {
    a_job_is_carved_at_the_lease_and_completes_with_its_last_frame
    jobs_are_served_in_the_order_of_their_age
    batches_shrink_with_the_slots_that_are_there
    the_same_request_gets_the_same_lease
    a_request_whose_lease_has_ended_is_told_so
    only_known_agents_in_their_present_life_are_served
    a_scene_must_be_kept_before_it_is_rendered
    a_frame_is_recorded_once
    an_ended_lease_can_still_deliver
    a_late_frame_takes_the_work_from_its_new_holder
    a_frame_must_be_the_lease_s
    a_lease_runs_out_without_heartbeats
    only_the_frame_in_work_is_charged_with_an_expiry
    a_grant_that_never_arrived_costs_nothing
    a_restart_gives_live_leases_a_full_term
    what_was_answered_survives_a_restart
    a_new_life_gives_back_what_the_old_one_held
    failures_send_a_frame_round_until_it_is_given_up
    a_repeated_failure_counts_once
    a_late_failure_changes_nothing
    the_scene_s_fault_fails_the_job
    a_failed_frame_that_comes_back_after_all_completes_the_job
    released_frames_are_pending_again
    completing_a_lease_gives_back_what_is_left
    whoever_waits_for_work_hears_of_it
    unfinished_jobs_name_their_blobs
    a_repeated_submission_is_the_same_job
    urgent_jobs_are_served_first
    a_cancelled_job_is_over_at_once
    a_paused_job_gives_nothing_out
    moves_that_make_no_sense_are_refused
    retried_frames_start_afresh
    a_rerender_raises_the_generation
    a_delivery_of_an_earlier_generation_is_superseded
    a_drained_agent_gets_no_work_until_it_is_resumed
    an_agent_that_is_set_aside_gets_no_work_until_it_is_resumed
    only_an_agent_that_is_gone_can_be_forgotten
    an_agent_that_leaves_gives_everything_back
    lists_are_filtered_and_paged
    events_tell_what_has_changed
    the_frame_in_work_is_readopted_unless_somebody_has_it
    a_readoption_survives_the_loss_of_its_answer
    a_repeated_request_renews_the_lease_that_it_gets
    an_overtaken_heartbeat_changes_nothing
    a_lease_that_its_agent_does_not_name_goes_back_without_an_attempt
    a_cancelled_job_s_leases_are_revoked
    a_silent_agent_s_frame_is_backed_up_and_the_first_to_deliver_wins
    a_frame_is_pending_again_only_when_primary_and_backup_have_both_ended
    a_backup_that_fails_leaves_the_frame_with_its_primary
    a_failed_frame_goes_to_another_agent_first
    a_frame_that_ran_out_of_memory_goes_to_a_larger_machine
    a_job_says_how_often_its_frames_are_tried
    a_scene_is_blamed_only_with_a_second_opinion
    an_agent_that_fails_on_several_jobs_is_set_aside_and_forgiven
    attempts_are_kept
}

pub(super) async fn a_job_is_carved_at_the_lease_and_completes_with_its_last_frame(bench: Bench) {
    let job = bench.submit(-2, 3, 4).await;
    assert_eq!(bench.job(job).await.state, JobState::Pending);
    assert_eq!(bench.frames(job).await, ["-2..3", "", "", ""]);

    let agent = bench.agent().await;
    let first = bench.lease(agent).await;
    assert_eq!(first.frames, range(-2, 0));
    assert_eq!(bench.frames(job).await, ["1-3", "-2..0", "", ""]);
    assert_eq!(bench.job(job).await.state, JobState::Running);
    for number in -2..=0 {
        assert_eq!(bench.deliver(&first, number).await.unwrap(), UploadOutcome::Recorded);
    }
    let mut epoch = first.epoch;
    for number in 1..=3 {
        let lease = bench.lease(agent).await;
        assert!(lease.epoch > epoch, "epochs only rise");
        epoch = lease.epoch;
        for frame in lease.frames.iter() {
            bench.deliver(&lease, frame.into()).await.unwrap();
        }
        if lease.frames.contains(frame(3)) {
            break;
        }
        assert_eq!(bench.job(job).await.state, JobState::Running, "after frame {number}");
    }
    let done = bench.job(job).await;
    assert_eq!(done.state, JobState::Completed);
    assert!(done.ended_at.is_some() && done.batches.is_empty());
    assert_eq!((done.agents[0].frames, done.agents[0].render_ms), (6, 600));
    assert_eq!(bench.ask(agent, RequestId::generate()).await.unwrap(), None);
}

pub(super) async fn jobs_are_served_in_the_order_of_their_age(bench: Bench) {
    let first = bench.submit(1, 1, 5).await;
    let second = bench.submit(1, 1, 5).await;
    let agent = bench.agent().await;
    assert_eq!(bench.lease(agent).await.job, first);
    assert_eq!(bench.lease(agent).await.job, second);
}

pub(super) async fn batches_shrink_with_the_slots_that_are_there(bench: Bench) {
    bench.submit(1, 16, 100).await;
    let agents = [bench.agent().await, bench.agent().await];
    // ceil(16 / 4), ceil(12 / 4), ceil(9 / 4), …
    let sizes = [4, 3, 3, 2, 1, 1, 1, 1];
    for (turn, size) in sizes.into_iter().enumerate() {
        assert_eq!(bench.lease(agents[turn % 2]).await.frames.len(), size, "turn {turn}");
    }
}

pub(super) async fn the_same_request_gets_the_same_lease(mut bench: Bench) {
    bench.submit(1, 20, 5).await;
    let agent = bench.agent().await;
    let request = RequestId::generate();
    let lease = bench.ask(agent, request).await.unwrap().unwrap();
    assert_eq!(bench.ask(agent, request).await.unwrap().as_ref(), Some(&lease));
    bench.restart().await;
    assert_eq!(bench.ask(agent, request).await.unwrap().as_ref(), Some(&lease));
    assert_ne!(bench.lease(agent).await.frames, lease.frames);
}

pub(super) async fn a_request_whose_lease_has_ended_is_told_so(bench: Bench) {
    bench.submit(1, 1, 5).await;
    let agent = bench.agent().await;
    let request = RequestId::generate();
    let lease = bench.ask(agent, request).await.unwrap().unwrap();
    bench.store.complete(lease.id).await.unwrap();
    let answer = bench.ask(agent, request).await;
    assert!(matches!(answer, Err(StoreError::LeaseEnded(ended)) if ended == request), "{answer:?}");
}

pub(super) async fn only_known_agents_in_their_present_life_are_served(mut bench: Bench) {
    bench.submit(1, 9, 1).await;
    let stranger = AgentId::generate();
    let answer = bench.ask(stranger, RequestId::generate()).await;
    assert!(matches!(answer, Err(StoreError::UnknownAgent(_))), "{answer:?}");

    let agent = bench.agent().await;
    bench.register(agent, 2).await.unwrap();
    let beat = Beat { agent, incarnation: Incarnation(1), sequence: 0, slots: 1, sample: SAMPLE, held: Vec::new() };
    for restart in [false, true] {
        if restart {
            bench.restart().await;
        }
        let answer = bench.ask(agent, RequestId::generate()).await;
        assert!(matches!(answer, Err(StoreError::StaleIncarnation(_))), "{answer:?}");
        let answer = bench.store.renew(beat.clone()).await;
        assert!(matches!(answer, Err(StoreError::StaleIncarnation(_))), "{answer:?}");
        let answer = bench.register(agent, 1).await;
        assert!(matches!(answer, Err(StoreError::StaleIncarnation(_))), "{answer:?}");
    }
    let stranger = Beat { agent: stranger, ..beat };
    let answer = bench.store.renew(stranger).await;
    assert!(matches!(answer, Err(StoreError::UnknownAgent(_))), "{answer:?}");
}

pub(super) async fn a_scene_must_be_kept_before_it_is_rendered(bench: Bench) {
    let manifest = Manifest::of_one_file("b.blend".parse().unwrap(), 7, Sha256Digest::of(b"b"));
    let scene = manifest.id();
    let job = new_job(JobId::generate(), scene, range(1, 1));
    let answer = bench.store.submit(job.clone()).await;
    assert!(matches!(answer, Err(StoreError::UnknownScene(_))), "{answer:?}");
    assert!(matches!(bench.store.scene(scene).await, Err(StoreError::UnknownScene(_))));
    assert!(bench.store.job(job.id).await.unwrap().is_none());

    assert_eq!(bench.complete_scene(manifest.clone()).await, scene);
    assert_eq!(bench.complete_scene(manifest.clone()).await, scene);
    assert_eq!(bench.store.scene(scene).await.unwrap(), manifest);
    bench.store.submit(job).await.unwrap();
}

pub(super) async fn a_frame_is_recorded_once(bench: Bench) {
    let job = bench.submit(1, 2, 5).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    let foresee = || bench.store.foresee(lease.id, job, frame(1), 1);
    assert_eq!(foresee().await.unwrap(), None);
    assert_eq!(bench.deliver(&lease, 1).await.unwrap(), UploadOutcome::Recorded);
    assert_eq!(foresee().await.unwrap(), Some(UploadOutcome::AlreadyRecorded));
    assert_eq!(bench.deliver(&lease, 1).await.unwrap(), UploadOutcome::AlreadyRecorded);
    assert_eq!(bench.job(job).await.agents[0].frames, 1);
}

pub(super) async fn an_ended_lease_can_still_deliver(bench: Bench) {
    let job = bench.submit(1, 3, 5).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    assert_eq!(lease.frames, range(1, 2));
    bench.store.complete(lease.id).await.unwrap();
    assert_eq!(bench.frames(job).await, ["1-3", "", "", ""]);
    assert_eq!(bench.deliver(&lease, 2).await.unwrap(), UploadOutcome::Recorded);
    assert_eq!(bench.frames(job).await, ["1 3", "", "2", ""]);
}

pub(super) async fn a_late_frame_takes_the_work_from_its_new_holder(bench: Bench) {
    let job = bench.submit(1, 1, 5).await;
    let (slow, fast) = (bench.agent().await, bench.agent().await);
    let old = bench.lease(slow).await;
    bench.store.complete(old.id).await.unwrap();
    let new = bench.lease(fast).await;
    assert_eq!(bench.beat(fast, &new, Some(1)).await, [range(1, 1)]);

    assert_eq!(bench.deliver(&old, 1).await.unwrap(), UploadOutcome::Recorded);
    assert_eq!(bench.beat(fast, &new, Some(1)).await, []);
    assert_eq!(bench.store.foresee(new.id, job, frame(1), 1).await.unwrap(), Some(UploadOutcome::Superseded));
    assert_eq!(bench.deliver(&new, 1).await.unwrap(), UploadOutcome::Superseded);
    assert_eq!(bench.job(job).await.state, JobState::Completed);
}

pub(super) async fn a_frame_must_be_the_lease_s(bench: Bench) {
    let job = bench.submit(1, 2, 1).await;
    let other = bench.submit(1, 2, 1).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    assert_eq!((lease.job, lease.frames), (job, range(1, 1)));
    for (lease, number) in [
        (lease.clone(), 2),
        (Lease { job: other, ..lease.clone() }, 1),
        (Lease { job: JobId::generate(), ..lease.clone() }, 1),
    ] {
        let answer = bench.deliver(&lease, number).await;
        assert!(matches!(answer, Err(StoreError::NotInLease { .. })), "{answer:?}");
    }
    let unknown = Lease { id: LeaseId::generate(), ..lease.clone() };
    let answer = bench.deliver(&unknown, 1).await;
    assert!(matches!(answer, Err(StoreError::UnknownLease(_))), "{answer:?}");
}

pub(super) async fn a_lease_runs_out_without_heartbeats(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let (agent, stranger) = (bench.agent().await, bench.agent().await);
    let lease = bench.lease(agent).await;
    bench.beat(agent, &lease, None).await;
    for _ in 0..4 {
        assert_eq!(bench.pass(19).await, 0);
        assert_eq!(bench.beat(agent, &lease, Some(1)).await, [range(1, 1)]);
        // Another agent's word for it is worth nothing.
        bench.beat(stranger, &lease, Some(1)).await;
    }
    assert_eq!(bench.pass(19).await, 0);
    assert_eq!(bench.beat(stranger, &lease, Some(1)).await, []);
    assert_eq!(bench.frames(job).await, ["", "1", "", ""]);
    assert_eq!(bench.pass(1).await, 1);
    assert_eq!(bench.frames(job).await, ["1", "", "", ""]);
    assert_eq!(bench.beat(agent, &lease, None).await, []);
}

pub(super) async fn only_the_frame_in_work_is_charged_with_an_expiry(bench: Bench) {
    let job = bench.submit(1, 6, 3).await;
    let agent = bench.agent().await;
    // The cap for expiries is five: after that, the frame is given up. Its neighbours go on.
    for round in 1..=5 {
        let lease = bench.lease(agent).await;
        assert!(lease.frames.contains(frame(2)), "round {round}: {}", lease.frames);
        if round == 1 {
            bench.deliver(&lease, 1).await.unwrap();
        }
        bench.beat(agent, &lease, Some(2)).await;
        assert_eq!(bench.pass(20).await, 1);
    }
    assert_eq!(bench.frames(job).await, ["3-6", "", "1", "2"]);
    let failures = bench.job(job).await.failures;
    assert_eq!((failures.len(), failures[0].cause, failures[0].attempts), (1, Cause::LeaseExpired, 5));
}

pub(super) async fn a_grant_that_never_arrived_costs_nothing(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    for _ in 0..10 {
        bench.lease(agent).await;
        assert_eq!(bench.pass(20).await, 1);
    }
    assert_eq!(bench.frames(job).await, ["1", "", "", ""]);
}

pub(super) async fn a_restart_gives_live_leases_a_full_term(mut bench: Bench) {
    bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    assert_eq!(bench.pass(19).await, 0);
    bench.sleep(1000);
    bench.restart().await;
    assert_eq!(bench.pass(19).await, 0);
    assert_eq!(bench.beat(agent, &lease, Some(1)).await, [range(1, 1)]);
    assert_eq!(bench.pass(19).await, 0);
    assert_eq!(bench.pass(1).await, 1);
}

pub(super) async fn what_was_answered_survives_a_restart(mut bench: Bench) {
    let job = bench.submit(1, 9, 3).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.deliver(&lease, 1).await.unwrap();
    bench.fail(&lease, 2, Cause::Crashed).await;
    let before = bench.job(job).await;
    bench.restart().await;
    let after = bench.job(job).await;
    assert_eq!(after.frames, before.frames);
    assert_eq!(bench.frames(job).await, ["2 4-9", "3", "1", ""]);
    assert_eq!(bench.deliver(&lease, 3).await.unwrap(), UploadOutcome::Recorded);
    assert!(bench.lease(agent).await.epoch > lease.epoch, "an epoch is never drawn twice");
}

pub(super) async fn a_new_life_gives_back_what_the_old_one_held(bench: Bench) {
    let job = bench.submit(1, 4, 2).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.deliver(&lease, 1).await.unwrap();
    // Registering again in the same life ends nothing.
    bench.register(agent, 1).await.unwrap();
    assert_eq!(bench.frames(job).await, ["3-4", "2", "1", ""]);
    bench.register(agent, 2).await.unwrap();
    assert_eq!(bench.frames(job).await, ["2-4", "", "1", ""]);
    assert_eq!(bench.job(job).await.failures, []);
}

pub(super) async fn failures_send_a_frame_round_until_it_is_given_up(bench: Bench) {
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

pub(super) async fn a_repeated_failure_counts_once(bench: Bench) {
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

pub(super) async fn a_late_failure_changes_nothing(bench: Bench) {
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

pub(super) async fn the_scene_s_fault_fails_the_job(bench: Bench) {
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

pub(super) async fn a_failed_frame_that_comes_back_after_all_completes_the_job(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.fail(&lease, 1, Cause::BadScene).await;
    assert_eq!(bench.job(job).await.state, JobState::Failed);
    assert_eq!(bench.deliver(&lease, 1).await.unwrap(), UploadOutcome::Recorded);
    assert_eq!(bench.job(job).await.state, JobState::Completed);
}

pub(super) async fn released_frames_are_pending_again(bench: Bench) {
    let job = bench.submit(1, 8, 4).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    assert_eq!(lease.frames, range(1, 4));
    // Frames that the lease does not hold are passed over: others may have them.
    let frames = [2, 3, 7].map(frame).to_vec();
    bench.store.release(lease.id, frames.clone()).await.unwrap();
    assert_eq!(bench.frames(job).await, ["2-3 5-8", "1 4", "", ""]);
    bench.store.release(lease.id, frames).await.unwrap();
    assert_eq!(bench.frames(job).await, ["2-3 5-8", "1 4", "", ""]);
}

pub(super) async fn completing_a_lease_gives_back_what_is_left(bench: Bench) {
    let job = bench.submit(1, 4, 2).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.deliver(&lease, 1).await.unwrap();
    for _ in 0..2 {
        bench.store.complete(lease.id).await.unwrap();
        assert_eq!(bench.frames(job).await, ["2-4", "", "1", ""]);
    }
    let unknown = bench.store.complete(LeaseId::generate()).await;
    assert!(matches!(unknown, Err(StoreError::UnknownLease(_))), "{unknown:?}");
}

pub(super) async fn whoever_waits_for_work_hears_of_it(bench: Bench) {
    let mut work = bench.store.work_made();
    let agent = bench.agent().await;
    let mut heard = |what: &str, expected: bool| {
        assert_eq!(work.has_changed().unwrap(), expected, "{what}");
        work.borrow_and_update();
    };
    heard("a registration", false);
    bench.submit(1, 8, 1).await;
    heard("a submission", true);
    let lease = bench.lease(agent).await;
    heard("a grant", false);
    bench.deliver(&lease, 1).await.unwrap();
    heard("a frame", false);
    let lease = bench.lease(agent).await;
    bench.fail(&lease, 2, Cause::Crashed).await;
    heard("a failure", true);
    let lease = bench.lease(agent).await;
    bench.store.release(lease.id, vec![frame(2)]).await.unwrap();
    heard("a release", true);
    bench.lease(agent).await;
    bench.pass(20).await;
    heard("an expiry", true);
    bench.lease(agent).await;
    bench.register(agent, 2).await.unwrap();
    heard("a new life", true);
}

pub(super) async fn unfinished_jobs_name_their_blobs(bench: Bench) {
    let untouched = bench.submit(1, 1, 1).await;
    let finished = bench.submit(1, 1, 1).await;
    let begun = bench.submit(1, 2, 1).await;
    let agent = bench.agent().await;
    let mut keys = std::collections::HashMap::new();
    for number in [1, 1, 1] {
        let lease = bench.lease(agent).await;
        if lease.job != untouched {
            bench.deliver(&lease, number).await.unwrap();
        }
        keys.insert(lease.job, format!("frames/{}/{number}.png", lease.id));
    }
    let mut unfinished = bench.store.unfinished_jobs().await.unwrap();
    unfinished.sort();
    assert_eq!(unfinished, [(untouched, vec![]), (begun, vec![keys[&begun].clone()])]);
    assert_eq!(bench.job(finished).await.state, JobState::Completed);
}
