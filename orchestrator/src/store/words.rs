//! What the queue is asked and what it answers: the values that go in and out of a [`super::Store`].

use std::time::Duration;

use haywain_shared::cause::Cause;
use haywain_shared::devices::DeviceKind;
use haywain_shared::digest::Sha256Digest;
use haywain_shared::frame_list::FrameList;
use haywain_shared::frames::{FrameNumber, FrameRange};
use haywain_shared::ids::{AgentId, Incarnation, JobId, LeaseId, RequestId, TokenId};
use haywain_shared::job::{Event, JobState, RecordedFrame};
use haywain_shared::options::RenderOptions;
use haywain_shared::path::RelativePath;
use haywain_shared::protocol::{
    Abilities, BlenderBuild, BlenderFacts, HeldLease, InspectionWish, LeaseGrant, LeaseTiming, MachineFacts,
    MachineSample, Stage,
};
use haywain_shared::requirements::Requirements;
use haywain_shared::scene::SceneId;
use serde::{Deserialize, Serialize};

use super::Sight;
use crate::queue::submission::Limits;

/// A job to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its id, drawn by the caller.
    pub id: JobId,
    /// The token that it comes by.
    pub owner: Option<TokenId>,
    /// Whose scenes it may be made of.
    pub sight: Sight,
    /// What people call it.
    pub name: Option<String>,
    /// Its scene.
    pub scene: SceneId,
    /// Its frames.
    pub frames: FrameList,
    /// The most frames in a batch.
    pub batch_size: u32,
    /// What it asks of Blender.
    pub options: RenderOptions,
    /// What it asks of agents.
    pub requirements: Requirements,
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
    /// What jobs may ask of it beyond that.
    #[serde(default)]
    pub abilities: Abilities,
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
    /// When the slot can begin.
    pub timing: LeaseTiming,
    /// Memory that the machine could give to the slot.
    pub memory_available_bytes: u64,
    /// The scene that the slot's Blender has open, or renders.
    pub warm: Option<SceneId>,
    /// Scenes that lie whole on the machine.
    pub cached: Vec<SceneId>,
    /// The ids of the devices that are the slot's to use; `None` is all of the agent's.
    pub devices: Option<Vec<String>>,
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
    /// The name of the token that it was submitted with, if that stands for it.
    pub submitted_by: Option<String>,
    /// The job's scene.
    pub scene: SceneId,
    /// Which of the agent's Blenders is to render it.
    pub blender: BlenderBuild,
    /// What it is to render with, where that is known.
    pub device: Option<DeviceKind>,
    /// The batch.
    pub frames: FrameRange,
    /// The generation of all its frames.
    pub generation: u32,
    /// How long one frame may take.
    pub frame_timeout: Option<Duration>,
    /// How long Blender may do nothing.
    pub stall_timeout: Option<Duration>,
    /// What the job asks of Blender.
    pub options: RenderOptions,
    /// Whether somebody is to say what is in the scene.
    pub inspection: InspectionWish,
}

impl From<Lease> for LeaseGrant {
    fn from(lease: Lease) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            lease_id: lease.id,
            epoch: lease.epoch,
            job_id: lease.job,
            submitted_by: lease.submitted_by,
            scene: lease.scene,
            blender: lease.blender,
            device: lease.device,
            frames: lease.frames,
            generation: lease.generation,
            frame_timeout_ms: lease.frame_timeout.map(ms),
            stall_timeout_ms: lease.stall_timeout.map(ms),
            options: lease.options,
            inspection: lease.inspection,
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

/// What somebody hears who asks for events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Those in sight, oldest first.
    pub events: Vec<Event>,
    /// The last event that was looked at, in sight or not: whoever goes on after it misses nothing, and looks at none twice.
    pub through: u64,
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
    /// How far it had come.
    pub stage: Stage,
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
    /// Only those that somebody may see.
    pub sight: Sight,
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those older than this one.
    pub before: Option<JobId>,
    /// At most this many.
    pub limit: u32,
}
