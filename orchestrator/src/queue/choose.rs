//! Which job an agent gets a batch of, among those that it could take: the oldest of the highest priority, unless it has the
//! scene of one that is hardly younger at hand. An open scene saves its opening, a cached one its download.

use std::time::Duration;

/// How much younger a job may be that is preferred for its scene. It bounds how long one can be passed over: a job that is
/// older than this than all others is served first.
pub const HARDLY_YOUNGER: Duration = Duration::from_mins(2);
/// How many jobs are looked at: a bound on the query, not a rule.
pub const LOOKED_AT: u32 = 16;

/// How near a scene is to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// It has to be fetched.
    Away,
    /// It lies on the machine.
    Cached,
    /// The Blender that would render it has it open.
    Warm,
}

/// A job that an agent could get a batch of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its priority.
    pub priority: i64,
    /// When it was submitted, in milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// How near its scene is.
    pub nearness: Nearness,
}

/// The place of the job to serve among `candidates`, which are in the order of priority and age.
#[must_use]
pub fn choose(candidates: &[Candidate]) -> usize {
    let Some(first) = candidates.first() else { return 0 };
    let window_ms = i64::try_from(HARDLY_YOUNGER.as_millis()).unwrap_or(i64::MAX);
    let is_equal = |candidate: &&Candidate| {
        candidate.priority == first.priority && candidate.created_ms <= first.created_ms.saturating_add(window_ms)
    };
    let equals = || candidates.iter().take_while(is_equal);
    let nearest = equals().map(|candidate| candidate.nearness).max();
    equals().position(|candidate| Some(candidate.nearness) == nearest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Nearness::{Away, Cached, Warm};
    use super::*;

    #[test]
    fn a_scene_at_hand_counts_among_equals_only() {
        /// Priority, how many seconds younger than the first, nearness.
        type Job = (i64, i64, Nearness);
        let cases: [(&[Job], usize); 9] = [
            (&[], 0),
            (&[(0, 0, Away)], 0),
            (&[(0, 0, Away), (0, 1, Away)], 0),
            (&[(0, 0, Away), (0, 1, Cached), (0, 2, Cached)], 1),
            (&[(0, 0, Cached), (0, 1, Cached), (0, 2, Warm)], 2),
            (&[(0, 0, Warm), (0, 1, Warm)], 0),
            (&[(5, 0, Away), (0, 1, Warm)], 0),
            (&[(0, 0, Away), (0, 120, Warm)], 1),
            (&[(0, 0, Away), (0, 121, Warm)], 0),
        ];
        for (jobs, chosen) in cases {
            let candidates: Vec<_> = jobs
                .iter()
                .map(|&(priority, seconds, nearness)| Candidate { priority, created_ms: seconds * 1000, nearness })
                .collect();
            assert_eq!(choose(&candidates), chosen, "{jobs:?}");
        }
    }
}
