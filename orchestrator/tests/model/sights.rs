//! What must be seen to happen in a run: without these, a property that holds would prove nothing.

use stateright::Property;

use crate::deliveries::Outcome;
use crate::mutants::Mutant;
use crate::network::Report;
use crate::orchestrator::JobState;
use crate::pieces::Piece;
use crate::protocol::Protocol;
use crate::state::{LeaseIndex, Orchestrator, Standing, State};

/// Something that a run must get to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    Completed,
    Failed,
    Readopted,
    Superseded,
    StaleGeneration,
    BackupWins,
    LateDelivery,
    FailedIsDone,
    JobGone,
}

impl Sight {
    pub(crate) fn property(self) -> Property<Protocol> {
        match self {
            Self::Completed => Property::sometimes("seen: a job completes", |_, state: &State| {
                state.orchestrator.job_state() == JobState::Completed
            }),
            Self::Failed => Property::sometimes("seen: a job fails", |_, state: &State| {
                state.orchestrator.job_state() == JobState::Failed
            }),
            Self::Readopted => Property::sometimes("seen: a frame in work is re-adopted", |_, state: &State| {
                // It can be told for as long as the old lease has something to deliver.
                let readopted = |lease| state.orchestrator.lease(lease).readopted_from.is_some();
                state.agents.iter().any(|agent| agent.in_work().is_some_and(|(lease, _)| readopted(lease)))
            }),
            Self::Superseded => Property::sometimes("seen: a delivery is superseded", |_, state: &State| {
                delivers(state, |orchestrator, lease, piece| {
                    orchestrator.is_current(piece)
                        && orchestrator.outcome(lease, piece, Mutant::None) == Outcome::Superseded
                })
            }),
            Self::StaleGeneration => Property::sometimes("seen: a stale generation arrives", |_, state: &State| {
                delivers(state, |orchestrator, lease, piece| {
                    !orchestrator.is_current(piece)
                        && orchestrator.outcome(lease, piece, Mutant::None) == Outcome::Superseded
                })
            }),
            Self::BackupWins => Property::sometimes("seen: a backup wins", |_, state: &State| {
                delivers(state, |orchestrator, lease, piece| {
                    // A backup is always the later lease of the two.
                    orchestrator.lease(lease).held.contains(piece)
                        && orchestrator.holders(piece).any(|other| other < lease)
                })
            }),
            Self::LateDelivery => Property::sometimes("seen: an ended lease delivers", |_, state: &State| {
                delivers(state, |orchestrator, lease, piece| {
                    orchestrator.lease(lease).standing != Standing::Live
                        && orchestrator.outcome(lease, piece, Mutant::None) == Outcome::Recorded
                })
            }),
            Self::JobGone => Property::sometimes("seen: a delivery finds its job gone", |_, state: &State| {
                delivers(state, |orchestrator, lease, piece| {
                    orchestrator.outcome(lease, piece, Mutant::None) == Outcome::JobGone
                })
            }),
            Self::FailedIsDone => Property::sometimes("seen: a failed frame is delivered", |_, state: &State| {
                delivers(state, |orchestrator, _, piece| orchestrator.failed.contains(piece))
            }),
        }
    }
}

/// Whether a frame is about to be delivered of which this is true.
fn delivers(state: &State, which: impl Fn(&Orchestrator, LeaseIndex, Piece) -> bool) -> bool {
    state.agents.iter().any(|agent| match agent.outbox.first() {
        Some(Report::Frame(lease, piece)) => which(&state.orchestrator, *lease, *piece),
        _ => false,
    })
}
