//! The state of the farm: what the orchestrator has on disk and in memory, what each agent has, what is on its way between
//! them, which faults may still happen, and what has been broken. See [`State::canonical`] for its one form.

use crate::network::{Beat, Grant, Report, Stray};
use crate::pieces::{FRAMES, GENERATIONS, Piece, PieceSet};

/// Agents on the farm, with one slot each.
pub(crate) const AGENTS: usize = 2;
/// A lease's term, in ticks. A heartbeat interval is one tick.
pub(crate) const TTL: u8 = 2;
/// The heartbeat interval, in ticks.
pub(crate) const INTERVAL: u8 = 1;

/// Which agent.
pub(crate) type AgentIndex = usize;

/// Which lease: its place among those that somebody can still name, in the order of their epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LeaseIndex(pub(crate) u8);

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct State {
    pub(crate) orchestrator: Orchestrator,
    pub(crate) agents: [Agent; AGENTS],
    /// Requests whose sender waits no longer: copies, and calls given up. They arrive whenever they like, or never.
    pub(crate) strays: Vec<Stray>,
    pub(crate) budget: Budget,
    pub(crate) breaches: Breaches,
}

/// How many of each fault, and of each thing that people do, may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Budget {
    /// Answers that do not arrive. (A request that does not arrive is one that was not sent: it costs nothing.)
    pub(crate) losses: u8,
    /// Lease requests and heartbeats whose way, there or back, takes any time. (What else is said is said at once.)
    pub(crate) delays: u8,
    /// Terms that run out.
    pub(crate) expiries: u8,
    /// Requests that arrive a second time, or long after their sender gave up.
    pub(crate) strays: u8,
    /// Deaths of agents.
    pub(crate) crashes: u8,
    /// Deaths of the orchestrator.
    pub(crate) restarts: u8,
    /// Attempts that fail.
    pub(crate) failures: u8,
    /// Frames that are failed for good, as their attempts are spent.
    pub(crate) give_ups: u8,
    /// Frames given back unstarted.
    pub(crate) releases: u8,
    /// Grants that lie unread in an old poll until the lease is over by the agent's clock.
    pub(crate) old_polls: u8,
    /// Explicit re-renders.
    pub(crate) rerenders: u8,
    /// Cancels.
    pub(crate) cancels: u8,
}

impl Budget {
    /// Nothing goes wrong, and nobody does anything.
    pub(crate) const NONE: Self = Self {
        losses: 0,
        delays: 0,
        strays: 0,
        expiries: 0,
        crashes: 0,
        restarts: 0,
        failures: 0,
        give_ups: 0,
        releases: 0,
        old_polls: 0,
        rerenders: 0,
        cancels: 0,
    };
}

/// The orchestrator. All but `life`, `up_for` and the terms of leases is on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Orchestrator {
    pub(crate) life: Life,
    /// Ticks since its last start, up to a TTL: what I3's grace is judged by.
    pub(crate) up_for: u8,
    pub(crate) control: Control,
    /// The generation of each frame.
    pub(crate) generations: [u8; FRAMES as usize],
    /// Home of pending frames.
    pub(crate) pending: PieceSet,
    /// Home of failed frames.
    pub(crate) failed: PieceSet,
    /// Home of done frames, and what was recorded of earlier generations.
    pub(crate) recorded: [Option<Author>; (FRAMES * GENERATIONS) as usize],
    /// In the order of their epochs. Live ones are the home of leased frames.
    pub(crate) leases: Vec<Lease>,
    /// The counters on the job's row: kept by each change, never counted anew.
    pub(crate) counts: Counts,
}

/// Whether the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Life {
    Up,
    Down,
}

/// What people want of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Control {
    Active,
    Cancelled,
}

/// The job's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Counts {
    pub(crate) pending: i8,
    pub(crate) leased: i8,
    pub(crate) done: i8,
    pub(crate) failed: i8,
}

/// Whose output it is, and what was rendered for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Author {
    /// `None` when nobody can name the lease any more.
    pub(crate) lease: Option<LeaseIndex>,
    pub(crate) rendered: Piece,
}

/// A lease as the orchestrator keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Lease {
    pub(crate) agent: AgentIndex,
    pub(crate) incarnation: Incarnation,
    pub(crate) request: Request,
    pub(crate) standing: Standing,
    /// Ticks left of its term, in memory only.
    pub(crate) left: u8,
    pub(crate) held: PieceSet,
    /// The lease that it was re-adopted from.
    pub(crate) readopted_from: Option<LeaseIndex>,
}

/// Which life of an agent: an agent dies once at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Incarnation {
    Current,
    Old,
}

/// Whether a request id is the one that its agent still asks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Request {
    Open,
    Answered,
}

/// How a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Standing {
    Live,
    /// Ended because its term ran out.
    Expired,
    /// Ended otherwise.
    Ended,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Agent {
    pub(crate) registration: Registration,
    /// The leases that it names in heartbeats.
    pub(crate) book: Vec<Held>,
    /// The answer to its lease request, on its way.
    pub(crate) grant: Option<Grant>,
    /// Its heartbeat, on its way there or back.
    pub(crate) beat: Option<Beat>,
    /// What the courier has to tell, oldest first. Frames are on disk, the rest in memory.
    pub(crate) outbox: Vec<Report>,
}

/// Whether an agent's life is known to the orchestrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum Registration {
    #[default]
    Registered,
    Unknown,
}

/// A lease as its holder sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Held {
    pub(crate) lease: LeaseIndex,
    /// Ticks left of its term by the agent's own clock.
    pub(crate) left: u8,
    pub(crate) to_do: PieceSet,
    pub(crate) in_work: Option<Piece>,
}

impl Held {
    /// Nothing of it is left to render.
    pub(crate) const fn is_over(self) -> bool {
        self.to_do.is_empty() && self.in_work.is_none()
    }
}

/// What has been broken that the state of a moment does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Breaches(u8);

/// One thing that must never happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    /// A recorded output was replaced (I1).
    OutputReplaced,
    /// A lease expired less than a TTL after the orchestrator's start (I3).
    OutageExpired,
    /// Work was dropped that nobody has recorded and somebody wants (I4).
    WorkLost,
    /// A frame was started under a lease that had expired (I5).
    StartedAfterExpiry,
    /// A frame in work was not re-adopted, though nobody else holds or has recorded it (I5).
    NotReadopted,
    /// A lease was ended for not being named, though its agent holds it.
    HeldEnded,
}

impl Breaches {
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn add(&mut self, breach: Breach) {
        self.0 |= 1 << breach as u8;
    }

    pub(crate) const fn has(self, breach: Breach) -> bool {
        self.0 & (1 << breach as u8) != 0
    }
}

impl State {
    /// A job just submitted, and agents that have just registered.
    pub(crate) fn new(budget: Budget) -> Self {
        let mut pending = PieceSet::EMPTY;
        (0..FRAMES).for_each(|frame| pending.insert(Piece::new(frame, 0)));
        let orchestrator = Orchestrator {
            life: Life::Up,
            up_for: TTL,
            control: Control::Active,
            generations: [0; FRAMES as usize],
            pending,
            failed: PieceSet::EMPTY,
            recorded: [None; (FRAMES * GENERATIONS) as usize],
            leases: Vec::new(),
            counts: Counts { pending: FRAMES.cast_signed(), ..Counts::default() },
        };
        Self { orchestrator, agents: Default::default(), strays: Vec::new(), budget, breaches: Breaches::default() }
    }
}
