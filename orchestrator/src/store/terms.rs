//! The terms of live leases: until when each runs, and what its holder last said about it. They are in memory only, kept
//! on the steady clock: a heartbeat costs no write, and a restart gives every live lease a full TTL (invariant I3).

use std::collections::HashMap;
use std::time::Duration;

use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{AgentId, LeaseId};

/// Whether the agent has ever named a lease in a heartbeat: if not, its grant may never have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Not yet.
    Never,
    /// At least once, or the lease is from before a restart.
    Named,
}

/// A live lease's term.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Term {
    pub(super) agent: AgentId,
    /// When it runs out, by the steady clock.
    pub(super) ends: Duration,
    pub(super) heard: Heard,
    /// The frame in work, when the holder has named one.
    pub(super) frame_in_work: Option<FrameNumber>,
    /// How far that frame is: 0 to 1.
    pub(super) fraction: f32,
}

/// The terms of all live leases.
#[derive(Debug)]
pub(super) struct Terms {
    ttl: Duration,
    live: HashMap<LeaseId, Term>,
    last_sweep: Duration,
}

impl Terms {
    pub(super) fn new(ttl: Duration, now: Duration) -> Self {
        Self { ttl, live: HashMap::new(), last_sweep: now }
    }

    /// A lease begins, or is taken over from before a restart.
    pub(super) fn begin(&mut self, lease: LeaseId, agent: AgentId, heard: Heard, now: Duration) {
        let term = Term { agent, ends: now + self.ttl, heard, frame_in_work: None, fraction: 0.0 };
        self.live.insert(lease, term);
    }

    pub(super) fn end(&mut self, lease: LeaseId) {
        self.live.remove(&lease);
    }

    /// The holder has named its lease. Anybody else's word is passed over.
    pub(super) fn renew(
        &mut self,
        lease: LeaseId,
        agent: AgentId,
        frame_in_work: Option<FrameNumber>,
        fraction: f32,
        now: Duration,
    ) {
        if let Some(term) = self.live.get_mut(&lease).filter(|term| term.agent == agent) {
            *term = Term { agent, ends: now + self.ttl, heard: Heard::Named, frame_in_work, fraction };
        }
    }

    pub(super) fn get(&self, lease: LeaseId) -> Option<Term> {
        self.live.get(&lease).copied()
    }

    /// The leases that have run out. If the orchestrator itself was not there to hear (it was frozen, or its disk stood
    /// still: the last look is longer ago than `hearing`), then nobody is to blame and every lease gets a full TTL.
    pub(super) fn run_out(&mut self, hearing: Duration, now: Duration) -> Vec<LeaseId> {
        let absent = now.saturating_sub(self.last_sweep) > hearing;
        self.last_sweep = now;
        if absent {
            for term in self.live.values_mut() {
                term.ends = term.ends.max(now + self.ttl);
            }
        }
        self.live.iter().filter(|(_, term)| term.ends <= now).map(|(lease, _)| *lease).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(20);
    const HEARING: Duration = Duration::from_secs(5);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_runs_out_a_ttl_after_its_last_renewal_by_its_holder() {
        let (lease, holder, stranger) = (LeaseId::generate(), AgentId::generate(), AgentId::generate());
        let mut terms = Terms::new(TTL, seconds(0));
        terms.begin(lease, holder, Heard::Never, seconds(0));
        terms.renew(lease, holder, None, 0.0, seconds(3));
        terms.renew(lease, stranger, None, 0.0, seconds(4));
        for now in 1..23 {
            assert_eq!(terms.run_out(HEARING, seconds(now)), [], "after {now} s");
        }
        assert_eq!(terms.run_out(HEARING, seconds(23)), [lease]);
    }

    #[test]
    fn an_orchestrator_that_was_frozen_expires_nothing() {
        let (lease, holder) = (LeaseId::generate(), AgentId::generate());
        let mut terms = Terms::new(TTL, seconds(0));
        terms.begin(lease, holder, Heard::Named, seconds(0));
        assert_eq!(terms.run_out(HEARING, seconds(300)), []);
        for now in 301..320 {
            assert_eq!(terms.run_out(HEARING, seconds(now)), [], "after {now} s");
        }
        assert_eq!(terms.run_out(HEARING, seconds(320)), [lease]);
    }
}
