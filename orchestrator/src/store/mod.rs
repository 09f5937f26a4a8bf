//! What must survive: jobs, leases, recorded frames, agents. One trait, so that the rest knows no SQL; [`sqlite`] is the
//! implementation for one machine. Every promise of the trait is a case of the conformance suite in `conformance`.
//!
//! What a call has answered `Ok` to is on disk. Renewals are the exception: they live in memory, and a restart gives every
//! live lease a full TTL instead.

mod admission;
mod census;
#[cfg(test)]
#[macro_use]
mod conformance;
mod holdings;
mod presence;
pub mod sqlite;
mod terms;
mod words;

use std::time::Duration;

use async_trait::async_trait;
use haywain_shared::blender_version::Release;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{AgentId, Incarnation, JobId, LeaseId, RequestId, TokenId};
use haywain_shared::inspection::Inspection;
use haywain_shared::job::{AgentReport, AttemptReport, JobReport, JobSummary};
use haywain_shared::path::RelativePath;
use haywain_shared::protocol::{HeartbeatAnswer, UploadOutcome};
use haywain_shared::scene::{BlobRef, Manifest, SceneId, SceneReport, SceneSummary};
use tokio::sync::watch;

pub use self::admission::{Admission, Admissions, Enrolment, NewToken, Pass, Sight, Thing, TokenReport, TokenStanding};
pub use self::census::{AgentsInState, Census, Delivered, JobsInState};
pub use self::holdings::{BlobStanding, Erased, KeptScene, Novelty, RemovedJob, SceneEntry, SceneFilter, SomePaths};
pub use self::words::*;
use crate::blobs::JobFiles;

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
    /// What an agent has found in the scene speaks against the job.
    #[error("scene {scene} would not render as asked: {objections}")]
    WouldRenderWrong {
        /// The scene.
        scene: SceneId,
        /// What, by name, and what to do about it.
        objections: String,
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
    /// Another token goes by that name.
    #[error("the name {0:?} is that of a token that has not been revoked: choose another name, or revoke that one")]
    NameTaken(String),
    /// No such token was ever made.
    #[error("there is no token {0}")]
    UnknownToken(TokenId),
    /// The enrolment token lets no more agents in.
    #[error("this enrolment token is used up, expired or revoked: ask for another one")]
    EnrolmentOver,
    /// The agent has a token of its own.
    #[error(
        "agent {0} is enrolled already and goes by its own token, which is in its data folder; if that is lost, \
         revoke it, or give the agent a new data folder"
    )]
    EnrolledAlready(AgentId),
    /// The token that the agent has drawn is no good any more.
    #[error(
        "agent {0} has been shut out: its token was revoked. To let it in again, delete the file \"token\" in its data folder"
    )]
    ShutOut(AgentId),
    /// A change that would have broken the queue's own rules: a bug. Nothing was changed.
    #[error("the queue refused a change that would have broken it: {0}")]
    Inconsistent(String),
    /// The database could not do it. Nothing was changed; trying again later is right.
    #[error("the queue's database: {0}")]
    Unavailable(String),
}

/// What the queue keeps, and what may be done with it.
#[async_trait]
pub trait Store: Admissions {
    /// Keeps a scene's manifest and touches it; from then on its blobs, present or missing, are not collected. Keeping it
    /// again is fine. Whoever keeps it sees it from then on.
    async fn keep_scene(&self, manifest: Manifest, sight: Sight) -> Result<KeptScene, StoreError>;

    /// The manifest of a scene.
    async fn scene(&self, scene: SceneId) -> Result<Manifest, StoreError>;

    /// A scene as it stands: what of it is here, and was sent by the one who asks. What was found in it is told to those who have
    /// sent all of it.
    async fn scene_report(&self, scene: SceneId, sight: Sight) -> Result<SceneReport, StoreError>;

    /// Scenes, the latest touched first.
    async fn scenes(&self, filter: SceneFilter) -> Result<Vec<SceneSummary>, StoreError>;

    /// The .blend of a scene that is rendered.
    async fn scene_entry(&self, scene: SceneId) -> Result<SceneEntry, StoreError>;

    /// Keeps which Blender has saved that file. Does nothing when there is no such scene.
    async fn keep_saved_by(&self, scene: SceneId, saved_by: Release) -> Result<(), StoreError>;

    /// Keeps what an agent has found in a scene; the first to look is believed.
    async fn keep_inspection(&self, scene: SceneId, inspection: Inspection) -> Result<(), StoreError>;

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

    /// Carves a batch off the oldest job with pending frames that the agent can render and leases it; `None` when there is none.
    /// Unless the job is mixed, its first lease says which version of Blender renders all of it.
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
    async fn record(&self, frame: RenderedFrame) -> Result<Delivered, StoreError>;

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
    async fn frames(&self, job: JobId, since: u64, limit: u32) -> Result<Vec<KeptFrame>, StoreError>;

    /// A recorded frame and where its files lie; `None` while it is not done.
    async fn frame(&self, job: JobId, frame: FrameNumber) -> Result<Option<KeptFrame>, StoreError>;

    /// Those of these names that a file of the job has, of any frame and generation, each with the key of the file that was
    /// recorded last.
    async fn files_named(
        &self,
        job: JobId,
        names: Vec<RelativePath>,
    ) -> Result<Vec<(RelativePath, String)>, StoreError>;

    /// The ended attempts of a job, or of one of its frames, oldest first. Where what they say is very much in sum, the oldest
    /// say nothing.
    async fn attempts(&self, job: JobId, frame: Option<FrameNumber>) -> Result<Vec<AttemptReport>, StoreError>;

    /// The agents that are known, by name.
    async fn agents(&self) -> Result<Vec<AgentReport>, StoreError>;

    /// The farm in numbers. It costs little, however much has been rendered.
    async fn census(&self) -> Result<Census, StoreError>;

    /// Events after `after` that are in sight, oldest first: at most `limit`.
    async fn events(&self, after: u64, limit: u32, sight: Sight) -> Result<Heard, StoreError>;

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
