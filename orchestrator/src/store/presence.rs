//! Which agents are there: in memory only, from what was heard of them lately. It answers how many slots a job's frames
//! could go to.

use std::collections::BTreeMap;
use std::time::Duration;

use haywain_shared::ids::{AgentId, Incarnation};
use haywain_shared::protocol::MachineSample;

#[derive(Debug, Clone, Copy)]
struct Seen {
    incarnation: Incarnation,
    sequence: u64,
    slots: u32,
    sample: Option<MachineSample>,
    at: Duration,
}

/// Whether a call comes from the agent's present life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It does.
    Present,
    /// A later life has registered.
    Past,
    /// Nothing was heard of the agent since the orchestrator started.
    Unknown,
}

/// Agents heard of since the start.
#[derive(Debug, Default)]
pub(super) struct Presence(BTreeMap<AgentId, Seen>);

impl Presence {
    /// Something was heard of an agent.
    pub(super) fn heard(
        &mut self,
        agent: AgentId,
        incarnation: Incarnation,
        slots: u32,
        sample: Option<MachineSample>,
        now: Duration,
    ) {
        let sequence =
            self.0.get(&agent).filter(|seen| seen.incarnation == incarnation).map_or(0, |seen| seen.sequence);
        self.0.insert(agent, Seen { incarnation, sequence, slots, sample, at: now });
    }

    /// Whether a heartbeat has been overtaken by a later one of the same life. Of an agent that is there.
    pub(super) fn overtaken(&mut self, agent: AgentId, sequence: u64) -> bool {
        self.0.get_mut(&agent).is_some_and(|seen| {
            let overtaken = sequence < seen.sequence;
            seen.sequence = seen.sequence.max(sequence);
            overtaken
        })
    }

    /// When anything was last heard of the agent, and what its machine said of itself then.
    pub(super) fn last_seen(&self, agent: AgentId) -> Option<(Duration, Option<MachineSample>)> {
        self.0.get(&agent).map(|seen| (seen.at, seen.sample))
    }

    /// How many batches the agent works on at once, by its last word.
    pub(super) fn slots_of(&self, agent: AgentId) -> Option<u32> {
        self.0.get(&agent).map(|seen| seen.slots)
    }

    pub(super) fn forget(&mut self, agent: AgentId) {
        self.0.remove(&agent);
    }

    /// The agents heard of since `since`, without the one that asks.
    pub(super) fn others(&self, asking: AgentId, since: Duration) -> Vec<AgentId> {
        let others = self.0.iter().filter(|(agent, seen)| **agent != asking && seen.at >= since);
        others.map(|(agent, _)| *agent).collect()
    }

    /// Whether `incarnation` is the agent's present life.
    pub(super) fn life(&self, agent: AgentId, incarnation: Incarnation) -> Life {
        match self.0.get(&agent) {
            None => Life::Unknown,
            Some(seen) if seen.incarnation > incarnation => Life::Past,
            // A life that has not registered yet: its predecessor's registration does not speak for it.
            Some(seen) if seen.incarnation < incarnation => Life::Unknown,
            Some(_) => Life::Present,
        }
    }

    /// The slots of all agents heard of since `since`, with at least one for the agent that asks.
    pub(super) fn slots(&self, asking: AgentId, since: Duration) -> u64 {
        let others = self.0.iter().filter(|(agent, seen)| **agent != asking && seen.at >= since);
        let own = self.0.get(&asking).map_or(1, |seen| seen.slots.max(1));
        others.map(|(_, seen)| u64::from(seen.slots)).sum::<u64>() + u64::from(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_agents_heard_of_lately_and_of_the_one_that_asks() {
        let (old, new, asking) = (AgentId::generate(), AgentId::generate(), AgentId::generate());
        let mut presence = Presence::default();
        let since = Duration::from_secs(10);
        assert_eq!(presence.slots(asking, since), 1);
        presence.heard(old, Incarnation(1), 8, None, Duration::from_secs(9));
        presence.heard(new, Incarnation(1), 4, None, Duration::from_secs(10));
        assert_eq!(presence.slots(asking, since), 5);
        presence.heard(asking, Incarnation(1), 2, None, Duration::from_secs(3));
        assert_eq!(presence.slots(asking, since), 6);
    }

    #[test]
    fn a_heartbeat_is_overtaken_within_its_life_only() {
        let agent = AgentId::generate();
        let mut presence = Presence::default();
        presence.heard(agent, Incarnation(1), 1, None, Duration::ZERO);
        let overtaken: Vec<_> = [1, 2, 2, 1, 3].map(|sequence| presence.overtaken(agent, sequence)).into();
        assert_eq!(overtaken, [false, false, false, true, false]);
        presence.heard(agent, Incarnation(1), 1, None, Duration::ZERO);
        assert!(presence.overtaken(agent, 2));
        presence.heard(agent, Incarnation(2), 1, None, Duration::ZERO);
        assert!(!presence.overtaken(agent, 1));
    }

    #[test]
    fn a_past_life_is_told_from_the_present_one() {
        let agent = AgentId::generate();
        let mut presence = Presence::default();
        assert_eq!(presence.life(agent, Incarnation(2)), Life::Unknown);
        presence.heard(agent, Incarnation(2), 1, None, Duration::ZERO);
        assert_eq!(presence.life(agent, Incarnation(1)), Life::Past);
        assert_eq!(presence.life(agent, Incarnation(2)), Life::Present);
    }
}
