//! How leases end without their holder's word, and what outlives a restart.

use haywain_shared::cause::Cause;
use haywain_shared::protocol::UploadOutcome;

use super::bench::{Bench, frame, range};

pub(in crate::store) async fn a_lease_runs_out_without_heartbeats(bench: Bench) {
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

pub(in crate::store) async fn only_the_frame_in_work_is_charged_with_an_expiry(bench: Bench) {
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

pub(in crate::store) async fn a_grant_that_never_arrived_costs_nothing(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    for _ in 0..10 {
        bench.lease(agent).await;
        assert_eq!(bench.pass(20).await, 1);
    }
    assert_eq!(bench.frames(job).await, ["1", "", "", ""]);
}

pub(in crate::store) async fn a_restart_gives_live_leases_a_full_term(mut bench: Bench) {
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

pub(in crate::store) async fn what_was_answered_survives_a_restart(mut bench: Bench) {
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

pub(in crate::store) async fn a_new_life_gives_back_what_the_old_one_held(bench: Bench) {
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
