//! What the agent is at, for a person at its machine: kept in a file of its data folder while it lives, told by
//! `haywain-agent status`, and served on a loopback port to programs that ask for metrics. Nothing in it is secret, and nothing
//! depends on it.

mod board;
mod contact;
mod keeper;
mod metrics;
pub mod tell;

use std::path::Path;

use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{AgentId, JobId, LeaseId};
use haywain_shared::protocol::MachineSample;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::board::{Board, Note, Rooms};
pub use self::contact::Watched;
pub use self::keeper::Keeper;

/// Its file, in the agent's data folder.
pub const FILE: &str = "status.json";

/// All there is to tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Who it is.
    pub agent: Who,
    /// What it does.
    pub doing: Doing,
    /// What keeps it from working, or from working well: one sentence each.
    pub obstacles: Vec<String>,
    /// When the orchestrator answered last; `None` until it has.
    pub last_contact: Option<Timestamp>,
    /// How many frames it renders at once, at most.
    pub slots: u32,
    /// The frames in work.
    pub work: Vec<Work>,
    /// Finished frames that the orchestrator does not have yet.
    pub outbox: Holding,
    /// Scenes on this machine.
    pub cache: Holding,
    /// The machine, by the last heartbeat.
    pub machine: Option<MachineSample>,
    /// What it has done since it started.
    pub done: Done,
}

/// Which agent it is, and which process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Who {
    /// Its id.
    pub agent_id: AgentId,
    /// What people call it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its orchestrator.
    pub orchestrator: String,
    /// Its Blenders.
    pub blenders: Vec<String>,
    /// How strong the sandbox is.
    pub sandbox: String,
    /// The process.
    pub process: u32,
    /// When that started.
    pub started: Timestamp,
}

/// What the agent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Doing {
    /// It makes itself known to the orchestrator: at its start, and after it was shut out.
    Registering,
    /// It waits for work.
    Waiting,
    /// It holds work.
    Working,
    /// Somebody has told the orchestrator to give it no more work.
    Drained,
    /// It finishes what it has, and goes.
    Leaving,
}

/// A batch in work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Work {
    /// The lease.
    pub lease_id: LeaseId,
    /// Whose frames they are.
    pub job_id: JobId,
    /// The frame in work; `None` between two.
    pub frame: Option<FrameNumber>,
    /// How far it is: 0 to 1.
    pub fraction: f32,
    /// The frames of this batch that are finished.
    pub frames_done: u32,
}

/// Things that lie on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// How many.
    pub count: u64,
    /// How large, in bytes.
    pub bytes: u64,
    /// The bound of that, in bytes.
    pub max_bytes: u64,
}

/// What has been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// Frames rendered.
    pub frames: u64,
    /// How long they took, all together, in milliseconds.
    pub render_ms: u64,
    /// Attempts that failed.
    pub failures: u64,
}

/// What the agent of a data folder has written of itself; `None` where none has ever run.
pub fn read(data_dir: &Path) -> std::io::Result<Option<Status>> {
    match std::fs::read(data_dir.join(FILE)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
