//! Lease requests: what the orchestrator can offer for one, and the grant.

use crate::mutants::Mutant;
use crate::pieces::{FRAMES, Piece, PieceSet};
use crate::state::{AgentIndex, Control, Incarnation, Lease, LeaseIndex, Orchestrator, Request, Standing, TTL};

/// The most frames in a batch.
const BATCH: usize = 2;

/// What a lease request can bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Offer {
    /// The lease that this request has brought before.
    Same(LeaseIndex),
    /// That lease has ended: the agent must ask with a new id.
    LeaseEnded,
    /// The first pending frames.
    Batch,
    /// A frame that another agent has.
    Backup(Piece),
}

impl Orchestrator {
    /// What a lease request can bring now; nothing when it must wait.
    pub(crate) fn offers(
        &self,
        agent: AgentIndex,
        incarnation: Incarnation,
        request: Request,
        mutant: Mutant,
    ) -> Vec<Offer> {
        let same = |lease: &LeaseIndex| {
            let lease = self.lease(*lease);
            lease.agent == agent && lease.incarnation == incarnation && lease.request == Request::Open
        };
        if mutant != Mutant::RequestIdIgnored {
            if request == Request::Answered {
                return Vec::new();
            }
            if let Some(lease) = self.lease_indices().find(same) {
                let live = self.lease(lease).standing == Standing::Live;
                return vec![if live { Offer::Same(lease) } else { Offer::LeaseEnded }];
            }
        }
        if self.control == Control::Cancelled {
            return Vec::new();
        }
        if !self.pending.is_empty() {
            return vec![Offer::Batch];
        }
        let frames: Vec<Piece> = (0..FRAMES).map(|frame| self.current(frame)).collect();
        if frames.iter().any(|piece| self.holders(*piece).count() > 1) {
            return Vec::new();
        }
        let others = |piece: &Piece| self.holders(*piece).any(|lease| self.lease(lease).agent != agent);
        frames.into_iter().filter(others).map(Offer::Backup).collect()
    }

    /// Grants what was offered, unless that was an end.
    pub(crate) fn grant(
        &mut self,
        (agent, incarnation, request): (AgentIndex, Incarnation, Request),
        offer: Offer,
        mutant: Mutant,
    ) -> Option<LeaseIndex> {
        let mut held = PieceSet::EMPTY;
        match offer {
            Offer::LeaseEnded => return None,
            Offer::Same(lease) => {
                // The agent counts the term from when it sent the repetition: so must the orchestrator.
                if mutant != Mutant::RepeatRenewsNothing {
                    self.lease_mut(lease).left = TTL;
                }
                return Some(lease);
            }
            Offer::Backup(piece) => held.insert(piece),
            Offer::Batch => {
                let first = self.pending.iter().map(Piece::frame).min().unwrap_or_default();
                let run = (first..FRAMES).map(|frame| self.current(frame));
                let batch: Vec<Piece> = run.take_while(|piece| self.pending.contains(*piece)).take(BATCH).collect();
                for piece in batch {
                    self.take_pending(piece);
                    held.insert(piece);
                }
            }
        }
        Some(self.begin(Lease {
            agent,
            incarnation,
            request,
            standing: Standing::Live,
            left: TTL,
            held,
            readopted_from: None,
        }))
    }
}
