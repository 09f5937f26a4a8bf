//! Everything at once, in random order, over a real store and real files: clients that register, upload and submit, a
//! collector that is cut off anywhere, restarts, and a clock that leaps. Whatever happens, what a job needs is there, and a row
//! says that a blob is stored if and only if its file is there.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frame_list::FrameList;
use haywain_shared::frames::FrameRange;
use haywain_shared::ids::JobId;
use haywain_shared::options::RenderOptions;
use haywain_shared::path::RelativePath;
use haywain_shared::requirements::Requirements;
use haywain_shared::scene::{Manifest, SceneFile};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Collector, Keep, SHORTEST};
use crate::blobs::Blobs;
use crate::clock::HeldClock;
use crate::intake::{self, IntakeError};
use crate::queue::submission::Limits;
use crate::store::sqlite::{LeaseTimes, SqliteStore};
use crate::store::{JobCommand, NewJob, Sight, Store, StoreError};

/// Blobs that the clients have, all told: few, so that they meet.
const BLOBS: usize = 6;
const ROUNDS: usize = 25;
const AT_ONCE: usize = 8;

/// Numbers that look random and are the same each time (Steele, Lea and Flood's `SplitMix64`).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }
}

#[derive(Debug, Clone)]
enum Deed {
    Register(Manifest),
    Upload(usize),
    Submit(Manifest),
    End(JobId),
    Collect { cut_off_after: Option<Duration> },
}

fn content(number: usize) -> Bytes {
    Bytes::from(format!("BLENDER and the content of {number}"))
}

fn scene(dice: &mut Dice) -> Manifest {
    let numbers: HashSet<usize> = (0..=dice.throw(2)).map(|_| dice.throw(BLOBS)).collect();
    let mut files: Vec<_> = numbers
        .into_iter()
        .map(|number| SceneFile {
            path: RelativePath::new(format!("{number}.blend")).unwrap(),
            size_bytes: content(number).len() as u64,
            sha256: Sha256Digest::of(&content(number)),
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Manifest { entry: files[0].path.clone(), files, places: Vec::new(), color_config: None, missing: Vec::new() }
}

struct Farm {
    folder: TempDir,
    clock: Arc<HeldClock>,
    collector: Collector,
}

impl Farm {
    async fn open(folder: TempDir, clock: Arc<HeldClock>) -> Self {
        let second = Duration::from_secs(1);
        let times = LeaseTimes { ttl: 20 * second, heartbeat: 5 * second, absence: 5 * second };
        let file = folder.path().join("queue.sqlite");
        let tasks = TaskTracker::new();
        let gone = CancellationToken::new();
        let store = SqliteStore::open(&file, times, Arc::<HeldClock>::clone(&clock), &tasks, gone).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let blobs = Blobs::open_local(folder.path()).unwrap();
        intake::reconcile(&*store, &blobs).await.unwrap();
        let keep = Keep { jobs: Some(SHORTEST), scenes: SHORTEST, default_scene: None };
        let collector = Collector { store, blobs, clock: Arc::<HeldClock>::clone(&clock), keep };
        collector.finish_deletions().await.unwrap();
        Self { folder, clock, collector }
    }

    async fn act(&self, deed: Deed) -> Option<JobId> {
        let Collector { store, blobs, .. } = &self.collector;
        match deed {
            Deed::Register(manifest) => {
                store.keep_scene(manifest, Sight::All).await.unwrap();
            }
            Deed::Upload(number) => {
                let digest = Sha256Digest::of(&content(number));
                let mut staged = blobs.staging().begin(digest, None).await.unwrap();
                staged.write(content(number)).await.unwrap();
                match intake::keep(&**store, blobs, staged.finish().await.unwrap(), Sight::All).await {
                    Ok(_) | Err(IntakeError::Going(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Deed::Submit(manifest) => {
                let job = NewJob {
                    id: JobId::generate(),
                    owner: None,
                    sight: Sight::All,
                    name: None,
                    scene: manifest.id(),
                    frames: FrameList::of_range(FrameRange::new(1.try_into().unwrap(), 2.try_into().unwrap()).unwrap()),
                    batch_size: 5,
                    options: RenderOptions::default(),
                    requirements: Requirements::default(),
                    priority: 0,
                    limits: Limits::default(),
                    idempotency: None,
                };
                match store.submit(job).await {
                    Ok(job) => return Some(job),
                    Err(StoreError::UnknownScene(_) | StoreError::SceneIncomplete { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Deed::End(job) => match store.control_job(job, JobCommand::Cancel).await {
                Ok(()) | Err(StoreError::IllegalMove(_) | StoreError::UnknownJob(_)) => {}
                Err(error) => panic!("{error}"),
            },
            Deed::Collect { cut_off_after: None } => self.collector.collect().await.unwrap(),
            Deed::Collect { cut_off_after: Some(moment) } => {
                // A crash of the collector alone, anywhere.
                let _ = tokio::time::timeout(moment, self.collector.collect()).await;
            }
        }
        None
    }

    /// Holds when nobody is at work: nothing is going any more but what a cut has left.
    async fn check(&self, jobs: &[JobId]) -> usize {
        let Collector { store, blobs, .. } = &self.collector;
        let mut stored = store.stored_blobs().await.unwrap();
        let mut files = blobs.all().await.unwrap();
        let going = store.going_blobs().await.unwrap();
        files.retain(|file| !going.contains(&file.sha256));
        stored.sort_unstable();
        files.sort_unstable();
        assert_eq!(stored, files, "a row says stored if and only if the file is there");
        let mut live = 0;
        for job in jobs {
            let Some(report) = store.job(*job).await.unwrap() else { continue };
            let scene = store.scene_report(report.scene, Sight::All).await.unwrap();
            assert_eq!(scene.missing_blobs, [], "job {job} needs them");
            for file in scene.manifest.files {
                assert!(blobs.size_of(file.sha256).await.is_ok(), "job {job} needs {}", file.path);
            }
            live += 1;
        }
        live
    }
}

async fn play(seed: u64) -> (usize, usize) {
    let mut dice = Dice(seed);
    let mut farm = Farm::open(tempfile::tempdir().unwrap(), Arc::default()).await;
    let mut jobs = Vec::new();
    let (mut most_live, mut fewest_stored, mut most_stored) = (0, usize::MAX, 0);
    for _ in 0..ROUNDS {
        let deeds: Vec<_> = (0..AT_ONCE)
            .map(|_| match dice.throw(10) {
                0 | 1 => Deed::Register(scene(&mut dice)),
                2..=4 => Deed::Upload(dice.throw(BLOBS)),
                5 | 6 => Deed::Submit(scene(&mut dice)),
                7 if !jobs.is_empty() => Deed::End(jobs[dice.throw(jobs.len())]),
                8 => Deed::Collect { cut_off_after: Some(Duration::from_micros(100 * dice.throw(50) as u64)) },
                _ => Deed::Collect { cut_off_after: None },
            })
            .collect();
        jobs.extend(join_all(deeds.into_iter().map(|deed| farm.act(deed))).await.into_iter().flatten());
        most_live = most_live.max(farm.check(&jobs).await);
        let stored = farm.collector.store.stored_blobs().await.unwrap().len();
        (fewest_stored, most_stored) = (fewest_stored.min(stored), most_stored.max(stored));
        if dice.throw(3) == 0 {
            farm.clock.advance(SHORTEST);
        }
        if dice.throw(5) == 0 {
            let Farm { folder, clock, collector } = farm;
            drop(collector);
            farm = Farm::open(folder, clock).await;
            farm.check(&jobs).await;
        }
    }
    (most_live, most_stored - fewest_stored)
}

#[tokio::test]
async fn nothing_that_a_job_needs_is_ever_collected() {
    let (mut live, mut went) = (0, 0);
    for seed in 0..8 {
        let (most_live, change) = play(seed).await;
        live += most_live;
        went += change;
    }
    assert!(live > 8 && went > 8, "the play was dull: {live} jobs, {went} blobs came and went");
}
