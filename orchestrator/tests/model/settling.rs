//! Liveness: from every state that can be reached, whatever has gone wrong on the way, the farm can come to rest without
//! any further luck: no fault, no retry given up, nobody's help. The checker's own liveness looks at terminal states only,
//! and a farm that beats for ever without getting anywhere has none.

use std::collections::HashMap;

use stateright::Model;

use crate::orchestrator::JobState;
use crate::protocol::Protocol;
use crate::state::State;

/// What a search for states without a way out found.
#[derive(Debug)]
pub(crate) struct Settling {
    pub(crate) states: usize,
    /// One of the states from which the farm cannot come to rest.
    pub(crate) stuck: Option<State>,
}

/// The job is over, nothing is undelivered, and nobody holds anything.
fn is_settled(state: &State) -> bool {
    let over = state.orchestrator.job_state() != JobState::Running;
    let idle =
        state.agents.iter().all(|agent| agent.outbox.is_empty() && agent.book.is_empty() && agent.grant.is_none());
    over && idle && state.orchestrator.live_leases().next().is_none()
}

/// Looks at every state, then goes back from those that are settled by the steps that can be counted on.
pub(crate) fn settle(model: &Protocol) -> Settling {
    let mut places: HashMap<State, usize> = HashMap::new();
    let mut states: Vec<State> = Vec::new();
    let mut before: Vec<Vec<usize>> = Vec::new();
    for state in model.init_states() {
        places.insert(state.clone(), states.len());
        states.push(state);
        before.push(Vec::new());
    }
    let mut next = 0;
    while next < states.len() {
        let from = states[next].clone();
        for (action, to) in model.next_steps(&from) {
            let place = *places.entry(to).or_insert_with_key(|to| {
                states.push(to.clone());
                before.push(Vec::new());
                states.len() - 1
            });
            if !action.is_chance() {
                before[place].push(next);
            }
        }
        next += 1;
    }
    let mut settles: Vec<bool> = states.iter().map(is_settled).collect();
    let mut open: Vec<usize> = (0..states.len()).filter(|place| settles[*place]).collect();
    while let Some(place) = open.pop() {
        for earlier in &before[place] {
            if !std::mem::replace(&mut settles[*earlier], true) {
                open.push(*earlier);
            }
        }
    }
    let stuck = settles.iter().position(|settles| !settles).map(|place| states[place].clone());
    Settling { states: states.len(), stuck }
}
