//! A job as its watchers see it: what `GET /status/{jobId}` answers to those who ask for JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::blender_version::Release;
use crate::cause::Cause;
use crate::frames::{FrameNumber, FrameRange};
use crate::ids::{AgentId, JobId};
use crate::requirements::Requirements;
use crate::scene::SceneId;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum JobState {
    /// No agent has taken a batch of it yet.
    Pending,
    /// Agents work on it, or could.
    Running,
    /// Somebody has paused it: what is leased goes on, nothing else is.
    Paused,
    /// Every frame is done.
    Completed,
    /// Nothing is pending or leased, and a frame failed.
    Failed,
    /// Somebody has cancelled it.
    Cancelled,
}

/// How many frames are in each state. Every frame of a job is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FrameCounts {
    /// All of them.
    pub total: u64,
    /// Waiting for an agent.
    pub pending: u64,
    /// With an agent.
    pub leased: u64,
    /// Output stored.
    pub done: u64,
    /// Given up.
    pub failed: u64,
}

/// The frames in each state, as runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FramesByState {
    /// Waiting for an agent.
    pub pending: Vec<FrameRange>,
    /// With an agent.
    pub leased: Vec<FrameRange>,
    /// Output stored.
    pub done: Vec<FrameRange>,
    /// Given up.
    pub failed: Vec<FrameRange>,
}

/// A batch that an agent holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BatchReport {
    /// The batch as it was leased.
    pub frames: FrameRange,
    /// Those of its frames that are still to come.
    pub remaining: Vec<FrameRange>,
    /// Who has it.
    pub agent_id: AgentId,
    /// What people call that agent.
    pub agent: String,
    /// The frame in work, if the agent has named one.
    pub frame_in_work: Option<FrameNumber>,
    /// How far that frame is: 0 to 1.
    pub fraction: f32,
    /// The end of Blender's log at that frame.
    pub log_tail: String,
}

/// What an agent has done for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentShare {
    /// The agent.
    pub agent_id: AgentId,
    /// What people call it.
    pub agent: String,
    /// Frames of the job that it rendered.
    pub frames: u64,
    /// The time that it spent rendering them.
    pub render_ms: u64,
}

/// A frame that failed, by its last attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedFrame {
    /// The frame.
    pub frame: FrameNumber,
    /// Why its last attempt failed.
    pub cause: Cause,
    /// What that agent said about it.
    pub message: String,
    /// Who tried it last.
    pub agent: String,
    /// How often it was tried.
    pub attempts: u32,
    /// The end of Blender's log.
    pub log_tail: String,
}

/// Why a whole job was given up before its frames were tried: the scene's own fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SceneFault {
    /// The cause.
    pub cause: Cause,
    /// What is wrong with the scene.
    pub message: String,
}

/// The whole job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobReport {
    /// The job.
    pub job_id: JobId,
    /// What people call it.
    pub name: Option<String>,
    /// Its scene.
    pub scene: SceneId,
    /// Where it stands.
    pub state: JobState,
    /// The most frames in a batch.
    pub batch_size: u32,
    /// Jobs of a higher one are served first.
    pub priority: i32,
    /// Failed attempts after which a frame is given up.
    pub max_attempts: u32,
    /// How long one frame may take; no limit unless one is set.
    pub frame_timeout_ms: Option<u64>,
    /// How long Blender may do nothing at a frame; for ever if none is set.
    pub stall_timeout_ms: Option<u64>,
    /// What the job asks of Blender.
    pub options: crate::options::RenderOptions,
    /// What it asks of agents.
    #[serde(default)]
    pub requirements: Requirements,
    /// The Blender that saved its file, where the file says so.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "4.2")]
    pub saved_by: Option<Release>,
    /// The version of Blender that renders all its frames: that of its first lease. None before, or if it is mixed.
    #[serde(default)]
    pub blender: Option<String>,
    /// The kind of device that renders all its frames: that of the first lease for which it was known. None before, or if it
    /// is mixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<crate::devices::DeviceKind>,
    /// Why none of the agents that are there can take what is pending; empty if one can, or works on the job, or nothing is
    /// to be taken.
    #[serde(default)]
    pub waits_for: Vec<String>,
    /// When it was submitted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: jiff::Timestamp,
    /// When its last frame was recorded or given up.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<jiff::Timestamp>,
    /// Frames in each state.
    pub counts: FrameCounts,
    /// Which frames are in each state.
    pub frames: FramesByState,
    /// Batches that agents hold now.
    pub batches: Vec<BatchReport>,
    /// What each agent has done so far.
    pub agents: Vec<AgentShare>,
    /// Frames recorded in a second, lately; none known before the first.
    pub frames_per_second: Option<f64>,
    /// The time until the last frame at that speed.
    pub eta_ms: Option<u64>,
    /// The scene's fault that failed the whole job, if one did.
    pub scene_fault: Option<SceneFault>,
    /// Frames that failed: the first hundred, by number.
    pub failures: Vec<FailedFrame>,
    /// The folder on the orchestrator's disk that the frames are in.
    pub output_folder: Option<String>,
}

/// A job in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobSummary {
    /// The job.
    pub job_id: JobId,
    /// What people call it.
    pub name: Option<String>,
    /// Its scene.
    pub scene: SceneId,
    /// Where it stands.
    pub state: JobState,
    /// Jobs of a higher one are served first.
    pub priority: i32,
    /// When it was submitted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: jiff::Timestamp,
    /// When its last frame was recorded or given up.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<jiff::Timestamp>,
    /// Frames in each state.
    pub counts: FrameCounts,
}

/// A frame whose output is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedFrame {
    /// The frame.
    pub frame: FrameNumber,
    /// How often it has been asked for: 1, and one more for each explicit re-render.
    pub generation: u32,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: jiff::Timestamp,
    /// How long the render took.
    pub render_ms: u64,
    /// The most memory that Blender had had by then, where known.
    pub peak_memory_bytes: Option<u64>,
    /// Who rendered it.
    pub agent: String,
    /// Its files: the picture first, then what else the frame makes.
    pub files: Vec<crate::protocol::OutputFile>,
    /// Its place in the order that the job's frames were recorded in, from 1. A frame that is rendered anew gets a new one.
    pub place: u64,
    /// Whether it has a thumbnail.
    pub has_thumbnail: bool,
}

/// A page of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobPage {
    /// The jobs, youngest first.
    pub jobs: Vec<JobSummary>,
}

/// A page of frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FramePage {
    /// The frames, in the order that they were recorded in.
    pub frames: Vec<RecordedFrame>,
    /// Where the next page begins: what comes after it is what was recorded after this page. Give it as `since`.
    pub cursor: u64,
}

/// A list of attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptList {
    /// The attempts, oldest first.
    pub attempts: Vec<AttemptReport>,
}

/// An attempt that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptReport {
    /// The frame.
    pub frame: FrameNumber,
    /// The generation of the frame that was tried.
    pub generation: u32,
    /// The epoch of the lease that it was tried under.
    pub epoch: u64,
    /// Who tried.
    pub agent_id: AgentId,
    /// What people call that agent.
    pub agent: String,
    /// When the batch was leased.
    #[schema(value_type = String, format = DateTime)]
    pub leased_at: jiff::Timestamp,
    /// When the attempt ended.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: jiff::Timestamp,
    /// Why it ended without a frame; `null` when it brought one.
    pub cause: Option<Cause>,
    /// What the agent said about it.
    pub message: String,
    /// The end of Blender's log, when it failed.
    pub log_tail: String,
    /// How long the render took, when it brought a frame.
    pub render_ms: Option<u64>,
    /// The most memory that Blender had had by then, where known.
    pub peak_memory_bytes: Option<u64>,
}

/// An agent as its watchers see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentReport {
    /// The agent.
    pub agent_id: AgentId,
    /// What people call it.
    pub name: String,
    /// Whether it is there, and takes work.
    pub state: AgentState,
    /// Until when it gets no work, if it has been set aside for a while.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub aside_until: Option<jiff::Timestamp>,
    /// Its machine.
    pub machine: crate::protocol::MachineFacts,
    /// Its Blenders.
    pub blenders: Vec<crate::protocol::BlenderFacts>,
    /// What jobs may ask of it beyond that.
    pub abilities: crate::protocol::Abilities,
    /// How many batches it works on at once.
    pub slots: u32,
    /// When it last registered.
    #[schema(value_type = String, format = DateTime)]
    pub registered_at: jiff::Timestamp,
    /// What its machine said of itself last, if anything was heard of it since the orchestrator started.
    pub sample: Option<crate::protocol::MachineSample>,
    /// Leases that it holds.
    pub leases: u32,
    /// Why it can take none of the jobs that are next, though it is there and there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_because: Option<String>,
}

/// Whether an agent is there, and takes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum AgentState {
    /// It is there and takes work.
    Online,
    /// It is there, finishes what it has and takes no more.
    Draining,
    /// It gets no work: it failed on several jobs in a row, or somebody has set it aside.
    SetAside,
    /// Nothing was heard of it for as long as a lease lasts.
    Offline,
}

/// Something that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its number: later events have higher ones.
    pub id: u64,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: jiff::Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// To which job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// To or by which agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// To which frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<FrameNumber>,
    /// More, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// A job was submitted.
    JobSubmitted,
    /// A job was paused, resumed, had its failed frames retried, frames rendered anew, or its priority changed.
    JobChanged,
    /// Every frame of a job is done.
    JobCompleted,
    /// Nothing of a job can change any more, and a frame is missing.
    JobFailed,
    /// A job was cancelled.
    JobCancelled,
    /// A job was removed, with all that it made.
    JobRemoved,
    /// A batch was leased.
    BatchLeased,
    /// A frame's output was recorded.
    FrameDone,
    /// An attempt at a frame failed.
    AttemptFailed,
    /// A frame was given up.
    FrameFailed,
    /// A lease ran out.
    LeaseExpired,
    /// An agent registered.
    AgentRegistered,
    /// An agent was drained, resumed, set aside or forgotten.
    AgentChanged,
}
