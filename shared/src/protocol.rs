//! What agent and orchestrator say to each other: JSON in camel case, under [`PREFIX`]. Every call goes from the agent to
//! the orchestrator. Durations are whole milliseconds and say so in their names; sizes are bytes.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cause::Cause;
use crate::devices::{DeviceFacts, DeviceKind, PartFacts};
use crate::digest::Sha256Digest;
use crate::frames::{FrameNumber, FrameRange};
use crate::ids::{AgentId, Incarnation, JobId, LeaseId, RequestId};
use crate::inspection::InspectionFailure;
use crate::options::RenderOptions;
use crate::path::RelativePath;
use crate::requirements::Tag;
use crate::scene::{BlobRef, SceneId};
use crate::scripts::ScriptRule;

/// The path that all calls of the agent's protocol begin with.
pub const PREFIX: &str = "/api/v1/agent";

/// The name of the first part of a frame's upload: a [`FrameUpload`] as JSON. The files follow, in its order.
pub const UPLOAD_META_PART: &str = "meta";

/// `POST /register`: at every start, and whenever the orchestrator does not know the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterRequest {
    /// Made by the agent at its first start.
    pub agent_id: AgentId,
    /// This life of the agent.
    pub incarnation: Incarnation,
    /// What people call it.
    pub name: String,
    /// How many batches it works on at once.
    pub slots: u32,
    /// The machine that it runs on.
    pub machine: MachineFacts,
    /// The Blenders that it can start, best first.
    pub blenders: Vec<BlenderFacts>,
    /// What jobs may ask of it beyond that.
    #[serde(default)]
    pub abilities: Abilities,
    /// The digest of the agent's own token, which it has drawn itself: once it is enrolled, it goes by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_sha256: Option<Sha256Digest>,
}

/// What jobs may ask of an agent beyond its Blender.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Abilities {
    /// For whom its owner lets Python run that comes with a scene.
    #[serde(default)]
    pub scripts: ScriptRule,
    /// The add-ons that it has.
    #[serde(default)]
    pub addons: Vec<AddonFacts>,
    /// The words that its owner has given to it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Tag>,
    /// Whether it begins frames that another agent has in work.
    #[serde(default)]
    pub backups: Backups,
}

/// Whether an agent begins frames beside another that has them in work, to be there if that one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Backups {
    /// It does.
    #[default]
    Taken,
    /// It does not: its machine is somebody's desk, or its traffic costs.
    Declined,
}

/// An add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddonFacts {
    /// The name of its module.
    pub name: String,
    /// Its version, where it says one.
    pub version: Option<String>,
}

/// What an agent knows of its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineFacts {
    /// The operating system and its version, for people.
    pub os: String,
    /// The processor's architecture.
    pub arch: String,
    /// Logical processors that the agent may use.
    pub logical_cores: u32,
    /// All memory that the agent may use.
    pub memory_bytes: u64,
    /// Its GPUs, as the system tells of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuFacts>,
}

/// A GPU of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpuFacts {
    /// Who made it and what they call it, as far as the system tells.
    pub name: String,
    /// Its memory, where the system tells.
    pub memory_bytes: Option<u64>,
}

/// A Blender that an agent can start, and what it can do there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlenderFacts {
    /// Which it is.
    #[serde(flatten)]
    pub build: BlenderBuild,
    /// What it can render with.
    #[serde(default)]
    pub devices: Vec<DeviceFacts>,
    /// Its render engines.
    #[serde(default)]
    pub engines: Vec<PartFacts>,
    /// The denoisers of Cycles.
    #[serde(default)]
    pub denoisers: Vec<PartFacts>,
}

/// A Blender by what tells it from the others of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlenderBuild {
    /// Its version as it says it: `3.4.1`.
    pub version: String,
    /// Program, or Python module.
    pub kind: BlenderKind,
}

impl From<BlenderBuild> for BlenderFacts {
    /// One of which nothing more is known.
    fn from(build: BlenderBuild) -> Self {
        Self { build, devices: Vec::new(), engines: Vec::new(), denoisers: Vec::new() }
    }
}

/// How a Blender is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum BlenderKind {
    /// The Blender program.
    Program,
    /// A Python that has the `bpy` module.
    Module,
}

impl fmt::Display for BlenderBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            BlenderKind::Program => "Blender",
            BlenderKind::Module => "Blender as Python module",
        };
        write!(f, "{what} {}", self.version)
    }
}

/// The answer to a registration: the intervals to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterAnswer {
    /// How long a lease lasts without a heartbeat that names it.
    pub lease_ttl_ms: u64,
    /// The time from one heartbeat to the next.
    pub heartbeat_ms: u64,
    /// How long the orchestrator holds a lease request open when there is nothing to do.
    pub poll_ms: u64,
}

/// `POST /lease`: a free slot asks for work. Answered by 200 and [`Work`], or by 204 when the poll ends with nothing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseRequest {
    /// Who asks.
    pub agent_id: AgentId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Kept over repetitions of the request until it is answered by work: a lost answer costs no lease.
    pub request_id: RequestId,
    /// When the slot can begin.
    #[serde(default)]
    pub timing: LeaseTiming,
    /// Memory that the machine could give to this slot.
    pub memory_available_bytes: u64,
    /// The scene that the slot's Blender has open; when it asks ahead, the one that it renders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<SceneId>,
    /// Scenes that lie whole on this machine, the latest used first: at most [`MAX_CACHED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cached: Vec<SceneId>,
    /// The ids of the devices that are the slot's to use; `None` is all of the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<String>>,
}

/// When a slot can begin what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LeaseTiming {
    /// Now.
    #[default]
    Now,
    /// When it has finished the last frame of its batch, which is in work: meanwhile it opens the scene, if that is another one. The
    /// answer comes at once, and is 204 as well if there is nothing to open, or if others may be free for it sooner.
    Ahead,
}

/// The most scenes that a lease request tells of.
pub const MAX_CACHED: usize = 100;

/// Whether somebody wants to know what is in a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InspectionWish {
    /// It is known.
    #[default]
    Known,
    /// Nobody has looked yet: whoever opens it is to report, by `POST /scenes/{scene}/inspection`.
    Wanted,
}

/// What a free slot is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Work {
    /// Render a batch.
    Batch(Box<LeaseGrant>),
    /// Say what is in a scene, by `POST /scenes/{scene}/inspection`, or why that can't be said, by
    /// `POST /scenes/{scene}/inspection-failure`. It is no lease: nothing is held, and no heartbeat names it.
    Inspection {
        /// The scene.
        scene: SceneId,
    },
}

/// A granted lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseGrant {
    /// The lease.
    pub lease_id: LeaseId,
    /// Its place in the order of all grants; it does not change by renewal.
    pub epoch: u64,
    /// The job that the batch belongs to.
    pub job_id: JobId,
    /// The name of the token that the job was submitted with; none if there was none, or it has been revoked since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_by: Option<String>,
    /// The scene to render.
    pub scene: SceneId,
    /// Which of the agent's Blenders is to render it.
    pub blender: BlenderBuild,
    /// What it is to render with; `None` leaves it to what the scene says, and to what there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceKind>,
    /// The batch.
    pub frames: FrameRange,
    /// The generation of all its frames: raised by an explicit re-render, and part of what is delivered.
    pub generation: u32,
    /// How long one frame may take; no limit unless the job sets one.
    pub frame_timeout_ms: Option<u64>,
    /// How long Blender may do nothing: no progress, no output, no processor time. `None` means for ever.
    pub stall_timeout_ms: Option<u64>,
    /// What the job asks of Blender.
    #[serde(default)]
    pub options: RenderOptions,
    /// Whether the orchestrator wants to know what is in the scene.
    #[serde(default)]
    pub inspection: InspectionWish,
}

/// `POST /heartbeat`: one call for the whole agent, each interval, and at once on receipt of a lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatRequest {
    /// Who lives.
    pub agent_id: AgentId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Its place in the order of this life's heartbeats: one that has been overtaken says nothing new.
    #[serde(default)]
    pub sequence: u64,
    /// How many batches it works on at once, now.
    pub slots: u32,
    /// The machine at this moment.
    pub sample: MachineSample,
    /// Every lease that the agent holds. Only these are renewed.
    pub leases: Vec<HeldLease>,
}

/// A machine at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineSample {
    /// Processors in use, all programs together: 1.5 is one and a half.
    pub cores_busy: f32,
    /// Memory that a program could still get.
    pub memory_available_bytes: u64,
}

/// A lease as its holder sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldLease {
    /// The lease.
    pub lease_id: LeaseId,
    /// The frame in work, if one is.
    pub frame: Option<FrameNumber>,
    /// How far that frame is: 0 to 1.
    pub fraction: f32,
    /// Frames of the batch that are rendered, delivered or not.
    pub frames_done: u32,
    /// The end of Blender's log, while a frame is in work.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log_tail: String,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatAnswer {
    /// What the agent as a whole is to do.
    pub agent: AgentOrder,
    /// What became of each lease that was named.
    pub leases: Vec<LeaseVerdict>,
}

/// What an agent is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AgentOrder {
    /// Lease and work.
    Run,
    /// Finish the frame in work, give back the rest, and lease nothing until the order changes.
    Drain,
}

/// What became of a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseVerdict {
    /// The lease.
    pub lease_id: LeaseId,
    /// What became of it.
    pub standing: LeaseStanding,
}

/// What became of a lease that a heartbeat named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum LeaseStanding {
    /// It lives for another TTL.
    Renewed {
        /// Its frames that this agent is still to deliver: fewer than granted when others have been recorded.
        frames: Vec<FrameRange>,
    },
    /// It had ended, and nobody else has taken the frame in work: it goes on under a lease of its own.
    Readopted {
        /// The new lease, of that frame alone.
        grant: Box<LeaseGrant>,
    },
    /// It has ended. The frame in work may be finished and delivered, unless the job is gone.
    Revoked {
        /// Why.
        reason: RevokedReason,
    },
}

/// Why a lease has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevokedReason {
    /// It ran out, or was given back, and its frames are with others or recorded.
    Ended,
    /// The job was cancelled: the frame in work is to be stopped.
    JobCancelled,
    /// This orchestrator never granted it.
    Unknown,
}

/// The first part of `PUT /leases/{lease}/frames/{frame}`: what the files are that follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameUpload {
    /// The job, so that a frame can never be taken for another job's.
    pub job_id: JobId,
    /// The generation that the lease was granted for.
    pub generation: u32,
    /// How long the render took.
    pub render_ms: u64,
    /// The most memory that the Blender process has had resident, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// The frame's files: at least one.
    pub files: Vec<OutputFile>,
    /// A small JPEG of the first file, where one could be made: it follows the files as the last part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<BlobRef>,
}

/// The longer side of a thumbnail, in pixels.
pub const THUMBNAIL_PIXELS: u32 = 320;
/// The largest that a thumbnail may be.
pub const MAX_THUMBNAIL_BYTES: u64 = 1024 * 1024;

/// A file that a frame made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputFile {
    /// Its name, in the folder of the job's frames: the artist's own.
    pub name: RelativePath,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The digest of its content.
    pub sha256: Sha256Digest,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// The answer to a frame's upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadAnswer {
    /// What became of the frame.
    pub outcome: UploadOutcome,
}

/// What became of an uploaded frame. Whichever it is: the agent need not keep its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UploadOutcome {
    /// It is the frame's output now.
    Recorded,
    /// This lease has delivered it before.
    AlreadyRecorded,
    /// Another lease's output was recorded first, or the frame is to be rendered anew.
    Superseded,
    /// The job was cancelled.
    JobGone,
}

/// `POST /leases/{lease}/failures`: an attempt at a frame ended without one. Answered by 204, also when it is a repetition
/// or comes too late to matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureReport {
    /// The frame.
    pub frame: FrameNumber,
    /// Why.
    pub cause: Cause,
    /// How far it had come.
    #[serde(default)]
    pub stage: Stage,
    /// The most memory that Blender has had, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// What failed, on what, and what to do.
    pub message: String,
    /// The end of Blender's log.
    pub log_tail: String,
}

/// How far an attempt had come that brought no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Nothing of the frame was rendered yet.
    Preparing,
    /// It was being rendered, or nobody can tell.
    #[default]
    Rendering,
}

/// `POST /leases/{lease}/release`: frames that the agent gives back without an attempt. Answered by 204.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRequest {
    /// The frames.
    pub frames: Vec<FrameNumber>,
}

/// `POST /scenes/{scene}/inspection-failure`: the agent that was asked what is in a scene can't say. Answered by 204, also when
/// nobody waits for it any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectionFailureReport {
    /// Who can't.
    pub agent_id: AgentId,
    /// Why.
    #[serde(flatten)]
    pub failure: InspectionFailure,
}

/// `POST /leave`: the agent ends, and holds nothing any more. Answered by 204.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaveRequest {
    /// Who leaves.
    pub agent_id: AgentId,
    /// Which life of it.
    pub incarnation: Incarnation,
}
