//! What is kept how long, and the collector that removes the rest. It works in steps, each of which can be taken up again
//! after a crash, and never touches what a job needs: a job pins its scene, a scene pins its blobs.

use std::sync::Arc;
use std::time::Duration;

use haywain_shared::digest::Sha256Digest;
use haywain_shared::scene::SceneId;
use tokio_util::sync::CancellationToken;

use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::intake::IntakeError;
use crate::store::{BlobStanding, Erased, Store};

/// How long a blob is kept that no scene has, and a part of one that was cut off. The shortest time that scenes can be kept,
/// too: a client that uploads now and submits later must not lose what it has been told is here.
pub const SHORTEST: Duration = Duration::from_hours(24);
/// The time from one collection to the next.
const COLLECTION: Duration = Duration::from_mins(10);
/// The time from one look for removed jobs to the next: people watch their disks.
const LOOK: Duration = Duration::from_secs(1);

/// What is kept how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Ended jobs with their frames; `None` for ever.
    pub jobs: Option<Duration>,
    /// Scenes that no job refers to.
    pub scenes: Duration,
    /// The scene that is always kept.
    pub default_scene: Option<SceneId>,
}

/// Removes what is not to be kept.
pub struct Collector {
    /// The queue.
    pub store: Arc<dyn Store>,
    /// The files.
    pub blobs: Blobs,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is kept.
    pub keep: Keep,
}

impl Collector {
    /// Collects again and again.
    pub async fn run(self, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut collections = tokio::time::interval(COLLECTION);
        collections.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let work = async {
                tokio::select! {
                    _ = collections.tick() => self.collect().await,
                    _ = looks.tick() => self.erase_removed_jobs().await,
                }
            };
            // Cutting it off is as good as a crash, which it survives.
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = work => outcome,
            };
            if let Err(error) = outcome {
                tracing::error!(%error, "collecting what is not to be kept; it is tried again");
            }
        }
    }

    /// One collection, whole.
    pub async fn collect(&self) -> Result<(), IntakeError> {
        if let Some(keep_jobs) = self.keep.jobs {
            let mut removed = 0;
            while let some @ 1.. = self.store.remove_jobs_ended_for(keep_jobs).await? {
                removed += some;
            }
            told(removed, "jobs that ended long ago are removed");
        }
        self.erase_removed_jobs().await?;
        if let Some(scene) = self.keep.default_scene {
            self.store.touch_scene(scene).await?;
        }
        let mut forgotten = 0;
        while let some @ 1.. = self.store.forget_scenes_untouched_for(self.keep.scenes).await? {
            forgotten += some;
        }
        told(forgotten, "scenes that nobody needs are forgotten");
        let mut deleted = 0;
        while let some @ 1.. = self.delete_blobs().await? {
            deleted += some;
        }
        told(deleted, "blobs that no scene has are deleted");
        let before_ms = self.clock.unix_ms().saturating_sub(i64::try_from(SHORTEST.as_millis()).unwrap_or(i64::MAX));
        let discarded = self.blobs.staging().discard_untouched(before_ms).await?;
        told(discarded, "uploads that were cut off long ago are removed");
        Ok(())
    }

    /// Erases what is kept of removed jobs: rows, then files, then the jobs.
    pub async fn erase_removed_jobs(&self) -> Result<(), IntakeError> {
        for job in self.store.removed_jobs().await? {
            while self.store.erase_job(job.id).await? == Erased::Some {}
            self.blobs.remove_job(job.id, job.name.as_deref()).await?;
            self.store.job_erased(job.id).await?;
            tracing::info!(job = %job.id, "job erased");
        }
        Ok(())
    }

    /// Deletes some of the blobs that no scene has. Returns how many.
    async fn delete_blobs(&self) -> Result<usize, IntakeError> {
        let going = self.store.doom_blobs_untouched_for(SHORTEST).await?;
        self.delete(&going).await?;
        Ok(going.len())
    }

    /// Deletes the blobs that were going when an earlier life ended.
    pub async fn finish_deletions(&self) -> Result<(), IntakeError> {
        self.delete(&self.store.going_blobs().await?).await
    }

    async fn delete(&self, going: &[Sha256Digest]) -> Result<(), IntakeError> {
        for blob in going {
            let _alone = self.blobs.alone_with(*blob).await;
            if self.store.blob(*blob).await? == BlobStanding::Going {
                self.blobs.remove(*blob).await?;
                self.store.blob_deleted(*blob).await?;
            }
        }
        Ok(())
    }
}

fn told(count: usize, what: &'static str) {
    if count > 0 {
        tracing::info!(count, "{what}");
    }
}

#[cfg(test)]
mod interleavings;
