//! Frames that come back: which are recorded, under which lease, and where their files are.

use haywain_shared::cause::Cause;
use haywain_shared::ids::{JobId, LeaseId};
use haywain_shared::job::JobState;
use haywain_shared::protocol::UploadOutcome;

use super::bench::{Bench, frame, range};
use crate::blobs::JobFiles;
use crate::store::{Lease, StoreError};

pub(in crate::store) async fn a_frame_is_recorded_once(bench: Bench) {
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

pub(in crate::store) async fn of_files_with_one_name_the_latest_is_told(bench: Bench) {
    let job = bench.submit(1, 4, 4).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    for (number, names) in [(2, ["shared.png", "2.png"]), (1, ["shared.png", "1.png"])] {
        let files = names.map(|name| Bench::stored_file(&lease, number, name)).to_vec();
        assert_eq!(bench.record(&lease, number, files).await.unwrap(), UploadOutcome::Recorded);
    }
    let ask = |names: [&str; 3]| names.map(|name| name.parse().unwrap()).to_vec();
    let key = |number: i64, name: &str| Bench::stored_file(&lease, number, name).blob_key;
    let named = bench.store.files_named(job, ask(["2.png", "none.png", "shared.png"])).await.unwrap();
    let expected = [("2.png", key(2, "2.png")), ("shared.png", key(1, "shared.png"))];
    assert_eq!(named, expected.map(|(name, key)| (name.parse().unwrap(), key)));
    assert_eq!(bench.store.files_named(JobId::generate(), ask(["1.png", "2.png", "shared.png"])).await.unwrap(), []);
}

pub(in crate::store) async fn an_ended_lease_can_still_deliver(bench: Bench) {
    let job = bench.submit(1, 3, 5).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    assert_eq!(lease.frames, range(1, 2));
    bench.store.complete(lease.id).await.unwrap();
    assert_eq!(bench.frames(job).await, ["1-3", "", "", ""]);
    assert_eq!(bench.deliver(&lease, 2).await.unwrap(), UploadOutcome::Recorded);
    assert_eq!(bench.frames(job).await, ["1 3", "", "2", ""]);
}

pub(in crate::store) async fn a_late_frame_takes_the_work_from_its_new_holder(bench: Bench) {
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

pub(in crate::store) async fn a_frame_must_be_the_lease_s(bench: Bench) {
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

pub(in crate::store) async fn a_failed_frame_that_comes_back_after_all_completes_the_job(bench: Bench) {
    let job = bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.fail(&lease, 1, Cause::BadScene).await;
    assert_eq!(bench.job(job).await.state, JobState::Failed);
    assert_eq!(bench.deliver(&lease, 1).await.unwrap(), UploadOutcome::Recorded);
    assert_eq!(bench.job(job).await.state, JobState::Completed);
}

pub(in crate::store) async fn jobs_under_way_name_their_files(bench: Bench) {
    let finished = bench.submit(1, 1, 1).await;
    let agent = bench.agent().await;
    bench.deliver(&bench.lease(agent).await, 1).await.unwrap();
    bench.pass(120).await;
    let untouched = bench.submit(1, 1, 1).await;
    let ended = bench.submit(1, 1, 1).await;
    let begun = bench.submit(1, 2, 1).await;
    let mut keys = std::collections::HashMap::new();
    for _ in 0..3 {
        let lease = bench.lease(agent).await;
        if lease.job != untouched {
            bench.deliver(&lease, 1).await.unwrap();
        }
        keys.insert(lease.job, ("1.png".parse().unwrap(), Bench::stored_file(&lease, 1, "1.png").blob_key));
    }
    let files = |job, outputs| JobFiles { job, name: None, outputs, others: vec![] };
    let expected =
        [files(untouched, vec![]), files(ended, vec![keys[&ended].clone()]), files(begun, vec![keys[&begun].clone()])];
    assert_eq!(bench.store.jobs_under_way().await.unwrap(), expected);
    assert_eq!(bench.job(finished).await.state, JobState::Completed);
}
