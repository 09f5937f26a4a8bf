//! What is on its way. A call that its sender waits for is kept with the sender, one of a kind at a time, as HTTP has it;
//! a [`Stray`] is a request without a sender that waits: a copy, or a call given up. Strays arrive in any order.
//!
//! Two steps are taken as one where nothing can be told apart by it: a courier's call and its answer (that the answer is
//! lost is a step of its own), and a lease request and its way to the orchestrator (it says the same whenever it is sent).

use crate::pieces::{Piece, PieceSet};
use crate::state::{AgentIndex, Incarnation, LeaseIndex, Request};

/// The answer to a lease request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Grant {
    pub(crate) lease: LeaseIndex,
    pub(crate) pieces: PieceSet,
    /// Ticks since the request was sent.
    pub(crate) age: u8,
}

/// A heartbeat on its way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Beat {
    /// There.
    Asked { said: Said, age: u8 },
    /// And back. The age is counted from when it was sent.
    Answered { verdicts: Vec<Verdict>, age: u8 },
}

/// What a heartbeat says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Said {
    pub(crate) named: Vec<Named>,
    /// Leases whose grant has reached the agent since. (On the wire: the heartbeat tells up to which number the agent's
    /// lease requests had been answered when it was sent.)
    pub(crate) unaware_of: Vec<LeaseIndex>,
}

/// A lease in a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Named {
    pub(crate) lease: LeaseIndex,
    pub(crate) in_work: Option<Piece>,
}

/// What became of a lease that was named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Verdict {
    pub(crate) lease: LeaseIndex,
    pub(crate) fate: Fate,
}

/// What a heartbeat's answer says of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fate {
    /// These frames are still its.
    Renewed(PieceSet),
    /// The frame in work goes on under this lease.
    Readopted(LeaseIndex, Piece),
    /// Over. What is in work may be finished and delivered.
    Revoked,
    /// Over, and nobody wants what is in work.
    JobGone,
}

/// What a courier tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Report {
    Frame(LeaseIndex, Piece),
    Failure(LeaseIndex, Piece),
    Release(LeaseIndex, PieceSet),
    Complete(LeaseIndex),
}

impl Report {
    pub(crate) const fn lease_mut(&mut self) -> &mut LeaseIndex {
        match self {
            Self::Frame(lease, _) | Self::Failure(lease, _) | Self::Release(lease, _) | Self::Complete(lease) => lease,
        }
    }
}

/// A request that nobody waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stray {
    Ask { agent: AgentIndex, incarnation: Incarnation, request: Request },
    Beat { agent: AgentIndex, incarnation: Incarnation, said: Said },
    Report(Report),
}

impl Beat {
    pub(crate) const fn age_mut(&mut self) -> &mut u8 {
        match self {
            Self::Asked { age, .. } | Self::Answered { age, .. } => age,
        }
    }

    pub(crate) fn each_mention(&mut self, see: &mut impl FnMut(&mut LeaseIndex)) {
        match self {
            Self::Asked { said, .. } => said.each_mention(see),
            Self::Answered { verdicts, .. } => {
                for verdict in verdicts {
                    see(&mut verdict.lease);
                    if let Fate::Readopted(lease, _) = &mut verdict.fate {
                        see(lease);
                    }
                }
            }
        }
    }
}

impl Said {
    fn each_mention(&mut self, see: &mut impl FnMut(&mut LeaseIndex)) {
        self.named.iter_mut().for_each(|named| see(&mut named.lease));
    }
}

impl Stray {
    /// The heartbeat, if it is one of this agent's present life.
    pub(crate) fn beat_of(&mut self, sender: AgentIndex) -> Option<&mut Said> {
        match self {
            Self::Beat { agent, incarnation: Incarnation::Current, said } if *agent == sender => Some(said),
            _ => None,
        }
    }

    pub(crate) fn each_mention(&mut self, see: &mut impl FnMut(&mut LeaseIndex)) {
        match self {
            Self::Ask { .. } => {}
            Self::Beat { said, .. } => said.each_mention(see),
            Self::Report(report) => see(report.lease_mut()),
        }
    }
}
