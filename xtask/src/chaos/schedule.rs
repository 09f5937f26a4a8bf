//! Which fault comes when: a pure function of the seed. Every kind comes before any comes again, and what would undo a
//! fault that is still on does not begin.

use std::time::Duration;

use super::dice::Dice;

/// How many agents there are.
pub(super) const AGENTS: usize = 3;
/// The agent whose line to the orchestrator can be disturbed.
pub(super) const AGENT_ON_THE_LINE: usize = 2;

/// What can happen to a farm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// SIGKILL of a Blender.
    KillBlender,
    /// SIGKILL of an agent that comes back soon.
    KillAgent,
    /// SIGKILL of an agent that stays away for longer than a lease lasts.
    LoseAgent,
    /// SIGTERM of an agent, which comes back after it has left.
    DrainAgent,
    /// SIGSTOP of an agent for longer than a lease lasts.
    FreezeAgent,
    /// An agent's disk is full.
    FillAgent,
    /// SIGKILL of the orchestrator.
    KillOrchestrator,
    /// SIGSTOP of the orchestrator.
    FreezeOrchestrator,
    /// The orchestrator's disk is full.
    FillOrchestrator,
    /// A byte of a picture is another when it arrives.
    CorruptUpload,
    /// The connection is cut in mid-upload.
    CutUpload,
    /// An upload arrives, and its answer does not.
    LoseAnswer,
    /// A batch is granted, and the grant does not arrive.
    LoseGrant,
    /// The orchestrator cannot be reached.
    Refuse,
    /// Nothing that is sent arrives, until all of it does.
    Hold,
    /// A job is cancelled with its frames in work. Nothing else happens meanwhile: it is measured.
    Cancel,
}

/// Everything, for a run of minutes.
pub(super) const ALL: [Kind; 16] = [
    Kind::KillBlender,
    Kind::KillAgent,
    Kind::LoseAgent,
    Kind::DrainAgent,
    Kind::FreezeAgent,
    Kind::FillAgent,
    Kind::KillOrchestrator,
    Kind::FreezeOrchestrator,
    Kind::FillOrchestrator,
    Kind::CorruptUpload,
    Kind::CutUpload,
    Kind::LoseAnswer,
    Kind::LoseGrant,
    Kind::Refuse,
    Kind::Hold,
    Kind::Cancel,
];
/// What is over within seconds, for a run of seconds.
pub(super) const QUICK: [Kind; 6] = [
    Kind::KillBlender,
    Kind::KillAgent,
    Kind::KillOrchestrator,
    Kind::CorruptUpload,
    Kind::CutUpload,
    Kind::LoseAnswer,
];

/// Whom a fault keeps busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    Agent,
    /// An agent, and nobody may touch the orchestrator: what it does then is measured.
    AgentAlone,
    Orchestrator,
    Line,
    Everything,
}

impl Kind {
    /// What it is called in the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::KillBlender => "SIGKILL of a Blender",
            Self::KillAgent => "SIGKILL of an agent, back within seconds",
            Self::LoseAgent => "SIGKILL of an agent, away for longer than the TTL",
            Self::DrainAgent => "SIGTERM of an agent",
            Self::FreezeAgent => "SIGSTOP of an agent, longer than the TTL",
            Self::FillAgent => "full disk under an agent",
            Self::KillOrchestrator => "SIGKILL of the orchestrator",
            Self::FreezeOrchestrator => "SIGSTOP of the orchestrator",
            Self::FillOrchestrator => "full disk under the orchestrator",
            Self::CorruptUpload => "corrupted upload",
            Self::CutUpload => "connection cut in mid-upload",
            Self::LoseAnswer => "lost answer to an upload",
            Self::LoseGrant => "lost grant of a batch",
            Self::Refuse => "orchestrator unreachable for an agent",
            Self::Hold => "line that holds everything back",
            Self::Cancel => "job cancelled in mid-frame",
        }
    }

    /// Whether it needs a disk that can be filled.
    pub(super) const fn needs_a_disk(self) -> bool {
        matches!(self, Self::FillAgent | Self::FillOrchestrator)
    }

    /// Whether it happens to the orchestrator, and so to everybody.
    pub(super) const fn hits_the_orchestrator(self) -> bool {
        matches!(self, Self::KillOrchestrator | Self::FreezeOrchestrator | Self::FillOrchestrator)
    }

    const fn hit(self) -> Hit {
        match self {
            Self::KillBlender | Self::KillAgent | Self::DrainAgent | Self::FreezeAgent | Self::FillAgent => Hit::Agent,
            Self::LoseAgent => Hit::AgentAlone,
            Self::KillOrchestrator | Self::FreezeOrchestrator | Self::FillOrchestrator => Hit::Orchestrator,
            Self::CorruptUpload | Self::CutUpload | Self::LoseAnswer | Self::LoseGrant | Self::Refuse | Self::Hold => {
                Hit::Line
            }
            Self::Cancel => Hit::Everything,
        }
    }

    /// For how many milliseconds it is on. A lease lasts for 20 s, and runs out at the sweep of the second after.
    fn lasts_ms(self, dice: &mut Dice) -> u64 {
        let range = match self {
            Self::KillBlender => 0..=0,
            Self::KillAgent => 100..=3000,
            Self::LoseAgent => 26_000..=30_000,
            Self::FreezeAgent => 22_500..=28_000,
            Self::DrainAgent => 3000..=6000,
            Self::FillAgent => 4000..=15_000,
            Self::KillOrchestrator => 0..=4000,
            // Mostly a hiccup, now and then longer than a lease.
            Self::FreezeOrchestrator if dice.index(3) == 0 => 22_000..=25_000,
            Self::FreezeOrchestrator => 1000..=6000,
            Self::FillOrchestrator => 3000..=10_000,
            // On until it has happened, at the next upload or grant.
            Self::CorruptUpload | Self::CutUpload | Self::LoseAnswer | Self::LoseGrant => 3000..=3000,
            Self::Refuse => 1000..=8000,
            Self::Hold if dice.index(3) == 0 => 22_000..=26_000,
            Self::Hold => 500..=5000,
            Self::Cancel => 25_000..=25_000,
        };
        dice.between(&range)
    }

    /// How much of it there is: for a corruption, how many uploads in a row; for a cut, after how many bytes.
    fn size(self, dice: &mut Dice) -> u64 {
        let range = match self {
            Self::CorruptUpload => 1..=2,
            Self::CutUpload => 1..=1800,
            _ => 1..=1,
        };
        dice.between(&range)
    }
}

/// A fault that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    /// When, from the start.
    pub(super) at: Duration,
    /// What.
    pub(super) kind: Kind,
    /// To which agent, if it is to one.
    pub(super) agent: usize,
    /// For how long it is on.
    pub(super) lasts: Duration,
    /// How much of it there is.
    pub(super) size: u64,
}

impl Fault {
    /// When it is over.
    pub(super) fn ends(&self) -> Duration {
        self.at + self.lasts
    }
}

/// Until when everybody is kept busy by a fault, in milliseconds.
#[derive(Debug, Default)]
struct Busy {
    agents: [u64; AGENTS],
    orchestrator: u64,
    line: u64,
}

impl Busy {
    fn until(&self, hit: Hit, agent: usize) -> u64 {
        match hit {
            Hit::Agent => self.agents[agent],
            Hit::AgentAlone => self.agents[agent].max(self.orchestrator),
            Hit::Orchestrator => self.orchestrator,
            Hit::Line => self.line,
            Hit::Everything => self.agents.into_iter().fold(self.orchestrator.max(self.line), u64::max),
        }
    }

    fn keep(&mut self, hit: Hit, agent: usize, until: u64) {
        match hit {
            Hit::Agent => self.agents[agent] = until,
            Hit::AgentAlone => (self.agents[agent], self.orchestrator) = (until, until),
            Hit::Orchestrator => self.orchestrator = until,
            Hit::Line => self.line = until,
            Hit::Everything => *self = Self { agents: [until; AGENTS], orchestrator: until, line: until },
        }
    }
}

/// A break for whoever had a fault, before the next comes to it.
const BREAK_MS: u64 = 1000;

/// The faults of a seed, in the order in which they begin: out of `kinds`, a new one every `gap_ms`, all over by `total`.
pub(super) fn plan(seed: u64, total: Duration, kinds: &[Kind], gap_ms: &std::ops::RangeInclusive<u64>) -> Vec<Fault> {
    let mut dice = Dice::new(seed);
    let total_ms = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
    let (mut faults, mut busy, mut deck) = (Vec::new(), Busy::default(), Vec::new());
    let mut now_ms = dice.between(gap_ms);
    while now_ms < total_ms && !kinds.is_empty() {
        if deck.is_empty() {
            deck = kinds.to_vec();
            dice.shuffle(&mut deck);
        }
        let Some(kind) = deck.pop() else { break };
        let agent = if kind.hit() == Hit::Line { AGENT_ON_THE_LINE } else { dice.index(AGENTS) };
        let (lasts_ms, size) = (kind.lasts_ms(&mut dice), kind.size(&mut dice));
        let at_ms = now_ms.max(busy.until(kind.hit(), agent));
        let ends_ms = at_ms + lasts_ms;
        if ends_ms <= total_ms {
            busy.keep(kind.hit(), agent, ends_ms + BREAK_MS);
            let (at, lasts) = (Duration::from_millis(at_ms), Duration::from_millis(lasts_ms));
            faults.push(Fault { at, kind, agent, lasts, size });
            if kind.hit() == Hit::Everything {
                now_ms = ends_ms;
            }
        }
        now_ms += dice.between(gap_ms);
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_MINUTES: Duration = Duration::from_mins(10);

    #[test]
    fn the_schedule_is_a_function_of_the_seed() {
        let plan_of = |seed| plan(seed, TEN_MINUTES, &ALL, &(1000..=5000));
        assert_eq!(plan_of(1), plan_of(1));
        assert_ne!(plan_of(1), plan_of(2));
        // Anybody's machine, any version of the compiler.
        let first = plan_of(1)[0];
        assert_eq!((first.at.as_millis(), first.kind, first.agent), (3519, Kind::FreezeOrchestrator, 0));
    }

    #[test]
    fn every_kind_comes_and_all_are_over_in_time() {
        for seed in 0..200 {
            let faults = plan(seed, TEN_MINUTES, &ALL, &(1000..=5000));
            assert!(faults.len() > 60, "seed {seed}: {}", faults.len());
            for kind in ALL {
                assert!(faults.iter().filter(|fault| fault.kind == kind).count() >= 2, "seed {seed}: {kind:?}");
            }
            assert!(faults.iter().all(|fault| fault.ends() <= TEN_MINUTES), "seed {seed}");
            assert!(faults.is_sorted_by_key(|fault| fault.at), "seed {seed}");
        }
    }

    #[test]
    fn half_a_minute_has_every_quick_kind() {
        for seed in 0..200 {
            let faults = plan(seed, Duration::from_secs(20), &QUICK, &(500..=2000));
            for kind in QUICK {
                assert!(faults.iter().any(|fault| fault.kind == kind), "seed {seed}: {kind:?}");
            }
        }
    }

    #[test]
    fn nobody_has_two_faults_at_once_and_a_cancel_is_alone() {
        for seed in 0..200 {
            let faults = plan(seed, TEN_MINUTES, &ALL, &(1000..=5000));
            for (number, one) in faults.iter().enumerate() {
                for other in &faults[number + 1..] {
                    let together = other.at < one.ends();
                    let same = one.kind.hit() == other.kind.hit() && (one.agent == other.agent || one.kind.hit_all());
                    let alone = one.kind == Kind::Cancel || other.kind == Kind::Cancel;
                    assert!(!(together && (same || alone)), "seed {seed}: {one:?} {other:?}");
                }
            }
        }
    }

    impl Kind {
        fn hit_all(self) -> bool {
            matches!(self.hit(), Hit::Orchestrator | Hit::Line | Hit::Everything)
        }
    }
}
