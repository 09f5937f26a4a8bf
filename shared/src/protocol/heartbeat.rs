//! How an agent says that it lives and what it holds, and what it hears of each lease.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lease::LeaseGrant;
use crate::frames::{FrameNumber, FrameRange};
use crate::ids::{AgentId, Incarnation, LeaseId};

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
