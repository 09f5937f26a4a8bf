//! Scenes, their blobs, and what becomes of both and of jobs when nobody needs them any more.

use std::time::Duration;

use haywain_shared::digest::Sha256Digest;
use haywain_shared::ids::JobId;
use haywain_shared::job::JobState;
use haywain_shared::options::{Allowance, RenderOptions};
use haywain_shared::scene::{BlobRef, Manifest, SceneFile, SceneId};

use super::bench::{Bench, new_job, range};
use crate::store::{
    BlobStanding, Erased, Idempotency, JobCommand, JobFilter, NewJob, Novelty, SceneFilter, Sight, StoreError,
};

const DAY: Duration = Duration::from_hours(24);

fn blob(text: &str) -> BlobRef {
    BlobRef { sha256: Sha256Digest::of(text.as_bytes()), size_bytes: text.len() as u64 }
}

/// A scene whose files have their names for their content.
fn manifest(paths: &[&str]) -> Manifest {
    let file = |path: &&str| SceneFile {
        path: path.parse().unwrap(),
        size_bytes: path.len() as u64,
        sha256: Sha256Digest::of(path.as_bytes()),
    };
    let files = paths.iter().map(file).collect();
    Manifest { entry: paths[0].parse().unwrap(), files, places: Vec::new(), color_config: None, missing: Vec::new() }
}

async fn standing(bench: &Bench, text: &str) -> BlobStanding {
    bench.store.blob(blob(text).sha256).await.unwrap()
}

async fn missing(bench: &Bench, scene: SceneId) -> Vec<BlobRef> {
    bench.store.scene_report(scene, Sight::All).await.unwrap().missing_blobs
}

fn listed(limit: u32) -> SceneFilter {
    SceneFilter { sight: Sight::All, before: None, limit }
}

pub(in crate::store) async fn a_scene_says_which_of_its_blobs_are_missing(mut bench: Bench) {
    let manifest = manifest(&["a.blend", "b.png"]);
    let kept = bench.store.keep_scene(manifest.clone(), Sight::All).await.unwrap();
    let scene = kept.report.scene_id;
    assert_eq!((kept.novelty, &kept.report.manifest, kept.report.size_bytes), (Novelty::New, &manifest, 12));
    assert_eq!(kept.report.missing_blobs, manifest.blobs().into_iter().collect::<Vec<_>>());
    bench.store.blob_arrived(blob("a.blend")).await.unwrap();
    bench.restart().await;
    assert_eq!(missing(&bench, scene).await, [blob("b.png")]);
    assert!(!bench.store.scenes(listed(9)).await.unwrap()[0].complete);
    bench.store.blob_arrived(blob("b.png")).await.unwrap();
    let kept = bench.store.keep_scene(manifest, Sight::All).await.unwrap();
    assert_eq!((kept.novelty, kept.report.missing_blobs), (Novelty::Known, vec![]));
    assert!(bench.store.scenes(listed(9)).await.unwrap()[0].complete);
    // Its file is lost: it is to be sent again.
    bench.store.blob_lost(blob("a.blend").sha256).await.unwrap();
    assert_eq!(missing(&bench, scene).await, [blob("a.blend")]);
    assert_eq!(bench.store.stored_blobs().await.unwrap(), [blob("b.png")]);
}

pub(in crate::store) async fn a_blob_has_one_size(bench: Bench) {
    // It is not known yet which of them is wrong.
    let mut wrong = manifest(&["a.blend"]);
    wrong.files[0].size_bytes = 9;
    let wrong_scene = bench.store.keep_scene(wrong.clone(), Sight::All).await.unwrap().report.scene_id;
    let right = bench.complete_scene(manifest(&["a.blend"])).await;
    assert_eq!((missing(&bench, right).await.len(), missing(&bench, wrong_scene).await.len()), (0, 1));
    // From now on it is.
    wrong.entry = "b.blend".parse().unwrap();
    wrong.files[0].path = "b.blend".parse().unwrap();
    let answer = bench.store.keep_scene(wrong.clone(), Sight::All).await;
    assert!(matches!(answer, Err(StoreError::OtherSize { here_bytes: 7, said_bytes: 9, .. })), "{answer:?}");
    assert!(matches!(bench.store.scene(wrong.id()).await, Err(StoreError::UnknownScene(_))));
}

pub(in crate::store) async fn a_job_needs_a_scene_that_is_all_there(bench: Bench) {
    let mut lacking = manifest(&["a.blend", "b.png"]);
    lacking.missing = vec!["//c.png".to_owned()];
    let scene = bench.store.keep_scene(lacking, Sight::All).await.unwrap().report.scene_id;
    let lenient = RenderOptions { allow: [Allowance::MissingFiles].into(), ..RenderOptions::default() };
    let submit = |options| bench.store.submit(NewJob { options, ..new_job(JobId::generate(), scene, range(1, 2)) });
    bench.store.blob_arrived(blob("a.blend")).await.unwrap();
    for options in [RenderOptions::default(), lenient.clone()] {
        match submit(options).await {
            Err(StoreError::SceneIncomplete { paths, .. }) => assert_eq!(paths.to_string(), "b.png"),
            other => panic!("{other:?}"),
        }
    }
    bench.store.blob_arrived(blob("b.png")).await.unwrap();
    match submit(RenderOptions::default()).await {
        Err(StoreError::SceneLacksFiles { paths, .. }) => assert_eq!(paths.to_string(), "//c.png"),
        other => panic!("{other:?}"),
    }
    submit(lenient).await.unwrap();
}

pub(in crate::store) async fn scenes_are_listed_the_latest_touched_first(bench: Bench) {
    let mut scenes = Vec::new();
    for name in ["a.blend", "b.blend", "c.blend"] {
        scenes.push(bench.complete_scene(manifest(&[name])).await);
        bench.sleep(1);
    }
    bench.store.touch_scene(scenes[0]).await.unwrap();
    let list = async |before, limit| {
        let page = bench.store.scenes(SceneFilter { sight: Sight::All, before, limit }).await.unwrap();
        page.into_iter().map(|scene| scene.scene_id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 9).await, [scenes[0], scenes[2], scenes[1]]);
    assert_eq!(list(None, 1).await, [scenes[0]]);
    assert_eq!(list(Some(scenes[0]), 9).await, [scenes[2], scenes[1]]);
}

pub(in crate::store) async fn what_nobody_needs_is_collected_and_nothing_else(bench: Bench) {
    let used = bench.complete_scene(manifest(&["used.blend", "shared.png"])).await;
    let unused = bench.complete_scene(manifest(&["unused.blend", "shared.png", "own.png"])).await;
    bench.store.submit(new_job(JobId::generate(), used, range(1, 1))).await.unwrap();
    bench.store.blob_arrived(blob("nobody's")).await.unwrap();
    let forget = || bench.store.forget_scenes_untouched_for(DAY);
    let doom = async || {
        let mut doomed = bench.store.doom_blobs_untouched_for(DAY).await.unwrap();
        doomed.sort_unstable();
        doomed
    };
    let sorted = |texts: &[&str]| {
        let mut blobs: Vec<_> = texts.iter().map(|text| blob(text).sha256).collect();
        blobs.sort_unstable();
        blobs
    };
    bench.sleep(DAY.as_secs() - 1);
    assert_eq!((forget().await.unwrap(), doom().await), (0, vec![]));
    bench.store.touch_scene(unused).await.unwrap();
    bench.sleep(1);
    // The scene was touched a second ago; the blob that no scene has was not.
    assert_eq!((forget().await.unwrap(), doom().await), (0, sorted(&["nobody's"])));
    assert_eq!(standing(&bench, "nobody's").await, BlobStanding::Going);
    bench.store.blob_deleted(blob("nobody's").sha256).await.unwrap();
    assert_eq!(standing(&bench, "nobody's").await, BlobStanding::Missing);
    bench.sleep(DAY.as_secs());
    assert_eq!((forget().await.unwrap(), forget().await.unwrap()), (1, 0));
    assert_eq!(doom().await, sorted(&["unused.blend", "own.png"]));
    assert_eq!(
        doom().await,
        bench
            .store
            .going_blobs()
            .await
            .map(|mut going| {
                going.sort_unstable();
                going
            })
            .unwrap()
    );
    assert!(matches!(bench.store.scene(unused).await, Err(StoreError::UnknownScene(_))));
    assert_eq!(missing(&bench, used).await, []);
}

pub(in crate::store) async fn a_blob_that_is_going_is_missing_to_whoever_wants_it(mut bench: Bench) {
    bench.store.blob_arrived(blob("a.blend")).await.unwrap();
    bench.sleep(DAY.as_secs());
    bench.store.touch_blob(blob("a.blend").sha256).await.unwrap();
    assert_eq!(bench.store.doom_blobs_untouched_for(DAY).await.unwrap(), []);
    bench.sleep(DAY.as_secs());
    assert_eq!(bench.store.doom_blobs_untouched_for(DAY).await.unwrap(), [blob("a.blend").sha256]);
    let scene = bench.store.keep_scene(manifest(&["a.blend"]), Sight::All).await.unwrap().report.scene_id;
    assert_eq!(missing(&bench, scene).await, [blob("a.blend")]);
    let early = bench.store.blob_arrived(blob("a.blend")).await;
    assert!(matches!(early, Err(StoreError::BlobGoing(_))), "{early:?}");
    // Nothing of that is forgotten over a restart.
    bench.restart().await;
    assert_eq!(bench.store.going_blobs().await.unwrap(), [blob("a.blend").sha256]);
    bench.store.blob_deleted(blob("a.blend").sha256).await.unwrap();
    assert_eq!(standing(&bench, "a.blend").await, BlobStanding::Missing);
    assert_eq!(missing(&bench, scene).await, [blob("a.blend")]);
    bench.store.blob_arrived(blob("a.blend")).await.unwrap();
    assert_eq!(missing(&bench, scene).await, []);
}

pub(in crate::store) async fn a_removed_job_is_gone_at_once_and_erased_bit_by_bit(mut bench: Bench) {
    let job = bench.submit(1, 3, 2).await;
    let agent = bench.agent().await;
    let early = bench.store.remove_job(job).await;
    assert!(matches!(early, Err(StoreError::IllegalMove(_))), "{early:?}");
    let lease = bench.lease(agent).await;
    bench.deliver(&lease, 1).await.unwrap();
    bench.store.control_job(job, JobCommand::Cancel).await.unwrap();
    let scene = lease.scene;
    bench.sleep(2 * DAY.as_secs());
    bench.store.remove_job(job).await.unwrap();
    bench.restart().await;
    assert!(bench.store.job(job).await.unwrap().is_none());
    let filter = JobFilter { sight: Sight::All, state: None, before: None, limit: 9 };
    assert_eq!(bench.store.jobs(filter).await.unwrap(), []);
    assert_eq!(bench.store.frames(job, 0, 9).await.unwrap(), []);
    assert_eq!(bench.store.attempts(job, None).await.unwrap(), []);
    for answer in [bench.store.remove_job(job).await, bench.store.control_job(job, JobCommand::RetryFailed).await] {
        assert!(matches!(answer, Err(StoreError::UnknownJob(_))), "{answer:?}");
    }
    assert_eq!(bench.store.forget_scenes_untouched_for(DAY).await.unwrap(), 0, "its scene was touched with it");
    assert_eq!(bench.store.removed_jobs().await.unwrap()[0].id, job);
    let mut steps = 0;
    while bench.store.erase_job(job).await.unwrap() == Erased::Some {
        steps += 1;
        bench.restart().await;
    }
    assert!(steps > 1, "{steps}");
    bench.store.job_erased(job).await.unwrap();
    assert_eq!(bench.store.removed_jobs().await.unwrap(), []);
    bench.sleep(DAY.as_secs());
    assert_eq!(bench.store.forget_scenes_untouched_for(DAY).await.unwrap(), 1);
    assert!(matches!(bench.store.scene(scene).await, Err(StoreError::UnknownScene(_))));
    let answer = bench.deliver(&lease, 2).await;
    assert!(matches!(answer, Err(StoreError::UnknownLease(_))), "{answer:?}");
}

pub(in crate::store) async fn jobs_that_ended_long_ago_are_removed(bench: Bench) {
    let idempotency = Idempotency { key: "one".to_owned(), body: Sha256Digest::of(b"") };
    let scene = bench.complete_scene(manifest(&["a.blend"])).await;
    let with_key =
        || NewJob { idempotency: Some(idempotency.clone()), ..new_job(JobId::generate(), scene, range(1, 1)) };
    let keyed = bench.store.submit(with_key()).await.unwrap();
    assert_eq!(bench.store.submit(with_key()).await.unwrap(), keyed);
    let agent = bench.agent().await;
    let lease = bench.lease(agent).await;
    bench.deliver(&lease, 1).await.unwrap();
    bench.sleep(60);
    let cancelled = bench.submit(1, 1, 1).await;
    let open = bench.submit(1, 1, 1).await;
    bench.store.control_job(cancelled, JobCommand::Cancel).await.unwrap();
    let remove = |minutes| bench.store.remove_jobs_ended_for(Duration::from_mins(minutes));
    assert_eq!((remove(2).await.unwrap(), remove(1).await.unwrap(), remove(1).await.unwrap()), (0, 1, 0));
    assert!(bench.store.job(keyed).await.unwrap().is_none());
    assert_eq!(bench.job(cancelled).await.state, JobState::Cancelled);
    bench.sleep(3600);
    assert_eq!((remove(1).await.unwrap(), remove(1).await.unwrap()), (1, 0));
    assert_eq!(bench.job(open).await.state, JobState::Pending);
    assert_ne!(bench.store.submit(with_key()).await.unwrap(), keyed, "its key is free again");
}
