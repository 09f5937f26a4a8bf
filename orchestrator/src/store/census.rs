//! How the farm does, in numbers: what programs watch, and scale it by.

use std::time::Duration;

use haywain_shared::job::{AgentState, FrameCounts, JobState};
use haywain_shared::protocol::UploadOutcome;

/// The farm at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// Jobs in each state, and their frames. Every state is there.
    pub jobs: Vec<JobsInState>,
    /// For how long the frame that has waited for longest has: of jobs that are to be rendered. `None` when none waits.
    pub longest_wait: Option<Duration>,
    /// Agents in each state. Every state is there.
    pub agents: Vec<AgentsInState>,
    /// Live leases.
    pub leases: u64,
}

/// Jobs in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobsInState {
    /// The state.
    pub state: JobState,
    /// How many there are.
    pub jobs: u64,
    /// Their frames together.
    pub frames: FrameCounts,
}

/// Agents in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentsInState {
    /// The state.
    pub state: AgentState,
    /// How many there are.
    pub agents: u64,
    /// Their slots together, by their last word; of agents that are not there, none.
    pub slots: u64,
}

/// What became of a frame that was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// What its agent is told.
    pub outcome: UploadOutcome,
    /// If it is the first of its job ever: how long after the job's submission it came.
    pub first_after: Option<Duration>,
}

impl From<UploadOutcome> for Delivered {
    fn from(outcome: UploadOutcome) -> Self {
        Self { outcome, first_after: None }
    }
}
