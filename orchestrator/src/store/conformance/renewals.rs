//! What a heartbeat does, besides renewing.

use haywain_shared::cause::Cause;
use haywain_shared::ids::{AgentId, Incarnation, JobId, RequestId};
use haywain_shared::protocol::{Abilities, Backups, HeldLease, LeaseStanding, RevokedReason, UploadOutcome};

use super::Bench;
use super::bench::{SAMPLE, range};
use crate::store::{Beat, JobCommand, Lease};

pub(in crate::store) async fn the_frame_in_work_is_readopted_unless_somebody_has_it(bench: Bench) {
    let job = bench.submit(1, 9, 2).await;
    let (slow, fast) = (bench.agent().await, bench.agent().await);
    let old = bench.lease(slow).await;
    assert_eq!(old.frames, range(1, 2));
    bench.beat(slow, &old, Some(2)).await;
    assert_eq!(bench.pass(20).await, 1);
    assert_eq!(bench.frames(job).await, ["1-9", "", "", ""]);

    let LeaseStanding::Readopted { grant } = bench.standing(slow, &old, Some(2)).await else { panic!() };
    assert_eq!((grant.frames, grant.job_id, grant.generation), (range(2, 2), job, 1));
    assert!(grant.lease_id != old.id && grant.epoch > old.epoch);
    assert_eq!(bench.frames(job).await, ["1 3-9", "2", "", ""]);

    // Frame 1 goes to another agent; nobody works on anything under the old lease any more.
    let ended = LeaseStanding::Revoked { reason: RevokedReason::Ended };
    let new = bench.lease(fast).await;
    assert_eq!(new.frames, range(1, 1));
    assert_eq!(bench.standing(slow, &old, Some(1)).await, ended);
    assert_eq!(bench.standing(slow, &old, None).await, ended);
    assert_eq!(bench.standing(slow, &old, Some(7)).await, ended, "frame 7 was never part of it");
    // What was finished under it still counts.
    assert_eq!(bench.deliver(&old, 2).await.unwrap(), UploadOutcome::Recorded);
    assert_eq!(bench.standing(slow, &old, Some(2)).await, ended);
    // And nobody adopts another agent's frame.
    assert_eq!(bench.standing(fast, &old, Some(2)).await, LeaseStanding::Revoked { reason: RevokedReason::Unknown });
}

pub(in crate::store) async fn a_readoption_survives_the_loss_of_its_answer(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    let old = bench.lease(agent).await;
    bench.beat(agent, &old, Some(1)).await;
    assert_eq!(bench.pass(20).await, 1);
    let first = bench.standing(agent, &old, Some(1)).await;
    let LeaseStanding::Readopted { grant } = &first else { panic!("{first:?}") };
    // The agent has not heard of its new lease, and goes on naming the old one: for far longer than a lease lasts.
    for _ in 0..20 {
        assert_eq!(bench.pass(5).await, 0);
        assert_eq!(bench.standing(agent, &old, Some(1)).await, first);
    }
    assert_eq!(bench.frames(job).await, ["", "1", "", ""]);
    let new = Lease { id: grant.lease_id, ..old.clone() };
    assert_eq!(bench.deliver(&new, 1).await.unwrap(), UploadOutcome::Recorded);
    let ended = LeaseStanding::Revoked { reason: RevokedReason::Ended };
    assert_eq!(bench.standing(agent, &old, Some(1)).await, ended);
}

pub(in crate::store) async fn a_repeated_request_renews_the_lease_that_it_gets(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    let request = RequestId::generate();
    let lease = bench.ask(agent, request).await.unwrap();
    for _ in 0..5 {
        assert_eq!(bench.pass(19).await, 0);
        // The agent counts a full term from each time that it asks.
        assert_eq!(bench.ask(agent, request).await.unwrap(), lease);
    }
    assert_eq!(bench.pass(19).await, 0);
    assert_eq!(bench.pass(1).await, 1);
    assert_eq!(bench.frames(job).await, ["1", "", "", ""]);
}

pub(in crate::store) async fn an_overtaken_heartbeat_changes_nothing(bench: Bench) {
    let job = bench.submit(1, 9, 1).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    let beat = |sequence, held| Beat { agent, incarnation: Incarnation(1), sequence, slots: 1, sample: SAMPLE, held };
    let named = HeldLease { lease_id: lease.id, frame: None, fraction: 0.0, frames_done: 0, log_tail: String::new() };
    bench.store.renew(beat(7, vec![named])).await.unwrap();
    bench.pass(6).await;
    // It was sent before the lease had come.
    assert_eq!(bench.store.renew(beat(6, vec![])).await.unwrap().leases, []);
    assert_eq!(bench.frames(job).await, ["2-9", "1", "", ""]);
    bench.store.renew(beat(8, vec![])).await.unwrap();
    assert_eq!(bench.frames(job).await, ["1-9", "", "", ""]);
}

pub(in crate::store) async fn a_lease_that_its_agent_does_not_name_goes_back_without_an_attempt(bench: Bench) {
    let job = bench.submit(1, 9, 1).await;
    let agent = bench.agent().await;
    let lost = bench.lease(agent).await;
    let known = bench.lease(agent).await;
    // A lease may still be on its way to the agent: for a heartbeat interval nobody minds.
    assert_eq!(bench.pass(5).await, 0);
    bench.heartbeat(agent, &[(&known, Some(2))]).await;
    assert_eq!(bench.frames(job).await, ["3-9", "1-2", "", ""]);
    assert_eq!(bench.pass(1).await, 0);
    bench.heartbeat(agent, &[(&known, Some(2))]).await;
    assert_eq!(bench.frames(job).await, ["1 3-9", "2", "", ""]);
    assert_eq!(bench.store.attempts(job, None).await.unwrap(), []);
    assert_eq!(bench.deliver(&lost, 1).await.unwrap(), UploadOutcome::Recorded);
}

pub(in crate::store) async fn a_cancelled_job_s_leases_are_revoked(bench: Bench) {
    let job = bench.submit(1, 9, 1).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.store.control_job(job, JobCommand::Cancel).await.unwrap();
    assert_eq!(
        bench.standing(agent, &lease, Some(1)).await,
        LeaseStanding::Revoked { reason: RevokedReason::JobCancelled }
    );
}

/// A job of ten frames, the first in work at an agent that has been silent for 11 s, and in backup at another.
async fn backed_up(bench: &Bench) -> (JobId, [AgentId; 2], [Lease; 2]) {
    let job = bench.submit(1, 10, 10).await;
    let (silent, idle) = (bench.agent().await, bench.agent().await);
    let primary = bench.lease(silent).await;
    let mut others = Vec::new();
    while let Some(lease) = bench.ask(idle, RequestId::generate()).await.unwrap() {
        others.push(lease);
    }
    bench.beat(silent, &primary, Some(1)).await;
    let beats = async || {
        let held: Vec<_> = others.iter().map(|lease| (lease, None)).collect();
        bench.heartbeat(idle, &held).await;
    };
    for _ in 0..2 {
        beats().await;
        bench.pass(5).await;
    }
    beats().await;
    assert_eq!(bench.ask(idle, RequestId::generate()).await.unwrap(), None, "two heartbeats are not missed yet");
    let mut work = bench.store.work_made();
    work.borrow_and_update();
    bench.pass(1).await;
    assert!(work.has_changed().unwrap(), "an idle agent hears of it");
    let backup = bench.lease(idle).await;
    assert_eq!((backup.job, backup.frames, backup.generation), (job, range(1, 1), 1));
    assert_eq!(bench.ask(idle, RequestId::generate()).await.unwrap(), None, "one backup, and one frame in ten");
    for lease in others {
        for frame in lease.frames.iter() {
            bench.deliver(&lease, frame.into()).await.unwrap();
        }
    }
    (job, [silent, idle], [primary, backup])
}

pub(in crate::store) async fn a_silent_agent_s_frame_is_backed_up_and_the_first_to_deliver_wins(bench: Bench) {
    let (job, [silent, idle], [primary, backup]) = backed_up(&bench).await;
    let leased = bench.job(job).await.counts.leased;
    assert_eq!(leased, primary.frames.len());
    assert_eq!(bench.beat(idle, &backup, Some(1)).await, [range(1, 1)]);
    assert_eq!(bench.beat(silent, &primary, Some(1)).await, [primary.frames]);
    assert_eq!(bench.deliver(&backup, 1).await.unwrap(), UploadOutcome::Recorded);
    assert_eq!(bench.job(job).await.counts.leased, leased - 1);
    assert_eq!(bench.deliver(&primary, 1).await.unwrap(), UploadOutcome::Superseded);
    assert_eq!(bench.job(job).await.failures, []);
}

pub(in crate::store) async fn an_agent_that_declines_backups_gets_none(bench: Bench) {
    let (silent, desk, idle) = (bench.agent().await, AgentId::generate(), bench.agent().await);
    let declines = Abilities { backups: Backups::Declined, ..Abilities::default() };
    bench.register_with(desk, 1, declines).await.unwrap();
    bench.submit(1, 1, 1).await;
    let primary = bench.lease(silent).await;
    bench.beat(silent, &primary, Some(1)).await;
    for _ in 0..11 {
        bench.heartbeat(desk, &[]).await;
        bench.heartbeat(idle, &[]).await;
        bench.pass(1).await;
    }
    assert_eq!(bench.ask(desk, RequestId::generate()).await.unwrap(), None);
    assert_eq!(bench.lease(idle).await.frames, primary.frames);
    // Frames that nobody has in work are another matter.
    bench.submit(1, 1, 1).await;
    bench.lease(desk).await;
}

pub(in crate::store) async fn a_frame_is_pending_again_only_when_primary_and_backup_have_both_ended(bench: Bench) {
    let (job, [_, idle], [primary, backup]) = backed_up(&bench).await;
    // The primary runs out while the backup lives.
    for _ in 0..2 {
        bench.beat(idle, &backup, Some(1)).await;
        bench.pass(5).await;
    }
    let [pending, leased, ..] = bench.frames(job).await;
    assert_eq!(leased, "1");
    assert!(!pending.starts_with('1'), "{pending}");
    // A failure of the backup, with the primary gone, frees it.
    bench.fail(&backup, 1, Cause::Crashed).await;
    assert!(bench.frames(job).await[0].starts_with('1'));
    assert_eq!(bench.deliver(&primary, 1).await.unwrap(), UploadOutcome::Recorded);
}

pub(in crate::store) async fn a_backup_that_fails_leaves_the_frame_with_its_primary(bench: Bench) {
    let (job, [silent, _], [primary, backup]) = backed_up(&bench).await;
    let before = bench.frames(job).await;
    bench.fail(&backup, 1, Cause::Crashed).await;
    assert_eq!(bench.frames(job).await, before);
    assert_eq!(bench.beat(silent, &primary, Some(1)).await, [primary.frames]);
    assert_eq!(bench.deliver(&primary, 1).await.unwrap(), UploadOutcome::Recorded);
}
