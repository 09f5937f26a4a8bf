//! A job as its watchers see it: what `GET /status/{jobId}` answers to those who ask for JSON.

use serde::{Deserialize, Serialize};

use crate::cause::Cause;
use crate::frames::{FrameNumber, FrameRange};
use crate::ids::{AgentId, JobId};
use crate::scene::SceneId;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobState {
    /// No agent has taken a batch of it yet.
    Pending,
    /// Some frames are not done, and none of them is given up for good while others can go on.
    Running,
    /// Every frame is done.
    Completed,
    /// Nothing is pending or leased, and a frame failed.
    Failed,
}

/// How many frames are in each state. Every frame of a job is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

/// What an agent has done for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SceneFault {
    /// The cause.
    pub cause: Cause,
    /// What is wrong with the scene.
    pub message: String,
}

/// The whole job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// When it was submitted.
    pub created_at: jiff::Timestamp,
    /// When its last frame was recorded or given up.
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
