//! Which agents are there: in memory only, from what was heard of them lately. It answers how many slots a job's frames
//! could go to.

use std::collections::HashMap;
use std::time::Duration;

use haywain_shared::ids::{AgentId, Incarnation};

#[derive(Debug, Clone, Copy)]
struct Seen {
    incarnation: Incarnation,
    slots: u32,
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
pub(super) struct Presence(HashMap<AgentId, Seen>);

impl Presence {
    /// Something was heard of an agent.
    pub(super) fn heard(&mut self, agent: AgentId, incarnation: Incarnation, slots: u32, now: Duration) {
        self.0.insert(agent, Seen { incarnation, slots, at: now });
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
        presence.heard(old, Incarnation(1), 8, Duration::from_secs(9));
        presence.heard(new, Incarnation(1), 4, Duration::from_secs(10));
        assert_eq!(presence.slots(asking, since), 5);
        presence.heard(asking, Incarnation(1), 2, Duration::from_secs(3));
        assert_eq!(presence.slots(asking, since), 6);
    }

    #[test]
    fn a_past_life_is_told_from_the_present_one() {
        let agent = AgentId::generate();
        let mut presence = Presence::default();
        assert_eq!(presence.life(agent, Incarnation(2)), Life::Unknown);
        presence.heard(agent, Incarnation(2), 1, Duration::ZERO);
        assert_eq!(presence.life(agent, Incarnation(1)), Life::Past);
        assert_eq!(presence.life(agent, Incarnation(2)), Life::Present);
    }
}
