//! Deliveries: the one commit by which a frame is done (invariants I1 and I4).

use crate::mutants::Mutant;
use crate::pieces::Piece;
use crate::state::{Author, Breach, Breaches, Control, LeaseIndex, Orchestrator, Standing};

/// What is answered to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Recorded,
    AlreadyRecorded,
    Superseded,
    JobGone,
    UnknownLease,
}

impl Orchestrator {
    /// What a delivery is answered. A pure function of what is recorded and wanted.
    pub(crate) fn outcome(&self, lease: LeaseIndex, piece: Piece, mutant: Mutant) -> Outcome {
        let live = self.lease(lease).standing == Standing::Live;
        if mutant == Mutant::OutboxDroppedOnUnknown && !live {
            return Outcome::UnknownLease;
        }
        let target = if mutant == Mutant::GenerationIgnored { self.current(piece.frame()) } else { piece };
        match self.recorded[target.index()] {
            Some(author) if author.lease == Some(lease) => return Outcome::AlreadyRecorded,
            Some(_) if mutant != Mutant::RecordReplaces => return Outcome::Superseded,
            _ => {}
        }
        if !self.is_current(target) {
            return Outcome::Superseded;
        }
        match self.control {
            Control::Cancelled => Outcome::JobGone,
            Control::Active => Outcome::Recorded,
        }
    }

    pub(crate) fn record(
        &mut self,
        lease: LeaseIndex,
        piece: Piece,
        breaches: &mut Breaches,
        mutant: Mutant,
    ) -> Outcome {
        let outcome = self.outcome(lease, piece, mutant);
        if outcome != Outcome::Recorded {
            return outcome;
        }
        let target = self.current(piece.frame());
        if self.is_recorded(target) {
            breaches.add(Breach::OutputReplaced);
            self.counts.done -= 1;
        } else if self.pending.remove(target) {
            self.counts.pending -= 1;
        } else if self.failed.remove(target) {
            self.counts.failed -= 1;
        } else {
            self.counts.leased -= 1;
        }
        self.counts.done += 1;
        self.recorded[target.index()] = Some(Author { lease: Some(lease), rendered: piece });
        for holder in self.lease_indices() {
            self.lease_mut(holder).held.remove(target);
            self.end_if_empty(holder);
        }
        outcome
    }
}
