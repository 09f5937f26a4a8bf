//! What agent and orchestrator say to each other: JSON in camel case, under [`PREFIX`]. Every call goes from the agent to
//! the orchestrator. Durations are whole milliseconds and say so in their names; sizes are bytes.

mod heartbeat;
mod lease;
mod outcome;
mod registration;

pub use heartbeat::{
    AgentOrder, HeartbeatAnswer, HeartbeatRequest, HeldLease, LeaseStanding, LeaseVerdict, MachineSample, RevokedReason,
};
pub use lease::{InspectionWish, LeaseGrant, LeaseRequest, LeaseTiming, MAX_CACHED, Work};
pub use outcome::{
    FailureReport, FrameUpload, InspectionFailureReport, MAX_THUMBNAIL_BYTES, OutputFile, ReleaseRequest, Stage,
    THUMBNAIL_PIXELS, UPLOAD_META_PART, UploadAnswer, UploadOutcome,
};
pub use registration::{
    Abilities, AddonFacts, Backups, BlenderBuild, BlenderFacts, BlenderKind, GpuFacts, LeaveRequest, MachineFacts,
    RegisterAnswer, RegisterRequest,
};

/// The path that all calls of the agent's protocol begin with.
pub const PREFIX: &str = "/api/v1/agent";
