//! The deaths and new lives of agents: what is lost with a process, and what the orchestrator hears from then on.

use crate::mutants::Mutant;
use crate::network::Stray;
use crate::state::{AgentIndex, Incarnation, Registration, Request, State};

impl State {
    pub(crate) fn crash(&mut self, agent: AgentIndex, mutant: Mutant) {
        self.budget.crashes -= 1;
        let dropped = self.agents[agent].die(mutant);
        self.judge_dropped(&dropped);
        for row in self.orchestrator.leases.iter_mut().filter(|row| row.agent == agent) {
            row.incarnation = Incarnation::Old;
        }
        for stray in &mut self.strays {
            match stray {
                Stray::Ask { agent: sender, incarnation, .. } | Stray::Beat { agent: sender, incarnation, .. } => {
                    if *sender == agent {
                        *incarnation = Incarnation::Old;
                    }
                }
                Stray::Report(_) => {}
            }
        }
    }

    pub(crate) fn register(&mut self, agent: AgentIndex, mutant: Mutant) {
        self.orchestrator.register(agent, mutant);
        self.agents[agent].registration = Registration::Registered;
        if mutant == Mutant::OldIncarnationHeard {
            return;
        }
        // Whatever that life still says is refused.
        for row in self.orchestrator.leases.iter_mut().filter(|row| row.agent == agent) {
            row.request = Request::Answered;
        }
        self.strays.retain(|stray| match stray {
            Stray::Ask { agent: sender, incarnation, .. } | Stray::Beat { agent: sender, incarnation, .. } => {
                *sender != agent || *incarnation == Incarnation::Current
            }
            Stray::Report(_) => true,
        });
    }
}
