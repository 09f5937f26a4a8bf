//! What an agent has to tell of its work: frames, failures, what it gives back, and scenes that it could not open.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cause::Cause;
use crate::digest::Sha256Digest;
use crate::frames::FrameNumber;
use crate::ids::{AgentId, JobId};
use crate::inspection::InspectionFailure;
use crate::path::RelativePath;
use crate::scene::BlobRef;

/// The name of the first part of a frame's upload: a [`FrameUpload`] as JSON. The files follow, in its order.
pub const UPLOAD_META_PART: &str = "meta";

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
