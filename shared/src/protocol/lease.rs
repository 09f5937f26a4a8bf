//! How a slot gets its work: what it asks by, and what it is given.

use serde::{Deserialize, Serialize};

use super::registration::BlenderBuild;
use crate::devices::DeviceKind;
use crate::frames::FrameRange;
use crate::ids::{AgentId, Incarnation, JobId, LeaseId, RequestId};
use crate::options::RenderOptions;
use crate::scene::SceneId;

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
