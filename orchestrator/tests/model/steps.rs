//! What each step does to the state: it joins what the orchestrator commits to what the agents learn of it, pays for faults
//! out of the budget, and notes what was broken on the way.

use crate::action::{Action, Answer};
use crate::grants::Offer;
use crate::heartbeats::Heard;
use crate::mutants::Mutant;
use crate::network::{Beat, Grant, Report, Said, Stray, Verdict};
use crate::orchestrator::Shelf;
use crate::pieces::Piece;
use crate::protocol::Protocol;
use crate::state::{
    AgentIndex, Breach, Control, Incarnation, LeaseIndex, Life, Registration, Request, Standing, State, TTL,
};

impl Protocol {
    pub(crate) fn step(&self, state: &mut State, action: Action) {
        let mutant = self.mutant;
        match action {
            Action::Tick => state.tick(),
            Action::Expire(lease, to) => {
                if state.orchestrator.up_for < TTL {
                    state.breaches.add(Breach::OutageExpired);
                }
                state.pay_for_shelf(to);
                state.budget.expiries -= 1;
                state.orchestrator.expire(lease, to, mutant);
            }
            Action::Grant(agent, offer, answer) => state.grant(agent, offer, answer, mutant),
            Action::ReceiveGrant(agent) => state.receive_grant(agent, mutant),
            Action::Beat(agent, answer) => {
                state.send_beat(agent);
                state.hear(agent, mutant);
                if answer == Answer::IsLost {
                    state.budget.losses -= 1;
                    state.agents[agent].beat = None;
                } else {
                    state.receive_verdicts(agent, mutant);
                }
            }
            Action::SendBeat(agent) => {
                state.budget.delays -= 1;
                state.send_beat(agent);
            }
            Action::HearBeat(agent) => state.hear(agent, mutant),
            Action::ReceiveVerdicts(agent) => state.receive_verdicts(agent, mutant),
            Action::Finish(agent) => {
                state.agents[agent].put_down(Report::Frame);
                state.go_on(agent, mutant);
            }
            Action::Fail(agent) => {
                state.budget.failures -= 1;
                state.agents[agent].put_down(Report::Failure);
                state.go_on(agent, mutant);
            }
            Action::GiveBack(agent) => {
                state.budget.releases -= 1;
                state.agents[agent].give_back();
                state.go_on(agent, mutant);
            }
            Action::Deliver(agent, to, answer) => state.deliver(agent, to, answer, mutant),
            Action::Crash(agent) => state.crash(agent, mutant),
            Action::Register(agent) => state.register(agent, mutant),
            Action::Stop(answers) => {
                state.budget.restarts -= 1;
                state.orchestrator.die();
                if answers == Answer::IsLost {
                    state.agents.iter_mut().for_each(|agent| (agent.grant, agent.beat) = (None, None));
                }
            }
            Action::Start => state.orchestrator.start(mutant),
            Action::StrayAsk(agent) => {
                state.stray(Stray::Ask { agent, incarnation: Incarnation::Current, request: Request::Open });
            }
            Action::StrayBeat(agent) => {
                let said = state.agents[agent].says();
                state.stray(Stray::Beat { agent, incarnation: Incarnation::Current, said });
            }
            Action::StrayReport(agent) => state.stray(Stray::Report(state.agents[agent].outbox[0])),
            Action::Arrive(place, offer, to) => state.arrive(place, offer, to, mutant),
            Action::Cancel => {
                state.budget.cancels -= 1;
                state.orchestrator.cancel(mutant);
            }
            Action::Rerender(frame) => {
                state.budget.rerenders -= 1;
                state.orchestrator.rerender(frame, mutant);
            }
        }
    }
}

impl State {
    /// Whether the orchestrator takes calls of this life of an agent.
    pub(crate) fn is_heard(&self, agent: AgentIndex, incarnation: Incarnation, mutant: Mutant) -> bool {
        let registered = self.agents[agent].registration == Registration::Registered;
        match incarnation {
            Incarnation::Current => registered,
            Incarnation::Old => !registered || mutant == Mutant::OldIncarnationHeard,
        }
    }

    fn tick(&mut self) {
        let grow = |age: &mut u8| *age = (*age + 1).min(TTL);
        let shrink = |left: &mut u8| *left = left.saturating_sub(1);
        if self.orchestrator.life == Life::Up {
            grow(&mut self.orchestrator.up_for);
        }
        self.orchestrator.leases.iter_mut().for_each(|row| shrink(&mut row.left));
        for agent in &mut self.agents {
            agent.book.iter_mut().for_each(|held| shrink(&mut held.left));
            agent.grant.iter_mut().for_each(|grant| grow(&mut grant.age));
            agent.beat.iter_mut().for_each(|beat| grow(beat.age_mut()));
        }
    }

    const fn pay_for_shelf(&mut self, to: Shelf) {
        if matches!(to, Shelf::Failed) {
            self.budget.give_ups -= 1;
        }
    }

    fn stray(&mut self, stray: Stray) {
        self.budget.strays -= 1;
        self.strays.push(stray);
    }

    fn go_on(&mut self, agent: AgentIndex, mutant: Mutant) {
        if let Some((lease, _)) = self.agents[agent].go_on(mutant)
            && self.orchestrator.lease(lease).standing == Standing::Expired
        {
            self.breaches.add(Breach::StartedAfterExpiry);
        }
    }

    /// Work that is dropped must be of no use to anybody, for ever: recorded, of an earlier generation, or of a job that is
    /// gone.
    pub(crate) fn judge_dropped(&mut self, pieces: &[Piece]) {
        let orchestrator = &self.orchestrator;
        let wanted = |piece: &Piece| {
            orchestrator.control == Control::Active
                && orchestrator.is_current(*piece)
                && !orchestrator.is_recorded(*piece)
        };
        if pieces.iter().any(wanted) {
            self.breaches.add(Breach::WorkLost);
        }
    }

    fn grant(&mut self, agent: AgentIndex, offer: Offer, answer: Answer, mutant: Mutant) {
        let Some(lease) = self.orchestrator.grant((agent, Incarnation::Current, Request::Open), offer, mutant) else {
            return self.request_answered(agent, None, mutant);
        };
        let age = if answer == Answer::IsOld { TTL } else { 0 };
        let pieces = self.orchestrator.lease(lease).held;
        self.agents[agent].grant = Some(Grant { lease, pieces, age });
        match answer {
            Answer::Arrives => self.receive_grant(agent, mutant),
            Answer::IsOld => {
                self.budget.old_polls -= 1;
                self.receive_grant(agent, mutant);
            }
            Answer::IsDelayed => self.budget.delays -= 1,
            Answer::IsLost => {
                self.budget.losses -= 1;
                self.agents[agent].grant = None;
            }
        }
    }

    fn receive_grant(&mut self, agent: AgentIndex, mutant: Mutant) {
        let lease = self.agents[agent].receive_grant(mutant);
        self.request_answered(agent, lease, mutant);
        self.go_on(agent, mutant);
    }

    fn send_beat(&mut self, agent: AgentIndex) {
        let there = &mut self.agents[agent];
        there.beat = Some(Beat::Asked { said: there.says(), age: 0 });
    }

    fn receive_verdicts(&mut self, agent: AgentIndex, mutant: Mutant) {
        let dropped = self.agents[agent].receive_verdicts(mutant);
        self.judge_dropped(&dropped);
        self.go_on(agent, mutant);
    }

    /// The agent has had an answer to its lease request: it asks with a new id from now on.
    fn request_answered(&mut self, agent: AgentIndex, brought: Option<LeaseIndex>, mutant: Mutant) {
        for row in &mut self.orchestrator.leases {
            if row.agent == agent && row.incarnation == Incarnation::Current {
                row.request = Request::Answered;
            }
        }
        for stray in &mut self.strays {
            if let Some(said) = stray.beat_of(agent) {
                said.unaware_of.extend(brought);
            }
            match stray {
                Stray::Ask { agent: asker, incarnation: Incarnation::Current, request } if *asker == agent => {
                    *request = Request::Answered;
                }
                _ => {}
            }
        }
        if let Some(Beat::Asked { said, .. }) = &mut self.agents[agent].beat {
            said.unaware_of.extend(brought);
        }
        if mutant != Mutant::RequestIdIgnored {
            // They bring what is known already.
            self.strays.retain(|stray| !matches!(stray, Stray::Ask { request: Request::Answered, .. }));
        }
    }

    fn hear(&mut self, agent: AgentIndex, mutant: Mutant) {
        let Some(Beat::Asked { said, age }) = self.agents[agent].beat.take() else { return };
        let verdicts = self.commit_beat((agent, Incarnation::Current), &said, mutant);
        if mutant != Mutant::OvertakenBeatHeard {
            self.strays.retain_mut(|stray| stray.beat_of(agent).is_none());
        }
        if !verdicts.is_empty() {
            self.agents[agent].beat = Some(Beat::Answered { verdicts, age });
        }
    }

    fn commit_beat(&mut self, sender: (AgentIndex, Incarnation), said: &Said, mutant: Mutant) -> Vec<Verdict> {
        let Heard { verdicts, unnamed } = self.orchestrator.hear(sender, said, &mut self.breaches, mutant);
        if unnamed.iter().any(|lease| self.agents[sender.0].holds(*lease)) {
            self.breaches.add(Breach::HeldEnded);
        }
        verdicts
    }

    fn deliver(&mut self, agent: AgentIndex, to: Shelf, answer: Answer, mutant: Mutant) {
        let report = self.agents[agent].outbox[0];
        self.commit(report, to, mutant);
        if answer == Answer::IsLost {
            self.budget.losses -= 1;
            return;
        }
        self.agents[agent].outbox.remove(0);
        match report {
            Report::Frame(_, piece) => self.judge_dropped(&[piece]),
            Report::Complete(lease) => self.agents[agent].book.retain(|held| held.lease != lease),
            Report::Failure(..) | Report::Release(..) => {}
        }
        // That a batch is done is told with the last of it.
        if let Some(Report::Complete(_)) = self.agents[agent].outbox.first() {
            self.deliver(agent, Shelf::Pending, Answer::Arrives, mutant);
        }
    }

    fn commit(&mut self, report: Report, to: Shelf, mutant: Mutant) {
        self.pay_for_shelf(to);
        match report {
            Report::Frame(lease, piece) => {
                self.orchestrator.record(lease, piece, &mut self.breaches, mutant);
            }
            Report::Failure(lease, piece) => self.orchestrator.fail(lease, piece, to, mutant),
            Report::Release(lease, pieces) => self.orchestrator.release(lease, pieces, mutant),
            Report::Complete(lease) => self.orchestrator.complete(lease, mutant),
        }
    }

    fn arrive(&mut self, place: usize, offer: Option<Offer>, to: Shelf, mutant: Mutant) {
        match self.strays.remove(place) {
            Stray::Ask { agent, incarnation, request } => {
                if let Some(offer) = offer {
                    self.orchestrator.grant((agent, incarnation, request), offer, mutant);
                }
            }
            Stray::Beat { agent, incarnation, said } => {
                self.commit_beat((agent, incarnation), &said, mutant);
            }
            Stray::Report(report) => self.commit(report, to, mutant),
        }
    }
}
