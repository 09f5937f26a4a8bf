//! Who gets which batch, and what goes back unrendered.

use haywain_shared::cause::Cause;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::{AgentId, Incarnation, JobId, LeaseId, RequestId};
use haywain_shared::job::JobState;
use haywain_shared::protocol::{LeaseTiming, UploadOutcome};
use haywain_shared::scene::Manifest;

use super::bench::{Bench, SAMPLE, frame, new_ask, new_job, range};
use crate::store::{Beat, JobCommand, LeaseAsk, NewJob, StoreError};

pub(in crate::store) async fn a_job_is_carved_at_the_lease_and_completes_with_its_last_frame(bench: Bench) {
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

pub(in crate::store) async fn jobs_are_served_in_the_order_of_their_age(bench: Bench) {
    let first = bench.submit(1, 1, 5).await;
    let second = bench.submit(1, 1, 5).await;
    let agent = bench.agent().await;
    assert_eq!(bench.lease(agent).await.job, first);
    assert_eq!(bench.lease(agent).await.job, second);
}

pub(in crate::store) async fn an_agent_gets_the_job_whose_scene_it_has_among_equals(bench: Bench) {
    let older = bench.submit(1, 9, 1).await;
    let manifest = Manifest::of_one_file("b.blend".parse().unwrap(), 7, Sha256Digest::of(b"b"));
    let scene = bench.complete_scene(manifest).await;
    let younger = JobId::generate();
    bench.store.submit(new_job(younger, scene, range(1, 9))).await.unwrap();
    let agent = bench.agent().await;
    let ask = async |warm, cached| {
        let ask = LeaseAsk { warm, cached, ..new_ask(agent, RequestId::generate()) };
        bench.store.lease(ask).await.unwrap().unwrap().job
    };
    assert_eq!(ask(None, vec![]).await, older);
    assert_eq!(ask(None, vec![scene]).await, younger);
    assert_eq!(ask(Some(scene), vec![]).await, younger);
}

pub(in crate::store) async fn a_slot_that_asks_ahead_gets_a_frame_of_another_scene(bench: Bench) {
    let job = bench.submit(1, 10, 5).await;
    let (agent, open) = (bench.agent().await, bench.scene().await);
    let ask =
        |agent, request, warm| LeaseAsk { warm: Some(warm), timing: LeaseTiming::Ahead, ..new_ask(agent, request) };
    let asked = async |agent, warm| bench.store.lease(ask(agent, RequestId::generate(), warm)).await.unwrap();
    let batch = bench.lease(agent).await;
    assert_eq!(asked(agent, open).await, None, "its own job goes on");

    let manifest = Manifest::of_one_file("b.blend".parse().unwrap(), 7, Sha256Digest::of(b"b"));
    let other = bench.complete_scene(manifest).await;
    let urgent = JobId::generate();
    bench.store.submit(NewJob { priority: 1, ..new_job(urgent, other, range(1, 2)) }).await.unwrap();
    let request = RequestId::generate();
    let ahead = bench.store.lease(ask(agent, request, open)).await.unwrap().unwrap();
    assert_eq!((ahead.job, ahead.frames), (urgent, range(1, 1)));
    // A lease like any other: the same request gets it again, a heartbeat renews it, and it can be given back.
    assert_eq!(bench.store.lease(ask(agent, request, open)).await.unwrap(), Some(ahead.clone()));
    assert_eq!(bench.store.lease(new_ask(agent, request)).await.unwrap(), Some(ahead.clone()));
    bench.heartbeat(agent, &[(&batch, Some(5)), (&ahead, None)]).await;
    bench.store.release(ahead.id, vec![frame(1)]).await.unwrap();
    assert_eq!(bench.frames(urgent).await, ["1-2", "", "", ""]);

    // With as many slots as frames each may have one; with more, those that are free sooner come first.
    let second = bench.agent().await;
    bench.store.control_job(job, JobCommand::Pause).await.unwrap();
    let first_ahead = asked(agent, open).await.unwrap();
    assert_eq!(asked(second, open).await, None, "one frame for two slots");
    assert_eq!(bench.lease(second).await.job, urgent);
    // What nobody has named since is not charged.
    bench.pass(21).await;
    let attempts = bench.store.attempts(urgent, Some(first_ahead.frames.first())).await.unwrap();
    assert!(attempts.is_empty(), "{attempts:?}");
}

pub(in crate::store) async fn batches_shrink_with_the_slots_that_are_there(bench: Bench) {
    bench.submit(1, 16, 100).await;
    let agents = [bench.agent().await, bench.agent().await];
    // ceil(16 / 4), ceil(12 / 4), ceil(9 / 4), …
    let sizes = [4, 3, 3, 2, 1, 1, 1, 1];
    for (turn, size) in sizes.into_iter().enumerate() {
        assert_eq!(bench.lease(agents[turn % 2]).await.frames.len(), size, "turn {turn}");
    }
}

pub(in crate::store) async fn the_same_request_gets_the_same_lease(mut bench: Bench) {
    bench.submit(1, 20, 5).await;
    let agent = bench.agent().await;
    let request = RequestId::generate();
    let lease = bench.ask(agent, request).await.unwrap().unwrap();
    assert_eq!(bench.ask(agent, request).await.unwrap().as_ref(), Some(&lease));
    bench.restart().await;
    assert_eq!(bench.ask(agent, request).await.unwrap().as_ref(), Some(&lease));
    assert_ne!(bench.lease(agent).await.frames, lease.frames);
}

pub(in crate::store) async fn a_request_whose_lease_has_ended_is_told_so(bench: Bench) {
    bench.submit(1, 1, 5).await;
    let agent = bench.agent().await;
    let request = RequestId::generate();
    let lease = bench.ask(agent, request).await.unwrap().unwrap();
    bench.store.complete(lease.id).await.unwrap();
    let answer = bench.ask(agent, request).await;
    assert!(matches!(answer, Err(StoreError::LeaseEnded(ended)) if ended == request), "{answer:?}");
}

pub(in crate::store) async fn only_known_agents_in_their_present_life_are_served(mut bench: Bench) {
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

pub(in crate::store) async fn a_scene_must_be_kept_before_it_is_rendered(bench: Bench) {
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

pub(in crate::store) async fn released_frames_are_pending_again(bench: Bench) {
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

pub(in crate::store) async fn completing_a_lease_gives_back_what_is_left(bench: Bench) {
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

pub(in crate::store) async fn whoever_waits_for_work_hears_of_it(bench: Bench) {
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
