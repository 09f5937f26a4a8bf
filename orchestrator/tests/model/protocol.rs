//! The protocol as a state machine: which steps a state allows, and what each does. Time is in ticks, and passes whenever it
//! likes: a frozen agent is one that lets ticks pass.

use stateright::{Model, Property};

use crate::action::{Action, Answer};
use crate::grants::Offer;
use crate::mutants::Mutant;
use crate::network::{Beat, Report, Stray};
use crate::orchestrator::{JobState, Shelf};
use crate::pieces::{FRAMES, GENERATIONS};
use crate::properties;
use crate::sights::Sight;
use crate::state::{AGENTS, AgentIndex, Budget, Incarnation, Life, Registration, Request, State, TTL};

/// The protocol, with this budget of faults, and this hole in it.
#[derive(Debug, Clone)]
pub(crate) struct Protocol {
    pub(crate) budget: Budget,
    /// Frames that an outbox takes.
    pub(crate) outbox: usize,
    pub(crate) mutant: Mutant,
    /// What must be seen to happen.
    pub(crate) sights: Vec<Sight>,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.budget)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if !state.breaches.is_empty() {
            // What follows on a breach is of no interest, and would only lengthen the tale.
            return;
        }
        if state.orchestrator.life == Life::Up {
            self.orchestrator_actions(state, actions);
        } else {
            actions.push(Action::Start);
        }
        for agent in 0..AGENTS {
            self.agent_actions(state, agent, actions);
        }
        if has_clocks(state) {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.step(&mut state, action);
        Some(state.canonical())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(&self.sights)
    }
}

impl Protocol {
    fn orchestrator_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let State { orchestrator, budget, .. } = state;
        for (lease, _) in orchestrator.live_leases().filter(|(_, row)| row.left == 0 && budget.expiries > 0) {
            actions.extend(shelves(budget).map(|to| Action::Expire(lease, to)));
        }
        for (agent, there) in state.agents.iter().enumerate() {
            if there.asks() {
                for offer in orchestrator.offers(agent, Incarnation::Current, Request::Open, self.mutant) {
                    actions.extend(answers(budget, offer).map(|answer| Action::Grant(agent, offer, answer)));
                }
            }
            if matches!(there.beat, Some(Beat::Asked { .. })) {
                actions.push(Action::HearBeat(agent));
            }
            if let Some(report) = there.outbox.first() {
                for to in shelves_of(*report, budget) {
                    actions.push(Action::Deliver(agent, to, Answer::Arrives));
                    if budget.losses > 0 {
                        actions.push(Action::Deliver(agent, to, Answer::IsLost));
                    }
                }
            }
            if there.registration == Registration::Unknown {
                actions.push(Action::Register(agent));
            }
        }
        for (place, stray) in state.strays.iter().enumerate() {
            match stray {
                Stray::Ask { agent, incarnation, request } if state.is_heard(*agent, *incarnation, self.mutant) => {
                    let offers = orchestrator.offers(*agent, *incarnation, *request, self.mutant).into_iter();
                    actions.extend(offers.map(|offer| Action::Arrive(place, Some(offer), Shelf::Pending)));
                }
                Stray::Ask { .. } => {}
                Stray::Beat { agent, incarnation, .. } => {
                    if state.is_heard(*agent, *incarnation, self.mutant) {
                        actions.push(Action::Arrive(place, None, Shelf::Pending));
                    }
                }
                Stray::Report(report) => {
                    actions.extend(shelves_of(*report, budget).map(|to| Action::Arrive(place, None, to)));
                }
            }
        }
        if budget.restarts > 0 {
            actions.push(Action::Stop(Answer::Arrives));
            if state.agents.iter().any(|agent| agent.grant.is_some() || agent.beat.is_some()) {
                actions.push(Action::Stop(Answer::IsLost));
            }
        }
        if budget.cancels > 0 && orchestrator.job_state() == JobState::Running {
            actions.push(Action::Cancel);
        }
        if budget.rerenders > 0 && orchestrator.job_state() != JobState::Cancelled {
            let done = |frame: &u8| orchestrator.is_recorded(orchestrator.current(*frame));
            let again = |frame: &u8| orchestrator.generations[usize::from(*frame)] + 1 < GENERATIONS;
            actions.extend((0..FRAMES).filter(|frame| done(frame) && again(frame)).map(Action::Rerender));
        }
    }

    fn agent_actions(&self, state: &State, agent: AgentIndex, actions: &mut Vec<Action>) {
        let State { orchestrator, budget, .. } = state;
        let there = &state.agents[agent];
        if there.grant.is_some() {
            actions.push(Action::ReceiveGrant(agent));
        }
        // A heartbeat of an agent that holds nothing, and is known to hold nothing, changes nothing.
        let tells = !there.book.is_empty() || orchestrator.live_leases().any(|(_, row)| row.agent == agent);
        match there.beat {
            None if there.registration == Registration::Registered && tells => {
                if orchestrator.life == Life::Up {
                    actions.push(Action::Beat(agent, Answer::Arrives));
                    if budget.losses > 0 {
                        actions.push(Action::Beat(agent, Answer::IsLost));
                    }
                }
                if budget.delays > 0 {
                    actions.push(Action::SendBeat(agent));
                }
                if budget.strays > 0 {
                    actions.push(Action::StrayBeat(agent));
                }
            }
            Some(Beat::Answered { .. }) => actions.push(Action::ReceiveVerdicts(agent)),
            _ => {}
        }
        let frames = there.outbox.iter().filter(|report| matches!(report, Report::Frame(..))).count();
        if there.in_work().is_some() && frames < self.outbox {
            actions.push(Action::Finish(agent));
            if budget.failures > 0 {
                actions.push(Action::Fail(agent));
            }
        }
        if budget.releases > 0 && there.book.iter().any(|held| !held.to_do.is_empty()) {
            actions.push(Action::GiveBack(agent));
        }
        if budget.crashes > 0 {
            actions.push(Action::Crash(agent));
        }
        if budget.strays > 0 {
            if there.asks() && orchestrator.job_state() == JobState::Running {
                actions.push(Action::StrayAsk(agent));
            }
            if !there.outbox.is_empty() {
                actions.push(Action::StrayReport(agent));
            }
        }
    }
}

/// Where the retry rule can send a frame.
fn shelves(budget: &Budget) -> impl Iterator<Item = Shelf> + use<> {
    std::iter::once(Shelf::Pending).chain((budget.give_ups > 0).then_some(Shelf::Failed))
}

fn shelves_of(report: Report, budget: &Budget) -> impl Iterator<Item = Shelf> + use<> {
    let failed = matches!(report, Report::Failure(..));
    shelves(budget).filter(move |to| failed || *to == Shelf::Pending)
}

fn answers(budget: &Budget, offer: Offer) -> impl Iterator<Item = Answer> + use<> {
    let grants = offer != Offer::LeaseEnded;
    let lost = (grants && budget.losses > 0).then_some(Answer::IsLost);
    let old = (grants && budget.old_polls > 0).then_some(Answer::IsOld);
    let delayed = (grants && budget.delays > 0).then_some(Answer::IsDelayed);
    std::iter::once(Answer::Arrives).chain(lost).chain(old).chain(delayed)
}

/// Whether time changes anything.
fn has_clocks(state: &State) -> bool {
    let State { orchestrator, agents, .. } = state;
    let up = orchestrator.life == Life::Up;
    (up && orchestrator.up_for < TTL)
        || orchestrator.leases.iter().any(|row| row.left > 0)
        || agents.iter().any(|agent| {
            agent.book.iter().any(|held| held.left > 0)
                || agent.grant.is_some_and(|grant| grant.age < TTL)
                || agent.beat.clone().is_some_and(|mut beat| *beat.age_mut() < TTL)
        })
}
