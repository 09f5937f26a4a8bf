//! The terms of live leases: until when each runs, and what its holder last said about it. They are in memory only, kept
//! on the steady clock: a heartbeat costs no write, and a restart gives every live lease a full TTL (invariant I3).

use std::collections::BTreeMap;
use std::time::Duration;

use haywain_shared::frames::FrameNumber;
use haywain_shared::ids::{AgentId, LeaseId};
use haywain_shared::protocol::HeldLease;

/// Whether the agent has ever named a lease in a heartbeat: if not, its grant may never have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Not yet.
    Never,
    /// At least once, or the lease is from before a restart.
    Named,
}

/// A live lease's term.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    pub(super) agent: AgentId,
    /// When it was granted or last named, by the steady clock.
    pub(super) since: Duration,
    /// When it runs out.
    pub(super) ends: Duration,
    pub(super) heard: Heard,
    /// The frame in work, when the holder has named one.
    pub(super) frame_in_work: Option<FrameNumber>,
    /// How far that frame is: 0 to 1.
    pub(super) fraction: f32,
    /// The end of Blender's log.
    pub(super) log_tail: String,
}

/// The terms of all live leases.
#[derive(Debug)]
pub(super) struct Terms {
    ttl: Duration,
    live: BTreeMap<LeaseId, Term>,
    last_sweep: Duration,
}

impl Terms {
    pub(super) fn new(ttl: Duration, now: Duration) -> Self {
        Self { ttl, live: BTreeMap::new(), last_sweep: now }
    }

    /// A lease begins, or is taken over from before a restart.
    pub(super) fn begin(&mut self, lease: LeaseId, agent: AgentId, heard: Heard, now: Duration) {
        let ends = now + self.ttl;
        let term = Term { agent, since: now, ends, heard, frame_in_work: None, fraction: 0.0, log_tail: String::new() };
        self.live.insert(lease, term);
    }

    pub(super) fn end(&mut self, lease: LeaseId) {
        self.live.remove(&lease);
    }

    /// The holder has named its lease. Anybody else's word is passed over.
    pub(super) fn renew(&mut self, held: &HeldLease, agent: AgentId, now: Duration) {
        if let Some(term) = self.live.get_mut(&held.lease_id).filter(|term| term.agent == agent) {
            *term = Term {
                agent,
                since: now,
                ends: now + self.ttl,
                heard: Heard::Named,
                frame_in_work: held.frame,
                fraction: held.fraction,
                log_tail: held.log_tail.clone(),
            };
        }
    }

    /// A lease that its holder may have been told of only now lasts a full term from now.
    pub(super) fn extend(&mut self, lease: LeaseId, now: Duration) {
        if let Some(term) = self.live.get_mut(&lease) {
            term.since = now;
            term.ends = now + self.ttl;
        }
    }

    /// The leases of an agent that it has not named now, and neither named nor been granted since `since`: it does not know
    /// of them.
    pub(super) fn unnamed(&self, agent: AgentId, named: &[HeldLease], since: Duration) -> Vec<LeaseId> {
        let unknown = |lease: &LeaseId, term: &Term| {
            term.agent == agent && term.since < since && named.iter().all(|held| held.lease_id != *lease)
        };
        self.live.iter().filter(|(lease, term)| unknown(lease, term)).map(|(lease, _)| *lease).collect()
    }

    /// Leases of other agents that were named once and not since `since`, longest silent first, each with its frame in work.
    pub(super) fn silent(&self, asking: AgentId, since: Duration) -> Vec<(LeaseId, Option<FrameNumber>)> {
        let mut silent: Vec<_> = self
            .live
            .iter()
            .filter(|(_, term)| term.agent != asking && term.heard == Heard::Named && term.since < since)
            .collect();
        silent.sort_by_key(|(lease, term)| (term.since, **lease));
        silent.into_iter().map(|(lease, term)| (*lease, term.frame_in_work)).collect()
    }

    /// Whether a lease has fallen silent between two moments.
    pub(super) fn fell_silent(&self, after: Duration, by: Duration) -> bool {
        self.live.values().any(|term| term.heard == Heard::Named && term.since >= after && term.since < by)
    }

    /// When the leases were last looked at.
    pub(super) const fn last_sweep(&self) -> Duration {
        self.last_sweep
    }

    pub(super) fn get(&self, lease: LeaseId) -> Option<Term> {
        self.live.get(&lease).cloned()
    }

    /// How many leases there are.
    pub(super) fn count(&self) -> u64 {
        self.live.len() as u64
    }

    /// How many leases an agent holds.
    pub(super) fn held_by(&self, agent: AgentId) -> usize {
        self.live.values().filter(|term| term.agent == agent).count()
    }

    /// The leases that have run out. If the orchestrator itself was not there to hear (it was frozen, or its disk stood
    /// still: the last look is longer ago than `absence`), then nobody is to blame and every lease gets a full TTL.
    pub(super) fn run_out(&mut self, absence: Duration, now: Duration) -> Vec<LeaseId> {
        let absent = now.saturating_sub(self.last_sweep) > absence;
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
    const ABSENCE: Duration = Duration::from_secs(5);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn held(lease_id: LeaseId) -> HeldLease {
        HeldLease { lease_id, frame: None, fraction: 0.0, frames_done: 0, log_tail: String::new() }
    }

    #[test]
    fn a_lease_that_its_holder_does_not_name_is_found_after_a_while() {
        let (named, forgotten, young) = (LeaseId::generate(), LeaseId::generate(), LeaseId::generate());
        let (holder, other) = (AgentId::generate(), AgentId::generate());
        let mut terms = Terms::new(TTL, seconds(0));
        terms.begin(named, holder, Heard::Never, seconds(0));
        terms.begin(forgotten, holder, Heard::Never, seconds(0));
        terms.begin(young, holder, Heard::Never, seconds(4));
        assert_eq!(terms.unnamed(holder, &[held(named)], seconds(1)), [forgotten]);
        assert_eq!(terms.unnamed(other, &[], seconds(1)), []);
        assert_eq!(terms.held_by(holder), 3);
    }

    #[test]
    fn silence_is_what_was_named_once_and_no_more() {
        let (spoken_for, never_named) = (LeaseId::generate(), LeaseId::generate());
        let (holder, other) = (AgentId::generate(), AgentId::generate());
        let mut terms = Terms::new(TTL, seconds(0));
        terms.begin(spoken_for, holder, Heard::Never, seconds(0));
        terms.begin(never_named, holder, Heard::Never, seconds(0));
        terms.renew(&held(spoken_for), holder, seconds(3));
        assert_eq!(terms.silent(other, seconds(3)), []);
        assert_eq!(terms.silent(other, seconds(4)), [(spoken_for, None)]);
        assert_eq!(terms.silent(holder, seconds(4)), []);
        assert!(terms.fell_silent(seconds(3), seconds(4)) && !terms.fell_silent(seconds(4), seconds(5)));
    }

    #[test]
    fn a_lease_runs_out_a_ttl_after_its_last_renewal_by_its_holder() {
        let (lease, holder, stranger) = (LeaseId::generate(), AgentId::generate(), AgentId::generate());
        let mut terms = Terms::new(TTL, seconds(0));
        terms.begin(lease, holder, Heard::Never, seconds(0));
        terms.renew(&held(lease), holder, seconds(3));
        terms.renew(&held(lease), stranger, seconds(4));
        for now in 1..23 {
            assert_eq!(terms.run_out(ABSENCE, seconds(now)), [], "after {now} s");
        }
        assert_eq!(terms.run_out(ABSENCE, seconds(23)), [lease]);
    }

    #[test]
    fn an_orchestrator_that_was_frozen_expires_nothing() {
        let (lease, holder) = (LeaseId::generate(), AgentId::generate());
        let mut terms = Terms::new(TTL, seconds(0));
        terms.begin(lease, holder, Heard::Named, seconds(0));
        assert_eq!(terms.run_out(ABSENCE, seconds(300)), []);
        for now in 301..320 {
            assert_eq!(terms.run_out(ABSENCE, seconds(now)), [], "after {now} s");
        }
        assert_eq!(terms.run_out(ABSENCE, seconds(320)), [lease]);
    }
}
