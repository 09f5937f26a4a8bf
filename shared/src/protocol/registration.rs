//! How an agent makes itself known, what it says of its machine and its Blenders, and how it takes its leave.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::devices::{DeviceFacts, PartFacts};
use crate::digest::Sha256Digest;
use crate::ids::{AgentId, Incarnation};
use crate::requirements::Tag;
use crate::scripts::ScriptRule;

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

/// `POST /leave`: the agent ends, and holds nothing any more. Answered by 204.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaveRequest {
    /// Who leaves.
    pub agent_id: AgentId,
    /// Which life of it.
    pub incarnation: Incarnation,
}
