//! The steps of the model, and which of them nobody may count on.

use crate::grants::Offer;
use crate::orchestrator::Shelf;
use crate::state::{AgentIndex, LeaseIndex};

/// Whether an answer reaches the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Arrives,
    IsLost,
    IsDelayed,
    /// It lies unread until the agent's clock has run the term out.
    IsOld,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Time passes.
    Tick,
    /// The sweep finds a lease whose term has run out.
    Expire(LeaseIndex, Shelf),
    /// A lease request is answered.
    Grant(AgentIndex, Offer, Answer),
    ReceiveGrant(AgentIndex),
    /// A heartbeat, its answer, and what follows.
    Beat(AgentIndex, Answer),
    /// A heartbeat leaves, and is under way.
    SendBeat(AgentIndex),
    HearBeat(AgentIndex),
    ReceiveVerdicts(AgentIndex),
    /// The frame in work is finished, and put into the outbox.
    Finish(AgentIndex),
    /// The attempt fails.
    Fail(AgentIndex),
    GiveBack(AgentIndex),
    /// The courier tells the oldest thing in the outbox.
    Deliver(AgentIndex, Shelf, Answer),
    /// An agent dies, and starts again.
    Crash(AgentIndex),
    Register(AgentIndex),
    /// The orchestrator dies; answers that it has sent arrive, or don't.
    Stop(Answer),
    Start,
    /// A copy of a request stays behind.
    StrayAsk(AgentIndex),
    StrayBeat(AgentIndex),
    StrayReport(AgentIndex),
    /// A stray arrives.
    Arrive(usize, Option<Offer>, Shelf),
    Cancel,
    Rerender(u8),
}

impl Action {
    /// Whether nobody may count on it: a fault, or what people do.
    pub(crate) const fn is_chance(self) -> bool {
        match self {
            Self::Tick
            | Self::ReceiveGrant(_)
            | Self::HearBeat(_)
            | Self::ReceiveVerdicts(_)
            | Self::Finish(_)
            | Self::Register(_)
            | Self::Start => false,
            Self::Expire(_, to) => matches!(to, Shelf::Failed),
            Self::Deliver(_, to, answer) => matches!(to, Shelf::Failed) || !matches!(answer, Answer::Arrives),
            Self::Grant(_, _, answer) | Self::Beat(_, answer) => !matches!(answer, Answer::Arrives),
            _ => true,
        }
    }
}
