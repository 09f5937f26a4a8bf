//! What must survive: jobs, leases, recorded frames, agents. One trait, so that the rest knows no SQL; [`sqlite`] is the
//! implementation for one machine. Every promise of the trait is a case of the conformance suite in `conformance`.
//!
//! What a call has answered `Ok` to is on disk. Renewals are the exception: they live in memory, and a restart gives every
//! live lease a full TTL instead.

#[cfg(test)]
#[macro_use]
mod conformance;
mod holdings;
mod presence;
pub mod sqlite;
mod terms;

use std::time::Duration;

use async_trait::async_trait;
use haywain_shared::cause::Cause;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frame_list::FrameList;
use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::{AgentId, Incarnation, JobId, LeaseId, RequestId};
use haywain_shared::job::{AgentReport, AttemptReport, Event, JobReport, JobState, JobSummary, RecordedFrame};
use haywain_shared::path::RelativePath;
use haywain_shared::protocol::{
    BlenderFacts, HeartbeatAnswer, HeldLease, LeaseGrant, MachineFacts, MachineSample, MissingFiles, UploadOutcome,
};
use haywain_shared::scene::{BlobRef, Manifest, SceneId, SceneReport, SceneSummary};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use self::holdings::{BlobStanding, Erased, KeptScene, Novelty, RemovedJob, SceneFilter, SomePaths};
use crate::blobs::JobFiles;
use crate::queue::submission::Limits;

/// Why the store did not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No such agent has registered.
    #[error("this orchestrator does not know agent {0}: it must register first")]
    UnknownAgent(AgentId),
    /// A later life of the agent has registered.
    #[error("a later start of agent {0} has registered: this process is to end")]
    StaleIncarnation(AgentId),
    /// No such lease was ever granted.
    #[error("lease {0} was never granted here")]
    UnknownLease(LeaseId),
    /// The lease that this request got has ended.
    #[error("the lease that request {0} got has ended: ask again under a new request id")]
    LeaseEnded(RequestId),
    /// The scene is not kept here.
    #[error("scene {0} is not on this orchestrator")]
    UnknownScene(SceneId),
    /// Files of the scene have not come yet.
    #[error("scene {scene} is not complete: it has no bytes yet for {paths}; upload these blobs, then submit again")]
    SceneIncomplete {
        /// The scene.
        scene: SceneId,
        /// The files.
        paths: SomePaths,
    },
    /// The scene wants files that nobody could supply.
    #[error(
        "scene {scene} wants files that are missing: {paths}; \
         supply them, or submit with \"allowMissing\": true to render without them"
    )]
    SceneLacksFiles {
        /// The scene.
        scene: SceneId,
        /// The files, as the scene calls them.
        paths: SomePaths,
    },
    /// A manifest gives a blob that is here another size.
    #[error("blob {blob} has {here_bytes} bytes, not {said_bytes}: the manifest is wrong")]
    OtherSize {
        /// The blob.
        blob: Sha256Digest,
        /// Its size.
        here_bytes: u64,
        /// What was said.
        said_bytes: u64,
    },
    /// The blob is being deleted.
    #[error("blob {0} is being deleted")]
    BlobGoing(Sha256Digest),
    /// The frame is none of the lease's.
    #[error("frame {frame} is not part of lease {lease}")]
    NotInLease {
        /// The lease.
        lease: LeaseId,
        /// The frame.
        frame: FrameNumber,
    },
    /// No such job was ever submitted, or it is gone.
    #[error("there is no job {0}")]
    UnknownJob(JobId),
    /// The job, or the agent, is not in a state in which that can be done.
    #[error("{0}")]
    IllegalMove(String),
    /// The key stands for another submission.
    #[error("the Idempotency-Key was used for another submission before: choose a new one for a new job")]
    KeyReused,
    /// A change that would have broken the queue's own rules: a bug. Nothing was changed.
    #[error("the queue refused a change that would have broken it: {0}")]
    Inconsistent(String),
    /// The database could not do it. Nothing was changed; trying again later is right.
    #[error("the queue's database: {0}")]
    Unavailable(String),
}

/// A job to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its id, drawn by the caller.
    pub id: JobId,
    /// What people call it.
    pub name: Option<String>,
    /// Its scene.
    pub scene: SceneId,
    /// Its frames.
    pub frames: FrameList,
    /// The most frames in a batch.
    pub batch_size: u32,
    /// What becomes of them when the scene wants files that are not there.
    pub missing_files: MissingFiles,
    /// Jobs of a higher one are served first.
    pub priority: i32,
    /// What its frames are allowed.
    pub limits: Limits,
    /// What the client called its submission, if it did.
    pub idempotency: Option<Idempotency>,
}

/// What a client calls a submission that it may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key.
    pub key: String,
    /// The digest of the submission that the key stands for.
    pub body: Sha256Digest,
}

/// An agent that makes itself known.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The agent.
    pub agent: AgentId,
    /// This life of it.
    pub incarnation: Incarnation,
    /// What people call it.
    pub name: String,
    /// What it told about itself.
    pub facts: AgentFacts,
}

/// What an agent told about itself, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFacts {
    /// Its slots when it registered.
    pub slots: u32,
    /// Its machine.
    pub machine: MachineFacts,
    /// Its Blenders.
    pub blenders: Vec<BlenderFacts>,
}

/// A request for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseAsk {
    /// Who asks.
    pub agent: AgentId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The same id gets the same lease.
    pub request: RequestId,
    /// Memory that the machine could give to the slot.
    pub memory_available_bytes: u64,
    /// The scene that the slot's Blender has open.
    pub warm: Option<SceneId>,
    /// Scenes that lie whole on the machine.
    pub cached: Vec<SceneId>,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its id.
    pub id: LeaseId,
    /// Its place in the order of all grants.
    pub epoch: u64,
    /// The job.
    pub job: JobId,
    /// The job's scene.
    pub scene: SceneId,
    /// The batch.
    pub frames: FrameRange,
    /// The generation of all its frames.
    pub generation: u32,
    /// How long one frame may take.
    pub frame_timeout: Option<Duration>,
    /// How long Blender may do nothing.
    pub stall_timeout: Option<Duration>,
    /// What becomes of the frames when the scene wants files that are not there.
    pub missing_files: MissingFiles,
}

impl From<Lease> for LeaseGrant {
    fn from(lease: Lease) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            lease_id: lease.id,
            epoch: lease.epoch,
            job_id: lease.job,
            scene: lease.scene,
            frames: lease.frames,
            generation: lease.generation,
            frame_timeout_ms: lease.frame_timeout.map(ms),
            stall_timeout_ms: lease.stall_timeout.map(ms),
            missing_files: lease.missing_files,
        }
    }
}

/// An agent that lives, and what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    /// The agent.
    pub agent: AgentId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Its place in the order of this life's heartbeats.
    pub sequence: u64,
    /// Its slots, now.
    pub slots: u32,
    /// Its machine, now.
    pub sample: MachineSample,
    /// The leases that it names. Only these are renewed.
    pub held: Vec<HeldLease>,
}

/// A frame's output, stored and checked, about to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFrame {
    /// The lease that it was rendered under, live or ended.
    pub lease: LeaseId,
    /// The job that the agent took it for.
    pub job: JobId,
    /// The frame.
    pub frame: FrameNumber,
    /// The generation that the lease was granted for.
    pub generation: u32,
    /// How long the render took.
    pub render_ms: u64,
    /// The most memory that Blender has had, where known.
    pub peak_memory_bytes: Option<u64>,
    /// Its files: the picture first.
    pub files: Vec<StoredFile>,
    /// The key of its thumbnail among the blobs, if it has one.
    pub thumbnail_key: Option<String>,
}

/// A file of a frame, where it lies among the blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name in the folder of the job's frames.
    pub name: RelativePath,
    /// Its key among the blobs.
    pub blob_key: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The digest of its content.
    pub sha256: Sha256Digest,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// What a job is called, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLabel {
    /// What people call it.
    pub name: Option<String>,
    /// How many outputs have been recorded: the place of the latest.
    pub recorded: u64,
}

/// A recorded frame, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFrame {
    /// The frame as its watchers see it.
    pub report: RecordedFrame,
    /// The keys of its files among the blobs, in the order of `report.files`.
    pub blob_keys: Vec<String>,
    /// The key of its thumbnail.
    pub thumbnail_key: Option<String>,
}

impl KeptFrame {
    /// Its files by name and key.
    #[must_use]
    pub fn outputs(&self) -> Vec<(RelativePath, String)> {
        self.report.files.iter().map(|file| file.name.clone()).zip(self.blob_keys.clone()).collect()
    }
}

/// An attempt that ended without a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The lease.
    pub lease: LeaseId,
    /// The frame.
    pub frame: FrameNumber,
    /// Why.
    pub cause: Cause,
    /// The most memory that Blender has had, where known.
    pub peak_memory_bytes: Option<u64>,
    /// What the agent says about it.
    pub message: String,
    /// The end of Blender's log.
    pub log_tail: String,
}

/// What somebody wants of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobCommand {
    /// End it: what is leased is stopped, what comes late is not wanted.
    Cancel,
    /// Lease nothing more of it; what is leased goes on.
    Pause,
    /// Lease it again.
    Resume,
    /// Try all its failed frames again, with their attempts forgiven.
    RetryFailed,
    /// Render these done frames anew, in a new generation.
    Rerender(Vec<FrameRange>),
    /// Serve it before jobs of a lower priority.
    SetPriority(i32),
}

/// What its owner wants of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentCommand {
    /// Finish the frames in work and lease nothing more.
    Drain,
    /// Lease and work again; also ends being set aside.
    Resume,
    /// Get no work, until it is resumed.
    SetAside,
    /// Be no longer known, until it registers again. Only for one that is not there.
    Forget,
}

/// Which jobs are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobFilter {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those older than this one.
    pub before: Option<JobId>,
    /// At most this many.
    pub limit: u32,
}

/// What the queue keeps, and what may be done with it.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Keeps a scene's manifest and touches it; from then on its blobs, present or missing, are not collected. Keeping it
    /// again is fine.
    async fn keep_scene(&self, manifest: Manifest) -> Result<KeptScene, StoreError>;

    /// The manifest of a scene.
    async fn scene(&self, scene: SceneId) -> Result<Manifest, StoreError>;

    /// A scene as it stands: what of it is here.
    async fn scene_report(&self, scene: SceneId) -> Result<SceneReport, StoreError>;

    /// Scenes, the latest touched first.
    async fn scenes(&self, filter: SceneFilter) -> Result<Vec<SceneSummary>, StoreError>;

    /// Somebody needs a scene: it is kept for a time from now on. Does nothing when there is none.
    async fn touch_scene(&self, scene: SceneId) -> Result<(), StoreError>;

    /// How a blob stands.
    async fn blob(&self, blob: Sha256Digest) -> Result<BlobStanding, StoreError>;

    /// Somebody relies on a blob's being here: it is kept for a time from now on. Does nothing when it is not.
    async fn touch_blob(&self, blob: Sha256Digest) -> Result<(), StoreError>;

    /// A blob's file is here, whole and durable.
    async fn blob_arrived(&self, blob: BlobRef) -> Result<(), StoreError>;

    /// A stored blob's file is not here any more, though nobody has deleted it.
    async fn blob_lost(&self, blob: Sha256Digest) -> Result<(), StoreError>;

    /// Every blob that is stored.
    async fn stored_blobs(&self) -> Result<Vec<BlobRef>, StoreError>;

    /// Removes an ended job: it is gone for everybody at once, and erased bit by bit.
    async fn remove_job(&self, job: JobId) -> Result<(), StoreError>;

    /// Removes some of the jobs that ended at least so long ago. Returns how many; 0 when there are none left.
    async fn remove_jobs_ended_for(&self, ended_for: Duration) -> Result<usize, StoreError>;

    /// The jobs that were removed and are not erased yet.
    async fn removed_jobs(&self) -> Result<Vec<RemovedJob>, StoreError>;

    /// Erases some of what is kept of a removed job. When all of it is, its files can go, and then [`Self::job_erased`].
    async fn erase_job(&self, job: JobId) -> Result<Erased, StoreError>;

    /// The files of a removed job are gone, and so is the job.
    async fn job_erased(&self, job: JobId) -> Result<(), StoreError>;

    /// Forgets some of the scenes that no job refers to and that were not touched for so long. Returns how many; 0 when there
    /// are none left.
    async fn forget_scenes_untouched_for(&self, untouched_for: Duration) -> Result<usize, StoreError>;

    /// Marks some of the stored blobs that no scene has and that were not touched for so long: they are going. Returns all
    /// that are going, those of before included.
    async fn doom_blobs_untouched_for(&self, untouched_for: Duration) -> Result<Vec<Sha256Digest>, StoreError>;

    /// Every blob that is going.
    async fn going_blobs(&self) -> Result<Vec<Sha256Digest>, StoreError>;

    /// The file of a blob that was going is gone. If a scene has pinned it meanwhile it is missing from now on.
    async fn blob_deleted(&self, blob: Sha256Digest) -> Result<(), StoreError>;

    /// Queues a job, unless its submission has been queued before: then it is that job. Returns its id. The scene must be
    /// complete, and must lack no files unless the job allows it.
    async fn submit(&self, job: NewJob) -> Result<JobId, StoreError>;

    /// Does to a job what somebody wants.
    async fn control_job(&self, job: JobId, command: JobCommand) -> Result<(), StoreError>;

    /// Does to an agent what its owner wants.
    async fn control_agent(&self, agent: AgentId, command: AgentCommand) -> Result<(), StoreError>;

    /// A job as its watchers see it; `None` when there is none.
    async fn job(&self, job: JobId) -> Result<Option<JobReport>, StoreError>;

    /// Makes an agent known. A new incarnation ends the leases of those before, without an attempt.
    async fn register(&self, registration: Registration) -> Result<(), StoreError>;

    /// An agent ends: what it holds goes back, without an attempt. A life that is not the present one ends nothing.
    async fn leave(&self, agent: AgentId, incarnation: Incarnation) -> Result<(), StoreError>;

    /// Carves a batch off the oldest job with pending frames and leases it; `None` when nothing is pending.
    async fn lease(&self, ask: LeaseAsk) -> Result<Option<Lease>, StoreError>;

    /// Renews the leases that an agent names, and says what became of each. What it holds and has not named for a heartbeat
    /// interval goes back; the frame in work of a lease that has ended is re-adopted if nobody else has it.
    async fn renew(&self, beat: Beat) -> Result<HeartbeatAnswer, StoreError>;

    /// What would become of a frame if it were delivered now: `None` when it would be recorded.
    async fn foresee(
        &self,
        lease: LeaseId,
        job: JobId,
        frame: FrameNumber,
        generation: u32,
    ) -> Result<Option<UploadOutcome>, StoreError>;

    /// Records a frame as done, whoever holds it, if nobody has. An ended lease may still do this, and only this.
    async fn record(&self, frame: RenderedFrame) -> Result<UploadOutcome, StoreError>;

    /// Keeps a failed attempt and does what follows from it. Does nothing when the lease no longer holds the frame.
    async fn fail(&self, failure: Failure) -> Result<(), StoreError>;

    /// Takes frames back without an attempt. Frames that the lease does not hold are passed over.
    async fn release(&self, lease: LeaseId, frames: Vec<FrameNumber>) -> Result<(), StoreError>;

    /// Ends a lease: what it still holds is pending again, without an attempt.
    async fn complete(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Ends the leases that have run out. Returns how many.
    async fn sweep(&self) -> Result<usize, StoreError>;

    /// Jobs, youngest first.
    async fn jobs(&self, filter: JobFilter) -> Result<Vec<JobSummary>, StoreError>;

    /// The recorded frames of a job with their files, in the order that they were recorded in, after place `since`: at most
    /// `limit`.
    async fn frames(&self, job: JobId, since: u64, limit: u32) -> Result<Vec<RecordedFrame>, StoreError>;

    /// A recorded frame and where its files lie; `None` while it is not done.
    async fn frame(&self, job: JobId, frame: FrameNumber) -> Result<Option<KeptFrame>, StoreError>;

    /// The ended attempts of a job, or of one of its frames, oldest first.
    async fn attempts(&self, job: JobId, frame: Option<FrameNumber>) -> Result<Vec<AttemptReport>, StoreError>;

    /// The agents that are known, by name.
    async fn agents(&self) -> Result<Vec<AgentReport>, StoreError>;

    /// Events after `after`, oldest first: at most `limit`.
    async fn events(&self, after: u64, limit: u32) -> Result<Vec<Event>, StoreError>;

    /// The number of the latest event.
    async fn latest_event(&self) -> Result<u64, StoreError>;

    /// Changes each time that there are new events, after they have been committed.
    fn events_made(&self) -> watch::Receiver<()>;

    /// What a job is called, and how far it is.
    async fn job_label(&self, job: JobId) -> Result<JobLabel, StoreError>;

    /// Jobs that were under way when this queue was last written to, and what they have on disk: those that can still change,
    /// and those that ended shortly before.
    async fn jobs_under_way(&self) -> Result<Vec<JobFiles>, StoreError>;

    /// Changes each time that something has made work, after it has been committed.
    fn work_made(&self) -> watch::Receiver<()>;
}
