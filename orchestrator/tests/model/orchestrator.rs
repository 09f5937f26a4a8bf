//! The orchestrator's queue: the homes of frames, and the commits that move frames between them. Every function here keeps
//! a frame in one home (invariant I2) and the counters with it; what a [`Mutant`] changes is named where it does.

use crate::mutants::Mutant;
use crate::pieces::{FRAMES, Piece, PieceSet};
use crate::state::{AgentIndex, Control, Counts, Incarnation, Lease, LeaseIndex, Life, Orchestrator, Standing, TTL};

/// Where a frame goes that its last holder loses without having rendered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Shelf {
    Pending,
    Failed,
}

/// What the job is to its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobState {
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Orchestrator {
    pub(crate) fn lease(&self, lease: LeaseIndex) -> &Lease {
        &self.leases[usize::from(lease.0)]
    }

    pub(crate) fn lease_mut(&mut self, lease: LeaseIndex) -> &mut Lease {
        &mut self.leases[usize::from(lease.0)]
    }

    pub(crate) fn lease_indices(&self) -> impl Iterator<Item = LeaseIndex> + use<> {
        (0..u8::try_from(self.leases.len()).unwrap()).map(LeaseIndex)
    }

    pub(crate) fn live_leases(&self) -> impl Iterator<Item = (LeaseIndex, &Lease)> {
        let live = |lease: &LeaseIndex| self.lease(*lease).standing == Standing::Live;
        self.lease_indices().filter(live).map(|lease| (lease, self.lease(lease)))
    }

    /// A frame as it is wanted now.
    pub(crate) fn current(&self, frame: u8) -> Piece {
        Piece::new(frame, self.generations[usize::from(frame)])
    }

    pub(crate) fn is_current(&self, piece: Piece) -> bool {
        self.current(piece.frame()) == piece
    }

    pub(crate) fn is_recorded(&self, piece: Piece) -> bool {
        self.recorded[piece.index()].is_some()
    }

    pub(crate) fn holders(&self, piece: Piece) -> impl Iterator<Item = LeaseIndex> {
        self.lease_indices().filter(move |lease| self.lease(*lease).held.contains(piece))
    }

    /// A pure function of the control and the counters.
    pub(crate) const fn job_state(&self) -> JobState {
        let Counts { pending, leased, done, failed } = self.counts;
        match self.control {
            Control::Cancelled => JobState::Cancelled,
            Control::Active if done == FRAMES.cast_signed() => JobState::Completed,
            Control::Active if pending + leased == 0 && failed > 0 => JobState::Failed,
            Control::Active => JobState::Running,
        }
    }

    pub(crate) fn begin(&mut self, lease: Lease) -> LeaseIndex {
        self.leases.push(lease);
        LeaseIndex(u8::try_from(self.leases.len() - 1).unwrap())
    }

    pub(crate) fn take_pending(&mut self, piece: Piece) {
        self.pending.remove(piece);
        self.counts.pending -= 1;
        self.counts.leased += 1;
    }

    /// Takes a frame from a lease. With another holder that is all; else it goes to a shelf.
    fn let_go(&mut self, lease: LeaseIndex, piece: Piece, to: Shelf, mutant: Mutant) {
        let held = self.lease_mut(lease).held.remove(piece);
        let others = self.holders(piece).next().is_some();
        let goes = match mutant {
            Mutant::NoEpochCheck => !self.pending.contains(piece) && !self.failed.contains(piece) && (!held || !others),
            Mutant::PendingWhileBackupHolds => held,
            _ => held && !others,
        };
        if !goes {
            return;
        }
        self.counts.leased -= 1;
        match to {
            Shelf::Pending => {
                self.pending.insert(piece);
                self.counts.pending += 1;
            }
            Shelf::Failed => {
                self.failed.insert(piece);
                self.counts.failed += 1;
            }
        }
    }

    pub(crate) fn end_if_empty(&mut self, lease: LeaseIndex) {
        let lease = self.lease_mut(lease);
        if lease.standing == Standing::Live && lease.held.is_empty() {
            (lease.standing, lease.left) = (Standing::Ended, 0);
        }
    }

    pub(crate) fn end(&mut self, lease: LeaseIndex, standing: Standing, mutant: Mutant) {
        for piece in self.lease(lease).held.iter() {
            self.let_go(lease, piece, Shelf::Pending, mutant);
        }
        let row = self.lease_mut(lease);
        if row.standing == Standing::Live {
            (row.standing, row.left) = (standing, 0);
        }
    }

    /// A term has run out. The first frame, in work for all one knows, goes where the retry rule says.
    pub(crate) fn expire(&mut self, lease: LeaseIndex, first_to: Shelf, mutant: Mutant) {
        if let Some(first) = self.lease(lease).held.first() {
            self.let_go(lease, first, first_to, mutant);
        }
        self.end(lease, Standing::Expired, mutant);
    }

    pub(crate) fn fail(&mut self, lease: LeaseIndex, piece: Piece, to: Shelf, mutant: Mutant) {
        self.let_go(lease, piece, to, mutant);
        self.end_if_empty(lease);
    }

    pub(crate) fn release(&mut self, lease: LeaseIndex, pieces: PieceSet, mutant: Mutant) {
        for piece in pieces.iter() {
            self.let_go(lease, piece, Shelf::Pending, mutant);
        }
        self.end_if_empty(lease);
    }

    pub(crate) fn complete(&mut self, lease: LeaseIndex, mutant: Mutant) {
        self.end(lease, Standing::Ended, mutant);
    }

    /// A new life of an agent: the leases of the one before are over.
    pub(crate) fn register(&mut self, agent: AgentIndex, mutant: Mutant) {
        for lease in self.lease_indices() {
            let row = self.lease(lease);
            let over = row.agent == agent && row.standing == Standing::Live && row.incarnation == Incarnation::Old;
            if over && mutant != Mutant::OldIncarnationKept {
                self.end(lease, Standing::Ended, mutant);
            }
        }
    }

    pub(crate) fn cancel(&mut self, mutant: Mutant) {
        self.control = Control::Cancelled;
        for lease in self.lease_indices() {
            self.end(lease, Standing::Ended, mutant);
        }
    }

    /// Done frames are to be rendered again.
    pub(crate) fn rerender(&mut self, frame: u8, mutant: Mutant) {
        self.generations[usize::from(frame)] += 1;
        self.pending.insert(self.current(frame));
        self.counts.pending += 1;
        if mutant != Mutant::RerenderUncounted {
            self.counts.done -= 1;
        }
    }

    /// The process starts again, with what is on disk: every live lease gets a full term.
    pub(crate) fn start(&mut self, mutant: Mutant) {
        (self.life, self.up_for) = (Life::Up, 0);
        for row in self.leases.iter_mut().filter(|row| row.standing == Standing::Live) {
            row.left = if mutant == Mutant::NoRestartGrace { 0 } else { TTL };
        }
    }

    /// The process dies, and its memory with it.
    pub(crate) fn die(&mut self) {
        (self.life, self.up_for) = (Life::Down, 0);
        self.leases.iter_mut().for_each(|row| row.left = 0);
    }
}
